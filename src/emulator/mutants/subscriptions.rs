//! Mutants of subscriptions and their states (SUB).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::mutant::{Question, View};
use super::super::typed::{ConnectionKey, Effect, Event, Input, StateOf, Wanted};
use super::fault::{Fault, settings};
use super::pieces::{emptied, going_on};
use super::registry::{Registered, row};
use crate::protocol::events::{Resource, State, UpdateType};
use crate::time::Instant;

pub(super) type Indexes = BTreeSet<(ConnectionKey, u64)>;

const ACTIVE: &str = State::Active.as_str();
const PENDING: &str = State::Pending.as_str();
const DEACTIVATED: &str = State::Deactivated.as_str();

pub(super) const MUTANTS: &[Registered] = &[
    row("pending-not-reported", "SUB-01", &[], "Setting up became fast, and the first report was saved.", || {
        settings(|s| s.pending_reported = false)
    }),
    row("pending-of-rosters-not-reported", "SUB-01", &[], "Rosters are set up by another service.", || {
        states(|_, view, to, s| !(s.state == PENDING && resource(view, to, s.index) == Some(Resource::CallRoster)))
    }),
    row(
        "active-reported-late",
        "SUB-02",
        &[
            ("SUB-05", "active comes after the end of what was left out meanwhile"),
            ("SUB-16", "active comes after the end of what a quick request left out"),
        ],
        "States and updates wait in two queues.",
        || {
            Fault::<()>::new()
                .event(|(), _, to, event, pass| match &event {
                    Event::States(list) if list.iter().any(|s| s.state == ACTIVE) => {
                        pass.later(Duration::from_millis(30), (to, event));
                    }
                    _ => pass.now((to, event)),
                })
                .boxed()
        },
    ),
    row("active-of-rosters-reported-late", "SUB-02", &[], "The roster's state is read from a replica.", || {
        Fault::<()>::new()
            .event(|(), view, to, event, pass| {
                let Event::States(list) = event else { return pass.now((to, event)) };
                let late = |s: &StateOf| s.state == ACTIVE && resource(view, to, s.index) == Some(Resource::CallRoster);
                let (later, now): (Vec<StateOf>, Vec<StateOf>) = list.into_iter().partition(late);
                if !now.is_empty() {
                    pass.now((to, Event::States(now)));
                }
                if !later.is_empty() {
                    pass.later(Duration::from_millis(30), (to, Event::States(later)));
                }
            })
            .boxed()
    }),
    row("removals-after-the-end", "SUB-03", &[], "The participants are torn down after the conference.", || {
        Fault::<()>::new()
            .event(|(), _, to, event, pass| match &event {
                Event::Update { resource: Resource::CallRoster, entries, .. }
                    if entries.len() > 1 && entries.iter().all(|e| e.kind == UpdateType::Remove) =>
                {
                    pass.later(Duration::from_millis(5), (to, event));
                }
                _ => pass.now((to, event)),
            })
            .boxed()
    }),
    row(
        "last-update-again-after-the-end",
        "SUB-03",
        &[
            ("SUB-04", "an index that was left out is no more in force"),
            ("SUB-02", "the index is subscribed anew meanwhile"),
            ("SUB-08", "what an empty set ended is told again"),
            ("SUB-11", "what an old index was told is told again"),
        ],
        "A retry queue outlives its subscription.",
        || {
            Fault::<BTreeMap<(ConnectionKey, u64), Event>>::new()
                .event(|last, _, to, event, pass| {
                    match &event {
                        Event::Update { index, .. } => {
                            last.insert((to, *index), event.clone());
                        }
                        Event::States(list) => {
                            for ended in list.iter().filter(|s| s.state == DEACTIVATED) {
                                if let Some(update) = last.remove(&(to, ended.index)) {
                                    pass.later(Duration::from_millis(10), (to, update));
                                }
                            }
                        }
                        Event::Other(_) => {}
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row("state-of-a-foreign-index", "SUB-04", &[], "Indexes of two connections share a table.", || {
        Fault::<()>::new()
            .event(|(), _, to, mut event, pass| {
                if let Event::States(list) = &mut event
                    && list.iter().any(|s| s.state == PENDING)
                {
                    list.push(StateOf::new(987_654, State::Pending));
                }
                pass.now((to, event));
            })
            .boxed()
    }),
    row(
        "update-under-a-foreign-index",
        "SUB-04",
        &[],
        "An update is sent to the subscriber of the same name as well.",
        || {
            Fault::<()>::new()
                .event(|(), _, to, event, pass| {
                    let copy = match &event {
                        Event::Update { resource: resource @ Resource::Calls, entries, .. } => {
                            Some(Event::Update { index: 987_654, resource: *resource, entries: entries.clone() })
                        }
                        _ => None,
                    };
                    pass.now((to, event));
                    if let Some(copy) = copy {
                        pass.now((to, copy));
                    }
                })
                .boxed()
        },
    ),
    row(
        "pending-again-after-active",
        "SUB-05",
        &[
            ("SUB-02", "updates go on while pending"),
            ("SUB-10", "the refresh falls into a change of the set"),
            ("SUB-16", "the refresh comes when a quick request has left the index out"),
            ("MSG-11", "the refresh comes between a request and its ack"),
        ],
        "A refresh goes through the same states as the set-up.",
        || {
            Fault::<()>::new()
                .event(|(), _, to, event, pass| {
                    let again: Vec<StateOf> = match &event {
                        Event::States(list) => {
                            let active = list.iter().filter(|s| s.state == ACTIVE);
                            active.map(|s| StateOf::new(s.index, State::Pending)).collect()
                        }
                        _ => Vec::new(),
                    };
                    pass.now((to, event));
                    if !again.is_empty() {
                        pass.later(Duration::from_millis(20), (to, Event::States(again)));
                    }
                })
                .boxed()
        },
    ),
    row(
        "state-of-its-own",
        "SUB-05",
        &[("SUB-01", "what is reported first is not pending")],
        "An internal state shows.",
        || {
            Fault::<()>::new()
                .event(|(), _, to, mut event, pass| {
                    if let Event::States(list) = &mut event {
                        list.iter_mut().filter(|s| s.state == PENDING).for_each(|s| s.state = "initializing");
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "rosters-never-settle",
        "SUB-06",
        &[
            ("LIM-04", "rosters are among the many"),
            ("LIM-07", "rosters are among the many"),
            ("SUB-13", "what never settles is not ended either"),
            ("SUB-14", "a roster stands beside an unknown call"),
        ],
        "The roster service does not answer.",
        || settings(|s| s.roster_delay = Duration::from_secs(3600)),
    ),
    row(
        "unknown-call-stays-pending",
        "SUB-06",
        &[
            ("SUB-12", "what stays pending does not end deactivated"),
            ("SUB-07", "what was ended inside is not ended again"),
            ("SUB-13", "a call that ends while pending is unknown as well"),
        ],
        "A look-up without a result has no answer.",
        || {
            Fault::<Indexes>::new()
                .event(|active, view, to, event, pass| {
                    let Event::States(mut list) = event else { return pass.now((to, event)) };
                    list.retain(|s| {
                        if s.state == ACTIVE {
                            active.insert((to, s.index));
                        }
                        let stands = resource(view, to, s.index).is_some();
                        s.state != DEACTIVATED || !stands || active.contains(&(to, s.index))
                    });
                    if !list.is_empty() {
                        pass.now((to, Event::States(list)));
                    }
                })
                .boxed()
        },
    ),
    row(
        "left-out-not-reported",
        "SUB-07",
        &[],
        "What the client no longer wants is thought to be known to it.",
        || states(|_, view, to, s| s.state != DEACTIVATED || resource(view, to, s.index).is_some()),
    ),
    row("of-two-left-out-one-reported", "SUB-07", &[], "A map is keyed by the time of the change.", || {
        states(|seen, view, to, s| {
            let ended = s.state == DEACTIVATED && resource(view, to, s.index).is_none();
            !ended || seen.insert((to, view.now))
        })
    }),
    row(
        "empty-set-stops-nothing",
        "SUB-08",
        &[("SUB-07", "nothing is unsubscribed"), ("SUB-04", "updates go on under indexes that are left out")],
        "An empty list is taken for no list.",
        || {
            Fault::<BTreeSet<ConnectionKey>>::new()
                .input(|emptied, _, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        if wanted.is_empty() {
                            emptied.insert(*connection);
                        } else {
                            emptied.remove(connection);
                        }
                    }
                    pass.now(input);
                })
                .decide(|emptied, q, answer| match q {
                    Question::Stops { connection, .. } => answer && !emptied.contains(connection),
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "update-of-a-former-client",
        "SUB-09",
        &[("SUB-02", "nothing was active yet"), ("SUB-04", "no request is in force yet")],
        "Subscriptions are kept by account, not by connection.",
        || {
            Fault::<Option<Event>>::new()
                .event(|last, _, to, event, pass| {
                    if matches!(event, Event::Update { .. }) {
                        *last = Some(event.clone());
                    }
                    pass.now((to, event));
                })
                .effect(|last, _, effect, pass| {
                    let newcomer = matches!(effect, Effect::Accept { .. }).then(|| effect.connection()).flatten();
                    pass.now(effect);
                    if let Some(connection) = newcomer
                        && let Some(event) = last.take()
                    {
                        pass.later(Duration::from_millis(2), Effect::Message { connection, id: 900_001, event });
                    }
                })
                .boxed()
        },
    ),
    row(
        "kept-ones-start-over",
        "SUB-10",
        &[("SUB-05", "active becomes pending again"), ("UPD-03", "what was added is added again")],
        "A new set is built from nothing each time.",
        || Fault::<()>::new().decide(|(), q, answer| answer && !matches!(q, Question::IsKept { .. })).boxed(),
    ),
    row(
        "kept-ones-miss-changes-around",
        "SUB-10",
        &[
            ("UPD-14", "what is lost is missing at rest"),
            ("UPD-15", "what is lost is missing at rest"),
            ("UPD-16", "what is lost is missing in the sequence"),
        ],
        "Updates are switched off while the set is replaced.",
        || {
            Fault::<BTreeMap<ConnectionKey, Instant>>::new()
                .input(|replaced, view, input, pass| {
                    if let Input::Subscribe { connection, .. } = &input
                        && view.connection(*connection).is_some_and(|known| known.requests > 0)
                    {
                        replaced.insert(*connection, view.now);
                    }
                    pass.now(input);
                })
                .event(|replaced, view, to, mut event, pass| {
                    if let Event::Update { entries, .. } = &mut event
                        && replaced.get(&to).is_some_and(|at| view.now.since(*at) < Duration::from_millis(100))
                    {
                        entries.retain(|entry| entry.kind != UpdateType::Update);
                        if entries.is_empty() {
                            return;
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "old-index-goes-on",
        "SUB-11",
        &[("SUB-04", "the old index is not in force"), ("SUB-07", "the old index is not ended")],
        "The old entry is dropped only where its resource is dropped.",
        || {
            going_on(|view, connection, wanted| {
                reindexed(view, connection, wanted).into_iter().map(|(_, index)| index).collect()
            })
        },
    ),
    row(
        "new-index-announces-nothing",
        "SUB-11",
        &[
            ("UPD-03", "what was never added is changed"),
            ("UPD-14", "what was not announced is missing at rest"),
            ("UPD-19", "what stands is not announced"),
        ],
        "What was announced is remembered by resource.",
        || {
            Fault::<BTreeSet<(ConnectionKey, Resource)>>::new()
                .input(|moved, view, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        moved.retain(|(key, _)| key != connection);
                        for (_, index) in reindexed(view, *connection, wanted) {
                            moved.extend(resource(view, *connection, index).map(|resource| (*connection, resource)));
                        }
                    }
                    pass.now(input);
                })
                .event(|moved, _, to, event, pass| match &event {
                    Event::Update { resource, entries, .. }
                        if moved.contains(&(to, *resource)) && entries.iter().all(|e| e.kind == UpdateType::Add) => {}
                    _ => pass.now((to, event)),
                })
                .boxed()
        },
    ),
    row(
        "unknown-call-becomes-active",
        "SUB-12",
        &[
            ("SUB-07", "what was ended inside is not ended again"),
            ("SUB-13", "a call that ends while pending becomes active"),
        ],
        "The call is looked up when it first changes.",
        || Fault::<()>::new().decide(|(), q, answer| answer || matches!(q, Question::IsActiveCall { .. })).boxed(),
    ),
    row("end-of-call-not-reported", "SUB-13", &[], "The list of subscribers goes with the conference.", || {
        Fault::<()>::new().decide(|(), q, answer| answer && !matches!(q, Question::EndsWithCall { .. })).boxed()
    }),
    row(
        "end-of-call-reported-to-one-of-two",
        "SUB-13",
        &[("SUB-14", "of two unknown calls one is reported")],
        "The loop over subscribers ends with the first.",
        || {
            Fault::<BTreeSet<(ConnectionKey, Instant)>>::new()
                .event(|told, view, to, event, pass| {
                    let Event::States(mut list) = event else { return pass.now((to, event)) };
                    list.retain(|s| {
                        let subscription = view.connection(to).and_then(|known| known.subscriptions.get(&s.index));
                        let by_call = subscription.is_some_and(|s| s.resource != Resource::Calls);
                        s.state != DEACTIVATED || !by_call || told.insert((to, view.now))
                    });
                    if !list.is_empty() {
                        pass.now((to, Event::States(list)));
                    }
                })
                .boxed()
        },
    ),
    row(
        "unknown-call-spoils-the-rest",
        "SUB-14",
        &[("UPD-19", "what stands is not announced")],
        "The set is set up as one transaction.",
        || {
            Fault::<BTreeSet<ConnectionKey>>::new()
                .input(|spoilt, view, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        let unknown = |entry: &Wanted| {
                            let call = entry.call.as_ref().map(|call| view.world.canonical(call));
                            call.is_some_and(|call| !view.world.calls.contains_key(&call))
                        };
                        spoilt.remove(connection);
                        if wanted.iter().any(unknown) {
                            spoilt.insert(*connection);
                        }
                    }
                    pass.now(input);
                })
                .decide(|spoilt, q, answer| match q {
                    Question::IsActiveCall { connection, .. } => answer && !spoilt.contains(connection),
                    _ => answer,
                })
                .boxed()
        },
    ),
    row(
        "calls-end-with-the-last-call",
        "SUB-15",
        &[
            ("UPD-14", "later calls are not announced"),
            ("UPD-19", "later calls are not announced"),
            ("SUB-06", "a subscription that begins while no call goes on tells of none"),
        ],
        "Nothing is left to report on.",
        || {
            Fault::<Indexes>::new()
                .event(|ended, view, to, event, pass| {
                    if let Event::States(list) = &event {
                        for state in list {
                            ended.remove(&(to, state.index));
                        }
                    }
                    let Event::Update { index, resource: Resource::Calls, .. } = event else {
                        return pass.now((to, event));
                    };
                    if ended.contains(&(to, index)) {
                        return;
                    }
                    pass.now((to, event));
                    if view.world.calls.is_empty() {
                        ended.insert((to, index));
                        pass.now((to, Event::States(vec![StateOf::new(index, State::Deactivated)])));
                    }
                })
                .boxed()
        },
    ),
    row(
        "earlier-request-applied-last",
        "SUB-16",
        &[
            ("SUB-04", "indexes of the earlier request are reported"),
            ("SUB-07", "the later request is undone"),
            ("SUB-06", "the later request is undone"),
            ("SUB-15", "the earlier request is the empty set"),
            ("SUB-01", "an index that stands is set up again"),
            ("SUB-03", "what was ended is told again"),
            ("SUB-05", "what was ended is pending again"),
            ("UPD-01", "an index is told what it stood for before"),
            ("MSG-11", "a state of the earlier request comes before the ack of the next one"),
            ("SUB-08", "the later request is the empty set"),
            ("SUB-11", "the later request led a subject to another index"),
        ],
        "Requests are worked on in parallel.",
        || {
            Fault::<BTreeMap<ConnectionKey, (Instant, Input)>>::new()
                .input(|last, view, input, pass| {
                    if let Input::Subscribe { connection, .. } = &input {
                        let before = last.insert(*connection, (view.now, input.clone()));
                        if let Some((at, earlier)) = before
                            && view.now.since(at) < Duration::from_millis(20)
                        {
                            pass.later(Duration::from_millis(40), repeated(earlier));
                        }
                    }
                    pass.now(input);
                })
                .effect(|_, _, effect, pass| {
                    if !matches!(effect, Effect::Ack { id: REPEATED, .. }) {
                        pass.now(effect);
                    }
                })
                .boxed()
        },
    ),
    row(
        "empty-set-keeps-calls",
        "SUB-08",
        &[("SUB-07", "calls is not unsubscribed"), ("SUB-04", "updates go on under an index that is left out")],
        "The list of conferences is thought to concern everybody.",
        || going_on(|view, connection, wanted| emptied(view, connection, wanted, Resource::Calls)),
    ),
    row("ended-call-becomes-active", "SUB-12", &[], "Ended conferences stay in a cache.", || {
        Fault::<BTreeSet<String>>::new()
            .decide(|known, q, answer| match q {
                Question::IsActiveCall { call, .. } if answer => {
                    known.insert((*call).to_owned());
                    true
                }
                Question::IsActiveCall { call, .. } => known.contains(*call),
                _ => answer,
            })
            .boxed()
    }),
    row(
        "end-while-pending-lost",
        "SUB-13",
        &[
            ("SUB-07", "what was given up is not ended when it is left out"),
            ("SUB-06", "the subscription never settles"),
            ("SUB-12", "the call is no more active"),
        ],
        "The set-up is given up without a word.",
        || {
            Fault::<(Indexes, Indexes)>::new()
                .input(|(standing, active), view, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        for entry in wanted {
                            let call = entry.call.as_ref().map(|call| view.world.canonical(call));
                            let key = (*connection, entry.index.unwrap_or_default());
                            active.remove(&key);
                            if call.is_some_and(|call| view.world.calls.contains_key(&call)) {
                                standing.insert(key);
                            } else {
                                standing.remove(&key);
                            }
                        }
                    }
                    pass.now(input);
                })
                .event(|(standing, active), view, to, event, pass| {
                    let Event::States(mut list) = event else { return pass.now((to, event)) };
                    list.retain(|s| {
                        let key = (to, s.index);
                        if s.state == ACTIVE {
                            active.insert(key);
                        }
                        let stands = resource(view, to, s.index).is_some_and(Resource::needs_call);
                        s.state != DEACTIVATED || !stands || !standing.contains(&key) || active.contains(&key)
                    });
                    if !list.is_empty() {
                        pass.now((to, Event::States(list)));
                    }
                })
                .boxed()
        },
    ),
    row(
        "deactivated-hides-the-rest",
        "SUB-14",
        &[
            ("SUB-02", "updates come although active was not reported"),
            ("SUB-06", "what is hidden never settles"),
            ("SUB-13", "of two that end with a conference one is hidden"),
        ],
        "The loop ends at the first failure.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, mut event, pass| {
                    if let Event::States(list) = &mut event {
                        let failed = |s: &StateOf| s.state == DEACTIVATED && resource(view, to, s.index).is_some();
                        if let Some(at) = list.iter().position(failed) {
                            list.truncate(at + 1);
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "quick-second-request-not-applied",
        "SUB-16",
        &[
            ("SUB-04", "indexes of the earlier request are reported"),
            ("SUB-06", "the later request is not settled"),
            ("SUB-07", "what the later request leaves out goes on"),
            ("SUB-11", "the later request led a subject to another index"),
        ],
        "Requests in quick succession are merged into the first.",
        || {
            Fault::<BTreeMap<ConnectionKey, (Instant, Vec<Wanted>)>>::new()
                .input(|last, view, mut input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &mut input {
                        match last.get(connection) {
                            Some((at, earlier)) if view.now.since(*at) < Duration::from_millis(20) => {
                                wanted.clone_from(earlier);
                            }
                            _ => {
                                last.insert(*connection, (view.now, wanted.clone()));
                            }
                        }
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
];

/// The id under which a request is applied again; its ack is kept back.
const REPEATED: u64 = u64::MAX;

fn repeated(input: Input) -> Input {
    match input {
        Input::Subscribe { connection, wanted, .. } => Input::Subscribe { connection, id: REPEATED, wanted },
        other => other,
    }
}

/// Whether the report of a state is kept, with a memory of connections and instants.
type OnState = fn(&mut BTreeSet<(ConnectionKey, Instant)>, &View<'_>, ConnectionKey, &StateOf) -> bool;

/// A mutant that keeps or drops single reports of states.
fn states(keep: OnState) -> Box<dyn super::super::mutant::Mutant> {
    Box::new(StateFilter { seen: BTreeSet::new(), keep })
}

#[derive(Debug)]
struct StateFilter {
    seen: BTreeSet<(ConnectionKey, Instant)>,
    keep: OnState,
}

impl super::super::mutant::Mutant for StateFilter {
    fn event(
        &mut self,
        view: &View<'_>,
        to: ConnectionKey,
        event: Event,
        pass: &mut super::super::mutant::Pass<(ConnectionKey, Event)>,
    ) {
        let Event::States(mut list) = event else { return pass.now((to, event)) };
        list.retain(|state| (self.keep)(&mut self.seen, view, to, state));
        if !list.is_empty() {
            pass.now((to, Event::States(list)));
        }
    }
}

/// The resource of an index in force.
pub(super) fn resource(view: &View<'_>, to: ConnectionKey, index: u64) -> Option<Resource> {
    Some(view.connection(to)?.subscriptions.get(&index)?.resource)
}

/// The indexes in force whose resource the new set has under another index.
pub(super) fn reindexed(view: &View<'_>, to: ConnectionKey, wanted: &[Wanted]) -> Indexes {
    let Some(connection) = view.connection(to) else { return Indexes::new() };
    let moved = connection.subscriptions.values().filter(|old| {
        let left_out = wanted.iter().all(|entry| entry.index != Some(old.index));
        let elsewhere = wanted.iter().any(|entry| {
            let call = entry.call.as_ref().map(|call| view.world.canonical(call));
            entry.resource == Some(old.resource) && (call == old.call || !old.resource.needs_call())
        });
        left_out && elsewhere
    });
    moved.map(|old| (to, old.index)).collect()
}
