//! Mutants of envelope and acknowledgement (MSG).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::json;

use super::super::mutant::Question;
use super::super::typed::{ConnectionKey, Effect, Event, Input, Oddity};
use super::super::values::{Count, Reaction};
use super::fault::{Fault, rewritten, settings};
use super::registry::{Registered, row};
use crate::protocol::events::Resource;
use crate::protocol::events::names::SUCCESS;

type Seen = BTreeMap<ConnectionKey, u64>;

const NO_ID: &[(&str, &str)] = &[("MSG-03", "what has no usable id acknowledges nothing")];

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "ack-of-request-missing",
        "MSG-03",
        &[],
        "The ack is sent by the handler that another branch replaced.",
        || {
            Fault::<()>::new()
                .effect(|(), _, effect, pass| {
                    if !matches!(effect, Effect::Ack { .. }) {
                        pass.now(effect);
                    }
                })
                .boxed()
        },
    ),
    row(
        "ack-of-second-request-missing",
        "MSG-03",
        &[
            ("LIM-01", "the second request of the connection is the one that puts it to the test"),
            ("LIM-03", "the second request of the connection is the one that puts it to the test"),
            ("LIM-04", "the second request of the connection is the one that puts it to the test"),
            ("LIM-06", "the second request of the connection is the one that puts it to the test"),
            ("LIM-07", "the second request of the connection is the one that puts it to the test"),
            ("MSG-08", "the second request of the connection is the one that puts it to the test"),
            ("WS-08", "the second request of the connection is the one that puts it to the test"),
        ],
        "Only the first request goes through the path that acknowledges.",
        || {
            Fault::<Seen>::new()
                .effect(|seen, _, effect, pass| {
                    if let Effect::Ack { connection, .. } = &effect {
                        let count = seen.entry(*connection).or_default();
                        *count += 1;
                        if *count == 2 {
                            return;
                        }
                    }
                    pass.now(effect);
                })
                .boxed()
        },
    ),
    row("ack-sent-twice", "MSG-03", &[], "A retry does not see that the first attempt succeeded.", || {
        Fault::<u64>::new()
            .effect(|count, _, effect, pass| {
                if matches!(effect, Effect::Ack { .. }) {
                    *count += 1;
                    if count.is_multiple_of(2) {
                        pass.now(effect.clone());
                    }
                }
                pass.now(effect);
            })
            .boxed()
    }),
    row(
        "ack-without-status",
        "MSG-01",
        &[("MSG-03", "half an ack is none"), ("MSG-04", "no status is not success")],
        "Empty members are left out by the serializer.",
        || {
            Fault::<()>::new()
                .effect(|(), _, effect, pass| match effect {
                    Effect::Ack { connection, id, .. } => {
                        let text = json!({"type": "messageAck", "messageAck": {"messageId": id}}).to_string();
                        pass.now(Effect::Text { connection, text });
                    }
                    other => pass.now(other),
                })
                .boxed()
        },
    ),
    row("third-kind-of-envelope", "MSG-01", &[], "Notices of a newer protocol are sent to everybody.", || {
        Fault::<()>::new()
            .effect(|(), _, effect, pass| {
                let to = matches!(effect, Effect::Ack { .. }).then(|| effect.connection()).flatten();
                pass.now(effect);
                if let Some(connection) = to {
                    let text = json!({"type": "notice", "notice": {"text": "routine"}}).to_string();
                    pass.now(Effect::Text { connection, text });
                }
            })
            .boxed()
    }),
    row("message-id-as-text", "MSG-01", NO_ID, "Ids go through a formatter; only those of updates do.", || {
        Fault::<()>::new()
            .effect(|(), view, effect, pass| match effect {
                Effect::Message { connection, id, event: event @ Event::Other(_) } => {
                    let text = rewritten(view, id, &event, |message| {
                        message.insert("messageId".to_owned(), id.to_string().into());
                    });
                    pass.now(Effect::Text { connection, text });
                }
                other => pass.now(other),
            })
            .settings(|s| {
                s.extra_messages = 4;
                s.window = Count::Of(64);
            })
            .boxed()
    }),
    row("status-ok", "MSG-04", &[], "The word of another protocol.", || {
        Fault::<()>::new().effect(|(), _, e, pass| pass.now(with_status(e, "ok"))).boxed()
    }),
    row("status-with-capital", "MSG-04", &[], "The name of an enumeration is printed.", || {
        Fault::<()>::new().effect(|(), _, e, pass| pass.now(with_status(e, "Success"))).boxed()
    }),
    row(
        "status-of-large-sets",
        "LIM-04",
        &[("LIM-07", "five times one hundred are not accepted either")],
        "The limit is checked with the wrong comparison, after the fact.",
        || {
            Fault::<bool>::new()
                .input(|large, _, input, pass| {
                    if let Input::Subscribe { wanted, .. } = &input {
                        *large = wanted.len() == 100;
                    }
                    pass.now(input);
                })
                .effect(|large, _, mut effect, pass| {
                    if let Effect::Ack { status, .. } = &mut effect
                        && *large
                    {
                        "failure".clone_into(status);
                    }
                    pass.now(effect);
                })
                .boxed()
        },
    ),
    row(
        "status-of-empty-sets",
        "MSG-04",
        &[("MSG-08", "the ids of the scenario do not follow each other")],
        "Nothing to do is reported as nothing done.",
        || {
            Fault::<bool>::new()
                .input(|empty, _, input, pass| {
                    if let Input::Subscribe { wanted, .. } = &input {
                        *empty = wanted.is_empty();
                    }
                    pass.now(input);
                })
                .effect(|empty, _, effect, pass| pass.now(if *empty { with_status(effect, "nothing") } else { effect }))
                .boxed()
        },
    ),
    row("success-for-the-unknown", "MSG-05", &[], "Every message is acknowledged before it is read.", || {
        Fault::<BTreeSet<(ConnectionKey, u64)>>::new()
            .settings(|s| s.on_unknown_message = Reaction::Refuse)
            .input(|odd, _, input, pass| {
                if let Input::Odd { connection, what: Oddity::UnknownMessage, id: Some(id) } = &input {
                    odd.insert((*connection, *id));
                }
                pass.now(input);
            })
            .effect(|odd, _, mut effect, pass| {
                if let Effect::Ack { connection, id, status } = &mut effect
                    && odd.remove(&(*connection, *id))
                {
                    SUCCESS.clone_into(status);
                }
                pass.now(effect);
            })
            .boxed()
    }),
    row(
        "success-for-the-unreadable",
        "MSG-05",
        &[("MSG-10", "the id was made up")],
        "The ack is made with a default id when the text is no JSON.",
        || {
            Fault::<()>::new()
                .settings(|s| {
                    s.on_bad_json = Reaction::Refuse;
                    SUCCESS.clone_into(&mut s.refusal_status);
                })
                .input(|(), _, mut input, pass| {
                    if let Input::Odd { what: Oddity::BadJson, id, .. } = &mut input {
                        *id = Some(0);
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row("window-never-shuts", "MSG-07", &[], "Acks are counted and nobody looks at the count.", || {
        Fault::<()>::new().decide(|(), q, answer| answer && !matches!(q, Question::IsHeldBack { .. })).boxed()
    }),
    row("window-as-a-setting-of-none", "MSG-07", &[], "A tuning option switches the window off.", || {
        settings(|s| s.window = Count::Any)
    }),
    row(
        "equal-ids-confused",
        "MSG-08",
        &[("MSG-03", "the request is not acknowledged")],
        "One table holds the ids of both sides.",
        || {
            Fault::<()>::new()
                .input(|(), view, input, pass| match &input {
                    Input::Subscribe { connection, id, .. } if view.is_outstanding(*connection, *id) => {
                        pass.now(Input::Acked { connection: *connection, id: Some(*id), good: true });
                    }
                    _ => pass.now(input),
                })
                .boxed()
        },
    ),
    row(
        "ids-have-to-grow",
        "MSG-08",
        &[("MSG-03", "the request is not acknowledged")],
        "A smaller id is taken for a repetition.",
        || {
            Fault::<Seen>::new()
                .input(|last, _, input, pass| {
                    if let Input::Subscribe { connection, id, .. } = &input {
                        if last.get(connection).is_some_and(|before| id < before) {
                            return;
                        }
                        last.insert(*connection, *id);
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row(
        "ids-have-to-be-consecutive",
        "MSG-08",
        &[("MSG-03", "the request is not acknowledged")],
        "The server waits for the request that it thinks is missing.",
        || {
            Fault::<Seen>::new()
                .input(|last, _, input, pass| {
                    if let Input::Subscribe { connection, id, .. } = &input {
                        if last.get(connection).is_some_and(|before| *id > before + 1) {
                            return;
                        }
                        last.insert(*connection, *id);
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row("ids-shared-by-pairs", "MSG-09", &[], "The counter is read again before it is written.", || {
        Fault::<BTreeSet<(ConnectionKey, u64)>>::new()
            .settings(|s| s.window = Count::Of(4))
            .effect(|shared, view, mut effect, pass| {
                if let Effect::Message { connection, id, .. } = &mut effect
                    && *id % 2 == 0
                    && view.is_outstanding(*connection, *id - 1)
                {
                    shared.insert((*connection, *id));
                    *id -= 1;
                }
                pass.now(effect);
            })
            .input(|shared, _, input, pass| {
                if let Input::Acked { connection, id: Some(id), good } = input
                    && shared.remove(&(connection, id + 1))
                {
                    pass.now(Input::Acked { connection, id: Some(id + 1), good });
                }
                pass.now(input);
            })
            .boxed()
    }),
    row("one-id-for-all", "MSG-09", &[], "The counter is never raised.", || {
        Fault::<()>::new()
            .settings(|s| s.window = Count::Of(4))
            .effect(|(), _, mut effect, pass| {
                if let Effect::Message { id, .. } = &mut effect {
                    *id = 1;
                }
                pass.now(effect);
            })
            .input(|(), view, input, pass| match input {
                Input::Acked { connection, id: Some(_), good } => {
                    let sent = view.connection(connection).map_or(0, |known| known.sent);
                    for id in (1..=sent).filter(|id| view.is_outstanding(connection, *id)).take(1) {
                        pass.now(Input::Acked { connection, id: Some(id), good });
                    }
                }
                other => pass.now(other),
            })
            .boxed()
    }),
    row("ack-of-an-unsent-id", "MSG-10", &[], "A second queue acknowledges by its own count.", || {
        Fault::<()>::new()
            .effect(|(), _, effect, pass| {
                let other = match &effect {
                    Effect::Ack { connection, id, status } => {
                        Some((*connection, id.saturating_add(1000), status.clone()))
                    }
                    _ => None,
                };
                pass.now(effect);
                if let Some((connection, id, status)) = other {
                    pass.now(Effect::Ack { connection, id, status });
                }
            })
            .boxed()
    }),
    row("acks-acknowledged", "MSG-10", &[], "Everything that has an id is acknowledged.", || {
        Fault::<()>::new()
            .settings(|s| s.on_unknown_message = Reaction::Refuse)
            .input(|(), _, input, pass| {
                let odd = match &input {
                    Input::Acked { connection, id, .. } => Some((*connection, *id)),
                    _ => None,
                };
                pass.now(input);
                if let Some((connection, id)) = odd {
                    pass.now(Input::Odd { connection, what: Oddity::UnknownMessage, id });
                }
            })
            .boxed()
    }),
    row("ack-after-the-states", "MSG-11", &[], "Acks and messages leave by two threads.", || {
        Fault::<()>::new()
            .effect(|(), _, effect, pass| match effect {
                Effect::Ack { .. } => pass.later(Duration::from_millis(5), effect),
                other => pass.now(other),
            })
            .boxed()
    }),
    row(
        "ack-after-the-states-of-rosters",
        "MSG-11",
        &[],
        "Rosters are set up by the thread that also acknowledges.",
        || {
            Fault::<bool>::new()
                .input(|roster, _, input, pass| {
                    if let Input::Subscribe { wanted, .. } = &input {
                        *roster = wanted.iter().any(|entry| entry.resource == Some(Resource::CallRoster));
                    }
                    pass.now(input);
                })
                .effect(|roster, _, effect, pass| match effect {
                    Effect::Ack { .. } if *roster => pass.later(Duration::from_millis(3), effect),
                    other => pass.now(other),
                })
                .boxed()
        },
    ),
];

/// An ack that grants says another word.
fn with_status(mut effect: Effect, word: &str) -> Effect {
    if let Effect::Ack { status, .. } = &mut effect
        && status == SUCCESS
    {
        word.clone_into(status);
    }
    effect
}
