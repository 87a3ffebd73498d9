//! `report.html`: one file for a browser, without scripts and without anything to load.

use std::fmt::Write as _;

use super::escape::html;
use super::model::{FindingResult, Report};
use super::quantity::span;
use super::{charts, latency, loads, shares, table, thresholds};

pub(super) const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse}td,th{padding:.2rem .6rem;border-bottom:1px solid #ccc;text-align:left;vertical-align:top}\
pre{background:#f4f4f4;padding:.6rem;white-space:pre-wrap;overflow-wrap:anywhere}\
.fail,.xpass{color:#b00020;font-weight:600}.warn,.inconclusive{color:#8a5a00}.pass{color:#17692c}";

/// The report as HTML.
pub fn render(report: &Report) -> String {
    let (verdict, missed) = (report.verdict.as_str(), thresholds::missed(report) + &loads::headline(report));
    let charts = if report.loads.is_empty() { "" } else { charts::STYLE };
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>bridgeproof: {verdict}{missed}</title>\
         <style>{STYLE}{charts}</style></head><body>\n<h1>bridgeproof: <span class=\"{verdict}\">{verdict}</span>{missed}</h1>\n"
    );
    let _ = writeln!(
        out,
        "<p>Target {}, run {}, {}, {}, seed {}, exit code {}</p>\n<pre>{}</pre>",
        html(&report.target.shown()),
        html(&report.run.id),
        html(&report.run.started_at),
        span(report.run.duration_ms),
        report.run.seed,
        report.exit_code,
        html(&report.run.command)
    );
    area_table(&mut out, report);
    courses(&mut out, report);
    latencies(&mut out, report);
    servers(&mut out, report);
    threshold_table(&mut out, report);
    if !report.findings.is_empty() {
        out.push_str("<h2>Findings</h2>\n");
    }
    for one in &report.findings {
        finding(&mut out, report, one);
    }
    for note in &report.notes {
        let _ = writeln!(out, "<p>{}</p>", html(note));
    }
    lists(&mut out, report);
    out.push_str("</body></html>\n");
    out
}

fn area_table(out: &mut String, report: &Report) {
    let columns = table::columns(report);
    out.push_str("<table><tr><th>area</th>");
    for column in &columns {
        let _ = write!(out, "<th>{}</th>", column.as_str());
    }
    out.push_str("<th>tested</th></tr>\n");
    for row in table::rows(report) {
        let _ = write!(out, "<tr><td>{}</td>", html(&row.area));
        for count in row.counts {
            let _ = write!(out, "<td>{count}</td>");
        }
        let _ = writeln!(out, "<td>{}</td></tr>", row.tested);
    }
    out.push_str("</table>\n");
}

fn courses(out: &mut String, report: &Report) {
    for load in &report.loads {
        let _ = writeln!(out, "<h2>Load {}</h2>", html(&load.scenario));
        let told = [Some(loads::course(load)), loads::cost(load), loads::capacity(load)];
        for sentence in told.into_iter().flatten() {
            let _ = writeln!(out, "<p>{}</p>", html(&sentence));
        }
        if !load.curve.is_empty() {
            let _ = writeln!(out, "<table><tr><th>{}</th></tr>", loads::COLUMNS.join("</th><th>"));
            for probe in &load.curve {
                let cells = loads::cells(probe).map(|cell| html(&cell));
                let _ = writeln!(out, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
            }
            out.push_str("</table>\n");
        }
        out.push_str(&charts::charts(load));
    }
}

fn latencies(out: &mut String, report: &Report) {
    if report.latency.is_empty() {
        return;
    }
    out.push_str("<h2>Latency</h2>\n");
    for sentence in report.loads.iter().filter_map(loads::which) {
        let _ = writeln!(out, "<p>{}</p>", html(&sentence));
    }
    let _ = writeln!(out, "<table><tr><th>{}</th></tr>", latency::COLUMNS.join("</th><th>"));
    for one in &report.latency {
        let cells = latency::cells(one).map(|cell| html(&cell));
        let _ = writeln!(out, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
    }
    out.push_str("</table>\n");
    for errors in report.latency.iter().filter_map(latency::errors_explained) {
        let _ = writeln!(out, "<p>{}</p>", html(&errors));
    }
}

fn servers(out: &mut String, report: &Report) {
    for load in report.loads.iter().filter(|load| !load.servers.is_empty()) {
        let _ = writeln!(out, "<h2>Servers of {}</h2>", html(&load.scenario));
        let _ = writeln!(out, "<table><tr><th>{}</th></tr>", shares::columns(&load.servers).join("</th><th>"));
        for one in &load.servers {
            let cells = shares::cells(one, &load.servers);
            let cells: Vec<_> = cells.iter().map(|cell| html(cell)).collect();
            let _ = writeln!(out, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
        }
        out.push_str("</table>\n");
    }
}

fn threshold_table(out: &mut String, report: &Report) {
    if report.thresholds.is_empty() {
        return;
    }
    let _ = writeln!(out, "<h2>Thresholds</h2>\n<table><tr><th>{}</th></tr>", thresholds::COLUMNS.join("</th><th>"));
    for one in &report.thresholds {
        let cells = thresholds::cells(one).map(|cell| html(&cell));
        let _ = writeln!(out, "<tr><td>{}</td></tr>", cells.join("</td><td>"));
    }
    out.push_str("</table>\n");
}

fn finding(out: &mut String, report: &Report, one: &FindingResult) {
    let name = one.requirement.as_deref().unwrap_or("expectation");
    let verdict = one.verdict.as_str();
    let _ =
        writeln!(out, "<h3><span class=\"{verdict}\">{verdict}</span> {} in {}</h3>", html(name), html(&one.place()));
    let _ = writeln!(
        out,
        "<p>expected: {}<br>observed: {}<br>step: {}</p>",
        html(&one.expected),
        html(&one.observed),
        html(&one.step)
    );
    let lines: Vec<_> = one.evidence_text.iter().map(|text| html(text)).collect();
    let _ = writeln!(out, "<pre>{}\n{}</pre>", lines.join("\n"), html(&report.run.repeat(&one.scenario)));
}

fn lists(out: &mut String, report: &Report) {
    out.push_str("<h2>Requirements</h2>\n<table><tr><th>id</th><th>verdict</th><th>tested</th><th>text</th><th>reason</th></tr>\n");
    for one in &report.requirements {
        let (verdict, reason) = (one.verdict.as_str(), one.reason.as_deref().unwrap_or_default());
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"{verdict}\">{verdict}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            html(&one.id),
            one.tested,
            html(&one.text),
            html(reason)
        );
    }
    out.push_str("</table>\n<h2>Scenarios</h2>\n<table>\n");
    for one in &report.scenarios {
        let (verdict, reason) = (one.verdict.as_str(), one.reason.as_deref().unwrap_or_default());
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"{verdict}\">{verdict}</td><td>{}</td></tr>",
            html(&one.id),
            html(reason)
        );
    }
    out.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_target_sent_is_no_markup() {
        let text = render(&super::super::fixtures::report());
        assert!(!text.contains("<script>") && text.contains("&lt;script&gt;"));
    }
}
