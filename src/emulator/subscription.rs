//! One subscription, and how it turns the state of the world into updates: by comparing it with what was reported last.
//!
//! Nothing is remembered but what was reported, so changes that come faster than they can be sent coalesce by themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::elements;
use super::settings::Settings;
use super::typed::Entry;
use super::world::World;
use crate::protocol::events::{Resource, State, UpdateType};
use crate::time::Instant;

/// One subscription of the request in force.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// The client's number for it.
    pub index: u64,
    /// What is subscribed to.
    pub resource: Resource,
    /// The call's GUID as kept, for `callInfo` and `callRoster`.
    pub call: Option<String>,
    /// The elements as asked for, unknown ones included.
    pub asked: BTreeSet<String>,
    /// The elements that are reported.
    pub elements: Vec<String>,
    /// Its state.
    pub state: State,
    /// When it is to be settled, while it is pending.
    pub(super) due: Instant,
    /// Whether it is to be deactivated whatever it names.
    pub(super) doomed: bool,
    /// What was reported last, by key.
    reported: BTreeMap<String, Map<String, Value>>,
    /// The revision that was looked at last.
    seen: Option<u64>,
}

/// What has changed for a subscription.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Entries to report, in order.
    pub(super) entries: Vec<Entry>,
    /// Whether the call that it names is no more.
    pub(super) over: bool,
}

impl Subscription {
    /// A subscription that is pending until `due`.
    pub(super) fn new(
        index: u64,
        resource: Resource,
        call: Option<String>,
        asked: BTreeSet<String>,
        elements: Vec<String>,
        due: Instant,
    ) -> Self {
        Self {
            index,
            resource,
            call,
            asked,
            elements,
            state: State::Pending,
            due,
            doomed: false,
            reported: BTreeMap::new(),
            seen: None,
        }
    }

    /// Compares the world with what was reported last, and takes it as reported.
    pub(super) fn changes(&mut self, world: &World, settings: &Settings) -> Changes {
        match (self.resource, self.call.clone()) {
            (Resource::Calls, _) => self.changes_of_calls(world, settings),
            (_, None) => Changes { over: true, ..Changes::default() },
            (resource, Some(call)) => match world.calls.get(&call) {
                None => Changes { entries: self.all_gone(world, settings), over: true },
                Some(known) if self.seen == Some(known.revision) => Changes::default(),
                Some(known) => {
                    let since = self.seen.replace(known.revision);
                    let entries = if resource == Resource::CallInfo {
                        self.compare(world, settings, &call).filter(|e| !e.fields.is_empty()).into_iter().collect()
                    } else if let Some(since) = since.filter(|since| known.members <= *since) {
                        // Nobody came or left: only those are compared who have changed since then.
                        let has_changed =
                            |id: &&String| world.participants.get(*id).is_some_and(|who| who.revision > since);
                        let changed = known.participants.iter().filter(has_changed);
                        changed.filter_map(|key| self.compare(world, settings, key)).collect()
                    } else {
                        self.list(world, settings, &known.participants)
                    };
                    Changes { entries, over: false }
                }
            },
        }
    }

    fn changes_of_calls(&mut self, world: &World, settings: &Settings) -> Changes {
        if self.seen == Some(world.revision) {
            return Changes::default();
        }
        let since = self.seen.replace(world.revision);
        if let Some(since) = since.filter(|since| world.calls_changed <= *since) {
            // No call began or ended.
            let mut changed: Vec<_> = world.calls.values().filter(|call| call.revision > since).collect();
            changed.sort_by_key(|call| call.created);
            let entries = changed.into_iter().filter_map(|call| self.compare(world, settings, &call.id)).collect();
            return Changes { entries, over: false };
        }
        let mut present: Vec<(u64, String)> =
            world.calls.values().map(|call| (call.created, call.id.clone())).collect();
        present.sort();
        let present: Vec<String> = present.into_iter().map(|(_, id)| id).collect();
        Changes { entries: self.list(world, settings, &present), over: false }
    }

    fn list(&mut self, world: &World, settings: &Settings, present: &[String]) -> Vec<Entry> {
        let still: BTreeSet<&String> = present.iter().collect();
        let gone: Vec<String> = self.reported.keys().filter(|key| !still.contains(key)).cloned().collect();
        let mut entries: Vec<Entry> = gone.into_iter().map(|key| self.remove(world, settings, key)).collect();
        entries.extend(present.iter().filter_map(|key| self.compare(world, settings, key)));
        entries
    }

    fn all_gone(&mut self, world: &World, settings: &Settings) -> Vec<Entry> {
        if self.resource != Resource::CallRoster {
            return Vec::new();
        }
        let gone: Vec<String> = self.reported.keys().cloned().collect();
        gone.into_iter().map(|key| self.remove(world, settings, key)).collect()
    }

    fn remove(&mut self, world: &World, settings: &Settings, key: String) -> Entry {
        self.reported.remove(&key);
        let mut fields = Map::new();
        if let Some(reason) = world.reasons.get(&key).filter(|_| settings.remove_reason) {
            fields.insert("reason".to_owned(), (*reason).into());
        }
        Entry { key, kind: UpdateType::Remove, fields }
    }

    /// The entry for one key that is present; none if nothing of it has changed.
    fn compare(&mut self, world: &World, settings: &Settings, key: &str) -> Option<Entry> {
        let mut fields = Map::new();
        for element in &self.elements {
            if let Some(value) = elements::value(world, settings, self.resource, key, element) {
                fields.insert(element.clone(), value);
            }
        }
        let Some(before) = self.reported.get(key) else {
            self.reported.insert(key.to_owned(), fields.clone());
            return Some(Entry { key: key.to_owned(), kind: UpdateType::Add, fields });
        };
        if *before == fields {
            return None;
        }
        let changed: Map<String, Value> = fields
            .iter()
            .filter(|(name, value)| before.get(*name) != Some(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.reported.insert(key.to_owned(), fields);
        (!changed.is_empty()).then(|| Entry { key: key.to_owned(), kind: UpdateType::Update, fields: changed })
    }
}
