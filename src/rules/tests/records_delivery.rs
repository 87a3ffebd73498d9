//! How records are delivered: sets, answers, repetitions, sessions, indexes and receivers.

use super::sender::{Lab, after_missing, leg, legs, numbered};
use crate::protocol::cdr::{NewRecord, NewSet, Style};
use crate::protocol::http::{Method, Response};
use crate::rules::script::guid;
use crate::trace::{EndCause, Event, LinkId};

#[test]
fn a_set_is_a_post_of_one_document_of_records() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..2));
    lab.meets("CDR-01");
    let session = guid(9);
    let bodies = [
        "<records".to_owned(),
        String::new(),
        format!("<records session=\"{session}\"/>"),
        format!("<cdrs session=\"{session}\"><record/></cdrs>"),
        format!("<records session=\"{session}\"><record></records>"),
    ];
    for body in bodies {
        let mut lab = Lab::new();
        let set = lab.body(1, body.as_bytes());
        lab.answers(set, 200).gets(1, 9, &legs([3]));
        lab.breaks(&["CDR-01"]);
    }
    let mut lab = Lab::new();
    lab.head.0 = "PUT";
    lab.gets(1, 9, &legs([0]));
    lab.breaks(&["CDR-01"]);
}

#[test]
fn what_exceeds_a_limit_of_the_reader_is_left_open_and_told() {
    let more: String = (0..64).map(|n| format!(" a{n}='x'")).collect();
    let body = format!(
        "<!DOCTYPE records><records session='{}'><record{more} type='callEnd' correlatorIndex='0'/></records>",
        guid(9)
    );
    let mut lab = Lab::new();
    let set = lab.body(1, body.as_bytes());
    lab.answers(set, 200);
    lab.link(1);
    lab.script.observe(Event::LinkFault { link: LinkId(2), what: "the body is longer than 10 bytes" });
    lab.ends(1, EndCause::TooLong);
    let judgement = lab.script.finish();
    assert!(judgement.findings.is_empty(), "{:#?}", judgement.findings);
    let why: Vec<&str> = judgement.undecided.values().map(String::as_str).collect();
    assert_eq!(why, ["a set holds more than is read: an element with more than 64 attributes"]);
    assert!(judgement.characteristics.iter().any(|one| one.name == "document-type"));
}

#[test]
fn what_is_no_http_accuses_only_who_was_told_to_send() {
    let fault = |lab: &mut Lab, cause| {
        lab.link(1);
        lab.script.observe(Event::LinkFault { link: LinkId(1), what: "no request line" });
        lab.ends(1, cause);
    };
    let mut lab = Lab::new();
    fault(&mut lab, EndCause::Closed);
    lab.breaks(&["CDR-01"]);
    let mut lab = Lab::new();
    fault(&mut lab, EndCause::TooLong);
    lab.breaks(&[]);
    let mut lab = Lab::idle();
    lab.opens(1);
    fault(&mut lab, EndCause::Closed);
    lab.breaks(&[]);
}

#[test]
fn what_was_answered_200_is_not_sent_again() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).gets(1, 9, &legs(3..5));
    lab.meets("CDR-02");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).gets(1, 9, &legs(1..5));
    lab.breaks(&["CDR-02"]);
}

#[test]
fn an_answer_that_may_not_have_arrived_allows_a_repetition() {
    // Late.
    let mut lab = Lab::new();
    let set = lab.set(1, 9, &legs(0..3));
    lab.script.wait_ms(4000);
    lab.answers(set, 200).gets(1, 9, &legs(0..4));
    lab.breaks(&[]);
    // Half of it.
    let mut lab = Lab::new();
    let set = lab.set(1, 9, &legs(0..3));
    lab.script.observe(Event::SetAnswered { set, status: 200, whole: false, planned: true });
    lab.ends(1, EndCause::Closed).gets(1, 9, &legs(0..4));
    lab.breaks(&[]);
    // The same, and the sender took it for whole.
    let mut lab = Lab::new();
    let set = lab.set(1, 9, &legs(0..3));
    lab.script.observe(Event::SetAnswered { set, status: 200, whole: false, planned: true });
    lab.ends(1, EndCause::Closed).gets(1, 9, &legs(3..4)).passes(60);
    lab.breaks(&[]);
    // On a connection that this side then dropped.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).ends(1, EndCause::Dropped).gets(1, 9, &legs(0..3));
    lab.breaks(&[]);
    // The sender gave up, sent again, and then the late answer went out on the old connection.
    let mut lab = Lab::new();
    let held = lab.set(1, 9, &legs(0..3));
    lab.script.wait_ms(3000);
    lab.link(1).gets(1, 9, &legs(0..2));
    lab.answers(held, 200).gets(1, 9, &legs(2..4)).passes(60);
    lab.breaks(&[]);
    // The same in other groups, while this side has not even noticed.
    let mut lab = Lab::new();
    lab.set(1, 9, &legs(0..3));
    lab.script.wait_ms(3000);
    lab.link(1).gets(1, 9, &legs(0..2)).gets(1, 9, &legs(2..4)).gets(1, 9, &legs(4..5)).passes(60);
    lab.breaks(&[]);
    // It was read slowly, and the sender had given up before it was answered.
    let mut lab = Lab::new();
    lab.link(1);
    lab.script.wait_ms(8000);
    lab.gets(1, 9, &legs(0..3)).link(1).gets(1, 9, &legs(0..3)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn what_was_not_answered_200_is_sent_again() {
    for failure in 0..4 {
        let fail = |lab: &mut Lab| match failure {
            0 => _ = lab.refuses(1, 9, &legs(1..3), 500),
            1 => _ = lab.loses(1, 9, &legs(1..3)),
            2 => _ = lab.cuts(1),
            _ => _ = lab.refuses(1, 9, &legs(1..3), 404).loses(1, 9, &legs(1..4)),
        };
        // In other groups, with newer ones.
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1));
        fail(&mut lab);
        assert!(lab.script.due().is_some());
        lab.passes(25).gets(1, 9, &legs(1..2)).gets(1, 9, &legs(2..6));
        assert_eq!(lab.script.due(), None);
        lab.meets("CDR-03");
        // Never.
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1));
        fail(&mut lab);
        lab.passes(if failure == 3 { 66 } else { 31 });
        lab.breaks(&["CDR-03"]);
        // Later ones, but not these.
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1));
        fail(&mut lab);
        lab.gets(1, 9, &legs(if failure == 3 { 4..7 } else { 3..7 })).passes(66);
        lab.breaks(&["CDR-03"]);
    }
}

#[test]
fn while_a_receiver_is_down_nothing_is_overdue() {
    let mut lab = Lab::new();
    lab.loses(1, 9, &legs(0..3)).closes(1).passes(600).opens(1).passes(20);
    lab.gets(1, 9, &legs(0..3));
    lab.meets("CDR-03");
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 503);
    lab.script.observe(Event::HarnessLate { by: std::time::Duration::from_secs(20) });
    lab.passes(40).gets(1, 9, &legs(0..3));
    lab.meets("CDR-03");
}

#[test]
fn what_is_owed_ends_with_the_receivers_entry() {
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 503).api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(100);
    assert_eq!(lab.script.due(), None);
    lab.breaks(&[]);
}

#[test]
fn other_answers_of_success_are_noted_and_not_judged() {
    for (status, again) in [(204, false), (204, true), (307, true), (302, false)] {
        let mut lab = Lab::new();
        lab.refuses(1, 9, &legs(0..2), status).gets(1, 9, &legs(if again { 0..3 } else { 2..3 })).passes(60);
        lab.meets("CDR-23");
    }
}

#[test]
fn one_set_is_outstanding_at_a_time() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).gets(1, 9, &legs(3..5));
    lab.meets("CDR-04");
    let mut lab = Lab::new();
    let first = lab.set(1, 9, &legs(0..3));
    let second = lab.set(1, 9, &legs(3..5));
    lab.answers(first, 200).answers(second, 200);
    lab.breaks(&["CDR-04"]);
    // The sender waits no longer and sends the same again.
    let mut lab = Lab::new();
    lab.set(1, 9, &legs(0..3));
    lab.script.wait_ms(20_000);
    lab.link(1).gets(1, 9, &legs(0..3));
    lab.meets("CDR-09");
}

#[test]
fn records_arrive_in_ascending_order() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0, 2, 1, 3]));
    lab.breaks(&["CDR-04"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0, 2])).gets(1, 9, &legs([1, 3])).passes(60);
    lab.breaks(&["CDR-04"]);
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs([2])).gets(2, 9, &legs([1]));
    lab.breaks(&["CDR-04"]);
    // Sent again, but after later ones.
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs([0, 1]), 500).gets(1, 9, &legs([2, 3])).gets(1, 9, &legs([0, 1])).passes(60);
    lab.breaks(&["CDR-04"]);
}

#[test]
fn every_set_names_a_session() {
    for session in [None, Some("7".to_owned())] {
        let mut lab = Lab::new();
        let set = NewSet { session, call_bridge: None, records: legs([0]) };
        let set = lab.body(1, &set.to_bytes(&Style::default()));
        lab.answers(set, 200);
        lab.breaks(&["CDR-05"]);
    }
}

#[test]
fn the_session_changes_with_a_restart_only() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).restarts().gets(1, 10, &legs(0..3));
    lab.meets("CDR-05");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).restarts().gets(1, 9, &legs(0..3)).gets(1, 9, &legs(3..5));
    lab.breaks(&["CDR-05"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).gets(1, 10, &legs(3..5));
    lab.breaks(&["CDR-05"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).ends(1, EndCause::PeerClosed).gets(1, 10, &legs(3..5));
    lab.breaks(&["CDR-05"]);
    // One for each receiver.
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 10, &legs(0..3));
    lab.gets(1, 9, &legs(3..4)).gets(1, 9, &legs(4..5));
    lab.breaks(&["CDR-05"]);
    // It restarted by itself, and sends first what it had kept.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).loses(1, 9, &legs([1])).passes(20);
    lab.gets(1, 9, &legs([1])).gets(1, 10, &legs([0])).passes(60);
    lab.breaks(&[]);
    // It restarted by itself, while a set was to be sent again.
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).refuses(2, 9, &legs(0..3), 500);
    lab.ends(1, EndCause::PeerReset).ends(2, EndCause::PeerReset).passes(3);
    lab.gets(2, 10, &legs(0..1)).gets(1, 10, &legs(0..1)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn sets_of_before_may_still_be_under_way_during_a_restart() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3));
    lab.script.observe(Event::RestartBegun);
    lab.gets(1, 9, &legs(3..4)).ends(1, EndCause::PeerReset);
    lab.script.observe(Event::RestartDone);
    lab.gets(1, 10, &legs(0..2)).passes(60);
    lab.meets("CDR-08");
}

#[test]
fn records_kept_over_a_restart_may_come_after_it() {
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 500).restarts().gets(1, 9, &legs(0..3)).gets(1, 10, &legs(0..3)).passes(60);
    lab.meets("CDR-05");
}

#[test]
fn a_set_that_is_cut_off_during_a_restart_is_not_owed_after_it() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).cuts(1).passes(60);
    lab.breaks(&["CDR-03"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).script.observe(Event::RestartBegun);
    lab.cuts(1).script.observe(Event::RestartDone);
    lab.passes(60);
    lab.breaks(&[]);
}

#[test]
fn outside_a_cluster_there_is_no_call_bridge_id() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3));
    lab.meets("CDR-06");
    let mut lab = Lab::new();
    lab.call_bridge = Some(guid(77));
    lab.gets(1, 9, &legs(0..3));
    lab.breaks(&["CDR-06"]);
}

#[test]
fn a_pair_of_session_and_index_has_one_content() {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs(0..3));
    lab.meets("CDR-09");
    let other = NewRecord { time: "2026-03-01T10:00:11Z".to_owned(), ..leg(1) };
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &[leg(0), other.clone(), leg(2)]);
    lab.breaks(&["CDR-09"]);
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 500).gets(1, 9, &[leg(0), other, leg(2)]).passes(60);
    lab.breaks(&["CDR-09"]);
    // recordIndex is each receiver's own.
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(0), 1), numbered(leg(1), 2)]).receiver(2).gets(2, 9, &[numbered(leg(1), 1)]);
    lab.meets("CDR-09");
}

#[test]
fn one_bad_receiver_costs_the_others_nothing() {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs(0..3));
    lab.refuses(2, 9, &legs(3..5), 500).gets(1, 9, &legs(3..5)).gets(2, 9, &legs(3..5));
    lab.meets("CDR-19");
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..3)).gets(2, 9, &legs(0..3)).closes(2);
    lab.gets(1, 9, &legs([4])).opens(2).gets(2, 9, &legs(3..5)).passes(40);
    lab.breaks(&["CDR-19"]);
}

#[test]
fn a_fifth_receiver_is_refused() {
    let mut lab = Lab::idle();
    lab.lists(&[]);
    (1..=4).for_each(|receiver| _ = lab.receiver(receiver));
    lab.configures(5, &Lab::uri(5), 400);
    lab.meets("CDR-14");
    let mut lab = Lab::idle();
    (1..=5).for_each(|receiver| _ = lab.receiver(receiver));
    lab.breaks(&["CDR-14"]);
    // Others hold places.
    let mut lab = Lab::idle();
    lab.lists(&[71, 72]).receiver(1).receiver(2).configures(5, &Lab::uri(5), 400);
    lab.meets("CDR-14");
    let full =
        || Response { body: b"<failureDetails><tooManyCdrReceivers/></failureDetails>".to_vec(), ..Response::new(400) };
    let mut lab = Lab::idle();
    lab.lists(&[]).receiver(1).receiver(2).api(Method::Post, "/api/v1/system/cdrReceivers", "uri=http://a/", &full());
    lab.breaks(&["CDR-13"]);
    // The parameter has another name.
    let mut lab = Lab::idle();
    lab.lists(&[]).configures(1, "http://a/", 400);
    lab.breaks(&[]);
}

#[test]
fn receivers_are_managed_over_the_api() {
    let shows = |uri: &str| Response {
        body: format!("<cdrReceiver><uri>{uri}</uri></cdrReceiver>").into(),
        ..Response::new(200)
    };
    let mut lab = Lab::idle();
    lab.lists(&[71]).receiver(1).lists(&[71, 1]).api(Method::Get, &Lab::entry(1), "", &shows(&Lab::uri(1)));
    lab.api(Method::Put, &Lab::entry(1), "uri=http://b:1/", &Response::new(200));
    lab.api(Method::Get, &Lab::entry(1), "", &shows("http://b:1"));
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200))
        .api(Method::Get, &Lab::entry(1), "", &Response::new(404))
        .lists(&[71]);
    lab.meets("CDR-15");
    let mut lab = Lab::idle();
    lab.opens(1).api(Method::Post, "/api/v1/system/cdrReceivers", "uri=http://a/", &Response::new(200));
    lab.breaks(&["CDR-15"]);
    let mut lab = Lab::new();
    lab.lists(&[]);
    lab.breaks(&["CDR-15"]);
    let mut lab = Lab::new();
    lab.api(Method::Get, &Lab::entry(1), "", &shows("http://other/"));
    lab.breaks(&["CDR-15"]);
    let mut lab = Lab::new();
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).lists(&[1]);
    lab.breaks(&["CDR-15"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(6);
    lab.link(1).gets(1, 9, &legs([1]));
    lab.breaks(&["CDR-15"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(2);
    lab.gets(1, 9, &legs([1])).passes(40).gets(1, 9, &legs([2]));
    lab.breaks(&["CDR-15"]);
    // Somebody else took our place.
    let mut lab = Lab::idle();
    lab.lists(&[71]).receiver(1).lists(&[71, 72]);
    lab.breaks(&[]);
}

#[test]
fn path_and_query_reach_the_receiver_unchanged() {
    for (configured, asked, broken) in [
        ("/cdr", "/cdr", None),
        ("", "/", None),
        ("/cdr?system_id=cms1&x=%20", "/cdr?system_id=cms1&x=%20", None),
        ("/cdr?system_id=cms1", "http://127.0.0.1:7001/cdr?system_id=cms1", None),
        ("/cdr?system_id=cms1", "/cdr", Some("CDR-16")),
        ("/cdr", "/", Some("CDR-16")),
        ("/cdr?x=%20", "/cdr?x=+", Some("CDR-16")),
    ] {
        let mut lab = Lab::idle();
        lab.opens(1).configures(1, &format!("http://127.0.0.1:7001{configured}"), 200);
        lab.head.1 = asked.to_owned();
        lab.gets(1, 9, &legs([0]));
        match broken {
            None => lab.meets("CDR-16"),
            Some(broken) => lab.breaks(&[broken]),
        }
    }
}

#[test]
fn a_connection_that_is_kept_is_used_again() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).gets(1, 9, &legs([1]));
    lab.meets("CDR-18");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).ends(1, EndCause::PeerClosed).gets(1, 9, &legs([1]));
    lab.breaks(&["CDR-18"]);
    // Whoever asks for a connection to be closed after its only set has decided against keeping it: it warns.
    let each = || {
        let mut lab = Lab::new();
        lab.head.2 = "Host: a\r\nContent-Length: 9\r\nConnection: close\r\n";
        lab.gets(1, 9, &legs([0])).ends(1, EndCause::Closed);
        lab
    };
    let mut lab = each();
    lab.gets(1, 9, &legs([1]));
    lab.breaks(&["CDR-18"]);
    let mut lab = each();
    lab.passes(20).gets(1, 9, &legs([1]));
    lab.breaks(&[]);
    // This side closed it, or it had been idle.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).ends(1, EndCause::Closed).gets(1, 9, &legs([1])).passes(20);
    lab.ends(1, EndCause::PeerClosed).gets(1, 9, &legs([2]));
    lab.breaks(&[]);
}

#[test]
fn a_receiver_that_is_added_again_begins_anew() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(0), 1), numbered(leg(1), 2)]);
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(2).configures(8, &Lab::uri(1), 200);
    // What was kept for it, or what is new, counted from 1 or on.
    lab.gets(1, 9, &[numbered(leg(1), 1)]).gets(1, 9, &[numbered(leg(5), 7)]).passes(60);
    lab.breaks(&[]);
}

#[test]
fn two_entries_for_one_receiver_are_two_streams() {
    let mut lab = Lab::new();
    lab.configures(2, &Lab::uri(1), 200);
    lab.gets(1, 9, &legs(0..3)).gets(1, 9, &legs(0..2)).gets(1, 9, &legs(3..5)).gets(1, 9, &legs(2..5)).passes(60);
    lab.breaks(&[]);
}

#[test]
fn numbers_as_large_as_can_be_break_nothing_here() {
    let most = u64::MAX;
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(0), most), numbered(leg(1), most)]).gets(1, 9, &[numbered(leg(2), most)]);
    lab.breaks(&["CDR-11"]);
    let again = |index: u64| NewRecord { correlator_index: Some(index), ..leg(7) };
    let mut lab = Lab::new();
    lab.gets(1, 9, &[again(most)]).gets(1, 10, &[again(most)]).gets(1, 10, &[after_missing(again(most), most)]);
    lab.passes(60);
    lab.breaks(&["CDR-02", "CDR-05"]);
}

#[test]
fn a_sender_may_back_off() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0]));
    for wait in [1, 2, 4, 8, 16, 32, 64] {
        lab.refuses(1, 9, &legs(1..3), 503).passes(wait);
    }
    lab.gets(1, 9, &legs(1..3));
    lab.meets("CDR-03");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs(1..3), 503).closes(1).passes(100).opens(1).passes(90);
    lab.gets(1, 9, &legs(1..3));
    lab.meets("CDR-03");
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0]));
    for wait in [1, 60, 60] {
        lab.refuses(1, 9, &legs(1..3), 503).passes(wait);
    }
    lab.gets(1, 9, &legs(1..3));
    lab.meets("CDR-03");
    // But not for ever, and not from what was long over.
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 503).closes(1).passes(100).opens(1).passes(310);
    lab.breaks(&["CDR-03"]);
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 503).closes(1).passes(9000).opens(1).passes(310);
    lab.breaks(&["CDR-03"]);
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 503).closes(1).passes(100).opens(1).gets(1, 9, &legs(0..3));
    lab.refuses(1, 9, &legs(3..4), 503).passes(31);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn an_end_that_was_asked_for_loses_no_answer() {
    let closing = || {
        let mut lab = Lab::new();
        lab.head.2 = "Host: a\r\nContent-Length: 9\r\nContent-Type: text/xml\r\nConnection: close\r\n";
        lab
    };
    let mut lab = closing();
    lab.gets(1, 9, &legs(0..3)).ends(1, EndCause::Closed).passes(2);
    lab.gets(1, 9, &legs(3..5)).ends(1, EndCause::Closed);
    lab.meets("CDR-02");
    let mut lab = closing();
    lab.gets(1, 9, &legs(0..3)).ends(1, EndCause::Closed).passes(2).gets(1, 9, &legs(0..3));
    lab.breaks(&["CDR-02"]);
    // One that was idle says nothing of an answer long before.
    let mut lab = Lab::new();
    lab.link(1).passes(8).gets(1, 9, &legs(0..3)).passes(20).ends(1, EndCause::PeerClosed).gets(1, 9, &legs([0, 4]));
    lab.passes(60);
    lab.breaks(&["CDR-10"]);
}

#[test]
fn a_set_that_the_sender_gave_up_holds_up_no_deadline() {
    let mut lab = Lab::new();
    lab.set(1, 9, &legs(0..3));
    lab.passes(10).link(1).refuses(1, 9, &legs(0..3), 503).passes(60);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn a_set_is_in_order_whatever_it_begins_with() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([5, 3, 4]));
    lab.breaks(&["CDR-04"]);
    // Repeats excepted.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs(1..4), 503).gets(1, 9, &legs(1..5));
    lab.breaks(&[]);
}

#[test]
fn an_id_may_be_given_out_again() {
    let mut lab = Lab::new();
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).configures(1, &Lab::uri(1), 200).lists(&[1]);
    lab.meets("CDR-15");
}

#[test]
fn a_cut_accuses_only_who_was_told_to_send() {
    let mut lab = Lab::idle();
    lab.opens(1).cuts(1).passes(60);
    lab.breaks(&[]);
}

#[test]
fn what_stopped_before_a_fifth_receiver_was_asked_for_is_no_matter_of_it() {
    let stops = |before: bool| {
        let mut lab = Lab::idle();
        lab.lists(&[]);
        (1..=4).for_each(|receiver| _ = lab.receiver(receiver));
        (1..=4).for_each(|receiver| _ = lab.gets(receiver, 9, &legs([0])));
        if before {
            (1..=3).for_each(|receiver| _ = lab.gets(receiver, 9, &legs([1])));
            lab.passes(5);
        }
        lab.configures(5, &Lab::uri(5), 400).passes(2);
        (1..=3).for_each(|receiver| _ = lab.gets(receiver, 9, &legs([if before { 2 } else { 1 }])));
        lab.passes(60);
        lab
    };
    stops(true).breaks(&["CDR-13"]);
    stops(false).breaks(&["CDR-14"]);
}

#[test]
fn a_set_without_an_answer_is_not_owed_by_the_next_run() {
    let mut lab = Lab::new();
    let set = lab.gets(1, 9, &legs(0..2)).set(1, 9, &legs(2..3));
    for event in [Event::RestartBegun, Event::SetUnanswered { set, planned: false }, Event::RestartDone] {
        lab.script.observe(event);
    }
    lab.passes(400);
    lab.breaks(&[]);
}

/// A receiver that stands alone: nothing in the trace tells who was told to send to it.
fn alone() -> Lab {
    let mut lab = Lab::idle();
    lab.opens(1).link(1);
    lab
}

#[test]
fn a_receiver_that_stands_alone_finds_what_is_missing_amid_what_comes() {
    // A gap that nothing explains, in one session while another goes on.
    let mut lab = alone();
    lab.gets(1, 9, &legs(0..2)).gets(1, 9, &legs(5..7)).passes(40);
    lab.breaks(&["CDR-10"]);
    // A set that was refused and is not sent again, although later ones are.
    let mut lab = alone();
    lab.gets(1, 9, &legs(0..2)).refuses(1, 9, &legs(2..4), 503).gets(1, 9, &legs(4..6)).passes(100);
    lab.breaks(&["CDR-03"]);
    // Sent again as it should be.
    let mut lab = alone();
    lab.gets(1, 9, &legs(0..2))
        .refuses(1, 9, &legs(2..4), 503)
        .gets(1, 9, &legs(2..4))
        .gets(1, 9, &legs(4..6))
        .passes(100);
    lab.breaks(&[]);
    // Nothing comes any more: somebody may have taken the receiver off the list.
    let mut lab = alone();
    lab.gets(1, 9, &legs(0..2)).refuses(1, 9, &legs(2..4), 503).passes(400);
    lab.breaks(&[]);
}

#[test]
fn a_receiver_that_stands_alone_may_be_named_twice_in_the_list() {
    let many = |from: u64, to: u64, number: u64| -> Vec<NewRecord> {
        legs(from..to).into_iter().zip(number..).map(|(record, number)| numbered(record, number)).collect()
    };
    // A second stream beside the first one: the same records again, or numbers of its own.
    let mut lab = alone();
    lab.gets(1, 9, &many(0, 2, 1)).link(1).gets(1, 9, &many(0, 2, 1)).gets(1, 9, &many(2, 4, 3));
    lab.breaks(&[]);
    let mut lab = alone();
    lab.gets(1, 9, &many(0, 2, 1)).link(1).gets(1, 9, &many(2, 4, 1)).passes(60);
    lab.breaks(&[]);
    let mut lab = alone();
    lab.set(1, 9, &legs(0..2));
    lab.link(1).gets(1, 9, &legs(0..2)).gets(1, 9, &legs(2..4));
    lab.breaks(&[]);
    // On the same connection, or on a new one in place of it, it is one stream.
    let mut lab = alone();
    lab.gets(1, 9, &legs(0..2)).gets(1, 9, &legs(0..2));
    lab.breaks(&["CDR-02"]);
    let mut lab = alone();
    lab.gets(1, 9, &legs(0..2)).passes(20).ends(1, EndCause::Closed).gets(1, 9, &legs(0..2));
    lab.breaks(&["CDR-02"]);
}
