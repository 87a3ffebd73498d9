//! What does a call detail record cost on top of receiving it: reading its XML, judging it by every rule, timing it?
//!
//! `only-received` is the floor, a receiver that reads requests and answers: head and `Content-Length`, without sockets.
//! Per record, in sets of 50 and one by one: compare within one run, absolute times mean little. On a socket the floor is
//! higher by what the operating system takes for a request, so that the factors are lower there.

use std::hint::black_box;

use bridgeproof::load::LatencyRecorder;
use bridgeproof::protocol::cdr::{Field, Tape};
use bridgeproof::protocol::http::{Method, Request, Response};
use bridgeproof::protocol::http1::{Limits, Next, RequestReader, write_answer, write_request};
use bridgeproof::rules::{Context, Deadlines, Judge};
use bridgeproof::spec::Version;
use bridgeproof::time::Instant;
use bridgeproof::trace::{Event, ExchangeId, LinkId, Observation, ReceiverId, Seq, SetId, Side, Sink};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const URI: &str = "http://127.0.0.1:8080/cdr";
const CALL: &str = "7a6c2f9e-52d1-4c0b-9c5e-2f5d3c1b0a01";
const FIRST_INDEX: u64 = 1_000_000_000;

/// Sets of one size as they are on the wire. Indexes and ids of legs are changed in place before each use: legs begin and
/// end in turn, so that what a judge must remember does not grow.
struct Wire {
    /// As many requests as it takes until a leg that has begun has also ended.
    requests: Vec<Vec<u8>>,
    turn: usize,
    index: u64,
}

/// A record of a leg, about 1.1 kB; the digits stand for what is changed.
fn record(is_start: bool) -> String {
    let leg = "00000000-0000-4000-8000-000000000000";
    let (kind, fields) = if is_start {
        (
            "callLegStart",
            format!(
                "<displayName>Conference room on the second floor</displayName><localAddress>space.one@meet.example.com</localAddress>\
             <remoteAddress>room.2.017@video.example.com</remoteAddress><remoteParty>room.2.017@video.example.com</remoteParty>\
             <cdrTag>building-two</cdrTag><guestConnection>false</guestConnection><type>sip</type>\
             <direction>incoming</direction><call>{CALL}</call><ownerId>1f6f31f5-7a5c-4a59-8f47-0f2c3f1d8e11</ownerId>\
             <sipCallId>0d1c2b3a4f5e6d7c8b9a0d1c2b3a4f5e@198.51.100.17</sipCallId>\
             <groupId>5b2a6f0d-8f0a-4c6b-9a7e-3c1d2e4f5a6b</groupId><canMove>true</canMove>\
             <confirmationStatus>notRequired</confirmationStatus>"
            ),
        )
    } else {
        let statistics = "<packetStatistics><packetLossBursts><duration>0.000</duration><density>0.00</density>\
             </packetLossBursts><packetGap><duration>9.000</duration><density>0.01</density></packetGap></packetStatistics>";
        (
            "callLegEnd",
            format!(
                "<cdrTag>building-two</cdrTag><reason>remoteTeardown</reason><remoteTeardown>true</remoteTeardown>\
             <encryptedMedia>true</encryptedMedia><durationSeconds>0</durationSeconds><activatedDuration>0</activatedDuration>\
             <mediaUsagePercentages><mainVideoViewer>100.0</mainVideoViewer></mediaUsagePercentages>\
             <rxAudio><codec>opus</codec>{statistics}</rxAudio><txAudio><codec>opus</codec></txAudio>\
             <rxVideo><codec>h264</codec><maxSizeWidth>1280</maxSizeWidth><maxSizeHeight>720</maxSizeHeight></rxVideo>\
             <txVideo><codec>h264</codec><maxSizeWidth>1280</maxSizeWidth><maxSizeHeight>720</maxSizeHeight></txVideo>\
             <ownerId>1f6f31f5-7a5c-4a59-8f47-0f2c3f1d8e11</ownerId>\
             <sipCallId>0d1c2b3a4f5e6d7c8b9a0d1c2b3a4f5e@198.51.100.17</sipCallId>"
            ),
        )
    };
    format!(
        "<record type=\"{kind}\" time=\"2026-03-04T05:06:07Z\" correlatorIndex=\"{FIRST_INDEX}\"><callLeg id=\"{leg}\">{fields}\
         </callLeg></record>\n"
    )
}

fn set(records: &str) -> Vec<u8> {
    let body = format!(
        "<?xml version=\"1.0\"?>\n<records session=\"9e0a7d1c-3b52-4f68-8a94-6c7e5d4f3b2a\">\n{records}</records>\n"
    );
    let length = body.len().to_string();
    let headers = [
        ("Host", "127.0.0.1:8080"),
        ("Content-Type", "text/xml"),
        ("Connection", "keep-alive"),
        ("Content-Length", &length),
    ];
    write_request("POST", "/cdr", &headers, body.as_bytes())
}

impl Wire {
    fn new(batch: usize) -> Self {
        let records: Vec<String> = (0..batch.max(2)).map(|number| record(number % 2 == 0)).collect();
        let requests = records.chunks(batch).map(|records| set(&records.concat())).collect();
        Self { requests, turn: 0, index: FIRST_INDEX }
    }

    /// The next request.
    fn next(&mut self) -> &[u8] {
        self.turn = (self.turn + 1) % self.requests.len();
        let at = (self.turn + self.requests.len() - 1) % self.requests.len();
        let request = &mut self.requests[at];
        let mut from = 0;
        while let Some(found) = memchr::memmem::find(&request[from..], b"correlatorIndex=\"") {
            let digits = from + found + "correlatorIndex=\"".len();
            request[digits..digits + 10].copy_from_slice(self.index.to_string().as_bytes());
            let leg = digits + 10 + "\"><callLeg id=\"00000000-0000-4000-8000-".len();
            request[leg..leg + 12].copy_from_slice(format!("{:012}", self.index / 2).as_bytes());
            self.index += 1;
            from = leg;
        }
        request
    }
}

/// A receiver: what every one does, and what observes it.
struct Bench {
    reader: RequestReader,
    tape: Tape,
    judge: Judge,
    latency: LatencyRecorder,
    seq: u64,
    sets: u64,
}

impl Bench {
    fn new() -> Self {
        let context = Context {
            judged: Side::Server,
            observer: Side::Client,
            version: Version::LATEST,
            clustered: Some(false),
            deadlines: Deadlines::default(),
        };
        let mut bench = Self {
            reader: RequestReader::new(Limits::default()),
            tape: Tape::new(),
            judge: Judge::new(context),
            latency: LatencyRecorder::new(),
            seq: 0,
            sets: 0,
        };
        bench.observe(Event::WallClock { unix_ms: 1_772_600_767_000 });
        bench.observe(Event::ReceiverOpened { receiver: ReceiverId(1), name: "one", uri: URI });
        let mut request = Request::new(Method::Post, "/api/v1/system/cdrReceivers");
        request.body = format!("uri={URI}").into_bytes();
        let mut response = Response::new(200);
        response.headers.push("Location", "/api/v1/system/cdrReceivers/44a3b6d2-0e4c-4d8f-8f57-9a5f3e2d1c0b");
        bench.observe(Event::RequestSent { exchange: ExchangeId(1), request: &request });
        bench.observe(Event::ResponseReceived { exchange: ExchangeId(1), response: &response });
        bench.observe(Event::LinkOpened { link: LinkId(1), receiver: ReceiverId(1) });
        bench
    }

    fn observe(&mut self, event: Event<'_>) {
        self.seq += 1;
        let observation = Observation { seq: Seq(self.seq), at: Instant::from_nanos(self.seq * 1000), event };
        self.judge.observe(&observation);
        self.latency.observe(&observation);
    }

    /// Takes one request in, and makes its answer.
    fn receive(&mut self, bytes: &[u8]) -> usize {
        self.reader.feed(bytes);
        let Next::Request { body, .. } = self.reader.next() else { panic!("the request is whole") };
        body.len() + write_answer(200, &[("Content-Length", "0")], b"").len()
    }

    /// Takes one request in, and reads all that its records say.
    fn read(&mut self, bytes: &[u8]) -> usize {
        self.reader.feed(bytes);
        let Next::Request { body, .. } = self.reader.next() else { panic!("the request is whole") };
        let set = self.tape.read(body);
        let leaves = set
            .records()
            .filter_map(|record| record.subject())
            .flat_map(Field::children)
            .map(|field| field.value().len());
        leaves.sum::<usize>() + write_answer(200, &[("Content-Length", "0")], b"").len()
    }

    /// Takes one request in, reads, judges and times it.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        self.reader.feed(bytes);
        let Next::Request { head, body, .. } = self.reader.next() else { panic!("the request is whole") };
        let (set, at) = (SetId(self.sets), Instant::from_nanos(self.seq * 1000));
        let records = self.tape.read(body);
        let received = Event::SetReceived { set, link: LinkId(1), receiver: ReceiverId(1), head, records };
        for (number, event) in
            [received, Event::SetAnswered { set, status: 200, whole: true, planned: false }].into_iter().enumerate()
        {
            let observation = Observation { seq: Seq(self.seq + 1 + number as u64), at, event };
            self.judge.observe(&observation);
            self.latency.observe(&observation);
        }
        self.sets += 1;
        self.seq += 2;
        write_answer(200, &[("Content-Length", "0")], b"").len()
    }
}

fn records(c: &mut Criterion) {
    for batch in [50, 1] {
        let mut group = c.benchmark_group(format!("records/sets-of-{batch}"));
        group.throughput(Throughput::Elements(batch as u64));
        type Way = fn(&mut Bench, &[u8]) -> usize;
        let ways: [(&str, Way); 3] =
            [("only-received", Bench::receive), ("read", Bench::read), ("read-judged-and-timed", Bench::judge)];
        for (name, way) in ways {
            let (mut bench, mut wire) = (Bench::new(), Wire::new(batch));
            (0..100).for_each(|_| _ = way(&mut bench, wire.next()));
            group.bench_function(name, |b| b.iter(|| way(&mut bench, black_box(wire.next()))));
            let findings = bench.judge.findings();
            assert!(findings.is_empty(), "a sender in order: {:?}", findings.first());
        }
        // What changing the indexes takes, to be subtracted.
        let mut wire = Wire::new(batch);
        group.bench_function("nothing-but-the-next-set", |b| b.iter(|| black_box(wire.next()).len()));
        group.finish();
    }
}

criterion_group!(benches, records);
criterion_main!(benches);
