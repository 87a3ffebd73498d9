//! How connections end and who is to blame for it: what lies just beside what the other tests show.

use std::time::Duration;

use serde_json::json;

use crate::protocol::events::Resource::Calls;
use crate::protocol::events::{State, write};
use crate::protocol::ws::frame::{Header, Opcode};
use crate::rules::script::Script;
use crate::trace::{EndCause, Event, Side};

fn masked(opcode: Opcode) -> Header {
    Header { mask: Some([1; 4]), ..Header::new(opcode, 0) }
}

fn client() -> Script {
    let mut script = Script::judging(Side::Client);
    script.open(1).subscribed(1, 100, &[(1, Calls, None, &["name"])]);
    script
}

#[test]
fn only_a_server_that_leaves_is_disturbed_by_another_client() {
    let mut script = Script::server();
    script.open(1).open(2).frame(1, Side::Client, masked(Opcode::PING), b"").ends(2, EndCause::Closed);
    script.breaks(&[]);
    // What was sent before the connection began did not end it.
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, masked(Opcode::PING), b"").open(2).ends(2, EndCause::PeerReset);
    script.breaks(&[]);
    let mut script = Script::server();
    (1..=5).for_each(|connection| _ = script.open(connection));
    script.refused(6, 503).ends(1, EndCause::Closed).wait_ms(1000).open(7).ends(7, EndCause::PeerClosed);
    script.breaks(&[]);
}

#[test]
fn a_sixth_connection_is_waited_for() {
    let mut script = Script::server();
    (1..=5).for_each(|connection| _ = script.open(connection));
    assert_eq!(script.due(), None);
    script.open(6);
    assert!(script.due().is_some());
}

#[test]
fn an_ack_of_a_client_that_comes_too_late_is_charged_once() {
    let mut script = client();
    script.says(1, &write::subscription_update(7, &[(1, State::Active)])).later().client(1, &write::ack(7, "success"));
    let judgement = script.finish();
    let count: u64 = judgement.finding_counts.values().sum();
    assert_eq!(count, 1, "{judgement:#?}");
}

#[test]
fn who_closes_first_ends_the_connection() {
    let closing = |first: Side| {
        let mut script = client();
        script.says(1, &write::envelope(7, "somethingNew", [("x", json!(1))]));
        for side in [first, first.other()] {
            let header = if side == Side::Client { masked(Opcode::CLOSE) } else { Header::new(Opcode::CLOSE, 0) };
            script.frame(1, side, header, b"");
        }
        script.ends(1, EndCause::Closed);
        script
    };
    closing(Side::Client).breaks(&["MSG-13"]);
    closing(Side::Server).breaks(&[]);
}

#[test]
fn envelopes_of_a_client_are_whole() {
    // An ack without its number or its status is no ack of anything either.
    for (text, broken) in [
        (r#"{"type":"message","message":{"messageId":300}}"#, &["MSG-02"][..]),
        (r#"{"type":"messageAck","messageAck":{"status":"success"}}"#, &["MSG-02", "MSG-06"]),
        (r#"{"type":"messageAck","messageAck":{"messageId":7}}"#, &["MSG-02", "MSG-06"]),
    ] {
        let mut script = client();
        script.client(1, text);
        script.breaks(broken);
    }
    let mut script = client();
    script.frame(1, Side::Client, masked(Opcode::CONTINUATION), b"");
    script.breaks(&["WS-06"]);
}

#[test]
fn the_end_of_a_connection_is_not_due_while_the_harness_is_late() {
    for (late_s, broken) in [(0, &["WS-10"][..]), (3, &[])] {
        let mut script = Script::server();
        script.open(1).frame(1, Side::Client, masked(Opcode::CLOSE), b"").wait_ms(7000);
        script.observe(Event::HarnessLate { by: Duration::from_secs(late_s) });
        script.observe(Event::StepStarted { number: 1, text: "later" });
        script.breaks(broken);
    }
}
