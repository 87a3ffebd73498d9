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
            let Live { all, metrics, within, .. } = live;
            let watcher = &mut all.watchers[place];
            give_up(watcher, now, *within, |sent, is_acked| {
                if !is_acked {
                    metrics.fail(Metric::Ack, sent, now, "no ack in time");
                }
                metrics.fail(Metric::Settle, sent, now, "subscriptions were not settled in time");
            });
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

/// A request that is not through in time is waited for no longer.
fn give_up(watcher: &mut Watcher, now: Instant, within: Duration, fail: impl FnOnce(Instant, bool)) {
    let Some(follows) = &mut watcher.follows else { return };
    if let Some(asked) = follows.asked.take_if(|asked| asked.stamps.scheduled + within <= now) {
        watcher.is_busy = false;
        fail(asked.stamps.scheduled, asked.is_acked);
    }
}

impl Live {
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
    use super::*;
    use crate::spec::Version;

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
