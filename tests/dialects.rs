//! No conformant server is failed: random scenarios against random dialects, on virtual time.
//!
//! Every freedom that the guides leave is a setting; any combination of them is a conformant server, so no requirement but
//! a should may have a finding. proptest prints and shrinks the combination that breaks this; `PROPTEST_CASES` makes the
//! run longer.

mod simulated;

use bridgeproof::emulator::Settings;
use bridgeproof::spec::Level;
use proptest::prelude::*;
use proptest::sample::Index;

/// Settings with values that conform.
const FREEDOMS: &[(&str, &[&str])] = &[
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
];

/// A conformant server: each setting its default or one of its values.
fn any_dialect() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    prop::collection::vec((any::<Index>(), any::<Index>()), 0..12).prop_map(|picks| {
        let pick = |(key, value): &(Index, Index)| {
            let (key, values) = FREEDOMS[key.index(FREEDOMS.len())];
            (key, values[value.index(values.len())])
        };
        picks.iter().map(pick).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn no_combination_of_freedoms_fails_a_requirement(
        scenario in any::<Index>(),
        dialect in any_dialect(),
        seed in 0..1_000_000_u64,
    ) {
        let mut settings = Settings::default();
        for (key, value) in &dialect {
            settings.set(key, value).unwrap_or_else(|error| panic!("{key}={value}: {error}"));
        }
        let scenarios = simulated::scenarios();
        let (id, scenario) = &scenarios[scenario.index(scenarios.len())];
        let played = simulated::play(id, scenario, &settings, &[], seed);
        let failed = played.judgement.findings.iter().any(|finding| finding.requirement.get().level != Level::Should);
        prop_assert!(!failed, "{id}, seed {seed}\n{}", played.trouble());
    }
}
