//! What a loop has done by tasks since it happens seldom: exchanges, openings, accepting connections, restarts.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::time::Duration;

use bytes::BytesMut;
use mio::Waker;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};

use super::super::events_connection::Answer;
use super::super::failure::of_io;
use super::super::socket_driver::{Link, check};
use super::super::stream::Stream;
use super::super::tls::HandshakeFailure;
use crate::protocol::http::{Request, Response};
use crate::trace::{ConnectionId, ExchangeId, NetworkError, NetworkErrorKind, ReceiverId};

/// How long the loop waits until a port is closed. The task that does it only has to be woken.
const STOP_LIMIT: Duration = Duration::from_secs(1);

/// What a task has to tell the loop.
pub(super) enum Told {
    Responded(ExchangeId, Result<Response, NetworkError>),
    /// With what came behind the answer.
    Opened(ConnectionId, Response, Stream, BytesMut),
    Refused(ConnectionId, Response),
    OpenFailed(ConnectionId, NetworkError),
    Listening(ReceiverId, Result<String, NetworkError>),
    /// With the number of the order by which the receiver listened.
    Link(ReceiverId, u64, Result<Stream, HandshakeFailure>),
    Restarted(Option<String>),
    Interrupt,
}

/// The way from a task to its part of the loop.
#[derive(Clone)]
pub(super) struct Way {
    part: usize,
    sender: Sender<(usize, Told)>,
    waker: Arc<Waker>,
}

impl Way {
    pub(super) const fn new(part: usize, sender: Sender<(usize, Told)>, waker: Arc<Waker>) -> Self {
        Self { part, sender, waker }
    }

    fn tell(&self, told: Told) {
        // Where nobody listens any more, the loop is over. One that cannot be woken looks after a second at the latest.
        let _ = self.sender.send((self.part, told));
        let _ = self.waker.wake();
    }
}

enum Order {
    /// With the number of the order.
    Listen(ReceiverId, bool, u64),
    /// Something is sent when the port is closed.
    Stop(ReceiverId, SyncSender<()>),
}

/// The tasks of one engine. Dropping it ends them.
pub(super) struct Aside {
    link: Link,
    way: Way,
    tasks: JoinSet<()>,
    runtime: Handle,
    /// To the task that has the ports of receivers, once there is one.
    ports: Option<mpsc::UnboundedSender<Order>>,
    /// How many orders there were about ports.
    orders: u64,
    /// The last order to stop that each receiver got.
    stops: BTreeMap<ReceiverId, u64>,
}

impl Aside {
    /// The engine is interrupted when one of `interrupts` becomes true.
    pub(super) fn new(link: Link, interrupts: [watch::Receiver<bool>; 2], way: Way, runtime: Handle) -> Self {
        let mut tasks = JoinSet::new();
        for mut interrupt in interrupts {
            let to_loop = way.clone();
            let waits = async move {
                // An error means that nobody can interrupt any more.
                if interrupt.wait_for(|wanted| *wanted).await.is_ok() {
                    to_loop.tell(Told::Interrupt);
                }
            };
            tasks.spawn_on(waits, &runtime);
        }
        Self { link, way, tasks, runtime, ports: None, orders: 0, stops: BTreeMap::new() }
    }

    /// What an event connection failed of in this program.
    pub(super) fn failed(&self, error: &std::io::Error) -> NetworkError {
        of_io(&self.link.target().events_url(), error, NetworkErrorKind::Connect)
    }

    fn spawn(&mut self, task: impl Future<Output = Told> + Send + 'static) -> AbortHandle {
        let way = self.way.clone();
        self.tasks.spawn_on(async move { way.tell(task.await) }, &self.runtime)
    }

    pub(super) fn request(&mut self, exchange: ExchangeId, request: Request, timeout: Duration) {
        let http = self.link.http().clone();
        self.spawn(async move { Told::Responded(exchange, http.exchange(&request, timeout).await) });
    }

    /// Begins to open an event connection, which can be given up.
    pub(super) fn open(&mut self, connection: ConnectionId, request: Request, timeout: Duration) -> AbortHandle {
        let link = self.link.clone();
        self.spawn(async move {
            match link.open(&request, timeout).await {
                Ok(Answer::Opened { response, stream, early }) => Told::Opened(connection, response, stream, early),
                Ok(Answer::Refused(response)) => Told::Refused(connection, response),
                Err(error) => Told::OpenFailed(connection, error),
            }
        })
    }

    pub(super) fn restart(&mut self, timeout: Duration) {
        let link = self.link.clone();
        self.spawn(async move { Told::Restarted(link.restart(timeout).await) });
    }

    pub(super) fn listen(&mut self, receiver: ReceiverId, tls: bool) {
        self.orders += 1;
        self.order(Order::Listen(receiver, tls, self.orders));
    }

    /// Waits until the port is closed: what the engine wants next is to happen after that.
    pub(super) fn stop_listening(&mut self, receiver: ReceiverId) {
        let (close, closed) = sync_channel(1);
        self.orders += 1;
        self.stops.insert(receiver, self.orders);
        self.order(Order::Stop(receiver, close));
        // An error means that the task has ended, and the port with it, or that the machine is at a standstill.
        let _ = closed.recv_timeout(STOP_LIMIT);
    }

    /// Whether somebody who came to a receiver when it listened by that order is welcome: not once it was told to stop.
    pub(super) fn is_welcome(&self, receiver: ReceiverId, number: u64) -> bool {
        self.stops.get(&receiver).is_none_or(|stop| number > *stop)
    }

    fn order(&mut self, order: Order) {
        let ports = self.ports.get_or_insert_with(|| {
            let (sender, orders) = mpsc::unbounded_channel();
            self.tasks.spawn_on(keep_ports(self.link.clone(), orders, self.way.clone()), &self.runtime);
            sender
        });
        // The task ends with this.
        let _ = ports.send(order);
    }

    /// Forgets tasks that have ended.
    pub(super) fn reap(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            check(ended);
        }
    }

    /// Ends what is under way.
    pub(super) fn end(&mut self) {
        self.ports = None;
        self.tasks.abort_all();
    }
}

/// Has the ports of receivers, and hands on who connects.
async fn keep_ports(link: Link, mut orders: mpsc::UnboundedReceiver<Order>, way: Way) {
    let mut listeners = link.listeners();
    let mut numbers = BTreeMap::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(Order::Listen(receiver, tls, number)) => {
                    numbers.insert(receiver, number);
                    way.tell(Told::Listening(receiver, listeners.listen(receiver, tls)));
                }
                Some(Order::Stop(receiver, close)) => {
                    listeners.stop(receiver);
                    // Where nobody waits for it any more, nothing is lost.
                    let _ = close.send(());
                }
                None => return,
            },
            (receiver, link) = listeners.next_link() => {
                let number = numbers.get(&receiver).copied().unwrap_or_default();
                way.tell(Told::Link(receiver, number, link));
            }
        }
    }
}
