//! Who gets records, what waits for each, and the numbers of records.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::ledger::Ledger;
use super::record::{Made, Parcel, ReceiverKey};
use super::wire::Target;
use crate::emulator::settings::Settings;
use crate::emulator::typed::LinkKey;
use crate::emulator::values::Overflow;
use crate::protocol::cdr::names::MISSING;
use crate::protocol::cdr::{NewRecord, NewSet};
use crate::protocol::http1::AnswerReader;
use crate::time::Instant;

/// How many records wait at most for a receiver that is not known to be unavailable.
pub(super) const HARD_LIMIT: usize = 100_000;

/// 2026-01-01T00:00:00Z, for servers that were not told the time.
const DEFAULT_START_MS: i64 = 1_767_225_600_000;

/// By how much the clock is set back and forward where it is set.
const SET_BACK_MS: i64 = 60_000;

/// One configured receiver.
#[derive(Debug)]
pub struct Receiver {
    /// Its GUID.
    pub id: String,
    /// Its URI as it was configured; empty while it has none.
    pub uri: String,
    /// Since when it does not acknowledge, with the GUID of the alarm.
    pub(in crate::emulator) failing: Option<(Instant, String)>,
    pub(super) target: Option<Target>,
    pub(super) queue: VecDeque<Arc<Made>>,
    /// Sets that were sent in vain.
    pub(super) waiting: VecDeque<Parcel>,
    /// The `recordIndex` of the next record.
    pub(super) next_number: u64,
    /// The `correlatorIndex` that comes next if none was discarded.
    pub(super) expected: u64,
    pub(super) pause_until: Instant,
    pub(super) pause: Duration,
    /// When the batch that is being collected goes out.
    pub(super) batch_at: Option<Instant>,
    /// Whether the next set has one record.
    pub(super) singly: bool,
}

impl Receiver {
    /// Whether it has not acknowledged lately.
    pub const fn is_failing(&self) -> bool {
        self.failing.is_some()
    }

    /// How many records wait that were never sent.
    pub fn waiting_records(&self) -> usize {
        self.queue.len()
    }

    fn new(id: String) -> Self {
        Self {
            id,
            uri: String::new(),
            failing: None,
            target: None,
            queue: VecDeque::new(),
            waiting: VecDeque::new(),
            next_number: 1,
            expected: 0,
            pause_until: Instant::ZERO,
            pause: Duration::ZERO,
            batch_at: None,
            singly: false,
        }
    }

    /// Begins anew, as if just configured: with these records and no others.
    pub(super) fn begin(&mut self, kept: VecDeque<Arc<Made>>, next: u64) {
        self.expected = kept.front().map_or(next, |first| first.index);
        self.queue = kept;
        self.waiting.clear();
        self.failing = None;
        self.next_number = 1;
        self.pause_until = Instant::ZERO;
        self.pause = Duration::ZERO;
        self.batch_at = None;
        self.singly = false;
    }

    /// Queues a record; `discards` is whether one has to go for it.
    pub(super) fn push(&mut self, made: Arc<Made>, discards: bool, overflow: Overflow) {
        match overflow {
            Overflow::Newest if discards => return,
            Overflow::Oldest if discards => drop(self.queue.pop_front()),
            _ => {}
        }
        self.queue.push_back(made);
    }

    /// Makes up the next set of at most `most` records.
    pub(super) fn next_parcel(&mut self, settings: &Settings, set: NewSet, most: usize) -> Option<Parcel> {
        let first = self.queue.front()?.index;
        let mut set = set;
        let before = (self.expected, self.next_number);
        let most = if self.singly { 1 } else { most };
        let mut parts = Vec::new();
        while set.records.len() < most
            && let Some(made) = self.queue.pop_front()
        {
            let lost = made.index.saturating_sub(self.expected);
            let spelling = MISSING[usize::from(settings.cdr_older_missing)];
            set.records.push(NewRecord {
                kind: made.draft.kind.clone(),
                time: made.draft.time.clone(),
                correlator_index: Some(made.index),
                record_index: settings.cdr_record_index.then_some(self.next_number),
                missing: (lost > 0).then_some((spelling, lost)),
                content: made.draft.content.clone(),
            });
            self.expected = made.index + 1;
            self.next_number += 1;
            parts.push(made);
        }
        Some(Parcel { set, first, attempts: 0, made: parts, before })
    }

    /// Puts the records of a set back that was sent in vain, to be put together anew.
    pub(super) fn take_apart(&mut self, parcel: Parcel) {
        (self.expected, self.next_number) = parcel.before;
        for made in parcel.made.into_iter().rev() {
            self.queue.push_front(made);
        }
    }

    /// Counts `recordIndex` from 1 again, also in what waits.
    pub(super) fn number_from_one(&mut self) {
        self.next_number = 1;
        for record in self.waiting.iter_mut().flat_map(|parcel| &mut parcel.set.records) {
            record.record_index = record.record_index.map(|_| self.next_number);
            self.next_number += 1;
        }
    }

    /// Puts a set back that was sent in vain.
    pub(super) fn put_back(&mut self, parcel: Parcel) {
        let at = self.waiting.iter().position(|other| other.first > parcel.first).unwrap_or(self.waiting.len());
        self.waiting.insert(at, parcel);
    }
}

/// A connection to a receiver.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) receiver: ReceiverKey,
    pub(super) answers: AnswerReader,
    /// The set that waits for its answer.
    pub(super) parcel: Option<Parcel>,
    /// When patience with the set ends, or with having nothing to do.
    pub(super) deadline: Instant,
    /// Whether nothing is expected of it any more, though it is open.
    pub(super) left: bool,
}

/// All that the server knows about records and receivers.
#[derive(Debug)]
pub struct Cdr {
    /// The GUID of the present run of the Call Bridge.
    pub session: String,
    /// The index of the next record.
    pub next: u64,
    /// Until when the Call Bridge is down.
    pub down_until: Option<Instant>,
    /// When the present run began.
    pub(in crate::emulator) began: Instant,
    pub(in crate::emulator) receivers: BTreeMap<ReceiverKey, Receiver>,
    pub(in crate::emulator) ledger: Ledger,
    /// The last records, for receivers that are configured late.
    pub(super) kept: VecDeque<Arc<Made>>,
    pub(super) links: BTreeMap<LinkKey, Link>,
    pub(super) last_link: u64,
    /// How many POSTs were sent.
    pub(super) posts: u64,
    /// How many answers came.
    pub(super) answers: u64,
    last_receiver: u64,
    /// GUIDs of receivers that were removed.
    pub(in crate::emulator) freed: Vec<String>,
    wall: (Instant, i64),
}

impl Cdr {
    pub(in crate::emulator) fn new(session: String) -> Self {
        Self {
            session,
            next: 0,
            down_until: None,
            began: Instant::ZERO,
            receivers: BTreeMap::new(),
            ledger: Ledger::default(),
            kept: VecDeque::new(),
            links: BTreeMap::new(),
            last_link: 0,
            posts: 0,
            answers: 0,
            last_receiver: 0,
            freed: Vec::new(),
            wall: (Instant::ZERO, DEFAULT_START_MS),
        }
    }

    /// The receivers in the order of their configuration.
    pub fn receivers(&self) -> impl Iterator<Item = (ReceiverKey, &Receiver)> {
        self.receivers.iter().map(|(key, receiver)| (*key, receiver))
    }

    /// The receiver that a connection goes to, or is to go to.
    pub fn receiver_of(&self, link: LinkKey) -> Option<ReceiverKey> {
        self.links.get(&link).map(|link| link.receiver)
    }

    /// The place of a receiver among those that are configured, from 0.
    pub fn place(&self, key: ReceiverKey) -> usize {
        self.receivers.keys().position(|known| *known == key).unwrap_or(usize::MAX)
    }

    /// Tells what time it is: `unix_ms` milliseconds since 1970 at `now`.
    pub(in crate::emulator) const fn set_wall_clock(&mut self, now: Instant, unix_ms: i64) {
        self.wall = (now, unix_ms);
    }

    /// The time of a record made now, as records show it.
    pub fn time(&self, settings: &Settings, now: Instant) -> String {
        let (at, unix_ms) = self.wall;
        let elapsed = i64::try_from(now.since(at).as_millis()).unwrap_or(i64::MAX);
        let before = i64::try_from(at.since(now).as_millis()).unwrap_or(i64::MAX);
        let moment = unix_ms.saturating_add(elapsed).saturating_sub(before);
        let every = i64::try_from(settings.cdr_clock_set_every.as_millis()).unwrap_or(i64::MAX);
        let is_set_back = every > 0 && elapsed / every % 2 == 1;
        let moment = if is_set_back { moment.saturating_sub(SET_BACK_MS) } else { moment };
        let time = jiff::Timestamp::from_millisecond(moment).unwrap_or_default();
        let format = if settings.cdr_time_fractions { "%Y-%m-%dT%H:%M:%S%.3fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
        time.strftime(format).to_string()
    }

    /// Adds a receiver without URI.
    pub(in crate::emulator) fn add(&mut self, id: String) -> ReceiverKey {
        self.last_receiver += 1;
        let key = ReceiverKey(self.last_receiver);
        self.receivers.insert(key, Receiver::new(id));
        key
    }

    /// The receiver of that GUID.
    pub(in crate::emulator) fn find(&self, id: &str) -> Option<ReceiverKey> {
        self.receivers().find(|(_, receiver)| receiver.id == id).map(|(key, _)| key)
    }

    /// How many sets of a receiver wait for their answers.
    pub(super) fn outstanding(&self, key: ReceiverKey) -> usize {
        self.links.values().filter(|link| link.receiver == key && link.parcel.is_some()).count()
    }
}
