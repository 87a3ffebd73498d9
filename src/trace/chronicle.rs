//! The chronicle: observations in words, one line each, for the evidence in reports.
//!
//! Bounded: of each connection, of each receiver and of the API only the last observations are kept (`flight`), as
//! many as there is room for among so many, besides those that findings refer to; and of a long message only its beginning.
//! What a finding refers to is looked up when it is made.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use super::flight::{Flight, Room, Words};
use super::observation::{
    ConnectionId, EndCause, Event, LinkId, Observation, ReceiverId, Seq, SetId, Side, Sink, Text,
};
use crate::protocol::events::{Envelope, MessageType};
use crate::protocol::http::{Request, Response};
use crate::protocol::ws::frame::{Header, Opcode, close_code};
use crate::protocol::ws::handshake::TOKEN_PARAMETER;
use crate::time::Instant;

/// What is kept of all sources together.
const ROOM: Room = Room { lines: 20_000, bytes: 8 << 20 };

/// What is kept of each, however many there are.
const LEAST: Room = Room { lines: 64, bytes: 8 << 10 };

/// How many connections that have ended are kept.
const ENDED_KEPT: usize = 64;

/// How many characters of a message are kept.
const MESSAGE_CHARS: usize = 600;

/// How many bytes of a set of records or a message are kept until somebody wants to read them: somewhat more than are
/// shown, since hardly a character is longer than a byte.
const START_BYTES: usize = MESSAGE_CHARS + MESSAGE_CHARS / 8;

/// Who tells something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Connection(ConnectionId),
    Receiver(ReceiverId),
    Api,
    Scenario,
}

/// Observations in words.
#[derive(Debug, Default)]
pub struct Chronicle {
    flights: BTreeMap<Source, Flight>,
    /// What is kept of all sources together, and of each.
    room: Room,
    for_each: Room,
    /// Connections that have ended and whose flights are still kept, oldest first.
    ended: VecDeque<ConnectionId>,
    /// The text of the observation that is looked at.
    text: Vec<u8>,
    cited: BTreeMap<Seq, String>,
    citing: usize,
    clients: BTreeMap<ConnectionId, String>,
    /// How many connections each client has had.
    connections: BTreeMap<String, u32>,
    receivers: BTreeMap<ReceiverId, String>,
    links: BTreeMap<LinkId, ReceiverId>,
    /// Sets that have no answer yet.
    sets: BTreeMap<SetId, ReceiverId>,
    count: u64,
    began: Option<Instant>,
}

impl Chronicle {
    /// An empty chronicle.
    pub fn new() -> Self {
        Self::one_of(1)
    }

    /// An empty chronicle, one of so many that share the room of one.
    pub fn one_of(count: usize) -> Self {
        let count = count.max(1);
        let room = Room { lines: ROOM.lines / count, bytes: ROOM.bytes / count };
        Self { room, for_each: room, ..Self::default() }
    }

    /// The line of an observation, if it is still kept: `#12 +34 ms alice <- {...}`.
    pub fn line(&self, seq: Seq) -> Option<String> {
        if let Some(line) = self.cited.get(&seq) {
            return Some(line.clone());
        }
        let (source, (line, text)) =
            self.flights.iter().find_map(|(source, flight)| Some((*source, flight.get(seq)?)))?;
        let ms = line.at.since(self.began.unwrap_or_default()).as_millis();
        let receiver = |id: &ReceiverId| self.receivers.get(id).map_or("?", String::as_str);
        Some(match line.words {
            Words::Text => format!("{seq} +{ms} ms {}", String::from_utf8_lossy(&text)),
            Words::Set { set, receiver: id } => {
                let start = String::from_utf8_lossy(&text);
                format!("{seq} +{ms} ms {} <- set {}: {}", receiver(&id), set.0, short(&start))
            }
            Words::Frame { from, header, is_text } => {
                let arrow = if from == Side::Server { "<-" } else { "->" };
                let name = match source {
                    Source::Connection(connection) => self.name(connection),
                    _ => "?",
                };
                format!("{seq} +{ms} ms {name} {arrow} {}", frame_line(&header, is_text, &text))
            }
            Words::Answer { set, receiver: id, status, whole } => {
                let receiver = id.as_ref().map_or("?", receiver);
                let part = if whole { "" } else { ", a part of it" };
                format!("{seq} +{ms} ms {receiver} -> {status} for set {}{part}", set.0)
            }
        })
    }

    /// Keeps what findings refer to, however long the trace becomes. `evidence` are the references of all findings so
    /// far, in the order in which they were made; those that were given before are passed over.
    pub fn keep<'e>(&mut self, evidence: impl ExactSizeIterator<Item = &'e [Seq]>) {
        let known = std::mem::replace(&mut self.citing, evidence.len());
        if known == self.citing {
            return;
        }
        for seq in evidence.skip(known).flatten() {
            if let Some(line) = self.line(*seq) {
                self.cited.insert(*seq, line);
            }
        }
    }

    /// The name of a connection: the client, with a number from its second connection on.
    pub fn client(&self, connection: ConnectionId) -> Option<&str> {
        self.clients.get(&connection).map(String::as_str)
    }

    /// All connections with their names.
    pub fn clients(&self) -> impl Iterator<Item = (ConnectionId, &str)> {
        self.clients.iter().map(|(id, name)| (*id, name.as_str()))
    }

    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn name(&self, connection: ConnectionId) -> &str {
        self.client(connection).unwrap_or("?")
    }

    fn enter(&mut self, connection: ConnectionId, client: &str) {
        let count = self.connections.entry(client.to_owned()).or_default();
        *count += 1;
        let name = if *count == 1 { client.to_owned() } else { format!("{client}#{count}") };
        self.clients.insert(connection, name);
    }

    fn describe(&self, event: &Event<'_>) -> String {
        match event {
            Event::ScenarioStarted { id } => format!("scenario {id}"),
            Event::StepStarted { number, text } => format!("step {number}: {text}"),
            Event::ScenarioEnded { .. } => "end of the scenario".to_owned(),
            Event::HarnessLate { by } => format!("the harness was {} ms late", by.as_millis()),
            Event::Snapshot { since } => format!("the API at rest, read since {since}"),
            Event::RequestSent { request, .. } => format!("api -> {}", request_line(request)),
            Event::ResponseReceived { response, .. } => format!("api <- {}", response_line(response)),
            Event::RequestFailed { error, .. } => format!("api failed: {error}"),
            Event::Opening { connection, request, .. } => {
                format!("{} -> {}", self.name(*connection), request_line(request))
            }
            Event::Opened { connection, response } | Event::Refused { connection, response } => {
                format!("{} <- {}", self.name(*connection), response_line(response))
            }
            Event::OpenFailed { connection, error } => format!("{} not opened: {error}", self.name(*connection)),
            Event::RawBytesSent { connection, bytes } => {
                format!("{} -> {} raw bytes", self.name(*connection), bytes.len())
            }
            Event::Ended { connection, cause } => format!("{} {}", self.name(*connection), end_in_words(*cause)),
            of_receivers => self.describe_receivers(of_receivers),
        }
    }

    fn describe_receivers(&self, event: &Event<'_>) -> String {
        let receiver = |id: &ReceiverId| self.receivers.get(id).map_or("?", String::as_str);
        let of_link = |id: &LinkId| self.links.get(id).map_or("?", receiver);
        let of_set = |id: &SetId| self.sets.get(id).map_or("?", receiver);
        match event {
            Event::WallClock { unix_ms } => format!("{unix_ms} ms since 1970"),
            Event::ReceiverOpened { name, uri, .. } => format!("{name} listens at {uri}"),
            Event::ReceiverClosed { receiver: id } => format!("{} refuses connections", receiver(id)),
            Event::LinkOpened { link, receiver: id } => format!("{} <- connection {}", receiver(id), link.0),
            Event::HandshakeFailed { receiver: id, what, .. } => {
                format!("{} <- a TLS handshake that failed: {}", receiver(id), short(what))
            }
            Event::LinkFault { link, what } => format!("{} <- no HTTP request: {}", of_link(link), short(what)),
            Event::LinkEnded { link, cause } => {
                format!("{} connection {} {}", of_link(link), link.0, end_in_words(*cause))
            }
            Event::SetCut { set, receiver: id, arrived_bytes, .. } => {
                format!("{} <- set {}, cut off after {arrived_bytes} bytes", receiver(id), set.0)
            }
            Event::SetUnanswered { set, .. } => format!("{} -> no answer for set {}", of_set(set), set.0),
            Event::RestartBegun => "the Call Bridge is restarted".to_owned(),
            Event::RestartDone => "the Call Bridge is there again".to_owned(),
            _ => String::new(),
        }
    }

    /// Who tells an event.
    fn source(&self, event: &Event<'_>) -> Source {
        let of_receiver = |id: Option<&ReceiverId>| id.map_or(Source::Scenario, |id| Source::Receiver(*id));
        match event {
            Event::Frame { connection, .. }
            | Event::Opening { connection, .. }
            | Event::Opened { connection, .. }
            | Event::Refused { connection, .. }
            | Event::OpenFailed { connection, .. }
            | Event::RawBytesSent { connection, .. }
            | Event::Ended { connection, .. } => Source::Connection(*connection),
            Event::RequestSent { .. } | Event::ResponseReceived { .. } | Event::RequestFailed { .. } => Source::Api,
            Event::ReceiverOpened { receiver, .. }
            | Event::ReceiverClosed { receiver }
            | Event::LinkOpened { receiver, .. }
            | Event::HandshakeFailed { receiver, .. }
            | Event::SetReceived { receiver, .. }
            | Event::SetCut { receiver, .. } => Source::Receiver(*receiver),
            Event::LinkFault { link, .. } | Event::LinkEnded { link, .. } => of_receiver(self.links.get(link)),
            Event::SetAnswered { set, .. } | Event::SetUnanswered { set, .. } => of_receiver(self.sets.get(set)),
            _ => Source::Scenario,
        }
    }

    /// Keeps an observation with its text.
    fn push(&mut self, source: Source, is_rare: bool, (seq, at): (Seq, Instant), words: Words, text: &[u8]) {
        if let Some(flight) = self.flights.get_mut(&source) {
            return flight.push(is_rare, self.for_each, seq, at, words, text);
        }
        self.flights.insert(source, Flight::default());
        self.divide();
        self.flights.values_mut().for_each(|flight| flight.shrink(self.for_each));
        if let Some(flight) = self.flights.get_mut(&source) {
            flight.push(is_rare, self.for_each, seq, at, words, text);
        }
    }

    /// Divides the room among the sources.
    fn divide(&mut self) {
        let sources = self.flights.len().max(1);
        let Room { lines, bytes } = self.room;
        self.for_each = Room { lines: LEAST.lines.max(lines / sources), bytes: LEAST.bytes.max(bytes / sources) };
    }

    /// A connection has ended: of those that have, only the last are kept.
    fn note_end(&mut self, connection: ConnectionId) {
        self.ended.push_back(connection);
        if self.ended.len() > ENDED_KEPT
            && let Some(oldest) = self.ended.pop_front()
        {
            self.flights.remove(&Source::Connection(oldest));
            self.divide();
        }
    }

    /// Takes the beginning of what these parts are together for the text.
    fn take_beginning<'p>(&mut self, parts: impl Iterator<Item = &'p [u8]>) {
        let text = &mut self.text;
        text.clear();
        for part in parts {
            text.extend_from_slice(beginning(part, START_BYTES - text.len().min(START_BYTES)));
        }
    }

    /// Remembers and forgets names of receivers, links and sets.
    fn note_receivers(&mut self, event: &Event<'_>) {
        match event {
            Event::ReceiverOpened { receiver, name, .. } => {
                self.receivers.insert(*receiver, (*name).to_owned());
            }
            Event::LinkOpened { link, receiver } => {
                self.links.insert(*link, *receiver);
            }
            Event::SetReceived { set, receiver, .. } | Event::SetCut { set, receiver, .. } => {
                self.sets.insert(*set, *receiver);
            }
            _ => {}
        }
    }

    fn forget_receivers(&mut self, event: &Event<'_>) {
        match event {
            Event::LinkEnded { link, .. } => {
                self.links.remove(link);
            }
            Event::SetAnswered { set, .. } | Event::SetUnanswered { set, .. } | Event::SetCut { set, .. } => {
                self.sets.remove(set);
            }
            _ => {}
        }
    }
}

impl Sink for Chronicle {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.began.get_or_insert(observation.at);
        self.count += 1;
        if let Event::Opening { connection, client, .. } = observation.event {
            self.enter(connection, client);
        }
        self.note_receivers(&observation.event);
        let source = self.source(&observation.event);
        let place = (observation.seq, observation.at);
        if let Event::Frame { from, frame, text, .. } = &observation.event {
            // A message may have come in several frames: what it says is in none of them alone.
            let said = text.as_ref().map_or(frame.payload, Text::bytes);
            let words = Words::Frame { from: *from, header: frame.header, is_text: text.is_some() };
            let is_rare = !is_frequent(*from, text.as_ref());
            return self.push(source, is_rare, place, words, beginning(said, START_BYTES));
        }
        let (words, is_rare) = match &observation.event {
            Event::SetReceived { set, receiver, head, records, .. } => {
                let parts = [head.method, " ", head.target, " "].map(str::as_bytes);
                self.take_beginning(parts.into_iter().chain([records.body()]));
                (Words::Set { set: *set, receiver: *receiver }, false)
            }
            Event::SetAnswered { set, status, whole, .. } => {
                self.text.clear();
                let receiver = self.sets.get(set).copied();
                (Words::Answer { set: *set, receiver, status: *status, whole: *whole }, false)
            }
            event => {
                let said = self.describe(event);
                self.text.clear();
                self.text.extend_from_slice(said.as_bytes());
                (Words::Text, !matches!(source, Source::Api))
            }
        };
        let text = std::mem::take(&mut self.text);
        self.push(source, is_rare, place, words, &text);
        self.text = text;
        if let Event::Ended { connection, .. }
        | Event::Refused { connection, .. }
        | Event::OpenFailed { connection, .. } = observation.event
        {
            self.note_end(connection);
        }
        self.forget_receivers(&observation.event);
    }
}

/// As much of a text as is shown of it, in at most so many bytes.
fn beginning(text: &[u8], room: usize) -> &[u8] {
    if text.len() <= room.min(MESSAGE_CHARS) {
        return text;
    }
    let start = &text[..text.len().min(room)];
    // Characters of other scripts are up to four bytes long.
    if start.is_ascii() { start } else { &text[..text.len().min(room.min(MESSAGE_CHARS) * 4)] }
}

/// Whether there are many such frames: updates and their acks.
fn is_frequent(from: Side, text: Option<&Text<'_>>) -> bool {
    let Some(Text::Json { envelope, .. }) = text else { return false };
    match (envelope, from) {
        (Envelope::Ack(_), from) => from == Side::Client,
        (Envelope::Message(message), _) => matches!(
            message.message_type(),
            Some(MessageType::CallListUpdate | MessageType::CallInfoUpdate | MessageType::RosterUpdate)
        ),
        (Envelope::Other(_), _) => false,
    }
}

/// How a connection ended.
fn end_in_words(cause: EndCause) -> &'static str {
    match cause {
        EndCause::PeerClosed => "closed by the peer",
        EndCause::PeerReset => "reset by the peer",
        EndCause::Closed => "closed",
        EndCause::Dropped => "dropped",
        EndCause::TooLong => "dropped, since a frame or a body is too long",
    }
}

/// Shortens a text to one line.
fn short(text: &str) -> String {
    let mut line: String = text.chars().take(MESSAGE_CHARS).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(MESSAGE_CHARS).is_some() {
        line.push('…');
    }
    line
}

/// A request on one line; a token shows only its beginning, since it is a secret while it is valid.
fn request_line(request: &Request) -> String {
    let mut line = format!("{} {}", request.method, request.path());
    let mut first = true;
    for (name, value) in form_urlencoded::parse(request.query().as_bytes()) {
        let shown = if name == TOKEN_PARAMETER { mask(&value) } else { value.into_owned() };
        let _ = write!(line, "{}{name}={shown}", if first { '?' } else { '&' });
        first = false;
    }
    if !request.body.is_empty() {
        let _ = write!(line, " {}", short(&String::from_utf8_lossy(&request.body)));
    }
    line
}

/// The beginning of a token.
fn mask(token: &str) -> String {
    let start: String = token.chars().take(6).collect();
    if start.len() < token.len() { format!("{start}…") } else { start }
}

fn response_line(response: &Response) -> String {
    let mut line = response.status.to_string();
    if let Some(location) = response.headers.get("Location") {
        let _ = write!(line, " Location: {}", short(location));
    }
    if !response.body.is_empty() {
        let _ = write!(line, " {}", short(&response.text()));
    }
    line
}

fn frame_line(header: &Header, is_text: bool, start: &[u8]) -> String {
    let mut line = String::new();
    let plain = header.opcode == Opcode::TEXT && header.fin && header.reserved == 0;
    if !plain {
        let _ = write!(line, "{} frame, {} bytes", header.opcode, header.length);
        if !header.fin {
            line.push_str(", FIN clear");
        }
        if header.reserved != 0 {
            let _ = write!(line, ", reserved bits {:#05b}", header.reserved);
        }
        if header.opcode == Opcode::CLOSE
            && let Some(code) = close_code(start)
        {
            let _ = write!(line, ", code {code}");
        }
        line.push_str(if is_text { ": " } else { "" });
    }
    if is_text {
        line.push_str(&short(&String::from_utf8_lossy(start)));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::cdr::Tape;
    use crate::protocol::http1::Head;
    use crate::protocol::ws::handshake::upgrade_request;
    use crate::trace::{ExchangeId, NetworkError, NetworkErrorKind};

    #[test]
    fn a_line_names_the_client_and_hides_the_token() {
        let mut chronicle = Chronicle::new();
        let request = upgrade_request(Some("7174c102-61b3-47a6-8ff2-b86256cca958"), [0; 16]);
        for (seq, connection) in [(1, 1), (2, 2)] {
            let event = Event::Opening { connection: ConnectionId(connection), client: "alice", request: &request };
            chronicle.observe(&Observation { seq: Seq(seq), at: Instant::from_millis(seq * 10), event });
        }
        assert_eq!(chronicle.line(Seq(2)).unwrap(), "#2 +10 ms alice#2 -> GET /events/v1?authToken=7174c1…");
        assert_eq!(chronicle.line(Seq(3)), None);
    }

    #[test]
    fn lines_of_receivers_name_the_receiver_and_the_set() {
        let (receiver, link, set) = (ReceiverId(1), LinkId(7), SetId(3));
        let body = format!("<records session='s'>\n{}</records>", "<record/>".repeat(100));
        let head = Head { method: "POST", target: "/cdr", minor_version: 1, fields: "" };
        let (mut tape, mut nothing) = (Tape::new(), Tape::new());
        let records = tape.read(body.as_bytes());
        let events = [
            Event::ReceiverOpened { receiver, name: "one", uri: "http://127.0.0.1:8080/cdr" },
            Event::LinkOpened { link, receiver },
            Event::SetReceived { set, link, receiver, head, records },
            Event::SetAnswered { set, status: 200, whole: true, planned: false },
            Event::SetReceived { set: SetId(4), link, receiver, head, records: nothing.read(b"") },
            Event::SetUnanswered { set: SetId(4), planned: true },
            Event::SetCut { set: SetId(5), link, receiver, arrived_bytes: 12, by_receiver: false },
            Event::LinkFault { link, what: "no\nsense" },
            Event::LinkEnded { link, cause: EndCause::PeerReset },
            Event::ReceiverClosed { receiver },
            Event::RestartBegun,
            Event::SetAnswered { set: SetId(9), status: 500, whole: false, planned: true },
        ];
        let mut chronicle = Chronicle::new();
        for (seq, event) in events.into_iter().enumerate() {
            chronicle.observe(&Observation { seq: Seq(seq as u64), at: Instant::ZERO, event });
        }
        let said: Vec<String> = (0..12).map(|seq| chronicle.line(Seq(seq)).unwrap()).collect();
        let said: Vec<&str> = said.iter().map(|line| line.split_once(" ms ").unwrap().1).collect();
        assert!(
            said[2].starts_with("one <- set 3: POST /cdr <records session='s'> <record/>") && said[2].ends_with('…')
        );
        assert_eq!(
            [&said[..2], &said[3..]].concat(),
            [
                "one listens at http://127.0.0.1:8080/cdr",
                "one <- connection 7",
                "one -> 200 for set 3",
                "one <- set 4: POST /cdr ",
                "one -> no answer for set 4",
                "one <- set 5, cut off after 12 bytes",
                "one <- no HTTP request: no sense",
                "one connection 7 reset by the peer",
                "one refuses connections",
                "the Call Bridge is restarted",
                "? -> 500 for set 9, a part of it",
            ]
        );
        assert!(chronicle.sets.is_empty() && chronicle.links.is_empty(), "what is over is forgotten");
    }

    fn exchange(seq: u64) -> (Seq, Event<'static>) {
        (Seq(seq), Event::RequestFailed { exchange: ExchangeId(1), error: ERROR.get_or_init(error) })
    }

    static ERROR: std::sync::OnceLock<NetworkError> = std::sync::OnceLock::new();

    fn error() -> NetworkError {
        NetworkError { kind: NetworkErrorKind::Timeout, address: "a".to_owned(), cause: "b".to_owned() }
    }

    #[test]
    fn only_the_last_lines_are_kept_and_those_that_findings_refer_to() {
        let mut chronicle = Chronicle::new();
        for number in 1..=ROOM.lines as u64 + 5 {
            let (seq, event) = exchange(number);
            chronicle.observe(&Observation { seq, at: Instant::ZERO, event });
            let evidence: [&[Seq]; 2] = [&[Seq(1), Seq(3)], &[Seq(4)]];
            chronicle.keep(evidence.into_iter().take(usize::from(number > 3) + usize::from(number > 8)));
        }
        for seq in [1, 3, 4] {
            assert!(chronicle.line(Seq(seq)).is_some(), "{seq}");
        }
        assert_eq!((chronicle.line(Seq(2)), chronicle.line(Seq(5))), (None, None));
        assert!(chronicle.line(Seq(6)).is_some());
        assert_eq!(chronicle.count(), ROOM.lines as u64 + 5);
    }

    #[test]
    fn a_busy_source_does_not_wash_away_what_others_told() {
        let mut chronicle = Chronicle::new();
        let request = upgrade_request(Some("token"), [0; 16]);
        let opening =
            |connection| Event::Opening { connection: ConnectionId(connection), client: "a", request: &request };
        let mut see = |seq: u64, event: Event<'_>| {
            chronicle.observe(&Observation { seq: Seq(seq), at: Instant::ZERO, event });
        };
        see(1, opening(1));
        for number in 2..100_000 {
            see(number, exchange(number).1);
        }
        // Connections that have ended make room for others.
        for number in 0..1000_u64 {
            let (seq, id) = (100_000 + 2 * number, number as u32 + 2);
            see(seq, opening(id));
            see(seq + 1, Event::Ended { connection: ConnectionId(id), cause: EndCause::PeerReset });
        }
        assert!(chronicle.line(Seq(1)).is_some());
        assert!(chronicle.line(Seq(100_000)).is_none() && chronicle.line(Seq(101_998)).is_some());
        assert!(chronicle.flights.len() <= ENDED_KEPT + 2, "{}", chronicle.flights.len());
        assert_eq!(chronicle.client(ConnectionId(900)), Some("a#900"));
    }
}
