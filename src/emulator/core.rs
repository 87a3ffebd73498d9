//! The core of the emulated server: inputs and timers in, effects out, everything typed.
//!
//! It owns the parts and hands each input to the one that is responsible: `admission.rs` (tokens, upgrades, places),
//! `subscribing.rs` (requests), `delivery.rs` (updates, queue, window), `api` (REST), `dialing.rs`. Effects that have
//! passed the mutants lie in [`Core::take_effect`] for `wire.rs` to write.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::admission::Tokens;
use super::cdr::Cdr;
use super::change::Note;
use super::connection::Connection;
use super::mutant::{Mutant, Mutants, Question, View, seen};
use super::settings::Settings;
use super::timers::{Due, Timers};
use super::typed::{ConnectionKey, Effect, Input, Oddity};
use super::values::{PingReaction, Reaction};
use super::world::World;
use crate::protocol::ws::frame::{Header, Opcode, close_payload};
use crate::time::Instant;

/// How long the server waits for the client's close frame after its own.
const CLOSE_PATIENCE: Duration = Duration::from_millis(500);

/// The typed core.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) now: Instant,
    pub(super) settings: Settings,
    pub(super) mutants: Mutants,
    pub(super) world: World,
    pub(super) tokens: Tokens,
    pub(super) connections: BTreeMap<ConnectionKey, Connection>,
    pub(super) timers: Timers,
    pub(super) cdr: Cdr,
    pub(super) random: ChaCha8Rng,
    /// How many places are taken.
    pub(super) places: u64,
    /// How many connections were accepted.
    pub(super) accepted: u64,
    /// How many API requests were answered.
    pub(super) answered: u64,
    /// The revision of the world up to which changes were reported.
    pub(super) reported: u64,
    /// Whether a report of collected changes is scheduled.
    pub(super) collecting: bool,
    /// What a load is told, where there is one.
    pub(super) notes: Option<VecDeque<Note>>,
    effects: VecDeque<Effect>,
}

impl Core {
    pub(super) fn new(mut settings: Settings, mutants: Vec<Box<dyn Mutant>>, seed: u64) -> Self {
        let mut mutants = Mutants::new(mutants);
        mutants.settings(&mut settings);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut world = World::new(random.random(), settings.upper_case_guids);
        let cdr = Cdr::new(world.new_id_aside());
        Self {
            now: Instant::ZERO,
            settings,
            mutants,
            world,
            tokens: Tokens::default(),
            connections: BTreeMap::new(),
            timers: Timers::default(),
            cdr,
            random,
            places: 0,
            accepted: 0,
            answered: 0,
            reported: 0,
            collecting: false,
            notes: None,
            effects: VecDeque::new(),
        }
    }

    /// Takes an input through the mutants and handles what they let through.
    pub(super) fn offer(&mut self, now: Instant, input: Input) {
        self.now = self.now.max(now);
        let view = seen!(self);
        for (delay, input) in self.mutants.input(&view, input) {
            let delay = match input {
                Input::Subscribe { .. } => delay + self.settings.ack_delay,
                _ => delay,
            };
            if delay.is_zero() {
                self.handle(input);
            } else {
                self.timers.at(self.now + delay, Due::Input(input));
            }
        }
        self.make_records();
        self.report_changes();
    }

    /// Does everything that is due by `now`, each at its own instant.
    pub(super) fn wake(&mut self, now: Instant) {
        while let Some((at, due)) = self.timers.take(now) {
            self.now = self.now.max(at);
            match due {
                Due::Input(input) => self.handle(input),
                Due::Event(connection, event) => self.queue(connection, event),
                Due::Effect(effect) => self.effects.push_back(effect),
                Due::Emit(effect) => self.emit(effect),
                Due::Settle(connection) => self.settle(connection),
                Due::Flush => self.flush(),
                Due::Dial(participant, step) => self.go_on_dialing(&participant, step),
                Due::FreePlace => self.places = self.places.saturating_sub(1),
                Due::GiveUp(connection) => self.end(connection, false),
                Due::Place(leg, to) => self.place(&leg, to),
                Due::Record(draft) => self.number_late(draft),
                Due::Deliver(receiver) => self.deliver(receiver),
                Due::Post(link, post) => self.send_post(link, &post),
                Due::LinkOverdue(link) => self.link_overdue(link),
                Due::Up => self.come_up(),
            }
            self.make_records();
            self.report_changes();
        }
        self.now = self.now.max(now);
    }

    /// What mutants and tests may see.
    pub(super) fn view(&self) -> View<'_> {
        seen!(self)
    }

    /// The next effect to carry out.
    pub(super) fn take_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Takes an effect through the mutants and lets out what they let through.
    pub(super) fn emit(&mut self, effect: Effect) {
        let view = seen!(self);
        for (delay, effect) in self.mutants.effect(&view, effect) {
            if delay.is_zero() {
                self.effects.push_back(effect);
            } else {
                self.timers.at(self.now + delay, Due::Effect(effect));
            }
        }
    }

    /// Lets out an effect that concerns receivers.
    pub(super) fn emit_link(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    /// A delay with its seeded lengthening.
    pub(super) fn with_jitter(&mut self, delay: Duration) -> Duration {
        let most = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX) / 100 * self.settings.jitter.min(1000);
        if most == 0 { delay } else { delay + Duration::from_nanos(self.random.random_range(0..=most)) }
    }

    fn handle(&mut self, input: Input) {
        match input {
            Input::Request { exchange, request } => self.request(exchange, &request),
            Input::Subscribe { connection, id, wanted } => self.subscribe(connection, id, &wanted),
            Input::Acked { connection, id, good } => {
                if let (Some(known), Some(id)) = (self.connections.get_mut(&connection), id) {
                    known.acknowledge(id);
                    self.note(|| Note::Acked { connection, id, good });
                }
                self.pump(connection);
            }
            Input::Odd { connection, what, id } => self.odd(connection, what, id),
            Input::Closing { connection, code } => self.client_closes(connection, code),
            Input::Ended { connection } => self.forget(connection, true),
        }
    }

    fn odd(&mut self, connection: ConnectionKey, what: Oddity, id: Option<u64>) {
        let settings = &self.settings;
        let reaction = match what {
            Oddity::Ping(payload) => match settings.on_ping {
                PingReaction::Answer => {
                    let header = Header::new(Opcode::PONG, payload.len() as u64);
                    return self.emit(Effect::Frame { connection, header, payload });
                }
                PingReaction::Ignore => Reaction::Ignore,
                PingReaction::Close => Reaction::Close(1003),
            },
            Oddity::Pong => settings.on_pong,
            Oddity::Binary => settings.on_binary,
            Oddity::Fragment => settings.on_fragment,
            Oddity::BadUtf8 => settings.on_bad_utf8,
            Oddity::BadJson => settings.on_bad_json,
            Oddity::UnknownMessage => settings.on_unknown_message,
            Oddity::Unmasked => settings.on_unmasked,
            Oddity::BadFrame => settings.on_bad_frame,
            Oddity::TooLong => Reaction::Close(1009),
        };
        match (reaction, id) {
            (Reaction::Ignore, _) | (Reaction::Refuse, None) => {}
            (Reaction::Refuse, Some(id)) => {
                let status = self.settings.refusal_status.clone();
                self.emit(Effect::Ack { connection, id, status });
            }
            (Reaction::Close(code), _) => self.server_closes(connection, code),
            (Reaction::Drop, _) => self.end(connection, true),
        }
    }

    /// Sends a close frame; the connection ends when the client has answered it, or after a while.
    pub(super) fn server_closes(&mut self, key: ConnectionKey, code: u16) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        if connection.closing {
            return;
        }
        connection.closing = true;
        connection.subscriptions.clear();
        let causes = connection.clear();
        self.note(|| Note::Lost { connection: key, causes });
        self.emit_close(key, Some(code));
        self.timers.at(self.now + CLOSE_PATIENCE, Due::GiveUp(key));
    }

    fn client_closes(&mut self, key: ConnectionKey, code: Option<u16>) {
        let Some(connection) = self.connections.get(&key) else { return };
        if !connection.closing {
            self.emit_close(key, code);
        }
        self.end(key, false);
    }

    fn emit_close(&mut self, connection: ConnectionKey, code: Option<u16>) {
        let payload = code.map(|code| close_payload(code, "")).unwrap_or_default();
        let header = Header::new(Opcode::CLOSE, payload.len() as u64);
        self.emit(Effect::Frame { connection, header, payload });
    }

    /// Ends a connection from this side.
    pub(super) fn end(&mut self, connection: ConnectionKey, abruptly: bool) {
        if self.connections.contains_key(&connection) {
            self.emit(if abruptly { Effect::Drop { connection } } else { Effect::End { connection } });
            self.forget(connection, abruptly);
        }
    }

    /// Forgets a connection that has ended, with all its subscriptions.
    fn forget(&mut self, key: ConnectionKey, abrupt: bool) {
        let Some(mut connection) = self.connections.remove(&key) else { return };
        let causes = connection.clear();
        self.note(|| Note::Lost { connection: key, causes });
        if !connection.counted {
            return;
        }
        if self.mutants.decide(Question::FreesPlace { connection: key, abrupt }, true) {
            if self.settings.place_delay.is_zero() {
                self.places = self.places.saturating_sub(1);
            } else {
                self.timers.at(self.now + self.settings.place_delay, Due::FreePlace);
            }
        }
    }
}
