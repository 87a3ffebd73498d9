//! The named metrics of a load: what is timed, from when, and what failed.
//!
//! Latency starts at the instant at which its stimulus was *scheduled*: a generator or a server that stalls makes the
//! stimuli behind it late, and that is part of what users see. Beside it is the time from the actual send. What is
//! scheduled before the measured part (warm-up) is not counted.
//!
//! Each thread has [`Metrics`] of its own; [`Metrics::merge`] is exact. Their room is bounded by the number of metrics.

use std::borrow::Cow;
use std::time::Duration;

use super::metric::Metric;
use super::series::{Row, Series};
use super::timeline::{Counts, Moment, Timeline};
use crate::time::Instant;

/// When something was to be done, and when it was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamps {
    /// When it was scheduled.
    pub scheduled: Instant,
    /// When it was sent.
    pub sent: Instant,
}

impl Stamps {
    /// Both at once: for what no schedule asked for, such as the ack of a message that the server sent.
    pub const fn at(instant: Instant) -> Self {
        Self { scheduled: instant, sent: instant }
    }
}

/// What one thread, or all of them, measured.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// When the load begins, from where its seconds are counted.
    origin: Instant,
    /// When the measured part begins.
    start: Instant,
    timeline: Timeline,
    all: [Timed; Metric::ALL.len()],
    unmeasured: u64,
}

#[derive(Debug, Clone, Default)]
struct Timed {
    scheduled: Series,
    sent: Series,
}

impl Metrics {
    /// Metrics that measure what is scheduled from `start` on.
    pub fn new(start: Instant) -> Self {
        Self::with_warm_up(start, Duration::ZERO)
    }

    /// Metrics of a load that begins at an instant, and is measured after the warm-up.
    pub fn with_warm_up(origin: Instant, warm_up: Duration) -> Self {
        let all = std::array::from_fn(|_| Timed::default());
        Self { origin, start: origin + warm_up, timeline: Timeline::default(), all, unmeasured: 0 }
    }

    /// Something has come about.
    pub fn record(&mut self, metric: Metric, stamps: Stamps, at: Instant) {
        if stamps.scheduled < self.start {
            self.unmeasured += 1;
            return;
        }
        let timed = self.timed(metric);
        let (time, from_send) = (at.since(stamps.scheduled), at.since(stamps.sent));
        timed.scheduled.record(time);
        timed.sent.record(from_send);
        self.timeline.record(at.since(self.origin), kind(metric), time, from_send);
    }

    /// Something that was scheduled at an instant has failed, or has not come about in its time.
    pub fn fail(&mut self, metric: Metric, scheduled: Instant, at: Instant, cause: &str) {
        if scheduled < self.start {
            self.unmeasured += 1;
            return;
        }
        let timed = self.timed(metric);
        timed.scheduled.fail(cause);
        timed.sent.fail(cause);
        self.timeline.fail(at.since(self.origin), kind(metric), cause);
    }

    /// Something was sent: how late that was is the harness's own lag.
    pub fn sent(&mut self, stamps: Stamps) {
        self.record(Metric::Lag, Stamps::at(stamps.scheduled), stamps.sent);
    }

    /// Adds what was timed elsewhere, such as by [`super::LatencyRecorder`]. It has no timeline.
    pub fn add(&mut self, metric: Metric, series: &Series) {
        let timed = self.timed(metric);
        timed.scheduled.merge(series);
        timed.sent.merge(series);
    }

    /// Adds what another thread measured in the same time.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.all.iter_mut().zip(&other.all) {
            own.merge(other);
        }
        self.timeline.merge(&other.timeline);
        self.unmeasured += other.unmeasured;
    }

    /// One metric, from the scheduled instant on.
    pub fn series(&self, metric: Metric) -> Cow<'_, Series> {
        self.joined(metric, |timed| &timed.scheduled, Series::merge)
    }

    /// One metric, from the actual send on.
    pub fn series_from_send(&self, metric: Metric) -> Cow<'_, Series> {
        self.joined(metric, |timed| &timed.sent, Series::merge)
    }

    /// When the present second of the load is over: from then on, before anything is recorded, [`Self::turn`] is due.
    pub fn turns(&self) -> Instant {
        self.origin + self.timeline.turns()
    }

    /// Ends the present second, in which all this was counted, and begins that of `now`. Whoever watches may complete what
    /// it brought, before it is kept by [`Self::keep`].
    pub fn turn(&mut self, now: Instant, counts: Counts) -> Moment {
        self.timeline.turn(now.since(self.origin), counts)
    }

    /// Keeps what a second brought.
    pub fn keep(&mut self, moment: Moment) {
        self.timeline.keep(moment);
    }

    /// How the load went on, from its beginning; [`Self::add`] and what it was put on have no part in it.
    pub const fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The rows of a report: each metric that was measured, from the scheduled instant, and from the actual send where that
    /// is something else.
    pub fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for metric in Metric::ALL {
            let row = self.series(metric).row(metric.as_str());
            let from_send = self.series_from_send(metric).row(metric.as_str_from_send());
            let from_send = from_send.filter(|sent| row.as_ref().is_none_or(|row| !sent.has_values_of(row)));
            rows.extend(row.into_iter().chain(from_send));
        }
        rows
    }

    /// When the measured part began.
    pub const fn start(&self) -> Instant {
        self.start
    }

    /// How many were not counted, since they belong to the warm-up.
    pub const fn unmeasured(&self) -> u64 {
        self.unmeasured
    }

    /// The time between the beginning of the measured part and an instant.
    pub const fn measured(&self, until: Instant) -> Duration {
        until.since(self.start)
    }

    fn timed(&mut self, metric: Metric) -> &mut Timed {
        &mut self.all[kind(metric) as usize]
    }

    /// A part of a metric; of [`Metric::Update`], that of all kinds together.
    fn joined<T: Clone + Default>(&self, metric: Metric, part: fn(&Timed) -> &T, merge: fn(&mut T, &T)) -> Cow<'_, T> {
        if metric != Metric::Update {
            return Cow::Borrowed(part(&self.all[metric as usize]));
        }
        let mut whole = T::default();
        Metric::UPDATES.iter().for_each(|kind| merge(&mut whole, part(&self.all[*kind as usize])));
        Cow::Owned(whole)
    }
}

impl Timed {
    fn merge(&mut self, other: &Self) {
        self.scheduled.merge(&other.scheduled);
        self.sent.merge(&other.sent);
    }
}

/// What is recorded for a metric: of updates the kinds, from which the whole is made.
const fn kind(metric: Metric) -> Metric {
    match metric {
        Metric::Update => Metric::UpdateOther,
        _ => metric,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn latency_starts_when_the_stimulus_was_scheduled() {
        let mut metrics = Metrics::new(at(1000));
        metrics.record(Metric::UpdateMute, Stamps { scheduled: at(2000), sent: at(2300) }, at(2400));
        metrics.record(Metric::UpdateLock, Stamps::at(at(2000)), at(2050));
        let value = |series: &Series| series.histogram().unwrap().max() / 1000;
        assert_eq!(value(&metrics.series(Metric::UpdateMute)), 400);
        assert_eq!(value(&metrics.series_from_send(Metric::UpdateMute)), 100);
        assert_eq!(metrics.series(Metric::Update).count(), 2);
        let names: Vec<&str> = metrics.rows().iter().map(|row| row.name).collect();
        assert_eq!(names, ["update", "update_from_send", "update_mute", "update_mute_from_send", "update_lock"]);
        assert_eq!(metrics.timeline().moments()[1].tally(Metric::Update).unwrap().count(), 2);
    }

    #[test]
    fn what_is_scheduled_in_the_warm_up_is_not_counted() {
        let mut metrics = Metrics::new(at(1000));
        metrics.record(Metric::Api, Stamps::at(at(999)), at(5000));
        metrics.fail(Metric::Api, at(0), at(5000), "timeout");
        metrics.fail(Metric::Api, at(1000), at(5000), "timeout");
        assert_eq!((metrics.unmeasured(), metrics.series(Metric::Api).errors()), (2, 1));
        assert_eq!(metrics.series(Metric::Api).failures().most_frequent(), [("timeout", 1)]);
    }

    #[test]
    fn seconds_are_counted_from_the_beginning_of_the_load_and_add_up_to_all_that_is_measured() {
        let mut metrics = Metrics::with_warm_up(at(500), Duration::from_secs(2));
        for ms in (500..6000).step_by(100) {
            if at(ms) >= metrics.turns() {
                let moment = metrics.turn(at(ms), Counts { begun: 10, ..Counts::default() });
                metrics.keep(moment);
            }
            metrics.record(Metric::Api, Stamps::at(at(ms)), at(ms + 30));
        }
        let moments = metrics.timeline().moments();
        let counts: Vec<u64> =
            moments.iter().map(|one| one.tally(Metric::Api).map_or(0, |tally| tally.count())).collect();
        assert_eq!((counts, metrics.unmeasured()), (vec![0, 0, 10, 10, 10, 5], 20));
        assert_eq!(moments.iter().map(|one| one.counts.begun).sum::<u64>(), 50);
        assert_eq!(metrics.series(Metric::Api).count(), 35);
    }

    #[test]
    fn lag_is_the_time_from_the_schedule_to_the_send() {
        let mut metrics = Metrics::new(Instant::ZERO);
        metrics.sent(Stamps { scheduled: at(10), sent: at(14) });
        assert_eq!(metrics.series(Metric::Lag).histogram().unwrap().max() / 1000, 4);
    }

    proptest! {
        // Each case makes some hundred histograms.
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn metrics_of_several_threads_are_the_metrics_of_one(
            values in prop::collection::vec((0..20_usize, 0..200_000_u64, 0..50_u64, 0..9000_u64, 0..3_usize, any::<bool>()), 0..60)
        ) {
            let mut parts = [Metrics::new(at(100)), Metrics::new(at(100)), Metrics::new(at(100))];
            let mut whole = Metrics::new(at(100));
            for (metric, scheduled, lag, time, part, failed) in values {
                let metric = Metric::ALL[metric];
                let stamps = Stamps { scheduled: at(scheduled), sent: at(scheduled + lag) };
                for metrics in [&mut parts[part], &mut whole] {
                    if failed {
                        metrics.fail(metric, at(scheduled), at(scheduled + time), "lost");
                    } else {
                        metrics.record(metric, stamps, at(scheduled + lag + time));
                    }
                }
            }
            let [mut first, second, third] = parts;
            first.merge(&second);
            first.merge(&third);
            prop_assert_eq!(first.rows(), whole.rows());
            prop_assert_eq!(first.unmeasured(), whole.unmeasured());
            prop_assert_eq!(first.timeline().moments(), whole.timeline().moments());
        }
    }
}
