//! Deadlines of subscriptions: states that do not come, and ends that are not reported (SUB-06, SUB-07, SUB-13 and what
//! puts them to the test in a special way).
//!
//! Deadlines run in the connection's free time, see `connection.rs`. What is charged once is not charged again; `sub.rs`
//! judges what does come.

use super::connection::Connection;
use super::registry::R;
use super::scene::Scene;
use super::sub::{blame, resource_of, settle};
use crate::protocol::events::State;
use crate::time::Instant;

/// Charges what is overdue.
pub(super) fn expire(connection: &mut Connection, scene: &mut Scene<'_>) {
    if !connection.in_order() {
        return;
    }
    let allowed = scene.deadlines.reaction;
    let mut settled = Vec::new();
    let numbers: Vec<u32> =
        connection.book.requests.iter().filter(|r| !r.settled && r.acked.is_some()).map(|r| r.number).collect();
    for number in numbers {
        let Some(request) = connection.book.requests.iter().find(|request| request.number == number) else { continue };
        let Some(acked) = request.acked else { continue };
        if connection.free_since(acked, scene.at) <= allowed {
            continue;
        }
        let (fresh, left) = (request.fresh.clone(), request.left.clone());
        for index in fresh {
            overdue_state(connection, number, index, scene);
        }
        for index in left {
            overdue_end(connection, number, index, scene);
        }
        settled.push(number);
    }
    for number in settled {
        settle(connection, number, scene);
    }
    overdue_conferences(connection, scene);
}

fn overdue_state(connection: &mut Connection, number: u32, index: u64, scene: &mut Scene<'_>) {
    let book = &mut connection.book;
    let Some(request) = book.requests.iter().find(|request| request.number == number) else { return };
    let (special, overlaps, ghost, acked_seq) = (request.special.rule(), request.overlaps, request.ghost, request.seq);
    let Some(slot) = book.slots.get_mut(&index) else { return };
    // A conference that ended meanwhile is a matter of SUB-13.
    if slot.by != number || slot.left.is_some() || slot.is_settled() || slot.overdue || slot.ended.is_some() {
        return;
    }
    slot.overdue = true;
    if !slot.known && slot.loose == 0 {
        return;
    }
    let specific = if overlaps {
        Some(R::Sub16)
    } else if slot.moved_from.is_some() {
        Some(R::Sub11)
    } else if ghost.is_some() {
        Some(R::Sub14)
    } else {
        special
    };
    let rule = blame(scene.controls.settles, R::Sub06, specific);
    if rule == R::Sub06 {
        scene.controls.settles.missed();
    }
    let state = slot.state.map_or("not mentioned", State::as_str);
    let observed = format!("subscription {index} to {} is {state}", resource_of(slot));
    let evidence = vec![acked_seq, slot.state_seq];
    let expected = format!("active or deactivated within {} s", scene.deadlines.reaction.as_secs_f32());
    scene.fail(rule, connection, evidence, &expected, || observed);
}

fn overdue_end(connection: &mut Connection, number: u32, index: u64, scene: &mut Scene<'_>) {
    let Some(slot) = connection.book.slots.get_mut(&index) else { return };
    let observed =
        format!("subscription {index} to {} is still {}", resource_of(slot), slot.state.map_or("new", State::as_str));
    let evidence = vec![slot.state_seq];
    let Some(left) = slot.left.as_mut().filter(|left| left.request == number && left.reported.is_none()) else {
        return;
    };
    if left.charged {
        return;
    }
    left.charged = true;
    let (overlaps, known) = (left.overlaps, slot.known);
    if !known {
        return;
    }
    let special = (overlaps && scene.controls.settles.holds()).then_some(R::Sub16);
    let rule = blame(scene.controls.ends, R::Sub07, special);
    if !overlaps {
        scene.controls.ends.missed();
    }
    let expected = format!("deactivated within {} s of being left out", scene.deadlines.reaction.as_secs_f32());
    scene.fail(rule, connection, evidence, &expected, || observed);
}

fn overdue_conferences(connection: &mut Connection, scene: &mut Scene<'_>) {
    let allowed = scene.deadlines.reaction;
    let overdue: Vec<u64> = connection
        .book
        .slots
        .iter()
        .filter(|(_, slot)| {
            slot.known && !slot.end_charged && slot.left.is_none() && slot.state != Some(State::Deactivated)
        })
        .filter(|(_, slot)| slot.ended.is_some_and(|(mark, _)| connection.free_since(mark, scene.at) > allowed))
        .map(|(index, _)| *index)
        .collect();
    for index in overdue {
        let Some(slot) = connection.book.slots.get_mut(&index) else { continue };
        slot.end_charged = true;
        let Some((_, end)) = slot.ended else { continue };
        let evidence = vec![slot.state_seq, end];
        let observed = format!(
            "subscription {index} to {} is still {}",
            resource_of(slot),
            slot.state.map_or("new", State::as_str)
        );
        scene.fail(R::Sub13, connection, evidence, "deactivated when its conference ends", || observed);
    }
}

/// When the next thing is overdue.
pub(super) fn due(connection: &Connection, allowed: std::time::Duration, now: Instant) -> Option<Instant> {
    if !connection.in_order() {
        return None;
    }
    let requests =
        connection.book.requests.iter().filter(|request| !request.settled).filter_map(|request| request.acked);
    let ends = connection
        .book
        .slots
        .values()
        .filter(|slot| slot.known && !slot.end_charged && slot.left.is_none() && slot.state != Some(State::Deactivated))
        .filter_map(|slot| slot.ended.map(|(mark, _)| mark));
    requests.chain(ends).filter_map(|mark| connection.expires(mark, allowed, now)).max()
}
