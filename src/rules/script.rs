//! Traces written by hand, for the tests of rules: a server and its clients in a few words.

use super::judge::Judge;
use super::verdict::{Context, Deadlines, Judgement};
use crate::protocol::events::write;
use crate::protocol::events::{Resource, State};
use crate::protocol::http::{Credentials, Headers, Method, Request, Response};
use crate::protocol::json::Document;
use crate::protocol::ws::frame::{Frame, Header, Opcode};
use crate::protocol::ws::handshake;
use crate::spec::Version;
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, Event, ExchangeId, Observation, Seq, Side, Sink, Text};

/// A GUID with this number in it.
pub(super) fn guid(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-000000000000")
}

/// One trace in the making.
pub(super) struct Script {
    judge: Judge,
    seq: u64,
    now: Instant,
    exchanges: u32,
    tokens: u32,
}

impl Script {
    pub(super) fn judging(judged: Side) -> Self {
        Self::observed(judged, Side::Client)
    }

    pub(super) fn observed(judged: Side, observer: Side) -> Self {
        Self::in_cluster(judged, observer, false)
    }

    /// A server that is one of a cluster.
    pub(super) fn clustered() -> Self {
        Self::in_cluster(Side::Server, Side::Client, true)
    }

    fn in_cluster(judged: Side, observer: Side, clustered: bool) -> Self {
        let context = Context {
            judged,
            observer,
            version: Version::LATEST,
            clustered: Some(clustered),
            deadlines: Deadlines::default(),
        };
        Self { judge: Judge::new(context), seq: 0, now: Instant::ZERO, exchanges: 0, tokens: 0 }
    }

    pub(super) fn server() -> Self {
        Self::judging(Side::Server)
    }

    pub(super) fn observe(&mut self, event: Event<'_>) -> Seq {
        self.seq += 1;
        self.now += std::time::Duration::from_millis(1);
        self.judge.observe(&Observation { seq: Seq(self.seq), at: self.now, event });
        Seq(self.seq)
    }

    pub(super) fn wait_ms(&mut self, ms: u64) -> &mut Self {
        self.now += std::time::Duration::from_millis(ms);
        self
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.judge.due()
    }

    pub(super) fn found(&self) -> u64 {
        self.judge.found()
    }

    /// Lets time pass and something unimportant happen, so that deadlines are looked at.
    pub(super) fn later(&mut self) -> &mut Self {
        self.wait_ms(6000);
        self.observe(Event::StepStarted { number: 1, text: "later" });
        self
    }

    pub(super) fn exchange(&mut self, request: &Request, response: &Response) -> &mut Self {
        self.exchanges += 1;
        let exchange = ExchangeId(self.exchanges);
        self.observe(Event::RequestSent { exchange, request });
        self.observe(Event::ResponseReceived { exchange, response });
        self
    }

    pub(super) fn token(&mut self, credentials: Credentials, status: u16, token: Option<&str>) -> &mut Self {
        let request = Request { credentials, ..Request::new(Method::Post, "/api/v1/authTokens") };
        let mut response = Response::new(status);
        if let Some(token) = token {
            response.headers.push("X-Cisco-CMS-Auth-Token", token);
        }
        self.exchange(&request, &response)
    }

    /// Asks for a token and requests an upgrade with it.
    pub(super) fn opening(&mut self, connection: u32) -> Request {
        self.tokens += 1;
        let token = guid(9000 + self.tokens);
        self.token(Credentials::Privileged, 200, Some(&token));
        let request = handshake::upgrade_request(Some(&token), [7; 16]);
        self.observe(Event::Opening { connection: ConnectionId(connection), client: "c", request: &request });
        request
    }

    pub(super) fn open(&mut self, connection: u32) -> &mut Self {
        let request = self.opening(connection);
        let response = handshake::switching_protocols(&request);
        self.observe(Event::Opened { connection: ConnectionId(connection), response: &response });
        self
    }

    pub(super) fn refused(&mut self, connection: u32, status: u16) -> &mut Self {
        self.opening(connection);
        self.observe(Event::Refused { connection: ConnectionId(connection), response: &Response::new(status) });
        self
    }

    pub(super) fn frame(&mut self, connection: u32, from: Side, header: Header, payload: &[u8]) -> &mut Self {
        let mut tape = Document::new();
        let text = (header.opcode == Opcode::TEXT && header.fin).then(|| Text::of(payload, &mut tape));
        let frame = Frame { header, payload };
        self.observe(Event::Frame { connection: ConnectionId(connection), from, frame, text });
        self
    }

    pub(super) fn says(&mut self, connection: u32, text: &str) -> &mut Self {
        self.frame(connection, Side::Server, Header::new(Opcode::TEXT, text.len() as u64), text.as_bytes())
    }

    pub(super) fn client(&mut self, connection: u32, text: &str) -> &mut Self {
        let header = Header { mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::TEXT, text.len() as u64) };
        self.frame(connection, Side::Client, header, text.as_bytes())
    }

    /// A message of the server that the client acknowledges at once.
    pub(super) fn tells(&mut self, connection: u32, id: u64, text: &str) -> &mut Self {
        self.says(connection, text);
        self.client(connection, &write::ack(id, "success"))
    }

    pub(super) fn states(&mut self, connection: u32, id: u64, states: &[(u64, State)]) -> &mut Self {
        self.tells(connection, id, &write::subscription_update(id, states))
    }

    pub(super) fn asks(
        &mut self,
        connection: u32,
        id: u64,
        set: &[(u64, Resource, Option<u32>, &[&str])],
    ) -> &mut Self {
        let wanted: Vec<write::Subscription> = set
            .iter()
            .map(|(index, resource, call, elements)| write::Subscription {
                index: *index,
                resource: *resource,
                call: call.map(guid),
                elements: Some(elements.iter().map(|element| (*element).to_owned()).collect()),
            })
            .collect();
        self.client(connection, &write::subscribe_request(id, &wanted))
    }

    pub(super) fn acks(&mut self, connection: u32, id: u64) -> &mut Self {
        self.says(connection, &write::ack(id, "success"))
    }

    /// A request that is acknowledged, and whose indexes become pending and active.
    pub(super) fn subscribed(
        &mut self,
        connection: u32,
        id: u64,
        set: &[(u64, Resource, Option<u32>, &[&str])],
    ) -> &mut Self {
        self.asks(connection, id, set).acks(connection, id);
        for (step, state) in [State::Pending, State::Active].into_iter().enumerate() {
            let states: Vec<(u64, State)> = set.iter().map(|(index, ..)| (*index, state)).collect();
            self.states(connection, id * 10_000 + step as u64, &states);
        }
        self
    }

    pub(super) fn starts_call(&mut self, call: u32, form: &str) -> &mut Self {
        let request = Request { body: form.into(), ..Request::new(Method::Post, "/api/v1/calls") };
        let headers = Headers::new().with("Location", format!("/api/v1/calls/{}", guid(call)));
        self.exchange(&request, &Response { headers, ..Response::new(200) })
    }

    pub(super) fn changes_call(&mut self, call: u32, form: &str) -> &mut Self {
        let request =
            Request { body: form.into(), ..Request::new(Method::Put, format!("/api/v1/calls/{}", guid(call))) };
        self.exchange(&request, &Response::new(200))
    }

    pub(super) fn ends_call(&mut self, call: u32) -> &mut Self {
        let request = Request::new(Method::Delete, format!("/api/v1/calls/{}", guid(call)));
        self.exchange(&request, &Response::new(200))
    }

    /// Reads the list of calls and each of them, and marks the snapshot.
    pub(super) fn snapshot(&mut self, calls: &[(u32, &str)]) -> &mut Self {
        let since = Seq(self.seq + 1);
        let ids: String = calls.iter().map(|(call, _)| format!("<call id=\"{}\"/>", guid(*call))).collect();
        let list = format!("<calls total=\"{}\">{ids}</calls>", calls.len());
        self.exchange(
            &Request::new(Method::Get, "/api/v1/calls"),
            &Response { body: list.into(), ..Response::new(200) },
        );
        for (call, fields) in calls {
            let request = Request::new(Method::Get, format!("/api/v1/calls/{}", guid(*call)));
            let body = format!("<call id=\"{}\">{fields}</call>", guid(*call));
            self.exchange(&request, &Response { body: body.into(), ..Response::new(200) });
        }
        self.observe(Event::Snapshot { since });
        self
    }

    /// Snapshots before and after the deadline: a difference that stays is charged.
    pub(super) fn compared(&mut self, calls: &[(u32, &str)]) -> &mut Self {
        self.snapshot(calls).wait_ms(6000).snapshot(calls)
    }

    pub(super) fn ends(&mut self, connection: u32, cause: EndCause) -> &mut Self {
        self.observe(Event::Ended { connection: ConnectionId(connection), cause });
        self
    }

    pub(super) fn finish(self) -> Judgement {
        self.judge.finish()
    }

    /// Ends the trace: these requirements have findings and no other.
    #[track_caller]
    pub(super) fn breaks(self, expected: &[&str]) {
        let judgement = self.finish();
        let mut broken: Vec<&str> = judgement.findings.iter().map(|finding| finding.requirement.as_str()).collect();
        broken.sort_unstable();
        broken.dedup();
        assert_eq!(broken, expected, "{:#?}", judgement.findings);
    }

    /// Ends the trace: no finding. Returns how often this requirement was put to the test.
    #[track_caller]
    pub(super) fn times_tested(self, requirement: &str) -> u64 {
        let judgement = self.finish();
        assert!(judgement.findings.is_empty(), "{:#?}", judgement.findings);
        judgement.tested.iter().find(|(id, _)| id.as_str() == requirement).map_or(0, |(_, count)| *count)
    }

    /// Ends the trace: no finding, and this requirement was put to the test.
    #[track_caller]
    pub(super) fn meets(self, requirement: &str) {
        let judgement = self.finish();
        assert!(judgement.findings.is_empty(), "{:#?}", judgement.findings);
        let tested = judgement.tested.iter().any(|(id, count)| id.as_str() == requirement && *count > 0);
        assert!(tested, "{requirement} was not tested: {:?}", judgement.tested);
    }
}
