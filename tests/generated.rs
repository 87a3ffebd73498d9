//! Committed files that must agree with the program: those that it makes, with the command that renews a stale one, and
//! the examples in the documents, which must do what they say.

use std::fs;
use std::path::Path;

use bridgeproof::engine::{End, Options};
use bridgeproof::rules::{Context, Deadlines, Judge};
use bridgeproof::simulation::{Limits, Server, simulate};
use bridgeproof::spec::Version;
use bridgeproof::trace::Side;
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
fn the_schema_of_loads_on_clients_is_current() {
    current("docs/client-load.schema.json", "schema --client-load", &scenario::schema::client_load_schema_text());
}

#[test]
fn the_schema_of_reports_is_current() {
    current("docs/report.schema.json", "schema --report", &report::json::schema_text());
}

#[test]
fn the_examples_in_the_documents_test_what_they_say() {
    for file in ["README.md", "docs/SCENARIOS.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
        let examples: Vec<&str> =
            text.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
        assert!(!examples.is_empty(), "{file} has no example");
        for example in examples {
            if example.contains("\n  updates:") || example.contains("\n  records:") {
                // What connects to an emulator is not there.
                scenario::read_client_load(file, example)
                    .unwrap_or_else(|errors| panic!("{}", scenario::render(example, &errors, false)));
                continue;
            }
            let read = scenario::read(file, example)
                .unwrap_or_else(|errors| panic!("{}", scenario::render(example, &errors, false)));
            if read.load.is_some() {
                // A load has no steps that the simulation could carry out.
                continue;
            }
            let judge = Judge::new(Context {
                judged: Side::Server,
                observer: Side::Client,
                version: Version::LATEST,
                clustered: Some(false),
                deadlines: Deadlines::default(),
            });
            let (judge, outcome) =
                simulate(file, &read, Options::default(), Server::default(), judge, &Limits::default());
            let judgement = judge.finish();
            assert_eq!((outcome.end, judgement.findings.len()), (End::Finished, 0), "{example}");
            for name in &read.exercises {
                let tested = judgement.tested.keys().any(|id| id.as_str() == name.value);
                assert!(tested, "{} is not put to the test by\n{example}", name.value);
            }
        }
    }
}

#[test]
fn the_guide_to_scenarios_names_every_step() {
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/SCENARIOS.md")).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&scenario::schema::schema_text()).unwrap();
    let steps = schema["$defs"]["Step"]["oneOf"].as_array().expect("steps are tagged by their word");
    let words: Vec<&str> =
        steps.iter().filter_map(|step| step["properties"].as_object()?.keys().next().map(String::as_str)).collect();
    assert!(words.len() > 20, "{words:?}");
    let keys = schema["$defs"]["Load"]["properties"].as_object().expect("a load has keys").keys();
    let keys = keys.filter(|key| !key.contains(char::is_uppercase));
    let metrics = bridgeproof::load::Metric::NAMES.into_iter();
    let words = words.into_iter().chain(keys.map(String::as_str)).chain(metrics);
    let missing: Vec<_> = words.filter(|word| !guide.contains(&format!("`{word}`"))).collect();
    assert!(missing.is_empty(), "docs/SCENARIOS.md does not name {missing:?}");
}
