//! What a receiver is owed after trouble, after a removal, and where others have got it.

use super::sender::{Lab, after_missing, leg, legs};
use crate::protocol::cdr::NewRecord;
use crate::protocol::http::{Method, Response};
use crate::rules::script::{Script, guid};

/// How many findings there are in all.
fn count(lab: Lab) -> u64 {
    lab.script.finish().finding_counts.values().sum()
}

/// A record that was made in that second of the trace.
fn stamped(index: u64, second: u64) -> NewRecord {
    NewRecord { time: format!("2026-03-01T10:{:02}:{:02}Z", second / 60, second % 60), ..leg(index) }
}

/// A receiver that was down for five minutes, and then got what had waited.
fn after_an_outage() -> Lab {
    let mut lab = Lab::new();
    lab.gets(1, 9, &[stamped(0, 0)]).closes(1).passes(300).opens(1).gets(1, 9, &[stamped(1, 10)]);
    lab
}

/// A receiver and one more, which both were told of long ago.
fn two() -> Lab {
    let mut lab = Lab::new();
    lab.receiver(2).passes(6);
    lab
}

/// Removes the entry of a receiver.
fn removes(lab: &mut Lab, receiver: u32) {
    lab.api(Method::Delete, &Lab::entry(receiver), "", &Response::new(200));
}

#[test]
fn an_outage_is_over_no_sooner_than_it_must_be() {
    let mut lab = after_an_outage();
    lab.passes(35).gets(1, 9, &[stamped(2, 335)]).gets(1, 9, &[after_missing(stamped(9, 335), 6)]).passes(60);
    lab.meets("CDR-12");
    // Nor where something is missing.
    let mut lab = after_an_outage();
    lab.passes(50).gets(1, 9, &[stamped(5, 350)]).passes(50).gets(1, 9, &[after_missing(stamped(9, 400), 3)]);
    lab.passes(60);
    assert_eq!(count(lab), 1);
}

#[test]
fn a_count_of_discarded_records_is_kept() {
    let mut lab = Lab::new();
    lab.refuses(1, 9, &[after_missing(leg(5), 5)], 503).refuses(1, 9, &legs([5]), 503).gets(1, 9, &legs([5]));
    assert_eq!(count(lab), 1);
    // A gap that was charged is charged no more when something of it comes after all.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0, 3])).passes(40).gets(1, 9, &legs([1])).passes(60);
    lab.breaks(&["CDR-10"]);
}

#[test]
fn what_others_got_tells_only_where_it_must_be_new() {
    // It was kept for a receiver that has been removed since.
    let mut lab = Lab::idle();
    lab.receiver(2).gets(2, 9, &legs([0])).receiver(1).passes(6);
    removes(&mut lab, 2);
    lab.gets(2, 9, &legs([1])).passes(60);
    lab.breaks(&[]);
    // In a cluster each has its own.
    let mut lab = Lab::idle();
    lab.script = Script::clustered();
    lab.call_bridge = Some(guid(77));
    lab.receiver(1).receiver(2).gets(1, 9, &legs([0])).passes(6).gets(1, 9, &legs([1])).passes(60);
    lab.breaks(&[]);
    // Who was removed is owed nothing.
    let mut lab = two();
    removes(&mut lab, 2);
    lab.gets(1, 9, &legs(0..3)).passes(60);
    lab.breaks(&[]);
    // Nor is anything overdue where it took no connections before, and may be tried again later.
    let mut lab = two();
    lab.closes(2).opens(2).gets(1, 9, &legs(0..3)).passes(6).gets(1, 9, &legs(3..5)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_receiver_without_records_is_found_however_many_others_get() {
    let mut lab = two();
    lab.gets(1, 9, &legs([0]));
    for index in 1..4 {
        lab.passes(20).gets(1, 9, &legs([index]));
    }
    lab.breaks(&["CDR-13"]);
    let mut lab = two();
    lab.gets(1, 9, &legs([0])).passes(40).passes(40);
    assert_eq!(count(lab), 1);
    // It had failed in the session before, and begins late.
    let mut lab = two();
    lab.gets(1, 9, &legs([0])).refuses(2, 9, &legs([0]), 503).gets(2, 9, &legs([0])).restarts();
    lab.gets(1, 10, &legs(0..2)).passes(6).gets(1, 10, &legs(2..4)).gets(2, 10, &legs([3])).passes(60);
    lab.breaks(&["CDR-08", "CDR-13"]);
}

#[test]
fn whether_another_receiver_fails_decides_what_is_broken() {
    let run = |before: bool| {
        let mut lab = two();
        lab.receiver(3).passes(6);
        if before {
            (1..=3).for_each(|receiver| _ = lab.gets(receiver, 9, &legs([0])));
            lab.restarts();
        }
        lab.gets(1, 10, &legs([0])).gets(3, 10, &legs([0])).passes(6).closes(3);
        lab.gets(1, 10, &legs([1])).passes(70);
        let judgement = lab.script.finish();
        let finding = judgement.findings.first().expect("a finding");
        (finding.requirement.as_str().to_owned(), finding.evidence.len())
    };
    // A receiver that never got anything says nothing of the one that fails.
    assert_eq!(run(false), ("CDR-13".to_owned(), 2));
    assert_eq!(run(true), ("CDR-19".to_owned(), 3));
    // The receiver's own failure is not another one's.
    let mut lab = two();
    lab.gets(1, 9, &legs(0..2)).gets(2, 9, &legs(0..2)).refuses(1, 9, &legs([2]), 503).passes(3);
    lab.gets(1, 9, &legs([3])).passes(3).gets(1, 9, &legs([5])).gets(2, 9, &legs(2..6)).passes(60);
    lab.breaks(&["CDR-13"]);
}

#[test]
fn what_was_kept_may_come_for_a_while() {
    // It restarted by itself, and what it had kept went out first.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).loses(1, 9, &legs([1])).passes(20);
    lab.gets(1, 9, &legs([1])).passes(30).gets(1, 10, &legs([0])).passes(60);
    lab.breaks(&[]);
    // Nothing was seen before the restart, but something had failed; or fails after it.
    let mut lab = Lab::new();
    lab.cuts(1).restarts().passes(6).gets(1, 10, &legs([7])).passes(60);
    lab.breaks(&[]);
    let mut lab = Lab::new();
    lab.restarts().closes(1).passes(60).opens(1).gets(1, 10, &legs([3])).passes(60);
    lab.breaks(&[]);
    let mut lab = Lab::new();
    lab.restarts().passes(6).gets(1, 10, &legs([0]));
    lab.meets("CDR-08");
    // The receiver is removed, and its connection was there before.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0]));
    removes(&mut lab, 1);
    lab.passes(30).gets(1, 9, &legs([1]));
    lab.breaks(&[]);
}

#[test]
fn a_receiver_that_stands_alone_may_be_in_the_list_twice() {
    let mut lab = Lab::idle();
    lab.opens(1).link(1);
    for path in ["/a", "/b"] {
        lab.head.1 = path.to_owned();
        lab.gets(1, 9, &legs(0..3));
    }
    lab.breaks(&[]);
}
