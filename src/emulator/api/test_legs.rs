//! The part of the test-only API that makes call legs and records happen. Ids of legs and of participants both do.
//!
//! | request below `/emulator/v1` | what happens | parameters |
//! |---|---|---|
//! | `POST callLegs` | somebody calls in; `Location` has the leg | `remoteParty`; `coSpace` or `call`, neither: the leg stays in the IVR; anything of `PUT`; `localAddress`, `direction`, `type`, `subType`, `lyncSubType`, `guest`, `groupId`, `replacesSipCallId` |
//! | `POST callLegs/ID/move` | a leg leaves the IVR | `coSpace` or `call` |
//! | `PUT callLegs/ID` | changes a leg | `name`, `remoteAddress`, `ownerId`, `cdrTag`, `deactivated`, `canMove`, `state`, `confirmation` (`required`, `confirmed`, `rejected`; the last ends the leg), and media: `rxAudio`, `txAudio`, `rxVideo`, `txVideo` (codecs; empty for none), `encrypted`, `unencrypted`, `alarm` (`packetLoss:12.5`, several with commas, empty for none), `burstDuration`, `burstDensity`, `gapDensity`, `maxScreens`, and a percentage each for `mainVideoViewer`, `mainVideoContributor`, `presentationViewer`, `presentationContributor`, `multistreamVideo` |
//! | `DELETE callLegs/ID`, `DELETE participants/ID` | a leg ends | `reason` (a code of the guide's section 5; `remoteTeardown` if not given), `remoteTeardown` where the code leaves it open |
//! | `DELETE calls/ID` | a call ends with all its legs | `reason` (`callEnded` if not given) |
//! | `PUT coSpaces/ID` | sets what the API cannot | `metaDataConfigured` |
//! | `POST restart` | the Call Bridge restarts | |

use super::answer::{Answer, Failure, created, done, missing, parameter_error, refused};
use super::asked::Asked;
use super::route::Route;
use crate::emulator::cdr;
use crate::emulator::cdr::LegDetail;
use crate::emulator::cdr::leg::{ALARMS, AUDIO_CODECS, Confirmation, Media, USAGES, VIDEO_CODECS};
use crate::emulator::core::Core;
use crate::emulator::dialing::{Destination, user_part};
use crate::emulator::timers::Due;
use crate::emulator::world::{Participant, Signaling};
use crate::protocol::http::Method;

pub(super) const ROUTES: &[Route] = &[
    (Method::Post, "callLegs", arrive),
    (Method::Post, "callLegs/*/move", go_on),
    (Method::Put, "callLegs/*", change),
    (Method::Delete, "callLegs/*", end_leg),
    (Method::Delete, "participants/*", end_leg),
    (Method::Delete, "calls/*", end_call),
    (Method::Put, "coSpaces/*", change_co_space),
    (Method::Post, "restart", restart),
];

const SUB_TYPES: [&str; 4] = ["lync", "avaya", "lyncdistribution", "webApp"];
const LYNC_SUB_TYPES: [&str; 3] = ["audioVideo", "applicationSharing", "instantMessaging"];
const LONGEST_TAG: usize = 100;

/// Where the request sends a leg.
fn destination(core: &Core, asked: &Asked) -> Result<Option<Destination>, Failure> {
    let id = |name: &str| asked.text(name).filter(|id| !id.is_empty()).map(|id| core.world.canonical(id));
    if let Some(call) = id("call") {
        let known = core.world.calls.contains_key(&call);
        return if known { Ok(Some(Destination::Call(call))) } else { Err(missing("callDoesNotExist")) };
    }
    match id("coSpace") {
        Some(space) if core.world.co_spaces.contains_key(&space) => Ok(Some(Destination::CoSpace(space))),
        Some(_) => Err(missing("coSpaceDoesNotExist")),
        None => Ok(None),
    }
}

/// The leg that the path names by its own id or by its participant's.
fn named_leg(core: &Core, asked: &Asked) -> Result<String, Failure> {
    let id = asked.id();
    if core.world.owner_of(id).is_some() {
        return Ok(id.to_owned());
    }
    let outside = core.world.outside.values().find(|who| who.id == id);
    let found = core.world.participants.get(id).or(outside).map(|who| who.leg.clone());
    found.ok_or_else(|| missing("callLegDoesNotExist"))
}

fn one_of(asked: &Asked, name: &str, words: &[&str]) -> Result<Option<String>, Failure> {
    match asked.text(name).filter(|text| !text.is_empty()) {
        None => Ok(None),
        Some(text) if words.contains(&text) => Ok(Some(text.to_owned())),
        Some(_) => Err(parameter_error(name)),
    }
}

/// A tag of the length that the guide allows, if the parameter is there; empty removes it.
pub(super) fn tag(asked: &Asked) -> Result<Option<Option<String>>, Failure> {
    match asked.text("cdrTag") {
        Some(tag) if tag.chars().count() > LONGEST_TAG => Err(parameter_error("cdrTag")),
        Some(tag) => Ok(Some(Some(tag.to_owned()).filter(|tag| !tag.is_empty()))),
        None => Ok(None),
    }
}

/// A decimal number as it is to go out, if the parameter is there.
fn decimal(asked: &Asked, name: &str, most: f64) -> Result<Option<String>, Failure> {
    let Some(text) = asked.text(name) else { return Ok(None) };
    let good = text.parse::<f64>().is_ok_and(|number| (0.0..=most).contains(&number));
    if good { Ok(Some(text.to_owned())) } else { Err(parameter_error(name)) }
}

fn codec(asked: &Asked, name: &str, words: &[&str], slot: &mut Option<String>) -> Result<(), Failure> {
    if let Some(text) = asked.text(name) {
        let known = one_of(asked, name, words)?;
        *slot = known.filter(|_| !text.is_empty());
    }
    Ok(())
}

fn change_media(asked: &Asked, media: &mut Media) -> Result<(), Failure> {
    codec(asked, "rxAudio", &AUDIO_CODECS, &mut media.rx_audio)?;
    codec(asked, "txAudio", &AUDIO_CODECS, &mut media.tx_audio)?;
    codec(asked, "rxVideo", &VIDEO_CODECS, &mut media.rx_video)?;
    codec(asked, "txVideo", &VIDEO_CODECS, &mut media.tx_video)?;
    media.encrypted = asked.boolean_or_unset("encrypted")?.unwrap_or(media.encrypted);
    media.unencrypted = asked.boolean_or_unset("unencrypted")?.unwrap_or(media.unencrypted);
    media.max_screens = asked.number_or_unset("maxScreens")?.unwrap_or(media.max_screens);
    if let Some(text) = decimal(asked, "burstDuration", 86_400.0)? {
        media.bursts.0 = text;
    }
    if let Some(text) = decimal(asked, "burstDensity", 1e9)? {
        media.bursts.1 = text;
    }
    if let Some(text) = decimal(asked, "gapDensity", 1e9)? {
        media.gap_density = text;
    }
    for name in USAGES {
        if let Some(text) = decimal(asked, name, 100.0)? {
            media.usage.retain(|(known, _)| *known != name);
            media.usage.push((name, text));
        }
    }
    if let Some(text) = asked.text("alarm") {
        media.alarms = alarms(text).ok_or_else(|| parameter_error("alarm"))?;
    }
    Ok(())
}

fn alarms(text: &str) -> Option<Vec<(String, String)>> {
    let parts = text.split(',').filter(|part| !part.is_empty());
    let read = parts.take(16).map(|part| {
        let (kind, share) = part.split_once(':')?;
        let share_is_good = share.parse::<f64>().is_ok_and(|share| (0.0..=100.0).contains(&share));
        (ALARMS.contains(&kind) && share_is_good).then(|| (kind.to_owned(), share.to_owned()))
    });
    read.collect()
}

/// What the request changes about a leg; nothing is changed where something is wrong.
fn changed(asked: &Asked, before: &Participant) -> Result<Participant, Failure> {
    let mut who = before.clone();
    if let Some(name) = asked.text("name") {
        name.clone_into(&mut who.name);
    }
    if let Some(address) = asked.text("remoteAddress") {
        who.detail.remote_address = Some(address.to_owned());
    }
    if let Some(owner) = asked.text("ownerId") {
        who.detail.owner_id = Some(owner.to_owned()).filter(|owner| !owner.is_empty());
    }
    if let Some(tag) = tag(asked)? {
        who.detail.cdr_tag = tag;
    }
    who.detail.deactivated = asked.boolean("deactivated")?.unwrap_or(who.detail.deactivated);
    who.can_move = asked.boolean("canMove")?.unwrap_or(who.can_move);
    if let Some(state) = asked.text("state") {
        who.state = Signaling::from_word(state).ok_or_else(|| parameter_error("state"))?;
    }
    if let Some(word) = asked.text("confirmation") {
        who.detail.confirmation = Confirmation::from_word(word).ok_or_else(|| parameter_error("confirmation"))?;
    }
    change_media(asked, &mut who.detail.media)?;
    Ok(who)
}

/// What is decided about a leg when it begins.
fn begun(asked: &Asked, who: &mut Participant) -> Result<(), Failure> {
    let owned = |name: &str| asked.text(name).filter(|text| !text.is_empty()).map(str::to_owned);
    who.incoming = asked.text("direction") != Some("outgoing");
    let kind = one_of(asked, "type", &["sip", "acano"])?;
    let lync_sub_type = one_of(asked, "lyncSubType", &LYNC_SUB_TYPES)?;
    let sub_type = one_of(asked, "subType", &SUB_TYPES)?.or_else(|| lync_sub_type.as_ref().map(|_| "lync".to_owned()));
    let acano = kind.as_deref() == Some("acano");
    if (acano && sub_type.is_some()) || (lync_sub_type.is_some() && sub_type.as_deref() != Some("lync")) {
        return Err(parameter_error("subType"));
    }
    who.detail = LegDetail {
        acano,
        sub_type,
        lync_sub_type,
        guest: asked.boolean("guest")?.unwrap_or_default(),
        local_address: owned("localAddress").unwrap_or_default(),
        group_id: owned("groupId").unwrap_or_default(),
        replaces: owned("replacesSipCallId"),
        ..std::mem::take(&mut who.detail)
    };
    Ok(())
}

fn arrive(core: &mut Core, asked: &Asked) -> Answer {
    let to = destination(core, asked)?.unwrap_or(Destination::Ivr);
    let remote_party =
        asked.text("remoteParty").filter(|party| !party.is_empty()).ok_or_else(|| parameter_error("remoteParty"))?;
    let mut who = Participant::dialled(user_part(remote_party), remote_party);
    begun(asked, &mut who)?;
    let who = changed(asked, &who)?;
    let leg = core.world.arrive(core.now, who);
    core.timers.at(core.now + core.settings.setup_delay, Due::Place(leg.clone(), to));
    Ok(created("callLegs", &leg))
}

fn go_on(core: &mut Core, asked: &Asked) -> Answer {
    let leg = named_leg(core, asked)?;
    let to = destination(core, asked)?.ok_or_else(|| parameter_error("call"))?;
    if !core.world.outside.contains_key(&leg) {
        return Err(refused("invalidOperation"));
    }
    core.place(&leg, to);
    Ok(done())
}

fn change(core: &mut Core, asked: &Asked) -> Answer {
    let leg = named_leg(core, asked)?;
    let before = core.world.owner_of(&leg).ok_or_else(|| missing("callLegDoesNotExist"))?;
    let after = changed(asked, before)?;
    let rejected = after.detail.confirmation == Confirmation::Rejected;
    core.world.change_leg(&leg, |who| *who = after);
    if rejected {
        core.world.hang_up(&leg, "localTeardown");
    }
    Ok(done())
}

/// The reason that the request names, if it names one.
fn reason(asked: &Asked) -> Result<Option<&'static str>, Failure> {
    let named = asked.text("reason").filter(|word| !word.is_empty());
    named.map(|word| cdr::reason(word).map(|known| known.word).ok_or_else(|| parameter_error("reason"))).transpose()
}

fn end_leg(core: &mut Core, asked: &Asked) -> Answer {
    let leg = named_leg(core, asked)?;
    let reason = reason(asked)?.unwrap_or("remoteTeardown");
    let remote = asked.boolean("remoteTeardown")?;
    if remote.is_some() {
        core.world.change_leg(&leg, |who| who.detail.remote_teardown = remote);
    }
    core.world.hang_up(&leg, reason);
    Ok(done())
}

fn end_call(core: &mut Core, asked: &Asked) -> Answer {
    let reason = reason(asked)?.unwrap_or("callEnded");
    if core.world.end_call(asked.id(), reason) { Ok(done()) } else { Err(missing("callDoesNotExist")) }
}

fn change_co_space(core: &mut Core, asked: &Asked) -> Answer {
    let configured = asked.boolean("metaDataConfigured")?;
    let space = core.world.co_spaces.get_mut(asked.id()).ok_or_else(|| missing("coSpaceDoesNotExist"))?;
    if let Some(configured) = configured {
        space.parameters.insert("metaDataConfigured".to_owned(), configured.to_string());
    }
    Ok(done())
}

fn restart(core: &mut Core, _asked: &Asked) -> Answer {
    core.restart();
    Ok(done())
}
