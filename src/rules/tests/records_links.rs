//! Connections of a Call Bridge, its restarts, several receivers at a time, and what is left when a trace ends.

use super::records_content::{SPACE, example, in_order};
use super::sender::{Lab, after_missing, leg, legs, numbered};
use crate::protocol::http::{Headers, Method, Response};
use crate::rules::script::guid;
use crate::trace::{EndCause, Event, LinkId, ReceiverId};

/// One receiver that is configured with this end of its URI.
fn configured(end: &str) -> Lab {
    let mut lab = Lab::idle();
    let uri = format!("http://127.0.0.1:7001{end}");
    lab.script.observe(Event::ReceiverOpened { receiver: ReceiverId(1), name: "r", uri: &uri });
    lab.configures(1, &uri, 200);
    lab
}

/// What is no HTTP arrives on a new connection.
fn fault(lab: &mut Lab, link: u32, cause: EndCause) {
    lab.link(1).script.observe(Event::LinkFault { link: LinkId(link), what: "no request line" });
    lab.ends(1, cause);
}

/// The requirements that a trace leaves undecided.
fn undecided(lab: Lab) -> Vec<String> {
    let judgement = lab.script.finish();
    assert!(judgement.findings.is_empty(), "{:#?}", judgement.findings);
    judgement.undecided.keys().map(|id| id.as_str().to_owned()).collect()
}

#[test]
fn what_is_no_http_may_be_another_scheme_where_nothing_else_arrived() {
    let mut lab = configured("/cdr?a=b");
    fault(&mut lab, 1, EndCause::Closed);
    lab.breaks(&["CDR-16"]);
    let mut lab = configured("/cdr?a=b");
    lab.head.1 = "/cdr?a=b".to_owned();
    lab.gets(1, 9, &legs([0]));
    fault(&mut lab, 2, EndCause::Closed);
    lab.breaks(&["CDR-01"]);
    let mut lab = Lab::new();
    fault(&mut lab, 1, EndCause::TooLong);
    assert_eq!(undecided(lab), ["CDR-01"]);
}

#[test]
fn what_a_uri_may_not_hold_is_asked_for_in_many_ways() {
    for (end, asked, broken) in [
        ("/a b", "/a%20b", &[][..]),
        ("/a\"b", "/a%22b", &[]),
        ("/a'b", "/a%27b", &["CDR-16"]),
        // A URI inside a query is none.
        ("/cdr?u=http://x/y", "/cdr?u=http://x/y", &[]),
    ] {
        let mut lab = configured(end);
        lab.head.1 = asked.to_owned();
        lab.gets(1, 9, &legs([0]));
        lab.breaks(broken);
    }
    let mut lab = configured("/cdr");
    lab.head.1 = "/else".to_owned();
    lab.gets(1, 9, &legs([0]));
    let judgement = lab.script.finish();
    let evidence: Vec<usize> = judgement.findings.iter().map(|finding| finding.evidence.len()).collect();
    assert_eq!(evidence, [2], "the entry and the request: {judgement:#?}");
}

#[test]
fn an_answer_is_lost_where_the_connection_ends_with_it() {
    let again = |wait: u64, cause: EndCause| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..3)).script.wait_ms(wait);
        lab.ends(1, cause).gets(1, 9, &legs(0..3));
        lab
    };
    again(100, EndCause::PeerReset).breaks(&[]);
    again(2000, EndCause::PeerReset).breaks(&["CDR-02"]);
    again(100, EndCause::Closed).breaks(&[]);
    again(2000, EndCause::Closed).breaks(&["CDR-02"]);
    // Numbers may then begin again, or go on.
    let numbers = [0, 1, 2].map(|at| numbered(leg(at), at + 1));
    for next in [1, 4] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &numbers).ends(1, EndCause::Dropped);
        lab.gets(1, 9, &[after_missing(numbered(leg(3), next), 3)]).passes(60);
        lab.breaks(&[]);
    }
}

#[test]
fn what_comes_soon_after_an_answer_was_not_read_slowly() {
    let mut lab = Lab::new();
    for index in [0, 1, 2] {
        lab.gets(1, 9, &legs([index])).script.wait_ms(800);
    }
    lab.script.wait_ms(800);
    lab.ends(1, EndCause::PeerClosed).gets(1, 9, &legs([2]));
    lab.breaks(&["CDR-02"]);
}

#[test]
fn a_receiver_is_settled_whatever_the_api_is_asked_later() {
    let added_again = || {
        let mut lab = Lab::new();
        lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).configures(8, &Lab::uri(1), 200);
        lab
    };
    // Nothing was ever sent to it.
    let mut lab = added_again();
    lab.gets(1, 9, &legs([0])).gets(1, 9, &legs([0]));
    lab.breaks(&["CDR-02"]);
    // It got something since.
    let mut lab = added_again();
    lab.gets(1, 9, &legs([0])).lists(&[8]).gets(1, 9, &legs([0]));
    lab.breaks(&["CDR-02"]);
}

#[test]
fn an_entry_may_be_there_before_its_receiver() {
    let mut lab = Lab::idle();
    lab.configures(1, &Lab::uri(1), 200).opens(1).cuts(1).passes(60);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn so_many_receivers_are_followed_and_no_more() {
    let many = || {
        let mut lab = Lab::idle();
        (1..=257).for_each(|receiver| _ = lab.opens(receiver));
        lab
    };
    let mut lab = many();
    lab.configures(257, &Lab::uri(257), 200).cuts(257).passes(60);
    lab.breaks(&[]);
    // One of the others may open again.
    let mut lab = many();
    lab.configures(1, &Lab::uri(1), 200).gets(1, 9, &legs([0])).closes(1).opens(1).cuts(1).passes(310);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn what_one_receiver_holds_up_is_not_what_another_is_owed() {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..2)).gets(2, 9, &legs(0..2)).refuses(2, 9, &legs(2..4), 503);
    lab.set(1, 9, &legs(2..4));
    lab.passes(60);
    lab.breaks(&["CDR-03"]);
    // A set that has no answer yet holds up what its own receiver is owed.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs([0])).refuses(1, 9, &legs(1..3), 503);
    lab.set(1, 9, &legs(1..3));
    lab.passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_leg_that_outlasts_its_call_is_waited_for() {
    let ended = || {
        let mut records = example();
        records.remove(6);
        let mut records = in_order(records);
        records[6].content.children[0].text = "1".to_owned();
        let mut lab = Lab::new();
        lab.gets(1, 9, &records[..1]).gets(1, 9, &records[1..]);
        lab
    };
    let mut lab = ended();
    assert!(lab.script.due().is_some());
    lab.passes(30);
    lab.breaks(&[]);
    let mut lab = ended();
    lab.passes(36);
    lab.breaks(&["REC-09"]);
    // But not for what the harness was late.
    let mut lab = ended();
    lab.script.observe(Event::HarnessLate { by: std::time::Duration::from_secs(20) });
    lab.passes(36);
    lab.breaks(&[]);
}

#[test]
fn the_correlator_of_a_co_space_is_forgotten_with_it() {
    let mut lab = Lab::new();
    let space = format!("/api/v1/coSpaces/{}", guid(SPACE));
    let creates = |lab: &mut Lab| {
        let headers = Headers::new().with("Location", space.clone());
        lab.api(Method::Post, "/api/v1/coSpaces", "name=x", &Response { headers, ..Response::new(200) });
    };
    creates(&mut lab);
    lab.gets(1, 9, &example()[..2]).api(Method::Delete, &space, "", &Response::new(200));
    creates(&mut lab);
    let mut second = example().remove(1);
    second.content.attributes[0].1 = guid(2);
    second.content.children[3].text = guid(61);
    second.correlator_index = Some(2);
    lab.gets(1, 9, &[second]);
    lab.breaks(&[]);
}

#[test]
fn a_restart_ends_what_was_known_of_calls_and_entries() {
    let mut lab = Lab::new();
    lab.restarts().lists(&[]);
    lab.breaks(&[]);
    // A record that was kept from before shows a call that is no more.
    let mut lab = Lab::new();
    lab.script.starts_call(1, &format!("coSpace={}", guid(SPACE)));
    lab.restarts().gets(1, 9, &example()[2..3]).passes(60);
    lab.breaks(&[]);
}

#[test]
fn a_connection_that_ends_with_a_restart_has_lost_no_answer() {
    let mut lab = Lab::new();
    lab.link(1).passes(8).gets(1, 9, &legs(0..3)).restarts().gets(1, 10, &legs(1..3));
    lab.breaks(&["CDR-08"]);
}

#[test]
fn while_the_call_bridge_restarts_nothing_is_overdue() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).script.observe(Event::RestartBegun);
    lab.refuses(1, 10, &legs(0..3), 503).passes(60).script.observe(Event::RestartDone);
    lab.passes(10).gets(1, 10, &legs(0..3));
    lab.breaks(&[]);
}

#[test]
fn the_end_of_a_trace_leaves_open_what_was_owed() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3));
    assert!(undecided(lab).is_empty());
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).cuts(1);
    assert_eq!(undecided(lab), ["CDR-03"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).refuses(1, 9, &legs(3..5), 503);
    assert_eq!(undecided(lab), ["CDR-03"]);
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).gets(1, 9, &legs(5..7));
    assert_eq!(undecided(lab), ["CDR-10"]);
    // Not of a receiver that is closed.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..3)).refuses(1, 9, &legs(3..5), 503);
    lab.script.observe(Event::ReceiverClosed { receiver: ReceiverId(1) });
    assert!(undecided(lab).is_empty());
}
