//! The wire layer: bytes into typed inputs, typed effects into bytes.
//!
//! Frames go through `protocol::ws::frame`, JSON is read through `protocol::json` and `protocol::events`. Spelling that
//! dialects vary (order, white space, types of values, header case) is decided here and nowhere else.

use serde_json::{Map, Value, json};

use super::settings::Settings;
use super::typed::{ConnectionKey, Entry, Event, Input, Oddity, Wanted};
use super::values::{HeaderCase, KeyOrder, Typed, Unset, WhiteSpace};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Envelope, MessageType, Resource, UpdateType, write};
use crate::protocol::http::{Headers, Response};
use crate::protocol::json::{Document, Json, Kind};
use crate::protocol::ws::frame::{self, Decoded, Frame, Opcode};

/// Takes the next frame off the front of what was received, as an input. `None` if there is no whole one; pongs,
/// acks and requests all become inputs, each frame exactly one.
pub(super) fn next_input(
    received: &mut Vec<u8>,
    consumed: &mut usize,
    limit: u64,
    connection: ConnectionKey,
    tape: &mut Document,
) -> Option<Input> {
    let odd = |what| Some(Input::Odd { connection, what, id: None });
    match frame::decode(&mut received[*consumed..], limit) {
        Decoded::Incomplete { .. } => None,
        Decoded::TooLong { .. } => {
            received.clear();
            *consumed = 0;
            odd(Oddity::TooLong)
        }
        Decoded::Frame { frame, consumed: length } => {
            let input = input_of(&frame, connection, tape);
            *consumed += length;
            Some(input)
        }
    }
}

fn input_of(frame: &Frame<'_>, connection: ConnectionKey, tape: &mut Document) -> Input {
    let odd = |what| Input::Odd { connection, what, id: None };
    let header = &frame.header;
    let misshapen = header.opcode.is_control() && (!header.fin || header.length > 125);
    if header.reserved != 0 || !header.opcode.is_defined() || misshapen {
        return odd(Oddity::BadFrame);
    }
    if header.mask.is_none() {
        return odd(Oddity::Unmasked);
    }
    match header.opcode {
        Opcode::CLOSE => Input::Closing { connection, code: frame::close_code(frame.payload) },
        Opcode::PING => odd(Oddity::Ping(frame.payload.to_vec())),
        Opcode::PONG => odd(Oddity::Pong),
        Opcode::CONTINUATION => odd(Oddity::Fragment),
        _ if !header.fin => odd(Oddity::Fragment),
        Opcode::BINARY => odd(Oddity::Binary),
        _ => match std::str::from_utf8(frame.payload) {
            Err(_) => odd(Oddity::BadUtf8),
            Ok(text) => match tape.parse(text) {
                Err(_) => odd(Oddity::BadJson),
                Ok(document) => message_of(document, connection),
            },
        },
    }
}

fn message_of(document: Json<'_>, connection: ConnectionKey) -> Input {
    match Envelope::of(document) {
        Envelope::Other(_) => Input::Odd { connection, what: Oddity::BadJson, id: None },
        Envelope::Ack(ack) => Input::Acked { connection, id: ack.message_id(), good: ack.status() == Some(SUCCESS) },
        Envelope::Message(message) => {
            let unknown = |id| Input::Odd { connection, what: Oddity::UnknownMessage, id };
            let Some(id) = message.message_id() else { return unknown(None) };
            if message.message_type() != Some(MessageType::SubscribeRequest) {
                return unknown(Some(id));
            }
            let Some(requested) = message.requested() else { return unknown(Some(id)) };
            let mut wanted = Vec::new();
            for entry in requested {
                if entry.body().kind() != Kind::Object {
                    return unknown(Some(id));
                }
                let elements = entry.elements().filter_map(|name| name.as_str().map(str::to_owned)).collect();
                wanted.push(Wanted {
                    index: entry.index(),
                    resource: entry.resource(),
                    call: entry.call().map(str::to_owned),
                    elements,
                });
            }
            Input::Subscribe { connection, id, wanted }
        }
    }
}

/// The text of an ack.
pub(super) fn ack_text(settings: &Settings, id: u64, status: &str) -> String {
    let mut ack = Map::new();
    ack.insert("messageId".to_owned(), id.into());
    ack.insert("status".to_owned(), status.into());
    document(settings, json!({"type": "messageAck", "messageAck": ack}))
}

/// The text of a message.
pub(super) fn message_text(settings: &Settings, id: u64, event: &Event) -> String {
    let mut message = Map::new();
    message.insert("messageId".to_owned(), id.into());
    match event {
        Event::States(states) => {
            message.insert("type".to_owned(), MessageType::SubscriptionUpdate.as_str().into());
            let list = states.iter().map(|entry| json!({"index": entry.index, "state": entry.state}));
            message.insert("subscriptions".to_owned(), Value::Array(list.collect()));
        }
        Event::Update { index, resource, entries } => {
            message.insert("type".to_owned(), resource.update_type().as_str().into());
            message.insert("subscriptionIndex".to_owned(), (*index).into());
            let mut shown = entries.iter().map(|entry| entry_value(settings, *resource, entry));
            if *resource == Resource::CallInfo {
                message.insert("callInfo".to_owned(), shown.next().unwrap_or_else(|| json!({})));
            } else {
                message.insert("updates".to_owned(), shown.collect());
            }
        }
        Event::Other(inner) => message.extend(inner.clone()),
    }
    if settings.extra_fields {
        message.insert("priority".to_owned(), "normal".into());
    }
    document(settings, json!({"type": "message", "message": message}))
}

fn entry_value(settings: &Settings, resource: Resource, entry: &Entry) -> Value {
    let mut fields = Map::new();
    for (name, value) in &entry.fields {
        let first = entry.kind == UpdateType::Add;
        let shown = match value {
            Value::Bool(flag) if settings.booleans == Typed::Text => flag.to_string().into(),
            Value::Number(number) if settings.numbers == Typed::Text => number.to_string().into(),
            Value::String(text) if text.is_empty() && first => match settings.unset {
                Unset::Absent => continue,
                Unset::Null => Value::Null,
                Unset::Empty => value.clone(),
            },
            other => other.clone(),
        };
        fields.insert(name.clone(), shown);
    }
    if resource != Resource::CallInfo {
        return write::entry(resource, &entry.key, entry.kind, fields);
    }
    if settings.call_in_call_info {
        fields.insert("call".to_owned(), entry.key.as_str().into());
    }
    Value::Object(fields)
}

fn document(settings: &Settings, mut value: Value) -> String {
    if settings.extra_fields
        && let Value::Object(members) = &mut value
    {
        members.insert("origin".to_owned(), "callbridge".into());
    }
    let value = match settings.key_order {
        KeyOrder::Guide => value,
        order => reorder(value, order),
    };
    match settings.white_space {
        WhiteSpace::None => value.to_string(),
        WhiteSpace::Pretty => serde_json::to_string_pretty(&value).unwrap_or_else(|_| value.to_string()),
    }
}

fn reorder(value: Value, order: KeyOrder) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(|item| reorder(item, order)).collect(),
        Value::Object(members) => {
            let mut members: Vec<(String, Value)> =
                members.into_iter().map(|(name, value)| (name, reorder(value, order))).collect();
            match order {
                KeyOrder::Guide => {}
                KeyOrder::Sorted => members.sort_by(|a, b| a.0.cmp(&b.0)),
                KeyOrder::Reversed => members.reverse(),
            }
            Value::Object(members.into_iter().collect())
        }
        other => other,
    }
}

/// An answer with header names as the dialect spells them.
pub(super) fn spelt(settings: &Settings, response: Response) -> Response {
    let spell: fn(&str) -> String = match settings.header_case {
        HeaderCase::Mixed => return response,
        HeaderCase::Lower => str::to_lowercase,
        HeaderCase::Upper => str::to_uppercase,
    };
    let headers: Headers = response.headers.iter().map(|(name, value)| (spell(name), value)).collect();
    Response { headers, ..response }
}
