//! The check of a scenario as a whole, and what the checks of its steps share.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::names::{self, Names};
use crate::scenario::diagnostic::ScenarioError;
use crate::scenario::need::Need;
use crate::scenario::suggest;
use crate::scenario::syntax::{Judged, PlanEntry, Scenario, Template, Time};
use crate::scenario::template::TemplateError;
use crate::spec::requirements;
use crate::spec::{RequirementId, Subject};

/// The longest time that any part of a scenario may take.
const LONGEST: Duration = Duration::from_secs(3600);

/// How many errors of one file are reported. Nobody reads more, and a hostile file must not cost more.
const MOST_ERRORS: usize = 100;

/// How many connections a scenario may use on a server without `limits`; the server has five for everyone.
pub(super) const MOST_CLIENTS: usize = 2;

/// All that is wrong with a scenario, in the order of its places.
pub fn check(file: &str, text: &str, scenario: &Scenario) -> Vec<ScenarioError> {
    let mut checker = Checker::new(file, text, scenario);
    checker.head();
    if let Some(load) = &scenario.load {
        // A load uses all receivers, and has connections of its own.
        checker.load(load);
    } else {
        checker.steps(&scenario.steps, text.len());
        checker.clients_are_used();
        checker.receivers_are_used();
    }
    checker.into_errors()
}

/// All that is wrong with the plan of a receiver that stands alone, in the order of its places.
pub fn check_plan(file: &str, text: &str, entries: &[Spanned<PlanEntry>]) -> Vec<ScenarioError> {
    let nobody = Scenario::default();
    let mut checker = Checker::new(file, text, &nobody);
    checker.plan_entries(entries);
    checker.into_errors()
}

/// The state of a check.
pub(super) struct Checker<'s> {
    file: &'s str,
    text: &'s str,
    pub(super) scenario: &'s Scenario,
    errors: Vec<ScenarioError>,
    needs: BTreeSet<Need>,
    /// The clients that a `connect` has named so far.
    pub(super) connected: BTreeSet<&'s str>,
    /// The CDR receivers that listen, and those that are configured on the server, by the steps so far.
    pub(super) listening: BTreeSet<&'s str>,
    pub(super) registered: BTreeSet<&'s str>,
    pub(super) names: Names,
    /// The bytes of the step (or the part of one) that is looked at.
    pub(super) at: Range<usize>,
    /// How often the steps that are looked at run, by the loops around them.
    pub(super) rounds: u64,
}

impl<'s> Checker<'s> {
    pub(super) fn new(file: &'s str, text: &'s str, scenario: &'s Scenario) -> Self {
        let clients = scenario.clients.iter().map(|client| client.value.as_str());
        let receivers = scenario.receivers.iter().map(|receiver| receiver.value.name.as_str());
        Self {
            file,
            text,
            scenario,
            errors: Vec::new(),
            needs: scenario.needs.iter().filter_map(|need| need.value.parse().ok()).collect(),
            connected: BTreeSet::new(),
            listening: BTreeSet::new(),
            registered: BTreeSet::new(),
            names: Names::new(clients, receivers),
            at: 0..text.len(),
            rounds: 1,
        }
    }

    pub(super) fn into_errors(self) -> Vec<ScenarioError> {
        let mut errors = self.errors;
        errors.sort_by_key(|error| (error.span.start, error.span.end));
        errors.dedup();
        errors
    }

    /// The text of the file.
    pub(super) const fn text(&self) -> &'s str {
        self.text
    }

    /// Whether the scenario says that it needs this.
    pub(super) fn needs(&self, need: Need) -> bool {
        self.needs.contains(&need)
    }

    /// An error at a place.
    pub(super) fn error(&mut self, span: Range<usize>, message: impl Into<String>, help: Option<String>) {
        if self.is_full() {
            return;
        }
        if self.errors.len() + 1 == MOST_ERRORS {
            let message = "here the list of errors ends, but more is wrong";
            return self.errors.push(ScenarioError::new(self.file, self.text, span, message, None));
        }
        self.errors.push(ScenarioError::new(self.file, self.text, span, message, help));
    }

    /// Whether as many errors were found as are reported.
    fn is_full(&self) -> bool {
        self.errors.len() >= MOST_ERRORS
    }

    /// An error at the word `needle` of the current step, or at the step where the word is not found.
    pub(super) fn error_at(&mut self, needle: &str, message: impl Into<String>, help: Option<String>) {
        if !self.is_full() {
            let span = self.find(needle);
            self.error(span, message, help);
        }
    }

    /// An error at the first word of the current step.
    pub(super) fn error_here(&mut self, message: impl Into<String>, help: Option<String>) {
        self.error_at("", message, help);
    }

    /// Reports that a step is only for scenarios that need something.
    pub(super) fn require(&mut self, need: Need, what: &str) {
        if !self.needs(need) {
            self.error_here(format!("{what} needs `{need}`"), Some(format!("add `{need}` to `needs`")));
        }
    }

    fn find(&self, needle: &str) -> Range<usize> {
        let step = self.text.get(self.at.clone()).unwrap_or_default();
        let is_part = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
        let whole = step.match_indices(needle).find(|(at, _)| {
            let before = needle.starts_with(is_part) && step[..*at].ends_with(is_part);
            let after = needle.ends_with(is_part) && step[at + needle.len()..].starts_with(is_part);
            !before && !after
        });
        match whole {
            Some((at, _)) if !needle.is_empty() => self.at.start + at..self.at.start + at + needle.len(),
            _ => {
                let start = step.find(|c: char| c.is_alphanumeric()).unwrap_or_default();
                let length = step[start..].find(|c: char| !is_part(c)).unwrap_or(step.len() - start);
                self.at.start + start..self.at.start + start + length
            }
        }
    }

    fn head(&mut self) {
        let scenario = self.scenario;
        if scenario.title.trim().is_empty() {
            self.error_at("title", "the title is empty", Some("say in one sentence what is tested".to_owned()));
        }
        if let Some(deadline) = scenario.deadline {
            self.time("deadline", Some(deadline));
            if scenario.load.is_some() {
                let help = Some("leave it out: a load says itself how long it takes".to_owned());
                self.error_at("deadline", "a load has no `deadline`", help);
            }
        }
        self.exercises();
        self.needs_are_known();
        self.clients_are_well_named();
        self.receivers_are_well_formed();
        if scenario.steps.is_empty() && scenario.load.is_none() {
            self.error_at("steps", "there are no steps", Some("name `steps`, or a `load`".to_owned()));
        }
    }

    fn exercises(&mut self) {
        let scenario = self.scenario;
        if scenario.exercises.is_empty() {
            let help = "name the requirements that it is there to put to the test".to_owned();
            self.error_at("exercises", "the scenario exercises nothing", Some(help));
        }
        self.no_duplicates(&scenario.exercises);
        // A Meeting Server is judged as server of events and as sender of records; its peers as well.
        let wanted: &[Subject] = match scenario.judge {
            Judged::Server => &[Subject::Server, Subject::Sender],
            Judged::Client => &[Subject::Client, Subject::Receiver],
        };
        for name in &scenario.exercises {
            let Some(id) = RequirementId::from_name(&name.value) else {
                let known = requirements::all().map(RequirementId::as_str);
                let help = suggest::nearest(&name.value, known).map(|near| format!("did you mean `{near}`?"));
                self.error(span(name), format!("no requirement is called `{}`", name.value), help);
                continue;
            };
            let subject = id.get().subject;
            if !wanted.contains(&subject) {
                let help = match subject {
                    Subject::Server | Subject::Sender => Some("leave out `judge`, or say `judge: server`".to_owned()),
                    Subject::Client | Subject::Receiver => Some("say `judge: client`".to_owned()),
                    _ => None,
                };
                let message = format!("{id} is about the {subject}, which this scenario does not judge");
                self.error(span(name), message, help);
            }
        }
    }

    fn needs_are_known(&mut self) {
        let scenario = self.scenario;
        self.no_duplicates(&scenario.needs);
        for need in &scenario.needs {
            if let Err(error) = need.value.parse::<Need>() {
                self.error(span(need), error.to_string(), error.help);
            }
        }
    }

    fn clients_are_well_named(&mut self) {
        let scenario = self.scenario;
        self.no_duplicates(&scenario.clients);
        for client in &scenario.clients {
            if !names::is_plain_name(&client.value) {
                let help = Some("letters, digits, `-` and `_` make a name; `run` and `guid` are taken".to_owned());
                self.error(span(client), format!("`{}` cannot be the name of a client", client.value), help);
            }
        }
        if let Some(third) = scenario.clients.get(MOST_CLIENTS).filter(|_| !self.needs(Need::Limits)) {
            let message = format!("more than {MOST_CLIENTS} connections at a server need `limits`");
            self.error(span(third), message, Some("add `limits` to `needs`".to_owned()));
        }
    }

    fn clients_are_used(&mut self) {
        let scenario = self.scenario;
        for client in &scenario.clients {
            if !self.connected.contains(client.value.as_str()) {
                self.error(span(client), format!("`{}` takes no part: nothing connects it", client.value), None);
            }
        }
    }

    fn no_duplicates(&mut self, names: &[Spanned<String>]) {
        let mut seen = BTreeSet::new();
        for name in names {
            if !seen.insert(name.value.as_str()) {
                self.error(span(name), format!("`{}` stands twice", name.value), None);
            }
        }
    }

    /// Checks a length of time that a step gives.
    pub(super) fn time(&mut self, key: &str, time: Option<Time>) {
        if let Some(Time(length)) = time
            && (length.is_zero() || length > LONGEST)
        {
            self.error_at(key, format!("`{key}` has to be more than nothing and at most an hour"), None);
        }
    }

    /// Checks that a template can be read and that what it refers to has a value here.
    pub(super) fn template(&mut self, template: &Template) {
        self.text_with_references(&template.0);
    }

    /// As [`Self::template`], for a text.
    pub(super) fn text_with_references(&mut self, text: &str) {
        let parsed = match Template(text.to_owned()).parse() {
            Ok(parsed) => parsed,
            Err(error) => return self.broken_template(text, &error),
        };
        for reference in parsed.references() {
            if self.is_full() || self.names.has(reference) {
                continue;
            }
            let (name, needle) =
                reference.plain_name().map_or_else(|| (text, text.to_owned()), |name| (name, format!("${{{name}")));
            let help = suggest::nearest(name, self.names.known()).map(|near| format!("did you mean `{near}`?"));
            let help = help.or_else(|| Some("an earlier step has to store it with `as:`".to_owned()));
            self.error_at(&needle, format!("`{name}` has no value here"), help);
        }
    }

    fn broken_template(&mut self, text: &str, error: &TemplateError) {
        let help = matches!(error, TemplateError::Open).then(|| "for the text `${` itself write `$${`".to_owned());
        self.error_at(text, error.to_string(), help);
    }

    /// Checks every text of a JSON value as a template.
    pub(super) fn json(&mut self, value: &serde_json::Value) {
        match value {
            serde_json::Value::String(text) => self.text_with_references(text),
            serde_json::Value::Array(items) => items.iter().for_each(|item| self.json(item)),
            serde_json::Value::Object(fields) => fields.values().for_each(|field| self.json(field)),
            _ => {}
        }
    }

    /// Checks a template that has to be a whole number; without references it has to lie in a range.
    pub(super) fn number(&mut self, key: &str, template: &Template, range: std::ops::RangeInclusive<i64>) {
        if template.0.contains('$') {
            return self.template(template);
        }
        match template.0.parse::<i64>() {
            Ok(number) if range.contains(&number) => {}
            Ok(number) => {
                let message = format!("`{key}` is {number}, which is not from {} to {}", range.start(), range.end());
                self.error_at(&template.0, message, None);
            }
            Err(_) => self.error_at(&template.0, format!("`{key}` has to be a whole number"), None),
        }
    }

    /// Gives a name a value from here on.
    pub(super) fn bind(&mut self, name: &Template) {
        let parsed = match name.parse() {
            Ok(parsed) => parsed,
            Err(error) => return self.broken_template(&name.0, &error),
        };
        self.template(name);
        let plain = name.0.split("${").next().unwrap_or_default();
        if parsed.parts.is_empty() || !plain.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_') {
            let help = Some("letters, digits, `-` and `_` make a name".to_owned());
            return self.error_at(&name.0, format!("`{name}` cannot be a name"), help);
        }
        if !self.names.bind(&parsed.parts) {
            self.error_at(&name.0, format!("`{name}` has a value already"), Some("give it another name".to_owned()));
        }
    }
}

/// The bytes of a value.
pub(super) fn span<T>(value: &Spanned<T>) -> Range<usize> {
    let span = value.referenced.span();
    let start = span.byte_offset().unwrap_or_default() as usize;
    start..start + span.byte_len().unwrap_or_default() as usize
}
