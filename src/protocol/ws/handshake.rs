//! The opening handshake (RFC 6455 section 4) as requests and answers.
//!
//! The key is made from bytes that the caller supplies, so a seed decides it; the accept value comes from tungstenite.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::protocol::http::{Headers, Method, Request, Response};

/// The path of the events interface (EVENTS 4.0.1 step 3).
pub const EVENTS_PATH: &str = "/events/v1";

/// The query parameter that carries the token (EVENTS 4.0.1 step 3).
pub const TOKEN_PARAMETER: &str = "authToken";

/// The `Sec-WebSocket-Key` made of 16 bytes.
pub fn key(nonce: [u8; 16]) -> String {
    STANDARD.encode(nonce)
}

/// The `Sec-WebSocket-Accept` that answers `key` (RFC 6455 4.2.2).
pub fn accept_for(key: &str) -> String {
    tokio_tungstenite::tungstenite::handshake::derive_accept_key(key.as_bytes())
}

/// The request that opens an event connection with `token`; without one, the parameter is left out.
pub fn upgrade_request(token: Option<&str>, nonce: [u8; 16]) -> Request {
    let target = token.map_or_else(
        || EVENTS_PATH.to_owned(),
        |token| {
            let query = form_urlencoded::Serializer::new(String::new()).append_pair(TOKEN_PARAMETER, token).finish();
            format!("{EVENTS_PATH}?{query}")
        },
    );
    let headers = Headers::new()
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", key(nonce));
    Request {
        method: Method::Get,
        target,
        credentials: crate::protocol::http::Credentials::None,
        headers,
        body: Vec::new(),
    }
}

/// Whether a request asks for a WebSocket.
pub fn is_upgrade(request: &Request) -> bool {
    request.method == Method::Get
        && request.headers.has_token("Connection", "upgrade")
        && request.headers.has_token("Upgrade", "websocket")
        && request.headers.get("Sec-WebSocket-Key").is_some()
}

/// The 101 answer to `request`, which [`is_upgrade`].
pub fn switching_protocols(request: &Request) -> Response {
    let accept = accept_for(request.headers.get("Sec-WebSocket-Key").unwrap_or_default());
    Response {
        status: 101,
        headers: Headers::new()
            .with("Upgrade", "websocket")
            .with("Connection", "upgrade")
            .with("Sec-WebSocket-Accept", accept),
        body: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_key_of_the_rfc_gets_its_accept_value() {
        // RFC 6455 1.3. (The pair that EVENTS 4.0.1 prints does not match: one of its letters was lost in print.)
        assert_eq!(accept_for("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn a_token_is_escaped_in_the_query() {
        let request = upgrade_request(Some("a&b=c"), [0; 16]);
        assert_eq!(request.target, "/events/v1?authToken=a%26b%3Dc");
        assert!(is_upgrade(&request));
        assert_eq!(upgrade_request(None, [0; 16]).target, "/events/v1");
    }
}
