//! Rates that change in straight lines, and when the n-th arrival is due.
//!
//! Instants are computed from the number of the arrival, never summed up, in whole nanoseconds and with integers only:
//! after a week the schedule is as exact as at its beginning. A rate is kept in millionths of an arrival per time unit.
//! The n-th arrival (from 0) is due when as many arrivals as n are behind it: the first at once, unless the rate is zero.
//!
//! With the rate of a stage going from `a` to `b` over its length `T`, what has arrived at `t` is `a*t + (b-a)*t*t/(2*T)`.
//! All of it is compared multiplied by twice the time unit and a million, which makes every term a whole number.

use std::time::Duration;

/// How many parts an arrival has: rates are whole numbers of these per time unit.
const PARTS: u64 = 1_000_000;

/// The highest rate per time unit. It keeps every product within what is compared exactly.
const HIGHEST: f64 = 1e9;

/// A rate: arrivals per time unit, in millionths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Rate(u64);

impl Rate {
    /// The rate nearest to `value` that can be kept: not negative, in millionths, at most a thousand million.
    pub fn new(value: f64) -> Self {
        // NaN becomes zero.
        Self((value.clamp(0.0, HIGHEST) * PARTS as f64).round() as u64)
    }

    /// Arrivals per time unit.
    pub fn value(self) -> f64 {
        self.0 as f64 / PARTS as f64
    }

    /// Whether nothing arrives at this rate.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
}

/// A part of a course: the rate goes in a straight line from what it was to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage {
    /// The rate at its end.
    pub target: Rate,
    /// How long it takes; without length the rate jumps.
    pub duration: Duration,
}

/// How a rate goes on over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    unit_ns: u64,
    pieces: Vec<Piece>,
    /// What has arrived at the end, in the terms of [`Piece::before`].
    total: u128,
    length_ns: u64,
}

/// One stage where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    start_ns: u64,
    length_ns: u64,
    from: Rate,
    to: Rate,
    /// What has arrived before it: arrivals, times twice the time unit in nanoseconds, times [`PARTS`].
    before: u128,
}

impl Course {
    /// One rate all the time.
    pub fn constant(rate: Rate, time_unit: Duration, duration: Duration) -> Self {
        Self::ramping(rate, time_unit, &[Stage { target: rate, duration }])
    }

    /// From `start` through all stages. A time unit of nothing counts as a nanosecond.
    pub fn ramping(start: Rate, time_unit: Duration, stages: &[Stage]) -> Self {
        let mut course = Self { unit_ns: nanos(time_unit).max(1), pieces: Vec::new(), total: 0, length_ns: 0 };
        let mut from = start;
        for stage in stages {
            // So many nanoseconds are 584 years; what lies beyond is never reached.
            let length_ns = nanos(stage.duration).min(u64::MAX - course.length_ns);
            let piece = Piece { start_ns: course.length_ns, length_ns, from, to: stage.target, before: course.total };
            course.total += piece.all();
            course.length_ns += length_ns;
            course.pieces.push(piece);
            from = stage.target;
        }
        course
    }

    /// How long it is.
    pub const fn length(&self) -> Duration {
        Duration::from_nanos(self.length_ns)
    }

    /// How many arrive in all.
    pub fn arrivals(&self) -> u64 {
        u64::try_from(self.total.div_ceil(self.one())).unwrap_or(u64::MAX)
    }

    /// When arrival `number` (from 0) is due, since the beginning; `None` if there are not so many.
    pub fn instant(&self, number: u64) -> Option<Duration> {
        let behind = self.one().checked_mul(u128::from(number)).filter(|behind| *behind < self.total)?;
        // The last piece that begins with no more than that: pieces in which nothing arrives are passed over.
        let place = self.pieces.partition_point(|piece| piece.before <= behind);
        let piece = self.pieces.get(place.checked_sub(1)?)?;
        Some(Duration::from_nanos(piece.start_ns + piece.reached(behind - piece.before)))
    }

    /// The rate at a time since the beginning, in arrivals per second; zero after the end.
    pub fn rate_at(&self, since: Duration) -> f64 {
        let at = nanos(since);
        let place = self.pieces.partition_point(|piece| piece.start_ns <= at);
        let piece = place.checked_sub(1).and_then(|place| self.pieces.get(place));
        let Some(piece) = piece.filter(|piece| at - piece.start_ns < piece.length_ns) else { return 0.0 };
        let share = (at - piece.start_ns) as f64 / piece.length_ns as f64;
        let rate = piece.from.value() + (piece.to.value() - piece.from.value()) * share;
        rate * 1e9 / self.unit_ns as f64
    }

    /// One arrival in the terms of [`Piece::before`].
    const fn one(&self) -> u128 {
        2 * PARTS as u128 * self.unit_ns as u128
    }
}

impl Piece {
    /// All that arrives in it.
    fn all(&self) -> u128 {
        (u128::from(self.from.0) + u128::from(self.to.0)) * u128::from(self.length_ns)
    }

    /// The last nanosecond in it at which no more than `behind` has arrived.
    fn reached(&self, behind: u128) -> u64 {
        if self.from == self.to {
            let even = behind / (2 * u128::from(self.from.0)).max(1);
            return u64::try_from(even).unwrap_or(u64::MAX).min(self.length_ns);
        }
        let fits = |t: u64| self.has_at_most(t, behind);
        // A guess in floating point is right but for some nanoseconds; from there the exact place is closed in.
        let guess = self.guess(behind).min(self.length_ns);
        let (mut low, mut high, mut step) = (guess, guess, 1_u64);
        if fits(guess) {
            while high < self.length_ns && fits(high) {
                low = high;
                high = high.saturating_add(step).min(self.length_ns);
                step = step.saturating_mul(2);
            }
        } else {
            while low > 0 && !fits(low) {
                high = low;
                low = low.saturating_sub(step);
                step = step.saturating_mul(2);
            }
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if fits(middle) { low = middle } else { high = middle }
        }
        low
    }

    /// Whether no more than `behind` has arrived at `t`.
    fn has_at_most(&self, t: u64, behind: u128) -> bool {
        let (from, to) = (u128::from(self.from.0), u128::from(self.to.0));
        let (length, time) = (u128::from(self.length_ns), u128::from(t));
        // 2*a*T + (b-a)*t, whose terms are ordered so that none is negative.
        let slope =
            if to >= from { 2 * from * length + (to - from) * time } else { 2 * from * length - (from - to) * time };
        wide(time, slope) <= wide(behind, length)
    }

    /// About when `behind` has arrived.
    fn guess(&self, behind: u128) -> u64 {
        let (from, to, length) = (self.from.0 as f64, self.to.0 as f64, self.length_ns as f64);
        let behind = behind as f64;
        // The solution of a quadratic equation, in the form that loses no digits where the slope is small.
        let root = (from * from + (to - from) / length * behind).max(0.0).sqrt();
        (behind / (from + root)) as u64
    }
}

/// The product of two numbers in full: what is above 128 bits, and the rest.
const fn wide(a: u128, b: u128) -> (u128, u128) {
    const HALF: u128 = u64::MAX as u128;
    let (a_high, a_low, b_high, b_low) = (a >> 64, a & HALF, b >> 64, b & HALF);
    let low = a_low * b_low;
    let (middle, other) = (a_high * b_low, a_low * b_high);
    let carried = (low >> 64) + (middle & HALF) + (other & HALF);
    (a_high * b_high + (middle >> 64) + (other >> 64) + (carried >> 64), (carried << 64) | (low & HALF))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn instants(course: &Course) -> Vec<u64> {
        (0..course.arrivals()).map(|number| nanos(course.instant(number).unwrap())).collect()
    }

    #[test]
    fn a_constant_rate_has_equal_distances_and_never_drifts() {
        let course = Course::constant(Rate::new(200.0), SECOND, Duration::from_secs(3));
        assert_eq!((course.arrivals(), course.instant(600)), (600, None));
        assert!(instants(&course).iter().enumerate().all(|(at, due)| *due == at as u64 * 5_000_000));
        let thirds = Course::constant(Rate::new(3.0), SECOND, Duration::from_secs(604_800));
        assert_eq!(thirds.instant(1), Some(Duration::from_nanos(333_333_333)));
        assert_eq!(thirds.instant(3 * 604_799), Some(Duration::from_secs(604_799)));
        assert_eq!(thirds.arrivals(), 3 * 604_800);
    }

    #[test]
    fn rates_may_be_fractions_and_per_any_time() {
        let rare = Course::constant(Rate::new(0.5), Duration::from_secs(60), Duration::from_secs(600));
        assert_eq!(rare.arrivals(), 5);
        assert_eq!(rare.instant(4), Some(Duration::from_secs(480)));
        assert_eq!(Course::constant(Rate::new(0.5), SECOND, SECOND).arrivals(), 1);
        assert_eq!(Course::constant(Rate::new(0.0), SECOND, SECOND).arrivals(), 0);
        assert!((rare.rate_at(SECOND) - 0.5 / 60.0).abs() < 1e-12);
    }

    #[test]
    fn a_ramp_from_nothing_has_the_square_roots() {
        let stages = [Stage { target: Rate::new(10.0), duration: Duration::from_secs(10) }];
        let course = Course::ramping(Rate::new(0.0), SECOND, &stages);
        assert_eq!(course.arrivals(), 50);
        // Half of t*t has arrived at t.
        for (number, seconds) in [(0, 0), (2, 2), (8, 4), (18, 6), (32, 8)] {
            assert_eq!(course.instant(number), Some(Duration::from_secs(seconds)), "{number}");
        }
        assert!((course.rate_at(Duration::from_secs(5)) - 5.0).abs() < 1e-9);
        assert!(course.rate_at(Duration::from_secs(10)).abs() < 1e-9);
    }

    #[test]
    fn stages_follow_each_other_without_loss() {
        let second =
            |target: f64, seconds: u64| Stage { target: Rate::new(target), duration: Duration::from_secs(seconds) };
        // Nothing for a second, a jump to 10, down to nothing, nothing, a jump to 1.
        let stages = [
            second(0.0, 1),
            second(10.0, 0),
            second(10.0, 2),
            second(0.0, 2),
            second(0.0, 7),
            second(1.0, 0),
            second(1.0, 2),
        ];
        let course = Course::ramping(Rate::new(0.0), SECOND, &stages);
        let all = instants(&course);
        assert_eq!(all.len(), 20 + 10 + 2);
        assert_eq!((all[0], all[19], all[20]), (1_000_000_000, 2_900_000_000, 3_000_000_000));
        assert!(all[29] < 5_000_000_000);
        assert_eq!(all[30..], [12_000_000_000, 13_000_000_000]);
    }

    #[test]
    fn extreme_courses_neither_panic_nor_loop() {
        for (from, to) in [(0.0, 1e9), (1e9, 0.0), (f64::NAN, 1.0), (1e300, -5.0), (1e-6, 1e9)] {
            let stages = [
                Stage { target: Rate::new(to), duration: Duration::MAX },
                Stage { target: Rate::new(from), duration: Duration::MAX },
            ];
            for unit in [Duration::ZERO, SECOND, Duration::MAX] {
                let course = Course::ramping(Rate::new(from), unit, &stages);
                for number in [0, 1, 1000, u64::MAX / 2, u64::MAX] {
                    let _ = course.instant(number);
                }
                let _ = course.instant(course.arrivals().saturating_sub(1));
            }
        }
    }

    /// What has arrived at `t` nanoseconds, slowly but surely.
    fn arrived(start: f64, stages: &[(u32, u32)], t: u64) -> f64 {
        let (mut from, mut begin, mut all) = (start, 0.0, 0.0);
        for (target, millis) in stages {
            let (to, length) = (f64::from(*target), f64::from(*millis) / 1e3);
            let inside = (t as f64 / 1e9 - begin).clamp(0.0, length);
            if length > 0.0 {
                all += from * inside + (to - from) * inside * inside / (2.0 * length);
            }
            from = to;
            begin += length;
        }
        all
    }

    proptest! {
        #[test]
        fn every_arrival_is_due_when_the_integral_says(
            start in 0..2000_u32,
            stages in prop::collection::vec((0..2000_u32, 0..3000_u32), 1..6),
        ) {
            let made: Vec<Stage> = stages.iter().map(|(target, millis)| Stage {
                target: Rate::new(f64::from(*target)),
                duration: Duration::from_millis(u64::from(*millis)),
            }).collect();
            let course = Course::ramping(Rate::new(f64::from(start)), SECOND, &made);
            let length: u64 = stages.iter().map(|(_, millis)| u64::from(*millis) * 1_000_000).sum();
            let all = arrived(f64::from(start), &stages, length);
            prop_assert!((course.arrivals() as f64 - all).abs() <= 1.0 + 1e-6, "{} {all}", course.arrivals());
            let instants = instants(&course);
            prop_assert!(instants.is_sorted());
            for (number, due) in instants.iter().enumerate() {
                prop_assert!(*due < length);
                prop_assert!(arrived(f64::from(start), &stages, *due) <= number as f64 + 1e-6);
                prop_assert!(arrived(f64::from(start), &stages, *due + 1) > number as f64 - 1e-6);
            }
        }

        #[test]
        fn products_are_whole(a in any::<u128>(), b in any::<u64>()) {
            // Checked by dividing again, limb by limb.
            let (high, low) = wide(a, u128::from(b));
            prop_assert_eq!(low, a.wrapping_mul(u128::from(b)));
            let upper = (a >> 64) * u128::from(b);
            let lower = (a & u128::from(u64::MAX)) * u128::from(b);
            prop_assert_eq!(high, (upper + (lower >> 64)) >> 64);
        }
    }
}
