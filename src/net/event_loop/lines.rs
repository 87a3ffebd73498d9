//! The open connections of a loop: reading, writing, ending.
//!
//! What an engine sends is written at once as far as the system takes it; the rest waits here. A peer that takes nothing
//! is no longer read once [`UNSENT_BYTES`] wait, so that what waits is bounded: then TCP holds the peer back as well.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use mio::event::Event;
use mio::{Interest, Registry, Token};

use super::super::stream::Stream;
use super::super::wire::Wire;
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, LinkId};

/// How long a connection that is to end may take for what is still to be sent, and for the peer's own end.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// How many bytes may wait to be taken by a peer that still sends.
const UNSENT_BYTES: usize = 1 << 20;

/// What a connection is to its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Owner {
    /// An event connection.
    Client(ConnectionId),
    /// A connection of a Call Bridge to a receiver.
    Bridge(LinkId),
}

/// What became of reading.
pub(super) enum Read {
    /// Nothing that concerns an engine.
    Nothing,
    /// Bytes.
    Bytes { part: usize, owner: Owner, length: usize },
    /// The peer has ended it.
    Ended(Ended),
}

/// A connection that its peer has ended.
pub(super) struct Ended {
    pub(super) part: usize,
    pub(super) owner: Owner,
    pub(super) cause: EndCause,
}

struct Line {
    part: usize,
    owner: Owner,
    wire: Wire,
    /// What is still to be sent.
    unsent: Vec<u8>,
    /// The engine does not want to hear of it.
    is_held: bool,
    /// There may be something to read.
    is_ready: bool,
    /// It is among those that are read next.
    is_queued: bool,
    /// The peer is known to have ended its side, so that there is an end to be read.
    at_end: bool,
    /// Nothing can be sent any more.
    is_broken: bool,
    /// Given up: what is to be sent is sent, the peer's rest is dropped, until then at the latest.
    ending: Option<Instant>,
    /// The peer knows that nothing more will be sent.
    is_finished: bool,
}

impl Line {
    fn may_be_read(&self) -> bool {
        self.is_ready && (self.ending.is_some() || !self.is_held && self.unsent.len() < UNSENT_BYTES)
    }
}

/// All open connections of a loop, each with its place.
pub(super) struct Lines {
    registry: Registry,
    all: Vec<Option<Line>>,
    free: Vec<usize>,
    queue: VecDeque<usize>,
    /// How many are ending.
    ending: usize,
    /// The engine whose connections were read first.
    first: usize,
}

impl Lines {
    pub(super) const fn new(registry: Registry) -> Self {
        Self { registry, all: Vec::new(), free: Vec::new(), queue: VecDeque::new(), ending: 0, first: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.len() == self.free.len()
    }

    /// Takes over a connection that was opened elsewhere. Its place.
    ///
    /// # Errors
    /// If the system cannot wait for it.
    pub(super) fn take_over(&mut self, stream: Stream, part: usize, owner: Owner) -> io::Result<usize> {
        let mut wire = Wire::taken_over(stream)?;
        let place = self.free.last().copied().unwrap_or(self.all.len());
        self.registry.register(wire.tcp(), Token(place), Interest::READABLE | Interest::WRITABLE)?;
        let line = Line {
            part,
            owner,
            wire,
            unsent: Vec::new(),
            is_held: false,
            is_ready: true,
            is_queued: false,
            at_end: false,
            is_broken: false,
            ending: None,
            is_finished: false,
        };
        if self.free.pop().is_some() {
            self.all[place] = Some(line);
        } else {
            self.all.push(Some(line));
        }
        self.enqueue(place);
        Ok(place)
    }

    /// Takes note of what the system tells about a connection.
    pub(super) fn take_event(&mut self, place: usize, event: &Event) {
        let Some(line) = self.all.get_mut(place).and_then(Option::as_mut) else { return };
        line.at_end |= event.is_read_closed() || event.is_error();
        line.is_ready |= event.is_readable() || line.at_end;
        if event.is_writable() && (!line.unsent.is_empty() || line.wire.has_more_to_write()) {
            self.write(place);
        }
        self.enqueue(place);
    }

    /// Has it read next, if that is possible.
    fn enqueue(&mut self, place: usize) {
        if let Some(line) = self.all.get_mut(place).and_then(Option::as_mut)
            && !line.is_queued
            && line.may_be_read()
        {
            line.is_queued = true;
            self.queue.push_back(place);
        }
    }

    pub(super) fn has_ready(&self) -> bool {
        !self.queue.is_empty()
    }

    /// How many have something to read at the moment.
    pub(super) fn ready(&self) -> usize {
        self.queue.len()
    }

    /// Puts those that are read next in the order of their engines: what an engine needs stays in the cache while all that came
    /// for it is handed to it. Another engine is the first each time, so that none always waits for all others. Within an engine
    /// they keep their order, and each is read once before one is read again.
    pub(super) fn gather(&mut self, engines: usize) {
        self.first = if self.first + 1 < engines { self.first + 1 } else { 0 };
        let Self { all, queue, first, .. } = self;
        let part = |place: usize| all.get(place).and_then(Option::as_ref).map_or(0, |line| line.part);
        in_turns(queue, *first, part);
    }

    pub(super) fn next_ready(&mut self) -> Option<usize> {
        self.queue.pop_front()
    }

    /// Reads once.
    pub(super) fn read(&mut self, place: usize, buffer: &mut [u8]) -> Read {
        let Some(line) = self.all.get_mut(place).and_then(Option::as_mut) else { return Read::Nothing };
        line.is_queued = false;
        if !line.may_be_read() {
            return Read::Nothing;
        }
        let (part, owner, is_ending) = (line.part, line.owner, line.ending.is_some());
        let cause = match line.wire.read(buffer) {
            Ok(0) => EndCause::PeerClosed,
            Ok(length) => {
                line.is_ready = line.at_end || length == buffer.len() || !line.wire.is_drained_by_short_reads();
                self.enqueue(place);
                return if is_ending { Read::Nothing } else { Read::Bytes { part, owner, length } };
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                line.is_ready = false;
                return Read::Nothing;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                self.enqueue(place);
                return Read::Nothing;
            }
            Err(_) => EndCause::PeerReset,
        };
        line.is_broken |= cause == EndCause::PeerReset;
        if !is_ending {
            line.is_ready = false;
            return Read::Ended(Ended { part, owner, cause });
        }
        // Where something is still to be sent, this end is seen again after that.
        if line.is_finished || line.is_broken {
            self.remove(place);
        }
        Read::Nothing
    }

    /// Sends bytes.
    pub(super) fn send(&mut self, place: usize, bytes: &[u8]) {
        let Some(line) = self.all.get_mut(place).and_then(Option::as_mut) else { return };
        if line.is_broken {
            return;
        }
        if !line.unsent.is_empty() {
            return line.unsent.extend_from_slice(bytes);
        }
        match line.wire.write(bytes) {
            Ok(length) => line.unsent.extend_from_slice(&bytes[length..]),
            Err(_) => self.break_off(place),
        }
    }

    /// Nothing can be sent any more, but what the peer sent before can still be read, up to its end.
    fn break_off(&mut self, place: usize) {
        if let Some(line) = self.all.get_mut(place).and_then(Option::as_mut) {
            line.unsent = Vec::new();
            (line.is_broken, line.at_end, line.is_ready) = (true, true, true);
        }
        self.enqueue(place);
    }

    /// Writes what waits, as far as the system takes it.
    fn write(&mut self, place: usize) {
        let Some(line) = self.all.get_mut(place).and_then(Option::as_mut) else { return };
        match line.wire.write(&line.unsent) {
            Ok(length) => drop(line.unsent.drain(..length)),
            Err(_) => return self.break_off(place),
        }
        if line.unsent.is_empty() && line.ending.is_some() && !line.is_finished && !line.wire.has_more_to_write() {
            line.is_finished = true;
            line.wire.finish();
        }
        self.enqueue(place);
    }

    /// Reads it no more, or again.
    pub(super) fn hold(&mut self, place: usize, hold: bool) {
        if let Some(line) = self.all.get_mut(place).and_then(Option::as_mut) {
            line.is_held = hold;
        }
        self.enqueue(place);
    }

    /// Lets it end in order, beginning at `now`. Its engine hears of it no more.
    pub(super) fn end(&mut self, place: usize, now: Instant) {
        let Some(line) = self.all.get_mut(place).and_then(Option::as_mut) else { return };
        if line.is_broken {
            return self.remove(place);
        }
        if line.ending.is_none() {
            self.ending += 1;
        }
        line.ending = Some(now + ENDING_LIMIT);
        // Its peer's end is still to be read, also where it was already seen.
        line.is_ready = true;
        self.write(place);
    }

    /// Ends it with a reset. What was sent before may still arrive.
    pub(super) fn reset(&mut self, place: usize) {
        let Some(line) = self.take(place) else { return };
        let Line { mut wire, unsent, .. } = line;
        // A failure says that the connection is gone already.
        let _ = wire.write(&unsent);
        wire.reset();
    }

    fn remove(&mut self, place: usize) {
        drop(self.take(place));
    }

    fn take(&mut self, place: usize) -> Option<Line> {
        let line = self.all.get_mut(place)?.take()?;
        self.ending -= usize::from(line.ending.is_some());
        self.free.push(place);
        Some(line)
    }

    /// When the next connection that is ending has to be gone.
    pub(super) fn next_end(&self) -> Option<Instant> {
        if self.ending == 0 {
            return None;
        }
        self.all.iter().flatten().filter_map(|line| line.ending).min()
    }

    /// Drops connections whose end takes too long.
    pub(super) fn drop_late_ones(&mut self, now: Instant) {
        if self.ending == 0 {
            return;
        }
        for place in 0..self.all.len() {
            if self.all[place].as_ref().and_then(|line| line.ending).is_some_and(|until| until <= now) {
                self.remove(place);
            }
        }
    }
}

/// Puts places in the order of their parts, from the part `first` on and around; within a part they keep their order.
fn in_turns(queue: &mut VecDeque<usize>, first: usize, part: impl Fn(usize) -> usize) {
    let turn = |place: &usize| {
        let part = part(*place);
        (part < first, part)
    };
    if !queue.iter().is_sorted_by_key(turn) {
        queue.make_contiguous().sort_by_key(turn);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_take_turns_at_being_the_first() {
        // The tens are the part, the ones the place in it.
        let order = |first| {
            let mut queue = VecDeque::from([21, 12, 32, 11, 31, 22]);
            in_turns(&mut queue, first, |place| place / 10);
            Vec::from(queue)
        };
        assert_eq!(order(0), [12, 11, 21, 22, 32, 31]);
        assert_eq!(order(2), [21, 22, 32, 31, 12, 11]);
        assert_eq!(order(3), [32, 31, 12, 11, 21, 22]);
        assert_eq!(order(4), order(0));
    }
}
