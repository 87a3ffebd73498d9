//! What becomes of a dial: the user part of the address decides, as on a test network with well-known numbers.
//!
//! `busy`, `rejects`, `no-answer` and `unknown` fail each in its way; anything else rings, then connects.

use std::time::Duration;

use super::cdr::leg::Confirmation;
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
    /// The time for a confirmation is over.
    Unconfirmed,
    /// It fails with this reason.
    Fail(&'static str),
}

/// Where an incoming leg is going.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// Nowhere yet: it stays in the IVR.
    Ivr,
    /// Into the call of a coSpace, which starts if it is not active.
    CoSpace(String),
    /// Into a call.
    Call(String),
}

impl Core {
    /// Lets a leg that is in no call go where it wants to; `unknownDestination` ends it where there is no such place.
    pub(super) fn place(&mut self, leg: &str, to: Destination) {
        if !self.world.outside.contains_key(leg) {
            return;
        }
        let call = match to {
            Destination::Ivr => {
                self.world.change_leg(leg, |who| {
                    who.state = Signaling::Connected;
                    who.detail.in_ivr = true;
                });
                return;
            }
            Destination::Call(id) => self.world.calls.contains_key(&id).then_some(id),
            Destination::CoSpace(id) => self.world.co_spaces.get(&id).cloned().map(|space| {
                self.world.call_of_co_space(&id).unwrap_or_else(|| {
                    let call = self.world.start_call(self.now, Some(&space), None);
                    if let Some(call) = self.world.calls.get_mut(&call) {
                        call.active_when_empty = false;
                    }
                    call
                })
            }),
        };
        let Some(call) = call else {
            self.world.hang_up(leg, "unknownDestination");
            return;
        };
        let muted = self.world.calls.get(&call).and_then(|call| call.join_audio_mute_override);
        self.world.change_leg(leg, |who| {
            who.state = Signaling::Connected;
            who.audio_muted = muted.unwrap_or(who.audio_muted);
        });
        self.world.enter(leg, &call);
    }

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
                if who.detail.confirmation == Confirmation::Required {
                    self.dial_later(participant, self.settings.confirmation_timeout, DialStep::Unconfirmed);
                }
                self.world.change(participant, |who| who.state = Signaling::Connected);
            }
            DialStep::Unconfirmed => {
                if who.detail.confirmation == Confirmation::Required {
                    self.world.leave(participant, "confirmationTimeOut");
                }
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
