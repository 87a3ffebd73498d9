//! One CDR receiver that stands alone: its port and all its connections in one loop, without a task for each.
//!
//! Every round takes what has arrived on all connections that are ready, lets whoever receives make it safe at once
//! ([`Receiving::commit`]), and only then sends the answers: so the sets of one round share the cost of making them safe,
//! and none is answered before. Commands are those of the engine's receivers (`engine/driver.rs`). Connections are bounded
//! in number, handshakes and endings in time.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustls::ServerConfig;

use super::clock::Clock;
use super::interrupt;
use super::tls::HandshakeFailure;
use super::wire::Wire;
use crate::engine::driver::{Command, Input};
use crate::time::Instant;
use crate::trace::{EndCause, LinkId, ReceiverId};

/// How many connections there may be, handshakes and endings included; further ones wait to be accepted.
const CONNECTIONS: usize = 512;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection that is to end may take for what is still to be sent, and for the peer's own end.
const ENDING_LIMIT: Duration = Duration::from_secs(1);

/// How long to wait when the system can give no further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How many bytes are read from a connection in one round.
const READ_BYTES: usize = 128 << 10;

/// How many events are taken in one round.
const EVENTS: usize = 256;

const LISTENER: Token = Token(0);
const WAKER: Token = Token(usize::MAX);

/// The only receiver.
const ONLY: ReceiverId = ReceiverId(1);

/// What the loop needs of whoever receives.
pub trait Receiving {
    /// Takes what happened at `now`, which never runs backwards.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);

    /// Makes safe what was taken in since the last call. Called before commands are taken.
    fn commit(&mut self, now: Instant);

    /// The next command, if there is one.
    fn poll_command(&mut self) -> Option<Command>;

    /// When a tick is wanted.
    fn poll_timeout(&self) -> Option<Instant>;
}

/// A port that is listened on.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
}

impl Door {
    /// Listens, with TLS if there are settings for it. Port 0 takes any free one.
    ///
    /// # Errors
    /// Why that is not possible.
    pub fn open(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        Ok(Self { address: listener.local_addr()?, listener, tls })
    }

    /// The address, with the actual port.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Asks a loop to end, from any thread.
#[derive(Debug, Clone)]
pub struct Stop {
    wanted: Arc<AtomicBool>,
    waker: Arc<Waker>,
}

impl Stop {
    /// Asks.
    pub fn stop(&self) {
        self.wanted.store(true, Ordering::Release);
        // If it cannot be woken, it sees the wish at its next round.
        let _ = self.waker.wake();
    }

    /// Has Ctrl-C ask, from now on; a second time ends the process at once.
    ///
    /// # Errors
    /// If the system gives no thread for it.
    pub fn on_interrupt(self) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (listening, listens) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("interrupt".to_owned()).spawn(move || {
            runtime.block_on(async {
                let mut wanted = interrupt::watch();
                // Whoever asked for it waits for this.
                let _ = listening.send(());
                if wanted.wait_for(|wanted| *wanted).await.is_ok() {
                    self.stop();
                }
                // The second Ctrl-C is listened to until the process ends.
                std::future::pending::<()>().await;
            });
        })?;
        listens.recv().map_err(io::Error::other)
    }
}

/// One connection.
struct Peer {
    wire: Wire,
    /// What is still to be sent.
    out: Vec<u8>,
    stage: Stage,
    held: bool,
    /// Whether the peer is known to have ended its side, so that there is an end to be read.
    at_end: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// The TLS handshake is under way.
    Shaking { until: Instant },
    /// In use.
    Open,
    /// Given up: what is to be sent is sent, the peer's rest is dropped.
    Ending { until: Instant, finished: bool },
}

/// The loop.
pub struct ReceiveLoop {
    poll: Poll,
    door: Door,
    /// Whether there may be connections to accept, and from when on.
    accept: Option<Instant>,
    peers: BTreeMap<Token, Peer>,
    last: usize,
    /// Connections that may have something to read.
    ready: Vec<Token>,
    /// Connections that were given something to send, or an end.
    touched: Vec<Token>,
    buffer: Vec<u8>,
    clock: Clock,
    wanted: Arc<AtomicBool>,
}

impl ReceiveLoop {
    /// A loop behind that door.
    ///
    /// # Errors
    /// If the system cannot wait for connections.
    pub fn new(mut door: Door, clock: Clock) -> io::Result<(Self, Stop)> {
        let poll = Poll::new()?;
        poll.registry().register(&mut door.listener, LISTENER, Interest::READABLE)?;
        let wanted = Arc::new(AtomicBool::new(false));
        let stop = Stop { wanted: Arc::clone(&wanted), waker: Arc::new(Waker::new(poll.registry(), WAKER)?) };
        let all = Self {
            poll,
            door,
            accept: None,
            peers: BTreeMap::new(),
            last: 0,
            ready: Vec::new(),
            touched: Vec::new(),
            buffer: vec![0; READ_BYTES],
            clock,
            wanted,
        };
        Ok((all, stop))
    }

    /// Receives until it is asked to end. Connections are then dropped.
    ///
    /// # Errors
    /// If the system cannot wait for connections any more.
    pub fn run(mut self, receiving: &mut impl Receiving) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        while !self.wanted.load(Ordering::Acquire) {
            let timeout = self.timeout(receiving);
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                done => done?,
            }
            self.take_events(&events);
            self.accept(receiving);
            self.read(receiving);
            let now = self.clock.now();
            if receiving.poll_timeout().is_some_and(|at| at <= now) {
                receiving.handle_input(now, Input::Tick);
            }
            receiving.commit(now);
            while let Some(command) = receiving.poll_command() {
                self.carry_out(command);
            }
            self.send();
            self.end_late_ones();
        }
        Ok(())
    }

    /// How long nothing need be done.
    fn timeout(&self, receiving: &impl Receiving) -> Option<Duration> {
        if !self.ready.is_empty() {
            return Some(Duration::ZERO);
        }
        let waiting = self.peers.values().filter_map(|peer| match peer.stage {
            Stage::Open => None,
            Stage::Shaking { until } | Stage::Ending { until, .. } => Some(until),
        });
        let room = self.peers.len() < CONNECTIONS;
        let accept = self.accept.filter(|_| room);
        let next = waiting.chain(accept).chain(receiving.poll_timeout()).min()?;
        // The system counts in milliseconds and rounds down: an early waking would only be followed by another.
        Some(self.clock.until(next) + Duration::from_millis(1))
    }

    fn take_events(&mut self, events: &Events) {
        for event in events {
            match event.token() {
                LISTENER => self.accept = Some(Instant::ZERO),
                WAKER => {}
                token => {
                    let Some(peer) = self.peers.get_mut(&token) else { continue };
                    peer.at_end |= event.is_read_closed() || event.is_error();
                    if event.is_readable() || peer.at_end {
                        self.ready.push(token);
                    }
                    if event.is_writable() && (!peer.out.is_empty() || peer.wire.has_more_to_write()) {
                        self.touched.push(token);
                    }
                }
            }
        }
    }

    fn accept(&mut self, receiving: &mut impl Receiving) {
        while self.accept.is_some_and(|from| from <= self.clock.now()) {
            if self.peers.len() >= CONNECTIONS {
                return;
            }
            match self.door.listener.accept() {
                Ok((tcp, _)) => self.begin(tcp, receiving),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.accept = None,
                // Out of file descriptors, or a connection that was gone at once: neither ends the receiver.
                Err(_) => self.accept = Some(self.clock.now() + ACCEPT_PAUSE),
            }
        }
    }

    fn begin(&mut self, tcp: TcpStream, receiving: &mut impl Receiving) {
        self.last += 1;
        let token = Token(self.last);
        let Ok(mut wire) = Wire::new(tcp, self.door.tls.as_ref()) else { return };
        let interest = Interest::READABLE | Interest::WRITABLE;
        // A connection that cannot be waited for is dropped, which its peer sees.
        if self.poll.registry().register(wire.tcp(), token, interest).is_err() {
            return;
        }
        let stage = if wire.is_open() {
            receiving.handle_input(self.clock.now(), Input::LinkOpened { receiver: ONLY, link: link_of(token) });
            Stage::Open
        } else {
            Stage::Shaking { until: self.clock.now() + HANDSHAKE_LIMIT }
        };
        self.peers.insert(token, Peer { wire, out: Vec::new(), stage, held: false, at_end: false });
        self.ready.push(token);
    }

    /// Reads once from each connection that is ready; those that may have more stay so.
    fn read(&mut self, receiving: &mut impl Receiving) {
        let mut ready = std::mem::take(&mut self.ready);
        ready.sort_unstable();
        ready.dedup();
        ready.retain(|token| self.read_one(*token, receiving));
        self.ready.append(&mut ready);
    }

    /// Reads once. Whether there may be more.
    fn read_one(&mut self, token: Token, receiving: &mut impl Receiving) -> bool {
        let Some(peer) = self.peers.get_mut(&token) else { return false };
        if peer.held {
            return false;
        }
        let read = peer.wire.read(&mut self.buffer);
        let now = self.clock.now();
        if matches!(peer.stage, Stage::Shaking { .. }) && peer.wire.is_open() {
            peer.stage = Stage::Open;
            receiving.handle_input(now, Input::LinkOpened { receiver: ONLY, link: link_of(token) });
        }
        let in_use = peer.stage == Stage::Open;
        let failed = || match &read {
            Err(error) => HandshakeFailure::from(error),
            Ok(_) => HandshakeFailure::closed(),
        };
        let failure = matches!(peer.stage, Stage::Shaking { .. }).then(failed);
        let ended = match read {
            Ok(0) => Some(EndCause::PeerClosed),
            Ok(length) => {
                let more = peer.at_end || length == self.buffer.len() || !peer.wire.is_drained_by_short_reads();
                if in_use {
                    let bytes = &self.buffer[..length];
                    receiving.handle_input(now, Input::LinkReceived { link: link_of(token), bytes });
                }
                return more;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return true,
            Err(_) => Some(EndCause::PeerReset),
        };
        match (ended, in_use) {
            (Some(EndCause::PeerClosed), true) => {
                // What was ordered to be sent is still sent, and our side then closed in order.
                self.end(token);
                receiving.handle_input(now, Input::LinkEnded { link: link_of(token), cause: EndCause::PeerClosed });
            }
            (Some(cause), true) => {
                self.peers.remove(&token);
                receiving.handle_input(now, Input::LinkEnded { link: link_of(token), cause });
            }
            (_, false) => {
                self.peers.remove(&token);
                if let Some(HandshakeFailure { what, by_peer }) = failure {
                    receiving.handle_input(now, Input::HandshakeFailed { receiver: ONLY, what: &what, by_peer });
                }
            }
            (None, true) => {}
        }
        false
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::SendLink { link, bytes } => {
                let token = token_of(link);
                if let Some(peer) = self.peers.get_mut(&token).filter(|peer| peer.stage == Stage::Open || peer.at_end) {
                    peer.out.extend_from_slice(&bytes);
                    self.touched.push(token);
                }
            }
            Command::HoldLink { link, hold } => {
                let token = token_of(link);
                if let Some(peer) = self.peers.get_mut(&token) {
                    peer.held = hold;
                    self.ready.extend((!hold).then_some(token));
                }
            }
            Command::CloseLink { link } => self.end(token_of(link)),
            Command::ResetLink { link } => {
                if let Some(mut peer) = self.peers.remove(&token_of(link)) {
                    // What was sent before may still arrive; a failure says that the connection is gone already.
                    let _ = peer.wire.write(&peer.out);
                    peer.wire.reset();
                }
            }
            // The port is open as long as the loop runs, and receivers ask for nothing else.
            _ => {}
        }
    }

    /// Lets a connection end in order.
    fn end(&mut self, token: Token) {
        let until = self.clock.now() + ENDING_LIMIT;
        if let Some(peer) = self.peers.get_mut(&token) {
            peer.stage = Stage::Ending { until, finished: false };
            peer.held = false;
            self.ready.push(token);
            self.touched.push(token);
        }
    }

    /// Sends what is to be sent.
    fn send(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for token in touched.drain(..) {
            let Some(peer) = self.peers.get_mut(&token) else { continue };
            match peer.wire.write(&peer.out) {
                Ok(length) if length == peer.out.len() => peer.out.clear(),
                Ok(length) => drop(peer.out.drain(..length)),
                Err(_) => {
                    // Nothing can be sent any more, but what the peer sent before can still be read, up to its end.
                    peer.out.clear();
                    peer.at_end = true;
                    self.ready.push(token);
                }
            }
            if let Stage::Ending { finished, .. } = &mut peer.stage
                && !*finished
                && peer.out.is_empty()
                && !peer.wire.has_more_to_write()
            {
                *finished = true;
                peer.wire.finish();
            }
        }
        self.touched = touched;
    }

    /// Drops connections whose handshake or end takes too long.
    fn end_late_ones(&mut self) {
        let now = self.clock.now();
        self.peers.retain(|_, peer| match peer.stage {
            Stage::Open => true,
            Stage::Shaking { until } | Stage::Ending { until, .. } => now < until,
        });
    }
}

/// Connections are numbered from 1, in the loop as for whoever receives.
fn link_of(token: Token) -> LinkId {
    LinkId(u32::try_from(token.0).unwrap_or(u32::MAX))
}

const fn token_of(link: LinkId) -> Token {
    Token(link.0 as usize)
}
