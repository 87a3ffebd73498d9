//! A load that is spread over several servers: what its parts agree on.
//!
//! Each server has an engine, a trace and a judge of its own; each engine carries out one part of the load. Here they meet:
//! a stretch begins at one instant, once what every part is put on is there; it is over when all parts have brought in what
//! they measured, which is merged and judged as one; and what is tried next is decided once for all. A load on one server is
//! one of a single part, so there is one way for both.
//!
//! Nobody waits in here: a part that has to asks again after [`ASK_AGAIN`], on whatever clock it lives. The lock is held for
//! a moment at the beginning and the end of a stretch, and once a second where a threshold may end the load; never for
//! a message. So engines on several threads do not meet while they work.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::metrics::Metrics;
use super::outcome::{Loaded, Phase, Share};
use super::search::{Plan, Probe, Search};
use super::series::Series;
use super::thresholds::Threshold;
use crate::time::Instant;

/// How soon a part that waits for others asks again.
pub const ASK_AGAIN: Duration = Duration::from_millis(20);

/// How long after the last part is ready a stretch begins: long enough for all to have asked.
const NOTICE: Duration = Duration::from_millis(100);

/// What holds for the whole load.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    /// What is asked of it.
    pub thresholds: Vec<Threshold>,
    /// The largest share of arrivals that the harness may be late for.
    pub max_late: f64,
    /// The search, where a capacity is searched.
    pub search: Option<Plan>,
}

/// A load and its parts. Clones share it.
#[derive(Debug, Clone)]
pub struct Together(Arc<Mutex<State>>);

/// One part of a load, as its engine holds it.
#[derive(Debug, Clone)]
pub struct Part {
    whole: Together,
    index: u32,
    of: u32,
}

/// What is to be done next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Next {
    /// The load, as it is written.
    Whole,
    /// A stretch at the rate of this probe, all servers together.
    Rate(Probe),
}

#[derive(Debug)]
struct State {
    terms: Terms,
    search: Option<Search<Phase>>,
    /// What became of a load that is no search.
    once: Option<Phase>,
    parts: Vec<One>,
    /// When the stretch begins that all are ready for.
    begins: Option<Instant>,
    /// How many stretches are over.
    over: u32,
    /// The thresholds that end the stretch.
    ended_by: Vec<Threshold>,
    /// Whether nothing is to be done any more.
    is_done: bool,
}

/// What is known of one part.
#[derive(Debug, Default)]
struct One {
    /// What its server is called.
    server: String,
    is_ready: bool,
    /// What it measured so far, of each threshold that may end the load, as it showed it last.
    seen: Vec<Series>,
    /// Whether it has shown that since it was looked at.
    has_looked: bool,
    /// What it brought in of the stretch: how many connections it has, and whether it came to its end.
    brought: Option<(Phase, u32, bool)>,
    /// Why it takes part no longer.
    left: Option<String>,
}

impl Together {
    /// A load with a part for each of these servers, which are at least one.
    pub fn new(servers: Vec<String>, mut terms: Terms) -> Self {
        // What is relative to an earlier run, or about records, is judged when all is known.
        terms.thresholds.retain(|one| !one.condition.is_relative() && !one.metric.is_of_records());
        let search = terms.search.map(Search::new);
        let parts = servers.into_iter().map(|server| One { server, ..One::default() }).collect();
        let (begins, over, ended_by, is_done) = (None, 0, Vec::new(), false);
        Self(Arc::new(Mutex::new(State { terms, search, once: None, parts, begins, over, ended_by, is_done })))
    }

    /// A load on one server.
    pub fn alone(terms: Terms) -> Self {
        Self::new(vec![String::new()], terms)
    }

    /// The part of that number, counted from 0.
    pub fn part(&self, index: u32) -> Part {
        let of = u32::try_from(self.state().parts.len()).unwrap_or(u32::MAX);
        Part { whole: self.clone(), index: index.min(of.saturating_sub(1)), of }
    }

    /// What became of the load; nothing if it never began. What parts have not brought in by now is missing from it.
    pub fn loaded(&self) -> Option<Loaded> {
        let mut state = self.state();
        if state.parts.iter().any(|part| part.brought.is_some()) {
            state.close();
        }
        let has_begun = state.over > 0 || state.begins.is_some();
        let State { search, once, .. } = &mut *state;
        match (search, once) {
            (Some(search), _) if has_begun => {
                Some(Loaded::Search { capacity: search.capacity(), curve: search.curve().to_vec() })
            }
            (None, once) => once.take().map(|phase| Loaded::Once(Box::new(phase))),
            _ => None,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked has left nothing half done here.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Its number, from 0.
    pub const fn index(&self) -> u32 {
        self.index
    }

    /// How many parts there are.
    pub const fn of(&self) -> u32 {
        self.of
    }

    /// Whether it is the only one.
    pub const fn is_alone(&self) -> bool {
        self.of == 1
    }

    /// What became of the load, if this is all of it.
    pub fn loaded_alone(&self) -> Option<Loaded> {
        if self.is_alone() { self.whole.loaded() } else { None }
    }

    /// What is to be done next; nothing when the load is over. The same for all parts.
    pub fn next(&self) -> Option<Next> {
        let state = self.whole.state();
        match &state.search {
            _ if state.is_done => None,
            Some(search) => search.next_probe().map(Next::Rate),
            None => Some(Next::Whole),
        }
    }

    /// What this part is put on is there. Returns the number of the stretch that it is ready for.
    pub fn ready(&self, now: Instant) -> u32 {
        let mut state = self.whole.state();
        if let Some(own) = state.parts.get_mut(self.index as usize) {
            own.is_ready = true;
        }
        if state.begins.is_none() && state.parts.iter().all(|part| part.is_ready && part.left.is_none()) {
            state.begins = Some(if self.is_alone() { now } else { now + NOTICE });
        }
        state.over
    }

    /// When the stretch begins, once all are ready for it.
    ///
    /// # Errors
    /// That another part takes part no longer, and why: then it never begins.
    pub fn begins(&self) -> Result<Option<Instant>, String> {
        let state = self.whole.state();
        match state.parts.iter().find_map(|part| Some((part, part.left.as_ref()?))) {
            // Once it is known when, it begins for all that are there: what is left of the load is seen in what they bring.
            Some((part, why)) if state.begins.is_none() => {
                Err(format!("the load cannot go on: {}: {why}", part.server))
            }
            _ => Ok(state.begins),
        }
    }

    /// Brings in what was measured, on so many connections, and whether the stretch came to its end.
    pub fn done(&self, phase: Phase, connections: u32, is_whole: bool) {
        let mut state = self.whole.state();
        let seen = state.ending_series(&phase.metrics);
        if let Some(own) = state.parts.get_mut(self.index as usize) {
            (own.seen, own.brought) = (seen, Some((phase, connections, is_whole)));
        }
        state.close_if_all_are_through();
    }

    /// Whether the stretch of that number is over for all parts.
    pub fn is_over(&self, stretch: u32) -> bool {
        self.whole.state().over > stretch
    }

    /// Takes part no longer.
    pub fn leave(&self, why: &str) {
        let mut state = self.whole.state();
        if let Some(own) = state.parts.get_mut(self.index as usize) {
            own.left.get_or_insert_with(|| why.to_owned());
        }
        state.close_if_all_are_through();
    }

    /// Shows what was measured so far, after so long. Whether a threshold ends the stretch: that is looked at when all have
    /// shown once more what they have.
    pub fn look(&self, measured: Duration, metrics: &Metrics) -> bool {
        let mut state = self.whole.state();
        let state = &mut *state;
        let seen = state.ending_series(metrics);
        if let Some(own) = state.parts.get_mut(self.index as usize) {
            (own.seen, own.has_looked) = (seen, true);
        }
        let has_looked = |part: &One| part.has_looked || part.brought.is_some() || part.left.is_some();
        if state.parts.iter().all(has_looked) {
            state.parts.iter_mut().for_each(|part| part.has_looked = false);
            let ends = state.ending().enumerate().filter(|(place, threshold)| {
                let mut all = Series::default();
                state.parts.iter().filter_map(|part| part.seen.get(*place)).for_each(|seen| all.merge(seen));
                threshold.aborts(measured, &all, None)
            });
            let ends: Vec<Threshold> = ends.map(|(_, threshold)| threshold.clone()).collect();
            if state.ended_by.is_empty() {
                state.ended_by = ends;
            }
        }
        !state.ended_by.is_empty()
    }
}

impl State {
    /// The thresholds that may end the load.
    fn ending(&self) -> impl Iterator<Item = &Threshold> {
        self.terms.thresholds.iter().filter(|one| one.abort.is_some())
    }

    /// What was measured for each of them.
    fn ending_series(&self, metrics: &Metrics) -> Vec<Series> {
        self.ending().map(|one| metrics.series(one.metric).into_owned()).collect()
    }

    fn close_if_all_are_through(&mut self) {
        let is_through = |part: &One| part.brought.is_some() || part.left.is_some();
        if self.parts.iter().all(is_through) && self.parts.iter().any(|part| part.brought.is_some()) {
            self.close();
        }
    }

    /// The stretch is over: what was brought in becomes one.
    fn close(&mut self) {
        let mut whole: Option<Phase> = None;
        let (mut is_whole, is_spread) = (true, self.parts.len() > 1);
        for part in &mut self.parts {
            (part.is_ready, part.has_looked, part.seen) = (false, false, Vec::new());
            let Some((mut phase, connections, came_to_its_end)) = part.brought.take() else {
                is_whole = false;
                continue;
            };
            is_whole &= came_to_its_end;
            phase.shares = if is_spread { vec![Share::new(&part.server, connections, &phase)] } else { Vec::new() };
            match &mut whole {
                Some(whole) => whole.merge(&phase),
                None => whole = Some(phase),
            }
        }
        (self.begins, self.over) = (None, self.over + 1);
        let ended_by = std::mem::take(&mut self.ended_by);
        let Some(mut whole) = whole else { return };
        whole.is_paced = whole.pace.is_kept(self.terms.max_late);
        (whole.ended_by, whole.is_whole) = (ended_by, is_whole);
        whole.judge(&self.terms.thresholds, None);
        let Some(search) = &mut self.search else {
            (self.once, self.is_done) = (Some(whole), true);
            return;
        };
        // What is left after a connection is lost is another load than the one whose capacity is searched.
        self.is_done = !is_whole || whole.lost_connections > 0;
        if is_whole {
            search.result(whole.verdict(), whole);
        }
        self.is_done |= search.next_probe().is_none();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::load::search::{Growth, Verdict};
    use crate::load::{Condition, Executor, Metric, Pace, Stamps};

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// A stretch of so many arrivals, each of which took so long, and some of which were late.
    fn phase(arrivals: u64, took_ms: u64, late: u64) -> Phase {
        let mut metrics = Metrics::new(at(0));
        for _ in 0..arrivals {
            metrics.record(Metric::UpdateMute, Stamps::at(at(0)), at(took_ms));
        }
        Phase {
            executor: Executor::Listen { duration: Duration::from_secs(1) },
            begun_at: at(0),
            ended_at: at(1000),
            pace: Pace { taken: arrivals, late, ..Pace::default() },
            is_paced: late == 0,
            planned: Some(arrivals),
            unfinished: 0,
            messages: arrivals,
            sets: 0,
            records: 0,
            lost_connections: 0,
            gone: 0,
            metrics,
            thresholds: Vec::new(),
            ended_by: Vec::new(),
            is_whole: true,
            shares: Vec::new(),
        }
    }

    fn threshold(text: &str, abort: Option<Duration>) -> Threshold {
        Threshold { metric: Metric::Update, condition: Condition::parse(text).unwrap(), abort }
    }

    fn terms(text: &str) -> Terms {
        Terms { thresholds: vec![threshold(text, None)], max_late: 0.05, search: None }
    }

    fn servers(count: u32) -> Vec<String> {
        (0..count).map(|number| format!("s{number}")).collect()
    }

    #[test]
    fn a_stretch_begins_for_all_at_one_instant_and_is_judged_as_one() {
        let whole = Together::new(servers(2), terms("p(60)<20ms"));
        let (one, other) = (whole.part(0), whole.part(1));
        assert_eq!((one.next(), one.ready(at(5)), one.begins()), (Some(Next::Whole), 0, Ok(None)));
        assert_eq!((other.ready(at(50)), other.begins()), (0, one.begins()));
        assert_eq!(one.begins(), Ok(Some(at(50) + NOTICE)));
        // Alone the second would miss the threshold, and be too late.
        one.done(phase(80, 10, 0), 3, true);
        assert!(!one.is_over(0) && one.next().is_some());
        other.done(phase(20, 50, 2), 2, true);
        assert!(one.is_over(0) && other.is_over(0) && other.next().is_none());
        let Some(Loaded::Once(phase)) = whole.loaded() else { panic!("nothing came of it") };
        assert_eq!((phase.pace.taken, phase.planned, phase.messages), (100, Some(100), 100));
        assert!(phase.is_paced && phase.holds(), "{:?}", phase.thresholds);
        let shares: Vec<_> =
            phase.shares.iter().map(|share| (&*share.server, share.connections, share.begun)).collect();
        assert_eq!(shares, [("s0", 3, 80), ("s1", 2, 20)]);
    }

    #[test]
    fn a_load_on_one_server_begins_at_once_and_has_no_shares() {
        let whole = Together::alone(terms("count>0"));
        let part = whole.part(0);
        assert_eq!((part.ready(at(7)), part.begins()), (0, Ok(Some(at(7)))));
        part.done(phase(1, 1, 0), 1, true);
        let Some(Loaded::Once(phase)) = part.loaded_alone() else { panic!("nothing came of it") };
        assert!(phase.shares.is_empty() && phase.holds());
    }

    #[test]
    fn a_part_that_cannot_begin_lets_nobody_begin() {
        let whole = Together::new(servers(3), terms("count>0"));
        whole.part(0).ready(at(0));
        whole.part(1).leave("a sixth connection was refused");
        let told = "the load cannot go on: s1: a sixth connection was refused";
        assert_eq!(whole.part(0).begins(), Err(told.to_owned()));
        assert!(whole.loaded().is_none());
    }

    #[test]
    fn a_search_is_one_over_all_and_ends_where_a_part_leaves() {
        let growth = Growth::Factor(2.0);
        let plan = Plan { from: 10.0, up_to: 40.0, growth, precision: 0.5, times: 1, of: 1 };
        let whole = Together::new(servers(2), Terms { search: Some(plan), ..terms("max<20ms") });
        let parts = [whole.part(0), whole.part(1)];
        let stretch = |took: [u64; 2]| {
            let number = parts.iter().map(|part| part.ready(at(0))).max().unwrap();
            for (part, took) in parts.iter().zip(took) {
                part.done(phase(10, took, 0), 5, true);
            }
            assert!(parts.iter().all(|part| part.is_over(number)));
        };
        stretch([10, 10]);
        let rate = |part: &Part| part.next().map(|next| matches!(next, Next::Rate(probe) if probe.rate == 20.0));
        assert_eq!((rate(&parts[0]), rate(&parts[1])), (Some(true), Some(true)));
        // One server alone breaks the threshold of all.
        stretch([10, 30]);
        parts[0].ready(at(0));
        parts[1].ready(at(0));
        parts[0].done(phase(10, 10, 0), 5, true);
        parts[1].done(phase(3, 10, 0), 5, false);
        assert!(parts[0].next().is_none());
        let Some(Loaded::Search { capacity, curve }) = whole.loaded() else { panic!("no search") };
        let verdicts: Vec<_> = curve.iter().map(|point| (point.verdict, point.detail.pace.taken)).collect();
        assert_eq!((capacity, verdicts), (None, vec![(Verdict::Held, 20), (Verdict::Broke, 20)]));
    }

    #[test]
    fn a_threshold_that_ends_the_load_looks_at_all_servers() {
        let ending = threshold("p(50)<20ms", Some(Duration::ZERO));
        let whole = Together::new(servers(2), Terms { thresholds: vec![ending], ..Terms::default() });
        let (slow, fast) = (whole.part(0), whole.part(1));
        let second = Duration::from_secs(1);
        assert!(!fast.look(second, &phase(80, 10, 0).metrics));
        assert!(!slow.look(second, &phase(60, 50, 0).metrics));
        assert!(!slow.look(second, &phase(90, 50, 0).metrics), "the other has not looked again");
        assert!(fast.look(second, &phase(80, 10, 0).metrics), "more than half of all are slow now");
        assert!(slow.look(second, &phase(90, 50, 0).metrics));
        // What comes in afterwards does not make it met.
        fast.done(phase(200, 10, 0), 1, true);
        slow.done(phase(90, 50, 0), 1, true);
        let Some(Loaded::Once(phase)) = whole.loaded() else { panic!("nothing came of it") };
        assert!(phase.is_aborted() && phase.is_whole && !phase.holds(), "{:?}", phase.thresholds);
        assert_eq!(phase.verdict(), Verdict::Broke);
    }

    proptest! {
        #[test]
        fn whatever_becomes_of_parts_nobody_waits_for_ever(
            fates in prop::collection::vec(0..4_u32, 1..6), order in any::<prop::sample::Index>(),
        ) {
            let count = u32::try_from(fates.len()).unwrap();
            let whole = Together::new(servers(count), terms("count>0"));
            let parts: Vec<Part> = (0..count).map(|index| whole.part(index)).collect();
            let mut turns: Vec<usize> = (0..fates.len()).collect();
            turns.rotate_left(order.index(fates.len()));
            // Some leave before they are ready, ...
            for turn in &turns {
                if fates[*turn] == 0 { parts[*turn].leave("x") } else { let _ = parts[*turn].ready(at(1)); }
            }
            let begins: Vec<_> = parts.iter().map(Part::begins).collect();
            if fates.contains(&0) {
                prop_assert!(begins.iter().all(Result::is_err));
            } else {
                prop_assert!(begins.iter().all(|begins| begins.as_ref().is_ok_and(Option::is_some)));
                // ... others in the middle, with what they have or without.
                for turn in turns {
                    let part = &parts[turn];
                    match fates[turn] {
                        1 => part.done(phase(2, 1, 0), 1, true),
                        2 => { part.done(phase(1, 1, 0), 1, false); part.leave("y") }
                        _ => part.leave("z"),
                    }
                }
                let brought: u64 = fates.iter().map(|fate| [0, 2, 1, 0][*fate as usize]).sum();
                if brought > 0 {
                    prop_assert!(parts.iter().all(|part| part.is_over(0) && part.next().is_none()));
                    let Some(Loaded::Once(phase)) = whole.loaded() else { panic!("nothing came of it") };
                    prop_assert_eq!(phase.pace.taken, brought);
                    prop_assert_eq!(phase.is_whole, fates.iter().all(|fate| *fate == 1));
                }
            }
        }
    }
}
