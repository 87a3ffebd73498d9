//! A load on the events clients and CDR receivers that connect to an emulated server: the file of `emulate --load`.
//!
//! It speaks the language of [`super::Load`], and means the same by it: executors, stimuli, capacity, thresholds. What is
//! other is who is under load, and so what a rate counts: updates told on each connection, records sent to each receiver.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::load::{Capacity, LoadExecutor, LoadThreshold, MaxLag, Stimuli, ThresholdForm, read_thresholds};
use super::values::Time;
use crate::load;

/// How long a reaction may take until it counts as failed, unless the load says otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// How long is waited for clients and receivers, and how long none may have changed, unless the load says otherwise.
const WAIT: (Duration, Duration) = (Duration::from_mins(1), Duration::from_secs(1));

/// A load on what connects to an emulated server.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientScenario {
    /// One sentence that says what is asked.
    pub title: String,
    /// Why it matters or how it works, for readers.
    #[serde(default)]
    pub about: Option<String>,
    /// What happens on the emulated server, and what is asked of those who follow it.
    #[schemars(with = "ClientLoad")]
    pub load: Spanned<ClientLoad>,
}

/// `load`: the calls of the emulated server, what happens to them and how often, and what is asked of clients and receivers.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClientLoad {
    /// Who has to be there until the load begins.
    #[serde(default)]
    #[schemars(with = "Option<WaitFor>")]
    pub wait_for: Option<Spanned<WaitFor>>,
    /// How many calls go on all the time, from before anybody connects; 1 unless said, 0 for none.
    #[serde(default)]
    pub calls: Option<u32>,
    /// How many participants each of them has; 2 unless said.
    #[serde(default)]
    pub participants: Option<u32>,
    /// What is told on each connection, and when.
    #[serde(default)]
    #[schemars(with = "Option<Updates>")]
    pub updates: Option<Spanned<Updates>>,
    /// When records are made for the receivers.
    #[serde(default)]
    #[schemars(with = "Option<Records>")]
    pub records: Option<Spanned<Records>>,
    /// What is scheduled in this time at the beginning is not measured; of a capacity search, at the beginning of each probe.
    #[serde(default, alias = "warmUp")]
    #[schemars(with = "Option<String>")]
    pub warm_up: Option<Time>,
    /// How long an ack or an answer may take until it counts as failed; 10 s unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
    /// How late the emulator itself may be until the run says nothing of the clients.
    #[serde(default)]
    pub lag: Option<MaxLag>,
    /// What each metric has to meet: `ack`, `answer`, `lag`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<ThresholdForm>>")]
    pub thresholds: BTreeMap<String, Vec<Spanned<LoadThreshold>>>,
}

/// Who has to be there until the load begins.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitFor {
    /// How many connections that are subscribed to something that `updates` tells of; 1 unless said, 0 without `updates`.
    #[serde(default)]
    pub connections: Option<u32>,
    /// How many configured CDR receivers; 1 unless said, 0 without `records`.
    #[serde(default)]
    pub receivers: Option<u32>,
    /// How long nobody may have come or subscribed otherwise; 1 s unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub quiet: Option<Time>,
    /// How long is waited in all; a minute unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
}

/// `updates`: each is told on every connection that is subscribed to something that can change. Clients that are
/// subscribed alike share a change; one that others do not share has a change of its own.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Updates {
    /// What happens, by weight; all but `subscribe`.
    pub stimuli: Stimuli,
    /// When it happens: exactly one executor. A rate counts the updates of each connection.
    #[serde(default)]
    #[schemars(with = "Option<LoadExecutor>")]
    pub executor: Option<Spanned<LoadExecutor>>,
    /// Finds the highest rate at which the thresholds are met; stands in place of an executor.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// How many come at once; 1 unless said. A rate counts every one of them; virtual users do so many in an iteration.
    #[serde(default)]
    pub burst: Option<u32>,
}

/// `records`: each goes to every receiver.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Records {
    /// When records are made: exactly one executor. A rate counts the records of each receiver.
    #[serde(default)]
    #[schemars(with = "Option<LoadExecutor>")]
    pub executor: Option<Spanned<LoadExecutor>>,
    /// Finds the highest rate at which the thresholds are met; stands in place of an executor.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// How many come at once; 1 unless said. A rate counts every one of them; virtual users do so many in an iteration.
    #[serde(default)]
    pub burst: Option<u32>,
}

impl ClientLoad {
    /// How many calls go on all the time.
    pub fn calls(&self) -> u32 {
        self.calls.unwrap_or(1)
    }

    /// How many participants each of them has.
    pub fn participants(&self) -> u32 {
        self.participants.unwrap_or(2)
    }

    /// How many connections have to be there.
    pub fn connections(&self) -> u32 {
        self.waits().connections.unwrap_or_else(|| u32::from(self.updates.is_some()))
    }

    /// How many receivers have to be there.
    pub fn receivers(&self) -> u32 {
        self.waits().receivers.unwrap_or_else(|| u32::from(self.records.is_some()))
    }

    /// How long is waited for them, and how long nothing may have changed among them.
    pub fn wait(&self) -> (Duration, Duration) {
        let waits = self.waits();
        (waits.within.map_or(WAIT.0, |time| time.0), waits.quiet.map_or(WAIT.1, |time| time.0))
    }

    fn waits(&self) -> WaitFor {
        self.wait_for.as_ref().map(|given| given.value).unwrap_or_default()
    }

    /// The search for a capacity, if there is one.
    pub fn capacity(&self) -> Option<&Capacity> {
        let of_updates = self.updates.as_ref().and_then(|updates| updates.value.capacity.as_ref());
        of_updates.or_else(|| self.records.as_ref().and_then(|records| records.value.capacity.as_ref()))
    }

    /// What decides when updates come; of a capacity search, at this rate.
    pub fn updates_at(&self, rate: Option<f64>) -> Option<load::Executor> {
        let Updates { executor, capacity, burst, .. } = &self.updates.as_ref()?.value;
        executor_of(executor.as_ref(), capacity.as_ref(), *burst, rate)
    }

    /// What decides when records come, likewise.
    pub fn records_at(&self, rate: Option<f64>) -> Option<load::Executor> {
        let Records { executor, capacity, burst } = &self.records.as_ref()?.value;
        executor_of(executor.as_ref(), capacity.as_ref(), *burst, rate)
    }

    /// How many updates and how many records come at once.
    pub fn bursts(&self) -> (u32, u32) {
        let of_updates = self.updates.as_ref().and_then(|updates| updates.value.burst);
        let of_records = self.records.as_ref().and_then(|records| records.value.burst);
        (of_updates.unwrap_or(1), of_records.unwrap_or(1))
    }

    /// How long an ack or an answer may take until it counts as failed.
    pub fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |time| time.0)
    }

    /// How long nothing is measured at the beginning.
    pub fn warm_up(&self) -> Duration {
        self.warm_up.map_or(Duration::ZERO, |time| time.0)
    }

    /// How late something may begin and still be on time, and how large a share may be later.
    pub fn max_lag(&self) -> (Duration, f64) {
        self.lag.unwrap_or_default().limits()
    }

    /// The thresholds, of those that are sound (a checked load has no others).
    pub fn thresholds(&self) -> Vec<load::Threshold> {
        read_thresholds(&self.thresholds)
    }
}

/// An executor of so many at once.
fn executor_of(
    executor: Option<&Spanned<LoadExecutor>>,
    capacity: Option<&Capacity>,
    burst: Option<u32>,
    rate: Option<f64>,
) -> Option<load::Executor> {
    let whole = match (executor, capacity) {
        (Some(executor), _) => executor.value.executor(),
        (None, Some(capacity)) => capacity.executor(rate.unwrap_or(capacity.from)),
        (None, None) => return None,
    };
    let share = |rate: load::Rate| load::Rate::new(rate.value() / f64::from(burst.unwrap_or(1).max(1)));
    Some(match whole {
        load::Executor::ConstantArrivalRate { rate, time_unit, duration } => {
            load::Executor::ConstantArrivalRate { rate: share(rate), time_unit, duration }
        }
        load::Executor::RampingArrivalRate { start_rate, time_unit, mut stages } => {
            stages.iter_mut().for_each(|stage| stage.target = share(stage.target));
            load::Executor::RampingArrivalRate { start_rate: share(start_rate), time_unit, stages }
        }
        other => other,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_leaves_the_rate_as_it_is_written() {
        let text = "
title: t
load:
  updates: {stimuli: {mute: 1}, burst: 20, executor: {constant-arrival-rate: {rate: 200, duration: 1s}}}
  records: {burst: 5, capacity: {from: 10, up-to: 100, hold: 1s}}
";
        let given: ClientScenario = serde_saphyr::from_str(text).unwrap();
        let load = given.load.value;
        let rate = |executor: Option<load::Executor>| match executor {
            Some(load::Executor::ConstantArrivalRate { rate, .. }) => rate.value(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            (rate(load.updates_at(None)), rate(load.records_at(Some(50.0))), load.bursts()),
            (10.0, 10.0, (20, 5))
        );
        assert_eq!((load.connections(), load.receivers(), load.calls(), load.participants()), (1, 1, 1, 2));
        assert_eq!(load.wait(), (Duration::from_secs(60), Duration::from_secs(1)));
        assert!(load.capacity().is_some() && load.thresholds().is_empty());
    }
}
