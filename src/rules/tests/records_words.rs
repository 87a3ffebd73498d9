//! Records and sets in forms that no conformant sender writes, and what is noted of those that may.

use super::records_content::{breaks, example, in_order, meets, with};
use super::sender::{Lab, leg, legs, numbered, record};
use crate::protocol::api::xml::Element;
use crate::protocol::cdr::NewSet;
use crate::protocol::cdr::RecordType::CallLegStart;
use crate::protocol::cdr::{NewRecord, Style};
use crate::rules::script::guid;

/// A set of three records, changed before it is written.
fn changed(change: impl Fn(&mut Element)) -> Lab {
    let mut lab = Lab::new();
    let mut root = NewSet { session: Some(guid(9)), call_bridge: None, records: legs(0..3) }.to_element();
    change(&mut root);
    let set = lab.body(1, &Style::default().write(&root));
    lab.answers(set, 200);
    lab
}

/// Gives an attribute of the second record another value, or takes it away.
fn attribute(name: &str, value: Option<&str>) -> Lab {
    changed(|root| {
        let attributes = &mut root.children[1].attributes;
        attributes.retain(|(known, _)| known != name);
        attributes.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    })
}

/// What was noted where the guides are silent.
fn notes(records: Vec<NewRecord>) -> Vec<(&'static str, String)> {
    let mut lab = Lab::new();
    lab.gets(1, 9, &records);
    let judgement = lab.script.finish();
    assert!(judgement.findings.is_empty(), "{:#?}", judgement.findings);
    judgement.characteristics.into_iter().map(|one| (one.name, one.value)).collect()
}

#[test]
fn attributes_of_a_record_have_their_forms() {
    attribute("type", None).breaks(&["REC-01"]);
    attribute("recordIndex", Some("x")).breaks(&["CDR-11"]);
    attribute("numPrecedingRecordsMissing", Some("x")).breaks(&["CDR-12"]);
    attribute("numPrecedingRecordsMissing", Some("0")).breaks(&[]);
    // Which record it is is not known: what follows begins anew.
    let mut lab = attribute("correlatorIndex", Some("x"));
    lab.passes(60);
    lab.breaks(&["CDR-08"]);
}

#[test]
fn a_record_holds_one_element_once() {
    for name in ["callLeg", "call"] {
        changed(|root| root.children[1].children.push(Element::new(name).attribute("id", guid(5)))).breaks(&["REC-01"]);
    }
    changed(|root| root.children[1].children.push(Element::new("mood"))).meets("REC-01");
}

#[test]
fn numbers_and_words_that_are_none() {
    breaks(with(7, "durationSeconds", Some(".")), &["REC-02"]);
    for percent in ["inf", "NaN"] {
        let mut records = example();
        records[6].content.children.push(Element::new("mediaUsagePercentages").field("mainVideoViewer", percent));
        breaks(records, &["REC-02"]);
    }
    let mut records = example();
    records[1].content.children.push(Element::new("ownerName").field("x", "y"));
    breaks(records, &["REC-02"]);
    breaks(with(3, "subType", Some("distribution")), &["REC-02", "REC-13"]);
    breaks(with(0, "direction", Some("distributionLink")), &["REC-02"]);
    meets(with(5, "activatedDuration", Some("5")), &["REC-08"]);
    meets(vec![leg(0), record(1, CallLegStart, 5, &[("subType", "lync"), ("lyncSubType", "audioVideo")])], &["REC-13"]);
}

#[test]
fn what_a_count_of_legs_should_be_is_said() {
    let expected = |name: &str, others: &[NewRecord]| {
        let mut records = with(7, name, Some("9"));
        records.splice(3..3, others.iter().cloned());
        let mut lab = Lab::new();
        lab.gets(1, 9, &in_order(records));
        lab.script.finish().findings.remove(0).expected
    };
    assert_eq!(expected("callLegsCompleted", &[]), "callLegsCompleted 2");
    let alerting = [record(0, CallLegStart, 13, &[("call", &guid(1))])];
    assert_eq!(expected("callLegsMaxActive", &alerting), "callLegsMaxActive from 2 to 3");
}

#[test]
fn what_the_guides_do_not_have_is_noted_with_its_name() {
    let mut records = with(3, "subType", Some("distributionLink"));
    records[3].content.children.retain(|child| child.name != "lyncSubType");
    records[0].content.children.extend([Element::new("mood"), Element::new("reason").field("x", "y")]);
    records[0].content.children.push(Element::new("guestConnection"));
    records[6].content.children.retain(|child| child.name != "reason");
    records[6].content.children.push(Element::new("rxAudio").field("hue", "1"));
    let seen = notes(records);
    for (name, value) in [
        ("unknown-field", "mood"),
        ("unknown-field", "hue"),
        ("field-of-another-record", "reason"),
        ("empty-element", "guestConnection"),
        ("word-of-older-releases", "distributionLink"),
        ("without-a-reason", "callLegEnd"),
        ("records-in-a-set", "2 to 10"),
        ("recordIndex", "not sent"),
    ] {
        let found = seen.iter().any(|(known, told)| *known == name && told.contains(value));
        assert!(found, "{name} {value}: {seen:?}");
    }
    let noted = |many: u64| notes((0..many).map(|index| numbered(leg(index), index + 1)).collect());
    for (many, size) in [(1, "1"), (12, "more than 10")] {
        let seen = noted(many);
        for entry in [("records-in-a-set", size), ("recordIndex", "sent")] {
            assert!(seen.iter().any(|(name, value)| (*name, value.as_str()) == entry), "{seen:?}");
        }
    }
}

#[test]
fn a_record_is_another_one_if_an_attribute_is() {
    let mut lab = Lab::new();
    let other = NewRecord { content: Element::new("callLeg").attribute("id", guid(5)), ..leg(1) };
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &[leg(0), other, leg(2)]);
    lab.breaks(&["CDR-09"]);
}
