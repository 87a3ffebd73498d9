//! The model of a finished run. `report.json` is this model as it stands; every other rendering is made from it too.
//!
//! Keys are snake_case, numbers carry their unit in the name. [`SCHEMA`] grows when a reader would have to change.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The version of the model.
pub const SCHEMA: u32 = 1;

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Version of this model.
    pub schema: u32,
    /// Who made it.
    pub tool: Tool,
    /// What was run.
    pub run: Run,
    /// What it was run against.
    pub target: Target,
    /// The worst verdict of any requirement or scenario; `fail` as well where a threshold was missed.
    pub verdict: Verdict,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Every requirement of the areas that were run, in the order of the catalogue.
    pub requirements: Vec<RequirementResult>,
    /// Every scenario, in the order of its id.
    pub scenarios: Vec<ScenarioResult>,
    /// Where requirements were not met.
    pub findings: Vec<FindingResult>,
    /// What was seen where the guides are silent.
    pub characteristics: Vec<CharacteristicResult>,
    /// Latencies; empty where none were measured.
    pub latency: Vec<Latency>,
    /// Thresholds; empty where none were set.
    pub thresholds: Vec<ThresholdResult>,
    /// What became of loads, in the order of their scenarios.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub loads: Vec<LoadResult>,
    /// What the run took of the machine, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub harness: Option<Harness>,
    /// Trouble with the environment that the run met (network, target), in words.
    pub errors: Vec<String>,
    /// What else should be known of it: nothing that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Report {
    /// How many findings there were, those that were counted only included.
    pub fn findings_counted(&self) -> usize {
        let all = self.requirements.iter().map(|one| one.findings);
        usize::try_from(all.sum::<u64>()).unwrap_or(usize::MAX)
    }
}

/// The program that made a report.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Tool {
    /// `bridgeproof`
    pub name: String,
    /// Its version.
    pub version: String,
}

/// One run of the program.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// The run's id; every object made on the target has it in its name.
    pub id: String,
    /// The seed that decided every choice.
    pub seed: u64,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// How long it took.
    pub duration_ms: u64,
    /// The command that repeats it, without secrets.
    pub command: String,
    /// Its options without scenarios and seed, without secrets: what repeating one scenario takes.
    pub options: String,
    /// The files of scenarios that do not ship, by id: what to name to run them again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub files: BTreeMap<String, String>,
    /// Whether it was interrupted: then the report holds what was judged until then.
    pub interrupted: bool,
}

/// What is tested.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Target {
    /// An embedded emulator or a server.
    pub kind: TargetKind,
    /// Where it is; of several servers that a load is spread over, the first.
    pub url: String,
    /// Where the others are.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub others: Vec<String>,
    /// What it says of its release.
    pub software_version: Option<String>,
    /// Settings of the embedded emulator that differ from its default, as `key=value`.
    pub dialect: Vec<String>,
    /// Mutants of the embedded emulator.
    pub mutants: Vec<String>,
}

impl Target {
    /// Where it is, in a few words.
    pub fn shown(&self) -> String {
        match self.others.as_slice() {
            [] => self.url.clone(),
            [other] => format!("{} and {other}", self.url),
            others => format!("{} and {} others", self.url, others.len()),
        }
    }
}

/// Kinds of target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    /// The embedded emulator.
    Emulator,
    /// A server somewhere else (which may be an emulator in another process).
    Server,
}

/// A verdict. The order is that of importance: a worse one outweighs a better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Not tested, for the reason given.
    Skipped,
    /// Level observe: recorded, not judged.
    Observed,
    /// Tested and met.
    Pass,
    /// Not met, and listed as a known deviation.
    Xfail,
    /// A should that was missed.
    Warn,
    /// Could not be decided.
    Inconclusive,
    /// Met, but listed as a known deviation.
    Xpass,
    /// Not met.
    Fail,
}

impl Verdict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Observed => "observed",
            Self::Pass => "pass",
            Self::Xfail => "xfail",
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Xpass => "xpass",
            Self::Fail => "fail",
        }
    }
}

impl Run {
    /// The command that repeats one scenario of this run with the same seed; of what was served, the whole command.
    pub fn repeat(&self, scenario: &str) -> String {
        if !self.command.starts_with("bridgeproof run") {
            return self.command.clone();
        }
        let options = if self.options.is_empty() { String::new() } else { format!(" {}", self.options) };
        let scenario = self.files.get(scenario).map_or(scenario, String::as_str);
        format!("bridgeproof run {} --seed {}{options}", quoted(scenario), self.seed)
    }
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@,+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

/// The result of one requirement.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct RequirementResult {
    /// Its name.
    pub id: String,
    /// Its level.
    pub level: String,
    /// Who has to comply.
    pub subject: String,
    /// What it says.
    pub text: String,
    /// Guide and section.
    pub source: String,
    /// The verdict.
    pub verdict: Verdict,
    /// How many times it was put to the test.
    pub tested: u64,
    /// How many findings it has in all.
    pub findings: u64,
    /// Why it is skipped or inconclusive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// The scenarios that put it to the test.
    pub scenarios: Vec<String>,
}

/// The result of one scenario.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ScenarioResult {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// The worst verdict of what it tested; inconclusive where it could not be carried out to the end.
    pub verdict: Verdict,
    /// Why it was skipped or could not be carried out.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<String>,
    /// How long it took.
    pub duration_ms: u64,
    /// How many observations it made.
    pub observations: u64,
}

/// One finding.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct FindingResult {
    /// The requirement; `null` where an expectation of the scenario's own was not met.
    pub requirement: Option<String>,
    /// Its verdict.
    pub verdict: Verdict,
    /// The scenario.
    pub scenario: String,
    /// The server that it was found on, where a load was spread over several; evidence is of the trace of this server.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub server: Option<String>,
    /// The step that was under way, counted from 1, with its text.
    pub step: String,
    /// When it was established, since the scenario began.
    pub at_ms: u64,
    /// The events client, with the number of its connection.
    pub connection: Option<String>,
    /// What was expected.
    pub expected: String,
    /// What was observed.
    pub observed: String,
    /// Sequence numbers of the observations that prove it.
    pub evidence: Vec<u64>,
    /// These observations in words, one line each: `#12 alice <- {"type":...}`.
    pub evidence_text: Vec<String>,
}

impl FindingResult {
    /// Where it was found: the scenario, and the server where there are several.
    pub fn place(&self) -> String {
        match &self.server {
            Some(server) => format!("{} on {server}", self.scenario),
            None => self.scenario.clone(),
        }
    }
}

/// One characteristic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct CharacteristicResult {
    /// The requirement of level observe that asks.
    pub requirement: String,
    /// What was looked at.
    pub name: String,
    /// What was seen.
    pub value: String,
    /// Where.
    pub scenario: String,
}

/// The distribution of one latency.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// The scenario, of a load; without one they are of all scenarios together that are no loads.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scenario: Option<String>,
    /// What was timed: `cdr_arrival` (from a record's own time to its arrival), `cdr_stimulus` (from the API request that
    /// caused a record to its arrival), `cdr_redelivery` (from a failed delivery to its repetition); of loads, any metric,
    /// and with `_from_send` the same from the actual send.
    pub name: String,
    /// How many.
    pub count: u64,
    /// How many have no time: they failed, or the clocks disagree.
    pub errors: u64,
    /// Smallest.
    pub min_us: u64,
    /// Median.
    pub p50_us: u64,
    /// 90th percentile.
    pub p90_us: u64,
    /// 99th percentile.
    pub p99_us: u64,
    /// 99.9th percentile.
    pub p99_9_us: u64,
    /// Largest.
    pub max_us: u64,
    /// The errors by cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub causes: BTreeMap<String, u64>,
}

/// The outcome of one threshold.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ThresholdResult {
    /// The scenario.
    #[serde(default)]
    pub scenario: String,
    /// What it is about.
    pub metric: String,
    /// The threshold as written.
    pub expression: String,
    /// The value that was measured: microseconds for times, a share from 0 to 1 for `rate`; `null` where nothing was.
    pub value: Option<f64>,
    /// Whether it was met. What was not measured, or is undecided, is not met.
    pub passed: bool,
    /// Whether nothing is known: the harness could not keep its schedule, there is nothing to compare with, or only a part of
    /// the load was measured, and that part does not miss it.
    #[serde(default)]
    pub undecided: bool,
    /// Whether it compares with an earlier run.
    pub relative: bool,
    /// What was measured, and what it was compared with, in words.
    pub observed: String,
}

/// What became of a load.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoadResult {
    /// The scenario.
    pub scenario: String,
    /// Whether the emulator put it on clients and receivers, rather than the harness on a server.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub on_clients: bool,
    /// What decided when work began. What follows is, of a search for a capacity, about the highest rate that held.
    pub executor: String,
    /// How many pieces of work were to begin, where that is known beforehand.
    pub planned: Option<u64>,
    /// How many began.
    pub begun: u64,
    /// How many arrivals the harness was late for, whether they began or not.
    pub late: u64,
    /// How many more were dropped: they found nothing that they could be about, or too much was under way.
    #[serde(default)]
    pub unserved: u64,
    /// How many of those that were dropped were since too much was under way at the target.
    #[serde(default)]
    pub crowded: u64,
    /// How many had not come to their end when they were given up.
    pub unfinished: u64,
    /// How many connections were lost.
    #[serde(default)]
    pub lost_connections: u64,
    /// How many participants and calls that were to stay did not.
    #[serde(default)]
    pub gone: u64,
    /// How many messages of the server were received.
    pub messages: u64,
    /// How many sets of records were received.
    #[serde(default)]
    pub sets: u64,
    /// How many records were in them.
    #[serde(default)]
    pub records: u64,
    /// How long work began.
    pub duration_ms: u64,
    /// Whether a threshold ended it early.
    pub aborted: bool,
    /// The time unit of rates, where it is not a second.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_unit_ms: Option<u64>,
    /// The highest rate that was confirmed to hold, if a capacity was searched and found; as all rates here in stimuli per
    /// second, or per the time unit if there is one.
    pub capacity_per_s: Option<f64>,
    /// Of a search for a capacity, the rate that the times, the thresholds, and what was counted are of: the highest that
    /// held, or else the last that was tried.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub shown_per_s: Option<f64>,
    /// The lowest rate above it that did not hold.
    pub broke_at_per_s: Option<f64>,
    /// What ended the search: `threshold`, `generator`, `up_to`, `unsettled`.
    pub limit: Option<String>,
    /// The rates that were tried, in order.
    pub curve: Vec<LoadProbe>,
    /// What it took of the machine that the harness is on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub harness: Option<LoadHarness>,
    /// How it went on, second by second; of a long load, moments are longer. Of a search, all rates that were tried, in
    /// order.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub moments: Vec<LoadMoment>,
    /// What each server had of it, where it was spread over several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub servers: Vec<LoadServer>,
}

/// What one server had of a load that was spread over several.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoadServer {
    /// The server.
    pub server: String,
    /// How many event connections it had.
    pub connections: u32,
    /// How many pieces of work began.
    pub begun: u64,
    /// How many arrivals the harness was late for, whether they began or not.
    pub late: u64,
    /// How many more were dropped.
    pub unserved: u64,
    /// How many had not come to their end when they were given up.
    pub unfinished: u64,
    /// How many connections were lost.
    pub lost_connections: u64,
    /// How many participants and calls that were to stay did not.
    pub gone: u64,
    /// How many messages of the server were received.
    pub messages: u64,
    /// How many records were received.
    #[serde(default)]
    pub records: u64,
    /// The median of the times from stimuli to their records, or else from the records' own times; `null` without.
    #[serde(default)]
    pub records_p50_us: Option<u64>,
    /// The 99th percentile.
    #[serde(default)]
    pub records_p99_us: Option<u64>,
    /// How many events that were waited for came.
    pub count: u64,
    /// How many did not, or were not asked for since a request failed.
    pub errors: u64,
    /// The median from the scheduled instant of the stimulus to the event.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
}

/// What a load took of the machine that the harness is on. With the embedded emulator, that is in the same process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoadHarness {
    /// Processor time of the process for itself.
    pub cpu_user_ms: u64,
    /// Processor time of the system for the process.
    pub cpu_system_ms: u64,
    /// The most memory that was resident at the end of a second.
    pub memory_max_kib: u64,
    /// How many messages of the server were judged per second of processor time; `null` where that is too short to tell, and
    /// for a load on clients.
    pub messages_per_cpu_s: Option<f64>,
    /// How many records were, likewise.
    #[serde(default)]
    pub records_per_cpu_s: Option<f64>,
}

/// What a stretch of time brought of a load.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoadMoment {
    /// When it began, since work began to begin.
    pub at_ms: u64,
    /// How long it is; the last one may have ended earlier.
    pub length_ms: u64,
    /// The rate that was tried, as its place in `curve`, from 1.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub probe: Option<u32>,
    /// How many pieces of work began.
    pub begun: u64,
    /// How many arrivals the harness was late for, whether they began or not.
    pub late: u64,
    /// How many more were dropped.
    pub unserved: u64,
    /// How many messages were received.
    pub messages: u64,
    /// How many records were.
    #[serde(default)]
    pub records: u64,
    /// How many findings were made.
    pub findings: u64,
    /// How many connections were lost.
    pub lost_connections: u64,
    /// Processor time of the process for itself.
    pub cpu_user_ms: u64,
    /// Processor time of the system for the process.
    pub cpu_system_ms: u64,
    /// Memory of the process that was resident at the end.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory_kib: Option<u64>,
    /// What was timed or failed, by metric, from the scheduled instant; `lag` is the harness's own. What is not here did not
    /// happen.
    pub metrics: BTreeMap<String, MomentMetric>,
}

/// What a stretch of time brought of one metric. Percentiles are off by a hundredth at most.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct MomentMetric {
    /// How many came about.
    pub count: u64,
    /// How many failed.
    pub errors: u64,
    /// Median; zero where nothing came about.
    pub p50_us: u64,
    /// 90th percentile, likewise.
    pub p90_us: u64,
    /// 99th percentile, likewise.
    pub p99_us: u64,
    /// Largest, likewise.
    pub max_us: u64,
}

/// What a run took of the machine that the harness is on. With the embedded emulator, that is in the same process.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Harness {
    /// Processor time of the process for itself.
    pub cpu_user_ms: u64,
    /// Processor time of the system for the process.
    pub cpu_system_ms: u64,
    /// The most memory that was resident at any time.
    pub peak_memory_kib: u64,
}

/// One rate that was tried in the search for a capacity.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct LoadProbe {
    /// The rate, in stimuli per time unit of the scenario.
    pub rate: f64,
    /// What it was tried for: `staircase`, `bisection`, `confirmation`.
    pub purpose: String,
    /// `held`, `broke`, or `lagged`: the harness could not keep it, or had not enough participants and calls to keep it with.
    pub verdict: String,
    /// How many events that were waited for came.
    pub count: u64,
    /// How many did not, or were not asked for since a request failed.
    pub errors: u64,
    /// The median from the scheduled instant of the stimulus to the event.
    pub p50_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
    /// How many arrivals there were.
    #[serde(default)]
    pub arrivals: u64,
    /// How many arrivals the harness was late for, whether they began or not.
    #[serde(default)]
    pub late: u64,
    /// Whether these were so many that it says nothing of the target.
    #[serde(default)]
    pub unpaced: bool,
    /// How many of them were dropped: nothing was free that they could be about, or too much was under way.
    #[serde(default)]
    pub unserved: u64,
    /// How many of those were since too much was under way at the target.
    #[serde(default)]
    pub crowded: u64,
}
