//! What became of a load.

use super::metric::Metric;
use super::metrics::Metrics;
use super::recorder::LatencyRecorder;
use super::schedule::{Executor, Pace};
use super::search::{Capacity, Point, Verdict};
use super::series::Row;
use super::thresholds::{Baseline, Outcome, Threshold};
use crate::time::Instant;

/// The largest share of arrivals that may find nothing that is free.
const MOST_UNSERVED: f64 = 0.01;

/// One stretch of load, from its first arrival to the end of what was begun last.
#[derive(Debug, Clone)]
pub struct Phase {
    /// When work began.
    pub executor: Executor,
    /// When it began.
    pub begun_at: Instant,
    /// When it ended, what was begun last apart.
    pub ended_at: Instant,
    /// How well the harness kept its schedule.
    pub pace: Pace,
    /// Whether it kept it well enough to say something of the target.
    pub is_paced: bool,
    /// How many arrivals there were to be, where that is known beforehand.
    pub planned: Option<u64>,
    /// How many had begun and not come to their end when it was given up.
    pub unfinished: u64,
    /// How many messages of the server were received meanwhile.
    pub messages: u64,
    /// How many sets of records were received meanwhile.
    pub sets: u64,
    /// How many records were in them.
    pub records: u64,
    /// How many of its connections were lost.
    pub lost_connections: u64,
    /// How many participants and calls that were to stay did not.
    pub gone: u64,
    /// What was timed.
    pub metrics: Metrics,
    /// What was asked of it.
    pub thresholds: Vec<Outcome>,
    /// The thresholds that ended it early.
    pub ended_by: Vec<Threshold>,
    /// Whether it came to its end, or was ended by a threshold; not where it was interrupted, or a server left it.
    pub is_whole: bool,
    /// What each server had of it, where it was spread over several.
    pub shares: Vec<Share>,
}

/// What one server had of a stretch of load.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// What the server is called.
    pub server: String,
    /// How many connections it had.
    pub connections: u32,
    /// How many arrivals began.
    pub begun: u64,
    /// How many arrivals the harness was late for, whether they began or not.
    pub late: u64,
    /// How many of them began nothing.
    pub unserved: u64,
    /// How many were given up.
    pub unfinished: u64,
    /// How many messages were received.
    pub messages: u64,
    /// How many records were received.
    pub records: u64,
    /// How many of its connections were lost.
    pub lost_connections: u64,
    /// How many participants and calls that were to stay did not.
    pub gone: u64,
    /// The times from stimuli to events, if there were any.
    pub updates: Option<Row>,
    /// The times that records took: from their stimuli, or else from their own times, if there were any.
    pub deliveries: Option<Row>,
}

impl Share {
    /// The share of a server on which this was measured, on so many connections.
    pub fn new(server: &str, connections: u32, phase: &Phase) -> Self {
        Self {
            server: server.to_owned(),
            connections,
            begun: phase.pace.begun(),
            late: phase.pace.late,
            unserved: phase.pace.dropped,
            unfinished: phase.unfinished,
            messages: phase.messages,
            records: phase.records,
            lost_connections: phase.lost_connections,
            gone: phase.gone,
            updates: phase.metrics.series(Metric::Update).row(Metric::Update.as_str()),
            deliveries: None,
        }
    }
}

impl Share {
    /// Adds what was timed of records.
    pub fn add_records(&mut self, records: &LatencyRecorder) {
        let rows = records.rows();
        let row = |metric: Metric| rows.iter().find(|row| row.name == metric.as_str() && row.count > 0);
        self.deliveries = row(Metric::CdrStimulus).or_else(|| row(Metric::CdrArrival)).cloned();
    }
}

impl Phase {
    /// Adds what was measured in the same stretch on another server. Whether the pace was kept, and what became of the
    /// thresholds, is for whoever knows what was asked of all.
    pub fn merge(&mut self, other: &Self) {
        self.begun_at = self.begun_at.min(other.begun_at);
        self.ended_at = self.ended_at.max(other.ended_at);
        self.pace.merge(&other.pace);
        self.planned = self.planned.zip(other.planned).map(|(own, other)| own + other);
        self.unfinished += other.unfinished;
        self.messages += other.messages;
        self.sets += other.sets;
        self.records += other.records;
        self.lost_connections += other.lost_connections;
        self.gone += other.gone;
        self.metrics.merge(&other.metrics);
        self.is_whole &= other.is_whole;
        self.shares.extend(other.shares.iter().cloned());
    }

    /// Adds what was timed of records, and judges all that was asked.
    pub fn complete(&mut self, records: &LatencyRecorder, asked: &[Threshold], baseline: Option<&Baseline>) {
        records.series().iter().for_each(|(metric, series)| self.metrics.add(*metric, series));
        self.judge(asked, baseline);
    }

    /// Judges all that was asked. What ended it is missed, whatever came about after that.
    pub fn judge(&mut self, asked: &[Threshold], baseline: Option<&Baseline>) {
        let judged = asked.iter().map(|threshold| {
            let outcome = threshold.judge(&self.metrics, baseline);
            if self.ended_by.contains(threshold) { outcome.ending() } else { outcome }
        });
        self.thresholds = judged.collect();
    }

    /// Whether a threshold ended it early.
    pub const fn is_aborted(&self) -> bool {
        !self.ended_by.is_empty()
    }

    /// Why only a part of it was measured, to stand behind what that part gave; nothing where all was.
    pub const fn is_part(&self) -> Option<&'static str> {
        match (self.is_aborted(), self.is_whole && self.lost_connections == 0) {
            (true, _) => Some("ended early"),
            (false, false) => Some("cut short"),
            (false, true) => None,
        }
    }

    /// What it says of its rate.
    pub fn verdict(&self) -> Verdict {
        // Where too few were free, those that took long are missing from what was measured: it was at least as bad.
        match (self.is_paced, self.holds(), self.is_served()) {
            (false, ..) | (true, true, false) => Verdict::Lagged,
            (true, true, true) => Verdict::Held,
            (true, false, _) => Verdict::Broke,
        }
    }

    /// Whether nearly all arrivals had something to begin with. Otherwise those that found nothing because the target was slow
    /// are missing from what was measured.
    pub fn is_served(&self) -> bool {
        is_served(self.pace.dropped, self.pace.taken)
    }

    /// Whether all that was asked of it was met, as far as that can be said.
    pub fn holds(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.passed || threshold.is_undecided())
    }
}

/// Whether nearly all of so many arrivals had something to begin with, if so many had not.
pub fn is_served(unserved: u64, arrivals: u64) -> bool {
    unserved as f64 <= arrivals as f64 * MOST_UNSERVED
}

/// What became of a load.
#[derive(Debug, Clone)]
pub enum Loaded {
    /// Of one that was put on as it was told.
    Once(Box<Phase>),
    /// Of the search for a capacity.
    Search {
        /// What was found; `None` if the search was interrupted.
        capacity: Option<Capacity>,
        /// What was tried, in order.
        curve: Vec<Point<Phase>>,
    },
}
