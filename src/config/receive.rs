//! The settings of a CDR receiver that stands alone.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use jiff::Zoned;

use super::{known, text};
use crate::cli::{output, receive};
use crate::engine::receiver::plan::Entry;
use crate::exit::Failure;
use crate::net::listeners::Advertised;
use crate::net::tls::ServerTls;
use crate::report::known::Known;
use crate::report::model::quoted;
use crate::rules::Deadlines;
use crate::scenario;
use crate::scenario::syntax::PlanEntry;

/// Where to listen unless it is said.
const LISTEN: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 8444);

/// The settings of a CDR receiver that stands alone.
#[derive(Debug)]
pub struct ReceiveConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// What Call Bridges are told instead.
    pub advertise: Option<Advertised>,
    /// How to speak https; http where absent.
    pub tls: Option<ServerTls>,
    /// What to do with sets; all are answered 200 where nothing fits.
    pub plan: Vec<Entry>,
    /// Where to keep the records.
    pub record: Option<PathBuf>,
    /// Whether a set is answered only when its records are on the disk.
    pub sync: bool,
    /// How long the Call Bridge may take.
    pub deadlines: Deadlines,
    /// Whether a missed should fails.
    pub strict: bool,
    /// Known deviations.
    pub known: Vec<Known>,
    /// Where the report goes.
    pub report_dir: Option<PathBuf>,
    /// The command that was typed.
    pub command: String,
}

impl ReceiveConfig {
    /// Resolves what was typed; `now` decides which known deviations have expired.
    ///
    /// # Errors
    /// If a file cannot be read, or something is wrong.
    pub fn resolve(args: receive::Args, now: &Zoned) -> Result<Self, Failure> {
        let listen = args.listen.unwrap_or_else(|| SocketAddr::from(LISTEN));
        let tls = match (&args.cert, &args.key) {
            (Some(cert), Some(key)) => {
                let (cert, key) = (text(cert)?, text(key)?);
                Some(ServerTls::from_pem(cert.as_bytes(), key.as_bytes()).map_err(Failure::usage)?)
            }
            _ if args.tls => {
                let name = args.advertise.as_ref().map_or_else(|| listen.ip().to_string(), Advertised::name);
                Some(ServerTls::self_made(&[name]).map_err(Failure::usage)?)
            }
            _ => None,
        };
        let usual = Deadlines::default();
        let redelivery = args.redelivery_deadline.unwrap_or(usual.redelivery);
        if redelivery.is_zero() {
            return Err(Failure::usage("the redelivery deadline has to be longer than nothing"));
        }
        Ok(Self {
            command: command(&args),
            listen,
            advertise: args.advertise,
            tls,
            plan: args.plan.as_deref().map_or_else(|| Ok(Vec::new()), plan)?,
            sync: !args.no_sync,
            deadlines: Deadlines { redelivery, ..usual },
            strict: args.strict,
            known: known(args.known.as_deref(), now)?,
            record: args.record,
            report_dir: args.report_dir,
        })
    }
}

/// The plan that stands in a file.
fn plan(path: &Path) -> Result<Vec<Entry>, Failure> {
    let (file, text) = (path.display().to_string(), text(path)?);
    let wrong = |errors: Vec<_>| Failure::usage(scenario::render(&text, &errors, output::styled()).trim_end());
    let entries = scenario::read_plan(&file, &text).map_err(wrong)?;
    let entry = |entry: &PlanEntry| {
        let location = entry.location.as_ref().map(|location| location.resolve(&|_| None));
        let location = location.transpose().map_err(|error| Failure::usage(format!("{file}: location: {error}")))?;
        Ok(Entry::from_syntax(entry, location))
    };
    entries.iter().map(entry).collect()
}

/// The command that receives the same way again.
fn command(args: &receive::Args) -> String {
    let mut command = "bridgeproof receive".to_owned();
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let valued = [
        ("--listen", args.listen.map(|listen| listen.to_string())),
        ("--advertise", args.advertise.as_ref().map(Advertised::to_string)),
        ("--cert", shown(&args.cert)),
        ("--key", shown(&args.key)),
        ("--ca-out", shown(&args.ca_out)),
        ("--plan", shown(&args.plan)),
        ("--record", shown(&args.record)),
        ("--redelivery-deadline", args.redelivery_deadline.map(super::length)),
        ("--known", shown(&args.known)),
    ];
    for (name, value) in valued {
        command.extend(value.map(|value| format!(" {name} {}", quoted(&value))));
    }
    command.extend(
        [("--tls", args.tls), ("--no-sync", args.no_sync), ("--strict", args.strict)]
            .iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| format!(" {name}")),
    );
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_as_in_scenarios_and_a_slip_is_shown_with_its_line() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("plan.yaml");
        let resolved = |text: &str| {
            std::fs::write(&file, text).unwrap();
            let args = receive::Args { plan: Some(file.clone()), ..receive::Args::default() };
            ReceiveConfig::resolve(args, &Zoned::default()).map(|config| config.plan)
        };
        let plan = resolved("- {sets: 2-3, answer: 503}\n- {every: 10, fail: lose-answer}\n").unwrap();
        assert_eq!((plan.len(), plan[1].which.every), (2, Some(10)));
        let error = resolved("- {sets: 2-3, anser: 503}\n").unwrap_err();
        assert!(error.message.contains("plan.yaml:1") && error.message.contains("anser"), "{error}");
    }

    #[test]
    fn the_command_repeats_what_was_typed() {
        let args = receive::Args {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            advertise: Some("lab.example.org:9000".parse().unwrap()),
            tls: true,
            ca_out: Some("ca.pem".into()),
            record: Some("my records.jsonl".into()),
            no_sync: true,
            ..receive::Args::default()
        };
        let config = ReceiveConfig::resolve(args, &Zoned::default()).unwrap();
        assert_eq!(
            config.command,
            "bridgeproof receive --listen 127.0.0.1:0 --advertise lab.example.org:9000 \
             --ca-out ca.pem --record 'my records.jsonl' --tls --no-sync"
        );
        assert!(config.tls.is_some() && !config.sync);
        let plain = ReceiveConfig::resolve(receive::Args::default(), &Zoned::default()).unwrap();
        assert_eq!((plain.listen.to_string().as_str(), plain.tls.is_none()), ("127.0.0.1:8444", true));
    }
}
