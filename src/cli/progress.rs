//! Progress of a run: a bar on a terminal, plain lines elsewhere, nothing when quiet.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::output::note;
use crate::report::escape::clean;
use crate::report::live::Beat;
use crate::report::quantity::counted;

/// Is told how a run goes on.
pub trait Progress {
    /// So many scenarios will be run.
    fn planned(&mut self, scenarios: usize);
    /// A scenario begins.
    fn started(&mut self, scenario: &str);
    /// A scenario is over, with so many findings.
    fn finished(&mut self, scenario: &str, findings: usize);
    /// A second of a load is over.
    fn beat(&mut self, _beat: &Beat) {}
    /// Something worth knowing at once.
    fn note(&mut self, text: &str);
}

/// How often a line tells of a load where there is no terminal.
const EVERY: Duration = Duration::from_secs(10);

/// How the bar looks, and how it looks while a load runs: as wide as the terminal, and no wider.
const BAR: &str = "{pos}/{len} {wide_bar} {msg}";
const LINE: &str = "{wide_msg}";

/// Progress on stderr.
pub struct Shown {
    bar: Option<ProgressBar>,
    quiet: bool,
    findings: usize,
    done: usize,
    planned: usize,
    /// What loads brought since the last line, where there is no bar.
    untold: Option<Beat>,
}

impl Shown {
    /// A bar where stderr is a terminal that somebody looks at.
    pub fn new(quiet: bool) -> Self {
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true" || value == "1");
        let bar = (!quiet && !in_ci && std::io::stderr().is_terminal()).then(|| ProgressBar::new(0));
        Self { bar, quiet, findings: 0, done: 0, planned: 0, untold: None }
    }

    /// How the bar looks.
    fn style(&self, template: &str) {
        if let (Some(bar), Ok(style)) = (&self.bar, ProgressStyle::with_template(template)) {
            bar.set_style(style);
        }
    }

    /// Writes the line of what was not told yet.
    fn tell(&mut self) {
        if let Some(untold) = self.untold.take() {
            note(&clean(&untold.line()));
        }
    }
}

impl Progress for Shown {
    fn planned(&mut self, scenarios: usize) {
        self.planned = scenarios;
        if let Some(bar) = &self.bar {
            bar.set_length(scenarios as u64);
        }
        self.style(BAR);
    }

    fn started(&mut self, scenario: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}, {}", clean(scenario), counted(self.findings, "finding")));
        }
    }

    fn beat(&mut self, beat: &Beat) {
        if let Some(bar) = &self.bar {
            self.style(LINE);
            bar.set_message(clean(&beat.line()).into_owned());
            return;
        }
        if self.quiet {
            return;
        }
        if beat.length().is_zero() {
            return note(&clean(&beat.line()));
        }
        match &mut self.untold {
            Some(untold) if untold.is_of(beat) => untold.extend(beat.clone()),
            _ => {
                self.tell();
                self.untold = Some(beat.clone());
            }
        }
        if self.untold.as_ref().is_some_and(|untold| untold.length() >= EVERY) {
            self.tell();
        }
    }

    fn finished(&mut self, scenario: &str, findings: usize) {
        self.tell();
        self.style(BAR);
        self.findings += findings;
        self.done += 1;
        match &self.bar {
            Some(bar) => bar.inc(1),
            None if self.quiet => {}
            None => {
                let findings = counted(findings, "finding");
                note(&format!("{}/{} {}: {findings}", self.done, self.planned, clean(scenario)));
            }
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
