//! What the server has to do later, in order of time and, at the same instant, of being asked for.

use std::collections::BTreeMap;

use super::cdr::{Draft, Post, ReceiverKey};
use super::dialing::{Destination, DialStep};
use super::typed::{ConnectionKey, Effect, Event, Input, LinkKey};
use crate::time::Instant;

/// Something to be done.
#[derive(Debug)]
pub(super) enum Due {
    /// Handle an input that has passed the filters.
    Input(Input),
    /// Queue an event that has passed the filters.
    Event(ConnectionKey, Event),
    /// Let out an effect that has passed the filters.
    Effect(Effect),
    /// Let out an effect that has yet to pass the filters.
    Emit(Effect),
    /// Settle the pending subscriptions that are due.
    Settle(ConnectionKey),
    /// Report changes that were collected.
    Flush,
    /// Go on with a dial.
    Dial(String, DialStep),
    /// Free one place.
    FreePlace,
    /// End a connection on which the answer to a close frame is overdue.
    GiveUp(ConnectionKey),
    /// Let a leg that has arrived enter its call or the IVR.
    Place(String, Destination),
    /// Number a record that has passed the mutants.
    Record(Draft),
    /// Send a receiver what waits for it.
    Deliver(ReceiverKey),
    /// Send a POST that has passed the mutants.
    Post(LinkKey, Box<Post>),
    /// Give up waiting for a receiver's answer, if it has not come.
    LinkOverdue(LinkKey),
    /// End a restart.
    Up,
}

/// All that is to be done later.
#[derive(Debug, Default)]
pub(super) struct Timers {
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
}

impl Timers {
    pub(super) fn at(&mut self, instant: Instant, due: Due) {
        self.count += 1;
        self.due.insert((instant, self.count), due);
    }

    /// The first thing that is due by `now`.
    pub(super) fn take(&mut self, now: Instant) -> Option<(Instant, Due)> {
        let first = self.due.first_entry().filter(|first| first.key().0 <= now)?;
        let ((at, _), due) = first.remove_entry();
        Some((at, due))
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((at, _), _)| *at)
    }
}
