//! The shape of an event in a recorded trace: what stands on the line, and how an event is put into it.
//!
//! One definition serves writing, where it borrows, and reading, where it owns. [`super::recorded`] makes events of it.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::observation::{EndCause, Event, NetworkError, NetworkErrorKind, Side, Text};
use super::secrets::Secrets;
use crate::protocol::http::{Request, Response};
use crate::protocol::ws::frame::{Frame, LengthForm};

/// An event as it stands on a line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum EventLine<'a> {
    ScenarioStarted {
        id: Cow<'a, str>,
    },
    StepStarted {
        number: u32,
        text: Cow<'a, str>,
    },
    ScenarioEnded {
        unfinished: Option<Cow<'a, str>>,
    },
    HarnessLate {
        by_ns: u64,
    },
    Snapshot {
        since: u64,
    },
    RequestSent {
        exchange: u32,
        request: RequestLine<'a>,
    },
    ResponseReceived {
        exchange: u32,
        response: ResponseLine<'a>,
    },
    RequestFailed {
        exchange: u32,
        error: ErrorLine<'a>,
    },
    Opening {
        connection: u32,
        client: Cow<'a, str>,
        request: RequestLine<'a>,
    },
    Opened {
        connection: u32,
        response: ResponseLine<'a>,
    },
    Refused {
        connection: u32,
        response: ResponseLine<'a>,
    },
    OpenFailed {
        connection: u32,
        error: ErrorLine<'a>,
    },
    Frame(FrameLine<'a>),
    RawBytesSent {
        connection: u32,
        bytes: Bytes<'a>,
    },
    Ended {
        connection: u32,
        cause: EndCause,
    },
    WallClock {
        unix_ms: i64,
    },
    ReceiverOpened {
        receiver: u32,
        name: Cow<'a, str>,
        uri: Cow<'a, str>,
    },
    ReceiverClosed {
        receiver: u32,
    },
    LinkOpened {
        link: u32,
        receiver: u32,
    },
    HandshakeFailed {
        receiver: u32,
        what: Cow<'a, str>,
        by_peer: bool,
    },
    LinkFault {
        link: u32,
        what: Cow<'a, str>,
    },
    LinkEnded {
        link: u32,
        cause: EndCause,
    },
    SetReceived(SetLine<'a>),
    SetCut {
        set: u64,
        link: u32,
        receiver: u32,
        arrived_bytes: u64,
        by_receiver: bool,
    },
    SetAnswered {
        set: u64,
        status: u16,
        whole: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        planned: bool,
    },
    SetUnanswered {
        set: u64,
        #[serde(default, skip_serializing_if = "is_false")]
        planned: bool,
    },
    RestartBegun,
    RestartDone,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SetLine<'a> {
    pub(super) set: u64,
    pub(super) link: u32,
    pub(super) receiver: u32,
    pub(super) method: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
    pub(super) minor_version: u8,
    pub(super) fields: Cow<'a, str>,
    pub(super) body: Bytes<'a>,
}

/// Bytes: as text where they are UTF-8.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bytes<'a> {
    Text(Cow<'a, str>),
    Base64(String),
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RequestLine<'a> {
    pub(super) method: Cow<'a, str>,
    pub(super) target: Cow<'a, str>,
    pub(super) credentials: Cow<'a, str>,
    pub(super) headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Bytes<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ResponseLine<'a> {
    pub(super) status: u16,
    pub(super) headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) body: Option<Bytes<'a>>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ErrorLine<'a> {
    pub(super) kind: NetworkErrorKind,
    pub(super) address: Cow<'a, str>,
    pub(super) cause: Cow<'a, str>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FrameLine<'a> {
    pub(super) connection: u32,
    pub(super) from: Side,
    pub(super) fin: bool,
    pub(super) reserved: u8,
    pub(super) opcode: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mask: Option<[u8; 4]>,
    pub(super) length_form: LengthForm,
    pub(super) length: u64,
    pub(super) payload: Bytes<'a>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) message: Option<MessageLine<'a>>,
}

/// The text message that a frame completes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum MessageLine<'a> {
    /// The payload.
    Payload,
    /// The payloads of several frames.
    Whole(Bytes<'a>),
}

impl<'a> Bytes<'a> {
    fn of(bytes: &'a [u8], secrets: &Secrets) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(secrets.text(text)),
            Err(_) => Self::Base64(STANDARD.encode(secrets.bytes(bytes))),
        }
    }

    fn body(bytes: &'a [u8], secrets: &Secrets) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self::of(bytes, secrets))
    }

    /// The bytes; an error if they are not the base64 that they claim to be.
    pub(super) fn into_vec(self) -> Result<Vec<u8>, base64::DecodeError> {
        match self {
            Self::Text(text) => Ok(text.into_owned().into_bytes()),
            Self::Base64(text) => STANDARD.decode(text),
        }
    }
}

impl<'a> RequestLine<'a> {
    fn of(request: &'a Request, secrets: &mut Secrets) -> Self {
        Self {
            method: Cow::Borrowed(request.method.as_str()),
            target: secrets.target(&request.target),
            credentials: Cow::Borrowed(request.credentials.name()),
            headers: secrets.headers(&request.headers),
            body: Bytes::body(&request.body, secrets),
        }
    }
}

impl<'a> ResponseLine<'a> {
    fn of(response: &'a Response, secrets: &mut Secrets) -> Self {
        if response.is_success() {
            secrets.issued(&response.headers);
        }
        Self {
            status: response.status,
            headers: secrets.headers(&response.headers),
            body: Bytes::body(&response.body, secrets),
        }
    }
}

impl<'a> ErrorLine<'a> {
    fn of(error: &'a NetworkError, secrets: &Secrets) -> Self {
        Self { kind: error.kind, address: secrets.text(&error.address), cause: secrets.text(&error.cause) }
    }
}

impl<'a> FrameLine<'a> {
    fn of(connection: u32, from: Side, frame: &Frame<'a>, text: Option<&Text<'a>>, secrets: &Secrets) -> Self {
        let header = &frame.header;
        let whole = text.map(|text| match text {
            Text::Json { text, .. } | Text::NotJson { text, .. } => text.as_bytes(),
            Text::NotUtf8 { bytes } => bytes,
        });
        let message = whole.map(|whole| {
            if whole == frame.payload { MessageLine::Payload } else { MessageLine::Whole(Bytes::of(whole, secrets)) }
        });
        Self {
            connection,
            from,
            fin: header.fin,
            reserved: header.reserved,
            opcode: header.opcode.0,
            mask: header.mask,
            length_form: header.length_form,
            length: header.length,
            payload: Bytes::of(frame.payload, secrets),
            message,
        }
    }
}

impl<'a> EventLine<'a> {
    /// Puts an event into its shape, with pseudonyms instead of secrets.
    pub(super) fn of(event: &Event<'a>, secrets: &mut Secrets) -> Self {
        match event {
            Event::ScenarioStarted { id } => Self::ScenarioStarted { id: Cow::Borrowed(id) },
            Event::StepStarted { number, text } => Self::StepStarted { number: *number, text: secrets.text(text) },
            Event::ScenarioEnded { unfinished } => {
                Self::ScenarioEnded { unfinished: unfinished.map(|why| secrets.text(why)) }
            }
            Event::HarnessLate { by } => Self::HarnessLate { by_ns: u64::try_from(by.as_nanos()).unwrap_or(u64::MAX) },
            Event::Snapshot { since } => Self::Snapshot { since: since.0 },
            Event::RequestSent { exchange, request } => {
                Self::RequestSent { exchange: exchange.0, request: RequestLine::of(request, secrets) }
            }
            Event::ResponseReceived { exchange, response } => {
                Self::ResponseReceived { exchange: exchange.0, response: ResponseLine::of(response, secrets) }
            }
            Event::RequestFailed { exchange, error } => {
                Self::RequestFailed { exchange: exchange.0, error: ErrorLine::of(error, secrets) }
            }
            Event::Opening { connection, client, request } => Self::Opening {
                connection: connection.0,
                client: Cow::Borrowed(client),
                request: RequestLine::of(request, secrets),
            },
            Event::Opened { connection, response } => {
                Self::Opened { connection: connection.0, response: ResponseLine::of(response, secrets) }
            }
            Event::Refused { connection, response } => {
                Self::Refused { connection: connection.0, response: ResponseLine::of(response, secrets) }
            }
            Event::OpenFailed { connection, error } => {
                Self::OpenFailed { connection: connection.0, error: ErrorLine::of(error, secrets) }
            }
            Event::Frame { connection, from, frame, text } => {
                Self::Frame(FrameLine::of(connection.0, *from, frame, text.as_ref(), secrets))
            }
            Event::RawBytesSent { connection, bytes } => {
                Self::RawBytesSent { connection: connection.0, bytes: Bytes::of(bytes, secrets) }
            }
            Event::Ended { connection, cause } => Self::Ended { connection: connection.0, cause: *cause },
            of_receivers => Self::of_receivers(of_receivers, secrets),
        }
    }

    fn of_receivers(event: &Event<'a>, secrets: &Secrets) -> Self {
        match event {
            Event::WallClock { unix_ms } => Self::WallClock { unix_ms: *unix_ms },
            Event::ReceiverOpened { receiver, name, uri } => {
                Self::ReceiverOpened { receiver: receiver.0, name: Cow::Borrowed(name), uri: secrets.text(uri) }
            }
            Event::ReceiverClosed { receiver } => Self::ReceiverClosed { receiver: receiver.0 },
            Event::LinkOpened { link, receiver } => Self::LinkOpened { link: link.0, receiver: receiver.0 },
            Event::HandshakeFailed { receiver, what, by_peer } => {
                Self::HandshakeFailed { receiver: receiver.0, what: Cow::Borrowed(what), by_peer: *by_peer }
            }
            Event::LinkFault { link, what } => Self::LinkFault { link: link.0, what: Cow::Borrowed(what) },
            Event::LinkEnded { link, cause } => Self::LinkEnded { link: link.0, cause: *cause },
            Event::SetReceived { set, link, receiver, head, records } => Self::SetReceived(SetLine {
                set: set.0,
                link: link.0,
                receiver: receiver.0,
                method: Cow::Borrowed(head.method),
                target: secrets.text(head.target),
                minor_version: head.minor_version,
                fields: secrets.text(head.fields),
                body: Bytes::of(records.body(), secrets),
            }),
            Event::SetCut { set, link, receiver, arrived_bytes, by_receiver } => Self::SetCut {
                set: set.0,
                link: link.0,
                receiver: receiver.0,
                arrived_bytes: *arrived_bytes,
                by_receiver: *by_receiver,
            },
            Event::SetAnswered { set, status, whole, planned } => {
                Self::SetAnswered { set: set.0, status: *status, whole: *whole, planned: *planned }
            }
            Event::SetUnanswered { set, planned } => Self::SetUnanswered { set: set.0, planned: *planned },
            Event::RestartBegun => Self::RestartBegun,
            Event::RestartDone => Self::RestartDone,
            other => unreachable!("{other:?} has its line above"),
        }
    }
}
