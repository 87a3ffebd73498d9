//! Loads without sockets and clocks: when work begins, what is timed, what is asked of it; and the latencies of any trace.
//!
//! - [`schedule`]: when work begins, on any executor; [`stages`] has the arithmetic of rates
//! - [`metric`]: the list of what is timed; [`metrics`]: what was; [`timeline`]: what each second brought, in the slots of [`tally`]; [`causes`] are failures by cause
//! - [`thresholds`]: what is asked of a metric; [`search`]: the highest rate at which that is met
//! - [`watch`]: who is told while a load runs
//! - [`outcome`]: what became of a load; [`together`]: what its parts agree on, where it is spread over several servers
//! - [`exposition`]: what was measured so far, for a monitoring system that asks
//! - [`hlog`]: the histograms as a log that the public tools read
//! - [`series`]: the histogram of one latency, and the row that a report shows of it
//! - [`recorder`]: times the delivery of call detail records
//!
//! Pure: whatever depends on time takes `now`, so that live runs, simulations and recordings give the same numbers.

pub mod causes;
pub mod exposition;
pub mod hlog;
pub mod metric;
pub mod metrics;
pub mod outcome;
pub mod recorder;
pub mod schedule;
pub mod search;
pub mod series;
pub mod stages;
pub mod tally;
pub mod thresholds;
pub mod timeline;
pub mod together;
pub mod watch;

pub use causes::Causes;
pub use exposition::Exposition;
pub use metric::Metric;
pub use metrics::{Metrics, Stamps};
pub use outcome::{Loaded, Phase, Share, is_served};
pub use recorder::{LatencyRecorder, Tap};
pub use schedule::{Arrival, Executor, Pace, Schedule, Unserved};
pub use series::{Row, Series};
pub use stages::{Rate, Stage};
pub use tally::Tally;
pub use thresholds::{Baseline, Condition, Earlier, Threshold};
pub use timeline::{Counts, Fresh, Moment, Timeline};
pub use together::{Part, Together};
pub use watch::{Standing, Watch, Watcher};
