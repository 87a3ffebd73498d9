//! The connections of an emulated Call Bridge to CDR receivers.
//!
//! [`Links`] carries out what the emulator's core wants done with them and tells what became of it. Each connection is a
//! task: it connects, with TLS where the address says so, and then moves bytes. The certificate of a receiver is not
//! checked, as far as anything is known of a real Call Bridge. Dropping `Links` ends every connection.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio_rustls::{TlsConnector, TlsStream};

use super::clock::Clock;
use super::failure::chain;
use super::pump::{Incoming, Orders, Outbox, outbox, pump};
use super::stream::Stream;
use super::target::Tls;
use super::tls::ClientTls;
use crate::emulator::{Address, LinkKey};
use crate::time::Instant;

/// How long connecting may take, with the TLS handshake: a receiver that drops packets counts as failed after it.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How many things may wait for the core before connections are no longer read.
const NEWS_QUEUE: usize = 256;

/// How long connections may take to end when the emulator does.
const CLOSING_LIMIT: Duration = Duration::from_secs(1);

/// Of how many receivers and causes it is told that there is no connection.
const MOST_TOLD: usize = 32;

/// Takes what the user should know, in words.
pub type Tell = Box<dyn FnMut(&str) + Send>;

/// What became of a connection.
#[derive(Debug)]
pub(crate) enum News {
    /// It is open.
    Opened,
    /// It could not be opened, and why.
    Failed(String),
    /// Something came from the receiver, with the instant at which it was read.
    Incoming(Incoming, Instant),
}

/// The connections of one emulator.
pub(crate) struct Links {
    clock: Clock,
    sender: mpsc::Sender<(LinkKey, News)>,
    news: mpsc::Receiver<(LinkKey, News)>,
    tasks: JoinSet<()>,
    known: BTreeMap<u64, Known>,
    /// Made when it is first needed.
    tls: Option<Arc<ClientConfig>>,
    /// Who is told of receivers that cannot be reached.
    tell: Option<Tell>,
    /// What was told already.
    told: BTreeSet<String>,
}

/// One connection, from the attempt to open it.
struct Known {
    address: Address,
    outbox: Outbox,
    attempt: Option<AbortHandle>,
}

impl Links {
    /// `tell` is told of receivers that cannot be reached, of each cause once.
    pub(crate) fn new(tell: Option<Tell>, clock: Clock) -> Self {
        let (sender, news) = mpsc::channel(NEWS_QUEUE);
        let (tasks, known, told) = (JoinSet::new(), BTreeMap::new(), BTreeSet::new());
        Self { clock, sender, news, tasks, known, tls: None, tell, told }
    }

    /// Begins to connect; [`News::Opened`] or [`News::Failed`] follows.
    pub(crate) fn open(&mut self, link: LinkKey, address: Address) {
        let (outbox, orders) = outbox();
        let tls = if address.tls { self.tls() } else { None };
        let attempt =
            Some(self.tasks.spawn(carry(link, address.clone(), tls, orders, (self.sender.clone(), self.clock))));
        self.known.insert(link.0, Known { address, outbox, attempt });
        // Tasks that have ended are forgotten here, so that their number stays that of the open connections.
        while self.tasks.try_join_next().is_some() {}
    }

    /// Sends bytes, unless the connection is gone.
    pub(crate) fn send(&self, link: LinkKey, bytes: Vec<u8>) {
        if let Some(known) = self.known.get(&link.0) {
            known.outbox.send(bytes);
        }
    }

    /// Ends a connection in order, or gives up opening it. Nothing is told of it any more.
    pub(crate) fn close(&mut self, link: LinkKey) {
        let Some(known) = self.known.remove(&link.0) else { return };
        match known.attempt {
            Some(attempt) => {
                attempt.abort();
                self.tell_of(&known.address, "no connection in the time that a set has");
            }
            None => known.outbox.close(),
        }
    }

    /// Says that a receiver cannot be reached; of what happens again and again, once.
    fn tell_of(&mut self, address: &Address, why: &str) {
        let Some(tell) = self.tell.as_mut().filter(|_| self.told.len() < MOST_TOLD) else { return };
        let Address { tls, host, port } = address;
        let (host, scheme) =
            (if host.contains(':') { format!("[{host}]") } else { host.clone() }, if *tls { "https" } else { "http" });
        let text = format!("the CDR receiver at {scheme}://{host}:{port} cannot be reached: {why}");
        if self.told.insert(text.clone()) {
            tell(&text);
        }
    }

    /// The next thing that happened to a connection that was not given up.
    pub(crate) async fn next(&mut self) -> (LinkKey, News) {
        loop {
            let Some((link, news)) = self.news.recv().await else {
                // Cannot be: a sender is kept here.
                return std::future::pending().await;
            };
            let Some(known) = self.known.get_mut(&link.0) else { continue };
            match &news {
                News::Opened => known.attempt = None,
                News::Failed(why) => {
                    if let Some(known) = self.known.remove(&link.0) {
                        self.tell_of(&known.address, why);
                    }
                }
                News::Incoming(Incoming::Ended(_), _) => drop(self.known.remove(&link.0)),
                News::Incoming(Incoming::Bytes(_), _) => {}
            }
            return (link, news);
        }
    }

    /// Ends all connections: in order, as far as that goes within a limit.
    pub(crate) async fn end(mut self) {
        self.news.close();
        for known in std::mem::take(&mut self.known).into_values() {
            if let Some(attempt) = known.attempt {
                attempt.abort();
            }
        }
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(CLOSING_LIMIT, ending).await;
        self.tasks.shutdown().await;
    }

    fn tls(&mut self) -> Option<Arc<ClientConfig>> {
        if self.tls.is_none() {
            self.tls = ClientTls::new(&Tls::Insecure).ok().map(|tls| tls.config);
        }
        self.tls.clone()
    }
}

/// Connects, tells, and moves bytes until the end.
async fn carry(
    link: LinkKey,
    address: Address,
    tls: Option<Arc<ClientConfig>>,
    orders: Orders,
    (sender, clock): (mpsc::Sender<(LinkKey, News)>, Clock),
) {
    let connected = tokio::time::timeout(CONNECT_LIMIT, connect(&address, tls)).await;
    // Nobody listens any more when the emulator has ended; then there is nothing left to do.
    match connected {
        Ok(Ok(stream)) => {
            if sender.send((link, News::Opened)).await.is_ok() {
                let wrap = |incoming| (link, News::Incoming(incoming, clock.now()));
                pump(stream, BytesMut::new(), orders, sender, wrap).await;
            }
        }
        failed => {
            let why = match failed {
                Ok(Err(error)) => chain(&error),
                _ => format!("no connection within {} s", CONNECT_LIMIT.as_secs()),
            };
            let _ = sender.send((link, News::Failed(why))).await;
        }
    }
}

async fn connect(address: &Address, tls: Option<Arc<ClientConfig>>) -> io::Result<Stream> {
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await?;
    // Without it small messages wait for acknowledgements; a system that refuses works all the same.
    let _ = tcp.set_nodelay(true);
    if !address.tls {
        return Ok(Stream::Plain(tcp));
    }
    let config = tls.ok_or_else(|| io::Error::other("TLS cannot be used"))?;
    let name = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
    let stream = TlsConnector::from(config).connect(name, tcp).await?;
    Ok(Stream::Tls(Box::new(TlsStream::from(stream))))
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::net::fixtures::within;
    use crate::net::listeners::Listeners;
    use crate::trace::{EndCause, ReceiverId};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    const ONE: LinkKey = LinkKey(1);
    const TWO: LinkKey = LinkKey(2);

    fn address(authority: &str, tls: bool) -> Address {
        let at: SocketAddr = authority.parse().unwrap();
        Address { tls, host: at.ip().to_string(), port: at.port() }
    }

    async fn exchanged(tls: bool) {
        let mut listeners = Listeners::new(Arc::default());
        let authority = listeners.listen(ReceiverId(1), tls).unwrap();
        let mut links = Links::new(None, Clock::start());
        links.open(ONE, address(&authority, tls));
        let ((link, news), (_, mut stream)) = tokio::join!(links.next(), listeners.accept());
        assert!(matches!((link, news), (ONE, News::Opened)));
        links.send(ONE, b"hello".to_vec());
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).await.unwrap();
        stream.write_all(&heard).await.unwrap();
        stream.flush().await.unwrap();
        match links.next().await {
            (ONE, News::Incoming(Incoming::Bytes(bytes), _)) => assert_eq!(&bytes[..], b"hello"),
            other => panic!("{other:?}"),
        }
        drop(stream);
        assert!(matches!(links.next().await, (ONE, News::Incoming(Incoming::Ended(EndCause::PeerClosed), _))));
        links.end().await;
    }

    #[tokio::test]
    async fn bytes_go_both_ways_with_and_without_tls() {
        within(exchanged(false)).await;
        within(exchanged(true)).await;
    }

    #[tokio::test]
    async fn a_connection_that_cannot_be_opened_is_told_and_one_that_was_given_up_is_not() {
        let mut listeners = Listeners::new(Arc::default());
        let authority = listeners.listen(ReceiverId(1), false).unwrap();
        let (sender, told) = std::sync::mpsc::channel();
        let mut links =
            Links::new(Some(Box::new(move |text: &str| drop(sender.send(text.to_owned())))), Clock::start());
        links.open(ONE, address(&authority, false));
        links.close(ONE);
        listeners.stop(ReceiverId(1));
        links.open(TWO, address(&authority, false));
        assert!(matches!(within(links.next()).await, (TWO, News::Failed(_))));
        links.open(TWO, address(&authority, false));
        assert!(matches!(within(links.next()).await, (TWO, News::Failed(_))));
        let told: Vec<String> = told.try_iter().collect();
        assert_eq!(told.len(), 2, "what was given up, and what was refused, twice: {told:?}");
        assert!(told[1].contains(&authority) && told[1].to_lowercase().contains("refused"), "{told:?}");
        links.open(TWO, Address { tls: false, host: format!("{}.invalid", "x".repeat(64)), port: 80 });
        assert!(matches!(within(links.next()).await, (TWO, News::Failed(_))));
        within(links.end()).await;
    }

    #[tokio::test]
    async fn a_receiver_that_does_not_speak_tls_is_a_failure() {
        let mut listeners = Listeners::new(Arc::default());
        let authority = listeners.listen(ReceiverId(1), false).unwrap();
        let mut links = Links::new(None, Clock::start());
        links.open(ONE, address(&authority, true));
        let (_, mut stream) = within(listeners.accept()).await;
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        assert!(matches!(within(links.next()).await, (ONE, News::Failed(_))));
        within(links.end()).await;
    }
}
