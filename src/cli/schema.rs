//! `bridgeproof schema`: the JSON Schemas of scenario files and of `report.json`.

use super::output::result;
use crate::exit::{ExitCode, Failure};

/// What was typed after `schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schema of report.json instead of that of scenario files.
    #[arg(long)]
    pub report: bool,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    result(&if args.report { crate::report::json::schema_text() } else { crate::scenario::schema::schema_text() })?;
    Ok(ExitCode::Pass)
}
