//! Thresholds as every rendering shows them: one line each.

use super::latency;
use super::model::{Report, ThresholdResult, Verdict};
use super::quantity::counted;
use crate::load::Earlier;
use crate::load::thresholds::Outcome;

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

/// Whether it was missed.
pub const fn is_missed(threshold: &ThresholdResult) -> bool {
    !threshold.passed && !threshold.undecided
}

/// What it makes of the run, if it is not met.
pub const fn verdict(threshold: &ThresholdResult) -> Option<Verdict> {
    match (threshold.undecided, threshold.passed) {
        (true, _) => Some(Verdict::Inconclusive),
        (false, false) => Some(Verdict::Fail),
        (false, true) => None,
    }
}

/// How many were missed, to stand behind the verdict; nothing if none was.
pub fn missed(report: &Report) -> String {
    let count = report.thresholds.iter().filter(|one| is_missed(one)).count();
    if count == 0 { String::new() } else { format!(", {} missed", counted(count, "threshold")) }
}

/// What a report says of the latencies of its loads, for a run that is compared with it.
pub fn earlier(report: &Report) -> Earlier {
    let mut earlier = Earlier::default();
    for one in &report.latency {
        if let (Some(scenario), Some((metric, row))) = (&one.scenario, latency::row(one)) {
            earlier.insert(scenario, metric, row);
        }
    }
    earlier
}

impl From<Outcome> for ThresholdResult {
    fn from(outcome: Outcome) -> Self {
        let undecided = outcome.is_undecided();
        Self {
            metric: outcome.metric.as_str().to_owned(),
            expression: outcome.expression,
            value: outcome.value,
            scenario: String::new(),
            passed: outcome.passed,
            undecided,
            relative: outcome.is_relative,
            observed: outcome.told,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::model::{Latency, Report};
    use crate::load::thresholds::Aggregate;
    use crate::load::{Condition, Metric, Row, Series};

    #[test]
    fn the_baseline_of_a_load_is_what_an_earlier_report_says_of_that_load() {
        let of = |scenario: &str, name: &'static str, p99_us| {
            let row = Row { name, count: 7, errors: 1, p99_us, ..Row::default() };
            Latency { scenario: Some(scenario.to_owned()), ..row.into() }
        };
        let latency = vec![
            Latency { scenario: None, ..of("", "cdr_arrival", 5) },
            of("load/ramp", "update", 12_345),
            of("load/ramp", "update_from_send", 1),
            of("load/soak", "update", 54_321),
        ];
        let earlier = super::earlier(&Report { latency, ..super::super::fixtures::report() });
        let p99 = |scenario: &str| earlier.of(scenario).value(Metric::Update, Aggregate::Percentile(99.0));
        assert_eq!([p99("load/ramp"), p99("load/soak"), p99("load/new")], [Some(12_345.0), Some(54_321.0), None]);
        let baseline = earlier.of("load/ramp");
        assert_eq!(baseline.value(Metric::Update, Aggregate::Rate), Some(0.125));
        assert_eq!(
            (baseline.value(Metric::Update, Aggregate::Average), baseline.value(Metric::CdrArrival, Aggregate::Max)),
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
        assert!(junit.contains("name=\"thresholds\" tests=\"3\"") && junit.contains("failures=\"1\""), "{junit}");
    }
}
