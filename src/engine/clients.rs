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

#[cfg(test)]
mod tests {
    use chacha20::ChaCha8Rng;
    use rand::SeedableRng as _;

    use super::*;
    use crate::engine::events_client::AckPolicy;

    fn clients(names: &[&str]) -> Clients {
        names.iter().map(|name| ((*name).to_owned(), Client::new(1))).collect()
    }

    fn line(connection: u32) -> EventsClient {
        EventsClient::new(ConnectionId(connection), AckPolicy::default(), ChaCha8Rng::seed_from_u64(1), 1 << 20)
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Has a client want to act then, as the engine does it.
    fn wants(clients: &mut Clients, name: &str, ms: Option<u64>) {
        let client = clients.get_mut(name).unwrap();
        client.close_deadline = ms.map(at);
        let due = client.poll_timeout();
        clients.note_due(due);
    }

    #[test]
    fn a_client_is_found_by_its_name_and_by_its_newest_connection() {
        let mut clients = clients(&["bob", "alice"]);
        assert!(clients.get("alice").is_some() && clients.get("carol").is_none());
        assert_eq!(clients.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["alice", "bob"]);
        assert!(clients.on(ConnectionId(1)).is_none(), "nobody has a connection");
        clients.begin("bob", line(1));
        clients.begin("alice", line(2));
        clients.begin("carol", line(3));
        let names = [1, 2, 3].map(|id| clients.name_of(ConnectionId(id)).map(String::as_str));
        assert_eq!(names, [Some("bob"), Some("alice"), None]);
        assert!(clients.on(ConnectionId(1)).unwrap().is_open() && clients.get("bob").unwrap().is_connected());
        clients.begin("bob", line(4));
        assert!(clients.on(ConnectionId(1)).is_none() && clients.name_of(ConnectionId(1)).is_none());
        assert_eq!(clients.name_of(ConnectionId(4)).map(String::as_str), Some("bob"));
    }

    #[test]
    fn those_whose_time_has_come_are_told_once_and_the_others_stay_due() {
        let mut clients = clients(&["a", "b", "c", "d"]);
        assert_eq!((clients.poll_timeout(), clients.take_due(at(1_000_000))), (None, Vec::new()));
        [("a", 30), ("b", 10), ("c", 20)].iter().for_each(|(name, ms)| wants(&mut clients, name, Some(*ms)));
        wants(&mut clients, "d", None);
        assert_eq!((clients.poll_timeout(), clients.take_due(at(9))), (Some(at(10)), Vec::new()));
        assert_eq!(clients.take_due(at(20)), ["b", "c"]);
        assert_eq!(clients.poll_timeout(), Some(at(30)));
        // They have acted.
        ["b", "c"].iter().for_each(|name| wants(&mut clients, name, None));
        assert_eq!((clients.take_due(at(29)), clients.take_due(at(30))), (Vec::new(), vec!["a".to_owned()]));
        assert_eq!(clients.poll_timeout(), None);
    }

    #[test]
    fn a_client_that_wants_nothing_any_more_is_looked_at_in_vain_and_hides_no_other() {
        let mut clients = clients(&["a", "b"]);
        [("a", 10), ("b", 20)].iter().for_each(|(name, ms)| wants(&mut clients, name, Some(*ms)));
        wants(&mut clients, "a", None);
        assert_eq!((clients.poll_timeout(), clients.take_due(at(10))), (Some(at(10)), Vec::new()));
        assert_eq!(clients.poll_timeout(), Some(at(20)));
        // One that wants to act earlier than all others comes first.
        wants(&mut clients, "a", Some(15));
        assert_eq!(clients.take_due(at(15)), ["a"]);
    }
}
