//! What one interval brought of one metric: the values, sorted into slots, and how many failed.
//!
//! `Dense` takes values without new memory once it has seen their range; [`Tally`] is what is kept of it: the slots that
//! hold something, and no others. Tallies add up exactly: slots are those of a histogram of two significant digits, so
//! that percentiles are off by a hundredth at most; count, sum, longest and failures are exact.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::causes::Causes;
use super::series::{LONGEST, TOO_LONG, micros};

/// Significant digits of the slots.
const DIGITS: u8 = 2;

/// What one interval brought of one metric.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// The longest time of each slot that holds values, in microseconds, ascending, and how many it holds.
    slots: Vec<(u32, u32)>,
    sum_us: u64,
    max_us: u64,
    errors: u64,
}

impl Tally {
    /// How many values there are.
    pub fn count(&self) -> u64 {
        self.slots.iter().map(|(_, count)| u64::from(*count)).sum()
    }

    /// How many failed.
    pub const fn errors(&self) -> u64 {
        self.errors
    }

    /// The longest time, in microseconds; zero without values.
    pub const fn max_us(&self) -> u64 {
        self.max_us
    }

    /// All times together, in microseconds.
    pub const fn sum_us(&self) -> u64 {
        self.sum_us
    }

    /// The time that this share of the values, from 0 to 1, does not exceed, in microseconds; zero without values.
    pub fn quantile_us(&self, share: f64) -> u64 {
        let wanted = ((self.count() as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        let found = self.slots.iter().find(|(_, count)| {
            seen += u64::from(*count);
            seen >= wanted
        });
        found.map_or(0, |(slot, _)| u64::from(*slot).min(self.max_us))
    }

    /// How many values take no longer than this, as far as the slots tell.
    pub fn at_most(&self, us: u64) -> u64 {
        let within = self.slots.iter().take_while(|(slot, _)| u64::from(*slot) <= us);
        within.map(|(_, count)| u64::from(*count)).sum()
    }

    /// Adds another, as if its values had come here.
    pub fn merge(&mut self, other: &Self) {
        self.sum_us = self.sum_us.saturating_add(other.sum_us);
        self.max_us = self.max_us.max(other.max_us);
        self.errors += other.errors;
        for (slot, count) in &other.slots {
            match self.slots.binary_search_by_key(slot, |(own, _)| *own) {
                Ok(place) => self.slots[place].1 = self.slots[place].1.saturating_add(*count),
                Err(place) => self.slots.insert(place, (*slot, *count)),
            }
        }
    }
}

/// A tally while its interval lasts.
#[derive(Debug, Clone, Default)]
pub(super) struct Dense {
    values: Option<Histogram<u32>>,
    sum_us: u64,
    max_us: u64,
    pub(super) causes: Causes,
}

impl Dense {
    /// Takes a value. One that is longer than an hour counts as an error, as in a series.
    pub(super) fn record(&mut self, time: Duration) {
        if time > LONGEST {
            return self.causes.add(TOO_LONG, 1);
        }
        let micros = micros(time);
        let values = self.values.get_or_insert_with(|| Histogram::new(DIGITS).expect("two digits can be kept"));
        values.record(micros).expect("the histogram grows as values need");
        self.sum_us = self.sum_us.saturating_add(micros);
        self.max_us = self.max_us.max(micros);
    }

    /// What came so far; from here on it is empty. `None` where nothing came.
    pub(super) fn take(&mut self) -> Option<(Tally, Causes)> {
        let mut values = self.values.as_mut().filter(|values| !values.is_empty());
        if values.is_none() && self.causes.total() == 0 {
            return None;
        }
        let slot = |us: u64| u32::try_from(us).unwrap_or(u32::MAX);
        let slots = values.iter().flat_map(|values| values.iter_recorded());
        let slots = slots.map(|one| (slot(one.value_iterated_to()), one.count_at_value())).collect();
        if let Some(values) = &mut values {
            values.reset();
        }
        let causes = std::mem::take(&mut self.causes);
        let (sum_us, max_us) = (std::mem::take(&mut self.sum_us), std::mem::take(&mut self.max_us));
        Some((Tally { slots, sum_us, max_us, errors: causes.total() }, causes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tally(micros: &[u64]) -> Tally {
        let mut dense = Dense::default();
        micros.iter().for_each(|micros| dense.record(Duration::from_micros(*micros)));
        dense.take().map(|(tally, _)| tally).unwrap_or_default()
    }

    #[test]
    fn a_tally_is_taken_once_and_holds_what_came() {
        let mut dense = Dense::default();
        assert_eq!(dense.take(), None);
        (1..=100).for_each(|ms| dense.record(Duration::from_millis(ms)));
        dense.causes.add("late", 2);
        dense.record(Duration::from_secs(3600));
        dense.record(Duration::from_secs(3601));
        let (tally, causes) = dense.take().unwrap();
        let hour_us = 3_600_000_000;
        assert_eq!((tally.count(), tally.errors(), tally.max_us()), (101, 3, hour_us));
        assert_eq!(tally.sum_us(), 5_050_000 + hour_us);
        assert!(tally.quantile_us(0.5).abs_diff(51_000) <= 510 && tally.quantile_us(1.0) == hour_us, "{tally:?}");
        assert_eq!((tally.at_most(50_500), tally.at_most(u64::MAX)), (50, 101));
        assert_eq!(causes.most_frequent(), [("late", 2), (TOO_LONG, 1)]);
        assert_eq!(dense.take(), None);
    }

    proptest! {
        #[test]
        fn tallies_add_up_to_the_tally_of_all_values(
            one in prop::collection::vec(0..3_600_000_000_u64, 0..40), two in prop::collection::vec(0..90_000_u64, 0..40),
        ) {
            let mut merged = tally(&one);
            merged.merge(&tally(&two));
            prop_assert_eq!(merged, tally(&[one, two].concat()));
        }

        #[test]
        fn percentiles_are_those_of_the_values(mut all in prop::collection::vec(1..100_000_000_u64, 1..100), percent in 1..=100_usize) {
            let found = tally(&all).quantile_us(percent as f64 / 100.0);
            all.sort_unstable();
            // A product in floating point may be a trifle more than the rank.
            let ranks = [(all.len() * percent).div_ceil(100), (all.len() * percent).div_ceil(100) + 1];
            let near = |rank: usize| {
                let exact = all[rank.clamp(1, all.len()) - 1];
                found >= exact && found - exact <= exact / 100 + 1
            };
            prop_assert!(ranks.into_iter().any(near), "{} {:?}", found, all);
        }
    }
}
