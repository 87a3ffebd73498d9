//! What the guides leave free, as settings with all values worth trying; and dialects drawn from it at random.
//!
//! Every combination is a conformant server: no requirement but a *should* may have a finding on it.

use rand::{Rng, RngExt as _};

use super::settings::Settings;

/// A setting and values of it that conform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freedom {
    /// The key of the setting.
    pub key: &'static str,
    /// Values worth trying.
    pub values: &'static [&'static str],
    /// The requirements that leave it open, or whose rules have to bear with it.
    pub about: &'static [&'static str],
}

/// How many settings a random dialect changes at most.
const MOST_CHANGES: usize = 12;

/// All freedoms.
pub const FREEDOMS: &[Freedom] = &[
    Freedom { key: "token-uses", values: &["1", "any"], about: &["AUTH-09"] },
    Freedom { key: "token-lifetime", values: &["0ms", "30s"], about: &["AUTH-09"] },
    Freedom { key: "token-response-closes", values: &["true", "false"], about: &["AUTH-09"] },
    Freedom { key: "token-in-header", values: &["true", "false"], about: &["AUTH-09"] },
    Freedom { key: "unauthorized-status", values: &["401", "403"], about: &["AUTH-09", "AUTH-02"] },
    Freedom { key: "bad-token-status", values: &["401", "403", "400"], about: &["AUTH-09", "AUTH-05"] },
    Freedom { key: "full-refusal", values: &["503", "403", "close-1013", "429"], about: &["LIM-10", "LIM-02"] },
    Freedom { key: "place-delay", values: &["0ms", "200ms", "2s"], about: &["LIM-10", "LIM-03"] },
    Freedom { key: "excess", values: &["refuse", "truncate", "silent"], about: &["LIM-10", "LIM-05"] },
    Freedom { key: "refusal-status", values: &["failure", "error", "tooMany"], about: &["MSG-12"] },
    Freedom { key: "ack-refused", values: &["true", "false"], about: &["MSG-12"] },
    Freedom { key: "on-ping", values: &["answer", "ignore", "close"], about: &["WS-09"] },
    Freedom { key: "on-pong", values: &["ignore", "close-1003"], about: &["WS-09"] },
    Freedom { key: "on-binary", values: &["ignore", "close-1003"], about: &["WS-09"] },
    Freedom { key: "on-fragment", values: &["ignore", "close-1003"], about: &["WS-09"] },
    Freedom { key: "on-bad-utf8", values: &["ignore", "close-1007"], about: &["WS-09"] },
    Freedom { key: "on-bad-json", values: &["ignore", "refuse", "close-1007"], about: &["MSG-12"] },
    Freedom { key: "on-unknown-message", values: &["ignore", "refuse", "close-1008"], about: &["MSG-12"] },
    Freedom { key: "on-unmasked", values: &["ignore", "close-1002"], about: &["WS-09"] },
    Freedom { key: "duplicate-index", values: &["refuse", "last"], about: &["SUB-18"] },
    Freedom { key: "unknown-type", values: &["refuse", "skip"], about: &["SUB-18"] },
    Freedom { key: "missing-call", values: &["refuse", "deactivate"], about: &["SUB-18"] },
    Freedom { key: "odd-index", values: &["refuse", "skip"], about: &["SUB-18"] },
    Freedom { key: "refuse-unknown-elements", values: &["true", "false"], about: &["SUB-18"] },
    Freedom { key: "ack-delay", values: &["0ms", "40ms", "400ms"], about: &["MSG-03", "MSG-11"] },
    Freedom { key: "pending-reported", values: &["true", "false"], about: &["SUB-01", "SUB-05"] },
    Freedom { key: "calls-delay", values: &["0ms", "10ms", "300ms"], about: &["SUB-02", "SUB-06"] },
    Freedom { key: "info-delay", values: &["0ms", "15ms", "1s"], about: &["SUB-02", "SUB-06"] },
    Freedom { key: "roster-delay", values: &["0ms", "20ms", "700ms"], about: &["SUB-02", "SUB-06"] },
    Freedom { key: "jitter", values: &["0", "100"], about: &["SUB-06", "SUB-14"] },
    Freedom { key: "states-listed", values: &["changed", "all"], about: &["SUB-18"] },
    Freedom { key: "states-bundled", values: &["true", "false"], about: &["SUB-18"] },
    Freedom { key: "left-out", values: &["separate", "together"], about: &["SUB-18", "SUB-07"] },
    Freedom { key: "window", values: &["1", "2", "8", "64", "any"], about: &["MSG-07"] },
    Freedom { key: "backlog", values: &["queue", "coalesce"], about: &["MSG-07", "UPD-14"] },
    Freedom { key: "backlog-limit", values: &["10", "1000"], about: &["MSG-07", "UPD-14"] },
    Freedom { key: "first-id", values: &["0", "1", "4294967296"], about: &["MSG-08", "MSG-09"] },
    Freedom { key: "id-step", values: &["1", "7"], about: &["MSG-08", "MSG-09"] },
    Freedom { key: "random-ids", values: &["true", "false"], about: &["MSG-08", "MSG-09"] },
    Freedom { key: "bundle-delay", values: &["0ms", "5ms", "50ms", "250ms"], about: &["UPD-20"] },
    Freedom { key: "entries-per-message", values: &["1", "2", "any"], about: &["UPD-20"] },
    Freedom { key: "booleans", values: &["json", "text"], about: &["UPD-20", "UPD-08"] },
    Freedom { key: "numbers", values: &["json", "text"], about: &["UPD-08"] },
    Freedom { key: "unset", values: &["empty", "absent", "null"], about: &["UPD-20", "UPD-07"] },
    Freedom { key: "call-in-call-info", values: &["true", "false"], about: &["UPD-04"] },
    Freedom { key: "remove-reason", values: &["true", "false"], about: &["UPD-20"] },
    Freedom { key: "ringing-counts", values: &["true", "false"], about: &["UPD-15"] },
    Freedom { key: "extra-fields", values: &["true", "false"], about: &["MSG-13", "UPD-04"] },
    Freedom { key: "extra-messages", values: &["0", "5"], about: &["MSG-13"] },
    Freedom { key: "key-order", values: &["guide", "reversed"], about: &["WS-05"] },
    Freedom { key: "white-space", values: &["none", "pretty"], about: &["WS-05"] },
    Freedom { key: "header-case", values: &["mixed", "lower", "upper"], about: &["AUTH-01", "AUTH-04"] },
    Freedom { key: "upper-case-guids", values: &["true", "false"], about: &["UPD-02", "UPD-08"] },
    Freedom { key: "list-order", values: &["oldest", "newest", "id"], about: &["UPD-14", "UPD-15"] },
    Freedom { key: "list-cap", values: &["3", "100"], about: &["UPD-14", "UPD-15"] },
    Freedom { key: "missing-status", values: &["400", "404"], about: &["CDR-15"] },
    Freedom { key: "failure-details", values: &["true", "false"], about: &["CDR-15"] },
    Freedom { key: "busy-every", values: &["0", "9"], about: &["UPD-14", "CDR-15"] },
    Freedom { key: "answer-delay", values: &["0ms", "30ms"], about: &["UPD-06"] },
    Freedom { key: "dial-delay", values: &["20ms", "200ms"], about: &["UPD-12"] },
    Freedom { key: "answer-after", values: &["80ms", "900ms"], about: &["UPD-12"] },
    Freedom { key: "restart-status", values: &["503", "401"], about: &["CDR-08"] },
    Freedom { key: "cdr-batch", values: &["1", "2", "7", "50", "any"], about: &["CDR-23", "CDR-12"] },
    Freedom { key: "cdr-batch-delay", values: &["0ms", "20ms", "300ms"], about: &["CDR-23"] },
    Freedom { key: "cdr-retry-first", values: &["20ms", "100ms", "1s"], about: &["CDR-23", "CDR-03"] },
    Freedom { key: "cdr-retry-factor", values: &["1", "2"], about: &["CDR-23", "CDR-03"] },
    Freedom { key: "cdr-retry-longest", values: &["200ms", "1s", "2s"], about: &["CDR-23", "CDR-03"] },
    Freedom { key: "cdr-answer-timeout", values: &["1100ms", "1500ms", "4s"], about: &["CDR-23"] },
    Freedom { key: "cdr-queue", values: &["5", "20", "100", "1000"], about: &["CDR-23", "CDR-10", "CDR-12"] },
    Freedom { key: "cdr-overflow", values: &["oldest", "newest"], about: &["CDR-10", "CDR-12"] },
    Freedom { key: "cdr-repeat", values: &["same", "anew", "single"], about: &["CDR-04", "CDR-12"] },
    Freedom { key: "cdr-half-open", values: &["true", "false"], about: &["CDR-04", "CDR-18"] },
    Freedom { key: "cdr-idle-limit", values: &["0ms", "1500ms", "5s"], about: &["CDR-18"] },
    Freedom { key: "cdr-count-unreceived", values: &["true", "false"], about: &["CDR-08"] },
    Freedom { key: "cdr-ids-reused", values: &["true", "false"], about: &["CDR-15"] },
    Freedom { key: "cdr-empty-values", values: &["true", "false"], about: &["REC-02"] },
    Freedom { key: "cdr-strict-200", values: &["true", "false"], about: &["CDR-23"] },
    Freedom { key: "cdr-late-receiver", values: &["next", "kept"], about: &["CDR-08", "CDR-13"] },
    Freedom { key: "cdr-new-uri-new-start", values: &["true", "false"], about: &["CDR-11"] },
    Freedom { key: "cdr-parameter", values: &["both", "uri", "url"], about: &["CDR-15"] },
    Freedom { key: "cdr-keep-alive", values: &["true", "false"], about: &["CDR-18"] },
    Freedom { key: "cdr-http-1-0", values: &["true", "false"], about: &["CDR-23"] },
    Freedom {
        key: "cdr-content-type",
        values: &["text/xml", "application/xml", "text/xml; charset=utf-8"],
        about: &["CDR-23"],
    },
    Freedom { key: "cdr-user-agent", values: &["", "Acano"], about: &["CDR-23"] },
    Freedom { key: "cdr-record-index", values: &["true", "false"], about: &["CDR-11"] },
    Freedom { key: "cdr-older-missing", values: &["true", "false"], about: &["CDR-12"] },
    Freedom { key: "cdr-order", values: &["guide", "sorted", "reversed"], about: &["CDR-09"] },
    Freedom { key: "cdr-white-space", values: &["none", "pretty"], about: &["CDR-01"] },
    Freedom { key: "cdr-empty-fields", values: &["true", "false"], about: &["REC-02"] },
    Freedom { key: "cdr-optional-fields", values: &["true", "false"], about: &["REC-02"] },
    Freedom { key: "cdr-extra-fields", values: &["true", "false"], about: &["REC-02", "CDR-21"] },
    Freedom { key: "cdr-extra-records", values: &["0", "3"], about: &["REC-01", "CDR-21"] },
    Freedom { key: "cdr-cut-every", values: &["0", "4"], about: &["CDR-03", "CDR-22"] },
    Freedom { key: "cdr-state-once", values: &["true", "false"], about: &["REC-15"] },
    Freedom { key: "cdr-call-in-start", values: &["never", "outgoing", "known"], about: &["REC-14"] },
    Freedom { key: "cdr-ivr-reported", values: &["true", "false"], about: &["REC-14"] },
    Freedom { key: "cdr-multistream-capital", values: &["true", "false"], about: &["REC-02"] },
    Freedom { key: "cdr-confirmation-lower", values: &["true", "false"], about: &["REC-17"] },
    Freedom { key: "cdr-count-services", values: &["true", "false"], about: &["REC-06", "REC-07"] },
    Freedom { key: "cdr-count-unconnected", values: &["true", "false"], about: &["REC-06", "REC-07"] },
    Freedom { key: "cdr-recorder", values: &["path", "uri"], about: &["REC-22"] },
    Freedom { key: "cdr-time-fractions", values: &["true", "false"], about: &["CDR-07"] },
    Freedom { key: "cdr-rounding", values: &["down", "nearest", "up"], about: &["REC-08"] },
];

/// What only named dialects change: the rest of a run has to know of it, or it takes long, or it is rare.
const NAMED: &[Freedom] = &[
    Freedom { key: "cdr-clock-set-every", values: &["700ms"], about: &["CDR-07", "REC-08", "REC-14"] },
    Freedom { key: "clustered", values: &["true"], about: &["CDR-06", "UPD-17"] },
    Freedom { key: "restart-time", values: &["200ms", "1s"], about: &["CDR-08"] },
    Freedom { key: "setup-delay", values: &["10ms", "100ms"], about: &["REC-14"] },
    Freedom { key: "unrecognized", values: &["american", "british"], about: &["CDR-15"] },
];

/// The freedom of a setting, if it is one.
pub fn of(key: &str) -> Option<&'static Freedom> {
    FREEDOMS.iter().chain(NAMED).find(|freedom| freedom.key == key)
}

/// A random conformant server: a few settings, each with one of its values; a later one outweighs an earlier one.
pub fn draw(random: &mut impl Rng) -> Vec<(&'static str, &'static str)> {
    let changes = random.random_range(0..=MOST_CHANGES);
    let mut one = || {
        let Freedom { key, values, .. } = FREEDOMS[random.random_range(0..FREEDOMS.len())];
        (key, values[random.random_range(0..values.len())])
    };
    (0..changes).map(|_| one()).collect()
}

/// The settings of a server with these values; a test proves that every value of a freedom can be set.
pub fn settings(values: &[(&'static str, &'static str)]) -> Settings {
    let mut settings = Settings::default();
    for (key, value) in values {
        let _ = settings.set(key, value);
    }
    settings
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    #[test]
    fn every_value_can_be_set() {
        for Freedom { key, values, about } in FREEDOMS.iter().chain(NAMED) {
            assert!(!about.is_empty(), "{key} is about nothing");
            for value in *values {
                Settings::default().set(key, value).unwrap_or_else(|error| panic!("{key}={value}: {error}"));
            }
        }
    }

    #[test]
    fn a_seed_draws_the_same_dialect_again() {
        let drawn = |seed| draw(&mut chacha20::ChaCha8Rng::seed_from_u64(seed));
        assert_eq!(drawn(7), drawn(7));
        assert!((0..20).any(|seed| drawn(seed).len() > 3));
    }
}
