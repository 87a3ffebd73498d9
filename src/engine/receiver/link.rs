//! One connection of a Call Bridge to a CDR receiver: requests in, answers out, in order.
//!
//! A sender should wait for each answer. One that does not is read on nevertheless, up to a bound, so that it shows;
//! its sets are answered in the order in which they arrived.

use std::collections::VecDeque;
use std::time::Duration;

use super::plan::{Action, Answer, Decision, Pace, Point};
use super::{Conduct, Heard, Surroundings};
use crate::engine::driver::Command;
use crate::protocol::cdr::{Set, Tape};
use crate::protocol::http1::{Head, Limits, Next, RequestReader, write_answer};
use crate::time::Instant;
use crate::trace::{EndCause, Event, LinkId, ReceiverId, SetId, Sink};

/// How many sets may wait for their answers; beyond that nothing is read.
const MOST_OWED: usize = 64;

/// How many bytes are read at once of a set of which only a part is to be read.
const SMALL_PIECE: usize = 16;

/// What a sender is told that wants to know whether to go on.
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    id: LinkId,
    receiver: ReceiverId,
    reader: RequestReader,
    /// What has arrived and is not read yet.
    inbox: Vec<u8>,
    /// How much of the inbox is read.
    read: usize,
    /// When the next piece of the inbox is read, where that is done slowly.
    read_at: Option<Instant>,
    held: bool,
    amid: Option<Amid>,
    owed: VecDeque<Owed>,
    counted: u64,
    /// When it was opened, or bytes arrived last.
    active: Instant,
    /// How long a set may take to arrive.
    arrival_limit: Option<Duration>,
}

/// A set that is arriving.
#[derive(Debug)]
struct Amid {
    set: SetId,
    number: u64,
    began: Instant,
    decision: Option<Decision>,
    body_bytes: u64,
    told_to_continue: bool,
}

/// A set that has arrived and is not answered.
#[derive(Debug)]
struct Owed {
    set: SetId,
    action: Action,
    keep_alive: bool,
    /// Whether a plan says so.
    planned: bool,
    due: Option<Instant>,
}

/// What there is to read, without what it is borrowed from.
enum Step {
    /// The reader needs more; what is known of the set so far.
    More { expects: bool, body_bytes: u64 },
    /// A set was taken.
    Taken,
    /// The connection ends.
    End(EndCause),
}

impl Link {
    pub(super) fn new(
        id: LinkId,
        receiver: ReceiverId,
        limits: Limits,
        arrival_limit: Option<Duration>,
        now: Instant,
    ) -> Self {
        Self {
            id,
            receiver,
            reader: RequestReader::new(limits),
            inbox: Vec::new(),
            read: 0,
            read_at: None,
            held: false,
            amid: None,
            owed: VecDeque::new(),
            counted: 0,
            active: now,
            arrival_limit,
        }
    }

    pub(super) const fn receiver(&self) -> ReceiverId {
        self.receiver
    }

    /// How many bytes it had in store when they were counted last.
    pub(super) const fn counted(&self) -> u64 {
        self.counted
    }

    /// Counts the bytes that it has in store.
    pub(super) fn count(&mut self) -> u64 {
        let body_bytes = self.amid.as_ref().map_or(0, |amid| amid.body_bytes);
        self.counted = (self.inbox.len() - self.read) as u64 + body_bytes;
        self.counted
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.owed.front().and_then(|owed| owed.due).into_iter().chain(self.read_at).chain(self.arrives_until()).min()
    }

    /// Until when the set that is arriving has to be there; one that is read slowly on purpose has all the time.
    fn arrives_until(&self) -> Option<Instant> {
        let amid = self.amid.as_ref()?;
        let is_slow = amid.decision.as_ref().is_some_and(|decision| decision.pace.is_some());
        self.arrival_limit.filter(|_| !is_slow && !self.held).map(|limit| amid.began + limit)
    }

    /// When the last of the answers that it owes is due.
    pub(super) fn answers_until(&self) -> Option<Instant> {
        self.owed.iter().filter_map(|owed| owed.due).max()
    }

    /// Since when nothing has arrived on it, if nothing is arriving and no answer is owed.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        (self.amid.is_none() && self.owed.is_empty()).then_some(self.active)
    }

    /// Whether a set is arriving, or an answer is due at some later instant.
    pub(super) fn is_busy(&self) -> bool {
        self.amid.is_some() || self.owed.iter().any(|owed| owed.due.is_some())
    }

    /// Takes `fresh` in, which has just arrived, reads and answers as far as that goes. Gives how the connection ends, if
    /// it does.
    pub(super) fn go_on<S: Sink>(
        &mut self,
        mut fresh: &[u8],
        conduct: &mut Conduct,
        tape: &mut Tape,
        last_set: &mut u64,
        around: &mut Surroundings<'_, S>,
    ) -> Option<EndCause> {
        if !fresh.is_empty() {
            self.active = around.now;
        }
        if !self.inbox.is_empty() {
            self.inbox.extend_from_slice(std::mem::take(&mut fresh));
        }
        let end = self.read_on(&mut fresh, conduct, tape, last_set, around);
        // Most is read at once, so that it is never copied to where it would wait.
        self.inbox.extend_from_slice(fresh);
        end
    }

    fn read_on<S: Sink>(
        &mut self,
        fresh: &mut &[u8],
        conduct: &mut Conduct,
        tape: &mut Tape,
        last_set: &mut u64,
        around: &mut Surroundings<'_, S>,
    ) -> Option<EndCause> {
        loop {
            if let Some(cause) = self.answer(around) {
                return Some(cause);
            }
            if self.owed.len() >= MOST_OWED {
                self.hold(true, around);
                return None;
            }
            if self.amid.is_none()
                && self.has_more(fresh)
                && let Some(cause) = self.begin(conduct, last_set, around)
            {
                return Some(cause);
            }
            match self.read(conduct, tape, around) {
                Step::Taken => {}
                Step::End(cause) => return Some(cause),
                Step::More { expects, body_bytes } => {
                    if let Some(cause) = self.look(expects && fresh.is_empty(), body_bytes, around) {
                        return Some(cause);
                    }
                    if !self.feed(fresh, around) {
                        let late = self.arrives_until().is_some_and(|until| until <= around.now);
                        return late.then_some(EndCause::Dropped);
                    }
                }
            }
        }
    }

    /// Whether there is anything of a next set; empty lines in front of it do not count.
    fn has_more(&self, fresh: &[u8]) -> bool {
        let mut unread = self.inbox[self.read..].iter().chain(fresh);
        self.reader.is_amid() || unread.any(|byte| !matches!(byte, b'\r' | b'\n'))
    }

    /// Takes note that a set begins to arrive.
    fn begin<S: Sink>(
        &mut self,
        conduct: &mut Conduct,
        last_set: &mut u64,
        around: &mut Surroundings<'_, S>,
    ) -> Option<EndCause> {
        *last_set += 1;
        let (number, decision) = conduct.plan.begin(around.now);
        let action = decision.as_ref().map(|decision| decision.action.clone());
        let set = SetId(*last_set);
        self.amid = Some(Amid { set, number, began: around.now, decision, body_bytes: 0, told_to_continue: false });
        (around.hear)(Heard::Began { receiver: self.receiver });
        match action {
            Some(Action::Close(Point::Start)) => Some(EndCause::Closed),
            Some(Action::Reset(Point::Start)) => Some(EndCause::Dropped),
            _ => None,
        }
    }

    /// Takes the next set, if it is whole.
    fn read<S: Sink>(&mut self, conduct: &mut Conduct, tape: &mut Tape, around: &mut Surroundings<'_, S>) -> Step {
        match self.reader.next() {
            Next::NeedMore { head, body_bytes } => Step::More { expects: head.is_some_and(expects), body_bytes },
            Next::Request { head, .. } if lacks_length(head) => {
                let what = "a POST without Content-Length and without chunks";
                around.observe(Event::LinkFault { link: self.id, what });
                self.refuse(411, around);
                Step::End(EndCause::Closed)
            }
            Next::Request { head, body, keep_alive } => {
                let Some(amid) = self.amid.take() else { return Step::Taken };
                let records = tape.read(body);
                let (link, receiver, set) = (self.id, self.receiver, amid.set);
                around.observe(Event::SetReceived { set, link, receiver, head, records });
                (around.hear)(Heard::Arrived { receiver, set, records });
                let owed = owe(amid, keep_alive, (link, records), conduct, around.now);
                self.owed.push_back(owed);
                Step::Taken
            }
            Next::Fault { what, too_long } => {
                around.observe(Event::LinkFault { link: self.id, what: &what });
                if too_long {
                    return Step::End(EndCause::TooLong);
                }
                self.refuse(400, around);
                Step::End(EndCause::Closed)
            }
        }
    }

    /// Tells the sender what is wrong with a request after which the connection ends.
    fn refuse<S: Sink>(&self, status: u16, around: &mut Surroundings<'_, S>) {
        self.send(write_answer(status, &[("Content-Length", "0"), ("Connection", "close")], b""), around);
    }

    /// Looks at a set that is arriving: a sender that waits is told to go on, and a connection that is to end in the
    /// body ends.
    fn look<S: Sink>(&mut self, expects: bool, body_bytes: u64, around: &mut Surroundings<'_, S>) -> Option<EndCause> {
        let amid = self.amid.as_mut()?;
        amid.body_bytes = body_bytes;
        if expects && body_bytes == 0 && self.read == self.inbox.len() && !amid.told_to_continue {
            amid.told_to_continue = true;
            around.commands.push_back(Command::SendLink { link: self.id, bytes: CONTINUE.to_vec() });
        }
        let action = amid.decision.as_ref().map(|decision| &decision.action);
        match action.filter(|_| body_bytes > 0) {
            Some(Action::Close(Point::InBody)) => Some(EndCause::Closed),
            Some(Action::Reset(Point::InBody)) => Some(EndCause::Dropped),
            _ => None,
        }
    }

    /// Gives the reader what has arrived, or the next piece of it. Whether there was anything.
    fn feed<S: Sink>(&mut self, fresh: &mut &[u8], around: &mut Surroundings<'_, S>) -> bool {
        if self.read_at.is_some_and(|at| at > around.now) {
            return false;
        }
        self.read_at = None;
        // Where something waits, what is fresh waits behind it.
        let unread = if self.inbox.is_empty() { *fresh } else { &self.inbox[self.read..] };
        if unread.is_empty() {
            self.hold(false, around);
            return false;
        }
        let decision = self.amid.as_ref().and_then(|amid| amid.decision.as_ref());
        let pace = decision.and_then(|decision| decision.pace);
        let is_partial = decision.is_some_and(|decision| {
            matches!(decision.action, Action::Close(Point::InBody) | Action::Reset(Point::InBody))
        });
        let most = match pace {
            Some(Pace { bytes, .. }) => bytes.max(1),
            None if is_partial => SMALL_PIECE,
            None => usize::MAX,
        };
        let piece = &unread[..unread.len().min(most)];
        self.reader.feed(piece);
        if self.inbox.is_empty() {
            *fresh = &fresh[piece.len()..];
        } else {
            self.read += piece.len();
            if self.read == self.inbox.len() {
                self.inbox.clear();
                self.read = 0;
            }
        }
        if let Some(Pace { every, .. }) = pace {
            self.read_at = Some(around.now + every);
            self.hold(true, around);
        }
        true
    }

    /// Stops reading from the peer, or goes on.
    fn hold<S: Sink>(&mut self, hold: bool, around: &mut Surroundings<'_, S>) {
        if std::mem::replace(&mut self.held, hold) != hold {
            around.commands.push_back(Command::HoldLink { link: self.id, hold });
        }
    }

    /// Does what is due about the sets that have arrived, oldest first. Gives how the connection ends, if it does.
    fn answer<S: Sink>(&mut self, around: &mut Surroundings<'_, S>) -> Option<EndCause> {
        while self.owed.front().is_some_and(|owed| owed.due.is_some_and(|at| at <= around.now)) {
            let Owed { set, action, keep_alive, planned, .. } = self.owed.pop_front()?;
            let (end, taken) = match action {
                Action::Answer(answer) => {
                    let close = answer.close || !keep_alive;
                    self.send(answer_bytes(&answer, close), around);
                    around.observe(Event::SetAnswered { set, status: answer.status, whole: true, planned });
                    (close.then_some(EndCause::Closed), (200..300).contains(&answer.status))
                }
                Action::HalfAnswer => {
                    let mut bytes = answer_bytes(&Answer::default(), false);
                    bytes.truncate(bytes.len() / 2);
                    self.send(bytes, around);
                    around.observe(Event::SetAnswered { set, status: 200, whole: false, planned });
                    (Some(EndCause::Closed), false)
                }
                Action::LoseAnswer | Action::Close(_) | Action::Never => {
                    around.observe(Event::SetUnanswered { set, planned });
                    (Some(EndCause::Closed), action == Action::LoseAnswer)
                }
                Action::Reset(_) => {
                    around.observe(Event::SetUnanswered { set, planned });
                    (Some(EndCause::Dropped), false)
                }
            };
            (around.hear)(Heard::Decided { receiver: self.receiver, set, taken });
            if end.is_some() {
                return end;
            }
        }
        None
    }

    fn send<S: Sink>(&self, bytes: Vec<u8>, around: &mut Surroundings<'_, S>) {
        around.commands.push_back(Command::SendLink { link: self.id, bytes });
    }

    /// Whether a set is arriving.
    pub(super) const fn is_amid(&self) -> bool {
        self.amid.is_some()
    }

    /// The connection is gone: what has not been answered gets no answer, what has not arrived was cut.
    pub(super) fn gone<S: Sink>(self, by_receiver: bool, cause: EndCause, around: &mut Surroundings<'_, S>) {
        let (link, receiver) = (self.id, self.receiver);
        for owed in self.owed {
            around.observe(Event::SetUnanswered { set: owed.set, planned: owed.planned });
            (around.hear)(Heard::Decided { receiver, set: owed.set, taken: false });
        }
        if let Some(Amid { set, body_bytes: arrived_bytes, .. }) = self.amid {
            around.observe(Event::SetCut { set, link, receiver, arrived_bytes, by_receiver });
        }
        around.observe(Event::LinkEnded { link, cause });
    }
}

/// Whether nothing says how long the body of a POST is: a body that follows could not be told from the next request.
fn lacks_length(head: Head<'_>) -> bool {
    head.method == "POST" && head.get("Content-Length").is_none() && head.get("Transfer-Encoding").is_none()
}

/// Whether a sender waits for a word before it sends the body.
fn expects(head: Head<'_>) -> bool {
    head.get("Expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"))
}

/// What becomes of a set that has arrived.
fn owe(amid: Amid, keep_alive: bool, (link, records): (LinkId, Set<'_>), conduct: &mut Conduct, now: Instant) -> Owed {
    let decision = amid.decision.or_else(|| conduct.plan.finish(amid.number, amid.began, records));
    let bent = conduct.bends.act(link, records);
    let planned = decision.is_some();
    let action = decision.map(|decision| decision.action).or(bent).unwrap_or_default();
    let due = match &action {
        Action::Answer(answer) => Some(now + answer.after),
        Action::Never => None,
        _ => Some(now),
    };
    Owed { set: amid.set, action, keep_alive, planned, due }
}

fn answer_bytes(answer: &Answer, close: bool) -> Vec<u8> {
    let mut headers: Vec<(&str, &str)> = Vec::new();
    if let Some(location) = &answer.location {
        headers.push(("Location", location));
    }
    if close {
        headers.push(("Connection", "close"));
    }
    if !answer.bare {
        headers.push(("Content-Length", "0"));
    }
    write_answer(answer.status, &headers, b"")
}
