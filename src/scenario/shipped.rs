//! The table of the shipped scenarios, which are part of the program so that it needs no files to run.
//!
//! A table rather than a macro that walks the folder: the compiler then sees every file as an input, the diff of a new
//! scenario shows it, and no further crate is needed. A test compares the table with the folder.

/// Makes the table from the ids.
macro_rules! shipped {
    ($($id:literal),* $(,)?) => {
        /// Each shipped scenario: its id and its text.
        pub(super) const SHIPPED: &[(&str, &str)] = &[
            $(($id, include_str!(concat!("../../scenarios/", $id, ".yaml")))),*
        ];
    };
}

shipped![
    "authentication/compression-offered",
    "authentication/connection-opens",
    "authentication/good-after-bad",
    "authentication/no-credentials",
    "authentication/subprotocol-offered",
    "authentication/token-altered",
    "authentication/token-in-header",
    "authentication/token-issued",
    "authentication/token-missing",
    "authentication/token-unknown",
    "authentication/token-used-after-close",
    "authentication/token-used-late",
    "authentication/token-used-twice",
    "authentication/two-tokens",
    "authentication/unknown-user",
    "authentication/unprivileged",
    "authentication/unprivileged-after-privileged",
    "authentication/worked-flow",
    "authentication/wrong-password",
    "cdr/alarm",
    "cdr/answer-later-than-patience",
    "cdr/answer-without-a-length",
    "cdr/answered-once",
    "cdr/bad-receiver-among-good-ones",
    "cdr/bundles",
    "cdr/call-bridge-id",
    "cdr/client-error-answer",
    "cdr/closed-after-body",
    "cdr/closed-at-start",
    "cdr/closed-in-body",
    "cdr/connection-closed-after-each-answer",
    "cdr/error-answer",
    "cdr/failure-in-the-middle",
    "cdr/failures-in-a-row",
    "cdr/fifth-receiver",
    "cdr/four-receivers",
    "cdr/half-answer",
    "cdr/https-receiver",
    "cdr/index-in-status",
    "cdr/intervals",
    "cdr/keep-alive",
    "cdr/keep-alive-after-a-failure",
    "cdr/late-answer",
    "cdr/list-of-receivers",
    "cdr/long-outage",
    "cdr/lost-answer",
    "cdr/no-answer",
    "cdr/no-path",
    "cdr/older-node",
    "cdr/one-receiver",
    "cdr/other-success",
    "cdr/path-and-query",
    "cdr/path-and-query-after-a-failure",
    "cdr/receiver-configured-late",
    "cdr/receiver-management",
    "cdr/receiver-removed-and-configured-again",
    "cdr/redirect",
    "cdr/refused-for-a-while",
    "cdr/reset-after-body",
    "cdr/reset-at-start",
    "cdr/reset-in-body",
    "cdr/restart",
    "cdr/restart-while-records-wait",
    "cdr/session",
    "cdr/short-outage",
    "cdr/silent-receiver-among-good-ones",
    "cdr/slow-reader",
    "cdr/three-bad-receivers",
    "cdr/two-long-outages",
    "cdr/unknown-receiver",
    "cdr/unreachable-receiver-among-good-ones",
    "clients/acks",
    "clients/envelopes",
    "clients/frames",
    "clients/full-limits",
    "clients/long-requests",
    "clients/requests",
    "clients/two-clients-acknowledge",
    "clients/two-connections",
    "clients/unknown-fields",
    "clients/unknown-messages",
    "limits/five-connections",
    "limits/five-times-a-hundred",
    "limits/hundred-and-one-subscriptions",
    "limits/hundred-subscriptions",
    "limits/one-more-on-top-of-a-hundred",
    "limits/place-free-after-close",
    "limits/place-free-after-drop",
    "limits/sixth-connection",
    "limits/sixth-connection-again",
    "limits/sixth-connection-many-times",
    "load/capacity",
    "load/cdr-storm",
    "load/listen",
    "load/ramp",
    "load/receiver-outage",
    "load/soak",
    "load/steady",
    "messages/ack-before-updates",
    "messages/ack-of-an-unknown-id",
    "messages/ack-with-another-status",
    "messages/acks-get-no-acks",
    "messages/acks-late",
    "messages/acks-repeated",
    "messages/acks-withheld",
    "messages/acks-withheld-by-both",
    "messages/acks-withheld-by-one-of-two",
    "messages/good-after-bad",
    "messages/id-large",
    "messages/id-negative",
    "messages/id-text",
    "messages/id-used-twice",
    "messages/id-zero",
    "messages/ids-collide",
    "messages/ids-collide-while-pending",
    "messages/ids-in-any-order",
    "messages/ids-of-open-messages-differ",
    "messages/ids-of-states-and-updates-differ",
    "messages/no-message-id",
    "messages/no-message-type",
    "messages/no-subscriptions",
    "messages/not-an-object",
    "messages/not-json",
    "messages/requests-acknowledged",
    "messages/requests-acknowledged-at-once",
    "messages/two-envelopes",
    "messages/unknown-envelope",
    "messages/unknown-message-type",
    "messages/unknown-message-type-again",
    "messages/worked-flow",
    "receivers/every-set",
    "receivers/everything-at-once",
    "receivers/gap",
    "receivers/many-sets-on-a-connection",
    "receivers/new-session",
    "receivers/patient-sender",
    "receivers/repeated-records",
    "receivers/several-records",
    "receivers/unknown-fields",
    "receivers/unknown-types",
    "receivers/vanishing-sender",
    "records/a-hundred-legs",
    "records/ad-hoc-call",
    "records/alarms-and-media",
    "records/arrivals-and-departures",
    "records/awkward-names",
    "records/call-of-a-space",
    "records/call-without-legs",
    "records/cdr-tag",
    "records/changes-while-a-leg-rings",
    "records/confirmation",
    "records/confirmation-rejected",
    "records/correlator-after-a-restart",
    "records/durations",
    "records/end-of-a-call",
    "records/endpoint-recording",
    "records/errors-of-either-side",
    "records/guide-traffic",
    "records/ivr",
    "records/ivr-left-without-a-call",
    "records/leg-updates",
    "records/legs-dialled",
    "records/legs-one-after-the-other",
    "records/long-flow",
    "records/longest-cdr-tag",
    "records/lync",
    "records/many-legs",
    "records/meta-data",
    "records/more-reasons-of-the-server",
    "records/move",
    "records/no-answer-to-a-dial",
    "records/overlapping-calls",
    "records/reasons-of-dials",
    "records/reasons-of-the-far-end",
    "records/reasons-of-the-server",
    "records/recording",
    "records/recording-and-streaming",
    "records/streaming",
    "records/three-channels",
    "records/three-channels-and-an-outage",
    "subscriptions/again-after-deactivated",
    "subscriptions/back-after-close",
    "subscriptions/back-after-drop",
    "subscriptions/call-missing",
    "subscriptions/call-not-a-guid",
    "subscriptions/calls-outlives-conferences",
    "subscriptions/conference-ends",
    "subscriptions/conference-ends-right-after-the-request",
    "subscriptions/conference-ends-while-pending",
    "subscriptions/dead-call-listed-again",
    "subscriptions/emptied",
    "subscriptions/emptied-again",
    "subscriptions/emptied-and-filled-again",
    "subscriptions/emptied-by-one-of-two",
    "subscriptions/emptied-long-ago",
    "subscriptions/ended-call",
    "subscriptions/index-for-another-call",
    "subscriptions/index-for-another-resource",
    "subscriptions/index-missing",
    "subscriptions/index-negative",
    "subscriptions/index-repeated",
    "subscriptions/index-text",
    "subscriptions/index-zero",
    "subscriptions/indexes-anyhow",
    "subscriptions/kept",
    "subscriptions/kept-in-another-order",
    "subscriptions/kept-many-times",
    "subscriptions/many-ghosts",
    "subscriptions/new",
    "subscriptions/new-while-things-change",
    "subscriptions/newcomer-among-subscribers",
    "subscriptions/one-ghost-among-good-ones",
    "subscriptions/other-elements",
    "subscriptions/quick-succession",
    "subscriptions/quick-succession-to-nothing",
    "subscriptions/re-indexed",
    "subscriptions/re-indexed-long-ago",
    "subscriptions/resource-twice",
    "subscriptions/settle-on-their-own",
    "subscriptions/shrunk",
    "subscriptions/shrunk-beside-another-client",
    "subscriptions/states-in-one-message",
    "subscriptions/unknown-call",
    "subscriptions/unknown-element",
    "subscriptions/unknown-type",
    "updates/can-move",
    "updates/can-move-to-lobby",
    "updates/conference-life",
    "updates/correlator-of-a-space",
    "updates/correlators-of-ad-hoc-calls",
    "updates/distributed-instances",
    "updates/elements-all",
    "updates/elements-empty",
    "updates/elements-left-out",
    "updates/elements-some",
    "updates/endpoint-recording",
    "updates/how-adds-look",
    "updates/how-changes-are-bundled",
    "updates/importance",
    "updates/join-audio-mute-override",
    "updates/joins-and-leaves",
    "updates/layout",
    "updates/lock",
    "updates/many-changes",
    "updates/move",
    "updates/move-seen-late",
    "updates/mute",
    "updates/name",
    "updates/names-of-parties",
    "updates/one-change-at-a-time",
    "updates/participant-life",
    "updates/recording",
    "updates/same-value-again",
    "updates/several-under-way",
    "updates/speaker-and-presenter",
    "updates/states-and-types",
    "updates/streaming",
    "updates/two-clients-alike",
    "updates/two-clients-and-mutes",
    "updates/two-clients-and-quick-changes",
    "updates/two-clients-and-ringing",
    "updates/two-clients-and-speakers",
    "updates/two-clients-and-unanswered-calls",
    "updates/two-clients-with-other-elements",
    "updates/two-clients-with-other-indexes",
    "updates/two-conferences",
    "updates/unanswered-calls",
    "updates/under-way",
    "updates/unsubscribed-changes",
    "updates/unsubscribed-counts",
    "websocket/bad-json",
    "websocket/bad-utf8",
    "websocket/binary",
    "websocket/busy-connection",
    "websocket/close",
    "websocket/close-again-and-again",
    "websocket/close-at-once",
    "websocket/close-of-two",
    "websocket/close-with-reason",
    "websocket/close-without-code",
    "websocket/continuation-alone",
    "websocket/false-length",
    "websocket/fragment-without-end",
    "websocket/fragmented-text",
    "websocket/long-frame",
    "websocket/long-messages",
    "websocket/names-in-many-scripts",
    "websocket/no-frames-at-all",
    "websocket/ping",
    "websocket/pong",
    "websocket/quiet-connection",
    "websocket/reserved-bits",
    "websocket/server-frames",
    "websocket/unknown-opcode",
    "websocket/unmasked",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::SHIPPED;
    use crate::scenario::{library, read, render};
    use crate::spec::{Subject, requirements};

    #[test]
    fn the_table_has_every_file_of_the_folder_and_no_other() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
        let found = library::select(&[folder.display().to_string()]).unwrap();
        let found: Vec<String> = found.into_iter().map(|source| source.id).collect();
        let table: Vec<&str> = SHIPPED.iter().map(|(id, _)| *id).collect();
        assert_eq!(table, found, "src/scenario/shipped.rs lists what lies in scenarios/, in order");
    }

    #[test]
    fn every_shipped_scenario_is_clean() {
        let mut shown = String::new();
        for source in library::shipped() {
            if let Err(errors) = read(&source.file, &source.text) {
                shown.push_str(&render(&source.text, &errors, false));
            }
        }
        assert!(shown.is_empty(), "\n{shown}");
    }

    #[test]
    fn every_requirement_of_server_and_sender_is_put_to_the_test() {
        let mut scenarios: BTreeMap<String, usize> = BTreeMap::new();
        for source in library::shipped() {
            for id in read(&source.file, &source.text).unwrap().exercises {
                *scenarios.entry(id.value).or_default() += 1;
            }
        }
        let missing: Vec<_> = requirements::all()
            .filter(|id| ["AUTH", "WS", "MSG", "SUB", "UPD", "LIM", "CDR", "REC"].contains(&id.get().area()))
            // Scenarios judge no receiver of records but their own.
            .filter(|id| id.get().subject != Subject::Receiver)
            // Need a cluster of several servers.
            .filter(|id| !["LIM-08", "CDR-17", "REC-23"].contains(&id.as_str()))
            .filter(|id| !scenarios.contains_key(id.as_str()))
            .collect();
        assert!(missing.is_empty(), "no scenario exercises {missing:?}");
    }

    #[test]
    fn every_shipped_scenario_tells_editors_its_schema() {
        for source in library::shipped() {
            let up = "../".repeat(source.file.matches('/').count());
            let line = format!("# yaml-language-server: $schema={up}docs/scenario.schema.json\n");
            assert!(source.text.starts_with(&line), "{} begins with {line}", source.file);
        }
    }
}
