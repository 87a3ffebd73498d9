//! The contract between the engine and whoever carries out its wishes.
//!
//! The engine never touches a socket or a clock. A driver hands it what happened ([`Input`]) with the present instant,
//! then takes [`Command`]s until there are none, then waits for the next thing to happen or for the engine's next timer,
//! whichever is first. The socket driver (`net/`) does so with real sockets; the simulation driver joins the engine to
//! the emulator's core on virtual time. Both see the same commands and must answer them the same way.

use std::time::Duration;

use crate::protocol::http::{Request, Response};
use crate::trace::{ConnectionId, EndCause, ExchangeId, NetworkError};

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
    /// The engine's timer is due, or the driver wants the engine to look at the time.
    Tick,
    /// The user wants the run to end: stop where it stands, clean up, finish.
    Interrupt,
}
