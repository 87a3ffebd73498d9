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
    fn measured_from(&mut self, start: Instant) {
        self.latency.measured_from(start);
    }

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

/// More than a hundred thousand messages in 24 s: each lock is told of twice on each of five connections.
const DENSE: &str = "
title: A hundred thousand messages and more.
exercises: [UPD-06]
needs: [limits]
load:
  connections: 5
  calls: 10
  participants: 0
  stimuli: {lock: 1}
  executor: {constant-arrival-rate: {rate: 450, duration: 24s}}
";

#[test]
fn a_deviation_once_in_a_hundred_thousand_messages_is_found_with_its_evidence() {
    let mut settings = Settings::default();
    settings.apply("window=any").expect("there is such a setting");
    let scenario = bridgeproof::scenario::read("dense.yaml", DENSE).unwrap_or_else(|errors| panic!("{errors:?}"));
    let name = "one-in-a-hundred-thousand-told-twice";
    let played = bridgeproof::prove::play::play("load/dense", &scenario, &settings, &[name], 1);
    let heard = loads::representative(played.outcome.loaded.as_ref().expect("it has run")).expect("once").messages;
    assert!((100_000..200_000).contains(&heard), "{heard}");
    let counts: Vec<_> = played.judgement.finding_counts.iter().map(|(id, count)| (id.as_str(), *count)).collect();
    assert_eq!(counts, [("UPD-06", 1)], "{}", played.trouble());
    // The message, and the one that told the same before: each with its connection and the frame.
    let finding = &played.judgement.findings[0];
    assert!(finding.connection.is_some());
    let told = played.trouble();
    let lines: Vec<&str> = told.lines().filter(|line| line.contains(" ms c") && line.contains(" <- {")).collect();
    assert_eq!(lines.len(), 2, "{told}");
    assert!(lines.iter().all(|line| line.contains("\"messageId\":") && line.contains("lockState")), "{told}");
}

#[test]
fn a_server_slower_than_the_schedule_is_timed_out_and_counted_and_the_load_ends() {
    const SLOW: &str = "
title: Changes come faster than they are told.
exercises: [UPD-08]
load:
  participants: 60
  within: 1s
  stimuli: {mute: 1}
  executor: {constant-arrival-rate: {rate: 20, duration: 5s}}
  thresholds: {update: ['rate<0.01']}
";
    let mut settings = Settings::default();
    settings.apply("bundle-delay=3s").expect("there is such a setting");
    let scenario = bridgeproof::scenario::read("slow.yaml", SLOW).unwrap_or_else(|errors| panic!("{errors:?}"));
    let played = play("load/slow", &scenario, &settings);
    assert_eq!(played.end, End::Finished);
    let phase = played.phase();
    let updates = phase.metrics.series(Metric::Update);
    // What comes just before changes are told is in time.
    assert_eq!((phase.pace.taken, updates.count() + updates.errors()), (100, 100));
    assert!((60..95).contains(&updates.errors()), "{:?}", updates.failures());
    assert!(phase.ended_at.since(phase.begun_at) < Duration::from_secs(10), "it does not wait for ever");
    assert!(phase.thresholds.iter().all(|threshold| !threshold.passed));
    assert!(!played.judgement.findings.iter().any(Finding::fails), "slow is not wrong");
}
