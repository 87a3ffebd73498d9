//! `bridgeproof run`: what was typed, and what is shown at the end.

use std::path::PathBuf;

use jiff::Zoned;

use super::output::result;
use super::progress::{Progress, Shown};
use crate::config::{Allow, RunConfig};
use crate::exit::{ExitCode, Failure};
use crate::net::usage;
use crate::report::model::Report;
use crate::report::{folder, text};

/// What was typed after `run`.
#[derive(Debug, Default, clap::Args)]
pub struct Args {
    /// Scenario files, folders, or ids of shipped scenarios (`*` stands for anything); all shipped ones without.
    pub scenarios: Vec<String>,
    /// The Meeting Server to test; the embedded emulator without.
    #[arg(long, value_name = "URL")]
    pub target: Option<String>,
    /// A target profile (TOML).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mutant", "dialect"])]
    pub profile: Option<PathBuf>,
    /// The account to use.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The environment variable with its password.
    #[arg(long, value_name = "VAR", conflicts_with = "password_file")]
    pub password_env: Option<String>,
    /// The file with its password.
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<PathBuf>,
    /// A second account, which may not issue tokens.
    #[arg(long, value_name = "NAME")]
    pub unprivileged_user: Option<String>,
    /// The environment variable with the second account's password.
    #[arg(long, value_name = "VAR", conflicts_with = "unprivileged_password_file")]
    pub unprivileged_password_env: Option<String>,
    /// The file with the second account's password.
    #[arg(long, value_name = "FILE")]
    pub unprivileged_password_file: Option<PathBuf>,
    /// Certificates to trust (PEM).
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub ca: Option<PathBuf>,
    /// Trust any certificate.
    #[arg(long)]
    pub insecure: bool,
    /// What decides every choice; drawn and shown without.
    #[arg(long)]
    pub seed: Option<u64>,
    /// A missed should fails.
    #[arg(long)]
    pub strict: bool,
    /// What the run may do to a server.
    #[arg(long, value_delimiter = ',')]
    pub allow: Vec<Allow>,
    /// Known deviations (TOML).
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Where to write the report.
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
    /// Record the trace into the report folder, for `bridgeproof check`.
    #[arg(long)]
    pub record: bool,
    /// Faults of the embedded emulator.
    #[arg(long, value_name = "NAME", num_args = 1.., conflicts_with = "target")]
    pub mutant: Vec<String>,
    /// Freedoms of the embedded emulator: a name, or key=value.
    #[arg(long, value_name = "NAME|KEY=VALUE", value_delimiter = ',', conflicts_with = "target")]
    pub dialect: Vec<String>,
    /// How many scenarios run at once (embedded emulator only).
    #[arg(long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// How long a server may take to react, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub deadline: Option<f64>,
    /// Show where the time went.
    #[arg(long)]
    pub timings: bool,
    /// Show every requirement.
    #[arg(long)]
    pub details: bool,
    /// No progress.
    #[arg(long)]
    pub quiet: bool,
}

/// Resolves, runs, writes the report and shows it.
///
/// # Errors
/// If the settings are wrong, the run cannot begin, or the report cannot be written.
pub fn execute(
    args: Args,
    now: &Zoned,
    run: fn(RunConfig, &mut dyn Progress) -> Result<Report, Failure>,
) -> Result<ExitCode, Failure> {
    let (timings, details, quiet) = (args.timings, args.details, args.quiet);
    let config = RunConfig::resolve(args, now)?;
    let path = config.report_dir.clone();
    let report = run(config, &mut Shown::new(quiet))?;
    folder::write(&path, &report).map_err(|error| Failure { code: ExitCode::Bug, message: error.to_string() })?;
    let shown = Some(path.display().to_string());
    let options = text::Options {
        details,
        timings,
        folder: shown,
        peak_memory_kib: timings.then(usage::peak_memory_kib).flatten(),
        cpu_ms: timings.then(usage::cpu_ms).flatten(),
    };
    result(&text::render(&report, &options))?;
    Ok(ExitCode::from_number(report.exit_code))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn mutants_are_for_the_embedded_emulator_only() {
        assert!(Line::try_parse_from(["run", "--target", "https://x", "--mutant", "m"]).is_err());
        assert_eq!(Line::try_parse_from(["run", "--mutant", "m"]).unwrap().args.mutant, ["m"]);
        assert!(Line::try_parse_from(["run", "--password", "secret"]).is_err());
    }
}
