//! The documented fields of call detail records, and the reasons why call legs end (CDR guide, sections 3 to 5).

use std::sync::LazyLock;

use serde::Deserialize;

use super::Version;
use crate::protocol::cdr::{FieldName, RecordType, Subject};

/// What a field, a part of one or an attribute may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// Any text.
    String {
        /// The most characters that it may have.
        max: Option<usize>,
    },
    /// A whole number that is not negative.
    Number,
    /// A decimal number that is not negative.
    Decimal,
    /// A decimal number from 0 to 100.
    Percent,
    /// `true` or `false`.
    Boolean,
    /// A GUID.
    Id,
    /// An instant in RFC 3339 format, in UTC.
    Instant,
    /// One of these words.
    Words(Vec<String>),
    /// Nothing: the element's presence says it all.
    Empty,
    /// The reason why a call leg ended: see [`reason`].
    Reason,
    /// Further elements.
    Group(Vec<RecordField>),
    /// Nothing but attributes.
    Attributes(Vec<Attribute>),
}

/// A field of a record, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordField {
    /// Its name.
    pub name: FieldName,
    /// What it may hold.
    pub shape: Shape,
    /// Whether it may be there several times.
    pub repeats: bool,
    /// First release that has it.
    pub since: Option<Version>,
}

impl RecordField {
    /// The documented part of that name, of a group.
    pub fn part(&self, name: FieldName) -> Option<&Self> {
        match &self.shape {
            Shape::Group(parts) => parts.iter().find(|part| part.name == name),
            _ => None,
        }
    }
}

/// An attribute of the root, of a record or of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// What it may hold.
    pub shape: Shape,
    /// Whether it is always there.
    pub required: bool,
}

/// Why a call leg ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its word.
    pub word: String,
    /// What `remoteTeardown` says along with it; `None` where both may be.
    pub remote_teardown: Option<bool>,
}

struct Tables {
    root: Vec<Attribute>,
    record: Vec<Attribute>,
    /// By number of the record type.
    records: Vec<RecordTable>,
    reasons: Vec<Reason>,
}

struct RecordTable {
    fields: Vec<RecordField>,
    /// By number of the field's name: where it is in `fields`.
    places: Vec<Option<u8>>,
}

static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("records.toml")).expect("the tables are checked by a test");
    file.tables().expect("the tables are checked by a test")
});

/// The field of that name in records of this type, if it is documented there.
pub fn field(kind: RecordType, name: FieldName) -> Option<&'static RecordField> {
    let table = &TABLES.records[kind as usize];
    table.places[name as usize].map(|place| &table.fields[usize::from(place)])
}

/// All documented fields of records of this type.
pub fn fields(kind: RecordType) -> &'static [RecordField] {
    &TABLES.records[kind as usize].fields
}

/// The attributes of the root element.
pub fn root_attributes() -> &'static [Attribute] {
    &TABLES.root
}

/// The attributes of a record.
pub fn record_attributes() -> &'static [Attribute] {
    &TABLES.record
}

/// The reason with this word. Of words that end in "timeout", the casing of this ending is open: clients of real servers
/// use another one than the guide.
pub fn reason(word: &str) -> Option<&'static Reason> {
    let ending = "timeout".len();
    reasons().iter().find(|reason| {
        let known = reason.word.as_str();
        known == word
            || known.len() == word.len()
                && known.len() >= ending
                && word.is_char_boundary(word.len() - ending)
                && known[known.len() - ending..].eq_ignore_ascii_case("timeout")
                && word[word.len() - ending..].eq_ignore_ascii_case("timeout")
                && word[..word.len() - ending] == known[..known.len() - ending]
    })
}

/// All documented reasons.
pub fn reasons() -> &'static [Reason] {
    &TABLES.reasons
}

/// The file as it is written.
#[derive(Deserialize)]
struct File {
    records: AttributeRows,
    record: AttributeRows,
    codecs: Codecs,
    reasons: toml::Table,
    #[serde(rename = "packetStatistics")]
    packet_statistics: toml::Table,
    #[serde(flatten)]
    types: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AttributeRows {
    attributes: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Codecs {
    audio: Vec<String>,
    video: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeRow {
    element: String,
    #[serde(default)]
    fields: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    #[serde(default)]
    values: Vec<String>,
    #[serde(default)]
    of: Vec<String>,
    each: Option<String>,
    #[serde(default)]
    repeats: bool,
    #[serde(default)]
    required: bool,
    max: Option<usize>,
    since: Option<Version>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

impl File {
    fn tables(&self) -> Result<Tables, String> {
        if let Some(name) = self.types.keys().find(|name| RecordType::from_name(name).is_none()) {
            return Err(format!("`{name}` is no record type"));
        }
        let records = RecordType::ALL.iter().map(|kind| self.record_table(*kind));
        let reasons = self.reasons.iter().map(|(word, value)| read_reason(word, value));
        Ok(Tables {
            root: self.attributes(&self.records)?,
            record: self.attributes(&self.record)?,
            records: records.collect::<Result<_, _>>()?,
            reasons: reasons.collect::<Result<_, _>>()?,
        })
    }

    fn attributes(&self, rows: &AttributeRows) -> Result<Vec<Attribute>, String> {
        let attribute = |(name, row): (&String, &toml::Value)| {
            let row: Row = row.clone().try_into().map_err(|error| format!("`{name}`: {error}"))?;
            Ok(Attribute { name: name.clone(), shape: self.shape(name, &row)?, required: row.required })
        };
        rows.attributes.iter().map(attribute).collect()
    }

    fn record_table(&self, kind: RecordType) -> Result<RecordTable, String> {
        let row = self.types.get(kind.as_str()).ok_or_else(|| format!("`{}` has no table", kind.as_str()))?;
        let row: TypeRow = row.clone().try_into().map_err(|error| format!("`{}`: {error}", kind.as_str()))?;
        if Subject::from_name(&row.element) != Some(kind.subject()) {
            return Err(format!("`{}` does not hold `{}`", kind.as_str(), row.element));
        }
        let mut table = RecordTable { fields: Vec::new(), places: vec![None; FieldName::ALL.len()] };
        for (name, row) in &row.fields {
            let row: Row = row.clone().try_into().map_err(|error| format!("`{name}`: {error}"))?;
            let field = RecordField {
                name: field_name(name)?,
                shape: self.shape(name, &row)?,
                repeats: row.repeats,
                since: row.since,
            };
            table.places[field.name as usize] = Some(table.fields.len() as u8);
            table.fields.push(field);
        }
        Ok(table)
    }

    fn shape(&self, name: &str, row: &Row) -> Result<Shape, String> {
        Ok(match row.kind.as_str() {
            "enum" => Shape::Words(row.values.clone()),
            "string" => Shape::String { max: row.max },
            "group" if row.of.iter().any(|part| part.contains(':')) => {
                Shape::Attributes(row.of.iter().map(|part| attribute_part(part)).collect::<Result<_, _>>()?)
            }
            "group" => {
                let part = |part: &String| self.part(part, row.each.as_deref());
                Shape::Group(row.of.iter().map(part).collect::<Result<_, _>>()?)
            }
            kind => simple_shape(kind).ok_or_else(|| format!("`{name}`: `{kind}` is no kind of field"))?,
        })
    }

    /// A part of a group: `name`, or `name (audio)` for a codec.
    fn part(&self, text: &str, each: Option<&str>) -> Result<RecordField, String> {
        let (name, shape) = match text.split_once(" (") {
            Some((name, "audio)")) => (name, Shape::Words(self.codecs.audio.clone())),
            Some((name, "video)")) => (name, Shape::Words(self.codecs.video.clone())),
            Some(_) => return Err(format!("`{text}` is no part")),
            None if text == "packetStatistics" => (text, self.statistics()?),
            None => (text, each.and_then(simple_shape).unwrap_or(Shape::Number)),
        };
        Ok(RecordField { name: field_name(name)?, shape, repeats: false, since: None })
    }

    fn statistics(&self) -> Result<Shape, String> {
        let decimal = |name: &toml::Value| {
            let name = field_name(name.as_str().unwrap_or_default())?;
            Ok(RecordField { name, shape: Shape::Decimal, repeats: false, since: None })
        };
        let part = |(name, parts): (&String, &toml::Value)| {
            let parts = parts.as_array().into_iter().flatten().map(decimal).collect::<Result<_, String>>()?;
            Ok(RecordField { name: field_name(name)?, shape: Shape::Group(parts), repeats: false, since: None })
        };
        Ok(Shape::Group(self.packet_statistics.iter().map(part).collect::<Result<_, String>>()?))
    }
}

fn field_name(name: &str) -> Result<FieldName, String> {
    FieldName::from_name(name).ok_or_else(|| format!("`{name}` is no name of a field"))
}

fn simple_shape(kind: &str) -> Option<Shape> {
    Some(match kind {
        "number" => Shape::Number,
        "percent" => Shape::Percent,
        "boolean" => Shape::Boolean,
        "id" => Shape::Id,
        "rfc3339-utc" => Shape::Instant,
        "empty" => Shape::Empty,
        "reason" => Shape::Reason,
        _ => return None,
    })
}

/// An attribute of a field: `name: kind`, or `name: word | word`.
fn attribute_part(text: &str) -> Result<Attribute, String> {
    let (name, values) = text.split_once(": ").ok_or_else(|| format!("`{text}` is no attribute"))?;
    let words = || Shape::Words(values.split(" | ").map(str::to_owned).collect());
    Ok(Attribute { name: name.to_owned(), shape: simple_shape(values).unwrap_or_else(words), required: false })
}

fn read_reason(word: &str, value: &toml::Value) -> Result<Reason, String> {
    let remote_teardown = match value.as_str() {
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some("either") => None,
        _ => return Err(format!("`{word}`: write \"true\", \"false\" or \"either\"")),
    };
    Ok(Reason { word: word.to_owned(), remote_teardown })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn names(field: &RecordField, found: &mut BTreeSet<FieldName>) {
        found.insert(field.name);
        if let Shape::Group(parts) = &field.shape {
            parts.iter().for_each(|part| names(part, found));
        }
    }

    #[test]
    fn every_name_of_the_wire_is_documented() {
        let mut found = BTreeSet::new();
        for kind in RecordType::ALL {
            for row in fields(*kind) {
                names(row, &mut found);
                assert_eq!(field(*kind, row.name), Some(row));
            }
        }
        assert_eq!(found, FieldName::ALL.iter().copied().collect(), "what the tables lack, or name besides");
    }

    #[test]
    fn shapes_are_the_documented_ones() {
        let shape = |kind, name| &field(kind, name).unwrap().shape;
        assert_eq!(*shape(RecordType::CallStart, FieldName::CdrTag), Shape::String { max: Some(100) });
        assert_eq!(*shape(RecordType::CallLegUpdate, FieldName::Ivr), Shape::Empty);
        assert_eq!(*shape(RecordType::CallLegEnd, FieldName::Reason), Shape::Reason);
        let moved = field(RecordType::CallLegStart, FieldName::MovedCallLeg).unwrap();
        assert_eq!((&moved.shape, moved.since), (&Shape::Id, Some(Version { major: 2, minor: 6 })));
        assert_eq!(field(RecordType::CallEnd, FieldName::Name), None);
        assert_eq!(fields(RecordType::StreamingEnd), []);
    }

    #[test]
    fn groups_have_their_parts() {
        let audio = field(RecordType::CallLegEnd, FieldName::RxAudio).unwrap();
        let Shape::Words(codecs) = &audio.part(FieldName::Codec).unwrap().shape else { panic!("codecs are words") };
        assert!(codecs.iter().any(|codec| codec == "opus") && codecs.iter().all(|codec| codec != "h264"));
        let statistics = audio.part(FieldName::PacketStatistics).unwrap();
        let gap = statistics.part(FieldName::PacketGap).unwrap();
        assert_eq!(gap.part(FieldName::Density).unwrap().shape, Shape::Decimal);
        let usage = field(RecordType::CallLegEnd, FieldName::MediaUsagePercentages).unwrap();
        assert_eq!(usage.part(FieldName::MultistreamVideo).unwrap().shape, Shape::Percent);
        let streams = field(RecordType::CallLegEnd, FieldName::MultistreamVideo).unwrap();
        assert_eq!(streams.part(FieldName::MaxScreens).unwrap().shape, Shape::Number);
        let alarm = field(RecordType::CallLegEnd, FieldName::Alarm).unwrap();
        let Shape::Attributes(attributes) = &alarm.shape else { panic!("an alarm has attributes") };
        assert!(alarm.repeats && attributes[0].name == "type" && attributes[1].shape == Shape::Percent);
    }

    #[test]
    fn reasons_know_what_they_say_about_the_far_end() {
        assert_eq!(reasons().len(), 21);
        assert_eq!(reason("remoteBusy").unwrap().remote_teardown, Some(true));
        assert_eq!(reason("callEnded").unwrap().remote_teardown, Some(false));
        assert_eq!(reason("error").unwrap().remote_teardown, None);
        assert_eq!(reason("confirmationTimeout"), reason("confirmationTimeOut"));
        assert_eq!(reason("ivrTimeOut").unwrap().word, "ivrTimeout");
        for word in ["", "éééééé", "remotebusy", "IvrTimeout", "timeouts"] {
            assert_eq!(reason(word), None, "{word}");
        }
    }

    #[test]
    fn attributes_of_root_and_record_are_the_documented_ones() {
        let session = root_attributes().iter().find(|attribute| attribute.name == "session").unwrap();
        assert!(session.required && session.shape == Shape::Id);
        let time = record_attributes().iter().find(|attribute| attribute.name == "time").unwrap();
        assert_eq!(time.shape, Shape::Instant);
    }
}
