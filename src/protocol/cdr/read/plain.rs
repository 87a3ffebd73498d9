//! The short way for what nearly all of a set consists of: `<name attribute="value">`, `</name>` and `<name>text</name>`
//! without references and without white space where it means nothing. quick-xml reads them as events, with a stack of
//! its own, which costs twice as much as all that rules do with them.
//!
//! Whatever is the least bit different is left to quick-xml. A property proves that both ways say the same.

use quick_xml::Reader;

use super::super::grammar::is_space;
use super::super::names::{FieldName, RECORD};
use super::super::set::{AttributeNode, FieldNode, Run, Text};
use super::attributes::ATTRIBUTES;
use super::{Open, Reading, Role, Value};

impl<'s> Reading<'_, 's> {
    /// Reads plain tags and elements inside the root, as many as follow each other. The reader goes on behind them. It has
    /// to stand behind a tag.
    pub(super) fn plain(&mut self, reader: &mut Reader<&'s [u8]>) {
        #[cfg(test)]
        if self.tape.by_quick_xml_alone {
            return;
        }
        let begun = self.text.len() - reader.get_ref().len();
        let mut at = begun;
        while let Some(end) = self.plain_piece(at) {
            at = end;
        }
        *reader.get_mut() = &self.text.as_bytes()[at..];
        // The reader does not know of what it was spared; with this, the places that it tells are right all the same.
        self.base += at - begun;
    }

    /// Reads the plain tag or element at or behind white space at `at`. Where it ends, if there is one.
    fn plain_piece(&mut self, at: usize) -> Option<usize> {
        let top = *self.tape.open.last()?;
        let bytes = self.text.as_bytes();
        let at = at + bytes[at..].iter().position(|byte| !is_space(*byte))?;
        let behind = bytes[at..].strip_prefix(b"<")?;
        if let Some(end) = behind.strip_prefix(b"/") {
            let rest = end.strip_prefix(self.slice(top.name).as_bytes())?.strip_prefix(b">")?;
            self.close();
            return Some(bytes.len() - rest.len());
        }
        let length = behind.iter().position(|byte| !byte.is_ascii_alphanumeric())?;
        let name = &self.text[at + 1..at + 1 + length];
        let is_usual = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && match top.role {
                Role::Root => true,
                Role::Record(_) | Role::Field(_) => name != RECORD,
                Role::Passed => false,
            };
        if !is_usual || self.is_full() {
            return None;
        }
        let is_bare = behind[length] == b'>';
        let element = if is_bare && top.role != Role::Root { self.plain_element(at, name) } else { None };
        element.or_else(|| self.plain_start(at, name))
    }

    /// Reads `<name>text</name>`.
    fn plain_element(&mut self, at: usize, name: &'s str) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let value_at = at + name.len() + 2;
        let value_end = value_at + memchr::memchr3(b'<', b'&', b'>', &bytes[value_at..])?;
        let rest = bytes[value_end..].strip_prefix(b"</")?.strip_prefix(name.as_bytes())?.strip_prefix(b">")?;
        self.note_child(at);
        let (index, start) = (self.tape.fields.len() as u32, self.tape.attributes.len() as u32);
        let text = self.trimmed(Text::Source { start: value_at as u32, end: value_end as u32 });
        let empty = Text::Source { start: at as u32, end: at as u32 };
        let is_blank = matches!(text, Text::Source { start, end } if start == end);
        self.tape.fields.push(FieldNode {
            name: self.source(name),
            known: FieldName::of_element(name),
            value: if is_blank { empty } else { text },
            attributes: Run { start, end: start },
            next: index + 1,
            at: at as u32,
        });
        Some(bytes.len() - rest.len())
    }

    /// Reads `<name attribute="value">`, with any number of attributes.
    fn plain_start(&mut self, at: usize, name: &'s str) -> Option<usize> {
        let first = self.tape.attributes.len();
        let Some(end) = self.plain_attributes(at + 1 + name.len()) else {
            self.tape.attributes.truncate(first);
            return None;
        };
        let attributes = Run { start: first as u32, end: self.tape.attributes.len() as u32 };
        let role = self.place(at, name, FieldName::of_element(name), attributes);
        self.note_child(at);
        self.tape.open.push(Open { name: self.run_of(name), role, value: Value::None });
        Some(end)
    }

    /// Puts plain attributes onto the tape, up to the end of the tag. Where that is, if there is nothing else.
    fn plain_attributes(&mut self, mut at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let first = self.tape.attributes.len();
        while *bytes.get(at)? != b'>' {
            let name_at = at + bytes[at..].strip_prefix(b" ").map(|_| 1)?;
            let length = bytes[name_at..].iter().position(|byte| !byte.is_ascii_alphabetic())?;
            let name = &self.text[name_at..name_at + length];
            let value_at = name_at + length + bytes[name_at + length..].strip_prefix(b"=\"").map(|_| 2)?;
            let value_end = value_at + memchr::memchr3(b'"', b'&', b'<', &bytes[value_at..])?;
            let is_known = |node: &AttributeNode| self.tape.str(self.text, node.name) == name;
            let known = &self.tape.attributes[first..];
            if name.is_empty() || bytes[value_end] != b'"' || known.len() >= ATTRIBUTES || known.iter().any(is_known) {
                return None;
            }
            let value = Text::Source { start: value_at as u32, end: value_end as u32 };
            self.tape.attributes.push(AttributeNode { name: self.source(name), value });
            at = value_end + 1;
        }
        Some(at + 1)
    }
}
