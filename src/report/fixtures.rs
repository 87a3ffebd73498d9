//! A small run with every kind of verdict, for the tests of the renderings.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::assemble::{RunFacts, ScenarioRun, StepMark, assemble};
use super::model::{LoadHarness, LoadMoment, LoadResult, MomentMetric, Report, Run, Target, TargetKind};
use crate::rules::{Finding, Judgement};
use crate::spec::{RequirementId, Version};
use crate::time::Instant;
use crate::trace::{ConnectionId, Seq};

/// A golden file; `SNAPSHOTS=overwrite` renews it.
pub(crate) fn golden(name: &str) -> snapbox::Data {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    snapbox::Data::read_from(&path, Some(snapbox::data::DataFormat::Text)).raw()
}

/// Facts of a run against the embedded emulator.
pub(crate) fn facts() -> RunFacts {
    RunFacts {
        run: Run {
            id: "r1".to_owned(),
            seed: 7,
            started_at: "2027-01-01T00:00:00Z".to_owned(),
            duration_ms: 1500,
            command: "bridgeproof run --seed 7".to_owned(),
            files: BTreeMap::new(),
            options: String::new(),
            interrupted: false,
        },
        target: Target {
            kind: TargetKind::Emulator,
            url: "http://127.0.0.1:1".to_owned(),
            others: Vec::new(),
            software_version: Some("3.7".to_owned()),
            dialect: Vec::new(),
            mutants: Vec::new(),
        },
        version: Version::LATEST,
        strict: false,
        known: Vec::new(),
        errors: Vec::new(),
        exit_codes: Vec::new(),
    }
}

/// A scenario that exercises these, each tested twice.
pub(crate) fn scenario(id: &str, exercises: &[&str]) -> ScenarioRun {
    let exercises: Vec<_> = exercises.iter().map(|name| RequirementId::known(name)).collect();
    let judgement = Judgement { tested: exercises.iter().map(|id| (*id, 2)).collect(), ..Judgement::default() };
    ScenarioRun {
        id: id.to_owned(),
        title: format!("title of {id}"),
        exercises,
        judgement,
        duration: Duration::from_millis(20),
        observations: 9,
        ..ScenarioRun::default()
    }
}

/// A finding on connection 1, proven by observation 2.
pub(crate) fn finding(name: &str) -> Finding {
    Finding {
        requirement: RequirementId::known(name),
        warns: false,
        at: Instant::from_millis(34),
        connection: Some(ConnectionId(1)),
        expected: "an ack".to_owned(),
        observed: "<script>alert(1)</script> | \u{1b}[2J".to_owned(),
        evidence: vec![Seq(2)],
    }
}

/// A run with a failure, an unfinished and a skipped scenario.
pub(crate) fn report() -> Report {
    let mut failing = scenario("messages/acked", &["AUTH-01", "MSG-01"]);
    failing.judgement.findings = vec![finding("MSG-01")];
    failing.steps = vec![StepMark { since: Seq(1), number: 1, text: "connect alice".to_owned() }];
    failing.evidence = BTreeMap::from([(Seq(2), "#2 +34 ms alice <- {\"type\":\"<script>\u{1b}\"}".to_owned())]);
    failing.connections = BTreeMap::from([(ConnectionId(1), "alice (1)".to_owned())]);
    let mut unfinished = scenario("messages/stuck", &["MSG-02"]);
    unfinished.judgement = Judgement::default();
    unfinished.unfinished = Some("no answer within 6 s".to_owned());
    let mut skipped = scenario("auth/second", &["AUTH-03"]);
    skipped.judgement = Judgement::default();
    skipped.skipped = Some("needs unprivileged-account".to_owned());
    assemble(facts(), &[failing, unfinished, skipped])
}

/// A load of five seconds whose updates took longer and longer.
pub(crate) fn load() -> LoadResult {
    let metric =
        |p99_us| MomentMetric { count: 20, errors: 0, p50_us: p99_us / 2, p90_us: p99_us, p99_us, max_us: p99_us };
    let moment = |second: u64| LoadMoment {
        at_ms: second * 1000,
        length_ms: 1000,
        probe: None,
        begun: 20,
        late: 0,
        unserved: 0,
        messages: 41,
        records: 0,
        findings: 0,
        lost_connections: 0,
        cpu_user_ms: 30,
        cpu_system_ms: 10,
        memory_kib: Some(20_480),
        metrics: [("update", metric((second + 1) * 10_000)), ("lag", metric(90))]
            .map(|(name, values)| (name.to_owned(), values))
            .into(),
    };
    let harness = LoadHarness {
        cpu_user_ms: 150,
        cpu_system_ms: 50,
        memory_max_kib: 20_480,
        messages_per_cpu_s: Some(1025.0),
        records_per_cpu_s: None,
    };
    LoadResult {
        scenario: "load/steady".to_owned(),
        on_clients: false,
        executor: "constant-arrival-rate".to_owned(),
        planned: Some(100),
        begun: 100,
        late: 0,
        unserved: 0,
        crowded: 0,
        unfinished: 0,
        lost_connections: 0,
        gone: 0,
        messages: 205,
        sets: 0,
        records: 0,
        duration_ms: 5000,
        aborted: false,
        capacity_per_s: None,
        time_unit_ms: None,
        shown_per_s: None,
        broke_at_per_s: None,
        limit: None,
        curve: Vec::new(),
        harness: Some(harness),
        moments: (0..5).map(moment).collect(),
        servers: Vec::new(),
    }
}
