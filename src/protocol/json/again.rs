//! The shortest way for JSON: a text that is the last one of its length over again, but for digits of numbers and the insides
//! of strings. Then its tape is that of the last one, but for those numbers.
//!
//! Under load nearly all messages of a connection are of a few shapes, and all of its acks are of one. What each byte of the
//! last text was is kept beside it, so that a comparison of both texts decides. A property proves that this puts the same
//! onto the tape as reading does.

use super::Reading;
use super::node::{Node, Text, Value};
use super::plain::specials;

/// How many shapes are kept, by the length of their texts.
pub(super) const SHAPES: usize = 4;

/// The longest text whose shape is kept, in bytes.
const LONGEST: usize = 2048;

/// How many bytes are compared at once, a multiple of eight.
const BLOCK: usize = 32;

/// How many numbers a text of a known shape may have.
const NUMBERS: usize = 64;

/// What eight bytes of a text are: a mask of bytes for each kind, and the numbers that have digits among them, as bits.
/// A byte of none of both kinds has to be the same.
#[derive(Debug, Clone, Copy, Default)]
struct Kinds {
    /// Bytes inside strings that are values.
    inside: u64,
    /// Digits of numbers.
    digits: u64,
    numbers: u64,
}

/// How many misses in a row a shape outlives at first: two shapes of one length that come in turns are learnt once.
const CREDIT: u8 = 3;

/// How many misses in a row a shape outlives after many hits.
const MOST_CREDIT: u8 = 8;

/// The shape of a text, with its tape.
#[derive(Debug, Default)]
pub(super) struct Shape {
    text: Vec<u8>,
    /// What the bytes of the text are, eight at a time.
    kinds: Vec<Kinds>,
    /// Where numbers are: the node, and the digits.
    numbers: Vec<(u32, u32, u32)>,
    pub(super) reading: Reading,
    /// How many further misses it outlives.
    credit: u8,
}

impl Shape {
    /// Whether `text` is of this shape. Then the tape is that of `text`.
    pub(super) fn takes(&mut self, text: &[u8]) -> bool {
        let fits = text.len() == self.text.len() && !text.is_empty();
        let changed = if fits { self.compare(text) } else { None };
        let taken = changed.is_some_and(|changed| self.renew(text, changed));
        self.credit = if taken { (self.credit + 1).min(MOST_CREDIT) } else { self.credit.saturating_sub(1) };
        taken
    }

    /// Whether it has been missed so often that another one should take its place.
    pub(super) const fn is_worn(&self) -> bool {
        self.credit == 0
    }

    /// Which numbers may have changed, as bits; nothing if something else did.
    fn compare(&self, text: &[u8]) -> Option<u64> {
        let mut changed = 0;
        let (old, old_rest) = self.text.as_chunks::<BLOCK>();
        let (new, new_rest) = text.as_chunks::<BLOCK>();
        // Most of a text is as it was: that is seen sooner in greater pieces.
        for (place, (old, new)) in old.iter().zip(new).enumerate() {
            if old != new {
                changed |= changed_among(&self.kinds[place * (BLOCK / 8)..], old, new)?;
            }
        }
        changed |= changed_among(&self.kinds[old.len() * (BLOCK / 8)..], old_rest, new_rest)?;
        Some(changed)
    }

    /// Takes the numbers that changed. Whether they are written as plain numbers are; if not, the shape is spoiled.
    fn renew(&mut self, text: &[u8], changed: u64) -> bool {
        let mut rest = changed;
        while rest != 0 {
            let (node, start, end) = self.numbers[rest.trailing_zeros() as usize];
            let digits = &text[start as usize..end as usize];
            if digits.len() > 1 && digits[0] == b'0' {
                self.text.clear();
                return false;
            }
            let number = digits.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            self.reading.nodes[node as usize].set_number(number);
            rest &= rest - 1;
        }
        self.text.copy_from_slice(text);
        true
    }

    /// Learns the shape of a text that was read the short way, and has what it was read as from now on. Whether it is one that
    /// can be kept; if not, `reading` is as it was.
    pub(super) fn learn(&mut self, text: &[u8], reading: &mut Reading) -> bool {
        self.text.clear();
        self.numbers.clear();
        if text.len() > LONGEST {
            return false;
        }
        self.kinds.clear();
        self.kinds.resize(text.len().div_ceil(8), Kinds::default());
        for (place, node) in reading.nodes.iter().enumerate() {
            match node.value() {
                Value::Text(Text::Source { start, end }) => {
                    for at in start as usize..end as usize {
                        self.kinds[at / 8].inside |= byte_mask(at);
                    }
                }
                Value::Unsigned(_) => {
                    if self.numbers.len() == NUMBERS {
                        return false;
                    }
                    let Some((start, end)) = digits_of(text, node) else { return false };
                    for at in start..end {
                        self.kinds[at / 8].digits |= byte_mask(at);
                        self.kinds[at / 8].numbers |= 1 << self.numbers.len();
                    }
                    self.numbers.push((place as u32, start as u32, end as u32));
                }
                _ => {}
            }
        }
        self.text.extend_from_slice(text);
        std::mem::swap(&mut self.reading, reading);
        self.credit = CREDIT;
        true
    }
}

/// Which numbers may have changed between two pieces of these kinds, as bits; nothing if something else did.
fn changed_among(kinds: &[Kinds], old: &[u8], new: &[u8]) -> Option<u64> {
    let mut changed = 0;
    for ((old, new), kinds) in old.chunks(8).zip(new.chunks(8)).zip(kinds) {
        changed |= kinds.changed(few(old), few(new))?;
    }
    Some(changed)
}

impl Kinds {
    /// Which numbers may have changed between these eight bytes, as bits; nothing if something else did.
    #[inline]
    const fn changed(&self, old: u64, new: u64) -> Option<u64> {
        if old == new {
            return Some(0);
        }
        let is_other = (old ^ new) & !(self.inside | self.digits) != 0;
        // Bytes that are not meant are blanked with one that is in order.
        let inside = new & self.inside | (BYTES * b' ' as u64) & !self.inside;
        let digits = new & self.digits | (BYTES * b'0' as u64) & !self.digits;
        if is_other || specials(inside) != 0 || !are_digits(digits) {
            return None;
        }
        Some(self.numbers)
    }
}

/// One in each byte.
const BYTES: u64 = u64::from_ne_bytes([1; 8]);

/// Whether all eight bytes are digits.
const fn are_digits(bytes: u64) -> bool {
    // The upper half of a digit is 3, and stays 3 when 6 is added to it, which carries over from nine on.
    const UPPER: u64 = BYTES * 0xF0;
    (bytes & UPPER) == BYTES * 0x30 && (bytes.wrapping_add(BYTES * 6) & UPPER) == BYTES * 0x30
}

/// The mask of a byte among its eight.
const fn byte_mask(at: usize) -> u64 {
    0xFF << (at % 8 * 8)
}

/// Up to eight bytes, as eight.
#[inline]
fn few(bytes: &[u8]) -> u64 {
    if let Ok(eight) = bytes.try_into() {
        return u64::from_le_bytes(eight);
    }
    let mut eight = [0; 8];
    eight[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(eight)
}

/// Where the digits of a number are that has a name: behind the colon.
fn digits_of(text: &[u8], node: &Node) -> Option<(usize, usize)> {
    let Some(Text::Source { end, .. }) = node.key() else { return None };
    let is_between = |byte: &u8| matches!(byte, b'"' | b':' | b' ' | b'\n' | b'\r' | b'\t');
    let behind = &text[end as usize..];
    let start = end as usize + behind.iter().take_while(|byte| is_between(byte)).count();
    let digits = text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some((start, start + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_told_from_all_other_bytes() {
        for byte in 0..=u8::MAX {
            for place in 0..8 {
                let mut bytes = *b"09281745";
                bytes[place] = byte;
                assert_eq!(are_digits(u64::from_le_bytes(bytes)), byte.is_ascii_digit(), "{bytes:?}");
            }
        }
    }
}
