//! The check of a load on what connects to an emulated server.

use serde_saphyr::Spanned;

use super::load::{MOST_CALLS, MOST_CONNECTIONS, MOST_PARTICIPANTS};
use super::scenario::Checker;
use crate::load::Metric;
use crate::scenario::diagnostic::ScenarioError;
use crate::scenario::syntax::{Capacity, ClientLoad, ClientScenario, LoadExecutor, Scenario, Stimulus};

/// How many may come at once.
const MOST_AT_ONCE: u64 = 10_000;

/// All that is wrong with a load on clients, in the order of its places.
pub fn check_client_load(file: &str, text: &str, given: &ClientScenario) -> Vec<ScenarioError> {
    let nobody = Scenario::default();
    let mut checker = Checker::new(file, text, &nobody);
    checker.client_load(given);
    checker.into_errors()
}

impl<'s> Checker<'s> {
    fn client_load<'l>(&mut self, given: &'l ClientScenario)
    where
        'l: 's,
    {
        if given.title.trim().is_empty() {
            self.error_at("title", "the title is empty", Some("say in one sentence what is asked".to_owned()));
        }
        let load = &given.load.value;
        self.inside(&given.load, |checker| {
            checker.waits(load);
            for (key, value, most) in
                [("calls", load.calls(), MOST_CALLS), ("participants", load.participants(), MOST_PARTICIPANTS)]
            {
                if value > most {
                    checker.error_at(key, format!("`{key}` is {value}; at most {most} are allowed"), None);
                }
            }
            checker.streams(load);
            checker.time("within", load.within);
            checker.lag(load.lag);
            let searches = [
                load.updates.as_ref().map(|one| one.value.capacity.is_some()),
                load.records.as_ref().map(|one| one.value.capacity.is_some()),
            ];
            let is_search = searches.contains(&Some(true));
            checker.thresholds(&load.thresholds, is_search, |checker, metric| {
                checker.is_measured_of_clients(metric, load);
            });
        });
    }

    fn waits(&mut self, load: &'s ClientLoad) {
        let Some(waits) = &load.wait_for else { return };
        self.inside(waits, |checker| {
            for (key, count, other) in [
                ("connections", waits.value.connections, ("updates", load.updates.is_some())),
                ("receivers", waits.value.receivers, ("records", load.records.is_some())),
            ] {
                match (count, other) {
                    (Some(0), (what, true)) => {
                        checker.error_at(key, format!("without {key} nobody is told of `{what}`"), None);
                    }
                    (Some(count), _) if count > MOST_CONNECTIONS => {
                        let message = format!("`{key}` is {count}; at most {MOST_CONNECTIONS} are allowed");
                        checker.error_at(key, message, None);
                    }
                    _ => {}
                }
            }
            checker.long_time("within", waits.value.within);
            checker.time("quiet", waits.value.quiet);
        });
    }

    fn streams(&mut self, load: &'s ClientLoad) {
        if load.updates.is_none() && load.records.is_none() {
            let help = Some("name `updates`, `records` or both, each with an `executor`".to_owned());
            self.error_here("nothing is said to happen in this load", help);
        }
        let asked = !load.thresholds.is_empty();
        if let Some(updates) = &load.updates {
            self.inside(updates, |checker| {
                let given = &updates.value;
                if given.stimuli.is_empty() {
                    let help = Some("such as `stimuli: {mute: 3, layout: 1}`, each with its weight".to_owned());
                    checker.error_at("stimuli", "there are no `stimuli` with a weight", help);
                }
                if given.stimuli.weight(Stimulus::Subscribe).weight > 0 {
                    let help = Some("clients subscribe as they like; leave it out".to_owned());
                    checker.error_at("subscribe", "`subscribe` cannot be made to happen by the server", help);
                }
                checker.stimuli(&given.stimuli, (load.calls(), load.participants()), true);
                checker.when(given.executor.as_ref(), given.capacity.as_ref(), given.burst, asked);
            });
        }
        if let Some(records) = &load.records {
            self.inside(records, |checker| {
                let given = &records.value;
                checker.when(given.executor.as_ref(), given.capacity.as_ref(), given.burst, asked);
            });
        }
        if load.capacity().is_some() && load.updates.is_some() && load.records.is_some() {
            let help = Some("search for each capacity in a file of its own".to_owned());
            self.error_at("capacity", "a capacity search is of `updates` or of `records` alone", help);
        }
        let longest = [load.updates_at(None), load.records_at(None)].into_iter().flatten();
        let longest = longest.map(|executor| executor.duration()).max().unwrap_or_default();
        if load.warm_up() >= longest && !longest.is_zero() {
            let help = Some("what is scheduled in the `warm-up` is not measured".to_owned());
            self.error_at("warm-up", "the warm-up leaves no time to measure", help);
        }
    }

    /// Whether it is said once when something happens.
    fn when(
        &mut self,
        executor: Option<&'s Spanned<LoadExecutor>>,
        capacity: Option<&'s Capacity>,
        burst: Option<u32>,
        asked: bool,
    ) {
        match (executor, capacity) {
            (None, None) => {
                let help =
                    Some("name an `executor`, such as `constant-arrival-rate`, or a `capacity` search".to_owned());
                self.error_here("it is not said when this happens", help);
            }
            (Some(_), Some(_)) => {
                let help = Some("leave out the `executor`: the search decides on rates itself".to_owned());
                self.error_at("capacity", "there is an `executor` or a `capacity` search, not both", help);
            }
            (Some(executor), None) => self.inside(executor, |checker| checker.executor(&executor.value)),
            (None, Some(capacity)) => self.capacity(capacity, asked),
        }
        if let Some(burst) = burst {
            self.count("burst", u64::from(burst), MOST_AT_ONCE);
        }
    }

    /// A threshold on what is never measured would always be missed.
    fn is_measured_of_clients(&mut self, metric: Metric, load: &ClientLoad) {
        let name = metric.as_str();
        let (is_measured, why) = match metric {
            Metric::Ack => (load.updates.is_some(), "there are no `updates`"),
            Metric::Answer => (load.records.is_some(), "there are no `records`"),
            Metric::Lag => (true, ""),
            _ => (false, "of clients, `ack`, `answer` and `lag` are"),
        };
        if !is_measured {
            self.error_at(name, format!("`{name}` is never measured: {why}"), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::read_client_load;

    #[track_caller]
    fn one(load: &str, message: &str, place: &str) {
        let text = format!("title: t\nload:\n{load}");
        let found = read_client_load("f.yaml", &text).err().unwrap_or_default();
        let told: Vec<_> = found
            .iter()
            .map(|error| format!("{} | {}", error.message, error.help.clone().unwrap_or_default()))
            .collect();
        assert!(found.len() == 1 && told[0].contains(message), "`{message}` in {told:#?}");
        assert_eq!(&text[found[0].span.clone()], place, "{told:#?}");
    }

    const STEADY: &str =
        "  updates: {stimuli: {mute: 1}, executor: {constant-arrival-rate: {rate: 5, duration: 1s}}}\n";

    #[test]
    fn sound_loads_have_no_errors() {
        let whole = "title: t
about: why
load:
  wait-for: {connections: 2, receivers: 1, quiet: 500ms, within: 2m}
  calls: 3
  participants: 4
  updates:
    stimuli: {mute: 4, join-and-leave: {weight: 1, lasts: 2s}}
    executor: {ramping-arrival-rate: {stages: [{target: 200, duration: 1m}]}}
    burst: 10
  records:
    executor: {constant-arrival-rate: {rate: 50, duration: 60s}}
  warm-up: 2s
  lag: {max: 50ms}
  thresholds: {ack: ['p(99)<50ms', 'rate<0.01'], answer: ['p(99) <= baseline * 1.1'], lag: ['p(99)<5ms']}
";
        assert!(read_client_load("f.yaml", whole).is_ok());
        assert!(read_client_load("f.yaml", &format!("title: t\nload:\n{STEADY}")).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_shown_in_its_place() {
        one("  calls: 1\n", "nothing is said to happen", "calls");
        one("  updats: {}\n", "did you mean `updates`?", "updats");
        one("  updates: {stimuli: {mute: 1}}\n", "not said when", "stimuli");
        one(&STEADY.replace("mute", "subscribe"), "cannot be made to happen", "subscribe");
        one(&STEADY.replace("mute: 1", "mute: 0"), "no `stimuli` with a weight", "stimuli");
        one(&format!("  calls: 0\n{STEADY}"), "`mute` needs participants", "mute");
        one(&STEADY.replace("rate: 5", "rate: 0"), "`rate` is 0", "rate");
        one(&STEADY.replace("executor", "burst: 0, executor"), "`burst` is 0", "burst");
        one(&format!("{STEADY}  warm-up: 1s\n"), "no time to measure", "warm-up");
        one(&format!("  wait-for: {{connections: 0}}\n{STEADY}"), "nobody is told of `updates`", "connections");
        one(&format!("{STEADY}  thresholds: {{update: ['p(99)<1s']}}\n"), "`update` is never measured", "update");
        one(&format!("{STEADY}  thresholds: {{answer: ['p(99)<1s']}}\n"), "no `records`", "answer");
        one(&format!("{STEADY}  thresholds: {{ack: ['p99<1s']}}\n"), "write `p(99)`", "p99");
        one("  records: {capacity: {from: 1, up-to: 5, hold: 1s}}\n", "needs `thresholds`", "capacity");
        let both = "  records: {capacity: {from: 1, up-to: 5, hold: 1s}}\n  thresholds: {ack: ['p(99)<1s']}\n";
        one(&format!("{STEADY}{both}"), "alone", "capacity");
    }
}
