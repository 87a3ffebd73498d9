//! Sessions: one for as long as the Call Bridge runs, a new one after its restart (CDR-05), and the Call Bridge's own id
//! (CDR-06).
//!
//! A Call Bridge may restart without being asked to; then a new session is right, and what was owed in the old one is
//! left open. That it did not restart is known where one connection carries two sessions, where indexes go on, and where
//! the old session goes on beside the new one.

use std::time::Duration;

use super::Moment;
use super::history::History;
use super::identity::Memory;
use super::indexes::trace_millis;
use super::receiver::{Receiver, Standing};
use crate::protocol::cdr::Set;
use crate::rules::guid;
use crate::rules::registry::R;
use crate::time::Instant;
use crate::trace::Seq;

/// How many sessions are remembered; of more the oldest are forgotten.
const REMEMBERED: usize = 8;

/// One session.
#[derive(Debug, Default)]
pub(super) struct Session {
    pub(super) id: u128,
    /// When and where it was seen first.
    pub(super) seen: Instant,
    pub(super) seq: Seq,
    pub(super) memory: Memory,
    /// When the record with the highest index was seen first, anywhere.
    pub(super) grown: Instant,
    pub(super) history: History,
    /// How long the record took that arrived fastest, by the clocks of trace and Call Bridge, in milliseconds.
    pub(super) skew: Option<i64>,
    /// The Call Bridge that named it has restarted, or may have.
    pub(super) over: bool,
    bridge: Option<(u128, Seq)>,
}

/// A restart that the harness brought about.
#[derive(Debug, Clone, Copy)]
struct Restart {
    begun: Instant,
    seq: Seq,
    done: Option<Instant>,
    /// The session until then.
    before: Option<u128>,
    /// Whether records may have been kept from before.
    kept: bool,
    replaced: bool,
}

/// The connection that a set arrived on, as far as sessions are concerned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Carrier {
    pub(super) opened: Instant,
    /// The session of the set before on the same connection.
    pub(super) session: Option<(u128, Seq)>,
    /// When the set before at this receiver was answered.
    pub(super) answered: Option<Instant>,
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    pub(super) known: Vec<Session>,
    /// The session of the Call Bridge that was configured here.
    current: Option<u128>,
    restart: Option<Restart>,
    bridge: Option<(u128, Seq)>,
    /// The same session was found to begin anew: indexes do, too.
    pub(super) renewed: bool,
}

impl Session {
    /// A record with this time, in milliseconds since 1970, arrived at `at`.
    pub(super) fn took(&mut self, time: Option<i64>, at: Instant) {
        let Some(time) = time else { return };
        let took = trace_millis(at).saturating_sub(time);
        self.skew = Some(self.skew.map_or(took, |skew| skew.min(took)));
    }
}

impl Sessions {
    fn place(&self, id: u128) -> Option<usize> {
        self.known.iter().position(|session| session.id == id)
    }

    /// The session that the Call Bridge is in.
    pub(super) fn current(&self) -> Option<&Session> {
        self.known.get(self.place(self.current?)?).filter(|session| !session.over)
    }

    /// The same, to be changed.
    pub(super) fn current_mut(&mut self) -> Option<&mut Session> {
        let place = self.place(self.current?)?;
        self.known.get_mut(place).filter(|session| !session.over)
    }

    /// Whether a set with this session may be the Call Bridge's: it is known, or none is.
    pub(super) fn is_plausible(&self, session: Option<&str>) -> bool {
        let Some(session) = session else { return false };
        self.known.is_empty() || guid::number(session).is_some_and(|id| self.place(id).is_some())
    }

    /// Whether the harness has the Call Bridge restarted at this moment.
    pub(super) fn is_restarting(&self) -> bool {
        self.restart.is_some_and(|restart| restart.done.is_none())
    }

    /// The restart that a session came after: when it began.
    pub(super) fn began_with_restart(&self, place: usize) -> Option<Instant> {
        let restart = self.restart.filter(|restart| restart.replaced)?;
        (self.current == Some(self.known[place].id)).then_some(restart.begun)
    }

    /// The restart before which no session was seen, and where it was, once what was kept from before it must have gone
    /// out: whatever comes now was made after it.
    pub(super) fn first_restart(&self, place: usize, at: Instant, reaction: Duration) -> Option<(Instant, Seq)> {
        let restart = self.restart.filter(|restart| restart.before.is_none() && !restart.kept)?;
        let current = self.current == Some(self.known[place].id) && self.known.len() == 1;
        (current && restart.done.is_some_and(|done| at > done + reaction)).then_some((restart.begun, restart.seq))
    }

    /// The harness has the Call Bridge restarted. `kept` says whether it may have kept records for later.
    pub(super) fn restart_begun(&mut self, kept: bool, at: Instant, seq: Seq) {
        let before = self.current;
        self.known.iter_mut().for_each(|session| session.over = true);
        self.restart = Some(Restart { begun: at, seq, done: None, before, kept, replaced: false });
    }

    /// It is there again.
    pub(super) fn restart_done(&mut self, at: Instant) {
        if let Some(restart) = &mut self.restart {
            restart.done = Some(at);
        }
    }

    /// A set arrived: judges its session, and gives the place of it. Sets without one are not followed.
    pub(super) fn arrived(
        &mut self,
        set: Set<'_>,
        carrier: Carrier,
        receiver: &Receiver,
        bridges: Option<&(Seq, Vec<u128>)>,
        moment: &mut Moment<'_>,
    ) -> Option<usize> {
        let Some(id) = set.session().and_then(guid::number) else {
            let observed = set.session().map_or_else(|| "none".to_owned(), crate::rules::docket::quote);
            moment.fail(R::Cdr05, "a session that is a GUID", observed, &[]);
            return None;
        };
        let on = receiver.is_on();
        if on {
            self.judge(id, set, carrier, receiver, moment);
        }
        let place = match self.place(id) {
            Some(place) => place,
            None => {
                moment.docket.tested(R::Cdr05);
                self.enter(id, moment)
            }
        };
        if on && self.current != Some(id) && !self.known[place].over {
            self.current = Some(id);
        }
        self.bridge(place, set, bridges.filter(|_| on), on, moment);
        Some(place)
    }

    /// The sessions in which something may be lacking: the present one, or for a receiver that is alone in a trace, where
    /// several Call Bridges may send, all.
    pub(super) fn followed(&self, alone: bool) -> impl Iterator<Item = &Session> {
        self.known.iter().filter(move |session| !session.over && (alone || Some(session.id) == self.current))
    }

    fn enter(&mut self, id: u128, moment: &Moment<'_>) -> usize {
        if self.known.len() == REMEMBERED {
            let oldest = self.known.iter().position(|session| Some(session.id) != self.current).unwrap_or(0);
            self.known.remove(oldest);
        }
        self.known.push(Session { id, seen: moment.at, seq: moment.seq, ..Session::default() });
        self.known.len() - 1
    }

    fn judge(&mut self, id: u128, set: Set<'_>, carrier: Carrier, receiver: &Receiver, moment: &mut Moment<'_>) {
        let Some(current) = self.current else { return };
        if id == current {
            return self.same(id, carrier, moment);
        }
        if let Some(place) = self.place(id) {
            return self.old(place, carrier, receiver, moment);
        }
        let first = self.place(current).map(|place| self.known[place].seen);
        let reaction = moment.deadlines.reaction;
        // Where nothing was seen before, what came right after it may have been kept from then.
        let kept = |restart: &Restart| {
            restart.before.is_none() && restart.done.zip(first).is_some_and(|(done, first)| first <= done + reaction)
        };
        let followed = |restart: &&mut Restart| restart.before == Some(current) || kept(restart);
        if let Some(restart) = self.restart.as_mut().filter(|restart| followed(restart) && !restart.replaced) {
            restart.replaced = true;
            return;
        }
        let Some(place) = self.place(current) else { return };
        let highest = self.known[place].memory.highest();
        let begins = set.records().next();
        let index = begins.and_then(|record| super::attributes::index_of(record.correlator_index()));
        let counts_missing = begins.is_some_and(|record| record.missing().is_some());
        let before = matches!(receiver.standing, Standing::On { asked, .. } if asked <= self.known[place].seen);
        let goes_on = index.is_some_and(|index| highest.is_some_and(|highest| highest.checked_add(1) == Some(index)));
        // What was kept over a restart of its own may have come before, on the connection that ended a failure.
        let proof = match carrier.session.filter(|_| !brings_what_was_kept(receiver, carrier, moment)) {
            Some((_, seq)) => Some((seq, "another one on the same connection")),
            None if goes_on && before && !counts_missing && receiver.trouble.is_none() => {
                Some((self.known[place].seq, "another one, with the index that comes next in the old one"))
            }
            None => None,
        };
        self.known[place].over = true;
        match proof {
            Some((seq, observed)) => {
                moment.fail(R::Cdr05, "the same session while the Call Bridge runs", observed.to_owned(), &[seq]);
            }
            None => moment.docket.undecided(R::Cdr05, "the Call Bridge seems to have restarted by itself"),
        }
    }

    /// The session has not changed, but there may have been a restart.
    fn same(&mut self, id: u128, carrier: Carrier, moment: &mut Moment<'_>) {
        let Some(restart) = &mut self.restart else { return moment.docket.tested(R::Cdr05) };
        if restart.replaced || restart.before != Some(id) {
            return moment.docket.tested(R::Cdr05);
        }
        let fresh = restart.done.is_some_and(|done| carrier.opened > done);
        if !fresh || restart.kept {
            return;
        }
        restart.replaced = true;
        self.renewed = true;
        let seq = restart.seq;
        moment.fail(R::Cdr05, "a new session after the restart", "the session of before".to_owned(), &[seq]);
        if let Some(session) = self.known.iter_mut().find(|session| session.id == id) {
            session.memory.clear();
            session.history = History::default();
            session.over = false;
            session.seen = moment.at;
        }
    }

    /// A session that was replaced.
    fn old(&mut self, place: usize, carrier: Carrier, receiver: &Receiver, moment: &mut Moment<'_>) {
        let Some(new) = self.current().map(|session| (session.seen, session.seq)) else { return };
        // It may have restarted by itself, and have kept what failed before.
        let owed =
            receiver.failing.is_some_and(|since| since <= new.0) || brings_what_was_kept(receiver, carrier, moment);
        let tolerated =
            owed || self.restart.is_some_and(|restart| restart.kept && restart.before == Some(self.known[place].id));
        let alive = carrier.opened > new.0 || carrier.answered.is_some_and(|answered| answered > new.0);
        if alive && !tolerated {
            let expected = "one session at all receivers while the Call Bridge runs";
            moment.fail(R::Cdr05, expected, "two at the same time".to_owned(), &[new.1]);
        }
    }

    fn bridge(
        &mut self,
        place: usize,
        set: Set<'_>,
        bridges: Option<&(Seq, Vec<u128>)>,
        on: bool,
        moment: &mut Moment<'_>,
    ) {
        let told = set.call_bridge();
        match moment.clustered {
            None => {}
            Some(false) => match told {
                None => moment.docket.tested(R::Cdr06),
                Some(told) => {
                    let observed = crate::rules::docket::quote(told);
                    moment.fail(R::Cdr06, "no callBridge outside a cluster", observed, &[]);
                }
            },
            Some(true) => {
                let Some(id) = told.and_then(guid::number) else {
                    let observed = told.map_or_else(|| "none".to_owned(), crate::rules::docket::quote);
                    return moment.fail(R::Cdr06, "a callBridge that is a GUID", observed, &[]);
                };
                let session = &mut self.known[place];
                let first = *session.bridge.get_or_insert((id, moment.seq));
                let known = if on { *self.bridge.get_or_insert(first) } else { first };
                let unlisted = bridges.filter(|(_, ids)| !ids.contains(&id));
                if known.0 != id {
                    let expected = "the same callBridge as before";
                    moment.fail(R::Cdr06, expected, told.unwrap_or_default().to_owned(), &[known.1]);
                } else if let Some((seq, _)) = unlisted {
                    let expected = "the id of a Call Bridge that the API lists";
                    moment.fail(R::Cdr06, expected, told.unwrap_or_default().to_owned(), &[*seq]);
                } else {
                    moment.docket.tested(R::Cdr06);
                }
            }
        }
    }
}

/// Whether a set came on the connection that ended a failure, and soon after it: what was kept meanwhile goes out there.
fn brings_what_was_kept(receiver: &Receiver, carrier: Carrier, moment: &Moment<'_>) -> bool {
    let window = moment.deadlines.redelivery + moment.deadlines.reaction;
    receiver.healed.is_some_and(|healed| healed >= carrier.opened && moment.at <= healed + window)
}
