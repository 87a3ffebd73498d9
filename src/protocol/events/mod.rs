//! The messages of the events interface (EVENTS 5.0.1): the two envelopes and the five message types.
//!
//! [`names`] has the words of the wire, [`message`] reads (views of a [`Json`](super::json::Json) document, tolerant:
//! what does not fit is visible, not refused), [`mod@write`] writes.

pub mod message;
pub mod names;
pub mod write;

pub use message::{Ack, Entry, Envelope, Message, Requested, StateEntry};
pub use names::{MessageType, Resource, State, UpdateType};
