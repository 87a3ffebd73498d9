//! The trace as a file: JSON lines, one version.
//!
//! The first line is a [`Header`] (`{"trace":1,...}`). Then the scenarios, one after the other, each of a [`Begin`]
//! (`{"begin":"updates/added",...}`), its observations (`{"seq":1,"at_ns":5,"scenario":"updates/added","event":{...}}`)
//! and an [`End`] (`{"end":"updates/added",...}`); a scenario that did not run is one [`Skip`]. The last line is
//! [`Closed`]; where it is missing, the recording was cut off. Unknown fields are let pass; another version is refused.
//! Passwords are in no observation; tokens are replaced while lines are written, see [`super::secrets`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::event_line::EventLine;
use super::observation::{Observation, Seq, Side};
use super::recorded::{Kept, Recorded};
use super::secrets::Secrets;
use crate::time::Instant;

/// The version of the format that is written, and the only one that is read.
pub const VERSION: u64 = 1;

/// The first line: what was run, and against what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`]
    pub trace: u64,
    /// Name and version of the program that recorded it.
    pub tool: String,
    /// The run.
    pub run: RunLine,
    /// What it ran against.
    pub target: TargetLine,
    /// How long reactions might take, in milliseconds.
    pub reaction_ms: u64,
}

/// The run, as the first line has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunLine {
    /// Its id.
    pub id: String,
    /// Its seed.
    pub seed: u64,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The command that repeats it, without secrets.
    pub command: String,
    /// Its options, without scenarios, seed and secrets.
    pub options: String,
}

/// The target, as the first line has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetLine {
    /// `emulator` or `server`
    pub kind: String,
    /// Where it is; of several servers, the first.
    pub url: String,
    /// Where the others are, which a load is spread over as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub others: Vec<String>,
    /// What it said of its release.
    pub software_version: Option<String>,
    /// Whether it is in a cluster, if that is known.
    pub clustered: Option<bool>,
    /// Settings of the embedded emulator that differ from its default.
    pub dialect: Vec<String>,
    /// Mutants of the embedded emulator.
    pub mutants: Vec<String>,
}

/// A scenario begins: what judging it needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// The scenario's id.
    pub begin: String,
    /// The server, where it is a load that is spread over several: each has a trace of its own, one after the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// Its title.
    pub title: String,
    /// The requirements that it is there to put to the test.
    pub exercises: Vec<String>,
    /// Whose conformance is judged.
    pub judged: Side,
    /// Which side observed.
    pub observer: Side,
    /// The release that requirements are chosen by, such as `3.7`.
    pub version: String,
    /// Whether the Meeting Server is in a cluster, if that is known.
    pub clustered: Option<bool>,
    /// How long reactions may take, in nanoseconds.
    pub reaction_ns: u64,
    /// How long records may wait to be sent again, in nanoseconds; older recordings have none.
    #[serde(default = "redelivery_ns")]
    pub redelivery_ns: u64,
    /// When it began, in nanoseconds since the run did.
    pub began_ns: u64,
    /// How many thresholds it has, if it is a load.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub thresholds: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// The default of recordings that were made before records were judged: 30 s.
const fn redelivery_ns() -> u64 {
    30_000_000_000
}

/// A scenario is over: what became of it, apart from its observations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// The scenario's id.
    pub end: String,
    /// Why it was not carried out to the end, if it was not.
    pub unfinished: Option<String>,
    /// Its own expectations that were not met.
    pub failed_expectations: Vec<FailedExpectation>,
    /// How many observations there were.
    pub observations: u64,
    /// How many of the last ones are not recorded, because the trace of the scenario became too long.
    pub left_out: u64,
    /// How long it took, in nanoseconds.
    pub duration_ns: u64,
}

/// An expectation of a scenario's own that was not met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedExpectation {
    /// When that was established, in nanoseconds since the run began.
    pub at_ns: u64,
    /// What was expected.
    pub expected: String,
    /// What was there instead.
    pub observed: String,
    /// The observations that show it.
    pub evidence: Vec<u64>,
}

/// A scenario that did not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The scenario's id.
    pub skip: String,
    /// Its title.
    pub title: String,
    /// The requirements that it is there to put to the test.
    pub exercises: Vec<String>,
    /// Why it was skipped.
    pub skipped: Option<String>,
    /// Why it could not begin, if it was not skipped.
    pub unfinished: Option<String>,
}

/// The last line: the run is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// How long the run took, in milliseconds.
    pub closed_ms: u64,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Trouble with the environment, in words.
    pub errors: Vec<String>,
    /// Exit codes that the trouble asks for.
    pub exit_codes: Vec<u8>,
}

/// One line that was read.
#[derive(Debug)]
pub enum Line {
    /// The first line.
    Header(Header),
    /// A scenario begins.
    Begin(Begin),
    /// An observation, with the id of its scenario.
    Observation(String, Box<Recorded>),
    /// A scenario is over.
    End(End),
    /// A scenario that did not run.
    Skip(Skip),
    /// The last line.
    Closed(Closed),
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFault {
    /// Not JSON, or a field is missing or wrong.
    #[error("{0}")]
    Wrong(String),
    /// JSON, but no line of a trace.
    #[error("no line of a trace")]
    Foreign,
    /// A header of another version.
    #[error("the trace has version {0}, this program reads version {VERSION}")]
    Version(u64),
}

/// What tells the kinds of lines apart.
#[derive(Deserialize)]
struct Kind {
    trace: Option<u64>,
    seq: Option<serde::de::IgnoredAny>,
    begin: Option<serde::de::IgnoredAny>,
    end: Option<serde::de::IgnoredAny>,
    skip: Option<serde::de::IgnoredAny>,
    closed_ms: Option<serde::de::IgnoredAny>,
}

#[derive(Serialize, Deserialize)]
struct ObservationLine<'a> {
    seq: u64,
    at_ns: Instant,
    scenario: Cow<'a, str>,
    event: EventLine<'a>,
}

/// Reads one line, with or without its line feed.
///
/// # Errors
/// If it is none, or of another version.
pub fn read_line(line: &[u8]) -> Result<Line, LineFault> {
    let kind: Kind = parsed(line)?;
    if let Some(version) = kind.trace {
        return if version == VERSION { parsed(line).map(Line::Header) } else { Err(LineFault::Version(version)) };
    }
    if kind.seq.is_some() {
        let line: ObservationLine<'_> = parsed(line)?;
        let event = Kept::try_from(line.event).map_err(LineFault::Wrong)?;
        let recorded = Recorded { seq: Seq(line.seq), at: line.at_ns, event };
        return Ok(Line::Observation(line.scenario.into_owned(), Box::new(recorded)));
    }
    match kind {
        Kind { begin: Some(_), .. } => parsed(line).map(Line::Begin),
        Kind { end: Some(_), .. } => parsed(line).map(Line::End),
        Kind { skip: Some(_), .. } => parsed(line).map(Line::Skip),
        Kind { closed_ms: Some(_), .. } => parsed(line).map(Line::Closed),
        _ => Err(LineFault::Foreign),
    }
}

fn parsed<'l, T: Deserialize<'l>>(line: &'l [u8]) -> Result<T, LineFault> {
    serde_json::from_slice(line).map_err(|error| LineFault::Wrong(error.to_string()))
}

/// Appends a line that is no observation, with its line feed.
pub fn write_line<L: Serialize>(line: &L, out: &mut Vec<u8>) {
    // Writing to memory cannot fail, and every key is text.
    let _ = serde_json::to_writer(&mut *out, line);
    out.push(b'\n');
}

/// Appends the line of an observation, with its line feed and without secrets.
pub fn write_observation(scenario: &str, observation: &Observation<'_>, secrets: &mut Secrets, out: &mut Vec<u8>) {
    let line = ObservationLine {
        seq: observation.seq.0,
        at_ns: observation.at,
        scenario: Cow::Borrowed(scenario),
        event: EventLine::of(&observation.event, secrets),
    };
    write_line(&line, out);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::cdr::Tape;
    use crate::protocol::http::{Credentials, Headers, Method, Request, Response};
    use crate::protocol::http1::Head;
    use crate::protocol::json::Document;
    use crate::protocol::ws::frame::{Frame, Header as FrameHeader, LengthForm, Opcode};
    use crate::trace::{
        ConnectionId, EndCause, Event, ExchangeId, LinkId, NetworkError, NetworkErrorKind, ReceiverId, Scratch, SetId,
        Text,
    };

    /// Everything that an event can be made of.
    #[derive(Debug, Clone)]
    struct Parts {
        number: u32,
        nanos: u64,
        words: String,
        optional: Option<String>,
        bytes: Vec<u8>,
        message: Option<Vec<u8>>,
        request: Request,
        response: Response,
        error: NetworkError,
        header: FrameHeader,
        side: Side,
        cause: EndCause,
    }

    fn headers() -> impl Strategy<Value = Headers> {
        prop::collection::vec(("[A-Za-z-]{1,12}", any::<String>()), 0..4).prop_map(|fields| {
            let hidden = |name: &str| ["cookie", "set-cookie", "authorization"].contains(&&*name.to_ascii_lowercase());
            fields.into_iter().filter(|(name, _)| !hidden(name)).collect()
        })
    }

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            any::<String>().prop_map(String::into_bytes),
            r#"\{"[a-z\\/"]{0,5}": ?(1|null|"[a-z]*"|\[\])\}?"#.prop_map(String::into_bytes),
        ]
    }

    fn request() -> impl Strategy<Value = Request> {
        let method = prop::sample::select(vec![Method::Get, Method::Post, Method::Put, Method::Delete]);
        let credentials = prop::sample::select(Credentials::NAMES.map(|(kind, _)| kind).to_vec());
        (method, "/[a-z/%0-9]{0,9}(\\?[a-z&=%]{0,9})?", credentials, headers(), bytes()).prop_map(
            |(method, target, credentials, headers, body)| Request { method, target, credentials, headers, body },
        )
    }

    fn header() -> impl Strategy<Value = FrameHeader> {
        let form = prop::sample::select(vec![LengthForm::Short, LengthForm::Medium, LengthForm::Long]);
        (any::<bool>(), any::<u8>(), any::<u8>(), any::<Option<[u8; 4]>>(), form, any::<u64>()).prop_map(
            |(fin, reserved, opcode, mask, length_form, length)| FrameHeader {
                fin,
                reserved,
                opcode: Opcode(opcode),
                mask,
                length_form,
                length,
            },
        )
    }

    fn error() -> impl Strategy<Value = NetworkError> {
        use NetworkErrorKind::{Closed, Connect, Malformed, Resolve, Timeout, Tls};
        let kind = prop::sample::select(vec![Resolve, Connect, Tls, Timeout, Closed, Malformed]);
        (kind, any::<String>(), any::<String>()).prop_map(|(kind, address, cause)| NetworkError {
            kind,
            address,
            cause,
        })
    }

    fn parts() -> impl Strategy<Value = Parts> {
        use EndCause::{Closed, Dropped, PeerClosed, PeerReset, TooLong};
        let cause = prop::sample::select(vec![PeerClosed, PeerReset, Closed, Dropped, TooLong]);
        let side = prop::sample::select(vec![Side::Server, Side::Client]);
        let words = (any::<u32>(), any::<u64>(), any::<String>(), any::<Option<String>>());
        let payloads = (bytes(), prop::option::of(prop::option::of(bytes())));
        let response = (any::<u16>(), headers(), bytes());
        (words, payloads, request(), response, error(), header(), side, cause).prop_map(
            |((number, nanos, words, optional), (bytes, message), request, response, error, header, side, cause)| {
                Parts {
                    number,
                    nanos,
                    words,
                    optional,
                    message: message.map(|whole| whole.unwrap_or_else(|| bytes.clone())),
                    bytes,
                    request,
                    response: Response { status: response.0, headers: response.1, body: response.2 },
                    error,
                    header,
                    side,
                    cause,
                }
            },
        )
    }

    /// One event of each kind.
    fn events<'p>(parts: &'p Parts, document: &'p mut Document, tape: &'p mut Tape) -> Vec<Event<'p>> {
        let (exchange, connection) = (ExchangeId(parts.number), ConnectionId(parts.number));
        let Parts { request, response, error, .. } = parts;
        let text = parts.message.as_deref().map(|bytes| Text::of(bytes, document));
        let frame = Frame { header: parts.header, payload: &parts.bytes };
        let (set, link, receiver) = (SetId(parts.nanos), LinkId(parts.number), ReceiverId(parts.number / 2));
        let head = Head { method: &parts.words, target: &request.target, minor_version: 1, fields: &parts.words };
        vec![
            Event::ScenarioStarted { id: &parts.words },
            Event::StepStarted { number: parts.number, text: &parts.words },
            Event::ScenarioEnded { unfinished: parts.optional.as_deref() },
            Event::HarnessLate { by: std::time::Duration::from_nanos(parts.nanos) },
            Event::Snapshot { since: Seq(parts.nanos) },
            Event::RequestSent { exchange, request },
            Event::ResponseReceived { exchange, response },
            Event::RequestFailed { exchange, error },
            Event::Opening { connection, client: &parts.words, request },
            Event::Opened { connection, response },
            Event::Refused { connection, response },
            Event::OpenFailed { connection, error },
            Event::Frame { connection, from: parts.side, frame, text },
            Event::RawBytesSent { connection, bytes: &parts.bytes },
            Event::Ended { connection, cause: parts.cause },
            Event::WallClock { unix_ms: parts.nanos.cast_signed() },
            Event::ReceiverOpened { receiver, name: &parts.words, uri: &request.target },
            Event::ReceiverClosed { receiver },
            Event::LinkOpened { link, receiver },
            Event::HandshakeFailed { receiver, what: &parts.words, by_peer: parts.optional.is_some() },
            Event::LinkFault { link, what: &parts.words },
            Event::LinkEnded { link, cause: parts.cause },
            Event::SetReceived { set, link, receiver, head, records: tape.read(&parts.bytes) },
            Event::SetCut { set, link, receiver, arrived_bytes: parts.nanos, by_receiver: parts.optional.is_some() },
            Event::SetAnswered { set, status: response.status, whole: parts.optional.is_some(), planned: false },
            Event::SetUnanswered { set, planned: parts.optional.is_some() },
            Event::RestartBegun,
            Event::RestartDone,
        ]
    }

    /// What tells two events apart. The tape of a parse holds no more than the text that it was made of.
    fn shown(event: &Event<'_>) -> String {
        match event {
            Event::Frame { connection, from, frame, text } => {
                let text = text.as_ref().map(|text| match text {
                    Text::Json { text, .. } => format!("json {text}"),
                    other => format!("{other:?}"),
                });
                format!("{connection:?} {from:?} {frame:?} {text:?}")
            }
            Event::SetReceived { set, link, receiver, head, records } => {
                let (body, deviations) = (records.body(), records.deviations());
                format!("{set:?} {link:?} {receiver:?} {head:?} {:?} {body:?} {deviations:?}", head.fields)
            }
            other => format!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn every_event_comes_back_as_it_was_written(parts in parts(), at in any::<u64>()) {
            let (mut one, mut tape, mut other) = (Document::new(), Tape::new(), Scratch::default());
            for (number, event) in events(&parts, &mut one, &mut tape).into_iter().enumerate() {
                let observation = Observation { seq: Seq(number as u64), at: Instant::from_nanos(at), event };
                let mut line = Vec::new();
                write_observation(&parts.words, &observation, &mut Secrets::new(), &mut line);
                prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
                let Ok(Line::Observation(scenario, read)) = read_line(&line) else { panic!("{line:?}") };
                prop_assert_eq!(&scenario, &parts.words);
                let lent = read.lend(&mut other);
                prop_assert_eq!((lent.seq, lent.at), (observation.seq, observation.at));
                prop_assert_eq!(shown(&lent.event), shown(&observation.event));
            }
        }

        #[test]
        fn no_line_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), parts in parts(), cut in any::<prop::sample::Index>()) {
            let _ = read_line(&bytes);
            let (mut document, mut tape) = (Document::new(), Tape::new());
            for event in events(&parts, &mut document, &mut tape) {
                let mut line = Vec::new();
                let observation = Observation { seq: Seq(1), at: Instant::ZERO, event };
                write_observation("a/b", &observation, &mut Secrets::new(), &mut line);
                let at = cut.index(line.len() - 1);
                prop_assert!(read_line(&line[..at]).is_err(), "a line that was cut is told");
                line[at] = bytes.first().copied().unwrap_or(b'x');
                if let Ok(Line::Observation(_, read)) = read_line(&line) {
                    let mut lent = Scratch::default();
                    let _ = read.lend(&mut lent);
                }
            }
        }
    }

    #[test]
    fn set_that_is_no_utf_8_comes_back_with_all_its_bytes_and_its_records() {
        let body = b"<records session='s'><record type='callEnd'><call id='\xff\x00'/></record></records>";
        let head = Head { method: "POST", target: "/cdr?a=b", minor_version: 1, fields: "Host: x\r\nX-A: b\r\n" };
        let mut tape = Tape::new();
        let records = tape.read(body);
        let event = Event::SetReceived { set: SetId(1), link: LinkId(2), receiver: ReceiverId(3), head, records };
        let mut line = Vec::new();
        let observation = Observation { seq: Seq(1), at: Instant::ZERO, event };
        write_observation("a/b", &observation, &mut Secrets::new(), &mut line);
        let Ok(Line::Observation(_, read)) = read_line(&line) else { panic!("it is a line") };
        let mut scratch = Scratch::default();
        let Event::SetReceived { head: read_head, records, .. } = read.lend(&mut scratch).event else {
            panic!("it is a set");
        };
        assert_eq!((read_head, records.body()), (head, &body[..]));
        assert_eq!(records.records().next().unwrap().id(), Some("\u{FFFD}\0"));
        assert!(!records.is_well_formed());
    }

    #[test]
    fn another_version_is_refused_and_unknown_fields_are_let_pass() {
        assert_eq!(read_line(br#"{"trace":2}"#).unwrap_err(), LineFault::Version(2));
        assert_eq!(read_line(br#"{"a":1}"#).unwrap_err(), LineFault::Foreign);
        let line =
            br#"{"new":[],"seq":1,"at_ns":2,"scenario":"a/b","event":{"scenario_started":{"id":"a/b","new":1}}}"#;
        assert!(matches!(read_line(line).unwrap(), Line::Observation(_, read) if read.seq() == Seq(1)));
    }
}
