//! `report.json`: the model as it stands, and its JSON Schema.
//!
//! The committed copy of the schema is `docs/report.schema.json`; `tests/generated.rs` says when it is stale.

use super::model::Report;

/// The report as JSON, indented, with a line break at its end.
pub fn render(report: &Report) -> String {
    let mut text = serde_json::to_string_pretty(report).expect("the model has text keys and finite numbers only");
    text.push('\n');
    text
}

/// The JSON Schema of reports (draft 2020-12), with a line break at its end.
pub fn schema_text() -> String {
    let schema = schemars::schema_for!(Report);
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is a JSON value");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_fits_the_schema_and_a_damaged_one_does_not() {
        let schema = serde_json::from_str(&schema_text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let mut report: serde_json::Value = serde_json::from_str(&render(&super::super::fixtures::report())).unwrap();
        let errors: Vec<String> = validator.iter_errors(&report).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new());
        report["verdict"] = "perfect".into();
        assert!(!validator.is_valid(&report));
    }
}
