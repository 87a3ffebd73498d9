//! Pieces of mutants of subscriptions: what several of them do, each in another situation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::mutant::{Mutant, Pass, Question, View};
use super::super::typed::{ConnectionKey, Entry, Event, Input, StateOf, Wanted};
use super::fault::Fault;
use super::subscriptions::{Indexes, reindexed, resource};
use crate::protocol::events::{Resource, State, UpdateType};
use crate::time::Instant;

const ACTIVE: &str = State::Active.as_str();
const DEACTIVATED: &str = State::Deactivated.as_str();

/// Whether the new set repeats a subscription.
pub(super) fn is_repeated(view: &View<'_>, known: &super::super::Subscription, wanted: &[Wanted]) -> bool {
    wanted.iter().any(|entry| {
        let call = entry.call.as_ref().map(|call| view.world.canonical(call));
        entry.index == Some(known.index) && entry.resource == Some(known.resource) && call == known.call
    })
}

pub(super) fn is_unknown(view: &View<'_>, entry: &Wanted) -> bool {
    let call = entry.call.as_ref().map(|call| view.world.canonical(call));
    call.is_some_and(|call| !view.world.calls.contains_key(&call))
}

/// A participant with all that was asked for.
pub(super) fn whole(view: &View<'_>, known: &super::super::Subscription, key: &str) -> Entry {
    let of = |name: &String| Some((name.clone(), view.element(known.resource, key, name)?));
    let fields = known.elements.iter().filter_map(of).collect();
    Entry { key: key.to_owned(), kind: UpdateType::Add, fields }
}

/// Lets an event through without what it says of one index.
pub(super) fn without_index(
    index: Option<u64>,
    to: ConnectionKey,
    event: Event,
    pass: &mut Pass<(ConnectionKey, Event)>,
) {
    match event {
        Event::States(mut list) => {
            list.retain(|s| s.state != ACTIVE || Some(s.index) != index);
            if !list.is_empty() {
                pass.now((to, Event::States(list)));
            }
        }
        Event::Update { index: of, .. } if Some(of) == index => {}
        other => pass.now((to, other)),
    }
}

pub(super) type IsLate = fn(&View<'_>, ConnectionKey, &StateOf) -> bool;

/// A mutant that reports some states some milliseconds later than the rest.
pub(super) fn late_states(delay_ms: u64, which: IsLate) -> Box<dyn Mutant> {
    Fault::<(u64, Option<IsLate>)>::new()
        .event(|(delay_ms, which), view, to, event, pass| {
            let (Event::States(list), Some(which)) = (&event, which) else { return pass.now((to, event)) };
            let (later, now): (Vec<StateOf>, Vec<StateOf>) = list.iter().partition(|s| which(view, to, s));
            if !now.is_empty() {
                pass.now((to, Event::States(now)));
            }
            if !later.is_empty() {
                pass.later(Duration::from_millis(*delay_ms), (to, Event::States(later)));
            }
        })
        .with((delay_ms, Some(which)))
        .boxed()
}

/// Whether a subscription that the new set leaves out stays with the listeners; besides the connection it is given the
/// index under which the set has the same resource, and the set.
pub(super) type Stays = fn(ConnectionKey, Option<u64>, &[Wanted]) -> bool;

#[derive(Debug, Default)]
struct Listeners {
    stays: Option<Stays>,
    former: BTreeMap<(ConnectionKey, u64), (Resource, Option<String>)>,
}

/// A mutant that tells former subscriptions what others are told of the same resource.
pub(super) fn listeners(stays: Stays) -> Box<dyn Mutant> {
    Fault::<Listeners>::new()
        .input(|state, view, input, pass| {
            if let Input::Subscribe { connection, wanted, .. } = &input {
                let moved = reindexed(view, *connection, wanted);
                let known = view.connection(*connection).into_iter().flat_map(|known| known.subscriptions.values());
                let left = known.filter(|s| wanted.iter().all(|entry| entry.index != Some(s.index)));
                for s in left.filter(|s| s.state == State::Active) {
                    let new = moved.contains(&(*connection, s.index)).then_some(s.index);
                    if state.stays.is_some_and(|stays| stays(*connection, new, wanted)) {
                        state.former.insert((*connection, s.index), (s.resource, s.call.clone()));
                    }
                }
                for index in wanted.iter().filter_map(|entry| entry.index) {
                    state.former.remove(&(*connection, index));
                }
            }
            pass.now(input);
        })
        .event(|state, view, to, event, pass| {
            if let Event::Update { index, resource, entries } = &event
                && entries.iter().all(|entry| entry.kind == UpdateType::Update)
                && let Some(known) = view.connection(to).and_then(|known| known.subscriptions.get(index))
            {
                let same = state.former.iter().filter(|(_, (of, call))| (of, call) == (resource, &known.call));
                for (other, index) in same.map(|(former, _)| *former) {
                    let event = Event::Update { index, resource: *resource, entries: entries.clone() };
                    pass.later(Duration::from_millis(1), (other, event));
                }
            }
            pass.now((to, event));
        })
        .with(Listeners { stays: Some(stays), former: BTreeMap::new() })
        .boxed()
}

pub(super) type HidesEnds = fn(&View<'_>, ConnectionKey, &[Wanted]) -> bool;

/// A mutant that reports no ends of what some requests leave out.
pub(super) fn ends_hidden(when: HidesEnds) -> Box<dyn Mutant> {
    Fault::<(BTreeSet<ConnectionKey>, Option<HidesEnds>)>::new()
        .input(|(hiding, when), view, input, pass| {
            if let Input::Subscribe { connection, wanted, .. } = &input {
                hiding.remove(connection);
                if when.is_some_and(|when| when(view, *connection, wanted)) {
                    hiding.insert(*connection);
                }
            }
            pass.now(input);
        })
        .event(|(hiding, _), view, to, event, pass| {
            let Event::States(mut list) = event else { return pass.now((to, event)) };
            let hidden = |s: &StateOf| s.state == DEACTIVATED && resource(view, to, s.index).is_none();
            list.retain(|s| !(hiding.contains(&to) && hidden(s)));
            if !list.is_empty() {
                pass.now((to, Event::States(list)));
            }
        })
        .with((BTreeSet::new(), Some(when)))
        .boxed()
}

pub(super) type OnMoved = fn(&Indexes, &View<'_>, ConnectionKey, Event, &mut Pass<(ConnectionKey, Event)>);

/// A mutant of the new indexes of resources that had another index before.
pub(super) fn moved(change: OnMoved) -> Box<dyn Mutant> {
    Fault::<(Indexes, Option<OnMoved>)>::new()
        .input(|(moved, _), view, input, pass| {
            if let Input::Subscribe { connection, wanted, .. } = &input {
                moved.retain(|(key, _)| key != connection);
                for (_, old) in reindexed(view, *connection, wanted) {
                    let known = view.connection(*connection).and_then(|known| known.subscriptions.get(&old));
                    let same = wanted.iter().filter(|entry| {
                        let call = entry.call.as_ref().map(|call| view.world.canonical(call));
                        known.is_some_and(|known| entry.resource == Some(known.resource) && call == known.call)
                    });
                    moved.extend(same.filter_map(|entry| Some((*connection, entry.index?))));
                }
            }
            pass.now(input);
        })
        .event(|(moved, change), view, to, event, pass| match change {
            Some(change) => change(moved, view, to, event, pass),
            None => pass.now((to, event)),
        })
        .with((Indexes::new(), Some(change)))
        .boxed()
}

/// The indexes of subscriptions that a request should stop and that go on.
pub(super) type GoOn = fn(&View<'_>, ConnectionKey, &[Wanted]) -> Vec<u64>;

/// A mutant that goes on serving some of what a request leaves out.
pub(super) fn going_on(which: GoOn) -> Box<dyn Mutant> {
    Fault::<(Indexes, Option<GoOn>)>::new()
        .input(|(spared, which), view, input, pass| {
            if let (Input::Subscribe { connection, wanted, .. }, Some(which)) = (&input, which) {
                spared.retain(|(key, _)| key != connection);
                spared.extend(which(view, *connection, wanted).into_iter().map(|index| (*connection, index)));
            }
            pass.now(input);
        })
        .decide(|(spared, _), q, answer| match q {
            Question::Stops { connection, index } => answer && !spared.contains(&(*connection, *index)),
            _ => answer,
        })
        .with((Indexes::new(), Some(which)))
        .boxed()
}

/// The indexes of a connection's subscriptions of one type, where the new set is empty.
pub(super) fn emptied(view: &View<'_>, connection: ConnectionKey, wanted: &[Wanted], resource: Resource) -> Vec<u64> {
    let known = view.connection(connection).filter(|_| wanted.is_empty());
    let all = known.into_iter().flat_map(|known| known.subscriptions.values());
    all.filter(|known| known.resource == resource).map(|known| known.index).collect()
}

/// Whether a `calls` subscription ends, given the calls that went.
pub(super) type EndsCalls = fn(&View<'_>, ConnectionKey, &[String]) -> bool;

/// A mutant that ends `calls` subscriptions when conferences end, and tells them nothing from then on.
pub(super) fn calls_end(when: EndsCalls, delay: Duration) -> Box<dyn Mutant> {
    Fault::<(Indexes, Option<EndsCalls>, Duration)>::new()
        .event(|(ended, when, delay), view, to, event, pass| {
            if let Event::States(list) = &event {
                for state in list {
                    ended.remove(&(to, state.index));
                }
            }
            let Event::Update { index, resource: Resource::Calls, entries } = &event else {
                return pass.now((to, event));
            };
            let index = *index;
            let removed = entries.iter().filter(|entry| entry.kind == UpdateType::Remove);
            let gone: Vec<String> = removed.map(|entry| entry.key.clone()).collect();
            if ended.contains(&(to, index)) {
                return;
            }
            pass.now((to, event));
            if !gone.is_empty() && when.is_some_and(|when| when(view, to, &gone)) {
                ended.insert((to, index));
                pass.later(*delay, (to, Event::States(vec![StateOf::new(index, State::Deactivated)])));
            }
        })
        .with((Indexes::new(), Some(when), delay))
        .boxed()
}

/// Whether a request is not applied; given how many came in quick succession, this one included, and what it asks for.
pub(super) type IsSkipped = fn(&u64, &[Wanted]) -> bool;

#[derive(Debug, Default)]
struct Quick {
    last: BTreeMap<ConnectionKey, (Instant, u64, Vec<Wanted>)>,
    skips: Option<IsSkipped>,
}

/// A mutant that acknowledges some of several quick requests and applies the one before instead.
pub(super) fn quick(skips: IsSkipped) -> Box<dyn Mutant> {
    Fault::<Quick>::new()
        .input(|state, view, mut input, pass| {
            if let Input::Subscribe { connection, wanted, .. } = &mut input {
                let before = state.last.get(connection);
                let quick = before.filter(|(at, ..)| view.now.since(*at) < Duration::from_millis(20));
                let count = quick.map_or(1, |(_, count, _)| count + 1);
                if let Some((.., earlier)) = quick
                    && state.skips.is_some_and(|skips| skips(&count, wanted))
                {
                    wanted.clone_from(earlier);
                }
                state.last.insert(*connection, (view.now, count, wanted.clone()));
            }
            pass.now(input);
        })
        .with(Quick { last: BTreeMap::new(), skips: Some(skips) })
        .boxed()
}
