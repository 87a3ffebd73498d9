//! Progress of a run: a bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::note;
use crate::report::escape::clean;

/// Is told how a run goes on.
pub trait Progress {
    /// So many scenarios will be run.
    fn planned(&mut self, scenarios: usize);
    /// A scenario begins.
    fn started(&mut self, scenario: &str);
    /// A scenario is over, with so many findings.
    fn finished(&mut self, scenario: &str, findings: usize);
    /// Something worth knowing at once.
    fn note(&mut self, text: &str);
}

/// Progress on stderr.
pub struct Shown {
    bar: Option<ProgressBar>,
    quiet: bool,
    findings: usize,
    done: usize,
    planned: usize,
}

impl Shown {
    /// A bar where stderr is a terminal.
    pub fn new(quiet: bool) -> Self {
        let bar = (!quiet && std::io::stderr().is_terminal()).then(|| ProgressBar::new(0));
        Self { bar, quiet, findings: 0, done: 0, planned: 0 }
    }
}

impl Progress for Shown {
    fn planned(&mut self, scenarios: usize) {
        self.planned = scenarios;
        if let Some(bar) = &self.bar {
            bar.set_length(scenarios as u64);
            if let Ok(style) = ProgressStyle::with_template("{pos}/{len} {wide_bar} {msg}") {
                bar.set_style(style);
            }
        }
    }

    fn started(&mut self, scenario: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}, {} findings", clean(scenario), self.findings));
        }
    }

    fn finished(&mut self, scenario: &str, findings: usize) {
        self.findings += findings;
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if self.quiet => {}
            None => note(&format!("{}/{} {}: {findings} findings", self.done, self.planned, clean(scenario))),
        }
    }

    fn note(&mut self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| note(&clean(text))),
            None => note(&clean(text)),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
