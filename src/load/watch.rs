//! Whoever watches a load while it runs: told of each second when it is over.
//!
//! An engine has a [`Watcher`] in its options, if somebody watches, and tells it where the load stands and what the second
//! brought. The watcher may complete that by what an engine does not know: what the process used, what was timed elsewhere.
//! What it adds is kept with the rest. A watcher must not wait for anything: the load stands still meanwhile.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::schedule::Executor;
use super::search::Probe;
use super::timeline::Moment;

/// Where a load stands.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Standing {
    /// The rate that is tried, in a search for a capacity.
    pub probe: Option<Probe>,
    /// The stage that is under way, counted from 1, and how many there are; `None` without stages.
    pub stage: Option<(usize, usize)>,
    /// Whether it begins nothing and only listens.
    pub listens: bool,
    /// How long ago work began to begin.
    pub elapsed: Duration,
    /// How long work begins, or may begin at most.
    pub length: Duration,
    /// How much of the beginning is not measured.
    pub warm_up: Duration,
    /// The rate that was meant in the last second as long as work began in it, in stimuli per second; `None` where none is
    /// meant.
    pub planned_per_s: Option<f64>,
}

impl Standing {
    /// The stage of an executor after some time.
    pub fn stage_of(executor: &Executor, elapsed: Duration) -> Option<(usize, usize)> {
        let Executor::RampingArrivalRate { stages, .. } = executor else { return None };
        let mut end = Duration::ZERO;
        let over = stages.iter().take_while(|stage| {
            end = end.saturating_add(stage.duration);
            end <= elapsed
        });
        let over = over.count();
        (!stages.is_empty()).then(|| ((over + 1).min(stages.len()), stages.len()))
    }
}

/// Is told how a load goes on.
pub trait Watcher: fmt::Debug + Send + Sync {
    /// A stretch of load begins: what was used until now is none of its business.
    fn begins(&self) {}

    /// A second of it is over, or its end has come. What is missing in `moment` may be added.
    fn watch(&self, standing: &Standing, moment: &mut Moment);
}

/// A watcher, or none, as options have it. Two are the same if they are one.
#[derive(Debug, Clone, Default)]
pub struct Watch(pub Option<Arc<dyn Watcher>>);

impl PartialEq for Watch {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(own), Some(other)) => Arc::ptr_eq(own, other),
            (None, None) => true,
            _ => false,
        }
    }
}

impl Eq for Watch {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Rate, Stage};

    #[test]
    fn a_stage_lasts_until_the_next_and_the_last_for_ever() {
        let stage = |seconds| Stage { target: Rate::new(5.0), duration: Duration::from_secs(seconds) };
        let (start_rate, time_unit) = (Rate::new(0.0), Duration::from_secs(1));
        let executor =
            Executor::RampingArrivalRate { start_rate, time_unit, stages: vec![stage(2), stage(0), stage(3)] };
        let at = |ms| Standing::stage_of(&executor, Duration::from_millis(ms));
        assert_eq!([at(0), at(1999), at(2000), at(9000)], [Some((1, 3)), Some((1, 3)), Some((3, 3)), Some((3, 3))]);
        assert_eq!(Standing::stage_of(&Executor::Listen { duration: Duration::ZERO }, Duration::ZERO), None);
    }
}
