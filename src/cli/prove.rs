//! `bridgeproof prove`: what was typed, and what is shown.

use std::fs;
use std::num::NonZeroUsize;
use std::path::PathBuf;

use super::output::{note, result};
use super::progress::Shown;
use crate::exit::{ExitCode, Failure};
use crate::net::entropy;
use crate::prove::{Chosen, Config, how_to_try, named, prove};
use crate::report::{folder, model};
use crate::traceability::{Fault, Whose};

/// Shown below the options.
const EXAMPLES: &str = "\
Examples:
  bridgeproof prove                        every mutant and every dialect
  bridgeproof prove MSG SUB-05 --details   the mutants that break these, one by one
  bridgeproof prove 'ack-*' late           mutants and dialects by name
  bridgeproof prove --whole                the whole suite against every mutant
  bridgeproof prove --list UPD             which mutants and dialects there are, without playing them

Exit codes: 0 proven, 1 a mutant survived, collateral is undeclared, a conformant server was failed or left undecided, 130 interrupted.";

/// What was typed after `prove`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Mutants, dialects, requirements or areas (`*` stands for anything); everything without.
    #[arg(value_name = "ID")]
    pub words: Vec<String>,
    /// List the mutants, each with whom it breaks, the requirement and how it comes about, and the dialects; nothing is
    /// played.
    #[arg(
        long,
        conflicts_with_all = ["whole", "drawn", "histories", "sockets", "jobs", "seed", "report_dir", "details"]
    )]
    pub list: bool,
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
    if args.list {
        result(&listed(&named(&args.words)?))?;
        return Ok(ExitCode::Pass);
    }
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

/// The mutants by whose they are, then the dialects: one line each, and how such a one is tried.
fn listed((chosen, spoken): &Chosen) -> String {
    let names = chosen.iter().map(|one| one.name).chain(spoken.iter().map(|one| one.name));
    let width = names.map(str::len).max().unwrap_or_default();
    let mut parts = Vec::new();
    for (whose, head) in [
        (Whose::Server, "of the emulated server"),
        (Whose::ServerUnderLoad, "of the emulated server, so rare that only a load finds them"),
        (Whose::Client, "of events clients"),
        (Whose::Receiver, "of CDR receivers"),
    ] {
        let of_it: Vec<&Fault> = chosen.iter().filter(|one| one.whose == whose).collect();
        let Some(first) = of_it.first() else { continue };
        let mut part = format!("mutants {head}, such as: {}\n\n", how_to_try(first));
        for Fault { name, breaks, story, .. } in of_it {
            part.push_str(&format!("{name:width$}  {breaks:8} {story}\n"));
        }
        parts.push(part);
    }
    if let Some(first) = spoken.first() {
        let mut part =
            format!("dialects of the emulated server, such as: bridgeproof run --dialect {}\n\n", first.name);
        for dialect in spoken {
            part.push_str(&format!("{:width$}  {}\n", dialect.name, dialect.doc));
        }
        parts.push(part);
    }
    parts.join("\n")
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::spec::requirements;

    fn list(words: &[&str]) -> Result<String, Failure> {
        named(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()).map(|chosen| listed(&chosen))
    }

    #[test]
    fn every_mutant_has_a_line_with_what_it_breaks() {
        let all = list(&[]).unwrap();
        let line = |name: &str| all.lines().find(|line| line.split(' ').next() == Some(name)).unwrap_or_default();
        assert!(line("one-in-a-hundred-thousand-told-twice").contains("  UPD-06   A buffer is full"), "{all}");
        assert!(line("client-pings").contains("  WS-06 ") && line("receiver-answers-204").contains("  CDR-20 "));
        assert!(all.contains("only a load finds them, such as: bridgeproof run load/steady --rate 200"), "{all}");
        let of_one = list(&["UPD-06", "client-p*"]).unwrap();
        assert!(of_one.contains("told-twice") && of_one.contains("client-pongs") && !of_one.contains("CDR-20"));
    }

    #[test]
    fn dialects_are_listed_and_a_requirement_that_nothing_breaks_is_known() {
        let pages = list(&["small-pages"]).unwrap();
        assert!(pages.starts_with("dialects of the emulated server") && pages.contains("\nsmall-pages  "), "{pages}");
        assert!(list(&[]).unwrap().contains("\nsmall-pages "));
        let broken: Vec<&str> = named(&[]).unwrap().0.iter().map(|one| one.breaks).collect();
        let unbroken = requirements::all().map(|id| id.as_str()).find(|id| !broken.contains(id));
        let unbroken = unbroken.expect("what is only observed is broken by nothing");
        assert_eq!(list(&[unbroken]).unwrap_err().message, "no mutant breaks what was asked for");
        assert!(list(&[unbroken, "small-pages"]).is_ok());
    }

    #[test]
    fn a_list_takes_nothing_that_is_about_playing() {
        #[derive(Debug, clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: Args,
        }
        for more in [&["--whole"][..], &["--report-dir", "out"], &["--seed", "1"], &["--histories", "5"]] {
            let line = [&["prove", "--list"][..], more].concat();
            assert!(Line::try_parse_from(line).is_err(), "{more:?}");
        }
        assert!(Line::try_parse_from(["prove", "--list", "UPD"]).is_ok_and(|line| line.args.list));
    }

    #[test]
    fn a_word_that_names_nothing_gets_the_nearest_names() {
        let told = list(&["client-pingz"]).unwrap_err().message;
        assert!(told.contains("did you mean `client-pings`?"), "{told}");
        let told = list(&["told-twice"]).unwrap_err().message;
        assert!(told.contains("near are `") && told.contains("-told-twice`"), "{told}");
        let told = list(&["nonsuch"]).unwrap_err().message;
        assert!(told.ends_with("no requirement; `bridgeproof prove --list` names all mutants and dialects"), "{told}");
    }
}
