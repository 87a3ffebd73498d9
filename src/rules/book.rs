//! The book of one connection's subscriptions: the requests that were sent and what became of each index.
//!
//! Data and bookkeeping only; `sub.rs` judges. A request counts from the moment it is sent, since the server may act on
//! it before its ack arrives, and is taken back if it is refused.

use std::collections::{BTreeMap, VecDeque};

use super::connection::Mark;
use super::places::PLACES;
use super::registry::R;
use super::request::{MANY, Mask, Parts, SUBSCRIPTION_LIMIT, Wanted};
use super::upd::Content;
use crate::protocol::events::{Resource, State};
use crate::time::Instant;
use crate::trace::Seq;

/// How many decided requests and left indexes are remembered.
const REMEMBERED: usize = 1024;

/// What a request puts to the test besides the general requirements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing.
    None,
    /// Its messageId equals that of an unacknowledged server message, or does not follow that of the request before.
    IdsCollide,
    /// It follows one that was beyond the limit.
    AfterOverLimit,
    /// It has many subscriptions, and so have four other connections.
    BothLimits,
    /// It has many subscriptions.
    Many,
    /// A sixth connection was attempted before.
    AfterSixth,
    /// Five connections are open.
    FiveOpen,
    /// Another connection did what the guides rule out.
    OtherAbused,
}

impl Special {
    /// The requirement that is put to the test already by the ack; the limits of subscriptions want them settled, too.
    pub(super) const fn shown_by_ack(self) -> Option<R> {
        match self {
            Self::None | Self::Many | Self::BothLimits => None,
            Self::IdsCollide | Self::AfterOverLimit | Self::AfterSixth | Self::FiveOpen | Self::OtherAbused => {
                self.rule()
            }
        }
    }

    /// The requirement that it puts to the test.
    pub(super) const fn rule(self) -> Option<R> {
        match self {
            Self::None => None,
            Self::IdsCollide => Some(R::Msg08),
            Self::AfterOverLimit => Some(R::Lim06),
            Self::BothLimits => Some(R::Lim07),
            Self::Many => Some(R::Lim04),
            Self::AfterSixth => Some(R::Lim03),
            Self::FiveOpen => Some(R::Lim01),
            Self::OtherAbused => Some(R::Ws08),
        }
    }
}

/// What lies around a request when it is sent.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Surroundings {
    /// A request beyond the limit was sent before.
    pub(super) over_limit: bool,
    /// Connections that are open.
    pub(super) open: usize,
    /// Subscriptions on the other connections.
    pub(super) elsewhere: usize,
    /// A sixth connection was attempted since this one was opened.
    pub(super) after_sixth: bool,
    /// Another connection did what the guides rule out.
    pub(super) other_abused: bool,
}

impl Surroundings {
    /// What a request with so many subscriptions puts to the test besides the general requirements.
    pub(super) const fn special(self, entries: usize) -> Special {
        let both = self.open == PLACES && self.elsewhere + entries > (PLACES - 1) * SUBSCRIPTION_LIMIT;
        if self.over_limit {
            Special::AfterOverLimit
        } else if entries > MANY && both {
            Special::BothLimits
        } else if entries > MANY {
            Special::Many
        } else if self.after_sixth {
            Special::AfterSixth
        } else if self.open == PLACES {
            Special::FiveOpen
        } else if self.other_abused {
            Special::OtherAbused
        } else {
            Special::None
        }
    }
}

/// One request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) number: u32,
    pub(super) seq: Seq,
    pub(super) special: Special,
    pub(super) entries: usize,
    /// What makes it irregular; empty for a regular one.
    pub(super) flaws: Vec<&'static str>,
    pub(super) over_limit: bool,
    /// Whether it was sent before the one before it was settled.
    pub(super) overlaps: bool,
    pub(super) acked: Option<Mark>,
    /// A state that it caused and that came before its ack.
    pub(super) early: Option<Seq>,
    pub(super) fresh: Vec<u64>,
    pub(super) left: Vec<u64>,
    /// One of its subscriptions that was deactivated because its call is no active conference.
    pub(super) ghost: Option<u64>,
    pub(super) settled: bool,
}

/// That a later request leaves a subscription out.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) request: u32,
    /// The ack of that request.
    pub(super) since: Option<Mark>,
    pub(super) reported: Option<Seq>,
    pub(super) empty_set: bool,
    pub(super) overlaps: bool,
    pub(super) charged: bool,
    /// Changes made on the server until it was reported.
    pub(super) changes: u64,
}

/// That a later request repeats a subscription unchanged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) request: u32,
    pub(super) seq: Seq,
    pub(super) sent: Instant,
    pub(super) acked: Option<Instant>,
    pub(super) changes: u64,
}

/// One index.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) wanted: Wanted,
    pub(super) by: u32,
    pub(super) asked: Seq,
    pub(super) asked_at: Instant,
    pub(super) state: Option<State>,
    pub(super) state_seq: Seq,
    /// Whether the guides say what its states must be.
    pub(super) known: bool,
    /// How many older subscriptions of the same index may still be reported to have ended.
    pub(super) loose: u32,
    /// Whether it took the index of one that may still stand, since it was asked for in an irregular request.
    pub(super) displaces: bool,
    /// Whether a violation that was charged leaves open what it was told.
    pub(super) spoilt: bool,
    pub(super) overdue: bool,
    pub(super) kept: Option<Kept>,
    pub(super) left: Option<Left>,
    /// The index under which the same resource was subscribed to before.
    pub(super) moved_from: Option<u64>,
    pub(super) many: Special,
    /// The end of its conference.
    pub(super) ended: Option<(Mark, Seq)>,
    pub(super) end_charged: bool,
    /// Changes made on the server until it became active or was deactivated.
    pub(super) changes: u64,
    /// How often the last conference had ended when it became active.
    pub(super) ends: u64,
    pub(super) content: Content,
}

impl Slot {
    /// Whether it has its final state (for now).
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.state, Some(State::Active | State::Deactivated))
    }

    /// Whether what it is told can be judged.
    pub(super) const fn is_told_plainly(&self) -> bool {
        self.known && !self.spoilt
    }

    /// Whether it is in force and active.
    pub(super) fn is_active(&self) -> bool {
        self.state == Some(State::Active) && self.left.is_none()
    }
}

/// The book.
#[derive(Debug, Default)]
pub(super) struct Book {
    pub(super) requests: VecDeque<Request>,
    pub(super) slots: BTreeMap<u64, Slot>,
    /// How many requests were sent.
    pub(super) sent: u32,
    /// The last request beyond the limit that no other has followed.
    pub(super) over_limit: Option<Seq>,
    /// Whether a request was refused that had to be granted: what stands on the server is not known any more.
    pub(super) unsure: bool,
    /// Requests that were refused and may yet have been worked on in part.
    refused: Vec<u32>,
}

impl Book {
    /// How many subscriptions are in force.
    pub(super) fn size(&self) -> usize {
        self.slots.values().filter(|slot| slot.left.is_none()).count()
    }

    /// What the server takes for subscribed is not known any more.
    pub(super) fn lose_sight(&mut self) {
        self.unsure = true;
        for slot in self.slots.values_mut() {
            slot.known = false;
        }
    }

    /// The elements of rosters that a request asks for.
    pub(super) fn elements_of(&self, number: u32) -> Mask {
        let asked = |slot: &&Slot| {
            slot.wanted.resource == Resource::CallRoster
                && (slot.by == number || slot.kept.is_some_and(|kept| kept.request == number))
        };
        self.slots.values().filter(asked).fold(0, |mask, slot| mask | slot.wanted.mask)
    }

    pub(super) fn request_mut(&mut self, number: u32) -> Option<&mut Request> {
        self.requests.iter_mut().find(|request| request.number == number)
    }

    /// Flaws that only show against what is subscribed already.
    pub(super) fn add_flaws(&self, parts: &mut Parts) {
        for wanted in &parts.wanted {
            let reused = self.slots.get(&wanted.index).is_some_and(|slot| {
                let live = slot.left.is_none() && slot.state != Some(State::Deactivated);
                let refused = slot.state.is_none() && self.refused.contains(&slot.by);
                live && slot.wanted != *wanted && !refused
            });
            if reused {
                parts.flaws.insert("index-reused");
            }
        }
    }

    /// Enters a request; `parts` are complete with all flaws.
    pub(super) fn enter(&mut self, parts: Parts, special: Special, at: Instant, seq: Seq, changes: u64) -> u32 {
        self.sent += 1;
        let number = self.sent;
        let over_limit = parts.entries > SUBSCRIPTION_LIMIT;
        let regular = parts.flaws.is_empty() && !over_limit;
        let overlaps = self.requests.back().is_some_and(|last| !last.settled);
        let mut request = Request {
            number,
            seq,
            special,
            entries: parts.entries,
            flaws: parts.flaws.into_iter().collect(),
            over_limit,
            overlaps,
            acked: None,
            early: None,
            fresh: Vec::new(),
            left: Vec::new(),
            ghost: None,
            settled: !regular,
        };
        self.over_limit = over_limit.then_some(seq);
        let refused = std::mem::take(&mut self.refused);
        // What was refused is as good as never asked for, unless words of it may come, or of an older one of its index.
        self.slots
            .retain(|_, slot| slot.state.is_some() || slot.displaces || slot.loose > 0 || !refused.contains(&slot.by));
        let empty_set = parts.wanted.is_empty();
        if regular {
            self.leave_out(&parts.wanted, &mut request, empty_set, overlaps, changes);
        } else {
            for slot in self.slots.values_mut() {
                slot.known = false;
            }
        }
        for wanted in parts.wanted {
            self.want(wanted, &mut request, regular, at, changes);
        }
        self.requests.push_back(request);
        self.forget();
        number
    }

    fn leave_out(&mut self, wanted: &[Wanted], request: &mut Request, empty_set: bool, overlaps: bool, changes: u64) {
        for (index, slot) in &mut self.slots {
            let repeated = wanted.iter().any(|wanted| wanted.index == *index);
            if repeated || slot.left.is_some() {
                continue;
            }
            let reported = (slot.state == Some(State::Deactivated)).then_some(slot.state_seq);
            // What was never talked about may go without a word.
            if slot.known && slot.state.is_some() && reported.is_none() {
                request.left.push(*index);
            }
            slot.left = Some(Left {
                request: request.number,
                since: None,
                reported,
                empty_set,
                overlaps,
                charged: false,
                changes,
            });
        }
    }

    fn want(&mut self, wanted: Wanted, request: &mut Request, regular: bool, at: Instant, changes: u64) {
        let index = wanted.index;
        let moved_from = self
            .slots
            .iter()
            .find(|(other, slot)| {
                **other != index
                    && (slot.wanted.resource, &slot.wanted.call) == (wanted.resource, &wanted.call)
                    && slot.left.as_ref().is_some_and(|left| left.request == request.number && left.reported.is_none())
            })
            .map(|(other, _)| *other);
        let (mut loose, mut unclear, mut displaces) = (0, false, false);
        if let Some(slot) = self.slots.get_mut(&index) {
            let live = slot.left.is_none() && slot.state != Some(State::Deactivated);
            if live && slot.wanted == wanted {
                let kept = Kept { request: request.number, seq: request.seq, sent: at, acked: None, changes };
                slot.kept = Some(kept);
                return;
            }
            unclear = slot.displaces;
            displaces = !regular && live;
            loose = slot.loose + u32::from(slot.left.as_ref().is_some_and(|left| left.reported.is_none()));
        }
        request.fresh.push(index);
        let fresh = Slot {
            wanted,
            by: request.number,
            asked: request.seq,
            asked_at: at,
            state: None,
            state_seq: request.seq,
            known: regular && !self.unsure && !unclear,
            loose,
            displaces: displaces || (unclear && !regular),
            spoilt: false,
            overdue: false,
            kept: None,
            left: None,
            moved_from,
            many: request.special,
            ended: None,
            end_charged: false,
            changes,
            ends: 0,
            content: Content::default(),
        };
        self.slots.insert(index, fresh);
    }

    /// The request was granted.
    pub(super) fn granted(&mut self, number: u32, mark: Mark) {
        for slot in self.slots.values_mut() {
            if let Some(left) = slot.left.as_mut().filter(|left| left.request == number) {
                left.since = Some(mark);
            }
            if let Some(kept) = slot.kept.as_mut().filter(|kept| kept.request == number) {
                kept.acked = Some(mark.at);
            }
        }
        if let Some(request) = self.request_mut(number) {
            request.acked = Some(mark);
        }
    }

    /// The request was refused. Whether it was worked on in part is open; `regular` says that it had to be granted, so
    /// that nothing is known any more of what the server takes for subscribed.
    pub(super) fn refused(&mut self, number: u32, regular: bool) {
        self.unsure |= regular;
        self.refused.push(number);
        for slot in self.slots.values_mut() {
            if slot.left.as_ref().is_some_and(|left| left.request == number) {
                slot.left = None;
            }
            if slot.kept.is_some_and(|kept| kept.request == number) {
                slot.kept = None;
            }
            slot.known &= !regular;
        }
        if let Some(request) = self.request_mut(number) {
            request.settled = true;
        }
    }

    /// Looks whether a granted request is settled now. Returns whether it just became so.
    pub(super) fn settle(&mut self, number: u32) -> bool {
        let Some(request) = self.requests.iter().find(|request| request.number == number) else { return false };
        if request.settled || request.acked.is_none() {
            return false;
        }
        let open_fresh = request.fresh.iter().any(|index| {
            self.slots
                .get(index)
                .is_some_and(|slot| slot.by == number && slot.left.is_none() && !slot.is_settled() && !slot.overdue)
        });
        let open_left = request.left.iter().any(|index| {
            let left = self.slots.get(index).and_then(|slot| slot.left.as_ref());
            left.is_some_and(|left| left.request == number && left.reported.is_none() && !left.charged)
        });
        if open_fresh || open_left {
            return false;
        }
        if let Some(request) = self.request_mut(number) {
            request.settled = true;
        }
        true
    }

    fn forget(&mut self) {
        while self.requests.len() > REMEMBERED {
            self.requests.pop_front();
        }
        if self.slots.len() > 2 * REMEMBERED {
            let old: Vec<u64> = self
                .slots
                .iter()
                .filter(|(_, slot)| slot.left.as_ref().is_some_and(|left| left.reported.is_some()))
                .map(|(index, _)| *index)
                .take(REMEMBERED)
                .collect();
            for index in old {
                self.slots.remove(&index);
            }
        }
    }
}
