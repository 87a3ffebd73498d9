//! Both drivers, tried with the same engines and peers: whatever carries commands out, the same has to happen.

use std::collections::VecDeque;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as TungsteniteFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::event_loop::{Part, Waiting, drive_together};
use super::fixtures::{listener, masked, plain, read_head, refusing, silent, within};
use super::socket_driver::{Driven, drive};
use super::stream::Stream;
use super::tls::ServerTls;
use crate::engine::driver::{Command, Input};
use crate::protocol::http::{Method, Request};
use crate::protocol::ws::frame::{Decoded, Opcode, decode};
use crate::protocol::ws::handshake::upgrade_request;
use crate::time::Instant;
use crate::trace::{ConnectionId, ExchangeId};

const ONE: ConnectionId = ConnectionId(1);
const LIMIT: Duration = Duration::from_secs(10);

/// An engine that opens one connection and sends, then does what a line of its script says when it sees that line.
struct Script {
    commands: VecDeque<Command>,
    answers: Vec<(&'static str, Vec<Command>)>,
    last: &'static str,
    seen: Vec<String>,
    buffer: Vec<u8>,
}

impl Script {
    fn new(last: &'static str, answers: Vec<(&'static str, Vec<Command>)>) -> Self {
        let request = upgrade_request(Some("t"), [0; 16]);
        let open = Command::Open { connection: ONE, request, timeout: LIMIT };
        Self { commands: [open].into(), answers, last, seen: Vec::new(), buffer: Vec::new() }
    }

    fn see(&mut self, line: String) {
        if let Some((_, commands)) = self.answers.iter_mut().find(|(when, _)| *when == line) {
            self.commands.extend(commands.drain(..));
        }
        self.seen.push(line);
    }
}

impl Driven for Script {
    fn handle_input(&mut self, _: Instant, input: Input<'_>) {
        match input {
            Input::Received { bytes, .. } => {
                self.buffer.extend_from_slice(bytes);
                while let Decoded::Frame { frame, consumed } = decode(&mut self.buffer, 1 << 20) {
                    let fin = if frame.header.fin { "" } else { "+" };
                    let line = format!("{}{fin} {}", frame.header.opcode, String::from_utf8_lossy(frame.payload));
                    self.buffer.drain(..consumed);
                    self.see(line);
                }
            }
            Input::Opened { response, .. } => self.see(format!("opened {}", response.status)),
            Input::Refused { response, .. } => self.see(format!("refused {}", response.status)),
            Input::OpenFailed { error, .. } => self.see(format!("{:?}", error.kind)),
            Input::Ended { cause, .. } => self.see(format!("{cause:?}")),
            Input::Responded { response, .. } => self.see(format!("responded {}", response.status)),
            Input::RequestFailed { error, .. } => self.see(format!("failed {:?}", error.kind)),
            Input::Interrupt => self.see("interrupt".to_owned()),
            Input::Tick => {}
            other => self.see(format!("{other:?}")),
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_done(&self) -> bool {
        self.commands.is_empty() && self.seen.iter().any(|line| line == self.last)
    }
}

fn send(bytes: Vec<u8>) -> Command {
    Command::Send { connection: ONE, bytes }
}

/// What carries the commands out.
#[derive(Debug, Clone, Copy)]
enum Driver {
    Tasks,
    Loop,
}

const BOTH: [Driver; 2] = [Driver::Tasks, Driver::Loop];

async fn play(driver: Driver, script: &mut Script, url: &str) {
    let (_keep, interrupt) = watch::channel(false);
    play_until(driver, script, url, interrupt).await;
}

async fn play_until(driver: Driver, script: &mut Script, url: &str, interrupt: watch::Receiver<bool>) {
    let link = plain(url);
    match driver {
        Driver::Tasks => within(drive(script, &link, interrupt)).await,
        Driver::Loop => {
            let part = Part { engine: script, link: &link, interrupt, limit: LIMIT };
            assert_eq!(drive_together(vec![part], 1, Waiting::Sleep).unwrap(), [false]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_an_independent_server_arrive_as_they_are() {
    for driver in BOTH {
        let (listener, url) = listener().await;
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut peer = tokio_tungstenite::accept_async(tcp).await.unwrap();
            let part = |text: &'static str, code, fin| {
                Message::Frame(TungsteniteFrame::message(text, OpCode::Data(code), fin))
            };
            peer.send(part("frag", Data::Text, false)).await.unwrap();
            peer.send(part("ment", Data::Continue, true)).await.unwrap();
            let heard = peer.next().await.unwrap().unwrap();
            assert_eq!(heard, Message::text("hello"));
            assert!(matches!(peer.next().await, Some(Ok(Message::Close(_)))));
            assert!(peer.next().await.is_none());
        });
        let mut script = Script::new(
            "PeerClosed",
            vec![
                ("opened 101", vec![send(masked(Opcode::TEXT, b"hello"))]),
                ("continuation ment", vec![send(masked(Opcode::CLOSE, &[3, 232]))]),
            ],
        );
        play(driver, &mut script, &url).await;
        assert_eq!(script.seen, ["opened 101", "text+ frag", "continuation ment", "close \u{3}\u{fffd}", "PeerClosed"]);
        within(server).await.unwrap();
    }
}

/// A peer that says 101 and then does `what`.
async fn raw_peer<F: Future<Output = ()> + Send>(
    what: impl FnOnce(tokio::net::TcpStream) -> F + Send + 'static,
) -> (tokio::task::JoinHandle<()>, String) {
    let (listener, url) = listener().await;
    let task = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        read_head(&mut tcp).await;
        tcp.write_all(b"HTTP/1.1 101 Go\r\n\r\n").await.unwrap();
        what(tcp).await;
    });
    (task, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_close_delivers_everything_that_was_sent_before() {
    for driver in BOTH {
        let (peer, url) = raw_peer(|mut tcp| async move {
            let mut all = Vec::new();
            tcp.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, vec![7; 4 << 20]);
        })
        .await;
        let close = vec![send(vec![7; 4 << 20]), Command::Close { connection: ONE }];
        play(driver, &mut Script::new("opened 101", vec![("opened 101", close)]), &url).await;
        within(peer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn over_tls_too_a_close_delivers_everything_that_was_sent_before() {
    let made = ServerTls::self_made(&["127.0.0.1".to_owned()]).unwrap();
    for driver in BOTH {
        let (listener, url) = listener().await;
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::clone(&made.config));
        let peer = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            let mut tls = acceptor.accept(tcp).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(tls.read_u8().await.unwrap());
            }
            // What comes with the answer arrives as well.
            let mut answer = b"HTTP/1.1 101 Go\r\n\r\n".to_vec();
            answer.extend(masked(Opcode::TEXT, b"early"));
            tls.write_all(&answer).await.unwrap();
            let mut all = Vec::new();
            tls.read_to_end(&mut all).await.unwrap();
            assert_eq!(all, vec![7; 4 << 20]);
        });
        let close = vec![send(vec![7; 4 << 20]), Command::Close { connection: ONE }];
        let mut script = Script::new("text early", vec![("text early", close)]);
        play(driver, &mut script, &url.replace("http", "https")).await;
        assert_eq!(script.seen, ["opened 101", "text early"]);
        within(peer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_is_a_reset_for_the_peer_and_a_reset_of_the_peer_is_told() {
    for driver in BOTH {
        let (peer, url) = raw_peer(|mut tcp| async move {
            let error = tcp.read_to_end(&mut Vec::new()).await.unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        })
        .await;
        let script = vec![("opened 101", vec![Command::Drop { connection: ONE }])];
        play(driver, &mut Script::new("opened 101", script), &url).await;
        within(peer).await.unwrap();

        let (peer, url) = raw_peer(|tcp| async move { Stream::Plain(tcp).reset() }).await;
        let mut script = Script::new("PeerReset", Vec::new());
        play(driver, &mut script, &url).await;
        assert_eq!(script.seen, ["opened 101", "PeerReset"]);
        within(peer).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_and_openings_that_fail_are_told_with_their_kind() {
    for driver in BOTH {
        let mut script = Script::new("Connect", Vec::new());
        play(driver, &mut script, &refusing()).await;
        assert_eq!(script.seen, ["Connect"]);

        let mut script = Script::new("failed Timeout", Vec::new());
        let request = Request::new(Method::Get, "/api/v1/calls");
        script.commands =
            [Command::Request { exchange: ExchangeId(1), request, timeout: Duration::from_millis(50) }].into();
        play(driver, &mut script, &silent().await).await;
        assert_eq!(script.seen, ["failed Timeout"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_is_told_once_and_a_pending_opening_ends_with_the_engine() {
    for driver in BOTH {
        let (interrupter, interrupt) = watch::channel(true);
        let mut script = Script::new("interrupt", Vec::new());
        play_until(driver, &mut script, &silent().await, interrupt).await;
        assert_eq!(script.seen, ["interrupt"]);
        drop(interrupter);
    }
}
