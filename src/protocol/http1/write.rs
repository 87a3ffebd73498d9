//! Requests and answers as bytes. Nothing is added and nothing is checked: what a conformant peer never sends must be
//! writable, too, a wrong `Content-Length` above all.

use std::io::Write;

/// A request. The header fields are written as given; the length of the body has to be among them.
pub fn write_request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    write_message(&[method, " ", target, " HTTP/1.1"], headers, body)
}

/// An answer. The header fields are written as given; the length of the body has to be among them, if it has any.
pub fn write_answer(status: u16, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    write_message(&["HTTP/1.1 ", &status.to_string(), " ", reason_phrase(status)], headers, body)
}

/// A body in chunks of at most `size` bytes (at least 1), with the last, empty chunk.
pub fn write_chunks(body: &[u8], size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() + 16);
    for chunk in body.chunks(size.max(1)) {
        write!(bytes, "{:x}\r\n", chunk.len()).expect("writing to memory does not fail");
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
    bytes
}

fn write_message(first_line: &[&str], headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let fields: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum();
    let line: usize = first_line.iter().map(|part| part.len()).sum();
    let mut bytes = Vec::with_capacity(line + fields + body.len() + 4);
    first_line.iter().for_each(|part| bytes.extend_from_slice(part.as_bytes()));
    bytes.extend_from_slice(b"\r\n");
    for (name, value) in headers {
        for part in [name, ": ", value, "\r\n"] {
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

fn reason_phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("")
}
