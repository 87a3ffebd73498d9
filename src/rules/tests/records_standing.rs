//! Whether a Call Bridge has to send to a receiver at all, where requests that were refused, lost, or not heeded leave
//! that open; and what is charged of one that is on.

use super::records_channels::shown;
use super::records_ledger::{NODE, OLDER_NODE, form, full, made, shows};
use super::sender::{Lab, legs};
use crate::protocol::http::{Method, Response};
use crate::trace::EndCause;

/// A change of the first entry under the other name of the parameter, which a server need not heed.
fn other_name(uri: &str) -> String {
    form("url", uri)
}

#[test]
fn an_entry_may_lead_on_to_where_it_led_if_its_change_was_not_heeded() {
    let start = || {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..3)).changes(1, &other_name("http://b/"), 200);
        lab
    };
    // What fails has to come again or not, and much later it may still come.
    let mut lab = start();
    lab.refuses(1, 9, &legs(3..5), 503).passes(60).link(1).gets(1, 9, &legs(5..6));
    lab.breaks(&[]);
    // Nor is it an entry of the new place, which gets nothing then.
    let mut lab = Lab::new();
    lab.opens(2).changes(1, &other_name(&Lab::uri(2)), 200).passes(10).gets(1, 9, &legs(0..3));
    shown(&mut lab);
    lab.passes(60);
    lab.breaks(&[]);
    // Led back, it begins anew: meanwhile there may have been others, or what was under way.
    for under_way in [false, true] {
        let mut lab = start();
        if under_way {
            lab.gets(1, 9, &legs(3..4));
        }
        lab.changes(1, &form("uri", &Lab::uri(1)), 200).lists(&[1]);
        lab.passes(10).link(1).gets(1, 9, &legs(6..8)).passes(60);
        lab.breaks(&[]);
    }
    // Another entry is not what leads there.
    let mut lab = start();
    lab.configures(2, "http://c/", 200).deletes(2, 200).passes(60).link(1).gets(1, 9, &legs(3..4));
    lab.breaks(&[]);
    let mut lab = start();
    lab.configures(2, "http://c/", 200).changes(2, &form("uri", "http://d/"), 200);
    lab.passes(60).link(1).gets(1, 9, &legs(3..4));
    lab.breaks(&[]);
    // A second one that is not heeded leaves the first open.
    let mut lab = start();
    lab.changes(1, &other_name("http://c/"), 200).passes(60).link(1).gets(1, 9, &legs(3..4));
    lab.breaks(&[]);
    // One that is heeded ends it, as its removal does.
    let mut lab = start();
    lab.changes(1, &form("uri", "http://c/"), 200).passes(60).link(1).gets(1, 9, &legs(3..4));
    lab.breaks(&["CDR-15"]);
    let mut lab = start();
    lab.deletes(1, 200).passes(60).link(1).gets(1, 9, &legs(3..4));
    lab.breaks(&["CDR-15"]);
    // It is no earlier entry that a refusal could bring back.
    let mut lab = Lab::new();
    lab.deletes(1, 200).configures(2, &Lab::uri(1), 200).changes(2, &other_name("http://b/"), 200);
    lab.asks_for("uri", &Lab::uri(1), &Response::new(400)).passes(60).link(1).gets(1, 9, &legs(0..1));
    lab.breaks(&[]);
}

#[test]
fn a_change_that_the_server_makes_nothing_of_changes_nothing() {
    let why = |error: &str| format!("<failureDetails>{error}</failureDetails>").into_bytes();
    let run = |form: &str, status: u16, error: &str| {
        let mut lab = Lab::idle();
        lab.lists(&[71]).receiver(1);
        lab.api(Method::Put, &Lab::entry(1), form, &Response { body: why(error), ..Response::new(status) });
        lab.refuses(1, 9, &legs(0..3), 503).passes(40);
        lab
    };
    let error = "<parameterError parameter=\"uri\" error=\"invalidValue\"/>";
    run("uri=nowhere", 400, error).breaks(&["CDR-03"]);
    // Of several parameters it may have made something; others may have removed it; and a fault says nothing.
    run("uri=nowhere&x=y", 400, error).breaks(&[]);
    run("uri=nowhere", 400, "<cdrReceiverDoesNotExist/>").breaks(&[]);
    run("uri=nowhere", 503, error).breaks(&[]);
}

#[test]
fn a_request_that_may_lead_back_to_a_receiver_leaves_it_open() {
    let back = form("uri", &Lab::uri(1));
    let asked = || {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..3)).deletes(1, 200).passes(60).sends(900, Method::Post, NODE, &back);
        lab
    };
    // It is served before the answer, and begins anew.
    let mut lab = asked();
    lab.link(1).gets(1, 9, &legs(6..8)).passes(60);
    lab.breaks(&[]);
    // A refusal of another one says nothing of it, one of the same that it is off as before.
    for (uri, broken) in [("http://b/", &[][..]), (&Lab::uri(1), &["CDR-15"])] {
        let mut lab = asked();
        lab.asks_for("uri", uri, &Response::new(400)).link(1).gets(1, 9, &legs(3..4));
        lab.breaks(broken);
    }
}

#[test]
fn what_the_older_node_made_is_there_until_it_is_changed() {
    let mut lab = Lab::idle();
    lab.opens(1).api(Method::Put, OLDER_NODE, &form("uri", &Lab::uri(1)), &Response::new(200));
    lab.api(Method::Get, OLDER_NODE, "", &shows(&Lab::uri(1))).passes(60).link(1).gets(1, 9, &legs(0..1));
    lab.breaks(&[]);
    // A fault says nothing of what is there now.
    let mut lab = Lab::idle();
    lab.opens(1).api(Method::Put, OLDER_NODE, &form("uri", &Lab::uri(1)), &Response::new(500));
    lab.refuses(1, 9, &legs(0..3), 503).passes(60);
    lab.breaks(&[]);
}

#[test]
fn only_requests_about_receivers_make_their_list_another_one() {
    // One that is lost, and one that is under way, while a receiver is refused although there is a place.
    for (method, target) in [
        (Method::Post, "/api/v1/calls".to_owned()),
        (Method::Get, "/api/v1/calls".to_owned()),
        (Method::Get, NODE.to_owned()),
        (Method::Get, OLDER_NODE.to_owned()),
        (Method::Get, Lab::entry(1)),
    ] {
        let mut lab = Lab::idle();
        lab.lists(&[]).receiver(1).sends(900, method, &target, "").asks_for("uri", "http://a/", &full());
        lab.breaks(&["CDR-13"]);
    }
    // A change of one leaves no other open.
    let mut lab = Lab::idle();
    lab.lists(&[]).receiver(1).receiver(2);
    lab.sends(900, Method::Put, &Lab::entry(1), "").hears_nothing(900).reads(2, &Response::new(404));
    lab.breaks(&["CDR-15"]);
    // And only reading the list gives no id out again.
    let mut lab = Lab::new();
    lab.deletes(1, 200).sends(900, Method::Get, NODE, "").lists(&[1]);
    lab.breaks_once("CDR-15");
}

#[test]
fn one_that_is_configured_before_it_listens_is_asked_for_by_its_path() {
    let run = |target: &str| {
        let mut lab = Lab::idle();
        lab.asks_for("uri", &Lab::uri(1), &made(200, &Lab::entry(1))).opens(1);
        lab.head.1 = target.to_owned();
        lab.gets(1, 9, &legs(0..1));
        lab
    };
    run("/cdr").meets("CDR-16");
    run("/x").breaks(&["CDR-16"]);
}

#[test]
fn a_receiver_that_is_off_holds_up_no_other() {
    let run = |off: bool| {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1));
        if off {
            lab.deletes(2, 200);
        }
        lab.closes(2);
        shown(&mut lab);
        lab.passes(60);
        lab
    };
    run(false).breaks(&["CDR-19"]);
    run(true).breaks(&["REC-24"]);
}

#[test]
fn a_receiver_that_has_failed_may_be_waited_for() {
    let run = |failed: bool| {
        let mut lab = Lab::new();
        lab.receiver(2);
        if failed {
            lab.closes(2).opens(2);
        }
        lab.passes(10).gets(1, 9, &legs(0..2)).passes(200);
        lab
    };
    run(false).breaks(&["CDR-13"]);
    run(true).breaks(&[]);
}

#[test]
fn what_comes_after_a_set_that_is_not_sent_again_is_not_charged_as_well() {
    let start = || {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1)).refuses(1, 9, &legs(1..2), 503).passes(60);
        lab
    };
    let mut lab = start();
    shown(&mut lab);
    lab.passes(60);
    lab.breaks(&["CDR-03"]);
    // Unless something came since, or the entry is a new one.
    let mut lab = start();
    lab.gets(1, 9, &legs(1..3)).passes(10);
    shown(&mut lab);
    lab.passes(60);
    lab.breaks(&["CDR-03", "REC-24"]);
    let mut lab = start();
    lab.changes(1, &form("uri", &format!("{}/other", Lab::uri(1))), 200).passes(10);
    shown(&mut lab);
    lab.passes(60);
    lab.breaks(&["CDR-03", "REC-24"]);
}

#[test]
fn a_set_that_came_twice_is_owed_at_most_once() {
    // It comes again on another connection while the first has no answer, which then gets none.
    let twice = |second: Option<u16>| {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1));
        let first = lab.set(1, 9, &legs(1..3));
        let again = lab.link(1).set(1, 9, &legs(1..3));
        let lost = |lab: &mut Lab, set| {
            lab.script.observe(crate::trace::Event::SetUnanswered { set, planned: false });
        };
        lost(&mut lab, first);
        match second {
            Some(status) => _ = lab.answers(again, status),
            None => lost(&mut lab, again),
        }
        lab.ends(1, EndCause::Closed).passes(100);
        lab
    };
    twice(None).breaks_once("CDR-03");
    twice(Some(503)).breaks_once("CDR-03");
    for status in [200, 202, 302] {
        twice(Some(status)).breaks(&[]);
    }
}
