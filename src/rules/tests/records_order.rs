//! Which records arrive in which session: what is owed where something failed, was discarded, added again or restarted.

use super::records_channels::shown;
use super::records_content::{example, in_order};
use super::records_lives::outlasted;
use super::sender::{Lab, after_missing, leg, legs, numbered, record};
use crate::protocol::cdr::NewRecord;
use crate::protocol::cdr::RecordType::{CallEnd, CallLegStart};
use crate::protocol::events::{Resource, UpdateType, write};
use crate::protocol::http::{Method, Response};
use crate::rules::script::{Script, guid};
use crate::trace::{EndCause, Seq};

/// How many findings there are in all, and the first of them.
#[track_caller]
fn found(lab: Lab) -> (u64, String, Vec<Seq>) {
    let judgement = lab.script.finish();
    let first = judgement.findings.first().expect("a finding");
    (judgement.finding_counts.values().sum(), first.expected.clone(), first.evidence.clone())
}

/// A receiver that is down for five minutes.
fn outage(lab: &mut Lab, receiver: u32) {
    lab.closes(receiver).passes(300).opens(receiver);
}

#[test]
fn a_count_of_none_declares_nothing() {
    // It explains no set that comes too soon, and brings nothing that was expected.
    let mut lab = Lab::new();
    lab.set(1, 9, &legs(0..3));
    lab.gets(1, 9, &[after_missing(leg(3), 0), leg(4)]);
    lab.breaks(&["CDR-04"]);
    let mut lab = Lab::new();
    shown(&mut lab);
    lab.gets(1, 9, &[after_missing(example()[0].clone(), 0)]).passes(40);
    lab.breaks(&["REC-24"]);
    // One that has no answer yet may be discarded.
    let mut lab = Lab::new();
    lab.set(1, 9, &legs(0..3));
    outage(&mut lab, 1);
    lab.link(1).gets(1, 9, &[after_missing(leg(8), 8), leg(9)]).passes(60);
    lab.breaks(&[]);
    // Before the first nothing can be missing, whatever is said.
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..2), 503).gets(1, 9, &[after_missing(leg(0), 3), leg(1)]).passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_gap_is_laid_to_what_was_shortly_before_it() {
    // Something failed long before.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs([1]), 503).gets(1, 9, &legs([1])).passes(20);
    lab.gets(1, 9, &legs([2])).passes(20).gets(1, 9, &legs([4])).passes(40);
    lab.breaks(&["CDR-10"]);
    // What failed did not come again, and some after it did not come at all.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs([1, 2]), 503).gets(1, 9, &legs([5, 6])).passes(60);
    lab.breaks(&["CDR-03"]);
    // The same after an outage: all of them may have been discarded, and their number is missing.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs([1, 2]), 503);
    outage(&mut lab, 1);
    lab.gets(1, 9, &legs([5, 6])).passes(60);
    lab.breaks(&["CDR-12"]);
    // The record before it is named, be it the first or not.
    for first in [true, false] {
        let mut lab = Lab::new();
        if !first {
            lab.gets(1, 9, &legs([0]));
        }
        let before = lab.step();
        lab.gets(1, 9, &legs([1]));
        let after = lab.step();
        lab.gets(1, 9, &legs([5])).passes(40);
        let (_, _, evidence) = found(lab);
        assert!(before < evidence[0] && evidence[0] < after, "{evidence:?}");
    }
}

#[test]
fn a_count_says_again_what_an_earlier_one_should_have() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0]));
    outage(&mut lab, 1);
    lab.refuses(1, 9, &legs([2]), 503).gets(1, 9, &[after_missing(leg(5), 4)]).passes(60);
    lab.breaks(&[]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0]));
    outage(&mut lab, 1);
    lab.gets(1, 9, &[after_missing(leg(9), 8)]).passes(60);
    lab.meets("CDR-10");
}

#[test]
fn a_session_begins_with_what_is_left_of_it() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([5])).restarts().gets(1, 10, &legs([0]));
    lab.meets("CDR-08");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([5])).restarts().gets(1, 10, &[after_missing(leg(3), 3)]);
    lab.meets("CDR-08");
    // It begins once, although a set could not be read.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([5])).restarts().gets(1, 10, &legs([0]));
    let set = lab.body(1, b"<records");
    lab.answers(set, 200).gets(1, 10, &legs([4])).passes(60);
    lab.breaks(&["CDR-01"]);
    // Something had failed before the restart, or fails after it.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([5])).refuses(1, 9, &legs([6]), 503).gets(1, 9, &legs([6])).passes(10);
    lab.restarts().gets(1, 10, &legs([1]));
    lab.breaks(&["CDR-08"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([5])).restarts().closes(1).passes(60).opens(1).gets(1, 10, &legs([3])).passes(60);
    lab.breaks(&[]);
}

#[test]
fn one_set_is_charged_once() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..4)).gets(1, 9, &legs(1..5));
    assert_eq!(found(lab).0, 1);
    // What is missing beside a record that came too late is still missing.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0, 4])).gets(1, 9, &legs([2])).passes(60);
    lab.breaks(&["CDR-04", "CDR-10"]);
    let mut lab = Lab::new();
    lab.cuts(1).gets(1, 9, &legs([5, 3]));
    lab.breaks(&["CDR-04"]);
}

#[test]
fn record_index_goes_on_where_it_is_known() {
    // Missing records may well have numbers, also where they are said to be discarded.
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(0), 1), after_missing(numbered(leg(4), 5), 3)]).passes(40);
    lab.breaks(&["CDR-10"]);
    // A receiver that was added again, and a new session: on or anew.
    for first in [1, 4] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &[numbered(leg(0), 1), numbered(leg(1), 2)]);
        lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(60).configures(8, &Lab::uri(1), 200);
        lab.passes(60).gets(1, 9, &[numbered(leg(2), first)]);
        lab.breaks(&[]);
        let mut lab = Lab::new();
        lab.gets(1, 9, &[numbered(leg(0), 1), numbered(leg(1), 2)]).restarts();
        lab.gets(1, 10, &[numbered(leg(0), first)]);
        lab.breaks(&[]);
    }
    // Not one that was acknowledged, nor one beyond the next.
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(0), 1), numbered(leg(1), 2)]).gets(1, 9, &[numbered(leg(2), 2)]);
    assert_eq!(found(lab).1, "recordIndex 3");
    let failed = [numbered(leg(1), 2), numbered(leg(2), 3)];
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(0), 1)]).refuses(1, 9, &failed, 503).gets(1, 9, &[numbered(leg(1), 9)]);
    assert_eq!(found(lab).1, "2 to 4");
}

/// Two receivers that got the same.
fn two() -> Lab {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..2)).gets(2, 9, &legs(0..2));
    lab
}

#[test]
fn what_another_receiver_got_is_waited_for() {
    let mut lab = two();
    lab.gets(1, 9, &legs([2])).passes(30).gets(2, 9, &legs([2])).passes(60);
    lab.breaks(&[]);
    // It comes in part, much later: that is charged once.
    let mut lab = two();
    lab.gets(1, 9, &legs(2..6)).passes(40).gets(2, 9, &legs([4, 5])).passes(60);
    assert_eq!(found(lab).0, 1);
    // It had failed before, but all was over when the record was made.
    let mut lab = two();
    lab.closes(2).opens(2).gets(1, 9, &legs([2])).gets(2, 9, &legs([2])).passes(10);
    lab.gets(1, 9, &legs([3])).passes(70);
    lab.breaks(&["CDR-13"]);
    // It was made while the receiver was emptying its queue.
    let mut lab = two();
    lab.closes(2).gets(1, 9, &legs(2..20)).passes(100).opens(2).gets(2, 9, &legs(2..7)).gets(1, 9, &legs([20]));
    lab.passes(100);
    lab.breaks(&[]);
}

#[test]
fn a_receiver_that_is_added_again_is_owed_what_is_new() {
    let again = |receivers: &[u32]| {
        let mut lab = Lab::new();
        if receivers.len() > 1 {
            lab.receiver(2);
        }
        receivers.iter().for_each(|receiver| _ = lab.gets(*receiver, 9, &legs(0..5)));
        lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).configures(8, &Lab::uri(1), 200);
        // A set of the entry that is gone was still on its way.
        lab.gets(1, 9, &legs([2, 3]));
        lab
    };
    for receivers in [&[1][..], &[1, 2]] {
        let mut lab = again(receivers);
        lab.passes(60);
        lab.breaks(&[]);
    }
    // What was made by then, or before, may have been for the entry that is gone.
    let mut lab = again(&[1, 2]);
    lab.gets(2, 9, &legs([5])).passes(60);
    lab.breaks(&[]);
    let mut lab = two();
    lab.refuses(2, 9, &legs([2]), 503);
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).configures(8, &Lab::uri(1), 200);
    lab.gets(1, 9, &legs([1])).passes(20).gets(2, 9, &legs([2])).passes(60);
    lab.breaks(&[]);
    let mut lab = again(&[1, 2]);
    lab.passes(20).gets(2, 9, &legs([5])).passes(60);
    lab.breaks(&["CDR-13"]);
    let mut lab = again(&[1, 2]);
    lab.passes(20).gets(2, 9, &legs([5])).gets(1, 9, &legs([5])).passes(60);
    lab.breaks(&[]);
}

#[test]
fn what_lived_before_a_restart_ends_with_it() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &outlasted()).restarts().passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_call_bridge_that_was_not_told_to_send_has_a_session_of_its_own() {
    let mut lab = Lab::new();
    lab.opens(2).gets(1, 9, &legs([0])).gets(2, 20, &legs([0])).gets(1, 9, &legs([1])).passes(60);
    lab.breaks(&[]);
    // However many there are, that of ours is known.
    let mut lab = Lab::new();
    lab.opens(2).gets(1, 9, &legs([0]));
    (20..30).for_each(|session| _ = lab.gets(2, session, &legs([0])));
    let other = NewRecord { time: "2026-03-01T10:00:11Z".to_owned(), ..leg(0) };
    lab.gets(1, 9, &[other]);
    lab.breaks(&["CDR-09"]);
}

#[test]
fn after_a_restart_there_is_one_new_session() {
    // None was seen before, and the first came late.
    let mut lab = Lab::new();
    lab.restarts().passes(20).gets(1, 10, &legs([0])).gets(1, 11, &legs([1]));
    lab.breaks(&["CDR-05"]);
    // The old one goes on beside it.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).restarts().gets(1, 10, &legs([0])).link(1).gets(1, 9, &legs([3]));
    lab.breaks(&["CDR-05"]);
    // What was kept may come at any time.
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 500).restarts().gets(1, 10, &legs(0..3)).link(1).gets(1, 9, &legs(0..3)).passes(60);
    lab.breaks(&[]);
    // It restarted by itself, and kept what another receiver had not got.
    let mut lab = two();
    lab.gets(1, 9, &legs(2..6)).refuses(2, 9, &legs(2..4), 500);
    lab.ends(1, EndCause::PeerReset).ends(2, EndCause::PeerReset).passes(3);
    lab.gets(1, 10, &legs([0])).gets(2, 9, &legs(2..4)).gets(2, 9, &legs(4..6)).gets(2, 10, &legs([0])).passes(60);
    lab.breaks(&[]);
    // What fails later excuses nothing.
    let mut lab = two();
    lab.passes(3).ends(1, EndCause::PeerReset).ends(2, EndCause::PeerReset).passes(3);
    lab.gets(1, 10, &legs([0])).refuses(2, 10, &legs([0]), 500).link(2).gets(2, 9, &legs([2]));
    lab.breaks(&["CDR-05"]);
    // One that did not change is charged once, and what is missing in it as well.
    let same = || {
        let mut lab = two();
        lab.refuses(2, 9, &legs([2]), 500).gets(2, 9, &legs([2])).gets(1, 9, &legs([2])).restarts();
        lab.gets(1, 9, &legs([0]));
        lab
    };
    let mut lab = two();
    lab.restarts().gets(1, 9, &legs([0, 1, 4])).gets(2, 9, &legs([0, 1, 4])).passes(60);
    lab.breaks(&["CDR-05", "CDR-10"]);
    let mut lab = same();
    lab.passes(6).gets(1, 9, &legs([1])).passes(60);
    lab.breaks(&["CDR-05", "CDR-13"]);
}

#[test]
fn in_a_cluster_the_call_bridge_is_named() {
    let run = |bridges: [Option<String>; 2], listed: Option<u32>| {
        let mut lab = Lab::idle();
        lab.script = Script::clustered();
        lab.receiver(1);
        if let Some(id) = listed {
            let body = format!("<callBridges total=\"1\"><callBridge id=\"{}\"/></callBridges>", guid(id)).into();
            lab.api(Method::Get, "/api/v1/callBridges", "", &Response { body, ..Response::new(200) });
        }
        for (index, bridge) in (0..).zip(bridges) {
            lab.call_bridge = bridge;
            lab.gets(1, 9, &legs([index]));
        }
        lab
    };
    let ids = |one, other| [Some(guid(one)), Some(guid(other))];
    run(ids(77, 77), None).meets("CDR-06");
    run(ids(77, 77), Some(77)).meets("CDR-06");
    run(ids(77, 77), Some(78)).breaks(&["CDR-06"]);
    run(ids(77, 78), None).breaks(&["CDR-06"]);
    run([Some("x".to_owned()), Some(guid(77))], None).breaks(&["CDR-06"]);
    run([Some(guid(77)), None], None).breaks(&["CDR-06"]);
    // It survives a restart.
    let mut lab = run(ids(77, 77), None);
    lab.call_bridge = Some(guid(78));
    lab.restarts().gets(1, 10, &legs([0]));
    lab.breaks(&["CDR-06"]);
}

#[test]
fn what_events_added_before_the_first_record_is_in_the_session() {
    let mut lab = Lab::new();
    lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["name"])]);
    let entry = write::entry(Resource::Calls, &guid(1), UpdateType::Add, serde_json::Map::new());
    lab.passes(20).script.tells(1, 1, &write::list_update(1, Resource::Calls, 1, vec![entry]));
    lab.gets(1, 9, &legs([0])).passes(60);
    lab.breaks(&["REC-24"]);
}

#[test]
fn participants_may_be_more_than_the_legs_that_surely_count() {
    let run = |participants: u32| {
        let mut records = example();
        let alerting = record(0, CallLegStart, 13, &[("call", &guid(1))]);
        records.splice(3..3, [alerting]);
        let records = in_order(records);
        let mut lab = Lab::new();
        lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
        lab.gets(1, 9, &records[..1]);
        let fields = serde_json::json!({ "participants": participants }).as_object().unwrap().clone();
        let entry = write::entry(Resource::Calls, &guid(1), UpdateType::Add, fields);
        lab.script.tells(1, 1, &write::list_update(1, Resource::Calls, 1, vec![entry]));
        lab.gets(1, 9, &records[1..]);
        lab
    };
    run(3).meets("REC-24");
    run(4).breaks(&["REC-24"]);
}

#[test]
fn after_an_outage_times_of_arrival_tell_no_age() {
    let run = |down: bool| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs([0]));
        if down {
            outage(&mut lab, 1);
        }
        lab.passes(60).gets(1, 9, &[record(1, CallEnd, 1, &[("durationSeconds", "10")])]);
        lab
    };
    run(true).breaks(&[]);
    run(false).breaks(&["REC-03"]);
}

#[test]
fn what_may_be_of_somebody_else_is_left_open() {
    for (head, open) in [("GET", "CDR-01"), ("POST", "CDR-16")] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs([0]));
        lab.head = (head, "/other".to_owned(), "Host: a\r\n");
        let set = lab.link(1).body(1, b"");
        lab.answers(set, 200);
        let judgement = lab.script.finish();
        assert!(judgement.findings.is_empty(), "{:#?}", judgement.findings);
        assert_eq!(judgement.undecided.keys().map(|id| id.as_str()).collect::<Vec<_>>(), [open]);
    }
}

#[test]
fn a_receiver_that_failed_while_another_lost_records_is_named() {
    let mut lab = two();
    let before = lab.step();
    lab.closes(2).gets(1, 9, &legs([3])).opens(2).gets(2, 9, &legs([2, 3])).passes(40);
    let (_, expected, evidence) = found(lab);
    assert!(expected.contains("whatever other receivers do") && evidence.iter().any(|seq| *seq > before));
    assert_eq!(evidence.len(), 3);
}
