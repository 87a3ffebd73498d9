//! Findings by requirement, with the few of each that are enough to understand it: what terminal and summary show.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::model::{FindingResult, Report, RequirementResult, Verdict};

/// How many findings of one requirement, and how many unfinished scenarios, are shown in full.
pub const SHOWN: usize = 3;

/// The findings of one requirement that have one verdict.
#[derive(Debug)]
pub struct Group<'r> {
    /// Their verdict.
    pub verdict: Verdict,
    /// The requirement; none for expectations of scenarios.
    pub requirement: Option<&'r RequirementResult>,
    /// How many there are, those included that nobody kept.
    pub total: usize,
    /// How many were kept.
    pub kept: usize,
    /// The scenarios that they come from.
    pub scenarios: BTreeSet<&'r str>,
    /// A few, from different scenarios where there are such.
    pub shown: Vec<&'r FindingResult>,
    /// The scenarios of those that are kept but not shown.
    pub others: BTreeSet<&'r str>,
}

impl Group<'_> {
    /// The requirement's name, or what stands for it.
    pub fn name(&self) -> &str {
        self.requirement.map_or("expectations of scenarios", |one| one.id.as_str())
    }

    /// Whether nothing has to be understood about it: waived, or not for this release.
    pub const fn is_waived(&self) -> bool {
        matches!(self.verdict, Verdict::Xfail | Verdict::Skipped)
    }
}

/// The groups of a report, the worst verdict first, then in the order of the requirements.
pub fn groups(report: &Report) -> Vec<Group<'_>> {
    let mut keys: Vec<(Verdict, Option<&str>)> = Vec::new();
    for one in &report.findings {
        let key = (one.verdict, one.requirement.as_deref());
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let place = |id: Option<&str>| report.requirements.iter().position(|one| Some(one.id.as_str()) == id);
    keys.sort_by_key(|(verdict, id)| (Reverse(*verdict), place(*id)));
    keys.into_iter().map(|(verdict, id)| group(report, verdict, id)).collect()
}

fn group<'r>(report: &'r Report, verdict: Verdict, id: Option<&str>) -> Group<'r> {
    let alike: Vec<_> = report.findings.iter().filter(|one| one.requirement.as_deref() == id).collect();
    let own: Vec<_> = alike.iter().copied().filter(|one| one.verdict == verdict).collect();
    let requirement = report.requirements.iter().find(|one| Some(one.id.as_str()) == id);
    // Those that nobody kept can be told only where all findings of the requirement have the same verdict.
    let counted = requirement.filter(|_| alike.len() == own.len()).map_or(0, |one| one.findings);
    let shown = chosen(&own);
    let is_shown = |at: usize| shown.contains(&at);
    Group {
        verdict,
        requirement,
        total: usize::try_from(counted).unwrap_or(usize::MAX).max(own.len()),
        kept: own.len(),
        scenarios: own.iter().map(|one| one.scenario.as_str()).collect(),
        others: (0..own.len()).filter(|at| !is_shown(*at)).map(|at| own[at].scenario.as_str()).collect(),
        shown: shown.iter().map(|at| own[*at]).collect(),
    }
}

/// The places of a few findings, in order: rather the first of each scenario than several of one.
fn chosen(own: &[&FindingResult]) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let (first, others): (Vec<_>, Vec<_>) = (0..own.len()).partition(|at| seen.insert(own[*at].scenario.as_str()));
    let mut chosen: Vec<usize> = first.into_iter().chain(others).take(SHOWN).collect();
    chosen.sort_unstable();
    chosen
}
