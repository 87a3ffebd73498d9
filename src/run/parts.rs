//! The parts of a scenario under way: one engine for each server, each with a trace and a judge of its own.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::one::Watch;
use crate::engine::{Engine, Options, Outcome};
use crate::load;
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

/// Carries out all parts at the same time, each in a task of its own, so that they are spread over the cores. In the order of
/// the parts.
pub(super) async fn drive_together(parts: Vec<Part>, stop: &watch::Receiver<bool>) -> Vec<Ended> {
    let mut under_way = JoinSet::new();
    for (place, part) in parts.into_iter().enumerate() {
        let stop = stop.clone();
        under_way.spawn(async move { (place, drive_one(part, stop).await) });
    }
    let mut ended = Vec::new();
    while let Some(one) = under_way.join_next().await {
        match one {
            Ok(one) => ended.push(one),
            // The others would wait for it.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    ended.sort_by_key(|(place, _)| *place);
    ended.into_iter().map(|(_, one)| one).collect()
}

async fn drive_one(part: Part, stop: watch::Receiver<bool>) -> Ended {
    let Part { id, scenario, options, watch, link, of_load, limit } = part;
    let mut engine = Engine::new(&id, &scenario, options, watch);
    if let Some(of_load) = of_load {
        engine = engine.with_part(of_load);
    }
    let late = drive_within(&mut engine, &link, stop, limit).await;
    let (watch, outcome) = engine.finish();
    Ended { watch, outcome, late, limit }
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
