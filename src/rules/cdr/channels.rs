//! Events, API and records tell of the same calls (REC-24): each one that was started or added has its callStart, each one
//! that was ended or removed its callEnd, and no more participants were seen than callLegsMaxActive says.
//!
//! What is expected is expected of every receiver that was configured before. Where one got it and another did not, that
//! is a matter of CDR-13, or of CDR-19, CDR-03 or CDR-16 where the trace shows why.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Moment;
use super::content::Facts;
use super::history::{Table, guid_text};
use super::receiver::{Address, Expected, Part, Receiver, Standing, Trouble};
use super::sessions::Session;
use crate::protocol::cdr::{FieldName, RecordType};
use crate::protocol::events::{Entry, Message, MessageType, Resource, UpdateType};
use crate::protocol::json::Name;
use crate::rules::guid;
use crate::rules::registry::R;
use crate::time::Instant;
use crate::trace::{ReceiverId, Seq};

/// How many conferences are followed; of more those that ended are forgotten, and if need be all.
const CONFERENCES: usize = 4096;

/// How many records one receiver may be expected to get.
const EXPECTED: usize = 256;

/// How long a receiver must have got nothing before something counts as missing.
const IDLE: Duration = Duration::from_secs(1);

/// How much earlier than events of a call its records may come.
const SLACK: Duration = Duration::from_secs(1);

/// One conference.
#[derive(Debug, Clone, Copy, Default)]
struct Conference {
    /// Whether anything told of it but records.
    told: bool,
    /// When the API was asked to start it.
    asked: Option<Instant>,
    /// When events added it, and the same if it was new then.
    announced: Option<Instant>,
    added: Option<Instant>,
    removed: bool,
    started: Option<Seq>,
    ended: Option<Seq>,
    /// Whether its callStart is expected, or was charged.
    expected: bool,
    charged: (bool, bool),
    /// The most participants that events told of.
    most: (f64, Seq),
    /// Where a receiver got its start that was removed at that instant, by that observation.
    off: Option<(Instant, Seq, Seq)>,
}

impl Conference {
    /// When the API was asked to start it, if its callStart is not expected yet and should be once something shows it.
    fn awaited(&self) -> Option<Instant> {
        self.asked.filter(|_| !self.expected && !self.removed)
    }
}

/// All conferences.
#[derive(Debug, Default)]
pub(super) struct Channels {
    conferences: Table<Conference>,
    /// Those that were added, and whose callStart nothing expects.
    waiting: Vec<u128>,
    /// When events last told of a subscription: what is added soon after may have been there long before.
    subscribed: Option<Instant>,
    /// Those that records showed, and whose callStart nothing expects.
    shown: Vec<u128>,
}

impl Channels {
    /// The Call Bridge has restarted: all of them are gone.
    pub(super) fn clear(&mut self) {
        *self = Self { subscribed: self.subscribed, ..Self::default() };
    }

    fn conference(&mut self, call: u128) -> &mut Conference {
        if self.conferences.len() >= CONFERENCES && !self.conferences.contains_key(&call) {
            self.conferences.retain(|_, one| one.ended.is_none());
            if self.conferences.len() >= CONFERENCES {
                self.clear();
            }
        }
        self.conferences.entry(call).or_default()
    }

    /// The API started a call; `asked` is when it was asked to. Whether it has records before anyone is in it is open.
    pub(super) fn made(
        &mut self,
        call: u128,
        asked: Instant,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &mut Moment<'_>,
    ) {
        let conference = self.conference(call);
        if let Some((removed, by, seq)) = conference.off.take().filter(|(removed, ..)| asked > *removed) {
            charge_served_off(removed, &[by, seq], moment);
        }
        let announced = conference.announced.is_some_and(|at| at >= asked);
        // Else it was there already.
        if conference.started.is_none() && (announced || !conference.told) {
            conference.asked = Some(asked);
        }
        conference.told = true;
        if announced {
            self.show(call, None, receivers, moment);
        }
    }

    /// Something other than the API's answer shows a call that the API started. `except` has its callStart already.
    fn show(
        &mut self,
        call: u128,
        except: Option<ReceiverId>,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &Moment<'_>,
    ) {
        let Some(conference) = self.conferences.get_mut(&call) else { return };
        let Some(asked) = conference.awaited() else { return };
        conference.expected = true;
        let others = receivers.values_mut().filter(|receiver| Some(receiver.id) != except);
        expect(call, Part::Start, (asked, Duration::ZERO), others, moment);
    }

    /// A set was taken at this receiver: what its records showed is expected at all.
    pub(super) fn expect_shown(
        &mut self,
        id: ReceiverId,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &Moment<'_>,
    ) {
        for call in std::mem::take(&mut self.shown) {
            let started = self.conferences.get(&call).is_some_and(|conference| conference.started.is_some());
            self.show(call, started.then_some(id), receivers, moment);
        }
    }

    /// The API ended a call, or events told that it was removed; `asked` is when that was asked for, or told;
    /// `slack` how much earlier its records may have come.
    pub(super) fn gone(
        &mut self,
        call: u128,
        asked: Instant,
        slack: Duration,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &Moment<'_>,
    ) {
        let conference = self.conference(call);
        if !std::mem::replace(&mut conference.removed, true)
            && conference.started.is_some()
            && conference.ended.is_none()
        {
            expect(call, Part::End, (asked, slack), receivers.values_mut(), moment);
        }
    }

    /// A message of the server.
    pub(super) fn message(
        &mut self,
        message: Message<'_>,
        session: Option<&Session>,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &Moment<'_>,
    ) {
        match message.message_type() {
            Some(MessageType::CallListUpdate) => {}
            Some(MessageType::SubscriptionUpdate) => return self.subscribed = Some(moment.at),
            _ => return,
        }
        for entry in message.entries(Resource::Calls).into_iter().flatten() {
            let Some(call) = entry.key().and_then(guid::number) else { continue };
            if entry.update_type() != Some(UpdateType::Remove) {
                let started = self.conferences.get(&call).is_some_and(|conference| conference.started.is_some());
                if !started {
                    self.show(call, None, receivers, moment);
                }
            }
            match entry.update_type() {
                Some(UpdateType::Remove) => self.gone(call, moment.at, SLACK, receivers, moment),
                Some(UpdateType::Add) => {
                    self.added(call, session, receivers, moment);
                    self.participants(call, entry, moment);
                }
                _ => self.participants(call, entry, moment),
            }
        }
    }

    fn added(
        &mut self,
        call: u128,
        session: Option<&Session>,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &Moment<'_>,
    ) {
        let known = session.is_some_and(|session| session.history.knows_call(call));
        let old = self.subscribed.is_some_and(|at| moment.at < at + moment.deadlines.reaction);
        let conference = self.conference(call);
        if conference.told || known {
            return;
        }
        conference.told = true;
        conference.announced = Some(moment.at);
        conference.added = Some(moment.at).filter(|_| !old);
        if self.waiting.len() < CONFERENCES {
            self.waiting.push(call);
        }
        if session.is_some_and(|session| session.history.whole) {
            self.expect_waiting(receivers, moment);
        }
    }

    /// A session is known from its first record on: whatever was added must have its callStart in it.
    pub(super) fn expect_waiting(&mut self, receivers: &mut BTreeMap<ReceiverId, Receiver>, moment: &Moment<'_>) {
        for call in std::mem::take(&mut self.waiting) {
            let Some(conference) = self.conferences.get_mut(&call) else { continue };
            let Some(added) = conference.added.filter(|_| conference.started.is_none()) else { continue };
            if !conference.expected && !conference.removed {
                conference.expected = true;
                expect(call, Part::Start, (added, SLACK), receivers.values_mut(), moment);
            }
        }
    }

    fn participants(&mut self, call: u128, entry: Entry<'_>, moment: &Moment<'_>) {
        const PARTICIPANTS: Name = Name::known("participants");
        let Some(json) = entry.fields().find(|json| json.name() == PARTICIPANTS) else { return };
        let number = json.as_f64().or_else(|| json.as_str()?.parse().ok()).filter(|number: &f64| number.is_finite());
        let conference = self.conference(call);
        if let Some(number) = number.filter(|number| *number > conference.most.0) {
            conference.most = (number, moment.seq);
        }
    }

    /// When the API was asked to start a call, if this trace did.
    pub(super) fn asked(&self, call: u128) -> Option<Instant> {
        self.conferences.get(&call)?.asked
    }

    /// A receiver got the start of a call although it had been removed. The record may be there before the API's answer.
    pub(super) fn served_off(&mut self, call: u128, (removed, by): (Instant, Seq), moment: &mut Moment<'_>) {
        match self.asked(call) {
            Some(asked) if asked > removed => charge_served_off(removed, &[by], moment),
            Some(_) => {}
            None => self.conference(call).off = Some((removed, by, moment.seq)),
        }
    }

    /// A record that was seen for the first time. `latitude` is how many legs may count as active or not,
    /// where all of them are known.
    pub(super) fn record(&mut self, facts: &Facts<'_>, latitude: Option<u32>, moment: &mut Moment<'_>) {
        let alone = moment.clustered == Some(false);
        match facts.kind {
            RecordType::CallStart => {
                let conference = self.conference(facts.id);
                conference.started = Some(moment.seq);
                if conference.told {
                    moment.docket.tested(R::Rec24);
                }
                self.shows(facts.id);
            }
            RecordType::CallLegStart | RecordType::CallLegUpdate => self.shows(facts.id_in(FieldName::Call)),
            RecordType::CallEnd => {
                let conference = self.conference(facts.id);
                conference.ended = Some(moment.seq);
                let (most, seq) = conference.most;
                if conference.removed {
                    moment.docket.tested(R::Rec24);
                }
                let Some(active) = facts.number(FieldName::CallLegsMaxActive).filter(|_| alone && most > 0.0) else {
                    return;
                };
                // Legs may have been in it before there were records, or their records have been discarded.
                let Some(latitude) = latitude else { return };
                if most > active as f64 + f64::from(latitude) {
                    let expected = format!("callLegsMaxActive at least {most}, as many as were participants");
                    moment.fail(R::Rec24, &expected, active.to_string(), &[seq]);
                } else {
                    moment.docket.tested(R::Rec24);
                }
            }
            _ => {}
        }
    }

    /// A record that was seen for the first time, after later ones that another receiver got sooner: that it is there is
    /// all that it tells.
    pub(super) fn late(&mut self, facts: &Facts<'_>, moment: &Moment<'_>) {
        match facts.kind {
            RecordType::CallStart => {
                self.conference(facts.id).started = Some(moment.seq);
                self.shows(facts.id);
            }
            RecordType::CallEnd => self.conference(facts.id).ended = Some(moment.seq),
            _ => {}
        }
    }

    fn shows(&mut self, call: u128) {
        if self.conferences.get(&call).and_then(Conference::awaited).is_some() {
            self.shown.push(call);
        }
    }

    /// Charges what a receiver should have got and did not.
    pub(super) fn expire(
        &mut self,
        id: ReceiverId,
        session: Option<u128>,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &mut Moment<'_>,
    ) {
        let Some(receiver) = receivers.get(&id).filter(|receiver| !receiver.expected.is_empty()) else { return };
        let now = receiver.clock.elapsed(moment.at);
        let window = moment.deadlines.reaction + receiver.patience(moment.deadlines.redelivery);
        let overdue = |receiver: &Receiver| {
            receiver
                .expected
                .iter()
                .position(|expected| receiver.clock.runs() && now >= due_of(expected, receiver, window))
        };
        while let Some(place) = receivers.get(&id).and_then(overdue) {
            let Some(receiver) = receivers.get_mut(&id) else { return };
            let expected = receiver.expected.swap_remove(place);
            let troubled = receivers.values().find(|other| other.id != id && other.is_on() && other.is_failing());
            let troubled = troubled.and_then(|other| other.trouble).map(|trouble| trouble.seq).or(moment.unreachable);
            self.charge(&expected, &receivers[&id], session, troubled, moment);
        }
    }

    fn charge(
        &mut self,
        expected: &Expected,
        receiver: &Receiver,
        session: Option<u128>,
        troubled: Option<Seq>,
        moment: &mut Moment<'_>,
    ) {
        let conference = self.conference(expected.call);
        let (elsewhere, charged) = match expected.part {
            Part::Start => (conference.started, &mut conference.charged.0),
            Part::End => (conference.ended, &mut conference.charged.1),
        };
        let record = match expected.part {
            Part::Start => "callStart",
            Part::End => "callEnd",
        };
        let Some(rule) = receiver.blamed(expected, elsewhere, session, troubled.is_some(), moment) else { return };
        if rule == R::Rec24 && std::mem::replace(charged, true) {
            return;
        }
        let standing = match receiver.standing {
            Standing::On { seq, .. } => Some(seq),
            _ => None,
        };
        let evidence: Vec<Seq> = [expected.seq]
            .into_iter()
            .chain(elsewhere)
            .chain(standing)
            .chain(troubled.filter(|_| rule == R::Cdr19))
            .collect();
        let what = format!("the {record} of {}", guid_text(expected.call));
        moment.fail(rule, &what, "none".to_owned(), &evidence);
    }
}

impl Receiver {
    /// Which requirement a record's absence breaks; none, where other rules judge it. `elsewhere` is where another
    /// receiver got it.
    fn blamed(
        &self,
        expected: &Expected,
        elsewhere: Option<Seq>,
        session: Option<u128>,
        troubled: bool,
        moment: &Moment<'_>,
    ) -> Option<R> {
        if self.unreadable.is_some_and(|at| at + SLACK >= expected.at) {
            return None;
        }
        // What has to be sent again comes before it. That it did not come is charged.
        if self.given_up.is_some_and(|at| self.last_set.is_none_or(|last| last < at)) {
            return None;
        }
        // Where this receiver is in the same session, what it lacks shows in the indexes.
        let follows = self.chains.iter().any(|chain| Some(chain.session) == session && chain.highest.is_some());
        if elsewhere.is_some() && follows {
            return None;
        }
        let served = self.last_set.is_some_and(|last| last >= expected.at);
        let waits = |trouble: Trouble| self.last_set.is_none_or(|last| last < trouble.at);
        // What was kept for it may still have filled the queue for a while.
        let window = moment.deadlines.redelivery + moment.deadlines.reaction;
        let drained = self.last_set.is_some_and(|last| last >= expected.at);
        let trouble =
            self.trouble.filter(|trouble| trouble.at >= expected.at || drained && trouble.at + window >= expected.at);
        if trouble.is_some_and(|trouble| !waits(trouble)) {
            // It may have been discarded, with nothing after it that could say so.
            return None;
        }
        Some(if trouble.is_some() {
            R::Cdr03
        } else if self.sets == 0 && self.address.as_ref().is_some_and(Address::is_special) {
            if self.is_untrusted() {
                return None;
            }
            R::Cdr16
        } else if self.sets == 0 && elsewhere.is_some() {
            R::Cdr13
        } else if !served && troubled {
            R::Cdr19
        } else if !served && (elsewhere.is_some() || self.sets == 0) {
            moment.stopped_by_fifth(self)
        } else if !served && moment.stopped_by_fifth(self) == R::Cdr14 {
            // Nobody gets anything since then.
            R::Cdr14
        } else {
            R::Rec24
        })
    }
}

/// A receiver got the start of a call that was asked for after it was removed.
fn charge_served_off(removed: Instant, evidence: &[Seq], moment: &mut Moment<'_>) {
    let since = moment.at.since(removed).as_secs_f64();
    let observed = format!("the start of a call that was asked for later, {since:.1} s after it");
    moment.fail(R::Cdr15, "no records once the receiver is removed", observed, evidence);
}

/// Every receiver that was configured before has to get a record.
fn expect<'r>(
    call: u128,
    part: Part,
    (cause, slack): (Instant, Duration),
    receivers: impl Iterator<Item = &'r mut Receiver>,
    moment: &Moment<'_>,
) {
    for receiver in receivers.filter(|receiver| receiver.is_on() && !receiver.shared) {
        let Standing::On { answered, .. } = receiver.standing else { continue };
        if answered <= cause && receiver.expected.len() < EXPECTED {
            let since = receiver.clock.elapsed(moment.at);
            receiver.expected.push(Expected { call, part, since, at: cause - slack, seq: moment.seq });
        }
    }
}

fn due_of(expected: &Expected, receiver: &Receiver, window: Duration) -> Duration {
    let troubled = receiver.trouble.is_some_and(|trouble| trouble.at >= expected.at);
    let base = if troubled { receiver.active } else { expected.since };
    (base + window).max(receiver.active + IDLE)
}

/// When the last thing that a receiver should get is overdue.
pub(super) fn due(receiver: &Receiver, window: Duration) -> Option<Instant> {
    let last = receiver.expected.iter().map(|expected| due_of(expected, receiver, window)).max()?;
    receiver.clock.when(last)
}
