//! `bridgeproof emulate`: what was typed, and what is shown.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::output::{kept, note, result};
use super::receive::address;
use super::run::time;
use crate::config::{EmulateConfig, EmulateTls};
use crate::exit::{ExitCode, Failure};
use crate::net::metrics_endpoint::MetricsAddress;
use crate::report::{folder, text};
use crate::serve::{Serving, serve};

/// Shown below the options.
const EXAMPLES: &str = "\
Examples:
  bridgeproof emulate                                      http://127.0.0.1:8443, the password is generated and shown
  bridgeproof emulate --judge --report-dir out             judge clients and CDR receivers; Ctrl-C shows the report
  bridgeproof emulate --load load/client-steady --report-dir out
                                                           200 updates a second on each connection: can clients follow?
  bridgeproof emulate --load load/client-capacity          how many can they follow? The rate is raised until a threshold
                                                           breaks; --dialect window=64 lets more than one wait for its ack
  bridgeproof emulate --load load/receiver-storm --receiver http://127.0.0.1:8444/
                                                           records in bursts for a CDR receiver
  bridgeproof emulate --tls --ca-out ca.pem                https; clients trust ca.pem
  bridgeproof emulate --dialect late,random-ids            conformant, but not as the guides' examples";

/// What was typed after `emulate`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to listen; 127.0.0.1:8443 without.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// Serve https with a certificate made for this run; --ca-out writes it for clients to trust.
    #[arg(long, conflicts_with_all = ["cert", "key"])]
    pub tls: bool,
    /// Serve https with this certificate chain (PEM).
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Where to write the root of the certificate that --tls makes.
    #[arg(long, value_name = "FILE", requires = "tls", alias = "cert-out")]
    pub ca_out: Option<PathBuf>,
    /// The API account that clients log in with; generated and shown without.
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// The environment variable that holds its password; generated and shown once without.
    #[arg(long, value_name = "VAR")]
    pub password_env: Option<String>,
    /// The name of a second account, which may not issue tokens.
    #[arg(long, value_name = "NAME", requires = "unprivileged_password_env")]
    pub unprivileged_user: Option<String>,
    /// The environment variable with the second account's password.
    #[arg(long, value_name = "VAR", requires = "unprivileged_user")]
    pub unprivileged_password_env: Option<String>,
    /// Another behaviour that the guides allow: a dialect's name, or key=value; may be given as a list.
    /// `bridgeproof dialects` lists them.
    #[arg(long, value_name = "NAME|KEY=VALUE", value_delimiter = ',')]
    pub dialect: Vec<String>,
    /// Break it on purpose; `bridgeproof prove --list` names the mutants.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub mutant: Vec<String>,
    /// Decides every random choice; drawn and shown without.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Judge the events clients that connect and the CDR receivers that are configured, and report at the end.
    #[arg(long)]
    pub judge: bool,
    /// Put a load on the events clients that connect and on the CDR receivers that are configured: a file, or the id of a
    /// shipped one, such as load/client-capacity. It begins when those are there whom it waits for, and ends by itself;
    /// how long their acks and answers took is told at the end.
    #[arg(long, value_name = "FILE|ID")]
    pub load: Option<String>,
    /// The report.json of an earlier load, for thresholds such as `p(99) <= baseline * 1.10`.
    #[arg(long, value_name = "FILE", requires = "load")]
    pub baseline: Option<PathBuf>,
    /// How long the load goes on, in place of what it says: such as 8h for a soak. At most a week.
    #[arg(long, value_name = "TIME", value_parser = time, requires = "load")]
    pub duration: Option<Duration>,
    /// How many updates or records a second (or whatever their time unit is) a load at a constant rate has, in place of what it
    /// says.
    #[arg(long, value_name = "N", requires = "load")]
    pub rate: Option<f64>,
    /// Serve what the load measured so far as OpenMetrics text at http://ADDR/metrics. A port alone is one of the loopback
    /// interface.
    #[arg(long, value_name = "ADDR", requires = "load")]
    pub metrics: Option<MetricsAddress>,
    /// A CDR receiver that is configured from the beginning, as by POST /api/v1/system/cdrReceivers; may be repeated.
    #[arg(long, value_name = "URI")]
    pub receiver: Vec<String>,
    /// Where to write the report of what connected, and of a load its latency.hlog.
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
}

/// Serves until the user ends it; then shows what was found, if clients were judged.
///
/// # Errors
/// If the settings are wrong, or the address cannot be had.
pub fn execute(args: Args) -> Result<ExitCode, Failure> {
    let config = EmulateConfig::resolve(args)?;
    let report_dir = config.report_dir.clone();
    if let Some(path) = &report_dir {
        folder::prepare(path)?;
    }
    let ca_out = match &config.tls {
        Some(EmulateTls::SelfMade(path)) => path.clone(),
        _ => None,
    };
    let user = config.accounts.privileged.name.clone();
    let (seed, password) = (config.seed, config.shown_password.clone());
    let ready = |serving: Serving<'_>| {
        if let (Some(path), Some(pem)) = (&ca_out, serving.ca_pem) {
            let failed = |error| Failure::usage(format!("failed to write `{}`: {error}", path.display()));
            fs::write(path, pem).map_err(failed)?;
        }
        let password = password.map_or_else(String::new, |password| format!(", password {password}"));
        result(&format!("an emulated Meeting Server is at {}: user {user}{password}, seed {seed}\n", serving.url))?;
        note("Ctrl-C ends it");
        Ok(())
    };
    let Some(mut report) = serve(config, ready)? else { return Ok(ExitCode::Pass) };
    let shown = report_dir.and_then(|path| kept(&path, &mut report));
    let options = text::Options { details: true, folder: shown, ..text::Options::default() };
    result(&text::render(&report, &options))?;
    Ok(ExitCode::from_number(report.exit_code))
}
