//! What holds for all inputs, all dialects and all mutants: nothing panics, nothing grows without bound, timers move on,
//! every mutant changes something that a client can see, and the same seed gives the same bytes.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::bench::{Bench, Plan};
use super::dialects::DIALECTS;
use super::{ConnectionKey, ExchangeKey};
use crate::protocol::api::names::AUTH_TOKENS;
use crate::protocol::http::{Credentials, Method, Request};
use crate::protocol::ws::frame::Opcode;
use crate::protocol::ws::handshake::upgrade_request;

/// Requests for tokens and upgrades, good and bad.
fn come_in(bench: &mut Bench, log: &mut Vec<String>) {
    for (credentials, _) in Credentials::NAMES {
        let answer = bench.request(&Request { credentials, ..Request::new(Method::Post, AUTH_TOKENS) });
        log.push(format!("{answer:?}"));
    }
    let answer = bench.call(Method::Post, AUTH_TOKENS, "");
    let token = answer.headers.get("x-cisco-cms-auth-token").unwrap_or("none").to_owned();
    let altered = format!("{}{}", &token[..token.len().max(1) - 1], "0");
    for token in [Some("unknown"), None, Some(altered.as_str()), Some(token.as_str())] {
        let answer = bench.request(&upgrade_request(token, [5; 16]));
        log.push(format!("{answer:?}"));
    }
    let [older, _newer] = [0; 2].map(|_| bench.call(Method::Post, AUTH_TOKENS, ""));
    let older = older.headers.get("x-cisco-cms-auth-token").unwrap_or("none").to_owned();
    log.push(format!("{:?}", bench.request(&upgrade_request(Some(&older), [5; 16]))));
    for _ in 0..4 {
        let answer = bench.call(Method::Post, AUTH_TOKENS, "");
        let token = answer.headers.get("x-cisco-cms-auth-token").unwrap_or("none").to_owned();
        log.push(format!("{:?}", bench.request(&upgrade_request(Some(&token), [5; 16]))));
    }
}

fn id_of(answer: &crate::protocol::http::Response) -> String {
    answer.headers.get("location").and_then(|path| path.rsplit('/').next()).unwrap_or("none").to_owned()
}

fn set_for(call: &str, base: u64) -> Value {
    json!([
        {"index": base, "type": "calls", "elements": ["name", "participants", "lockState", "callCorrelator", "distributedInstances"]},
        {"index": base + 1, "type": "callInfo", "call": call,
            "elements": ["participants", "lockState", "joinAudioMuteOverride", "distributedInstances", "callCorrelator"]},
        {"index": base + 2, "type": "callRoster", "call": call,
            "elements": ["name", "state", "importance", "layout", "activeSpeaker", "canMoveToLobby", "movedParticipant", "audioMuted"]},
        {"index": base + 3, "type": "callRoster", "call": call},
        {"index": base + 4, "type": "callRoster", "call": call, "elements": ["audioMuted", "videoMuted"]}
    ])
}

/// Two clients and a call with everything that can happen in it.
fn confer(bench: &mut Bench) {
    let space = id_of(&bench.call(Method::Post, "/api/v1/coSpaces", "name=space"));
    let call = id_of(&bench.call(Method::Post, "/api/v1/calls", &format!("coSpace={space}&name=one")));
    let other = id_of(&bench.call(Method::Post, "/api/v1/calls", "name=ad+hoc"));
    let target = format!("/api/v1/calls/{call}/participants");
    let keys: Vec<u64> = bench.seen.keys().copied().take(2).collect();
    for key in &keys {
        bench.subscribe(*key, 10, &set_for(&call, 1));
    }
    bench.pass(300);
    let who = id_of(&bench.call(Method::Post, &target, "remoteParty=alice@lab"));
    bench.call(Method::Post, &target, "remoteParty=busy@lab");
    bench.pass(500);
    let leg = bench.call(Method::Get, &format!("/api/v1/participants/{who}/callLegs"), "").text().into_owned();
    let leg = leg.split("id=\"").nth(1).map_or("none", |rest| &rest[..36]).to_owned();
    for (target, form) in [
        (format!("/api/v1/calls/{call}"), "locked=true&name=two"),
        (format!("/api/v1/calls/{call}"), "locked=false"),
        (format!("/api/v1/calls/{call}"), "joinAudioMuteOverride=true"),
        (format!("/api/v1/calls/{call}"), "joinAudioMuteOverride="),
        (format!("/api/v1/callLegs/{leg}"), "rxAudioMute=true&chosenLayout=stacked"),
        (format!("/api/v1/participants/{who}"), "importance=5"),
        (format!("/api/v1/participants/{who}"), "importance="),
        (format!("/emulator/v1/participants/{who}"), "activeSpeaker=true&canMoveToLobby=true"),
        (format!("/emulator/v1/participants/{who}"), "activeSpeaker=false"),
    ] {
        bench.call(Method::Put, &target, form);
        bench.pass(60);
    }
    let moved = format!("movedParticipant={who}");
    let who = id_of(&bench.call(Method::Post, &format!("/api/v1/calls/{other}/participants"), &moved));
    for key in &keys {
        bench.subscribe(*key, 11, &set_for(&other, 1));
        bench.call(Method::Put, &format!("/api/v1/calls/{other}"), &format!("name=during{key}"));
        bench.pass(300);
        bench.subscribe(*key, 30, &set_for(&other, 1));
        bench.call(Method::Put, &format!("/api/v1/calls/{other}"), &format!("name=kept{key}"));
        bench.pass(300);
        bench.subscribe(*key, 25, &set_for(&other, 50));
        bench.subscribe(*key, 26, &set_for(&other, 60));
        bench.pass(300);
        bench.subscribe(*key, 26, &json!([{"index": 7, "type": "callInfo", "call": "nobody"}, {"index": 8, "type": "callInfo", "call": other, "elements": ["name"]}]));
        bench.pass(300);
        bench.subscribe(*key, 27, &set_for(&other, 1));
        bench.pass(300);
    }
    bench.call(Method::Delete, &format!("/api/v1/participants/{who}"), "");
    bench.call(Method::Post, &format!("/api/v1/calls/{other}/participants"), "remoteParty=bob");
    bench.call(Method::Post, &format!("/api/v1/calls/{other}/participants"), "remoteParty=carol");
    bench.pass(300);
    for key in keys.iter().take(1) {
        bench.subscribe(*key, 28, &set_for(&other, 80));
    }
    for call in [&other, &call] {
        bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
        bench.pass(100);
    }
    for key in &keys {
        bench.subscribe(*key, 29, &set_for(&call, 90));
    }
    bench.pass(100);
}

/// Odd frames, large sets, held back acks, ends.
fn misbehave(bench: &mut Bench, log: &mut Vec<String>, large: bool) {
    let keys: Vec<u64> = bench.seen.keys().copied().collect();
    let set = |count: u64| (1..=count).map(|index| json!({"index": index, "type": "calls"})).collect::<Value>();
    for count in [100, 101].into_iter().filter(|_| large) {
        for key in &keys {
            bench.subscribe(*key, 40, &set(count));
            bench.pass(100);
        }
        let call = id_of(&bench.call(Method::Post, "/api/v1/calls", ""));
        bench.pass(100);
        bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
    }
    for key in &keys {
        bench.subscribe(*key, 50, &json!([]));
        bench.subscribe(*key, 51, &json!([{"index": 1, "type": "calls", "elements": ["name"]}]));
        bench.pass(100);
        bench.send(*key, r#"{"type":"message","message":{"messageId":61,"type":"greeting"}}"#);
        bench.send(*key, "{");
    }
    bench.acking = false;
    for name in ["x", "y", "z"] {
        bench.call(Method::Post, "/api/v1/calls", &format!("name={name}"));
    }
    for key in &keys {
        let waiting = bench.seen[key].texts.iter().rev().find_map(|text| text["message"]["messageId"].as_u64());
        bench.subscribe(*key, waiting.unwrap_or(1), &json!([]));
        bench.ack(*key, waiting.unwrap_or(1));
        bench.pass(100);
    }
    bench.acking = true;
    if let [first, second, third, fourth, ..] = keys[..] {
        bench.server.handle_ended(bench.now, ConnectionKey(first));
        log.push(format!("{:?}", bench.try_open_with("one")));
        bench.send_frame(second, Opcode::CLOSE, true, &[3, 232]);
        log.push(format!("{:?}", bench.try_open_with("two")));
        bench.send_frame(third, Opcode::PING, true, b"p");
        bench.send_frame(third, Opcode::BINARY, true, b"b");
        bench.send_frame(fourth, Opcode::TEXT, false, b"{");
        bench.pass(1000);
        log.push(format!("{:?}", bench.try_open_with("three")));
    }
    bench.pass(2000);
}

/// Everything that clients saw of a whole session.
fn session(items: &[&str], large: bool) -> String {
    let mut bench = Bench::with(items, Vec::new());
    let mut log = Vec::new();
    come_in(&mut bench, &mut log);
    confer(&mut bench);
    misbehave(&mut bench, &mut log, large);
    log.push(bench.transcript.clone());
    log.join("\n")
}

fn receivers(bench: &mut Bench, log: &mut Vec<String>) {
    let node = "/api/v1/system/cdrReceivers";
    for port in 5000..5005 {
        bench.receptions.entry(port).or_default();
        let uri = format!("uri=http://127.0.0.1:{port}/Cdr?id=cms1%2526a");
        let id = id_of(&bench.call(Method::Post, node, &uri));
        log.push(bench.call(Method::Get, &format!("{node}/{id}"), "").text().into_owned());
    }
    log.push(bench.call(Method::Get, node, "").text().into_owned());
    let first = |port: u16, plans: Vec<Plan>, bench: &mut Bench| {
        bench.receptions.get_mut(&port).unwrap().plans = plans.into();
    };
    first(5000, vec![Plan::status(404), Plan::Close, Plan::status(500), Plan::Silent], bench);
    first(5001, vec![Plan::status(200), Plan::Close, Plan::Close, Plan::Close], bench);
}

/// A meeting with everything that records tell of.
fn meet(bench: &mut Bench, space: &str) {
    let arrive = |bench: &mut Bench, form: &str| {
        let leg = id_of(&bench.call(Method::Post, "/emulator/v1/callLegs", form));
        bench.pass(120);
        leg
    };
    let waiting = arrive(bench, "remoteParty=anna&type=acano&guest=true");
    bench.call(Method::Post, &format!("/emulator/v1/callLegs/{waiting}/move"), &format!("coSpace={space}"));
    let legs: Vec<String> = ["", "&subType=avaya", "&subType=webApp", "&lyncSubType=audioVideo", "&cdrTag=own"]
        .iter()
        .map(|more| arrive(bench, &format!("remoteParty=ben&coSpace={space}{more}")))
        .collect();
    let call = bench.call(Method::Get, "/api/v1/calls", "").text().into_owned();
    let call = call.split("id=\"").nth(1).map_or("none", |rest| &rest[..36]).to_owned();
    let target = format!("/api/v1/calls/{call}");
    for form in
        ["recording=true&streaming=true", "recording=false", "recording=true", "streaming=false", "streaming=true"]
    {
        bench.call(Method::Put, &target, form);
        bench.pass(20);
    }
    let dialled = id_of(&bench.call(Method::Post, &format!("{target}/callLegs"), "remoteParty=eve&confirmation=true"));
    let refused = id_of(&bench.call(Method::Post, &format!("{target}/callLegs"), "remoteParty=una&confirmation=true"));
    for party in ["busy", "rejects"] {
        bench.call(Method::Post, &format!("{target}/participants"), &format!("remoteParty={party}"));
    }
    bench.pass(400);
    let media = "rxAudio=opus&presentationViewer=20.0&alarm=packetLoss:1.5&canMove=false&deactivated=true";
    for (leg, form) in [
        (&dialled, "confirmation=confirmed"),
        (&dialled, "ownerId=7"),
        (&refused, "confirmation=rejected"),
        (&legs[0], media),
    ] {
        bench.call(Method::Put, &format!("/emulator/v1/callLegs/{leg}"), form);
        bench.pass(20);
    }
    let who = bench.call(Method::Get, &format!("{target}/participants"), "").text().into_owned();
    let who = who.split("id=\"").nth(5).map_or("none", |rest| &rest[..36]).to_owned();
    let other = id_of(&bench.call(Method::Post, "/api/v1/calls", "name=ad+hoc+%26+more&cdrTag=x"));
    bench.call(Method::Post, &format!("/api/v1/calls/{other}/participants"), &format!("movedParticipant={who}"));
    for reason in ["timeout", "apiInitiatedTeardown"] {
        let leg = arrive(bench, "remoteParty=ivr");
        bench.call(Method::Delete, &format!("/emulator/v1/callLegs/{leg}?reason={reason}"), "");
    }
    bench.call(Method::Delete, &format!("/api/v1/callLegs/{}", legs[1]), "");
    bench.call(Method::Delete, &format!("/emulator/v1/callLegs/{}", legs[2]), "");
    arrive(bench, &format!("remoteParty=late&coSpace={space}"));
    bench.pass(1_200);
    for call in [&other, &call] {
        bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
        bench.pass(100);
    }
}

/// Everything that receivers saw of meetings, failures, outages and a restart.
fn record_session() -> String {
    let mut bench = Bench::with(&["cdr-queue=8"], Vec::new());
    let mut log = Vec::new();
    receivers(&mut bench, &mut log);
    let tag = "t".repeat(80);
    let space = id_of(&bench.call(Method::Post, "/api/v1/coSpaces", &format!("name=room&cdrTag=%C3%A4{tag}%26more")));
    let outage = |bench: &mut Bench, space: &str| {
        for refuses in [true, false] {
            bench.receptions.get_mut(&5002).unwrap().refuses = refuses;
            if refuses {
                for _ in 0..12 {
                    let call = id_of(&bench.call(Method::Post, "/api/v1/calls", "name=short"));
                    bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
                }
                let call = id_of(&bench.call(Method::Post, "/api/v1/calls", &format!("coSpace={space}")));
                bench.pass(50);
                bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
            }
            bench.pass(1_500);
        }
    };
    meet(&mut bench, &space);
    outage(&mut bench, &space);
    bench.call(Method::Put, &format!("/api/v1/coSpaces/{space}"), "name=hall");
    meet(&mut bench, &space);
    outage(&mut bench, &space);
    let pair = [(); 2].map(|()| {
        let form = format!("remoteParty=pair&coSpace={space}");
        let leg = id_of(&bench.call(Method::Post, "/emulator/v1/callLegs", &form));
        bench.pass(50);
        leg
    });
    for leg in pair {
        bench.call(Method::Delete, &format!("/emulator/v1/callLegs/{leg}?reason=clientInitiatedTeardown"), "");
    }
    bench.pass(100);
    log.push(bench.call(Method::Post, "/emulator/v1/restart", "").status.to_string());
    bench.pass(500);
    meet(&mut bench, &space);
    let listed = bench.call(Method::Get, "/api/v1/system/cdrReceivers", "").text().into_owned();
    for (at, id) in listed.split("id=\"").skip(1).map(|rest| rest[..36].to_owned()).enumerate() {
        let target = format!("/api/v1/system/cdrReceivers/{id}");
        log.push(format!("{:?}", bench.call(Method::Put, &target, &format!("uri=http://127.0.0.1:{}/", 5010 + at))));
        log.push(format!("{:?}", bench.call(Method::Delete, &target, "")));
        bench.call(Method::Post, "/api/v1/calls", "name=last");
    }
    bench.pass(2_000);
    log.push(bench.transcript.clone());
    log.join("\n")
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    assert_eq!(record_session(), record_session());
    for large in [false, true] {
        assert_eq!(session(&[], large), session(&[], large));
    }
}

#[test]
fn every_dialect_carries_a_whole_session() {
    for dialect in DIALECTS {
        let transcript = session(&[dialect.name], false);
        assert!(transcript.contains("callListUpdate"), "{}", dialect.name);
    }
}

#[test]
fn nothing_grows_while_a_client_never_acknowledges() {
    for dialect in ["guide", "coalescing", "no-window", "bundling"] {
        let mut bench = Bench::new(&[dialect, "backlog-limit=50"]);
        let connection = bench.open();
        bench.acking = false;
        let call = bench.create("/api/v1/calls", "");
        for round in 0..200 {
            let set = json!([{"index": round, "type": "calls", "elements": ["name"]}, {"index": 1000, "type": "calls", "elements": ["name"]}]);
            bench.subscribe(connection, 1, &set);
            bench.call(Method::Put, &format!("/api/v1/calls/{call}"), &format!("name=n{round}"));
            bench.call(Method::Post, "/emulator/v1/messages", "message=%7B%22type%22%3A%22x%22%7D");
            bench.pass(30);
            let view = bench.server.view();
            let known = view.connection(ConnectionKey(connection)).unwrap();
            assert!(known.waiting() < 200 && known.outstanding() <= 1024, "{dialect}: {}", known.waiting());
        }
    }
}

#[derive(Debug, Clone)]
enum Act {
    Request(usize, String, String),
    Bytes(u64, Vec<u8>),
    Text(u64, String),
    Ended(u64),
    Pass(u64),
}

fn any_act() -> impl Strategy<Value = Act> {
    let target = prop_oneof![
        Just("/api/v1/calls".to_owned()),
        Just("/api/v1/coSpaces?limit=2&offset=1".to_owned()),
        "/api/v1/(calls|participants|callLegs|coSpaces|system)/?[a-z0-9%*/?&=-]{0,20}",
        "/(emulator/v1|events/v1|api)[a-zA-Z0-9%/?&=]{0,20}",
        "\\PC{0,12}",
    ];
    let form = prop_oneof!["[a-zA-Z]{0,8}=[^&]{0,8}", Just("remoteParty=a&name=&importance=".to_owned())];
    let text = prop_oneof![
        ".{0,40}",
        (any::<i64>(), any::<u64>(), "[a-zA-Z]{0,8}").prop_map(|(id, index, kind)| {
            json!({"type": "message", "message": {"messageId": id, "type": "subscribeRequest", "subscriptions": [
                {"index": index, "type": "calls"}, {"index": index, "type": kind, "call": 1, "elements": [1, "name"]}]}})
            .to_string()
        }),
        any::<u64>().prop_map(|id| json!({"type": "messageAck", "messageAck": {"messageId": id, "status": null}}).to_string()),
    ];
    prop_oneof![
        (0..4_usize, target, form).prop_map(|(method, target, form)| Act::Request(method, target, form)),
        (1..4_u64, prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(key, bytes)| Act::Bytes(key, bytes)),
        (1..4_u64, text).prop_map(|(key, text)| Act::Text(key, text)),
        (1..4_u64).prop_map(Act::Ended),
        (0..500_u64).prop_map(Act::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_input_makes_it_panic(acts in prop::collection::vec(any_act(), 1..30), dialect in 0..DIALECTS.len()) {
        let mut bench = Bench::new(&[DIALECTS[dialect].name]);
        (0..3).for_each(|_| { let _ = bench.try_open(); });
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                Act::Request(method, target, form) => {
                    let method = [Method::Get, Method::Post, Method::Put, Method::Delete][method];
                    let mut request = Request::new(method, target);
                    request.body = form.into_bytes();
                    bench.server.handle_request(bench.now, ExchangeKey(10_000 + number as u64), &request);
                }
                Act::Bytes(key, bytes) => bench.server.handle_bytes(bench.now, ConnectionKey(key), &bytes),
                Act::Text(key, text) => bench.send(key, &text),
                Act::Ended(key) => bench.server.handle_ended(bench.now, ConnectionKey(key)),
                Act::Pass(millis) => bench.pass(millis),
            }
        }
        bench.pass(5000);
        for connection in bench.server.view().connections.values() {
            prop_assert!(connection.waiting() <= 2000);
        }
    }
}
