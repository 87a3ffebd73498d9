//! HTTP requests and answers as plain values, as far as a conformance harness has to see them.
//!
//! Drivers turn them into real exchanges; the emulator answers them; rules read them from the trace. Header names
//! keep the spelling of the wire and compare without case. Secrets never stand in a [`Request`]: it says *whose*
//! credentials go with it ([`Credentials`]), and only the driver knows them.

use std::fmt;

/// A request method that the Meeting Server API uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Method {
    /// Read.
    Get,
    /// Create.
    Post,
    /// Change.
    Put,
    /// Remove.
    Delete,
}

impl Method {
    /// The method as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// The method with this name (upper case), if it is one of the four.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "GET" => Self::Get,
            "POST" => Self::Post,
            "PUT" => Self::Put,
            "DELETE" => Self::Delete,
            _ => return None,
        })
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose name and password accompany a request. The values themselves stay with the driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Credentials {
    /// No `Authorization` header.
    None,
    /// An account that may do everything a run needs.
    Privileged,
    /// An account that exists but may not issue tokens.
    Unprivileged,
    /// The privileged account's name with a password that is not its own.
    WrongPassword,
    /// A name that no account has.
    UnknownUser,
}

impl Credentials {
    /// All kinds, with the names they have in scenarios and traces.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::None, "none"),
        (Self::Privileged, "privileged"),
        (Self::Unprivileged, "unprivileged"),
        (Self::WrongPassword, "wrong-password"),
        (Self::UnknownUser, "unknown-user"),
    ];

    /// The name used in scenarios and traces.
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(kind, _)| *kind == self).map_or("none", |(_, name)| name)
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, known)| *known == name).map(|(kind, _)| *kind)
    }
}

/// Header fields in the order and spelling of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds one field at the end; repeated names are kept.
    pub fn push(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.push((name.into(), value.into()));
    }

    /// This list with one more field.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.push(name, value);
        self
    }

    /// The first value of the field `name`, compared without case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of the field `name`, compared without case.
    pub fn all<'h>(&'h self, name: &str) -> impl Iterator<Item = &'h str> {
        let name = name.to_owned();
        self.0.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, value)| value.as_str())
    }

    /// Whether a comma separated field contains `token`, compared without case.
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(token))
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }

    /// All fields in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Headers {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// One request, without the name of the host and without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What is to be done.
    pub method: Method,
    /// Path and query, percent-encoded, beginning with a slash: `/api/v1/calls?limit=10`.
    pub target: String,
    /// Whose name and password go along.
    pub credentials: Credentials,
    /// Fields beyond those that every client sends (`Host`, `Content-Length`, `Authorization`).
    pub headers: Headers,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl Request {
    /// A request without a body, with the privileged account.
    pub fn new(method: Method, target: impl Into<String>) -> Self {
        Self {
            method,
            target: target.into(),
            credentials: Credentials::Privileged,
            headers: Headers::new(),
            body: Vec::new(),
        }
    }

    /// The target's path, without the query.
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The target's query, without the question mark; empty for none.
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The decoded value of the query parameter `name`.
    pub fn parameter(&self, name: &str) -> Option<String> {
        form_urlencoded::parse(self.query().as_bytes()).find(|(known, _)| known == name).map(|(_, v)| v.into_owned())
    }
}

/// One answer, as far as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code, 100 to 999.
    pub status: u16,
    /// All header fields.
    pub headers: Headers,
    /// The body; empty for none.
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without headers and body.
    pub const fn new(status: u16) -> Self {
        Self { status, headers: Headers::new(), body: Vec::new() }
    }

    /// Whether the status is one of success (2xx).
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// The body as text, with the replacement character where it is not UTF-8.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_names_compare_without_case_and_tokens_are_found_in_lists() {
        let headers = Headers::new().with("Connection", "keep-alive, Upgrade").with("X-A", "1").with("x-a", "2");
        assert!(headers.has_token("connection", "upgrade"));
        assert!(!headers.has_token("connection", "up"));
        assert_eq!(headers.all("X-a").collect::<Vec<_>>(), ["1", "2"]);
    }

    #[test]
    fn request_splits_path_and_query() {
        let request = Request::new(Method::Get, "/events/v1?authToken=a%2Fb&x=");
        assert_eq!(request.path(), "/events/v1");
        assert_eq!(request.parameter("authToken").as_deref(), Some("a/b"));
        assert_eq!(request.parameter("x").as_deref(), Some(""));
        assert_eq!(request.parameter("y"), None);
    }
}
