//! The distribution of one latency: a histogram with three significant digits, in microseconds, and the failures beside
//! it, by cause.

use std::borrow::Cow;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::causes::Causes;

/// Significant digits that a histogram keeps: values are off by a thousandth at most.
const DIGITS: u8 = 3;

/// The longest time that is told from a wrong clock.
pub(super) const LONGEST: Duration = Duration::from_hours(1);

/// The cause of values that are longer than [`LONGEST`].
pub(super) const TOO_LONG: &str = "longer than an hour";

/// How many values are kept as they are: a histogram takes as much room as thousands of them, and of many servers each has
/// its own.
const FEW: usize = 256;

/// One latency. Takes no room before its first value, and little as long as there are few.
#[derive(Debug, Clone, Default)]
pub struct Series {
    /// The values in microseconds, until there are too many.
    few: Vec<u64>,
    histogram: Option<Histogram<u64>>,
    failures: Causes,
}

/// What a report shows of one latency, all times in microseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row {
    /// What was timed.
    pub name: &'static str,
    /// How many were timed.
    pub count: u64,
    /// How many have no time; [`super::recorder`] says which these are.
    pub errors: u64,
    /// The shortest.
    pub min_us: u64,
    /// Half of them took no longer.
    pub p50_us: u64,
    /// Nine in ten took no longer.
    pub p90_us: u64,
    /// 99 in a hundred took no longer.
    pub p99_us: u64,
    /// 999 in a thousand took no longer.
    pub p99_9_us: u64,
    /// The longest.
    pub max_us: u64,
    /// What failed, by cause.
    pub failures: Causes,
}

impl Row {
    /// Whether another row shows the same values under another name.
    pub fn has_values_of(&self, other: &Self) -> bool {
        *self == Self { name: self.name, ..other.clone() }
    }
}

impl Series {
    /// Takes one value. One that is longer than an hour counts as an error.
    pub fn record(&mut self, time: Duration) {
        if time > LONGEST {
            return self.fail(TOO_LONG);
        }
        self.take(micros(time));
    }

    fn take(&mut self, micros: u64) {
        if self.histogram.is_none() && self.few.len() < FEW {
            return self.few.push(micros);
        }
        self.all_in_one().record(micros).expect(GROWS);
    }

    /// The histogram, which holds all values from here on.
    fn all_in_one(&mut self) -> &mut Histogram<u64> {
        let few = std::mem::take(&mut self.few);
        self.histogram.get_or_insert_with(|| histogram_of(&few))
    }

    /// Counts something that failed, for this cause.
    pub fn fail(&mut self, cause: &str) {
        self.failures.add(cause, 1);
    }

    /// Adds another series, as if its values had been recorded here.
    pub fn merge(&mut self, other: &Self) {
        self.failures.merge(&other.failures);
        if let Some(other) = &other.histogram {
            self.all_in_one().add(other).expect(GROWS);
        }
        other.few.iter().for_each(|micros| self.take(*micros));
    }

    /// How many values were recorded.
    pub fn count(&self) -> u64 {
        self.histogram.as_ref().map_or(self.few.len() as u64, Histogram::len)
    }

    /// How many had no time.
    pub const fn errors(&self) -> u64 {
        self.failures.total()
    }

    /// The failures by cause.
    pub const fn failures(&self) -> &Causes {
        &self.failures
    }

    /// The values themselves; `None` where there are none.
    pub fn histogram(&self) -> Option<Cow<'_, Histogram<u64>>> {
        match &self.histogram {
            Some(histogram) => Some(Cow::Borrowed(histogram)),
            None => (!self.few.is_empty()).then(|| Cow::Owned(histogram_of(&self.few))),
        }
    }

    /// The share that failed, from 0 to 1; `None` where nothing was tried.
    pub fn failure_rate(&self) -> Option<f64> {
        let all = self.count() + self.errors();
        (all > 0).then(|| self.errors() as f64 / all as f64)
    }

    /// The distribution; `None` where there is nothing to show.
    pub fn row(&self, name: &'static str) -> Option<Row> {
        let histogram = self.histogram();
        let value = |at: f64| histogram.as_ref().map_or(0, |histogram| histogram.value_at_quantile(at));
        (self.count() + self.errors() > 0).then(|| Row {
            name,
            count: self.count(),
            errors: self.errors(),
            min_us: histogram.as_ref().map_or(0, |histogram| histogram.min()),
            p50_us: value(0.5),
            p90_us: value(0.9),
            p99_us: value(0.99),
            p99_9_us: value(0.999),
            max_us: histogram.as_ref().map_or(0, |histogram| histogram.max()),
            failures: self.failures.clone(),
        })
    }
}

/// Why taking a value cannot fail.
const GROWS: &str = "the histogram grows as values need";

fn histogram_of(values: &[u64]) -> Histogram<u64> {
    let mut histogram = Histogram::new(DIGITS).expect("three digits are within what a histogram can keep");
    values.iter().for_each(|micros| histogram.record(*micros).expect(GROWS));
    histogram
}

/// Microseconds; what is shorter counts as one, since zero would read as "not measured".
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn distribution_of_a_thousand_values_is_theirs() {
        let mut series = Series::default();
        assert_eq!(series.row("x"), None);
        (1..=1000).for_each(|ms| series.record(Duration::from_millis(ms)));
        series.record(Duration::from_secs(7200));
        let row = series.row("x").unwrap();
        assert_eq!((row.count, row.errors), (1000, 1));
        let near = |value: u64, exact: u64| value.abs_diff(exact) * 1000 <= exact * 2;
        assert!(near(row.p50_us, 500_000) && near(row.p99_us, 990_000) && near(row.max_us, 1_000_000), "{row:?}");
        assert!(near(row.min_us, 1000));
    }

    proptest! {
        #[test]
        fn merged_series_are_the_series_of_all_values(
            values in prop::collection::vec((0..7_200_000_000_u64, any::<bool>(), any::<bool>()), 0..3 * FEW)
        ) {
            let (mut one, mut other, mut all) = (Series::default(), Series::default(), Series::default());
            for (micros, first, missed) in values {
                let part = if first { &mut one } else { &mut other };
                for series in [part, &mut all] {
                    if missed { series.fail("lost") } else { series.record(Duration::from_micros(micros)) }
                }
            }
            one.merge(&other);
            prop_assert_eq!(one.row("x"), all.row("x"));
        }
    }
}
