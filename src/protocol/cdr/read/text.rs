//! The text directly inside an element, put together from its pieces: text, references and CDATA sections.
//!
//! A single piece stays where it is in the body; several are copied one behind the other. Text that follows an inner
//! element is not kept: no documented field has any, and keeping it would let a sender have it copied again and again.

use super::super::grammar::{is_name, is_space, reference};
use super::super::set::Text;
use super::{Flow, Reading, Role, Value, quoted};

impl Reading<'_, '_> {
    /// Text as it stands there.
    pub(super) fn characters(&mut self, text: &str) -> Flow {
        let at = self.offset(text);
        // quick-xml begins a new piece of text with it.
        if text.starts_with('&') {
            self.note(at, true, "an ampersand that begins no reference");
        }
        if memchr::memchr(b'>', text.as_bytes()).is_some()
            && let Some(amid) = text.find("]]>")
        {
            self.note(at + amid, true, "]]> in text");
        }
        self.append(at, text, false)
    }

    pub(super) fn general_reference(&mut self, name: &str) -> Flow {
        let at = self.offset(name) - 1;
        match reference(name) {
            Some(character) => self.append(at, character.encode_utf8(&mut [0; 4]), true),
            None => {
                self.note_reference(at, name);
                let source = &self.text[at..at + name.len() + 2];
                self.append(at, source, true)
            }
        }
    }

    pub(super) fn note_reference(&mut self, at: usize, name: &str) {
        // With a document type declaration, the entity may be declared; it is not expanded all the same.
        let malformed = !(self.tape.has_dtd && is_name(name));
        self.note(at, malformed, format!("the reference {} stands for nothing that XML defines", quoted(name)));
    }

    /// Adds text to the innermost open element. Text beside elements that should have none is reported.
    pub(super) fn append(&mut self, at: usize, piece: &str, counts: bool) -> Flow {
        let is_blank = !counts && piece.bytes().all(is_space);
        let Some(open) = self.tape.open.last().copied() else {
            if !is_blank {
                self.note(at, true, "text outside the root element");
            }
            return Flow::On;
        };
        let value = match (open.role, open.value) {
            _ if is_blank && !matches!(open.value, Value::Some(_)) => return Flow::On,
            (Role::Passed, _) => return Flow::On,
            (Role::Root | Role::Record(_), _) => {
                self.note(at, false, format!("text directly inside {}", quoted(self.slice(open.name))));
                return Flow::On;
            }
            (Role::Field(_), Value::Closed(_)) => {
                let name = quoted(self.slice(open.name));
                self.note(at, false, format!("text behind an element inside {name}: it is not kept"));
                return Flow::On;
            }
            (Role::Field(_), Value::None) => self.first_piece(piece),
            (Role::Field(_), Value::Some(value)) => self.further_piece(value, piece),
        };
        if let Some(open) = self.tape.open.last_mut() {
            open.value = Value::Some(value);
        }
        Flow::On
    }

    /// The first piece of an element's text: borrowed, if it stands in the body.
    fn first_piece(&mut self, piece: &str) -> Text {
        let (outer, inner) = (self.text.as_ptr() as usize, piece.as_ptr() as usize);
        if inner >= outer && inner + piece.len() <= outer + self.text.len() {
            let start = inner - outer;
            return Text::Source { start: start as u32, end: (start + piece.len()) as u32 };
        }
        let start = self.tape.decoded.len() as u32;
        self.tape.decoded.push_str(piece);
        Text::Decoded { start, end: self.tape.decoded.len() as u32 }
    }

    /// A further piece. Nothing else was decoded since the one before it, so that it fits on at the end.
    fn further_piece(&mut self, value: Text, piece: &str) -> Text {
        let start = match value {
            Text::Decoded { start, .. } => start,
            Text::Source { start, end } => {
                let copy = self.tape.decoded.len() as u32;
                self.tape.decoded.push_str(&self.text[start as usize..end as usize]);
                copy
            }
        };
        self.tape.decoded.push_str(piece);
        Text::Decoded { start, end: self.tape.decoded.len() as u32 }
    }
}
