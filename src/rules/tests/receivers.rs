//! CDR receivers under judgement.

use std::time::Duration;

use super::sender::{Lab, leg, legs};
use crate::protocol::api::xml::Element;
use crate::protocol::cdr::NewRecord;
use crate::protocol::cdr::names::MISSING;
use crate::rules::script::Script;
use crate::trace::{EndCause, Event, LinkId, ReceiverId, SetId, Side};

/// A receiver that has answered three plain sets, observed by itself.
pub(super) fn receiver() -> Lab {
    let mut lab = fresh(Side::Client);
    lab.gets(1, 1, &[leg(0)]).gets(1, 1, &[leg(1)]).gets(1, 1, &[leg(2)]);
    lab
}

pub(super) fn fresh(observer: Side) -> Lab {
    let mut lab = Lab::idle();
    lab.script = Script::observed(Side::Client, observer);
    lab.opens(1);
    lab
}

/// A set that gets no answer.
pub(super) fn unanswered(lab: &mut Lab, records: &[NewRecord], planned: bool, cause: EndCause) {
    let set = lab.set(1, 1, records);
    lab.script.observe(Event::SetUnanswered { set, planned });
    lab.ends(1, cause);
}

pub(super) fn strange(index: u64) -> NewRecord {
    let content = Element::new("weather").attribute("id", "x");
    NewRecord { kind: "weatherReport".to_owned(), content, ..leg(index) }
}

#[test]
fn a_receiver_in_order_is_not_blamed_and_only_what_came_is_tested() {
    receiver().meets("CDR-20");
    let mut lab = receiver();
    lab.gets(1, 1, &[strange(3)]);
    lab.meets("CDR-21");
    let mut lab = fresh(Side::Client);
    lab.gets(1, 1, &[leg(0)]);
    let judgement = lab.script.finish();
    let tested: Vec<_> = judgement.tested.keys().map(|id| id.as_str()).collect();
    assert_eq!(tested, ["CDR-20"]);
}

#[test]
fn another_status_breaks_the_general_requirement() {
    for status in [201, 202, 204, 301, 400, 500] {
        let mut lab = receiver();
        lab.refuses(1, 1, &[leg(3)], status);
        lab.breaks(&["CDR-20"]);
        let mut lab = fresh(Side::Client);
        lab.refuses(1, 1, &[strange(0), leg(1)], status);
        lab.breaks(&["CDR-20"]);
    }
}

#[test]
fn no_answer_breaks_it_unless_the_sender_leaves_first_or_a_plan_says_so() {
    for (planned, cause, expected) in [
        (false, EndCause::Closed, &["CDR-20"][..]),
        (false, EndCause::Dropped, &["CDR-20"]),
        (false, EndCause::PeerClosed, &[]),
        (true, EndCause::Closed, &[]),
    ] {
        let mut lab = receiver();
        unanswered(&mut lab, &[leg(3)], planned, cause);
        lab.breaks(expected);
    }
    let mut lab = receiver();
    let set = lab.set(1, 1, &[leg(3)]);
    lab.passes(6);
    lab.script.observe(Event::SetUnanswered { set, planned: false });
    lab.ends(1, EndCause::PeerClosed);
    lab.breaks(&["CDR-20"]);
    let mut lab = receiver();
    let set = lab.set(1, 1, &[leg(3)]);
    lab.passes(6).answers(set, 200);
    lab.breaks(&["CDR-20"]);
    let mut lab = receiver();
    let set = lab.set(1, 1, &[leg(3)]);
    lab.script.observe(Event::SetAnswered { set, status: 503, whole: true, planned: true });
    lab.breaks(&[]);
}

#[test]
fn a_refusal_of_what_is_not_documented_breaks_its_own_requirement() {
    let mut field = leg(3);
    field.content = field.content.field("serviceLevel", "1");
    let mut attribute = leg(3);
    attribute.content = attribute.content.attribute("node", "1");
    for record in [strange(3), field, attribute] {
        let mut lab = receiver();
        lab.refuses(1, 1, &[record], 400);
        lab.breaks(&["CDR-21"]);
    }
    // Once it has taken such a record, it is not that.
    let mut lab = receiver();
    lab.gets(1, 1, &[strange(3)]).refuses(1, 1, &[strange(4)], 500);
    lab.breaks(&["CDR-20"]);
}

#[test]
fn the_count_of_discarded_records_is_documented_under_each_of_its_names() {
    for name in MISSING {
        let mut lab = receiver();
        lab.refuses(1, 1, &[NewRecord { missing: Some((name, 1)), ..leg(3) }], 400);
        lab.breaks(&["CDR-22"]);
    }
}

#[test]
fn what_has_to_be_coped_with_breaks_its_own_requirement() {
    let mut lab = receiver();
    lab.refuses(1, 1, &legs([3, 4]), 413);
    lab.breaks(&["CDR-22"]);
    let mut lab = receiver();
    lab.refuses(1, 1, &[leg(1)], 409);
    lab.breaks(&["CDR-22"]);
    let mut lab = receiver();
    lab.refuses(1, 1, &[leg(7)], 503);
    lab.breaks(&["CDR-22"]);
    let mut lab = receiver();
    lab.refuses(1, 2, &[leg(0)], 400);
    lab.breaks(&["CDR-22"]);
    let mut lab = fresh(Side::Client);
    lab.gets(1, 1, &[leg(0)]);
    unanswered(&mut lab, &[leg(1)], false, EndCause::Closed);
    lab.breaks(&["CDR-22"]);
}

/// A sender vanishes in the middle of a set.
pub(super) fn vanishes(lab: &mut Lab) {
    let (link, receiver) = (lab.link_of(1), ReceiverId(1));
    let set = SetId(1000);
    lab.script.observe(Event::SetCut { set, link, receiver, arrived_bytes: 9, by_receiver: false });
    lab.ends(1, EndCause::PeerClosed);
}

#[test]
fn after_a_sender_that_vanished_the_next_is_served() {
    let mut lab = receiver();
    vanishes(&mut lab);
    lab.gets(1, 1, &[leg(3)]);
    lab.meets("CDR-22");
    let mut lab = receiver();
    vanishes(&mut lab);
    lab.refuses(1, 1, &[leg(3)], 400);
    lab.breaks(&["CDR-22"]);
    let mut lab = receiver();
    vanishes(&mut lab);
    lab.link(1).ends(1, EndCause::Closed);
    lab.breaks(&["CDR-22"]);
    // One that was told to take no connections is not blamed.
    let mut lab = receiver();
    vanishes(&mut lab);
    lab.closes(1).passes(20).closes(1);
    lab.breaks(&[]);
}

#[test]
fn a_sender_sees_who_takes_no_connections_after_it_vanished() {
    let served = |lab: &mut Lab| {
        lab.gets(1, 1, &[leg(0)]);
        vanishes(lab);
    };
    let mut lab = fresh(Side::Server);
    served(&mut lab);
    lab.closes(1).passes(6).closes(1);
    lab.breaks(&["CDR-22"]);
    let mut lab = fresh(Side::Server);
    served(&mut lab);
    lab.closes(1).passes(2).opens(1).gets(1, 1, &[leg(1)]).closes(1).passes(20).closes(1);
    lab.breaks(&[]);
}

#[test]
fn a_sender_is_not_sure_that_a_set_on_a_used_connection_arrived() {
    let lab = |cause| {
        let mut lab = fresh(Side::Server);
        lab.gets(1, 1, &[leg(0)]);
        unanswered(&mut lab, &[leg(1)], false, cause);
        lab
    };
    lab(EndCause::PeerClosed).breaks(&[]);
    lab(EndCause::PeerReset).breaks(&[]);
    let mut lab = fresh(Side::Server);
    unanswered(&mut lab, &[leg(0)], false, EndCause::PeerClosed);
    lab.breaks(&["CDR-20"]);
    let mut lab = fresh(Side::Server);
    lab.set(1, 1, &[leg(0)]);
    let link: LinkId = lab.link_of(1);
    lab.script.observe(Event::LinkFault { link, what: "nonsense" });
    lab.breaks(&["CDR-20"]);
}

#[test]
fn the_harness_gives_itself_the_time_that_it_was_late() {
    let mut lab = receiver();
    let set = lab.set(1, 1, &[leg(3)]);
    lab.passes(6);
    lab.script.observe(Event::HarnessLate { by: Duration::from_secs(6) });
    lab.answers(set, 200);
    lab.breaks(&[]);
}

#[test]
fn what_is_no_set_of_records_may_be_refused() {
    for body in ["", "nonsense", "<records session='x'/>", "<other/>", "<records><record>"] {
        let mut lab = receiver();
        let set = lab.body(1, body.as_bytes());
        lab.answers(set, 400);
        lab.breaks(&[]);
    }
}
