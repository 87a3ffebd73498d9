//! One scenario of a run: its server, its engine, its judge.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::plan::Planned;
use super::recorder::ScenarioRecorder;
use super::watching::Station;
use crate::emulator::{MeetingServer, Settings, mutants};
use crate::engine::{Addresses, End, Engine, Options, Outcome, default_deadline};
use crate::load::{Earlier, LatencyRecorder, Loaded};
use crate::net::clock::Clock;
use crate::net::emulator_shell::{EmulatorShell, ShellOptions, start};
use crate::net::socket_driver::{Link, drive};
use crate::net::target::{Accounts, Target, Tls};
use crate::report::assemble::{ExpectationFailure, ScenarioRun, StepMark};
use crate::report::loads;
use crate::rules::{Context, Deadlines, Judge};
use crate::scenario::syntax::Judged;
use crate::time::Instant;
use crate::trace::format::{Begin, End as EndLine, FailedExpectation, Skip};
use crate::trace::{Chronicle, ConnectionId, EndCause, Event, NetworkErrorKind, Observation, Seq, Side, Sink};

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
    /// What loads are compared with.
    pub(super) baseline: Option<Arc<Earlier>>,
    /// Whether the scenario is recorded.
    pub(super) record: bool,
    /// Where what goes on is shown.
    pub(super) station: Option<Station>,
}

/// What became of a scenario.
pub(super) struct Played {
    pub(super) run: ScenarioRun,
    /// Trouble with the network that the scenario did not ask for.
    pub(super) network_error: Option<String>,
    /// Objects that could not be removed.
    pub(super) left_behind: Vec<String>,
    /// What else went wrong, in words.
    pub(super) trouble: Vec<String>,
    /// Its part of the recording, if it is recorded.
    pub(super) recorded: Option<io::Result<Vec<u8>>>,
    /// Whether the target found its way to CDR receivers.
    pub(super) reach: Reach,
}

/// Whether a target found its way to CDR receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nothing tells.
    Open,
    /// It did.
    Reached,
    /// Records were waited for in vain, and no connection came to this URI nor to another one.
    Nothing(String),
}

/// Judges, keeps observations in words, and takes them down.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
    /// Connections given up since a frame is too long to be read.
    unreadable: Vec<ConnectionId>,
    recorder: Option<io::Result<ScenarioRecorder>>,
    latency: LatencyRecorder,
    /// The URI of the first CDR receiver.
    uri: Option<String>,
    /// Whether a connection came to one.
    reached: bool,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.latency.observe(observation);
        self.chronicle.observe(observation);
        self.chronicle.keep(self.judge.findings().iter().map(|finding| finding.evidence.as_slice()));
        if let Some(Ok(recorder)) = &mut self.recorder {
            recorder.observe(observation);
        }
        match observation.event {
            Event::Ended { connection, cause: EndCause::TooLong } => self.unreadable.push(connection),
            Event::ReceiverOpened { uri, .. } if self.uri.is_none() => self.uri = Some(uri.to_owned()),
            Event::LinkOpened { .. } | Event::HandshakeFailed { .. } => self.reached = true,
            _ => {}
        }
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }

    fn found(&self) -> u64 {
        self.judge.found()
    }
}

impl Watch {
    fn new(context: Context, recorder: Option<io::Result<ScenarioRecorder>>, latency: LatencyRecorder) -> Self {
        Self {
            judge: Judge::new(context),
            chronicle: Chronicle::new(),
            unreadable: Vec::new(),
            recorder,
            latency,
            uri: None,
            reached: false,
        }
    }

    /// Whether the target found its way to CDR receivers.
    fn reach(&self, outcome: &Outcome) -> Reach {
        let last = outcome.steps.last().map_or("", |step| step.text.as_str());
        let in_vain = matches!(outcome.end, End::Unfinished { .. }) && last.starts_with("wait-");
        match &self.uri {
            _ if self.reached => Reach::Reached,
            Some(uri) if in_vain => Reach::Nothing(uri.clone()),
            _ => Reach::Open,
        }
    }

    /// What went wrong with connections to `address` beyond what rules judge: frames longer than `limit` bytes, and
    /// those that the server cut off.
    fn trouble(&self, cut: &[ConnectionId], address: &str, limit: u64) -> Vec<String> {
        let told = |connections: &[ConnectionId], what: &str| -> Vec<String> {
            let names = connections.iter().map(|connection| self.chronicle.client(*connection).unwrap_or("?"));
            names.map(|name| format!("{address}: {name}: {what}")).collect()
        };
        let too_long = format!("a frame was announced that is longer than {limit} bytes; the connection was given up");
        let cut = told(cut, "the server ended the connection in the middle of a frame");
        [told(&self.unreadable, &too_long), cut].concat()
    }
}

/// Carries out one scenario.
pub(super) async fn play(planned: Planned, site: Arc<Site>, terms: Terms, stop: watch::Receiver<bool>) -> Played {
    let began = terms.clock.now();
    let record = terms.record;
    let seed = seed_of(terms.seed, &planned.id);
    let (shell, link) = match site.as_ref() {
        Site::Server(link) => (None, link.clone()),
        Site::Embedded { settings, mutants } => match embedded(settings, mutants, seed, terms.clock).await {
            Ok((shell, link)) => (Some(shell), link),
            Err(why) => return not_begun(planned, why, record),
        },
    };
    let context = Context {
        judged: if planned.scenario.judge == Judged::Client { Side::Client } else { Side::Server },
        observer: Side::Client,
        version: planned.version,
        clustered: planned.clustered,
        deadlines: terms.deadlines,
    };
    let station = terms.station.as_ref().filter(|_| planned.scenario.load.is_some());
    let (watch, tap) = station.map(|station| station.watch(&planned.id)).unzip();
    let options = Options {
        seed,
        run_id: terms.run_id,
        reaction: terms.deadlines.reaction,
        redelivery: terms.deadlines.redelivery,
        wall_clock_unix_ms: Some(terms.clock.unix_ms()),
        restart: planned.restart,
        quiet: terms.quiet.unwrap_or_else(|| if shell.is_some() { QUIET.0 } else { QUIET.1 }),
        addresses: terms.addresses,
        version: planned.version,
        bends: match site.as_ref() {
            Site::Embedded { mutants, .. } => mutants.clone(),
            Site::Server(_) => Vec::new(),
        },
        watch: watch.unwrap_or_default(),
        ..Options::default()
    };
    let latency = tap.as_ref().map_or_else(LatencyRecorder::new, LatencyRecorder::with_tap);
    let recorder = record.then(|| ScenarioRecorder::new(&begin_line(&planned, &context, began)));
    let frame_limit = options.frame_limit;
    let watching = Watch::new(context, recorder, latency);
    let limit = planned.scenario.deadline.map_or_else(|| default_deadline(&planned.scenario), |deadline| deadline.0);
    let (watched, mut outcome, late) = {
        let mut engine = Engine::new(&planned.id, &planned.scenario, options, watching);
        let late = drive_within(&mut engine, &link, stop, limit).await;
        let (watched, outcome) = engine.finish();
        (watched, outcome, late)
    };
    let trouble = watched.trouble(&outcome.cut, &link.target().events_url(), frame_limit);
    let duration = terms.clock.now().since(began);
    if let Some(shell) = shell {
        shell.stop().await;
    }
    if let (Some(Loaded::Once(phase)), Some(load)) = (&mut outcome.loaded, &planned.scenario.load) {
        let baseline = terms.baseline.as_ref().and_then(|earlier| earlier.of(&planned.id));
        phase.complete(&watched.latency, &load.value.thresholds(), baseline);
    }
    let unfinished = match &outcome.end {
        End::Finished => outcome.loaded.as_ref().and_then(loads::doubt),
        End::Unfinished { step, why } => Some(format!("step {step}: {why}")),
        End::Interrupted if late => Some(format!("took longer than its {} s", limit.as_secs_f32())),
        End::Interrupted => Some("interrupted".to_owned()),
    };
    Played { trouble, ..played(planned, watched, outcome, unfinished, (began, duration)) }
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
    let mut server = MeetingServer::new(settings.clone(), mutants, seed);
    server.set_wall_clock(clock.now(), clock.unix_ms());
    let options = ShellOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        accounts: accounts.clone(),
        observer: None,
        tell: None,
    };
    let shell = start(server, options, clock).await.map_err(|error| error.to_string())?;
    let target = Target::new(&shell.url(), accounts, Tls::Insecure).map_err(|error| error.to_string())?;
    let link = Link::new(target, clock).map_err(|error| error.to_string())?;
    Ok((shell, link))
}

fn not_begun(planned: Planned, why: String, record: bool) -> Played {
    let error = Some(why.clone());
    let run = ScenarioRun {
        exercises: planned.exercises(),
        id: planned.id,
        title: planned.scenario.title,
        unfinished: Some(why),
        ..ScenarioRun::default()
    };
    let recorded = record.then(|| super::recorder::frame(&skip_line(&run)));
    Played { run, network_error: error, left_behind: Vec::new(), trouble: Vec::new(), recorded, reach: Reach::Open }
}

fn played(
    planned: Planned,
    watched: Watch,
    outcome: Outcome,
    unfinished: Option<String>,
    (began, duration): (Instant, Duration),
) -> Played {
    let reach = watched.reach(&outcome);
    let Watch { judge, chronicle, recorder, latency, .. } = watched;
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
        latency,
        loaded: outcome.loaded,
    };
    let recorded = recorder.map(|recorder| recorder.and_then(|recorder| recorder.finish(end_line(&run))));
    Played { run, network_error, left_behind: outcome.left_behind, trouble: Vec::new(), recorded, reach }
}

/// What judging the scenario again takes.
fn begin_line(planned: &Planned, context: &Context, began: Instant) -> Begin {
    Begin {
        begin: planned.id.clone(),
        title: planned.scenario.title.clone(),
        exercises: planned.exercises().iter().map(ToString::to_string).collect(),
        judged: context.judged,
        observer: context.observer,
        version: context.version.to_string(),
        clustered: context.clustered,
        reaction_ns: nanos(context.deadlines.reaction),
        redelivery_ns: nanos(context.deadlines.redelivery),
        began_ns: began.as_nanos(),
    }
}

/// What became of the scenario, apart from its observations.
fn end_line(run: &ScenarioRun) -> EndLine {
    let failed = run.expectation_failures.iter().map(|failure| FailedExpectation {
        at_ns: failure.at.as_nanos(),
        expected: failure.expected.clone(),
        observed: failure.observed.clone(),
        evidence: failure.evidence.iter().map(|seq| seq.0).collect(),
    });
    EndLine {
        end: run.id.clone(),
        unfinished: run.unfinished.clone(),
        failed_expectations: failed.collect(),
        observations: run.observations,
        left_out: 0,
        duration_ns: nanos(run.duration),
    }
}

/// A scenario that has no observations.
pub(super) fn skip_line(run: &ScenarioRun) -> Skip {
    Skip {
        skip: run.id.clone(),
        title: run.title.clone(),
        exercises: run.exercises.iter().map(ToString::to_string).collect(),
        skipped: run.skipped.clone(),
        unfinished: run.unfinished.clone(),
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
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
