//! How many updates a second go through a client that judges everything, and how far is that from the floor?
//!
//! A server thread on loopback sends updates as fast as acks allow (at most [`WINDOW`] unacknowledged). `floor` reads
//! frames, finds the messageId and acknowledges, no more; `judged` is the harness's own events client with every rule.
//! Both write the acks of one read together. The ratio of the two within one run is what counts.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant as Stopwatch};

use bridgeproof::engine::events_client::{AckPolicy, Ahead, EventsClient, Tracer};
use bridgeproof::protocol::events::write::{self, Subscription};
use bridgeproof::protocol::events::{Resource, State};
use bridgeproof::protocol::http::{Method, Request, Response};
use bridgeproof::protocol::ws::frame::{Decoded, Header, Opcode, decode, encode};
use bridgeproof::protocol::ws::handshake;
use bridgeproof::rules::{Context, Deadlines, Judge};
use bridgeproof::spec::Version;
use bridgeproof::time::Instant;
use bridgeproof::trace::{ConnectionId, Event, ExchangeId, Side};
use chacha20::ChaCha8Rng;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::SeedableRng as _;

/// Messages that may be unacknowledged.
const WINDOW: u64 = 64;

/// Messages per measurement of one iteration.
const MESSAGES: u64 = 2_000;

fn frame_of(text: &str, out: &mut Vec<u8>) {
    encode(&Header::new(Opcode::TEXT, text.len() as u64), text.as_bytes(), out);
}

fn update(id: u64) -> String {
    format!(
        r#"{{"type":"message","message":{{"messageId":{id},"type":"callListUpdate","subscriptionIndex":1,"updates":[{{"call":"97c771ae-fc2e-4257-b129-30ee818e034b","updateType":"update","participants":{}}}]}}}}"#,
        id % 7
    )
}

/// Sends [`MESSAGES`] updates, refilling the window when half of it is acknowledged; ends when all are.
fn serve(stream: &mut TcpStream) {
    let (mut sent, mut acked) = (0_u64, 0_u64);
    let mut input = vec![0_u8; 64 << 10];
    let mut kept: Vec<u8> = Vec::new();
    let mut out = Vec::new();
    while acked < MESSAGES {
        if sent - acked <= WINDOW / 2 {
            out.clear();
            while sent < MESSAGES && sent - acked < WINDOW {
                sent += 1;
                frame_of(&update(100 + sent), &mut out);
            }
            stream.write_all(&out).expect("the client reads");
        }
        let read = stream.read(&mut input).expect("the client writes");
        kept.extend_from_slice(&input[..read]);
        let mut at = 0;
        while let Decoded::Frame { consumed, .. } = decode(&mut kept[at..], 1 << 20) {
            acked += 1;
            at += consumed;
        }
        kept.drain(..at);
    }
}

/// A connected pair; the server's side serves one batch for each byte it is told.
fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let client = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("it listens");
    let (server, _) = listener.accept().expect("the client connects");
    for stream in [&client, &server] {
        stream.set_nodelay(true).expect("TCP has that option");
    }
    (client, server)
}

/// Reads frames, finds the id, acknowledges.
fn floor(client: &mut TcpStream) {
    let mut input = vec![0_u8; 64 << 10];
    let (mut kept, mut out, mut text) = (Vec::new(), Vec::new(), Vec::new());
    let mut done = 0;
    while done < MESSAGES {
        let read = client.read(&mut input).expect("the server writes");
        kept.extend_from_slice(&input[..read]);
        let mut at = 0;
        while let Decoded::Frame { frame, consumed } = decode(&mut kept[at..], 1 << 20) {
            let id = frame.payload[41..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
                .fold(0, |id, d| id * 10 + u64::from(d - b'0'));
            text.clear();
            write::ack_into(id, "success", &mut text);
            encode(
                &Header { mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::TEXT, text.len() as u64) },
                &text,
                &mut out,
            );
            at += consumed;
            done += 1;
        }
        kept.drain(..at);
        client.write_all(&out).expect("the server reads");
        out.clear();
    }
}

/// The harness's events client with a judge.
struct Judged {
    client: EventsClient,
    ahead: Ahead,
    trace: Tracer<Judge>,
    now: u64,
}

impl Judged {
    fn subscribed() -> Self {
        let context = Context {
            judged: Side::Server,
            observer: Side::Client,
            version: Version::LATEST,
            clustered: Some(false),
            deadlines: Deadlines::default(),
        };
        let id = ConnectionId(1);
        let mut trace = Tracer::new(Judge::new(context));
        let at = Instant::ZERO;
        let mut token = Response::new(200);
        token.headers.push("X-Cisco-CMS-Auth-Token", "t");
        let request = Request::new(Method::Post, "/api/v1/authTokens");
        trace.observe(at, Event::RequestSent { exchange: ExchangeId(1), request: &request });
        trace.observe(at, Event::ResponseReceived { exchange: ExchangeId(1), response: &token });
        let upgrade = handshake::upgrade_request(Some("t"), [0; 16]);
        trace.observe(at, Event::Opening { connection: id, client: "c", request: &upgrade });
        let response = handshake::switching_protocols(&upgrade);
        trace.observe(at, Event::Opened { connection: id, response: &response });
        let mut client = EventsClient::new(id, AckPolicy::default(), ChaCha8Rng::seed_from_u64(1), 1 << 20);
        let mut out = Vec::new();
        let wanted = Subscription {
            index: 1,
            resource: Resource::Calls,
            call: None,
            elements: Some(vec!["participants".to_owned()]),
        };
        client.send_text(at, &write::subscribe_request(1000, &[wanted]), &mut out, &mut trace);
        let mut wire = Vec::new();
        frame_of(&write::ack(1000, "success"), &mut wire);
        frame_of(&write::subscription_update(1, &[(1, State::Pending)]), &mut wire);
        frame_of(&write::subscription_update(2, &[(1, State::Active)]), &mut wire);
        frame_of(&update(3).replace("\"update\"", "\"add\""), &mut wire);
        let mut ahead = Ahead::default();
        client.take(&wire, &mut ahead, &mut out);
        while client.look(at, &mut ahead, &mut out, &mut trace, |_| {}) {}
        Self { client, ahead, trace, now: 0 }
    }

    fn run(&mut self, stream: &mut TcpStream) {
        let mut input = vec![0_u8; 64 << 10];
        let mut out = Vec::new();
        let mut done = 0;
        while done < MESSAGES {
            let read = stream.read(&mut input).expect("the server writes");
            self.now += 1_000;
            let now = Instant::from_nanos(self.now);
            self.client.take(&input[..read], &mut self.ahead, &mut out);
            let mut is_more = true;
            while is_more {
                stream.write_all(&out).expect("the server reads");
                out.clear();
                is_more = self.client.look(now, &mut self.ahead, &mut out, &mut self.trace, |_| done += 1);
            }
            stream.write_all(&out).expect("the server reads");
            out.clear();
        }
    }
}

/// Measures `batches` batches of messages that `take` takes.
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn measure(batches: u64, mut take: impl FnMut(&mut TcpStream)) -> Duration {
    let (mut client, mut server) = connection();
    let serving = thread::spawn(move || (0..batches).for_each(|_| serve(&mut server)));
    let started = Stopwatch::now();
    for _ in 0..batches {
        take(&mut client);
    }
    let took = started.elapsed();
    serving.join().expect("the server ends with its last batch");
    took
}

fn updates(c: &mut Criterion) {
    let mut group = c.benchmark_group("end-to-end");
    group.throughput(Throughput::Elements(MESSAGES)).sample_size(20);
    group.bench_function("floor", |b| b.iter_custom(|batches| measure(batches, floor)));
    let mut judged = Judged::subscribed();
    group.bench_function("judged", |b| b.iter_custom(|batches| measure(batches, |stream| judged.run(stream))));
    group.finish();
}

criterion_group!(benches, updates);
criterion_main!(benches);
