//! The check of the steps of events clients: connections, messages, waiting.

use std::collections::BTreeSet;

use serde_json::Value;
use serde_saphyr::Spanned;

use super::scenario::{Checker, span};
use super::wire;
use crate::protocol::events::{MessageType, Resource};
use crate::scenario::need::Need;
use crate::scenario::suggest;
use crate::scenario::syntax::{
    AckMode, AckNow, Acks, Close, Connect, Elements, Send, SendBytes, SendFrame, SendText, Step, Subscribe, Time, Wait,
    Wanted,
};
use crate::spec::elements;

/// The largest number that JSON readers agree on (RFC 8259 section 6).
const LARGEST_ID: i64 = (1 << 53) - 1;

/// How many subscriptions a connection may have (EVENTS 6).
const MOST_SUBSCRIPTIONS: u64 = 100;

/// The largest payload that `fill` makes.
const LARGEST_FILL: usize = 64 * 1024 * 1024;

impl<'s> Checker<'s> {
    /// Checks a step of an events client; any other step has nothing to check here.
    pub(super) fn client_step(&mut self, step: &'s Step) {
        match step {
            Step::Connect(step) => self.connect(step),
            Step::Close(step) => self.close(step),
            Step::Drop(step) => self.client(&step.client),
            Step::Subscribe(step) => self.subscribe(step),
            Step::Acks(step) => self.acks(step),
            Step::Ack(step) => self.ack(step),
            Step::Send(step) => self.send(step),
            Step::SendText(step) => self.send_text(step),
            Step::SendFrame(step) => self.send_frame(step),
            Step::SendBytes(step) => self.send_bytes(step),
            Step::Wait(step) => self.wait(step),
            _ => {}
        }
    }

    /// Checks that a client takes part and that an earlier step connects it.
    pub(super) fn client(&mut self, client: &'s Spanned<String>) {
        if self.is_known(client) && !self.connected.contains(client.value.as_str()) {
            let help = Some(format!("an earlier step has to be `connect: {{client: {}}}`", client.value));
            self.error(span(client), format!("`{}` has no connection yet", client.value), help);
        }
    }

    fn is_known(&mut self, client: &Spanned<String>) -> bool {
        let known = self.scenario.clients.iter().map(|known| known.value.as_str());
        let found = known.clone().any(|name| name == client.value);
        if !found {
            let help = suggest::help(&client.value, known).or_else(|| Some("name it in `clients`".to_owned()));
            self.error(span(client), format!("no client is called `{}`", client.value), help);
        }
        found
    }

    fn connect(&mut self, step: &'s Connect) {
        if self.is_known(&step.client) {
            self.connected.insert(step.client.value.as_str());
        }
        if let Some(token) = &step.token {
            self.template(token);
            if step.retry {
                let message = "`retry` takes a fresh token each time, and so goes without `token`";
                self.error_at("retry", message, None);
            }
        }
        self.time("within", step.within);
    }

    fn close(&mut self, step: &'s Close) {
        self.client(&step.client);
        if let Some(code) = step.code.filter(|code| *code != 0 && !(1000..=4999).contains(code)) {
            let help = Some("codes are from 1000 to 4999; 0 sends an empty close frame".to_owned());
            self.error_at(&code.to_string(), format!("{code} is no close code"), help);
        }
        if step.reason.as_ref().is_some_and(|reason| reason.len() > 123) {
            self.error_at("reason", "a close frame has room for a reason of 123 bytes", None);
        }
        if step.code == Some(0) && step.reason.is_some() {
            self.error_at("reason", "an empty close frame has no reason", None);
        }
    }

    fn subscribe(&mut self, step: &'s Subscribe) {
        self.client(&step.client);
        if let Some(id) = &step.id {
            self.number("id", id, 0..=LARGEST_ID);
        }
        self.time("within", step.within);
        let whole = self.at.clone();
        let mut seen = BTreeSet::new();
        let mut total: u64 = 0;
        for (at, wanted) in step.set.iter().enumerate() {
            let start = span(wanted).start.max(whole.start);
            let end = step.set.get(at + 1).map_or(whole.end, |next| span(next).start);
            self.at = if start <= end { start..end } else { start..start };
            total = total.saturating_add(self.wanted(&wanted.value));
            if !wanted.value.index.0.contains('$') && !seen.insert(wanted.value.index.0.as_str()) {
                self.unless_probing("index", "an index stands twice in one request");
            }
        }
        self.at = whole;
        if total > MOST_SUBSCRIPTIONS {
            self.require(Need::Limits, &format!("a request with more than {MOST_SUBSCRIPTIONS} subscriptions"));
        }
    }

    /// Checks one entry of a set; gives how many subscriptions it stands for.
    fn wanted(&mut self, wanted: &Wanted) -> u64 {
        let looped = self.wanted_loop(wanted);
        self.number("index", &wanted.index, 0..=LARGEST_ID);
        if let Some(call) = &wanted.call {
            self.template(call);
        }
        if looped.is_some() {
            self.names.leave_loop();
        }
        let Some(resource) = Resource::from_word(&wanted.resource.value) else {
            let words = Resource::ALL.iter().map(|resource| resource.as_str());
            let help = suggest::help(&wanted.resource.value, words);
            let message = format!("no event resource is called `{}`", wanted.resource.value);
            self.error(span(&wanted.resource), message, help);
            return looped.unwrap_or(1);
        };
        match (&wanted.call, resource.needs_call()) {
            (None, true) => self.unless_probing("type", &format!("a subscription to `{resource}` without a call")),
            (Some(_), false) => {
                self.error_at("call", "a subscription to `calls` is to all calls and names none", None);
            }
            _ => {}
        }
        self.elements(resource, wanted.elements.as_ref());
        looped.unwrap_or(1)
    }

    /// Begins the loop of an entry, if it has one; gives how often it runs.
    fn wanted_loop(&mut self, wanted: &Wanted) -> Option<u64> {
        let (Some(each), Some(last)) = (&wanted.each, wanted.to) else {
            if wanted.each.is_some() || wanted.from.is_some() || wanted.to.is_some() {
                self.error_here("a loop takes `each`, `to` and, if it does not begin at 1, `from`", None);
            }
            return None;
        };
        let rounds = std::mem::replace(&mut self.rounds, 1);
        let own = self.loop_rounds(wanted.from.unwrap_or(1), last);
        self.rounds = rounds;
        if !self.names.enter_loop(each) {
            self.error_at(each, format!("`{each}` has a value already"), Some("give it another name".to_owned()));
        }
        if own > 1 && !wanted.index.0.contains("${") {
            self.unless_probing("index", "an index that is the same in each round");
        }
        Some(own)
    }

    fn elements(&mut self, resource: Resource, wanted: Option<&Elements>) {
        let Some(Elements::List(names)) = wanted else { return };
        let mut seen = BTreeSet::new();
        for name in names {
            if elements::find(resource, name).is_none() {
                let known = elements::of(resource).iter().map(|element| element.name.as_str());
                self.error_at(name, format!("`{resource}` has no element `{name}`"), suggest::help(name, known));
            } else if !seen.insert(name) {
                self.error_at(name, format!("`{name}` stands twice"), None);
            }
        }
    }

    /// Reports what only a scenario may do that probes.
    fn unless_probing(&mut self, needle: &str, what: &str) {
        if !self.needs(Need::Probing) {
            let help = Some("correct it; if it is meant, add `probing` to `needs`".to_owned());
            self.error_at(needle, format!("{what} is malformed input"), help);
        }
    }

    fn acks(&mut self, step: &'s Acks) {
        self.client(&step.client);
        self.ack_mode(step.mode, step.by, step.times);
    }

    /// Checks how a client acknowledges.
    pub(super) fn ack_mode(&mut self, mode: AckMode, by: Option<Time>, times: Option<u32>) {
        match (by, mode) {
            (None, AckMode::Late) => self.error_here("`late` needs `by`", Some("such as `by: 2s`".to_owned())),
            (Some(_), AckMode::Late) | (None, _) => {}
            (Some(_), _) => self.error_at("by", "only `mode: late` takes `by`", None),
        }
        match (times, mode) {
            (None, AckMode::Repeat) => self.error_here("`repeat` needs `times`", Some("such as `times: 3`".to_owned())),
            (Some(times), AckMode::Repeat) if !(2..=1000).contains(&times) => {
                self.error_at("times", "`times` is from 2 to 1000", None);
            }
            (Some(_), AckMode::Repeat) | (None, _) => {}
            (Some(_), _) => self.error_at("times", "only `mode: repeat` takes `times`", None),
        }
        self.time("by", by);
    }

    fn ack(&mut self, step: &'s AckNow) {
        self.client(&step.client);
        if !["oldest", "newest", "all"].contains(&step.id.0.as_str()) {
            self.number("id", &step.id, 0..=LARGEST_ID);
        }
    }

    fn send(&mut self, step: &'s Send) {
        self.client(&step.client);
        self.time("within", step.within);
        if !step.message.is_object() {
            self.error_at("message", "`message` is the inner object of a message", None);
        } else if !wire::is_sound_message(&step.message) {
            self.unless_probing("message", "this message");
        }
        self.json(&step.message);
    }

    fn send_text(&mut self, step: &'s SendText) {
        self.client(&step.client);
        self.template(&step.text);
        if !wire::is_sound_text(&step.text.0) {
            self.unless_probing("text", "this text");
        }
    }

    fn send_frame(&mut self, step: &'s SendFrame) {
        self.client(&step.client);
        if !wire::is_opcode(&step.opcode.value) {
            let help = suggest::help(&step.opcode.value, wire::OPCODES);
            self.error(span(&step.opcode), format!("no opcode is called `{}`", step.opcode.value), help);
        }
        let payloads =
            usize::from(step.text.is_some()) + usize::from(step.hex.is_some()) + usize::from(step.fill.is_some());
        if payloads > 1 {
            self.error_here("a frame has one payload: `text`, `hex` or `fill`", None);
        }
        if let Some(text) = &step.text {
            self.template(text);
        }
        if let Some(hex) = &step.hex {
            self.hex(hex);
        }
        if step.fill.is_some_and(|fill| fill > LARGEST_FILL) {
            self.error_at("fill", format!("`fill` is at most {LARGEST_FILL}"), None);
        }
        if step.reserved.is_some_and(|bits| bits > 7) {
            self.error_at("reserved", "the reserved bits are from 0 to 7", None);
        }
        if !wire::is_sound_frame(step) {
            self.unless_probing("opcode", "this frame");
        }
    }

    fn send_bytes(&mut self, step: &'s SendBytes) {
        self.client(&step.client);
        self.hex(&step.hex);
        self.require(Need::Probing, "`send-bytes`");
    }

    fn hex(&mut self, hex: &str) {
        if !wire::is_hex(hex) {
            self.error_at("hex", "`hex` is no row of bytes in hexadecimal", Some("such as `c3 28`".to_owned()));
        }
    }

    fn wait(&mut self, step: &'s Wait) {
        self.client(&step.client);
        self.time("within", step.within);
        if let Some(count) = &step.count {
            self.number("count", count, 1..=100_000);
        }
        if step.pattern.as_str() == Some("closed") {
            if step.count.is_some() {
                self.error_at("count", "a connection ends once", None);
            }
            return;
        }
        self.pattern(&step.pattern);
    }

    /// Checks what a message has to fit.
    pub(super) fn pattern(&mut self, pattern: &Value) {
        let Some(fields) = pattern.as_object() else {
            let help = Some("such as `{type: rosterUpdate}`, or the text `closed`".to_owned());
            return self.error_here("a pattern is an object", help);
        };
        if let Some(Value::String(kind)) = fields.get("type")
            && kind != "*"
            && MessageType::from_word(kind).is_none()
            && !self.needs(Need::TestApi)
        {
            let help = suggest::help(kind, MessageType::ALL.iter().map(|kind| kind.as_str()));
            self.error_at(kind, format!("no message is of type `{kind}`"), help);
        }
        self.json(pattern);
    }
}
