//! The parts of a scenario under way: one engine for each server, each with a trace and a judge of its own.

use std::io;
use std::num::NonZeroUsize;
use std::time::Duration;

use tokio::sync::watch;

use super::one::Watch;
use crate::engine::{Engine, Options, Outcome};
use crate::load;
use crate::net::event_loop::{self, Waiting};
use crate::net::socket_driver::{Link, drive};
use crate::scenario::syntax::Scenario;
use crate::trace::Sink;

/// What it takes to carry out one part; a scenario with one server is one part.
pub(super) struct Part {
    pub(super) id: String,
    /// The scenario, as it is for this server.
    pub(super) scenario: Scenario,
    pub(super) options: Options,
    pub(super) watch: Watch,
    pub(super) link: Link,
    /// What the others agree on with it, where it is a load that is spread over several servers.
    pub(super) of_load: Option<load::Part>,
    /// How long it may take.
    pub(super) limit: Duration,
}

/// What became of a part.
pub(super) struct Ended {
    pub(super) watch: Watch,
    pub(super) outcome: Outcome,
    /// Whether it took longer than it may.
    pub(super) late: bool,
    /// How long that is.
    pub(super) limit: Duration,
}

/// One engine and its way to its server.
struct UnderWay<'s> {
    engine: Engine<'s, Watch>,
    link: Link,
    limit: Duration,
}

/// Carries out all parts at the same time. What became of each, in the order of the parts, and why connections could not be
/// waited for, if that was so.
pub(super) async fn drive_together(
    mut parts: Vec<Part>,
    stop: &watch::Receiver<bool>,
    waiting: Waiting,
) -> (Vec<Ended>, Option<io::Error>) {
    let scenarios: Vec<Scenario> = parts.iter_mut().map(|part| std::mem::take(&mut part.scenario)).collect();
    let begin = |(part, scenario): (Part, _)| {
        let Part { id, options, watch, link, of_load, limit, .. } = part;
        let engine = Engine::new(&id, scenario, options, watch);
        let engine = if let Some(of_load) = of_load { engine.with_part(of_load) } else { engine };
        UnderWay { engine, link, limit }
    };
    let mut all: Vec<UnderWay<'_>> = parts.into_iter().zip(&scenarios).map(begin).collect();
    let late = match all.as_mut_slice() {
        [one] if scenarios.iter().all(|scenario| scenario.load.is_none()) => {
            Ok(vec![drive_within(&mut one.engine, &one.link, stop.clone(), one.limit).await])
        }
        all => drive_loads(all, stop, waiting),
    };
    let (late, failed) = match late {
        Ok(late) => (late, None),
        Err(error) => (vec![false; all.len()], Some(error)),
    };
    let end = |(one, late): (UnderWay<'_>, bool)| {
        let (watch, outcome) = one.engine.finish();
        Ended { watch, outcome, late, limit: one.limit }
    };
    (all.into_iter().zip(late).map(end).collect(), failed)
}

/// Carries out loads: each thread, of as many as there are processors, has some of the engines. Whether each was too late.
fn drive_loads<'s>(all: &mut [UnderWay<'s>], stop: &watch::Receiver<bool>, waiting: Waiting) -> io::Result<Vec<bool>> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let parts = all.iter_mut().map(|UnderWay { engine, link, limit }| event_loop::Part {
        engine,
        link,
        interrupt: stop.clone(),
        limit: *limit,
    });
    event_loop::drive_together(parts.collect(), threads, waiting)
}

/// Drives the engine; one that takes longer than `limit` is told to end. Returns whether that was so.
async fn drive_within<'e, S: Sink + Send + 'e>(
    engine: &mut Engine<'e, S>,
    link: &Link,
    mut stop: watch::Receiver<bool>,
    limit: Duration,
) -> bool {
    let (tell, told) = watch::channel(false);
    let clock = link.clock();
    let (mut late, mut stopped) = (false, false);
    let driving = drive(engine, link, told);
    let timer = clock.sleep_for(limit);
    tokio::pin!(driving, timer);
    loop {
        tokio::select! {
            () = &mut driving => return late,
            () = &mut timer, if !late => late = true,
            // An error means that nobody can interrupt any more.
            interrupted = stop.wait_for(|wanted| *wanted), if !stopped => {
                stopped = true;
                if interrupted.is_err() {
                    continue;
                }
            }
        }
        // Nobody listens only if the engine is done, which the next turn shows.
        let _ = tell.send(true);
    }
}
