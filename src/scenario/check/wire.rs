//! Whether what a scenario sends by hand is input that the guides allow. Anything else is `probing`.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::protocol::events::{MessageType, Resource};
use crate::scenario::syntax::SendFrame;
use crate::scenario::template;
use crate::spec::elements;

/// Whether the inner object of a message is a well-formed request (EVENTS 1.1.1, 5.0.1).
pub(super) fn is_sound_message(message: &Value) -> bool {
    let id_is_sound = match message.get("messageId") {
        None => true,
        Some(id) => is_number(id),
    };
    let kind = message.get("type").and_then(Value::as_str).and_then(MessageType::from_word);
    let subscriptions = message.get("subscriptions").and_then(Value::as_array);
    id_is_sound && kind == Some(MessageType::SubscribeRequest) && subscriptions.is_some_and(|set| is_sound_set(set))
}

fn is_sound_set(set: &[Value]) -> bool {
    let mut seen = BTreeSet::new();
    set.iter().all(|entry| {
        let Some(resource) = entry.get("type").and_then(Value::as_str).and_then(Resource::from_word) else {
            return false;
        };
        let index = entry.get("index").filter(|index| is_number(index));
        let known = |name: &Value| name.as_str().is_some_and(|name| elements::find(resource, name).is_some());
        index.is_some_and(|index| seen.insert(index.to_string()))
            && entry.get("call").is_some_and(Value::is_string) == resource.needs_call()
            && entry.get("elements").is_none_or(|list| list.as_array().is_some_and(|list| list.iter().all(known)))
    })
}

/// Whether a value is a number that is not negative, or a template that may come out as one.
fn is_number(value: &Value) -> bool {
    value.as_u64().is_some() || value.as_str().is_some_and(|text| text.starts_with("${"))
}

/// Whether the text of a frame is one of the two envelopes with sound content (EVENTS 5.0.1).
pub(super) fn is_sound_text(text: &str) -> bool {
    let filled = template::parse(text).and_then(|parsed| parsed.resolve(&|_| Some("0".to_owned())));
    let Some(envelope) = filled.ok().and_then(|text| serde_json::from_str::<Value>(&text).ok()) else { return false };
    match envelope.get("type").and_then(Value::as_str) {
        Some("message") => envelope
            .get("message")
            .is_some_and(|message| message.get("messageId").is_some() && is_sound_message(message)),
        Some("messageAck") => envelope.get("messageAck").is_some_and(|ack| {
            ack.get("messageId").is_some_and(is_number) && ack.get("status").is_some_and(Value::is_string)
        }),
        _ => false,
    }
}

/// Whether a frame is one that the guides let a client send (EVENTS 6, RFC 6455 5.1).
pub(super) fn is_sound_frame(frame: &SendFrame) -> bool {
    let text = frame.text.as_ref().map_or("", |text| text.0.as_str());
    frame.fin != Some(false)
        && frame.reserved.unwrap_or_default() == 0
        && frame.masked != Some(false)
        && frame.claim.is_none()
        && frame.opcode.value == "text"
        && is_sound_text(text)
}

/// Whether a text is bytes in hexadecimal; spaces between them are allowed.
pub(super) fn is_hex(text: &str) -> bool {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    digits.len().is_multiple_of(2) && digits.iter().all(char::is_ascii_hexdigit)
}

/// The names of opcodes in scenarios.
pub(super) const OPCODES: [&str; 6] = ["text", "binary", "continuation", "close", "ping", "pong"];

/// Whether a text names an opcode: by word, or by number as `0x3`.
pub(super) fn is_opcode(text: &str) -> bool {
    let number = text.strip_prefix("0x").and_then(|digits| u8::from_str_radix(digits, 16).ok());
    OPCODES.contains(&text) || number.is_some_and(|number| number <= 0xf)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sound_request_names_numbers_known_types_and_its_calls() {
        let request = |set: Value| json!({"type": "subscribeRequest", "subscriptions": set});
        assert!(is_sound_message(&request(json!([{"index": 1, "type": "calls", "elements": ["name"]}]))));
        assert!(is_sound_message(&request(json!([{"index": "${n}", "type": "callInfo", "call": "${call}"}]))));
        for wrong in [
            json!([{"index": 1, "type": "calls"}, {"index": 1, "type": "calls"}]),
            json!([{"index": "one", "type": "calls"}]),
            json!([{"index": -1, "type": "calls"}]),
            json!([{"index": 1, "type": "spaces"}]),
            json!([{"index": 1, "type": "callRoster"}]),
            json!([{"index": 1, "type": "calls", "elements": ["colour"]}]),
            json!(null),
        ] {
            assert!(!is_sound_message(&request(wrong.clone())), "{wrong}");
        }
        assert!(!is_sound_message(&json!({"type": "unsubscribe"})));
        assert!(!is_sound_message(&json!({"type": "subscribeRequest", "messageId": null, "subscriptions": []})));
    }

    #[test]
    fn a_sound_text_is_one_of_the_two_envelopes() {
        let request =
            r#"{"type": "message", "message": {"messageId": ${n}, "type": "subscribeRequest", "subscriptions": []}}"#;
        assert!(is_sound_text(request));
        assert!(is_sound_text(r#"{"type": "messageAck", "messageAck": {"messageId": 1, "status": "success"}}"#));
        for wrong in ["", "{", "[]", r#"{"type": "message"}"#, r#"{"type": "messageAck", "messageAck": {}}"#] {
            assert!(!is_sound_text(wrong), "{wrong}");
        }
    }

    #[test]
    fn opcodes_have_words_and_numbers() {
        assert!(is_opcode("ping") && is_opcode("0x3") && is_opcode("0xf"));
        assert!(!is_opcode("0x10") && !is_opcode("3") && !is_opcode("pings"));
        assert!(is_hex("c3 28") && is_hex("") && !is_hex("c") && !is_hex("zz"));
    }
}
