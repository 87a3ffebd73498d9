//! What went wrong, on a terminal: findings by requirement, what stayed undecided, what was not finished or not run.
//!
//! Each requirement is told once, with a few findings in full, from different scenarios where there are such; the rest
//! is counted. The other renderings have all.

use std::collections::BTreeMap;

use super::super::escape::{clean, shortened};
use super::super::groups::{Group, SHOWN, groups};
use super::super::model::{FindingResult, Report, ScenarioResult, Verdict};
use super::super::quantity::{counted, span};
use super::{line, painted};

/// How many characters of one line of evidence are shown; `report.json` has them all.
const EVIDENCE_CHARACTERS: usize = 240;
/// How many characters of a reason are shown.
const REASON_CHARACTERS: usize = 160;

/// The findings, by requirement.
pub(super) fn findings(out: &mut String, report: &Report, all_in: &str) {
    for one in &groups(report) {
        group(out, report, one, all_in);
    }
}

fn group(out: &mut String, report: &Report, group: &Group<'_>, all_in: &str) {
    let title = painted(group.verdict, &format!("{} {}", group.verdict.as_str(), clean(group.name())));
    let (findings, scenarios) = (counted(group.total, "finding"), counted(group.scenarios.len(), "scenario"));
    line(out, &format!("\n{title}  {findings} in {scenarios}"));
    if let Some(requirement) = group.requirement {
        line(out, &format!("  {} ({})", clean(&requirement.text), clean(&requirement.source)));
    }
    if group.is_waived() {
        let reason = group.requirement.and_then(|one| one.reason.as_deref());
        line(out, &format!("  {}", shortened(reason.unwrap_or("waived, or not for this release"), REASON_CHARACTERS)));
        return;
    }
    for one in &group.shown {
        finding(out, report, one);
    }
    if group.total > group.shown.len() {
        let more = group.total - group.shown.len();
        let scenarios = counted(group.others.len().max(1), "scenario");
        let kept =
            if group.total > group.kept { format!("the {} that were kept", group.kept) } else { "all".to_owned() };
        line(out, &format!("\n  and {more} more in {scenarios} ({all_in} {kept})"));
    }
}

fn finding(out: &mut String, report: &Report, one: &FindingResult) {
    line(out, &format!("\n  {} after {}", clean(&one.place()), span(one.at_ms)));
    line(out, &format!("    expected  {}", clean(&one.expected)));
    line(out, &format!("    observed  {}", clean(&one.observed)));
    if !one.step.is_empty() {
        line(out, &format!("    step      {}", clean(&one.step)));
    }
    if let Some(connection) = &one.connection {
        line(out, &format!("    on        {}", clean(connection)));
    }
    for evidence in &one.evidence_text {
        line(out, &format!("      {}", shortened(evidence, EVIDENCE_CHARACTERS)));
    }
    line(out, &format!("    repeat    {}", clean(&report.run.repeat(&one.scenario))));
}

/// Requirements that stayed undecided, by reason.
pub(super) fn undecided(out: &mut String, report: &Report) {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for one in report.requirements.iter().filter(|one| one.verdict == Verdict::Inconclusive) {
        let reason = one.reason.as_deref().unwrap_or_default();
        match reasons.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, ids)) => ids.push(&one.id),
            None => reasons.push((reason, vec![&one.id])),
        }
    }
    if !reasons.is_empty() {
        out.push('\n');
    }
    for (reason, ids) in reasons {
        let title = painted(Verdict::Inconclusive, &format!("inconclusive {}", clean(&ids.join(", "))));
        line(out, &format!("{title}: {}", shortened(reason, REASON_CHARACTERS)));
    }
}

/// Scenarios that were not carried out to the end.
pub(super) fn unfinished(out: &mut String, report: &Report, all_in: &str) {
    let stopped = |one: &&ScenarioResult| one.verdict != Verdict::Skipped && one.reason.is_some();
    let stopped: Vec<_> = report.scenarios.iter().filter(stopped).collect();
    for one in stopped.iter().take(SHOWN) {
        let title = painted(Verdict::Inconclusive, "unfinished");
        let reason = shortened(one.reason.as_deref().unwrap_or_default(), EVIDENCE_CHARACTERS);
        line(out, &format!("\n{title} {}: {reason}", clean(&one.id)));
        line(out, &format!("    repeat    {}", clean(&report.run.repeat(&one.id))));
    }
    if stopped.len() > SHOWN {
        let rest = counted(stopped.len() - SHOWN, "more scenario");
        line(out, &format!("\n  and {rest} unfinished ({all_in} all)"));
    }
}

/// Scenarios that were not run, counted by reason.
pub(super) fn not_run(out: &mut String, report: &Report) {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for one in report.scenarios.iter().filter(|one| one.verdict == Verdict::Skipped) {
        *reasons.entry(one.reason.as_deref().unwrap_or_default()).or_default() += 1;
    }
    if !reasons.is_empty() {
        out.push('\n');
    }
    for (reason, count) in reasons {
        let reason = shortened(reason, REASON_CHARACTERS);
        line(
            out,
            &format!("{}: {reason}", painted(Verdict::Skipped, &format!("{} not run", counted(count, "scenario")))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::assemble::assemble;
    use super::super::super::fixtures::{facts, finding, scenario};
    use super::super::{Options, render};

    fn text(runs: &[super::super::super::assemble::ScenarioRun]) -> String {
        let options = Options { folder: Some("reports/r1".to_owned()), ..Options::default() };
        anstream::adapter::strip_str(&render(&assemble(facts(), runs), &options)).to_string()
    }

    #[test]
    fn of_many_findings_a_few_from_different_scenarios_are_shown_and_the_rest_is_counted() {
        let runs: Vec<_> = (0..5)
            .map(|n| {
                let mut run = scenario(&format!("messages/s{n}"), &["MSG-01"]);
                run.judgement.findings = vec![finding("MSG-01"); 4];
                run
            })
            .collect();
        let text = text(&runs);
        assert_eq!(text.matches("Each server frame is").count(), 1, "{text}");
        assert!(text.contains("fail MSG-01  20 findings in 5 scenarios"), "{text}");
        for n in 0..5 {
            assert_eq!(text.contains(&format!("  messages/s{n} after 34 ms")), n < 3, "{text}");
        }
        assert!(text.contains("and 17 more in 5 scenarios (report.html has all)"), "{text}");
    }

    #[test]
    fn of_many_unfinished_scenarios_a_few_are_shown_and_the_rest_is_counted() {
        let runs: Vec<_> = (0..5)
            .map(|n| {
                let mut run = scenario(&format!("messages/s{n}"), &["MSG-01"]);
                run.unfinished = Some("no answer".to_owned());
                run
            })
            .collect();
        let text = text(&runs);
        assert_eq!(text.matches("unfinished messages/").count(), 3, "{text}");
        assert!(text.contains("and 2 more scenarios unfinished (report.html has all)"), "{text}");
    }

    #[test]
    fn requirements_that_stay_undecided_for_one_reason_share_a_line() {
        let mut run = scenario("messages/s", &["MSG-01", "MSG-03"]);
        run.judgement = crate::rules::Judgement::default();
        let text = text(&[run]);
        assert!(text.contains("inconclusive MSG-01, MSG-03: nothing put it to the test\n"), "{text}");
    }

    #[test]
    fn what_was_not_run_is_counted_by_reason() {
        let runs: Vec<_> = (0..2)
            .map(|n| {
                let mut run = scenario(&format!("limits/s{n}"), &["LIM-01"]);
                run.judgement = crate::rules::Judgement::default();
                run.skipped = Some("uses up the server's limits: --allow limits".to_owned());
                run
            })
            .collect();
        let text = text(&runs);
        assert!(text.contains("2 scenarios not run: uses up the server's limits: --allow limits"), "{text}");
    }
}
