//! Connections to receivers: sets out, answers in, repetitions.
//!
//! A receiver has at most one set under way. What fails is put back and repeated after a wait that grows up to a limit;
//! nothing else goes to that receiver meanwhile. The status line and the header of an answer decide: the guide's own
//! sample receiver answers without a body and without a length on a connection that it keeps open.

use std::sync::Arc;
use std::time::Duration;

use super::receivers::{HARD_LIMIT, Link};
use super::record::{Draft, Made, Parcel, Post, ReceiverKey};
use super::wire;
use crate::emulator::change::Note;
use crate::emulator::core::Core;
use crate::emulator::mutant::{Question, seen};
use crate::emulator::settings::Settings;
use crate::emulator::timers::Due;
use crate::emulator::typed::{Effect, LinkKey};
use crate::emulator::values::{Count, Repeat, WhiteSpace};
use crate::protocol::cdr::NewSet;
use crate::protocol::http1::{AnswerReader, NextAnswer, Unframed};

impl Core {
    /// Gives a record its index and queues it for every receiver.
    pub(super) fn number(&mut self, draft: Draft) {
        let counts = self.settings.cdr_count_unreceived;
        if !counts && self.cdr.receivers.values().all(|receiver| receiver.target.is_none()) {
            return;
        }
        let index = self.cdr.next;
        self.cdr.next += 1;
        let made = Arc::new(Made { index, at: self.now, draft });
        let most = usize::try_from(self.settings.cdr_queue).unwrap_or(usize::MAX).max(1);
        self.cdr.kept.push_back(Arc::clone(&made));
        while self.cdr.kept.len() > most {
            self.cdr.kept.pop_front();
        }
        for (key, receiver) in &mut self.cdr.receivers {
            if receiver.target.is_none() || !self.mutants.decide(Question::Receives { receiver: *key, index }, true) {
                continue;
            }
            let waiting = receiver.queue.len();
            let full = (receiver.is_failing() && waiting >= most) || waiting >= HARD_LIMIT;
            let discards = self.mutants.decide(Question::Discards { receiver: *key, waiting }, full);
            receiver.push(Arc::clone(&made), discards, self.settings.cdr_overflow);
        }
    }

    /// Numbers a record that a mutant has delayed.
    pub(in crate::emulator) fn number_late(&mut self, draft: Draft) {
        self.number(draft);
        self.deliver_to_all();
    }

    /// Sends to every receiver what may be sent.
    pub(in crate::emulator) fn deliver_to_all(&mut self) {
        let keys: Vec<ReceiverKey> = self.cdr.receivers.keys().copied().collect();
        for key in keys {
            self.deliver(key);
        }
    }

    /// Sends a receiver what may be sent.
    pub(in crate::emulator) fn deliver(&mut self, key: ReceiverKey) {
        while self.may_send(key) {
            let Some(parcel) = self.next_parcel(key) else { return };
            self.dispatch(key, parcel);
        }
    }

    fn may_send(&mut self, key: ReceiverKey) -> bool {
        let Some(receiver) = self.cdr.receivers.get(&key) else { return false };
        let down = self.cdr.down_until.is_some();
        if receiver.target.is_none() || down || receiver.pause_until > self.now {
            return false;
        }
        if receiver.queue.is_empty() && receiver.waiting.is_empty() {
            return false;
        }
        let others_failing = self.cdr.receivers().any(|(other, known)| other != key && known.is_failing());
        let others_waiting = self.cdr.links.values().any(|link| link.receiver != key && link.parcel.is_some());
        let goes_alone = Question::GoesAlone { receiver: key, others_failing, others_waiting };
        if !self.mutants.decide(goes_alone, true) {
            self.timers.at(self.now + Duration::from_millis(50), Due::Deliver(key));
            return false;
        }
        let outstanding = self.cdr.outstanding(key) as u64;
        self.mutants.decide(Question::MaySendNext { receiver: key, outstanding }, outstanding == 0)
    }

    /// The set to be sent next: one that was sent in vain, or a new one when enough was collected.
    fn next_parcel(&mut self, key: ReceiverKey) -> Option<Parcel> {
        let receiver = self.cdr.receivers.get_mut(&key)?;
        if !receiver.waiting.is_empty() {
            let repeats = self.mutants.decide(Question::RepeatsFirst { receiver: key }, true);
            if repeats || receiver.queue.is_empty() {
                return receiver.waiting.pop_front();
            }
        }
        let most = match self.settings.cdr_batch {
            Count::Any => usize::MAX,
            Count::Of(most) => usize::try_from(most).unwrap_or(usize::MAX).max(1),
        };
        let ready_at = receiver.queue.front()?.at + self.settings.cdr_batch_delay;
        if ready_at > self.now && receiver.queue.len() < most {
            if receiver.batch_at != Some(ready_at) {
                receiver.batch_at = Some(ready_at);
                self.timers.at(ready_at, Due::Deliver(key));
            }
            return None;
        }
        let set = self.empty_set();
        self.cdr.receivers.get_mut(&key)?.next_parcel(&self.settings, set, most)
    }

    fn empty_set(&self) -> NewSet {
        NewSet {
            session: Some(self.cdr.session.clone()),
            call_bridge: self.settings.clustered.then(|| self.world.bridge.clone()),
            records: Vec::new(),
        }
    }

    /// Sends a set over an idle connection, or over a new one.
    fn dispatch(&mut self, key: ReceiverKey, mut parcel: Parcel) {
        let Some(target) = self.cdr.receivers.get(&key).and_then(|receiver| receiver.target.clone()) else { return };
        parcel.attempts += 1;
        let deadline = self.now + self.settings.cdr_answer_timeout;
        let idle =
            self.cdr.links.iter_mut().find(|(_, link)| link.receiver == key && link.parcel.is_none() && !link.left);
        let link = if let Some((id, link)) = idle {
            let id = *id;
            link.parcel = Some(parcel);
            link.deadline = deadline;
            self.post(id);
            id
        } else {
            self.cdr.last_link += 1;
            let id = LinkKey(self.cdr.last_link);
            let answers = AnswerReader::new(Unframed::NoBody);
            self.cdr.links.insert(id, Link { receiver: key, answers, parcel: Some(parcel), deadline, left: false });
            self.emit_link(Effect::OpenLink { link: id, address: target.address });
            id
        };
        self.timers.at(deadline, Due::LinkOverdue(link));
    }

    /// Takes the POST of a connection's set through the mutants and sends what they let through.
    fn post(&mut self, link: LinkKey) {
        let Some(known) = self.cdr.links.get(&link) else { return };
        let Some(parcel) = &known.parcel else { return };
        let Some(target) = self.cdr.receivers.get(&known.receiver).and_then(|known| known.target.as_ref()) else {
            return;
        };
        let post = Post {
            receiver: known.receiver,
            attempt: parcel.attempts,
            method: "POST".to_owned(),
            target: target.path.clone(),
            headers: wire::headers(&self.settings, target),
            set: parcel.set.clone(),
        };
        let view = seen!(self);
        for (delay, post) in self.mutants.post(&view, post) {
            if delay.is_zero() {
                self.send_post(link, &post);
            } else {
                self.timers.at(self.now + delay, Due::Post(link, Box::new(post)));
            }
        }
    }

    /// Writes a POST and sends it.
    pub(in crate::emulator) fn send_post(&mut self, link: LinkKey, post: &Post) {
        if !self.cdr.links.contains_key(&link) {
            return;
        }
        let mut root = post.set.to_element();
        if self.settings.cdr_extra_fields {
            root = root.attribute("release", "3");
            root.children.iter_mut().for_each(|record| record.attributes.push(("node".to_owned(), "1".to_owned())));
        }
        let mut body = match self.settings.cdr_white_space {
            WhiteSpace::None => root.to_document(),
            WhiteSpace::Pretty => wire::indented(&root),
        }
        .into_bytes();
        self.mutants.body(post.receiver, &mut body);
        let mut bytes = wire::request(&self.settings, post, &body);
        self.cdr.posts += 1;
        let cut = is_turn(self.settings.cdr_cut_every, self.cdr.posts);
        if cut {
            bytes.truncate(bytes.len() - body.len() / 2);
        }
        self.note_set(link, |receiver, records| Note::Posted { receiver, records });
        self.emit_link(Effect::SendLink { link, bytes });
        if cut {
            self.give_up(link);
        }
    }

    /// A connection is open: its set goes out.
    pub(in crate::emulator) fn link_opened(&mut self, link: LinkKey) {
        self.post(link);
    }

    /// A connection could not be opened, or has ended.
    pub(in crate::emulator) fn link_ended(&mut self, link: LinkKey) {
        if let Some(known) = self.cdr.links.remove(&link) {
            self.fails(known);
        }
    }

    /// Patience with a set may be over.
    pub(in crate::emulator) fn link_overdue(&mut self, link: LinkKey) {
        let overdue = |known: &Link| known.parcel.is_some() && known.deadline <= self.now;
        let idle = |known: &Link| known.parcel.is_none() && !known.left && known.deadline <= self.now;
        let Some(known) = self.cdr.links.get_mut(&link) else { return };
        if idle(known) && !self.settings.cdr_idle_limit.is_zero() {
            self.give_up(link);
        } else if overdue(known) && self.settings.cdr_half_open {
            known.left = true;
            let (key, parcel) = (known.receiver, known.parcel.take());
            if let Some(parcel) = parcel {
                self.note(|| Note::Unanswered { receiver: key, records: parcel.indexes() });
                self.put_back(key, parcel, None);
            }
        } else if overdue(known) {
            self.give_up(link);
        }
    }

    fn give_up(&mut self, link: LinkKey) {
        if let Some(known) = self.cdr.links.remove(&link) {
            self.emit_link(Effect::CloseLink { link });
            self.fails(known);
        }
    }

    /// A receiver has sent bytes: an answer, or something that does not belong.
    pub(in crate::emulator) fn link_bytes(&mut self, link: LinkKey, bytes: &[u8]) {
        let Some(known) = self.cdr.links.get_mut(&link) else { return };
        if known.left {
            return;
        }
        known.answers.feed(bytes);
        match known.answers.next() {
            NextAnswer::NeedMore if known.parcel.is_some() => {}
            NextAnswer::Answer { status, keep_alive } if known.parcel.is_some() => {
                let rest = known.answers.next();
                self.answered_on(link, status, keep_alive && rest == NextAnswer::NeedMore);
            }
            _ => self.give_up(link),
        }
    }

    fn answered_on(&mut self, link: LinkKey, status: u16, keep_alive: bool) {
        self.cdr.answers += 1;
        if is_turn(self.settings.cdr_lose_every, self.cdr.answers) {
            return self.give_up(link);
        }
        let Some(known) = self.cdr.links.get_mut(&link) else { return };
        let (key, Some(parcel)) = (known.receiver, known.parcel.take()) else { return };
        let keeps = keep_alive && self.settings.cdr_keep_alive;
        if !self.mutants.decide(Question::KeepsConnection { receiver: key }, keeps) {
            self.cdr.links.remove(&link);
            self.emit_link(Effect::CloseLink { link });
        } else if !self.settings.cdr_idle_limit.is_zero()
            && let Some(known) = self.cdr.links.get_mut(&link)
        {
            known.deadline = self.now + self.settings.cdr_idle_limit;
            self.timers.at(known.deadline, Due::LinkOverdue(link));
        }
        let good = is_good(&self.settings, status);
        self.note(|| Note::Answered { receiver: key, records: parcel.indexes(), status, good });
        if !self.mutants.decide(Question::IsAcknowledged { receiver: key, status }, good) {
            self.put_back(key, parcel, Some(status));
            return;
        }
        if let Some(receiver) = self.cdr.receivers.get_mut(&key) {
            receiver.failing = None;
            receiver.pause = Duration::ZERO;
            receiver.singly = false;
        }
        let idle = self.cdr.receivers.get(&key).is_some_and(|known| known.queue.is_empty() && known.waiting.is_empty());
        if idle && self.mutants.decide(Question::SendsEmptySet { receiver: key }, false) {
            let set = self.empty_set();
            let before = self.cdr.receivers.get(&key).map_or((0, 1), |known| (known.expected, known.next_number));
            self.dispatch(key, Parcel { set, first: self.cdr.next, attempts: 0, made: Vec::new(), before });
        }
        self.deliver(key);
    }

    /// Takes a note of the set that is under way on a connection.
    fn note_set(&mut self, link: LinkKey, note: impl FnOnce(ReceiverKey, Vec<u64>) -> Note) {
        if self.notes.is_none() {
            return;
        }
        let set = self.cdr.links.get(&link).and_then(|known| Some((known.receiver, known.parcel.as_ref()?.indexes())));
        if let Some((receiver, records)) = set {
            self.note(|| note(receiver, records));
        }
    }

    fn fails(&mut self, link: Link) {
        if let Some(parcel) = link.parcel {
            self.note(|| Note::Unanswered { receiver: link.receiver, records: parcel.indexes() });
            self.put_back(link.receiver, parcel, None);
        }
    }

    /// Puts a set back that was sent in vain, and waits.
    fn put_back(&mut self, key: ReceiverKey, parcel: Parcel, status: Option<u16>) {
        let attempt = parcel.attempts;
        let repeats = self.mutants.decide(Question::IsRepeated { receiver: key, attempt, status }, true);
        let alarm = self.world.new_id_aside();
        let Some(receiver) = self.cdr.receivers.get_mut(&key) else { return };
        match self.settings.cdr_repeat {
            _ if !repeats => {}
            Repeat::Same => receiver.put_back(parcel),
            Repeat::Anew => receiver.take_apart(parcel),
            Repeat::Single => {
                receiver.singly = true;
                receiver.take_apart(parcel);
            }
        }
        if !status.is_some_and(|status| is_good(&self.settings, status)) {
            receiver.failing.get_or_insert((self.now, alarm));
        }
        let factor = u32::try_from(self.settings.cdr_retry_factor.clamp(1, 100)).unwrap_or(1);
        let longest = self.settings.cdr_retry_longest.max(self.settings.cdr_retry_first);
        receiver.pause = if receiver.pause.is_zero() {
            self.settings.cdr_retry_first
        } else {
            receiver.pause.saturating_mul(factor).min(longest)
        };
        receiver.pause_until = self.now + receiver.pause;
        self.timers.at(receiver.pause_until, Due::Deliver(key));
    }

    /// Ends all connections to a receiver. What was under way is put back without a failure, if it is to be kept.
    pub(super) fn close_links(&mut self, key: ReceiverKey) {
        let links: Vec<LinkKey> =
            self.cdr.links.iter().filter(|(_, link)| link.receiver == key).map(|(id, _)| *id).collect();
        for link in links {
            let known = self.cdr.links.remove(&link);
            self.emit_link(Effect::CloseLink { link });
            if let (Some(parcel), Some(receiver)) =
                (known.and_then(|known| known.parcel), self.cdr.receivers.get_mut(&key))
            {
                receiver.put_back(parcel);
            }
        }
    }
}

/// Whether it is the turn of what happens every so often.
const fn is_turn(every: u64, count: u64) -> bool {
    every > 1 && count.is_multiple_of(every)
}

/// Whether an answer with this status acknowledges a set.
fn is_good(settings: &Settings, status: u16) -> bool {
    if settings.cdr_strict_200 { status == 200 } else { (200..300).contains(&status) }
}
