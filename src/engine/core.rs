//! What all steps of a scenario share: the trace, the commands, the clients, the exchanges; and how a step waits.
//!
//! The core sits behind a lock only so that an engine can move between threads: nothing ever waits for it.

use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::api_client::Api;
use super::bend::Bends;
use super::client::{Client, Ear};
use super::clients::Clients;
use super::driver::{Command, Input};
use super::events_client::{Ahead, EventsClient, Heard, Stage, Tracer};
use super::load::{Live, client_name};
use super::options::Options;
use super::outcome::{FailedExpectation, StepMark};
use super::receiver_steps::Reception;
use super::scratch::Scratch;
use crate::load::{Part, Together};
use crate::scenario::syntax::{NumberTemplate, Scenario, Template, Time};
use crate::scenario::template::{self, TemplateError};
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, Event, NetworkError, NetworkErrorKind, Seq, Sink};

/// Why no further step is carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stop {
    /// A step could not be carried out.
    Unfinished(String),
    /// The user wanted it.
    Interrupted,
}

/// What became of an attempt to open a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum OpenOutcome {
    /// It is open.
    Opened,
    /// Refused with this status.
    Refused(u16),
    /// The server ended it without an answer.
    Ended,
    /// It got no answer, for this reason.
    Failed(String),
}

/// What arrived last, for sentences.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    /// This, in words.
    Told(String),
    /// Something on this connection: what it was, the client's ear knows.
    Heard(ConnectionId),
}

/// An attempt to open a connection.
#[derive(Debug)]
pub(super) struct Opening {
    client: String,
    outcome: Option<OpenOutcome>,
}

/// What all steps share.
#[derive(Debug)]
pub(super) struct Core<S> {
    pub(super) now: Instant,
    pub(super) trace: Tracer<S>,
    pub(super) commands: VecDeque<Command>,
    pub(super) scratch: Box<Scratch>,
    pub(super) options: Options,
    pub(super) random: ChaCha8Rng,
    pub(super) clients: Clients,
    pub(super) reception: Reception,
    /// The load that runs at the moment.
    pub(super) live: Option<Box<Live>>,
    /// The part of a load that is this engine's, if the scenario is one.
    pub(super) part: Option<Part>,
    pub(super) api: Api,
    pub(super) variables: BTreeMap<String, String>,
    pub(super) steps: Vec<StepMark>,
    pub(super) failed_expectations: Vec<FailedExpectation>,
    pub(super) network_errors: Vec<NetworkError>,
    /// The connection whose bytes were taken and acknowledged, but not looked at.
    looking: Option<ConnectionId>,
    /// Connections that the server ended in the middle of a frame.
    pub(super) cut: Vec<ConnectionId>,
    pub(super) openings: BTreeMap<ConnectionId, Opening>,
    /// When bytes or an answer arrived last.
    pub(super) last_activity: Instant,
    /// What arrived last.
    pub(super) last_seen: Option<Seen>,
    /// When the scenario has to be through, and how long that was.
    pub(super) deadline: Option<(Instant, Duration)>,
    /// Why no further step is carried out.
    pub(super) stop: Option<Stop>,
    /// Whether the steps are over and only tidying up is left.
    pub(super) ending: bool,
    /// Whether the user wanted the run to end.
    pub(super) interrupted: bool,
    timer: Option<Instant>,
    /// Whether the steps wait for a load, which was looked at after all that had happened until then.
    pub(super) is_pumping: bool,
    next_connection: u32,
}

impl<S: Sink> Core<S> {
    pub(super) fn new(scenario: &Scenario, options: Options, sink: S) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(options.seed);
        let of_load = scenario.load.iter().flat_map(|load| (1..=load.value.connections()).map(client_name));
        let clients = scenario.clients.iter().map(|name| name.value.clone()).chain(of_load);
        let clients = clients.map(|name| (name, Client::new(random.random_range(1000..2000)))).collect();
        Self {
            reception: Reception::new(&scenario.receivers, options.request_limits, &options.bends),
            live: None,
            part: scenario.load.as_ref().map(|load| Together::alone(load.value.terms()).part(0)),
            now: Instant::ZERO,
            trace: Tracer::new(sink),
            commands: VecDeque::new(),
            scratch: Box::default(),
            options,
            random,
            clients,
            api: Api::default(),
            variables: BTreeMap::new(),
            steps: Vec::new(),
            failed_expectations: Vec::new(),
            network_errors: Vec::new(),
            looking: None,
            cut: Vec::new(),
            openings: BTreeMap::new(),
            last_activity: Instant::ZERO,
            last_seen: None,
            deadline: None,
            stop: None,
            ending: false,
            interrupted: false,
            timer: None,
            is_pumping: false,
            next_connection: 1,
        }
    }

    pub(super) fn observe(&mut self, event: Event<'_>) -> Seq {
        self.trace.observe(self.now, event)
    }

    /// Asks for a look at the time at `at`.
    pub(super) fn wake_at(&mut self, at: Instant) {
        self.timer = Some(self.timer.map_or(at, |known| known.min(at)));
    }

    /// Forgets what the step asked for; it asks again when it is polled.
    pub(super) fn reset_timer(&mut self) {
        self.timer = None;
        self.is_pumping = false;
    }

    /// Whether the steps have nothing to do: a load waits for its time, and what arrived is nothing that it waits for. Under
    /// load that is nearly always so, and looking for it costs less than polling the steps.
    pub(super) fn is_calm(&self) -> bool {
        self.is_pumping
            && self.stop.is_none()
            && self.timer.is_some_and(|at| at > self.now)
            && self.live.as_ref().is_some_and(|live| !live.is_stirred)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let of_clients = self.clients.poll_timeout().into_iter();
        of_clients.chain(self.reception.actors.poll_timeout()).chain(self.timer).min()
    }

    /// Takes what happened; the steps look at it afterwards.
    pub(super) fn take(&mut self, input: Input<'_>) {
        if let Some(live) = &mut self.live {
            live.turn_if_due(self.now, || self.trace.found());
        }
        match input {
            Input::Responded { exchange, response } => self.take_response(exchange, response),
            Input::RequestFailed { exchange, error } => self.take_failure(exchange, error),
            Input::Opened { connection, response } => {
                if let Some(client) = self.opening(connection, OpenOutcome::Opened) {
                    self.observe(Event::Opened { connection, response: &response });
                    self.begin(connection, &client);
                }
            }
            Input::Refused { connection, response } => {
                if self.opening(connection, OpenOutcome::Refused(response.status)).is_some() {
                    self.observe(Event::Refused { connection, response: &response });
                }
            }
            Input::OpenFailed { connection, error } => {
                // A server may refuse a connection by ending it without an answer: that is no fault of the network.
                let ended = error.kind == NetworkErrorKind::Closed;
                let outcome = if ended { OpenOutcome::Ended } else { OpenOutcome::Failed(error.to_string()) };
                if self.opening(connection, outcome).is_some() {
                    self.observe(Event::OpenFailed { connection, error: &error });
                    if !ended {
                        self.network_errors.push(error);
                    }
                }
            }
            Input::Received { connection, bytes } => {
                self.take_bytes(connection, bytes);
                if self.is_looking() {
                    return;
                }
            }
            Input::Ended { connection, cause } => self.finish_connection(connection, cause),
            Input::Tick => {}
            Input::Interrupt => {
                self.interrupted = true;
                if !self.ending {
                    self.stop = Some(Stop::Interrupted);
                }
            }
            of_receivers => self.take_of_receivers(of_receivers),
        }
        self.look_at_the_time();
    }

    /// Begins an attempt to open a connection for `client`.
    pub(super) fn next_opening(&mut self, client: &str) -> ConnectionId {
        let connection = ConnectionId(self.next_connection);
        self.next_connection += 1;
        self.openings.insert(connection, Opening { client: client.to_owned(), outcome: None });
        connection
    }

    /// What became of an attempt to open a connection, once.
    pub(super) fn take_opening(&mut self, connection: ConnectionId) -> Option<OpenOutcome> {
        let outcome = self.openings.get(&connection)?.outcome.clone()?;
        self.openings.remove(&connection);
        Some(outcome)
    }

    /// Whether an attempt to open a connection is under way.
    pub(super) fn is_opening(&self) -> bool {
        self.openings.values().any(|opening| opening.outcome.is_none())
    }

    fn opening(&mut self, connection: ConnectionId, outcome: OpenOutcome) -> Option<String> {
        self.last_activity = self.now;
        let opening = self.openings.get_mut(&connection).filter(|opening| opening.outcome.is_none())?;
        opening.outcome = Some(outcome);
        Some(opening.client.clone())
    }

    fn begin(&mut self, connection: ConnectionId, name: &str) {
        let random = ChaCha8Rng::from_seed(self.random.random());
        let limit = self.options.frame_limit;
        let bends = Bends::named(&self.options.bends);
        let Some(policy) = self.clients.get(name).map(|client| client.policy.clone()) else { return };
        self.clients.begin(name, EventsClient::new(connection, policy, random, limit).bent(bends));
    }

    /// Takes bytes of a connection. Acks are sent first; [`Core::look`] does the rest.
    fn take_bytes(&mut self, connection: ConnectionId, bytes: &[u8]) {
        let Self { clients, now, trace, commands, scratch, options, .. } = self;
        let Some(client) = clients.on(connection) else { return };
        act_on(client, (*now, trace, commands, scratch), options.reaction, |line, _, _, ahead, out, _| {
            line.take(bytes, ahead, out);
        });
        self.looking = Some(connection);
    }

    /// Whether bytes were taken that nobody has looked at.
    pub(super) const fn is_looking(&self) -> bool {
        self.looking.is_some()
    }

    /// Looks at bytes that were taken, or at a part of them.
    pub(super) fn look(&mut self) {
        let Some(connection) = self.looking.take() else { return };
        let Self { clients, now, trace, commands, scratch, options, live, .. } = self;
        let Some(client) = clients.on(connection) else { return };
        let watcher = client.watcher;
        let looked =
            act_on(client, (*now, trace, commands, scratch), options.reaction, |line, ear, now, ahead, out, trace| {
                let is_more = line.look(now, ahead, out, trace, |heard| {
                    ear.hear(heard);
                    match (&mut *live, watcher, heard) {
                        (Some(live), Some(watcher), Heard::Message(message)) => live.hear(watcher, message, now),
                        (Some(live), Some(watcher), Heard::Ack(ack)) => live.hear_ack(watcher, ack, now),
                        _ => {}
                    }
                });
                (is_more, line.stage())
            });
        if matches!(looked, Some((true, _))) {
            self.looking = Some(connection);
            return;
        }
        if let (Some(live), Some(watcher)) = (live, watcher)
            && live.awaits_states(watcher)
            && client.ear.is_settled()
        {
            live.settled(watcher, client.ear.is_active(), *now);
        }
        let due = client.poll_timeout();
        clients.note_due(due);
        self.last_activity = self.now;
        self.last_seen = Some(Seen::Heard(connection));
        if matches!(looked, Some((_, Stage::Unreadable))) {
            self.commands.push_back(Command::Drop { connection });
            self.finish_connection(connection, EndCause::TooLong);
        }
        self.look_at_the_time();
    }

    /// Lets a client's connection act, and sends what it wants to send. `None` where it has no connection.
    pub(super) fn act<T>(
        &mut self,
        name: &str,
        action: impl FnOnce(&mut EventsClient, &mut Ear, Instant, &mut Vec<u8>, &mut Tracer<S>) -> T,
    ) -> Option<T> {
        let Self { clients, now, trace, commands, scratch, options, .. } = self;
        let client = clients.get_mut(name)?;
        let act =
            |line: &mut EventsClient, ear: &mut Ear, now, _: &mut Ahead, out: &mut Vec<u8>, trace: &mut Tracer<S>| {
                action(line, ear, now, out, trace)
            };
        let done = act_on(client, (*now, trace, commands, scratch), options.reaction, act);
        let due = client.poll_timeout();
        clients.note_due(due);
        done
    }

    /// Takes note that a connection is gone.
    pub(super) fn finish_connection(&mut self, connection: ConnectionId, cause: EndCause) {
        let Some(name) = self.clients.name_of(connection).cloned() else { return };
        let Some(client) = self.clients.get_mut(&name) else { return };
        let Some(line) = client.line.as_mut().filter(|line| line.stage() != Stage::Ended) else { return };
        if matches!(cause, EndCause::PeerClosed | EndCause::PeerReset) && line.is_amid_frame() {
            self.cut.push(connection);
        }
        line.end();
        client.close_deadline = None;
        if let (Some(live), Some(watcher)) = (&mut self.live, client.watcher) {
            live.lost(watcher, self.now);
        }
        self.last_activity = self.now;
        self.last_seen = Some(Seen::Told(format!("the connection of {name} ended")));
        self.observe(Event::Ended { connection, cause });
    }

    /// Sends acks and answers that are due, and ends connections whose closing handshake takes too long.
    fn look_at_the_time(&mut self) {
        for name in self.clients.take_due(self.now) {
            self.act(&name, |line, _, now, out, trace| line.handle_timeout(now, out, trace));
            let late = self.clients.get(&name).filter(|client| client.close_deadline.is_some_and(|at| at <= self.now));
            if let Some(connection) = late.and_then(|client| client.line.as_ref()).map(EventsClient::connection) {
                self.commands.push_back(Command::Close { connection });
                self.finish_connection(connection, EndCause::Closed);
            }
        }
        if self.reception.actors.poll_timeout().is_some_and(|at| at <= self.now) {
            self.let_receive(|actors, around| actors.handle_timeout(around));
        }
        if let Some((at, limit)) = self.deadline
            && at <= self.now
            && self.stop.is_none()
            && !self.ending
        {
            let seen = self.last_seen_in_words();
            self.stop = Some(Stop::Unfinished(format!("the scenario was not through after {limit:?}; {seen}")));
        }
    }

    /// What arrived last, for sentences.
    pub(super) fn last_seen_in_words(&self) -> String {
        let seen = match &self.last_seen {
            None => return "nothing had arrived".to_owned(),
            Some(Seen::Told(seen)) => seen.clone(),
            Some(Seen::Heard(connection)) => {
                let name = self.clients.name_of(*connection);
                let on_it = name.and_then(|name| Some((name, self.clients.get(name)?)));
                match on_it.map(|(name, client)| (name, client.line.as_ref(), client.ear.last_seen())) {
                    Some((name, Some(line), _)) if line.server_closed() => format!("{name} received a close frame"),
                    Some((name, _, Some(seen))) => format!("{name} received {seen}"),
                    Some((name, ..)) => format!("{name} received a part of a message"),
                    None => format!("connection {} received something", connection.0),
                }
            }
        };
        format!("last, {seen}")
    }

    /// Gives a variable its value.
    pub(super) fn store(&mut self, name: &Template, value: &str) -> Result<(), Stop> {
        let name = self.resolve(name)?;
        self.variables.insert(name, value.to_owned());
        Ok(())
    }

    /// The value of a template.
    pub(super) fn resolve(&mut self, text: &Template) -> Result<String, Stop> {
        self.looking_up(|lookup| text.resolve(lookup))
    }

    /// The value of a template that has to be a number without sign.
    pub(super) fn resolve_number(&mut self, text: &NumberTemplate) -> Result<u64, Stop> {
        let value = self.resolve(text)?;
        value.parse().map_err(|_| Stop::Unfinished(format!("`{value}` is no whole number from 0")))
    }

    /// A JSON value with its templates replaced.
    pub(super) fn resolve_json(&mut self, value: &Value) -> Result<Value, Stop> {
        self.looking_up(|lookup| template::resolve_json(value, lookup))
    }

    fn looking_up<T>(
        &mut self,
        resolve: impl FnOnce(&dyn Fn(&str) -> Option<String>) -> Result<T, TemplateError>,
    ) -> Result<T, Stop> {
        // A generator of its own, since a lookup may want it while the rest is only read.
        let random = std::cell::RefCell::new(ChaCha8Rng::from_seed(self.random.random()));
        let lookup = |name: &str| -> Option<String> {
            if let Some(value) = self.variables.get(name) {
                return Some(value.clone());
            }
            match name {
                "run" => return Some(self.options.run_id.clone()),
                "guid" => return Some(guid(&mut random.borrow_mut())),
                _ => {}
            }
            let (client, value) = name.rsplit_once('.')?;
            if let Some(value) = self.reception.value(client, value) {
                return Some(value);
            }
            let client = self.clients.get(client)?;
            match value {
                "unacked" => client.line.as_ref()?.oldest_owed().map(|id| id.to_string()),
                "last" => client.line.as_ref()?.last().map(|id| id.to_string()),
                "received" => Some(client.ear.received().to_string()),
                _ => None,
            }
        };
        resolve(&lookup).map_err(|error| Stop::Unfinished(error.to_string()))
    }
}

/// Lets a client's connection act, and sends what it wants to send. `None` where it has no connection.
fn act_on<S: Sink, T>(
    client: &mut Client,
    (now, trace, commands, scratch): (Instant, &mut Tracer<S>, &mut VecDeque<Command>, &mut Scratch),
    reaction: Duration,
    action: impl FnOnce(&mut EventsClient, &mut Ear, Instant, &mut Ahead, &mut Vec<u8>, &mut Tracer<S>) -> T,
) -> Option<T> {
    let line = client.line.as_mut().filter(|line| line.stage() != Stage::Ended)?;
    let connection = line.connection();
    let mut out = scratch.buffer();
    let done = action(line, &mut client.ear, now, &mut scratch.ahead, &mut out, trace);
    if line.stage() == Stage::Closing && client.close_deadline.is_none() {
        client.close_deadline = Some(now + reaction);
    }
    if out.is_empty() {
        scratch.recycle(out);
    } else {
        commands.push_back(Command::Send { connection, bytes: out });
    }
    Some(done)
}

/// A GUID of version 4.
fn guid(random: &mut ChaCha8Rng) -> String {
    let bits: u128 = random.random();
    let bits = bits & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The core as steps hold it.
#[derive(Debug)]
pub(super) struct Handle<S>(Arc<Mutex<Core<S>>>);

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: Sink> Handle<S> {
    pub(super) fn new(core: Core<S>) -> Self {
        Self(Arc::new(Mutex::new(core)))
    }

    /// Works on the core.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Core<S>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The core, if this is the last handle to it.
    pub(super) fn into_core(self) -> Option<Core<S>> {
        Arc::into_inner(self.0).map(|core| core.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until `look` finds something, or `deadline` has passed (`None`).
    pub(super) async fn until<T>(
        &self,
        deadline: Instant,
        mut look: impl FnMut(&mut Core<S>) -> Option<T>,
    ) -> Result<Option<T>, Stop> {
        poll_fn(|_| {
            self.with(|core| {
                if let (Some(stop), false) = (&core.stop, core.ending) {
                    return Poll::Ready(Err(stop.clone()));
                }
                if let Some(found) = look(core) {
                    return Poll::Ready(Ok(Some(found)));
                }
                if deadline <= core.now {
                    return Poll::Ready(Ok(None));
                }
                core.wake_at(deadline);
                if let (Some((at, _)), false) = (core.deadline, core.ending) {
                    core.wake_at(at);
                }
                Poll::Pending
            })
        })
        .await
    }

    /// Lets time pass.
    pub(super) async fn pause(&self, time: Duration) -> Result<(), Stop> {
        let deadline = self.with(|core| core.now + time);
        self.until(deadline, |_| None::<()>).await.map(drop)
    }

    /// The end of a wait that begins now.
    pub(super) fn deadline(&self, within: Option<Time>) -> Instant {
        self.with(|core| core.now + within.map_or_else(|| core.options.wait(), |time| time.0))
    }

    /// The end of a wait for records that begins now.
    pub(super) fn record_deadline(&self, within: Option<Time>) -> Instant {
        self.with(|core| core.now + within.map_or_else(|| core.options.wait_for_records(), |time| time.0))
    }

    /// Why a wait that began at `begun` came to nothing.
    pub(super) fn missed(&self, begun: Instant, what: &str) -> Stop {
        self.with(|core| {
            let waited_s = core.now.since(begun).as_secs_f64();
            Stop::Unfinished(format!("waited {waited_s:.1} s for {what}; {}", core.last_seen_in_words()))
        })
    }

    pub(super) fn now(&self) -> Instant {
        self.with(|core| core.now)
    }
}
