//! Judging recorded traces: the same rules, the same report as live.
//!
//! A trace is read line by line, so its length does not matter. Whatever can be read is judged; where a file is damaged
//! or cut off the report says so, with the line, and the scenario that it hits is inconclusive.
//! The lines are [`crate::trace::format`]'s; files are written by a run with `--record`.

mod reading;
mod replay;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::exit::{ExitCode, Failure};
use crate::report::assemble::{RunFacts, ScenarioRun, assemble};
use crate::report::known::Known;
use crate::report::model::{Report, Run, Target, TargetKind, Verdict};
use crate::spec::Version;
use crate::trace::format::{Closed, Header, Line, LineFault};
use reading::{Lines, Trouble};
use replay::Replay;

/// The settings of one check.
#[derive(Debug, Default)]
pub struct CheckConfig {
    /// The files: JSON lines, plain or compressed with zstd.
    pub traces: Vec<PathBuf>,
    /// Whether a missed should fails.
    pub strict: bool,
    /// Known deviations.
    pub known: Vec<Known>,
}

/// Judges the traces; several are judged as one run.
///
/// # Errors
/// If a file cannot be opened, is no trace or one of another version, or the traces are of different releases.
pub fn check(config: CheckConfig) -> Result<Report, Failure> {
    let mut traces: Vec<Trace> = Vec::new();
    for path in &config.traces {
        let trace = read(path)?;
        if traces.first().is_some_and(|first| first.version() != trace.version()) {
            let message = format!("`{}` is of another release than the first trace; check it alone", path.display());
            return Err(Failure::usage(message));
        }
        traces.push(trace);
    }
    let version = traces.first().ok_or_else(|| Failure::usage("no trace"))?.version();
    let (mut scenarios, mut errors, mut exit_codes) = (Vec::new(), Vec::new(), Vec::new());
    let (mut duration_ms, mut interrupted) = (0, false);
    let (mut header, mut doubtful) = (None, false);
    for trace in traces {
        header.get_or_insert(trace.header);
        doubtful |= !trace.trouble.is_empty();
        if !trace.trouble.is_empty() {
            exit_codes.push(ExitCode::Inconclusive);
        }
        errors.extend(trace.trouble);
        let took = trace.closed.as_ref().map_or_else(|| latest(&trace.scenarios), |closed| closed.closed_ms);
        duration_ms = u64::saturating_add(duration_ms, took);
        scenarios.extend(trace.scenarios);
        if let Some(closed) = trace.closed {
            interrupted |= closed.interrupted;
            errors.extend(closed.errors);
            exit_codes.extend(closed.exit_codes.into_iter().map(ExitCode::from_number));
        }
    }
    let header = header.ok_or_else(|| Failure::usage("no trace"))?;
    let facts = RunFacts {
        run: run(&header, duration_ms, interrupted),
        target: target(&header),
        version,
        strict: config.strict,
        known: config.known,
        errors,
        exit_codes,
    };
    let mut report = assemble(facts, &scenarios);
    if doubtful {
        // What cannot be read could have been anything.
        report.verdict = report.verdict.max(Verdict::Inconclusive);
    }
    Ok(report)
}

/// When the last of the scenarios ended, in milliseconds since the run began.
fn latest(scenarios: &[ScenarioRun]) -> u64 {
    scenarios.iter().map(|run| (run.began + run.duration).as_millis()).max().unwrap_or(0)
}

/// What one file held.
struct Trace {
    header: Header,
    scenarios: Vec<ScenarioRun>,
    closed: Option<Closed>,
    /// What is wrong with the file, in words.
    trouble: Vec<String>,
}

impl Trace {
    fn version(&self) -> Version {
        let text = self.header.target.software_version.as_deref();
        text.and_then(|text| text.parse().ok()).unwrap_or(Version::LATEST)
    }
}

/// How many faults of one file are told.
const FAULTS_TOLD: usize = 20;

fn read(path: &Path) -> Result<Trace, Failure> {
    let name = path.display().to_string();
    let mut lines = Lines::open(path).map_err(|error| Failure::usage(format!("failed to open `{name}`: {error}")))?;
    let header = match lines.next() {
        Some(Ok((_, Line::Header(header)))) => header,
        Some(Err((_, Trouble::Line(fault @ LineFault::Version(_))))) => {
            return Err(Failure::usage(format!("`{name}`: {fault}")));
        }
        Some(Err((_, Trouble::File(error)))) => return Err(Failure::usage(format!("`{name}`: {error}"))),
        _ => return Err(Failure::usage(format!("`{name}` is no trace: its first line is no header of one"))),
    };
    let mut trace = Trace { header, scenarios: Vec::new(), closed: None, trouble: Vec::new() };
    let mut replay = Replay::default();
    let mut faults = 0;
    for line in lines {
        let fault = match line {
            Ok((_, Line::Closed(closed))) => {
                trace.closed = Some(closed);
                None
            }
            Ok((number, line)) => replay.take(line).err().map(|why| (number, why)),
            Err((number, trouble)) => {
                replay.gap(number);
                Some((number, trouble.to_string()))
            }
        };
        if let Some((number, why)) = fault {
            faults += 1;
            if faults <= FAULTS_TOLD {
                trace.trouble.push(format!("{name}: line {number}: {why}"));
            }
        }
    }
    if faults > FAULTS_TOLD {
        trace.trouble.push(format!("{name}: {} more lines cannot be read", faults - FAULTS_TOLD));
    }
    if trace.closed.is_none() {
        trace.trouble.push(format!("{name}: the recording was cut off: its last line is missing"));
    }
    trace.scenarios = replay.finish();
    Ok(trace)
}

fn run(header: &Header, duration_ms: u64, interrupted: bool) -> Run {
    let run = &header.run;
    Run {
        id: run.id.clone(),
        seed: run.seed,
        started_at: run.started_at.clone(),
        duration_ms,
        command: run.command.clone(),
        options: run.options.clone(),
        files: BTreeMap::new(),
        interrupted,
    }
}

fn target(header: &Header) -> Target {
    let target = &header.target;
    Target {
        kind: if target.kind == "server" { TargetKind::Server } else { TargetKind::Emulator },
        url: target.url.clone(),
        others: target.others.clone(),
        software_version: target.software_version.clone(),
        dialect: target.dialect.clone(),
        mutants: target.mutants.clone(),
    }
}
