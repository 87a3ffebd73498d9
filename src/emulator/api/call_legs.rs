//! `/callLegs`: the one leg that everybody in a call has.

use super::answer::{Answer, Failure, Row, boolean, created, document, done, list as page, missing};
use super::asked::Asked;
use super::participants;
use super::test_legs::tag;
use crate::emulator::cdr::leg::Confirmation;
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
    owner_id: Option<String>,
    cdr_tag: Option<Option<String>>,
    confirmation: Option<bool>,
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
            owner_id: asked.text("ownerId").map(str::to_owned),
            cdr_tag: tag(asked)?,
            confirmation: asked.boolean("confirmation")?,
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
        if let Some(owner) = self.owner_id {
            who.detail.owner_id = Some(owner).filter(|owner| !owner.is_empty());
        }
        if let Some(tag) = self.cdr_tag {
            who.detail.cdr_tag = tag;
        }
        // Whether a confirmation is wanted is decided when somebody is dialled and cannot change later.
        if self.confirmation == Some(true) && who.leg.is_empty() {
            who.detail.confirmation = Confirmation::Required;
        }
    }
}

fn rows<'w>(all: impl Iterator<Item = &'w Participant>) -> Vec<Row> {
    all.map(|who| Row {
        created: who.created,
        id: who.leg.clone(),
        fields: [("name", &who.name), ("remoteParty", &who.remote_party), ("call", &who.call)]
            .into_iter()
            .filter(|(name, value)| *name != "call" || !value.is_empty())
            .map(|(name, value)| (name, value.clone()))
            .collect(),
    })
    .collect()
}

fn page_of(core: &Core, asked: &Asked, keep: impl Fn(&Participant) -> bool) -> Answer {
    let everybody = core.world.participants.values().chain(core.world.outside.values());
    let kept = everybody.filter(|who| keep(who));
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

pub(super) fn get(core: &mut Core, asked: &Asked) -> Answer {
    let who = core.world.owner_of(asked.id()).ok_or_else(|| missing("callLegDoesNotExist"))?;
    let detail = &who.detail;
    let direction = if who.incoming { "incoming" } else { "outgoing" };
    let mut configuration = Element::new("configuration")
        .field("rxAudioMute", boolean(who.audio_muted))
        .field("rxVideoMute", boolean(who.video_muted))
        .field("txAudioMute", boolean(who.tx_audio_muted))
        .field("txVideoMute", boolean(who.tx_video_muted));
    for (name, value) in [("ownerId", &detail.owner_id), ("cdrTag", &detail.cdr_tag)] {
        if let Some(value) = value {
            configuration = configuration.field(name, value.clone());
        }
    }
    let status = Element::new("status")
        .field("state", who.state.as_str())
        .field("durationSeconds", core.now.since(who.started).as_secs().to_string())
        .field("direction", direction)
        .field("sipCallId", detail.sip_call_id.clone())
        .field("groupId", detail.group_id.clone())
        .field("layout", who.layout.clone());
    let root = Element::new("callLeg")
        .attribute("id", who.leg.clone())
        .field("name", who.name.clone())
        .field("remoteParty", who.remote_party.clone())
        .field("type", if detail.acano { "acano" } else { "sip" })
        .field("direction", direction)
        .field("canMove", boolean(who.can_move));
    let more = [
        ("call", Some(&who.call).filter(|call| !call.is_empty())),
        ("subType", detail.sub_type.as_ref()),
        ("lyncSubType", detail.lync_sub_type.as_ref()),
        ("movedCallLeg", detail.moved_leg.as_ref()),
        ("movedCallLegCallBridge", who.moved_from_bridge.as_ref()),
    ];
    let known = more.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let root = known.fold(root, |root, (name, value)| root.field(name, value.clone()));
    Ok(document(&root.child(configuration).child(status)))
}

pub(super) fn change(core: &mut Core, asked: &Asked) -> Answer {
    let changes = LegChanges::read(asked)?;
    if core.world.change_leg(asked.id(), |who| changes.apply(who)) {
        Ok(done())
    } else {
        Err(missing("callLegDoesNotExist"))
    }
}

pub(super) fn delete(core: &mut Core, asked: &Asked) -> Answer {
    if core.world.hang_up(asked.id(), "apiInitiatedTeardown") {
        Ok(done())
    } else {
        Err(missing("callLegDoesNotExist"))
    }
}
