//! What a target can do, asked before a run.
//!
//! [`probe`] asks for a token, the status, and the emulator's test-only API, and changes nothing. Where that fails it
//! says what is wrong in words that help: who was asked, what came back, and what to try. It judges nothing else.

use std::time::Duration;

use super::socket_driver::Link;
use crate::protocol::api::names::{AUTH_TOKENS, BASE, TEST_BASE, TOKEN_HEADER};
use crate::protocol::api::xml::Element;
use crate::protocol::http::{Credentials, Headers, Method, Request, Response};
use crate::spec::Version;
use crate::trace::{NetworkError, NetworkErrorKind};

/// How much of an unexpected answer is shown, in characters.
const SHOWN: usize = 60;

/// What a target can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The release, if the status names one that can be read.
    pub version: Option<Version>,
    /// The release as the status names it.
    pub software_version: Option<String>,
    /// Whether the Meeting Server is in a cluster, if the status says so.
    pub clustered: Option<bool>,
    /// Whether the emulator's test-only API is there.
    pub test_api: bool,
    /// Whether the run has an account that may not issue tokens.
    pub unprivileged_account: bool,
    /// What was wrong with the certificate, where that is let pass.
    pub certificate_doubt: Option<String>,
}

/// Why a target cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// No answer came.
    #[error("{error}{hint}", hint = hint(.error.kind))]
    Network {
        /// Where and why.
        error: NetworkError,
    },
    /// 401: name or password is wrong.
    #[error("{address}: the login as `{user}` was refused (401); check name and password")]
    LoginRefused {
        /// What was asked.
        address: String,
        /// The account's name.
        user: String,
    },
    /// 403: the account is known, but not allowed to.
    #[error("{address}: `{user}` may not do this (403); an account with the right to use the API is needed")]
    Forbidden {
        /// What was asked.
        address: String,
        /// The account's name.
        user: String,
    },
    /// 5xx: the server is not well.
    #[error("{address}: the server answered {status}{detail}")]
    ServerFailed {
        /// What was asked.
        address: String,
        /// The status.
        status: u16,
        /// More about it, with its separator; or nothing.
        detail: String,
    },
    /// An answer that no Meeting Server gives.
    #[error("{address}: this is no Meeting Server with an events interface: {observed}")]
    NoMeetingServer {
        /// What was asked.
        address: String,
        /// What came back.
        observed: String,
    },
}

/// What to try.
const fn hint(kind: NetworkErrorKind) -> &'static str {
    match kind {
        NetworkErrorKind::Resolve => " (check the name, or give an address)",
        NetworkErrorKind::Connect => " (check address and port; the API is on the port of the web interface)",
        NetworkErrorKind::Tls => {
            " (trust its issuer with `--ca FILE`, or let everything pass with `--insecure`; without TLS use http://)"
        }
        NetworkErrorKind::Timeout => " (check that nothing filters the traffic, and that this is the API's port)",
        NetworkErrorKind::Closed => " (does the server want https there?)",
        NetworkErrorKind::Malformed => " (check the port, and whether it wants https)",
    }
}

/// Asks what the target of `link` can do. Takes up to three exchanges, each within the target's limit for answers.
///
/// # Errors
/// Why no run is possible.
pub async fn probe(link: &Link) -> Result<Capabilities, ProbeError> {
    let limit = link.target().timeouts.answer;
    let token = Asked::of(link, Method::Post, AUTH_TOKENS, limit).await?.successful()?;
    if token.response.headers.get(TOKEN_HEADER).is_none() {
        let observed = format!("a token was asked for, and {} came without one", token.describe());
        return Err(ProbeError::NoMeetingServer { address: token.address, observed });
    }
    let status = Asked::of(link, Method::Get, &format!("{BASE}/system/status"), limit).await?.successful()?;
    let document = match Element::parse(&status.response.body) {
        Ok(document) if document.name == "status" => document,
        _ => {
            let observed = format!("its status was asked for, and {} came", status.describe());
            return Err(ProbeError::NoMeetingServer { address: status.address, observed });
        }
    };
    let test_api = Asked::of(link, Method::Get, TEST_BASE, limit).await.is_ok_and(|asked| asked.is_test_api());
    let software_version = document.text_at(&["softwareVersion"]).map(str::to_owned);
    Ok(Capabilities {
        version: software_version.as_deref().and_then(|text| text.parse().ok()),
        software_version,
        clustered: document.text_at(&["clusterEnabled"]).and_then(|text| text.parse().ok()),
        test_api,
        unprivileged_account: link.target().accounts.unprivileged.is_some(),
        certificate_doubt: link.doubts().first(),
    })
}

/// One question and its answer.
struct Asked {
    address: String,
    user: String,
    response: Response,
}

impl Asked {
    async fn of(link: &Link, method: Method, path: &str, limit: Duration) -> Result<Self, ProbeError> {
        let request = Request {
            method,
            target: path.to_owned(),
            credentials: Credentials::Privileged,
            headers: Headers::new(),
            body: Vec::new(),
        };
        let response = link.http().exchange(&request, limit).await.map_err(|error| ProbeError::Network { error })?;
        let user = link.target().accounts.privileged.name.clone();
        Ok(Self { address: link.target().url(path), user, response })
    }

    fn successful(self) -> Result<Self, ProbeError> {
        let status = self.response.status;
        match status {
            200 => Ok(self),
            401 => Err(ProbeError::LoginRefused { address: self.address, user: self.user }),
            403 => Err(ProbeError::Forbidden { address: self.address, user: self.user }),
            500..=599 => {
                let text = excerpt(&self.response);
                let detail = if text.is_empty() { text } else { format!(": {text}") };
                Err(ProbeError::ServerFailed { address: self.address, status, detail })
            }
            _ => {
                let observed = self.describe();
                Err(ProbeError::NoMeetingServer { address: self.address, observed })
            }
        }
    }

    /// A catch-all page is no test-only API.
    fn is_test_api(&self) -> bool {
        self.response.status == 200 && !is_html(&self.response)
    }

    /// The answer in a few words.
    fn describe(&self) -> String {
        let status = self.response.status;
        if is_html(&self.response) {
            return format!("a web page (status {status})");
        }
        if let (300..=399, Some(to)) = (status, self.response.headers.get("Location")) {
            return format!("a redirection to {to} (status {status})");
        }
        let text = excerpt(&self.response);
        if text.is_empty() { format!("an empty answer (status {status})") } else { format!("status {status}: {text}") }
    }
}

fn is_html(response: &Response) -> bool {
    let stated = response.headers.get("Content-Type").is_some_and(|kind| kind.to_ascii_lowercase().contains("html"));
    let start = response.body.trim_ascii_start();
    let begins = |with: &[u8]| start.len() >= with.len() && start[..with.len()].eq_ignore_ascii_case(with);
    stated || begins(b"<!doctype html") || begins(b"<html")
}

/// The beginning of a body, on one line.
fn excerpt(response: &Response) -> String {
    let text = response.text();
    let words: Vec<&str> = text.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    if line.chars().count() > SHOWN { format!("{}...", line.chars().take(SHOWN).collect::<String>()) } else { line }
}
