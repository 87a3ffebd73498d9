//! The seams at which a mutant changes a conformant server: filters over typed values, never a condition in the core.
//!
//! In the order in which a value passes them: [`Mutant::settings`] once at the start; [`Mutant::input`] for everything
//! that arrived; [`Mutant::decide`] for the few questions that the core asks itself; [`Mutant::event`] for everything to
//! report, before it is queued, numbered and subject to the ack window; [`Mutant::effect`] for everything about to leave;
//! [`Mutant::frame`] for each frame as it is written. On the side of call detail records: [`Mutant::record`] for each
//! record that was made, before it is numbered and queued for receivers; [`Mutant::post`] for each POST about to leave,
//! repetitions included; [`Mutant::body`] for its body as it is written. What a mutant drops at `event` leaves no gap and stalls nothing;
//! what it drops at `effect` has its messageId and waits for an ack that cannot come. Delayed values skip the seams
//! that they have passed.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::cdr::{Cdr, Draft, Post, ReceiverKey};
use super::connection::Connection;
use super::settings::Settings;
use super::typed::{ConnectionKey, Effect, Event, Input};
use super::world::World;
use crate::protocol::events::Resource;
use crate::protocol::http::Credentials;
use crate::protocol::ws::frame::Header;
use crate::time::Instant;

/// Where a filter puts what it lets through.
#[derive(Debug)]
pub struct Pass<T> {
    items: Vec<(Duration, T)>,
}

impl<T> Pass<T> {
    pub(super) const fn new() -> Self {
        Self { items: Vec::new() }
    }

    /// Lets a value through now.
    pub fn now(&mut self, value: T) {
        self.items.push((Duration::ZERO, value));
    }

    /// Lets a value through after a delay.
    pub fn later(&mut self, delay: Duration, value: T) {
        self.items.push((delay, value));
    }

    pub(super) fn into_items(self) -> Vec<(Duration, T)> {
        self.items
    }
}

/// What a mutant can see of the server: everything, and nothing that it could change.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The present instant.
    pub now: Instant,
    /// coSpaces, calls, participants.
    pub world: &'a World,
    /// The event connections that are open.
    pub connections: &'a BTreeMap<ConnectionKey, Connection>,
    /// The settings in force.
    pub settings: &'a Settings,
    /// Records and their receivers.
    pub cdr: &'a Cdr,
}

/// The view of a core whose mutants are borrowed meanwhile.
macro_rules! seen {
    ($core:expr) => {
        $crate::emulator::mutant::View {
            now: $core.now,
            world: &$core.world,
            connections: &$core.connections,
            settings: &$core.settings,
            cdr: &$core.cdr,
        }
    };
}

pub(super) use seen;

impl<'a> View<'a> {
    /// The connection of that key, if it is open.
    pub fn connection(&self, key: ConnectionKey) -> Option<&'a Connection> {
        self.connections.get(&key)
    }

    /// The present value of an element; `key` is the call, or for a roster the participant.
    pub fn element(&self, resource: Resource, key: &str, element: &str) -> Option<Value> {
        super::elements::value(self.world, self.settings, resource, key, element)
    }

    /// Whether a server message with that id is unacknowledged on the connection.
    pub fn is_outstanding(&self, key: ConnectionKey, id: u64) -> bool {
        self.connection(key).is_some_and(|connection| connection.is_outstanding(id))
    }
}

/// A question that the core asks itself, with the answer of a conformant server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question<'a> {
    /// Are these credentials good for a token?
    MayIssueToken(Credentials),
    /// Is this token good for an upgrade?
    IsTokenGood(Option<&'a str>),
    /// Is there a place for one more connection, with this many taken?
    IsPlaceFree(u64),
    /// Does the end of this connection free its place?
    FreesPlace {
        /// Which one.
        connection: ConnectionKey,
        /// Whether it ended without a close frame.
        abrupt: bool,
    },
    /// Is a request with this many subscriptions within the limit?
    IsWithinLimit(u64),
    /// Is the next message on this connection held back, with this many unacknowledged?
    IsHeldBack {
        /// Which one.
        connection: ConnectionKey,
        /// Unacknowledged messages.
        outstanding: u64,
    },
    /// Does this entry of a new request carry on the subscription of the same index?
    IsKept {
        /// Which connection.
        connection: ConnectionKey,
        /// The index.
        index: u64,
    },
    /// Does the subscription stop, which the new request leaves out?
    Stops {
        /// Which connection.
        connection: ConnectionKey,
        /// The index.
        index: u64,
    },
    /// Is this the GUID of an active call, as a subscription to be settled asks?
    IsActiveCall {
        /// Which connection.
        connection: ConnectionKey,
        /// The index.
        index: u64,
        /// The GUID.
        call: &'a str,
    },
    /// Does the end of its call end this active subscription?
    EndsWithCall {
        /// Which connection.
        connection: ConnectionKey,
        /// The index.
        index: u64,
    },
    /// Is this element reported to this subscription?
    IsReported {
        /// Which connection.
        connection: ConnectionKey,
        /// The index.
        index: u64,
        /// The resource.
        resource: Resource,
        /// The element.
        element: &'a str,
    },
    /// Is there a place for one more CDR receiver, with this many taken?
    IsReceiverPlaceFree(u64),
    /// Does the DELETE of a receiver end its records?
    EndsWithDelete {
        /// Which one.
        receiver: ReceiverKey,
    },
    /// Does this receiver get the record with this `correlatorIndex`?
    Receives {
        /// Which one.
        receiver: ReceiverKey,
        /// The record.
        index: u64,
    },
    /// Is a record discarded for a new one, with this many waiting for the receiver?
    Discards {
        /// Which one.
        receiver: ReceiverKey,
        /// How many wait that were never sent.
        waiting: usize,
    },
    /// May the next set go to the receiver, with this many sets unanswered?
    MaySendNext {
        /// Which one.
        receiver: ReceiverKey,
        /// Sets without an answer.
        outstanding: u64,
    },
    /// Is a receiver served whatever becomes of the others?
    GoesAlone {
        /// Which one.
        receiver: ReceiverKey,
        /// Whether another one fails at the moment.
        others_failing: bool,
        /// Whether another one has yet to answer.
        others_waiting: bool,
    },
    /// Is a set without records sent now that nothing waits for the receiver?
    SendsEmptySet {
        /// Whom it would go to.
        receiver: ReceiverKey,
    },
    /// Does an answer with this status acknowledge the set?
    IsAcknowledged {
        /// Whose answer it is.
        receiver: ReceiverKey,
        /// Its status.
        status: u16,
    },
    /// Is a set sent again that was sent in vain?
    IsRepeated {
        /// Whom it goes to.
        receiver: ReceiverKey,
        /// How often it was sent.
        attempt: u64,
        /// The status of the answer, if one came.
        status: Option<u16>,
    },
    /// Does a set that was sent in vain go before what was never sent?
    RepeatsFirst {
        /// Whom they go to.
        receiver: ReceiverKey,
    },
    /// Is the connection kept after an answer?
    KeepsConnection {
        /// Whose connection it is.
        receiver: ReceiverKey,
    },
    /// Does a restart begin a new session?
    StartsSession,
    /// Does a restart begin `correlatorIndex` at 0?
    StartsIndexes,
}

/// A fault on purpose. Every method passes by default.
pub trait Mutant: std::fmt::Debug + Send {
    /// Changes settings before the server starts.
    fn settings(&mut self, _settings: &mut Settings) {}

    /// Whether it does nothing but change settings. Others change settings only to bring about what they need.
    fn is_settings_only(&self) -> bool {
        false
    }

    /// Filters what arrived.
    fn input(&mut self, _view: &View<'_>, input: Input, pass: &mut Pass<Input>) {
        pass.now(input);
    }

    /// Gives another answer to a question of the core.
    fn decide(&mut self, _question: &Question<'_>, answer: bool) -> bool {
        answer
    }

    /// Filters what is to be reported on a connection, before it is queued.
    fn event(
        &mut self,
        _view: &View<'_>,
        connection: ConnectionKey,
        event: Event,
        pass: &mut Pass<(ConnectionKey, Event)>,
    ) {
        pass.now((connection, event));
    }

    /// Filters what is about to leave.
    fn effect(&mut self, _view: &View<'_>, effect: Effect, pass: &mut Pass<Effect>) {
        pass.now(effect);
    }

    /// Changes a frame as it is written.
    fn frame(&mut self, _connection: ConnectionKey, _header: &mut Header, _payload: &mut Vec<u8>) {}

    /// Filters a record that was made, before it is numbered and queued: the same for all receivers.
    fn record(&mut self, _view: &View<'_>, draft: Draft, pass: &mut Pass<Draft>) {
        pass.now(draft);
    }

    /// Filters a POST that is about to leave for one receiver. A dropped one counts as sent and is never answered.
    fn post(&mut self, _view: &View<'_>, post: Post, pass: &mut Pass<Post>) {
        pass.now(post);
    }

    /// Changes the body of a POST as it is written.
    fn body(&mut self, _receiver: ReceiverKey, _body: &mut Vec<u8>) {}
}

/// The mutants of one server, applied one after the other.
#[derive(Debug, Default)]
pub(super) struct Mutants(Vec<Box<dyn Mutant>>);

impl Mutants {
    pub(super) fn new(list: Vec<Box<dyn Mutant>>) -> Self {
        Self(list)
    }

    pub(super) fn settings(&mut self, settings: &mut Settings) {
        for mutant in &mut self.0 {
            mutant.settings(settings);
        }
    }

    pub(super) fn input(&mut self, view: &View<'_>, input: Input) -> Vec<(Duration, Input)> {
        self.chain(input, |mutant, value, pass| mutant.input(view, value, pass))
    }

    pub(super) fn decide(&mut self, question: Question<'_>, answer: bool) -> bool {
        self.0.iter_mut().fold(answer, |answer, mutant| mutant.decide(&question, answer))
    }

    pub(super) fn event(
        &mut self,
        view: &View<'_>,
        to: ConnectionKey,
        event: Event,
    ) -> Vec<(Duration, (ConnectionKey, Event))> {
        self.chain((to, event), |mutant, (to, event), pass| mutant.event(view, to, event, pass))
    }

    pub(super) fn effect(&mut self, view: &View<'_>, effect: Effect) -> Vec<(Duration, Effect)> {
        self.chain(effect, |mutant, value, pass| mutant.effect(view, value, pass))
    }

    pub(super) fn frame(&mut self, connection: ConnectionKey, header: &mut Header, payload: &mut Vec<u8>) {
        for mutant in &mut self.0 {
            mutant.frame(connection, header, payload);
        }
    }

    pub(super) fn record(&mut self, view: &View<'_>, draft: Draft) -> Vec<(Duration, Draft)> {
        self.chain(draft, |mutant, value, pass| mutant.record(view, value, pass))
    }

    pub(super) fn post(&mut self, view: &View<'_>, post: Post) -> Vec<(Duration, Post)> {
        self.chain(post, |mutant, value, pass| mutant.post(view, value, pass))
    }

    pub(super) fn body(&mut self, receiver: ReceiverKey, body: &mut Vec<u8>) {
        for mutant in &mut self.0 {
            mutant.body(receiver, body);
        }
    }

    fn chain<T>(&mut self, value: T, mut step: impl FnMut(&mut dyn Mutant, T, &mut Pass<T>)) -> Vec<(Duration, T)> {
        let mut values = vec![(Duration::ZERO, value)];
        for mutant in &mut self.0 {
            let mut next = Vec::with_capacity(values.len());
            for (before, value) in values {
                let mut pass = Pass::new();
                step(mutant.as_mut(), value, &mut pass);
                next.extend(pass.into_items().into_iter().map(|(delay, value)| (before + delay, value)));
            }
            values = next;
        }
        values
    }
}
