//! Mutants of the WebSocket layer (WS).

use super::super::mutant::{Question, View};
use super::super::typed::{ConnectionKey, Effect, Input, Oddity};
use super::fault::{Fault, text_of};
use super::registry::{Registered, row};
use crate::protocol::ws::frame::{Header, Opcode};

pub(super) const MUTANTS: &[Registered] = &[
    row("binary-heartbeat", "WS-01", &[], "Another product's keep-alive was taken over.", || {
        Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 1, e, pass, Opcode::BINARY, b"\0")).boxed()
    }),
    row("binary-beside-every-fifth", "WS-01", &[], "Statistics are sent on the same socket.", || {
        Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 5, e, pass, Opcode::BINARY, b"load")).boxed()
    }),
    row("binary-now-and-then", "WS-01", &[], "A flush of statistics.", || {
        Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 13, e, pass, Opcode::BINARY, b"")).boxed()
    }),
    row("long-messages-in-fragments", "WS-02", &[], "The send buffer has a fixed size.", || {
        Fault::<()>::new().effect(|(), view, e, pass| fragment(view, e, pass, 200)).boxed()
    }),
    row("every-message-in-fragments", "WS-02", &[], "A streaming writer flushes before the end.", || {
        Fault::<()>::new().effect(|(), view, e, pass| fragment(view, e, pass, 1)).boxed()
    }),
    row("ping-beside-messages", "WS-03", &[], "The library's keep-alive is on by default.", || {
        Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 3, e, pass, Opcode::PING, b"")).boxed()
    }),
    row("ping-now-and-then", "WS-03", &[], "An idle timer that is not reset by acks.", || {
        Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 11, e, pass, Opcode::PING, b"alive?")).boxed()
    }),
    row("pong-unasked", "WS-03", &[], "A one-way heartbeat as the RFC permits it.", || {
        Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 4, e, pass, Opcode::PONG, b"")).boxed()
    }),
    row("frames-masked", "WS-04", &[], "Server and client share one frame writer.", || {
        Fault::<()>::new().frame(|(), _, header, _| header.mask = Some([7, 7, 7, 7])).boxed()
    }),
    row("reserved-bit-on-long-messages", "WS-04", &[], "The compression flag is set without the compression.", || {
        Fault::<()>::new()
            .frame(|(), _, header, payload| header.reserved = if payload.len() > 150 { 4 } else { 0 })
            .boxed()
    }),
    row("reserved-opcode", "WS-04", &[], "A private control frame.", || {
        Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 4, e, pass, Opcode(0xB), b"")).boxed()
    }),
    row(
        "text-that-is-no-json",
        "WS-05",
        &[("MSG-01", "what is no JSON has no envelope either")],
        "A heartbeat as plain text.",
        || Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 3, e, pass, Opcode::TEXT, b"alive")).boxed(),
    ),
    row(
        "text-that-is-no-utf8",
        "WS-05",
        &[("MSG-01", "what is no text has no envelope either")],
        "Names come from a database in Latin-1.",
        || {
            Fault::<u64>::new()
                .effect(|count, _, e, pass| {
                    beside(count, 3, e, pass, Opcode::TEXT, b"{\"type\":\"message\",\"message\":{\"type\":\"\xe9\"}}");
                })
                .boxed()
        },
    ),
    row(
        "two-objects-in-a-frame",
        "WS-05",
        &[("MSG-01", "two objects are not one envelope")],
        "Messages are joined where they wait.",
        || Fault::<u64>::new().effect(|count, _, e, pass| beside(count, 3, e, pass, Opcode::TEXT, b"{}{}")).boxed(),
    ),
    row("ping-ends-all-connections", "WS-08", &[], "An exception ends the worker that serves all sockets.", || {
        Fault::<()>::new()
            .input(|(), view, input, pass| {
                if matches!(input, Input::Odd { what: Oddity::Ping(_), .. }) {
                    close_all_but(view, None, pass);
                }
                pass.now(input);
            })
            .boxed()
    }),
    row("binary-ends-the-neighbour", "WS-08", &[], "The socket is looked up by a stale position in a list.", || {
        Fault::<()>::new()
            .input(|(), view, input, pass| {
                if let Input::Odd { connection, what: Oddity::Binary, .. } = &input {
                    close_all_but(view, Some(*connection), pass);
                }
                pass.now(input);
            })
            .boxed()
    }),
    row("fragment-stops-newcomers", "WS-08", &[], "The accepting thread waits for the rest of the message.", || {
        Fault::<bool>::new()
            .input(|stuck, _, input, pass| {
                *stuck |= matches!(input, Input::Odd { what: Oddity::Fragment, .. });
                pass.now(input);
            })
            .decide(|stuck, q, answer| answer && !(*stuck && matches!(q, Question::IsPlaceFree(_))))
            .boxed()
    }),
    row("close-not-answered", "WS-10", &[], "The socket is closed as soon as the frame is seen.", || {
        Fault::<()>::new()
            .effect(|(), view, effect, pass| {
                let answer = is_close(&effect) && !is_closing(view, &effect);
                if !answer {
                    pass.now(effect);
                }
            })
            .boxed()
    }),
    row("close-answered-and-left-open", "WS-10", &[], "The socket is left to a collector of idle ones.", || {
        Fault::<()>::new()
            .effect(|(), view, effect, pass| {
                if !matches!(effect, Effect::End { .. }) || is_closing(view, &effect) {
                    pass.now(effect);
                }
            })
            .boxed()
    }),
    row("close-of-the-second-not-answered", "WS-10", &[], "Only the first session has its handler registered.", || {
        Fault::<()>::new()
            .effect(|(), view, effect, pass| {
                let second = effect.connection().is_some_and(|key| key > ConnectionKey(1));
                if !(second && is_close(&effect) && !is_closing(view, &effect)) {
                    pass.now(effect);
                }
            })
            .boxed()
    }),
];

/// Lets an effect through and, beside every nth ack or message, one more frame.
fn beside(
    count: &mut u64,
    every: u64,
    effect: Effect,
    pass: &mut super::super::mutant::Pass<Effect>,
    opcode: Opcode,
    payload: &[u8],
) {
    let to = match &effect {
        Effect::Ack { connection, .. } | Effect::Message { connection, .. } => Some(*connection),
        _ => None,
    };
    pass.now(effect);
    let Some(connection) = to else { return };
    *count += 1;
    if count.is_multiple_of(every) {
        let header = Header::new(opcode, payload.len() as u64);
        pass.now(Effect::Frame { connection, header, payload: payload.to_vec() });
    }
}

/// Splits a message of at least that many bytes into two frames.
fn fragment(view: &View<'_>, effect: Effect, pass: &mut super::super::mutant::Pass<Effect>, least: usize) {
    let Effect::Message { connection, id, event } = effect else { return pass.now(effect) };
    let mut first = text_of(view, id, &event).into_bytes();
    if first.len() < least {
        return pass.now(Effect::Message { connection, id, event });
    }
    let rest = first.split_off(first.len() / 2);
    let header = Header { fin: false, ..Header::new(Opcode::TEXT, first.len() as u64) };
    pass.now(Effect::Frame { connection, header, payload: first });
    let header = Header::new(Opcode::CONTINUATION, rest.len() as u64);
    pass.now(Effect::Frame { connection, header, payload: rest });
}

fn close_all_but(view: &View<'_>, spared: Option<ConnectionKey>, pass: &mut super::super::mutant::Pass<Input>) {
    for key in view.connections.keys().filter(|key| Some(**key) != spared) {
        pass.now(Input::Odd { connection: *key, what: Oddity::TooLong, id: None });
    }
}

fn is_close(effect: &Effect) -> bool {
    matches!(effect, Effect::Frame { header, .. } if header.opcode == Opcode::CLOSE)
}

/// Whether the server itself has begun to close.
fn is_closing(view: &View<'_>, effect: &Effect) -> bool {
    effect.connection().and_then(|key| view.connection(key)).is_some_and(|connection| connection.closing)
}
