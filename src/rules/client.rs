//! Rules for events clients: what a client sends, acknowledges and asks for (EVENTS 1.1.1, 5.0.1, 6).

use std::collections::BTreeMap;

use super::connection::{Connection, Phase};
use super::docket::{Charge, Docket, quote};
use super::places::PLACES;
use super::receivers::ReceiversJudge;
use super::registry::R;
use super::request::{SUBSCRIPTION_LIMIT, take_apart};
use super::verdict::{Context, Finding, Judgement};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Ack, Envelope, Message, MessageType, Resource};
use crate::protocol::json::Kind;
use crate::protocol::ws::frame::{Frame, Opcode};
use crate::spec::elements;
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, Event, Observation, Seq, Side, Text};

/// A client connection with the server messages of unknown content that it owes an ack for.
#[derive(Debug)]
struct Client {
    connection: Connection,
    /// Messages of an unknown type or with unknown fields, not acknowledged yet: id and place.
    unknown: BTreeMap<u64, Seq>,
    overdue: Vec<u64>,
    /// Whether it acknowledged an ordinary message.
    acknowledges: bool,
}

/// What the rules know of the clients of a server, and of its receivers.
#[derive(Debug)]
pub(super) struct ClientJudge {
    context: Context,
    docket: Docket,
    clients: BTreeMap<ConnectionId, Client>,
    receivers: ReceiversJudge,
}

fn charge(connection: ConnectionId, evidence: Vec<Seq>, expected: &str, observed: String) -> Charge {
    Charge { connection: Some(connection), expected: expected.to_owned(), observed, evidence }
}

impl ClientJudge {
    pub(super) const fn new(context: Context, docket: Docket) -> Self {
        let receivers = ReceiversJudge::new(context);
        Self { context, docket, clients: BTreeMap::new(), receivers }
    }

    pub(super) fn observe(&mut self, observation: &Observation<'_>) {
        let (at, seq) = (observation.at, observation.seq);
        match &observation.event {
            Event::Opening { connection, client, .. } => {
                let connection = Connection::new(*connection, client, seq);
                let client = Client { connection, unknown: BTreeMap::new(), overdue: Vec::new(), acknowledges: false };
                self.clients.insert(client.connection.id, client);
            }
            Event::Opened { connection, .. } => {
                if let Some(client) = self.clients.get_mut(connection) {
                    client.connection.phase = Phase::Open;
                }
                self.connections(*connection, at, seq);
            }
            Event::Refused { connection, .. } | Event::OpenFailed { connection, .. } => {
                self.clients.remove(connection);
            }
            Event::Frame { connection, from: Side::Client, frame, text } => {
                let Some(client) = self.clients.get_mut(connection) else { return };
                client_frame(client, frame, at, seq, &mut self.docket);
                if let Some(text) = text {
                    client_text(client, text, observation, self.context, &mut self.docket);
                }
            }
            Event::Frame { connection, from: Side::Server, frame, text } => {
                let Some(client) = self.clients.get_mut(connection) else { return };
                if frame.header.opcode == Opcode::CLOSE {
                    client.connection.close_received.get_or_insert(seq);
                }
                if let Some(Text::Json { envelope: Envelope::Message(message), .. }) = text {
                    server_message(client, *message, at, seq);
                }
            }
            Event::Ended { connection, cause } => {
                if let Some(client) = self.clients.remove(connection) {
                    ended(&client, *cause, self.context, at, seq, &mut self.docket);
                }
            }
            Event::HarnessLate { by } => {
                for client in self.clients.values_mut() {
                    for owed in &mut client.connection.owed {
                        owed.at += *by;
                    }
                }
            }
            _ => {}
        }
        self.receivers.observe(observation, &mut self.docket);
        self.expire(at);
    }

    /// LIM-09, the first half.
    fn connections(&mut self, connection: ConnectionId, at: Instant, seq: Seq) {
        let open = self.clients.values().filter(|client| client.connection.is_open()).count();
        if open > PLACES {
            self.docket.fail(R::Lim09, at, || {
                charge(connection, vec![seq], "at most five connections", format!("{open} connections are open"))
            });
        } else {
            self.docket.tested(R::Lim09);
        }
    }

    fn expire(&mut self, now: Instant) {
        let allowed = self.context.deadlines.reaction;
        for client in self.clients.values_mut().filter(|client| client.connection.is_open()) {
            while let Some(owed) = client.connection.owed.front().copied().filter(|owed| now.since(owed.at) > allowed) {
                client.connection.owed.pop_front();
                client.overdue.push(owed.id);
                let unknown = client.unknown.remove(&owed.id).is_some();
                let rule = if unknown && client.acknowledges { R::Msg13 } else { R::Msg06 };
                let id = client.connection.id;
                self.docket.fail(rule, now, || {
                    let expected = format!("an ack of messageId {} within {} s", owed.id, allowed.as_secs_f32());
                    charge(id, vec![owed.seq], &expected, "none".to_owned())
                });
            }
        }
    }

    pub(super) fn due(&self) -> Option<Instant> {
        let open = self.clients.values().filter(|client| client.connection.is_open());
        open.filter_map(|client| client.connection.owed.back())
            .map(|owed| owed.at + self.context.deadlines.reaction)
            .max()
            .max(self.receivers.due())
    }

    /// The findings so far that are kept.
    pub(super) fn findings(&self) -> &[Finding] {
        self.docket.findings()
    }

    /// How many findings there are so far.
    pub(super) fn found(&self) -> u64 {
        self.docket.found()
    }

    pub(super) fn finish(self) -> Judgement {
        self.docket.close()
    }
}

/// WS-06 and WS-07.
fn client_frame(client: &mut Client, frame: &Frame<'_>, at: Instant, seq: Seq, docket: &mut Docket) {
    let (id, header) = (client.connection.id, &frame.header);
    let wrong = match header.opcode {
        Opcode::BINARY => Some("a binary frame"),
        Opcode::PING => Some("a ping"),
        Opcode::PONG => Some("a pong"),
        Opcode::CONTINUATION => Some("a continuation frame"),
        _ if !header.fin => Some("a fragmented message"),
        _ => None,
    };
    match wrong {
        Some(wrong) => {
            docket.fail(R::Ws06, at, || charge(id, vec![seq], "text messages in one frame each", wrong.to_owned()))
        }
        None => docket.tested(R::Ws06),
    }
    if header.mask.is_some() {
        docket.tested(R::Ws07);
    } else {
        docket.fail(R::Ws07, at, || charge(id, vec![seq], "a masked frame", "no mask".to_owned()));
    }
    if header.opcode == Opcode::CLOSE {
        let mark = client.connection.mark(at);
        client.connection.close_sent.get_or_insert((seq, mark));
    }
}

/// MSG-02, and what follows from the content.
fn client_text(
    client: &mut Client,
    text: &Text<'_>,
    observation: &Observation<'_>,
    context: Context,
    docket: &mut Docket,
) {
    let (id, at, seq) = (client.connection.id, observation.at, observation.seq);
    let wrong = match text {
        Text::NotUtf8 { .. } => Some("no UTF-8".to_owned()),
        Text::NotJson { text, fault } => Some(format!("{fault}: {}", quote(text))),
        Text::Json { json, envelope, .. } => match *envelope {
            Envelope::Message(message) => {
                let number = message.raw_id().is_some_and(|id| id.kind() == Kind::Number);
                let shaped = number && message.type_name().is_some();
                if message.message_type() == Some(MessageType::SubscribeRequest) {
                    request(client, message, context, at, seq, docket);
                }
                (!shaped).then(|| quote(&json.to_string()))
            }
            Envelope::Ack(ack) => {
                acknowledge(client, ack, at, seq, docket);
                (ack.raw_id().is_none() || ack.raw_status().is_none()).then(|| quote(&json.to_string()))
            }
            Envelope::Other(_) => Some(quote(&json.to_string())),
        },
    };
    match wrong {
        None => docket.tested(R::Msg02),
        Some(wrong) => {
            let expected = "a message with messageId and type, or a messageAck with messageId and status";
            docket.fail(R::Msg02, at, || charge(id, vec![seq], expected, wrong));
        }
    }
}

/// SUB-17, and LIM-09, the second half.
fn request(client: &Client, message: Message<'_>, context: Context, at: Instant, seq: Seq, docket: &mut Docket) {
    const WRONG: [(&str, &str); 5] = [
        ("request-without-a-list", "no list of subscriptions"),
        ("index-not-a-positive-number", "an index that is no number"),
        ("index-repeated", "an index twice"),
        ("unknown-resource", "an unknown type"),
        ("call-missing", "no call where one is needed"),
    ];
    let id = client.connection.id;
    let parts = take_apart(message, context.version);
    let negative = message.requested().is_some_and(|mut list| {
        list.any(|entry| entry.index().is_none() && entry.raw_index().is_some_and(|index| index.kind() == Kind::Number))
    });
    let wrong = WRONG
        .iter()
        .find(|(flaw, _)| parts.flaws.contains(flaw) && !(*flaw == "index-not-a-positive-number" && negative));
    match wrong {
        None => docket.tested(R::Sub17),
        Some((_, wrong)) => docket.fail(R::Sub17, at, || {
            let expected =
                "a unique numeric index and a known type for each subscription, with a call where it needs one";
            charge(id, vec![seq], expected, (*wrong).to_owned())
        }),
    }
    if parts.entries > SUBSCRIPTION_LIMIT {
        docket.fail(R::Lim09, at, || {
            charge(id, vec![seq], "at most one hundred subscriptions", format!("{} subscriptions", parts.entries))
        });
    } else {
        docket.tested(R::Lim09);
    }
}

fn server_message(client: &mut Client, message: Message<'_>, at: Instant, seq: Seq) {
    let Some(id) = message.message_id() else { return };
    client.connection.owe(id, seq, at);
    if has_unknown(message) {
        client.unknown.insert(id, seq);
    }
}

/// Whether a server message has a type or a field that the guides do not have.
fn has_unknown(message: Message<'_>) -> bool {
    const ENVELOPE: [&str; 6] = ["messageId", "type", "subscriptions", "subscriptionIndex", "updates", "callInfo"];
    const STATE: [&str; 2] = ["index", "state"];
    const ENTRY: [&str; 2] = ["reason", "call"];
    let Some(kind) = message.message_type() else { return true };
    if message.body().members().any(|member| !ENVELOPE.contains(&member.name_text())) {
        return true;
    }
    let known = |resource: Resource, name: &str| elements::find(resource, name).is_some() || ENTRY.contains(&name);
    match kind.resource() {
        Some(resource) => message.entries(resource).is_some_and(|mut entries| {
            entries.any(|entry| entry.fields().any(|field| !known(resource, field.name_text())))
        }),
        None => message.states().is_some_and(|mut states| {
            states.any(|state| state.body().members().any(|member| !STATE.contains(&member.name_text())))
        }),
    }
}

/// MSG-06 and MSG-13.
fn acknowledge(client: &mut Client, ack: Ack<'_>, at: Instant, seq: Seq, docket: &mut Docket) {
    let connection = client.connection.id;
    let expected = "each server message acknowledged once, with success";
    let Some(id) = ack.message_id() else {
        return docket.fail(R::Msg06, at, || charge(connection, vec![seq], expected, "an ack of no number".to_owned()));
    };
    let Some(owed) = client.connection.acknowledged(id, at) else {
        if client.overdue.contains(&id) {
            return;
        }
        let again = client.connection.acked_server_ids.contains(id);
        return docket.fail(R::Msg06, at, || {
            let observed = if again { "again".to_owned() } else { "which the server did not send".to_owned() };
            charge(connection, vec![seq], expected, format!("an ack of messageId {id}, {observed}"))
        });
    };
    if ack.status() != Some(SUCCESS) {
        client.unknown.remove(&id);
        docket.fail(R::Msg06, at, || {
            let status = ack.raw_status().map_or_else(|| "absent".to_owned(), |status| status.to_string());
            charge(connection, vec![owed.seq, seq], expected, format!("status {status}"))
        });
    } else if client.unknown.remove(&id).is_some() {
        docket.tested(R::Msg13);
        docket.tested(R::Msg06);
    } else {
        client.acknowledges = true;
        docket.tested(R::Msg06);
    }
}

/// A client that leaves instead of acknowledging what it does not know.
fn ended(client: &Client, cause: EndCause, context: Context, at: Instant, seq: Seq, docket: &mut Docket) {
    let by_client = match context.observer {
        Side::Client => matches!(cause, EndCause::Closed | EndCause::Dropped | EndCause::TooLong),
        Side::Server => matches!(cause, EndCause::PeerClosed | EndCause::PeerReset),
    };
    let sent = client.connection.close_sent.as_ref().map(|(seq, _)| *seq);
    let (first_by_client, first_by_server) = match (sent, client.connection.close_received) {
        (Some(sent), Some(received)) => (sent < received, received < sent),
        (sent, received) => (sent.is_some(), received.is_some()),
    };
    if let Some(unknown) = client.unknown.values().next().copied()
        && (by_client || first_by_client)
        && !first_by_server
    {
        docket.fail(R::Msg13, at, || {
            let expected = "a message with what the client does not know is acknowledged, and the client stays";
            charge(client.connection.id, vec![unknown, seq], expected, "the client ends the connection".to_owned())
        });
    }
}
