//! The floor: a client that reads frames, finds the id and acknowledges, no more.
//!
//! One epoll loop; all acks of a read go out in one write. `--stamps` has it also read the instant that the server wrote into
//! each update, and count how long updates were under way until they were read. On a server that is not the bench's own it logs in before, and
//! answers pings.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bridgeproof::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use bridgeproof::protocol::events::Resource;
use bridgeproof::protocol::events::write::{Subscription, subscribe_request};
use bridgeproof::protocol::ws::frame::{Header, Opcode, encode};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use super::firehose::monotonic_ns;
use super::underway::UnderWay;

const ID: &[u8] = b"\"messageId\":";

struct Line {
    tcp: TcpStream,
    is_upgraded: bool,
    inbox: Vec<u8>,
    /// Where what has not been looked at begins.
    kept: usize,
    out: Vec<u8>,
}

/// An account of the server.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: String,
}

impl Login {
    /// A token, by hand.
    fn token(&self, address: SocketAddr) -> String {
        let mut tcp = std::net::TcpStream::connect(address).expect("it listens");
        let basic = STANDARD.encode(format!("{}:{}", self.user, self.password));
        let request = format!(
            "POST {AUTH_TOKENS} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Basic {basic}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).expect("it reads");
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        while memchr::memmem::find(&answer, b"\r\n\r\n").is_none() {
            let length = tcp.read(&mut buffer).expect("it answers");
            assert!(length > 0, "it answers whole");
            answer.extend_from_slice(&buffer[..length]);
        }
        let head = String::from_utf8_lossy(&answer);
        let status = head.lines().next().unwrap_or_default();
        assert!(status.contains(" 200"), "a token is granted, not `{status}`");
        let value = |line: &str| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case(TOKEN_HEADER).then(|| value.trim().to_owned())
        };
        let token = head.lines().find_map(value).expect("the answer carries a token");
        form_urlencoded::byte_serialize(token.as_bytes()).collect()
    }
}

/// Opens that many connections to each address, subscribes to `calls`, and acknowledges until it is killed. On another server than
/// the bench's own it logs in with an account, and counts what it acknowledges.
pub(crate) fn run(
    addresses: &[SocketAddr],
    connections: usize,
    stamps: Option<UnderWay>,
    other: Option<(&Login, &Arc<AtomicU64>)>,
) {
    let mut poll = Poll::new().expect("there is epoll");
    let mut lines = Vec::new();
    for address in addresses {
        for _ in 0..connections {
            let token = other.map_or_else(|| "t".to_owned(), |(login, _)| login.token(*address));
            let tcp = std::net::TcpStream::connect(address).expect("it listens");
            tcp.set_nodelay(true).expect("TCP has that option");
            tcp.set_nonblocking(true).expect("TCP has that option");
            let mut tcp = TcpStream::from_std(tcp);
            let both = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut tcp, Token(lines.len()), both).expect("it can be waited for");
            let head = format!(
                "GET /events/v1?authToken={token} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            );
            lines.push(Line { tcp, is_upgraded: false, inbox: Vec::new(), kept: 0, out: head.into_bytes() });
        }
    }
    let mut stamps = stamps;
    let mut events = Events::with_capacity(1024);
    let mut buffer = vec![0; 64 << 10];
    let mut random = 0x9E37_79B9_u32;
    loop {
        poll.poll(&mut events, None::<Duration>).expect("it can be waited");
        for event in &events {
            let line = &mut lines[event.token().0];
            while let Ok(length) = line.tcp.read(&mut buffer) {
                if length == 0 {
                    return;
                }
                let read_ns = stamps.as_ref().map_or(0, |_| monotonic_ns());
                line.inbox.extend_from_slice(&buffer[..length]);
                let acknowledged = line.understand(&mut random, &mut stamps, read_ns);
                if let Some((_, count)) = other {
                    count.fetch_add(acknowledged, Ordering::Relaxed);
                }
                line.flush();
                if length < buffer.len() {
                    break;
                }
            }
            line.flush();
        }
    }
}

impl Line {
    /// Understands what is whole and was read then. How many messages it acknowledged.
    fn understand(&mut self, random: &mut u32, stamps: &mut Option<UnderWay>, read_ns: u64) -> u64 {
        if !self.is_upgraded {
            let Some(end) = memchr::memmem::find(&self.inbox, b"\r\n\r\n") else { return 0 };
            assert!(self.inbox.starts_with(b"HTTP/1.1 101"), "the upgrade is accepted");
            self.kept = end + 4;
            self.is_upgraded = true;
            let elements = ["name", "participants", "lockState", "recording"].map(str::to_owned).to_vec();
            let wanted = Subscription { index: 1, resource: Resource::Calls, call: None, elements: Some(elements) };
            let text = subscribe_request(1, &[wanted]);
            encode(
                &Header { mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::TEXT, text.len() as u64) },
                text.as_bytes(),
                &mut self.out,
            );
        }
        let (mut at, mut acknowledged) = (self.kept, 0);
        while let Some(payload) = whole_frame(&self.inbox[at..]) {
            let text = &self.inbox[at + payload.0..at + payload.1];
            let opcode = Opcode(self.inbox[at] & 0x0F);
            at += payload.1;
            if opcode != Opcode::TEXT {
                if opcode == Opcode::PING {
                    let header = Header { mask: Some([1, 2, 3, 4]), ..Header::new(Opcode::PONG, text.len() as u64) };
                    encode(&header, text, &mut self.out);
                }
                continue;
            }
            if text.starts_with(br#"{"type":"messageAck""#) {
                continue;
            }
            let begin = memchr::memmem::find(text, ID).expect("a message has an id") + ID.len();
            let digits = text[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if let Some(stamps) = stamps {
                stamps.take(text, read_ns);
            }
            let id = &text[begin..begin + digits];
            // Xorshift: a mask has to be fresh, not secret.
            *random ^= *random << 13;
            *random ^= *random >> 17;
            *random ^= *random << 5;
            acknowledge(id, random.to_ne_bytes(), &mut self.out);
            acknowledged += 1;
        }
        self.inbox.drain(..at);
        self.kept = 0;
        acknowledged
    }

    fn flush(&mut self) {
        if !self.out.is_empty()
            && let Ok(length) = self.tcp.write(&self.out)
        {
            self.out.drain(..length);
        }
    }
}

/// Where the payload of the first frame begins and ends, if it is whole.
fn whole_frame(bytes: &[u8]) -> Option<(usize, usize)> {
    let (begin, length) = match bytes.get(1)? {
        126 => (4, usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]))),
        127 => (10, usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?),
        short => (2, usize::from(*short)),
    };
    (bytes.len() >= begin + length).then_some((begin, begin + length))
}

fn acknowledge(id: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    const BEFORE: &[u8] = br#"{"type":"messageAck","messageAck":{"messageId":"#;
    const AFTER: &[u8] = br#","status":"success"}}"#;
    let length = BEFORE.len() + id.len() + AFTER.len();
    out.extend_from_slice(&[0x81, 0x80 | u8::try_from(length).expect("an ack is short")]);
    out.extend_from_slice(&mask);
    let begin = out.len();
    for part in [BEFORE, id, AFTER] {
        out.extend_from_slice(part);
    }
    out[begin..].iter_mut().zip(mask.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
}
