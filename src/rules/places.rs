//! Rules of opening connections, and of the five places for them (EVENTS 4.0.1 steps 3 to 5, 6; RFC 6455 4.2.2).
//!
//! Whom a refused upgrade accuses depends on what was open: the handshake as such (AUTH-04), the origin (AUTH-07), the
//! second of two tokens (AUTH-08), a place that has to be there (LIM-01) or to be there again (LIM-03), or a server that
//! was disturbed by somebody else's misuse (WS-08).

use std::collections::BTreeMap;
use std::time::Duration;

use super::auth::Tokens;
use super::connection::{Connection, Phase, by_peer};
use super::docket::{Charge, Docket};
use super::registry::R;
use super::verdict::Deadlines;
use crate::protocol::api::names;
use crate::protocol::http::{Request, Response};
use crate::protocol::ws::handshake::{TOKEN_PARAMETER, accept_for};
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, NetworkError, NetworkErrorKind, Seq};

/// How many connections a server serves at the same time (EVENTS 6).
pub(super) const PLACES: usize = 5;

/// For how long after the attempt at a fifth connection the end of one of the five is laid to it.
const DISPLACED: Duration = Duration::from_millis(500);

/// For how long after its issue a token is taken to be valid; its lifetime is open (AUTH-09).
const FRESH: Duration = Duration::from_secs(20);

/// What is known of the token of an upgrade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Issued to us, recent, not used before.
    Valid {
        /// Whether no other was issued since.
        latest: bool,
    },
    /// Issued to us, but used before, old, or not in the query: open.
    Open(&'static str),
    /// Never issued to us, or missing.
    Invalid,
}

/// One attempt to open a connection.
#[derive(Debug)]
struct Attempt {
    kind: Kind,
    seq: Seq,
    key: String,
    extensions: String,
    protocols: String,
    /// Connections open at that moment.
    open: usize,
    /// When the last connection ended, if that was lately.
    freed: Option<Instant>,
    /// Connections that were being opened or closed at that moment.
    going: usize,
    /// Places that may still be taken: by open connections and by those that ended lately.
    taken: usize,
}

/// What is known of a server's places.
#[derive(Debug, Default)]
pub(super) struct Places {
    attempts: BTreeMap<ConnectionId, Attempt>,
    /// Upgrades with a valid token that were answered 101.
    opened: u32,
    /// Whether all places were taken at some time.
    full_once: bool,
    /// When connections ended.
    ended: Vec<Instant>,
    /// The last attempt at a fifth connection, while four are open.
    fifth_attempt: Option<(Instant, Seq)>,
    /// A sixth connection that was accepted.
    sixth: Option<(ConnectionId, Seq, Instant)>,
    /// The last attempt at a sixth connection.
    pub(super) sixth_attempt: Option<Seq>,
    /// A first misuse by any client.
    pub(super) abuse: Option<(ConnectionId, Seq)>,
    /// A request beyond the limit of subscriptions.
    pub(super) over_limit: Option<(ConnectionId, Seq)>,
}

impl Places {
    /// An upgrade is requested.
    pub(super) fn opening(
        &mut self,
        (connection, request): (ConnectionId, &Request),
        connections: &BTreeMap<ConnectionId, Connection>,
        tokens: &mut Tokens,
        deadlines: Deadlines,
        (at, seq): (Instant, Seq),
    ) {
        let open = connections.values().filter(|other| other.is_open() && other.close_sent.is_none()).count();
        let going = connections
            .values()
            .filter(|other| other.phase == Phase::Opening || (other.is_open() && other.close_sent.is_some()));
        let going = going.count();
        self.ended.retain(|ended| at.since(*ended) <= deadlines.reaction * 4);
        let header = |name: &str| request.headers.all(name).collect::<Vec<_>>().join(", ");
        let attempt = Attempt {
            kind: classify(request, tokens, at),
            seq,
            key: header("Sec-WebSocket-Key"),
            extensions: header("Sec-WebSocket-Extensions"),
            protocols: header("Sec-WebSocket-Protocol"),
            open,
            freed: self.ended.last().copied(),
            going,
            taken: open + going + self.ended.len(),
        };
        if open >= PLACES && matches!(attempt.kind, Kind::Valid { .. }) {
            self.sixth_attempt = Some(seq);
        }
        if open + 1 == PLACES && matches!(attempt.kind, Kind::Valid { .. }) {
            self.fifth_attempt = Some((at, seq));
        }
        self.attempts.insert(connection, attempt);
    }

    /// It was answered 101.
    pub(super) fn opened(
        &mut self,
        connection: &mut Connection,
        response: &Response,
        at: Instant,
        seq: Seq,
        docket: &mut Docket,
        tokens: &Tokens,
    ) {
        let Some(attempt) = self.attempts.remove(&connection.id) else { return };
        self.full_once |= attempt.open + 1 >= PLACES;
        let charge = |expected: &str, observed: String| Charge {
            connection: Some(connection.id),
            expected: expected.to_owned(),
            observed,
            evidence: vec![attempt.seq, seq],
        };
        selection(&attempt, response, at, docket, &charge);
        connection.extension = response.headers.get("Sec-WebSocket-Extensions").is_some();
        match attempt.kind {
            Kind::Invalid => {
                docket.fail(R::Auth05, at, || charge("no upgrade without a valid token", "status 101".to_owned()))
            }
            Kind::Open(what) => docket.note(R::Auth09, what, "accepted"),
            Kind::Valid { .. } => {
                self.opened += 1;
                handshake(&attempt, response, at, docket, &charge);
                docket.tested(R::Auth07);
                if tokens.issued.iter().filter(|token| token.uses > 0).count() > 1 {
                    docket.tested(R::Auth08);
                }
                if attempt.open >= PLACES {
                    self.sixth = Some((connection.id, attempt.seq, at));
                } else if let Some(freed) = attempt.freed.filter(|_| attempt.taken >= PLACES && self.full_once) {
                    docket.tested(R::Lim03);
                    let took = match at.since(freed).as_millis() {
                        0..100 => "within 100 ms",
                        100..1000 => "within 1 s",
                        _ => "later than 1 s",
                    };
                    docket.note(R::Lim10, "place-free-again", took);
                }
                if self.abuse.is_some() {
                    docket.tested(R::Ws08);
                }
            }
        }
    }

    /// It was answered otherwise.
    pub(super) fn refused(
        &mut self,
        connection: ConnectionId,
        response: &Response,
        at: Instant,
        seq: Seq,
        deadlines: Deadlines,
        docket: &mut Docket,
    ) {
        let status = response.status;
        self.not_opened(connection, &format!("status {status}"), Some(status), (at, seq), deadlines, docket);
    }

    /// It got no answer.
    pub(super) fn failed(
        &mut self,
        connection: ConnectionId,
        error: &NetworkError,
        at: Instant,
        seq: Seq,
        deadlines: Deadlines,
        docket: &mut Docket,
    ) {
        let how = match error.kind {
            NetworkErrorKind::Closed => "the connection ends without an answer",
            NetworkErrorKind::Timeout => "no answer",
            // Trouble of the network is nobody's violation.
            _ => {
                self.attempts.remove(&connection);
                return;
            }
        };
        self.not_opened(connection, how, None, (at, seq), deadlines, docket);
    }

    fn not_opened(
        &mut self,
        connection: ConnectionId,
        how: &str,
        status: Option<u16>,
        (at, seq): (Instant, Seq),
        deadlines: Deadlines,
        docket: &mut Docket,
    ) {
        let Some(attempt) = self.attempts.remove(&connection) else { return };
        let latest = match attempt.kind {
            Kind::Invalid => {
                docket.tested(R::Auth05);
                return docket.note(R::Auth09, "status-of-an-upgrade-with-an-invalid-token", how);
            }
            Kind::Open(what) => return docket.note(R::Auth09, what, format!("refused: {how}")),
            Kind::Valid { latest } => latest,
        };
        if attempt.open >= PLACES {
            docket.tested(R::Lim02);
            return docket.note(R::Lim10, "sixth-connection", how);
        }
        let elsewhere = status.is_some_and(|status| matches!(status, 300..=399 | 404 | 405 | 410 | 421 | 501));
        let (rule, expected) = if attempt.taken >= PLACES {
            if attempt.going > 0 {
                return;
            }
            if attempt.freed.is_none_or(|freed| at.since(freed) <= deadlines.reaction) {
                return;
            }
            (R::Lim03, "a place that a connection left can be taken again")
        } else if self.abuse.is_some() && self.opened > 0 {
            (R::Ws08, "new connections, whatever another client did")
        } else if status == Some(503) && attempt.open == 0 {
            return docket.undecided(R::Auth04, "the server was busy (503)");
        } else if !latest && status != Some(503) {
            (R::Auth08, "each of two tokens opens a connection")
        } else if attempt.open > 0 {
            (R::Lim01, "five connections at the same time")
        } else if elsewhere && self.opened == 0 {
            (R::Auth07, "events on the origin that issues tokens")
        } else {
            (R::Auth04, "status 101")
        };
        docket.fail(rule, at, || Charge {
            connection: Some(connection),
            expected: expected.to_owned(),
            observed: format!("{how}, with {} connections open", attempt.open),
            evidence: vec![attempt.seq, seq],
        });
    }

    /// A connection is gone. Returns whether a requirement of this file is to blame for it.
    pub(super) fn ended(
        &mut self,
        connection: &Connection,
        cause: EndCause,
        at: Instant,
        seq: Seq,
        docket: &mut Docket,
    ) -> bool {
        self.ended.push(at);
        if self.sixth.take_if(|(sixth, ..)| *sixth == connection.id).is_some() {
            if by_peer(cause) && connection.close_sent.is_none() {
                docket.tested(R::Lim02);
                docket.note(R::Lim10, "sixth-connection", "accepted, then ended");
            }
            return true;
        }
        let unprovoked = by_peer(cause)
            && connection.abused.is_none()
            && connection.irregular.is_none()
            && !connection.withholds(at)
            && connection.close_sent.is_none();
        if !unprovoked || connection.phase != Phase::Open {
            return false;
        }
        let since = connection.opening_seq;
        let (rule, expected, proof) = match (self.abuse, self.over_limit, self.sixth_attempt) {
            (Some((other, proof)), ..) if other != connection.id && proof > since => {
                (R::Ws08, "a connection undisturbed by what another client sends", proof)
            }
            (_, Some((other, proof)), _) if other != connection.id && proof > since => {
                (R::Lim06, "a connection undisturbed by another's request beyond the limit", proof)
            }
            (_, _, Some(proof)) if proof > since => {
                (R::Lim03, "a connection undisturbed by the attempt at a sixth", proof)
            }
            _ => match self.fifth_attempt {
                Some((attempted, proof)) if proof > since && at.since(attempted) <= DISPLACED => {
                    (R::Lim01, "five connections at the same time, the earlier ones among them", proof)
                }
                _ => return false,
            },
        };
        docket.fail(rule, at, || Charge {
            connection: Some(connection.id),
            expected: expected.to_owned(),
            observed: "the server ends it".to_owned(),
            evidence: vec![proof, seq],
        });
        true
    }

    /// A sixth connection is served: it was not refused.
    pub(super) fn served(&mut self, connection: ConnectionId, at: Instant, seq: Seq, docket: &mut Docket) {
        if let Some((_, attempted, _)) = self.sixth.take_if(|(sixth, ..)| *sixth == connection) {
            docket.fail(R::Lim02, at, || Charge {
                connection: Some(connection),
                expected: "a sixth connection refused".to_owned(),
                observed: "it is served".to_owned(),
                evidence: vec![attempted, seq],
            });
        }
    }

    /// Charges a sixth connection that stays open.
    pub(super) fn expire(&mut self, now: Instant, deadlines: Deadlines, docket: &mut Docket) {
        if let Some((connection, attempted, _)) = self.sixth.take_if(|(_, _, at)| now.since(*at) > deadlines.reaction) {
            docket.fail(R::Lim02, now, || Charge {
                connection: Some(connection),
                expected: "a sixth connection refused".to_owned(),
                observed: "it stays open".to_owned(),
                evidence: vec![attempted],
            });
        }
    }

    /// When a sixth connection has to be refused.
    pub(super) fn due(&self, deadlines: Deadlines) -> Option<Instant> {
        self.sixth.map(|(_, _, at)| at + deadlines.reaction)
    }
}

fn classify(request: &Request, tokens: &mut Tokens, at: Instant) -> Kind {
    let in_query = request.parameter(TOKEN_PARAMETER).filter(|token| !token.is_empty());
    let in_header = request.headers.get(names::TOKEN_HEADER).map(str::to_owned);
    let Some(value) = in_query.clone().or(in_header) else { return Kind::Invalid };
    let newest = tokens.issued.len().saturating_sub(1);
    let Some((place, token)) = tokens.issued.iter_mut().enumerate().rfind(|(_, token)| token.value == value) else {
        return Kind::Invalid;
    };
    token.uses += 1;
    if in_query.is_none() {
        Kind::Open("token-in-a-header")
    } else if token.uses > 1 {
        Kind::Open("token-used-twice")
    } else if at.since(token.at) > FRESH {
        Kind::Open("token-used-late")
    } else {
        Kind::Valid { latest: place == newest }
    }
}

/// The fields of a 101 answer (AUTH-04).
fn handshake(
    attempt: &Attempt,
    response: &Response,
    at: Instant,
    docket: &mut Docket,
    charge: &dyn Fn(&str, String) -> Charge,
) {
    let headers = &response.headers;
    let accept = accept_for(&attempt.key);
    let wrong = if !headers.get("Upgrade").is_some_and(|value| value.trim().eq_ignore_ascii_case("websocket")) {
        Some(format!("Upgrade: {}", headers.get("Upgrade").unwrap_or("absent")))
    } else if !headers.has_token("Connection", "upgrade") {
        Some(format!("Connection: {}", headers.get("Connection").unwrap_or("absent")))
    } else if headers.get("Sec-WebSocket-Accept").map(str::trim) != Some(accept.as_str()) {
        Some(format!("Sec-WebSocket-Accept: {}", headers.get("Sec-WebSocket-Accept").unwrap_or("absent")))
    } else {
        None
    };
    match wrong {
        None => docket.tested(R::Auth04),
        Some(wrong) => {
            let expected = format!("Upgrade: websocket, Connection: upgrade and Sec-WebSocket-Accept: {accept}");
            docket.fail(R::Auth04, at, || charge(&expected, wrong));
        }
    }
}

/// Extensions and subprotocols of a 101 answer (AUTH-06).
fn selection(
    attempt: &Attempt,
    response: &Response,
    at: Instant,
    docket: &mut Docket,
    charge: &dyn Fn(&str, String) -> Charge,
) {
    let names = |list: &str| -> Vec<String> {
        let parts = list.split(',').map(|part| part.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
        parts.filter(|name| !name.is_empty()).collect()
    };
    let mut unasked = Vec::new();
    for (field, offered) in
        [("Sec-WebSocket-Extensions", &attempt.extensions), ("Sec-WebSocket-Protocol", &attempt.protocols)]
    {
        let offered = names(offered);
        for value in response.headers.all(field) {
            unasked.extend(
                names(value).into_iter().filter(|name| !offered.contains(name)).map(|name| format!("{field}: {name}")),
            );
        }
    }
    if attempt.extensions.contains("permessage-deflate") {
        let mut values = response.headers.all("Sec-WebSocket-Extensions");
        let selected = values.any(|value| value.to_ascii_lowercase().contains("permessage-deflate"));
        docket.note(R::Auth09, "permessage-deflate-when-offered", if selected { "selected" } else { "not selected" });
    }
    if unasked.is_empty() {
        docket.tested(R::Auth06);
    } else {
        docket
            .fail(R::Auth06, at, || charge("no extension and no subprotocol that was not offered", unasked.join(", ")));
    }
}
