//! Loads without sockets and clocks: when work begins, what is timed, what is asked of it; and the latencies of any trace.
//!
//! - [`schedule`]: when work begins, on any executor; [`stages`] has the arithmetic of rates
//! - [`metrics`]: what is timed, by name; [`timeline`] is one metric over time, [`causes`] are failures by cause
//! - [`thresholds`]: what is asked of a metric; [`search`]: the highest rate at which that is met
//! - [`outcome`]: what became of a load; [`together`]: what its parts agree on, where it is spread over several servers
//! - [`hlog`]: the histograms as a log that the public tools read
//! - [`series`]: the histogram of one latency, and the row that a report shows of it
//! - [`recorder`]: times the delivery of call detail records
//!
//! Pure: whatever depends on time takes `now`, so that live runs, simulations and recordings give the same numbers.

pub mod causes;
pub mod hlog;
pub mod metrics;
pub mod outcome;
pub mod recorder;
pub mod schedule;
pub mod search;
pub mod series;
pub mod stages;
pub mod thresholds;
pub mod timeline;
pub mod together;

pub use causes::Causes;
pub use metrics::{Metric, Metrics, Stamps};
pub use outcome::{Loaded, Phase, Share};
pub use recorder::LatencyRecorder;
pub use schedule::{Arrival, Executor, Pace, Schedule};
pub use series::{Row, Series};
pub use stages::{Rate, Stage};
pub use thresholds::{Baseline, Condition, Threshold};
pub use timeline::{Moment, Timeline};
pub use together::{Part, Together};
