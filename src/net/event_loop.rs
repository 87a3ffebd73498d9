//! The driver for loads: all connections of several engines in one loop, without a task for each message or connection.
//!
//! Each thread has a loop with some of the engines, and everything of an engine is in one thread, so that nothing is
//! locked between connections. The loop reads from the sockets, hands the engine what arrived with the instant of that
//! read, and writes what the engine has to say at once, in one piece for all that came with one read. What happens seldom
//! (exchanges, openings, accepting) is carried out aside by tasks (`aside`), which hand connections over when they are open.
//! The contract is `engine/driver.rs`, as for [`socket_driver`](super::socket_driver), which suits many scenarios side by
//! side.

mod alarm;
mod aside;
mod lines;

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use mio::{Events, Poll, Token, Waker};
use tokio::runtime::Handle;
use tokio::sync::watch;

use self::alarm::Alarm;
use self::aside::{Aside, Told, Way};
use self::lines::{Ended, Lines, Owner, Read};
use super::clock::Clock;
use super::socket_driver::{Driven, Link};
use crate::engine::Scratch;
use crate::engine::driver::{Command, Input};
use crate::time::Instant;
use crate::trace::{ConnectionId, LinkId};

/// How many bytes are read from a connection at once. What is answered to them goes out in one piece, so this bounds how
/// long the first answer waits for the last one: some hundred messages.
const READ_BYTES: usize = 32 << 10;

/// How many events are taken in one round.
const EVENTS: usize = 256;

/// How long an engine without a timer waits at most before it is asked again: a fault of the engine must not hang a run.
const IDLE_LIMIT: Duration = Duration::from_secs(1);

/// How long a task that has ended waits at most until it is looked after, while there is something to do.
const BETWEEN_TASKS: Duration = Duration::from_millis(50);

/// When an engine that is done wants to be told something.
const NEVER: Instant = Instant::from_nanos(u64::MAX);

const WAKER: Token = Token(usize::MAX);
const ALARM: Token = Token(usize::MAX - 1);

/// One engine with its way to its target.
#[derive(Debug)]
pub struct Part<'p, E> {
    /// The engine.
    pub engine: &'p mut E,
    /// The way.
    pub link: &'p Link,
    /// When this becomes true, the engine is told once that it is to end.
    pub interrupt: watch::Receiver<bool>,
    /// After this long the engine is told the same.
    pub limit: Duration,
}

/// How loops wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Waiting {
    /// They sleep until something happens.
    #[default]
    Sleep,
    /// They never sleep: shorter delays for a processor each.
    Spin,
}

/// Runs engines over their targets until all are done, in that many threads at most. Tells of each, in the order given,
/// whether it took longer than its limit.
///
/// The calling thread becomes one of the loops, so this has to be called within a runtime of several threads.
///
/// # Errors
/// If the system cannot wait for connections.
pub fn drive_together<E: Driven + Send>(
    parts: Vec<Part<'_, E>>,
    threads: usize,
    waiting: Waiting,
) -> io::Result<Vec<bool>> {
    let runtime = Handle::current();
    let count = parts.len();
    let mut groups: Vec<Vec<(usize, Part<'_, E>)>> = Vec::new();
    groups.resize_with(threads.clamp(1, count.max(1)), Vec::new);
    let lanes = groups.len();
    parts.into_iter().enumerate().for_each(|(place, part)| groups[place % lanes].push((place, part)));
    let mut late = vec![false; count];
    // A loop that fails ends the others as an interrupt would: their engines would wait for its own.
    let (fail, failed) = watch::channel(false);
    let run = |group: Vec<(usize, Part<'_, E>)>| -> io::Result<Vec<(usize, bool)>> {
        let (places, parts): (Vec<_>, Vec<_>) = group.into_iter().unzip();
        let on_failure = OnFailure(Some(&fail));
        let late = Loop::new(parts, &runtime, &failed, waiting)?.run()?;
        on_failure.defuse();
        Ok(places.into_iter().zip(late).collect())
    };
    let first = groups.remove(0);
    let outcomes = tokio::task::block_in_place(|| {
        std::thread::scope(|scope| {
            let others: Vec<_> = groups.into_iter().map(|group| scope.spawn(|| run(group))).collect();
            let mut outcomes = vec![run(first)];
            outcomes.extend(others.into_iter().map(|other| match other.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            }));
            outcomes
        })
    });
    for outcome in outcomes {
        outcome?.into_iter().for_each(|(place, was_late)| late[place] = was_late);
    }
    Ok(late)
}

/// Tells the other loops when this one ends otherwise than it should.
struct OnFailure<'f>(Option<&'f watch::Sender<bool>>);

impl OnFailure<'_> {
    fn defuse(mut self) {
        self.0 = None;
    }
}

impl Drop for OnFailure<'_> {
    fn drop(&mut self) {
        if let Some(fail) = self.0 {
            fail.send_replace(true);
        }
    }
}

/// One engine in a loop.
struct Running<'p, E> {
    engine: &'p mut E,
    aside: Aside,
    /// Event connections that are being opened.
    opening: BTreeMap<ConnectionId, tokio::task::AbortHandle>,
    /// The places of connections that are open.
    open: BTreeMap<Owner, usize>,
    last_link: u32,
    /// When the engine is told to end.
    limit: Instant,
    is_late: bool,
    is_done: bool,
}

struct Loop<'p, E> {
    poll: Poll,
    alarm: Alarm,
    told: std::sync::mpsc::Receiver<(usize, Told)>,
    parts: Vec<Running<'p, E>>,
    /// When each engine wants to be told the time, as it said after the last that it was told, or has to be told to end. Beside
    /// the engines, since every round looks through it.
    times: Vec<Instant>,
    /// What the engine whose turn it is works with.
    scratch: Box<Scratch>,
    lines: Lines,
    buffer: Vec<u8>,
    clock: Clock,
    waiting: Waiting,
}

impl<'p, E: Driven> Loop<'p, E> {
    fn new(
        parts: Vec<Part<'p, E>>,
        runtime: &Handle,
        failed: &watch::Receiver<bool>,
        waiting: Waiting,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        let waker = std::sync::Arc::new(Waker::new(poll.registry(), WAKER)?);
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let (tell, told) = std::sync::mpsc::channel();
        let clock = parts.first().map_or_else(Clock::start, |part| part.link.clock());
        let parts = parts.into_iter().enumerate().map(|(number, part)| {
            let way = Way::new(number, tell.clone(), std::sync::Arc::clone(&waker));
            Running {
                engine: part.engine,
                aside: Aside::new(part.link.clone(), [part.interrupt, failed.clone()], way, runtime.clone()),
                opening: BTreeMap::new(),
                open: BTreeMap::new(),
                last_link: 0,
                limit: clock.now() + part.limit,
                is_late: false,
                is_done: false,
            }
        });
        let parts: Vec<_> = parts.collect();
        let lines = Lines::new(poll.registry().try_clone()?);
        let (times, scratch) = (vec![Instant::ZERO; parts.len()], Box::default());
        Ok(Self { poll, alarm, told, parts, times, scratch, lines, buffer: vec![0; READ_BYTES], clock, waiting })
    }

    fn run(mut self) -> io::Result<Vec<bool>> {
        let mut events = Events::with_capacity(EVENTS);
        for part in 0..self.parts.len() {
            self.tell(part, Input::Tick);
        }
        let mut reaped = self.clock.now();
        while !self.parts.iter().all(|part| part.is_done) || !self.lines.is_empty() {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                done => done?,
            }
            for event in &events {
                match event.token() {
                    WAKER | ALARM => {}
                    Token(place) => self.lines.take_event(place, event),
                }
            }
            while let Ok((part, told)) = self.told.try_recv() {
                self.take_told(part, told);
            }
            self.read();
            let now = self.clock.now();
            self.look_at_the_time(now);
            if now.since(reaped) >= BETWEEN_TASKS {
                reaped = now;
                self.parts.iter_mut().for_each(|part| part.aside.reap());
            }
        }
        Ok(self.parts.iter().map(|part| part.is_late).collect())
    }

    /// How long to wait for something to happen. Also sets the alarm, which is more precise than that.
    fn timeout(&mut self) -> Option<Duration> {
        if self.waiting == Waiting::Spin || self.lines.has_ready() {
            return Some(Duration::ZERO);
        }
        let now = self.clock.now();
        let idle = now + IDLE_LIMIT;
        let next = self.times.iter().copied().chain(self.lines.next_end()).chain([idle]).min()?;
        let wait = next.since(now);
        if wait.is_zero() { Some(wait) } else { self.alarm.set(now, next) }
    }

    /// Tells an engine something, and does what it wants in return.
    fn tell(&mut self, part: usize, input: Input<'_>) {
        self.tell_at(part, self.clock.now(), input);
    }

    fn tell_at(&mut self, part: usize, now: Instant, input: Input<'_>) {
        let running = &mut self.parts[part];
        if !running.is_done {
            running.engine.exchange_scratch(&mut self.scratch);
            running.engine.handle_input(now, input);
            self.settle(part);
            self.parts[part].engine.exchange_scratch(&mut self.scratch);
        }
    }

    /// Does what an engine wants.
    fn settle(&mut self, part: usize) {
        let running = &mut self.parts[part];
        while let Some(command) = running.engine.poll_command() {
            running.carry_out(command, &mut self.lines, &self.clock);
        }
        let next = running.engine.poll_timeout().unwrap_or_else(|| self.clock.now() + IDLE_LIMIT);
        self.times[part] = if running.is_late { next } else { next.min(running.limit) };
        if running.engine.is_done() {
            running.is_done = true;
            self.times[part] = NEVER;
            running.aside.end();
            running.opening.clear();
            let until = self.clock.now();
            std::mem::take(&mut running.open).into_values().for_each(|place| self.lines.end(place, until));
        }
    }

    fn take_told(&mut self, part: usize, told: Told) {
        let running = &mut self.parts[part];
        if running.is_done {
            return;
        }
        match told {
            Told::Responded(exchange, Ok(response)) => self.tell(part, Input::Responded { exchange, response }),
            Told::Responded(exchange, Err(error)) => self.tell(part, Input::RequestFailed { exchange, error }),
            Told::Opened(connection, response, stream, early) => {
                if running.opening.remove(&connection).is_none() {
                    return;
                }
                let owner = Owner::Client(connection);
                match self.lines.take_over(stream, part, owner) {
                    Ok(place) => running.open.insert(owner, place),
                    // It is dropped, which its peer sees.
                    Err(error) => {
                        let error = running.aside.failed(&error);
                        return self.tell(part, Input::OpenFailed { connection, error });
                    }
                };
                self.tell(part, Input::Opened { connection, response });
                if !early.is_empty() {
                    self.tell(part, Input::Received { connection, bytes: &early });
                }
            }
            Told::Refused(connection, response) => {
                if running.opening.remove(&connection).is_some() {
                    self.tell(part, Input::Refused { connection, response });
                }
            }
            Told::OpenFailed(connection, error) => {
                if running.opening.remove(&connection).is_some() {
                    self.tell(part, Input::OpenFailed { connection, error });
                }
            }
            Told::Listening(receiver, Ok(authority)) => self.tell(part, Input::Listening { receiver, authority }),
            Told::Listening(receiver, Err(error)) => self.tell(part, Input::ListenFailed { receiver, error }),
            // It came just before, and is dropped like those that were not accepted yet.
            Told::Link(receiver, number, _) if !running.aside.is_welcome(receiver, number) => {}
            Told::Link(receiver, _, Ok(stream)) => {
                running.last_link += 1;
                let link = LinkId(running.last_link);
                let owner = Owner::Bridge(link);
                // A connection that cannot be waited for is dropped, which its peer sees.
                if let Ok(place) = self.lines.take_over(stream, part, owner) {
                    running.open.insert(owner, place);
                    self.tell(part, Input::LinkOpened { receiver, link });
                }
            }
            Told::Link(receiver, _, Err(failure)) => {
                let (what, by_peer) = (failure.what, failure.by_peer);
                self.tell(part, Input::HandshakeFailed { receiver, what: &what, by_peer });
            }
            Told::Restarted(failure) => self.tell(part, Input::Restarted { failure }),
            Told::Interrupt => self.tell(part, Input::Interrupt),
        }
    }

    /// Reads once from each connection that has something; what is answered is written before the next one is read.
    fn read(&mut self) {
        self.lines.gather(self.parts.len());
        for _ in 0..self.lines.ready() {
            let Some(place) = self.lines.next_ready() else { return };
            let read = self.lines.read(place, &mut self.buffer);
            let now = self.clock.now();
            match read {
                Read::Nothing => {}
                Read::Bytes { part, owner, length } => {
                    let buffer = std::mem::take(&mut self.buffer);
                    let bytes = &buffer[..length];
                    let input = match owner {
                        Owner::Client(connection) => Input::Received { connection, bytes },
                        Owner::Bridge(link) => Input::LinkReceived { link, bytes },
                    };
                    self.tell_at(part, now, input);
                    self.buffer = buffer;
                }
                Read::Ended(Ended { part, owner, cause }) => {
                    self.parts[part].open.remove(&owner);
                    // What was ordered to be sent is still sent, and our side then closed in order.
                    self.lines.end(place, now);
                    let input = match owner {
                        Owner::Client(connection) => Input::Ended { connection, cause },
                        Owner::Bridge(link) => Input::LinkEnded { link, cause },
                    };
                    self.tell_at(part, now, input);
                }
            }
        }
    }

    fn look_at_the_time(&mut self, now: Instant) {
        for part in 0..self.parts.len() {
            if self.times[part] > now {
                continue;
            }
            let running = &mut self.parts[part];
            if !running.is_late && running.limit <= now {
                running.is_late = true;
                self.tell_at(part, now, Input::Interrupt);
            } else {
                self.tell_at(part, now, Input::Tick);
            }
        }
        self.lines.drop_late_ones(now);
    }
}

impl<E: Driven> Running<'_, E> {
    fn carry_out(&mut self, command: Command, lines: &mut Lines, clock: &Clock) {
        match command {
            Command::Send { connection, bytes } => {
                if let Some(place) = self.open.get(&Owner::Client(connection)) {
                    lines.send(*place, &bytes);
                }
                self.engine.recycle(bytes);
            }
            Command::SendLink { link, bytes } => {
                if let Some(place) = self.open.get(&Owner::Bridge(link)) {
                    lines.send(*place, &bytes);
                }
                self.engine.recycle(bytes);
            }
            Command::Open { connection, request, timeout } => {
                let attempt = self.aside.open(connection, request, timeout);
                self.opening.insert(connection, attempt);
            }
            Command::Close { connection } => self.close(Owner::Client(connection), lines, clock.now()),
            Command::CloseLink { link } => self.close(Owner::Bridge(link), lines, clock.now()),
            Command::Drop { connection } => self.reset(Owner::Client(connection), lines),
            Command::ResetLink { link } => self.reset(Owner::Bridge(link), lines),
            Command::HoldLink { link, hold } => {
                if let Some(place) = self.open.get(&Owner::Bridge(link)) {
                    lines.hold(*place, hold);
                }
            }
            Command::Request { exchange, request, timeout } => self.aside.request(exchange, request, timeout),
            Command::Listen { receiver, tls } => self.aside.listen(receiver, tls),
            Command::StopListening { receiver } => self.aside.stop_listening(receiver),
            Command::Restart { timeout } => self.aside.restart(timeout),
        }
    }

    fn close(&mut self, owner: Owner, lines: &mut Lines, now: Instant) {
        self.give_up_opening(owner);
        if let Some(place) = self.open.remove(&owner) {
            lines.end(place, now);
        }
    }

    fn reset(&mut self, owner: Owner, lines: &mut Lines) {
        self.give_up_opening(owner);
        if let Some(place) = self.open.remove(&owner) {
            lines.reset(place);
        }
    }

    fn give_up_opening(&mut self, owner: Owner) {
        if let Owner::Client(connection) = owner
            && let Some(attempt) = self.opening.remove(&connection)
        {
            attempt.abort();
        }
    }
}
