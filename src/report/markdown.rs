//! `summary.md`: the verdict, the table and the findings, for merge requests and job summaries.

use std::fmt::Write as _;

use super::escape::{markdown, shortened};
use super::groups::{Group, groups};
use super::model::{Report, Verdict};
use super::quantity::{counted, span};
use super::{charts, latency, loads, shares, table, thresholds};

/// How many characters of one line of evidence are shown.
const EVIDENCE_CHARACTERS: usize = 400;

/// The report as Markdown.
pub fn render(report: &Report) -> String {
    let mut out = format!(
        "# bridgeproof: {}{}{}\n\n",
        report.verdict.as_str(),
        thresholds::missed(report),
        loads::headline(report)
    );
    let release = report.target.software_version.as_deref().unwrap_or("release unknown");
    let _ = writeln!(
        out,
        "Target {} ({}), {}, {}, {}, seed {}, exit code {}.\n",
        markdown(&report.target.shown()),
        markdown(release),
        counted(report.requirements.len(), "requirement"),
        counted(report.findings_counted(), "finding"),
        span(report.run.duration_ms),
        report.run.seed,
        report.exit_code
    );
    let columns = table::columns(report);
    let names: Vec<_> = columns.iter().map(|column| column.as_str()).collect();
    let _ = writeln!(out, "| area | {} | tested |", names.join(" | "));
    let _ = writeln!(out, "|---|{}", "--:|".repeat(columns.len() + 1));
    for row in table::rows(report) {
        let counts: Vec<_> = row.counts.iter().map(usize::to_string).collect();
        let _ = writeln!(out, "| {} | {} | {} |", markdown(&row.area), counts.join(" | "), row.tested);
    }
    courses(&mut out, report);
    for sentence in report.loads.iter().filter_map(loads::which) {
        let _ = writeln!(out, "\n{}", markdown(&sentence));
    }
    if !report.latency.is_empty() {
        let _ = writeln!(out, "\n| {} |", latency::COLUMNS.join(" | "));
        let _ = writeln!(out, "|---|{}", "--:|".repeat(latency::COLUMNS.len() - 1));
    }
    for one in &report.latency {
        let cells = latency::cells(one).map(|cell| markdown(&cell));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    for errors in report.latency.iter().filter_map(latency::errors_explained) {
        let _ = writeln!(out, "\n{}", markdown(&errors));
    }
    servers(&mut out, report);
    if !report.thresholds.is_empty() {
        let _ = writeln!(out, "\n| {} |", thresholds::COLUMNS.join(" | "));
        let _ = writeln!(out, "|---|---|---|---|");
    }
    for one in &report.thresholds {
        let cells = thresholds::cells(one).map(|cell| markdown(&cell));
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    for one in &groups(report) {
        group(&mut out, report, one);
    }
    for one in report.scenarios.iter().filter(|one| one.reason.is_some() && one.verdict != Verdict::Skipped) {
        let reason = one.reason.as_deref().unwrap_or_default();
        let _ = writeln!(out, "\n{} {}: {}", one.verdict.as_str(), markdown(&one.id), markdown(reason));
    }
    for note in &report.notes {
        let _ = writeln!(out, "\n{}", markdown(note));
    }
    let skipped = report.scenarios.iter().filter(|one| one.verdict == Verdict::Skipped).count();
    if skipped > 0 {
        let _ = writeln!(out, "\n{} not run.", counted(skipped, "scenario"));
    }
    out
}

fn courses(out: &mut String, report: &Report) {
    for load in &report.loads {
        let told = [Some(loads::course(load)), loads::cost(load), loads::capacity(load)];
        for sentence in told.into_iter().flatten() {
            let _ = writeln!(out, "\n{}", markdown(&sentence));
        }
        if !load.curve.is_empty() {
            let _ = writeln!(
                out,
                "\n| {} |\n|--:|---|---|{}",
                loads::COLUMNS.join(" | "),
                "--:|".repeat(loads::COLUMNS.len() - 3)
            );
        }
        for probe in &load.curve {
            let _ = writeln!(out, "| {} |", loads::cells(probe).map(|cell| markdown(&cell)).join(" | "));
        }
        if let Some(line) = charts::blocks(load) {
            let _ = writeln!(out, "\n{line}");
        }
    }
}

fn servers(out: &mut String, report: &Report) {
    for load in report.loads.iter().filter(|load| !load.servers.is_empty()) {
        let _ = writeln!(out, "\n{} on {}:\n", markdown(&load.scenario), counted(load.servers.len(), "server"));
        let columns = shares::columns(&load.servers);
        let _ = writeln!(out, "| {} |\n|---|{}", columns.join(" | "), "--:|".repeat(columns.len() - 1));
        for one in &load.servers {
            let cells = shares::cells(one, &load.servers);
            let cells: Vec<_> = cells.iter().map(|cell| markdown(cell)).collect();
            let _ = writeln!(out, "| {} |", cells.join(" | "));
        }
    }
}

fn group(out: &mut String, report: &Report, group: &Group<'_>) {
    let (verdict, name) = (group.verdict.as_str(), markdown(group.name()));
    let (findings, scenarios) = (counted(group.total, "finding"), counted(group.scenarios.len(), "scenario"));
    let _ = writeln!(out, "\n## {verdict} {name}: {findings} in {scenarios}");
    if let Some(requirement) = group.requirement {
        let _ = writeln!(out, "\n{} ({})", markdown(&requirement.text), markdown(&requirement.source));
    }
    for one in group.shown.iter().filter(|_| !group.is_waived()) {
        let _ = writeln!(out, "\n### {} after {}\n", markdown(&one.place()), span(one.at_ms));
        let _ = writeln!(out, "- expected: {}\n- observed: {}", markdown(&one.expected), markdown(&one.observed));
        let _ = writeln!(out, "- step: {}\n", markdown(&one.step));
        for evidence in &one.evidence_text {
            let _ = writeln!(out, "    {}", shortened(evidence, EVIDENCE_CHARACTERS));
        }
        let _ = writeln!(out, "    {}", shortened(&report.run.repeat(&one.scenario), EVIDENCE_CHARACTERS));
    }
    if group.total > group.shown.len() {
        let more = group.total - group.shown.len();
        let _ = writeln!(out, "\nAnd {more} more in {}.", counted(group.others.len().max(1), "scenario"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_is_as_committed() {
        snapbox::assert_data_eq!(
            render(&super::super::fixtures::report()),
            super::super::fixtures::golden("summary.md")
        );
    }
}
