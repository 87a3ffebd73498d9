//! Which connection can be told of what, by what it is subscribed to.

use std::collections::{BTreeMap, BTreeSet};

use crate::emulator::mutant::View;
use crate::emulator::{ConnectionKey, Subscription};
use crate::protocol::events::{Resource, State};
use crate::scenario::syntax::{Stimuli, Stimulus};

/// Who is told of what. Calls are named by their places in the population.
#[derive(Debug, Default)]
pub(super) struct Audience {
    reached: BTreeMap<ConnectionKey, BTreeMap<Stimulus, BTreeSet<usize>>>,
    told: BTreeMap<(Stimulus, usize), BTreeSet<ConnectionKey>>,
}

impl Audience {
    /// The audience of these stimuli, that happen to these calls.
    pub(super) fn of(view: &View<'_>, calls: &[String], stimuli: &Stimuli) -> Self {
        let mut audience = Self::default();
        let wanted: Vec<Stimulus> =
            Stimulus::ALL.into_iter().filter(|stimulus| stimuli.weight(*stimulus).weight > 0).collect();
        for (key, connection) in view.connections {
            let active = connection.subscriptions.values().filter(|one| one.state == State::Active);
            for subscription in active {
                for stimulus in &wanted {
                    audience.add(*key, *stimulus, subscription, calls);
                }
            }
        }
        audience
    }

    fn add(&mut self, key: ConnectionKey, stimulus: Stimulus, subscription: &Subscription, calls: &[String]) {
        if !tells(subscription, stimulus) {
            return;
        }
        let own = |place: &usize| match (&subscription.call, stimulus) {
            (_, Stimulus::Call) => *place == 0,
            (None, _) => true,
            (Some(call), _) => calls[*place] == *call,
        };
        // A call that comes has no place among those that stay.
        let places = (0..calls.len().max(usize::from(stimulus == Stimulus::Call))).filter(own);
        for place in places {
            self.reached.entry(key).or_default().entry(stimulus).or_default().insert(place);
            self.told.entry((stimulus, place)).or_default().insert(key);
        }
    }

    /// The connections that can be told of something.
    pub(super) fn connections(&self) -> impl Iterator<Item = ConnectionKey> {
        self.reached.keys().copied()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.reached.len()
    }

    /// Whether a connection can be told of something.
    pub(super) fn reaches(&self, key: ConnectionKey) -> bool {
        self.reached.contains_key(&key)
    }

    /// A connection is gone.
    pub(super) fn forget(&mut self, key: ConnectionKey) {
        self.reached.remove(&key);
        self.told.values_mut().for_each(|told| told.retain(|known| *known != key));
    }

    /// Who is told if this happens to the call at this place.
    pub(super) fn told(&self, stimulus: Stimulus, place: usize) -> Vec<ConnectionKey> {
        self.told.get(&(stimulus, place)).into_iter().flatten().copied().collect()
    }

    /// What a connection can be told of, each with its weight and the places at which it may happen.
    pub(super) fn choices(&self, key: ConnectionKey, stimuli: &Stimuli) -> Vec<(Stimulus, u64, &BTreeSet<usize>)> {
        let reached = self.reached.get(&key).into_iter().flatten();
        reached.map(|(stimulus, places)| (*stimulus, u64::from(stimuli.weight(*stimulus).weight), places)).collect()
    }
}

/// Whether a subscription tells of a stimulus to what it is about.
fn tells(subscription: &Subscription, stimulus: Stimulus) -> bool {
    let has = |element: &str| subscription.elements.iter().any(|name| name == element);
    match (subscription.resource, stimulus) {
        (Resource::CallRoster, Stimulus::Mute) => has("audioMuted"),
        (Resource::CallRoster, Stimulus::Layout) => has("layout"),
        (Resource::CallRoster, Stimulus::JoinAndLeave) | (Resource::Calls, Stimulus::Call) => true,
        (Resource::Calls | Resource::CallInfo, Stimulus::Lock) => has("lockState"),
        (Resource::Calls | Resource::CallInfo, Stimulus::Record) => has("recording"),
        (Resource::Calls | Resource::CallInfo, Stimulus::JoinAndLeave) => has("participants"),
        _ => false,
    }
}
