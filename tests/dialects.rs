//! No conformant server is failed: random scenarios against random dialects, on virtual time.
//!
//! Every freedom that the guides leave is a setting; any combination of them is a conformant server, so no requirement but
//! a should may have a finding. proptest prints and shrinks the combination that breaks this; `PROPTEST_CASES` makes the
//! run longer.

mod simulated;

use bridgeproof::emulator::Settings;
use bridgeproof::emulator::freedoms::{FREEDOMS, Freedom};
use bridgeproof::prove::play::play;
use bridgeproof::rules::Finding;
use proptest::prelude::*;
use proptest::sample::Index;

/// A conformant server: each setting its default or one of its values.
fn any_dialect() -> impl Strategy<Value = Vec<(&'static str, &'static str)>> {
    prop::collection::vec((any::<Index>(), any::<Index>()), 0..12).prop_map(|picks| {
        let pick = |(key, value): &(Index, Index)| {
            let Freedom { key, values, .. } = FREEDOMS[key.index(FREEDOMS.len())];
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
        let played = play(id, scenario, &settings, &[], seed);
        let failed = played.judgement.findings.iter().any(Finding::fails);
        prop_assert!(!failed, "{id}, seed {seed}\n{}", played.trouble());
    }
}
