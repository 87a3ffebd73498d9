//! What a run left in its report folder.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

/// The row of that name among the latencies of a report.
pub(crate) fn row<'r>(report: &'r Value, name: &str) -> &'r Value {
    report["latency"].as_array().unwrap().iter().find(|row| row["name"] == name).unwrap()
}

/// `report.json` of a folder, checked against the committed schema.
pub(crate) fn read(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("report.json")).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap();
    let schema = std::fs::read_to_string(root().join("docs/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
    assert_eq!(errors, Vec::<String>::new());
    for secret in [super::child::PASSWORD.1, super::child::SECOND.1] {
        assert!(!text.contains(secret), "a password is in the report");
    }
    report
}

/// The verdict of each requirement.
pub(crate) fn verdicts(report: &Value) -> BTreeMap<String, String> {
    by_id(&report["requirements"])
}

/// The verdict of each scenario.
pub(crate) fn scenarios(report: &Value) -> BTreeMap<String, String> {
    by_id(&report["scenarios"])
}

fn by_id(list: &Value) -> BTreeMap<String, String> {
    let entries = list.as_array().unwrap().iter();
    entries.map(|one| (text(&one["id"]), text(&one["verdict"]))).collect()
}

/// The requirements of that verdict.
pub(crate) fn with_verdict(report: &Value, verdict: &str) -> Vec<String> {
    verdicts(report).into_iter().filter(|(_, own)| own == verdict).map(|(id, _)| id).collect()
}

/// Errors, reasons and findings in one text.
pub(crate) fn words(report: &Value) -> String {
    let mut words: Vec<String> = report["errors"].as_array().unwrap().iter().map(text).collect();
    let scenarios = report["scenarios"].as_array().unwrap().iter();
    words.extend(scenarios.filter_map(|one| one["reason"].as_str()).map(str::to_owned));
    let findings = report["findings"].as_array().unwrap().iter();
    words.extend(findings.map(|one| format!("{}: {}", one["requirement"], one["observed"])));
    words.join("\n")
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The folder of the package.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
