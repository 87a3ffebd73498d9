//! What random histories showed: on conformant servers, and on servers with one mutant. Model and text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many false alarms are kept, and how many misses are shown where no details are wanted.
pub const SHOWN: usize = 5;

/// Random histories, each on a conformant server that was drawn with it; every second one with a mutant as well.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct Histories {
    /// How many were played, each against a dialect of its own.
    pub played: u64,
    /// How many of them could not be carried out to the end.
    pub unfinished: u64,
    /// Those that found something.
    pub false_alarms: Vec<HistoryAlarm>,
    /// What became of mutants, by name.
    pub mutants: BTreeMap<String, MutantHistories>,
    /// Deviations that reached the trace and were not found out, though they should have been: one of each mutant.
    pub misses: Vec<HistoryMiss>,
}

/// A history in which a conformant server was failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryAlarm {
    /// The seed that draws it.
    pub seed: u64,
    /// The settings of the server.
    pub dialect: String,
    /// What was expected, what was observed, with the evidence.
    pub trouble: String,
    /// The shrunk history as a scenario file, which repeats it.
    pub scenario: String,
}

/// What became of one mutant in the histories that were played with it.
///
/// Whether it deviated at all, the trace of the same history without it tells: both are the same until then.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct MutantHistories {
    /// The requirement that it breaks.
    pub breaks: String,
    /// The trace is that of the conformant server: nothing happened, and nothing was found.
    pub idle: u64,
    /// It deviated, and its own requirement failed.
    pub found: u64,
    /// It deviated, and only requirements failed that its entry names beside its own.
    pub collateral: u64,
    /// It deviated, and only requirements failed that its entry does not name; how often each did.
    pub strays: BTreeMap<String, u64>,
    /// It deviated, nothing was found, and a conformant server could have done the same.
    pub excused: u64,
    /// Why a conformant server could, if it could.
    pub leeway: Option<String>,
    /// It deviated, and nothing was found.
    pub missed: u64,
}

/// A deviation that reached the trace and was not found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HistoryMiss {
    /// The seed that draws the history.
    pub seed: u64,
    /// The mutant.
    pub mutant: String,
    /// The requirement that it breaks.
    pub breaks: String,
    /// The settings of the server.
    pub dialect: String,
    /// Where the traces with and without the mutant part.
    pub parting: String,
    /// The shrunk history as a scenario file, which repeats it.
    pub scenario: String,
}

impl Histories {
    /// How many histories were played with a mutant.
    pub fn with_mutants(&self) -> u64 {
        self.mutants.values().map(MutantHistories::played).sum()
    }

    /// Adds what other histories showed.
    pub fn add(&mut self, other: Self) {
        self.played += other.played;
        self.unfinished += other.unfinished;
        self.false_alarms.extend(other.false_alarms);
        self.misses.extend(other.misses);
        for (name, more) in other.mutants {
            self.mutants.entry(name).or_default().add(more);
        }
    }

    /// Puts alarms and misses in order, and keeps the first.
    pub fn settle(&mut self) {
        self.false_alarms.sort_by_key(|alarm| alarm.seed);
        self.false_alarms.truncate(SHOWN);
        self.misses.sort_by(|one, other| (&one.mutant, one.seed).cmp(&(&other.mutant, other.seed)));
        self.misses.dedup_by(|one, other| one.mutant == other.mutant);
    }

    /// For the terminal: what is wrong; with `details` a line for every mutant that deviated.
    pub fn text(&self, details: bool) -> String {
        let mut out = String::new();
        for alarm in &self.false_alarms {
            let _ = writeln!(
                out,
                "FALSE ALARM in the history of seed {} on {}:\n{}\n{}",
                alarm.seed,
                named(&alarm.dialect),
                alarm.trouble.trim_end(),
                alarm.scenario
            );
        }
        for miss in self.misses.iter().take(if details { self.misses.len() } else { SHOWN }) {
            let _ = writeln!(
                out,
                "MISSED {} (breaks {}) in the history of seed {} on {}:\n{}\n{}",
                miss.mutant,
                miss.breaks,
                miss.seed,
                named(&miss.dialect),
                miss.parting.trim_end(),
                miss.scenario
            );
        }
        if self.mutants.is_empty() {
            return out;
        }
        let sum = |count: fn(&MutantHistories) -> u64| self.mutants.values().map(count).sum::<u64>();
        let deviated = self.mutants.values().filter(|row| row.deviated() > 0).count();
        let _ = writeln!(
            out,
            "histories with a mutant: {} ({} mutants, of which {deviated} deviated); nothing happened in {}, found out in {} \
             (by others than their own requirement in {}), within the leeway in {}, missed in {}",
            self.with_mutants(),
            self.mutants.len(),
            sum(|row| row.idle),
            sum(|row| row.found + row.collateral + row.strays_played()),
            sum(|row| row.collateral + row.strays_played()),
            sum(|row| row.excused),
            sum(|row| row.missed),
        );
        for (name, row) in self.mutants.iter().filter(|(_, row)| details && row.deviated() > 0) {
            let _ = writeln!(out, "{}", row.line(name));
        }
        out
    }
}

impl MutantHistories {
    /// How many histories were played with it.
    pub fn played(&self) -> u64 {
        self.idle + self.deviated()
    }

    /// In how many of them it deviated.
    pub fn deviated(&self) -> u64 {
        self.found + self.collateral + self.strays_played() + self.excused + self.missed
    }

    /// Histories in which only others failed, each counted once, by the first of them.
    fn strays_played(&self) -> u64 {
        self.strays.values().sum()
    }

    fn add(&mut self, more: Self) {
        self.breaks = more.breaks;
        self.idle += more.idle;
        self.found += more.found;
        self.collateral += more.collateral;
        for (id, count) in more.strays {
            *self.strays.entry(id).or_default() += count;
        }
        self.excused += more.excused;
        self.leeway = more.leeway;
        self.missed += more.missed;
    }

    fn line(&self, name: &str) -> String {
        let mut line = format!("  {name} ({}): found out {}", self.breaks, self.found);
        for (what, count) in [("collateral only", self.collateral), ("missed", self.missed), ("idle", self.idle)] {
            if count > 0 {
                let _ = write!(line, ", {what} {count}");
            }
        }
        for (id, count) in &self.strays {
            let _ = write!(line, ", only {id} {count}");
        }
        if let Some(leeway) = &self.leeway {
            let _ = write!(line, ", excused {}: {leeway}", self.excused);
        } else if self.excused > 0 {
            let _ = write!(line, ", excused {}: a restart or a request was under way", self.excused);
        }
        line
    }
}

fn named(dialect: &str) -> &str {
    if dialect.is_empty() { "the default" } else { dialect }
}
