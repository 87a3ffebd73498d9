//! `bridgeproof scenarios`: the shipped scenarios with what they exercise and need.

use super::output::result;
use crate::exit::{ExitCode, Failure};
use crate::scenario;

/// What was typed after `scenarios`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ids (`*` stands for anything), files or folders.
    pub globs: Vec<String>,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    let mut out = String::new();
    for source in scenario::library::select(&args.globs).map_err(Failure::usage)? {
        let read = scenario::read(&source.file, &source.text)
            .map_err(|errors| Failure::usage(scenario::render(&source.text, &errors, false)))?;
        let exercises: Vec<_> = read.exercises.iter().map(|one| one.value.as_str()).collect();
        let needs: Vec<_> = read.needs.iter().map(|one| one.value.as_str()).collect();
        out.push_str(&format!("{}\n    {}\n    exercises {}\n", source.id, read.title, exercises.join(", ")));
        if !needs.is_empty() {
            out.push_str(&format!("    needs {}\n", needs.join(", ")));
        }
    }
    result(&out)?;
    Ok(ExitCode::Pass)
}
