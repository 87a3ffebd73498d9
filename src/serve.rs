//! A standalone emulator: served until the user ends it; what connects can be judged.
//!
//! Judged are events clients and CDR receivers: the emulator observes from the server's side, and the rules for them see
//! the same observations as they would in a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cli::output::note;
use crate::config::{EmulateConfig, EmulateTls};
use crate::emulator::{MeetingServer, Settings, mutants};
use crate::exit::{ExitCode, Failure};
use crate::net::clock::Clock;
use crate::net::emulator_shell::{ShellError, ShellOptions, start};
use crate::net::interrupt;
use crate::net::tls::ServerTls;
use crate::report::assemble::{RunFacts, ScenarioRun, assemble};
use crate::report::model::{Report, Run, Target, TargetKind};
use crate::rules::{Context, Deadlines, Judge, R};
use crate::spec::{Subject, Version};
use crate::time::Instant;
use crate::trace::{Chronicle, Event, Observation, Side, Sink};

/// Told what a user has to know while the emulator is up.
pub struct Serving<'a> {
    /// Where it is.
    pub url: &'a str,
    /// The certificate to trust, in PEM, if it made one.
    pub ca_pem: Option<&'a str>,
}

/// Serves until the user wants an end. Returns the report of what connected, if that was judged.
///
/// # Errors
/// If a setting is wrong or the address cannot be had.
pub fn serve(
    config: EmulateConfig,
    ready: impl FnOnce(Serving<'_>) -> Result<(), Failure>,
) -> Result<Option<Report>, Failure> {
    let mut settings = crate::run::settings(&config.dialect)?;
    if config.judge {
        // Of a receiver that is given up before its answer is due nothing could be said.
        settings.cdr_answer_timeout = settings.cdr_answer_timeout.max(Deadlines::default().reaction * 2);
    }
    crate::run::check_mutants(&config.mutants)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { code: ExitCode::Bug, message: format!("failed to start: {error}") })?;
    runtime.block_on(serving(config, settings, ready))
}

async fn serving(
    config: EmulateConfig,
    settings: Settings,
    ready: impl FnOnce(Serving<'_>) -> Result<(), Failure>,
) -> Result<Option<Report>, Failure> {
    let clock = Clock::start();
    let mut stop = interrupt::watch();
    let tls = match &config.tls {
        None => None,
        Some(EmulateTls::SelfMade(_)) => {
            Some(ServerTls::self_made(&[config.listen.ip().to_string()]).map_err(Failure::usage)?)
        }
        Some(EmulateTls::Pem(chain, key)) => Some(ServerTls::from_pem(chain, key).map_err(Failure::usage)?),
    };
    let ca_pem = tls.as_ref().and_then(|tls| tls.ca_pem.clone());
    let watched = config.judge.then(Watched::new);
    let faults = config.mutants.iter().filter_map(|name| mutants::make(name)).collect();
    let mut server = MeetingServer::new(settings, faults, config.seed);
    server.set_wall_clock(clock.now(), clock.unix_ms());
    let options = ShellOptions {
        listen: config.listen,
        tls,
        accounts: config.accounts.clone(),
        observer: watched.clone().map(|watched| Box::new(watched) as Box<dyn Sink + Send>),
        tell: Some(Box::new(note)),
    };
    let unusable = |error: ShellError| Failure { code: ExitCode::Unreachable, message: error.to_string() };
    let shell = start(server, options, clock).await.map_err(unusable)?;
    let url = shell.url();
    ready(Serving { url: &url, ca_pem: ca_pem.as_deref() })?;
    // Without anybody who could interrupt, it is served for ever.
    if stop.wait_for(|wanted| *wanted).await.is_err() {
        std::future::pending::<()>().await;
    }
    shell.stop().await;
    Ok(watched.map(|watched| watched.report(&config, &url, clock)))
}

/// A judge and a chronicle that both the shell and the one who reports can reach.
#[derive(Clone)]
struct Watched(Arc<Mutex<Option<Watching>>>);

struct Watching {
    judge: Judge,
    chronicle: Chronicle,
    /// Whether an events client has connected.
    clients: bool,
    /// Whether a CDR receiver was connected to.
    receivers: bool,
}

impl Watched {
    fn new() -> Self {
        let context = Context {
            judged: Side::Client,
            observer: Side::Server,
            version: Version::LATEST,
            clustered: Some(false),
            deadlines: Deadlines::default(),
        };
        let (judge, chronicle) = (Judge::new(context), Chronicle::new());
        Self(Arc::new(Mutex::new(Some(Watching { judge, chronicle, clients: false, receivers: false }))))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Watching>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self, config: &EmulateConfig, url: &str, clock: Clock) -> Report {
        let mut scenario = ScenarioRun {
            id: "clients".to_owned(),
            title: "Whatever connected to the emulator.".to_owned(),
            duration: clock.now().since(Instant::ZERO),
            ..ScenarioRun::default()
        };
        if let Some(Watching { judge, chronicle, clients, receivers }) = self.lock().take() {
            // Where nobody came, events clients were expected.
            let wanted = |subject| match subject {
                Subject::Client => clients || !receivers,
                Subject::Receiver => receivers,
                _ => false,
            };
            let all = R::ALL.iter().map(|rule| rule.id());
            scenario.exercises = all.filter(|id| wanted(id.get().subject)).collect();
            scenario.judgement = judge.finish();
            let cited: BTreeSet<_> =
                scenario.judgement.findings.iter().flat_map(|finding| finding.evidence.clone()).collect();
            scenario.evidence = cited.into_iter().filter_map(|seq| Some((seq, chronicle.line(seq)?))).collect();
            scenario.connections =
                chronicle.clients().map(|(id, name)| (id, name.to_owned())).collect::<BTreeMap<_, _>>();
            scenario.observations = chronicle.count();
        }
        let facts = RunFacts {
            run: Run {
                id: "emulate".to_owned(),
                seed: config.seed,
                started_at: clock.started_at().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                duration_ms: clock.now().as_millis(),
                command: config.command.clone(),
                files: BTreeMap::new(),
                options: String::new(),
                interrupted: false,
            },
            target: Target {
                kind: TargetKind::Emulator,
                url: url.to_owned(),
                others: Vec::new(),
                software_version: None,
                dialect: config.dialect.clone(),
                mutants: config.mutants.clone(),
            },
            version: Version::LATEST,
            strict: false,
            known: Vec::new(),
            errors: Vec::new(),
            exit_codes: Vec::new(),
        };
        assemble(facts, &[scenario])
    }
}

impl Sink for Watched {
    fn observe(&mut self, observation: &Observation<'_>) {
        if let Some(Watching { judge, chronicle, clients, receivers }) = self.lock().as_mut() {
            *clients |= matches!(observation.event, Event::Opening { .. });
            *receivers |= matches!(observation.event, Event::LinkOpened { .. });
            judge.observe(observation);
            chronicle.observe(observation);
            chronicle.keep(judge.findings().iter().map(|finding| finding.evidence.as_slice()));
        }
    }
}
