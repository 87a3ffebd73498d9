//! The docket: where rules enter how often a requirement was put to the test, and what they found.
//!
//! Bounded: of many findings of one requirement the first [`KEPT`] are kept and the rest counted; characteristics are
//! kept once per value, and of each at most [`VALUES`] values.

use std::collections::{BTreeMap, BTreeSet};

use super::registry::R;
use super::verdict::{Characteristic, Finding, Judgement};
use crate::time::Instant;
use crate::trace::{ConnectionId, Seq};

/// How many findings of one requirement are kept whole.
pub const KEPT: u64 = 10;

/// How many different values of one characteristic are kept.
const VALUES: usize = 8;

/// How many characters of an observed message are quoted.
const QUOTE_CHARS: usize = 240;

/// Entries of one judge.
#[derive(Debug)]
pub(super) struct Docket {
    tested: [u64; R::ALL.len()],
    found: [u64; R::ALL.len()],
    /// The sum of those.
    found_in_all: u64,
    warned: [u64; R::ALL.len()],
    findings: Vec<Finding>,
    characteristics: BTreeSet<Characteristic>,
    /// Characteristics with a fixed value that were entered already, for the hot path.
    words: Vec<(R, &'static str, &'static str)>,
    undecided: BTreeMap<R, String>,
    /// Violations of either of two requirements: of the second, if that is broken elsewhere, else of the first.
    either: Vec<(R, R, Instant, Charge)>,
    /// How many more of these there were than are kept.
    either_more: BTreeMap<(R, R), u64>,
    disabled: [bool; R::ALL.len()],
}

/// What a rule says of a violation.
#[derive(Debug)]
pub(super) struct Charge {
    pub(super) connection: Option<ConnectionId>,
    pub(super) expected: String,
    pub(super) observed: String,
    pub(super) evidence: Vec<Seq>,
}

impl Docket {
    /// An empty docket; requirements for which `applies` is false are never entered.
    pub(super) fn new(applies: impl Fn(R) -> bool) -> Self {
        let mut disabled = [false; R::ALL.len()];
        for rule in R::ALL {
            disabled[*rule as usize] = !applies(*rule);
        }
        Self {
            tested: [0; R::ALL.len()],
            found: [0; R::ALL.len()],
            found_in_all: 0,
            warned: [0; R::ALL.len()],
            findings: Vec::new(),
            characteristics: BTreeSet::new(),
            words: Vec::new(),
            undecided: BTreeMap::new(),
            either: Vec::new(),
            either_more: BTreeMap::new(),
            disabled,
        }
    }

    /// The requirement was put to the test once.
    pub(super) fn tested(&mut self, rule: R) {
        if !self.disabled[rule as usize] {
            self.tested[rule as usize] += 1;
        }
    }

    /// The requirement was put to the test and not met. Also counts as tested.
    pub(super) fn fail(&mut self, rule: R, at: Instant, charge: impl FnOnce() -> Charge) {
        if self.disabled[rule as usize] {
            return;
        }
        self.tested[rule as usize] += 1;
        self.found[rule as usize] += 1;
        self.found_in_all += 1;
        if self.found[rule as usize] > KEPT {
            return;
        }
        self.enter(rule, at, charge(), false);
    }

    /// The requirement was put to the test, and what was seen goes beyond it in a way that it allows for: the finding
    /// warns.
    pub(super) fn warn(&mut self, rule: R, at: Instant, charge: impl FnOnce() -> Charge) {
        if self.disabled[rule as usize] {
            return;
        }
        self.tested[rule as usize] += 1;
        self.warned[rule as usize] += 1;
        if self.warned[rule as usize] <= KEPT {
            self.enter(rule, at, charge(), true);
        }
    }

    fn enter(&mut self, rule: R, at: Instant, charge: Charge, warns: bool) {
        let Charge { connection, expected, observed, mut evidence } = charge;
        evidence.sort_unstable();
        evidence.dedup();
        self.findings.push(Finding { requirement: rule.id(), warns, at, connection, expected, observed, evidence });
    }

    /// One of two requirements was not met, and which one only the rest of the trace can tell: the second, if it is
    /// broken elsewhere, else the first.
    pub(super) fn fail_either(&mut self, first: R, second: R, at: Instant, charge: Charge) {
        if self.either.len() < KEPT as usize {
            self.either.push((first, second, at, charge));
        } else {
            *self.either_more.entry((first, second)).or_default() += 1;
        }
    }

    /// How many findings there are.
    pub(super) fn found_in_all(&self) -> u64 {
        self.found_in_all
    }

    /// The findings that are kept, in the order in which they were made.
    pub(super) fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// How many findings there are so far, those that are counted only included.
    pub(super) fn found(&self) -> u64 {
        self.found.iter().chain(&self.warned).sum()
    }

    /// Something was seen where the guides are silent.
    pub(super) fn note(&mut self, rule: R, name: &'static str, value: impl AsRef<str> + Into<String>) {
        self.tested(rule);
        let requirement = rule.id();
        let mut count = 0;
        for known in self.characteristics.iter().filter(|one| one.name == name && one.requirement == requirement) {
            if known.value == value.as_ref() {
                return;
            }
            count += 1;
        }
        if count < VALUES {
            self.characteristics.insert(Characteristic { requirement, name, value: value.into() });
        }
    }

    /// The same, for a value that is one of a few fixed words: cheap when it was seen before.
    pub(super) fn note_word(&mut self, rule: R, name: &'static str, word: &'static str) {
        // Where the same words stand in two places of the program, they are entered twice, which changes nothing.
        let is_this = |entered: &(R, &str, &str)| {
            entered.0 == rule && std::ptr::eq(entered.1, name) && std::ptr::eq(entered.2, word)
        };
        if self.words.iter().any(is_this) {
            return self.tested(rule);
        }
        self.words.push((rule, name, word));
        self.note(rule, name, word);
    }

    /// The requirement could not be decided.
    pub(super) fn undecided(&mut self, rule: R, reason: impl Into<String>) {
        if !self.disabled[rule as usize] {
            self.undecided.entry(rule).or_insert_with(|| reason.into());
        }
    }

    /// The outcome.
    pub(super) fn close(mut self) -> Judgement {
        let found = self.found;
        let meant = |first: R, second: R| if found[second as usize] > 0 { second } else { first };
        for (first, second, at, charge) in std::mem::take(&mut self.either) {
            self.fail(meant(first, second), at, || charge);
        }
        for ((first, second), count) in std::mem::take(&mut self.either_more) {
            let rule = meant(first, second);
            if !self.disabled[rule as usize] {
                self.tested[rule as usize] += count;
                self.found[rule as usize] += count;
            }
        }
        let counts = |counts: &[u64; R::ALL.len()]| -> BTreeMap<_, _> {
            R::ALL.iter().map(|rule| (rule.id(), counts[*rule as usize])).filter(|(_, count)| *count > 0).collect()
        };
        Judgement {
            tested: counts(&self.tested),
            finding_counts: counts(&self.found),
            warning_counts: counts(&self.warned),
            findings: self.findings,
            characteristics: self.characteristics.into_iter().collect(),
            undecided: self.undecided.into_iter().map(|(rule, reason)| (rule.id(), reason)).collect(),
        }
    }
}

/// A message as it is quoted in findings: shortened, on one line.
pub(super) fn quote(text: &str) -> String {
    let mut short: String = text.chars().take(QUOTE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(QUOTE_CHARS).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_findings_the_first_are_kept_and_all_are_counted() {
        let mut docket = Docket::new(|rule| rule != R::Ws02);
        for n in 0..100 {
            docket.fail(R::Ws01, Instant::from_millis(n), || Charge {
                connection: None,
                expected: String::new(),
                observed: String::new(),
                evidence: vec![Seq(n)],
            });
            docket.tested(R::Ws02);
            docket.note(R::Ws09, "x", n.to_string());
        }
        assert_eq!(docket.found(), 100);
        let judgement = docket.close();
        assert_eq!(judgement.findings.len() as u64, KEPT);
        assert_eq!(judgement.finding_counts[&R::Ws01.id()], 100);
        assert_eq!(judgement.tested.get(&R::Ws02.id()), None);
        assert_eq!(judgement.characteristics.len(), VALUES);
    }

    fn charge() -> Charge {
        Charge {
            connection: None,
            expected: String::new(),
            observed: String::new(),
            evidence: [3, 1, 3].map(Seq).into(),
        }
    }

    #[test]
    fn of_many_warnings_and_doubtful_charges_the_first_are_kept() {
        let mut docket = Docket::new(|rule| rule != R::Ws05);
        docket.fail(R::Ws02, Instant::ZERO, charge);
        for _ in 0..100 {
            docket.warn(R::Ws01, Instant::ZERO, charge);
            docket.fail_either(R::Ws03, R::Ws04, Instant::ZERO, charge());
            docket.fail_either(R::Ws08, R::Ws02, Instant::ZERO, charge());
            docket.fail_either(R::Ws05, R::Ws04, Instant::ZERO, charge());
        }
        let judgement = docket.close();
        assert_eq!(judgement.findings.len() as u64, KEPT + 8);
        assert!(judgement.findings.iter().all(|finding| finding.evidence == [Seq(1), Seq(3)]));
        assert_eq!(judgement.warning_counts[&R::Ws01.id()], 100);
        for counts in [&judgement.finding_counts, &judgement.tested] {
            assert_eq!((counts[&R::Ws03.id()], counts[&R::Ws02.id()]), (100, 101));
            assert!(!counts.contains_key(&R::Ws05.id()));
        }
    }

    #[test]
    fn each_characteristic_has_values_of_its_own() {
        let mut docket = Docket::new(|_| true);
        for n in 0..VALUES {
            docket.note(R::Ws09, "x", n.to_string());
        }
        docket.note(R::Ws09, "y", "0");
        docket.note(R::Msg12, "x", "0");
        for _ in 0..3 {
            docket.note_word(R::Sub18, "z", "yes");
        }
        let (name, word) = ("z", "yes");
        docket.note_word(R::Upd20, name, word);
        docket.note_word(R::Ws09, name, word);
        assert_eq!(docket.words.len(), 3);
        let judgement = docket.close();
        assert_eq!(judgement.characteristics.len(), VALUES + 5);
        assert_eq!(judgement.tested[&R::Sub18.id()], 3);
    }

    #[test]
    fn a_long_message_is_cut_where_it_is_quoted() {
        let (whole, long) = ("x".repeat(QUOTE_CHARS), "x".repeat(QUOTE_CHARS + 1));
        assert_eq!(quote(&whole), whole);
        assert_eq!(quote(&long), format!("{whole}…"));
        assert_eq!(quote("a\nb"), "a b");
    }
}
