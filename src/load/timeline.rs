//! How a latency goes on over time: rate, median, 99th percentile and failures of each second.
//!
//! Buckets are a second long, until there would be more than `MOST`: then each two neighbours are joined, so that a long
//! soak takes as much room as two minutes. Buckets keep histograms of two significant digits, so timelines of several
//! threads merge exactly.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::series::micros;

/// How many buckets there are at most.
const MOST: usize = 120;

/// Significant digits of a bucket: its percentiles are off by a hundredth at most.
const DIGITS: u8 = 2;

/// The longest time that a bucket tells from others.
const LONGEST_US: u64 = 3_600_000_000;

/// What happened to one metric over time. Takes no room before its first value.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// How long a bucket is: a second, or that doubled several times.
    width: Duration,
    buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, Default)]
struct Bucket {
    values: Option<Histogram<u32>>,
    errors: u64,
}

/// One bucket of a timeline.
#[derive(Debug, Clone, PartialEq)]
pub struct Moment {
    /// When it begins, in seconds since the measured part began.
    pub at_s: u64,
    /// How long it is, in seconds.
    pub length_s: u64,
    /// Values per second.
    pub per_second: f64,
    /// The median, in microseconds; zero without values.
    pub p50_us: u64,
    /// The 99th percentile, in microseconds; zero without values.
    pub p99_us: u64,
    /// How many failed.
    pub errors: u64,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { width: Duration::from_secs(1), buckets: Vec::new() }
    }
}

impl Timeline {
    /// Takes a value that was measured so long after the measured part began.
    pub fn record(&mut self, since: Duration, time: Duration) {
        self.bucket(since).add(micros(time).min(LONGEST_US));
    }

    /// Counts a failure.
    pub fn fail(&mut self, since: Duration) {
        self.bucket(since).errors += 1;
    }

    /// Adds another timeline that began at the same instant.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        while other.width < self.width {
            other.join();
        }
        while self.width < other.width {
            self.join();
        }
        if self.buckets.len() < other.buckets.len() {
            self.buckets.resize_with(other.buckets.len(), Bucket::default);
        }
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(own, other)| own.merge(other));
    }

    /// The buckets in order, those in which nothing happened included.
    pub fn moments(&self) -> Vec<Moment> {
        let width = self.width.as_secs();
        let moment = |(place, bucket): (usize, &Bucket)| {
            let value = |at: f64| bucket.values.as_ref().map_or(0, |values| values.value_at_quantile(at));
            let count = bucket.values.as_ref().map_or(0, Histogram::len);
            Moment {
                at_s: place as u64 * width,
                length_s: width,
                per_second: count as f64 / width as f64,
                p50_us: value(0.5),
                p99_us: value(0.99),
                errors: bucket.errors,
            }
        };
        self.buckets.iter().enumerate().map(moment).collect()
    }

    fn bucket(&mut self, since: Duration) -> &mut Bucket {
        let mut place = self.place(since);
        while place >= MOST {
            self.join();
            place = self.place(since);
        }
        if self.buckets.len() <= place {
            self.buckets.resize_with(place + 1, Bucket::default);
        }
        &mut self.buckets[place]
    }

    fn place(&self, since: Duration) -> usize {
        usize::try_from(since.as_secs() / self.width.as_secs()).unwrap_or(usize::MAX)
    }

    /// Makes one of each two neighbours.
    fn join(&mut self) {
        self.width *= 2;
        let mut joined: Vec<Bucket> = Vec::with_capacity(self.buckets.len().div_ceil(2));
        for (place, bucket) in std::mem::take(&mut self.buckets).into_iter().enumerate() {
            match joined.last_mut().filter(|_| place % 2 == 1) {
                Some(first) => first.merge(&bucket),
                None => joined.push(bucket),
            }
        }
        self.buckets = joined;
    }
}

impl Bucket {
    fn add(&mut self, micros: u64) {
        let values = self.values.get_or_insert_with(|| Histogram::new(DIGITS).expect("two digits can be kept"));
        values.record(micros).expect("the histogram grows as values need");
    }

    fn merge(&mut self, other: &Self) {
        self.errors += other.errors;
        match (&mut self.values, &other.values) {
            (Some(own), Some(other)) => own.add(other).expect("the histogram grows as values need"),
            (own @ None, Some(other)) => *own = Some(other.clone()),
            (_, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_shows_its_rate_its_percentiles_and_its_failures() {
        let mut line = Timeline::default();
        (1..=100).for_each(|ms| line.record(Duration::from_millis(2000 + ms), Duration::from_millis(ms)));
        line.fail(Duration::from_millis(2999));
        let moments = line.moments();
        assert_eq!(moments.len(), 3);
        assert_eq!((moments[0].per_second, moments[0].p99_us, moments[0].errors), (0.0, 0, 0));
        let last = &moments[2];
        assert_eq!((last.at_s, last.length_s, last.per_second, last.errors), (2, 1, 100.0, 1));
        assert!(last.p50_us.abs_diff(50_000) <= 500 && last.p99_us.abs_diff(99_000) <= 990, "{last:?}");
    }

    #[test]
    fn a_week_takes_no_more_room_than_two_minutes() {
        let mut line = Timeline::default();
        (0..604_800).step_by(60).for_each(|second| line.record(Duration::from_secs(second), Duration::from_millis(1)));
        let moments = line.moments();
        assert!(moments.len() <= MOST && moments.len() > MOST / 2);
        let all: f64 = moments.iter().map(|moment| moment.per_second * moment.length_s as f64).sum();
        assert!((all - 10_080.0).abs() < 1e-6);
        line.fail(Duration::MAX);
        assert!(line.moments().len() <= MOST);
    }

    proptest! {
        #[test]
        fn merged_timelines_are_the_timeline_of_all_values(
            values in prop::collection::vec((0..400_u64, 0..5_000_000_u64, any::<bool>(), any::<bool>()), 0..60)
        ) {
            let (mut one, mut other, mut all) = (Timeline::default(), Timeline::default(), Timeline::default());
            for (second, micros, first, failed) in values {
                let since = Duration::from_secs(second);
                let part = if first { &mut one } else { &mut other };
                for line in [part, &mut all] {
                    if failed { line.fail(since) } else { line.record(since, Duration::from_micros(micros)) }
                }
            }
            one.merge(&other);
            prop_assert_eq!(one.moments(), all.moments());
        }
    }
}
