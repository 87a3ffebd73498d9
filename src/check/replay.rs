//! Scenarios made again from their lines: each has a judge and a chronicle of its own, as live.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::load::LatencyRecorder;
use crate::report::assemble::{ExpectationFailure, ScenarioRun, StepMark};
use crate::rules::{Context, Deadlines, Judge};
use crate::spec::RequirementId;
use crate::time::Instant;
use crate::trace::format::{Begin, End, Line, Skip};
use crate::trace::{Chronicle, Event, Recorded, Scratch, Seq, Sink};

/// Takes the lines of a trace, and gives its scenarios.
#[derive(Default)]
pub(super) struct Replay {
    done: Vec<ScenarioRun>,
    under_way: Option<UnderWay>,
    scratch: Scratch,
}

/// A scenario that has begun and not ended.
struct UnderWay {
    run: ScenarioRun,
    judge: Judge,
    chronicle: Chronicle,
    latency: LatencyRecorder,
    last: Option<(Seq, Instant)>,
    /// Why it is not judged to its end, if it is not.
    gap: Option<String>,
}

impl Replay {
    /// Takes the next line.
    ///
    /// # Errors
    /// If it does not belong where it stands; then it is left out.
    pub(super) fn take(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Begin(begin) => {
                let cut = self.cut("the next scenario begins before this one ends");
                self.under_way = Some(UnderWay::new(begin)?);
                cut
            }
            Line::Observation(scenario, recorded) => match self.under_way.as_mut().filter(|own| own.run.id == scenario)
            {
                Some(own) => own.observe(&recorded, &mut self.scratch),
                None => Err(format!("an observation of `{scenario}`, which has not begun")),
            },
            Line::End(end) => match self.under_way.take_if(|own| own.run.id == end.end) {
                Some(own) => {
                    self.done.push(own.finish(Some(end)));
                    Ok(())
                }
                None => Err(format!("the end of `{}`, which has not begun", end.end)),
            },
            Line::Skip(skip) => {
                self.done.push(skipped(skip));
                Ok(())
            }
            Line::Header(_) => Err("a second header".to_owned()),
            Line::Closed(_) => Ok(()),
        }
    }

    /// A line is missing.
    pub(super) fn gap(&mut self, number: u64) {
        if let Some(own) = &mut self.under_way {
            own.gap.get_or_insert_with(|| format!("line {number} of the trace cannot be read"));
        }
    }

    /// All scenarios; one that has not ended is inconclusive.
    pub(super) fn finish(mut self) -> Vec<ScenarioRun> {
        // The reader has told that the recording was cut off.
        let _ = self.cut("the trace ends within it");
        self.done
    }

    fn cut(&mut self, why: &str) -> Result<(), String> {
        let Some(mut own) = self.under_way.take() else { return Ok(()) };
        let id = own.run.id.clone();
        own.gap.get_or_insert_with(|| why.to_owned());
        self.done.push(own.finish(None));
        Err(format!("`{id}` has no end"))
    }
}

impl UnderWay {
    fn new(begin: Begin) -> Result<Self, String> {
        let context = Context {
            judged: begin.judged,
            observer: begin.observer,
            version: begin.version.parse()?,
            clustered: begin.clustered,
            deadlines: Deadlines {
                reaction: Duration::from_nanos(begin.reaction_ns),
                redelivery: Duration::from_nanos(begin.redelivery_ns),
            },
        };
        let run = ScenarioRun {
            id: begin.begin,
            server: begin.server,
            title: begin.title,
            exercises: requirements(&begin.exercises),
            began: Instant::from_nanos(begin.began_ns),
            thresholds_untold: begin.thresholds,
            ..ScenarioRun::default()
        };
        Ok(Self {
            run,
            judge: Judge::new(context),
            chronicle: Chronicle::new(),
            latency: LatencyRecorder::new(),
            last: None,
            gap: None,
        })
    }

    /// Takes the next observation. After a gap none is judged any more: what is missing would be laid to the server.
    fn observe(&mut self, recorded: &Recorded, scratch: &mut Scratch) -> Result<(), String> {
        if self.gap.is_some() {
            return Ok(());
        }
        let (seq, next) = (recorded.seq(), Seq(self.last.map_or(0, |(seq, _)| seq.0).saturating_add(1)));
        if seq != next {
            let why = format!("observation {seq} stands where {next} should be");
            self.gap = Some(why.clone());
            return Err(why);
        }
        let observation = recorded.lend(scratch);
        if let Event::StepStarted { number, text } = &observation.event {
            let mark = StepMark { since: seq, number: *number as usize, text: (*text).to_owned() };
            self.run.steps.push(mark);
        }
        self.last = Some((seq, observation.at));
        self.judge.observe(&observation);
        self.latency.observe(&observation);
        self.chronicle.observe(&observation);
        self.chronicle.keep(self.judge.findings().iter().map(|finding| finding.evidence.as_slice()));
        Ok(())
    }

    fn finish(self, end: Option<End>) -> ScenarioRun {
        let Self { mut run, judge, chronicle, latency, last, mut gap } = self;
        run.judgement = judge.finish();
        run.latency = latency;
        run.observations = chronicle.count();
        run.duration = last.map_or(Duration::ZERO, |(_, at)| at.since(run.began));
        if let Some(end) = end {
            if end.left_out > 0 {
                gap.get_or_insert_with(|| format!("its last {} observations were not recorded", end.left_out));
            } else if end.observations > run.observations {
                gap.get_or_insert_with(|| {
                    format!("{} of its observations are missing", end.observations - run.observations)
                });
            }
            run.unfinished = end.unfinished;
            run.observations = end.observations;
            run.duration = Duration::from_nanos(end.duration_ns);
            run.expectation_failures = end
                .failed_expectations
                .into_iter()
                .map(|failure| ExpectationFailure {
                    at: Instant::from_nanos(failure.at_ns),
                    expected: failure.expected,
                    observed: failure.observed,
                    evidence: failure.evidence.into_iter().map(Seq).collect(),
                })
                .collect();
        }
        run.unfinished = gap.or(run.unfinished);
        let cited = run.judgement.findings.iter().flat_map(|finding| &finding.evidence);
        let cited = cited.chain(run.expectation_failures.iter().flat_map(|failure| &failure.evidence));
        let evidence: BTreeMap<_, _> = cited.filter_map(|seq| Some((*seq, chronicle.line(*seq)?))).collect();
        run.evidence = evidence;
        run.connections = chronicle.clients().map(|(id, name)| (id, name.to_owned())).collect();
        run
    }
}

fn skipped(skip: Skip) -> ScenarioRun {
    ScenarioRun {
        id: skip.skip,
        title: skip.title,
        exercises: requirements(&skip.exercises),
        skipped: skip.skipped,
        unfinished: skip.unfinished,
        ..ScenarioRun::default()
    }
}

/// Requirements by name; those that the catalogue does not know are left out.
fn requirements(names: &[String]) -> Vec<RequirementId> {
    names.iter().filter_map(|name| RequirementId::from_name(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::format::read_line;

    /// The outcome of each line.
    fn taken(replay: &mut Replay, lines: &[&str]) -> Vec<Result<(), String>> {
        lines.iter().map(|line| replay.take(read_line(line.as_bytes()).unwrap())).collect()
    }

    const BEGIN: &str = r#"{"begin":"a/b","title":"t","exercises":["AUTH-01","NO-99"],"judged":"server",
        "observer":"client","version":"3.7","clustered":null,"reaction_ns":5,"began_ns":7}"#;
    const END: &str = r#"{"end":"a/b","unfinished":null,"failed_expectations":[],"observations":2,"left_out":0,
        "duration_ns":9}"#;
    const SKIP: &str = r#"{"skip":"c/d","title":"t","exercises":[],"skipped":"why","unfinished":null}"#;

    fn observation(seq: u64, scenario: &str) -> String {
        let event = r#"{"step_started":{"number":1,"text":"x"}}"#;
        format!(r#"{{"seq":{seq},"at_ns":1,"scenario":"{scenario}","event":{event}}}"#)
    }

    #[test]
    fn a_whole_scenario_is_made_again() {
        let mut replay = Replay::default();
        let begin = BEGIN.replace("\"began_ns\":7", "\"began_ns\":7,\"thresholds\":2");
        let lines = [&begin, &observation(1, "a/b"), &observation(2, "a/b"), END, SKIP];
        assert!(taken(&mut replay, &lines).iter().all(Result::is_ok));
        let runs = replay.finish();
        assert_eq!((runs[0].observations, runs[0].steps.len(), runs[0].exercises.len()), (2, 2, 1));
        assert_eq!((&runs[0].unfinished, runs[0].duration), (&None, Duration::from_nanos(9)));
        assert_eq!((runs[1].skipped.as_deref(), runs[0].thresholds_untold), (Some("why"), 2));
    }

    #[test]
    fn what_is_missing_is_told_and_nothing_behind_it_is_judged() {
        let mut replay = Replay::default();
        let lines = [BEGIN, &observation(1, "a/b"), &observation(3, "a/b"), &observation(4, "a/b"), END];
        let outcome = taken(&mut replay, &lines);
        assert_eq!(outcome[2], Err("observation #3 stands where #2 should be".to_owned()));
        assert!(outcome[3].is_ok() && outcome[4].is_ok(), "a gap is told once: {outcome:?}");
        let runs = replay.finish();
        assert_eq!((runs[0].steps.len(), runs[0].unfinished.is_some()), (1, true));
    }

    #[test]
    fn lines_that_belong_nowhere_are_told() {
        let mut replay = Replay::default();
        let outcome = taken(&mut replay, &[&observation(1, "x/y"), END, BEGIN, &observation(1, "x/y"), BEGIN]);
        assert!(outcome[2].is_ok());
        assert!([0, 1, 3, 4].iter().all(|number: &usize| outcome[*number].is_err()), "{outcome:?}");
        let runs = replay.finish();
        assert!(runs.len() == 2 && runs.iter().all(|run| run.unfinished.is_some()));
    }
}
