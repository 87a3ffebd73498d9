//! WebSocket (RFC 6455) as it is on the wire: every frame visible, any frame sendable.
//!
//! tungstenite joins fragments, answers pings and refuses what it does not like, so it cannot show what a server really
//! sent. [`frame`] decodes and encodes single frames, legal or not; [`handshake`] builds and reads the opening
//! handshake; [`assemble`] joins text fragments for those who want whole messages.

pub mod assemble;
pub mod frame;
pub mod handshake;
