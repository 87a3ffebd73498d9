//! How long something was really in a position to be served: a clock that stands still while a receiver takes no
//! connections, while the Call Bridge restarts, and for what the harness was late.

use std::time::Duration;

use crate::time::Instant;

/// A clock that is started and stopped.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Uptime {
    banked: Duration,
    since: Option<Instant>,
}

impl Uptime {
    /// Runs from now on, if it does not yet.
    pub(super) fn start(&mut self, at: Instant) {
        self.since.get_or_insert(at);
    }

    /// Stands still from now on.
    pub(super) fn stop(&mut self, at: Instant) {
        if let Some(since) = self.since.take() {
            self.banked += at.since(since);
        }
    }

    /// Time that passed does not count.
    pub(super) fn lose(&mut self, by: Duration) {
        if let Some(since) = &mut self.since {
            *since += by;
        }
    }

    /// Whether it runs.
    pub(super) const fn runs(&self) -> bool {
        self.since.is_some()
    }

    /// What it shows.
    pub(super) fn elapsed(&self, at: Instant) -> Duration {
        self.banked + self.since.map_or(Duration::ZERO, |since| at.since(since))
    }

    /// When it will show `elapsed`, if it goes on running.
    pub(super) fn when(&self, elapsed: Duration) -> Option<Instant> {
        self.since.map(|since| since + elapsed.saturating_sub(self.banked))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_time_that_counts_is_shown() {
        let (at, ms) = (Instant::from_millis, Duration::from_millis);
        let mut clock = Uptime::default();
        assert_eq!((clock.elapsed(at(50)), clock.when(ms(1))), (ms(0), None));
        clock.start(at(100));
        clock.start(at(120));
        assert_eq!(clock.elapsed(at(150)), ms(50));
        clock.stop(at(150));
        clock.start(at(1000));
        clock.lose(ms(10));
        assert_eq!(clock.elapsed(at(1030)), ms(70));
        assert_eq!(clock.when(ms(70)), Some(at(1030)));
    }
}
