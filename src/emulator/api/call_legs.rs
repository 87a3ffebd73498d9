//! `/callLegs`: the one leg that everybody in a call has.

use super::answer::{Answer, Failure, Row, boolean, created, document, done, list as page, missing};
use super::asked::Asked;
use super::participants;
use crate::emulator::core::Core;
use crate::emulator::world::Participant;
use crate::protocol::api::xml::Element;

/// The leg settings that POST and PUT can ask for.
pub(super) struct LegChanges {
    audio: Option<bool>,
    video: Option<bool>,
    tx_audio: Option<bool>,
    tx_video: Option<bool>,
    layout: Option<String>,
}

impl LegChanges {
    pub(super) fn read(asked: &Asked) -> Result<Self, Failure> {
        let mut layout = None;
        for name in ["defaultLayout", "layout", "chosenLayout"] {
            layout = asked.word(name, participants::layouts())?.or(layout);
        }
        Ok(Self {
            audio: asked.boolean("rxAudioMute")?,
            video: asked.boolean("rxVideoMute")?,
            tx_audio: asked.boolean("txAudioMute")?,
            tx_video: asked.boolean("txVideoMute")?,
            layout,
        })
    }

    pub(super) fn apply(self, who: &mut Participant) {
        who.audio_muted = self.audio.unwrap_or(who.audio_muted);
        who.video_muted = self.video.unwrap_or(who.video_muted);
        who.tx_audio_muted = self.tx_audio.unwrap_or(who.tx_audio_muted);
        who.tx_video_muted = self.tx_video.unwrap_or(who.tx_video_muted);
        if let Some(layout) = self.layout {
            who.layout = layout;
        }
    }
}

fn rows<'w>(all: impl Iterator<Item = &'w Participant>) -> Vec<Row> {
    all.map(|who| Row {
        created: who.created,
        id: who.leg.clone(),
        fields: vec![("name", who.name.clone()), ("remoteParty", who.remote_party.clone()), ("call", who.call.clone())],
    })
    .collect()
}

fn page_of(core: &Core, asked: &Asked, keep: impl Fn(&Participant) -> bool) -> Answer {
    let kept = core.world.participants.values().filter(|who| keep(who));
    page(&core.settings, asked, "callLegs", "callLeg", rows(kept))
}

pub(super) fn list(core: &mut Core, asked: &Asked) -> Answer {
    let wanted = asked.text("participantFilter").map(|id| core.world.canonical(id));
    page_of(core, asked, |who| wanted.as_ref().is_none_or(|id| *id == who.id))
}

pub(super) fn list_of_call(core: &mut Core, asked: &Asked) -> Answer {
    if !core.world.calls.contains_key(asked.id()) {
        return Err(missing("callDoesNotExist"));
    }
    page_of(core, asked, |who| who.call == asked.id())
}

pub(super) fn list_of_participant(core: &mut Core, asked: &Asked) -> Answer {
    if !core.world.participants.contains_key(asked.id()) {
        return Err(missing("participantDoesNotExist"));
    }
    page_of(core, asked, |who| who.id == asked.id())
}

pub(super) fn create(core: &mut Core, asked: &Asked) -> Answer {
    let id = participants::dial(core, asked)?;
    let leg = core.world.participants.get(&id).map(|who| who.leg.clone()).unwrap_or_default();
    Ok(created("callLegs", &leg))
}

/// The participant whose leg the path names.
fn owner(core: &Core, asked: &Asked) -> Result<String, Failure> {
    core.world.legs.get(asked.id()).cloned().ok_or_else(|| missing("callLegDoesNotExist"))
}

pub(super) fn get(core: &mut Core, asked: &Asked) -> Answer {
    let id = owner(core, asked)?;
    let who = core.world.participants.get(&id).ok_or_else(|| missing("callLegDoesNotExist"))?;
    let direction = if who.incoming { "incoming" } else { "outgoing" };
    let configuration = Element::new("configuration")
        .field("rxAudioMute", boolean(who.audio_muted))
        .field("rxVideoMute", boolean(who.video_muted))
        .field("txAudioMute", boolean(who.tx_audio_muted))
        .field("txVideoMute", boolean(who.tx_video_muted));
    let status = Element::new("status")
        .field("state", who.state.as_str())
        .field("durationSeconds", core.now.since(who.started).as_secs().to_string())
        .field("direction", direction)
        .field("layout", who.layout.clone());
    let root = Element::new("callLeg")
        .attribute("id", who.leg.clone())
        .field("name", who.name.clone())
        .field("remoteParty", who.remote_party.clone())
        .field("call", who.call.clone())
        .field("type", "sip")
        .field("direction", direction)
        .field("canMove", boolean(who.can_move))
        .child(configuration)
        .child(status);
    Ok(document(&root))
}

pub(super) fn change(core: &mut Core, asked: &Asked) -> Answer {
    let changes = LegChanges::read(asked)?;
    let id = owner(core, asked)?;
    core.world.change(&id, |who| changes.apply(who));
    Ok(done())
}

pub(super) fn delete(core: &mut Core, asked: &Asked) -> Answer {
    let id = owner(core, asked)?;
    core.world.leave(&id, "apiInitiatedTeardown");
    Ok(done())
}
