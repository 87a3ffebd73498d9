//! Thresholds as every rendering shows them: one line each.

use super::model::ThresholdResult;
use crate::load::thresholds::Outcome;

/// The heads of the columns.
pub const COLUMNS: [&str; 4] = ["threshold", "condition", "measured", "result"];

/// The cells of one line.
pub fn cells(threshold: &ThresholdResult) -> [String; 4] {
    [threshold.metric.clone(), threshold.expression.clone(), threshold.observed.clone(), result(threshold).to_owned()]
}

/// The word for what became of it.
pub const fn result(threshold: &ThresholdResult) -> &'static str {
    if threshold.passed { "met" } else { "missed" }
}

impl From<Outcome> for ThresholdResult {
    fn from(outcome: Outcome) -> Self {
        Self {
            metric: outcome.metric.as_str().to_owned(),
            expression: outcome.expression,
            value: outcome.value,
            passed: outcome.passed,
            relative: outcome.is_relative,
            observed: outcome.told,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::load::{Condition, Metric, Series};

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
