//! What records tell of calls, legs, recordings and streams over their lives: what is known, what is not known any more
//! where records are missing, and what adds up.

use std::time::Duration;

use super::records_content::{CORRELATOR, SPACE, at, breaks, example, in_order, meets, with};
use super::sender::{Lab, leg, legs, record};
use crate::protocol::cdr::NewRecord;
use crate::protocol::cdr::RecordType::{
    CallEnd, CallLegEnd, CallLegStart, CallLegUpdate, CallStart, RecordingEnd, RecordingStart,
};
use crate::protocol::events::{Resource, UpdateType, write};
use crate::protocol::http::{Headers, Method, Response};
use crate::rules::script::guid;
use crate::time::Instant;
use crate::trace::Event;

/// The example with other records in front of the one with that index.
fn and(index: usize, mut records: Vec<NewRecord>, others: &[NewRecord]) -> Vec<NewRecord> {
    records.splice(index..index, others.iter().cloned());
    in_order(records)
}

/// An update of a leg.
fn update(leg: u32, fields: &[(&str, &str)]) -> NewRecord {
    record(0, CallLegUpdate, leg, fields)
}

/// The end of a leg of the example's call.
fn end(leg: u32) -> NewRecord {
    record(0, CallLegEnd, leg, &[("reason", "callEnded")])
}

/// Records, an outage that costs three of them, and others.
fn around_a_gap(before: &[NewRecord], after: Vec<NewRecord>) -> Lab {
    let mut lab = Lab::new();
    lab.gets(1, 9, before).closes(1).passes(300).opens(1);
    let mut after = in_order(after);
    after.iter_mut().zip(before.len() as u64 + 3..).for_each(|(record, at)| record.correlator_index = Some(at));
    after[0].missing = Some(("numPrecedingRecordsMissing", 3));
    lab.gets(1, 9, &after);
    lab
}

/// The example until its call ends, with a leg in it that has not ended.
pub(super) fn outlasted() -> Vec<NewRecord> {
    let mut records = example();
    records.remove(6);
    records[6].content.children.retain(|child| child.name == "durationSeconds");
    in_order(records)
}

#[test]
fn a_leg_starts_once() {
    let start = example()[0].clone();
    breaks(and(1, example(), std::slice::from_ref(&start)), &["REC-04"]);
    breaks(and(8, example(), &[start]), &["REC-04"]);
    // Whatever else has ended since.
    breaks(and(8, example(), &[example()[6].clone()]), &["REC-04"]);
    // It lasted shorter than the receiver has been there.
    breaks(vec![leg(0), record(1, CallLegEnd, 5, &[("reason", "callEnded"), ("durationSeconds", "9")])], &["REC-04"]);
    // Both are named.
    let mut lab = Lab::new();
    lab.gets(1, 9, &example()[..1]).gets(1, 9, &example()[1..4]);
    let (seen, mut again) = (lab.step(), example()[3].clone());
    again.correlator_index = Some(4);
    lab.gets(1, 9, &[again]);
    let finding = lab.script.finish().findings.remove(0);
    assert!(finding.evidence.first().is_some_and(|first| *first < seen) && finding.evidence.len() == 2);
}

#[test]
fn a_co_space_that_is_gone_takes_its_correlator_along() {
    let run = |removed: bool| {
        let mut lab = Lab::new();
        let path = format!("/api/v1/coSpaces/{}", guid(SPACE));
        let made = || Response { headers: Headers::new().with("Location", path.clone()), ..Response::new(200) };
        let call = |index: u64, call: u32, correlator: u32| {
            let fields = [("callType", "coSpace"), ("coSpace", &*guid(SPACE)), ("callCorrelator", &*guid(correlator))];
            record(index, CallStart, call, &fields)
        };
        lab.api(Method::Post, "/api/v1/coSpaces", "name=x", &made());
        lab.gets(1, 9, &[call(0, 1, CORRELATOR)]);
        if removed {
            lab.api(Method::Delete, &path, "", &Response::new(200));
            lab.api(Method::Post, "/api/v1/coSpaces", "name=x", &made());
        }
        lab.gets(1, 9, &[call(1, 2, 61)]);
        lab
    };
    run(true).breaks(&[]);
    run(false).breaks(&["REC-11"]);
}

#[test]
fn a_record_of_a_later_release_hides_nothing() {
    let mut unknown = leg(0);
    unknown.kind = "callPause".to_owned();
    breaks(and(3, with(7, "callLegsCompleted", Some("1")), &[unknown]), &["REC-01", "REC-06"]);
}

#[test]
fn what_was_told_before_a_gap_counts_no_more() {
    // Neither the leg that was in the call, nor the one that may be.
    let before = [at(record(0, CallLegStart, 11, &[("call", &guid(1))]), 5), record(1, CallLegStart, 14, &[])];
    let after = |completed: &str| {
        let end = [("callLegsCompleted", completed), ("durationSeconds", "0")];
        vec![record(0, CallStart, 1, &[]), record(0, CallEnd, 1, &end)]
    };
    around_a_gap(&before, after("0")).breaks(&[]);
    around_a_gap(&before, after("1")).breaks(&["REC-06"]);
    // The leg may have moved on before it ended.
    around_a_gap(&outlasted(), vec![end(11)]).breaks(&[]);
    let mut lab = around_a_gap(&outlasted(), vec![update(11, &[("state", "connected")])]);
    lab.passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_call_that_was_started_before_the_receiver_was_there_may_end() {
    let run = |before: bool| {
        let mut lab = Lab::idle();
        if before {
            lab.script.starts_call(1, "name=x");
            lab.receiver(1);
        } else {
            lab.receiver(1);
            lab.script.starts_call(1, "name=x");
        }
        lab.gets(1, 9, &[leg(0), record(1, CallEnd, 1, &[("durationSeconds", "10")])]);
        lab
    };
    run(true).breaks(&[]);
    run(false).breaks(&["REC-03"]);
}

#[test]
fn a_call_that_is_named_before_its_start_is_not_counted() {
    let early = |from: u64| {
        let mut records = example();
        records.swap(1, 2);
        let mut records = in_order(records);
        records.iter_mut().zip(from..).for_each(|(record, at)| record.correlator_index = Some(at));
        records
    };
    for from in [0, 5] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &early(from));
        lab.breaks(&[]);
    }
    // However many there are.
    let calls = 1000..1600;
    let each = |record: &dyn Fn(u32) -> NewRecord| calls.clone().map(record).collect::<Vec<_>>();
    meets(early(0).into_iter().take(3).collect(), &["REC-14"]);
    let mut lab = Lab::new();
    let records = [
        each(&|call| record(0, CallLegStart, call + 2000, &[("call", &guid(call))])),
        each(&|call| record(0, CallStart, call, &[])),
        each(&|call| update(call + 2000, &[("state", "connected"), ("call", &guid(call))])),
        each(&|call| end(call + 2000)),
        each(&|call| record(0, CallEnd, call, &[("callLegsCompleted", "1"), ("callLegsMaxActive", "1")])),
    ];
    lab.gets(1, 9, &in_order(records.concat()));
    lab.breaks(&[]);
}

#[test]
fn what_nothing_has_assigned_to_a_call_may_be_in_it() {
    let stray = record(0, CallLegStart, 14, &[]);
    let active = |count: &str, others: &[NewRecord]| and(3, with(7, "callLegsMaxActive", Some(count)), others);
    let again = update(11, &[("state", "connected"), ("call", &guid(1))]);
    breaks(active("3", &[stray.clone(), again.clone()]), &[]);
    breaks(active("5", &[stray.clone(), again]), &["REC-07"]);
    // What ended before the call started is none of it, nor what is in the IVR.
    let completed = |index: usize, others: &[NewRecord]| and(index, with(7, "callLegsCompleted", Some("3")), others);
    breaks(completed(1, &[stray.clone(), end(14)]), &["REC-06"]);
    breaks(completed(3, &[stray.clone(), end(14)]), &[]);
    breaks(completed(3, &[stray.clone(), update(14, &[("ivr", "")]), end(14)]), &["REC-06"]);
    breaks(completed(3, &[stray, update(14, &[("ivr", "")])]), &["REC-06"]);
}

#[test]
fn a_leg_lasts_from_its_start_or_from_its_connection() {
    let run = |seconds: &str, end: u32| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &[at(record(0, CallLegStart, 11, &[]), 10)]).passes(5);
        lab.gets(1, 9, &[at(record(1, CallLegUpdate, 11, &[("state", "connected")]), 15)]).passes(25);
        let fields = [("reason", "callEnded"), ("durationSeconds", seconds)];
        lab.gets(1, 9, &[at(record(2, CallLegEnd, 11, &fields), end)]);
        lab
    };
    for seconds in ["23", "25", "30", "32"] {
        run(seconds, 40).meets("REC-08");
    }
    for seconds in ["10", "22", "33"] {
        run(seconds, 40).breaks(&["REC-08"]);
    }
    // The clock was set meanwhile: then it may have counted on.
    for seconds in ["25", "30", "44", "49"] {
        run(seconds, 59).meets("REC-08");
    }
    for seconds in ["10", "38", "55"] {
        run(seconds, 59).breaks(&["REC-08"]);
    }
}

#[test]
fn a_leg_that_is_not_connected_or_deactivated_may_be_active_or_not() {
    let active = |count: &str, others: &[NewRecord]| and(3, with(7, "callLegsMaxActive", Some(count)), others);
    let deactivated = |word: &str| update(11, &[("deactivated", word)]);
    breaks(active("1", &[deactivated("true")]), &[]);
    breaks(active("1", &[deactivated("true"), deactivated("false")]), &["REC-07"]);
    let alerting =
        |count: &str| and(8, active(count, &[record(0, CallLegStart, 13, &[("call", &guid(1))])]), &[end(13)]);
    for count in ["2", "3"] {
        breaks(alerting(count), &[]);
    }
    breaks(alerting("1"), &["REC-07"]);
}

#[test]
fn a_leg_that_moves_on_is_in_its_call_no_more() {
    // To the IVR, or to another call, before its call ends and right after.
    let other = || record(0, CallStart, 2, &[]);
    let away = [vec![update(11, &[("ivr", "")])], vec![other(), update(11, &[("call", &guid(2))])]];
    for moves in &away {
        let mut records = with(7, "callLegsCompleted", Some("1"));
        records.swap(6, 7);
        breaks(and(6, records.clone(), moves), &[]);
        breaks(and(7, records.clone(), moves), &[]);
    }
    breaks(outlasted().into_iter().chain([record(7, CallLegEnd, 11, &[])]).collect(), &["REC-09"]);
}

#[test]
fn a_leg_that_outlasts_its_call_is_waited_for() {
    let run = || {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1));
        let mut records = outlasted();
        records.iter_mut().zip(1..).for_each(|(record, at)| record.correlator_index = Some(at));
        lab.gets(1, 9, &records).gets(2, 9, &records);
        lab
    };
    let mut lab = run();
    assert!(lab.script.due().is_some_and(|due| due > Instant::from_millis(30_000)));
    lab.passes(40);
    lab.breaks(&["REC-09"]);
    // The harness was late, or a receiver holds up what is to come.
    let mut lab = run();
    lab.script.observe(Event::HarnessLate { by: Duration::from_secs(20) });
    lab.passes(40);
    lab.breaks(&[]);
    let mut lab = run();
    lab.closes(2).passes(40).opens(2).passes(20);
    lab.breaks(&[]);
}

#[test]
fn the_start_of_a_call_that_was_named_is_waited_for() {
    let run = || {
        let mut records = example();
        records.remove(1);
        records.truncate(5);
        let records = in_order(records);
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &[leg(0)]).gets(2, 9, &[leg(0)]).restarts();
        lab.gets(1, 10, &records).gets(2, 10, &records);
        lab
    };
    let mut lab = run();
    assert!(lab.script.due().is_some_and(|due| due > Instant::from_millis(30_000)));
    lab.passes(40).passes(40);
    let judgement = lab.script.finish();
    assert_eq!(judgement.finding_counts.values().copied().collect::<Vec<_>>(), [1], "{:#?}", judgement.findings);
    let mut lab = run();
    lab.script.observe(Event::HarnessLate { by: Duration::from_secs(20) });
    lab.passes(40);
    lab.breaks(&[]);
    let mut lab = run();
    lab.closes(2).passes(40).opens(2).passes(20);
    lab.breaks(&[]);
}

#[test]
fn what_changes_once_is_charged_once() {
    let told = |name: &str, values: [&str; 4]| {
        let mut records = vec![record(0, CallLegStart, 11, &[(name, values[0])])];
        records.extend(values[1..].iter().map(|value| update(11, &[(name, value)])));
        let mut lab = Lab::new();
        lab.gets(1, 9, &in_order(records));
        let judgement = lab.script.finish();
        judgement.finding_counts.values().sum::<u64>()
    };
    assert_eq!(told("sipCallId", ["a", "b", "b", "b"]), 1);
    assert_eq!(told("sipCallId", ["a", "b", "b", "a"]), 2);
    assert_eq!(told("confirmationStatus", ["confirmed", "required", "required", "required"]), 1);
    assert_eq!(told("confirmationStatus", ["confirmed", "required", "confirmed", "required"]), 2);
}

#[test]
fn a_recording_may_be_older_than_the_receiver() {
    let names = [("call", &*guid(1)), ("callLeg", &*guid(13))];
    let leg = record(0, CallLegStart, 13, &[("recording", "true"), ("call", &guid(1))]);
    let start = |id: u32| record(0, RecordingStart, id, &names);
    let ends = |id: u32| record(0, RecordingEnd, id, &[]);
    let after = |others: &[NewRecord]| and(3, example().into_iter().take(3).collect(), others);
    // One starts twice; one ends that nothing else was told of, once and twice.
    breaks(after(&[leg.clone(), start(70), start(70)]), &["REC-05"]);
    breaks(after(&[ends(71)]), &[]);
    breaks(after(&[leg.clone(), start(70), ends(71)]), &[]);
    breaks(after(&[ends(71), ends(71)]), &["REC-05"]);
    breaks(after(&[leg.clone(), ends(71)]), &["REC-05"]);
    // It names a call that has ended.
    breaks(and(8, example(), &[record(0, CallLegStart, 13, &[("recording", "true")]), start(70)]), &["REC-03"]);
    meets(after(&[leg, start(70), ends(70)]), &["REC-05"]);
}

#[test]
fn calls_are_known_however_many_there_are() {
    let mut lab = Lab::new();
    lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["name"])]);
    lab.passes(10);
    let mut records = vec![record(0, CallStart, 1, &[]), record(0, CallStart, 2, &[]), record(0, CallEnd, 2, &[])];
    records.extend((1000..5200).map(|call| record(0, CallStart, call, &[])));
    lab.gets(1, 9, &in_order(records));
    for (id, call) in [(1, 1), (2, 2)] {
        let entry = write::entry(Resource::Calls, &guid(call), UpdateType::Add, serde_json::Map::new());
        lab.script.tells(1, id, &write::list_update(id, Resource::Calls, 1, vec![entry]));
    }
    lab.passes(60);
    lab.breaks(&[]);
}

#[test]
fn what_ended_is_in_doubt_where_a_record_is() {
    let mut lab = Lab::new();
    let mut others = example();
    others[7] = record(7, CallEnd, 2, &[]);
    lab.receiver(2).gets(1, 9, &example()).gets(2, 9, &others);
    lab.gets(1, 9, &[record(8, CallStart, 1, &[])]);
    lab.breaks(&["CDR-09"]);
}

#[test]
fn a_call_has_the_tag_of_when_it_was_asked_for() {
    let run = |first: bool, tag: &str| {
        let mut lab = Lab::new();
        let path = format!("/api/v1/coSpaces/{}", guid(SPACE));
        let headers = Headers::new().with("Location", path.clone());
        lab.api(Method::Post, "/api/v1/coSpaces", "cdrTag=a", &Response { headers, ..Response::new(200) });
        if first {
            lab.script.starts_call(1, &format!("coSpace={}", guid(SPACE)));
        }
        lab.passes(1).api(Method::Put, &path, "cdrTag=b", &Response::new(200)).passes(1);
        if !first {
            lab.script.starts_call(1, &format!("coSpace={}", guid(SPACE)));
        }
        lab.gets(1, 9, &with(1, "cdrTag", Some(tag))[..3]);
        lab
    };
    run(false, "b").meets("REC-12");
    run(false, "a").breaks(&["REC-12"]);
    run(true, "a").meets("REC-12");
    run(true, "b").meets("REC-12");
    run(true, "c").breaks(&["REC-12"]);
}
