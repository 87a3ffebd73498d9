//! What one record says by itself: its type, time and fields against the catalogue (CDR-07, REC-01, REC-02, REC-10,
//! REC-12, REC-13, REC-15, REC-17 to REC-20, and the words of REC-16).

use super::Moment;
use super::identity::text_digest;
use super::moments::unix_millis;
use crate::protocol::cdr::{Field, FieldName, Record, RecordType};
use crate::rules::docket::quote;
use crate::rules::guid;
use crate::rules::registry::R;
use crate::spec::records::{self, Shape};

/// How many different words are noted.
const NOTED: usize = 32;

/// The number of an id that is not there.
pub(super) const NONE: u128 = 0;

/// What rules need of a record, each field as it stands there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts<'a> {
    pub(super) kind: RecordType,
    pub(super) id: u128,
    /// Milliseconds since 1970, if the record has a time.
    pub(super) time: Option<i64>,
    values: [Option<&'a str>; WANTED.len()],
}

/// The fields that rules look at.
const WANTED: [FieldName; 27] = [
    FieldName::ActivatedDuration,
    FieldName::Call,
    FieldName::CallCorrelator,
    FieldName::CallLeg,
    FieldName::CallLegsCompleted,
    FieldName::CallLegsMaxActive,
    FieldName::CallType,
    FieldName::CdrTag,
    FieldName::CoSpace,
    FieldName::CoSpaceMetaDataConfigured,
    FieldName::ConfirmationStatus,
    FieldName::Deactivated,
    FieldName::Direction,
    FieldName::DurationSeconds,
    FieldName::GroupId,
    FieldName::Ivr,
    FieldName::LyncSubType,
    FieldName::Reason,
    FieldName::ReasonDetails,
    FieldName::Recording,
    FieldName::RemoteTeardown,
    FieldName::SipCallId,
    FieldName::State,
    FieldName::Streaming,
    FieldName::SubType,
    FieldName::Type,
    FieldName::Name,
];

/// By number of a field's name: its place among those that rules look at.
const PLACES: [u8; FieldName::ALL.len()] = {
    let mut places = [u8::MAX; FieldName::ALL.len()];
    let mut at = 0;
    while at < WANTED.len() {
        places[WANTED[at] as usize] = at as u8;
        at += 1;
    }
    places
};

impl<'a> Facts<'a> {
    /// The text of a field.
    pub(super) fn get(&self, name: FieldName) -> Option<&'a str> {
        self.values.get(usize::from(PLACES[name as usize])).copied().flatten()
    }

    /// The text of a field that is there and not empty.
    pub(super) fn text(&self, name: FieldName) -> Option<&'a str> {
        self.get(name).filter(|text| !text.is_empty())
    }

    /// The id in a field; [`NONE`] where there is none.
    pub(super) fn id_in(&self, name: FieldName) -> u128 {
        self.get(name).and_then(guid::number).unwrap_or(NONE)
    }

    /// The number in a field.
    pub(super) fn number(&self, name: FieldName) -> Option<u64> {
        super::attributes::index_of(self.get(name))
    }

    /// Whether a field says true.
    pub(super) fn is_true(&self, name: FieldName) -> bool {
        self.get(name) == Some("true")
    }
}

/// What was noted already, by digest.
#[derive(Debug, Default)]
pub(super) struct Noted(Vec<u64>);

impl Noted {
    /// Notes a word that the guides do not have, once.
    fn word(&mut self, name: &'static str, word: &str, moment: &mut Moment<'_>) {
        let digest = text_digest(word).rotate_left(name.len() as u32);
        if self.0.len() < NOTED && !self.0.contains(&digest) {
            self.0.push(digest);
            moment.docket.note(R::Cdr23, name, quote(word));
        }
    }
}

/// Judges a record by itself. Returns what other rules need of it, if it is what its type says.
pub(super) fn judge<'a>(
    record: Record<'a>,
    time: Option<&str>,
    noted: &mut Noted,
    moment: &mut Moment<'_>,
) -> Option<Facts<'a>> {
    let millis = time.and_then(unix_millis);
    if millis.is_some() {
        moment.docket.tested(R::Cdr07);
    } else {
        let observed = quote(time.unwrap_or("none"));
        moment.fail(R::Cdr07, "a time in RFC 3339 format, in UTC", observed, &[]);
    }
    let (kind, subject) = shape(record, noted, moment)?;
    let mut facts = Facts { kind, id: guid::number(subject.attribute("id")?)?, time: millis, values: [None; _] };
    let findings = moment.findings;
    for field in subject.children() {
        let Some(name) = field.known() else {
            noted.word("unknown-field", field.name(), moment);
            continue;
        };
        if let Some(value) = facts.values.get_mut(usize::from(PLACES[name as usize])) {
            value.get_or_insert(field.value());
        }
        match records::field(kind, name) {
            Some(documented) => value(name, &documented.shape, field, noted, moment),
            None => noted.word("field-of-another-record", field.name(), moment),
        }
    }
    if moment.findings == findings {
        moment.docket.tested(R::Rec02);
    }
    match kind {
        RecordType::CallStart => call_start(&facts, moment),
        RecordType::CallLegStart => leg_start(&facts, moment),
        RecordType::CallLegEnd => leg_end(&facts, noted, moment),
        _ => {}
    }
    Some(facts)
}

/// The type of a record and the one element that belongs to it.
fn shape<'a>(record: Record<'a>, noted: &mut Noted, moment: &mut Moment<'_>) -> Option<(RecordType, Field<'a>)> {
    let Some(kind) = record.kind() else {
        let expected = "a documented type of record";
        match record.type_name() {
            Some(word) => moment.warn(R::Rec01, expected, quote(word)),
            None => moment.fail(R::Rec01, expected, "none".to_owned(), &[]),
        }
        return None;
    };
    let wanted = kind.subject().as_str();
    let (mut subject, mut several) = (None, false);
    for element in record.elements() {
        match element.name() {
            name if name == wanted => several |= subject.replace(element).is_some(),
            "call" | "callLeg" | "recording" | "streaming" => several = true,
            other => noted.word("unknown-element", other, moment),
        }
    }
    let id = subject.and_then(|subject: Field<'_>| subject.attribute("id"));
    let observed = match (subject, id) {
        _ if several => "several".to_owned(),
        (None, _) => "none".to_owned(),
        (_, None) => "one without id".to_owned(),
        (_, Some(id)) if guid::number(id).is_none() => format!("the id {}", quote(id)),
        (Some(subject), _) => {
            moment.docket.tested(R::Rec01);
            return Some((kind, subject));
        }
    };
    let expected = format!("one {wanted} with a GUID as id in a {}", kind.as_str());
    moment.fail(R::Rec01, &expected, observed, &[]);
    None
}

/// The requirement that a field's words are judged by.
const fn words_of(name: FieldName) -> R {
    match name {
        FieldName::State => R::Rec15,
        FieldName::ConfirmationStatus => R::Rec16,
        _ => R::Rec02,
    }
}

/// Judges one field, and what is in it.
fn value(name: FieldName, shape: &Shape, field: Field<'_>, noted: &mut Noted, moment: &mut Moment<'_>) {
    match shape {
        // What is text where parts belong, or has parts where text belongs, is of another type.
        Shape::Group(_) if field.children().next().is_none() && !field.value().is_empty() => {
            fault(R::Rec02, name, "further elements", field.value(), moment);
        }
        Shape::Group(parts) => {
            for part in field.children() {
                let documented = part.known().and_then(|name| parts.iter().find(|known| known.name == name));
                match documented {
                    Some(documented) => value(documented.name, &documented.shape, part, noted, moment),
                    None => noted.word("unknown-field", part.name(), moment),
                }
            }
        }
        Shape::Attributes(attributes) => {
            for attribute in attributes {
                // The guide prints a table of names; others have seen attributes.
                let inside = field.children().find(|child| child.name() == attribute.name);
                if let Some(text) = field.attribute(&attribute.name).or_else(|| inside.map(Field::value)) {
                    text_in(name, &attribute.shape, text, noted, moment);
                }
            }
        }
        Shape::Empty if field.value().is_empty() && field.children().next().is_none() => {}
        Shape::Empty => fault(R::Rec02, name, "nothing inside", field.value(), moment),
        _ => match field.children().next().filter(|_| field.value().is_empty()) {
            Some(part) => fault(R::Rec02, name, "text", &format!("<{}>", part.name()), moment),
            None => text_in(name, shape, field.value(), noted, moment),
        },
    }
}

fn fault(rule: R, name: FieldName, expected: &str, observed: &str, moment: &mut Moment<'_>) {
    moment.fail(rule, &format!("{}: {expected}", name.as_str()), quote(observed), &[]);
}

/// Judges a text against its domain.
fn text_in(name: FieldName, shape: &Shape, text: &str, noted: &mut Noted, moment: &mut Moment<'_>) {
    // What is not set may be sent as an empty element. Of state and reason the guide says when they are there.
    if text.is_empty() && !matches!(name, FieldName::State | FieldName::Reason) {
        if !matches!(shape, Shape::String { .. }) {
            noted.word("empty-element", name.as_str(), moment);
        }
        return;
    }
    match shape {
        Shape::String { max: Some(max) } => {
            if text.chars().count() > *max {
                fault(R::Rec12, name, &format!("at most {max} characters"), text, moment);
            } else {
                moment.docket.tested(R::Rec12);
            }
        }
        // No field is an instant; the record's time is judged before.
        Shape::String { max: None } | Shape::Instant | Shape::Group(_) | Shape::Attributes(_) | Shape::Empty => {}
        Shape::Number | Shape::Decimal if is_number(text) => {}
        Shape::Number | Shape::Decimal => fault(R::Rec02, name, "a number", text, moment),
        Shape::Percent => match text.parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => moment.docket.tested(R::Rec20),
            Ok(percent) if percent.is_finite() => fault(R::Rec20, name, "0 to 100", text, moment),
            _ => fault(R::Rec02, name, "a number", text, moment),
        },
        Shape::Boolean if matches!(text, "true" | "false") => {}
        Shape::Boolean => fault(R::Rec02, name, "true or false", text, moment),
        Shape::Id if guid::number(text).is_some() => {}
        Shape::Id => fault(R::Rec02, name, "a GUID", text, moment),
        Shape::Words(words) => {
            let rule = words_of(name);
            if words.iter().any(|word| word == text) {
                if rule != R::Rec02 {
                    moment.docket.tested(rule);
                }
            } else if name == FieldName::SubType && text == "distributionLink" {
                noted.word("word-of-older-releases", text, moment);
            } else {
                fault(rule, name, &format!("one of {}", words.join(", ")), text, moment);
            }
        }
        Shape::Reason => match records::reason(text) {
            Some(_) => moment.docket.tested(R::Rec17),
            None => moment.warn(R::Rec17, "a documented reason", quote(text)),
        },
    }
}

/// Whether it is a decimal number that is not negative.
fn is_number(text: &str) -> bool {
    let bytes = text.as_bytes();
    let digits = bytes.iter().filter(|byte| byte.is_ascii_digit()).count();
    digits > 0 && digits + usize::from(bytes.contains(&b'.')) == bytes.len()
}

fn call_start(facts: &Facts<'_>, moment: &mut Moment<'_>) {
    let space = facts.text(FieldName::CoSpace);
    match (facts.get(FieldName::CallType), space) {
        (Some("coSpace"), None) => {
            moment.fail(R::Rec10, "the coSpace of a coSpace's call", "none".to_owned(), &[]);
        }
        (Some("adHoc"), Some(space)) => {
            moment.fail(R::Rec10, "no coSpace in an ad hoc call", quote(space), &[]);
        }
        (Some("adHoc"), None) if facts.is_true(FieldName::CoSpaceMetaDataConfigured) => {
            let observed = "true".to_owned();
            moment.fail(R::Rec10, "coSpaceMetaDataConfigured false in an ad hoc call", observed, &[]);
        }
        (Some("coSpace" | "adHoc"), _) => moment.docket.tested(R::Rec10),
        _ => {}
    }
}

fn leg_start(facts: &Facts<'_>, moment: &mut Moment<'_>) {
    let sub_type = facts.text(FieldName::SubType);
    match (facts.text(FieldName::Type), sub_type) {
        (Some("sip"), Some(_)) => moment.docket.tested(R::Rec13),
        (Some(kind), Some(sub_type)) => {
            let observed = format!("{} on type {}", quote(sub_type), quote(kind));
            return moment.fail(R::Rec13, "subType on type sip only", observed, &[]);
        }
        _ => {}
    }
    match (sub_type, facts.text(FieldName::LyncSubType)) {
        (Some("lync"), Some(_)) => moment.docket.tested(R::Rec13),
        (other, Some(lync)) => {
            let observed = format!("{} on subType {}", quote(lync), quote(other.unwrap_or("none")));
            moment.fail(R::Rec13, "lyncSubType on subType lync only", observed, &[]);
        }
        _ => {}
    }
}

fn leg_end(facts: &Facts<'_>, noted: &mut Noted, moment: &mut Moment<'_>) {
    if facts.get(FieldName::Reason).is_none() {
        noted.word("without-a-reason", facts.kind.as_str(), moment);
    }
    let told = match facts.get(FieldName::RemoteTeardown) {
        Some("true") => Some(true),
        Some("false") => Some(false),
        _ => None,
    };
    let reason = facts.get(FieldName::Reason).and_then(records::reason);
    let by_reason = reason.and_then(|reason| reason.remote_teardown);
    if let (Some(told), Some(expected), Some(reason)) = (told, by_reason, reason) {
        if expected == told {
            moment.docket.tested(R::Rec18);
        } else {
            let expected = format!("remoteTeardown {expected} with {}", reason.word);
            moment.fail(R::Rec18, &expected, told.to_string(), &[]);
        }
    }
    match (facts.text(FieldName::ReasonDetails), told.or(by_reason)) {
        (Some(details), Some(false)) => {
            moment.fail(R::Rec19, "reasonDetails on a remote teardown only", quote(details), &[]);
        }
        // That they are absent where they may not be is what the requirement asks for.
        (Some(_), Some(true)) | (None, Some(false)) => moment.docket.tested(R::Rec19),
        _ => {}
    }
}
