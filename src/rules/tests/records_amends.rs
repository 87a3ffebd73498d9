//! What is owed to a receiver after something failed, and what is not.

use super::sender::{Lab, leg, legs, numbered};
use crate::protocol::http::{Method, Request, Response};
use crate::trace::{EndCause, Event, ExchangeId};

/// How often CDR-03 was found to be broken, and nothing else.
#[track_caller]
fn times_not_sent_again(lab: Lab) -> u64 {
    let counts = lab.script.finish().finding_counts;
    assert_eq!(counts.keys().map(|id| id.as_str()).collect::<Vec<_>>(), ["CDR-03"]);
    counts.values().sum()
}

#[test]
fn what_fails_again_is_owed_once() {
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 503).passes(5).refuses(1, 9, &legs(0..3), 503).passes(90);
    assert_eq!(times_not_sent_again(lab), 1);
    // So is what the first error status refuses.
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..3), 400).passes(40);
    assert_eq!(times_not_sent_again(lab), 1);
}

#[test]
fn what_may_have_been_taken_for_acknowledged_is_not_owed() {
    // Answered late, sent again meanwhile, and then refused.
    let mut lab = Lab::new();
    let late = lab.gets(1, 9, &legs(0..1)).set(1, 9, &legs(1..3));
    lab.passes(4).answers(late, 200).link(1).refuses(1, 9, &legs(1..3), 503).passes(90);
    lab.breaks(&[]);
    // Refused, and then taken in a way that may count.
    let mut lab = Lab::new();
    lab.refuses(1, 9, &legs(0..2), 503).refuses(1, 9, &legs(0..2), 204).passes(90);
    lab.breaks(&[]);
}

#[test]
fn nothing_is_owed_to_who_is_taken_off() {
    // A set that was cut off.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..1)).cuts(1).api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(90);
    lab.breaks(&[]);
    // What is missing, and nothing says yet why.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..1)).gets(1, 9, &legs(3..4));
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(90);
    lab.breaks(&[]);
    // One more entry that leads here takes nothing away.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..1)).cuts(1).configures(2, &Lab::uri(1), 200).passes(90);
    lab.breaks(&["CDR-03"]);
}

#[test]
fn who_is_added_again_may_be_served_over_another_connection() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..1)).ends(1, EndCause::PeerClosed);
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).configures(8, &Lab::uri(1), 200).passes(10);
    lab.gets(1, 9, &legs(1..2));
    lab.breaks(&[]);
}

#[test]
fn a_receiver_may_be_served_before_the_api_answers() {
    let asks = |lab: &mut Lab, method: Method, target: &str, uri: &str| {
        let body = form_urlencoded::Serializer::new(String::new()).append_pair("uri", uri).finish();
        let request = Request { body: body.into(), ..Request::new(method, target) };
        lab.script.observe(Event::RequestSent { exchange: ExchangeId(900), request: &request });
    };
    // One that was taken off is added again, or another entry is led to it.
    for (method, target, other) in [
        (Method::Post, "/api/v1/system/cdrReceivers".to_owned(), false),
        (Method::Put, "/api/v1/system/cdrReceiver".to_owned(), false),
        (Method::Put, Lab::entry(2), false),
        (Method::Put, Lab::entry(2), true),
    ] {
        let mut lab = Lab::new();
        lab.receiver(2).gets(1, 9, &legs(0..2)).gets(2, 9, &legs(0..2));
        lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).passes(10);
        asks(&mut lab, method, &target, &if other { Lab::uri(7) } else { Lab::uri(1) });
        lab.link(1).gets(1, 9, &legs(2..3));
        lab.breaks(if other { &["CDR-15"] } else { &[] });
    }
    // Under another path.
    for (path, broken) in [("/new", &[][..]), ("/else", &["CDR-16"])] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..2));
        asks(&mut lab, Method::Put, &Lab::entry(1), "http://127.0.0.1:7001/new");
        lab.head.1 = path.to_owned();
        lab.gets(1, 9, &legs(2..3));
        lab.breaks(broken);
    }
}

#[test]
fn only_what_is_wrong_at_the_time_is_to_blame() {
    // Another receiver failed once, long ago, and one is gone since then.
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..2)).gets(2, 9, &legs(0..2));
    lab.refuses(2, 9, &legs(2..3), 503).gets(2, 9, &legs(2..3)).gets(1, 9, &legs(2..3)).passes(200);
    lab.gets(2, 9, &legs(3..4)).passes(100);
    lab.breaks(&["CDR-13"]);
    let mut lab = Lab::new();
    lab.receiver(2).receiver(3);
    (1..=3).for_each(|receiver| _ = lab.gets(receiver, 9, &legs(0..2)));
    lab.closes(3).passes(200).gets(2, 9, &legs(2..3)).passes(100);
    lab.breaks(&["CDR-19"]);
}

#[test]
fn a_receiver_that_stands_alone_may_be_in_the_list_twice() {
    let mut lab = Lab::idle();
    lab.opens(1);
    for target in ["/cdr", "/other"] {
        lab.head.1 = target.to_owned();
        lab.link(1).gets(1, 9, &legs(0..3));
    }
    lab.passes(60);
    lab.breaks(&[]);
    // The very same entry twice has a connection for each; the same connection is that of one entry.
    let mut lab = Lab::idle();
    lab.opens(1).gets(1, 9, &legs(0..3)).link(1).gets(1, 9, &legs(0..3));
    lab.breaks(&[]);
    let mut lab = Lab::idle();
    lab.opens(1).gets(1, 9, &legs(0..3)).gets(1, 9, &legs(0..3));
    lab.breaks(&["CDR-02"]);
}

#[test]
fn numbers_that_were_acknowledged_are_not_given_out_again() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &[numbered(leg(0), 1)]).gets(1, 9, &[numbered(leg(1), 1)]);
    lab.breaks(&["CDR-11"]);
}

#[test]
fn records_in_the_middle_that_come_after_later_ones_are_out_of_order() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..1)).refuses(1, 9, &legs(1..4), 503).gets(1, 9, &legs([1, 4])).gets(1, 9, &legs(2..4));
    lab.passes(60);
    lab.breaks(&["CDR-04"]);
}

#[test]
fn what_other_answers_lead_to_is_noted_where_they_went_out() {
    let noted = |answer: &dyn Fn(&mut Lab)| {
        let mut lab = Lab::new();
        answer(&mut lab);
        lab.gets(1, 9, &legs(2..3));
        lab.script.finish().characteristics.iter().any(|one| one.name == "other-2xx")
    };
    assert!(noted(&|lab| _ = lab.refuses(1, 9, &legs(0..2), 204)));
    // One that is only late, or half an answer.
    assert!(!noted(&|lab| {
        let set = lab.set(1, 9, &legs(0..2));
        lab.passes(4).answers(set, 200);
    }));
    assert!(!noted(&|lab| {
        let set = lab.set(1, 9, &legs(0..2));
        lab.script.observe(Event::SetAnswered { set, status: 204, whole: false, planned: true });
        lab.ends(1, EndCause::Closed);
    }));
}
