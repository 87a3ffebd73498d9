//! What a target can do, asked before a run.
//!
//! [`probe`] asks for a token, the status, the list of CDR receivers and the emulator's test-only API, and changes nothing. Where that fails it
//! says what is wrong in words that help: who was asked, what came back, and what to try. It judges nothing else.

use std::time::Duration;

use super::socket_driver::Link;
use crate::protocol::api::names::{AUTH_TOKENS, BASE, CDR_RECEIVERS, TEST_BASE, TOKEN_HEADER};
use crate::protocol::api::xml::Element;
use crate::protocol::http::{Credentials, Headers, Method, Request, Response};
use crate::trace::{NetworkError, NetworkErrorKind};

/// How much of an unexpected answer is shown, in characters.
const SHOWN: usize = 60;

/// What a target can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The release as the status names it, such as `3.7.1`; `spec::Version` reads it.
    pub software_version: Option<String>,
    /// Whether the Meeting Server is in a cluster, if the status says so.
    pub clustered: Option<bool>,
    /// Whether it offers its API beyond tokens: without, events can be listened to and no more.
    pub api: bool,
    /// Whether the emulator's test-only API is there.
    pub test_api: bool,
    /// Whether the run has an account that may not issue tokens.
    pub unprivileged_account: bool,
    /// The places of its list of CDR receivers; `None` where it shows no such list.
    pub receiver_places: Option<ReceiverPlaces>,
    /// What was wrong with the certificate, where that is let pass.
    pub certificate_doubt: Option<String>,
}

/// The places of a Call Bridge's list of CDR receivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceiverPlaces {
    /// How many there are.
    pub all: usize,
    /// How many were taken when it was asked.
    pub taken: usize,
}

impl Default for ReceiverPlaces {
    /// An empty list with as many places as a Call Bridge has (CDR guide, section 2).
    fn default() -> Self {
        Self { all: 4, taken: 0 }
    }
}

impl ReceiverPlaces {
    /// How many are free.
    pub const fn free(&self) -> usize {
        self.all.saturating_sub(self.taken)
    }
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

/// Asks what the target of `link` can do. Takes up to four exchanges, each within the target's limit for answers.
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
    let status = Asked::of(link, Method::Get, &format!("{BASE}/system/status"), limit).await?;
    if status.is_out_of_bounds() {
        return Ok(Capabilities {
            software_version: None,
            clustered: None,
            api: false,
            test_api: false,
            unprivileged_account: link.target().accounts.unprivileged.is_some(),
            receiver_places: None,
            certificate_doubt: link.doubts().first(),
        });
    }
    let status = status.successful()?;
    let document = match Element::parse(&status.response.body) {
        Ok(document) if document.name == "status" => document,
        _ => {
            let observed = format!("its status was asked for, and {} came", status.describe());
            return Err(ProbeError::NoMeetingServer { address: status.address, observed });
        }
    };
    let test_api = Asked::of(link, Method::Get, TEST_BASE, limit).await.is_ok_and(|asked| asked.is_test_api());
    let receivers = Asked::of(link, Method::Get, CDR_RECEIVERS, limit).await.ok();
    Ok(Capabilities {
        software_version: document.text_at(&["softwareVersion"]).map(str::to_owned),
        clustered: document.text_at(&["clusterEnabled"]).and_then(|text| text.parse().ok()),
        api: true,
        test_api,
        unprivileged_account: link.target().accounts.unprivileged.is_some(),
        receiver_places: receivers.and_then(|asked| asked.receiver_places()),
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

    /// Whether it is not there for this account, whatever else is.
    fn is_out_of_bounds(&self) -> bool {
        matches!(self.response.status, 401 | 403 | 404 | 405 | 501)
    }

    /// A catch-all page is no test-only API.
    fn is_test_api(&self) -> bool {
        self.response.status == 200 && !is_html(&self.response)
    }

    /// The places of the list of CDR receivers, if this is one.
    fn receiver_places(&self) -> Option<ReceiverPlaces> {
        let list = Element::parse(&self.response.body).ok().filter(|list| list.name == "cdrReceivers")?;
        let number = |name: &str| list.get_attribute(name)?.trim().parse::<usize>().ok();
        let all = number("maximum").unwrap_or_else(|| ReceiverPlaces::default().all);
        Some(ReceiverPlaces { all, taken: number("total").unwrap_or(0).max(list.children.len()) })
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::fixtures::{Echo, canned, link, nameless, plain, refusing, serve, silent, within};
    use crate::net::target::Tls;
    use crate::net::tls::ServerTls;

    async fn told(url: &str) -> String {
        within(probe(&plain(url))).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_server_in_order_shows_what_it_can_do() {
        let shell = serve(Echo::default(), None, None).await;
        let capabilities = within(probe(&plain(&shell.url()))).await.unwrap();
        assert_eq!(capabilities.software_version.as_deref(), Some("3.6.2"));
        assert_eq!((capabilities.clustered, capabilities.test_api), (Some(true), false));
        assert!(capabilities.unprivileged_account && capabilities.certificate_doubt.is_none());
        within(shell.stop()).await;
    }

    #[test]
    fn free_places_for_receivers_are_read_from_the_list_and_nothing_else() {
        let places = |body: &str| {
            let response = Response { body: body.as_bytes().to_vec(), ..Response::new(200) };
            Asked { address: String::new(), user: String::new(), response }.receiver_places()
        };
        let list =
            places("<cdrReceivers total=\"2\" maximum=\"4\"><cdrReceiver/><cdrReceiver/></cdrReceivers>").unwrap();
        assert_eq!((list.all, list.taken, list.free()), (4, 2, 2));
        assert_eq!(places("<cdrReceivers total=\"9\"/>").unwrap().free(), 0);
        assert_eq!(places("<cdrReceivers/>"), Some(ReceiverPlaces::default()));
        assert!(places("<calls total=\"0\"/>").is_none() && places("").is_none());
    }

    #[tokio::test]
    async fn each_bad_target_is_told_apart_with_address_and_cause() {
        let cases = [
            (refusing(), "refused"),
            (nameless(), "could not be resolved"),
            (silent().await, "no complete answer within 500 ms"),
            (canned("SSH-2.0-OpenSSH_9.9\r\n").await, "check the port"),
            (canned("HTTP/1.1 200 OK\r\nContent-Le").await, "closed"),
            (canned("HTTP/1.1 200 OK\r\n\r\n<!DOCTYPE html><p>Hi").await, "a web page (status 200)"),
            (canned("HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n").await, "a redirection to /login"),
            (canned("HTTP/1.1 404 Not Found\r\n\r\nnothing   here").await, "status 404: nothing here"),
            (canned("HTTP/1.1 401 No\r\n\r\n").await, "the login as `admin` was refused (401)"),
            (canned("HTTP/1.1 403 No\r\n\r\n").await, "`admin` may not do this (403)"),
            (canned("HTTP/1.1 500 No\r\n\r\nbroken").await, "the server answered 500: broken"),
            (canned("x").await.replace("http", "https"), "does not speak TLS"),
        ];
        for (url, words) in cases {
            let text = told(&url).await;
            assert!(text.to_lowercase().contains(&words.to_lowercase()), "{url}: {text}");
            assert!(text.contains(url.trim_start_matches("https://").trim_start_matches("http://")), "{text}");
            assert!(!text.contains("secret"), "{text}");
        }
    }

    #[tokio::test]
    async fn certificates_are_checked_unless_told_otherwise() {
        let tls = ServerTls::self_made(&["cms.example.com".to_owned()]).unwrap();
        let (ours, other) = (tls.ca_pem.clone().unwrap(), ServerTls::self_made(&[]).unwrap().ca_pem.unwrap());
        let shell = serve(Echo::default(), Some(tls), None).await;
        let url = shell.url();
        let good = within(probe(&link(&url, Tls::CaFile(ours.into_bytes())))).await.unwrap();
        assert_eq!(good.certificate_doubt, None);
        let bad = within(probe(&link(&url, Tls::CaFile(other.into_bytes())))).await.unwrap_err().to_string();
        assert!(bad.contains("its issuer is not trusted") || bad.contains("its signature is wrong"), "{bad}");
        assert!(bad.contains("`--ca FILE`") && bad.contains("`--insecure`"), "{bad}");
        let lenient = within(probe(&link(&url, Tls::Insecure))).await.unwrap();
        assert!(lenient.certificate_doubt.is_some());
        within(shell.stop()).await;
    }

    #[tokio::test]
    async fn a_certificate_for_another_name_is_told_as_such() {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["other.example.com".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem();
        let tls = ServerTls::from_pem(certificate.as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        let shell = serve(Echo::default(), Some(tls), None).await;
        let link = link(&shell.url(), Tls::CaFile(certificate.into_bytes()));
        let text = within(probe(&link)).await.unwrap_err().to_string();
        assert!(text.contains("it is for another name") && text.contains("other.example.com"), "{text}");
        within(shell.stop()).await;
    }
}
