//! A standalone emulator: served until the user ends it, or until the load on what connects is over; that can be judged.
//!
//! Judged are events clients and CDR receivers: the emulator observes from the server's side, and the rules for them see
//! the same observations as they would in a run. A load turns the emulator into the one who drives ([`crate::client_load`]).

mod driven;
mod watched;

use std::collections::BTreeMap;

use crate::cli::output::note;
use crate::client_load::{Ending, LoadedServer};
use crate::config::{EmulateConfig, EmulateTls, LoadConfig};
use crate::emulator::{ExchangeKey, MeetingServer, Output, Settings, mutants};
use crate::exit::{ExitCode, Failure};
use crate::load::{LatencyRecorder, Loaded};
use crate::net::clock::Clock;
use crate::net::emulator_shell::{ShellError, ShellOptions, start};
use crate::net::interrupt;
use crate::net::metrics_endpoint::MetricsEndpoint;
use crate::net::tls::ServerTls;
use crate::protocol::http::{Credentials, Method, Request};
use crate::report::assemble::{RunFacts, ScenarioRun, assemble};
use crate::report::loads;
use crate::report::model::{Report, Run, Target, TargetKind};
use crate::rules::Deadlines;
use crate::run::histograms;
use crate::run::watching::Station;
use crate::spec::{RequirementId, Version};
use crate::time::Instant;
use crate::trace::Sink;
use driven::Driven;
use watched::Watched;

/// Where CDR receivers are configured.
const RECEIVERS: &str = "/api/v1/system/cdrReceivers";

/// What a load cannot put to the test, and the freedom of the emulator with which it does.
const BEYOND: [(&str, &str); 2] = [("MSG-13", "extra-fields=true"), ("CDR-21", "cdr-extra-fields=true")];

/// Told what a user has to know while the emulator is up.
pub struct Serving<'a> {
    /// Where it is.
    pub url: &'a str,
    /// The certificate to trust, in PEM, if it made one.
    pub ca_pem: Option<&'a str>,
}

/// Serves until the user wants an end, or until a load is over. Returns the report of what connected, if that was judged or
/// under load.
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
    if let Some(load) = &config.load {
        // Whom the load waits for has to find a place.
        settings.connection_limit = settings.connection_limit.max(u64::from(load.given.load.value.connections()));
    }
    crate::run::check_server_mutants(&config.mutants)?;
    if let Some(folder) = &config.report_dir {
        histograms::forget(folder)?;
    }
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
    config.receivers.iter().try_for_each(|uri| configure(&mut server, clock.now(), uri))?;
    let options = ShellOptions {
        listen: config.listen,
        tls,
        accounts: config.accounts.clone(),
        observer: watched.clone().map(|watched| Box::new(watched) as Box<dyn Sink + Send>),
        tell: Some(Box::new(note)),
    };
    let unusable = |error: ShellError| Failure { code: ExitCode::Unreachable, message: error.to_string() };
    // Nobody takes the lines of the seconds: the load tells itself how it goes.
    let (station, _) = Station::new();
    let (shell, driven) = match &config.load {
        None => (start(server, options, clock).await.map_err(unusable)?, None),
        Some(load) => {
            let server = LoadedServer::new(server, load.given.load.value.clone(), config.seed, clock.now());
            let watch = station.watch(&load.id, 1).part().0;
            let watch = match &watched {
                Some(watched) => watched.counting(watch),
                None => watch,
            };
            let server = server.with_watch(watch);
            let driven = Driven::new(server);
            (start(driven.clone(), options, clock).await.map_err(unusable)?, Some(driven))
        }
    };
    let url = shell.url();
    let _endpoint = endpoint(&config, &station).await?;
    ready(Serving { url: &url, ca_pem: ca_pem.as_deref() })?;
    if let Some(driven) = &driven {
        note(&format!("the load waits for {}", driven.waits_for()));
    }
    let over = async {
        match &driven {
            // An error would mean that nobody can say it any more.
            Some(driven) if driven.over().wait_for(|over| *over).await.is_ok() => {}
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        // Without anybody who could interrupt, it is served on.
        wanted = stop.wait_for(|wanted| *wanted) => if wanted.is_err() { std::future::pending::<()>().await },
        () = over => {}
    }
    let loaded = driven.map(|driven| driven.end(clock.now()));
    shell.stop().await;
    if watched.is_none() && loaded.is_none() {
        return Ok(None);
    }
    Ok(Some(report(&config, watched.as_ref(), loaded, &url, clock)))
}

/// Serves what a load has measured so far, where that is wanted, until what is returned is dropped.
async fn endpoint(config: &EmulateConfig, station: &Station) -> Result<Option<MetricsEndpoint>, Failure> {
    let Some(address) = config.load.as_ref().and_then(|load| load.metrics) else { return Ok(None) };
    let endpoint = station.serve(address).await?;
    note(&format!("metrics are at {} while the emulator is up", endpoint.url()));
    Ok(Some(endpoint))
}

/// Configures a CDR receiver, as a user of the API would.
fn configure(server: &mut MeetingServer, now: Instant, uri: &str) -> Result<(), Failure> {
    let mut request = Request::new(Method::Post, RECEIVERS);
    request.credentials = Credentials::Privileged;
    request.body = form_urlencoded::Serializer::new(String::new()).append_pair("uri", uri).finish().into_bytes();
    server.handle_request(now, ExchangeKey(0), &request);
    let answers = std::iter::from_fn(|| server.poll_output()).find_map(|output| match output {
        Output::Respond { response, .. } => Some(response),
        _ => None,
    });
    match answers {
        Some(response) if response.status == 200 => Ok(()),
        Some(response) => Err(Failure::usage(format!("--receiver {uri}: refused with {}", response.text().trim()))),
        None => Err(Failure::usage(format!("--receiver {uri}: there was no answer"))),
    }
}

fn report(
    config: &EmulateConfig,
    watched: Option<&Watched>,
    loaded: Option<(Ending, Option<Loaded>)>,
    url: &str,
    clock: Clock,
) -> Report {
    let mut scenario = ScenarioRun {
        id: "clients".to_owned(),
        title: "Whatever connected to the emulator.".to_owned(),
        duration: clock.now().since(Instant::ZERO),
        unjudged: watched.is_none(),
        ..ScenarioRun::default()
    };
    if let Some(watched) = watched {
        watched.judge(&mut scenario);
    }
    let (mut errors, mut exit_codes, mut interrupted) = (Vec::new(), Vec::new(), false);
    if let (Some(load), Some((ending, loaded))) = (&config.load, loaded) {
        interrupted = ending == Ending::Interrupted;
        add_load(&mut scenario, load, &ending, loaded);
        if let Ending::NobodyCame(why) = ending {
            errors.push(why);
            exit_codes.push(ExitCode::Unreachable);
        }
    }
    let scenarios = [scenario];
    if let Some(folder) = &config.report_dir {
        errors.extend(histograms::write(folder, &scenarios, clock));
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
            interrupted,
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
        errors,
        exit_codes,
    };
    assemble(facts, &scenarios)
}

/// Puts what a load measured into the run.
fn add_load(scenario: &mut ScenarioRun, load: &LoadConfig, ending: &Ending, mut loaded: Option<Loaded>) {
    scenario.beyond = BEYOND.iter().map(|(id, how)| (RequirementId::known(id), unless(how))).collect();
    scenario.id.clone_from(&load.id);
    scenario.title.clone_from(&load.given.title);
    if let Some(Loaded::Once(phase)) = &mut loaded {
        let asked = load.given.load.value.thresholds();
        phase.complete(&LatencyRecorder::new(), &asked, load.baseline.as_ref().map(|earlier| earlier.of(&load.id)));
    }
    scenario.unfinished = match ending {
        Ending::Done => loaded.as_ref().and_then(loads::doubt_on_clients),
        Ending::Interrupted => Some("interrupted".to_owned()),
        Ending::NobodyCame(why) => Some(why.clone()),
    };
    (scenario.loaded, scenario.on_clients) = (loaded, true);
}

fn unless(how: &str) -> String {
    format!("a load sends nothing that the guides do not know, unless with --dialect {how}")
}
