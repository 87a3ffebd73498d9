//! `/system` and `/callBridges`, as far as a harness looks at them.

use super::answer::{Answer, Row, boolean, document, list, missing};
use super::asked::Asked;
use crate::emulator::core::Core;
use crate::protocol::api::xml::Element;
use crate::time::Instant;

const BRIDGE_NAME: &str = "emulated";

pub(super) fn status(core: &mut Core, _asked: &Asked) -> Answer {
    let uptime = core.now.since(Instant::ZERO).as_secs();
    let root = Element::new("status")
        .field("softwareVersion", core.settings.software_version.clone())
        .field("uptimeSeconds", uptime.to_string())
        .field("activated", boolean(true))
        .field("clusterEnabled", boolean(false))
        .field("callLegsActive", core.world.legs.len().to_string())
        .field("callLegsMaxActive", core.world.most_legs.to_string())
        .field("callLegsCompleted", core.world.legs_completed.to_string());
    Ok(document(&root))
}

pub(super) fn alarms(_core: &mut Core, _asked: &Asked) -> Answer {
    Ok(document(&Element::new("alarms").attribute("total", "0")))
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
