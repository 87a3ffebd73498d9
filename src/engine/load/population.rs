//! What a load is put on: calls with their participants, and connections with their subscriptions.
//!
//! It is made before anything is measured, over the same API and in the same way as by the steps of a scenario, so that it
//! is removed at the end in the same way, too.

use std::collections::VecDeque;
use std::time::Duration;

use super::super::client::CallsHeard;
use super::super::client_steps::ack_policy;
use super::super::core::{Core, Handle, Stop};
use super::super::events_client::AckPolicy;
use super::follow::Follows;
use crate::load::Metric;
use crate::protocol::events::Resource;
use crate::protocol::events::names::SUCCESS;
use crate::protocol::events::write::Subscription;
use crate::protocol::guid;
use crate::scenario::syntax::{Load, LoadAcks, Stimulus};
use crate::spec::{Version, elements};
use crate::time::Instant;
use crate::trace::Sink;

/// How long is waited before it is looked again whether parties are connected.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// How many calls can come and go at a time.
const SPACES: u32 = 64;

/// The elements that stimuli change, and a few that every client wants.
const ELEMENTS: [(Resource, &[&str]); 3] = [
    (Resource::Calls, &["name", "participants", "lockState", "recording"]),
    (Resource::CallInfo, &["name", "participants", "lockState", "recording"]),
    (Resource::CallRoster, &["name", "state", "audioMuted", "layout"]),
];

/// A call that goes on all the time.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) number: u128,
    pub(super) is_locked: bool,
    pub(super) is_recorded: bool,
    /// Whether it has ended, which the load did not ask for.
    pub(super) is_gone: bool,
    /// How many parties are under way that were sent into it.
    pub(super) is_busy: bool,
}

/// A participant that stays.
#[derive(Debug)]
pub(super) struct Party {
    pub(super) call: usize,
    pub(super) number: u128,
    /// Its call leg, over which it is changed.
    pub(super) leg: String,
    pub(super) is_muted: bool,
    pub(super) layout: usize,
    pub(super) is_busy: bool,
    /// Whether it left, which the load did not ask for.
    pub(super) is_gone: bool,
}

/// An events client with what it is subscribed to.
#[derive(Debug)]
pub(super) struct Watcher {
    pub(super) name: String,
    /// The whole set; index 1 is `calls`, 2 and 3 are `callInfo` and `callRoster` of the first call, and so on.
    pub(super) set: Vec<Subscription>,
    /// The index that it lacks at the moment.
    pub(super) lacks: Option<u64>,
    /// The index that it lacked before the request that is under way; it does again if that is refused.
    pub(super) lacked: Option<u64>,
    /// Whether a request for another set is under way, or about to be: what it is told meanwhile is open.
    pub(super) is_busy: bool,
    /// Whether its connection is gone.
    pub(super) is_lost: bool,
    /// How it follows the calls of others, if it does.
    pub(super) follows: Option<Follows>,
}

/// What a load is put on.
#[derive(Debug, Default)]
pub(super) struct Population {
    pub(super) calls: Vec<Call>,
    pub(super) parties: Vec<Party>,
    pub(super) watchers: Vec<Watcher>,
    /// coSpaces in which no call is at the moment.
    pub(super) spaces: VecDeque<String>,
}

/// The name of the client of that number, counted from 1.
pub(in super::super) fn client_name(number: u32) -> String {
    format!("c{number}")
}

/// The index of a subscription: of `calls`, or of something of the call at this place.
pub(super) const fn index_of(resource: Resource, place: usize) -> u64 {
    match resource {
        Resource::Calls => 1,
        Resource::CallInfo => 2 + 2 * place as u64,
        Resource::CallRoster => 3 + 2 * place as u64,
    }
}

/// The place of the call that a subscription of this index is about.
pub(super) fn place_of(index: u64) -> Option<usize> {
    usize::try_from(index.checked_sub(2)? / 2).ok()
}

impl Watcher {
    /// Whether it is told of something of the call at this place.
    pub(super) fn watches(&self, resource: Resource, place: usize) -> bool {
        let index = index_of(resource, place);
        let has = self.set.iter().any(|one| one.index == index);
        has && !self.is_busy && !self.is_lost && self.lacks != Some(index)
    }
}

impl Population {
    /// A participant or a call is there no longer. If it is one of those that were to stay, nothing is asked of it any more.
    pub(super) fn forget(&mut self, who: u128) {
        if let Some(party) = self.parties.iter_mut().find(|party| party.number == who) {
            party.is_gone = true;
        } else if let Some(place) = self.calls.iter().position(|call| call.number == who) {
            self.calls[place].is_gone = true;
            self.parties.iter_mut().filter(|party| party.call == place).for_each(|party| party.is_gone = true);
            self.watchers.iter_mut().for_each(|watcher| watcher.set.retain(|one| place_of(one.index) != Some(place)));
        }
    }

    /// How many participants and calls that were to stay are there no longer.
    pub(super) fn gone(&self) -> u64 {
        let parties = self.parties.iter().filter(|party| party.is_gone).count();
        (parties + self.calls.iter().filter(|call| call.is_gone).count()) as u64
    }
}

/// The timed steps of making a population.
#[derive(Debug, Default)]
pub(super) struct Setup {
    /// From the request for a token to the token.
    pub(super) tokens: Vec<Duration>,
    /// From the request to upgrade to the open connection.
    pub(super) upgrades: Vec<Duration>,
    /// From a request for subscriptions to its ack.
    pub(super) acks: Vec<Duration>,
    /// From a request for subscriptions until all are settled.
    pub(super) settled: Vec<Duration>,
}

impl Setup {
    /// What was timed, by metric.
    pub(super) fn timed(&self) -> [(Metric, &[Duration]); 4] {
        [
            (Metric::Token, &self.tokens),
            (Metric::Upgrade, &self.upgrades),
            (Metric::Ack, &self.acks),
            (Metric::Settle, &self.settled),
        ]
    }
}

impl<S: Sink + Send> Handle<S> {
    /// Makes what a load is put on.
    pub(super) async fn populate(&self, load: &Load) -> Result<(Population, Setup), Stop> {
        let mut all = Population::default();
        self.register_all().await?;
        for number in 1..=load.calls() {
            let space = self.make_space(&format!("load {number}")).await?;
            let id = self.create("/calls", &[("coSpace", &space), ("name", &self.object_called(number))]).await?;
            let number = guid::number(&id).ok_or_else(|| Stop::Unfinished(format!("the call `{id}` has no GUID")))?;
            all.calls.push(Call { id, number, is_locked: false, is_recorded: false, is_gone: false, is_busy: false });
        }
        self.add_parties(load, &mut all).await?;
        // Calls that come and go need coSpaces of their own; more of them than these at a time are not possible.
        if load.stimuli.weight(Stimulus::Call).weight > 0 {
            for number in 1..=SPACES {
                all.spaces.push_back(self.make_space(&format!("load, coming and going {number}")).await?);
            }
        }
        let mut setup = Setup::default();
        for number in 1..=load.connections() {
            let watcher = self.add_watcher(load, number, &all, &mut setup).await?;
            all.watchers.push(watcher);
        }
        // Their times count from when the work begins.
        for plan in &load.plans {
            self.make_plan(&plan.value)?;
        }
        Ok((all, setup))
    }

    fn object_called(&self, number: u32) -> String {
        self.with(|core| format!("{} load {number}", core.options.run_id))
    }

    /// Makes a coSpace.
    pub(super) async fn make_space(&self, name: &str) -> Result<String, Stop> {
        let name = self.with(|core| format!("{} {name}", core.options.run_id));
        self.create("/coSpaces", &[("name", &name)]).await
    }

    /// Sends all participants into their calls, then waits until each is connected.
    async fn add_parties(&self, load: &Load, all: &mut Population) -> Result<(), Stop> {
        let address = self.with(|core| core.options.addresses.of("answers").to_owned());
        let mut made = Vec::new();
        for (place, call) in all.calls.iter().enumerate() {
            for _ in 0..load.participants() {
                let path = format!("/calls/{}/participants", call.id);
                made.push((place, self.create(&path, &[("remoteParty", &address)]).await?));
            }
        }
        let begun = self.now();
        let deadline = self.deadline(None);
        for (call, id) in made {
            self.connected(&id, begun, deadline).await?;
            let legs = self.read(&format!("/participants/{id}/callLegs")).await?;
            let leg = legs.children.iter().find(|leg| leg.name == "callLeg").and_then(|leg| leg.get_attribute("id"));
            let leg = leg.ok_or_else(|| Stop::Unfinished(format!("the participant {id} has no call leg")))?.to_owned();
            let number =
                guid::number(&id).ok_or_else(|| Stop::Unfinished(format!("the participant `{id}` has no GUID")))?;
            all.parties.push(Party { call, number, leg, is_muted: false, layout: 0, is_busy: false, is_gone: false });
        }
        Ok(())
    }

    async fn connected(&self, id: &str, begun: Instant, deadline: Instant) -> Result<(), Stop> {
        loop {
            let state = self.participant_state(id).await?;
            match state.as_deref() {
                Some("connected") => return Ok(()),
                None => return Err(Stop::Unfinished("a party left before it was connected".to_owned())),
                Some(state) if self.now() >= deadline => {
                    return Err(self.missed(begun, &format!("a party to be connected; its state is `{state}`")));
                }
                Some(_) => self.pause(LOOK_PAUSE).await?,
            }
        }
    }

    /// Asks for subscriptions, all of which have to become active: a load that is told of less than it waits for says
    /// nothing of the server. How long the ack took, and until all were active.
    async fn subscribe_wholly(
        &self,
        name: &str,
        set: &[Subscription],
        within: Duration,
    ) -> Result<(Duration, Duration), Stop> {
        let begun = self.now();
        let id = self.with(|core| core.ask_for(name, set))?;
        let asked = format!("{name}'s request for {} subscriptions", set.len());
        let missed = || self.missed(begun, &format!("what becomes of {asked}"));
        let is_acked = |core: &mut Core<S>| core.clients.get(name)?.ear.acks.contains_key(&id).then_some(());
        let Some(()) = self.until(begun + within, is_acked).await? else { return Err(missed()) };
        let acked = self.now().since(begun);
        match self.until(begun + within, |core| said_of(core, name, id)).await? {
            Some(Ok(())) => Ok((acked, self.now().since(begun))),
            Some(Err(why)) => Err(Stop::Unfinished(format!("{asked}: {why}"))),
            None => Err(missed()),
        }
    }

    /// Opens a connection and subscribes on it.
    async fn add_watcher(
        &self,
        load: &Load,
        number: u32,
        all: &Population,
        setup: &mut Setup,
    ) -> Result<Watcher, Stop> {
        let name = client_name(number);
        let begun = self.now();
        let token = self.fresh_token().await?;
        if let Some(acks) = &load.acks {
            self.with(|core| core.client(&name).map(|client| client.policy = policy(acks)))?;
        }
        setup.tokens.push(self.now().since(begun));
        let begun = self.now();
        self.open_with(&name, &token).await?;
        setup.upgrades.push(self.now().since(begun));
        if load.follow {
            self.with(|core| core.client(&name).map(|client| client.ear.calls = Some(CallsHeard::default())))?;
        }
        let set = self.with(|core| subscriptions(load, all, core.options.version));
        if !set.is_empty() {
            let (acked, settled) = self.subscribe_wholly(&name, &set, load.within()).await?;
            setup.acks.push(acked);
            setup.settled.push(settled);
        }
        self.with(|core| {
            let client = core.client(&name)?;
            client.ear.is_brief = true;
            client.ear.forget();
            client.watcher = Some(number - 1);
            Ok(())
        })?;
        let follows = load.follow.then(|| Follows::new(load.subscriptions()));
        Ok(Watcher { name, set, lacks: None, lacked: None, is_busy: false, is_lost: false, follows })
    }
}

/// What a server said to a request for a set of subscriptions, once it is known.
fn said_of<S: Sink>(core: &Core<S>, name: &str, id: u64) -> Option<Result<(), String>> {
    let ear = &core.clients.get(name)?.ear;
    match ear.acks.get(&id)?.as_str() {
        SUCCESS if !ear.is_settled() => None,
        SUCCESS if ear.is_active() => Some(Ok(())),
        SUCCESS => Some(Err("not every subscription became active".to_owned())),
        status => Some(Err(format!("it was refused with `{status}`"))),
    }
}

/// How the connections of a load acknowledge.
fn policy(acks: &LoadAcks) -> AckPolicy {
    ack_policy(acks.mode, acks.by, acks.times, acks.status.as_deref())
}

/// One subscription to `calls`, the others to `callInfo` and `callRoster` of the calls in turn.
fn subscriptions(load: &Load, all: &Population, version: Version) -> Vec<Subscription> {
    let of_calls = (0..all.calls.len()).flat_map(|place| [(Resource::CallInfo, place), (Resource::CallRoster, place)]);
    let wanted = std::iter::once((Resource::Calls, 0)).chain(of_calls).take(load.subscriptions() as usize);
    let subscription = |(resource, place): (Resource, usize)| {
        let call = all.calls.get(place).filter(|_| resource != Resource::Calls).map(|call| call.id.clone());
        subscription(index_of(resource, place), resource, call, version)
    };
    wanted.map(subscription).collect()
}

/// A subscription to the elements that stimuli change.
pub(super) fn subscription(index: u64, resource: Resource, call: Option<String>, version: Version) -> Subscription {
    let known: Vec<&str> = elements::names(resource, version).collect();
    let of_interest = ELEMENTS.iter().filter(|(of, _)| *of == resource).flat_map(|(_, names)| *names);
    let elements = of_interest.filter(|name| known.contains(name)).map(|name| (*name).to_owned()).collect();
    Subscription { index, resource, call, elements: Some(elements) }
}
