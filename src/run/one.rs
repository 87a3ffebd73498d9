//! One scenario of a run, from its servers to what became of it: each server has an engine and a judge of its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::parts::{Ended, Part, drive_together};
use super::plan::Planned;
use super::recorder::{ScenarioRecorder, record_line};
use super::servers::{OneServer, Site, part_seed};
use super::watching::{LoadStation, Station};
use crate::engine::{Addresses, End, Options, Outcome, default_deadline};
use crate::load::{self, Earlier, LatencyRecorder, Loaded, Together};
use crate::net::clock::Clock;
use crate::net::event_loop::Waiting;
use crate::net::recording::Feed;
use crate::report::assemble::{ExpectationFailure, ScenarioRun, StepMark};
use crate::report::loads;
use crate::rules::{Context, Deadlines, Judge};
use crate::scenario::syntax::Judged;
use crate::time::Instant;
use crate::trace::format::{Begin, End as EndLine, FailedExpectation, Skip};
use crate::trace::{
    Chronicle, ConnectionId, EndCause, Event, NetworkError, NetworkErrorKind, Observation, Seq, Side, Sink,
};

/// How long nothing may have arrived until a server counts as being at rest: on this machine, and elsewhere.
const QUIET: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));

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
    /// Where the scenario is recorded, if it is.
    pub(super) record: Option<Feed>,
    /// Where what goes on is shown.
    pub(super) station: Option<Station>,
    /// How a load waits for what happens.
    pub(super) waiting: Waiting,
}

/// What became of a scenario.
pub(super) struct Played {
    pub(super) id: String,
    /// One for each server.
    pub(super) runs: Vec<ScenarioRun>,
    /// Trouble with the network that the scenario did not ask for: the first of each server.
    pub(super) network_errors: Vec<String>,
    /// That objects could not be removed, once for each server.
    pub(super) left_behind: Vec<String>,
    /// What else went wrong, in words.
    pub(super) trouble: Vec<String>,
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
pub(super) struct Watch {
    judge: Judge,
    chronicle: Chronicle,
    /// The longest frame payload that is read, in bytes.
    frame_limit: u64,
    /// Connections given up since a frame is too long to be read.
    unreadable: Vec<ConnectionId>,
    recorder: Option<ScenarioRecorder>,
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
        if let Some(recorder) = &mut self.recorder {
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

    fn measured_from(&mut self, start: Instant) {
        self.latency.measured_from(start);
    }

    fn found(&self) -> u64 {
        self.judge.found()
    }
}

impl Watch {
    fn new(
        context: Context,
        recorder: Option<ScenarioRecorder>,
        frame_limit: u64,
        (latency, chronicle): (LatencyRecorder, Chronicle),
    ) -> Self {
        Self {
            judge: Judge::new(context),
            frame_limit,
            chronicle,
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

    /// What went wrong with connections to `address` beyond what rules judge: frames that are too long, and those that the
    /// server cut off.
    fn trouble(&self, cut: &[ConnectionId], address: &str) -> Vec<String> {
        let limit = self.frame_limit;
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
    let seed = seed_of(terms.seed, &planned.id);
    let servers = match site.servers(&planned.scenario, seed, terms.clock).await {
        Ok(servers) => servers,
        Err(why) => return not_begun(planned, why, terms.record.as_ref()),
    };
    let names: Vec<String> = servers.iter().filter_map(|server| server.name.clone()).collect();
    let load = planned.scenario.load.as_ref().map(|load| &load.value);
    let whole = load.filter(|_| !names.is_empty()).map(|load| Together::new(names, load.terms()));
    let watched = terms.station.as_ref().filter(|_| load.is_some());
    let watched = watched.map(|station| station.watch(&planned.id, servers.len()));
    let part = |(place, server): (usize, &OneServer)| {
        let of_load = whole.as_ref().map(|whole| whole.part(u32::try_from(place).unwrap_or(u32::MAX)));
        part(&planned, &site, &terms, (server, watched.as_ref()), (part_seed(seed, place), began, of_load))
    };
    let parts = servers.iter().enumerate().map(part).collect();
    let (mut ended, failed) = drive_together(parts, &stop, terms.waiting).await;
    let duration = terms.clock.now().since(began);
    let mut loaded =
        whole.map_or_else(|| ended.first_mut().and_then(|one| one.outcome.loaded.take()), |whole| whole.loaded());
    if let (Some(Loaded::Once(phase)), Some(load)) = (&mut loaded, load) {
        let mut latency = LatencyRecorder::new();
        ended.iter().for_each(|one| latency.merge(&one.watch.latency));
        for share in &mut phase.shares {
            let own = servers.iter().zip(&ended).find(|(server, _)| server.name.as_ref() == Some(&share.server));
            own.into_iter().for_each(|(_, one)| share.add_records(&one.watch.latency));
        }
        let baseline = terms.baseline.as_ref().map(|earlier| earlier.of(&planned.id));
        phase.complete(&latency, &load.thresholds(), baseline);
    }
    let doubt = loaded.as_ref().and_then(loads::doubt);
    let mut played = Played::of(&planned.id);
    played.trouble.extend(failed.map(|error| format!("connections could not be waited for: {error}")));
    for (server, one) in servers.iter().zip(ended) {
        played.add(&planned, server, one, (began, duration), doubt.as_deref());
    }
    if let Some(first) = played.runs.first_mut() {
        first.loaded = loaded;
    }
    for server in servers {
        server.stop().await;
    }
    played
}

/// What it takes to carry out the part of a scenario that is one server's.
fn part(
    planned: &Planned,
    site: &Site,
    terms: &Terms,
    (server, watched): (&OneServer, Option<&LoadStation>),
    (seed, began, of_load): (u64, Instant, Option<load::Part>),
) -> Part {
    let context = Context {
        judged: if planned.scenario.judge == Judged::Client { Side::Client } else { Side::Server },
        observer: Side::Client,
        version: planned.version,
        clustered: planned.clustered,
        deadlines: terms.deadlines,
    };
    let (watch, tap) = watched.map(LoadStation::part).unzip();
    let latency = tap.as_ref().map_or_else(LatencyRecorder::new, LatencyRecorder::with_tap);
    let options = Options {
        seed,
        run_id: terms.run_id.clone(),
        reaction: terms.deadlines.reaction,
        redelivery: terms.deadlines.redelivery,
        wall_clock_unix_ms: Some(terms.clock.unix_ms()),
        restart: planned.restart,
        quiet: terms.quiet.unwrap_or_else(|| if site.is_embedded() { QUIET.0 } else { QUIET.1 }),
        addresses: terms.addresses.clone(),
        version: planned.version,
        bends: site.bends(),
        watch: watch.unwrap_or_default(),
        ..Options::default()
    };
    let begin = begin_line(planned, server.name.clone(), &context, began);
    let parts = of_load.as_ref().map_or(1, load::Part::of);
    let recorder = terms.record.as_ref().map(|feed| ScenarioRecorder::new(&begin, feed));
    let chronicle = Chronicle::one_of(parts as usize);
    let scenario = match &of_load {
        Some(part) => planned.scenario.part(part.index(), part.of()),
        None => planned.scenario.clone(),
    };
    Part {
        id: planned.id.clone(),
        limit: scenario.deadline.map_or_else(|| default_deadline(&scenario), |deadline| deadline.0),
        scenario,
        watch: Watch::new(context, recorder, options.frame_limit, (latency, chronicle)),
        options,
        link: server.link.clone(),
        of_load,
    }
}

fn not_begun(planned: Planned, why: String, record: Option<&Feed>) -> Played {
    let run = ScenarioRun {
        exercises: planned.exercises(),
        id: planned.id.clone(),
        title: planned.scenario.title,
        unfinished: Some(why.clone()),
        ..ScenarioRun::default()
    };
    let mut played = Played::of(&planned.id);
    if let Some(feed) = record {
        record_line(feed, &skip_line(&run));
    }
    played.network_errors.push(why);
    played.runs.push(run);
    played
}

impl Played {
    fn of(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            runs: Vec::new(),
            network_errors: Vec::new(),
            left_behind: Vec::new(),
            trouble: Vec::new(),
            reach: Reach::Open,
        }
    }

    /// Adds what became of the part that a server had; `doubt` is why the whole says nothing of any server.
    fn add(
        &mut self,
        planned: &Planned,
        server: &OneServer,
        ended: Ended,
        (began, duration): (Instant, Duration),
        doubt: Option<&str>,
    ) {
        let Ended { watch, outcome, late, limit } = ended;
        let unfinished = match &outcome.end {
            End::Finished => doubt.map(str::to_owned),
            End::Unfinished { step, why } => Some(format!("step {step}: {why}")),
            End::Interrupted if late => Some(format!("took longer than its {} s", limit.as_secs_f32())),
            End::Interrupted => Some("interrupted".to_owned()),
        };
        self.trouble.extend(watch.trouble(&outcome.cut, &server.link.target().events_url()));
        self.reach = match (&self.reach, watch.reach(&outcome)) {
            (Reach::Reached, _) | (_, Reach::Reached) => Reach::Reached,
            (_, found) => found,
        };
        let unasked =
            |error: &&NetworkError| !matches!(error.kind, NetworkErrorKind::Closed | NetworkErrorKind::Malformed);
        self.network_errors.extend(outcome.network_errors.iter().find(unasked).map(ToString::to_string));
        let run = run_of(planned, server.name.clone(), (watch, &outcome), unfinished, (began, duration));
        self.left_behind.extend(left(server.name.as_deref(), &outcome));
        self.runs.push(run);
    }
}

/// What could not be removed, of a server that is gone all that was made there: how much it is, and why.
fn left(server: Option<&str>, outcome: &Outcome) -> Option<String> {
    let first = outcome.left_behind.first()?;
    let what = match outcome.left_behind.len() {
        1 => first.clone(),
        count => format!("{count} objects, the first of them {first}"),
    };
    let on = server.map_or_else(String::new, |server| format!(" on {server}"));
    let why = outcome.left_because.as_ref().map_or_else(String::new, |why| format!(": {why}"));
    Some(format!("could not remove {what}{on}{why}"))
}

/// What the report is made from; the recording, if there is one, ends.
fn run_of(
    planned: &Planned,
    server: Option<String>,
    (watch, outcome): (Watch, &Outcome),
    unfinished: Option<String>,
    (began, duration): (Instant, Duration),
) -> ScenarioRun {
    let Watch { judge, chronicle, recorder, latency, .. } = watch;
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
    let run = ScenarioRun {
        exercises: planned.exercises(),
        id: planned.id.clone(),
        server,
        title: planned.scenario.title.clone(),
        skipped: None,
        unfinished,
        thresholds_untold: 0,
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
        loaded: None,
        on_clients: false,
        beyond: BTreeMap::new(),
        unjudged: false,
    };
    if let Some(recorder) = recorder {
        recorder.finish(end_line(&run));
    }
    run
}

/// What judging the scenario again takes.
fn begin_line(planned: &Planned, server: Option<String>, context: &Context, began: Instant) -> Begin {
    Begin {
        begin: planned.id.clone(),
        server,
        title: planned.scenario.title.clone(),
        exercises: planned.exercises().iter().map(ToString::to_string).collect(),
        judged: context.judged,
        observer: context.observer,
        version: context.version.to_string(),
        clustered: context.clustered,
        reaction_ns: nanos(context.deadlines.reaction),
        redelivery_ns: nanos(context.deadlines.redelivery),
        began_ns: began.as_nanos(),
        thresholds: planned.scenario.load.as_ref().map_or(0, |load| load.value.thresholds().len() as u64),
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
