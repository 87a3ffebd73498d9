//! One event connection: its subscriptions, what waits to be sent, and what waits to be acknowledged.
//!
//! Holds state and keeps it bounded; `delivery.rs` decides what goes in and out.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::change::Cause;
use super::subscription::Subscription;
use super::typed::{ConnectionKey, Event};
use crate::protocol::events::State;

/// How many unacknowledged ids are remembered where the window has no bound.
const REMEMBERED: usize = 1024;

/// The ids stay within what every JSON reader holds exactly.
const LARGEST_ID: u64 = (1 << 53) - 1;

/// One event connection that is open.
#[derive(Debug)]
pub struct Connection {
    /// Its key; keys count up from 1 in the order of acceptance.
    pub key: ConnectionKey,
    /// The subscriptions of the request in force, by index.
    pub subscriptions: BTreeMap<u64, Subscription>,
    /// Messages sent so far, acks not counted.
    pub sent: u64,
    /// Requests granted so far.
    pub requests: u64,
    pub(super) queue: VecDeque<Queued>,
    /// What has happened of which it has to be told, and no event was made of so far.
    pub(super) causes: Vec<Waiting>,
    pub(super) received: Vec<u8>,
    /// Whether a close frame was sent and the end is awaited.
    pub(super) closing: bool,
    /// Whether it takes a place.
    pub(super) counted: bool,
    /// Whether changes were left for later because too much waits already.
    pub(super) behind: bool,
    outstanding: BTreeSet<u64>,
    next_id: u64,
    id_step: u64,
}

/// Something of a load that a connection is to be told of: entries about these tell of it.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) cause: Cause,
    pub(super) about: Arc<[String]>,
}

/// An event that waits to be sent.
#[derive(Debug, PartialEq)]
pub(super) struct Queued {
    pub(super) event: Event,
    /// What of a load it tells of.
    pub(super) causes: Vec<Cause>,
}

impl From<Event> for Queued {
    fn from(event: Event) -> Self {
        Self { event, causes: Vec::new() }
    }
}

impl Connection {
    pub(super) fn new(key: ConnectionKey, counted: bool, first_id: u64, id_step: u64) -> Self {
        Self {
            key,
            subscriptions: BTreeMap::new(),
            sent: 0,
            requests: 0,
            queue: VecDeque::new(),
            causes: Vec::new(),
            received: Vec::new(),
            closing: false,
            counted,
            behind: false,
            outstanding: BTreeSet::new(),
            next_id: first_id,
            id_step: id_step.max(1),
        }
    }

    /// Whether a server message with that id is unacknowledged.
    pub fn is_outstanding(&self, id: u64) -> bool {
        self.outstanding.contains(&id)
    }

    /// How many messages are unacknowledged.
    pub fn outstanding(&self) -> u64 {
        self.outstanding.len() as u64
    }

    /// How many messages wait to be sent.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes the id for the message to be sent now.
    pub(super) fn take_id(&mut self) -> u64 {
        while self.outstanding.contains(&self.next_id) {
            self.next_id = next(self.next_id, self.id_step);
        }
        let id = self.next_id;
        self.next_id = next(id, self.id_step);
        if self.outstanding.len() >= REMEMBERED {
            self.outstanding.pop_first();
        }
        self.outstanding.insert(id);
        self.sent += 1;
        id
    }

    /// Notes an ack; late, repeated and unknown ones change nothing.
    pub(super) fn acknowledge(&mut self, id: u64) {
        self.outstanding.remove(&id);
    }

    /// Drops all that waits to be sent. What of a load it would have told of.
    pub(super) fn clear(&mut self) -> Vec<Cause> {
        let queued = self.queue.drain(..).flat_map(|queued| queued.causes);
        queued.chain(self.causes.drain(..).map(|waiting| waiting.cause)).collect()
    }

    /// What was looked for has led to the events from the place `from` on in the queue: each cause goes with the last of them
    /// that is about the same. Those of which none tells.
    pub(super) fn attribute(&mut self, from: usize) -> Vec<Cause> {
        let mut void = Vec::new();
        for Waiting { cause, about } in self.causes.drain(..) {
            let events = self.queue.range_mut(from.min(self.queue.len())..);
            match events.rev().find(|queued| tells_of(&queued.event, &about)) {
                Some(last) => last.causes.push(cause),
                None => void.push(cause),
            }
        }
        void
    }

    /// Takes out of the queue what a new request makes void: everything about indexes that are not kept, but for the
    /// end of those that the new set does not use. What of a load that would have told of.
    pub(super) fn purge(&mut self, kept: &BTreeSet<u64>, wanted: &BTreeSet<u64>) -> Vec<Cause> {
        let mut void = Vec::new();
        self.queue.retain_mut(|queued| {
            let stays = stays(&mut queued.event, kept, wanted);
            if !stays {
                void.append(&mut queued.causes);
            }
            stays
        });
        void
    }
}

/// Whether an event has an entry about one of these.
fn tells_of(event: &Event, about: &[String]) -> bool {
    match event {
        Event::Update { entries, .. } => entries.iter().any(|entry| about.contains(&entry.key)),
        Event::States(_) | Event::Other(_) => false,
    }
}

/// Whether an event has a meaning under a new request.
fn stays(event: &mut Event, kept: &BTreeSet<u64>, wanted: &BTreeSet<u64>) -> bool {
    match event {
        Event::States(states) => {
            states.retain(|entry| {
                let ended = entry.state == State::Deactivated.as_str();
                kept.contains(&entry.index) || (ended && !wanted.contains(&entry.index))
            });
            !states.is_empty()
        }
        Event::Update { index, .. } => kept.contains(index),
        Event::Other(_) => true,
    }
}

const fn next(id: u64, step: u64) -> u64 {
    let next = id.saturating_add(step);
    if next > LARGEST_ID { 1 } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::typed::StateOf;

    #[test]
    fn ids_grow_by_the_step_and_never_repeat_one_that_is_unacknowledged() {
        let mut connection = Connection::new(ConnectionKey(1), true, LARGEST_ID - 1, 2);
        assert_eq!((connection.take_id(), connection.take_id(), connection.take_id()), (LARGEST_ID - 1, 1, 3));
        connection.acknowledge(1);
        connection.acknowledge(1);
        assert_eq!(connection.outstanding(), 2);
        for _ in 0..5000 {
            connection.take_id();
        }
        assert_eq!(connection.outstanding(), REMEMBERED as u64);
    }

    #[test]
    fn a_purge_keeps_what_is_kept_and_the_end_of_what_is_left_out() {
        let mut connection = Connection::new(ConnectionKey(1), true, 1, 1);
        let states = [(1, State::Active), (2, State::Pending), (3, State::Deactivated), (4, State::Deactivated)];
        connection.queue.push_back(Event::States(states.map(|(i, s)| StateOf::new(i, s)).to_vec()).into());
        let gone = Queued { causes: vec![Cause(7)], ..Event::States(vec![StateOf::new(2, State::Active)]).into() };
        connection.queue.push_back(gone);
        assert_eq!(connection.purge(&BTreeSet::from([1]), &BTreeSet::from([1, 2, 4])), [Cause(7)]);
        let left = [(1, State::Active), (3, State::Deactivated)].map(|(i, s)| StateOf::new(i, s));
        assert_eq!(connection.queue, [Event::States(left.to_vec()).into()]);
    }
}
