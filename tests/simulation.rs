//! The suite on virtual time: every shipped scenario against the emulator, conformant, in dialects, and with mutants.
//!
//! What is shown here: no conformant server is failed, every requirement is put to the test, and each mutant is found out
//! by its own requirement. Seeds are fixed and printed with every failure.
//!
//! While a rule is worked on, the environment narrows what is played: `BRIDGEPROOF_MUTANT`, `BRIDGEPROOF_DIALECT` and
//! `BRIDGEPROOF_SCENARIO` each hold a part of a name (no other mutant, dialect, scenario is played), and
//! `BRIDGEPROOF_EVIDENCE` set to anything prints the evidence of unexpected findings. A narrowed run proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use bridgeproof::emulator::mutants::Registered;
use bridgeproof::emulator::{Settings, dialects, mutants};
use bridgeproof::engine::{End, Options, Outcome};
use bridgeproof::rules::{Context, Deadlines, Judge, Judgement, R};
use bridgeproof::scenario::syntax::{Judged, Scenario};
use bridgeproof::scenario::{library, parse};
use bridgeproof::simulation::{Limits, Server, simulate};
use bridgeproof::spec::{Level, Version};
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
struct Played {
    id: String,
    judgement: Judgement,
    outcome: Outcome,
    chronicle: Chronicle,
}

impl Played {
    /// What is wrong, in words; empty for nothing.
    fn trouble(&self) -> String {
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

fn scenarios() -> Vec<(String, Scenario)> {
    let read = |source: library::Source| {
        let scenario =
            parse::read(&source.file, &source.text).unwrap_or_else(|errors| panic!("{}: {errors:?}", source.file));
        (source.id, scenario)
    };
    library::shipped().into_iter().filter(|source| wanted("BRIDGEPROOF_SCENARIO", &source.id)).map(read).collect()
}

/// Whether the environment variable, where set, holds a part of the name.
fn wanted(variable: &str, name: &str) -> bool {
    std::env::var(variable).map_or(true, |part| name.contains(&part))
}

/// Does the work for every item, on two threads, and joins what it says in the order of the items.
fn each<T: Sync>(items: &[T], work: impl Fn(&T) -> String + Sync) -> String {
    let half = |which: usize| -> Vec<(usize, String)> {
        items.iter().enumerate().skip(which).step_by(2).map(|(place, item)| (place, work(item))).collect()
    };
    let mut said = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        let mut said = half(0);
        said.extend(other.join().expect("the other half panics only where this one would"));
        said
    });
    said.sort();
    said.into_iter().map(|(_, text)| text).collect()
}

fn play(id: &str, scenario: &Scenario, settings: &Settings, mutant: Option<&str>, seed: u64) -> Played {
    let context = Context {
        judged: if scenario.judge == Judged::Client { Side::Client } else { Side::Server },
        observer: Side::Client,
        version: Version::LATEST,
        clustered: Some(false),
        deadlines: Deadlines::default(),
    };
    let watch = Watch { judge: Judge::new(context), chronicle: Chronicle::new() };
    let mutants =
        mutant.map(|name| mutants::make(name).unwrap_or_else(|| panic!("no mutant {name}"))).into_iter().collect();
    let server = Server { settings: settings.clone(), mutants, seed };
    let options = Options { seed, ..Options::default() };
    let (watch, outcome) = simulate(id, scenario, options, server, watch, &Limits::default());
    Played { id: id.to_owned(), judgement: watch.judge.finish(), outcome, chronicle: watch.chronicle }
}

#[test]
fn the_conformant_emulator_passes_and_every_scenario_tests_what_it_says() {
    let mut trouble = String::new();
    for (id, scenario) in &scenarios() {
        let played = play(id, scenario, &Settings::default(), None, 1);
        let found = played.trouble();
        if !found.is_empty() {
            trouble += &format!("{id}\n{found}");
        }
        for requirement in &scenario.exercises {
            let tested =
                played.judgement.tested.iter().any(|(known, count)| known.as_str() == requirement.value && *count > 0);
            if !tested {
                trouble += &format!("{id}\n  {} is not put to the test\n", requirement.value);
            }
        }
    }
    assert!(trouble.is_empty(), "seed 1\n{trouble}");
}

#[test]
fn no_dialect_fails_a_requirement() {
    let scenarios = scenarios();
    let all: Vec<_> = dialects::DIALECTS.iter().filter(|d| wanted("BRIDGEPROOF_DIALECT", d.name)).collect();
    let trouble = each(&all, |dialect| {
        let mut settings = Settings::default();
        settings.apply(dialect.name).unwrap();
        let mut trouble = String::new();
        for (id, scenario) in &scenarios {
            let played = play(id, scenario, &settings, None, 2);
            let fails =
                played.judgement.findings.iter().any(|finding| finding.requirement.get().level != Level::Should);
            if fails {
                trouble += &format!("{} {id}\n{}", dialect.name, played.trouble());
            }
        }
        trouble
    });
    assert!(trouble.is_empty(), "seed 2\n{trouble}");
}

#[test]
fn every_mutant_is_found_out_by_its_own_requirement_and_no_other() {
    let scenarios = scenarios();
    let all: Vec<_> = mutants::all().filter(|mutant| wanted("BRIDGEPROOF_MUTANT", mutant.name)).collect();
    let trouble = each(&all, |mutant| proof(mutant, &scenarios));
    assert!(trouble.is_empty(), "seed 3\n{trouble}");
}

/// What is wrong with the proof by one mutant; empty for nothing.
fn proof(mutant: &Registered, scenarios: &[(String, Scenario)]) -> String {
    let mut trouble = String::new();
    let mut broken: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let declared = |id: &str| id == mutant.breaks || mutant.collateral.iter().any(|(other, _)| *other == id);
    for (id, scenario) in scenarios {
        let played = play(id, scenario, &Settings::default(), Some(mutant.name), 3);
        let mut unexpected = false;
        for finding in &played.judgement.findings {
            unexpected |= !declared(finding.requirement.as_str());
            broken.entry(finding.requirement.as_str()).or_default().insert(played.id.clone());
        }
        if unexpected && std::env::var_os("BRIDGEPROOF_EVIDENCE").is_some() {
            trouble += &format!("{} {id}\n{}", mutant.name, played.trouble());
        }
    }
    if !broken.contains_key(mutant.breaks) {
        trouble += &format!("{} survives: {} is not broken (but {:?})\n", mutant.name, mutant.breaks, broken.keys());
    }
    broken.retain(|id, _| !declared(id));
    for (id, where_) in &broken {
        trouble += &format!("{} breaks {id} as well, in {where_:?}\n", mutant.name);
    }
    trouble
}

#[test]
fn every_requirement_of_a_server_has_a_mutant() {
    let without: Vec<&str> = R::ALL
        .iter()
        .filter(|rule| rule.id().get().level != Level::Observe)
        .filter(|rule| rule.id().get().subject == bridgeproof::spec::Subject::Server)
        .map(|rule| rule.name())
        .filter(|name| !mutants::all().any(|mutant| mutant.breaks == *name))
        .collect();
    assert!(without.is_empty(), "{without:?}");
}
