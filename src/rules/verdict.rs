//! What judging needs to know about a run, and what it gives back.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::spec::{Level, RequirementId, Version};
use crate::time::Instant;
use crate::trace::{ConnectionId, Seq, Side};

/// How long the judged side may take for what the guides say happens, but not how soon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For an ack, a state, an update, a closing handshake, a freed place.
    pub reaction: Duration,
    /// For a set of records that was not answered 200 to be sent again, and for records that waited for it.
    pub redelivery: Duration,
}

impl Default for Deadlines {
    /// 5 s and 30 s: far beyond what a server in order needs, so that only absence is judged and not speed.
    fn default() -> Self {
        Self { reaction: Duration::from_secs(5), redelivery: Duration::from_secs(30) }
    }
}

/// What is known about the run before its first observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Whose conformance is judged.
    pub judged: Side,
    /// Which side observed: the harness's own clients and receivers, or its emulator.
    pub observer: Side,
    /// The release of the Meeting Server; the newest that the catalogue knows, where it is not known.
    pub version: Version,
    /// Whether the Meeting Server is in a cluster, if that is known.
    pub clustered: Option<bool>,
    /// How long reactions may take.
    pub deadlines: Deadlines,
}

/// That a requirement was not met, with the proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The requirement.
    pub requirement: RequirementId,
    /// Whether it only warns, whatever the requirement's level: what was seen may be right in a later release.
    pub warns: bool,
    /// When it was established.
    pub at: Instant,
    /// The connection that it was seen on, if it was on one.
    pub connection: Option<ConnectionId>,
    /// What the requirement asks for here.
    pub expected: String,
    /// What was there instead.
    pub observed: String,
    /// The observations that prove it, in order.
    pub evidence: Vec<Seq>,
}

impl Finding {
    /// Whether a server that conforms cannot have it: it may miss what it only *should* do, and what only warns.
    pub fn fails(&self) -> bool {
        !self.warns && self.requirement.get().level != Level::Should
    }
}

/// Something that was seen where the guides are silent.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Characteristic {
    /// The requirement of level observe that asks.
    pub requirement: RequirementId,
    /// What was looked at, in the manner of `token-used-twice`.
    pub name: &'static str,
    /// What was seen.
    pub value: String,
}

/// The outcome of judging one scenario (or one stretch of observation).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// How many times each requirement was put to the test. Absent: never.
    pub tested: BTreeMap<RequirementId, u64>,
    /// Where requirements were not met, in the order of being established. Of many alike only the first are kept.
    pub findings: Vec<Finding>,
    /// How many findings each requirement had in all, those included that were not kept.
    pub finding_counts: BTreeMap<RequirementId, u64>,
    /// The same for findings that only warn, which are not among those.
    pub warning_counts: BTreeMap<RequirementId, u64>,
    /// What was seen where the guides are silent.
    pub characteristics: Vec<Characteristic>,
    /// Requirements that could not be decided, with the reason (the harness was late, the trace ended too early).
    pub undecided: BTreeMap<RequirementId, String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::R;

    #[test]
    fn what_a_server_should_do_and_what_only_warns_does_not_fail() {
        for (rule, warns, fails) in [(R::Ws01, false, true), (R::Ws01, true, false), (R::Lim05, false, false)] {
            let finding = Finding {
                requirement: rule.id(),
                warns,
                at: Instant::ZERO,
                connection: None,
                expected: String::new(),
                observed: String::new(),
                evidence: vec![],
            };
            assert_eq!(finding.fails(), fails);
        }
    }
}
