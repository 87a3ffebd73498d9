//! The seam at which a CDR receiver is bent: the counterpart of bent clients, for rules that judge receivers.
//!
//! A bent receiver breaks one requirement on purpose. It is asked about each set that has arrived whole and that no plan
//! decides about, and knows what a real one could know: what it got before. A receiver that is not bent pays nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::bends::{self, BentReceiver};
use super::plan::Action;
use crate::protocol::cdr::{Record, Set};
use crate::trace::LinkId;

/// A set that has arrived whole.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// How many sets have arrived whole, this one included.
    pub nth: u64,
    /// How many of them on this connection.
    pub nth_on_link: u64,
    /// The records.
    pub records: Set<'a>,
    /// Whether a record was there before.
    pub is_repeated: bool,
    /// Whether records are missing before one of these.
    pub has_gap: bool,
    /// Whether the session is another one than that of the set before.
    pub is_new_session: bool,
    /// Whether a sender has vanished in the middle of a set, at any time before.
    pub is_after_cut: bool,
}

/// What a receiver is bent by, and what it remembers for that.
#[derive(Debug, Default)]
pub(super) struct Bends {
    rows: Vec<&'static BentReceiver>,
    sets: u64,
    on_links: BTreeMap<LinkId, u64>,
    seen: BTreeSet<(String, u64)>,
    session: Option<String>,
    cut: bool,
}

impl Bends {
    /// The bends of these names; a name that none has is passed over.
    pub(super) fn named(names: &[String]) -> Self {
        Self { rows: names.iter().filter_map(|name| bends::find(name)).collect(), ..Self::default() }
    }

    /// Whether connections are taken.
    pub(super) fn takes_links(&self) -> bool {
        !(self.cut && self.rows.iter().any(|row| row.deaf_after_cut))
    }

    /// A sender has vanished in the middle of a set.
    pub(super) const fn vanished(&mut self) {
        self.cut = true;
    }

    /// A connection is gone.
    pub(super) fn link_ended(&mut self, link: LinkId) {
        self.on_links.remove(&link);
    }

    /// A set has arrived whole: what is done with it, where that is not what should be done.
    pub(super) fn act(&mut self, link: LinkId, records: Set<'_>) -> Option<Action> {
        if self.rows.is_empty() {
            return None;
        }
        let arrived = self.look(link, records);
        self.rows.iter().find_map(|row| (row.act)(&arrived))
    }

    fn look<'a>(&mut self, link: LinkId, records: Set<'a>) -> Arrived<'a> {
        self.sets += 1;
        let on_link = self.on_links.entry(link).or_default();
        *on_link += 1;
        let session = records.session().unwrap_or_default().to_owned();
        let is_new_session = self.session.replace(session.clone()).is_some_and(|before| before != session);
        let number = |record: Record<'_>| record.correlator_index().and_then(|index| index.parse().ok());
        let keys: Vec<(String, u64)> =
            records.records().filter_map(number).map(|index| (session.clone(), index)).collect();
        let is_repeated = keys.iter().any(|key| self.seen.contains(key));
        self.seen.extend(keys);
        Arrived {
            nth: self.sets,
            nth_on_link: *on_link,
            records,
            is_repeated,
            has_gap: records.records().any(|record| record.missing().is_some()),
            is_new_session,
            is_after_cut: self.cut,
        }
    }
}
