//! The connections of a Call Bridge, and what a set's head says: whether it is a POST to the configured path (CDR-01,
//! CDR-16), over a connection that is kept (CDR-18), and in which form (CDR-23).

use std::collections::BTreeMap;
use std::time::Duration;

use super::Moment;
use super::receiver::{Address, Kind, Receiver, Standing};
use super::sessions::Sessions;
use crate::protocol::cdr::Set;
use crate::protocol::cdr::names::RECORDS;
use crate::protocol::http1::Head;
use crate::rules::docket::quote;
use crate::rules::registry::R;
use crate::time::Instant;
use crate::trace::{EndCause, LinkId, ReceiverId, Seq};

/// How long an answer may take and surely still finds the Call Bridge waiting.
pub(super) const PROMPT: Duration = Duration::from_secs(1);

/// How many links are followed; a sender that opens more without ending any is followed no further.
const LINKS: usize = 4096;

/// One connection.
#[derive(Debug, Clone)]
pub(super) struct Link {
    pub(super) receiver: ReceiverId,
    pub(super) opened: Instant,
    /// When it was opened, or a set on it was answered.
    pub(super) idle_since: Instant,
    /// The session that it carried last.
    pub(super) session: Option<(u128, Seq)>,
    pub(super) sets: u64,
    /// When a set arrived that then got no answer.
    pub(super) unanswered: Option<Instant>,
    /// What arrived is no HTTP request.
    fault: Option<(Seq, String)>,
}

/// All connections.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<LinkId, Link>);

impl Links {
    /// A connection was opened.
    pub(super) fn opened(&mut self, link: LinkId, receiver: &Receiver, at: Instant) {
        if self.0.len() < LINKS {
            let fresh = Link {
                receiver: receiver.id,
                opened: at,
                idle_since: at,
                session: None,
                sets: 0,
                unanswered: None,
                fault: None,
            };
            self.0.insert(link, fresh);
        }
    }

    /// The connection.
    pub(super) fn get(&mut self, link: LinkId) -> Option<&mut Link> {
        self.0.get_mut(&link)
    }

    /// Whether a receiver has a connection.
    pub(super) fn has(&self, receiver: ReceiverId) -> bool {
        self.0.values().any(|link| link.receiver == receiver)
    }

    /// Whether a receiver has another connection that carries the records of a session.
    pub(super) fn has_beside(&self, link: LinkId, receiver: ReceiverId, session: u128) -> bool {
        let carries = |other: &Link| other.session.is_some_and(|(carried, _)| carried == session);
        self.0.iter().any(|(id, other)| *id != link && other.receiver == receiver && carries(other))
    }

    /// Something arrived that is no request.
    pub(super) fn faulty(&mut self, link: LinkId, what: &str, seq: Seq) {
        if let Some(link) = self.0.get_mut(&link) {
            link.fault = Some((seq, quote(what)));
        }
    }

    /// A connection is gone.
    pub(super) fn ended(
        &mut self,
        id: LinkId,
        cause: EndCause,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &mut Moment<'_>,
    ) {
        let Some(link) = self.0.remove(&id) else { return };
        let Some(receiver) = receivers.get_mut(&link.receiver) else { return };
        if let Some(fault) = link.fault {
            judge_fault(receiver, cause, fault, moment);
        }
        let by_peer = matches!(cause, EndCause::PeerClosed | EndCause::PeerReset);
        if let Some(arrived) = link.unanswered.filter(|_| by_peer) {
            moment.docket.note(R::Cdr23, "answer-patience", coarse(moment.at.since(arrived)));
        }
        receiver.link_ended(id, cause, moment);
    }
}

/// What could not be read as HTTP accuses the Call Bridge only where it was told to send.
fn judge_fault(receiver: &Receiver, cause: EndCause, (fault, what): (Seq, String), moment: &mut Moment<'_>) {
    if cause == EndCause::TooLong {
        moment.docket.undecided(R::Cdr01, format!("a request is longer than the receiver reads: {what}"));
    } else if matches!(receiver.standing, Standing::On { .. }) {
        // Where nothing else ever arrived, it may be the wrong scheme.
        let form = receiver.sets == 0 && receiver.address.as_ref().is_some_and(Address::is_special);
        let rule = if form { R::Cdr16 } else { R::Cdr01 };
        moment.fail(rule, "an HTTP request", "something else".to_owned(), &[fault]);
    }
}

impl Receiver {
    /// A connection is gone on which the last answer was sent.
    fn link_ended(&mut self, link: LinkId, cause: EndCause, moment: &mut Moment<'_>) {
        let Some(answered) = self.answered.as_mut().filter(|answered| answered.link == link) else { return };
        let after = moment.at.since(answered.at);
        let lost = match cause {
            EndCause::PeerClosed => {
                if after <= PROMPT {
                    answered.dropped = Some(moment.seq);
                }
                answered.slow && after <= moment.deadlines.reaction
            }
            EndCause::PeerReset => after <= PROMPT,
            EndCause::Closed => after <= PROMPT && !answered.closes,
            EndCause::Dropped | EndCause::TooLong => after <= PROMPT,
        };
        if lost && std::mem::take(&mut answered.sure) {
            let (session, spans) = (answered.session, answered.spans);
            if let Some(chain) = session.and_then(|session| self.chain(session)) {
                spans.iter().for_each(|(first, last)| chain.acked.remove(first, last));
                chain.numbered = chain.numbered.map(|(_, highest)| (0, highest));
            }
            self.troubled(Kind::Unanswered, moment.at, moment.seq);
        }
    }
}

/// A duration in words that are the same from run to run.
pub(super) fn coarse(duration: Duration) -> &'static str {
    const STEPS: [(u64, &str); 9] = [
        (500, "less than 0.5 s"),
        (1500, "about 1 s"),
        (3500, "about 2 s"),
        (7500, "about 5 s"),
        (12_500, "about 10 s"),
        (17_500, "about 15 s"),
        (25_000, "about 20 s"),
        (45_000, "about 30 s"),
        (90_000, "about 60 s"),
    ];
    let ms = duration.as_millis();
    STEPS.iter().find(|(below, _)| ms < u128::from(*below)).map_or("longer than 90 s", |(_, word)| *word)
}

/// Judges the request that a set came with and whether it can be read. Returns whether the records can be judged.
pub(super) fn head(
    link: Option<&mut Link>,
    receiver: &Receiver,
    head: Head<'_>,
    set: Set<'_>,
    moment: &mut Moment<'_>,
) -> bool {
    if let Some(link) = link {
        link.sets += 1;
        if link.sets == 1 {
            characteristics(head, moment);
        }
    }
    if let Some(encoding) = set.encoding() {
        moment.docket.note(R::Cdr23, "encoding", quote(encoding));
    }
    if set.has_document_type() {
        moment.docket.note_word(R::Cdr23, "document-type", "declared; it is not followed");
    }
    target(receiver, head, moment);
    if let Some(limit) = set.limit().filter(|_| set.is_well_formed()) {
        moment.docket.undecided(R::Cdr01, format!("a set holds more than is read: {limit}"));
        return false;
    }
    let wrong = if !set.is_well_formed() {
        let deviation = set.deviations().iter().find(|deviation| deviation.malformed);
        Some(deviation.map_or_else(String::new, |fault| format!("{} at byte {}", fault.what, fault.at_bytes)))
    } else if head.method != "POST" {
        Some(format!("the method {}", quote(head.method)))
    } else if set.root() != Some(RECORDS) {
        Some(format!("the root element {}", quote(set.root().unwrap_or("none"))))
    } else if set.records().len() == 0 {
        Some("no record".to_owned())
    } else {
        None
    };
    match wrong {
        None => moment.docket.tested(R::Cdr01),
        Some(observed) => {
            moment.fail(R::Cdr01, "a POST of one well-formed document of records", observed, &[]);
            return false;
        }
    }
    true
}

/// The form of a connection's first request.
fn characteristics(head: Head<'_>, moment: &mut Moment<'_>) {
    let docket = &mut *moment.docket;
    docket.note_word(R::Cdr23, "http-version", if head.minor_version == 0 { "1.0" } else { "1.1" });
    docket.note(R::Cdr23, "content-type", quote(head.get("Content-Type").unwrap_or("none")));
    docket.note_word(R::Cdr23, "user-agent", if head.get("User-Agent").is_some() { "sent" } else { "not sent" });
    let framing = if head.get("Content-Length").is_some() { "Content-Length" } else { "chunks" };
    docket.note_word(R::Cdr23, "body-length", framing);
}

/// Whether somebody else than the Call Bridge seems to have sent a request: it asks for something else, and does not
/// name a session that is known here.
pub(super) fn is_foreign(receiver: &Receiver, head: Head<'_>, set: Set<'_>, sessions: &Sessions) -> bool {
    let elsewhere = !receiver.targets.is_empty() && !is_for(receiver, head);
    (head.method != "POST" || elsewhere) && !sessions.is_plausible(set.session())
}

/// Whether a request is for the path and query of a configured URI.
fn is_for(receiver: &Receiver, head: Head<'_>) -> bool {
    // A server may write the whole URI into the request.
    let path = match head.target.split_once("://") {
        Some((_, rest)) if !head.target.starts_with('/') => rest.find(['/', '?']).map_or("/", |at| &rest[at..]),
        _ => head.target,
    };
    receiver.targets.iter().any(|target| target == path || !is_plain(target))
}

/// Path and query are those of the configured URI.
fn target(receiver: &Receiver, head: Head<'_>, moment: &mut Moment<'_>) {
    if receiver.targets.is_empty() {
        return;
    }
    if is_for(receiver, head) {
        return moment.docket.tested(R::Cdr16);
    }
    let expected = format!("a request for {}", receiver.targets.join(" or "));
    let evidence = match receiver.standing {
        Standing::On { seq, .. } => vec![seq],
        _ => Vec::new(),
    };
    moment.fail(R::Cdr16, &expected, quote(head.target), &evidence);
}

/// Whether a request asks for its connection to be closed after the answer.
pub(super) fn closes(head: Head<'_>) -> bool {
    let connection = head.get("Connection").unwrap_or_default();
    let has = |word: &str| connection.split(',').any(|option| option.trim().eq_ignore_ascii_case(word));
    has("close") || head.minor_version == 0 && !has("keep-alive")
}

/// Whether a target can stand in a request as it is.
fn is_plain(target: &str) -> bool {
    target.bytes().all(|byte| {
        byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}')
    })
}

/// Several sets go over one connection, where the receiver keeps it.
pub(super) fn kept(link: LinkId, session: u128, receiver: &Receiver, moment: &mut Moment<'_>) {
    if receiver.overlapped || !receiver.is_ordered(moment.at) {
        return;
    }
    let Some(last) = receiver.answered.filter(|last| last.sure && last.session == Some(session)) else { return };
    if last.link == link {
        moment.docket.tested(R::Cdr18);
    } else if let Some(dropped) = last.dropped {
        let expected = "the next set on the connection that was kept";
        moment.fail(R::Cdr18, expected, "closed after a set".to_owned(), &[last.seq, dropped]);
    } else if last.single && moment.at.since(last.at) <= PROMPT {
        // It said so beforehand, and nobody is misled.
        moment.warn(
            R::Cdr18,
            "several sets on a connection",
            "a connection for each set, closed on request".to_owned(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_in_words_begins_where_the_shorter_one_ends() {
        let words = [499, 500, 1500, 89_999, 90_000].map(|ms| coarse(Duration::from_millis(ms)));
        assert_eq!(words, ["less than 0.5 s", "about 1 s", "about 2 s", "about 60 s", "longer than 90 s"]);
    }

    #[test]
    fn a_connection_is_kept_unless_the_request_says_otherwise() {
        let ends =
            |minor_version: u8, fields: &str| closes(Head { method: "POST", target: "/", minor_version, fields });
        assert!(!ends(1, "") && ends(1, "Connection: x, Close\r\n"));
        assert!(ends(0, "") && !ends(0, "Connection: Keep-Alive\r\n"));
    }
}
