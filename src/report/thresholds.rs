//! Thresholds as every rendering shows them: one line each.

use super::model::{Latency, Report, ThresholdResult};
use crate::load::Baseline;
use crate::load::thresholds::{Earlier, Outcome};

/// The heads of the columns.
pub const COLUMNS: [&str; 4] = ["threshold", "condition", "measured", "result"];

/// The cells of one line.
pub fn cells(threshold: &ThresholdResult) -> [String; 4] {
    [threshold.metric.clone(), threshold.expression.clone(), threshold.observed.clone(), result(threshold).to_owned()]
}

/// The word for what became of it.
pub const fn result(threshold: &ThresholdResult) -> &'static str {
    match (threshold.undecided, threshold.passed) {
        (true, _) => "undecided",
        (false, true) => "met",
        (false, false) => "missed",
    }
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

impl From<Outcome> for ThresholdResult {
    fn from(outcome: Outcome) -> Self {
        Self {
            metric: outcome.metric.as_str().to_owned(),
            expression: outcome.expression,
            value: outcome.value,
            scenario: String::new(),
            passed: outcome.passed,
            undecided: false,
            relative: outcome.is_relative,
            observed: outcome.told,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::model::Report;
    use crate::load::thresholds::Aggregate;
    use crate::load::{Condition, Metric, Row, Series};

    #[test]
    fn the_baseline_is_what_an_earlier_report_says() {
        let row = Row { name: "update", count: 7, errors: 1, p99_us: 12_345, ..Row::default() };
        let earlier = Report { latency: vec![row.into()], ..super::super::fixtures::report() };
        let baseline = super::baseline(&earlier);
        assert_eq!(baseline.value(Metric::Update, Aggregate::Percentile(99.0)), Some(12_345.0));
        assert_eq!(baseline.value(Metric::Update, Aggregate::Rate), Some(0.125));
        assert_eq!(
            (baseline.value(Metric::Update, Aggregate::Average), baseline.value(Metric::Api, Aggregate::Max)),
            (None, None)
        );
    }

    #[test]
    fn every_rendering_shows_thresholds_where_there_are_any() {
        let mut report = super::super::fixtures::report();
        let renderings = |report: &_| {
            let text = super::super::text::render(report, &super::super::text::Options::default());
            let text = anstream::adapter::strip_str(&text).to_string();
            [text, super::super::html::render(report), super::super::markdown::render(report)]
        };
        assert!(renderings(&report).iter().all(|text| !text.contains("condition")));
        let mut series = Series::default();
        series.record(Duration::from_millis(300));
        let judge = |text: &str| Condition::parse(text).unwrap().judge(Metric::Update, &series, None).into();
        report.thresholds = vec![judge("p(99)<250ms"), judge("count > 0"), judge("p(99) <= baseline * 1.10")];
        for text in renderings(&report) {
            let words: String = text.chars().map(|c| if c.is_alphanumeric() { c } else { ' ' }).collect();
            let words = words.split_whitespace().filter(|word| !["td", "tr", "th", "lt", "gt"].contains(word));
            let words = words.collect::<Vec<_>>().join(" ");
            assert!(words.contains("update p 99 250ms 300 03 ms missed update count 0 1 met"), "{text}");
        }
        let junit = super::super::junit::render(&report);
        assert!(junit.contains("name=\"thresholds\" tests=\"3\"") && junit.contains("failures=\"2\""), "{junit}");
    }
}
