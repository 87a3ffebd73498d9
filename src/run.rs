//! One run, top-down: settings, plan, scenarios, judgement, report.
//!
//! Scenarios run at the same time where each has an emulated server of its own; against a real server they run one
//! after the other, since each sees what the others do. Whatever happens, a report comes out of it: of a target that
//! cannot be used it says so, of an interrupted run it holds what was judged until then.

mod dry;
mod one;
mod plan;

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::progress::Progress;
use crate::config::RunConfig;
use crate::emulator::Settings;
use crate::exit::{ExitCode, Failure};
use crate::net::clock::Clock;
use crate::net::interrupt;
use crate::net::probe::{Capabilities, probe};
use crate::net::socket_driver::Link;
use crate::report::assemble::{RunFacts, ScenarioRun, assemble};
use crate::report::model::{Report, Run, Target, TargetKind};
use crate::spec::Version;
pub use dry::{Prospect, dry_run};
use one::{Site, play};
use plan::{Planned, plan};
pub(crate) use plan::{check_mutants, settings};

/// Carries out a run.
///
/// # Errors
/// If a scenario or a setting is wrong, before anything has run.
pub fn run(config: RunConfig, progress: &mut dyn Progress) -> Result<Report, Failure> {
    let scenarios = plan::read(&config.scenarios)?;
    let settings = settings(&config.dialect)?;
    check_mutants(&config.mutants)?;
    runtime()?.block_on(async {
        let clock = Clock::start();
        let stop = interrupt::watch();
        let mut run = Running { config, settings, clock, stop, errors: Vec::new(), exit_codes: Vec::new() };
        let site = run.site().await?;
        let planned = match &site {
            Some((_, capabilities)) => plan(scenarios, capabilities, &run.config),
            None => plan::all_skipped(scenarios, "the target cannot be used"),
        };
        let results = match site {
            Some((site, capabilities)) => {
                let results = run.carry_out(planned, &site, progress).await;
                return Ok(run.report(&results, Some(&capabilities)));
            }
            None => planned.into_iter().map(Planned::skipped).collect::<Vec<_>>(),
        };
        Ok(run.report(&results, None))
    })
}

/// Where a run's tasks live.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
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
    errors: Vec<String>,
    exit_codes: Vec<ExitCode>,
}

impl Running {
    /// Where scenarios run, and what can be done there; `None` if the target cannot be used.
    async fn site(&mut self) -> Result<Option<(Arc<Site>, Capabilities)>, Failure> {
        let Some(target) = self.config.target.clone() else {
            let site =
                Site::Embedded { settings: Box::new(self.settings.clone()), mutants: self.config.mutants.clone() };
            return Ok(Some((Arc::new(site), embedded(&self.settings))));
        };
        let link = Link::new(target, self.clock).map_err(Failure::usage)?;
        match probe(&link).await {
            Ok(capabilities) => Ok(Some((Arc::new(Site::Server(link)), capabilities))),
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
        let mut waiting = std::collections::VecDeque::new();
        for scenario in planned {
            match &scenario.skip {
                Some(_) => results.push(scenario.skipped()),
                None => waiting.push_back(scenario),
            }
        }
        progress.planned(waiting.len());
        let mut under_way: JoinSet<one::Played> = JoinSet::new();
        let mut halted: Option<String> = None;
        loop {
            while under_way.len() < self.config.jobs && halted.is_none() && !*self.stop.borrow() {
                let Some(scenario) = waiting.pop_front() else { break };
                progress.started(&scenario.id);
                under_way.spawn(play(scenario, Arc::clone(site), self.terms(), self.stop.clone()));
            }
            let Some(played) = under_way.join_next().await else { break };
            let played = match played {
                Ok(played) => played,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                Err(_) => continue,
            };
            progress.finished(&played.run.id, played.run.judgement.findings.len());
            if let Some(error) = played.network_error {
                halted = self.still_there(site, &error, &played.run.id, progress).await;
            }
            for path in played.left_behind {
                self.errors.push(format!("{}: could not remove {path}", played.run.id));
            }
            results.push(played.run);
        }
        let why = halted.unwrap_or_else(|| "interrupted".to_owned());
        results.extend(waiting.into_iter().map(|scenario| Planned { skip: Some(why.clone()), ..scenario }.skipped()));
        results
    }

    /// After trouble with the network: says why the run cannot go on, if the target is gone.
    async fn still_there(&mut self, site: &Site, error: &str, id: &str, progress: &mut dyn Progress) -> Option<String> {
        progress.note(&format!("{id}: {error}"));
        self.errors.push(format!("{id}: {error}"));
        let Site::Server(link) = site else { return None };
        let gone = probe(link).await.err()?;
        self.errors.push(gone.to_string());
        self.exit_codes.push(ExitCode::Unreachable);
        Some("the target is gone".to_owned())
    }

    fn terms(&self) -> one::Terms {
        // Names on a server tell whose they are; on an emulator of its own a run repeats them to the letter.
        let run_id = match self.config.target {
            Some(_) => self.config.id.clone(),
            None => format!("run-{:016x}", self.config.seed),
        };
        one::Terms {
            seed: self.config.seed,
            run_id,
            deadlines: self.config.deadlines,
            quiet: self.config.quiet,
            addresses: self.config.addresses.clone(),
            clock: self.clock,
        }
    }

    fn report(self, results: &[ScenarioRun], capabilities: Option<&Capabilities>) -> Report {
        let software_version = capabilities.and_then(|known| known.software_version.clone());
        let version = software_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(Version::LATEST);
        let mut errors = self.errors;
        errors.extend(
            capabilities
                .and_then(|known| known.certificate_doubt.clone())
                .map(|doubt| format!("the target's certificate was let pass (--insecure): {doubt}")),
        );
        let target = Target {
            kind: if self.config.target.is_some() { TargetKind::Server } else { TargetKind::Emulator },
            url: self.config.target.as_ref().map_or_else(|| "embedded".to_owned(), |target| target.origin.to_string()),
            software_version,
            dialect: self.config.dialect.clone(),
            mutants: self.config.mutants.clone(),
        };
        let run = Run {
            id: self.config.id,
            seed: self.config.seed,
            started_at: self.clock.started_at().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            duration_ms: self.clock.now().as_millis(),
            command: self.config.command,
            options: self.config.options,
            interrupted: *self.stop.borrow(),
        };
        let facts = RunFacts {
            run,
            target,
            version,
            strict: self.config.strict,
            known: self.config.known,
            errors,
            exit_codes: self.exit_codes,
        };
        assemble(facts, results)
    }
}

/// What the embedded emulator can do: everything.
fn embedded(settings: &Settings) -> Capabilities {
    Capabilities {
        software_version: Some(settings.software_version.clone()),
        clustered: Some(false),
        test_api: true,
        unprivileged_account: true,
        certificate_doubt: None,
    }
}
