//! From a request to its handler: the table of nodes, credentials, and what is tolerated in a path.
//!
//! Names of nodes compare without case, and one slash at the end is passed over, as on a real server.

use super::answer::{Answer, Failure, failure, refused};
use super::asked::Asked;
use super::{call_legs, calls, cdr_receivers, co_spaces, participants, system, test_api, test_legs};
use crate::emulator::core::Core;
use crate::emulator::timers::Due;
use crate::emulator::typed::{Effect, ExchangeKey};
use crate::emulator::values::Spelling;
use crate::protocol::api::names::{BASE, TEST_BASE};
use crate::protocol::api::xml::Element;
use crate::protocol::http::{Credentials, Method, Request, Response};
use crate::protocol::ws::handshake::EVENTS_PATH;

type Handler = fn(&mut Core, &Asked) -> Answer;

/// A node, a method and who handles it; `*` stands for an id.
pub(super) type Route = (Method, &'static str, Handler);

const ROUTES: &[Route] = &[
    (Method::Get, "system/status", system::status),
    (Method::Get, "system/alarms", system::alarms),
    (Method::Get, "system/load", system::load),
    (Method::Get, "system/cdrReceivers", cdr_receivers::list),
    (Method::Post, "system/cdrReceivers", cdr_receivers::create),
    (Method::Get, "system/cdrReceivers/*", cdr_receivers::get),
    (Method::Put, "system/cdrReceivers/*", cdr_receivers::change),
    (Method::Delete, "system/cdrReceivers/*", cdr_receivers::delete),
    (Method::Get, "system/cdrReceiver", cdr_receivers::get_only),
    (Method::Put, "system/cdrReceiver", cdr_receivers::change_only),
    (Method::Post, "system/cdrReceiver", cdr_receivers::change_only),
    (Method::Get, "callBridges", system::call_bridges),
    (Method::Get, "callBridges/*", system::call_bridge),
    (Method::Get, "coSpaces", co_spaces::list),
    (Method::Post, "coSpaces", co_spaces::create),
    (Method::Get, "coSpaces/*", co_spaces::get),
    (Method::Put, "coSpaces/*", co_spaces::change),
    (Method::Delete, "coSpaces/*", co_spaces::delete),
    (Method::Get, "calls", calls::list),
    (Method::Post, "calls", calls::create),
    (Method::Get, "calls/*", calls::get),
    (Method::Put, "calls/*", calls::change),
    (Method::Delete, "calls/*", calls::delete),
    (Method::Get, "calls/*/participants", participants::list_of_call),
    (Method::Post, "calls/*/participants", participants::create),
    (Method::Get, "calls/*/callLegs", call_legs::list_of_call),
    (Method::Post, "calls/*/callLegs", call_legs::create),
    (Method::Get, "participants", participants::list),
    (Method::Get, "participants/*", participants::get),
    (Method::Put, "participants/*", participants::change),
    (Method::Delete, "participants/*", participants::delete),
    (Method::Get, "participants/*/callLegs", call_legs::list_of_participant),
    (Method::Get, "callLegs", call_legs::list),
    (Method::Get, "callLegs/*", call_legs::get),
    (Method::Put, "callLegs/*", call_legs::change),
    (Method::Delete, "callLegs/*", call_legs::delete),
];

impl Core {
    /// Answers any request.
    pub(in crate::emulator) fn request(&mut self, exchange: ExchangeKey, request: &Request) {
        let path = request.path();
        if path.trim_end_matches('/').eq_ignore_ascii_case(EVENTS_PATH) && self.cdr.down_until.is_none() {
            return self.upgrade(exchange, request);
        }
        let mut response = self.respond(request);
        if response.body.is_empty() && request.method == Method::Post && response.headers.get("Location").is_some() {
            response.headers.push("Connection", "close");
        }
        let close = response.headers.has_token("Connection", "close");
        let effect = Effect::Answer { exchange, response, close };
        if self.settings.answer_delay.is_zero() {
            self.emit(effect);
        } else {
            self.timers.at(self.now + self.settings.answer_delay, Due::Emit(effect));
        }
    }

    fn respond(&mut self, request: &Request) -> Response {
        if self.cdr.down_until.is_some() {
            return Response::new(self.settings.restart_status);
        }
        let (base, tables): (_, &[&[Route]]) = match strip(request.path(), BASE) {
            Some(rest) => (rest, &[ROUTES]),
            None => match strip(request.path(), TEST_BASE) {
                Some(rest) => (rest, &[test_api::ROUTES, test_legs::ROUTES]),
                None => return Response::new(404),
            },
        };
        if base.eq_ignore_ascii_case("authTokens") && request.method == Method::Post {
            return self.issue_token(request.credentials);
        }
        match request.credentials {
            Credentials::Privileged => {}
            Credentials::Unprivileged if request.method == Method::Get => {}
            Credentials::Unprivileged => return Response::new(self.settings.unprivileged_status),
            Credentials::None | Credentials::WrongPassword | Credentials::UnknownUser => return self.unauthorized(),
        }
        self.answered += 1;
        if self.settings.busy_every > 0 && self.answered.is_multiple_of(self.settings.busy_every) {
            return Response::new(503);
        }
        let answer = match self.find(tables, request.method, base) {
            Ok((handler, ids)) => handler(self, &Asked::new(request, ids)),
            Err(unknown) => Err(unknown),
        };
        answer.unwrap_or_else(|reason| failure(&self.settings, &reason))
    }

    fn find(&self, tables: &[&[Route]], method: Method, path: &str) -> Result<(Handler, Vec<String>), Failure> {
        let mut known = false;
        for (route_method, node, handler) in tables.iter().copied().flatten() {
            if let Some(ids) = ids_of(node, path) {
                known = true;
                if *route_method == method {
                    return Ok((*handler, ids.iter().map(|id| self.world.canonical(id)).collect()));
                }
            }
        }
        if known {
            return Err(refused("invalidOperation"));
        }
        let reason = match self.settings.unrecognized {
            Spelling::American => "unrecognizedObject",
            Spelling::British => "unrecognisedObject",
        };
        Err(Failure { status: Some(404), reason: Element::new(reason) })
    }
}

/// The rest of a path behind `base`, without the slashes around it.
fn strip<'p>(path: &'p str, base: &str) -> Option<&'p str> {
    let head = path.get(..base.len()).filter(|head| head.eq_ignore_ascii_case(base))?;
    let rest = &path[head.len()..];
    if rest.is_empty() {
        return Some(rest);
    }
    let rest = rest.strip_prefix('/')?;
    Some(rest.strip_suffix('/').unwrap_or(rest))
}

/// The ids in a path, if it is one of that node.
fn ids_of(node: &str, path: &str) -> Option<Vec<String>> {
    let mut ids = Vec::new();
    let (mut names, mut parts) = (node.split('/'), path.split('/'));
    loop {
        match (names.next(), parts.next()) {
            (None, None) => return Some(ids),
            (Some("*"), Some(part)) if !part.is_empty() => ids.push(part.to_owned()),
            (Some(name), Some(part)) if name.eq_ignore_ascii_case(part) => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names_compare_without_case_and_one_slash_is_passed_over() {
        assert_eq!(strip("/api/v1/calls/", BASE), Some("calls"));
        assert_eq!(strip("/API/v1/calls//", BASE), Some("calls/"));
        assert_eq!(strip("/api/v1x", BASE), None);
        assert_eq!(strip("/api/v1", BASE), Some(""));
        assert_eq!(ids_of("calls/*/participants", "CALLS/a/Participants"), Some(vec!["a".to_owned()]));
        assert_eq!(ids_of("calls/*", "calls/"), None);
        assert_eq!(ids_of("calls", "calls/a"), None);
    }
}
