//! The opening of an event connection, by hand.
//!
//! TCP, TLS where the target has it, the upgrade request as it was given, and the answer. Libraries would refuse answers
//! that a conformance run has to see, and lose frames that arrive together with the 101. What follows the 101 is handed
//! on; the answer of a refusal is read with its body as far as that is possible within limits.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, TlsStream};

use super::failure::{ResolveFailed, chain, network_error, of_io, timed_out};
use super::stream::Stream;
use super::target::{Scheme, Target};
use super::tls::ClientTls;
use crate::protocol::http::{Headers, Request, Response};
use crate::trace::{NetworkError, NetworkErrorKind};

/// How long the head of an answer may be, in bytes.
pub const HEAD_LIMIT_BYTES: usize = 64 << 10;

/// How much of a refusal's body is read, in bytes.
pub const REFUSAL_LIMIT_BYTES: usize = 1 << 20;

/// How long a refusal's body is waited for; what has not come by then is left out.
const REFUSAL_LIMIT: Duration = Duration::from_secs(2);

/// How many header fields an answer may have.
const FIELD_LIMIT: usize = 128;

/// The answer to an upgrade request.
#[derive(Debug)]
pub(crate) enum Answer {
    /// 101: frames may flow.
    Opened {
        /// The answer.
        response: Response,
        /// The connection.
        stream: Stream,
        /// What came behind the answer.
        early: BytesMut,
    },
    /// Anything else; the connection is closed.
    Refused(Response),
}

/// Connects and sends an upgrade request, and reads the answer, all within `timeout`.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn open(
    target: &Target,
    tls: &ClientTls,
    request: &Request,
    timeout: Duration,
) -> Result<Answer, NetworkError> {
    let address = target.url(request.path());
    let attempt = async {
        let mut stream = connect(target, tls, &address).await?;
        let head = request_head(target, request).map_err(|cause| {
            network_error(NetworkErrorKind::Malformed, &address, format!("the request cannot be sent: {cause}"))
        })?;
        send(&mut stream, &head).await.map_err(|error| of_io(&address, &error, NetworkErrorKind::Closed))?;
        read_answer(stream, &address).await
    };
    tokio::time::timeout(timeout, attempt)
        .await
        .unwrap_or_else(|_| Err(timed_out(&address, "the upgrade request got no answer", timeout)))
}

async fn send(stream: &mut Stream, bytes: &[u8]) -> std::io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// A connection to the target, with TLS if it has that.
async fn connect(target: &Target, tls: &ClientTls, address: &str) -> Result<Stream, NetworkError> {
    let limit = target.timeouts.connect;
    let connecting = async {
        let tcp = connect_tcp(target, address).await?;
        match target.origin.scheme() {
            Scheme::Http => Ok(Stream::Plain(tcp)),
            Scheme::Https => connect_tls(target, tls, tcp, address).await,
        }
    };
    tokio::time::timeout(limit, connecting)
        .await
        .unwrap_or_else(|_| Err(timed_out(address, "no connection could be made", limit)))
}

async fn connect_tcp(target: &Target, address: &str) -> Result<TcpStream, NetworkError> {
    let host = target.origin.host();
    let unresolved = |cause: String| {
        let failed = ResolveFailed { name: host.clone(), cause };
        network_error(NetworkErrorKind::Resolve, address, failed.to_string())
    };
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), target.origin.port()))
        .await
        .map_err(|error| unresolved(error.to_string()))?
        .collect();
    let mut last = unresolved("it has no address".to_owned());
    // A name with several addresses: one that does not answer must not use up the time of the others.
    let share = target.timeouts.connect / u32::try_from(found.len()).unwrap_or(u32::MAX).max(1);
    for candidate in found {
        let connected = tokio::time::timeout(share, TcpStream::connect(candidate)).await;
        match connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
            Ok(tcp) => {
                // Without it small frames wait for acknowledgements; a system that refuses works all the same.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(error) => {
                last = of_io(address, &error, NetworkErrorKind::Connect);
                last.cause = format!("{candidate}: {}", last.cause);
            }
        }
    }
    Err(last)
}

async fn connect_tls(target: &Target, tls: &ClientTls, tcp: TcpStream, address: &str) -> Result<Stream, NetworkError> {
    let name = ServerName::try_from(target.origin.host())
        .map_err(|error| network_error(NetworkErrorKind::Tls, address, chain(&error)))?;
    let connector = TlsConnector::from(std::sync::Arc::clone(&tls.config));
    let stream = connector.connect(name, tcp).await.map_err(|error| of_io(address, &error, NetworkErrorKind::Tls))?;
    Ok(Stream::Tls(Box::new(TlsStream::from(stream))))
}

/// The bytes of the request; its fields stand as they were given, behind those that every client sends.
fn request_head(target: &Target, request: &Request) -> Result<Vec<u8>, String> {
    let mut head = format!("{} {} HTTP/1.1\r\n", request.method, request.target);
    let mut field = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = write!(head, "{name}: {value}\r\n");
    };
    if request.headers.get("Host").is_none() {
        field("Host", &target.origin.host_header());
    }
    if let Some(value) = target.accounts.authorization(request.credentials).map_err(|error| error.to_string())? {
        field("Authorization", &value);
    }
    for (name, value) in request.headers.iter() {
        field(name, value);
    }
    if !request.body.is_empty() && request.headers.get("Content-Length").is_none() {
        field("Content-Length", &request.body.len().to_string());
    }
    head.push_str("\r\n");
    let mut bytes = head.into_bytes();
    bytes.extend_from_slice(&request.body);
    Ok(bytes)
}

async fn read_answer(mut stream: Stream, address: &str) -> Result<Answer, NetworkError> {
    let mut buffer = BytesMut::with_capacity(4 << 10);
    let mut response = loop {
        if let Some((response, length)) = parse_head(&buffer)
            .map_err(|cause| network_error(NetworkErrorKind::Malformed, address, format!("no HTTP answer: {cause}")))?
        {
            buffer.advance(length);
            // Informational answers precede the final one (RFC 9110 15.2); 101 is final here.
            if matches!(response.status, 100 | 102..=199) {
                continue;
            }
            break response;
        }
        if buffer.len() > HEAD_LIMIT_BYTES {
            let cause = format!("the head of the answer is longer than {HEAD_LIMIT_BYTES} bytes");
            return Err(network_error(NetworkErrorKind::Malformed, address, cause));
        }
        let read = stream.read_buf(&mut buffer).await;
        if read.map_err(|error| of_io(address, &error, NetworkErrorKind::Closed))? == 0 {
            let part = if buffer.is_empty() { "without an answer" } else { "in the middle of the head of its answer" };
            let cause = format!("the peer closed the connection {part}");
            return Err(network_error(NetworkErrorKind::Closed, address, cause));
        }
    };
    if response.status == 101 {
        return Ok(Answer::Opened { response, stream, early: buffer });
    }
    let mut body = Vec::new();
    let reading = read_body(&mut stream, &mut buffer, &response, &mut body);
    // Status and fields count; a body that stays incomplete is shown as far as it came.
    let _ = tokio::time::timeout(REFUSAL_LIMIT, reading).await;
    body.truncate(REFUSAL_LIMIT_BYTES);
    response.body = body;
    Ok(Answer::Refused(response))
}

/// The head at the front of `buffer`, with its length, once it is complete.
fn parse_head(buffer: &[u8]) -> Result<Option<(Response, usize)>, String> {
    let mut fields = [httparse::EMPTY_HEADER; FIELD_LIMIT];
    let mut parsed = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = parsed.parse(buffer).map_err(|error| error.to_string())? else {
        return Ok(None);
    };
    let headers: Headers =
        parsed.headers.iter().map(|field| (field.name, String::from_utf8_lossy(field.value))).collect();
    let status = parsed.code.ok_or("the status is missing")?;
    Ok(Some((Response { status, headers, body: Vec::new() }, length)))
}

/// Reads the body of an answer into `body`, as its fields say (RFC 9112 6.3), until it is complete or cannot be.
async fn read_body(
    stream: &mut Stream,
    buffer: &mut BytesMut,
    response: &Response,
    body: &mut Vec<u8>,
) -> std::io::Result<()> {
    if matches!(response.status, 204 | 304) {
        return Ok(());
    }
    if response.headers.has_token("Transfer-Encoding", "chunked") {
        return read_chunks(stream, buffer, body).await;
    }
    let stated = response.headers.get("Content-Length").and_then(|value| value.trim().parse::<usize>().ok());
    let wanted = stated.unwrap_or(usize::MAX).min(REFUSAL_LIMIT_BYTES);
    loop {
        let length = buffer.len().min(wanted - body.len());
        body.extend_from_slice(&buffer.split_to(length));
        if body.len() == wanted || stream.read_buf(buffer).await? == 0 {
            return Ok(());
        }
    }
}

async fn read_chunks(stream: &mut Stream, buffer: &mut BytesMut, body: &mut Vec<u8>) -> std::io::Result<()> {
    while body.len() < REFUSAL_LIMIT_BYTES {
        let (start, length) = loop {
            match httparse::parse_chunk_size(buffer) {
                Ok(httparse::Status::Complete(found)) => break found,
                Ok(httparse::Status::Partial) if buffer.len() < HEAD_LIMIT_BYTES => {}
                _ => return Ok(()),
            }
            if stream.read_buf(buffer).await? == 0 {
                return Ok(());
            }
        };
        buffer.advance(start);
        if length == 0 {
            return Ok(());
        }
        let mut left = usize::try_from(length).unwrap_or(usize::MAX).min(REFUSAL_LIMIT_BYTES);
        while left > 0 {
            if buffer.is_empty() && stream.read_buf(buffer).await? == 0 {
                return Ok(());
            }
            let part = buffer.split_to(left.min(buffer.len()));
            left -= part.len();
            body.extend_from_slice(&part);
        }
        // The line end behind the chunk.
        while buffer.len() < 2 {
            if stream.read_buf(buffer).await? == 0 {
                return Ok(());
            }
        }
        buffer.advance(2);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fixtures::{canned, nameless, plain, refusing, silent, within};
    use crate::protocol::ws::handshake::upgrade_request;

    const SHORT: Duration = Duration::from_millis(300);

    async fn opened(url: &str) -> Result<Answer, NetworkError> {
        let link = plain(url);
        let tls = ClientTls::new(&link.target().tls).unwrap();
        within(open(link.target(), &tls, &upgrade_request(Some("secret-token"), [0; 16]), SHORT)).await
    }

    async fn failed(url: &str) -> (NetworkErrorKind, String) {
        let error = opened(url).await.unwrap_err();
        assert!(!error.to_string().contains("secret-token"), "{error}");
        (error.kind, error.to_string())
    }

    async fn refused(answer: &'static str) -> Response {
        match opened(&canned(answer).await).await.unwrap() {
            Answer::Refused(response) => response,
            Answer::Opened { .. } => panic!("opened"),
        }
    }

    #[tokio::test]
    async fn each_way_to_fail_has_its_kind_and_its_words() {
        let (kind, text) = failed(&refusing()).await;
        assert_eq!(kind, NetworkErrorKind::Connect);
        assert!(text.contains("/events/v1: 127.0.0.1:") && text.to_lowercase().contains("refused"), "{text}");
        let (kind, text) = failed(&silent().await).await;
        assert_eq!(kind, NetworkErrorKind::Timeout);
        assert!(text.contains("no answer within 300 ms"), "{text}");
        let (kind, text) = failed(&canned("SSH-2.0-OpenSSH_9.9\r\n").await).await;
        assert_eq!(kind, NetworkErrorKind::Malformed, "{text}");
        let (kind, text) = failed(&canned("HTTP/1.1 101 Switching Protocols\r\nUpgr").await).await;
        assert_eq!(kind, NetworkErrorKind::Closed);
        assert!(text.contains("in the middle of the head"), "{text}");
        let (kind, text) = failed(&nameless()).await;
        assert_eq!(kind, NetworkErrorKind::Resolve);
        assert!(text.contains("xxx.invalid` could not be resolved"), "{text}");
        let (kind, text) = failed(&canned("whatever").await.replace("http", "https")).await;
        assert_eq!(kind, NetworkErrorKind::Tls, "{text}");
    }

    #[tokio::test]
    async fn a_refusal_is_read_with_its_body_as_far_as_it_comes() {
        let length = refused("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nX-A: b\r\n\r\nnoXX").await;
        assert_eq!((length.status, length.headers.get("x-a"), length.text().as_ref()), (401, Some("b"), "no"));
        let chunked = "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n";
        assert_eq!(refused(chunked).await.body, b"abcd");
        assert_eq!(refused("HTTP/1.0 503 Busy\r\n\r\nlater").await.body, b"later");
        let short = refused("HTTP/1.1 404 Not Found\r\nContent-Length: 50\r\n\r\npart").await;
        assert_eq!((short.status, short.body.as_slice()), (404, &b"part"[..]));
        let broken = refused("HTTP/1.1 500 Oops\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n").await;
        assert_eq!((broken.status, broken.body.len()), (500, 0));
    }

    #[tokio::test]
    async fn what_follows_the_answer_is_handed_on() {
        let url = canned("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\nframes").await;
        let Answer::Opened { response, early, .. } = opened(&url).await.unwrap() else { panic!("refused") };
        assert_eq!((response.status, &early[..]), (101, &b"frames"[..]));
    }
}
