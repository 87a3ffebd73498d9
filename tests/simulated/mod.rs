//! Playing shipped scenarios on virtual time, for the tests of this folder.

#![expect(unreachable_pub, reason = "each test that includes this module uses what it needs of it")]

use std::sync::LazyLock;

use bridgeproof::scenario::library;
use bridgeproof::scenario::syntax::Scenario;

static SCENARIOS: LazyLock<Vec<(String, Scenario)>> = LazyLock::new(|| {
    let read = |source: library::Source| {
        let scenario = bridgeproof::scenario::read(&source.file, &source.text).unwrap_or_else(|e| panic!("{e:?}"));
        (source.id, scenario)
    };
    library::conformance().into_iter().map(read).collect()
});

/// All shipped scenarios.
pub fn scenarios() -> &'static [(String, Scenario)] {
    &SCENARIOS
}
