//! CDR receivers as actors: connections of Call Bridges, the sets that arrive on them, and the answers, good or bad.
//!
//! Nothing here knows of scenarios or sockets: bytes go in, commands and observations come out, and whoever calls hears
//! of each set ([`Heard`]). A receiver answers at once unless its plan ([`plan`]) says otherwise. What a Call Bridge does
//! wrong is observed and never an error: requests that cannot be read end their connection, and so do heads and bodies
//! beyond the limits. Memory is bounded: by the limits of one request, by the connections of a receiver, and by what all
//! connections together may have in store.

pub mod bend;
pub mod bends;
mod link;
pub mod plan;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use self::bend::Bends;
use self::link::Link;
use self::plan::{Entry, Plan};
use super::driver::Command;
use super::events_client::Tracer;
use crate::protocol::cdr::{Set, Tape};
use crate::protocol::http1::Limits;
use crate::time::Instant;
use crate::trace::{EndCause, Event, LinkId, ReceiverId, SetId, Sink};

/// How many connections a receiver has at once. Beyond that the one that was idle longest is ended, or, where none is
/// idle, the new one.
const MOST_LINKS: usize = 256;

/// How many bytes of unread requests all connections together may hold. The one that goes beyond it is ended.
const MOST_STORED_BYTES: u64 = 256 << 20;

/// What a receiver tells whoever calls.
#[derive(Debug, Clone, Copy)]
pub enum Heard<'a> {
    /// The first byte of a set has arrived.
    Began {
        /// The receiver.
        receiver: ReceiverId,
    },
    /// A set has arrived whole.
    Arrived {
        /// The receiver.
        receiver: ReceiverId,
        /// The set.
        set: SetId,
        /// The records.
        records: Set<'a>,
    },
    /// A set has got its answer, or gets none.
    Decided {
        /// The receiver.
        receiver: ReceiverId,
        /// The set.
        set: SetId,
        /// Whether the receiver took it: it answered with success, or did so and the answer got lost.
        taken: bool,
    },
}

/// What receivers act in: the present instant, and where their observations, wishes and news go.
pub struct Surroundings<'a, S> {
    /// The present instant.
    pub now: Instant,
    /// Where observations go.
    pub trace: &'a mut Tracer<S>,
    /// What is to be carried out.
    pub commands: &'a mut VecDeque<Command>,
    /// Who hears of sets.
    pub hear: &'a mut dyn FnMut(Heard<'_>),
}

impl<S: Sink> Surroundings<'_, S> {
    fn observe(&mut self, event: Event<'_>) {
        self.trace.observe(self.now, event);
    }
}

/// What makes a receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiverSettings {
    /// Its name.
    pub name: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Path and query of its URI, from the first slash; may be empty.
    pub path: String,
}

/// How a receiver behaves.
#[derive(Debug)]
struct Conduct {
    plan: Plan,
    bends: Bends,
}

#[derive(Debug)]
struct Receiver {
    settings: ReceiverSettings,
    conduct: Conduct,
    uri: Option<String>,
    open: bool,
}

/// The receivers of one scenario or program.
#[derive(Debug)]
pub struct Receivers {
    receivers: BTreeMap<ReceiverId, Receiver>,
    links: BTreeMap<LinkId, Link>,
    tape: Tape,
    limits: Limits,
    arrival_limit: Option<Duration>,
    bends: Vec<String>,
    last_set: u64,
    stored_bytes: u64,
}

impl Receivers {
    /// No receivers; `limits` hold for each request that later ones get.
    pub fn new(limits: Limits) -> Self {
        Self {
            receivers: BTreeMap::new(),
            links: BTreeMap::new(),
            tape: Tape::new(),
            limits,
            arrival_limit: None,
            bends: Vec::new(),
            last_set: 0,
            stored_bytes: 0,
        }
    }

    /// Bounds how long a set may take to arrive on later connections, where it is not read slowly on purpose; a
    /// connection that takes longer is dropped.
    #[must_use]
    pub fn with_arrival_limit(self, limit: Duration) -> Self {
        Self { arrival_limit: Some(limit), ..self }
    }

    /// Bends receivers that are added later; a name that no bend has is passed over.
    #[must_use]
    pub fn bent(self, bends: Vec<String>) -> Self {
        Self { bends, ..self }
    }

    /// Adds a receiver, which answers every set 200 unless it is bent.
    pub fn add(&mut self, receiver: ReceiverId, settings: ReceiverSettings) {
        let plan = Plan::new(Instant::ZERO, Vec::new());
        let conduct = Conduct { plan, bends: Bends::named(&self.bends) };
        self.receivers.insert(receiver, Receiver { settings, conduct, uri: None, open: false });
    }

    /// The URI under which a receiver can be reached; `None` before it has listened.
    pub fn uri(&self, receiver: ReceiverId) -> Option<&str> {
        self.receivers.get(&receiver)?.uri.as_deref()
    }

    /// Whether a receiver takes connections.
    pub fn is_open(&self, receiver: ReceiverId) -> bool {
        self.receivers.get(&receiver).is_some_and(|known| known.open)
    }

    /// Makes a plan; it holds for the sets that begin to arrive from now on.
    pub fn set_plan(&mut self, now: Instant, receiver: ReceiverId, entries: Vec<Entry>) {
        if let Some(known) = self.receivers.get_mut(&receiver) {
            known.conduct.plan = Plan::new(now, entries);
        }
    }

    /// Asks for connections to be taken.
    pub fn listen<S: Sink>(&mut self, receiver: ReceiverId, around: &mut Surroundings<'_, S>) {
        if let Some(known) = self.receivers.get(&receiver) {
            around.commands.push_back(Command::Listen { receiver, tls: known.settings.tls });
        }
    }

    /// Takes note that a receiver takes connections at `authority`, such as `127.0.0.1:40001`.
    pub fn opened<S: Sink>(&mut self, receiver: ReceiverId, authority: &str, around: &mut Surroundings<'_, S>) {
        let Some(known) = self.receivers.get_mut(&receiver) else { return };
        let scheme = if known.settings.tls { "https" } else { "http" };
        let uri = known.uri.insert(format!("{scheme}://{authority}{}", known.settings.path));
        known.open = true;
        around.observe(Event::ReceiverOpened { receiver, name: &known.settings.name, uri });
    }

    /// Lets a receiver take no more connections; those that are open stay open.
    pub fn refuse<S: Sink>(&mut self, receiver: ReceiverId, around: &mut Surroundings<'_, S>) {
        if let Some(known) = self.receivers.get_mut(&receiver).filter(|known| known.open) {
            known.open = false;
            around.commands.push_back(Command::StopListening { receiver });
            around.observe(Event::ReceiverClosed { receiver });
        }
    }

    /// Lets all receivers take no more connections, and ends those that are open.
    pub fn close_all<S: Sink>(&mut self, around: &mut Surroundings<'_, S>) {
        let receivers: Vec<ReceiverId> = self.receivers.keys().copied().collect();
        for receiver in receivers {
            self.refuse(receiver, around);
        }
        self.close_links(None, around);
    }

    /// Ends the connections that are open: those of one receiver, or all.
    pub fn close_links<S: Sink>(&mut self, receiver: Option<ReceiverId>, around: &mut Surroundings<'_, S>) {
        let of = |link: &Link| receiver.is_none_or(|receiver| link.receiver() == receiver);
        let links: Vec<LinkId> = self.links.iter().filter(|(_, link)| of(link)).map(|(id, _)| *id).collect();
        for link in links {
            self.end(link, EndCause::Closed, around);
        }
    }

    /// A Call Bridge has connected.
    pub fn link_opened<S: Sink>(&mut self, receiver: ReceiverId, link: LinkId, around: &mut Surroundings<'_, S>) {
        around.observe(Event::LinkOpened { link, receiver });
        let open = self.links.iter().filter(|(_, known)| known.receiver() == receiver);
        let surplus = (open.clone().count() >= MOST_LINKS).then(|| {
            let idle = open.filter_map(|(id, known)| Some((known.idle_since()?, *id))).min();
            idle.map_or(link, |(_, id)| id)
        });
        self.links.insert(link, Link::new(link, receiver, self.limits, self.arrival_limit, around.now));
        if let Some(surplus) = surplus {
            self.end(surplus, EndCause::Closed, around);
        }
        if self.receivers.get(&receiver).is_some_and(|known| !known.conduct.bends.takes_links()) {
            self.end(link, EndCause::Closed, around);
        }
    }

    /// Somebody has connected, and the TLS handshake failed.
    pub fn handshake_failed<S: Sink>(
        &self,
        receiver: ReceiverId,
        (what, by_peer): (&str, bool),
        around: &mut Surroundings<'_, S>,
    ) {
        around.observe(Event::HandshakeFailed { receiver, what, by_peer });
    }

    /// Bytes have arrived from a Call Bridge.
    pub fn link_received<S: Sink>(&mut self, link: LinkId, bytes: &[u8], around: &mut Surroundings<'_, S>) {
        self.go_on(link, bytes, around);
    }

    /// A Call Bridge has ended its connection.
    pub fn link_ended<S: Sink>(&mut self, link: LinkId, cause: EndCause, around: &mut Surroundings<'_, S>) {
        if let Some(known) = self.links.remove(&link) {
            self.stored_bytes -= known.counted();
            if let Some(receiver) = self.receivers.get_mut(&known.receiver()) {
                receiver.conduct.bends.link_ended(link);
                if known.is_amid() {
                    receiver.conduct.bends.vanished();
                }
            }
            known.gone(false, cause, around);
        }
    }

    /// Does what is due: late answers, the next piece of what is read slowly.
    pub fn handle_timeout<S: Sink>(&mut self, around: &mut Surroundings<'_, S>) {
        let is_due = |link: &Link| link.poll_timeout().is_some_and(|at| at <= around.now);
        let due: Vec<LinkId> = self.links.iter().filter(|(_, link)| is_due(link)).map(|(id, _)| *id).collect();
        for link in due {
            self.go_on(link, &[], around);
        }
    }

    /// When [`Receivers::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::poll_timeout).min()
    }

    /// Whether a set is arriving, or an answer is due at some later instant.
    pub fn is_busy(&self) -> bool {
        self.links.values().any(Link::is_busy)
    }

    /// When the last of the answers is due that a plan holds back, if one is.
    pub fn answers_until(&self) -> Option<Instant> {
        self.links.values().filter_map(Link::answers_until).max()
    }

    /// Lets a connection read on and answer, as far as it can.
    fn go_on<S: Sink>(&mut self, link: LinkId, fresh: &[u8], around: &mut Surroundings<'_, S>) {
        let Some(known) = self.links.get_mut(&link) else { return };
        let Some(receiver) = self.receivers.get_mut(&known.receiver()) else { return };
        let before = known.counted();
        let mut end = known.go_on(fresh, &mut receiver.conduct, &mut self.tape, &mut self.last_set, around);
        self.stored_bytes = self.stored_bytes + known.count() - before;
        if self.stored_bytes > MOST_STORED_BYTES {
            // Not for anything that this connection did: all together hold too much.
            end = end.or(Some(EndCause::Dropped));
        }
        if let Some(cause) = end {
            self.end(link, cause, around);
        }
    }

    /// Ends a connection: in order for [`EndCause::Closed`], else abruptly.
    fn end<S: Sink>(&mut self, link: LinkId, cause: EndCause, around: &mut Surroundings<'_, S>) {
        let Some(known) = self.links.remove(&link) else { return };
        self.stored_bytes -= known.counted();
        around.commands.push_back(match cause {
            EndCause::Closed => Command::CloseLink { link },
            _ => Command::ResetLink { link },
        });
        known.gone(true, cause, around);
    }
}

#[cfg(test)]
mod tests;
