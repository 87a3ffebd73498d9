//! `bridgeproof lint`: finds what is wrong with scenario files.

use super::output::{note, result};
use crate::exit::{ExitCode, Failure};
use crate::report::quantity::counted;
use crate::scenario;

/// What was typed after `lint`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Scenario files, loads on clients, or folders; all errors of all files are shown with their place.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    let sources = scenario::library::select(&args.files).map_err(Failure::usage)?;
    let mut wrong = 0;
    for source in &sources {
        if let Err(errors) = scenario::errors_of(&source.file, &source.text) {
            wrong += 1;
            note(&scenario::render(&source.text, &errors, true));
        }
    }
    result(&format!("{}, {wrong} with errors\n", counted(sources.len(), "scenario file")))?;
    Ok(if wrong == 0 { ExitCode::Pass } else { ExitCode::Usage })
}
