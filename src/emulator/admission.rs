//! Who may come in: tokens, upgrades and the limited number of places (EVENTS 4.0.1, 6).

use std::collections::BTreeMap;

use rand::RngExt as _;

use super::change::Note;
use super::connection::Connection;
use super::core::Core;
use super::mutant::Question;
use super::typed::{ConnectionKey, Effect, ExchangeKey};
use super::values::{Count, Refusal};
use crate::protocol::api::names::TOKEN_HEADER;
use crate::protocol::http::{Credentials, Method, Request, Response};
use crate::protocol::ws::handshake;
use crate::time::Instant;

/// How many tokens are kept; the oldest go first.
const TOKENS_KEPT: usize = 1000;

/// The tokens that were issued.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    issued: BTreeMap<String, Token>,
}

#[derive(Debug)]
struct Token {
    at: Instant,
    number: u64,
    uses: u64,
}

impl Tokens {
    fn add(&mut self, token: String, now: Instant) {
        if self.issued.len() >= TOKENS_KEPT {
            let oldest = self.issued.iter().min_by_key(|(_, token)| token.number).map(|(name, _)| name.clone());
            oldest.map(|name| self.issued.remove(&name));
        }
        let number = self.issued.values().map(|token| token.number).max().unwrap_or(0) + 1;
        self.issued.insert(token, Token { at: now, number, uses: 0 });
    }
}

impl Core {
    /// Answers a request for a token.
    pub(super) fn issue_token(&mut self, credentials: Credentials) -> Response {
        let privileged = credentials == Credentials::Privileged;
        if !self.mutants.decide(Question::MayIssueToken(credentials), privileged) {
            return match credentials {
                Credentials::Unprivileged => Response::new(self.settings.unprivileged_status),
                _ => self.unauthorized(),
            };
        }
        let token = self.world.new_id();
        self.tokens.add(token.clone(), self.now);
        let mut response = Response::new(200);
        response.headers.push(TOKEN_HEADER, token);
        if self.settings.token_response_closes {
            response.headers.push("Connection", "close");
        }
        response
    }

    /// The refusal of a request without good credentials.
    pub(super) fn unauthorized(&self) -> Response {
        let mut response = Response::new(self.settings.unauthorized_status);
        response.headers.push("WWW-Authenticate", "Basic realm=\"Meeting Server\"");
        response
    }

    /// Answers a request for an event connection.
    pub(super) fn upgrade(&mut self, exchange: ExchangeKey, request: &Request) {
        if !handshake::is_upgrade(request) {
            let status = if request.method == Method::Get { 426 } else { 405 };
            let mut response = Response::new(status);
            response.headers.push("Upgrade", "websocket");
            return self.emit(Effect::Answer { exchange, response, close: false });
        }
        if request.headers.get("Sec-WebSocket-Version") != Some("13") {
            let mut response = Response::new(426);
            response.headers.push("Sec-WebSocket-Version", "13");
            return self.emit(Effect::Answer { exchange, response, close: false });
        }
        let presented = request.parameter(handshake::TOKEN_PARAMETER).or_else(|| {
            let header = request.headers.get(TOKEN_HEADER).filter(|_| self.settings.token_in_header);
            header.map(str::to_owned)
        });
        if !self.is_token_good(presented.as_deref()) {
            let response = Response::new(self.settings.bad_token_status);
            return self.emit(Effect::Answer { exchange, response, close: false });
        }
        let free = self.places < self.settings.connection_limit;
        if self.mutants.decide(Question::IsPlaceFree(self.places), free) {
            self.use_token(presented.as_deref());
            self.accept(exchange, request, true);
        } else {
            match self.settings.full_refusal {
                Refusal::Status(status) => {
                    let response = Response::new(status);
                    self.emit(Effect::Answer { exchange, response, close: false });
                }
                Refusal::AcceptThenClose(code) => {
                    let key = self.accept(exchange, request, false);
                    self.server_closes(key, code);
                }
            }
        }
    }

    fn is_token_good(&mut self, presented: Option<&str>) -> bool {
        let known = presented.and_then(|token| self.tokens.issued.get(token));
        let good = known.is_some_and(|token| {
            let lifetime = self.settings.token_lifetime;
            let fresh = lifetime.is_zero() || self.now.since(token.at) <= lifetime;
            let unused = match self.settings.token_uses {
                Count::Any => true,
                Count::Of(uses) => token.uses < uses,
            };
            fresh && unused
        });
        self.mutants.decide(Question::IsTokenGood(presented), good)
    }

    fn use_token(&mut self, presented: Option<&str>) {
        if let Some(token) = presented.and_then(|token| self.tokens.issued.get_mut(token)) {
            token.uses += 1;
        }
    }

    fn accept(&mut self, exchange: ExchangeKey, request: &Request, counted: bool) -> ConnectionKey {
        self.accepted += 1;
        self.places += u64::from(counted);
        let key = ConnectionKey(self.accepted);
        let first_id =
            if self.settings.random_ids { self.random.random_range(1..1_000_000_000) } else { self.settings.first_id };
        self.connections.insert(key, Connection::new(key, counted, first_id, self.settings.id_step));
        self.note(|| Note::Audience);
        let response = handshake::switching_protocols(request);
        self.emit(Effect::Accept { exchange, connection: key, response });
        key
    }
}
