//! What becomes of sets: acknowledged ones are not sent again (CDR-02), all others are (CDR-03), one after the other
//! (CDR-04); and what a Call Bridge makes of answers that the guides do not mention (CDR-23).
//!
//! An answer counts as received only where it went out whole and at once, and where this side did not end the connection
//! right after it. Everything else may have been taken for an acknowledgement or not.

use std::time::Duration;

use super::Moment;
use super::links::{PROMPT, coarse};
use super::receiver::{Answered, Chain, Kind, OpenSet, Pending, Receiver};
use super::spans::Few;
use crate::rules::registry::R;
use crate::time::Instant;
use crate::trace::Seq;

/// A set arrives while others have no answer yet: right only if it repeats what they hold.
pub(super) fn outstanding(
    open: &mut [OpenSet],
    receiver: &mut Receiver,
    session: u128,
    first: Option<u64>,
    declared: bool,
    moment: &mut Moment<'_>,
) {
    if !receiver.is_ordered(moment.at) {
        return;
    }
    let mut waiting =
        open.iter_mut().filter(|open| open.receiver == receiver.id && open.session == Some(session) && !open.given_up);
    let Some(first) = first.filter(|_| receiver.sets > 1) else { return };
    let newer = waiting.find_map(|other| {
        let newer = other.spans.lowest().is_some_and(|lowest| first > lowest) && !declared;
        other.given_up = !newer;
        newer.then_some((other.spans, other.seq))
    });
    match newer {
        None => moment.docket.tested(R::Cdr04),
        Some((spans, seq)) => {
            receiver.overlapped = true;
            let expected = "the next set only after the one before it was answered 200";
            let observed = format!("record {first} while {} has no answer", in_words(&spans));
            moment.fail(R::Cdr04, expected, observed, &[seq]);
        }
    }
}

/// Records of a set in words.
pub(super) fn in_words(spans: &Few) -> String {
    let stretches: Vec<String> = spans.iter().map(|(first, last)| stretch(first, last)).collect();
    if stretches.is_empty() { "a set".to_owned() } else { stretches.join(", ") }
}

/// A stretch of records in words.
pub(super) fn stretch(first: u64, last: u64) -> String {
    if first == last { format!("record {first}") } else { format!("records {first} to {last}") }
}

impl Receiver {
    /// The receiver answered a set.
    pub(super) fn answered(&mut self, set: &OpenSet, status: u16, whole: bool, at: Instant, seq: Seq) {
        let prompt = at.since(set.arrived) <= PROMPT;
        let sure = status == 200 && whole && prompt;
        if !sure {
            self.troubled(Kind::Unanswered, at, seq);
        }
        self.answered = Some(Answered {
            link: set.link,
            at,
            seq,
            sure,
            slow: set.slow,
            closes: set.closes,
            single: set.single,
            session: set.session,
            spans: set.spans,
            dropped: None,
        });
        let (since, on) = (self.active, self.is_followed());
        if sure && self.failing.take().is_some() {
            self.healed = Some(at);
        }
        let Some(chain) = set.session.and_then(|session| self.chain(session)) else { return };
        if sure {
            for (first, last) in set.spans.iter() {
                chain.acked.insert(first, last);
                chain.settle(first, last, |_| {});
            }
            if let (Some(last), Some((sure, highest))) = (set.last_record_index, chain.numbered) {
                chain.numbered = Some((sure.max(last), highest));
            }
        } else if status >= 400 {
            if on {
                chain.owe(&set.spans, since, set.seq, seq);
            }
        } else {
            for (first, last) in set.spans.iter() {
                chain.doubtful.insert(first, last);
                chain.settle(first, last, |_| {});
            }
            if whole && status > 200 {
                chain.odd_answer = Some((set.spans, status));
            }
        }
    }

    /// A set gets no answer any more.
    pub(super) fn unanswered(&mut self, set: &OpenSet, at: Instant, seq: Seq) {
        self.troubled(Kind::Unanswered, at, seq);
        self.answered = None;
        let (since, on) = (self.active, self.is_followed());
        // Who is not told to send here, or not any more, owes nothing.
        if let Some(chain) = set.session.and_then(|session| self.chain(session)).filter(|_| on) {
            chain.owe(&set.spans, since, set.seq, seq);
        }
    }

    /// A part of a set arrived.
    pub(super) fn cut(&mut self, by_receiver: bool, at: Instant, seq: Seq) {
        self.troubled(Kind::Cut, at, seq);
        self.answered = None;
        if by_receiver && self.is_on() && self.is_ordered(at) {
            self.cut = Some((self.active, seq));
        }
    }
}

impl Chain {
    /// A record that was not acknowledged came again.
    pub(super) fn repeated(&mut self, index: u64, now: Duration, moment: &mut Moment<'_>) {
        let mut found: Option<Pending> = None;
        self.settle(index, index, |pending| found = Some(*pending));
        let Some(pending) = found else { return };
        // A stretch counts once, with its first record.
        if pending.first != index {
            return;
        }
        moment.docket.tested(R::Cdr03);
        moment.docket.note_word(R::Cdr23, "repetition-interval", coarse(now.saturating_sub(pending.since)));
        if let Some(later) = pending.overtaken {
            let expected = format!("{} before later records", stretch(pending.first, pending.last));
            let observed = "sent again after later ones".to_owned();
            moment.fail(R::Cdr04, &expected, observed, &[pending.received, pending.failed, later]);
        }
    }

    /// A set with records from `first` to `last` was taken in: what failed before and is not in it was passed over.
    pub(super) fn passed_over(&mut self, first: u64, last: u64, seq: Seq) {
        for pending in &mut self.pending {
            if pending.last < first || (pending.first > first && pending.last < last) {
                pending.overtaken.get_or_insert(seq);
            }
        }
    }

    /// What became of records that were answered by another 2xx, or by a redirect.
    pub(super) fn odd_answers(&mut self, first: u64, moment: &mut Moment<'_>) {
        let Some((spans, status)) = self.odd_answer.take() else { return };
        let Some(lowest) = spans.lowest() else { return };
        let again = first <= lowest;
        let (name, word) = match (status, again) {
            (..300, true) => ("other-2xx", "sent again"),
            (..300, false) => ("other-2xx", "taken for 200"),
            (_, true) => ("redirect", "sent again"),
            (_, false) => ("redirect", "not sent again here"),
        };
        moment.docket.note_word(R::Cdr23, name, word);
    }

    /// Judges what has not come again in `allowed`. `active` is when something arrived or failed last, `now` the time,
    /// both on the receiver's clock. Returns whether anything was charged.
    pub(super) fn overdue(
        &mut self,
        active: Duration,
        now: Duration,
        (allowed, alone): (Duration, bool),
        moment: &mut Moment<'_>,
    ) -> bool {
        let (mut at, mut charged) = (0, false);
        while let Some(pending) = self.pending.get(at).copied() {
            if now < pending.due(active, allowed) || !pending.is_owed(alone) {
                at += 1;
                continue;
            }
            self.pending.remove(at);
            charged = true;
            let what = stretch(pending.first, pending.last);
            let expected = format!("{what} sent again until answered 200");
            let observed = match pending.overtaken {
                Some(_) => "later records, but not these again".to_owned(),
                None => format!("nothing for {} s", allowed.as_secs_f32()),
            };
            let evidence: Vec<Seq> = [pending.received, pending.failed].into_iter().chain(pending.overtaken).collect();
            moment.fail(R::Cdr03, &expected, observed, &evidence);
        }
        charged
    }
}

impl Pending {
    /// Whether it has to come at all. A receiver that is alone in a trace may be told of no more, unless records that
    /// are later than these still come.
    pub(super) const fn is_owed(&self, alone: bool) -> bool {
        !alone || self.overtaken.is_some()
    }

    /// When it is overdue, on the receiver's clock. What waits behind a set that fails waits on.
    pub(super) fn due(&self, active: Duration, allowed: Duration) -> Duration {
        let since = if self.overtaken.is_some() { self.since } else { self.since.max(active) };
        since + allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_named_in_words() {
        let mut few = Few::default();
        assert_eq!(in_words(&few), "a set");
        [3, 4, 5, 9].into_iter().for_each(|index| few.push(index));
        assert_eq!(in_words(&few), "records 3 to 5, record 9");
    }
}
