//! What goes on in a run, for whoever watches: the terminal, and the monitoring system that asks for metrics.
//!
//! Each load has a watcher in its engine. It completes each second by what an engine does not know, which is what the
//! process used and what was timed of records; adds it to what is served; and hands it on to the loop of the run, which
//! shows it. Where that loop is behind, a second is not shown; nothing waits for it.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use crate::exit::{ExitCode, Failure};
use crate::load::exposition::{CONTENT_TYPE, Used};
use crate::load::{Exposition, Fresh, Moment, Standing, Tap, Watch, Watcher};
use crate::net::metrics_endpoint::{EndpointError, MetricsAddress, MetricsEndpoint};
use crate::net::usage::{self, Usage};
use crate::report::live::Beat;
use crate::report::model::Harness;

/// How many seconds may wait to be shown.
const BEATS: usize = 64;

/// Where all that goes on comes together.
#[derive(Debug, Clone)]
pub(super) struct Station {
    pub(super) exposition: Arc<Exposition>,
    beats: mpsc::Sender<Beat>,
}

impl Station {
    /// A station, and where the seconds of loads arrive that are to be shown.
    pub(super) fn new() -> (Self, mpsc::Receiver<Beat>) {
        let (beats, receiver) = mpsc::channel(BEATS);
        (Self { exposition: Arc::default(), beats }, receiver)
    }

    /// Serves what was measured so far until what is returned is dropped.
    ///
    /// # Errors
    /// That the address cannot be listened on.
    pub(super) async fn serve(&self, address: MetricsAddress) -> Result<MetricsEndpoint, Failure> {
        let exposition = Arc::clone(&self.exposition);
        let source = Arc::new(move || exposition.render(usage::read().map(used)));
        let unusable = |error: EndpointError| Failure { code: ExitCode::Unreachable, message: error.to_string() };
        MetricsEndpoint::start(address, CONTENT_TYPE, source).await.map_err(unusable)
    }

    /// Who watches the load of a scenario, and where what is timed of records has to go as well.
    pub(super) fn watch(&self, scenario: &str) -> (Watch, Tap) {
        let tap = Tap::default();
        let state = Mutex::new(State { used: usage::read(), findings: 0 });
        let watcher =
            LoadWatcher { scenario: scenario.to_owned(), station: self.clone(), tap: Arc::clone(&tap), state };
        (Watch(Some(Arc::new(watcher))), tap)
    }
}

/// What the whole run took of the machine so far.
pub(super) fn harness() -> Option<Harness> {
    let usage = usage::read()?;
    Some(Harness { cpu_user_ms: usage.user_ms, cpu_system_ms: usage.system_ms, peak_memory_kib: usage.peak_memory_kib })
}

const fn used(usage: Usage) -> Used {
    Used {
        cpu_user_ms: usage.user_ms,
        cpu_system_ms: usage.system_ms,
        memory_kib: usage.memory_kib,
        peak_memory_kib: usage.peak_memory_kib,
    }
}

/// Watches one load.
#[derive(Debug)]
struct LoadWatcher {
    scenario: String,
    station: Station,
    tap: Tap,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// What the process had used when it was looked at last.
    used: Option<Usage>,
    findings: u64,
}

impl LoadWatcher {
    /// Adds what the process used since it was looked at last.
    fn add_usage(state: &mut State, moment: &mut Moment) {
        let now = usage::read();
        if let (Some(before), Some(now)) = (state.used, now) {
            moment.counts.cpu_user_ms += now.user_ms.saturating_sub(before.user_ms);
            moment.counts.cpu_system_ms += now.system_ms.saturating_sub(before.system_ms);
            moment.memory_kib = moment.memory_kib.max(now.memory_kib);
        }
        state.used = now;
    }
}

impl Watcher for LoadWatcher {
    fn begins(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).used = usage::read();
    }

    fn watch(&self, standing: &Standing, moment: &mut Moment) {
        let findings = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            Self::add_usage(&mut state, moment);
            state.findings += moment.counts.findings;
            state.findings
        };
        let mut records: Fresh = std::mem::take(&mut *self.tap.lock().unwrap_or_else(PoisonError::into_inner));
        records.move_into(moment);
        self.station.exposition.add(&self.scenario, standing, moment);
        let (scenario, standing) = (self.scenario.clone(), standing.clone());
        // A terminal that is behind misses a second.
        let _ = self.station.beats.try_send(Beat { scenario, standing, moment: moment.clone(), findings });
    }
}
