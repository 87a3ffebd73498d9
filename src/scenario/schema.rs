//! The JSON Schema of scenario files, for editors: completion, descriptions and errors while writing.
//!
//! It is made from the types of [`super::syntax`], with the words that only the catalogue knows added: requirements,
//! event resources, elements, credentials. The committed copy is `docs/scenario.schema.json`.

use serde_json::{Value, json};

use super::need::Need;
use super::syntax::Scenario;
use crate::protocol::events::Resource;
use crate::protocol::http::Credentials;
use crate::spec::{RequirementId, elements, requirements};

/// The schema (draft 2020-12) as text, with a line break at its end.
pub fn schema_text() -> String {
    let mut schema = schemars::schema_for!(Scenario).to_value();
    add_words(&mut schema);
    let mut text = serde_json::to_string_pretty(&schema).expect("a JSON value can be written");
    text.push('\n');
    text
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
    ] {
        put(schema, place, value);
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
