//! The lives of calls, call legs, recordings and streams, as the records of one session tell them (REC-03 to REC-05,
//! REC-09, REC-14, REC-22, and what must stay as it was: REC-11, REC-16, REC-21). What the end of a call adds up is judged in
//! `totals.rs`.
//!
//! Records are taken in the order of their index, each once, whichever receiver it came to first. Where records are
//! missing, or the session began before the first that was seen, a leg or call that nothing has shown may well exist:
//! then only what is known of the others is judged.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use super::Moment;
use super::content::{Facts, NONE};
use super::identity::{mix, text_digest};
use super::ledger::Ledger;
use super::links::PROMPT;
use super::tags::{leg_tag, tag};
use super::totals::{self, Call};
use crate::protocol::cdr::{FieldName, RecordType};
use crate::rules::docket::quote;
use crate::rules::registry::R;
use crate::time::Instant;
use crate::trace::Seq;

/// How many objects that ended are remembered: less than half of what the table then has room for, so that it makes room by
/// tidying up and never grows.
const ENDED: usize = 3500;

/// How many live objects are followed; of more than these all are forgotten.
const LIVE: usize = 100_000;

/// How many calls' starts are waited for, and how many legs that outlast their call are followed.
const EARLY: usize = 256;

/// How many coSpaces' correlators are remembered.
const SPACES: usize = 4096;

/// A table by GUID.
pub(super) type Table<T> = HashMap<u128, T, GuidHashes>;

/// Hashes GUIDs, which are as good as random, with one multiplication. The key keeps a peer from choosing GUIDs that all
/// fall together.
#[derive(Debug, Clone)]
pub(super) struct GuidHashes(u64, u64);

impl Default for GuidHashes {
    fn default() -> Self {
        let state = RandomState::new();
        Self(state.hash_one(0_u8), state.hash_one(1_u8))
    }
}

impl BuildHasher for GuidHashes {
    type Hasher = GuidHasher;

    fn build_hasher(&self) -> GuidHasher {
        GuidHasher { key: self.0, hash: self.1 }
    }
}

#[derive(Debug)]
pub(super) struct GuidHasher {
    key: u64,
    hash: u64,
}

impl Hasher for GuidHasher {
    fn finish(&self) -> u64 {
        self.hash
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = mix(self.hash, u64::from(*byte) ^ self.key);
        }
    }

    fn write_u128(&mut self, number: u128) {
        self.hash = mix(number as u64 ^ self.hash, (number >> 64) as u64 ^ self.key);
    }
}

/// What does not change between the records of a leg.
const IDENTITY: [FieldName; 4] = [FieldName::SipCallId, FieldName::GroupId, FieldName::Direction, FieldName::Type];

/// A leg.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Leg {
    /// Whether its start was seen.
    pub(super) whole: bool,
    pub(super) started: Option<i64>,
    pub(super) connected_at: Option<i64>,
    /// The same, as the trace saw it.
    pub(super) start_seen: Instant,
    pub(super) connection_seen: Option<Instant>,
    pub(super) connected: bool,
    /// Its call; [`NONE`] where no record has told.
    pub(super) call: u128,
    /// Whether it was in the IVR: where it has no call, it is there.
    pub(super) in_ivr: bool,
    pub(super) recording: bool,
    pub(super) streaming: bool,
    /// A link between servers rather than a participant.
    pub(super) distribution: bool,
    pub(super) deactivated: bool,
    /// Whether it counts as surely active in its call.
    pub(super) counted: bool,
    confirmed: bool,
    /// Whether a record showed its tag.
    pub(super) tagged: bool,
    /// Whether it was named as the leg of a recording or stream.
    named: bool,
    /// Digests of what identifies it; 0 where not told.
    identity: [u64; IDENTITY.len()],
    pub(super) seq: Seq,
}

impl Leg {
    /// Whether nothing has told where it belongs.
    pub(super) const fn is_stray(&self) -> bool {
        self.call == NONE && !self.in_ivr
    }
}

/// Objects that ended, the latest.
#[derive(Debug, Default)]
struct Ended {
    order: VecDeque<u128>,
    places: Table<Seq>,
}

impl Ended {
    fn insert(&mut self, id: u128, seq: Seq) {
        if self.order.len() == ENDED
            && let Some(oldest) = self.order.pop_front()
        {
            self.places.remove(&oldest);
        }
        self.order.push_back(id);
        self.places.insert(id, seq);
    }

    fn get(&self, id: u128) -> Option<Seq> {
        self.places.get(&id).copied()
    }
}

/// What outlives sessions: the correlator of each coSpace.
#[derive(Debug, Default)]
pub(super) struct Spaces(Table<(u128, Seq)>);

impl Spaces {
    /// A coSpace was removed.
    pub(super) fn removed(&mut self, space: u128) {
        self.0.remove(&space);
    }

    /// A call of a coSpace has a correlator. `ours` says that nobody else has chosen it.
    fn correlator(&mut self, space: u128, correlator: u128, ours: bool, moment: &mut Moment<'_>) {
        if space == NONE || correlator == NONE {
            return;
        }
        // Whoever started the call may have chosen it.
        if !ours {
            return;
        }
        if self.0.len() == SPACES {
            self.0.clear();
        }
        match self.0.get(&space).copied() {
            Some((first, seq)) if first != correlator => {
                let observed = "another one".to_owned();
                moment.fail(R::Rec11, "the same callCorrelator for all calls of the coSpace", observed, &[seq]);
            }
            Some(_) => moment.docket.tested(R::Rec11),
            None => _ = self.0.insert(space, (correlator, moment.seq)),
        }
    }
}

/// How far back records surely go. A Call Bridge may number its first record 0 while calls are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Reach {
    #[default]
    Unknown,
    /// They tell of everything since a receiver was configured.
    Since(Instant),
    /// They tell of everything since the Call Bridge was started.
    All,
}

/// A call that was named, and whose start is still to come.
#[derive(Debug, Clone, Copy)]
struct Early {
    call: u128,
    /// The record that named it: its time, and where and when it came.
    time: Option<i64>,
    seq: Seq,
    at: Instant,
    /// When records came before it: it may have waited since then.
    before: Option<Instant>,
}

/// What is known of one session.
#[derive(Debug, Default)]
pub(super) struct History {
    /// The index of the record to take next.
    next: Option<u64>,
    /// Whether every record of the session was seen.
    pub(super) whole: bool,
    pub(super) reach: Reach,
    /// When the API was asked to start the call of the next record, if this trace did.
    pub(super) asked: Option<Instant>,
    pub(super) legs: Table<Leg>,
    pub(super) calls: Table<Call>,
    /// Recordings and streams.
    streams: Table<(RecordType, Seq)>,
    ended: Ended,
    /// Calls that were named and have no start yet.
    named: HashSet<u128, GuidHashes>,
    /// Those of them whose start is waited for.
    early: Vec<Early>,
    /// When records came last, and before that.
    arrived: Option<Instant>,
    before: Option<Instant>,
    /// Legs that were in a call when it ended: the leg, the callEnd, and when it came.
    outlasting: Vec<(u128, Seq, Instant)>,
    /// Legs that nothing has assigned to a call: those alive, and those that ended.
    pub(super) strays: (u32, u32),
}

impl History {
    /// Whether this is the next record to take.
    pub(super) fn admits(&mut self, index: u64) -> bool {
        match self.next {
            Some(next) if index < next => return false,
            Some(next) if index > next => self.forget(),
            None => self.whole = index == 0,
            Some(_) => {}
        }
        self.next = Some(index.saturating_add(1));
        true
    }

    /// A record was not taken. If it is one of a documented type, what it would have told is missing.
    pub(super) fn lacks(&mut self, index: u64, documented: bool) {
        if self.admits(index) && documented {
            self.forget();
        }
    }

    /// Records are missing: what lives now is not known any more.
    pub(super) fn forget(&mut self) {
        self.whole = false;
        self.legs.clear();
        self.named.clear();
        self.early.clear();
        self.outlasting.clear();
        self.calls.clear();
        self.streams.clear();
        self.strays = (0, 0);
    }

    /// A record turned out to be another one than was taken: not even what has ended is known.
    pub(super) fn doubt(&mut self) {
        self.forget();
        self.ended = Ended::default();
    }

    /// Whether a call's start was seen.
    pub(super) fn knows_call(&self, call: u128) -> bool {
        self.calls.contains_key(&call) || self.ended.get(call).is_some()
    }

    /// How many legs of a call may count as active or not; none, where not all of them are known.
    pub(super) fn latitude(&self, call: u128) -> Option<u32> {
        self.calls.get(&call).filter(|call| !call.early).map(Call::latitude)
    }

    /// Whether everything that lives must have shown its start.
    fn is_certain(&self) -> bool {
        self.whole && self.reach == Reach::All
    }

    /// Whether what a record ends must have shown its start: it lasted so short that it began when the
    /// receiver was configured already.
    fn must_know(&self, facts: &Facts<'_>, moment: &Moment<'_>) -> bool {
        let Some(lasted) = facts.number(FieldName::DurationSeconds).filter(|_| self.whole) else {
            return self.is_certain();
        };
        match self.reach {
            Reach::Unknown => false,
            // It may have been rounded down, and its record may have waited a little before it was sent.
            Reach::Since(since) => {
                let most = Duration::from_secs(lasted.saturating_add(1)).saturating_add(PROMPT);
                most < moment.at.since(since)
            }
            Reach::All => true,
        }
    }

    /// Whether a call was started when the receiver was configured already. One of a coSpace may have been there before.
    fn is_new(&self, call: u128, moment: &Moment<'_>) -> bool {
        let Reach::Since(since) = self.reach else { return false };
        let ad_hoc =
            || moment.api.calls.get(&guid_text(call)).is_some_and(|call| call.ours && call.space == Some(None));
        self.whole && self.asked.is_some_and(|asked| asked >= since) && ad_hoc()
    }

    /// Takes the next record.
    pub(super) fn take(&mut self, facts: &Facts<'_>, ledger: &Ledger, spaces: &mut Spaces, moment: &mut Moment<'_>) {
        if self.legs.len() + self.calls.len() + self.named.len() + self.streams.len() > LIVE {
            self.forget();
        }
        if self.arrived != Some(moment.at) {
            self.before = self.arrived.replace(moment.at);
        }
        match facts.kind {
            RecordType::CallStart => self.call_start(facts, ledger, spaces, moment),
            RecordType::CallEnd => self.call_end(facts, moment),
            RecordType::CallLegStart => self.leg_start(facts, ledger, moment),
            RecordType::CallLegUpdate => self.leg_update(facts, ledger, moment),
            RecordType::CallLegEnd => self.leg_end(facts, ledger, moment),
            RecordType::RecordingStart | RecordType::StreamingStart => self.stream_start(facts, moment),
            RecordType::RecordingEnd | RecordType::StreamingEnd => self.stream_end(facts, moment),
        }
    }

    fn call_start(&mut self, facts: &Facts<'_>, ledger: &Ledger, spaces: &mut Spaces, moment: &mut Moment<'_>) {
        let before = self.calls.get(&facts.id).map(|call| call.seq).or_else(|| self.ended.get(facts.id));
        if let Some(seq) = before {
            return moment.fail(R::Rec03, "one callStart for a call", "a second one".to_owned(), &[seq]);
        }
        if let Some(place) = self.early.iter().position(|early| early.call == facts.id) {
            let named = self.early.remove(place);
            // Its record may come later, but not say that it was started later. Where it says so of a longer time than can have
            // passed, the clock of the Call Bridge was set back meanwhile, and the times cannot be compared.
            let later = named.time.zip(facts.time).map_or(0, |(named, started)| started.saturating_sub(named));
            let passed = named.before.map_or(i64::MAX, |before| totals::millis(moment.at.since(before)));
            if later <= 0 {
                moment.docket.tested(R::Rec14);
            } else if later <= passed.saturating_add(totals::LATITUDE_MS) {
                let observed = "started later".to_owned();
                moment.fail(R::Rec14, "the call that a leg is in was started", observed, &[named.seq]);
            }
        }
        let early = self.named.remove(&facts.id);
        let call = Call::new(facts.time, early, self.strays.1, moment.at, moment.seq);
        self.calls.insert(facts.id, call);
        let space = facts.id_in(FieldName::CoSpace);
        let known = moment.api.calls.get(&guid_text(facts.id));
        let told = known.and_then(|call| Some((call.space.as_ref()?.as_deref(), call.seq, call.ours)));
        if let Some((told, seq, true)) = told
            && told.is_none_or(|told| crate::rules::guid::number(told).is_some())
            && told.and_then(crate::rules::guid::number).unwrap_or(NONE) != space
            // Without one it may be a coSpace all the same, named in another way.
            && told.is_some()
        {
            let observed = facts.text(FieldName::CoSpace).unwrap_or("none").to_owned();
            moment.fail(R::Rec10, "the coSpace that the call was started in", observed, &[seq]);
        }
        if known.is_none_or(|call| !call.correlator_given) {
            // Whoever starts a call may choose its correlator.
            let ours = known.is_some_and(|call| call.ours) || ledger.tag(space).is_some();
            spaces.correlator(space, facts.id_in(FieldName::CallCorrelator), ours, moment);
        }
        let asked = self.asked;
        tag(facts, space, |since| asked.is_some_and(|asked| asked > since), ledger, moment);
    }

    fn call_end(&mut self, facts: &Facts<'_>, moment: &mut Moment<'_>) {
        let Some(call) = self.calls.remove(&facts.id) else {
            self.named.remove(&facts.id);
            if let Some(seq) = self.ended.get(facts.id) {
                moment.fail(R::Rec03, "one callEnd for a call", "a second one".to_owned(), &[seq]);
            } else if self.must_know(facts, moment) || self.is_new(facts.id, moment) {
                moment.fail(R::Rec03, "a callEnd after its callStart", "none was there".to_owned(), &[]);
            } else {
                self.ended.insert(facts.id, moment.seq);
            }
            return;
        };
        moment.docket.tested(R::Rec03);
        if !call.early {
            totals::call_end(facts, &call, self.strays, moment);
        }
        if call.has_legs() {
            let legs = self.legs.iter().filter(|(_, leg)| leg.call == facts.id).map(|(id, _)| *id);
            let room = EARLY.saturating_sub(self.outlasting.len());
            self.outlasting.extend(legs.take(room).map(|leg| (leg, moment.seq, moment.at)));
            self.outlasting.sort_unstable();
        } else {
            moment.docket.tested(R::Rec09);
        }
        self.ended.insert(facts.id, moment.seq);
    }

    fn leg_start(&mut self, facts: &Facts<'_>, ledger: &Ledger, moment: &mut Moment<'_>) {
        let before = self.legs.get(&facts.id).map(|leg| leg.seq).or_else(|| self.ended.get(facts.id));
        if let Some(seq) = before {
            return moment.fail(R::Rec04, "callLegStart first and once", "a later one".to_owned(), &[seq]);
        }
        let mut leg = Leg {
            whole: true,
            started: facts.time,
            start_seen: moment.at,
            recording: facts.is_true(FieldName::Recording),
            streaming: facts.is_true(FieldName::Streaming),
            distribution: matches!(facts.get(FieldName::SubType), Some("lyncdistribution" | "distributionLink")),
            ..Leg::default()
        };
        self.strays.0 += 1;
        self.tell(&mut leg, facts, ledger, moment);
        self.legs.insert(facts.id, leg);
    }

    /// The leg of a record that must not be its first.
    fn leg_of(&mut self, facts: &Facts<'_>, moment: &mut Moment<'_>) -> Option<Leg> {
        if let Some(leg) = self.legs.remove(&facts.id) {
            if leg.whole {
                moment.docket.tested(R::Rec04);
            }
            return Some(leg);
        }
        let kind = facts.kind.as_str();
        if let Some(seq) = self.ended.get(facts.id) {
            moment.fail(R::Rec04, "nothing of a leg after its callLegEnd", kind.to_owned(), &[seq]);
            return None;
        }
        // Of an end its duration tells whether the start should have been there.
        let missing =
            if facts.kind == RecordType::CallLegEnd { self.must_know(facts, moment) } else { self.is_certain() };
        if missing {
            let expected = format!("a {kind} after its callLegStart");
            moment.fail(R::Rec04, &expected, "none was there".to_owned(), &[]);
            return None;
        }
        Some(Leg::default())
    }

    fn leg_update(&mut self, facts: &Facts<'_>, ledger: &Ledger, moment: &mut Moment<'_>) {
        let Some(mut leg) = self.leg_of(facts, moment) else { return };
        if facts.text(FieldName::Call).is_some() && facts.get(FieldName::Ivr).is_some() {
            let observed = "both".to_owned();
            moment.fail(R::Rec14, "call, or ivr for a leg in the IVR", observed, &[]);
        }
        // Where it is absent, nothing has changed.
        if facts.get(FieldName::State) == Some("connected") {
            leg.connected_at = leg.connected_at.or(facts.time);
            leg.connection_seen.get_or_insert(moment.at);
            leg.connected = true;
        }
        if let Some(deactivated) = facts.text(FieldName::Deactivated) {
            leg.deactivated = deactivated == "true";
        }
        self.tell(&mut leg, facts, ledger, moment);
        self.legs.insert(facts.id, leg);
    }

    fn leg_end(&mut self, facts: &Facts<'_>, ledger: &Ledger, moment: &mut Moment<'_>) {
        let known = self.legs.get(&facts.id).is_some_and(|leg| !leg.whole);
        if known && self.must_know(facts, moment) {
            let expected = "callLegStart before other records of a leg";
            moment.fail(R::Rec04, expected, "none was there".to_owned(), &[self.legs[&facts.id].seq]);
        }
        let Some(mut leg) = self.leg_of(facts, moment) else { return };
        if let Some((_, seq, _)) = self.outlasted(facts.id) {
            let observed = "callEnd before it".to_owned();
            moment.fail(R::Rec09, "callEnd after the callLegEnd of the last leg", observed, &[seq]);
        }
        self.same(&mut leg, facts, moment);
        leg_tag(facts, &mut leg, self.reach, ledger, moment);
        totals::leg_duration(facts, &leg, moment);
        if leg.is_stray() {
            let alive = self.strays.0.saturating_sub(u32::from(leg.whole));
            self.strays = (alive, self.strays.1.wrapping_add(1));
        }
        if let Some(call) = self.calls.get_mut(&leg.call) {
            call.leg_ended(&leg);
        }
        self.ended.insert(facts.id, moment.seq);
    }

    /// What a record tells of a leg that lives on.
    fn tell(&mut self, leg: &mut Leg, facts: &Facts<'_>, ledger: &Ledger, moment: &mut Moment<'_>) {
        self.same(leg, facts, moment);
        leg_tag(facts, leg, self.reach, ledger, moment);
        let was_stray = leg.is_stray();
        if facts.get(FieldName::Ivr).is_some() && facts.text(FieldName::Call).is_none() {
            self.outlasted(facts.id);
            self.moves(leg, NONE);
            leg.in_ivr = true;
            moment.docket.tested(R::Rec14);
        }
        let call = facts.id_in(FieldName::Call);
        if call != NONE {
            if call != leg.call {
                self.outlasted(facts.id);
                self.joins(call, facts.time, ledger, moment);
                self.moves(leg, call);
            } else if let Some(seq) = self.ended.get(call) {
                let observed = "a leg in it".to_owned();
                moment.fail(R::Rec03, "nothing of a call after its callEnd", observed, &[seq]);
            }
        }
        if leg.whole && was_stray && !leg.is_stray() {
            self.strays.0 = self.strays.0.saturating_sub(1);
        }
        let strays = self.strays.0;
        if let Some(call) = self.calls.get_mut(&leg.call) {
            call.count(leg, strays);
        }
        leg.seq = moment.seq;
    }

    /// A record says that a leg is in a call.
    fn joins(&mut self, call: u128, time: Option<i64>, ledger: &Ledger, moment: &mut Moment<'_>) {
        if self.calls.contains_key(&call) {
            moment.docket.tested(R::Rec14);
        } else if let Some(seq) = self.ended.get(call) {
            let observed = "a leg in it".to_owned();
            moment.fail(R::Rec03, "nothing of a call after its callEnd", observed, &[seq]);
        } else if self.named.insert(call) && self.whole {
            // What has a tag is a coSpace or a leg, and no call.
            if ledger.tag(call).is_some() {
                moment.fail(R::Rec14, "the call that a leg is in was started", "it was not".to_owned(), &[]);
            } else if self.early.len() < EARLY {
                let (seq, at, before) = (moment.seq, moment.at, self.before);
                self.early.push(Early { call, time, seq, at, before });
            }
        }
    }

    /// Takes out a leg that was in a call when it ended.
    fn outlasted(&mut self, leg: u128) -> Option<(u128, Seq, Instant)> {
        let place = self.outlasting.iter().position(|(outlasting, ..)| *outlasting == leg)?;
        Some(self.outlasting.remove(place))
    }

    /// Charges calls that ended although a leg in them has not, long after, and those that were named and have no start.
    /// `held` says that one may be held up.
    pub(super) fn expire(&mut self, held: bool, window: Duration, moment: &mut Moment<'_>) {
        if held {
            self.early.iter_mut().for_each(|early| early.at = moment.at);
            return self.outlasting.iter_mut().for_each(|(_, _, at)| *at = moment.at);
        }
        while let Some(place) = self.outlasting.iter().position(|(_, _, at)| moment.at >= *at + window) {
            let (leg, seq, _) = self.outlasting.remove(place);
            if self.legs.contains_key(&leg) {
                let what = format!("the callLegEnd of {} before the callEnd", guid_text(leg));
                moment.fail(R::Rec09, &what, "none, although its call has ended".to_owned(), &[seq]);
            }
        }
        let certain = self.is_certain();
        while let Some(place) = self.early.iter().position(|early| moment.at >= early.at + window) {
            let early = self.early.remove(place);
            if certain {
                moment.fail(R::Rec14, "the call that a leg is in was started", "it was not".to_owned(), &[early.seq]);
            }
        }
    }

    /// When the last of these is overdue.
    pub(super) fn due(&self, window: Duration) -> Option<Instant> {
        let early = self.early.iter().filter(|_| self.is_certain()).map(|early| early.at + window);
        self.outlasting.iter().map(|(_, _, at)| *at + window).chain(early).max()
    }

    /// Time that passed does not count.
    pub(super) fn lose(&mut self, by: Duration) {
        self.outlasting.iter_mut().for_each(|(_, _, at)| *at += by);
        self.early.iter_mut().for_each(|early| early.at += by);
    }

    /// A leg leaves its call for another one, or for none.
    fn moves(&mut self, leg: &mut Leg, to: u128) {
        if let Some(call) = self.calls.get_mut(&leg.call) {
            call.leg_left(leg);
        }
        leg.call = to;
        if let Some(call) = self.calls.get_mut(&to) {
            call.leg_joined();
        }
    }

    /// What must stay as it was.
    fn same(&self, leg: &mut Leg, facts: &Facts<'_>, moment: &mut Moment<'_>) {
        for (known, name) in leg.identity.iter_mut().zip(IDENTITY) {
            let Some(text) = facts.text(name) else { continue };
            let digest = match crate::rules::guid::number(text) {
                Some(number) => (number as u64) ^ ((number >> 64) as u64) | 1,
                None => text_digest(text) | 1,
            };
            if *known == 0 {
                *known = digest;
            } else if *known == digest {
                moment.docket.tested(R::Rec21);
            } else {
                let expected = format!("the same {} in all records of a leg", name.as_str());
                moment.fail(R::Rec21, &expected, quote(text), &[leg.seq]);
                *known = digest;
            }
        }
        match facts.get(FieldName::ConfirmationStatus) {
            Some("required") if leg.confirmed => {
                let observed = "required".to_owned();
                moment.fail(R::Rec16, "confirmed, as before", observed, &[leg.seq]);
                leg.confirmed = false;
            }
            Some("confirmed") => leg.confirmed = true,
            _ => {}
        }
    }

    fn stream_start(&mut self, facts: &Facts<'_>, moment: &mut Moment<'_>) {
        let before = self.streams.get(&facts.id).map(|(_, seq)| *seq).or_else(|| self.ended.get(facts.id));
        if let Some(seq) = before {
            return moment.fail(R::Rec05, "one start", "a second one".to_owned(), &[seq]);
        }
        self.streams.insert(facts.id, (facts.kind, moment.seq));
        let (call, leg) = (facts.id_in(FieldName::Call), facts.id_in(FieldName::CallLeg));
        if let Some(leg) = self.legs.get_mut(&leg) {
            leg.named = true;
        }
        let known = self.legs.get(&leg);
        let marked = known.filter(|leg| leg.whole).is_none_or(|leg| match facts.kind {
            RecordType::RecordingStart => leg.recording,
            _ => leg.streaming,
        });
        if let Some(seq) = self.ended.get(call) {
            let observed = facts.kind.as_str().to_owned();
            return moment.fail(R::Rec03, "nothing of a call after its callEnd", observed, &[seq]);
        }
        let wrong = if call == NONE || leg == NONE {
            "one of them is missing"
        } else if self.is_certain() && !self.calls.contains_key(&call) {
            "a call that was not started"
        } else if self.calls.contains_key(&leg) {
            "a call in place of the leg"
        } else if self.is_certain() && known.is_none() && self.ended.get(leg).is_none() {
            "a leg that was not started"
        } else if !marked {
            "a leg that is not marked"
        } else {
            return moment.docket.tested(R::Rec22);
        };
        moment.fail(R::Rec22, "a call and a leg that were started, the leg marked", wrong.to_owned(), &[]);
    }

    /// Whether a leg that records or streams was started, and nothing has told yet what it records.
    fn lacks_start_of(&self, end: RecordType) -> bool {
        let serves = |leg: &Leg| if end == RecordType::RecordingEnd { leg.recording } else { leg.streaming };
        self.whole && self.legs.values().any(|leg| leg.whole && !leg.named && serves(leg))
    }

    fn stream_end(&mut self, facts: &Facts<'_>, moment: &mut Moment<'_>) {
        let started = match facts.kind {
            RecordType::RecordingEnd => RecordType::RecordingStart,
            _ => RecordType::StreamingStart,
        };
        match self.streams.remove(&facts.id) {
            Some((kind, _)) if kind == started => moment.docket.tested(R::Rec05),
            Some((_, seq)) => {
                moment.fail(R::Rec05, "the end of the same kind", facts.kind.as_str().to_owned(), &[seq]);
            }
            None => {
                if let Some(seq) = self.ended.get(facts.id) {
                    moment.fail(R::Rec05, "one end", "a second one".to_owned(), &[seq]);
                } else if self.is_certain() || self.lacks_start_of(facts.kind) {
                    moment.fail(R::Rec05, "an end after its start", "none was there".to_owned(), &[]);
                } else {
                    self.ended.insert(facts.id, moment.seq);
                }
                return;
            }
        }
        self.ended.insert(facts.id, moment.seq);
    }
}

/// A GUID as the API's view keeps it.
pub(super) fn guid_text(id: u128) -> String {
    let digits = format!("{id:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}
