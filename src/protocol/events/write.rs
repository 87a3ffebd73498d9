//! Writers of event messages, for the emulator and for the events client alike.
//!
//! Each returns the text of one frame. Acks are written by hand, since they are the one message that a load run writes
//! once per message received; the rest goes through serde_json.

use std::io::Write as _;

use serde_json::{Map, Value, json};

use super::names::{MessageType, Resource, SUCCESS, State, UpdateType};

/// One subscription that a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The client's number for it.
    pub index: u64,
    /// What is subscribed to.
    pub resource: Resource,
    /// The call's GUID, for `callInfo` and `callRoster`.
    pub call: Option<String>,
    /// The elements wanted; `None` leaves the list out.
    pub elements: Option<Vec<String>>,
}

impl Subscription {
    /// As it stands in a request.
    pub fn to_json(&self) -> Value {
        let mut entry = Map::new();
        entry.insert("index".into(), self.index.into());
        entry.insert("type".into(), self.resource.as_str().into());
        if let Some(call) = &self.call {
            entry.insert("call".into(), call.as_str().into());
        }
        if let Some(elements) = &self.elements {
            entry.insert("elements".into(), elements.iter().map(String::as_str).collect());
        }
        Value::Object(entry)
    }
}

/// A `subscribeRequest` for the complete set `subscriptions`.
pub fn subscribe_request(message_id: u64, subscriptions: &[Subscription]) -> String {
    let set: Vec<Value> = subscriptions.iter().map(Subscription::to_json).collect();
    envelope(message_id, MessageType::SubscribeRequest.as_str(), [("subscriptions", Value::Array(set))])
}

/// A `subscriptionUpdate` with these states, in this order.
pub fn subscription_update(message_id: u64, states: &[(u64, State)]) -> String {
    let list: Vec<Value> =
        states.iter().map(|(index, state)| json!({"index": index, "state": state.as_str()})).collect();
    envelope(message_id, MessageType::SubscriptionUpdate.as_str(), [("subscriptions", Value::Array(list))])
}

/// One entry of a `callListUpdate` or `rosterUpdate`.
pub fn entry(resource: Resource, key: &str, kind: UpdateType, fields: Map<String, Value>) -> Value {
    let mut entry = Map::new();
    if let Some(name) = resource.entry_key() {
        entry.insert(name.as_str().into(), key.into());
    }
    entry.insert("updateType".into(), kind.as_str().into());
    entry.extend(fields);
    Value::Object(entry)
}

/// An update of `calls` or `callRoster` with these entries.
pub fn list_update(message_id: u64, resource: Resource, index: u64, entries: Vec<Value>) -> String {
    let body = [("subscriptionIndex", index.into()), ("updates", Value::Array(entries))];
    envelope(message_id, resource.update_type().as_str(), body)
}

/// An update of `callInfo` with these elements.
pub fn call_info_update(message_id: u64, index: u64, info: Map<String, Value>) -> String {
    let body = [("subscriptionIndex", index.into()), ("callInfo", Value::Object(info))];
    envelope(message_id, MessageType::CallInfoUpdate.as_str(), body)
}

/// Any message: the envelope around an id, a type and further fields.
pub fn envelope<const N: usize>(message_id: u64, type_name: &str, fields: [(&str, Value); N]) -> String {
    let mut message = Map::new();
    message.insert("messageId".into(), message_id.into());
    message.insert("type".into(), type_name.into());
    message.extend(fields.map(|(name, value)| (name.to_owned(), value)));
    json!({"type": "message", "message": message}).to_string()
}

/// Appends the text of an ack to `out`.
pub fn ack_into(message_id: u64, status: &str, out: &mut Vec<u8>) {
    // There is one for each update: formatting takes several times as long.
    out.extend_from_slice(br#"{"type":"messageAck","messageAck":{"messageId":"#);
    out.extend_from_slice(itoa::Buffer::new().format(message_id).as_bytes());
    out.extend_from_slice(br#","status":"#);
    if status == SUCCESS {
        out.extend_from_slice(br#""success"}}"#);
    } else {
        let _ = write!(out, "{}}}}}", Value::from(status));
    }
}

/// The text of an ack.
pub fn ack(message_id: u64, status: &str) -> String {
    let mut out = Vec::new();
    ack_into(message_id, status, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::events::message::Envelope;
    use crate::protocol::json::Document;

    #[test]
    fn what_is_written_reads_back() {
        let wanted = Subscription {
            index: 1,
            resource: Resource::CallRoster,
            call: Some("c".into()),
            elements: Some(vec!["name".into()]),
        };
        let text = subscribe_request(9, &[wanted]);
        let mut tape = Document::new();
        let Envelope::Message(message) = Envelope::of(tape.parse(&text).unwrap()) else { panic!("no message") };
        assert_eq!(message.message_type(), Some(MessageType::SubscribeRequest));
        let read = message.requested().unwrap().next().unwrap();
        assert_eq!((read.index(), read.resource(), read.call()), (Some(1), Some(Resource::CallRoster), Some("c")));
        assert_eq!(read.elements().filter_map(|e| e.as_str()).collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn an_ack_escapes_a_status_that_needs_it() {
        let mut tape = Document::new();
        let text = ack(7, "a\"b");
        let Envelope::Ack(read) = Envelope::of(tape.parse(&text).unwrap()) else { panic!("no ack") };
        assert_eq!((read.message_id(), read.status()), (Some(7), Some("a\"b")));
        assert_eq!(ack(7, SUCCESS), r#"{"type":"messageAck","messageAck":{"messageId":7,"status":"success"}}"#);
    }
}
