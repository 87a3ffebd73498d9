//! The oracle of histories with a mutant: the same history on the same server without it.
//!
//! Both servers are drawn from the same seed and are deterministic. As long as the mutant does nothing, everything that
//! can be observed is the same to the byte and to the nanosecond; the first observation that differs is the deviation as
//! it reached the trace. No rule has a part in this, and no knowledge of what the mutant does: it cannot share a
//! misreading with the judge.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::play::{judge, play_to};
use crate::emulator::Settings;
use crate::engine::Outcome;
use crate::protocol::events::names::is_guid;
use crate::rules::{Judge, Judgement};
use crate::scenario::syntax::Scenario;
use crate::time::Instant;
use crate::trace::{Chronicle, ConnectionId, Event, Observation, Side, Sink};

/// A trace, as far as another one can be compared with it: a number for each observation.
pub type Marks = Vec<u64>;

/// Judges, and marks what is observed.
struct Marking {
    judge: Judge,
    marks: Marks,
    unsettled: Unsettled,
    /// For each observation, whether something was unsettled.
    doubts: Vec<bool>,
}

impl Marking {
    fn new(scenario: &Scenario, settings: &Settings) -> Self {
        Self {
            judge: judge(scenario, settings),
            marks: Vec::new(),
            unsettled: Unsettled::default(),
            doubts: Vec::new(),
        }
    }
}

/// What makes messages ambiguous, read off the trace: a restart ends what was under way, and of an update that crosses a
/// request nobody knows for which of two sets it is meant.
#[derive(Debug, Default)]
struct Unsettled {
    restarts: bool,
    /// How many requests of each connection are not acknowledged.
    requests: BTreeMap<ConnectionId, usize>,
}

impl Unsettled {
    fn observe(&mut self, event: &Event<'_>) {
        match event {
            Event::RestartBegun => self.restarts = true,
            Event::RestartDone => {
                self.restarts = false;
                self.requests.clear();
            }
            Event::Ended { connection, .. } => drop(self.requests.remove(connection)),
            Event::Frame { connection, from, frame, .. } => {
                let is = |word: &[u8]| memchr::memmem::find(frame.payload, word).is_some();
                let requests = self.requests.entry(*connection).or_default();
                match from {
                    Side::Client if is(b"\"subscribeRequest\"") => *requests += 1,
                    Side::Server if is(b"\"messageAck\"") => *requests = requests.saturating_sub(1),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn is_any(&self) -> bool {
        self.restarts || self.requests.values().any(|requests| *requests > 0)
    }
}

impl Sink for Marking {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.judge.observe(observation);
        self.marks.push(mark(observation));
        let before = self.unsettled.is_any();
        self.unsettled.observe(&observation.event);
        self.doubts.push(before || self.unsettled.is_any());
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
    /// For each observation, whether a restart or a request was under way, so that a message may be ambiguous.
    pub doubts: Vec<bool>,
}

/// Plays a scenario, with the mutants of these names, and marks its trace.
pub fn marked(scenario: &Scenario, settings: &Settings, faults: &[&str], seed: u64) -> Marked {
    let sink = Marking::new(scenario, settings);
    let (sink, outcome) = play_to("history", scenario, settings, faults, seed, sink);
    Marked { judgement: sink.judge.finish(), outcome, marks: sink.marks, doubts: sink.doubts }
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

/// The traces of a history without and with a mutant. The settings are those of either server.
fn both(scenario: &Scenario, settings: [&Settings; 2], mutant: &str, seed: u64) -> (Telling, Telling) {
    let told = |settings: &Settings, faults: &[&str]| {
        let marking = Marking::new(scenario, settings);
        let sink = Telling { marking, chronicle: Chronicle::new(), lines: Vec::new() };
        play_to("history", scenario, settings, faults, seed, sink).0
    };
    (told(settings[0], &[]), told(settings[1], &[mutant]))
}

/// Whether the first difference lies in ids alone: what the mutant did has reached nobody, but it used up randomness.
pub fn part_in_ids_alone(scenario: &Scenario, settings: [&Settings; 2], mutant: &str, seed: u64) -> bool {
    let (without, with) = both(scenario, settings, mutant, seed);
    let Some(place) = parting(&without.marking.marks, &with.marking.marks) else { return true };
    match (without.lines.get(place), with.lines.get(place)) {
        (Some(one), Some(other)) => without_ids(one) == without_ids(other),
        _ => false,
    }
}

/// A line without its GUIDs.
fn without_ids(line: &str) -> String {
    let is_of_id = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
    let words = line.split_inclusive(|letter| !is_of_id(letter));
    words.filter(|word| !is_guid(word.trim_end_matches(|letter| !is_of_id(letter)))).collect()
}

/// Where the traces of a history without and with a mutant part, in words. The settings are those of either server.
pub fn parting_in_words(scenario: &Scenario, settings: [&Settings; 2], mutant: &str, seed: u64) -> String {
    let (without, with) = both(scenario, settings, mutant, seed);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_compared_without_their_ids() {
        let line = |id| format!("api <- 200 Location: /api/v1/calls/{id}?x=1");
        let (one, other) = ("71e10704-6e84-45b8-9e76-b765d1fd2b4e", "31290ccb-2545-48ba-a42a-d0c596e2b916");
        assert_eq!(without_ids(&line(one)), without_ids(&line(other)));
        assert_ne!(without_ids(&line(one)), without_ids(&line("none")));
        assert_ne!(without_ids("200 abc"), without_ids("200 abd"));
    }
}
