//! The emulated Meeting Server on a port, with or without TLS.
//!
//! [`start`] binds the port; from then on HTTP exchanges and event connections go to the one task that owns the server's
//! core (`emulator_task`). hyper does HTTP; after an upgrade the raw connection goes to the same pump that clients use.
//! Nothing that a client does, or leaves undone, can hold up another: heads, bodies and handshakes have limits in time
//! and size. The shell tells the core whose credentials came with a request, and keeps names and passwords to itself.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::Incoming as IncomingBody;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::clock::Clock;
pub use super::emulator_links::Tell;
use super::emulator_observer::Observer;
use super::emulator_task::{self, Arrival, Counters, Place, Reply, Served};
use super::http_client::headers_of;
use super::pump::pump;
use super::stream::Stream;
use super::target::Accounts;
use super::tls::ServerTls;
use crate::protocol::http::{Method, Request, Response};
use crate::trace::Sink;

/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// How long the head of a request may take, and how long a connection may be idle.
const HEAD_LIMIT: Duration = Duration::from_secs(30);

/// How long the body of a request may take.
const BODY_LIMIT: Duration = Duration::from_secs(10);

/// How long the body of a request may be, in bytes.
const BODY_LIMIT_BYTES: usize = 1 << 20;

/// How many arrivals may wait for the core before connections are no longer read.
const ARRIVAL_QUEUE: usize = 1024;

/// How long connections may take to end when the shell stops.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// How long the answer to a request may take when the shell stops.
const LAST_ANSWER_LIMIT: Duration = Duration::from_millis(300);

/// How long to wait when the system can give no further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a shell is told besides the server that it serves.
pub struct ShellOptions {
    /// Where to listen; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Certificates, for https.
    pub tls: Option<ServerTls>,
    /// The accounts that exist.
    pub accounts: Accounts,
    /// Takes observations of what connects, from the server's side.
    pub observer: Option<Box<dyn Sink + Send>>,
    /// Is told of CDR receivers that cannot be reached.
    pub tell: Option<Tell>,
}

/// That the port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}")]
pub struct ShellError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub cause: io::Error,
}

/// A server that is being served. Dropping it stops it as well, without waiting for the end.
#[derive(Debug)]
pub struct EmulatorShell {
    address: SocketAddr,
    secure: bool,
    counters: Arc<Counters>,
    stop: watch::Sender<bool>,
    core: JoinHandle<()>,
    listener: JoinHandle<()>,
}

/// What a server has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counted {
    /// Event connections that are open.
    pub event_connections: usize,
    /// HTTP requests so far, upgrades included.
    pub requests: u64,
    /// Messages sent on event connections so far (writes of the core).
    pub messages: u64,
}

/// Serves `server` until the shell is stopped or dropped. Needs a tokio runtime.
///
/// # Errors
/// That the address cannot be listened on.
pub async fn start(server: impl Served, options: ShellOptions, clock: Clock) -> Result<EmulatorShell, ShellError> {
    let ShellOptions { listen, tls, accounts, observer, tell } = options;
    let failed = |cause| ShellError { address: listen, cause };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let counters = Arc::new(Counters::default());
    let (stop, stopped) = watch::channel(false);
    let (sender, arrivals) = mpsc::channel(ARRIVAL_QUEUE);
    let observer = observer.map(Observer::new);
    let watched = (observer, tell);
    let core =
        tokio::spawn(emulator_task::run(server, clock, watched, Arc::clone(&counters), arrivals, stopped.clone()));
    let secure = tls.is_some();
    let door =
        Door { clock, core: sender, accounts: Arc::new(accounts), tls: tls.map(|tls| TlsAcceptor::from(tls.config)) };
    let listener = tokio::spawn(listen_on(listener, door, stopped));
    Ok(EmulatorShell { address, secure, counters, stop, core, listener })
}

impl EmulatorShell {
    /// The address that is listened on, with the actual port.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL that leads here from this machine.
    pub fn url(&self) -> String {
        let scheme = if self.secure { "https" } else { "http" };
        let mut address = self.address;
        if address.ip().is_unspecified() {
            let loopback = if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
            address.set_ip(loopback);
        }
        format!("{scheme}://{address}")
    }

    /// What was done so far.
    pub fn counted(&self) -> Counted {
        Counted {
            event_connections: self.counters.event_connections.load(Ordering::Relaxed),
            requests: self.counters.requests.load(Ordering::Relaxed),
            messages: self.counters.sends.load(Ordering::Relaxed),
        }
    }

    /// Stops: event connections are closed in order, and when this returns no task and no socket is left.
    pub async fn stop(self) {
        // Both tasks may have ended only because of a fault of ours, which is told here.
        let _ = self.stop.send(true);
        for task in [self.core, self.listener] {
            if let Err(error) = task.await
                && error.is_panic()
            {
                std::panic::resume_unwind(error.into_panic());
            }
        }
    }
}

/// What every connection needs.
#[derive(Clone)]
struct Door {
    clock: Clock,
    core: mpsc::Sender<Arrival>,
    accounts: Arc<Accounts>,
    tls: Option<TlsAcceptor>,
}

async fn listen_on(listener: TcpListener, door: Door, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    let for_each = stopped.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((tcp, peer)) => {
                    connections.spawn(serve_connection(tcp, peer, door.clone(), for_each.clone()));
                }
                // Out of file descriptors, or a connection that was gone at once: neither ends the service.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            () = emulator_task::until_stopped(&mut stopped) => break,
        }
    }
    drop(listener);
    let ending = async { while connections.join_next().await.is_some() {} };
    // What does not end in order within the limit is ended by the abort.
    let _ = tokio::time::timeout(STOP_LIMIT, ending).await;
    connections.shutdown().await;
}

/// An upgrade that was answered, until the connection is there.
type Upgrading = Arc<Mutex<Option<(OnUpgrade, Place)>>>;

/// One TCP connection, from its handshake to its end.
async fn serve_connection(tcp: TcpStream, peer: SocketAddr, door: Door, mut stopped: watch::Receiver<bool>) {
    // Without it small frames wait for acknowledgements; a system that refuses works all the same.
    let _ = tcp.set_nodelay(true);
    let stream = match &door.tls {
        None => Stream::Plain(tcp),
        Some(acceptor) => {
            let handshake = tokio::time::timeout(HANDSHAKE_LIMIT, acceptor.accept(tcp));
            let Ok(Ok(tls)) = handshake.await else { return };
            Stream::Tls(Box::new(TlsStream::from(tls)))
        }
    };
    let upgrading = Upgrading::default();
    let service = service_fn(|request| answer(request, peer, door.clone(), Arc::clone(&upgrading)));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).title_case_headers(true);
    {
        let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service).with_upgrades());
        let ended = tokio::select! {
            ended = serving.as_mut() => Some(ended),
            () = emulator_task::until_stopped(&mut stopped) => None,
        };
        // A client that breaks off is no matter of ours; one that is in the middle of a request loses its answer.
        if ended.is_none() {
            serving.as_mut().graceful_shutdown();
            let _ = tokio::time::timeout(LAST_ANSWER_LIMIT, serving).await;
        }
    }
    let upgraded = upgrading.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some((upgrade, place)) = upgraded {
        serve_events(upgrade, place, door.core, door.clock).await;
    }
}

async fn serve_events(upgrade: OnUpgrade, mut place: Place, core: mpsc::Sender<Arrival>, clock: Clock) {
    let Ok(upgraded) = upgrade.await else { return };
    let Ok(parts) = upgraded.downcast::<TokioIo<Stream>>() else { return };
    let Some(orders) = place.orders.take() else { return };
    let connection = place.connection;
    let wrap = |incoming| Arrival::Incoming(connection, incoming, clock.now());
    pump(parts.io.into_inner(), BytesMut::from(&parts.read_buf[..]), orders, core, wrap).await;
}

type HttpAnswer = http::Response<Full<Bytes>>;

/// Answers one request. The error, which ends the connection, says that the server is gone.
async fn answer(
    mut request: http::Request<IncomingBody>,
    peer: SocketAddr,
    door: Door,
    upgrading: Upgrading,
) -> Result<HttpAnswer, io::Error> {
    let upgrade = hyper::upgrade::on(&mut request);
    let request = match read_request(request, &door.accounts).await {
        Ok(request) => request,
        Err(status) => return Ok(to_http(Response::new(status), true)),
    };
    let (reply, replied) = oneshot::channel();
    let gone = || io::Error::other("the server has ended");
    door.core.send(Arrival::Request { request, peer, reply }).await.map_err(|_| gone())?;
    match replied.await.map_err(|_| gone())? {
        Reply::Respond { response, close } => Ok(to_http(response, close)),
        Reply::Upgrade { response, place } => {
            *upgrading.lock().unwrap_or_else(PoisonError::into_inner) = Some((upgrade, place));
            Ok(to_http(response, false))
        }
    }
}

/// The request as a plain value, or the status that refuses it.
async fn read_request(request: http::Request<IncomingBody>, accounts: &Accounts) -> Result<Request, u16> {
    let (head, body) = request.into_parts();
    let method = Method::from_name(head.method.as_str()).ok_or(405_u16)?;
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    let authorization = head.headers.get(http::header::AUTHORIZATION).map(|value| value.to_str().unwrap_or_default());
    let credentials = accounts.recognise(authorization);
    let mut headers = headers_of(&head.headers);
    for every in ["Authorization", "Host", "Content-Length"] {
        headers.remove(every);
    }
    let reading = tokio::time::timeout(BODY_LIMIT, Limited::new(body, BODY_LIMIT_BYTES).collect());
    let body = match reading.await {
        Ok(Ok(body)) => body.to_bytes().to_vec(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(413),
        Ok(Err(_)) => return Err(400),
        Err(_) => return Err(408),
    };
    Ok(Request { method, target, credentials, headers, body })
}

/// An answer for hyper. Fields that HTTP cannot carry are left out.
fn to_http(response: Response, close: bool) -> HttpAnswer {
    let mut answer = http::Response::new(Full::new(Bytes::from(response.body)));
    *answer.status_mut() =
        http::StatusCode::from_u16(response.status).unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    let fields = answer.headers_mut();
    for (name, value) in response.headers.iter() {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_bytes(value.as_bytes())) {
            fields.append(name, value);
        }
    }
    if close {
        fields.insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    answer
}

#[cfg(test)]
mod tests {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio_tungstenite::WebSocketStream;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;
    use crate::net::fixtures::{Echo, link, masked, plain, serve, within};
    use crate::net::target::Tls;
    use crate::protocol::api::names::AUTH_TOKENS;
    use crate::protocol::http::Credentials;
    use crate::protocol::ws::frame::Opcode;
    use crate::trace::{Event, Observation};

    const LIMIT: Duration = Duration::from_secs(10);

    async fn client(shell: &EmulatorShell) -> WebSocketStream<TcpStream> {
        let tcp = TcpStream::connect(shell.address()).await.unwrap();
        let url = format!("ws://{}/events/v1?authToken=t", shell.address());
        tokio_tungstenite::client_async(url, tcp).await.unwrap().0
    }

    async fn next_text(client: &mut WebSocketStream<TcpStream>) -> String {
        within(client.next()).await.unwrap().unwrap().into_text().unwrap().to_string()
    }

    #[tokio::test]
    async fn an_independent_client_connects_speaks_and_closes() {
        let shell = serve(Echo::default(), None, None).await;
        let mut client = client(&shell).await;
        assert_eq!(next_text(&mut client).await, "welcome");
        assert_eq!(shell.counted().event_connections, 1);
        client.send(Message::text("hello")).await.unwrap();
        assert_eq!(next_text(&mut client).await, "hello");
        client.close(None).await.unwrap();
        assert!(matches!(within(client.next()).await, Some(Ok(Message::Close(_)))));
        assert!(within(client.next()).await.is_none());
        assert_eq!(shell.counted(), Counted { event_connections: 0, requests: 1, messages: 3 });
        within(shell.stop()).await;
    }

    #[tokio::test]
    async fn credentials_bodies_and_methods_are_taken_apart_before_the_core() {
        let shell = serve(Echo::default(), None, None).await;
        let http = plain(&shell.url());
        for (credentials, status) in [
            (Credentials::Privileged, 200),
            (Credentials::Unprivileged, 403),
            (Credentials::WrongPassword, 401),
            (Credentials::UnknownUser, 401),
            (Credentials::None, 401),
        ] {
            let request = Request { credentials, ..Request::new(Method::Post, AUTH_TOKENS) };
            let response = http.http().exchange(&request, LIMIT).await.unwrap();
            assert_eq!(response.status, status, "{credentials:?}");
            assert!(response.headers.has_token("connection", "close"));
        }
        let body = Request { body: b"name=x".to_vec(), ..Request::new(Method::Put, "/api/v1/calls/1") };
        assert_eq!(http.http().exchange(&body, LIMIT).await.unwrap().body, b"name=x");
        let long = Request { body: vec![b'x'; BODY_LIMIT_BYTES + 1], ..body };
        assert_eq!(http.http().exchange(&long, LIMIT).await.unwrap().status, 413);
        let mut tcp = TcpStream::connect(shell.address()).await.unwrap();
        tcp.write_all(b"PATCH / HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        within(tcp.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
        within(shell.stop()).await;
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_dropped_and_others_are_served() {
        let (ended, mut ends) = mpsc::unbounded_channel();
        let shell = serve(Echo::telling(ended), None, None).await;
        let mut lazy = client(&shell).await;
        lazy.send(Message::text("flood")).await.unwrap();
        assert_eq!(within(ends.recv()).await, Some(1));
        let mut other = client(&shell).await;
        assert_eq!(next_text(&mut other).await, "welcome");
        assert_eq!(shell.counted().event_connections, 1);
        drop(other);
        assert_eq!(within(ends.recv()).await, Some(2));
        within(shell.stop()).await;
    }

    #[tokio::test]
    async fn a_hundred_junk_connections_do_no_harm() {
        let shell = serve(Echo::default(), None, None).await;
        let mut junk = Vec::new();
        for number in 0..100 {
            let mut tcp = TcpStream::connect(shell.address()).await.unwrap();
            let bytes: &[u8] = [b"".as_slice(), b"GET /", b"\x16\x03\x01\x00", b"\0\xff\r\n\r\n"][number % 4];
            tcp.write_all(bytes).await.unwrap();
            junk.push(tcp);
        }
        let mut client = client(&shell).await;
        assert_eq!(next_text(&mut client).await, "welcome");
        within(shell.stop()).await;
        assert!(matches!(within(client.next()).await, None | Some(Err(_))));
    }

    #[tokio::test]
    async fn frames_that_come_with_the_request_are_not_lost() {
        let shell = serve(Echo::default(), None, None).await;
        let mut tcp = TcpStream::connect(shell.address()).await.unwrap();
        let mut wire = b"GET /events/v1 HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            .to_vec();
        wire.extend(masked(Opcode::TEXT, b"early"));
        tcp.write_all(&wire).await.unwrap();
        tcp.shutdown().await.unwrap();
        let mut answer = Vec::new();
        within(tcp.read_to_end(&mut answer)).await.unwrap();
        assert!(answer.ends_with(b"\x81\x07welcome\x81\x05early"), "{}", String::from_utf8_lossy(&answer));
        within(shell.stop()).await;
    }

    struct Names(mpsc::UnboundedSender<&'static str>);

    impl Sink for Names {
        fn observe(&mut self, observation: &Observation<'_>) {
            let name = match observation.event {
                Event::RequestSent { .. } => "asked",
                Event::ResponseReceived { .. } => "answered",
                Event::Opening { .. } => "opening",
                Event::Opened { .. } => "opened",
                Event::Frame { .. } => "frame",
                Event::Ended { .. } => "ended",
                _ => "other",
            };
            let _ = self.0.send(name);
        }
    }

    #[tokio::test]
    async fn an_observer_sees_what_connects() {
        let (sender, mut seen) = mpsc::unbounded_channel();
        let tls = ServerTls::self_made(&[]).unwrap();
        let trusted = Tls::CaFile(tls.ca_pem.clone().unwrap().into_bytes());
        let shell = serve(Echo::default(), Some(tls), Some(Box::new(Names(sender)))).await;
        let link = link(&shell.url(), trusted);
        let token = Request::new(Method::Post, AUTH_TOKENS);
        assert_eq!(link.http().exchange(&token, LIMIT).await.unwrap().status, 200);
        let tls = super::super::tls::ClientTls::new(&link.target().tls).unwrap();
        let request = crate::protocol::ws::handshake::upgrade_request(Some("t"), [0; 16]);
        let opened = super::super::events_connection::open(link.target(), &tls, &request, LIMIT).await.unwrap();
        within(shell.stop()).await;
        drop(opened);
        let mut names = Vec::new();
        while let Some(name) = within(seen.recv()).await {
            names.push(name);
        }
        assert_eq!(names, ["asked", "answered", "opening", "opened", "frame", "ended"]);
    }
}
