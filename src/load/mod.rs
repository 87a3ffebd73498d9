//! Latencies: what is timed while a trace is observed, and its distribution.
//!
//! - [`recorder`]: times the delivery of call detail records
//! - [`series`]: the histogram of one latency, and the row that a report shows of it
//!
//! Pure: reads observations and nothing else, so that live runs and recordings give the same numbers.

pub mod recorder;
pub mod series;

pub use recorder::LatencyRecorder;
pub use series::{Row, Series};
