//! One emulated Meeting Server: what a shell or a simulation drives.
//!
//! Sans-IO, in the manner of quinn-proto. After every call of a `handle_*` method, take outputs with
//! [`MeetingServer::poll_output`] until there are none, then ask [`MeetingServer::poll_timeout`] when
//! [`MeetingServer::handle_timeout`] wants to be called. Outputs come in the order in which they are to be carried out.

use std::collections::{BTreeSet, VecDeque};

use super::change::{Cause, Change, Changed, Note};
use super::core::Core;
use super::mutant::{Mutant, View};
use super::settings::Settings;
use super::typed::{ConnectionKey, Effect, ExchangeKey, Input, LinkKey};
use super::wire;
use crate::protocol::http::{Request, Response};
use crate::protocol::json::Document;
use crate::protocol::ws::frame::{self, Header, LengthForm, Opcode};
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
    /// Connect to a CDR receiver; answer with `handle_link_opened` or `handle_link_failed`.
    OpenLink {
        /// The connection to be.
        link: LinkKey,
        /// Where to.
        address: Address,
    },
    /// Send bytes to a CDR receiver.
    SendLink {
        /// Where to.
        link: LinkKey,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// End the connection to a CDR receiver in order, or give up opening it. No `handle_link_ended` has to follow.
    CloseLink {
        /// Which one.
        link: LinkKey,
    },
}

/// Where a CDR receiver listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Whether it speaks TLS; its certificate is not checked.
    pub tls: bool,
    /// Its name or IP address; an IPv6 address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// One emulated Meeting Server.
#[derive(Debug)]
pub struct MeetingServer {
    core: Core,
    outputs: VecDeque<Output>,
    /// The connections that the shell still has open.
    open: BTreeSet<ConnectionKey>,
    tape: Document,
}

impl MeetingServer {
    /// A server without calls; `seed` decides every GUID, token and jitter.
    pub fn new(settings: Settings, mutants: Vec<Box<dyn Mutant>>, seed: u64) -> Self {
        Self {
            core: Core::new(settings, mutants, seed),
            outputs: VecDeque::new(),
            open: BTreeSet::new(),
            tape: Document::new(),
        }
    }

    /// Takes a request: of the API, for a token, for an upgrade, or of the test-only API.
    pub fn handle_request(&mut self, now: Instant, exchange: ExchangeKey, request: &Request) {
        self.advance(now);
        self.core.offer(now, Input::Request { exchange, request: request.clone() });
        self.carry_out();
    }

    /// Takes bytes that arrived after an upgrade.
    pub fn handle_bytes(&mut self, now: Instant, connection: ConnectionKey, bytes: &[u8]) {
        self.advance(now);
        let limit = self.core.settings.frame_limit;
        let Some(known) = self.core.connections.get_mut(&connection) else { return };
        let mut received = std::mem::take(&mut known.received);
        received.extend_from_slice(bytes);
        let mut consumed = 0;
        while let Some(input) = wire::next_input(&mut received, &mut consumed, limit, connection, &mut self.tape) {
            let Some(known) = self.core.connections.get(&connection) else { break };
            if !known.closing || matches!(input, Input::Closing { .. }) {
                self.core.offer(now, input);
                self.carry_out();
            }
        }
        received.drain(..consumed);
        if let Some(known) = self.core.connections.get_mut(&connection) {
            known.received = received;
        }
    }

    /// Takes note that the peer has ended a connection, in order or not.
    pub fn handle_ended(&mut self, now: Instant, connection: ConnectionKey) {
        self.advance(now);
        self.open.remove(&connection);
        self.core.offer(now, Input::Ended { connection });
        self.carry_out();
    }

    /// Tells the server what time it is: `unix_ms` milliseconds since 1970, UTC, at `now`. Without it the first day of
    /// 2026 begins at [`Instant::ZERO`].
    pub fn set_wall_clock(&mut self, now: Instant, unix_ms: i64) {
        self.core.cdr.set_wall_clock(now, unix_ms);
    }

    /// Takes note that the connection to a CDR receiver is open.
    pub fn handle_link_opened(&mut self, now: Instant, link: LinkKey) {
        self.advance(now);
        self.core.link_opened(link);
        self.carry_out();
    }

    /// Takes note that a CDR receiver could not be connected to.
    pub fn handle_link_failed(&mut self, now: Instant, link: LinkKey) {
        self.advance(now);
        self.core.link_ended(link);
        self.carry_out();
    }

    /// Takes bytes that a CDR receiver sent.
    pub fn handle_link_bytes(&mut self, now: Instant, link: LinkKey, bytes: &[u8]) {
        self.advance(now);
        self.core.link_bytes(link, bytes);
        self.carry_out();
    }

    /// Takes note that a CDR receiver has ended the connection, in order or not.
    pub fn handle_link_ended(&mut self, now: Instant, link: LinkKey) {
        self.advance(now);
        self.core.link_ended(link);
        self.carry_out();
    }

    /// Makes something happen. `told` are the connections that have to be told of it, because of `cause`: which message
    /// tells of it is noted.
    pub fn handle_change(
        &mut self,
        now: Instant,
        change: &Change,
        cause: Option<Cause>,
        told: &[ConnectionKey],
    ) -> Changed {
        self.advance(now);
        let changed = self.core.change(now, change, cause, told);
        self.carry_out();
        changed
    }

    /// From now on notes are taken, and have to be taken away with [`Self::poll_note`].
    pub fn take_notes(&mut self) {
        self.core.notes.get_or_insert_default();
    }

    /// The next note.
    pub fn poll_note(&mut self) -> Option<Note> {
        self.core.notes.as_mut()?.pop_front()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When `handle_timeout` wants to be called next; an instant that has passed means at once.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.core.timers.next()
    }

    /// The state of the server, for tests and for those who embed it.
    pub fn view(&self) -> View<'_> {
        self.core.view()
    }

    /// Does what was due before `now`, so that a late timer never comes after what it should precede.
    fn advance(&mut self, now: Instant) {
        self.core.wake(now);
        self.carry_out();
    }

    fn carry_out(&mut self) {
        while let Some(effect) = self.core.take_effect() {
            self.write(effect);
        }
    }

    fn write(&mut self, effect: Effect) {
        match effect {
            Effect::Answer { exchange, response, close } => {
                let response = wire::spelt(&self.core.settings, response);
                self.outputs.push_back(Output::Respond { exchange, response, close });
            }
            Effect::Accept { exchange, connection, response } => {
                self.open.insert(connection);
                let response = wire::spelt(&self.core.settings, response);
                self.outputs.push_back(Output::Upgrade { exchange, connection, response });
            }
            Effect::OpenLink { link, address } => self.outputs.push_back(Output::OpenLink { link, address }),
            Effect::SendLink { link, bytes } => self.outputs.push_back(Output::SendLink { link, bytes }),
            Effect::CloseLink { link } => self.outputs.push_back(Output::CloseLink { link }),
            Effect::Ack { connection, id, status } => {
                let text = wire::ack_text(&self.core.settings, id, &status);
                self.send_text(connection, text);
            }
            Effect::Message { connection, id, event } => {
                let text = wire::message_text(&self.core.settings, id, &event);
                self.send_text(connection, text);
            }
            Effect::Text { connection, text } => self.send_text(connection, text),
            Effect::Frame { connection, header, payload } => self.send(connection, header, payload),
            Effect::End { connection } => {
                if self.open.remove(&connection) {
                    self.outputs.push_back(Output::Close { connection });
                }
            }
            Effect::Drop { connection } => {
                if self.open.remove(&connection) {
                    self.outputs.push_back(Output::Drop { connection });
                }
            }
        }
    }

    fn send_text(&mut self, connection: ConnectionKey, text: String) {
        self.send(connection, Header::new(Opcode::TEXT, text.len() as u64), text.into_bytes());
    }

    fn send(&mut self, connection: ConnectionKey, mut header: Header, mut payload: Vec<u8>) {
        if !self.open.contains(&connection) {
            return;
        }
        let stated = header.length;
        self.core.mutants.frame(connection, &mut header, &mut payload);
        if header.length == stated && payload.len() as u64 != stated {
            header = Header {
                length: payload.len() as u64,
                length_form: LengthForm::shortest(payload.len() as u64),
                ..header
            };
        }
        let mut bytes = Vec::with_capacity(payload.len() + 10);
        frame::encode(&header, &payload, &mut bytes);
        self.outputs.push_back(Output::Send { connection, bytes });
    }
}
