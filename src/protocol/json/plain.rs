//! The short way for the JSON that servers and clients write: objects, arrays, strings without escapes, whole numbers
//! without sign, and words. It puts the same onto the tape as the long way by serde_json, for a third of the cost.
//!
//! Whatever is the least bit different is left to serde_json, which also says what is wrong where something is. A property
//! proves that both ways put the same onto the tape.

use super::Document;
use super::node::{Text, Value};

/// How deep this way goes.
const DEPTH: usize = 16;

/// An open object or array.
#[derive(Clone, Copy, Default)]
struct Open {
    node: usize,
    is_object: bool,
}

impl Document {
    /// Reads `text` onto the empty tape, if it is plain. Where it is not, what is on the tape means nothing.
    pub(super) fn scan(&mut self, text: &str) -> bool {
        Scan { text, bytes: text.as_bytes(), at: 0 }.document(self).is_some()
    }
}

struct Scan<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
}

impl Scan<'_> {
    fn document(&mut self, tape: &mut Document) -> Option<()> {
        let mut open = [Open::default(); DEPTH];
        let mut depth = 0;
        let mut key = None;
        loop {
            let opened = match self.next_token()? {
                b'{' => Some((Value::Object, b'}')),
                b'[' => Some((Value::Array, b']')),
                first => {
                    let value = self.scalar(first)?;
                    tape.push(self.text, key.take(), value);
                    None
                }
            };
            if let Some((value, end)) = opened {
                self.at += 1;
                let place = open.get_mut(depth)?;
                *place = Open { node: tape.push(self.text, key.take(), value), is_object: end == b'}' };
                let is_object = place.is_object;
                if self.next_token()? != end {
                    depth += 1;
                    key = if is_object { Some(self.key()?) } else { None };
                    continue;
                }
                self.at += 1;
            }
            // A value is whole: whatever it ends as well is closed.
            loop {
                let Some(parent) = depth.checked_sub(1).map(|top| open[top]) else {
                    return self.next_token().is_none().then_some(());
                };
                match (self.next_token()?, parent.is_object) {
                    (b',', is_object) => {
                        self.at += 1;
                        key = if is_object { Some(self.key()?) } else { None };
                        break;
                    }
                    (b'}', true) | (b']', false) => {
                        self.at += 1;
                        tape.close(parent.node);
                        depth -= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    /// The next byte that is no white space; it is not taken.
    fn next_token(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    /// A member's name with its colon.
    fn key(&mut self) -> Option<Text> {
        if self.next_token()? != b'"' {
            return None;
        }
        let name = self.string()?;
        if self.next_token()? != b':' {
            return None;
        }
        self.at += 1;
        Some(name)
    }

    fn scalar(&mut self, first: u8) -> Option<Value> {
        match first {
            b'"' => self.string().map(Value::Text),
            b'0'..=b'9' => self.number().map(Value::Unsigned),
            b't' => self.word(b"true").map(|()| Value::Bool(true)),
            b'f' => self.word(b"false").map(|()| Value::Bool(false)),
            b'n' => self.word(b"null").map(|()| Value::Null),
            _ => None,
        }
    }

    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// A whole number that surely fits.
    fn number(&mut self) -> Option<u64> {
        const DIGITS: usize = 19;
        let digits = self.bytes[self.at..].iter().take(DIGITS + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let written = &self.bytes[self.at..self.at + digits];
        let behind = self.bytes.get(self.at + digits);
        let is_longer = matches!(behind, Some(b'.' | b'e' | b'E')) || digits > DIGITS;
        if is_longer || digits > 1 && written[0] == b'0' {
            return None;
        }
        self.at += digits;
        Some(written.iter().fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
    }

    /// A string without escapes, which begins here.
    fn string(&mut self) -> Option<Text> {
        let start = self.at + 1;
        let mut at = start;
        // Eight bytes at a time, as long as none of them ends the string or is not plain.
        while let Some(chunk) = self.bytes.get(at..at + 8) {
            let special = specials(u64::from_le_bytes(chunk.try_into().ok()?));
            if special != 0 {
                at += special.trailing_zeros() as usize / 8;
                break;
            }
            at += 8;
        }
        while let Some(byte) = self.bytes.get(at) {
            match byte {
                b'"' => {
                    self.at = at + 1;
                    return Some(Text::Source { start: start as u32, end: at as u32 });
                }
                b'\\' | 0..=0x1F => return None,
                _ => at += 1,
            }
        }
        None
    }
}

/// Sets the highest bit of each byte that is a quote, a backslash or a control character. Above the first of them further
/// bits may be set by mistake.
pub(super) const fn specials(bytes: u64) -> u64 {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    const fn zeros(bytes: u64) -> u64 {
        bytes.wrapping_sub(LOW) & !bytes & HIGH
    }
    let quotes = zeros(bytes ^ (LOW * b'"' as u64));
    let backslashes = zeros(bytes ^ (LOW * b'\\' as u64));
    let controls = bytes.wrapping_sub(LOW * 0x20) & !bytes & HIGH;
    quotes | backslashes | controls
}
