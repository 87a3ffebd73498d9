//! Tests of both drivers with Call Bridges: a scripted engine that has receivers, and peers that connect to it.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, watch};

use super::event_loop::{Part, Waiting, drive_together};
use super::fixtures::{plain, refusing, within};
use super::socket_driver::{Driven, Link, drive};
use crate::engine::driver::{Command, Input};
use crate::time::Instant;
use crate::trace::{LinkId, ReceiverId};

/// An engine that tells the test what it is told, and does what the test tells it.
struct Puppet {
    commands: VecDeque<Command>,
    orders: mpsc::UnboundedReceiver<Command>,
    told: mpsc::UnboundedSender<String>,
    done: bool,
}

impl Driven for Puppet {
    fn handle_input(&mut self, _: Instant, input: Input<'_>) {
        let line = match input {
            Input::Tick => String::new(),
            Input::Listening { authority, .. } => authority,
            Input::ListenFailed { error, .. } => error.to_string(),
            Input::LinkOpened { receiver, link } => format!("{} opened at {}", link.0, receiver.0),
            Input::LinkReceived { link, bytes } => format!("{} got {}", link.0, String::from_utf8_lossy(bytes)),
            Input::LinkEnded { link, cause } => format!("{} {cause:?}", link.0),
            Input::Restarted { failure } => format!("restarted: {failure:?}"),
            other => format!("{other:?}"),
        };
        loop {
            match self.orders.try_recv() {
                Ok(command) => self.commands.push_back(command),
                Err(TryRecvError::Empty) => break,
                // The test is over, or has failed.
                Err(TryRecvError::Disconnected) => {
                    self.done = true;
                    break;
                }
            }
        }
        if !line.is_empty() {
            let _ = self.told.send(line);
        }
    }

    fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        // Orders are looked for at every tick.
        Some(Instant::ZERO)
    }

    fn is_done(&self) -> bool {
        self.done
    }
}

/// The test's side of a [`Puppet`].
struct Strings {
    orders: mpsc::UnboundedSender<Command>,
    told: mpsc::UnboundedReceiver<String>,
}

impl Strings {
    fn tell(&self, command: Command) {
        self.orders.send(command).ok().unwrap();
    }

    async fn heard(&mut self) -> String {
        self.told.recv().await.unwrap()
    }

    async fn listen(&mut self, receiver: u32) -> String {
        self.tell(Command::Listen { receiver: ReceiverId(receiver), tls: false });
        self.heard().await
    }

    async fn connect(&mut self, authority: &str) -> TcpStream {
        let tcp = TcpStream::connect(authority).await.unwrap();
        assert!(self.heard().await.contains("opened at"));
        tcp
    }
}

/// Lets the test have an engine that is driven meanwhile, by either driver.
async fn puppet<F: Future<Output = ()>>(link: Link, test: impl Fn(Strings) -> F) {
    for is_loop in [false, true] {
        let (orders, ordered) = mpsc::unbounded_channel();
        let (tell, told) = mpsc::unbounded_channel();
        let mut engine = Puppet { commands: VecDeque::new(), orders: ordered, told: tell, done: false };
        let (_keep, interrupt) = watch::channel(false);
        let testing = test(Strings { orders, told });
        let link = link.clone();
        let driving = async {
            if is_loop {
                let drive = move || {
                    let limit = Duration::from_secs(60);
                    let part = Part { engine: &mut engine, link: &link, interrupt, limit };
                    drive_together(vec![part], 1, Waiting::Sleep).unwrap();
                };
                tokio::task::spawn_blocking(drive).await.unwrap();
            } else {
                drive(&mut engine, &link, interrupt).await;
            }
        };
        within(async { tokio::join!(driving, testing) }).await;
    }
}

fn nowhere() -> Link {
    plain(&refusing())
}

const ONE: LinkId = LinkId(1);

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_bridge_sends_arrives_and_is_answered() {
    puppet(nowhere(), |mut engine| async move {
        let (first, second) = (engine.listen(1).await, engine.listen(2).await);
        let mut tcp = TcpStream::connect(&first).await.unwrap();
        assert_eq!(engine.heard().await, "1 opened at 1");
        let _other = TcpStream::connect(&second).await.unwrap();
        assert_eq!(engine.heard().await, "2 opened at 2");
        tcp.write_all(b"hello").await.unwrap();
        assert_eq!(engine.heard().await, "1 got hello");
        engine.tell(Command::SendLink { link: ONE, bytes: b"well".to_vec() });
        let mut answer = [0; 4];
        tcp.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"well");
        drop(tcp);
        assert_eq!(engine.heard().await, "1 PeerClosed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_closed_or_reset_as_the_engine_wants_and_nothing_is_told_of_it_any_more() {
    puppet(nowhere(), |mut engine| async move {
        let authority = engine.listen(1).await;
        let mut tcp = engine.connect(&authority).await;
        tcp.write_all(b"unread").await.unwrap();
        assert_eq!(engine.heard().await, "1 got unread");
        engine.tell(Command::SendLink { link: ONE, bytes: b"HTT".to_vec() });
        engine.tell(Command::CloseLink { link: ONE });
        let mut answer = Vec::new();
        tcp.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"HTT");
        let mut tcp = engine.connect(&authority).await;
        engine.tell(Command::ResetLink { link: LinkId(2) });
        let error = tcp.read_to_end(&mut answer).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        drop(tcp);
        assert_eq!(engine.listen(1).await, authority, "nothing was told of the links");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_held_is_not_read_until_it_is_let_go() {
    puppet(nowhere(), |mut engine| async move {
        let authority = engine.listen(1).await;
        let mut tcp = engine.connect(&authority).await;
        engine.tell(Command::HoldLink { link: ONE, hold: true });
        // By the time of the answer the link is held.
        engine.tell(Command::SendLink { link: ONE, bytes: b"x".to_vec() });
        tcp.read_exact(&mut [0]).await.unwrap();
        tcp.write_all(b"later").await.unwrap();
        drop(tcp);
        let mut other = engine.connect(&authority).await;
        other.write_all(b"now").await.unwrap();
        assert_eq!(engine.heard().await, "2 got now");
        engine.tell(Command::HoldLink { link: ONE, hold: false });
        assert_eq!(engine.heard().await, "1 got later");
        assert_eq!(engine.heard().await, "1 PeerClosed");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_stops_refuses_but_keeps_its_links_and_its_port() {
    puppet(nowhere(), |mut engine| async move {
        let authority = engine.listen(1).await;
        let mut tcp = engine.connect(&authority).await;
        engine.tell(Command::StopListening { receiver: ReceiverId(1) });
        engine.tell(Command::SendLink { link: ONE, bytes: b"x".to_vec() });
        tcp.read_exact(&mut [0]).await.unwrap();
        let error = TcpStream::connect(&authority).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
        tcp.write_all(b"still here").await.unwrap();
        assert_eq!(engine.heard().await, "1 got still here");
        assert_eq!(engine.listen(1).await, authority);
        engine.connect(&authority).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_call_bridges_connect_at_once() {
    puppet(nowhere(), |mut engine| async move {
        let authority = engine.listen(1).await;
        let mut connections = Vec::new();
        for number in 0..100 {
            let mut tcp = TcpStream::connect(&authority).await.unwrap();
            tcp.write_all(format!("no {number}").as_bytes()).await.unwrap();
            connections.push(tcp);
        }
        let mut got = 0;
        while got < 100 {
            got += usize::from(engine.heard().await.contains(" got no "));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_target_is_restarted_by_the_command_of_the_user() {
    let limit = Duration::from_secs(20);
    puppet(nowhere(), |mut engine| async move {
        engine.tell(Command::Restart { timeout: limit });
        assert_eq!(engine.heard().await, "restarted: Some(\"there is no command that restarts it\")");
    })
    .await;
    let link = nowhere().with_restart(Some("true"));
    puppet(link, |mut engine| async move {
        engine.tell(Command::Restart { timeout: limit });
        assert_eq!(engine.heard().await, "restarted: None");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_is_taken_is_told_to_the_engine() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let reception = super::listeners::Reception::new(address.to_string().parse().unwrap(), None);
    puppet(nowhere().with_reception(reception), |mut engine| async move {
        let told = engine.listen(1).await;
        assert!(told.starts_with(&format!("{address}: cannot listen: ")), "{told}");
    })
    .await;
}
