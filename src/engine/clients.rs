//! The events clients of a scenario: by name for its steps, by connection for what arrives.

use std::collections::BTreeMap;

use super::client::Client;
use super::events_client::EventsClient;
use crate::time::Instant;
use crate::trace::ConnectionId;

/// All clients of a scenario.
#[derive(Debug, Default)]
pub(super) struct Clients {
    /// The place of each.
    names: BTreeMap<String, usize>,
    all: Vec<Client>,
    /// The connection of the client at that place. It stands beside the clients since each arrival looks through it.
    on: Vec<Option<ConnectionId>>,
    /// No client wants to act before then, as far as is known.
    due: Option<Instant>,
}

impl FromIterator<(String, Client)> for Clients {
    fn from_iter<I: IntoIterator<Item = (String, Client)>>(clients: I) -> Self {
        let mut made = Self::default();
        for (name, client) in clients {
            made.names.insert(name, made.all.len());
            made.all.push(client);
            made.on.push(None);
        }
        made
    }
}

impl Clients {
    pub(super) fn get(&self, name: &str) -> Option<&Client> {
        self.names.get(name).map(|place| &self.all[*place])
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Client> {
        self.names.get(name).map(|place| &mut self.all[*place])
    }

    /// All of them, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, &Client)> {
        self.names.iter().map(|(name, place)| (name, &self.all[*place]))
    }

    /// A client has a new connection.
    pub(super) fn begin(&mut self, name: &str, line: EventsClient) {
        let Some(place) = self.names.get(name) else { return };
        self.on[*place] = Some(line.connection());
        self.all[*place].begin(line);
    }

    /// The client whose connection this is.
    pub(super) fn on(&mut self, connection: ConnectionId) -> Option<&mut Client> {
        let place = self.on.iter().position(|on| *on == Some(connection))?;
        self.all.get_mut(place)
    }

    /// The name of the client whose connection this is.
    pub(super) fn name_of(&self, connection: ConnectionId) -> Option<&String> {
        let place = self.on.iter().position(|on| *on == Some(connection))?;
        self.names.iter().find(|(_, of)| **of == place).map(|(name, _)| name)
    }

    /// Takes note that a client may want to act then, earlier than was known.
    pub(super) fn note_due(&mut self, at: Option<Instant>) {
        self.due = self.due.into_iter().chain(at).min();
    }

    /// When a client wants to act; there may be none that does.
    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// The names of those that want to act now. They are expected to do so.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<String> {
        if self.due.is_none_or(|at| at > now) {
            return Vec::new();
        }
        let timeouts = || self.iter().filter_map(|(name, client)| Some((name, client.poll_timeout()?)));
        let due = timeouts().filter(|(_, at)| *at <= now).map(|(name, _)| name.clone()).collect();
        self.due = timeouts().map(|(_, at)| at).filter(|at| *at > now).min();
        due
    }
}
