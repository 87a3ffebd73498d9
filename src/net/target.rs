//! What is tested: where it is, with which accounts it is used, and how far its certificate is trusted.
//!
//! A [`Target`] is valid once it exists. Passwords never show in `Debug` or `Display`; this file and `http_client` are
//! the only ones that see them on the client's side.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::{Host, Url};

use crate::protocol::http::Credentials;
use crate::protocol::ws::handshake::EVENTS_PATH;

/// A Meeting Server, and how to reach it.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where it is.
    pub origin: Origin,
    /// The accounts to use.
    pub accounts: Accounts,
    /// What is trusted.
    pub tls: Tls,
    /// How long things may take that have no limit of their own.
    pub timeouts: Timeouts,
}

impl Target {
    /// The Meeting Server at `url`, with the default timeouts.
    ///
    /// # Errors
    /// Why `url` is no `http://host[:port]` or `https://host[:port]`.
    pub fn new(url: &str, accounts: Accounts, tls: Tls) -> Result<Self, TargetError> {
        Ok(Self { origin: Origin::parse(url)?, accounts, tls, timeouts: Timeouts::default() })
    }

    /// The URL of the events interface, without a token.
    pub fn events_url(&self) -> String {
        self.url(EVENTS_PATH)
    }

    /// The URL of a path with query, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }
}

/// Scheme, host and port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    scheme: Scheme,
    host: Host,
    port: u16,
}

/// How the Meeting Server is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

/// Why a URL is no target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No URL at all.
    #[error("`{url}` is no URL ({reason}); write https://host or https://host:port")]
    NoUrl {
        /// What was given.
        url: String,
        /// What the parser says.
        reason: String,
    },
    /// Another scheme.
    #[error("`{url}` has the scheme `{scheme}`; a Meeting Server is reached by https, an emulator also by http")]
    Scheme {
        /// What was given.
        url: String,
        /// Its scheme.
        scheme: String,
    },
    /// More than an origin.
    #[error("`{url}` has a {part}; give only scheme, host and port, such as {origin}")]
    Surplus {
        /// What was given, without a password.
        url: String,
        /// What it has too much.
        part: &'static str,
        /// What would do.
        origin: String,
    },
}

impl Origin {
    /// Reads `scheme://host[:port]`; the port is 80 or 443 if none is given.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        let shown = without_login(text);
        let no_url = |reason: String| TargetError::NoUrl { url: shown.clone(), reason };
        if !text.contains("://") {
            return Err(no_url("a scheme is missing".to_owned()));
        }
        let url = Url::parse(text).map_err(|error| no_url(error.to_string()))?;
        let scheme = match url.scheme() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            other => return Err(TargetError::Scheme { url: shown, scheme: other.to_owned() }),
        };
        let host = url.host().ok_or_else(|| no_url("a host is missing".to_owned()))?.to_owned();
        let origin = Self { scheme, host, port: url.port().unwrap_or_else(|| scheme.default_port()) };
        let part = if !url.username().is_empty() || url.password().is_some() {
            Some("name or password")
        } else if !matches!(url.path(), "" | "/") {
            Some("path")
        } else if url.query().is_some() {
            Some("query")
        } else if url.fragment().is_some() {
            Some("fragment")
        } else {
            None
        };
        let Some(part) = part else { return Ok(origin) };
        Err(TargetError::Surplus { url: shown, part, origin: origin.to_string() })
    }

    /// The scheme.
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host, a name or a literal address (without brackets).
    pub fn host(&self) -> String {
        match &self.host {
            Host::Ipv6(address) => address.to_string(),
            other => other.to_string(),
        }
    }

    /// Whether it is this machine, by its name or address.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }

    /// The TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Host and port as a dialled address: `host:port`, IPv6 in brackets.
    pub fn address(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    /// The value of the `Host` header: the port is left out where it is the scheme's own.
    pub fn host_header(&self) -> String {
        if self.port == self.scheme.default_port() { self.host.to_string() } else { self.address() }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host_header())
    }
}

impl Scheme {
    /// The scheme as it stands in a URL.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port where none is given.
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// What is trusted when a Meeting Server shows its certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// What the operating system trusts.
    System,
    /// That, and the certificates of this PEM text.
    CaFile(Vec<u8>),
    /// Anything. What would have been wrong is noted.
    Insecure,
}

/// The limits in time of single steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For the TCP connection and the TLS handshake together.
    pub connect: Duration,
    /// For a complete answer where the asker has no limit of its own.
    pub answer: Duration,
}

impl Default for Timeouts {
    /// 5 s to connect, 10 s to answer: generous in a network of today, short enough to wait for.
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), answer: Duration::from_secs(10) }
    }
}

/// The accounts of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accounts {
    /// May do everything that a run needs.
    pub privileged: Account,
    /// Exists, but may not issue tokens.
    pub unprivileged: Option<Account>,
}

/// A name and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Password,
}

/// A password, which shows nowhere.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Keeps a password.
    pub fn new(password: impl Into<String>) -> Self {
        Self(password.into())
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(password)")
    }
}

impl Account {
    /// A name and its password.
    pub fn new(name: impl Into<String>, password: impl Into<String>) -> Self {
        Self { name: name.into(), password: Password::new(password) }
    }

    fn authorization(&self) -> String {
        basic(&self.name, &self.password.0)
    }
}

impl Accounts {
    /// Accounts for one run of the embedded emulator, with passwords that nobody else knows.
    pub fn generated() -> Self {
        Self {
            privileged: Account::new("bridgeproof", super::entropy::password()),
            unprivileged: Some(Account::new("bridgeproof-limited", super::entropy::password())),
        }
    }

    /// The `Authorization` field for these credentials, if they have one.
    ///
    /// # Errors
    /// That the unprivileged account is asked for and there is none.
    pub(crate) fn authorization(&self, credentials: Credentials) -> Result<Option<String>, NoSuchAccount> {
        Ok(match credentials {
            Credentials::None => None,
            Credentials::Privileged => Some(self.privileged.authorization()),
            Credentials::Unprivileged => Some(self.unprivileged.as_ref().ok_or(NoSuchAccount)?.authorization()),
            Credentials::WrongPassword => {
                Some(basic(&self.privileged.name, &format!("not-{}", self.privileged.password.0)))
            }
            Credentials::UnknownUser => Some(basic(&format!("{}-unknown", self.privileged.name), "none")),
        })
    }

    /// Whose credentials an `Authorization` field carries, as a server sees it.
    pub(crate) fn recognise(&self, authorization: Option<&str>) -> Credentials {
        let Some(value) = authorization else { return Credentials::None };
        let Some((name, password)) = read_basic(value) else { return Credentials::UnknownUser };
        let matches = |account: &Account| account.name == name && account.password.0 == password;
        if matches(&self.privileged) {
            Credentials::Privileged
        } else if self.unprivileged.as_ref().is_some_and(matches) {
            Credentials::Unprivileged
        } else if self.privileged.name == name || self.unprivileged.as_ref().is_some_and(|known| known.name == name) {
            Credentials::WrongPassword
        } else {
            Credentials::UnknownUser
        }
    }
}

/// The text of a URL without a name and password that somebody may have put into it.
fn without_login(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => format!("{}{}", &url[..scheme + 3], &url[at + 1..]),
        (None, Some(at)) => url[at + 1..].to_owned(),
        _ => url.to_owned(),
    }
}

/// That a run has no unprivileged account.
#[derive(Debug, thiserror::Error)]
#[error("no unprivileged account is configured")]
pub(crate) struct NoSuchAccount;

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// The name and password of a `Basic` authorization (RFC 7617).
fn read_basic(value: &str) -> Option<(String, String)> {
    let (scheme, token) = value.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(token.trim()).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_owned(), password.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accounts() -> Accounts {
        Accounts { privileged: Account::new("admin", "se:cret"), unprivileged: Some(Account::new("guest", "other")) }
    }

    #[test]
    fn an_origin_has_default_ports_and_shows_as_it_was_meant() {
        let origin = |text: &str| Origin::parse(text).unwrap();
        assert_eq!((origin("https://cms.example.com").port(), origin("http://10.0.0.1/").port()), (443, 80));
        assert_eq!(origin("https://cms.example.com:445").to_string(), "https://cms.example.com:445");
        assert_eq!(origin("https://[::1]:445").address(), "[::1]:445");
        assert_eq!(origin("https://[::1]").host(), "::1");
        assert_eq!(origin("http://h:80").host_header(), "h");
    }

    #[test]
    fn what_is_no_origin_is_refused_with_the_reason_and_without_the_password() {
        let refused = |text: &str| Origin::parse(text).unwrap_err().to_string();
        assert!(refused("cms.example.com").contains("scheme is missing"));
        assert!(refused("ftp://h").contains("scheme `ftp`"));
        assert!(refused("https://h/api").contains("has a path; give only scheme, host and port, such as https://h"));
        assert!(refused("https://h?x=1").contains("query"));
        assert!(refused("https://").contains("no URL"));
        let named = refused("https://me:secret@h:1");
        assert!(named.contains("name or password") && !named.contains("secret"), "{named}");
        assert!(!refused("https://me:secret@h:port").contains("secret"));
    }

    #[test]
    fn credentials_go_out_and_are_recognised_again() {
        let accounts = accounts();
        for (kind, _) in Credentials::NAMES {
            let field = accounts.authorization(kind).unwrap();
            assert_eq!(accounts.recognise(field.as_deref()), kind);
        }
        for malformed in ["Basic", "Basic !!", "Bearer abc", "", "Basic bm9jb2xvbg=="] {
            assert_eq!(accounts.recognise(Some(malformed)), Credentials::UnknownUser, "{malformed}");
        }
        let alone = Accounts { unprivileged: None, ..accounts };
        assert!(alone.authorization(Credentials::Unprivileged).is_err());
    }

    #[test]
    fn a_password_shows_nowhere() {
        let target = Target::new("https://h", accounts(), Tls::System).unwrap();
        let shown = format!("{target:?} {}", target.accounts.privileged.password);
        assert!(!shown.contains("se:cret") && !shown.contains("other"), "{shown}");
    }
}
