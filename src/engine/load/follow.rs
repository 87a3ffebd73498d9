//! Following calls that others have: which subscriptions a connection that only listens asks for as calls come and go.
//!
//! Each connection asks for a complete new set where the calls that it is told of have changed, at most once in a while and
//! never before the last request is through, so that a storm of calls costs few requests. An index is never used for
//! another subject. A call may have ended before its subscription is granted: that is no failure.

use std::time::Duration;

use super::super::core::Core;
use super::live::Live;
use super::population::{Watcher, subscription};
use crate::load::{Metric, Stamps};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::write::Subscription;
use crate::protocol::events::{Ack, Resource};
use crate::time::Instant;
use crate::trace::Sink;

/// How often it is looked whether calls have come or gone.
const LOOKS: Duration = Duration::from_millis(250);

/// How a connection follows the calls of others.
#[derive(Debug)]
pub(super) struct Follows {
    /// How many subscriptions it may have.
    most: usize,
    /// The index of its next subscription.
    next_index: u64,
    /// How many changes of the list of calls its set takes account of.
    seen: u64,
    asked: Option<Asked>,
}

/// A request that is under way.
#[derive(Debug)]
struct Asked {
    id: u64,
    stamps: Stamps,
    is_acked: bool,
    /// The set that holds if it is refused.
    before: Vec<Subscription>,
}

impl Follows {
    /// With at most so many subscriptions, of which index 1 is `calls`.
    pub(super) const fn new(most: u32) -> Self {
        Self { most: most as usize, next_index: 2, seen: 0, asked: None }
    }

    /// The set for the calls that go on: what is subscribed already stays.
    fn set(&mut self, before: &[Subscription], calls: &[String], version: crate::spec::Version) -> Vec<Subscription> {
        let goes_on = |one: &&Subscription| one.call.as_ref().is_none_or(|call| calls.contains(call));
        let mut set: Vec<Subscription> = before.iter().filter(goes_on).cloned().collect();
        for call in calls {
            if set.iter().any(|one| one.call.as_ref() == Some(call)) {
                continue;
            }
            for resource in [Resource::CallInfo, Resource::CallRoster] {
                if set.len() < self.most {
                    set.push(subscription(self.next_index, resource, Some(call.clone()), version));
                    self.next_index += 1;
                }
            }
        }
        set
    }
}

impl<S: Sink> Core<S> {
    /// Asks for other subscriptions where calls have come or gone.
    pub(super) fn follow(&mut self, live: &mut Live) {
        let now = self.now;
        if live.follow_at.is_none_or(|at| at > now) {
            return;
        }
        live.follow_at = Some(now + LOOKS);
        for place in 0..live.all.watchers.len() {
            live.give_up_following(place, now);
            let Live { all, metrics, .. } = live;
            let watcher = &mut all.watchers[place];
            let Watcher { name, set, is_busy: false, is_lost: false, follows: Some(follows), .. } = watcher else {
                continue;
            };
            let calls = self.clients.get(name).and_then(|client| client.ear.calls.as_ref());
            let Some(calls) = calls.filter(|calls| calls.changes != follows.seen) else { continue };
            follows.seen = calls.changes;
            let wanted = follows.set(set, &calls.ids, self.options.version);
            if wanted == *set {
                continue;
            }
            let name = name.clone();
            let Ok(id) = self.ask_for(&name, &wanted) else { continue };
            let before = std::mem::replace(&mut watcher.set, wanted);
            let stamps = Stamps::at(now);
            metrics.sent(stamps);
            if let Some(follows) = &mut watcher.follows {
                follows.asked = Some(Asked { id, stamps, is_acked: false, before });
            }
            watcher.is_busy = true;
        }
    }
}

impl Live {
    /// A request that is not through in time is waited for no longer.
    fn give_up_following(&mut self, place: usize, now: Instant) {
        let within = self.within;
        let is_late = |asked: &Asked| asked.stamps.scheduled + within <= now;
        self.fail_following(place, now, is_late, ("no ack in time", "subscriptions were not settled in time"));
    }

    /// The connection of one that may follow calls is lost, and with it the request that is under way.
    pub(super) fn follower_lost(&mut self, place: usize, now: Instant) {
        let why = "the connection was lost";
        self.fail_following(place, now, |_| true, (why, why));
    }

    /// A request that comes to nothing, if it is such a one: its ack, if there was none, and its end have failed.
    fn fail_following(
        &mut self,
        place: usize,
        now: Instant,
        is_it: impl Fn(&Asked) -> bool,
        (no_ack, not_settled): (&str, &str),
    ) {
        let Self { all, metrics, .. } = self;
        let Some(watcher) = all.watchers.get_mut(place) else { return };
        let asked = watcher.follows.as_mut().and_then(|follows| follows.asked.take_if(|asked| is_it(asked)));
        let Some(Asked { stamps, is_acked, .. }) = asked else { return };
        watcher.is_busy = false;
        if !is_acked {
            metrics.fail(Metric::Ack, stamps.scheduled, now, no_ack);
        }
        metrics.fail(Metric::Settle, stamps.scheduled, now, not_settled);
    }

    /// A connection that follows calls heard an ack. Whether it was that of its request.
    pub(super) fn follower_heard_ack(&mut self, watcher: u32, ack: Ack<'_>, now: Instant) -> bool {
        let Self { all, metrics, .. } = self;
        let Some(one) = all.watchers.get_mut(watcher as usize) else { return false };
        let Some(follows) = &mut one.follows else { return false };
        let is_it = |asked: &&mut Asked| Some(asked.id) == ack.message_id();
        let Some(asked) = follows.asked.as_mut().filter(is_it) else { return false };
        if !std::mem::replace(&mut asked.is_acked, true) {
            metrics.record(Metric::Ack, asked.stamps, now);
        }
        if ack.status() != Some(SUCCESS) {
            metrics.fail(Metric::Settle, asked.stamps.scheduled, now, "the request for subscriptions was refused");
            one.set = std::mem::take(&mut asked.before);
            follows.asked = None;
            one.is_busy = false;
        }
        true
    }

    /// The subscriptions of a connection that follows calls are settled. Whether it is one.
    pub(super) fn follower_settled(&mut self, watcher: u32, now: Instant) -> bool {
        let Self { all, metrics, .. } = self;
        let Some(one) = all.watchers.get_mut(watcher as usize) else { return false };
        let Some(follows) = &mut one.follows else { return false };
        if let Some(asked) = follows.asked.take_if(|asked| asked.is_acked) {
            metrics.record(Metric::Settle, asked.stamps, now);
            one.is_busy = false;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::population::Population;
    use super::super::pulse::Pulse;
    use super::*;
    use crate::load::{Metrics, Schedule, Together};
    use crate::spec::Version;

    /// A load that listens, on one connection whose request for subscriptions was sent at once.
    fn following(is_acked: bool) -> Live {
        let text = "title: x\nexercises: [UPD-08]\nload: {connections: 1, calls: 0, follow: true, duration: 60s}";
        let scenario = crate::scenario::read("test.yaml", text).unwrap();
        let load = scenario.load.unwrap().value;
        let (executor, start) = (load.executor(), Instant::ZERO);
        let asked = Asked { id: 2, stamps: Stamps::at(start), is_acked, before: Vec::new() };
        let follows = Follows { asked: Some(asked), ..Follows::new(10) };
        let watcher = Watcher {
            name: "c1".to_owned(),
            set: Vec::new(),
            lacks: None,
            lacked: None,
            is_busy: true,
            is_lost: false,
            follows: Some(follows),
        };
        let schedule = Schedule::new(&executor, start, Duration::from_millis(20));
        let random = rand::SeedableRng::seed_from_u64(1);
        let pulse = Pulse::new(&crate::load::Watch::default(), &executor, None, start, 0);
        let all = Population { watchers: vec![watcher], ..Population::default() };
        Live::new(&load, schedule, Metrics::new(start), all, (random, Together::alone(load.terms()).part(0), pulse))
    }

    /// Why there were no acks, and why nothing was settled, each with how often that was so.
    fn causes(live: &Live) -> [Vec<(String, u64)>; 2] {
        [Metric::Ack, Metric::Settle].map(|metric| {
            let series = live.metrics.series(metric).into_owned();
            series.failures().most_frequent().into_iter().map(|(why, count)| (why.to_owned(), count)).collect()
        })
    }

    #[test]
    fn a_request_fails_with_its_connection_or_when_its_time_is_up_and_only_once() {
        let (lost, late) = (Instant::from_millis(500), Instant::from_millis(10_000));
        let one = |why: &str| vec![(why.to_owned(), 1)];
        for is_acked in [false, true] {
            let mut live = following(is_acked);
            live.give_up_following(0, lost);
            assert_eq!(causes(&live), [vec![], vec![]]);
            live.lost(0, lost);
            live.give_up_following(0, late);
            let why = one("the connection was lost");
            assert_eq!(causes(&live), [if is_acked { vec![] } else { why.clone() }, why]);
            let mut live = following(is_acked);
            live.give_up_following(0, late);
            live.lost(0, late);
            let ack = if is_acked { vec![] } else { one("no ack in time") };
            assert_eq!(causes(&live), [ack, one("subscriptions were not settled in time")]);
        }
    }

    #[test]
    fn what_is_subscribed_stays_and_an_index_is_never_used_again() {
        let mut follows = Follows::new(4);
        let ids = |names: &[&str]| -> Vec<String> { names.iter().map(|name| (*name).to_owned()).collect() };
        let mut set = vec![subscription(1, Resource::Calls, None, Version::LATEST)];
        let mut next = |calls: &[&str]| {
            set = follows.set(&set, &ids(calls), Version::LATEST);
            set.iter().map(|one| (one.index, one.call.clone().unwrap_or_default())).collect::<Vec<_>>()
        };
        let of = |all: &[(u64, &str)]| all.iter().map(|(index, call)| (*index, (*call).to_owned())).collect::<Vec<_>>();
        assert_eq!(next(&["a"]), of(&[(1, ""), (2, "a"), (3, "a")]));
        assert_eq!(next(&["a", "b"]), of(&[(1, ""), (2, "a"), (3, "a"), (4, "b")]));
        assert_eq!(next(&["b"]), of(&[(1, ""), (4, "b")]));
        assert_eq!(next(&["b", "c", "d"]), of(&[(1, ""), (4, "b"), (5, "c"), (6, "c")]));
        assert_eq!(next(&[]), of(&[(1, "")]));
    }
}
