//! The report on a terminal: one table by area, each finding with its proof, and a last line.
//!
//! The text holds ANSI colours; whoever prints it strips them where there is no terminal.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::escape::{clean, shortened};
use super::model::{FindingResult, Report, Verdict};
use super::table;

/// What to show beside the table and the findings.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Every requirement with its verdict.
    pub details: bool,
    /// The slowest scenarios and the wall time.
    pub timings: bool,
    /// Peak memory of the process in KiB, where it is known.
    pub peak_memory_kib: Option<u64>,
    /// The report folder, as shown in the last line.
    pub folder: Option<String>,
}

/// How many characters of one line of evidence are shown; `report.json` has them all.
const EVIDENCE_CHARACTERS: usize = 240;
/// How many of the slowest scenarios are shown.
const SLOWEST: usize = 5;

/// The report as text.
pub fn render(report: &Report, options: &Options) -> String {
    let mut out = String::new();
    if options.details {
        details(&mut out, report);
    }
    area_table(&mut out, report);
    for one in &report.findings {
        finding(&mut out, report, one);
    }
    unfinished(&mut out, report);
    for error in &report.errors {
        line(&mut out, &format!("error: {}", clean(error)));
    }
    if options.timings {
        timings(&mut out, report, options);
    }
    last_line(&mut out, report, options);
    out
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// The style of a verdict.
const fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Fail | Verdict::Xpass => AnsiColor::Red.on_default().bold(),
        Verdict::Inconclusive | Verdict::Warn => AnsiColor::Yellow.on_default(),
        Verdict::Pass => AnsiColor::Green.on_default(),
        Verdict::Skipped | Verdict::Observed | Verdict::Xfail => Style::new().dimmed(),
    }
}

fn painted(verdict: Verdict, text: &str) -> String {
    let style = style(verdict);
    format!("{style}{text}{style:#}")
}

fn details(out: &mut String, report: &Report) {
    for one in &report.requirements {
        let verdict = painted(one.verdict, &format!("{:12}", one.verdict.as_str()));
        let reason = one.reason.as_ref().map_or_else(String::new, |reason| format!("  ({})", clean(reason)));
        line(out, &format!("{verdict} {:9} tested {:>6}  {}{reason}", one.id, one.tested, clean(&one.text)));
    }
    out.push('\n');
}

fn area_table(out: &mut String, report: &Report) {
    let columns = table::columns(report);
    let _ = write!(out, "{:8}", "area");
    for column in &columns {
        let _ = write!(out, " {:>12}", column.as_str());
    }
    line(out, &format!(" {:>9}", "tested"));
    for row in table::rows(report) {
        let _ = write!(out, "{:8}", clean(&row.area));
        for (count, column) in row.counts.iter().zip(&columns) {
            let cell = format!("{count:>12}");
            let cell = if *count == 0 { cell } else { painted(*column, &cell) };
            let _ = write!(out, " {cell}");
        }
        line(out, &format!(" {:>9}", row.tested));
    }
}

fn finding(out: &mut String, report: &Report, one: &FindingResult) {
    let name = one.requirement.as_deref().unwrap_or("expectation");
    let title = painted(one.verdict, &format!("{} {}", one.verdict.as_str(), clean(name)));
    line(out, &format!("\n{title}  {} after {} ms", clean(&one.scenario), one.at_ms));
    if let Some(requirement) = report.requirements.iter().find(|own| Some(&own.id) == one.requirement.as_ref()) {
        line(out, &format!("  {} ({})", clean(&requirement.text), clean(&requirement.source)));
    }
    line(out, &format!("  expected  {}", clean(&one.expected)));
    line(out, &format!("  observed  {}", clean(&one.observed)));
    if !one.step.is_empty() {
        line(out, &format!("  step      {}", clean(&one.step)));
    }
    if let Some(connection) = &one.connection {
        line(out, &format!("  on        {}", clean(connection)));
    }
    for evidence in &one.evidence_text {
        line(out, &format!("    {}", shortened(evidence, EVIDENCE_CHARACTERS)));
    }
    line(out, &format!("  repeat    {}", clean(&report.run.repeat(&one.scenario))));
}

fn unfinished(out: &mut String, report: &Report) {
    for one in report.scenarios.iter().filter(|one| one.verdict != Verdict::Skipped) {
        if let Some(reason) = &one.reason {
            let title = painted(Verdict::Inconclusive, "unfinished");
            line(out, &format!("\n{title} {}: {}", clean(&one.id), clean(reason)));
            line(out, &format!("  repeat    {}", clean(&report.run.repeat(&one.id))));
        }
    }
}

fn timings(out: &mut String, report: &Report, options: &Options) {
    let mut slowest: Vec<_> = report.scenarios.iter().collect();
    slowest.sort_by(|a, b| b.duration_ms.cmp(&a.duration_ms).then(a.id.cmp(&b.id)));
    let slowest: Vec<_> =
        slowest.iter().take(SLOWEST).map(|one| format!("{} {} ms", clean(&one.id), one.duration_ms)).collect();
    let memory = options.peak_memory_kib.map_or_else(String::new, |kib| format!("; peak memory {} MiB", kib / 1024));
    line(out, &format!("\ntimings: wall {} ms{memory}; slowest: {}", report.run.duration_ms, slowest.join(", ")));
}

fn last_line(out: &mut String, report: &Report, options: &Options) {
    let folder = options.folder.as_ref().map_or_else(String::new, |folder| format!(", report in {}", clean(folder)));
    let interrupted = if report.run.interrupted { " (interrupted)" } else { "" };
    let verdict = painted(report.verdict, report.verdict.as_str());
    line(
        out,
        &format!(
            "\n{verdict}{interrupted}: {} requirements, {} findings, {} scenarios, {} ms, seed {}{folder}",
            report.requirements.len(),
            report.findings.len(),
            report.scenarios.len(),
            report.run.duration_ms,
            report.run.seed
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_report_is_as_committed() {
        let options =
            Options { details: true, timings: true, folder: Some("reports/r1".to_owned()), ..Options::default() };
        let text = render(&super::super::fixtures::report(), &options);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert!(!plain.contains('\u{1b}'));
        snapbox::assert_data_eq!(plain, super::super::fixtures::golden("report.txt"));
    }
}
