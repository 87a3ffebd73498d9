//! Mutants of each element of events: a value outside of its domain, a change that is never told, a repetition, a wrong
//! value (UPD-04, UPD-06 to UPD-08, UPD-10, UPD-12 to UPD-14, UPD-16, UPD-17).
//!
//! Where several elements can break alike, each breaks in its own way, and some in a change only.

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::mutant::Mutant;
use super::super::typed::{ConnectionKey, Event};
use super::fault::{Fault, entries};
use super::registry::{Registered, row};
use super::updates::{asked, present};
use crate::protocol::events::Resource::{self, CallInfo, CallRoster, Calls};
use crate::protocol::events::UpdateType;

const AT_REST: (&str, &str) = ("UPD-14", "the value is not that of the API");
const TWINS: (&str, &str) = ("UPD-16", "the other client is told otherwise");

pub(super) const MUTANTS: &[Registered] = &[
    row("calls-name-as-object", "UPD-08", &[], "Names have a language in another product.", || {
        wrong(Calls, "name", |value| serde_json::json!({"text": value, "lang": "en"}))
    }),
    row(
        "calls-count-with-fraction",
        "UPD-08",
        &[("UPD-15", "a fraction is the count of nothing else"), ("REC-24", "the count is above that of the records")],
        "The count is an average over the last second.",
        || wrong(Calls, "participants", |value| (value.as_f64().unwrap_or_default() + 0.5).into()),
    ),
    row("calls-count-null-when-empty", "UPD-08", &[], "Zero is taken for nothing.", || {
        wrong(Calls, "participants", |value| if value.as_u64() == Some(0) { Value::Null } else { value.clone() })
    }),
    row("calls-recording-on", "UPD-08", &[], "The word is that of the status page.", || {
        wrong(Calls, "recording", |value| if value == "active" { "on".into() } else { "off".into() })
    }),
    row("calls-streaming-live", "UPD-08", &[], "The word is that of the streaming service.", || {
        wrong(Calls, "streaming", |value| if value == "active" { "live".into() } else { value.clone() })
    }),
    row("calls-endpoint-recording-as-boolean", "UPD-08", &[], "One of three alike is kept as a flag.", || {
        wrong(Calls, "endpointRecording", |value| (value == "active").into())
    }),
    row("calls-lock-open", "UPD-08", &[], "The word is that of the user interface.", || {
        wrong(Calls, "lockState", |value| if value == "locked" { value.clone() } else { "open".into() })
    }),
    row("calls-type-space", "UPD-08", &[], "coSpaces were given a new name.", || {
        wrong(Calls, "callType", |value| if value == "coSpace" { "space".into() } else { value.clone() })
    }),
    row("calls-ad-hoc-in-other-case", "UPD-08", &[], "The word is spelt as elsewhere in the product.", || {
        wrong(Calls, "callType", |value| if value == "adHoc" { "adhoc".into() } else { value.clone() })
    }),
    row(
        "calls-correlator-in-braces",
        "UPD-08",
        &[("UPD-18", "the correlator is no GUID")],
        "As an operating system prints it.",
        || wrong(Calls, "callCorrelator", |value| format!("{{{}}}", value.as_str().unwrap_or_default()).into()),
    ),
    row("info-count-as-word", "UPD-08", &[], "Numbers go through the formatter of the user interface.", || {
        wrong(CallInfo, "participants", |value| if value.as_u64() == Some(0) { "none".into() } else { value.clone() })
    }),
    row(
        "info-instances-below-zero",
        "UPD-08",
        &[("UPD-17", "there is no cluster")],
        "Unknown is minus one inside.",
        || wrong(CallInfo, "distributedInstances", |_| (-1).into()),
    ),
    row("info-recording-paused", "UPD-08", &[], "A recording that ends has a state of its own inside.", || {
        in_changes(CallInfo, "recording", |value| if value == "inactive" { "stopping".into() } else { value.clone() })
    }),
    row("info-streaming-as-number", "UPD-08", &[], "The number of an enumeration is sent.", || {
        wrong(CallInfo, "streaming", |value| u64::from(value == "active").into())
    }),
    row("info-endpoint-recording-empty-again", "UPD-08", &[], "What is over is emptied.", || {
        in_changes(CallInfo, "endpointRecording", |value| if value == "inactive" { "".into() } else { value.clone() })
    }),
    row("info-type-null", "UPD-08", &[], "The type of an ad hoc call is no row of the table.", || {
        wrong(CallInfo, "callType", |value| if value == "adHoc" { "none".into() } else { value.clone() })
    }),
    row(
        "info-mute-override-as-number",
        "UPD-08",
        &[("UPD-11", "it is no false")],
        "A boolean of the database is a number.",
        || wrong(CallInfo, "joinAudioMuteOverride", |value| u64::from(*value == Value::Bool(true)).into()),
    ),
    row("info-lock-word-null-when-open", "UPD-08", &[], "An open conference has no lock.", || {
        in_changes(CallInfo, "lockState", |value| if value == "unlocked" { Value::Null } else { value.clone() })
    }),
    row("info-name-as-list", "UPD-08", &[], "A name may have several lines.", || {
        in_changes(CallInfo, "name", |value| vec![value.clone()].into())
    }),
    row("roster-state-alerting", "UPD-08", &[], "The word is that of the signaling stack.", || {
        wrong(CallRoster, "state", |value| if value == "ringing" { "alerting".into() } else { value.clone() })
    }),
    row("roster-state-held", "UPD-08", &[], "The word is that of the signaling stack.", || {
        wrong(CallRoster, "state", |value| if value == "onHold" { "held".into() } else { value.clone() })
    }),
    row("roster-direction-in-short", "UPD-08", &[], "The column of the database is shorter.", || {
        wrong(CallRoster, "direction", |value| if value == "incoming" { "in".into() } else { "out".into() })
    }),
    row("roster-layout-by-number", "UPD-08", &[], "The number of an enumeration is sent.", || {
        wrong(CallRoster, "layout", |_| 3.into())
    }),
    row("roster-layout-of-its-own-in-changes", "UPD-08", &[], "A layout that is forced has a word of its own.", || {
        in_changes(CallRoster, "layout", |value| format!("{}Forced", value.as_str().unwrap_or_default()).into())
    }),
    row("roster-muted-yes", "UPD-08", &[], "A form's value is stored as it is.", || {
        wrong(CallRoster, "audioMuted", |value| if *value == Value::Bool(true) { "yes".into() } else { value.clone() })
    }),
    row("roster-video-muted-as-number", "UPD-08", &[], "A boolean of the database is a number.", || {
        wrong(CallRoster, "videoMuted", |value| u64::from(*value == Value::Bool(true)).into())
    }),
    row("roster-speaker-null-when-silent", "UPD-08", &[], "Silence is nothing.", || {
        in_changes(
            CallRoster,
            "activeSpeaker",
            |value| if *value == Value::Bool(true) { value.clone() } else { Value::Null },
        )
    }),
    row("roster-presenter-with-capital", "UPD-08", &[], "A script prints its booleans.", || {
        wrong(CallRoster, "presenter", |value| if *value == Value::Bool(true) { "True".into() } else { "False".into() })
    }),
    row("roster-endpoint-recording-as-boolean", "UPD-08", &[], "One of several alike is kept as a flag.", || {
        wrong(CallRoster, "endpointRecording", |value| (value == "active").into())
    }),
    row("roster-can-move-in-words", "UPD-08", &[], "A form's value is stored as it is.", || {
        wrong(
            CallRoster,
            "canMove",
            |value| if *value == Value::Bool(true) { "allowed".into() } else { "denied".into() },
        )
    }),
    row("roster-lobby-as-number", "UPD-08", &[], "A boolean of the database is a number.", || {
        wrong(CallRoster, "canMoveToLobby", |value| u64::from(*value == Value::Bool(true)).into())
    }),
    row(
        "roster-moved-participant-by-name",
        "UPD-08",
        &[("UPD-12", "it names nobody")],
        "People are known by name.",
        || wrong(CallRoster, "movedParticipant", |_| "anna".into()),
    ),
    row("roster-moved-bridge-by-address", "UPD-08", &[], "Servers are known by address.", || {
        wrong(CallRoster, "movedParticipantCallBridge", |_| "10.1.2.3".into())
    }),
    row("roster-uri-as-list", "UPD-08", &[], "A party may have several addresses.", || {
        wrong(CallRoster, "uri", |value| vec![value.clone()].into())
    }),
    row("roster-importance-in-words", "UPD-10", &[], "The word is that of the user interface.", || {
        wrong(CallRoster, "importance", |value| if value.is_null() { value.clone() } else { "high".into() })
    }),
    row("roster-importance-as-flag", "UPD-10", &[], "It is important, or it is not.", || {
        wrong(CallRoster, "importance", |value| (!value.is_null()).into())
    }),
    row(
        "name-cut-at-sixteen",
        "UPD-14",
        &[
            TWINS,
            ("SUB-10", "a change falls into a change of the set"),
            ("UPD-06", "cut off, the name is as before"),
            ("UPD-07", "cut off, the name is as before"),
        ],
        "The column of the database is shorter.",
        || of_text("name", |text| text.chars().take(16).collect()),
    ),
    row(
        "name-trimmed-in-changes",
        "UPD-14",
        &[
            ("SUB-10", "a change falls into a change of the set"),
            ("LIM-04", "what is told of names is told to a hundred subscriptions as well"),
        ],
        "What is typed in is trimmed once more.",
        || in_changes(CallInfo, "name", |value| value.as_str().unwrap_or_default().replace(' ', "").into()),
    ),
    row(
        "roster-name-in-lower-case",
        "UPD-14",
        &[("UPD-16", "the other client is told otherwise")],
        "Names are folded for sorting.",
        || wrong(CallRoster, "name", |value| value.as_str().unwrap_or_default().to_lowercase().into()),
    ),
    row("changes-of-the-lock-not-told-in-calls", "UPD-14", &[TWINS], "The list is thought to be for names.", || {
        untold(Calls, "lockState")
    }),
    row("changes-of-the-lock-not-told-in-info", "UPD-14", &[TWINS], "The list of calls tells it already.", || {
        untold(CallInfo, "lockState")
    }),
    row(
        "changes-of-the-name-not-told-in-calls",
        "UPD-14",
        &[("SUB-10", "a change falls into a change of the set")],
        "A name is read once.",
        || untold(Calls, "name"),
    ),
    row("changes-of-recording-not-told", "UPD-14", &[], "The recorder reports to its own log.", || {
        untold(CallInfo, "recording")
    }),
    row("changes-of-streaming-not-told", "UPD-14", &[TWINS], "The streamer reports to its own log.", || {
        untold(CallInfo, "streaming")
    }),
    row(
        "changes-of-endpoint-recording-not-told",
        "UPD-14",
        &[TWINS],
        "Endpoints report it, and nobody listens.",
        || untold(CallInfo, "endpointRecording"),
    ),
    row("changes-of-video-mute-not-told", "UPD-14", &[TWINS], "Only the audio has a listener.", || {
        untold(CallRoster, "videoMuted")
    }),
    row("changes-of-layout-not-told", "UPD-14", &[TWINS], "The layout belongs to the endpoint.", || {
        untold(CallRoster, "layout")
    }),
    row(
        "changes-of-importance-not-told",
        "UPD-14",
        &[("UPD-10", "that it is no longer set is not told"), TWINS],
        "Importance is read when a leg joins.",
        || untold(CallRoster, "importance"),
    ),
    row("changes-of-roster-names-not-told", "UPD-14", &[], "A name comes with the first message of a leg.", || {
        untold(CallRoster, "name")
    }),
    row("unmuting-not-told", "UPD-14", &[], "The event is made where something is set.", || {
        entries(|_, _, place, entry| {
            if place.resource == CallRoster && entry.kind == UpdateType::Update {
                entry.fields.retain(|name, value| !(name == "audioMuted" && *value == Value::Bool(false)));
                return !entry.fields.is_empty();
            }
            true
        })
    }),
    row(
        "unlocking-told-as-locking",
        "UPD-14",
        &[("UPD-06", "what is told is as before")],
        "The event has no value; one is filled in.",
        || in_changes(CallInfo, "lockState", |_| "locked".into()),
    ),
    row(
        "muted-flipped-in-adds",
        "UPD-14",
        &[
            ("UPD-07", "the change to what was told already is none"),
            TWINS,
            ("UPD-06", "the change to what was told already is none"),
        ],
        "The flag says whether the party is heard.",
        || {
            entries(|_, _, place, entry| {
                if place.resource == CallRoster
                    && entry.kind == UpdateType::Add
                    && let Some(Value::Bool(muted)) = entry.fields.get_mut("audioMuted")
                {
                    *muted = !*muted;
                }
                true
            })
        },
    ),
    row("direction-turned-round", "UPD-14", &[TWINS], "Seen from the far end.", || {
        wrong(CallRoster, "direction", |value| if value == "incoming" { "outgoing".into() } else { "incoming".into() })
    }),
    row("type-of-every-call-co-space", "UPD-14", &[], "The default was never changed.", || {
        wrong(Calls, "callType", |_| "coSpace".into())
    }),
    row(
        "count-of-connected-lags",
        "UPD-15",
        &[("UPD-06", "the count is as before"), AT_REST, TWINS],
        "The counter is read before it is written.",
        || in_changes(Calls, "participants", |value| value.as_u64().unwrap_or_default().saturating_sub(1).into()),
    ),
    row(
        "count-of-info-frozen-at-two",
        "UPD-15",
        &[AT_REST, TWINS, ("UPD-06", "two again is no change")],
        "The counter has two bits, and saturates early.",
        || wrong(CallInfo, "participants", |value| value.as_u64().unwrap_or_default().min(2).into()),
    ),
    row(
        "instances-count-the-server-when-locked",
        "UPD-17",
        &[AT_REST, TWINS],
        "The lock is announced to the cluster of one.",
        || {
            entries(|_, view, place, entry| {
                let locked = view.world.calls.get(&entry.key).is_some_and(|call| call.locked);
                if place.resource != CallRoster && locked && asked(view, place, "distributedInstances") {
                    entry.fields.insert("distributedInstances".to_owned(), 1.into());
                }
                true
            })
        },
    ),
    row("state-repeated-beside-mutes", "UPD-07", &[], "The leg is written as a whole but for its names.", || {
        repeated(CallRoster, "state")
    }),
    row("count-repeated-beside-names", "UPD-07", &[], "The count is at hand.", || repeated(CallInfo, "participants")),
    row("type-repeated-beside-locks", "UPD-07", &[], "The type decides how the lock is shown.", || {
        repeated(Calls, "callType")
    }),
    row("importance-repeated-beside-layout", "UPD-07", &[], "Both come from the same row.", || {
        repeated(CallRoster, "importance")
    }),
    row(
        "speaker-told-to-the-second-client-turned-round",
        "UPD-16",
        &[("UPD-06", "turned round it is as before")],
        "A bit mask is built for the first one only.",
        || {
            Fault::<()>::new()
                .event(|(), view, to, mut event, pass| {
                    let later = view.connections.keys().next().is_some_and(|first| *first < to);
                    if let Event::Update { entries, .. } = &mut event
                        && later
                    {
                        for entry in entries.iter_mut().filter(|entry| entry.kind == UpdateType::Update) {
                            if let Some(Value::Bool(speaks)) = entry.fields.get_mut("activeSpeaker") {
                                *speaks = !*speaks;
                            }
                        }
                    }
                    pass.now((to, event));
                })
                .boxed()
        },
    ),
];

type Rewrite = fn(&Value) -> Value;

/// The `callInfo` subscriptions whose first notice is out: it has no word for that.
type Begun = BTreeSet<(ConnectionKey, u64)>;

/// An element of a resource, and what becomes of its value.
#[derive(Debug)]
struct Target {
    resource: Resource,
    element: &'static str,
    change: Option<Rewrite>,
    changes_only: bool,
}

impl Default for Target {
    fn default() -> Self {
        Self { resource: Calls, element: "", change: None, changes_only: false }
    }
}

/// A mutant that writes an element of a resource otherwise wherever it is told.
fn wrong(resource: Resource, element: &'static str, change: Rewrite) -> Box<dyn Mutant> {
    rewriting(Target { resource, element, change: Some(change), changes_only: false })
}

/// A mutant that writes an element of a resource otherwise where it has changed.
fn in_changes(resource: Resource, element: &'static str, change: Rewrite) -> Box<dyn Mutant> {
    rewriting(Target { resource, element, change: Some(change), changes_only: true })
}

fn rewriting(target: Target) -> Box<dyn Mutant> {
    Fault::<(Target, Begun)>::new()
        .event(|(target, begun), _, to, mut event, pass| {
            if let Event::Update { index, resource, entries } = &mut event
                && *resource == target.resource
                && let Some(change) = target.change
            {
                let first = *resource == CallInfo && begun.insert((to, *index));
                let meant = |kind: UpdateType| !target.changes_only || (kind == UpdateType::Update && !first);
                for entry in entries.iter_mut().filter(|entry| meant(entry.kind)) {
                    if let Some(value) = entry.fields.get_mut(target.element) {
                        *value = change(value);
                    }
                }
            }
            pass.now((to, event));
        })
        .with((target, Begun::new()))
        .boxed()
}

/// A mutant that writes a text of any resource otherwise.
fn of_text(element: &'static str, change: fn(&str) -> String) -> Box<dyn Mutant> {
    Fault::<(&'static str, Option<fn(&str) -> String>)>::new()
        .event(|(element, change), _, to, mut event, pass| {
            if let (Event::Update { entries, .. }, Some(change)) = (&mut event, change) {
                for entry in entries {
                    if let Some(Value::String(text)) = entry.fields.get_mut(*element) {
                        *text = change(text);
                    }
                }
            }
            pass.now((to, event));
        })
        .with((element, Some(change)))
        .boxed()
}

/// A mutant that never tells that an element has changed.
fn untold(resource: Resource, element: &'static str) -> Box<dyn Mutant> {
    Fault::<(Target, Begun)>::new()
        .event(|(target, begun), _, to, mut event, pass| {
            if let Event::Update { index, resource, entries } = &mut event
                && *resource == target.resource
            {
                let first = *resource == CallInfo && begun.insert((to, *index));
                entries.retain_mut(|entry| {
                    if entry.kind != UpdateType::Update || first {
                        return true;
                    }
                    entry.fields.remove(target.element);
                    !entry.fields.is_empty()
                });
                if entries.is_empty() {
                    return;
                }
            }
            pass.now((to, event));
        })
        .with((Target { resource, element, ..Target::default() }, Begun::new()))
        .boxed()
}

/// A mutant that tells an element again beside every other change.
fn repeated(resource: Resource, element: &'static str) -> Box<dyn Mutant> {
    Fault::<Target>::new()
        .event(|target, view, to, mut event, pass| {
            if let Event::Update { index, resource, entries } = &mut event
                && *resource == target.resource
            {
                let place = super::fault::Place { connection: to, index: *index, resource: *resource };
                for entry in entries.iter_mut().filter(|entry| entry.kind == UpdateType::Update) {
                    if asked(view, &place, target.element) && !entry.fields.contains_key(target.element) {
                        let value = present(view, &place, entry, target.element);
                        entry.fields.insert(target.element.to_owned(), value);
                    }
                }
            }
            pass.now((to, event));
        })
        .with(Target { resource, element, ..Target::default() })
        .boxed()
}
