//! A flight recorder: of what one source tells, the last part, bounded in observations and in bytes.
//!
//! What is told often, such as updates and their acks, has a ring of its own beside the rest, so that a flood of it does not
//! wash away how a connection was opened and what was asked for on it. Once its rings have grown nothing is allocated.

use std::collections::VecDeque;

use super::observation::{ReceiverId, Seq, SetId, Side};
use crate::protocol::ws::frame::Header;
use crate::time::Instant;

/// What one source may keep of what it tells often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Room {
    /// How many observations.
    pub(super) lines: usize,
    /// How many bytes of them.
    pub(super) bytes: usize,
}

/// What a source may keep at least of what it tells now and then.
const RARE: Room = Room { lines: 128, bytes: 24 << 10 };

impl Room {
    /// What a source may keep of what it tells now and then, beside so much that it tells often.
    fn of_rare(self) -> Self {
        Self { lines: RARE.lines.max(self.lines / 4), bytes: RARE.bytes.max(self.bytes / 4) }
    }
}

/// What an observation is, apart from its text.
#[derive(Debug, Clone, Copy)]
pub(super) enum Words {
    /// Words already.
    Text,
    /// A set of records: of the many of a long run hardly any is ever read, so that it is not put into words before.
    Set { set: SetId, receiver: ReceiverId },
    /// A frame, for the same reason; of a long one, the beginning.
    Frame { from: Side, header: Header, is_text: bool },
    /// The answer to a set.
    Answer { set: SetId, receiver: Option<ReceiverId>, status: u16, whole: bool },
}

/// An observation that is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) seq: Seq,
    pub(super) at: Instant,
    pub(super) words: Words,
    /// How many bytes of the ring belong to it.
    length: usize,
}

/// The last observations of one source.
#[derive(Debug, Default)]
pub(super) struct Flight {
    often: Ring,
    rare: Ring,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    bytes: Bytes,
}

/// The bytes of a ring. Of each observation some are put in and some are dropped, so that both are done by adding.
#[derive(Debug, Default)]
struct Bytes {
    /// As long as there is space.
    space: Vec<u8>,
    /// Where the oldest lies.
    start: usize,
    length: usize,
}

impl Bytes {
    /// Appends bytes. There is space for twice as much where they do not fit, but for no more than `most`.
    fn append(&mut self, bytes: &[u8], most: usize) {
        let wanted = self.length + bytes.len();
        if wanted > self.space.len() {
            self.set_space((2 * wanted).min(most).max(wanted));
        }
        let at = self.place(self.length);
        let (head, tail) = bytes.split_at(bytes.len().min(self.space.len() - at));
        self.space[at..at + head.len()].copy_from_slice(head);
        self.space[..tail.len()].copy_from_slice(tail);
        self.length = wanted;
    }

    /// Drops the oldest ones.
    fn drop_first(&mut self, count: usize) {
        self.start = self.place(count);
        self.length -= count;
    }

    /// The bytes from the one with this number on.
    fn get(&self, from: usize, count: usize) -> Vec<u8> {
        (from..from + count).map(|number| self.space[self.place(number)]).collect()
    }

    /// Where the byte with this number lies; no number is greater than the space.
    fn place(&self, number: usize) -> usize {
        let place = self.start + number;
        if place >= self.space.len() { place - self.space.len() } else { place }
    }

    /// Has that much space, which is enough for what is there.
    fn set_space(&mut self, space: usize) {
        let mut kept = Vec::with_capacity(space);
        let (head, tail) = (&self.space[self.start..], &self.space[..self.start]);
        kept.extend(head.iter().chain(tail).take(self.length));
        kept.resize(space, 0);
        *self = Self { space: kept, start: 0, length: self.length };
    }
}

impl Flight {
    /// Keeps an observation with its text, and forgets what there is no room for any more.
    pub(super) fn push(&mut self, is_rare: bool, room: Room, seq: Seq, at: Instant, words: Words, text: &[u8]) {
        let (ring, room) = if is_rare { (&mut self.rare, room.of_rare()) } else { (&mut self.often, room) };
        let text = &text[..text.len().min(room.bytes)];
        ring.trim(Room { lines: room.lines.saturating_sub(1), bytes: room.bytes - text.len() });
        ring.bytes.append(text, room.bytes);
        ring.lines.push_back(Line { seq, at, words, length: text.len() });
    }

    /// Keeps no more than there is room for.
    pub(super) fn shrink(&mut self, room: Room) {
        for (ring, room) in [(&mut self.often, room), (&mut self.rare, room.of_rare())] {
            ring.trim(room);
            ring.lines.shrink_to(room.lines);
            if ring.bytes.space.len() > room.bytes {
                ring.bytes.set_space(room.bytes);
            }
        }
    }

    /// An observation, if it is still kept, and its text.
    pub(super) fn get(&self, seq: Seq) -> Option<(Line, Vec<u8>)> {
        self.rare.get(seq).or_else(|| self.often.get(seq))
    }
}

impl Ring {
    fn trim(&mut self, room: Room) {
        while self.lines.len() > room.lines || self.bytes.length > room.bytes {
            let Some(oldest) = self.lines.pop_front() else { return };
            self.bytes.drop_first(oldest.length);
        }
    }

    fn get(&self, seq: Seq) -> Option<(Line, Vec<u8>)> {
        let place = self.lines.binary_search_by_key(&seq, |line| line.seq).ok()?;
        let line = self.lines[place];
        // Only what findings refer to is ever read.
        let after: usize = self.lines.range(place..).map(|line| line.length).sum();
        Some((line, self.bytes.get(self.bytes.length - after, line.length)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_observations_are_kept_by_number_and_by_bytes() {
        let mut flight = Flight::default();
        let room = Room { lines: 3, bytes: 10 };
        let push = |flight: &mut Flight, seq: u64, text: &str| {
            flight.push(false, room, Seq(seq), Instant::ZERO, Words::Text, text.as_bytes());
        };
        let said = |flight: &Flight, seq: u64| flight.get(Seq(seq)).map(|(_, text)| String::from_utf8(text).unwrap());
        for (seq, text) in [(1, "a"), (3, "bb"), (5, "ccc"), (7, "dddd")] {
            push(&mut flight, seq, text);
        }
        assert_eq!((said(&flight, 1), said(&flight, 3).as_deref(), said(&flight, 4)), (None, Some("bb"), None));
        push(&mut flight, 9, "eeeeeee");
        assert_eq!((said(&flight, 5), said(&flight, 7)), (None, None));
        push(&mut flight, 11, "longer than there is room for");
        assert_eq!((said(&flight, 9), said(&flight, 11).as_deref()), (None, Some("longer tha")));
        flight.shrink(Room { lines: 0, bytes: 0 });
        assert_eq!(said(&flight, 11), None);
    }

    proptest! {
        #[test]
        fn the_ring_holds_what_the_last_observations_said(
            texts in prop::collection::vec((0..12_usize, prop::bool::weighted(0.1)), 1..60),
            room in 1..40_usize,
        ) {
            let mut flight = Flight::default();
            let mut room = Room { lines: 5, bytes: room };
            let mut kept: VecDeque<(Seq, Vec<u8>)> = VecDeque::new();
            let drop_old = |kept: &mut VecDeque<(Seq, Vec<u8>)>, room: Room| {
                while kept.len() > room.lines || kept.iter().map(|(_, text)| text.len()).sum::<usize>() > room.bytes {
                    kept.pop_front();
                }
            };
            for (seq, (length, shrinks)) in (1..).map(Seq).zip(texts) {
                let text: Vec<u8> = (0..length).map(|place| (seq.0 as usize * 16 + place) as u8).collect();
                flight.push(false, room, seq, Instant::ZERO, Words::Text, &text);
                kept.push_back((seq, text[..length.min(room.bytes)].to_vec()));
                drop_old(&mut kept, room);
                if shrinks {
                    room = Room { lines: room.lines.max(3) - 1, bytes: room.bytes.max(2) - 1 };
                    flight.shrink(room);
                    drop_old(&mut kept, room);
                }
                for known in (1..=seq.0).map(Seq) {
                    let wanted = kept.iter().find(|(seq, _)| *seq == known).map(|(_, text)| text.clone());
                    prop_assert_eq!(flight.get(known).map(|(_, text)| text), wanted);
                }
            }
        }
    }

    #[test]
    fn what_is_told_often_does_not_wash_away_the_rest() {
        let mut flight = Flight::default();
        let room = Room { lines: 3, bytes: 100 };
        flight.push(true, room, Seq(1), Instant::ZERO, Words::Text, b"opened");
        for seq in 2..1000 {
            flight.push(false, room, Seq(seq), Instant::ZERO, Words::Text, b"update");
        }
        assert_eq!(flight.get(Seq(1)).unwrap().1, b"opened");
        for seq in 1000..2000 {
            flight.push(true, room, Seq(seq), Instant::ZERO, Words::Text, b"state");
        }
        assert!(flight.get(Seq(1)).is_none() && flight.rare.lines.len() == RARE.lines);
    }
}
