//! Rules that compare: what events have told with what the API reports at rest, resources with each other, clients with
//! each other (UPD-14, UPD-15, UPD-16), and what stood at activation with what was announced (UPD-19).
//!
//! A difference is charged only when it is still there after the deadline, in a later snapshot: a server that takes its
//! time is not one that loses updates.

use std::collections::{BTreeMap, BTreeSet};

use super::api_view::{ApiView, Override};
use super::book::{Slot, Special};
use super::connection::Connection;
use super::docket::Docket;
use super::expected::{Documents, Expected, expected_value};
use super::registry::R;
use super::request::element_place;
use super::scene::Scene;
use super::sub::{around, blame, without_cause};
use super::value::Value;
use crate::protocol::events::{Resource, State};
use crate::spec::elements;
use crate::time::Instant;
use crate::trace::{ConnectionId, Seq};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// An entry is missing or should be gone.
    Entry { connection: ConnectionId, index: u64, key: String },
    /// An element of an entry.
    Element { connection: ConnectionId, index: u64, key: String, element: &'static str },
    /// The number of participants of a call.
    Participants { call: String },
}

#[derive(Debug)]
struct Difference {
    rule: R,
    connection: ConnectionId,
    expected: String,
    observed: String,
    evidence: Vec<Seq>,
}

/// Differences that were seen and not yet charged.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    since: BTreeMap<Place, Instant>,
    charged: BTreeSet<Place>,
}

impl Comparison {
    /// When the oldest difference is old enough to be charged.
    pub(super) fn due(&self, allowed: std::time::Duration) -> Option<Instant> {
        self.since.values().map(|since| *since + allowed).max()
    }

    /// Judges a snapshot that began at `since`.
    pub(super) fn snapshot(
        &mut self,
        connections: &mut BTreeMap<ConnectionId, Connection>,
        since: Seq,
        scene: &mut Scene<'_>,
    ) {
        suspects(connections, since, scene);
        let mut found = BTreeMap::new();
        let mut agreeing: Vec<(ConnectionId, u64)> = Vec::new();
        let uneven = participants(connections, since, scene, &mut found);
        for connection in connections.values().filter(|connection| at_rest(connection, since)) {
            let judged = connection.book.slots.iter().filter(|(_, slot)| slot.is_active() && slot.is_told_plainly());
            for (index, slot) in judged {
                let before = found.len();
                let compared = compare_slot(connection, *index, slot, since, &uneven, scene, &mut found);
                if compared && found.len() == before {
                    scene.docket.tested(R::Upd14);
                    scene.controls.agreement.met();
                    agreeing.push((connection.id, *index));
                }
            }
        }
        for connection in connections.values_mut() {
            count_unsubscribed(
                connection,
                scene.api,
                agreeing.iter().any(|(id, _)| *id == connection.id),
                scene.docket,
            );
        }
        twins(connections, since, scene, &mut found);
        self.weigh(found, connections, scene);
        for connection in connections.values_mut() {
            for slot in connection.book.slots.values_mut() {
                slot.content.log.clear();
            }
        }
    }

    fn weigh(
        &mut self,
        found: BTreeMap<Place, Difference>,
        connections: &BTreeMap<ConnectionId, Connection>,
        scene: &mut Scene<'_>,
    ) {
        self.since.retain(|place, _| found.contains_key(place));
        for (place, difference) in found {
            if self.charged.contains(&place) {
                continue;
            }
            let first = *self.since.entry(place.clone()).or_insert(scene.at);
            if scene.at.since(first) < scene.deadlines.reaction {
                continue;
            }
            self.since.remove(&place);
            self.charged.insert(place);
            let Some(connection) = connections.get(&difference.connection) else { continue };
            if difference.rule == R::Upd14 {
                scene.controls.agreement.missed();
            }
            let observed = difference.observed;
            scene.fail(difference.rule, connection, difference.evidence, &difference.expected, || observed);
        }
    }
}

/// Whether nothing has arrived on a connection since the snapshot began, and nothing is held back by the client.
fn at_rest(connection: &Connection, since: Seq) -> bool {
    connection.in_order() && connection.owed.is_empty() && connection.last_message.is_none_or(|last| last < since)
}

/// Comes back to states that only the API can explain: deactivations without a known cause, and active subscriptions to
/// conferences that nothing has shown.
fn suspects(connections: &BTreeMap<ConnectionId, Connection>, since: Seq, scene: &mut Scene<'_>) {
    for (id, index, seq) in std::mem::take(scene.strangers) {
        let Some(connection) = connections.get(&id) else { continue };
        let Some(slot) = connection.book.slots.get(&index).filter(|slot| slot.is_active()) else { continue };
        let call = slot.wanted.call.clone().unwrap_or_default();
        let listed = scene.api.list.as_ref().filter(|(read, _)| *read >= since).map(|(_, ids)| ids.contains(&call));
        match listed {
            None => scene.strangers.push((id, index, seq)),
            Some(true) => {}
            Some(false) => {
                let expected = "deactivated, since the call is no active conference";
                scene.fail(R::Sub12, connection, vec![slot.asked, seq], expected, || {
                    format!("subscription {index} is active")
                });
            }
        }
    }
    for (id, (index, seq, at, was_active)) in std::mem::take(scene.suspects) {
        let Some(connection) = connections.get(&id) else { continue };
        let Some(slot) = connection.book.slots.get(&index).filter(|slot| slot.state_seq == seq) else { continue };
        let call = slot.wanted.call.as_deref().unwrap_or_default();
        if !scene.api.alive(call) {
            continue;
        }
        let read =
            scene.api.calls.get(call).and_then(|call| call.document.as_ref()).is_some_and(|(read, _)| *read >= since);
        if !read {
            // A later snapshot may show the conference.
            scene.suspects.push((id, (index, seq, at, was_active)));
            continue;
        }
        if let Some(rule) = without_cause(connection, index, was_active, at, scene.controls, scene.api) {
            let expected = "a subscription that stays, since its conference is under way";
            scene.fail(rule, connection, vec![slot.asked, seq], expected, || {
                format!("subscription {index} was deactivated")
            });
        }
    }
}

/// Counts changes that no update had to follow, and none did (UPD-06): of elements that are not subscribed, and, where
/// all `agrees` with the API, such that set what was set before.
pub(super) fn count_unsubscribed(connection: &mut Connection, api: &ApiView, agrees: bool, docket: &mut Docket) {
    for slot in
        connection.book.slots.values_mut().filter(|slot| slot.state == Some(State::Active) && slot.is_told_plainly())
    {
        let resource = slot.wanted.resource;
        let counted = slot.content.changes_counted.max(slot.state_seq);
        let later = api.changes.iter().filter(|change| change.granted && change.seq > counted);
        for change in later.filter(|change| !change.elements.is_empty()) {
            let key = if resource == Resource::CallInfo { "" } else { change.object.as_str() };
            let here = resource != Resource::CallInfo || slot.wanted.call.as_deref() == Some(&change.object);
            let Some(told) = slot.content.told.get(key).filter(|_| here) else { continue };
            let subscribed = change.elements.iter().any(|element| {
                element_place(resource, element).is_some_and(|place| slot.wanted.mask & (1 << place) != 0)
            });
            if !subscribed || (agrees && told.seq < change.seq) {
                docket.tested(R::Upd06);
            }
        }
        slot.content.changes_counted = api.changes.back().map_or(counted, |change| change.seq);
    }
}

/// Compares one subscription with the API. Returns whether there was anything to compare.
fn compare_slot(
    connection: &Connection,
    index: u64,
    slot: &Slot,
    since: Seq,
    uneven: &BTreeSet<String>,
    scene: &Scene<'_>,
    found: &mut BTreeMap<Place, Difference>,
) -> bool {
    let mut compared = false;
    never_told(connection, index, slot, since, scene, found);
    if let Some(standing) = standing(slot, since, scene) {
        compared = true;
        compare_entries(connection, index, slot, standing, scene, found);
    }
    for (key, told) in slot.content.told.iter().filter(|(_, told)| !told.begun_wrongly) {
        let object = if key.is_empty() { slot.wanted.call.as_deref().unwrap_or_default() } else { key };
        let Some(documents) = Documents::of(slot.wanted.resource, object, scene.api, since) else { continue };
        for (place, element) in elements::of(slot.wanted.resource).iter().enumerate() {
            if slot.wanted.mask & (1 << place) == 0 || (element.name == "participants" && uneven.contains(object)) {
                continue;
            }
            let value = told.values.get(place).and_then(Option::as_ref);
            let Some(expected) = expected_value(slot.wanted.resource, &element.name, &documents) else { continue };
            compared = true;
            if told.charged & (1 << place) == 0 && !expected.agrees(value) {
                let place =
                    Place::Element { connection: connection.id, index, key: key.clone(), element: &element.name };
                let rule = rule_of_element(slot, object, &element.name, value, &expected, scene);
                found.insert(
                    place,
                    element_differs(connection, slot, (object, &element.name), &expected, value, rule, told.seq),
                );
            }
        }
    }
    compared
}

/// Notes elements of later releases that every participant has and that were never told (UPD-12, UPD-13).
fn never_told(
    connection: &Connection,
    index: u64,
    slot: &Slot,
    since: Seq,
    scene: &Scene<'_>,
    found: &mut BTreeMap<Place, Difference>,
) {
    if slot.wanted.resource != Resource::CallRoster {
        return;
    }
    for (element, rule) in [("canMove", R::Upd12), ("canMoveToLobby", R::Upd13)] {
        let asked = element_place(Resource::CallRoster, element).filter(|place| slot.wanted.mask & (1 << place) != 0);
        let Some(place) = asked else { continue };
        for (key, told) in slot.content.told.iter().filter(|(_, told)| !told.begun_wrongly) {
            let connected = scene.api.participants.get(key).is_some_and(|participant| {
                participant.connected && participant.document.as_ref().is_some_and(|(read, _)| *read >= since)
            });
            if !connected || slot.content.value(key, place).is_some() {
                continue;
            }
            let difference = Difference {
                rule,
                connection: connection.id,
                expected: format!("{element} of the connected participant {key}, since it is subscribed"),
                observed: "it was never told".to_owned(),
                evidence: vec![slot.asked, told.seq],
            };
            let place = Place::Element { connection: connection.id, index, key: key.clone(), element };
            found.insert(place, difference);
        }
    }
}

fn element_differs(
    connection: &Connection,
    slot: &Slot,
    (object, element): (&str, &str),
    expected: &Expected,
    value: Option<&Value>,
    rule: R,
    told: Seq,
) -> Difference {
    let told_value = value.map_or_else(|| "never told".to_owned(), Value::to_string);
    Difference {
        rule,
        connection: connection.id,
        expected: format!("{element} of {object} as the API reports it at rest: {expected}"),
        observed: format!("{told_value} according to the updates of {}", slot.wanted.resource),
        evidence: [told, expected.proof()].into_iter().filter(|seq| *seq != Seq::default()).collect(),
    }
}

/// What stands according to the API: all calls, or all participants of the call.
fn standing<'v>(slot: &Slot, since: Seq, scene: &'v Scene<'_>) -> Option<&'v (Seq, Vec<String>)> {
    let list = match slot.wanted.resource {
        Resource::Calls => scene.api.list.as_ref()?,
        Resource::CallRoster => scene.api.calls.get(slot.wanted.call.as_deref()?)?.roster.as_ref()?,
        Resource::CallInfo => return None,
    };
    (list.0 >= since).then_some(list)
}

fn compare_entries(
    connection: &Connection,
    index: u64,
    slot: &Slot,
    (read, ids): &(Seq, Vec<String>),
    scene: &Scene<'_>,
    found: &mut BTreeMap<Place, Difference>,
) {
    let kind = if slot.wanted.resource == Resource::Calls { "conference" } else { "participant" };
    // What stood at activation and was not announced is a matter of UPD-19; a participant that still rings may not show.
    let shows = |id: &String| {
        let ringing = scene.api.participants.get(id).is_some_and(|participant| !participant.connected);
        let open = slot.wanted.resource == Resource::CallRoster && ringing;
        !open && !slot.content.expected.contains(id)
    };
    let missing = ids.iter().filter(|id| !slot.content.told.contains_key(*id) && shows(id));
    let begun = slot.content.told.iter().filter(|(_, told)| !told.begun_wrongly).map(|(id, _)| id);
    let left_over = begun.filter(|id| !ids.contains(id));
    for (id, observed) in
        missing.map(|id| (id, "was not told")).chain(left_over.map(|id| (id, "is gone, but was not removed")))
    {
        let place = Place::Entry { connection: connection.id, index, key: id.clone() };
        let difference = Difference {
            rule: rule_of(slot, id, None, scene),
            connection: connection.id,
            expected: format!("the {kind}s that the API lists at rest"),
            observed: format!("{kind} {id} {observed}"),
            evidence: vec![*read, slot.state_seq],
        };
        found.insert(place, difference);
    }
}

/// Which requirement a loss breaks: the keeping of a subscription, a limit, or the general one.
fn rule_of(slot: &Slot, object: &str, element: Option<&str>, scene: &Scene<'_>) -> R {
    let last = scene.api.changes.iter().rev().find(|change| {
        change.object == object
            && element.is_none_or(|element| change.elements.is_empty() || change.elements.contains(&element))
    });
    // Keeping is to blame only where something was told before it.
    if last.is_some_and(|change| around(slot.kept, change.sent).is_some()) && slot.content.updates > 0 {
        return R::Sub10;
    }
    let special = match slot.many {
        Special::Many => Some(R::Lim04),
        Special::BothLimits => Some(R::Lim07),
        Special::FiveOpen if slot.content.updates == 0 => Some(R::Lim01),
        Special::AfterSixth if slot.content.updates == 0 => Some(R::Lim03),
        _ => None,
    };
    blame(scene.controls.agreement, R::Upd14, special)
}

/// The same of one element; some elements have requirements of their own.
fn rule_of_element(
    slot: &Slot,
    object: &str,
    element: &'static str,
    value: Option<&Value>,
    expected: &Expected,
    scene: &Scene<'_>,
) -> R {
    let rule = rule_of(slot, object, Some(element), scene);
    let number = value.is_some_and(|value| value.number().is_some());
    let not_set = scene.api.calls.get(object).is_some_and(|call| call.ours && call.mute_override == Override::Unset);
    match element {
        "joinAudioMuteOverride" if not_set && value.is_some() && rule == R::Upd14 => R::Upd11,
        "importance" if expected.is_unset() && number && rule == R::Upd14 => R::Upd10,
        "canMove" | "movedParticipant" if value.is_none() && rule == R::Upd14 => R::Upd12,
        _ => rule,
    }
}

/// UPD-15. Returns the calls whose resources disagree.
fn participants(
    connections: &BTreeMap<ConnectionId, Connection>,
    since: Seq,
    scene: &mut Scene<'_>,
    found: &mut BTreeMap<Place, Difference>,
) -> BTreeSet<String> {
    /// Numbers that were told, with where; and the roster's bounds.
    #[derive(Default)]
    struct Counts {
        told: Vec<(f64, Resource, ConnectionId, Seq)>,
        roster: Option<(usize, usize, ConnectionId, Seq)>,
    }
    let mut calls: BTreeMap<String, Counts> = BTreeMap::new();
    for connection in connections.values().filter(|connection| at_rest(connection, since)) {
        for slot in connection.book.slots.values().filter(|slot| slot.is_active() && slot.is_told_plainly()) {
            let resource = slot.wanted.resource;
            if resource == Resource::CallRoster {
                let Some(call) = &slot.wanted.call else { continue };
                let place = elements::of(resource).iter().position(|element| element.name == "state");
                let connected = |told: &super::upd::Told| {
                    place
                        .and_then(|place| told.values.get(place)?.as_ref())
                        .and_then(Value::text)
                        .map(|state| state == "connected")
                };
                let states: Option<Vec<bool>> = slot.content.told.values().map(connected).collect();
                if let Some(states) = states {
                    let connected = states.iter().filter(|connected| **connected).count();
                    calls.entry(call.clone()).or_default().roster =
                        Some((connected, states.len(), connection.id, slot.state_seq));
                }
                continue;
            }
            let Some(place) = elements::of(resource).iter().position(|element| element.name == "participants") else {
                continue;
            };
            for (key, told) in &slot.content.told {
                let call = slot.wanted.call.as_ref().unwrap_or(key);
                if let Some(number) = told.values.get(place).and_then(Option::as_ref).and_then(Value::number) {
                    calls.entry(call.clone()).or_default().told.push((number, resource, connection.id, told.seq));
                }
            }
        }
    }
    let mut uneven = BTreeSet::new();
    for (call, counts) in calls {
        let Some((number, _, connection, _)) = counts.told.first().copied() else { continue };
        if counts.told.len() + usize::from(counts.roster.is_some()) < 2 {
            continue;
        }
        let same = counts.told.iter().all(|(other, ..)| *other == number);
        let fits = counts.roster.is_none_or(|(low, high, ..)| number >= low as f64 && number <= high as f64);
        if same && fits {
            scene.docket.tested(R::Upd15);
            continue;
        }
        let numbers: Vec<String> =
            counts.told.iter().map(|(number, resource, ..)| format!("{number} in {resource}")).collect();
        let roster =
            counts.roster.map_or(String::new(), |(low, high, ..)| format!(", {high} in callRoster ({low} connected)"));
        let difference = Difference {
            rule: R::Upd15,
            connection,
            expected: format!("the same number of participants of {call} in every resource at rest"),
            observed: format!("{}{roster}", numbers.join(", ")),
            evidence: counts.told.iter().map(|(.., seq)| *seq).chain(counts.roster.map(|(.., seq)| seq)).collect(),
        };
        found.insert(Place::Participants { call: call.clone() }, difference);
        uneven.insert(call);
    }
    uneven
}

/// UPD-16: two clients that subscribed alike.
fn twins(
    connections: &BTreeMap<ConnectionId, Connection>,
    since: Seq,
    scene: &mut Scene<'_>,
    found: &mut BTreeMap<Place, Difference>,
) {
    let resting: Vec<&Connection> = connections.values().filter(|connection| at_rest(connection, since)).collect();
    for (at, first) in resting.iter().enumerate() {
        for second in &resting[at + 1..] {
            for (index, a) in first.book.slots.iter().filter(|(_, slot)| slot.is_active() && slot.is_told_plainly()) {
                let twin = second.book.slots.iter().find(|(_, b)| {
                    b.is_active()
                        && b.is_told_plainly()
                        && (b.wanted.resource, &b.wanted.call, b.wanted.mask)
                            == (a.wanted.resource, &a.wanted.call, a.wanted.mask)
                });
                let Some((other, b)) = twin else { continue };
                pair((first, *index, a), (second, *other, b), scene, found);
            }
        }
    }
}

/// A subscription with its connection and index.
type Placed<'c> = (&'c Connection, u64, &'c Slot);

fn pair(
    (first, index, a): Placed<'_>,
    (second, other, b): Placed<'_>,
    scene: &mut Scene<'_>,
    found: &mut BTreeMap<Place, Difference>,
) {
    if let Some((x, y)) = contradiction(a, b) {
        let evidence = vec![x, y, a.state_seq, b.state_seq];
        let expected = "the same order of changes for both clients";
        return scene
            .fail(R::Upd16, second, evidence, expected, || format!("another order than {} sees", first.client));
    }
    let of = |place: &Place, connection: ConnectionId, index: u64| match place {
        Place::Entry { connection: c, index: i, .. } | Place::Element { connection: c, index: i, .. } => {
            *c == connection && *i == index
        }
        Place::Participants { .. } => false,
    };
    told_alike((first, index, a), (second, other, b), found);
    let wrong_a = found.keys().any(|place| of(place, first.id, index));
    let wrong_b = found.keys().any(|place| of(place, second.id, other));
    if !wrong_a && !wrong_b {
        return scene.docket.tested(R::Upd16);
    }
    // One of the two was told what the other was not.
    if wrong_a != wrong_b && scene.controls.agreement.holds() {
        let (connection, index) = if wrong_a { (first.id, index) } else { (second.id, other) };
        for (place, difference) in found.iter_mut().filter(|(place, _)| of(place, connection, index)) {
            let _ = place;
            if difference.rule == R::Upd14 {
                difference.rule = R::Upd16;
            }
        }
    }
}

/// Notes elements that two clients were told differently, and that the API cannot explain.
fn told_alike((first, index, a): Placed<'_>, (second, other, b): Placed<'_>, found: &mut BTreeMap<Place, Difference>) {
    let table = elements::of(a.wanted.resource);
    for (key, told_a) in &a.content.told {
        let Some(told_b) = b.content.told.get(key).filter(|told| !(told.begun_wrongly || told_a.begun_wrongly)) else {
            continue;
        };
        // Of what was not asked for nothing is kept, so that it is alike.
        for (place, element) in table.iter().enumerate() {
            let of = |told: &super::upd::Told| told.values.get(place).cloned().flatten();
            let (x, y) = (of(told_a), of(told_b));
            let charged = (told_a.charged | told_b.charged) & (1 << place) != 0;
            if charged || alike(x.as_ref(), y.as_ref()) {
                continue;
            }
            let at = |connection, index| Place::Element { connection, index, key: key.clone(), element: &element.name };
            if found.contains_key(&at(first.id, index)) || found.contains_key(&at(second.id, other)) {
                continue;
            }
            let word = |value: Option<Value>| value.map_or_else(|| "nothing".to_owned(), |value| value.to_string());
            let difference = Difference {
                rule: R::Upd16,
                connection: second.id,
                expected: format!("{} as {} is told it: {}", element.name, first.client, word(x)),
                observed: format!("{} is told {}", second.client, word(y)),
                evidence: vec![told_a.seq, told_b.seq],
            };
            found.insert(at(second.id, other), difference);
        }
    }
}

/// Whether two values say the same; that something is not set may be said or left out.
fn alike(x: Option<&Value>, y: Option<&Value>) -> bool {
    let unset = |value: Option<&Value>| value.is_none_or(Value::is_unset);
    match (x, y) {
        (Some(x), Some(y)) if x == y => true,
        (Some(x), Some(y)) if x.boolean().is_some() => x.boolean() == y.boolean(),
        (Some(x), Some(y)) if x.number().is_some() => x.number() == y.number(),
        _ => unset(x) && unset(y),
    }
}

/// Two changes of one entry that both clients saw once each, in opposite order.
fn contradiction(a: &Slot, b: &Slot) -> Option<(Seq, Seq)> {
    let once = |log: &'_ [super::upd::Logged], item: &super::upd::Logged| {
        log.iter().filter(|other| other.same(item)).count() == 1
    };
    let (log_a, log_b) = (&a.content.log, &b.content.log);
    for (at, x) in log_a.iter().enumerate() {
        for y in log_a[at + 1..].iter().filter(|y| y.is_of_same_entry(x) && y.seq > x.seq) {
            let place = |item: &super::upd::Logged| log_b.iter().find(|other| other.same(item));
            let (Some(bx), Some(by)) = (place(x), place(y)) else { continue };
            if by.seq < bx.seq && [x, y].iter().all(|item| once(log_a, item) && once(log_b, item)) {
                return Some((y.seq, by.seq));
            }
        }
    }
    None
}

/// Charges what stood at activation and was not announced.
pub(super) fn expire(connection: &mut Connection, scene: &mut Scene<'_>) {
    if !connection.in_order() {
        return;
    }
    let overdue: Vec<u64> = connection
        .book
        .slots
        .iter()
        .filter(|(_, slot)| slot.is_active() && slot.is_told_plainly() && !slot.content.expected.is_empty())
        .filter(|(_, slot)| {
            slot.content
                .active
                .is_some_and(|(_, mark)| connection.free_since(mark, scene.at) > scene.deadlines.reaction)
        })
        .map(|(index, _)| *index)
        .collect();
    for index in overdue {
        let Some(slot) = connection.book.slots.get_mut(&index) else { continue };
        let expected = std::mem::take(&mut slot.content.expected);
        let (calls, moved, special, state) =
            (slot.wanted.resource == Resource::Calls, slot.moved_from.is_some(), slot.many, slot.state_seq);
        let stands = |id: &String| {
            let api = &scene.api;
            if calls { api.alive(id) } else { api.participants.get(id).is_some_and(|p| p.alive && p.connected) }
        };
        let Some(missing) = expected.iter().find(|id| stands(id)).cloned() else { continue };
        let specific = if moved { Some(R::Sub11) } else { special.rule() };
        let rule = blame(scene.controls.adds, R::Upd19, specific);
        if rule == R::Upd19 {
            scene.controls.adds.missed();
        }
        let wanted = "what stands at activation announced by add";
        scene.fail(rule, connection, vec![state], wanted, || format!("no add of {missing}"));
    }
}

/// When an announcement is due.
pub(super) fn due(connection: &Connection, allowed: std::time::Duration, now: Instant) -> Option<Instant> {
    if !connection.in_order() {
        return None;
    }
    let waiting = connection
        .book
        .slots
        .values()
        .filter(|slot| slot.is_active() && slot.is_told_plainly() && !slot.content.expected.is_empty());
    waiting.filter_map(|slot| connection.expires(slot.content.active?.1, allowed, now)).max()
}
