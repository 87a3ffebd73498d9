//! The short way for what most of a set consists of: `<name>text</name>` without attributes, references and white space
//! in its tags. quick-xml reads such an element as three events, which costs twice as much as all that rules do with it.
//!
//! Whatever is the least bit different is left to quick-xml. A property proves that both ways say the same.

use quick_xml::Reader;

use super::super::names::{FieldName, RECORD};
use super::super::set::{FieldNode, Run, Text};
use super::{Reading, Role};

impl<'s> Reading<'_, 's> {
    /// Reads plain elements, as many as follow each other inside a record. The reader goes on behind them. It has to stand
    /// behind a tag.
    pub(super) fn plain_fields(&mut self, reader: &mut Reader<&'s [u8]>) {
        #[cfg(test)]
        if self.tape.by_quick_xml_alone {
            return;
        }
        let is_within = self.tape.open.last().is_some_and(|open| matches!(open.role, Role::Field(_) | Role::Record(_)));
        if !is_within {
            return;
        }
        let begun = self.text.len() - reader.get_ref().len();
        let mut at = begun;
        while let Some(end) = self.plain_field(at) {
            at = end;
        }
        *reader.get_mut() = &self.text.as_bytes()[at..];
        // The reader does not know of what it was spared; with this, the places that it tells are right all the same.
        self.base += at - begun;
    }

    /// Reads the plain element at or behind white space at `at`. Where it ends, if there is one.
    fn plain_field(&mut self, at: usize) -> Option<usize> {
        let bytes = self.text.as_bytes();
        let at = at + bytes[at..].iter().position(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r'))?;
        let name_at = at + bytes[at..].strip_prefix(b"<").map(|_| 1)?;
        let length = bytes[name_at..].iter().position(|byte| !byte.is_ascii_alphanumeric())?;
        let value_at = name_at + length + 1;
        let (name, value) = (&self.text[name_at..value_at - 1], bytes.get(value_at..)?);
        if bytes[value_at - 1] != b'>' || name == RECORD || !name.starts_with(|first: char| first.is_ascii_alphabetic())
        {
            return None;
        }
        let value_end = value_at + memchr::memchr3(b'<', b'&', b'>', value)?;
        let behind = bytes[value_end..].strip_prefix(b"</")?.strip_prefix(name.as_bytes())?.strip_prefix(b">")?;
        if self.is_full() {
            return None;
        }
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
        Some(bytes.len() - behind.len())
    }
}
