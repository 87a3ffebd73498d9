//! The test-only API below `/emulator/v1`: makes happen what the real API has no way for.

use serde_json::{Map, Value};

use super::answer::{Answer, Failure, document, done, missing, parameter_error};
use super::asked::Asked;
use super::participants::layouts;
use super::route::Route;
use crate::emulator::core::Core;
use crate::emulator::typed::{ConnectionKey, Event};
use crate::emulator::world::Signaling;
use crate::protocol::api::xml::Element;
use crate::protocol::events::Resource;
use crate::protocol::http::Method;
use crate::spec::{Domain, elements};

pub(super) const ROUTES: &[Route] = &[
    (Method::Get, "", presence),
    (Method::Put, "calls/*", change_call),
    (Method::Put, "participants/*", change_participant),
    (Method::Post, "messages", send_message),
    (Method::Put, "settings", change_settings),
];

fn presence(core: &mut Core, _asked: &Asked) -> Answer {
    Ok(document(&Element::new("emulator").field("softwareVersion", core.settings.software_version.clone())))
}

/// A word of an element's enumeration, if the parameter is there.
fn word(asked: &Asked, resource: Resource, name: &str) -> Result<Option<String>, Failure> {
    match elements::find(resource, name).map(|element| &element.domain) {
        Some(Domain::Enum(words)) => asked.word(name, words),
        _ => Ok(asked.text(name).map(str::to_owned)),
    }
}

fn change_call(core: &mut Core, asked: &Asked) -> Answer {
    let (recording, streaming) = (asked.activity("recording")?, asked.activity("streaming")?);
    let endpoint_recording = asked.activity("endpointRecording")?;
    let call_type = word(asked, Resource::Calls, "callType")?;
    let call = core.world.calls.get_mut(asked.id()).ok_or_else(|| missing("callDoesNotExist"))?;
    call.recording = recording.unwrap_or(call.recording);
    call.streaming = streaming.unwrap_or(call.streaming);
    call.endpoint_recording = endpoint_recording.unwrap_or(call.endpoint_recording);
    if let Some(call_type) = call_type {
        call.call_type = call_type;
    }
    if let Some(name) = asked.text("name") {
        call.name = name.to_owned();
    }
    core.world.touch(asked.id());
    Ok(done())
}

fn change_participant(core: &mut Core, asked: &Asked) -> Answer {
    let (speaker, presenter) = (asked.boolean("activeSpeaker")?, asked.boolean("presenter")?);
    let endpoint_recording = asked.activity("endpointRecording")?;
    let (can_move, to_lobby) = (asked.boolean("canMove")?, asked.boolean("canMoveToLobby")?);
    let state = word(asked, Resource::CallRoster, "state")?;
    let layout = asked.word("layout", layouts())?;
    let known = core.world.change(asked.id(), |who| {
        who.active_speaker = speaker.unwrap_or(who.active_speaker);
        who.presenter = presenter.unwrap_or(who.presenter);
        who.endpoint_recording = endpoint_recording.unwrap_or(who.endpoint_recording);
        who.can_move = can_move.unwrap_or(who.can_move);
        who.can_move_to_lobby = to_lobby.unwrap_or(who.can_move_to_lobby);
        who.state = state.as_deref().and_then(Signaling::from_word).unwrap_or(who.state);
        if let Some(layout) = layout {
            who.layout = layout;
        }
        if let Some(name) = asked.text("name") {
            who.name = name.to_owned();
        }
        if let Some(uri) = asked.text("uri") {
            who.uri = uri.to_owned();
        }
    });
    if known { Ok(done()) } else { Err(missing("participantDoesNotExist")) }
}

/// Changes settings by their keys: the server speaks another dialect from now on.
fn change_settings(core: &mut Core, asked: &Asked) -> Answer {
    let mut changed = core.settings.clone();
    for (key, value) in asked.all() {
        changed.set(key, value).map_err(|_| parameter_error(key))?;
    }
    core.settings = changed;
    Ok(done())
}

fn send_message(core: &mut Core, asked: &Asked) -> Answer {
    let text = asked.text("message").ok_or_else(|| parameter_error("message"))?;
    let message: Map<String, Value> = serde_json::from_str(text).map_err(|_| parameter_error("message"))?;
    let keys: Vec<ConnectionKey> = core.connections.keys().copied().collect();
    for key in keys {
        core.queue(key, Event::Other(message.clone()));
    }
    Ok(done())
}
