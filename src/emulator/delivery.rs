//! From changes to messages: who has to be told what, what waits, and when it may be sent.
//!
//! After every input changes are compared with what each subscription was told ([`Core::report_changes`]), at once or
//! collected for a while. Events pass the mutants, wait in the queue of their connection, and leave as the ack window
//! allows ([`Core::pump`]). A connection that is too far behind is not compared until its queue has drained, so nothing
//! grows without bound.

use serde_json::{Map, Value};

use super::change::Note;
use super::connection::Queued;
use super::core::Core;
use super::mutant::{Question, seen};
use super::timers::Due;
use super::typed::{ConnectionKey, Effect, Event, StateOf};
use super::values::{Backlog, Count, Listed};
use crate::protocol::events::{Resource, State};

impl Core {
    /// Reports what has changed, or sees to it that it is reported when enough was collected.
    pub(super) fn report_changes(&mut self) {
        if self.world.revision == self.reported || self.collecting {
            return;
        }
        if self.settings.bundle_delay.is_zero() {
            self.flush();
        } else {
            self.collecting = true;
            self.timers.at(self.now + self.settings.bundle_delay, Due::Flush);
        }
    }

    /// Compares the world with what every active subscription was told.
    pub(super) fn flush(&mut self) {
        self.collecting = false;
        self.reported = self.world.revision;
        let keys: Vec<ConnectionKey> = self.connections.keys().copied().collect();
        for key in keys {
            if self.may_compare(key) {
                self.compare(key);
                self.pump(key);
            } else if let Some(connection) = self.connections.get_mut(&key) {
                connection.behind = true;
            }
        }
        self.world.reasons.clear();
    }

    /// Settles the pending subscriptions of a connection that are due: states first, then what stands.
    pub(super) fn settle(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get(&key) else { return };
        let due: Vec<(u64, Option<String>, bool)> = connection
            .subscriptions
            .values()
            .filter(|subscription| subscription.state == State::Pending && subscription.due <= self.now)
            .map(|subscription| (subscription.index, subscription.call.clone(), subscription.doomed))
            .collect();
        let mut states = Vec::new();
        for (index, call, doomed) in due {
            let good = !doomed
                && call.is_none_or(|call| {
                    let known = self.world.calls.contains_key(&call);
                    self.mutants.decide(Question::IsActiveCall { connection: key, index, call: &call }, known)
                });
            let state = if good { State::Active } else { State::Deactivated };
            let connection = self.connections.get_mut(&key);
            if let Some(subscription) = connection.and_then(|known| known.subscriptions.get_mut(&index)) {
                subscription.state = state;
                states.push(StateOf::new(index, state));
            }
        }
        if states.is_empty() {
            return;
        }
        let activated: Vec<u64> = states.iter().filter(|s| s.state == "active").map(|s| s.index).collect();
        self.tell_states(key, states);
        for index in activated {
            self.compare_one(key, index);
        }
        self.note(|| Note::Audience);
        self.pump(key);
    }

    /// Reports states, as many in a message as the settings say.
    pub(super) fn tell_states(&mut self, key: ConnectionKey, states: Vec<StateOf>) {
        if states.is_empty() {
            return;
        }
        if !self.settings.states_bundled {
            for state in states {
                self.tell(key, Event::States(vec![state]));
            }
            return;
        }
        let listed = match (self.settings.states_listed, self.connections.get(&key)) {
            (Listed::All, Some(connection)) if (connection.queue.len() as u64) < self.settings.backlog_limit => {
                let ended = states.iter().filter(|s| !connection.subscriptions.contains_key(&s.index)).copied();
                let standing = connection.subscriptions.values().filter_map(|subscription| {
                    let hidden = subscription.state == State::Pending && !self.settings.pending_reported;
                    (!hidden).then(|| StateOf::new(subscription.index, subscription.state))
                });
                ended.chain(standing).collect()
            }
            _ => states,
        };
        self.tell(key, Event::States(listed));
    }

    /// Takes an event through the mutants and queues what they let through.
    pub(super) fn tell(&mut self, key: ConnectionKey, event: Event) {
        let view = seen!(self);
        for (delay, (key, event)) in self.mutants.event(&view, key, event) {
            if !delay.is_zero() {
                self.timers.at(self.now + delay, Due::Event(key, event));
            } else if let Some(connection) = self.connections.get_mut(&key) {
                connection.queue.push_back(event.into());
            }
        }
    }

    /// Queues an event that has passed the mutants; far behind, it is lost.
    pub(super) fn queue(&mut self, key: ConnectionKey, event: Event) {
        let most = usize::try_from(self.settings.backlog_limit).unwrap_or(usize::MAX).saturating_mul(2);
        if let Some(connection) = self.connections.get_mut(&key).filter(|known| known.queue.len() < most) {
            connection.queue.push_back(event.into());
        }
        self.pump(key);
    }

    /// Sends what may be sent on a connection.
    pub(super) fn pump(&mut self, key: ConnectionKey) {
        loop {
            let Some(connection) = self.connections.get(&key) else { return };
            let idle = connection.queue.is_empty();
            let catch_up = idle && connection.behind;
            if connection.closing || (idle && !catch_up) || self.is_held_back(key) {
                return;
            }
            if catch_up {
                self.compare(key);
            }
            let Some(connection) = self.connections.get_mut(&key) else { return };
            let Some(Queued { event, causes }) = connection.queue.pop_front() else { return };
            let id = connection.take_id();
            let every = self.settings.extra_messages;
            if every > 0 && connection.sent.is_multiple_of(every + 1) {
                let notice = [("type".to_owned(), Value::from("serverNotice")), ("text".to_owned(), "routine".into())];
                connection.queue.push_front(Event::Other(Map::from_iter(notice)).into());
            }
            if !causes.is_empty() {
                self.note(|| Note::Told { connection: key, id, causes });
            }
            self.emit(Effect::Message { connection: key, id, event });
        }
    }

    fn is_held_back(&mut self, key: ConnectionKey) -> bool {
        let outstanding = self.connections.get(&key).map_or(0, |connection| connection.outstanding());
        let held = match self.settings.window {
            Count::Any => false,
            Count::Of(limit) => outstanding >= limit,
        };
        self.mutants.decide(Question::IsHeldBack { connection: key, outstanding }, held)
    }

    fn may_compare(&mut self, key: ConnectionKey) -> bool {
        let Some(connection) = self.connections.get(&key) else { return false };
        let waiting = connection.queue.len() as u64;
        match self.settings.backlog {
            Backlog::Queue => !connection.behind && waiting < self.settings.backlog_limit.max(1),
            Backlog::Coalesce => waiting == 0 && !self.is_held_back(key),
        }
    }

    /// Tells every active subscription of a connection what has changed.
    fn compare(&mut self, key: ConnectionKey) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        connection.behind = false;
        let from = connection.queue.len();
        let active: Vec<u64> = connection
            .subscriptions
            .values()
            .filter(|subscription| subscription.state == State::Active)
            .map(|subscription| subscription.index)
            .collect();
        let mut over = Vec::new();
        for index in active {
            if self.compare_one(key, index) {
                over.push(StateOf::new(index, State::Deactivated));
            }
        }
        let void = self.connections.get_mut(&key).map(|connection| connection.attribute(from)).unwrap_or_default();
        if !void.is_empty() {
            self.note(|| Note::Void { connection: key, causes: void, by_client: false });
        }
        self.tell_states(key, over);
    }

    /// Tells one active subscription what has changed. Whether it ends because its call has.
    fn compare_one(&mut self, key: ConnectionKey, index: u64) -> bool {
        let connection = self.connections.get_mut(&key);
        let Some(subscription) = connection.and_then(|known| known.subscriptions.get_mut(&index)) else { return false };
        let resource = subscription.resource;
        let changes = subscription.changes(&self.world, &self.settings);
        let most = match self.settings.entries_per_message {
            _ if resource == Resource::CallInfo => 1,
            Count::Any => usize::MAX,
            Count::Of(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        };
        let mut entries = changes.entries;
        while !entries.is_empty() {
            let rest = entries.split_off(most.min(entries.len()));
            self.tell(key, Event::Update { index, resource, entries });
            entries = rest;
        }
        let ends = changes.over && self.mutants.decide(Question::EndsWithCall { connection: key, index }, true);
        if ends {
            let connection = self.connections.get_mut(&key);
            if let Some(subscription) = connection.and_then(|known| known.subscriptions.get_mut(&index)) {
                subscription.state = State::Deactivated;
                self.note(|| Note::Audience);
            }
        }
        ends
    }
}
