//! Mutants that show only the nth time, only beside something else, or only where two things meet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use super::super::typed::{ConnectionKey, Effect, Event, StateOf};
use super::fault::{Fault, Place, entries};
use super::registry::{Registered, row};
use super::updates::{asked, present};
use crate::protocol::events::{Resource, State, UpdateType};

const AT_REST: (&str, &str) = ("UPD-14", "the value is not that of the API");

pub(super) const MUTANTS: &[Registered] = &[
    row("pending-of-every-fourth-not-reported", "SUB-01", &[], "A full queue drops what is least important.", || {
        Fault::<u64>::new()
            .event(|count, _, to, event, pass| {
                let Event::States(mut list) = event else { return pass.now((to, event)) };
                list.retain(|s| {
                    *count += u64::from(s.state == State::Pending.as_str());
                    s.state != State::Pending.as_str() || !count.is_multiple_of(4)
                });
                if !list.is_empty() {
                    pass.now((to, Event::States(list)));
                }
            })
            .boxed()
    }),
    row(
        "ended-by-request-pending-again",
        "SUB-05",
        &[("SUB-16", "a quick request left it out"), ("MSG-11", "the index is subscribed anew meanwhile")],
        "A timer of the set-up is not stopped when the subscription ends.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, event, pass| {
                    let again: Vec<StateOf> = match &event {
                        Event::States(list) => list
                            .iter()
                            .filter(|s| s.state == State::Deactivated.as_str())
                            .filter(|s| {
                                view.connection(to).is_some_and(|known| !known.subscriptions.contains_key(&s.index))
                            })
                            .map(|s| StateOf::new(s.index, State::Pending))
                            .collect(),
                        _ => Vec::new(),
                    };
                    pass.now((to, event));
                    if !again.is_empty() {
                        pass.later(Duration::from_millis(3), (to, Event::States(again)));
                    }
                })
                .boxed()
        },
    ),
    row("state-of-a-former-client", "SUB-09", &[], "The farewell goes to whoever has the socket now.", || {
        Fault::<u64>::new()
            .effect(|last, _, effect, pass| {
                let newcomer = matches!(effect, Effect::Accept { .. }).then(|| effect.connection()).flatten();
                if let Effect::Message { event: Event::States(list), .. } = &effect
                    && let Some(state) = list.first()
                {
                    *last = state.index;
                }
                pass.now(effect);
                if let Some(connection) = newcomer
                    && *last > 0
                {
                    let event = Event::States(vec![StateOf::new(*last, State::Deactivated)]);
                    pass.later(Duration::from_millis(2), Effect::Message { connection, id: 900_002, event });
                }
            })
            .boxed()
    }),
    row(
        "calls-end-with-any-call",
        "SUB-15",
        &[
            ("SUB-06", "what ended is asked for again and stays so"),
            ("SUB-10", "the set changes at that moment"),
            ("SUB-14", "an unknown call stands beside it"),
        ],
        "One conference is taken for all of them.",
        || {
            Fault::<BTreeSet<(ConnectionKey, u64)>>::new()
                .event(|ended, _, to, event, pass| {
                    if let Event::States(list) = &event {
                        for state in list {
                            ended.remove(&(to, state.index));
                        }
                    }
                    let Event::Update { index, resource: Resource::Calls, entries } = &event else {
                        return pass.now((to, event));
                    };
                    let (index, removal) = (*index, entries.iter().any(|entry| entry.kind == UpdateType::Remove));
                    if ended.contains(&(to, index)) {
                        return;
                    }
                    pass.now((to, event));
                    if removal {
                        ended.insert((to, index));
                        pass.now((to, Event::States(vec![StateOf::new(index, State::Deactivated)])));
                    }
                })
                .boxed()
        },
    ),
    row(
        "ack-of-the-third-request-late",
        "MSG-11",
        &[],
        "A pool of two threads acknowledges; the third waits for one of them.",
        || {
            Fault::<BTreeMap<ConnectionKey, u64>>::new()
                .effect(|seen, _, effect, pass| {
                    if let Effect::Ack { connection, .. } = &effect {
                        let count = seen.entry(*connection).or_default();
                        *count += 1;
                        if *count == 3 {
                            return pass.later(Duration::from_millis(5), effect);
                        }
                    }
                    pass.now(effect);
                })
                .boxed()
        },
    ),
    row(
        "ack-with-the-number-of-a-message",
        "MSG-10",
        &[("MSG-03", "the number may be one that the client used")],
        "Every third ack is made from the wrong counter as well.",
        || {
            Fault::<u64>::new()
                .effect(|count, view, effect, pass| {
                    let mut other = None;
                    if let Effect::Ack { connection, status, .. } = &effect {
                        *count += 1;
                        let sent = view.connection(*connection).map_or(0, |known| known.sent);
                        other = (count.is_multiple_of(3) && sent > 0).then(|| (*connection, sent, status.clone()));
                    }
                    pass.now(effect);
                    if let Some((connection, id, status)) = other {
                        pass.now(Effect::Ack { connection, id, status });
                    }
                })
                .boxed()
        },
    ),
    row(
        "third-entry-of-calls-without-update-type",
        "UPD-02",
        &[AT_REST, ("UPD-03", "an entry that cannot be read is none")],
        "A buffer of entries is cleared but for one member.",
        || {
            Fault::<u64>::new()
                .effect(|count, view, effect, pass| {
                    let Effect::Message { connection, id, event: event @ Event::Update { .. } } = effect else {
                        return pass.now(effect);
                    };
                    let calls = matches!(event, Event::Update { resource: Resource::Calls, .. });
                    *count += u64::from(calls);
                    if !calls || !count.is_multiple_of(3) {
                        return pass.now(Effect::Message { connection, id, event });
                    }
                    let text = super::fault::rewritten(view, id, &event, |message| {
                        let list = message.get_mut("updates").and_then(Value::as_array_mut);
                        if let Some(entry) = list.and_then(|list| list.first_mut()).and_then(Value::as_object_mut) {
                            entry.remove("updateType");
                        }
                    });
                    pass.now(Effect::Text { connection, text });
                })
                .boxed()
        },
    ),
    row("other-mute-state-beside-the-one", "UPD-04", &[], "Both are one word of bits inside.", || {
        entries(|_, view, place, entry| {
            for (one, other) in [("audioMuted", "videoMuted"), ("videoMuted", "audioMuted")] {
                let changed = entry.kind == UpdateType::Update && entry.fields.contains_key(one);
                if changed && asked(view, place, one) && !asked(view, place, other) {
                    let value = present(view, place, entry, other);
                    entry.fields.insert(other.to_owned(), value);
                }
            }
            true
        })
    }),
    row(
        "state-where-none-was-asked",
        "UPD-05",
        &[("UPD-04", "the state was not asked for")],
        "A roster without states is thought useless.",
        || {
            entries(|_, view, place, entry| {
                if place.resource == Resource::CallRoster && entry.kind == UpdateType::Add && none_asked(view, place) {
                    let value = present(view, place, entry, "state");
                    entry.fields.insert("state".to_owned(), value);
                }
                true
            })
        },
    ),
    row(
        "every-fourth-change-told-twice",
        "UPD-06",
        &[],
        "A retry does not see that the first attempt succeeded.",
        || {
            Fault::<u64>::new()
                .event(|count, _, to, event, pass| {
                    if let Event::Update { entries, .. } = &event
                        && entries.iter().all(|entry| entry.kind == UpdateType::Update)
                    {
                        *count += 1;
                        if count.is_multiple_of(4) {
                            pass.now((to, event.clone()));
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row("both-mute-states-told-for-one", "UPD-07", &[], "Both are one word of bits inside.", || {
        entries(|_, view, place, entry| {
            for (one, other) in [("audioMuted", "videoMuted"), ("videoMuted", "audioMuted")] {
                let changed = entry.kind == UpdateType::Update && entry.fields.contains_key(one);
                if changed && asked(view, place, other) && !entry.fields.contains_key(other) {
                    let value = present(view, place, entry, other);
                    entry.fields.insert(other.to_owned(), value);
                }
            }
            true
        })
    }),
    row(
        "unsetting-the-mute-override-sets-it",
        "UPD-11",
        &[AT_REST, ("UPD-06", "true again is no change")],
        "Empty is read as true.",
        || {
            entries(|_, view, _, entry| {
                let unset =
                    view.world.calls.get(&entry.key).is_some_and(|call| call.join_audio_mute_override.is_none());
                if unset && entry.kind == UpdateType::Update && entry.fields.contains_key("joinAudioMuteOverride") {
                    entry.fields.insert("joinAudioMuteOverride".to_owned(), true.into());
                }
                true
            })
        },
    ),
    row(
        "lobby-of-every-second-left-out",
        "UPD-13",
        &[AT_REST],
        "The flag is filled in by the thread that comes second.",
        || {
            entries(|count, _, _, entry| {
                if entry.kind == UpdateType::Add && entry.fields.contains_key("canMoveToLobby") {
                    *count += 1;
                    if count.is_multiple_of(2) {
                        entry.fields.remove("canMoveToLobby");
                    }
                }
                true
            })
        },
    ),
    row(
        "calls-count-stops-at-one",
        "UPD-15",
        &[AT_REST, ("UPD-16", "the count is not that of the other client")],
        "A flag is where a number should be.",
        || {
            entries(|_, _, place, entry| {
                let more = entry.fields.get("participants").and_then(Value::as_u64).is_some_and(|count| count > 1);
                if place.resource == Resource::Calls && more {
                    entry.fields.insert("participants".to_owned(), 1.into());
                }
                true
            })
        },
    ),
    row("one-instance-from-the-second-call-on", "UPD-17", &[AT_REST], "The counter of instances is shared.", || {
        entries(|count, _, _, entry| {
            if entry.fields.contains_key("distributedInstances") {
                *count += 1;
                if *count > 1 {
                    entry.fields.insert("distributedInstances".to_owned(), 1.into());
                }
            }
            true
        })
    }),
];

/// Whether the subscription asked for no element at all.
fn none_asked(view: &super::super::mutant::View<'_>, place: &Place) -> bool {
    let known = view.connection(place.connection).and_then(|known| known.subscriptions.get(&place.index));
    known.is_some_and(|known| known.asked.is_empty())
}
