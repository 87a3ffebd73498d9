//! Indexes of records: correlatorIndex counts what the Call Bridge makes (CDR-08), without a gap while the receiver is
//! there (CDR-10), recordIndex counts what it sends (CDR-11), and what was discarded is declared (CDR-12). What one
//! receiver lacks and another one has is a matter of CDR-13, or of CDR-19 where one of them was in trouble.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Moment;
use super::attributes::{Attributes, Number};
use super::delivery::stretch;
use super::identity::{Memory, Sight};
use super::links::PROMPT;
use super::moments::unix_millis;
use super::receiver::{Address, Chain, Gap, Kind, Lacking, Receiver, Standing, Trouble};
use super::sessions::Session;
use super::spans::Few;
use crate::rules::registry::R;
use crate::rules::verdict::Deadlines;
use crate::time::Instant;
use crate::trace::{ReceiverId, Seq};

/// What is known of the set whose records are judged.
#[derive(Debug, Default)]
pub(super) struct InSet {
    /// The indexes of the record before.
    pub(super) previous: Option<(u64, Option<u64>)>,
    pub(super) lowest: Option<u64>,
    pub(super) highest: Option<u64>,
    /// Whether an acknowledged record was charged.
    pub(super) charged_again: bool,
    /// The index of the record before.
    pub(super) before: Option<u64>,
    /// Where another receiver fails while this set arrives.
    pub(super) others: Option<Seq>,
    /// Records whose acknowledgement may have come too late, because they were read slowly.
    pub(super) excused: Few,
    /// Whether what follows is judged: one stream of records.
    pub(super) ordered: bool,
    /// Where a session that began with a restart must begin with 0.
    pub(super) from_zero: bool,
    /// Whether it begins where the set before it ended, or earlier.
    pub(super) goes_on: bool,
    /// How far the Call Bridge's clock is behind the trace's at most, in milliseconds: so long did records take that
    /// arrived fastest.
    pub(super) skew: Option<i64>,
    /// The lowest index of those that no receiver had before.
    pub(super) fresh: Option<u64>,
}

/// Judges the indexes of one record.
pub(super) fn record(
    place: usize,
    index: u64,
    attributes: &Attributes<'_>,
    sight: Sight,
    set: &mut InSet,
    receiver: &mut Receiver,
    moment: &mut Moment<'_>,
) {
    set.lowest = Some(set.lowest.map_or(index, |lowest| lowest.min(index)));
    if sight == Sight::Fresh {
        set.fresh = Some(set.fresh.map_or(index, |lowest| lowest.min(index)));
    }
    set.highest = set.highest.max(Some(index));
    let previous = set.previous.replace((index, attributes.record_index.get()));
    set.before = previous.map(|(before, _)| before);
    if matches!(sight, Sight::Differs(_)) || !set.ordered {
        let chain = &mut receiver.chains[place];
        chain.loose = true;
        chain.highest = chain.highest.max(Some(index));
        return;
    }
    if attributes.missing == Number::Wrong {
        moment.fail(R::Cdr12, "a number of discarded records", "something else".to_owned(), &[]);
    }
    let (now, known) = (receiver.clock.elapsed(moment.at), numbering(receiver));
    receiver.recovers(place, index, attributes, set.skew, moment);
    let (trouble, overlapped) = (receiver.costly_trouble(), receiver.overlapped);
    let chain = &mut receiver.chains[place];
    if let Some((before, _)) = previous.filter(|(before, _)| *before == index) {
        let expected = format!("record {} after record {before} in the set", before.saturating_add(1));
        moment.fail(R::Cdr08, &expected, format!("record {index} again"), &[]);
        return;
    }
    let gaps = chain.gaps.len();
    let passed = chain.highest.is_some_and(|highest| index > highest.saturating_add(1));
    let fresh = chain.advance((index, sight), attributes, trouble, now, set, moment);
    let declared = attributes.missing.get().is_some_and(|count| count > 0);
    // A gap that is charged as such, or sets that overlap, may well have numbers of their own.
    chain.unnumbered = (passed && (!declared || chain.gaps.len() > gaps)) || overlapped;
    record_index(chain, attributes, previous.and_then(|(_, number)| number), fresh, known, moment);
    chain.loose = false;
    if declared || passed {
        // What was discarded, or is missing and charged as such, may be among what is expected.
        receiver.expected.clear();
    }
}

/// Whether the receiver is known to be new to the Call Bridge, so that its numbering begins here.
fn numbering(receiver: &Receiver) -> bool {
    // After a restart it may go on or begin anew.
    let first = matches!(receiver.standing, Standing::On { first: true, .. }) && receiver.chains.len() == 1;
    // What was given up before is a matter of CDR-03.
    first && receiver.trouble.is_none()
}

/// Whether a record was surely not seen at this receiver before.
const fn is_new(sight: Sight) -> bool {
    matches!(sight, Sight::Fresh | Sight::Elsewhere)
}

impl Receiver {
    /// Looks whether a record shows that all is over that trouble may have cost: it was made long after that, and
    /// nothing is missing before it. Until then what was discarded may still come to light, since it may be the newest
    /// records that go when there is no more room.
    fn recovers(
        &mut self,
        place: usize,
        index: u64,
        attributes: &Attributes<'_>,
        skew: Option<i64>,
        moment: &Moment<'_>,
    ) {
        let Some(trouble) = self.costly_trouble().filter(|_| self.failing.is_none()) else { return };
        let chain = &self.chains[place];
        let Deadlines { reaction, redelivery } = moment.deadlines;
        let long_after = self.healed.is_some_and(|healed| moment.at > healed + reaction + reaction + redelivery);
        let next = !chain.loose && chain.highest.is_some_and(|highest| highest.checked_add(1) == Some(index));
        if !long_after || !next || attributes.missing != Number::Absent {
            return;
        }
        // One that has waited among others was made earlier than it seems.
        let took = attributes.time.and_then(unix_millis).map(|time| trace_millis(moment.at).saturating_sub(time));
        let waited = |took: i64, skew: i64| took.saturating_sub(skew) > reaction.as_millis() as i64;
        if took.zip(skew).is_some_and(|(took, skew)| !waited(took, skew)) {
            self.over = Some(trouble.seq);
        }
    }
}

/// An instant of the trace in milliseconds.
pub(super) fn trace_millis(at: Instant) -> i64 {
    i64::try_from(at.since(Instant::ZERO).as_millis()).unwrap_or(i64::MAX)
}

impl Chain {
    /// Takes the next record. Returns whether it is new here.
    fn advance(
        &mut self,
        (index, sight): (u64, Sight),
        attributes: &Attributes<'_>,
        trouble: Option<Trouble>,
        now: Duration,
        set: &mut InSet,
        moment: &mut Moment<'_>,
    ) -> bool {
        let declared = attributes.missing.get().unwrap_or(0);
        let Some(highest) = self.highest.filter(|_| !self.loose) else {
            self.begin(index, declared, set, moment);
            self.declared = Some((index, declared, moment.seq));
            return true;
        };
        if index <= highest {
            self.declared_less((index, declared), moment);
            if declared > 0 {
                // What had to come again was discarded instead.
                self.settle(index.saturating_sub(declared), index.saturating_sub(1), |_| {});
            }
            self.again(index, (now, trouble.is_some()), set, sight, moment);
            return false;
        }
        self.highest = Some(index);
        let advanced = std::mem::replace(&mut self.advanced, moment.at);
        if moment.at.since(advanced) > PROMPT {
            self.rested = advanced;
        }
        // What comes at once after an outage waited through it, and what was discarded may lie anywhere in between.
        let before = self.rested.min(advanced);
        if declared > 0 {
            self.declared = Some((index, declared, moment.seq));
            self.discarded((index, highest, declared), trouble, now, (set.before, set.others), moment);
        } else if index == highest + 1 {
            moment.docket.tested(R::Cdr08);
            moment.docket.tested(R::Cdr10);
        } else if !self.pending.iter().any(|pending| pending.last == highest)
            || trouble.is_some_and(|trouble| trouble.kind == Kind::Closed)
        {
            // Where the record before the gap has to come again, that is what is missed first, unless the receiver was
            // gone so long that all of it may have been discarded.
            self.settle(0, highest, |_| {});
            let recent = trouble.filter(|trouble| trouble.at >= before);
            self.miss(Gap {
                first: highest + 1,
                last: index - 1,
                since: now,
                seq: self.seq,
                after: recent,
                others: set.others,
            });
        }
        self.seq = moment.seq;
        true
    }

    /// A record that comes again says again how many were discarded before it, at least.
    fn declared_less(&mut self, (index, declared): (u64, u64), moment: &mut Moment<'_>) {
        let Some((_, before, seq)) = self.declared.filter(|(known, ..)| *known == index) else { return };
        if declared < before && !self.acked.contains(index) {
            let expected = format!("{before} records declared as discarded before record {index}, as before");
            moment.fail(R::Cdr12, &expected, declared.to_string(), &[seq]);
            self.declared = None;
        }
    }

    /// The first record of a session, or the first after what cannot be judged.
    fn begin(&mut self, index: u64, declared: u64, set: &InSet, moment: &mut Moment<'_>) {
        if self.first.is_none() && set.from_zero {
            if index == 0 || declared == index {
                moment.docket.tested(R::Cdr08);
            } else {
                let observed = format!("record {index}");
                moment.fail(R::Cdr08, "record 0 as the first after the restart", observed, &[]);
            }
        }
        self.first.get_or_insert(index);
        self.highest = self.highest.max(Some(index));
        self.seq = moment.seq;
    }

    /// A record with an index that is not the highest.
    fn again(
        &mut self,
        index: u64,
        (now, troubled): (Duration, bool),
        set: &mut InSet,
        sight: Sight,
        moment: &mut Moment<'_>,
    ) {
        if self.acked.contains(index) {
            if set.excused.iter().any(|(first, last)| (first..=last).contains(&index)) {
                return;
            }
            if !set.charged_again {
                set.charged_again = true;
                let observed = format!("record {index} again");
                let expected = "no record again that was answered 200";
                moment.fail(R::Cdr02, expected, observed, &[self.seq]);
            }
        } else if let Some(at) = self.gaps.iter().position(|gap| (gap.first..=gap.last).contains(&index)) {
            let gap = self.gaps.swap_remove(at);
            for (first, last) in [(gap.first, index.wrapping_sub(1)), (index + 1, gap.last)] {
                if first <= last && last != u64::MAX {
                    self.gaps.push(Gap { first, last, ..gap });
                }
            }
            let observed = format!("record {index} after later ones");
            moment.fail(R::Cdr04, "records in ascending order", observed, &[gap.seq, self.seq]);
        } else if let Some(before) = set.before.filter(|before| *before > index && is_new(sight)) {
            let observed = format!("record {index} after record {before} in the set");
            moment.fail(R::Cdr04, "records in ascending order", observed, &[]);
        } else if self.first.is_some_and(|first| index < first) && is_new(sight) && !troubled {
            // It lies before all that was sent here, and nothing failed.
            let observed = format!("record {index} after later ones");
            moment.fail(R::Cdr04, "records in ascending order", observed, &[self.seq]);
        } else {
            self.repeated(index, now, moment);
        }
    }

    /// A record that declares others before it to be discarded.
    fn discarded(
        &mut self,
        (index, highest, declared): (u64, u64, u64),
        trouble: Option<Trouble>,
        now: Duration,
        (previous, others): (Option<u64>, Option<Seq>),
        moment: &mut Moment<'_>,
    ) {
        let unseen = index - highest - 1;
        let before_set =
            index - self.acked.last().map_or_else(|| self.first.unwrap_or(0), |last| last.saturating_add(1)).min(index);
        let Some(trouble) = trouble else {
            // What other receivers get decides what that breaks.
            let first = index.saturating_sub(declared).min(highest + 1);
            return self.miss(Gap { first, last: index - 1, since: now, seq: self.seq, after: None, others });
        };
        // Within a set, what was discarded lies between two of its records.
        let unsure = previous.map_or(before_set, |previous| index.saturating_sub(previous.saturating_add(1)));
        if declared < unseen || declared > unsure.max(unseen) {
            let expected = format!("{unseen} records declared as discarded before record {index}");
            moment.fail(R::Cdr12, &expected, declared.to_string(), &[self.seq, trouble.seq]);
            // What the number should have been is charged, not what it leaves out.
            self.settle(0, highest, |_| {});
        } else {
            moment.docket.tested(R::Cdr12);
            moment.docket.tested(R::Cdr10);
        }
        let first = index.saturating_sub(declared);
        self.settle(first, highest, |_| {});
        self.gaps.retain(|gap| gap.last < first);
    }

    /// Judges gaps that nothing has explained in time.
    fn unexplained(&mut self, now: Duration, memory: &Memory, moment: &mut Moment<'_>) {
        let allowed = moment.deadlines.redelivery;
        let mut at = 0;
        while let Some(gap) = self.gaps.get(at).copied() {
            if now < gap.since + allowed {
                at += 1;
                continue;
            }
            self.gaps.swap_remove(at);
            self.charge_gap(&gap, memory, moment);
        }
    }

    fn charge_gap(&self, gap: &Gap, memory: &Memory, moment: &mut Moment<'_>) {
        let what = stretch(gap.first, gap.last);
        let also = gap.after.map(|trouble| trouble.seq);
        let (rule, expected, also) = match gap.after.map(|trouble| trouble.kind) {
            Some(Kind::Cut) => (R::Cdr03, format!("{what} after the set that did not arrive whole"), also),
            Some(Kind::Closed | Kind::Unanswered) => (R::Cdr12, format!("{what}, or their number as discarded"), also),
            None if memory.has_any(gap.first, gap.last) => match gap.others {
                Some(_) => (R::Cdr19, format!("{what}, whatever other receivers do"), gap.others),
                None => (R::Cdr13, format!("{what}, as another receiver"), None),
            },
            None => (R::Cdr10, what, None),
        };
        let evidence: Vec<Seq> = [gap.seq].into_iter().chain(also).collect();
        moment.fail(rule, &expected, "a gap".to_owned(), &evidence);
    }
}

/// recordIndex, where it is there.
fn record_index(
    chain: &mut Chain,
    attributes: &Attributes<'_>,
    previous: Option<u64>,
    fresh: bool,
    from_one: bool,
    moment: &mut Moment<'_>,
) {
    let number = match attributes.record_index {
        Number::Absent => return,
        Number::Wrong => return moment.fail(R::Cdr11, "a number as recordIndex", "something else".to_owned(), &[]),
        Number::Is(number) => number,
    };
    let (least, most) = match (previous, chain.numbered) {
        (Some(previous), _) => (previous.saturating_add(1), previous.saturating_add(1)),
        (None, Some((sure, highest))) if fresh || highest > sure => (sure.saturating_add(1), highest.saturating_add(1)),
        (None, Some(_)) => (0, u64::MAX),
        (None, None) if from_one => (1, 1),
        (None, None) => (0, u64::MAX),
    };
    let judged = !chain.loose && !chain.unnumbered && most < u64::MAX;
    if judged && !(least..=most).contains(&number) {
        let expected = if least == most { format!("recordIndex {least}") } else { format!("{least} to {most}") };
        moment.fail(R::Cdr11, &expected, number.to_string(), &[chain.seq]);
    } else if judged {
        moment.docket.tested(R::Cdr11);
    }
    let sure = chain.numbered.map_or(0, |(sure, _)| sure);
    let highest = chain.numbered.map_or(number, |(_, highest)| highest.max(number));
    chain.numbered = Some((sure.min(highest), highest));
}

/// What other receivers have got and this one lacks, after a set arrived at `by`, in which `fresh` was new.
pub(super) fn compare_progress(
    by: ReceiverId,
    session: &Session,
    fresh: Option<u64>,
    receivers: &mut BTreeMap<ReceiverId, Receiver>,
    moment: &Moment<'_>,
) {
    if receivers.len() < 2 {
        return;
    }
    let Some(highest) = session.memory.highest() else { return };
    // In a cluster every Call Bridge has its own receivers. What was held up may be older than it seems.
    let source = receivers.get(&by).filter(|source| source.is_on() && !source.shared && source.trouble.is_none());
    let fresh = fresh.filter(|_| source.is_some() && moment.clustered == Some(false));
    for receiver in receivers.values_mut() {
        let now = receiver.clock.elapsed(moment.at);
        let (own, followed) = (receiver.id == by, receiver.is_on() && !receiver.shared);
        if let Some(index) = fresh.filter(|_| !own && followed) {
            receiver.lacks((session, index), now, moment);
        }
        let ordered = receiver.is_ordered(moment.at);
        let Some(chain) = receiver.chain(session.id) else { continue };
        if chain.first.is_none() && (fresh.is_none() || !ordered) {
            // It was added again and got what an earlier entry was owed: what it has to get now is still to be made.
            continue;
        }
        if !followed || chain.highest.is_none_or(|own| own >= highest) {
            chain.behind = None;
        } else if own || chain.behind.is_none() {
            chain.behind = Some(now);
        }
    }
}

impl Receiver {
    /// Another receiver got a record. If it was surely made after the Call Bridge was told of this one, and this one has
    /// nothing of the session yet, it is missing here.
    fn lacks(&mut self, (session, index): (&Session, u64), now: Duration, moment: &Moment<'_>) {
        let long_told = self.told.is_some_and(|told| now > told + moment.deadlines.reaction);
        let well = self.failing.is_none() && self.trouble.is_none_or(|trouble| trouble.at < session.seen);
        let known = self.lacking.is_some_and(|lacking| lacking.session == session.id);
        if !known
            && long_told
            && well
            && self.clock.runs()
            && self.chains.iter().all(|known| known.session != session.id)
        {
            self.lacking = Some(Lacking { session: session.id, index, since: now, seq: moment.seq });
        }
    }

    /// The first set of a session begins with that record, `declared` others before it being discarded; or with one that
    /// says nothing, since what it begins with is open.
    pub(super) fn begins(&mut self, session: u128, index: Option<u64>, declared: u64, moment: &mut Moment<'_>) {
        let Some(lacking) = self.lacking.filter(|lacking| lacking.session == session) else { return };
        self.lacking = None;
        let Some(index) = index else { return };
        if lacking.index < index.saturating_sub(declared)
            && self.trouble.is_none_or(|trouble| trouble.seq < lacking.seq)
        {
            let expected = format!("{}, as another receiver", stretch(lacking.index, index - 1));
            moment.fail(R::Cdr13, &expected, format!("record {index} first"), &[lacking.seq]);
        }
    }

    /// Charges that nothing of a session has come.
    fn gets_nothing(&mut self, session: u128, window: Duration, troubled: Option<Seq>, moment: &mut Moment<'_>) {
        let now = self.clock.elapsed(moment.at);
        let overdue = |lacking: &Lacking| lacking.session == session && now >= lacking.since.max(self.active) + window;
        let Some(lacking) = self.lacking.filter(overdue) else { return };
        self.lacking = None;
        let special = self.sets == 0 && self.address.as_ref().is_some_and(Address::is_special);
        if self.trouble.is_some_and(|trouble| trouble.seq > lacking.seq) || special && self.is_untrusted() {
            return;
        }
        let rule = match troubled {
            _ if special => R::Cdr16,
            _ if self.sets == 0 => R::Cdr13,
            Some(_) => R::Cdr19,
            None => moment.stopped_by_fifth(self),
        };
        let expected = format!("record {} and later ones, as another receiver", lacking.index);
        let evidence: Vec<Seq> = [lacking.seq].into_iter().chain(troubled.filter(|_| rule == R::Cdr19)).collect();
        moment.fail(rule, &expected, "none".to_owned(), &evidence);
    }
}

/// Charges what a receiver lacks and nothing will bring any more.
pub(super) fn expire(
    id: ReceiverId,
    session: &Session,
    receivers: &mut BTreeMap<ReceiverId, Receiver>,
    busy: bool,
    moment: &mut Moment<'_>,
) {
    let Some(receiver) = receivers.get(&id) else { return };
    let patience = receiver.patience(moment.deadlines.redelivery);
    let window = patience + moment.deadlines.reaction;
    let since = moment.at - window;
    let idle = receiver.lacking.is_none()
        && receiver
            .chains
            .iter()
            .all(|chain| chain.pending.is_empty() && chain.gaps.is_empty() && chain.behind.is_none());
    if idle {
        return;
    }
    let troubled = other_in_trouble(id, since - window, receivers);
    let Some(receiver) = receivers.get_mut(&id) else { return };
    if !busy {
        receiver.gets_nothing(session.id, window, troubled.or(moment.unreachable), moment);
    }
    let (now, active) = (receiver.clock.elapsed(moment.at), receiver.active);
    let waits = receiver.trouble.is_some_and(|trouble| receiver.last_set.is_none_or(|last| last < trouble.at));
    let drained = receiver.last_set.is_some_and(|last| session.grown <= last + Duration::from_secs(1));
    let discarded = receiver.trouble.is_some_and(|trouble| !waits && (drained || trouble.at >= session.grown));
    let stopped = moment.stopped_by_fifth(receiver);
    let alone = receiver.is_alone();
    let Some(chain) = receiver.chains.iter_mut().find(|chain| chain.session == session.id) else { return };
    chain.unexplained(now, &session.memory, moment);
    if busy {
        return;
    }
    if chain.overdue(active, now, (patience, alone), moment) {
        receiver.given_up = Some(moment.at);
    }
    let behind = chain.behind.filter(|behind| now >= (*behind).max(active) + window && chain.pending.is_empty());
    if behind.is_some() {
        chain.behind = None;
        // What it lacks may have been discarded while what was kept for it went out, with nothing after it that could
        // say so.
        if discarded {
            return;
        }
        let (rule, expected) = match troubled {
            _ if waits => (R::Cdr03, "every record, once the receiver is there again"),
            Some(_) => (R::Cdr19, "every record, whatever other receivers do"),
            None if stopped == R::Cdr14 => (R::Cdr14, "every record, whether or not a fifth receiver is asked for"),
            None => (R::Cdr13, "every record that another receiver got"),
        };
        let observed = format!("none after record {}", chain.highest.unwrap_or_default());
        let evidence: Vec<Seq> = [chain.seq].into_iter().chain(troubled).collect();
        moment.fail(rule, expected, observed, &evidence);
        // What comes later all the same begins anew.
        chain.loose = true;
    }
}

/// Where another receiver than `id` was in trouble since then.
pub(super) fn other_in_trouble(
    id: ReceiverId,
    since: Instant,
    receivers: &BTreeMap<ReceiverId, Receiver>,
) -> Option<Seq> {
    let others = receivers.values().filter(|other| other.id != id && other.is_on() && other.was_troubled(since));
    others.filter_map(|other| other.trouble.map(|trouble| trouble.seq)).next()
}

/// When the next thing is overdue at a receiver.
pub(super) fn due(receiver: &Receiver, session: &Session, moment: (Duration, Duration)) -> Option<Instant> {
    let (redelivery, reaction) = moment;
    let patience = receiver.patience(redelivery);
    let window = patience + reaction;
    if let Some(lacking) = receiver.lacking.filter(|lacking| lacking.session == session.id) {
        return receiver.clock.when(lacking.since.max(receiver.active) + window);
    }
    let chain = receiver.chains.iter().find(|chain| chain.session == session.id)?;
    let pending = chain.pending.iter().filter(|pending| pending.is_owed(receiver.is_alone()));
    let pending = pending.map(|pending| pending.due(receiver.active, patience));
    let gaps = chain.gaps.iter().map(|gap| gap.since + redelivery);
    let behind = chain.behind.map(|behind| behind.max(receiver.active) + window);
    receiver.clock.when(pending.chain(gaps).chain(behind).max()?)
}
