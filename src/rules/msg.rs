//! Rules of the envelope and of acknowledgement, as far as the server has to comply (EVENTS 1.1.1, 5.0.1).

use std::collections::VecDeque;
use std::time::Duration;

use super::book::{Special, Surroundings};
use super::connection::{Connection, IdSet, Mark, WITHHELD};
use super::docket::{Charge, Docket, quote};
use super::registry::R;
use super::request::{SUBSCRIPTION_LIMIT, element_place, take_apart};
use super::scene::Scene;
use super::sub;
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Ack, Envelope, Message, MessageType, Resource};
use crate::protocol::json::Kind;
use crate::time::Instant;
use crate::trace::{Seq, Text};

/// The largest whole number that every JSON reader keeps exactly: 2^53 - 1.
const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// How many unacknowledged messages count as "without any bound" (MSG-07).
const UNBOUNDED: usize = 100;

/// How many changes there must have been to say that later messages were held back.
const ENOUGH_CHANGES: u64 = 10;

/// Elements of a roster that came with later releases, and the requirement that they can be subscribed.
const LATER_ELEMENTS: [(&str, R); 4] = [
    ("canMove", R::Upd12),
    ("movedParticipant", R::Upd12),
    ("movedParticipantCallBridge", R::Upd12),
    ("canMoveToLobby", R::Upd13),
];

/// What the guides say of the answer to a client message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Acknowledged once, with success.
    Regular(Special),
    /// Open.
    Open,
    /// Not understood: never acknowledged with success.
    Senseless,
}

/// A client message that is not acknowledged yet.
#[derive(Debug)]
struct Awaited {
    id: u64,
    seq: Seq,
    mark: Mark,
    class: Class,
    request: Option<u32>,
}

/// The client messages of one connection.
#[derive(Debug, Default)]
pub(super) struct Sent {
    awaited: VecDeque<Awaited>,
    ids: IdSet,
    expired: IdSet,
    highest: u64,
    /// The last text that is no message at all, and cannot be acknowledged with success.
    unreadable: Option<Seq>,
    /// Whether some message had an id that is no plain number.
    odd_ids: bool,
    /// What was odd about the id of a message that cannot be matched with an ack.
    odd: Option<&'static str>,
    /// Changes made on the server when the oldest message that is owed an ack came.
    changes_at_debt: Option<u64>,
}

/// A text of the server: the envelope.
pub(super) fn server_text<'d>(connection: &Connection, text: &Text<'d>, scene: &mut Scene<'_>) -> Option<Envelope<'d>> {
    let Text::Json { json, envelope, .. } = text else { return None };
    if json.kind() != Kind::Object {
        return None;
    }
    let wrong = match &envelope {
        Envelope::Message(message) => match (message.raw_id().map(|id| id.kind()), message.type_name()) {
            (Some(Kind::Number), Some(_)) => None,
            (Some(Kind::Number), None) => Some("a message without a type"),
            (Some(_), _) => Some("a messageId that is no number"),
            (None, _) => Some("a message without messageId"),
        },
        Envelope::Ack(ack) => match (ack.raw_id(), ack.raw_status()) {
            (Some(_), Some(_)) => None,
            (None, _) => Some("an ack without messageId"),
            (_, None) => Some("an ack without status"),
        },
        Envelope::Other(_) => Some("neither a message nor a messageAck"),
    };
    match wrong {
        None => scene.docket.tested(R::Msg01),
        Some(wrong) => {
            let expected = "a message with messageId and type, or a messageAck with messageId and status";
            scene.fail(R::Msg01, connection, vec![], expected, || format!("{wrong}: {}", quote(&json.to_string())));
        }
    }
    Some(*envelope)
}

/// A message of the server came that has to be acknowledged.
pub(super) fn server_message(
    connection: &mut Connection,
    sent: &mut Sent,
    message: Message<'_>,
    scene: &mut Scene<'_>,
) {
    let Some(id) = message.message_id() else { return };
    if connection.owed.is_empty() {
        sent.changes_at_debt = Some(scene.api.changes_made);
    }
    match connection.owe(id, scene.seq, scene.at) {
        Some(same) => {
            let expected = "an id that no unacknowledged message has";
            scene.fail(R::Msg09, connection, vec![same.seq], expected, || format!("messageId {id} again"));
        }
        None => scene.docket.tested(R::Msg09),
    }
}

/// An ack of the server.
pub(super) fn server_ack(connection: &mut Connection, sent: &mut Sent, ack: Ack<'_>, scene: &mut Scene<'_>) {
    let (Some(raw), Some(_)) = (ack.raw_id(), ack.raw_status()) else { return };
    let status = ack.status().unwrap_or_default();
    let Some(id) = ack.message_id() else {
        if sent.odd_ids {
            scene.docket.note(
                R::Msg12,
                sent.odd.take().unwrap_or("ack-of-an-odd-message-id"),
                format!("ack of {raw}: {status}"),
            );
        } else {
            let expected = "acks of messages that the client sent";
            scene.fail(R::Msg10, connection, vec![], expected, || format!("an ack of {raw}"));
        }
        return;
    };
    if let Some(place) = sent.awaited.iter().position(|awaited| awaited.id == id)
        && let Some(awaited) = sent.awaited.remove(place)
    {
        scene.docket.tested(R::Msg10);
        return acknowledged(connection, &awaited, status, scene);
    }
    if sent.expired.contains(id) {
        return;
    }
    if !sent.ids.contains(id) {
        return unknown_ack(connection, sent, id, status, scene);
    }
    // The server has its own numbers for its messages: an ack that bears one of these may answer an ack of the client.
    // That is what it does, if it did so before where nothing else could be meant.
    let expected = "exactly one ack for each client message";
    let observed = || format!("messageId {id} is acknowledged again");
    if connection.acked_server_ids.contains(id) {
        let charge = Charge {
            connection: Some(connection.id),
            expected: expected.to_owned(),
            observed: observed(),
            evidence: vec![scene.seq],
        };
        return scene.docket.fail_either(R::Msg03, R::Msg10, scene.at, charge);
    }
    scene.fail(R::Msg03, connection, vec![], expected, observed);
}

fn unknown_ack(connection: &Connection, sent: &mut Sent, id: u64, status: &str, scene: &mut Scene<'_>) {
    if let Some(seq) = sent.unreadable
        && status == SUCCESS
        && !connection.acked_server_ids.contains(id)
    {
        let expected = "no ack with success for what cannot be understood";
        return scene.fail(R::Msg05, connection, vec![seq], expected, || {
            format!("messageId {id} is acknowledged with success")
        });
    }
    let expected = "acks of messages that the client sent";
    scene.fail(R::Msg10, connection, vec![], expected, || {
        format!("an ack of messageId {id}, which the client did not use")
    });
}

/// A client message was acknowledged.
fn acknowledged(connection: &mut Connection, awaited: &Awaited, status: &str, scene: &mut Scene<'_>) {
    let granted = status == SUCCESS;
    match awaited.class {
        Class::Senseless => {
            scene.docket.note(R::Msg12, "ack-of-what-cannot-be-understood", status);
            if granted {
                let expected = "no ack with success for what cannot be understood";
                scene.fail(R::Msg05, connection, vec![awaited.seq], expected, || "an ack with success".to_owned());
            } else {
                scene.docket.tested(R::Msg05);
            }
        }
        Class::Open => {
            scene.docket.note(R::Msg12, "ack-of-an-irregular-request", status);
            if let Some(number) = awaited.request {
                sub::note_irregular(connection, number, status, scene.docket);
            }
        }
        Class::Regular(special) => regular_ack(connection, awaited, special, status, scene),
    }
    let Some(number) = awaited.request else { return };
    if granted {
        let mark = connection.mark(scene.at);
        connection.book.granted(number, mark);
        sub::settle(connection, number, scene);
    } else {
        connection.book.refused(number, matches!(awaited.class, Class::Regular(_)));
    }
}

fn regular_ack(connection: &mut Connection, awaited: &Awaited, special: Special, status: &str, scene: &mut Scene<'_>) {
    scene.docket.tested(R::Msg03);
    if special == Special::None {
        scene.controls.acks.met();
    }
    if status == SUCCESS {
        scene.docket.tested(R::Msg04);
        if special == Special::None {
            scene.controls.grants.met();
        }
        if let Some(number) = awaited.request {
            scene.controls.granted_roster_elements |= connection.book.elements_of(number);
        }
        if let Some(rule) = special.shown_by_ack() {
            scene.docket.tested(rule);
        }
    } else {
        let rule = sub::blame(scene.controls.grants, R::Msg04, special.rule());
        let rule = if rule == R::Msg04 { refused_element(connection, awaited, scene).unwrap_or(rule) } else { rule };
        if rule == R::Msg04 {
            scene.controls.grants.missed();
        }
        scene.fail(rule, connection, vec![awaited.seq], "status success", || format!("status {}", quote(status)));
    }
    // Once a request was refused, nothing says which request a state belongs to.
    if status != SUCCESS || connection.book.unsure {
        return;
    }
    let Some(request) = awaited.request.and_then(|number| connection.book.request_mut(number)) else { return };
    match request.early {
        Some(early) => {
            let expected = "the ack before any subscriptionUpdate that the request causes";
            scene.fail(R::Msg11, connection, vec![awaited.seq, early], expected, || {
                "the ack comes after one".to_owned()
            });
        }
        None => scene.docket.tested(R::Msg11),
    }
}

/// Whether a request is refused for an element of later releases that it names: few others were refused, and none that
/// was granted named it.
fn refused_element(connection: &Connection, awaited: &Awaited, scene: &Scene<'_>) -> Option<R> {
    if !scene.controls.grants.holds() {
        return None;
    }
    let named = connection.book.elements_of(awaited.request?);
    let fresh = named & !scene.controls.granted_roster_elements;
    let of = |rule: R| LATER_ELEMENTS.iter().filter(move |(_, known)| *known == rule);
    let names = |rule: R| {
        of(rule)
            .any(|(name, _)| element_place(Resource::CallRoster, name).is_some_and(|place| fresh & (1 << place) != 0))
    };
    match (names(R::Upd12), names(R::Upd13)) {
        (true, false) => Some(R::Upd12),
        (false, true) => Some(R::Upd13),
        _ => None,
    }
}

/// A text of the client.
pub(super) fn client_text(
    connection: &mut Connection,
    sent: &mut Sent,
    text: &Text<'_>,
    around: Surroundings,
    scene: &mut Scene<'_>,
) {
    let Text::Json { envelope, .. } = text else {
        sent.unreadable = Some(scene.seq);
        return;
    };
    match *envelope {
        Envelope::Ack(ack) => client_ack(connection, sent, ack, scene),
        Envelope::Message(message) => client_message(connection, sent, message, around, scene),
        Envelope::Other(_) => {
            sent.unreadable = Some(scene.seq);
            connection.abused.get_or_insert(scene.seq);
        }
    }
}

fn client_ack(connection: &mut Connection, sent: &mut Sent, ack: Ack<'_>, scene: &mut Scene<'_>) {
    let owed = ack.message_id().filter(|id| connection.owed.iter().any(|owed| owed.id == *id));
    window(connection, sent, scene);
    match owed {
        Some(id) => {
            let late = connection.acknowledged(id, scene.at).is_some_and(|owed| scene.at.since(owed.at) >= WITHHELD);
            if late {
                scene.docket.note_word(R::Msg12, "late-ack", "accepted");
            }
        }
        None => {
            connection.irregular.get_or_insert(scene.seq);
            scene.docket.note(R::Msg12, "ack-that-nothing-is-owed-for", "sent");
        }
    }
    if ack.status() != Some(SUCCESS) {
        connection.irregular.get_or_insert(scene.seq);
        connection.unsure_acks = true;
        scene.docket.note(R::Msg12, "client-ack-with-another-status", "sent");
    }
}

/// How many messages the server sent without an ack, once the client goes on acknowledging.
pub(super) fn window(connection: &Connection, sent: &mut Sent, scene: &mut Scene<'_>) {
    let Some(before) = sent.changes_at_debt.take() else { return };
    let held = connection.owed.len();
    if !connection.withholds(scene.at) || scene.api.changes_made.saturating_sub(before) < ENOUGH_CHANGES {
        // The debt goes on, if there is one: keep counting from where it began.
        sent.changes_at_debt = (held > 1).then_some(before);
        return;
    }
    if held > UNBOUNDED {
        scene.docket.note(R::Msg12, "ack-window", format!("more than {UNBOUNDED}"));
        let evidence = connection.owed.iter().take(2).map(|owed| owed.seq).collect();
        let expected = "later messages held back while an ack is outstanding";
        scene.fail(R::Msg07, connection, evidence, expected, || format!("{held} messages without an ack"));
    } else {
        scene.docket.note(R::Msg12, "ack-window", held.to_string());
        scene.docket.tested(R::Msg07);
    }
}

fn client_message(
    connection: &mut Connection,
    sent: &mut Sent,
    message: Message<'_>,
    around: Surroundings,
    scene: &mut Scene<'_>,
) {
    let request = message.message_type() == Some(MessageType::SubscribeRequest);
    let mut odd_id = None;
    let id = match message.message_id() {
        Some(0) => {
            odd_id = Some("message-id-0");
            Some(0)
        }
        Some(id) if id > LARGEST_EXACT => {
            odd_id = Some("message-id-beyond-2^53");
            Some(id)
        }
        Some(id) if sent.ids.contains(id) => {
            odd_id = Some("message-id-used-twice");
            Some(id)
        }
        Some(id) => Some(id),
        None => {
            sent.odd_ids = true;
            if message.raw_id().is_none() {
                // Whatever is acknowledged with success now was not understood.
                sent.unreadable = Some(scene.seq);
            }
            odd_id = Some(if message.raw_id().is_some() { "message-id-no-plain-number" } else { "message-id-missing" });
            None
        }
    };
    let mark = connection.mark(scene.at);
    if !request {
        connection.irregular.get_or_insert(scene.seq);
        if let Some(id) = id {
            sent.ids.insert(id);
            sent.awaited.push_back(Awaited { id, seq: scene.seq, mark, class: Class::Senseless, request: None });
        } else {
            sent.unreadable = Some(scene.seq);
        }
        return;
    }
    sub::over_limit(connection, scene);
    sub::count_silence(connection, scene.api, scene.docket);
    let mut parts = take_apart(message, scene.version);
    parts.flaws.extend(odd_id);
    if id.is_none() {
        sent.odd = odd_id;
    }
    connection.book.add_flaws(&mut parts);
    if connection.book.sent == 0
        && !scene.earlier_indexes.is_empty()
        && scene.api.changes_made > connection.changes_before
    {
        scene.docket.tested(R::Sub09);
    }
    let over = parts.entries > SUBSCRIPTION_LIMIT;
    let regular = parts.flaws.is_empty() && !over;
    if !regular {
        connection.irregular.get_or_insert(scene.seq);
    }
    let special = match id {
        Some(id) if connection.owed.iter().any(|owed| owed.id == id) => Special::IdsCollide,
        Some(id) if sent.highest > 0 && id != sent.highest + 1 => Special::IdsCollide,
        _ => around.special(parts.entries),
    };
    let number = connection.book.enter(parts, special, scene.at, scene.seq, scene.api.changes_made);
    let Some(id) = id else { return };
    sent.ids.insert(id);
    sent.highest = sent.highest.max(id.min(LARGEST_EXACT));
    let class = if regular { Class::Regular(special) } else { Class::Open };
    sent.awaited.push_back(Awaited { id, seq: scene.seq, mark, class, request: Some(number) });
}

/// Charges acks that are overdue.
pub(super) fn expire(connection: &Connection, sent: &mut Sent, scene: &mut Scene<'_>) {
    while let Some(first) = sent.awaited.front() {
        let overdue = scene.at.since(first.mark.at) > scene.deadlines.reaction
            && (!matches!(first.class, Class::Regular(_))
                || connection.free_since(first.mark, scene.at) > scene.deadlines.reaction);
        if !overdue {
            return;
        }
        let Some(awaited) = sent.awaited.pop_front() else { return };
        sent.expired.insert(awaited.id);
        unanswered(connection, &awaited, scene, "none");
    }
}

fn unanswered(connection: &Connection, awaited: &Awaited, scene: &mut Scene<'_>, how: &str) {
    match awaited.class {
        Class::Senseless => {
            scene.docket.tested(R::Msg05);
            scene.docket.note(R::Msg12, "ack-of-what-cannot-be-understood", how);
        }
        Class::Open => {
            scene.docket.note(R::Msg12, "ack-of-an-irregular-request", how);
            if let Some(number) = awaited.request {
                sub::note_irregular(connection, number, how, scene.docket);
            }
        }
        Class::Regular(_) if !(connection.abused.is_none() && connection.close_sent.is_none()) => {}
        Class::Regular(special) => {
            let rule = sub::blame(scene.controls.acks, R::Msg03, special.rule());
            if rule == R::Msg03 {
                scene.controls.acks.missed();
            }
            let expected = format!("one ack within {} s", scene.deadlines.reaction.as_secs_f32());
            let id = awaited.id;
            scene.fail(rule, connection, vec![awaited.seq], &expected, || match how {
                "none" => format!("no ack of messageId {id}"),
                how => format!("no ack of messageId {id}: {how}"),
            });
        }
    }
}

/// The connection is gone: what is still awaited will not come.
pub(super) fn ended(connection: &Connection, sent: &mut Sent, by_peer: bool, blamed: bool, scene: &mut Scene<'_>) {
    window(connection, sent, scene);
    if let Some(odd) = sent.odd.take() {
        scene.docket.note(R::Msg12, odd, "no ack");
    }
    if sent.unreadable.take().is_some() {
        scene.docket.tested(R::Msg05);
        scene.docket.note(
            R::Msg12,
            "after-unreadable-text",
            if by_peer { "connection ended" } else { "connection goes on" },
        );
    }
    let excused = !by_peer || blamed || connection.irregular.is_some() || connection.withholds(scene.at);
    for awaited in std::mem::take(&mut sent.awaited) {
        match awaited.class {
            Class::Regular(_) if excused => {}
            _ => unanswered(connection, &awaited, scene, if by_peer { "connection ended" } else { "none" }),
        }
    }
}

/// When the next ack is due.
pub(super) fn due(connection: &Connection, sent: &Sent, allowed: Duration, now: Instant) -> Option<Instant> {
    if !connection.in_order() {
        return None;
    }
    let regular = sent.awaited.iter().filter(|awaited| matches!(awaited.class, Class::Regular(_)));
    regular.filter_map(|awaited| connection.expires(awaited.mark, allowed, now)).max()
}

/// Counts what is left when judging ends while the connection is open.
pub(super) fn finish(connection: &Connection, sent: &mut Sent, docket: &mut Docket) {
    if sent.unreadable.take().is_some() {
        docket.tested(R::Msg05);
    }
    if let Some(odd) = sent.odd.take() {
        docket.note(R::Msg12, odd, "no ack");
    }
    for awaited in &sent.awaited {
        match awaited.class {
            Class::Senseless => docket.tested(R::Msg05),
            Class::Open => {}
            Class::Regular(_) if connection.in_order() => {
                docket.undecided(R::Msg03, "the trace ended before an ack was due");
            }
            Class::Regular(_) => {}
        }
    }
}
