//! What a record says, as one number: the same pair of session and correlatorIndex must always say the same (CDR-09).
//!
//! What may differ between receivers (recordIndex, the count of discarded records) is left out, and so is the order of
//! attributes and fields. Of each session the latest records are remembered.

use crate::protocol::cdr::{Field, Record};
use crate::trace::{ReceiverId, Seq};

/// How many records of a session are remembered.
const REMEMBERED: u64 = 4096;

/// Mixes two numbers into one.
pub(super) fn mix(a: u64, b: u64) -> u64 {
    let wide = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xe703_7ed1_a0b4_28db);
    (wide as u64) ^ ((wide >> 64) as u64)
}

/// A text as a number.
pub(super) fn text_digest(text: &str) -> u64 {
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    // Far apart for lengths that are near, so that a longer text is never a shorter one with another letter.
    let mut digest = (text.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (chunks, rest) = text.as_bytes().as_chunks::<16>();
    for chunk in chunks {
        let (low, high) = chunk.split_at(8);
        digest = mix(digest ^ number(low), number(high));
    }
    let mut tail = [0; 16];
    tail[..rest.len()].copy_from_slice(rest);
    let (low, high) = tail.split_at(8);
    mix(digest ^ number(low), number(high))
}

fn field_digest(field: Field<'_>) -> u64 {
    let name = field.known().map_or_else(|| text_digest(field.name()), |known| known as u64);
    let mut digest = mix(name, text_digest(field.value()));
    for (name, value) in field.attributes() {
        digest = digest.wrapping_add(mix(text_digest(name), text_digest(value)));
    }
    for child in field.children() {
        digest = digest.wrapping_add(mix(field_digest(child), name));
    }
    mix(digest, name)
}

/// What a record says.
pub(super) fn digest(record: Record<'_>) -> u64 {
    let kind = record.kind().map_or_else(|| text_digest(record.type_name().unwrap_or_default()), |kind| kind as u64);
    let head = mix(kind, text_digest(record.time().unwrap_or_default()));
    record.elements().fold(head, |digest, element| digest.wrapping_add(field_digest(element)))
}

/// How a record compares with what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sight {
    /// It was not seen at any receiver.
    Fresh,
    /// It was seen here.
    Again,
    /// It was seen at another receiver only.
    Elsewhere,
    /// There it said something else.
    Differs(Seq),
    /// It lies too far back to tell.
    Old,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    index: u64,
    digest: u64,
    seq: Seq,
    /// Receivers by bit, those with large numbers together.
    receivers: u64,
}

/// The latest records of a session.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: Vec<Option<Seen>>,
    highest: Option<u64>,
}

impl Memory {
    /// Compares a record with what was seen, and remembers it.
    pub(super) fn sight(&mut self, index: u64, digest: u64, receiver: ReceiverId, seq: Seq) -> Sight {
        if self.highest.is_some_and(|highest| highest >= REMEMBERED && index <= highest - REMEMBERED) {
            return Sight::Old;
        }
        let place = (index % REMEMBERED) as usize;
        if self.seen.len() <= place {
            self.seen.resize((place + 1).next_power_of_two(), None);
        }
        let bit = 1 << receiver.0.min(63);
        let slot = &mut self.seen[place];
        if let Some(slot) = slot.as_mut().filter(|slot| slot.index == index) {
            let before = slot.receivers;
            slot.receivers |= bit;
            return if slot.digest != digest {
                Sight::Differs(slot.seq)
            } else if before & bit == 0 {
                Sight::Elsewhere
            } else {
                Sight::Again
            };
        }
        *slot = Some(Seen { index, digest, seq, receivers: bit });
        self.highest = self.highest.max(Some(index));
        Sight::Fresh
    }

    /// Whether any record of the stretch was seen at any receiver, as far as is remembered.
    pub(super) fn has_any(&self, first: u64, last: u64) -> bool {
        self.seen.iter().flatten().any(|seen| (first..=last).contains(&seen.index))
    }

    /// The largest index seen.
    pub(super) const fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
        self.highest = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_compared_with_the_latest_of_its_session() {
        let mut memory = Memory::default();
        let (a, b) = (ReceiverId(1), ReceiverId(2));
        assert_eq!(memory.sight(0, 1, a, Seq(1)), Sight::Fresh);
        assert_eq!(memory.sight(0, 1, a, Seq(2)), Sight::Again);
        assert_eq!(memory.sight(0, 1, b, Seq(3)), Sight::Elsewhere);
        assert_eq!(memory.sight(0, 2, b, Seq(4)), Sight::Differs(Seq(1)));
        assert_eq!(memory.sight(REMEMBERED, 3, a, Seq(5)), Sight::Fresh);
        assert_eq!(memory.sight(0, 2, a, Seq(6)), Sight::Old);
        assert!(memory.has_any(REMEMBERED, REMEMBERED) && !memory.has_any(0, 5));
        // The same elsewhere, and there again.
        assert_eq!(memory.sight(REMEMBERED, 3, b, Seq(7)), Sight::Elsewhere);
        assert_eq!(memory.sight(REMEMBERED, 3, b, Seq(8)), Sight::Again);
        assert_eq!(memory.sight(REMEMBERED, 3, a, Seq(9)), Sight::Again);
        memory.clear();
        assert_eq!(memory.highest(), None);
        assert_eq!(memory.sight(0, 3, a, Seq(10)), Sight::Fresh);
    }

    #[test]
    fn the_largest_index_is_one_like_others() {
        let mut memory = Memory::default();
        assert!(!memory.has_any(0, u64::MAX));
        assert_eq!(memory.sight(u64::MAX, 1, ReceiverId(1), Seq(1)), Sight::Fresh);
        assert_eq!(memory.sight(u64::MAX, 1, ReceiverId(1), Seq(2)), Sight::Again);
        assert!(memory.has_any(u64::MAX, u64::MAX));
    }

    #[test]
    fn texts_that_differ_have_different_digests() {
        let texts = ["", "a", "b", "a\0", "12345678", "123456789", "23456789", "1234567812345678"];
        for (at, text) in texts.iter().enumerate() {
            assert!(texts[..at].iter().all(|other| text_digest(other) != text_digest(text)), "{text}");
        }
    }
}
