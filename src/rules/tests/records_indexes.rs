//! Indexes of records: what they begin with, gaps, what was discarded, and what each receiver gets of them.

use super::sender::{Lab, after_missing, leg, legs, numbered};
use crate::protocol::cdr::NewRecord;
use crate::protocol::cdr::names::MISSING;
use crate::protocol::http::{Method, Response};

#[test]
fn the_first_record_after_a_restart_has_index_0() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(5..7)).restarts().gets(1, 10, &legs(0..3));
    lab.meets("CDR-08");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(5..7)).restarts().gets(1, 10, &legs(1..3));
    lab.breaks(&["CDR-08"]);
    // Nothing was seen before, and what was kept then may come at once.
    let mut lab = Lab::new();
    lab.restarts().passes(6).gets(1, 10, &legs([7]));
    lab.breaks(&["CDR-08"]);
    let mut lab = Lab::new();
    lab.restarts().gets(1, 10, &legs([7])).passes(60).gets(1, 11, &legs([0]));
    lab.breaks(&[]);
    let mut lab = Lab::new();
    lab.restarts().gets(1, 10, &legs([7])).passes(60).gets(1, 10, &legs([8]));
    lab.breaks(&["CDR-08"]);
    // A receiver that was configured later may start higher.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).restarts().gets(1, 10, &legs(0..3)).receiver(2).gets(2, 10, &legs(3..4));
    lab.gets(1, 10, &legs(3..4));
    lab.meets("CDR-08");
    for index in [None, Some(0)] {
        let mut lab = Lab::new();
        let mut again = leg(0);
        again.correlator_index = index;
        lab.gets(1, 9, &[leg(0), again]);
        lab.breaks(&["CDR-08"]);
    }
}

#[test]
fn without_an_outage_there_is_no_gap() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(4..7)).gets(1, 9, &legs(7..9));
    lab.meets("CDR-10");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0, 1, 3])).passes(31);
    lab.breaks(&["CDR-10"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &[leg(0), after_missing(leg(2), 1)]).passes(31);
    lab.breaks(&["CDR-10"]);
    // An outage is over when what was made after it follows on what was made before.
    let stamped = |index: u64, second: u64| NewRecord {
        time: format!("2026-03-01T10:{:02}:{:02}Z", second / 60, second % 60),
        ..leg(index)
    };
    let outage = |seconds: &[u64]| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &[stamped(0, 0)]).closes(1).passes(300).opens(1).gets(1, 9, &[stamped(1, 10)]);
        for (index, second) in seconds.iter().enumerate() {
            lab.passes(50).gets(1, 9, &[stamped(2 + index as u64, *second)]);
        }
        lab.passes(50).gets(1, 9, &[after_missing(stamped(9, 500), 7 - seconds.len() as u64)]).passes(60);
        lab
    };
    outage(&[350, 400]).breaks(&["CDR-10"]);
    // These waited in a queue that is emptied slowly.
    outage(&[11, 12]).meets("CDR-12");
    outage(&[]).meets("CDR-12");
}

#[test]
fn discarded_records_are_declared() {
    for spelling in MISSING {
        let mut lab = Lab::new();
        let declared = NewRecord { missing: Some((spelling, 7)), ..leg(8) };
        lab.gets(1, 9, &legs([0])).loses(1, 9, &legs([1])).closes(1).passes(300).opens(1);
        lab.gets(1, 9, &[declared, leg(9)]).passes(60);
        lab.meets("CDR-12");
    }
    // What is said once is said again, as long as it was not acknowledged.
    let outage = || {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs([0])).closes(1).passes(300).opens(1).refuses(1, 9, &[after_missing(leg(9), 8)], 503);
        lab
    };
    let mut lab = outage();
    lab.gets(1, 9, &[after_missing(leg(9), 8)]).gets(1, 9, &legs([10])).passes(60);
    lab.meets("CDR-12");
    let mut lab = outage();
    lab.gets(1, 9, &[leg(9)]).passes(60);
    lab.breaks(&["CDR-12"]);
    for (count, broken) in [(Some(6), "CDR-12"), (Some(9), "CDR-12"), (None, "CDR-12")] {
        let mut lab = Lab::new();
        let declared = NewRecord { missing: count.map(|count| (MISSING[0], count)), ..leg(8) };
        lab.gets(1, 9, &legs([0])).closes(1).passes(300).opens(1).gets(1, 9, &[declared, leg(9)]).passes(60);
        lab.breaks(&[broken]);
    }
    // One fault is charged once.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs([1]), 503).gets(1, 9, &[after_missing(leg(9), 3)]).passes(60);
    lab.breaks(&["CDR-12"]);
    // The newest are discarded, so that the gap shows long after.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).closes(1).passes(300).opens(1).gets(1, 9, &legs(1..5)).passes(100);
    lab.gets(1, 9, &[after_missing(leg(9), 4)]).passes(60);
    lab.meets("CDR-12");
}

#[test]
fn record_index_has_no_gap() {
    let set =
        |from: u64, to: u64, by: u64| -> Vec<NewRecord> { (from..to).map(|at| numbered(leg(at), at + by)).collect() };
    let mut lab = Lab::new();
    lab.gets(1, 9, &set(0, 3, 1)).refuses(1, 9, &set(3, 5, 1), 500).gets(1, 9, &set(3, 4, 1)).gets(1, 9, &set(4, 8, 1));
    lab.meets("CDR-11");
    // Numbered anew when sent again.
    let mut lab = Lab::new();
    lab.gets(1, 9, &set(0, 3, 1)).refuses(1, 9, &set(3, 5, 1), 500).gets(1, 9, &set(3, 5, 3)).gets(1, 9, &set(5, 6, 3));
    lab.meets("CDR-11");
    let mut lab = Lab::new();
    lab.gets(1, 9, &set(0, 3, 2));
    lab.breaks(&["CDR-11"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &set(0, 3, 1)).gets(1, 9, &set(3, 5, 2));
    lab.breaks(&["CDR-11"]);
    // Not even where records were discarded.
    let mut lab = Lab::new();
    lab.gets(1, 9, &set(0, 3, 1)).closes(1).passes(200).opens(1);
    lab.gets(1, 9, &[after_missing(numbered(leg(6), 7), 3)]);
    lab.breaks(&["CDR-11"]);
}

#[test]
fn each_receiver_gets_every_record() {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs(0..3));
    lab.meets("CDR-13");
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs(0..2));
    assert!(lab.script.due().is_some());
    lab.passes(36);
    lab.breaks(&["CDR-13"]);
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs([0, 2])).passes(36);
    lab.breaks(&["CDR-13"]);
    // One that was configured later.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).receiver(2).gets(1, 9, &legs(3..4)).gets(2, 9, &legs(3..4)).passes(36);
    lab.meets("CDR-13");
}

#[test]
fn a_receiver_gets_records_from_when_it_was_configured() {
    let two = || {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..3)).passes(6).gets(1, 9, &legs(3..5));
        lab
    };
    // It gets nothing.
    let mut lab = two();
    assert!(lab.script.due().is_some());
    lab.passes(36);
    lab.breaks(&["CDR-13"]);
    // It starts late.
    let mut lab = two();
    lab.gets(2, 9, &legs([4])).passes(36);
    lab.breaks(&["CDR-13"]);
    // What was made before may be missing.
    let mut lab = two();
    lab.gets(2, 9, &legs([3, 4])).passes(36);
    lab.breaks(&[]);
    // So may what the other one got at once: it may have waited.
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).passes(60);
    lab.breaks(&[]);
    // One that began to listen when it was configured already may be waited for.
    let mut lab = Lab::new();
    lab.configures(2, &Lab::uri(2), 200).passes(60).opens(2).passes(6).gets(1, 9, &legs(0..3)).passes(60);
    lab.breaks(&[]);
    // One whose entry is gone gets nothing.
    let mut lab = two();
    lab.api(Method::Delete, &Lab::entry(2), "", &Response::new(200)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn the_newest_records_of_an_outage_may_be_lost_without_a_word() {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs(0..3)).closes(2);
    lab.gets(1, 9, &legs(3..20)).passes(100).opens(2).gets(2, 9, &legs(3..8)).passes(100);
    lab.breaks(&[]);
    // But not all of them.
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs(0..3)).closes(2);
    lab.gets(1, 9, &legs(3..20)).passes(100).opens(2).passes(310);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn what_had_to_come_again_may_be_discarded() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs(1..6), 503).passes(20);
    lab.gets(1, 9, &[after_missing(leg(3), 2), leg(4), leg(5), leg(6)]).passes(100);
    lab.breaks(&[]);
}
