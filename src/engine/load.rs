//! A load, or the part of it that is put on one server: what it is put on is made, then work begins as its schedule says,
//! then it is seen what came of it. When, at which rate, and what all of it means, the parts agree on in
//! [`crate::load::together`].
//!
//! `population` is what is there before anything is measured, `live` what has begun and not ended, `effects` how the event
//! looks that a stimulus has to bring about, `follow` what a load that only listens subscribes to. This file carries the
//! phases out and sends what stimuli ask for.

mod effects;
mod follow;
mod live;
mod population;
mod pulse;

use std::time::Duration;

use rand::RngExt as _;

use self::effects::{Effect, Goal, LAYOUTS};
pub(super) use self::live::Live;
use self::live::{Left, Order, Subject, Then, Work};
pub(super) use self::population::client_name;
use self::population::{Population, Setup};
use self::pulse::{Pulse, show_setup};
use super::api_client::{EXCHANGE_GRACE, Fruitless, request};
use super::client::Client;
use super::core::{Core, Handle, Stop};
use super::outcome::StepMark;
use crate::load::search::Probe;
use crate::load::together::{ASK_AGAIN, Next};
use crate::load::{Arrival, Executor, Metrics, Part, Phase, Schedule, Series, Stamps, Unserved};
use crate::protocol::events::Resource;
use crate::protocol::http::{Method, Request};
use crate::scenario::syntax::{Load, Stimulus};
use crate::time::Instant;
use crate::trace::{Event, ExchangeId, Sink};

/// How long a virtual user waits for which nothing was free.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// How many arrivals are taken before it is looked what else has happened: a schedule may ask for more than can be done.
const ARRIVALS_AT_ONCE: usize = 1000;

/// How many pieces of work may be under way at a server; arrivals beyond begin nothing.
const UNDER_WAY: usize = 10_000;

/// How many requests to a server may have no answer; arrivals beyond begin nothing. Each takes a connection, and a server
/// that is flooded with those tells nothing of how much it bears.
const UNANSWERED: usize = 1000;

/// Who is told of a change: of these resources, of the call at this place, or of all calls.
type Told<'a> = (&'a [Resource], usize);

impl<S: Sink + Send> Handle<S> {
    /// Carries a load out, or the part of it that is this engine's.
    pub(super) async fn load(&self, load: &Load) -> Result<(), Stop> {
        let Some(part) = self.with(|core| core.part.clone()) else { return Ok(()) };
        let done = self.part(load, &part).await;
        match &done {
            Ok(()) => {}
            Err(Stop::Interrupted) => part.leave("interrupted"),
            Err(Stop::Unfinished(why)) => part.leave(why),
        }
        done
    }

    /// Makes what the load is put on, then carries out stretch after stretch until there is none any more.
    async fn part(&self, load: &Load, part: &Part) -> Result<(), Stop> {
        let of = if part.is_alone() { String::new() } else { format!("part {} of {}: ", part.index() + 1, part.of()) };
        self.mark(format!(
            "load: {of}{} connections, {} calls with {} participants each",
            load.connections(),
            load.calls(),
            load.participants()
        ));
        let (mut population, setup) = self.populate(load).await?;
        self.with(|core| show_setup(&core.options.watch, &setup));
        while let Some(next) = part.next() {
            let executor = match (next, &load.capacity) {
                (Next::Rate(probe), Some(capacity)) => capacity.executor(probe.rate),
                _ => load.executor(),
            };
            let (stretch, begins) = self.begin_together(load, part, &executor).await?;
            let (phase, ended);
            let probe = if let Next::Rate(probe) = next { Some(probe) } else { None };
            let stretch_of = (executor, probe);
            (phase, population, ended) = self.phase(load, stretch_of, population, (&setup, part, begins)).await;
            let connections = u32::try_from(population.watchers.len()).unwrap_or(u32::MAX);
            part.done(phase, connections, ended.is_ok());
            ended?;
            // Who is through first stays: what it would do next, it would do beside the work of the others.
            while !part.is_over(stretch) {
                self.pause(ASK_AGAIN).await?;
            }
        }
        Ok(())
    }

    /// Waits until all parts can begin a stretch. Its number, and when it begins.
    async fn begin_together(&self, load: &Load, part: &Part, executor: &Executor) -> Result<(u32, Instant), Stop> {
        if !load.stimuli.is_empty() {
            // What was done before must not show in what follows; a server that never rests is none to wait for.
            let _ = self.rest(None).await;
        }
        self.mark(format!("load: {}", in_words(executor)));
        let stretch = part.ready(self.now());
        loop {
            match part.begins() {
                Ok(Some(begins)) => return Ok((stretch, begins)),
                Ok(None) => self.pause(ASK_AGAIN).await?,
                Err(why) => return Err(Stop::Unfinished(why)),
            }
        }
    }

    /// Carries one stretch of load out. What came of it, what it was put on, and whether it came to its end.
    async fn phase(
        &self,
        load: &Load,
        (executor, probe): (Executor, Option<Probe>),
        population: Population,
        (setup, part, begins): (&Setup, &Part, Instant),
    ) -> (Phase, Population, Result<(), Stop>) {
        let (max_lag, _) = load.max_lag();
        self.with(|core| {
            let schedule = Schedule::part(&executor, begins, max_lag, part.index(), part.of());
            let mut metrics = Metrics::with_warm_up(begins, load.warm_up());
            note_setup(&mut metrics, setup);
            core.trace.measured_from(metrics.start());
            let random = rand::SeedableRng::from_seed(core.random.random());
            let pulse = Pulse::new(&core.options.watch, &executor, probe, begins, core.trace.found());
            let mut live = Live::new(load, schedule, metrics, population, (random, part.clone(), pulse));
            for watcher in &mut live.all.watchers {
                watcher.is_lost |= !core.clients.get(&watcher.name).is_some_and(Client::is_open);
            }
            core.live = Some(Box::new(live));
        });
        // What was begun last may take its time, stay, and take its time to go; the second is for a loop that wakes late.
        let lasts = [Stimulus::JoinAndLeave, Stimulus::Call].map(|stimulus| load.stimuli.weight(stimulus).lasts);
        let lasts = lasts.into_iter().flatten().map(|time| time.0).max().unwrap_or(Duration::from_secs(1));
        let latest = begins + executor.duration() + load.within() * 3 + lasts + Duration::from_secs(1);
        let ended = self.until(latest, Core::pump).await.map(drop);
        let (unfinished, ended_at) = self.with(|core| {
            core.is_pumping = false;
            (core.live.as_mut().map_or(0, |live| live.wind_up(core.now)), core.now)
        });
        if ended.is_ok() {
            // Each exchange has a deadline of its own; who came with the last of them is sent away in one more.
            let longest = self.with(|core| core.options.reaction) + EXCHANGE_GRACE + Duration::from_secs(1);
            let _ = self.until(ended_at + longest * 2, Core::drain).await;
        }
        let live = self.with(|core| {
            let mut live = core.live.take();
            live.iter_mut().for_each(|live| live.turn(core.now, core.trace.found()));
            core.api.strays.extend(live.iter().flat_map(|live| live.unanswered()));
            live
        });
        let live = live.expect("only here it is taken away");
        let (lost_connections, gone) = (live.lost_connections(), live.all.gone());
        let Live { schedule, metrics, messages, sets, records, all, .. } = *live;
        let phase = Phase {
            executor,
            begun_at: begins,
            ended_at: ended_at.min(schedule.end()),
            // Whether that is good enough, what became of thresholds, and which ended it, all parts say together.
            is_paced: true,
            pace: *schedule.pace(),
            planned: schedule.planned(),
            unfinished,
            messages,
            sets,
            records,
            lost_connections,
            gone,
            thresholds: Vec::new(),
            metrics,
            ended_by: Vec::new(),
            is_whole: ended.is_ok(),
            shares: Vec::new(),
        };
        (phase, all, ended)
    }

    /// Marks what is done next, as steps are.
    fn mark(&self, text: String) {
        self.with(|core| {
            let number = u32::try_from(core.steps.len() + 1).unwrap_or(u32::MAX);
            let seq = core.observe(Event::StepStarted { number, text: &text });
            core.steps.push(StepMark { number, text, seq });
        });
    }
}

/// What making the population took.
fn note_setup(metrics: &mut Metrics, setup: &Setup) {
    for (metric, times) in setup.timed() {
        let mut series = Series::default();
        times.iter().for_each(|time| series.record(*time));
        metrics.add(metric, &series);
    }
}

/// An executor in words.
fn in_words(executor: &Executor) -> String {
    let seconds = executor.duration().as_secs_f64();
    match executor {
        Executor::ConstantArrivalRate { rate, time_unit, .. } => {
            format!("{} stimuli every {} s for {seconds} s", rate.value(), time_unit.as_secs_f64())
        }
        Executor::RampingArrivalRate { stages, .. } => format!("{} stages in {seconds} s", stages.len()),
        Executor::ConstantVus { vus, .. } => format!("{vus} virtual users for {seconds} s"),
        Executor::SharedIterations { vus, iterations, .. } => {
            format!("{iterations} iterations by {vus} virtual users, in at most {seconds} s")
        }
        Executor::Listen { .. } => format!("listening for {seconds} s"),
    }
}

impl<S: Sink> Core<S> {
    /// Begins what is due and sends what is to be sent. Something once the load is over.
    fn pump(&mut self) -> Option<()> {
        let mut live = self.live.take()?;
        let now = self.now;
        live.handle_timeout(now);
        for _ in 0..ARRIVALS_AT_ONCE {
            let Some(arrival) = live.schedule.take(now) else { break };
            self.begin_work(&mut live, arrival);
        }
        while let Some(order) = live.orders.pop_front() {
            match order {
                Order::End(number, at) => self.send_away(&mut live, number, at),
                Order::Fill(number) => self.fill(&mut live, number),
                Order::Remove(left) => self.remove(&mut live, left, Some(Stamps::at(now))),
            }
        }
        while let Some((number, place)) = live.next_held() {
            self.send_held(&mut live, number, place);
        }
        self.follow(&mut live);
        live.look_at_thresholds(now);
        let is_over = live.schedule.is_over(now) || live.is_aborted || live.is_deserted();
        if let Some(at) = live.next_due(now) {
            self.wake_at(at.max(now));
        }
        live.is_stirred = false;
        self.live = Some(live);
        self.is_pumping = !is_over;
        is_over.then_some(())
    }

    /// Sends away who came and did not leave, which is not timed any more. Something once every exchange has its answer.
    fn drain(&mut self) -> Option<()> {
        let mut live = self.live.take()?;
        while let Some(order) = live.orders.pop_front() {
            if let Order::Remove(left) = order {
                self.remove(&mut live, left, None);
            }
        }
        let is_drained = live.is_drained();
        self.live = Some(live);
        is_drained.then_some(())
    }

    /// Sends somebody away, or ends a call, that no piece of work is about any more.
    fn remove(&mut self, live: &mut Live, left: Left, stamps: Option<Stamps>) {
        let (path, then) = match left {
            Left::Guest(id) => (format!("/participants/{id}"), Then::Nothing),
            Left::Own(id, space) => (format!("/calls/{id}"), Then::Free(space)),
        };
        let exchange = self.send_request(request(Method::Delete, &path, &[]));
        live.accompany(exchange, stamps, then);
    }

    /// Begins a piece of work.
    fn begin_work(&mut self, live: &mut Live, arrival: Arrival) {
        let Arrival { number, scheduled } = arrival;
        let stamps = Stamps { scheduled, sent: self.now };
        let Some(stimulus) = live.draw() else { return live.schedule.finished(self.now) };
        let is_crowded = live.works.len() >= UNDER_WAY || live.unanswered_count() >= UNANSWERED;
        let begun = match stimulus {
            _ if is_crowded => None,
            Stimulus::Mute | Stimulus::Layout => self.change_party(live, stimulus),
            Stimulus::Lock | Stimulus::Record => self.change_one_call(live, stimulus),
            Stimulus::JoinAndLeave => self.invite(live),
            Stimulus::Call => self.begin_call(live),
            Stimulus::Subscribe => self.subscribe_otherwise(live),
        };
        match begun {
            Some((subject, effect, goal, exchange, key, waits_for)) => {
                // Before a request for subscriptions is sent, what others wait for may take its time.
                let within = if stimulus == Stimulus::Subscribe { live.within * 2 } else { live.within };
                let deadline = self.now + within;
                let (is_told, stays) = (false, false);
                live.begin(
                    number,
                    Work { subject, stamps, effect, goal, exchange, waits_for, is_told, key, deadline, stays },
                );
            }
            None => {
                let why = if is_crowded { Unserved::Crowded } else { Unserved::NothingFree };
                live.schedule.put_back(why, self.now, self.now + LOOK_AGAIN);
            }
        }
    }

    /// One participant that is free is muted, or not any longer, or gets another layout.
    fn change_party(&mut self, live: &mut Live, stimulus: Stimulus) -> Option<Begun> {
        let place = pick(live, |live| live.all.parties.iter().map(|party| party.is_busy || party.is_gone).collect())?;
        let party = &mut live.all.parties[place];
        party.is_busy = true;
        let (effect, goal, field, value) = if stimulus == Stimulus::Mute {
            let value = if party.is_muted { "false" } else { "true" };
            (Effect::Mute, Goal::Flag(!party.is_muted), "rxAudioMute", value)
        } else {
            let layout = (party.layout + 1) % LAYOUTS.len();
            (Effect::Layout, Goal::Layout(layout), "chosenLayout", LAYOUTS[layout])
        };
        let put = request(Method::Put, &format!("/callLegs/{}", party.leg), &[(field, value)]);
        let (number, call) = (party.number, party.call);
        let exchange = self.send_request(put);
        let watchers = watchers(live, (&[Resource::CallRoster], call));
        Some((Subject::Party(place), effect, goal, Some(exchange), Some((effect, number)), watchers))
    }

    /// One call that is free is locked or recorded, or not any longer.
    fn change_one_call(&mut self, live: &mut Live, stimulus: Stimulus) -> Option<Begun> {
        let place = pick(live, |live| live.all.calls.iter().map(|call| call.is_busy || call.is_gone).collect())?;
        let call = &mut live.all.calls[place];
        call.is_busy = true;
        let (effect, was, field) = if stimulus == Stimulus::Lock {
            (Effect::Lock, call.is_locked, "locked")
        } else {
            (Effect::Record, call.is_recorded, "recording")
        };
        let goal = Goal::Flag(!was);
        let value = if was { "false" } else { "true" };
        let put = request(Method::Put, &format!("/calls/{}", call.id), &[(field, value)]);
        let key = (effect, call.number);
        let exchange = self.send_request(put);
        let watchers = watchers(live, (&[Resource::Calls, Resource::CallInfo], place));
        Some((Subject::Call(place), effect, goal, Some(exchange), Some(key), watchers))
    }

    /// A party joins a call.
    fn invite(&mut self, live: &mut Live) -> Option<Begun> {
        let call = pick(live, |live| live.all.calls.iter().map(|call| call.is_gone).collect())?;
        let exchange = self.send_request(self.invitation(&live.all.calls[call].id));
        let watchers = watchers(live, (&[Resource::CallRoster], call));
        Some((Subject::Guest { call, id: None }, Effect::Come, Goal::Any, Some(exchange), None, watchers))
    }

    fn invitation(&self, call: &str) -> Request {
        let address = self.options.addresses.of("answers");
        request(Method::Post, &format!("/calls/{call}/participants"), &[("remoteParty", address)])
    }

    /// A call begins in a coSpace that is free.
    fn begin_call(&mut self, live: &mut Live) -> Option<Begun> {
        let space = live.all.spaces.pop_front()?;
        let name = format!("{} load", self.options.run_id);
        let exchange = self.send_request(request(Method::Post, "/calls", &[("coSpace", &space), ("name", &name)]));
        let watchers = watchers(live, (&[Resource::Calls], 0));
        Some((Subject::Own { space, id: None }, Effect::Come, Goal::Any, Some(exchange), None, watchers))
    }

    /// The participants of a call that has begun come.
    fn fill(&mut self, live: &mut Live, number: u64) {
        let Some(Work { subject: Subject::Own { id: Some(id), .. }, .. }) = live.works.get(&number) else { return };
        let invitation = self.invitation(id);
        for _ in 0..live.participants {
            let exchange = self.send_request(invitation.clone());
            live.accompany(exchange, Some(Stamps::at(self.now)), Then::Nothing);
        }
    }

    /// Somebody who came, or a call, has stayed long enough.
    fn send_away(&mut self, live: &mut Live, number: u64, at: Instant) {
        let now = self.now;
        let Some(mut work) = live.works.remove(&number) else { return };
        let (path, who, told): (String, &str, Told<'_>) = match &work.subject {
            Subject::Guest { call, id: Some(id) } => {
                (format!("/participants/{id}"), id, (&[Resource::CallRoster], *call))
            }
            Subject::Own { id: Some(id), .. } => (format!("/calls/{id}"), id, (&[Resource::Calls], 0)),
            _ => return live.schedule.finished(now),
        };
        work.key = crate::protocol::guid::number(who).map(|who| (Effect::Gone, who));
        work.waits_for = watchers(live, told);
        work.effect = Effect::Gone;
        (work.stays, work.is_told) = (false, false);
        work.exchange = Some(self.send_request(request(Method::Delete, &path, &[])));
        work.stamps = Stamps { scheduled: at, sent: now };
        live.metrics.sent(work.stamps);
        work.deadline = now + live.within;
        live.enter(number, work);
    }

    /// A connection that is free asks for its whole set, or for all but one of it.
    fn subscribe_otherwise(&mut self, live: &mut Live) -> Option<Begun> {
        let place = pick(live, |live| {
            let watchers = live.all.watchers.iter();
            watchers.map(|watcher| watcher.is_busy || watcher.is_lost || watcher.set.is_empty()).collect()
        })?;
        live.all.watchers[place].is_busy = true;
        let subject = Subject::Watcher { place, request: None, is_acked: false };
        Some((subject, Effect::Come, Goal::Any, None, Some((Effect::Come, place as u128)), Vec::new()))
    }

    /// Sends a request for subscriptions that was held back for what was still to be told.
    fn send_held(&mut self, live: &mut Live, number: u64, place: usize) {
        let now = self.now;
        let watcher = &live.all.watchers[place];
        let lacks = match watcher.lacks {
            Some(_) => None,
            None => Some(watcher.set[live.random.random_range(0..watcher.set.len())].index),
        };
        let set: Vec<_> = watcher.set.iter().filter(|one| Some(one.index) != lacks).cloned().collect();
        let sent = self.ask_for(&watcher.name, &set);
        live.asked(number, sent.ok(), lacks, now);
    }

    /// An answer came, or none will. Whether it belongs to the load.
    pub(super) fn tell_load(&mut self, exchange: ExchangeId, made: Result<Option<&str>, Fruitless>) -> bool {
        let now = self.now;
        let is_stray = self.api.strays.remove(&exchange);
        is_stray || self.live.as_mut().is_some_and(|live| live.answered(exchange, made, now))
    }
}

/// What a stimulus has begun: its subject, what it has to bring about, and who is told of it.
type Begun = (Subject, Effect, Goal, Option<ExchangeId>, Option<(Effect, u128)>, Vec<u32>);

/// The place of one that is not busy, drawn evenly.
fn pick(live: &mut Live, busy: impl Fn(&Live) -> Vec<bool>) -> Option<usize> {
    let busy = busy(live);
    let free = busy.iter().filter(|busy| !**busy).count();
    let drawn = (free > 0).then(|| live.random.random_range(0..free))?;
    busy.iter().enumerate().filter(|(_, busy)| !**busy).nth(drawn).map(|(place, _)| place)
}

/// The watchers that are told of something.
fn watchers(live: &Live, (resources, place): Told<'_>) -> Vec<u32> {
    let told = live.all.watchers.iter().enumerate();
    let told = told.filter(|(_, watcher)| resources.iter().any(|resource| watcher.watches(*resource, place)));
    told.filter_map(|(number, _)| u32::try_from(number).ok()).collect()
}
