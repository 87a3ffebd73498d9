//! Tests of the events side: the guide's flow message by message, and what a new set does to the old one.

use serde_json::{Value, json};

use super::bench::Bench;
use crate::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use crate::protocol::http::{Credentials, Method, Request};
use crate::protocol::ws::frame::Opcode;
use crate::protocol::ws::handshake::upgrade_request;

fn states(messages: &[Value]) -> Vec<(u64, String)> {
    messages
        .iter()
        .filter(|message| message["type"] == "subscriptionUpdate")
        .flat_map(|message| message["subscriptions"].as_array().unwrap().clone())
        .map(|entry| (entry["index"].as_u64().unwrap(), entry["state"].as_str().unwrap().to_owned()))
        .collect()
}

fn state_list(list: &[(u64, &str)]) -> Vec<(u64, String)> {
    list.iter().map(|(index, state)| (*index, (*state).to_owned())).collect()
}

fn updates(messages: &[Value]) -> Vec<Value> {
    messages.iter().filter(|message| message["type"] != "subscriptionUpdate").cloned().collect()
}

#[test]
fn the_guides_flow_goes_message_by_message() {
    let mut bench = Bench::new(&[]);
    let connection = bench.open();
    bench.acking = false;
    bench.subscribe(connection, 8, &json!([{"index": 3, "type": "calls", "elements": ["name", "participants"]}]));
    let ack = json!({"type": "messageAck", "messageAck": {"messageId": 8, "status": "success"}});
    let pending = json!({"type": "message", "message":
        {"messageId": 1, "type": "subscriptionUpdate", "subscriptions": [{"index": 3, "state": "pending"}]}});
    assert_eq!(bench.take(connection), [ack, pending]);
    bench.pass(1000);
    assert_eq!(bench.take(connection), [] as [Value; 0]);
    bench.ack(connection, 1);
    let active = json!({"type": "message", "message":
        {"messageId": 2, "type": "subscriptionUpdate", "subscriptions": [{"index": 3, "state": "active"}]}});
    assert_eq!(bench.take(connection), [active]);
    bench.ack(connection, 2);
    let space = bench.create("/api/v1/coSpaces", "name=Andy%27s+coSpace");
    let call = bench.create("/api/v1/calls", &format!("coSpace={space}"));
    let text = bench.take(connection)[0].to_string();
    let expected = format!(
        r#"{{"type":"message","message":{{"messageId":3,"type":"callListUpdate","subscriptionIndex":3,"updates":[{{"call":"{call}","updateType":"add","name":"Andy's coSpace","participants":0}}]}}}}"#
    );
    assert_eq!(text, expected);
    bench.ack(connection, 3);
    bench.create(&format!("/api/v1/calls/{call}/participants"), "remoteParty=alice@example.org");
    let update = json!([{"call": call, "updateType": "update", "participants": 1}]);
    assert_eq!(bench.take(connection)[0]["message"]["updates"], update);
}

#[test]
fn a_kept_subscription_goes_on_and_new_ones_announce_what_stands() {
    let mut bench = Bench::new(&[]);
    let connection = bench.open();
    let call = bench.create("/api/v1/calls", "name=standing");
    bench.create(&format!("/api/v1/calls/{call}/participants"), "remoteParty=alice@example.org");
    bench.pass(500);
    let calls = json!({"index": 3, "type": "calls", "elements": ["participants", "name"]});
    bench.subscribe(connection, 8, &json!([calls]));
    bench.pass(500);
    bench.messages(connection);
    let calls_again = json!({"index": 3, "type": "calls", "elements": ["name", "participants"]});
    bench.subscribe(
        connection,
        8,
        &json!([
            {"index": 1, "type": "callRoster", "call": call.to_uppercase(), "elements": ["name", "state", "importance", "movedParticipant"]},
            {"index": 2, "type": "callInfo", "call": call, "elements": ["lockState", "joinAudioMuteOverride"]},
            calls_again
        ]),
    );
    bench.pass(500);
    let messages = bench.messages(connection);
    assert_eq!(states(&messages), state_list(&[(1, "pending"), (2, "pending"), (2, "active"), (1, "active")]));
    let updates = updates(&messages);
    assert_eq!(updates[0]["callInfo"], json!({"lockState": "unlocked", "joinAudioMuteOverride": false}));
    let entry = &updates[1]["updates"][0];
    assert_eq!(
        (&entry["name"], &entry["state"], &entry["importance"]),
        (&"alice".into(), &"connected".into(), &Value::Null)
    );
    assert!(entry.get("movedParticipant").is_none());
    bench.call(Method::Put, &format!("/api/v1/calls/{call}"), "locked=true&name=renamed");
    let kinds: Vec<Value> = bench.messages(connection);
    assert_eq!(kinds.len(), 2);
    assert_eq!(kinds[0]["callInfo"], json!({"lockState": "locked"}));
    assert_eq!(kinds[1]["updates"], json!([{"call": call, "updateType": "update", "name": "renamed"}]));
}

#[test]
fn reindexing_shrinking_and_emptying_end_what_is_left_out() {
    let mut bench = Bench::new(&[]);
    let connection = bench.open();
    let call = bench.create("/api/v1/calls", "name=one");
    bench.subscribe(
        connection,
        1,
        &json!([{"index": 1, "type": "calls"}, {"index": 2, "type": "callInfo", "call": call}]),
    );
    bench.pass(100);
    bench.messages(connection);
    bench.subscribe(connection, 2, &json!([{"index": 9, "type": "calls"}]));
    bench.pass(100);
    let messages = bench.messages(connection);
    let expected = [(1, "deactivated"), (2, "deactivated"), (9, "pending"), (9, "active")];
    assert_eq!(states(&messages), state_list(&expected));
    assert_eq!(updates(&messages)[0]["updates"], json!([{"call": call, "updateType": "add"}]));
    bench.subscribe(connection, 3, &json!([]));
    bench.pass(100);
    assert_eq!(states(&bench.messages(connection)), state_list(&[(9, "deactivated")]));
    bench.create("/api/v1/calls", "name=two");
    bench.pass(100);
    assert!(bench.take(connection).is_empty());
}

#[test]
fn the_end_of_a_conference_deactivates_its_subscriptions_and_not_calls() {
    let mut bench = Bench::new(&[]);
    let connection = bench.open();
    let call = bench.create("/api/v1/calls", "");
    let who = bench.create(&format!("/api/v1/calls/{call}/participants"), "remoteParty=bob");
    let set = json!([{"index": 1, "type": "calls"}, {"index": 2, "type": "callInfo", "call": call, "elements": ["name"]},
        {"index": 3, "type": "callRoster", "call": call}]);
    bench.subscribe(connection, 1, &set);
    bench.pass(500);
    bench.messages(connection);
    bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
    let messages = bench.messages(connection);
    assert_eq!(messages[0]["updates"], json!([{"call": call, "updateType": "remove"}]));
    assert_eq!(messages[1]["updates"], json!([{"participant": who, "updateType": "remove", "reason": "callEnded"}]));
    assert_eq!(states(&messages), state_list(&[(2, "deactivated"), (3, "deactivated")]));
    bench.subscribe(connection, 2, &set);
    bench.pass(500);
    let again = [(2, "pending"), (3, "pending"), (2, "deactivated"), (3, "deactivated")];
    assert_eq!(states(&bench.messages(connection)), state_list(&again));
}

#[test]
fn a_conference_that_ends_while_pending_never_becomes_active() {
    let mut bench = Bench::new(&["roster-delay=1s"]);
    let connection = bench.open();
    let call = bench.create("/api/v1/calls", "");
    bench.subscribe(connection, 1, &json!([{"index": 3, "type": "callRoster", "call": call}]));
    bench.call(Method::Delete, &format!("/api/v1/calls/{call}"), "");
    bench.pass(2000);
    assert_eq!(states(&bench.messages(connection)), state_list(&[(3, "pending"), (3, "deactivated")]));
}

#[test]
fn the_window_holds_back_and_acks_pass_it() {
    let mut bench = Bench::new(&["window=2"]);
    let connection = bench.open();
    bench.acking = false;
    bench.subscribe(connection, 1, &json!([{"index": 1, "type": "calls"}]));
    bench.pass(100);
    for _ in 0..3 {
        bench.create("/api/v1/calls", "");
    }
    assert_eq!(bench.messages(connection).len(), 2);
    bench.ack(connection, 77);
    bench.ack(connection, 2);
    bench.ack(connection, 2);
    assert_eq!(bench.messages(connection).len(), 1);
    bench.subscribe(connection, 2, &json!([{"index": 1, "type": "calls"}]));
    assert_eq!(
        bench.take(connection),
        [json!({"type": "messageAck", "messageAck": {"messageId": 2, "status": "success"}})]
    );
}

#[test]
fn coalescing_keeps_the_newest_values_only() {
    let mut bench = Bench::new(&["coalescing"]);
    let connection = bench.open();
    let call = bench.create("/api/v1/calls", "name=a");
    bench.subscribe(connection, 1, &json!([{"index": 1, "type": "calls", "elements": ["name"]}]));
    bench.pass(100);
    bench.messages(connection);
    bench.acking = false;
    for name in ["b", "c", "d", "e"] {
        bench.call(Method::Put, &format!("/api/v1/calls/{call}"), &format!("name={name}"));
    }
    let first = bench.messages(connection);
    assert_eq!(first[0]["updates"][0]["name"], "b");
    bench.ack(connection, first[0]["messageId"].as_u64().unwrap());
    let second = bench.messages(connection);
    assert_eq!((second.len(), &second[0]["updates"][0]["name"]), (1, &"e".into()));
}

#[test]
fn five_places_and_no_more_and_an_ended_one_is_free_at_once() {
    for (dialect, refusal) in [("guide", Err(503)), ("closes", Ok(6))] {
        let mut bench = Bench::new(&[dialect]);
        let first = bench.open();
        let second = bench.open();
        for _ in 0..3 {
            bench.open();
        }
        assert_eq!(bench.try_open(), refusal);
        bench.server.handle_ended(bench.now, super::ConnectionKey(first));
        bench.open();
        bench.send_frame(second, Opcode::CLOSE, true, &[3, 232]);
        assert_eq!(bench.seen[&second].others, [(Opcode::CLOSE, vec![3, 232])]);
        assert_eq!(bench.seen[&second].ended, Some("closed"));
        bench.open();
    }
}

#[test]
fn one_subscription_too_many_refuses_all_and_leaves_the_old_set() {
    let set = |count: u64| (0..count).map(|index| json!({"index": index, "type": "calls"})).collect::<Value>();
    for (dialect, status, active) in [("guide", "failure", 0), ("shrugs", "success", 100)] {
        let mut bench = Bench::new(&[dialect]);
        let connection = bench.open();
        bench.subscribe(connection, 5, &set(101));
        bench.pass(1000);
        let texts = bench.take(connection);
        assert_eq!(texts[0]["messageAck"]["status"], status);
        let messages: Vec<Value> = texts.iter().filter_map(|text| text.get("message").cloned()).collect();
        assert_eq!(states(&messages).iter().filter(|(_, state)| state == "active").count(), active);
        bench.subscribe(connection, 6, &set(100));
        bench.pass(1000);
        assert_eq!(bench.take(connection)[0]["messageAck"]["status"], "success");
        let view = bench.server.view();
        let standing = &view.connection(super::ConnectionKey(connection)).unwrap().subscriptions;
        assert!(standing.len() == 100 && standing.values().all(|s| s.state.as_str() == "active"));
    }
}

#[test]
fn tokens_are_for_the_privileged_and_a_bad_one_opens_nothing() {
    let mut bench = Bench::new(&["one-token-one-use"]);
    for (credentials, status) in [
        (Credentials::None, 401),
        (Credentials::WrongPassword, 401),
        (Credentials::UnknownUser, 401),
        (Credentials::Unprivileged, 403),
    ] {
        let response = bench.request(&Request { credentials, ..Request::new(Method::Post, AUTH_TOKENS) });
        assert_eq!((response.status, response.headers.get(TOKEN_HEADER)), (status, None));
    }
    let token = bench.token();
    assert_eq!(bench.request(&upgrade_request(Some("x"), [0; 16])).status, 403);
    assert_eq!(bench.request(&upgrade_request(None, [0; 16])).status, 403);
    assert_eq!(bench.request(&upgrade_request(Some(&token), [0; 16])).status, 101);
    assert_eq!(bench.request(&upgrade_request(Some(&token), [0; 16])).status, 403);
    let late = bench.token();
    bench.pass(31_000);
    assert_eq!(bench.request(&upgrade_request(Some(&late), [0; 16])).status, 403);
}

#[test]
fn what_does_not_belong_costs_only_its_own_connection() {
    let mut bench = Bench::new(&[]);
    let (odd, other) = (bench.open(), bench.open());
    bench.send_frame(odd, Opcode::PING, true, b"hi");
    assert_eq!(bench.seen[&odd].others, [(Opcode::PONG, b"hi".to_vec())]);
    for text in ["{", "[]", "{}", r#"{"type":"message","message":{"messageId":1,"type":"greeting"}}"#] {
        bench.send(odd, text);
    }
    assert!(bench.take(odd).is_empty());
    bench.send_frame(odd, Opcode::BINARY, true, b"hi");
    assert_eq!(bench.seen[&odd].others.last().unwrap().1, [3, 235]);
    bench.pass(1000);
    assert_eq!(bench.seen[&odd].ended, Some("closed"));
    bench.subscribe(other, 1, &json!([{"index": 1, "type": "calls"}]));
    assert_eq!(bench.take(other).len(), 2);
}
