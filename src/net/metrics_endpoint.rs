//! A port that a monitoring system asks for what was measured so far: `GET /metrics`.
//!
//! Each connection gets one answer, made when it is asked for, and ends. Whoever asks slowly, or does not read the answer,
//! is given up after a while; of connections beyond `CONNECTIONS` the next is taken when one has ended. So no reader can
//! hold up a run or make it grow.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// How long one exchange may take from the connection to the last byte of the answer.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);

/// How many connections are served at once.
const CONNECTIONS: usize = 16;

/// How long to wait when the system can give no further connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where to listen: a port of the loopback interface, or an address with its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricsAddress(pub SocketAddr);

impl FromStr for MetricsAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix(':').unwrap_or(text);
        let own = port.parse::<u16>().map(|port| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port));
        let found = own.ok().or_else(|| text.parse().ok());
        found.map(Self).ok_or_else(|| format!("`{text}` is no address; write 9464, 127.0.0.1:9464 or [::1]:9464"))
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// That the port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve metrics on {address}: {cause}")]
pub struct EndpointError {
    /// Where.
    pub address: SocketAddr,
    /// Why not.
    pub cause: io::Error,
}

/// Makes the text that is served, with its content type.
pub type Source = Arc<dyn Fn() -> String + Send + Sync>;

/// A port that is served until this is dropped.
#[derive(Debug)]
pub struct MetricsEndpoint {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl MetricsEndpoint {
    /// Begins to serve. Needs a tokio runtime.
    ///
    /// # Errors
    /// That the address cannot be listened on.
    pub async fn start(
        MetricsAddress(wanted): MetricsAddress,
        content_type: &'static str,
        source: Source,
    ) -> Result<Self, EndpointError> {
        Self::with_limit(wanted, content_type, source, EXCHANGE_LIMIT).await
    }

    async fn with_limit(
        wanted: SocketAddr,
        content_type: &'static str,
        source: Source,
        limit: Duration,
    ) -> Result<Self, EndpointError> {
        let failed = |cause| EndpointError { address: wanted, cause };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { address, task: tokio::spawn(serve(listener, content_type, source, limit)) })
    }

    /// Where the metrics are.
    pub fn url(&self) -> String {
        format!("http://{}/metrics", self.address)
    }
}

impl Drop for MetricsEndpoint {
    fn drop(&mut self) {
        // Connections end with the task that owns them.
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, content_type: &'static str, source: Source, limit: Duration) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS => match accepted {
                Ok((tcp, _)) => drop(connections.spawn(exchange(tcp, content_type, Arc::clone(&source), limit))),
                // Out of file descriptors, or a connection that was gone at once: neither ends the service.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn exchange(tcp: TcpStream, content_type: &'static str, source: Source, limit: Duration) {
    let answer = service_fn(|request: Request<Incoming>| {
        let answer = answer(&request, content_type, &source);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = http1::Builder::new();
    let server = server.timer(TokioTimer::new()).keep_alive(false).serve_connection(TokioIo::new(tcp), answer);
    // Whether the other side read all of it is its own business.
    let _ = tokio::time::timeout(limit, server).await;
}

fn answer(request: &Request<Incoming>, content_type: &'static str, source: &Source) -> Response<Full<Bytes>> {
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let (status, kind, text) = match request.uri().path() {
        "/metrics" if is_read => (StatusCode::OK, content_type, source()),
        "/metrics" => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", "metrics can only be read\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "text/plain", "the metrics are at /metrics\n".to_owned()),
    };
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(hyper::header::ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
    }
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::net::fixtures::within;

    const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    async fn endpoint(text: String) -> MetricsEndpoint {
        MetricsEndpoint::start("0".parse().unwrap(), KIND, Arc::new(move || text.clone())).await.unwrap()
    }

    /// A limit that a test can wait for.
    const LIMIT: Duration = Duration::from_millis(300);

    async fn ask(endpoint: &MetricsEndpoint, request: &str) -> String {
        let mut tcp = TcpStream::connect(endpoint.address).await.unwrap();
        tcp.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(tcp.read_to_string(&mut answer)).await.unwrap();
        answer
    }

    #[test]
    fn an_address_is_on_loopback_unless_it_says_otherwise() {
        let read = |text: &str| text.parse::<MetricsAddress>().map(|address| address.to_string());
        assert_eq!(read("9464").unwrap(), "127.0.0.1:9464");
        assert_eq!(read(":9464").unwrap(), "127.0.0.1:9464");
        assert_eq!(read("0.0.0.0:1").unwrap(), "0.0.0.0:1");
        assert_eq!(read("[::1]:9464").unwrap(), "[::1]:9464");
        assert!(read("10.0.0.5").unwrap_err().contains("write 9464, 127.0.0.1:9464 or"));
    }

    #[tokio::test]
    async fn metrics_are_read_at_their_path_and_nothing_else_is_there() {
        let endpoint = endpoint("# EOF\n".to_owned()).await;
        assert!(endpoint.url().starts_with("http://127.0.0.1:"));
        let read = ask(&endpoint, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
        assert!(read.starts_with("HTTP/1.1 200 ") && read.ends_with("\r\n\r\n# EOF\n"), "{read}");
        assert!(read.contains(&format!("content-type: {KIND}\r\n")), "{read}");
        assert!(ask(&endpoint, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
        assert!(ask(&endpoint, "POST /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 405 "));
        assert!(ask(&endpoint, "\u{1}\r\n\r\n").await.starts_with("HTTP/1.1 400 "));
    }

    #[tokio::test]
    async fn readers_that_do_not_read_hold_nobody_up() {
        // More than the buffers of two sockets hold.
        let text = "x".repeat(32 << 20);
        let wanted = SocketAddr::from(([127, 0, 0, 1], 0));
        let endpoint = MetricsEndpoint::with_limit(wanted, KIND, Arc::new(move || text.clone()), LIMIT).await.unwrap();
        let mut stopped = Vec::new();
        for _ in 0..CONNECTIONS - 1 {
            let mut tcp = TcpStream::connect(endpoint.address).await.unwrap();
            tcp.write_all(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
            stopped.push(tcp);
        }
        assert!(ask(&endpoint, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
        // One more that says nothing takes the last place, until its time is up.
        stopped.push(TcpStream::connect(endpoint.address).await.unwrap());
        assert!(ask(&endpoint, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.starts_with("HTTP/1.1 404 "));
    }

    #[tokio::test]
    async fn a_port_that_another_has_is_told_of_with_its_address() {
        let first = endpoint(String::new()).await;
        let address = MetricsAddress(first.address);
        let error = MetricsEndpoint::start(address, KIND, Arc::new(String::new)).await.unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot serve metrics on {}: ", first.address)), "{error}");
    }
}
