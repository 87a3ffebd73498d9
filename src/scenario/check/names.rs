//! Which names have a value at a step: what earlier steps stored, the numbers of loops, and the built-in values.

use std::collections::BTreeSet;

use crate::scenario::template::{Part, Reference};

/// The built-in values that belong to no client.
const BUILT_IN: [&str; 2] = ["run", "guid"];

/// The built-in values of each client.
const OF_CLIENT: [&str; 3] = ["unacked", "last", "received"];

/// The built-in values of each CDR receiver.
const OF_RECEIVER: [&str; 4] = ["uri", "id", "sets", "records"];

/// The names that have a value.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Names that are written out.
    exact: BTreeSet<String>,
    /// What stands before the first reference in names that are made by templates.
    made: BTreeSet<String>,
    /// The numbers of the loops around the step.
    loops: Vec<String>,
}

impl Names {
    /// The names before the first step, where these clients and receivers take part.
    pub(super) fn new<'c>(clients: impl Iterator<Item = &'c str>, receivers: impl Iterator<Item = &'c str>) -> Self {
        let of_clients = clients.flat_map(|client| OF_CLIENT.iter().map(move |value| format!("{client}.{value}")));
        let of_receivers = receivers.flat_map(|name| OF_RECEIVER.iter().map(move |value| format!("{name}.{value}")));
        let exact = BUILT_IN.iter().map(|name| (*name).to_owned()).chain(of_clients).chain(of_receivers).collect();
        Self { exact, ..Self::default() }
    }

    /// Gives a name a value; `false` if it is written out and has one already.
    pub(super) fn bind(&mut self, name: &[Part]) -> bool {
        match name {
            [Part::Text(name)] => !self.loops.contains(name) && self.exact.insert(name.clone()),
            parts => {
                self.made.insert(literal_prefix(parts).to_owned());
                true
            }
        }
    }

    /// Begins a loop; `false` if its name has a value already.
    pub(super) fn enter_loop(&mut self, name: &str) -> bool {
        let fresh = !self.exact.contains(name) && !self.loops.iter().any(|known| known == name);
        self.loops.push(name.to_owned());
        fresh
    }

    /// Ends the innermost loop.
    pub(super) fn leave_loop(&mut self) {
        self.loops.pop();
    }

    /// Whether a reference can have a value, as far as its name is known before the run.
    pub(super) fn has(&self, reference: &Reference) -> bool {
        match reference.plain_name() {
            Some(name) => {
                self.exact.contains(name)
                    || self.loops.iter().any(|known| known == name)
                    || self.made.iter().any(|prefix| name.starts_with(prefix))
            }
            None => {
                let prefix = literal_prefix(&reference.name);
                self.exact.iter().any(|name| name.starts_with(prefix))
                    || self.made.iter().any(|known| known.starts_with(prefix) || prefix.starts_with(known.as_str()))
            }
        }
    }

    /// Every name that is written out, for suggestions.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> + Clone {
        self.exact.iter().chain(&self.loops).map(String::as_str)
    }
}

/// The text before the first reference.
fn literal_prefix(parts: &[Part]) -> &str {
    match parts.first() {
        Some(Part::Text(text)) => text,
        _ => "",
    }
}

/// Whether a text can be the name of a client, a receiver or a loop: letters, digits, `-` and `_`, and no built-in name.
pub(super) fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && !BUILT_IN.contains(&name)
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::template;

    fn parts(text: &str) -> Vec<Part> {
        template::parse(text).unwrap().parts
    }

    fn has(names: &Names, text: &str) -> bool {
        let parsed = template::parse(text).unwrap();
        parsed.references().into_iter().all(|reference| names.has(reference))
    }

    #[test]
    fn built_in_names_and_loops_have_values_where_they_belong() {
        let mut names = Names::new(["alice"].into_iter(), ["main"].into_iter());
        assert!(has(&names, "${run} ${guid} ${alice.unacked} ${main.uri}") && !has(&names, "${alice.uri}"));
        assert!(!has(&names, "${bob.unacked}") && !has(&names, "${n}"));
        assert!(names.enter_loop("n"));
        assert!(has(&names, "${n + 1}") && !names.enter_loop("n"));
        names.leave_loop();
        names.leave_loop();
        assert!(!has(&names, "${n}"));
    }

    #[test]
    fn names_made_by_templates_are_known_by_what_they_begin_with() {
        let mut names = Names::default();
        names.enter_loop("n");
        assert!(!has(&names, "${call-${n}}"));
        assert!(names.bind(&parts("call-${n}")));
        assert!(has(&names, "${call-${n}}") && has(&names, "${call-7}"));
        assert!(!has(&names, "${leg-${n}}") && !has(&names, "${cal}"));
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::default();
        assert!(names.bind(&parts("call")) && !names.bind(&parts("call")));
    }
}
