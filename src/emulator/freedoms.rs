//! What the guides leave free, as settings with all values worth trying; and dialects drawn from it at random.
//!
//! Every combination is a conformant server: no requirement but a *should* may have a finding on it.

use rand::{Rng, RngExt as _};

use super::settings::Settings;

/// A setting and values of it that conform.
pub type Freedom = (&'static str, &'static [&'static str]);

/// How many settings a random dialect changes at most.
const MOST_CHANGES: usize = 12;

/// All freedoms.
pub const FREEDOMS: &[Freedom] = &[
    ("token-uses", &["1", "any"]),
    ("token-lifetime", &["0ms", "30s"]),
    ("token-response-closes", &["true", "false"]),
    ("token-in-header", &["true", "false"]),
    ("unauthorized-status", &["401", "403"]),
    ("bad-token-status", &["401", "403", "400"]),
    ("full-refusal", &["503", "403", "close-1013", "429"]),
    ("place-delay", &["0ms", "200ms", "2s"]),
    ("excess", &["refuse", "truncate", "silent"]),
    ("refusal-status", &["failure", "error", "tooMany"]),
    ("ack-refused", &["true", "false"]),
    ("on-ping", &["answer", "ignore", "close"]),
    ("on-pong", &["ignore", "close-1003"]),
    ("on-binary", &["ignore", "close-1003"]),
    ("on-fragment", &["ignore", "close-1003"]),
    ("on-bad-utf8", &["ignore", "close-1007"]),
    ("on-bad-json", &["ignore", "refuse", "close-1007"]),
    ("on-unknown-message", &["ignore", "refuse", "close-1008"]),
    ("on-unmasked", &["ignore", "close-1002"]),
    ("duplicate-index", &["refuse", "last"]),
    ("unknown-type", &["refuse", "skip"]),
    ("missing-call", &["refuse", "deactivate"]),
    ("odd-index", &["refuse", "skip"]),
    ("refuse-unknown-elements", &["true", "false"]),
    ("ack-delay", &["0ms", "40ms", "400ms"]),
    ("pending-reported", &["true", "false"]),
    ("calls-delay", &["0ms", "10ms", "300ms"]),
    ("info-delay", &["0ms", "15ms", "1s"]),
    ("roster-delay", &["0ms", "20ms", "700ms"]),
    ("jitter", &["0", "100"]),
    ("states-listed", &["changed", "all"]),
    ("states-bundled", &["true", "false"]),
    ("left-out", &["separate", "together"]),
    ("window", &["1", "2", "8", "64", "any"]),
    ("backlog", &["queue", "coalesce"]),
    ("backlog-limit", &["10", "1000"]),
    ("first-id", &["0", "1", "4294967296"]),
    ("id-step", &["1", "7"]),
    ("random-ids", &["true", "false"]),
    ("bundle-delay", &["0ms", "5ms", "50ms", "250ms"]),
    ("entries-per-message", &["1", "2", "any"]),
    ("booleans", &["json", "text"]),
    ("numbers", &["json", "text"]),
    ("unset", &["empty", "absent", "null"]),
    ("call-in-call-info", &["true", "false"]),
    ("remove-reason", &["true", "false"]),
    ("ringing-counts", &["true", "false"]),
    ("extra-fields", &["true", "false"]),
    ("extra-messages", &["0", "5"]),
    ("key-order", &["guide", "reversed"]),
    ("white-space", &["none", "pretty"]),
    ("header-case", &["mixed", "lower", "upper"]),
    ("upper-case-guids", &["true", "false"]),
    ("list-order", &["oldest", "newest", "id"]),
    ("list-cap", &["3", "100"]),
    ("missing-status", &["400", "404"]),
    ("failure-details", &["true", "false"]),
    ("busy-every", &["0", "9"]),
    ("answer-delay", &["0ms", "30ms"]),
    ("dial-delay", &["20ms", "200ms"]),
    ("answer-after", &["80ms", "900ms"]),
    ("restart-status", &["503", "401"]),
    ("cdr-batch", &["1", "2", "7", "50", "any"]),
    ("cdr-batch-delay", &["0ms", "20ms", "300ms"]),
    ("cdr-retry-first", &["20ms", "100ms", "1s"]),
    ("cdr-retry-factor", &["1", "2"]),
    ("cdr-retry-longest", &["200ms", "1s", "2s"]),
    ("cdr-answer-timeout", &["1100ms", "1500ms", "4s"]),
    ("cdr-queue", &["5", "20", "100", "1000"]),
    ("cdr-overflow", &["oldest", "newest"]),
    ("cdr-repeat", &["same", "anew", "single"]),
    ("cdr-half-open", &["true", "false"]),
    ("cdr-idle-limit", &["0ms", "1500ms", "5s"]),
    ("cdr-count-unreceived", &["true", "false"]),
    ("cdr-ids-reused", &["true", "false"]),
    ("cdr-empty-values", &["true", "false"]),
    ("cdr-strict-200", &["true", "false"]),
    ("cdr-late-receiver", &["next", "kept"]),
    ("cdr-new-uri-new-start", &["true", "false"]),
    ("cdr-parameter", &["both", "uri", "url"]),
    ("cdr-keep-alive", &["true", "false"]),
    ("cdr-http-1-0", &["true", "false"]),
    ("cdr-content-type", &["text/xml", "application/xml", "text/xml; charset=utf-8"]),
    ("cdr-user-agent", &["", "Acano"]),
    ("cdr-record-index", &["true", "false"]),
    ("cdr-older-missing", &["true", "false"]),
    ("cdr-order", &["guide", "sorted", "reversed"]),
    ("cdr-white-space", &["none", "pretty"]),
    ("cdr-empty-fields", &["true", "false"]),
    ("cdr-optional-fields", &["true", "false"]),
    ("cdr-extra-fields", &["true", "false"]),
    ("cdr-extra-records", &["0", "3"]),
    ("cdr-cut-every", &["0", "4"]),
    ("cdr-state-once", &["true", "false"]),
    ("cdr-call-in-start", &["never", "outgoing", "known"]),
    ("cdr-ivr-reported", &["true", "false"]),
    ("cdr-multistream-capital", &["true", "false"]),
    ("cdr-confirmation-lower", &["true", "false"]),
    ("cdr-count-services", &["true", "false"]),
    ("cdr-count-unconnected", &["true", "false"]),
    ("cdr-recorder", &["path", "uri"]),
    ("cdr-time-fractions", &["true", "false"]),
    ("cdr-rounding", &["down", "nearest", "up"]),
];

/// A random conformant server: a few settings, each with one of its values; a later one outweighs an earlier one.
pub fn draw(random: &mut impl Rng) -> Vec<(&'static str, &'static str)> {
    let changes = random.random_range(0..=MOST_CHANGES);
    let mut one = || {
        let (key, values) = FREEDOMS[random.random_range(0..FREEDOMS.len())];
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
        for (key, values) in FREEDOMS {
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
