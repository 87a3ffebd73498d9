//! Mutants of subscriptions that show only where two things meet (SUB): one kind of resource, the second request, a
//! neighbour in the set, another client, a conference that ends.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Map;

use super::super::mutant::Question;
use super::super::typed::{ConnectionKey, Effect, Entry, Event, Input, StateOf};
use super::fault::Fault;
use super::pieces::{
    calls_end, emptied, ends_hidden, going_on, is_repeated, is_unknown, late_states, listeners, moved, quick, whole,
    without_index,
};
use super::registry::{Registered, row};
use super::subscriptions::{Indexes, resource};
use crate::protocol::events::{Resource, State, UpdateType};

const ACTIVE: &str = State::Active.as_str();
const PENDING: &str = State::Pending.as_str();
const DEACTIVATED: &str = State::Deactivated.as_str();

const UNSETTLED: (&str, &str) = ("SUB-06", "what is hidden never settles");
const GHOST_OPEN: (&str, &str) = ("SUB-14", "what is hidden may be about a call that is gone");
const MISSING: (&str, &str) = ("UPD-14", "what is not told is missing at rest");
const NOT_ENDED: (&str, &str) = ("SUB-07", "what goes on is not ended");
const NOT_IN_FORCE: (&str, &str) = ("SUB-04", "updates go on under an index that is left out");

pub(super) const MUTANTS: &[Registered] = &[
    row("active-of-call-info-after-its-content", "SUB-02", &[], "The content is ready before the word is.", || {
        late_states(1, |view, to, s| s.state == ACTIVE && resource(view, to, s.index) == Some(Resource::CallInfo))
    }),
    row(
        "active-late-in-later-requests",
        "SUB-02",
        &[("SUB-16", "active comes after the end of what a quick request left out")],
        "Only the first request is set up in one go.",
        || {
            late_states(3, |view, to, s| {
                s.state == ACTIVE && view.connection(to).is_some_and(|known| known.requests > 1)
            })
        },
    ),
    row("active-late-among-many", "SUB-02", &[], "Long lists of states are built in the background.", || {
        late_states(3, |view, to, s| {
            s.state == ACTIVE && view.connection(to).is_some_and(|known| known.subscriptions.len() > 20)
        })
    }),
    row(
        "listeners-stay-in-the-list",
        "SUB-03",
        &[],
        "The list of listeners of a conference is cleaned only when the connection ends.",
        || listeners(|_, left, wanted| !wanted.is_empty() && left.is_none()),
    ),
    row("last-count-after-the-end", "SUB-03", &[], "The legs are taken down after the farewell.", || {
        Fault::<Indexes>::new()
            .event(|active, view, to, event, pass| {
                let Event::States(list) = &event else { return pass.now((to, event)) };
                let mut last = Vec::new();
                for s in list {
                    if s.state == ACTIVE {
                        active.insert((to, s.index));
                    }
                    let known = view.connection(to).and_then(|known| known.subscriptions.get(&s.index));
                    let counted = known
                        .filter(|known| known.resource == Resource::CallInfo && known.asked.contains("participants"));
                    if s.state == DEACTIVATED
                        && active.remove(&(to, s.index))
                        && let Some(known) = counted
                    {
                        let key = known.call.clone().unwrap_or_default();
                        let fields = Map::from_iter([("participants".to_owned(), 0.into())]);
                        last.push((s.index, Entry { key, kind: UpdateType::Update, fields }));
                    }
                }
                pass.now((to, event));
                for (index, entry) in last {
                    let event = Event::Update { index, resource: Resource::CallInfo, entries: vec![entry] };
                    pass.later(Duration::from_millis(2), (to, event));
                }
            })
            .boxed()
    }),
    row("indexes-in-sixteen-bits", "SUB-04", &[UNSETTLED], "The index is kept in a short number.", || {
        Fault::<()>::new()
            .event(|(), _, to, mut event, pass| {
                match &mut event {
                    Event::States(list) => list.iter_mut().for_each(|s| s.index &= 0xFFFF),
                    Event::Update { index, .. } => *index &= 0xFFFF,
                    Event::Other(_) => {}
                }
                pass.now((to, event));
            })
            .boxed()
    }),
    row("ends-told-to-every-client", "SUB-04", &[], "The farewell is broadcast; who knows it will take it.", || {
        Fault::<()>::new()
            .event(|(), view, to, event, pass| {
                if let Event::States(list) = &event {
                    let ended = list.iter().filter(|s| s.state == DEACTIVATED);
                    let ended: Vec<StateOf> = ended.copied().collect();
                    for (other, known) in
                        view.connections.iter().filter(|(key, known)| **key != to && known.requests > 0)
                    {
                        let news = ended.iter().filter(|s| !known.subscriptions.contains_key(&s.index));
                        let news: Vec<StateOf> = news.copied().collect();
                        if !news.is_empty() {
                            pass.later(Duration::from_millis(1), (*other, Event::States(news)));
                        }
                    }
                }
                pass.now((to, event));
            })
            .boxed()
    }),
    row(
        "roster-active-when-somebody-joins",
        "SUB-06",
        &[
            ("SUB-11", "nobody is there when the index changes"),
            ("SUB-16", "nobody is there meanwhile"),
            ("SUB-14", "an unknown call stands beside it"),
            ("LIM-04", "rosters of empty conferences are among the hundred"),
            ("LIM-07", "rosters of empty conferences are among the five hundred"),
        ],
        "The roster is set up by its first participant.",
        || {
            Fault::<Indexes>::new()
                .event(|held, view, to, event, pass| match event {
                    Event::States(mut list) => {
                        list.retain(|s| {
                            held.remove(&(to, s.index));
                            let roster = resource(view, to, s.index) == Some(Resource::CallRoster);
                            let hold = roster && s.state == ACTIVE;
                            !hold || !held.insert((to, s.index))
                        });
                        if !list.is_empty() {
                            pass.now((to, Event::States(list)));
                        }
                    }
                    Event::Update { index, .. } if held.remove(&(to, index)) => {
                        pass.now((to, Event::States(vec![StateOf::new(index, State::Active)])));
                        pass.now((to, event));
                    }
                    other => pass.now((to, other)),
                })
                .boxed()
        },
    ),
    row("third-of-three-stays-pending", "SUB-06", &[GHOST_OPEN], "The loop runs to the count of connections.", || {
        Fault::<()>::new()
            .event(|(), view, to, event, pass| {
                let of_three = view.connection(to).filter(|known| known.subscriptions.len() == 3);
                let third = of_three.and_then(|known| known.subscriptions.keys().next_back().copied());
                without_index(third, to, event, pass);
            })
            .boxed()
    }),
    row("left-out-rosters-not-reported", "SUB-07", &[], "Rosters are kept by another service.", || {
        Fault::<BTreeMap<(ConnectionKey, u64), Resource>>::new()
            .event(|known, view, to, event, pass| {
                let Event::States(mut list) = event else { return pass.now((to, event)) };
                list.retain(|s| match resource(view, to, s.index) {
                    Some(now) => {
                        known.insert((to, s.index), now);
                        true
                    }
                    None => s.state != DEACTIVATED || known.get(&(to, s.index)) != Some(&Resource::CallRoster),
                });
                if !list.is_empty() {
                    pass.now((to, Event::States(list)));
                }
            })
            .boxed()
    }),
    row("left-out-beside-new-ones-not-reported", "SUB-07", &[], "The message has one list, and it is full.", || {
        ends_hidden(|view, to, wanted| {
            let known = view.connection(to);
            wanted.iter().filter_map(|entry| entry.index).any(|index| {
                known.is_some_and(|known| !known.subscriptions.is_empty() && !known.subscriptions.contains_key(&index))
            })
        })
    }),
    row("ends-by-the-empty-set-not-reported", "SUB-07", &[], "A client that wants nothing is told nothing.", || {
        ends_hidden(|_, _, wanted| wanted.is_empty())
    }),
    row(
        "empty-set-keeps-rosters",
        "SUB-08",
        &[NOT_ENDED, NOT_IN_FORCE],
        "Rosters are stopped by the service that serves them, when it gets round to it.",
        || going_on(|view, connection, wanted| emptied(view, connection, wanted, Resource::CallRoster)),
    ),
    row(
        "second-empty-set-stops-nothing",
        "SUB-08",
        &[NOT_ENDED, NOT_IN_FORCE],
        "That there is nothing to do is remembered too long.",
        || {
            Fault::<BTreeMap<ConnectionKey, (u64, bool)>>::new()
                .input(|emptied, _, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        let (count, now) = emptied.entry(*connection).or_default();
                        *count += u64::from(wanted.is_empty());
                        *now = wanted.is_empty() && *count > 1;
                    }
                    pass.now(input);
                })
                .decide(|emptied, q, answer| match q {
                    Question::Stops { connection, .. } => {
                        answer && !emptied.get(connection).is_some_and(|(_, now)| *now)
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row("listeners-outlive-the-empty-set", "SUB-08", &[], "A set without entries has nothing to take away.", || {
        listeners(|_, _, wanted| wanted.is_empty())
    }),
    row(
        "newcomers-hear-every-change",
        "SUB-09",
        &[("SUB-04", "whose request was refused is no newcomer any more, and has no index")],
        "Who has not yet subscribed is on the default list.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, event, pass| {
                    if let Event::Update { entries, .. } = &event
                        && entries.iter().all(|entry| entry.kind == UpdateType::Update)
                    {
                        let fresh = view.connections.iter().filter(|(_, known)| known.requests == 0);
                        for (other, _) in fresh {
                            pass.later(Duration::from_millis(1), (*other, event.clone()));
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row("subscriptions-come-back-after-a-drop", "SUB-09", &[], "A broken session is restored as it was.", || {
        Fault::<Vec<u64>>::new()
            .input(|lost, view, input, pass| {
                if let Input::Ended { connection } = &input
                    && let Some(known) = view.connection(*connection).filter(|known| !known.closing)
                {
                    *lost = known.subscriptions.keys().copied().collect();
                }
                pass.now(input);
            })
            .effect(|lost, _, effect, pass| {
                let newcomer = matches!(effect, Effect::Accept { .. }).then(|| effect.connection()).flatten();
                pass.now(effect);
                if let Some(connection) = newcomer
                    && !lost.is_empty()
                {
                    let states = std::mem::take(lost).into_iter().map(|index| StateOf::new(index, State::Active));
                    let event = Event::States(states.collect());
                    pass.later(Duration::from_millis(2), Effect::Message { connection, id: 900_003, event });
                }
            })
            .boxed()
    }),
    row("kept-in-another-order-starts-over", "SUB-10", &[], "Sets are compared entry by entry.", || {
        Fault::<(BTreeMap<ConnectionKey, Vec<u64>>, BTreeSet<ConnectionKey>)>::new()
            .input(|(orders, changed), _, input, pass| {
                if let Input::Subscribe { connection, wanted, .. } = &input {
                    let order: Vec<u64> = wanted.iter().filter_map(|entry| entry.index).collect();
                    let before = orders.insert(*connection, order.clone()).unwrap_or_default();
                    let kept: Vec<u64> = before.iter().copied().filter(|index| order.contains(index)).collect();
                    let again: Vec<u64> = order.into_iter().filter(|index| before.contains(index)).collect();
                    changed.remove(connection);
                    if kept != again {
                        changed.insert(*connection);
                    }
                }
                pass.now(input);
            })
            .decide(|(_, changed), q, answer| match q {
                Question::IsKept { connection, .. } => answer && !changed.contains(connection),
                _ => answer,
            })
            .boxed()
    }),
    row("kept-roster-announced-anew", "SUB-10", &[], "The new set is filled from what stands.", || {
        Fault::<BTreeMap<ConnectionKey, Vec<u64>>>::new()
            .input(|kept, view, input, pass| {
                if let Input::Subscribe { connection, wanted, .. } = &input
                    && let Some(known) = view.connection(*connection)
                {
                    let again = known.subscriptions.values().filter(|s| {
                        s.state == State::Active && s.resource == Resource::CallRoster && is_repeated(view, s, wanted)
                    });
                    kept.insert(*connection, again.map(|s| s.index).collect());
                }
                pass.now(input);
            })
            .event(|kept, view, to, event, pass| {
                let states = matches!(event, Event::States(_));
                pass.now((to, event));
                for index in kept.remove(&to).filter(|_| states).unwrap_or_default() {
                    let Some(known) = view.connection(to).and_then(|known| known.subscriptions.get(&index)) else {
                        continue;
                    };
                    let call = known.call.as_ref().and_then(|call| view.world.calls.get(call));
                    let here = call.into_iter().flat_map(|call| call.participants.iter());
                    let entries: Vec<Entry> = here.map(|key| whole(view, known, key)).collect();
                    if !entries.is_empty() {
                        pass.now((to, Event::Update { index, resource: Resource::CallRoster, entries }));
                    }
                }
            })
            .boxed()
    }),
    row(
        "kept-ones-dip",
        "SUB-10",
        &[
            ("MSG-11", "a request that comes meanwhile asks for what was ended"),
            ("SUB-01", "a request that comes meanwhile asks for what was ended"),
            ("SUB-05", "a request that comes meanwhile asks for what was ended"),
            ("SUB-15", "a conference has just ended"),
        ],
        "The old set is ended before the new one begins.",
        || {
            Fault::<BTreeMap<ConnectionKey, Vec<u64>>>::new()
                .input(|kept, view, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input
                        && let Some(known) = view.connection(*connection)
                    {
                        let again = known.subscriptions.values();
                        let again = again.filter(|s| s.state == State::Active && is_repeated(view, s, wanted));
                        kept.insert(*connection, again.map(|s| s.index).collect());
                    }
                    pass.now(input);
                })
                .event(|kept, _, to, event, pass| {
                    let states = matches!(event, Event::States(_));
                    if let Some(dipping) = kept.remove(&to).filter(|list| states && !list.is_empty()) {
                        let all = |state| dipping.iter().map(|index| StateOf::new(*index, state)).collect();
                        pass.now((to, Event::States(all(State::Deactivated))));
                        pass.now((to, Event::States(all(State::Active))));
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "old-index-told-as-well",
        "SUB-11",
        &[],
        "The list of listeners is keyed by index, and only growth is written to it.",
        || listeners(|_, left, _| left.is_some()),
    ),
    row(
        "moved-index-stays-pending",
        "SUB-11",
        &[
            ("SUB-06", "the index stays pending where nothing says that it was moved"),
            ("SUB-16", "likewise, after requests in quick succession"),
        ],
        "The resource is active already, so nothing is left to be done for it.",
        || {
            moved(|moved, _, to, event, pass| {
                let hidden = match &event {
                    Event::States(list) => list.iter().find(|s| s.state == ACTIVE && moved.contains(&(to, s.index))),
                    _ => None,
                };
                let index = match &event {
                    Event::Update { index, .. } => moved.contains(&(to, *index)).then_some(*index),
                    _ => hidden.map(|s| s.index),
                };
                without_index(index, to, event, pass);
            })
        },
    ),
    row(
        "moved-index-begins-with-a-change",
        "SUB-11",
        &[("UPD-03", "what was never added is changed")],
        "What was announced is remembered by resource.",
        || {
            moved(|moved, _, to, mut event, pass| {
                if let Event::Update { index, entries, .. } = &mut event
                    && moved.contains(&(to, *index))
                {
                    let adds = entries.iter_mut().filter(|entry| entry.kind == UpdateType::Add);
                    adds.for_each(|entry| entry.kind = UpdateType::Update);
                }
                pass.now((to, event));
            })
        },
    ),
    row(
        "unknown-roster-becomes-active",
        "SUB-12",
        &[
            ("SUB-07", "what was ended inside is not ended again"),
            ("SUB-13", "a call that ends while pending becomes active"),
        ],
        "A roster may be empty, so none is missed.",
        || {
            Fault::<Indexes>::new()
                .input(|rosters, _, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        rosters.retain(|(key, _)| key != connection);
                        let meant = wanted.iter().filter(|entry| entry.resource == Some(Resource::CallRoster));
                        rosters.extend(meant.filter_map(|entry| Some((*connection, entry.index?))));
                    }
                    pass.now(input);
                })
                .decide(|rosters, q, answer| match q {
                    Question::IsActiveCall { connection, index, .. } => {
                        answer || rosters.contains(&(*connection, *index))
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "unknown-call-active-for-a-moment",
        "SUB-12",
        &[],
        "The subscription is made first, and the conference is looked for then.",
        || {
            Fault::<Indexes>::new()
                .event(|active, view, to, event, pass| {
                    let mut ghosts = Vec::new();
                    if let Event::States(list) = &event {
                        for s in list {
                            let key = (to, s.index);
                            match s.state {
                                PENDING => drop(active.remove(&key)),
                                ACTIVE => drop(active.insert(key)),
                                _ if resource(view, to, s.index).is_some() && !active.contains(&key) => {
                                    ghosts.push(StateOf::new(s.index, State::Active));
                                }
                                _ => {}
                            }
                        }
                    }
                    if !ghosts.is_empty() {
                        pass.now((to, Event::States(ghosts)));
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "unknown-call-takes-its-neighbour-along",
        "SUB-14",
        &[],
        "The failure is entered in the row that comes next.",
        || {
            Fault::<Indexes>::new()
                .decide(|failed, q, answer| match q {
                    Question::IsActiveCall { connection, index, .. } => {
                        if !answer {
                            failed.insert((*connection, *index));
                        }
                        answer && !failed.contains(&(*connection, index.saturating_sub(1)))
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "unknown-call-leaves-rosters-pending",
        "SUB-14",
        &[UNSETTLED, ("SUB-13", "what is hidden is not ended either")],
        "The error ends the thread that also sets up rosters.",
        || {
            Fault::<BTreeSet<ConnectionKey>>::new()
                .input(|spoilt, view, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        spoilt.remove(connection);
                        if wanted.iter().any(|entry| is_unknown(view, entry)) {
                            spoilt.insert(*connection);
                        }
                    }
                    pass.now(input);
                })
                .event(|spoilt, view, to, event, pass| {
                    if !spoilt.contains(&to) {
                        return pass.now((to, event));
                    }
                    let hidden = |index| {
                        let known = view.connection(to).and_then(|known| known.subscriptions.get(&index));
                        known.is_some_and(|known| {
                            let stands = known.call.as_ref().is_some_and(|call| view.world.calls.contains_key(call));
                            known.resource == Resource::CallRoster && stands
                        })
                    };
                    match event {
                        Event::States(mut list) => {
                            list.retain(|s| s.state != ACTIVE || !hidden(s.index));
                            if !list.is_empty() {
                                pass.now((to, Event::States(list)));
                            }
                        }
                        Event::Update { index, .. } if hidden(index) => {}
                        other => pass.now((to, other)),
                    }
                })
                .boxed()
        },
    ),
    row(
        "calls-end-a-moment-after-the-last-call",
        "SUB-15",
        &[MISSING, ("UPD-19", "later calls are not announced")],
        "A collector of idle subscriptions runs now and then.",
        || calls_end(|view, _, _| view.world.calls.is_empty(), Duration::from_millis(20)),
    ),
    row(
        "calls-end-with-a-call-that-is-watched",
        "SUB-15",
        &[
            MISSING,
            ("UPD-19", "later calls are not announced"),
            ("SUB-10", "the set changes at that moment"),
            ("SUB-14", "an unknown call stands beside it"),
            ("SUB-06", "it ends before it was active"),
        ],
        "All that the client has on a conference is ended with it.",
        || {
            calls_end(
                |view, to, gone| {
                    let known = view.connection(to);
                    known.is_some_and(|known| {
                        known.subscriptions.values().any(|s| s.call.as_ref().is_some_and(|call| gone.contains(call)))
                    })
                },
                Duration::ZERO,
            )
        },
    ),
    row(
        "third-of-quick-requests-not-applied",
        "SUB-16",
        &[("SUB-06", "the later request is not settled"), ("MSG-08", "ids in any order come in quick succession")],
        "The queue of requests holds two.",
        || quick(|count, _| *count % 3 == 0),
    ),
    row(
        "quick-empty-set-not-applied",
        "SUB-08",
        &[
            ("SUB-16", "what the empty set ends comes back to life"),
            ("SUB-04", "what the empty set ends is told on"),
            ("SUB-07", "what the empty set ends is not ended"),
        ],
        "An empty set is taken for a slip while another one is being worked on.",
        || quick(|_, wanted| wanted.is_empty()),
    ),
];
