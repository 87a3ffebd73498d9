//! Tokens, upgrades, places and frames.

use crate::protocol::http::{Credentials, Headers, Response};
use crate::protocol::ws::frame::{Header, Opcode, close_payload};
use crate::protocol::ws::handshake;
use crate::rules::script::{Script, guid};
use crate::trace::{ConnectionId, EndCause, Event, Side};

#[test]
fn a_token_is_issued_to_the_privileged_account_only() {
    let mut script = Script::server();
    script.token(Credentials::Privileged, 200, Some("t")).token(Credentials::WrongPassword, 401, None);
    script.token(Credentials::Unprivileged, 403, None);
    script.meets("AUTH-01");
    for (credentials, status, token, broken) in [
        (Credentials::Privileged, 200, None, "AUTH-01"),
        (Credentials::Privileged, 200, Some(" "), "AUTH-01"),
        (Credentials::Privileged, 204, Some("t"), "AUTH-01"),
        (Credentials::None, 401, Some("t"), "AUTH-02"),
        (Credentials::WrongPassword, 200, None, "AUTH-02"),
        (Credentials::UnknownUser, 200, Some("t"), "AUTH-02"),
        (Credentials::Unprivileged, 200, Some("t"), "AUTH-03"),
    ] {
        let mut script = Script::server();
        script.token(credentials, status, token);
        script.breaks(&[broken]);
    }
}

#[test]
fn a_busy_server_is_not_judged() {
    let mut script = Script::server();
    script.token(Credentials::Privileged, 503, None);
    script.breaks(&[]);
}

#[test]
fn two_requests_get_two_tokens() {
    let mut script = Script::server();
    script.token(Credentials::Privileged, 200, Some("t")).token(Credentials::Privileged, 200, Some("t"));
    script.breaks(&["AUTH-08"]);
}

#[test]
fn an_upgrade_is_answered_as_the_rfc_says() {
    let mut script = Script::server();
    script.open(1);
    script.meets("AUTH-04");
    for (field, value, broken) in [
        ("Upgrade", "h2c", "AUTH-04"),
        ("Connection", "keep-alive", "AUTH-04"),
        ("Sec-WebSocket-Accept", "x", "AUTH-04"),
        ("Sec-WebSocket-Extensions", "permessage-deflate", "AUTH-06"),
        ("Sec-WebSocket-Protocol", "cms", "AUTH-06"),
    ] {
        let mut script = Script::server();
        let request = script.opening(1);
        let mut response = handshake::switching_protocols(&request);
        response.headers.remove(field);
        response.headers.push(field, value);
        script.observe(Event::Opened { connection: ConnectionId(1), response: &response });
        script.breaks(&[broken]);
    }
}

#[test]
fn an_upgrade_without_a_valid_token_is_refused() {
    for token in [None, Some(guid(1))] {
        let mut script = Script::server();
        let request = handshake::upgrade_request(token.as_deref(), [0; 16]);
        script.observe(Event::Opening { connection: ConnectionId(1), client: "c", request: &request });
        let response = handshake::switching_protocols(&request);
        script.observe(Event::Opened { connection: ConnectionId(1), response: &response });
        script.breaks(&["AUTH-05"]);
    }
}

#[test]
fn whom_a_refusal_accuses_depends_on_what_is_open() {
    for (open, status, broken) in
        [(0, 400, "AUTH-04"), (0, 404, "AUTH-07"), (2, 403, "LIM-01"), (4, 503, "LIM-01"), (0, 503, "")]
    {
        let mut script = Script::server();
        for connection in 0..open {
            script.open(connection);
        }
        script.refused(9, status);
        script.breaks(if broken.is_empty() { &[] } else { std::slice::from_ref(&broken) });
    }
}

#[test]
fn a_sixth_connection_is_refused_or_warned_about() {
    let five = |script: &mut Script| (1..=5).for_each(|connection| _ = script.open(connection));
    let mut script = Script::server();
    five(&mut script);
    script.refused(6, 503);
    script.meets("LIM-02");
    let mut script = Script::server();
    five(&mut script);
    script.open(6).ends(6, EndCause::PeerClosed);
    script.meets("LIM-02");
    let mut script = Script::server();
    five(&mut script);
    script.open(6).later();
    script.breaks(&["LIM-02"]);
    let mut script = Script::server();
    five(&mut script);
    script.refused(6, 503).ends(2, EndCause::PeerClosed);
    script.breaks(&["LIM-03"]);
}

#[test]
fn a_place_can_be_taken_again_within_the_deadline() {
    let mut script = Script::server();
    (1..=5).for_each(|connection| _ = script.open(connection));
    script.ends(3, EndCause::Dropped).refused(6, 503).wait_ms(1000).open(7);
    script.meets("LIM-03");
    let mut script = Script::server();
    (1..=5).for_each(|connection| _ = script.open(connection));
    script.ends(3, EndCause::Dropped).refused(6, 503).wait_ms(6000).refused(7, 503);
    script.breaks(&["LIM-03"]);
}

#[test]
fn what_another_client_sends_disturbs_nobody() {
    let ping = Header { mask: Some([0; 4]), ..Header::new(Opcode::PING, 0) };
    let mut script = Script::server();
    script.open(1).open(2).frame(1, Side::Client, ping, b"").ends(1, EndCause::PeerReset).open(3);
    script.meets("WS-08");
    let mut script = Script::server();
    script.open(1).open(2).frame(1, Side::Client, ping, b"").ends(2, EndCause::PeerReset);
    script.breaks(&["WS-08"]);
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, ping, b"").refused(2, 500);
    script.breaks(&["WS-08"]);
}

#[test]
fn server_frames_are_plain_text_in_one_piece() {
    let text = br#"{"type":"messageAck","messageAck":{"messageId":5,"status":"x"}}"#;
    let plain = Header::new(Opcode::TEXT, text.len() as u64);
    for (header, payload, broken) in [
        (Header::new(Opcode::BINARY, 1), &b"x"[..], &["WS-01"][..]),
        (Header { fin: false, ..plain }, text, &["WS-02"]),
        (Header::new(Opcode::PING, 0), b"", &["WS-03"]),
        (Header::new(Opcode::PONG, 0), b"", &["WS-03"]),
        (Header { reserved: 4, ..Header::new(Opcode::CLOSE, 0) }, b"", &["WS-04"]),
        (Header { mask: Some([1; 4]), ..Header::new(Opcode::CLOSE, 0) }, b"", &["WS-04"]),
        (Header::new(Opcode(0xB), 0), b"", &["WS-04"]),
        (plain, b"[1]", &["WS-05"]),
        (plain, b"{} {}", &["WS-05"]),
        (plain, b"\xff\xff", &["WS-05"]),
        (plain, b"{}", &["MSG-01"]),
    ] {
        let mut script = Script::server();
        script.open(1).frame(1, Side::Server, header, payload);
        script.breaks(broken);
    }
}

#[test]
fn a_pong_answers_a_ping() {
    let mut script = Script::server();
    let ping = Header { mask: Some([0; 4]), ..Header::new(Opcode::PING, 0) };
    script.open(1).frame(1, Side::Client, ping, b"").frame(1, Side::Server, Header::new(Opcode::PONG, 0), b"");
    script.breaks(&[]);
}

#[test]
fn a_close_frame_is_answered_and_the_connection_ends() {
    let payload = close_payload(1000, "");
    let from_client = Header { mask: Some([0; 4]), ..Header::new(Opcode::CLOSE, 2) };
    let from_server = Header::new(Opcode::CLOSE, 2);
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, from_client, &payload).frame(1, Side::Server, from_server, &payload);
    script.ends(1, EndCause::PeerClosed);
    script.meets("WS-10");
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, from_client, &payload).ends(1, EndCause::PeerClosed);
    script.breaks(&["WS-10"]);
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, from_client, &payload).frame(1, Side::Server, from_server, &payload).later();
    script.breaks(&["WS-10"]);
    let mut script = Script::server();
    script.open(1).frame(1, Side::Client, from_client, &payload).wait_ms(5000).ends(1, EndCause::Closed);
    script.breaks(&["WS-10"]);
}

#[test]
fn a_refused_extension_leaves_reserved_bits_without_a_meaning() {
    let mut script = Script::server();
    let request = {
        let mut request = script.opening(1);
        request.headers.push("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits");
        request
    };
    script.observe(Event::Opening { connection: ConnectionId(2), client: "c", request: &request });
    let response = Response {
        headers: Headers::from_iter(handshake::switching_protocols(&request).headers.iter())
            .with("Sec-WebSocket-Extensions", "permessage-deflate"),
        ..Response::new(101)
    };
    script.observe(Event::Opened { connection: ConnectionId(2), response: &response });
    script.frame(2, Side::Server, Header { reserved: 4, ..Header::new(Opcode::TEXT, 2) }, b"{}");
    script.breaks(&["MSG-01"]);
}
