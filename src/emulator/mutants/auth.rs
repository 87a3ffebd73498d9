//! Mutants of tokens and upgrades (AUTH).

use std::collections::BTreeSet;

use super::super::mutant::Question;
use super::super::typed::{Effect, ExchangeKey, Input};
use super::fault::Fault;
use super::registry::{Registered, row};
use crate::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use crate::protocol::http::{Credentials, Headers, Response};
use crate::protocol::ws::handshake::EVENTS_PATH;

const NO_CONNECTION: &[(&str, &str)] = &[("AUTH-08", "no token opens a connection where no connection can be opened")];

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "token-header-missing",
        "AUTH-01",
        &[("AUTH-08", "there are no tokens")],
        "The header is set on a copy of the answer.",
        || {
            Fault::<()>::new()
                .effect(|(), _, e, pass| pass.now(on_token(e, |r| r.headers.remove(TOKEN_HEADER))))
                .boxed()
        },
    ),
    row("token-status-created", "AUTH-01", &[], "A token counts as created, and a framework has 201 for that.", || {
        Fault::<()>::new().effect(|(), _, e, pass| pass.now(on_token(e, |r| r.status = 201))).boxed()
    }),
    row(
        "second-token-empty",
        "AUTH-01",
        &[("AUTH-08", "an empty token opens nothing")],
        "The pool of random bytes is drawn once.",
        || {
            Fault::<u64>::new()
                .effect(|count, _, e, pass| {
                    let mut empty = |r: &mut Response| {
                        *count += 1;
                        if *count == 2 {
                            r.headers.remove(TOKEN_HEADER);
                            r.headers.push(TOKEN_HEADER, "");
                        }
                    };
                    pass.now(on_token(e, &mut empty));
                })
                .boxed()
        },
    ),
    row("token-without-credentials", "AUTH-02", &[], "The node was made public for a health check.", || {
        Fault::<()>::new().decide(|(), q, answer| answer || *q == Question::MayIssueToken(Credentials::None)).boxed()
    }),
    row("token-for-wrong-password", "AUTH-02", &[], "A cache of sessions looks at the name only.", || {
        Fault::<()>::new()
            .decide(|(), q, answer| answer || *q == Question::MayIssueToken(Credentials::WrongPassword))
            .boxed()
    }),
    row(
        "token-in-the-refusal",
        "AUTH-02",
        &[("AUTH-03", "the same header is on the refusal for lack of privilege")],
        "The header is added before the credentials are looked at.",
        || {
            Fault::<BTreeSet<ExchangeKey>>::new()
                .input(|asked, _, input, pass| {
                    if let Input::Request { exchange, request } = &input
                        && request.path() == AUTH_TOKENS
                    {
                        asked.insert(*exchange);
                    }
                    pass.now(input);
                })
                .effect(|asked, view, effect, pass| {
                    pass.now(match effect {
                        Effect::Answer { exchange, mut response, close } => {
                            if asked.remove(&exchange) && !response.is_success() {
                                response.headers.push(TOKEN_HEADER, view.world.bridge.clone());
                            }
                            Effect::Answer { exchange, response, close }
                        }
                        other => other,
                    });
                })
                .boxed()
        },
    ),
    row("token-for-any-account", "AUTH-03", &[], "Logging in is taken for being allowed.", || {
        Fault::<()>::new()
            .decide(|(), q, answer| answer || *q == Question::MayIssueToken(Credentials::Unprivileged))
            .boxed()
    }),
    row("privilege-of-the-one-before", "AUTH-03", &[], "The session of the last log-in is used again.", || {
        Fault::<bool>::new()
            .decide(|before, q, answer| match q {
                Question::MayIssueToken(Credentials::Unprivileged) => answer || *before,
                Question::MayIssueToken(Credentials::Privileged) => {
                    *before = true;
                    answer
                }
                _ => answer,
            })
            .boxed()
    }),
    row("accept-value-of-another-key", "AUTH-04", NO_CONNECTION, "The key is decoded before it is hashed.", || {
        Fault::<()>::new()
            .effect(|(), _, e, pass| {
                pass.now(on_accept(e, |r| replace(r, "Sec-WebSocket-Accept", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=")))
            })
            .boxed()
    }),
    row("upgrade-header-missing", "AUTH-04", NO_CONNECTION, "A proxy strips hop-by-hop headers.", || {
        Fault::<()>::new().effect(|(), _, e, pass| pass.now(on_accept(e, |r| r.headers.remove("Upgrade")))).boxed()
    }),
    row("upgrade-keeps-alive", "AUTH-04", NO_CONNECTION, "A proxy writes its own Connection header.", || {
        Fault::<()>::new()
            .effect(|(), _, e, pass| pass.now(on_accept(e, |r| replace(r, "Connection", "keep-alive"))))
            .boxed()
    }),
    row("any-token-opens", "AUTH-05", &[], "The look-up's result is not looked at.", || {
        Fault::<()>::new().decide(|(), q, answer| answer || matches!(q, Question::IsTokenGood(Some(_)))).boxed()
    }),
    row("no-token-opens", "AUTH-05", &[], "Checks run only where there is something to check.", || {
        Fault::<()>::new().decide(|(), q, answer| answer || *q == Question::IsTokenGood(None)).boxed()
    }),
    row("token-by-its-beginning", "AUTH-05", &[], "Tokens are kept in a column that is too short.", || {
        Fault::<BTreeSet<String>>::new()
            .effect(|issued, _, effect, pass| {
                if let Effect::Answer { response, .. } = &effect
                    && let Some(token) = response.headers.get(TOKEN_HEADER)
                {
                    issued.extend(token.get(..8).map(str::to_owned));
                }
                pass.now(effect);
            })
            .decide(|issued, q, answer| match q {
                Question::IsTokenGood(Some(token)) => answer || token.get(..8).is_some_and(|t| issued.contains(t)),
                _ => answer,
            })
            .boxed()
    }),
    row(
        "extension-selected-unasked",
        "AUTH-06",
        &[],
        "Compression is switched on by configuration instead of by offer.",
        || {
            Fault::<()>::new()
                .effect(|(), _, e, pass| {
                    pass.now(on_accept(e, |r| r.headers.push("Sec-WebSocket-Extensions", "x-webkit-deflate-frame")));
                })
                .boxed()
        },
    ),
    row("subprotocol-selected-unasked", "AUTH-06", &[], "The library announces its default protocol.", || {
        Fault::<()>::new()
            .effect(|(), _, e, pass| pass.now(on_accept(e, |r| r.headers.push("Sec-WebSocket-Protocol", "events"))))
            .boxed()
    }),
    row(
        "events-on-another-port",
        "AUTH-07",
        &[
            ("AUTH-04", "the upgrade is not served here"),
            ("AUTH-08", "no token opens a connection here"),
            ("LIM-01", "no connection can be opened"),
            ("LIM-03", "no connection can be opened"),
        ],
        "Events were moved to a service of their own.",
        || {
            Fault::<()>::new()
                .input(|(), _, mut input, pass| {
                    if let Input::Request { request, .. } = &mut input
                        && request.path() == EVENTS_PATH
                    {
                        request.target = "/elsewhere".to_owned();
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row("same-token-again", "AUTH-08", &[], "Tokens are cached per account.", || {
        Fault::<Option<String>>::new()
            .effect(|first, _, e, pass| {
                pass.now(on_token(e, |r| {
                    let token = r.headers.get(TOKEN_HEADER).unwrap_or_default().to_owned();
                    let kept = first.get_or_insert(token).clone();
                    replace(r, TOKEN_HEADER, &kept);
                }));
            })
            .boxed()
    }),
    row(
        "new-token-ends-the-old",
        "AUTH-08",
        &[("AUTH-04", "the upgrade with the older token is refused")],
        "One token is kept per account.",
        || {
            Fault::<Option<String>>::new()
                .effect(|newest, _, effect, pass| {
                    if let Effect::Answer { response, .. } = &effect
                        && let Some(token) = response.headers.get(TOKEN_HEADER)
                    {
                        *newest = Some(token.to_owned());
                    }
                    pass.now(effect);
                })
                .decide(|newest, q, answer| match q {
                    Question::IsTokenGood(Some(token)) => answer && newest.as_deref() == Some(*token),
                    _ => answer,
                })
                .boxed()
        },
    ),
];

/// Changes the answer that carries a token; leaves all others.
fn on_token(effect: Effect, change: impl FnOnce(&mut Response)) -> Effect {
    match effect {
        Effect::Answer { exchange, mut response, close } => {
            if response.headers.get(TOKEN_HEADER).is_some() {
                change(&mut response);
            }
            Effect::Answer { exchange, response, close }
        }
        other => other,
    }
}

/// Changes a 101 answer; leaves everything else.
fn on_accept(effect: Effect, change: impl FnOnce(&mut Response)) -> Effect {
    match effect {
        Effect::Accept { exchange, connection, mut response } => {
            change(&mut response);
            Effect::Accept { exchange, connection, response }
        }
        other => other,
    }
}

fn replace(response: &mut Response, name: &str, value: &str) {
    let headers: Headers = response
        .headers
        .iter()
        .map(|(known, old)| (known.to_owned(), if known.eq_ignore_ascii_case(name) { value } else { old }.to_owned()))
        .collect();
    response.headers = headers;
}
