//! When work begins: the one schedule that every load is driven by, whether arrivals are open or closed.
//!
//! | executor | what begins when | over when |
//! |---|---|---|
//! | constant-arrival-rate | at a rate, whatever became of the earlier ones | its time is up and all are finished |
//! | ramping-arrival-rate | at a rate that goes through stages | likewise |
//! | constant-vus | when one of so many virtual users is free | likewise |
//! | shared-iterations | likewise, until so many have begun | these are finished, or its time is up |
//! | listen | nothing | its time is up |
//!
//! A loop drives it: [`Schedule::take`] until there is nothing, carry out what was taken, [`Schedule::finished`] for each
//! when its effect was seen or given up, sleep until [`Schedule::next_due`]. An arrival tells when it was *scheduled*:
//! latency starts there. How late the loop took them is kept by [`Pace`].
//!
//! Several threads share one load by [`Schedule::part`]: together they begin exactly what one schedule would.

use std::collections::VecDeque;
use std::time::Duration;

use super::stages::{Course, Rate, Stage};
use crate::time::Instant;

/// What decides when work begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Executor {
    /// Open arrivals at one rate.
    ConstantArrivalRate {
        /// How many per time unit.
        rate: Rate,
        /// The time unit.
        time_unit: Duration,
        /// How long.
        duration: Duration,
    },
    /// Open arrivals at a rate that changes.
    RampingArrivalRate {
        /// How many per time unit at the beginning.
        start_rate: Rate,
        /// The time unit of all rates.
        time_unit: Duration,
        /// How the rate goes on.
        stages: Vec<Stage>,
    },
    /// So many virtual users, each of which begins anew as soon as it is free.
    ConstantVus {
        /// How many.
        vus: u32,
        /// How long.
        duration: Duration,
    },
    /// A fixed amount of work, done by so many virtual users.
    SharedIterations {
        /// How many virtual users.
        vus: u32,
        /// How much work.
        iterations: u64,
        /// How long it may take; what has not begun then does not begin.
        max_duration: Duration,
    },
    /// Nothing is begun.
    Listen {
        /// How long.
        duration: Duration,
    },
}

impl Executor {
    /// How long it takes, or may take at most, apart from the end of what was begun last.
    pub fn duration(&self) -> Duration {
        match self {
            Self::ConstantArrivalRate { duration, .. } | Self::ConstantVus { duration, .. } => *duration,
            Self::Listen { duration } => *duration,
            Self::SharedIterations { max_duration, .. } => *max_duration,
            Self::RampingArrivalRate { stages, .. } => {
                stages.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.duration))
            }
        }
    }

    /// Whether work begins at its time, whatever became of earlier work.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::ConstantArrivalRate { .. } | Self::RampingArrivalRate { .. })
    }
}

/// How long after the end of an open schedule what was due before is still begun. A loop that is further behind never keeps up, and
/// drops what is left in one go.
const OVERTIME: Duration = Duration::from_secs(5);

/// One piece of work that is to begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its number, from 0; no two parts of a schedule give the same.
    pub number: u64,
    /// When it was to begin: at its time, or when its virtual user was free.
    pub scheduled: Instant,
}

/// How well a loop keeps its schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// What is still on time.
    pub max_lag: Duration,
    /// How many were taken.
    pub taken: u64,
    /// How many of them began nothing.
    pub dropped: u64,
    /// How many of those since too much was under way at the target; the others found nothing that they could be about.
    pub crowded: u64,
    /// How many were taken later than `max_lag` after their time, whether they began something or not: what a stall of the
    /// harness brings all at once finds too little that is free, and that is not the target's doing.
    pub late: u64,
    /// The latest.
    pub worst: Duration,
}

/// Why what was taken begins nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unserved {
    /// Nothing is free that it could be about.
    NothingFree,
    /// Too much is under way at the target already.
    Crowded,
}

impl Pace {
    /// A pace at which nothing was taken yet.
    pub fn new(max_lag: Duration) -> Self {
        Self { max_lag, ..Self::default() }
    }

    /// Takes how late one was taken.
    pub fn add(&mut self, lag: Duration) {
        self.taken += 1;
        self.late += u64::from(lag > self.max_lag);
        self.worst = self.worst.max(lag);
    }

    /// Counts that what was added last began nothing. If it was late, it stays so.
    fn drop(&mut self, why: Unserved) {
        self.dropped += 1;
        self.crowded += u64::from(why == Unserved::Crowded);
    }

    /// Counts so many that were never taken, the first of them so late.
    fn give_up(&mut self, count: u64, lag: Duration) {
        self.taken += count;
        self.dropped += count;
        self.late += count;
        self.worst = self.worst.max(lag);
    }

    /// Adds the pace of another part of the load.
    pub fn merge(&mut self, other: &Self) {
        self.taken += other.taken;
        self.dropped += other.dropped;
        self.crowded += other.crowded;
        self.late += other.late;
        self.worst = self.worst.max(other.worst);
    }

    /// How many began something.
    pub const fn begun(&self) -> u64 {
        self.taken.saturating_sub(self.dropped)
    }

    /// The share of those that were taken which was late; zero where none was.
    pub fn late_share(&self) -> f64 {
        if self.taken == 0 { 0.0 } else { self.late as f64 / self.taken as f64 }
    }

    /// Whether no more than this share was late. Otherwise the run tells of the harness, not of the target.
    pub fn is_kept(&self, share: f64) -> bool {
        self.late_share() <= share
    }
}

/// A load, as far as time is concerned.
#[derive(Debug, Clone)]
pub struct Schedule {
    start: Instant,
    end: Instant,
    kind: Kind,
    /// This part's place among so many.
    index: u64,
    of: u64,
    /// How many were taken, and how many of them are finished.
    taken: u64,
    finished: u64,
    pace: Pace,
    /// The pace before what was taken last.
    before: Pace,
}

#[derive(Debug, Clone)]
enum Kind {
    /// The next arrival is computed once: looking when it is due costs nothing.
    Open {
        course: Course,
        next: Option<Instant>,
    },
    /// When each virtual user that is free became so, and how much work is left.
    Closed {
        free: VecDeque<Instant>,
        left: u64,
        is_bounded: bool,
    },
    Listen,
}

impl Schedule {
    /// The whole schedule of an executor, from `start` on; an arrival that is taken later than `max_lag` is late.
    pub fn new(executor: &Executor, start: Instant, max_lag: Duration) -> Self {
        Self::part(executor, start, max_lag, 0, 1)
    }

    /// One of `of` parts, which begin together what the whole would; `index` counts from 0.
    pub fn part(executor: &Executor, start: Instant, max_lag: Duration, index: u32, of: u32) -> Self {
        let of = u64::from(of.max(1));
        let index = u64::from(index).min(of - 1);
        // The first parts take what is left over.
        let share = |all: u64| all / of + u64::from(index < all % of);
        let users = |vus: u32| (0..share(u64::from(vus))).map(|_| start).collect();
        let open = |course: Course| {
            let next = course.instant(index).map(|due| start + due);
            Kind::Open { course, next }
        };
        let kind = match executor {
            Executor::ConstantArrivalRate { rate, time_unit, duration } => {
                open(Course::constant(*rate, *time_unit, *duration))
            }
            Executor::RampingArrivalRate { start_rate, time_unit, stages } => {
                open(Course::ramping(*start_rate, *time_unit, stages))
            }
            Executor::ConstantVus { vus, .. } => Kind::Closed { free: users(*vus), left: u64::MAX, is_bounded: false },
            Executor::SharedIterations { vus, iterations, .. } => {
                // A part without users does no work, so what would be its share goes to those that have one.
                let parts = of.min(u64::from(*vus)).max(1);
                let left = if index < parts { iterations / parts + u64::from(index < iterations % parts) } else { 0 };
                Kind::Closed { free: users(*vus), left, is_bounded: true }
            }
            Executor::Listen { .. } => Kind::Listen,
        };
        let end = start + executor.duration();
        Self {
            start,
            end,
            kind,
            index,
            of,
            taken: 0,
            finished: 0,
            pace: Pace::new(max_lag),
            before: Pace::new(max_lag),
        }
    }

    /// The next instant at which something is to be done: the next arrival, else the end. It may have passed. `None` where
    /// only [`Self::finished`] can change anything.
    pub fn next_due(&self, now: Instant) -> Option<Instant> {
        let arrival = match &self.kind {
            Kind::Open { next, .. } => *next,
            Kind::Closed { free, left, .. } => {
                free.front().copied().filter(|due| *left > 0 && now < self.end && *due < self.end)
            }
            Kind::Listen => None,
        };
        arrival.or_else(|| (now < self.end && !self.is_done_early()).then_some(self.end))
    }

    /// The next piece of work that is due, if one is.
    pub fn take(&mut self, now: Instant) -> Option<Arrival> {
        if now >= self.end + OVERTIME {
            self.give_up(now);
        }
        let scheduled = match &mut self.kind {
            Kind::Open { course, next } => {
                let due = next.filter(|due| *due <= now)?;
                let following = self.index.saturating_add((self.taken + 1).saturating_mul(self.of));
                *next = course.instant(following).map(|after| self.start + after);
                due
            }
            Kind::Closed { free, left, .. } => {
                let due = free.front().copied().filter(|due| *due <= now)?;
                if *left == 0 || now >= self.end {
                    return None;
                }
                free.pop_front();
                *left -= 1;
                due
            }
            Kind::Listen => return None,
        };
        let number = self.index + self.taken * self.of;
        self.taken += 1;
        self.before = self.pace;
        self.pace.add(now.since(scheduled));
        Some(Arrival { number, scheduled })
    }

    /// Drops what of an open schedule was due and not taken.
    fn give_up(&mut self, now: Instant) {
        let Some(planned) = self.planned() else { return };
        let Kind::Open { next, .. } = &mut self.kind else { return };
        let Some(due) = next.take() else { return };
        let rest = planned.saturating_sub(self.taken);
        self.pace.give_up(rest, now.since(due));
        self.taken += rest;
        self.finished += rest;
    }

    /// What was taken last cannot begin. An arrival of an open schedule has passed; a virtual user tries again at `again`,
    /// so that time goes on meanwhile.
    pub fn put_back(&mut self, why: Unserved, now: Instant, again: Instant) {
        let Kind::Closed { free, left, .. } = &mut self.kind else {
            self.pace.drop(why);
            return self.finished(now);
        };
        self.pace = self.before;
        let place = free.partition_point(|due| *due <= again);
        free.insert(place, again);
        *left = left.saturating_add(1);
        self.taken = self.taken.saturating_sub(1);
    }

    /// A piece of work has come to its end, well or not: its virtual user is free.
    pub fn finished(&mut self, now: Instant) {
        if self.finished == self.taken {
            return;
        }
        self.finished += 1;
        if let Kind::Closed { free, .. } = &mut self.kind {
            let place = free.partition_point(|due| *due <= now);
            free.insert(place, now);
        }
    }

    /// Whether nothing begins any more.
    pub fn is_spent(&self, now: Instant) -> bool {
        match &self.kind {
            // What was due before the end is begun late rather than not.
            Kind::Open { next, .. } => next.is_none() && now >= self.end,
            Kind::Closed { .. } | Kind::Listen => now >= self.end || self.is_used_up(),
        }
    }

    /// Whether nothing begins any more and all that was begun is finished.
    pub fn is_over(&self, now: Instant) -> bool {
        self.is_spent(now) && self.under_way() == 0
    }

    /// How many are begun and not finished.
    pub const fn under_way(&self) -> u64 {
        self.taken - self.finished
    }

    /// How many arrivals this part of an open schedule has in all; `None` where that depends on the target.
    pub fn planned(&self) -> Option<u64> {
        match &self.kind {
            Kind::Open { course, .. } => {
                let all = course.arrivals();
                Some(all / self.of + u64::from(self.index < all % self.of))
            }
            Kind::Closed { left, is_bounded: true, .. } => Some(self.taken + left),
            Kind::Closed { .. } => None,
            Kind::Listen => Some(0),
        }
    }

    /// The rate that is meant between two instants, in arrivals per second over all parts; `None` where none is. Nothing is
    /// meant behind the end.
    pub fn rate_between(&self, from: Instant, to: Instant) -> Option<f64> {
        let Kind::Open { course, .. } = &self.kind else { return None };
        let (since, until) = (from.since(self.start), to.min(self.end).since(self.start));
        let (working, whole) = (until.saturating_sub(since), to.since(from));
        if working.is_zero() {
            return Some(0.0);
        }
        Some(course.rate_at(since + working / 2) * (working.as_secs_f64() / whole.as_secs_f64()))
    }

    /// When it begins.
    pub const fn start(&self) -> Instant {
        self.start
    }

    /// When nothing begins any more at the latest.
    pub const fn end(&self) -> Instant {
        self.end
    }

    /// How well it was kept so far.
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Whether a fixed amount of work is begun.
    const fn is_used_up(&self) -> bool {
        matches!(self.kind, Kind::Closed { left: 0, .. })
    }

    /// Whether it is over before its time.
    const fn is_done_early(&self) -> bool {
        self.is_used_up()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LAG: Duration = Duration::from_millis(20);
    const SECOND: Duration = Duration::from_secs(1);

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn rate(rate: f64, seconds: u64) -> Executor {
        Executor::ConstantArrivalRate {
            rate: Rate::new(rate),
            time_unit: SECOND,
            duration: Duration::from_secs(seconds),
        }
    }

    #[test]
    fn a_loop_that_is_far_behind_drops_what_is_left_at_last() {
        let mut schedule = Schedule::part(&rate(1e9, 3), at(0), LAG, 1, 2);
        let mut taken = 0;
        for ms in (0..20_000).step_by(10) {
            (0..1000).for_each(|_| taken += u64::from(schedule.take(at(ms)).is_some()));
            (0..1000).for_each(|_| schedule.finished(at(ms)));
        }
        let pace = schedule.pace();
        assert_eq!((taken, pace.begun()), (799_000, 799_000));
        assert_eq!((pace.taken, pace.dropped), (1_500_000_000, 1_500_000_000 - 799_000));
        assert!(schedule.is_over(at(8000)) && !pace.is_kept(0.5), "{pace:?}");
        // Whoever keeps pace has nothing left by then.
        let mut punctual = Schedule::new(&rate(10.0, 1), at(0), LAG);
        (0..20_000).for_each(|ms| _ = punctual.take(at(ms)));
        assert_eq!((punctual.pace().taken, punctual.pace().dropped, punctual.pace().late), (10, 0, 0));
    }

    #[test]
    fn open_arrivals_do_not_wait_for_earlier_ones() {
        let mut schedule = Schedule::new(&rate(10.0, 1), at(500), LAG);
        assert_eq!((schedule.next_due(at(0)), schedule.take(at(499))), (Some(at(500)), None));
        assert_eq!(schedule.take(at(500)), Some(Arrival { number: 0, scheduled: at(500) }));
        assert_eq!((schedule.take(at(500)), schedule.next_due(at(500))), (None, Some(at(600))));
        // After a stall all that were due meanwhile come at once, each with the time at which it was due.
        let late: Vec<_> = std::iter::from_fn(|| schedule.take(at(815))).map(|arrival| arrival.scheduled).collect();
        assert_eq!(late, [at(600), at(700), at(800)]);
        let pace = *schedule.pace();
        assert_eq!((pace.taken, pace.late, pace.worst), (4, 2, Duration::from_millis(215)));
        assert!(pace.is_kept(0.5) && !pace.is_kept(0.49));
    }

    #[test]
    fn an_open_load_lasts_its_time_and_until_the_last_effect_is_seen() {
        let mut schedule = Schedule::new(&rate(2.0, 1), at(0), LAG);
        assert_eq!((schedule.planned(), schedule.end()), (Some(2), at(1000)));
        schedule.take(at(0)).unwrap();
        assert!(!schedule.is_spent(at(1500)), "what was due is begun, however late");
        schedule.take(at(1500)).unwrap();
        schedule.finished(at(1500));
        assert!(schedule.is_spent(at(1500)) && !schedule.is_over(at(1500)) && schedule.under_way() == 1);
        schedule.finished(at(1600));
        schedule.finished(at(1600));
        assert!(schedule.is_over(at(1600)) && schedule.next_due(at(1600)).is_none());
        let mut early = Schedule::new(&rate(1.0, 1), at(0), LAG);
        early.take(at(0)).unwrap();
        early.finished(at(1));
        assert_eq!((early.is_over(at(1)), early.next_due(at(1))), (false, Some(at(1000))));
        assert!(early.is_over(at(1000)));
    }

    #[test]
    fn a_free_user_begins_at_once_and_was_due_when_it_became_free() {
        let executor = Executor::ConstantVus { vus: 2, duration: SECOND };
        let mut schedule = Schedule::new(&executor, at(0), LAG);
        assert_eq!(schedule.next_due(at(0)), Some(at(0)));
        assert!(schedule.take(at(0)).is_some() && schedule.take(at(0)).is_some() && schedule.take(at(0)).is_none());
        assert_eq!(schedule.next_due(at(1)), Some(at(1000)));
        schedule.finished(at(300));
        assert_eq!(schedule.take(at(350)), Some(Arrival { number: 2, scheduled: at(300) }));
        assert_eq!(schedule.pace().worst, Duration::from_millis(50));
        schedule.finished(at(999));
        assert!(schedule.take(at(1000)).is_none() && schedule.is_spent(at(1000)) && !schedule.is_over(at(1000)));
        schedule.finished(at(1200));
        assert!(schedule.is_over(at(1200)));
    }

    #[test]
    fn shared_work_is_over_when_it_is_done_or_time_is_up() {
        let executor = Executor::SharedIterations { vus: 2, iterations: 3, max_duration: SECOND };
        let mut schedule = Schedule::new(&executor, at(0), LAG);
        assert_eq!(schedule.planned(), Some(3));
        (0..2).for_each(|_| assert!(schedule.take(at(0)).is_some()));
        schedule.finished(at(10));
        assert!(schedule.take(at(10)).is_some() && schedule.is_spent(at(10)));
        schedule.finished(at(20));
        assert!(schedule.take(at(20)).is_none() && !schedule.is_over(at(20)) && schedule.next_due(at(20)).is_none());
        schedule.finished(at(30));
        assert!(schedule.is_over(at(30)));
        let mut slow = Schedule::new(&executor, at(0), LAG);
        assert!(slow.take(at(1000)).is_none() && slow.is_over(at(1000)));
    }

    #[test]
    fn a_rate_is_meant_until_the_end_and_not_behind_it() {
        let executor =
            Executor::ConstantArrivalRate { rate: Rate::new(20.0), time_unit: SECOND, duration: SECOND * 5 / 2 };
        let schedule = Schedule::new(&executor, at(500), LAG);
        let rate = |from, to| schedule.rate_between(at(from), at(to));
        assert_eq!(
            [rate(500, 1500), rate(2500, 3000), rate(2500, 3500), rate(3500, 4500)].map(Option::unwrap),
            [20.0, 20.0, 10.0, 0.0]
        );
        let users = Schedule::new(&Executor::ConstantVus { vus: 1, duration: SECOND }, at(0), LAG);
        assert_eq!(users.rate_between(at(0), at(500)), None);
    }

    #[test]
    fn what_begins_nothing_is_late_where_the_harness_was() {
        let mut open = Schedule::new(&rate(10.0, 1), at(0), LAG);
        let mut after = |now, why: Option<Unserved>| {
            open.take(at(now)).unwrap();
            why.into_iter().for_each(|why| open.put_back(why, at(now), at(now)));
            *open.pace()
        };
        after(0, None);
        after(130, None);
        after(200, Some(Unserved::NothingFree));
        let pace = after(320, Some(Unserved::Crowded));
        assert_eq!((pace.taken, pace.begun(), pace.dropped, pace.crowded), (4, 2, 2, 1));
        assert_eq!((pace.late, pace.worst, pace.late_share()), (1, Duration::from_millis(30), 0.25));
        let pace = after(700, Some(Unserved::NothingFree));
        assert_eq!((pace.late, pace.worst, pace.late_share()), (2, Duration::from_millis(300), 0.4));
        let mut users = Schedule::new(&Executor::ConstantVus { vus: 1, duration: SECOND }, at(0), LAG);
        users.take(at(500)).unwrap();
        users.put_back(Unserved::Crowded, at(500), at(510));
        assert_eq!((*users.pace(), users.next_due(at(500))), (Pace::new(LAG), Some(at(510))));
    }

    #[test]
    fn a_stall_of_the_harness_is_not_made_good_by_what_it_drops() {
        // A thousand a second for a minute, of which a stall brings five seconds at once; a hundred find something free.
        let mut schedule = Schedule::new(&rate(1000.0, 60), at(0), LAG);
        let mut now = 0;
        while !schedule.is_over(at(now)) {
            let mut free = 100;
            while schedule.take(at(now)).is_some() {
                match free {
                    0 => schedule.put_back(Unserved::NothingFree, at(now), at(now)),
                    _ => {
                        free -= 1;
                        schedule.finished(at(now));
                    }
                }
            }
            now += if now == 30_000 { 5000 } else { 1 };
        }
        let pace = schedule.pace();
        assert_eq!((pace.taken, pace.begun(), pace.dropped, pace.late), (60_000, 55_100, 4900, 4979));
        assert!(!pace.is_kept(0.08), "{}", pace.late_share());
    }

    #[test]
    fn listening_begins_nothing() {
        let mut schedule = Schedule::new(&Executor::Listen { duration: SECOND }, at(5), LAG);
        assert_eq!((schedule.next_due(at(5)), schedule.take(at(900))), (Some(at(1005)), None));
        assert!(!schedule.is_over(at(1004)) && schedule.is_over(at(1005)));
    }

    /// All that the parts of an executor begin, where each effect is seen after so long.
    fn begun(executor: &Executor, parts: u32, effect: Duration) -> Vec<Arrival> {
        let mut all = Vec::new();
        for index in 0..parts {
            let mut schedule = Schedule::part(executor, at(100), LAG, index, parts);
            let (mut now, mut busy) = (at(0), VecDeque::new());
            while !schedule.is_over(now) {
                while let Some(arrival) = schedule.take(now) {
                    all.push(arrival);
                    busy.push_back(now + effect);
                }
                let next = busy.front().copied().into_iter().chain(schedule.next_due(now)).min();
                now = next.expect("a schedule that is not over waits for something").max(now);
                while busy.front().is_some_and(|seen| *seen <= now) {
                    busy.pop_front();
                    schedule.finished(now);
                }
            }
            assert_eq!(schedule.pace().worst, Duration::ZERO);
        }
        all.sort_by_key(|arrival| arrival.number);
        all
    }

    proptest! {
        #[test]
        fn parts_of_a_schedule_begin_together_what_the_whole_does(
            vus in 0..7_u32, iterations in 0..40_u64, arrivals in 0..60_u32, parts in 1..5_u32, effect in 1..400_u64,
        ) {
            let effect = Duration::from_millis(effect);
            let open = Executor::RampingArrivalRate {
                start_rate: Rate::new(f64::from(arrivals)),
                time_unit: SECOND,
                stages: vec![Stage { target: Rate::new(7.5), duration: SECOND }],
            };
            prop_assert_eq!(begun(&open, parts, effect), begun(&open, 1, effect));
            let users = Executor::ConstantVus { vus, duration: SECOND };
            prop_assert_eq!(begun(&users, parts, effect).len(), begun(&users, 1, effect).len());
            let shared = Executor::SharedIterations { vus, iterations, max_duration: Duration::from_secs(60) };
            prop_assert_eq!(begun(&shared, parts, effect).len() as u64, if vus == 0 { 0 } else { iterations });
            for executor in [open, users, shared] {
                let numbers: Vec<u64> = begun(&executor, parts, effect).iter().map(|arrival| arrival.number).collect();
                let mut distinct = numbers.clone();
                distinct.dedup();
                prop_assert_eq!(numbers, distinct);
            }
        }
    }
}
