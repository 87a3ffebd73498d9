//! Playing random histories: each on a conformant server drawn at random, which may not be failed, and every second one
//! once more with a random mutant (or a few, until one does something), which has to be found out where its deviation reached the trace.
//!
//! What reached the trace, [`super::twin`] tells. What finds something it may not, or does not find what it has to, is
//! shrunk and kept as a scenario file.

use chacha20::ChaCha8Rng;
use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;

use super::history::History;
use super::leeway::leeway;
use super::play::{Played, play};
use super::twin::{Marked, marked, part_in_ids_alone, parting, parting_in_words};
use crate::emulator::mutants::{self, Registered};
use crate::emulator::{Settings, freedoms};
use crate::engine::End;
use crate::report::histories::{Histories, HistoryAlarm, HistoryMiss, MutantHistories, SHOWN};
use crate::rules::Finding;
use crate::scenario;
use crate::scenario::syntax::Scenario;

/// Keeps what is drawn for the mutant apart from what is drawn for the history.
const OF_MUTANTS: u64 = 0x6d75_7461_6e74;

/// How many mutants are tried where the first ones do nothing: most need a situation of their own.
const ATTEMPTS: usize = 4;

/// A conformant server that was drawn at random.
struct Drawn {
    seed: u64,
    dialect: String,
    settings: Settings,
}

impl Drawn {
    fn new(seed: u64) -> Self {
        let dialect = freedoms::draw(&mut ChaCha8Rng::seed_from_u64(seed));
        let settings = freedoms::settings(&dialect);
        let dialect = dialect.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",");
        Self { seed, dialect, settings }
    }

    /// The settings together with those that the mutant brings with it; `None` if it brings none, or
    /// if all that it does is to change them.
    fn with_settings_of(&self, mutant: &Registered) -> Option<Settings> {
        let mut one = (mutant.make)();
        if one.is_settings_only() {
            return None;
        }
        let mut settings = self.settings.clone();
        one.settings(&mut settings);
        (settings != self.settings).then_some(settings)
    }

    /// Plays a history with all evidence; `None` where it is no scenario, which a test rules out.
    fn tell(&self, history: &History) -> Option<Played> {
        Some(play("history", &read(history)?, &self.settings, &[], self.seed))
    }
}

fn read(history: &History) -> Option<Scenario> {
    scenario::read("history", &history.scenario()).ok()
}

/// Plays the history of a seed; with a mutant as well if the seed is even. `mutant` stands for the one that the seed
/// draws.
pub fn one_history(seed: u64, mutant: Option<&'static Registered>, all: &mut Histories) {
    let drawn = Drawn::new(seed);
    let history = History::draw(seed);
    let Some(scenario) = read(&history) else { return };
    let without = marked(&scenario, &drawn.settings, &[], seed);
    all.played += 1;
    all.unfinished += u64::from(without.outcome.end != End::Finished);
    if without.judgement.findings.iter().any(Finding::fails) {
        all.false_alarms.push(alarm(&drawn, history, all.false_alarms.len() < SHOWN));
    } else if seed.is_multiple_of(2) {
        let mutants = mutant.map_or_else(|| of_seed(seed), |one| vec![one]);
        for mutant in mutants {
            if with_mutant(&drawn, &history, &scenario, &without, mutant, all) != Verdict::Idle {
                break;
            }
        }
    }
}

/// The mutants that a seed draws, each of which is played where those before it did nothing.
fn of_seed(seed: u64) -> Vec<&'static Registered> {
    let all: Vec<&'static Registered> = mutants::all().collect();
    all.sample(&mut ChaCha8Rng::seed_from_u64(seed ^ OF_MUTANTS), ATTEMPTS).copied().collect()
}

fn alarm(drawn: &Drawn, history: History, shrink: bool) -> HistoryAlarm {
    let alarms = |history: &History| {
        drawn.tell(history).is_some_and(|played| played.judgement.findings.iter().any(Finding::fails))
    };
    let short = if shrink { history.shrink(alarms) } else { history };
    HistoryAlarm {
        seed: drawn.seed,
        dialect: drawn.dialect.clone(),
        trouble: drawn.tell(&short).map(|played| played.trouble()).unwrap_or_default(),
        scenario: short.scenario(),
    }
}

/// Plays a history with a mutant and lays it beside the one without. What it came to.
fn with_mutant(
    drawn: &Drawn,
    history: &History,
    scenario: &Scenario,
    without: &Marked,
    mutant: &'static Registered,
    all: &mut Histories,
) -> Verdict {
    let verdict = beside(drawn, scenario, without, mutant);
    let leeway = leeway(mutant.breaks);
    let row = all.mutants.entry(mutant.name.to_owned()).or_insert_with(|| MutantHistories {
        breaks: mutant.breaks.to_owned(),
        leeway: leeway.map(str::to_owned),
        ..MutantHistories::default()
    });
    match &verdict {
        Verdict::Idle => row.idle += 1,
        Verdict::Found => row.found += 1,
        Verdict::Collateral => row.collateral += 1,
        Verdict::Stray(id) => *row.strays.entry(id.clone()).or_default() += 1,
        Verdict::Excused => row.excused += 1,
        Verdict::Nothing if leeway.is_some() => row.excused += 1,
        Verdict::Nothing => {
            row.missed += 1;
            if all.misses.iter().all(|known| known.mutant != mutant.name) {
                all.misses.push(miss(drawn, history, mutant));
            }
        }
    }
    verdict
}

/// What the history comes to with the mutant, seen beside the one without.
///
/// Some mutants change settings only to bring about what they break. Where the settings alone explain the difference,
/// nothing happened: the twin has them, too.
fn beside(drawn: &Drawn, scenario: &Scenario, without: &Marked, mutant: &Registered) -> Verdict {
    let with = marked(scenario, &drawn.settings, &[mutant.name], drawn.seed);
    let Some(place) = parting(&without.marks, &with.marks) else { return Verdict::Idle };
    let own_settings = drawn.with_settings_of(mutant);
    let twin = own_settings.as_ref().map(|settings| marked(scenario, settings, &[], drawn.seed));
    if twin.is_some_and(|twin| parting(&twin.marks, &with.marks).is_none()) {
        return Verdict::Idle;
    }
    let verdict = verdict(&with, mutant);
    if verdict != Verdict::Nothing {
        return verdict;
    }
    let settings = [own_settings.as_ref().unwrap_or(&drawn.settings), &drawn.settings];
    if part_in_ids_alone(scenario, settings, mutant.name, drawn.seed) {
        return Verdict::Idle;
    }
    let is_doubtful = |marked: &Marked| marked.doubts.get(place).copied().unwrap_or(false);
    if is_doubtful(without) || is_doubtful(&with) { Verdict::Excused } else { Verdict::Nothing }
}

/// What a history with a mutant came to.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing happened.
    Idle,
    /// Its own requirement failed.
    Found,
    /// Only declared collateral failed.
    Collateral,
    /// Only others failed; the first of them.
    Stray(String),
    /// Nothing failed, and what differs may be ambiguous.
    Excused,
    /// Nothing failed.
    Nothing,
}

/// What a history came to in which the mutant did something.
fn verdict(with: &Marked, mutant: &Registered) -> Verdict {
    let own = |one: &Finding| one.requirement.as_str() == mutant.breaks;
    let named = |one: &Finding| mutant.collateral.iter().any(|(id, _)| *id == one.requirement.as_str());
    let failed: Vec<&Finding> = with.judgement.findings.iter().filter(|one| one.fails() || own(one)).collect();
    if failed.iter().any(|one| own(one)) {
        Verdict::Found
    } else if failed.iter().any(|one| named(one)) {
        Verdict::Collateral
    } else {
        failed.first().map_or(Verdict::Nothing, |one| Verdict::Stray(one.requirement.to_string()))
    }
}

fn miss(drawn: &Drawn, history: &History, mutant: &'static Registered) -> HistoryMiss {
    let missed = |history: &History| {
        read(history).is_some_and(|scenario| {
            let without = marked(&scenario, &drawn.settings, &[], drawn.seed);
            beside(drawn, &scenario, &without, mutant) == Verdict::Nothing
        })
    };
    let short = history.shrink(missed);
    let own_settings = drawn.with_settings_of(mutant).unwrap_or_else(|| drawn.settings.clone());
    let parting = read(&short)
        .map(|scenario| parting_in_words(&scenario, [&own_settings, &drawn.settings], mutant.name, drawn.seed))
        .unwrap_or_default();
    HistoryMiss {
        seed: drawn.seed,
        mutant: mutant.name.to_owned(),
        breaks: mutant.breaks.to_owned(),
        dialect: drawn.dialect.clone(),
        parting,
        scenario: short.scenario(),
    }
}
