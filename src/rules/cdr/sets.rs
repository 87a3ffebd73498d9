//! A set of records arrives: taken apart, and handed to the rules record by record.

use super::attributes::Attributes;
use super::channels::Channels;
use super::content::Facts;
use super::history::Reach;
use super::identity::Sight;
use super::indexes::InSet;
use super::links::PROMPT;
use super::receiver::{OpenSet, Part, Receiver, Standing};
use super::sessions::Carrier;
use super::spans::Few;
use super::{CdrJudge, Moment, OPEN_SETS, content, delivery, identity, indexes, links};
use crate::protocol::cdr::{Record, RecordType, Set};
use crate::protocol::http1::Head;
use crate::rules::api_view::ApiView;
use crate::rules::docket::{Docket, quote};
use crate::rules::guid;
use crate::rules::registry::R;
use crate::rules::verdict::Deadlines;
use crate::time::Instant;
use crate::trace::{LinkId, Observation, ReceiverId, Seq, SetId};

impl CdrJudge {
    /// A set arrived.
    pub(super) fn set_received(
        &mut self,
        (set, link, id): (SetId, LinkId, ReceiverId),
        head: Head<'_>,
        records: Set<'_>,
        observation: &Observation<'_>,
        api: &ApiView,
        docket: &mut Docket,
    ) {
        let (at, seq) = (observation.at, observation.seq);
        let Some(receiver) = self.receivers.get_mut(&id) else { return };
        let mut moment = Moment::of(&self.context, observation, api, docket);
        if links::is_foreign(receiver, head, records, &self.sessions) {
            let rule = if head.method == "POST" { R::Cdr16 } else { R::Cdr01 };
            return moment.docket.undecided(rule, "a request that somebody else may have sent");
        }
        receiver.asked_for(head.target);
        receiver.sets += 1;
        receiver.last_set = Some(at);
        receiver.active = receiver.clock.elapsed(at);
        let readable = links::head(self.links.get(link), receiver, head, records, &mut moment);
        removed_and_served(self.links.get(link).map(|link| link.opened), receiver, &mut moment);
        let known = self.links.get(link);
        let carrier = Carrier {
            opened: known.as_ref().map_or(at, |link| link.opened),
            session: known.as_ref().and_then(|link| link.session),
            answered: receiver.answered.map(|answered| answered.at),
        };
        let slow = known.is_none_or(|link| at.since(link.idle_since) > PROMPT);
        let before = self.sessions.current().map(|session| session.id);
        let place = if readable {
            self.sessions.arrived(records, carrier, receiver, self.ledger.bridges.as_ref(), &mut moment)
        } else {
            None
        };
        if std::mem::take(&mut self.sessions.renewed) {
            self.receivers.values_mut().for_each(Receiver::loosen);
        }
        if before.is_some() && before != self.sessions.current().map(|session| session.id) {
            self.channels.clear();
            self.receivers.values_mut().for_each(|receiver| receiver.expected.clear());
        }
        let mut open = OpenSet {
            set,
            receiver: id,
            link,
            session: None,
            spans: Few::default(),
            last_record_index: None,
            arrived: at,
            seq,
            slow,
            given_up: false,
            closes: links::closes(head),
            single: links::closes(head) && self.links.get(link).is_some_and(|link| link.sets == 1),
        };
        match place {
            Some(place) => {
                self.named_twice(self.sessions.known[place].id, &open, records, &mut moment);
                self.records(place, &mut open, records, moment);
            }
            None => self.unreadable(id),
        }
        if self.open.len() < OPEN_SETS {
            self.open.push(open);
        }
    }

    /// What a set held that could not be read is not known.
    fn unreadable(&mut self, id: ReceiverId) {
        let Some(receiver) = self.receivers.get_mut(&id) else { return };
        for chain in &mut receiver.chains {
            chain.forgive();
            chain.loose = true;
        }
        receiver.cut = None;
        receiver.unreadable = receiver.last_set;
    }

    /// A set arrives at a receiver that is alone in a trace, on a second connection beside another one. Whoever enters
    /// the same URI twice gets every record twice, each time on a connection of its own and with numbers of its own.
    fn named_twice(&mut self, session: u128, set: &OpenSet, records: Set<'_>, moment: &mut Moment<'_>) {
        let Some(receiver) = self.receivers.get_mut(&set.receiver) else { return };
        if !receiver.is_alone() || receiver.shared || !self.links.has_beside(set.link, set.receiver, session) {
            return;
        }
        let first = records.records().next().map(Attributes::of).unwrap_or_default();
        let (Some(index), chain) = (first.index.get(), receiver.chain_of(session)) else { return };
        let chain = &receiver.chains[chain];
        // Nobody gives an answer up so soon.
        let same = |other: &&OpenSet| other.receiver == set.receiver && other.spans.lowest() == Some(index);
        let soon = |other: &OpenSet| other.link != set.link && moment.at <= other.arrived + PROMPT;
        let at_once = self.open.iter().filter(same).any(soon);
        let from_one = first.record_index.get() == Some(1) && chain.highest.is_some();
        if at_once || from_one || chain.acked.contains(index) {
            receiver.shared = true;
            let why = "records came again on a second connection: the Call Bridge's list may name this receiver twice";
            moment.docket.undecided(R::Cdr02, why);
        }
    }

    /// The records of a set that could be read.
    fn records(&mut self, place: usize, open: &mut OpenSet, records: Set<'_>, mut moment: Moment<'_>) {
        let at = moment.at;
        let others = self.failing_beside(open.receiver, at);
        let Some(receiver) = self.receivers.get_mut(&open.receiver) else { return };
        let session = &mut self.sessions.known[place];
        let id = session.id;
        open.session = Some(id);
        if let Some(link) = self.links.get(open.link) {
            link.session = Some((id, moment.seq));
        }
        let chain = receiver.chain_of(id);
        let first = records.records().next().map(Attributes::of).unwrap_or_default();
        let declared = first.missing.get().is_some_and(|count| count > 0);
        delivery::outstanding(&mut self.open, receiver, id, first.index.get(), declared, &mut moment);
        links::kept(open.link, id, receiver, &mut moment);
        let begun = self.sessions.began_with_restart(place);
        let session = &mut self.sessions.known[place];
        session.history.reach = reach(receiver, begun);
        let mut set = begins(receiver, open.link, begun, moment.at);
        (set.others, set.skew) = (others, session.skew);
        let begun = first.index.get().filter(|_| set.ordered);
        receiver.begins(id, begun, first.missing.get().unwrap_or(0), &mut moment);
        let before = receiver.chains[chain].highest;
        if let Some(restart) = self.sessions.first_restart(place, at, moment.deadlines.reaction) {
            from_the_start(chain, &first, restart, receiver, &mut moment);
        }
        let session = &mut self.sessions.known[place];
        for record in records.records() {
            let attributes = Attributes::of(record);
            let Some(index) = attributes.index.get() else {
                let observed = quote(record.correlator_index().unwrap_or("none"));
                moment.fail(R::Cdr08, "a correlatorIndex that is a number", observed, &[]);
                receiver.chains[chain].loose = true;
                continue;
            };
            let sight = session.memory.sight(index, identity::digest(record), open.receiver, moment.seq);
            compared(index, sight, &mut moment);
            indexes::record(chain, index, &attributes, sight, &mut set, receiver, &mut moment);
            if matches!(sight, Sight::Differs(_)) {
                // Which of both it was is not known.
                session.history.doubt();
                receiver.unreadable = Some(moment.at);
            }
            if sight == Sight::Fresh {
                session.grown = moment.at;
                let facts = content::judge(record, attributes.time, &mut self.words, &mut moment);
                session.took(facts.and_then(|facts| facts.time), at);
                match facts {
                    Some(facts) if session.history.admits(index) => {
                        served_off(&facts, &mut self.channels, receiver, &mut moment);
                        self.channels.record(&facts, session.history.latitude(facts.id), &mut moment);
                        session.history.asked = self.channels.asked(facts.id);
                        session.history.take(&facts, &self.ledger, &mut self.spaces, &mut moment);
                    }
                    Some(facts) => self.channels.late(&facts, &moment),
                    None => session.history.lacks(index, record.kind().is_some()),
                }
            }
            if !receiver.expected.is_empty() {
                got(record, receiver);
            }
            open.spans.push(index);
            open.last_record_index = attributes.record_index.get();
        }
        characteristics(&first, records.records().len(), &mut moment);
        set.goes_on = set.lowest.is_some_and(|lowest| lowest <= before.map_or(0, |before| before.saturating_add(1)));
        self.set_taken(chain, &set, open, &mut moment);
        self.others_follow(place, open.receiver, set.fresh, &mut moment);
    }

    /// What came at one receiver is expected at the others. `fresh` is the lowest index that was new.
    fn others_follow(&mut self, place: usize, by: ReceiverId, fresh: Option<u64>, moment: &mut Moment<'_>) {
        self.channels.expect_shown(by, &mut self.receivers, moment);
        let session = &self.sessions.known[place];
        if session.history.whole {
            self.channels.expect_waiting(&mut self.receivers, moment);
        }
        indexes::compare_progress(by, session, fresh, &mut self.receivers, moment);
    }

    /// Where another receiver than this one fails at the moment.
    fn failing_beside(&self, id: ReceiverId, at: Instant) -> Option<Seq> {
        let others = self.receivers.values().filter(|other| other.id != id && other.is_on());
        let found =
            others.filter(|other| other.is_failing()).find_map(|other| other.trouble.map(|trouble| trouble.seq));
        let slow = || {
            let waits = |open: &&OpenSet| open.receiver != id && at.since(open.arrived) > PROMPT;
            self.open.iter().filter(waits).find(|open| self.receivers.get(&open.receiver).is_some_and(Receiver::is_on))
        };
        found.or_else(|| slow().map(|open| open.seq))
    }

    /// All records of a set are taken in.
    fn set_taken(&mut self, chain: usize, set: &InSet, open: &OpenSet, moment: &mut Moment<'_>) {
        // A receiver that takes no new connections may still be served over those that are open.
        let unserved = |other: &Receiver| other.awaits_repetition() || !self.links.has(other.id);
        let failing = |other: &Receiver| other.id != open.receiver && other.is_failing() && unserved(other);
        let waits = |other: &OpenSet| other.receiver != open.receiver && !other.given_up;
        if set.others.is_some() && (self.receivers.values().any(failing) || self.open.iter().any(waits)) {
            moment.docket.tested(R::Cdr19);
        }
        let Some(receiver) = self.receivers.get_mut(&open.receiver) else { return };
        // What was in the one that was cut off is not known; if nothing is missing, it has come again.
        if receiver.cut.take().is_some() && set.goes_on {
            moment.docket.tested(R::Cdr03);
        }
        if let (true, Some(lowest), Some(highest)) = (set.ordered, set.lowest, set.highest) {
            let chain = &mut receiver.chains[chain];
            if !set.charged_again && !chain.acked.is_empty() {
                moment.docket.tested(R::Cdr02);
            }
            chain.odd_answers(lowest, moment);
            chain.passed_over(lowest, highest, moment.seq);
        }
    }
}

/// What the guides leave open.
fn characteristics(first: &Attributes<'_>, records: usize, moment: &mut Moment<'_>) {
    let size = match records {
        1 => "1",
        2..=10 => "2 to 10",
        _ => "more than 10",
    };
    let numbered = if first.record_index.get().is_some() { "sent" } else { "not sent" };
    moment.docket.note_word(R::Cdr23, "records-in-a-set", size);
    moment.docket.note_word(R::Cdr23, "recordIndex", numbered);
    if let Some(spelling) = first.spelling {
        moment.docket.note_word(R::Cdr23, "count-of-discarded-records", spelling);
    }
}

/// What is known of a set before its first record. `begun` is when the session began, if that was with a restart.
fn begins(receiver: &Receiver, link: LinkId, begun: Option<Instant>, at: Instant) -> InSet {
    let slow = receiver.answered.filter(|answered| answered.slow && answered.link != link);
    InSet {
        ordered: receiver.is_ordered(at),
        excused: slow.map(|answered| answered.spans).unwrap_or_default(),
        from_zero: from_zero(receiver, begun),
        ..InSet::default()
    }
}

/// A record compared with what was seen of it before.
fn compared(index: u64, sight: Sight, moment: &mut Moment<'_>) {
    match sight {
        Sight::Differs(seq) => {
            let observed = format!("record {index} with other content");
            moment.fail(R::Cdr09, "one content for each session and index", observed, &[seq]);
        }
        Sight::Again => moment.docket.tested(R::Cdr09),
        Sight::Elsewhere => {
            moment.docket.tested(R::Cdr09);
            moment.docket.tested(R::Cdr13);
        }
        Sight::Fresh | Sight::Old => {}
    }
}

/// A record arrived that may have been expected.
fn got(record: Record<'_>, receiver: &mut Receiver) {
    let part = match record.kind() {
        Some(RecordType::CallStart) => Part::Start,
        Some(RecordType::CallEnd) => Part::End,
        _ => return,
    };
    if let Some(call) = record.id().and_then(guid::number) {
        receiver.got(call, part);
    }
}

/// A set at a receiver that was taken off: on a connection that was opened long after, or long after all was sent.
fn removed_and_served(opened: Option<Instant>, receiver: &Receiver, moment: &mut Moment<'_>) {
    let Standing::Off { at, seq } = receiver.standing else { return };
    let Deadlines { reaction, redelivery } = moment.deadlines;
    // Nothing failed, so that nothing was kept.
    let drained = receiver.trouble.is_none() && moment.at > at + reaction + redelivery;
    if drained || opened.is_some_and(|opened| opened > at + reaction) {
        moment.fail(R::Cdr15, "no records once the receiver is removed", "a set".to_owned(), &[seq]);
    }
}

/// A call that was asked for after the receiver was removed cannot be among what was kept for it.
fn served_off(facts: &Facts<'_>, channels: &mut Channels, receiver: &Receiver, moment: &mut Moment<'_>) {
    if let Standing::Off { at, seq } = receiver.standing
        && facts.kind == RecordType::CallStart
    {
        channels.served_off(facts.id, (at, seq), moment);
    }
}

/// Whether the session that a restart began has to begin with record 0 at this receiver.
fn from_zero(receiver: &Receiver, restart: Option<Instant>) -> bool {
    let Some(begun) = restart else { return false };
    let before = matches!(receiver.standing, Standing::On { asked, .. } if asked < begun);
    before && receiver.listening && receiver.trouble.is_none_or(|trouble| trouble.at < begun)
}

/// Nothing was seen before the restart, so that nothing says which session is new: but what comes after it has to begin
/// with record 0.
fn from_the_start(
    place: usize,
    first: &Attributes<'_>,
    (begun, seq): (Instant, Seq),
    receiver: &mut Receiver,
    moment: &mut Moment<'_>,
) {
    if !from_zero(receiver, Some(begun)) || std::mem::replace(&mut receiver.chains[place].zero_judged, true) {
        return;
    }
    let index = receiver.chains[place].first.or_else(|| first.index.get());
    let declared = first.missing.get();
    match index {
        Some(index) if index > 0 && declared.is_none() => {
            let observed = format!("record {index}");
            moment.fail(R::Cdr08, "record 0 as the first after the restart", observed, &[seq]);
        }
        Some(_) => moment.docket.tested(R::Cdr08),
        None => {}
    }
}

/// How far back the records at a receiver go.
fn reach(receiver: &Receiver, restart: Option<Instant>) -> Reach {
    match receiver.standing {
        Standing::On { asked, .. } if restart.is_some_and(|begun| asked < begun) => Reach::All,
        // After an outage records come late, and times of arrival tell nothing of how old things are.
        Standing::On { answered, .. } if receiver.trouble.is_none() => Reach::Since(answered),
        _ => Reach::Unknown,
    }
}
