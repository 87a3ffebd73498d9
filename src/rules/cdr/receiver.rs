//! One CDR receiver as the trace shows it: where it listens, whether the Call Bridge has been told of it, what it was sent
//! in each session, and what it is still owed.

use std::time::Duration;

use super::identity::text_digest;
use super::spans::{Few, Spans};
use super::uptime::Uptime;
use crate::time::Instant;
use crate::trace::{LinkId, ReceiverId, Seq, SetId};

/// How many sessions of one receiver are followed; of more the oldest are forgotten.
const CHAINS: usize = 8;

/// How long a Call Bridge may wait at most before it tries again, however long it has been failing.
const LONGEST_WAIT: Duration = Duration::from_secs(300);

/// How many stretches of records that failed, or that are missing, are followed.
const OWED: usize = 64;

/// How many paths of one receiver are remembered.
const TARGETS: usize = 4096;

/// The parts of a receiver's URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) https: bool,
    pub(super) host: String,
    pub(super) port: u16,
    /// Whether the port is written out.
    pub(super) explicit_port: bool,
    /// Path and query, as a request has to name them.
    pub(super) target: String,
}

impl Address {
    /// The parts of an http or https URI.
    pub(super) fn of(uri: &str) -> Option<Self> {
        let (scheme, rest) = uri.trim().split_once("://")?;
        let https = scheme.eq_ignore_ascii_case("https");
        if !https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at(end);
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, Some(port)),
            _ => (authority, None),
        };
        let port = port.filter(|port| !port.is_empty());
        let target = target.split('#').next().unwrap_or_default();
        Some(Self {
            https,
            host: host.to_ascii_lowercase(),
            port: port.map_or(Some(if https { 443 } else { 80 }), |port| port.parse().ok())?,
            explicit_port: port.is_some(),
            target: if target.starts_with('/') { target.to_owned() } else { format!("/{target}") },
        })
    }

    /// Whether both lead to the same listener.
    pub(super) fn reaches(&self, other: &Self) -> bool {
        (self.https, &self.host, self.port) == (other.https, &other.host, other.port)
    }

    /// Whether it is one of the special forms: https, a port that is not written out, a query.
    pub(super) fn is_special(&self) -> bool {
        self.https || !self.explicit_port || self.target.contains('?')
    }
}

/// Whether the Call Bridge has been told of a receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Not in this trace; it may have been all the same.
    Unknown,
    /// Nothing could tell, since the trace has no API: neither who was told to send here, nor for how long.
    Alone,
    /// It was told to send here.
    On {
        /// When that was asked for, and when it was granted.
        asked: Instant,
        answered: Instant,
        /// Whether this is the first time in this trace, and by a new object.
        first: bool,
        seq: Seq,
    },
    /// It was told to send here no more.
    Off { at: Instant, seq: Seq },
    /// The same, but a request was sent that may have put it on again.
    Returning { at: Instant, seq: Seq },
    /// It was told so, and then to send elsewhere, by a change that may not have been heeded.
    Open,
}

/// Records that were not acknowledged and have to come again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) first: u64,
    pub(super) last: u64,
    /// When it failed, on the receiver's clock.
    pub(super) since: Duration,
    pub(super) received: Seq,
    pub(super) failed: Seq,
    /// A set with later records that came in between.
    pub(super) overtaken: Option<Seq>,
}

/// Records that are missing, and nothing says yet why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gap {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) since: Duration,
    pub(super) seq: Seq,
    /// What was wrong with the receiver shortly before.
    pub(super) after: Option<Trouble>,
    /// Where another receiver failed when it showed.
    pub(super) others: Option<Seq>,
}

/// What one receiver was sent in one session.
#[derive(Debug, Default)]
pub(super) struct Chain {
    pub(super) session: u128,
    pub(super) first: Option<u64>,
    pub(super) highest: Option<u64>,
    /// Where the highest was received, and when.
    pub(super) seq: Seq,
    pub(super) advanced: Instant,
    /// The same before the records that came last, one at once after the other.
    pub(super) rested: Instant,
    /// What the Call Bridge surely knows to have arrived.
    pub(super) acked: Spans,
    /// What it may have taken for arrived.
    pub(super) doubtful: Spans,
    /// The recordIndex up to which it is sure, and the highest seen.
    pub(super) numbered: Option<(u64, u64)>,
    pub(super) pending: Vec<Pending>,
    pub(super) gaps: Vec<Gap>,
    /// Records that arrived and got another 2xx or a 3xx.
    pub(super) odd_answer: Option<(Few, u16)>,
    /// Since when another receiver has records that this one lacks.
    pub(super) behind: Option<Duration>,
    /// Nothing says where the next set has to begin.
    pub(super) loose: bool,
    /// Nothing says which recordIndex comes next.
    pub(super) unnumbered: bool,
    /// Whether it was judged that the first record after a restart is record 0.
    pub(super) zero_judged: bool,
    /// The record that said last how many were discarded before it: its index, that number, and where.
    pub(super) declared: Option<(u64, u64, Seq)>,
}

impl Chain {
    /// Notes that records have to come again.
    pub(super) fn owe(&mut self, spans: &Few, since: Duration, received: Seq, failed: Seq) {
        for (first, last) in spans.iter() {
            // It may have come twice, and the other one may have been acknowledged.
            if self.acked.overlaps(first, last) || self.doubtful.overlaps(first, last) {
                continue;
            }
            self.settle(first, last, |_| {});
            if self.pending.len() == OWED {
                self.pending.remove(0);
            }
            self.pending.push(Pending { first, last, since, received, failed, overtaken: None });
        }
    }

    /// Takes a stretch out of what has to come again; `each` sees what it was part of.
    pub(super) fn settle(&mut self, first: u64, last: u64, mut each: impl FnMut(&Pending)) {
        let mut at = 0;
        while let Some(pending) = self.pending.get(at).copied() {
            if pending.last < first || pending.first > last {
                at += 1;
                continue;
            }
            each(&pending);
            self.pending.swap_remove(at);
            if pending.first < first {
                self.pending.push(Pending { last: first - 1, ..pending });
            }
            if pending.last > last {
                self.pending.push(Pending { first: last + 1, ..pending });
            }
        }
    }

    /// Notes that records are missing.
    pub(super) fn miss(&mut self, gap: Gap) {
        if self.gaps.len() == OWED {
            self.gaps.remove(0);
        }
        self.gaps.push(gap);
    }

    /// Forgets what is owed.
    pub(super) fn forgive(&mut self) {
        self.pending.clear();
        self.gaps.clear();
        self.behind = None;
    }
}

/// What makes a receiver miss records, or take them without the Call Bridge knowing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It took no connections.
    Closed,
    /// It answered otherwise than by 200, late, or not at all.
    Unanswered,
    /// It let go of a connection in the middle of a set.
    Cut,
}

/// The latest trouble.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    pub(super) kind: Kind,
    pub(super) at: Instant,
    pub(super) seq: Seq,
}

/// What a receiver must be told about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Start,
    End,
}

/// A record that another receiver got while this one had none of the session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lacking {
    pub(super) session: u128,
    pub(super) index: u64,
    pub(super) since: Duration,
    pub(super) seq: Seq,
}

/// A record that something else in the trace lets expect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) call: u128,
    pub(super) part: Part,
    pub(super) since: Duration,
    pub(super) at: Instant,
    /// What lets expect it.
    pub(super) seq: Seq,
}

/// A set that arrived and has no answer yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct OpenSet {
    pub(super) set: SetId,
    pub(super) receiver: ReceiverId,
    pub(super) link: LinkId,
    pub(super) session: Option<u128>,
    pub(super) spans: Few,
    pub(super) last_record_index: Option<u64>,
    pub(super) arrived: Instant,
    pub(super) seq: Seq,
    /// Whether the Call Bridge may have waited longer for the answer than the trace shows.
    pub(super) slow: bool,
    /// Whether it was sent again meanwhile: the Call Bridge does not wait for the answer any more.
    pub(super) given_up: bool,
    /// Whether the request asked for the connection to be closed after the answer.
    pub(super) closes: bool,
    /// Whether it did so although no other set had come on the connection.
    pub(super) single: bool,
}

/// The set that was answered last on some connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered {
    pub(super) link: LinkId,
    pub(super) at: Instant,
    pub(super) seq: Seq,
    /// Whether it was answered 200, whole and at once.
    pub(super) sure: bool,
    pub(super) slow: bool,
    /// Whether the request asked for the connection to be closed after it.
    pub(super) closes: bool,
    pub(super) single: bool,
    pub(super) session: Option<u128>,
    pub(super) spans: Few,
    /// Whether the Call Bridge ended the connection right after that answer.
    pub(super) dropped: Option<Seq>,
}

/// One receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) id: ReceiverId,
    pub(super) address: Option<Address>,
    pub(super) listening: bool,
    pub(super) clock: Uptime,
    pub(super) standing: Standing,
    /// What was asked for first, while it is alone, as a number: another one is another entry of the list.
    target: Option<u64>,
    /// When the Call Bridge was told of it, on the receiver's clock, if it listened by then.
    pub(super) told: Option<Duration>,
    pub(super) lacking: Option<Lacking>,
    /// A request that takes it off is under way.
    pub(super) leaving: bool,
    /// Whether several entries of the Call Bridge lead here, so that several streams of records arrive.
    pub(super) shared: bool,
    /// Until when sets of an earlier entry may still arrive.
    pub(super) settles: Option<Instant>,
    /// Path and query in every form that was configured.
    pub(super) targets: Vec<String>,
    pub(super) chains: Vec<Chain>,
    pub(super) sets: u64,
    /// When the latest arrived.
    pub(super) last_set: Option<Instant>,
    /// When one arrived whose records could not be read.
    pub(super) unreadable: Option<Instant>,
    /// Whether two sets were outstanding here, so that connections and numbers say nothing.
    pub(super) overlapped: bool,
    /// Whether any connection was ever opened here.
    pub(super) connected: bool,
    /// Whether somebody ended a TLS handshake here.
    pub(super) distrusted: bool,
    /// When something arrived or failed last, on the receiver's clock.
    pub(super) active: Duration,
    pub(super) trouble: Option<Trouble>,
    /// The trouble that is over: all that it may have cost lies before what arrived since.
    pub(super) over: Option<Seq>,
    /// When a set was surely acknowledged after something had failed.
    pub(super) healed: Option<Instant>,
    /// Since when no set was surely acknowledged and something failed.
    pub(super) failing: Option<Instant>,
    pub(super) cut: Option<(Duration, Seq)>,
    /// When it was charged last that something was not sent here again.
    pub(super) given_up: Option<Instant>,
    pub(super) answered: Option<Answered>,
    pub(super) expected: Vec<Expected>,
}

impl Receiver {
    pub(super) fn new(id: ReceiverId) -> Self {
        Self {
            id,
            address: None,
            listening: false,
            clock: Uptime::default(),
            standing: Standing::Unknown,
            target: None,
            told: None,
            lacking: None,
            leaving: false,
            shared: false,
            settles: None,
            targets: Vec::new(),
            chains: Vec::new(),
            sets: 0,
            last_set: None,
            unreadable: None,
            overlapped: false,
            connected: false,
            distrusted: false,
            active: Duration::ZERO,
            trouble: None,
            over: None,
            healed: None,
            failing: None,
            cut: None,
            given_up: None,
            answered: None,
            expected: Vec::new(),
        }
    }

    /// Takes note of what is asked for. Of a receiver that is alone in a trace, nothing else shows that it stands in the
    /// list twice.
    pub(super) fn asked_for(&mut self, target: &str) {
        let target = text_digest(target);
        if self.is_alone() && *self.target.get_or_insert(target) != target {
            self.shared = true;
        }
    }

    /// Path and query of a URI that was configured, or asked for.
    pub(super) fn may_be_asked_for(&mut self, target: String) {
        if !self.targets.contains(&target) && self.targets.len() < TARGETS {
            self.targets.push(target);
        }
    }

    /// Whether what it lacks is followed: the Call Bridge has to send here, or sends although nothing could tell why.
    pub(super) const fn is_followed(&self) -> bool {
        self.is_on() || self.is_alone()
    }

    /// Whether it is alone in the trace, without any API.
    pub(super) const fn is_alone(&self) -> bool {
        matches!(self.standing, Standing::Alone)
    }

    /// Whether the Call Bridge has to send here.
    pub(super) const fn is_on(&self) -> bool {
        matches!(self.standing, Standing::On { .. }) && !self.leaving
    }

    /// Whether what arrives has to be in order: one stream, and of one entry.
    pub(super) fn is_ordered(&self, at: Instant) -> bool {
        let gone = self.leaving || matches!(self.standing, Standing::Off { .. });
        !gone && !self.shared && self.settles.is_none_or(|until| at >= until)
    }

    /// The place of a session's chain, which begins if it is new.
    pub(super) fn chain_of(&mut self, session: u128) -> usize {
        if let Some(place) = self.chains.iter().position(|chain| chain.session == session) {
            return place;
        }
        if self.chains.len() == CHAINS {
            self.chains.remove(0);
        }
        self.chains.push(Chain { session, ..Chain::default() });
        self.chains.len() - 1
    }

    /// The chain of a session, if it has begun.
    pub(super) fn chain(&mut self, session: u128) -> Option<&mut Chain> {
        self.chains.iter_mut().find(|chain| chain.session == session)
    }

    /// The Call Bridge was told of this receiver. If that was before it listened, it may wait before it tries again.
    pub(super) fn told_of(&mut self, answered: Instant, at: Instant) {
        self.told = (self.clock.runs() && answered == at).then(|| self.clock.elapsed(at));
    }

    /// Nothing is owed any more.
    pub(super) fn forgive(&mut self) {
        self.chains.iter_mut().for_each(Chain::forgive);
        self.cut = None;
        self.lacking = None;
        self.expected.clear();
    }

    /// What comes next may begin anywhere.
    pub(super) fn loosen(&mut self) {
        self.given_up = None;
        self.chains.clear();
        self.answered = None;
    }

    /// Notes trouble.
    pub(super) fn troubled(&mut self, kind: Kind, at: Instant, seq: Seq) {
        self.trouble = Some(Trouble { kind, at, seq });
        self.failing.get_or_insert(at);
        self.active = self.clock.elapsed(at);
    }

    /// A record arrived that may have been expected.
    pub(super) fn got(&mut self, call: u128, part: Part) {
        self.expected.retain(|expected| (expected.call, expected.part) != (call, part));
    }

    /// Whether the Call Bridge may refuse the receiver's certificate: it tried, and no connection ever came about.
    pub(super) fn is_untrusted(&self) -> bool {
        self.distrusted && !self.connected && self.address.as_ref().is_some_and(|address| address.https)
    }

    /// How long the Call Bridge may wait before it tries again: `redelivery` after one failure, a little more than twice
    /// that after several. The guides do not say how it backs off; it may wait for four times as long as it has been
    /// failing, but not for ever.
    pub(super) fn patience(&self, redelivery: Duration) -> Duration {
        let failing = self.failing.zip(self.trouble).map(|(since, trouble)| trouble.at.since(since));
        let failing = failing.unwrap_or_default();
        if failing.is_zero() {
            return redelivery;
        }
        let several = redelivery.saturating_mul(2) + redelivery / 6;
        several.max(failing.saturating_mul(4).min(LONGEST_WAIT))
    }

    /// The trouble that may have cost it records.
    pub(super) fn costly_trouble(&self) -> Option<Trouble> {
        self.trouble.filter(|trouble| self.over != Some(trouble.seq))
    }

    /// Whether something went wrong here that is not made up for.
    pub(super) fn is_failing(&self) -> bool {
        !self.listening || self.awaits_repetition()
    }

    /// Whether something has to be sent here again.
    pub(super) fn awaits_repetition(&self) -> bool {
        self.cut.is_some() || self.chains.iter().any(|chain| !chain.pending.is_empty())
    }

    /// Whether it was in trouble at some time since then, or is.
    pub(super) fn was_troubled(&self, since: Instant) -> bool {
        !self.listening || self.trouble.is_some_and(|trouble| trouble.at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_taken_apart_in_every_documented_form() {
        let parts = |uri: &str| {
            let address = Address::of(uri).unwrap();
            (address.https, address.host, address.port, address.target)
        };
        assert_eq!(parts("http://m.example/cdr"), (false, "m.example".into(), 80, "/cdr".into()));
        assert_eq!(parts("HTTPS://M.example"), (true, "m.example".into(), 443, "/".into()));
        assert_eq!(parts("http://m:8080?a=b/c#d"), (false, "m".into(), 8080, "/?a=b/c".into()));
        assert_eq!(parts("http://[::1]:81/x?y=%20"), (false, "[::1]".into(), 81, "/x?y=%20".into()));
        assert_eq!(parts("http://[::1]/x"), (false, "[::1]".into(), 80, "/x".into()));
        assert_eq!(Address::of("ftp://m/"), None);
        assert_eq!(Address::of("http://m:99999/"), None);
    }

    #[test]
    fn what_came_again_is_owed_no_more() {
        let mut chain = Chain::default();
        let mut few = Few::default();
        (0..10).for_each(|index| few.push(index));
        chain.owe(&few, Duration::ZERO, Seq(1), Seq(2));
        let mut seen = 0;
        chain.settle(3, 4, |_| seen += 1);
        let mut left: Vec<(u64, u64)> = chain.pending.iter().map(|pending| (pending.first, pending.last)).collect();
        left.sort_unstable();
        assert_eq!((seen, left), (1, vec![(0, 2), (5, 9)]));
    }
}
