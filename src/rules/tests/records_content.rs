//! What records say: each by itself, and together.

use super::sender::{Lab, leg, record};
use crate::protocol::api::xml::Element;
use crate::protocol::cdr::NewRecord;
use crate::protocol::cdr::RecordType::{
    CallEnd, CallLegEnd, CallLegStart, CallLegUpdate, CallStart, RecordingEnd, RecordingStart, StreamingEnd,
    StreamingStart,
};
use crate::protocol::cdr::names::MISSING;
use crate::protocol::http::{Headers, Method, Response};
use crate::rules::script::guid;

pub(super) const SPACE: u32 = 50;
pub(super) const CORRELATOR: u32 = 60;

/// How many seconds a receiver is there before the example begins: longer than anything in it lasts.
pub(super) const OLDER: u64 = 60;

pub(super) fn at(mut record: NewRecord, second: u32) -> NewRecord {
    record.time = format!("2026-03-01T10:00:{second:02}Z");
    record
}

/// Two legs in a call of ten seconds, as the guide shows it.
pub(super) fn example() -> Vec<NewRecord> {
    let (space, correlator, call) = (guid(SPACE), guid(CORRELATOR), guid(1));
    let joined: &[(&str, &str)] = &[("state", "connected"), ("call", &call), ("sipCallId", "x")];
    let left = [("reason", "remoteTeardown"), ("remoteTeardown", "true"), ("reasonDetails", "SIP")];
    vec![
        at(record(0, CallLegStart, 11, &[("type", "sip"), ("direction", "incoming"), ("groupId", &guid(3))]), 10),
        at(
            record(
                1,
                CallStart,
                1,
                &[("name", "n"), ("callType", "coSpace"), ("coSpace", &space), ("callCorrelator", &correlator)],
            ),
            10,
        ),
        at(record(2, CallLegUpdate, 11, joined), 10),
        at(record(3, CallLegStart, 12, &[("type", "sip"), ("subType", "lync"), ("lyncSubType", "audioVideo")]), 11),
        at(record(4, CallLegUpdate, 12, joined), 11),
        at(
            record(5, CallLegEnd, 12, &[&left[..], &[("durationSeconds", "4"), ("activatedDuration", "4")]].concat()),
            15,
        ),
        at(record(6, CallLegEnd, 11, &[("reason", "callDeactivated"), ("remoteTeardown", "false")]), 20),
        at(
            record(7, CallEnd, 1, &[("callLegsCompleted", "2"), ("callLegsMaxActive", "2"), ("durationSeconds", "10")]),
            20,
        ),
    ]
}

/// The example with one field of one record changed, added, or taken away.
pub(super) fn with(index: usize, name: &str, value: Option<&str>) -> Vec<NewRecord> {
    let mut records = example();
    let content = &mut records[index].content;
    content.children.retain(|child| child.name != name);
    if let Some(value) = value {
        content.children.push(Element { name: name.to_owned(), text: value.to_owned(), ..Element::default() });
    }
    records
}

/// Numbers records anew.
pub(super) fn in_order(mut records: Vec<NewRecord>) -> Vec<NewRecord> {
    for (index, record) in records.iter_mut().enumerate() {
        record.correlator_index = Some(index as u64);
    }
    records
}

#[track_caller]
pub(super) fn breaks(records: Vec<NewRecord>, expected: &[&str]) {
    let mut lab = Lab::new();
    lab.passes(OLDER).gets(1, 9, &records[..1]);
    if records.len() > 1 {
        lab.gets(1, 9, &records[1..]);
    }
    lab.breaks(expected);
}

#[track_caller]
pub(super) fn meets(records: Vec<NewRecord>, requirements: &[&str]) {
    for requirement in requirements {
        let mut lab = Lab::new();
        lab.gets(1, 9, &records[..1]).gets(1, 9, &records[1..]);
        lab.meets(requirement);
    }
}

#[test]
fn the_guides_example_meets_what_it_puts_to_the_test() {
    let tested = [
        "CDR-07", "REC-01", "REC-02", "REC-03", "REC-04", "REC-06", "REC-07", "REC-08", "REC-09", "REC-10", "REC-13",
        "REC-14", "REC-15", "REC-17", "REC-18", "REC-19",
    ];
    meets(example(), &tested);
}

#[test]
fn times_are_in_utc() {
    for (time, broken) in
        [("2026-03-01T10:00:11+01:00", true), ("yesterday", true), ("2026-03-01T10:00:11.250Z", false)]
    {
        let mut records = example();
        records[3].time = time.to_owned();
        breaks(records, if broken { &["CDR-07"] } else { &[] });
    }
}

#[test]
fn a_record_holds_the_one_element_that_belongs_to_it() {
    type Change = fn(&mut NewRecord);
    let changes: [Change; 4] = [
        |record| record.content.name = "call".to_owned(),
        |record| record.content.attributes.clear(),
        |record| record.content.attributes[0].1 = "7".to_owned(),
        |record| record.kind = String::new(),
    ];
    for change in &changes[..3] {
        let mut record = leg(0);
        change(&mut record);
        breaks(vec![record, leg(1)], &["REC-01"]);
    }
}

#[test]
fn a_type_or_reason_that_is_not_documented_warns() {
    let mut unknown = leg(1);
    unknown.kind = "callPause".to_owned();
    for (records, id) in [(vec![leg(0), unknown], "REC-01"), (with(6, "reason", Some("gone")), "REC-17")] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &records);
        let judgement = lab.script.finish();
        let warnings: Vec<_> = judgement.findings.iter().map(|one| (one.requirement.as_str(), one.warns)).collect();
        assert_eq!(warnings, [(id, true)]);
        assert!(judgement.finding_counts.is_empty() && judgement.warning_counts.len() == 1);
    }
}

#[test]
fn fields_lie_in_their_domains() {
    for (index, name, value, broken) in [
        (1, "callType", "meeting", "REC-02"),
        (1, "coSpace", "x", "REC-02"),
        (1, "coSpaceMetaDataConfigured", "1", "REC-02"),
        (0, "direction", "in", "REC-02"),
        (0, "guestConnection", "True", "REC-02"),
        (7, "endpointRecorded", "1", "REC-02"),
        (7, "durationSeconds", "-3", "REC-02"),
        (7, "durationSeconds", "ten", "REC-02"),
        (2, "ivr", "yes", "REC-02"),
        (2, "state", "ringing", "REC-15"),
        (2, "confirmationStatus", "rejected", "REC-16"),
    ] {
        let mut records = with(index, name, Some(value));
        if name == "ivr" {
            records[2].content.children.retain(|child| child.name != "call");
            records.truncate(3);
        }
        breaks(records, &[broken]);
    }
}

#[test]
fn an_empty_element_is_as_good_as_none() {
    let mut records = example();
    let empty = |record: &mut NewRecord, names: &[&str]| {
        record.content.children.extend(names.iter().map(|name| Element::new(*name)));
    };
    empty(&mut records[0], &["subType", "lyncSubType", "guestConnection", "confirmationStatus", "groupId"]);
    empty(&mut records[6], &["activatedDuration", "encryptedMedia", "reasonDetails", "mediaUsagePercentages"]);
    empty(&mut records[7], &["endpointRecorded"]);
    records.insert(1, record(0, CallLegUpdate, 11, &[("call", ""), ("ivr", "")]));
    meets(in_order(records), &["REC-02", "REC-14", "CDR-23"]);
    breaks(with(2, "state", Some("")), &["REC-15"]);
}

#[test]
fn what_no_guide_mentions_is_noted() {
    let mut records = with(1, "mood", Some("good"));
    records[1].content.children.push(Element::new("ownerName"));
    records[1].content.children.push(Element::new("tenant"));
    records[0].content.children.push(Element::new("reason").field("x", "y"));
    records[2].content.attributes.push(("new".to_owned(), "1".to_owned()));
    meets(records, &["CDR-23", "REC-02"]);
}

#[test]
fn groups_are_judged_inside() {
    let end = |group: Element| {
        let mut records = example();
        records[6].content.children.push(group);
        records
    };
    let alarm =
        |percent: &str| Element::new("alarm").attribute("type", "packetLoss").attribute("durationPercentage", percent);
    let usage = |percent: &str| Element::new("mediaUsagePercentages").field("mainVideoViewer", percent);
    meets(end(alarm("12.5")), &["REC-20"]);
    meets(end(Element::new("alarm").field("type", "packetLoss").field("durationPercentage", "0")), &["REC-20"]);
    meets(end(usage("100.0")), &["REC-20"]);
    breaks(end(alarm("100.1")), &["REC-20"]);
    breaks(end(usage("-1")), &["REC-20"]);
    breaks(end(usage("x")), &["REC-02"]);
    breaks(end(Element::new("rxAudio").field("codec", "mp3")), &["REC-02"]);
    breaks(end(Element::new("rxAudio").field("codec", "opus")), &[]);
    breaks(end(Element::new("multistreamVideo").field("maxScreens", "two")), &["REC-02"]);
}

#[test]
fn a_call_starts_and_ends_once() {
    // No start, a second start, a second end, something after the end.
    let without = |index: usize| {
        let mut records = example();
        records.remove(index);
        in_order(records)
    };
    let mut no_start = without(1);
    no_start.retain(|record| record.kind != "callLegUpdate");
    breaks(in_order(no_start), &["REC-03"]);
    let mut records = example();
    records.insert(2, records[1].clone());
    breaks(in_order(records), &["REC-03"]);
    let mut records = example();
    records.push(records[7].clone());
    breaks(in_order(records), &["REC-03"]);
    let mut records = example();
    records.push(record(8, CallLegStart, 13, &[("call", &guid(1))]));
    breaks(records, &["REC-03"]);
}

#[test]
fn nothing_is_said_of_a_call_after_its_end() {
    let mut records = example();
    records[7].content.children.retain(|child| child.name == "durationSeconds");
    records.swap(6, 7);
    let again = record(0, CallLegUpdate, 11, &[("state", "connected"), ("call", &guid(1))]);
    breaks(in_order(records.clone()), &["REC-09"]);
    records.insert(7, again);
    breaks(in_order(records), &["REC-03", "REC-09"]);
}

#[test]
fn what_is_older_than_the_receiver_may_show_no_start() {
    let old = |seconds: &str| {
        vec![
            record(0, CallLegUpdate, 11, &[("state", "connected"), ("call", &guid(1))]),
            record(1, RecordingEnd, 70, &[]),
            record(2, CallLegEnd, 11, &[("reason", "callEnded"), ("durationSeconds", seconds)]),
            record(3, CallEnd, 1, &[("callLegsCompleted", "9"), ("durationSeconds", seconds)]),
        ]
    };
    for seconds in ["59", "60", "3600", "18446744073709551615"] {
        breaks(old(seconds), &[]);
    }
    breaks(old("50"), &["REC-03", "REC-04"]);
    // What has no duration is of any age, except after a restart.
    let mut lab = Lab::new();
    lab.gets(1, 9, &example()).restarts().gets(1, 8, &old("3600"));
    lab.breaks(&["REC-03", "REC-04", "REC-05"]);
}

#[test]
fn a_leg_starts_first_and_ends_last() {
    let mut records = example();
    records.remove(3);
    breaks(in_order(records).into_iter().take(5).collect(), &["REC-04"]);
    let mut records = example();
    records.insert(6, records[4].clone());
    breaks(in_order(records), &["REC-04"]);
    // That it never ends is the fault of the call's end.
    let mut records = example();
    records.remove(6);
    records[6].content.children.retain(|child| child.name == "durationSeconds");
    let records = in_order(records);
    let mut lab = Lab::new();
    lab.gets(1, 9, &records);
    assert!(lab.script.due().is_some());
    lab.passes(40);
    lab.gets(1, 9, &[record(7, CallLegEnd, 11, &[("reason", "callEnded")])]);
    lab.breaks(&["REC-09"]);
    let mut records = example();
    records.insert(6, records[5].clone());
    breaks(in_order(records), &["REC-04"]);
}

#[test]
fn what_began_before_the_receiver_was_there_may_end() {
    let late = |from: usize| example().into_iter().skip(from).collect::<Vec<_>>();
    for from in 1..8 {
        breaks(late(from), &[]);
    }
    // The same where records were lost on the way.
    let mut lab = Lab::new();
    lab.gets(1, 9, &example()[..1]).closes(1).passes(300).opens(1);
    let mut rest = late(4);
    rest[0].missing = Some(("numPrecedingRecordsMissing", 3));
    lab.gets(1, 9, &rest).passes(60);
    lab.breaks(&[]);
}

#[test]
fn recordings_and_streams_start_and_end() {
    let names: &[(&str, &str)] = &[("call", &guid(1)), ("callLeg", &guid(13))];
    let lives = |mark: &str, start, end, names: &[(&str, &str)]| {
        let mut records = example();
        records.truncate(3);
        records.push(record(3, CallLegStart, 13, &[(mark, "true"), ("call", &guid(1))]));
        records.push(record(4, start, 70, names));
        records.push(record(5, end, 70, &[]));
        records
    };
    meets(lives("recording", RecordingStart, RecordingEnd, names), &["REC-05", "REC-22"]);
    meets(lives("streaming", StreamingStart, StreamingEnd, names), &["REC-05", "REC-22"]);
    breaks(lives("streaming", RecordingStart, RecordingEnd, names), &["REC-22"]);
    breaks(lives("recording", RecordingStart, RecordingEnd, &names[..1]), &["REC-22"]);
    breaks(lives("recording", RecordingStart, RecordingEnd, &[names[0], ("callLeg", &guid(1))]), &["REC-22"]);
    breaks(lives("recording", RecordingStart, RecordingEnd, &[names[0], ("callLeg", &guid(11))]), &["REC-22"]);
    // What has shown no start may be older than the receiver, except after a restart.
    for names in [[names[0], ("callLeg", &guid(99))], [("call", &guid(99)), names[1]]] {
        let records = lives("recording", RecordingStart, RecordingEnd, &names);
        breaks(records.clone(), &[]);
        let mut lab = Lab::new();
        lab.gets(1, 9, &example()).restarts().gets(1, 8, &records);
        lab.breaks(&["REC-22"]);
    }
    breaks(lives("recording", RecordingStart, StreamingEnd, names), &["REC-05"]);
    let mut records = lives("recording", RecordingStart, RecordingEnd, names);
    records.push(record(6, RecordingEnd, 70, &[]));
    breaks(records, &["REC-05"]);
    let mut records = lives("recording", RecordingStart, RecordingEnd, names);
    records.remove(4);
    breaks(in_order(records), &["REC-05"]);
}

#[test]
fn the_end_of_a_call_counts_its_legs() {
    for (name, value, broken) in [
        ("callLegsCompleted", "1", "REC-06"),
        ("callLegsCompleted", "3", "REC-06"),
        ("callLegsMaxActive", "1", "REC-07"),
        ("callLegsMaxActive", "3", "REC-07"),
        ("durationSeconds", "13", "REC-08"),
        ("durationSeconds", "7", "REC-08"),
    ] {
        breaks(with(7, name, Some(value)), &[broken]);
    }
    breaks(with(7, "durationSeconds", Some("12")), &[]);
    breaks(with(5, "durationSeconds", Some("9")), &["REC-08"]);
    breaks(with(5, "activatedDuration", Some("6")), &["REC-08"]);
    // As long as the number can be.
    let mut records = with(5, "durationSeconds", Some(&u64::MAX.to_string()));
    records[5].content.children.push(Element { text: u64::MAX.to_string(), ..Element::new("activatedDuration") });
    breaks(records, &["REC-08"]);
}

#[test]
fn a_clock_may_be_set_while_a_leg_lasts() {
    let run = |seconds: &str| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &[leg(0)]).passes(30);
        let object = 100_000;
        let end = [("reason", "callEnded"), ("durationSeconds", seconds)];
        lab.gets(1, 9, &[at(record(1, CallLegEnd, object, &end), 59)]);
        lab
    };
    run("30").meets("REC-08");
    run("49").meets("REC-08");
    run("70").breaks(&["REC-08"]);
}

#[test]
fn a_link_between_servers_is_no_leg_that_counts() {
    let extra = |word: &str, count: &str| {
        let mut records = with(7, "callLegsCompleted", Some(count));
        let update = [("call", &*guid(1)), ("state", "connected")];
        records.insert(6, record(0, CallLegStart, 13, &[("type", "sip"), ("subType", word)]));
        records.insert(7, record(0, CallLegUpdate, 13, &update));
        records.insert(8, record(0, CallLegEnd, 13, &[("reason", "callEnded")]));
        in_order(records)
    };
    for word in ["lyncdistribution", "distributionLink"] {
        breaks(extra(word, "2"), &[]);
        breaks(extra(word, "3"), &[]);
    }
    breaks(extra("avaya", "2"), &["REC-06"]);
}

#[test]
fn whether_some_legs_count_is_open() {
    // One that was never connected, one that records, one that nothing assigned.
    let extra = |count: &str| {
        let mut records = with(7, "callLegsCompleted", Some(count));
        let end = records.pop().unwrap();
        records.insert(6, record(0, CallLegStart, 13, &[("call", &guid(1)), ("recording", "true")]));
        records.insert(7, record(0, CallLegStart, 14, &[]));
        records.push(record(0, CallLegEnd, 13, &[("reason", "callEnded")]));
        records.push(record(0, CallLegEnd, 14, &[("reason", "remoteBusy"), ("remoteTeardown", "true")]));
        records.push(end);
        in_order(records)
    };
    for count in ["2", "3", "4"] {
        breaks(extra(count), &[]);
    }
    breaks(extra("5"), &["REC-06"]);
}

#[test]
fn a_call_ends_after_its_legs() {
    let mut records = example();
    records.swap(6, 7);
    let mut records = in_order(records);
    records[6].content.children[0].text = "1".to_owned();
    breaks(records, &["REC-09"]);
}

#[test]
fn a_call_of_a_co_space_names_it() {
    breaks(with(1, "coSpace", None), &["REC-10"]);
    breaks(with(1, "callType", Some("adHoc")), &["REC-10"]);
    let ad_hoc = |configured: &str| {
        let mut records = with(1, "coSpaceMetaDataConfigured", Some(configured));
        records[1].content.children.retain(|child| child.name != "coSpace");
        records[1].content.children[1].text = "adHoc".to_owned();
        records
    };
    meets(ad_hoc("false"), &["REC-10"]);
    breaks(ad_hoc("true"), &["REC-10"]);
}

#[test]
fn a_co_space_keeps_its_correlator() {
    let again = |correlator: u32| {
        let mut records = example();
        let mut second = records[1].clone();
        second.content.attributes[0].1 = guid(2);
        second.content.children[3].text = guid(correlator).to_uppercase();
        second.correlator_index = Some(8);
        records.push(second);
        records
    };
    let run = |correlator, created: bool| {
        let mut lab = Lab::new();
        if created {
            let headers = Headers::new().with("Location", format!("/api/v1/coSpaces/{}", guid(SPACE)));
            lab.api(Method::Post, "/api/v1/coSpaces", "name=x", &Response { headers, ..Response::new(200) });
        }
        lab.gets(1, 9, &again(correlator));
        lab
    };
    run(CORRELATOR, true).meets("REC-11");
    run(61, true).breaks(&["REC-11"]);
    // Others may have started one with a correlator of their own.
    run(61, false).breaks(&[]);
}

#[test]
fn a_tag_is_the_one_configured_and_not_too_long() {
    breaks(with(0, "cdrTag", Some(&"x".repeat(101))), &["REC-12"]);
    meets(with(0, "cdrTag", Some(&"é".repeat(100))), &["REC-12"]);
    for (configured, told, broken) in
        [("a tag", Some("a tag"), false), ("a tag", Some("b"), true), ("a tag", None, true), ("", None, false)]
    {
        let mut lab = Lab::new();
        let headers = Headers::new().with("Location", format!("/api/v1/coSpaces/{}", guid(SPACE)));
        let form = format!("name=x&cdrTag={}", configured.replace(' ', "+"));
        lab.api(Method::Post, "/api/v1/coSpaces", &form, &Response { headers, ..Response::new(200) });
        lab.gets(1, 9, &with(1, "cdrTag", told));
        if broken { lab.breaks(&["REC-12"]) } else { lab.meets("REC-12") }
    }
}

#[test]
fn the_tag_of_a_leg_is_the_one_configured_wherever_it_is_shown() {
    let run = |tags: [Option<&str>; 3]| {
        let mut lab = Lab::new();
        lab.passes(OLDER);
        let headers = Headers::new().with("Location", format!("/api/v1/callLegs/{}", guid(13)));
        let calls = format!("/api/v1/calls/{}/callLegs", guid(1));
        lab.api(Method::Post, &calls, "cdrTag=abc", &Response { headers, ..Response::new(200) });
        let kinds = [CallLegStart, CallLegUpdate, CallLegEnd];
        let records: Vec<_> = (0..)
            .zip(kinds)
            .zip(tags)
            .map(|((index, kind), tag)| {
                let fields: Vec<_> = tag.map(|tag| ("cdrTag", tag)).into_iter().collect();
                record(index, kind, 13, &fields)
            })
            .collect();
        lab.gets(1, 9, &records);
        lab
    };
    run([Some("abc"); 3]).meets("REC-12");
    run([None, Some("abc"), None]).meets("REC-12");
    run([None, None, Some("abc")]).meets("REC-12");
    run([None; 3]).breaks(&["REC-12"]);
    run([Some("abc"), Some("b"), None]).breaks(&["REC-12"]);
    run([Some("abc"), None, Some("b")]).breaks(&["REC-12"]);
}

#[test]
fn a_tag_may_be_changed() {
    let change = |node: &str, before: bool, wait: u64, records: &[NewRecord]| {
        let mut lab = Lab::new();
        lab.passes(OLDER);
        let headers = Headers::new().with("Location", format!("/api/v1/{node}/{}", guid(SPACE)));
        if before {
            let made = if node == "callLegs" { format!("calls/{}/callLegs", guid(1)) } else { node.to_owned() };
            lab.api(Method::Post, &format!("/api/v1/{made}"), "cdrTag=a", &Response { headers, ..Response::new(200) });
        }
        lab.api(Method::Put, &format!("/api/v1/{node}/{}", guid(SPACE)), "cdrTag=b", &Response::new(200));
        lab.passes(wait).gets(1, 9, records);
        lab
    };
    let shown = |tag: &str| [record(0, CallLegUpdate, SPACE, &[("cdrTag", tag)])];
    for (before, wait, tag, broken) in [
        (true, 1, "a", false),
        (true, 1, "b", false),
        (true, 1, "c", true),
        (true, 30, "a", false),
        (true, 60, "a", true),
        (true, 60, "b", false),
        // What it was before is not known.
        (false, 1, "c", false),
        (false, 60, "c", true),
        (false, 60, "b", false),
    ] {
        change("callLegs", before, wait, &shown(tag)).breaks(if broken { &["REC-12"] } else { &[] });
    }
    // A call that may have been there before has either.
    change("coSpaces", true, 60, &with(1, "cdrTag", Some("a"))).meets("REC-12");
    change("coSpaces", true, 60, &with(1, "cdrTag", Some("c"))).breaks(&["REC-12"]);
}

#[test]
fn sub_types_belong_to_their_types() {
    breaks(with(3, "type", Some("acano")), &["REC-13"]);
    breaks(with(3, "subType", Some("avaya")), &["REC-13"]);
    breaks(with(3, "subType", None), &["REC-13"]);
}

#[test]
fn a_leg_is_in_a_call_that_was_started_or_in_the_ivr() {
    // A call that never shows its start may be older than the receiver, but not one that starts later, or a coSpace.
    breaks(with(4, "call", Some(&guid(99))).into_iter().take(5).collect(), &[]);
    // Its record may come later, but not tell that it was started later.
    let mut records = example();
    records.swap(1, 2);
    records.truncate(6);
    meets(in_order(records.clone()), &["REC-14"]);
    records[2] = at(records[2].clone(), 12);
    breaks(in_order(records.clone()), &["REC-14"]);
    // Where so much time cannot have passed, the clock was set back meanwhile.
    records[2] = at(records[2].clone(), 40);
    let records = in_order(records);
    for (seconds, broken) in [(1, &[][..]), (60, &["REC-14"])] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &records[..1]).passes(seconds).gets(1, 9, &records[1..]);
        lab.breaks(broken);
    }
    // What was named before records went missing counts no more.
    for (missing, broken) in [(0, &["REC-14"][..]), (2, &[])] {
        let mut records = in_order(example());
        records.swap(1, 2);
        records.truncate(3);
        records[2] = at(records[2].clone(), 12);
        let mut records = in_order(records);
        if missing > 0 {
            records[2].correlator_index = Some(2 + missing);
            records[2].missing = Some((MISSING[0], missing));
        }
        breaks(records, broken);
    }
    // Never.
    let mut records = example();
    records.remove(1);
    records.truncate(5);
    let mut lab = Lab::new();
    lab.gets(1, 9, &[leg(0)]).restarts().gets(1, 10, &in_order(records));
    assert!(lab.script.due().is_some());
    lab.passes(36);
    lab.breaks(&["REC-14"]);
    let mut lab = Lab::new();
    let headers = Headers::new().with("Location", format!("/api/v1/coSpaces/{}", guid(SPACE)));
    lab.api(Method::Post, "/api/v1/coSpaces", "name=x", &Response { headers, ..Response::new(200) });
    lab.gets(1, 9, &with(4, "call", Some(&guid(SPACE)))[..5]);
    lab.breaks(&["REC-14"]);
    breaks(with(4, "ivr", Some("")), &["REC-14"]);
    let mut records = example();
    records.insert(1, record(0, CallLegUpdate, 11, &[("ivr", "")]));
    meets(in_order(records), &["REC-14"]);
}

#[test]
fn once_connected_a_leg_stays_so() {
    let again = |fields: &[(&str, &str)]| {
        let mut records = example();
        records.insert(5, record(0, CallLegUpdate, 12, fields));
        in_order(records)
    };
    meets(again(&[("state", "connected"), ("deactivated", "false")]), &["REC-15"]);
    // Without a state nothing has changed.
    breaks(again(&[("deactivated", "false")]), &[]);
    breaks(again(&[("state", "disconnected")]), &["REC-15"]);
}

#[test]
fn a_confirmation_is_not_taken_back() {
    let told = |statuses: [&str; 3]| {
        let mut records = with(3, "confirmationStatus", Some(statuses[0]));
        for (index, status) in [(4, statuses[1]), (5, statuses[2])] {
            records[index].content.children.push(Element::new("confirmationStatus"));
            records[index].content.children.last_mut().unwrap().text = status.to_owned();
        }
        records
    };
    meets(told(["required", "confirmed", "confirmed"]), &["REC-16"]);
    meets(told(["required", "required", "rejected"]), &["REC-16"]);
    breaks(told(["required", "confirmed", "required"]), &["REC-16"]);
}

#[test]
fn who_tore_down_agrees_with_the_reason() {
    breaks(with(6, "reason", None), &[]);
    breaks(with(6, "remoteTeardown", Some("true")), &["REC-18"]);
    breaks(with(5, "reason", Some("timeout")), &["REC-18"]);
    breaks(with(6, "reason", Some("error")), &[]);
    breaks(with(6, "reason", Some("confirmationTimeout")), &[]);
    breaks(with(6, "reasonDetails", Some("SIP")), &["REC-19"]);
    // Where it does not say who tore down, the reason may.
    let silent = |reason: &str| {
        let mut records = with(5, "reason", Some(reason));
        records[5].content.children.retain(|child| child.name != "remoteTeardown");
        records
    };
    meets(silent("remoteBusy"), &["REC-19"]);
    breaks(silent("timeout"), &["REC-19"]);
    breaks(silent("error"), &[]);
}

#[test]
fn what_identifies_a_leg_does_not_change() {
    let told = |one: &str, other: &str| {
        let mut records = with(3, "sipCallId", Some(one));
        records[4].content.children.retain(|child| child.name != "sipCallId");
        records[5].content.children.push(Element::new("sipCallId"));
        records[5].content.children.last_mut().unwrap().text = other.to_owned();
        records
    };
    meets(told("a", "a"), &["REC-21"]);
    breaks(told("", "a"), &[]);
    breaks(told("a", "b"), &["REC-21"]);
}

#[test]
fn content_is_judged_once_however_often_it_comes() {
    let records = with(6, "reasonDetails", Some("SIP"));
    let mut lab = Lab::new();
    lab.receiver(2).refuses(1, 9, &records, 500).gets(2, 9, &records).gets(1, 9, &records);
    let judgement = lab.script.finish();
    assert_eq!(judgement.finding_counts.values().sum::<u64>(), 1, "{:?}", judgement.findings);
}
