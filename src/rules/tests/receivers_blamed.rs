//! What a set that a receiver did not take is laid to, in which words, and by which evidence.

use super::receivers::{fresh, receiver, strange, unanswered, vanishes};
use super::sender::{Lab, after_missing, leg, legs};
use crate::protocol::cdr::{NewRecord, NewSet, Style};
use crate::rules::script::guid;
use crate::rules::verdict::Finding;
use crate::trace::{EndCause, Event, ReceiverId, SetId, Side};

/// The one finding of a trace.
#[track_caller]
fn only(lab: Lab) -> Finding {
    let findings = lab.script.finish().findings;
    assert_eq!(findings.len(), 1, "{findings:#?}");
    findings.into_iter().next().unwrap()
}

/// A set with one text in place of another.
fn with(records: Vec<NewRecord>, old: &str, new: &str) -> Vec<u8> {
    let set = NewSet { session: Some(guid(1)), call_bridge: None, records };
    let text = String::from_utf8(set.to_bytes(&Style::default())).unwrap();
    assert!(text.contains(old), "{text}");
    text.replacen(old, new, 1).into_bytes()
}

#[test]
fn anything_that_is_not_documented_is_found_wherever_it_stands() {
    for (old, new) in [
        ("<records ", "<records x=\"1\" "),
        ("<record ", "<weather/><record "),
        ("<record ", "<record x=\"1\" "),
        ("</record>", "<weather/></record>"),
    ] {
        let mut lab = receiver();
        let set = lab.body(1, &with(vec![leg(3)], old, new));
        lab.answers(set, 400);
        lab.breaks(&["CDR-21"]);
    }
    // What is documented is not.
    let mut lab = receiver();
    lab.refuses(1, 1, &[after_missing(leg(7), 4)], 400);
    lab.breaks(&["CDR-22"]);
}

#[test]
fn what_alone_was_to_blame_before_is_it_again() {
    let mut lab = receiver();
    lab.refuses(1, 1, &legs([3, 4]), 413).refuses(1, 1, &[strange(3), leg(4)], 413);
    lab.breaks(&["CDR-22"]);
    let mut lab = receiver();
    lab.refuses(1, 1, &[strange(3), leg(4)], 413);
    lab.breaks(&["CDR-21"]);
}

#[test]
fn who_answers_has_found_the_set_on_the_connection() {
    let mut lab = fresh(Side::Client);
    lab.gets(1, 1, &[leg(0)]).refuses(1, 1, &[leg(1)], 400);
    lab.breaks(&["CDR-20"]);
}

#[test]
fn a_part_of_an_answer_is_none() {
    let mut lab = receiver();
    let set = lab.set(1, 1, &[leg(3)]);
    lab.script.observe(Event::SetAnswered { set, status: 200, whole: false, planned: false });
    lab.breaks(&["CDR-20"]);
}

#[test]
fn what_it_got_without_an_answer_came_before() {
    let mut lab = receiver();
    unanswered(&mut lab, &[leg(3)], true, EndCause::Closed);
    lab.refuses(1, 1, &[leg(3)], 409);
    lab.breaks(&["CDR-22"]);
    let mut lab = receiver();
    unanswered(&mut lab, &[leg(3)], false, EndCause::PeerClosed);
    lab.refuses(1, 1, &[leg(3)], 409);
    lab.breaks(&["CDR-22"]);
    // The record that came last counts as well.
    let mut lab = receiver();
    lab.refuses(1, 1, &[leg(2)], 409);
    lab.breaks(&["CDR-22"]);
}

#[test]
fn what_a_receiver_cannot_read_is_no_answer_of_its_own() {
    let mut lab = receiver();
    let set = lab.set(1, 1, &[leg(3)]);
    let link = lab.link_of(1);
    lab.script.observe(Event::LinkFault { link, what: "nonsense" });
    lab.answers(set, 200);
    lab.breaks(&[]);
}

#[test]
fn only_the_next_connection_that_the_receiver_ends_unread_is_charged() {
    // The sender ends it itself.
    let mut lab = receiver();
    vanishes(&mut lab);
    lab.link(1).ends(1, EndCause::PeerClosed);
    lab.breaks(&[]);
    // The very one on which the set was cut off.
    let mut lab = receiver();
    let link = lab.link(1).link_of(1);
    let (set, receiver_id) = (SetId(1000), ReceiverId(1));
    lab.script.observe(Event::SetCut { set, link, receiver: receiver_id, arrived_bytes: 9, by_receiver: false });
    lab.ends(1, EndCause::Closed);
    lab.breaks(&[]);
    // One that is older, over which sets came.
    let mut lab = receiver();
    let older = lab.link_of(1);
    lab.link(1);
    vanishes(&mut lab);
    lab.script.observe(Event::LinkEnded { link: older, cause: EndCause::Closed });
    lab.breaks(&[]);
}

#[test]
fn a_finding_says_what_was_expected_and_names_what_proves_it() {
    let mut lab = receiver();
    lab.refuses(1, 1, &[leg(3)], 500);
    assert_eq!(only(lab).expected, "an answer 200 within 5 s");
    let mut lab = receiver();
    lab.refuses(1, 1, &legs([3, 4]), 413);
    assert_eq!(only(lab).expected, "an answer 200, also to several records in a set");
    let mut lab = receiver();
    lab.refuses(1, 1, &[strange(3)], 400);
    assert_eq!(only(lab).expected, "an answer 200, also to a record of a type that is not documented");
    // The set, where it was given up, and the end of the connection.
    let mut lab = receiver();
    unanswered(&mut lab, &[leg(3)], false, EndCause::Closed);
    assert_eq!(only(lab).evidence.len(), 3);
    // The set, its answer, and where the sender vanished, if it is laid to that.
    let mut lab = receiver();
    vanishes(&mut lab);
    lab.refuses(1, 1, &[leg(3)], 400);
    let finding = only(lab);
    assert_eq!((finding.requirement.as_str(), finding.evidence.len()), ("CDR-22", 3));
    let mut lab = receiver();
    lab.refuses(1, 1, &legs([3, 4]), 413);
    vanishes(&mut lab);
    lab.refuses(1, 1, &legs([3, 4]), 413);
    let findings = lab.script.finish().findings;
    assert!(findings.iter().all(|finding| finding.evidence.len() == 2), "{findings:#?}");
}
