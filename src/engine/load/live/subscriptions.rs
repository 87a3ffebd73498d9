//! Requests for other subscriptions while a load runs: held back while something is still to be told to their watcher, timed
//! to their acks and until all is settled, or failed.

use std::cmp::Reverse;

use super::{Alarm, Live, Subject, Work};
use crate::load::{Metric, Stamps};
use crate::protocol::events::Ack;
use crate::protocol::events::names::SUCCESS;
use crate::time::Instant;

impl Live {
    /// A request for subscriptions that can be sent now: nothing waits any more for what its watcher was to be told.
    pub(in super::super) fn next_held(&mut self) -> Option<(u64, usize)> {
        self.held.retain(|number| self.works.contains_key(number));
        let place_of = |number: &u64| match self.works.get(number)?.subject {
            Subject::Watcher { place, .. } => Some(place),
            _ => None,
        };
        let is_awaited =
            |place: usize| self.works.values().any(|work| work.waits_for.iter().any(|waits| *waits as usize == place));
        let at = self.held.iter().position(|number| place_of(number).is_some_and(|place| !is_awaited(place)))?;
        let place = place_of(&self.held[at])?;
        Some((self.held.swap_remove(at), place))
    }

    /// A request for subscriptions was sent that leaves `lacks` out, or could not be.
    pub(in super::super) fn asked(&mut self, number: u64, sent: Option<u64>, lacks: Option<u64>, now: Instant) {
        let Some(work) = self.works.get_mut(&number) else { return };
        let Subject::Watcher { place, request, .. } = &mut work.subject else { return };
        // What came first was not the server's to hurry.
        (work.stamps, work.deadline, *request) = (Stamps::at(now), now + self.within, sent);
        let watcher = &mut self.all.watchers[*place];
        if sent.is_some() {
            watcher.lacked = std::mem::replace(&mut watcher.lacks, lacks);
            self.alarms.push(Reverse((work.deadline, Alarm::Overdue(number))));
        } else {
            self.metrics.fail(Metric::Settle, now, now, "there was no open connection");
            self.end(number, now);
        }
    }

    /// A watcher heard an ack.
    pub(in super::super::super) fn hear_ack(&mut self, watcher: u32, ack: Ack<'_>, now: Instant) {
        let Some(id) = ack.message_id() else { return };
        self.is_stirred = true;
        if self.follower_heard_ack(watcher, ack, now) {
            return;
        }
        let is_it = |work: &Work| matches!(work.subject, Subject::Watcher { place, request, .. } if place == watcher as usize && request == Some(id));
        let Some((number, work)) = self.works.iter_mut().find(|(_, work)| is_it(work)) else { return };
        let (number, stamps) = (*number, work.stamps);
        if let Subject::Watcher { is_acked, .. } = &mut work.subject
            && !std::mem::replace(is_acked, true)
        {
            self.metrics.record(Metric::Ack, stamps, now);
        }
        if ack.status() != Some(SUCCESS) {
            let watcher = &mut self.all.watchers[watcher as usize];
            watcher.lacks = watcher.lacked;
            self.metrics.fail(Metric::Settle, stamps.scheduled, now, "the request for subscriptions was refused");
            self.end(number, now);
        }
    }

    /// The subscriptions of a watcher are settled, all of them active or not: a request for others is through.
    pub(in super::super::super) fn settled(&mut self, watcher: u32, is_active: bool, now: Instant) {
        self.is_stirred = true;
        if self.follower_settled(watcher, now) {
            return;
        }
        let of_it = |work: &Work| matches!(work.subject, Subject::Watcher { place, is_acked: true, .. } if place == watcher as usize);
        let Some(number) = self.works.iter().find(|(_, work)| of_it(work)).map(|(number, _)| *number) else { return };
        let stamps = self.works[&number].stamps;
        if is_active {
            self.metrics.record(Metric::Settle, stamps, now);
        } else {
            self.metrics.fail(Metric::Settle, stamps.scheduled, now, "not every subscription became active");
        }
        self.end(number, now);
    }

    /// A request for subscriptions that was sent gets no ack any more, if it is one.
    pub(super) fn fail_ack(&mut self, number: u64, cause: &str, now: Instant) {
        let Some(Work { subject, stamps, .. }) = self.works.get(&number) else { return };
        if let Subject::Watcher { request: Some(_), is_acked: false, .. } = subject {
            self.metrics.fail(Metric::Ack, stamps.scheduled, now, cause);
        }
    }

    /// Whether a watcher's request for subscriptions is under way.
    pub(in super::super::super) fn awaits_states(&self, watcher: u32) -> bool {
        self.all.watchers.get(watcher as usize).is_some_and(|watcher| watcher.is_busy)
    }
}
