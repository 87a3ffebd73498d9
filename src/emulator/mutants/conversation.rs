//! Mutants of frames, acks and ids that show only now and then (WS-02, MSG), and of what two subscriptions or two
//! clients are told (UPD-05, UPD-16, UPD-18).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use serde_json::Value;

use super::super::mutant::{Mutant, Pass, Question, View};
use super::super::typed::{ConnectionKey, Effect, Entry, Event, Input, Oddity};
use super::super::values::{Count, Reaction};
use super::fault::{Fault, entries, text_of};
use super::registry::{Registered, row};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Resource, UpdateType};
use crate::protocol::ws::frame::{Header, Opcode};

const AT_REST: (&str, &str) = ("UPD-14", "the value is not that of the API");

pub(super) const MUTANTS: &[Registered] = &[
    row("last-fragment-empty", "WS-02", &[], "The writer learns of the end when nothing is left.", || {
        fragments(9, |text| vec![text, Vec::new()])
    }),
    row("three-fragments-now-and-then", "WS-02", &[], "A name is written by a writer of its own.", || {
        fragments(7, |mut text| {
            let mut rest = text.split_off(text.len() / 3);
            let last = rest.split_off(rest.len() / 2);
            vec![text, rest, last]
        })
    }),
    row("lists-in-fragments", "WS-02", &[], "Each entry of a list is flushed.", || {
        Fault::<()>::new()
            .effect(|(), view, effect, pass| match &effect {
                Effect::Message { connection, id, event: event @ Event::Update { entries, .. } }
                    if entries.len() > 1 =>
                {
                    let mut text = text_of(view, *id, event).into_bytes();
                    let rest = text.split_off(text.len() - 3);
                    in_frames(*connection, vec![text, rest], pass);
                }
                _ => pass.now(effect),
            })
            .boxed()
    }),
    row("success-for-the-second-unknown", "MSG-05", &[], "The error flag is cleared by the first report.", || {
        success_for(|count| *count == 2)
    }),
    row("success-for-what-lacks-its-type", "MSG-05", &[], "A message without a type is the default one.", || {
        Fault::<(BTreeSet<(ConnectionKey, u64)>, BTreeSet<ConnectionKey>)>::new()
            .settings(|s| s.on_unknown_message = Reaction::Refuse)
            .input(|(odd, known), view, input, pass| {
                if let Input::Odd { connection, what: Oddity::UnknownMessage, id: Some(id) } = &input
                    && view.connection(*connection).is_some_and(|open| open.requests == 0)
                    && known.insert(*connection)
                {
                    odd.insert((*connection, *id));
                }
                pass.now(input);
            })
            .effect(|(odd, _), _, mut effect, pass| {
                if let Effect::Ack { connection, id, status } = &mut effect
                    && odd.remove(&(*connection, *id))
                {
                    SUCCESS.clone_into(status);
                }
                pass.now(effect);
            })
            .boxed()
    }),
    row("window-for-the-first-client-only", "MSG-07", &[], "The window is a property of the process.", || {
        Fault::<()>::new()
            .decide(|(), q, answer| match q {
                Question::IsHeldBack { connection, .. } => answer && *connection == ConnectionKey(1),
                _ => answer,
            })
            .boxed()
    }),
    row(
        "window-given-up-after-the-tenth",
        "MSG-07",
        &[],
        "A client that is slow is thought to need no window.",
        || {
            Fault::<BTreeMap<ConnectionKey, u64>>::new()
                .decide(|held, q, answer| match q {
                    Question::IsHeldBack { connection, .. } => {
                        let count = held.entry(*connection).or_default();
                        *count = if answer { *count + 1 } else { 0 };
                        answer && *count < 10
                    }
                    _ => answer,
                })
                .boxed()
        },
    ),
    row("window-for-calls-only", "MSG-07", &[], "Only the list of conferences was thought to be busy.", || {
        Fault::<BTreeMap<ConnectionKey, bool>>::new()
            .input(|other, _, input, pass| {
                if let Input::Subscribe { connection, wanted, .. } = &input {
                    other.insert(*connection, wanted.iter().any(|entry| entry.resource == Some(Resource::CallInfo)));
                }
                pass.now(input);
            })
            .decide(|other, q, answer| match q {
                Question::IsHeldBack { connection, .. } => answer && other.get(connection) != Some(&true),
                _ => answer,
            })
            .boxed()
    }),
    row("ids-of-states-and-updates-apart", "MSG-09", &[], "Two writers have a counter each.", || {
        renumbered(|numbers, event| {
            let which = usize::from(matches!(event, Event::Update { .. }));
            numbers[which] += 1;
            numbers[which]
        })
    }),
    row("ids-in-two-bits", "MSG-09", &[], "The id is an index into a small table.", || {
        renumbered(|numbers, _| {
            numbers[0] = numbers[0] % 3 + 1;
            numbers[0]
        })
    }),
    row("ids-start-over-with-the-index", "MSG-09", &[], "Every subscription counts its own messages.", || {
        renumbered(|numbers, event| {
            let which = match event {
                Event::Update { index, .. } => usize::try_from(*index % 8).unwrap_or_default(),
                _ => 0,
            };
            numbers[which] += 1;
            numbers[which]
        })
    }),
    row(
        "name-changes-told-where-none-was-asked",
        "UPD-05",
        &[("UPD-04", "the name was not asked for"), ("UPD-06", "the name was not asked for")],
        "A name is part of what identifies the entry.",
        || {
            Fault::<BTreeSet<(ConnectionKey, u64)>>::new()
                .input(|bare, _, input, pass| {
                    if let Input::Subscribe { connection, wanted, .. } = &input {
                        bare.retain(|(key, _)| key != connection);
                        let meant = wanted.iter().filter(|entry| entry.elements.is_empty());
                        bare.extend(meant.filter_map(|entry| Some((*connection, entry.index?))));
                    }
                    pass.now(input);
                })
                .decide(|bare, q, answer| match q {
                    Question::IsReported { connection, index, element: "name", .. } => {
                        answer || bare.contains(&(*connection, *index))
                    }
                    _ => answer,
                })
                .event(|bare, _, to, mut event, pass| {
                    if let Event::Update { index, entries, .. } = &mut event
                        && bare.contains(&(to, *index))
                    {
                        let adds = entries.iter_mut().filter(|entry| entry.kind == UpdateType::Add);
                        adds.for_each(|entry| drop(entry.fields.remove("name")));
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row("count-in-every-second-bare-add", "UPD-05", &[], "The count is filled in when it is at hand.", || {
        entries(|count, view, place, entry| {
            let known = view.connection(place.connection).and_then(|known| known.subscriptions.get(&place.index));
            let bare = known.is_some_and(|known| known.asked.is_empty());
            if bare && place.resource == Resource::Calls && entry.kind == UpdateType::Add {
                *count += 1;
                if count.is_multiple_of(2) {
                    let value = view.element(place.resource, &entry.key, "participants").unwrap_or_default();
                    entry.fields.insert("participants".to_owned(), value);
                }
            }
            true
        })
    }),
    row(
        "second-client-told-in-another-order",
        "UPD-16",
        &[AT_REST, ("UPD-03", "what is told late is told of what went")],
        "Names come by way of another queue than the lock.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, event, pass| {
                    let named = match &event {
                        Event::Update { entries, .. } => entries
                            .iter()
                            .all(|entry| entry.kind == UpdateType::Update && entry.fields.contains_key("name")),
                        _ => false,
                    };
                    if named && is_later(view, to) {
                        return pass.later(Duration::from_millis(60), (to, event));
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row("second-client-misses-the-lock", "UPD-16", &[], "The lock is told to who may change it.", || {
        lost_for_later(&["lockState"])
    }),
    row(
        "second-client-misses-the-mute-states",
        "UPD-16",
        &[],
        "The load of many clients is saved by leaving out what changes often.",
        || lost_for_later(&["audioMuted", "videoMuted"]),
    ),
    row(
        "correlators-of-two-ad-hoc-calls-shared",
        "UPD-18",
        &[],
        "Ad hoc calls take one from a pool that is filled too slowly.",
        || {
            Fault::<(Vec<String>, Option<String>)>::new()
                .event(|(seen, shared), view, to, mut event, pass| {
                    if let Event::Update { entries, .. } = &mut event {
                        for entry in entries {
                            share_correlator(seen, shared, view, entry);
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "correlator-of-a-space-is-new-after-a-break",
        "UPD-18",
        &[AT_REST],
        "The correlator goes with the last call of the coSpace.",
        || {
            entries(|_, view, _, entry| {
                let call = view.world.calls.get(&entry.key);
                let again = call.is_some_and(|call| {
                    let older = view.world.calls.values().filter(|other| other.co_space == call.co_space);
                    call.co_space.is_some() && call.created > 1 && older.count() == 1
                });
                if again && entry.fields.contains_key("callCorrelator") {
                    entry.fields.insert("callCorrelator".to_owned(), entry.key.as_str().into());
                }
                true
            })
        },
    ),
];

fn is_later(view: &View<'_>, to: ConnectionKey) -> bool {
    view.connections.keys().next().is_some_and(|first| *first < to)
}

/// A mutant that never tells later clients of changes of some elements.
fn lost_for_later(elements: &'static [&'static str]) -> Box<dyn Mutant> {
    Fault::<&'static [&'static str]>::new()
        .event(|elements, view, to, mut event, pass| {
            if let Event::Update { entries, .. } = &mut event
                && is_later(view, to)
            {
                entries.retain_mut(|entry| {
                    if entry.kind != UpdateType::Update {
                        return true;
                    }
                    entry.fields.retain(|name, _| !elements.contains(&name.as_str()));
                    !entry.fields.is_empty()
                });
                if entries.is_empty() {
                    return;
                }
            }
            pass.now((to, event));
        })
        .with(elements)
        .boxed()
}

/// Gives the second ad hoc call the correlator of the first.
fn share_correlator(seen: &mut Vec<String>, shared: &mut Option<String>, view: &View<'_>, entry: &mut Entry) {
    let ad_hoc = view.world.calls.get(&entry.key).is_some_and(|call| call.co_space.is_none());
    let Some(Value::String(text)) = entry.fields.get("callCorrelator").filter(|_| ad_hoc) else { return };
    if !seen.contains(&entry.key) {
        seen.push(entry.key.clone());
    }
    if seen.first() == Some(&entry.key) {
        *shared = Some(text.clone());
    } else if seen.get(1) == Some(&entry.key)
        && let Some(shared) = shared
    {
        entry.fields.insert("callCorrelator".to_owned(), shared.as_str().into());
    }
}

type Cut = fn(Vec<u8>) -> Vec<Vec<u8>>;

/// A mutant that sends every nth message in several frames.
fn fragments(every: u64, cut: Cut) -> Box<dyn Mutant> {
    Fault::<(u64, u64, Option<Cut>)>::new()
        .effect(|(count, every, cut), view, effect, pass| {
            let (Effect::Message { connection, id, event }, Some(cut)) = (&effect, cut) else {
                return pass.now(effect);
            };
            *count += 1;
            if !count.is_multiple_of(*every) {
                return pass.now(effect);
            }
            in_frames(*connection, cut(text_of(view, *id, event).into_bytes()), pass);
        })
        .with((0, every, Some(cut)))
        .boxed()
}

fn in_frames(connection: ConnectionKey, parts: Vec<Vec<u8>>, pass: &mut Pass<Effect>) {
    let last = parts.len().saturating_sub(1);
    for (at, payload) in parts.into_iter().enumerate() {
        let opcode = if at == 0 { Opcode::TEXT } else { Opcode::CONTINUATION };
        let header = Header { fin: at == last, ..Header::new(opcode, payload.len() as u64) };
        pass.now(Effect::Frame { connection, header, payload });
    }
}

type IsThisOne = fn(&u64) -> bool;

/// A mutant that acknowledges some messages of unknown type with success, by their number on the connection.
fn success_for(which: IsThisOne) -> Box<dyn Mutant> {
    Fault::<(BTreeMap<ConnectionKey, u64>, BTreeSet<(ConnectionKey, u64)>, Option<IsThisOne>)>::new()
        .settings(|s| s.on_unknown_message = Reaction::Refuse)
        .input(|(counts, odd, which), _, input, pass| {
            if let Input::Odd { connection, what: Oddity::UnknownMessage, id: Some(id) } = &input {
                let count = counts.entry(*connection).or_default();
                *count += 1;
                if which.is_some_and(|which| which(count)) {
                    odd.insert((*connection, *id));
                }
            }
            pass.now(input);
        })
        .effect(|(_, odd, _), _, mut effect, pass| {
            if let Effect::Ack { connection, id, status } = &mut effect
                && odd.remove(&(*connection, *id))
            {
                SUCCESS.clone_into(status);
            }
            pass.now(effect);
        })
        .with((BTreeMap::new(), BTreeSet::new(), Some(which)))
        .boxed()
}

/// The next id, from the counters of the connection.
type NextId = fn(&mut [u64; 8], &Event) -> u64;

#[derive(Debug, Default)]
struct Renumbering {
    next: Option<NextId>,
    counters: BTreeMap<ConnectionKey, [u64; 8]>,
    /// The ids of the core, by connection and id on the wire, oldest first.
    open: BTreeMap<(ConnectionKey, u64), VecDeque<u64>>,
}

/// A mutant with ids of its own, and a window of eight.
fn renumbered(next: NextId) -> Box<dyn Mutant> {
    Fault::<Renumbering>::new()
        .settings(|s| s.window = Count::Of(8))
        .effect(|state, _, mut effect, pass| {
            if let (Effect::Message { connection, id, event }, Some(next)) = (&mut effect, state.next) {
                let wire = next(state.counters.entry(*connection).or_default(), event);
                state.open.entry((*connection, wire)).or_default().push_back(*id);
                *id = wire;
            }
            pass.now(effect);
        })
        .input(|state, _, mut input, pass| {
            if let Input::Acked { connection, id: Some(id), .. } = &mut input
                && let Some(core) = state.open.get_mut(&(*connection, *id)).and_then(VecDeque::pop_front)
            {
                *id = core;
            }
            pass.now(input);
        })
        .with(Renumbering { next: Some(next), ..Renumbering::default() })
        .boxed()
}
