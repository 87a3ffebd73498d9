//! What a stimulus has to bring about, and how the event looks that tells of it.

use crate::load::Metric;
use crate::protocol::events::{Entry, Message, MessageType, Resource, UpdateType};
use crate::protocol::guid;
use crate::protocol::json::{Json, Name};

use super::population::{Population, place_of};

/// The layouts that are chosen in turn.
pub(super) const LAYOUTS: [&str; 4] = ["speakerOnly", "stacked", "telepresence", "allEqual"];

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    /// The mute of a participant.
    Mute,
    /// The layout of a participant.
    Layout,
    /// The lock of a call.
    Lock,
    /// The recording of a call.
    Record,
    /// A participant or a call is there.
    Come,
    /// It is there no longer.
    Gone,
}

/// What it changes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    /// On or off.
    Flag(bool),
    /// The layout at this place of [`LAYOUTS`].
    Layout(usize),
    /// That it changes is all.
    Any,
}

impl Effect {
    /// The effect of an element, by its name in updates.
    fn of_element(name: Name) -> Option<Self> {
        const AUDIO_MUTED: Name = Name::known("audioMuted");
        const LAYOUT: Name = Name::known("layout");
        const LOCK_STATE: Name = Name::known("lockState");
        const RECORDING: Name = Name::known("recording");
        Some(match name {
            AUDIO_MUTED => Self::Mute,
            LAYOUT => Self::Layout,
            LOCK_STATE => Self::Lock,
            RECORDING => Self::Record,
            _ => return None,
        })
    }

    /// Whether the value that is told is the one that was wanted.
    fn reaches(self, goal: Goal, value: Json<'_>) -> bool {
        let word = value.as_str();
        match (self, goal) {
            (Self::Mute, Goal::Flag(on)) => value.as_bool().or_else(|| word?.parse().ok()) == Some(on),
            (Self::Lock, Goal::Flag(on)) => word.is_some_and(|word| (word == "locked") == on),
            (Self::Record, Goal::Flag(on)) => word.is_some_and(|word| (word == "active") == on),
            (Self::Layout, Goal::Layout(place)) => word == LAYOUTS.get(place).copied(),
            _ => false,
        }
    }
}

/// Hands every effect that a message tells of to `tell`: what, of whom, and a test whether it reaches a goal.
pub(super) fn of_message<'d>(
    message: Message<'d>,
    all: &Population,
    mut tell: impl FnMut(Effect, u128, &dyn Fn(Goal) -> bool),
) {
    let resource = match message.message_type() {
        Some(MessageType::CallListUpdate) => Resource::Calls,
        Some(MessageType::RosterUpdate) => Resource::CallRoster,
        Some(MessageType::CallInfoUpdate) => Resource::CallInfo,
        _ => return,
    };
    let of_call = || {
        let place = message.subscription_index().and_then(place_of)?;
        all.calls.get(place).map(|call| call.number)
    };
    for entry in message.entries(resource).into_iter().flatten() {
        let entry: Entry<'d> = entry;
        let subject = match resource {
            Resource::CallInfo => of_call(),
            Resource::Calls | Resource::CallRoster => entry.key().and_then(guid::number),
        };
        let Some(subject) = subject else { continue };
        match entry.update_type() {
            Some(UpdateType::Remove) => {
                tell(Effect::Gone, subject, &|goal| goal == Goal::Any);
                continue;
            }
            Some(UpdateType::Add) => tell(Effect::Come, subject, &|goal| goal == Goal::Any),
            Some(UpdateType::Update) | None => {}
        }
        // The entry that tells that somebody is there may be the one that tells of a change as well.
        for value in entry.fields() {
            if let Some(effect) = Effect::of_element(value.name()) {
                tell(effect, subject, &|goal| effect.reaches(goal, value));
            }
        }
    }
}

/// The metric that an effect belongs to; calls come and go beside parties.
pub(super) const fn metric(effect: Effect, is_call: bool) -> Metric {
    match (effect, is_call) {
        (Effect::Mute, _) => Metric::UpdateMute,
        (Effect::Layout, _) => Metric::UpdateLayout,
        (Effect::Lock, _) => Metric::UpdateLock,
        (Effect::Record, _) => Metric::UpdateRecord,
        (Effect::Come, false) => Metric::UpdateJoin,
        (Effect::Gone, false) => Metric::UpdateLeave,
        (Effect::Come, true) => Metric::UpdateCallStart,
        (Effect::Gone, true) => Metric::UpdateCallEnd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::events::Envelope;
    use crate::protocol::json::Document;

    #[test]
    fn an_entry_that_adds_tells_of_what_it_carries_as_well() {
        let told = |entry: &str| {
            let text = format!(
                r#"{{"type":"message","message":{{"messageId":1,"type":"rosterUpdate","subscriptionIndex":3,"updates":[{entry}]}}}}"#
            );
            let mut document = Document::default();
            let Envelope::Message(message) = Envelope::of(document.parse(&text).unwrap()) else { panic!("{text}") };
            let mut told = Vec::new();
            of_message(message, &Population::default(), |effect, _, reaches| {
                told.push((effect, reaches(Goal::Flag(true)), reaches(Goal::Any)));
            });
            told
        };
        let participant = r#""participant":"00000000-0000-4000-8000-000000000001""#;
        let (came, muted, left) =
            ((Effect::Come, false, true), (Effect::Mute, true, false), (Effect::Gone, false, true));
        let with = |kind: &str| format!(r#"{{{participant},"updateType":"{kind}","audioMuted":true}}"#);
        assert_eq!(told(&with("add")), [came, muted]);
        assert_eq!(told(&with("update")), [muted]);
        assert_eq!(told(&with("remove")), [left]);
    }
}
