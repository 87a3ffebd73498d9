//! What a CDR receiver does with the sets that it gets: the plan that a scenario or a user makes for it.
//!
//! A plan is a list of entries. Of those that fit a set and are not used up, the first decides; where none does, the set
//! is answered 200. Sets are numbered from 1 in the order in which their first byte arrives, counted from when the plan
//! was made. What shows only in the whole set (the types of its records) cannot decide about what happens before it is
//! whole: an entry that names types is looked at when the set has arrived.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::protocol::cdr::Set;
use crate::time::Instant;

/// At which point of a set a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before anything of it is read.
    Start,
    /// When a part of its body has been read.
    InBody,
    /// When it has been read whole.
    AfterBody,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long after the set has arrived.
    pub after: Duration,
    /// Whether the connection is ended after it; otherwise it stays open, if the sender wants that.
    pub close: bool,
    /// Whether it states no length, as the guide's example of a receiver does; otherwise `Content-Length: 0`.
    pub bare: bool,
    /// `Location`, for a redirect.
    pub location: Option<String>,
}

impl Default for Answer {
    /// 200, at once, on a connection that stays open.
    fn default() -> Self {
        Self { status: 200, after: Duration::ZERO, close: false, bare: false, location: None }
    }
}

/// What is done with a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// It is answered.
    Answer(Answer),
    /// It gets no answer; the connection stays open until the sender gives up.
    Never,
    /// The connection is ended in order, without an answer.
    Close(Point),
    /// The connection is ended abruptly, without an answer.
    Reset(Point),
    /// Of an answer with status 200 the first half is sent, then the connection is ended.
    HalfAnswer,
    /// The receiver takes the set, but its answer gets lost: the connection is ended without one.
    LoseAnswer,
}

impl Default for Action {
    fn default() -> Self {
        Self::Answer(Answer::default())
    }
}

/// How slowly a set is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How many bytes at once; at least one.
    pub bytes: usize,
    /// How much time passes before the next ones are read.
    pub every: Duration,
}

/// Which sets an entry is for: those that fit everything that is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Which {
    /// Sets with these numbers; every number where none is named.
    pub numbers: Vec<RangeInclusive<u64>>,
    /// Sets whose number is a multiple of this.
    pub every: Option<u64>,
    /// Sets that hold a record of one of these types.
    pub types: Vec<String>,
    /// Sets that begin to arrive so long after the plan was made, or later.
    pub from: Option<Duration>,
    /// Sets that begin to arrive so long after the plan was made, or earlier.
    pub to: Option<Duration>,
}

impl Which {
    /// Whether a set fits. `records` is the set, once it is whole; before, an entry that names types fits nothing.
    fn fits(&self, number: u64, since: Duration, records: Option<Set<'_>>) -> bool {
        let numbered = self.numbers.is_empty() || self.numbers.iter().any(|range| range.contains(&number));
        let multiple = self.every.is_none_or(|every| every > 0 && number.is_multiple_of(every));
        let in_time = self.from.is_none_or(|from| from <= since) && self.to.is_none_or(|to| since <= to);
        let typed = self.types.is_empty()
            || records.is_some_and(|set| {
                let mut types = set.records().filter_map(|record| record.type_name());
                types.any(|name| self.types.iter().any(|wanted| wanted == name))
            });
        numbered && multiple && in_time && typed
    }
}

/// One entry of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Which sets it is for.
    pub which: Which,
    /// For how many sets it can be used; for any number where this is `None`.
    pub times: Option<u64>,
    /// What is done.
    pub action: Action,
    /// How slowly they are read; at once where this is `None`.
    pub pace: Option<Pace>,
}

impl Entry {
    /// Whether it has to be decided on before the set is whole.
    fn is_early(&self) -> bool {
        let point = match self.action {
            Action::Close(point) | Action::Reset(point) => point,
            _ => Point::AfterBody,
        };
        self.which.types.is_empty() && (point != Point::AfterBody || self.pace.is_some())
    }
}

/// What was decided about one set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Decision {
    pub(super) action: Action,
    pub(super) pace: Option<Pace>,
}

/// The plan of one receiver.
#[derive(Debug)]
pub(super) struct Plan {
    made: Instant,
    begun: u64,
    entries: Vec<(Entry, u64)>,
}

impl Plan {
    pub(super) fn new(made: Instant, entries: Vec<Entry>) -> Self {
        Self { made, begun: 0, entries: entries.into_iter().map(|entry| (entry, 0)).collect() }
    }

    /// Counts a set whose first byte has arrived; gives its number and what is decided about it already.
    pub(super) fn begin(&mut self, now: Instant) -> (u64, Option<Decision>) {
        self.begun += 1;
        let (number, since) = (self.begun, now.since(self.made));
        let first = self.entries.iter_mut().find(|(entry, used)| is_left(entry, *used, number, since, None));
        (number, first.filter(|(entry, _)| entry.is_early()).map(decide))
    }

    /// Decides about a set that is whole, if an entry is for it. One that began under an earlier plan has no number in
    /// this one.
    pub(super) fn finish(&mut self, number: u64, began: Instant, records: Set<'_>) -> Option<Decision> {
        let number = if began < self.made { 0 } else { number };
        let since = began.since(self.made);
        let fits = |entry: &Entry, used| !entry.is_early() && is_left(entry, used, number, since, Some(records));
        self.entries.iter_mut().find(|(entry, used)| fits(entry, *used)).map(decide)
    }
}

fn is_left(entry: &Entry, used: u64, number: u64, since: Duration, records: Option<Set<'_>>) -> bool {
    entry.times.is_none_or(|times| used < times) && entry.which.fits(number, since, records)
}

fn decide((entry, used): &mut (Entry, u64)) -> Decision {
    *used += 1;
    Decision { action: entry.action.clone(), pace: entry.pace }
}
