//! What was measured so far, as OpenMetrics text, for a monitoring system that asks while a run lasts.
//!
//! Moments of loads are added up here; rendering takes what the process used at present. Times are in seconds, in
//! histograms with fixed bounds: a value is counted below a bound where the slot that it was sorted into is, so that up to
//! a hundredth of the bound may be told on its wrong side. Count and sum are exact.
//!
//! Nothing stands in a family beside what it is made of, so that sums over any label count each value once: `update` is the
//! sum of `update_*`, which who asks can make, and times from the actual send have a family of their own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::causes::Causes;
use super::metric::Metric;
use super::tally::Tally;
use super::timeline::{Counts, Moment};
use super::watch::Standing;

/// The content type of the text.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The bounds of the buckets, in microseconds.
const BOUNDS_US: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000, 60_000_000,
];

/// What the process used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Used {
    /// Processor time for itself, in milliseconds.
    pub cpu_user_ms: u64,
    /// Processor time of the system for it, in milliseconds.
    pub cpu_system_ms: u64,
    /// Memory that is resident, in KiB.
    pub memory_kib: u64,
    /// The most that ever was, in KiB.
    pub peak_memory_kib: u64,
}

/// What was measured so far. Any number of threads may add to it and ask for it.
#[derive(Debug, Default)]
pub struct Exposition(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    planned: u64,
    finished: u64,
    findings: BTreeMap<String, u64>,
    loads: BTreeMap<String, Load>,
}

#[derive(Debug, Default)]
struct Load {
    counts: Counts,
    planned_per_s: Option<f64>,
    metrics: BTreeMap<Metric, Measured>,
}

/// What was measured of a metric.
#[derive(Debug, Default)]
struct Measured {
    scheduled: Tally,
    /// From the actual send, of what a schedule may have asked for.
    sent: Tally,
    causes: Causes,
}

impl Exposition {
    /// So many scenarios will be run.
    pub fn planned(&self, scenarios: usize) {
        self.state().planned = scenarios as u64;
    }

    /// A scenario is over, with so many findings in all.
    pub fn finished(&self, scenario: &str, findings: u64) {
        let mut state = self.state();
        state.finished += 1;
        state.findings.insert(scenario.to_owned(), findings);
        if let Some(load) = state.loads.get_mut(scenario) {
            load.planned_per_s = None;
        }
    }

    /// Adds what a second of a load brought.
    pub fn add(&self, scenario: &str, standing: &Standing, moment: &Moment) {
        let mut state = self.state();
        *state.findings.entry(scenario.to_owned()).or_default() += moment.counts.findings;
        let load = state.loads.entry(scenario.to_owned()).or_default();
        load.counts = load.counts.plus(&moment.counts);
        load.planned_per_s = standing.planned_per_s;
        for (metric, tally) in moment.tallies() {
            load.metrics.entry(*metric).or_default().scheduled.merge(tally);
        }
        for (metric, tally) in moment.tallies_from_send() {
            load.metrics.entry(*metric).or_default().sent.merge(tally);
        }
        for (metric, causes) in moment.causes() {
            load.metrics.entry(*metric).or_default().causes.merge(causes);
        }
    }

    /// The text, with what the process used so far, where that is known.
    pub fn render(&self, used: Option<Used>) -> String {
        let state = self.state();
        let mut text = Text::default();
        text.family("bridgeproof_scenarios", "gauge", "Scenarios of the run, by what became of them.");
        text.sample("bridgeproof_scenarios", &[("state", "planned")], state.planned as f64);
        text.sample("bridgeproof_scenarios", &[("state", "finished")], state.finished as f64);
        text.family("bridgeproof_findings", "counter", "Findings of the rules.");
        for (scenario, findings) in &state.findings {
            text.sample("bridgeproof_findings_total", &[("scenario", scenario)], *findings as f64);
        }
        text.counts(&state.loads);
        text.latencies(&state.loads);
        if let Some(used) = used {
            text.used(used);
        }
        text.0.push_str("# EOF\n");
        text.0
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A number that is counted, its family without `_total`, and what it is.
type Counted = (&'static str, fn(&Counts) -> u64, &'static str);

const COUNTED: [Counted; 6] = [
    ("bridgeproof_stimuli", |counts| counts.begun, "Stimuli that began."),
    ("bridgeproof_stimuli_late", |counts| counts.late, "Stimuli that the harness was late for, begun or dropped."),
    (
        "bridgeproof_stimuli_unserved",
        |counts| counts.unserved,
        "Stimuli that were dropped: nothing was free, or too much was under way.",
    ),
    ("bridgeproof_messages", |counts| counts.messages, "Messages that were received."),
    ("bridgeproof_records", |counts| counts.records, "Call detail records that were received."),
    ("bridgeproof_connections_lost", |counts| counts.lost_connections, "Connections of a load that were lost."),
];

/// The text as it grows.
#[derive(Debug, Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# TYPE {name} {kind}");
        for unit in ["seconds", "bytes"].iter().filter(|unit| name.ends_with(&format!("_{unit}"))) {
            let _ = writeln!(self.0, "# UNIT {name} {unit}");
        }
        let _ = writeln!(self.0, "# HELP {name} {help}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }

    fn counts(&mut self, loads: &BTreeMap<String, Load>) {
        self.family("bridgeproof_stimuli_planned_per_second", "gauge", "The rate that is meant at present.");
        for (scenario, load) in loads {
            if let Some(rate) = load.planned_per_s {
                self.sample("bridgeproof_stimuli_planned_per_second", &[("scenario", scenario)], rate);
            }
        }
        for (name, of, help) in COUNTED {
            self.family(name, "counter", help);
            for (scenario, load) in loads {
                self.sample(&format!("{name}_total"), &[("scenario", scenario)], of(&load.counts) as f64);
            }
        }
    }

    fn histograms(&mut self, name: &str, help: &str, loads: &BTreeMap<String, Load>, of: impl Fn(&Measured) -> &Tally) {
        self.family(name, "histogram", help);
        for (scenario, load) in loads {
            let measured = load.metrics.iter().map(|(metric, measured)| (metric, of(measured)));
            for (metric, tally) in measured.filter(|(_, tally)| tally.count() > 0) {
                let of = [("scenario", scenario.as_str()), ("metric", metric.as_str())];
                for bound in BOUNDS_US {
                    let bound_s = format!("{:?}", bound as f64 / 1e6);
                    let labels = [of[0], of[1], ("le", bound_s.as_str())];
                    self.sample(&format!("{name}_bucket"), &labels, tally.at_most(bound) as f64);
                }
                let labels = [of[0], of[1], ("le", "+Inf")];
                self.sample(&format!("{name}_bucket"), &labels, tally.count() as f64);
                self.sample(&format!("{name}_count"), &of, tally.count() as f64);
                self.sample(&format!("{name}_sum"), &of, tally.sum_us() as f64 / 1e6);
            }
        }
    }

    fn latencies(&mut self, loads: &BTreeMap<String, Load>) {
        let help = "Latencies of loads from the scheduled instant; lag is the harness's own.";
        self.histograms("bridgeproof_latency_seconds", help, loads, |measured| &measured.scheduled);
        let help = "The same from the actual send, where there is a schedule.";
        self.histograms("bridgeproof_latency_from_send_seconds", help, loads, |measured| &measured.sent);
        // From the beginning on, so that the first failure is an increase and not a new series.
        self.family("bridgeproof_errors", "counter", "What was waited for in vain, or failed.");
        for (scenario, load) in loads {
            for metric in Metric::ALL.into_iter().filter(|metric| !matches!(metric, Metric::Lag | Metric::Update)) {
                let labels = [("scenario", scenario.as_str()), ("metric", metric.as_str())];
                self.sample("bridgeproof_errors_total", &labels, errors(load, metric) as f64);
            }
        }
        self.family("bridgeproof_failures", "counter", "The same by cause, as far as causes have come up.");
        for (scenario, load) in loads {
            for (metric, measured) in &load.metrics {
                for (cause, times) in measured.causes.most_frequent() {
                    let labels = [("scenario", scenario.as_str()), ("metric", metric.as_str()), ("cause", cause)];
                    self.sample("bridgeproof_failures_total", &labels, times as f64);
                }
            }
        }
    }

    fn used(&mut self, used: Used) {
        self.family("bridgeproof_cpu_seconds", "counter", "Processor time of this process.");
        for (mode, ms) in [("user", used.cpu_user_ms), ("system", used.cpu_system_ms)] {
            self.sample("bridgeproof_cpu_seconds_total", &[("mode", mode)], ms as f64 / 1e3);
        }
        self.family("bridgeproof_memory_bytes", "gauge", "Resident memory of this process.");
        self.sample("bridgeproof_memory_bytes", &[], used.memory_kib as f64 * 1024.0);
        self.family("bridgeproof_peak_memory_bytes", "gauge", "The most resident memory that this process ever had.");
        self.sample("bridgeproof_peak_memory_bytes", &[], used.peak_memory_kib as f64 * 1024.0);
    }
}

/// How many failed of a metric.
fn errors(load: &Load, metric: Metric) -> u64 {
    load.metrics.get(&metric).map_or(0, |measured| measured.scheduled.errors())
}

/// The value of a label between its quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::load::Fresh;

    #[test]
    fn what_moments_brought_adds_up() {
        let exposition = Exposition::default();
        exposition.planned(2);
        let standing = Standing { planned_per_s: Some(20.0), ..Standing::default() };
        for _ in 0..3 {
            let (mut fresh, mut moment) = (Fresh::default(), Moment::default());
            for (metric, ms, from_send) in
                [(Metric::UpdateMute, 4, 3), (Metric::UpdateMute, 90_000, 1), (Metric::UpdateLock, 4, 4)]
            {
                fresh.record(metric, Duration::from_millis(ms));
                fresh.record_from_send(metric, Duration::from_millis(from_send));
            }
            fresh.fail(Metric::UpdateLock, "no event in time");
            fresh.fail(Metric::Api, "said \"no\"\\\n");
            fresh.move_into(&mut moment);
            moment.counts = Counts { begun: 20, messages: 40, findings: 1, ..Counts::default() };
            exposition.add("load/steady", &standing, &moment);
        }
        exposition.finished("messages/acked", 0);
        let used = Used { cpu_user_ms: 1500, cpu_system_ms: 20, memory_kib: 2, peak_memory_kib: 3 };
        let text = exposition.render(Some(used));
        for line in [
            "bridgeproof_scenarios{state=\"finished\"} 1",
            "bridgeproof_findings_total{scenario=\"load/steady\"} 3",
            "bridgeproof_stimuli_planned_per_second{scenario=\"load/steady\"} 20",
            "bridgeproof_stimuli_total{scenario=\"load/steady\"} 60",
            "bridgeproof_latency_seconds_bucket{scenario=\"load/steady\",metric=\"update_mute\",le=\"0.0025\"} 0",
            "bridgeproof_latency_seconds_bucket{scenario=\"load/steady\",metric=\"update_mute\",le=\"0.005\"} 3",
            "bridgeproof_latency_seconds_bucket{scenario=\"load/steady\",metric=\"update_mute\",le=\"60.0\"} 3",
            "bridgeproof_latency_seconds_bucket{scenario=\"load/steady\",metric=\"update_mute\",le=\"+Inf\"} 6",
            "bridgeproof_latency_seconds_count{scenario=\"load/steady\",metric=\"update_mute\"} 6",
            "bridgeproof_latency_seconds_sum{scenario=\"load/steady\",metric=\"update_mute\"} 270.012",
            "bridgeproof_latency_from_send_seconds_sum{scenario=\"load/steady\",metric=\"update_mute\"} 0.012",
            "bridgeproof_latency_from_send_seconds_count{scenario=\"load/steady\",metric=\"update_mute\"} 6",
            "bridgeproof_latency_from_send_seconds_count{scenario=\"load/steady\",metric=\"update_lock\"} 3",
            "# UNIT bridgeproof_latency_from_send_seconds seconds",
            "bridgeproof_latency_seconds_count{scenario=\"load/steady\",metric=\"update_lock\"} 3",
            "bridgeproof_errors_total{scenario=\"load/steady\",metric=\"update_lock\"} 3",
            "bridgeproof_errors_total{scenario=\"load/steady\",metric=\"api\"} 3",
            "bridgeproof_errors_total{scenario=\"load/steady\",metric=\"settle\"} 0",
            "bridgeproof_findings_total{scenario=\"messages/acked\"} 0",
            "bridgeproof_failures_total{scenario=\"load/steady\",metric=\"api\",cause=\"said \\\"no\\\"\\\\\\n\"} 3",
            "bridgeproof_cpu_seconds_total{mode=\"user\"} 1.5",
            "bridgeproof_memory_bytes 2048",
            "# UNIT bridgeproof_latency_seconds seconds",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        assert!(text.ends_with("\n# EOF\n"), "{text}");
        // Over all labels each value, and each failure, is counted once.
        let sum = |name: &str| -> u64 {
            let of = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('{')?.rsplit_once("} "));
            of.map(|(_, value)| value.parse::<u64>().unwrap()).sum()
        };
        let names = ["bridgeproof_latency_seconds_count", "bridgeproof_latency_from_send_seconds_count"];
        assert_eq!(names.map(sum), [9, 9]);
        assert_eq!((sum("bridgeproof_errors_total"), sum("bridgeproof_failures_total")), (6, 6));
        exposition.finished("load/steady", 5);
        let text = exposition.render(None);
        assert!(text.contains("findings_total{scenario=\"load/steady\"} 5") && !text.contains("planned_per_second{"));
    }
}
