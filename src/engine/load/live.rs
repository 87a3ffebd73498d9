//! A load while it runs: what has begun and not ended, and what it waits for.
//!
//! A piece of work begins when the schedule says so, sends a request, and ends when the request is answered and every
//! connection that watches was told of the effect, or when its time is up. Each connection's event is a value of its own.
//! Nothing is done per message but a lookup, and that only while something is waited for.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::RngExt as _;

use super::effects::{self, Effect, Goal};
use super::population::Population;
use crate::load::{Metric, Metrics, Schedule, Stamps, Threshold};
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::{Ack, Message};
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
    /// What its effect is kept under.
    pub(super) key: Option<(Effect, u128)>,
    pub(super) deadline: Instant,
    /// Whether it has come about, and only stays until it is ended.
    pub(super) stays: bool,
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
    /// Exchanges that belong to no piece of work, with when they were sent.
    extra: HashMap<ExchangeId, Stamps>,
    /// What has to be asked of the server.
    pub(super) orders: VecDeque<Order>,
    /// Requests for subscriptions that wait until nothing waits for their watcher.
    pub(super) held: Vec<u64>,
    /// Messages that were received.
    pub(super) messages: u64,
    pub(super) thresholds: Vec<Threshold>,
    /// When thresholds that may end the load are looked at next.
    looks: Option<Instant>,
    /// Whether a threshold that is missed has ended it.
    pub(super) is_aborted: bool,
}

/// What has to be asked of the server about a piece of work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The guest or the call has stayed long enough.
    End(u64),
    /// The call is there: its participants are to come.
    Fill(u64),
}

impl Live {
    /// A load that is about to run.
    pub(super) fn new(load: &Load, schedule: Schedule, metrics: Metrics, all: Population, random: ChaCha8Rng) -> Self {
        let (mut thresholds, metrics_start) = (load.thresholds(), metrics.start());
        // What is relative to an earlier run, or about records, is judged when all is known.
        thresholds.retain(|threshold| !threshold.condition.is_relative() && !threshold.metric.is_of_records());
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
            looks: thresholds.iter().any(|threshold| threshold.abort.is_some()).then(|| metrics_start + LOOKS),
            thresholds,
            is_aborted: false,
        }
    }

    /// Looks, once in a while, whether a threshold ends the load.
    pub(super) fn look_at_thresholds(&mut self, now: Instant) {
        if self.looks.is_none_or(|at| at > now) {
            return;
        }
        self.looks = Some(now + LOOKS);
        let measured = self.metrics.measured(now);
        self.is_aborted = self.thresholds.iter().any(|threshold| threshold.aborts(measured, &self.metrics, None));
    }

    /// What happens next, by weight.
    pub(super) fn draw(&mut self) -> Option<Stimulus> {
        let total = self.stimuli.total();
        (total > 0).then(|| self.random.random_range(0..total)).and_then(|drawn| self.stimuli.pick(drawn))
    }

    /// When something is to be done at the latest.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let alarm = self.alarms.peek().map(|Reverse((at, _))| *at);
        self.schedule.next_due(now).into_iter().chain(alarm).chain(self.looks).min()
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

    /// Takes note of an exchange that is only timed.
    pub(super) fn accompany(&mut self, exchange: ExchangeId, stamps: Stamps) {
        self.extra.insert(exchange, stamps);
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
                Alarm::Stayed(number) => self.orders.push_back(Order::End(number)),
            }
        }
    }

    /// The time of a piece of work is up.
    fn give_up(&mut self, number: u64, now: Instant) {
        let Some(work) = self.works.get(&number) else { return };
        let cause = match (&work.subject, work.exchange) {
            (Subject::Watcher { .. }, _) => "subscriptions were not settled in time",
            (_, Some(_)) => "the API did not answer in time",
            _ => "no event in time",
        };
        let (metric, scheduled) = (self.metric_of(work), work.stamps.scheduled);
        for _ in 0..work.waits_for.len().max(1) {
            self.metrics.fail(metric, scheduled, now, cause);
        }
        // Who came all the same is sent away at the end, with everything else that was made.
        self.end(number, now);
    }

    const fn metric_of(&self, work: &Work) -> Metric {
        match work.subject {
            Subject::Watcher { .. } => Metric::Settle,
            Subject::Own { .. } => effects::metric(work.effect, true),
            _ => effects::metric(work.effect, false),
        }
    }

    /// A piece of work is over: its subject and its virtual user are free.
    pub(super) fn end(&mut self, number: u64, now: Instant) {
        let Some(work) = self.works.remove(&number) else { return };
        self.forget_waits(&work);
        match work.subject {
            Subject::Party(place) => self.all.parties[place].is_busy = false,
            Subject::Call(place) => self.all.calls[place].is_busy = false,
            Subject::Own { space, .. } => self.all.spaces.push(space),
            Subject::Watcher { place, .. } => self.all.watchers[place].is_busy = false,
            Subject::Guest { .. } => {}
        }
        self.schedule.finished(now);
    }

    fn forget_waits(&mut self, work: &Work) {
        if let Some(exchange) = work.exchange {
            self.by_exchange.remove(&exchange);
        }
        match work.key {
            Some(key) => drop(self.awaited.remove(&key)),
            None if work.effect == Effect::Come && !work.stays => self.unnamed = self.unnamed.saturating_sub(1),
            None => {}
        }
        if self.unnamed == 0 {
            self.unclaimed.clear();
        }
    }

    /// An exchange has ended: with success, and the id of what was made if something was, or for this cause without.
    /// Whether it belongs to the load.
    pub(super) fn answered(&mut self, exchange: ExchangeId, made: Result<Option<&str>, &str>, now: Instant) -> bool {
        if let Some(stamps) = self.extra.remove(&exchange) {
            self.time_exchange(stamps, made.err(), now);
            return true;
        }
        let Some(number) = self.by_exchange.remove(&exchange) else { return false };
        let Some(work) = self.works.get(&number) else { return true };
        let (stamps, metric) = (work.stamps, self.metric_of(work));
        self.time_exchange(stamps, made.err(), now);
        match made {
            Err(cause) => {
                self.metrics.fail(metric, stamps.scheduled, now, cause);
                self.end(number, now);
            }
            Ok(made) => {
                self.named(number, made);
                self.look(number, now);
            }
        }
        true
    }

    /// A request was answered; where it made something, this is its id.
    fn named(&mut self, number: u64, made: Option<&str>) {
        let Some(work) = self.works.get_mut(&number) else { return };
        work.exchange = None;
        let (None, Effect::Come, Some(made)) = (work.key, work.effect, made) else { return };
        if let Subject::Guest { id, .. } | Subject::Own { id, .. } = &mut work.subject {
            *id = Some(made.to_owned());
        }
        if let Some(who) = guid::number(made) {
            work.key = Some((Effect::Come, who));
            self.unnamed = self.unnamed.saturating_sub(1);
            self.awaited.insert((Effect::Come, who), number);
            self.claim(number, who);
        }
    }

    fn time_exchange(&mut self, stamps: Stamps, failed: Option<&str>, now: Instant) {
        match failed {
            None => self.metrics.record(Metric::Api, stamps, now),
            Some(cause) => self.metrics.fail(Metric::Api, stamps.scheduled, now, cause),
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
                self.metrics.record(metric, work.stamps, *at);
            }
            !is_it
        });
        if self.unnamed == 0 {
            self.unclaimed.clear();
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

    /// A watcher heard a message.
    pub(in super::super) fn hear(&mut self, watcher: u32, message: Message<'_>, now: Instant) {
        self.messages += 1;
        if self.awaited.is_empty() && self.unnamed == 0 {
            return;
        }
        let Self { all, awaited, works, metrics, unnamed, unclaimed, .. } = self;
        let mut through = Vec::new();
        effects::of_message(message, all, |effect, subject, reaches| {
            let Some(number) = awaited.get(&(effect, subject)) else {
                if effect == Effect::Come && *unnamed > 0 && unclaimed.len() < UNCLAIMED {
                    unclaimed.push_back((subject, watcher, now));
                }
                return;
            };
            let Some(work) = works.get_mut(number) else { return };
            let Some(place) = work.waits_for.iter().position(|waits| *waits == watcher) else { return };
            if !reaches(work.goal) {
                return;
            }
            work.waits_for.swap_remove(place);
            let is_own = matches!(work.subject, Subject::Own { .. });
            metrics.record(effects::metric(effect, is_own), work.stamps, now);
            if work.waits_for.is_empty() && work.exchange.is_none() {
                through.push(*number);
            }
        });
        through.into_iter().for_each(|number| self.look(number, now));
    }

    /// A watcher heard an ack.
    pub(in super::super) fn hear_ack(&mut self, watcher: u32, ack: Ack<'_>, now: Instant) {
        let Some(id) = ack.message_id() else { return };
        let is_it = |work: &Work| matches!(work.subject, Subject::Watcher { place, request, .. } if place == watcher as usize && request == Some(id));
        let Some((number, work)) = self.works.iter_mut().find(|(_, work)| is_it(work)) else { return };
        let (number, stamps) = (*number, work.stamps);
        if let Subject::Watcher { is_acked, .. } = &mut work.subject
            && !std::mem::replace(is_acked, true)
        {
            self.metrics.record(Metric::Ack, stamps, now);
        }
        if ack.status() != Some(SUCCESS) {
            let watcher = &mut self.all.watchers[watcher as usize];
            watcher.lacks = watcher.lacked;
            self.metrics.fail(Metric::Settle, stamps.scheduled, now, "the request for subscriptions was refused");
            self.end(number, now);
        }
    }

    /// The subscriptions of a watcher are settled, all of them active or not: a request for others is through.
    pub(in super::super) fn settled(&mut self, watcher: u32, is_active: bool, now: Instant) {
        let of_it = |work: &Work| matches!(work.subject, Subject::Watcher { place, is_acked: true, .. } if place == watcher as usize);
        let Some(number) = self.works.iter().find(|(_, work)| of_it(work)).map(|(number, _)| *number) else { return };
        let stamps = self.works[&number].stamps;
        if is_active {
            self.metrics.record(Metric::Settle, stamps, now);
        } else {
            self.metrics.fail(Metric::Settle, stamps.scheduled, now, "not every subscription became active");
        }
        self.end(number, now);
    }

    /// The connection of a watcher is gone: what waits for it waits in vain.
    pub(in super::super) fn lost(&mut self, watcher: u32, now: Instant) {
        let place = watcher as usize;
        let Some(one) = self.all.watchers.get_mut(place) else { return };
        one.is_lost = true;
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

    /// A request for subscriptions that can be sent now: nothing waits any more for what its watcher was to be told.
    pub(super) fn next_held(&mut self) -> Option<(u64, usize)> {
        self.held.retain(|number| self.works.contains_key(number));
        let place_of = |number: &u64| match self.works.get(number)?.subject {
            Subject::Watcher { place, .. } => Some(place),
            _ => None,
        };
        let is_awaited =
            |place: usize| self.works.values().any(|work| work.waits_for.iter().any(|waits| *waits as usize == place));
        let at = self.held.iter().position(|number| place_of(number).is_some_and(|place| !is_awaited(place)))?;
        let place = place_of(&self.held[at])?;
        Some((self.held.swap_remove(at), place))
    }

    /// A request for subscriptions was sent that leaves `lacks` out, or could not be.
    pub(super) fn asked(&mut self, number: u64, sent: Option<u64>, lacks: Option<u64>, now: Instant) {
        let Some(work) = self.works.get_mut(&number) else { return };
        let Subject::Watcher { place, request, .. } = &mut work.subject else { return };
        // What came first was not the server's to hurry.
        (work.stamps, work.deadline, *request) = (Stamps::at(now), now + self.within, sent);
        let watcher = &mut self.all.watchers[*place];
        if sent.is_some() {
            watcher.lacked = std::mem::replace(&mut watcher.lacks, lacks);
            self.alarms.push(Reverse((work.deadline, Alarm::Overdue(number))));
        } else {
            self.metrics.fail(Metric::Settle, now, now, "there was no open connection");
            self.end(number, now);
        }
    }

    /// Whether a watcher's request for subscriptions is under way.
    pub(in super::super) fn awaits_states(&self, watcher: u32) -> bool {
        self.all.watchers.get(watcher as usize).is_some_and(|watcher| watcher.is_busy)
    }
}
