//! Records and POSTs, typed: what passes the mutants on its way to receivers.

use std::sync::Arc;

use crate::protocol::api::xml::Element;
use crate::protocol::cdr::{NewRecord, NewSet};
use crate::time::Instant;

/// A receiver, numbered from 1 in the order of configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiverKey(pub u64);

/// A record before it has an index: the same for all receivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// `type`
    pub kind: String,
    /// `time`
    pub time: String,
    /// The element that it holds.
    pub content: Element,
}

impl Draft {
    /// The id of what it is about.
    pub fn id(&self) -> &str {
        self.content.get_attribute("id").unwrap_or_default()
    }

    /// The text of a field; `None` if it has no such field.
    pub fn value(&self, field: &str) -> Option<&str> {
        self.content.text_at(&[field])
    }

    /// Sets a field that is there. Whether it was.
    pub fn replace(&mut self, field: &str, text: &str) -> bool {
        match self.content.children.iter_mut().find(|child| child.name == field) {
            Some(child) => {
                text.clone_into(&mut child.text);
                true
            }
            None => false,
        }
    }

    /// Sets a field, at the end if it is not there.
    pub fn set(&mut self, field: &str, text: &str) {
        if !self.replace(field, text) {
            let child = Element { name: field.to_owned(), text: text.to_owned(), ..Element::default() };
            self.content.children.push(child);
        }
    }

    /// Removes a field.
    pub fn remove(&mut self, field: &str) {
        self.content.children.retain(|child| child.name != field);
    }
}

/// A record that was made.
#[derive(Debug)]
pub(super) struct Made {
    /// `correlatorIndex`
    pub(super) index: u64,
    pub(super) at: Instant,
    pub(super) draft: Draft,
}

/// One POST that is about to leave. `Content-Length` is added when it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    /// Whom it goes to.
    pub receiver: ReceiverKey,
    /// Which attempt to deliver this set it is, from 1.
    pub attempt: u64,
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Its records.
    pub set: NewSet,
}

impl Post {
    /// Changes the value of a header field that is there.
    pub fn set_header(&mut self, name: &str, value: &str) {
        if let Some((_, old)) = self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            value.clone_into(old);
        }
    }

    /// Its records.
    pub fn records(&mut self) -> &mut Vec<NewRecord> {
        &mut self.set.records
    }
}

/// A set on its way to one receiver. Once made up it never changes, so that repetitions are equal.
#[derive(Debug)]
pub(super) struct Parcel {
    pub(super) set: NewSet,
    /// The index of its first record, by which sets that wait are ordered.
    pub(super) first: u64,
    /// How often it was sent.
    pub(super) attempts: u64,
    /// The records as they were made, with what the receiver expected and its next number before them.
    pub(super) made: Vec<Arc<Made>>,
    pub(super) before: (u64, u64),
}

impl Parcel {
    /// The `correlatorIndex` of each record.
    pub(super) fn indexes(&self) -> Vec<u64> {
        self.made.iter().map(|made| made.index).collect()
    }
}
