//! `summary.md`: the verdict, the table and the findings, for merge requests and job summaries.

use std::fmt::Write as _;

use super::escape::{markdown, shortened};
use super::model::Report;
use super::table;

/// How many characters of one line of evidence are shown.
const EVIDENCE_CHARACTERS: usize = 400;

/// The report as Markdown.
pub fn render(report: &Report) -> String {
    let mut out = format!("# bridgeproof: {}\n\n", report.verdict.as_str());
    let release = report.target.software_version.as_deref().unwrap_or("release unknown");
    let _ = writeln!(
        out,
        "Target {} ({}), {} requirements, {} findings, {} ms, seed {}, exit code {}.\n",
        markdown(&report.target.url),
        markdown(release),
        report.requirements.len(),
        report.findings.len(),
        report.run.duration_ms,
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
    for one in &report.findings {
        let name = one.requirement.as_deref().unwrap_or("expectation");
        let _ = writeln!(out, "\n## {} {} in {}\n", one.verdict.as_str(), markdown(name), markdown(&one.scenario));
        let _ = writeln!(out, "- expected: {}\n- observed: {}", markdown(&one.expected), markdown(&one.observed));
        let _ = writeln!(out, "- step: {}\n", markdown(&one.step));
        for evidence in &one.evidence_text {
            let _ = writeln!(out, "    {}", shortened(evidence, EVIDENCE_CHARACTERS));
        }
        let _ = writeln!(out, "    {}", shortened(&report.run.repeat(&one.scenario), EVIDENCE_CHARACTERS));
    }
    for one in report.scenarios.iter().filter(|one| one.reason.is_some()) {
        let reason = one.reason.as_deref().unwrap_or_default();
        let _ = writeln!(out, "\n{} {}: {}", one.verdict.as_str(), markdown(&one.id), markdown(reason));
    }
    out
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
