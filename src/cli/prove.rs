//! `bridgeproof prove`: what was typed, and what is shown.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::output::{note, result};
use super::progress::Shown;
use crate::exit::{ExitCode, Failure};
use crate::net::entropy;
use crate::prove::{Config, prove};
use crate::report::{folder, model};

/// Shown below the options.
const EXAMPLES: &str = "\
Examples:
  bridgeproof prove                        every mutant and every dialect
  bridgeproof prove MSG SUB-05 --details   the mutants that break these, one by one
  bridgeproof prove 'ack-*' late           mutants and dialects by name
  bridgeproof prove --whole                the whole suite against every mutant

Exit codes: 0 proven, 1 a mutant survived, collateral is undeclared, a conformant server was failed or left undecided, 130 interrupted.";

/// What was typed after `prove`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Mutants, dialects, requirements or areas (`*` stands for anything); everything without.
    #[arg(value_name = "ID")]
    pub words: Vec<String>,
    /// Play the whole suite against every mutant, not only against a sample of them.
    #[arg(long)]
    pub whole: bool,
    /// How many dialects are drawn at random besides the named ones.
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub drawn: usize,
    /// How many random histories are played, each on a conformant server drawn at random, every second one with a
    /// random mutant as well.
    #[arg(long, value_name = "N", default_value_t = 2000)]
    pub histories: u64,
    /// How many mutants run over real sockets as well.
    #[arg(long, value_name = "N", default_value_t = 12)]
    pub sockets: usize,
    /// How many threads play; one for each core without.
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Decides every random choice; drawn and shown without.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Where to write kill-matrix.txt, kill-matrix.json and kill-matrix.html.
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
    /// Show every mutant.
    #[arg(long)]
    pub details: bool,
    /// Show no progress.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Proves and shows the matrix.
///
/// # Errors
/// A word that names nothing, or a report folder that cannot be written.
pub(super) fn execute(args: &Args) -> Result<ExitCode, Failure> {
    if let Some(path) = &args.report_dir {
        folder::prepare(path)?;
    }
    let seed = args.seed.unwrap_or_else(entropy::seed);
    let jobs = args.jobs.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get);
    let words: String = args.words.iter().map(|word| format!(" {}", model::quoted(word))).collect();
    let whole = if args.whole { " --whole" } else { "" };
    let command = format!(
        "bridgeproof prove{words} --seed {seed} --drawn {} --histories {} --sockets {}{whole}",
        args.drawn, args.histories, args.sockets
    );
    let config = Config {
        words: args.words.clone(),
        seed,
        whole: args.whole,
        drawn: args.drawn,
        histories: args.histories,
        sockets: args.sockets,
        jobs,
        command,
    };
    let matrix = {
        let mut progress = Shown::new(args.quiet);
        prove(&config, &mut progress)?
    };
    if let Some(path) = &args.report_dir {
        let files = [
            ("kill-matrix.json", matrix.json()),
            ("kill-matrix.html", matrix.html()),
            ("kill-matrix.txt", matrix.text(true)),
        ];
        for (name, text) in files {
            let file = path.join(name);
            fs::write(&file, text).map_err(|error| Failure {
                code: ExitCode::Bug,
                message: format!("failed to write `{}`: {error}", file.display()),
            })?;
        }
        note(&format!("the matrix is in {}", path.display()));
    }
    result(&matrix.text(args.details))?;
    Ok(match (matrix.is_proven(), matrix.interrupted) {
        (_, true) => ExitCode::Interrupted,
        (true, false) => ExitCode::Pass,
        (false, false) => ExitCode::Failed,
    })
}
