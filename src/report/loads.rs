//! What a report says of loads: how each was kept, what was measured, what was found.

use super::assemble::ScenarioRun;
use super::model::{Latency, LoadHarness, LoadProbe, LoadResult, Report, ThresholdResult};
use super::moments;
use super::quantity::{counted, span};
use crate::load::search::{Point, Verdict};
use crate::load::{Executor, Loaded, Metric, Pace, Phase, is_served};

/// The latencies of a load; of a search for a capacity, those at the highest rate that held.
pub(super) fn latencies(scenario: &str, loaded: &Loaded) -> Vec<Latency> {
    let rows = representative(loaded).map(|phase| phase.metrics.rows()).unwrap_or_default();
    rows.into_iter().map(|row| Latency { scenario: Some(scenario.to_owned()), ..row.into() }).collect()
}

/// What became of the thresholds, likewise. Of a load that was cut short or ended early, or of which much was dropped, what
/// the rest would have been is not known: there only what nothing could mend any more is missed, and what ended it.
pub(super) fn thresholds(scenario: &str, loaded: &Loaded) -> Vec<ThresholdResult> {
    let Some(phase) = representative(loaded) else { return Vec::new() };
    let outcomes = phase.thresholds.iter().cloned().map(|one| {
        let part = match phase.is_part() {
            // A probe that missed something is how a search goes; only what it found is said of the target.
            _ if !is_told(loaded) => Some(", where a search was cut short".to_owned()),
            Some(how) if !one.is_missed_for_good => Some(format!(", then {how}")),
            _ if one.passed && !phase.is_served() => Some(", of those not dropped".to_owned()),
            _ => None,
        };
        let undecided = !phase.is_paced || one.is_undecided() || part.is_some();
        let (passed, observed) = (one.passed && !undecided, format!("{}{}", one.told, part.unwrap_or_default()));
        ThresholdResult { scenario: scenario.to_owned(), undecided, passed, observed, ..one.into() }
    });
    outcomes.collect()
}

/// Whether what stands for a load says something of the target: of a search, whether it came to a result.
fn is_told(loaded: &Loaded) -> bool {
    match loaded {
        Loaded::Once(_) => true,
        Loaded::Search { capacity, .. } => capacity.is_some_and(|found| found.rate.is_some() || found.limit.is_found()),
    }
}

/// The heads of the columns of a curve.
pub const COLUMNS: [&str; 9] = ["rate", "tried for", "result", "late", "dropped", "updates", "failed", "p50", "p99"];

/// The cells of one line of a curve.
pub fn cells(probe: &LoadProbe) -> [String; 9] {
    let time = |us: u64| if probe.count == 0 { "-".to_owned() } else { super::quantity::brief(us) };
    [
        format!("{:.1}", probe.rate),
        probe.purpose.clone(),
        probe.verdict.clone(),
        probe.late.to_string(),
        probe.unserved.to_string(),
        probe.count.to_string(),
        probe.errors.to_string(),
        time(probe.p50_us),
        time(probe.p99_us),
    ]
}

/// What a search for a capacity has found, in a sentence; nothing where none was searched.
pub fn capacity(load: &LoadResult) -> Option<String> {
    let limit = load.limit.as_deref()?;
    let unit = per(load);
    let above = load.broke_at_per_s.map_or_else(String::new, |rate| {
        let tried = || load.curve.iter().filter(|probe| probe.rate == rate);
        if tried().any(|probe| probe.verdict == Verdict::Broke.as_str()) {
            return format!("; {rate:.1} broke a threshold");
        }
        let why = tried().rfind(|probe| probe.verdict == Verdict::Lagged.as_str()).map_or_else(String::new, lag_of);
        let target = if load.on_clients { "clients" } else { "target" };
        format!("; {rate:.1} could not be put on the {target}{why}")
    });
    let lagged = load
        .curve
        .iter()
        .filter(|probe| load.broke_at_per_s == Some(probe.rate) && probe.verdict == Verdict::Lagged.as_str());
    let lag = lagged.fold(Lag::default(), |lag, probe| {
        lag.with(!probe.unpaced, is_served(probe.unserved, probe.arrivals), (probe.unserved, probe.crowded))
    });
    Some(match (load.capacity_per_s, limit) {
        (Some(rate), "threshold") => format!("{}: capacity {rate:.1} stimuli {unit}{above}", load.scenario),
        (Some(rate), limit) => {
            let why = limit_in_words(limit, lag, load.on_clients);
            format!("{}: capacity at least {rate:.1} stimuli {unit}, since {why}{above}", load.scenario)
        }
        (None, _) => format!("{}: no rate held{above}", load.scenario),
    })
}

/// What rates of a load are counted in.
fn per(load: &LoadResult) -> String {
    load.time_unit_ms.map_or_else(|| "per second".to_owned(), |unit| format!("every {} s", unit as f64 / 1e3))
}

/// Why a rate could not be put on whom it is for.
#[derive(Debug, Clone, Copy, Default)]
struct Lag {
    late: bool,
    nothing_free: bool,
    crowded: bool,
}

impl Lag {
    /// Adds a try of the rate: whether it kept its schedule, whether nearly all arrivals began something, how many were
    /// dropped, and how many of those since too much was under way.
    const fn with(self, is_paced: bool, is_served: bool, (dropped, crowded): (u64, u64)) -> Self {
        Self {
            late: self.late || !is_paced,
            nothing_free: self.nothing_free || (!is_served && dropped > crowded),
            crowded: self.crowded || (!is_served && crowded > 0),
        }
    }
}

/// How many arrivals of a rate that could not be kept were late or dropped, to stand behind the rate.
fn lag_of(probe: &LoadProbe) -> String {
    let is_dropped = !is_served(probe.unserved, probe.arrivals);
    let late = format!("{} of {} late", probe.late, arrivals(probe.arrivals));
    let all =
        [(probe.unpaced || !is_dropped).then_some(late), is_dropped.then(|| dropped(probe.unserved, probe.arrivals))];
    format!(": {}", all.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// Why a search ended without a rate that broke a threshold.
fn limit_in_words(limit: &str, lag: Lag, on_clients: bool) -> String {
    let told = match limit {
        "generator" if on_clients => match (lag.nothing_free, lag.late) {
            (false, _) => "the harness allows no more",
            (true, false) => "there was nobody who could be told",
            (true, true) => "the harness allows no more, and there was nobody who could be told",
        },
        "generator" => {
            let limits = [
                (lag.late, "the harness"),
                (lag.nothing_free, "the participants and calls that the load has"),
                (lag.crowded, "the requests and stimuli that may be under way at a server"),
            ];
            let limits: Vec<&str> = limits.into_iter().filter(|(is_one, _)| *is_one).map(|(_, limit)| limit).collect();
            return match limits.as_slice() {
                [] | ["the harness"] => "the harness allows no more".to_owned(),
                [one] => format!("{one} allow no more"),
                several => format!("neither {} allow more", several.join(" nor ")),
            };
        }
        "up_to" => "the highest rate that was to be tried held",
        _ => "results contradicted each other too often",
    };
    told.to_owned()
}

/// So many arrivals.
fn arrivals(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "arrival")
}

/// That arrivals began nothing, in the words of the headline, of reasons and of curves.
pub fn dropped(unserved: u64, of: u64) -> String {
    format!("{unserved} of {} dropped", arrivals(of))
}

/// How many arrivals were dropped, to stand behind the verdict; nothing where hardly any was.
pub fn headline(report: &Report) -> String {
    let taken = |load: &LoadResult| load.begun.saturating_add(load.unserved);
    let many = report.loads.iter().filter(|load| !is_served(load.unserved, taken(load)));
    let (unserved, all) = many.fold((0, 0), |sum, load| (sum.0 + load.unserved, sum.1 + taken(load)));
    if all == 0 { String::new() } else { format!(", {}", dropped(unserved, all)) }
}

/// How a load went, in a sentence.
pub fn course(load: &LoadResult) -> String {
    if load.executor == LISTEN {
        return listened(load);
    }
    let seconds = load.duration_ms as f64 / 1000.0;
    let rate = if seconds > 0.0 { load.begun as f64 / seconds } else { 0.0 };
    let of = load.planned.map_or_else(String::new, |planned| format!(" of {planned}"));
    let mut text = format!("{}: {}{of} begun in {seconds:.1} s, {rate:.1} per second", load.scenario, load.begun);
    let counts = [
        (load.late, "late"),
        (
            load.unserved.saturating_sub(load.crowded),
            if load.on_clients { "dropped since nobody was there" } else { "dropped since nothing was free" },
        ),
        (load.crowded, "dropped since too much was under way"),
        (load.unfinished, "unfinished"),
        (load.lost_connections, "connections lost"),
        (load.gone, "participants or calls gone"),
    ];
    for (count, what) in counts.into_iter().filter(|(count, _)| *count > 0) {
        text.push_str(&format!(", {count} {what}"));
    }
    text.push_str(&format!("; {} received", received(load)));
    if load.aborted {
        text.push_str("; ended early by a threshold");
    }
    text
}

/// How a load went that begins nothing.
fn listened(load: &LoadResult) -> String {
    let seconds = load.duration_ms as f64 / 1000.0;
    let heard = load.messages + load.records;
    let rate = if seconds > 0.0 { heard as f64 / seconds } else { 0.0 };
    let lost = match load.lost_connections {
        0 => String::new(),
        lost => format!(", {lost} connections lost"),
    };
    let aborted = if load.aborted { "; ended early by a threshold" } else { "" };
    format!("{}: {} heard in {seconds:.1} s, {rate:.1} per second{lost}{aborted}", load.scenario, received(load))
}

/// What was received: messages, or sets with records, or both.
fn received(load: &LoadResult) -> String {
    let some = |count: u64, what: &str| counted(usize::try_from(count).unwrap_or(usize::MAX), what);
    let sets = format!("{} of {}", some(load.sets, "set"), some(load.records, "record"));
    match (load.messages, load.sets) {
        (messages, 0) => some(messages, "message"),
        (0, _) => sets,
        (messages, _) => format!("{} and {sets}", some(messages, "message")),
    }
}

/// What a load took of the machine, in a sentence; nothing where nobody looked.
pub fn cost(load: &LoadResult) -> Option<String> {
    let harness = load.harness.as_ref()?;
    let LoadHarness { cpu_user_ms, cpu_system_ms, memory_max_kib, messages_per_cpu_s, records_per_cpu_s } = harness;
    let rates = [(messages_per_cpu_s, "messages"), (records_per_cpu_s, "records")].into_iter();
    let rates: Vec<_> = rates.filter_map(|(rate, what)| Some(format!("{} {what}", rate.as_ref()?))).collect();
    let each =
        if rates.is_empty() { String::new() } else { format!(", {} judged per second of it", rates.join(" and ")) };
    let mib = memory_max_kib.div_ceil(1024);
    let (user, system) = (span(*cpu_user_ms), span(*cpu_system_ms));
    Some(format!(
        "{}: the harness took {user} processor time and {system} of the system{each}; {mib} MiB",
        load.scenario
    ))
}

/// The stretch of load that stands for all.
pub fn representative(loaded: &Loaded) -> Option<&Phase> {
    match loaded {
        Loaded::Once(phase) => Some(phase),
        Loaded::Search { .. } => represented(loaded).map(|point| &point.detail),
    }
}

/// The probe of a search that stands for all.
fn represented(loaded: &Loaded) -> Option<&Point<Phase>> {
    let Loaded::Search { capacity, curve } = loaded else { return None };
    let rate = capacity.and_then(|capacity| capacity.rate);
    let at_it = |point: &&Point<Phase>| rate == Some(point.probe.rate) && point.verdict == Verdict::Held;
    curve.iter().rev().find(at_it).or_else(|| curve.last())
}

/// Of a search for a capacity, what its times, counts and thresholds are of; nothing of another load.
pub fn which(load: &LoadResult) -> Option<String> {
    let rate = load.shown_per_s?;
    let held = if load.capacity_per_s == Some(rate) { "the highest that held" } else { "the last that was tried" };
    Some(format!("{}: times, counts and thresholds are those at {rate:.1} {}, {held}", load.scenario, per(load)))
}

/// The same, short, to stand above a latency of the load.
pub fn measured_at(report: &Report, latency: &Latency) -> Option<String> {
    let load = report.loads.iter().find(|load| Some(&load.scenario) == latency.scenario.as_ref())?;
    Some(format!("{} at {:.1} {}", load.scenario, load.shown_per_s?, per(load)))
}

/// Why a load says nothing of the target, if it does not.
pub fn doubt(loaded: &Loaded) -> Option<String> {
    doubt_about(loaded, false)
}

/// Why a load on clients says nothing of them, if it does not.
pub fn doubt_on_clients(loaded: &Loaded) -> Option<String> {
    doubt_about(loaded, true)
}

fn doubt_about(loaded: &Loaded, on_clients: bool) -> Option<String> {
    let phase = representative(loaded)?;
    if !phase.is_paced {
        return Some(format!(
            "the harness could not keep its schedule: {:.1} % of {} more than {} ms late, the latest {} ms late",
            phase.pace.late_share() * 100.0,
            arrivals(phase.pace.taken),
            phase.pace.max_lag.as_millis(),
            phase.pace.worst.as_millis()
        ));
    }
    if phase.lost_connections > 0 {
        let lost = counted(usize::try_from(phase.lost_connections).unwrap_or(usize::MAX), "connection");
        let by: Vec<&str> =
            phase.shares.iter().filter(|share| share.lost_connections > 0).map(|share| &*share.server).collect();
        let by = match by.as_slice() {
            [] => String::new(),
            [first] => format!(", at {first}"),
            [first, others @ ..] => format!(", at {first} and {} more", counted(others.len(), "server")),
        };
        return Some(format!("{lost} of the load ended before it was over{by}"));
    }
    if is_dropping(loaded) {
        let why = why_dropped(&phase.pace, on_clients);
        return Some(format!("{}, since {why}", dropped(phase.pace.dropped, phase.pace.taken)));
    }
    if let Some(why) = nothing_to_compare_with(phase) {
        return Some(why);
    }
    match loaded {
        Loaded::Search { capacity: Some(capacity), curve } if !capacity.limit.is_found() => {
            let lagged = curve
                .iter()
                .filter(|point| capacity.broke_at == Some(point.probe.rate) && point.verdict == Verdict::Lagged);
            let lag = lagged.map(|point| &point.detail).fold(Lag::default(), |lag, phase| {
                lag.with(phase.is_paced, phase.is_served(), (phase.pace.dropped, phase.pace.crowded))
            });
            Some(format!("the capacity was not found: {}", limit_in_words(capacity.limit.as_str(), lag, on_clients)))
        }
        Loaded::Search { capacity: None, .. } => Some("the search for the capacity was interrupted".to_owned()),
        _ => None,
    }
}

/// Why arrivals were dropped, and what to do about it.
fn why_dropped(pace: &Pace, on_clients: bool) -> String {
    if on_clients {
        return "there was nobody who could be told".to_owned();
    }
    let free = "nothing was free to be changed: the load needs more participants and calls, or a quicker target";
    let crowded = "too many requests had no answer, or stimuli no effect: the target is slower than the load";
    match (pace.dropped - pace.crowded.min(pace.dropped), pace.crowded) {
        (_, 0) => free.to_owned(),
        (0, _) => crowded.to_owned(),
        (some, others) => format!("for {others} of them {crowded}; for {some} {free}"),
    }
}

/// Whether so many arrivals were dropped that a load says nothing of its rate. What is missed all the same is missed: those that
/// were dropped would have taken long. That is what a search looks for.
fn is_dropping(loaded: &Loaded) -> bool {
    let is_found = |phase: &Phase| matches!(loaded, Loaded::Search { .. }) && !phase.holds();
    representative(loaded).is_some_and(|phase| !phase.is_served() && !is_found(phase))
}

/// Which thresholds are relative to something that is not known, why it is not, and what to do about it.
fn nothing_to_compare_with(phase: &Phase) -> Option<String> {
    let asked = phase.thresholds.iter().filter(|one| one.is_undecided());
    let asked: Vec<String> =
        asked.map(|one| format!("{}: {}: {}", one.metric.as_str(), one.expression, one.told)).collect();
    (!asked.is_empty()).then(|| {
        format!(
            "there is nothing to compare with for {}; wanted is the report.json of an earlier run of this load that measured it",
            asked.join("; ")
        )
    })
}

/// The load of a scenario in the report, if it is one.
pub(super) fn result(run: &ScenarioRun) -> Option<LoadResult> {
    run.loaded.as_ref().map(|loaded| result_of(&run.id, loaded, run.on_clients))
}

fn result_of(scenario: &str, loaded: &Loaded, on_clients: bool) -> LoadResult {
    let phase = representative(loaded);
    let (capacity, curve) = match loaded {
        Loaded::Once(_) => (None, Vec::new()),
        Loaded::Search { capacity, curve } => (*capacity, curve.iter().map(probe).collect()),
    };
    LoadResult {
        scenario: scenario.to_owned(),
        on_clients,
        executor: phase.map(|phase| word(&phase.executor).to_owned()).unwrap_or_default(),
        planned: phase.and_then(|phase| phase.planned),
        begun: phase.map_or(0, |phase| phase.pace.begun()),
        late: phase.map_or(0, |phase| phase.pace.late),
        unserved: phase.map_or(0, |phase| phase.pace.dropped),
        crowded: phase.map_or(0, |phase| phase.pace.crowded),
        unfinished: phase.map_or(0, |phase| phase.unfinished),
        lost_connections: phase.map_or(0, |phase| phase.lost_connections),
        gone: phase.map_or(0, |phase| phase.gone),
        messages: phase.map_or(0, |phase| phase.messages),
        sets: phase.map_or(0, |phase| phase.sets),
        records: phase.map_or(0, |phase| phase.records),
        duration_ms: phase.map_or(0, |phase| phase.ended_at.since(phase.begun_at).as_millis() as u64),
        aborted: phase.is_some_and(Phase::is_aborted),
        capacity_per_s: capacity.and_then(|capacity| capacity.rate),
        time_unit_ms: phase.and_then(|phase| time_unit_ms(&phase.executor)),
        shown_per_s: represented(loaded).map(|point| point.probe.rate),
        broke_at_per_s: capacity.and_then(|capacity| capacity.broke_at),
        limit: capacity.map(|capacity| capacity.limit.as_str().to_owned()),
        curve,
        harness: phase.and_then(|phase| moments::harness(phase, on_clients)),
        moments: moments::moments(loaded),
        servers: phase.map(|phase| phase.shares.iter().map(Into::into).collect()).unwrap_or_default(),
    }
}

fn probe(point: &Point<Phase>) -> LoadProbe {
    let metrics = &point.detail.metrics;
    // Of a load on clients, what they are asked for stands in place of updates.
    let mut rows = [Metric::Update, Metric::Ack, Metric::Answer].into_iter();
    let update = rows.find_map(|metric| metrics.series(metric).row(metric.as_str()));
    LoadProbe {
        rate: point.probe.rate,
        purpose: point.probe.purpose.as_str().to_owned(),
        verdict: point.verdict.as_str().to_owned(),
        count: update.as_ref().map_or(0, |row| row.count),
        errors: update.as_ref().map_or(0, |row| row.errors),
        p50_us: update.as_ref().map_or(0, |row| row.p50_us),
        p99_us: update.as_ref().map_or(0, |row| row.p99_us),
        arrivals: point.detail.pace.taken,
        late: point.detail.pace.late,
        unpaced: !point.detail.is_paced,
        unserved: point.detail.pace.dropped,
        crowded: point.detail.pace.crowded,
    }
}

/// The time unit of an executor, if it is not a second.
fn time_unit_ms(executor: &Executor) -> Option<u64> {
    match executor {
        Executor::ConstantArrivalRate { time_unit, .. } | Executor::RampingArrivalRate { time_unit, .. } => {
            u64::try_from(time_unit.as_millis()).ok().filter(|unit| *unit != 1000)
        }
        _ => None,
    }
}

/// The name of an executor as it is written in scenarios.
const fn word(executor: &Executor) -> &'static str {
    match executor {
        Executor::ConstantArrivalRate { .. } => "constant-arrival-rate",
        Executor::RampingArrivalRate { .. } => "ramping-arrival-rate",
        Executor::ConstantVus { .. } => "constant-vus",
        Executor::SharedIterations { .. } => "shared-iterations",
        Executor::Listen { .. } => LISTEN,
    }
}

/// The executor that begins nothing.
const LISTEN: &str = "listen";

#[cfg(test)]
pub(super) mod tests;
