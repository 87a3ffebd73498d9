//! Places for connections, and what clients do to theirs: the cases beside those of `opening.rs` and `ends.rs`.

use serde_json::json;

use crate::protocol::api::names;
use crate::protocol::events::Resource::{self, CallInfo, Calls};
use crate::protocol::events::write;
use crate::protocol::http::Credentials;
use crate::protocol::ws::frame::{Header, Opcode};
use crate::protocol::ws::handshake;
use crate::rules::script::{Script, guid};
use crate::trace::{ConnectionId, EndCause, Event, Side};

const CALLS: (u64, Resource, Option<u32>, &[&str]) = (1, Calls, None, &["name"]);

fn masked(opcode: Opcode) -> Header {
    Header { mask: Some([1; 4]), ..Header::new(opcode, 0) }
}

/// Five connections, all places taken.
fn full() -> Script {
    let mut script = Script::server();
    (1..=5).for_each(|connection| _ = script.open(connection));
    script
}

#[test]
fn a_place_that_is_free_again_is_taken_sooner_or_later() {
    for (wait, word) in [(0, "within 100 ms"), (500, "within 1 s"), (2000, "later than 1 s")] {
        let mut script = full();
        script.ends(1, EndCause::Closed).wait_ms(wait).open(6);
        let judgement = script.finish();
        let took: Vec<&str> = judgement
            .characteristics
            .iter()
            .filter(|seen| seen.name == "place-free-again")
            .map(|seen| seen.value.as_str())
            .collect();
        assert_eq!(took, [word]);
    }
    let mut script = full();
    script.ends(1, EndCause::Closed).open(6).ends(6, EndCause::Closed).open(7);
    assert_eq!(script.times_tested("LIM-03"), 2);
    // Where there were always free places none became free.
    let mut script = Script::server();
    (1..=5).for_each(|connection| _ = script.open(connection).ends(connection, EndCause::Closed));
    script.open(6);
    assert_eq!(script.times_tested("LIM-03"), 0);
}

#[test]
fn a_connection_that_is_being_closed_may_still_have_its_place() {
    let mut script = full();
    script.ends(1, EndCause::Closed).wait_ms(6000).open(6).frame(2, Side::Client, masked(Opcode::CLOSE), b"");
    script.refused(7, 503);
    assert_eq!(script.times_tested("LIM-02"), 0);
}

#[test]
fn one_token_of_two_that_opens_a_connection_says_nothing_of_the_other() {
    let mut script = Script::server();
    script.token(Credentials::Privileged, 200, Some(&guid(8000))).open(1);
    assert_eq!(script.times_tested("AUTH-08"), 0);
}

#[test]
fn what_was_never_opened_as_the_guide_says_was_not_disturbed() {
    let mut script = Script::server();
    let token = guid(8000);
    script.token(Credentials::Privileged, 200, Some(&token));
    let mut request = handshake::upgrade_request(None, [7; 16]);
    request.headers.push(names::TOKEN_HEADER, token);
    script.observe(Event::Opening { connection: ConnectionId(1), client: "c", request: &request });
    let response = handshake::switching_protocols(&request);
    script.observe(Event::Opened { connection: ConnectionId(1), response: &response });
    script.frame(1, Side::Client, masked(Opcode::BINARY), b"").refused(2, 403);
    script.breaks(&["LIM-01"]);
}

#[test]
fn what_came_before_a_connection_did_not_disturb_it() {
    let many: Vec<(u64, Resource, Option<u32>, &[&str])> =
        (1..=101).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    for (late, broken) in [(true, &[][..]), (false, &["LIM-06"])] {
        let mut script = Script::server();
        script.open(1);
        if late {
            script.asks(1, 100, &many).open(2);
        } else {
            script.open(2).asks(1, 100, &many);
        }
        script.ends(2, EndCause::PeerClosed);
        script.breaks(broken);
    }
}

#[test]
fn a_closing_handshake_is_overdue_once_and_only_to_clients_in_order() {
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, masked(Opcode::CLOSE), b"").later().later();
    let judgement = script.finish();
    assert_eq!(judgement.finding_counts.values().sum::<u64>(), 1, "{judgement:#?}");
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, masked(Opcode::BINARY), b"");
    script.frame(1, Side::Client, masked(Opcode::CLOSE), b"").later();
    script.breaks(&[]);
}

#[test]
fn a_frame_with_a_reserved_bit_or_no_mask_leaves_everything_open() {
    let text = write::subscribe_request(100, &[]);
    let plain = Header { mask: Some([1; 4]), ..Header::new(Opcode::TEXT, text.len() as u64) };
    for (header, broken) in
        [(plain, &["MSG-03"][..]), (Header { reserved: 0b100, ..plain }, &[]), (Header { mask: None, ..plain }, &[])]
    {
        let mut script = Script::server();
        script.open(1).frame(1, Side::Client, header, text.as_bytes()).later();
        script.breaks(broken);
    }
}

#[test]
fn a_server_may_leave_a_client_whose_request_was_irregular() {
    let odd = r#"{"type":"message","message":{"messageId":100,"type":"subscribeRequest","subscriptions":[{"index":7,"type":"other"}]}}"#;
    let mut script = Script::server();
    script.open(1).client(1, odd).asks(1, 101, &[CALLS]).ends(1, EndCause::PeerClosed);
    script.breaks(&[]);
}

#[test]
fn an_index_below_nought_is_a_number() {
    for (index, broken) in [("-1", &[][..]), ("\"x\"", &["SUB-17"])] {
        let mut script = Script::judging(Side::Client);
        let request = r#"{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[{"index":INDEX,"type":"calls"}]}}"#;
        script.open(1).client(1, &request.replace("INDEX", index));
        script.breaks(broken);
    }
}

#[test]
fn a_client_that_closes_first_leaves_though_the_server_ends_the_connection() {
    for (first, broken) in [(Side::Client, &["MSG-13"][..]), (Side::Server, &[])] {
        let mut script = Script::judging(Side::Client);
        script.open(1).subscribed(1, 100, &[CALLS]);
        script.says(1, &write::envelope(7, "somethingNew", [("x", json!(1))]));
        for side in [first, first.other()] {
            let header = if side == Side::Client { masked(Opcode::CLOSE) } else { Header::new(Opcode::CLOSE, 0) };
            script.frame(1, side, header, b"");
        }
        script.ends(1, EndCause::PeerClosed);
        script.breaks(broken);
    }
}

#[test]
fn only_the_fifth_connection_displaces_an_earlier_one() {
    let displaced = |connections: u32| {
        let mut script = Script::server();
        (1..=connections).for_each(|connection| _ = script.open(connection));
        script.ends(1, EndCause::PeerClosed);
        script.finish().findings.iter().any(|finding| finding.requirement.as_str() == "LIM-01")
    };
    assert_eq!([2, 4, 5].map(displaced), [false, false, true]);
}
