//! Which record is made when something happens in the world (wire-facts 4.5).
//!
//! The world keeps a journal; after every input it becomes records here, in its order. What each record said last about
//! a leg is remembered, so that an update is made exactly where it has something to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use super::leg::Service;
use super::record::Draft;
use super::services::Running;
use super::shape::{self, News, Spans};
use crate::emulator::core::Core;
use crate::emulator::mutant::seen;
use crate::emulator::timers::Due;
use crate::emulator::values::CallInStart;
use crate::emulator::world::{Call, Happening, Participant, Signaling};
use crate::protocol::api::xml::Element;
use crate::protocol::cdr::RecordType;
use crate::time::Instant;

/// What was recorded of a leg that has not ended.
#[derive(Debug)]
struct LegAccount {
    started: Instant,
    connected: Option<Instant>,
    told: News,
    /// The call in whose counts it stands.
    counted_in: Option<String>,
}

/// What was recorded of a call that has not ended.
#[derive(Debug)]
pub(super) struct CallAccount {
    started: Instant,
    active: BTreeSet<String>,
    completed: u64,
    most_active: u64,
    endpoint_recorded: bool,
    pub(super) recording: Option<Running>,
    pub(super) streaming: Option<Running>,
}

/// What was recorded of all that goes on.
#[derive(Debug, Default)]
pub(in crate::emulator) struct Ledger {
    legs: BTreeMap<String, LegAccount>,
    pub(super) calls: BTreeMap<String, CallAccount>,
}

impl Core {
    /// Makes records of what happened in the world since the last time, and sends what may be sent.
    pub(in crate::emulator) fn make_records(&mut self) {
        if self.world.journal.is_empty() {
            return;
        }
        for happening in mem::take(&mut self.world.journal) {
            match happening {
                Happening::CallStarted(id) => self.record_call_start(&id),
                Happening::CallTouched(id) => self.record_services(&id),
                Happening::CallEnded(call) => self.record_call_end(&call),
                Happening::LegStarted(leg) => {
                    if let Some(who) = self.world.owner_of(&leg).cloned() {
                        self.record_leg_start(&who);
                    }
                }
                Happening::LegTouched(leg) => {
                    if let Some(who) = self.world.owner_of(&leg).cloned() {
                        self.record_leg_update(&who);
                    }
                }
                Happening::LegEnded(who, reason) => self.record_leg_end(&who, reason),
            }
        }
        self.deliver_to_all();
    }

    /// Takes a record through the mutants and numbers what they let through.
    pub(super) fn record(&mut self, kind: RecordType, mut content: Element) {
        if self.settings.cdr_extra_fields {
            content = content.attribute("revision", "1");
        }
        let draft = Draft { kind: kind.as_str().to_owned(), time: self.cdr.time(&self.settings, self.now), content };
        let view = seen!(self);
        for (delay, draft) in self.mutants.record(&view, draft) {
            if delay.is_zero() {
                self.number(draft);
            } else {
                self.timers.at(self.now + delay, Due::Record(draft));
            }
        }
        self.record_of_unknown_type();
    }

    /// Makes a record of a type that no guide knows, where it is its turn.
    fn record_of_unknown_type(&mut self) {
        let every = self.settings.cdr_extra_records;
        if every == 0 || self.cdr.next % (every + 1) != every {
            return;
        }
        let content = Element::new("weather").attribute("id", self.world.new_id_aside()).field("sky", "blue");
        let time = self.cdr.time(&self.settings, self.now);
        self.number(Draft { kind: "weatherReport".to_owned(), time, content });
    }

    fn record_call_start(&mut self, id: &str) {
        let Some(call) = self.world.calls.get(id) else { return };
        let space = call.co_space.as_ref().and_then(|space| self.world.co_spaces.get(space));
        let content = shape::call_start(&self.settings, call, space);
        let account = CallAccount {
            started: call.started,
            active: BTreeSet::new(),
            completed: 0,
            most_active: 0,
            endpoint_recorded: false,
            recording: None,
            streaming: None,
        };
        self.cdr.ledger.calls.insert(id.to_owned(), account);
        self.record(RecordType::CallStart, content);
    }

    fn record_services(&mut self, id: &str) {
        let Some(call) = self.world.calls.get(id) else { return };
        let (recording, streaming) = (call.recording, call.streaming);
        let by_endpoint = call.endpoint_recording
            || call
                .participants
                .iter()
                .any(|who| self.world.participants.get(who).is_some_and(|who| who.endpoint_recording));
        let Some(account) = self.cdr.ledger.calls.get_mut(id) else { return };
        account.endpoint_recorded |= by_endpoint;
        self.run_service(id, Service::Recording, recording);
        self.run_service(id, Service::Streaming, streaming);
    }

    fn record_call_end(&mut self, call: &Call) {
        self.run_service(&call.id, Service::Recording, false);
        self.run_service(&call.id, Service::Streaming, false);
        let Some(account) = self.cdr.ledger.calls.remove(&call.id) else { return };
        let duration = shape::seconds(&self.settings, self.now.since(account.started));
        let counts = [account.completed, account.most_active, duration];
        let content = shape::call_end(&self.settings, &call.id, counts, account.endpoint_recorded);
        self.record(RecordType::CallEnd, content);
    }

    pub(super) fn record_leg_start(&mut self, who: &Participant) {
        let named = match self.settings.cdr_call_in_start {
            CallInStart::Never => false,
            CallInStart::Outgoing => !who.incoming,
            CallInStart::Known => true,
        };
        let call = Some(who.call.as_str()).filter(|call| named && !call.is_empty());
        let content = shape::leg_start(&self.settings, who, call);
        let mut told = News::of(who, false);
        told.call = call.unwrap_or_default().to_owned();
        told.in_ivr = false;
        let account = LegAccount { started: self.now, connected: None, told, counted_in: None };
        self.cdr.ledger.legs.insert(who.leg.clone(), account);
        self.record(RecordType::CallLegStart, content);
        self.record_leg_update(who);
    }

    pub(super) fn record_leg_update(&mut self, who: &Participant) {
        let Some(account) = self.cdr.ledger.legs.get_mut(&who.leg) else { return };
        let connected = account.connected.is_some() || matches!(who.state, Signaling::Connected | Signaling::OnHold);
        if connected && account.connected.is_none() {
            account.connected = Some(self.now);
        }
        self.count(who, connected);
        let Some(account) = self.cdr.ledger.legs.get_mut(&who.leg) else { return };
        let news = News::of(who, connected);
        let hidden = news.in_ivr && !self.settings.cdr_ivr_reported;
        if news == account.told || hidden {
            return;
        }
        let told = mem::replace(&mut account.told, news.clone());
        let content = shape::leg_update(&self.settings, who, &news, &told);
        self.record(RecordType::CallLegUpdate, content);
    }

    /// Counts a leg in its call.
    fn count(&mut self, who: &Participant, connected: bool) {
        let counts = (connected || self.settings.cdr_count_unconnected)
            && (who.detail.service.is_none() || self.settings.cdr_count_services);
        let Some(account) = self.cdr.ledger.legs.get_mut(&who.leg) else { return };
        if !counts || who.call.is_empty() || account.counted_in.is_some() {
            return;
        }
        if let Some(call) = self.cdr.ledger.calls.get_mut(&who.call) {
            account.counted_in = Some(who.call.clone());
            call.active.insert(who.leg.clone());
            call.most_active = call.most_active.max(call.active.len() as u64);
        }
    }

    pub(super) fn record_leg_end(&mut self, who: &Participant, reason: &str) {
        let Some(account) = self.cdr.ledger.legs.remove(&who.leg) else { return };
        if let Some(call) = account.counted_in.and_then(|call| self.cdr.ledger.calls.get_mut(&call)) {
            call.active.remove(&who.leg);
            call.completed += 1;
        }
        let spans = Spans {
            total: self.now.since(account.started),
            connected: account.connected.map(|connected| self.now.since(connected)),
        };
        let content = shape::leg_end(&self.settings, who, reason, spans);
        self.record(RecordType::CallLegEnd, content);
    }
}
