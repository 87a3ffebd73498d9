//! A test bench: one server on virtual time, driven by hand.
//!
//! Shows what each connection was sent as JSON texts, acknowledges when told to, and checks as it goes that timers move on.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::mutant::Mutant;
use super::server::{MeetingServer, Output};
use super::settings::Settings;
use super::typed::{ConnectionKey, ExchangeKey, LinkKey};
use crate::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use crate::protocol::api::xml::Element;
use crate::protocol::events::write;
use crate::protocol::http::{Method, Request, Response};
use crate::protocol::http1::{Limits, Next, RequestReader};
use crate::protocol::ws::frame::{self, Decoded, Header, Opcode};
use crate::protocol::ws::handshake::upgrade_request;
use crate::time::Instant;

/// What a connection has seen.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) texts: Vec<Value>,
    pub(super) others: Vec<(Opcode, Vec<u8>)>,
    pub(super) ended: Option<&'static str>,
}

/// What a receiver does with a POST.
#[derive(Debug, Clone)]
pub(super) enum Plan {
    /// Answers with these bytes.
    Answer(String),
    /// Answers with these bytes and closes.
    AnswerAndClose(String),
    /// Closes without a byte.
    Close,
    /// Does nothing.
    Silent,
}

impl Plan {
    pub(super) fn status(status: u16) -> Self {
        Self::Answer(format!("HTTP/1.1 {status} Whatever\r\nContent-Length: 0\r\n\r\n"))
    }
}

/// A POST that arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrived {
    pub(super) at: Instant,
    pub(super) link: u64,
    pub(super) head: String,
    pub(super) set: Element,
}

/// One receiver of records, found by its port.
#[derive(Debug, Default)]
pub(super) struct Reception {
    pub(super) posts: Vec<Arrived>,
    /// What happens to the next POSTs; then each is answered 200.
    pub(super) plans: VecDeque<Plan>,
    pub(super) refuses: bool,
    pub(super) opened: u64,
}

#[derive(Debug)]
enum Reaction {
    Opened,
    Failed,
    Bytes(String),
    Ended,
}

/// One server with its clients.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) server: MeetingServer,
    pub(super) now: Instant,
    pub(super) seen: BTreeMap<u64, Seen>,
    /// Whether messages are acknowledged at once.
    pub(super) acking: bool,
    /// Every output with its instant, for comparison.
    pub(super) transcript: String,
    answers: BTreeMap<u64, Response>,
    exchanges: u64,
    acks: Vec<(u64, u64)>,
    pub(super) receptions: BTreeMap<u16, Reception>,
    links: BTreeMap<u64, (u16, RequestReader)>,
    reactions: VecDeque<(LinkKey, Reaction)>,
}

impl Bench {
    pub(super) fn new(settings: &[&str]) -> Self {
        Self::with(settings, Vec::new())
    }

    pub(super) fn with(items: &[&str], mutants: Vec<Box<dyn Mutant>>) -> Self {
        let mut settings = Settings::default();
        for item in items {
            settings.apply(item).unwrap();
        }
        Self {
            server: MeetingServer::new(settings, mutants, 7),
            now: Instant::ZERO,
            seen: BTreeMap::new(),
            acking: true,
            transcript: String::new(),
            answers: BTreeMap::new(),
            exchanges: 0,
            acks: Vec::new(),
            receptions: BTreeMap::new(),
            links: BTreeMap::new(),
            reactions: VecDeque::new(),
        }
    }

    /// Sends a request and gives its answer, waiting if it takes time.
    pub(super) fn request(&mut self, request: &Request) -> Response {
        self.exchanges += 1;
        let exchange = self.exchanges;
        self.server.handle_request(self.now, ExchangeKey(exchange), request);
        self.collect();
        for _ in 0..100 {
            if let Some(answer) = self.answers.remove(&exchange) {
                return answer;
            }
            self.pass(50);
        }
        panic!("no answer to {request:?}");
    }

    pub(super) fn call(&mut self, method: Method, target: &str, form: &str) -> Response {
        let mut request = Request::new(method, target);
        request.body = form.as_bytes().to_vec();
        self.request(&request)
    }

    /// Creates something; gives its id.
    pub(super) fn create(&mut self, target: &str, form: &str) -> String {
        let response = self.call(Method::Post, target, form);
        assert_eq!(response.status, 200, "{target} {form}: {}", response.text());
        response.headers.get("Location").unwrap().rsplit('/').next().unwrap().to_owned()
    }

    pub(super) fn get(&mut self, target: &str) -> Element {
        let response = self.call(Method::Get, target, "");
        assert_eq!(response.status, 200, "{target}: {}", response.text());
        Element::parse(&response.body).unwrap()
    }

    pub(super) fn token(&mut self) -> String {
        let response = self.call(Method::Post, AUTH_TOKENS, "");
        response.headers.get(TOKEN_HEADER).unwrap().to_owned()
    }

    /// Tries to open a connection: its key, or the status of the refusal.
    pub(super) fn try_open(&mut self) -> Result<u64, u16> {
        let token = self.token();
        let before = self.seen.len();
        let response = self.request(&upgrade_request(Some(&token), [3; 16]));
        if response.status != 101 {
            return Err(response.status);
        }
        assert_eq!(self.seen.len(), before + 1);
        Ok(*self.seen.last_key_value().unwrap().0)
    }

    /// Tries to open a connection with whatever token there is; the status of the answer.
    pub(super) fn try_open_with(&mut self, fallback: &str) -> u16 {
        let answer = self.call(Method::Post, AUTH_TOKENS, "");
        let token = answer.headers.get(TOKEN_HEADER).unwrap_or(fallback).to_owned();
        self.request(&upgrade_request(Some(&token), [3; 16])).status
    }

    pub(super) fn open(&mut self) -> u64 {
        self.try_open().unwrap()
    }

    pub(super) fn send_frame(&mut self, connection: u64, opcode: Opcode, fin: bool, payload: &[u8]) {
        let header = Header { mask: Some([1, 2, 3, 4]), fin, ..Header::new(opcode, payload.len() as u64) };
        let mut bytes = Vec::new();
        frame::encode(&header, payload, &mut bytes);
        self.server.handle_bytes(self.now, ConnectionKey(connection), &bytes);
        self.collect();
    }

    pub(super) fn send(&mut self, connection: u64, text: &str) {
        self.send_frame(connection, Opcode::TEXT, true, text.as_bytes());
    }

    /// Sends a request whose subscriptions are this JSON array.
    pub(super) fn subscribe(&mut self, connection: u64, id: u64, set: &Value) {
        let message =
            json!({"type": "message", "message": {"messageId": id, "type": "subscribeRequest", "subscriptions": set}});
        self.send(connection, &message.to_string());
    }

    pub(super) fn ack(&mut self, connection: u64, id: u64) {
        self.send(connection, &write::ack(id, "success"));
    }

    /// Lets time pass, in milliseconds.
    pub(super) fn pass(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        let mut steps = 0;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.collect();
            steps += 1;
            assert!(steps < 100_000, "timers do not move on");
        }
        self.now = end;
        self.server.handle_timeout(self.now);
        self.collect();
    }

    /// Takes what a connection was sent since the last time.
    pub(super) fn take(&mut self, connection: u64) -> Vec<Value> {
        std::mem::take(&mut self.seen.get_mut(&connection).unwrap().texts)
    }

    /// The same, without acks and envelopes.
    pub(super) fn messages(&mut self, connection: u64) -> Vec<Value> {
        self.take(connection).into_iter().filter_map(|text| text.get("message").cloned()).collect()
    }

    fn collect(&mut self) {
        loop {
            while let Some(output) = self.server.poll_output() {
                let shown = match &output {
                    Output::Send { connection, bytes } => {
                        format!("{connection:?} {:02x?} {}", &bytes[..2], String::from_utf8_lossy(bytes))
                    }
                    other => format!("{other:?}"),
                };
                let _ = writeln!(self.transcript, "{} {shown}", self.now.as_millis());
                self.carry_out(output);
            }
            if let Some((link, reaction)) = self.reactions.pop_front() {
                self.react(link, reaction);
            } else if let Some((connection, id)) = self.acks.pop() {
                self.ack(connection, id);
            } else {
                return;
            }
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Respond { exchange, response, .. } => {
                self.answers.insert(exchange.0, response);
            }
            Output::Upgrade { exchange, connection, response } => {
                self.answers.insert(exchange.0, response);
                self.seen.insert(connection.0, Seen::default());
            }
            Output::Send { connection, bytes } => self.receive(connection.0, bytes),
            Output::Close { connection } => self.seen.entry(connection.0).or_default().ended = Some("closed"),
            Output::Drop { connection } => self.seen.entry(connection.0).or_default().ended = Some("dropped"),
            Output::OpenLink { link, address } => {
                let reception = self.receptions.entry(address.port).or_default();
                reception.opened += 1;
                let reaction = if reception.refuses { Reaction::Failed } else { Reaction::Opened };
                self.links.insert(link.0, (address.port, RequestReader::new(Limits::default())));
                self.reactions.push_back((link, reaction));
            }
            Output::SendLink { link, bytes } => self.receive_post(link, &bytes),
            Output::CloseLink { link } => drop(self.links.remove(&link.0)),
        }
    }

    fn react(&mut self, link: LinkKey, reaction: Reaction) {
        if !self.links.contains_key(&link.0) {
            return;
        }
        match reaction {
            Reaction::Opened => self.server.handle_link_opened(self.now, link),
            Reaction::Failed => {
                self.links.remove(&link.0);
                self.server.handle_link_failed(self.now, link);
            }
            Reaction::Bytes(bytes) => self.server.handle_link_bytes(self.now, link, bytes.as_bytes()),
            Reaction::Ended => {
                self.links.remove(&link.0);
                self.server.handle_link_ended(self.now, link);
            }
        }
    }

    fn receive_post(&mut self, link: LinkKey, bytes: &[u8]) {
        let Some((port, reader)) = self.links.get_mut(&link.0) else { return };
        reader.feed(bytes);
        while let Next::Request { head, body, .. } = reader.next() {
            let reception = self.receptions.entry(*port).or_default();
            if reception.refuses {
                self.reactions.push_back((link, Reaction::Ended));
                return;
            }
            let set = Element::parse(body).unwrap_or_default();
            let head = format!("{} {} HTTP/1.{}\r\n{}", head.method, head.target, head.minor_version, head.fields);
            reception.posts.push(Arrived { at: self.now, link: link.0, head, set });
            match reception.plans.pop_front().unwrap_or_else(|| Plan::status(200)) {
                Plan::Answer(bytes) => self.reactions.push_back((link, Reaction::Bytes(bytes))),
                Plan::AnswerAndClose(bytes) => {
                    self.reactions.push_back((link, Reaction::Bytes(bytes)));
                    self.reactions.push_back((link, Reaction::Ended));
                }
                Plan::Close => self.reactions.push_back((link, Reaction::Ended)),
                Plan::Silent => {}
            }
        }
    }

    /// Configures a receiver on this port; gives its id.
    pub(super) fn receiver(&mut self, port: u16) -> String {
        self.receptions.entry(port).or_default();
        self.create("/api/v1/system/cdrReceivers", &format!("uri=http://127.0.0.1:{port}/cdr"))
    }

    /// What the receiver on this port got, one POST after the other.
    pub(super) fn posts(&self, port: u16) -> &[Arrived] {
        &self.receptions[&port].posts
    }

    /// All records that the receiver on this port got, repetitions included.
    pub(super) fn records(&self, port: u16) -> Vec<Element> {
        self.posts(port).iter().flat_map(|post| post.set.children.clone()).collect()
    }

    fn receive(&mut self, connection: u64, mut bytes: Vec<u8>) {
        let Decoded::Frame { frame, .. } = frame::decode(&mut bytes, u64::MAX) else { panic!("no whole frame") };
        let seen = self.seen.get_mut(&connection).unwrap();
        if frame.header.opcode != Opcode::TEXT {
            seen.others.push((frame.header.opcode, frame.payload.to_vec()));
            return;
        }
        let Ok(text) = serde_json::from_slice::<Value>(frame.payload) else { return };
        if self.acking
            && let Some(id) = text["message"]["messageId"].as_u64()
        {
            self.acks.push((connection, id));
        }
        seen.texts.push(text);
    }
}
