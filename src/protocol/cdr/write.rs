//! Sets of records as a sender makes them. Nothing is checked: what breaks the guides must be writable, too.

use quick_xml::escape::escape;

use super::names::{RECORD, RECORDS};
use crate::protocol::api::xml::Element;

/// How a document looks where XML leaves it to the sender.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Style {
    /// What stands before the root, as it is written.
    pub declaration: String,
    /// Each element on a line of its own, indented by so many spaces a level; `None` for one line in all.
    pub indent: Option<usize>,
    /// Whether an element without content is written as `<a></a>` and not as `<a/>`.
    pub long_empty: bool,
    /// Whether attributes stand in single quotes.
    pub single_quotes: bool,
    /// Names of attributes that come first, in this order. The others follow as they were given.
    pub first_attributes: Vec<String>,
}

impl Default for Style {
    /// As the guide prints its samples: a declaration without an encoding, one element a line, two spaces a level.
    fn default() -> Self {
        Self {
            declaration: "<?xml version=\"1.0\"?>".to_owned(),
            indent: Some(2),
            long_empty: false,
            single_quotes: false,
            first_attributes: Vec::new(),
        }
    }
}

impl Style {
    /// A document with this root.
    pub fn write(&self, root: &Element) -> Vec<u8> {
        let mut out = self.declaration.clone();
        self.element(root, 0, &mut out);
        if self.indent.is_some() {
            out.push('\n');
        }
        out.into_bytes()
    }

    fn element(&self, element: &Element, depth: usize, out: &mut String) {
        if !out.is_empty() {
            self.line(depth, out);
        }
        out.push('<');
        out.push_str(&element.name);
        let rank = |name: &str| self.first_attributes.iter().position(|first| first == name).unwrap_or(usize::MAX);
        let mut attributes: Vec<_> = element.attributes.iter().collect();
        attributes.sort_by_key(|(name, _)| rank(name));
        let quote = if self.single_quotes { '\'' } else { '"' };
        for (name, value) in attributes {
            out.push(' ');
            out.push_str(name);
            out.push('=');
            out.push(quote);
            out.push_str(&escape(value.as_str()));
            out.push(quote);
        }
        if element.children.is_empty() && element.text.is_empty() && !self.long_empty {
            out.push_str("/>");
            return;
        }
        out.push('>');
        out.push_str(&escape(element.text.as_str()));
        for child in &element.children {
            self.element(child, depth + 1, out);
        }
        if !element.children.is_empty() {
            self.line(depth, out);
        }
        out.push_str("</");
        out.push_str(&element.name);
        out.push('>');
    }

    fn line(&self, depth: usize, out: &mut String) {
        if let Some(indent) = self.indent {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent * depth));
        }
    }
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    /// `type`
    pub kind: String,
    /// `time`
    pub time: String,
    /// `correlatorIndex`
    pub correlator_index: Option<u64>,
    /// `recordIndex`
    pub record_index: Option<u64>,
    /// How many records before it were discarded, with the attribute's name.
    pub missing: Option<(&'static str, u64)>,
    /// The element that it holds.
    pub content: Element,
}

/// A set to be written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NewSet {
    /// `session`
    pub session: Option<String>,
    /// `callBridge`
    pub call_bridge: Option<String>,
    /// Its records.
    pub records: Vec<NewRecord>,
}

impl NewSet {
    /// The set as a document.
    pub fn to_bytes(&self, style: &Style) -> Vec<u8> {
        style.write(&self.to_element())
    }

    /// The set as one element, for changes that a set of a conformant sender never has; [`Style::write`] writes it.
    pub fn to_element(&self) -> Element {
        let mut root = Element::new(RECORDS);
        if let Some(session) = &self.session {
            root = root.attribute("session", session.clone());
        }
        if let Some(bridge) = &self.call_bridge {
            root = root.attribute("callBridge", bridge.clone());
        }
        root.children = self.records.iter().map(NewRecord::to_element).collect();
        root
    }
}

impl NewRecord {
    fn to_element(&self) -> Element {
        let mut record = Element::new(RECORD).attribute("type", self.kind.clone()).attribute("time", self.time.clone());
        if let Some(index) = self.record_index {
            record = record.attribute("recordIndex", index.to_string());
        }
        if let Some(index) = self.correlator_index {
            record = record.attribute("correlatorIndex", index.to_string());
        }
        if let Some((name, count)) = self.missing {
            record = record.attribute(name, count.to_string());
        }
        record.child(self.content.clone())
    }
}
