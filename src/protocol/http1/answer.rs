//! Answers read from the bytes of one connection, as far as a sender of records cares: the status, and where the next
//! answer begins. Bodies are passed over.

use std::mem::MaybeUninit;

use httparse::{Header, Status};

use super::Limits;
use super::chunks::Chunks;
use super::framing::{Framing, Length, Problem};
use super::inbox::Inbox;
use super::request::FIELDS;

/// What an answer with neither `Content-Length` nor chunks means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unframed {
    /// It has no body. So the CDR guide's own sample receiver answers, on a connection that it keeps open.
    NoBody,
    /// Its body runs until the end of the connection, as HTTP has it.
    UntilClose,
}

/// What a reader has for its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextAnswer {
    /// The present answer is not yet whole.
    NeedMore,
    /// A whole answer. Interim ones (1xx) are passed over.
    Answer {
        /// Its status, 200 to 999.
        status: u16,
        /// Whether the connection may be used further.
        keep_alive: bool,
    },
    /// What arrived is no answer that can be read. Nothing more can be read from the connection.
    Fault {
        /// What is wrong, in words.
        what: String,
    },
}

/// Reads answers from the bytes of one connection.
#[derive(Debug)]
pub struct AnswerReader {
    unframed: Unframed,
    inbox: Inbox,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Before or in a head.
    Head,
    /// In a body.
    Body {
        rest: Rest,
        status: u16,
        keep_alive: bool,
    },
    Broken(Problem),
}

/// What is left of a body.
#[derive(Debug)]
enum Rest {
    Bytes(u64),
    Chunked(Chunks),
    UntilClose,
}

impl AnswerReader {
    /// A reader for a new connection.
    pub fn new(unframed: Unframed) -> Self {
        Self { unframed, inbox: Inbox::default(), state: State::Head }
    }

    /// Takes bytes that have arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        if !matches!(self.state, State::Broken(_)) {
            self.inbox.feed(bytes);
        }
    }

    /// The next whole answer.
    #[expect(clippy::should_implement_trait, reason = "there is no end of answers to tell")]
    pub fn next(&mut self) -> NextAnswer {
        match self.advance() {
            Ok(answer) => answer,
            Err(problem) => {
                self.inbox.clear();
                let what = problem.what.clone();
                self.state = State::Broken(problem);
                NextAnswer::Fault { what }
            }
        }
    }

    /// The connection has ended: the answer that ran until then, if there is one.
    pub fn end(&mut self) -> NextAnswer {
        match (self.next(), &self.state) {
            (NextAnswer::NeedMore, State::Body { rest: Rest::UntilClose, status, .. }) => {
                let answer = NextAnswer::Answer { status: *status, keep_alive: false };
                self.state = State::Head;
                answer
            }
            (next, _) => next,
        }
    }

    fn advance(&mut self) -> Result<NextAnswer, Problem> {
        loop {
            match &mut self.state {
                State::Head => {
                    if !self.read_head()? {
                        return Ok(NextAnswer::NeedMore);
                    }
                }
                State::Body { rest, status, keep_alive } => {
                    if !skip(rest, &mut self.inbox)? {
                        return Ok(NextAnswer::NeedMore);
                    }
                    let answer = NextAnswer::Answer { status: *status, keep_alive: *keep_alive };
                    self.state = State::Head;
                    return Ok(answer);
                }
                State::Broken(problem) => return Err(problem.clone()),
            }
        }
    }

    /// Reads a head, if one is whole, and sets the state that goes with it. Tells whether to go on.
    fn read_head(&mut self) -> Result<bool, Problem> {
        self.inbox.skip_empty_lines();
        let limit = Limits::default().head_bytes;
        let found = self.inbox.head_bytes();
        let rest = self.inbox.rest();
        if found.unwrap_or(rest.len()) > limit {
            return Err(Problem::too_long(format!("the head is longer than {limit} bytes")));
        }
        let Some(bytes) = found else { return Ok(false) };
        let (status, framing) = parse(&rest[..bytes])?;
        self.inbox.consume(bytes);
        if status < 200 {
            return match status {
                101 => Err(Problem::new("the answer switches to another protocol, which nobody asked for")),
                _ => Ok(true),
            };
        }
        let mut keep_alive = framing.keep_alive;
        let rest = match framing.length {
            _ if matches!(status, 204 | 304) => Rest::Bytes(0),
            Length::Bytes(bytes) => Rest::Bytes(bytes),
            Length::Chunked => Rest::Chunked(Chunks::new(limit)),
            Length::Untold if self.unframed == Unframed::NoBody => Rest::Bytes(0),
            Length::Untold => {
                keep_alive = false;
                Rest::UntilClose
            }
        };
        self.state = State::Body { rest, status, keep_alive };
        Ok(true)
    }
}

/// The status of a whole head, and what its fields say.
fn parse(head: &[u8]) -> Result<(u16, Framing), Problem> {
    let mut fields = [const { MaybeUninit::<Header<'_>>::uninit() }; FIELDS];
    let mut answer = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    match config.parse_response_with_uninit_headers(&mut answer, head, &mut fields) {
        Ok(Status::Complete(_)) => {}
        Ok(Status::Partial) => return Err(Problem::new("the answer's head ends early")),
        Err(error) => return Err(Problem::new(format!("the answer's head is no HTTP: {error}"))),
    }
    let (Some(status), Some(minor_version)) = (answer.code, answer.version) else {
        return Err(Problem::new("the answer's head ends early"));
    };
    Ok((status, Framing::of(minor_version, answer.headers)?))
}

/// Passes over a body. Tells whether it is over.
fn skip(rest: &mut Rest, inbox: &mut Inbox) -> Result<bool, Problem> {
    match rest {
        Rest::Bytes(left) => {
            let here = inbox.rest().len();
            let used = usize::try_from(*left).unwrap_or(usize::MAX).min(here);
            inbox.consume(used);
            *left -= used as u64;
            Ok(*left == 0)
        }
        Rest::Chunked(chunks) => {
            while !inbox.rest().is_empty() {
                let step = chunks.step(inbox.rest())?;
                inbox.consume(step.used);
                if step.is_over {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Rest::UntilClose => {
            let here = inbox.rest().len();
            inbox.consume(here);
            Ok(false)
        }
    }
}
