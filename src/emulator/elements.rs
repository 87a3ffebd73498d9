//! Calls and participants as event elements, typed as the guide has them (EVENTS 2.1 to 2.3).
//!
//! Which elements there are comes from the table of `spec`; what is asked for and not there is `None` and left out.

use serde_json::Value;

use super::settings::Settings;
use super::world::{Call, Participant, Signaling, World};
use crate::protocol::events::Resource;

/// The present value of an element; `key` is the call, or for a roster the participant. `None` where there is no such
/// object or it has no such element.
pub(super) fn value(world: &World, settings: &Settings, resource: Resource, key: &str, element: &str) -> Option<Value> {
    match resource {
        Resource::CallRoster => of_participant(world.participants.get(key)?, element),
        Resource::Calls | Resource::CallInfo => of_call(world, settings, world.calls.get(key)?, resource, element),
    }
}

/// How many participants a call counts.
pub(super) fn participants(world: &World, settings: &Settings, call: &Call) -> u64 {
    let counted = call.participants.iter().filter(|id| {
        settings.ringing_counts
            || world
                .participants
                .get(*id)
                .is_some_and(|who| matches!(who.state, Signaling::Connected | Signaling::OnHold))
    });
    counted.count() as u64
}

/// An element of a call, as `resource` shows it.
pub(super) fn of_call(
    world: &World,
    settings: &Settings,
    call: &Call,
    resource: Resource,
    element: &str,
) -> Option<Value> {
    Some(match element {
        "name" => call.name.as_str().into(),
        "participants" => participants(world, settings, call).into(),
        "distributedInstances" => 0.into(),
        "recording" => activity(call.recording),
        "endpointRecording" => activity(call.endpoint_recording),
        "streaming" => activity(call.streaming),
        "lockState" if call.locked => "locked".into(),
        "lockState" if resource == Resource::Calls => "notLocked".into(),
        "lockState" => "unlocked".into(),
        "callType" => call.call_type.as_str().into(),
        "callCorrelator" => call.correlator.as_str().into(),
        "joinAudioMuteOverride" if resource == Resource::CallInfo => {
            call.join_audio_mute_override.unwrap_or_default().into()
        }
        _ => return None,
    })
}

/// An element of a participant.
pub(super) fn of_participant(who: &Participant, element: &str) -> Option<Value> {
    Some(match element {
        "name" => who.name.as_str().into(),
        "uri" => who.uri.as_str().into(),
        "state" => who.state.as_str().into(),
        "direction" => if who.incoming { "incoming" } else { "outgoing" }.into(),
        "audioMuted" => who.audio_muted.into(),
        "videoMuted" => who.video_muted.into(),
        "importance" => who.importance.map_or(Value::Null, Value::from),
        "layout" => who.layout.as_str().into(),
        "activeSpeaker" => who.active_speaker.into(),
        "presenter" => who.presenter.into(),
        "endpointRecording" => activity(who.endpoint_recording),
        "canMove" => who.can_move.into(),
        "canMoveToLobby" => who.can_move_to_lobby.into(),
        "movedParticipant" => who.moved_from.as_deref()?.into(),
        "movedParticipantCallBridge" => who.moved_from_bridge.as_deref()?.into(),
        _ => return None,
    })
}

fn activity(active: bool) -> Value {
    if active { "active" } else { "inactive" }.into()
}
