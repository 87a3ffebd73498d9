//! A timer for a loop that is more precise than what waiting for events offers, which counts in milliseconds.

use std::io;
use std::time::Duration;

use mio::{Registry, Token};

use crate::time::Instant;

#[cfg(target_os = "linux")]
pub(super) use linux::Alarm;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Alarm;

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{AsRawFd as _, OwnedFd};

    use mio::Interest;
    use mio::unix::SourceFd;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
    };

    use super::{Duration, Instant, Registry, Token, io};

    /// A timer that wakes the loop.
    #[derive(Debug)]
    pub(in super::super) struct Alarm {
        timer: OwnedFd,
        /// When it wakes the loop next.
        set_for: Option<Instant>,
    }

    impl Alarm {
        /// A timer that is not set.
        ///
        /// # Errors
        /// If the system has none.
        pub(in super::super) fn new(registry: &Registry, token: Token) -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            // It tells each time that it is over, read or not, since it is set anew before each wait.
            registry.register(&mut SourceFd(&timer.as_raw_fd()), token, Interest::READABLE)?;
            Ok(Self { timer, set_for: None })
        }

        /// Has it wake the loop at `at`, or earlier where it was set for something earlier. How long the loop may wait for
        /// events besides.
        pub(in super::super) fn set(&mut self, now: Instant, at: Instant) -> Option<Duration> {
            if self.set_for.is_some_and(|set_for| now < set_for && set_for <= at) {
                return None;
            }
            let wait = at.since(now);
            let tv_sec = i64::try_from(wait.as_secs()).unwrap_or(i64::MAX);
            let it_value = Timespec { tv_sec, tv_nsec: wait.subsec_nanos().into() };
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let once = Itimerspec { it_interval, it_value };
            // Where it cannot be set, the loop wakes a little late.
            let is_set = timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &once).is_ok();
            self.set_for = is_set.then_some(at);
            if is_set { None } else { Some(wait) }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{Duration, Instant, Registry, Token, io};

    /// Nothing: the system's way to wait has to do.
    #[derive(Debug)]
    pub(in super::super) struct Alarm;

    impl Alarm {
        /// Nothing.
        ///
        /// # Errors
        /// None.
        pub(in super::super) const fn new(_: &Registry, _: Token) -> io::Result<Self> {
            Ok(Self)
        }

        /// How long the loop may wait for events.
        pub(in super::super) fn set(&mut self, now: Instant, at: Instant) -> Option<Duration> {
            Some(at.since(now))
        }
    }
}
