//! What can be observed: one [`Event`], stamped with a sequence number and the time.
//!
//! Observations borrow, so that a load run can have every message judged without copying any; the recorder makes its
//! own copy of what it keeps. Both directions use the same events: [`Side`] says who sent a frame, and which side is
//! under test is a matter of the judge.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::protocol::cdr;
use crate::protocol::events::Envelope;
use crate::protocol::http::{Request, Response};
use crate::protocol::http1::Head;
use crate::protocol::json::{Document, Json, JsonFault};
use crate::protocol::ws::frame::Frame;
use crate::time::Instant;

/// The place of an observation in its trace, counted from 1 without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

/// One HTTP exchange of a trace (a request and its answer, or its failure).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u32);

/// One event connection of a trace, from the attempt to open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u32);

/// One CDR receiver of a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReceiverId(pub u32);

/// One connection of a Call Bridge to a CDR receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// One set of records that a Call Bridge posted, or began to post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SetId(pub u64);

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// Who sent something on an event connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The Meeting Server.
    Server,
    /// The events client.
    Client,
}

impl Side {
    /// The other side.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// How an event connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndCause {
    /// The peer closed the TCP connection in order.
    PeerClosed,
    /// The peer reset the TCP connection.
    PeerReset,
    /// The observer closed it in order (after a closing handshake, or because it gave up).
    Closed,
    /// The observer dropped it abruptly, on purpose.
    Dropped,
    /// The peer stated a frame or a body longer than the observer is willing to read; the observer dropped it.
    TooLong,
}

/// What went wrong with the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetworkErrorKind {
    /// The name has no address.
    Resolve,
    /// Refused, unreachable.
    Connect,
    /// TLS: the certificate or the handshake.
    Tls,
    /// No answer in time.
    Timeout,
    /// The peer closed or reset before the answer was complete.
    Closed,
    /// What came back is not HTTP.
    Malformed,
}

/// A failure of the network, with the address and the cause in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkError {
    /// What kind of failure.
    pub kind: NetworkErrorKind,
    /// The address or URL that was tried.
    pub address: String,
    /// The cause in words, with the chain of causes.
    pub cause: String,
}

impl fmt::Display for NetworkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.address, self.cause)
    }
}

impl std::error::Error for NetworkError {}

/// The text of a message that arrived or was sent, with the one parse that was made of it.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    /// Valid UTF-8 and one JSON value.
    Json {
        /// The text.
        text: &'a str,
        /// The value.
        json: Json<'a>,
        /// What it is as a message, which every rule asks.
        envelope: Envelope<'a>,
    },
    /// Valid UTF-8, but not one JSON value.
    NotJson {
        /// The text.
        text: &'a str,
        /// Where and why.
        fault: JsonFault,
    },
    /// Not UTF-8.
    NotUtf8 {
        /// The bytes.
        bytes: &'a [u8],
    },
}

impl<'a> Text<'a> {
    /// What these bytes say, read by means of `document`.
    pub fn of(bytes: &'a [u8], document: &'a mut Document) -> Self {
        match std::str::from_utf8(bytes) {
            Err(_) => Self::NotUtf8 { bytes },
            Ok(text) => match document.parse(text) {
                Ok(json) => Self::Json { text, json, envelope: Envelope::of(json) },
                Err(fault) => Self::NotJson { text, fault },
            },
        }
    }

    /// The text as it was sent.
    pub const fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Json { text, .. } | Self::NotJson { text, .. } => text.as_bytes(),
            Self::NotUtf8 { bytes } => bytes,
        }
    }
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event<'a> {
    /// A scenario begins; what follows belongs to it.
    ScenarioStarted {
        /// Its id, such as `subscriptions/kept`.
        id: &'a str,
    },
    /// A step of the scenario begins.
    StepStarted {
        /// Its number, counted from 1 in the order of execution.
        number: u32,
        /// Its text in the scenario, on one line.
        text: &'a str,
    },
    /// The scenario is over.
    ScenarioEnded {
        /// Why it could not be carried out to the end, if it could not.
        unfinished: Option<&'a str>,
    },
    /// The harness noticed that it was late: what it did at this instant it had meant to do that much earlier.
    HarnessLate {
        /// By how much.
        by: Duration,
    },
    /// What the API answered since `since` describes the server at rest: compare it with what events have told.
    Snapshot {
        /// The first of the exchanges that belong to it.
        since: Seq,
    },
    /// A request to the API was sent.
    RequestSent {
        /// The exchange.
        exchange: ExchangeId,
        /// The request, without secrets.
        request: &'a Request,
    },
    /// Its answer arrived.
    ResponseReceived {
        /// The exchange.
        exchange: ExchangeId,
        /// The answer.
        response: &'a Response,
    },
    /// It got no answer.
    RequestFailed {
        /// The exchange.
        exchange: ExchangeId,
        /// Why.
        error: &'a NetworkError,
    },
    /// An upgrade to an event connection was requested.
    Opening {
        /// The connection.
        connection: ConnectionId,
        /// The events client's name in the scenario, or its address where a server observes.
        client: &'a str,
        /// The upgrade request; its token is in the query (or in a header, where a scenario puts it there).
        request: &'a Request,
    },
    /// The upgrade was answered 101: frames may flow.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// The answer.
        response: &'a Response,
    },
    /// The upgrade was answered, but not with 101.
    Refused {
        /// The connection.
        connection: ConnectionId,
        /// The answer.
        response: &'a Response,
    },
    /// The upgrade got no answer.
    OpenFailed {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        error: &'a NetworkError,
    },
    /// A frame was sent or received.
    Frame {
        /// The connection.
        connection: ConnectionId,
        /// Who sent it.
        from: Side,
        /// The frame as it is on the wire, payload unmasked.
        frame: Frame<'a>,
        /// The text message that this frame is, or completes.
        text: Option<Text<'a>>,
    },
    /// Bytes were sent that are no frame, on purpose.
    RawBytesSent {
        /// The connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// What the clock on the wall shows at this instant.
    WallClock {
        /// Milliseconds since 1970, UTC.
        unix_ms: i64,
    },
    /// A CDR receiver takes connections from now on, for the first time or again.
    ReceiverOpened {
        /// The receiver.
        receiver: ReceiverId,
        /// Its name in the scenario.
        name: &'a str,
        /// The URI under which a Call Bridge can reach it.
        uri: &'a str,
    },
    /// A CDR receiver takes no connections from now on; attempts are refused.
    ReceiverClosed {
        /// The receiver.
        receiver: ReceiverId,
    },
    /// A Call Bridge has connected to a CDR receiver.
    LinkOpened {
        /// The connection.
        link: LinkId,
        /// The receiver.
        receiver: ReceiverId,
    },
    /// Somebody connected to a CDR receiver, and the TLS handshake failed.
    HandshakeFailed {
        /// The receiver.
        receiver: ReceiverId,
        /// What is known of why.
        what: &'a str,
        /// Whether the other side ended it, as one does that does not trust the certificate.
        by_peer: bool,
    },
    /// What arrived on a connection of a Call Bridge is no HTTP request that could be read; nothing more is read from it.
    LinkFault {
        /// The connection.
        link: LinkId,
        /// What is wrong, in words.
        what: &'a str,
    },
    /// A connection of a Call Bridge to a CDR receiver is gone.
    LinkEnded {
        /// The connection.
        link: LinkId,
        /// How.
        cause: EndCause,
    },
    /// A set of records arrived whole.
    SetReceived {
        /// The set; a set that is sent again is another one.
        set: SetId,
        /// Where it arrived.
        link: LinkId,
        /// Which receiver got it.
        receiver: ReceiverId,
        /// The head of the request.
        head: Head<'a>,
        /// The records.
        records: cdr::Set<'a>,
    },
    /// Of a set of records only a part arrived, because the connection is about to end.
    SetCut {
        /// The set.
        set: SetId,
        /// Where it arrived.
        link: LinkId,
        /// Which receiver got it.
        receiver: ReceiverId,
        /// How many bytes of the body arrived.
        arrived_bytes: u64,
        /// Whether the receiver meant to end it, or is about to; otherwise the Call Bridge ended it.
        by_receiver: bool,
    },
    /// The receiver answered a set.
    SetAnswered {
        /// The set.
        set: SetId,
        /// The status.
        status: u16,
        /// Whether the whole answer was sent; otherwise it was cut off on purpose.
        whole: bool,
        /// Whether a plan told the receiver to do so.
        planned: bool,
    },
    /// A set that arrived gets no answer any more: the connection is gone, or about to go.
    SetUnanswered {
        /// The set.
        set: SetId,
        /// Whether a plan told the receiver to do so.
        planned: bool,
    },
    /// The harness has the Call Bridge restarted.
    RestartBegun,
    /// The restarted Call Bridge is there again.
    RestartDone,
    /// The event connection is gone.
    Ended {
        /// The connection.
        connection: ConnectionId,
        /// How.
        cause: EndCause,
    },
}

impl Event<'_> {
    /// The event connection that this is about, if it is about one.
    pub const fn connection(&self) -> Option<ConnectionId> {
        match self {
            Self::Opening { connection, .. }
            | Self::Opened { connection, .. }
            | Self::Refused { connection, .. }
            | Self::OpenFailed { connection, .. }
            | Self::Frame { connection, .. }
            | Self::RawBytesSent { connection, .. }
            | Self::Ended { connection, .. } => Some(*connection),
            _ => None,
        }
    }
}

/// One event with its place and time.
#[derive(Debug, Clone)]
pub struct Observation<'a> {
    /// Its place in the trace of its scenario.
    pub seq: Seq,
    /// When it was observed.
    pub at: Instant,
    /// What was observed.
    pub event: Event<'a>,
}

/// Takes observations in order: a judge, a recorder, or several of them.
pub trait Sink {
    /// Takes the next observation.
    fn observe(&mut self, observation: &Observation<'_>);

    /// Until when the sink would like the trace to go on, because something is still due that it waits for. `None`
    /// where nothing is due.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// A stretch of load is about to begin, which is measured from an instant on: what begins before it is warm-up.
    fn measured_from(&mut self, _start: Instant) {}

    /// How many findings the sink has made so far, if it judges.
    fn found(&self) -> u64 {
        0
    }
}
