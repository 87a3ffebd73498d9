//! The attributes of an element, with what is wrong about them.

use quick_xml::events::BytesStart;
use quick_xml::events::attributes::AttrError;

use super::super::grammar::{is_name, is_space, reference};
use super::super::set::{AttributeNode, Run, Text};
use super::{Reading, quoted};

/// How many attributes one element may have.
pub(super) const ATTRIBUTES: usize = 64;

impl Reading<'_, '_> {
    /// Puts an element's attributes onto the tape.
    pub(super) fn attributes(&mut self, at: usize, start: &BytesStart<'_>) -> Run {
        let first = self.tape.attributes.len();
        if start.len() == start.name().into_inner().len() {
            return Run { start: first as u32, end: first as u32 };
        }
        let mut list = start.attributes();
        list.with_checks(false);
        for attribute in list {
            let attribute = match attribute {
                Ok(attribute) => attribute,
                Err(error) => {
                    let (within, what) = attribute_error(error);
                    // Places count from the name, which follows the bracket.
                    self.note(at + 1 + within, true, what);
                    continue;
                }
            };
            let name = attribute.key.into_inner();
            let name_at = self.offset(name);
            if self.tape.attributes.len() - first >= ATTRIBUTES {
                let limit = format!("an element with more than {ATTRIBUTES} attributes");
                self.note(name_at, false, format!("{limit}: the others are not read"));
                self.tape.limit = Some(limit);
                break;
            }
            if !is_name(name) {
                self.note(name_at, true, format!("an attribute with the name {}", quoted(name)));
            } else if !self.text.as_bytes().get(name_at.wrapping_sub(1)).copied().is_some_and(is_space) {
                self.note(name_at, true, "no white space before an attribute");
            }
            let is_known = |node: &AttributeNode| self.tape.str(self.text, node.name) == name;
            if self.tape.attributes[first..].iter().any(is_known) {
                self.note(name_at, true, format!("the attribute {} is there twice", quoted(name)));
            }
            let value = self.attribute_value(&attribute.value);
            let name = self.source(name);
            self.tape.attributes.push(AttributeNode { name, value });
        }
        Run { start: first as u32, end: self.tape.attributes.len() as u32 }
    }

    fn attribute_value(&mut self, value: &str) -> Text {
        let at = self.offset(value);
        if memchr::memchr2(b'&', b'<', value.as_bytes()).is_none() {
            return self.source(value);
        }
        let start = self.tape.decoded.len() as u32;
        if let Some(amid) = value.find('<') {
            self.note(at + amid, true, "< in an attribute");
        }
        let mut rest = value;
        while let Some((before, behind)) = rest.split_once('&') {
            self.tape.decoded.push_str(before);
            let here = self.offset(behind) - 1;
            let name = behind.split([';', '&', '<']).next().unwrap_or_default();
            let is_reference = behind[name.len()..].starts_with(';');
            rest = behind;
            match reference(name) {
                Some(character) if is_reference => {
                    self.tape.decoded.push(character);
                    rest = &behind[name.len() + 1..];
                }
                _ => {
                    self.tape.decoded.push('&');
                    if is_reference {
                        self.note_reference(here, name);
                    } else {
                        self.note(here, true, "an ampersand that begins no reference");
                    }
                }
            }
        }
        self.tape.decoded.push_str(rest);
        Text::Decoded { start, end: self.tape.decoded.len() as u32 }
    }
}

fn attribute_error(error: AttrError) -> (usize, &'static str) {
    match error {
        AttrError::ExpectedEq(at) => (at, "an attribute without a value"),
        AttrError::ExpectedValue(at) => (at, "an attribute without a value behind its equals sign"),
        AttrError::UnquotedValue(at) => (at, "an attribute's value is not in quotes"),
        AttrError::ExpectedQuote(at, _) => (at, "an attribute's value has no closing quote"),
        AttrError::Duplicated(at, _) => (at, "an attribute is there twice"),
    }
}
