//! What became of a scenario, apart from its trace.

use crate::load::Loaded;
use crate::trace::{ConnectionId, NetworkError, Seq};

/// How a scenario ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All steps were carried out.
    Finished,
    /// A step could not be carried out.
    Unfinished {
        /// The step's number.
        step: u32,
        /// What was waited for, how long, and what was seen last.
        why: String,
    },
    /// The user wanted it to end.
    Interrupted,
}

/// An `expect` that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedExpectation {
    /// The step's number.
    pub step: u32,
    /// The last observation before it was looked at.
    pub seq: Seq,
    /// What it means, in the scenario's words.
    pub because: String,
    /// What was expected and what was there.
    pub what: String,
}

/// Where a step began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMark {
    /// Its number, counted from 1 in the order of execution.
    pub number: u32,
    /// Its text on one line.
    pub text: String,
    /// The observation that marks its beginning.
    pub seq: Seq,
}

/// What became of a scenario.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub end: End,
    /// The expectations that did not hold, in order.
    pub failed_expectations: Vec<FailedExpectation>,
    /// The network errors met, in order.
    pub network_errors: Vec<NetworkError>,
    /// Connections that the server ended in the middle of a frame, in order.
    pub cut: Vec<ConnectionId>,
    /// Paths of objects made on the target that could not be removed.
    pub left_behind: Vec<String>,
    /// Why the first of them could not.
    pub left_because: Option<String>,
    /// How many observations there are.
    pub observations: u64,
    /// The steps that were begun.
    pub steps: Vec<StepMark>,
    /// What became of the load that was put on the target, if there was one. Of a part of one, the load itself tells
    /// ([`crate::load::Together::loaded`]).
    pub loaded: Option<Loaded>,
}

impl Outcome {
    /// The step during which the observation `seq` was made; `None` before the first.
    pub fn step_at(&self, seq: Seq) -> Option<&StepMark> {
        let after = self.steps.partition_point(|mark| mark.seq <= seq);
        after.checked_sub(1).and_then(|index| self.steps.get(index))
    }
}
