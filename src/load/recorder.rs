//! Times the delivery of call detail records.
//!
//! | row | from | to | errors |
//! |---|---|---|---|
//! | `cdr_arrival` | the record's own time, on the sender's clock | its first arrival at a receiver | records whose time is none, later than their arrival, or more than an hour before it |
//! | `cdr_stimulus` | the API request that caused it was sent | the first arrival of the record | none |
//! | `cdr_redelivery` | a delivery failed: it was answered other than 200, in part or not at all, or was cut off | the next arrival of a set that begins with the same record at that receiver | failures that no repetition followed |
//!
//! Records mostly tell whole seconds, cut off, so that `cdr_arrival` is up to a second too long; and it compares two clocks.
//! A request is taken for a record's cause only where its answer or its path names the call or the leg: calls and legs that
//! were made or ended. What these records wait for in the server is part of the time.
//!
//! Of a load, what begins before its measured part ([`Sink::measured_from`]) is not timed: what is put in place before it, and its
//! warm-up. What a record is dated counts by another clock: of `cdr_arrival`, what arrives before is not timed. A recording
//! does not tell when that was, so there all is timed.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::metric::Metric;
use super::series::{Row, Series};
use super::timeline::Fresh;
use crate::protocol::cdr::{Record, RecordType, Set};
use crate::protocol::http::{Method, Request, Response};
use crate::time::Instant;
use crate::trace::{Event, ExchangeId, Observation, ReceiverId, SetId, Sink};

/// How many causes that still wait for their records, and how many records whose cause may still show, are remembered.
const REMEMBERED: usize = 4096;

/// Why a record has no time of arrival.
const NO_TIME: &str = "its time is none, or later than its arrival";

/// Why a failed delivery has no time of its repetition.
const NOT_REPEATED: &str = "not repeated";

/// How many failed deliveries of one receiver are remembered.
const FAILURES: usize = 64;

/// Takes observations, and keeps the latencies of records.
#[derive(Debug, Clone, Default)]
pub struct LatencyRecorder {
    arrival: Tapped,
    stimulus: Tapped,
    redelivery: Tapped,
    clock: Option<Clock>,
    hasher: BuildHasherDefault<DefaultHasher>,
    receivers: BTreeMap<ReceiverId, Receiver>,
    /// Sets that wait for their answers.
    sets: BTreeMap<SetId, (ReceiverId, Key)>,
    requests: BTreeMap<ExchangeId, (Instant, Cause)>,
    causes: Causes,
    /// Since when it is timed, where that is not from the beginning on.
    start: Option<Instant>,
    /// The last time that was read, and what it says: records of one set mostly have the same.
    last_time: Option<(String, i64)>,
}

/// Where somebody takes what is timed while it goes on.
pub type Tap = Arc<Mutex<Fresh>>;

/// A latency, and who takes its values as well.
#[derive(Debug, Clone, Default)]
struct Tapped {
    series: Series,
    tap: Option<(Metric, Tap)>,
}

impl Tapped {
    fn record(&mut self, time: Duration) {
        self.series.record(time);
        self.tap(|fresh, metric| fresh.record(metric, time));
    }

    fn fail(&mut self, cause: &str) {
        self.series.fail(cause);
        self.tap(|fresh, metric| fresh.fail(metric, cause));
    }

    fn tap(&self, take: impl FnOnce(&mut Fresh, Metric)) {
        if let Some((metric, tap)) = &self.tap {
            take(&mut tap.lock().unwrap_or_else(PoisonError::into_inner), *metric);
        }
    }
}

/// The first record of a set, as far as it tells sets apart: a hash of session and index.
type Key = Option<u64>;

#[derive(Debug, Clone, Copy)]
struct Clock {
    at: Instant,
    unix_us: i64,
}

#[derive(Debug, Clone, Default)]
struct Receiver {
    /// Hash of the session, and the highest index in it that has arrived.
    newest: Option<(u64, u64)>,
    /// Deliveries that failed and were not repeated so far.
    failed: Vec<Failure>,
}

/// A delivery that failed.
#[derive(Debug, Clone, Copy)]
struct Failure {
    /// The first record.
    key: Key,
    at: Instant,
    /// Whether a repetition must come.
    must_come: bool,
    /// Whether it fell into the measured part.
    is_measured: bool,
}

/// What a request may cause.
#[derive(Debug, Clone)]
enum Cause {
    /// The record that begins what its answer names.
    Begin,
    /// This record.
    End(RecordType, String),
}

/// Causes that wait for their records, and records that arrived before their cause was known.
#[derive(Debug, Clone, Default)]
struct Causes {
    waiting: BTreeMap<(RecordType, String), Instant>,
    arrived: BTreeMap<(RecordType, String), Instant>,
    /// How many requests have no answer yet that would name what they make.
    unanswered: usize,
}

impl LatencyRecorder {
    /// A recorder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A recorder that has seen nothing, and gives all that it times to `tap` as well.
    pub fn with_tap(tap: &Tap) -> Self {
        let tapped = |metric| Tapped { tap: Some((metric, Arc::clone(tap))), ..Tapped::default() };
        Self {
            arrival: tapped(Metric::CdrArrival),
            stimulus: tapped(Metric::CdrStimulus),
            redelivery: tapped(Metric::CdrRedelivery),
            ..Self::default()
        }
    }

    /// Adds what another recorder has timed. What that one still waits for is left behind.
    pub fn merge(&mut self, other: &Self) {
        self.arrival.series.merge(&other.arrival.series);
        self.stimulus.series.merge(&other.stimulus.series);
        self.redelivery.series.merge(&other.settled_redelivery());
    }

    /// The rows of a report; empty where nothing was timed.
    pub fn rows(&self) -> Vec<Row> {
        self.series().iter().filter_map(|(metric, series)| series.row(metric.as_str())).collect()
    }

    /// What was timed so far, by metric.
    pub fn series(&self) -> [(Metric, Series); 3] {
        [
            (Metric::CdrArrival, self.arrival.series.clone()),
            (Metric::CdrStimulus, self.stimulus.series.clone()),
            (Metric::CdrRedelivery, self.settled_redelivery()),
        ]
    }

    /// Whether what begins at an instant is timed.
    fn is_measured(&self, at: Instant) -> bool {
        self.start.is_none_or(|start| at >= start)
    }

    /// The redeliveries, as if nothing more came: failures that still wait count as errors.
    fn settled_redelivery(&self) -> Series {
        let mut series = self.redelivery.series.clone();
        let failed = self.receivers.values().flat_map(|receiver| &receiver.failed);
        let failed = failed.filter(|failure| failure.must_come && failure.is_measured);
        failed.for_each(|_| series.fail(NOT_REPEATED));
        series
    }

    fn set_received(&mut self, at: Instant, id: SetId, receiver: ReceiverId, set: Set<'_>) {
        let session = self.hasher.hash_one(set.session().unwrap_or_default());
        let first = set.records().next().and_then(Record::correlator_index);
        let key = first.map(|index| self.hasher.hash_one((session, index)));
        self.sets.insert(id, (receiver, key));
        let state = self.receivers.entry(receiver).or_default();
        // A failure whose set is not known is ended by whatever comes next.
        while let Some(place) = state.failed.iter().position(|failure| failure.key.is_none() || failure.key == key) {
            let failure = state.failed.remove(place);
            if failure.is_measured {
                self.redelivery.record(at.since(failure.at));
            }
        }
        for record in set.records() {
            if self.is_new(receiver, session, record) {
                self.record_arrived(at, record);
            }
        }
    }

    /// Whether a record arrives at a receiver for the first time.
    fn is_new(&mut self, receiver: ReceiverId, session: u64, record: Record<'_>) -> bool {
        let Some(index) = record.correlator_index().and_then(|index| index.parse().ok()) else { return false };
        let newest = &mut self.receivers.entry(receiver).or_default().newest;
        let is_new = newest.is_none_or(|(known, highest)| known != session || index > highest);
        if is_new {
            *newest = Some((session, index));
        }
        is_new
    }

    fn record_arrived(&mut self, at: Instant, record: Record<'_>) {
        if let Some(clock) = self.clock {
            let now_us = clock.unix_us.saturating_add_unsigned(micros(at.since(clock.at)));
            let time = record.time().and_then(|time| self.unix_us(time));
            let took = time.and_then(|time| u64::try_from(now_us.saturating_sub(time)).ok()).map(Duration::from_micros);
            match took {
                _ if !self.is_measured(at) => {}
                Some(took) => self.arrival.record(took),
                None => self.arrival.fail(NO_TIME),
            }
        }
        if !self.causes.waiting.is_empty() || self.causes.unanswered > 0 {
            let caused = record.kind().zip(record.id()).and_then(|(kind, id)| self.causes.arrived(at, kind, id));
            caused.into_iter().for_each(|time| self.stimulated(at, time));
        }
    }

    /// A record arrived at an instant, so long after the request that caused it.
    fn stimulated(&mut self, at: Instant, took: Duration) {
        if self.is_measured(at) && self.start.is_none_or(|start| took <= at.since(start)) {
            self.stimulus.record(took);
        }
    }

    /// A record's time in microseconds since 1970.
    fn unix_us(&mut self, time: &str) -> Option<i64> {
        if let Some((_, micros)) = self.last_time.as_ref().filter(|(known, _)| known == time) {
            return Some(*micros);
        }
        let micros = time.parse::<jiff::Timestamp>().ok()?.as_microsecond();
        self.last_time = Some((time.to_owned(), micros));
        Some(micros)
    }

    /// A delivery failed. `must_come` is false where a sender may have taken it for a success.
    fn failed(&mut self, at: Instant, receiver: ReceiverId, key: Key, must_come: bool) {
        let is_measured = self.is_measured(at);
        let failed = &mut self.receivers.entry(receiver).or_default().failed;
        if failed.len() < FAILURES {
            failed.push(Failure { key, at, must_come, is_measured });
        } else if is_measured {
            self.redelivery.fail(NOT_REPEATED);
        }
    }

    fn answered(&mut self, at: Instant, set: SetId, status: u16, whole: bool) {
        let Some((receiver, key)) = self.sets.remove(&set) else { return };
        if status != 200 || !whole {
            self.failed(at, receiver, key, !(whole && (200..300).contains(&status)));
        }
    }

    fn request_sent(&mut self, at: Instant, exchange: ExchangeId, request: &Request) {
        let cause = match request.method {
            Method::Post => Cause::Begin,
            Method::Delete => match named(request.path()) {
                Some((_, end, id)) => Cause::End(end, id.to_owned()),
                None => return,
            },
            Method::Get | Method::Put => return,
        };
        // The record may arrive before the answer does.
        match &cause {
            Cause::End(kind, id) => self.causes.wait(at, *kind, id),
            Cause::Begin => self.causes.unanswered += 1,
        }
        self.requests.insert(exchange, (at, cause));
    }

    fn response_received(&mut self, exchange: ExchangeId, response: &Response) {
        let Some((sent, cause)) = self.requests.remove(&exchange) else { return };
        match cause {
            Cause::Begin => {
                let made = response.headers.get("Location").filter(|_| response.is_success()).and_then(named);
                let time = made.and_then(|(begin, _, id)| self.causes.known(sent, begin, id));
                time.into_iter().for_each(|time| self.stimulated(sent + time, time));
                self.causes.answered();
            }
            Cause::End(kind, id) if !response.is_success() => self.causes.forget(kind, &id),
            Cause::End(..) => {}
        }
    }

    fn request_failed(&mut self, exchange: ExchangeId) {
        match self.requests.remove(&exchange) {
            Some((_, Cause::End(kind, id))) => self.causes.forget(kind, &id),
            Some((_, Cause::Begin)) => self.causes.answered(),
            None => {}
        }
    }
}

impl Causes {
    /// A request was sent that is to bring about this record.
    fn wait(&mut self, sent: Instant, kind: RecordType, id: &str) {
        if self.waiting.len() < REMEMBERED {
            self.waiting.entry((kind, id.to_owned())).or_insert(sent);
        }
    }

    /// An answer names what a request has made. Tells how long its record took, if it has arrived.
    fn known(&mut self, sent: Instant, kind: RecordType, id: &str) -> Option<Duration> {
        match self.arrived.remove(&(kind, id.to_owned())) {
            // What was there before the request was sent was not made by it.
            Some(at) => (at >= sent).then(|| at.since(sent)),
            None => {
                self.wait(sent, kind, id);
                None
            }
        }
    }

    /// A record has arrived. Tells how long it took, if its cause is known.
    fn arrived(&mut self, at: Instant, kind: RecordType, id: &str) -> Option<Duration> {
        let key = (kind, id.to_owned());
        if let Some(sent) = self.waiting.remove(&key) {
            return Some(at.since(sent));
        }
        if self.unanswered > 0 && self.arrived.len() < REMEMBERED {
            self.arrived.entry(key).or_insert(at);
        }
        None
    }

    /// A request is answered that might have named what it made.
    fn answered(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if self.unanswered == 0 {
            self.arrived.clear();
        }
    }

    fn forget(&mut self, kind: RecordType, id: &str) {
        self.waiting.remove(&(kind, id.to_owned()));
    }
}

/// What a path of the API names, if it is one call or one call leg: the records of its begin and end, and its id.
fn named(path: &str) -> Option<(RecordType, RecordType, &str)> {
    let mut parts = path.trim_end_matches('/').rsplit('/');
    let (id, node) = (parts.next()?, parts.next()?);
    let is_api = parts.next()?.eq_ignore_ascii_case("v1");
    let (begin, end) = if node.eq_ignore_ascii_case("calls") {
        (RecordType::CallStart, RecordType::CallEnd)
    } else if node.eq_ignore_ascii_case("callLegs") {
        (RecordType::CallLegStart, RecordType::CallLegEnd)
    } else {
        return None;
    };
    (is_api && !id.is_empty()).then_some((begin, end, id))
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Sink for LatencyRecorder {
    fn observe(&mut self, observation: &Observation<'_>) {
        let at = observation.at;
        match &observation.event {
            Event::WallClock { unix_ms } => self.clock = Some(Clock { at, unix_us: unix_ms.saturating_mul(1000) }),
            Event::RequestSent { exchange, request } => self.request_sent(at, *exchange, request),
            Event::ResponseReceived { exchange, response } => self.response_received(*exchange, response),
            Event::RequestFailed { exchange, .. } => self.request_failed(*exchange),
            Event::SetReceived { set, receiver, records, .. } => self.set_received(at, *set, *receiver, *records),
            Event::SetCut { receiver, .. } => self.failed(at, *receiver, None, true),
            Event::SetAnswered { set, status, whole, .. } => self.answered(at, *set, *status, *whole),
            Event::SetUnanswered { set, .. } => {
                if let Some((receiver, key)) = self.sets.remove(set) {
                    self.failed(at, receiver, key, true);
                }
            }
            _ => {}
        }
    }

    fn measured_from(&mut self, start: Instant) {
        // What a search has tried before is part of it; what was put in place before is not.
        if self.start.is_none() {
            let all = [&mut self.arrival, &mut self.stimulus, &mut self.redelivery];
            all.into_iter().for_each(|timed| timed.series = Series::default());
            let failed = self.receivers.values_mut().flat_map(|receiver| &mut receiver.failed);
            failed.for_each(|failure| failure.is_measured = false);
        }
        self.start = Some(start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::cdr::Tape;
    use crate::protocol::http::Headers;
    use crate::protocol::http1::Head;
    use crate::trace::{LinkId, NetworkError, NetworkErrorKind, Seq};

    const RECEIVER: ReceiverId = ReceiverId(1);

    /// A recorder with the clock on 1970-01-01T00:16:40Z at the beginning.
    struct Bench(LatencyRecorder);

    impl Bench {
        fn new() -> Self {
            let mut bench = Self(LatencyRecorder::new());
            bench.see(0, Event::WallClock { unix_ms: 1_000_000 });
            bench
        }

        fn see(&mut self, ms: u64, event: Event<'_>) {
            self.0.observe(&Observation { seq: Seq(1), at: Instant::from_millis(ms), event });
        }

        /// A set with one record: type, id, index, time.
        fn set(&mut self, ms: u64, set: u64, (kind, id, index, time): (&str, &str, u64, &str)) {
            let subject = if kind.starts_with("callLeg") { "callLeg" } else { "call" };
            let body = format!(
                "<records session='s'><record type='{kind}' time='{time}' correlatorIndex='{index}'>\
                 <{subject} id='{id}'/></record></records>"
            );
            let mut tape = Tape::new();
            let records = tape.read(body.as_bytes());
            let head = Head { method: "POST", target: "/", minor_version: 1, fields: "" };
            self.see(ms, Event::SetReceived { set: SetId(set), link: LinkId(1), receiver: RECEIVER, head, records });
        }

        fn answer(&mut self, ms: u64, set: u64, status: u16) {
            self.see(ms, Event::SetAnswered { set: SetId(set), status, whole: true, planned: false });
        }

        fn request(&mut self, ms: u64, exchange: u32, method: Method, target: &str) {
            let request = Request::new(method, target);
            self.see(ms, Event::RequestSent { exchange: ExchangeId(exchange), request: &request });
        }

        fn response(&mut self, ms: u64, exchange: u32, status: u16, location: Option<&str>) {
            let headers: Headers = location.into_iter().map(|location| ("location", location)).collect();
            let response = Response { status, headers, body: Vec::new() };
            self.see(ms, Event::ResponseReceived { exchange: ExchangeId(exchange), response: &response });
        }

        /// Count, errors and longest of a row in milliseconds, to the nearest.
        fn row(&self, name: &str) -> Option<(u64, u64, u64)> {
            let row = self.0.rows().into_iter().find(|row| row.name == name)?;
            Some((row.count, row.errors, (row.max_us + 500) / 1000))
        }
    }

    const TIME: &str = "1970-01-01T00:16:41Z";

    #[test]
    fn arrival_counts_each_record_once_and_clocks_that_differ_apart() {
        let mut bench = Bench::new();
        bench.set(1250, 1, ("callStart", "c", 0, TIME));
        bench.set(9000, 2, ("callStart", "c", 0, TIME));
        assert_eq!(bench.row("cdr_arrival"), Some((1, 0, 250)));
        bench.set(900, 3, ("callStart", "d", 1, TIME));
        bench.set(2000, 4, ("callStart", "e", 2, "yesterday"));
        bench.set(2000, 5, ("callStart", "f", 3, "1969-01-01T00:00:00Z"));
        assert_eq!(bench.row("cdr_arrival"), Some((1, 3, 250)));
    }

    #[test]
    fn stimulus_is_the_request_whose_answer_or_path_names_what_the_record_is_about() {
        let mut bench = Bench::new();
        bench.request(100, 1, Method::Post, "/api/v1/calls");
        bench.response(150, 1, 200, Some("/api/v1/calls/c1"));
        bench.set(300, 1, ("callStart", "c1", 0, TIME));
        assert_eq!(bench.row("cdr_stimulus"), Some((1, 0, 200)));
        bench.request(400, 2, Method::Post, "/api/v1/calls/c1/callLegs");
        bench.set(450, 2, ("callLegStart", "l1", 1, TIME));
        bench.response(700, 2, 200, Some("/api/v1/calllegs/l1"));
        assert_eq!(bench.row("cdr_stimulus"), Some((2, 0, 200)), "a record may be faster than the answer");
        bench.request(1000, 3, Method::Delete, "/api/v1/calls/c1/");
        bench.set(1900, 3, ("callEnd", "c1", 2, TIME));
        bench.response(2000, 3, 200, None);
        assert_eq!(bench.row("cdr_stimulus"), Some((3, 0, 900)));
    }

    #[test]
    fn requests_that_caused_nothing_are_no_stimulus() {
        let mut bench = Bench::new();
        bench.set(50, 1, ("callLegStart", "l1", 0, TIME));
        bench.request(100, 1, Method::Delete, "/api/v1/callLegs/l1");
        bench.response(150, 1, 400, None);
        let error = NetworkError { kind: NetworkErrorKind::Timeout, address: String::new(), cause: String::new() };
        bench.request(160, 2, Method::Delete, "/api/v1/callLegs/l1");
        bench.see(170, Event::RequestFailed { exchange: ExchangeId(2), error: &error });
        bench.request(180, 3, Method::Post, "/api/v1/system/cdrReceivers");
        bench.response(190, 3, 200, Some("/api/v1/system/cdrReceivers/l1"));
        bench.set(200, 2, ("callLegEnd", "l1", 1, TIME));
        bench.request(300, 4, Method::Post, "/api/v1/calls/c1/callLegs");
        bench.response(310, 4, 200, Some("/api/v1/callLegs/l1"));
        assert_eq!(bench.row("cdr_stimulus"), None);
    }

    #[test]
    fn redelivery_is_timed_from_the_failure_to_the_next_set_with_the_same_first_record() {
        let mut bench = Bench::new();
        bench.set(1000, 1, ("callStart", "c", 0, TIME));
        bench.answer(1100, 1, 503);
        bench.set(2100, 2, ("callStart", "c", 0, TIME));
        bench.see(2200, Event::SetUnanswered { set: SetId(2), planned: true });
        bench.set(5200, 3, ("callStart", "c", 0, TIME));
        bench.answer(5300, 3, 200);
        bench.set(9000, 4, ("callStart", "d", 1, TIME));
        bench.answer(9000, 4, 200);
        assert_eq!(bench.row("cdr_redelivery"), Some((2, 0, 3000)));
    }

    #[test]
    fn delivery_that_was_cut_off_is_repeated_by_whatever_comes_next() {
        let mut bench = Bench::new();
        let cut =
            Event::SetCut { set: SetId(1), link: LinkId(1), receiver: RECEIVER, arrived_bytes: 5, by_receiver: true };
        bench.see(1000, cut);
        assert_eq!(bench.row("cdr_redelivery"), Some((0, 1, 0)), "so far nothing has come");
        bench.set(1400, 2, ("callStart", "c", 0, TIME));
        assert_eq!(bench.row("cdr_redelivery"), Some((1, 0, 400)));
        bench.answer(1500, 2, 204);
        assert_eq!(bench.row("cdr_redelivery"), Some((1, 0, 400)), "another 2xx may have been taken for 200");
    }

    #[test]
    fn what_begins_before_the_measured_part_of_a_load_is_not_timed() {
        let mut bench = Bench::new();
        bench.request(500, 1, Method::Delete, "/api/v1/calls/a");
        bench.set(600, 1, ("callEnd", "a", 0, "1970-01-01T00:16:40Z"));
        bench.answer(700, 1, 503);
        bench.0.measured_from(Instant::from_millis(3000));
        bench.request(2000, 2, Method::Delete, "/api/v1/calls/b");
        bench.set(2500, 2, ("callEnd", "b", 1, TIME));
        bench.answer(2900, 2, 503);
        assert_eq!(bench.0.rows(), []);
        bench.request(2950, 3, Method::Delete, "/api/v1/calls/c");
        bench.set(3600, 3, ("callEnd", "c", 2, TIME));
        assert_eq!(bench.row("cdr_stimulus"), None, "all three began in the warm-up");
        bench.request(3700, 4, Method::Delete, "/api/v1/calls/d");
        bench.set(4000, 4, ("callEnd", "d", 3, "1970-01-01T00:16:43Z"));
        bench.answer(4100, 4, 503);
        bench.0.measured_from(Instant::from_millis(5000));
        bench.set(5100, 5, ("callEnd", "d", 3, "1970-01-01T00:16:43Z"));
        let expected = [Some((2, 0, 2601)), Some((1, 0, 300)), Some((1, 0, 1000))];
        assert_eq!(["cdr_arrival", "cdr_stimulus", "cdr_redelivery"].map(|name| bench.row(name)), expected);
    }

    #[test]
    fn merged_recorders_show_what_both_have_timed() {
        let (mut one, mut other) = (Bench::new(), Bench::new());
        one.set(1250, 1, ("callStart", "c", 0, TIME));
        other.set(1500, 1, ("callStart", "c", 0, TIME));
        other.answer(1600, 1, 500);
        one.0.merge(&other.0);
        assert_eq!(one.row("cdr_arrival"), Some((2, 0, 500)));
        assert_eq!(one.row("cdr_redelivery"), Some((0, 1, 0)));
        assert_eq!(LatencyRecorder::new().rows(), []);
    }

    #[test]
    fn memory_is_bounded_whatever_arrives() {
        let mut bench = Bench::new();
        for number in 0..3 * REMEMBERED as u64 {
            bench.set(number, number, ("callStart", &number.to_string(), number, TIME));
            bench.answer(number, number, 500);
            bench.request(number, 1, Method::Delete, &format!("/api/v1/calls/{number}"));
            bench.request(number, 2, Method::Post, "/api/v1/calls");
        }
        let Causes { waiting, arrived, .. } = &bench.0.causes;
        assert!(waiting.len() <= REMEMBERED && arrived.len() <= REMEMBERED);
        assert_eq!(bench.0.receivers[&RECEIVER].failed.len(), FAILURES);
    }
}
