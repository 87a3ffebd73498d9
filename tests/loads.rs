//! The shipped loads on virtual time: none fails a conformant server, in whatever dialect, and each tests what it says.
//!
//! They are shortened, as `--duration` does it, where they say how long they go on. `BRIDGEPROOF_SCENARIO` and
//! `BRIDGEPROOF_DIALECT` each hold a part of a name: only such loads and dialects are played.

use std::time::Duration;

use bridgeproof::emulator::{Settings, dialects};
use bridgeproof::engine::End;
use bridgeproof::load::{LatencyRecorder, Loaded, Metric, Phase};
use bridgeproof::prove::play::{judge, play_to};
use bridgeproof::report::loads;
use bridgeproof::rules::{Finding, Judge, Judgement};
use bridgeproof::scenario::syntax::Scenario;
use bridgeproof::scenario::{Overrides, library};
use bridgeproof::time::Instant;
use bridgeproof::trace::{Observation, Sink};

/// How long loads go on here that say it in one place.
const SHORT: Duration = Duration::from_secs(16);

/// The dialects that are played unless one is named: those that change most under load.
const PLAYED: [&str; 5] = ["late", "no-window", "coalescing", "bundling", "hard-on-receivers"];

/// Judges, and times records.
struct Watch {
    judge: Judge,
    latency: LatencyRecorder,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.latency.observe(observation);
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }
}

/// What became of a load.
struct Played {
    end: End,
    judgement: Judgement,
    loaded: Loaded,
}

impl Played {
    fn phase(&self) -> &Phase {
        loads::representative(&self.loaded).expect("it has run")
    }
}

/// The shipped loads, shortened.
fn shipped() -> Vec<(String, Scenario)> {
    let part = std::env::var("BRIDGEPROOF_SCENARIO").unwrap_or_default();
    let is_load = |source: &library::Source| source.id.starts_with("load/") && source.id.contains(&part);
    let read = |source: library::Source| {
        let mut scenario = bridgeproof::scenario::read(&source.file, &source.text).unwrap_or_else(|e| panic!("{e:?}"));
        // What has stages or searches has a length of its own.
        let _ = Overrides { duration: Some(SHORT), rate: None }.apply(&mut scenario);
        (source.id, scenario)
    };
    library::shipped().into_iter().filter(is_load).map(read).collect()
}

/// How long a load goes on.
fn length(scenario: &Scenario) -> Duration {
    let load = scenario.load.as_ref().map(|load| &load.value);
    load.filter(|load| load.capacity.is_none()).map_or(Duration::MAX, |load| load.executor().duration())
}

fn play(id: &str, scenario: &Scenario, settings: &Settings) -> Played {
    let watch = Watch { judge: judge(scenario, settings), latency: LatencyRecorder::new() };
    let (watch, outcome) = play_to(id, scenario, settings, &[], 1, watch);
    let mut loaded = outcome.loaded.unwrap_or_else(|| panic!("{id}: {:?}", outcome.end));
    if let (Loaded::Once(phase), Some(load)) = (&mut loaded, &scenario.load) {
        phase.complete(&watch.latency, &load.value.thresholds(), None);
    }
    Played { end: outcome.end, judgement: watch.judge.finish(), loaded }
}

/// What is wrong with a load that was played against a conformant server, slow or not.
fn trouble(scenario: &Scenario, played: &Played) -> String {
    let mut text = String::new();
    if played.end != End::Finished {
        text += &format!("  {:?}\n", played.end);
    }
    for finding in played.judgement.findings.iter().filter(|finding| Finding::fails(finding)) {
        text += &format!("  {} expected {}; observed {}\n", finding.requirement, finding.expected, finding.observed);
    }
    for requirement in &scenario.exercises {
        let is_it = |(known, count): (&bridgeproof::spec::RequirementId, &u64)| {
            known.as_str() == requirement.value && *count > 0
        };
        if !played.judgement.tested.iter().any(is_it) {
            text += &format!("  {} is not put to the test\n", requirement.value);
        }
    }
    text
}

#[test]
fn every_shipped_load_passes_and_tests_what_it_says() {
    let mut all = String::new();
    for (id, scenario) in shipped() {
        let played = play(&id, &scenario, &Settings::default());
        let mut text = trouble(&scenario, &played);
        // There is no clock on the wall here that a record's own time could be compared with.
        let asked = played.phase().thresholds.iter().filter(|one| one.metric != Metric::CdrArrival);
        for missed in asked.filter(|threshold| !threshold.passed) {
            text += &format!("  missed: {missed:?}\n");
        }
        if !matches!(played.loaded, Loaded::Search { .. }) {
            text += &loads::doubt(&played.loaded).map_or_else(String::new, |doubt| format!("  {doubt}\n"));
        }
        if !text.is_empty() {
            all += &format!("{id}\n{text}");
        }
    }
    assert!(all.is_empty(), "\n{all}");
}

#[test]
fn no_dialect_is_failed_by_a_shipped_load() {
    let part = std::env::var("BRIDGEPROOF_DIALECT").ok();
    let is_meant = |name: &str| part.as_ref().map_or_else(|| PLAYED.contains(&name), |part| name.contains(part));
    let mut all = String::new();
    for dialect in dialects::DIALECTS.iter().filter(|dialect| is_meant(dialect.name)) {
        // The stages and searches of the others only repeat what a soak does.
        for (id, scenario) in shipped().into_iter().filter(|(_, scenario)| length(scenario) <= SHORT) {
            let mut settings = Settings::default();
            settings.apply(dialect.name).expect("it is a dialect");
            let text = trouble(&scenario, &play(&id, &scenario, &settings));
            if !text.is_empty() {
                all += &format!("{id} {}\n{text}", dialect.name);
            }
        }
    }
    assert!(all.is_empty(), "\n{all}");
}

#[test]
fn the_outage_is_one_and_the_storm_is_one() {
    let all = shipped();
    let phase = |id: &str| {
        let (_, scenario) = all.iter().find(|(known, _)| known == id)?;
        Some(play(id, scenario, &Settings::default()).phase().clone())
    };
    let count = |phase: &Phase, metric| (phase.metrics.series(metric).count(), phase.metrics.series(metric).errors());
    if let Some(outage) = phase("load/receiver-outage") {
        let (repeated, lost) = count(&outage, Metric::CdrRedelivery);
        assert!(repeated >= 2 && lost == 0, "{repeated} {lost}");
    }
    if let Some(storm) = phase("load/cdr-storm") {
        // The beginning and the end of each call, at two receivers.
        let (timed, _) = count(&storm, Metric::CdrStimulus);
        assert!(timed >= 200, "{timed}");
    }
}
