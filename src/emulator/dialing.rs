//! What becomes of a dial: the user part of the address decides, as on a test network with well-known numbers.
//!
//! `busy`, `rejects`, `no-answer` and `unknown` fail each in its way; anything else rings, then connects.

use std::time::Duration;

use super::core::Core;
use super::timers::Due;
use super::world::Signaling;

/// The next thing that happens to a dial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DialStep {
    /// It rings at the far end.
    Ring,
    /// It is answered.
    Answer,
    /// It fails with this reason.
    Fail(&'static str),
}

impl Core {
    /// Starts a dial for a participant who is in its call already.
    pub(super) fn dial(&mut self, participant: &str) {
        let Some(who) = self.world.participants.get(participant) else { return };
        let first = match user_part(&who.remote_party) {
            "busy" => DialStep::Fail("remoteBusy"),
            "unknown" => DialStep::Fail("unknownDestination"),
            _ => DialStep::Ring,
        };
        self.dial_later(participant, self.settings.dial_delay, first);
    }

    /// Carries out one step of a dial; nothing happens if the participant has left meanwhile.
    pub(super) fn go_on_dialing(&mut self, participant: &str, step: DialStep) {
        let Some(who) = self.world.participants.get(participant) else { return };
        match step {
            DialStep::Ring => {
                let (delay, next) = match user_part(&who.remote_party) {
                    "rejects" => (self.settings.answer_after, DialStep::Fail("remoteRejected")),
                    "no-answer" => (self.settings.ringing_timeout, DialStep::Fail("ringingTimeout")),
                    _ => (self.settings.answer_after, DialStep::Answer),
                };
                self.world.change(participant, |who| who.state = Signaling::Ringing);
                self.dial_later(participant, delay, next);
            }
            DialStep::Answer => {
                self.world.change(participant, |who| who.state = Signaling::Connected);
            }
            DialStep::Fail(reason) => {
                self.world.leave(participant, reason);
            }
        }
    }

    fn dial_later(&mut self, participant: &str, delay: Duration, step: DialStep) {
        let at = self.now + self.with_jitter(delay);
        self.timers.at(at, Due::Dial(participant.to_owned(), step));
    }
}

/// What stands before the `@`, without a scheme.
pub(super) fn user_part(address: &str) -> &str {
    let address = address.strip_prefix("sip:").unwrap_or(address);
    address.split_once('@').map_or(address, |(user, _)| user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_user_part_stands_before_the_host() {
        assert_eq!(user_part("sip:busy@example.org"), "busy");
        assert_eq!(user_part("alice@example.org"), "alice");
        assert_eq!(user_part("1234"), "1234");
    }
}
