//! What a restart of the Call Bridge loses and what it keeps, and what a change of a receiver's URI does.
//!
//! Lost: calls, legs, event connections, tokens, records that wait. Kept: coSpaces and receivers, which are configuration.

use std::collections::{BTreeMap, VecDeque};

use super::ledger::Ledger;
use super::record::ReceiverKey;
use super::wire::Target;
use crate::emulator::admission::Tokens;
use crate::emulator::core::Core;
use crate::emulator::mutant::Question;
use crate::emulator::timers::Due;
use crate::emulator::typed::{ConnectionKey, Effect};
use crate::emulator::values::LateReceiver;

impl Core {
    /// Restarts the Call Bridge: down at once, up again after a while.
    pub(in crate::emulator) fn restart(&mut self) {
        let connections: Vec<ConnectionKey> = self.connections.keys().copied().collect();
        for connection in connections {
            self.end(connection, true);
        }
        self.tokens = Tokens::default();
        self.world.restart();
        for link in std::mem::take(&mut self.cdr.links).into_keys() {
            self.emit_link(Effect::CloseLink { link });
        }
        self.cdr.ledger = Ledger::default();
        let up_at = self.now + self.settings.restart_time;
        self.cdr.down_until = Some(up_at);
        self.timers.at(up_at, Due::Up);
    }

    /// The Call Bridge is up again: a new session, indexes from the start.
    pub(in crate::emulator) fn come_up(&mut self) {
        if self.cdr.down_until.is_none_or(|until| until > self.now) {
            return;
        }
        self.cdr.down_until = None;
        self.cdr.began = self.now;
        let session = self.world.new_id_aside();
        if self.mutants.decide(Question::StartsSession, true) {
            self.cdr.session = session;
        }
        if self.mutants.decide(Question::StartsIndexes, true) {
            self.cdr.next = 0;
        }
        self.cdr.kept.clear();
        let next = self.cdr.next;
        for receiver in self.cdr.receivers.values_mut() {
            receiver.begin(VecDeque::new(), next);
        }
    }

    /// Gives a receiver a URI, or none.
    pub(in crate::emulator) fn set_uri(&mut self, key: ReceiverKey, uri: &str, target: Option<Target>) {
        let Some(receiver) = self.cdr.receivers.get_mut(&key) else { return };
        if receiver.uri == uri {
            return;
        }
        let fresh = receiver.target.is_none();
        uri.clone_into(&mut receiver.uri);
        receiver.target = target;
        self.close_links(key);
        let next = self.cdr.next;
        let kept = match self.settings.cdr_late_receiver {
            LateReceiver::Next => VecDeque::new(),
            LateReceiver::Kept => self.cdr.kept.clone(),
        };
        let Some(receiver) = self.cdr.receivers.get_mut(&key) else { return };
        if receiver.target.is_none() {
            receiver.begin(VecDeque::new(), next);
        } else if fresh {
            receiver.begin(kept, next);
        } else {
            receiver.failing = None;
            receiver.pause = std::time::Duration::ZERO;
            receiver.pause_until = self.now;
            if self.settings.cdr_new_uri_new_start {
                receiver.number_from_one();
            }
        }
        self.deliver(key);
    }

    /// Ends a receiver. Whether there was one of that GUID.
    pub(in crate::emulator) fn remove_receiver(&mut self, id: &str) -> bool {
        let Some(key) = self.cdr.find(id) else { return false };
        if self.mutants.decide(Question::EndsWithDelete { receiver: key }, true) {
            self.close_links(key);
            self.cdr.receivers.remove(&key);
            if self.settings.cdr_ids_reused {
                self.cdr.freed.push(id.to_owned());
            }
        } else if let Some(receiver) = self.cdr.receivers.get_mut(&key) {
            // A mutant's: gone from the list, and served on.
            receiver.id.clear();
        }
        true
    }

    /// The receivers that the API shows.
    pub(in crate::emulator) fn listed_receivers(&self) -> BTreeMap<ReceiverKey, (String, String)> {
        let listed = self.cdr.receivers().filter(|(_, receiver)| !receiver.id.is_empty());
        listed.map(|(key, receiver)| (key, (receiver.id.clone(), receiver.uri.clone()))).collect()
    }
}
