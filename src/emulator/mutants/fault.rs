//! A mutant put together from functions, one per seam, over a state of its own.
//!
//! The functions capture nothing: what they have to remember lies in the state, so every mutant is a plain value.

use serde_json::{Map, Value};

use super::super::cdr::{Draft, Post, ReceiverKey};
use super::super::mutant::{Mutant, Pass, Question, View};
use super::super::settings::Settings;
use super::super::typed::{ConnectionKey, Effect, Entry, Event, Input};
use super::super::wire;
use crate::protocol::events::Resource;
use crate::protocol::ws::frame::Header;

type OnInput<S> = fn(&mut S, &View<'_>, Input, &mut Pass<Input>);
type OnDecide<S> = fn(&mut S, &Question<'_>, bool) -> bool;
type OnEvent<S> = fn(&mut S, &View<'_>, ConnectionKey, Event, &mut Pass<(ConnectionKey, Event)>);
type OnEffect<S> = fn(&mut S, &View<'_>, Effect, &mut Pass<Effect>);
type OnRecord<S> = fn(&mut S, &View<'_>, Draft, &mut Pass<Draft>);
type OnPost<S> = fn(&mut S, &View<'_>, Post, &mut Pass<Post>);
type OnBody<S> = fn(&mut S, ReceiverKey, &mut Vec<u8>);
type OnFrame<S> = fn(&mut S, ConnectionKey, &mut Header, &mut Vec<u8>);

/// A mutant made of functions.
#[derive(Debug)]
pub(super) struct Fault<S> {
    state: S,
    settings: Option<fn(&mut Settings)>,
    input: Option<OnInput<S>>,
    decide: Option<OnDecide<S>>,
    event: Option<OnEvent<S>>,
    effect: Option<OnEffect<S>>,
    frame: Option<OnFrame<S>>,
    record: Option<OnRecord<S>>,
    post: Option<OnPost<S>>,
    body: Option<OnBody<S>>,
}

impl<S: Default + std::fmt::Debug + Send + 'static> Fault<S> {
    pub(super) fn new() -> Self {
        Self {
            state: S::default(),
            settings: None,
            input: None,
            decide: None,
            event: None,
            effect: None,
            frame: None,
            record: None,
            post: None,
            body: None,
        }
    }

    pub(super) fn settings(self, settings: fn(&mut Settings)) -> Self {
        Self { settings: Some(settings), ..self }
    }

    pub(super) fn input(self, input: OnInput<S>) -> Self {
        Self { input: Some(input), ..self }
    }

    pub(super) fn decide(self, decide: OnDecide<S>) -> Self {
        Self { decide: Some(decide), ..self }
    }

    pub(super) fn event(self, event: OnEvent<S>) -> Self {
        Self { event: Some(event), ..self }
    }

    pub(super) fn effect(self, effect: OnEffect<S>) -> Self {
        Self { effect: Some(effect), ..self }
    }

    pub(super) fn frame(self, frame: OnFrame<S>) -> Self {
        Self { frame: Some(frame), ..self }
    }

    pub(super) fn record(self, record: OnRecord<S>) -> Self {
        Self { record: Some(record), ..self }
    }

    pub(super) fn post(self, post: OnPost<S>) -> Self {
        Self { post: Some(post), ..self }
    }

    pub(super) fn body(self, body: OnBody<S>) -> Self {
        Self { body: Some(body), ..self }
    }

    pub(super) fn boxed(self) -> Box<dyn Mutant> {
        Box::new(self)
    }
}

impl<S: std::fmt::Debug + Send> Mutant for Fault<S> {
    fn settings(&mut self, settings: &mut Settings) {
        if let Some(change) = self.settings {
            change(settings);
        }
    }

    fn is_settings_only(&self) -> bool {
        let on_events = self.input.is_none() && self.decide.is_none() && self.event.is_none() && self.effect.is_none();
        let on_records = self.record.is_none() && self.post.is_none() && self.body.is_none();
        on_events && on_records && self.frame.is_none()
    }

    fn input(&mut self, view: &View<'_>, input: Input, pass: &mut Pass<Input>) {
        match self.input {
            Some(filter) => filter(&mut self.state, view, input, pass),
            None => pass.now(input),
        }
    }

    fn decide(&mut self, question: &Question<'_>, answer: bool) -> bool {
        self.decide.map_or(answer, |decide| decide(&mut self.state, question, answer))
    }

    fn event(&mut self, view: &View<'_>, to: ConnectionKey, event: Event, pass: &mut Pass<(ConnectionKey, Event)>) {
        match self.event {
            Some(filter) => filter(&mut self.state, view, to, event, pass),
            None => pass.now((to, event)),
        }
    }

    fn effect(&mut self, view: &View<'_>, effect: Effect, pass: &mut Pass<Effect>) {
        match self.effect {
            Some(filter) => filter(&mut self.state, view, effect, pass),
            None => pass.now(effect),
        }
    }

    fn frame(&mut self, connection: ConnectionKey, header: &mut Header, payload: &mut Vec<u8>) {
        if let Some(change) = self.frame {
            change(&mut self.state, connection, header, payload);
        }
    }

    fn record(&mut self, view: &View<'_>, draft: Draft, pass: &mut Pass<Draft>) {
        match self.record {
            Some(filter) => filter(&mut self.state, view, draft, pass),
            None => pass.now(draft),
        }
    }

    fn post(&mut self, view: &View<'_>, post: Post, pass: &mut Pass<Post>) {
        match self.post {
            Some(filter) => filter(&mut self.state, view, post, pass),
            None => pass.now(post),
        }
    }

    fn body(&mut self, receiver: ReceiverKey, body: &mut Vec<u8>) {
        if let Some(change) = self.body {
            change(&mut self.state, receiver, body);
        }
    }
}

/// A mutant that changes settings only.
pub(super) fn settings(change: fn(&mut Settings)) -> Box<dyn Mutant> {
    Fault::<()>::new().settings(change).boxed()
}

/// What is done to an entry, with a counter of its own; `false` drops the entry.
type OnEntry = fn(&mut u64, &View<'_>, &Place, &mut Entry) -> bool;

/// A mutant that changes every entry of updates; `false` drops the entry, and a message without entries is dropped.
pub(super) fn entries(change: OnEntry) -> Box<dyn Mutant> {
    Fault::<EntryState>::new()
        .event(|state, view, to, event, pass| {
            let Event::Update { index, resource, mut entries } = event else { return pass.now((to, event)) };
            let place = Place { connection: to, index, resource };
            if let Some(change) = state.change {
                entries.retain_mut(|entry| change(&mut state.count, view, &place, entry));
            }
            if !entries.is_empty() {
                pass.now((to, Event::Update { index, resource, entries }));
            }
        })
        .with(EntryState { count: 0, change: Some(change) })
        .boxed()
}

/// What is done to a record, with a counter of its own; `false` drops it.
type OnDraft = fn(&mut u64, &View<'_>, &mut Draft) -> bool;

/// A mutant that changes every record before it is numbered; `false` drops it.
pub(super) fn records(change: OnDraft) -> Box<dyn Mutant> {
    Fault::<(u64, Option<OnDraft>)>::new()
        .record(|(count, change), view, mut draft, pass| {
            if change.is_none_or(|change| change(count, view, &mut draft)) {
                pass.now(draft);
            }
        })
        .with((0, Some(change)))
        .boxed()
}

/// What is done to a POST, with a counter of its own.
type OnSet = fn(&mut u64, &View<'_>, &mut Post);

/// A mutant that changes every POST.
pub(super) fn posts(change: OnSet) -> Box<dyn Mutant> {
    Fault::<(u64, Option<OnSet>)>::new()
        .post(|(count, change), view, mut post, pass| {
            if let Some(change) = change {
                change(count, view, &mut post);
            }
            pass.now(post);
        })
        .with((0, Some(change)))
        .boxed()
}

/// Where an entry belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) connection: ConnectionKey,
    pub(super) index: u64,
    pub(super) resource: Resource,
}

#[derive(Debug, Default)]
struct EntryState {
    count: u64,
    change: Option<OnEntry>,
}

impl<S> Fault<S> {
    pub(super) fn with(self, state: S) -> Self {
        Self { state, ..self }
    }
}

/// The message as a text, with its inner object changed.
pub(super) fn rewritten(
    view: &View<'_>,
    id: u64,
    event: &Event,
    change: impl FnOnce(&mut Map<String, Value>),
) -> String {
    let text = wire::message_text(view.settings, id, event);
    let mut document: Value = serde_json::from_str(&text).unwrap_or_default();
    if let Some(message) = document.get_mut("message").and_then(Value::as_object_mut) {
        change(message);
    }
    document.to_string()
}

/// The text of a message as it would be sent.
pub(super) fn text_of(view: &View<'_>, id: u64, event: &Event) -> String {
    wire::message_text(view.settings, id, event)
}
