//! What the header fields of a message say about its body and about the connection (RFC 9112, sections 6 and 9.3).
//!
//! Fields that contradict each other are a fault: which of them the peer meant cannot be known, and guessing wrong reads
//! the next message out of the present one's body.

use httparse::Header;

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub(super) what: String,
    pub(super) is_too_long: bool,
}

impl Problem {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_too_long: false }
    }

    pub(super) fn too_long(what: impl Into<String>) -> Self {
        Self { what: what.into(), is_too_long: true }
    }
}

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Length {
    /// By nothing.
    Untold,
    Bytes(u64),
    Chunked,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Framing {
    pub(super) length: Length,
    pub(super) keep_alive: bool,
}

impl Framing {
    /// Reads the fields of one head.
    pub(super) fn of(minor_version: u8, fields: &[Header<'_>]) -> Result<Self, Problem> {
        let (mut bytes, mut is_chunked, mut closes, mut keeps) = (None, false, false, false);
        for field in fields {
            match field.name.len() {
                10 if field.name.eq_ignore_ascii_case("connection") => {
                    closes |= has_token(field.value, "close");
                    keeps |= has_token(field.value, "keep-alive");
                }
                14 if field.name.eq_ignore_ascii_case("content-length") => content_length(field.value, &mut bytes)?,
                17 if field.name.eq_ignore_ascii_case("transfer-encoding") => {
                    if is_chunked || !field.value.trim_ascii().eq_ignore_ascii_case(b"chunked") {
                        let value = quoted(field.value);
                        return Err(Problem::new(format!("the transfer coding is not just \"chunked\": {value}")));
                    }
                    is_chunked = true;
                }
                _ => {}
            }
        }
        let length = match (bytes, is_chunked) {
            (Some(_), true) => return Err(Problem::new("both Content-Length and Transfer-Encoding are there")),
            (None, true) if minor_version == 0 => return Err(Problem::new("HTTP/1.0 has no Transfer-Encoding")),
            (None, true) => Length::Chunked,
            (Some(bytes), false) => Length::Bytes(bytes),
            (None, false) => Length::Untold,
        };
        Ok(Self { length, keep_alive: !closes && (minor_version >= 1 || keeps) })
    }
}

/// Reads one field's value, which may be a list that repeats the same number.
fn content_length(value: &[u8], known: &mut Option<u64>) -> Result<(), Problem> {
    for part in value.split(|byte| *byte == b',') {
        let digits = part.trim_ascii();
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return Err(Problem::new(format!("Content-Length is no number: {}", quoted(value))));
        }
        let number =
            digits.iter().fold(0_u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
        if known.replace(number).is_some_and(|other| other != number) {
            return Err(Problem::new("Content-Length is there twice, with different values"));
        }
    }
    Ok(())
}

fn has_token(list: &[u8], token: &str) -> bool {
    list.split(|byte| *byte == b',').any(|part| part.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// A field's value in quotes; of a long one, the beginning.
fn quoted(value: &[u8]) -> String {
    const QUOTED_BYTES: usize = 60;
    let (shown, more) = if value.len() > QUOTED_BYTES { (&value[..QUOTED_BYTES], "…") } else { (value, "") };
    format!("{:?}{more}", String::from_utf8_lossy(shown))
}
