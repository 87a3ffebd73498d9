//! `bridgeproof rules`: lists requirements, or explains one.

use std::fmt::Write as _;

use super::output::result;
use crate::exit::{ExitCode, Failure};
use crate::report::quantity::counted;
use crate::scenario::suggest;
use crate::spec::{RequirementId, requirements};
use crate::traceability::{self, Trace};

/// What was typed after `rules`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  bridgeproof rules          all requirements\n  bridgeproof rules MSG      those of one area\n  bridgeproof rules MSG-03   one: what it says, what tests it, which faults prove the test"
)]
pub struct Args {
    /// A requirement (MSG-03) or an area (MSG); all without.
    pub name: Option<String>,
    /// Print the table of docs/REQUIREMENTS.md.
    #[arg(long, conflicts_with = "name")]
    pub markdown: bool,
}

pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    let all = traceability::all();
    if args.markdown {
        result(&traceability::markdown(&all))?;
        return Ok(ExitCode::Pass);
    }
    let name = args.name.as_deref().map(str::to_ascii_uppercase);
    let wanted = |name: &str| {
        let id = RequirementId::from_name(name)?;
        all.iter().find(|one| one.requirement == id)
    };
    if let Some(one) = name.as_deref().and_then(wanted) {
        result(&explained(one))?;
        return Ok(ExitCode::Pass);
    }
    let fits = |one: &&Trace| name.as_deref().is_none_or(|name| one.requirement.get().area() == name);
    let chosen: Vec<_> = all.iter().filter(fits).collect();
    if chosen.is_empty() {
        return Err(unknown(name.as_deref().unwrap_or_default()));
    }
    result(&listed(&chosen))?;
    Ok(ExitCode::Pass)
}

fn unknown(name: &str) -> Failure {
    let mut known: Vec<&str> = requirements::all().map(|id| id.get().area()).collect();
    known.dedup();
    known.extend(requirements::all().map(RequirementId::as_str));
    let help = suggest::help(name, known).unwrap_or_else(|| "`bridgeproof rules` lists them".to_owned());
    Failure::usage(format!("`{name}` is no requirement and no area; {help}"))
}

fn listed(chosen: &[&Trace]) -> String {
    let mut out = format!(
        "{:11} {:8} {:9} {:>9} {:>7}  {}\n",
        "requirement", "level", "subject", "scenarios", "mutants", "source"
    );
    for one in chosen {
        let entry = one.requirement.get();
        let (level, subject) = (entry.level.to_string(), entry.subject.to_string());
        let (scenarios, mutants) = (one.scenarios.len(), one.mutants.len());
        let _ = writeln!(out, "{:11} {level:8} {subject:9} {scenarios:>9} {mutants:>7}  {}", entry.id, entry.source);
    }
    out
}

fn explained(one: &Trace) -> String {
    let entry = one.requirement.get();
    let mut out = format!("{}: {} for the {}", entry.id, entry.level, entry.subject);
    if let Some(since) = entry.since {
        let _ = write!(out, ", since release {since}");
    }
    if let Some(until) = entry.until {
        let _ = write!(out, ", until before release {until}");
    }
    let rule = one.rule.as_deref().unwrap_or("none yet: it is not judged");
    let _ = writeln!(out, "\n  {}\n\nsource  {}\nrule    {rule}", entry.text, entry.source);
    let _ = writeln!(out, "\nexercised by {}", counted(one.scenarios.len(), "scenario"));
    for scenario in &one.scenarios {
        let _ = writeln!(out, "  {}\n      {}", scenario.id, scenario.title);
    }
    let _ = writeln!(out, "\nbroken on purpose by {}", counted(one.mutants.len(), "mutant"));
    for mutant in &one.mutants {
        let _ = writeln!(out, "  {}\n      {}", mutant.name, mutant.story);
        for (id, why) in mutant.collateral {
            let _ = writeln!(out, "      may fail {id}, too: {why}");
        }
    }
    if !one.dialects.is_empty() {
        let _ = writeln!(out, "\nvaried, as the guides allow, by {}", counted(one.dialects.len(), "dialect"));
    }
    for dialect in &one.dialects {
        let _ = writeln!(out, "  {}\n      {}", dialect.name, dialect.doc);
    }
    if let Some(mutant) = one.mutants.first() {
        let _ = writeln!(out, "\nSee where it fails: bridgeproof prove {} --details", mutant.name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_requirement_gets_a_suggestion() {
        let failure = unknown("MSG-003");
        assert_eq!(failure.code, ExitCode::Usage);
        assert!(failure.message.contains("did you mean `MSG-0"), "{failure}");
        assert!(unknown("NONSENSE").message.contains("bridgeproof rules"));
    }

    #[test]
    fn a_requirement_is_explained_with_all_that_proves_it() {
        let all = traceability::all();
        let text = explained(all.iter().find(|one| one.requirement.as_str() == "MSG-03").unwrap());
        for part in
            ["must for the server", "src/rules/msg.rs", "messages/requests-acknowledged", "ack-of-request-missing"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
