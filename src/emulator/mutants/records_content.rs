//! Mutants of what records say (REC-10 to REC-22).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::cdr::Draft;
use super::super::mutant::Mutant;
use super::fault::{Fault, records};
use super::records_course::values;
use super::registry::{Registered, row};

const DOMAIN: (&str, &str) = ("REC-02", "the value lies outside of its domain");
const COUNTS: (&str, &str) = ("REC-06", "the legs of a call cannot be told");
const MOST: (&str, &str) = ("REC-07", "the legs of a call cannot be told");
const AGREEMENT: (&str, &str) = ("REC-24", "the channels show it differently");
const FIRST: (&str, &str) = ("REC-03", "something of the call comes before its start");

pub(super) const MUTANTS: &[Registered] = &[
    row(
        "co-space-missing",
        "REC-10",
        &[("REC-11", "the coSpace of a call cannot be told"), ("REC-12", "the coSpace of a call cannot be told")],
        "The field was lost when the writer was rewritten.",
        || of("callStart", |draft| draft.remove("coSpace")),
    ),
    row(
        "ad-hoc-call-names-a-co-space",
        "REC-10",
        &[("REC-11", "the coSpace is unknown")],
        "What is not set is filled with what is at hand.",
        || {
            of("callStart", |draft| {
                if draft.value("coSpace").is_none()
                    && let Some(correlator) = draft.value("callCorrelator").map(str::to_owned)
                {
                    draft.set("coSpace", &correlator);
                }
            })
        },
    ),
    row("ad-hoc-call-has-metadata", "REC-10", &[], "The default was turned round.", || {
        of("callStart", |draft| {
            if draft.value("coSpace").is_none() {
                draft.replace("coSpaceMetaDataConfigured", "true");
            }
        })
    }),
    row(
        "second-call-of-a-co-space-names-none",
        "REC-10",
        &[("REC-11", "the coSpace of a call cannot be told"), ("REC-12", "the coSpace of a call cannot be told")],
        "The call of before is used again without its origin.",
        || {
            Fault::<BTreeSet<String>>::new()
                .record(|seen, _, mut draft, pass| {
                    let again = draft.kind == "callStart"
                        && draft.value("coSpace").is_some_and(|space| !seen.insert(space.to_owned()));
                    if again {
                        draft.remove("coSpace");
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
    row(
        "correlator-of-its-own-for-each-call",
        "REC-11",
        &[AGREEMENT],
        "Every call is made like an ad hoc one.",
        || {
            of("callStart", |draft| {
                let id = draft.id().to_owned();
                draft.replace("callCorrelator", &id);
            })
        },
    ),
    row(
        "correlator-of-the-third-call-is-new",
        "REC-11",
        &[],
        "The cache of correlators holds an entry for two uses.",
        || {
            Fault::<BTreeMap<String, u64>>::new()
                .record(|seen, _, mut draft, pass| {
                    if draft.kind == "callStart"
                        && let Some(space) = draft.value("coSpace").map(str::to_owned)
                    {
                        let count = seen.entry(space).or_default();
                        *count += 1;
                        if *count >= 3 {
                            let id = draft.id().to_owned();
                            draft.replace("callCorrelator", &id);
                        }
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
    row("correlator-changes-with-the-name", "REC-11", &[AGREEMENT], "The correlator is derived from the name.", || {
        Fault::<BTreeMap<String, String>>::new()
            .record(|names, _, mut draft, pass| {
                if draft.kind == "callStart"
                    && let Some(space) = draft.value("coSpace").map(str::to_owned)
                {
                    let name = draft.value("name").unwrap_or_default().to_owned();
                    let first = names.entry(space).or_insert_with(|| name.clone());
                    if *first != name {
                        let id = draft.id().to_owned();
                        draft.replace("callCorrelator", &id);
                    }
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row("tag-missing", "REC-12", &[], "Tags are an option that is off.", || {
        records(|_, _, draft| {
            draft.remove("cdrTag");
            true
        })
    }),
    row("tag-cut-at-64", "REC-12", &[], "The column of the database is shorter.", || {
        records(|_, _, draft| {
            if let Some(tag) = draft.value("cdrTag").map(|tag| tag.chars().take(64).collect::<String>()) {
                draft.replace("cdrTag", &tag);
            }
            true
        })
    }),
    row("tag-cut-at-the-ampersand", "REC-12", &[], "The value is read from a form a second time.", || {
        records(|_, _, draft| {
            if let Some(tag) = draft.value("cdrTag").and_then(|tag| Some(tag.split_once('&')?.0.to_owned())) {
                draft.replace("cdrTag", &tag);
            }
            true
        })
    }),
    row("tag-of-a-leg-lost", "REC-12", &[], "Only coSpaces have a column for it.", || {
        records(|_, _, draft| {
            if draft.content.name == "callLeg" {
                draft.remove("cdrTag");
            }
            true
        })
    }),
    row("every-leg-is-lync-video", "REC-13", &[], "The field is filled with its first value.", || {
        of("callLegStart", |draft| {
            if draft.value("subType") != Some("lync") {
                draft.set("lyncSubType", "audioVideo");
            }
        })
    }),
    row("app-leg-with-sub-type", "REC-13", &[], "App and browser share the code.", || {
        of("callLegStart", |draft| {
            if draft.value("type") == Some("acano") {
                draft.set("subType", "webApp");
            }
        })
    }),
    row("avaya-leg-with-lync-sub-type", "REC-13", &[], "Both are trunks to another product.", || {
        of("callLegStart", |draft| {
            if matches!(draft.value("subType"), Some("avaya" | "lyncdistribution" | "webApp")) {
                draft.set("lyncSubType", "audioVideo");
            }
        })
    }),
    row("leg-in-a-call-and-the-ivr", "REC-14", &[DOMAIN], "Leaving the IVR is noted when the leg ends.", || {
        Fault::<BTreeSet<String>>::new()
            .record(|seen, _, mut draft, pass| {
                if draft.kind == "callLegUpdate" {
                    if draft.value("ivr").is_some() {
                        seen.insert(draft.id().to_owned());
                    } else if seen.contains(draft.id()) {
                        draft.set("ivr", "");
                    }
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row(
        "call-starts-after-its-first-leg",
        "REC-14",
        &[FIRST, COUNTS, MOST],
        "A call is written down by another thread, which does so when it next wakes up.",
        || {
            Fault::<()>::new()
                .record(|(), _, mut draft, pass| {
                    if draft.kind == "callStart" {
                        draft.time = a_second_later(&draft.time);
                        pass.later(Duration::from_millis(15), draft);
                    } else {
                        pass.now(draft);
                    }
                })
                .boxed()
        },
    ),
    row(
        "call-of-the-last-meeting",
        "REC-03",
        &[COUNTS, MOST, ("REC-14", "the call is over"), AGREEMENT],
        "The leg is placed before the call is looked up.",
        || {
            Fault::<Option<String>>::new()
                .record(|ended, _, mut draft, pass| {
                    if draft.kind == "callEnd" {
                        *ended = Some(draft.id().to_owned());
                    }
                    if draft.kind == "callLegUpdate"
                        && draft.value("call").is_some()
                        && let Some(call) = ended.take()
                    {
                        draft.replace("call", &call);
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
    row(
        "co-space-in-place-of-the-call",
        "REC-14",
        &[COUNTS, MOST, AGREEMENT],
        "A leg that leaves the IVR knows only the coSpace.",
        || {
            Fault::<BTreeMap<String, String>>::new()
                .record(|spaces, _, mut draft, pass| {
                    if draft.kind == "callStart"
                        && let Some(space) = draft.value("coSpace")
                    {
                        spaces.insert(draft.id().to_owned(), space.to_owned());
                    }
                    if draft.kind == "callLegUpdate"
                        && draft.value("ivr").is_none()
                        && let Some(space) = draft.value("call").and_then(|call| spaces.get(call))
                    {
                        draft.replace("call", &space.clone());
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
    row("state-active", "REC-15", &[DOMAIN, COUNTS, MOST], "The word of another interface is used.", || {
        values("callLegUpdate", "state", |_| "active".to_owned())
    }),
    row("state-ringing-reported", "REC-15", &[DOMAIN], "Updates report every state of signaling.", || {
        Fault::<()>::new()
            .record(|(), view, draft, pass| {
                let outgoing = draft.kind == "callLegStart" && draft.value("direction") == Some("outgoing");
                let ringing = outgoing.then(|| {
                    let mut update = draft.clone();
                    "callLegUpdate".clone_into(&mut update.kind);
                    update.content.children.retain(|field| field.name == "call" || field.name == "sipCallId");
                    update.set("state", "ringing");
                    update
                });
                let _ = view;
                pass.now(draft);
                if let Some(update) = ringing {
                    pass.now(update);
                }
            })
            .boxed()
    }),
    row("state-deactivated", "REC-15", &[DOMAIN], "Two fields were thought to be one.", || {
        of("callLegUpdate", |draft| {
            if draft.value("deactivated") == Some("true") {
                draft.replace("state", "deactivated");
            }
        })
    }),
    row("state-disconnected-before-the-end", "REC-15", &[], "The last state is reported like the others.", || {
        Fault::<BTreeMap<String, Draft>>::new()
            .record(|updates, _, draft, pass| {
                if draft.kind == "callLegUpdate" {
                    updates.insert(draft.id().to_owned(), draft.clone());
                }
                if draft.kind == "callLegEnd"
                    && let Some(mut update) = updates.remove(draft.id())
                    && update.value("state").is_some()
                    && draft.value("remoteTeardown") == Some("true")
                {
                    update.replace("state", "disconnected");
                    pass.now(update);
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row("confirmation-none", "REC-16", &[DOMAIN], "The name of an enumeration has changed.", || {
        records(|_, _, draft| {
            if draft.value("confirmationStatus") == Some("notRequired") {
                draft.replace("confirmationStatus", "none");
            }
            true
        })
    }),
    row("confirmation-required-again-at-the-end", "REC-16", &[], "The end shows how the leg was configured.", || {
        of("callLegEnd", |draft| {
            if draft.value("confirmationStatus") == Some("confirmed") {
                draft.replace("confirmationStatus", "required");
            }
        })
    }),
    row(
        "confirmation-required-again-after-a-change",
        "REC-16",
        &[],
        "A change of the leg applies its configuration anew.",
        || {
            Fault::<BTreeSet<String>>::new()
                .record(|confirmed, _, mut draft, pass| {
                    if draft.kind == "callLegUpdate" && draft.value("confirmationStatus") == Some("confirmed") {
                        let id = draft.id().to_owned();
                        if !confirmed.insert(id) {
                            draft.replace("confirmationStatus", "required");
                        }
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
    row("confirmation-with-capitals-at-the-end", "REC-16", &[DOMAIN], "A rejection is written by hand.", || {
        of("callLegEnd", |draft| {
            if draft.value("confirmationStatus") == Some("rejected") {
                draft.replace("confirmationStatus", "Rejected");
            }
        })
    }),
    row("reason-with-capital", "REC-17", &[], "The name of an enumeration is printed.", || {
        values("callLegEnd", "reason", |text| {
            let mut characters = text.chars();
            characters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(characters).collect()
        })
    }),
    row(
        "reason-empty-for-moved-legs",
        "REC-17",
        &[("REC-18", "the reason cannot be told"), DOMAIN],
        "A move is not an end, so it has no reason.",
        || {
            of("callLegEnd", |draft| {
                if draft.value("reason") == Some("callMoved") {
                    draft.replace("reason", "");
                }
            })
        },
    ),
    row(
        "reason-as-number-for-busy",
        "REC-17",
        &[("REC-18", "the reason cannot be told"), DOMAIN],
        "The cause of signaling is passed on.",
        || {
            of("callLegEnd", |draft| {
                if draft.value("reason") == Some("remoteBusy") {
                    draft.replace("reason", "486");
                }
            })
        },
    ),
    row("teardown-turned-round", "REC-18", &[], "The question was who remains.", || {
        of("callLegEnd", |draft| {
            let remote = draft.value("remoteTeardown") == Some("true");
            draft.replace("remoteTeardown", if remote { "false" } else { "true" });
            draft.remove("reasonDetails");
        })
    }),
    row("busy-is-local", "REC-18", &[], "The server ends what it could not set up.", || {
        of("callLegEnd", |draft| {
            if draft.value("reason") == Some("remoteBusy") {
                draft.replace("remoteTeardown", "false");
                draft.remove("reasonDetails");
            }
        })
    }),
    row("moved-leg-ended-by-the-far-end", "REC-18", &[], "The far end is told to go, and goes.", || {
        of("callLegEnd", |draft| {
            if draft.value("reason") == Some("callMoved") {
                draft.replace("remoteTeardown", "true");
            }
        })
    }),
    row("time-ran-out-at-the-far-end", "REC-18", &[], "Who does not react is to blame.", || {
        of("callLegEnd", |draft| {
            if matches!(draft.value("reason"), Some("timeout" | "ivrTimeout" | "confirmationTimeOut")) {
                draft.replace("remoteTeardown", "true");
            }
        })
    }),
    row("details-of-every-end", "REC-19", &[], "The kind of call is of interest always.", || {
        of("callLegEnd", |draft| draft.set("reasonDetails", "SIP call"))
    }),
    row("details-of-ends-over-the-api", "REC-19", &[], "The API's text is put where there is room.", || {
        of("callLegEnd", |draft| {
            if draft.value("reason") == Some("apiInitiatedTeardown") {
                draft.set("reasonDetails", "removed by request");
            }
        })
    }),
    row("details-empty-for-moved-legs", "REC-19", &[], "The element is written, then its text found missing.", || {
        of("callLegEnd", |draft| {
            if draft.value("reason") == Some("callMoved") {
                draft.set("reasonDetails", "SIP call");
            }
        })
    }),
    row("shares-in-thousandths", "REC-20", &[DOMAIN], "The unit of the media engine is passed on.", || {
        shares(|text| text.replace('.', "") + "0.0")
    }),
    row("alarm-longer-than-the-leg", "REC-20", &[], "The alarm's duration includes the time of detection.", || {
        of("callLegEnd", |draft| {
            for alarm in draft.content.children.iter_mut().filter(|child| child.name == "alarm") {
                for (_, share) in alarm.attributes.iter_mut().filter(|(name, _)| name == "durationPercentage") {
                    *share = "104.2".to_owned();
                }
            }
        })
    }),
    row("share-of-nothing-below-zero", "REC-20", &[DOMAIN], "Rounding is undone by a subtraction.", || {
        of("callLegEnd", |draft| {
            for group in draft.content.children.iter_mut().filter(|child| child.name == "mediaUsagePercentages") {
                for share in &mut group.children {
                    if share.name.starts_with("presentation") {
                        share.text = "-0.5".to_owned();
                    }
                }
            }
        })
    }),
    row("sip-call-id-of-the-end", "REC-21", &[], "The end shows the id of the last dialog.", || {
        values("callLegEnd", "sipCallId", |text| text.chars().rev().collect())
    }),
    row(
        "group-changes-when-the-leg-leaves-the-ivr",
        "REC-21",
        &[],
        "A leg that leaves the IVR is grouped anew.",
        || {
            Fault::<BTreeSet<String>>::new()
                .record(|seen, _, mut draft, pass| {
                    if draft.kind == "callLegUpdate" {
                        if draft.value("ivr").is_some() {
                            seen.insert(draft.id().to_owned());
                        } else if seen.contains(draft.id())
                            && let Some(call) = draft.value("call").map(str::to_owned)
                        {
                            draft.replace("groupId", &call);
                        }
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
    row("sip-call-id-of-the-leg-before", "REC-21", &[], "A pointer to the dialog is used again.", || {
        Fault::<Option<String>>::new()
            .record(|before, _, mut draft, pass| {
                let own = draft.value("sipCallId").map(str::to_owned);
                if draft.kind == "callLegUpdate"
                    && draft.value("deactivated") == Some("true")
                    && let Some(other) = before.clone()
                {
                    draft.replace("sipCallId", &other);
                }
                if draft.kind == "callLegStart" {
                    *before = own.map(|id| id.chars().rev().collect());
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row("recording-names-the-call-as-leg", "REC-22", &[], "One id is written into both fields.", || {
        of("recordingStart", |draft| {
            if let Some(call) = draft.value("call").map(str::to_owned) {
                draft.replace("callLeg", &call);
            }
        })
    }),
    row("recording-leg-not-marked", "REC-22", &[COUNTS, MOST], "The recorder is a client like any other.", || {
        of("callLegStart", |draft| {
            draft.remove("recording");
            draft.remove("streaming");
        })
    }),
    row("streaming-leg-marked-as-recording", "REC-22", &[COUNTS, MOST], "Streams are a kind of recording.", || {
        of("callLegStart", |draft| {
            if draft.value("streaming").is_some() {
                draft.remove("streaming");
                draft.set("recording", "true");
            }
        })
    }),
    row(
        "recording-names-the-leg-of-a-participant",
        "REC-22",
        &[],
        "The leg that asked for the recording is taken for the one that records.",
        || {
            Fault::<String>::new()
                .record(|last, _, mut draft, pass| {
                    let services = draft.value("recording").is_some() || draft.value("streaming").is_some();
                    if draft.kind == "callLegStart" && !services {
                        draft.id().clone_into(last);
                    }
                    if draft.kind == "recordingStart" && !last.is_empty() {
                        draft.replace("callLeg", last);
                    }
                    pass.now(draft);
                })
                .boxed()
        },
    ),
];

type Change = fn(&mut Draft);

/// A mutant that changes every record of one type.
fn of(kind: &'static str, change: Change) -> Box<dyn Mutant> {
    Fault::<Option<(&'static str, Change)>>::new()
        .record(|what, _, mut draft, pass| {
            if let Some((_, change)) = what.filter(|(kind, _)| draft.kind == *kind) {
                change(&mut draft);
            }
            pass.now(draft);
        })
        .with(Some((kind, change)))
        .boxed()
}

type Rewrite = fn(&str) -> String;

/// A mutant that writes the shares of media otherwise.
fn shares(change: Rewrite) -> Box<dyn Mutant> {
    Fault::<Option<Rewrite>>::new()
        .record(|change, _, mut draft, pass| {
            for group in draft.content.children.iter_mut().filter(|child| child.name == "mediaUsagePercentages") {
                for share in &mut group.children {
                    if let Some(change) = change {
                        share.text = change(&share.text);
                    }
                }
            }
            pass.now(draft);
        })
        .with(Some(change))
        .boxed()
}

/// The time of a record a second later.
fn a_second_later(time: &str) -> String {
    let later = time.parse::<jiff::Timestamp>().ok().and_then(|time| time.checked_add(Duration::from_secs(1)).ok());
    later.map_or_else(|| time.to_owned(), |time| time.to_string())
}
