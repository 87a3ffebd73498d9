//! Joins the fragments of text messages, for peers that send them although the guide rules them out.

use super::frame::{Frame, Opcode};

/// Collects the fragments of one connection and one direction, up to a limit.
#[derive(Debug)]
pub struct Assembler {
    parts: Vec<u8>,
    open: Option<Opcode>,
    limit: usize,
}

/// What a data frame contributes.
#[derive(Debug, PartialEq, Eq)]
pub enum Assembled<'a> {
    /// The frame is a whole message.
    Whole(&'a [u8]),
    /// The frame completes a fragmented message of that first opcode; all of it.
    Joined(Opcode, &'a [u8]),
    /// More fragments have to come.
    Partial,
    /// A continuation without a beginning, or a message beyond the limit: dropped.
    Lost,
}

impl Assembler {
    /// An assembler for messages of up to `limit` bytes.
    pub const fn new(limit: usize) -> Self {
        Self { parts: Vec::new(), open: None, limit }
    }

    /// Takes the next data frame (text, binary or continuation).
    pub fn accept<'a>(&'a mut self, frame: &Frame<'a>) -> Assembled<'a> {
        let opcode = frame.header.opcode;
        let continues = opcode == Opcode::CONTINUATION;
        if frame.header.fin && !continues {
            self.open = None;
            return Assembled::Whole(frame.payload);
        }
        if !continues {
            self.open = Some(opcode);
            self.parts.clear();
        }
        let Some(first) = self.open else { return Assembled::Lost };
        if self.parts.len() + frame.payload.len() > self.limit {
            self.open = None;
            return Assembled::Lost;
        }
        self.parts.extend_from_slice(frame.payload);
        if frame.header.fin {
            self.open = None;
            Assembled::Joined(first, &self.parts)
        } else {
            Assembled::Partial
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ws::frame::Header;

    fn frame(opcode: Opcode, fin: bool, payload: &[u8]) -> Frame<'_> {
        Frame { header: Header { fin, ..Header::new(opcode, payload.len() as u64) }, payload }
    }

    #[test]
    fn fragments_are_joined_and_strays_are_lost() {
        let mut assembler = Assembler::new(8);
        assert_eq!(assembler.accept(&frame(Opcode::CONTINUATION, true, b"x")), Assembled::Lost);
        assert_eq!(assembler.accept(&frame(Opcode::TEXT, false, b"ab")), Assembled::Partial);
        assert_eq!(assembler.accept(&frame(Opcode::CONTINUATION, false, b"")), Assembled::Partial);
        assert_eq!(assembler.accept(&frame(Opcode::CONTINUATION, true, b"c")), Assembled::Joined(Opcode::TEXT, b"abc"));
        assert_eq!(assembler.accept(&frame(Opcode::TEXT, true, b"whole")), Assembled::Whole(b"whole"));
        assert_eq!(assembler.accept(&frame(Opcode::TEXT, false, b"123456789")), Assembled::Lost);
        assert_eq!(assembler.accept(&frame(Opcode::CONTINUATION, true, b"c")), Assembled::Lost);
    }
}
