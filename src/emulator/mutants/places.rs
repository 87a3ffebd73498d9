//! Mutants of coming in and of the limits that show only now and then (AUTH, LIM, CDR-14): for one account, at one
//! place, the second time, on top of something.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::mutant::{Mutant, Question, View};
use super::super::typed::{ConnectionKey, Effect, Event, Input, Oddity};
use super::super::values::{Excess, Refusal};
use super::cdr_receivers::disturbed;
use super::fault::Fault;
use super::registry::{Registered, row};
use crate::protocol::api::names::TOKEN_HEADER;
use crate::protocol::events::names::SUCCESS;
use crate::protocol::http::{Credentials, Response};
use crate::protocol::ws::frame::Opcode;
use crate::protocol::ws::handshake::EVENTS_PATH;
use crate::time::Instant;

const UPGRADE: (&str, &str) = ("AUTH-04", "the upgrade is not served here");
const BOTH_TOKENS: (&str, &str) = ("AUTH-08", "no token opens a connection here");
const NO_FIVE: (&str, &str) = ("LIM-01", "no connection can be opened");
const NO_PLACE: (&str, &str) = ("LIM-03", "no connection can be opened");
const BOTH: (&str, &str) = ("LIM-07", "the two limits do not hold together");
const AGREEMENT: (&str, &str) = ("REC-24", "a record of a call is missing");

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "token-beside-the-lack-of-privilege",
        "AUTH-03",
        &[],
        "The token is made before the role is looked up.",
        || {
            Fault::<bool>::new()
                .decide(|lacking, q, answer| {
                    *lacking = *q == Question::MayIssueToken(Credentials::Unprivileged);
                    answer
                })
                .effect(|lacking, view, mut effect, pass| {
                    if let Effect::Answer { response, .. } = &mut effect
                        && std::mem::take(lacking)
                    {
                        response.headers.push(TOKEN_HEADER, view.world.bridge.clone());
                    }
                    pass.now(effect);
                })
                .boxed()
        },
    ),
    row("third-lack-of-privilege-overlooked", "AUTH-03", &[], "A limit of attempts ends in the wrong branch.", || {
        Fault::<u64>::new()
            .decide(|count, q, answer| {
                let lacking = *q == Question::MayIssueToken(Credentials::Unprivileged);
                *count += u64::from(lacking);
                answer || (lacking && *count == 3)
            })
            .boxed()
    }),
    row("another-extension-than-offered", "AUTH-06", &[], "The older name of the extension is still known.", || {
        accepting(|offers, response| {
            if offers.extension {
                response.headers.push("Sec-WebSocket-Extensions", "permessage-deflate, x-webkit-deflate-frame");
            }
        })
    }),
    row("another-subprotocol-than-offered", "AUTH-06", &[], "There is one subprotocol, whatever is asked for.", || {
        accepting(|offers, response| {
            if offers.protocol {
                response.headers.push("Sec-WebSocket-Protocol", "events.v1");
            }
        })
    }),
    row("extension-for-the-second-connection", "AUTH-06", &[], "What one client offers is taken for all.", || {
        accepting(|offers, response| {
            if offers.count == 2 && !offers.extension {
                response.headers.push("Sec-WebSocket-Extensions", "permessage-deflate");
            }
        })
    }),
    row(
        "events-redirected",
        "AUTH-07",
        &[UPGRADE, BOTH_TOKENS, NO_FIVE, NO_PLACE],
        "Events were moved to a service of their own, with a redirection for old clients.",
        || elsewhere(307),
    ),
    row(
        "events-misdirected",
        "AUTH-07",
        &[UPGRADE, BOTH_TOKENS, NO_FIVE, NO_PLACE],
        "The proxy before the Web Admin interface knows no host for it.",
        || elsewhere(421),
    ),
    row(
        "events-not-implemented-here",
        "AUTH-07",
        &[UPGRADE, BOTH_TOKENS, NO_FIVE, NO_PLACE],
        "The module of events is loaded on another interface only.",
        || elsewhere(501),
    ),
    row("tokens-from-the-clock", "AUTH-08", &[], "The token is a hash of account and second.", || {
        Fault::<Option<(Instant, String)>>::new()
            .effect(|newest, view, mut effect, pass| {
                if let Effect::Answer { response, .. } = &mut effect
                    && let Some(token) = response.headers.get(TOKEN_HEADER).map(str::to_owned)
                {
                    match newest {
                        Some((at, same)) if view.now.since(*at) < Duration::from_secs(1) => {
                            response.headers.remove(TOKEN_HEADER);
                            response.headers.push(TOKEN_HEADER, same.clone());
                        }
                        _ => *newest = Some((view.now, token)),
                    }
                }
                pass.now(effect);
            })
            .boxed()
    }),
    row(
        "older-token-ends-with-the-first-use-of-another",
        "AUTH-08",
        &[],
        "A session that begins ends the account's others.",
        || {
            Fault::<(Vec<String>, BTreeSet<String>)>::new()
                .effect(|(issued, _), _, effect, pass| {
                    if let Effect::Answer { response, .. } = &effect
                        && let Some(token) = response.headers.get(TOKEN_HEADER)
                    {
                        issued.push(token.to_owned());
                    }
                    pass.now(effect);
                })
                .decide(|(issued, ended), q, answer| match q {
                    Question::IsTokenGood(Some(token)) => {
                        let good = answer && !ended.contains(*token);
                        if good {
                            let before = issued.iter().take_while(|known| known != token);
                            ended.extend(before.cloned());
                        }
                        good
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "fifth-gets-no-ack",
        "LIM-01",
        &[("LIM-03", "the fifth is silent, whoever else came"), BOTH],
        "The pool of writers has four threads.",
        || {
            Fault::<()>::new()
                .effect(|(), view, effect, pass| {
                    let fifth = view.connections.keys().nth(4).copied();
                    if !matches!(&effect, Effect::Ack { connection, .. } if Some(*connection) == fifth) {
                        pass.now(effect);
                    }
                })
                .boxed()
        },
    ),
    row("fifth-stays-pending", "LIM-01", &[BOTH], "The pool that sets up subscriptions has four threads.", || {
        Fault::<()>::new()
            .event(|(), view, to, event, pass| {
                let fifth = view.connections.keys().nth(4) == Some(&to);
                let told = match &event {
                    Event::States(list) => list.iter().all(|s| s.state != "active"),
                    Event::Update { .. } => false,
                    Event::Other(_) => true,
                };
                if !fifth || told {
                    pass.now((to, event));
                }
            })
            .boxed()
    }),
    row(
        "fifth-is-refused-its-requests",
        "LIM-01",
        &[("LIM-03", "the fifth is refused, whoever else came"), BOTH],
        "The licence counts sessions, and the fifth may only look on.",
        || {
            Fault::<()>::new()
                .effect(|(), view, mut effect, pass| {
                    if let Effect::Ack { connection, status, .. } = &mut effect
                        && view.connections.keys().nth(4) == Some(connection)
                    {
                        "licence".clone_into(status);
                    }
                    pass.now(effect);
                })
                .boxed()
        },
    ),
    row("second-attempt-at-a-sixth-is-served", "LIM-02", &[], "A retry goes round the check.", || {
        Fault::<u64>::new()
            .decide(|refused, q, answer| match q {
                Question::IsPlaceFree(_) => {
                    *refused += u64::from(!answer);
                    answer || *refused == 2
                }
                _ => answer,
            })
            .boxed()
    }),
    row(
        "sixth-accepted-and-left-alone",
        "LIM-02",
        &[("WS-10", "the server has forgotten it when the client closes it")],
        "The refusal is the close frame, and it is never sent.",
        || {
            Fault::<BTreeSet<ConnectionKey>>::new()
                .settings(|s| s.full_refusal = Refusal::AcceptThenClose(1013))
                .effect(|alone, view, effect, pass| {
                    let closing = |key: ConnectionKey| view.connection(key).is_some_and(|known| known.closing);
                    match &effect {
                        Effect::Frame { connection, header, .. }
                            if header.opcode == Opcode::CLOSE && closing(*connection) =>
                        {
                            alone.insert(*connection);
                        }
                        Effect::End { connection } if alone.contains(connection) => {}
                        _ => pass.now(effect),
                    }
                })
                .boxed()
        },
    ),
    row(
        "one-more-on-top-of-a-hundred-granted",
        "LIM-05",
        &[],
        "Only what a request adds is compared with the limit.",
        || {
            within(|view, connection, wanted| {
                let known = view.connection(connection);
                let fresh =
                    wanted.iter().filter(|index| known.is_none_or(|known| !known.subscriptions.contains_key(index)));
                fresh.count() <= 100
            })
        },
    ),
    row("limit-holds-for-first-requests-only", "LIM-05", &[], "The check is part of the set-up.", || {
        within(|view, connection, wanted| {
            wanted.len() <= 100 || view.connection(connection).is_some_and(|known| known.requests > 0)
        })
    }),
    row(
        "excess-leaves-the-others-without-news",
        "LIM-06",
        &[],
        "The worker of notifications is stopped while the error is handled.",
        || {
            Fault::<Option<ConnectionKey>>::new()
                .input(|guilty, _, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input
                        && wanted.len() > 100
                    {
                        *guilty = Some(*connection);
                    }
                    pass.now(input);
                })
                .event(|guilty, _, to, event, pass| {
                    if guilty.is_none_or(|guilty| guilty == to) {
                        pass.now((to, event));
                    }
                })
                .boxed()
        },
    ),
    row(
        "after-an-excess-acknowledged-and-not-applied",
        "LIM-06",
        &[],
        "The table of the connection is locked by the request that failed.",
        || {
            Fault::<BTreeSet<ConnectionKey>>::new()
                .settings(|s| s.excess = Excess::Refuse)
                .input(|guilty, _, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        if guilty.contains(connection) {
                            return;
                        }
                        if wanted.len() > 100 {
                            guilty.insert(*connection);
                        }
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row(
        "fifth-hundred-stays-pending",
        "LIM-07",
        &[],
        "The table of what is being set up has four hundred rows.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, event, pass| {
                    if is_fifth_hundred(view, to) {
                        match event {
                            Event::Update { .. } => {}
                            Event::States(mut list) => {
                                list.retain(|s| s.state != "active");
                                if !list.is_empty() {
                                    pass.now((to, Event::States(list)));
                                }
                            }
                            other @ Event::Other(_) => pass.now((to, other)),
                        }
                    } else {
                        pass.now((to, event));
                    }
                })
                .boxed()
        },
    ),
    row("fifth-hundred-gets-no-success", "LIM-07", &[], "The limit of the whole is checked after the fact.", || {
        Fault::<()>::new()
            .effect(|(), view, mut effect, pass| {
                if let Effect::Ack { connection, status, .. } = &mut effect
                    && status == SUCCESS
                    && is_fifth_hundred(view, *connection)
                {
                    "busy".clone_into(status);
                }
                pass.now(effect);
            })
            .boxed()
    }),
    row(
        "fifth-displaces-the-first",
        "LIM-01",
        &[BOTH, NO_PLACE, ("LIM-02", "there are four when the sixth comes")],
        "There are four places, and the oldest session is taken for a stale one.",
        || {
            Fault::<()>::new()
                .input(|(), view, input, pass| {
                    if let Input::Request { request, .. } = &input
                        && request.path() == EVENTS_PATH
                        && view.connections.len() >= 4
                        && let Some(oldest) = view.connections.keys().next()
                    {
                        pass.now(Input::Odd { connection: *oldest, what: Oddity::TooLong, id: None });
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row(
        "fifth-receiver-stops-all-four",
        "CDR-14",
        &[
            ("CDR-13", "nobody gets every record"),
            AGREEMENT,
            ("CDR-10", "what is not sent leaves a gap"),
            ("CDR-19", "nobody gets anything any more"),
        ],
        "The senders are restarted with the new list, and the list is refused.",
        || disturbed(|_| true),
    ),
    row(
        "fifth-receiver-stops-the-first-two",
        "CDR-14",
        &[("CDR-13", "two receivers lack records"), AGREEMENT, ("CDR-10", "what is not sent leaves a gap")],
        "The list is written anew in pieces, and the second piece is refused.",
        || disturbed(|receiver| receiver.0 <= 2),
    ),
];

/// What a client offered, and how many came before it, this one included.
#[derive(Debug, Default, Clone, Copy)]
struct Offers {
    extension: bool,
    protocol: bool,
    count: u64,
}

type OnAccept = fn(Offers, &mut Response);

/// A mutant that changes the answers of upgrades by what was offered.
fn accepting(change: OnAccept) -> Box<dyn Mutant> {
    Fault::<(Offers, Option<OnAccept>)>::new()
        .input(|(offers, _), _, input, pass| {
            if let Input::Request { request, .. } = &input {
                offers.extension = request.headers.get("Sec-WebSocket-Extensions").is_some();
                offers.protocol = request.headers.get("Sec-WebSocket-Protocol").is_some();
            }
            pass.now(input);
        })
        .effect(|(offers, change), _, mut effect, pass| {
            if let (Effect::Accept { response, .. }, Some(change)) = (&mut effect, change) {
                offers.count += 1;
                change(*offers, response);
            }
            pass.now(effect);
        })
        .with((Offers::default(), Some(change)))
        .boxed()
}

/// A mutant that answers every upgrade with a status that says that events are elsewhere.
fn elsewhere(status: u16) -> Box<dyn Mutant> {
    Fault::<(u16, BTreeSet<super::super::typed::ExchangeKey>)>::new()
        .input(|(_, upgrades), _, mut input, pass| {
            if let Input::Request { exchange, request } = &mut input
                && request.path() == EVENTS_PATH
            {
                upgrades.insert(*exchange);
                request.target = "/elsewhere".to_owned();
            }
            pass.now(input);
        })
        .effect(|(status, upgrades), _, mut effect, pass| {
            if let Effect::Answer { exchange, response, .. } = &mut effect
                && upgrades.remove(exchange)
            {
                *response = Response::new(*status);
                if *status == 307 {
                    response.headers.push("Location", "https://127.0.0.1:8443/events/v1");
                }
            }
            pass.now(effect);
        })
        .with((status, BTreeSet::new()))
        .boxed()
}

type IsWithin = fn(&View<'_>, ConnectionKey, &[u64]) -> bool;

/// A mutant with another idea of what is within the limit of subscriptions, given the indexes that are asked for.
fn within(is_within: IsWithin) -> Box<dyn Mutant> {
    Fault::<(bool, Option<IsWithin>)>::new()
        .input(|(good, is_within), view, input, pass| {
            if let Input::Subscribe { connection, wanted, .. } = &input {
                let indexes: Vec<u64> = wanted.iter().filter_map(|entry| entry.index).collect();
                *good = is_within.is_some_and(|is_within| is_within(view, *connection, &indexes));
            }
            pass.now(input);
        })
        .decide(|(good, _), q, answer| match q {
            Question::IsWithinLimit(_) => answer || *good,
            _ => answer,
        })
        .with((false, Some(is_within)))
        .boxed()
}

/// Whether the newest of five connections is among those with more than four hundred subscriptions in all.
fn is_fifth_hundred(view: &View<'_>, to: ConnectionKey) -> bool {
    let all: usize = view.connections.values().map(|known| known.subscriptions.len()).sum();
    all > 400 && view.connections.keys().next_back() == Some(&to)
}
