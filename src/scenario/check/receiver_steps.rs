//! The check of CDR receivers and their steps.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_saphyr::Spanned;

use super::names;
use super::scenario::{Checker, span};
use crate::protocol::cdr::RecordType;
use crate::scenario::need::Need;
use crate::scenario::suggest;
use crate::scenario::syntax::{ChangeReceiver, MakePlan, PlanEntry, Register, RegisterOutcome, Step, WaitRecord};

/// How many receivers a scenario may configure on a server without `limits`; the server has four for everyone.
const MOST_RECEIVERS: usize = 2;

impl<'s> Checker<'s> {
    /// Checks the receivers of the head.
    pub(super) fn receivers_are_well_formed(&mut self) {
        let scenario = self.scenario;
        let clients = scenario.clients.iter().map(|client| client.value.as_str());
        let mut seen: BTreeSet<&str> = clients.collect();
        for receiver in &scenario.receivers {
            let name = receiver.value.name.as_str();
            if !names::is_plain_name(name) {
                let help = Some("letters, digits, `-` and `_` make a name; `run` and `guid` are taken".to_owned());
                self.error(span(receiver), format!("`{name}` cannot be the name of a receiver"), help);
            }
            if !seen.insert(name) {
                self.error(span(receiver), format!("`{name}` stands twice"), None);
            }
            let path = receiver.value.path.as_str();
            let is_visible = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
            if !(path.is_empty() || path.starts_with('/')) || !is_visible {
                let help = Some("it begins with `/` and has no spaces, such as `/cdr?bridge=1`".to_owned());
                self.error(span(receiver), format!("`{path}` is no path of a URI"), help);
            }
            if receiver.value.tls && !self.needs(Need::HttpsReceivers) {
                let help = Some(format!("add `{}` to `needs`", Need::HttpsReceivers));
                self.error(span(receiver), format!("a receiver with TLS needs `{}`", Need::HttpsReceivers), help);
            }
        }
        if let Some(third) = scenario.receivers.get(MOST_RECEIVERS).filter(|_| !self.needs(Need::Limits)) {
            let message = format!("more than {MOST_RECEIVERS} receivers on a server need `limits`");
            self.error(span(third), message, Some("add `limits` to `needs`".to_owned()));
        }
    }

    /// Checks that every receiver does something.
    pub(super) fn receivers_are_used(&mut self) {
        let scenario = self.scenario;
        for receiver in &scenario.receivers {
            let name = receiver.value.name.as_str();
            if !self.listening.contains(name) {
                self.error(span(receiver), format!("`{name}` takes no part: nothing registers it"), None);
            }
        }
    }

    /// Checks a step of a receiver; any other step has nothing to check here.
    pub(super) fn receiver_step(&mut self, step: &'s Step) {
        match step {
            Step::Listen(step) => self.begins_to_listen(&step.receiver),
            Step::Refuse(step) => self.listens(&step.receiver),
            Step::Register(step) => self.register(step),
            Step::ChangeReceiver(step) => self.change_receiver(step),
            Step::Unregister(step) => self.is_registered(&step.receiver),
            Step::Plan(step) => self.plan(step),
            Step::WaitRecord(step) => self.wait_record(step),
            Step::WaitSet(step) => {
                self.listens(&step.receiver);
                self.time("within", step.within);
                if let Some(count) = &step.count {
                    self.number("count", count, 1..=100_000);
                }
            }
            Step::Restart(step) => {
                self.require(Need::Restart, "`restart`");
                self.time("within", step.within);
            }
            _ => {}
        }
    }

    /// Checks that a receiver takes part.
    fn receiver(&mut self, receiver: &Spanned<String>) -> bool {
        let known = self.scenario.receivers.iter().map(|known| known.value.name.as_str());
        let found = known.clone().any(|name| name == receiver.value);
        if !found {
            let help = suggest::help(&receiver.value, known).or_else(|| Some("name it in `receivers`".to_owned()));
            self.error(span(receiver), format!("no receiver is called `{}`", receiver.value), help);
        }
        found
    }

    fn begins_to_listen(&mut self, receiver: &'s Spanned<String>) {
        if self.receiver(receiver) {
            self.listening.insert(receiver.value.as_str());
        }
    }

    /// Checks that an earlier step lets a receiver listen.
    pub(super) fn listens(&mut self, receiver: &Spanned<String>) {
        if self.receiver(receiver) && !self.listening.contains(receiver.value.as_str()) {
            let help = Some(format!("an earlier step has to be `register: {{receiver: {}}}`", receiver.value));
            self.error(span(receiver), format!("`{}` does not listen yet", receiver.value), help);
        }
    }

    /// Checks that an earlier step configures a receiver.
    fn is_registered(&mut self, receiver: &Spanned<String>) {
        if self.receiver(receiver) && !self.registered.contains(receiver.value.as_str()) {
            let help = Some(format!("an earlier step has to be `register: {{receiver: {}}}`", receiver.value));
            self.error(span(receiver), format!("`{}` is not configured on the server yet", receiver.value), help);
        }
    }

    fn register(&mut self, step: &'s Register) {
        self.begins_to_listen(&step.receiver);
        if step.until != RegisterOutcome::Refused {
            self.registered.insert(step.receiver.value.as_str());
        }
        if let Some(uri) = &step.uri {
            self.template(uri);
        }
        match (&step.store, step.until) {
            (Some(_), RegisterOutcome::Refused) => self.error_at("as", "what is refused has no id", None),
            (Some(name), _) => self.bind(name),
            (None, _) => {}
        }
    }

    fn change_receiver(&mut self, step: &'s ChangeReceiver) {
        self.is_registered(&step.receiver);
        match (&step.to, &step.uri) {
            (Some(to), None) => self.begins_to_listen(to),
            (None, Some(uri)) => self.template(uri),
            _ => self.error_here("`change-receiver` takes exactly one of `to` and `uri`", None),
        }
    }

    /// Checks the plan of a receiver that takes part.
    pub(super) fn plan(&mut self, step: &'s MakePlan) {
        self.receiver(&step.receiver);
        self.plan_entries(&step.entries);
    }

    /// Checks the entries of a plan.
    pub(super) fn plan_entries(&mut self, entries: &[Spanned<PlanEntry>]) {
        let whole = self.at.clone();
        for (at, entry) in entries.iter().enumerate() {
            let start = span(entry).start.max(whole.start);
            let end = entries.get(at + 1).map_or(whole.end, |next| span(next).start);
            self.at = if start <= end { start..end } else { start..start };
            self.plan_entry(&entry.value);
        }
        self.at = whole;
    }

    fn plan_entry(&mut self, entry: &PlanEntry) {
        if entry.answer.is_some() == entry.fail.is_some() {
            self.error_here("an entry of a plan takes exactly one of `answer` and `fail`", None);
        }
        if let Some(status) = entry.answer.filter(|status| !(200..=599).contains(status)) {
            let help = Some("a status is from 200 to 599".to_owned());
            self.error_at(&status.to_string(), format!("{status} is no status of an answer"), help);
        }
        let of_answer = [
            ("after", entry.after.is_some()),
            ("close", entry.close),
            ("bare", entry.bare),
            ("location", entry.location.is_some()),
        ];
        for (key, _) in of_answer.iter().filter(|(_, given)| *given && entry.fail.is_some()) {
            self.error_at(key, format!("`{key}` belongs to an `answer`"), None);
        }
        for (key, _) in [("every", entry.every), ("times", entry.times)].iter().filter(|(_, value)| *value == Some(0)) {
            self.error_at(key, format!("`{key}` is a number from 1"), None);
        }
        if let Some(location) = &entry.location {
            self.template(location);
        }
        self.time("after", entry.after);
        self.time("to", entry.to);
        if let (Some(from), Some(to)) = (entry.from, entry.to)
            && from.0 > to.0
        {
            self.error_at("to", "`to` is before `from`", None);
        }
        if let Some(slowly) = entry.read {
            self.time("every", Some(slowly.every));
            if slowly.bytes == 0 {
                self.error_at("bytes", "`bytes` is a number from 1", None);
            }
        }
        self.types_of(entry);
    }

    /// Checks the types of records that an entry of a plan is for.
    fn types_of(&mut self, entry: &PlanEntry) {
        let Some(types) = &entry.records else { return };
        if types.is_empty() {
            self.error_at("records", "no type of record is named", Some("leave `records` out".to_owned()));
        }
        for kind in types {
            self.record_type(&kind.value);
        }
        if entry.fail.is_some_and(|failing| failing.is_early()) || entry.read.is_some() {
            let message = "which records a set holds shows only when it is whole";
            let help = "name `sets`, `every`, `from` or `to` instead of `records`";
            self.error_at("records", message, Some(help.to_owned()));
        }
    }

    fn record_type(&mut self, kind: &str) {
        if RecordType::from_name(kind).is_none() {
            let help = suggest::help(kind, RecordType::ALL.iter().map(|kind| kind.as_str()));
            self.error_at(kind, format!("no record is of type `{kind}`"), help);
        }
    }

    fn wait_record(&mut self, step: &'s WaitRecord) {
        self.listens(&step.receiver);
        self.time("within", step.within);
        if let Some(count) = &step.count {
            self.number("count", count, 1..=100_000);
        }
        self.record_pattern(&step.pattern);
        match (&step.store, step.or_go_on) {
            (Some(_), true) => self.error_at("as", "where the outcome is open there may be nothing to store", None),
            (Some(name), false) => self.bind(name),
            (None, _) => {}
        }
    }

    /// Checks what a record has to fit.
    pub(super) fn record_pattern(&mut self, pattern: &Value) {
        let Some(fields) = pattern.as_object() else {
            return self.error_here("a pattern is an object", Some("such as `{type: callEnd}`".to_owned()));
        };
        if let Some(Value::String(kind)) = fields.get("type")
            && kind != "*"
        {
            self.record_type(kind);
        }
        self.json(pattern);
    }
}
