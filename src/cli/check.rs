//! `bridgeproof check`: judges recorded traces, and shows and writes the same report as the run did.

use std::path::PathBuf;

use jiff::Zoned;

use super::output::{kept, result};
use crate::check::{CheckConfig, check};
use crate::config;
use crate::exit::{ExitCode, Failure};
use crate::report::{folder, text};

/// What was typed after `check`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Recorded traces (`trace.jsonl.zst`, or unpacked).
    #[arg(required = true, value_name = "TRACE")]
    pub traces: Vec<PathBuf>,
    /// A missed should fails.
    #[arg(long)]
    pub strict: bool,
    /// Known deviations (TOML).
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Where to write the report; nowhere without.
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
    /// Show every requirement.
    #[arg(long)]
    pub details: bool,
}

/// Judges, writes the report where one is wanted, and shows it; `now` decides which known deviations have expired.
///
/// # Errors
/// If a file is no trace, or the report cannot be written.
pub(super) fn execute(args: Args, now: &Zoned) -> Result<ExitCode, Failure> {
    let known = config::known(args.known.as_deref(), now)?;
    if let Some(folder) = &args.report_dir {
        folder::prepare(folder)?;
    }
    let mut report = check(CheckConfig { traces: args.traces, strict: args.strict, known })?;
    let folder = args.report_dir.and_then(|folder| kept(&folder, &mut report));
    let options = text::Options { details: args.details, folder, ..text::Options::default() };
    result(&text::render(&report, &options))?;
    Ok(ExitCode::from_number(report.exit_code))
}
