//! The list of bent clients: each breaks one requirement on events clients, as a real client might.

use serde_json::{Value, json};

use super::bend::{Arrived, Bend, Bent, NewFrame};
use crate::protocol::json::Json;
use crate::protocol::ws::frame::{Header, Opcode, close_payload};

/// One bent client of the list.
#[derive(Debug, Clone, Copy)]
pub struct BentClient {
    /// The name, in kebab-case; no mutant of the emulator has it.
    pub name: &'static str,
    /// The requirement that it breaks.
    pub breaks: &'static str,
    /// Requirements that may fail with it, each with the reason.
    pub collateral: &'static [(&'static str, &'static str)],
    /// How a real client comes to have this fault.
    pub story: &'static str,
    /// Makes one.
    pub make: fn() -> Box<dyn Bend>,
}

/// The bent client of that name.
pub fn find(name: &str) -> Option<&'static BentClient> {
    ALL.iter().find(|one| one.name == name)
}

/// A fresh bend of that name.
pub fn make(name: &str) -> Option<Box<dyn Bend>> {
    find(name).map(|one| (one.make)())
}

const fn row(name: &'static str, breaks: &'static str, story: &'static str, make: fn() -> Box<dyn Bend>) -> BentClient {
    BentClient { name, breaks, collateral: &[], story, make }
}

/// The same, where the message that is not acknowledged may be one with something unknown in it.
const fn row_that_skips(
    name: &'static str,
    breaks: &'static str,
    story: &'static str,
    make: fn() -> Box<dyn Bend>,
) -> BentClient {
    let collateral = &[("MSG-13", "the message that lacks its ack may hold something unknown")];
    BentClient { name, breaks, collateral, story, make }
}

/// All bent clients, by requirement.
pub const ALL: &[BentClient] = &[
    // ── WS-06: no binary frame, ping, pong or fragment ──
    row("client-pings", "WS-06", "The library keeps the connection alive with a ping after every fifth frame.", || {
        Bent::frames(|sent, frames| every(sent, 5, frames, |frames| frames.push(control(Opcode::PING, b"alive"))))
    }),
    row("client-pongs", "WS-06", "A proxy's habit: an unsolicited pong after every ninth frame.", || {
        Bent::frames(|sent, frames| every(sent, 9, frames, |frames| frames.push(control(Opcode::PONG, b""))))
    }),
    row("client-sends-binary", "WS-06", "The third text leaves as bytes, since it was built as bytes.", || {
        Bent::frames(|sent, frames| nth(sent, 3, frames, |frame| frame.header.opcode = Opcode::BINARY))
    }),
    row("client-fragments-long-requests", "WS-06", "The library splits texts beyond its buffer of 300 bytes.", || {
        Bent::frames(|_, frames| {
            let long = |frame: &NewFrame| frame.header.opcode == Opcode::TEXT && frame.payload.len() > 300;
            if let Some(at) = frames.iter().position(long) {
                let mut rest = frames[at].clone();
                rest.payload = frames[at].payload.split_off(300);
                rest.header.opcode = Opcode::CONTINUATION;
                frames[at].header.fin = false;
                frames.insert(at + 1, rest);
            }
        })
    }),
    // ── WS-07: every frame is masked ──
    row("client-never-masks", "WS-07", "Masking was left out to save time.", || {
        Bent::frames(|_, frames| frames.iter_mut().for_each(|frame| frame.masked = false))
    }),
    row("client-leaves-acks-unmasked", "WS-07", "Acks take a fast path that does not mask.", || {
        Bent::frames(|_, frames| {
            for frame in frames.iter_mut().filter(|frame| frame.payload.starts_with(br#"{"type":"messageAck""#)) {
                frame.masked = false;
            }
        })
    }),
    row(
        "client-closes-unmasked",
        "WS-07",
        "The close frame is written by another routine, which does not mask.",
        || {
            Bent::frames(|_, frames| {
                for frame in frames.iter_mut().filter(|frame| frame.header.opcode == Opcode::CLOSE) {
                    frame.masked = false;
                }
            })
        },
    ),
    // ── MSG-02: one of the two envelopes ──
    row("client-requests-without-envelope", "MSG-02", "The inner object is sent as it is.", || {
        Bent::document(|_, document| {
            if let Some(inner) = document.get("message").cloned() {
                *document = inner;
            }
        })
    }),
    row("client-spells-the-envelope", "MSG-02", "The type of the envelope has a capital letter.", || {
        Bent::document(|_, document| {
            if document.get("message").is_some() {
                document["type"] = "Message".into();
            }
        })
    }),
    row(
        "client-sends-a-second-request-as-a-list",
        "MSG-02",
        "From the second on, requests are batched in a list.",
        || {
            Bent::document(|sent, document| {
                if document.get("message").is_some() {
                    *sent += 1;
                    if *sent > 1 {
                        *document = json!([document.take()]);
                    }
                }
            })
        },
    ),
    // ── MSG-06: each message is acknowledged once, with success ──
    row("client-acks-twice", "MSG-06", "Two listeners acknowledge the same message.", || {
        Bent::acks(|_, _, acks| acks.extend(acks.clone()))
    }),
    row("client-acks-ok", "MSG-06", "The status says ok.", || {
        Bent::acks(|_, _, acks| acks.iter_mut().for_each(|(_, status)| "ok".clone_into(status)))
    }),
    row_that_skips("client-skips-the-third-ack", "MSG-06", "An ack is lost when two threads write.", || {
        Bent::acks(|_, arrived, acks| {
            if arrived.nth == 3 {
                acks.clear();
            }
        })
    }),
    row_that_skips("client-acks-the-id-before", "MSG-06", "From the fourth message on, the id is one behind.", || {
        Bent::acks(|_, arrived, acks| {
            if arrived.nth > 3 {
                acks.iter_mut().for_each(|(id, _)| *id = id.saturating_sub(1));
            }
        })
    }),
    row(
        "client-acks-no-states",
        "MSG-06",
        "A client that waits for pending and active forgets the ack of deactivated.",
        || {
            Bent::acks(|_, arrived, acks| {
                let gone = |state: Json<'_>| state.get("state").and_then(Json::as_str) == Some("deactivated");
                if arrived.message.body().get("subscriptions").is_some_and(|states| states.elements().any(gone)) {
                    acks.clear();
                }
            })
        },
    ),
    // ── MSG-13: what is not known is tolerated ──
    row("client-ignores-unknown-types", "MSG-13", "A switch over types has no default.", || {
        Bent::acks(|_, arrived, acks| {
            if arrived.message.message_type().is_none() {
                acks.clear();
            }
        })
    }),
    row(
        "client-rejects-unknown-fields",
        "MSG-13",
        "The parser is strict, and what it refuses is not acknowledged.",
        || {
            Bent::acks(|_, arrived, acks| {
                if has_unknown_fields(arrived) && arrived.message.message_type().is_some() {
                    acks.clear();
                }
            })
        },
    ),
    row("client-leaves-at-unknown-types", "MSG-13", "An exception ends the connection.", || Box::<Leaver>::default()),
    // ── SUB-17: requests are well made ──
    row("client-writes-indexes-as-text", "SUB-17", "The index is a text.", || {
        Bent::document(|_, document| {
            for entry in entries(document) {
                entry["index"] = entry["index"].to_string().into();
            }
        })
    }),
    row(
        "client-uses-an-index-twice",
        "SUB-17",
        "The counter starts anew for each type: the second entry repeats the first one's.",
        || {
            Bent::document(|_, document| {
                if let [first, second, ..] = entries(document) {
                    second["index"] = first["index"].clone();
                }
            })
        },
    ),
    row(
        "client-asks-for-a-roster-without-a-call",
        "SUB-17",
        "The call is not known yet when the roster is asked for.",
        || {
            Bent::document(|_, document| {
                for entry in entries(document).iter_mut().filter(|entry| entry["type"] == "callRoster") {
                    if let Some(entry) = entry.as_object_mut() {
                        entry.remove("call");
                    }
                }
            })
        },
    ),
    row("client-asks-for-an-unknown-type", "SUB-17", "The type is spelled as in the client's own code.", || {
        Bent::document(|_, document| {
            for entry in entries(document).iter_mut().filter(|entry| entry["type"] == "callInfo") {
                entry["type"] = "callinfo".into();
            }
        })
    }),
    // ── LIM-09: five connections, a hundred subscriptions ──
    row("client-asks-for-too-much", "LIM-09", "The client fills each request up to a hundred and ten.", || {
        Bent::document(|_, document| fill_up(document, 110))
    }),
    row("client-asks-for-one-too-many", "LIM-09", "The limit is checked before the list of calls is added.", || {
        Bent::document(|_, document| {
            if entries(document).len() == 100 {
                fill_up(document, 101);
            }
        })
    }),
    row(
        "client-grows-beyond-the-limit",
        "LIM-09",
        "The second request adds to the first instead of replacing it.",
        || {
            Bent::document(|sent, document| {
                if document.get("message").is_some() {
                    *sent += 1;
                    if *sent == 2 {
                        fill_up(document, 104);
                    }
                }
            })
        },
    ),
];

/// Leaves at the first message of a type that it does not know.
#[derive(Debug, Default)]
struct Leaver {
    leaving: bool,
}

impl Bend for Leaver {
    fn acks(&mut self, arrived: &Arrived<'_>, _: &mut Vec<(u64, String)>) {
        self.leaving = arrived.message.message_type().is_none();
    }

    fn frames(&mut self, frames: &mut Vec<NewFrame>) {
        if std::mem::take(&mut self.leaving) {
            *frames = vec![control(Opcode::CLOSE, &close_payload(1003, ""))];
        }
    }
}

/// A control frame.
fn control(opcode: Opcode, payload: &[u8]) -> NewFrame {
    NewFrame { header: Header::new(opcode, payload.len() as u64), masked: true, payload: payload.to_vec() }
}

/// Does something at every `n`-th frame.
fn every(sent: &mut u64, n: u64, frames: &mut Vec<NewFrame>, act: impl Fn(&mut Vec<NewFrame>)) {
    *sent += 1;
    if sent.is_multiple_of(n) {
        act(frames);
    }
}

/// Changes the `n`-th frame.
fn nth(sent: &mut u64, n: u64, frames: &mut [NewFrame], act: impl Fn(&mut NewFrame)) {
    *sent += 1;
    if *sent == n {
        frames.iter_mut().for_each(act);
    }
}

/// The entries of a request; none of anything else.
fn entries(document: &mut Value) -> &mut [Value] {
    document
        .get_mut("message")
        .and_then(|message| message.get_mut("subscriptions"))
        .and_then(Value::as_array_mut)
        .map_or(&mut [], Vec::as_mut_slice)
}

/// Adds subscriptions to the list of calls until there are `count` entries.
fn fill_up(document: &mut Value, count: usize) {
    let list = document.get_mut("message").and_then(|message| message.get_mut("subscriptions"));
    let Some(list) = list.and_then(Value::as_array_mut) else { return };
    for index in 0..count.saturating_sub(list.len()) {
        list.push(json!({"index": 900_000 + index, "type": "calls", "elements": ["name"]}));
    }
}

fn has_unknown_fields(arrived: &Arrived<'_>) -> bool {
    let known = ["type", "messageId", "subscriptionIndex", "subscriptions", "updates", "callInfo"];
    arrived.message.body().members().any(|member| !known.contains(&member.name_text()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_each_requirement_has_three() {
        let names: BTreeSet<_> = ALL.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), ALL.len());
        for id in ["WS-06", "WS-07", "MSG-02", "MSG-06", "MSG-13", "SUB-17", "LIM-09"] {
            assert!(ALL.iter().filter(|one| one.breaks == id).count() >= 3, "{id}");
        }
        assert!(make("client-acks-twice").is_some() && make("nobody").is_none());
    }
}
