//! API answers as a small tree of elements: read with quick-xml's events, written with its escaping.
//!
//! Reading is bounded in depth and size, never expands entities beyond the five of XML, and tells where it stopped.

use std::fmt;

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};

/// How deep a document may nest.
const DEPTH_LIMIT: usize = 32;

/// How many elements a document may have.
const ELEMENT_LIMIT: usize = 1_000_000;

/// One element with its attributes, children and own text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Element {
    /// The tag.
    pub name: String,
    /// Attributes in document order, decoded.
    pub attributes: Vec<(String, String)>,
    /// Child elements in document order.
    pub children: Vec<Self>,
    /// The text directly inside, decoded and trimmed.
    pub text: String,
}

/// Why a body is not a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XmlFault {
    /// Offset in bytes at which reading stopped.
    pub at_bytes: u64,
    /// What was wrong.
    pub message: String,
}

impl fmt::Display for XmlFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (at byte {})", self.message, self.at_bytes)
    }
}

impl std::error::Error for XmlFault {}

impl Element {
    /// An element without content.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// This element with one more attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// This element with one more child.
    #[must_use]
    pub fn child(mut self, child: Self) -> Self {
        self.children.push(child);
        self
    }

    /// This element with one more child that holds text.
    #[must_use]
    pub fn field(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.child(Self { name: name.into(), text: value.into(), ..Self::default() })
    }

    /// The value of the attribute `name`.
    pub fn get_attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The first child `name`.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The text of the descendant reached by the names of `path`.
    pub fn text_at(&self, path: &[&str]) -> Option<&str> {
        let mut at = self;
        for name in path {
            at = at.get(name)?;
        }
        Some(&at.text)
    }

    /// Reads one document.
    ///
    /// # Errors
    /// Where the body stops being one well-formed document within the limits.
    pub fn parse(body: &[u8]) -> Result<Self, XmlFault> {
        let fault = |at_bytes, message: &str| XmlFault { at_bytes, message: message.to_owned() };
        let text = std::str::from_utf8(body).map_err(|e| fault(e.valid_up_to() as u64, "not UTF-8"))?;
        let mut reader = Reader::from_str(text);
        let mut open: Vec<Self> = Vec::new();
        let mut root: Option<Self> = None;
        let mut count = 0_usize;
        loop {
            let at = reader.buffer_position();
            let event = reader.read_event().map_err(|e| fault(at, &e.to_string()))?;
            let finished = match event {
                Event::Eof => break,
                Event::Start(start) => {
                    open.push(begin(&start).map_err(|message| fault(at, &message))?);
                    None
                }
                Event::Empty(start) => Some(begin(&start).map_err(|message| fault(at, &message))?),
                Event::End(_) => open.pop(),
                Event::Text(text) => {
                    append(&mut open, &text).map_err(|message| fault(at, message))?;
                    None
                }
                Event::CData(data) => {
                    append(&mut open, &data).map_err(|message| fault(at, message))?;
                    None
                }
                Event::GeneralRef(reference) => {
                    let piece = resolve(&reference).ok_or_else(|| fault(at, "an entity that XML does not define"))?;
                    append(&mut open, &piece).map_err(|message| fault(at, message))?;
                    None
                }
                Event::DocType(_) => return Err(fault(at, "a document type declaration")),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => None,
            };
            count += 1;
            if open.len() > DEPTH_LIMIT || count > ELEMENT_LIMIT {
                return Err(fault(at, "nested too deep or too long"));
            }
            if let Some(mut element) = finished {
                element.text = element.text.trim().to_owned();
                match open.last_mut() {
                    Some(parent) => parent.children.push(element),
                    None if root.is_none() => root = Some(element),
                    None => return Err(fault(at, "a second root element")),
                }
            }
        }
        if !open.is_empty() {
            return Err(fault(reader.buffer_position(), "ends inside an element"));
        }
        root.ok_or_else(|| fault(0, "no element"))
    }

    /// The document with this root, with the declaration that the API prints.
    pub fn to_document(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\"?>");
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        out.push('<');
        out.push_str(&self.name);
        for (name, value) in &self.attributes {
            out.push_str(&format!(" {name}=\"{}\"", escape(value.as_str())));
        }
        if self.children.is_empty() && self.text.is_empty() {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(&escape(self.text.as_str()));
        for child in &self.children {
            child.write(out);
        }
        out.push_str(&format!("</{}>", self.name));
    }
}

fn begin(start: &BytesStart<'_>) -> Result<Element, String> {
    let mut element = Element::new(start.name().into_inner());
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| e.to_string())?;
        let value = quick_xml::escape::unescape(&attribute.value).map_err(|e| e.to_string())?;
        element.attributes.push((attribute.key.into_inner().to_owned(), value.into_owned()));
    }
    Ok(element)
}

fn append(open: &mut [Element], piece: &str) -> Result<(), &'static str> {
    match open.last_mut() {
        Some(element) => element.text.push_str(piece),
        None if piece.trim().is_empty() => {}
        None => return Err("text outside the root element"),
    }
    Ok(())
}

/// The text that a character or predefined entity reference stands for.
fn resolve(reference: &quick_xml::events::BytesRef<'_>) -> Option<String> {
    if let Ok(Some(character)) = reference.resolve_char_ref() {
        return Some(character.to_string());
    }
    quick_xml::escape::resolve_predefined_entity(reference).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_reads_as_written() {
        let list = Element::new("calls")
            .attribute("total", "1")
            .child(Element::new("call").attribute("id", "x").field("name", "Andy's <space> & co").field("coSpace", ""));
        let document = list.to_document();
        assert_eq!(Element::parse(document.as_bytes()).unwrap(), list);
        assert_eq!(list.children[0].text_at(&["name"]), Some("Andy's <space> & co"));
    }

    #[test]
    fn hostile_and_broken_bodies_are_told_apart_from_documents() {
        for body in ["", "<a>", "<a/><b/>", "text", "<a></b>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "<a>&b;</a>"]
        {
            assert!(Element::parse(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Element::parse("<a>".repeat(100_000).as_bytes()).is_err());
        assert!(Element::parse(&[0xff, 0xfe]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Element::parse(&body);
        }

        #[test]
        fn any_text_survives(text in "[^\\p{C}]{0,40}") {
            let element = Element::new("a").field("b", text.trim());
            let read = Element::parse(element.to_document().as_bytes()).unwrap();
            prop_assert_eq!(read.text_at(&["b"]), Some(text.trim()));
        }
    }
}
