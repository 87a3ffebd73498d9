//! The histograms of loads beside the report, for the tools that read them.

use std::fs;
use std::path::Path;

use crate::load::hlog;
use crate::net::clock::Clock;
use crate::report::assemble::ScenarioRun;
use crate::report::folder::{FolderError, forget as forget_file};
use crate::report::loads::representative;

/// The file in the report folder; with several loads in a run, that of the first. Those of others have their ids in their
/// names.
const FILE: &str = "latency.hlog";

/// Removes what an earlier run left, which would stand beside a report that it does not belong to.
///
/// # Errors
/// If a file is there and cannot be removed.
pub(crate) fn forget(folder: &Path) -> Result<(), FolderError> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let is_one = |name: &String| name.starts_with("latency-") && name.ends_with(".hlog");
    for name in names.filter_map(|name| name.into_string().ok()).filter(is_one).chain([FILE.to_owned()]) {
        forget_file(folder, &name)?;
    }
    Ok(())
}

/// Writes what loads measured. Returns what went wrong, in words.
pub(crate) fn write(folder: &Path, results: &[ScenarioRun], clock: Clock) -> Vec<String> {
    let measured = results.iter().filter_map(|run| Some((run, representative(run.loaded.as_ref()?)?)));
    let write = |(place, (run, phase)): (usize, (&ScenarioRun, &crate::load::Phase))| {
        let name = if place == 0 { FILE.to_owned() } else { format!("latency-{}.hlog", run.id.replace('/', "-")) };
        let path = folder.join(name);
        let began = phase.metrics.start();
        let began_ms = u64::try_from(clock.date_of(began).as_millisecond()).unwrap_or_default();
        let log = hlog::write(&phase.metrics, began_ms, phase.ended_at.since(began));
        let written = log.and_then(|log| fs::write(&path, log));
        written.err().map(|error| format!("failed to write `{}`: {error}", path.display()))
    };
    measured.enumerate().filter_map(write).collect()
}
