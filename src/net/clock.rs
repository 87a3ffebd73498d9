//! The run's monotonic clock.
//!
//! It begins at zero when the run does, and hands out [`Instant`]s, which is all that the rest of the program knows of
//! time. It also knows the date and time at which the run began, for reports.

use std::time::Duration;

use crate::time::Instant;

/// A clock that began when it was made. Copies agree with each other.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: std::time::Instant,
    started_at: jiff::Timestamp,
}

impl Clock {
    /// A clock that begins now.
    #[expect(clippy::disallowed_methods, reason = "this is the place where the operating system's clocks are read")]
    pub fn start() -> Self {
        Self { origin: std::time::Instant::now(), started_at: jiff::Timestamp::now() }
    }

    /// The present instant, never before one that was handed out earlier.
    pub fn now(&self) -> Instant {
        Instant::from_nanos(u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    /// What the clock on the wall shows now, in milliseconds since 1970, UTC. Where it is set meanwhile, that does not show.
    pub fn unix_ms(&self) -> i64 {
        self.started_at.as_millisecond().saturating_add_unsigned(self.now().as_millis())
    }

    /// The date and time of an instant.
    pub fn date_of(&self, at: Instant) -> jiff::Timestamp {
        // Only a run of many thousand years goes beyond what has a date.
        self.started_at.saturating_add(at.since(Instant::ZERO)).unwrap_or(self.started_at)
    }

    /// Date and time of the beginning.
    pub const fn started_at(&self) -> jiff::Timestamp {
        self.started_at
    }

    /// The present date and time here, in the time zone of the system.
    #[expect(clippy::disallowed_methods, reason = "this is the place where the operating system's clocks are read")]
    pub fn today() -> jiff::Zoned {
        jiff::Zoned::now()
    }

    /// Waits that long.
    pub(crate) async fn sleep_for(&self, duration: Duration) {
        self.sleep_until(Some(self.now() + duration)).await;
    }

    /// How long it is until `instant`; zero if it has passed.
    pub fn until(&self, instant: Instant) -> Duration {
        instant.since(self.now())
    }

    /// Waits until `instant`; for ever if there is none.
    pub(crate) async fn sleep_until(&self, instant: Option<Instant>) {
        match instant {
            // A timer of tokio holds about two years; whoever waits that long looks again then.
            Some(instant) => tokio::time::sleep(self.until(instant).min(Duration::from_secs(86_400))).await,
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_begins_at_zero_and_does_not_run_backwards() {
        let clock = Clock::start();
        let first = clock.now();
        let second = clock.now();
        assert!(first <= second);
        assert!(first < Instant::from_millis(60_000));
        assert_eq!(clock.until(Instant::ZERO), Duration::ZERO);
        assert!(clock.until(second + Duration::from_secs(3600)) > Duration::from_secs(3000));
    }
}
