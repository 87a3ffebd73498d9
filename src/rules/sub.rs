//! Rules of subscriptions: their states, what a new request does to them, what ends them (EVENTS 1.1.1, 5.0.1).
//!
//! The book (`book.rs`) says what was asked for; here every state and every index that the server mentions is judged
//! against it. Which requirement is blamed when several could be is decided by `Control`, see `connection.rs`.

use super::api_view::ApiView;
use super::book::{Kept, Slot, Special};
use super::connection::{Connection, Control};
use super::docket::{Charge, Docket};
use super::registry::R;
use super::scene::{Controls, Scene};
use crate::protocol::events::{Message, Resource, State, StateEntry};
use crate::time::Instant;
use crate::trace::Seq;

pub(super) use super::book::Book;

/// How long after the ack of a request that keeps a subscription its effects may show.
const AFTERMATH_MS: u64 = 1000;

/// Blames the special requirement where the general one is known to be met, else the general one.
pub(super) fn blame(control: Control, general: R, special: Option<R>) -> R {
    match special {
        Some(special) if control.holds() => special,
        _ => general,
    }
}

/// Whether `at` lies around the change of set that keeps a subscription.
pub(super) fn around(kept: Option<Kept>, at: Instant) -> Option<Seq> {
    let kept = kept?;
    let end = kept
        .acked
        .map_or(Instant::from_nanos(u64::MAX), |acked| acked + std::time::Duration::from_millis(AFTERMATH_MS));
    (at >= kept.sent && at <= end).then_some(kept.seq)
}

pub(super) fn resource_of(slot: &Slot) -> String {
    slot.wanted
        .call
        .as_ref()
        .map_or_else(|| slot.wanted.resource.to_string(), |call| format!("{} of {call}", slot.wanted.resource))
}

/// A `subscriptionUpdate`.
pub(super) fn states(connection: &mut Connection, message: Message<'_>, scene: &mut Scene<'_>) {
    let Some(entries) = message.states() else {
        return scene
            .fail(R::Sub05, connection, vec![], "a list of subscriptions with their states", || "no list".to_owned());
    };
    let mut count = 0_u32;
    for entry in entries {
        count += 1;
        state(connection, entry, scene);
    }
    if count > 1 {
        scene.docket.note_word(R::Sub18, "states-in-one-message", "several");
    } else {
        scene.docket.note_word(R::Sub18, "states-in-one-message", "one");
    }
}

fn state(connection: &mut Connection, entry: StateEntry<'_>, scene: &mut Scene<'_>) {
    let Some(index) = entry.index() else {
        return scene
            .fail(R::Sub04, connection, vec![], "an index of the request in force", || format!("{}", entry.body()));
    };
    let Some(new) = entry.state() else {
        return scene
            .fail(R::Sub05, connection, vec![], "pending, active or deactivated", || format!("{}", entry.body()));
    };
    if !connection.book.slots.contains_key(&index) {
        return unknown_index(connection, index, scene);
    }
    scene.docket.tested(R::Sub04);
    early(connection, index, new, scene);
    let Some(slot) = connection.book.slots.get_mut(&index) else { return };
    if slot.left.is_some() {
        return left_state(connection, index, new, scene);
    }
    let old = slot.state;
    if slot.loose > 0 {
        // The word may still be about an older subscription of this index; an end is, unless a conference ended.
        if new == State::Deactivated && scene.api.ended(slot.wanted.call.as_deref().unwrap_or("")).is_none() {
            slot.loose -= 1;
            slot.state = None;
            return;
        }
        slot.known = false;
    }
    if slot.known {
        transition(connection, index, old, new, scene);
    }
    let changes = scene.api.changes_made;
    let mark = connection.mark(scene.at);
    let Some(slot) = connection.book.slots.get_mut(&index) else { return };
    if old == Some(new) && slot.kept.is_some() {
        scene.docket.note(R::Sub18, "kept-subscription-reported-again", "yes");
    }
    if old != Some(new) {
        slot.state = Some(new);
        slot.state_seq = scene.seq;
        slot.changes = changes;
        if new == State::Active {
            slot.ends = scene.api.ends;
            slot.content.activated(&slot.wanted, mark, scene);
        } else if new == State::Deactivated {
            slot.content.clear();
        }
    }
    let number = slot.by;
    settle(connection, number, scene);
}

/// A state of an index that no request of this connection has.
fn unknown_index(connection: &Connection, index: u64, scene: &mut Scene<'_>) {
    if connection.book.unsure {
        return;
    }
    if connection.book.sent == 0 || scene.earlier_indexes.contains(&index) {
        let expected = "nothing before this connection subscribes to it";
        scene.fail(R::Sub09, connection, vec![], expected, || format!("subscription {index}"));
    } else {
        let expected = "only indexes of the request in force";
        scene.fail(R::Sub04, connection, vec![], expected, || format!("index {index}, which no request has"));
    }
}

/// Notes whether a request's effect came before its ack.
fn early(connection: &mut Connection, index: u64, new: State, scene: &Scene<'_>) {
    let Some(slot) = connection.book.slots.get(&index) else { return };
    // Of an index whose past is open, the cause is open as well.
    if slot.loose > 0 || !slot.known {
        return;
    }
    let number = match &slot.left {
        // The end of a `calls` subscription can have no other cause than the request that leaves it out.
        Some(left)
            if slot.wanted.resource == Resource::Calls && new == State::Deactivated && left.reported.is_none() =>
        {
            left.request
        }
        Some(_) => return,
        None => slot.by,
    };
    if let Some(request) = connection.book.request_mut(number)
        && request.acked.is_none()
        && request.flaws.is_empty()
        && !request.over_limit
    {
        request.early.get_or_insert(scene.seq);
    }
}

/// A state of an index that a later request leaves out.
fn left_state(connection: &mut Connection, index: u64, new: State, scene: &mut Scene<'_>) {
    let free = connection
        .book
        .slots
        .get(&index)
        .and_then(|slot| slot.left.as_ref()?.since)
        .map(|m| connection.free_since(m, scene.at));
    let Some(slot) = connection.book.slots.get_mut(&index) else { return };
    if slot.loose > 0 && new == State::Deactivated {
        // The end of an older subscription of this index.
        slot.loose -= 1;
        return;
    }
    let Some(left) = slot.left.as_mut() else { return };
    if new == State::Deactivated {
        if left.reported.is_none() {
            left.reported = Some(scene.seq);
            left.changes = scene.api.changes_made;
            if left.since.is_some() && slot.known {
                scene.docket.tested(R::Sub07);
                if !left.overlaps {
                    scene.controls.ends.met();
                }
            }
        }
        slot.content.clear();
        let number = left.request;
        settle(connection, number, scene);
        return;
    }
    // A word that was under way when the request was acknowledged is excepted.
    let late = left.reported.is_some() || free.is_some_and(|free| free > scene.deadlines.reaction);
    let (known, evidence, overlaps) = (slot.known && slot.loose == 0, vec![slot.asked], left.overlaps);
    if left.reported.is_some() && known {
        // What quick requests have settled is unsettled again by an earlier one; else a state moves back.
        let undone = overlaps && scene.controls.settles.holds();
        let expected = "nothing after deactivated";
        scene.fail(if undone { R::Sub16 } else { R::Sub05 }, connection, evidence, expected, || {
            format!("index {index}, which was left out and deactivated, becomes {new}")
        });
        if undone {
            connection.book.lose_sight();
        }
    } else if late && known {
        let rule = blame(scene.controls.settles, R::Sub04, overlaps.then_some(R::Sub16));
        let expected = "only indexes of the request in force";
        scene.fail(rule, connection, evidence, expected, || {
            format!("index {index}, which it leaves out, becomes {new}")
        });
    }
}

/// A change of state of a subscription in force.
fn transition(connection: &mut Connection, index: u64, old: Option<State>, new: State, scene: &mut Scene<'_>) {
    let Some(slot) = connection.book.slots.get(&index) else { return };
    let evidence = vec![slot.asked, slot.state_seq];
    let resource = resource_of(slot);
    let expected_first = "first pending";
    match (old, new) {
        (None, State::Pending) => {
            scene.docket.tested(R::Sub01);
            scene.docket.tested(R::Sub05);
        }
        (None, _) => {
            scene.docket.tested(R::Sub05);
            scene.fail(R::Sub01, connection, evidence.clone(), expected_first, || {
                format!("{resource} is {new} at once")
            });
        }
        (Some(State::Pending), State::Active | State::Deactivated) | (Some(State::Active), State::Deactivated) => {
            scene.docket.tested(R::Sub05);
        }
        (Some(old), new) if old == new => return,
        (Some(State::Active | State::Deactivated), State::Pending) if asked_anew_after_its_end(slot, scene.api) => {
            // Its end was not told before the request came that asks for it anew: only the newest state is told.
            if let Some(slot) = connection.book.slots.get_mut(&index) {
                slot.known = false;
            }
            return;
        }
        (Some(old), new) => {
            let expected = "pending to active or deactivated, active to deactivated";
            let rule = if around(slot.kept, scene.at).is_some() { R::Sub10 } else { R::Sub05 };
            scene.fail(rule, connection, evidence, expected, || format!("{resource} moves from {old} to {new}"));
            // Where it stands now is anybody's guess.
            if let Some(slot) = connection.book.slots.get_mut(&index) {
                slot.known = false;
            }
            return;
        }
    }
    match new {
        State::Active => activated(connection, index, scene),
        State::Deactivated => deactivated(connection, index, old, scene),
        State::Pending => {}
    }
}

/// Whether a repeated subscription may have ended with its conference before the server saw the repetition.
fn asked_anew_after_its_end(slot: &Slot, api: &ApiView) -> bool {
    let gone = slot.wanted.call.as_deref().is_some_and(|call| !api.alive(call));
    slot.kept.is_some() && gone
}

fn activated(connection: &Connection, index: u64, scene: &mut Scene<'_>) {
    let Some(slot) = connection.book.slots.get(&index) else { return };
    if slot.moved_from.is_some() {
        scene.docket.tested(R::Sub11);
    }
    let Some(call) = slot.wanted.call.as_deref() else { return };
    if !scene.api.calls.contains_key(call) {
        // Nothing has ever shown such a conference; the API's list will tell.
        scene.strangers.push((connection.id, index, scene.seq));
        return;
    }
    if let Some((ended, proof)) = scene.api.ended(call)
        && ended <= slot.asked_at
    {
        let evidence = vec![slot.asked, proof];
        let observed = format!("{} is active", resource_of(slot));
        scene.fail(R::Sub12, connection, evidence, "deactivated, since the call is no active conference", || observed);
    }
}

/// A subscription in force was deactivated: by the end of its conference, or for no reason.
fn deactivated(connection: &mut Connection, index: u64, old: Option<State>, scene: &mut Scene<'_>) {
    let Some(slot) = connection.book.slots.get(&index) else { return };
    let number = slot.by;
    if let Some(call) = slot.wanted.call.as_deref() {
        if let Some((ended, _)) = scene.api.ended(call) {
            if ended <= slot.asked_at {
                scene.docket.tested(R::Sub12);
                if let Some(request) = connection.book.request_mut(number) {
                    request.ghost = Some(index);
                }
            } else if slot.ended.is_some() {
                scene.docket.tested(R::Sub13);
            }
            return;
        }
        if !scene.api.calls.contains_key(call) {
            // Nothing has ever shown such a conference.
            scene.docket.tested(R::Sub12);
            if let Some(request) = connection.book.request_mut(number) {
                request.ghost = Some(index);
            }
            return;
        }
        // Whether the conference is still under way has to be shown by the API: `compare.rs` comes back to it.
        let suspect = (index, scene.seq, scene.at, old == Some(State::Active));
        scene.suspects.push((connection.id, suspect));
        return;
    }
    let evidence = vec![slot.asked, slot.state_seq];
    let was_active = old == Some(State::Active);
    let aftermath = std::time::Duration::from_millis(AFTERMATH_MS);
    let lately = scene.api.last_end.is_some_and(|end| scene.at.since(end) <= aftermath);
    let all_ended = !scene.api.calls.is_empty() && !scene.api.any_alive();
    let rule = if was_active && (all_ended || lately) {
        R::Sub15
    } else {
        let rule = without_cause(connection, index, was_active, scene.at, scene.controls, scene.api);
        rule.unwrap_or(R::Sub15)
    };
    let expected = "a calls subscription that goes on until the client leaves it out";
    scene.fail(rule, connection, evidence, expected, || format!("subscription {index} to calls is deactivated"));
}

/// Which requirement a deactivation without a cause breaks, if one says so.
pub(super) fn without_cause(
    connection: &Connection,
    index: u64,
    was_active: bool,
    at: Instant,
    controls: &Controls,
    api: &ApiView,
) -> Option<R> {
    let slot = connection.book.slots.get(&index)?;
    if was_active && around(slot.kept, at).is_some() {
        return Some(R::Sub10);
    }
    let request = connection.book.requests.iter().find(|request| request.number == slot.by)?;
    if was_active {
        return None;
    }
    if request.fresh.iter().any(|other| *other != index && is_ghost(connection, *other, api)) {
        return Some(R::Sub14);
    }
    if request.overlaps && controls.settles.holds() {
        return Some(R::Sub16);
    }
    request.special.rule().filter(|_| controls.settles.holds())
}

/// Whether a subscription names a call that was no active conference when it was asked for.
fn is_ghost(connection: &Connection, index: u64, api: &ApiView) -> bool {
    connection.book.slots.get(&index).is_some_and(|slot| {
        let Some(call) = slot.wanted.call.as_deref() else { return false };
        let stranger = slot.state == Some(State::Deactivated) && !api.calls.contains_key(call);
        stranger || api.ended(call).is_some_and(|(ended, _)| ended <= slot.asked_at)
    })
}

/// Looks whether a request became settled, and counts what that shows.
pub(super) fn settle(connection: &mut Connection, number: u32, scene: &mut Scene<'_>) {
    if !connection.book.settle(number) {
        return;
    }
    let book = &connection.book;
    let Some(request) = book.requests.iter().find(|request| request.number == number) else { return };
    let fresh = request.fresh.iter().filter_map(|index| book.slots.get(index)).filter(|slot| slot.by == number);
    let (mut settled, mut overdue) = (0_usize, 0_usize);
    for slot in fresh {
        settled += usize::from(slot.is_settled());
        overdue += usize::from(slot.overdue);
    }
    for _ in 0..settled {
        scene.docket.tested(R::Sub06);
    }
    if overdue > 0 {
        return;
    }
    if settled > 0 && request.special == Special::None && !request.overlaps {
        scene.controls.settles.met();
    }
    if request.ghost.is_some() && settled > 1 {
        scene.docket.tested(R::Sub14);
    }
    if request.overlaps && book.requests.back().is_some_and(|last| last.number == number) {
        scene.docket.tested(R::Sub16);
    }
    if let Some(rule) = request.special.rule()
        && settled > 0
    {
        scene.docket.tested(rule);
    }
}

/// The end of a conference: what hangs on it must be deactivated.
pub(super) fn call_ended(connection: &mut Connection, call: &str, at: Instant, seq: Seq) {
    let mark = connection.mark(at);
    for slot in connection.book.slots.values_mut() {
        let concerned = slot.left.is_none() && slot.wanted.call.as_deref() == Some(call) && slot.asked_at < at;
        if concerned && slot.state != Some(State::Deactivated) {
            slot.ended.get_or_insert((mark, seq));
        }
    }
}

/// Judges the index of an update. Returns whether its content can be judged.
pub(super) fn update_index(connection: &mut Connection, index: u64, scene: &mut Scene<'_>) -> bool {
    let Some(slot) = connection.book.slots.get(&index) else {
        if connection.book.unsure {
            return false;
        }
        if connection.book.sent == 0 || scene.earlier_indexes.contains(&index) {
            let expected = "no update before this connection subscribes";
            scene.fail(R::Sub09, connection, vec![], expected, || format!("an update of subscription {index}"));
        } else {
            let expected = "only indexes of the request in force";
            scene.fail(R::Sub04, connection, vec![], expected, || {
                format!("an update of index {index}, which no request has")
            });
        }
        return false;
    };
    if slot.is_active() {
        scene.docket.tested(R::Sub02);
        scene.docket.tested(R::Sub04);
        return true;
    }
    if !slot.known || slot.loose > 0 {
        return false;
    }
    let evidence = vec![slot.asked, slot.state_seq];
    if let Some(left) = &slot.left {
        let free = left.since.map(|mark| connection.free_since(mark, scene.at));
        let rule = left_update(left, slot.moved_to(&connection.book), free, scene);
        if let Some(rule) = rule {
            let expected = "no update of a subscription that the request in force leaves out";
            scene.fail(rule, connection, evidence, expected, || format!("an update of subscription {index}"));
        }
        return false;
    }
    match slot.state {
        Some(State::Deactivated) => {
            let expected = "no update after the subscription was deactivated";
            scene.fail(R::Sub03, connection, evidence, expected, || format!("an update of subscription {index}"));
        }
        state => {
            let known = state.map_or("not even pending", State::as_str);
            let expected = "no update before the subscription is reported active";
            scene.fail(R::Sub02, connection, evidence, expected, || {
                format!("an update of subscription {index}, which is {known}")
            });
        }
    }
    spoil(connection, index);
    false
}

/// What a subscription is told can no more be judged: a violation was charged that leaves it open.
pub(super) fn spoil(connection: &mut Connection, index: u64) {
    if let Some(slot) = connection.book.slots.get_mut(&index) {
        slot.spoilt = true;
    }
}

fn left_update(
    left: &super::book::Left,
    moved: bool,
    free: Option<std::time::Duration>,
    scene: &Scene<'_>,
) -> Option<R> {
    let grace_over = free.is_some_and(|free| free > scene.deadlines.reaction);
    if left.reported.is_none() && !grace_over {
        return None;
    }
    Some(if left.empty_set {
        R::Sub08
    } else if moved {
        R::Sub11
    } else if left.reported.is_some() {
        R::Sub03
    } else {
        blame(scene.controls.settles, R::Sub04, left.overlaps.then_some(R::Sub16))
    })
}

impl Slot {
    /// Whether its resource is subscribed to under another index instead.
    fn moved_to(&self, book: &Book) -> bool {
        book.slots.values().any(|other| {
            other.left.is_none()
                && other.moved_from.is_some()
                && (other.wanted.resource, &other.wanted.call) == (self.wanted.resource, &self.wanted.call)
        })
    }
}

/// Counts what silence has shown: called before a new request, and at the end.
pub(super) fn count_silence(connection: &mut Connection, api: &ApiView, docket: &mut Docket) {
    let changes = api.changes_made;
    for slot in connection.book.slots.values_mut().filter(|slot| slot.known) {
        if let Some(left) = &mut slot.left {
            if left.reported.is_some() && changes > left.changes {
                docket.tested(R::Sub03);
                if left.empty_set {
                    docket.tested(R::Sub08);
                }
                left.changes = u64::MAX;
            }
            continue;
        }
        if slot.state == Some(State::Deactivated) && changes > slot.changes {
            docket.tested(R::Sub03);
            slot.changes = u64::MAX;
        }
        if slot.wanted.resource == Resource::Calls && slot.state == Some(State::Active) && api.ends > slot.ends {
            docket.tested(R::Sub15);
            slot.ends = api.ends;
        }
        if let Some(kept) = &mut slot.kept
            && slot.state == Some(State::Active)
            && kept.acked.is_some()
            && changes > kept.changes
        {
            docket.tested(R::Sub10);
            kept.changes = u64::MAX;
        }
    }
}

/// What followed an irregular request, in words.
pub(super) fn note_irregular(connection: &Connection, number: u32, ack: &str, docket: &mut Docket) {
    let Some(request) = connection.book.requests.iter().find(|request| request.number == number) else { return };
    for flaw in &request.flaws {
        // What is odd about the message is MSG-12's question, what is odd about its subscriptions SUB-18's.
        let rule = if flaw.starts_with("message-id") { R::Msg12 } else { R::Sub18 };
        docket.note(rule, flaw, format!("ack: {ack}"));
    }
}

/// Judges a request beyond the limit, once another follows it or the connection ends.
pub(super) fn over_limit(connection: &mut Connection, scene: &mut Scene<'_>) {
    let Some(seq) = connection.book.over_limit.take() else { return };
    let Some(request) = connection.book.requests.iter().find(|request| request.seq == seq) else { return };
    let (entries, granted) = (request.entries, request.acked.is_some());
    let slots = connection.book.slots.values().filter(|slot| slot.left.is_none());
    let active = slots.filter(|slot| slot.state == Some(State::Active)).count();
    scene.docket.note(R::Lim10, "subscriptions-active-beyond-the-limit", format!("{active} of {entries}"));
    if granted && active >= entries {
        let observed = format!("{active} of {entries} subscriptions are active");
        scene.fail(
            R::Lim05,
            connection,
            vec![seq],
            "a request with more than 100 subscriptions is not granted in full",
            || observed,
        );
    } else {
        scene.docket.tested(R::Lim05);
    }
}

impl Scene<'_> {
    /// Enters a violation that the present observation shows.
    pub(super) fn fail(
        &mut self,
        rule: R,
        connection: &Connection,
        mut evidence: Vec<Seq>,
        expected: &str,
        observed: impl FnOnce() -> String,
    ) {
        evidence.push(self.seq);
        let id = connection.id;
        self.docket.fail(rule, self.at, || Charge {
            connection: Some(id),
            expected: expected.to_owned(),
            observed: observed(),
            evidence,
        });
    }
}
