//! Wire types and codecs: everything that crosses a socket, and nothing of what it should mean.
//!
//! - [`json`]: one JSON document parsed once into a reusable tape; all event messages are views of it
//! - [`ws`]: WebSocket frames exactly as they are on the wire, and the opening handshake
//! - [`events`]: the messages of the events interface, read (views) and written (builders)
//! - [`guid`]: GUIDs as numbers
//! - [`http`]: requests and answers as plain values
//! - [`http1`]: HTTP/1.1 messages in bytes, between Call Bridge and CDR receiver
//! - [`api`]: the REST documents of the Meeting Server API (XML answers, forms)
//! - [`cdr`]: sets of call detail records, read (views) and written
//!
//! Pure: no socket, no clock, no randomness. The emulator and the rules share these types and nothing else.

pub mod api;
pub mod cdr;
pub mod events;
pub mod guid;
pub mod http;
pub mod http1;
pub mod json;
pub mod ws;
