//! The shortest way for JSON: a text that is the last one of its length over again, but for digits of numbers and the insides
//! of strings. Then its tape is that of the last one, but for those numbers.
//!
//! Under load nearly all messages of a connection are of a few shapes, and all of its acks are of one. What each byte of the
//! last text was is kept beside it, so that a comparison of both texts decides. A property proves that this puts the same
//! onto the tape as reading does.

use super::{Node, Reading, Text, Value};

/// How many shapes are kept, by the length of their texts.
pub(super) const SHAPES: usize = 4;

/// The longest text whose shape is kept, in bytes.
const LONGEST: usize = 2048;

/// How many numbers a text of a known shape may have.
const NUMBERS: usize = 64;

/// A byte that has to be the same.
const FIXED: u8 = 0;

/// A byte inside a string that is a value.
const INSIDE: u8 = 1;

/// The first number's digits; those of the next ones follow.
const DIGIT: u8 = 2;

/// How many misses in a row a shape outlives at first: two shapes of one length that come in turns are learnt once.
const CREDIT: u8 = 3;

/// How many misses in a row a shape outlives after many hits.
const MOST_CREDIT: u8 = 8;

/// The shape of a text, with its tape.
#[derive(Debug, Default)]
pub(super) struct Shape {
    text: Vec<u8>,
    /// What each byte of the text is.
    kinds: Vec<u8>,
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

    /// Which numbers changed, as bits; nothing if something else did.
    fn compare(&self, text: &[u8]) -> Option<u64> {
        let mut changed = 0_u64;
        let mut look = |at: usize| {
            let (kind, new) = (self.kinds[at], text[at]);
            match kind {
                _ if new == self.text[at] => true,
                FIXED => false,
                INSIDE => new >= 0x20 && new != b'"' && new != b'\\',
                number => {
                    changed |= 1 << (number - DIGIT);
                    new.is_ascii_digit()
                }
            }
        };
        let (old, new) = (self.text.as_chunks::<8>().0, text.as_chunks::<8>().0);
        for (place, (old, new)) in old.iter().zip(new).enumerate() {
            if old != new && !(place * 8..place * 8 + 8).all(&mut look) {
                return None;
            }
        }
        (new.len() * 8..text.len()).all(look).then_some(changed)
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
            self.reading.nodes[node as usize].value = Value::Unsigned(number);
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
        self.kinds.resize(text.len(), FIXED);
        for (place, node) in reading.nodes.iter().enumerate() {
            match node.value {
                Value::Text(Text::Source { start, end }) => self.kinds[start as usize..end as usize].fill(INSIDE),
                Value::Unsigned(_) => {
                    let Some(number) = u8::try_from(self.numbers.len()).ok().filter(|n| usize::from(*n) < NUMBERS)
                    else {
                        return false;
                    };
                    let Some((start, end)) = digits_of(text, node) else { return false };
                    self.kinds[start..end].fill(DIGIT + number);
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

/// Where the digits of a number are that has a name: behind the colon.
fn digits_of(text: &[u8], node: &Node) -> Option<(usize, usize)> {
    let Some(Text::Source { end, .. }) = node.key else { return None };
    let is_between = |byte: &u8| matches!(byte, b'"' | b':' | b' ' | b'\n' | b'\r' | b'\t');
    let behind = &text[end as usize..];
    let start = end as usize + behind.iter().take_while(|byte| is_between(byte)).count();
    let digits = text[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    (digits > 0).then_some((start, start + digits))
}
