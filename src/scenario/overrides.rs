//! What outweighs what a load's file says: `run --duration 8h --rate 50`.
//!
//! Only what a load says as one value can be replaced by one: stages and searches have several, and say so.

use std::time::Duration;

use super::check::{HIGHEST_RATE, LONGEST};
use super::syntax::{Load, LoadExecutor, Scenario, Time};

/// What outweighs the files of loads.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Overrides {
    /// How long loads go on.
    pub duration: Option<Duration>,
    /// How many stimuli per time unit they have.
    pub rate: Option<f64>,
}

/// Why a load cannot be told otherwise.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OverrideError {
    /// It says this in another way.
    #[error("{0}")]
    SaidOtherwise(&'static str),
    /// No load goes on so long.
    #[error("a load takes more than nothing and at most a week")]
    Duration,
    /// Nothing would be left to measure.
    #[error("its warm-up of {} s leaves no time to measure", .0.as_secs_f64())]
    WarmUp(Duration),
    /// It is no rate.
    #[error("{0} is no rate")]
    Rate(f64),
}

impl Overrides {
    /// Whether nothing is outweighed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Tells a scenario otherwise. Whether it has a load; others are left alone.
    ///
    /// # Errors
    /// Why its load cannot be told.
    pub fn apply(&self, scenario: &mut Scenario) -> Result<bool, OverrideError> {
        let Some(load) = &mut scenario.load else { return Ok(false) };
        let load = &mut load.value;
        if let Some(duration) = self.duration {
            if duration.is_zero() || duration > LONGEST {
                return Err(OverrideError::Duration);
            }
            if load.warm_up() >= duration {
                return Err(OverrideError::WarmUp(load.warm_up()));
            }
            *duration_of(load)? = Time(duration);
        }
        if let Some(rate) = self.rate {
            if !(1e-6..=HIGHEST_RATE).contains(&rate) {
                return Err(OverrideError::Rate(rate));
            }
            *rate_of(load)? = rate;
        }
        Ok(true)
    }
}

/// Where a load says how long it goes on.
fn duration_of(load: &mut Load) -> Result<&mut Time, OverrideError> {
    let executor = load.executor.as_mut().map(|executor| &mut executor.value);
    match (executor, &load.capacity) {
        (Some(LoadExecutor::ConstantArrivalRate(given)), _) => Ok(&mut given.duration),
        (Some(LoadExecutor::ConstantVus(given)), _) => Ok(&mut given.duration),
        (Some(LoadExecutor::SharedIterations(given)), _) => Ok(given.max_duration.get_or_insert(Time(Duration::ZERO))),
        (Some(LoadExecutor::RampingArrivalRate(_)), _) => {
            Err(OverrideError::SaidOtherwise("its stages say how long it goes on"))
        }
        (None, Some(_)) => Err(OverrideError::SaidOtherwise("a search for a capacity goes on until it has found it")),
        (None, None) => Ok(load.duration.get_or_insert(Time(Duration::ZERO))),
    }
}

/// Where a load says how often something happens.
fn rate_of(load: &mut Load) -> Result<&mut f64, OverrideError> {
    let executor = load.executor.as_mut().map(|executor| &mut executor.value);
    match (executor, &load.capacity) {
        (Some(LoadExecutor::ConstantArrivalRate(given)), _) => Ok(&mut given.rate),
        (Some(LoadExecutor::RampingArrivalRate(_)), _) => {
            Err(OverrideError::SaidOtherwise("its stages say at what rate"))
        }
        (Some(_), _) => Err(OverrideError::SaidOtherwise("its virtual users go as fast as they can")),
        (None, Some(_)) => Err(OverrideError::SaidOtherwise("a search for a capacity tries rates itself")),
        (None, None) => Err(OverrideError::SaidOtherwise("it only listens")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::read;

    fn told(load: &str, duration: Option<u64>, rate: Option<f64>) -> Result<Scenario, String> {
        let text = format!("title: t\nexercises: [MSG-03]\nload:\n{load}");
        let mut scenario = read("t.yaml", &text).unwrap();
        let overrides = Overrides { duration: duration.map(Duration::from_secs), rate };
        overrides.apply(&mut scenario).map(|_| scenario).map_err(|error| error.to_string())
    }

    fn executor(load: &str, duration: Option<u64>, rate: Option<f64>) -> String {
        format!("{:?}", told(load, duration, rate).unwrap().load.unwrap().value.executor())
    }

    const STEADY: &str = "  stimuli: {mute: 1}\n  warm-up: 1s\n  executor: ";

    #[test]
    fn what_a_load_says_once_is_outweighed() {
        let rate = format!("{STEADY}{{constant-arrival-rate: {{rate: 5, duration: 2s}}}}");
        assert_eq!(
            executor(&rate, Some(90), Some(7.5)),
            executor(&rate.replace("5, duration: 2s", "7.5, duration: 90s"), None, None)
        );
        let vus = format!("{STEADY}{{constant-vus: {{vus: 2, duration: 2s}}}}");
        assert_eq!(executor(&vus, Some(90), None), executor(&vus.replace("2s}", "90s}"), None, None));
        let shared = format!("{STEADY}{{shared-iterations: {{iterations: 9}}}}");
        assert!(executor(&shared, Some(90), None).contains("90s"));
        assert!(executor("  duration: 2s\n", Some(90), None).contains("90s"));
    }

    #[test]
    fn what_a_load_says_otherwise_is_not() {
        let ramp = format!("{STEADY}{{ramping-arrival-rate: {{stages: [{{target: 5, duration: 2s}}]}}}}");
        let search =
            "  stimuli: {mute: 1}\n  capacity: {from: 1, up-to: 9, hold: 1s}\n  thresholds: {update: ['p(99)<1s']}\n";
        let vus = format!("{STEADY}{{constant-vus: {{vus: 2, duration: 2s}}}}");
        let rate = format!("{STEADY}{{constant-arrival-rate: {{rate: 5, duration: 2s}}}}");
        let why = |load: &str, duration, rate| told(load, duration, rate).unwrap_err();
        assert!(why(&ramp, Some(9), None).contains("stages") && why(&ramp, None, Some(9.0)).contains("stages"));
        assert!(why(search, Some(9), None).contains("search") && why(search, None, Some(9.0)).contains("search"));
        assert!(why(&vus, None, Some(9.0)).contains("virtual users"));
        assert!(why("  duration: 2s\n", None, Some(9.0)).contains("only listens"));
        assert!(why(&rate, Some(1), None).contains("warm-up"));
        assert!(why(&rate, Some(0), None).contains("week") && why(&rate, None, Some(-1.0)).contains("no rate"));
        assert!(why(&rate, None, Some(f64::NAN)).contains("no rate"));
    }
}
