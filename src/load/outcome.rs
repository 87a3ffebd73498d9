//! What became of a load.

use super::metrics::Metrics;
use super::recorder::LatencyRecorder;
use super::schedule::{Executor, Pace};
use super::search::{Capacity, Point};
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
    /// How many arrivals began nothing, since all that they could have been about was still being changed.
    pub unserved: u64,
    /// How many messages of the server were received meanwhile.
    pub messages: u64,
    /// How many of its connections were lost.
    pub lost_connections: u64,
    /// How many participants and calls that were to stay did not.
    pub gone: u64,
    /// What was timed.
    pub metrics: Metrics,
    /// What was asked of it.
    pub thresholds: Vec<Outcome>,
    /// Whether a threshold ended it early.
    pub is_aborted: bool,
}

impl Phase {
    /// Adds what was timed of records, and judges all that was asked.
    pub fn complete(&mut self, records: &LatencyRecorder, asked: &[Threshold], baseline: Option<&Baseline>) {
        records.series().iter().for_each(|(metric, series)| self.metrics.add(*metric, series));
        self.thresholds = asked.iter().map(|threshold| threshold.judge(&self.metrics, baseline)).collect();
    }

    /// Whether nearly all arrivals had something to begin with. Otherwise those that found nothing because the target was slow
    /// are missing from what was measured.
    pub fn is_served(&self) -> bool {
        self.unserved as f64 <= self.pace.taken as f64 * MOST_UNSERVED
    }

    /// Whether all that was asked of it was met.
    pub fn holds(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.passed)
    }
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
