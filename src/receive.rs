//! A CDR receiver that stands alone: it judges whatever a Call Bridge sends, tells findings as they occur, and keeps the
//! records.
//!
//! What is kept was made safe before it is answered 200 (`net/receive_loop`, `net/record_file`). Where it can be kept no
//! more, sets are answered 503, so that the Call Bridge keeps them, and judging ends: what was taken for an
//! acknowledgement was none.

mod lines;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::cli::output::{note, result};
use crate::config::ReceiveConfig;
use crate::engine::driver::{Command, Input};
use crate::engine::events_client::Tracer;
use crate::engine::receiver::{Heard, ReceiverSettings, Receivers, Surroundings};
use crate::exit::{ExitCode, Failure};
use crate::load::LatencyRecorder;
use crate::net::clock::Clock;
use crate::net::receive_loop::{Door, ReceiveLoop, Receiving};
use crate::net::record_file::{RecordFile, RecordFileError, Torn};
use crate::protocol::http1::{Limits, write_answer};
use crate::report::assemble::{RunFacts, ScenarioRun, assemble};
use crate::report::known::Known;
use crate::report::model::{Report, Run, Target, TargetKind};
use crate::report::quantity::counted;
use crate::rules::{Context, Finding, Judge, KEPT};
use crate::spec::{Subject, Version};
use crate::time::Instant;
use crate::trace::{Chronicle, Event, Observation, ReceiverId, Side, Sink};

/// The only receiver, and its name.
const ONLY: (ReceiverId, &str) = (ReceiverId(1), "receiver");

/// What is received, as the scenario of its report.
const RECEIVED: &str = "received";

/// How often it is told how much has arrived, where something has.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// How long a set may take to arrive, where it is not read slowly on purpose: no connection is held for nothing.
const ARRIVAL_LIMIT: Duration = Duration::from_secs(120);

/// How many different reasons for failed TLS handshakes are told.
const HANDSHAKES_TOLD: usize = 8;

/// Of how many connections it is told that they were ended because what came on them was no set.
const MOST_FAULTS: usize = 20;

/// How much evidence is shown with a finding, in lines.
const EVIDENCE_LINES: usize = 4;

/// What was received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Received {
    /// Records, those included that were sent again.
    pub records: u64,
    /// Sets.
    pub sets: u64,
}

/// Told what a user has to know while the receiver is up.
pub struct Ready<'a> {
    /// What a Call Bridge is to be configured with.
    pub uri: &'a str,
    /// Whether that holds for no machine, since it names all addresses of this one.
    pub is_any_address: bool,
    /// The certificate of the root, in PEM, if certificates were made here.
    pub ca_pem: Option<&'a str>,
}

/// Receives until the user wants an end. Returns the report, and how much was received.
///
/// # Errors
/// If the address cannot be had, or the file for records cannot be used.
pub fn receive(
    config: ReceiveConfig,
    ready: impl FnOnce(Ready<'_>) -> Result<(), Failure>,
) -> Result<(Report, Received), Failure> {
    let clock = Clock::start();
    let unusable =
        |what: String, error: io::Error| Failure { code: ExitCode::Unreachable, message: format!("{what}: {error}") };
    let keep = config.record.as_deref().map(|path| Keep::open(path, config.sync)).transpose()?;
    let tls = config.tls.as_ref().map(|tls| Arc::clone(&tls.config));
    let door = Door::open(config.listen, tls)
        .map_err(|error| unusable(format!("cannot listen on {}", config.listen), error))?;
    let address = door.address();
    let scheme = if config.tls.is_some() { "https" } else { "http" };
    let authority = config.advertise.as_ref().map_or_else(|| address.to_string(), |told| told.authority(address, 0));
    let is_any_address = config.advertise.is_none() && address.ip().is_unspecified();
    let uri = format!("{scheme}://{authority}/");
    let (looping, stop) =
        ReceiveLoop::new(door, clock).map_err(|error| unusable("cannot receive".to_owned(), error))?;
    stop.on_interrupt().map_err(|error| unusable("cannot wait for Ctrl-C".to_owned(), error))?;
    let mut actor = Actor::new(&config, keep, clock, &authority);
    let ca_pem = config.tls.as_ref().and_then(|tls| tls.ca_pem.as_deref());
    ready(Ready { uri: &uri, is_any_address, ca_pem })?;
    let ended = looping.run(&mut actor);
    actor.finish(config, uri, ended.err())
}

/// The file for records.
struct Keep {
    file: RecordFile,
    sync: bool,
    /// What arrived since the last commit.
    lines: Vec<u8>,
    /// Why nothing can be kept any more.
    failed: Option<String>,
}

impl Keep {
    /// How much memory is kept for lines between commits, in bytes.
    const LINES_BYTES: usize = 1 << 20;

    fn open(path: &Path, sync: bool) -> Result<Self, Failure> {
        let unusable = |error: RecordFileError| Failure { code: ExitCode::Unreachable, message: error.to_string() };
        let (file, torn) = RecordFile::open(path).map_err(unusable)?;
        if let Some(Torn { bytes, kept }) = torn {
            let (path, kept) = (path.display(), kept.display());
            note(&format!(
                "`{path}` ended with a torn line of {bytes} bytes, never acknowledged; it was moved to `{kept}`"
            ));
        }
        Ok(Self { file, sync, lines: Vec::new(), failed: None })
    }

    /// Makes safe what arrived.
    fn commit(&mut self) -> io::Result<()> {
        if self.lines.is_empty() || self.failed.is_some() {
            self.lines.clear();
            return Ok(());
        }
        self.file.append(&self.lines)?;
        self.lines.clear();
        self.lines.shrink_to(Self::LINES_BYTES);
        if self.sync { self.file.sync() } else { Ok(()) }
    }
}

/// The receiver in the loop.
struct Actor {
    clock: Clock,
    receivers: Receivers,
    trace: Tracer<Watch>,
    commands: VecDeque<Command>,
    keep: Option<Keep>,
    received: Received,
    /// What had been received when that was told last, and when.
    told: (Received, Instant),
    /// When the judge was last told what time it is.
    beat: Instant,
    /// Why TLS handshakes failed, as far as it was told.
    handshakes: BTreeSet<String>,
}

impl Actor {
    fn new(config: &ReceiveConfig, keep: Option<Keep>, clock: Clock, authority: &str) -> Self {
        let now = clock.now();
        let mut actor = Self {
            clock,
            receivers: Receivers::new(Limits::default()).with_arrival_limit(ARRIVAL_LIMIT),
            trace: Tracer::new(Watch::new(config)),
            commands: VecDeque::new(),
            keep,
            received: Received::default(),
            told: (Received::default(), now),
            beat: now,
            handshakes: BTreeSet::new(),
        };
        let settings = ReceiverSettings { name: ONLY.1.to_owned(), tls: config.tls.is_some(), path: "/".to_owned() };
        actor.receivers.add(ONLY.0, settings);
        actor.receivers.set_plan(now, ONLY.0, config.plan.clone());
        actor.trace.observe(now, Event::WallClock { unix_ms: clock.unix_ms() });
        actor.act(now, |receivers, around| receivers.opened(ONLY.0, authority, around));
        actor
    }

    /// Lets the receiver act, and keeps what arrives.
    fn act(&mut self, now: Instant, what: impl FnOnce(&mut Receivers, &mut Surroundings<'_, Watch>)) {
        let Self { clock, receivers, trace, commands, keep, received, .. } = self;
        let mut hear = |heard: Heard<'_>| {
            if let Heard::Arrived { records, .. } = heard {
                received.sets += 1;
                received.records += match keep {
                    None => records.records().len() as u64,
                    Some(keep) => lines::add(records, &arrived(clock, now), ONLY.1, &mut keep.lines),
                };
            }
        };
        what(receivers, &mut Surroundings { now, trace, commands, hear: &mut hear });
    }

    /// What was received cannot be kept: it is not acknowledged.
    fn give_up(&mut self, error: &io::Error) {
        let Some(keep) = &mut self.keep else { return };
        let why = format!("records can be kept no more ({error}); sets are answered 503 and no longer judged");
        note(&format!("error: {why}"));
        keep.failed = Some(why);
        keep.lines.clear();
        self.trace.sink_mut().stopped = true;
    }

    /// Says that somebody could not connect, and what may be the matter; of what happens again and again, once.
    fn tell_of_a_handshake(&mut self, what: &str, by_peer: bool) {
        if self.handshakes.len() < HANDSHAKES_TOLD && self.handshakes.insert(what.to_owned()) {
            let guess = if by_peer { "; it may not trust the certificate of this receiver" } else { "" };
            note(&format!("somebody connected, and the TLS handshake failed: {what}{guess}"));
        }
    }

    /// Says how much has arrived, and lets the judge know what time it is.
    fn look_at_the_time(&mut self, now: Instant) {
        if self.trace.due().is_some_and(|at| at <= now) {
            self.beat = now;
            self.trace.observe(now, Event::WallClock { unix_ms: self.clock.unix_ms() });
        }
        let (told, at) = self.told;
        if told != self.received && now.since(at) >= STATUS_INTERVAL {
            self.told = (self.received, now);
            note(&self.received.to_string());
        }
    }

    fn finish(
        mut self,
        config: ReceiveConfig,
        uri: String,
        ended: Option<io::Error>,
    ) -> Result<(Report, Received), Failure> {
        let now = self.clock.now();
        self.act(now, |receivers, around| receivers.close_all(around));
        let mut errors: Vec<String> = ended.map(|error| format!("the receiver ended: {error}")).into_iter().collect();
        errors.extend(self.keep.and_then(|keep| keep.failed));
        let exit_codes = if errors.is_empty() { Vec::new() } else { vec![ExitCode::Unreachable] };
        let scenario = self.trace.into_sink().finish(now);
        let facts = RunFacts {
            run: Run {
                id: "receive".to_owned(),
                seed: 0,
                started_at: self.clock.started_at().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                duration_ms: now.as_millis(),
                command: config.command,
                files: BTreeMap::new(),
                options: String::new(),
                interrupted: false,
            },
            target: Target {
                kind: TargetKind::Server,
                url: format!("whatever posts to {uri}"),
                others: Vec::new(),
                software_version: None,
                dialect: Vec::new(),
                mutants: Vec::new(),
            },
            version: Version::LATEST,
            strict: config.strict,
            known: config.known,
            errors,
            exit_codes,
        };
        Ok((assemble(facts, &[scenario]), self.received))
    }
}

/// The date and time of an instant, to the microsecond.
fn arrived(clock: &Clock, at: Instant) -> String {
    clock.date_of(at).strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

impl Receiving for Actor {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::LinkOpened { receiver, link } => {
                self.act(now, |receivers, around| receivers.link_opened(receiver, link, around));
            }
            Input::HandshakeFailed { receiver, what, by_peer } => {
                self.tell_of_a_handshake(what, by_peer);
                self.act(now, |receivers, around| receivers.handshake_failed(receiver, (what, by_peer), around));
            }
            Input::LinkReceived { link, bytes } => {
                self.act(now, |receivers, around| receivers.link_received(link, bytes, around));
            }
            Input::LinkEnded { link, cause } => {
                self.act(now, |receivers, around| receivers.link_ended(link, cause, around));
            }
            Input::Tick => {
                self.act(now, Receivers::handle_timeout);
                self.look_at_the_time(now);
            }
            _ => {}
        }
    }

    fn commit(&mut self, _: Instant) {
        let Some(keep) = &mut self.keep else { return };
        if let Err(error) = keep.commit() {
            self.give_up(&error);
        }
        if self.keep.as_ref().is_some_and(|keep| keep.failed.is_some()) {
            for command in &mut self.commands {
                if let Command::SendLink { bytes, .. } = command
                    && bytes.starts_with(b"HTTP/1.1 2")
                {
                    *bytes = write_answer(503, &[("Content-Length", "0")], b"");
                }
            }
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // The judge is told the time once a second at most, however many things are due.
        let judge = self.trace.due().map(|at| at.max(self.beat + Duration::from_secs(1)));
        let (told, at) = self.told;
        let status = (told != self.received).then(|| at + STATUS_INTERVAL);
        self.receivers.poll_timeout().into_iter().chain(judge).chain(status).min()
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |count: u64, thing| counted(usize::try_from(count).unwrap_or(usize::MAX), thing);
        write!(f, "{} in {} so far", number(self.records, "record"), number(self.sets, "set"))
    }
}

/// Judges, keeps observations in words, and tells findings as they occur.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
    shown: usize,
    /// Whether a finding that would only warn fails.
    strict: bool,
    known: Vec<Known>,
    latency: LatencyRecorder,
    /// How many connections were ended because what came on them was no set.
    faults: usize,
    stopped: bool,
}

impl Watch {
    fn new(config: &ReceiveConfig) -> Self {
        let context = Context {
            judged: Side::Server,
            observer: Side::Client,
            version: Version::LATEST,
            clustered: None,
            deadlines: config.deadlines,
        };
        Self {
            judge: Judge::new(context),
            chronicle: Chronicle::new(),
            shown: 0,
            strict: config.strict,
            known: config.known.clone(),
            latency: LatencyRecorder::new(),
            faults: 0,
            stopped: false,
        }
    }

    /// Says why a connection was ended that carried no set. Who it was is not known, so that it is no finding.
    fn tell_of_faults(&mut self, event: &Event<'_>) {
        let what = match event {
            Event::LinkFault { what, .. } => format!("a connection was ended: {what}"),
            Event::SetCut { arrived_bytes, by_receiver: false, .. } => {
                format!("a connection ended amid a set, of which {arrived_bytes} bytes had arrived")
            }
            Event::SetReceived { records, .. } => match records.limit() {
                Some(limit) => format!("a set holds more than is read: {limit}"),
                None => return,
            },
            _ => return,
        };
        self.faults += 1;
        match self.faults.cmp(&MOST_FAULTS) {
            Ordering::Less => note(&what),
            Ordering::Equal => note(&format!("{what}; of further such things nothing is said")),
            Ordering::Greater => {}
        }
    }

    /// A finding in words: what was expected and observed, and what proves it.
    fn words(&self, finding: &Finding) -> String {
        let known = self.known.iter().find(|known| known.covers(finding.requirement, RECEIVED));
        let word = match known {
            Some(_) => "xfail",
            None if self.strict || finding.fails() => "fail",
            None => "warn",
        };
        let (expected, observed) = (&finding.expected, &finding.observed);
        let at = finding.at.since(Instant::ZERO).as_secs_f64();
        let mut text = format!("{word} {} after {at:.1} s\n", finding.requirement);
        text.push_str(&format!("  expected  {expected}\n  observed  {observed}\n"));
        if let Some(known) = known {
            text.push_str(&format!("  known     until {}: {}\n", known.until, known.reason));
        }
        let lines = finding.evidence.iter().filter_map(|seq| self.chronicle.line(*seq));
        text.extend(lines.take(EVIDENCE_LINES).map(|line| format!("    {line}\n")));
        text
    }

    fn finish(self, now: Instant) -> ScenarioRun {
        let Self { judge, chronicle, latency, .. } = self;
        let judgement = judge.finish();
        // A receiver does not see everything that there is to see: what was not put to the test is no matter of doubt.
        let seen = judgement.tested.iter().filter(|(_, times)| **times > 0).map(|(id, _)| *id);
        let seen: BTreeSet<_> = seen.chain(judgement.undecided.keys().copied()).collect();
        let cited: BTreeSet<_> = judgement.findings.iter().flat_map(|finding| finding.evidence.clone()).collect();
        ScenarioRun {
            id: RECEIVED.to_owned(),
            title: "Whatever was posted to the receiver.".to_owned(),
            skipped: seen.is_empty().then(|| "nothing came that could be judged".to_owned()),
            exercises: seen.into_iter().filter(|id| id.get().subject == Subject::Sender).collect(),
            evidence: cited.into_iter().filter_map(|seq| Some((seq, chronicle.line(seq)?))).collect(),
            duration: now.since(Instant::ZERO),
            observations: chronicle.count(),
            latency,
            judgement,
            ..ScenarioRun::default()
        }
    }
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        if self.stopped {
            return;
        }
        self.judge.observe(observation);
        self.chronicle.observe(observation);
        self.latency.observe(observation);
        self.tell_of_faults(&observation.event);
        let findings = self.judge.findings();
        if findings.len() == self.shown {
            return;
        }
        self.chronicle.keep(findings.iter().map(|finding| finding.evidence.as_slice()));
        for (place, finding) in findings.iter().enumerate().skip(self.shown) {
            let mut text = self.words(finding);
            let same = |one: &&Finding| one.requirement == finding.requirement && one.warns == finding.warns;
            if findings[..=place].iter().filter(same).count() as u64 == KEPT {
                text.push_str(&format!("further findings of {} are counted and not shown\n", finding.requirement));
            }
            // If stdout is gone the report at the end tells so.
            let _ = result(&text);
        }
        self.shown = findings.len();
    }

    fn due(&self) -> Option<Instant> {
        if self.stopped { None } else { self.judge.due() }
    }
}
