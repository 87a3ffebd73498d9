//! Mutants of each field of call detail records: a value outside of its domain, an undocumented word, a value that
//! changes, in one type of record each (REC-02, REC-10, REC-12, REC-14 to REC-22).

use super::super::cdr::Draft;
use super::super::mutant::Mutant;
use super::fault::{Fault, records};
use super::records_course::values;
use super::registry::{Registered, row};
use crate::protocol::api::xml::Element;

pub(super) const MUTANTS: &[Registered] = &[
    row("call-type-meeting", "REC-02", &[], "Ad hoc calls were given a new name.", || {
        values("callStart", "callType", |text| if text == "adHoc" { "meeting" } else { text }.to_owned())
    }),
    row("call-type-lync-conference", "REC-02", &[], "The word of another interface is used.", || {
        values("callStart", "callType", |text| if text == "coSpace" { "cospace" } else { text }.to_owned())
    }),
    row("correlator-in-short-form", "REC-02", &[], "GUIDs are written in their short form.", || {
        values("callStart", "callCorrelator", |text| text.replace('-', ""))
    }),
    row(
        "co-space-by-its-name",
        "REC-02",
        &[("REC-10", "the coSpace is another one")],
        "Spaces are known by name.",
        || values("callStart", "coSpace", |_| "staff room".to_owned()),
    ),
    row("metadata-configured-as-number", "REC-02", &[], "A boolean of the database is a number.", || {
        values("callStart", "coSpaceMetaDataConfigured", |text| u8::from(text == "true").to_string())
    }),
    row("completed-in-words", "REC-02", &[], "Zero is written for people.", || {
        values("callEnd", "callLegsCompleted", |text| if text == "0" { "none" } else { text }.to_owned())
    }),
    row("completed-below-zero", "REC-02", &[], "The counter is lowered once too often.", || {
        values("callEnd", "callLegsCompleted", |text| if text == "0" { "-1".to_owned() } else { text.to_owned() })
    }),
    row("most-active-as-a-share", "REC-02", &[], "The number is shown beside the licence.", || {
        values("callEnd", "callLegsMaxActive", |text| format!("{text}/1000"))
    }),
    row("most-active-in-an-element-of-its-own", "REC-02", &[], "Counters became structures.", || {
        nested("callEnd", "callLegsMaxActive", "count")
    }),
    row("duration-of-calls-as-a-clock", "REC-02", &[], "Durations go through the formatter of the log.", || {
        values("callEnd", "durationSeconds", |text| {
            let seconds = text.parse::<u64>().unwrap_or_default();
            format!("{:02}:{:02}", seconds / 60, seconds % 60)
        })
    }),
    row("duration-of-legs-with-unit", "REC-02", &[], "A unit makes it clear.", || {
        values("callLegEnd", "durationSeconds", |text| format!("{text}s"))
    }),
    row("activated-duration-below-zero", "REC-02", &[], "What was never activated began in the future.", || {
        values("callLegEnd", "activatedDuration", |text| if text == "0" { "-1" } else { text }.to_owned())
    }),
    row("guest-connection-in-words", "REC-02", &[], "A form's value is stored as it is.", || {
        values("callLegStart", "guestConnection", |text| if text == "true" { "yes" } else { "no" }.to_owned())
    }),
    row(
        "recording-leg-as-number",
        "REC-02",
        &[
            ("REC-06", "the leg is not marked, and counts"),
            ("REC-07", "the leg is not marked, and counts"),
            ("REC-22", "the leg is not marked"),
        ],
        "A boolean of the database is a number.",
        || values("callLegStart", "recording", |text| u8::from(text == "true").to_string()),
    ),
    row(
        "streaming-leg-with-capital",
        "REC-02",
        &[
            ("REC-06", "the leg is not marked, and counts"),
            ("REC-07", "the leg is not marked, and counts"),
            ("REC-22", "the leg is not marked"),
        ],
        "A script prints its booleans.",
        || values("callLegStart", "streaming", |text| if text == "true" { "True" } else { "False" }.to_owned()),
    ),
    row("leg-type-cma", "REC-02", &[], "The app was given a new name.", || {
        values("callLegStart", "type", |text| if text == "acano" { "cma" } else { text }.to_owned())
    }),
    row(
        "sub-type-teams",
        "REC-02",
        &[("REC-13", "what belongs to lync stands on it")],
        "The other product was given a new name.",
        || values("callLegStart", "subType", |text| if text == "lync" { "skype" } else { text }.to_owned()),
    ),
    row("sub-type-web-app-spelt-otherwise", "REC-02", &[], "The word is spelt as elsewhere in the product.", || {
        values("callLegStart", "subType", |text| if text == "webApp" { "webapp" } else { text }.to_owned())
    }),
    row("lync-sub-type-by-number", "REC-02", &[], "The number of an enumeration is sent.", || {
        values("callLegStart", "lyncSubType", |_| "2".to_owned())
    }),
    row("direction-both", "REC-02", &[], "A leg that was moved has both.", || {
        Fault::<()>::new()
            .record(|(), _, mut draft, pass| {
                if draft.kind == "callLegStart" && draft.value("movedCallLeg").is_some_and(|text| !text.is_empty()) {
                    draft.replace("direction", "both");
                }
                pass.now(draft);
            })
            .boxed()
    }),
    row(
        "group-by-number",
        "REC-02",
        &[("REC-21", "the group is another one later")],
        "Groups were numbered in an older release.",
        || values("callLegStart", "groupId", |_| "17".to_owned()),
    ),
    row(
        "group-in-updates-by-number",
        "REC-02",
        &[("REC-21", "the group is another one later")],
        "Groups were numbered in an older release.",
        || values("callLegUpdate", "groupId", |_| "17".to_owned()),
    ),
    row("can-move-at-the-start-as-number", "REC-02", &[], "A boolean of the database is a number.", || {
        values("callLegStart", "canMove", |text| u8::from(text == "true").to_string())
    }),
    row("moved-leg-by-address", "REC-02", &[], "Legs are known by their SIP id.", || {
        values("callLegStart", "movedCallLeg", |_| "1b2c@10.1.2.3".to_owned())
    }),
    row("moved-leg-bridge-by-name", "REC-02", &[], "Servers are known by name.", || {
        values("callLegStart", "movedCallLegCallBridge", |_| "bridge-two".to_owned())
    }),
    row("remote-teardown-in-words", "REC-02", &[], "Who ended it is said in words.", || {
        values("callLegEnd", "remoteTeardown", |text| if text == "true" { "remote" } else { "local" }.to_owned())
    }),
    row("encrypted-media-as-number", "REC-02", &[], "A boolean of the database is a number.", || {
        values("callLegEnd", "encryptedMedia", |text| u8::from(text == "true").to_string())
    }),
    row("unencrypted-media-partly", "REC-02", &[], "Some streams are, and some are not.", || {
        values("callLegEnd", "unencryptedMedia", |text| if text == "true" { "partly" } else { text }.to_owned())
    }),
    row("deactivated-at-an-instant", "REC-02", &[], "The column holds when it was.", || {
        values("callLegUpdate", "deactivated", |text| {
            if text == "true" { "2026-01-01T00:00:00Z" } else { text }.to_owned()
        })
    }),
    row(
        "call-of-an-update-by-number",
        "REC-02",
        &[
            ("REC-06", "the legs of a call cannot be told"),
            ("REC-07", "the legs of a call cannot be told"),
            ("REC-24", "the legs of a call cannot be told"),
            ("REC-14", "no call is named"),
        ],
        "Calls were numbered in an older release.",
        || values("callLegUpdate", "call", |_| "42".to_owned()),
    ),
    row("ivr-true", "REC-02", &[], "Every field has a value.", || {
        records(|_, _, draft| {
            if draft.kind == "callLegUpdate" {
                draft.replace("ivr", "true");
            }
            true
        })
    }),
    row(
        "call-of-a-recording-by-name",
        "REC-02",
        &[("REC-22", "no call is named")],
        "Files are named after the space.",
        || values("recordingStart", "call", |_| "staff room".to_owned()),
    ),
    row(
        "leg-of-a-stream-by-address",
        "REC-02",
        &[("REC-22", "no leg is named")],
        "The streamer knows the leg by its address.",
        || values("streamingStart", "callLeg", |_| "sip:streamer@example.com".to_owned()),
    ),
    row("codec-of-video-of-its-own", "REC-02", &[], "A newer codec has no word yet.", || {
        inside("rxVideo", |part| part.name == "codec", |_| "h265".to_owned())
    }),
    row("codec-of-audio-unknown", "REC-02", &[], "What was never negotiated has a word inside.", || {
        inside("txAudio", |part| part.name == "codec", |_| "unknown".to_owned())
    }),
    row("width-with-height", "REC-02", &[], "A size is printed in one.", || {
        inside("rxVideo", |part| part.name == "maxSizeWidth", |text| format!("{text}x720"))
    }),
    row("height-with-unit", "REC-02", &[], "A unit makes it clear.", || {
        inside("txVideo", |part| part.name == "maxSizeHeight", |text| format!("{text}p"))
    }),
    row("screens-unlimited", "REC-02", &[], "The largest number is printed as a word.", || {
        records(|_, _, draft| {
            for group in
                draft.content.children.iter_mut().filter(|group| group.name.eq_ignore_ascii_case("multistreamVideo"))
            {
                group.children.iter_mut().for_each(|part| "unlimited".clone_into(&mut part.text));
            }
            true
        })
    }),
    row("alarm-of-its-own", "REC-02", &[], "A new alarm has no word in the guide.", || {
        alarms("type", |text| if text == "packetLoss" { "videoFreeze".to_owned() } else { text.to_owned() })
    }),
    row("alarm-spelt-with-capital", "REC-02", &[], "The name of an enumeration is printed.", || {
        alarms("type", |text| format!("{}{}", text[..1].to_uppercase(), &text[1..]))
    }),
    row("alarm-duration-with-sign", "REC-02", &[], "A sign of percent makes it clear.", || {
        alarms("durationPercentage", |text| format!("{text}%"))
    }),
    row("alarm-duration-in-seconds", "REC-20", &[], "The column was seconds in an older release.", || {
        alarms("durationPercentage", |text| format!("{}", 1000.0 + text.parse::<f64>().unwrap_or_default()))
    }),
    row("share-of-one-viewer-beyond-a-hundred", "REC-20", &[], "Both screens of a viewer are added up.", || {
        inside("mediaUsagePercentages", |part| part.name == "mainVideoViewer", |_| "130.0".to_owned())
    }),
    row("media-usage-as-text", "REC-02", &[], "A structure is printed in one line.", || {
        records(|_, _, draft| {
            for group in draft.content.children.iter_mut().filter(|group| group.name == "mediaUsagePercentages") {
                group.children.clear();
                "mainVideoViewer=100".clone_into(&mut group.text);
            }
            true
        })
    }),
    row("state-connecting", "REC-15", &[], "The word of the leg's own state is used.", || {
        values("callLegUpdate", "state", |_| "connecting".to_owned())
    }),
    row("state-empty-where-not-connected", "REC-15", &[], "Every field is written.", || {
        records(|_, _, draft| {
            if draft.kind == "callLegUpdate" && draft.value("state").is_none() {
                draft.set("state", "");
            }
            true
        })
    }),
    row("confirmation-pending", "REC-16", &[], "The word of the leg's own state is used.", || {
        values("callLegStart", "confirmationStatus", |text| {
            if text == "required" { "pending" } else { text }.to_owned()
        })
    }),
    row("confirmation-of-updates-yes", "REC-16", &[], "A form's value is stored as it is.", || {
        values("callLegUpdate", "confirmationStatus", |text| if text == "confirmed" { "yes" } else { text }.to_owned())
    }),
    row("rejected-spelt-otherwise", "REC-16", &[], "The word is that of the log.", || {
        values("callLegEnd", "confirmationStatus", |text| if text == "rejected" { "declined" } else { text }.to_owned())
    }),
    row("reason-by-number", "REC-17", &[], "The number of SIP is passed on.", || {
        values("callLegEnd", "reason", |text| if text == "remoteBusy" { "486" } else { text }.to_owned())
    }),
    row("reason-of-the-far-end-in-other-words", "REC-17", &[], "The word of another interface is used.", || {
        values("callLegEnd", "reason", |text| if text == "remoteTeardown" { "farEndHangUp" } else { text }.to_owned())
    }),
    row("reason-empty-after-a-restart-of-media", "REC-17", &[], "What is unknown is left empty.", || {
        values("callLegEnd", "reason", |text| if text == "error" { "" } else { text }.to_owned())
    }),
    row(
        "busy-ended-by-the-server",
        "REC-18",
        &[("REC-19", "the details stand on a teardown by the server")],
        "Who sends the last message is taken for the one who ended it.",
        || teardown("remoteBusy", "false"),
    ),
    row("ivr-timeout-ended-by-the-far-end", "REC-18", &[], "The far end's answer is taken for its wish.", || {
        teardown("ivrTimeout", "true")
    }),
    row("api-teardown-ended-by-the-far-end", "REC-18", &[], "Who asked over the API is not the server.", || {
        teardown("apiInitiatedTeardown", "true")
    }),
    row("sip-id-lost-in-updates", "REC-21", &[], "The id of the newest transaction is written.", || {
        values("callLegUpdate", "sipCallId", |text| format!("{text};branch=1"))
    }),
    row("sip-id-of-ends-cut", "REC-21", &[], "The column of the database is shorter.", || {
        values("callLegEnd", "sipCallId", |text| text.chars().take(8).collect())
    }),
];

/// A mutant that writes a field as an element within the field.
fn nested(kind: &'static str, field: &'static str, part: &'static str) -> Box<dyn Mutant> {
    Fault::<(&'static str, &'static str, &'static str)>::new()
        .record(|(kind, field, part), _, mut draft, pass| {
            if draft.kind == *kind {
                for child in draft.content.children.iter_mut().filter(|child| child.name == *field) {
                    let text = std::mem::take(&mut child.text);
                    child.children.push(Element { name: (*part).to_owned(), text, ..Element::default() });
                }
            }
            pass.now(draft);
        })
        .with((kind, field, part))
        .boxed()
}

type IsPart = fn(&Element) -> bool;
type Rewrite = fn(&str) -> String;

/// A mutant that writes parts of a group otherwise.
fn inside(group: &'static str, which: IsPart, change: Rewrite) -> Box<dyn Mutant> {
    Fault::<(&'static str, Option<(IsPart, Rewrite)>)>::new()
        .record(|(group, what), _, mut draft, pass| {
            for found in draft.content.children.iter_mut().filter(|child| child.name == *group) {
                if let Some((which, change)) = what {
                    found
                        .children
                        .iter_mut()
                        .filter(|part| which(part))
                        .for_each(|part| part.text = change(&part.text));
                }
            }
            pass.now(draft);
        })
        .with((group, Some((which, change))))
        .boxed()
}

/// A mutant that writes what an alarm says otherwise, as attribute or as part.
fn alarms(name: &'static str, change: Rewrite) -> Box<dyn Mutant> {
    Fault::<(&'static str, Option<Rewrite>)>::new()
        .record(|(name, change), _, mut draft, pass| {
            if let Some(change) = change {
                for alarm in draft.content.children.iter_mut().filter(|child| child.name == "alarm") {
                    let meant = alarm.attributes.iter_mut().filter(|(known, _)| known == name);
                    meant.for_each(|(_, text)| *text = change(text));
                    let meant = alarm.children.iter_mut().filter(|part| part.name == *name);
                    meant.for_each(|part| part.text = change(&part.text));
                }
            }
            pass.now(draft);
        })
        .with((name, Some(change)))
        .boxed()
}

/// A mutant that says otherwise who ended legs of that reason.
fn teardown(reason: &'static str, told: &'static str) -> Box<dyn Mutant> {
    fn change((reason, told): (&str, &str), draft: &mut Draft) {
        if draft.kind == "callLegEnd" && draft.value("reason") == Some(reason) {
            draft.replace("remoteTeardown", told);
        }
    }
    Fault::<(&'static str, &'static str)>::new()
        .record(|what, _, mut draft, pass| {
            change(*what, &mut draft);
            pass.now(draft);
        })
        .with((reason, told))
        .boxed()
}
