//! Peers for the tests of this folder: targets that behave badly, and a small server for the shell.
//!
//! All of them listen on a free port of the loopback interface. Nothing sleeps; [`within`] bounds every test.

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::clock::Clock;
use super::emulator_shell::{EmulatorShell, ShellOptions, start};
use super::emulator_task::Served;
use super::socket_driver::Link;
use super::target::{Account, Accounts, Target, Tls};
use super::tls::ServerTls;
use crate::emulator::{ConnectionKey, ExchangeKey, LinkKey, Output};
use crate::protocol::api::names::{AUTH_TOKENS, TOKEN_HEADER};
use crate::protocol::http::{Credentials, Headers, Request, Response};
use crate::protocol::ws::frame::{Decoded, Header, Opcode, decode, encode};
use crate::protocol::ws::handshake::{is_upgrade, switching_protocols};
use crate::time::Instant;
use crate::trace::Sink;

/// Bounds a test.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), what).await.expect("the test should have ended by now")
}

pub(crate) fn accounts() -> Accounts {
    Accounts { privileged: Account::new("admin", "secret"), unprivileged: Some(Account::new("guest", "word")) }
}

/// A way to `url` with short limits.
pub(crate) fn link(url: &str, tls: Tls) -> Link {
    let mut target = Target::new(url, accounts(), tls).unwrap();
    target.timeouts.answer = Duration::from_millis(500);
    Link::new(target, Clock::start()).unwrap()
}

/// A way to `url` in the clear; no certificate is looked at.
pub(crate) fn plain(url: &str) -> Link {
    link(url, Tls::Insecure)
}

/// A listener on a free port, with its URL.
pub(crate) async fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A port that nobody listens on. It is held until the tests end, so that the system gives it to nobody else.
pub(crate) fn refusing() -> String {
    let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    held.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let url = format!("http://{}", held.local_addr().unwrap().as_socket().unwrap());
    std::mem::forget(held);
    url
}

/// Answers every connection with the same bytes, once a request head has come, and ends it.
pub(crate) async fn canned(answer: &'static str) -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            read_head(&mut tcp).await;
            let _ = tcp.write_all(answer.as_bytes()).await;
            let _ = tcp.shutdown().await;
            // Unread bytes would turn the end into a reset.
            tokio::spawn(async move { tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await });
        }
    });
    url
}

/// A name that has no address, and for which nobody need be asked: its label is longer than DNS allows.
pub(crate) fn nameless() -> String {
    format!("http://{}.invalid", "x".repeat(64))
}

/// Accepts and never answers.
pub(crate) async fn silent() -> String {
    let (listener, url) = listener().await;
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            kept.push(tcp);
        }
    });
    url
}

/// Reads up to the empty line behind the fields, or the first byte of a TLS handshake.
pub(crate) async fn read_head(tcp: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match tcp.read_u8().await {
            Ok(0x16) | Err(_) => break,
            Ok(byte) => head.push(byte),
        }
    }
    String::from_utf8(head).unwrap()
}

/// A server that issues tokens to the privileged account and sends text back. The text `flood` gets 32 MiB.
#[derive(Default)]
pub(crate) struct Echo {
    outputs: VecDeque<Output>,
    connections: u64,
    ended: Option<tokio::sync::mpsc::UnboundedSender<u64>>,
}

impl Echo {
    /// One that tells which connections have ended.
    pub(crate) fn telling(ended: tokio::sync::mpsc::UnboundedSender<u64>) -> Self {
        Self { ended: Some(ended), ..Self::default() }
    }
}

impl Served for Echo {
    fn handle_request(&mut self, _: Instant, exchange: ExchangeKey, request: &Request) {
        if is_upgrade(request) {
            self.connections += 1;
            let connection = ConnectionKey(self.connections);
            let response = switching_protocols(request);
            self.outputs.push_back(Output::Upgrade { exchange, connection, response });
            self.outputs.push_back(Output::Send { connection, bytes: text(b"welcome") });
            return;
        }
        let response = match (request.path(), request.credentials) {
            (_, Credentials::Privileged) if request.path() == AUTH_TOKENS => {
                Response { headers: Headers::new().with(TOKEN_HEADER, "a-token"), ..Response::new(200) }
            }
            ("/api/v1/system/status", Credentials::Privileged) => Response {
                body: b"<?xml version=\"1.0\"?><status><softwareVersion>3.6.2</softwareVersion>\
                    <clusterEnabled>true</clusterEnabled></status>"
                    .to_vec(),
                ..Response::new(200)
            },
            (_, Credentials::Privileged) => Response { body: request.body.clone(), ..Response::new(404) },
            (_, Credentials::Unprivileged) => Response::new(403),
            _ => Response::new(401),
        };
        self.outputs.push_back(Output::Respond { exchange, response, close: true });
    }

    fn handle_bytes(&mut self, _: Instant, connection: ConnectionKey, bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let Decoded::Frame { frame, .. } = decode(&mut bytes, 1 << 20) else { return };
        if frame.payload == b"flood" {
            for _ in 0..32 {
                self.outputs.push_back(Output::Send { connection, bytes: vec![0; 1 << 20] });
            }
        } else if frame.header.opcode == Opcode::CLOSE {
            let mut close = Vec::new();
            encode(&Header::new(Opcode::CLOSE, 0), b"", &mut close);
            self.outputs.push_back(Output::Send { connection, bytes: close });
            self.outputs.push_back(Output::Close { connection });
        } else {
            self.outputs.push_back(Output::Send { connection, bytes: text(frame.payload) });
        }
    }

    fn handle_ended(&mut self, _: Instant, connection: ConnectionKey) {
        if let Some(ended) = &self.ended {
            let _ = ended.send(connection.0);
        }
    }

    fn handle_link(&mut self, _: Instant, _: LinkKey, _: Result<(), &str>) {}

    fn handle_link_bytes(&mut self, _: Instant, _: LinkKey, _: &[u8]) {}

    fn handle_link_ended(&mut self, _: Instant, _: LinkKey) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// An unmasked text frame.
pub(crate) fn text(payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    encode(&Header::new(Opcode::TEXT, payload.len() as u64), payload, &mut wire);
    wire
}

/// A masked frame.
pub(crate) fn masked(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut wire = Vec::new();
    let header = Header { mask: Some([1, 2, 3, 4]), ..Header::new(opcode, payload.len() as u64) };
    encode(&header, payload, &mut wire);
    wire
}

/// Serves `server` on a free port.
pub(crate) async fn serve(
    server: impl Served,
    tls: Option<ServerTls>,
    observer: Option<Box<dyn Sink + Send>>,
) -> EmulatorShell {
    let listen = SocketAddr::from(([127, 0, 0, 1], 0));
    start(server, ShellOptions { listen, tls, accounts: accounts(), observer, tell: None }, Clock::start())
        .await
        .unwrap()
}
