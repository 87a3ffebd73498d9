//! Rules for CDR receivers: what they answer to the sets that they get (CDR 1.1, 2, 3).
//!
//! A set that is not answered 200 is laid to what was special about it: something that is not documented (CDR-21), or
//! something else that a receiver has to cope with (CDR-22), if the receiver answers other sets 200 but none that is
//! special in this way; otherwise to the general requirement (CDR-20). What a plan told a receiver to do is not judged,
//! and neither is a set that is no well-formed document of records, or whose sender left before the answer was due.
//!
//! Observed is either by the receiver or by the sender. A sender cannot tell whether a set arrived: where it sent one on
//! a connection that was used before, the receiver may have ended that meanwhile, which it may.

use std::collections::BTreeMap;

use super::docket::{Charge, Docket};
use super::guid;
use super::registry::R;
use super::verdict::Context;
use crate::protocol::cdr::names::{MISSING, RECORDS};
use crate::protocol::cdr::{Record, Set};
use crate::spec::records::{self, Shape};
use crate::time::Instant;
use crate::trace::{EndCause, Event, LinkId, Observation, ReceiverId, Seq, SetId, Side};

/// How many receivers are followed.
const RECEIVERS: usize = 256;

/// How many connections are followed, and how many sets without an answer.
const FOLLOWED: usize = 4096;

/// How many sessions of a receiver are remembered.
const SESSIONS: usize = 8;

/// What may be special about a set, as bits: first what is not documented, then what else has to be coped with.
const SPECIAL: [(u16, &str); 9] = [
    (UNKNOWN_TYPE, "a record of a type that is not documented"),
    (UNKNOWN_ELEMENT, "an element that is not documented"),
    (UNKNOWN_ATTRIBUTE, "an attribute that is not documented"),
    (SEVERAL, "several records in a set"),
    (LATER, "a further set on the connection"),
    (REPEATED, "records that came before"),
    (GAP, "records after a gap"),
    (SESSION, "a new session"),
    (CUT, "a set after a sender that vanished in the middle of one"),
];

const UNKNOWN_TYPE: u16 = 1;
const UNKNOWN_ELEMENT: u16 = 1 << 1;
const UNKNOWN_ATTRIBUTE: u16 = 1 << 2;
const SEVERAL: u16 = 1 << 3;
const LATER: u16 = 1 << 4;
const REPEATED: u16 = 1 << 5;
const GAP: u16 = 1 << 6;
const SESSION: u16 = 1 << 7;
const CUT: u16 = 1 << 8;

/// All that CDR-21 is about.
const UNKNOWN: u16 = UNKNOWN_TYPE | UNKNOWN_ELEMENT | UNKNOWN_ATTRIBUTE;

/// All that CDR-22 is about.
const TO_COPE_WITH: u16 = SEVERAL | LATER | REPEATED | GAP | SESSION | CUT;

/// What is known of one receiver.
#[derive(Debug, Default)]
struct Receiver {
    /// What was special about sets that were answered 200.
    coped: u16,
    /// Whether any set was.
    answers: bool,
    /// What sets were laid to that were not.
    blamed: u16,
    /// The session of the last set.
    session: Option<u128>,
    /// The highest index of sessions that the receiver got and did not refuse, newest session last.
    highest: Vec<(u128, u64)>,
    /// Where a sender vanished in the middle of a set, if nothing was answered since.
    cut: Option<Seq>,
    /// Since when it takes no connections.
    closed: Option<(Instant, Seq)>,
}

/// One connection of a sender.
#[derive(Debug, Clone, Copy)]
struct Link {
    receiver: ReceiverId,
    sets: u64,
    /// Whether a set was cut off on it.
    spoilt: bool,
}

/// A set that was received and is not answered.
#[derive(Debug, Clone, Copy)]
struct OpenSet {
    set: SetId,
    link: LinkId,
    receiver: ReceiverId,
    at: Instant,
    seq: Seq,
    special: u16,
    session: Option<u128>,
    last: Option<u64>,
    /// Where it was said that there will be no answer.
    given_up: Option<Seq>,
}

/// How a set fared that was not answered 200 in time.
enum Outcome {
    /// Something was answered; in words.
    Answer(String),
    /// Nothing was; in words.
    Nothing(String),
}

/// What the rules know of the CDR receivers that senders deliver to.
#[derive(Debug)]
pub(super) struct ReceiversJudge {
    context: Context,
    receivers: BTreeMap<ReceiverId, Receiver>,
    links: BTreeMap<LinkId, Link>,
    open: Vec<OpenSet>,
}

impl ReceiversJudge {
    pub(super) const fn new(context: Context) -> Self {
        Self { context, receivers: BTreeMap::new(), links: BTreeMap::new(), open: Vec::new() }
    }

    pub(super) fn observe(&mut self, observation: &Observation<'_>, docket: &mut Docket) {
        let (at, seq) = (observation.at, observation.seq);
        match &observation.event {
            Event::ReceiverOpened { receiver, .. }
                if self.receivers.len() < RECEIVERS || self.receivers.contains_key(receiver) =>
            {
                self.receivers.entry(*receiver).or_default().closed = None;
            }
            Event::ReceiverClosed { receiver } => {
                if let Some(known) = self.receivers.get_mut(receiver) {
                    known.closed.get_or_insert((at, seq));
                    self.deaf(*receiver, at, docket);
                }
            }
            Event::LinkOpened { link, receiver } if self.links.len() < FOLLOWED => {
                self.links.insert(*link, Link { receiver: *receiver, sets: 0, spoilt: false });
            }
            Event::SetReceived { set, link, receiver, head, records } => {
                let judged = head.method == "POST"
                    && records.is_well_formed()
                    && records.is_read_whole()
                    && records.root() == Some(RECORDS)
                    && records.records().len() > 0;
                self.received((*set, *link, *receiver), *records, judged, (at, seq));
            }
            Event::SetCut { link, receiver, by_receiver, .. } => {
                if let Some(link) = self.links.get_mut(link) {
                    link.spoilt = true;
                }
                if let Some(known) = self.receivers.get_mut(receiver).filter(|_| !by_receiver) {
                    known.cut = Some(seq);
                }
            }
            Event::SetAnswered { set, status, whole, planned } => {
                self.answered(*set, (*status, *whole, *planned), (at, seq), docket);
            }
            Event::SetUnanswered { set, planned: true } => {
                if let Some(open) = self.take(*set)
                    && let Some(known) = self.receivers.get_mut(&open.receiver)
                {
                    known.got(&open);
                }
            }
            Event::SetUnanswered { set, planned: false } => {
                if let Some(open) = self.open.iter_mut().find(|open| open.set == *set) {
                    open.given_up = Some(seq);
                }
            }
            Event::LinkFault { link, .. } if self.context.observer == Side::Server => {
                while let Some(place) = self.open.iter().position(|open| open.link == *link) {
                    let open = self.open.swap_remove(place);
                    self.blame(&open, Outcome::Answer("no HTTP answer".to_owned()), (at, seq), docket);
                }
            }
            Event::LinkEnded { link, cause } => self.ended(*link, *cause, (at, seq), docket),
            Event::HarnessLate { by } => self.open.iter_mut().for_each(|open| open.at += *by),
            _ => {}
        }
    }

    /// Until when something is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.open.iter().map(|open| open.at + self.context.deadlines.reaction).max()
    }

    fn take(&mut self, set: SetId) -> Option<OpenSet> {
        let place = self.open.iter().position(|open| open.set == set)?;
        Some(self.open.swap_remove(place))
    }

    fn received(
        &mut self,
        (set, link, receiver): (SetId, LinkId, ReceiverId),
        records: Set<'_>,
        judged: bool,
        (at, seq): (Instant, Seq),
    ) {
        let Some(known) = self.receivers.get_mut(&receiver) else { return };
        let Some(used) = self.links.get_mut(&link) else { return };
        used.sets += 1;
        if !judged || self.open.len() == FOLLOWED {
            return;
        }
        let session = records.session().and_then(guid::number);
        let indexes = || records.records().filter_map(|record| record.correlator_index()?.parse::<u64>().ok());
        let mut special = undocumented(records);
        let mut set_if = |bit: u16, is: bool| special |= if is { bit } else { 0 };
        set_if(SEVERAL, records.records().len() > 1);
        set_if(LATER, used.sets > 1);
        set_if(CUT, known.cut.is_some());
        set_if(SESSION, known.session.is_some() && known.session != session);
        let highest = known.highest.iter().find(|(of, _)| Some(*of) == session).map(|(_, highest)| *highest);
        let first = indexes().min();
        set_if(REPEATED, first.zip(highest).is_some_and(|(first, highest)| first <= highest));
        let jumps = first.zip(highest).is_some_and(|(first, highest)| first > highest + 1);
        set_if(GAP, jumps || records.records().any(|record| record.missing().is_some()));
        known.session = session;
        let last = indexes().max();
        self.open.push(OpenSet { set, link, receiver, at, seq, special, session, last, given_up: None });
    }

    fn answered(
        &mut self,
        set: SetId,
        (status, whole, planned): (u16, bool, bool),
        (at, seq): (Instant, Seq),
        docket: &mut Docket,
    ) {
        let Some(open) = self.take(set) else { return };
        if let Some(known) = self.receivers.get_mut(&open.receiver).filter(|_| (200..300).contains(&status)) {
            known.got(&open);
        }
        let late = at.since(open.at) > self.context.deadlines.reaction;
        match (status, whole) {
            (200, true) if !late => {
                let Some(known) = self.receivers.get_mut(&open.receiver) else { return };
                known.answers = true;
                known.coped |= open.special;
                known.cut = None;
                docket.tested(R::Cdr20);
                if open.special & UNKNOWN != 0 {
                    docket.tested(R::Cdr21);
                }
                if open.special & TO_COPE_WITH != 0 {
                    docket.tested(R::Cdr22);
                }
            }
            _ if planned => {}
            (200, true) => {
                let after = at.since(open.at).as_secs_f32();
                self.blame(&open, Outcome::Nothing(format!("200 after {after} s")), (at, seq), docket);
            }
            (_, true) => self.blame(&open, Outcome::Answer(status.to_string()), (at, seq), docket),
            (_, false) => {
                self.blame(&open, Outcome::Nothing(format!("a part of an answer {status}")), (at, seq), docket);
            }
        }
    }

    fn ended(&mut self, link: LinkId, cause: EndCause, (at, seq): (Instant, Seq), docket: &mut Docket) {
        let by_receiver = match self.context.observer {
            Side::Client => matches!(cause, EndCause::Closed | EndCause::Dropped | EndCause::TooLong),
            Side::Server => matches!(cause, EndCause::PeerClosed | EndCause::PeerReset),
        };
        while let Some(place) = self.open.iter().position(|open| open.link == link) {
            let open = self.open.swap_remove(place);
            if let Some(known) = self.receivers.get_mut(&open.receiver) {
                known.got(&open);
            }
            let waited = at.since(open.at);
            // Seen from the sender: whether the receiver got it is not certain.
            let uncertain =
                self.context.observer == Side::Server && (open.special & LATER != 0 || cause == EndCause::PeerReset);
            let observed = if waited > self.context.deadlines.reaction {
                format!("no answer for {} s", waited.as_secs_f32())
            } else if by_receiver && !uncertain {
                "the receiver ends the connection".to_owned()
            } else {
                continue;
            };
            self.blame(&open, Outcome::Nothing(observed), (at, seq), docket);
        }
        let Some(link) = self.links.remove(&link) else { return };
        let Some(known) = self.receivers.get_mut(&link.receiver) else { return };
        if by_receiver
            && link.sets == 0
            && !link.spoilt
            && known.closed.is_none()
            && self.context.observer == Side::Client
            && let Some(cut) = known.cut.take()
        {
            let observed = "the receiver ends the next connection before anything is read from it".to_owned();
            docket.fail(R::Cdr22, at, || charge(expected_of(CUT), observed, vec![cut, seq]));
        }
    }

    /// A receiver takes no connections after a sender has vanished in the middle of a set. Where the receiver observes,
    /// it was told so.
    fn deaf(&mut self, receiver: ReceiverId, now: Instant, docket: &mut Docket) {
        let allowed = self.context.deadlines.reaction;
        let Some(known) = self.receivers.get_mut(&receiver).filter(|_| self.context.observer == Side::Server) else {
            return;
        };
        if let Some((since, seq)) = known.closed.filter(|(since, _)| now.since(*since) > allowed)
            && let Some(cut) = known.cut.take()
        {
            let observed = format!("connections are refused for {} s", now.since(since).as_secs_f32());
            docket.fail(R::Cdr22, now, || charge(expected_of(CUT), observed, vec![cut, seq]));
        }
    }

    /// A set was not answered 200 in time.
    fn blame(&mut self, open: &OpenSet, outcome: Outcome, (at, seq): (Instant, Seq), docket: &mut Docket) {
        let Some(known) = self.receivers.get_mut(&open.receiver) else { return };
        let mut suspects = if known.answers { open.special & !known.coped } else { 0 };
        let observed = match outcome {
            Outcome::Answer(observed) => {
                // Who answers has found the set on the connection.
                suspects &= !LATER;
                observed
            }
            Outcome::Nothing(observed) => observed,
        };
        // What alone was to blame before is it again.
        if suspects & known.blamed != 0 {
            suspects &= known.blamed;
        }
        let (rule, of) = if suspects & UNKNOWN != 0 {
            (R::Cdr21, suspects & UNKNOWN)
        } else if suspects != 0 {
            (R::Cdr22, suspects)
        } else {
            (R::Cdr20, 0)
        };
        known.blamed |= of;
        let mut evidence = vec![open.seq, seq];
        evidence.extend(open.given_up);
        evidence.extend(known.cut.filter(|_| of & CUT != 0));
        docket.fail(rule, at, || {
            let expected = match of {
                0 => format!("an answer 200 within {} s", self.context.deadlines.reaction.as_secs_f32()),
                of => expected_of(of),
            };
            charge(expected, observed, evidence)
        });
    }
}

impl Receiver {
    /// A set reached it, and it did not refuse it.
    fn got(&mut self, open: &OpenSet) {
        let Some((session, last)) = open.session.zip(open.last) else { return };
        if let Some((_, highest)) = self.highest.iter_mut().find(|(of, _)| *of == session) {
            *highest = last.max(*highest);
            return;
        }
        if self.highest.len() == SESSIONS {
            self.highest.remove(0);
        }
        self.highest.push((session, last));
    }
}

const fn charge(expected: String, observed: String, evidence: Vec<Seq>) -> Charge {
    Charge { connection: None, expected, observed, evidence }
}

/// What is expected of a receiver that gets something special.
fn expected_of(special: u16) -> String {
    let what: Vec<&str> = SPECIAL.iter().filter(|(bit, _)| bit & special != 0).map(|(_, what)| *what).collect();
    format!("an answer 200, also to {}", what.join(" and "))
}

/// What a set holds that is not documented.
fn undocumented(set: Set<'_>) -> u16 {
    let mut found = 0;
    if set.attributes().any(|(name, _)| !records::root_attributes().iter().any(|known| known.name == name)) {
        found |= UNKNOWN_ATTRIBUTE;
    }
    if set.others().next().is_some() {
        found |= UNKNOWN_ELEMENT;
    }
    set.records().fold(found, |found, record| found | undocumented_in(record))
}

fn undocumented_in(record: Record<'_>) -> u16 {
    let Some(kind) = record.kind() else { return if record.type_name().is_some() { UNKNOWN_TYPE } else { 0 } };
    let mut found = 0;
    let is_known = |name: &str| {
        name == "type" || MISSING.contains(&name) || records::record_attributes().iter().any(|known| known.name == name)
    };
    if record.attributes().any(|(name, _)| !is_known(name)) {
        found |= UNKNOWN_ATTRIBUTE;
    }
    for element in record.elements() {
        if element.name() != kind.subject().as_str() {
            found |= UNKNOWN_ELEMENT;
            continue;
        }
        if element.attributes().any(|(name, _)| name != "id") {
            found |= UNKNOWN_ATTRIBUTE;
        }
        for field in element.children() {
            let documented = field.known().and_then(|name| records::field(kind, name));
            let strange = match documented.map(|field| &field.shape) {
                None => true,
                Some(Shape::Group(parts)) => {
                    field.children().any(|part| !parts.iter().any(|known| Some(known.name) == part.known()))
                }
                Some(_) => false,
            };
            found |= if strange { UNKNOWN_ELEMENT } else { 0 };
        }
    }
    found
}
