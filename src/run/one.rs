//! One scenario of a run: its server, its engine, its judge.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::plan::Planned;
use crate::emulator::{MeetingServer, Settings, mutants};
use crate::engine::{Addresses, End, Engine, Options, Outcome};
use crate::net::clock::Clock;
use crate::net::emulator_shell::{EmulatorShell, ShellOptions, start};
use crate::net::socket_driver::{Link, drive};
use crate::net::target::{Accounts, Target, Tls};
use crate::report::assemble::{ExpectationFailure, ScenarioRun, StepMark};
use crate::rules::{Context, Deadlines, Judge};
use crate::scenario::syntax::Judged;
use crate::time::Instant;
use crate::trace::{Chronicle, NetworkErrorKind, Observation, Seq, Side, Sink};

/// How long a scenario may take unless it says otherwise.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long nothing may have arrived until a server counts as being at rest: on this machine, and elsewhere.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

/// Where scenarios run.
pub(super) enum Site {
    /// An emulated server for each scenario.
    Embedded {
        /// Its settings.
        settings: Box<Settings>,
        /// Its faults on purpose.
        mutants: Vec<String>,
    },
    /// One server for all.
    Server(Link),
}

/// What holds for all scenarios of a run.
pub(super) struct Terms {
    pub(super) seed: u64,
    pub(super) run_id: String,
    pub(super) deadlines: Deadlines,
    pub(super) quiet: Option<Duration>,
    pub(super) addresses: Addresses,
    pub(super) clock: Clock,
}

/// What became of a scenario.
pub(super) struct Played {
    pub(super) run: ScenarioRun,
    /// Trouble with the network that the scenario did not ask for.
    pub(super) network_error: Option<String>,
    /// Objects that could not be removed.
    pub(super) left_behind: Vec<String>,
}

/// Judges and keeps observations in words.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.chronicle.observe(observation);
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }
}

/// Carries out one scenario.
pub(super) async fn play(planned: Planned, site: Arc<Site>, terms: Terms, stop: watch::Receiver<bool>) -> Played {
    let began = terms.clock.now();
    let seed = seed_of(terms.seed, &planned.id);
    let (shell, link) = match site.as_ref() {
        Site::Server(link) => (None, link.clone()),
        Site::Embedded { settings, mutants } => match embedded(settings, mutants, seed, terms.clock).await {
            Ok((shell, link)) => (Some(shell), link),
            Err(why) => return not_begun(planned, why),
        },
    };
    let context = Context {
        judged: if planned.scenario.judge == Judged::Client { Side::Client } else { Side::Server },
        observer: Side::Client,
        version: planned.version,
        clustered: planned.clustered,
        deadlines: terms.deadlines,
    };
    let options = Options {
        seed,
        run_id: terms.run_id,
        reaction: terms.deadlines.reaction,
        quiet: terms.quiet.unwrap_or_else(|| if shell.is_some() { QUIET.0 } else { QUIET.1 }),
        addresses: terms.addresses,
        version: planned.version,
        ..Options::default()
    };
    let watching = Watch { judge: Judge::new(context), chronicle: Chronicle::new() };
    let limit = planned.scenario.deadline.map_or(DEADLINE, |deadline| deadline.0);
    let (watched, outcome, late) = {
        let mut engine = Engine::new(&planned.id, &planned.scenario, options, watching);
        let late = drive_within(&mut engine, &link, stop, limit).await;
        let (watched, outcome) = engine.finish();
        (watched, outcome, late)
    };
    let duration = terms.clock.now().since(began);
    if let Some(shell) = shell {
        shell.stop().await;
    }
    let unfinished = match &outcome.end {
        End::Finished => None,
        End::Unfinished { step, why } => Some(format!("step {step}: {why}")),
        End::Interrupted if late => Some(format!("took longer than its {} s", limit.as_secs_f32())),
        End::Interrupted => Some("interrupted".to_owned()),
    };
    played(planned, watched, outcome, unfinished, (began, duration))
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

async fn embedded(
    settings: &Settings,
    names: &[String],
    seed: u64,
    clock: Clock,
) -> Result<(EmulatorShell, Link), String> {
    let accounts = Accounts::generated();
    let mutants = names.iter().filter_map(|name| mutants::make(name)).collect();
    let server = MeetingServer::new(settings.clone(), mutants, seed);
    let options = ShellOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        accounts: accounts.clone(),
        observer: None,
    };
    let shell = start(server, options, clock).await.map_err(|error| error.to_string())?;
    let target = Target::new(&shell.url(), accounts, Tls::Insecure).map_err(|error| error.to_string())?;
    let link = Link::new(target, clock).map_err(|error| error.to_string())?;
    Ok((shell, link))
}

fn not_begun(planned: Planned, why: String) -> Played {
    let error = Some(why.clone());
    let run = ScenarioRun {
        exercises: planned.exercises(),
        id: planned.id,
        title: planned.scenario.title,
        unfinished: Some(why),
        ..ScenarioRun::default()
    };
    Played { run, network_error: error, left_behind: Vec::new() }
}

fn played(
    planned: Planned,
    watched: Watch,
    outcome: Outcome,
    unfinished: Option<String>,
    (began, duration): (Instant, Duration),
) -> Played {
    let Watch { judge, chronicle } = watched;
    let judgement = judge.finish();
    let failures: Vec<ExpectationFailure> = outcome
        .failed_expectations
        .iter()
        .map(|failed| ExpectationFailure {
            at: began + duration,
            expected: failed.because.clone(),
            observed: failed.what.clone(),
            evidence: vec![failed.seq],
        })
        .collect();
    let cited = judgement.findings.iter().flat_map(|finding| &finding.evidence);
    let cited = cited.chain(failures.iter().flat_map(|failure| &failure.evidence));
    let evidence: BTreeMap<Seq, String> = cited.filter_map(|seq| Some((*seq, chronicle.line(*seq)?))).collect();
    let network_error = outcome
        .network_errors
        .iter()
        .find(|error| !matches!(error.kind, NetworkErrorKind::Closed | NetworkErrorKind::Malformed))
        .map(ToString::to_string);
    let run = ScenarioRun {
        exercises: planned.exercises(),
        id: planned.id,
        title: planned.scenario.title,
        skipped: None,
        unfinished,
        steps: outcome
            .steps
            .iter()
            .map(|mark| StepMark { since: mark.seq, number: mark.number as usize, text: mark.text.clone() })
            .collect(),
        expectation_failures: failures,
        evidence,
        connections: chronicle.clients().map(|(id, name)| (id, name.to_owned())).collect(),
        began,
        duration,
        observations: outcome.observations,
        judgement,
    };
    Played { run, network_error, left_behind: outcome.left_behind }
}

/// The seed of a scenario: the run's, mixed with the scenario's id, so that each repeats alone what it did in the suite.
fn seed_of(seed: u64, id: &str) -> u64 {
    // FNV-1a.
    id.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_of_a_scenario_depends_on_run_and_scenario() {
        assert_eq!(seed_of(1, "a/b"), seed_of(1, "a/b"));
        assert_ne!(seed_of(1, "a/b"), seed_of(2, "a/b"));
        assert_ne!(seed_of(1, "a/b"), seed_of(1, "a/c"));
    }
}
