//! Properties of judging, over random histories on random servers, with mutants and without.
//!
//! Verdicts depend on the observations and their times, and on nothing else: not on when a judge is asked what it waits
//! for or what it found, not on other judges beside it, not on whether the trace is live or read from a file. And what
//! was found in the beginning of a trace is not taken back by the rest. Seeds are fixed and named with every failure;
//! `BRIDGEPROOF_TRACES` says how many random traces are judged.

mod simulated;

use bridgeproof::emulator::{Settings, freedoms, mutants};
use bridgeproof::prove::history::History;
use bridgeproof::prove::play::{judge, play_to};
use bridgeproof::rules::{Finding, Judge, Judgement};
use bridgeproof::scenario;
use bridgeproof::scenario::syntax::Scenario;
use bridgeproof::time::Instant;
use bridgeproof::trace::format::{Line, read_line, write_observation};
use bridgeproof::trace::{Observation, Recorded, Scratch, Secrets, Sink};
use chacha20::ChaCha8Rng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Requirements whose findings the rest of a trace may take back, each with the reason.
const TAKEN_BACK: &[(&str, &str)] = &[];

/// How many beginnings of each trace are judged.
const BEGINNINGS: usize = 6;

/// Judges live and takes down what it judges.
struct Taken {
    judge: Judge,
    secrets: Secrets,
    lines: Vec<Vec<u8>>,
}

impl Sink for Taken {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        let mut line = Vec::new();
        write_observation("a/b", observation, &mut self.secrets, &mut line);
        self.lines.push(line);
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }
}

/// A trace that was judged live, read again from its lines.
struct Trace {
    name: String,
    live: Judgement,
    observations: Vec<Recorded>,
    fresh: Box<dyn Fn() -> Judge>,
}

impl Trace {
    fn play(name: String, scenario: &Scenario, settings: &Settings, faults: &[&str], seed: u64) -> Self {
        let sink = Taken { judge: judge(scenario, settings), secrets: Secrets::new(), lines: Vec::new() };
        let (taken, _) = play_to("a/b", scenario, settings, faults, seed, sink);
        let read = |line: &Vec<u8>| match read_line(line) {
            Ok(Line::Observation(_, recorded)) => *recorded,
            other => panic!("{name}: {other:?}"),
        };
        let observations = taken.lines.iter().map(read).collect();
        let (scenario, settings) = (scenario.clone(), settings.clone());
        Self { name, live: taken.judge.finish(), observations, fresh: Box::new(move || judge(&scenario, &settings)) }
    }

    /// The verdict on the first `count` observations.
    fn judged(&self, count: usize) -> Judgement {
        let (mut judge, mut scratch) = ((self.fresh)(), Scratch::default());
        for recorded in &self.observations[..count] {
            judge.observe(&recorded.lend(&mut scratch));
        }
        judge.finish()
    }

    /// The verdict of two judges that take turns in bunches, and are asked all the time what they know.
    fn judged_in_bunches(&self, random: &mut ChaCha8Rng) -> [Judgement; 2] {
        let mut judges = [(self.fresh)(), (self.fresh)()];
        let (mut scratch, mut at) = (Scratch::default(), [0, 0]);
        while at.iter().any(|at| *at < self.observations.len()) {
            let whose = random.random_range(0..2_usize);
            let end = (at[whose] + random.random_range(0..9_usize)).min(self.observations.len());
            for recorded in &self.observations[at[whose]..end] {
                judges[whose].observe(&recorded.lend(&mut scratch));
                if random.random_bool(0.5) {
                    let _ = (judges[whose].due(), judges[whose].findings().len());
                }
            }
            at[whose] = end;
        }
        judges.map(Judge::finish)
    }
}

/// What does not hold for a trace; empty where all holds.
fn trouble(trace: &Trace, random: &mut ChaCha8Rng) -> String {
    let mut trouble = String::new();
    let whole = trace.judged(trace.observations.len());
    if whole != trace.live {
        trouble += &format!("{}: read from its lines, it is judged otherwise\n", trace.name);
    }
    if trace.judged_in_bunches(random).iter().any(|judgement| *judgement != whole) {
        trouble += &format!("{}: judged in bunches, it is judged otherwise\n", trace.name);
    }
    for _ in 0..BEGINNINGS {
        let count = random.random_range(0..=trace.observations.len());
        let beginning = trace.judged(count);
        let may = |one: &&Finding| !TAKEN_BACK.iter().any(|(id, _)| *id == one.requirement.as_str());
        for gone in beginning.findings.iter().filter(|one| !whole.findings.contains(one)).filter(may) {
            trouble += &format!("{}: found in the first {count} and not in all: {gone:?}\n", trace.name);
        }
        let fewer = beginning.finding_counts.iter().find(|(id, count)| whole.finding_counts.get(id) < Some(count));
        if let Some((id, _)) = fewer {
            trouble += &format!("{}: the first {count} observations have more findings of {id} than all\n", trace.name);
        }
    }
    trouble
}

/// Tests the traces that `make` gives for each item, on two threads; how many findings there were.
fn test_all<T: Sync>(items: &[T], make: impl Fn(&T) -> Trace + Sync) -> usize {
    let half = |which: usize| {
        let (mut wrong, mut findings) = (String::new(), 0);
        for (place, item) in items.iter().enumerate().skip(which).step_by(2) {
            let trace = make(item);
            findings += trace.live.findings.len();
            wrong += &trouble(&trace, &mut ChaCha8Rng::seed_from_u64(place as u64));
        }
        (wrong, findings)
    };
    let (one, other) = std::thread::scope(|scope| {
        let other = scope.spawn(|| half(1));
        (half(0), other.join().expect("the other half panics only where this one would"))
    });
    let wrong = one.0 + &other.0;
    assert!(wrong.is_empty(), "{wrong}");
    one.1 + other.1
}

#[test]
fn judging_random_histories_depends_on_nothing_but_the_trace() {
    let count = std::env::var("BRIDGEPROOF_TRACES").map_or(150, |count| count.parse().expect("a number"));
    let seeds: Vec<u64> = (0..count).collect();
    let names: Vec<&str> = mutants::all().map(|one| one.name).collect();
    let findings = test_all(&seeds, |seed| {
        let mut random = ChaCha8Rng::seed_from_u64(*seed);
        let settings = freedoms::settings(&freedoms::draw(&mut random));
        // Three mutants at once: one alone mostly finds no occasion.
        let faults: Vec<&str> = names.sample(&mut random, 3 * (*seed as usize % 3).min(1)).copied().collect();
        let scenario = scenario::read("history", &History::draw(*seed).scenario()).expect("a history is a scenario");
        Trace::play(format!("seed {seed} {faults:?}"), &scenario, &settings, &faults, *seed)
    });
    assert!(findings > count as usize / 4, "mutants were found out: {findings}");
}

#[test]
fn judging_mutants_depends_on_nothing_but_the_trace() {
    let about = |breaks: &str| {
        let exercises = |scenario: &Scenario| scenario.exercises.iter().any(|name| name.value == breaks);
        simulated::scenarios().iter().find(|(_, scenario)| exercises(scenario))
    };
    let cases: Vec<_> = mutants::all().filter_map(|one| Some((one.name, about(one.breaks)?))).collect();
    let findings = test_all(&cases, |(name, (id, scenario))| {
        Trace::play(format!("{name} in {id}"), scenario, &Settings::default(), &[name], 6)
    });
    assert!(findings > cases.len() / 2, "mutants were found out: {findings}");
}
