//! The seconds of a load: when one is over, what it brought is shown to whoever watches, and kept.

use super::live::Live;
use super::population::Setup;
use crate::load::search::Probe;
use crate::load::watch::{Standing, Watch};
use crate::load::{Counts, Executor, Fresh, Moment};
use crate::time::Instant;

/// What a load takes down each second besides what is timed.
#[derive(Debug)]
pub(in super::super) struct Pulse {
    watch: Watch,
    executor: Executor,
    probe: Option<Probe>,
    begun_at: Instant,
    /// What was counted until the present second began.
    counted: Counts,
}

impl Pulse {
    /// The pulse of a stretch that begins now, before which so much was found.
    pub(super) fn new(
        watch: &Watch,
        executor: &Executor,
        probe: Option<Probe>,
        begun_at: Instant,
        findings: u64,
    ) -> Self {
        if let Some(watcher) = &watch.0 {
            watcher.begins();
        }
        let counted = Counts { findings, ..Counts::default() };
        Self { watch: watch.clone(), executor: executor.clone(), probe, begun_at, counted }
    }

    /// Whether somebody wants to be told of each second as soon as it is over.
    pub(super) const fn is_watched(&self) -> bool {
        self.watch.0.is_some()
    }
}

impl Live {
    /// Ends the second that was the present one if it is over at `now`. Comes before anything that happens then.
    pub(in super::super) fn turn_if_due(&mut self, now: Instant, findings: impl FnOnce() -> u64) {
        if self.metrics.turns() <= now {
            self.turn(now, findings());
        }
    }

    /// Ends the present second, whole or not.
    pub(super) fn turn(&mut self, now: Instant, findings: u64) {
        let pace = self.schedule.pace();
        let all = Counts {
            begun: pace.begun(),
            late: pace.late,
            unserved: pace.dropped,
            messages: self.messages,
            records: self.records,
            findings,
            lost_connections: self.lost_connections(),
            ..Counts::default()
        };
        let mut moment = self.metrics.turn(now, all.since(&self.pulse.counted));
        self.pulse.counted = all;
        if let Some(watcher) = &self.pulse.watch.0 {
            let begun_at = self.pulse.begun_at;
            let (elapsed, length) = (now.since(begun_at), self.pulse.executor.duration());
            let (from, to) = moment.span(length);
            let standing = Standing {
                probe: self.pulse.probe,
                listens: matches!(self.pulse.executor, Executor::Listen { .. }),
                stage: Standing::stage_of(&self.pulse.executor, elapsed),
                elapsed,
                length,
                warm_up: self.metrics.start().since(begun_at),
                planned_per_s: self.schedule.rate_between(begun_at + from, begun_at + to),
            };
            watcher.watch(&standing, &mut moment);
        }
        self.metrics.keep(moment);
    }
}

/// Shows what making the population took, as a moment of its own.
pub(super) fn show_setup(watch: &Watch, setup: &Setup) {
    let Some(watcher) = &watch.0 else { return };
    let (mut fresh, mut moment) = (Fresh::default(), Moment::default());
    for (metric, times) in setup.timed() {
        for time in times {
            fresh.record(metric, *time);
            fresh.record_from_send(metric, *time);
        }
    }
    fresh.move_into(&mut moment);
    watcher.begins();
    watcher.watch(&Standing::default(), &mut moment);
}
