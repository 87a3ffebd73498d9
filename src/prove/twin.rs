//! The oracle of histories with a mutant: the same history on the same server without it.
//!
//! Both servers are drawn from the same seed and are deterministic. As long as the mutant does nothing, everything that
//! can be observed is the same to the byte and to the nanosecond; the first observation that differs is the deviation as
//! it reached the trace. No rule has a part in this, and no knowledge of what the mutant does: it cannot share a
//! misreading with the judge.

use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::play::{judge, play_to};
use crate::emulator::Settings;
use crate::engine::Outcome;
use crate::rules::{Judge, Judgement};
use crate::scenario::syntax::Scenario;
use crate::time::Instant;
use crate::trace::{Chronicle, Event, Observation, Sink};

/// A trace, as far as another one can be compared with it: a number for each observation.
pub type Marks = Vec<u64>;

/// Judges, and marks what is observed.
struct Marking {
    judge: Judge,
    marks: Marks,
}

impl Sink for Marking {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.marks.push(mark(observation));
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }
}

/// What became of a history.
#[derive(Debug)]
pub struct Marked {
    /// What the rules say.
    pub judgement: Judgement,
    /// How it went.
    pub outcome: Outcome,
    /// Its trace.
    pub marks: Marks,
}

/// Plays a scenario, with the mutants of these names, and marks its trace.
pub fn marked(scenario: &Scenario, settings: &Settings, faults: &[&str], seed: u64) -> Marked {
    let sink = Marking { judge: judge(scenario, settings), marks: Vec::new() };
    let (sink, outcome) = play_to("history", scenario, settings, faults, seed, sink);
    Marked { judgement: sink.judge.finish(), outcome, marks: sink.marks }
}

/// The place of the first observation that is in one of the traces only; `None` if they are the same.
pub fn parting(one: &Marks, other: &Marks) -> Option<usize> {
    let common = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    (common < one.len() || common < other.len()).then_some(common)
}

/// A number for all that can be observed of it.
fn mark(observation: &Observation<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    observation.at.hash(&mut hasher);
    match &observation.event {
        Event::Frame { connection, from, frame, .. } => {
            (connection, from, frame.payload).hash(&mut hasher);
            let _ = write!(Words(&mut hasher), "{:?}", frame.header);
        }
        Event::SetReceived { link, receiver, head, records, .. } => {
            (link, receiver, head.method, head.target, head.fields, records.body()).hash(&mut hasher);
        }
        event => {
            let _ = write!(Words(&mut hasher), "{event:?}");
        }
    }
    hasher.finish()
}

/// Takes words into a number.
struct Words<'h>(&'h mut DefaultHasher);

impl fmt::Write for Words<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Judges, marks, and keeps all in words, to tell people where two traces part.
struct Telling {
    marking: Marking,
    chronicle: Chronicle,
    lines: Vec<String>,
}

impl Sink for Telling {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.marking.observe(observation);
        self.chronicle.observe(observation);
        self.lines.push(self.chronicle.line(observation.seq).unwrap_or_default());
    }

    fn due(&self) -> Option<Instant> {
        self.marking.due()
    }
}

/// How many observations are shown of each trace where they part.
const SHOWN: usize = 4;

/// Where the traces of a history without and with a mutant part, in words. The settings are those of either server.
pub fn parting_in_words(scenario: &Scenario, settings: [&Settings; 2], mutant: &str, seed: u64) -> String {
    let told = |settings: &Settings, faults: &[&str]| {
        let marking = Marking { judge: judge(scenario, settings), marks: Vec::new() };
        let sink = Telling { marking, chronicle: Chronicle::new(), lines: Vec::new() };
        play_to("history", scenario, settings, faults, seed, sink).0
    };
    let (without, with) = (told(settings[0], &[]), told(settings[1], &[mutant]));
    let Some(place) = parting(&without.marking.marks, &with.marking.marks) else {
        return "  the traces are the same\n".to_owned();
    };
    let mut text = String::new();
    for (which, lines) in [("without the mutant", &without.lines), ("with the mutant", &with.lines)] {
        let _ = writeln!(text, "  {which}:");
        for line in lines.iter().skip(place).filter(|line| !line.is_empty()).take(SHOWN) {
            let _ = writeln!(text, "      {line}");
        }
    }
    text
}
