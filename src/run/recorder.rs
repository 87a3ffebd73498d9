//! The recording of a run: `trace.jsonl.zst` in the report folder.
//!
//! Each scenario, on each of its servers, is a part of the recording. Its lines are made here, in pieces, and handed to the
//! file while it goes on ([`crate::net::recording`]). A run that is killed leaves what the file had taken: whole scenarios,
//! and the beginning of a long one; what ended or went on beside that one had to wait for it, and is lost. What the lines hold is [`crate::trace::format`]; reading them is [`crate::check`].

use crate::net::recording::{Feed, PIECE_BYTES, PartFeed};
use crate::trace::format::{self, Begin, End};
use crate::trace::{Observation, Secrets, Sink};

/// The name of the recording in the report folder.
pub const FILE: &str = "trace.jsonl.zst";

/// Takes down one scenario.
pub(super) struct ScenarioRecorder {
    id: String,
    secrets: Secrets,
    feed: PartFeed,
    /// Lines that are not handed over yet.
    lines: Vec<u8>,
    left_out: u64,
}

impl ScenarioRecorder {
    /// Begins a scenario's part.
    pub(super) fn new(begin: &Begin, feed: &Feed) -> Self {
        let mut lines = Vec::new();
        format::write_line(begin, &mut lines);
        Self { id: begin.begin.clone(), secrets: Secrets::new(), feed: feed.part(), lines, left_out: 0 }
    }

    /// Ends the scenario's part; `end` is told how much is left out.
    pub(super) fn finish(mut self, mut end: End) {
        end.left_out = self.left_out;
        let failures = end.failed_expectations.iter_mut().flat_map(|one| [&mut one.expected, &mut one.observed]);
        for text in failures.chain(&mut end.unfinished) {
            *text = self.secrets.text(text).into_owned();
        }
        format::write_line(&end, &mut self.lines);
        self.feed.end(self.lines);
    }

    /// Whether there is room for one more observation. The first time that there is none, the recording of this scenario
    /// ends: after a gap nothing can be judged.
    fn has_room(&mut self, observation: &Observation<'_>) -> bool {
        if self.left_out > 0 || self.feed.has_failed() {
            return false;
        }
        if self.lines.len() < PIECE_BYTES || self.feed.offer(&mut self.lines) {
            return true;
        }
        self.feed.tell(format!(
            "{}: the recording is not whole: it ends before observation {}, since the disk is slower than what there is to \
             record",
            self.id, observation.seq.0
        ));
        false
    }
}

impl Sink for ScenarioRecorder {
    fn observe(&mut self, observation: &Observation<'_>) {
        if self.has_room(observation) {
            format::write_observation(&self.id, observation, &mut self.secrets, &mut self.lines);
        } else {
            self.left_out += 1;
        }
    }
}

/// Hands a line over that belongs to no scenario under way.
pub(super) fn record_line<L: serde::Serialize>(feed: &Feed, line: &L) {
    let mut lines = Vec::new();
    format::write_line(line, &mut lines);
    feed.lines(lines);
}
