//! The task that owns an emulated Meeting Server.
//!
//! Requests and bytes come in through channels, one after the other, so the core needs no lock; what it wants done goes
//! out to the task of the TCP connection that it belongs to, and never blocks. Connections to CDR receivers are in
//! `emulator_links`. A client that does not read what it is
//! sent is dropped when [`QUEUE_LIMIT_BYTES`] are waiting for it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{mpsc, oneshot, watch};

use super::clock::Clock;
use super::emulator_delivery::Happening;
use super::emulator_links::{Links, News, Tell};
use super::emulator_observer::Observer;
use super::pump::{Incoming, Orders, Outbox, outbox};
use crate::emulator::{ConnectionKey, ExchangeKey, LinkKey, MeetingServer, Output};
use crate::protocol::http::{Request, Response};
use crate::time::Instant;
use crate::trace::{EndCause, Side};

/// How many bytes may wait for one client: 8 MiB, thousands of updates.
const QUEUE_LIMIT_BYTES: usize = 8 << 20;

/// What the shell needs of a server.
pub trait Served: Send + 'static {
    /// Takes a request.
    fn handle_request(&mut self, now: Instant, exchange: ExchangeKey, request: &Request);

    /// Takes bytes of an event connection, which were read at this instant.
    fn handle_bytes(&mut self, now: Instant, connection: ConnectionKey, bytes: &[u8]);

    /// Takes note that the peer has ended an event connection.
    fn handle_ended(&mut self, now: Instant, connection: ConnectionKey);

    /// Takes note that the connection to a CDR receiver is open, or could not be opened.
    fn handle_link(&mut self, now: Instant, link: LinkKey, opened: Result<(), &str>);

    /// Takes bytes of a CDR receiver, which were read at this instant.
    fn handle_link_bytes(&mut self, now: Instant, link: LinkKey, bytes: &[u8]);

    /// Takes note that a CDR receiver has ended the connection.
    fn handle_link_ended(&mut self, now: Instant, link: LinkKey);

    /// Does what is due.
    fn handle_timeout(&mut self, now: Instant);

    /// The next thing to do.
    fn poll_output(&mut self) -> Option<Output>;

    /// When something is due next.
    fn poll_timeout(&self) -> Option<Instant>;
}

impl Served for MeetingServer {
    fn handle_request(&mut self, now: Instant, exchange: ExchangeKey, request: &Request) {
        Self::handle_request(self, now, exchange, request);
    }

    fn handle_bytes(&mut self, now: Instant, connection: ConnectionKey, bytes: &[u8]) {
        Self::handle_bytes(self, now, connection, bytes);
    }

    fn handle_ended(&mut self, now: Instant, connection: ConnectionKey) {
        Self::handle_ended(self, now, connection);
    }

    fn handle_link(&mut self, now: Instant, link: LinkKey, opened: Result<(), &str>) {
        if opened.is_ok() {
            Self::handle_link_opened(self, now, link);
        } else {
            Self::handle_link_failed(self, now, link);
        }
    }

    fn handle_link_bytes(&mut self, now: Instant, link: LinkKey, bytes: &[u8]) {
        Self::handle_link_bytes(self, now, link, bytes);
    }

    fn handle_link_ended(&mut self, now: Instant, link: LinkKey) {
        Self::handle_link_ended(self, now, link);
    }

    fn handle_timeout(&mut self, now: Instant) {
        Self::handle_timeout(self, now);
    }

    fn poll_output(&mut self) -> Option<Output> {
        Self::poll_output(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }
}

/// What comes in.
pub(crate) enum Arrival {
    /// A request.
    Request {
        /// The request.
        request: Request,
        /// Who sent it.
        peer: SocketAddr,
        /// Where the answer goes.
        reply: oneshot::Sender<Reply>,
    },
    /// Something on an event connection, with the instant at which it was read.
    Incoming(ConnectionKey, Incoming, Instant),
}

/// What is answered.
pub(crate) enum Reply {
    /// An ordinary answer.
    Respond {
        /// The answer.
        response: Response,
        /// End the TCP connection after it.
        close: bool,
    },
    /// 101; the TCP connection becomes an event connection.
    Upgrade {
        /// The answer.
        response: Response,
        /// What the event connection is moved with.
        place: Place,
    },
}

/// The place of an event connection in the server. It is freed when this is dropped, however that comes about.
pub(crate) struct Place {
    /// The connection.
    pub(crate) connection: ConnectionKey,
    /// What is to be sent; taken by the pump.
    pub(crate) orders: Option<Orders>,
    freed: mpsc::UnboundedSender<ConnectionKey>,
}

impl Drop for Place {
    fn drop(&mut self) {
        // After the end of the task there is no place to free.
        let _ = self.freed.send(self.connection);
    }
}

/// What a server has done so far, for a status line. Reading is cheap.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) event_connections: AtomicUsize,
    pub(crate) requests: AtomicU64,
    pub(crate) sends: AtomicU64,
}

/// Runs a server until `stop` becomes true, or nobody can say so any more.
pub(crate) async fn run(
    server: impl Served,
    clock: Clock,
    (observer, tell): (Option<Observer>, Option<Tell>),
    counters: Arc<Counters>,
    mut arrivals: mpsc::Receiver<Arrival>,
    mut stop: watch::Receiver<bool>,
) {
    let (freed, mut left) = mpsc::unbounded_channel();
    let mut task = Task {
        server,
        clock,
        observer,
        counters,
        freed,
        exchanges: BTreeMap::new(),
        connections: BTreeMap::new(),
        links: Links::new(tell, clock),
        exchanges_so_far: 0,
    };
    loop {
        tokio::select! {
            arrival = arrivals.recv() => match arrival {
                Some(arrival) => task.on_arrival(arrival),
                None => break,
            },
            (link, news) = task.links.next() => task.on_link(link, news),
            Some(connection) = left.recv() => task.on_peer_end(connection, EndCause::PeerReset),
            () = clock.sleep_until(task.server.poll_timeout()) => {
                let now = clock.now();
                task.server.handle_timeout(now);
            }
            () = until_stopped(&mut stop) => break,
        }
        task.carry_out();
    }
    task.end().await;
}

/// Waits until the shell is to stop, or is gone.
pub(crate) async fn until_stopped(stop: &mut watch::Receiver<bool>) {
    // An error says that the shell was dropped, which stops it as well.
    let _ = stop.wait_for(|wanted| *wanted).await;
}

struct Task<S> {
    server: S,
    clock: Clock,
    observer: Option<Observer>,
    counters: Arc<Counters>,
    freed: mpsc::UnboundedSender<ConnectionKey>,
    exchanges: BTreeMap<u64, oneshot::Sender<Reply>>,
    connections: BTreeMap<u64, Outbox>,
    links: Links,
    exchanges_so_far: u64,
}

impl<S: Served> Task<S> {
    fn on_arrival(&mut self, arrival: Arrival) {
        let now = self.clock.now();
        match arrival {
            Arrival::Request { request, peer, reply } => {
                self.exchanges_so_far += 1;
                let exchange = ExchangeKey(self.exchanges_so_far);
                self.counters.requests.fetch_add(1, Ordering::Relaxed);
                self.exchanges.insert(exchange.0, reply);
                self.observe(|observer| observer.on_request(now, exchange, &request, peer));
                self.server.handle_request(now, exchange, &request);
            }
            Arrival::Incoming(connection, Incoming::Bytes(bytes), read) => {
                if self.connections.contains_key(&connection.0) {
                    self.observe(|observer| observer.on_bytes(now, connection, Side::Client, &bytes));
                    // What waited here before it was its turn is not the client's time.
                    self.server.handle_bytes(read, connection, &bytes);
                }
            }
            Arrival::Incoming(connection, Incoming::Ended(cause), _) => self.on_peer_end(connection, cause),
        }
    }

    fn on_peer_end(&mut self, connection: ConnectionKey, cause: EndCause) {
        // What was sent before is still written; then our side is closed in order.
        if self.forget(connection, cause).is_some() {
            self.server.handle_ended(self.clock.now(), connection);
        }
    }

    fn on_link(&mut self, link: LinkKey, news: News) {
        let now = self.clock.now();
        self.observe(|observer| {
            let happening = match &news {
                News::Opened => Happening::Opened,
                News::Failed(_) => Happening::Failed,
                News::Incoming(Incoming::Bytes(bytes), _) => Happening::Got(bytes),
                News::Incoming(Incoming::Ended(cause), _) => Happening::Ended(*cause),
            };
            observer.on_link(now, link, happening);
        });
        match news {
            News::Opened => self.server.handle_link(now, link, Ok(())),
            News::Failed(why) => self.server.handle_link(now, link, Err(&why)),
            News::Incoming(Incoming::Bytes(bytes), read) => self.server.handle_link_bytes(read, link, &bytes),
            News::Incoming(Incoming::Ended(_), _) => self.server.handle_link_ended(now, link),
        }
    }

    fn carry_out(&mut self) {
        let now = self.clock.now();
        while let Some(output) = self.server.poll_output() {
            match output {
                Output::Respond { exchange, response, close } => {
                    self.observe(|observer| observer.on_response(now, exchange, &response));
                    if let Some(reply) = self.exchanges.remove(&exchange.0) {
                        // A client that has gone away gets no answer.
                        let _ = reply.send(Reply::Respond { response, close });
                    }
                }
                Output::Upgrade { exchange, connection, response } => {
                    self.observe(|observer| observer.on_upgrade(now, exchange, connection, &response));
                    self.upgrade(exchange, connection, response);
                }
                Output::Send { connection, bytes } => self.send(now, connection, bytes),
                Output::OpenLink { link, address } => {
                    self.observe(|observer| observer.on_link(now, link, Happening::Wanted(&address)));
                    self.links.open(link, address);
                }
                Output::SendLink { link, bytes } => {
                    self.observe(|observer| observer.on_link(now, link, Happening::Sent(&bytes)));
                    self.links.send(link, bytes);
                }
                Output::CloseLink { link } => {
                    self.observe(|observer| observer.on_link(now, link, Happening::Ended(EndCause::Closed)));
                    self.links.close(link);
                }
                Output::Close { connection } => {
                    if let Some(outbox) = self.forget(connection, EndCause::Closed) {
                        outbox.close();
                    }
                }
                Output::Drop { connection } => {
                    if let Some(outbox) = self.forget(connection, EndCause::Dropped) {
                        outbox.reset();
                    }
                }
            }
        }
    }

    fn upgrade(&mut self, exchange: ExchangeKey, connection: ConnectionKey, response: Response) {
        let (outbox, orders) = outbox();
        self.connections.insert(connection.0, outbox);
        self.counters.event_connections.store(self.connections.len(), Ordering::Relaxed);
        let place = Place { connection, orders: Some(orders), freed: self.freed.clone() };
        if let Some(reply) = self.exchanges.remove(&exchange.0) {
            // If the client has gone away, the place is dropped with the reply, and so freed.
            let _ = reply.send(Reply::Upgrade { response, place });
        }
    }

    fn send(&mut self, now: Instant, connection: ConnectionKey, bytes: Vec<u8>) {
        let Some(outbox) = self.connections.get(&connection.0) else { return };
        if let Some(observer) = &mut self.observer {
            observer.on_bytes(now, connection, Side::Server, &bytes);
        }
        self.counters.sends.fetch_add(1, Ordering::Relaxed);
        if outbox.send(bytes) > QUEUE_LIMIT_BYTES
            && let Some(outbox) = self.forget(connection, EndCause::Dropped)
        {
            outbox.reset();
            self.server.handle_ended(now, connection);
        }
    }

    fn forget(&mut self, connection: ConnectionKey, cause: EndCause) -> Option<Outbox> {
        let outbox = self.connections.remove(&connection.0)?;
        let now = self.clock.now();
        self.observe(|observer| observer.on_end(now, connection, cause));
        self.counters.event_connections.store(self.connections.len(), Ordering::Relaxed);
        Some(outbox)
    }

    fn observe(&mut self, what: impl FnOnce(&mut Observer)) {
        if let Some(observer) = &mut self.observer {
            what(observer);
        }
    }

    async fn end(mut self) {
        let now = self.clock.now();
        self.observe(|observer| observer.on_stop(now));
        let open: Vec<u64> = self.connections.keys().copied().collect();
        for connection in open {
            if let Some(outbox) = self.forget(ConnectionKey(connection), EndCause::Closed) {
                outbox.close();
            }
        }
        self.links.end().await;
    }
}
