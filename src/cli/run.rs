//! `bridgeproof run`: what was typed, and what is shown at the end.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Zoned;

use super::output::{kept, result};
use super::progress::{Progress, Shown};
use crate::config::{Allow, RunConfig};
use crate::exit::{ExitCode, Failure};
use crate::net::listeners::{Advertised, ListenAddress};
use crate::net::metrics_endpoint::MetricsAddress;
use crate::net::usage;
use crate::report::model::Report;
use crate::report::quantity::counted;
use crate::report::text;
use crate::run::{Prospect, dry_run};
use crate::scenario::syntax::parse_time;

/// Shown below the options.
const EXAMPLES: &str = "\
Examples:
  bridgeproof run                                        the whole suite against the embedded emulator
  bridgeproof run subscriptions 'limits/sixth-*'         an area, and scenarios whose id fits
  bridgeproof run my/scenario.yaml --seed 7              a file of your own, the same way every time
  bridgeproof run messages --mutant ack-of-request-missing
                                                         see what a broken server looks like
  bridgeproof run load/soak --duration 8h --rate 20      a load as long and as dense as you like
  bridgeproof run --target https://cms.lab:8443 --user api --password-env CMS_PASSWORD --ca lab.pem
  bridgeproof run --profile lab.toml --allow limits,probing --dry-run
                                                         what would run there, and what not and why
  bridgeproof run load/steady --target https://cms1.lab --target https://cms2.lab --user api --allow limits
                                                         one load, spread over two servers

Exit codes: 0 passed, 1 failed, 2 wrong usage, 3 target unreachable or login refused, 4 a threshold missed, 5 undecided,
6 nothing tested, 7 a known deviation passed, 8 worse than the baseline, 130 interrupted.";

/// What was typed after `run`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Scenario files, folders, or ids of shipped scenarios (`*` stands for anything); all shipped ones without.
    #[arg(value_name = "SCENARIO")]
    pub scenarios: Vec<String>,
    /// The Meeting Server to test, http://host:port or https://host:port; without, an emulated one inside this program.
    /// May be repeated for loads, which are spread over all of them; account and trust are the same for all.
    #[arg(long, value_name = "URL", help_heading = "Target")]
    pub target: Vec<String>,
    /// A file (TOML) with url, user, password-env, ca, deadline, quiet, cdr-listen, restart-command and so on, and what
    /// to dial; options outweigh it.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mutant", "dialect"], help_heading = "Target")]
    pub profile: Option<PathBuf>,
    /// The API account to use; it must be allowed to make calls and to ask for event tokens.
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    pub user: Option<String>,
    /// The environment variable that holds its password; without this and --password-file it is asked for.
    #[arg(long, value_name = "VAR", conflicts_with = "password_file", help_heading = "Target")]
    pub password_env: Option<String>,
    /// The file that holds its password and nothing else.
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub password_file: Option<PathBuf>,
    /// A second account, which may not ask for event tokens; scenarios that need one are skipped without.
    #[arg(long, value_name = "NAME", help_heading = "Target")]
    pub unprivileged_user: Option<String>,
    /// The environment variable that holds the second account's password.
    #[arg(long, value_name = "VAR", conflicts_with = "unprivileged_password_file", help_heading = "Target")]
    pub unprivileged_password_env: Option<String>,
    /// The file that holds the second account's password and nothing else.
    #[arg(long, value_name = "FILE", help_heading = "Target")]
    pub unprivileged_password_file: Option<PathBuf>,
    /// Trust the certificates in this file (PEM), such as a lab's own authority, instead of those of the system.
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = "Target")]
    pub ca: Option<PathBuf>,
    /// Trust any certificate; what is wrong with it is reported.
    #[arg(long, help_heading = "Target")]
    pub insecure: bool,
    /// What the run may do to a server beyond ordinary use; may be given as a list.
    #[arg(long, value_name = "WHAT", value_delimiter = ',', help_heading = "Target")]
    pub allow: Vec<Allow>,
    /// Where CDR receivers listen for the target: ADDRESS, ADDRESS:PORT or ADDRESS:PORT-PORT. Several receivers take
    /// the ports that follow; without a port any free one is taken. Needed where the target is another machine.
    #[arg(long, value_name = "ADDR", help_heading = "Target")]
    pub cdr_listen: Option<ListenAddress>,
    /// What the target is told instead of that address, such as the outside of an address translation.
    #[arg(long, value_name = "HOST[:PORT]", help_heading = "Target")]
    pub cdr_advertise: Option<Advertised>,
    /// The command (of `sh`) that restarts the target's Call Bridge; scenarios that need it also need --allow restart.
    /// It is shown nowhere; the end of what it writes is, if it fails.
    #[arg(long, value_name = "COMMAND", help_heading = "Target")]
    pub restart_command: Option<String>,
    /// How long that command may take before it is ended and counts as failed; 300s without.
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Target")]
    pub restart_deadline: Option<Duration>,
    /// Break the embedded emulator on purpose; `bridgeproof prove --list` names the mutants.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        conflicts_with = "target",
        help_heading = "Embedded emulator"
    )]
    pub mutant: Vec<String>,
    /// Another conformant behaviour of the embedded emulator: a dialect's name, or key=value; may be given as a list.
    /// `bridgeproof dialects` lists them.
    #[arg(
        long,
        value_name = "NAME|KEY=VALUE",
        value_delimiter = ',',
        conflicts_with = "target",
        help_heading = "Embedded emulator"
    )]
    pub dialect: Vec<String>,
    /// How many emulators a load is spread over, from 1 to 100; as many as its connections need without.
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=100),
        conflicts_with_all = ["target", "profile"],
        help_heading = "Embedded emulator"
    )]
    pub servers: Option<u32>,
    /// How many scenarios run at the same time; against a server it is always one.
    #[arg(long, value_name = "N", help_heading = "Embedded emulator")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// How long loads go on, in place of what they say: such as 8h for a soak. At most a week.
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Loads")]
    pub duration: Option<Duration>,
    /// How many stimuli a second (or whatever their time unit is) loads at a constant rate have, in place of what they say.
    #[arg(long, value_name = "N", help_heading = "Loads")]
    pub rate: Option<f64>,
    /// Decides every random choice; the same seed repeats the same run. Drawn and shown without.
    #[arg(long, value_name = "N", help_heading = "Judgement")]
    pub seed: Option<u64>,
    /// A missed should fails instead of warning.
    #[arg(long, help_heading = "Judgement")]
    pub strict: bool,
    /// Deviations that are known and waived (TOML), each with a reason and an end date.
    #[arg(long, value_name = "FILE", help_heading = "Judgement")]
    pub known: Option<PathBuf>,
    /// How long a server may take for an ack, a state or an update before it counts as missing; 5s without.
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Judgement")]
    pub deadline: Option<Duration>,
    /// How long records that were not acknowledged may take to be sent again before they count as missing; 30s without,
    /// 10s on the embedded emulator.
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Judgement")]
    pub redelivery_deadline: Option<Duration>,
    /// The report.json of an earlier run, for thresholds of loads such as `p(99) <= baseline * 1.10`.
    #[arg(long, value_name = "FILE", help_heading = "Judgement")]
    pub baseline: Option<PathBuf>,
    /// Under load, never sleep but look again and again: shorter delays of the harness, for a whole processor.
    #[arg(long, help_heading = "Load")]
    pub spin: bool,
    /// Where to write report.json, junit.xml, report.html and summary.md; a new folder in reports/ without.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub report_dir: Option<PathBuf>,
    /// Record the trace into the report folder, for `bridgeproof check`.
    #[arg(long, help_heading = "Output")]
    pub record: bool,
    /// Serve what was measured so far as OpenMetrics text at http://ADDR/metrics while the run lasts. A port alone is one
    /// of the loopback interface.
    #[arg(long, value_name = "ADDR", help_heading = "Output")]
    pub metrics: Option<MetricsAddress>,
    /// Show every requirement with its verdict.
    #[arg(long, help_heading = "Output")]
    pub details: bool,
    /// Show where the time went, processor time and peak memory.
    #[arg(long, help_heading = "Output")]
    pub timings: bool,
    /// Show no progress.
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
    /// Run nothing: list what would run, and what not and why. A target is asked what it can do.
    #[arg(long, help_heading = "Output")]
    pub dry_run: bool,
}

pub(super) fn time(text: &str) -> Result<Duration, String> {
    parse_time(text).ok_or_else(|| "no length of time; write 250ms, 5s, 2m or 1h".to_owned())
}

/// Resolves, runs, writes the report and shows it.
///
/// # Errors
/// If the settings are wrong, the run cannot begin, or the report cannot be written.
pub fn execute(
    args: Args,
    now: &Zoned,
    run: fn(RunConfig, &mut dyn Progress) -> Result<Report, Failure>,
) -> Result<ExitCode, Failure> {
    let (timings, details, quiet, dry) = (args.timings, args.details, args.quiet, args.dry_run);
    let config = RunConfig::resolve(args, now)?;
    if dry {
        result(&prospects(&dry_run(&config)?))?;
        return Ok(ExitCode::Pass);
    }
    let path = config.report_dir.clone();
    let mut report = run(config, &mut Shown::new(quiet))?;
    let shown = kept(&path, &mut report);
    let options = text::Options {
        details,
        timings,
        folder: shown,
        peak_memory_kib: timings.then(usage::peak_memory_kib).flatten(),
        cpu_ms: timings.then(usage::cpu_ms).flatten(),
    };
    result(&text::render(&report, &options))?;
    Ok(ExitCode::from_number(report.exit_code))
}

/// What a dry run tells.
fn prospects(all: &[Prospect]) -> String {
    let width = all.iter().map(|one| one.id.len()).max().unwrap_or_default();
    let mut out = String::new();
    for one in all.iter().filter(|one| one.skip.is_none()) {
        let _ = writeln!(out, "run   {:width$}  {}", one.id, one.title);
        if !one.receivers.is_empty() {
            let _ = writeln!(out, "      {:width$}  adds CDR receivers: {}", "", one.receivers.join(", "));
        }
    }
    let skipped: Vec<_> = all.iter().filter_map(|one| Some((one, one.skip.as_ref()?))).collect();
    for (one, why) in &skipped {
        let _ = writeln!(out, "skip  {:width$}  {why}", one.id);
    }
    let runs = counted(all.len() - skipped.len(), "scenario");
    let _ = writeln!(out, "\n{runs} would run, {} would not", skipped.len());
    out
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn mutants_are_for_the_embedded_emulator_only() {
        assert!(Line::try_parse_from(["run", "--target", "https://x", "--mutant", "m"]).is_err());
        assert_eq!(Line::try_parse_from(["run", "--mutant", "m"]).unwrap().args.mutant, ["m"]);
        assert!(Line::try_parse_from(["run", "--password", "secret"]).is_err());
    }

    #[test]
    fn the_deadline_is_written_as_in_scenarios() {
        let deadline = |text: &str| Line::try_parse_from(["run", "--deadline", text]).map(|line| line.args.deadline);
        assert_eq!(deadline("500ms").unwrap(), Some(Duration::from_millis(500)));
        assert!(deadline("5").unwrap_err().to_string().contains("write 250ms, 5s, 2m or 1h"));
    }

    #[test]
    fn a_dry_run_tells_what_would_not_run_and_why() {
        let one = |id: &str, skip: Option<&str>| Prospect {
            id: id.to_owned(),
            title: "t".to_owned(),
            skip: skip.map(str::to_owned),
            receivers: vec!["main (http)".to_owned()],
        };
        let text = prospects(&[one("a/b", None), one("limits/c", Some("--allow limits"))]);
        assert!(text.contains("t\n                adds CDR receivers: main (http)\nskip"), "{text}");
        assert!(text.contains("skip  limits/c  --allow limits\n\n1 scenario would run, 1 would not"), "{text}");
    }
}
