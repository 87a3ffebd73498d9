//! What goes on in a run, for whoever watches: the terminal, and the monitoring system that asks for metrics.
//!
//! Each part of a load has a watcher in its engine. It completes each second by what an engine does not know, which is what the
//! process used and what was timed of records; adds it to what is served; and hands it on, once all parts have told of that
//! second, to the loop of the run, which shows it. Where that loop is behind, a second is not shown; nothing waits for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::exit::{ExitCode, Failure};
use crate::load::exposition::{CONTENT_TYPE, Used};
use crate::load::{Counts, Exposition, Fresh, Moment, Standing, Tap, Watch, Watcher};
use crate::net::metrics_endpoint::{EndpointError, MetricsAddress, MetricsEndpoint};
use crate::net::usage::{self, Usage};
use crate::report::live::Beat;
use crate::report::model::Harness;

/// How many seconds may wait to be shown.
const BEATS: usize = 64;

/// Where all that goes on comes together.
#[derive(Debug, Clone)]
pub(crate) struct Station {
    pub(crate) exposition: Arc<Exposition>,
    beats: mpsc::Sender<Beat>,
}

impl Station {
    /// A station, and where the seconds of loads arrive that are to be shown.
    pub(crate) fn new() -> (Self, mpsc::Receiver<Beat>) {
        let (beats, receiver) = mpsc::channel(BEATS);
        (Self { exposition: Arc::default(), beats }, receiver)
    }

    /// Serves what was measured so far until what is returned is dropped.
    ///
    /// # Errors
    /// That the address cannot be listened on.
    pub(crate) async fn serve(&self, address: MetricsAddress) -> Result<MetricsEndpoint, Failure> {
        let exposition = Arc::clone(&self.exposition);
        let source = Arc::new(move || exposition.render(usage::read().map(used)));
        let unusable = |error: EndpointError| Failure { code: ExitCode::Unreachable, message: error.to_string() };
        MetricsEndpoint::start(address, CONTENT_TYPE, source).await.map_err(unusable)
    }

    /// Who watches the load of a scenario, which has so many parts.
    pub(crate) fn watch(&self, scenario: &str, parts: usize) -> LoadStation {
        let state = Mutex::new(State { used: usage::read(), ..State::default() });
        LoadStation(Arc::new(OneLoad { scenario: scenario.to_owned(), parts, station: self.clone(), state }))
    }
}

/// Where what goes on in all parts of one load comes together.
#[derive(Debug, Clone)]
pub(crate) struct LoadStation(Arc<OneLoad>);

impl LoadStation {
    /// Who watches one part, and where what is timed of its records has to go as well.
    pub(crate) fn part(&self) -> (Watch, Tap) {
        let tap = Tap::default();
        let watcher = PartWatcher { load: Arc::clone(&self.0), tap: Arc::clone(&tap) };
        (Watch(Some(Arc::new(watcher))), tap)
    }
}

/// What the whole run took of the machine so far.
pub(crate) fn harness() -> Option<Harness> {
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

/// One load, of all servers.
#[derive(Debug)]
struct OneLoad {
    scenario: String,
    parts: usize,
    station: Station,
    state: Mutex<State>,
}

/// How many seconds a part may be behind the others until what they told is shown without it.
const PATIENCE_S: u64 = 3;

#[derive(Debug, Default)]
struct State {
    /// What the process had used when it was looked at last.
    used: Option<Usage>,
    findings: u64,
    /// Seconds that not all parts have told of, by the number of the stretch and their own, and how many parts have.
    waiting: BTreeMap<(u32, u64), (Standing, Moment, usize)>,
}

impl OneLoad {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a second on that is complete.
    fn show(&self, standing: Standing, moment: Moment, findings: u64) {
        let scenario = self.scenario.clone();
        // A terminal that is behind misses a second.
        let _ = self.station.beats.try_send(Beat { scenario, standing, moment, findings });
    }
}

impl State {
    /// Adds what the process used since it was looked at last. Of several parts each adds its piece, so that nothing counts
    /// twice.
    fn add_usage(&mut self, now: Option<Usage>, moment: &mut Moment) {
        if let (Some(before), Some(now)) = (self.used, now) {
            moment.counts.cpu_user_ms += now.user_ms.saturating_sub(before.user_ms);
            moment.counts.cpu_system_ms += now.system_ms.saturating_sub(before.system_ms);
            moment.memory_kib = moment.memory_kib.max(now.memory_kib);
        }
        // Another part may have looked later and told earlier.
        let is_later = |before: Usage| now.is_some_and(|now| now.user_ms >= before.user_ms);
        if self.used.is_none_or(is_later) {
            self.used = now;
        }
    }

    /// Takes what a part tells of a second. What can be shown: all seconds that all parts have told of, and those before.
    fn take(&mut self, standing: &Standing, moment: &Moment, parts: usize) -> Vec<(Standing, Moment)> {
        let stretch = standing.probe.map_or(0, |probe| probe.number) + u32::from(moment.length_s > 0);
        let key = (stretch, moment.at_s);
        let known = self.waiting.entry(key).or_insert_with(|| {
            let mut empty = Moment::at(moment.at_s, Counts::default());
            empty.length_s = moment.length_s;
            (standing.clone(), empty, 0)
        });
        known.1.merge(moment);
        known.2 += 1;
        // A part that is through tells no more: the others do not wait for it for ever.
        let shown_to = if known.2 < parts { key.1.saturating_sub(PATIENCE_S) } else { key.1 + 1 };
        let later = self.waiting.split_off(&(key.0, shown_to));
        std::mem::replace(&mut self.waiting, later)
            .into_values()
            .map(|(standing, moment, _)| (standing, moment))
            .collect()
    }
}

/// Watches one part of a load.
#[derive(Debug)]
struct PartWatcher {
    load: Arc<OneLoad>,
    tap: Tap,
}

impl Watcher for PartWatcher {
    fn begins(&self) {
        self.load.state().used = usage::read();
    }

    fn watch(&self, standing: &Standing, moment: &mut Moment) {
        let mut records: Fresh = std::mem::take(&mut *self.tap.lock().unwrap_or_else(PoisonError::into_inner));
        records.move_into(moment);
        let usage = usage::read();
        let (shown, findings) = {
            let mut state = self.load.state();
            state.add_usage(usage, moment);
            state.findings += moment.counts.findings;
            (state.take(standing, moment, self.load.parts), state.findings)
        };
        self.load.station.exposition.add(&self.load.scenario, standing, moment);
        shown.into_iter().for_each(|(standing, moment)| self.load.show(standing, moment, findings));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_is_shown_when_all_parts_have_told_of_it() {
        let (station, mut beats) = Station::new();
        let load = station.watch("load/spread", 2);
        let parts = [load.part().0.0.unwrap(), load.part().0.0.unwrap()];
        let tell = |part: usize, at_s, begun| {
            let counts = Counts { begun, findings: 1, ..Counts::default() };
            parts[part].watch(&Standing::default(), &mut Moment::at(at_s, counts));
        };
        let mut shown = || {
            let mut all = Vec::new();
            while let Ok(beat) = beats.try_recv() {
                all.push((beat.moment.at_s, beat.moment.counts.begun, beat.findings));
            }
            all
        };
        parts.iter().for_each(|part| part.watch(&Standing::default(), &mut Moment::default()));
        assert_eq!(shown(), [(0, 0, 0)]);
        tell(0, 0, 5);
        tell(0, 1, 6);
        assert_eq!(shown(), []);
        tell(1, 0, 7);
        assert_eq!(shown(), [(0, 12, 3)]);
        // One part is through earlier than the other.
        tell(1, 2, 1);
        tell(0, 2, 1);
        assert_eq!(shown(), [(1, 6, 5), (2, 2, 5)]);
        let text = station.exposition.render(None);
        assert!(text.contains("bridgeproof_stimuli_total{scenario=\"load/spread\"} 20\n"), "{text}");
    }
}
