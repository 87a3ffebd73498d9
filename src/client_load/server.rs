//! An emulated server with a load in it.
//!
//! It is driven as [`MeetingServer`] is; after what arrived, notes of the server become values. What the schedules ask for
//! begins in [`LoadedServer::handle_timeout`] only, which has to get the present instant, whereas bytes may come with the
//! instant at which they were read.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::audience::Audience;
use super::run::{Later, Run};
use super::works::{Origin, Stream, Unreachable, Works};
use crate::emulator::cdr::ReceiverKey;
use crate::emulator::{Change, ConnectionKey, ExchangeKey, LinkKey, MeetingServer, Note, Output};
use crate::load::search::Search;
use crate::load::{Arrival, Executor, Loaded, Metrics, Pace, Phase, Schedule, Stamps, Threshold, Unserved, Watch};
use crate::protocol::http::Request;
use crate::scenario::syntax::{ClientLoad, Stimuli, Stimulus};
use crate::time::Instant;

/// How many arrivals are begun until others have their turn: what was begun is sent, what has come is read.
const AT_ONCE: u32 = 64;

/// How long a virtual user waits for whom nobody is there.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How a load ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// It was carried out.
    Done,
    /// It was ended early.
    Interrupted,
    /// Those did not come whom it is about; what was waited for, in words.
    NobodyCame(String),
}

/// A call that stays.
#[derive(Debug)]
struct Call {
    id: String,
    participants: Vec<String>,
}

#[derive(Debug)]
enum Stage {
    Waiting { until: Instant, changed: Instant },
    Resting { until: Instant },
    Running(Box<Run>),
    Over(Ending),
}

/// An emulated server with a load in it.
#[derive(Debug)]
pub struct LoadedServer {
    server: MeetingServer,
    load: ClientLoad,
    now: Instant,
    stage: Stage,
    calls: Vec<Call>,
    audience: Audience,
    is_stale: bool,
    unreachable: Unreachable,
    random: ChaCha8Rng,
    turns: BTreeMap<Stimulus, usize>,
    /// The call leg of the caller who makes records, and whether it is connected.
    caller: Option<(String, bool)>,
    named: u64,
    /// The number of the last piece of work, so that none is given twice.
    last: u64,
    thresholds: Vec<Threshold>,
    search: Option<Search<Phase>>,
    watch: Watch,
    loaded: Option<Loaded>,
    told: Vec<String>,
}

impl LoadedServer {
    /// A server with the calls of the load in it, which waits for those whom the load is about.
    pub fn new(mut server: MeetingServer, load: ClientLoad, seed: u64, now: Instant) -> Self {
        server.take_notes();
        let mut calls = Vec::new();
        for number in 1..=load.calls() {
            let start = Change::StartCall { name: format!("Call {number}"), participants: load.participants() };
            if let Some(id) = server.handle_change(now, &start, None, &[]).made {
                let participants = server.view().world.calls.get(&id).map(|call| call.participants.clone());
                calls.push(Call { id, participants: participants.unwrap_or_default() });
            }
        }
        let thresholds = load.thresholds();
        let search = load.capacity().map(|capacity| Search::new(capacity.plan()));
        Self {
            server,
            now,
            stage: Stage::Waiting { until: now + load.wait().0, changed: now },
            calls,
            audience: Audience::default(),
            is_stale: true,
            unreachable: Unreachable::default(),
            random: ChaCha8Rng::seed_from_u64(seed),
            turns: BTreeMap::new(),
            caller: None,
            named: 0,
            last: 0,
            thresholds,
            search,
            watch: Watch::default(),
            loaded: None,
            told: Vec::new(),
            load,
        }
    }

    /// The same, of which somebody is told each second how its load goes.
    #[must_use]
    pub fn with_watch(mut self, watch: Watch) -> Self {
        self.watch = watch;
        self
    }

    /// Takes a request.
    pub fn handle_request(&mut self, now: Instant, exchange: ExchangeKey, request: &Request) {
        self.server.handle_request(now, exchange, request);
        self.listen(now);
    }

    /// Takes bytes of an event connection.
    pub fn handle_bytes(&mut self, now: Instant, connection: ConnectionKey, bytes: &[u8]) {
        self.server.handle_bytes(now, connection, bytes);
        self.listen(now);
    }

    /// Takes note that the peer has ended an event connection.
    pub fn handle_ended(&mut self, now: Instant, connection: ConnectionKey) {
        self.server.handle_ended(now, connection);
        self.listen(now);
    }

    /// Takes note that the connection to a CDR receiver is open, or could not be opened, and why.
    pub fn handle_link(&mut self, now: Instant, link: LinkKey, opened: Result<(), &str>) {
        // What else came to nothing at the same instant did so for reasons of its own.
        let refused = opened.err().and_then(|why| Some((self.server.view().cdr.receiver_of(link)?, why)));
        match opened {
            Ok(()) => self.server.handle_link_opened(now, link),
            Err(_) => self.server.handle_link_failed(now, link),
        }
        self.listen_with(now, refused);
    }

    /// Takes bytes of a CDR receiver.
    pub fn handle_link_bytes(&mut self, now: Instant, link: LinkKey, bytes: &[u8]) {
        self.server.handle_link_bytes(now, link, bytes);
        self.listen(now);
    }

    /// Takes note that a CDR receiver has ended the connection.
    pub fn handle_link_ended(&mut self, now: Instant, link: LinkKey) {
        self.server.handle_link_ended(now, link);
        self.listen(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.server.poll_output()
    }

    /// When `handle_timeout` wants to be called next; an instant that has passed means at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let own = match &self.stage {
            Stage::Waiting { until, changed } => {
                let quiet = *changed + self.load.wait().1;
                Some(if self.is_stale {
                    self.now
                } else if self.is_complete() {
                    quiet.min(*until)
                } else {
                    *until
                })
            }
            Stage::Resting { until } => Some((*until).min(self.now + LOOK_AGAIN)),
            Stage::Running(run) => run.next_due(self.now),
            Stage::Over(_) => None,
        };
        own.into_iter().chain(self.server.poll_timeout()).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.server.handle_timeout(now);
        self.listen(now);
        self.look_round();
        match &mut self.stage {
            Stage::Waiting { until, changed } => {
                let (until, quiet) = (*until, *changed + self.load.wait().1);
                if self.is_complete() && now >= quiet.min(until) {
                    let (connections, receivers) = (self.audience.len(), self.receivers());
                    self.told.push(format!("the load begins: {}", who(connections, receivers)));
                    self.begin();
                } else if now >= until {
                    self.stage = Stage::Over(Ending::NobodyCame(self.missing()));
                }
            }
            Stage::Resting { until } => {
                let is_quiet =
                    self.server.view().connections.values().all(|one| one.outstanding() == 0 && one.waiting() == 0);
                if is_quiet || now >= *until {
                    self.begin();
                }
            }
            Stage::Running(_) => self.go_on(),
            Stage::Over(_) => {}
        }
    }

    /// Ends the load early.
    pub fn interrupt(&mut self, now: Instant) {
        self.now = self.now.max(now);
        let once = match std::mem::replace(&mut self.stage, Stage::Over(Ending::Interrupted)) {
            Stage::Over(ending) => return self.stage = Stage::Over(ending),
            Stage::Running(run) => Some(self.phase(*run)),
            Stage::Waiting { .. } | Stage::Resting { .. } => None,
        };
        self.loaded = match (self.search.take(), once) {
            (Some(search), _) => Some(Loaded::Search { capacity: None, curve: search.curve().to_vec() }),
            (None, once) => once.map(|phase| Loaded::Once(Box::new(phase))),
        };
    }

    /// How it ended, once it has.
    pub const fn ending(&self) -> Option<&Ending> {
        match &self.stage {
            Stage::Over(ending) => Some(ending),
            _ => None,
        }
    }

    /// What was measured; `None` before the end, and where nothing was.
    pub const fn take_loaded(&mut self) -> Option<Loaded> {
        self.loaded.take()
    }

    /// Whom the load waits for, in words.
    pub fn waits_for(&self) -> String {
        wanted(&self.load)
    }

    /// What the user should know, since this was last asked.
    pub fn take_told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }

    /// Takes the notes of the server.
    fn listen(&mut self, at: Instant) {
        self.listen_with(at, None);
    }

    /// Likewise, where a receiver could not be connected to for some reason.
    fn listen_with(&mut self, at: Instant, refused: Option<(ReceiverKey, &str)>) {
        if let Stage::Running(run) = &mut self.stage {
            run.turn_if_due(at);
        }
        while let Some(note) = self.server.poll_note() {
            if let Note::Lost { connection, .. } = note {
                self.is_stale = true;
                if let (Stage::Running(run), true) = (&mut self.stage, self.audience.reaches(connection)) {
                    run.lost += 1;
                }
                // A connection is lost once, however often that is told.
                self.audience.forget(connection);
            }
            self.is_stale |= note == Note::Audience;
            self.unreachable.hear(&note, refused);
            if let Stage::Running(run) = &mut self.stage {
                run.works.hear(note, at, &self.unreachable);
            }
        }
        if let Stage::Running(run) = &mut self.stage {
            run.take_ends(at);
        }
    }

    /// Looks again who is told of what, if that may have changed.
    fn look_round(&mut self) {
        if !std::mem::take(&mut self.is_stale) {
            return;
        }
        let calls: Vec<String> = self.calls.iter().map(|call| call.id.clone()).collect();
        let stimuli = self.load.updates.as_ref().map(|updates| updates.value.stimuli.clone()).unwrap_or_default();
        self.audience = Audience::of(&self.server.view(), &calls, &stimuli);
        if let Stage::Waiting { changed, .. } = &mut self.stage {
            *changed = self.now;
        }
    }

    /// The receivers to which records go.
    fn receiver_keys(&self) -> Vec<ReceiverKey> {
        let view = self.server.view();
        view.cdr.receivers().filter(|(_, receiver)| !receiver.uri.is_empty()).map(|(key, _)| key).collect()
    }

    fn receivers(&self) -> usize {
        self.server.view().cdr.receivers().filter(|(_, receiver)| !receiver.uri.is_empty()).count()
    }

    fn is_complete(&self) -> bool {
        self.audience.len() >= self.load.connections() as usize && self.receivers() >= self.load.receivers() as usize
    }

    fn missing(&self) -> String {
        let all = self.server.view().connections.len();
        let there = who(self.audience.len(), self.receivers());
        let others = all.saturating_sub(self.audience.len());
        let others = if others == 0 || self.load.updates.is_none() {
            String::new()
        } else {
            format!("; {others} of {all} connections are subscribed to nothing that `updates` tells of")
        };
        let within = self.load.wait().0.as_secs_f64();
        format!("waited {within} s for {}, and there were {there}{others}", wanted(&self.load))
    }

    /// Begins a stretch of load.
    fn begin(&mut self) {
        let (now, load) = (self.now, &self.load);
        let probe = self.search.as_ref().and_then(Search::next_probe);
        let rate = probe.map(|probe| probe.rate);
        let (updates, records) = (load.updates_at(rate), load.records_at(rate));
        let Some(executor) = updates.clone().or_else(|| records.clone()) else {
            // A checked load says what happens.
            self.stage = Stage::Over(Ending::Done);
            return;
        };
        let max_lag = load.max_lag().0;
        let schedule = |executor: Option<Executor>| executor.map(|one| Schedule::new(&one, now, max_lag));
        let works = Works::new(Metrics::with_warm_up(now, load.warm_up()), load.within(), self.last);
        let schedules = (schedule(updates), schedule(records));
        let watch = (self.watch.clone(), probe);
        self.stage = Stage::Running(Box::new(Run::new(now, executor, schedules, works, &self.thresholds, watch)));
        self.go_on();
    }

    /// Carries a stretch of load on.
    fn go_on(&mut self) {
        let now = self.now;
        if let Stage::Running(run) = &mut self.stage {
            run.works.handle_timeout(now, &self.unreachable);
            run.take_ends(now);
        }
        self.end_what_lasts();
        for stream in [Stream::Updates, Stream::Records] {
            for _ in 0..AT_ONCE {
                let Stage::Running(run) = &mut self.stage else { return };
                let Some(arrival) = run.schedule(stream).and_then(|schedule| schedule.take(now)) else { break };
                self.arrive(stream, arrival);
            }
        }
        let is_there = self.audience.len() + self.receivers() > 0;
        let (within, thresholds) = (self.load.within(), &self.thresholds);
        let Stage::Running(run) = &mut self.stage else { return };
        run.deserted = if is_there { None } else { run.deserted.or(Some(now)) };
        run.look_at_thresholds(now, thresholds);
        if let (None, Some(told)) = (&self.search, run.progress(now)) {
            self.told.push(told);
        }
        let is_deserted = run.deserted.is_some_and(|since| now.since(since) >= within);
        if run.is_over(now) || !run.ended_by.is_empty() || is_deserted {
            self.finish();
        }
    }

    /// Lets what has lasted long enough end.
    fn end_what_lasts(&mut self) {
        let now = self.now;
        while let Stage::Running(run) = &mut self.stage {
            if run.later.peek().is_none_or(|Reverse((at, ..))| *at > now) {
                return;
            }
            let Some(Reverse((at, number, later))) = run.later.pop() else { return };
            let Some(origin) = run.origins.remove(&number) else { continue };
            let stamps = Stamps { scheduled: at, sent: now };
            run.works.metrics.sent(stamps);
            self.look_round();
            let (change, told) = match later {
                Later::Leave(participant, place) => {
                    (Change::Leave { participant }, self.audience.told(Stimulus::JoinAndLeave, place))
                }
                Later::EndCall(call) => (Change::EndCall { call }, self.audience.told(Stimulus::Call, 0)),
            };
            self.tell(origin, stamps, &change, &told);
            if let Stage::Running(run) = &mut self.stage {
                run.works.end_part(origin);
                run.take_ends(now);
            }
        }
    }

    /// Begins what an arrival brings about.
    fn arrive(&mut self, stream: Stream, arrival: Arrival) {
        let now = self.now;
        let origin = (stream, arrival.number);
        let stamps = Stamps { scheduled: arrival.scheduled, sent: now };
        let (updates, records) = self.load.bursts();
        if let Stage::Running(run) = &mut self.stage {
            run.works.expect(origin);
        }
        let is_served = match stream {
            Stream::Updates => (0..updates).fold(false, |served, _| self.tell_everybody(origin, stamps) || served),
            Stream::Records => (0..records).fold(false, |served, _| self.make_record(origin, stamps) || served),
        };
        let Stage::Running(run) = &mut self.stage else { return };
        if is_served {
            run.works.metrics.sent(stamps);
            run.works.end_part(origin);
            run.take_ends(now);
            return;
        }
        run.works.forget(origin);
        if let Some(schedule) = run.schedule(stream) {
            schedule.put_back(Unserved::NothingFree, now, now + LOOK_AGAIN);
        }
    }

    /// Makes so much happen that every connection is told of something. Whether somebody was.
    fn tell_everybody(&mut self, origin: Origin, stamps: Stamps) -> bool {
        self.look_round();
        let stimuli = self.load.updates.as_ref().map(|updates| updates.value.stimuli.clone()).unwrap_or_default();
        let mut left: BTreeSet<ConnectionKey> = self.audience.connections().collect();
        let is_served = !left.is_empty();
        while let Some(first) = left.pop_first() {
            self.look_round();
            let Some((stimulus, place)) = self.draw(first, &stimuli) else { continue };
            let told = self.audience.told(stimulus, place);
            left.retain(|key| !told.contains(key));
            let Some(change) = self.change(stimulus, place) else { continue };
            let made = self.tell(origin, stamps, &change, &told);
            let lasts = stimuli.weight(stimulus).lasts();
            let later = match (stimulus, made) {
                (Stimulus::JoinAndLeave, Some(id)) => Later::Leave(id, place),
                (Stimulus::Call, Some(id)) => Later::EndCall(id),
                _ => continue,
            };
            if let Stage::Running(run) = &mut self.stage {
                self.named += 1;
                run.works.expect(origin);
                run.origins.insert(self.named, origin);
                run.later.push(Reverse((stamps.scheduled + lasts, self.named, later)));
            }
        }
        is_served
    }

    /// Makes something happen of which these are told. The id of what began.
    fn tell(&mut self, origin: Origin, stamps: Stamps, change: &Change, told: &[ConnectionKey]) -> Option<String> {
        let cause = match &mut self.stage {
            Stage::Running(run) if !told.is_empty() => Some(run.works.begin(origin, stamps, told.len())),
            _ => None,
        };
        let changed = self.server.handle_change(self.now, change, cause, told);
        self.listen(self.now);
        changed.made
    }

    /// What happens next that a connection is told of, and to which call.
    fn draw(&mut self, key: ConnectionKey, stimuli: &Stimuli) -> Option<(Stimulus, usize)> {
        let choices = self.audience.choices(key, stimuli);
        let total: u64 = choices.iter().map(|(_, weight, _)| weight).sum();
        let mut drawn = (total > 0).then(|| self.random.random_range(0..total))?;
        let (stimulus, _, places) = choices.into_iter().find(|(_, weight, _)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        })?;
        let turn = self.turns.entry(stimulus).or_default();
        let place = places.iter().nth(*turn % places.len().max(1)).copied();
        *turn = turn.wrapping_add(1);
        Some((stimulus, place?))
    }

    /// What a stimulus does to the call at a place.
    fn change(&mut self, stimulus: Stimulus, place: usize) -> Option<Change> {
        self.named += 1;
        if stimulus == Stimulus::Call {
            let name = format!("Call that comes and goes {}", self.named);
            return Some(Change::StartCall { name, participants: self.load.participants() });
        }
        // All participants of all calls in turn, so that what is done is undone as late as possible.
        let round = self.turns.get(&stimulus).copied().unwrap_or_default() / self.calls.len().max(1);
        let known = self.calls.get(place)?;
        let (call, participants) = (known.id.clone(), &known.participants);
        let participant = || participants.get(round % participants.len().max(1)).cloned();
        Some(match stimulus {
            Stimulus::Mute => Change::Mute { participant: participant()? },
            Stimulus::Layout => Change::Layout { participant: participant()? },
            Stimulus::Lock => Change::Lock { call },
            Stimulus::Record => Change::Record { call },
            Stimulus::JoinAndLeave => Change::Join { call, name: format!("Guest {}", self.named) },
            Stimulus::Call | Stimulus::Subscribe => return None,
        })
    }

    /// Makes a record: a caller arrives, is connected, hangs up. Whether there is a receiver.
    fn make_record(&mut self, origin: Origin, stamps: Stamps) -> bool {
        let receivers = self.receiver_keys();
        if receivers.is_empty() {
            return false;
        }
        self.named += 1;
        let change = match &self.caller {
            None => Change::Arrive { name: format!("Caller {}", self.named) },
            Some((leg, false)) => Change::Connect { leg: leg.clone() },
            Some((leg, true)) => Change::HangUp { leg: leg.clone() },
        };
        let changed = self.server.handle_change(self.now, &change, None, &[]);
        self.caller = match self.caller.take() {
            None => changed.made.map(|leg| (leg, false)),
            Some((leg, false)) => Some((leg, true)),
            Some((_, true)) => None,
        };
        if let Stage::Running(run) = &mut self.stage {
            for index in changed.records {
                run.works.begin_record(origin, stamps, index, &receivers);
            }
        }
        self.listen(self.now);
        true
    }

    /// A stretch of load is over: the next begins, or all is.
    fn finish(&mut self) {
        let Stage::Running(run) = std::mem::replace(&mut self.stage, Stage::Over(Ending::Done)) else { return };
        let phase = self.phase(*run);
        let Some(mut search) = self.search.take() else {
            self.loaded = Some(Loaded::Once(Box::new(phase)));
            return;
        };
        let verdict = phase.verdict();
        let is_whole = phase.lost_connections == 0;
        if let Some(probe) = search.next_probe() {
            self.told.push(format!("{:.1} per second: {}", probe.rate, verdict.as_str()));
        }
        search.result(verdict, phase);
        if is_whole && search.next_probe().is_some() {
            self.search = Some(search);
            self.stage = Stage::Resting { until: self.now + self.load.within() };
        } else {
            self.loaded = Some(Loaded::Search { capacity: search.capacity(), curve: search.curve().to_vec() });
        }
    }

    /// What came of a stretch of load. Those who came during it leave.
    fn phase(&mut self, mut run: Run) -> Phase {
        let is_whole = run.is_over(self.now);
        for Reverse((_, _, later)) in std::mem::take(&mut run.later) {
            let change = match later {
                Later::Leave(participant, _) => Change::Leave { participant },
                Later::EndCall(call) => Change::EndCall { call },
            };
            self.server.handle_change(self.now, &change, None, &[]);
        }
        self.last = run.works.last();
        run.turn(self.now);
        let share = self.load.max_lag().1;
        let schedules = || run.updates.iter().chain(&run.records);
        let mut pace = Pace::new(self.load.max_lag().0);
        schedules().for_each(|schedule| pace.merge(schedule.pace()));
        let planned = schedules().map(Schedule::planned).sum();
        let end = schedules().map(Schedule::end).max().unwrap_or(self.now);
        let mut phase = Phase {
            begun_at: run.begun,
            ended_at: self.now.min(end),
            is_paced: pace.is_kept(share),
            pace,
            planned,
            unfinished: run.works.wind_up(),
            messages: run.works.received,
            sets: 0,
            records: 0,
            lost_connections: run.lost,
            gone: 0,
            thresholds: Vec::new(),
            metrics: run.works.metrics,
            ended_by: run.ended_by,
            is_whole,
            executor: run.executor,
            shares: Vec::new(),
        };
        phase.judge(&self.thresholds, None);
        phase
    }
}

/// Whom a load waits for.
fn wanted(load: &ClientLoad) -> String {
    who(load.connections() as usize, load.receivers() as usize)
}

fn who(connections: usize, receivers: usize) -> String {
    let some = |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let connections =
        some(connections, "connection that can be told of updates", "connections that can be told of updates");
    format!("{connections} and {}", some(receivers, "CDR receiver", "CDR receivers"))
}
