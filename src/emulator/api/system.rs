//! `/system` and `/callBridges`, as far as a harness looks at them.

use super::answer::{Answer, Row, boolean, document, list, missing};
use super::asked::Asked;
use crate::emulator::core::Core;
use crate::protocol::api::xml::Element;

const BRIDGE_NAME: &str = "emulated";

pub(super) fn status(core: &mut Core, _asked: &Asked) -> Answer {
    let uptime = core.now.since(core.cdr.began).as_secs();
    let root = Element::new("status")
        .field("softwareVersion", core.settings.software_version.clone())
        .field("uptimeSeconds", uptime.to_string())
        .field("cdrTime", core.cdr.time(&core.settings, core.now))
        .field("activated", boolean(true))
        .field("clusterEnabled", boolean(core.settings.clustered))
        .field("cdrCorrelatorIndex", core.cdr.next.to_string())
        .field("callLegsActive", core.world.legs.len().to_string())
        .field("callLegsMaxActive", core.world.most_legs.to_string())
        .field("callLegsCompleted", core.world.legs_completed.to_string());
    Ok(document(&root))
}

pub(super) fn alarms(core: &mut Core, asked: &Asked) -> Answer {
    let failing = core.cdr.receivers().filter_map(|(key, receiver)| Some((key, receiver.failing.clone()?)));
    let rows = failing.map(|(key, (since, id))| Row {
        created: key.0,
        id,
        fields: vec![
            ("type", "cdrConnectionFailure".to_owned()),
            ("activeTimeSeconds", core.now.since(since).as_secs().to_string()),
        ],
    });
    list(&core.settings, asked, "alarms", "alarm", rows.collect())
}

pub(super) fn load(core: &mut Core, _asked: &Asked) -> Answer {
    let load = core.world.participants.len() * 100;
    Ok(document(&Element::new("load").field("mediaProcessingLoad", load.to_string())))
}

pub(super) fn call_bridges(core: &mut Core, asked: &Asked) -> Answer {
    let row = Row { created: 0, id: core.world.bridge.clone(), fields: vec![("name", BRIDGE_NAME.to_owned())] };
    list(&core.settings, asked, "callBridges", "callBridge", vec![row])
}

pub(super) fn call_bridge(core: &mut Core, asked: &Asked) -> Answer {
    if asked.id() != core.world.bridge {
        return Err(missing("callBridgeDoesNotExist"));
    }
    Ok(document(&Element::new("callBridge").attribute("id", asked.id()).field("name", BRIDGE_NAME)))
}
