//! The trace: everything that happened in a run, in order. It is the interface between those who act and those who judge.
//!
//! Actors and drivers write [`Observation`]s through a [`Sink`]; rules, the recorder and reports read them. Nothing here
//! knows what an observation means. [`chronicle`] keeps observations in words, as evidence.

pub mod chronicle;
pub mod observation;

pub use chronicle::Chronicle;
pub use observation::{
    ConnectionId, EndCause, Event, ExchangeId, NetworkError, NetworkErrorKind, Observation, Seq, Side, Sink, Text,
};
