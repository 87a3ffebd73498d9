//! HTTP/1.1 messages in bytes, without a socket: what a CDR receiver reads and answers, what a Call Bridge sends and
//! reads.
//!
//! A library would do for conformant peers. Receivers here answer halves, close in the middle and read slowly, and judge
//! what arrived as it was on the wire, so that both sides work on bytes; httparse reads the heads.
//!
//! - `inbox`: bytes that have arrived and are not yet used up, and where a head ends in them
//! - `chunks`: the chunked transfer coding, in whatever pieces it comes
//! - `framing`: what the header fields say about the body and the connection
//! - `request`: [`RequestReader`]; `answer`: [`AnswerReader`]; `write`: [`write_request`], [`write_answer`]
//!
//! The readers take bytes in any pieces. The work is proportional to the bytes, however they are cut, and what a peer can
//! make them keep is bounded by [`Limits`].

mod answer;
mod chunks;
mod framing;
mod inbox;
mod request;
#[cfg(test)]
mod tests;
mod write;

use std::fmt;

pub use answer::{AnswerReader, NextAnswer, Unframed};
pub use request::{Next, RequestReader};
pub use write::{write_answer, write_chunks, write_request};

/// The head of a request as it was on the wire.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Head<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query, unchanged.
    pub target: &'a str,
    /// 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor_version: u8,
    /// The header fields, each line with its line end, unchanged.
    pub fields: &'a str,
}

impl<'a> Head<'a> {
    /// The header fields in order; a line without a colon counts as a name without value.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.fields.lines().map(parts)
    }

    /// The first value of the field `name`, compared without case.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let mut rest = self.fields;
        while !rest.is_empty() {
            let end = memchr::memchr(b'\n', rest.as_bytes()).map_or(rest.len(), |at| at + 1);
            let (line, behind) = rest.split_at(end);
            rest = behind;
            // Nearly all lines are others, which shows before anything is taken apart.
            let is_it = line.trim_start().get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
            if is_it
                && let (known, value) = parts(line)
                && known.len() == name.len()
            {
                return Some(value);
            }
        }
        None
    }
}

/// Name and value of one header field.
fn parts(line: &str) -> (&str, &str) {
    let (name, value) = line.split_once(':').unwrap_or((line, ""));
    (name.trim(), value.trim())
}

impl fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} HTTP/1.{}", self.method, self.target, self.minor_version)
    }
}

/// How much one message may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest head, in bytes.
    pub head_bytes: usize,
    /// The longest body, in bytes, after chunks are put together.
    pub body_bytes: usize,
}

impl Default for Limits {
    /// 64 KiB and 64 MiB.
    fn default() -> Self {
        Self { head_bytes: 64 << 10, body_bytes: 64 << 20 }
    }
}
