//! `bridgeproof scenarios`: the shipped scenarios with what they exercise and need.

use super::output::result;
use crate::exit::{ExitCode, Failure};
use crate::report::quantity::counted;
use crate::scenario;

/// What was typed after `scenarios`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Ids (`*` stands for anything), areas, files or folders; all shipped ones without.
    #[arg(value_name = "SCENARIO")]
    pub globs: Vec<String>,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    let mut out = String::new();
    let sources = scenario::library::select(&args.globs).map_err(Failure::usage)?;
    for source in &sources {
        let read = scenario::read(&source.file, &source.text)
            .map_err(|errors| Failure::usage(scenario::render(&source.text, &errors, false)))?;
        let exercises: Vec<_> = read.exercises.iter().map(|one| one.value.as_str()).collect();
        let needs: Vec<_> = read.needs.iter().map(|one| one.value.as_str()).collect();
        out.push_str(&format!("{}\n    {}\n    exercises {}\n", source.id, read.title, exercises.join(", ")));
        if !needs.is_empty() {
            out.push_str(&format!("    needs {}\n", needs.join(", ")));
        }
    }
    out.push_str(&format!("\n{}\n", counted(sources.len(), "scenario")));
    if args.globs.is_empty() {
        let loads = scenario::library::client_loads();
        let ids: Vec<_> = loads.iter().map(|source| source.id.as_str()).collect();
        out.push_str(&format!("loads on clients, for `bridgeproof emulate --load`: {}\n", ids.join(", ")));
    }
    result(&out)?;
    Ok(ExitCode::Pass)
}
