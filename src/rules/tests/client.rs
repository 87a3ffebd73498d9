//! Events clients under judgement.

use crate::protocol::events::{Resource::Calls, State, write};
use crate::protocol::ws::frame::{Header, Opcode};
use crate::rules::script::Script;
use crate::trace::{EndCause, Side};

fn client() -> Script {
    let mut script = Script::judging(Side::Client);
    script.open(1).subscribed(1, 100, &[(1, Calls, None, &["name"])]);
    script
}

#[test]
fn a_client_in_order_is_not_blamed() {
    for requirement in ["WS-06", "WS-07", "MSG-02", "MSG-06", "SUB-17", "LIM-09"] {
        client().meets(requirement);
    }
}

#[test]
fn each_deviation_of_a_client_breaks_one_requirement() {
    let masked = |opcode| Header { mask: Some([1; 4]), ..Header::new(opcode, 0) };
    for (header, broken) in [
        (masked(Opcode::PING), "WS-06"),
        (masked(Opcode::BINARY), "WS-06"),
        (Header { fin: false, ..masked(Opcode::TEXT) }, "WS-06"),
        (Header::new(Opcode::CLOSE, 0), "WS-07"),
    ] {
        let mut script = client();
        script.frame(1, Side::Client, header, b"");
        script.breaks(&[broken]);
    }
    for (text, broken) in [
        ("nonsense", "MSG-02"),
        (r#"{"type":"subscribeRequest"}"#, "MSG-02"),
        (r#"{"type":"messageAck","messageAck":{"messageId":4711,"status":"success"}}"#, "MSG-06"),
        (
            r#"{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[{"type":"calls"}]}}"#,
            "SUB-17",
        ),
        (
            r#"{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"callInfo"}]}}"#,
            "SUB-17",
        ),
    ] {
        let mut script = client();
        script.client(1, text);
        script.breaks(&[broken]);
    }
}

#[test]
fn each_message_is_acknowledged_once_in_time_with_success() {
    let message = write::subscription_update(7, &[(1, State::Active)]);
    let mut script = client();
    script.says(1, &message).later();
    script.breaks(&["MSG-06"]);
    let mut script = client();
    script.tells(1, 7, &message).client(1, &write::ack(7, "success"));
    script.breaks(&["MSG-06"]);
    let mut script = client();
    script.says(1, &message).client(1, &write::ack(7, "failure"));
    script.breaks(&["MSG-06"]);
}

#[test]
fn what_a_client_does_not_know_is_acknowledged_too() {
    let unknown = write::envelope(7, "somethingNew", [("x", 1.into())]);
    let mut script = client();
    script.tells(1, 7, &unknown);
    script.meets("MSG-13");
    let mut script = client();
    script.says(1, &unknown).later();
    script.breaks(&["MSG-13"]);
    let mut script = client();
    script.says(1, &unknown).ends(1, EndCause::Dropped);
    script.breaks(&["MSG-13"]);
}

#[test]
fn a_client_keeps_to_the_limits() {
    let mut script = Script::judging(Side::Client);
    (1..=6).for_each(|connection| _ = script.open(connection));
    script.breaks(&["LIM-09"]);
    let set: Vec<(u64, crate::protocol::events::Resource, Option<u32>, &[&str])> =
        (1..=101).map(|n| (n, crate::protocol::events::Resource::CallInfo, Some(n as u32), &[][..])).collect();
    let mut script = client();
    script.asks(1, 101, &set);
    script.breaks(&["LIM-09"]);
}
