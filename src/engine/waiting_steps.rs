//! The steps that wait and expect, and the waiting at the end for what the judge still has to see.

use std::time::Duration;

use serde_json::Value;

use super::core::{Core, Handle, Stop};
use super::outcome::FailedExpectation;
use super::pattern::fits;
use super::record_ear::as_texts;
use crate::scenario::syntax::{Expect, Wait};
use crate::trace::Sink;

/// How far beyond an instant that is due the engine looks again, so that it has passed.
const PAST_DUE: Duration = Duration::from_millis(1);

impl<S: Sink + Send> Handle<S> {
    pub(super) async fn wait(&self, step: &Wait) -> Result<(), Stop> {
        let name = step.client.value.as_str();
        let begun = self.now();
        let deadline = self.deadline(step.within);
        let (pattern, count) = self.with(|core| {
            core.client(name)?;
            let count = step.count.as_ref().map_or(Ok(1), |count| core.resolve_number(count))?;
            Ok((core.resolve_json(&step.pattern)?, count))
        })?;
        let closed = pattern.as_str() == Some("closed");
        let look = |core: &mut Core<S>| {
            let client = core.clients.get_mut(name)?;
            if closed {
                return (!client.is_connected()).then_some(true);
            }
            if client.ear.consume(count, |value| fits(&pattern, value)) {
                return Some(true);
            }
            // Nothing comes any more where the connection is gone.
            (!client.is_connected()).then_some(false)
        };
        if self.until(deadline, look).await? == Some(true) {
            return Ok(());
        }
        if step.or_go_on {
            self.with(|core| core.client(name).map(|client| client.ear.forget()))?;
            return Ok(());
        }
        let what = match (closed, count) {
            (true, _) => format!("the end of the connection of {name}"),
            (false, 1) => format!("a message that {name} should receive like {pattern}"),
            (false, count) => format!("{count} messages that {name} should receive like {pattern}"),
        };
        Err(self.missed(begun, &what))
    }

    pub(super) async fn rest(&self, quiet: Option<Duration>) -> Result<(), Stop> {
        let begun = self.now();
        let quiet = quiet.unwrap_or_else(|| self.with(|core| core.options.quiet));
        // An answer that the scenario holds back takes as long as the scenario wants.
        let answered = self.with(|core| core.reception.actors.answers_until());
        let deadline = self.deadline(None).max(answered.unwrap_or(begun)) + quiet;
        let look = |core: &mut Core<S>| {
            let calm = core.last_activity.max(begun) + quiet;
            if calm <= core.now && !core.api.is_busy() && !core.reception.actors.is_busy() {
                return Some(());
            }
            // Beyond that, what is under way asks for its own time: asking for what has passed would let no time pass.
            if calm > core.now {
                core.wake_at(calm);
            }
            None
        };
        match self.until(deadline, look).await? {
            Some(()) => Ok(()),
            None => Err(self.missed(begun, &format!("{quiet:?} in which nothing arrives"))),
        }
    }

    pub(super) fn expect(&self, step: &Expect) -> Result<(), Stop> {
        self.with(|core| {
            let failure = core.look_at_expectation(step)?;
            if let Some(what) = failure {
                let number = core.steps.last().map_or(0, |mark| mark.number);
                let (seq, because) = (core.trace.last(), step.because.clone());
                core.failed_expectations.push(FailedExpectation { step: number, seq, because, what });
            }
            Ok(())
        })
    }

    /// Lets the trace go on while the sink says that something is due.
    pub(super) async fn linger(&self) {
        let bound = self.with(|core| {
            let of_records = if core.reception.is_empty() { Duration::ZERO } else { core.options.redelivery };
            core.now + core.options.reaction * 3 + of_records
        });
        let through = |core: &mut Core<S>| {
            match core.trace.due().filter(|due| *due >= core.now) {
                Some(due) if !core.interrupted => core.wake_at(due + PAST_DUE),
                _ => return Some(()),
            }
            None
        };
        // Only the sink decides here; how it ends makes no difference.
        let _ = self.until(bound, through).await;
    }
}

impl<S: Sink> Core<S> {
    /// What is wrong with an expectation, if anything is.
    fn look_at_expectation(&mut self, step: &Expect) -> Result<Option<String>, Stop> {
        if let Some([left, right]) = &step.equal {
            let (left, right) = (self.resolve(left)?, self.resolve(right)?);
            return Ok((left != right).then(|| format!("`{left}` is not `{right}`")));
        }
        let name = step.client.as_ref().map_or("", |client| client.value.as_str());
        let (pattern, wanted) = match (&step.none, step.message.as_ref().or(step.record.as_ref())) {
            (Some(pattern), _) => (pattern, false),
            (_, Some(pattern)) => (pattern, true),
            _ => return Err(Stop::Unfinished("`expect` names nothing".to_owned())),
        };
        let pattern: Value = self.resolve_json(pattern)?;
        if let Some(receiver) = &step.receiver {
            let (name, pattern) = (receiver.value.as_str(), as_texts(pattern));
            let found = self.reception.ear(name)?.heard().find(|record| fits(&pattern, record));
            return Ok(match (found, wanted) {
                (Some(record), false) => Some(format!("{name} took the record {record}")),
                (None, true) => Some(format!("{name} took no record like {pattern}")),
                _ => None,
            });
        }
        let found = self.client(name)?.ear.heard().find(|value| fits(&pattern, value));
        Ok(match (found, wanted) {
            (Some(value), false) => Some(format!("{name} received {value}")),
            (None, true) => Some(format!("{name} received no message like {pattern}")),
            _ => None,
        })
    }
}
