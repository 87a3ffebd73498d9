//! Latencies as every rendering shows them: one line each.

use super::model::Latency;
use super::quantity::brief;
use crate::load::{Causes, Metric, Row};

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

/// How many causes of errors are told.
const CAUSES: usize = 4;

/// What the errors of a latency are; nothing where there are none.
pub fn errors_explained(latency: &Latency) -> Option<String> {
    if latency.errors == 0 {
        return None;
    }
    let what = match latency.name.as_str() {
        "cdr_arrival" => {
            "records whose time is none, lies behind their arrival, or more than an hour before it".to_owned()
        }
        "cdr_redelivery" => "failed deliveries that no repetition followed".to_owned(),
        _ => causes(latency)?,
    };
    Some(format!("errors of {}: {what}", latency.name))
}

/// The most frequent causes of errors.
fn causes(latency: &Latency) -> Option<String> {
    let mut causes: Vec<_> = latency.causes.iter().collect();
    causes.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    let told: Vec<_> = causes.iter().take(CAUSES).map(|(cause, times)| format!("{times} x {cause}")).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

impl From<Row> for Latency {
    fn from(row: Row) -> Self {
        let Row { name, count, errors, min_us, p50_us, p90_us, p99_us, p99_9_us, max_us, failures } = row;
        let causes = failures.most_frequent().into_iter().map(|(cause, times)| (cause.to_owned(), times)).collect();
        Self {
            scenario: None,
            name: name.to_owned(),
            count,
            errors,
            min_us,
            p50_us,
            p90_us,
            p99_us,
            p99_9_us,
            max_us,
            causes,
        }
    }
}

/// The row that a report shows of a metric, and the metric; `None` of the same from the actual send, which is none.
pub(super) fn row(latency: &Latency) -> Option<(Metric, Row)> {
    let metric = Metric::from_name(&latency.name)?;
    let Latency { count, errors, min_us, p50_us, p90_us, p99_us, p99_9_us, max_us, .. } = *latency;
    let mut failures = Causes::default();
    latency.causes.iter().for_each(|(cause, times)| failures.add(cause, *times));
    let name = metric.as_str();
    Some((metric, Row { name, count, errors, min_us, p50_us, p90_us, p99_us, p99_9_us, max_us, failures }))
}

#[cfg(test)]
mod tests {
    use super::*;

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
        report.latency = vec![row.into(), Latency { count: 0, name: "cdr_redelivery".to_owned(), ..report_row() }];
        for text in renderings(&report) {
            let words: String = text.chars().map(|c| if c.is_alphanumeric() || c == '.' { c } else { ' ' }).collect();
            let words = words.split_whitespace().filter(|word| !["td", "tr", "th"].contains(word));
            let words = words.collect::<Vec<_>>().join(" ");
            assert!(words.contains("arrival 7 1 900 us 1.23 ms 9.99 ms 12.3 ms 1.50 s 90.0 s"), "{text}");
            assert!(words.contains("redelivery 0 3"), "{text}");
            assert!(words.contains("errors of cdr redelivery failed deliveries that no repetition followed"), "{text}");
        }
    }

    fn report_row() -> Latency {
        Latency { errors: 3, ..Row::default().into() }
    }
}
