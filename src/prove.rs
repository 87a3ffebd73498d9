//! The proof: every mutant has to be found out by its own requirement, and no dialect may be failed.
//!
//! Mutants and dialects are played on virtual time, on all cores, since thousands of scenarios are needed. Against each
//! mutant those scenarios are played that exercise its requirement or its declared collateral; against a sample of them,
//! drawn by the seed, the whole suite, which finds collateral that nobody thought of. Another sample runs over real sockets
//! as well, to show that both drivers are of one mind. What comes out is the kill matrix ([`crate::report::matrix`]).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use chacha20::ChaCha8Rng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_saphyr::Spanned;
use tokio::sync::watch;

use crate::cli::progress::Progress;
use crate::emulator::dialects::{self, Dialect};
use crate::emulator::{Settings, freedoms};
use crate::exit::{ExitCode, Failure};
use crate::net::clock::Clock;
use crate::net::interrupt;
use crate::report::histories::Histories;
use crate::report::matrix::{Broken, DialectRow, FalseAlarm, Fate, KillMatrix, MutantRow, Undecided};
use crate::rules::Finding;
use crate::run::{failed_over_sockets, runtime};
use crate::scenario::library::{self, fits};
use crate::scenario::need::Need;
use crate::scenario::syntax::Scenario;
use crate::scenario::{self, Source, suggest};
use crate::spec::{RequirementId, requirements};
use crate::traceability::{Fault, Whose, faults, faults_of_loads, is_about};

pub mod histories;
pub mod history;
pub mod leeway;
pub mod play;
pub mod twin;

use histories::one_history;
use play::play;

/// Against every how many mutants the whole suite is played.
const WHOLE_EVERY: usize = 8;

/// How many scenarios are played against a dialect that was drawn at random.
const SCENARIOS_PER_DRAW: usize = 16;

/// How many histories are one piece of work.
const HISTORIES_AT_ONCE: u64 = 50;

/// What is to be proven.
#[derive(Debug, Clone)]
pub struct Config {
    /// Mutants, dialects, requirements or areas, `*` standing for anything; everything without.
    pub words: Vec<String>,
    /// Decides every random choice.
    pub seed: u64,
    /// Play the whole suite against every mutant.
    pub whole: bool,
    /// How many dialects are drawn at random.
    pub drawn: usize,
    /// How many random histories are played on conformant servers, every second one with a mutant as well.
    pub histories: u64,
    /// How many mutants run over sockets as well.
    pub sockets: usize,
    /// How many threads play.
    pub jobs: usize,
    /// The command that repeats it.
    pub command: String,
}

/// One piece of work.
enum Item<'p> {
    Mutant { mutant: Fault, whole: bool },
    Dialect { name: String, settings: Box<Settings>, scenarios: Vec<&'p Loaded> },
    Histories { first: u64, count: u64 },
}

/// What came of it.
enum Row {
    Mutant(MutantRow),
    Dialect(DialectRow),
    Histories(Histories),
}

/// A shipped scenario that was read.
struct Loaded {
    source: Source,
    scenario: Scenario,
    exercises: BTreeSet<RequirementId>,
}

impl Loaded {
    /// Whether a run would play it against a server with these settings.
    fn is_for(&self, settings: &Settings) -> bool {
        let not_clustered = |need: &Spanned<String>| need.value.parse() == Ok(Need::NotClustered);
        !(settings.clustered && self.scenario.needs.iter().any(not_clustered))
    }
}

/// Proves what was asked for.
///
/// # Errors
/// A word that names nothing; a shipped scenario that cannot be read.
pub fn prove(config: &Config, progress: &mut dyn Progress) -> Result<KillMatrix, Failure> {
    let scenarios = load()?;
    let (mutants, dialects) = choose(&config.words)?;
    let runtime = runtime()?;
    let _context = runtime.enter();
    let clock = Clock::start();
    let stop = interrupt::watch();
    let items = items(config, &scenarios, &mutants, &dialects);
    progress.planned(items.len());
    let (mut rows, played) = carry_out(config, &items, &scenarios, &stop, progress);
    let sample = runtime.block_on(over_sockets(config, &rows, &scenarios, clock, &stop));
    for row in &mut rows {
        row.agrees_over_sockets = sample.get(&row.mutant).copied();
    }
    Ok(KillMatrix {
        schema: 1,
        seed: config.seed,
        duration_ms: clock.now().as_millis(),
        scenarios_played: played.scenarios,
        interrupted: *stop.borrow(),
        command: config.command.clone(),
        mutants: rows,
        dialects: played.dialects,
        histories: played.histories,
    })
}

/// All shipped scenarios that judge conformance.
fn load() -> Result<Vec<Loaded>, Failure> {
    let read = |source: Source| {
        let wrong = |_| Failure { code: ExitCode::Bug, message: format!("{} cannot be read", source.file) };
        let scenario = scenario::read(&source.file, &source.text).map_err(wrong)?;
        let exercises = scenario.exercises.iter().filter_map(|name| RequirementId::from_name(&name.value)).collect();
        Ok(Loaded { source, scenario, exercises })
    };
    library::conformance().into_iter().map(read).collect()
}

/// Mutants and dialects.
pub type Chosen = (Vec<Fault>, Vec<&'static Dialect>);

/// All mutants and dialects that the words name, those mutants included that only a load finds; without words all that there
/// are.
///
/// # Errors
/// A word that names nothing, or nothing but requirements that no mutant breaks.
pub fn named(words: &[String]) -> Result<Chosen, Failure> {
    let all: Vec<Fault> = faults().chain(faults_of_loads()).collect();
    pick(words, &all).map_err(|word| word.map_or_else(nothing_breaks, |word| unknown(&word)))
}

/// The mutants and dialects that the words name, and that can be played.
fn choose(words: &[String]) -> Result<Chosen, Failure> {
    let all: Vec<Fault> = faults().collect();
    pick(words, &all).map_err(|word| {
        let Some(word) = word else { return nothing_breaks() };
        let rare = faults_of_loads().find(|one| fits(&word, one.name));
        rare.map_or_else(|| unknown(&word), |rare| too_rare(&rare))
    })
}

/// Those of the mutants, and of all dialects, that the words name, each once. Otherwise the word that names nothing, or none
/// where each names something, but all of them together no mutant and no dialect.
fn pick(words: &[String], mutants: &[Fault]) -> Result<Chosen, Option<String>> {
    if words.is_empty() {
        return Ok((mutants.to_vec(), dialects::DIALECTS.iter().collect()));
    }
    let (mut chosen, mut spoken): Chosen = Default::default();
    for word in words {
        let upper = word.to_ascii_uppercase();
        let before = chosen.len() + spoken.len();
        chosen.extend(mutants.iter().filter(|one| is_named(one, word)).copied());
        spoken.extend(dialects::DIALECTS.iter().filter(|dialect| fits(word, dialect.name)));
        let requirement = requirements::all().any(|id| id.as_str() == upper || id.get().area() == upper);
        if chosen.len() + spoken.len() == before && !requirement {
            return Err(Some(word.clone()));
        }
    }
    let mut seen = BTreeSet::new();
    chosen.retain(|one| seen.insert(one.name));
    spoken.retain(|one| seen.insert(one.name));
    if chosen.is_empty() && spoken.is_empty() { Err(None) } else { Ok((chosen, spoken)) }
}

/// Whether a word names a mutant: by its name, by the requirement that it breaks, or by the area of that.
fn is_named(one: &Fault, word: &str) -> bool {
    let upper = word.to_ascii_uppercase();
    fits(word, one.name) || one.breaks == upper || one.breaks.split('-').next() == Some(upper.as_str())
}

fn nothing_breaks() -> Failure {
    Failure::usage("no mutant breaks what was asked for")
}

fn unknown(word: &str) -> Failure {
    let faults = faults().chain(faults_of_loads()).map(|mutant| mutant.name);
    let names: Vec<&str> = faults.chain(dialects::DIALECTS.iter().map(|dialect| dialect.name)).collect();
    let help = suggest::among_many(word, names).map_or_else(String::new, |help| format!("{help}; "));
    Failure::usage(format!(
        "`{word}` is no mutant, no dialect and no requirement; {help}`bridgeproof prove --list` names all mutants and dialects"
    ))
}

/// How to try a mutant that the suite does not find.
fn too_rare(one: &Fault) -> Failure {
    Failure::usage(format!(
        "`{}` deviates too rarely for the suite; only a load finds it: {}",
        one.name,
        how_to_try(one)
    ))
}

/// How a mutant is tried.
pub fn how_to_try(one: &Fault) -> String {
    match one.whose {
        Whose::ServerUnderLoad => {
            format!("bridgeproof run load/steady --rate 200 --duration 2m --mutant {}", one.name)
        }
        Whose::Server | Whose::Client | Whose::Receiver => format!("bridgeproof prove {} --details", one.name),
    }
}

/// The work, longest pieces first.
fn items<'p>(
    config: &Config,
    scenarios: &'p [Loaded],
    mutants: &[Fault],
    dialects: &[&'static Dialect],
) -> Vec<Item<'p>> {
    let mut random = ChaCha8Rng::seed_from_u64(config.seed);
    let mut items = Vec::new();
    for dialect in dialects {
        let mut settings = Settings::default();
        // A test proves that every dialect can be set.
        let _ = settings.apply(dialect.name);
        let (name, scenarios) = (dialect.name.to_owned(), scenarios.iter().collect());
        items.push(Item::Dialect { name, settings: Box::new(settings), scenarios });
    }
    let offset = random.random_range(0..WHOLE_EVERY);
    for (place, mutant) in mutants.iter().enumerate() {
        let whole = config.whole || place % WHOLE_EVERY == offset;
        items.push(Item::Mutant { mutant: *mutant, whole });
    }
    let drawn = if dialects.is_empty() { 0 } else { config.drawn };
    for _ in 0..drawn {
        let drawn = freedoms::draw(&mut random);
        let settings = freedoms::settings(&drawn);
        let name = drawn.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        let all: Vec<&Loaded> = scenarios.iter().collect();
        let scenarios = all.sample(&mut random, SCENARIOS_PER_DRAW).copied().collect();
        items.push(Item::Dialect { name, settings: Box::new(settings), scenarios });
    }
    let histories = if dialects.is_empty() { 0 } else { config.histories };
    for first in (0..histories).step_by(HISTORIES_AT_ONCE as usize) {
        let count = HISTORIES_AT_ONCE.min(histories - first);
        items.push(Item::Histories { first: config.seed.wrapping_add(first), count });
    }
    items.sort_by_key(|item| match item {
        Item::Mutant { whole: true, .. } => 0,
        Item::Dialect { .. } => 1,
        Item::Mutant { whole: false, .. } | Item::Histories { .. } => 2,
    });
    items
}

/// What was played besides mutants.
#[derive(Default)]
struct Tally {
    dialects: Vec<DialectRow>,
    histories: Histories,
    scenarios: u64,
}

/// Does the work on several threads; the rows come back in the order of the lists.
fn carry_out(
    config: &Config,
    items: &[Item<'_>],
    scenarios: &[Loaded],
    stop: &watch::Receiver<bool>,
    progress: &mut dyn Progress,
) -> (Vec<MutantRow>, Tally) {
    let next = AtomicUsize::new(0);
    let (sender, done) = mpsc::channel();
    let mut tally = Tally::default();
    let mut rows = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..config.jobs.max(1) {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if *stop.borrow() || sender.send(row(item, scenarios, config.seed, stop)).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        for row in done {
            match row {
                Some(Row::Mutant(row)) => {
                    progress.finished(&row.mutant, row.broken.len());
                    tally.scenarios += row.scenarios_played as u64;
                    rows.push(row);
                }
                Some(Row::Dialect(row)) => {
                    progress.finished(&row.dialect, row.false_alarms.len());
                    tally.scenarios += row.scenarios_played as u64;
                    tally.dialects.push(row);
                }
                Some(Row::Histories(part)) => {
                    progress.finished("histories", part.false_alarms.len() + part.misses.len());
                    tally.scenarios += part.played + part.with_mutants();
                    tally.histories.add(part);
                }
                None => {}
            }
        }
    });
    tally.histories.settle();
    let places: BTreeMap<&str, usize> = faults().enumerate().map(|(place, one)| (one.name, place)).collect();
    rows.sort_by_key(|row| places.get(row.mutant.as_str()).copied());
    let known = |row: &DialectRow| dialects::DIALECTS.iter().position(|dialect| dialect.name == row.dialect);
    tally.dialects.sort_by_key(|row| (known(row).is_none(), known(row), row.dialect.clone()));
    (rows, tally)
}

/// One piece of work; `None` if the user ended it in the middle.
fn row(item: &Item<'_>, all: &[Loaded], seed: u64, stop: &watch::Receiver<bool>) -> Option<Row> {
    match item {
        Item::Mutant { mutant, whole } => mutant_row(*mutant, *whole, all, seed, stop).map(Row::Mutant),
        Item::Histories { first, count } => {
            let mut all = Histories::default();
            for seed in (0..*count).map(|more| first.wrapping_add(more)) {
                if *stop.borrow() {
                    return None;
                }
                one_history(seed, None, &mut all);
            }
            Some(Row::Histories(all))
        }
        Item::Dialect { name, settings, scenarios } => {
            let (mut false_alarms, mut undecided) = (Vec::new(), Vec::new());
            let whole = scenarios.len() == all.len();
            let scenarios: Vec<_> = scenarios.iter().filter(|loaded| loaded.is_for(settings)).collect();
            let mut untested: BTreeSet<_> = scenarios.iter().flat_map(|loaded| loaded.exercises.clone()).collect();
            for loaded in &scenarios {
                if *stop.borrow() {
                    return None;
                }
                let played = play(&loaded.source.id, &loaded.scenario, settings, &[], seed);
                let wrong = played.judgement.findings.iter();
                false_alarms.extend(wrong.filter(|finding| finding.fails()).map(|finding| FalseAlarm {
                    requirement: finding.requirement.to_string(),
                    scenario: loaded.source.id.clone(),
                    finding: format!("expected {}; observed {}", finding.expected, finding.observed),
                }));
                let tested = &played.judgement.tested;
                untested.retain(|id| tested.get(id).is_none_or(|times| *times == 0));
                let scenario = &loaded.source.id;
                let left_open = played.undecided().filter(|_| whole);
                undecided.extend(left_open.map(|why| Undecided { scenario: scenario.clone(), why }));
            }
            if whole {
                // Where there is nothing to be seen, since the dialect makes use of that very freedom, nothing is tested.
                let dialect = dialects::find(name);
                untested.retain(|id| dialect.is_none_or(|dialect| !is_about(dialect, *id)));
                let why = |id: RequirementId| format!("{id}: nothing put it to the test");
                undecided.extend(untested.into_iter().map(|id| Undecided { scenario: "all".to_owned(), why: why(id) }));
            }
            let (dialect, scenarios_played) = (name.clone(), scenarios.len());
            Some(Row::Dialect(DialectRow { dialect, false_alarms, undecided, scenarios_played }))
        }
    }
}

fn mutant_row(
    mutant: Fault,
    whole: bool,
    all: &[Loaded],
    seed: u64,
    stop: &watch::Receiver<bool>,
) -> Option<MutantRow> {
    let named = |id: &str| mutant.names(id);
    let mut broken: BTreeMap<RequirementId, Vec<String>> = BTreeMap::new();
    let mut scenarios_played = 0;
    let matters = |loaded: &&Loaded| whole || loaded.exercises.iter().any(|id| named(id.as_str()));
    for loaded in all.iter().filter(matters) {
        if *stop.borrow() {
            return None;
        }
        scenarios_played += 1;
        let played = play(&loaded.source.id, &loaded.scenario, &Settings::default(), &[mutant.name], seed);
        // A requirement whose violations only warn is found out by a warning.
        let own = |one: &&Finding| !one.warns || one.requirement.as_str() == mutant.breaks;
        let failed: BTreeSet<RequirementId> =
            played.judgement.findings.iter().filter(own).map(|one| one.requirement).collect();
        for id in failed {
            broken.entry(id).or_default().push(loaded.source.id.clone());
        }
    }
    let own = broken.keys().any(|id| id.as_str() == mutant.breaks);
    let stray = broken.keys().any(|id| !named(id.as_str()));
    let fate = match (own, stray, broken.is_empty()) {
        (_, true, _) => Fate::Undeclared,
        (true, false, _) => Fate::Killed,
        (false, false, false) => Fate::Collateral,
        (false, false, true) => Fate::Survived,
    };
    let idle = mutant.collateral.iter().filter(|(id, _)| whole && !broken.keys().any(|known| known.as_str() == *id));
    Some(MutantRow {
        mutant: mutant.name.to_owned(),
        breaks: mutant.breaks.to_owned(),
        fate,
        idle_collateral: idle.map(|(id, _)| (*id).to_owned()).collect(),
        broken: broken
            .into_iter()
            .map(|(id, scenarios)| Broken { requirement: id.to_string(), declared: named(id.as_str()), scenarios })
            .collect(),
        scenarios_played,
        whole_suite: whole,
        agrees_over_sockets: None,
    })
}

/// Runs a sample of the mutants that were killed over sockets as well, each in one scenario that killed it. Whether the
/// same requirement failed there, and none that may not.
async fn over_sockets(
    config: &Config,
    rows: &[MutantRow],
    all: &[Loaded],
    clock: Clock,
    stop: &watch::Receiver<bool>,
) -> BTreeMap<String, bool> {
    let mut random = ChaCha8Rng::seed_from_u64(config.seed ^ 1);
    let killed: Vec<&MutantRow> = rows.iter().filter(|row| row.fate == Fate::Killed).collect();
    let sample: Vec<&MutantRow> = killed.sample(&mut random, config.sockets).copied().collect();
    let runs = sample.into_iter().filter_map(|row| {
        let own = row.broken.iter().find(|broken| broken.requirement == row.breaks)?;
        let loaded = all.iter().find(|loaded| own.scenarios.contains(&loaded.source.id))?;
        Some(async move {
            let failed = failed_over_sockets(&loaded.source, &row.mutant, config.seed, clock, stop.clone()).await?;
            let may = |id: &RequirementId| {
                id.as_str() == row.breaks || row.broken.iter().any(|broken| broken.requirement == id.as_str())
            };
            let agrees = failed.iter().any(|id| id.as_str() == row.breaks) && failed.iter().all(may);
            Some((row.mutant.clone(), agrees))
        })
    });
    let mut agreement = BTreeMap::new();
    for run in runs {
        if *stop.borrow() {
            break;
        }
        agreement.extend(run.await);
    }
    agreement
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Silent;

    impl Progress for Silent {
        fn planned(&mut self, _: usize) {}
        fn started(&mut self, _: &str) {}
        fn finished(&mut self, _: &str, _: usize) {}
        fn note(&mut self, _: &str) {}
    }

    fn config(words: &[&str]) -> Config {
        Config {
            words: words.iter().map(|word| (*word).to_owned()).collect(),
            seed: 4,
            whole: false,
            drawn: 0,
            histories: 0,
            sockets: 1,
            jobs: 2,
            command: "bridgeproof prove".to_owned(),
        }
    }

    #[test]
    fn one_mutant_is_killed_on_virtual_time_and_over_sockets() {
        let matrix = prove(&config(&["ack-of-request-missing"]), &mut Silent).unwrap();
        assert_eq!(matrix.mutants.len(), 1);
        assert!(matrix.is_proven(), "{}", matrix.text(true));
        assert_eq!(matrix.mutants[0].agrees_over_sockets, Some(true));
        assert!(matrix.dialects.is_empty());
    }

    #[test]
    fn words_choose_mutants_by_name_requirement_and_area_and_dialects_by_name() {
        let chosen = |words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            choose(&words).map(|(mutants, dialects)| (mutants.len(), dialects.len()))
        };
        let all = faults().filter(|mutant| mutant.breaks.starts_with("MSG-")).count();
        assert_eq!(chosen(&["msg"]).unwrap(), (all, 0));
        assert_eq!(chosen(&["MSG-03", "MSG"]).unwrap(), (all, 0));
        assert_eq!(chosen(&["late"]).unwrap(), (0, 1));
        let failure = chosen(&["ack-of-request-mising"]).unwrap_err();
        assert!(failure.message.contains("did you mean `ack-of-request-missing`?"), "{failure}");
        let failure = chosen(&["one-in-a-hundred-thousand-told-twice"]).unwrap_err();
        assert!(failure.message.contains("bridgeproof run load/steady --rate 200"), "{failure}");
    }
}
