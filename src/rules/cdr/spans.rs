//! Sets of record indexes as stretches: indexes come in order, so that a few stretches hold millions of them.

/// How many stretches are kept; of more the oldest are forgotten.
const KEPT: usize = 1024;

/// A set of indexes.
#[derive(Debug, Default)]
pub(super) struct Spans(Vec<(u64, u64)>);

impl Spans {
    /// The stretch that holds `index` or lies before it.
    fn place(&self, index: u64) -> usize {
        self.0.partition_point(|(first, _)| *first <= index)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, index: u64) -> bool {
        self.place(index).checked_sub(1).is_some_and(|place| index <= self.0[place].1)
    }

    /// Whether any index of the stretch is in the set.
    pub(super) fn overlaps(&self, first: u64, last: u64) -> bool {
        self.place(last).checked_sub(1).is_some_and(|place| self.0[place].1 >= first)
    }

    /// The last index.
    pub(super) fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }

    /// Puts a stretch into the set.
    pub(super) fn insert(&mut self, mut first: u64, mut last: u64) {
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let to = self.0.partition_point(|(start, _)| *start <= last.saturating_add(1));
        if from < to {
            first = first.min(self.0[from].0);
            last = last.max(self.0[to - 1].1);
        }
        self.0.splice(from..to, [(first, last)]);
        if self.0.len() > KEPT {
            self.0.remove(0);
        }
    }

    /// Takes a stretch out of the set.
    pub(super) fn remove(&mut self, first: u64, last: u64) {
        let from = self.0.partition_point(|(_, end)| *end < first);
        let to = self.0.partition_point(|(start, _)| *start <= last);
        if from >= to {
            return;
        }
        let (before, after) = (self.0[from], self.0[to - 1]);
        let left = (before.0 < first).then(|| (before.0, first - 1));
        let right = (after.1 > last).then(|| (last + 1, after.1));
        self.0.splice(from..to, left.into_iter().chain(right));
    }
}

/// How many stretches one set of records may have and still be followed.
const FEW: usize = 4;

/// The indexes of one set of records, without memory of its own.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Few {
    spans: [(u64, u64); FEW],
    len: usize,
}

impl Few {
    /// Adds an index; what does not fit is left out.
    pub(super) fn push(&mut self, index: u64) {
        if let Some(last) = self.len.checked_sub(1).map(|at| &mut self.spans[at])
            && index == last.1.saturating_add(1)
        {
            last.1 = index;
        } else if self.len < FEW {
            self.spans[self.len] = (index, index);
            self.len += 1;
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.spans[..self.len].iter().copied()
    }

    /// The smallest index.
    pub(super) fn lowest(&self) -> Option<u64> {
        self.iter().map(|(first, _)| first).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn stretches_hold_what_a_set_holds() {
        let (mut spans, mut plain) = (Spans::default(), BTreeSet::new());
        let mut seed = 7_u64;
        for _ in 0..2000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (first, last) = (seed >> 58, (seed >> 58) + (seed >> 33) % 5);
            if (seed >> 40).is_multiple_of(3) {
                spans.remove(first, last);
                plain.retain(|index| !(first..=last).contains(index));
            } else {
                spans.insert(first, last);
                plain.extend(first..=last);
            }
            assert!((0..80).all(|index| spans.contains(index) == plain.contains(&index)));
            assert!(spans.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "as few as can be");
            assert_eq!(spans.last(), plain.last().copied());
            assert_eq!(spans.overlaps(10, 12), plain.range(10..=12).next().is_some());
        }
    }

    #[test]
    fn a_set_of_records_is_a_few_stretches() {
        let mut few = Few::default();
        for index in [4, 5, 6, 2, 3, 9, 11, 13, 15] {
            few.push(index);
        }
        assert_eq!(few.iter().collect::<Vec<_>>(), [(4, 6), (2, 3), (9, 9), (11, 11)], "what does not fit is left out");
        assert_eq!(few.lowest(), Some(2));
    }
}
