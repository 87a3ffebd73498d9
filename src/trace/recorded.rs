//! A recorded observation: it owns what it holds, and lends an [`Observation`] to whoever takes one.
//!
//! Texts of messages are parsed again when they are lent, by the same code that parsed them live.

use std::borrow::Cow;
use std::time::Duration;

use super::event_line::SetLine;
use super::event_line::{ErrorLine, EventLine, FrameLine, MessageLine, RequestLine, ResponseLine};
use super::observation::{
    ConnectionId, EndCause, Event, ExchangeId, LinkId, NetworkError, Observation, ReceiverId, Seq, SetId, Side, Text,
};
use crate::protocol::cdr::Tape;
use crate::protocol::http::{Credentials, Headers, Method, Request, Response};
use crate::protocol::http1::Head;
use crate::protocol::json::Document;
use crate::protocol::ws::frame::{Frame, Header, Opcode};
use crate::time::Instant;

/// One observation that was read from a recorded trace.
#[derive(Debug)]
pub struct Recorded {
    pub(super) seq: Seq,
    pub(super) at: Instant,
    pub(super) event: Kept,
}

/// An event that owns what it holds.
#[derive(Debug)]
pub(super) enum Kept {
    ScenarioStarted(String),
    StepStarted(u32, String),
    ScenarioEnded(Option<String>),
    HarnessLate(Duration),
    Snapshot(Seq),
    RequestSent(ExchangeId, Request),
    ResponseReceived(ExchangeId, Response),
    RequestFailed(ExchangeId, NetworkError),
    Opening(ConnectionId, String, Request),
    Opened(ConnectionId, Response),
    Refused(ConnectionId, Response),
    OpenFailed(ConnectionId, NetworkError),
    Frame(KeptFrame),
    RawBytesSent(ConnectionId, Vec<u8>),
    Ended(ConnectionId, EndCause),
    WallClock(i64),
    ReceiverOpened(ReceiverId, String, String),
    ReceiverClosed(ReceiverId),
    LinkOpened(LinkId, ReceiverId),
    HandshakeFailed(ReceiverId, String, bool),
    LinkFault(LinkId, String),
    LinkEnded(LinkId, EndCause),
    SetReceived(Box<KeptSet>),
    SetCut { set: SetId, link: LinkId, receiver: ReceiverId, arrived_bytes: u64, by_receiver: bool },
    SetAnswered { set: SetId, status: u16, whole: bool, planned: bool },
    SetUnanswered { set: SetId, planned: bool },
    RestartBegun,
    RestartDone,
}

/// Where the texts of a lent observation are parsed; used again for the next one.
#[derive(Debug, Default)]
pub struct Scratch {
    document: Document,
    tape: Tape,
}

#[derive(Debug)]
pub(super) struct KeptSet {
    set: SetId,
    link: LinkId,
    receiver: ReceiverId,
    method: String,
    target: String,
    minor_version: u8,
    fields: String,
    body: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct KeptFrame {
    connection: ConnectionId,
    from: Side,
    header: Header,
    payload: Vec<u8>,
    message: Option<KeptMessage>,
}

#[derive(Debug)]
enum KeptMessage {
    Payload,
    Whole(Vec<u8>),
}

impl Recorded {
    /// Its place in the trace of its scenario.
    pub const fn seq(&self) -> Seq {
        self.seq
    }

    /// When it was observed.
    pub const fn at(&self) -> Instant {
        self.at
    }

    /// The observation, as it was live but for secrets; `scratch` holds the parse of its text.
    pub fn lend<'r>(&'r self, scratch: &'r mut Scratch) -> Observation<'r> {
        let event = match &self.event {
            Kept::ScenarioStarted(id) => Event::ScenarioStarted { id },
            Kept::StepStarted(number, text) => Event::StepStarted { number: *number, text },
            Kept::ScenarioEnded(unfinished) => Event::ScenarioEnded { unfinished: unfinished.as_deref() },
            Kept::HarnessLate(by) => Event::HarnessLate { by: *by },
            Kept::Snapshot(since) => Event::Snapshot { since: *since },
            Kept::RequestSent(exchange, request) => Event::RequestSent { exchange: *exchange, request },
            Kept::ResponseReceived(exchange, response) => Event::ResponseReceived { exchange: *exchange, response },
            Kept::RequestFailed(exchange, error) => Event::RequestFailed { exchange: *exchange, error },
            Kept::Opening(connection, client, request) => Event::Opening { connection: *connection, client, request },
            Kept::Opened(connection, response) => Event::Opened { connection: *connection, response },
            Kept::Refused(connection, response) => Event::Refused { connection: *connection, response },
            Kept::OpenFailed(connection, error) => Event::OpenFailed { connection: *connection, error },
            Kept::Frame(frame) => frame.lend(&mut scratch.document),
            Kept::RawBytesSent(connection, bytes) => Event::RawBytesSent { connection: *connection, bytes },
            Kept::Ended(connection, cause) => Event::Ended { connection: *connection, cause: *cause },
            Kept::WallClock(unix_ms) => Event::WallClock { unix_ms: *unix_ms },
            Kept::ReceiverOpened(receiver, name, uri) => Event::ReceiverOpened { receiver: *receiver, name, uri },
            Kept::ReceiverClosed(receiver) => Event::ReceiverClosed { receiver: *receiver },
            Kept::LinkOpened(link, receiver) => Event::LinkOpened { link: *link, receiver: *receiver },
            Kept::HandshakeFailed(receiver, what, by_peer) => {
                Event::HandshakeFailed { receiver: *receiver, what, by_peer: *by_peer }
            }
            Kept::LinkFault(link, what) => Event::LinkFault { link: *link, what },
            Kept::LinkEnded(link, cause) => Event::LinkEnded { link: *link, cause: *cause },
            Kept::SetReceived(set) => set.lend(&mut scratch.tape),
            Kept::SetCut { set, link, receiver, arrived_bytes, by_receiver } => Event::SetCut {
                set: *set,
                link: *link,
                receiver: *receiver,
                arrived_bytes: *arrived_bytes,
                by_receiver: *by_receiver,
            },
            Kept::SetAnswered { set, status, whole, planned } => {
                Event::SetAnswered { set: *set, status: *status, whole: *whole, planned: *planned }
            }
            Kept::SetUnanswered { set, planned } => Event::SetUnanswered { set: *set, planned: *planned },
            Kept::RestartBegun => Event::RestartBegun,
            Kept::RestartDone => Event::RestartDone,
        };
        Observation { seq: self.seq, at: self.at, event }
    }
}

impl KeptSet {
    fn lend<'r>(&'r self, tape: &'r mut Tape) -> Event<'r> {
        Event::SetReceived {
            set: self.set,
            link: self.link,
            receiver: self.receiver,
            head: Head {
                method: &self.method,
                target: &self.target,
                minor_version: self.minor_version,
                fields: &self.fields,
            },
            records: tape.read(&self.body),
        }
    }
}

impl TryFrom<SetLine<'_>> for KeptSet {
    type Error = String;

    fn try_from(line: SetLine<'_>) -> Result<Self, String> {
        Ok(Self {
            set: SetId(line.set),
            link: LinkId(line.link),
            receiver: ReceiverId(line.receiver),
            method: line.method.into_owned(),
            target: line.target.into_owned(),
            minor_version: line.minor_version,
            fields: line.fields.into_owned(),
            body: bytes_of(Some(line.body))?,
        })
    }
}

impl KeptFrame {
    fn lend<'r>(&'r self, document: &'r mut Document) -> Event<'r> {
        let whole = self.message.as_ref().map(|message| match message {
            KeptMessage::Payload => &self.payload,
            KeptMessage::Whole(bytes) => bytes,
        });
        Event::Frame {
            connection: self.connection,
            from: self.from,
            frame: Frame { header: self.header, payload: &self.payload },
            text: whole.map(|bytes| Text::of(bytes, document)),
        }
    }
}

fn owned(fields: Vec<(Cow<'_, str>, Cow<'_, str>)>) -> Headers {
    fields.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
}

impl TryFrom<RequestLine<'_>> for Request {
    type Error = String;

    fn try_from(line: RequestLine<'_>) -> Result<Self, String> {
        Ok(Self {
            method: Method::from_name(&line.method).ok_or_else(|| format!("unknown method `{}`", line.method))?,
            target: line.target.into_owned(),
            credentials: Credentials::from_name(&line.credentials)
                .ok_or_else(|| format!("unknown credentials `{}`", line.credentials))?,
            headers: owned(line.headers),
            body: bytes_of(line.body)?,
        })
    }
}

impl TryFrom<ResponseLine<'_>> for Response {
    type Error = String;

    fn try_from(line: ResponseLine<'_>) -> Result<Self, String> {
        Ok(Self { status: line.status, headers: owned(line.headers), body: bytes_of(line.body)? })
    }
}

impl From<ErrorLine<'_>> for NetworkError {
    fn from(line: ErrorLine<'_>) -> Self {
        Self { kind: line.kind, address: line.address.into_owned(), cause: line.cause.into_owned() }
    }
}

impl TryFrom<FrameLine<'_>> for KeptFrame {
    type Error = String;

    fn try_from(line: FrameLine<'_>) -> Result<Self, String> {
        let message = match line.message {
            None => None,
            Some(MessageLine::Payload) => Some(KeptMessage::Payload),
            Some(MessageLine::Whole(bytes)) => Some(KeptMessage::Whole(bytes_of(Some(bytes))?)),
        };
        Ok(Self {
            connection: ConnectionId(line.connection),
            from: line.from,
            header: Header {
                fin: line.fin,
                reserved: line.reserved,
                opcode: Opcode(line.opcode),
                mask: line.mask,
                length_form: line.length_form,
                length: line.length,
            },
            payload: bytes_of(Some(line.payload))?,
            message,
        })
    }
}

fn bytes_of(bytes: Option<super::event_line::Bytes<'_>>) -> Result<Vec<u8>, String> {
    bytes.map_or(Ok(Vec::new()), |bytes| bytes.into_vec().map_err(|error| format!("no base64: {error}")))
}

impl TryFrom<EventLine<'_>> for Kept {
    type Error = String;

    fn try_from(line: EventLine<'_>) -> Result<Self, String> {
        Ok(match line {
            EventLine::ScenarioStarted { id } => Self::ScenarioStarted(id.into_owned()),
            EventLine::StepStarted { number, text } => Self::StepStarted(number, text.into_owned()),
            EventLine::ScenarioEnded { unfinished } => Self::ScenarioEnded(unfinished.map(Cow::into_owned)),
            EventLine::HarnessLate { by_ns } => Self::HarnessLate(Duration::from_nanos(by_ns)),
            EventLine::Snapshot { since } => Self::Snapshot(Seq(since)),
            EventLine::RequestSent { exchange, request } => {
                Self::RequestSent(ExchangeId(exchange), request.try_into()?)
            }
            EventLine::ResponseReceived { exchange, response } => {
                Self::ResponseReceived(ExchangeId(exchange), response.try_into()?)
            }
            EventLine::RequestFailed { exchange, error } => Self::RequestFailed(ExchangeId(exchange), error.into()),
            EventLine::Opening { connection, client, request } => {
                Self::Opening(ConnectionId(connection), client.into_owned(), request.try_into()?)
            }
            EventLine::Opened { connection, response } => Self::Opened(ConnectionId(connection), response.try_into()?),
            EventLine::Refused { connection, response } => {
                Self::Refused(ConnectionId(connection), response.try_into()?)
            }
            EventLine::OpenFailed { connection, error } => Self::OpenFailed(ConnectionId(connection), error.into()),
            EventLine::Frame(frame) => Self::Frame(frame.try_into()?),
            EventLine::RawBytesSent { connection, bytes } => {
                Self::RawBytesSent(ConnectionId(connection), bytes_of(Some(bytes))?)
            }
            EventLine::Ended { connection, cause } => Self::Ended(ConnectionId(connection), cause),
            EventLine::WallClock { unix_ms } => Self::WallClock(unix_ms),
            EventLine::ReceiverOpened { receiver, name, uri } => {
                Self::ReceiverOpened(ReceiverId(receiver), name.into_owned(), uri.into_owned())
            }
            EventLine::ReceiverClosed { receiver } => Self::ReceiverClosed(ReceiverId(receiver)),
            EventLine::LinkOpened { link, receiver } => Self::LinkOpened(LinkId(link), ReceiverId(receiver)),
            EventLine::HandshakeFailed { receiver, what, by_peer } => {
                Self::HandshakeFailed(ReceiverId(receiver), what.into_owned(), by_peer)
            }
            EventLine::LinkFault { link, what } => Self::LinkFault(LinkId(link), what.into_owned()),
            EventLine::LinkEnded { link, cause } => Self::LinkEnded(LinkId(link), cause),
            EventLine::SetReceived(set) => Self::SetReceived(Box::new(set.try_into()?)),
            EventLine::SetCut { set, link, receiver, arrived_bytes, by_receiver } => Self::SetCut {
                set: SetId(set),
                link: LinkId(link),
                receiver: ReceiverId(receiver),
                arrived_bytes,
                by_receiver,
            },
            EventLine::SetAnswered { set, status, whole, planned } => {
                Self::SetAnswered { set: SetId(set), status, whole, planned }
            }
            EventLine::SetUnanswered { set, planned } => Self::SetUnanswered { set: SetId(set), planned },
            EventLine::RestartBegun => Self::RestartBegun,
            EventLine::RestartDone => Self::RestartDone,
        })
    }
}
