//! How a load goes on: what each second of it brought.
//!
//! The present second is taken down as it comes, without new memory. When it is over it becomes a [`Moment`], which is
//! shown to whoever watches, and kept. Where there would be more than `MOST`, each two neighbours are joined, so that a
//! week takes as much room as five minutes. Moments add up exactly: those of several threads or servers, and those of
//! neighbours.

use std::time::Duration;

use super::causes::Causes;
use super::metric::Metric;
use super::tally::{Dense, Tally};

/// How many moments are kept at most.
const MOST: usize = 300;

/// What an interval brought.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Moment {
    /// When it began, in seconds since the beginning of the load; with [`Self::length_s`] it is its number.
    pub at_s: u64,
    /// How long it is, in seconds.
    pub length_s: u64,
    /// What was counted in it.
    pub counts: Counts,
    /// The memory of the harness at its end, or the most at the end of those that it was made of, in KiB; zero where
    /// nobody knows.
    pub memory_kib: u64,
    /// The metrics of which something came, in the order of reports; kinds of updates only, not all together.
    tallies: Vec<(Metric, Tally)>,
    /// The same from the actual send. Only moments that are shown have it, not those that are kept.
    from_send: Vec<(Metric, Tally)>,
    /// What failed, by cause. Only moments that are shown have it, not those that are kept.
    causes: Vec<(Metric, Causes)>,
}

/// What is counted beside what is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Pieces of work that began.
    pub begun: u64,
    /// How many arrivals the harness was late for, whether they began or not.
    pub late: u64,
    /// How many of them found nothing that they could be about.
    pub unserved: u64,
    /// Messages of the server that were received, and judged.
    pub messages: u64,
    /// Records that receivers were sent.
    pub records: u64,
    /// What was found.
    pub findings: u64,
    /// Connections that were lost.
    pub lost_connections: u64,
    /// What the harness took of the processors for itself, in milliseconds.
    pub cpu_user_ms: u64,
    /// What the system took of them for the harness, in milliseconds.
    pub cpu_system_ms: u64,
}

impl Counts {
    /// What was counted since an earlier time.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        self.with(earlier, u64::saturating_sub)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        self.with(other, u64::saturating_add)
    }

    fn with(&self, other: &Self, both: fn(u64, u64) -> u64) -> Self {
        Self {
            begun: both(self.begun, other.begun),
            late: both(self.late, other.late),
            unserved: both(self.unserved, other.unserved),
            messages: both(self.messages, other.messages),
            records: both(self.records, other.records),
            findings: both(self.findings, other.findings),
            lost_connections: both(self.lost_connections, other.lost_connections),
            cpu_user_ms: both(self.cpu_user_ms, other.cpu_user_ms),
            cpu_system_ms: both(self.cpu_system_ms, other.cpu_system_ms),
        }
    }
}

impl Moment {
    /// A second in which nothing was timed.
    pub fn at(at_s: u64, counts: Counts) -> Self {
        Self { at_s, length_s: 1, counts, ..Self::default() }
    }

    /// The tally of a metric; of [`Metric::Update`], of all kinds together. `None` where nothing came.
    pub fn tally(&self, metric: Metric) -> Option<Tally> {
        let own = self.tallies.iter().find(|(own, _)| *own == metric).map(|(_, tally)| tally.clone());
        let kinds = self.tallies.iter().filter(|(own, _)| metric == Metric::Update && Metric::UPDATES.contains(own));
        kinds.fold(own, |all, (_, kind)| {
            let mut all = all.unwrap_or_default();
            all.merge(kind);
            Some(all)
        })
    }

    /// What came, in the order of reports: of updates each kind, and not all together.
    pub fn tallies(&self) -> &[(Metric, Tally)] {
        &self.tallies
    }

    /// When it begins and ends, since the beginning; but for what is behind `end`.
    pub fn span(&self, end: Duration) -> (Duration, Duration) {
        let began = Duration::from_secs(self.at_s);
        (began, Duration::from_secs(self.at_s + self.length_s).min(end).max(began))
    }

    /// The same from the actual send, of what a schedule may have asked for.
    pub fn tallies_from_send(&self) -> &[(Metric, Tally)] {
        &self.from_send
    }

    /// What failed, by cause; metrics of which nothing failed are left out.
    pub fn causes(&self) -> &[(Metric, Causes)] {
        &self.causes
    }

    /// Adds what came of a metric.
    pub fn add(&mut self, metric: Metric, tally: &Tally) {
        add(&mut self.tallies, metric, tally);
    }

    /// Adds failures by cause, which the tally has already counted.
    fn add_causes(&mut self, metric: Metric, causes: &Causes) {
        match self.causes.binary_search_by_key(&metric, |(own, _)| *own) {
            Ok(place) => self.causes[place].1.merge(causes),
            Err(place) => self.causes.insert(place, (metric, causes.clone())),
        }
    }

    /// Adds another, which is of the same interval or follows it. When it began, and how long it is, stays as it is.
    pub fn merge(&mut self, other: &Self) {
        self.counts = self.counts.plus(&other.counts);
        self.memory_kib = self.memory_kib.max(other.memory_kib);
        other.tallies.iter().for_each(|(metric, tally)| self.add(*metric, tally));
        other.from_send.iter().for_each(|(metric, tally)| add(&mut self.from_send, *metric, tally));
        other.causes.iter().for_each(|(metric, causes)| self.add_causes(*metric, causes));
    }

    /// Adds what came since it was looked at last.
    pub(super) fn take_in(&mut self, fresh: &mut Fresh) {
        for (metric, dense) in Metric::ALL.into_iter().zip(&mut fresh.all) {
            if let Some((tally, causes)) = dense.take() {
                self.add(metric, &tally);
                if causes.total() > 0 {
                    self.add_causes(metric, &causes);
                }
            }
        }
        for (metric, dense) in Metric::ALL.into_iter().zip(&mut fresh.from_send) {
            if let Some((tally, _)) = dense.take() {
                add(&mut self.from_send, metric, &tally);
            }
        }
    }
}

/// Adds what came of a metric to tallies in the order of reports.
fn add(tallies: &mut Vec<(Metric, Tally)>, metric: Metric, tally: &Tally) {
    match tallies.binary_search_by_key(&metric, |(own, _)| *own) {
        Ok(place) => tallies[place].1.merge(tally),
        Err(place) => tallies.insert(place, (metric, tally.clone())),
    }
}

/// What has come of all metrics since it was looked at last.
#[derive(Debug, Clone, Default)]
pub struct Fresh {
    all: [Dense; Metric::ALL.len()],
    from_send: [Dense; Metric::ALL.len()],
}

impl Fresh {
    /// Takes a value; one that is longer than an hour counts as an error.
    pub fn record(&mut self, metric: Metric, time: Duration) {
        self.all[metric as usize].record(time);
    }

    /// Takes how long the same took from the actual send.
    pub fn record_from_send(&mut self, metric: Metric, time: Duration) {
        self.from_send[metric as usize].record(time);
    }

    /// Counts a failure.
    pub fn fail(&mut self, metric: Metric, cause: &str) {
        self.all[metric as usize].causes.add(cause, 1);
    }

    /// Moves all into a moment.
    pub fn move_into(&mut self, moment: &mut Moment) {
        moment.take_in(self);
    }
}

/// How a load goes on. Takes no room before its first value.
#[derive(Debug, Clone)]
pub struct Timeline {
    /// The second that is taken down at present.
    second: u64,
    fresh: Box<Fresh>,
    /// How long a moment is that is kept, in seconds: one, or that doubled several times.
    width_s: u64,
    kept: Vec<Moment>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { second: 0, fresh: Box::default(), width_s: 1, kept: Vec::new() }
    }
}

impl Timeline {
    /// Takes a value that came about so long after the beginning: from the scheduled instant, and from the actual send.
    pub fn record(&mut self, since: Duration, metric: Metric, time: Duration, from_send: Duration) {
        self.turn_to(since);
        self.fresh.record(metric, time);
        // The harness's own lateness has but one beginning.
        if metric != Metric::Lag {
            self.fresh.record_from_send(metric, from_send);
        }
    }

    /// Counts a failure.
    pub fn fail(&mut self, since: Duration, metric: Metric, cause: &str) {
        self.turn_to(since);
        self.fresh.fail(metric, cause);
    }

    /// When the present second is over, since the beginning.
    pub const fn turns(&self) -> Duration {
        Duration::from_secs(self.second.saturating_add(1))
    }

    /// Ends the present second, and goes on with that of `since`. What it brought; [`Self::keep`] keeps it.
    pub fn turn(&mut self, since: Duration, counts: Counts) -> Moment {
        let mut moment = Moment::at(self.second, counts);
        moment.take_in(&mut self.fresh);
        self.second = since.as_secs();
        moment
    }

    /// Keeps a moment; if there is one of its interval, both together.
    pub fn keep(&mut self, mut moment: Moment) {
        moment.causes.clear();
        moment.from_send.clear();
        let mut place = self.place(moment.at_s);
        while place >= MOST {
            self.join();
            place = self.place(moment.at_s);
        }
        while self.kept.len() <= place {
            let at_s = self.kept.len() as u64 * self.width_s;
            self.kept.push(Moment { at_s, length_s: self.width_s, ..Moment::default() });
        }
        self.kept[place].merge(&moment);
    }

    /// Adds another timeline that began at the same instant, or is to be taken for one that did.
    pub fn merge(&mut self, other: &Self) {
        self.settle();
        let mut other = other.clone();
        other.settle();
        while other.width_s < self.width_s {
            other.join();
        }
        while self.width_s < other.width_s {
            self.join();
        }
        other.kept.into_iter().for_each(|moment| self.keep(moment));
    }

    /// The moments in order, those in which nothing happened included.
    pub fn moments(&self) -> Vec<Moment> {
        let mut all = self.clone();
        all.settle();
        all.kept
    }

    /// Makes one of each two neighbours.
    pub fn join(&mut self) {
        self.width_s = self.width_s.saturating_mul(2);
        let mut joined: Vec<Moment> = Vec::with_capacity(self.kept.len().div_ceil(2));
        for (place, moment) in std::mem::take(&mut self.kept).into_iter().enumerate() {
            match joined.last_mut().filter(|_| place % 2 == 1) {
                Some(first) => first.merge(&moment),
                None => joined.push(Moment { length_s: self.width_s, ..moment }),
            }
        }
        self.kept = joined;
    }

    /// Has the second of `since` be the present one.
    fn turn_to(&mut self, since: Duration) {
        if since.as_secs() != self.second {
            let moment = self.turn(since, Counts::default());
            self.keep_if_any(moment);
        }
    }

    /// Keeps what the present second brought so far. More may come.
    fn settle(&mut self) {
        let moment = self.turn(Duration::from_secs(self.second), Counts::default());
        self.keep_if_any(moment);
    }

    fn keep_if_any(&mut self, moment: Moment) {
        if !moment.tallies.is_empty() {
            self.keep(moment);
        }
    }

    fn place(&self, second: u64) -> usize {
        usize::try_from(second / self.width_s).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const METRIC: Metric = Metric::UpdateMute;

    #[test]
    fn a_second_shows_its_values_its_failures_and_what_was_counted() {
        let mut line = Timeline::default();
        let ms = Duration::from_millis;
        (1..=100).for_each(|one| line.record(ms(2000 + one), METRIC, ms(one), ms(one / 2)));
        line.fail(ms(2999), METRIC, "late");
        line.record(ms(2999), Metric::UpdateLock, ms(7), ms(7));
        assert_eq!(line.turns(), ms(3000));
        let shown = line.turn(ms(5000), Counts { messages: 9, ..Counts::default() });
        assert_eq!((shown.at_s, shown.length_s, shown.counts.messages), (2, 1, 9));
        assert_eq!(shown.causes()[0].1.most_frequent(), [("late", 1)]);
        let sent: Vec<_> = shown.tallies_from_send().iter().map(|(metric, one)| (*metric, one.max_us())).collect();
        assert_eq!(sent, [(METRIC, 50_000), (Metric::UpdateLock, 7000)]);
        line.keep(shown);
        let moments = line.moments();
        assert_eq!(moments.len(), 3);
        assert_eq!(moments[0], Moment::at(0, Counts::default()));
        let (mutes, updates) = (moments[2].tally(METRIC).unwrap(), moments[2].tally(Metric::Update).unwrap());
        assert_eq!((mutes.count(), mutes.errors(), updates.count()), (100, 1, 101));
        assert!(moments[2].causes().is_empty() && moments[2].tallies_from_send().is_empty());
        assert!(moments[2].tally(Metric::Api).is_none());
    }

    #[test]
    fn a_week_takes_no_more_room_than_five_minutes() {
        let mut line = Timeline::default();
        let at = |second| Duration::from_secs(second);
        (0..604_800).step_by(60).for_each(|second| line.record(at(second), METRIC, at(1), at(1)));
        let moments = line.moments();
        assert!(moments.len() <= MOST && moments.len() > MOST / 2);
        let count = |moments: &[Moment]| {
            moments.iter().filter_map(|moment| moment.tally(METRIC)).map(|t| t.count()).sum::<u64>()
        };
        assert_eq!(count(&moments), 10_080);
        let followed = |pair: &[Moment]| pair[0].at_s + pair[0].length_s == pair[1].at_s;
        assert!(moments.windows(2).all(followed));
        line.fail(Duration::MAX, METRIC, "never");
        assert!(line.moments().len() <= MOST);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn merged_timelines_are_the_timeline_of_all_values(
            values in prop::collection::vec((0..1000_u64, 0..5_000_000_u64, any::<bool>(), any::<bool>()), 0..60)
        ) {
            let (mut one, mut other, mut all) = (Timeline::default(), Timeline::default(), Timeline::default());
            for (second, micros, first, failed) in values {
                let since = Duration::from_secs(second);
                let part = if first { &mut one } else { &mut other };
                for line in [part, &mut all] {
                    if failed {
                        line.fail(since, METRIC, "late");
                    } else {
                        line.record(since, METRIC, Duration::from_micros(micros), Duration::ZERO);
                    }
                }
            }
            one.merge(&other);
            prop_assert_eq!(one.moments(), all.moments());
        }
    }
}
