//! The report made from what the scenarios gave: verdicts by requirement, findings with their evidence, the exit code.
//!
//! Pure. The rules of verdicts are here and nowhere else: nothing tested is never a pass, and the worst wins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::known::Known;
use super::model::{
    CharacteristicResult, FindingResult, Report, RequirementResult, Run, SCHEMA, ScenarioResult, Target, Tool, Verdict,
};
use super::quantity::counted;
use super::{loads, thresholds};
use crate::exit::ExitCode;
use crate::load::{LatencyRecorder, Loaded};
use crate::rules::{Finding, Judgement};
use crate::spec::{Level, RequirementId, Version};
use crate::time::Instant;
use crate::trace::{ConnectionId, Seq};

/// The beginning of a step in a trace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepMark {
    /// Its first observation.
    pub since: Seq,
    /// Its number, counted from 1.
    pub number: usize,
    /// What it does.
    pub text: String,
}

/// An expectation of the scenario's own that was not met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectationFailure {
    /// When that was established.
    pub at: Instant,
    /// What was expected.
    pub expected: String,
    /// What was there instead.
    pub observed: String,
    /// The observations that show it, in order.
    pub evidence: Vec<Seq>,
}

/// What one scenario gave.
#[derive(Debug, Clone, Default)]
pub struct ScenarioRun {
    /// Its id.
    pub id: String,
    /// The server that it ran on, where it was a load that was spread over several: then there is one of these for each, with
    /// the same id.
    pub server: Option<String>,
    /// Its title.
    pub title: String,
    /// The requirements that it is there to put to the test.
    pub exercises: Vec<RequirementId>,
    /// Why it was not carried out at all.
    pub skipped: Option<String>,
    /// Why it was not carried out to the end, or says nothing of the target all the same.
    pub unfinished: Option<String>,
    /// What the rules say.
    pub judgement: Judgement,
    /// Its steps in order.
    pub steps: Vec<StepMark>,
    /// Its own expectations that were not met.
    pub expectation_failures: Vec<ExpectationFailure>,
    /// Observations in words, `#12 +34 ms alice <- {...}`, at least those that are evidence.
    pub evidence: BTreeMap<Seq, String>,
    /// What to call its connections.
    pub connections: BTreeMap<ConnectionId, String>,
    /// When it began, on the clock of its findings.
    pub began: Instant,
    /// How long it took.
    pub duration: Duration,
    /// How many observations it made.
    pub observations: u64,
    /// What was timed.
    pub latency: LatencyRecorder,
    /// What became of its load, if it is one; where there are several servers, the first has it for all.
    pub loaded: Option<Loaded>,
    /// Whether that was a load on clients.
    pub on_clients: bool,
    /// How many thresholds it has that are not judged, since what is known of it is a trace.
    pub thresholds_untold: u64,
    /// What it cannot put to the test, and why: that is no gap in it.
    pub beyond: BTreeMap<RequirementId, String>,
    /// Whether nothing was to be judged: a load that only measures.
    pub unjudged: bool,
}

/// What is known about the run as a whole.
#[derive(Debug, Clone)]
pub struct RunFacts {
    /// The run.
    pub run: Run,
    /// The target.
    pub target: Target,
    /// The release that requirements are chosen by.
    pub version: Version,
    /// Whether a missed should fails.
    pub strict: bool,
    /// Known deviations.
    pub known: Vec<Known>,
    /// Trouble with the environment, in words.
    pub errors: Vec<String>,
    /// Exit codes that other parts ask for: [`ExitCode::Unreachable`], [`ExitCode::Guard`].
    pub exit_codes: Vec<ExitCode>,
}

/// The report of a run.
pub fn assemble(facts: RunFacts, scenarios: &[ScenarioRun]) -> Report {
    let mut order: Vec<&ScenarioRun> = scenarios.iter().collect();
    order.sort_by(|a, b| a.id.cmp(&b.id));
    let listed: BTreeSet<RequirementId> = order
        .iter()
        .flat_map(|run| {
            let found = run.judgement.finding_counts.keys().chain(run.judgement.warning_counts.keys());
            run.exercises.iter().chain(found).copied()
        })
        .chain(order.iter().flat_map(|run| run.judgement.findings.iter().map(|finding| finding.requirement)))
        .collect();
    let requirements: Vec<_> = listed.into_iter().map(|id| requirement(id, &facts, &order)).collect();
    let findings: Vec<_> = order.iter().flat_map(|run| findings(run, &facts)).collect();
    // Those of several servers are one scenario.
    let alike = order.chunk_by(|one, next| one.id == next.id && next.server.is_some());
    let scenarios: Vec<_> = alike.map(|runs| scenario(runs, &requirements, &findings)).collect();
    let mut characteristics: Vec<_> = order.iter().flat_map(|run| characteristics(run)).collect();
    characteristics.sort();
    characteristics.dedup();
    let verdicts = requirements.iter().map(|one| one.verdict);
    let verdicts =
        verdicts.chain(findings.iter().map(|one| one.verdict)).chain(scenarios.iter().map(|one| one.verdict));
    let verdict = verdicts.max().unwrap_or(Verdict::Skipped);
    let mut latency = LatencyRecorder::new();
    // A load has rows of its own.
    let own: BTreeSet<&str> =
        order.iter().filter(|run| matches!(run.loaded, Some(Loaded::Once(_)))).map(|run| run.id.as_str()).collect();
    let of_all = order.iter().filter(|run| !own.contains(run.id.as_str()));
    of_all.for_each(|run| latency.merge(&run.latency));
    let loads: Vec<_> = order.iter().filter_map(|run| Some((run.id.as_str(), run.loaded.as_ref()?))).collect();
    let of_loads = loads.iter().flat_map(|(id, loaded)| loads::latencies(id, loaded));
    let latency = latency.rows().into_iter().map(Into::into).chain(of_loads).collect();
    let thresholds: Vec<_> = loads.iter().flat_map(|(id, loaded)| loads::thresholds(id, loaded)).collect();
    // A run that missed what was asked of it is none that passed, nor is one of which that is not known.
    let verdict = thresholds.iter().filter_map(thresholds::verdict).fold(verdict, Verdict::max);
    let mut report = Report {
        schema: SCHEMA,
        tool: Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        run: facts.run,
        target: facts.target,
        verdict,
        exit_code: 0,
        requirements,
        scenarios,
        findings,
        characteristics,
        latency,
        thresholds,
        loads: order.iter().filter_map(|run| loads::result(run)).collect(),
        harness: None,
        errors: facts.errors,
        notes: notes(&order),
    };
    let only_measured = !order.is_empty() && order.iter().all(|run| run.unjudged);
    report.exit_code = exit_code(&report, facts.exit_codes, only_measured).number();
    report
}

/// What the reader of a recorded run should know.
fn notes(order: &[&ScenarioRun]) -> Vec<String> {
    let of_loads = order.iter().filter(|run| run.thresholds_untold > 0);
    let note = |run: &&&ScenarioRun| {
        let count = counted(usize::try_from(run.thresholds_untold).unwrap_or(usize::MAX), "threshold");
        format!(
            "{}: {count} not judged again: a trace does not tell when stimuli were due; the run's own report does",
            run.id
        )
    };
    let mut notes: Vec<String> = of_loads.map(|run| note(&run)).collect();
    // Each server that a load was spread over has a trace.
    notes.dedup();
    notes
}

/// The exit code that a report and other parts of the run ask for.
fn exit_code(report: &Report, mut codes: Vec<ExitCode>, only_measured: bool) -> ExitCode {
    let verdicts = report.requirements.iter().map(|one| one.verdict);
    let verdicts = verdicts.chain(report.findings.iter().map(|one| one.verdict));
    let verdicts: Vec<_> = verdicts.chain(report.scenarios.iter().map(|one| one.verdict)).collect();
    let causes = [
        (Verdict::Fail, ExitCode::Failed),
        (Verdict::Xpass, ExitCode::StaleKnown),
        (Verdict::Inconclusive, ExitCode::Inconclusive),
    ];
    codes.extend(causes.iter().filter(|(verdict, _)| verdicts.contains(verdict)).map(|(_, code)| *code));
    if report.run.interrupted {
        codes.push(ExitCode::Interrupted);
    }
    let missed = report.thresholds.iter().filter(|one| thresholds::is_missed(one));
    if report.thresholds.iter().any(|one| one.undecided) {
        codes.push(ExitCode::Inconclusive);
    }
    codes.extend(missed.map(|one| if one.relative { ExitCode::Regression } else { ExitCode::Threshold }));
    if report.requirements.iter().all(|one| one.tested == 0) && !only_measured {
        codes.push(ExitCode::NothingTested);
    }
    ExitCode::most_telling(&codes)
}

fn finding_count(run: &ScenarioRun, id: RequirementId) -> u64 {
    let kept = run.judgement.findings.iter().filter(|one| one.requirement == id && !one.warns).count() as u64;
    run.judgement.finding_counts.get(&id).copied().unwrap_or(0).max(kept)
}

/// How many findings only warn, whatever the level of the requirement.
fn warning_count(run: &ScenarioRun, id: RequirementId) -> u64 {
    run.judgement.warning_counts.get(&id).copied().unwrap_or(0)
}

fn requirement(id: RequirementId, facts: &RunFacts, runs: &[&ScenarioRun]) -> RequirementResult {
    let entry = id.get();
    let times = |run: &ScenarioRun| run.judgement.tested.get(&id).copied().unwrap_or(0);
    let (verdict, reason) = decide(id, facts, runs);
    RequirementResult {
        id: entry.id.clone(),
        level: entry.level.to_string(),
        subject: entry.subject.to_string(),
        text: entry.text.clone(),
        source: entry.source.clone(),
        verdict,
        tested: runs.iter().map(|run| times(run)).sum(),
        findings: runs.iter().map(|run| finding_count(run, id) + warning_count(run, id)).sum(),
        reason,
        scenarios: distinct(runs.iter().filter(|run| times(run) > 0).map(|run| run.id.as_str())),
    }
}

/// The verdict of a requirement, with the reason where it is neither passed nor failed.
fn decide(id: RequirementId, facts: &RunFacts, runs: &[&ScenarioRun]) -> (Verdict, Option<String>) {
    let entry = id.get();
    let tested: u64 = runs.iter().filter_map(|run| run.judgement.tested.get(&id)).sum();
    let seen = runs.iter().any(|run| run.judgement.characteristics.iter().any(|one| one.requirement == id));
    if !entry.applies_to(facts.version) {
        return (Verdict::Skipped, Some(format!("does not apply to release {}", facts.version)));
    }
    let failing: Vec<_> = runs.iter().filter(|run| finding_count(run, id) > 0).collect();
    if !failing.is_empty() && entry.level != Level::Observe {
        let reasons = failing.iter().map(|run| waiver(id, facts, &run.id)).collect::<Option<BTreeSet<_>>>();
        return match reasons {
            Some(reasons) => (Verdict::Xfail, Some(reasons.into_iter().collect::<Vec<_>>().join("; "))),
            None => (missed(entry.level, facts.strict), None),
        };
    }
    if entry.level == Level::Observe && (tested > 0 || seen) {
        return (Verdict::Observed, None);
    }
    // What a scenario that ended early left open says nothing where others put the requirement to the test.
    let open = |run: &&&ScenarioRun| tested == 0 || run.unfinished.is_none();
    let undecided = runs.iter().filter(open).find_map(|run| Some((run, run.judgement.undecided.get(&id)?)));
    if let Some((run, reason)) = undecided {
        let on = run.server.as_ref().map_or_else(String::new, |server| format!(" on {server}"));
        return (Verdict::Inconclusive, Some(format!("{}{on}: {reason}", run.id)));
    }
    if tested == 0 {
        return untested(id, runs);
    }
    let warning: Vec<_> = runs.iter().filter(|run| warning_count(run, id) > 0).collect();
    if !warning.is_empty() {
        let reasons = warning.iter().map(|run| waiver(id, facts, &run.id)).collect::<Option<BTreeSet<_>>>();
        return match reasons {
            Some(reasons) => (Verdict::Xfail, Some(reasons.into_iter().collect::<Vec<_>>().join("; "))),
            None => (missed(Level::Should, facts.strict), None),
        };
    }
    let stale = facts.known.iter().any(|known| {
        runs.iter()
            .any(|run| known.covers(id, &run.id) && run.judgement.tested.get(&id).is_some_and(|times| *times > 0))
    });
    if stale {
        return (Verdict::Xpass, Some("listed as a known deviation, but met: remove it from the list".to_owned()));
    }
    (Verdict::Pass, None)
}

fn untested(id: RequirementId, runs: &[&ScenarioRun]) -> (Verdict, Option<String>) {
    let exercising: Vec<_> = runs.iter().filter(|run| run.exercises.contains(&id)).collect();
    let reasons = |of: fn(&ScenarioRun) -> Option<&String>| {
        let set: BTreeSet<&str> = exercising.iter().filter_map(|run| of(run).map(String::as_str)).collect();
        set.into_iter().collect::<Vec<_>>().join("; ")
    };
    if exercising.iter().all(|run| run.skipped.is_some()) {
        return (Verdict::Skipped, Some(reasons(|run| run.skipped.as_ref())));
    }
    if let Some(reasons) = exercising.iter().map(|run| run.beyond.get(&id)).collect::<Option<BTreeSet<_>>>() {
        let reasons: Vec<_> = reasons.into_iter().map(String::as_str).collect();
        return (Verdict::Skipped, Some(reasons.join("; ")));
    }
    let why = reasons(|run| run.unfinished.as_ref());
    let reason = if why.is_empty() { "nothing put it to the test".to_owned() } else { why };
    (Verdict::Inconclusive, Some(reason))
}

const fn missed(level: Level, strict: bool) -> Verdict {
    match level {
        Level::Should if !strict => Verdict::Warn,
        Level::Observe => Verdict::Observed,
        _ => Verdict::Fail,
    }
}

fn waiver(id: RequirementId, facts: &RunFacts, scenario: &str) -> Option<String> {
    let known = facts.known.iter().find(|known| known.covers(id, scenario))?;
    Some(format!("known until {}: {}", known.until, known.reason))
}

fn findings(run: &ScenarioRun, facts: &RunFacts) -> Vec<FindingResult> {
    let judged = run.judgement.findings.iter().map(|finding| {
        let id = finding.requirement;
        let waived = waiver(id, facts, &run.id).is_some();
        let verdict = if !id.get().applies_to(facts.version) {
            Verdict::Skipped
        } else if waived {
            Verdict::Xfail
        } else {
            missed(if finding.warns { Level::Should } else { id.get().level }, facts.strict)
        };
        finding_result(run, finding, verdict)
    });
    let own = run.expectation_failures.iter().map(|failure| FindingResult {
        requirement: None,
        verdict: Verdict::Fail,
        scenario: run.id.clone(),
        server: run.server.clone(),
        step: step(run, &failure.evidence),
        at_ms: millis(failure.at.since(run.began)),
        connection: None,
        expected: failure.expected.clone(),
        observed: failure.observed.clone(),
        evidence: failure.evidence.iter().map(|seq| seq.0).collect(),
        evidence_text: evidence_text(run, &failure.evidence),
    });
    judged.chain(own).collect()
}

fn finding_result(run: &ScenarioRun, finding: &Finding, verdict: Verdict) -> FindingResult {
    let name = |id: ConnectionId| run.connections.get(&id).cloned().unwrap_or_else(|| format!("connection {}", id.0));
    FindingResult {
        requirement: Some(finding.requirement.to_string()),
        verdict,
        scenario: run.id.clone(),
        server: run.server.clone(),
        step: step(run, &finding.evidence),
        at_ms: millis(finding.at.since(run.began)),
        connection: finding.connection.map(name),
        expected: finding.expected.clone(),
        observed: finding.observed.clone(),
        evidence: finding.evidence.iter().map(|seq| seq.0).collect(),
        evidence_text: evidence_text(run, &finding.evidence),
    }
}

fn evidence_text(run: &ScenarioRun, evidence: &[Seq]) -> Vec<String> {
    evidence.iter().filter_map(|seq| run.evidence.get(seq).cloned()).collect()
}

/// The step that was under way at the last of the evidence.
fn step(run: &ScenarioRun, evidence: &[Seq]) -> String {
    let last = evidence.iter().max();
    let under_way = run.steps.iter().rev().find(|step| last.is_some_and(|last| step.since <= *last));
    under_way.map_or_else(String::new, |step| format!("{}: {}", step.number, step.text))
}

/// The result of a scenario: of its only run, or of its runs on several servers, of which the worst counts.
fn scenario(runs: &[&ScenarioRun], requirements: &[RequirementResult], findings: &[FindingResult]) -> ScenarioResult {
    let id = runs.first().map(|run| run.id.clone()).unwrap_or_default();
    let own = findings.iter().filter(|finding| finding.scenario == id).map(|finding| finding.verdict).max();
    let base = runs.iter().map(|run| without_findings(run, requirements)).max().unwrap_or(Verdict::Skipped);
    ScenarioResult {
        verdict: own.map_or(base, |own| own.max(base)),
        reason: reason(runs),
        title: runs.first().map(|run| run.title.clone()).unwrap_or_default(),
        duration_ms: runs.iter().map(|run| millis(run.duration)).max().unwrap_or_default(),
        observations: runs.iter().map(|run| run.observations).sum(),
        id,
    }
}

/// What is to be said of a run, apart from its findings.
fn without_findings(run: &ScenarioRun, requirements: &[RequirementResult]) -> Verdict {
    let undecided = run.judgement.undecided.keys().any(|id| requirements.iter().any(|one| one.id == id.as_str()));
    match (&run.skipped, &run.unfinished) {
        (Some(_), _) => Verdict::Skipped,
        (None, Some(_)) => Verdict::Inconclusive,
        (None, None) if run.unjudged => Verdict::Pass,
        (None, None) if undecided || run.judgement.tested.values().all(|times| *times == 0) => Verdict::Inconclusive,
        (None, None) => Verdict::Pass,
    }
}

/// How many reasons of one scenario are told.
const REASONS: usize = 4;

/// Why a scenario was not carried out to its end: each reason once, with the servers that it is about.
fn reason(runs: &[&ScenarioRun]) -> Option<String> {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for run in runs {
        let Some(why) = run.skipped.as_deref().or(run.unfinished.as_deref()) else { continue };
        let server = run.server.as_deref().unwrap_or_default();
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, servers)) => servers.push(server),
            None => reasons.push((why, vec![server])),
        }
    }
    let told = |(why, servers): &(&str, Vec<&str>)| match servers.as_slice() {
        // What holds for all is about the scenario.
        servers if servers.len() == runs.len() => (*why).to_owned(),
        [first] => format!("{first}: {why}"),
        [first, others @ ..] => format!("{first} and {} more: {why}", others.len()),
        [] => (*why).to_owned(),
    };
    let mut all: Vec<String> = reasons.iter().take(REASONS).map(told).collect();
    if reasons.len() > REASONS {
        all.push(format!("and {} more reasons", reasons.len() - REASONS));
    }
    (!all.is_empty()).then(|| all.join("; "))
}

/// Each once, in order.
fn distinct<'a>(ids: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut distinct: Vec<String> = ids.map(str::to_owned).collect();
    distinct.dedup();
    distinct
}

fn characteristics(run: &ScenarioRun) -> impl Iterator<Item = CharacteristicResult> + '_ {
    run.judgement.characteristics.iter().map(|one| CharacteristicResult {
        requirement: one.requirement.to_string(),
        name: one.name.to_owned(),
        value: one.value.clone(),
        scenario: run.id.clone(),
    })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{facts, finding, report, scenario};
    use super::*;

    fn verdict_of(report: &Report, id: &str) -> Verdict {
        report.requirements.iter().find(|one| one.id == id).unwrap().verdict
    }

    #[test]
    fn each_requirement_gets_the_verdict_that_it_earned() {
        let report = report();
        let expected = [
            ("AUTH-01", Verdict::Pass),
            ("AUTH-03", Verdict::Skipped),
            ("MSG-01", Verdict::Fail),
            ("MSG-02", Verdict::Inconclusive),
        ];
        for (id, verdict) in expected {
            assert_eq!(verdict_of(&report, id), verdict, "{id}");
        }
        assert_eq!((report.verdict, report.exit_code), (Verdict::Fail, 1));
        assert_eq!(report.findings[0].step, "1: connect alice");
    }

    #[test]
    fn nothing_tested_is_never_a_pass() {
        let mut idle = scenario("a/b", &["MSG-01"]);
        idle.judgement = Judgement::default();
        let report = assemble(facts(), &[idle]);
        assert_eq!((verdict_of(&report, "MSG-01"), report.exit_code), (Verdict::Inconclusive, 5));
        assert_eq!(assemble(facts(), &[]).exit_code, 6);
    }

    #[test]
    fn what_a_scenario_cannot_put_to_the_test_is_skipped_unless_another_should() {
        let mut load = scenario("load/x", &["MSG-01", "MSG-13"]);
        load.judgement.tested.remove(&RequirementId::known("MSG-13"));
        load.beyond = [(RequirementId::known("MSG-13"), "nothing unknown is sent".to_owned())].into();
        let report = assemble(facts(), std::slice::from_ref(&load));
        assert_eq!(
            (verdict_of(&report, "MSG-13"), verdict_of(&report, "MSG-01"), report.exit_code),
            (Verdict::Skipped, Verdict::Pass, 0)
        );
        let mut other = scenario("a/b", &["MSG-13"]);
        other.judgement = Judgement::default();
        assert_eq!(verdict_of(&assemble(facts(), &[load, other]), "MSG-13"), Verdict::Inconclusive);
    }

    #[test]
    fn what_an_unfinished_scenario_left_open_does_not_outweigh_what_others_tested() {
        let id = RequirementId::known("MSG-03");
        let met = scenario("a/met", &["MSG-03"]);
        let mut open = scenario("a/open", &["MSG-03"]);
        open.judgement = Judgement { undecided: [(id, "the trace ended".to_owned())].into(), ..Judgement::default() };
        open.unfinished = Some("interrupted".to_owned());
        let both = assemble(facts(), &[met.clone(), open.clone()]);
        assert_eq!((verdict_of(&both, "MSG-03"), both.verdict), (Verdict::Pass, Verdict::Inconclusive));
        assert_eq!(verdict_of(&assemble(facts(), &[open.clone()]), "MSG-03"), Verdict::Inconclusive);
        open.unfinished = None;
        let finished = assemble(facts(), &[met, open]);
        assert_eq!(verdict_of(&finished, "MSG-03"), Verdict::Inconclusive);
    }

    #[test]
    fn a_known_deviation_waives_a_finding_and_is_stale_without_one() {
        let id = RequirementId::known("MSG-01");
        let until = jiff::civil::Date::constant(2027, 3, 31);
        let known = Known { requirement: id, scenario: None, reason: "ticket".to_owned(), until };
        let facts = || RunFacts { known: vec![known.clone()], ..facts() };
        let mut failing = scenario("a/b", &["MSG-01"]);
        let stale = assemble(facts(), &[failing.clone()]);
        assert_eq!((stale.verdict, stale.exit_code), (Verdict::Xpass, 7));
        failing.judgement.findings = vec![finding("MSG-01")];
        let waived = assemble(facts(), &[failing]);
        assert_eq!((waived.verdict, waived.exit_code), (Verdict::Xfail, 0));
    }

    #[test]
    fn thresholds_that_a_trace_does_not_tell_of_are_told_once_for_all_servers() {
        let mut run = scenario("load/steady", &["MSG-03"]);
        run.thresholds_untold = 2;
        let other = ScenarioRun { server: Some("b".to_owned()), ..run.clone() };
        let report = assemble(facts(), &[run, other, scenario("a/b", &["MSG-01"])]);
        let told = "load/steady: 2 thresholds not judged again: a trace does not tell when stimuli were due; the run's own \
                    report does";
        assert_eq!(report.notes, [told]);
        let text = crate::report::text::render(&report, &crate::report::text::Options::default());
        assert!(text.lines().any(|line| line == told), "{text}");
    }

    #[test]
    fn a_missed_should_warns_and_fails_only_when_strict() {
        let id = crate::spec::requirements::all().find(|id| id.get().level == Level::Should).unwrap();
        let mut run = scenario("a/b", &[id.as_str()]);
        run.judgement.findings = vec![finding(id.as_str())];
        let lax = assemble(facts(), std::slice::from_ref(&run));
        let strict = assemble(RunFacts { strict: true, ..facts() }, &[run]);
        assert_eq!((lax.verdict, lax.exit_code), (Verdict::Warn, 0));
        assert_eq!((strict.verdict, strict.exit_code), (Verdict::Fail, 1));
    }

    #[test]
    fn a_finding_that_warns_does_so_at_any_level() {
        let id = RequirementId::known("MSG-01");
        let mut run = scenario("a/b", &["MSG-01"]);
        run.judgement.findings = vec![Finding { warns: true, ..finding("MSG-01") }];
        run.judgement.warning_counts = [(id, 1)].into();
        let lax = assemble(facts(), std::slice::from_ref(&run));
        assert_eq!((verdict_of(&lax, "MSG-01"), lax.verdict, lax.exit_code), (Verdict::Warn, Verdict::Warn, 0));
        assert_eq!(lax.requirements[0].findings, 1);
        let strict = assemble(RunFacts { strict: true, ..facts() }, std::slice::from_ref(&run));
        assert_eq!(strict.verdict, Verdict::Fail);
        run.judgement.finding_counts = [(id, 1)].into();
        assert_eq!(assemble(facts(), &[run]).verdict, Verdict::Fail);
    }

    #[test]
    fn a_load_on_several_servers_is_one_scenario_and_the_worst_of_them_counts() {
        let on = |server: &str| {
            let mut run = scenario("load/x", &["MSG-01", "MSG-03"]);
            run.server = Some(server.to_owned());
            run
        };
        let (sound, mut broken, mut lost) = (on("s1"), on("s2"), on("s3"));
        broken.judgement.findings = vec![finding("MSG-01")];
        lost.unfinished = Some("step 1: it was refused".to_owned());
        lost.judgement.undecided = [(RequirementId::known("MSG-03"), "the trace ended".to_owned())].into();
        let report = assemble(facts(), &[sound.clone(), broken, lost.clone()]);
        assert_eq!((report.scenarios.len(), report.scenarios[0].observations), (1, 27));
        assert_eq!((report.scenarios[0].verdict, report.exit_code), (Verdict::Fail, 1));
        assert_eq!(report.scenarios[0].reason.as_deref(), Some("s3: step 1: it was refused"));
        assert_eq!((report.findings.len(), report.findings[0].server.as_deref()), (1, Some("s2")));
        // What is open where a server was lost does not outweigh what the others were put to.
        assert_eq!((verdict_of(&report, "MSG-01"), verdict_of(&report, "MSG-03")), (Verdict::Fail, Verdict::Pass));
        assert_eq!((report.requirements[0].tested, report.requirements[0].scenarios.len()), (6, 1));
        lost.unfinished = None;
        let report = assemble(facts(), &[sound.clone(), lost.clone()]);
        assert_eq!(verdict_of(&report, "MSG-03"), Verdict::Inconclusive);
        assert_eq!(report.requirements[1].reason.as_deref(), Some("load/x on s3: the trace ended"));
        let mut both = [sound, lost];
        both.iter_mut().for_each(|run| run.unfinished = Some("the harness was late".to_owned()));
        let report = assemble(facts(), &both);
        assert_eq!(report.scenarios[0].reason.as_deref(), Some("the harness was late"));
    }

    #[test]
    fn an_interrupted_run_says_so() {
        let mut facts = facts();
        facts.run.interrupted = true;
        assert_eq!(assemble(facts, &[scenario("a/b", &["MSG-01"])]).exit_code, 130);
    }
}
