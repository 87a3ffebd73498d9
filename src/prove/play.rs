//! One scenario on virtual time: played against an emulated server, judged, its evidence kept where it is wanted.

use crate::emulator::{Settings, mutants};
use crate::engine::{End, Options, Outcome};
use crate::rules::{Context, Deadlines, Judge, Judgement};
use crate::scenario::syntax::{Judged, Scenario};
use crate::simulation::{Limits, Server, simulate};
use crate::spec::Version;
use crate::time::Instant;
use crate::trace::{Chronicle, Observation, Side, Sink};

/// Judges and keeps the evidence.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.chronicle.observe(observation);
        self.chronicle.keep(self.judge.findings().iter().map(|finding| finding.evidence.as_slice()));
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }
}

/// What became of one scenario.
#[derive(Debug)]
pub struct Played {
    /// What the rules say.
    pub judgement: Judgement,
    /// How the scenario went.
    pub outcome: Outcome,
    chronicle: Chronicle,
}

impl Played {
    /// Why the scenario came to no verdict, if it did not: a step that could not be carried out, a requirement left open.
    pub fn undecided(&self) -> Option<String> {
        if let End::Unfinished { step, why } = &self.outcome.end {
            return Some(format!("step {step}: {why}"));
        }
        if let Some(failed) = self.outcome.failed_expectations.first() {
            return Some(format!("step {}: {} ({})", failed.step, failed.because, failed.what));
        }
        self.judgement.undecided.iter().next().map(|(id, why)| format!("{id}: {why}"))
    }

    /// What is wrong, in words, a line for each piece of evidence; empty for nothing.
    pub fn trouble(&self) -> String {
        let mut text = String::new();
        for finding in &self.judgement.findings {
            text +=
                &format!("  {} expected {}; observed {}\n", finding.requirement, finding.expected, finding.observed);
            for seq in &finding.evidence {
                text += &format!("      {}\n", self.chronicle.line(*seq).unwrap_or_default());
            }
        }
        if let End::Unfinished { step, why } = &self.outcome.end {
            text += &format!("  unfinished at step {step}: {why}\n");
        }
        for failed in &self.outcome.failed_expectations {
            text += &format!("  expectation: {} ({})\n", failed.because, failed.what);
        }
        text
    }
}

/// Plays a scenario against an emulated server with these settings and mutants. Names that no mutant has are passed
/// over.
pub fn play(id: &str, scenario: &Scenario, settings: &Settings, faults: &[&str], seed: u64) -> Played {
    let watch = Watch { judge: judge(scenario, settings), chronicle: Chronicle::new() };
    let (watch, outcome) = play_to(id, scenario, settings, faults, seed, watch);
    Played { judgement: watch.judge.finish(), outcome, chronicle: watch.chronicle }
}

/// The judge of a scenario that is played with these settings.
pub fn judge(scenario: &Scenario, settings: &Settings) -> Judge {
    Judge::new(Context {
        judged: if scenario.judge == Judged::Client { Side::Client } else { Side::Server },
        observer: Side::Client,
        version: Version::LATEST,
        clustered: Some(settings.clustered),
        deadlines: Deadlines::default(),
    })
}

/// The same as [`play`], with everything that is observed going to `sink`, which should ask for time as a judge does.
pub fn play_to<'s, S: Sink + Send + 's>(
    id: &str,
    scenario: &'s Scenario,
    settings: &Settings,
    faults: &[&str],
    seed: u64,
    sink: S,
) -> (S, Outcome) {
    let mutants = faults.iter().filter_map(|name| mutants::make(name)).collect();
    let server = Server { settings: settings.clone(), mutants, seed };
    let bends = faults.iter().map(|name| (*name).to_owned()).collect();
    let options = Options { seed, bends, ..Options::default() };
    simulate(id, scenario, options, server, sink, &Limits::default())
}
