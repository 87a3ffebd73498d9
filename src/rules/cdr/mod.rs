//! The judge of call detail records: takes each observation to the rules that it concerns.
//!
//! In reading order: `ledger.rs` (what the API was told), `receiver.rs` and `links.rs` (where records arrive),
//! `sessions.rs` (whose they are), `delivery.rs` (what becomes of sets), `indexes.rs` with `identity.rs` (which records
//! arrive), `content.rs` (what each says), `history.rs` (what they say together), `channels.rs` (whether events, API and
//! records agree).
//!
//! Where a set cannot be read, nothing in it is judged; where a record is charged with being another one than it was,
//! its index is not. A requirement on histories is judged only where every record of the session was seen.

mod attributes;
mod channels;
mod content;
mod delivery;
mod history;
mod identity;
mod indexes;
mod ledger;
mod links;
mod moments;
mod receiver;
mod sessions;
mod sets;
mod spans;
mod tags;
mod totals;
mod uptime;

use std::collections::BTreeMap;
use std::time::Duration;

use self::channels::Channels;
use self::content::Noted;
use self::history::Spaces;
use self::ledger::{Ledger, News};
use self::links::Links;
use self::receiver::{Address, Kind, OpenSet, Receiver, Standing};
use self::sessions::Sessions;
use super::api_view::ApiView;
use super::docket::{Charge, Docket};
use super::registry::R;
use super::verdict::{Context, Deadlines};
use crate::protocol::events::Envelope;
use crate::protocol::http::Response;
use crate::time::Instant;
use crate::trace::{Event, ExchangeId, Observation, ReceiverId, Seq, SetId, Side, Text};

/// How many receivers are followed.
const RECEIVERS: usize = 256;

/// How many sets without an answer are followed.
const OPEN_SETS: usize = 256;

/// One observation being judged.
struct Moment<'m> {
    at: Instant,
    seq: Seq,
    deadlines: Deadlines,
    clustered: Option<bool>,
    api: &'m ApiView,
    docket: &'m mut Docket,
    /// Where a fifth receiver was refused last.
    fifth: Option<(Instant, Seq)>,
    /// Where a receiver was configured that nothing listens for.
    unreachable: Option<Seq>,
    /// How many findings this observation led to.
    findings: u32,
}

impl<'m> Moment<'m> {
    fn of(context: &Context, observation: &Observation<'_>, api: &'m ApiView, docket: &'m mut Docket) -> Self {
        Self {
            at: observation.at,
            seq: observation.seq,
            deadlines: context.deadlines,
            clustered: context.clustered,
            api,
            docket,
            fifth: None,
            unreachable: None,
            findings: 0,
        }
    }

    /// A receiver gets no records: whether that began with the refusal of a fifth one (CDR-14), or not (CDR-13).
    fn stopped_by_fifth(&self, receiver: &Receiver) -> R {
        let behind = receiver.chains.last().and_then(|chain| receiver.clock.when(chain.behind?));
        let stopped = self.fifth.is_some_and(|(at, _)| {
            // What was under way at the refusal may still arrive.
            receiver.last_set.is_some_and(|last| last < at + links::PROMPT) && behind.is_none_or(|behind| behind >= at)
        });
        if stopped { R::Cdr14 } else { R::Cdr13 }
    }

    /// Something is not documented that later releases may have added.
    fn warn(&mut self, rule: R, expected: &str, observed: String) {
        let (at, seq) = (self.at, self.seq);
        self.docket.warn(rule, at, || Charge {
            connection: None,
            expected: expected.to_owned(),
            observed,
            evidence: vec![seq],
        });
    }

    /// A requirement was not met; this observation is part of the proof.
    fn fail(&mut self, rule: R, expected: &str, observed: String, evidence: &[Seq]) {
        self.findings += 1;
        let seq = self.seq;
        self.docket.fail(rule, self.at, || {
            let evidence = evidence.iter().copied().chain([seq]).filter(|seq| *seq != Seq::default()).collect();
            Charge { connection: None, expected: expected.to_owned(), observed, evidence }
        });
    }
}

/// What the rules know of a sender of call detail records.
#[derive(Debug)]
pub(super) struct CdrJudge {
    context: Context,
    ledger: Ledger,
    receivers: BTreeMap<ReceiverId, Receiver>,
    links: Links,
    open: Vec<OpenSet>,
    sessions: Sessions,
    spaces: Spaces,
    channels: Channels,
    words: Noted,
    /// Whether requests to the API are in the trace.
    uses_api: bool,
}

impl CdrJudge {
    pub(super) fn new(context: Context) -> Self {
        Self {
            context,
            ledger: Ledger::default(),
            receivers: BTreeMap::new(),
            links: Links::default(),
            open: Vec::new(),
            sessions: Sessions::default(),
            spaces: Spaces::default(),
            channels: Channels::default(),
            words: Noted::default(),
            uses_api: false,
        }
    }

    /// Takes the next observation. `api` has taken it already.
    pub(super) fn observe(&mut self, observation: &Observation<'_>, api: &ApiView, docket: &mut Docket) {
        let (at, seq) = (observation.at, observation.seq);
        match &observation.event {
            Event::RequestSent { exchange, request } => {
                self.uses_api = true;
                for receiver in self.receivers.values_mut().filter(|receiver| receiver.is_alone()) {
                    receiver.standing = Standing::Unknown;
                }
                self.ledger.sent(*exchange, request, &mut self.receivers, at, seq);
            }
            Event::RequestFailed { exchange, .. } => self.ledger.failed(*exchange),
            Event::ResponseReceived { exchange, response } => {
                self.response(*exchange, response, Moment::of(&self.context, observation, api, docket));
            }
            Event::ReceiverOpened { receiver, uri, .. } => self.receiver_opened(*receiver, uri, at, seq),
            Event::ReceiverClosed { receiver } => {
                if let Some(receiver) = self.receivers.get_mut(receiver) {
                    receiver.troubled(Kind::Closed, at, seq);
                    receiver.listening = false;
                    receiver.clock.stop(at);
                }
            }
            Event::LinkOpened { link, receiver } => {
                if let Some(receiver) = self.receivers.get_mut(receiver) {
                    // What comes on it may be read slowly.
                    receiver.active = receiver.clock.elapsed(at);
                    receiver.connected = true;
                    self.links.opened(*link, receiver, at);
                }
            }
            Event::HandshakeFailed { receiver, by_peer: true, .. } => {
                if let Some(receiver) = self.receivers.get_mut(receiver) {
                    receiver.distrusted = true;
                }
            }
            Event::LinkFault { link, what } => self.links.faulty(*link, what, seq),
            Event::LinkEnded { link, cause } => {
                let mut moment = Moment::of(&self.context, observation, api, docket);
                self.links.ended(*link, *cause, &mut self.receivers, &mut moment);
            }
            Event::SetReceived { .. }
            | Event::SetCut { .. }
            | Event::SetAnswered { .. }
            | Event::SetUnanswered { .. } => {
                self.set(observation, api, docket);
            }
            Event::Frame {
                from: Side::Server,
                text: Some(Text::Json { envelope: Envelope::Message(message), .. }),
                ..
            } if !self.receivers.is_empty() => {
                let moment = Moment::of(&self.context, observation, api, docket);
                self.channels.message(*message, self.sessions.current(), &mut self.receivers, &moment);
            }
            Event::RestartBegun => self.restart_begun(at, seq),
            Event::RestartDone => {
                self.sessions.restart_done(at);
                for receiver in self.receivers.values_mut().filter(|receiver| receiver.listening) {
                    receiver.clock.start(at);
                }
            }
            Event::HarnessLate { by } => {
                self.receivers.values_mut().for_each(|receiver| receiver.clock.lose(*by));
                if let Some(session) = self.sessions.current_mut() {
                    session.history.lose(*by);
                }
            }
            _ => {}
        }
    }

    /// The API answered.
    fn response(&mut self, exchange: ExchangeId, response: &Response, mut moment: Moment<'_>) {
        match self.ledger.answered(exchange, response, &mut self.receivers, &mut moment) {
            Some(News::CallMade(call, asked)) => {
                self.channels.made(call, asked, &mut self.receivers, &mut moment);
            }
            Some(News::CallEnded(call, asked)) => {
                self.channels.gone(call, asked, Duration::ZERO, &mut self.receivers, &moment);
            }
            Some(News::SpaceRemoved(space)) => self.spaces.removed(space),
            None => {}
        }
        self.settle_in(moment.at);
    }

    /// Something that is about a set.
    fn set(&mut self, observation: &Observation<'_>, api: &ApiView, docket: &mut Docket) {
        let (at, seq) = (observation.at, observation.seq);
        match &observation.event {
            Event::SetReceived { set, link, receiver, head, records } => {
                self.set_received((*set, *link, *receiver), *head, *records, observation, api, docket);
            }
            Event::SetCut { receiver, by_receiver, .. } => {
                // What the Call Bridge that is being restarted had under way, the next one does not owe.
                let is_owed = *by_receiver && !self.sessions.is_restarting();
                if let Some(receiver) = self.receivers.get_mut(receiver) {
                    receiver.cut(is_owed, at, seq);
                }
            }
            Event::SetAnswered { set, status, whole, .. } => {
                let Some(open) = self.take_open(*set) else { return };
                if let Some(link) = self.links.get(open.link) {
                    link.idle_since = at;
                }
                if let Some(receiver) = self.receivers.get_mut(&open.receiver) {
                    receiver.answered(&open, *status, *whole, at, seq);
                }
            }
            Event::SetUnanswered { set, .. } => {
                let Some(open) = self.take_open(*set) else { return };
                if let Some(link) = self.links.get(open.link) {
                    link.unanswered = Some(open.arrived);
                }
                if let Some(receiver) = self.receivers.get_mut(&open.receiver) {
                    receiver.unanswered(&open, at, seq);
                }
            }
            _ => {}
        }
    }

    /// Sets of an earlier entry may still be on their way to a receiver that was added again.
    fn settle_in(&mut self, at: Instant) {
        let reaction = self.context.deadlines.reaction;
        for receiver in self.receivers.values_mut() {
            if receiver.chains.is_empty()
                && receiver.sets > 0
                && let Standing::On { first: false, .. } = receiver.standing
            {
                receiver.settles = Some(at + reaction);
            }
        }
    }

    fn take_open(&mut self, set: SetId) -> Option<OpenSet> {
        let place = self.open.iter().position(|open| open.set == set)?;
        Some(self.open.swap_remove(place))
    }

    fn receiver_opened(&mut self, id: ReceiverId, uri: &str, at: Instant, seq: Seq) {
        if self.receivers.len() == RECEIVERS && !self.receivers.contains_key(&id) {
            return;
        }
        let again = self.receivers.contains_key(&id);
        let receiver = self.receivers.entry(id).or_insert_with(|| Receiver::new(id));
        receiver.address = Address::of(uri);
        receiver.listening = true;
        if !self.uses_api {
            receiver.standing = Standing::Alone;
        }
        if again {
            receiver.troubled(Kind::Closed, at, seq);
        }
        if !self.sessions.is_restarting() {
            receiver.clock.start(at);
        }
        self.ledger.apply(&mut self.receivers, at, seq);
    }

    fn restart_begun(&mut self, at: Instant, seq: Seq) {
        let kept = !self.open.is_empty() || self.receivers.values().any(Receiver::is_failing);
        self.sessions.restart_begun(kept, at, seq);
        self.ledger.restarted();
        self.channels.clear();
        for receiver in self.receivers.values_mut() {
            receiver.forgive();
            receiver.given_up = None;
            receiver.answered = None;
            receiver.clock.stop(at);
        }
    }

    /// Charges what is overdue.
    pub(super) fn expire(&mut self, observation: &Observation<'_>, api: &ApiView, docket: &mut Docket) {
        if self.receivers.is_empty() {
            return;
        }
        let held = self.holds_up();
        let window = self.context.deadlines.redelivery + self.context.deadlines.reaction;
        if let Some(session) = self.sessions.current_mut() {
            let moment = &mut Moment::of(&self.context, observation, api, docket);
            session.history.expire(held, window, moment);
        }
        self.expire_cuts(observation, api, docket);
        let mut moment = Moment {
            fifth: self.ledger.fifth,
            unreachable: self.ledger.unreachable,
            ..Moment::of(&self.context, observation, api, docket)
        };
        let ids: [Option<ReceiverId>; FOLLOWED] = first_of(self.receivers.keys().copied());
        for id in ids.into_iter().flatten() {
            let busy = self.open.iter().any(|open| open.receiver == id && !open.given_up);
            let alone = self.receivers.get(&id).is_some_and(Receiver::is_alone);
            for session in self.sessions.followed(alone) {
                indexes::expire(id, session, &mut self.receivers, busy, &mut moment);
            }
            if !busy {
                let session = self.sessions.current().map(|session| session.id);
                self.channels.expire(id, session, &mut self.receivers, &mut moment);
            }
        }
    }

    /// Whether a receiver may hold up what the Call Bridge has to send.
    fn holds_up(&self) -> bool {
        self.open.iter().any(|open| !open.given_up) || self.receivers.values().any(Receiver::is_failing)
    }

    /// After a set that did not arrive whole something has to come.
    fn expire_cuts(&mut self, observation: &Observation<'_>, api: &ApiView, docket: &mut Docket) {
        let mut moment = Moment::of(&self.context, observation, api, docket);
        for receiver in self.receivers.values_mut() {
            let Some((since, seq)) = receiver.cut else { continue };
            let patience = receiver.patience(moment.deadlines.redelivery);
            if receiver.clock.runs() && receiver.clock.elapsed(moment.at) >= since + patience {
                receiver.cut = None;
                receiver.given_up = Some(moment.at);
                let expected = "the set that did not arrive whole, again";
                let observed = format!("nothing for {} s", patience.as_secs_f32());
                moment.fail(R::Cdr03, expected, observed, &[seq]);
            }
        }
    }

    /// Until when something is due.
    pub(super) fn due(&self) -> Option<Instant> {
        let Deadlines { reaction, redelivery } = self.context.deadlines;
        let session = self.sessions.current();
        let of_receiver = |receiver: &Receiver| {
            let sessions = self.sessions.followed(receiver.is_alone());
            let cut = receiver.cut.and_then(|(since, _)| receiver.clock.when(since + receiver.patience(redelivery)));
            let indexes = sessions.filter_map(|session| indexes::due(receiver, session, (redelivery, reaction))).max();
            cut.max(indexes).max(channels::due(receiver, receiver.patience(redelivery) + reaction))
        };
        let legs = session.filter(|_| !self.holds_up());
        let legs = legs.and_then(|session| session.history.due(redelivery + reaction));
        self.receivers.values().filter_map(of_receiver).max().max(legs)
    }

    /// The trace is over: what was due and had not come is left open.
    pub(super) fn finish(&mut self, docket: &mut Docket) {
        if self.receivers.values().any(|receiver| receiver.is_on() && receiver.is_untrusted()) {
            docket.undecided(R::Cdr16, "the Call Bridge seems not to trust the receiver's certificate");
        }
        let listening = self.receivers.values().filter(|receiver| receiver.listening);
        let followed = |receiver| self.sessions.followed(receiver).map(|session| session.id);
        for (receiver, id) in listening.flat_map(|receiver| followed(receiver.is_alone()).map(move |id| (receiver, id)))
        {
            let chains = receiver.chains.iter().filter(|chain| chain.session == id);
            if receiver.cut.is_some() || chains.clone().any(|chain| !chain.pending.is_empty()) {
                docket.undecided(R::Cdr03, "the trace ended before a set had to be sent again");
            }
            if chains.clone().any(|chain| !chain.gaps.is_empty()) {
                docket.undecided(R::Cdr10, "the trace ended before a gap could be explained");
            }
        }
    }
}

/// How many receivers deadlines are looked at for at a time.
const FOLLOWED: usize = 8;

/// The first of them, without memory of its own.
fn first_of<T: Copy, const N: usize>(all: impl Iterator<Item = T>) -> [Option<T>; N] {
    let mut first = [None; N];
    for (place, one) in first.iter_mut().zip(all) {
        *place = Some(one);
    }
    first
}
