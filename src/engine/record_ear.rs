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

/// How many records are kept of sets that are not decided; those of further sets count, but fit no pattern.
const UNDECIDED_LIMIT: usize = 20_000;

/// How many types of records a set is told with.
const TYPES_TOLD: usize = 5;

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
    /// Sets that are not decided.
    open: BTreeMap<SetId, Undecided>,
    /// How many records are kept of them.
    undecided: usize,
    taken: u64,
}

/// A set that is not decided: how many records it has, and the records, where they are kept.
#[derive(Debug, Default)]
struct Undecided {
    count: u64,
    records: Vec<Value>,
}

impl RecordEar {
    /// Takes note; gives what has happened in words, where it is worth telling.
    pub(super) fn hear(&mut self, heard: Heard<'_>) -> Option<String> {
        match heard {
            Heard::Began { .. } => self.sets += 1,
            Heard::Arrived { set, records, .. } => {
                let count = records.records().len();
                let mut open = Undecided { count: count as u64, records: Vec::new() };
                if self.undecided + count <= UNDECIDED_LIMIT {
                    self.undecided += count;
                    open.records.extend(records.records().map(|record| shown(record, records)));
                }
                self.open.insert(set, open);
                return Some(told(records));
            }
            Heard::Decided { set, taken, .. } => {
                let Undecided { count, records } = self.open.remove(&set).unwrap_or_default();
                self.undecided -= records.len();
                if taken {
                    self.taken += count;
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

/// A set in words: the types of its first records.
fn told(set: Set<'_>) -> String {
    let types: Vec<&str> = set.records().take(TYPES_TOLD).map(|record| record.type_name().unwrap_or("?")).collect();
    let more = match set.records().len().saturating_sub(TYPES_TOLD) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("got a set of records ({}{more})", types.join(", "))
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
    fn records_of_sets_that_are_not_decided_are_kept_up_to_a_limit() {
        let (mut ear, mut tape) = (RecordEar::default(), crate::protocol::cdr::Tape::new());
        let receiver = crate::trace::ReceiverId(1);
        let body = format!("<records>{}</records>", "<record type='callEnd'/>".repeat(9000));
        let said: Vec<Option<String>> = (1..=3)
            .map(|set| ear.hear(Heard::Arrived { receiver, set: SetId(set), records: tape.read(body.as_bytes()) }))
            .collect();
        let five = ["callEnd"; 5].join(", ");
        assert_eq!(said[0], Some(format!("got a set of records ({five} and 8995 more)")));
        assert_eq!(ear.undecided, 18_000);
        for set in 1..=3 {
            ear.hear(Heard::Decided { receiver, set: SetId(set), taken: true });
        }
        assert_eq!((ear.undecided, ear.taken(), ear.heard().count()), (0, 27_000, 18_000));
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
