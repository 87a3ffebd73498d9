//! `load`: what is put on a server in place of steps, and what is asked of it.
//!
//! The names are those of k6 in the spelling of this language (`time-unit`); k6's own spelling (`timeUnit`) is read as well.
//! What the values mean is in [`crate::load`]: an executor becomes a [`crate::load::Executor`], a threshold a
//! [`crate::load::thresholds::Condition`], a capacity search a [`crate::load::search::Plan`].

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::client_steps::AckMode;
use super::receiver_steps::MakePlan;
use super::values::Time;
use crate::load;

/// How long a reaction may take until it counts as failed, unless the load says otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// How late something may begin and still be on time, and how large a share may be later, unless the load says otherwise.
const MAX_LAG: (Duration, f64) = (Duration::from_millis(20), 0.01);

/// What becomes of shared work that is not done: k6 gives it ten minutes.
const MAX_DURATION: Duration = Duration::from_mins(10);

/// How near a capacity is found, unless the load says otherwise.
const PRECISION: f64 = 0.05;

/// `load`: a population, what happens to it and how often, and what is asked of the server meanwhile.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Load {
    // ── the population ──
    /// How many event connections in all; 1 unless said. Where the load is spread over several servers, each has its share.
    #[serde(default)]
    pub connections: Option<u32>,
    /// How many subscriptions each connection has: one to `calls`, the others to `callInfo` and `callRoster` of the calls in
    /// turn. As many as there is something to subscribe to, and at most 100, unless said.
    #[serde(default)]
    pub subscriptions: Option<u32>,
    /// Whether each connection also subscribes to `callInfo` and `callRoster` of the calls that others have, as it is told of
    /// them: as many as `subscriptions` allows for, 100 unless said. For loads that only listen and have no `calls` of their own.
    #[serde(default)]
    pub follow: bool,
    /// How many calls go on all the time at each server; 1 unless said, 0 for none.
    #[serde(default)]
    pub calls: Option<u32>,
    /// How many participants each of them has; 2 unless said.
    #[serde(default)]
    pub participants: Option<u32>,
    /// How the connections acknowledge; each message once and at once unless said.
    #[serde(default)]
    pub acks: Option<LoadAcks>,
    /// What the scenario's `receivers` do with sets of records; they answer 200 unless said.
    #[serde(default)]
    #[schemars(with = "Vec<MakePlan>")]
    pub plans: Vec<Spanned<MakePlan>>,
    // ── what happens ──
    /// What happens to the population, by weight. Without, the load only listens.
    #[serde(default)]
    pub stimuli: Stimuli,
    /// When it happens: exactly one executor. Without `stimuli` there is none, and `duration` says how long it listens.
    #[serde(default)]
    #[schemars(with = "Option<LoadExecutor>")]
    pub executor: Option<Spanned<LoadExecutor>>,
    /// How long a load without `stimuli` listens.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub duration: Option<Time>,
    /// Finds the highest rate at which the thresholds are met; stands in place of an executor.
    #[serde(default)]
    pub capacity: Option<Capacity>,
    /// What is scheduled in this time at the beginning is not measured; of a capacity search, at the beginning of each probe.
    #[serde(default, alias = "warmUp")]
    #[schemars(with = "Option<String>")]
    pub warm_up: Option<Time>,
    // ── what is asked ──
    /// How long a reaction may take until it counts as failed; 10 s unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
    /// How late the harness itself may be until the run says nothing of the server.
    #[serde(default)]
    pub lag: Option<MaxLag>,
    /// What each metric has to meet.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<ThresholdForm>>")]
    pub thresholds: BTreeMap<String, Vec<Spanned<LoadThreshold>>>,
}

impl Load {
    /// What decides when something happens. Of a capacity search, see [`Capacity::executor`].
    pub fn executor(&self) -> load::Executor {
        match (&self.executor, &self.capacity) {
            (Some(executor), _) => executor.value.executor(),
            (None, Some(capacity)) => capacity.executor(capacity.from),
            (None, None) => load::Executor::Listen { duration: self.duration.map_or(Duration::ZERO, |time| time.0) },
        }
    }

    /// The thresholds, of those that are sound (a checked load has no others).
    pub fn thresholds(&self) -> Vec<load::Threshold> {
        read_thresholds(&self.thresholds)
    }

    /// What holds for the whole load, on however many servers.
    pub fn terms(&self) -> load::together::Terms {
        let search = self.capacity.as_ref().map(Capacity::plan);
        load::together::Terms { thresholds: self.thresholds(), max_late: self.max_lag().1, search }
    }

    /// The share of one of so many servers, counted from 0: connections are divided as evenly as they can be. When work
    /// begins is divided by [`load::Schedule::part`]; all else is for each server.
    #[must_use]
    pub fn share(&self, index: u32, of: u32) -> Self {
        let (all, of) = (self.connections(), of.max(1));
        Self { connections: Some(all / of + u32::from(index < all % of)), ..self.clone() }
    }

    /// How many event connections.
    pub fn connections(&self) -> u32 {
        self.connections.unwrap_or(1)
    }

    /// How many calls go on all the time.
    pub fn calls(&self) -> u32 {
        self.calls.unwrap_or(1)
    }

    /// How many participants each of them has.
    pub fn participants(&self) -> u32 {
        self.participants.unwrap_or(2)
    }

    /// How many subscriptions each connection has.
    pub fn subscriptions(&self) -> u32 {
        let usual = || if self.follow { 100 } else { self.calls().saturating_mul(2).saturating_add(1).min(100) };
        self.subscriptions.unwrap_or_else(usual)
    }

    /// Whether it only listens: nothing is made on the server, and nothing is asked of it but events.
    pub fn only_listens(&self) -> bool {
        self.stimuli.is_empty() && self.calls() == 0 && self.plans.is_empty()
    }

    /// How long a reaction may take until it counts as failed.
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
}

/// How the connections of a load acknowledge.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadAcks {
    /// As in the step `acks`.
    pub mode: AckMode,
    /// For `late`: by how much.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub by: Option<Time>,
    /// For `repeat`: how many acks for each message.
    #[serde(default)]
    pub times: Option<u32>,
    /// The status to send instead of `success`.
    #[serde(default)]
    pub status: Option<String>,
}

/// How late the harness itself may be.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MaxLag {
    /// How long after its time something may begin; 20 ms unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub max: Option<Time>,
    /// How large a share of the arrivals may be later than that, from 0 to 1; 0.01 unless said. With more the run is inconclusive.
    #[serde(default)]
    pub share: Option<f64>,
}

impl MaxLag {
    /// How late something may begin and still be on time, and how large a share may be later.
    pub(super) fn limits(self) -> (Duration, f64) {
        (self.max.map_or(MAX_LAG.0, |time| time.0), self.share.unwrap_or(MAX_LAG.1))
    }
}

/// What happens to the population, each with its weight among the others: a number, or a mapping with `weight` and `lasts`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Stimuli {
    /// A participant is muted, or is so no longer.
    #[serde(default)]
    pub mute: Weight,
    /// A participant gets another layout.
    #[serde(default)]
    pub layout: Weight,
    /// A call is locked, or is so no longer.
    #[serde(default)]
    pub lock: Weight,
    /// The recording of a call begins or ends.
    #[serde(default)]
    pub record: Weight,
    /// A party joins a call and leaves it again.
    #[serde(default)]
    pub join_and_leave: Weight,
    /// A call starts with its participants, lives and ends.
    #[serde(default)]
    pub call: Weight,
    /// A connection asks for another set of subscriptions.
    #[serde(default)]
    pub subscribe: Weight,
}

/// What can happen to the population.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stimulus {
    /// A mute changes.
    Mute,
    /// A layout changes.
    Layout,
    /// A lock changes.
    Lock,
    /// A recording begins or ends.
    Record,
    /// A party joins and leaves.
    JoinAndLeave,
    /// A call starts, lives and ends.
    Call,
    /// The subscriptions of a connection change.
    Subscribe,
}

impl Stimulus {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Mute, Self::Layout, Self::Lock, Self::Record, Self::JoinAndLeave, Self::Call, Self::Subscribe];

    /// Its key in `stimuli`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mute => "mute",
            Self::Layout => "layout",
            Self::Lock => "lock",
            Self::Record => "record",
            Self::JoinAndLeave => "join-and-leave",
            Self::Call => "call",
            Self::Subscribe => "subscribe",
        }
    }

    /// The metrics that time its effects, in the order in which they come about.
    pub const fn metrics(self) -> &'static [load::Metric] {
        use load::Metric;
        match self {
            Self::Mute => &[Metric::UpdateMute],
            Self::Layout => &[Metric::UpdateLayout],
            Self::Lock => &[Metric::UpdateLock],
            Self::Record => &[Metric::UpdateRecord],
            Self::JoinAndLeave => &[Metric::UpdateJoin, Metric::UpdateLeave],
            Self::Call => &[Metric::UpdateCallStart, Metric::UpdateCallEnd],
            Self::Subscribe => &[Metric::Settle],
        }
    }

    /// Whether it is something that lasts.
    pub const fn lasts(self) -> bool {
        matches!(self, Self::JoinAndLeave | Self::Call)
    }
}

impl Weight {
    /// How long it lasts, where it is something that lasts.
    pub fn lasts(&self) -> Duration {
        self.lasts.map_or(Duration::from_secs(1), |time| time.0)
    }
}

impl Stimuli {
    /// The weight of one.
    pub const fn weight(&self, stimulus: Stimulus) -> Weight {
        match stimulus {
            Stimulus::Mute => self.mute,
            Stimulus::Layout => self.layout,
            Stimulus::Lock => self.lock,
            Stimulus::Record => self.record,
            Stimulus::JoinAndLeave => self.join_and_leave,
            Stimulus::Call => self.call,
            Stimulus::Subscribe => self.subscribe,
        }
    }

    /// The sum of all weights.
    pub fn total(&self) -> u64 {
        Stimulus::ALL.iter().map(|stimulus| u64::from(self.weight(*stimulus).weight)).sum()
    }

    /// Whether nothing happens.
    pub fn is_empty(&self) -> bool {
        self.total() == 0
    }

    /// The one that a number below [`Self::total`] stands for: drawn evenly, each comes as often as its weight says.
    pub fn pick(&self, drawn: u64) -> Option<Stimulus> {
        let mut rest = drawn;
        Stimulus::ALL.into_iter().find(|stimulus| {
            let weight = u64::from(self.weight(*stimulus).weight);
            let is_this = rest < weight;
            rest = rest.saturating_sub(weight);
            is_this
        })
    }
}

/// How often something happens beside the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, JsonSchema)]
#[schemars(with = "WeightForms")]
pub struct Weight {
    /// The weight; 0 for never.
    pub weight: u32,
    /// How long it lasts, where it is something that lasts; a second unless said.
    pub lasts: Option<Time>,
}

/// What may stand where a weight is wanted.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the schema only")]
enum WeightForms {
    Weight(u32),
    Whole(WholeWeight),
}

/// A weight with all that can be said about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WholeWeight {
    /// The weight.
    weight: u32,
    /// For `call` and `join-and-leave`: how long it lasts; a second unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    lasts: Option<Time>,
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> serde::de::Visitor<'de> for Forms {
            type Value = Weight;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a weight: a whole number, or a mapping with `weight` and `lasts`")
            }

            fn visit_u64<E: serde::de::Error>(self, weight: u64) -> Result<Weight, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Unsigned(weight), &self);
                Ok(Weight { weight: u32::try_from(weight).map_err(|_| wrong())?, lasts: None })
            }

            fn visit_i64<E: serde::de::Error>(self, weight: i64) -> Result<Weight, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Signed(weight), &self);
                Ok(Weight { weight: u32::try_from(weight).map_err(|_| wrong())?, lasts: None })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<Weight, A::Error> {
                let WholeWeight { weight, lasts } =
                    WholeWeight::deserialize(serde::de::value::MapAccessDeserializer::new(map))?;
                Ok(Weight { weight, lasts })
            }
        }
        source.deserialize_any(Forms)
    }
}

/// When things happen.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LoadExecutor {
    /// At a rate, whatever becomes of what began earlier.
    ConstantArrivalRate(ConstantArrivalRate),
    /// At a rate that goes from one target to the next in straight lines.
    RampingArrivalRate(RampingArrivalRate),
    /// So many virtual users, each of which begins anew as soon as it has seen the effect of what it did.
    ConstantVus(ConstantVus),
    /// So much in all, by so many virtual users.
    SharedIterations(SharedIterations),
}

impl LoadExecutor {
    /// What a schedule is made from.
    pub fn executor(&self) -> load::Executor {
        match self {
            Self::ConstantArrivalRate(given) => load::Executor::ConstantArrivalRate {
                rate: load::Rate::new(given.rate),
                time_unit: unit(given.time_unit),
                duration: given.duration.0,
            },
            Self::RampingArrivalRate(given) => load::Executor::RampingArrivalRate {
                start_rate: load::Rate::new(given.start_rate.unwrap_or_default()),
                time_unit: unit(given.time_unit),
                stages: given
                    .stages
                    .iter()
                    .map(|stage| load::Stage {
                        target: load::Rate::new(stage.value.target),
                        duration: stage.value.duration.0,
                    })
                    .collect(),
            },
            Self::ConstantVus(given) => {
                load::Executor::ConstantVus { vus: given.vus.unwrap_or(1), duration: given.duration.0 }
            }
            Self::SharedIterations(given) => load::Executor::SharedIterations {
                vus: given.vus.unwrap_or(1),
                iterations: given.iterations,
                max_duration: given.max_duration.map_or(MAX_DURATION, |time| time.0),
            },
        }
    }
}

/// `constant-arrival-rate`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConstantArrivalRate {
    /// How many stimuli per time unit; it may be a fraction.
    pub rate: f64,
    /// The time unit; a second unless said.
    #[serde(default, alias = "timeUnit")]
    #[schemars(with = "Option<String>")]
    pub time_unit: Option<Time>,
    /// How long.
    #[schemars(with = "String")]
    pub duration: Time,
}

/// `ramping-arrival-rate`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct RampingArrivalRate {
    /// How many stimuli per time unit at the beginning; 0 unless said.
    #[serde(default, alias = "startRate")]
    pub start_rate: Option<f64>,
    /// The time unit; a second unless said.
    #[serde(default, alias = "timeUnit")]
    #[schemars(with = "Option<String>")]
    pub time_unit: Option<Time>,
    /// How the rate goes on.
    #[schemars(with = "Vec<LoadStage>")]
    pub stages: Vec<Spanned<LoadStage>>,
}

/// A stage of `ramping-arrival-rate`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadStage {
    /// How many stimuli per time unit at its end.
    pub target: f64,
    /// How long it takes to get there; `0s` jumps.
    #[schemars(with = "String")]
    pub duration: Time,
}

/// `constant-vus`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantVus {
    /// How many virtual users; 1 unless said.
    #[serde(default)]
    pub vus: Option<u32>,
    /// How long.
    #[schemars(with = "String")]
    pub duration: Time,
}

/// `shared-iterations`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SharedIterations {
    /// How many virtual users; 1 unless said.
    #[serde(default)]
    pub vus: Option<u32>,
    /// How many stimuli in all.
    pub iterations: u64,
    /// How long they may take; ten minutes unless said. What has not begun then does not begin.
    #[serde(default, alias = "maxDuration")]
    #[schemars(with = "Option<String>")]
    pub max_duration: Option<Time>,
}

/// `capacity`: the rate is raised until a threshold breaks, then closed in on, then confirmed by repetition. At most one of
/// `factor` and `step`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Capacity {
    /// The first rate, in stimuli per time unit.
    pub from: f64,
    /// The highest rate that is tried.
    pub up_to: f64,
    /// What a rate is multiplied by for the next one; 2 unless said.
    #[serde(default)]
    pub factor: Option<f64>,
    /// What is added to a rate for the next one.
    #[serde(default)]
    pub step: Option<f64>,
    /// How near the capacity is found, as a share of it; 0.05 unless said.
    #[serde(default)]
    pub precision: Option<f64>,
    /// How often the rate that was found has to hold, of how many tries; 2 of 3 unless said.
    #[serde(default)]
    pub confirm: Option<Confirm>,
    /// How long each rate is held.
    #[schemars(with = "String")]
    pub hold: Time,
    /// The time unit; a second unless said.
    #[serde(default, alias = "timeUnit")]
    #[schemars(with = "Option<String>")]
    pub time_unit: Option<Time>,
}

/// How often a capacity has to be confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Confirm {
    /// How often it has to hold.
    pub times: u32,
    /// How often it is tried.
    pub of: u32,
}

impl Capacity {
    /// What a search is made from.
    pub fn plan(&self) -> load::search::Plan {
        let growth = match (self.factor, self.step) {
            (_, Some(step)) => load::search::Growth::Step(step),
            (factor, None) => load::search::Growth::Factor(factor.unwrap_or(2.0)),
        };
        let Confirm { times, of } = self.confirm.unwrap_or(Confirm { times: 2, of: 3 });
        let precision = self.precision.unwrap_or(PRECISION);
        load::search::Plan { from: self.from, up_to: self.up_to, growth, precision, times, of }
    }

    /// The executor of a probe at this rate.
    pub fn executor(&self, rate: f64) -> load::Executor {
        load::Executor::ConstantArrivalRate {
            rate: load::Rate::new(rate),
            time_unit: unit(self.time_unit),
            duration: self.hold.0,
        }
    }
}

/// One threshold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadThreshold {
    /// The condition, as written: `p(99)<250ms`.
    pub threshold: String,
    /// Whether the load ends as soon as it is missed.
    pub abort_on_fail: bool,
    /// How long it is not looked at for that, from the beginning of the measured part.
    pub delay_abort_eval: Option<Time>,
}

/// The thresholds of each metric, of those that are sound.
pub(super) fn read_thresholds(given: &BTreeMap<String, Vec<Spanned<LoadThreshold>>>) -> Vec<load::Threshold> {
    let read = |name: &str, entry: &LoadThreshold| {
        let metric = load::Metric::from_name(name)?;
        let condition = load::Condition::parse(&entry.threshold).ok()?;
        let delay = entry.delay_abort_eval.map_or(Duration::ZERO, |time| time.0);
        Some(load::Threshold { metric, condition, abort: entry.abort_on_fail.then_some(delay) })
    };
    let all = given.iter().flat_map(|(name, entries)| entries.iter().map(move |entry| (name, entry)));
    all.filter_map(|(name, entry)| read(name, &entry.value)).collect()
}

/// What may stand where a threshold is wanted.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the schema only")]
pub(super) enum ThresholdForm {
    Condition(String),
    Whole(WholeThreshold),
}

/// A threshold with all that can be said about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct WholeThreshold {
    /// The condition, such as `p(99)<250ms`, `rate<0.01` or `p(99) <= baseline * 1.10`.
    threshold: String,
    /// Whether the load ends as soon as it is missed; it goes on unless said.
    #[serde(default, alias = "abortOnFail")]
    abort_on_fail: bool,
    /// How long it is not looked at for that.
    #[serde(default, alias = "delayAbortEval")]
    #[schemars(with = "Option<String>")]
    delay_abort_eval: Option<Time>,
}

impl<'de> Deserialize<'de> for LoadThreshold {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> serde::de::Visitor<'de> for Forms {
            type Value = WholeThreshold;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a threshold such as `p(99)<250ms`, or a mapping with `threshold` and `abort-on-fail`")
            }

            fn visit_str<E>(self, text: &str) -> Result<WholeThreshold, E> {
                Ok(WholeThreshold { threshold: text.to_owned(), abort_on_fail: false, delay_abort_eval: None })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<WholeThreshold, A::Error> {
                WholeThreshold::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        let WholeThreshold { threshold, abort_on_fail, delay_abort_eval } = source.deserialize_any(Forms)?;
        Ok(Self { threshold, abort_on_fail, delay_abort_eval })
    }
}

/// A time unit; a second unless said.
fn unit(given: Option<Time>) -> Duration {
    given.map_or(Duration::from_secs(1), |time| time.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Load {
        serde_saphyr::from_str(text).unwrap()
    }

    #[test]
    fn a_load_reads_in_either_spelling() {
        let kebab = "
connections: 5
subscriptions: 100
stimuli: {mute: 10, call: {weight: 1, lasts: 5s}}
executor: {ramping-arrival-rate: {start-rate: 0.5, time-unit: 1m, stages: [{target: 10, duration: 30s}, {target: 0, duration: 0s}]}}
warm-up: 2s
thresholds:
  update: ['p(99)<250ms', {threshold: 'rate<0.01', abort-on-fail: true, delay-abort-eval: 10s}]
";
        let camel = kebab.replace("start-rate", "startRate").replace("time-unit", "timeUnit");
        let camel = camel.replace("abort-on-fail", "abortOnFail").replace("delay-abort-eval", "delayAbortEval");
        for text in [kebab, &camel] {
            let load = read(text);
            assert_eq!((load.connections(), load.subscriptions(), load.calls(), load.stimuli.total()), (5, 100, 1, 11));
            assert_eq!(load.stimuli.call.lasts, Some(Time(Duration::from_secs(5))));
            let load::Executor::RampingArrivalRate { start_rate, time_unit, stages } = load.executor() else {
                panic!("{:?}", load.executor())
            };
            assert_eq!((start_rate.value(), time_unit, stages.len()), (0.5, Duration::from_mins(1), 2));
            let second = &load.thresholds["update"][1].value;
            assert!(second.abort_on_fail && second.delay_abort_eval == Some(Time(Duration::from_secs(10))));
            assert_eq!(load.thresholds["update"][0].value.threshold, "p(99)<250ms");
        }
    }

    #[test]
    fn without_stimuli_a_load_listens() {
        let load = read("duration: 3s\n");
        assert_eq!(load.executor(), load::Executor::Listen { duration: Duration::from_secs(3) });
        assert!(load.stimuli.is_empty() && load.stimuli.pick(0).is_none());
    }

    #[test]
    fn stimuli_come_as_often_as_their_weights_say() {
        let load = read("stimuli: {mute: 3, lock: 0, subscribe: {weight: 2}}\n");
        let drawn: Vec<_> = (0..load.stimuli.total()).map(|drawn| load.stimuli.pick(drawn).unwrap()).collect();
        assert_eq!(drawn, [[Stimulus::Mute; 3].as_slice(), &[Stimulus::Subscribe; 2]].concat());
        for wrong in
            ["stimuli: {mute: -1}", "stimuli: {mute: many}", "stimuli: {mute: }", "stimuli: {mute: {lasts: 1s}}"]
        {
            assert!(serde_saphyr::from_str::<Load>(wrong).is_err(), "{wrong}");
        }
    }
}
