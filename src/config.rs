//! Resolved settings: what was typed and the target profile made one, with the defaults filled in.
//!
//! The only place where defaults live. Passwords come from the environment, a file or a prompt, and show nowhere.

mod receive;
mod targets;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Zoned;
use serde::Deserialize;

use crate::cli::{emulate, prompt, run};
use crate::engine::Addresses;
use crate::exit::Failure;
use crate::load::Baseline;
use crate::net::entropy;
use crate::net::event_loop::Waiting;
use crate::net::listeners::{Advertised, ListenAddress};
use crate::net::target::{Account, Accounts, Target};
use crate::report::known::{self, Known};
use crate::report::model::Report;
use crate::report::thresholds;
use crate::rules::Deadlines;
use crate::scenario::syntax::Time;
use crate::scenario::{self, Overrides, Source};

pub use receive::ReceiveConfig;

/// How long the command that restarts a target may take: a Meeting Server takes minutes.
const RESTART_DEADLINE: Duration = Duration::from_secs(300);

/// How long the embedded emulator may take to send records again: its longest wait, with a margin.
const EMULATOR_REDELIVERY: Duration = Duration::from_secs(10);

/// What a run may do to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Allow {
    /// Send malformed frames, messages and upgrades; a fragile server may suffer.
    Probing,
    /// Use up the server's limits: all event connections, hundreds of subscriptions. Others are locked out meanwhile.
    Limits,
    /// Have the server restarted.
    Restart,
}

/// The settings of one run.
#[derive(Debug)]
pub struct RunConfig {
    /// The run's id.
    pub id: String,
    /// The scenarios.
    pub scenarios: Vec<Source>,
    /// The server; several for loads that are spread over them; the embedded emulator where there is none.
    pub targets: Vec<Target>,
    /// How many embedded emulators a load is spread over, where that is not left to its connections.
    pub servers: Option<u32>,
    /// What decides every choice.
    pub seed: u64,
    /// Whether a missed should fails.
    pub strict: bool,
    /// What the run may do to a server.
    pub allow: Vec<Allow>,
    /// Known deviations.
    pub known: Vec<Known>,
    /// What loads are compared with.
    pub baseline: Option<Arc<Baseline>>,
    /// How loads wait for what happens.
    pub waiting: Waiting,
    /// Where the report goes.
    pub report_dir: PathBuf,
    /// Faults of the embedded emulator.
    pub mutants: Vec<String>,
    /// Freedoms of the embedded emulator.
    pub dialect: Vec<String>,
    /// How many scenarios run at once; 1 against a server.
    pub jobs: usize,
    /// How long reactions may take.
    pub deadlines: Deadlines,
    /// Where CDR receivers listen; on free ports of the loopback interface where nothing is said.
    pub cdr_listen: Option<ListenAddress>,
    /// What the target is told of it, where that differs.
    pub cdr_advertise: Option<Advertised>,
    /// How the target's Call Bridge is restarted, if it can be.
    pub restart: Option<RestartCommand>,
    /// How long nothing may have arrived until the target counts as being at rest, where that is not left to the run.
    pub quiet: Option<Duration>,
    /// What to dial for a party that answers, is busy, and so on.
    pub addresses: Addresses,
    /// The command that was typed, without secrets.
    pub command: String,
    /// The options that repeat the run, without scenarios, seed and secrets.
    pub options: String,
    /// Whether the trace is recorded.
    pub record: bool,
    /// What outweighs what loads say.
    pub overrides: Overrides,
}

/// A command of the user's that restarts the Call Bridge of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartCommand {
    /// What `sh` is given.
    pub command: String,
    /// How long it may take.
    pub deadline: Duration,
}

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
    /// Where the report goes.
    pub report_dir: Option<PathBuf>,
    /// The command that serves the same again; it holds no secrets.
    pub command: String,
}

/// Where an emulator's certificate comes from.
#[derive(Debug)]
pub enum EmulateTls {
    /// Made for this run, and written to the file if there is one.
    SelfMade(Option<PathBuf>),
    /// Read: chain and key in PEM.
    Pem(Vec<u8>, Vec<u8>),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Profile {
    #[serde(default)]
    url: targets::Urls,
    user: Option<String>,
    password_env: Option<String>,
    password_file: Option<PathBuf>,
    unprivileged_user: Option<String>,
    unprivileged_password_env: Option<String>,
    unprivileged_password_file: Option<PathBuf>,
    ca: Option<PathBuf>,
    #[serde(default)]
    insecure: bool,
    deadline: Option<Time>,
    redelivery_deadline: Option<Time>,
    cdr_listen: Option<String>,
    cdr_advertise: Option<String>,
    restart_command: Option<String>,
    restart_deadline: Option<Time>,
    quiet: Option<Time>,
    #[serde(default)]
    addresses: ProfileAddresses,
}

/// What to dial on the target; without, as on the emulator.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct ProfileAddresses {
    answers: Option<String>,
    busy: Option<String>,
    rejects: Option<String>,
    no_answer: Option<String>,
    unknown: Option<String>,
}

impl ProfileAddresses {
    fn resolve(self) -> Addresses {
        let own = Addresses::default();
        Addresses {
            answers: self.answers.unwrap_or(own.answers),
            busy: self.busy.unwrap_or(own.busy),
            rejects: self.rejects.unwrap_or(own.rejects),
            no_answer: self.no_answer.unwrap_or(own.no_answer),
            unknown: self.unknown.unwrap_or(own.unknown),
        }
    }
}

impl RunConfig {
    /// Resolves what was typed; `now` names the run and decides which known deviations have expired.
    ///
    /// # Errors
    /// If a file cannot be read, or something is missing or wrong.
    pub fn resolve(args: run::Args, now: &Zoned) -> Result<Self, Failure> {
        let mut profile = match &args.profile {
            Some(path) => profile(path)?,
            None => Profile::default(),
        };
        let seed = args.seed.unwrap_or_else(entropy::seed);
        let id = format!("{}-{:08x}", now.strftime("%Y%m%d-%H%M%S"), entropy::seed() as u32);
        let known = known(args.known.as_deref(), now)?;
        let deadlines = deadlines(&args, &profile)?;
        let (cdr_listen, cdr_advertise) = reception(&args, &profile)?;
        let restart = restart(&args, &profile)?;
        let (quiet, addresses) = (profile.quiet.map(|time| time.0), std::mem::take(&mut profile.addresses).resolve());
        let options = options(&args);
        let words: String =
            args.scenarios.iter().map(|word| format!(" {}", crate::report::model::quoted(word))).collect();
        let command = format!("bridgeproof run{words} --seed {seed} {options}").trim_end().to_owned();
        let limited = args.deadline.is_some() || profile.deadline.is_some();
        let mut targets = targets::resolve(&args, profile)?;
        for target in targets.iter_mut().filter(|_| limited) {
            // As long as a scenario waits for an answer.
            target.timeouts.answer = deadlines.reaction + Duration::from_secs(1);
        }
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        // Scenarios wait most of the time.
        let jobs = if !targets.is_empty() { 1 } else { args.jobs.map_or(cores * 8, NonZeroUsize::get) };
        Ok(Self {
            scenarios: match args.scenarios.as_slice() {
                [] => scenario::library::conformance(),
                words => scenario::library::select(words).map_err(Failure::usage)?,
            },
            targets,
            servers: args.servers,
            seed,
            strict: args.strict,
            allow: args.allow,
            known,
            baseline: args.baseline.as_deref().map(baseline).transpose()?,
            waiting: if args.spin { Waiting::Spin } else { Waiting::Sleep },
            report_dir: args.report_dir.unwrap_or_else(|| Path::new("reports").join(&id)),
            id,
            mutants: args.mutant,
            dialect: args.dialect,
            jobs,
            deadlines,
            cdr_listen,
            cdr_advertise,
            restart,
            quiet,
            addresses,
            command,
            options,
            record: args.record,
            overrides: Overrides { duration: args.duration, rate: args.rate },
        })
    }
}

fn profile(path: &Path) -> Result<Profile, Failure> {
    // The error names line and column, and shows the line.
    toml::from_str(&text(path)?)
        .map_err(|error| Failure::usage(format!("profile `{}`: {}", path.display(), error.to_string().trim_end())))
}

/// How long the target may take.
fn deadlines(args: &run::Args, profile: &Profile) -> Result<Deadlines, Failure> {
    let of_emulator = !targets::are_named(args, profile);
    let usual = Deadlines::default();
    let usual = if of_emulator { Deadlines { redelivery: EMULATOR_REDELIVERY, ..usual } } else { usual };
    let longer = |typed: Option<Duration>, in_profile: Option<Time>, usual, what: &str| {
        let chosen = typed.or_else(|| in_profile.map(|time| time.0)).unwrap_or(usual);
        let nothing = || Failure::usage(format!("the {what} has to be longer than nothing"));
        if chosen.is_zero() { Err(nothing()) } else { Ok(chosen) }
    };
    Ok(Deadlines {
        reaction: longer(args.deadline, profile.deadline, usual.reaction, "deadline")?,
        redelivery: longer(
            args.redelivery_deadline,
            profile.redelivery_deadline,
            usual.redelivery,
            "redelivery deadline",
        )?,
    })
}

/// Where CDR receivers listen, and what the target is told of it.
fn reception(args: &run::Args, profile: &Profile) -> Result<(Option<ListenAddress>, Option<Advertised>), Failure> {
    let listen =
        args.cdr_listen.map_or_else(|| in_profile(&profile.cdr_listen, "cdr-listen"), |typed| Ok(Some(typed)))?;
    let typed = args.cdr_advertise.clone();
    let advertise: Option<Advertised> =
        typed.map_or_else(|| in_profile(&profile.cdr_advertise, "cdr-advertise"), |typed| Ok(Some(typed)))?;
    let given = listen.is_some() || advertise.is_some();
    if given && !targets::are_named(args, profile) {
        let message = "--cdr-listen and --cdr-advertise are for a target; the embedded emulator is on this machine";
        return Err(Failure::usage(message));
    }
    if listen.is_some_and(|listen: ListenAddress| listen.ip.is_unspecified()) && advertise.is_none() {
        let message = "--cdr-listen names no address that the target could send to: add --cdr-advertise HOST";
        return Err(Failure::usage(message));
    }
    Ok((listen, advertise))
}

/// A value of the profile that has a syntax of its own.
fn in_profile<T: FromStr<Err = String>>(text: &Option<String>, key: &str) -> Result<Option<T>, Failure> {
    let wrong = |error| Failure::usage(format!("`{key}` of the profile: {error}"));
    text.as_ref().map(|text| text.parse().map_err(wrong)).transpose()
}

/// How the target's Call Bridge is restarted.
fn restart(args: &run::Args, profile: &Profile) -> Result<Option<RestartCommand>, Failure> {
    let deadline =
        args.restart_deadline.or_else(|| profile.restart_deadline.map(|time| time.0)).unwrap_or(RESTART_DEADLINE);
    let command = args.restart_command.clone().or_else(|| profile.restart_command.clone());
    if command.is_some() && !targets::are_named(args, profile) {
        return Err(Failure::usage("--restart-command is for a target; the embedded emulator restarts by itself"));
    }
    if deadline.is_zero() {
        return Err(Failure::usage("the restart deadline has to be longer than nothing"));
    }
    Ok(command.map(|command| RestartCommand { command, deadline }))
}

/// The known deviations of a file; `now` decides which have expired.
///
/// # Errors
/// If the file cannot be read, or an entry is wrong or has expired.
pub fn known(path: Option<&Path>, now: &Zoned) -> Result<Vec<Known>, Failure> {
    match path {
        Some(path) => known::read(&path.display().to_string(), &text(path)?, now.date()).map_err(Failure::usage),
        None => Ok(Vec::new()),
    }
}

/// A password from the environment, a file, or whoever sits at the terminal.
fn password_of(user: &str, env: Option<&str>, file: Option<&Path>, option: &str) -> Result<String, Failure> {
    if env.is_none()
        && file.is_none()
        && let Some(typed) = prompt::password(user)
    {
        return typed.map_err(|error| Failure::usage(format!("failed to read the password of `{user}`: {error}")));
    }
    password(env, file, option)
}

/// A password from the environment or a file.
fn password(env: Option<&str>, file: Option<&Path>, option: &str) -> Result<String, Failure> {
    match (env, file) {
        (Some(name), _) => std::env::var(name)
            .map_err(|_| Failure::usage(format!("the environment variable `{name}` holds no password"))),
        (None, Some(path)) => Ok(text(path)?.trim_end_matches(['\r', '\n']).to_owned()),
        (None, None) => Err(Failure::usage(format!("no password: give --{option}-env VAR or --{option}-file FILE"))),
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| Failure::usage(format!("failed to read `{}`: {error}", path.display())))
}

/// A length of time as it is typed.
fn length(time: Duration) -> String {
    match time.subsec_millis() {
        0 => format!("{}s", time.as_secs()),
        _ => format!("{}ms", time.as_millis()),
    }
}

/// The options that repeat a run. Names of variables and files are no secrets.
fn options(args: &run::Args) -> String {
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let valued = [
        ("--profile", shown(&args.profile)),
        ("--user", args.user.clone()),
        ("--password-env", args.password_env.clone()),
        ("--password-file", shown(&args.password_file)),
        ("--unprivileged-user", args.unprivileged_user.clone()),
        ("--unprivileged-password-env", args.unprivileged_password_env.clone()),
        ("--unprivileged-password-file", shown(&args.unprivileged_password_file)),
        ("--ca", shown(&args.ca)),
        ("--known", shown(&args.known)),
        ("--deadline", args.deadline.map(length)),
        ("--redelivery-deadline", args.redelivery_deadline.map(length)),
        ("--cdr-listen", args.cdr_listen.map(|listen| listen.to_string())),
        ("--cdr-advertise", args.cdr_advertise.as_ref().map(ToString::to_string)),
        // Such a command may hold a password.
        ("--restart-command", args.restart_command.as_ref().map(|_| "COMMAND".to_owned())),
        ("--restart-deadline", args.restart_deadline.map(length)),
        ("--servers", args.servers.map(|servers| servers.to_string())),
        ("--duration", args.duration.map(length)),
        ("--rate", args.rate.map(|rate| rate.to_string())),
    ];
    let targets = args.target.iter().map(|url| format!("--target {}", crate::report::model::quoted(url)));
    let mut words: Vec<String> = targets.collect();
    for (name, value) in valued {
        words.extend(value.map(|value| format!("{name} {}", crate::report::model::quoted(&value))));
    }
    let allowed = args.allow.iter().filter_map(clap::ValueEnum::to_possible_value);
    words.extend(allowed.map(|value| format!("--allow {}", value.get_name())));
    words.extend(args.mutant.iter().map(|name| format!("--mutant {}", crate::report::model::quoted(name))));
    words.extend(args.dialect.iter().map(|name| format!("--dialect {}", crate::report::model::quoted(name))));
    words.extend(args.insecure.then(|| "--insecure".to_owned()));
    words.extend(args.strict.then(|| "--strict".to_owned()));
    words.join(" ")
}

impl EmulateConfig {
    /// Resolves what was typed.
    ///
    /// # Errors
    /// If a file cannot be read, or a password is missing.
    pub fn resolve(args: emulate::Args) -> Result<Self, Failure> {
        let listen = args.listen.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 8443)));
        let seed = args.seed.unwrap_or_else(entropy::seed);
        let command = emulate_command(&args, listen, seed);
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
            report_dir: args.report_dir,
            command,
        })
    }
}

/// What an earlier run measured.
fn baseline(path: &Path) -> Result<Arc<Baseline>, Failure> {
    let wrong = |cause: &dyn std::fmt::Display| {
        Failure::usage(format!(
            "failed to read the baseline `{}`: {cause}; it is the report.json of a run",
            path.display()
        ))
    };
    let text = fs::read_to_string(path).map_err(|error| wrong(&error))?;
    let report: Report = serde_json::from_str(&text).map_err(|error| wrong(&error))?;
    Ok(Arc::new(thresholds::baseline(&report)))
}

/// The command that emulates the same again.
fn emulate_command(args: &emulate::Args, listen: SocketAddr, seed: u64) -> String {
    let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
    let valued = [
        ("--listen", Some(listen.to_string())),
        ("--seed", Some(seed.to_string())),
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
    let mut command = "bridgeproof emulate".to_owned();
    for (given, word) in [(args.judge, " --judge"), (args.tls, " --tls")] {
        command.push_str(if given { word } else { "" });
    }
    for (name, value) in valued.chain(mutants).chain(dialects) {
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

    #[test]
    fn a_target_without_account_says_what_to_give() {
        let args = run::Args { target: vec!["https://server".to_owned()], ..run::Args::default() };
        let error = RunConfig::resolve(args, &Zoned::default()).unwrap_err();
        assert!(error.message.contains("--user"), "{error}");
    }

    #[test]
    fn what_is_for_a_target_is_refused_without_one_and_deadlines_differ() {
        let resolved = |args| RunConfig::resolve(args, &Zoned::default());
        let plain = resolved(run::Args::default()).unwrap();
        assert_eq!(plain.deadlines.redelivery, EMULATOR_REDELIVERY);
        let listen = run::Args { cdr_listen: Some(ListenAddress::default()), ..run::Args::default() };
        assert!(resolved(listen).unwrap_err().message.contains("are for a target"));
        let restart = run::Args { restart_command: Some("true".to_owned()), ..run::Args::default() };
        assert!(resolved(restart).unwrap_err().message.contains("is for a target"));
        let nothing = run::Args { redelivery_deadline: Some(Duration::ZERO), ..run::Args::default() };
        assert!(resolved(nothing).unwrap_err().message.contains("redelivery deadline"));
    }

    #[test]
    fn a_profile_says_where_receivers_listen_and_what_restarts_the_target() {
        let root = tempfile::tempdir().unwrap();
        let resolved = |more: &str| {
            let (file, secret) = (root.path().join("lab.toml"), root.path().join("secret"));
            fs::write(&file, format!("url = \"https://lab\"\nuser = \"api\"\n{more}")).unwrap();
            fs::write(&secret, "x").unwrap();
            let args = run::Args { profile: Some(file), password_file: Some(secret), ..run::Args::default() };
            RunConfig::resolve(args, &Zoned::default())
        };
        let config = resolved(
            "cdr-listen = \"0.0.0.0:9000-9003\"\ncdr-advertise = \"harness.lab\"\nrestart-command = \"ssh lab\"\n\
             restart-deadline = \"2m\"\nredelivery-deadline = \"1m\"\n",
        )
        .unwrap();
        assert_eq!(config.cdr_listen.unwrap().to_string(), "0.0.0.0:9000-9003");
        assert_eq!(config.cdr_advertise.unwrap().to_string(), "harness.lab");
        assert_eq!(
            config.restart,
            Some(RestartCommand { command: "ssh lab".to_owned(), deadline: Duration::from_secs(120) })
        );
        assert_eq!(config.deadlines.redelivery, Duration::from_secs(60));
        assert_eq!(resolved("").unwrap().deadlines.redelivery, Duration::from_secs(30));
        let error = resolved("cdr-listen = \"0.0.0.0:9000\"\n").unwrap_err();
        assert!(error.message.contains("--cdr-advertise"), "{error}");
        let error = resolved("cdr-listen = \"lab\"\n").unwrap_err();
        assert!(error.message.contains("`cdr-listen` of the profile: `lab` is no address"), "{error}");
    }

    #[test]
    fn passwords_come_from_files_and_show_nowhere() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("secret");
        fs::write(&file, "hunter2\n").unwrap();
        let args = run::Args {
            target: vec!["https://server".to_owned()],
            user: Some("u".to_owned()),
            password_file: Some(file),
            ..run::Args::default()
        };
        let config = RunConfig::resolve(args, &Zoned::default()).unwrap();
        assert!(!format!("{config:?}").contains("hunter2"));
        assert_eq!(config.jobs, 1);
    }

    #[test]
    fn a_profile_says_what_to_dial_and_a_slip_in_it_is_shown_with_its_place() {
        let root = tempfile::tempdir().unwrap();
        let resolved = |text: &str| {
            let (file, secret) = (root.path().join("lab.toml"), root.path().join("secret"));
            fs::write(&file, text).unwrap();
            fs::write(&secret, "x").unwrap();
            let args = run::Args { profile: Some(file), password_file: Some(secret), ..run::Args::default() };
            RunConfig::resolve(args, &Zoned::default())
        };
        let good = "url = \"https://lab\"\nuser = \"api\"\ndeadline = \"500ms\"\nquiet = \"2s\"\n\
                    [addresses]\nno-answer = \"7001@lab\"\n";
        let config = resolved(good).unwrap();
        assert_eq!(
            (config.deadlines.reaction, config.quiet),
            (Duration::from_millis(500), Some(Duration::from_secs(2)))
        );
        assert_eq!(config.addresses.no_answer, "7001@lab");
        assert_eq!(config.addresses.busy, Addresses::default().busy);
        let error = resolved("url = \"https://lab\"\nusr = \"api\"\n").unwrap_err();
        assert!(error.message.contains("line 2") && error.message.contains("`usr`"), "{error}");
        let error = resolved("deadline = 5\n").unwrap_err();
        assert!(error.message.contains("line 1"), "{error}");
        let error = resolved("deadline = \"5\"\n").unwrap_err();
        assert!(error.message.contains("write 250ms, 5s, 2m or 1h"), "{error}");
    }
}
