//! What goes into and comes out of the core, typed: the language that mutants speak.
//!
//! [`Input`] is what arrived, decoded. [`Event`] is something that the core reports on a connection, before it is queued
//! and numbered. [`Effect`] is what is about to leave, numbered and not yet encoded. See `mutant.rs` for the order.

use serde_json::{Map, Value};

use super::server::Address;
use crate::protocol::events::{Resource, State, UpdateType};
use crate::protocol::http::{Request, Response};
use crate::protocol::ws::frame::Header;

/// An HTTP exchange, numbered by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeKey(pub u64);

/// An event connection, numbered by the server from 1 in the order of acceptance, refused ones not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionKey(pub u64);

/// A connection to a CDR receiver, numbered by the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkKey(pub u64);

/// Something that arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// A request of the API, for a token, for an upgrade, or of the test-only API.
    Request {
        /// The exchange.
        exchange: ExchangeKey,
        /// The request.
        request: Request,
    },
    /// A `subscribeRequest` that could be understood.
    Subscribe {
        /// Where it came.
        connection: ConnectionKey,
        /// Its messageId.
        id: u64,
        /// The complete set.
        wanted: Vec<Wanted>,
    },
    /// An ack.
    Acked {
        /// Where it came.
        connection: ConnectionKey,
        /// The messageId, if it is one.
        id: Option<u64>,
        /// Whether its status is `success`.
        good: bool,
    },
    /// Something that does not belong.
    Odd {
        /// Where it came.
        connection: ConnectionKey,
        /// What it is.
        what: Oddity,
        /// Its messageId, if it has one.
        id: Option<u64>,
    },
    /// A close frame.
    Closing {
        /// Where it came.
        connection: ConnectionKey,
        /// Its code, if it has one.
        code: Option<u16>,
    },
    /// The end of the TCP connection.
    Ended {
        /// Which one.
        connection: ConnectionKey,
    },
}

/// What a client may send that does not belong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Oddity {
    /// A ping with this payload.
    Ping(Vec<u8>),
    /// A pong.
    Pong,
    /// A binary frame.
    Binary,
    /// A part of a fragmented message.
    Fragment,
    /// A text that is not UTF-8.
    BadUtf8,
    /// A text that is no JSON or has neither of the two shapes.
    BadJson,
    /// A message of unknown type, or one that lacks a needed field.
    UnknownMessage,
    /// A frame without a mask.
    Unmasked,
    /// Reserved bits, a reserved opcode, a misshapen control frame.
    BadFrame,
    /// A frame beyond the limit; nothing can be read after it.
    TooLong,
}

/// One entry of a `subscribeRequest`, as far as it could be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The index, if it is a number without sign and fraction.
    pub index: Option<u64>,
    /// The resource, if its word is known.
    pub resource: Option<Resource>,
    /// The call, if there is one.
    pub call: Option<String>,
    /// The elements in the client's order, unknown ones included.
    pub elements: Vec<String>,
}

/// The report of one state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateOf {
    /// The subscription.
    pub index: u64,
    /// The word for the state.
    pub state: &'static str,
}

impl StateOf {
    /// The report that `index` is in `state`.
    pub const fn new(index: u64, state: State) -> Self {
        Self { index, state: state.as_str() }
    }
}

/// One entry of an update.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The GUID of the call or participant; for `callInfo`, that of the call.
    pub key: String,
    /// What it reports; on `callInfo` it shows only whether it is the first.
    pub kind: UpdateType,
    /// Element names and values, typed as the guide has them.
    pub fields: Map<String, Value>,
}

/// Something to report on a connection.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// States of subscriptions.
    States(Vec<StateOf>),
    /// Changes of a resource.
    Update {
        /// The subscription.
        index: u64,
        /// Its resource.
        resource: Resource,
        /// The changes; exactly one for `callInfo`.
        entries: Vec<Entry>,
    },
    /// The inner object of a message of any other type, without messageId.
    Other(Map<String, Value>),
}

/// Something about to leave.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// The answer of an exchange.
    Answer {
        /// The exchange.
        exchange: ExchangeKey,
        /// The answer.
        response: Response,
        /// Whether the TCP connection ends after it.
        close: bool,
    },
    /// The 101 answer of an upgrade.
    Accept {
        /// The exchange that becomes a connection.
        exchange: ExchangeKey,
        /// The connection.
        connection: ConnectionKey,
        /// The answer.
        response: Response,
    },
    /// An ack.
    Ack {
        /// Where to.
        connection: ConnectionKey,
        /// The client's messageId.
        id: u64,
        /// The status.
        status: String,
    },
    /// A message.
    Message {
        /// Where to.
        connection: ConnectionKey,
        /// The server's messageId.
        id: u64,
        /// What it says.
        event: Event,
    },
    /// A text frame with exactly this text. The core never makes one; mutants do.
    Text {
        /// Where to.
        connection: ConnectionKey,
        /// The text.
        text: String,
    },
    /// Any other frame: a pong, a close frame.
    Frame {
        /// Where to.
        connection: ConnectionKey,
        /// All but the payload.
        header: Header,
        /// The payload.
        payload: Vec<u8>,
    },
    /// The end of the TCP connection in order, after what was sent.
    End {
        /// Which one.
        connection: ConnectionKey,
    },
    /// The abrupt end of the TCP connection.
    Drop {
        /// Which one.
        connection: ConnectionKey,
    },
    /// A connection to a receiver is wanted. What concerns receivers does not pass `Mutant::effect`.
    OpenLink {
        /// The connection to be.
        link: LinkKey,
        /// Where to.
        address: Address,
    },
    /// Bytes for a receiver.
    SendLink {
        /// Where to.
        link: LinkKey,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// The end of a connection to a receiver.
    CloseLink {
        /// Which one.
        link: LinkKey,
    },
}

impl Effect {
    /// The connection that it concerns; answers concern none.
    pub const fn connection(&self) -> Option<ConnectionKey> {
        match self {
            Self::Answer { .. } | Self::OpenLink { .. } | Self::SendLink { .. } | Self::CloseLink { .. } => None,
            Self::Accept { connection, .. }
            | Self::Ack { connection, .. }
            | Self::Message { connection, .. }
            | Self::Text { connection, .. }
            | Self::Frame { connection, .. }
            | Self::End { connection }
            | Self::Drop { connection } => Some(*connection),
        }
    }
}
