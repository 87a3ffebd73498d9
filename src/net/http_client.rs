//! API exchanges with a Meeting Server, one TCP connection each.
//!
//! Nothing is done behind the caller's back: no redirects are followed, no cookies kept, no content decoded, no proxy of
//! the environment used, nothing repeated. Connections are not kept, so that no exchange fails because the server closed
//! an idle one. Two things are not as on the wire: names of answered fields come in lower case, and `..` in a path is
//! resolved before it is sent.

use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};
use reqwest::redirect::Policy;

use super::failure::{ResolveFailed, chain, kind_of, network_error, timed_out};
use super::target::Target;
use super::tls::{ClientTls, TlsError};
use crate::protocol::http::{Headers, Method, Request, Response};
use crate::trace::{NetworkError, NetworkErrorKind};

/// How many bytes of a body are read at most: 64 MiB, several times the longest list that a Meeting Server gives.
pub const BODY_LIMIT_BYTES: usize = 64 << 20;

/// Carries out API exchanges. Clones share everything.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    target: Arc<Target>,
}

impl HttpClient {
    /// A client for that target.
    ///
    /// # Errors
    /// That the client could not be set up, which only a resource that is missing can cause.
    pub fn new(target: Arc<Target>, tls: &ClientTls) -> Result<Self, TlsError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured((*tls.config).clone())
            .dns_resolver(SystemResolver)
            .user_agent(concat!("bridgeproof/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(target.timeouts.connect)
            .pool_max_idle_per_host(0)
            .http1_title_case_headers()
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .build()
            .map_err(|error| rustls::Error::General(chain(&error)))?;
        Ok(Self { client, target })
    }

    /// Sends a request and reads its whole answer, within `timeout`.
    ///
    /// # Errors
    /// Why there is no answer, in words.
    pub async fn exchange(&self, request: &Request, timeout: Duration) -> Result<Response, NetworkError> {
        let url = self.target.url(&request.target);
        let shown = self.target.url(request.path());
        match tokio::time::timeout(timeout, self.attempt(request, &url, &shown)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out(shown, "no complete answer", timeout)),
        }
    }

    async fn attempt(&self, request: &Request, url: &str, shown: &str) -> Result<Response, NetworkError> {
        let built = self.build(request, url).map_err(|cause| {
            network_error(NetworkErrorKind::Malformed, shown, format!("the request cannot be sent: {cause}"))
        })?;
        let mut answer = self.client.execute(built).await.map_err(|error| of_reqwest(shown, error))?;
        let mut response = Response::new(answer.status().as_u16());
        response.headers = headers_of(answer.headers());
        while let Some(chunk) = answer.chunk().await.map_err(|error| of_reqwest(shown, error))? {
            if response.body.len() + chunk.len() > BODY_LIMIT_BYTES {
                let cause = format!("the body is longer than {BODY_LIMIT_BYTES} bytes");
                return Err(network_error(NetworkErrorKind::Malformed, shown, cause));
            }
            response.body.extend_from_slice(&chunk);
        }
        Ok(response)
    }

    fn build(&self, request: &Request, url: &str) -> Result<reqwest::Request, String> {
        let method = match request.method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut builder = self.client.request(method, url);
        let authorization = self.target.accounts.authorization(request.credentials).map_err(|e| e.to_string())?;
        if let Some(value) = authorization {
            let mut value = HeaderValue::from_str(&value).map_err(|error| error.to_string())?;
            value.set_sensitive(true);
            builder = builder.header(AUTHORIZATION, value);
        }
        for (name, value) in request.headers.iter() {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| format!("`{name}`: {error}"))?;
            let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|error| format!("`{name}`: {error}"))?;
            builder = builder.header(name, value);
        }
        // Even an empty body, so that a POST states its length of 0.
        if !request.body.is_empty() || matches!(request.method, Method::Post | Method::Put) {
            builder = builder.body(request.body.clone());
        }
        builder.build().map_err(|error| chain(&error))
    }
}

/// The fields of an answer; what is not UTF-8 is shown with the replacement character.
pub(crate) fn headers_of(fields: &http::HeaderMap) -> Headers {
    fields.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes()))).collect()
}

fn of_reqwest(address: &str, error: reqwest::Error) -> NetworkError {
    let error = error.without_url();
    let otherwise = if error.is_timeout() {
        NetworkErrorKind::Timeout
    } else if error.is_connect() {
        NetworkErrorKind::Connect
    } else {
        NetworkErrorKind::Closed
    };
    let kind = kind_of(&error).unwrap_or(otherwise);
    network_error(kind, address, chain(&error))
}

/// The operating system's resolver, with an error type of ours, so that a name without address can be told apart.
#[derive(Debug)]
struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await;
            let addresses: Vec<_> = found
                .map_err(|error| ResolveFailed { name: name.as_str().to_owned(), cause: error.to_string() })?
                .collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
