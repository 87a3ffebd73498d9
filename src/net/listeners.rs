//! Ports that Call Bridges connect to, with or without TLS.
//!
//! [`Reception`] says where CDR receivers listen and what a Call Bridge is told of it; `Listeners` opens, closes and
//! reopens them and hands out connections. A receiver that stops listening refuses at once and keeps its port, so that
//! it can be found there again. A TLS handshake that fails, or takes too long, is no connection.

use std::collections::BTreeMap;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::failure::network_error;
use super::stream::Stream;
use super::tls::{HandshakeFailure, ServerTls, TlsError};
use crate::trace::{NetworkError, NetworkErrorKind, ReceiverId};

/// How many connections may wait to be accepted: more than the hundred that a test opens at once.
const BACKLOG: u32 = 1024;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How many TLS handshakes may be under way; further connections wait to be accepted.
const HANDSHAKES: usize = 256;

/// How long to wait when the system can give no further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address to listen on, with the ports that may be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAddress {
    /// The address of this machine.
    pub ip: IpAddr,
    /// The port of the first receiver; further receivers take those behind it. 0: any free port for each.
    pub first_port: u16,
    /// The last port that may be taken.
    pub last_port: u16,
}

impl Default for ListenAddress {
    /// Any free port of the loopback interface.
    fn default() -> Self {
        Self { ip: Ipv4Addr::LOCALHOST.into(), first_port: 0, last_port: u16::MAX }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("`{text}` is no address; write 10.0.0.5, 10.0.0.5:9000, 10.0.0.5:9000-9003 or [::1]:9000");
        if let Ok(ip) = text.trim_matches(['[', ']']).parse() {
            return Ok(Self { ip, ..Self::default() });
        }
        let (ip, ports) = text.rsplit_once(':').ok_or_else(wrong)?;
        let ip = ip.trim_matches(['[', ']']).parse().map_err(|_| wrong())?;
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (first, Some(last)),
            None => (ports, None),
        };
        let first_port: u16 = first.parse().map_err(|_| wrong())?;
        let last_port = last.map_or(Ok(u16::MAX), str::parse).map_err(|_| wrong())?;
        let usable = first_port <= last_port && (first_port > 0 || last.is_none());
        if usable { Ok(Self { ip, first_port, last_port }) } else { Err(wrong()) }
    }
}

impl ListenAddress {
    /// The address of the receiver of that number, counted from 0; `None` where the ports do not suffice.
    pub fn of(&self, number: u16) -> Option<SocketAddr> {
        let port = match self.first_port {
            0 => 0,
            first => first.checked_add(number).filter(|port| *port <= self.last_port)?,
        };
        Some(SocketAddr::new(self.ip, port))
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", SocketAddr::new(self.ip, self.first_port))?;
        if self.last_port == u16::MAX { Ok(()) } else { write!(f, "-{}", self.last_port) }
    }
}

/// What a Call Bridge is told instead of the address that is listened on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub host: String,
    /// The port of the first receiver, where it differs; those of further receivers follow.
    pub port: Option<u16>,
}

impl Advertised {
    /// The host and port of the receiver of that number, counted from 0, which listens on `address`.
    pub fn authority(&self, address: SocketAddr, number: u16) -> String {
        let port = self.port.map_or_else(|| address.port(), |port| port.saturating_add(number));
        format!("{}:{port}", self.host)
    }

    /// The name that a certificate has to have.
    pub fn name(&self) -> String {
        self.host.trim_matches(['[', ']']).to_owned()
    }
}

impl FromStr for Advertised {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no address; write lab.example.org or 192.0.2.7:9000");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !text.ends_with(']') => (host, Some(port.parse().map_err(|_| wrong())?)),
            _ => (text, None),
        };
        let host = url::Host::parse(host).map_err(|_| wrong())?;
        if port == Some(0) { Err(wrong()) } else { Ok(Self { host: host.to_string(), port }) }
    }
}

impl fmt::Display for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Where receivers listen, what a Call Bridge is told of it, and the certificate that they show.
#[derive(Debug, Default)]
pub struct Reception {
    listen: ListenAddress,
    advertise: Option<Advertised>,
    made: OnceLock<ServerTls>,
    failure: OnceLock<NetworkError>,
}

impl Reception {
    /// Receivers on `listen`; a Call Bridge is told `advertise`, if there is one.
    pub fn new(listen: ListenAddress, advertise: Option<Advertised>) -> Self {
        Self { listen, advertise, ..Self::default() }
    }

    /// Looks whether the first receiver could listen. Needs a tokio runtime.
    ///
    /// # Errors
    /// The address, and why not.
    pub fn check(&self) -> Result<(), NetworkError> {
        let Some(address) = self.listen.of(0) else { return Ok(()) };
        let failed = |error: io::Error| {
            network_error(NetworkErrorKind::Connect, address.to_string(), format!("cannot listen: {error}"))
        };
        open(address).map(drop).map_err(failed)
    }

    /// The first receiver that could not listen, and why, if there was one.
    pub fn failure(&self) -> Option<&NetworkError> {
        self.failure.get()
    }

    /// The host and port under which a Call Bridge reaches the receiver of that number, which listens on `address`.
    fn authority(&self, number: u16, address: SocketAddr) -> String {
        self.advertise.as_ref().map_or_else(|| address.to_string(), |told| told.authority(address, number))
    }

    /// The certificate; made when it is first asked for.
    fn tls(&self) -> Result<TlsAcceptor, TlsError> {
        let tls = match self.made.get() {
            Some(tls) => tls,
            None => {
                let host = self.advertise.as_ref().map(Advertised::name);
                let made = ServerTls::self_made(&[host.unwrap_or_else(|| self.listen.ip.to_string())])?;
                self.made.get_or_init(|| made)
            }
        };
        Ok(TlsAcceptor::from(Arc::clone(&tls.config)))
    }
}

/// One receiver's port.
struct Port {
    number: u16,
    address: SocketAddr,
    /// Holds the port while nobody listens, so that the system gives it to nobody else.
    _reserved: Option<TcpSocket>,
    tls: Option<TlsAcceptor>,
    open: Option<TcpListener>,
    /// How many times it was opened.
    generation: u64,
}

/// The ports of all receivers of one engine. Dropping it closes them.
pub(crate) struct Listeners {
    reception: Arc<Reception>,
    /// The number of the first receiver: others of the same run may have those before it.
    first: u16,
    ports: BTreeMap<ReceiverId, Port>,
    handshakes: JoinSet<Handshake>,
}

/// What became of a handshake.
struct Handshake {
    receiver: ReceiverId,
    generation: u64,
    outcome: Result<Stream, HandshakeFailure>,
}

enum Came {
    Tcp(ReceiverId, io::Result<TcpStream>),
    Handshake(Handshake),
}

impl Listeners {
    pub(crate) fn new(reception: Arc<Reception>) -> Self {
        Self { reception, first: 0, ports: BTreeMap::new(), handshakes: JoinSet::new() }
    }

    /// Has the first receiver take the port of this number, counted from 0.
    pub(crate) fn starting_at(self, first: u16) -> Self {
        Self { first, ..self }
    }

    /// Lets a receiver listen, where it listened before if it did. Tells under which host and port it is reached.
    ///
    /// # Errors
    /// The address, and why it cannot be listened on.
    pub(crate) fn listen(&mut self, receiver: ReceiverId, tls: bool) -> Result<String, NetworkError> {
        let listening = self.try_to_listen(receiver, tls);
        if let Err(error) = &listening {
            self.reception.failure.get_or_init(|| error.clone());
        }
        listening
    }

    fn try_to_listen(&mut self, receiver: ReceiverId, tls: bool) -> Result<String, NetworkError> {
        let known = self.ports.get(&receiver).map(|port| (port.number, port.address));
        let number = known.map_or_else(
            || u16::try_from(self.ports.len()).unwrap_or(u16::MAX).saturating_add(self.first),
            |(number, _)| number,
        );
        let failed = |address: String, cause: String| {
            network_error(NetworkErrorKind::Connect, address, format!("cannot listen: {cause}"))
        };
        let listen = self.reception.listen;
        let tls = match tls.then(|| self.reception.tls()).transpose() {
            Ok(tls) => tls,
            Err(error) => return Err(failed(listen.to_string(), error.to_string())),
        };
        let Some(wanted) = known.map(|(_, address)| address).or_else(|| listen.of(number)) else {
            let cause = format!("these are too few ports for {} receivers", u32::from(number) + 1);
            return Err(failed(listen.to_string(), cause));
        };
        let of_io = |error: io::Error| failed(wanted.to_string(), error.to_string());
        let address = match self.ports.get_mut(&receiver) {
            Some(port) => {
                // A receiver that listens already goes on doing so.
                if port.open.is_none() {
                    port.open = Some(open(wanted).map_err(of_io)?);
                    port.generation += 1;
                    port.tls = tls;
                }
                port.address
            }
            None => {
                let reserved = reserve(wanted).map_err(of_io)?;
                let place = reserved.as_ref().map_or(Ok(wanted), TcpSocket::local_addr).map_err(of_io)?;
                let listener = open(place).map_err(of_io)?;
                let address = listener.local_addr().map_err(of_io)?;
                let port = Port { number, address, _reserved: reserved, tls, open: Some(listener), generation: 0 };
                self.ports.insert(receiver, port);
                address
            }
        };
        Ok(self.reception.authority(number, address))
    }

    /// Lets a receiver take no more connections; it keeps its port.
    pub(crate) fn stop(&mut self, receiver: ReceiverId) {
        if let Some(port) = self.ports.get_mut(&receiver) {
            port.open = None;
        }
    }

    /// The next connection, and whose it is; for ever pending while nobody listens.
    #[cfg(test)]
    pub(crate) async fn accept(&mut self) -> (ReceiverId, Stream) {
        loop {
            if let (receiver, Ok(stream)) = self.next_link().await {
                return (receiver, stream);
            }
        }
    }

    /// The next connection, or handshake that failed, and whose it is; for ever pending while nobody listens.
    pub(crate) async fn next_link(&mut self) -> (ReceiverId, Result<Stream, HandshakeFailure>) {
        loop {
            match self.next().await {
                Came::Tcp(receiver, Ok(tcp)) => {
                    // Without it small answers wait for acknowledgements; a system that refuses works all the same.
                    let _ = tcp.set_nodelay(true);
                    // A peer that vanished without a word is found out in the end.
                    let _ = socket2::SockRef::from(&tcp).set_keepalive(true);
                    let Some(port) = self.ports.get(&receiver) else { continue };
                    match port.tls.clone() {
                        None => return (receiver, Ok(Stream::Plain(tcp))),
                        Some(acceptor) => {
                            let generation = port.generation;
                            self.handshakes.spawn(async move {
                                let outcome = shake_hands(acceptor, tcp).await;
                                Handshake { receiver, generation, outcome }
                            });
                        }
                    }
                }
                // Out of file descriptors, or a connection that was gone at once: neither ends the receiver.
                Came::Tcp(_, Err(_)) => tokio::time::sleep(ACCEPT_PAUSE).await,
                Came::Handshake(Handshake { receiver, generation, outcome }) => {
                    let listens = |port: &Port| port.open.is_some() && port.generation == generation;
                    if self.ports.get(&receiver).is_some_and(listens) {
                        return (receiver, outcome);
                    }
                }
            }
        }
    }

    async fn next(&mut self) -> Came {
        poll_fn(|context| {
            while let Poll::Ready(Some(ended)) = self.handshakes.poll_join_next(context) {
                // An aborted task has nothing to tell, and one that panicked would be told by the TLS library's own tests.
                if let Ok(handshake) = ended {
                    return Poll::Ready(Came::Handshake(handshake));
                }
            }
            if self.handshakes.len() >= HANDSHAKES {
                return Poll::Pending;
            }
            for (receiver, port) in &self.ports {
                if let Some(listener) = &port.open
                    && let Poll::Ready(accepted) = listener.poll_accept(context)
                {
                    return Poll::Ready(Came::Tcp(*receiver, accepted.map(|(tcp, _)| tcp)));
                }
            }
            Poll::Pending
        })
        .await
    }
}

/// The connection after its handshake, if that succeeds in time.
async fn shake_hands(acceptor: TlsAcceptor, tcp: TcpStream) -> Result<Stream, HandshakeFailure> {
    let shaken = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(tcp)).await;
    let tls = shaken.map_err(|_| HandshakeFailure::too_slow())?.map_err(|error| HandshakeFailure::from(&error))?;
    Ok(Stream::Tls(Box::new(TlsStream::from(tls))))
}

/// A socket at that address that does not listen yet.
fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Connections of before that are still closing must not stand in the way. On Windows the option means more than that.
    if cfg!(unix) {
        socket.set_reuseaddr(true)?;
    }
    socket.bind(address)?;
    Ok(socket)
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    bind(address)?.listen(BACKLOG)
}

/// Holds a port that may not be in use. Linux lets a listener join a bound socket that does not listen, and refuses
/// connections to the bound socket alone; other systems do not, and there the port is free while nobody listens.
fn reserve(address: SocketAddr) -> io::Result<Option<TcpSocket>> {
    if cfg!(target_os = "linux") { bind(address).map(Some) } else { Ok(None) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fixtures::within;

    const ONE: ReceiverId = ReceiverId(1);
    const TWO: ReceiverId = ReceiverId(2);

    #[test]
    fn addresses_to_listen_on_have_one_port_a_range_or_none() {
        let ports = |text: &str| {
            let address: ListenAddress = text.parse().unwrap();
            [0, 1, 9].map(|number| address.of(number).map(|at| at.to_string()))
        };
        let all = |texts: [&str; 3]| texts.map(|text| Some(text.to_owned()));
        assert_eq!(ports("10.0.0.5"), all(["10.0.0.5:0"; 3]));
        assert_eq!(ports("[::1]:7000"), all(["[::1]:7000", "[::1]:7001", "[::1]:7009"]));
        assert_eq!(ports("::1"), all(["[::1]:0"; 3]));
        let few = [Some("10.0.0.5:9000".to_owned()), Some("10.0.0.5:9001".to_owned()), None];
        assert_eq!(ports("10.0.0.5:9000-9003"), few);
        for wrong in ["", "lab", "10.0.0.5:", "10.0.0.5:9-8", "10.0.0.5:0-8", "10.0.0.5:65536", "10.0.0.5:9-"] {
            assert!(wrong.parse::<ListenAddress>().unwrap_err().contains("write 10.0.0.5"), "{wrong}");
        }
        assert_eq!("10.0.0.5:9000-9003".parse::<ListenAddress>().unwrap().to_string(), "10.0.0.5:9000-9003");
    }

    #[test]
    fn a_call_bridge_is_told_what_is_advertised() {
        let told = |advertise: Option<&str>| {
            let reception = Reception::new(ListenAddress::default(), advertise.map(|text| text.parse().unwrap()));
            reception.authority(1, ([127, 0, 0, 1], 4000).into())
        };
        assert_eq!(told(None), "127.0.0.1:4000");
        assert_eq!(told(Some("lab.example.org")), "lab.example.org:4000");
        assert_eq!(told(Some("192.0.2.7:9000")), "192.0.2.7:9001");
        assert_eq!(told(Some("[2001:db8::1]:9000")), "[2001:db8::1]:9001");
        assert_eq!(told(Some("[2001:db8::1]")), "[2001:db8::1]:4000");
        for wrong in ["", "a b", "host:", "host:0", "host:x", "http://host"] {
            assert!(wrong.parse::<Advertised>().is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn a_receiver_that_stops_refuses_and_comes_back_at_the_same_port() {
        let mut listeners = Listeners::new(Arc::default());
        let authority = listeners.listen(ONE, false).unwrap();
        let other = listeners.listen(TWO, false).unwrap();
        assert_ne!(authority, other);
        let (client, (receiver, _stream)) =
            within(async { tokio::join!(TcpStream::connect(&authority), listeners.accept()) }).await;
        assert!(client.is_ok() && receiver == ONE);
        for _ in 0..3 {
            listeners.stop(ONE);
            let refused = within(TcpStream::connect(&authority)).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
            assert_eq!(listeners.listen(ONE, false).unwrap(), authority);
            let (again, (receiver, _stream)) =
                within(async { tokio::join!(TcpStream::connect(&authority), listeners.accept()) }).await;
            assert!(again.is_ok() && receiver == ONE);
        }
    }

    #[tokio::test]
    async fn a_handshake_that_fails_is_told_with_who_ended_it() {
        let mut listeners = Listeners::new(Arc::default());
        let authority = listeners.listen(ONE, true).unwrap();
        let no_root = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(no_root));
        let distrusts = async {
            let tcp = TcpStream::connect(&authority).await.unwrap();
            connector.connect("localhost".try_into().unwrap(), tcp).await.map(drop).unwrap_err()
        };
        let (_, (receiver, outcome)) = within(async { tokio::join!(distrusts, listeners.next_link()) }).await;
        let failure = outcome.err().unwrap();
        assert!(receiver == ONE && failure.by_peer && failure.what.contains("UnknownCA"), "{failure:?}");
        let closes = async { drop(TcpStream::connect(&authority).await.unwrap()) };
        let ((), (_, outcome)) = within(async { tokio::join!(closes, listeners.next_link()) }).await;
        assert_eq!(outcome.err().unwrap(), HandshakeFailure::closed());
        let speaks_plainly = async {
            let tcp = TcpStream::connect(&authority).await.unwrap();
            tcp.writable().await.unwrap();
            tcp.try_write(b"POST / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
            tcp
        };
        let (_tcp, (_, outcome)) = within(async { tokio::join!(speaks_plainly, listeners.next_link()) }).await;
        let failure = outcome.err().unwrap();
        assert!(!failure.by_peer && failure.what.contains("does not speak TLS"), "{failure:?}");
    }

    #[tokio::test]
    async fn an_address_in_use_is_told_with_its_cause() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let reception = Reception::new(address.to_string().parse().unwrap(), None);
        let error = Listeners::new(Arc::new(reception)).listen(ONE, false).unwrap_err();
        assert_eq!(error.address, address.to_string());
        assert!(error.cause.starts_with("cannot listen: ") && error.cause.contains("in use"), "{error}");
        let few = format!("127.0.0.1:{0}-{0}", address.port());
        drop(taken);
        let mut listeners = Listeners::new(Arc::new(Reception::new(few.parse().unwrap(), None)));
        listeners.listen(ONE, false).unwrap();
        let error = listeners.listen(TWO, false).unwrap_err();
        assert!(error.cause.contains("too few ports for 2 receivers"), "{error}");
    }
}
