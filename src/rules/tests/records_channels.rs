//! Records beside events and the API.

use super::records_content::{SPACE, example, in_order};
use super::sender::{Lab, leg, record};
use crate::protocol::cdr::RecordType::CallEnd;
use crate::protocol::events::{Resource, UpdateType, write};
use crate::protocol::http::{Headers, Method, Request, Response};
use crate::rules::script::guid;

/// A call over the API that a receiver was told of before.
fn started(lab: &mut Lab) {
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
    let fields = serde_json::json!({ "participants": 0 }).as_object().unwrap().clone();
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
