//! The trace as the emulated Meeting Server sees it: what connects is observed, and can be judged.
//!
//! Takes what passes through the shell in both directions and makes observations of it: token requests with their
//! answers, everything of event connections, and what becomes of records (`emulator_delivery`). It decodes the bytes with decoders of its own, one per direction, and
//! changes nothing. The emulator's core takes no part in it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::emulator_delivery::{Delivery, Happening};
use crate::emulator::{ConnectionKey, ExchangeKey, LinkKey};
use crate::protocol::api::names::AUTH_TOKENS;
use crate::protocol::http::{Request, Response};
use crate::protocol::json::Document;
use crate::protocol::ws::assemble::{Assembled, Assembler};
use crate::protocol::ws::frame::{Decoded, Frame, Opcode, decode};
use crate::protocol::ws::handshake::EVENTS_PATH;
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, Event, ExchangeId, Observation, Seq, Side, Sink, Text};

/// How long a frame or message may be, in bytes, to be decoded; behind a longer one its direction is not observed.
const MESSAGE_LIMIT_BYTES: usize = 16 << 20;

/// Makes observations of what passes through a shell.
pub(crate) struct Observer {
    trace: Trace,
    tokens: BTreeSet<u64>,
    opening: BTreeMap<u64, ConnectionId>,
    connections: BTreeMap<u64, Observed>,
    document: Document,
    delivery: Delivery,
    opened_so_far: u32,
}

/// Numbers observations and hands them on.
pub(super) struct Trace {
    sink: Box<dyn Sink + Send>,
    seq: u64,
}

impl Trace {
    pub(super) fn new(sink: Box<dyn Sink + Send>) -> Self {
        Self { sink, seq: 0 }
    }

    pub(super) fn observe(&mut self, at: Instant, event: Event<'_>) {
        self.seq += 1;
        self.sink.observe(&Observation { seq: Seq(self.seq), at, event });
    }
}

/// One open connection.
struct Observed {
    id: ConnectionId,
    from_client: Direction,
    from_server: Direction,
}

/// What was not yet decoded of one direction.
struct Direction {
    buffer: Vec<u8>,
    assembler: Assembler,
    lost: bool,
}

impl Direction {
    const fn new() -> Self {
        Self { buffer: Vec::new(), assembler: Assembler::new(MESSAGE_LIMIT_BYTES), lost: false }
    }
}

impl Observer {
    /// An observer that hands its observations to `sink`.
    pub(crate) fn new(sink: Box<dyn Sink + Send>) -> Self {
        Self {
            trace: Trace::new(sink),
            tokens: BTreeSet::new(),
            opening: BTreeMap::new(),
            connections: BTreeMap::new(),
            document: Document::new(),
            delivery: Delivery::default(),
            opened_so_far: 0,
        }
    }

    /// A request arrived from `peer`.
    pub(crate) fn on_request(&mut self, now: Instant, key: ExchangeKey, request: &Request, peer: SocketAddr) {
        if is_at(request, AUTH_TOKENS) {
            self.tokens.insert(key.0);
            self.trace.observe(now, Event::RequestSent { exchange: exchange_id(key), request });
        } else if is_at(request, EVENTS_PATH) {
            self.opened_so_far += 1;
            let connection = ConnectionId(self.opened_so_far);
            self.opening.insert(key.0, connection);
            let client = peer.to_string();
            self.trace.observe(now, Event::Opening { connection, client: &client, request });
        }
    }

    /// A request was answered, but not with 101.
    pub(crate) fn on_response(&mut self, now: Instant, key: ExchangeKey, response: &Response) {
        if self.tokens.remove(&key.0) {
            self.trace.observe(now, Event::ResponseReceived { exchange: exchange_id(key), response });
        } else if let Some(connection) = self.opening.remove(&key.0) {
            self.trace.observe(now, Event::Refused { connection, response });
        }
    }

    /// A request was answered with 101 and became a connection.
    pub(crate) fn on_upgrade(&mut self, now: Instant, key: ExchangeKey, of: ConnectionKey, response: &Response) {
        let Some(id) = self.opening.remove(&key.0) else { return };
        let observed = Observed { id, from_client: Direction::new(), from_server: Direction::new() };
        self.connections.insert(of.0, observed);
        self.trace.observe(now, Event::Opened { connection: id, response });
    }

    /// Bytes passed.
    pub(crate) fn on_bytes(&mut self, now: Instant, of: ConnectionKey, from: Side, bytes: &[u8]) {
        let Self { trace, connections, document, .. } = self;
        let Some(Observed { id, from_client, from_server }) = connections.get_mut(&of.0) else { return };
        let Direction { buffer, assembler, lost } = match from {
            Side::Client => from_client,
            Side::Server => from_server,
        };
        if *lost {
            return;
        }
        buffer.extend_from_slice(bytes);
        let mut done = 0;
        loop {
            match decode(&mut buffer[done..], MESSAGE_LIMIT_BYTES as u64) {
                Decoded::Frame { frame, consumed } => {
                    let text = text_of(&frame, assembler, document);
                    trace.observe(now, Event::Frame { connection: *id, from, frame, text });
                    done += consumed;
                }
                Decoded::Incomplete { .. } => break,
                Decoded::TooLong { .. } => {
                    *lost = true;
                    *buffer = Vec::new();
                    return;
                }
            }
        }
        buffer.drain(..done);
    }

    /// Something happened to a connection to a CDR receiver.
    pub(crate) fn on_link(&mut self, now: Instant, link: LinkKey, happening: Happening<'_>) {
        self.delivery.on_link(now, link, happening, &mut self.trace);
    }

    /// The emulator ends.
    pub(crate) fn on_stop(&mut self, now: Instant) {
        self.delivery.end(now, &mut self.trace);
    }

    /// A connection is gone.
    pub(crate) fn on_end(&mut self, now: Instant, of: ConnectionKey, cause: EndCause) {
        if let Some(observed) = self.connections.remove(&of.0) {
            self.trace.observe(now, Event::Ended { connection: observed.id, cause });
        }
    }
}

/// Whether a request is for `node`; Meeting Servers pass over case and a slash at the end.
fn is_at(request: &Request, node: &str) -> bool {
    request.path().trim_end_matches('/').eq_ignore_ascii_case(node)
}

/// Exchanges are numbered by the shell; the trace has room for four thousand million of them.
const fn exchange_id(key: ExchangeKey) -> ExchangeId {
    ExchangeId(key.0 as u32)
}

/// The text message that a frame is, or completes.
fn text_of<'a>(frame: &Frame<'a>, assembler: &'a mut Assembler, document: &'a mut Document) -> Option<Text<'a>> {
    if frame.header.opcode.0 > Opcode::BINARY.0 {
        return None;
    }
    let bytes = match assembler.accept(frame) {
        Assembled::Whole(bytes) if frame.header.opcode == Opcode::TEXT => bytes,
        Assembled::Joined(Opcode::TEXT, bytes) => bytes,
        _ => return None,
    };
    Some(Text::of(bytes, document))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::protocol::ws::frame::{Header, encode};
    use crate::protocol::ws::handshake::{switching_protocols, upgrade_request};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Sink for Lines {
        fn observe(&mut self, observation: &Observation<'_>) {
            let line = match &observation.event {
                Event::Opening { client, .. } => format!("opening {client}"),
                Event::Opened { .. } => "opened".to_owned(),
                Event::RequestSent { .. } => "asked".to_owned(),
                Event::ResponseReceived { response, .. } => format!("answered {}", response.status),
                Event::Frame { from, frame, text, .. } => {
                    let text = match text {
                        Some(Text::Json { text, .. }) => *text,
                        Some(_) => "other",
                        None => "-",
                    };
                    format!("{from:?} {} {text}", frame.header.opcode)
                }
                Event::Ended { cause, .. } => format!("{cause:?}"),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(format!("{} {line}", observation.seq));
        }
    }

    #[test]
    fn frames_are_observed_however_the_bytes_are_cut() {
        let lines = Lines::default();
        let mut observer = Observer::new(Box::new(lines.clone()));
        let peer = "127.0.0.1:9".parse().unwrap();
        let token = Request::new(crate::protocol::http::Method::Post, AUTH_TOKENS);
        observer.on_request(Instant::ZERO, ExchangeKey(1), &token, peer);
        observer.on_response(Instant::ZERO, ExchangeKey(1), &Response::new(200));
        let upgrade = upgrade_request(Some("t"), [1; 16]);
        observer.on_request(Instant::ZERO, ExchangeKey(2), &upgrade, peer);
        let key = ConnectionKey(7);
        observer.on_upgrade(Instant::ZERO, ExchangeKey(2), key, &switching_protocols(&upgrade));
        let mut wire = Vec::new();
        let first = Header { fin: false, mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::TEXT, 1) };
        encode(&first, b"[", &mut wire);
        encode(&Header { mask: Some([9; 4]), ..Header::new(Opcode::CONTINUATION, 1) }, b"]", &mut wire);
        for byte in wire {
            observer.on_bytes(Instant::ZERO, key, Side::Client, &[byte]);
        }
        let mut wire = Vec::new();
        encode(&Header::new(Opcode::TEXT, 1), b"{", &mut wire);
        encode(&Header::new(Opcode::PING, 0), b"", &mut wire);
        observer.on_bytes(Instant::ZERO, key, Side::Server, &wire);
        observer.on_end(Instant::ZERO, key, EndCause::PeerReset);
        observer.on_end(Instant::ZERO, key, EndCause::Closed);
        assert_eq!(
            *lines.0.lock().unwrap(),
            [
                "#1 asked",
                "#2 answered 200",
                "#3 opening 127.0.0.1:9",
                "#4 opened",
                "#5 Client text -",
                "#6 Client continuation []",
                "#7 Server text other",
                "#8 Server ping -",
                "#9 PeerReset",
            ]
        );
    }
}
