//! Mutants of the limits (LIM).

use std::collections::BTreeSet;

use super::super::mutant::{Pass, Question, View};
use super::super::typed::{ConnectionKey, Event, Input, Oddity};
use super::super::values::Excess;
use super::fault::{Fault, settings};
use super::registry::{Registered, row};
use crate::protocol::ws::handshake::EVENTS_PATH;

const FIVE: (&str, &str) = ("LIM-01", "five connections are not served");
const BOTH: (&str, &str) = ("LIM-07", "the two limits do not hold together");
const TAKEN: (&str, &str) = ("LIM-03", "a place is missing");

pub(super) const MUTANTS: &[Registered] = &[
    row("four-places", "LIM-01", &[TAKEN, BOTH], "One place is kept for the product's own manager.", || {
        settings(|s| s.connection_limit = 4)
    }),
    row(
        "fifth-is-told-nothing",
        "LIM-01",
        &[
            ("UPD-14", "what is not told is missing at rest"),
            ("UPD-19", "what stands is not announced"),
            BOTH,
            ("UPD-16", "the fifth client sees nothing"),
        ],
        "The table of subscribers has four rows.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, event, pass| {
                    let fifth = view.connections.len() >= 5 && view.connections.keys().next_back() == Some(&to);
                    if !(fifth && matches!(event, Event::Update { .. })) {
                        pass.now((to, event));
                    }
                })
                .boxed()
        },
    ),
    row("sixth-is-served", "LIM-02", &[], "The comparison is off by one.", || settings(|s| s.connection_limit = 6)),
    row("everybody-is-served", "LIM-02", &[], "The limit is in the documents only.", || {
        settings(|s| s.connection_limit = 1_000)
    }),
    row(
        "sixth-displaces-the-first",
        "LIM-03",
        &[FIVE, ("LIM-02", "there is room for it then")],
        "The oldest session is taken for a stale one.",
        || {
            Fault::<()>::new()
                .input(|(), view, input, pass| {
                    if let Input::Request { request, .. } = &input
                        && request.path() == EVENTS_PATH
                        && view.connections.len() >= 5
                        && let Some(oldest) = view.connections.keys().next()
                    {
                        pass.now(Input::Odd { connection: *oldest, what: Oddity::TooLong, id: None });
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row("abrupt-end-keeps-the-place", "LIM-03", &[FIVE, BOTH], "Only a close frame frees a place.", || {
        Fault::<()>::new()
            .decide(|(), q, answer| answer && !matches!(q, Question::FreesPlace { abrupt: true, .. }))
            .boxed()
    }),
    row(
        "clean-end-keeps-the-place",
        "LIM-03",
        &[FIVE, BOTH],
        "Only the end of the socket is counted, and it was ended before.",
        || {
            Fault::<()>::new()
                .decide(|(), q, answer| answer && !matches!(q, Question::FreesPlace { abrupt: false, .. }))
                .boxed()
        },
    ),
    row(
        "ninety-nine-subscriptions",
        "LIM-04",
        &[
            BOTH,
            ("MSG-04", "a request within the limit is refused"),
            ("LIM-06", "the request that follows is refused as well"),
        ],
        "The comparison is off by one.",
        || settings(|s| s.subscription_limit = 99),
    ),
    row(
        "hundredth-is-told-nothing",
        "LIM-04",
        &[("UPD-14", "what is not told is missing at rest"), ("UPD-19", "what stands is not announced"), BOTH],
        "The array of one hundred is counted from one.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, event, pass| {
                    let last = view.connection(to).filter(|known| known.subscriptions.len() >= 100);
                    let last = last.and_then(|known| known.subscriptions.keys().next_back().copied());
                    match &event {
                        Event::Update { index, .. } if Some(*index) == last => {}
                        _ => pass.now((to, event)),
                    }
                })
                .boxed()
        },
    ),
    row("one-hundred-and-one-granted", "LIM-05", &[], "The comparison is off by one.", || {
        settings(|s| s.subscription_limit = 101)
    }),
    row("any-number-granted", "LIM-05", &[], "The limit is in the documents only.", || {
        settings(|s| s.subscription_limit = 100_000)
    }),
    row("excess-ends-the-others", "LIM-06", &[], "The server restarts its events service.", || {
        Fault::<()>::new()
            .input(|(), view, input, pass| {
                if let Input::Subscribe { connection, wanted, .. } = &input
                    && wanted.len() > 100
                {
                    close_others(view, *connection, pass);
                }
                pass.now(input);
            })
            .boxed()
    }),
    row("excess-is-not-forgiven", "LIM-06", &[], "The error flag of the connection is never cleared.", || {
        Fault::<(BTreeSet<ConnectionKey>, bool)>::new()
            .settings(|s| s.excess = Excess::Refuse)
            .input(|(guilty, refuse), _, input, pass| {
                if let Input::Subscribe { connection, wanted, .. } = &input {
                    *refuse = guilty.contains(connection);
                    if wanted.len() > 100 {
                        guilty.insert(*connection);
                    }
                }
                pass.now(input);
            })
            .decide(|(_, refuse), q, answer| answer && !(*refuse && matches!(q, Question::IsWithinLimit(_))))
            .boxed()
    }),
    row("four-hundred-in-all", "LIM-07", &[], "A pool for all connections is too small.", || {
        Fault::<bool>::new()
            .input(|full, view, input, pass| {
                if let Input::Subscribe { connection, wanted, .. } = &input {
                    let others = view.connections.values().filter(|known| known.key != *connection);
                    let taken: usize = others.map(|known| known.subscriptions.len()).sum();
                    *full = taken + wanted.len() > 400;
                }
                pass.now(input);
            })
            .decide(|full, q, answer| answer && !(*full && matches!(q, Question::IsWithinLimit(_))))
            .boxed()
    }),
    row(
        "rest-beyond-four-hundred-silent",
        "LIM-07",
        &[("UPD-14", "what is not told is missing at rest"), ("UPD-19", "what stands is not announced")],
        "Notifications are spread over four workers.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, event, pass| {
                    let all: usize = view.connections.values().map(|known| known.subscriptions.len()).sum();
                    let last = view.connections.keys().next_back() == Some(&to);
                    if !(all > 400 && last && matches!(event, Event::Update { .. })) {
                        pass.now((to, event));
                    }
                })
                .boxed()
        },
    ),
];

fn close_others(view: &View<'_>, spared: ConnectionKey, pass: &mut Pass<Input>) {
    for key in view.connections.keys().filter(|key| **key != spared) {
        pass.now(Input::Odd { connection: *key, what: Oddity::TooLong, id: None });
    }
}
