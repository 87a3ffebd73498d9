//! What was scheduled and waits for its acks and answers.
//!
//! Each change that connections are told of, and each record, is a piece of work; every connection and every receiver that
//! it goes to gives a value of its own, from the instant at which it was scheduled, and beside it from the actual send.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::time::Duration;

use crate::emulator::cdr::ReceiverKey;
use crate::emulator::{Cause, ConnectionKey, Note};
use crate::load::{Metric, Metrics, Stamps};
use crate::time::Instant;

/// How many messages without acks are remembered before those are forgotten whose time was up.
const REMEMBERED: usize = 100_000;

/// What an arrival of a schedule brings about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Stream {
    /// Updates on connections.
    Updates,
    /// Records for receivers.
    Records,
}

/// An arrival by its stream and its number.
pub(super) type Origin = (Stream, u64);

#[derive(Debug)]
struct Work {
    origin: Origin,
    scheduled: Instant,
    /// How many have not reacted.
    left: u32,
    /// Of a record, which receivers these are.
    owed_by: Vec<ReceiverKey>,
}

#[derive(Debug)]
struct Sent {
    at: Instant,
    causes: Vec<Cause>,
}

/// The receivers to which there is no connection, and why. A Call Bridge leaves them in peace for a while, so that the time of
/// a record may be up before a set with it was ever to be sent.
#[derive(Debug, Default)]
pub(super) struct Unreachable(BTreeMap<ReceiverKey, String>);

impl Unreachable {
    /// Takes what became of a set; `refused` is the receiver that could not be connected to, and why, where that was so.
    pub(super) fn hear(&mut self, note: &Note, refused: Option<(ReceiverKey, &str)>) {
        match (note, refused) {
            (Note::Unanswered { receiver, .. }, Some((to, why))) if *receiver == to => {
                self.0.insert(*receiver, format!("no connection: {why}"));
            }
            (Note::Posted { receiver, .. }, _) => drop(self.0.remove(receiver)),
            _ => {}
        }
    }

    /// Why a receiver has not reacted in time.
    fn cause(&self, receiver: ReceiverKey) -> &str {
        self.0.get(&receiver).map_or(NO_ANSWER, String::as_str)
    }
}

/// That nothing became of a record in its time.
const NO_ANSWER: &str = "no answer in time";

/// All that waits.
#[derive(Debug)]
pub(super) struct Works {
    pub(super) metrics: Metrics,
    within: Duration,
    works: HashMap<u64, Work>,
    /// How many works and alarms there are of each arrival.
    parts: HashMap<Origin, u32>,
    /// The works of records by their `correlatorIndex`.
    records: HashMap<u64, u64>,
    sent: BTreeMap<(ConnectionKey, u64), Sent>,
    posted: BTreeMap<ReceiverKey, Instant>,
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    last: u64,
    /// Arrivals of which nothing is left.
    ended: Vec<Origin>,
    /// Acks and answers that came.
    pub(super) received: u64,
}

impl Works {
    /// Nothing yet. Numbers go on from `last`, so that what an earlier stretch has left means nothing here.
    pub(super) fn new(metrics: Metrics, within: Duration, last: u64) -> Self {
        Self {
            metrics,
            within,
            works: HashMap::new(),
            parts: HashMap::new(),
            records: HashMap::new(),
            sent: BTreeMap::new(),
            posted: BTreeMap::new(),
            deadlines: BinaryHeap::new(),
            last,
            ended: Vec::new(),
            received: 0,
        }
    }

    /// The last number that was given.
    pub(super) const fn last(&self) -> u64 {
        self.last
    }

    /// A part of an arrival begins that is no work: something that is to happen later.
    pub(super) fn expect(&mut self, origin: Origin) {
        *self.parts.entry(origin).or_default() += 1;
    }

    /// Nothing came of an arrival.
    pub(super) fn forget(&mut self, origin: Origin) {
        self.parts.remove(&origin);
    }

    /// A part of an arrival has come to its end.
    pub(super) fn end_part(&mut self, origin: Origin) {
        let Some(parts) = self.parts.get_mut(&origin) else { return };
        *parts -= 1;
        if *parts == 0 {
            self.parts.remove(&origin);
            self.ended.push(origin);
        }
    }

    /// The arrivals of which nothing is left since this was last asked.
    pub(super) fn ended(&mut self) -> Vec<Origin> {
        std::mem::take(&mut self.ended)
    }

    /// Something is about to happen of which so many are told.
    pub(super) fn begin(&mut self, origin: Origin, stamps: Stamps, told: usize) -> Cause {
        self.last += 1;
        let left = u32::try_from(told).unwrap_or(u32::MAX);
        self.expect(origin);
        self.works.insert(self.last, Work { origin, scheduled: stamps.scheduled, left, owed_by: Vec::new() });
        self.deadlines.push(Reverse((stamps.sent + self.within, self.last)));
        Cause(self.last)
    }

    /// A record was made that goes to these receivers.
    pub(super) fn begin_record(&mut self, origin: Origin, stamps: Stamps, index: u64, receivers: &[ReceiverKey]) {
        let Cause(number) = self.begin(origin, stamps, receivers.len());
        if let Some(work) = self.works.get_mut(&number) {
            work.owed_by = receivers.to_vec();
        }
        self.records.insert(index, number);
    }

    /// When the time of something is up next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.deadlines.peek().map(|Reverse((at, _))| *at)
    }

    /// Whether nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        self.works.is_empty()
    }

    /// Takes what became of something.
    pub(super) fn hear(&mut self, note: Note, at: Instant, unreachable: &Unreachable) {
        match note {
            Note::Told { connection, id, causes } => drop(self.sent.insert((connection, id), Sent { at, causes })),
            Note::Acked { connection, id, good } => self.acked(connection, id, good, at),
            Note::Void { causes, by_client: true, .. } => causes.iter().for_each(|cause| self.settle(*cause)),
            Note::Void { causes, .. } => self.fail(&causes, at, "undone before the client could be told"),
            Note::Lost { connection, causes } => self.lost(connection, causes, at),
            Note::Audience => {}
            Note::Posted { receiver, .. } => drop(self.posted.insert(receiver, at)),
            Note::Answered { receiver, records, status, good } => {
                self.received += 1;
                self.answered(receiver, &records, (!good).then(|| format!("answered {status}")).as_deref(), at);
            }
            Note::Unanswered { receiver, records } => {
                let known = unreachable.0.get(&receiver).map(String::as_str);
                let was_posted = self.posted.contains_key(&receiver);
                let cause = known.unwrap_or(if was_posted { "no answer to a set" } else { "no connection" });
                self.answered(receiver, &records, Some(cause), at);
            }
        }
    }

    fn acked(&mut self, connection: ConnectionKey, id: u64, good: bool, at: Instant) {
        self.received += 1;
        let Some(Sent { at: sent, causes }) = self.sent.remove(&(connection, id)) else { return };
        for cause in causes {
            let Some(Work { scheduled, .. }) = self.works.get(&cause.0) else { continue };
            let scheduled = *scheduled;
            if good {
                self.metrics.record(Metric::Ack, Stamps { scheduled, sent }, at);
            } else {
                self.metrics.fail(Metric::Ack, scheduled, at, "acknowledged with another status than success");
            }
            self.settle(cause);
        }
    }

    /// A connection is gone: what it was to be told it never will be.
    fn lost(&mut self, connection: ConnectionKey, mut causes: Vec<Cause>, at: Instant) {
        let keys: Vec<_> = self.sent.range((connection, 0)..=(connection, u64::MAX)).map(|(key, _)| *key).collect();
        causes.extend(keys.iter().filter_map(|key| self.sent.remove(key)).flat_map(|sent| sent.causes));
        self.fail(&causes, at, "the connection was lost");
    }

    /// A connection will not be told of these.
    fn fail(&mut self, causes: &[Cause], at: Instant, why: &str) {
        for cause in causes {
            if let Some(Work { scheduled, .. }) = self.works.get(&cause.0) {
                self.metrics.fail(Metric::Ack, *scheduled, at, why);
                self.settle(*cause);
            }
        }
    }

    /// A set was answered, or failed for this cause: then it will be sent again.
    fn answered(&mut self, receiver: ReceiverKey, records: &[u64], failed: Option<&str>, at: Instant) {
        let sent = self.posted.remove(&receiver);
        for index in records {
            let Some(number) = self.records.get(index).copied() else { continue };
            let Some(Work { scheduled, owed_by, .. }) = self.works.get_mut(&number) else { continue };
            let scheduled = *scheduled;
            match failed {
                None => {
                    let owed = owed_by.len();
                    owed_by.retain(|one| *one != receiver);
                    let was_owed = owed_by.len() < owed;
                    self.metrics.record(Metric::Answer, Stamps { scheduled, sent: sent.unwrap_or(at) }, at);
                    if was_owed {
                        self.settle(Cause(number));
                    }
                    if !self.works.contains_key(&number) {
                        self.records.remove(index);
                    }
                }
                Some(cause) => self.metrics.fail(Metric::Answer, scheduled, at, cause),
            }
        }
    }

    /// One of those that wait for something waits no longer.
    fn settle(&mut self, cause: Cause) {
        let Some(work) = self.works.get_mut(&cause.0) else { return };
        work.left = work.left.saturating_sub(1);
        if work.left == 0 {
            let origin = work.origin;
            self.works.remove(&cause.0);
            self.end_part(origin);
        }
    }

    /// Gives up what had its time.
    pub(super) fn handle_timeout(&mut self, now: Instant, unreachable: &Unreachable) {
        while let Some(Reverse((at, number))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            self.give_up(number, now, unreachable);
        }
        if self.sent.len() > REMEMBERED {
            self.sent.retain(|_, sent| sent.causes.iter().any(|cause| self.works.contains_key(&cause.0)));
        }
        if self.records.len() > self.works.len() + REMEMBERED {
            self.records.retain(|_, number| self.works.contains_key(number));
        }
    }

    /// Gives up all that waits. How many pieces of work it was.
    pub(super) fn wind_up(&mut self) -> u64 {
        let left = self.works.len() as u64;
        self.works.clear();
        self.parts.clear();
        left
    }

    fn give_up(&mut self, number: u64, now: Instant, unreachable: &Unreachable) {
        let Some(Work { origin, scheduled, left, owed_by }) = self.works.remove(&number) else { return };
        match origin.0 {
            Stream::Updates => (0..left).for_each(|_| self.metrics.fail(Metric::Ack, scheduled, now, "no ack in time")),
            Stream::Records => {
                let causes = owed_by.iter().map(|receiver| unreachable.cause(*receiver));
                causes.for_each(|cause| self.metrics.fail(Metric::Answer, scheduled, now, cause));
            }
        }
        self.end_part(origin);
    }
}
