//! Records beside events and the API.

use super::records_content::{SPACE, example, in_order};
use super::sender::{Lab, leg, legs, record};
use crate::protocol::cdr::RecordType::CallEnd;
use crate::protocol::events::{Resource, UpdateType, write};
use crate::protocol::http::{Headers, Method, Request, Response};
use crate::rules::script::guid;

/// A call over the API that a receiver was told of before.
pub(super) fn started(lab: &mut Lab) {
    lab.script.starts_call(1, &format!("coSpace={}", guid(SPACE)));
}

/// The same, and events tell of it.
pub(super) fn shown(lab: &mut Lab) {
    lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
    started(lab);
    added(lab);
}

/// Events tell of a call.
pub(super) fn added(lab: &mut Lab) {
    told(lab, 0);
}

/// The same, with so many in it.
fn told(lab: &mut Lab, participants: u32) {
    let fields = serde_json::json!({ "participants": participants }).as_object().unwrap().clone();
    let entry = write::entry(Resource::Calls, &guid(1), UpdateType::Add, fields);
    lab.script.tells(1, 1, &write::list_update(1, Resource::Calls, 1, vec![entry]));
}

#[test]
fn each_call_has_its_records() {
    let mut lab = Lab::new();
    started(&mut lab);
    lab.gets(1, 9, &example()[..7]);
    lab.script.ends_call(1);
    assert!(lab.script.due().is_some());
    lab.gets(1, 9, &example()[7..]);
    assert_eq!(lab.script.due(), None);
    lab.meets("REC-24");
    // No callEnd.
    let mut lab = Lab::new();
    started(&mut lab);
    lab.gets(1, 9, &example()[..7]);
    lab.script.ends_call(1);
    lab.passes(40);
    lab.breaks(&["REC-24"]);
    // No callStart, but another record.
    let mut lab = Lab::new();
    started(&mut lab);
    lab.gets(1, 9, &example()[..1]).passes(40);
    lab.breaks(&[]);
    let mut lab = Lab::new();
    shown(&mut lab);
    lab.gets(1, 9, &example()[..1]).passes(40);
    lab.breaks(&["REC-24"]);
    // Nothing at all: nobody may have been in it.
    let mut lab = Lab::new();
    started(&mut lab);
    lab.passes(40);
    lab.script.ends_call(1);
    lab.breaks(&[]);
    // The same, but events show it.
    let mut lab = Lab::new();
    shown(&mut lab);
    lab.passes(40);
    lab.breaks(&["CDR-13"]);
    // Of two receivers one.
    let mut lab = Lab::new();
    lab.receiver(2);
    started(&mut lab);
    lab.gets(1, 9, &example()).passes(40);
    lab.breaks(&["CDR-13"]);
    // The other one is down, and so this one gets nothing.
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &example()[..1]).gets(2, 9, &example()[..1]).closes(2);
    shown(&mut lab);
    lab.passes(40);
    lab.breaks(&["CDR-19"]);
    // Not over https, although it connects.
    let mut lab = Lab::idle();
    let uri = "https://127.0.0.1:7001/cdr";
    lab.script.observe(crate::trace::Event::ReceiverOpened { receiver: crate::trace::ReceiverId(1), name: "r", uri });
    lab.configures(1, uri, 200).link(1);
    shown(&mut lab);
    lab.passes(40);
    lab.breaks(&["CDR-16"]);
    // It was configured later.
    let mut lab = Lab::idle();
    started(&mut lab);
    lab.receiver(1).passes(40);
    lab.breaks(&[]);
}

#[test]
fn a_slow_receiver_may_get_the_start_after_a_later_one_got_what_follows() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &example()[..1]);
    started(&mut lab);
    lab.receiver(2).gets(2, 9, &example()[3..4]).gets(1, 9, &example()[1..4]);
    lab.gets(1, 9, &example()[4..5]).gets(2, 9, &example()[4..5]).passes(40);
    lab.breaks(&[]);
}

#[test]
fn events_and_records_agree() {
    let told = |kind, participants: u32| {
        let fields = serde_json::json!({ "participants": participants });
        let fields =
            if kind == UpdateType::Remove { serde_json::Map::new() } else { fields.as_object().unwrap().clone() };
        move |id: u64| {
            let entry = write::entry(Resource::Calls, &guid(1), kind, fields.clone());
            write::list_update(id, Resource::Calls, 1, vec![entry])
        }
    };
    let run = |participants: u32, until: usize| {
        let mut lab = Lab::new();
        lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
        lab.gets(1, 9, &example()[..1]);
        lab.script.tells(1, 1, &told(UpdateType::Add, participants)(1));
        lab.gets(1, 9, &example()[1..7]);
        lab.script.tells(1, 2, &told(UpdateType::Remove, 0)(2));
        if until > 7 {
            lab.gets(1, 9, &example()[7..]);
        }
        lab.passes(40);
        lab
    };
    // Legs may have been in it before there were records.
    let mut lab = Lab::new();
    lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
    lab.gets(1, 9, &in_order(example().split_off(2))[..5]);
    lab.script.tells(1, 1, &told(UpdateType::Add, 9)(1));
    lab.gets(1, 9, &in_order(example().split_off(2))[5..]);
    lab.breaks(&[]);
    run(2, 8).meets("REC-24");
    run(3, 8).breaks(&["REC-24"]);
    run(2, 7).breaks(&["REC-24"]);
}

#[test]
fn the_api_and_records_name_the_same_co_space() {
    let mut lab = Lab::new();
    let request =
        Request { body: format!("coSpace={}", guid(51)).into(), ..Request::new(Method::Post, "/api/v1/calls") };
    let headers = Headers::new().with("Location", format!("/api/v1/calls/{}", guid(1)));
    lab.script.exchange(&request, &Response { headers, ..Response::new(200) });
    lab.gets(1, 9, &example());
    lab.breaks(&["REC-10"]);
}

#[test]
fn an_ad_hoc_call_of_ours_is_no_older_than_the_receiver() {
    let run = |space: &str| {
        let mut lab = Lab::new();
        lab.script.starts_call(1, space);
        let end = record(1, CallEnd, 1, &[("durationSeconds", "10")]);
        lab.gets(1, 9, &[leg(0), end]);
        lab
    };
    run("name=x").breaks(&["REC-03"]);
    // That of a coSpace may have been there before it was asked for.
    run(&format!("coSpace={}", guid(SPACE))).breaks(&[]);
}

/// A receiver that events tell of calls as well, subscribed some time ago.
fn watched() -> Lab {
    let mut lab = Lab::new();
    lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
    lab.passes(10);
    lab
}

/// How often a requirement was found to be broken, where no other was.
#[track_caller]
fn times_broken(lab: Lab, expected: &str) -> u64 {
    let counts = lab.script.finish().finding_counts;
    let broken: Vec<&str> = counts.keys().map(|id| id.as_str()).collect();
    assert_eq!(broken, [expected]);
    counts.values().sum()
}

#[test]
fn what_a_new_subscription_shows_may_be_older_than_all_records() {
    for (wait, broken) in [(1, &[][..]), (10, &["REC-24"])] {
        let mut lab = Lab::new();
        lab.gets(1, 9, &legs(0..1));
        lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
        lab.passes(wait);
        added(&mut lab);
        lab.passes(40);
        lab.breaks(broken);
    }
    // And so may what a later one shows again.
    let mut lab = Lab::new();
    lab.gets(1, 9, &legs(0..1));
    lab.script.open(1).subscribed(1, 1, &[(1, Resource::Calls, None, &["participants"])]);
    added(&mut lab);
    lab.passes(10);
    added(&mut lab);
    lab.passes(40);
    let judgement = lab.script.finish();
    assert!(judgement.findings.iter().all(|finding| finding.requirement.as_str() != "REC-24"));
}

#[test]
fn a_start_is_expected_once_and_of_calls_that_stay() {
    // Events told of it before the first record came.
    let mut lab = watched();
    added(&mut lab);
    lab.gets(1, 9, &legs(0..1)).passes(40);
    assert_eq!(times_broken(lab, "REC-24"), 1);
    // So did the answer of the API, after the events.
    let mut lab = watched();
    let request = Request { body: "name=x".into(), ..Request::new(Method::Post, "/api/v1/calls") };
    let exchange = crate::trace::ExchangeId(900);
    lab.script.observe(crate::trace::Event::RequestSent { exchange, request: &request });
    added(&mut lab);
    let headers = Headers::new().with("Location", format!("/api/v1/calls/{}", guid(1)));
    let response = Response { headers, ..Response::new(200) };
    lab.script.observe(crate::trace::Event::ResponseReceived { exchange, response: &response });
    lab.receiver(2).gets(2, 9, &legs(0..1)).gets(1, 9, &legs(0..1)).passes(40);
    assert_eq!(times_broken(lab, "REC-24"), 1);
    // It was gone before.
    let mut lab = watched();
    added(&mut lab);
    lab.script.ends_call(1);
    lab.gets(1, 9, &legs(0..1)).passes(40);
    lab.breaks(&[]);
}

#[test]
fn each_agreement_counts() {
    let mut lab = watched();
    lab.gets(1, 9, &example()[..1]);
    added(&mut lab);
    lab.gets(1, 9, &example()[1..]);
    assert_eq!(lab.script.times_tested("REC-24"), 1);
    let mut lab = watched();
    lab.gets(1, 9, &example()[..1]);
    told(&mut lab, 2);
    lab.gets(1, 9, &example()[1..]);
    assert_eq!(lab.script.times_tested("REC-24"), 2);
}

#[test]
fn a_record_that_comes_late_is_there() {
    // The end came late, since a receiver that is new got what follows sooner. Nothing else has to come.
    let mut lab = Lab::new();
    started(&mut lab);
    lab.gets(1, 9, &example()[..7]).receiver(2).gets(2, 9, &legs(8..9));
    lab.gets(1, 9, &example()[7..]).gets(1, 9, &legs(8..9));
    lab.script.ends_call(1);
    lab.passes(40);
    lab.breaks(&[]);
    // What came late is expected of the others.
    let mut lab = Lab::new();
    lab.receiver(3).closes(3).opens(3);
    started(&mut lab);
    lab.receiver(2).gets(2, 9, &example()[3..4]).gets(1, 9, &example()[..4]).passes(200);
    lab.breaks(&["CDR-13"]);
}

#[test]
fn what_was_asked_for_before_the_removal_may_still_come_after_it() {
    let mut lab = Lab::new();
    lab.gets(1, 9, &example()[..1]);
    started(&mut lab);
    lab.api(Method::Delete, &Lab::entry(1), "", &Response::new(200)).gets(1, 9, &example()[1..2]);
    lab.breaks(&[]);
}

#[test]
fn a_call_without_records_is_charged_once_and_a_receiver_without_them_by_itself() {
    let ended = |served: &[u32]| {
        let mut lab = Lab::new();
        lab.receiver(2).receiver(3);
        started(&mut lab);
        (1..=3).for_each(|receiver| _ = lab.gets(receiver, 9, &example()[..7]));
        lab.script.ends_call(1);
        served.iter().for_each(|receiver| _ = lab.gets(*receiver, 9, &example()[7..]));
        lab.passes(40);
        lab
    };
    assert_eq!(times_broken(ended(&[]), "REC-24"), 1);
    assert_eq!(times_broken(ended(&[1]), "CDR-13"), 2);
    // A call that comes later makes no difference.
    let mut lab = Lab::new();
    lab.receiver(2);
    started(&mut lab);
    lab.gets(2, 9, &example()[..1]).gets(1, 9, &example());
    lab.script.ends_call(1);
    lab.script.starts_call(2, "name=x");
    lab.passes(40);
    lab.breaks(&["CDR-13"]);
}

#[test]
fn the_evidence_is_what_lets_expect_it() {
    let evidence = |lab: Lab, expected: &str| {
        let findings = lab.script.finish().findings;
        assert_eq!(findings.iter().map(|finding| finding.requirement.as_str()).collect::<Vec<_>>(), [expected]);
        findings[0].evidence.len()
    };
    // The entry, the event, and where it was overdue.
    let mut lab = watched();
    lab.gets(1, 9, &legs(0..1));
    added(&mut lab);
    lab.passes(40);
    assert_eq!(evidence(lab, "REC-24"), 3);
    // And what held it up.
    let mut lab = watched();
    lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1)).closes(2).passes(5);
    added(&mut lab);
    lab.passes(40);
    assert_eq!(evidence(lab, "CDR-19"), 4);
}

#[test]
fn others_are_to_blame_where_they_were_told_of() {
    // One that was never configured.
    let mut lab = watched();
    lab.gets(1, 9, &legs(0..1)).opens(2).closes(2);
    added(&mut lab);
    lab.passes(40);
    lab.breaks(&["REC-24"]);
    // Nothing ever came, since another one is down.
    let mut lab = Lab::new();
    lab.receiver(2).closes(2);
    shown(&mut lab);
    lab.passes(40);
    lab.breaks(&["CDR-19"]);
}

#[test]
fn what_comes_after_what_failed_is_no_other_matter() {
    for cut in [true, false] {
        let mut lab = watched();
        lab.gets(1, 9, &legs(0..1));
        if cut {
            lab.cuts(1);
        } else {
            lab.refuses(1, 9, &legs(1..2), 503);
        }
        added(&mut lab);
        lab.passes(90);
        lab.breaks(&["CDR-03"]);
    }
    // What failed long ago, and came again, explains nothing; what filled the queue shortly before does.
    for (wait, broken) in [(29, &[][..]), (40, &["REC-24"])] {
        let mut lab = watched();
        lab.gets(1, 9, &legs(0..1)).refuses(1, 9, &legs(1..2), 503).gets(1, 9, &legs(1..2)).passes(wait);
        added(&mut lab);
        lab.gets(1, 9, &legs(2..3)).passes(60);
        lab.breaks(broken);
    }
    // A set that could not be read may have held it.
    let mut lab = watched();
    lab.gets(1, 9, &legs(0..1));
    let set = lab.body(1, b"<records");
    lab.answers(set, 200).script.wait_ms(1500);
    added(&mut lab);
    lab.passes(60);
    lab.breaks(&["CDR-01"]);
}

#[test]
fn the_session_before_says_nothing_of_this_one() {
    let mut lab = Lab::new();
    lab.receiver(2).gets(1, 9, &legs(0..1)).gets(2, 9, &legs(0..1)).closes(2).opens(2).gets(2, 9, &legs(1..2));
    lab.gets(1, 9, &legs(1..2)).restarts().gets(1, 10, &legs(0..1));
    lab.refuses(2, 9, &legs(2..3), 200);
    started(&mut lab);
    lab.gets(1, 10, &in_order(example())[1..]).passes(90);
    assert!(lab.script.finish().findings.iter().any(|finding| finding.requirement.as_str() == "CDR-13"));
}
