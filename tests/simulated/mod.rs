//! Playing shipped scenarios on virtual time, for the tests of this folder.

#![expect(unreachable_pub, reason = "each test that includes this module uses what it needs of it")]

use std::sync::LazyLock;

use bridgeproof::emulator::{Settings, mutants};
use bridgeproof::engine::{End, Options, Outcome};
use bridgeproof::rules::{Context, Deadlines, Judge, Judgement};
use bridgeproof::scenario::library;
use bridgeproof::scenario::syntax::{Judged, Scenario};
use bridgeproof::simulation::{Limits, Server, simulate};
use bridgeproof::spec::Version;
use bridgeproof::trace::{Chronicle, Observation, Side, Sink};

/// Judges and keeps the evidence.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.chronicle.observe(observation);
    }

    fn due(&self) -> Option<bridgeproof::time::Instant> {
        self.judge.due()
    }
}

/// One scenario's outcome on virtual time.
pub struct Played {
    /// What the rules say.
    pub judgement: Judgement,
    outcome: Outcome,
    chronicle: Chronicle,
}

impl Played {
    /// What is wrong, in words; empty for nothing.
    pub fn trouble(&self) -> String {
        let mut text = String::new();
        for finding in &self.judgement.findings {
            text +=
                &format!("  {} expected {}; observed {}\n", finding.requirement, finding.expected, finding.observed);
            for seq in &finding.evidence {
                text += &format!("      {}\n", self.chronicle.line(*seq).unwrap_or_default());
            }
        }
        if let End::Unfinished { step, why } = &self.outcome.end {
            text += &format!("  unfinished at step {step}: {why}\n");
        }
        for failed in &self.outcome.failed_expectations {
            text += &format!("  expectation: {} ({})\n", failed.because, failed.what);
        }
        text
    }
}

static SCENARIOS: LazyLock<Vec<(String, Scenario)>> = LazyLock::new(|| {
    let read = |source: library::Source| {
        let scenario = bridgeproof::scenario::read(&source.file, &source.text).unwrap_or_else(|e| panic!("{e:?}"));
        (source.id, scenario)
    };
    library::shipped().into_iter().map(read).collect()
});

/// All shipped scenarios.
pub fn scenarios() -> &'static [(String, Scenario)] {
    &SCENARIOS
}

/// Plays a scenario.
pub fn play(id: &str, scenario: &Scenario, settings: &Settings, faults: &[&str], seed: u64) -> Played {
    let context = Context {
        judged: if scenario.judge == Judged::Client { Side::Client } else { Side::Server },
        observer: Side::Client,
        version: Version::LATEST,
        clustered: Some(false),
        deadlines: Deadlines::default(),
    };
    let watch = Watch { judge: Judge::new(context), chronicle: Chronicle::new() };
    let mutants = faults.iter().map(|name| mutants::make(name).unwrap_or_else(|| panic!("no mutant {name}"))).collect();
    let server = Server { settings: settings.clone(), mutants, seed };
    let options = Options { seed, ..Options::default() };
    let (watch, outcome) = simulate(id, scenario, options, server, watch, &Limits::default());
    Played { judgement: watch.judge.finish(), outcome, chronicle: watch.chronicle }
}
