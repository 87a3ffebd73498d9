//! A codec for single WebSocket frames (RFC 6455 section 5) that shows everything and refuses nothing.
//!
//! [`decode`] reports FIN, the reserved bits, any opcode, the mask and how the length was written; whether that is legal
//! is a question for the rules. [`encode`] writes whatever it is told to. Payloads are unmasked in place.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An opcode, defined or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Opcode(pub u8);

impl Opcode {
    /// Continuation of a fragmented message.
    pub const CONTINUATION: Self = Self(0x0);
    /// Text, the only kind that the events interface speaks.
    pub const TEXT: Self = Self(0x1);
    /// Binary data.
    pub const BINARY: Self = Self(0x2);
    /// Close.
    pub const CLOSE: Self = Self(0x8);
    /// Ping.
    pub const PING: Self = Self(0x9);
    /// Pong.
    pub const PONG: Self = Self(0xA);

    /// Whether RFC 6455 defines it.
    pub const fn is_defined(self) -> bool {
        matches!(self.0, 0x0..=0x2 | 0x8..=0xA)
    }

    /// Whether it is one of a control frame (defined or reserved).
    pub const fn is_control(self) -> bool {
        self.0 & 0x8 != 0
    }

    /// The name in scenarios and traces; reserved ones are `0x3` and so on.
    pub fn name(self) -> String {
        self.to_string()
    }

    /// The opcode with this name, or with this number written `0x3` to `0xf`.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "continuation" => Self::CONTINUATION,
            "text" => Self::TEXT,
            "binary" => Self::BINARY,
            "close" => Self::CLOSE,
            "ping" => Self::PING,
            "pong" => Self::PONG,
            other => Self(u8::from_str_radix(other.strip_prefix("0x")?, 16).ok().filter(|code| *code < 16)?),
        })
    }
}

impl fmt::Display for Opcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CONTINUATION => f.write_str("continuation"),
            Self::TEXT => f.write_str("text"),
            Self::BINARY => f.write_str("binary"),
            Self::CLOSE => f.write_str("close"),
            Self::PING => f.write_str("ping"),
            Self::PONG => f.write_str("pong"),
            Self(code) => write!(f, "{code:#x}"),
        }
    }
}

/// How the payload's length is written (RFC 6455 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LengthForm {
    /// In the second byte: up to 125.
    Short,
    /// In two further bytes: up to 65,535.
    Medium,
    /// In eight further bytes.
    Long,
}

impl LengthForm {
    /// The shortest form that can hold `length`.
    pub const fn shortest(length: u64) -> Self {
        match length {
            0..=125 => Self::Short,
            126..=65_535 => Self::Medium,
            _ => Self::Long,
        }
    }
}

/// Everything about a frame but its payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Last (or only) frame of its message.
    pub fin: bool,
    /// The three reserved bits, RSV1 as 4, RSV2 as 2, RSV3 as 1.
    pub reserved: u8,
    /// What kind of frame it is.
    pub opcode: Opcode,
    /// The masking key, if the mask bit is set.
    pub mask: Option<[u8; 4]>,
    /// How the length is written.
    pub length_form: LengthForm,
    /// The payload's length in bytes as the header states it.
    pub length: u64,
}

impl Header {
    /// A final, unmasked frame with the shortest length form.
    pub const fn new(opcode: Opcode, length: u64) -> Self {
        Self { fin: true, reserved: 0, opcode, mask: None, length_form: LengthForm::shortest(length), length }
    }
}

/// One frame; the payload is unmasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// All but the payload.
    pub header: Header,
    /// The payload, unmasked.
    pub payload: &'a [u8],
}

/// What the beginning of a buffer holds.
#[derive(Debug, PartialEq, Eq)]
pub enum Decoded<'b> {
    /// A frame, and how many bytes of the buffer it takes.
    Frame {
        /// The frame.
        frame: Frame<'b>,
        /// Bytes to take off the front of the buffer.
        consumed: usize,
    },
    /// Too few bytes: the buffer must hold at least this many in all before it is worth another look.
    Incomplete {
        /// Length in bytes that the buffer must reach.
        needed: usize,
    },
    /// The header states a longer payload than the limit allows; nothing can be read on this connection any more.
    TooLong {
        /// The header of the frame.
        header: Header,
    },
}

/// Reads the header at the front of `buffer`, with the number of bytes that it takes.
pub fn decode_header(buffer: &[u8]) -> Option<(Header, usize)> {
    let [first, second, rest @ ..] = buffer else { return None };
    let (length_form, length, mut at) = match second & 0x7F {
        126 => (LengthForm::Medium, u64::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (LengthForm::Long, u64::from_be_bytes(*rest.first_chunk()?), 10),
        short => (LengthForm::Short, u64::from(short), 2),
    };
    let mask = if second & 0x80 != 0 {
        let key = *buffer.get(at..)?.first_chunk()?;
        at += 4;
        Some(key)
    } else {
        None
    };
    let header = Header {
        fin: first & 0x80 != 0,
        reserved: (first >> 4) & 0x7,
        opcode: Opcode(first & 0xF),
        mask,
        length_form,
        length,
    };
    Some((header, at))
}

/// Decodes the frame at the front of `buffer`, unmasking it in place. `limit` bounds the payload in bytes.
///
/// Bytes of an incomplete frame stay as they are, so the call can be repeated when more have come.
pub fn decode(buffer: &mut [u8], limit: u64) -> Decoded<'_> {
    let Some((header, start)) = decode_header(buffer) else {
        return Decoded::Incomplete { needed: (buffer.len() + 1).max(2) };
    };
    if header.length > limit {
        return Decoded::TooLong { header };
    }
    let end = start + header.length as usize;
    if buffer.len() < end {
        return Decoded::Incomplete { needed: end };
    }
    if let Some(key) = header.mask {
        apply_mask(&mut buffer[start..end], key);
    }
    Decoded::Frame { frame: Frame { header, payload: &buffer[start..end] }, consumed: end }
}

/// The frame at the front of `buffer`, if it is whole and one that a server should send: a text in one piece, not masked,
/// of at most `limit` bytes. Nothing is changed. Also tells how many bytes it takes.
pub fn whole_text(buffer: &[u8], limit: u64) -> Option<(Frame<'_>, usize)> {
    let (header, start) = decode_header(buffer)?;
    let is_plain = header.fin && header.opcode == Opcode::TEXT && header.reserved == 0 && header.mask.is_none();
    if !is_plain || header.length > limit {
        return None;
    }
    let end = start + header.length as usize;
    Some((Frame { header, payload: buffer.get(start..end)? }, end))
}

/// Appends a frame to `out` exactly as `header` says, however illegal that is: the stated length need not be the
/// payload's. The payload is masked if there is a key.
pub fn encode(header: &Header, payload: &[u8], out: &mut Vec<u8>) {
    out.push(u8::from(header.fin) << 7 | (header.reserved & 0x7) << 4 | header.opcode.0 & 0xF);
    let mask_bit = u8::from(header.mask.is_some()) << 7;
    match header.length_form {
        LengthForm::Short => out.push(mask_bit | (header.length as u8 & 0x7F).min(125)),
        LengthForm::Medium => {
            out.push(mask_bit | 126);
            out.extend_from_slice(&(header.length as u16).to_be_bytes());
        }
        LengthForm::Long => {
            out.push(mask_bit | 127);
            out.extend_from_slice(&header.length.to_be_bytes());
        }
    }
    out.extend_from_slice(&header.mask.unwrap_or_default()[..if header.mask.is_some() { 4 } else { 0 }]);
    let start = out.len();
    out.extend_from_slice(payload);
    if let Some(key) = header.mask {
        apply_mask(&mut out[start..], key);
    }
}

/// Applies (or takes off) a mask, eight bytes at a time.
fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    let wide = u64::from_ne_bytes([key[0], key[1], key[2], key[3], key[0], key[1], key[2], key[3]]);
    let (chunks, tail) = payload.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide).to_ne_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

/// The payload of a close frame: a code and a reason.
pub fn close_payload(code: u16, reason: &str) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    payload
}

/// The code that a close frame's payload states, if any.
pub fn close_code(payload: &[u8]) -> Option<u16> {
    payload.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_header() -> impl Strategy<Value = (Header, Vec<u8>)> {
        (
            any::<bool>(),
            0..8u8,
            0..16u8,
            proptest::option::of(any::<[u8; 4]>()),
            prop_oneof![Just(None), Just(Some(LengthForm::Medium)), Just(Some(LengthForm::Long))],
            prop_oneof![prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(any::<u8>(), 65_500..65_600)],
        )
            .prop_map(|(fin, reserved, opcode, mask, form, payload)| {
                let length = payload.len() as u64;
                let shortest = LengthForm::shortest(length);
                let length_form = match (shortest, form) {
                    (LengthForm::Long, _) | (_, None) => shortest,
                    (_, Some(form)) => form,
                };
                let header = Header { fin, reserved, opcode: Opcode(opcode), mask, length_form, length };
                (header, payload)
            })
    }

    proptest! {
        #[test]
        fn every_frame_comes_back_as_it_was_written((header, payload) in any_header(), cut in any::<prop::sample::Index>()) {
            let mut wire = Vec::new();
            encode(&header, &payload, &mut wire);
            let mut part = wire[..cut.index(wire.len())].to_vec();
            let before = part.clone();
            match decode(&mut part, u64::MAX) {
                Decoded::Incomplete { needed } => prop_assert!(needed > before.len() && needed <= wire.len()),
                other => prop_assert!(false, "{other:?}"),
            }
            prop_assert_eq!(part, before);
            let length = wire.len();
            prop_assert_eq!(
                decode(&mut wire, u64::MAX),
                Decoded::Frame { frame: Frame { header, payload: &payload }, consumed: length }
            );
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&mut bytes, 1 << 20);
        }
    }

    #[test]
    fn a_length_beyond_the_limit_is_told_from_the_header_alone() {
        let mut wire = vec![0x81, 127, 0, 0, 0, 0, 0x06, 0x40, 0, 0];
        assert!(matches!(decode(&mut wire, 1 << 24), Decoded::TooLong { header } if header.length == 104_857_600));
    }

    #[test]
    fn opcode_names_go_both_ways() {
        for code in 0..16 {
            assert_eq!(Opcode::from_name(&Opcode(code).to_string()), Some(Opcode(code)));
        }
        assert_eq!(Opcode::from_name("0x1f"), None);
    }
}
