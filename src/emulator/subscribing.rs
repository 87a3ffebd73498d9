//! What becomes of a `subscribeRequest`: refused as a whole, or the complete new set (EVENTS 1.1.1).
//!
//! Kept subscriptions go on untouched; what is left out ends; what is new is reported pending and settles after the
//! delay of its resource. The ack goes out before anything that the request causes.

use std::collections::{BTreeMap, BTreeSet};

use super::change::Note;
use super::core::Core;
use super::mutant::Question;
use super::settings::Settings;
use super::subscription::Subscription;
use super::timers::Due;
use super::typed::{ConnectionKey, Effect, StateOf, Wanted};
use super::values::{DuplicateIndex, EntryFault, Excess, LeftOut};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Resource, State};
use crate::spec::{Version, elements};

/// An entry of a request that is granted.
struct Granted {
    index: u64,
    resource: Resource,
    call: Option<String>,
    asked: Vec<String>,
    doomed: bool,
}

impl Core {
    /// Handles a request that could be understood.
    pub(super) fn subscribe(&mut self, key: ConnectionKey, id: u64, wanted: &[Wanted]) {
        if self.connections.get(&key).is_none_or(|connection| connection.closing) {
            return;
        }
        let count = wanted.len() as u64;
        let within = self.mutants.decide(Question::IsWithinLimit(count), count <= self.settings.subscription_limit);
        let limit = usize::try_from(self.settings.subscription_limit).unwrap_or(usize::MAX);
        let (granted_count, silent) = match self.settings.excess {
            _ if within => (Some(wanted.len()), false),
            Excess::Truncate => (Some(limit), false),
            Excess::Refuse => (None, false),
            Excess::Silent => (None, true),
        };
        let granted = granted_count.and_then(|most| grant(&self.settings, wanted, most));
        let Some(granted) = granted else {
            if self.settings.ack_refused && !silent {
                let status = self.settings.refusal_status.clone();
                self.emit(Effect::Ack { connection: key, id, status });
            }
            return;
        };
        self.emit(Effect::Ack { connection: key, id, status: SUCCESS.to_owned() });
        self.replace(key, granted);
    }

    fn replace(&mut self, key: ConnectionKey, granted: Vec<Granted>) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        connection.requests += 1;
        let mut old = std::mem::take(&mut connection.subscriptions);
        let mut set = BTreeMap::new();
        let (mut kept, mut fresh) = (BTreeSet::new(), Vec::new());
        for entry in granted {
            let index = entry.index;
            let subscription = self.new_subscription(key, entry);
            let same = old.get(&index).is_some_and(|before| is_same(before, &subscription));
            if self.mutants.decide(Question::IsKept { connection: key, index }, same)
                && let Some(before) = old.remove(&index)
            {
                kept.insert(index);
                set.insert(index, before);
            } else {
                fresh.push(StateOf::new(index, State::Pending));
                set.insert(index, subscription);
            }
        }
        let mut ended = Vec::new();
        for (index, subscription) in old {
            if set.contains_key(&index) {
                continue;
            }
            if !self.mutants.decide(Question::Stops { connection: key, index }, true) {
                kept.insert(index);
                set.insert(index, subscription);
            } else if subscription.state != State::Deactivated {
                ended.push(StateOf::new(index, State::Deactivated));
            }
        }
        self.put_in_force(key, set, &kept, ended, fresh);
    }

    fn put_in_force(
        &mut self,
        key: ConnectionKey,
        set: BTreeMap<u64, Subscription>,
        kept: &BTreeSet<u64>,
        mut ended: Vec<StateOf>,
        mut fresh: Vec<StateOf>,
    ) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let void = connection.purge(kept, &set.keys().copied().collect());
        // A client that asks on and on without acknowledging would make the reports of ends pile up.
        if connection.queue.len() as u64 >= self.settings.backlog_limit.max(1) {
            ended.clear();
        }
        let due: BTreeSet<_> = set.values().filter(|s| s.state == State::Pending).map(|s| s.due).collect();
        connection.subscriptions = set;
        self.note(|| Note::Void { connection: key, causes: void, by_client: true });
        self.note(|| Note::Audience);
        for at in due {
            self.timers.at(at, Due::Settle(key));
        }
        if !self.settings.pending_reported {
            fresh.clear();
        }
        if self.settings.left_out == LeftOut::Together {
            ended.append(&mut fresh);
        }
        self.tell_states(key, ended);
        self.tell_states(key, fresh);
        self.pump(key);
    }

    fn new_subscription(&mut self, key: ConnectionKey, entry: Granted) -> Subscription {
        let delay = match entry.resource {
            Resource::Calls => self.settings.calls_delay,
            Resource::CallInfo => self.settings.info_delay,
            Resource::CallRoster => self.settings.roster_delay,
        };
        let due = self.now + self.with_jitter(delay);
        let version = self.settings.software_version.parse().unwrap_or(Version::LATEST);
        let known: Vec<&str> = elements::names(entry.resource, version).collect();
        let mut reported: Vec<String> = Vec::new();
        let in_order = entry.asked.iter().map(String::as_str).filter(|name| known.contains(name));
        for name in in_order.chain(known.iter().copied()) {
            let asked = entry.asked.iter().any(|known| known == name);
            let question =
                Question::IsReported { connection: key, index: entry.index, resource: entry.resource, element: name };
            if !reported.iter().any(|before| before == name) && self.mutants.decide(question, asked) {
                reported.push(name.to_owned());
            }
        }
        let call = entry.call.filter(|_| entry.resource.needs_call()).map(|call| self.world.canonical(&call));
        let asked = entry.asked.into_iter().collect();
        let mut subscription = Subscription::new(entry.index, entry.resource, call, asked, reported, due);
        subscription.doomed = entry.doomed;
        subscription
    }
}

fn is_same(before: &Subscription, after: &Subscription) -> bool {
    before.state != State::Deactivated
        && before.resource == after.resource
        && before.call == after.call
        && before.asked == after.asked
        && before.doomed == after.doomed
}

/// The entries that are granted; `None` refuses the request. Entries after the first `most` are doomed.
fn grant(settings: &Settings, wanted: &[Wanted], most: usize) -> Option<Vec<Granted>> {
    let mut granted: Vec<Granted> = Vec::new();
    for (position, entry) in wanted.iter().enumerate() {
        let mut doomed = position >= most;
        let Some(index) = entry.index else {
            match settings.odd_index {
                EntryFault::Refuse => return None,
                EntryFault::Deactivate | EntryFault::Skip => continue,
            }
        };
        let mut fault = |fault: EntryFault| {
            doomed |= fault == EntryFault::Deactivate;
            fault
        };
        if entry.resource.is_none() {
            match fault(settings.unknown_type) {
                EntryFault::Refuse => return None,
                EntryFault::Skip => continue,
                EntryFault::Deactivate => {}
            }
        }
        if entry.call.is_none() && entry.resource.is_some_and(Resource::needs_call) {
            match fault(settings.missing_call) {
                EntryFault::Refuse => return None,
                EntryFault::Skip => continue,
                EntryFault::Deactivate => {}
            }
        }
        let resource = entry.resource.unwrap_or(Resource::Calls);
        let unknown = |name: &String| elements::find(resource, name).is_none();
        if settings.refuse_unknown_elements && entry.elements.iter().any(unknown) {
            return None;
        }
        if let Some(at) = granted.iter().position(|before| before.index == index) {
            match settings.duplicate_index {
                DuplicateIndex::Refuse => return None,
                DuplicateIndex::First => continue,
                DuplicateIndex::Last => drop(granted.remove(at)),
            }
        }
        granted.push(Granted { index, resource, call: entry.call.clone(), asked: entry.elements.clone(), doomed });
    }
    Some(granted)
}
