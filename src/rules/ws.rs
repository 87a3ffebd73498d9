//! Rules of the WebSocket layer: what frames a server sends, and how it ends a connection (EVENTS 6; RFC 6455).

use std::time::Duration;

use super::connection::Connection;
use super::docket::{Charge, Docket, quote};
use super::registry::R;
use super::verdict::Deadlines;
use crate::protocol::json::Kind;
use crate::protocol::ws::frame::{Frame, Opcode, close_code};
use crate::time::Instant;
use crate::trace::{EndCause, Seq, Text};

/// How much before a deadline an observer may give up waiting.
const GIVING_UP: Duration = Duration::from_millis(200);

fn charge(connection: &Connection, seq: Seq, expected: &str, observed: String) -> Charge {
    Charge { connection: Some(connection.id), expected: expected.to_owned(), observed, evidence: vec![seq] }
}

/// A frame of the server.
pub(super) fn server_frame(
    connection: &mut Connection,
    frame: &Frame<'_>,
    text: Option<&Text<'_>>,
    at: Instant,
    seq: Seq,
    docket: &mut Docket,
) {
    let header = &frame.header;
    let data = !header.opcode.is_control();
    if data {
        docket_data_frame(connection, frame, at, seq, docket);
    }
    match header.opcode {
        Opcode::PING => docket.fail(R::Ws03, at, || charge(connection, seq, "no ping", "a ping".to_owned())),
        Opcode::PONG => pong(connection, at, seq, docket),
        Opcode::CLOSE => {
            connection.close_received.get_or_insert(seq);
        }
        _ => docket.tested(R::Ws03),
    }
    let reserved = header.reserved != 0 && !connection.extension;
    if header.mask.is_some() || reserved || !header.opcode.is_defined() {
        docket.fail(R::Ws04, at, || {
            let observed = format!(
                "opcode {}, reserved bits {:#05b}, {}",
                header.opcode,
                header.reserved,
                if header.mask.is_some() { "masked" } else { "not masked" }
            );
            charge(connection, seq, "an unmasked frame with reserved bits clear and a defined opcode", observed)
        });
    } else {
        docket.tested(R::Ws04);
    }
    if let Some(text) = text {
        one_object(connection, text, at, seq, docket);
    }
}

fn docket_data_frame(connection: &Connection, frame: &Frame<'_>, at: Instant, seq: Seq, docket: &mut Docket) {
    let header = &frame.header;
    if header.opcode == Opcode::BINARY {
        docket.fail(R::Ws01, at, || {
            charge(connection, seq, "text frames only", format!("a binary frame of {} bytes", header.length))
        });
    } else {
        docket.tested(R::Ws01);
    }
    if !header.fin || header.opcode == Opcode::CONTINUATION {
        docket.fail(R::Ws02, at, || {
            let observed = format!("a {} frame with FIN {}", header.opcode, if header.fin { "set" } else { "clear" });
            charge(connection, seq, "each message in one frame", observed)
        });
    } else {
        docket.tested(R::Ws02);
    }
}

fn pong(connection: &mut Connection, at: Instant, seq: Seq, docket: &mut Docket) {
    connection.pongs_received += 1;
    if connection.pongs_received > connection.pings_sent {
        docket.fail(R::Ws03, at, || {
            charge(connection, seq, "no unsolicited pong", "a pong that answers no ping".to_owned())
        });
    } else {
        docket.note(R::Ws09, "ping", "answered with pong");
    }
}

fn one_object(connection: &Connection, text: &Text<'_>, at: Instant, seq: Seq, docket: &mut Docket) {
    let observed = match text {
        Text::Json { json, .. } if json.kind() == Kind::Object => return docket.tested(R::Ws05),
        Text::Json { json, .. } => format!("{}", json.kind()),
        Text::NotJson { text, fault } => format!("{fault}: {}", quote(text)),
        Text::NotUtf8 { bytes } => format!("not UTF-8: {}", quote(&String::from_utf8_lossy(bytes))),
    };
    docket.fail(R::Ws05, at, || charge(connection, seq, "valid UTF-8 that is exactly one JSON object", observed));
}

/// A frame of the client.
pub(super) fn client_frame(
    connection: &mut Connection,
    frame: &Frame<'_>,
    text: Option<&Text<'_>>,
    at: Instant,
    seq: Seq,
) {
    let header = &frame.header;
    match header.opcode {
        Opcode::CLOSE if connection.close_received.is_none() && connection.close_sent.is_none() => {
            connection.close_sent = Some((seq, connection.mark(at)));
        }
        Opcode::PING => connection.pings_sent += 1,
        _ => {}
    }
    let whole_text = header.opcode == Opcode::TEXT && header.fin;
    let plain = header.mask.is_some() && header.reserved == 0 && (whole_text || header.opcode == Opcode::CLOSE);
    let readable = matches!(text, None | Some(Text::Json { .. }));
    if !plain || !readable {
        connection.abused.get_or_insert(seq);
    }
}

/// The connection is gone.
pub(super) fn ended(
    connection: &mut Connection,
    cause: EndCause,
    at: Instant,
    seq: Seq,
    deadlines: Deadlines,
    docket: &mut Docket,
) {
    // An observer that gives up does so when the deadline is reached, a little before or after.
    if matches!(cause, EndCause::Closed) {
        expire(connection, at + GIVING_UP, deadlines, docket);
    }
    if connection.abused.is_some() && super::connection::by_peer(cause) {
        let value = if connection.close_received.is_some() {
            "closed with a close frame"
        } else {
            "dropped without a close frame"
        };
        docket.note(R::Ws09, "after-what-the-guide-rules-out", value);
    }
    if !super::connection::by_peer(cause) {
        still_open(connection, docket);
    }
    let Some((close, _)) = connection.close_sent.take() else { return };
    if connection.abused.is_some() {
        return;
    }
    match (cause, connection.close_received) {
        (EndCause::PeerClosed | EndCause::PeerReset, Some(_)) => docket.tested(R::Ws10),
        (EndCause::PeerClosed | EndCause::PeerReset, None) => docket.fail(R::Ws10, at, || Charge {
            connection: Some(connection.id),
            expected: "a close frame in answer to the client's, then the end of the connection".to_owned(),
            observed: "the connection ended without a close frame".to_owned(),
            evidence: vec![close, seq],
        }),
        _ => {}
    }
}

/// Notes that a connection outlives what the guide rules out.
pub(super) fn still_open(connection: &Connection, docket: &mut Docket) {
    if connection.abused.is_some() && connection.close_received.is_none() {
        docket.note(R::Ws09, "after-what-the-guide-rules-out", "the connection goes on");
    }
}

/// Whether a closing handshake is overdue; charges it once.
pub(super) fn expire(connection: &mut Connection, now: Instant, deadlines: Deadlines, docket: &mut Docket) {
    let Some((close, mark)) = connection.close_sent else { return };
    if connection.abused.is_some() || !connection.is_open() || now.since(mark.at) <= deadlines.reaction {
        return;
    }
    connection.close_sent = None;
    let id = connection.id;
    let answered = connection.close_received;
    docket.fail(R::Ws10, now, || Charge {
        connection: Some(id),
        expected: format!("a close frame and the end of the connection within {} s", deadlines.reaction.as_secs_f32()),
        observed: match answered {
            Some(_) => "a close frame, but the connection stays open".to_owned(),
            None => "no close frame".to_owned(),
        },
        evidence: std::iter::once(close).chain(answered).collect(),
    });
}

/// When a closing handshake is due.
pub(super) fn due(connection: &Connection, deadlines: Deadlines) -> Option<Instant> {
    let (_, mark) = connection.close_sent?;
    (connection.is_open() && connection.abused.is_none()).then(|| mark.at + deadlines.reaction)
}

/// The close code that the server gave after something that the guides rule out.
pub(super) fn note_close(connection: &Connection, payload: &[u8], docket: &mut Docket) {
    if connection.abused.is_some() {
        let code = close_code(payload).map_or_else(|| "none".to_owned(), |code| code.to_string());
        docket.note(R::Ws09, "close-code", code);
    }
}
