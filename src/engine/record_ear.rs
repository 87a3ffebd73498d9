//! What a CDR receiver of a scenario has heard: how many sets, and the records that it took, as patterns see them.
//!
//! A record is shown as an object: its attributes as text; `id`, the id of what it is about; `session`, of its set; and
//! its fields by name, as text or, where they hold others, as objects. A field that stands several times is an array, and
//! `alarm` always is one.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value};

use super::pattern::fits;
use super::receiver::Heard;
use crate::protocol::cdr::{Field, FieldName, Record, Set};
use crate::trace::SetId;

/// How many records are kept for `wait-record` and `expect`.
const HEARD_LIMIT: usize = 20_000;

/// What one receiver has heard.
#[derive(Debug, Default)]
pub(super) struct RecordEar {
    /// The id of the receiver's entry in the server's list.
    pub(super) entry: Option<String>,
    /// How many sets have begun to arrive.
    sets: u64,
    /// How many of them had begun when the receiver's plan was made or sets were waited for last.
    awaited: u64,
    /// Records that were taken since the last `wait-record`.
    heard: VecDeque<Value>,
    /// Records of sets that are not decided.
    open: BTreeMap<SetId, Vec<Value>>,
    taken: u64,
}

impl RecordEar {
    /// Takes note; gives what has happened in words, where it is worth telling.
    pub(super) fn hear(&mut self, heard: Heard<'_>) -> Option<String> {
        match heard {
            Heard::Began { .. } => self.sets += 1,
            Heard::Arrived { set, records, .. } => {
                let shown: Vec<Value> = records.records().map(|record| shown(record, records)).collect();
                let types: Vec<&str> = records.records().map(|record| record.type_name().unwrap_or("?")).collect();
                let told = format!("got a set of records ({})", types.join(", "));
                self.open.insert(set, shown);
                return Some(told);
            }
            Heard::Decided { set, taken, .. } => {
                let records = self.open.remove(&set).unwrap_or_default();
                if taken {
                    self.taken += records.len() as u64;
                    self.heard.extend(records);
                    let excess = self.heard.len().saturating_sub(HEARD_LIMIT);
                    self.heard.drain(..excess);
                }
            }
        }
        None
    }

    pub(super) const fn sets(&self) -> u64 {
        self.sets
    }

    pub(super) const fn taken(&self) -> u64 {
        self.taken
    }

    /// Counts sets from here on.
    pub(super) const fn begin_to_count(&mut self) {
        self.awaited = self.sets;
    }

    /// Whether so many sets have begun to arrive; then counts from here on.
    pub(super) const fn has_got(&mut self, count: u64) -> bool {
        let enough = self.sets - self.awaited >= count;
        if enough {
            self.awaited = self.sets;
        }
        enough
    }

    /// Records since the last `wait-record`.
    pub(super) fn heard(&self) -> impl Iterator<Item = &Value> {
        self.heard.iter()
    }

    /// Finds the `count`th record that fits; then it and all before it are forgotten. Gives the id of what it is about.
    pub(super) fn consume(&mut self, count: u64, pattern: &Value) -> Option<String> {
        let skip = usize::try_from(count.max(1) - 1).ok()?;
        let found = self.heard.iter().enumerate().filter(|(_, record)| fits(pattern, record)).nth(skip);
        let (at, id) = found.map(|(at, record)| (at, record.get("id").and_then(Value::as_str).map(str::to_owned)))?;
        self.heard.drain(..=at);
        Some(id.unwrap_or_default())
    }

    /// Forgets all records.
    pub(super) fn forget(&mut self) {
        self.heard.clear();
    }
}

/// A pattern whose numbers and truths are texts, as all values of a record are.
pub(super) fn as_texts(pattern: Value) -> Value {
    match pattern {
        Value::Array(items) => Value::Array(items.into_iter().map(as_texts).collect()),
        Value::Object(fields) => fields.into_iter().map(|(name, field)| (name, as_texts(field))).collect(),
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(truth) => Value::String(truth.to_string()),
        other => other,
    }
}

/// A record as patterns see it.
fn shown(record: Record<'_>, set: Set<'_>) -> Value {
    let mut fields = Map::new();
    if let Some(session) = set.session() {
        fields.insert("session".to_owned(), session.into());
    }
    if let Some(bridge) = set.call_bridge() {
        fields.insert("callBridge".to_owned(), bridge.into());
    }
    for element in record.elements() {
        add_all(&mut fields, element.children());
    }
    if let Some(id) = record.id() {
        fields.insert("id".to_owned(), id.into());
    }
    fields.extend(record.attributes().map(|(name, value)| (name.to_owned(), value.into())));
    Value::Object(fields)
}

fn add_all<'a>(fields: &mut Map<String, Value>, elements: impl Iterator<Item = Field<'a>>) {
    for element in elements {
        let value = value_of(element);
        match fields.get_mut(element.name()) {
            None if element.known() == Some(FieldName::Alarm) => {
                fields.insert(element.name().to_owned(), Value::Array(vec![value]));
            }
            None => {
                fields.insert(element.name().to_owned(), value);
            }
            Some(Value::Array(several)) => several.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
}

/// A field: its text, or an object where it holds others or has attributes.
fn value_of(field: Field<'_>) -> Value {
    if field.children().next().is_none() && field.attributes().next().is_none() {
        return field.value().into();
    }
    let mut fields: Map<String, Value> =
        field.attributes().map(|(name, value)| (name.to_owned(), value.into())).collect();
    add_all(&mut fields, field.children());
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_of_numbers_and_truths_fit_texts() {
        let record = json!({"type": "callEnd", "correlatorIndex": "7", "endpointRecorded": "false"});
        assert!(fits(&as_texts(json!({"correlatorIndex": 7, "endpointRecorded": false})), &record));
        assert!(!fits(&as_texts(json!({"correlatorIndex": 8})), &record));
    }

    #[test]
    fn sets_are_counted_from_the_last_look() {
        let mut ear = RecordEar::default();
        let receiver = crate::trace::ReceiverId(1);
        for _ in 0..3 {
            ear.hear(Heard::Began { receiver });
        }
        assert!(!ear.has_got(4) && ear.has_got(2) && !ear.has_got(1));
        ear.hear(Heard::Began { receiver });
        assert!(ear.has_got(1));
    }
}
