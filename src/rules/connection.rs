//! One event connection as the trace shows it: what is open, what the client owes, and how much of the time that passed
//! was the server's own.
//!
//! A server that waits for acks cannot be blamed for what it does not send meanwhile (EVENTS 5.0.1 step 3). So deadlines
//! run in the connection's *free time*: only while the client owes no ack, and not while the harness was late.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::sub::Book;
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, Seq};

/// From when on an ack counts as withheld rather than under way.
pub(super) const WITHHELD: Duration = Duration::from_millis(200);

/// Where a connection is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The upgrade was requested.
    Opening,
    /// The upgrade was answered 101.
    Open,
}

/// A point of a connection's free time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: Instant,
    blocked: Duration,
}

/// One server message that the client has not acknowledged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owed {
    pub(super) id: u64,
    pub(super) seq: Seq,
    pub(super) at: Instant,
}

/// How many ranges of ids are remembered.
const RANGES_KEPT: usize = 4096;

/// A set of message ids, as ranges: small as long as ids are handed out in order. Where they are far apart, the lowest are
/// forgotten, which are the oldest as long as ids grow.
#[derive(Debug, Default)]
pub(super) struct IdSet(BTreeMap<u64, u64>);

impl IdSet {
    pub(super) fn contains(&self, id: u64) -> bool {
        self.0.range(..=id).next_back().is_some_and(|(_, end)| id <= *end)
    }

    pub(super) fn insert(&mut self, id: u64) {
        // Ids mostly come in order.
        if let Some(mut highest) = self.0.last_entry()
            && highest.get().checked_add(1) == Some(id)
        {
            highest.insert(id);
            return;
        }
        let mut start = id;
        let mut end = id;
        if let Some((first, last)) = self.0.range(..=id).next_back().map(|(a, b)| (*a, *b)) {
            if id <= last {
                return;
            }
            if last + 1 == id {
                start = first;
            }
        }
        if let Some(last) = id.checked_add(1).and_then(|next| self.0.remove(&next)) {
            end = last;
        }
        self.0.insert(start, end);
        if self.0.len() > RANGES_KEPT {
            let lowest = self.0.keys().copied().find(|first| *first != start);
            lowest.and_then(|first| self.0.remove(&first));
        }
    }
}

/// The state of one connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) client: String,
    pub(super) phase: Phase,
    pub(super) opening_seq: Seq,
    /// How many changes had been made over the API when it was opened.
    pub(super) changes_before: u64,
    /// Whether an extension was negotiated, so that reserved bits may have a meaning.
    pub(super) extension: bool,
    /// First thing that the client sent against the guides (a ping, a binary frame, no JSON, ...).
    pub(super) abused: Option<Seq>,
    /// First request of the client whose outcome the guides leave open.
    pub(super) irregular: Option<Seq>,
    /// Whether the client sent an ack with another status than success: what the server makes of it is open (MSG-12).
    pub(super) unsure_acks: bool,
    /// The client's close frame.
    pub(super) close_sent: Option<(Seq, Mark)>,
    /// The server's close frame.
    pub(super) close_received: Option<Seq>,
    pub(super) pings_sent: u64,
    pub(super) pongs_received: u64,
    /// Server messages that are not acknowledged, oldest first.
    pub(super) owed: VecDeque<Owed>,
    /// No message had a higher id: one that has is not owed yet.
    highest_owed: u64,
    pub(super) acked_server_ids: IdSet,
    blocked: Duration,
    blocked_since: Option<Instant>,
    /// How the trace numbered the last message of the server.
    pub(super) last_message: Option<Seq>,
    pub(super) book: Book,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, client: &str, seq: Seq) -> Self {
        Self {
            id,
            client: client.to_owned(),
            phase: Phase::Opening,
            opening_seq: seq,
            changes_before: 0,
            extension: false,
            abused: None,
            irregular: None,
            unsure_acks: false,
            close_sent: None,
            close_received: None,
            pings_sent: 0,
            pongs_received: 0,
            owed: VecDeque::new(),
            highest_owed: 0,
            acked_server_ids: IdSet::default(),
            blocked: Duration::ZERO,
            blocked_since: None,
            last_message: None,
            book: Book::default(),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether the server has to serve this connection as the guides say: the client did nothing that may cost it the
    /// connection, and no closing handshake is under way.
    pub(super) fn in_order(&self) -> bool {
        self.is_open()
            && !self.unsure_acks
            && self.abused.is_none()
            && self.close_sent.is_none()
            && self.close_received.is_none()
    }

    /// Whether the client has withheld an ack for so long that the server may have lost patience (wire-facts U4).
    pub(super) fn withholds(&self, at: Instant) -> bool {
        self.owed.front().is_some_and(|owed| at.since(owed.at) >= WITHHELD)
    }

    /// The present point of the free time.
    pub(super) fn mark(&self, at: Instant) -> Mark {
        Mark { at, blocked: self.blocked_at(at) }
    }

    fn blocked_at(&self, at: Instant) -> Duration {
        self.blocked + self.blocked_since.map_or(Duration::ZERO, |since| at.since(since))
    }

    /// How much free time passed between a mark and `at`.
    pub(super) fn free_since(&self, mark: Mark, at: Instant) -> Duration {
        at.since(mark.at).saturating_sub(self.blocked_at(at).saturating_sub(mark.blocked))
    }

    /// When `allowed` of free time since a mark will have passed, if the client goes on as at `now`; never, while it
    /// owes an ack for long.
    pub(super) fn expires(&self, mark: Mark, allowed: Duration, now: Instant) -> Option<Instant> {
        const PROMPT: Duration = Duration::from_millis(100);
        if self.owed.front().is_some_and(|owed| now.since(owed.at) > PROMPT) {
            return None;
        }
        Some(now + allowed.saturating_sub(self.free_since(mark, now)))
    }

    /// The harness was late: that time was not the server's.
    pub(super) fn harness_late(&mut self, by: Duration) {
        self.blocked += by;
        if let Some((_, mark)) = &mut self.close_sent {
            mark.at += by;
        }
    }

    /// The server sent a message that has to be acknowledged. Returns the earlier one of the same id that is not yet.
    pub(super) fn owe(&mut self, id: u64, seq: Seq, at: Instant) -> Option<Owed> {
        let same = if id > self.highest_owed { None } else { self.owed.iter().find(|owed| owed.id == id).copied() };
        if self.owed.is_empty() {
            self.blocked_since = Some(at);
        }
        self.highest_owed = self.highest_owed.max(id);
        self.owed.push_back(Owed { id, seq, at });
        same
    }

    /// The client acknowledged a message. Returns it, if it was owed.
    pub(super) fn acknowledged(&mut self, id: u64, at: Instant) -> Option<Owed> {
        let place = self.owed.iter().position(|owed| owed.id == id)?;
        let owed = self.owed.remove(place);
        self.acked_server_ids.insert(id);
        if self.owed.is_empty()
            && let Some(since) = self.blocked_since.take()
        {
            self.blocked += at.since(since);
        }
        owed
    }
}

/// Whether the peer ended the connection.
pub(super) const fn by_peer(cause: EndCause) -> bool {
    matches!(cause, EndCause::PeerClosed | EndCause::PeerReset)
}

/// How a general requirement fared so far, where a special one is met only together with it.
///
/// A hundred subscriptions that are not acknowledged say something about the limit only if few subscriptions are. So
/// the special requirement is blamed only where the general one was met whenever it was tested; else the general one is.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Control {
    met: u32,
    missed: u32,
}

impl Control {
    pub(super) const fn met(&mut self) {
        self.met = self.met.saturating_add(1);
    }

    pub(super) const fn missed(&mut self) {
        self.missed = self.missed.saturating_add(1);
    }

    /// Whether a special requirement may be blamed.
    pub(super) const fn holds(self) -> bool {
        self.met > 0 && self.missed == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_during_which_the_client_owes_an_ack_is_not_the_servers() {
        let ms = Instant::from_millis;
        let mut connection = Connection::new(ConnectionId(1), "a", Seq(1));
        let mark = connection.mark(ms(0));
        connection.owe(1, Seq(2), ms(100));
        assert_eq!(connection.free_since(mark, ms(900)), Duration::from_millis(100));
        assert_eq!(connection.expires(mark, Duration::from_secs(5), ms(900)), None);
        assert!(connection.acknowledged(1, ms(1100)).is_some());
        assert_eq!(connection.free_since(mark, ms(1200)), Duration::from_millis(200));
        assert_eq!(connection.expires(mark, Duration::from_secs(5), ms(1200)), Some(ms(6000)));
    }

    #[test]
    fn of_ids_far_apart_the_lowest_are_forgotten() {
        let mut set = IdSet::default();
        let ids = |count: usize| (0..count as u64).map(|number| 10 + 2 * number);
        ids(RANGES_KEPT).for_each(|id| set.insert(id));
        assert!(set.contains(10) && set.0.len() == RANGES_KEPT);
        ids(RANGES_KEPT + 2).for_each(|id| set.insert(id));
        assert!(!set.contains(10) && !set.contains(12) && set.contains(14) && set.0.len() == RANGES_KEPT);
        // One that is lower than all is not forgotten at once.
        set.insert(1);
        assert!(set.contains(1) && !set.contains(14) && set.contains(16) && set.0.len() == RANGES_KEPT);
    }

    proptest! {
        #[test]
        fn an_id_set_holds_what_was_put_in(ids in prop::collection::vec(0..40u64, 0..60)) {
            let mut set = IdSet::default();
            for id in &ids {
                set.insert(*id);
            }
            for id in 0..45 {
                prop_assert_eq!(set.contains(id), ids.contains(&id));
            }
            let mut distinct = ids.clone();
            distinct.sort_unstable();
            distinct.dedup();
            let runs = distinct.chunk_by(|one, next| one + 1 == *next).count();
            prop_assert_eq!(set.0.len(), runs);
        }
    }
}
