//! An events client as a scenario sees it: its connection, and what was heard on it since.

use std::collections::{BTreeMap, VecDeque};

use serde_json::Value;

use super::events_client::{AckPolicy, EventsClient, Heard, Stage};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Message, MessageType, Resource, State, UpdateType};
use crate::time::Instant;

/// How many messages are kept for `wait` and `expect`.
const HEARD_LIMIT: usize = 20_000;

/// How many calls are known that go on.
const CALLS_LIMIT: usize = 1000;

/// An events client of a scenario.
#[derive(Debug)]
pub(super) struct Client {
    /// The connection opened last.
    pub(super) line: Option<EventsClient>,
    /// How it acknowledges, on this connection and later ones.
    pub(super) policy: AckPolicy,
    /// When the closing handshake has to be over.
    pub(super) close_deadline: Option<Instant>,
    /// What was heard.
    pub(super) ear: Ear,
    /// Its place among the connections of a load.
    pub(super) watcher: Option<u32>,
    next_id: u64,
}

/// What was heard.
#[derive(Debug, Default)]
pub(super) struct Ear {
    /// Inner objects of messages since the last `wait`.
    heard: VecDeque<Value>,
    /// The state of each subscription on this connection.
    pub(super) states: BTreeMap<u64, State>,
    /// Acks that came on this connection: the status for each id.
    pub(super) acks: BTreeMap<u64, String>,
    /// What the present set asks for: type and call for each index.
    pub(super) wanted: BTreeMap<u64, (String, Option<String>)>,
    /// The set before the present one.
    pub(super) superseded: Option<Superseded>,
    received: u64,
    last_seen: Option<String>,
    /// Whether only what messages say of subscriptions is kept: under load nobody waits for a message.
    pub(super) is_brief: bool,
    /// The calls that go on, where somebody wants to know.
    pub(super) calls: Option<CallsHeard>,
}

/// The calls that an events client was told of and that have not ended.
#[derive(Debug, Default)]
pub(super) struct CallsHeard {
    /// Their ids, in the order in which they were told of.
    pub(super) ids: Vec<String>,
    /// How often there was another one, or one fewer.
    pub(super) changes: u64,
}

impl CallsHeard {
    fn hear(&mut self, message: Message<'_>) {
        for entry in message.entries(Resource::Calls).into_iter().flatten() {
            let Some(id) = entry.key() else { continue };
            let place = self.ids.iter().position(|known| known == id);
            match (entry.update_type(), place) {
                (Some(UpdateType::Add), None) if self.ids.len() < CALLS_LIMIT => self.ids.push(id.to_owned()),
                (Some(UpdateType::Remove), Some(place)) => drop(self.ids.remove(place)),
                _ => continue,
            }
            self.changes += 1;
        }
    }
}

/// A set of subscriptions that another one replaced; it holds again if the other is refused.
#[derive(Debug)]
pub(super) struct Superseded {
    /// The id of the request for the other set.
    pub(super) by: u64,
    /// What it asked for.
    pub(super) wanted: BTreeMap<u64, (String, Option<String>)>,
    /// The states that were forgotten for the other set's sake.
    pub(super) states: BTreeMap<u64, State>,
}

impl Client {
    pub(super) fn new(first_id: u64) -> Self {
        let (policy, ear) = (AckPolicy::default(), Ear::default());
        Self { line: None, policy, close_deadline: None, ear, watcher: None, next_id: first_id }
    }

    /// A fresh id for a message of the client.
    pub(super) fn fresh_id(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        id
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.line.as_ref().and_then(EventsClient::poll_timeout).into_iter().chain(self.close_deadline).min()
    }

    /// Whether frames flow.
    pub(super) fn is_open(&self) -> bool {
        self.line.as_ref().is_some_and(EventsClient::is_open)
    }

    /// It has a new connection.
    pub(super) fn begin(&mut self, line: EventsClient) {
        self.line = Some(line);
        self.ear.begin();
        self.close_deadline = None;
    }

    /// Whether there is a connection that is not gone.
    pub(super) fn is_connected(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.stage() != Stage::Ended)
    }
}

impl Ear {
    /// Begins anew on a fresh connection.
    pub(super) fn begin(&mut self) {
        self.states.clear();
        self.acks.clear();
        self.wanted.clear();
        self.superseded = None;
        self.calls = self.calls.take().map(|_| CallsHeard::default());
    }

    /// Goes back to the set before, where the request for the present one is refused.
    fn take_refusal(&mut self, id: u64) {
        if let Some(before) = self.superseded.take_if(|before| before.by == id) {
            self.wanted = before.wanted;
            for (index, state) in before.states {
                self.states.entry(index).or_insert(state);
            }
        }
    }

    pub(super) fn hear(&mut self, heard: Heard<'_>) {
        match heard {
            Heard::Ack(ack) => {
                self.last_seen = Some(format!("ack {}", ack.body()));
                if let Some(id) = ack.message_id() {
                    let status = ack.status().unwrap_or("no status");
                    if status != SUCCESS {
                        self.take_refusal(id);
                    }
                    if !self.is_brief {
                        self.acks.insert(id, status.to_owned());
                    }
                }
            }
            Heard::Message(message) => {
                self.received += 1;
                if message.message_type() == Some(MessageType::SubscriptionUpdate) {
                    for entry in message.states().into_iter().flatten() {
                        if let (Some(index), Some(state)) = (entry.index(), entry.state()) {
                            self.states.insert(index, state);
                        }
                    }
                }
                if let Some(calls) = &mut self.calls
                    && message.message_type() == Some(MessageType::CallListUpdate)
                {
                    calls.hear(message);
                }
                if self.is_brief {
                    return;
                }
                let text = message.body().to_string();
                if let Ok(value) = serde_json::from_str(&text) {
                    if self.heard.len() == HEARD_LIMIT {
                        self.heard.pop_front();
                    }
                    self.heard.push_back(value);
                }
                self.last_seen = Some(shortened(text));
            }
        }
    }

    /// How many messages were received, acks not counted.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn last_seen(&self) -> Option<&str> {
        self.last_seen.as_deref()
    }

    /// Messages since the last `wait`.
    pub(super) fn heard(&self) -> impl Iterator<Item = &Value> {
        self.heard.iter()
    }

    /// Finds the `count`th message that fits; then it and all before it are forgotten.
    pub(super) fn consume(&mut self, count: u64, fits: impl Fn(&Value) -> bool) -> bool {
        let Some(skip) = usize::try_from(count).ok().and_then(|count| count.checked_sub(1)) else { return true };
        let found = self.heard.iter().enumerate().filter(|(_, value)| fits(value)).nth(skip).map(|(at, _)| at);
        if let Some(at) = found {
            self.heard.drain(..=at);
        }
        found.is_some()
    }

    /// Forgets all messages.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }
}

/// At most 200 characters of a text.
fn shortened(mut text: String) -> String {
    if let Some((at, _)) = text.char_indices().nth(200) {
        text.truncate(at);
        text.push('…');
    }
    text
}
