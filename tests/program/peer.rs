//! Servers that are no Meeting Server, or one only up to a point. Each listens on a free port of the loopback interface.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// A port that is free, and stays so as long as it is held: whoever listens on it may say `SO_REUSEADDR` as well.
pub(crate) fn free_port() -> (socket2::Socket, u16) {
    let held = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    held.set_reuse_address(true).unwrap();
    held.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    let port = held.local_addr().unwrap().as_socket().unwrap().port();
    (held, port)
}

/// A server whose connections are each handled by a thread. It lives until the test ends.
pub(crate) struct Peer {
    pub(crate) url: String,
}

impl Peer {
    /// Handles every connection with `handle`.
    pub(crate) fn new(handle: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let handle = std::sync::Arc::new(handle);
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let handle = std::sync::Arc::clone(&handle);
                std::thread::spawn(move || handle(connection));
            }
        });
        Self { url }
    }

    /// Gives every request the same answer.
    pub(crate) fn canned(answer: &'static str) -> Self {
        Self::new(move |mut connection| {
            read_head(&mut connection);
            let _ = connection.write_all(answer.as_bytes());
            end(connection);
        })
    }

    /// Takes connections and says nothing.
    pub(crate) fn silent() -> Self {
        Self::new(drain)
    }

    /// Like a Meeting Server up to the upgrade, which is granted; from there `events` has the connection.
    pub(crate) fn events(events: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        Self::upgrading(answer, events)
    }

    /// The same, with an API that hands out tokens and nothing else.
    pub(crate) fn events_alone(events: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let forbid = |mut connection: TcpStream, head: &str| {
            if head.starts_with("POST /api/v1/authTokens") {
                return answer(connection, head);
            }
            let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            end(connection);
        };
        Self::upgrading(forbid, events)
    }

    fn upgrading(
        api: impl Fn(TcpStream, &str) + Send + Sync + 'static,
        events: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> Self {
        Self::new(move |mut connection| {
            let head = read_head(&mut connection);
            if !head.starts_with("GET /events/v1") {
                return api(connection, &head);
            }
            let key = field(&head, "sec-websocket-key");
            let accept = derive_accept_key(key.as_bytes());
            let granted = format!(
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Accept: {accept}\r\n\r\n"
            );
            if connection.write_all(granted.as_bytes()).is_ok() {
                events(connection);
            }
        })
    }

    /// Like [`Peer::events`] with a server that says nothing there; what is received tells that an upgrade was granted.
    pub(crate) fn mute_events() -> (Self, Receiver<()>) {
        let (sender, receiver): (Sender<()>, _) = channel();
        let peer = Self::events(move |connection| {
            let _ = sender.send(());
            drain(connection);
        });
        (peer, receiver)
    }
}

/// How many tokens were handed out: each is another one.
static TOKENS: AtomicU64 = AtomicU64::new(0);

/// Answers what a run asks at its start; everything else does not exist.
fn answer(mut connection: TcpStream, head: &str) {
    const STATUS: &str = "<?xml version=\"1.0\"?><status><softwareVersion>3.7</softwareVersion></status>";
    let token = format!("X-Cisco-CMS-Auth-Token: a-token-{}\r\n", TOKENS.fetch_add(1, Ordering::Relaxed));
    let (status, fields, body) = if head.starts_with("POST /api/v1/authTokens") {
        ("200 OK", token.as_str(), "")
    } else if head.starts_with("GET /api/v1/system/status") {
        ("200 OK", "Content-Type: text/xml\r\n", STATUS)
    } else {
        ("404 Not Found", "", "")
    };
    let length = body.len();
    let text = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = connection.write_all(text.as_bytes());
    end(connection);
}

/// Reads up to the empty line behind the fields, or the first byte of a TLS handshake, or as far as it comes.
fn read_head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && matches!(connection.read(&mut byte), Ok(1)) && byte[0] != 0x16 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn field(head: &str, name: &str) -> String {
    let fields = head.lines().filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(own, _)| own.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
}

/// Ends a connection in order: unread bytes would turn the end into a reset.
fn end(connection: TcpStream) {
    let _ = connection.shutdown(std::net::Shutdown::Write);
    drain(connection);
}

/// Reads and drops what comes, until the other side ends.
fn drain(mut connection: TcpStream) {
    let _ = std::io::copy(&mut connection, &mut std::io::sink());
}
