//! The command line: what the user typed, and one file for each subcommand.
//!
//! Results go to stdout, progress and errors to stderr. Defaults live in [`crate::config`].

pub mod check;
pub mod dialects;
pub mod emulate;
pub mod lint;
pub mod output;
pub mod progress;
pub mod prompt;
pub mod prove;
pub mod receive;
pub mod rules;
pub mod run;
pub mod scenarios;
pub mod schema;

mod command;

pub use command::Cli;
