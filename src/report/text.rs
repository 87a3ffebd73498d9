//! The report on a terminal: one table by area, the findings with their proof, and a last line.
//!
//! What went wrong is told by `findings`; the rest is here. The text holds ANSI colours; whoever prints it strips them where there is no terminal.

mod findings;

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::escape::clean;
use super::model::{Report, Verdict};
use super::quantity::{counted, span};
use super::{latency, loads, shares, table, thresholds};

/// What to show beside the table and the findings.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Every requirement with its verdict.
    pub details: bool,
    /// The slowest scenarios and the wall time.
    pub timings: bool,
    /// Peak memory of the process in KiB, where it is known.
    pub peak_memory_kib: Option<u64>,
    /// Processor time of the process in ms, all threads together, where it is known.
    pub cpu_ms: Option<u64>,
    /// The report folder, as shown in the last line.
    pub folder: Option<String>,
}

/// How many of the slowest scenarios are shown.
const SLOWEST: usize = 5;

/// The report as text.
pub fn render(report: &Report, options: &Options) -> String {
    let mut out = String::new();
    if options.details {
        details(&mut out, report);
    }
    area_table(&mut out, report);
    courses(&mut out, report);
    latencies(&mut out, report);
    servers(&mut out, report);
    curves(&mut out, report);
    threshold_table(&mut out, report);
    let all_in = if options.folder.is_some() { "report.html has" } else { "--report-dir writes" };
    findings::findings(&mut out, report, all_in);
    findings::undecided(&mut out, report);
    findings::unfinished(&mut out, report, all_in);
    findings::not_run(&mut out, report);
    if !report.errors.is_empty() || !report.notes.is_empty() {
        out.push('\n');
    }
    for note in &report.notes {
        line(&mut out, &clean(note));
    }
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
    if report.requirements.is_empty() && !report.loads.is_empty() {
        return;
    }
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

fn courses(out: &mut String, report: &Report) {
    if !report.loads.is_empty() {
        out.push('\n');
    }
    for load in &report.loads {
        line(out, &clean(&loads::course(load)));
        loads::cost(load).into_iter().for_each(|cost| line(out, &clean(&cost)));
        loads::which(load).into_iter().for_each(|which| line(out, &clean(&which)));
    }
}

fn latencies(out: &mut String, report: &Report) {
    let shown = &report.latency;
    if shown.is_empty() {
        return;
    }
    out.push('\n');
    let width = shown.iter().map(|one| one.name.len()).max().unwrap_or_default().max(18);
    let mut row = |cells: &[&str]| {
        let _ = write!(out, "{:width$}", clean(cells[0]));
        cells[1..].iter().for_each(|cell| {
            let _ = write!(out, " {cell:>8}");
        });
        out.push('\n');
    };
    row(&latency::COLUMNS);
    let mut scenario = None;
    for one in shown {
        if one.scenario.is_some() && one.scenario != scenario {
            scenario.clone_from(&one.scenario);
            let of = loads::measured_at(report, one);
            if report.loads.len() > 1 || of.is_some() {
                row(&[of.as_deref().or(scenario.as_deref()).unwrap_or_default()]);
            }
        }
        let cells = latency::cells(one);
        row(&cells.each_ref().map(String::as_str));
    }
    for errors in shown.iter().filter_map(latency::errors_explained) {
        line(out, &clean(&errors));
    }
}

fn servers(out: &mut String, report: &Report) {
    for load in report.loads.iter().filter(|load| !load.servers.is_empty()) {
        out.push('\n');
        let shown = shares::telling(&load.servers);
        let width = shown.iter().map(|one| clean(&one.server).chars().count()).max().unwrap_or_default().max(18);
        let mut row = |cells: &[&str]| {
            let _ = write!(out, "{:width$}", clean(cells[0]));
            cells[1..].iter().for_each(|cell| {
                let _ = write!(out, " {cell:>11}");
            });
            out.push('\n');
        };
        row(&shares::columns(&load.servers));
        for one in &shown {
            let cells = shares::cells(one, &load.servers);
            row(&cells.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if load.servers.len() > shown.len() {
            let more = counted(load.servers.len() - shown.len(), "more server");
            line(out, &format!("and {more}, with less to tell of"));
        }
    }
}

fn curves(out: &mut String, report: &Report) {
    for load in report.loads.iter().filter(|load| !load.curve.is_empty()) {
        out.push('\n');
        let mut row = |cells: &[&str; 9]| {
            let [rate, purpose, result, rest @ ..] = cells;
            let _ = write!(out, "{rate:>9} {purpose:14}{result:8}");
            rest.iter().for_each(|cell| {
                let _ = write!(out, " {cell:>8}");
            });
            out.push('\n');
        };
        row(&loads::COLUMNS);
        load.curve.iter().for_each(|probe| row(&loads::cells(probe).each_ref().map(String::as_str)));
        loads::capacity(load).into_iter().for_each(|found| line(out, &clean(&found)));
    }
}

fn threshold_table(out: &mut String, report: &Report) {
    if report.thresholds.is_empty() {
        return;
    }
    out.push('\n');
    let mut row = |cells: &[&str], verdict: Option<Verdict>| {
        let last = verdict.map_or_else(|| cells[3].to_owned(), |verdict| painted(verdict, cells[3]));
        let _ = write!(out, "{:18} {:28} {:32}", clean(cells[0]), clean(cells[1]), clean(cells[2]));
        line(out, &format!(" {last}"));
    };
    row(&thresholds::COLUMNS, None);
    for one in &report.thresholds {
        let cells = thresholds::cells(one);
        let verdict = match (one.undecided, one.passed) {
            (true, _) => Verdict::Inconclusive,
            (false, true) => Verdict::Pass,
            (false, false) => Verdict::Fail,
        };
        row(&cells.each_ref().map(String::as_str), Some(verdict));
    }
}

fn timings(out: &mut String, report: &Report, options: &Options) {
    let mut slowest: Vec<_> = report.scenarios.iter().collect();
    slowest.sort_by(|a, b| b.duration_ms.cmp(&a.duration_ms).then(a.id.cmp(&b.id)));
    let slowest: Vec<_> =
        slowest.iter().take(SLOWEST).map(|one| format!("{} {}", clean(&one.id), span(one.duration_ms))).collect();
    let cpu = options.cpu_ms.map_or_else(String::new, |ms| format!(", processor {}", span(ms)));
    let memory = options.peak_memory_kib.map_or_else(String::new, |kib| format!(", peak memory {} MiB", kib / 1024));
    let wall = span(report.run.duration_ms);
    line(out, &format!("\ntimings: wall {wall}{cpu}{memory}; slowest: {}", slowest.join(", ")));
}

fn last_line(out: &mut String, report: &Report, options: &Options) {
    let folder = options.folder.as_ref().map_or_else(String::new, |folder| format!(", report in {}", clean(folder)));
    let interrupted = if report.run.interrupted { " (interrupted)" } else { "" };
    let verdict = painted(report.verdict, report.verdict.as_str());
    let missed = thresholds::missed(report) + &loads::headline(report);
    line(
        out,
        &format!(
            "\n{verdict}{missed}{interrupted}: {}, {}, {}, {}, seed {}{folder}",
            counted(report.requirements.len(), "requirement"),
            counted(report.findings_counted(), "finding"),
            counted(report.scenarios.len(), "scenario"),
            span(report.run.duration_ms),
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
