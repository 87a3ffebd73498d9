//! Named dialects: conformant variations of the emulated server, each a list of settings.
//!
//! No requirement may fail on any of them. Several can be applied one after the other.

/// A named list of settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// What is different.
    pub doc: &'static str,
    /// Keys and values.
    pub settings: &'static [(&'static str, &'static str)],
}

/// All dialects.
pub const DIALECTS: &[Dialect] = &[
    Dialect { name: "guide", doc: "The guides' example server: the default.", settings: &[] },
    Dialect {
        name: "one-token-one-use",
        doc: "Tokens are good once and not for long.",
        settings: &[("token-uses", "1"), ("token-lifetime", "30s"), ("bad-token-status", "403")],
    },
    Dialect {
        name: "kept-alive",
        doc: "The token answer keeps its connection; lower case headers.",
        settings: &[("token-response-closes", "false"), ("header-case", "lower")],
    },
    Dialect {
        name: "late",
        doc: "Everything takes its time, and never quite the same.",
        settings: &[
            ("ack-delay", "40ms"),
            ("calls-delay", "120ms"),
            ("info-delay", "60ms"),
            ("roster-delay", "250ms"),
            ("answer-delay", "30ms"),
            ("dial-delay", "100ms"),
            ("answer-after", "300ms"),
            ("jitter", "100"),
        ],
    },
    Dialect {
        name: "hard-on-receivers",
        doc: "Records that no guide knows, several in a set, and connections that end in the middle of one.",
        settings: &[
            ("cdr-extra-fields", "true"),
            ("cdr-extra-records", "2"),
            ("cdr-batch-delay", "20ms"),
            ("cdr-cut-every", "4"),
        ],
    },
    Dialect { name: "wide-window", doc: "Eight messages may be unacknowledged.", settings: &[("window", "8")] },
    Dialect { name: "no-window", doc: "Nothing is ever held back.", settings: &[("window", "any")] },
    Dialect {
        name: "coalescing",
        doc: "While messages are held back only the newest values are kept.",
        settings: &[("backlog", "coalesce")],
    },
    Dialect {
        name: "bundling",
        doc: "Changes are collected for a while.",
        settings: &[("bundle-delay", "50ms"), ("states-listed", "all"), ("left-out", "together")],
    },
    Dialect {
        name: "single-entries",
        doc: "One entry per message.",
        settings: &[("entries-per-message", "1"), ("states-bundled", "false")],
    },
    Dialect {
        name: "no-pending",
        doc: "New subscriptions are not reported pending.",
        settings: &[("pending-reported", "false")],
    },
    Dialect {
        name: "random-ids",
        doc: "Each connection has message ids of its own, far apart.",
        settings: &[("random-ids", "true"), ("id-step", "7")],
    },
    Dialect {
        name: "texts",
        doc: "Booleans are texts, unset names are absent.",
        settings: &[("booleans", "text"), ("unset", "absent")],
    },
    Dialect {
        name: "spelling",
        doc: "Other order, white space and letter case wherever they do not matter.",
        settings: &[
            ("key-order", "reversed"),
            ("white-space", "pretty"),
            ("header-case", "upper"),
            ("upper-case-guids", "true"),
            ("list-order", "newest"),
        ],
    },
    Dialect {
        name: "talkative",
        doc: "Fields and messages that no guide knows, and the call's GUID in callInfo.",
        settings: &[("extra-fields", "true"), ("extra-messages", "5"), ("call-in-call-info", "true")],
    },
    Dialect {
        name: "connected-only",
        doc: "Who rings does not count; who left leaves no reason.",
        settings: &[("ringing-counts", "false"), ("remove-reason", "false"), ("cdr-count-unconnected", "false")],
    },
    Dialect {
        name: "closes",
        doc: "What does not belong ends the connection.",
        settings: &[
            ("on-ping", "close"),
            ("on-pong", "close-1003"),
            ("on-bad-json", "close-1007"),
            ("on-unknown-message", "close-1008"),
            ("full-refusal", "close-1013"),
        ],
    },
    Dialect {
        name: "shrugs",
        doc: "What does not belong is passed over.",
        settings: &[
            ("on-ping", "ignore"),
            ("on-binary", "ignore"),
            ("on-fragment", "ignore"),
            ("on-bad-utf8", "ignore"),
            ("on-unmasked", "ignore"),
            ("duplicate-index", "last"),
            ("unknown-type", "skip"),
            ("missing-call", "deactivate"),
            ("odd-index", "skip"),
            ("excess", "truncate"),
        ],
    },
    Dialect {
        name: "refuses",
        doc: "What does not belong is acknowledged with a failure.",
        settings: &[
            ("on-bad-json", "refuse"),
            ("on-unknown-message", "refuse"),
            ("refusal-status", "error"),
            ("refuse-unknown-elements", "true"),
        ],
    },
    Dialect {
        name: "silent-refusals",
        doc: "Refused requests get no ack.",
        settings: &[("ack-refused", "false"), ("excess", "silent"), ("full-refusal", "429")],
    },
    Dialect {
        name: "slow-to-free",
        doc: "A place is taken for a while after its connection has ended.",
        settings: &[("place-delay", "1s")],
    },
    Dialect {
        name: "small-pages",
        doc: "API lists come in small pages, in the order of ids, and missing objects are 400.",
        settings: &[("list-cap", "3"), ("list-order", "id"), ("missing-status", "400"), ("unrecognized", "british")],
    },
    Dialect {
        name: "record-by-record",
        doc: "One record per POST, and a connection for each.",
        settings: &[
            ("cdr-batch", "1"),
            ("cdr-keep-alive", "false"),
            ("cdr-content-type", "application/xml; charset=utf-8"),
            ("cdr-user-agent", "CMS"),
        ],
    },
    Dialect {
        name: "records-collected",
        doc: "Records are collected for a while and sent together.",
        settings: &[("cdr-batch", "any"), ("cdr-batch-delay", "250ms"), ("cdr-call-in-start", "known")],
    },
    Dialect {
        name: "records-over-http-1-0",
        doc: "POSTs are HTTP/1.0 without a Content-Type.",
        settings: &[("cdr-http-1-0", "true"), ("cdr-content-type", ""), ("header-case", "upper")],
    },
    Dialect {
        name: "records-by-a-clock-that-is-set",
        doc: "The clock that records are stamped by is set back and forward all the time.",
        settings: &[("cdr-clock-set-every", "700ms")],
    },
    Dialect {
        name: "records-of-tomorrow",
        doc: "No recordIndex any more, times with fractions, other letter case where the guides differ.",
        settings: &[
            ("cdr-record-index", "false"),
            ("cdr-time-fractions", "true"),
            ("cdr-rounding", "up"),
            ("cdr-multistream-capital", "true"),
            ("cdr-confirmation-lower", "true"),
            ("cdr-extra-fields", "true"),
        ],
    },
    Dialect {
        name: "records-of-yesterday",
        doc: "The older spelling of missing records, empty elements, an external recorder, only 200 acknowledges.",
        settings: &[
            ("cdr-older-missing", "true"),
            ("cdr-empty-fields", "true"),
            ("cdr-recorder", "uri"),
            ("cdr-rounding", "nearest"),
            ("cdr-strict-200", "true"),
        ],
    },
    Dialect {
        name: "terse-records",
        doc: "Records hold what they must; the call and the connection are told once, by updates.",
        settings: &[
            ("cdr-optional-fields", "false"),
            ("cdr-state-once", "true"),
            ("cdr-ivr-reported", "false"),
            ("cdr-call-in-start", "never"),
        ],
    },
    Dialect {
        name: "rearranged-records",
        doc: "Elements in another order and with white space; legs that record or stream count.",
        settings: &[("cdr-order", "reversed"), ("cdr-white-space", "pretty"), ("cdr-count-services", "true")],
    },
    Dialect {
        name: "patient-with-receivers",
        doc: "Repetitions come seldom and at even intervals, and more records are kept.",
        settings: &[
            ("cdr-retry-first", "800ms"),
            ("cdr-retry-factor", "1"),
            ("cdr-answer-timeout", "2s"),
            ("cdr-queue", "1000"),
            ("cdr-new-uri-new-start", "false"),
            ("restart-time", "1s"),
        ],
    },
    Dialect {
        name: "kept-records",
        doc: "A receiver that is configured late gets the last records before, too.",
        settings: &[("cdr-late-receiver", "kept"), ("setup-delay", "100ms")],
    },
    Dialect {
        name: "records-cut-anew",
        doc: "What was sent in vain is put together anew, with newer records, or without those there is no room for.",
        settings: &[("cdr-repeat", "anew"), ("cdr-batch", "3"), ("cdr-queue", "5")],
    },
    Dialect {
        name: "records-one-by-one-after-failures",
        doc: "After a failure one record is sent alone; idle connections are closed.",
        settings: &[
            ("cdr-repeat", "single"),
            ("cdr-idle-limit", "3s"),
            ("cdr-overflow", "newest"),
            ("cdr-queue", "10"),
        ],
    },
    Dialect {
        name: "half-open",
        doc: "A connection whose answer is late is left as it is, and another one opened.",
        settings: &[("cdr-half-open", "true"), ("cdr-repeat", "anew"), ("cdr-answer-timeout", "1200ms")],
    },
    Dialect {
        name: "backs-off-to-a-minute",
        doc: "Each repetition waits four times as long as the one before, up to a minute.",
        settings: &[("cdr-retry-first", "1s"), ("cdr-retry-factor", "4"), ("cdr-retry-longest", "60s")],
    },
    Dialect {
        name: "nothing-unreceived",
        doc: "What happens without a receiver is in no record and has no index; GUIDs of receivers are used again.",
        settings: &[("cdr-count-unreceived", "false"), ("cdr-ids-reused", "true"), ("cdr-empty-values", "true")],
    },
    Dialect { name: "clustered", doc: "The Call Bridge is in a cluster.", settings: &[("clustered", "true")] },
];

/// The dialect of that name.
pub fn find(name: &str) -> Option<&'static Dialect> {
    DIALECTS.iter().find(|dialect| dialect.name == name)
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    #[test]
    fn every_dialect_applies_and_names_are_unique() {
        let mut seen = std::collections::BTreeSet::new();
        for dialect in DIALECTS {
            assert!(seen.insert(dialect.name), "{} twice", dialect.name);
            let mut settings = Settings::default();
            settings.apply(dialect.name).unwrap();
            assert_eq!(settings == Settings::default(), dialect.settings.is_empty(), "{}", dialect.name);
        }
    }
}
