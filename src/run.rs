//! One run, top-down: settings, plan, scenarios, judgement, report.
//!
//! Scenarios run at the same time where each has an emulated server of its own; against a real server they run one
//! after the other, since each sees what the others do. Whatever happens, a report comes out of it: of a target that
//! cannot be used it says so, of an interrupted run it holds what was judged until then.

mod dry;
pub(crate) mod histograms;
mod one;
mod parts;
mod plan;
mod recorder;
mod sample;
mod servers;
pub(crate) mod watching;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

use crate::cli::progress::Progress;
use crate::config::RunConfig;
use crate::emulator::Settings;
use crate::exit::{ExitCode, Failure};
use crate::net::clock::Clock;
use crate::net::interrupt;
use crate::net::listeners::Reception;
use crate::net::probe::{Capabilities, ReceiverPlaces, probe};
use crate::net::recording::Recording;
use crate::net::socket_driver::Link;
use crate::report::assemble::{RunFacts, ScenarioRun, assemble};
use crate::report::folder;
use crate::report::live::Beat;
use crate::report::model::{Report, Run, Target, TargetKind};
use crate::scenario::Source;
use crate::scenario::syntax::Scenario;
use crate::spec::Version;
use crate::trace::NetworkError;
use crate::trace::format::{Closed, Header, RunLine, TargetLine, VERSION};
pub use dry::{Prospect, dry_run};
use one::{Reach, play, skip_line};
use plan::check_mutants;
use plan::{Planned, plan};
pub(crate) use plan::{check_server_mutants, settings};
pub use recorder::FILE as TRACE_FILE;
use recorder::record_line;
pub(crate) use sample::failed_over_sockets;
use servers::Site;
use watching::Station;

/// Carries out a run.
///
/// # Errors
/// If a scenario or a setting is wrong, or the report folder cannot be written, before anything has run.
pub fn run(config: RunConfig, progress: &mut dyn Progress) -> Result<Report, Failure> {
    let scenarios = plan::read(&config.scenarios, &config.overrides)?;
    let settings = settings(&config.dialect)?;
    check_mutants(&config.mutants)?;
    servers::check(&scenarios, config.targets.len(), config.servers, &settings)?;
    folder::prepare(&config.report_dir)?;
    folder::forget(&config.report_dir, TRACE_FILE)?;
    histograms::forget(&config.report_dir)?;
    runtime()?.block_on(async {
        let clock = Clock::start();
        let stop = interrupt::watch();
        let recording = config.record.then(|| Recording::create(&config.report_dir, TRACE_FILE)).transpose();
        let recording = recording.map_err(|error| Failure {
            code: ExitCode::Unreachable,
            message: format!("failed to record: {error}"),
        })?;
        let (errors, exit_codes) = (Vec::new(), Vec::new());
        let (station, beats) = Station::new();
        let _endpoint = match config.metrics {
            Some(address) => {
                let endpoint = station.serve(address).await?;
                progress.note(&format!("metrics are at {} while the run lasts", endpoint.url()));
                Some(endpoint)
            }
            None => None,
        };
        for (id, _) in scenarios.iter().filter(|(_, scenario)| compares(scenario) && config.baseline.is_none()) {
            progress.note(&format!(
                "{id} is to be compared with an earlier run, of which nothing is known: --baseline FILE takes its report.json"
            ));
        }
        for note in scenarios.iter().filter_map(|(id, scenario)| servers::fewer(id, scenario, &config)) {
            progress.note(&note);
        }
        let mut run = Running { config, settings, clock, stop, recording, errors, exit_codes, station, beats };
        let site = run.site().await?;
        run.record_header(site.as_ref().map(|(_, capabilities)| capabilities));
        let planned = match &site {
            Some((_, capabilities)) => plan(scenarios, capabilities, &run.config),
            None => plan::all_skipped(scenarios, "the target cannot be used"),
        };
        let results = match site {
            Some((site, capabilities)) => {
                let results = run.carry_out(planned, &site, progress).await;
                return Ok(run.report(&results, Some(&capabilities), progress));
            }
            None => planned.into_iter().map(Planned::skipped).collect::<Vec<_>>(),
        };
        Ok(run.report(&results, None, progress))
    })
}

/// Whether it has a load with a threshold that is relative to an earlier run.
fn compares(scenario: &Scenario) -> bool {
    let asked = scenario.load.iter().flat_map(|load| load.value.thresholds());
    asked.into_iter().any(|threshold| threshold.condition.is_relative())
}

/// The scenario that begins next, if one may begin: a load has the machine for itself.
fn next_of(waiting: &mut VecDeque<Planned>, idle: bool, loading: &mut bool) -> Option<Planned> {
    let is_load = waiting.front()?.scenario.load.is_some();
    if (is_load || *loading) && !idle {
        return None;
    }
    *loading = is_load;
    waiting.pop_front()
}

/// Where a run's tasks live.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure { code: ExitCode::Bug, message: format!("failed to start: {error}") })
}

/// A run that is under way.
struct Running {
    config: RunConfig,
    settings: Settings,
    clock: Clock,
    stop: watch::Receiver<bool>,
    recording: Option<Recording>,
    errors: Vec<String>,
    exit_codes: Vec<ExitCode>,
    station: Station,
    beats: mpsc::Receiver<Beat>,
}

impl Running {
    /// Where scenarios run, and what can be done there; `None` if the target cannot be used.
    async fn site(&mut self) -> Result<Option<(Arc<Site>, Capabilities)>, Failure> {
        if self.config.targets.is_empty() {
            let (settings, mutants) = (Box::new(self.settings.clone()), self.config.mutants.clone());
            let site = Site::Embedded { settings, mutants, servers: self.config.servers };
            return Ok(Some((Arc::new(site), embedded(&self.settings))));
        }
        let reception = Reception::new(self.config.cdr_listen.unwrap_or_default(), self.config.cdr_advertise.clone());
        let restart = self.config.restart.as_ref().map(|restart| restart.command.as_str());
        let unusable = |error: NetworkError| Failure { code: ExitCode::Unreachable, message: error.to_string() };
        reception.check().map_err(unusable)?;
        let reception = Arc::new(reception);
        let mut links = Vec::new();
        for target in &self.config.targets {
            let link = Link::new(target.clone(), self.clock).map_err(Failure::usage)?;
            links.push(link.with_reception(Arc::clone(&reception)).with_restart(restart));
        }
        match servers::probe_all(&links).await {
            Ok(capabilities) => Ok(Some((Arc::new(Site::Servers(links)), capabilities?))),
            Err(error) => {
                self.errors.push(error.to_string());
                self.exit_codes.push(ExitCode::Unreachable);
                Ok(None)
            }
        }
    }

    async fn carry_out(
        &mut self,
        planned: Vec<Planned>,
        site: &Arc<Site>,
        progress: &mut dyn Progress,
    ) -> Vec<ScenarioRun> {
        let mut results = Vec::new();
        let mut waiting = VecDeque::new();
        for scenario in planned {
            match &scenario.skip {
                Some(_) => results.push(scenario.skipped()),
                None => waiting.push_back(scenario),
            }
        }
        progress.planned(waiting.len());
        self.station.exposition.planned(waiting.len());
        let mut under_way: JoinSet<one::Played> = JoinSet::new();
        let mut halted: Option<String> = None;
        let mut loading = false;
        // On an emulator of its own receivers are where the run is.
        let mut reached = self.config.targets.is_empty();
        loop {
            while under_way.len() < self.config.jobs && halted.is_none() && !*self.stop.borrow() {
                let Some(scenario) = next_of(&mut waiting, under_way.is_empty(), &mut loading) else { break };
                progress.started(&scenario.id);
                under_way.spawn(play(scenario, Arc::clone(site), self.terms(), self.stop.clone()));
            }
            let Some(played) = self.next_played(&mut under_way, progress).await else { break };
            let played = match played {
                Ok(played) => played,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => continue,
            };
            let found = played.runs.iter().map(|run| &run.judgement);
            let findings = found.flat_map(|found| found.finding_counts.values().chain(found.warning_counts.values()));
            let findings: u64 = findings.sum();
            progress.finished(&played.id, usize::try_from(findings).unwrap_or(usize::MAX));
            self.station.exposition.finished(&played.id, findings);
            for trouble in played.network_errors.iter().chain(&played.trouble) {
                progress.note(&format!("{}: {trouble}", played.id));
                self.errors.push(format!("{}: {trouble}", played.id));
            }
            if !played.network_errors.is_empty() {
                halted = self.still_there(site).await;
            }
            self.errors.extend(played.left_behind.iter().map(|left| format!("{}: {left}", played.id)));
            reached |= played.reach == Reach::Reached;
            if let (Reach::Nothing(uri), false) = (&played.reach, reached) {
                reached = true;
                let (of_records, others) = waiting.into_iter().partition(Planned::has_receivers);
                waiting = others;
                results.extend(self.out_of_reach(uri, of_records, progress));
            }
            results.extend(played.runs);
        }
        if site.links().iter().any(|link| link.reception().failure().is_some()) {
            // What it was is among the errors of the scenario.
            self.exit_codes.push(ExitCode::Unreachable);
        }
        let why = halted.unwrap_or_else(|| "interrupted".to_owned());
        results.extend(waiting.into_iter().map(|scenario| Planned { skip: Some(why.clone()), ..scenario }.skipped()));
        results
    }

    /// Waits for the next scenario that is over, and shows meanwhile how loads go on.
    async fn next_played(
        &mut self,
        under_way: &mut JoinSet<one::Played>,
        progress: &mut dyn Progress,
    ) -> Option<Result<one::Played, JoinError>> {
        loop {
            tokio::select! {
                // What a load showed last comes before its end.
                biased;
                Some(beat) = self.beats.recv() => progress.beat(&beat),
                notice = notice_of(&mut self.recording) => {
                    progress.note(&format!("{notice}; the run goes on"));
                    self.errors.push(notice);
                }
                played = under_way.join_next() => return played,
            }
        }
    }

    /// No connection comes to CDR receivers: each scenario that has some would wait for records in vain.
    fn out_of_reach(
        &mut self,
        uri: &str,
        scenarios: VecDeque<Planned>,
        progress: &mut dyn Progress,
    ) -> impl Iterator<Item = ScenarioRun> + use<> {
        let error = format!(
            "no connection came to the CDR receiver that the target was told of, {uri}: can the target reach this machine \
             there? --cdr-advertise says what it is told, --cdr-listen where to listen; look for firewalls between them"
        );
        progress.note(&error);
        self.errors.push(error);
        self.exit_codes.push(ExitCode::Unreachable);
        let skip = Some("the target does not reach CDR receivers here".to_owned());
        scenarios.into_iter().map(move |scenario| Planned { skip: skip.clone(), ..scenario }.skipped())
    }

    /// After trouble with the network: says why the run cannot go on, if the target is gone, or one of several.
    async fn still_there(&mut self, site: &Site) -> Option<String> {
        let mut is_gone = false;
        for link in site.links() {
            if let Err(gone) = probe(link).await {
                self.errors.push(gone.to_string());
                is_gone = true;
            }
        }
        if is_gone {
            self.exit_codes.push(ExitCode::Unreachable);
        }
        is_gone.then(|| "the target is gone".to_owned())
    }

    fn terms(&self) -> one::Terms {
        // Names on a server tell whose they are; on an emulator of its own a run repeats them to the letter.
        let run_id = match self.config.targets.as_slice() {
            [] => format!("run-{:016x}", self.config.seed),
            _ => self.config.id.clone(),
        };
        one::Terms {
            seed: self.config.seed,
            run_id,
            deadlines: self.config.deadlines,
            quiet: self.config.quiet,
            addresses: self.config.addresses.clone(),
            clock: self.clock,
            baseline: self.config.baseline.clone(),
            record: self.recording.as_ref().map(|recording| recording.feed().clone()),
            station: Some(self.station.clone()),
            waiting: self.config.waiting,
        }
    }

    fn report(
        mut self,
        results: &[ScenarioRun],
        capabilities: Option<&Capabilities>,
        progress: &mut dyn Progress,
    ) -> Report {
        let software_version = capabilities.and_then(|known| known.software_version.clone());
        let version = software_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(Version::LATEST);
        self.errors.extend(
            capabilities
                .and_then(|known| known.certificate_doubt.clone())
                .map(|doubt| format!("the target's certificate was let pass (--insecure): {doubt}")),
        );
        let target = self.target(software_version);
        let interrupted = *self.stop.borrow();
        self.close_recording(results, interrupted, progress);
        self.errors.extend(histograms::write(&self.config.report_dir, results, self.clock));
        let started_at = self.started_at();
        let run = Run {
            id: self.config.id,
            seed: self.config.seed,
            started_at,
            duration_ms: self.clock.now().as_millis(),
            command: self.config.command,
            options: self.config.options,
            files: own_files(&self.config.scenarios),
            interrupted,
        };
        let facts = RunFacts {
            run,
            target,
            version,
            strict: self.config.strict,
            known: self.config.known,
            errors: self.errors,
            exit_codes: self.exit_codes,
        };
        Report { harness: watching::harness(), ..assemble(facts, results) }
    }
}

/// Waits for what goes wrong with the recording; for ever if nothing is recorded.
async fn notice_of(recording: &mut Option<Recording>) -> String {
    match recording {
        Some(recording) => recording.notice().await,
        None => std::future::pending().await,
    }
}

/// The files of scenarios that do not ship, by id.
fn own_files(sources: &[Source]) -> BTreeMap<String, String> {
    let own = sources.iter().filter(|source| source.file != format!("scenarios/{}.yaml", source.id));
    own.map(|source| (source.id.clone(), source.file.clone())).collect()
}

/// The recording of a run.
impl Running {
    /// What is known before the first scenario.
    fn record_header(&mut self, capabilities: Option<&Capabilities>) {
        let target = self.target(capabilities.and_then(|known| known.software_version.clone()));
        let header = Header {
            trace: VERSION,
            tool: concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned(),
            run: RunLine {
                id: self.config.id.clone(),
                seed: self.config.seed,
                started_at: self.started_at(),
                command: self.config.command.clone(),
                options: self.config.options.clone(),
            },
            target: TargetLine {
                kind: if target.kind == TargetKind::Server { "server" } else { "emulator" }.to_owned(),
                url: target.url,
                others: target.others,
                software_version: target.software_version,
                clustered: capabilities.and_then(|known| known.clustered),
                dialect: target.dialect,
                mutants: target.mutants,
            },
            reaction_ms: u64::try_from(self.config.deadlines.reaction.as_millis()).unwrap_or(u64::MAX),
        };
        if let Some(recording) = &self.recording {
            record_line(recording.feed(), &header);
        }
    }

    /// What has no trace of its own, and the last line. What went wrong is shown before the report, which has it as well.
    fn close_recording(&mut self, results: &[ScenarioRun], interrupted: bool, progress: &mut dyn Progress) {
        let Some(recording) = &mut self.recording else { return };
        for run in results.iter().filter(|run| run.skipped.is_some()) {
            record_line(recording.feed(), &skip_line(run));
        }
        let mut told = recording.notices();
        self.errors.extend(told.iter().cloned());
        let closed = Closed {
            closed_ms: self.clock.now().as_millis(),
            interrupted,
            errors: self.errors.clone(),
            exit_codes: self.exit_codes.iter().map(|code| code.number()).collect(),
        };
        record_line(recording.feed(), &closed);
        recording.close();
        let late = recording.notices();
        self.errors.extend(late.iter().cloned());
        told.extend(late);
        told.iter().for_each(|notice| progress.note(notice));
    }

    fn started_at(&self) -> String {
        self.clock.started_at().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn target(&self, software_version: Option<String>) -> Target {
        let config = &self.config;
        Target {
            kind: if config.targets.is_empty() { TargetKind::Emulator } else { TargetKind::Server },
            url: config.targets.first().map_or_else(|| "embedded".to_owned(), |target| target.origin.to_string()),
            others: config.targets.iter().skip(1).map(|target| target.origin.to_string()).collect(),
            software_version,
            dialect: config.dialect.clone(),
            mutants: config.mutants.clone(),
        }
    }
}

/// What the embedded emulator can do: everything.
fn embedded(settings: &Settings) -> Capabilities {
    Capabilities {
        software_version: Some(settings.software_version.clone()),
        clustered: Some(settings.clustered),
        api: true,
        test_api: true,
        unprivileged_account: true,
        receiver_places: Some(ReceiverPlaces::default()),
        certificate_doubt: None,
    }
}
