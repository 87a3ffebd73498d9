//! A client's `subscribeRequest` as rules see it: what it asks for, and whether the guides say what must follow.
//!
//! A request is *regular* where they do. Where they are silent (a repeated index, an unknown element, a messageId used
//! twice, ...) the request is irregular: what follows is recorded and not judged (SUB-18, MSG-12).

use std::collections::BTreeSet;

use super::guid::folded;
use crate::protocol::events::names::is_guid;
use crate::protocol::events::{Message, Resource};
use crate::protocol::json::Name;
use crate::spec::{Version, elements};

/// The largest number of subscriptions that a connection may have (EVENTS 6).
pub(super) const SUBSCRIPTION_LIMIT: usize = 100;

/// From how many subscriptions on a request says something about the limit rather than about subscriptions as such.
pub(super) const MANY: usize = 50;

/// A set of elements of one resource, as a bit for each.
pub(super) type Mask = u32;

/// One subscription that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) index: u64,
    pub(super) resource: Resource,
    pub(super) call: Option<String>,
    pub(super) mask: Mask,
}

/// A request, taken apart.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) wanted: Vec<Wanted>,
    /// How many entries the list has, readable or not.
    pub(super) entries: usize,
    /// What makes it irregular, as names of characteristics.
    pub(super) flaws: BTreeSet<&'static str>,
}

/// The place of an element among those of its resource.
pub(super) fn element_place(resource: Resource, name: &str) -> Option<usize> {
    elements::place(resource, Name::of(name))
}

/// Takes a request apart.
pub(super) fn take_apart(message: Message<'_>, version: Version) -> Parts {
    let mut parts = Parts::default();
    let Some(list) = message.requested() else {
        parts.flaws.insert("request-without-a-list");
        return parts;
    };
    let (mut indexes, mut resources) = (BTreeSet::new(), BTreeSet::new());
    for entry in list {
        parts.entries += 1;
        match entry.index() {
            Some(0) => _ = parts.flaws.insert("index-0"),
            None => _ = parts.flaws.insert("index-not-a-positive-number"),
            Some(index) if index > u64::from(u32::MAX) => _ = parts.flaws.insert("index-very-large"),
            Some(_) => {}
        }
        let Some(resource) = entry.resource() else {
            parts.flaws.insert("unknown-resource");
            continue;
        };
        let call = entry.call().map(|call| folded(call).into_owned());
        match (&call, resource.needs_call()) {
            (None, true) => _ = parts.flaws.insert("call-missing"),
            (Some(_), false) => _ = parts.flaws.insert("call-not-needed"),
            (Some(call), true) if !is_guid(call) => _ = parts.flaws.insert("call-is-no-guid"),
            _ => {}
        }
        let mut mask = 0;
        for element in entry.elements() {
            let place = element.as_str().and_then(|name| element_place(resource, name));
            match place {
                Some(place) if elements::of(resource)[place].since.is_none_or(|since| version >= since) => {
                    mask |= 1 << place
                }
                _ => _ = parts.flaws.insert("unknown-element"),
            }
        }
        let Some(index) = entry.index() else { continue };
        if !indexes.insert(index) {
            parts.flaws.insert("index-repeated");
        }
        if !resources.insert((resource, call.clone())) {
            parts.flaws.insert("resource-twice");
        }
        parts.wanted.push(Wanted { index, resource, call, mask });
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::events::Envelope;
    use crate::protocol::json::Document;

    fn flaws(subscriptions: &str) -> Vec<&'static str> {
        flaws_at(subscriptions, Version::LATEST)
    }

    fn flaws_at(subscriptions: &str, version: Version) -> Vec<&'static str> {
        let text = format!(
            r#"{{"type":"message","message":{{"messageId":1,"type":"subscribeRequest","subscriptions":{subscriptions}}}}}"#
        );
        let mut tape = Document::new();
        let Envelope::Message(message) = Envelope::of(tape.parse(&text).unwrap()) else { panic!("no message") };
        take_apart(message, version).flaws.into_iter().collect()
    }

    #[test]
    fn what_the_guides_leave_open_is_a_flaw_and_the_rest_is_not() {
        let guid = "97c771ae-fc2e-4257-b129-30ee818e034b";
        assert!(flaws("[]").is_empty());
        assert!(flaws(r#"[{"index":3,"type":"calls"},{"index":1,"type":"callInfo","call":"GUID","elements":[]}]"#
            .replace("GUID", guid).as_str()).is_empty());
        assert_eq!(flaws("{}"), ["request-without-a-list"]);
        assert_eq!(flaws(r#"[{"index":0,"type":"calls"}]"#), ["index-0"]);
        assert_eq!(flaws(r#"[{"index":-1,"type":"calls"}]"#), ["index-not-a-positive-number"]);
        assert_eq!(flaws(r#"[{"index":1,"type":"callInfo"}]"#), ["call-missing"]);
        assert_eq!(flaws(r#"[{"index":1,"type":"calls","elements":["nope"]}]"#), ["unknown-element"]);
        assert_eq!(flaws(r#"[{"index":1,"type":"calls"},{"index":1,"type":"x"}]"#), ["unknown-resource"]);
        assert_eq!(flaws(r#"[{"index":1,"type":"calls"},{"index":2,"type":"calls"}]"#), ["resource-twice"]);
        let with_call = r#"[{"index":1,"type":"calls","call":"GUID"}]"#.replace("GUID", guid);
        assert_eq!(flaws(&with_call), ["call-not-needed"]);
    }

    #[test]
    fn an_index_is_a_number_of_32_bits() {
        assert!(flaws(r#"[{"index":4294967295,"type":"calls"}]"#).is_empty());
        assert_eq!(flaws(r#"[{"index":4294967296,"type":"calls"}]"#), ["index-very-large"]);
    }

    #[test]
    fn an_element_is_known_from_its_release_on() {
        let request = r#"[{"index":1,"type":"callRoster","call":"97c771ae-fc2e-4257-b129-30ee818e034b","elements":["canMoveToLobby"]}]"#;
        let version = |text: &str| text.parse::<Version>().unwrap();
        assert_eq!(flaws_at(request, version("3.4")), ["unknown-element"]);
        assert!(flaws_at(request, version("3.5")).is_empty());
        assert!(flaws_at(request, version("3.6")).is_empty());
    }
}
