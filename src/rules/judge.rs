//! The judge: a sink of observations that applies every rule whose subject is the side under test.
//!
//! One judge sees one trace of one server. It keeps what its rules need and no more: memory grows with live conferences,
//! participants and subscriptions, not with messages.

use super::client::ClientJudge;
use super::docket::Docket;
use super::registry::R;
use super::server::ServerJudge;
use super::verdict::{Context, Finding, Judgement};
use crate::spec::Subject;
use crate::time::Instant;
use crate::trace::{Observation, Side, Sink};

/// Judges one trace.
#[derive(Debug)]
pub struct Judge(Kind);

#[derive(Debug)]
enum Kind {
    Server(Box<ServerJudge>),
    Client(Box<ClientJudge>),
}

impl Judge {
    /// A judge for one trace.
    pub fn new(context: Context) -> Self {
        let docket = Docket::new(|rule| applies(rule, context));
        Self(match context.judged {
            Side::Server => Kind::Server(Box::new(ServerJudge::new(context, docket))),
            Side::Client => Kind::Client(Box::new(ClientJudge::new(context, docket))),
        })
    }

    /// The findings so far, as far as they are kept, in the order in which they were made.
    pub fn findings(&self) -> &[Finding] {
        match &self.0 {
            Kind::Server(judge) => judge.findings(),
            Kind::Client(judge) => judge.findings(),
        }
    }

    /// The outcome. What was due and had not come when the trace ended is left undecided.
    pub fn finish(self) -> Judgement {
        match self.0 {
            Kind::Server(judge) => judge.finish(),
            Kind::Client(judge) => judge.finish(),
        }
    }
}

/// Whether a requirement is one of the side that is judged, and of its release.
fn applies(rule: R, context: Context) -> bool {
    let entry = rule.id().get();
    let subjects: &[Subject] = match context.judged {
        Side::Server => &[Subject::Server, Subject::Sender],
        Side::Client => &[Subject::Client, Subject::Receiver],
    };
    subjects.contains(&entry.subject) && entry.applies_to(context.version)
}

impl Sink for Judge {
    fn observe(&mut self, observation: &Observation<'_>) {
        match &mut self.0 {
            Kind::Server(judge) => judge.observe(observation),
            Kind::Client(judge) => judge.observe(observation),
        }
    }

    fn due(&self) -> Option<Instant> {
        match &self.0 {
            Kind::Server(judge) => judge.due(),
            Kind::Client(judge) => judge.due(),
        }
    }

    fn found(&self) -> u64 {
        match &self.0 {
            Kind::Server(judge) => judge.found(),
            Kind::Client(judge) => judge.found(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ws::frame::{Header, Opcode};
    use crate::rules::Deadlines;
    use crate::rules::script::Script;
    use crate::spec::Version;

    #[test]
    fn a_judge_tells_at_any_time_how_much_it_has_found() {
        for (judged, says) in [(Side::Server, Side::Server), (Side::Client, Side::Client)] {
            let mut script = Script::judging(judged);
            script.open(1);
            for found in 0..3 {
                assert_eq!(script.found(), found);
                let mask = (says == Side::Client).then_some([1; 4]);
                script.frame(1, says, Header { mask, ..Header::new(Opcode::BINARY, 0) }, b"");
            }
        }
    }

    #[test]
    fn requirements_are_of_a_side_and_of_a_release() {
        let of = |judged: Side, rule: R, minor: u16| {
            let version = Version { major: 3, minor };
            let deadlines = Deadlines::default();
            applies(rule, Context { judged, observer: Side::Client, version, clustered: None, deadlines })
        };
        assert!(of(Side::Server, R::Ws01, 5) && of(Side::Server, R::Cdr01, 5) && of(Side::Server, R::Upd13, 5));
        assert!(!of(Side::Server, R::Upd13, 4) && !of(Side::Server, R::Msg06, 5));
        assert!(of(Side::Client, R::Msg06, 5) && !of(Side::Client, R::Ws01, 5));
    }
}
