//! The kill matrix: which mutant was found out by which requirement, and what no dialect may do. Model and renderings.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::escape::html;
use super::histories::Histories;
use super::quantity::span;
use super::table::area;

/// What became of one mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Found out by the requirement that it breaks, and by no other but declared ones.
    Killed,
    /// Found out by its own requirement, but others fail as well that its entry does not name.
    Undeclared,
    /// Found out by declared collateral only.
    Collateral,
    /// Not found out.
    Survived,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Killed, Self::Undeclared, Self::Collateral, Self::Survived];

    /// The word for tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Undeclared => "undeclared",
            Self::Collateral => "collateral",
            Self::Survived => "survived",
        }
    }
}

/// A requirement that failed on a mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Broken {
    /// The requirement.
    pub requirement: String,
    /// Whether the mutant's entry names it: as the one that it breaks, or as collateral.
    pub declared: bool,
    /// The scenarios in which it failed.
    pub scenarios: Vec<String>,
}

/// One mutant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MutantRow {
    /// Its name.
    pub mutant: String,
    /// The requirement that it breaks on purpose.
    pub breaks: String,
    /// What became of it.
    pub fate: Fate,
    /// What failed, in the order of the requirements' names.
    pub broken: Vec<Broken>,
    /// Declared collateral that did not fail, although the whole suite was played.
    pub idle_collateral: Vec<String>,
    /// How many scenarios were played against it.
    pub scenarios_played: usize,
    /// Whether the whole suite was played against it.
    pub whole_suite: bool,
    /// Whether a sample over real sockets failed the same requirements; absent where it was not taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agrees_over_sockets: Option<bool>,
}

/// One dialect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DialectRow {
    /// Its name, or its settings where it was drawn at random.
    pub dialect: String,
    /// Scenarios in which it failed something, each with what.
    pub false_alarms: Vec<FalseAlarm>,
    /// Scenarios that came to no verdict, each with why. Looked at only where the whole suite was played: a dialect that
    /// was drawn at random may make a situation impossible.
    pub undecided: Vec<Undecided>,
    /// How many scenarios were played against it.
    pub scenarios_played: usize,
}

/// A scenario that came to no verdict on a conformant server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Undecided {
    /// The scenario.
    pub scenario: String,
    /// What it could not do, or what it left open.
    pub why: String,
}

/// A conformant server that was failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FalseAlarm {
    /// The requirement.
    pub requirement: String,
    /// The scenario.
    pub scenario: String,
    /// What was expected, what was observed.
    pub finding: String,
}

/// The whole proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KillMatrix {
    /// Version of this document; 1.
    pub schema: u32,
    /// Decides every random choice.
    pub seed: u64,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// How many scenarios were played in all.
    pub scenarios_played: u64,
    /// Whether the user ended it early: what is missing was not played.
    pub interrupted: bool,
    /// The command that repeats it.
    pub command: String,
    /// The mutants.
    pub mutants: Vec<MutantRow>,
    /// The dialects.
    pub dialects: Vec<DialectRow>,
    /// Random histories.
    pub histories: Histories,
}

impl KillMatrix {
    /// How many mutants had that fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.mutants.iter().filter(|row| row.fate == fate).count()
    }

    /// How many conformant servers were failed, counted by dialect, scenario and requirement.
    pub fn false_alarms(&self) -> usize {
        self.dialects.iter().map(|row| row.false_alarms.len()).sum::<usize>() + self.histories.false_alarms.len()
    }

    /// Whether everything is proven: each mutant killed, no false alarm, no dialect left undecided, sockets and simulation of one mind.
    pub fn is_proven(&self) -> bool {
        self.mutants.iter().all(|row| row.fate == Fate::Killed && row.agrees_over_sockets != Some(false))
            && self.dialects.iter().all(|row| row.undecided.is_empty())
            && self.false_alarms() == 0
            && self.histories.misses.is_empty()
    }

    /// The mutants by area, in the order of the list.
    fn areas(&self) -> Vec<(&str, Vec<&MutantRow>)> {
        let mut areas: Vec<(&str, Vec<&MutantRow>)> = Vec::new();
        for row in &self.mutants {
            let own = area(&row.breaks);
            match areas.iter_mut().find(|(name, _)| *name == own) {
                Some((_, rows)) => rows.push(row),
                None => areas.push((own, vec![row])),
            }
        }
        areas
    }

    /// As JSON, with a line break at its end.
    pub fn json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("the matrix has text keys only");
        text.push('\n');
        text
    }

    /// For the terminal; with `details` a line for every mutant.
    pub fn text(&self, details: bool) -> String {
        let mut out = String::new();
        if !self.mutants.is_empty() {
            self.table_by_area(&mut out);
        }
        for row in self.mutants.iter().filter(|row| details || is_trouble(row)) {
            mutant_line(&mut out, row);
        }
        for row in &self.dialects {
            for alarm in &row.false_alarms {
                let _ = writeln!(
                    out,
                    "FALSE ALARM {} in {} on {}: {}",
                    alarm.requirement, alarm.scenario, row.dialect, alarm.finding
                );
            }
            for Undecided { scenario, why } in &row.undecided {
                let _ = writeln!(out, "UNDECIDED {scenario} on {}: {why}", row.dialect);
            }
        }
        out.push_str(&self.histories.text(details));
        let idle: Vec<String> = self
            .mutants
            .iter()
            .flat_map(|row| row.idle_collateral.iter().map(move |id| format!("{} ({id})", row.mutant)))
            .collect();
        if !idle.is_empty() {
            let _ = writeln!(out, "declared collateral that did not fail: {}", idle.join(", "));
        }
        let sampled = self.mutants.iter().filter(|row| row.agrees_over_sockets.is_some()).count();
        let _ = writeln!(
            out,
            "\n{} mutants, {} dialects, {} histories, {} of them with a mutant, {} false alarms, {} scenarios played in {}, {sampled} mutants over sockets as well\n{}{}",
            self.mutants.len(),
            self.dialects.len(),
            self.histories.played,
            self.histories.with_mutants(),
            self.false_alarms(),
            self.scenarios_played,
            span(self.duration_ms),
            if self.is_proven() { "proven" } else { "NOT proven" },
            if self.interrupted { " (interrupted: only what was played)" } else { "" },
        );
        let _ = writeln!(out, "repeat: {}", self.command);
        out
    }

    fn table_by_area(&self, out: &mut String) {
        let _ = write!(out, "{:5} {:>8}", "area", "mutants");
        for fate in Fate::ALL {
            let _ = write!(out, " {:>11}", fate.as_str());
        }
        out.push('\n');
        for (name, rows) in self.areas() {
            let _ = write!(out, "{name:5} {:>8}", rows.len());
            for fate in Fate::ALL {
                let _ = write!(out, " {:>11}", rows.iter().filter(|row| row.fate == fate).count());
            }
            out.push('\n');
        }
    }

    /// One file for a browser: a table for each area, mutants by requirements.
    pub fn html(&self) -> String {
        let verdict = if self.is_proven() { "proven" } else { "not proven" };
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>bridgeproof: kill matrix</title>\
             <style>{}\ntd.x,th.x{{text-align:center;font-size:12px}}</style></head><body>\n<h1>Kill matrix: {verdict}</h1>\n",
            super::html::STYLE
        );
        let _ = writeln!(
            out,
            "<p>{} mutants, {} dialects, {} false alarms, {} scenarios played in {}, seed {}.<br>\
             ● its own requirement failed, as it must; ○ declared collateral; ✗ a requirement that may not fail.</p>",
            self.mutants.len(),
            self.dialects.len(),
            self.false_alarms(),
            self.scenarios_played,
            span(self.duration_ms),
            self.seed
        );
        for (name, rows) in self.areas() {
            area_in_html(&mut out, name, &rows);
        }
        out.push_str("<h2>Dialects</h2>\n<table><tr><th>dialect</th><th>scenarios</th><th>false alarms, and what was left undecided</th></tr>\n");
        for row in &self.dialects {
            let alarms: Vec<String> = row
                .false_alarms
                .iter()
                .map(|alarm| format!("{} in {}: {}", alarm.requirement, alarm.scenario, alarm.finding))
                .chain(row.undecided.iter().map(|open| format!("undecided {}: {}", open.scenario, open.why)))
                .collect();
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
                html(&row.dialect),
                row.scenarios_played,
                html(&alarms.join("; "))
            );
        }
        out.push_str("</table>\n</body></html>\n");
        out
    }
}

fn is_trouble(row: &MutantRow) -> bool {
    row.fate != Fate::Killed || row.agrees_over_sockets == Some(false)
}

fn mutant_line(out: &mut String, row: &MutantRow) {
    let _ = writeln!(out, "{:10} {} (breaks {})", row.fate.as_str(), row.mutant, row.breaks);
    for broken in &row.broken {
        let note = match (broken.requirement == row.breaks, broken.declared) {
            (true, _) => "",
            (false, true) => ", declared",
            (false, false) => ", NOT declared",
        };
        let _ = writeln!(out, "             {}{note}: {}", broken.requirement, some(&broken.scenarios));
    }
    if row.agrees_over_sockets == Some(false) {
        let _ = writeln!(out, "             over sockets other requirements failed");
    }
}

/// A list of names, cut after a few.
fn some(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(4).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

fn area_in_html(out: &mut String, name: &str, rows: &[&MutantRow]) {
    let mut columns: BTreeMap<&str, ()> = BTreeMap::new();
    for row in rows {
        columns.insert(&row.breaks, ());
        columns.extend(row.broken.iter().map(|broken| (broken.requirement.as_str(), ())));
    }
    let _ = write!(out, "<h2>{}</h2>\n<table><tr><th>mutant</th><th>fate</th>", html(name));
    for column in columns.keys() {
        let _ = write!(out, "<th class=\"x\">{}</th>", html(column));
    }
    out.push_str("</tr>\n");
    for row in rows {
        let class = if is_trouble(row) { "fail" } else { "pass" };
        let _ = write!(out, "<tr><td>{}</td><td class=\"{class}\">{}</td>", html(&row.mutant), html(row.fate.as_str()));
        for column in columns.keys() {
            let broken = row.broken.iter().find(|broken| broken.requirement == **column);
            let (mark, title) = match broken {
                None => ("", String::new()),
                Some(broken) if broken.requirement == row.breaks => ("●", broken.scenarios.join(" ")),
                Some(broken) if broken.declared => ("○", broken.scenarios.join(" ")),
                Some(broken) => ("✗", broken.scenarios.join(" ")),
            };
            let _ = write!(out, "<td class=\"x\" title=\"{}\">{mark}</td>", html(&title));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(mutant: &str, fate: Fate, broken: &[(&str, bool)]) -> MutantRow {
        let broken = broken.iter().map(|(id, declared)| Broken {
            requirement: (*id).to_owned(),
            declared: *declared,
            scenarios: (1..=6).map(|n| format!("messages/{n}")).collect(),
        });
        MutantRow {
            mutant: mutant.to_owned(),
            breaks: "MSG-03".to_owned(),
            fate,
            broken: broken.collect(),
            idle_collateral: Vec::new(),
            scenarios_played: 7,
            whole_suite: true,
            agrees_over_sockets: None,
        }
    }

    fn matrix(mutants: Vec<MutantRow>) -> KillMatrix {
        KillMatrix {
            schema: 1,
            seed: 5,
            duration_ms: 1200,
            scenarios_played: 14,
            interrupted: false,
            command: "bridgeproof prove --seed 5".to_owned(),
            mutants,
            dialects: Vec::new(),
            histories: Histories::default(),
        }
    }

    #[test]
    fn what_is_not_killed_is_shown_and_the_rest_only_with_details() {
        let rows = vec![
            row("good", Fate::Killed, &[("MSG-03", true)]),
            row("stray", Fate::Undeclared, &[("MSG-03", true), ("SUB-01", false)]),
        ];
        let matrix = matrix(rows);
        assert!(!matrix.is_proven());
        let text = matrix.text(false);
        assert!(text.contains("undeclared stray (breaks MSG-03)") && !text.contains("good"), "{text}");
        assert!(text.contains("SUB-01, NOT declared: messages/1, messages/2, messages/3, messages/4 and 2 more"));
        assert!(matrix.text(true).contains("good"));
        assert!(matrix.html().contains("✗"));
    }

    #[test]
    fn a_false_alarm_or_sockets_of_another_mind_prove_nothing() {
        let mut one = matrix(vec![row("good", Fate::Killed, &[("MSG-03", true)])]);
        assert!(one.is_proven());
        one.mutants[0].agrees_over_sockets = Some(false);
        assert!(!one.is_proven());
        one.mutants[0].agrees_over_sockets = Some(true);
        one.dialects.push(DialectRow {
            dialect: "late".to_owned(),
            false_alarms: vec![FalseAlarm {
                requirement: "MSG-03".to_owned(),
                scenario: "messages/1".to_owned(),
                finding: "expected a; observed b".to_owned(),
            }],
            undecided: Vec::new(),
            scenarios_played: 1,
        });
        assert!(!one.is_proven() && one.text(false).contains("FALSE ALARM MSG-03 in messages/1 on late"));
        one.dialects[0].false_alarms.clear();
        assert!(one.is_proven());
        one.dialects[0].undecided =
            vec![Undecided { scenario: "messages/1".to_owned(), why: "step 3: late".to_owned() }];
        assert!(!one.is_proven() && one.text(false).contains("UNDECIDED messages/1 on late: step 3: late"));
    }
}
