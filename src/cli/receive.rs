//! `bridgeproof receive`: what was typed, and what is shown.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Zoned;

use super::output::{kept, note, result};
use super::run::time;
use crate::config::ReceiveConfig;
use crate::exit::{ExitCode, Failure};
use crate::net::listeners::Advertised;
use crate::net::usage;
use crate::receive::{Ready, Received, receive};
use crate::report::quantity::counted;
use crate::report::{folder, text};

/// Shown below the options.
const EXAMPLES: &str = "\
Examples:
  bridgeproof receive                                   http://127.0.0.1:8444/; configure it on the Call Bridge, for example
                                                        POST /api/v1/system/cdrReceivers with uri=http://HOST:8444/
  bridgeproof receive --listen 0.0.0.0:8444 --advertise lab.example.org --record records.jsonl
                                                        keep every record, one line of JSON each
  bridgeproof receive --tls --ca-out ca.pem             https, with a certificate made for this run
  bridgeproof receive --plan failing.yaml               fail as planned, and see whether everything is sent again";

/// What was typed after `receive`.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Where to listen; 127.0.0.1:8444 without.
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub listen: Option<SocketAddr>,
    /// What Call Bridges reach it at, where that is not the address it listens on: for the URI that is shown, and for
    /// the certificate that is made.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub advertise: Option<Advertised>,
    /// Speak https: with --cert and --key, or with a certificate made for this run.
    #[arg(long)]
    pub tls: bool,
    /// The certificate chain to show (PEM).
    #[arg(long, value_name = "FILE", requires_all = ["key", "tls"])]
    pub cert: Option<PathBuf>,
    /// The key of that certificate (PEM).
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// Where to write the root of the certificate that is made, for a Call Bridge that checks it.
    #[arg(long, value_name = "FILE", requires = "tls", conflicts_with = "cert", alias = "cert-out")]
    pub ca_out: Option<PathBuf>,
    /// What to do with sets: a list (YAML) of entries as in the `plan` step of scenarios; without, all are answered 200.
    #[arg(long, value_name = "FILE")]
    pub plan: Option<PathBuf>,
    /// Keep the records here, one line of JSON each; a set is answered 200 only when its lines are safe on the disk.
    /// Everything that arrives is kept, records that are sent again and sets that are not answered 200 included.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Do not wait for the disk: lines survive the end of this process, but not that of the machine.
    #[arg(long, requires = "record")]
    pub no_sync: bool,
    /// How long records that were not acknowledged may take to be sent again before they count as missing; 30s without.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub redelivery_deadline: Option<Duration>,
    /// A missed should fails instead of warning.
    #[arg(long)]
    pub strict: bool,
    /// Deviations that are known and waived (TOML), each with a reason and an end date.
    #[arg(long, value_name = "FILE")]
    pub known: Option<PathBuf>,
    /// Where to write the report.
    #[arg(long, value_name = "DIR")]
    pub report_dir: Option<PathBuf>,
    /// Show every requirement with its verdict.
    #[arg(long)]
    pub details: bool,
    /// Show processor time, peak memory, and how many records a second of processor time took in.
    #[arg(long)]
    pub timings: bool,
}

/// The address to listen on.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let examples = "write 127.0.0.1:8444, 0.0.0.0:8444 for all addresses of this machine, or [::1]:8444";
    text.parse().map_err(|_| format!("`{text}` is no IP address with a port; {examples}"))
}

/// Receives until the user ends it; then shows what was found.
///
/// # Errors
/// If the settings are wrong, the address cannot be had, or the file for records cannot be used.
pub fn execute(args: Args, now: &Zoned) -> Result<ExitCode, Failure> {
    let (details, timings, ca_out) = (args.details, args.timings, args.ca_out.clone());
    let config = ReceiveConfig::resolve(args, now)?;
    let report_dir = config.report_dir.clone();
    if let Some(path) = &report_dir {
        folder::prepare(path)?;
    }
    let ready = |ready: Ready<'_>| {
        if let (Some(path), Some(pem)) = (&ca_out, ready.ca_pem) {
            let failed = |error| Failure::usage(format!("failed to write `{}`: {error}", path.display()));
            fs::write(path, pem).map_err(failed)?;
        }
        result(&format!("call detail records are received at {}\n", ready.uri))?;
        if ready.is_any_address {
            note("it listens on all addresses of this machine; name one to Call Bridges, or give it with --advertise");
        }
        note("Ctrl-C ends it");
        Ok(())
    };
    let (mut report, received) = receive(config, ready)?;
    let shown = report_dir.and_then(|path| kept(&path, &mut report));
    let options = text::Options {
        details,
        timings,
        folder: shown,
        peak_memory_kib: timings.then(usage::peak_memory_kib).flatten(),
        cpu_ms: timings.then(usage::cpu_ms).flatten(),
    };
    let rates = if timings { rates(received, usage::cpu_ms()) } else { String::new() };
    result(&(rates + &text::render(&report, &options)))?;
    Ok(ExitCode::from_number(report.exit_code))
}

/// How much was received, and how fast.
fn rates(received: Received, cpu_ms: Option<u64>) -> String {
    let Received { records, sets } = received;
    let number = |count: u64, thing| counted(usize::try_from(count).unwrap_or(usize::MAX), thing);
    let amount = format!("{} in {}", number(records, "record"), number(sets, "set"));
    let Some(ms) = cpu_ms.filter(|ms| *ms > 0) else { return format!("{amount}\n") };
    let per_second = records.saturating_mul(1000) / ms;
    let cpu_s = ms as f64 / 1000.0;
    format!("{amount}, {cpu_s:.2} s of processor time, {per_second} records per second of it\n")
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
    fn a_certificate_needs_its_key_and_tls() {
        let parses = |words: &[&str]| Line::try_parse_from([&["receive"], words].concat()).is_ok();
        assert!(parses(&["--tls"]) && parses(&["--tls", "--cert", "a", "--key", "b"]));
        assert!(!parses(&["--cert", "a", "--key", "b"]) && !parses(&["--tls", "--cert", "a"]));
        assert!(!parses(&["--no-sync"]) && !parses(&["--tls", "--cert", "a", "--key", "b", "--ca-out", "c"]));
    }

    #[test]
    fn a_slip_in_an_address_gets_examples() {
        for wrong in ["localhost", "localhost:8444", "8444", "10.0.0.1", "10.0.0.1:99999"] {
            assert!(address(wrong).unwrap_err().contains("write 127.0.0.1:8444"), "{wrong}");
        }
        assert_eq!(address("[::1]:8444").unwrap().port(), 8444);
    }

    #[test]
    fn rates_are_per_second_of_processor_time() {
        let received = Received { records: 5000, sets: 100 };
        let text = "5000 records in 100 sets, 0.25 s of processor time, 20000 records per second of it\n";
        assert_eq!(rates(received, Some(250)), text);
        assert_eq!(rates(received, None), "5000 records in 100 sets\n");
        assert_eq!(rates(Received { records: 1, sets: 1 }, None), "1 record in 1 set\n");
    }
}
