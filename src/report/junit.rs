//! `junit.xml`: a suite for each area, a case for each requirement.
//!
//! A failure is a requirement that was not met (and a stale known deviation); an error is one that could not be decided.
//! Scenarios that could not be carried out and expectations of their own are cases of the suite `scenarios`, trouble with
//! the target or the network those of the suite `environment`, thresholds those of the suite `thresholds`.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report as JunitReport, TestCase, TestCaseStatus, TestSuite};

use super::escape::clean;
use super::model::{FindingResult, Report, RequirementResult, Verdict};
use super::table;

/// The report as JUnit XML.
pub fn render(report: &Report) -> String {
    let mut junit = JunitReport::new("bridgeproof");
    junit.set_time(Duration::from_millis(report.run.duration_ms));
    let mut suites: Vec<TestSuite> = Vec::new();
    for requirement in &report.requirements {
        let area = table::area(&requirement.id);
        if suites.last().is_none_or(|suite| suite.name.as_str() != area) {
            suites.push(TestSuite::new(area));
        }
        if let Some(suite) = suites.last_mut() {
            suite.add_test_case(requirement_case(report, requirement));
        }
    }
    let mut scenarios = TestSuite::new("scenarios");
    for one in &report.scenarios {
        let own: Vec<_> =
            report.findings.iter().filter(|own| own.requirement.is_none() && own.scenario == one.id).collect();
        let reason = one.reason.as_deref().unwrap_or_default();
        let mut status = match (&one.reason, one.verdict) {
            _ if !own.is_empty() => TestCaseStatus::non_success(NonSuccessKind::Failure),
            (Some(_), Verdict::Skipped) => TestCaseStatus::skipped(),
            (Some(_), _) => TestCaseStatus::non_success(NonSuccessKind::Error),
            (None, _) => TestCaseStatus::success(),
        };
        status.set_message(
            clean(if own.is_empty() { reason } else { "an expectation of the scenario was not met" }).as_ref(),
        );
        if !own.is_empty() {
            status.set_description(described(report, &own));
        }
        let mut case = TestCase::new(clean(&one.id).as_ref(), status);
        case.set_time(Duration::from_millis(one.duration_ms));
        scenarios.add_test_case(case);
    }
    junit.add_test_suites(suites);
    junit.add_test_suite(scenarios);
    if !report.thresholds.is_empty() {
        junit.add_test_suite(thresholds(report));
    }
    if !report.errors.is_empty() {
        junit.add_test_suite(environment(report));
    }
    junit.to_string().expect("names and texts are free of what XML cannot hold")
}

/// A case for each threshold.
fn thresholds(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new("thresholds");
    for one in &report.thresholds {
        let mut status = match (one.undecided, one.passed) {
            (true, _) => TestCaseStatus::skipped(),
            (false, true) => TestCaseStatus::success(),
            (false, false) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        };
        status.set_message(clean(&one.observed).as_ref());
        suite.add_test_case(TestCase::new(clean(&format!("{}: {}", one.metric, one.expression)).as_ref(), status));
    }
    suite
}

/// Trouble with the environment: what kept the run from judging must not look like a pass.
fn environment(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new("environment");
    for error in &report.errors {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_message(clean(error).as_ref());
        suite.add_test_case(TestCase::new(clean(&report.target.shown()).as_ref(), status));
    }
    suite
}

fn requirement_case(report: &Report, requirement: &RequirementResult) -> TestCase {
    let reason = requirement.reason.as_deref().unwrap_or(&requirement.text);
    let mut status = match requirement.verdict {
        Verdict::Fail | Verdict::Xpass => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Verdict::Inconclusive => TestCaseStatus::non_success(NonSuccessKind::Error),
        Verdict::Skipped | Verdict::Xfail => TestCaseStatus::skipped(),
        Verdict::Pass | Verdict::Warn | Verdict::Observed => TestCaseStatus::success(),
    };
    status.set_message(clean(reason).as_ref());
    let own: Vec<_> = report.findings.iter().filter(|one| one.requirement.as_ref() == Some(&requirement.id)).collect();
    let text = described(report, &own);
    let warned = requirement.verdict == Verdict::Warn;
    if !own.is_empty() && !warned {
        status.set_description(text.as_str());
    }
    let mut case = TestCase::new(requirement.id.as_str(), status);
    case.set_classname(table::area(&requirement.id));
    if warned {
        case.set_system_out(text);
    }
    case
}

fn described(report: &Report, findings: &[&FindingResult]) -> String {
    let mut lines = Vec::new();
    for one in findings {
        lines.push(format!("{}, step {}", clean(&one.place()), clean(&one.step)));
        lines.push(format!("expected {}", clean(&one.expected)));
        lines.push(format!("observed {}", clean(&one.observed)));
        lines.extend(one.evidence_text.iter().map(|text| clean(text).into_owned()));
        lines.push(format!("repeat {}", clean(&report.run.repeat(&one.scenario))));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_junit_file_is_as_committed() {
        snapbox::assert_data_eq!(
            render(&super::super::fixtures::report()),
            super::super::fixtures::golden("junit.xml")
        );
    }
}
