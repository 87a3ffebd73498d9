//! The judge of a Meeting Server: takes each observation to the rules that it concerns.
//!
//! Holds what the rules know (`api_view.rs`, `connection.rs`, `auth.rs`, `places.rs`) and nothing of its own. Order
//! matters: deadlines that have passed are looked at first, since nothing that comes later makes up for them; then what an
//! observation says of the server is noted, then it is judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::api_view::ApiView;
use super::auth::Tokens;
use super::book::Surroundings;
use super::cdr::CdrJudge;
use super::compare::{self, Comparison};
use super::connection::{Connection, Phase, by_peer};
use super::docket::Docket;
use super::msg::{self, Sent};
use super::places::{PLACES, Places};
use super::registry::R;
use super::scene::{Controls, Scene, Suspect};
use super::upd::{self, Correlators};
use super::verdict::{Context, Finding, Judgement};
use super::{overdue, sub, ws};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Envelope, MessageType};
use crate::protocol::ws::frame::{Frame, Opcode};
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, Event, Observation, Seq, Side, Text};

/// How often deadlines are looked at while one observation follows the other.
const LOOKS: Duration = Duration::from_millis(50);

/// What the rules know of a server.
#[derive(Debug)]
pub(super) struct ServerJudge {
    context: Context,
    docket: Docket,
    api: ApiView,
    tokens: Tokens,
    places: Places,
    connections: BTreeMap<ConnectionId, Connection>,
    sent: BTreeMap<ConnectionId, Sent>,
    controls: Controls,
    correlators: Correlators,
    comparison: Comparison,
    cdr: CdrJudge,
    earlier_indexes: BTreeSet<u64>,
    suspects: Vec<(ConnectionId, Suspect)>,
    strangers: Vec<(ConnectionId, u64, Seq)>,
    several_clients: bool,
    now: Instant,
    /// When deadlines were looked at last.
    looked: Instant,
}

/// Makes the scene of an observation out of a judge's parts.
macro_rules! scene {
    ($judge:ident, $observation:expr) => {
        Scene {
            at: $observation.at,
            seq: $observation.seq,
            version: $judge.context.version,
            clustered: $judge.context.clustered,
            deadlines: $judge.context.deadlines,
            api: &mut $judge.api,
            docket: &mut $judge.docket,
            controls: &mut $judge.controls,
            correlators: &mut $judge.correlators,
            earlier_indexes: &$judge.earlier_indexes,
            several_clients: $judge.several_clients,
            suspects: &mut $judge.suspects,
            strangers: &mut $judge.strangers,
        }
    };
}

impl ServerJudge {
    pub(super) fn new(context: Context, docket: Docket) -> Self {
        Self {
            context,
            docket,
            api: ApiView::default(),
            tokens: Tokens::default(),
            places: Places::default(),
            connections: BTreeMap::new(),
            sent: BTreeMap::new(),
            controls: Controls::default(),
            correlators: Correlators::default(),
            comparison: Comparison::default(),
            cdr: CdrJudge::new(context),
            earlier_indexes: BTreeSet::new(),
            suspects: Vec::new(),
            strangers: Vec::new(),
            several_clients: false,
            now: Instant::ZERO,
            looked: Instant::ZERO,
        }
    }

    pub(super) fn observe(&mut self, observation: &Observation<'_>) {
        self.now = observation.at;
        // Time that the harness lost has to be known before anything is called late.
        let late = matches!(observation.event, Event::HarnessLate { .. });
        if !late && self.now.since(self.looked) >= LOOKS {
            self.expire(observation);
        }
        self.take(observation);
        self.cdr.observe(observation, &self.api, &mut self.docket);
        // Of these there are many, and each looks at the time before it is taken.
        if !matches!(observation.event, Event::Frame { .. } | Event::SetReceived { .. } | Event::SetAnswered { .. }) {
            self.expire(observation);
        }
    }

    fn take(&mut self, observation: &Observation<'_>) {
        let (at, seq) = (observation.at, observation.seq);
        match &observation.event {
            Event::RequestSent { exchange, request } => {
                self.api.sent(*exchange, request, at, seq);
                self.tokens.sent(*exchange, request, seq);
            }
            Event::ResponseReceived { exchange, response } => {
                self.tokens.answered(*exchange, response, at, seq, &mut self.docket);
                self.api.answered(*exchange, response, at, seq);
                self.calls_ended(observation);
            }
            Event::RequestFailed { exchange, .. } => {
                self.api.failed(*exchange);
                self.tokens.failed(*exchange);
            }
            Event::Opening { connection, client, request } => {
                let deadlines = self.context.deadlines;
                self.places.opening((*connection, request), &self.connections, &mut self.tokens, deadlines, (at, seq));
                let mut known = Connection::new(*connection, client, seq);
                known.changes_before = self.api.changes_made;
                self.connections.insert(*connection, known);
                self.sent.insert(*connection, Sent::default());
                self.several_clients = self.connections.len() > 1;
            }
            Event::Opened { connection, response } => {
                let Some(known) = self.connections.get_mut(connection) else { return };
                known.phase = Phase::Open;
                self.places.opened(known, response, at, seq, &mut self.docket, &self.tokens);
            }
            Event::Refused { connection, response } => {
                self.drop_connection(*connection);
                self.places.refused(*connection, response, at, seq, self.context.deadlines, &mut self.docket);
            }
            Event::OpenFailed { connection, error } => {
                self.drop_connection(*connection);
                self.places.failed(*connection, error, at, seq, self.context.deadlines, &mut self.docket);
            }
            Event::Frame { connection, from: Side::Server, frame, text } => {
                self.server_frame(*connection, frame, text.as_ref(), observation);
            }
            Event::Frame { connection, from: Side::Client, frame, text } => {
                self.client_frame(*connection, frame, text.as_ref(), observation);
            }
            Event::RawBytesSent { connection, .. } => {
                if let Some(known) = self.connections.get_mut(connection) {
                    known.abused.get_or_insert(seq);
                    self.places.abuse.get_or_insert((*connection, seq));
                }
            }
            Event::Ended { connection, cause } => self.ended(*connection, *cause, observation),
            Event::Snapshot { since } => {
                let mut scene = scene!(self, observation);
                self.comparison.snapshot(&mut self.connections, *since, &mut scene);
            }
            Event::RestartBegun => self.restarted(),
            Event::HarnessLate { by } => {
                for connection in self.connections.values_mut() {
                    connection.harness_late(*by);
                }
            }
            _ => {}
        }
    }

    /// What the server knew before its restart is gone, and nothing is owed any more: no connection, token or call.
    fn restarted(&mut self) {
        self.connections.clear();
        self.sent.clear();
        self.earlier_indexes.clear();
        self.api = ApiView::default();
        self.tokens = Tokens::default();
        self.places = Places::default();
        self.correlators = Correlators::default();
        self.comparison = Comparison::default();
    }

    fn drop_connection(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.sent.remove(&connection);
    }

    fn server_frame(
        &mut self,
        id: ConnectionId,
        frame: &Frame<'_>,
        text: Option<&Text<'_>>,
        observation: &Observation<'_>,
    ) {
        let (Some(connection), Some(sent)) = (self.connections.get_mut(&id), self.sent.get_mut(&id)) else { return };
        let (at, seq) = (observation.at, observation.seq);
        ws::server_frame(connection, frame, text, at, seq, &mut self.docket);
        if frame.header.opcode == Opcode::CLOSE {
            ws::note_close(connection, frame.payload, &mut self.docket);
        }
        let Some(text) = text else { return };
        let mut scene = scene!(self, observation);
        let mut served = false;
        match msg::server_text(connection, text, &mut scene) {
            Some(Envelope::Ack(ack)) => {
                served = ack.status() == Some(SUCCESS);
                msg::server_ack(connection, sent, ack, &mut scene);
            }
            Some(Envelope::Message(message)) => {
                msg::server_message(connection, sent, message, &mut scene);
                connection.last_message = Some(seq);
                match message.message_type() {
                    Some(MessageType::SubscriptionUpdate) => sub::states(connection, message, &mut scene),
                    Some(MessageType::SubscribeRequest) => {}
                    kind => upd::update(connection, message, kind, &mut scene),
                }
            }
            Some(Envelope::Other(_)) | None => {}
        }
        if served {
            self.places.served(id, at, seq, &mut self.docket);
            if self.open_connections() == PLACES {
                self.docket.tested(R::Lim01);
            }
        }
        self.calls_ended(observation);
    }

    fn client_frame(
        &mut self,
        id: ConnectionId,
        frame: &Frame<'_>,
        text: Option<&Text<'_>>,
        observation: &Observation<'_>,
    ) {
        let request = matches!(text, Some(Text::Json { envelope: Envelope::Message(_), .. }));
        let around = if request { self.surroundings(id) } else { Surroundings::default() };
        let (Some(connection), Some(sent)) = (self.connections.get_mut(&id), self.sent.get_mut(&id)) else { return };
        ws::client_frame(connection, frame, text, observation.at, observation.seq);
        if let Some(text) = text {
            let requests = connection.book.sent;
            let mut scene = scene!(self, observation);
            msg::client_text(connection, sent, text, around, &mut scene);
            let last =
                connection.book.requests.back().filter(|last| connection.book.sent > requests && last.over_limit);
            if last.is_some() {
                self.places.over_limit = Some((id, observation.seq));
            }
        }
        if connection.abused.is_some() {
            self.places.abuse.get_or_insert((id, observation.seq));
        }
    }

    fn open_connections(&self) -> usize {
        self.connections.values().filter(|connection| connection.is_open() && connection.close_sent.is_none()).count()
    }

    /// What lies around a request of this connection. Looks at every connection, so only requests are worth it.
    fn surroundings(&self, id: ConnectionId) -> Surroundings {
        let opened = self.connections.get(&id).map(|connection| connection.opening_seq);
        let others = self.connections.values().filter(|other| other.id != id && other.is_open());
        Surroundings {
            over_limit: self.places.over_limit.is_some(),
            open: self.open_connections(),
            elsewhere: others.map(|other| other.book.size()).sum(),
            after_sixth: self.places.sixth_attempt.is_some_and(|sixth| opened.is_some_and(|opened| opened < sixth)),
            other_abused: self.places.abuse.is_some_and(|(other, _)| other != id),
        }
    }

    fn ended(&mut self, id: ConnectionId, cause: EndCause, observation: &Observation<'_>) {
        let (Some(mut connection), Some(mut sent)) = (self.connections.remove(&id), self.sent.remove(&id)) else {
            return;
        };
        let blamed = self.places.ended(&connection, cause, observation.at, observation.seq, &mut self.docket);
        let closing = connection.close_sent.is_some();
        ws::ended(&mut connection, cause, observation.at, observation.seq, self.context.deadlines, &mut self.docket);
        let mut scene = scene!(self, observation);
        sub::over_limit(&mut connection, &mut scene);
        sub::count_silence(&mut connection, scene.api, scene.docket);
        compare::count_unsubscribed(&mut connection, scene.api, false, scene.docket);
        msg::ended(&connection, &mut sent, by_peer(cause), blamed || closing, &mut scene);
        self.earlier_indexes
            .extend(connection.book.slots.iter().filter(|(_, slot)| slot.is_active()).map(|(index, _)| *index));
    }

    fn calls_ended(&mut self, observation: &Observation<'_>) {
        for call in std::mem::take(&mut self.api.just_ended) {
            for connection in self.connections.values_mut() {
                sub::call_ended(connection, &call, observation.at, observation.seq);
            }
        }
    }

    fn expire(&mut self, observation: &Observation<'_>) {
        let deadlines = self.context.deadlines;
        self.looked = observation.at;
        self.places.expire(observation.at, deadlines, &mut self.docket);
        for (id, connection) in &mut self.connections {
            let Some(sent) = self.sent.get_mut(id) else { continue };
            ws::expire(connection, observation.at, deadlines, &mut self.docket);
            let mut scene = scene!(self, observation);
            msg::expire(connection, sent, &mut scene);
            overdue::expire(connection, &mut scene);
            compare::expire(connection, &mut scene);
        }
        self.cdr.expire(observation, &self.api, &mut self.docket);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let deadlines = self.context.deadlines;
        let allowed = deadlines.reaction;
        let of_connections = self.connections.iter().flat_map(|(id, connection)| {
            let acks = self.sent.get(id).and_then(|sent| msg::due(connection, sent, allowed, self.now));
            [
                acks,
                overdue::due(connection, allowed, self.now),
                compare::due(connection, allowed, self.now),
                ws::due(connection, deadlines),
            ]
        });
        let general = [self.comparison.due(allowed), self.places.due(deadlines), self.cdr.due()];
        of_connections.chain(general).flatten().max()
    }

    /// The findings so far that are kept.
    pub(super) fn findings(&self) -> &[Finding] {
        self.docket.findings()
    }

    /// How many findings there are so far.
    pub(super) fn found(&self) -> u64 {
        self.docket.found()
    }

    pub(super) fn finish(mut self) -> Judgement {
        for (id, connection) in &mut self.connections {
            sub::count_silence(connection, &self.api, &mut self.docket);
            compare::count_unsubscribed(connection, &self.api, false, &mut self.docket);
            ws::still_open(connection, &mut self.docket);
            if let Some(sent) = self.sent.get_mut(id) {
                msg::finish(connection, sent, &mut self.docket);
            }
        }
        self.cdr.finish(&mut self.docket);
        self.docket.close()
    }
}
