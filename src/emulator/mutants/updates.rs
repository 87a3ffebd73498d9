//! Mutants of the shape and sequence of updates (UPD-01 to UPD-07, UPD-14 to UPD-16, UPD-19).

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::mutant::{Question, View};
use super::super::typed::{ConnectionKey, Effect, Entry, Event};
use super::fault::{Fault, Place, entries, rewritten};
use super::registry::{Registered, row};
use crate::protocol::events::{Resource, State, UpdateType};
use crate::time::Instant;

const AT_REST: (&str, &str) = ("UPD-14", "what is lost is missing at rest");
const COUNTS: (&str, &str) = ("UPD-15", "what is lost is missing in the count");
const SEQUENCE: (&str, &str) = ("UPD-16", "what is lost for one client is seen by another");

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "index-missing-in-call-info",
        "UPD-01",
        &[AT_REST, COUNTS],
        "There is one subscription of that kind in most tests.",
        || {
            Fault::<()>::new()
                .effect(|(), view, e, pass| {
                    pass.now(reshaped(view, e, Resource::CallInfo, |m| drop(m.remove("subscriptionIndex"))));
                })
                .boxed()
        },
    ),
    row(
        "roster-under-another-type",
        "UPD-01",
        &[AT_REST, COUNTS, ("UPD-19", "nothing is announced under the right type")],
        "The type is made from the resource's name.",
        || {
            Fault::<()>::new()
                .effect(|(), view, e, pass| {
                    pass.now(reshaped(view, e, Resource::CallRoster, |m| {
                        m.insert("type".to_owned(), "callRosterUpdate".into());
                    }));
                })
                .boxed()
        },
    ),
    row("call-info-as-a-list", "UPD-01", &[AT_REST, COUNTS], "All updates share one writer.", || {
        Fault::<()>::new()
            .effect(|(), view, e, pass| {
                pass.now(reshaped(view, e, Resource::CallInfo, |m| {
                    let info = m.remove("callInfo").unwrap_or_default();
                    m.insert("updates".to_owned(), Value::Array(vec![info]));
                }));
            })
            .boxed()
    }),
    row(
        "entry-without-its-call",
        "UPD-02",
        &[AT_REST, ("UPD-03", "what cannot be told apart cannot be followed")],
        "The id is left out where the name says it.",
        || Fault::<()>::new().effect(|(), view, e, pass| pass.now(without(view, e, "call", |_| true))).boxed(),
    ),
    row(
        "removal-without-update-type",
        "UPD-02",
        &[AT_REST, ("UPD-03", "a removal that cannot be read is none")],
        "The last entry is written by the clean-up.",
        || {
            Fault::<()>::new()
                .effect(|(), view, e, pass| {
                    pass.now(without(view, e, "updateType", |entry| entry.get("updateType") == Some(&"remove".into())));
                })
                .boxed()
        },
    ),
    row(
        "update-before-add",
        "UPD-03",
        &[("UPD-19", "what stands is not added"), ("SUB-11", "the new index announces by update")],
        "The first notice of the second conference races with its first change.",
        || {
            entries(|count, _, place, entry| {
                if place.resource != Resource::CallInfo && entry.kind == UpdateType::Add {
                    *count += 1;
                    if count.is_multiple_of(2) {
                        entry.kind = UpdateType::Update;
                    }
                }
                true
            })
        },
    ),
    row(
        "added-twice",
        "UPD-03",
        &[("SUB-10", "the retry falls into a change of the set")],
        "A retry after a change of state.",
        || {
            Fault::<u64>::new()
                .event(|count, _, to, event, pass| {
                    if let Event::Update { resource, entries, .. } = &event
                        && *resource != Resource::CallInfo
                        && entries.iter().any(|entry| entry.kind == UpdateType::Add)
                    {
                        *count += 1;
                        if count.is_multiple_of(3) {
                            pass.now((to, event.clone()));
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row("update-after-remove", "UPD-03", &[], "The change that removes is also reported as a change.", || {
        Fault::<()>::new()
            .event(|(), _, to, event, pass| {
                let after = match &event {
                    Event::Update { index, resource: resource @ Resource::CallRoster, entries } => {
                        let gone = entries.iter().filter(|entry| entry.kind == UpdateType::Remove);
                        let entries: Vec<Entry> = gone
                            .map(|gone| Entry { kind: UpdateType::Update, fields: Default::default(), ..gone.clone() })
                            .collect();
                        (entries.len() == 1).then_some(Event::Update { index: *index, resource: *resource, entries })
                    }
                    _ => None,
                };
                pass.now((to, event));
                if let Some(after) = after {
                    pass.now((to, after));
                }
            })
            .boxed()
    }),
    row(
        "unasked-element-in-adds",
        "UPD-04",
        &[("UPD-05", "none were asked for at all")],
        "The first notice is made from a template.",
        || {
            entries(|_, view, place, entry| {
                let element = if place.resource == Resource::CallRoster { "direction" } else { "callType" };
                if entry.kind == UpdateType::Add && !asked(view, place, element) {
                    entry.fields.insert(element.to_owned(), present(view, place, entry, element));
                }
                true
            })
        },
    ),
    row(
        "unasked-element-beside-changes",
        "UPD-04",
        &[],
        "Name and number of participants are always sent together.",
        || {
            entries(|_, view, place, entry| {
                let changed = entry.kind == UpdateType::Update && entry.fields.contains_key("participants");
                if changed && !asked(view, place, "name") {
                    entry.fields.insert("name".to_owned(), present(view, place, entry, "name"));
                }
                true
            })
        },
    ),
    row(
        "defaults-where-none-were-asked",
        "UPD-05",
        &[("UPD-04", "the name was not asked for")],
        "No list is taken for the default list.",
        || {
            entries(|_, view, place, entry| {
                let none = subscription(view, place).is_some_and(|known| known.asked.is_empty());
                if none && entry.kind == UpdateType::Add {
                    entry.fields.insert("name".to_owned(), present(view, place, entry, "name"));
                }
                true
            })
        },
    ),
    row(
        "any-change-triggers",
        "UPD-06",
        &[("UPD-05", "an empty update tells nothing")],
        "Changes are noticed before they are filtered.",
        || {
            Fault::<()>::new()
                .decide(|(), q, answer| answer || matches!(q, Question::IsReported { .. }))
                .event(|(), view, to, mut event, pass| {
                    if let Event::Update { index, resource, entries } = &mut event {
                        let place = Place { connection: to, index: *index, resource: *resource };
                        for entry in entries {
                            entry.fields.retain(|name, _| name == "reason" || asked(view, &place, name));
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
    row(
        "lock-always-triggers",
        "UPD-06",
        &[("UPD-04", "the lock was not asked for"), ("UPD-05", "the lock was not asked for")],
        "The lock is taken for essential.",
        || {
            Fault::<()>::new()
                .decide(|(), q, answer| answer || matches!(q, Question::IsReported { element: "lockState", .. }))
                .boxed()
        },
    ),
    row("everything-repeated", "UPD-07", &[], "The whole entry is sent when a part changes.", || {
        entries(|_, view, place, entry| {
            let Some(known) = subscription(view, place).filter(|_| entry.kind == UpdateType::Update) else {
                return true;
            };
            for element in &known.elements {
                if let Some(value) = view.element(place.resource, &entry.key, element) {
                    entry.fields.insert(element.clone(), value);
                }
            }
            true
        })
    }),
    row("name-repeated", "UPD-07", &[], "A name makes logs readable.", || {
        entries(|_, view, place, entry| {
            if entry.kind == UpdateType::Update && asked(view, place, "name") && !entry.fields.contains_key("name") {
                entry.fields.insert("name".to_owned(), present(view, place, entry, "name"));
            }
            true
        })
    }),
    row(
        "third-change-lost",
        "UPD-14",
        &[
            COUNTS,
            SEQUENCE,
            ("SUB-10", "a kept subscription loses it too"),
            ("UPD-07", "what is told again after the change between was lost looks repeated"),
        ],
        "A ring of events overwrites.",
        || {
            entries(|count, _, _, entry| {
                *count += u64::from(entry.kind == UpdateType::Update);
                entry.kind != UpdateType::Update || !count.is_multiple_of(3)
            })
        },
    ),
    row("second-of-two-changes-lost", "UPD-14", &[SEQUENCE], "One change per entry is kept.", || {
        entries(|_, _, _, entry| {
            if entry.kind == UpdateType::Update && entry.fields.len() > 1 {
                let first = entry.fields.iter().next().map(|(name, value)| (name.clone(), value.clone()));
                entry.fields = first.into_iter().collect();
            }
            true
        })
    }),
    row(
        "removal-of-roster-lost",
        "UPD-14",
        &[COUNTS, SEQUENCE],
        "Who hangs up first is forgotten before it is reported.",
        || entries(|_, _, place, entry| place.resource != Resource::CallRoster || entry.kind != UpdateType::Remove),
    ),
    row("call-info-counts-one-more", "UPD-15", &[AT_REST], "The server's own leg is counted in one place.", || {
        entries(|_, _, place, entry| {
            if place.resource == Resource::CallInfo
                && let Some(count) = entry.fields.get("participants").and_then(Value::as_u64)
            {
                entry.fields.insert("participants".to_owned(), (count + 1).into());
            }
            true
        })
    }),
    row("calls-count-not-lowered", "UPD-15", &[AT_REST, SEQUENCE], "Leaving is reported by the roster alone.", || {
        Fault::<std::collections::BTreeMap<String, u64>>::new()
            .event(|counts, _, to, mut event, pass| {
                if let Event::Update { index, resource: Resource::Calls, entries } = &mut event {
                    entries.retain_mut(|entry| {
                        let Some(count) = entry.fields.get("participants").and_then(Value::as_u64) else { return true };
                        let highest = counts.entry(format!("{}/{index}/{}", to.0, entry.key)).or_insert(count);
                        if count < *highest {
                            entry.fields.remove("participants");
                        }
                        *highest = count.max(*highest);
                        entry.kind != UpdateType::Update || !entry.fields.is_empty()
                    });
                    if entries.is_empty() {
                        return;
                    }
                }
                pass.now((to, event));
            })
            .boxed()
    }),
    row("second-client-misses-ringing", "UPD-16", &[], "Clients are served from snapshots of different age.", || {
        entries(|_, view, place, entry| {
            let later = view.connections.keys().next().is_some_and(|first| *first < place.connection);
            !(later && entry.kind == UpdateType::Update && entry.fields.get("state") == Some(&"ringing".into()))
        })
    }),
    row(
        "second-client-sees-speakers-late",
        "UPD-16",
        &[AT_REST],
        "The load of many clients is saved by sampling.",
        || {
            entries(|count, view, place, entry| {
                let later = view.connections.keys().next().is_some_and(|first| *first < place.connection);
                if later && entry.kind == UpdateType::Update && entry.fields.contains_key("activeSpeaker") {
                    *count += 1;
                    return count.is_multiple_of(2);
                }
                true
            })
        },
    ),
    row(
        "standing-calls-not-announced",
        "UPD-19",
        &[AT_REST, ("UPD-03", "what was never added is changed"), ("SUB-11", "the new index announces nothing")],
        "Only what begins later is an event.",
        || standing(Resource::Calls),
    ),
    row(
        "standing-participants-not-announced",
        "UPD-19",
        &[
            AT_REST,
            COUNTS,
            ("UPD-03", "what was never added is changed"),
            ("SUB-11", "the new index announces nothing"),
        ],
        "The roster is thought to be read over the API.",
        || standing(Resource::CallRoster),
    ),
    row(
        "standing-announced-but-the-last",
        "UPD-19",
        &[
            AT_REST,
            COUNTS,
            ("UPD-03", "what was never added is changed"),
            ("SUB-11", "the new index announces less than stands"),
            ("LIM-06", "less than stands is announced after a request beyond the limit"),
        ],
        "The loop ends one too early.",
        || {
            Fault::<()>::new()
                .event(|(), _, to, mut event, pass| {
                    if let Event::Update { entries, .. } = &mut event
                        && entries.len() > 1
                        && entries.iter().all(|entry| entry.kind == UpdateType::Add)
                    {
                        entries.pop();
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
];

/// The element's present value, null where there is none.
pub(super) fn present(view: &View<'_>, place: &Place, entry: &Entry, element: &str) -> Value {
    view.element(place.resource, &entry.key, element).unwrap_or_default()
}

fn subscription<'v>(view: &View<'v>, place: &Place) -> Option<&'v super::super::Subscription> {
    view.connection(place.connection)?.subscriptions.get(&place.index)
}

pub(super) fn asked(view: &View<'_>, place: &Place, element: &str) -> bool {
    subscription(view, place).is_some_and(|known| known.asked.contains(element))
}

/// A message of that resource as a text with its inner object changed; anything else as it is.
fn reshaped(
    view: &View<'_>,
    effect: Effect,
    wanted: Resource,
    change: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> Effect {
    match effect {
        Effect::Message { connection, id, event: event @ Event::Update { resource, .. } } if resource == wanted => {
            Effect::Text { connection, text: rewritten(view, id, &event, change) }
        }
        other => other,
    }
}

/// A message of `calls` with a member of some entries left out; untouched where no entry is meant.
fn without(
    view: &View<'_>,
    effect: Effect,
    member: &str,
    meant: fn(&serde_json::Map<String, Value>) -> bool,
) -> Effect {
    reshaped(view, effect, Resource::Calls, |message| {
        let Some(list) = message.get_mut("updates").and_then(Value::as_array_mut) else { return };
        for entry in list.iter_mut().filter_map(Value::as_object_mut).filter(|entry| meant(entry)) {
            entry.remove(member);
        }
    })
}

type Standing = BTreeSet<(ConnectionKey, u64, Instant)>;

/// A mutant that announces nothing of what stands when a subscription to that resource becomes active.
fn standing(resource: Resource) -> Box<dyn super::super::mutant::Mutant> {
    let fault = Fault::<Standing>::new();
    match resource {
        Resource::Calls => fault.event(|seen, view, to, event, pass| {
            if !is_standing(seen, view, to, &event, Resource::Calls) {
                pass.now((to, event));
            }
        }),
        _ => fault.event(|seen, view, to, event, pass| {
            if !is_standing(seen, view, to, &event, Resource::CallRoster) {
                pass.now((to, event));
            }
        }),
    }
    .boxed()
}

fn is_standing(seen: &mut Standing, view: &View<'_>, to: ConnectionKey, event: &Event, meant: Resource) -> bool {
    match event {
        Event::States(list) => {
            let active = list.iter().filter(|s| s.state == State::Active.as_str());
            seen.extend(active.map(|s| (to, s.index, view.now)));
            false
        }
        Event::Update { index, resource, .. } => *resource == meant && seen.contains(&(to, *index, view.now)),
        Event::Other(_) => false,
    }
}
