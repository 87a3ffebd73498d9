//! One scenario over real sockets against a broken emulator, for a proof that mostly plays on virtual time.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::one::{Terms, play};
use super::plan::Planned;
use super::servers::Site;
use crate::emulator::Settings;
use crate::engine::{Addresses, Restart};
use crate::net::clock::Clock;
use crate::net::event_loop::Waiting;
use crate::rules::Deadlines;
use crate::scenario::{self, Source};
use crate::spec::{RequirementId, Version};

/// Which requirements fail when the scenario runs over sockets against an embedded emulator with this mutant; `None` if
/// the scenario cannot be read or could not begin.
pub(crate) async fn failed_over_sockets(
    source: &Source,
    mutant: &str,
    seed: u64,
    clock: Clock,
    stop: watch::Receiver<bool>,
) -> Option<BTreeSet<RequirementId>> {
    let scenario = scenario::read(&source.file, &source.text).ok()?;
    let planned = Planned {
        id: source.id.clone(),
        scenario,
        skip: None,
        version: Version::LATEST,
        clustered: Some(false),
        restart: Restart::Emulator,
    };
    let site =
        Site::Embedded { settings: Box::new(Settings::default()), mutants: vec![mutant.to_owned()], servers: None };
    let terms = Terms {
        seed,
        run_id: format!("run-{seed:016x}"),
        deadlines: Deadlines::default(),
        quiet: None,
        addresses: Addresses::default(),
        clock,
        baseline: None,
        record: None,
        station: None,
        waiting: Waiting::Sleep,
    };
    let played = play(planned, Arc::new(site), terms, stop).await;
    let begun = played.network_errors.is_empty();
    let findings = played.runs.iter().flat_map(|run| &run.judgement.findings);
    begun.then(|| findings.map(|finding| finding.requirement).collect())
}
