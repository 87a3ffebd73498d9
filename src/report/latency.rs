//! Latencies as every rendering shows them: one line each.

use super::model::{Latency, Report};
use super::quantity::brief;
use crate::load::thresholds::Earlier;
use crate::load::{Baseline, Row};

/// The heads of the columns.
pub const COLUMNS: [&str; 9] = ["latency", "count", "errors", "min", "p50", "p90", "p99", "p99.9", "max"];

/// The cells of one line.
pub fn cells(latency: &Latency) -> [String; 9] {
    // Without a value, a zero would read as a very good one.
    let time = |us: u64| if latency.count == 0 { "-".to_owned() } else { brief(us) };
    [
        latency.name.clone(),
        latency.count.to_string(),
        latency.errors.to_string(),
        time(latency.min_us),
        time(latency.p50_us),
        time(latency.p90_us),
        time(latency.p99_us),
        time(latency.p99_9_us),
        time(latency.max_us),
    ]
}

/// Why values are missing, the most frequent cause first: `update failed: timeout (3), refused (1)`. `None` where none are.
pub fn failures(latency: &Latency) -> Option<String> {
    let mut causes: Vec<_> = latency.causes.iter().collect();
    causes.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    let told: Vec<_> = causes.iter().map(|(cause, times)| format!("{cause} ({times})")).collect();
    // From the send on, the same has failed.
    let is_told = told.is_empty() || latency.name.ends_with("_from_send");
    (!is_told).then(|| format!("{} failed: {}", latency.name, told.join(", ")))
}

/// What a report says of its latencies, for a run that is compared with it.
pub fn baseline(report: &Report) -> Baseline {
    let mut baseline = Baseline::default();
    for one in &report.latency {
        let Latency { count, errors, min_us, p50_us, p90_us, p99_us, p99_9_us, max_us, .. } = *one;
        baseline.insert(&one.name, Earlier { count, errors, min_us, p50_us, p90_us, p99_us, p99_9_us, max_us });
    }
    baseline
}

impl From<Row> for Latency {
    fn from(row: Row) -> Self {
        let Row { name, count, errors, min_us, p50_us, p90_us, p99_us, p99_9_us, max_us, failures } = row;
        let causes = failures.most_frequent().into_iter().map(|(cause, times)| (cause.to_owned(), times)).collect();
        Self { name: name.to_owned(), count, errors, min_us, p50_us, p90_us, p99_us, p99_9_us, max_us, causes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::thresholds::Aggregate;
    use crate::load::{Causes, Metric};

    #[test]
    fn every_rendering_shows_latencies_where_there_are_any() {
        let row = Row {
            name: "cdr_arrival",
            count: 7,
            errors: 1,
            min_us: 900,
            p50_us: 1_234,
            p90_us: 9_990,
            p99_us: 12_345,
            p99_9_us: 1_500_000,
            max_us: 90_000_000,
            ..Row::default()
        };
        let mut report = super::super::fixtures::report();
        let renderings = |report: &_| {
            let text = super::super::text::render(report, &super::super::text::Options::default());
            let text = anstream::adapter::strip_str(&text).to_string();
            [text, super::super::html::render(report), super::super::markdown::render(report)]
        };
        assert!(renderings(&report).iter().all(|text| !text.contains("p99.9")));
        let baseline = baseline(&Report { latency: vec![row.clone().into()], ..report.clone() });
        assert_eq!(baseline.value(Metric::CdrArrival, Aggregate::Percentile(99.0)), Some(12_345.0));
        assert_eq!(baseline.value(Metric::Update, Aggregate::Max), None);
        report.latency = vec![row.into(), Latency { count: 0, name: "cdr_redelivery".to_owned(), ..report_row() }];
        for text in renderings(&report) {
            let words: String = text.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { ' ' }).collect();
            let words = words.split_whitespace().filter(|word| !["td", "tr", "th"].contains(word));
            let words = words.collect::<Vec<_>>().join(" ");
            assert!(words.contains("arrival 7 1 900 us 1.23 ms 9.99 ms 12.3 ms 1.50 s 90.0 s"), "{text}");
            assert!(words.contains("redelivery 0 3"), "{text}");
            assert!(words.contains("redelivery failed not repeated 3"), "{text}");
        }
    }

    fn report_row() -> Latency {
        let mut failures = Causes::default();
        failures.add("not repeated", 3);
        Row { errors: 3, failures, ..Row::default() }.into()
    }
}
