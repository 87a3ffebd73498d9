//! What does it cost to judge one update by every rule, beside reading it?
//!
//! `judge/update` is a client's steady state: a server update is parsed once and judged, and the client's ack is judged.

use std::hint::black_box;

use bridgeproof::protocol::events::write::{self, Subscription};
use bridgeproof::protocol::events::{Resource, State};
use bridgeproof::protocol::http::{Method, Request, Response};
use bridgeproof::protocol::json::Document;
use bridgeproof::protocol::ws::frame::{Frame, Header, Opcode};
use bridgeproof::protocol::ws::handshake;
use bridgeproof::rules::{Context, Deadlines, Judge};
use bridgeproof::spec::Version;
use bridgeproof::time::Instant;
use bridgeproof::trace::{ConnectionId, Event, ExchangeId, Observation, Seq, Side, Sink as _, Text};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CONNECTION: ConnectionId = ConnectionId(1);

/// A judge with one connection that is subscribed to calls.
struct Bench {
    judge: Judge,
    tape: Document,
    seq: u64,
}

impl Bench {
    fn subscribed() -> Self {
        let context = Context {
            judged: Side::Server,
            observer: Side::Client,
            version: Version::LATEST,
            clustered: Some(false),
            deadlines: Deadlines::default(),
        };
        let mut bench = Self { judge: Judge::new(context), tape: Document::new(), seq: 0 };
        let mut token = Response::new(200);
        token.headers.push("X-Cisco-CMS-Auth-Token", "t");
        let request = Request::new(Method::Post, "/api/v1/authTokens");
        bench.observe(Event::RequestSent { exchange: ExchangeId(1), request: &request });
        bench.observe(Event::ResponseReceived { exchange: ExchangeId(1), response: &token });
        let upgrade = handshake::upgrade_request(Some("t"), [0; 16]);
        bench.observe(Event::Opening { connection: CONNECTION, client: "c", request: &upgrade });
        let response = handshake::switching_protocols(&upgrade);
        bench.observe(Event::Opened { connection: CONNECTION, response: &response });
        let wanted = Subscription {
            index: 1,
            resource: Resource::Calls,
            call: None,
            elements: Some(vec!["name".to_owned(), "participants".to_owned()]),
        };
        bench.text(Side::Client, &write::subscribe_request(1000, &[wanted]));
        bench.text(Side::Server, &write::ack(1000, "success"));
        for (id, state) in [(1, State::Pending), (2, State::Active)] {
            bench.text(Side::Server, &write::subscription_update(id, &[(1, state)]));
            bench.text(Side::Client, &write::ack(id, "success"));
        }
        bench
    }

    fn observe(&mut self, event: Event<'_>) {
        self.seq += 1;
        self.judge.observe(&Observation { seq: Seq(self.seq), at: Instant::from_nanos(self.seq * 1000), event });
    }

    fn text(&mut self, from: Side, text: &str) {
        self.seq += 1;
        let header =
            Header { mask: (from == Side::Client).then_some([1; 4]), ..Header::new(Opcode::TEXT, text.len() as u64) };
        let event = Event::Frame {
            connection: CONNECTION,
            from,
            frame: Frame { header, payload: text.as_bytes() },
            text: Some(Text::of(text.as_bytes(), &mut self.tape)),
        };
        self.judge.observe(&Observation { seq: Seq(self.seq), at: Instant::from_nanos(self.seq * 1000), event });
    }
}

fn update(id: u64, kind: &str, participants: u64) -> String {
    format!(
        r#"{{"type":"message","message":{{"messageId":{id},"type":"callListUpdate","subscriptionIndex":1,"updates":[{{"call":"97c771ae-fc2e-4257-b129-30ee818e034b","updateType":"{kind}","participants":{participants}}}]}}}}"#
    )
}

fn judging(c: &mut Criterion) {
    let mut group = c.benchmark_group("judge");
    group.throughput(Throughput::Elements(1));
    let mut bench = Bench::subscribed();
    bench.text(Side::Server, &update(10, "add", 0));
    bench.text(Side::Client, &write::ack(10, "success"));
    let updates = [update(11, "update", 1), update(11, "update", 2)];
    let ack = write::ack(11, "success");
    let mut turn = 0;
    group.bench_function("update", |b| {
        b.iter(|| {
            turn ^= 1;
            bench.text(Side::Server, black_box(&updates[turn]));
            bench.text(Side::Client, black_box(&ack));
        });
    });
    let mut tape = Document::new();
    group.bench_function("the-same-only-parsed", |b| {
        b.iter(|| {
            turn ^= 1;
            let update = tape.parse(black_box(&updates[turn])).is_ok();
            update && tape.parse(black_box(&ack)).is_ok()
        });
    });
    group.finish();
}

criterion_group!(benches, judging);
criterion_main!(benches);
