//! The suite on virtual time: every shipped scenario against the emulator, conformant, in dialects, and with mutants.
//!
//! What is shown here: no conformant server is failed, every requirement is put to the test, and each mutant is found out
//! by its own requirement. Seeds are fixed and printed with every failure.
//!
//! The proof is that of `bridgeproof prove`, with ten thousand random histories, every second one with a mutant as well:
//! `BRIDGEPROOF_HISTORIES` says how many instead, `BRIDGEPROOF_SEED` which. `BRIDGEPROOF_WHOLE` set to anything plays the
//! whole suite against every mutant.
//!
//! While a rule is worked on, the environment narrows what is played: `BRIDGEPROOF_MUTANT`, `BRIDGEPROOF_DIALECT` and
//! `BRIDGEPROOF_SCENARIO` each hold a part of a name (only such mutants, dialects, scenarios are played), and
//! `BRIDGEPROOF_EVIDENCE` set to anything prints the evidence of unexpected findings. A narrowed run proves nothing.

mod simulated;

use std::collections::{BTreeMap, BTreeSet};

use bridgeproof::cli::progress::Shown;
use bridgeproof::emulator::{Settings, dialects};
use bridgeproof::prove::play::play;
use bridgeproof::prove::{Config, prove};
use bridgeproof::rules::{Finding, R};
use bridgeproof::scenario::syntax::Scenario;
use bridgeproof::spec::Level;
use bridgeproof::traceability::{Fault, faults};

fn scenarios() -> Vec<&'static (String, Scenario)> {
    simulated::scenarios().iter().filter(|(id, _)| wanted("BRIDGEPROOF_SCENARIO", id)).collect()
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

#[test]
fn the_conformant_emulator_passes_and_every_scenario_tests_what_it_says() {
    let mut trouble = String::new();
    for (id, scenario) in scenarios() {
        let played = play(id, scenario, &Settings::default(), &[], 1);
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
fn every_mutant_is_found_out_by_its_own_requirement_and_no_dialect_is_failed() {
    if std::env::var_os("BRIDGEPROOF_MUTANT").is_some() || std::env::var_os("BRIDGEPROOF_DIALECT").is_some() {
        return narrowed();
    }
    let number =
        |variable: &str, usual: u64| std::env::var(variable).map_or(usual, |number| number.parse().expect("a number"));
    let (seed, histories) = (number("BRIDGEPROOF_SEED", 3), number("BRIDGEPROOF_HISTORIES", 10_000));
    let config = Config {
        words: Vec::new(),
        seed,
        whole: std::env::var_os("BRIDGEPROOF_WHOLE").is_some(),
        drawn: 0,
        histories,
        sockets: 0,
        jobs: 2,
        command: format!("bridgeproof prove --seed {seed} --drawn 0 --histories {histories} --sockets 0"),
    };
    let matrix = prove(&config, &mut Shown::new(true)).unwrap();
    assert!(matrix.is_proven(), "{}", matrix.text(false));
    let all = &matrix.histories;
    assert!(
        all.unfinished * 100 <= all.played,
        "seed {seed}: {} histories were not carried out to the end",
        all.unfinished
    );
    let found: u64 = all.mutants.values().map(|row| row.found + row.collateral).sum();
    assert!(found * 20 >= all.played, "seed {seed}: of {} histories only {found} found a mutant", all.played);
}

/// What was asked for by name, against all scenarios and with the evidence.
fn narrowed() {
    let scenarios = scenarios();
    let all: Vec<_> = match std::env::var_os("BRIDGEPROOF_MUTANT") {
        Some(_) => faults().filter(|mutant| wanted("BRIDGEPROOF_MUTANT", mutant.name)).collect(),
        None => Vec::new(),
    };
    let mut trouble = each(&all, |mutant| proof(mutant, &scenarios));
    let all: Vec<_> = match std::env::var_os("BRIDGEPROOF_DIALECT") {
        Some(_) => dialects::DIALECTS.iter().filter(|dialect| wanted("BRIDGEPROOF_DIALECT", dialect.name)).collect(),
        None => Vec::new(),
    };
    trouble += &each(&all, |dialect| {
        let mut settings = Settings::default();
        settings.apply(dialect.name).unwrap();
        let mut trouble = String::new();
        for (id, scenario) in &scenarios {
            let played = play(id, scenario, &settings, &[], 2);
            if played.judgement.findings.iter().any(Finding::fails) {
                trouble += &format!("{} {id}\n{}", dialect.name, played.trouble());
            }
        }
        trouble
    });
    assert!(trouble.is_empty(), "{trouble}");
}

/// What is wrong with the proof by one mutant; empty for nothing.
fn proof(mutant: &Fault, scenarios: &[&(String, Scenario)]) -> String {
    let mut trouble = String::new();
    let mut broken: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let declared = |id: &str| mutant.names(id);
    for (id, scenario) in scenarios {
        let played = play(id, scenario, &Settings::default(), &[mutant.name], 3);
        let mut unexpected = false;
        let own = |finding: &&Finding| !finding.warns || finding.requirement.as_str() == mutant.breaks;
        for finding in played.judgement.findings.iter().filter(own) {
            unexpected |= !declared(finding.requirement.as_str());
            broken.entry(finding.requirement.as_str()).or_default().insert(id.clone());
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
fn every_requirement_that_can_fail_has_a_mutant() {
    let without: Vec<&str> = R::ALL
        .iter()
        .filter(|rule| rule.id().get().level != Level::Observe)
        .map(|rule| rule.name())
        .filter(|name| !faults().any(|mutant| mutant.breaks == *name))
        .collect();
    assert!(without.is_empty(), "{without:?}");
}
