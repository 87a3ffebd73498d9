//! Wire types and codecs: everything that crosses a socket, and nothing of what it should mean.
//!
//! - [`json`]: one JSON document parsed once into a reusable tape; all event messages are views of it
//! - [`ws`]: WebSocket frames exactly as they are on the wire, and the opening handshake
//! - [`events`]: the messages of the events interface, read (views) and written (builders)
//! - [`http`]: requests and answers as plain values
//! - [`api`]: the REST documents of the Meeting Server API (XML answers, forms)
//!
//! Pure: no socket, no clock, no randomness. The emulator and the rules share these types and nothing else.

pub mod api;
pub mod events;
pub mod http;
pub mod json;
pub mod ws;
