//! What outweighs what a load's file says: `run --duration 8h --rate 50`.
//!
//! Only what a load says as one value can be replaced by one: stages and searches have several, and say so.

use std::time::Duration;

use super::check::{HIGHEST_RATE, LONGEST};
use super::syntax::{ClientLoad, Load, LoadExecutor, Scenario, Time};

/// Why a search for a capacity has no length, and no rate.
const SEARCH_GOES_ON: &str = "a search for a capacity goes on until it has found it";
const SEARCH_TRIES: &str = "a search for a capacity tries rates itself";

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
        if let Some(duration) = self.duration_beyond(load.warm_up())? {
            *duration_of(load)? = Time(duration);
        }
        if let Some(rate) = self.sound_rate()? {
            *rate_of(load)? = rate;
        }
        Ok(true)
    }

    /// Tells a load on clients and receivers otherwise: a length is that of its updates and of its records.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn apply_to_clients(&self, load: &mut ClientLoad) -> Result<(), OverrideError> {
        if let Some(duration) = self.duration_beyond(load.warm_up())? {
            for executor in executors(load) {
                let executor = executor.ok_or(OverrideError::SaidOtherwise(SEARCH_GOES_ON))?;
                *duration_in(executor)? = Time(duration);
            }
        }
        if let Some(rate) = self.sound_rate()? {
            if load.updates.is_some() && load.records.is_some() {
                return Err(OverrideError::SaidOtherwise("its updates and its records have rates of their own"));
            }
            for executor in executors(load) {
                *rate_in(executor.ok_or(OverrideError::SaidOtherwise(SEARCH_TRIES))?)? = rate;
            }
        }
        Ok(())
    }

    /// The length that is wanted, which a warm-up has to leave something of.
    fn duration_beyond(&self, warm_up: Duration) -> Result<Option<Duration>, OverrideError> {
        match self.duration {
            Some(duration) if duration.is_zero() || duration > LONGEST => Err(OverrideError::Duration),
            Some(duration) if warm_up >= duration => Err(OverrideError::WarmUp(warm_up)),
            wanted => Ok(wanted),
        }
    }

    /// The rate that is wanted.
    fn sound_rate(&self) -> Result<Option<f64>, OverrideError> {
        match self.rate {
            Some(rate) if !(1e-6..=HIGHEST_RATE).contains(&rate) => Err(OverrideError::Rate(rate)),
            wanted => Ok(wanted),
        }
    }
}

/// Where a load says how long it goes on.
fn duration_of(load: &mut Load) -> Result<&mut Time, OverrideError> {
    match (load.executor.as_mut(), &load.capacity) {
        (Some(executor), _) => duration_in(&mut executor.value),
        (None, Some(_)) => Err(OverrideError::SaidOtherwise(SEARCH_GOES_ON)),
        (None, None) => Ok(load.duration.get_or_insert(Time(Duration::ZERO))),
    }
}

/// Where a load says how often something happens.
fn rate_of(load: &mut Load) -> Result<&mut f64, OverrideError> {
    match (load.executor.as_mut(), &load.capacity) {
        (Some(executor), _) => rate_in(&mut executor.value),
        (None, Some(_)) => Err(OverrideError::SaidOtherwise(SEARCH_TRIES)),
        (None, None) => Err(OverrideError::SaidOtherwise("it only listens")),
    }
}

/// The executors of what happens in a load on clients: of its updates, of its records.
fn executors(load: &mut ClientLoad) -> impl Iterator<Item = Option<&mut LoadExecutor>> {
    let updates = load.updates.as_mut().map(|updates| updates.value.executor.as_mut());
    let records = load.records.as_mut().map(|records| records.value.executor.as_mut());
    updates.into_iter().chain(records).map(|executor| executor.map(|executor| &mut executor.value))
}

/// Where an executor says how long it goes on.
fn duration_in(executor: &mut LoadExecutor) -> Result<&mut Time, OverrideError> {
    match executor {
        LoadExecutor::ConstantArrivalRate(given) => Ok(&mut given.duration),
        LoadExecutor::ConstantVus(given) => Ok(&mut given.duration),
        LoadExecutor::SharedIterations(given) => Ok(given.max_duration.get_or_insert(Time(Duration::ZERO))),
        LoadExecutor::RampingArrivalRate(_) => Err(OverrideError::SaidOtherwise("its stages say how long it goes on")),
    }
}

/// Where an executor says how often something happens.
const fn rate_in(executor: &mut LoadExecutor) -> Result<&mut f64, OverrideError> {
    match executor {
        LoadExecutor::ConstantArrivalRate(given) => Ok(&mut given.rate),
        LoadExecutor::RampingArrivalRate(_) => Err(OverrideError::SaidOtherwise("its stages say at what rate")),
        LoadExecutor::ConstantVus(_) | LoadExecutor::SharedIterations(_) => {
            Err(OverrideError::SaidOtherwise("its virtual users go as fast as they can"))
        }
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

    #[test]
    fn a_load_on_clients_is_told_in_the_same_way() {
        let told = |load: &str, duration: Option<u64>, rate| {
            let mut given = crate::scenario::read_client_load("t.yaml", &format!("title: t\nload:\n{load}")).unwrap();
            let overrides = Overrides { duration: duration.map(Duration::from_secs), rate };
            let told = overrides.apply_to_clients(&mut given.load.value).map_err(|error| error.to_string());
            told.map(|()| format!("{:?} {:?}", given.load.value.updates_at(None), given.load.value.records_at(None)))
        };
        let updates = "  updates: {stimuli: {mute: 1}, executor: {constant-arrival-rate: {rate: 5, duration: 2s}}}\n";
        let records = "  records: {burst: 2, executor: {constant-arrival-rate: {rate: 8, duration: 2s}}}\n";
        let other = updates.replace("5, duration: 2s", "7, duration: 90s");
        assert_eq!(told(updates, Some(90), Some(7.0)), told(&other, None, None));
        let both = format!("{updates}{records}");
        assert_eq!(told(&both, Some(90), None), told(&both.replace("2s", "90s"), None, None));
        assert!(told(&both, None, Some(7.0)).unwrap_err().contains("rates of their own"));
        let search = "  records: {capacity: {from: 1, up-to: 9, hold: 1s}}\n  thresholds: {answer: ['p(99)<1s']}\n";
        assert!(told(search, Some(9), None).unwrap_err().contains("search"));
        assert!(told(search, None, Some(9.0)).unwrap_err().contains("search"));
    }
}
