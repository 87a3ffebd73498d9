//! The switches of mutations, and what tries them: this file becomes `rules/mutation.rs` in the copy that is mutated.
//!
//! Which switch is on, is read once from the environment. There, too, stands what is to be done: write which test reaches
//! which mutation, or judge the corpus again with one mutation after the other. The corpus is what the conformant server,
//! all mutants, all dialects and some random histories showed when they were played on virtual time.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What a switch does besides being on or off.
static MODE: AtomicU8 = AtomicU8::new(UNREAD);
const UNREAD: u8 = 0;
const PLAIN: u8 = 1;
const BY_THREAD: u8 = 2;
const COUNTING: u8 = 3;
const FUELLED: u8 = 4;

/// The number of the switch that is on.
static ACTIVE: AtomicUsize = AtomicUsize::new(usize::MAX);

/// How many switches may be passed before what runs counts as hanging.
static FUEL: AtomicU64 = AtomicU64::new(u64::MAX);

thread_local! {
    static REACHED: RefCell<Reached> = RefCell::default();
}

/// The mutations that a thread has reached; a test has a thread of its own, which bears its name.
#[derive(Default)]
struct Reached {
    numbers: Vec<bool>,
    passed: u64,
    folder: Option<String>,
}

impl Reached {
    fn note(&mut self, number: usize) {
        self.passed += 1;
        if self.numbers.len() <= number {
            self.numbers.resize(number + 1, false);
        }
        self.numbers[number] = true;
    }

    fn list(&self) -> Vec<usize> {
        self.numbers.iter().enumerate().filter(|(_, reached)| **reached).map(|(number, _)| number).collect()
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        if let (Some(folder), Some(name)) = (&self.folder, std::thread::current().name()) {
            let numbers = self.list().iter().map(|number| format!("{number}\n")).collect::<String>();
            let text = format!("{}\n{numbers}", self.passed);
            let _ = std::fs::write(format!("{folder}/{}", name.replace("::", "+")), text);
        }
    }
}

/// Whether a mutation is alive.
#[inline]
pub(crate) fn on(number: usize) -> bool {
    if MODE.load(Relaxed) == PLAIN { ACTIVE.load(Relaxed) == number } else { on_and_more(number) }
}

#[cold]
fn on_and_more(number: usize) -> bool {
    match MODE.load(Relaxed) {
        UNREAD => {
            let of = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
            ACTIVE.store(of("JUDGE_MUTATION").map_or(usize::MAX, |number| number as usize), Relaxed);
            let fuel = of("JUDGE_MUTATION_FUEL");
            FUEL.store(fuel.unwrap_or(u64::MAX), Relaxed);
            let by_thread = std::env::var_os("JUDGE_MUTATION_REACHED").is_some();
            let mode = if fuel.is_some() { FUELLED } else { PLAIN };
            MODE.store(if by_thread { BY_THREAD } else { mode }, Relaxed);
            return on(number);
        }
        BY_THREAD => {
            let _ = REACHED.try_with(|reached| {
                let mut reached = reached.borrow_mut();
                reached.folder.get_or_insert_with(|| std::env::var("JUDGE_MUTATION_REACHED").unwrap_or_default());
                reached.note(number);
            });
        }
        COUNTING => REACHED.with(|reached| reached.borrow_mut().note(number)),
        _ => {
            let left = FUEL.load(Relaxed);
            assert!(left > 0, "judging does not end");
            FUEL.store(left - 1, Relaxed);
        }
    }
    ACTIVE.load(Relaxed) == number
}

#[cfg(test)]
mod corpus {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    use std::io::Write as _;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::emulator::{Settings, dialects, freedoms, mutants};
    use crate::engine::Options;
    use crate::prove::history::History;
    use crate::rules::{Context, Deadlines, Judge, Judgement};
    use crate::scenario::library;
    use crate::scenario::syntax::{Judged, Scenario};
    use crate::simulation::{Limits, Server, simulate};
    use crate::spec::Version;
    use crate::trace::format::{Line, read_line, write_observation};
    use crate::trace::secrets::Secrets;
    use crate::trace::{Observation, Recorded, Scratch, Side, Sink};
    use crate::traceability::faults;

    /// Against a dialect every so many of the scenarios are played, beginning at another one each time.
    const DIALECT_STRIDE: usize = 12;

    /// How many random histories are played.
    const HISTORIES: u64 = 60;

    /// How many times the switches of an undisturbed judging may be passed before it counts as hanging.
    const PATIENCE: u64 = 50;

    /// One play: the name and what judging needs, then a line for each observation.
    struct Trace {
        name: String,
        client: bool,
        clustered: bool,
        observations: Vec<Recorded>,
        reached: Vec<usize>,
        passed: u64,
        verdict: u64,
        words: String,
    }

    /// The file, and what it holds: the verdicts, and the magnitude of how often each requirement was put to the test.
    struct Corpus {
        file: std::io::BufWriter<std::fs::File>,
        shown: BTreeSet<(String, Vec<u32>)>,
    }

    /// Judges, so that scenarios end as they do otherwise, and keeps lines.
    struct Tape {
        judge: Judge,
        secrets: Secrets,
        lines: Vec<u8>,
    }

    impl Sink for Tape {
        fn observe(&mut self, observation: &Observation<'_>) {
            self.judge.observe(observation);
            write_observation("s", observation, &mut self.secrets, &mut self.lines);
        }

        fn due(&self) -> Option<crate::time::Instant> {
            self.judge.due()
        }
    }

    fn context(client: bool, clustered: bool) -> Context {
        Context {
            judged: if client { Side::Client } else { Side::Server },
            observer: Side::Client,
            version: Version::LATEST,
            clustered: Some(clustered),
            deadlines: Deadlines::default(),
        }
    }

    /// Plays a scenario and writes what was observed, unless a play before it showed the judge the like.
    fn play(name: &str, id: &str, scenario: &Scenario, settings: &Settings, fault: &[&str], out: &mut Corpus) {
        let (client, clustered) = (scenario.judge == Judged::Client, settings.clustered);
        let judge = Judge::new(context(client, clustered));
        let tape = Tape { judge, secrets: Secrets::new(), lines: Vec::new() };
        let mutants = fault.iter().filter_map(|name| mutants::make(name)).collect();
        let server = Server { settings: settings.clone(), mutants, seed: 1 };
        let bends = fault.iter().map(|name| (*name).to_owned()).collect();
        let options = Options { seed: 1, bends, ..Options::default() };
        let (tape, _) = simulate(id, scenario, options, server, tape, &Limits::default());
        let judgement = tape.judge.finish();
        let sizes = judgement.tested.values().map(|count| u64::BITS - count.leading_zeros());
        if out.shown.insert((words(&judgement), sizes.collect())) {
            writeln!(out.file, "T {client} {clustered} {name}").unwrap();
            out.file.write_all(&tape.lines).unwrap();
        }
    }

    #[test]
    #[ignore = "makes the corpus for the mutation of the judge"]
    fn corpus_is_played() {
        let file = std::fs::File::create(std::env::var("JUDGE_MUTATION_CORPUS").unwrap()).unwrap();
        let mut out = Corpus { file: std::io::BufWriter::new(file), shown: BTreeSet::new() };
        let shipped: Vec<_> = library::conformance()
            .into_iter()
            .map(|source| (crate::scenario::read(&source.file, &source.text).unwrap(), source.id))
            .collect();
        let plain = Settings::default();
        for (scenario, id) in &shipped {
            play(&format!("conformant/{id}"), id, scenario, &plain, &[], &mut out);
        }
        for fault in faults() {
            for (scenario, id) in &shipped {
                if scenario.exercises.iter().any(|name| fault.names(&name.value)) {
                    play(&format!("{}/{id}", fault.name), id, scenario, &plain, &[fault.name], &mut out);
                }
            }
        }
        for (place, dialect) in dialects::DIALECTS.iter().enumerate() {
            let mut settings = Settings::default();
            settings.apply(dialect.name).unwrap();
            for (scenario, id) in shipped.iter().skip(place % DIALECT_STRIDE).step_by(DIALECT_STRIDE) {
                play(&format!("{}/{id}", dialect.name), id, scenario, &settings, &[], &mut out);
            }
        }
        for seed in 0..HISTORIES {
            use rand::SeedableRng as _;
            let drawn = freedoms::draw(&mut chacha20::ChaCha8Rng::seed_from_u64(seed));
            let settings = freedoms::settings(&drawn);
            let scenario = crate::scenario::read("history", &History::draw(seed).scenario()).unwrap();
            play(&format!("history/{seed}"), "history", &scenario, &settings, &[], &mut out);
        }
        out.file.flush().unwrap();
    }

    fn load(path: &str) -> Vec<Trace> {
        let text = std::fs::read(path).unwrap();
        let mut traces: Vec<Trace> = Vec::new();
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            if let Some(head) = line.strip_prefix(b"T ") {
                let words: Vec<&str> = std::str::from_utf8(head).unwrap().splitn(3, ' ').collect();
                let (client, clustered, name) = (words[0] == "true", words[1] == "true", words[2].to_owned());
                let (observations, reached, words) = (Vec::new(), Vec::new(), String::new());
                traces.push(Trace { name, client, clustered, observations, reached, passed: 0, verdict: 0, words });
            } else if let Line::Observation(_, recorded) = read_line(line).unwrap() {
                traces.last_mut().unwrap().observations.push(*recorded);
            }
        }
        traces
    }

    /// What the judge says of a trace, as far as a report would show it as another verdict: per requirement whether it
    /// was put to the test, failed, warned, or was left undecided; the characteristics; and until when it asked to go on.
    fn verdict(trace: &Trace, scratch: &mut Scratch) -> (u64, String) {
        let mut hash = DefaultHasher::new();
        let mut judge = Judge::new(context(trace.client, trace.clustered));
        for recorded in &trace.observations {
            judge.observe(&recorded.lend(scratch));
            judge.due().hash(&mut hash);
        }
        let words = words(&judge.finish());
        words.hash(&mut hash);
        (hash.finish(), words)
    }

    fn words(judgement: &Judgement) -> String {
        let mut words = String::new();
        let counts = [&judgement.tested, &judgement.finding_counts, &judgement.warning_counts];
        for (kind, counts) in ["tested", "fails", "warns"].iter().zip(counts) {
            for id in counts.iter().filter(|(_, count)| **count > 0).map(|(id, _)| id) {
                let _ = writeln!(words, "{kind} {id}");
            }
        }
        for id in judgement.undecided.keys() {
            let _ = writeln!(words, "undecided {id}");
        }
        for seen in &judgement.characteristics {
            let _ = writeln!(words, "seen {} {} {}", seen.requirement, seen.name, seen.value);
        }
        words
    }

    /// Judges with nothing mutated, and notes which mutations are reached.
    fn undisturbed(trace: &mut Trace, scratch: &mut Scratch) {
        MODE.store(COUNTING, Relaxed);
        REACHED.with(|reached| *reached.borrow_mut() = Reached::default());
        verdict(trace, scratch);
        trace.reached = REACHED.with(|reached| reached.borrow().list());
        MODE.store(FUELLED, Relaxed);
        FUEL.store(u64::MAX, Relaxed);
        (trace.verdict, trace.words) = verdict(trace, scratch);
        trace.passed = u64::MAX - FUEL.load(Relaxed);
    }

    /// The trace whose verdict a mutation changes, and how; of those that reach it only so many that `limit` switches are
    /// passed in them. Time would make another number of them on a busy machine.
    fn killed(number: usize, traces: &[&Trace], limit: u64, scratch: &mut Scratch) -> Result<String, usize> {
        let mut passed = 0;
        for (judged, trace) in traces.iter().enumerate() {
            if passed > limit {
                return Err(judged);
            }
            passed += trace.passed;
            ACTIVE.store(number, Relaxed);
            FUEL.store(trace.passed * PATIENCE + 10_000, Relaxed);
            let outcome = catch_unwind(AssertUnwindSafe(|| verdict(trace, scratch)));
            ACTIVE.store(usize::MAX, Relaxed);
            match outcome {
                Ok((verdict, _)) if verdict == trace.verdict => {}
                Ok((_, words)) => {
                    let (old, new): (BTreeSet<&str>, BTreeSet<&str>) =
                        (trace.words.lines().collect(), words.lines().collect());
                    let change = old.symmetric_difference(&new).next().copied().unwrap_or("when it is over");
                    return Ok(format!("{}: {change}", trace.name));
                }
                Err(_) => {
                    *scratch = Scratch::default();
                    return Ok(format!("{}: panics or hangs", trace.name));
                }
            }
        }
        Err(traces.len())
    }

    #[test]
    #[ignore = "judges the corpus for the mutation of the judge"]
    fn corpus_is_judged() {
        let of = |name: &str| std::env::var(name).unwrap();
        let wanted = std::fs::read_to_string(of("JUDGE_MUTATION_WANTED")).unwrap();
        let limit = of("JUDGE_MUTATION_LIMIT").parse().unwrap();
        let mut out = std::fs::OpenOptions::new().append(true).create(true).open(of("JUDGE_MUTATION_OUT")).unwrap();
        let mut scratch = Scratch::default();
        let mut traces = load(&of("JUDGE_MUTATION_CORPUS"));
        ACTIVE.store(usize::MAX, Relaxed);
        for trace in &mut traces {
            undisturbed(trace, &mut scratch);
        }
        // Short ones first: they are judged soon.
        traces.sort_by_key(|trace| trace.passed);
        std::panic::set_hook(Box::new(|_| {}));
        let all: u64 = traces.iter().map(|trace| trace.passed).sum();
        eprintln!("{} plays pass {all} switches", traces.len());
        for number in wanted.lines().filter_map(|line| line.parse::<usize>().ok()) {
            writeln!(out, "{number} begun").unwrap();
            let reaching: Vec<&Trace> =
                traces.iter().filter(|trace| trace.reached.binary_search(&number).is_ok()).collect();
            match killed(number, &reaching, limit, &mut scratch) {
                Ok(how) => writeln!(out, "{number} killed {how}").unwrap(),
                Err(judged) => writeln!(out, "{number} survived {judged} {}", reaching.len()).unwrap(),
            }
        }
        writeln!(out, "through").unwrap();
    }
}
