//! Mutants of the values of elements (UPD-08 to UPD-13, UPD-17, UPD-18).

use serde_json::Value;

use super::super::typed::Input;
use super::fault::{Fault, entries};
use super::registry::{Registered, row};
use crate::protocol::events::{Resource, UpdateType};

const AT_REST: (&str, &str) = ("UPD-14", "the value is not that of the API");
const DOMAIN: (&str, &str) = ("UPD-08", "the value lies outside of its domain");

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "participants-below-zero",
        "UPD-08",
        &[AT_REST, ("UPD-15", "the count is wrong")],
        "A counter is lowered twice.",
        || {
            entries(|_, _, _, entry| {
                if entry.kind == UpdateType::Update && entry.fields.get("participants") == Some(&0.into()) {
                    entry.fields.insert("participants".to_owned(), (-1).into());
                }
                true
            })
        },
    ),
    row(
        "state-with-capital",
        "UPD-08",
        &[AT_REST, ("UPD-15", "who is connected cannot be told")],
        "The name of an enumeration is printed.",
        || entries(|_, _, _, entry| replace(&mut entry.fields, "state", "connected", "Connected")),
    ),
    row(
        "correlator-without-hyphens",
        "UPD-08",
        &[AT_REST, ("UPD-18", "the correlator is no GUID")],
        "GUIDs are written in their short form.",
        || {
            entries(|_, _, _, entry| {
                if let Some(Value::String(text)) = entry.fields.get_mut("callCorrelator") {
                    text.retain(|c| c != '-');
                }
                true
            })
        },
    ),
    row("layout-of-its-own", "UPD-08", &[AT_REST], "A new layout has no word yet.", || {
        entries(|_, _, _, entry| replace(&mut entry.fields, "layout", "stacked", "custom"))
    }),
    row("call-info-speaks-as-calls", "UPD-09", &[DOMAIN, AT_REST], "Both resources share one table of words.", || {
        entries(|_, _, place, entry| {
            place.resource != Resource::CallInfo || replace(&mut entry.fields, "lockState", "unlocked", "notLocked")
        })
    }),
    row("calls-speak-as-call-info", "UPD-09", &[DOMAIN, AT_REST], "Both resources share one table of words.", || {
        entries(|_, _, place, entry| {
            place.resource != Resource::Calls || replace(&mut entry.fields, "lockState", "notLocked", "unlocked")
        })
    }),
    row(
        "unlocked-again-in-the-wrong-words",
        "UPD-09",
        &[DOMAIN, AT_REST],
        "The change is written by another function than the first notice.",
        || {
            entries(|_, _, place, entry| {
                place.resource != Resource::Calls
                    || entry.kind != UpdateType::Update
                    || replace(&mut entry.fields, "lockState", "notLocked", "unlocked")
            })
        },
    ),
    row("importance-zero-when-unset", "UPD-10", &[AT_REST], "A number has no way to be missing.", || {
        entries(|_, _, _, entry| {
            if entry.fields.get("importance").is_some_and(Value::is_null) {
                entry.fields.insert("importance".to_owned(), 0.into());
            }
            true
        })
    }),
    row("importance-as-empty-text", "UPD-10", &[DOMAIN, AT_REST], "The value is taken from the form as it is.", || {
        entries(|_, _, _, entry| {
            if entry.kind == UpdateType::Update && entry.fields.get("importance").is_some_and(Value::is_null) {
                entry.fields.insert("importance".to_owned(), "".into());
            }
            true
        })
    }),
    row(
        "unsetting-importance-not-reported",
        "UPD-10",
        &[AT_REST],
        "Null members are left out by the serializer.",
        || {
            entries(|_, _, _, entry| {
                if entry.kind == UpdateType::Update && entry.fields.get("importance").is_some_and(Value::is_null) {
                    entry.fields.remove("importance");
                    return !entry.fields.is_empty();
                }
                true
            })
        },
    ),
    row("mute-override-null", "UPD-11", &[DOMAIN, AT_REST], "What is not set is sent as it is stored.", || {
        unset_override(Value::Null)
    }),
    row("mute-override-true", "UPD-11", &[AT_REST], "The default was turned round.", || unset_override(true.into())),
    row("moved-participant-left-out", "UPD-12", &[AT_REST], "The link is set after the first notice.", || {
        entries(|_, _, _, entry| {
            entry.fields.remove("movedParticipant");
            true
        })
    }),
    row("moved-participant-names-itself", "UPD-12", &[AT_REST], "The new GUID is written into both fields.", || {
        entries(|_, _, _, entry| {
            if entry.fields.contains_key("movedParticipant") {
                entry.fields.insert("movedParticipant".to_owned(), entry.key.as_str().into());
            }
            true
        })
    }),
    row(
        "moved-participant-on-everybody",
        "UPD-12",
        &[AT_REST],
        "The field is filled with the participant's own GUID by default.",
        || {
            entries(|_, view, place, entry| {
                let known = view.connection(place.connection).and_then(|known| known.subscriptions.get(&place.index));
                let wanted = known.is_some_and(|known| known.asked.contains("movedParticipant"));
                if wanted && entry.kind == UpdateType::Add && !entry.fields.contains_key("movedParticipant") {
                    entry.fields.insert("movedParticipant".to_owned(), entry.key.as_str().into());
                }
                true
            })
        },
    ),
    row("lobby-left-out", "UPD-13", &[AT_REST], "The element is behind a feature switch.", || {
        entries(|_, _, _, entry| {
            entry.fields.remove("canMoveToLobby");
            entry.kind != UpdateType::Update || !entry.fields.is_empty()
        })
    }),
    row(
        "lobby-refused",
        "UPD-13",
        &[("MSG-04", "a well-formed request is refused"), ("SUB-06", "a refused request does not settle")],
        "The list of elements is that of an older release.",
        || {
            Fault::<()>::new()
                .input(|(), _, mut input, pass| {
                    if let Input::Subscribe { wanted, .. } = &mut input
                        && let Some(entry) =
                            wanted.iter_mut().find(|entry| entry.elements.iter().any(|e| e == "canMoveToLobby"))
                    {
                        entry.index = None;
                    }
                    pass.now(input);
                })
                .boxed()
        },
    ),
    row("one-instance-of-itself", "UPD-17", &[AT_REST], "A server counts itself.", || {
        entries(|_, _, _, entry| set_number(&mut entry.fields, "distributedInstances", 1))
    }),
    row("one-instance-in-call-info", "UPD-17", &[AT_REST], "One of two places was corrected.", || {
        entries(|_, _, place, entry| {
            place.resource != Resource::CallInfo || set_number(&mut entry.fields, "distributedInstances", 1)
        })
    }),
    row("correlator-per-call", "UPD-18", &[AT_REST], "The correlator is made with the call.", || {
        entries(|_, _, _, entry| {
            if entry.fields.contains_key("callCorrelator") {
                entry.fields.insert("callCorrelator".to_owned(), entry.key.as_str().into());
            }
            true
        })
    }),
    row("correlator-of-the-bridge", "UPD-18", &[AT_REST], "Ad hoc calls take a default that is drawn once.", || {
        entries(|_, view, _, entry| {
            let ad_hoc = view.world.calls.get(&entry.key).is_some_and(|call| call.co_space.is_none());
            if ad_hoc && entry.fields.contains_key("callCorrelator") {
                entry.fields.insert("callCorrelator".to_owned(), view.world.bridge.as_str().into());
            }
            true
        })
    }),
];

/// `joinAudioMuteOverride` has that value where it is not set.
fn unset_override(value: Value) -> Box<dyn super::super::mutant::Mutant> {
    if value.is_null() {
        entries(|_, view, _, entry| set_override(view, entry, &Value::Null))
    } else {
        entries(|_, view, _, entry| set_override(view, entry, &Value::Bool(true)))
    }
}

fn set_override(view: &super::super::mutant::View<'_>, entry: &mut super::super::typed::Entry, value: &Value) -> bool {
    let unset = view.world.calls.get(&entry.key).is_some_and(|call| call.join_audio_mute_override.is_none());
    if unset && entry.fields.contains_key("joinAudioMuteOverride") {
        entry.fields.insert("joinAudioMuteOverride".to_owned(), value.clone());
    }
    true
}

/// Replaces a text by another; always true.
fn replace(fields: &mut serde_json::Map<String, Value>, name: &str, old: &str, new: &str) -> bool {
    if fields.get(name) == Some(&old.into()) {
        fields.insert(name.to_owned(), new.into());
    }
    true
}

/// Sets a number where the element is there; always true.
fn set_number(fields: &mut serde_json::Map<String, Value>, name: &str, number: u64) -> bool {
    if fields.contains_key(name) {
        fields.insert(name.to_owned(), number.into());
    }
    true
}
