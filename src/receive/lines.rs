//! What is kept of records: one line of JSON for each.
//!
//! `arrived` (UTC), `receiver`, `session` and `callBridge` of its set (further attributes of it under `set`), `attributes`
//! of the record, `fields` as a tree, and `xml`, the record as it stood in the body. A field with text alone is a string;
//! one with attributes (`@name`) or fields inside is an object, its own text under `#text`; one that is there several
//! times is a list. What the documents do not know is kept like everything else. Of a body that could not be read whole,
//! is not UTF-8, or holds elements beside its records, a further line has all of it (`body`, or `body_base64` where it is
//! not UTF-8) and says what is wrong, so that nothing that was acknowledged is lost.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use crate::protocol::cdr::{Field, Record, Set};

/// How many deviations a line names.
const DEVIATIONS: usize = 10;

/// One record.
#[derive(Serialize)]
struct RecordLine<'a> {
    arrived: &'a str,
    receiver: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<&'a str>,
    #[serde(rename = "callBridge", skip_serializing_if = "Option::is_none")]
    call_bridge: Option<&'a str>,
    #[serde(skip_serializing_if = "SetAttributes::is_empty")]
    set: SetAttributes<'a>,
    attributes: Attributes<'a>,
    fields: Fields<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    xml: Option<&'a str>,
}

/// One body that the lines of its records do not show whole.
#[derive(Serialize)]
struct BodyLine<'a> {
    arrived: &'a str,
    receiver: &'a str,
    wrong: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

/// The attributes of a set that have no key of their own.
struct SetAttributes<'a>(Set<'a>);

impl<'a> SetAttributes<'a> {
    fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.0.attributes().filter(|(name, _)| !matches!(*name, "session" | "callBridge"))
    }

    fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Serialize for SetAttributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

struct Attributes<'a>(Record<'a>);

impl Serialize for Attributes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.attributes())
    }
}

/// The elements inside a record.
struct Fields<'a>(Record<'a>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        children(self.0.elements().collect(), &mut map)?;
        map.end()
    }
}

/// One element below a record.
struct Tree<'a>(Field<'a>);

impl Serialize for Tree<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(field) = self;
        let inside: Vec<Field<'_>> = field.children().collect();
        if inside.is_empty() && field.attributes().next().is_none() {
            return serializer.serialize_str(field.value());
        }
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in field.attributes() {
            map.serialize_entry(&format_args!("@{name}"), value)?;
        }
        if !field.value().is_empty() {
            map.serialize_entry("#text", field.value())?;
        }
        children(inside, &mut map)?;
        map.end()
    }
}

/// Elements sorted by name; those with the same name together, in their order.
fn children<M: serde::ser::SerializeMap>(mut fields: Vec<Field<'_>>, map: &mut M) -> Result<(), M::Error> {
    // Sorting keeps elements of one name in their order, and the cost bounded however many names there are.
    fields.sort_by_key(|field| field.name());
    for alike in fields.chunk_by(|one, next| one.name() == next.name()) {
        match alike {
            [only] => map.serialize_entry(only.name(), &Tree(*only))?,
            several => {
                let list: Vec<Tree<'_>> = several.iter().map(|field| Tree(*field)).collect();
                map.serialize_entry(several[0].name(), &list)?;
            }
        }
    }
    Ok(())
}

/// Adds the lines of a set that arrived at that time. Tells how many records it has.
pub(super) fn add(set: Set<'_>, arrived: &str, receiver: &str, out: &mut Vec<u8>) -> u64 {
    let body = str::from_utf8(set.body()).ok();
    let mut records = set.records().peekable();
    let count = records.len() as u64;
    while let Some(record) = records.next() {
        let end = records.peek().map(|next| next.at_bytes());
        let line = RecordLine {
            arrived,
            receiver,
            session: set.session(),
            call_bridge: set.call_bridge(),
            set: SetAttributes(set),
            attributes: Attributes(record),
            fields: Fields(record),
            xml: body.and_then(|body| xml(body, record.at_bytes(), end)),
        };
        add_line(&line, out);
    }
    let strange = set.others().next().is_some();
    // A deviation may stand where no record is, or be about something that is not kept.
    let is_plain = set.deviations().is_empty() && set.is_well_formed() && set.is_read_whole();
    let unread = count == 0 || strange || body.is_none() || !is_plain;
    if unread && !set.body().is_empty() {
        let mut wrong: Vec<&str> = set.deviations().iter().take(DEVIATIONS).map(|one| one.what.as_str()).collect();
        if count == 0 && wrong.is_empty() {
            wrong.push("no records");
        }
        if strange {
            wrong.push("elements that are no records");
        }
        if body.is_none() && wrong.is_empty() {
            wrong.push("not UTF-8");
        }
        let body_base64 = body.is_none().then(|| STANDARD.encode(set.body()));
        add_line(&BodyLine { arrived, receiver, wrong, body, body_base64 }, out);
    }
    count
}

fn add_line(line: &impl Serialize, out: &mut Vec<u8>) {
    let begin = out.len();
    match serde_json::to_writer(&mut *out, line) {
        Ok(()) => out.push(b'\n'),
        // Cannot be: memory takes everything, and all keys are text.
        Err(_) => out.truncate(begin),
    }
}

/// A record as it stands in the body, from `begin` to its end tag, or up to the next one's begin.
fn xml(body: &str, begin: usize, next: Option<usize>) -> Option<&str> {
    let text = body.get(begin..next.unwrap_or(body.len()))?;
    const TAG: &str = "</record";
    let ends = memchr::memmem::rfind_iter(text.as_bytes(), TAG).find_map(|at| {
        let behind = &text[at + TAG.len()..];
        // Each end tag is looked at up to its first character that is no space, so that many cost no more than their length.
        let behind = behind.trim_ascii_start().strip_prefix('>')?;
        Some(text.len() - behind.len())
    });
    let text = ends.map_or_else(|| text.split_once("</records").map_or(text, |(record, _)| record), |end| &text[..end]);
    Some(text.trim_end())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::protocol::cdr::Tape;

    fn lines(body: &[u8]) -> Vec<Value> {
        let mut tape = Tape::new();
        let mut out = Vec::new();
        add(tape.read(body), "2026-01-02T03:04:05.678Z", "main", &mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn each_record_has_a_line_with_everything_that_it_has() {
        let first = "<record type=\"callLegEnd\" time=\"2026-01-02T03:04:05Z\" correlatorIndex=\"3\">\
            <callLeg id=\"l\"><reason>remoteTeardown</reason><alarm type=\"packetLoss\" durationPercentage=\"1.5\"/>\
            <alarm type=\"excessiveJitter\"/><rxAudio><codec>opus</codec></rxAudio><new>&lt;&#233;</new></callLeg></record>";
        let second = "<record type=\"callEnd\" />";
        let body = format!(
            "<?xml version=\"1.0\"?>\n<records session=\"s\" callBridge=\"b\">\n{first}\n {second}\n</records>\n"
        );
        let lines = lines(body.as_bytes());
        assert_eq!(
            lines[0],
            json!({
                "arrived": "2026-01-02T03:04:05.678Z", "receiver": "main", "session": "s", "callBridge": "b",
                "attributes": {"type": "callLegEnd", "time": "2026-01-02T03:04:05Z", "correlatorIndex": "3"},
                "fields": {"callLeg": {
                    "@id": "l", "reason": "remoteTeardown", "rxAudio": {"codec": "opus"}, "new": "<é",
                    "alarm": [{"@type": "packetLoss", "@durationPercentage": "1.5"}, {"@type": "excessiveJitter"}],
                }},
                "xml": first,
            })
        );
        assert_eq!((&lines[1]["fields"], &lines[1]["xml"], lines.len()), (&json!({}), &json!(second), 2));
    }

    #[test]
    fn nothing_of_a_body_that_cannot_be_read_is_lost() {
        let cut = lines(b"<records session=\"s\"><record type=\"callEnd\"><call id=\"c\"/></record><record type=\"cal");
        assert_eq!((&cut[0]["attributes"]["type"], cut.len() >= 2), (&json!("callEnd"), true));
        let last = cut.last().unwrap();
        assert!(last["body"].as_str().unwrap().ends_with("<record type=\"cal"));
        assert!(!last["wrong"].as_array().unwrap().is_empty());
        let bytes = lines(b"\xff\xfe\xfd");
        assert_eq!(bytes.last().unwrap()["body_base64"], json!("//79"));
        let empty = lines(b"<records session=\"s\"></records>");
        assert_eq!((&empty[0]["wrong"], empty.len()), (&json!(["no records"]), 1));
    }

    #[test]
    fn nothing_beside_the_records_is_lost() {
        let latin = lines(
            b"<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><records session=\"s\"><record type=\"\xe9\"/></records>",
        );
        assert!(!latin.last().unwrap()["wrong"].as_array().unwrap().is_empty());
        let body = STANDARD.decode(latin.last().unwrap()["body_base64"].as_str().unwrap()).unwrap();
        assert!(body.windows(3).any(|part| part == b"\"\xe9\""));
        let beside = "<records session=\"s\" cluster=\"c\"><record type=\"callEnd\"/><total>7</total></records>";
        let beside = lines(beside.as_bytes());
        assert_eq!((beside.len(), &beside[0]["set"]), (2, &json!({"cluster": "c"})));
        assert!(beside[1]["body"].as_str().unwrap().contains("<total>7</total>"));
        let plain = lines(b"<records session=\"s\"><record type=\"callEnd\"/></records>");
        assert_eq!((plain.len(), plain[0].get("set")), (1, None));
    }

    #[test]
    fn a_record_as_it_stood_ends_with_its_own_end_tag() {
        assert_eq!(xml("<record><a/></record >\n</records>", 0, None), Some("<record><a/></record >"));
        assert_eq!(xml("<record/> </records>", 0, None), Some("<record/>"));
        assert_eq!(xml("<record/>\n<record/>", 0, Some(10)), Some("<record/>"));
        assert_eq!(xml("é", 1, None), None);
        let many = "</record".repeat(200_000);
        assert_eq!(xml(&many, 0, None), Some(many.as_str()));
    }
}
