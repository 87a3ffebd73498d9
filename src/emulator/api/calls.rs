//! `/calls`: conferences.

use super::answer::{
    Answer, Failure, Row, activity, boolean, created, document, done, list as page, missing, parameter_error,
};
use super::asked::Asked;
use crate::emulator::core::Core;
use crate::emulator::elements;
use crate::emulator::world::Call;
use crate::protocol::api::xml::Element;
use crate::protocol::events::names::is_guid;

/// The changes that POST and PUT can ask for.
struct Changes {
    name: Option<String>,
    locked: Option<bool>,
    recording: Option<bool>,
    streaming: Option<bool>,
    mute_override: Option<Option<bool>>,
    active_when_empty: Option<bool>,
}

impl Changes {
    fn read(asked: &Asked) -> Result<Self, Failure> {
        Ok(Self {
            name: asked.text("name").map(str::to_owned),
            locked: asked.boolean("locked")?,
            recording: asked.activity("recording")?,
            streaming: asked.activity("streaming")?,
            mute_override: asked.boolean_or_unset("joinAudioMuteOverride")?,
            active_when_empty: asked.boolean("activeWhenEmpty")?,
        })
    }

    fn apply(self, call: &mut Call) {
        call.name = self.name.unwrap_or_else(|| std::mem::take(&mut call.name));
        call.locked = self.locked.unwrap_or(call.locked);
        call.recording = self.recording.unwrap_or(call.recording);
        call.streaming = self.streaming.unwrap_or(call.streaming);
        call.join_audio_mute_override = self.mute_override.unwrap_or(call.join_audio_mute_override);
        call.active_when_empty = self.active_when_empty.unwrap_or(call.active_when_empty);
    }
}

pub(super) fn list(core: &mut Core, asked: &Asked) -> Answer {
    let wanted = asked.text("coSpaceFilter").map(|id| core.world.canonical(id));
    let calls = core.world.calls.values().filter(|call| wanted.is_none() || call.co_space == wanted);
    let rows = calls.map(|call| {
        let mut fields = vec![("name", call.name.clone()), ("callCorrelator", call.correlator.clone())];
        fields.extend(call.co_space.clone().map(|id| ("coSpace", id)));
        Row { created: call.created, id: call.id.clone(), fields }
    });
    page(&core.settings, asked, "calls", "call", rows.collect())
}

pub(super) fn create(core: &mut Core, asked: &Asked) -> Answer {
    let changes = Changes::read(asked)?;
    let co_space = match asked.text("coSpace").filter(|id| !id.is_empty()) {
        None => None,
        Some(id) => {
            let id = core.world.canonical(id);
            Some(core.world.co_spaces.get(&id).cloned().ok_or_else(|| missing("coSpaceDoesNotExist"))?)
        }
    };
    if let Some(running) = co_space.as_ref().and_then(|space| core.world.call_of_co_space(&space.id)) {
        return Ok(created("calls", &running));
    }
    let correlator = asked.text("callCorrelator").filter(|id| !id.is_empty());
    if correlator.is_some_and(|id| !is_guid(id)) {
        return Err(parameter_error("callCorrelator"));
    }
    let id = core.world.start_call(core.now, co_space.as_ref(), None);
    if let Some(call) = core.world.calls.get_mut(&id) {
        changes.apply(call);
        if let Some(correlator) = correlator.filter(|_| call.co_space.is_none()) {
            call.correlator = correlator.to_owned();
        }
    }
    Ok(created("calls", &id))
}

pub(super) fn get(core: &mut Core, asked: &Asked) -> Answer {
    let call = core.world.calls.get(asked.id()).ok_or_else(|| missing("callDoesNotExist"))?;
    let counted = elements::participants(&core.world, &core.settings, call);
    let mut root = Element::new("call")
        .attribute("id", call.id.clone())
        .field("name", call.name.clone())
        .field("callCorrelator", call.correlator.clone())
        .field("callType", call.call_type.clone())
        .field("durationSeconds", core.now.since(call.started).as_secs().to_string())
        .field("numCallLegs", call.participants.len().to_string())
        .field("maxCallLegs", call.participants.len().to_string())
        .field("numParticipantsLocal", counted.to_string())
        .field("numParticipantsRemote", "0")
        .field("numDistributedInstances", "0")
        .field("locked", boolean(call.locked))
        .field("recording", boolean(call.recording))
        .field("recordingStatus", activity(call.recording))
        .field("streaming", boolean(call.streaming))
        .field("streamingStatus", activity(call.streaming))
        .field("endpointRecording", activity(call.endpoint_recording))
        .field("joinAudioMuteOverride", boolean(call.join_audio_mute_override.unwrap_or_default()))
        .field("activeWhenEmpty", boolean(call.active_when_empty));
    if let Some(co_space) = &call.co_space {
        root = root.field("coSpace", co_space.clone());
    }
    let presenter = call.participants.iter().filter_map(|id| core.world.participants.get(id)).find(|who| who.presenter);
    if let Some(who) = presenter {
        root = root.field("presenterCallLeg", who.leg.clone());
    }
    Ok(document(&root))
}

pub(super) fn change(core: &mut Core, asked: &Asked) -> Answer {
    let changes = Changes::read(asked)?;
    let call = core.world.calls.get_mut(asked.id()).ok_or_else(|| missing("callDoesNotExist"))?;
    changes.apply(call);
    core.world.touch(asked.id());
    Ok(done())
}

pub(super) fn delete(core: &mut Core, asked: &Asked) -> Answer {
    if core.world.end_call(asked.id(), "callEnded") { Ok(done()) } else { Err(missing("callDoesNotExist")) }
}
