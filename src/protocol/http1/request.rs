//! Requests read from the bytes of one connection.
//!
//! Bodies of known length stay where they arrived; chunks are put together in a second buffer. Both buffers are used
//! again for the next request, so that in steady state reading allocates nothing.

use std::mem::MaybeUninit;
use std::ops::Range;

use httparse::{Header, Status};

use super::chunks::Chunks;
use super::framing::{Framing, Length, Problem};
use super::inbox::{Inbox, empty};
use super::{Head, Limits};

/// How many header fields a head may have.
pub(super) const FIELDS: usize = 128;

/// Reads requests from the bytes of one connection.
#[derive(Debug)]
pub struct RequestReader {
    limits: Limits,
    inbox: Inbox,
    /// The present request's head, and where its parts are in it.
    head: String,
    place: Place,
    keep_alive: bool,
    /// The present request's body, if it came in chunks.
    body: Vec<u8>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before or in a head.
    Head,
    /// In a body of this many bytes.
    Counted(usize),
    Chunked(Chunks),
    /// The request was returned; so many bytes of the inbox are its body.
    Returned(usize),
    Broken(Problem),
}

#[derive(Debug, Default)]
struct Place {
    method: Range<usize>,
    target: Range<usize>,
    minor_version: u8,
    fields: Range<usize>,
}

/// What a reader has for its caller.
#[derive(Debug, PartialEq, Eq)]
pub enum Next<'b> {
    /// The present request is not yet whole.
    NeedMore {
        /// Its head, once that is whole.
        head: Option<Head<'b>>,
        /// How many bytes of its body have arrived; chunks count without their framing.
        body_bytes: u64,
    },
    /// A whole request. The next call of [`RequestReader::next`] forgets it.
    Request {
        /// Its head.
        head: Head<'b>,
        /// Its body, with chunks put together.
        body: &'b [u8],
        /// Whether the sender wants to go on using the connection.
        keep_alive: bool,
    },
    /// What arrived is no request that can be read. Nothing more can be read from the connection.
    Fault {
        /// What is wrong, in words.
        what: String,
        /// Whether it only exceeds a limit.
        too_long: bool,
    },
}

impl RequestReader {
    /// A reader for a new connection.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            inbox: Inbox::default(),
            head: String::new(),
            place: Place::default(),
            keep_alive: false,
            body: Vec::new(),
            state: State::Head,
        }
    }

    /// Takes bytes that have arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Broken(_)) {
            self.inbox.feed(bytes);
        }
    }

    /// The next whole request, or what is there of it.
    #[expect(clippy::should_implement_trait, reason = "what it returns borrows the reader")]
    pub fn next(&mut self) -> Next<'_> {
        match self.advance() {
            Ok(true) => {
                let body = match self.state {
                    State::Returned(bytes) if bytes > 0 => &self.inbox.rest()[..bytes],
                    _ => &self.body,
                };
                Next::Request { head: self.present_head(), body, keep_alive: self.keep_alive }
            }
            Ok(false) => Next::NeedMore { head: self.head(), body_bytes: self.body_arrived() },
            Err(problem) => {
                let fault = Next::Fault { what: problem.what.clone(), too_long: problem.is_too_long };
                self.inbox.clear();
                self.body = Vec::new();
                self.state = State::Broken(problem);
                fault
            }
        }
    }

    /// The head of the request that [`next`](Self::next) told of last, if it is whole; after a fault, the head of the
    /// faulty request, if it could be read.
    pub fn head(&self) -> Option<Head<'_>> {
        (!self.head.is_empty()).then(|| self.present_head())
    }

    /// Whether part of a request that was not yet returned has arrived.
    pub fn is_amid(&self) -> bool {
        match &self.state {
            State::Head => begins(self.inbox.rest()),
            State::Counted(_) | State::Chunked(_) => true,
            State::Returned(bytes) => begins(&self.inbox.rest()[*bytes..]),
            State::Broken(_) => false,
        }
    }

    /// How many bytes of the present request's body have arrived.
    pub fn body_arrived(&self) -> u64 {
        match self.state {
            State::Counted(bytes) => self.inbox.rest().len().min(bytes) as u64,
            State::Chunked(_) => self.body.len() as u64,
            State::Returned(bytes) => bytes.max(self.body.len()) as u64,
            State::Head | State::Broken(_) => 0,
        }
    }

    fn present_head(&self) -> Head<'_> {
        Head {
            method: &self.head[self.place.method.clone()],
            target: &self.head[self.place.target.clone()],
            minor_version: self.place.minor_version,
            fields: &self.head[self.place.fields.clone()],
        }
    }

    /// Reads on as far as it goes. Tells whether a request is whole.
    fn advance(&mut self) -> Result<bool, Problem> {
        if let State::Returned(bytes) = self.state {
            self.inbox.consume(bytes);
            self.head.clear();
            empty(&mut self.body);
            self.state = State::Head;
        }
        loop {
            match &mut self.state {
                State::Head => {
                    if !self.read_head()? {
                        return Ok(false);
                    }
                }
                State::Counted(bytes) => {
                    let bytes = *bytes;
                    if self.inbox.rest().len() < bytes {
                        return Ok(false);
                    }
                    self.state = State::Returned(bytes);
                    return Ok(true);
                }
                State::Chunked(chunks) => {
                    if !read_chunks(chunks, &mut self.inbox, &mut self.body, self.limits.body_bytes)? {
                        return Ok(false);
                    }
                    self.state = State::Returned(0);
                    return Ok(true);
                }
                State::Returned(_) => return Ok(true),
                State::Broken(problem) => return Err(problem.clone()),
            }
        }
    }

    /// Reads a head, if it is whole, and sets the state that goes with it.
    fn read_head(&mut self) -> Result<bool, Problem> {
        self.inbox.skip_empty_lines();
        // What can never become a request, such as a TLS handshake, need not be waited for.
        let rest = self.inbox.rest();
        if rest != b"\r" && rest.first().is_some_and(|byte| !byte.is_ascii_graphic()) {
            return Err(Problem::new("what arrives is no HTTP request"));
        }
        let found = self.inbox.head_bytes();
        let rest = self.inbox.rest();
        if found.unwrap_or(rest.len()) > self.limits.head_bytes {
            return Err(Problem::too_long(format!("the head is longer than {} bytes", self.limits.head_bytes)));
        }
        let Some(bytes) = found else { return Ok(false) };
        let text = str::from_utf8(&rest[..bytes]).map_err(|_| Problem::new("the head is not UTF-8"))?;
        self.head.push_str(text);
        let framing = match parse(&self.head) {
            Ok((place, framing)) => {
                self.place = place;
                framing
            }
            Err(problem) => {
                self.head.clear();
                return Err(problem);
            }
        };
        let framing = framing?;
        self.inbox.consume(bytes);
        self.keep_alive = framing.keep_alive;
        self.state = match framing.length {
            Length::Untold => State::Counted(0),
            Length::Chunked => State::Chunked(Chunks::new(self.limits.head_bytes)),
            Length::Bytes(bytes) => match usize::try_from(bytes) {
                Ok(bytes) if bytes <= self.limits.body_bytes => State::Counted(bytes),
                _ => return Err(body_too_long(self.limits.body_bytes)),
            },
        };
        Ok(true)
    }
}

/// Where the parts of a whole head are, and what its fields say.
fn parse(head: &str) -> Result<(Place, Result<Framing, Problem>), Problem> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS];
    let mut request = httparse::Request::new(&mut []);
    let no_http = |why: &dyn std::fmt::Display| Problem::new(format!("the head is no HTTP: {why}"));
    match request.parse_with_uninit_headers(head.as_bytes(), &mut fields) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(no_http(&"it ends early")),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Problem::too_long(format!("the head has more than {FIELDS} fields")));
        }
        Err(error) => return Err(no_http(&error)),
    }
    let (Some(method), Some(target), Some(minor_version)) = (request.method, request.path, request.version) else {
        return Err(no_http(&"it ends early"));
    };
    let fields_start = head.find('\n').map_or(head.len(), |at| at + 1);
    let fields_end = head.trim_end_matches(['\r', '\n']).len();
    let fields_end = head[fields_end..].find('\n').map_or(head.len(), |at| fields_end + at + 1);
    let within = |part: &str| {
        let start = part.as_ptr() as usize - head.as_ptr() as usize;
        start..start + part.len()
    };
    let place = Place {
        method: within(method),
        target: within(target),
        minor_version,
        fields: fields_start..fields_end.max(fields_start),
    };
    Ok((place, Framing::of(minor_version, request.headers)))
}

/// Takes chunks out of the inbox. Tells whether the body is whole.
fn read_chunks(chunks: &mut Chunks, inbox: &mut Inbox, body: &mut Vec<u8>, limit: usize) -> Result<bool, Problem> {
    while !inbox.rest().is_empty() {
        let step = chunks.step(inbox.rest())?;
        if step.is_data {
            if step.used > limit - body.len() {
                return Err(body_too_long(limit));
            }
            body.extend_from_slice(&inbox.rest()[..step.used]);
        }
        inbox.consume(step.used);
        if step.is_over {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a request begins in these bytes, which may open with empty lines.
fn begins(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| !matches!(byte, b'\r' | b'\n'))
}

fn body_too_long(limit: usize) -> Problem {
    Problem::too_long(format!("the body is longer than {limit} bytes"))
}
