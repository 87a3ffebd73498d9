//! The search for a capacity: the highest rate at which a target meets its thresholds.
//!
//! Rates climb until one breaks, then the place between the highest that held and the lowest that broke is closed in on by
//! halves, and at last both of them are confirmed by repetition. A single hiccup therefore neither halves a capacity nor
//! makes one up. Where the harness itself could not keep a rate, nothing is known of the target at it and above: the search
//! closes in below, and says what ended it.
//!
//! [`Search::next_probe`] tells what to try, [`Search::result`] takes what came of it. The number of probes is bounded,
//! whatever the results are; for a target that holds all rates up to some limit and none above, the limit is found within
//! the precision.

/// How often the first rate is halved at most, when it breaks.
const MOST_HALVINGS: i32 = 10;

/// What is searched, and how.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// The first rate.
    pub from: f64,
    /// The highest that is tried.
    pub up_to: f64,
    /// How the next rate is made while rates hold.
    pub growth: Growth,
    /// How near the limit is found: the lowest rate that breaks is at most this share above the highest that holds.
    pub precision: f64,
    /// How often a rate has to hold.
    pub times: u32,
    /// Of so many tries.
    pub of: u32,
}

/// How rates climb.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Growth {
    /// The next is so many times the last.
    Factor(f64),
    /// The next is so much more.
    Step(f64),
}

/// A rate that is to be tried.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// Its number, from 1.
    pub number: u32,
    /// The rate.
    pub rate: f64,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a probe is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Rates go up, or down from a first one that breaks, until the limit lies between two of them.
    Staircase,
    /// The limit is closed in on.
    Bisection,
    /// A result is confirmed.
    Confirmation,
}

impl Purpose {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staircase => "staircase",
            Self::Bisection => "bisection",
            Self::Confirmation => "confirmation",
        }
    }
}

/// What came of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// All thresholds were met.
    Held,
    /// A threshold was missed.
    Broke,
    /// The harness could not keep the rate, so that nothing is known.
    Lagged,
}

impl Verdict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broke => "broke",
            Self::Lagged => "lagged",
        }
    }
}

/// A probe with what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Point<T> {
    /// The probe.
    pub probe: Probe,
    /// Whether the rate held.
    pub verdict: Verdict,
    /// What was measured.
    pub detail: T,
}

/// What a search has found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Capacity {
    /// The highest rate that was confirmed to hold; `None` if there is none.
    pub rate: Option<f64>,
    /// The lowest rate above it that did not.
    pub broke_at: Option<f64>,
    /// What ended the search.
    pub limit: Limit,
}

/// What ends a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// A threshold was missed above.
    Threshold,
    /// The harness could not go faster: the target's capacity is this or more, which leaves the run inconclusive.
    Generator,
    /// The highest rate that was to be tried held: the capacity is this or more.
    UpTo,
    /// Results contradicted each other too often.
    Unsettled,
}

impl Limit {
    /// Whether the capacity itself was found, not only that it is no less.
    pub const fn is_found(self) -> bool {
        matches!(self, Self::Threshold)
    }

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Threshold => "threshold",
            Self::Generator => "generator",
            Self::UpTo => "up_to",
            Self::Unsettled => "unsettled",
        }
    }
}

/// A search under way; `T` is what is measured at each rate.
#[derive(Debug, Clone)]
pub struct Search<T> {
    plan: Plan,
    /// What was tried, in the order of rates.
    tried: Vec<Tried>,
    curve: Vec<Point<T>>,
    most: u32,
}

/// How often a rate held and did not.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Tried {
    rate: f64,
    held: u32,
    broke: u32,
    lagged: u32,
}

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Next {
    Try(f64, Purpose),
    Done(Capacity),
}

impl<T> Search<T> {
    /// A search that has tried nothing yet. What makes no sense in the plan is bent into what does.
    pub fn new(plan: Plan) -> Self {
        let from = if plan.from.is_finite() && plan.from > 0.0 { plan.from } else { 1.0 };
        let up_to = if plan.up_to.is_finite() { plan.up_to.max(from) } else { from };
        let growth = match plan.growth {
            Growth::Factor(factor) if factor.is_finite() => Growth::Factor(factor.max(1.01)),
            Growth::Step(step) if step.is_finite() => Growth::Step(step.max((up_to - from) / 1000.0).max(1e-6)),
            _ => Growth::Factor(2.0),
        };
        let precision = if plan.precision.is_finite() { plan.precision.clamp(0.001, 1.0) } else { 0.05 };
        let times = plan.times.max(1);
        let of = plan.of.max(times);
        let plan = Plan { from, up_to, growth, precision, times, of };
        Self { plan, tried: Vec::new(), curve: Vec::new(), most: plan.most_probes() }
    }

    /// What to try next; the same until its result is known. `None` when the search is over.
    pub fn next_probe(&self) -> Option<Probe> {
        match self.next() {
            Next::Try(rate, purpose) => {
                let number = u32::try_from(self.curve.len() + 1).unwrap_or(u32::MAX);
                Some(Probe { number, rate, purpose })
            }
            Next::Done(_) => None,
        }
    }

    /// Takes what came of [`Self::next_probe`]. When the search is over it takes nothing.
    pub fn result(&mut self, verdict: Verdict, detail: T) {
        let Some(probe) = self.next_probe() else { return };
        let place = self.tried.partition_point(|tried| tried.rate < probe.rate);
        if self.tried.get(place).is_none_or(|tried| tried.rate != probe.rate) {
            self.tried.insert(place, Tried { rate: probe.rate, held: 0, broke: 0, lagged: 0 });
        }
        let tried = &mut self.tried[place];
        match verdict {
            Verdict::Held => tried.held += 1,
            Verdict::Broke => tried.broke += 1,
            Verdict::Lagged => tried.lagged += 1,
        }
        self.curve.push(Point { probe, verdict, detail });
    }

    /// What was found, once the search is over.
    pub fn capacity(&self) -> Option<Capacity> {
        match self.next() {
            Next::Try(..) => None,
            Next::Done(capacity) => Some(capacity),
        }
    }

    /// All probes with their results, in the order of time.
    pub fn curve(&self) -> &[Point<T>] {
        &self.curve
    }

    /// How many probes there are at most.
    pub const fn most_probes(&self) -> u32 {
        self.most
    }

    fn next(&self) -> Next {
        let Plan { from, up_to, precision, .. } = self.plan;
        let again = |tried: &Tried| Next::Try(tried.rate, Purpose::Confirmation);
        let high = self.tried.iter().find(|tried| self.fails(tried));
        let below = |tried: &&Tried| high.is_none_or(|high| tried.rate < high.rate);
        let low = self.tried.iter().rev().find(|tried| !self.fails(tried) && below(tried));
        if self.curve.len() >= self.most as usize {
            return self.done(low, high, Some(Limit::Unsettled));
        }
        // What contradicts itself is settled first: everything else is built on it.
        if let Some(doubtful) = self.tried.iter().find(|tried| tried.is_doubtful() && !self.is_decided(tried)) {
            return again(doubtful);
        }
        match (low, high) {
            (None, None) => Next::Try(from, Purpose::Staircase),
            (Some(low), None) if low.rate < up_to => Next::Try(self.above(low.rate), Purpose::Staircase),
            (None, Some(high)) if high.rate > from * 0.5_f64.powi(MOST_HALVINGS) => {
                Next::Try(high.rate / 2.0, Purpose::Staircase)
            }
            (Some(low), Some(high)) if high.rate - low.rate > precision * low.rate => {
                Next::Try(between(low.rate, high.rate), Purpose::Bisection)
            }
            _ => match low.into_iter().chain(high).find(|bound| !self.is_decided(bound)) {
                Some(bound) => again(bound),
                None => self.done(low, high, None),
            },
        }
    }

    fn done(&self, low: Option<&Tried>, high: Option<&Tried>, limit: Option<Limit>) -> Next {
        let limit = limit.unwrap_or(match high {
            None => Limit::UpTo,
            // Enough of the tries broke for themselves.
            Some(high) if high.broke > self.plan.of - self.plan.times => Limit::Threshold,
            Some(_) => Limit::Generator,
        });
        let rate = low.filter(|low| self.is_decided(low)).map(|low| low.rate);
        Next::Done(Capacity { rate, broke_at: high.map(|high| high.rate), limit })
    }

    /// Whether further tries of a rate would change nothing.
    const fn is_decided(&self, tried: &Tried) -> bool {
        tried.held >= self.plan.times || self.is_refuted(tried)
    }

    /// Whether a rate can no longer hold as often as it has to.
    const fn is_refuted(&self, tried: &Tried) -> bool {
        tried.broke + tried.lagged > self.plan.of - self.plan.times
    }

    /// Whether a rate is taken for one that does not hold, for as long as it is not decided: then all its results are alike.
    const fn fails(&self, tried: &Tried) -> bool {
        self.is_refuted(tried) || tried.held == 0
    }

    /// The rate after one that held.
    fn above(&self, rate: f64) -> f64 {
        let next = match self.plan.growth {
            Growth::Factor(factor) => rate * factor,
            Growth::Step(step) => rate + step,
        };
        next.min(self.plan.up_to)
    }
}

impl Plan {
    /// How many probes are enough for every target, with as many again for contradictions.
    fn most_probes(&self) -> u32 {
        let climb = match self.growth {
            Growth::Factor(factor) => (self.up_to / self.from).ln() / factor.ln(),
            Growth::Step(step) => (self.up_to - self.from) / step,
        };
        // Two neighbours on the staircase, closed in on by halves.
        let halves = (self.up_to / self.from / self.precision).log2() + f64::from(MOST_HALVINGS) + 2.0;
        let once = climb.ceil() + halves.ceil() + f64::from(MOST_HALVINGS) + 2.0 * f64::from(self.of.min(1000));
        (2.0 * once).min(10_000.0) as u32
    }
}

impl Tried {
    /// Whether it held and did not.
    const fn is_doubtful(&self) -> bool {
        self.held > 0 && self.broke + self.lagged > 0
    }
}

/// A rate in the middle, without needless digits.
fn between(low: f64, high: f64) -> f64 {
    let middle = low + (high - low) / 2.0;
    if high - low > 4.0 { middle.round() } else { middle }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLAN: Plan =
        Plan { from: 100.0, up_to: 10_000.0, growth: Growth::Factor(2.0), precision: 0.05, times: 2, of: 3 };

    /// Drives a search to its end.
    fn run(plan: Plan, mut target: impl FnMut(&Probe) -> Verdict) -> Search<()> {
        let mut search = Search::new(plan);
        while let Some(probe) = search.next_probe() {
            assert!(search.curve().len() < search.most_probes() as usize && search.capacity().is_none());
            let verdict = target(&probe);
            search.result(verdict, ());
        }
        search
    }

    fn up_to(limit: f64) -> impl FnMut(&Probe) -> Verdict {
        move |probe| if probe.rate <= limit { Verdict::Held } else { Verdict::Broke }
    }

    #[test]
    fn rates_climb_are_closed_in_on_and_confirmed() {
        let search = run(PLAN, up_to(1000.0));
        let told: Vec<_> =
            search.curve().iter().map(|point| (point.probe.rate, point.probe.purpose.as_str())).collect();
        let (stair, half, again) = ("staircase", "bisection", "confirmation");
        let expected = [
            (100.0, stair),
            (200.0, stair),
            (400.0, stair),
            (800.0, stair),
            (1600.0, stair),
            (1200.0, half),
            (1000.0, half),
            (1100.0, half),
            (1050.0, half),
            (1000.0, again),
            (1050.0, again),
        ];
        assert_eq!(told, expected);
        let found = search.capacity().unwrap();
        assert_eq!(found, Capacity { rate: Some(1000.0), broke_at: Some(1050.0), limit: Limit::Threshold });
        assert!(found.limit.is_found());
    }

    #[test]
    fn a_target_that_holds_everything_or_nothing_ends_the_search() {
        let all = run(PLAN, |_| Verdict::Held).capacity().unwrap();
        assert_eq!((all.rate, all.limit), (Some(10_000.0), Limit::UpTo));
        let nothing = run(PLAN, |_| Verdict::Broke).capacity().unwrap();
        assert_eq!((nothing.rate, nothing.limit), (None, Limit::Threshold));
        let little = run(PLAN, up_to(3.0)).capacity().unwrap();
        assert!(little.rate.is_some_and(|rate| rate <= 3.0 && rate * 1.05 >= 3.0), "{little:?}");
    }

    #[test]
    fn a_generator_that_cannot_keep_up_is_no_limit_of_the_target() {
        let found = run(PLAN, |probe| if probe.rate <= 500.0 { Verdict::Held } else { Verdict::Lagged });
        let found = found.capacity().unwrap();
        assert!(found.rate.is_some_and(|rate| rate <= 500.0 && rate * 1.05 >= 500.0), "{found:?}");
        assert!(found.limit == Limit::Generator && !found.limit.is_found());
    }

    #[test]
    fn one_hiccup_changes_nothing() {
        for hiccup in 1..12 {
            let mut quiet = up_to(1000.0);
            let search = run(PLAN, |probe| match quiet(probe) {
                Verdict::Held if probe.number == hiccup => Verdict::Broke,
                Verdict::Broke if probe.number == hiccup => Verdict::Held,
                verdict => verdict,
            });
            let found = search.capacity().unwrap();
            assert!(found.rate.is_some_and(|rate| (950.0..=1000.0).contains(&rate)), "{hiccup}: {found:?}");
            assert_eq!(found.limit, Limit::Threshold);
        }
    }

    #[test]
    fn a_rate_that_has_to_hold_every_time_is_refuted_by_one_break() {
        let plan = Plan { times: 3, of: 3, ..PLAN };
        let search =
            run(plan, |probe| if probe.rate < 900.0 || probe.number < 9 { Verdict::Held } else { Verdict::Broke });
        let found = search.capacity().unwrap();
        assert!(found.rate.is_some_and(|rate| (850.0..900.0).contains(&rate)), "{found:?}");
    }

    #[test]
    fn plans_that_make_no_sense_end_too() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 0.0, 1e-300, 1e300] {
            for growth in [Growth::Factor(value), Growth::Step(value)] {
                let plan = Plan { from: value, up_to: value, growth, precision: value, times: 0, of: 0 };
                run(plan, up_to(50.0));
                run(Plan { from: 1.0, up_to: 1e6, ..plan }, up_to(50.0));
            }
        }
    }

    fn plans() -> impl Strategy<Value = Plan> {
        let growth = prop_oneof![(1.1..4.0_f64).prop_map(Growth::Factor), (1.0..500.0_f64).prop_map(Growth::Step)];
        (1.0..500.0_f64, 1.0..200.0_f64, growth, 0.01..0.3_f64, 1..4_u32, 0..3_u32).prop_map(
            |(from, range, growth, precision, times, more)| Plan {
                from,
                up_to: from * range,
                growth,
                precision,
                times,
                of: times + more,
            },
        )
    }

    proptest! {
        #[test]
        fn the_limit_of_a_monotone_target_is_found_within_the_precision(
            plan in plans(), share in 0.0..1.2_f64, lags in any::<bool>(),
        ) {
            let limit = plan.up_to * share;
            let above = if lags { Verdict::Lagged } else { Verdict::Broke };
            let search = run(plan, |probe| if probe.rate <= limit { Verdict::Held } else { above });
            let found = search.capacity().unwrap();
            prop_assert!(found.limit != Limit::Unsettled);
            match found.rate {
                Some(rate) => {
                    prop_assert!(rate <= limit && rate <= plan.up_to);
                    if found.limit == Limit::UpTo {
                        prop_assert_eq!(rate, plan.up_to);
                    } else {
                        prop_assert!(rate * (1.0 + plan.precision) >= limit - 1e-9, "{} {}", rate, limit);
                        prop_assert_eq!(found.limit, if lags { Limit::Generator } else { Limit::Threshold });
                    }
                }
                None => prop_assert!(limit < plan.from / 512.0),
            }
        }

        #[test]
        fn noise_never_makes_a_search_go_on_forever(plan in plans(), verdicts in prop::collection::vec(0..3_u8, 1..60)) {
            let mut drawn = verdicts.iter().cycle();
            let search = run(plan, |_| match drawn.next() {
                Some(0) => Verdict::Held,
                Some(1) => Verdict::Broke,
                _ => Verdict::Lagged,
            });
            let found = search.capacity().unwrap();
            if let Some(rate) = found.rate {
                let held = search.curve().iter().filter(|point| point.probe.rate == rate && point.verdict == Verdict::Held);
                prop_assert!(held.count() >= plan.times as usize);
            }
        }
    }
}
