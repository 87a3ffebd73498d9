//! The check of each step; those of the events clients are in `client_steps`.

use serde_saphyr::Spanned;

use super::names;
use super::scenario::{Checker, span};
use crate::protocol::http::{Credentials, Method};
use crate::scenario::need::Need;
use crate::scenario::suggest;
use crate::scenario::syntax::{
    CallIn, Compare, Dial, DialUntil, Emulate, Expect, Fields, Repeat, Request, StartCall, Step, Template, Token,
};

/// How often a loop may repeat its steps, with the loops around it.
const MOST_ROUNDS: u64 = 10_000;

/// The addresses of `dial` at which nobody is reached.
const UNREACHED: [&str; 4] = ["busy", "rejects", "no-answer", "unknown"];

impl<'s> Checker<'s> {
    /// Checks steps in order; the last one reaches to `end`.
    pub(super) fn steps(&mut self, steps: &'s [Spanned<Step>], end: usize) {
        for (at, step) in steps.iter().enumerate() {
            let start = span(step).start;
            let finish = steps.get(at + 1).map_or(end, |next| span(next).start);
            self.at = if start <= finish { start..finish } else { start..end.max(start) };
            self.step(&step.value);
        }
    }

    fn step(&mut self, step: &'s Step) {
        match step {
            Step::Token(step) => self.token(step),
            Step::CreateSpace(step) => {
                self.template(&step.name);
                self.bind(&step.store);
            }
            Step::DeleteSpace(step) => self.template(&step.space),
            Step::StartCall(step) => self.start_call(step),
            Step::ChangeCall(step) => {
                self.template(&step.call);
                self.changes(&step.set);
            }
            Step::EndCall(step) => self.template(&step.call),
            Step::Dial(step) => self.dial(step),
            Step::ChangeParticipant(step) | Step::ChangeLeg(step) => {
                self.template(&step.participant);
                self.changes(&step.set);
            }
            Step::HangUp(step) => self.template(&step.participant),
            Step::Move(step) => {
                self.template(&step.participant);
                self.template(&step.to);
                self.bind(&step.store);
            }
            Step::Request(step) => self.request(step),
            Step::CallIn(step) => self.call_in(step),
            Step::Emulate(step) => self.emulate(step),
            Step::Rest(step) => self.time("for", step.quiet),
            Step::Pause(step) => self.time("for", Some(step.time)),
            Step::Compare(step) => self.compare(step),
            Step::Expect(step) => self.expect(step),
            Step::Repeat(step) => self.repeat(step),
            other => {
                self.client_step(other);
                self.receiver_step(other);
            }
        }
    }

    fn token(&mut self, step: &Token) {
        self.credentials(step.credentials.as_ref());
        if let Some(name) = &step.store {
            self.bind(name);
        }
    }

    /// Checks that credentials are known, and that a second account is asked for where it is used.
    fn credentials(&mut self, credentials: Option<&Spanned<String>>) {
        let Some(name) = credentials else { return };
        match Credentials::from_name(&name.value) {
            None => {
                let help = suggest::help(&name.value, Credentials::NAMES.iter().map(|(_, name)| *name));
                self.error(span(name), format!("no credentials are called `{}`", name.value), help);
            }
            Some(Credentials::Unprivileged) => self.require(Need::UnprivilegedAccount, "a second account"),
            Some(_) => {}
        }
    }

    fn start_call(&mut self, step: &StartCall) {
        for template in [&step.space, &step.name].into_iter().flatten() {
            self.template(template);
        }
        if step.name.is_some() && step.with.contains_key("name") {
            self.error_at("with", "the name is given twice", Some("leave it out of `with`".to_owned()));
        }
        self.fields(&step.with);
        self.bind(&step.store);
    }

    fn fields(&mut self, fields: &Fields) {
        for (name, value) in fields {
            if name.is_empty() || !name.chars().all(|c| c.is_ascii_alphanumeric()) {
                self.error_at(name, format!("`{name}` cannot be a parameter of the API"), None);
            }
            self.template(value);
        }
    }

    /// Checks parameters of which there must be one at least.
    fn changes(&mut self, fields: &Fields) {
        if fields.is_empty() {
            self.error_at("set", "nothing is changed", Some("name a parameter and its new value".to_owned()));
        }
        self.fields(fields);
    }

    fn dial(&mut self, step: &Dial) {
        self.template(&step.call);
        self.template(&step.to);
        self.fields(&step.with);
        self.time("within", step.within);
        if UNREACHED.contains(&step.to.0.as_str()) && step.until == DialUntil::Connected {
            let message = format!("nobody is ever connected at `{}`", step.to);
            self.error_at(&step.to.0, message, Some("say `until: gone` or `until: sent`".to_owned()));
        }
        if let Some(name) = &step.store {
            self.bind(name);
        }
    }

    fn request(&mut self, step: &Request) {
        if Method::from_name(&step.method.value).is_none() {
            let help = suggest::help(&step.method.value, ["GET", "POST", "PUT", "DELETE"]);
            self.error(span(&step.method), format!("the API has no method `{}`", step.method.value), help);
        }
        self.credentials(step.credentials.as_ref());
        self.template(&step.path);
        if !step.path.0.starts_with('/') {
            let help = Some("it begins with `/` and lies below `/api/v1`, such as `/calls`".to_owned());
            self.error_at(&step.path.0, format!("`{}` is no path of the API", step.path), help);
        } else if step.path.0.starts_with("/api/") {
            let help = Some("leave out `/api/v1`".to_owned());
            self.error_at(&step.path.0, "the path lies below `/api/v1` already", help);
        }
        self.fields(&step.form);
        if let Some(name) = &step.store {
            self.bind(name);
        }
    }

    fn call_in(&mut self, step: &CallIn) {
        self.require(Need::TestApi, "`call-in`");
        self.template(&step.from);
        for place in [&step.space, &step.call].into_iter().flatten() {
            self.template(place);
        }
        if step.space.is_some() && step.call.is_some() {
            self.error_at("call", "a leg goes into a coSpace or into a call, not both", None);
        }
        self.fields(&step.with);
        if let Some(name) = &step.store {
            self.bind(name);
        }
    }

    fn emulate(&mut self, step: &Emulate) {
        self.require(Need::TestApi, "`emulate`");
        let subjects = [&step.call, &step.participant, &step.leg, &step.space];
        let others = usize::from(step.message.is_some()) + usize::from(!step.settings.is_empty());
        if subjects.iter().filter(|subject| subject.is_some()).count() + others != 1 {
            let subjects = "`call`, `participant`, `leg`, `space`, `message` and `settings`";
            self.error_here(format!("`emulate` takes exactly one of {subjects}"), None);
        }
        step.settings.values().for_each(|value| self.template(value));
        let changes = [&step.end, &step.into_call, &step.into_space];
        for template in subjects.into_iter().chain(changes).flatten() {
            self.template(template);
        }
        let moves = step.into_call.is_some() || step.into_space.is_some();
        if moves && step.leg.is_none() {
            self.error_here("only a `leg` goes into a call", None);
        }
        match changes.iter().filter(|change| change.is_some()).count() {
            0 => {}
            1 if step.message.is_none() => return self.fields(&step.set),
            _ => {
                return self
                    .error_here("`emulate` takes one of `end`, `into-call` and `into-space`, and no `message`", None);
            }
        }
        let Some(message) = &step.message else {
            if step.settings.is_empty() || !step.set.is_empty() {
                self.changes(&step.set);
            }
            return;
        };
        if !step.set.is_empty() {
            self.error_at("set", "a message takes no `set`", None);
        }
        if !message.get("type").is_some_and(serde_json::Value::is_string) {
            self.error_at("message", "a message is an object with a `type`", None);
        }
        if message.get("messageId").is_some() {
            self.error_at("messageId", "the server numbers its messages itself", Some("leave it out".to_owned()));
        }
        self.json(message);
    }

    fn compare(&mut self, step: &Compare) {
        if step.calls.as_ref().is_some_and(Vec::is_empty) {
            self.error_at("calls", "no call is named", Some("leave `calls` out to compare them all".to_owned()));
        }
        step.calls.iter().flatten().for_each(|call| self.template(call));
    }

    fn expect(&mut self, step: &'s Expect) {
        let forms = [step.equal.is_some(), step.none.is_some(), step.message.is_some(), step.record.is_some()];
        if forms.into_iter().filter(|given| *given).count() != 1 {
            return self.error_here("`expect` takes exactly one of `equal`, `none`, `message` and `record`", None);
        }
        if step.because.trim().is_empty() {
            self.error_at("because", "`because` is empty", Some("say what it means when this fails".to_owned()));
        }
        step.equal.iter().flatten().for_each(|value: &Template| self.template(value));
        match (&step.client, &step.receiver) {
            (None, None) if step.equal.is_some() => {}
            (Some(client), _) if step.equal.is_some() => self.error(span(client), "`equal` takes no client", None),
            (_, Some(receiver)) if step.equal.is_some() => {
                self.error(span(receiver), "`equal` takes no receiver", None);
            }
            (Some(client), None) if step.record.is_some() => {
                self.error(span(client), "a client receives no records", Some("name a `receiver`".to_owned()));
            }
            (None, Some(receiver)) if step.message.is_some() => {
                self.error(span(receiver), "a receiver gets no messages", Some("say `record`".to_owned()));
            }
            (Some(client), None) => {
                self.client(client);
                [&step.none, &step.message].into_iter().flatten().for_each(|pattern| self.pattern(pattern));
            }
            (None, Some(receiver)) => {
                self.listens(receiver);
                [&step.none, &step.record].into_iter().flatten().for_each(|pattern| self.record_pattern(pattern));
            }
            (Some(_), Some(receiver)) => self.error(span(receiver), "either a client or a receiver", None),
            (None, None) if step.record.is_some() => self.error_here("the key `receiver` is missing", None),
            (None, None) => self.error_here("the key `client` is missing", None),
        }
    }

    fn repeat(&mut self, step: &'s Repeat) {
        let first = step.from.unwrap_or(1);
        if !names::is_plain_name(&step.each) {
            let help = Some("letters, digits, `-` and `_` make a name".to_owned());
            self.error_at(&step.each, format!("`{}` cannot be the name of a number", step.each), help);
        }
        if step.steps.is_empty() {
            self.error_at("steps", "nothing is repeated", None);
        }
        let rounds = self.loop_rounds(first, step.to);
        if !self.names.enter_loop(&step.each) {
            let message = format!("`{}` has a value already", step.each);
            self.error_at(&step.each, message, Some("give it another name".to_owned()));
        }
        let outer = std::mem::replace(&mut self.rounds, rounds);
        let whole = self.at.clone();
        self.steps(&step.steps, whole.end);
        self.at = whole;
        self.rounds = outer;
        self.names.leave_loop();
    }

    /// How often a loop from `first` to `last` runs in all, which is checked.
    pub(super) fn loop_rounds(&mut self, first: i64, last: i64) -> u64 {
        if last < first {
            self.error_at(&last.to_string(), format!("from {first} to {last} there is no number"), None);
            return self.rounds;
        }
        let rounds = self.rounds.saturating_mul(last.abs_diff(first).saturating_add(1));
        if rounds > MOST_ROUNDS {
            let message =
                format!("this runs {rounds} times; {MOST_ROUNDS} are allowed, loops in loops counted together");
            self.error_at(&last.to_string(), message, None);
        }
        rounds
    }
}
