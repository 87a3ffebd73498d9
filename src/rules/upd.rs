//! Rules of updates: shape, entries, elements and their values (EVENTS 2, 5.0.1 steps 7 and 8).
//!
//! Each subscription remembers the last value of every element it was told ([`Content`]); memory grows with live
//! conferences and participants, not with messages.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::api_view::Override;
use super::book::Slot;
use super::connection::{Connection, Mark};
use super::docket::Docket;
use super::domain::{Fault, judge_value};
use super::guid::folded;
use super::registry::R;
use super::request::{Mask, Wanted};
use super::scene::Scene;
use super::sub::{around, blame, spoil, update_index};
use super::value::Value;
use crate::protocol::events::names::is_guid;
use crate::protocol::events::{Entry, Message, MessageType, Resource, UpdateType};
use crate::protocol::json::{Json, Kind, Name};
use crate::spec::{Domain, elements};
use crate::trace::Seq;

/// What one entry (conference or participant) was told to be.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// By place of the element in its resource; `None` where never told.
    pub(super) values: Vec<Option<Value>>,
    /// Where each was told last.
    seqs: Vec<Seq>,
    /// Elements with a value that was charged: it is not held against the server twice.
    pub(super) charged: Mask,
    /// Whether it began otherwise than by `add`, which was charged: what it must hold is open.
    pub(super) begun_wrongly: bool,
    pub(super) seq: Seq,
}

/// What one subscription was told.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// By conference or participant; the empty key for `callInfo`.
    pub(super) told: BTreeMap<String, Told>,
    /// What stood when it became active and has to be announced by `add`.
    pub(super) expected: BTreeSet<String>,
    /// When it became active.
    pub(super) active: Option<(Seq, Mark)>,
    /// The order of changes since the last comparison.
    pub(super) log: Vec<Logged>,
    pub(super) updates: u64,
    /// Up to which change silence was counted.
    pub(super) changes_counted: Seq,
}

/// One change, for comparing the order in which two clients were told. Many are kept, so they are kept as hashes.
#[derive(Debug)]
pub(super) struct Logged {
    /// Of the entry.
    key: u64,
    /// Of the entry, the element and its value.
    change: u64,
    pub(super) seq: Seq,
}

impl Logged {
    fn new(key: &str, place: usize, value: Json<'_>, seq: Seq) -> Self {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let of_key = hasher.finish();
        place.hash(&mut hasher);
        super::value::hash(value, &mut hasher);
        Self { key: of_key, change: hasher.finish(), seq }
    }

    /// Whether it tells the same change.
    pub(super) const fn same(&self, other: &Self) -> bool {
        self.change == other.change
    }

    /// Whether it tells a change of the same entry.
    pub(super) const fn is_of_same_entry(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

/// How many changes are kept in order for a comparison of clients.
const LOG_KEPT: usize = 512;

impl Content {
    /// The subscription became active: note what stands.
    pub(super) fn activated(&mut self, wanted: &Wanted, mark: Mark, scene: &Scene<'_>) {
        self.clear();
        self.active = Some((scene.seq, mark));
        match (wanted.resource, &wanted.call) {
            (Resource::Calls, _) => {
                self.expected =
                    scene.api.calls.iter().filter(|(id, _)| scene.api.alive(id)).map(|(id, _)| id.clone()).collect();
            }
            (Resource::CallRoster, Some(call)) => {
                let here = scene
                    .api
                    .participants
                    .iter()
                    .filter(|(_, p)| p.alive && p.connected && p.call.as_ref() == Some(call));
                self.expected = here.map(|(id, _)| id.clone()).collect();
            }
            _ => {}
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn value(&self, key: &str, place: usize) -> Option<&Value> {
        self.told.get(key)?.values.get(place)?.as_ref()
    }

    /// What was told of an entry; a key is copied only when it is new.
    fn entry(&mut self, key: &str) -> &mut Told {
        if !self.told.contains_key(key) {
            self.told.insert(key.to_owned(), Told::default());
        }
        self.told.get_mut(key).expect("it was put there, if it was not there before")
    }

    /// Puts back what an entry was told to be.
    fn put(&mut self, key: &str, told: Told) {
        match self.told.get_mut(key) {
            Some(place) => *place = told,
            None => _ = self.told.insert(key.to_owned(), told),
        }
    }

    fn remember(&mut self, key: &str, place: usize, value: Json<'_>, seq: Seq) {
        if self.log.len() < LOG_KEPT {
            self.log.push(Logged::new(key, place, value, seq));
        }
    }
}

/// callCorrelators as they were told, by coSpace and by ad hoc call.
#[derive(Debug, Default)]
pub(super) struct Correlators {
    by_space: BTreeMap<String, (String, Seq)>,
    /// Correlator to the ad hoc call that has it.
    ad_hoc: BTreeMap<String, (String, Seq)>,
    judged: BTreeSet<String>,
}

/// How many calls' correlators are remembered.
const CORRELATORS_KEPT: usize = 4096;

/// An update (or what may be one) of the server.
pub(super) fn update(
    connection: &mut Connection,
    message: Message<'_>,
    kind: Option<MessageType>,
    scene: &mut Scene<'_>,
) {
    let Some(index) = message.subscription_index() else {
        if kind.is_some() {
            let expected = "an update that names its subscriptionIndex";
            scene.fail(R::Upd01, connection, vec![], expected, || "no such number".to_owned());
        } else {
            scene.docket.note(R::Upd20, "unknown-message-type", message.type_name().unwrap_or_default());
        }
        return;
    };
    let known =
        connection.book.slots.get(&index).map(|slot| (slot.wanted.resource, slot.wanted.mask, slot.is_told_plainly()));
    if !update_index(connection, index, scene) {
        return;
    }
    let Some((resource, mask, judged)) = known else { return };
    let fits = kind == Some(resource.update_type());
    let entries = if fits { message.entries(resource) } else { None };
    let Some(entries) = entries else {
        let expected = match resource {
            Resource::CallInfo => "a callInfoUpdate with an object callInfo",
            Resource::CallRoster => "a rosterUpdate with an array updates",
            Resource::Calls => "a callListUpdate with an array updates",
        };
        let observed =
            if fits { "another body".to_owned() } else { format!("type {}", message.type_name().unwrap_or_default()) };
        scene.fail(R::Upd01, connection, vec![], expected, || observed);
        return spoil(connection, index);
    };
    if !judged {
        return;
    }
    scene.docket.tested(R::Upd01);
    let mut count = 0_u32;
    for entry in entries {
        count += 1;
        self::entry(connection, index, resource, mask, entry, scene);
    }
    if let Some(slot) = connection.book.slots.get_mut(&index) {
        slot.content.updates += 1;
    }
    if resource != Resource::CallInfo {
        scene.docket.note_word(R::Upd20, "entries-in-one-message", if count == 1 { "one" } else { "several" });
    }
}

fn entry(
    connection: &mut Connection,
    index: u64,
    resource: Resource,
    mask: Mask,
    entry: Entry<'_>,
    scene: &mut Scene<'_>,
) {
    let (key, kind) = match resource {
        Resource::CallInfo => (Cow::Borrowed(""), None),
        Resource::Calls | Resource::CallRoster => {
            let Some(identified) = identity(connection, resource, entry, scene) else {
                return spoil(connection, index);
            };
            (folded(identified.0), Some(identified.1))
        }
    };
    let key = key.as_ref();
    let told = connection.book.slots.get_mut(&index).and_then(|slot| slot.content.told.get_mut(key));
    let first = told.is_none();
    if let (Some(told), Some(UpdateType::Add)) = (told, kind) {
        told.begun_wrongly = false;
    }
    if let Some(kind) = kind {
        order(connection, index, key, kind, first, scene);
        if kind == UpdateType::Remove {
            return removed(connection, index, resource, key, entry, scene);
        }
        if resource == Resource::Calls && kind == UpdateType::Add {
            scene.api.call_announced(key, scene.at, scene.seq);
        }
    }
    elements_of_entry(connection, index, resource, mask, (key, kind, first), entry, scene);
}

/// The key and kind of an entry that must have both.
fn identity<'d>(
    connection: &Connection,
    resource: Resource,
    entry: Entry<'d>,
    scene: &mut Scene<'_>,
) -> Option<(&'d str, UpdateType)> {
    let key = entry.key().filter(|key| is_guid(key));
    let kind = entry.update_type();
    if let (Some(key), Some(kind)) = (key, kind) {
        if resource == Resource::Calls {
            scene.docket.tested(R::Upd02);
        }
        return Some((key, kind));
    }
    let (rule, expected) = match resource {
        Resource::Calls => (R::Upd02, "the call's GUID and an updateType of add, update or remove"),
        _ => (R::Upd01, "the participant's GUID and an updateType of add, update or remove"),
    };
    scene.fail(rule, connection, vec![], expected, || format!("{}", entry.body()));
    None
}

/// First add, then update, after removal nothing but a new add.
fn order(connection: &mut Connection, index: u64, key: &str, kind: UpdateType, first: bool, scene: &mut Scene<'_>) {
    let Some(slot) = connection.book.slots.get(&index) else { return };
    let expected = match (kind, first) {
        (UpdateType::Add, true) => {
            scene.docket.tested(R::Upd03);
            if slot.content.expected.contains(key) {
                scene.docket.tested(R::Upd19);
                scene.controls.adds.met();
            }
            if slot.moved_from.is_some() {
                scene.docket.tested(R::Sub11);
            }
            return;
        }
        (UpdateType::Update | UpdateType::Remove, false) => return scene.docket.tested(R::Upd03),
        (UpdateType::Add, false) => "no second add",
        (UpdateType::Update, true) => "add as the first notification",
        (UpdateType::Remove, true) => "no removal of what was not added",
    };
    let mut evidence: Vec<Seq> = slot.content.told.get(key).map(|told| told.seq).into_iter().collect();
    evidence.push(slot.state_seq);
    let rule = match (kind, around(slot.kept, scene.at)) {
        (UpdateType::Add, Some(kept)) => {
            evidence.push(kept);
            R::Sub10
        }
        (UpdateType::Update, _) if slot.moved_from.is_some() => blame(scene.controls.adds, R::Upd03, Some(R::Sub11)),
        _ => R::Upd03,
    };
    if rule == R::Upd03 {
        scene.controls.adds.missed();
    }
    if kind == UpdateType::Update
        && let Some(slot) = connection.book.slots.get_mut(&index)
    {
        slot.content.entry(key).begun_wrongly = true;
    }
    scene.fail(rule, connection, evidence, expected, || format!("{kind} of {key}"));
}

fn removed(
    connection: &mut Connection,
    index: u64,
    resource: Resource,
    key: &str,
    entry: Entry<'_>,
    scene: &mut Scene<'_>,
) {
    if let Some(slot) = connection.book.slots.get_mut(&index) {
        slot.content.told.remove(key);
    }
    let mut names: Vec<&str> = entry.fields().map(Json::name_text).collect();
    names.sort_unstable();
    let name = if resource == Resource::Calls { "fields-of-a-removed-call" } else { "fields-of-a-removed-participant" };
    scene.docket.note(R::Upd20, name, if names.is_empty() { "none".to_owned() } else { names.join(", ") });
    if resource == Resource::Calls {
        scene.api.call_removed(key, scene.at, scene.seq);
    } else {
        scene.api.participant_removed(key, scene.seq);
    }
}

/// The elements of an entry that is no removal.
fn elements_of_entry(
    connection: &mut Connection,
    index: u64,
    resource: Resource,
    mask: Mask,
    (key, kind, first): (&str, Option<UpdateType>, bool),
    entry: Entry<'_>,
    scene: &mut Scene<'_>,
) {
    let table = elements::of(resource);
    let (mut asked, mut changed) = (0_u32, 0_u32);
    let mut repeated: Vec<usize> = Vec::new();
    // What it was told to be is looked up here and put back at the end. Meanwhile an empty one stands in its place: nothing that
    // is called in between may look there.
    let slot = connection.book.slots.get_mut(&index);
    let mut told = slot.and_then(|slot| slot.content.told.get_mut(key)).map(std::mem::take).unwrap_or_default();
    told.values.resize(table.len(), None);
    told.seqs.resize(table.len(), Seq::default());
    for json in entry.fields() {
        let Some(place) = elements::place(resource, json.name()) else {
            foreign(connection, mask, json.name_text(), scene);
            continue;
        };
        if mask & (1 << place) == 0 {
            not_asked(connection, mask, json.name_text(), scene);
            continue;
        }
        asked += 1;
        let findings = scene.docket.found_in_all();
        match judge_value(&table[place], resource, json, first) {
            Ok(rule) => scene.docket.tested(rule),
            Err(Fault { rule, expected }) => {
                let expected = format!("{}: {expected}", table[place].name);
                scene.fail(rule, connection, vec![], &expected, || Value::of(json).to_string());
            }
        }
        note_form(&table[place].domain, json, scene.docket);
        meaning(connection, index, key, json, scene);
        let wrong = scene.docket.found_in_all() > findings;
        if told.values[place].as_ref().is_some_and(|value| value.is(json)) {
            repeated.push(place);
            continue;
        }
        changed += 1;
        Value::put(&mut told.values[place], json);
        told.seqs[place] = scene.seq;
        told.charged = if wrong { told.charged | 1 << place } else { told.charged & !(1 << place) };
        if scene.several_clients
            && let Some(slot) = connection.book.slots.get_mut(&index)
        {
            slot.content.remember(key, place, json, scene.seq);
        }
    }
    scene.docket.tested(if mask == 0 { R::Upd05 } else { R::Upd04 });
    if !first && kind != Some(UpdateType::Add) {
        changes_only(connection, (index, key, &told), (asked, changed, &repeated), scene);
    }
    told.seq = scene.seq;
    if let Some(slot) = connection.book.slots.get_mut(&index) {
        slot.content.expected.remove(key);
        slot.content.put(key, told);
    }
}

/// Notes in which form values are sent, where the guides leave that open.
fn note_form(domain: &Domain, json: Json<'_>, docket: &mut Docket) {
    let (name, word) = match (domain, json.kind()) {
        (_, Kind::Null) => ("unset-element", "null"),
        (_, Kind::Text) if json.as_str() == Some("") => ("unset-element", "empty"),
        (Domain::Boolean, Kind::Bool) => ("booleans", "JSON"),
        (Domain::Boolean, Kind::Text) => ("booleans", "text"),
        (Domain::Number, Kind::Number) => ("numbers", "JSON"),
        (Domain::Number, Kind::Text) => ("numbers", "text"),
        _ => return,
    };
    docket.note_word(R::Upd20, name, word);
}

/// An update that is not the first holds what changed, and comes only because something did.
fn changes_only(
    connection: &Connection,
    (index, key, told): (u64, &str, &Told),
    (asked, changed, repeated): (u32, u32, &[usize]),
    scene: &mut Scene<'_>,
) {
    let Some(slot) = connection.book.slots.get(&index) else { return };
    let evidence = || vec![told.seq];
    let around_keeping = slot.wanted.resource == Resource::CallInfo && around(slot.kept, scene.at).is_some();
    let charged = repeated.iter().any(|place| told.charged & (1 << place) != 0);
    if charged || around_keeping || went_and_came_back(slot, (key, told), repeated, scene) {
        return;
    }
    let repeated = repeated.first().map(|place| elements::of(slot.wanted.resource)[*place].name.as_str());
    if changed == 0 {
        let expected = "an update only when a subscribed element changes";
        let observed = match (asked, repeated) {
            (0, _) => "an update without any of them".to_owned(),
            (_, Some(name)) => format!("an update in which nothing changed ({name} as before)"),
            (_, None) => "an update in which nothing changed".to_owned(),
        };
        return scene.fail(R::Upd06, connection, evidence(), expected, || observed);
    }
    match repeated {
        Some(name) => {
            scene.fail(R::Upd07, connection, evidence(), "only what changed", || format!("{name} again, as before"))
        }
        None => scene.docket.tested(R::Upd07),
    }
}

/// Whether elements that are told as before may have changed and changed back since: what stands may be told then, and
/// that the change before was lost is not this rule's matter.
fn went_and_came_back(slot: &Slot, (key, told): (&str, &Told), repeated: &[usize], scene: &Scene<'_>) -> bool {
    let object = if key.is_empty() { slot.wanted.call.as_deref().unwrap_or_default() } else { key };
    let changes_of = |name: Option<&str>, since: Seq| {
        let later = scene.api.changes.iter().rev().take_while(|change| change.seq > since);
        let about = later.filter(|change| change.object == object);
        let made = about.filter(|c| c.elements.is_empty() || name.is_none_or(|name| c.elements.contains(&name)));
        made.count() + scene.api.pending_changes(object)
    };
    if repeated.is_empty() {
        return changes_of(None, told.seq) > 1;
    }
    repeated.iter().any(|place| {
        let name = elements::of(slot.wanted.resource)[*place].name.as_str();
        let since = told.seqs.get(*place).copied().unwrap_or_default();
        // Participants come by request and go by themselves, and the state of one moves by itself.
        let alone = matches!(name, "participants" | "state");
        changes_of(Some(name), since) > usize::from(!alone) || (alone && scene.api.any_pending_change())
    })
}

/// A field that is no element of this resource.
fn foreign(connection: &Connection, mask: Mask, name: &str, scene: &mut Scene<'_>) {
    let elsewhere = Resource::ALL.iter().any(|resource| elements::find(*resource, name).is_some());
    if elsewhere {
        not_asked(connection, mask, name, scene);
    } else {
        scene.docket.note(R::Upd20, "unknown-field", name);
    }
}

fn not_asked(connection: &Connection, mask: Mask, name: &str, scene: &mut Scene<'_>) {
    let (rule, expected) =
        if mask == 0 { (R::Upd05, "no further field") } else { (R::Upd04, "only the elements that were asked for") };
    scene.fail(rule, connection, vec![], expected, || format!("{name} as well"));
}

/// What a value must be because of what is known of the server.
fn meaning(connection: &Connection, index: u64, key: &str, json: Json<'_>, scene: &mut Scene<'_>) {
    const DISTRIBUTED_INSTANCES: Name = Name::known("distributedInstances");
    const JOIN_AUDIO_MUTE_OVERRIDE: Name = Name::known("joinAudioMuteOverride");
    const MOVED_PARTICIPANT: Name = Name::known("movedParticipant");
    const MOVED_PARTICIPANT_CALL_BRIDGE: Name = Name::known("movedParticipantCallBridge");
    const CAN_MOVE: Name = Name::known("canMove");
    const CAN_MOVE_TO_LOBBY: Name = Name::known("canMoveToLobby");
    const CALL_CORRELATOR: Name = Name::known("callCorrelator");
    let call = || {
        let slot = connection.book.slots.get(&index)?;
        if slot.wanted.resource == Resource::Calls { Some(key) } else { slot.wanted.call.as_deref() }
    };
    match json.name() {
        DISTRIBUTED_INSTANCES if scene.clustered == Some(false) => {
            let value = Value::of(json);
            if value.number() == Some(0.0) {
                scene.docket.tested(R::Upd17);
            } else {
                scene.fail(R::Upd17, connection, vec![], "distributedInstances 0, since there is no cluster", || {
                    value.to_string()
                });
            }
        }
        JOIN_AUDIO_MUTE_OVERRIDE => mute_override(connection, call(), &Value::of(json), scene),
        MOVED_PARTICIPANT => moved(connection, key, &Value::of(json), scene),
        MOVED_PARTICIPANT_CALL_BRIDGE => moved_bridge(connection, key, &Value::of(json), scene),
        CAN_MOVE => scene.docket.tested(R::Upd12),
        CAN_MOVE_TO_LOBBY => scene.docket.tested(R::Upd13),
        CALL_CORRELATOR => correlator(connection, call(), &Value::of(json), scene),
        _ => {}
    }
}

fn mute_override(connection: &Connection, call: Option<&str>, value: &Value, scene: &mut Scene<'_>) {
    let Some(known) = call.and_then(|call| scene.api.calls.get(call)) else { return };
    let pending = call.is_some_and(|call| scene.api.pending_change(call));
    if !known.ours || known.mute_override != Override::Unset || pending {
        return;
    }
    let evidence = vec![known.seq];
    if value.boolean() == Some(false) {
        scene.docket.tested(R::Upd11);
    } else {
        let expected = "joinAudioMuteOverride false, since it was not set";
        scene.fail(R::Upd11, connection, evidence, expected, || value.to_string());
    }
}

fn moved(connection: &Connection, key: &str, value: &Value, scene: &mut Scene<'_>) {
    if value.is_unset() {
        return;
    }
    let Some(participant) = scene.api.participants.get(key).filter(|participant| participant.ours) else { return };
    let evidence = vec![participant.seq];
    match &participant.moved_from {
        Some(from) if value.text().is_some_and(|text| text.eq_ignore_ascii_case(from)) => scene.docket.tested(R::Upd12),
        Some(from) => {
            let expected = format!("movedParticipant {from}, which the participant was moved from");
            scene.fail(R::Upd12, connection, evidence, &expected, || value.to_string());
        }
        None => {
            let expected = "movedParticipant only on a participant that a move made";
            scene.fail(R::Upd12, connection, evidence, expected, || value.to_string());
        }
    }
}

fn moved_bridge(connection: &Connection, key: &str, value: &Value, scene: &mut Scene<'_>) {
    let Some(participant) = scene.api.participants.get(key).filter(|participant| participant.ours) else { return };
    if !value.is_unset() && participant.moved_from.is_none() {
        let evidence = vec![participant.seq];
        let expected = "movedParticipantCallBridge only on a participant that a move made";
        scene.fail(R::Upd12, connection, evidence, expected, || value.to_string());
    }
}

fn correlator(connection: &Connection, call: Option<&str>, value: &Value, scene: &mut Scene<'_>) {
    let (Some(call), Some(text)) = (call, value.text().filter(|text| !text.is_empty())) else { return };
    let Some(known) = scene.api.calls.get(call).filter(|known| !known.correlator_given) else { return };
    let Some(space) = known.space.clone() else { return };
    let seq = scene.seq;
    let correlators = &mut *scene.correlators;
    let again = !correlators.judged.insert(format!("{call} {text}"));
    if correlators.judged.len() > CORRELATORS_KEPT {
        *correlators = Correlators::default();
    }
    let other = match &space {
        Some(space) => {
            let (first, proof) = correlators.by_space.entry(space.clone()).or_insert_with(|| (text.to_owned(), seq));
            (!first.eq_ignore_ascii_case(text)).then_some(*proof)
        }
        None => {
            let (owner, proof) =
                correlators.ad_hoc.entry(text.to_ascii_lowercase()).or_insert_with(|| (call.to_owned(), seq));
            (owner != call).then_some(*proof)
        }
    };
    match (other, space) {
        (Some(proof), Some(_)) => {
            let expected = "the same callCorrelator for all calls of a coSpace";
            scene.fail(R::Upd18, connection, vec![proof], expected, || format!("another one, {text}"));
        }
        (Some(proof), None) => {
            let expected = "another callCorrelator for each ad hoc call";
            scene.fail(R::Upd18, connection, vec![proof], expected, || format!("the same one, {text}"));
        }
        (None, _) if !again => scene.docket.tested(R::Upd18),
        (None, _) => {}
    }
}
