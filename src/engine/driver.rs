//! The contract between the engine and whoever carries out its wishes.
//!
//! The engine never touches a socket or a clock. A driver hands it what happened ([`Input`]) with the present instant,
//! then takes [`Command`]s until there are none, then waits for the next thing to happen or for the engine's next timer,
//! whichever is first. The socket driver (`net/`) does so with real sockets; the simulation driver joins the engine to
//! the emulator's core on virtual time. Both see the same commands and must answer them the same way.

use std::time::Duration;

use crate::protocol::http::{Request, Response};
use crate::trace::{ConnectionId, EndCause, ExchangeId, LinkId, NetworkError, ReceiverId};

/// What the engine wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Carry out an HTTP exchange; answer with [`Input::Responded`] or [`Input::RequestFailed`].
    Request {
        /// The exchange.
        exchange: ExchangeId,
        /// The request; credentials are filled in by the driver.
        request: Request,
        /// After this long without a complete answer it has failed ([`NetworkErrorKind::Timeout`](crate::trace::NetworkErrorKind)).
        timeout: Duration,
    },
    /// Connect and send an upgrade request; answer with [`Input::Opened`], [`Input::Refused`] or [`Input::OpenFailed`].
    Open {
        /// The connection to be.
        connection: ConnectionId,
        /// The upgrade request.
        request: Request,
        /// After this long without a complete answer it has failed.
        timeout: Duration,
    },
    /// Send these bytes.
    Send {
        /// The connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// End the TCP connection in order (FIN after what was sent). No [`Input::Ended`] follows.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// End the TCP connection abruptly (RST where that is possible). No [`Input::Ended`] follows.
    Drop {
        /// The connection.
        connection: ConnectionId,
    },
    /// Take connections for a CDR receiver; answer with [`Input::Listening`] or [`Input::ListenFailed`]. After
    /// [`Command::StopListening`], the same receiver listens at the same address again.
    Listen {
        /// The receiver.
        receiver: ReceiverId,
        /// Whether it speaks TLS.
        tls: bool,
    },
    /// Take no more connections: attempts are refused. Links that are open stay open.
    StopListening {
        /// The receiver.
        receiver: ReceiverId,
    },
    /// Send these bytes to a Call Bridge.
    SendLink {
        /// Its connection.
        link: LinkId,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Read no more from a Call Bridge, or go on reading.
    HoldLink {
        /// Its connection.
        link: LinkId,
        /// Whether to hold.
        hold: bool,
    },
    /// End the connection of a Call Bridge in order. No [`Input::LinkEnded`] follows.
    CloseLink {
        /// Its connection.
        link: LinkId,
    },
    /// End the connection of a Call Bridge abruptly. No [`Input::LinkEnded`] follows.
    ResetLink {
        /// Its connection.
        link: LinkId,
    },
    /// Run the command that restarts the Call Bridge of the target; answer with [`Input::Restarted`]. Only where the
    /// options say that there is one.
    Restart {
        /// After this long the command is ended and has failed.
        timeout: Duration,
    },
}

/// What happened, as far as the engine has to know.
#[derive(Debug)]
pub enum Input<'a> {
    /// The answer of an exchange.
    Responded {
        /// The exchange.
        exchange: ExchangeId,
        /// The answer.
        response: Response,
    },
    /// An exchange failed.
    RequestFailed {
        /// The exchange.
        exchange: ExchangeId,
        /// Why.
        error: NetworkError,
    },
    /// An upgrade was answered with 101.
    Opened {
        /// The connection.
        connection: ConnectionId,
        /// The answer.
        response: Response,
    },
    /// An upgrade was answered otherwise; the connection does not exist.
    Refused {
        /// The connection.
        connection: ConnectionId,
        /// The answer.
        response: Response,
    },
    /// An upgrade got no answer; the connection does not exist.
    OpenFailed {
        /// The connection.
        connection: ConnectionId,
        /// Why.
        error: NetworkError,
    },
    /// Bytes arrived on an open connection. The engine decodes them in place.
    Received {
        /// The connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// The peer ended an open connection.
    Ended {
        /// The connection.
        connection: ConnectionId,
        /// [`EndCause::PeerClosed`] or [`EndCause::PeerReset`].
        cause: EndCause,
    },
    /// A CDR receiver takes connections.
    Listening {
        /// The receiver.
        receiver: ReceiverId,
        /// Under which host and port a Call Bridge reaches it, such as `127.0.0.1:40001`.
        authority: String,
    },
    /// A CDR receiver cannot take connections.
    ListenFailed {
        /// The receiver.
        receiver: ReceiverId,
        /// Why.
        error: NetworkError,
    },
    /// A Call Bridge has connected to a receiver, the TLS handshake included. The driver numbers links from 1.
    LinkOpened {
        /// The receiver.
        receiver: ReceiverId,
        /// The connection.
        link: LinkId,
    },
    /// Somebody has connected to a receiver, and the TLS handshake failed.
    HandshakeFailed {
        /// The receiver.
        receiver: ReceiverId,
        /// What is known of why.
        what: &'a str,
        /// Whether the other side ended it.
        by_peer: bool,
    },
    /// Bytes arrived from a Call Bridge.
    LinkReceived {
        /// Its connection.
        link: LinkId,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// A Call Bridge ended its connection.
    LinkEnded {
        /// Its connection.
        link: LinkId,
        /// [`EndCause::PeerClosed`] or [`EndCause::PeerReset`].
        cause: EndCause,
    },
    /// The command that restarts the Call Bridge has ended; why it failed, if it did.
    Restarted {
        /// What went wrong, in words.
        failure: Option<String>,
    },
    /// The engine's timer is due, or the driver wants the engine to look at the time.
    Tick,
    /// The user wants the run to end: stop where it stands, clean up, finish.
    Interrupt,
}
