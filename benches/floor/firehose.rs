//! A server that sends updates as fast as its client acknowledges: so the client is all that is measured.
//!
//! One epoll loop in a thread of its own. Each port is a Meeting Server as far as a listener can see: tokens, a status, event
//! connections that are subscribed to calls. Updates have about 180 bytes. Acks have to come in order, each once; anything
//! else ends the measurement. The server cannot write less for each message than it does, so that it is never waited for.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use bridgeproof::protocol::events::State;
use bridgeproof::protocol::events::write;
use bridgeproof::protocol::http::Request;
use bridgeproof::protocol::ws::frame::{Decoded, Header, Opcode, decode, encode};
use bridgeproof::protocol::ws::handshake::switching_protocols;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token, Waker};
use rustix::time::{ClockId, clock_gettime};
use serde_json::Value;

/// How many bytes wait at most to be taken by a client whose window has no bound.
const AHEAD_BYTES: usize = 64 << 10;

const WAKER: Token = Token(usize::MAX);

/// What both sides look at.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    /// The ports that are flooded, from 0; none where it is larger than all.
    pub(crate) active: AtomicUsize,
    /// How many updates were acknowledged.
    pub(crate) acked: AtomicU64,
    /// How many connections are subscribed.
    pub(crate) subscribed: AtomicUsize,
    /// Whether the server is to end.
    pub(crate) is_over: AtomicBool,
}

/// How updates are sent.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rate {
    /// As many as are not acknowledged; without a bound as many as the client takes.
    Window(Option<u64>),
    /// One every so many ns on each connection, whatever is acknowledged. Each tells when it was sent.
    Every(u64),
}

/// A firehose. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Firehose {
    /// What it tells.
    pub(crate) shared: Arc<Shared>,
    /// Where it listens: so many addresses for each group.
    pub(crate) groups: Vec<Vec<SocketAddr>>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl Firehose {
    /// Listens on so many ports for each group of clients.
    pub(crate) fn start(groups: usize, ports: usize, rate: Rate) -> Self {
        let poll = Poll::new().expect("there is epoll");
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).expect("it can be woken"));
        let shared = Arc::new(Shared { active: AtomicUsize::new(usize::MAX), ..Shared::default() });
        let mut listeners = Vec::new();
        for group in 0..groups {
            for _ in 0..ports {
                let mut listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("there is a port");
                poll.registry()
                    .register(&mut listener, Token(listeners.len()), Interest::READABLE)
                    .expect("it can be waited for");
                listeners.push((listener, group));
            }
        }
        let address = |(listener, _): &(TcpListener, usize)| listener.local_addr().expect("it is bound");
        let groups = listeners.chunks(ports).map(|chunk| chunk.iter().map(address).collect()).collect();
        let base = listeners.len();
        let server = Server { poll, listeners, base, peers: Vec::new(), rate, shared: Arc::clone(&shared) };
        let thread = std::thread::spawn(move || {
            super::pinned(0);
            server.run();
        });
        Self { shared, groups, waker, thread: Some(thread) }
    }

    /// Floods this group from now on, and no other; none without.
    pub(crate) fn flood(&self, group: Option<usize>) {
        self.shared.active.store(group.unwrap_or(usize::MAX), Ordering::Release);
        self.waker.wake().expect("it can be woken");
    }
}

impl Drop for Firehose {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Release);
        // It looks at once.
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            thread.join().expect("every client behaved");
        }
    }
}

/// Nanoseconds of the clock that all processes share.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    u64::try_from(now.tv_sec).unwrap_or_default() * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}

struct Server {
    poll: Poll,
    listeners: Vec<(TcpListener, usize)>,
    /// How many tokens are listeners.
    base: usize,
    peers: Vec<Option<Peer>>,
    rate: Rate,
    shared: Arc<Shared>,
}

struct Peer {
    tcp: TcpStream,
    group: usize,
    is_upgraded: bool,
    inbox: Vec<u8>,
    out: Vec<u8>,
    /// The id of the last message, and of the last one that was acknowledged.
    last: u64,
    acked: u64,
    /// The subscription that updates are for, once it is active.
    index: Option<u64>,
    /// The last message that is no update.
    last_of_setup: u64,
    next_at: u64,
}

impl Server {
    fn run(mut self) {
        let mut events = Events::with_capacity(1024);
        let mut buffer = vec![0; 256 << 10];
        let is_paced = matches!(self.rate, Rate::Every(_));
        while !self.shared.is_over.load(Ordering::Acquire) {
            let spins = is_paced && self.shared.active.load(Ordering::Acquire) != usize::MAX;
            self.poll.poll(&mut events, spins.then_some(std::time::Duration::ZERO)).expect("it can be waited");
            let active = self.shared.active.load(Ordering::Acquire);
            for event in &events {
                match event.token() {
                    WAKER => self.peers.iter_mut().flatten().for_each(|peer| {
                        peer.next_at = monotonic_ns();
                        peer.go_on(self.rate, active);
                    }),
                    Token(place) if place < self.base => self.accept(place),
                    Token(place) => {
                        let slot = &mut self.peers[place - self.base];
                        if let Some(peer) = slot
                            && !peer.take(&mut buffer, self.rate, active, &self.shared)
                        {
                            *slot = None;
                        }
                    }
                }
            }
            if is_paced {
                self.peers.iter_mut().flatten().for_each(|peer| peer.go_on(self.rate, active));
            }
        }
    }

    fn accept(&mut self, place: usize) {
        let (listener, group) = &self.listeners[place];
        while let Ok((mut tcp, _)) = listener.accept() {
            tcp.set_nodelay(true).expect("TCP has that option");
            let token = Token(self.base + self.peers.len());
            let both = Interest::READABLE | Interest::WRITABLE;
            self.poll.registry().register(&mut tcp, token, both).expect("it can be waited for");
            self.peers.push(Some(Peer {
                tcp,
                group: *group,
                is_upgraded: false,
                inbox: Vec::new(),
                out: Vec::new(),
                last: 0,
                acked: 0,
                index: None,
                last_of_setup: 0,
                next_at: 0,
            }));
        }
    }
}

impl Peer {
    /// Reads and answers what is there. Whether the connection goes on.
    fn take(&mut self, buffer: &mut [u8], rate: Rate, active: usize, shared: &Shared) -> bool {
        loop {
            match self.tcp.read(buffer) {
                Ok(0) => return false,
                Ok(length) => {
                    self.inbox.extend_from_slice(&buffer[..length]);
                    self.understand(shared);
                    if length < buffer.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => break,
                Err(_) => return false,
            }
        }
        self.go_on(rate, active);
        true
    }

    fn understand(&mut self, shared: &Shared) {
        let mut inbox = std::mem::take(&mut self.inbox);
        let mut at = 0;
        while at < inbox.len() {
            if self.is_upgraded {
                let Decoded::Frame { frame, consumed } = decode(&mut inbox[at..], 1 << 20) else { break };
                if frame.header.opcode == Opcode::TEXT {
                    self.take_text(frame.payload, shared);
                }
                at += consumed;
            } else {
                let Some(length) = self.take_request(&inbox[at..]) else { break };
                at += length;
            }
        }
        inbox.drain(..at);
        self.inbox = inbox;
    }

    /// Answers a request. Its length, if it is whole.
    fn take_request(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut parsed = httparse::Request::new(&mut fields);
        let Ok(httparse::Status::Complete(length)) = parsed.parse(bytes) else { return None };
        let (method, target) = (parsed.method.unwrap_or_default(), parsed.path.unwrap_or_default());
        if parsed.headers.iter().any(|field| field.name.eq_ignore_ascii_case("sec-websocket-key")) {
            let mut request = Request::new(bridgeproof::protocol::http::Method::Get, target);
            request.headers =
                parsed.headers.iter().map(|field| (field.name, String::from_utf8_lossy(field.value))).collect();
            let response = switching_protocols(&request);
            self.out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
            for (name, value) in response.headers.iter() {
                self.out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
            }
            self.out.extend_from_slice(b"\r\n");
            self.is_upgraded = true;
        } else if (method, target) == ("POST", "/api/v1/authTokens") {
            self.out.extend_from_slice(
                b"HTTP/1.1 200 OK\r\nX-Cisco-CMS-Auth-Token: 4f3a1f0e-9d4c-4f7a-8f0d-0d7a9a3c5b11\r\nContent-Length: 0\r\n\r\n",
            );
        } else if target == "/api/v1/system/status" {
            let body = "<?xml version=\"1.0\"?><status><softwareVersion>3.9</softwareVersion></status>";
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len());
            self.out.extend_from_slice(head.as_bytes());
            self.out.extend_from_slice(body.as_bytes());
        } else {
            self.out.extend_from_slice(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        }
        Some(length)
    }

    fn take_text(&mut self, payload: &[u8], shared: &Shared) {
        const ID: &[u8] = b"\"messageId\":";
        if payload.starts_with(br#"{"type":"messageAck""#) {
            let at = memchr::memmem::find(payload, ID).expect("an ack has an id") + ID.len();
            let digits = payload[at..].iter().take_while(|byte| byte.is_ascii_digit());
            let id = digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
            assert_eq!(id, self.acked + 1, "acks come in order, each once");
            self.acked = id;
            if id > self.last_of_setup {
                shared.acked.fetch_add(1, Ordering::Relaxed);
            }
            return;
        }
        let request: Value = serde_json::from_slice(payload).expect("a client sends JSON");
        let message = &request["message"];
        let id = message["messageId"].as_u64().expect("a request has an id");
        let indexes: Vec<u64> = message["subscriptions"]
            .as_array()
            .map(|all| all.iter().filter_map(|one| one["index"].as_u64()).collect())
            .unwrap_or_default();
        self.text(&write::ack(id, "success"));
        for state in [State::Pending, State::Active] {
            let states: Vec<(u64, State)> = indexes.iter().map(|index| (*index, state)).collect();
            self.last += 1;
            self.text(&write::subscription_update(self.last, &states));
        }
        self.index = indexes.first().copied();
        self.last += 1;
        let entry = serde_json::json!({"call": CALL, "updateType": "add", "name": "A call", "participants": 1});
        let index = self.index.unwrap_or_default();
        self.text(&write::list_update(self.last, bridgeproof::protocol::events::Resource::Calls, index, vec![entry]));
        self.last_of_setup = self.last;
        shared.subscribed.fetch_add(1, Ordering::AcqRel);
    }

    fn text(&mut self, text: &str) {
        encode(&Header::new(Opcode::TEXT, text.len() as u64), text.as_bytes(), &mut self.out);
    }

    /// Sends what may be sent.
    fn go_on(&mut self, rate: Rate, active: usize) {
        let is_due = self.group == active && self.index.is_some() && self.acked >= self.last_of_setup;
        match rate {
            // As soon as half of it is acknowledged: a server that writes each message alone would be measured itself.
            Rate::Window(Some(window)) if is_due && self.last - self.acked <= window / 2 => {
                while self.last - self.acked < window {
                    self.update(None);
                }
            }
            Rate::Window(None) if is_due => loop {
                while self.out.len() < AHEAD_BYTES {
                    self.update(None);
                }
                let before = self.out.len();
                self.flush();
                if self.out.len() == before || self.out.len() > AHEAD_BYTES / 2 {
                    break;
                }
            },
            Rate::Every(ns) if is_due => {
                let now = monotonic_ns();
                while self.next_at <= now {
                    self.next_at += ns;
                    self.update(Some(monotonic_ns()));
                }
            }
            _ => {}
        }
        self.flush();
    }

    fn update(&mut self, stamp: Option<u64>) {
        self.last += 1;
        let participants = self.last % 10;
        let mut text = [0_u8; 320];
        let mut rest = &mut text[..];
        let index = self.index.unwrap_or_default();
        write!(
            rest,
            r#"{{"type":"message","message":{{"messageId":{},"type":"callListUpdate","subscriptionIndex":{index},"updates":[{{"call":"{CALL}","updateType":"update","name":"#,
            self.last
        )
        .expect("there is room");
        match stamp {
            Some(ns) => write!(rest, r#""{ns:020}""#),
            None => write!(rest, r#""call {participants}""#),
        }
        .expect("there is room");
        rest.write_all(br#","participants":"#).expect("there is room");
        write!(rest, "{participants}}}]}}}}").expect("there is room");
        let length = 320 - rest.len();
        encode(&Header::new(Opcode::TEXT, length as u64), &text[..length], &mut self.out);
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            match self.tcp.write(&self.out) {
                Ok(length) => drop(self.out.drain(..length)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                // The end is seen when it is read.
                Err(_) => self.out.clear(),
            }
        }
    }
}

/// The only call.
const CALL: &str = "97c771ae-fc2e-4257-b129-30ee818e034b";
