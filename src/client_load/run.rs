//! One stretch of load: its schedules, what they have begun, and what is to happen later.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use super::works::{Origin, Stream, Works};
use crate::load::search::Probe;
use crate::load::{Counts, Executor, Metric, Pace, Row, Schedule, Standing, Threshold, Watch};
use crate::time::Instant;

/// How often it is looked whether a threshold ends the load.
const LOOKS: Duration = Duration::from_secs(1);

/// How often it is told how the load goes.
const TELLS: Duration = Duration::from_secs(10);

/// What is to happen later.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Later {
    /// A participant leaves the call at this place.
    Leave(String, usize),
    /// A call ends.
    EndCall(String),
}

/// One stretch of load.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) begun: Instant,
    pub(super) executor: Executor,
    pub(super) updates: Option<Schedule>,
    pub(super) records: Option<Schedule>,
    pub(super) works: Works,
    pub(super) later: BinaryHeap<Reverse<(Instant, u64, Later)>>,
    pub(super) origins: BTreeMap<u64, Origin>,
    pub(super) lost: u64,
    /// When thresholds that may end the load are looked at next.
    looks: Option<Instant>,
    /// When it is told next how the load goes.
    tells: Instant,
    /// Who is told of each second, and of which probe of a search.
    watch: (Watch, Option<Probe>),
    /// What was counted until the present second began.
    counted: Counts,
    /// The thresholds that end it early.
    pub(super) ended_by: Vec<Threshold>,
    /// Since when nobody is there.
    pub(super) deserted: Option<Instant>,
}

impl Run {
    /// A stretch that begins now.
    pub(super) fn new(
        now: Instant,
        executor: Executor,
        (updates, records): (Option<Schedule>, Option<Schedule>),
        works: Works,
        thresholds: &[Threshold],
        watch: (Watch, Option<Probe>),
    ) -> Self {
        if let Some(watcher) = &watch.0.0 {
            watcher.begins();
        }
        let ends_early = thresholds.iter().any(|one| one.abort.is_some());
        Self {
            begun: now,
            executor,
            updates,
            records,
            later: BinaryHeap::new(),
            origins: BTreeMap::new(),
            lost: 0,
            looks: ends_early.then(|| works.metrics.start() + LOOKS),
            tells: now + TELLS,
            watch,
            counted: Counts::default(),
            works,
            ended_by: Vec::new(),
            deserted: None,
        }
    }

    pub(super) fn schedule(&mut self, stream: Stream) -> Option<&mut Schedule> {
        match stream {
            Stream::Updates => self.updates.as_mut(),
            Stream::Records => self.records.as_mut(),
        }
    }

    /// Arrivals of which nothing is left are finished.
    pub(super) fn take_ends(&mut self, now: Instant) {
        for (stream, _) in self.works.ended() {
            if let Some(schedule) = self.schedule(stream) {
                schedule.finished(now);
            }
        }
    }

    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let schedules = self.updates.iter().chain(&self.records).filter_map(|schedule| schedule.next_due(now));
        let later = self.later.peek().map(|Reverse((at, ..))| *at);
        let turns = self.watch.0.0.is_some().then(|| self.works.metrics.turns());
        let all = schedules.chain(later).chain(self.works.next_due()).chain(self.looks).chain(turns).min();
        if self.is_over(now) { Some(now) } else { all }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        let is_over = self.updates.iter().chain(&self.records).all(|schedule| schedule.is_over(now));
        is_over && self.works.is_idle() && self.later.is_empty()
    }

    /// Looks, once in a while, whether a threshold ends the load.
    pub(super) fn look_at_thresholds(&mut self, now: Instant, thresholds: &[Threshold]) {
        if self.looks.is_none_or(|at| at > now) {
            return;
        }
        self.looks = Some(now + LOOKS);
        let metrics = &self.works.metrics;
        let looked_at = thresholds.iter().filter(|one| !one.condition.is_relative());
        let ends = looked_at.filter(|one| one.aborts(metrics.measured(now), &metrics.series(one.metric), None));
        self.ended_by = ends.cloned().collect();
    }

    /// Ends the second that was the present one if it is over. Comes before anything that happens then.
    pub(super) fn turn_if_due(&mut self, now: Instant) {
        if self.works.metrics.turns() <= now {
            self.turn(now);
        }
    }

    /// Ends the present second, whole or not.
    pub(super) fn turn(&mut self, now: Instant) {
        let schedules = || self.updates.iter().chain(&self.records);
        let paces = || schedules().map(Schedule::pace);
        let all = Counts {
            begun: paces().map(Pace::begun).sum(),
            late: paces().map(|pace| pace.late).sum(),
            unserved: paces().map(|pace| pace.dropped).sum(),
            messages: self.works.received,
            lost_connections: self.lost,
            ..Counts::default()
        };
        let mut moment = self.works.metrics.turn(now, all.since(&self.counted));
        if let Some(watcher) = &self.watch.0.0 {
            let elapsed = now.since(self.begun);
            let length = schedules().map(|schedule| schedule.end().since(self.begun)).max().unwrap_or_default();
            let (from, to) = moment.span(length);
            let (from, to) = (self.begun + from, self.begun + to);
            let standing = Standing {
                probe: self.watch.1,
                listens: false,
                stage: Standing::stage_of(&self.executor, elapsed),
                elapsed,
                length,
                warm_up: self.works.metrics.start().since(self.begun),
                planned_per_s: schedules().map(|schedule| schedule.rate_between(from, to)).sum(),
            };
            watcher.watch(&standing, &mut moment);
        }
        self.counted = all;
        self.works.metrics.keep(moment);
    }

    /// How it goes, once in a while.
    pub(super) fn progress(&mut self, now: Instant) -> Option<String> {
        if now < self.tells {
            return None;
        }
        self.tells = now + TELLS;
        let mut text = format!("{:.0} s:", now.since(self.begun).as_secs_f64());
        for metric in [Metric::Ack, Metric::Answer] {
            if let Some(row) = self.works.metrics.series(metric).row(metric.as_str()) {
                let (p50, p99) = (row.p50_us as f64 / 1e3, row.p99_us as f64 / 1e3);
                let Row { name, count, errors, .. } = row;
                text.push_str(&format!(" {count} {name}s, p50 {p50:.2} ms, p99 {p99:.2} ms, {errors} failed;"));
            }
        }
        Some(text.trim_end_matches([';', ':']).to_owned())
    }
}
