//! Mutants of the course of records: beginnings, ends, counts, durations (REC-01 to REC-09, REC-24).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::cdr::Draft;
use super::super::mutant::{Mutant, Pass};
use super::fault::{Fault, records};
use super::registry::{Registered, row};

const NO_CALL: (&str, &str) = ("REC-14", "the call has no start, or none yet");
const AGREEMENT: (&str, &str) = ("REC-24", "a record of a call is missing");
const PAIRS: (&str, &str) = ("REC-05", "the record cannot be told");
const NAMES: (&str, &str) = ("REC-22", "the leg of a recording is unknown");
const COUNTS: (&str, &str) = ("REC-06", "the legs of a call cannot be told");
const MOST: (&str, &str) = ("REC-07", "the legs of a call cannot be told");
const UNSENT: (&str, &str) = ("CDR-03", "the record of a call seems not to be sent");
const NOWHERE: (&str, &str) = ("CDR-13", "no receiver has the record of a call");
const LAST: (&str, &str) = ("REC-09", "the leg ends after the call");

pub(super) const MUTANTS: &[Registered] = &[
    row("end-of-recording-without-id", "REC-01", &[], "There is only one recording, so why name it.", || {
        records(|_, _, draft| {
            if draft.kind == "recordingEnd" {
                draft.content.attributes.clear();
            }
            true
        })
    }),
    row("recording-id-in-braces", "REC-01", &[], "Ids of files are printed as the operating system does.", || {
        records(|_, _, draft| {
            if matches!(draft.content.name.as_str(), "recording" | "streaming")
                && let Some((_, id)) = draft.content.attributes.first_mut()
            {
                *id = format!("{{{id}}}");
            }
            true
        })
    }),
    row(
        "leg-id-in-braces",
        "REC-01",
        &[("REC-02", "the ids of legs in other fields have them, too"), COUNTS, MOST, NAMES, NO_CALL],
        "Ids are printed as the operating system does.",
        || {
            records(|_, _, draft| {
                if draft.content.name == "callLeg"
                    && let Some((_, id)) = draft.content.attributes.first_mut()
                {
                    *id = format!("{{{id}}}");
                }
                if let Some(leg) = draft.value("callLeg").map(|leg| format!("{{{leg}}}")) {
                    draft.set("callLeg", &leg);
                }
                true
            })
        },
    ),
    row("stream-in-a-recording-element", "REC-01", &[PAIRS, NAMES], "Streams are a kind of recording.", || {
        records(|_, _, draft| {
            if draft.kind == "streamingStart" {
                "recording".clone_into(&mut draft.content.name);
            }
            true
        })
    }),
    row(
        "short-leg-in-a-leg-element",
        "REC-01",
        &[("REC-04", "the end of the leg is missing"), COUNTS, LAST],
        "Legs that never connected have a class of their own.",
        || {
            records(|_, _, draft| {
                if draft.kind == "callLegEnd" && draft.content.get("rxAudio").is_none() {
                    "leg".clone_into(&mut draft.content.name);
                }
                true
            })
        },
    ),
    row("direction-with-capital", "REC-02", &[], "The name of an enumeration is printed.", || {
        values("callLegStart", "direction", |text| format!("{}{}", text[..1].to_uppercase(), &text[1..]))
    }),
    row("can-move-in-words", "REC-02", &[], "A form's value is stored as it is.", || {
        records(|_, _, draft| {
            if draft.kind == "callLegUpdate" && draft.value("canMove") == Some("false") {
                draft.replace("canMove", "no");
            }
            true
        })
    }),
    row("codec-in-the-words-of-sdp", "REC-02", &[], "Codecs that are new are named as in SDP.", || {
        records(|_, _, draft| {
            for field in &mut draft.content.children {
                if matches!(field.name.as_str(), "rxAudio" | "rxVideo") {
                    for codec in field.children.iter_mut().filter(|child| child.name == "codec") {
                        if ["opus", "vp8"].contains(&codec.text.as_str()) {
                            codec.text = format!("{}/48000/2", codec.text.to_uppercase());
                        }
                    }
                }
            }
            true
        })
    }),
    row("endpoint-recorded-as-number", "REC-02", &[], "A boolean of the database is a number.", || {
        values("callEnd", "endpointRecorded", |text| u8::from(text == "true").to_string())
    }),
    row("call-ends-twice", "REC-03", &[], "Both the last leg and the timer of the call end it.", || {
        again(|draft| draft.kind == "callEnd", Duration::ZERO)
    }),
    row("call-that-was-recorded-ends-twice", "REC-03", &[], "The recorder's end ends the call once more.", || {
        Fault::<BTreeSet<String>>::new()
            .record(|recorded, _, draft, pass| {
                if draft.kind == "recordingStart" {
                    recorded.extend(draft.value("call").map(str::to_owned));
                }
                let twice = draft.kind == "callEnd" && recorded.contains(draft.id());
                if twice {
                    pass.later(Duration::from_millis(20), draft.clone());
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row("call-started-anew-after-its-end", "REC-03", &[], "A late change of a call creates it.", || {
        Fault::<BTreeMap<String, Draft>>::new()
            .record(|starts, _, draft, pass| {
                if draft.kind == "callStart" && draft.value("coSpace").is_some() {
                    starts.insert(draft.id().to_owned(), draft.clone());
                }
                let start = if draft.kind == "callEnd" { starts.remove(draft.id()) } else { None };
                pass.now(draft);
                if let Some(start) = start {
                    pass.later(Duration::from_millis(10), start);
                }
            })
            .boxed()
    }),
    row(
        "start-of-ad-hoc-call-lost",
        "REC-03",
        &[NO_CALL, AGREEMENT, NAMES, UNSENT, NOWHERE],
        "Only coSpaces are asked for their name, and the record waits for one.",
        || records(|_, _, draft| draft.kind != "callStart" || draft.value("coSpace").is_some()),
    ),
    row("leg-ends-twice", "REC-04", &[COUNTS], "Signaling and media each report the end.", || {
        again(|draft| draft.kind == "callLegEnd", Duration::ZERO)
    }),
    row(
        "start-of-moved-leg-lost",
        "REC-04",
        &[COUNTS, MOST, AGREEMENT],
        "A leg that is moved is known already, it seems.",
        || records(|_, _, draft| draft.kind != "callLegStart" || draft.value("movedCallLeg").is_none()),
    ),
    row(
        "update-after-the-end-of-the-leg",
        "REC-04",
        &[("REC-03", "it names a call that has ended"), NO_CALL],
        "Updates come from another thread.",
        || {
            Fault::<BTreeMap<String, Draft>>::new()
                .record(|updates, _, draft, pass| {
                    if draft.kind == "callLegUpdate" {
                        updates.insert(draft.id().to_owned(), draft.clone());
                    }
                    let update = if draft.kind == "callLegEnd" { updates.remove(draft.id()) } else { None };
                    pass.now(draft);
                    if let Some(update) = update {
                        pass.now(update);
                    }
                })
                .boxed()
        },
    ),
    row(
        "end-of-refused-leg-lost",
        "REC-09",
        &[COUNTS, ("REC-04", "the leg never ends")],
        "What was never connected need not be ended.",
        || again_or_not(|draft| draft.kind == "callLegEnd" && draft.value("reason") == Some("remoteRejected"), 0),
    ),
    row("recording-ends-twice", "REC-05", &[], "The recorder and the call both end it.", || {
        again(|draft| draft.kind == "recordingEnd", Duration::ZERO)
    }),
    row(
        "recording-beside-a-stream-without-start",
        "REC-05",
        &[NAMES],
        "The record of one start overwrites that of the other.",
        || {
            Fault::<()>::new()
                .record(|(), view, draft, pass| {
                    let streams = |call: &str| view.world.calls.get(call).is_some_and(|call| call.streaming);
                    if draft.kind != "recordingStart" || !draft.value("call").is_some_and(streams) {
                        pass.now(draft);
                    }
                })
                .boxed()
        },
    ),
    row("stream-ends-with-the-id-of-the-recording", "REC-05", &[], "One variable holds the id of what runs.", || {
        Fault::<String>::new()
            .record(|running, _, mut draft, pass| {
                match draft.kind.as_str() {
                    "recordingStart" => draft.id().clone_into(running),
                    "streamingEnd" if !running.is_empty() => {
                        if let Some((_, id)) = draft.content.attributes.first_mut() {
                            id.clone_from(running);
                        }
                    }
                    _ => {}
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row("stream-ends-as-a-recording", "REC-05", &[], "One function ends both.", || {
        records(|_, _, draft| {
            if draft.kind == "streamingEnd" {
                "recordingEnd".clone_into(&mut draft.kind);
                "recording".clone_into(&mut draft.content.name);
            }
            true
        })
    }),
    row("completed-one-too-many", "REC-06", &[], "The call itself has a leg inside.", || {
        values("callEnd", "callLegsCompleted", |text| plus(text, 1))
    }),
    row(
        "completed-without-those-that-ended-with-the-call",
        "REC-06",
        &[],
        "The counter is read before the last legs are gone.",
        || counted(|draft| draft.value("reason") == Some("callEnded")),
    ),
    row("completed-without-those-removed-over-the-api", "REC-06", &[], "The API removes legs by another way.", || {
        counted(|draft| draft.value("reason") == Some("apiInitiatedTeardown"))
    }),
    row("completed-up-to-four", "REC-06", &[], "The counter has two bits.", || {
        values("callEnd", "callLegsCompleted", |text| text.parse::<u64>().map_or(0, |count| count % 4).to_string())
    }),
    row("most-active-one-too-many", "REC-07", &[], "The newcomer counts before the leaver is gone.", || {
        values("callEnd", "callLegsMaxActive", |text| plus(text, 1))
    }),
    row(
        "most-active-is-all-there-were",
        "REC-07",
        &[],
        "The maximum is never lowered on the way, and so becomes the sum.",
        || {
            records(|_, _, draft| {
                if draft.kind == "callEnd"
                    && let Some(all) = draft.value("callLegsCompleted").map(str::to_owned)
                {
                    draft.replace("callLegsMaxActive", &all);
                }
                true
            })
        },
    ),
    row("most-active-of-the-end", "REC-07", &[AGREEMENT], "The number is read when the call ends.", || {
        values("callEnd", "callLegsMaxActive", |text| text.parse::<u64>().map_or(0, |most| most.min(1)).to_string())
    }),
    row("most-active-up-to-eight", "REC-07", &[AGREEMENT], "The size of the layout bounds the count.", || {
        values("callEnd", "callLegsMaxActive", |text| text.parse::<u64>().map_or(0, |most| most.min(8)).to_string())
    }),
    row(
        "leg-lasts-thirty-seconds-longer",
        "REC-08",
        &[],
        "The timeout after which a leg is forgotten is included.",
        || values("callLegEnd", "durationSeconds", |text| plus(text, 30)),
    ),
    row("activated-longer-than-there", "REC-08", &[], "The two clocks are started in different places.", || {
        values("callLegEnd", "activatedDuration", |text| plus(text, 4))
    }),
    row(
        "call-lasts-since-the-server-started",
        "REC-08",
        &[],
        "A call that is moved into has no start of its own.",
        || {
            Fault::<()>::new()
                .record(|(), view, mut draft, pass| {
                    let several = draft.value("callLegsCompleted").is_some_and(|count| !["0", "1"].contains(&count));
                    if draft.kind == "callEnd" && several {
                        let since = view.now.as_millis() / 1000 + 60;
                        draft.replace("durationSeconds", &since.to_string());
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
    row("moved-leg-goes-on-counting", "REC-08", &[], "The duration of the leg before the move is added.", || {
        Fault::<BTreeSet<String>>::new()
            .record(|moved, _, mut draft, pass| {
                if draft.value("movedCallLeg").is_some() {
                    moved.insert(draft.id().to_owned());
                }
                if draft.kind == "callLegEnd" && moved.contains(draft.id()) {
                    let longer = plus(draft.value("durationSeconds").unwrap_or_default(), 5);
                    draft.replace("durationSeconds", &longer);
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row(
        "last-leg-ends-after-the-call",
        "REC-09",
        &[COUNTS, ("REC-03", "a record with the call follows")],
        "The call's end is not kept back until its legs are gone.",
        || {
            late(|draft| {
                draft.kind == "callLegEnd" && matches!(draft.value("reason"), Some("callEnded" | "callDeactivated"))
            })
        },
    ),
    row(
        "leg-removed-last-ends-after-the-call",
        "REC-09",
        &[COUNTS],
        "Whoever goes last takes the call along before it is gone.",
        || {
            Fault::<Option<Draft>>::new()
                .record(|waiting, _, draft, pass| {
                    if draft.kind == "callEnd" {
                        pass.now(draft);
                        if let Some(end) = waiting.take() {
                            pass.now(end);
                        }
                        return;
                    }
                    if let Some(end) = waiting.take() {
                        pass.now(end);
                    }
                    if draft.kind == "callLegEnd"
                        && matches!(draft.value("reason"), Some("clientInitiatedTeardown" | "callDeactivated"))
                    {
                        // Held back for as long as nothing else happens.
                        *waiting = Some(draft);
                    } else {
                        pass.now(draft);
                    }
                })
                .boxed()
        },
    ),
    row("every-third-last-leg-late", "REC-09", &[], "Two threads race.", || {
        Fault::<u64>::new()
            .record(|count, _, draft, pass| {
                *count += u64::from(draft.kind == "callLegEnd");
                if draft.kind == "callLegEnd" && count.is_multiple_of(3) {
                    pass.later(Duration::from_millis(15), draft);
                } else {
                    pass.now(draft);
                }
            })
            .boxed()
    }),
    row("end-of-shared-call-lost", "REC-24", &[], "Whoever leaves last is thought to have been alone.", || {
        Fault::<BTreeSet<String>>::new()
            .record(|spaces, _, draft, pass| {
                if draft.kind == "callStart" && draft.value("coSpace").is_some() {
                    spaces.insert(draft.id().to_owned());
                }
                if draft.kind == "recordingStart" {
                    spaces.retain(|call| Some(call.as_str()) != draft.value("call"));
                }
                let shared = draft.value("callLegsCompleted").is_some_and(|count| !["0", "1"].contains(&count));
                if draft.kind != "callEnd" || !shared || !spaces.contains(draft.id()) {
                    pass.now(draft);
                }
            })
            .boxed()
    }),
    row("call-under-another-id", "REC-24", &[UNSENT, NOWHERE], "Records have a numbering of their own.", || {
        records(|_, _, draft| {
            if draft.content.name == "call"
                && let Some((_, id)) = draft.content.attributes.first_mut()
            {
                *id = turned(id);
            }
            if let Some(call) = draft.value("call").map(turned) {
                draft.set("call", &call);
            }
            true
        })
    }),
    row(
        "call-ended-over-the-api-has-no-end",
        "REC-24",
        &[
            UNSENT,
            NOWHERE,
            ("CDR-19", "a good receiver lacks it beside bad ones"),
            ("CDR-14", "a receiver lacks it soon after a fifth was refused"),
        ],
        "DELETE ends a call by another way than its last leg does.",
        || {
            Fault::<()>::new()
                .record(|(), view, draft, pass| {
                    if draft.kind != "callEnd"
                        || view.world.participants.is_empty() && draft.value("callLegsCompleted") != Some("0")
                    {
                        pass.now(draft);
                    }
                })
                .boxed()
        },
    ),
];

type IsMeant = fn(&Draft) -> bool;
type Rewrite = fn(&str) -> String;

fn plus(text: &str, more: u64) -> String {
    text.parse::<u64>().map_or(more, |number| number + more).to_string()
}

/// A GUID that is another one.
fn turned(guid: &str) -> String {
    guid.chars()
        .map(|c| {
            if c == '0' {
                '1'
            } else if c == '1' {
                '0'
            } else {
                c
            }
        })
        .collect()
}

/// A mutant that writes one field of one type of record otherwise, where it is there.
pub(super) fn values(kind: &'static str, field: &'static str, change: Rewrite) -> Box<dyn Mutant> {
    Fault::<Option<(&'static str, &'static str, Rewrite)>>::new()
        .record(|what, _, mut draft, pass| {
            if let Some((kind, field, change)) = what
                && draft.kind == *kind
                && let Some(text) = draft.value(field).filter(|text| !text.is_empty()).map(change)
            {
                draft.replace(field, &text);
            }
            pass.now(draft);
        })
        .with(Some((kind, field, change)))
        .boxed()
}

/// A mutant that makes some records twice.
fn again(when: IsMeant, delay: Duration) -> Box<dyn Mutant> {
    Fault::<Option<(IsMeant, Duration)>>::new()
        .record(|what, _, draft, pass| {
            if let Some((when, delay)) = what
                && when(&draft)
            {
                pass.later(*delay, draft.clone());
            }
            pass.now(draft);
        })
        .with(Some((when, delay)))
        .boxed()
}

/// A mutant that makes some records as often as this.
fn again_or_not(when: IsMeant, times: usize) -> Box<dyn Mutant> {
    Fault::<Option<(IsMeant, usize)>>::new()
        .record(|what, _, draft, pass| {
            let times = what.filter(|(when, _)| when(&draft)).map_or(1, |(_, times)| times);
            (0..times).for_each(|_| pass.now(draft.clone()));
        })
        .with(Some((when, times)))
        .boxed()
}

/// A mutant that makes some records a little later.
pub(super) fn late(when: IsMeant) -> Box<dyn Mutant> {
    fn pass_on(what: &mut Option<IsMeant>, draft: Draft, pass: &mut Pass<Draft>) {
        if what.is_some_and(|when| when(&draft)) {
            pass.later(Duration::from_millis(15), draft);
        } else {
            pass.now(draft);
        }
    }
    Fault::<Option<IsMeant>>::new().record(|what, _, draft, pass| pass_on(what, draft, pass)).with(Some(when)).boxed()
}

/// A mutant that does not count some of the legs that ended in a call.
fn counted(when: IsMeant) -> Box<dyn Mutant> {
    Fault::<(BTreeMap<String, String>, BTreeMap<String, u64>, Option<IsMeant>)>::new()
        .record(|(calls, passed_over, when), _, mut draft, pass| {
            if let Some(call) = draft.value("call") {
                calls.insert(draft.id().to_owned(), call.to_owned());
            }
            if draft.kind == "callLegEnd" && when.is_some_and(|when| when(&draft)) {
                let call = calls.get(draft.id()).cloned().unwrap_or_default();
                *passed_over.entry(call).or_default() += 1;
            }
            if draft.kind == "callEnd" {
                let fewer = passed_over.remove(draft.id()).unwrap_or_default();
                let all =
                    draft.value("callLegsCompleted").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
                draft.replace("callLegsCompleted", &all.saturating_sub(fewer).to_string());
            }
            pass.now(draft);
        })
        .with((BTreeMap::new(), BTreeMap::new(), Some(when)))
        .boxed()
}
