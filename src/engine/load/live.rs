//! A load while it runs: what has begun and not ended, and what it waits for.
//!
//! A piece of work begins when the schedule says so, sends a request, and ends when the request is answered and every
//! connection that watches was told of the effect, or when its time is up. Each connection's event is a value of its own.
//! Nothing is done per message but a lookup for each effect that it tells of, and that only where something happens.

mod subscriptions;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::RngExt as _;

use super::super::api_client::Fruitless;
use super::effects::{self, Effect, Goal};
use super::population::Population;
use super::pulse::Pulse;
use crate::load::{Metric, Metrics, Part, Schedule, Stamps};
use crate::protocol::events::Message;
use crate::protocol::guid;
use crate::scenario::syntax::{Load, Stimuli, Stimulus};
use crate::time::Instant;
use crate::trace::ExchangeId;

/// How many events of somebody who came are remembered whose request has no answer yet.
const UNCLAIMED: usize = 4096;

/// How often it is looked whether a threshold ends the load.
const LOOKS: Duration = Duration::from_secs(1);

/// What a piece of work is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Subject {
    /// The participant at this place of the population.
    Party(usize),
    /// The call at this place.
    Call(usize),
    /// A party that came into the call at this place, once its id is known.
    Guest { call: usize, id: Option<String> },
    /// A call of its own in this coSpace, once its id is known.
    Own { space: String, id: Option<String> },
    /// The watcher at this place, and the id of its request for subscriptions, once it is sent: what is still to be told
    /// of earlier stimuli comes first.
    Watcher { place: usize, request: Option<u64>, is_acked: bool },
}

/// A piece of work that has begun.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) subject: Subject,
    pub(super) stamps: Stamps,
    /// What it waits for.
    pub(super) effect: Effect,
    pub(super) goal: Goal,
    /// The exchange whose answer it waits for.
    pub(super) exchange: Option<ExchangeId>,
    /// The watchers that have not been told.
    pub(super) waits_for: Vec<u32>,
    /// Whether all that were to be told were, and there were some.
    pub(super) is_told: bool,
    /// What its effect is kept under.
    pub(super) key: Option<(Effect, u128)>,
    pub(super) deadline: Instant,
    /// Whether it has come about, and only stays until it is ended.
    pub(super) stays: bool,
}

impl Work {
    /// The id and coSpace of a call that may not have ended, since the request to end it came to nothing.
    fn ending_again(&self, why: Fruitless) -> Option<(String, String)> {
        let is_open = self.effect == Effect::Gone && !why.is_refusal();
        match &self.subject {
            Subject::Own { space, id: Some(id) } if is_open => Some((id.clone(), space.clone())),
            _ => None,
        }
    }
}

/// What is to be done at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Alarm {
    /// The time of a piece of work is up, if it is still in the same stage.
    Overdue(u64),
    /// What stays has stayed.
    Stayed(u64),
}

/// A load while it runs.
#[derive(Debug)]
pub(in super::super) struct Live {
    pub(super) schedule: Schedule,
    pub(super) metrics: Metrics,
    pub(super) all: Population,
    pub(super) stimuli: Stimuli,
    pub(super) participants: u32,
    pub(super) within: Duration,
    pub(super) random: ChaCha8Rng,
    pub(super) works: HashMap<u64, Work>,
    by_exchange: HashMap<ExchangeId, u64>,
    awaited: HashMap<(Effect, u128), u64>,
    /// How many requests for somebody to come have no answer yet.
    unnamed: u32,
    unclaimed: VecDeque<(u128, u32, Instant)>,
    alarms: BinaryHeap<Reverse<(Instant, Alarm)>>,
    /// Exchanges that belong to no piece of work, or to none any more.
    extra: HashMap<ExchangeId, Extra>,
    /// What has to be asked of the server.
    pub(super) orders: VecDeque<Order>,
    /// Requests for subscriptions that wait until nothing waits for their watcher.
    pub(super) held: Vec<u64>,
    /// Messages that were received.
    pub(super) messages: u64,
    /// Sets of records that were received.
    pub(super) sets: u64,
    /// Records in them.
    pub(super) records: u64,
    /// The part of the load that this is.
    part: Part,
    /// When thresholds that may end the load are looked at next.
    looks: Option<Instant>,
    /// When it is looked whether calls of others have come or gone, where they are followed.
    pub(super) follow_at: Option<Instant>,
    /// Whether a threshold that is missed has ended it.
    pub(super) is_aborted: bool,
    /// Whether no work begins any more.
    is_over: bool,
    /// Whether what was heard since it was looked at last may leave something to be done.
    pub(in super::super) is_stirred: bool,
    pub(super) pulse: Pulse,
}

/// What has to be asked of the server about a piece of work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The guest or the call has stayed long enough, at this instant.
    End(u64, Instant),
    /// The call is there: its participants are to come.
    Fill(u64),
    /// What came is sent away, whatever is told of it.
    Remove(Left),
}

/// Somebody who came, or a call, that no piece of work is about any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Left {
    /// A participant of this id.
    Guest(String),
    /// A call of this id in this coSpace.
    Own(String, String),
}

/// An exchange that no piece of work waits for.
#[derive(Debug)]
struct Extra {
    /// When it was sent, if it is timed.
    stamps: Option<Stamps>,
    then: Then,
}

/// What follows from the answer of an exchange that no piece of work waits for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Nothing.
    Nothing,
    /// Somebody came, too late, and is sent away.
    RemoveGuest,
    /// A call began in this coSpace, too late, and is ended.
    RemoveOwn(String),
    /// The call in this coSpace is over.
    Free(String),
    /// What was to change has changed after all.
    Apply(Subject, Effect, Goal),
}

impl Live {
    /// A load that is about to run.
    pub(super) fn new(
        load: &Load,
        schedule: Schedule,
        metrics: Metrics,
        all: Population,
        (random, part, pulse): (ChaCha8Rng, Part, Pulse),
    ) -> Self {
        let may_end_early = load.thresholds().iter().any(|threshold| threshold.abort.is_some());
        let looks = may_end_early.then(|| metrics.start() + LOOKS);
        Self {
            schedule,
            metrics,
            all,
            stimuli: load.stimuli.clone(),
            participants: load.participants(),
            within: load.within(),
            random,
            works: HashMap::new(),
            by_exchange: HashMap::new(),
            awaited: HashMap::new(),
            unnamed: 0,
            unclaimed: VecDeque::new(),
            alarms: BinaryHeap::new(),
            extra: HashMap::new(),
            orders: VecDeque::new(),
            held: Vec::new(),
            messages: 0,
            sets: 0,
            records: 0,
            part,
            looks,
            follow_at: load.follow.then_some(Instant::ZERO),
            is_aborted: false,
            is_over: false,
            is_stirred: false,
            pulse,
        }
    }

    /// Looks, once in a while, whether a threshold ends the load.
    pub(super) fn look_at_thresholds(&mut self, now: Instant) {
        if self.looks.is_none_or(|at| at > now) {
            return;
        }
        self.looks = Some(now + LOOKS);
        let measured = self.metrics.measured(now);
        self.is_aborted = self.part.look(measured, &self.metrics);
    }

    /// What happens next, by weight.
    pub(super) fn draw(&mut self) -> Option<Stimulus> {
        let total = self.stimuli.total();
        (total > 0).then(|| self.random.random_range(0..total)).and_then(|drawn| self.stimuli.pick(drawn))
    }

    /// When something is to be done at the latest.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let alarm = self.alarms.peek().map(|Reverse((at, _))| *at);
        let turn = self.pulse.is_watched().then(|| self.metrics.turns());
        let others = alarm.into_iter().chain(self.looks).chain(self.follow_at).chain(turn);
        self.schedule.next_due(now).into_iter().chain(others).min()
    }

    /// Takes a piece of work in.
    pub(super) fn begin(&mut self, number: u64, work: Work) {
        self.metrics.sent(work.stamps);
        if matches!(work.subject, Subject::Watcher { .. }) {
            self.held.push(number);
        }
        self.enter(number, work);
    }

    /// Lets a piece of work wait: for the answer, for its effect, for the end of its time.
    pub(super) fn enter(&mut self, number: u64, work: Work) {
        if let Some(exchange) = work.exchange {
            self.by_exchange.insert(exchange, number);
        }
        match work.key {
            Some(key) => drop(self.awaited.insert(key, number)),
            None => self.unnamed += u32::from(work.effect == Effect::Come),
        }
        self.alarms.push(Reverse((work.deadline, Alarm::Overdue(number))));
        self.works.insert(number, work);
    }

    /// Takes note of an exchange that no piece of work waits for.
    pub(super) fn accompany(&mut self, exchange: ExchangeId, stamps: Option<Stamps>, then: Then) {
        self.extra.insert(exchange, Extra { stamps, then });
    }

    /// Whether every exchange has an answer and nothing is left to be asked.
    pub(super) fn is_drained(&self) -> bool {
        self.extra.is_empty() && self.orders.is_empty()
    }

    /// Gives up all that has begun: what it is about is free, and who came is sent away. How many pieces of work it was.
    pub(super) fn wind_up(&mut self, now: Instant) -> u64 {
        self.orders.clear();
        self.is_over = true;
        let mut left: Vec<u64> = self.works.keys().copied().collect();
        left.sort_unstable();
        left.iter().for_each(|number| self.end(*number, now));
        left.len() as u64
    }

    /// How many requests have no answer.
    pub(super) fn unanswered_count(&self) -> usize {
        self.by_exchange.len() + self.extra.len()
    }

    /// The exchanges that have no answer.
    pub(super) fn unanswered(&self) -> impl Iterator<Item = ExchangeId> {
        self.extra.keys().copied()
    }

    /// Does what is due, apart from arrivals.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        while let Some(Reverse((at, alarm))) = self.alarms.peek().copied() {
            if at > now {
                break;
            }
            self.alarms.pop();
            match alarm {
                Alarm::Overdue(number) => {
                    let is_due = |work: &Work| work.deadline <= now && !work.stays;
                    if self.works.get(&number).is_some_and(is_due) {
                        self.give_up(number, now);
                    }
                }
                Alarm::Stayed(number) => self.orders.push_back(Order::End(number, at)),
            }
        }
    }

    /// The time of a piece of work is up.
    fn give_up(&mut self, number: u64, now: Instant) {
        self.fail_ack(number, "no ack in time", now);
        let Some(work) = self.works.get(&number) else { return };
        let cause = match (&work.subject, work.exchange) {
            (Subject::Watcher { .. }, _) => "subscriptions were not settled in time",
            (_, Some(_)) => "the API did not answer in time",
            _ => "no event in time",
        };
        self.fail(number, cause, now);
    }

    /// A piece of work has failed, for each of those that should have been told of it.
    fn fail(&mut self, number: u64, cause: &str, now: Instant) {
        let Some(work) = self.works.get(&number) else { return };
        let (metric, scheduled) = (self.metric_of(work), work.stamps.scheduled);
        // Of an answer alone, the metric of the API tells.
        let times = if work.is_told { 0 } else { work.waits_for.len().max(1) };
        for _ in 0..times {
            self.metrics.fail(metric, scheduled, now, cause);
        }
        self.end(number, now);
    }

    const fn metric_of(&self, work: &Work) -> Metric {
        match work.subject {
            Subject::Watcher { .. } => Metric::Settle,
            Subject::Own { .. } => effects::metric(work.effect, true),
            _ => effects::metric(work.effect, false),
        }
    }

    /// A piece of work is over: its subject and its virtual user are free. An answer that it still waits for is timed when it
    /// comes; who came, or comes with that answer, does not stay.
    pub(super) fn end(&mut self, number: u64, now: Instant) {
        let Some(work) = self.works.remove(&number) else { return };
        self.forget_waits(&work);
        let pending = work.exchange.filter(|exchange| self.by_exchange.remove(exchange).is_some());
        let is_leaving = work.effect == Effect::Gone;
        // Nothing else changes it any more: what the answer says is what stands in the next stretch.
        let is_open = self.is_over && !work.is_told;
        let then = match work.subject {
            Subject::Party(place) => {
                self.all.parties[place].is_busy = false;
                if is_open { Then::Apply(work.subject, work.effect, work.goal) } else { Then::Nothing }
            }
            Subject::Call(place) => {
                self.all.calls[place].is_busy = false;
                if is_open { Then::Apply(work.subject, work.effect, work.goal) } else { Then::Nothing }
            }
            Subject::Watcher { place, .. } => {
                self.all.watchers[place].is_busy = false;
                Then::Nothing
            }
            Subject::Guest { .. } if is_leaving => Then::Nothing,
            Subject::Guest { id: Some(id), .. } => {
                self.orders.push_back(Order::Remove(Left::Guest(id)));
                Then::Nothing
            }
            Subject::Guest { id: None, .. } => Then::RemoveGuest,
            Subject::Own { space, .. } if is_leaving => self.leave(space, pending.is_some()),
            Subject::Own { space, id: Some(id) } => {
                self.orders.push_back(Order::Remove(Left::Own(id, space)));
                Then::Nothing
            }
            Subject::Own { space, id: None } if pending.is_some() => Then::RemoveOwn(space),
            Subject::Own { space, id: None } => self.leave(space, false),
        };
        if let Some(exchange) = pending {
            self.accompany(exchange, Some(work.stamps), then);
        }
        self.schedule.finished(now);
    }

    /// No call is in a coSpace any more, unless an answer has yet to tell.
    fn leave(&mut self, space: String, is_open: bool) -> Then {
        if is_open {
            return Then::Free(space);
        }
        self.all.spaces.push_back(space);
        Then::Nothing
    }

    fn forget_waits(&mut self, work: &Work) {
        match work.key {
            Some(key) => drop(self.awaited.remove(&key)),
            None if work.effect == Effect::Come && !work.stays => self.unnamed = self.unnamed.saturating_sub(1),
            None => {}
        }
        if self.unnamed == 0 {
            self.unclaimed.clear();
        }
    }

    /// An exchange has ended: with success, and the id of what was made if something was, or without.
    /// Whether it belongs to the load.
    pub(super) fn answered(
        &mut self,
        exchange: ExchangeId,
        made: Result<Option<&str>, Fruitless>,
        now: Instant,
    ) -> bool {
        if let Some(Extra { stamps, then }) = self.extra.remove(&exchange) {
            if let Some(stamps) = stamps {
                self.time_exchange(stamps, made.err(), now);
            }
            self.follow(then, made);
            return true;
        }
        let Some(number) = self.by_exchange.remove(&exchange) else { return false };
        let Some(work) = self.works.get(&number) else { return true };
        let again = made.err().and_then(|why| work.ending_again(why));
        self.time_exchange(work.stamps, made.err(), now);
        match made {
            Err(why) => {
                self.fail(number, &why.to_string(), now);
                if let Some((id, space)) = again {
                    self.all.spaces.retain(|free| *free != space);
                    self.orders.push_back(Order::Remove(Left::Own(id, space)));
                }
            }
            Ok(made) => {
                if self.named(number, made) {
                    self.apply(number);
                    self.look(number, now);
                } else {
                    self.fail(number, "the answer does not say what was made", now);
                }
            }
        }
        true
    }

    /// Does what follows from the answer of an exchange that no piece of work waits for.
    fn follow(&mut self, then: Then, made: Result<Option<&str>, Fruitless>) {
        match (then, made) {
            (Then::RemoveGuest, Ok(Some(id))) => self.orders.push_back(Order::Remove(Left::Guest(id.to_owned()))),
            (Then::RemoveOwn(space), Ok(Some(id))) => {
                self.orders.push_back(Order::Remove(Left::Own(id.to_owned(), space)));
            }
            // Where nothing came of it, there is no call. One whose end is not confirmed keeps its coSpace.
            (Then::RemoveOwn(space), Err(why)) if why.is_refusal() => self.all.spaces.push_back(space),
            (Then::Free(space), made) if made.err().is_none_or(Fruitless::is_refusal) => {
                self.all.spaces.push_back(space)
            }
            (Then::Apply(subject, effect, goal), Ok(_)) => self.set(&subject, effect, goal),
            _ => {}
        }
    }

    /// A request was answered; where it made something, this is its id. Whether that is known where it has to be.
    fn named(&mut self, number: u64, made: Option<&str>) -> bool {
        let Some(work) = self.works.get_mut(&number) else { return false };
        work.exchange = None;
        let (None, Effect::Come) = (work.key, work.effect) else { return true };
        let Some(made) = made else { return false };
        if let Subject::Guest { id, .. } | Subject::Own { id, .. } = &mut work.subject {
            *id = Some(made.to_owned());
        }
        let Some(who) = guid::number(made) else { return false };
        work.key = Some((Effect::Come, who));
        self.unnamed = self.unnamed.saturating_sub(1);
        self.awaited.insert((Effect::Come, who), number);
        self.claim(number, who);
        true
    }

    fn time_exchange(&mut self, stamps: Stamps, failed: Option<Fruitless>, now: Instant) {
        match failed {
            None => self.metrics.record(Metric::Api, stamps, now),
            Some(why) => self.metrics.fail(Metric::Api, stamps.scheduled, now, &why.to_string()),
        }
    }

    /// Events that told of somebody before the answer said who it is.
    fn claim(&mut self, number: u64, id: u128) {
        let Some(work) = self.works.get_mut(&number) else { return };
        let metric = effects::metric(Effect::Come, matches!(work.subject, Subject::Own { .. }));
        self.unclaimed.retain(|(who, watcher, at)| {
            let is_it = *who == id;
            if is_it && let Some(place) = work.waits_for.iter().position(|waits| waits == watcher) {
                work.waits_for.swap_remove(place);
                work.is_told = work.waits_for.is_empty();
                self.metrics.record(metric, work.stamps, *at);
            }
            !is_it
        });
        if self.unnamed == 0 {
            self.unclaimed.clear();
        }
    }

    /// What a piece of work was to change has changed: the next one changes it back.
    fn apply(&mut self, number: u64) {
        if let Some(Work { subject, effect, goal, .. }) = self.works.get(&number) {
            let (subject, effect, goal) = (subject.clone(), *effect, *goal);
            self.set(&subject, effect, goal);
        }
    }

    fn set(&mut self, subject: &Subject, effect: Effect, goal: Goal) {
        match (subject, effect, goal) {
            (Subject::Party(place), Effect::Mute, Goal::Flag(on)) => self.all.parties[*place].is_muted = on,
            (Subject::Party(place), Effect::Layout, Goal::Layout(layout)) => self.all.parties[*place].layout = layout,
            (Subject::Call(place), Effect::Lock, Goal::Flag(on)) => self.all.calls[*place].is_locked = on,
            (Subject::Call(place), Effect::Record, Goal::Flag(on)) => self.all.calls[*place].is_recorded = on,
            _ => {}
        }
    }

    /// Looks whether a piece of work has come about, and goes on with it.
    fn look(&mut self, number: u64, now: Instant) {
        let Some(work) = self.works.get_mut(&number) else { return };
        let is_watcher = matches!(work.subject, Subject::Watcher { .. });
        if work.exchange.is_some() || !work.waits_for.is_empty() || work.stays || is_watcher {
            return;
        }
        let lasts = match (&work.subject, work.effect) {
            (Subject::Guest { id: Some(_), .. }, Effect::Come) => self.stimuli.weight(Stimulus::JoinAndLeave).lasts,
            (Subject::Own { id: Some(_), .. }, Effect::Come) => self.stimuli.weight(Stimulus::Call).lasts,
            _ => return self.end(number, now),
        };
        work.stays = true;
        if matches!(work.subject, Subject::Own { .. }) {
            self.orders.push_back(Order::Fill(number));
        }
        if let Some(key) = work.key.take() {
            self.awaited.remove(&key);
        }
        let lasts = lasts.map_or(Duration::from_secs(1), |time| time.0);
        self.alarms.push(Reverse((now + lasts, Alarm::Stayed(number))));
    }

    /// A receiver was sent a set of so many records.
    pub(in super::super) const fn hear_set(&mut self, records: u64) {
        self.sets += 1;
        self.records += records;
    }

    /// A watcher heard a message.
    pub(in super::super) fn hear(&mut self, watcher: u32, message: Message<'_>, now: Instant) {
        self.messages += 1;
        if self.stimuli.is_empty() {
            return;
        }
        let Self { all, awaited, works, metrics, unnamed, unclaimed, within, .. } = self;
        let (mut through, mut gone, mut is_told) = (Vec::new(), Vec::new(), false);
        effects::of_message(message, all, |effect, subject, reaches| {
            let Some(number) = awaited.get(&(effect, subject)) else {
                if effect == Effect::Come && *unnamed > 0 {
                    let is_old = |at: Instant| now.since(at) > *within;
                    while unclaimed.len() >= UNCLAIMED || unclaimed.front().is_some_and(|(.., at)| is_old(*at)) {
                        unclaimed.pop_front();
                    }
                    unclaimed.push_back((subject, watcher, now));
                }
                if effect == Effect::Gone {
                    gone.push(subject);
                }
                return;
            };
            let Some(work) = works.get_mut(number) else { return };
            let Some(place) = work.waits_for.iter().position(|waits| *waits == watcher) else { return };
            if !reaches(work.goal) {
                return;
            }
            work.waits_for.swap_remove(place);
            is_told = true;
            work.is_told = work.waits_for.is_empty();
            let is_own = matches!(work.subject, Subject::Own { .. });
            metrics.record(effects::metric(effect, is_own), work.stamps, now);
            if work.is_told {
                through.push(*number);
            }
        });
        // A request for subscriptions may have waited for just that.
        self.is_stirred |= is_told;
        for number in through {
            self.apply(number);
            self.look(number, now);
        }
        gone.into_iter().for_each(|who| self.all.forget(who));
    }

    /// The connection of a watcher is gone: what waits for it waits in vain.
    pub(in super::super) fn lost(&mut self, watcher: u32, now: Instant) {
        let place = watcher as usize;
        let Some(one) = self.all.watchers.get_mut(place) else { return };
        self.is_stirred = true;
        one.is_lost = true;
        self.follower_lost(place, now);
        let is_about = |work: &Work| matches!(work.subject, Subject::Watcher { place: about, .. } if about == place);
        let concerned = |work: &Work| is_about(work) || work.waits_for.contains(&watcher);
        let concerned = self.works.iter().filter(|(_, work)| concerned(work)).map(|(number, _)| *number);
        let mut concerned: Vec<u64> = concerned.collect();
        concerned.sort_unstable();
        for number in concerned {
            let Some(work) = self.works.get_mut(&number) else { continue };
            work.waits_for.retain(|waits| *waits != watcher);
            let (is_about, scheduled) = (is_about(work), work.stamps.scheduled);
            let metric = self.metric_of(&self.works[&number]);
            self.metrics.fail(metric, scheduled, now, "the connection was lost");
            if is_about {
                self.fail_ack(number, "the connection was lost", now);
                self.end(number, now);
            } else {
                self.look(number, now);
            }
        }
    }

    /// How many connections are gone.
    pub(super) fn lost_connections(&self) -> u64 {
        self.all.watchers.iter().filter(|watcher| watcher.is_lost).count() as u64
    }

    /// Whether there is no connection any more, and there was one.
    pub(super) fn is_deserted(&self) -> bool {
        !self.all.watchers.is_empty() && self.all.watchers.iter().all(|watcher| watcher.is_lost)
    }
}
