//! The subcommands, and which part of the program carries each out.

use clap::{Parser, Subcommand};

use super::{check, dialects, emulate, lint, prove, receive, rules, run, scenarios, schema};
use crate::exit::{ExitCode, Failure};
use crate::net::clock::Clock;

/// Proves a Meeting Server before you depend on it.
#[derive(Debug, Parser)]
#[command(name = "bridgeproof", version, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios and judge what is observed.
    Run(Box<run::Args>),
    /// Judge recorded traces.
    Check(check::Args),
    /// Serve an emulated Meeting Server.
    Emulate(Box<emulate::Args>),
    /// Prove that every rule bites: play all mutants and dialects, and show the kill matrix.
    Prove(prove::Args),
    /// Receive call detail records of whatever Call Bridge sends them, judge and keep them.
    Receive(Box<receive::Args>),
    /// List requirements, or explain one.
    Rules(rules::Args),
    /// List dialects and settings of the emulated server, or explain one.
    Dialects(dialects::Args),
    /// Check scenario files.
    Lint(lint::Args),
    /// Print the JSON Schema of scenario files, or of report.json.
    Schema(schema::Args),
    /// List the shipped scenarios.
    Scenarios(scenarios::Args),
}

impl Cli {
    /// Carries out what was typed.
    ///
    /// # Errors
    /// If the program ends before there is a report.
    pub fn execute(self) -> Result<ExitCode, Failure> {
        match self.command {
            Command::Run(args) => run::execute(*args, &Clock::today(), crate::run::run),
            Command::Check(args) => check::execute(args, &Clock::today()),
            Command::Emulate(args) => emulate::execute(*args),
            Command::Prove(args) => prove::execute(&args),
            Command::Receive(args) => receive::execute(*args, &Clock::today()),
            Command::Rules(args) => rules::execute(&args),
            Command::Dialects(args) => dialects::execute(&args),
            Command::Lint(args) => lint::execute(&args),
            Command::Schema(args) => schema::execute(&args),
            Command::Scenarios(args) => scenarios::execute(&args),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
