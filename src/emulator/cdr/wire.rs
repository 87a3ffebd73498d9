//! A POST in bytes, its answer, and where a receiver's URI leads.

use super::record::Post;
use crate::emulator::server::Address;
use crate::emulator::settings::Settings;
use crate::emulator::values::HeaderCase;
use crate::protocol::api::xml::Element;
use crate::protocol::http1::write_request;

/// Where a receiver's URI leads (CDR guide, section 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::emulator) struct Target {
    pub(super) address: Address,
    /// What goes into `Host`: the authority as it was configured.
    pub(super) authority: String,
    /// Path and query as they were configured.
    pub(super) path: String,
}

impl Target {
    /// Reads a URI. Path and query stay as they are, but for a fragment, which never leaves a client.
    pub(in crate::emulator) fn parse(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        if uri.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return None;
        }
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => {
                let (host, after) = rest.split_once(']')?;
                (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let port = match port {
            "" => {
                if tls {
                    443
                } else {
                    80
                }
            }
            text => text.parse().ok().filter(|port| *port > 0)?,
        };
        if host.is_empty() {
            return None;
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        Some(Self {
            address: Address { tls, host: host.to_owned(), port },
            authority: authority.to_owned(),
            path: format!("{slash}{path}"),
        })
    }
}

/// The header fields of a POST, but for its length.
pub(super) fn headers(settings: &Settings, target: &Target) -> Vec<(String, String)> {
    let mut headers = vec![("Host".to_owned(), target.authority.clone())];
    let mut field = |name: &str, value: &str| {
        if !value.is_empty() {
            headers.push((name.to_owned(), value.to_owned()));
        }
    };
    field("User-Agent", &settings.cdr_user_agent);
    field("Content-Type", &settings.cdr_content_type);
    match (settings.cdr_keep_alive, settings.cdr_http_1_0) {
        (true, true) => field("Connection", "keep-alive"),
        (false, _) => field("Connection", "close"),
        (true, false) => {}
    }
    headers
}

/// A document with line ends and indents, as a person would like to read it.
pub(super) fn indented(root: &Element) -> String {
    let mut out = String::from("<?xml version=\"1.0\"?>");
    indent(root, 0, &mut out);
    out.push('\n');
    out
}

fn indent(element: &Element, depth: usize, out: &mut String) {
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    let mut shell = element.clone();
    shell.children.clear();
    let text = shell.to_document();
    let own = text.strip_prefix("<?xml version=\"1.0\"?>").unwrap_or(&text);
    if element.children.is_empty() {
        return out.push_str(own);
    }
    out.push_str(own.strip_suffix("/>").or_else(|| own.split_once("></").map(|(tag, _)| tag)).unwrap_or(own));
    out.push('>');
    for child in &element.children {
        indent(child, depth + 1, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push_str(&format!("</{}>", element.name));
}

/// A POST with this body, in bytes.
pub(super) fn request(settings: &Settings, post: &Post, body: &[u8]) -> Vec<u8> {
    let spell: fn(&str) -> String = match settings.header_case {
        HeaderCase::Mixed => str::to_owned,
        HeaderCase::Lower => str::to_lowercase,
        HeaderCase::Upper => str::to_uppercase,
    };
    let mut fields: Vec<(String, String)> =
        post.headers.iter().map(|(name, value)| (spell(name), value.clone())).collect();
    fields.push((spell("Content-Length"), body.len().to_string()));
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut bytes = write_request(&post.method, &post.target, &fields, body);
    let line_end = bytes.iter().position(|byte| *byte == b'\r').unwrap_or_default();
    if settings.cdr_http_1_0
        && let Some(minor) = bytes.get_mut(line_end.saturating_sub(1))
    {
        *minor = b'0';
    }
    bytes
}
