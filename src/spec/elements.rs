//! The subscribable elements of the three event resources, with the domain of their values (EVENTS 2.1 to 2.3).

use std::sync::LazyLock;

use serde::Deserialize;

use super::Version;
use crate::protocol::events::Resource;
use crate::protocol::json::{NAMES, Name};

/// What values an element may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// Any text.
    String,
    /// A number that is not negative.
    Number,
    /// A number, or null where none is set.
    NumberOrNull,
    /// True or false.
    Boolean,
    /// A GUID.
    Id,
    /// One of these words.
    Enum(Vec<String>),
}

/// One subscribable element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name.
    pub name: String,
    /// Its values.
    pub domain: Domain,
    /// First release that has it.
    pub since: Option<Version>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    #[serde(default)]
    values: Vec<String>,
    since: Option<Version>,
    #[serde(rename = "note")]
    _note: Option<String>,
}

/// The elements of one resource.
#[derive(Debug)]
struct Elements {
    all: Vec<Element>,
    /// By the number of a name: which of them it is, counted from 1.
    places: [u8; NAMES],
}

/// By resource.
static TABLES: LazyLock<Vec<Elements>> = LazyLock::new(|| {
    let tables: toml::Table = include_str!("elements.toml").parse().expect("the tables are checked by a test");
    let of_resource = |resource: &Resource| {
        let all = rows(&tables, *resource);
        let mut places = [0; NAMES];
        for (place, element) in (1..).zip(&all) {
            let name = Name::of(&element.name);
            assert_ne!(name, Name::OTHER, "`{}` is among the names that are known beforehand", element.name);
            places[name.number()] = place;
        }
        Elements { all, places }
    };
    Resource::ALL.iter().map(of_resource).collect()
});

fn rows(tables: &toml::Table, resource: Resource) -> Vec<Element> {
    let table = tables[resource.as_str()].as_table().expect("each resource has a table");
    table
        .iter()
        .map(|(name, row)| {
            let row: Row = row.clone().try_into().expect("each row has a kind");
            let domain = match row.kind.as_str() {
                "string" => Domain::String,
                "number" => Domain::Number,
                "number-or-null" => Domain::NumberOrNull,
                "boolean" => Domain::Boolean,
                "id" => Domain::Id,
                "enum" => Domain::Enum(row.values),
                kind => panic!("`{kind}` is no kind of element"),
            };
            Element { name: name.clone(), domain, since: row.since }
        })
        .collect()
}

/// All elements of a resource.
pub fn of(resource: Resource) -> &'static [Element] {
    &TABLES[resource as usize].all
}

/// The place in [`of`] of the element of that name.
pub fn place(resource: Resource, name: Name) -> Option<usize> {
    usize::from(TABLES[resource as usize].places[name.number()]).checked_sub(1)
}

/// The element of that name.
pub fn find(resource: Resource, name: &str) -> Option<&'static Element> {
    of(resource).get(place(resource, Name::of(name))?)
}

/// The names of all elements that a release has.
pub fn names(resource: Resource, version: Version) -> impl Iterator<Item = &'static str> {
    of(resource)
        .iter()
        .filter(move |element| element.since.is_none_or(|since| version >= since))
        .map(|element| element.name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_is_found_by_its_name() {
        for resource in Resource::ALL {
            for (at, element) in of(*resource).iter().enumerate() {
                assert_eq!(place(*resource, Name::of(&element.name)), Some(at), "{}", element.name);
            }
            assert!(find(*resource, "").is_none() && find(*resource, "messageId").is_none());
        }
    }

    #[test]
    fn the_tables_read() {
        assert_eq!(find(Resource::CallRoster, "importance").unwrap().domain, Domain::NumberOrNull);
        assert!(names(Resource::CallRoster, Version::LATEST).any(|name| name == "canMoveToLobby"));
        assert!(names(Resource::CallRoster, Version { major: 2, minor: 5 }).all(|name| name != "canMove"));
        let Domain::Enum(words) = &find(Resource::Calls, "lockState").unwrap().domain else { panic!("no enumeration") };
        assert_eq!(words, &["locked", "notLocked"]);
    }
}
