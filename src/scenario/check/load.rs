//! The check of `load`: whether its parts fit together, and whether something happens and is asked.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::scenario::{Checker, MOST_CLIENTS, span};
use crate::load::{Condition, Metric};
use crate::scenario::need::Need;
use crate::scenario::parse::yaml;
use crate::scenario::suggest;
use crate::scenario::syntax::{
    Capacity, Load, LoadExecutor, LoadStage, LoadThreshold, MaxLag, Stimuli, Stimulus, Time,
};

/// How many subscriptions a connection may have (EVENTS 6).
const MOST_SUBSCRIPTIONS: u32 = 100;

/// The longest load: a soak over a week.
pub(in crate::scenario) const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// The highest rate per time unit that is kept exactly.
pub(in crate::scenario) const HIGHEST_RATE: f64 = 1e9;

/// What no server comes near, and a slip of the pen easily exceeds.
pub(super) const MOST_CONNECTIONS: u32 = 10_000;
pub(super) const MOST_CALLS: u32 = 10_000;
pub(super) const MOST_PARTICIPANTS: u32 = 1000;
const MOST_VUS: u32 = 10_000;

impl<'s> Checker<'s> {
    /// Checks the load of a scenario.
    pub(super) fn load(&mut self, load: &'s Spanned<Load>) {
        self.at = self.from(load);
        let load = &load.value;
        self.nothing_beside_a_load();
        self.population(load);
        self.stimuli(&load.stimuli, (load.calls(), load.participants()), load.connections() > 0);
        self.timing(load);
        if let Some(executor) = &load.executor {
            self.inside(executor, |checker| checker.executor(&executor.value));
        }
        if let Some(capacity) = &load.capacity {
            self.capacity(capacity, !load.thresholds.is_empty());
        }
        self.time("within", load.within);
        self.lag(load.lag);
        let is_search = load.capacity.is_some();
        self.thresholds(&load.thresholds, is_search, |checker, metric| checker.metric_is_measured(metric, load));
    }

    /// What belongs to steps has no place beside a load.
    fn nothing_beside_a_load(&mut self) {
        let scenario = self.scenario;
        if let Some(step) = scenario.steps.first() {
            let help = Some("a load makes what it needs itself; write two scenarios".to_owned());
            self.error(span(step), "a scenario has `steps` or a `load`, not both", help);
        }
        if scenario.steps.is_empty() && says_steps(self.text()) {
            let help = Some("leave `steps` out".to_owned());
            self.error_at("steps", "a scenario has `steps` or a `load`, not both", help);
        }
        if let Some(client) = scenario.clients.first() {
            let help = Some("say how many `connections` the load has".to_owned());
            self.error(span(client), "a load names no clients", help);
        }
    }

    fn population(&mut self, load: &'s Load) {
        let receivers = !self.scenario.receivers.is_empty();
        if load.connections() == 0 && !receivers {
            let help = Some("name `receivers`, or have `connections`".to_owned());
            self.error_at("connections", "nobody takes part in this load", help);
        }
        let limits = self.needs(Need::Limits);
        let help = || Some("add `limits` to `needs`".to_owned());
        if load.connections() as usize > MOST_CLIENTS && !limits {
            let message = format!("more than {MOST_CLIENTS} connections at a server need `limits`");
            self.error_at("connections", message, help());
        }
        if load.subscriptions() > MOST_SUBSCRIPTIONS && !limits {
            let message = format!("more than {MOST_SUBSCRIPTIONS} subscriptions on a connection need `limits`");
            self.error_at("subscriptions", message, help());
        }
        for (key, value, most) in [
            ("connections", load.connections(), MOST_CONNECTIONS),
            ("subscriptions", load.subscriptions(), MOST_CONNECTIONS),
            ("calls", load.calls(), MOST_CALLS),
            ("participants", load.participants(), MOST_PARTICIPANTS),
        ] {
            if value > most {
                self.error_at(key, format!("`{key}` is {value}; at most {most} are allowed"), None);
            }
        }
        if load.follow && !load.only_listens() {
            let help = Some("say `calls: 0`, and leave out `stimuli`".to_owned());
            self.error_at("follow", "a load that has calls of its own does not follow those of others", help);
        } else if load.follow && load.connections() == 0 {
            self.error_at("follow", "without `connections` nothing is told of any call", None);
        }
        if let Some(acks) = &load.acks {
            self.ack_mode(acks.mode, acks.by, acks.times);
        }
        let mut planned = BTreeSet::new();
        for plan in &load.plans {
            self.inside(plan, |checker| checker.plan(&plan.value));
            if !planned.insert(plan.value.receiver.value.as_str()) {
                let name = &plan.value.receiver;
                self.error(span(name), format!("`{}` has a plan already", name.value), None);
            }
        }
    }

    /// Whether there is something for each stimulus to happen to.
    pub(super) fn stimuli(&mut self, stimuli: &Stimuli, (calls, participants): (u32, u32), subscribes: bool) {
        let whole = self.at.clone();
        self.at = self.key("stimuli");
        for stimulus in Stimulus::ALL {
            let weight = stimuli.weight(stimulus);
            let name = stimulus.as_str();
            if weight.lasts.is_some() && !stimulus.lasts() {
                let message = format!("`{name}` happens at once and does not last");
                self.error_at(name, message, Some("only `call` and `join-and-leave` take `lasts`".to_owned()));
            }
            self.time("lasts", weight.lasts);
            if weight.weight == 0 {
                continue;
            }
            let (missing, what) = match stimulus {
                Stimulus::Mute | Stimulus::Layout => (calls == 0 || participants == 0, "participants"),
                Stimulus::Lock | Stimulus::Record | Stimulus::JoinAndLeave => (calls == 0, "calls"),
                Stimulus::Subscribe => (!subscribes, "connections"),
                Stimulus::Call => (false, ""),
            };
            if missing {
                self.error_at(name, format!("`{name}` needs {what}, and this load has none"), None);
            }
        }
        self.at = whole;
    }

    /// Whether it is said when things happen, and for how long.
    fn timing(&mut self, load: &Load) {
        let timed = load.executor.is_some() || load.capacity.is_some();
        if load.stimuli.is_empty() && timed {
            let help = Some("such as `stimuli: {mute: 3, layout: 1}`, each with its weight".to_owned());
            let word = if load.executor.is_some() { "executor" } else { "capacity" };
            self.error_at(word, "nothing is said to happen: there are no `stimuli` with a weight", help);
        } else if !load.stimuli.is_empty() && !timed {
            let help = Some("name an `executor`, such as `constant-arrival-rate`, or a `capacity` search".to_owned());
            self.error_at("stimuli", "it is not said when this happens", help);
        }
        if load.executor.is_some() && load.capacity.is_some() {
            let help = Some("leave out the `executor`: the search decides on rates itself".to_owned());
            self.error_at("capacity", "a load has an `executor` or a `capacity` search, not both", help);
        }
        match load.duration {
            Some(_) if timed => {
                let key = self.key("duration");
                self.error(key, "how long this takes is said elsewhere", Some("leave out `duration`".to_owned()));
            }
            None if !timed && load.stimuli.is_empty() => {
                let help = Some("say `duration`, or what happens by `stimuli` and an `executor`".to_owned());
                self.error_here("it is not said how long this load listens", help);
            }
            duration => self.long_time("duration", duration),
        }
        let all = load.executor().duration();
        if load.warm_up() >= all && !all.is_zero() {
            let help = Some("what is scheduled in the `warm-up` is not measured".to_owned());
            self.error_at("warm-up", "the warm-up leaves no time to measure", help);
        }
    }

    pub(super) fn executor(&mut self, executor: &'s LoadExecutor) {
        match executor {
            LoadExecutor::ConstantArrivalRate(given) => {
                self.rate("rate", given.rate, true);
                self.time("time-unit", given.time_unit);
                self.long_time("duration", Some(given.duration));
            }
            LoadExecutor::RampingArrivalRate(given) => {
                self.rate("start-rate", given.start_rate.unwrap_or_default(), false);
                self.time("time-unit", given.time_unit);
                self.stages(&given.stages, given.start_rate.unwrap_or_default());
            }
            LoadExecutor::ConstantVus(given) => {
                self.count("vus", u64::from(given.vus.unwrap_or(1)), u64::from(MOST_VUS));
                self.long_time("duration", Some(given.duration));
            }
            LoadExecutor::SharedIterations(given) => {
                self.count("vus", u64::from(given.vus.unwrap_or(1)), u64::from(MOST_VUS));
                self.count("iterations", given.iterations, u64::MAX);
                self.long_time("max-duration", given.max_duration);
            }
        }
    }

    fn stages(&mut self, stages: &'s [Spanned<LoadStage>], start: f64) {
        if stages.is_empty() {
            let help = Some("such as `stages: [{target: 100, duration: 30s}]`".to_owned());
            return self.error_at("stages", "there are no stages", help);
        }
        for stage in stages {
            self.inside(stage, |checker| {
                checker.rate("target", stage.value.target, false);
                if !stage.value.duration.0.is_zero() {
                    checker.long_time("duration", Some(stage.value.duration));
                }
            });
        }
        let all = stages.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.value.duration.0));
        if all.is_zero() {
            self.error_at("stages", "the stages take no time", None);
        } else if all > LONGEST {
            self.error_at("stages", "the stages take more than a week", None);
        } else if start == 0.0 && stages.iter().all(|stage| stage.value.target == 0.0) {
            self.error_at("stages", "no stage has a rate: nothing ever happens", None);
        }
    }

    pub(super) fn capacity(&mut self, capacity: &Capacity, has_thresholds: bool) {
        let whole = self.at.clone();
        self.at = self.key("capacity");
        self.rate("from", capacity.from, true);
        self.rate("up-to", capacity.up_to, true);
        if capacity.up_to < capacity.from {
            self.error_at("up-to", "`up-to` is less than `from`", None);
        }
        if capacity.factor.is_some() && capacity.step.is_some() {
            self.error_at("step", "rates climb by a `factor` or by a `step`, not both", None);
        }
        if capacity.factor.is_some_and(|factor| !(1.01..=1000.0).contains(&factor)) {
            self.error_at("factor", "`factor` is from 1.01 to 1000", None);
        }
        if let Some(step) = capacity.step {
            self.rate("step", step, true);
            if step * 1000.0 < capacity.up_to - capacity.from {
                self.error_at("step", "so small a `step` takes more than a thousand probes", None);
            }
        }
        if capacity.precision.is_some_and(|precision| !(0.001..=1.0).contains(&precision)) {
            let help = Some("it is a share: 0.05 finds the capacity within 5 %".to_owned());
            self.error_at("precision", "`precision` is from 0.001 to 1", help);
        }
        if let Some(confirm) = capacity.confirm {
            self.count("times", u64::from(confirm.times), 100);
            self.count("of", u64::from(confirm.of), 100);
            if confirm.of < confirm.times {
                let message = format!("of {} tries, {} cannot hold", confirm.of, confirm.times);
                self.error_at("of", message, None);
            }
        }
        self.time("hold", Some(capacity.hold));
        self.time("time-unit", capacity.time_unit);
        self.at = whole;
        if !has_thresholds {
            let help = Some("such as `thresholds: {update: ['p(99)<250ms']}`".to_owned());
            self.error_at("capacity", "a capacity search needs `thresholds`: a rate holds if they are met", help);
        }
    }

    pub(super) fn lag(&mut self, lag: Option<MaxLag>) {
        let Some(lag) = lag else { return };
        let whole = self.at.clone();
        self.at = self.key("lag");
        self.time("max", lag.max);
        if lag.share.is_some_and(|share| !(0.0..1.0).contains(&share)) {
            self.error_at("share", "`share` is from 0 to less than 1", Some("write 0.01 for 1 %".to_owned()));
        }
        self.at = whole;
    }

    pub(super) fn thresholds(
        &mut self,
        thresholds: &'s BTreeMap<String, Vec<Spanned<LoadThreshold>>>,
        is_search: bool,
        is_measured: impl Fn(&mut Self, Metric),
    ) {
        let whole = self.at.clone();
        self.at = self.key("thresholds");
        for (name, entries) in thresholds {
            match Metric::from_name(name) {
                None => {
                    let help = suggest::help(name, Metric::NAMES);
                    self.error_at(name, format!("no metric is called `{name}`"), help);
                }
                Some(metric) => is_measured(self, metric),
            }
            if entries.is_empty() {
                let help = Some("such as `['p(99)<250ms']`".to_owned());
                self.error_at(name, format!("nothing is asked of `{name}`"), help);
            }
            let is_of_records = Metric::from_name(name).is_some_and(Metric::is_of_records);
            for entry in entries {
                self.threshold(entry, is_search, is_of_records);
            }
        }
        self.at = whole;
    }

    /// A threshold on what is never measured would always be missed.
    fn metric_is_measured(&mut self, metric: Metric, load: &Load) {
        let name = metric.as_str();
        let of_records = matches!(metric, Metric::CdrArrival | Metric::CdrStimulus | Metric::CdrRedelivery);
        if of_records && self.scenario.receivers.is_empty() {
            let help = Some("name `receivers`".to_owned());
            self.error_at(name, format!("`{name}` is never measured: there is no receiver"), help);
        }
        if of_records && load.capacity.is_some() {
            let help = Some("ask it of a load at one rate".to_owned());
            let message = format!("`{name}` is known when the load is over: a search cannot go by it");
            self.error_at(name, message, help);
        }
        let of_events = matches!(metric, Metric::Upgrade | Metric::Ack | Metric::Settle | Metric::Update)
            || Metric::UPDATES.contains(&metric);
        if of_events && load.connections() == 0 {
            let help = Some("have `connections`".to_owned());
            self.error_at(name, format!("`{name}` is never measured: there are no connections"), help);
        }
        let cause =
            Stimulus::ALL.into_iter().find(|one| *one != Stimulus::Subscribe && one.metrics().contains(&metric));
        if let Some(cause) = cause.filter(|cause| load.stimuli.weight(*cause).weight == 0) {
            let cause = cause.as_str();
            let help = Some(format!("give `{cause}` a weight in `stimuli`"));
            self.error_at(name, format!("`{name}` is never measured: there is no `{cause}`"), help);
        }
    }

    fn threshold(&mut self, entry: &Spanned<LoadThreshold>, is_search: bool, is_of_records: bool) {
        let LoadThreshold { threshold, abort_on_fail, delay_abort_eval } = &entry.value;
        let condition = Condition::parse(threshold);
        let is_relative = condition.as_ref().is_ok_and(Condition::is_relative);
        if is_relative && is_search {
            let help = Some("name a value, such as `p(99)<250ms`".to_owned());
            self.error(span(entry), "a search for a capacity cannot be relative to a baseline", help);
        }
        if *abort_on_fail && (is_relative || is_of_records) {
            let message = "this is known when the load is over, and cannot end it";
            self.inside(entry, |checker| checker.error_at("abort-on-fail", message, None));
        }
        if let Err(error) = condition {
            let word = threshold.get(error.at.clone()).unwrap_or_default();
            let help = error.help.or_else(|| suggest::help(word, error.known.iter().copied()));
            let place = self.place_of(entry, threshold, error.at);
            self.error(place, error.message, help);
        }
        if delay_abort_eval.is_some() && !abort_on_fail {
            let message = "`delay-abort-eval` goes with `abort-on-fail: true`";
            self.inside(entry, |checker| checker.error_at("delay-abort-eval", message, None));
        }
        if let Some(delay) = delay_abort_eval
            && delay.0 > LONGEST
        {
            self.error(span(entry), "`delay-abort-eval` is more than a week", None);
        }
    }

    /// The place of a part of a threshold in the file, if its text stands there as it is.
    fn place_of(&self, entry: &Spanned<LoadThreshold>, threshold: &str, part: Range<usize>) -> Range<usize> {
        let start = span(entry).start;
        let rest = self.text().get(start..).unwrap_or_default();
        match rest.find(threshold).filter(|_| !threshold.is_empty()) {
            Some(at) => start + at + part.start..start + at + part.end,
            None => span(entry),
        }
    }

    fn rate(&mut self, key: &str, rate: f64, must_flow: bool) {
        if must_flow && rate == 0.0 {
            self.error_at(key, format!("`{key}` is 0: nothing ever happens"), None);
        } else if !(0.0..=HIGHEST_RATE).contains(&rate) {
            self.error_at(key, format!("`{key}` is {rate}, which is no rate"), None);
        } else if rate > 0.0 && rate < 1e-6 {
            let help = Some("take a longer `time-unit`".to_owned());
            self.error_at(key, format!("`{key}` is less than a millionth"), help);
        }
    }

    pub(super) fn count(&mut self, key: &str, count: u64, most: u64) {
        if count == 0 || count > most {
            let range = if most == u64::MAX { "from 1".to_owned() } else { format!("from 1 to {most}") };
            self.error_at(key, format!("`{key}` is {count}, which is not a number {range}"), None);
        }
    }

    /// Checks a length of time that may be longer than those of steps.
    pub(super) fn long_time(&mut self, key: &str, time: Option<Time>) {
        if let Some(Time(length)) = time
            && (length.is_zero() || length > LONGEST)
        {
            self.error_at(key, format!("`{key}` has to be more than nothing and at most a week"), None);
        }
    }

    /// Looks at one value of what is looked at.
    pub(super) fn inside<T>(&mut self, value: &Spanned<T>, look: impl FnOnce(&mut Self)) {
        let inner = self.from(value);
        let whole = std::mem::replace(&mut self.at, inner);
        look(self);
        self.at = whole;
    }

    /// From a value on.
    fn from<T>(&self, value: &Spanned<T>) -> Range<usize> {
        span(value).start.min(self.at.end)..self.at.end
    }

    /// From a key of the load on. Keys of other mappings have the same names, but stand further in.
    pub(super) fn key(&self, key: &str) -> Range<usize> {
        let whole = self.at.clone();
        let text = self.text().get(whole.clone()).unwrap_or_default();
        let column = |at: usize| at - self.text()[..at].rfind('\n').map_or(0, |line| line + 1);
        let own = column(whole.start);
        let places = text.match_indices(key).map(|(at, _)| whole.start + at);
        let mut places = places.filter(|at| {
            let before = self.text()[..*at].chars().next_back();
            let after = self.text()[at + key.len()..].trim_start();
            after.starts_with(':') && before.is_none_or(|c| !c.is_alphanumeric() && c != '-')
        });
        let first = places.clone().next();
        let at = places.find(|at| column(*at) == own).or(first).unwrap_or(whole.start);
        at..whole.end
    }
}

/// Whether a scenario says what its steps are, be there any or not.
fn says_steps(text: &str) -> bool {
    yaml::<serde_json::Value>(text).is_ok_and(|given| given.get("steps").is_some())
}

#[cfg(test)]
mod tests {
    use crate::scenario::{ScenarioError, read};

    /// The errors of a load, each as `message | help`, with the text that its span covers.
    fn errors(head: &str, load: &str) -> Vec<(String, String)> {
        let text = format!("title: t\nexercises: [MSG-03]\n{head}load:\n{load}");
        let found = read("f.yaml", &text).err().unwrap_or_default();
        let told = |error: &ScenarioError| {
            let help = error.help.as_ref().map_or_else(String::new, |help| format!(" | {help}"));
            (format!("{}{help}", error.message), text[error.span.clone()].to_owned())
        };
        found.iter().map(told).collect()
    }

    #[track_caller]
    fn one(load: &str, message: &str, place: &str) {
        let found = errors("", load);
        assert!(found.len() == 1 && found[0].0.contains(message), "`{message}` in {found:#?}");
        assert_eq!(found[0].1, place, "{found:#?}");
    }

    /// A load that mutes, with this executor.
    fn with(executor: &str) -> String {
        format!("  stimuli: {{mute: 1}}\n  executor: {executor}\n")
    }

    const STEADY: &str = "  stimuli: {mute: 1}\n  executor: {constant-arrival-rate: {rate: 5, duration: 1s}}\n";

    #[test]
    fn sound_loads_have_no_errors() {
        assert_eq!(errors("", "  duration: 3h\n"), []);
        assert_eq!(errors("", STEADY), []);
        let relative = format!("{STEADY}  thresholds: {{cdr_arrival: ['p(99) <= baseline * 1.10']}}\n");
        assert_eq!(errors("receivers: [main]\n", &relative), []);
        assert_eq!(errors("receivers: [main]\n", "  connections: 0\n  duration: 5s\n"), []);
        let whole = "  connections: 7
  subscriptions: 120
  plans: [{receiver: main, entries: [{every: 3, answer: 503}]}]
  acks: {mode: late, by: 5ms}
  stimuli: {mute: 10, call: {weight: 1, lasts: 5s}}
  capacity: {from: 10, up-to: 1000, step: 50, hold: 10s, confirm: {times: 2, of: 3}}
  warm-up: 1s
  lag: {max: 5ms, share: 0.05}
  thresholds:
    update: ['p(99)<250ms', {threshold: 'rate<0.01', abortOnFail: true, delayAbortEval: 10s}]
    settle: ['p(99)<5s']
";
        assert_eq!(errors("needs: [limits]\nreceivers: [main]\n", whole), []);
    }

    #[test]
    fn executors_are_known_and_do_something() {
        one(
            &with("{constant-arival-rate: {rate: 1, duration: 1s}}"),
            "did you mean `constant-arrival-rate`?",
            "constant-arival-rate",
        );
        one(&with("{constant-arrival-rate: {rate: 0, duration: 1s}}"), "`rate` is 0", "rate");
        one(&with("{constant-arrival-rate: {rate: -1, duration: 1s}}"), "no rate", "rate");
        one(&with("{constant-arrival-rate: {rate: 1e-9, duration: 1s}}"), "longer `time-unit`", "rate");
        one(&with("{constant-arrival-rate: {rate: 1, duration: 0s}}"), "more than nothing", "duration");
        one(&with("{constant-arrival-rate: {rate: 1}}"), "`duration` is missing", "rate");
        one(&with("{ramping-arrival-rate: {stages: []}}"), "there are no stages", "stages");
        one(&with("{ramping-arrival-rate: {stages: [{target: 0, duration: 1s}]}}"), "nothing ever happens", "stages");
        one(&with("{ramping-arrival-rate: {stages: [{target: 5, duration: 0s}]}}"), "take no time", "stages");
        one(
            &with("{ramping-arrival-rate: {stages: [{target: 5, duration: 1s}, {target: -2, duration: 1s}]}}"),
            "`target` is -2",
            "target",
        );
        one(&with("{constant-vus: {vus: 0, duration: 1s}}"), "`vus` is 0", "vus");
        one(&with("{shared-iterations: {iterations: 0}}"), "`iterations` is 0", "iterations");
        one(&with("{shared-iterations: {iteratons: 1}}"), "did you mean `iterations`?", "iteratons");
    }

    #[test]
    fn something_happens_and_it_is_said_when() {
        one("  connections: 1\n", "not said how long this load listens", "connections");
        one("  stimuli: {mute: 1}\n", "not said when this happens", "stimuli");
        one("  executor: {constant-vus: {duration: 1s}}\n", "no `stimuli` with a weight", "executor");
        one(
            "  stimuli: {mute: 0}\n  executor: {constant-vus: {duration: 1s}}\n",
            "no `stimuli` with a weight",
            "executor",
        );
        one("  stimuli: {mut: 1}\n", "did you mean `mute`?", "mut");
        one(&format!("{STEADY}  duration: 5s\n"), "said elsewhere", "duration: 5s\n");
        one(&format!("{STEADY}  warm-up: 1s\n"), "no time to measure", "warm-up");
        one(
            "  stimuli: {mute: {weight: 1, lasts: 1s}}\n  executor: {constant-vus: {duration: 1s}}\n",
            "does not last",
            "mute",
        );
        one(&format!("  participants: 0\n{STEADY}"), "`mute` needs participants", "mute");
        one("  connections: 0\n  duration: 1s\n", "nobody takes part", "connections");
    }

    #[test]
    fn limits_are_exceeded_only_where_it_is_said() {
        one(&format!("  connections: 6\n{STEADY}"), "more than 2 connections at a server need `limits`", "connections");
        one(&format!("  subscriptions: 101\n{STEADY}"), "more than 100 subscriptions", "subscriptions");
        assert_eq!(errors("needs: [limits]\n", &format!("  connections: 6\n  subscriptions: 101\n{STEADY}")), []);
        one(&format!("  calls: 1000000\n{STEADY}"), "at most 10000", "calls");
    }

    #[test]
    fn thresholds_are_on_known_metrics_and_make_sense() {
        let threshold = |text: &str| format!("{STEADY}  thresholds:\n    {text}\n");
        one(&threshold("updat: ['p(99)<1s']"), "did you mean `update`?", "updat");
        one(&threshold("update: ['p(99)<1sec']"), "`sec` is no unit of time", "sec");
        one(&threshold("update: ['p99<1s']"), "write `p(99)`", "p99");
        one(&threshold("update: ['medd<1s']"), "did you mean `med`?", "medd");
        one(&threshold("update: ['p(99)<1s', {threshold: 'rate<2'}]"), "at most 1", "2");
        one(&threshold("update: []"), "nothing is asked", "update");
        one(&threshold("update_lock: ['p(99)<1s']"), "there is no `lock`", "update_lock");
        one(&threshold("cdr_arrival: ['p(99)<1s']"), "there is no receiver", "cdr_arrival");
        one(
            &threshold("update: [{threshold: 'rate<0.1', delay-abort-eval: 1s}]"),
            "goes with `abort-on-fail: true`",
            "delay-abort-eval",
        );
        one(&threshold("update: [{threshold: 'rate<0.1', abort: true}]"), "no key `abort` belongs here", "abort");
    }

    #[test]
    fn a_capacity_search_has_a_range_and_thresholds() {
        let search = |values: &str| {
            format!("  stimuli: {{mute: 1}}\n  capacity: {{{values}}}\n  thresholds: {{update: ['p(99)<1s']}}\n")
        };
        one(&search("from: 10, up-to: 5, hold: 1s"), "less than `from`", "up-to");
        one(&search("from: 0, up-to: 5, hold: 1s"), "`from` is 0", "from");
        one(&search("from: 1, up-to: 5, hold: 1s, factor: 2, step: 1"), "not both", "step");
        one(&search("from: 1, up-to: 5, hold: 1s, factor: 1"), "`factor` is from 1.01", "factor");
        one(&search("from: 1, up-to: 5, hold: 1s, precision: 5"), "`precision` is from", "precision");
        one(&search("from: 1, up-to: 5, hold: 1s, confirm: {times: 3, of: 2}"), "of 2 tries, 3 cannot hold", "of");
        one("  stimuli: {mute: 1}\n  capacity: {from: 1, up-to: 5, hold: 1s}\n", "needs `thresholds`", "capacity");
        let asked = |asked: &str| search("from: 1, up-to: 5, hold: 1s").replace("update: ['p(99)<1s']", asked);
        one(&asked("update: ['p(99) <= baseline * 1.1']"), "cannot be relative", "'p(99) <= baseline * 1.1'");
        let ends = "update: [{threshold: 'p(99) <= baseline * 1.1', abort-on-fail: true}]";
        one(&format!("{STEADY}  thresholds: {{{ends}}}\n"), "cannot end it", "abort-on-fail");
        let records = errors("receivers: [main]\n", &asked("cdr_arrival: ['p(99)<5s']"));
        assert!(records.len() == 1 && records[0].0.contains("a search cannot go by it"), "{records:#?}");
        one(
            &format!("{STEADY}  capacity: {{from: 1, up-to: 5, hold: 1s}}\n  thresholds: {{update: ['p(99)<1s']}}\n"),
            "not both",
            "capacity",
        );
    }

    #[test]
    fn steps_and_clients_have_no_place_beside_a_load() {
        let none = errors("steps: []\n", "  duration: 1s\n");
        assert!(none.len() == 1 && none[0].0.contains("`steps` or a `load`, not both"), "{none:#?}");
        let found = errors("clients: [alice]\nsteps: [{rest: {}}]\n", "  duration: 1s\n");
        assert!(found.len() == 2 && found[0].0.contains("names no clients"), "{found:#?}");
        assert!(found[1].0.contains("`steps` or a `load`, not both"), "{found:#?}");
        let found = errors("deadline: 5s\n", "  duration: 1s\n");
        assert!(found.len() == 1 && found[0].0.contains("`deadline`"), "{found:#?}");
    }

    #[test]
    fn plans_are_for_receivers_that_take_part() {
        let plans = "  connections: 0\n  duration: 1s\n  plans:\n    - {receiver: man, entries: []}\n";
        let found = errors("receivers: [main]\n", plans);
        assert!(found.len() == 1 && found[0].0.contains("did you mean `main`?"), "{found:#?}");
        let plans = "  duration: 1s\n  plans:\n    - {receiver: main, entries: [{sets: 1}]}\n";
        let found = errors("receivers: [main]\n", plans);
        assert!(found.len() == 1 && found[0].0.contains("exactly one of `answer` and `fail`"), "{found:#?}");
    }
}
