//! Secrets in observations, replaced by stable pseudonyms before anything is recorded.
//!
//! Tokens are the secrets that observations hold: in the header that issues or carries one, in the query of an upgrade,
//! and wherever else a scenario puts one. The first token of a trace becomes `token-1`, the next other one `token-2`:
//! equal tokens have equal names, different ones different names, and an empty value stays empty, so that rules see no
//! difference. Headers with log-ins and sessions, which no rule reads, lose their values.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::protocol::api::names::TOKEN_HEADER;
use crate::protocol::http::Headers;
use crate::protocol::ws::handshake::TOKEN_PARAMETER;

/// Headers whose values are left out.
const PRIVATE: [&str; 4] = ["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"];

/// What stands for the value of such a header.
const HIDDEN: &str = "(hidden)";

/// A token that is shorter is replaced in its own places only, since it could be part of any text.
const LENGTH_IN_TEXT: usize = 8;

/// The pseudonyms of one trace.
#[derive(Debug, Default)]
pub struct Secrets {
    names: BTreeMap<String, String>,
    /// Tokens that were issued: they are replaced everywhere.
    issued: Vec<String>,
}

impl Secrets {
    /// No secret is known.
    pub fn new() -> Self {
        Self::default()
    }

    fn name(&mut self, token: &str) -> String {
        let next = self.names.len() + 1;
        self.names.entry(token.to_owned()).or_insert_with(|| format!("token-{next}")).clone()
    }

    /// An answer of success issued what its header carries.
    pub(super) fn issued(&mut self, headers: &Headers) {
        for token in headers.all(TOKEN_HEADER).map(str::trim).filter(|token| token.len() >= LENGTH_IN_TEXT) {
            if !self.issued.iter().any(|known| known == token) {
                self.name(token);
                self.issued.push(token.to_owned());
            }
        }
    }

    pub(super) fn headers<'h>(&mut self, headers: &'h Headers) -> Vec<(Cow<'h, str>, Cow<'h, str>)> {
        let shown = headers.iter().map(|(name, value)| {
            let value = if name.eq_ignore_ascii_case(TOKEN_HEADER) {
                self.header_value(value)
            } else if PRIVATE.iter().any(|private| name.eq_ignore_ascii_case(private)) {
                Cow::Borrowed(HIDDEN)
            } else {
                self.text(value)
            };
            (Cow::Borrowed(name), value)
        });
        shown.collect()
    }

    /// The value of the token's header; white space around it is no part of the token, but stays.
    fn header_value<'v>(&mut self, value: &'v str) -> Cow<'v, str> {
        let token = value.trim();
        if token.is_empty() {
            return Cow::Borrowed(value);
        }
        let start = value.len() - value.trim_start().len();
        Cow::Owned(format!("{}{}{}", &value[..start], self.name(token), &value[start + token.len()..]))
    }

    /// A request's path and query.
    pub(super) fn target<'t>(&mut self, target: &'t str) -> Cow<'t, str> {
        let Some((path, query)) = target.split_once('?') else { return self.text(target) };
        let mut shown = self.text(path).into_owned();
        let mut replaced = false;
        for (number, pair) in query.split('&').enumerate() {
            shown.push(if number == 0 { '?' } else { '&' });
            let token = form_urlencoded::parse(pair.as_bytes())
                .next()
                .filter(|(name, value)| name.eq_ignore_ascii_case(TOKEN_PARAMETER) && !value.is_empty());
            match (token, pair.split_once('=')) {
                (Some((_, value)), Some((name, _))) => {
                    replaced = true;
                    shown.push_str(name);
                    shown.push('=');
                    shown.push_str(&self.name(&value));
                }
                _ => shown.push_str(&self.text(pair)),
            }
        }
        if replaced || shown != target { Cow::Owned(shown) } else { Cow::Borrowed(target) }
    }

    /// Any other text, with the issued tokens in it replaced.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut shown = Cow::Borrowed(text);
        for token in &self.issued {
            if memchr::memmem::find(shown.as_bytes(), token.as_bytes()).is_some() {
                shown = Cow::Owned(shown.replace(token.as_str(), &self.names[token]));
            }
        }
        shown
    }

    /// Bytes that are no text.
    pub(super) fn bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let mut shown = Cow::Borrowed(bytes);
        for token in &self.issued {
            if memchr::memmem::find(&shown, token.as_bytes()).is_none() {
                continue;
            }
            let (mut replaced, mut rest) = (Vec::with_capacity(shown.len()), 0);
            for at in memchr::memmem::find_iter(&shown, token.as_bytes()) {
                replaced.extend_from_slice(&shown[rest..at]);
                replaced.extend_from_slice(self.names[token].as_bytes());
                rest = at + token.len();
            }
            replaced.extend_from_slice(&shown[rest..]);
            shown = Cow::Owned(replaced);
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "7174c102-61b3-47a6-8ff2-b86256cca958";

    fn shown(secrets: &mut Secrets, name: &str, value: &str) -> String {
        secrets.headers(&Headers::new().with(name, value))[0].1.to_string()
    }

    #[test]
    fn equal_tokens_have_equal_names_wherever_they_stand() {
        let mut secrets = Secrets::new();
        assert_eq!(shown(&mut secrets, "x-cisco-cms-auth-token", &format!(" {TOKEN} ")), " token-1 ");
        assert_eq!(shown(&mut secrets, TOKEN_HEADER, "another"), "token-2");
        assert_eq!(shown(&mut secrets, TOKEN_HEADER, " "), " ");
        let target = format!("/events/v1?a=%41&authToken={}&b", TOKEN.replace('-', "%2D"));
        assert_eq!(secrets.target(&target), "/events/v1?a=%41&authToken=token-1&b");
        assert_eq!(secrets.target("/events/v1?authToken=&x"), "/events/v1?authToken=&x");
        assert_eq!(secrets.target("/events/v1?authToken=token-1"), "/events/v1?authToken=token-3");
    }

    #[test]
    fn an_issued_token_is_replaced_everywhere_and_no_other_value_is() {
        let mut secrets = Secrets::new();
        secrets.issued(&Headers::new().with(TOKEN_HEADER, TOKEN));
        assert_eq!(secrets.text(&format!("a {TOKEN} b")), "a token-1 b");
        assert_eq!(secrets.target(&format!("/{TOKEN}")), "/token-1");
        assert_eq!(&*secrets.bytes(&[&[0xFF], TOKEN.as_bytes()].concat()), b"\xFFtoken-1");
        secrets.target("/events/v1?authToken=unknown-token");
        assert_eq!(secrets.text("unknown-token"), "unknown-token");
    }

    #[test]
    fn log_ins_and_sessions_lose_their_values() {
        let mut secrets = Secrets::new();
        assert_eq!(shown(&mut secrets, "set-cookie", "session=1"), HIDDEN);
        assert_eq!(shown(&mut secrets, "Authorization", "Basic x"), HIDDEN);
        assert_eq!(shown(&mut secrets, "Sec-WebSocket-Key", "x"), "x");
    }
}
