//! What the API has told of the server: calls, participants and legs, what became of them, and what was changed when.
//!
//! Built from the exchanges of the trace alone. Rules use it to know which conferences are alive, what a subscriber must
//! have been told, and whether a change had a cause. Memory: live conferences and participants, plus a bounded list of the
//! latest changes.

use std::collections::{BTreeMap, VecDeque};

use super::guid::{fold_document, folded, folded_path};
use crate::protocol::api::names;
use crate::protocol::api::xml::Element;
use crate::protocol::http::{Method, Request, Response};
use crate::time::Instant;
use crate::trace::{ExchangeId, Seq};

/// How many changes are remembered.
const CHANGES_KEPT: usize = 512;

/// How many ended conferences are remembered (their GUIDs, no more).
const ENDED_KEPT: usize = 4096;

/// Whether a conference is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// The API has shown it, and nothing has ended it since.
    Alive { since: Instant },
    /// It was ended, or the API denies that it exists.
    Ended { at: Instant, seq: Seq },
    /// It may have ended: what it hung on was removed, or its last participant left.
    Unsure,
}

/// Whether new participants of a call are muted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Override {
    Unset,
    Set(bool),
    Unknown,
}

/// What is known of one conference.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) life: Life,
    /// The observation that proves the present life.
    pub(super) seq: Seq,
    /// Whether this run started it.
    pub(super) ours: bool,
    /// Its coSpace: `None` where not known, `Some(None)` for an ad hoc conference.
    pub(super) space: Option<Option<String>>,
    pub(super) mute_override: Override,
    /// Whether the one who started it chose its callCorrelator, or may have.
    pub(super) correlator_given: bool,
    /// What the API said of it last.
    pub(super) document: Option<(Seq, Element)>,
    /// Its participants as the API listed them last, if that list was complete.
    pub(super) roster: Option<(Seq, Vec<String>)>,
}

/// What is known of one participant.
#[derive(Debug)]
pub(super) struct Participant {
    pub(super) call: Option<String>,
    pub(super) alive: bool,
    pub(super) connected: bool,
    pub(super) ours: bool,
    /// The participant that a move made it from.
    pub(super) moved_from: Option<String>,
    pub(super) seq: Seq,
    /// Where it was last known or about to leave.
    left: Seq,
    pub(super) document: Option<(Seq, Element)>,
    /// Its first call leg, as the API showed it last.
    pub(super) leg: Option<(Seq, Element)>,
}

/// One change that was made over the API.
#[derive(Debug)]
pub(super) struct Change {
    /// Whether it was granted. What was not answered, or in another way, may have been made all the same.
    pub(super) granted: bool,
    pub(super) sent: Instant,
    pub(super) seq: Seq,
    /// The call or participant that changed.
    pub(super) object: String,
    /// The elements of events that it changes, perhaps some of them twice; empty where that is not known.
    pub(super) elements: Vec<&'static str>,
}

#[derive(Debug)]
struct Asked {
    request: Request,
    at: Instant,
    seq: Seq,
}

/// The view.
#[derive(Debug, Default)]
pub(super) struct ApiView {
    pub(super) calls: BTreeMap<String, Call>,
    pub(super) participants: BTreeMap<String, Participant>,
    /// Leg to participant.
    legs: BTreeMap<String, String>,
    /// The list of all calls as it was read last: where its first page began, and all ids once it is complete.
    pub(super) list: Option<(Seq, Vec<String>)>,
    paging: BTreeMap<String, (Seq, Vec<String>)>,
    /// In the order of their requests.
    pub(super) changes: VecDeque<Change>,
    /// How many changes were granted in all.
    pub(super) changes_made: u64,
    /// How often the end of a conference left none under way that is known.
    pub(super) ends: u64,
    /// When any conference ended last.
    pub(super) last_end: Option<Instant>,
    ended: VecDeque<String>,
    asked: BTreeMap<ExchangeId, Asked>,
    /// Conferences that ended in the latest observation.
    pub(super) just_ended: Vec<String>,
}

impl ApiView {
    /// A request was sent.
    pub(super) fn sent(&mut self, exchange: ExchangeId, request: &Request, at: Instant, seq: Seq) {
        let request = Request { target: folded_path(&request.target), ..request.clone() };
        self.asked.insert(exchange, Asked { request: request.clone(), at, seq });
        if request.method == Method::Delete
            && let Some((node, id)) = object_of(&request)
        {
            // From here on it may be gone before the answer says so.
            match node {
                Node::Call => self.unsure_call(&id),
                Node::Participant => self.participant_leaving(&id, seq),
                Node::Leg => {
                    if let Some(participant) = self.legs.get(&id).cloned() {
                        self.participant_leaving(&participant, seq);
                    }
                }
                Node::Space => self.unsure_calls_of(&id),
            }
        }
    }

    /// A request failed: what it would have done is not known.
    pub(super) fn failed(&mut self, exchange: ExchangeId) {
        if let Some(asked) = self.asked.remove(&exchange) {
            self.outcome_open(&asked);
        }
    }

    /// A change that was not granted in so many words may have been made all the same.
    fn outcome_open(&mut self, asked: &Asked) {
        if asked.request.method != Method::Put {
            return;
        }
        if let Some((Node::Call, id)) = object_of(&asked.request)
            && let Some(call) = self.calls.get_mut(&id)
        {
            call.mute_override = Override::Unknown;
        }
        if let Some((object, elements)) = self.effect(&asked.request) {
            self.enter(Change { granted: false, sent: asked.at, seq: asked.seq, object, elements });
        }
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, exchange: ExchangeId, response: &Response, at: Instant, seq: Seq) {
        self.just_ended.clear();
        let Some(asked) = self.asked.remove(&exchange) else { return };
        let path = asked.request.path();
        let test = path.starts_with(names::TEST_BASE);
        if !test && !path.starts_with(names::BASE) {
            return;
        }
        match asked.request.method {
            Method::Get => self.read(&asked, response, at, seq),
            _ if !response.is_success() => {
                self.outcome_open(&asked);
                if asked.request.method == Method::Delete
                    && let Some((Node::Call, id)) = object_of(&asked.request)
                {
                    self.not_ended(&id, response.status, at, seq);
                }
            }
            Method::Post => self.created(&asked, response, at, seq),
            Method::Put => self.changed(&asked),
            Method::Delete => self.removed(&asked, at, seq),
        }
    }

    /// The end of a conference was not granted: it may be gone already, or go on.
    fn not_ended(&mut self, id: &str, status: u16, at: Instant, seq: Seq) {
        match status {
            404 | 410 => self.end_call(id, at, seq),
            400 => {}
            _ => {
                if let Some(call) = self.calls.get_mut(id).filter(|call| call.life == Life::Unsure) {
                    call.life = Life::Alive { since: at };
                }
            }
        }
    }

    /// Events told that a conference was added.
    pub(super) fn call_announced(&mut self, id: &str, at: Instant, seq: Seq) {
        let call = self.calls.entry(id.to_owned()).or_insert_with(|| unknown_call(at, seq));
        if matches!(call.life, Life::Ended { .. }) {
            call.life = Life::Unsure;
        }
    }

    /// Events told that a conference was removed.
    pub(super) fn call_removed(&mut self, id: &str, at: Instant, seq: Seq) {
        self.end_call(id, at, seq);
    }

    /// Events told that a participant left.
    pub(super) fn participant_removed(&mut self, id: &str, seq: Seq) {
        self.participant_leaving(id, seq);
    }

    /// Whether the API has denied, or an end has shown, that this is an active conference.
    pub(super) fn ended(&self, id: &str) -> Option<(Instant, Seq)> {
        match self.calls.get(id)?.life {
            Life::Ended { at, seq } => Some((at, seq)),
            _ => None,
        }
    }

    /// Whether the conference is known to be under way.
    pub(super) fn alive(&self, id: &str) -> bool {
        matches!(self.calls.get(id), Some(Call { life: Life::Alive { .. }, .. }))
    }

    /// Whether any conference is known to be under way.
    pub(super) fn any_alive(&self) -> bool {
        self.calls.values().any(|call| matches!(call.life, Life::Alive { .. }))
    }

    /// Whether a change of an object was requested and is not answered yet.
    pub(super) fn pending_change(&self, object: &str) -> bool {
        self.asked.values().any(|asked| asked.request.method != Method::Get && asked.request.path().contains(object))
    }

    /// How many changes of an object were requested and are not answered yet; a participant's legs count as itself.
    pub(super) fn pending_changes(&self, object: &str) -> usize {
        let about = |request: &Request| {
            object_of(request).is_some_and(|(node, id)| match node {
                Node::Leg => self.legs.get(&id).is_some_and(|owner| owner == object),
                _ => id == object,
            })
        };
        self.asked.values().filter(|asked| asked.request.method == Method::Put && about(&asked.request)).count()
    }

    /// Whether any change was requested and is not answered yet.
    pub(super) fn any_pending_change(&self) -> bool {
        self.asked.values().any(|asked| asked.request.method != Method::Get)
    }

    fn read(&mut self, asked: &Asked, response: &Response, at: Instant, seq: Seq) {
        let Some((collection, id, sub)) = split(asked.request.path()) else { return };
        let refused = matches!(response.status, 400 | 404 | 410);
        if refused && collection == "calls" && sub.is_none() {
            if let Some(id) = id {
                self.calls.entry(id.to_owned()).or_insert_with(|| unknown_call(at, seq));
                self.end_call(id, at, seq);
            }
            return;
        }
        if refused && collection == "participants" && sub.is_none() {
            if let Some(participant) = id.and_then(|id| self.participants.get_mut(id)) {
                participant.alive = false;
            }
            return;
        }
        if !response.is_success() {
            return;
        }
        let Ok(mut document) = Element::parse(&response.body) else { return };
        fold_document(&mut document);
        match (collection, id, sub) {
            ("calls", None, None) => self.page("calls", &document, &asked.request, asked.seq, at, seq),
            ("calls", Some(id), Some("participants")) => self.page(id, &document, &asked.request, asked.seq, at, seq),
            ("calls", Some(id), None) => self.call_read(id, document, asked.seq, at, seq),
            ("participants", Some(id), None) => self.participant_read(id, document, asked.seq, seq),
            ("participants", Some(id), Some("callLegs")) => {
                for leg in document.children.iter().filter_map(|leg| leg.get_attribute("id")) {
                    self.legs.insert(leg.to_owned(), id.to_owned());
                }
            }
            ("callLegs", Some(id), None) => {
                if let Some(participant) = self.legs.get(id).and_then(|owner| self.participants.get_mut(owner)) {
                    participant.leg = Some((seq, document));
                }
            }
            _ => {}
        }
    }

    /// Takes one page of a list; keeps the whole once `total` entries are there.
    fn page(&mut self, key: &str, document: &Element, request: &Request, asked: Seq, at: Instant, seq: Seq) {
        let offset: usize = request.parameter("offset").and_then(|text| text.parse().ok()).unwrap_or(0);
        let narrowed =
            form_urlencoded::parse(request.query().as_bytes()).any(|(k, v)| k.contains("ilter") && !v.is_empty());
        if narrowed {
            return;
        }
        let pages = self.paging.entry(key.to_owned()).or_insert_with(|| (asked, Vec::new()));
        if offset == 0 {
            *pages = (asked, Vec::new());
        }
        if offset != pages.1.len() {
            return;
        }
        pages.1.extend(document.children.iter().filter_map(|child| child.get_attribute("id")).map(str::to_owned));
        let total = document.get_attribute("total").and_then(|total| total.parse::<usize>().ok());
        if total.is_some_and(|total| pages.1.len() < total) {
            return;
        }
        let Some((begun, ids)) = self.paging.remove(key) else { return };
        if key == "calls" {
            let missing: Vec<String> = self.calls.keys().filter(|id| !ids.contains(id)).cloned().collect();
            for id in &missing {
                self.unsure_call(id);
            }
            for id in &ids {
                self.call_seen(id, begun, at, seq);
            }
            self.list = Some((begun, ids));
        } else if let Some(call) = self.calls.get_mut(key) {
            call.roster = Some((begun, ids));
        }
    }

    /// An answer shows a conference; what ended after that was asked for may have been there still.
    fn call_seen(&mut self, id: &str, asked: Seq, at: Instant, seq: Seq) -> Option<&mut Call> {
        let call = self.calls.entry(id.to_owned()).or_insert_with(|| unknown_call(at, seq));
        match call.life {
            Life::Alive { .. } => {}
            Life::Ended { seq: end, .. } if end > asked => return None,
            Life::Ended { .. } | Life::Unsure => {
                call.life = Life::Alive { since: at };
                call.seq = seq;
            }
        }
        Some(call)
    }

    fn call_read(&mut self, id: &str, document: Element, asked: Seq, at: Instant, seq: Seq) {
        let Some(call) = self.call_seen(id, asked, at, seq) else { return };
        if call.space.is_none() {
            call.space = match (document.text_at(&["coSpace"]), document.text_at(&["callType"])) {
                (Some(space), _) if !space.is_empty() => Some(Some(space.to_owned())),
                (_, Some("adHoc")) => Some(None),
                _ => None,
            };
        }
        call.document = Some((seq, document));
    }

    fn participant_read(&mut self, id: &str, document: Element, asked: Seq, seq: Seq) {
        let participant = self.participants.entry(id.to_owned()).or_insert_with(|| unknown_participant(seq));
        if let Some(call) = document.text_at(&["call"]).filter(|call| !call.is_empty()) {
            participant.call = Some(call.to_owned());
        }
        // What left after that was asked for may have been there still.
        participant.alive = asked >= participant.left;
        participant.connected = participant.alive && document.text_at(&["status", "state"]) == Some("connected");
        participant.document = Some((seq, document));
    }

    fn created(&mut self, asked: &Asked, response: &Response, at: Instant, seq: Seq) {
        let location = response.headers.get("Location").map(folded_path);
        let created = location.as_deref().and_then(split).and_then(|(collection, id, _)| Some((collection, id?)));
        let form = Form::of(&asked.request);
        let Some((collection, id)) = created else { return };
        match collection {
            "calls" => {
                self.call_created(id, &form, asked.seq, at, seq);
                self.note_change(asked, id, vec![]);
            }
            "participants" => {
                let call = split(asked.request.path()).and_then(|(_, call, _)| call).map(str::to_owned);
                let moved_from = form.get("movedParticipant").filter(|from| !from.is_empty());
                if let Some(from) = &moved_from {
                    self.participant_leaving(from, seq);
                }
                let fresh = Participant { call: call.clone(), ours: true, moved_from, ..unknown_participant(seq) };
                self.participants.insert(id.to_owned(), fresh);
                self.note_change(asked, call.as_deref().unwrap_or_default(), vec!["participants"]);
            }
            "callLegs" => {
                let call = split(asked.request.path()).and_then(|(_, call, _)| call).unwrap_or_default().to_owned();
                self.note_change(asked, &call, vec!["participants"]);
            }
            _ => {}
        }
    }

    /// A conference was asked for. Of a coSpace it may have been there before, with what somebody else chose for it.
    fn call_created(&mut self, id: &str, form: &Form, asked: Seq, at: Instant, seq: Seq) {
        let mute_override = form.get("joinAudioMuteOverride").map(|value| override_of(&value));
        let correlator_given = form.get("callCorrelator").is_some();
        if let Some(known) = self.calls.get_mut(id).filter(|call| call.seq < asked) {
            known.life = Life::Alive { since: at };
            known.correlator_given |= correlator_given;
            known.space.get_or_insert_with(|| form.get("coSpace").filter(|space| !space.is_empty()));
            if mute_override.is_some() {
                known.mute_override = Override::Unknown;
            }
            return;
        }
        let call = Call {
            ours: true,
            space: Some(form.get("coSpace").filter(|space| !space.is_empty())),
            mute_override: mute_override.unwrap_or(Override::Unset),
            correlator_given,
            ..unknown_call(at, seq)
        };
        self.calls.insert(id.to_owned(), call);
    }

    fn changed(&mut self, asked: &Asked) {
        if let Some((Node::Call, id)) = object_of(&asked.request)
            && let Some(value) = Form::of(&asked.request).get("joinAudioMuteOverride")
            && let Some(call) = self.calls.get_mut(&id)
        {
            call.mute_override = override_of(&value);
        }
        if let Some((object, elements)) = self.effect(&asked.request) {
            self.note_change(asked, &object, elements);
        }
    }

    /// The call or participant that a request changes, and the elements of events that it changes.
    fn effect(&self, request: &Request) -> Option<(String, Vec<&'static str>)> {
        let (node, id) = object_of(request)?;
        let form = Form::of(request);
        let elements = form.names().filter_map(|name| element_of(&node, name)).collect();
        match node {
            Node::Call | Node::Participant => Some((id, elements)),
            Node::Leg => Some((self.legs.get(&id).cloned().unwrap_or_default(), elements)),
            Node::Space => None,
        }
    }

    fn removed(&mut self, asked: &Asked, at: Instant, seq: Seq) {
        let Some((node, id)) = object_of(&asked.request) else { return };
        match node {
            Node::Call => {
                self.end_call(&id, at, seq);
                self.note_change(asked, &id, vec![]);
            }
            Node::Participant => self.left(&id, asked, seq),
            Node::Leg => {
                if let Some(participant) = self.legs.get(&id).cloned() {
                    self.left(&participant, asked, seq);
                }
            }
            Node::Space => self.unsure_calls_of(&id),
        }
    }

    fn left(&mut self, id: &str, asked: &Asked, seq: Seq) {
        self.participant_leaving(id, seq);
        let call = self.participants.get(id).and_then(|participant| participant.call.clone());
        self.note_change(asked, call.as_deref().unwrap_or_default(), vec!["participants"]);
    }

    fn end_call(&mut self, id: &str, at: Instant, seq: Seq) {
        if let Some(call) = self.calls.get_mut(id)
            && !matches!(call.life, Life::Ended { .. })
        {
            let shown_before = call.seq != seq;
            self.last_end = Some(at);
            call.life = Life::Ended { at, seq };
            call.document = None;
            call.roster = None;
            self.ends += u64::from(shown_before && !self.any_alive());
            self.just_ended.push(id.to_owned());
            self.ended.push_back(id.to_owned());
            self.participants.retain(|_, participant| participant.call.as_deref() != Some(id));
            let participants = &self.participants;
            self.legs.retain(|_, owner| participants.contains_key(owner));
            if self.ended.len() > ENDED_KEPT
                && let Some(oldest) = self.ended.pop_front()
            {
                self.calls.remove(&oldest);
            }
        }
    }

    fn unsure_call(&mut self, id: &str) {
        if let Some(call) = self.calls.get_mut(id)
            && matches!(call.life, Life::Alive { .. })
        {
            call.life = Life::Unsure;
        }
    }

    fn unsure_calls_of(&mut self, space: &str) {
        for call in self.calls.values_mut() {
            if call.space.as_ref().and_then(Option::as_deref) == Some(space) && matches!(call.life, Life::Alive { .. })
            {
                call.life = Life::Unsure;
            }
        }
    }

    /// A participant is on the way out; a conference may end with its last one.
    fn participant_leaving(&mut self, id: &str, seq: Seq) {
        let Some(participant) = self.participants.get_mut(id) else { return };
        participant.alive = false;
        participant.connected = false;
        participant.left = seq;
        let Some(call) = participant.call.clone() else { return };
        let others = self.participants.values().any(|p| p.alive && p.call.as_deref() == Some(&call));
        if !others {
            self.unsure_call(&call);
        }
    }

    fn note_change(&mut self, asked: &Asked, object: &str, elements: Vec<&'static str>) {
        self.changes_made += 1;
        self.enter(Change { granted: true, sent: asked.at, seq: asked.seq, object: object.to_owned(), elements });
    }

    /// Enters a change where it belongs: requests may be answered in another order than they were sent in.
    fn enter(&mut self, change: Change) {
        if self.changes.len() == CHANGES_KEPT {
            self.changes.pop_front();
        }
        let place = self.changes.partition_point(|known| known.seq < change.seq);
        self.changes.insert(place, change);
    }
}

fn unknown_call(at: Instant, seq: Seq) -> Call {
    Call {
        life: Life::Alive { since: at },
        seq,
        ours: false,
        space: None,
        mute_override: Override::Unknown,
        correlator_given: true,
        document: None,
        roster: None,
    }
}

fn unknown_participant(seq: Seq) -> Participant {
    Participant {
        call: None,
        alive: true,
        connected: false,
        ours: false,
        moved_from: None,
        seq,
        left: Seq::default(),
        document: None,
        leg: None,
    }
}

fn override_of(value: &str) -> Override {
    match value {
        "" => Override::Unset,
        "true" => Override::Set(true),
        "false" => Override::Set(false),
        _ => Override::Unknown,
    }
}

/// Objects that changes are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Call,
    Participant,
    Leg,
    Space,
}

/// Collection, id and sub-collection of a path below the API or the test-only API.
fn split(path: &str) -> Option<(&str, Option<&str>, Option<&str>)> {
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    let rest = path.strip_prefix(names::BASE).or_else(|| path.strip_prefix(names::TEST_BASE))?;
    let mut parts = rest.split('/').filter(|part| !part.is_empty());
    Some((parts.next()?, parts.next(), parts.next()))
}

fn object_of(request: &Request) -> Option<(Node, String)> {
    let (collection, id, sub) = split(request.path())?;
    let node = match collection {
        "calls" => Node::Call,
        "participants" => Node::Participant,
        "callLegs" => Node::Leg,
        "coSpaces" => Node::Space,
        _ => return None,
    };
    sub.is_none().then_some(())?;
    Some((node, id?.to_owned()))
}

/// The element of events that a parameter of the API changes (wire-facts 3.5, 5.3 to 5.5).
fn element_of(node: &Node, parameter: &str) -> Option<&'static str> {
    const SAME: [&str; 14] = [
        "name",
        "recording",
        "streaming",
        "endpointRecording",
        "callType",
        "joinAudioMuteOverride",
        "importance",
        "layout",
        "activeSpeaker",
        "presenter",
        "state",
        "uri",
        "canMove",
        "canMoveToLobby",
    ];
    match (node, parameter) {
        (Node::Call, "locked") => Some("lockState"),
        (_, "rxAudioMute") => Some("audioMuted"),
        (_, "rxVideoMute") => Some("videoMuted"),
        (Node::Participant | Node::Leg, "chosenLayout" | "defaultLayout") => Some("layout"),
        (Node::Participant, "nameLabelOverride") => Some("name"),
        (_, other) => SAME.iter().copied().find(|name| *name == other),
    }
}

/// The parameters of a form body.
struct Form(Vec<(String, String)>);

impl Form {
    fn of(request: &Request) -> Self {
        Self(form_urlencoded::parse(&request.body).into_owned().collect())
    }

    fn get(&self, name: &str) -> Option<String> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| folded(value).into_owned())
    }

    fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }
}
