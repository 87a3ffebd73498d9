//! Failures counted by cause. A server that invents a new text for each failure takes no more room than others.

use std::collections::BTreeMap;

/// How many causes are told apart; further ones are counted together.
const MOST: usize = 32;

/// What all causes beyond the `MOST` first are called.
pub const OTHERS: &str = "other causes";

/// Counts by cause. The total is exact, whatever is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Causes {
    by_cause: BTreeMap<Box<str>, u64>,
    total: u64,
}

impl Causes {
    /// Counts a cause so many times.
    pub fn add(&mut self, cause: &str, times: u64) {
        self.total += times;
        if let Some(count) = self.by_cause.get_mut(cause) {
            *count += times;
            return;
        }
        let cause = if self.by_cause.len() < MOST { cause } else { OTHERS };
        *self.by_cause.entry(cause.into()).or_default() += times;
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (cause, count) in &other.by_cause {
            self.add(cause, *count);
        }
    }

    /// How many in all.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// The causes with their counts, the most frequent first.
    pub fn most_frequent(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<(&str, u64)> = self.by_cause.iter().map(|(cause, count)| (&**cause, *count)).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn causes_without_end_are_counted_together() {
        let mut causes = Causes::default();
        (0..1000).for_each(|number| causes.add(&format!("cause {number}"), 1));
        causes.add("cause 7", 5);
        assert_eq!((causes.total(), causes.most_frequent().len()), (1005, MOST + 1));
        assert_eq!(causes.most_frequent()[..2], [(OTHERS, 1000 - MOST as u64), ("cause 7", 6)]);
    }

    proptest! {
        #[test]
        fn merging_loses_nothing(one in prop::collection::vec(0..60_u32, 0..80), two in prop::collection::vec(0..60_u32, 0..80)) {
            let counted = |list: &[u32]| {
                let mut causes = Causes::default();
                list.iter().for_each(|cause| causes.add(&cause.to_string(), 1));
                causes
            };
            let mut merged = counted(&one);
            merged.merge(&counted(&two));
            prop_assert_eq!(merged.total(), (one.len() + two.len()) as u64);
            prop_assert_eq!(merged.most_frequent().iter().map(|(_, count)| count).sum::<u64>(), merged.total());
            prop_assert!(merged.most_frequent().len() <= MOST + 1);
        }
    }
}
