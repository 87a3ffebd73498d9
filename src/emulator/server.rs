//! One emulated Meeting Server: what a shell or a simulation drives.
//!
//! Sans-IO, in the manner of quinn-proto. After every call of a `handle_*` method, take outputs with
//! [`MeetingServer::poll_output`] until there are none, then ask [`MeetingServer::poll_timeout`] when
//! [`MeetingServer::handle_timeout`] wants to be called. Outputs come in the order in which they are to be carried out.

use std::collections::VecDeque;

use super::mutant::Mutant;
use super::settings::Settings;
use super::typed::{ConnectionKey, ExchangeKey};
use crate::protocol::http::{Request, Response};
use crate::time::Instant;

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Answer an exchange.
    Respond {
        /// The exchange.
        exchange: ExchangeKey,
        /// The answer.
        response: Response,
        /// End the TCP connection after it.
        close: bool,
    },
    /// Answer an exchange with 101; from then on its TCP connection carries frames.
    Upgrade {
        /// The exchange.
        exchange: ExchangeKey,
        /// The connection that it becomes.
        connection: ConnectionKey,
        /// The answer.
        response: Response,
    },
    /// Send bytes.
    Send {
        /// Where to.
        connection: ConnectionKey,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// End the TCP connection in order, after what was sent. No `handle_ended` has to follow.
    Close {
        /// Which one.
        connection: ConnectionKey,
    },
    /// End the TCP connection abruptly. No `handle_ended` has to follow.
    Drop {
        /// Which one.
        connection: ConnectionKey,
    },
}

/// One emulated Meeting Server.
#[derive(Debug)]
pub struct MeetingServer {
    outputs: VecDeque<Output>,
}

impl MeetingServer {
    /// A server without calls; `seed` decides every GUID, token and jitter.
    pub fn new(_settings: Settings, _mutants: Vec<Box<dyn Mutant>>, _seed: u64) -> Self {
        Self { outputs: VecDeque::new() }
    }

    /// Takes a request: of the API, for a token, for an upgrade, or of the test-only API.
    pub fn handle_request(&mut self, _now: Instant, exchange: ExchangeKey, _request: &Request) {
        self.outputs.push_back(Output::Respond { exchange, response: Response::new(503), close: false });
    }

    /// Takes bytes that arrived after an upgrade.
    pub fn handle_bytes(&mut self, _now: Instant, _connection: ConnectionKey, _bytes: &[u8]) {}

    /// Takes note that the peer has ended a connection, in order or not.
    pub fn handle_ended(&mut self, _now: Instant, _connection: ConnectionKey) {}

    /// Does what is due.
    pub fn handle_timeout(&mut self, _now: Instant) {}

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
