//! A load takes memory for what it is put on, not for how many messages it hears: once warm, the engine, the rules, the
//! chronicle and the latencies allocate nothing per message, and after a million messages they hold what they held after a
//! hundred thousand.
//!
//! A server that is written here talks to the engine directly, so that nothing else allocates. The counts are of the whole
//! program; so the tests of this file take turns.

use std::alloc::System;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bridgeproof::engine::driver::{Command, Input};
use bridgeproof::engine::{Engine, Options};
use bridgeproof::load::LatencyRecorder;
use bridgeproof::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use bridgeproof::protocol::http::{Headers, Response};
use bridgeproof::protocol::ws::frame::{Decoded, Header, Opcode, decode, encode};
use bridgeproof::protocol::ws::handshake;
use bridgeproof::rules::{Context, Deadlines, Judge};
use bridgeproof::scenario::syntax::Scenario;
use bridgeproof::spec::Version;
use bridgeproof::time::Instant;
use bridgeproof::trace::{Chronicle, ConnectionId, Observation, Side, Sink};
use serde_json::{Value, json};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// What is counted is that of the whole program.
static TURN: Mutex<()> = Mutex::new(());

/// The load: nothing happens but what the server tells.
const LOAD: &str = "
title: A million messages.
exercises: [MSG-03]
needs: [limits]
load:
  connections: CONNECTIONS
  calls: 0
  follow: true
  subscriptions: 5
  duration: 100h
";

/// The calls that the server has.
const CALLS: [&str; 2] = ["97c771ae-fc2e-4257-b129-30ee818e034b", "1d2f0f6b-31b6-4a5f-a4de-0bd4a9c1b7f2"];

/// What a run feeds with observations.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
    latency: LatencyRecorder,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.latency.observe(observation);
        self.chronicle.observe(observation);
        self.chronicle.keep(self.judge.findings().iter().map(|finding| finding.evidence.as_slice()));
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }
}

/// What one connection is told next.
struct Line {
    connection: ConnectionId,
    next_id: u64,
    /// Index, resource and call of what is subscribed.
    set: Vec<(u64, String, String)>,
    turn: usize,
}

/// The engine with a server that is written here.
struct Bench<'s> {
    engine: Engine<'s, Watch>,
    now: Instant,
    lines: Vec<Line>,
    text: String,
    frames: Vec<u8>,
    /// How many acks came.
    acks: u64,
}

impl<'s> Bench<'s> {
    fn new(scenario: &'s Scenario) -> Self {
        let context = Context {
            judged: Side::Server,
            observer: Side::Client,
            version: Version::LATEST,
            clustered: None,
            deadlines: Deadlines::default(),
        };
        let watch = Watch { judge: Judge::new(context), chronicle: Chronicle::new(), latency: LatencyRecorder::new() };
        let engine = Engine::new("load/test", scenario, Options::default(), watch);
        let (text, frames) = (String::new(), Vec::new());
        let mut bench = Self { engine, now: Instant::ZERO, lines: Vec::new(), text, frames, acks: 0 };
        bench.tick(Duration::ZERO);
        // Until the population is there, and the calls are followed.
        for _ in 0..100 {
            bench.tick(Duration::from_millis(50));
        }
        assert!(bench.lines.iter().all(|line| line.set.len() == 5), "all is subscribed");
        bench
    }

    /// Lets time pass.
    fn tick(&mut self, time: Duration) {
        self.now += time;
        self.engine.handle_input(self.now, Input::Tick);
        self.obey();
    }

    /// Carries the engine's commands out.
    fn obey(&mut self) {
        while let Some(command) = self.engine.poll_command() {
            match command {
                Command::Request { exchange, request, .. } => {
                    assert_eq!(request.target, AUTH_TOKENS, "nothing is asked of the API but tokens");
                    let headers = Headers::new().with(TOKEN_HEADER, "a-token");
                    let response = Response { headers, ..Response::new(200) };
                    self.engine.handle_input(self.now, Input::Responded { exchange, response });
                }
                Command::Open { connection, request, .. } => {
                    let response = handshake::switching_protocols(&request);
                    self.lines.push(Line { connection, next_id: 1, set: Vec::new(), turn: 0 });
                    self.engine.handle_input(self.now, Input::Opened { connection, response });
                }
                Command::Send { connection, mut bytes } => {
                    self.take(connection, &mut bytes);
                    self.engine.recycle(bytes);
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Takes what a client sent: acks are counted, requests for subscriptions granted.
    fn take(&mut self, connection: ConnectionId, bytes: &mut [u8]) {
        let mut at = 0;
        while let Decoded::Frame { frame, consumed } = decode(&mut bytes[at..], 1 << 20) {
            at += consumed;
            if frame.payload.starts_with(br#"{"type":"messageAck""#) {
                self.acks += 1;
                continue;
            }
            let message: Value = serde_json::from_slice(frame.payload).expect("it is JSON");
            self.grant(connection, &message["message"]);
        }
    }

    fn grant(&mut self, connection: ConnectionId, request: &Value) {
        let place = self.lines.iter().position(|line| line.connection == connection).expect("it is open");
        let asked = request["subscriptions"].as_array().expect("it asks for subscriptions");
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |one: &Value| one["index"].as_u64().expect("each has an index");
        let fresh: Vec<u64> = asked
            .iter()
            .map(number)
            .filter(|index| self.lines[place].set.iter().all(|known| known.0 != *index))
            .collect();
        let is_first = self.lines[place].set.is_empty();
        self.lines[place].set = asked.iter().map(|one| (number(one), text(&one["type"]), text(&one["call"]))).collect();
        self.send(
            place,
            &json!({"type": "messageAck", "messageAck": {"messageId": request["messageId"], "status": "success"}}),
        );
        for state in ["pending", "active"] {
            let states: Vec<Value> = fresh.iter().map(|index| json!({"index": index, "state": state})).collect();
            self.tell(place, &json!({"type": "subscriptionUpdate", "subscriptions": states}));
        }
        if is_first {
            let calls: Vec<Value> = CALLS
                .iter()
                .map(|call| json!({"call": call, "updateType": "add", "name": "x", "participants": 1}))
                .collect();
            self.tell(place, &json!({"type": "callListUpdate", "subscriptionIndex": 1, "updates": calls}));
        }
    }

    fn tell(&mut self, place: usize, message: &Value) {
        let mut message = message.clone();
        message["messageId"] = self.lines[place].next_id.into();
        self.lines[place].next_id += 1;
        self.send(place, &json!({"type": "message", "message": message}));
    }

    fn send(&mut self, place: usize, message: &Value) {
        let text = message.to_string();
        let mut bytes = Vec::new();
        encode(&Header::new(Opcode::TEXT, text.len() as u64), text.as_bytes(), &mut bytes);
        let connection = self.lines[place].connection;
        self.engine.handle_input(self.now, Input::Received { connection, bytes: &bytes });
    }

    /// Tells every connection so many updates in one piece, of what it is subscribed to in turn.
    fn update(&mut self, at_once: u64) {
        self.now += Duration::from_micros(500);
        for place in 0..self.lines.len() {
            let Self { engine, lines, text, frames, now, .. } = self;
            let line = &mut lines[place];
            frames.clear();
            for _ in 0..at_once {
                text.clear();
                let (index, resource, call) = &line.set[line.turn % line.set.len()];
                let (id, number) = (line.next_id, line.turn % 7);
                let _ = match resource.as_str() {
                    "calls" => write!(
                        text,
                        r#"{{"type":"message","message":{{"messageId":{id},"type":"callListUpdate","subscriptionIndex":{index},"updates":[{{"call":"{}","updateType":"update","participants":{number}}}]}}}}"#,
                        CALLS[line.turn % 2]
                    ),
                    "callInfo" => write!(
                        text,
                        r#"{{"type":"message","message":{{"messageId":{id},"type":"callInfoUpdate","subscriptionIndex":{index},"callInfo":{{"call":"{call}","participants":{number}}}}}}}"#
                    ),
                    _ => write!(
                        text,
                        r#"{{"type":"message","message":{{"messageId":{id},"type":"rosterUpdate","subscriptionIndex":{index},"updates":[{{"participant":"5a6d8b1e-7c1f-4d0e-9f3a-0c2b4d6e8f{:02}","updateType":"{}","audioMuted":{},"layout":"{}"}}]}}}}"#,
                        line.turn % 11,
                        if line.turn < 70 { "add" } else { "update" },
                        line.turn % 2 == 0,
                        ["speakerOnly", "allEqual", "telepresence"][line.turn % 3]
                    ),
                };
                encode(&Header::new(Opcode::TEXT, text.len() as u64), text.as_bytes(), frames);
                line.next_id += 1;
                line.turn += 1;
            }
            engine.handle_input(*now, Input::Received { connection: line.connection, bytes: frames });
            self.obey();
        }
    }

    /// Tells all connections together so many messages; now and then the engine only sees that time passes.
    fn run(&mut self, messages: u64, at_once: u64) {
        for round in 0..messages / at_once / self.lines.len() as u64 {
            self.update(at_once);
            if round % 64 == 0 {
                self.tick(Duration::from_micros(10));
            }
        }
    }
}

fn load(connections: u32) -> Scenario {
    let text = LOAD.replace("CONNECTIONS", &connections.to_string());
    bridgeproof::scenario::read("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// What is held at the moment, in bytes.
fn held() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[test]
fn nothing_is_allocated_per_message() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    for (connections, at_once) in [(1, 1), (1, 64), (16, 1)] {
        let scenario = load(connections);
        let mut bench = Bench::new(&scenario);
        bench.run(60_000, at_once);
        let before = bench.acks;
        // The test runner may allocate meanwhile, so the best of a few tries counts.
        let tries = (0..3).map(|_| {
            let region = Region::new(ALLOCATOR);
            bench.run(10_000, at_once);
            let change = region.change();
            change.allocations + change.reallocations
        });
        let least = tries.min().unwrap_or_default();
        assert_eq!(least, 0, "allocations in 10,000 messages, {connections} connections, {at_once} at once");
        assert!(bench.acks - before >= 29_000, "every message was acknowledged: {}", bench.acks - before);
    }
}

#[test]
fn a_million_messages_take_no_more_memory_than_a_hundred_thousand() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let scenario = load(4);
    let before = held();
    let mut bench = Bench::new(&scenario);
    bench.run(100_000, 8);
    let early = held() - before;
    bench.run(900_000, 8);
    let late = held() - before;
    assert!(late <= early + early / 20, "{early} bytes became {late}");
    // All that is kept is bounded as well.
    assert!(late < 24 << 20, "{late}");
}
