//! Rules of tokens (EVENTS 4.0.1 steps 1 and 2).

use std::collections::BTreeMap;

use super::docket::{Charge, Docket};
use super::registry::R;
use crate::protocol::api::names;
use crate::protocol::http::{Credentials, Method, Request, Response};
use crate::time::Instant;
use crate::trace::{ExchangeId, Seq};

/// How many tokens are remembered.
const TOKENS_KEPT: usize = 1024;

/// One token that was issued.
#[derive(Debug)]
pub(super) struct Token {
    pub(super) value: String,
    pub(super) at: Instant,
    pub(super) seq: Seq,
    /// How many upgrades used it.
    pub(super) uses: u32,
}

/// The tokens of a trace.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    pub(super) issued: Vec<Token>,
    asked: BTreeMap<ExchangeId, (Credentials, Seq)>,
}

impl Tokens {
    /// A request was sent.
    pub(super) fn sent(&mut self, exchange: ExchangeId, request: &Request, seq: Seq) {
        let token = request.method == Method::Post && request.path().eq_ignore_ascii_case(names::AUTH_TOKENS);
        if token && request.body.is_empty() {
            self.asked.insert(exchange, (request.credentials, seq));
        }
    }

    /// A request failed.
    pub(super) fn failed(&mut self, exchange: ExchangeId) {
        self.asked.remove(&exchange);
    }

    /// A request was answered.
    pub(super) fn answered(
        &mut self,
        exchange: ExchangeId,
        response: &Response,
        at: Instant,
        seq: Seq,
        docket: &mut Docket,
    ) {
        let Some((credentials, asked)) = self.asked.remove(&exchange) else { return };
        let token = response.headers.get(names::TOKEN_HEADER).map(str::trim).filter(|token| !token.is_empty());
        let rule = match credentials {
            Credentials::Privileged => return self.issue(token, response, (asked, seq), at, docket),
            Credentials::Unprivileged => R::Auth03,
            Credentials::None | Credentials::WrongPassword | Credentials::UnknownUser => R::Auth02,
        };
        docket.note(R::Auth09, "status-of-a-refused-token-request", response.status.to_string());
        if response.is_success() || token.is_some() {
            docket.fail(rule, at, || Charge {
                connection: None,
                expected: "no token and no status of success".to_owned(),
                observed: format!("status {}, {} token", response.status, if token.is_some() { "a" } else { "no" }),
                evidence: vec![asked, seq],
            });
        } else {
            docket.tested(rule);
        }
    }

    fn issue(
        &mut self,
        token: Option<&str>,
        response: &Response,
        (asked, seq): (Seq, Seq),
        at: Instant,
        docket: &mut Docket,
    ) {
        if response.status == 503 {
            return docket.undecided(R::Auth01, "the server was busy (503)");
        }
        if response.status == 200 && token.is_some() {
            docket.tested(R::Auth01);
        } else {
            docket.fail(R::Auth01, at, || Charge {
                connection: None,
                expected: format!("status 200 and a non-empty {} header", names::TOKEN_HEADER),
                observed: format!("status {}, {} token", response.status, if token.is_some() { "a" } else { "no" }),
                evidence: vec![asked, seq],
            });
        }
        // Issued it is, whatever the status says.
        let Some(token) = token else { return };
        let closes = response.headers.has_token("Connection", "close");
        docket.note(R::Auth09, "token-response-closes-its-connection", if closes { "yes" } else { "no" });
        if let Some(same) = self.issued.iter().find(|known| known.value == token) {
            let earlier = same.seq;
            docket.fail(R::Auth08, at, || Charge {
                connection: None,
                expected: "a token of its own for each request".to_owned(),
                observed: "the same token again".to_owned(),
                evidence: vec![earlier, seq],
            });
        }
        if self.issued.len() == TOKENS_KEPT {
            self.issued.remove(0);
        }
        self.issued.push(Token { value: token.to_owned(), at, seq, uses: 0 });
    }
}
