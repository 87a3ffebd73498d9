//! The same records on several connections, at several receivers, or at one that is off: what that tells, and what not.

use super::records_channels::{added, shown, started};
use super::records_content::example;
use super::records_ledger::made;
use super::sender::{Lab, leg, legs, numbered};
use crate::protocol::api::xml::Element;
use crate::protocol::cdr::NewRecord;
use crate::protocol::http::Method;
use crate::rules::script::guid;
use crate::trace::{EndCause, Event, ReceiverId};

/// A receiver that stands alone, or one that is configured over the API.
fn one(alone: bool) -> Lab {
    let mut lab = if alone { Lab::idle() } else { Lab::new() };
    if alone {
        lab.opens(1);
    }
    lab.link(1);
    lab
}

/// Ends the trace. Whether the list may name the receiver twice.
fn may_be_twice(lab: Lab) -> bool {
    lab.script.finish().undecided.keys().any(|id| id.as_str() == "CDR-02")
}

#[test]
fn the_same_records_at_once_on_another_connection_are_those_of_another_entry() {
    // The first set has no answer yet when the second one comes.
    let run = |alone: bool, seconds: u64, first: u64| {
        let mut lab = one(alone);
        lab.gets(1, 9, &legs(0..1)).set(1, 9, &legs(1..3));
        lab.passes(seconds).link(1).gets(1, 9, &legs(first..first + 2));
        may_be_twice(lab)
    };
    assert!(run(true, 0, 1));
    // One that comes later may be sent again for want of an answer, and other records are no repetition.
    assert!(!run(true, 2, 1));
    assert!(!run(true, 0, 3));
    // Where the API tells what is configured, nothing is guessed.
    assert!(!run(false, 0, 1));
    // Numbers that go on are of the same entry.
    let many = |from: u64, to: u64, number: u64| -> Vec<NewRecord> {
        legs(from..to).into_iter().zip(number..).map(|(record, number)| numbered(record, number)).collect()
    };
    for (number, twice) in [(1, true), (3, false)] {
        let mut lab = one(true);
        lab.gets(1, 9, &many(0, 2, 1)).link(1).gets(1, 9, &many(2, 4, number));
        assert_eq!(may_be_twice(lab), twice);
    }
}

#[test]
fn a_receiver_that_takes_no_connections_is_served_over_those_that_are_open() {
    let run = |linked: bool, off: bool| {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1));
        if off {
            lab.deletes(2, 200);
        }
        lab.closes(2);
        if !linked {
            lab.ends(2, EndCause::Closed);
        }
        lab.gets(1, 9, &legs(1..2));
        lab.script.times_tested("CDR-19")
    };
    assert_eq!(run(false, false), 1);
    assert_eq!(run(true, false), 0);
    // One that is off tests nothing.
    assert_eq!(run(false, true), 0);
}

#[test]
fn a_set_that_has_just_come_holds_up_nobody() {
    let run = |seconds: u64| {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1));
        lab.set(2, 9, &legs(1..2));
        lab.passes(seconds).gets(1, 9, &legs(1..2));
        lab.script.times_tested("CDR-19")
    };
    assert_eq!((run(0), run(2)), (0, 1));
}

#[test]
fn a_call_that_was_asked_for_after_the_removal_has_no_start_there() {
    let run = |asked_first: bool, answered_first: bool| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &example()[..1]);
        if asked_first {
            lab.sends(900, Method::Post, "/api/v1/calls", "");
        }
        lab.deletes(1, 200).passes(1);
        if !asked_first {
            lab.sends(900, Method::Post, "/api/v1/calls", "");
        }
        let answer = made(200, &format!("/api/v1/calls/{}", guid(1)));
        if answered_first {
            lab.receives(900, &answer).gets(1, 9, &example()[1..2]);
        } else {
            lab.gets(1, 9, &example()[1..2]).receives(900, &answer);
        }
        lab
    };
    for answered_first in [true, false] {
        run(false, answered_first).breaks(&["CDR-15"]);
        run(true, answered_first).breaks(&[]);
    }
}

#[test]
fn a_call_that_was_there_before_is_not_started_by_asking_for_it() {
    let mut lab = Lab::idle();
    lab.opens(1);
    lab.script.open(1).subscribed(1, 1, &[(1, crate::protocol::events::Resource::Calls, None, &["participants"])]);
    added(&mut lab);
    lab.receiver(1).passes(10);
    started(&mut lab);
    lab.gets(1, 9, &example()[3..5]).passes(60);
    lab.breaks(&[]);
}

#[test]
fn nothing_is_charged_of_a_receiver_that_is_about_to_be_removed() {
    // It lacks what another one got.
    let run = |removed: bool| {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1)).passes(10).gets(1, 9, &legs(1..2));
        if removed {
            lab.sends(900, Method::Delete, &Lab::entry(2), "");
        }
        lab.passes(60);
        lab
    };
    run(false).breaks(&["CDR-13"]);
    run(true).breaks(&[]);
    // Something else in the trace lets expect a record.
    let run = |removed: bool| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1));
        shown(&mut lab);
        if removed {
            lab.sends(900, Method::Delete, &Lab::entry(1), "");
        }
        lab.passes(60);
        lab
    };
    run(false).breaks(&["REC-24"]);
    run(true).breaks(&[]);
}

#[test]
fn trouble_that_is_over_may_still_have_held_up_another_receiver() {
    let run = |seconds: u64| {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..2)).gets(2, 9, &legs(0..2));
        lab.refuses(2, 9, &legs(2..3), 503).gets(2, 9, &legs(2..3)).passes(seconds).gets(2, 9, &legs(3..4)).passes(60);
        lab
    };
    run(1).breaks(&["CDR-19"]);
}

#[test]
fn a_certificate_was_trusted_where_a_connection_came_about() {
    let run = |connects: bool| {
        let mut lab = Lab::idle();
        let (receiver, uri) = (ReceiverId(1), "https://127.0.0.1:7001/cdr");
        lab.script.observe(Event::ReceiverOpened { receiver, name: "r", uri });
        lab.configures(1, uri, 200).receiver(2);
        lab.script.observe(Event::HandshakeFailed { receiver, what: "it was ended", by_peer: true });
        if connects {
            lab.link(1);
        }
        lab.passes(12).gets(2, 9, &legs(0..2)).passes(10);
        lab.gets(2, 9, &legs(2..4)).passes(60);
        lab
    };
    run(true).breaks(&["CDR-16"]);
    run(false).breaks(&[]);
}

#[test]
fn records_are_the_same_only_if_what_is_in_their_elements_is() {
    let run = |text: &str| {
        let group = |text: &str| {
            let inner = Element { text: text.to_owned(), ..Element::new("inner") };
            let mut record = leg(0);
            record.content.children.push(Element { children: vec![inner], ..Element::new("outer") });
            record
        };
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &[group("a")]).gets(2, 9, &[group(text)]);
        let findings = lab.script.finish().findings;
        findings.iter().any(|finding| finding.requirement.as_str() == "CDR-09")
    };
    assert!(run("b") && !run("a"));
}

#[test]
fn another_encoding_that_a_set_declares_is_noted() {
    let run = |declaration: &str| {
        let mut lab = Lab::new();
        let record = "<record type=\"callLegStart\" correlatorIndex=\"0\" time=\"2026-03-01T10:00:10Z\"/>";
        let body = format!("{declaration}<records session=\"{}\">{record}</records>", guid(9));
        lab.body(1, body.as_bytes());
        lab.script.finish().characteristics.iter().any(|one| one.name == "encoding")
    };
    assert!(run("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>") && !run(""));
}

#[test]
fn nothing_is_put_down_to_a_set_of_before_a_restart_or_to_one_that_was_cut() {
    // It is not charged as well that a call is not told of.
    let run = |restarts: bool| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1)).cuts(1).passes(60);
        if restarts {
            lab.restarts().passes(10);
        }
        shown(&mut lab);
        lab.passes(60);
        lab
    };
    run(false).breaks(&["CDR-03"]);
    run(true).breaks(&["CDR-03", "REC-24"]);
}
