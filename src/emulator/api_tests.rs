//! Tests of the REST side: dials, lists, failures, and that it agrees with the world that events report.

use serde_json::{Value, json};

use super::bench::Bench;
use crate::protocol::http::{Credentials, Method, Request};

#[test]
fn dials_end_as_their_address_says() {
    let mut bench = Bench::new(&[]);
    let connection = bench.open();
    let call = bench.create("/api/v1/calls", "name=dials");
    let roster = json!([{"index": 1, "type": "callRoster", "call": call, "elements": ["state", "direction"]}]);
    bench.subscribe(connection, 1, &roster);
    bench.pass(100);
    for (address, expected) in [
        ("busy@lab", vec!["initial", "remoteBusy"]),
        ("unknown@lab", vec!["initial", "unknownDestination"]),
        ("rejects@lab", vec!["initial", "ringing", "remoteRejected"]),
        ("no-answer@lab", vec!["initial", "ringing", "ringingTimeout"]),
        ("alice@lab", vec!["initial", "ringing", "connected"]),
    ] {
        bench.messages(connection);
        bench.create(&format!("/api/v1/calls/{call}/participants"), &format!("remoteParty={address}"));
        bench.pass(3000);
        let seen: Vec<Value> = bench
            .messages(connection)
            .iter()
            .flat_map(|message| message["updates"].as_array().unwrap().clone())
            .map(|entry| entry.get("state").or_else(|| entry.get("reason")).unwrap().clone())
            .collect();
        assert_eq!(seen, expected, "{address}");
    }
}

#[test]
fn lists_come_in_pages_and_count_all_matches() {
    let mut bench = Bench::new(&["list-cap=3"]);
    assert_eq!(bench.get("/api/v1/cospaces/").get_attribute("total"), Some("0"));
    for name in ["one", "two", "three", "four", "five"] {
        bench.create("/api/v1/coSpaces", &format!("name={name}&uri={name}"));
    }
    let names = |list: &crate::protocol::api::xml::Element| {
        list.children.iter().map(|space| space.text_at(&["name"]).unwrap().to_owned()).collect::<Vec<_>>()
    };
    let page = bench.get("/api/v1/coSpaces?limit=10");
    assert_eq!(
        (page.get_attribute("total"), names(&page)),
        (Some("5"), vec!["one".into(), "two".into(), "three".into()])
    );
    let page = bench.get("/api/v1/coSpaces?limit=2&offset=4");
    assert_eq!((page.get_attribute("total"), names(&page)), (Some("5"), vec!["five".to_owned()]));
    assert_eq!(names(&bench.get("/api/v1/coSpaces?filter=FO")), ["four"]);
    assert!(bench.get("/api/v1/coSpaces?offset=99999999999").children.is_empty());
}

#[test]
fn failures_name_their_reason() {
    let mut bench = Bench::new(&[]);
    let nobody = "00000000-0000-4000-8000-000000000000";
    for (method, target, form, status, reason) in [
        (Method::Get, format!("/api/v1/calls/{nobody}"), "", 404, "callDoesNotExist"),
        (Method::Delete, format!("/api/v1/coSpaces/{nobody}"), "", 404, "coSpaceDoesNotExist"),
        (Method::Put, format!("/api/v1/participants/{nobody}"), "", 404, "participantDoesNotExist"),
        (Method::Put, format!("/api/v1/callLegs/{nobody}"), "", 404, "callLegDoesNotExist"),
        (Method::Post, "/api/v1/calls".to_owned(), "locked=maybe", 400, "parameter=\"locked\""),
        (Method::Get, "/api/v1/calls?limit=-1".to_owned(), "", 400, "parameterError"),
        (Method::Get, "/api/v1/nothing".to_owned(), "", 404, "unrecognizedObject"),
        (Method::Put, "/api/v1/calls".to_owned(), "", 400, "invalidOperation"),
    ] {
        let response = bench.call(method, &target, form);
        assert_eq!(response.status, status, "{target}");
        assert!(response.text().contains(reason), "{target}: {}", response.text());
    }
    let request = Request { credentials: Credentials::None, ..Request::new(Method::Get, "/api/v1/calls") };
    assert_eq!(bench.request(&request).status, 401);
}

#[test]
fn changes_show_in_the_api_and_in_events_alike() {
    let mut bench = Bench::new(&[]);
    let connection = bench.open();
    let call = bench.create("/api/v1/calls", "name=a");
    let who = bench.create(&format!("/api/v1/calls/{call}/participants"), "remoteParty=alice@lab&importance=3");
    let elements = ["audioMuted", "videoMuted", "importance", "layout", "activeSpeaker"];
    bench.subscribe(connection, 1, &json!([{"index": 1, "type": "callRoster", "call": call, "elements": elements}]));
    bench.pass(1000);
    let add = bench.messages(connection).pop().unwrap()["updates"][0].clone();
    assert_eq!(
        (&add["importance"], &add["layout"], &add["audioMuted"]),
        (&3.into(), &"allEqual".into(), &false.into())
    );
    let leg =
        bench.get(&format!("/api/v1/participants/{who}/callLegs")).children[0].get_attribute("id").unwrap().to_owned();
    bench.call(Method::Put, &format!("/api/v1/callLegs/{leg}"), "rxAudioMute=true&chosenLayout=stacked");
    bench.call(Method::Put, &format!("/api/v1/participants/{who}"), "importance=");
    bench.call(Method::Put, &format!("/emulator/v1/participants/{who}"), "activeSpeaker=true");
    let entries: Vec<Value> = bench.messages(connection).iter().map(|message| message["updates"][0].clone()).collect();
    let entry = |fields: Value| {
        let mut entry = json!({"participant": who, "updateType": "update"});
        entry.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        entry
    };
    let expected = [
        entry(json!({"audioMuted": true, "layout": "stacked"})),
        entry(json!({"importance": null})),
        entry(json!({"activeSpeaker": true})),
    ];
    assert_eq!(entries, expected);
    let shown = bench.get(&format!("/api/v1/callLegs/{leg}"));
    assert_eq!(shown.text_at(&["configuration", "rxAudioMute"]), Some("true"));
    assert_eq!(shown.text_at(&["status", "layout"]), Some("stacked"));
    assert_eq!(bench.get(&format!("/api/v1/participants/{who}")).text_at(&["configuration", "importance"]), None);
}

#[test]
fn a_move_names_where_it_came_from() {
    let mut bench = Bench::new(&[]);
    let (from, to) = (bench.create("/api/v1/calls", "name=from"), bench.create("/api/v1/calls", "name=to"));
    let old = bench.create(&format!("/api/v1/calls/{from}/participants"), "remoteParty=alice@lab");
    bench.pass(1000);
    let new = bench.create(&format!("/api/v1/calls/{to}/participants"), &format!("movedParticipant={old}"));
    let shown = bench.get(&format!("/api/v1/participants/{new}"));
    assert_eq!(shown.text_at(&["movedParticipant"]), Some(old.as_str()));
    assert_eq!(bench.get(&format!("/api/v1/calls/{from}/participants")).get_attribute("total"), Some("0"));
    assert_eq!(bench.get(&format!("/api/v1/calls/{to}")).text_at(&["numParticipantsLocal"]), Some("1"));
}

#[test]
fn the_end_of_a_co_space_ends_its_call() {
    let mut bench = Bench::new(&[]);
    let space = bench.create("/api/v1/coSpaces", "name=space");
    let call = bench.create("/api/v1/calls", &format!("coSpace={space}"));
    assert_eq!(bench.create("/api/v1/calls", &format!("coSpace={space}")), call);
    bench.call(Method::Delete, &format!("/api/v1/coSpaces/{space}"), "");
    assert_eq!(bench.get("/api/v1/calls").get_attribute("total"), Some("0"));
}

#[test]
fn a_message_by_the_test_api_reaches_every_connection() {
    let mut bench = Bench::new(&[]);
    let (a, b) = (bench.open(), bench.open());
    let form = "message=%7B%22type%22%3A%22novelty%22%2C%22x%22%3A1%7D";
    assert_eq!(bench.call(Method::Post, "/emulator/v1/messages", form).status, 200);
    for connection in [a, b] {
        assert_eq!(bench.messages(connection), [json!({"messageId": 1, "type": "novelty", "x": 1})]);
    }
    assert_eq!(bench.call(Method::Get, "/emulator/v1", "").status, 200);
}
