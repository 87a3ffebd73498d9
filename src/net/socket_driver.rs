//! The driver that carries out one engine's commands over real sockets.
//!
//! [`drive`] hands the engine what happened, takes its commands, and waits for the next thing to happen, the engine's
//! timer or the user's interrupt. Each exchange, each event connection and each connection of a Call Bridge is a task; they
//! end with the engine: when `drive` returns, or is dropped, no task and no socket of it is left. The contract is
//! `engine/driver.rs`; the ports of CDR receivers are in `listeners`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinError, JoinSet};

use super::clock::Clock;
use super::events_connection::{Answer, open};
use super::http_client::HttpClient;
use super::listeners::{Listeners, Reception};
use super::pump::{Incoming, Orders, Outbox, outbox, pump};
use super::restart;
use super::stream::Stream;
use super::target::{Scheme, Target, Tls};
use super::tls::{ClientTls, Doubts, HandshakeFailure, TlsError};
use crate::engine::driver::{Command, Input};
use crate::engine::{Engine, Scratch};
use crate::protocol::http::{Request, Response};
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, ExchangeId, LinkId, NetworkError, ReceiverId, Sink};

/// How many things may wait for the engine before connections are no longer read.
const EVENT_QUEUE: usize = 256;

/// How long open connections may take to end once the engine is done.
const CLOSING_LIMIT: Duration = Duration::from_secs(2);

/// How long an engine without a timer waits at most before it is asked again: a fault of the engine must not hang a run.
const IDLE_LIMIT: Duration = Duration::from_secs(1);

/// What the driver needs of an engine.
pub trait Driven {
    /// Takes what happened at `now`, which never runs backwards.
    fn handle_input(&mut self, now: Instant, input: Input<'_>);

    /// The next command, if there is one.
    fn poll_command(&mut self) -> Option<Command>;

    /// When the engine wants a tick.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Whether the scenario is over and cleaned up.
    fn is_done(&self) -> bool;

    /// Takes back the bytes of a [`Command::Send`] or [`Command::SendLink`] that were sent, to use them again.
    fn recycle(&mut self, bytes: Vec<u8>) {
        drop(bytes);
    }

    /// Takes another scratch and hands out its own, if it has one.
    fn exchange_scratch(&mut self, scratch: &mut Box<Scratch>) {
        let _ = scratch;
    }
}

impl<'s, S: Sink + Send + 's> Driven for Engine<'s, S> {
    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        Self::handle_input(self, now, input);
    }

    fn poll_command(&mut self) -> Option<Command> {
        Self::poll_command(self)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        Self::poll_timeout(self)
    }

    fn is_done(&self) -> bool {
        Self::is_done(self)
    }

    fn recycle(&mut self, bytes: Vec<u8>) {
        Self::recycle(self, bytes);
    }

    fn exchange_scratch(&mut self, scratch: &mut Box<Scratch>) {
        Self::exchange_scratch(self, scratch);
    }
}

/// The way to one target and back: its clients, set up once, where receivers listen for it, and the clock. Clones share
/// everything.
#[derive(Debug, Clone)]
pub struct Link {
    target: Arc<Target>,
    http: HttpClient,
    tls: ClientTls,
    clock: Clock,
    reception: Arc<Reception>,
    first_receiver: u16,
    restart: Option<Arc<str>>,
}

impl Link {
    /// A way to that target; nothing is sent yet.
    ///
    /// # Errors
    /// Trusted certificates that cannot be used.
    pub fn new(target: Target, clock: Clock) -> Result<Self, TlsError> {
        let target = Arc::new(target);
        let tls = match target.origin.scheme() {
            Scheme::Https => ClientTls::new(&target.tls)?,
            // Never used, so it must not fail because the system trusts nobody.
            Scheme::Http => ClientTls::new(&Tls::Insecure)?,
        };
        let http = HttpClient::new(Arc::clone(&target), &tls)?;
        Ok(Self { http, target, tls, clock, reception: Arc::default(), first_receiver: 0, restart: None })
    }

    /// Has CDR receivers listen elsewhere than on free ports of the loopback interface.
    #[must_use]
    pub fn with_reception(self, reception: impl Into<Arc<Reception>>) -> Self {
        Self { reception: reception.into(), ..self }
    }

    /// Has the first CDR receiver take the port of this number, counted from 0: other links of the run have those before it.
    #[must_use]
    pub fn with_first_receiver(self, first_receiver: u16) -> Self {
        Self { first_receiver, ..self }
    }

    /// Where CDR receivers listen.
    pub fn reception(&self) -> &Reception {
        &self.reception
    }

    /// Gives the command that restarts the Call Bridge of the target.
    #[must_use]
    pub fn with_restart(self, command: Option<&str>) -> Self {
        Self { restart: command.map(Arc::from), ..self }
    }

    /// The target.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The clock of the run.
    pub const fn clock(&self) -> Clock {
        self.clock
    }

    /// The client for API exchanges.
    pub const fn http(&self) -> &HttpClient {
        &self.http
    }

    /// Opens an event connection within `timeout`.
    pub(super) async fn open(&self, request: &Request, timeout: Duration) -> Result<Answer, NetworkError> {
        open(&self.target, &self.tls, request, timeout).await
    }

    /// Has the Call Bridge restarted within `timeout`. Why that failed, if it did.
    pub(super) async fn restart(&self, timeout: Duration) -> Option<String> {
        match &self.restart {
            Some(command) => restart::run(command, timeout).await,
            None => Some("there is no command that restarts it".to_owned()),
        }
    }

    /// Where CDR receivers listen, to be listened on.
    pub(super) fn listeners(&self) -> Listeners {
        Listeners::new(Arc::clone(&self.reception)).starting_at(self.first_receiver)
    }

    /// What was wrong with the certificate, where everything is trusted.
    pub const fn doubts(&self) -> &Doubts {
        &self.tls.doubts
    }
}

/// Runs `engine` over the target of `link` until it is done. When `interrupt` becomes true, the engine is told once.
pub async fn drive(engine: &mut impl Driven, link: &Link, mut interrupt: watch::Receiver<bool>) {
    let (sender, mut happened) = mpsc::channel(EVENT_QUEUE);
    let mut driver = Driver::new(link, sender);
    let mut interruptible = true;
    engine.handle_input(link.clock.now(), Input::Tick);
    loop {
        while let Some(command) = engine.poll_command() {
            driver.carry_out(engine, command);
        }
        if engine.is_done() {
            break;
        }
        driver.reap();
        let idle = Some(link.clock.now() + IDLE_LIMIT);
        let wake = engine.poll_timeout().or(idle);
        tokio::select! {
            Some(event) = happened.recv() => driver.tell(engine, event),
            (receiver, link) = driver.listeners.next_link() => driver.begin_link(engine, receiver, link),
            () = link.clock.sleep_until(wake) => engine.handle_input(link.clock.now(), Input::Tick),
            () = told(&mut interrupt), if interruptible => {
                interruptible = false;
                engine.handle_input(link.clock.now(), Input::Interrupt);
            }
        }
    }
    drop(happened);
    driver.end().await;
}

/// Waits until the user wants an end; for ever if nobody can say so any more.
async fn told(interrupt: &mut watch::Receiver<bool>) {
    if interrupt.wait_for(|wanted| *wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
}

enum Happened {
    Responded(ExchangeId, Result<Response, NetworkError>),
    Opened(ConnectionId, Response),
    Refused(ConnectionId, Response),
    OpenFailed(ConnectionId, NetworkError),
    Incoming(ConnectionId, Incoming),
    Link(LinkId, Incoming),
    Restarted(Option<String>),
}

impl Happened {
    /// What it is about, if that can be given up.
    const fn about(&self) -> Option<About> {
        match self {
            Self::Responded(..) | Self::Restarted(_) => None,
            Self::Opened(id, _) | Self::Refused(id, _) | Self::OpenFailed(id, _) | Self::Incoming(id, _) => {
                Some(About::Connection(*id))
            }
            Self::Link(id, _) => Some(About::Link(*id)),
        }
    }
}

#[derive(Clone, Copy)]
enum About {
    Connection(ConnectionId),
    Link(LinkId),
}

/// One connection, from the attempt to open it.
struct Connection {
    outbox: Outbox,
    attempt: Option<AbortHandle>,
}

struct Driver<'l> {
    link: &'l Link,
    sender: mpsc::Sender<Happened>,
    exchanges: JoinSet<()>,
    connections: JoinSet<()>,
    open: BTreeMap<ConnectionId, Connection>,
    listeners: Listeners,
    links: BTreeMap<LinkId, Outbox>,
    last_link: u32,
}

impl<'l> Driver<'l> {
    fn new(link: &'l Link, sender: mpsc::Sender<Happened>) -> Self {
        Self {
            link,
            sender,
            exchanges: JoinSet::new(),
            connections: JoinSet::new(),
            open: BTreeMap::new(),
            listeners: link.listeners(),
            links: BTreeMap::new(),
            last_link: 0,
        }
    }

    fn carry_out(&mut self, engine: &mut impl Driven, command: Command) {
        match command {
            Command::Request { exchange, request, timeout } => {
                let (http, sender) = (self.link.http.clone(), self.sender.clone());
                self.exchanges.spawn(async move {
                    let outcome = http.exchange(&request, timeout).await;
                    // Nobody listens any more when the engine is done.
                    let _ = sender.send(Happened::Responded(exchange, outcome)).await;
                });
            }
            Command::Open { connection, request, timeout } => {
                let (outbox, orders) = outbox();
                let task = run_connection(self.link.clone(), connection, request, timeout, orders, self.sender.clone());
                let attempt = Some(self.connections.spawn(task));
                self.open.insert(connection, Connection { outbox, attempt });
            }
            Command::Send { connection, bytes } => {
                if let Some(open) = self.open.get(&connection) {
                    open.outbox.send(bytes);
                }
            }
            Command::Close { connection } => self.end_one(connection, Outbox::close),
            Command::Drop { connection } => self.end_one(connection, Outbox::reset),
            Command::Listen { receiver, tls } => {
                let input = match self.listeners.listen(receiver, tls) {
                    Ok(authority) => Input::Listening { receiver, authority },
                    Err(error) => Input::ListenFailed { receiver, error },
                };
                engine.handle_input(self.link.clock.now(), input);
            }
            Command::StopListening { receiver } => self.listeners.stop(receiver),
            Command::SendLink { link, bytes } => {
                if let Some(outbox) = self.links.get(&link) {
                    outbox.send(bytes);
                }
            }
            Command::HoldLink { link, hold } => {
                if let Some(outbox) = self.links.get(&link) {
                    outbox.hold(hold);
                }
            }
            Command::CloseLink { link } => drop(self.links.remove(&link).map(Outbox::close)),
            Command::ResetLink { link } => drop(self.links.remove(&link).map(Outbox::reset)),
            Command::Restart { timeout } => {
                let (link, sender) = (self.link.clone(), self.sender.clone());
                self.exchanges.spawn(async move {
                    let failure = link.restart(timeout).await;
                    let _ = sender.send(Happened::Restarted(failure)).await;
                });
            }
        }
    }

    /// A Call Bridge has connected.
    fn begin_link(&mut self, engine: &mut impl Driven, receiver: ReceiverId, link: Result<Stream, HandshakeFailure>) {
        let stream = match link {
            Ok(stream) => stream,
            Err(HandshakeFailure { what, by_peer }) => {
                let failed = Input::HandshakeFailed { receiver, what: &what, by_peer };
                return engine.handle_input(self.link.clock.now(), failed);
            }
        };
        self.last_link += 1;
        let link = LinkId(self.last_link);
        let (outbox, orders) = outbox();
        let wrap = move |incoming| Happened::Link(link, incoming);
        self.connections.spawn(pump(stream, BytesMut::new(), orders, self.sender.clone(), wrap));
        self.links.insert(link, outbox);
        engine.handle_input(self.link.clock.now(), Input::LinkOpened { receiver, link });
    }

    fn end_one(&mut self, connection: ConnectionId, how: impl FnOnce(Outbox)) {
        let Some(open) = self.open.remove(&connection) else { return };
        match open.attempt {
            Some(attempt) => attempt.abort(),
            None => how(open.outbox),
        }
    }

    /// Tells the engine what happened, unless it is about a connection that one of both has given up.
    fn tell(&mut self, engine: &mut impl Driven, event: Happened) {
        let now = self.link.clock.now();
        let given_up = match event.about() {
            Some(About::Connection(id)) => !self.open.contains_key(&id),
            Some(About::Link(id)) => !self.links.contains_key(&id),
            None => false,
        };
        if given_up {
            return;
        }
        match event {
            Happened::Responded(exchange, Ok(response)) => {
                engine.handle_input(now, Input::Responded { exchange, response });
            }
            Happened::Responded(exchange, Err(error)) => {
                engine.handle_input(now, Input::RequestFailed { exchange, error });
            }
            Happened::Opened(connection, response) => {
                if let Some(open) = self.open.get_mut(&connection) {
                    open.attempt = None;
                }
                engine.handle_input(now, Input::Opened { connection, response });
            }
            Happened::Refused(connection, response) => {
                self.open.remove(&connection);
                engine.handle_input(now, Input::Refused { connection, response });
            }
            Happened::OpenFailed(connection, error) => {
                self.open.remove(&connection);
                engine.handle_input(now, Input::OpenFailed { connection, error });
            }
            Happened::Incoming(connection, Incoming::Bytes(bytes)) => {
                engine.handle_input(now, Input::Received { connection, bytes: &bytes });
            }
            Happened::Incoming(connection, Incoming::Ended(cause)) => {
                // What was sent before is still written, and our side is then closed in order.
                self.open.remove(&connection);
                engine.handle_input(now, Input::Ended { connection, cause });
            }
            Happened::Link(link, Incoming::Bytes(bytes)) => {
                engine.handle_input(now, Input::LinkReceived { link, bytes: &bytes });
            }
            Happened::Link(link, Incoming::Ended(cause)) => self.finish_link(engine, link, cause),
            Happened::Restarted(failure) => engine.handle_input(now, Input::Restarted { failure }),
        }
    }

    /// A Call Bridge has ended its connection. What was sent before is still written, and our side then closed in order.
    fn finish_link(&mut self, engine: &mut impl Driven, link: LinkId, cause: EndCause) {
        self.links.remove(&link);
        engine.handle_input(self.link.clock.now(), Input::LinkEnded { link, cause });
    }

    /// Forgets tasks that have ended.
    fn reap(&mut self) {
        while let Some(ended) = self.exchanges.try_join_next() {
            check(ended);
        }
        while let Some(ended) = self.connections.try_join_next() {
            check(ended);
        }
    }

    /// Ends what is left: connections in order, exchanges at once.
    async fn end(mut self) {
        for (_, open) in std::mem::take(&mut self.open) {
            if let Some(attempt) = open.attempt {
                attempt.abort();
            }
        }
        self.links.clear();
        self.exchanges.abort_all();
        let closing = async { while self.connections.join_next().await.is_some() {} };
        // What does not end in order within the limit is ended by the abort.
        let _ = tokio::time::timeout(CLOSING_LIMIT, closing).await;
        self.connections.shutdown().await;
        self.exchanges.shutdown().await;
    }
}

/// A task that was aborted is in order; one that panicked is our fault, which must not look like a silent peer.
pub(super) fn check(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        std::panic::resume_unwind(error.into_panic());
    }
}

async fn run_connection(
    link: Link,
    connection: ConnectionId,
    request: Request,
    timeout: Duration,
    orders: Orders,
    sender: mpsc::Sender<Happened>,
) {
    // Nobody listens any more when the engine is done; then there is nothing left to do.
    match link.open(&request, timeout).await {
        Ok(Answer::Opened { response, stream, early }) => {
            if sender.send(Happened::Opened(connection, response)).await.is_ok() {
                pump(stream, early, orders, sender, |incoming| Happened::Incoming(connection, incoming)).await;
            }
        }
        Ok(Answer::Refused(response)) => {
            let _ = sender.send(Happened::Refused(connection, response)).await;
        }
        Err(error) => {
            let _ = sender.send(Happened::OpenFailed(connection, error)).await;
        }
    }
}
