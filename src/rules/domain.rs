//! Whether a value lies in the domain of its element (EVENTS 2.1 to 2.3): UPD-08, with UPD-09 for the words of lockState
//! and UPD-10 for importance.
//!
//! The guides leave open whether booleans and numbers are JSON values or text, and how an unset element is sent
//! (UPD-20): all of these lie in the domain.

use super::registry::R;
use crate::protocol::events::Resource;
use crate::protocol::events::names::is_guid;
use crate::protocol::json::{Json, Kind};
use crate::spec::{Domain, Element};

/// A value outside its domain.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) rule: R,
    pub(super) expected: String,
}

/// The words of lockState in any resource.
const LOCK_WORDS: [&str; 3] = ["locked", "unlocked", "notLocked"];

/// Judges a value. Returns the requirement that it was judged by. `first` says whether it is the entry's first.
pub(super) fn judge_value(element: &Element, resource: Resource, json: Json<'_>, first: bool) -> Result<R, Fault> {
    let fault = |rule, expected: &str| Err(Fault { rule, expected: expected.to_owned() });
    if element.name == "importance" {
        let number = json.kind() == Kind::Number
            || json.as_str().is_some_and(|text| text.parse::<f64>().is_ok_and(f64::is_finite));
        return if number || json.is_null() { Ok(R::Upd10) } else { fault(R::Upd10, "a number, or null") };
    }
    let text = json.as_str();
    let unset = json.is_null() || text == Some("");
    match &element.domain {
        Domain::String if text.is_some() || json.is_null() => Ok(R::Upd08),
        Domain::String => fault(R::Upd08, "text"),
        Domain::Number | Domain::NumberOrNull => {
            let number =
                json.as_f64().or_else(|| text.and_then(|text| text.parse().ok()).filter(|n: &f64| n.is_finite()));
            match number {
                Some(number) if number >= 0.0 && number.fract() == 0.0 => Ok(R::Upd08),
                _ => fault(R::Upd08, "a number that is not negative"),
            }
        }
        Domain::Boolean => {
            let boolean = json.kind() == Kind::Bool || matches!(text, Some("true" | "false"));
            if boolean || (unset && first) { Ok(R::Upd08) } else { fault(R::Upd08, "true or false") }
        }
        Domain::Id if unset || text.is_some_and(is_guid) => Ok(R::Upd08),
        Domain::Id => fault(R::Upd08, "a GUID"),
        Domain::Enum(words) => {
            let listed = text.is_some_and(|text| words.iter().any(|word| word == text));
            let lock = element.name == "lockState";
            let judged_by = if lock && resource != Resource::CallRoster { R::Upd09 } else { R::Upd08 };
            if listed {
                return Ok(judged_by);
            }
            if unset && first {
                return Ok(R::Upd08);
            }
            let foreign_word = lock && text.is_some_and(|text| LOCK_WORDS.contains(&text));
            fault(if foreign_word { R::Upd09 } else { R::Upd08 }, &format!("one of {}", words.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json::Document;
    use crate::spec::elements;

    fn judged(resource: Resource, name: &str, json: &str) -> Result<&'static str, &'static str> {
        let mut tape = Document::new();
        let element = elements::find(resource, name).unwrap();
        judge_value(element, resource, tape.parse(json).unwrap(), true).map(R::name).map_err(|fault| fault.rule.name())
    }

    #[test]
    fn values_lie_in_their_domains() {
        use Resource::{CallInfo, CallRoster, Calls};
        for (resource, name, json, expected) in [
            (Calls, "participants", "0", Ok("UPD-08")),
            (Calls, "participants", "\"3\"", Ok("UPD-08")),
            (Calls, "participants", "-1", Err("UPD-08")),
            (Calls, "participants", "null", Err("UPD-08")),
            (Calls, "participants", "\"many\"", Err("UPD-08")),
            (Calls, "lockState", "\"notLocked\"", Ok("UPD-09")),
            (Calls, "lockState", "\"unlocked\"", Err("UPD-09")),
            (CallInfo, "lockState", "\"unlocked\"", Ok("UPD-09")),
            (CallInfo, "lockState", "\"notLocked\"", Err("UPD-09")),
            (CallInfo, "lockState", "\"open\"", Err("UPD-08")),
            (CallInfo, "recording", "\"Active\"", Err("UPD-08")),
            (CallInfo, "callCorrelator", "\"x\"", Err("UPD-08")),
            (CallInfo, "joinAudioMuteOverride", "\"true\"", Ok("UPD-08")),
            (CallInfo, "joinAudioMuteOverride", "1", Err("UPD-08")),
            (CallRoster, "importance", "null", Ok("UPD-10")),
            (CallRoster, "importance", "\"\"", Err("UPD-10")),
            (CallRoster, "importance", "true", Err("UPD-10")),
            (CallRoster, "importance", "5", Ok("UPD-10")),
            (CallRoster, "movedParticipant", "\"\"", Ok("UPD-08")),
            (CallRoster, "uri", "7", Err("UPD-08")),
            (CallRoster, "state", "\"gone\"", Err("UPD-08")),
        ] {
            assert_eq!(judged(resource, name, json), expected, "{name} {json}");
        }
    }
}
