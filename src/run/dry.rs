//! A dry run: what a run would carry out on its target, and what not and why.
//!
//! A server is asked what it can do, as before every run; nothing is created or changed there.

use super::plan::{Planned, check_mutants, plan, read, settings};
use super::{embedded, runtime, servers};
use crate::config::RunConfig;
use crate::exit::{ExitCode, Failure};
use crate::net::clock::Clock;
use crate::net::probe::ProbeError;
use crate::net::socket_driver::Link;

/// A scenario as a run would take it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prospect {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Why it would not run.
    pub skip: Option<String>,
    /// The CDR receivers that it would add to a server's list, by name; removed at its end.
    pub receivers: Vec<String>,
}

/// Tells what [`super::run`] would do.
///
/// # Errors
/// If a scenario or a setting is wrong, or the target cannot be used.
pub fn dry_run(config: &RunConfig) -> Result<Vec<Prospect>, Failure> {
    let scenarios = read(&config.scenarios, &config.overrides)?;
    let settings = settings(&config.dialect)?;
    check_mutants(&config.mutants)?;
    servers::check(&scenarios, config.targets.len(), config.servers, &settings)?;
    let capabilities = match config.targets.as_slice() {
        [] => embedded(&settings),
        targets => runtime()?.block_on(async {
            let clock = Clock::start();
            let links = targets.iter().map(|target| Link::new(target.clone(), clock).map_err(Failure::usage));
            let unusable = |error: ProbeError| Failure { code: ExitCode::Unreachable, message: error.to_string() };
            servers::probe_all(&links.collect::<Result<Vec<_>, _>>()?).await.map_err(unusable)?
        })?,
    };
    let planned = plan(scenarios, &capabilities, config).into_iter();
    let prospect = |one: Planned| {
        let added = one.scenario.receivers.iter().filter(|_| !config.targets.is_empty());
        let scheme = |tls| if tls { "https" } else { "http" };
        let receivers = added.map(|head| format!("{} ({})", head.value.name, scheme(head.value.tls))).collect();
        Prospect { id: one.id, title: one.scenario.title, skip: one.skip, receivers }
    };
    Ok(planned.map(prospect).collect())
}
