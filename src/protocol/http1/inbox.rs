//! Bytes that have arrived and are not yet used up, and where a head ends in them.
//!
//! What is used up stays in front until it outweighs the rest, so that moving the rest costs no more than its arrival.

/// A buffer this long is given back once it is no longer needed.
const KEPT_BYTES: usize = 256 << 10;

#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// How much of it is used up.
    used: usize,
    /// How much of the rest has been searched for the end of a head.
    searched: usize,
    /// Where in the rest the line begins that is being searched.
    line: usize,
}

impl Inbox {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.used >= self.bytes.len() - self.used && self.used > 0 {
            self.bytes.drain(..self.used);
            self.used = 0;
            if self.bytes.len() < KEPT_BYTES && self.bytes.capacity() > KEPT_BYTES {
                self.bytes.shrink_to(KEPT_BYTES);
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// What is not yet used up.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.used..]
    }

    /// The first `bytes` of the rest are used up.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.used = (self.used + bytes).min(self.bytes.len());
        if self.used == self.bytes.len() {
            empty(&mut self.bytes);
            self.used = 0;
        }
        self.searched = 0;
        self.line = 0;
    }

    /// Passes over empty lines, which may stand in front of a head.
    pub(super) fn skip_empty_lines(&mut self) {
        loop {
            match self.rest() {
                [b'\n', ..] => self.consume(1),
                [b'\r', b'\n', ..] => self.consume(2),
                _ => return,
            }
        }
    }

    /// The length of the head that the rest begins with, its empty line included, if it is whole.
    pub(super) fn head_bytes(&mut self) -> Option<usize> {
        let rest = &self.bytes[self.used..];
        while let Some(found) = memchr::memchr(b'\n', &rest[self.searched..]) {
            let end = self.searched + found;
            let is_empty = matches!(&rest[self.line..end], [] | [b'\r']);
            self.searched = end + 1;
            self.line = end + 1;
            if is_empty {
                return Some(end + 1);
            }
        }
        self.searched = rest.len();
        None
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// Empties a buffer for its next use, and gives it back where it has become large.
pub(super) fn empty(buffer: &mut Vec<u8>) {
    buffer.clear();
    if buffer.capacity() > KEPT_BYTES {
        buffer.shrink_to(KEPT_BYTES);
    }
}
