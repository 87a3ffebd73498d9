//! `/system/cdrReceivers`, and the older node `/system/cdrReceiver` with its one receiver (wire-facts 4.7).

use super::answer::{Answer, Failure, Row, created, document, done, list_with, missing, parameter_error, refused};
use super::asked::Asked;
use crate::emulator::cdr::{ReceiverKey, Target};
use crate::emulator::core::Core;
use crate::emulator::mutant::Question;
use crate::emulator::values::UriParameter;
use crate::protocol::api::xml::Element;

/// How many receivers there can be (CDR guide, section 2.1).
const MAXIMUM: u64 = 4;

const NODE: &str = "system/cdrReceivers";

/// The URI that the request gives, if it gives one, with where it leads; an empty one leads nowhere.
fn given(core: &Core, asked: &Asked) -> Result<Option<(String, Option<Target>)>, Failure> {
    let uri = match core.settings.cdr_parameter {
        UriParameter::Both => asked.text("uri").or_else(|| asked.text("url")),
        UriParameter::Uri => asked.text("uri"),
        UriParameter::Url => asked.text("url"),
    };
    match uri {
        None => Ok(None),
        Some("") => Ok(Some((String::new(), None))),
        Some(uri) => {
            let target = Target::parse(uri).ok_or_else(|| parameter_error("uri"))?;
            Ok(Some((uri.to_owned(), Some(target))))
        }
    }
}

fn found(core: &Core, asked: &Asked) -> Result<ReceiverKey, Failure> {
    core.cdr.find(asked.id()).ok_or_else(|| missing("cdrReceiverDoesNotExist"))
}

fn add(core: &mut Core, uri: &str, target: Option<Target>) -> Result<String, Failure> {
    let count = core.listed_receivers().len() as u64;
    if !core.mutants.decide(Question::IsReceiverPlaceFree(count), count < MAXIMUM) {
        return Err(refused("tooManyCdrReceivers"));
    }
    let freed = core.cdr.freed.pop();
    let id = freed.unwrap_or_else(|| core.world.new_id_aside());
    let key = core.cdr.add(id.clone());
    core.set_uri(key, uri, target);
    Ok(id)
}

pub(super) fn list(core: &mut Core, asked: &Asked) -> Answer {
    let listed = core.listed_receivers().into_iter();
    let rows = listed.map(|(key, (id, uri))| Row { created: key.0, id, fields: vec![("uri", uri)] });
    let root = Element::new("cdrReceivers").attribute("maximum", MAXIMUM.to_string());
    list_with(&core.settings, asked, root, "cdrReceiver", rows.collect())
}

pub(super) fn create(core: &mut Core, asked: &Asked) -> Answer {
    let (uri, target) = given(core, asked)?.ok_or_else(|| parameter_error("uri"))?;
    let id = add(core, &uri, target)?;
    Ok(created(NODE, &id))
}

pub(super) fn get(core: &mut Core, asked: &Asked) -> Answer {
    let key = found(core, asked)?;
    let uri = core.listed_receivers().remove(&key).map(|(_, uri)| uri).unwrap_or_default();
    Ok(document(&Element::new("cdrReceiver").attribute("id", asked.id()).field("uri", uri)))
}

pub(super) fn change(core: &mut Core, asked: &Asked) -> Answer {
    let key = found(core, asked)?;
    if let Some((uri, target)) = given(core, asked)? {
        core.set_uri(key, &uri, target);
    }
    Ok(done())
}

pub(super) fn delete(core: &mut Core, asked: &Asked) -> Answer {
    if core.remove_receiver(asked.id()) { Ok(done()) } else { Err(missing("cdrReceiverDoesNotExist")) }
}

/// The older node: the receiver that was configured first.
pub(super) fn get_only(core: &mut Core, _asked: &Asked) -> Answer {
    let uri = core.listed_receivers().into_values().next().map(|(_, uri)| uri).unwrap_or_default();
    Ok(document(&Element::new("cdrReceiver").field("uri", uri)))
}

/// Here an empty URI removes the receiver.
pub(super) fn change_only(core: &mut Core, asked: &Asked) -> Answer {
    let (uri, target) = given(core, asked)?.ok_or_else(|| parameter_error("uri"))?;
    let first = core.listed_receivers().into_iter().next();
    match (first, target) {
        (Some((_, (id, _))), None) => {
            core.remove_receiver(&id);
        }
        (Some((key, _)), target) => core.set_uri(key, &uri, target),
        (None, None) => {}
        (None, target) => {
            add(core, &uri, target)?;
        }
    }
    Ok(done())
}
