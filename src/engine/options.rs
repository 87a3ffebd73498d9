//! What the engine has to know about the target and the run, beyond the scenario.

use std::time::Duration;

use crate::load::Watch;
use crate::protocol::http1::Limits;
use crate::spec::Version;

/// The addresses that `dial` names in words, as they are on the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// A party that answers.
    pub answers: String,
    /// A party that is busy.
    pub busy: String,
    /// A party that rejects.
    pub rejects: String,
    /// A party that rings and never answers.
    pub no_answer: String,
    /// An address that does not exist.
    pub unknown: String,
}

impl Default for Addresses {
    /// The addresses of the embedded emulator.
    fn default() -> Self {
        let at = |user: &str| format!("{user}@emulator.invalid");
        Self {
            answers: at("answers"),
            busy: at("busy"),
            rejects: at("rejects"),
            no_answer: at("no-answer"),
            unknown: at("unknown"),
        }
    }
}

impl Addresses {
    /// The address for a word of `dial`; anything else stands for itself.
    pub fn of<'a>(&'a self, word: &'a str) -> &'a str {
        match word {
            "answers" => &self.answers,
            "busy" => &self.busy,
            "rejects" => &self.rejects,
            "no-answer" => &self.no_answer,
            "unknown" => &self.unknown,
            uri => uri,
        }
    }
}

/// How the Call Bridge of the target is restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Over the test-only API of an emulator.
    Emulator,
    /// By the user's command, which the driver runs and which may take so long.
    Command(Duration),
    /// Not at all.
    Impossible,
}

/// Settings of one scenario's run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Decides masks, nonces, GUIDs and message ids.
    pub seed: u64,
    /// The run's id, which every object made on the target has in its name.
    pub run_id: String,
    /// How long a server may take to react; waits without `within` take a second more.
    pub reaction: Duration,
    /// How long a set of records that was not answered 200 may wait for its repetition. Only bounds how long the trace
    /// goes on at the end.
    pub redelivery: Duration,
    /// What the clock on the wall shows when the scenario begins, in milliseconds since 1970, UTC, if there is one.
    pub wall_clock_unix_ms: Option<i64>,
    /// How the Call Bridge is restarted.
    pub restart: Restart,
    /// The longest requests that CDR receivers read.
    pub request_limits: Limits,
    /// How long nothing may have arrived until the target counts as being at rest.
    pub quiet: Duration,
    /// The target's release, for `elements: all`.
    pub version: Version,
    /// What `dial` words mean on the target.
    pub addresses: Addresses,
    /// The longest frame payload that is read, in bytes.
    pub frame_limit: u64,
    /// Names of [`super::bends`] that bend every events client.
    pub bends: Vec<String>,
    /// Who is told how a load goes on.
    pub watch: Watch,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            run_id: "bridgeproof".to_owned(),
            reaction: Duration::from_secs(5),
            redelivery: Duration::from_secs(30),
            wall_clock_unix_ms: None,
            restart: Restart::Emulator,
            request_limits: Limits::default(),
            quiet: Duration::from_millis(100),
            version: Version::LATEST,
            addresses: Addresses::default(),
            frame_limit: 16 << 20,
            bends: Vec::new(),
            watch: Watch::default(),
        }
    }
}

impl Options {
    /// How long a wait takes unless the scenario says otherwise.
    pub fn wait(&self) -> Duration {
        self.reaction + Duration::from_secs(1)
    }

    /// How long a wait for records takes unless the scenario says otherwise: they may have to be sent again first.
    pub fn wait_for_records(&self) -> Duration {
        self.reaction.max(self.redelivery) + Duration::from_secs(1)
    }
}
