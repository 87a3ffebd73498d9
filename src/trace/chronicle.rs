//! The chronicle: observations in words, one line each, for the evidence in reports.
//!
//! Bounded: of a long trace only the last observations are kept, besides those that findings refer to, and of a long
//! message only its beginning. What a finding refers to is looked up when the trace is over.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write as _;

use super::observation::{
    ConnectionId, EndCause, Event, LinkId, Observation, ReceiverId, Seq, SetId, Side, Sink, Text,
};
use crate::protocol::http::{Request, Response};
use crate::protocol::ws::frame::{Header, Opcode, close_code};
use crate::protocol::ws::handshake::TOKEN_PARAMETER;
use crate::time::Instant;

/// How many observations are kept.
const LINES_KEPT: usize = 20_000;

/// How many characters of a message are kept.
const MESSAGE_CHARS: usize = 600;

/// How many bytes of a set of records or a message are kept until somebody wants to read them: somewhat more than are
/// shown, since hardly a character is longer than a byte.
const START_BYTES: usize = MESSAGE_CHARS + MESSAGE_CHARS / 8;

/// The words of one observation.
#[derive(Debug)]
enum Words {
    Text(String),
    /// A set of records: of the many of a long run hardly any is ever read, so that it is not put into words before.
    Set {
        set: SetId,
        receiver: ReceiverId,
        start: Vec<u8>,
    },
    /// A frame, for the same reason; of a long one, the beginning.
    Frame {
        connection: ConnectionId,
        from: Side,
        header: Header,
        is_text: bool,
        start: Vec<u8>,
    },
    /// The answer to a set.
    Answer {
        set: SetId,
        receiver: Option<ReceiverId>,
        status: u16,
        whole: bool,
    },
}

/// Observations in words.
#[derive(Debug, Default)]
pub struct Chronicle {
    lines: VecDeque<(Seq, Instant, Words)>,
    /// What held the beginning of something that is no longer kept, for what comes next.
    spare: Vec<Vec<u8>>,
    cited: BTreeMap<Seq, String>,
    citing: usize,
    clients: BTreeMap<ConnectionId, String>,
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
        Self::default()
    }

    /// The line of an observation, if it is still kept: `#12 +34 ms alice <- {...}`.
    pub fn line(&self, seq: Seq) -> Option<String> {
        if let Some(line) = self.cited.get(&seq) {
            return Some(line.clone());
        }
        let place = self.lines.binary_search_by_key(&seq, |(seq, ..)| *seq).ok()?;
        let (seq, at, words) = &self.lines[place];
        let ms = at.since(self.began.unwrap_or_default()).as_millis();
        let receiver = |id: &ReceiverId| self.receivers.get(id).map_or("?", String::as_str);
        Some(match words {
            Words::Text(text) => format!("{seq} +{ms} ms {text}"),
            Words::Set { set, receiver: id, start } => {
                let start = String::from_utf8_lossy(start);
                format!("{seq} +{ms} ms {} <- set {}: {}", receiver(id), set.0, short(&start))
            }
            Words::Frame { connection, from, header, is_text, start } => {
                let arrow = if *from == Side::Server { "<-" } else { "->" };
                format!("{seq} +{ms} ms {} {arrow} {}", self.name(*connection), frame_line(header, *is_text, start))
            }
            Words::Answer { set, receiver: id, status, whole } => {
                let receiver = id.as_ref().map_or("?", receiver);
                let part = if *whole { "" } else { ", a part of it" };
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
        let earlier = self.clients.values().filter(|name| name.split('#').next() == Some(client)).count();
        let name = if earlier == 0 { client.to_owned() } else { format!("{client}#{}", earlier + 1) };
        self.clients.insert(connection, name);
    }

    fn describe(&self, event: &Event<'_>) -> Option<String> {
        Some(match event {
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
        })
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

    /// The beginning of what these parts are together. What is no longer kept lends its memory.
    fn beginning<'p>(&mut self, parts: impl Iterator<Item = &'p [u8]>) -> Vec<u8> {
        let mut start = self.spare.pop().unwrap_or_default();
        start.clear();
        for part in parts {
            let room = START_BYTES - start.len().min(START_BYTES);
            // Characters of other scripts are up to four bytes long.
            let is_plain = part[..part.len().min(room)].is_ascii();
            let room = if is_plain { room } else { room.min(MESSAGE_CHARS) * 4 };
            start.extend_from_slice(&part[..part.len().min(room)]);
        }
        start
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
        let words = match &observation.event {
            Event::SetReceived { set, receiver, head, records, .. } => {
                let parts = [head.method, " ", head.target, " "].map(str::as_bytes);
                let start = self.beginning(parts.into_iter().chain([records.body()]));
                Some(Words::Set { set: *set, receiver: *receiver, start })
            }
            Event::Frame { connection, from, frame, text } => {
                let (connection, from, header, is_text) = (*connection, *from, frame.header, text.is_some());
                // A message may have come in several frames: what it says is in none of them alone.
                let start = self.beginning([text.as_ref().map_or(frame.payload, Text::bytes)].into_iter());
                Some(Words::Frame { connection, from, header, is_text, start })
            }
            Event::SetAnswered { set, status, whole, .. } => {
                let receiver = self.sets.get(set).copied();
                Some(Words::Answer { set: *set, receiver, status: *status, whole: *whole })
            }
            event => self.describe(event).map(Words::Text),
        };
        if let Some(words) = words {
            if self.lines.len() == LINES_KEPT
                && let Some((_, _, Words::Set { start, .. } | Words::Frame { start, .. })) = self.lines.pop_front()
            {
                self.spare.push(start);
            }
            self.lines.push_back((observation.seq, observation.at, words));
        }
        self.forget_receivers(&observation.event);
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

    #[test]
    fn only_the_last_lines_are_kept_and_those_that_findings_refer_to() {
        let mut chronicle = Chronicle::new();
        for seq in 1..=LINES_KEPT as u64 + 5 {
            let event = Event::ScenarioStarted { id: "x" };
            chronicle.observe(&Observation { seq: Seq(seq), at: Instant::ZERO, event });
            let evidence: [&[Seq]; 2] = [&[Seq(1), Seq(3)], &[Seq(4)]];
            chronicle.keep(evidence.into_iter().take(usize::from(seq > 3) + usize::from(seq > 8)));
        }
        for seq in [1, 3, 4] {
            assert!(chronicle.line(Seq(seq)).is_some(), "{seq}");
        }
        assert_eq!((chronicle.line(Seq(2)), chronicle.line(Seq(5))), (None, None));
        assert!(chronicle.line(Seq(6)).is_some());
        assert_eq!(chronicle.count(), LINES_KEPT as u64 + 5);
    }
}
