//! The trace: everything that happened in a run, in order. It is the interface between those who act and those who judge.
//!
//! Actors and drivers write [`Observation`]s through a [`Sink`]; rules, the recorder and reports read them. Nothing here
//! knows what an observation means. [`chronicle`] keeps observations in words, as evidence; [`format`](mod@format) is a trace
//! as a file: its lines, written and read, with [`secrets`] replaced on the way.

pub mod chronicle;
mod event_line;
mod flight;
pub mod format;
pub mod observation;
pub mod recorded;
pub mod secrets;

pub use chronicle::Chronicle;
pub use observation::{
    ConnectionId, EndCause, Event, ExchangeId, LinkId, NetworkError, NetworkErrorKind, Observation, ReceiverId, Seq,
    SetId, Side, Sink, Text,
};
pub use recorded::{Recorded, Scratch};
pub use secrets::Secrets;
