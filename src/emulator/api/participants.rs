//! `/participants` and `/calls/<id>/participants`: who is in a call, dialling somebody, moving somebody.

use super::answer::{Answer, Row, boolean, created, document, done, list as page, missing, parameter_error, refused};
use super::asked::Asked;
use super::call_legs;
use crate::emulator::cdr::LegDetail;
use crate::emulator::core::Core;
use crate::emulator::dialing::user_part;
use crate::emulator::world::{Participant, Signaling};
use crate::protocol::api::xml::Element;
use crate::protocol::events::Resource;
use crate::spec::{Domain, elements};

/// The words for layouts.
pub(super) fn layouts() -> &'static [String] {
    match elements::find(Resource::CallRoster, "layout").map(|element| &element.domain) {
        Some(Domain::Enum(words)) => words,
        _ => &[],
    }
}

fn rows<'w>(all: impl Iterator<Item = &'w Participant>) -> Vec<Row> {
    all.map(|who| Row {
        created: who.created,
        id: who.id.clone(),
        fields: vec![("name", who.name.clone()), ("call", who.call.clone()), ("uri", who.uri.clone())],
    })
    .collect()
}

pub(super) fn list(core: &mut Core, asked: &Asked) -> Answer {
    page(&core.settings, asked, "participants", "participant", rows(core.world.participants.values()))
}

pub(super) fn list_of_call(core: &mut Core, asked: &Asked) -> Answer {
    if !core.world.calls.contains_key(asked.id()) {
        return Err(missing("callDoesNotExist"));
    }
    let inside = core.world.participants.values().filter(|who| who.call == asked.id());
    page(&core.settings, asked, "participants", "participant", rows(inside))
}

pub(super) fn create(core: &mut Core, asked: &Asked) -> Answer {
    if asked.text("movedParticipant").is_some_and(|id| !id.is_empty()) {
        return move_here(core, asked);
    }
    let id = dial(core, asked)?;
    Ok(created("participants", &id))
}

/// Dials into the call of the path; gives the participant's id.
pub(super) fn dial(core: &mut Core, asked: &Asked) -> Result<String, super::answer::Failure> {
    if !core.world.calls.contains_key(asked.id()) {
        return Err(missing("callDoesNotExist"));
    }
    let remote_party =
        asked.text("remoteParty").filter(|party| !party.is_empty()).ok_or_else(|| parameter_error("remoteParty"))?;
    let mut who = Participant::dialled(user_part(remote_party), remote_party);
    let muted = core.world.calls.get(asked.id()).and_then(|call| call.join_audio_mute_override);
    who.audio_muted = muted.unwrap_or_default();
    if let Some(name) = asked.text("nameLabelOverride").or_else(|| asked.text("name")) {
        who.name = name.to_owned();
    }
    who.importance = asked.number_or_unset("importance")?.unwrap_or_default();
    call_legs::LegChanges::read(asked)?.apply(&mut who);
    let id = core.world.join(core.now, asked.id(), who);
    core.dial(&id);
    Ok(id)
}

fn move_here(core: &mut Core, asked: &Asked) -> Answer {
    if !core.world.calls.contains_key(asked.id()) {
        return Err(missing("callDoesNotExist"));
    }
    let old = core.world.canonical(asked.text("movedParticipant").unwrap_or_default());
    let before = core.world.participants.get(&old).cloned().ok_or_else(|| missing("participantDoesNotExist"))?;
    if !before.can_move || before.state != Signaling::Connected || before.call == asked.id() {
        return Err(refused("invalidOperation"));
    }
    let bridge = asked.text("movedParticipantCallBridge").filter(|id| !id.is_empty());
    let bridge = bridge.map_or_else(|| core.world.bridge.clone(), |id| core.world.canonical(id));
    let who = Participant {
        moved_from: Some(old.clone()),
        moved_from_bridge: Some(bridge),
        active_speaker: false,
        presenter: false,
        detail: LegDetail { moved_leg: Some(before.leg.clone()), ..before.detail },
        ..before
    };
    let id = core.world.join(core.now, asked.id(), who);
    core.world.leave(&old, "callMoved");
    Ok(created("participants", &id))
}

pub(super) fn get(core: &mut Core, asked: &Asked) -> Answer {
    let who = core.world.participants.get(asked.id()).ok_or_else(|| missing("participantDoesNotExist"))?;
    let mut root = Element::new("participant")
        .attribute("id", who.id.clone())
        .field("name", who.name.clone())
        .field("call", who.call.clone())
        .field("uri", who.uri.clone())
        .field("originalUri", who.uri.clone())
        .field("numCallLegs", "1")
        .field("isActivator", boolean(true))
        .field("canMove", boolean(who.can_move))
        .field("canMoveToLobby", boolean(who.can_move_to_lobby));
    if let Some(id) = &who.moved_from {
        root = root.field("movedParticipant", id.clone());
    }
    if let Some(id) = &who.moved_from_bridge {
        root = root.field("movedParticipantCallBridge", id.clone());
    }
    root = root.child(Element::new("status").field("state", who.state.as_str()));
    let mut configuration = Element::new("configuration");
    if let Some(importance) = who.importance {
        configuration = configuration.field("importance", importance.to_string());
    }
    Ok(document(&root.child(configuration)))
}

pub(super) fn change(core: &mut Core, asked: &Asked) -> Answer {
    let importance = asked.number_or_unset("importance")?;
    let leg = call_legs::LegChanges::read(asked)?;
    let name = asked.text("nameLabelOverride").map(str::to_owned);
    let known = core.world.change(asked.id(), |who| {
        who.importance = importance.unwrap_or(who.importance);
        leg.apply(who);
        if let Some(name) = name {
            who.name = name;
        }
    });
    if known { Ok(done()) } else { Err(missing("participantDoesNotExist")) }
}

pub(super) fn delete(core: &mut Core, asked: &Asked) -> Answer {
    if core.world.leave(asked.id(), "apiInitiatedTeardown") {
        Ok(done())
    } else {
        Err(missing("participantDoesNotExist"))
    }
}
