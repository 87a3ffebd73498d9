//! How a load went on, drawn: charts for the HTML report, as SVG without scripts, and one line of blocks for Markdown.

use std::fmt::Write as _;
use std::time::Duration;

use super::escape::html;
use super::live::clock;
use super::model::{LoadMoment, LoadResult};
use super::quantity::{brief, counted};

/// The metrics that are drawn, in this order, where there is anything of them.
const DRAWN: [&str; 10] =
    ["update", "answer", "settle", "ack", "api", "token", "cdr_stimulus", "cdr_redelivery", "cdr_arrival", "lag"];

/// The size of a chart, in units of its own.
const SIZE: (f64, f64) = (600.0, 60.0);

/// How many blocks a line of blocks has at most.
const BLOCKS: usize = 60;

/// What the blocks of a line look like, from nothing to the highest.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// The styles of the charts.
pub(super) const STYLE: &str = "svg{display:block;width:100%;max-width:44rem;height:4.5rem;background:#f4f4f4}\
svg polyline,svg path{fill:none;stroke:#17692c;stroke-width:1.2;vector-effect:non-scaling-stroke}\
.axis{display:flex;justify-content:space-between;max-width:44rem;font-size:.75em;color:#666}\
svg .p99{stroke:#b00020}svg .probe{stroke:#bbb}figure{margin:.4rem 0}figcaption{font-size:.85em}";

/// One chart.
struct Chart {
    title: String,
    lines: Vec<(&'static str, Vec<Option<f64>>)>,
    /// A value as people read it.
    show: fn(f64) -> String,
}

/// The charts of a load; nothing where there are no moments.
pub(super) fn charts(load: &LoadResult) -> String {
    let mut out = String::new();
    if load.moments.is_empty() {
        return out;
    }
    for chart in all(load) {
        draw(&mut out, &chart, load);
    }
    out
}

/// How the 99th percentile of the load's first metric went on, as a line of blocks; `None` where nothing was timed.
pub(super) fn blocks(load: &LoadResult) -> Option<String> {
    let has = |name: &&str| load.moments.iter().any(|moment| value_of(moment, name, |one| one.p99_us).is_some());
    let name = DRAWN.iter().copied().find(has)?;
    let values: Vec<Option<f64>> = load.moments.iter().map(|moment| value_of(moment, name, |one| one.p99_us)).collect();
    let joined: Vec<Option<f64>> = values.chunks(values.len().div_ceil(BLOCKS).max(1)).map(highest).collect();
    let most = highest(&joined)?;
    let least = joined.iter().flatten().copied().fold(most, f64::min);
    let block = |value: &Option<f64>| {
        let height = |value: f64| (value / most * (HEIGHTS.len() - 1) as f64).round() as usize;
        value.map_or(' ', |value| HEIGHTS[height(value).min(HEIGHTS.len() - 1)])
    };
    let line: String = joined.iter().map(block).collect();
    let moments = counted(load.moments.len(), "moment");
    Some(format!("{name} p99 over {moments}: `{line}` {} to {}", micros(least), micros(most)))
}

fn highest(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().copied().reduce(f64::max)
}

fn value_of(moment: &LoadMoment, name: &str, of: fn(&super::model::MomentMetric) -> u64) -> Option<f64> {
    moment.metrics.get(name).filter(|one| one.count > 0).map(|one| of(one) as f64)
}

fn all(load: &LoadResult) -> Vec<Chart> {
    let moments = &load.moments;
    let per_s = |of: fn(&LoadMoment) -> u64| -> Vec<Option<f64>> {
        moments.iter().map(|moment| Some(of(moment) as f64 * 1e3 / moment.length_ms.max(1) as f64)).collect()
    };
    let mut charts = vec![
        Chart { title: "stimuli per second".to_owned(), lines: vec![("", per_s(|one| one.begun))], show: plain },
        Chart { title: "messages per second".to_owned(), lines: vec![("", per_s(|one| one.messages))], show: plain },
        Chart { title: "records per second".to_owned(), lines: vec![("", per_s(|one| one.records))], show: plain },
    ];
    for name in DRAWN {
        let of = |of| moments.iter().map(|moment| value_of(moment, name, of)).collect::<Vec<_>>();
        let lines = vec![("p50", of(|one| one.p50_us)), ("p99", of(|one| one.p99_us))];
        let what = if name == "lag" { "the harness's own lag" } else { name };
        charts.push(Chart { title: format!("{what}: p50 and, in red, p99"), lines, show: micros });
    }
    let failed: fn(&LoadMoment) -> u64 = |one| {
        let parts = one.metrics.iter().filter(|(name, _)| *name != "update");
        parts.map(|(_, metric)| metric.errors).sum()
    };
    let cpu: fn(&LoadMoment) -> u64 = |one| (one.cpu_user_ms + one.cpu_system_ms) / 10;
    let memory = moments.iter().map(|one| one.memory_kib.map(|kib| kib as f64 / 1024.0)).collect();
    charts.extend([
        Chart { title: "failures per second".to_owned(), lines: vec![("", per_s(failed))], show: plain },
        Chart { title: "findings per second".to_owned(), lines: vec![("", per_s(|one| one.findings))], show: plain },
        Chart { title: "processor, % of one core".to_owned(), lines: vec![("", per_s(cpu))], show: plain },
        Chart { title: "memory, MiB".to_owned(), lines: vec![("", memory)], show: plain },
    ]);
    // A line of nothing says nothing.
    charts.retain(|chart| chart.lines.iter().any(|(_, line)| highest(line).is_some_and(|most| most > 0.0)));
    charts
}

fn draw(out: &mut String, chart: &Chart, load: &LoadResult) {
    let most = chart.lines.iter().filter_map(|(_, line)| highest(line)).fold(f64::MIN_POSITIVE, f64::max);
    let end_ms = load.moments.iter().map(|moment| moment.at_ms + moment.length_ms).max().unwrap_or(1).max(1) as f64;
    let (width, height) = SIZE;
    let x = |moment: &LoadMoment| (moment.at_ms as f64 + moment.length_ms as f64 / 2.0) / end_ms * width;
    let y = |value: f64| height - 2.0 - value / most * (height - 4.0);
    let title = html(&chart.title);
    let last = chart.lines.last().and_then(|(_, line)| highest(line)).map(chart.show).unwrap_or_default();
    let _ = write!(
        out,
        "<figure><figcaption>{title}; at most {last}</figcaption>\
         <svg viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\" role=\"img\"><title>{title}</title>"
    );
    for pair in load.moments.windows(2).filter(|pair| pair[0].probe != pair[1].probe) {
        let at = pair[1].at_ms as f64 / end_ms * width;
        let _ = write!(out, "<path class=\"probe\" d=\"M{at:.1} 0V{height}\"/>");
    }
    for (class, line) in &chart.lines {
        let points: Vec<Option<(f64, f64)>> =
            load.moments.iter().zip(line).map(|(moment, value)| value.map(|value| (x(moment), y(value)))).collect();
        // Where nothing was measured, the line is broken.
        for run in points.split(Option::is_none).filter(|run| !run.is_empty()) {
            // A line of one point is drawn a little wide, or nobody would see it.
            let wide = run.first().copied().flatten().filter(|_| run.len() == 1).map(|(x, y)| (x + 1.0, y));
            let all = run.iter().flatten().chain(&wide).map(|(x, y)| format!("{x:.1},{y:.1}"));
            let _ = write!(out, "<polyline class=\"{class}\" points=\"{}\"/>", all.collect::<Vec<_>>().join(" "));
        }
    }
    let _ = writeln!(
        out,
        "</svg><div class=\"axis\"><span>0:00</span><span>{}</span><span>{}</span></div></figure>",
        clock(Duration::from_secs_f64(end_ms / 2e3)),
        clock(Duration::from_secs_f64(end_ms / 1e3))
    );
}

fn micros(us: f64) -> String {
    brief(us as u64)
}

fn plain(value: f64) -> String {
    if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures;
    use super::*;

    #[test]
    fn a_load_is_drawn_without_scripts_and_with_gaps_where_nothing_was_measured() {
        let mut load = fixtures::load();
        load.moments[2].metrics.clear();
        let drawn = charts(&load);
        let document = format!("<body>{drawn}</body>");
        let read = roxmltree::Document::parse(&document).unwrap();
        let titles: Vec<_> =
            read.descendants().filter(|node| node.has_tag_name("title")).map(|node| node.text().unwrap()).collect();
        let lines = "stimuli per second|messages per second|update: p50 and, in red, p99|the harness's own lag: p50 and, in red, p99|processor, % of one core|memory, MiB";
        assert_eq!(titles.join("|"), lines);
        assert_eq!(
            drawn.matches("<span>0:00</span><span>0:03</span><span>0:05</span>").count(),
            titles.len(),
            "{drawn}"
        );
        let svg = read.descendants().filter(|node| node.has_tag_name("svg")).nth(2).unwrap();
        let p99: Vec<_> = svg.children().filter(|node| node.attribute("class") == Some("p99")).collect();
        assert_eq!(p99.len(), 2, "{drawn}");
        assert!(!drawn.contains("NaN") && !drawn.contains("script") && !drawn.contains("inf"), "{drawn}");
        assert_eq!(charts(&LoadResult { moments: Vec::new(), ..load }), "");
    }

    #[test]
    fn a_line_of_blocks_shows_the_highest_of_what_it_joins() {
        let mut load = fixtures::load();
        assert_eq!(blocks(&load).unwrap(), "update p99 over 5 moments: `▂▄▅▇█` 10.0 ms to 50.0 ms");
        let one = load.moments[0].clone();
        load.moments = vec![one; 600];
        load.moments[77].metrics.get_mut("update").unwrap().p99_us = 1_000_000;
        let text = blocks(&load).unwrap();
        assert_eq!(text.chars().filter(|c| HEIGHTS.contains(c)).count(), BLOCKS);
        assert!(text.contains("`▁▁▁▁▁▁▁█▁▁"), "{text}");
        load.moments.clear();
        assert_eq!(blocks(&load), None);
    }
}
