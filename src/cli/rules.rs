//! `bridgeproof rules`: lists requirements, or explains one.

use std::fmt::Write as _;

use super::output::result;
use crate::exit::{ExitCode, Failure};
use crate::scenario;
use crate::spec::{RequirementId, requirements};

/// What was typed after `rules`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A requirement or an area; all without.
    pub name: Option<String>,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    let name = args.name.as_deref().map(str::to_ascii_uppercase);
    if let Some(id) = name.as_deref().and_then(RequirementId::from_name) {
        result(&explained(id))?;
        return Ok(ExitCode::Pass);
    }
    let chosen: Vec<_> =
        requirements::all().filter(|id| name.as_deref().is_none_or(|name| id.get().area() == name)).collect();
    if chosen.is_empty() {
        let name = name.unwrap_or_default();
        return Err(Failure::usage(format!("`{name}` is no requirement and no area; `bridgeproof rules` lists them")));
    }
    let mut out = String::new();
    for id in chosen {
        let entry = id.get();
        let _ = writeln!(out, "{id:10} {:8} {:9} {}", entry.level.to_string(), entry.subject.to_string(), entry.source);
    }
    result(&out)?;
    Ok(ExitCode::Pass)
}

fn explained(id: RequirementId) -> String {
    let entry = id.get();
    let mut out = format!("{id}: {} for the {}, {}\n{}\n", entry.level, entry.subject, entry.source, entry.text);
    for source in scenario::library::shipped() {
        let Ok(read) = scenario::read(&source.file, &source.text) else { continue };
        if read.exercises.iter().any(|one| one.value == id.as_str()) {
            let _ = writeln!(out, "scenario {}: {}", source.id, read.title);
        }
    }
    out
}
