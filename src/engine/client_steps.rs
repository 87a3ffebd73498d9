//! The steps of events clients: connections, subscriptions, acknowledgements, and anything sent by hand.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::RngExt as _;
use serde_json::{Map, Value, json};

use super::api_client::{form_request, refusal};
use super::client::{Client, Ear, Superseded};
use super::core::{Core, Handle, OpenOutcome, Stop};
use super::driver::Command;
use super::events_client::{AckPolicy, AckWhen, EventsClient, Tracer};
use crate::protocol::api::names as api_names;
use crate::protocol::events::write::{self, Subscription};
use crate::protocol::events::{MessageType, Resource, State, names};
use crate::protocol::http::{Credentials, Method, Request, Response};
use crate::protocol::ws::frame::{Header, LengthForm, Opcode};
use crate::protocol::ws::handshake;
use crate::scenario::syntax::{
    AckMode, AckNow, Acks, ClientOnly, Close, Connect, ConnectOutcome, Elements, Send, SendBytes, SendFrame, SendText,
    SendUntil, Subscribe, SubscribeUntil, Template, Time, Token, TokenPlace, Wanted,
};
use crate::spec::elements;
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, Event, Sink};

/// How long `connect` waits before it tries again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// How far an attempt to connect came.
enum Attempt {
    Open,
    Refused(String),
    Failed(String),
}

impl<S: Sink> Core<S> {
    pub(super) fn client(&mut self, name: &str) -> Result<&mut Client, Stop> {
        self.clients.get_mut(name).ok_or_else(|| Stop::Unfinished(format!("there is no events client `{name}`")))
    }

    /// Lets a client's connection act; the step cannot be carried out where there is none.
    fn act_or_stop<T>(
        &mut self,
        name: &str,
        action: impl FnOnce(&mut EventsClient, &mut Ear, Instant, &mut Vec<u8>, &mut Tracer<S>) -> T,
    ) -> Result<T, Stop> {
        self.act(name, action).ok_or_else(|| Stop::Unfinished(format!("{name} has no open connection")))
    }

    fn end_connection(&mut self, name: &str, cause: EndCause) {
        let Some(connection) = self.client(name).ok().filter(|c| c.is_connected()).and_then(|c| c.line.as_ref()) else {
            return;
        };
        let connection = connection.connection();
        self.commands.push_back(match cause {
            EndCause::Dropped => Command::Drop { connection },
            _ => Command::Close { connection },
        });
        self.finish_connection(connection, cause);
    }

    /// The subscriptions that an entry of a set stands for.
    fn subscriptions(&mut self, wanted: &Wanted, out: &mut Vec<Subscription>) -> Result<(), Stop> {
        let Some(each) = &wanted.each else {
            let one = self.subscription(wanted)?;
            out.push(one);
            return Ok(());
        };
        for number in wanted.from.unwrap_or(1)..=wanted.to.unwrap_or(1) {
            self.variables.insert(each.clone(), number.to_string());
            let one = self.subscription(wanted)?;
            out.push(one);
        }
        self.variables.remove(each);
        Ok(())
    }

    fn subscription(&mut self, wanted: &Wanted) -> Result<Subscription, Stop> {
        let word = &wanted.resource.value;
        let resource = Resource::from_word(word).ok_or_else(|| Stop::Unfinished(format!("`{word}` is no resource")))?;
        let version = self.options.version;
        Ok(Subscription {
            index: self.resolve_number(&wanted.index)?,
            resource,
            call: wanted.call.as_ref().map(|call| self.resolve(call)).transpose()?,
            elements: wanted.elements.as_ref().map(|elements| match elements {
                Elements::All => elements::names(resource, version).map(str::to_owned).collect(),
                Elements::List(list) => list.clone(),
            }),
        })
    }

    /// Asks for a set of subscriptions. Returns the id of the request.
    pub(super) fn ask_for(&mut self, name: &str, set: &[Subscription]) -> Result<u64, Stop> {
        let client = self.client(name)?;
        let id = client.fresh_id();
        client.ear.expect_set(id, set);
        self.send_message(name, &write::subscribe_request(id, set))?;
        Ok(id)
    }

    /// Sends a text frame, which needs a connection that is open on both sides.
    fn send_message(&mut self, name: &str, text: &str) -> Result<(), Stop> {
        if !self.client(name)?.is_open() {
            return Err(Stop::Unfinished(format!("{name} has no open connection; {}", self.last_seen_in_words())));
        }
        self.act_or_stop(name, |line, _, now, out, trace| line.send_text(now, text, out, trace))
    }
}

impl<S: Sink + std::marker::Send> Handle<S> {
    pub(super) async fn token(&self, step: &Token) -> Result<(), Stop> {
        let credentials = credentials(step.credentials.as_ref().map(|name| name.value.as_str()))?;
        let mut request = form_request(Method::Post, api_names::AUTH_TOKENS.to_owned(), &[]);
        request.credentials = credentials;
        let response = self.exchange(request).await?;
        match (&step.store, token_of(&response)) {
            (Some(name), Some(token)) => self.with(|core| core.store(name, &token)),
            (Some(_), None) => Err(Stop::Unfinished(no_token(&response))),
            (None, _) => Ok(()),
        }
    }

    pub(super) async fn fresh_token(&self) -> Result<String, Stop> {
        let response = self.patient(form_request(Method::Post, api_names::AUTH_TOKENS.to_owned(), &[])).await?;
        token_of(&response).ok_or_else(|| Stop::Unfinished(no_token(&response)))
    }

    pub(super) async fn connect(&self, step: &Connect) -> Result<(), Stop> {
        let name = step.client.value.as_str();
        if self.with(|core| core.client(name).map(|client| client.is_open()))? {
            if step.if_closed {
                return Ok(());
            }
            return Err(Stop::Unfinished(format!("{name} has an open connection already")));
        }
        // A closing handshake may be under way.
        self.closed(name).await?;
        let begun = self.now();
        let deadline = self.deadline(step.within);
        loop {
            let attempt = self.attempt(step, name, deadline).await?;
            let why = match (&attempt, step.until) {
                (Attempt::Open, ConnectOutcome::Open | ConnectOutcome::Any)
                | (Attempt::Refused(_), ConnectOutcome::Refused | ConnectOutcome::Any)
                | (Attempt::Failed(_), ConnectOutcome::Any) => return Ok(()),
                (Attempt::Open, ConnectOutcome::Refused) => {
                    let ended = |core: &mut Core<S>| core.clients.get(name).is_none_or(|c| !c.is_open()).then_some(());
                    return match self.until(deadline, ended).await? {
                        Some(()) => Ok(()),
                        None => Err(self.missed(begun, &format!("a refusal of the connection of {name}"))),
                    };
                }
                (Attempt::Refused(why) | Attempt::Failed(why), _) => why.clone(),
            };
            if !step.retry || self.now() + RETRY_PAUSE >= deadline {
                return Err(Stop::Unfinished(format!("the connection of {name} was not opened: {why}")));
            }
            self.pause(RETRY_PAUSE).await?;
        }
    }

    async fn attempt(&self, step: &Connect, name: &str, deadline: Instant) -> Result<Attempt, Stop> {
        let token = match &step.token {
            Some(token) => self.with(|core| core.resolve(token))?,
            None => self.fresh_token().await?,
        };
        let connection = self.with(|core| {
            let request = core.upgrade_request(step, &token);
            core.open(name, &request, deadline)
        });
        // The driver ends an attempt in time; the second here is for one that forgets.
        let latest = deadline + Duration::from_secs(1);
        Ok(match self.until(latest, |core| core.take_opening(connection)).await? {
            Some(OpenOutcome::Opened) if step.retry => {
                // A server without a free place may open the connection and close it at once.
                let settled = self.now() + self.with(|core| core.options.quiet);
                let ended = |core: &mut Core<S>| core.clients.get(name).is_none_or(|c| !c.is_open()).then_some(());
                match self.until(settled, ended).await? {
                    None => Attempt::Open,
                    Some(()) => Attempt::Refused("the server ended it at once".to_owned()),
                }
            }
            Some(OpenOutcome::Opened) => Attempt::Open,
            Some(OpenOutcome::Refused(status)) => Attempt::Refused(format!("the upgrade was answered {status}")),
            Some(OpenOutcome::Ended) => Attempt::Refused("the server ended it without an answer".to_owned()),
            Some(OpenOutcome::Failed(why)) => Attempt::Failed(why),
            None => Attempt::Failed("the upgrade was not answered in time".to_owned()),
        })
    }

    /// Opens a connection of a client with this token.
    pub(super) async fn open_with(&self, name: &str, token: &str) -> Result<(), Stop> {
        let deadline = self.deadline(None);
        let connection = self.with(|core| {
            let request = handshake::upgrade_request(Some(token), core.random.random());
            core.open(name, &request, deadline)
        });
        let latest = deadline + Duration::from_secs(1);
        let why = match self.until(latest, |core| core.take_opening(connection)).await? {
            Some(OpenOutcome::Opened) => return Ok(()),
            Some(OpenOutcome::Refused(status)) => format!("the upgrade was answered {status}"),
            Some(OpenOutcome::Ended) => "the server ended it without an answer".to_owned(),
            Some(OpenOutcome::Failed(why)) => why,
            None => "the upgrade was not answered in time".to_owned(),
        };
        Err(Stop::Unfinished(format!("the connection of {name} was not opened: {why}")))
    }

    pub(super) async fn close(&self, step: &Close) -> Result<(), Stop> {
        let name = step.client.value.as_str();
        let (code, reason) = (step.code.unwrap_or(1000), step.reason.as_deref().unwrap_or_default());
        self.with(|core| core.act(name, |line, _, now, out, trace| line.close(now, code, reason, out, trace)));
        self.closed(name).await
    }

    /// Waits until a connection is gone. The closing handshake has a deadline of its own.
    async fn closed(&self, name: &str) -> Result<(), Stop> {
        let deadline = self.deadline(None);
        let gone = |core: &mut Core<S>| core.clients.get(name).is_none_or(|c| !c.is_connected()).then_some(());
        self.until(deadline, gone).await?;
        Ok(())
    }

    /// Closes all connections in order.
    pub(super) async fn close_all(&self) {
        let deadline = self.deadline(None);
        let _ = self.until(deadline, |core| (!core.is_opening()).then_some(())).await;
        let names: Vec<String> = self.with(|core| core.clients.iter().map(|(name, _)| name.clone()).collect());
        for name in &names {
            self.with(|core| core.act(name, |line, _, now, out, trace| line.close(now, 1000, "", out, trace)));
        }
        for name in &names {
            let _ = self.closed(name).await;
        }
    }

    pub(super) fn drop_connection(&self, step: &ClientOnly) -> Result<(), Stop> {
        self.with(|core| core.end_connection(&step.client.value, EndCause::Dropped));
        Ok(())
    }

    pub(super) async fn subscribe(&self, step: &Subscribe) -> Result<(), Stop> {
        let name = step.client.value.as_str();
        let begun = self.now();
        let deadline = self.deadline(step.within);
        let (id, nothing_new) = self.with(|core| {
            let mut set = Vec::new();
            for wanted in &step.set {
                core.subscriptions(&wanted.value, &mut set)?;
            }
            let id = core.message_id(name, step.id.as_ref())?;
            let ear = &mut core.client(name)?.ear;
            ear.expect_set(id, &set);
            let nothing_new = ear.is_settled();
            core.send_message(name, &write::subscribe_request(id, &set))?;
            Ok((id, nothing_new))
        })?;
        match step.until {
            SubscribeUntil::Sent => Ok(()),
            SubscribeUntil::Answered => self.acked(name, id, deadline).await.map(drop),
            SubscribeUntil::Acked => match self.acked(name, id, deadline).await? {
                true => Ok(()),
                false => Err(self.missed(begun, &format!("the ack of message {id} of {name}"))),
            },
            SubscribeUntil::Settled => {
                let look = |core: &mut Core<S>| {
                    let client = core.clients.get(name)?;
                    // The states show that the request was taken; whether its ack is missing is the judge's business.
                    let acked = !nothing_new || client.ear.acks.contains_key(&id);
                    let through = acked && client.ear.is_settled();
                    (through || !client.is_open()).then_some(())
                };
                self.until(deadline, look).await?;
                if self.with(|core| core.clients.get(name).is_some_and(|client| client.ear.is_settled())) {
                    return Ok(());
                }
                let ack = self.with(|core| core.clients.get(name)?.ear.acks.get(&id).cloned());
                let ack = ack.map_or_else(|| "no ack came".to_owned(), |status| format!("the ack said `{status}`"));
                Err(self.missed(begun, &format!("the states of {name}'s subscriptions ({ack})")))
            }
        }
    }

    /// Waits for an ack, or the end of the connection.
    async fn acked(&self, name: &str, id: u64, deadline: Instant) -> Result<bool, Stop> {
        let look = |core: &mut Core<S>| {
            let client = core.clients.get(name)?;
            if client.ear.acks.contains_key(&id) {
                return Some(true);
            }
            (!client.is_open()).then_some(false)
        };
        Ok(self.until(deadline, look).await?.unwrap_or(false))
    }

    pub(super) fn set_acks(&self, step: &Acks) -> Result<(), Stop> {
        let name = step.client.value.as_str();
        let policy = ack_policy(step.mode, step.by, step.times, step.status.as_deref());
        self.with(|core| {
            core.client(name)?.policy = policy.clone();
            core.act(name, |line, _, now, out, trace| line.set_policy(now, policy, out, trace));
            Ok(())
        })
    }

    pub(super) fn ack(&self, step: &AckNow) -> Result<(), Stop> {
        let name = step.client.value.as_str();
        let status = step.status.as_deref().unwrap_or(names::SUCCESS);
        self.with(|core| {
            let which = core.resolve(&step.id)?;
            let stated = which.parse::<u64>().ok();
            core.act_or_stop(name, |line, _, now, out, trace| {
                let owed: Vec<u64> = line.owed().collect();
                let chosen = match which.as_str() {
                    "all" => owed.as_slice(),
                    "oldest" => &owed[..owed.len().min(1)],
                    "newest" => &owed[owed.len().saturating_sub(1)..],
                    _ => stated.as_slice(),
                };
                for id in chosen {
                    line.acknowledge(now, *id, status, out, trace);
                }
                !chosen.is_empty() || which == "all"
            })
            .and_then(|found| {
                if found { Ok(()) } else { Err(Stop::Unfinished(format!("{name} owes no ack (`{which}`)"))) }
            })
        })
    }

    pub(super) async fn send(&self, step: &Send) -> Result<(), Stop> {
        let name = step.client.value.as_str();
        let deadline = self.deadline(step.within);
        let id = self.with(|core| {
            let mut message = Map::new();
            let given = core.resolve_json(&step.message)?;
            let fields = given.as_object().cloned().unwrap_or_default();
            match fields.get("messageId") {
                None => {
                    let id = core.client(name)?.fresh_id();
                    message.insert("messageId".to_owned(), Value::from(id));
                }
                Some(Value::Null) => {}
                Some(id) => {
                    message.insert("messageId".to_owned(), id.clone());
                }
            }
            message.extend(fields.into_iter().filter(|(field, _)| field != "messageId"));
            let id = message.get("messageId").and_then(Value::as_u64);
            let word = message.get("type").and_then(Value::as_str).and_then(MessageType::from_word);
            if let (Some(id), Some(MessageType::SubscribeRequest)) = (id, word) {
                core.client(name)?.ear.acks.remove(&id);
            }
            core.send_message(name, &json!({"type": "message", "message": message}).to_string())?;
            Ok(id)
        })?;
        if step.until == SendUntil::Answered {
            // Without a usable id no ack can be told from others: the end of the connection or time decides.
            self.acked(name, id.unwrap_or(u64::MAX), deadline).await?;
        }
        Ok(())
    }

    pub(super) fn send_text(&self, step: &SendText) -> Result<(), Stop> {
        self.with(|core| {
            let text = core.resolve(&step.text)?;
            core.send_message(&step.client.value, &text)
        })
    }

    pub(super) fn send_frame(&self, step: &SendFrame) -> Result<(), Stop> {
        let payload = match (&step.text, &step.hex, step.fill) {
            (Some(text), _, _) => self.with(|core| core.resolve(text))?.into_bytes(),
            (_, Some(hex), _) => unhex(hex)?,
            (_, _, fill) => vec![b'x'; fill.unwrap_or(0)],
        };
        let word = &step.opcode.value;
        let opcode = Opcode::from_name(word).ok_or_else(|| Stop::Unfinished(format!("`{word}` is no opcode")))?;
        let length = step.claim.unwrap_or(payload.len() as u64);
        let header = Header {
            fin: step.fin.unwrap_or(true),
            reserved: step.reserved.unwrap_or(0),
            opcode,
            mask: None,
            length_form: LengthForm::shortest(length),
            length,
        };
        let masked = step.masked.unwrap_or(true);
        self.with(|core| {
            core.act_or_stop(&step.client.value, |line, _, now, out, trace| {
                line.send_frame(now, header, masked, &payload, out, trace);
            })
        })
    }

    pub(super) fn send_bytes(&self, step: &SendBytes) -> Result<(), Stop> {
        let bytes = unhex(&step.hex)?;
        self.with(|core| {
            core.act_or_stop(&step.client.value, |line, _, now, out, trace| line.send_bytes(now, &bytes, out, trace))
        })
    }
}

impl<S: Sink> Core<S> {
    fn message_id(&mut self, name: &str, stated: Option<&Template>) -> Result<u64, Stop> {
        match stated {
            Some(id) => self.resolve_number(id),
            None => Ok(self.client(name)?.fresh_id()),
        }
    }

    /// The request for a connection.
    fn upgrade_request(&mut self, step: &Connect, token: &str) -> Request {
        let in_query = step.token_in == TokenPlace::Query && !token.is_empty();
        let mut request = handshake::upgrade_request(in_query.then_some(token), self.random.random());
        if step.token_in == TokenPlace::Header && !token.is_empty() {
            request.headers.push(api_names::TOKEN_HEADER, token);
        }
        if let Some(offer) = &step.offer {
            request.headers.push("Sec-WebSocket-Extensions", offer);
        }
        if let Some(protocols) = &step.protocols {
            request.headers.push("Sec-WebSocket-Protocol", protocols);
        }
        request
    }

    /// Asks for a connection.
    fn open(&mut self, name: &str, request: &Request, deadline: Instant) -> ConnectionId {
        let connection = self.next_opening(name);
        self.observe(Event::Opening { connection, client: name, request });
        let timeout = deadline.since(self.now);
        self.commands.push_back(Command::Open { connection, request: request.clone(), timeout });
        connection
    }
}

impl Ear {
    /// Notes what a set asks for, so that [`Ear::is_settled`] can tell when it is there.
    fn expect_set(&mut self, id: u64, set: &[Subscription]) {
        let wanted = set.iter().map(|one| (one.index, (one.resource.as_str().to_owned(), one.call.clone()))).collect();
        let before = std::mem::replace(&mut self.wanted, wanted);
        let mut forgotten = BTreeMap::new();
        for (index, subject) in &self.wanted {
            // What is asked for anew has no state yet, whatever its index stood for before.
            if before.get(index) != Some(subject) || self.states.get(index) == Some(&State::Deactivated) {
                forgotten.extend(self.states.remove_entry(index));
            }
        }
        // What was over before is of no interest any more, however many sets follow each other.
        let is_known = |index: &u64| before.contains_key(index) || self.wanted.contains_key(index);
        self.states.retain(|index, state| is_known(index) || *state != State::Deactivated);
        self.acks.remove(&id);
        self.superseded = Some(Superseded { by: id, wanted: before, states: forgotten });
    }

    /// Whether every index wanted has its final state, and everything left out is deactivated.
    pub(super) fn is_settled(&self) -> bool {
        self.wanted.keys().all(|index| matches!(self.states.get(index), Some(State::Active | State::Deactivated)))
            && self.states.iter().all(|(index, state)| self.wanted.contains_key(index) || *state == State::Deactivated)
    }

    /// Whether every index wanted is active.
    pub(super) fn is_active(&self) -> bool {
        self.wanted.keys().all(|index| self.states.get(index) == Some(&State::Active))
    }
}

/// How messages are acknowledged, as scenarios say it.
pub(super) fn ack_policy(mode: AckMode, by: Option<Time>, times: Option<u32>, status: Option<&str>) -> AckPolicy {
    AckPolicy {
        when: match mode {
            AckMode::AtOnce | AckMode::Repeat => AckWhen::AtOnce,
            AckMode::Withhold => AckWhen::Withhold,
            AckMode::Late => AckWhen::Late(by.map_or(Duration::from_secs(1), |time| time.0)),
        },
        times: if mode == AckMode::Repeat { times.unwrap_or(2) } else { 1 },
        status: status.unwrap_or(names::SUCCESS).to_owned(),
    }
}

/// The credentials of that name; privileged where none is given.
pub(super) fn credentials(name: Option<&str>) -> Result<Credentials, Stop> {
    let name = name.unwrap_or("privileged");
    Credentials::from_name(name).ok_or_else(|| Stop::Unfinished(format!("`{name}` are no credentials")))
}

fn token_of(response: &Response) -> Option<String> {
    let token = response.headers.get(api_names::TOKEN_HEADER).filter(|token| !token.is_empty())?;
    response.is_success().then(|| token.to_owned())
}

fn no_token(response: &Response) -> String {
    if response.is_success() {
        format!("no token was issued: the answer has no {}", api_names::TOKEN_HEADER)
    } else {
        refusal("the request for a token", response)
    }
}

/// The bytes written in hexadecimal, white space passed over.
fn unhex(text: &str) -> Result<Vec<u8>, Stop> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()))
        .collect();
    match digits {
        Some(digits) if digits.len() % 2 == 0 => Ok(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()),
        _ => Err(Stop::Unfinished(format!("`{text}` is no hexadecimal"))),
    }
}
