//! Loads on clients on virtual time: what arithmetic predicts is what is measured.

use std::collections::BTreeMap;
use std::time::Duration;

use super::works::{Stream, Unreachable, Works};
use super::{Ending, LoadedServer};
use crate::emulator::cdr::ReceiverKey;
use crate::emulator::{ConnectionKey, ExchangeKey, LinkKey, MeetingServer, Note, Output, Settings};
use crate::load::search::Limit;
use crate::load::{Loaded, Metric, Metrics, Phase, Series, Stamps};
use crate::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use crate::protocol::events::write;
use crate::protocol::http::{Credentials, Method, Request, Response};
use crate::protocol::http1::{Limits, Next, RequestReader};
use crate::protocol::ws::frame::{self, Decoded, Header, Opcode};
use crate::protocol::ws::handshake::upgrade_request;
use crate::scenario::read_client_load;
use crate::time::Instant;

/// When a message that arrived at an instant is acknowledged, or a set answered, and with which status.
type Reaction = fn(Instant) -> Option<(Instant, &'static str)>;

enum Parcel {
    Bytes(ConnectionKey, Vec<u8>),
    Answer(LinkKey, &'static str),
    Up(LinkKey),
    Refused(LinkKey),
    Hang(ConnectionKey),
}

/// A loaded server with clients and receivers in memory; nothing takes time but their reactions.
struct Bench {
    server: LoadedServer,
    now: Instant,
    reaction: Reaction,
    parcels: BTreeMap<(Instant, u64), Parcel>,
    count: u64,
    answers: BTreeMap<u64, Response>,
    opened: Option<ConnectionKey>,
    readers: BTreeMap<LinkKey, RequestReader>,
    /// How many records each POST held.
    sets: Vec<usize>,
    /// When receivers refuse connections at an instant: those of this port do.
    refuses: fn(Instant, u16) -> bool,
    /// The port of the receiver that never answers.
    mute: Option<u16>,
    ports: BTreeMap<LinkKey, u16>,
}

impl Bench {
    fn new(load: &str, settings: &[&str], reaction: Reaction) -> Self {
        let given = read_client_load("f.yaml", load).unwrap_or_else(|errors| panic!("{errors:?}"));
        let mut all = Settings::default();
        settings.iter().for_each(|item| all.apply(item).unwrap());
        let server = MeetingServer::new(all, Vec::new(), 3);
        Self {
            server: LoadedServer::new(server, given.load.value, 5, Instant::ZERO),
            now: Instant::ZERO,
            reaction,
            parcels: BTreeMap::new(),
            count: 0,
            answers: BTreeMap::new(),
            opened: None,
            readers: BTreeMap::new(),
            sets: Vec::new(),
            refuses: |_, _| false,
            mute: None,
            ports: BTreeMap::new(),
        }
    }

    fn put(&mut self, at: Instant, parcel: Parcel) {
        self.count += 1;
        self.parcels.insert((at, self.count), parcel);
    }

    fn request(&mut self, request: &Request) -> Response {
        self.count += 1;
        let exchange = self.count;
        self.server.handle_request(self.now, ExchangeKey(exchange), request);
        self.collect();
        self.answers.remove(&exchange).expect("an answer at once")
    }

    fn call(&mut self, method: Method, target: &str, form: &str) -> Response {
        let mut request = Request::new(method, target);
        request.credentials = Credentials::Privileged;
        request.body = form.as_bytes().to_vec();
        self.request(&request)
    }

    /// A connection that is subscribed to rosters and to the list of calls.
    fn client(&mut self) -> ConnectionKey {
        let calls = self.call(Method::Get, "/api/v1/calls", "").text().into_owned();
        let ids = calls.split("call id=\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
        let rosters = ids.enumerate().map(|(place, id)| {
            let index = place + 2;
            format!(
                r#",{{"index":{index},"type":"callRoster","call":"{id}","elements":["name","audioMuted","layout"]}}"#
            )
        });
        let set: String = rosters.collect();
        let token = self.call(Method::Post, AUTH_TOKENS, "");
        let token = token.headers.get(TOKEN_HEADER).unwrap().to_owned();
        self.request(&upgrade_request(Some(&token), [3; 16]));
        let key = self.opened.take().expect("a connection");
        self.send(
            key,
            &format!(
                r#"{{"type":"message","message":{{"messageId":1,"type":"subscribeRequest","subscriptions":[{{"index":1,"type":"calls","elements":["lockState"]}}{set}]}}}}"#
            ),
        );
        key
    }

    fn send(&mut self, key: ConnectionKey, text: &str) {
        let mut bytes = Vec::new();
        let header = Header { mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::TEXT, text.len() as u64) };
        frame::encode(&header, text.as_bytes(), &mut bytes);
        self.server.handle_bytes(self.now, key, &bytes);
        self.collect();
    }

    fn receiver(&mut self) {
        self.receiver_at(9);
    }

    fn receiver_at(&mut self, port: u16) {
        let uri = format!("uri=http://127.0.0.1:{port}/cdr");
        let made = self.call(Method::Post, "/api/v1/system/cdrReceivers", &uri);
        assert_eq!(made.status, 200, "{}", made.text());
    }

    fn collect(&mut self) {
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Respond { exchange, response, .. } => drop(self.answers.insert(exchange.0, response)),
                Output::Upgrade { exchange, connection, response } => {
                    self.answers.insert(exchange.0, response);
                    self.opened = Some(connection);
                }
                Output::Send { connection, bytes } => self.message(connection, bytes),
                Output::OpenLink { link, address } => {
                    let is_refused = (self.refuses)(self.now, address.port);
                    self.ports.insert(link, address.port);
                    self.readers.insert(link, RequestReader::new(Limits::default()));
                    self.put(self.now, if is_refused { Parcel::Refused(link) } else { Parcel::Up(link) });
                }
                Output::SendLink { link, bytes } => self.set(link, &bytes),
                Output::Close { .. } | Output::Drop { .. } | Output::CloseLink { .. } => {}
            }
        }
    }

    fn message(&mut self, connection: ConnectionKey, mut bytes: Vec<u8>) {
        let Decoded::Frame { frame, .. } = frame::decode(&mut bytes, u64::MAX) else { panic!("no whole frame") };
        let Ok(text) = serde_json::from_slice::<serde_json::Value>(frame.payload) else { return };
        let (Some(id), Some((at, status))) = (text["message"]["messageId"].as_u64(), (self.reaction)(self.now)) else {
            return;
        };
        let ack = write::ack(id, status);
        let mut bytes = Vec::new();
        let header = Header { mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::TEXT, ack.len() as u64) };
        frame::encode(&header, ack.as_bytes(), &mut bytes);
        self.put(at, Parcel::Bytes(connection, bytes));
    }

    fn set(&mut self, link: LinkKey, bytes: &[u8]) {
        let reader = self.readers.get_mut(&link).expect("a link that is open");
        reader.feed(bytes);
        let Next::Request { body, .. } = reader.next() else { panic!("no whole request") };
        self.sets.push(String::from_utf8_lossy(body).matches("<record ").count());
        let is_mute = self.mute.is_some() && self.mute == self.ports.get(&link).copied();
        if let (false, Some((at, status))) = (is_mute, (self.reaction)(self.now)) {
            self.put(at, Parcel::Answer(link, status));
        }
    }

    /// Lets time pass until the load has ended.
    fn run(&mut self) -> (Option<Loaded>, Ending) {
        for _ in 0..1_000_000 {
            self.collect();
            if let Some(ending) = self.server.ending().cloned() {
                return (self.server.take_loaded(), ending);
            }
            let arrives = self.parcels.first_key_value().map(|((at, _), _)| *at);
            let next = arrives.into_iter().chain(self.server.poll_timeout()).min().expect("something is awaited");
            self.now = self.now.max(next);
            match self.parcels.first_entry().filter(|first| first.key().0 <= self.now).map(|first| first.remove()) {
                None => self.server.handle_timeout(self.now),
                Some(Parcel::Bytes(connection, bytes)) => self.server.handle_bytes(self.now, connection, &bytes),
                Some(Parcel::Hang(connection)) => self.server.handle_ended(self.now, connection),
                Some(Parcel::Up(link)) => self.server.handle_link(self.now, link, Ok(())),
                Some(Parcel::Refused(link)) => self.server.handle_link(self.now, link, Err("Connection refused")),
                Some(Parcel::Answer(link, status)) => {
                    let status = if status == "success" { "200 OK" } else { "503 Service Unavailable" };
                    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
                    self.server.handle_link_bytes(self.now, link, answer.as_bytes());
                }
            }
        }
        panic!("the load does not end")
    }

    fn phase(&mut self) -> Phase {
        match self.run() {
            (Some(Loaded::Once(phase)), Ending::Done) => *phase,
            other => panic!("{other:?}"),
        }
    }
}

fn near(series: &Series, percent: f64, expected_ms: f64) {
    let value = series.histogram().unwrap().value_at_percentile(percent) as f64 / 1000.0;
    assert!((value - expected_ms).abs() <= expected_ms * 0.002 + 0.002, "p{percent}: {value} instead of {expected_ms}");
}

fn load(rate: &str, more: &str) -> String {
    format!(
        "title: t\nload:\n  calls: 2\n  participants: 20\n  updates:\n    stimuli: {{mute: 1}}\n    executor: {rate}\n{more}"
    )
}

const AT_ONCE: Reaction = |at| Some((at, "success"));
const AFTER_30_MS: Reaction = |at| Some((at + Duration::from_millis(30), "success"));

#[test]
fn a_client_that_acks_after_exactly_30_ms_shows_30_ms() {
    let mut bench = Bench::new(&load("{constant-arrival-rate: {rate: 20, duration: 10s}}", ""), &[], AFTER_30_MS);
    bench.client();
    bench.client();
    let phase = bench.phase();
    let ack = phase.metrics.series(Metric::Ack);
    assert_eq!(
        (ack.count(), ack.errors(), phase.pace.dropped, phase.pace.late, phase.planned),
        (400, 0, 0, 0, Some(200))
    );
    near(&ack, 0.0, 30.0);
    near(&ack, 100.0, 30.0);
    assert_eq!(phase.metrics.series(Metric::Lag).histogram().unwrap().max(), 1);
}

#[test]
fn a_client_that_is_too_slow_for_its_window_is_late_by_the_schedule() {
    // One message each 30 ms can be acknowledged, and one each 20 ms is due: the k-th is acked at 30 * (k + 1).
    let slow = load("{constant-arrival-rate: {rate: 50, duration: 10s}}", "  within: 60s\n");
    let mut bench = Bench::new(&slow, &[], AFTER_30_MS);
    bench.client();
    let phase = bench.phase();
    let ack = phase.metrics.series(Metric::Ack);
    assert_eq!((ack.count(), ack.errors()), (500, 0));
    near(&ack, 0.0, 30.0);
    near(&ack, 50.0, 30.0 + 10.0 * 249.0);
    near(&ack, 100.0, 30.0 + 10.0 * 499.0);
    // From the actual send each took what the client takes.
    near(&phase.metrics.series_from_send(Metric::Ack), 100.0, 30.0);
    // Where the window is open, nothing waits.
    let mut open = Bench::new(&slow, &["window=any"], AFTER_30_MS);
    open.client();
    near(&open.phase().metrics.series(Metric::Ack), 100.0, 30.0);
}

#[test]
fn a_message_that_tells_of_several_changes_ends_the_time_of_each() {
    // Changes that come while an ack is owed go out together with it: at most 30 ms until then, and 30 ms more.
    let quick = load("{constant-arrival-rate: {rate: 500, duration: 4s}}", "");
    let quick = quick.replace("calls: 2", "calls: 1");
    let mut bench = Bench::new(&quick, &["backlog=coalesce"], AFTER_30_MS);
    bench.client();
    let phase = bench.phase();
    let ack = phase.metrics.series(Metric::Ack);
    assert_eq!((ack.count(), ack.errors()), (2000, 0));
    near(&ack, 100.0, 60.0);
    // Of two calls two messages tell, the second 30 ms after the first: changes of the one take 30 to 90 ms, of the other 60
    // to 120, so that half of all take no more than 75.
    let mut bench = Bench::new(&quick.replace("calls: 1", "calls: 2"), &["backlog=coalesce"], AFTER_30_MS);
    bench.client();
    let ack = bench.phase().metrics.series(Metric::Ack).into_owned();
    assert_eq!((ack.count(), ack.errors()), (2000, 0));
    near(&ack, 100.0, 120.0);
    let median = ack.histogram().unwrap().value_at_percentile(50.0);
    assert!((73_000..=77_000).contains(&median), "{median}");
    // One whose effect is gone before it could be told is not passed over in silence.
    let mut bench =
        Bench::new(&quick.replace("participants: 20", "participants: 1"), &["backlog=coalesce"], AFTER_30_MS);
    bench.client();
    let ack = bench.phase().metrics.series(Metric::Ack).into_owned();
    let [(cause, times)] = ack.failures().most_frequent()[..] else { panic!("{:?}", ack.failures()) };
    assert_eq!((cause, times + ack.count()), ("undone before the client could be told", 2000));
}

#[test]
fn a_pause_of_half_a_second_shows_in_the_percentiles() {
    // Whoever does nothing from 5 s to 5.5 s answers what came meanwhile at 5.5 s.
    let paused: Reaction = |at| {
        let (from, to) = (Instant::from_millis(5000), Instant::from_millis(5500));
        Some((if at >= from && at < to { to } else { at }, "success"))
    };
    let open = load("{constant-arrival-rate: {rate: 100, duration: 10s}}", "");
    for window in ["window=any", "window=1"] {
        let mut bench = Bench::new(&open, &[window], paused);
        bench.client();
        let phase = bench.phase();
        let ack = phase.metrics.series(Metric::Ack);
        // The load begins a second after the subscriptions are settled, some ms into a grid of 10 ms; 50 updates are due in
        // the pause, the first of which waits nearly half a second, each next 10 ms less.
        assert_eq!((ack.count(), ack.errors()), (1000, 0), "{window}");
        near(&ack, 94.9, 0.001);
        let offset = (phase.begun_at.as_nanos() / 1000 % 10_000) as f64 / 1000.0;
        near(&ack, 100.0, 500.0 - offset);
        near(&ack, 97.5, 500.0 - offset - 250.0);
    }
}

#[test]
fn answers_are_timed_from_the_instant_at_which_each_record_was_due() {
    // Each set takes 30 ms, a record is due every 10 ms: sets of three. The first of them was due just when the set before
    // had left, and so waited 30 ms until its own left, the others 20 and 10 ms.
    let text = "title: t\nload:\n  records: {executor: {constant-arrival-rate: {rate: 100, duration: 3s}}}\n";
    let mut bench = Bench::new(text, &[], AFTER_30_MS);
    bench.receiver();
    let phase = bench.phase();
    let answer = phase.metrics.series(Metric::Answer);
    assert_eq!((answer.count(), answer.errors()), (300, 0));
    near(&answer, 0.0, 30.0);
    near(&answer, 30.0, 40.0);
    near(&answer, 50.0, 50.0);
    near(&answer, 100.0, 60.0);
    assert!(bench.sets[3..50].iter().all(|records| *records == 3), "{:?}", bench.sets);
    near(&phase.metrics.series_from_send(Metric::Answer), 100.0, 30.0);
}

#[test]
fn failures_are_counted_by_their_causes() {
    let refusing: Reaction = |at| Some((at, "failure"));
    let mut bench = Bench::new(&load("{constant-arrival-rate: {rate: 10, duration: 1s}}", ""), &[], refusing);
    bench.client();
    let phase = bench.phase();
    let causes = phase.metrics.series(Metric::Ack).failures().clone();
    assert_eq!(causes.most_frequent(), [("acknowledged with another status than success", 10)]);

    let mute: Reaction = |at| (at < Instant::from_millis(1100)).then_some((at, "success"));
    let mut bench = Bench::new(&load("{constant-arrival-rate: {rate: 10, duration: 1s}}", "  within: 2s\n"), &[], mute);
    bench.client();
    let phase = bench.phase();
    let ack = phase.metrics.series(Metric::Ack);
    assert_eq!((ack.count(), ack.failures().most_frequent()), (1, vec![("no ack in time", 9)]));

    let mut bench = Bench::new(&load("{constant-arrival-rate: {rate: 10, duration: 1s}}", "  within: 2s\n"), &[], mute);
    let key = bench.client();
    bench.put(Instant::from_millis(1450), Parcel::Hang(key));
    let phase = bench.phase();
    let ack = phase.metrics.series(Metric::Ack);
    assert_eq!(ack.failures().most_frequent(), [("the connection was lost", 4)]);
    assert_eq!((phase.lost_connections, phase.pace.dropped), (1, 5));

    let text = "title: t\nload:\n  within: 1s\n  records: {executor: {shared-iterations: {iterations: 1}}}\n";
    let mut bench = Bench::new(text, &["cdr-retry-first=400ms", "cdr-retry-factor=1"], refusing);
    bench.receiver();
    let answer = bench.phase().metrics.series(Metric::Answer).into_owned();
    assert_eq!(answer.failures().most_frequent(), [("answered 503", 3), ("no answer in time", 1)]);
}

#[test]
fn a_receiver_that_refuses_connections_is_the_cause_however_long_it_is_left_in_peace() {
    let text =
        "title: t\nload:\n  within: 2s\n  records: {executor: {constant-arrival-rate: {rate: 10, duration: 1s}}}\n";
    let accepting: Reaction = |at| Some((at, "success"));
    for (first, times) in [("cdr-retry-first=400ms", 12..40), ("cdr-retry-first=600s", 11..12)] {
        let mut bench = Bench::new(text, &[first, "cdr-retry-factor=1"], accepting);
        bench.refuses = |_, _| true;
        bench.receiver();
        let answer = bench.phase().metrics.series(Metric::Answer).into_owned();
        let failures = answer.failures().most_frequent();
        let [("no connection: Connection refused", count)] = failures[..] else { panic!("{failures:?}") };
        assert!(answer.count() == 0 && times.contains(&count), "{failures:?}");
    }
}

#[test]
fn each_receiver_is_told_of_with_its_own_failure() {
    let text = "title: t\nload:\n  within: 3s\n  wait-for: {receivers: 2}\n  records: {executor: {constant-arrival-rate: {rate: 1, duration: 2s}}}\n";
    // The receiver at port 9 takes the first record and is gone after that; the one at port 10 never answers.
    let gone: fn(Instant, u16) -> bool = |now, port| port == 9 && now > Instant::from_millis(1500);
    let once: Reaction = |at| (at < Instant::from_millis(1500)).then_some((at, "success"));
    let settings = ["cdr-keep-alive=false", "cdr-retry-first=600s", "cdr-answer-timeout=60s"];
    let mut bench = Bench::new(text, &settings, once);
    (bench.refuses, bench.mute) = (gone, Some(10));
    [9, 10].into_iter().for_each(|port| bench.receiver_at(port));
    let phase = bench.phase();
    let answer = phase.metrics.series(Metric::Answer);
    let failures = answer.failures().most_frequent();
    assert_eq!(
        (answer.count(), failures),
        (1, vec![("no answer in time", 2), ("no connection: Connection refused", 2)])
    );
}

#[test]
fn what_ends_when_a_connection_is_refused_has_reasons_of_its_own() {
    let note = |receiver| Note::Unanswered { receiver: ReceiverKey(receiver), records: vec![7] };
    let mut unreachable = Unreachable::default();
    let stamps = Stamps::at(Instant::ZERO);
    let mut works = Works::new(Metrics::new(Instant::ZERO), Duration::from_secs(1), 0);
    works.begin_record((Stream::Records, 0), stamps, 7, &[ReceiverKey(1), ReceiverKey(2)]);
    for receiver in [1, 2] {
        works.hear(Note::Posted { receiver: ReceiverKey(receiver), records: vec![7] }, Instant::ZERO, &unreachable);
    }
    for receiver in [1, 2] {
        unreachable.hear(&note(receiver), Some((ReceiverKey(2), "Connection refused")));
        works.hear(note(receiver), Instant::from_millis(5), &unreachable);
    }
    let failures = works.metrics.series(Metric::Answer).into_owned();
    let told = failures.failures().most_frequent();
    assert_eq!(told, [("no answer to a set", 1), ("no connection: Connection refused", 1)]);
}

#[test]
fn virtual_users_wait_for_the_acks_of_what_they_did() {
    let closed = load("{constant-vus: {vus: 2, duration: 3s}}", "    burst: 3\n");
    let mut bench = Bench::new(&closed, &["window=any"], AFTER_30_MS);
    bench.client();
    let phase = bench.phase();
    // Two users, three updates each 30 ms.
    assert_eq!(phase.metrics.series(Metric::Ack).count(), 600);
    near(&phase.metrics.series(Metric::Ack), 100.0, 30.0);
}

#[test]
fn what_comes_goes_again_and_is_told_twice() {
    let text = "title: t
load:
  participants: 1
  updates:
    stimuli: {join-and-leave: {weight: 1, lasts: 500ms}, call: {weight: 1, lasts: 500ms}}
    executor: {constant-arrival-rate: {rate: 20, duration: 5s}}
";
    let mut bench = Bench::new(text, &["window=any"], AT_ONCE);
    bench.client();
    let phase = bench.phase();
    assert_eq!((phase.metrics.series(Metric::Ack).count(), phase.unfinished), (200, 0));
}

#[test]
fn nobody_comes_and_that_is_told() {
    let text = load("{constant-vus: {duration: 1s}}", "  wait-for: {connections: 2, within: 5s}\n");
    let mut bench = Bench::new(&text, &[], AT_ONCE);
    bench.client();
    let (loaded, Ending::NobodyCame(why)) = bench.run() else { panic!("somebody came") };
    assert!(loaded.is_none() && why.starts_with("waited 5 s for 2 connections"), "{why}");
    assert!(why.contains("there were 1 connection "), "{why}");
    assert_eq!(bench.now, Instant::from_millis(5000));
}

#[test]
fn the_capacity_of_a_client_is_found() {
    // An ack each 10 ms: a hundred a second, and not more.
    let text = "title: t
load:
  participants: 20
  updates:
    stimuli: {mute: 1}
    capacity: {from: 20, up-to: 2000, hold: 5s, precision: 0.05}
  thresholds: {ack: ['p(99)<50ms', 'rate<0.01']}
";
    let mut bench = Bench::new(text, &[], |at| Some((at + Duration::from_millis(10), "success")));
    bench.client();
    let (Some(Loaded::Search { capacity: Some(found), curve }), Ending::Done) = bench.run() else {
        panic!("no search")
    };
    assert_eq!(found.limit, Limit::Threshold);
    assert!(found.rate.is_some_and(|rate| (95.0..=101.0).contains(&rate)), "{found:?} of {}", curve.len());
}
