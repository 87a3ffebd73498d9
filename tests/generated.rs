//! Files that are made by the program and committed: stale ones are found, with the command that renews them.

use std::fs;
use std::path::Path;

use bridgeproof::{report, scenario, traceability};

#[track_caller]
fn current(file: &str, command: &str, made: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = made.lines().zip(committed.lines()).position(|(made, committed)| made != committed);
    assert!(
        made == committed,
        "{file} is stale from line {} on; renew it with: cargo run --quiet -- {command} > {file}",
        differs.unwrap_or_else(|| made.lines().count().min(committed.lines().count())) + 1
    );
}

#[test]
fn the_table_of_requirements_is_current() {
    current("docs/REQUIREMENTS.md", "rules --markdown", &traceability::markdown(&traceability::all()));
}

#[test]
fn the_schema_of_scenarios_is_current() {
    current("docs/scenario.schema.json", "schema", &scenario::schema::schema_text());
}

#[test]
fn the_schema_of_reports_is_current() {
    current("docs/report.schema.json", "schema --report", &report::json::schema_text());
}
