//! The settings of a standalone emulator.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use super::{baseline, password, text};
use crate::cli::{emulate, output};
use crate::exit::Failure;
use crate::load::Earlier;
use crate::net::entropy;
use crate::net::metrics_endpoint::MetricsAddress;
use crate::net::target::{Account, Accounts};
use crate::scenario::syntax::ClientScenario;
use crate::scenario::{self, Overrides};

/// The settings of a standalone emulator.
#[derive(Debug)]
pub struct EmulateConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// How to serve TLS; plain HTTP where absent.
    pub tls: Option<EmulateTls>,
    /// Its accounts.
    pub accounts: Accounts,
    /// The generated password, to be shown once.
    pub shown_password: Option<String>,
    /// Freedoms.
    pub dialect: Vec<String>,
    /// Faults on purpose.
    pub mutants: Vec<String>,
    /// What decides every choice.
    pub seed: u64,
    /// Whether to judge what connects.
    pub judge: bool,
    /// The load on what connects.
    pub load: Option<LoadConfig>,
    /// The URIs of CDR receivers that are configured from the beginning.
    pub receivers: Vec<String>,
    /// Where the report goes.
    pub report_dir: Option<PathBuf>,
    /// The command that serves the same again; it holds no secrets.
    pub command: String,
}

/// A load on what connects.
#[derive(Debug)]
pub struct LoadConfig {
    /// Its id in reports.
    pub id: String,
    /// What happens, and what is asked.
    pub given: ClientScenario,
    /// What it is compared with.
    pub baseline: Option<Arc<Earlier>>,
    /// Where what was measured so far is served.
    pub metrics: Option<MetricsAddress>,
}

/// Where an emulator's certificate comes from.
#[derive(Debug)]
pub enum EmulateTls {
    /// Made for this run, and written to the file if there is one.
    SelfMade(Option<PathBuf>),
    /// Read: chain and key in PEM.
    Pem(Vec<u8>, Vec<u8>),
}

impl EmulateConfig {
    /// Resolves what was typed.
    ///
    /// # Errors
    /// If a file cannot be read, or a password is missing.
    pub fn resolve(args: emulate::Args) -> Result<Self, Failure> {
        if args.report_dir.is_some() && !args.judge && args.load.is_none() {
            return Err(Failure::usage("--report-dir needs something to report: --judge, --load or both"));
        }
        let load = args.load.as_deref().map(|word| load(word, &args)).transpose()?;
        let listen = args.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)));
        let seed = args.seed.unwrap_or_else(entropy::seed);
        let command = command(&args, listen, seed);
        let tls = match (&args.cert, &args.key) {
            (Some(cert), Some(key)) => Some(EmulateTls::Pem(text(cert)?.into_bytes(), text(key)?.into_bytes())),
            _ if args.tls => Some(EmulateTls::SelfMade(args.ca_out)),
            _ => None,
        };
        let (secret, shown_password) = match &args.password_env {
            Some(name) => (password(Some(name), None, "password")?, None),
            None => {
                let made = entropy::password();
                (made.clone(), Some(made))
            }
        };
        let privileged = match args.user {
            Some(name) => Account::new(name, secret),
            None => Account::new(Accounts::generated().privileged.name, secret),
        };
        let unprivileged = match args.unprivileged_user {
            Some(name) => Some(Account::new(
                name,
                password(args.unprivileged_password_env.as_deref(), None, "unprivileged-password")?,
            )),
            None => None,
        };
        if unprivileged.as_ref().is_some_and(|second| second.name == privileged.name) {
            return Err(Failure::usage(format!("both accounts are called `{}`", privileged.name)));
        }
        let accounts = Accounts { privileged, unprivileged };
        Ok(Self {
            listen,
            tls,
            accounts,
            shown_password,
            dialect: args.dialect,
            mutants: args.mutant,
            seed,
            judge: args.judge,
            load,
            receivers: args.receiver,
            report_dir: args.report_dir,
            command,
        })
    }
}

/// The load of a file, or the shipped one of that id.
fn load(word: &str, args: &emulate::Args) -> Result<LoadConfig, Failure> {
    let source = scenario::library::client_load(word).map_err(Failure::usage)?;
    let wrong = |errors: Vec<_>| Failure::usage(scenario::render(&source.text, &errors, output::styled()).trim_end());
    let mut given = scenario::read_client_load(&source.file, &source.text).map_err(wrong)?;
    let overrides = Overrides { duration: args.duration, rate: args.rate };
    let told = overrides.apply_to_clients(&mut given.load.value);
    told.map_err(|error| Failure::usage(format!("--duration and --rate: {}: {error}", source.id)))?;
    let baseline = args.baseline.as_deref().map(baseline).transpose()?;
    Ok(LoadConfig { id: source.id.clone(), given, baseline, metrics: args.metrics })
}

/// The command that emulates the same again.
fn command(args: &emulate::Args, listen: SocketAddr, seed: u64) -> String {
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let valued = [
        ("--listen", Some(listen.to_string())),
        ("--seed", Some(seed.to_string())),
        ("--load", args.load.clone()),
        ("--duration", args.duration.map(|time| format!("{}ms", time.as_millis()))),
        ("--rate", args.rate.map(|rate| rate.to_string())),
        ("--baseline", shown(&args.baseline)),
        ("--metrics", args.metrics.map(|address| address.to_string())),
        ("--cert", shown(&args.cert)),
        ("--key", shown(&args.key)),
        ("--ca-out", shown(&args.ca_out)),
        ("--user", args.user.clone()),
        ("--password-env", args.password_env.clone()),
        ("--unprivileged-user", args.unprivileged_user.clone()),
        ("--unprivileged-password-env", args.unprivileged_password_env.clone()),
    ];
    let valued = valued.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let mutants = args.mutant.iter().map(|name| ("--mutant", name.clone()));
    let dialects = args.dialect.iter().map(|item| ("--dialect", item.clone()));
    let receivers = args.receiver.iter().map(|uri| ("--receiver", uri.clone()));
    let mut command = "bridgeproof emulate".to_owned();
    for (given, word) in [(args.judge, " --judge"), (args.tls, " --tls")] {
        command.push_str(if given { word } else { "" });
    }
    for (name, value) in valued.chain(receivers).chain(mutants).chain(dialects) {
        command.push_str(&format!(" {name} {}", crate::report::model::quoted(&value)));
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_of_an_emulator_repeats_what_was_typed_and_what_was_drawn() {
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: emulate::Args,
        }
        let words = "emulate --judge --user bob --tls --cert-out ca.pem --seed 7 --dialect late,window=8 --mutant m";
        let line = <Line as clap::Parser>::try_parse_from(words.split(' ')).unwrap();
        assert_eq!(
            EmulateConfig::resolve(line.args).unwrap().command,
            "bridgeproof emulate --judge --tls --listen 127.0.0.1:8443 --seed 7 --ca-out ca.pem --user bob \
             --mutant m --dialect late --dialect window=8"
        );
    }
}
