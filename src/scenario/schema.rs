//! The JSON Schema of scenario files, for editors: completion, descriptions and errors while writing.
//!
//! It is made from the types of [`super::syntax`], with the words that only the catalogue knows added: requirements,
//! event resources, elements, credentials. The committed copies are `docs/scenario.schema.json` and, for
//! loads on what connects to an emulator, `docs/client-load.schema.json`; `tests/generated.rs` compares them.

use serde_json::{Value, json};

use super::need::Need;
use super::syntax::{ClientScenario, Scenario};
use crate::load::Metric;
use crate::protocol::events::Resource;
use crate::protocol::http::Credentials;
use crate::spec::{RequirementId, elements, requirements};

/// The schema (draft 2020-12) as text, with a line break at its end.
pub fn schema_text() -> String {
    let mut schema = schemars::schema_for!(Scenario).to_value();
    add_words(&mut schema);
    written(schema)
}

/// The schema of loads on what connects to an emulator, likewise.
pub fn client_load_schema_text() -> String {
    let mut schema = schemars::schema_for!(ClientScenario).to_value();
    let measured = [Metric::Ack, Metric::Answer, Metric::Lag].map(Metric::as_str);
    put(&mut schema, "/$defs/ClientLoad/properties/thresholds/propertyNames", json!({"enum": measured}));
    add_spellings(&mut schema);
    written(schema)
}

fn written(schema: Value) -> String {
    let mut text = serde_json::to_string_pretty(&in_reading_order(schema)).expect("a JSON value can be written");
    text.push('\n');
    text
}

/// The schema with what it is at its beginning.
fn in_reading_order(schema: Value) -> Value {
    let Value::Object(mut fields) = schema else { return schema };
    let mut ordered = serde_json::Map::new();
    for key in ["$schema", "title", "description"] {
        if let Some(value) = fields.remove(key) {
            ordered.insert(key.to_owned(), value);
        }
    }
    ordered.extend(fields);
    Value::Object(ordered)
}

/// Puts the words of the catalogue where the types only say "text".
fn add_words(schema: &mut Value) {
    let ids: Vec<&str> = requirements::all().map(RequirementId::as_str).collect();
    let words: Vec<&str> = Need::WORDS.iter().map(|(_, word)| *word).collect();
    let credentials: Vec<&str> = Credentials::NAMES.iter().map(|(_, name)| *name).collect();
    let resources: Vec<&str> = Resource::ALL.iter().map(|resource| resource.as_str()).collect();
    let mut names: Vec<&str> = Resource::ALL
        .iter()
        .flat_map(|resource| elements::of(*resource))
        .map(|element| element.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    let needs = json!({"anyOf": [{"enum": words}, {"type": "string", "pattern": "^version *>= *[0-9]+\\.[0-9]+$"}]});
    for (place, value) in [
        ("/properties/exercises/items", json!({"enum": ids})),
        ("/properties/exercises/minItems", json!(1)),
        ("/properties/needs/items", needs),
        ("/$defs/Token/properties/credentials/enum", json!(credentials)),
        ("/$defs/Request/properties/credentials/enum", json!(credentials)),
        ("/$defs/Request/properties/method/enum", json!(["GET", "POST", "PUT", "DELETE"])),
        ("/$defs/Wanted/properties/type/enum", json!(resources)),
        ("/$defs/Elements/anyOf/1/items", json!({"enum": names})),
        ("/$defs/Load/properties/thresholds/propertyNames", json!({"enum": Metric::NAMES})),
    ] {
        put(schema, place, value);
    }
    add_spellings(schema);
}

/// What k6 spells another way is read in that spelling, too.
fn add_spellings(schema: &mut Value) {
    let spellings = [
        ("Load", "warm-up", "warmUp"),
        ("ClientLoad", "warm-up", "warmUp"),
        ("ConstantArrivalRate", "time-unit", "timeUnit"),
        ("RampingArrivalRate", "time-unit", "timeUnit"),
        ("RampingArrivalRate", "start-rate", "startRate"),
        ("SharedIterations", "max-duration", "maxDuration"),
        ("Capacity", "time-unit", "timeUnit"),
        ("WholeThreshold", "abort-on-fail", "abortOnFail"),
        ("WholeThreshold", "delay-abort-eval", "delayAbortEval"),
    ];
    for (name, key, other) in spellings {
        if let Some(property) = schema.pointer(&format!("/$defs/{name}/properties/{key}")).cloned() {
            put(schema, &format!("/$defs/{name}/properties/{other}"), property);
        }
    }
}

/// Sets the value at a JSON pointer whose parent exists.
fn put(schema: &mut Value, place: &str, value: Value) {
    if let Some((parent, key)) = place.rsplit_once('/')
        && let Some(Value::Object(fields)) = schema.pointer_mut(parent)
    {
        fields.insert(key.to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{library, parse};

    #[test]
    fn every_shipped_scenario_fits_the_schema() {
        let schema: Value = serde_json::from_str(&schema_text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for source in library::shipped() {
            let value: Value = parse::yaml(&source.text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", source.file);
        }
    }

    #[test]
    fn every_shipped_load_on_clients_is_sound_and_fits_its_schema() {
        let schema: Value = serde_json::from_str(&client_load_schema_text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for source in library::client_loads() {
            if let Err(errors) = parse::read_client_load(&source.file, &source.text) {
                panic!("{}", crate::scenario::render(&source.text, &errors, false));
            }
            let value: Value = parse::yaml(&source.text).unwrap();
            let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{}: {errors:#?}", source.file);
        }
        assert!(!validator.is_valid(&json!({"title": "t", "load": {"thresholds": {"update": ["p(99)<1s"]}}})));
        assert!(!validator.is_valid(&json!({"title": "t", "load": {"updates": {"rate": 5}}})));
    }

    #[test]
    fn the_schema_refuses_what_the_parser_refuses() {
        let schema: Value = serde_json::from_str(&schema_text()).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let scenario = |step: Value| json!({"title": "t", "exercises": ["MSG-03"], "clients": ["a"], "steps": [step]});
        assert!(validator.is_valid(&scenario(json!({"connect": {"client": "a"}}))));
        for wrong in [
            json!({"connect": {"clinet": "a"}}),
            json!({"conect": {"client": "a"}}),
            json!({"connect": {"client": "a"}, "rest": {}}),
            json!({"subscribe": {"client": "a", "set": [{"index": 1, "type": "call"}]}}),
            json!({"subscribe": {"client": "a", "set": [{"index": 1, "type": "calls", "elements": "some"}]}}),
            json!({"token": {"credentials": "nobody"}}),
        ] {
            assert!(!validator.is_valid(&scenario(wrong.clone())), "{wrong}");
        }
        let mut unknown = scenario(json!({"rest": {}}));
        unknown["exercises"] = json!(["MSG-99"]);
        assert!(!validator.is_valid(&unknown));
    }
}
