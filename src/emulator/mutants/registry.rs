//! The list of all mutants, and how to make one by name.

use super::super::mutant::Mutant;
use super::{
    auth, cdr_numbers, cdr_receivers, cdr_transport, coincidences, conversation, elements, limits, messages, places,
    rare, record_fields, records_content, records_course, subscriptions, subtle, updates, values, websocket,
};

/// One mutant of the list.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// The requirement that it breaks.
    pub breaks: &'static str,
    /// Requirements that may fail with it, each with the reason.
    pub collateral: &'static [(&'static str, &'static str)],
    /// How a real product comes to have this fault.
    pub story: &'static str,
    /// Makes one.
    pub make: fn() -> Box<dyn Mutant>,
}

/// All mutants, by area.
pub const ALL: &[&[Registered]] = &[
    messages::MUTANTS,
    auth::MUTANTS,
    websocket::MUTANTS,
    subscriptions::MUTANTS,
    updates::MUTANTS,
    values::MUTANTS,
    limits::MUTANTS,
    subtle::MUTANTS,
    coincidences::MUTANTS,
    conversation::MUTANTS,
    elements::MUTANTS,
    places::MUTANTS,
    cdr_transport::MUTANTS,
    cdr_numbers::MUTANTS,
    cdr_receivers::MUTANTS,
    records_course::MUTANTS,
    records_content::MUTANTS,
    record_fields::MUTANTS,
];

/// Mutants that only a load finds; they are in none of the areas, since no scenario of the suite is long enough.
pub const OF_LOADS: &[Registered] = rare::MUTANTS;

/// All mutants that the suite finds, one after the other.
pub fn all() -> impl Iterator<Item = &'static Registered> {
    ALL.iter().flat_map(|area| area.iter())
}

/// The mutant of that name.
pub fn find(name: &str) -> Option<&'static Registered> {
    all().chain(OF_LOADS).find(|mutant| mutant.name == name)
}

/// A fresh mutant of that name.
pub fn make(name: &str) -> Option<Box<dyn Mutant>> {
    find(name).map(|mutant| (mutant.make)())
}

/// A row of the list.
pub(super) const fn row(
    name: &'static str,
    breaks: &'static str,
    collateral: &'static [(&'static str, &'static str)],
    story: &'static str,
    make: fn() -> Box<dyn Mutant>,
) -> Registered {
    Registered { name, breaks, collateral, story, make }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    const AREAS: [(&str, &[u8]); 8] = [
        ("AUTH", &[1, 2, 3, 4, 5, 6, 7, 8]),
        ("WS", &[1, 2, 3, 4, 5, 8, 10]),
        ("MSG", &[1, 3, 4, 5, 7, 8, 9, 10, 11]),
        ("SUB", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]),
        ("UPD", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]),
        ("LIM", &[1, 2, 3, 4, 5, 6, 7]),
        ("CDR", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 19]),
        ("REC", &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 24]),
    ];

    #[test]
    fn every_requirement_on_servers_has_a_mutant_and_every_mutant_a_requirement() {
        let mut known = BTreeMap::new();
        for (area, numbers) in AREAS {
            known.extend(numbers.iter().map(|number| (format!("{area}-{number:02}"), 0)));
        }
        for mutant in all() {
            *known.get_mut(mutant.breaks).unwrap_or_else(|| panic!("{}: {}", mutant.name, mutant.breaks)) += 1;
            assert!(mutant.collateral.iter().all(|(id, _)| *id != mutant.breaks), "{}", mutant.name);
        }
        let without: Vec<&String> = known.iter().filter(|(_, count)| **count == 0).map(|(id, _)| id).collect();
        assert!(without.is_empty(), "no mutant breaks {without:?}");
    }

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        let mut seen = BTreeSet::new();
        for mutant in all() {
            assert!(seen.insert(mutant.name), "{} twice", mutant.name);
            assert!(
                mutant.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'),
                "{}",
                mutant.name
            );
            assert!(find(mutant.name).is_some() && make(mutant.name).is_some());
        }
        assert_eq!(all().next().map(|first| (first.name, first.breaks)), Some(("ack-of-request-missing", "MSG-03")));
    }
}
