//! Sets of records as a sender makes them. Nothing is checked: what breaks the guides must be writable, too.

use super::names::RECORDS;
use crate::protocol::api::xml::Element;

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
    /// The set as one element; [`Element::to_document`] writes it.
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
        let mut record = Element::new(super::names::RECORD)
            .attribute("type", self.kind.clone())
            .attribute("time", self.time.clone());
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
