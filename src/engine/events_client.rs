//! One event connection as an events client plays it: frames, fragments, acknowledgements, the closing handshake.
//!
//! It knows nothing of scenarios: bytes go in, bytes to send come out, every frame of either side goes to the trace, and
//! whoever calls hears each message once ([`Heard`]). Nothing is allocated per message once its buffers have grown, so a
//! load loop can use it as it is. It acknowledges exactly the messages that have a usable id, of known type or not.

use std::collections::VecDeque;
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::RngExt as _;

use super::bend::{Arrived, Bends, NewFrame};
use crate::protocol::events::message::{Ack, Envelope, Layout, Message};
use crate::protocol::events::{names, write};
use crate::protocol::json::{Document, Reading};
use crate::protocol::ws::assemble::{Assembled, Assembler};
use crate::protocol::ws::frame::{self, Decoded, Frame, Header, Opcode};
use crate::time::Instant;
use crate::trace::{ConnectionId, Event, Observation, Seq, Side, Sink, Text};

/// How many ids are kept that have not been acknowledged.
const OWED_LIMIT: usize = 100_000;

/// Stamps observations and hands them to a sink.
#[derive(Debug)]
pub struct Tracer<S> {
    sink: S,
    count: u64,
}

impl<S: Sink> Tracer<S> {
    /// A trace without observations.
    pub const fn new(sink: S) -> Self {
        Self { sink, count: 0 }
    }

    /// Adds an observation.
    pub fn observe(&mut self, at: Instant, event: Event<'_>) -> Seq {
        self.count += 1;
        let seq = Seq(self.count);
        self.sink.observe(&Observation { seq, at, event });
        seq
    }

    /// The place of the last observation; 0 if there is none.
    pub const fn last(&self) -> Seq {
        Seq(self.count)
    }

    /// Until when the sink would like the trace to go on.
    pub fn due(&self) -> Option<Instant> {
        self.sink.due()
    }

    /// A stretch of load is about to begin, which is measured from an instant on.
    pub fn measured_from(&mut self, start: Instant) {
        self.sink.measured_from(start);
    }

    /// How many findings the sink has made.
    pub fn found(&self) -> u64 {
        self.sink.found()
    }

    /// The sink, to be told something else than observations.
    pub const fn sink_mut(&mut self) -> &mut S {
        &mut self.sink
    }

    /// The sink.
    pub fn into_sink(self) -> S {
        self.sink
    }
}

/// What a client hears, once for each message of the server.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// A message.
    Message(Message<'a>),
    /// An ack of a message of the client.
    Ack(Ack<'a>),
}

/// When messages are acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AckWhen {
    /// At once.
    #[default]
    AtOnce,
    /// Not at all.
    Withhold,
    /// So much later.
    Late(Duration),
}

/// How messages are acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckPolicy {
    /// When.
    pub when: AckWhen,
    /// How many acks each message gets.
    pub times: u32,
    /// With what status.
    pub status: String,
}

impl Default for AckPolicy {
    fn default() -> Self {
        Self { when: AckWhen::AtOnce, times: 1, status: names::SUCCESS.to_owned() }
    }
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Frames flow.
    Open,
    /// A close frame was sent; nothing more is sent.
    Closing,
    /// Nothing can be read any more: the peer stated a frame that is too long.
    Unreadable,
    /// It is gone.
    Ended,
}

/// How many messages are acknowledged at most before the first of them is looked at.
const AHEAD: usize = 64;

/// What is left of a frame that has not arrived whole is copied up to this length, in bytes.
const PIECE: usize = 4 << 10;

/// The largest space for what has arrived that is kept, in bytes.
const AHEAD_BYTES: usize = 128 << 10;

/// Messages that have been acknowledged and not been looked at: the server does not wait for what rules make of them.
/// Connections share one, since each is through before the next begins, and what they are sent is much the same.
#[derive(Debug, Default)]
pub struct Ahead {
    /// What has arrived, and how much of it was looked at.
    bytes: Vec<u8>,
    seen: usize,
    document: Document,
    acks: Document,
    /// The texts that were parsed ahead, one behind the other, with their tapes: here they are known to be text.
    texts: String,
    /// The texts of their acks, one behind the other.
    replies: Vec<u8>,
    tapes: Vec<Reading>,
    messages: Vec<Early>,
}

/// A whole text that was parsed ahead.
#[derive(Debug)]
struct Early {
    header: Header,
    /// Where its text begins and ends.
    start: usize,
    end: usize,
    layout: Layout,
    /// Where its frame ends in what has arrived.
    frame_end: usize,
    /// The ack that was written, if it got one.
    acked: Option<Reply>,
}

/// An ack that was written: the id, the mask, and where its text begins and ends.
#[derive(Debug)]
struct Reply {
    id: u64,
    mask: [u8; 4],
    start: usize,
    end: usize,
}

/// One event connection.
#[derive(Debug)]
pub struct EventsClient {
    connection: ConnectionId,
    stage: Stage,
    /// Whether the server has sent a close frame.
    server_closed: bool,
    policy: AckPolicy,
    /// The beginning of a frame whose end has not arrived.
    inbox: Vec<u8>,
    assembler: Assembler,
    own: Outgoing,
    owed: VecDeque<u64>,
    late: VecDeque<(Instant, u64)>,
    last: Option<u64>,
    limit: u64,
    /// How many messages arrived.
    arrived: u64,
}

/// What is needed to send: the masks and buffers that are used again.
#[derive(Debug)]
struct Outgoing {
    connection: ConnectionId,
    random: ChaCha8Rng,
    document: Document,
    text: Vec<u8>,
    bends: Bends,
}

impl EventsClient {
    /// An open connection. `random` decides the masks, `limit` is the longest payload that is read, in bytes.
    pub fn new(connection: ConnectionId, policy: AckPolicy, random: ChaCha8Rng, limit: u64) -> Self {
        let own = Outgoing { connection, random, document: Document::new(), text: Vec::new(), bends: Bends::default() };
        Self {
            connection,
            stage: Stage::Open,
            server_closed: false,
            policy,
            inbox: Vec::new(),
            assembler: Assembler::new(usize::try_from(limit).unwrap_or(usize::MAX)),
            own,
            owed: VecDeque::new(),
            late: VecDeque::new(),
            last: None,
            limit,
            arrived: 0,
        }
    }

    /// The same, bent.
    #[must_use]
    pub fn bent(mut self, bends: Bends) -> Self {
        self.own.bends = bends;
        self
    }

    /// The connection.
    pub const fn connection(&self) -> ConnectionId {
        self.connection
    }

    /// How far it is.
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether frames flow.
    pub const fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Whether the server has sent a close frame.
    pub const fn server_closed(&self) -> bool {
        self.server_closed
    }

    /// Whether the beginning of a frame has arrived and its end has not.
    pub const fn is_amid_frame(&self) -> bool {
        !self.inbox.is_empty()
    }

    /// Takes note that the connection is gone.
    pub fn end(&mut self) {
        self.stage = Stage::Ended;
        self.late.clear();
        self.inbox = Vec::new();
    }

    /// The oldest id that has not been acknowledged.
    pub fn oldest_owed(&self) -> Option<u64> {
        self.owed.front().copied()
    }

    /// The ids that have not been acknowledged, oldest first.
    pub fn owed(&self) -> impl Iterator<Item = u64> {
        self.owed.iter().copied()
    }

    /// The newest id that the server used.
    pub const fn last(&self) -> Option<u64> {
        self.last
    }

    /// When [`EventsClient::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.late.front().map(|(at, _)| *at)
    }

    /// Takes bytes from the server, and acknowledges of them what needs no look first ([`Ahead`]): acks are appended to `out`.
    /// [`EventsClient::look`] has to follow before anything else.
    pub fn take(&mut self, bytes: &[u8], ahead: &mut Ahead, out: &mut Vec<u8>) {
        if !matches!(self.stage, Stage::Ended | Stage::Unreadable) {
            ahead.messages.clear();
            ahead.seen = 0;
            ahead.bytes.clear();
            ahead.bytes.shrink_to(AHEAD_BYTES);
            if self.inbox.len() > PIECE {
                // A frame may come in thousands of pieces: it is not copied for each.
                std::mem::swap(&mut ahead.bytes, &mut self.inbox);
            } else {
                ahead.bytes.append(&mut self.inbox);
            }
            ahead.bytes.extend_from_slice(bytes);
            self.acknowledge_ahead(ahead, out);
        }
    }

    /// Looks at what was taken; bytes to send are appended to `out`. Whether there is more: then these bytes can be sent
    /// before it is called again.
    pub fn look<S: Sink>(
        &mut self,
        now: Instant,
        ahead: &mut Ahead,
        out: &mut Vec<u8>,
        trace: &mut Tracer<S>,
        mut hear: impl FnMut(Heard<'_>),
    ) -> bool {
        if matches!(self.stage, Stage::Ended | Stage::Unreadable) {
            return false;
        }
        let mut messages = std::mem::take(&mut ahead.messages);
        for (place, early) in messages.drain(..).enumerate() {
            self.look_at(now, &early, place, ahead, trace, &mut hear);
            ahead.tapes[place].shrink();
            ahead.seen = early.frame_end;
        }
        ahead.messages = messages;
        loop {
            if self.acknowledge_ahead(ahead, out) {
                return true;
            }
            let Ahead { bytes, seen, document, .. } = ahead;
            match frame::decode(&mut bytes[*seen..], self.limit) {
                Decoded::Frame { frame, consumed } => {
                    self.take_frame(now, &frame, document, out, trace, &mut hear);
                    *seen += consumed;
                }
                Decoded::Incomplete { .. } => break,
                Decoded::TooLong { .. } => {
                    self.stage = Stage::Unreadable;
                    break;
                }
            }
        }
        if ahead.seen == 0 && ahead.bytes.len() > PIECE {
            std::mem::swap(&mut ahead.bytes, &mut self.inbox);
        } else {
            // What was swapped against is not kept: each of many connections would keep one.
            self.inbox.shrink_to(PIECE);
            self.inbox.extend_from_slice(&ahead.bytes[ahead.seen..]);
        }
        false
    }

    /// Parses as many whole texts as there are, up to the first frame that is something else, and acknowledges those that
    /// want it. Whether there was one.
    fn acknowledge_ahead(&mut self, ahead: &mut Ahead, out: &mut Vec<u8>) -> bool {
        let acks_at_once = self.policy.when == AckWhen::AtOnce && self.policy.times == 1 && self.own.bends.is_empty();
        if !acks_at_once || self.stage != Stage::Open {
            return false;
        }
        let Ahead { bytes, seen, document, texts, replies, tapes, messages, .. } = ahead;
        texts.clear();
        texts.shrink_to(AHEAD_BYTES);
        replies.clear();
        let mut at = *seen;
        while messages.len() < AHEAD {
            let place = messages.len();
            if tapes.len() == place {
                tapes.push(Reading::default());
            }
            let tape = &mut tapes[place];
            let Some((frame, length)) = frame::whole_text(&bytes[at..], self.limit) else { break };
            let Ok(text) = std::str::from_utf8(frame.payload) else { break };
            if document.parse_onto(text, tape).is_err() {
                break;
            }
            let json = tape.json(text);
            let layout = Layout::of(json);
            let id = match layout.envelope(json) {
                Envelope::Message(message) => message.message_id(),
                _ => None,
            };
            let acked = id.map(|id| self.own.write_ack(id, &self.policy.status, replies, out));
            at += length;
            let start = texts.len();
            texts.push_str(text);
            messages.push(Early { header: frame.header, start, end: texts.len(), layout, frame_end: at, acked });
        }
        !messages.is_empty()
    }

    /// Looks at a text that was parsed, and acknowledged if it wanted to be.
    fn look_at<S: Sink>(
        &mut self,
        now: Instant,
        early: &Early,
        place: usize,
        ahead: &mut Ahead,
        trace: &mut Tracer<S>,
        hear: &mut impl FnMut(Heard<'_>),
    ) {
        let Ahead { texts, replies, acks, tapes, .. } = ahead;
        let text = &texts[early.start..early.end];
        let frame = Frame { header: early.header, payload: text.as_bytes() };
        // As a whole message it ends one in fragments.
        self.assembler.accept(&frame);
        let json = tapes[place].json(text);
        let envelope = early.layout.envelope(json);
        let (connection, from) = (self.connection, Side::Server);
        let text = Some(Text::Json { text, json, envelope });
        trace.observe(now, Event::Frame { connection, from, frame, text });
        if let Some(reply) = &early.acked {
            self.last = Some(reply.id);
            self.arrived += 1;
            let payload = &replies[reply.start..reply.end];
            let header = Header { mask: Some(reply.mask), ..Header::new(Opcode::TEXT, payload.len() as u64) };
            let text = Some(Text::of(payload, acks));
            let frame = Frame { header, payload };
            trace.observe(now, Event::Frame { connection, from: Side::Client, frame, text });
        }
        match envelope {
            Envelope::Message(message) => hear(Heard::Message(message)),
            Envelope::Ack(ack) => hear(Heard::Ack(ack)),
            Envelope::Other(_) => {}
        }
    }

    fn take_frame<S: Sink>(
        &mut self,
        now: Instant,
        frame: &Frame<'_>,
        document: &mut Document,
        out: &mut Vec<u8>,
        trace: &mut Tracer<S>,
        hear: &mut impl FnMut(Heard<'_>),
    ) {
        let opcode = frame.header.opcode;
        let connection = self.connection;
        let observe = |trace: &mut Tracer<S>, text| {
            trace.observe(now, Event::Frame { connection, from: Side::Server, frame: *frame, text });
        };
        let data = matches!(opcode, Opcode::TEXT | Opcode::BINARY | Opcode::CONTINUATION);
        let whole = match if data { self.assembler.accept(frame) } else { Assembled::Lost } {
            Assembled::Whole(bytes) if opcode == Opcode::TEXT => Some(bytes),
            Assembled::Joined(Opcode::TEXT, bytes) => Some(bytes),
            _ => None,
        };
        let Some(whole) = whole else {
            observe(trace, None);
            return self.take_control(now, frame, out, trace);
        };
        let text = Text::of(whole, document);
        let envelope = if let Text::Json { envelope, .. } = text { Some(envelope) } else { None };
        observe(trace, Some(text));
        let Some(envelope) = envelope else { return };
        match envelope {
            Envelope::Message(message) => {
                if let Some(id) = message.message_id() {
                    self.last = Some(id);
                    self.arrived += 1;
                    match self.policy.when {
                        _ if self.stage != Stage::Open => {}
                        AckWhen::AtOnce if self.own.bends.is_empty() => {
                            for _ in 0..self.policy.times {
                                self.own.ack(now, id, &self.policy.status, out, trace);
                            }
                        }
                        AckWhen::AtOnce => {
                            let arrived = Arrived { nth: self.arrived, message };
                            let acks = self.own.bends.acks(&arrived, id, self.policy.times, &self.policy.status);
                            for (id, status) in acks {
                                self.own.ack(now, id, &status, out, trace);
                            }
                        }
                        when => {
                            if self.owed.len() == OWED_LIMIT {
                                self.owed.pop_front();
                            }
                            self.owed.push_back(id);
                            if let AckWhen::Late(by) = when {
                                self.late.push_back((now + by, id));
                            }
                        }
                    }
                }
                hear(Heard::Message(message));
            }
            Envelope::Ack(ack) => hear(Heard::Ack(ack)),
            Envelope::Other(_) => {}
        }
    }

    /// Answers a close frame. A ping is left unanswered: a client sends no pong (EVENTS 6).
    fn take_control<S: Sink>(&mut self, now: Instant, frame: &Frame<'_>, out: &mut Vec<u8>, trace: &mut Tracer<S>) {
        if frame.header.opcode != Opcode::CLOSE {
            return;
        }
        self.server_closed = true;
        if self.stage == Stage::Open {
            self.stage = Stage::Closing;
            let code = frame.payload.get(..2).unwrap_or_default();
            self.own.frame(now, Header::new(Opcode::CLOSE, code.len() as u64), true, code, out, trace);
        }
    }

    /// Sends the acks that are due.
    pub fn handle_timeout<S: Sink>(&mut self, now: Instant, out: &mut Vec<u8>, trace: &mut Tracer<S>) {
        while let Some((at, id)) = self.late.front().copied() {
            if at > now {
                break;
            }
            self.late.pop_front();
            let times = self.policy.times;
            let status = std::mem::take(&mut self.policy.status);
            for _ in 0..times {
                self.acknowledge(now, id, &status, out, trace);
            }
            self.policy.status = status;
        }
    }

    /// Acknowledges from now on as `policy` says; what is owed is acknowledged, oldest first, unless acks are withheld.
    pub fn set_policy<S: Sink>(&mut self, now: Instant, policy: AckPolicy, out: &mut Vec<u8>, trace: &mut Tracer<S>) {
        self.policy = policy;
        self.late.clear();
        match self.policy.when {
            AckWhen::Withhold => {}
            AckWhen::Late(by) => self.late.extend(self.owed.iter().map(|id| (now + by, *id))),
            AckWhen::AtOnce => {
                while let Some(id) = self.owed.pop_front() {
                    if self.stage == Stage::Open {
                        for _ in 0..self.policy.times {
                            self.own.ack(now, id, &self.policy.status, out, trace);
                        }
                    }
                }
            }
        }
    }

    /// Sends one ack.
    pub fn acknowledge<S: Sink>(
        &mut self,
        now: Instant,
        id: u64,
        status: &str,
        out: &mut Vec<u8>,
        trace: &mut Tracer<S>,
    ) {
        if self.stage == Stage::Open {
            if let Some(at) = self.owed.iter().position(|owed| *owed == id) {
                self.owed.remove(at);
            }
            self.own.ack(now, id, status, out, trace);
        }
    }

    /// Sends a text frame.
    pub fn send_text<S: Sink>(&mut self, now: Instant, text: &str, out: &mut Vec<u8>, trace: &mut Tracer<S>) {
        if !self.own.bends.is_empty() {
            let text = self.own.bends.text(text);
            let header = Header::new(Opcode::TEXT, text.len() as u64);
            return self.own.frame(now, header, true, text.as_bytes(), out, trace);
        }
        let header = Header::new(Opcode::TEXT, text.len() as u64);
        self.own.frame(now, header, true, text.as_bytes(), out, trace);
    }

    /// Sends a frame exactly as `header` says, masked with a fresh key if `masked`.
    pub fn send_frame<S: Sink>(
        &mut self,
        now: Instant,
        header: Header,
        masked: bool,
        payload: &[u8],
        out: &mut Vec<u8>,
        trace: &mut Tracer<S>,
    ) {
        self.own.frame(now, header, masked, payload, out, trace);
        if header.opcode == Opcode::CLOSE {
            self.stage = Stage::Closing;
        }
    }

    /// Sends bytes that need not be a frame.
    pub fn send_bytes<S: Sink>(&self, now: Instant, bytes: &[u8], out: &mut Vec<u8>, trace: &mut Tracer<S>) {
        out.extend_from_slice(bytes);
        trace.observe(now, Event::RawBytesSent { connection: self.connection, bytes });
    }

    /// Begins the closing handshake; code 0 sends an empty close frame.
    pub fn close<S: Sink>(&mut self, now: Instant, code: u16, reason: &str, out: &mut Vec<u8>, trace: &mut Tracer<S>) {
        if self.stage == Stage::Open {
            let payload = if code == 0 { Vec::new() } else { frame::close_payload(code, reason) };
            let header = Header::new(Opcode::CLOSE, payload.len() as u64);
            self.send_frame(now, header, true, &payload, out, trace);
        }
    }
}

impl Outgoing {
    fn ack<S: Sink>(&mut self, now: Instant, id: u64, status: &str, out: &mut Vec<u8>, trace: &mut Tracer<S>) {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        write::ack_into(id, status, &mut text);
        self.frame(now, Header::new(Opcode::TEXT, text.len() as u64), true, &text, out, trace);
        self.text = text;
    }

    /// Writes an ack that is yet to be observed; its text is appended to `texts`.
    fn write_ack(&mut self, id: u64, status: &str, texts: &mut Vec<u8>, out: &mut Vec<u8>) -> Reply {
        let (mask, start) = (self.random.random(), texts.len());
        write::ack_into(id, status, texts);
        let text = &texts[start..];
        frame::encode(&Header { mask: Some(mask), ..Header::new(Opcode::TEXT, text.len() as u64) }, text, out);
        Reply { id, mask, start, end: texts.len() }
    }

    fn frame<S: Sink>(
        &mut self,
        now: Instant,
        header: Header,
        masked: bool,
        payload: &[u8],
        out: &mut Vec<u8>,
        trace: &mut Tracer<S>,
    ) {
        if self.bends.is_empty() {
            return self.write(now, header, masked, payload, out, trace);
        }
        for frame in self.bends.frames(NewFrame { header, masked, payload: payload.to_vec() }) {
            self.write(now, frame.header, frame.masked, &frame.payload, out, trace);
        }
    }

    fn write<S: Sink>(
        &mut self,
        now: Instant,
        mut header: Header,
        masked: bool,
        payload: &[u8],
        out: &mut Vec<u8>,
        trace: &mut Tracer<S>,
    ) {
        header.mask = masked.then(|| self.random.random());
        frame::encode(&header, payload, out);
        let whole = header.opcode == Opcode::TEXT && header.fin;
        let text = whole.then(|| Text::of(payload, &mut self.document));
        let connection = self.connection;
        trace.observe(now, Event::Frame { connection, from: Side::Client, frame: Frame { header, payload }, text });
    }
}

#[cfg(test)]
mod tests;
