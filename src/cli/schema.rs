//! `bridgeproof schema`: the JSON Schemas of scenario files, of loads on clients and of `report.json`.

use super::output::result;
use crate::exit::{ExitCode, Failure};

/// What was typed after `schema`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The schema of report.json instead of that of scenario files.
    #[arg(long)]
    pub report: bool,
    /// The schema of the files of `emulate --load`.
    #[arg(long, conflicts_with = "report")]
    pub client_load: bool,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    result(&match (args.report, args.client_load) {
        (true, _) => crate::report::json::schema_text(),
        (false, true) => crate::scenario::schema::client_load_schema_text(),
        (false, false) => crate::scenario::schema::schema_text(),
    })?;
    Ok(ExitCode::Pass)
}
