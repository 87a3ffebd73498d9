//! How an emulated Call Bridge fares with CDR receivers, as observations: the counterpart, on the sender's side, of what
//! receivers observe.
//!
//! A set counts as received when its request was handed over whole, and as answered when the head of the answer is there.
//! A receiver is known by the address at which it listens. Connections that no sender should make (they carry something
//! that is no request) are followed no further.

use std::collections::{BTreeMap, VecDeque};

use super::emulator_observer::Trace;
use crate::emulator::{Address, LinkKey};
use crate::protocol::cdr::Tape;
use crate::protocol::http1::{AnswerReader, Limits, Next, NextAnswer, RequestReader, Unframed};
use crate::time::Instant;
use crate::trace::{EndCause, Event, LinkId, ReceiverId, SetId};

/// What happened to a connection.
#[derive(Debug)]
pub(crate) enum Happening<'a> {
    /// The emulator wants it to this address.
    Wanted(&'a Address),
    /// It is open.
    Opened,
    /// It could not be opened.
    Failed,
    /// The emulator sent this.
    Sent(&'a [u8]),
    /// The receiver sent this.
    Got(&'a [u8]),
    /// It is gone.
    Ended(EndCause),
}

/// Makes observations of connections to receivers.
#[derive(Default)]
pub(super) struct Delivery {
    receivers: BTreeMap<Address, Known>,
    links: BTreeMap<u64, Link>,
    tape: Tape,
    sets: u64,
}

struct Known {
    id: ReceiverId,
    /// Whether it took the last connection.
    open: bool,
}

struct Link {
    id: LinkId,
    address: Address,
    receiver: ReceiverId,
    open: bool,
    requests: RequestReader,
    answers: AnswerReader,
    unanswered: VecDeque<SetId>,
    /// How many bytes of a body were sent that is not whole.
    part: Option<u64>,
}

impl Delivery {
    /// Takes what happened to a connection.
    pub(super) fn on_link(&mut self, now: Instant, key: LinkKey, happening: Happening<'_>, trace: &mut Trace) {
        if let Happening::Wanted(address) = happening {
            return self.wanted(key, address);
        }
        let Some(link) = self.links.get_mut(&key.0) else { return };
        match happening {
            Happening::Wanted(_) => {}
            Happening::Opened => {
                link.open = true;
                let (Address { tls, host, port }, receiver) = (&link.address, link.receiver);
                if let Some(known) = self.receivers.get_mut(&link.address).filter(|known| !known.open) {
                    known.open = true;
                    let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
                    let (name, scheme) = (format!("{host}:{port}"), if *tls { "https" } else { "http" });
                    let uri = format!("{scheme}://{name}");
                    trace.observe(now, Event::ReceiverOpened { receiver, name: &name, uri: &uri });
                }
                trace.observe(now, Event::LinkOpened { link: link.id, receiver });
            }
            Happening::Failed => {
                if let Some(known) = self.receivers.get_mut(&link.address) {
                    known.open = false;
                }
                trace.observe(now, Event::ReceiverClosed { receiver: link.receiver });
                self.links.remove(&key.0);
            }
            Happening::Sent(bytes) => sent(link, bytes, &mut self.tape, &mut self.sets, now, trace),
            Happening::Got(bytes) => got(link, bytes, now, trace),
            Happening::Ended(cause) => {
                if let Some(link) = self.links.remove(&key.0) {
                    ended(link, cause, &mut self.sets, now, trace);
                }
            }
        }
    }

    /// All connections end, since the emulator does.
    pub(super) fn end(&mut self, now: Instant, trace: &mut Trace) {
        for link in std::mem::take(&mut self.links).into_values() {
            ended(link, EndCause::Closed, &mut self.sets, now, trace);
        }
    }

    fn wanted(&mut self, key: LinkKey, address: &Address) {
        // Numbered by the emulator, from 1; a trace has room for four thousand million of them.
        let (id, next) = (LinkId(key.0 as u32), ReceiverId(self.receivers.len() as u32 + 1));
        let known = self.receivers.entry(address.clone()).or_insert(Known { id: next, open: false });
        let link = Link {
            id,
            address: address.clone(),
            receiver: known.id,
            open: false,
            requests: RequestReader::new(Limits::default()),
            answers: AnswerReader::new(Unframed::NoBody),
            unanswered: VecDeque::new(),
            part: None,
        };
        self.links.insert(key.0, link);
    }
}

fn sent(link: &mut Link, bytes: &[u8], tape: &mut Tape, sets: &mut u64, now: Instant, trace: &mut Trace) {
    link.requests.feed(bytes);
    link.part = None;
    loop {
        let is_amid = link.requests.is_amid();
        match link.requests.next() {
            Next::Request { head, body, .. } => {
                *sets += 1;
                let (set, records) = (SetId(*sets), tape.read(body));
                link.unanswered.push_back(set);
                let (id, receiver) = (link.id, link.receiver);
                trace.observe(now, Event::SetReceived { set, link: id, receiver, head, records });
            }
            Next::NeedMore { body_bytes, .. } => {
                link.part = is_amid.then_some(body_bytes);
                return;
            }
            Next::Fault { .. } => return,
        }
    }
}

fn got(link: &mut Link, bytes: &[u8], now: Instant, trace: &mut Trace) {
    link.answers.feed(bytes);
    loop {
        match link.answers.next() {
            NextAnswer::Answer { status, .. } => {
                if let Some(set) = link.unanswered.pop_front() {
                    trace.observe(now, Event::SetAnswered { set, status, whole: true, planned: false });
                }
            }
            NextAnswer::NeedMore => return,
            NextAnswer::Fault { what } => {
                trace.observe(now, Event::LinkFault { link: link.id, what: &what });
                return;
            }
        }
    }
}

fn ended(link: Link, cause: EndCause, sets: &mut u64, now: Instant, trace: &mut Trace) {
    if !link.open {
        return;
    }
    for set in link.unanswered {
        trace.observe(now, Event::SetUnanswered { set, planned: false });
    }
    if let Some(arrived_bytes) = link.part {
        *sets += 1;
        let by_receiver = matches!(cause, EndCause::PeerClosed | EndCause::PeerReset);
        let (set, receiver) = (SetId(*sets), link.receiver);
        trace.observe(now, Event::SetCut { set, link: link.id, receiver, arrived_bytes, by_receiver });
    }
    trace.observe(now, Event::LinkEnded { link: link.id, cause });
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::trace::{Observation, Sink};

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Sink for Lines {
        fn observe(&mut self, observation: &Observation<'_>) {
            let line = match &observation.event {
                Event::ReceiverOpened { uri, .. } => format!("listens {uri}"),
                Event::ReceiverClosed { .. } => "refuses".to_owned(),
                Event::LinkOpened { .. } => "opened".to_owned(),
                Event::SetReceived { head, records, .. } => format!("{} {}", head.target, records.records().len()),
                Event::SetAnswered { status, .. } => status.to_string(),
                Event::SetUnanswered { .. } => "unanswered".to_owned(),
                Event::SetCut { arrived_bytes, by_receiver, .. } => format!("cut {arrived_bytes} {by_receiver}"),
                Event::LinkEnded { cause, .. } => format!("{cause:?}"),
                other => format!("{other:?}"),
            };
            self.0.lock().unwrap().push(line);
        }
    }

    fn post(body: &str) -> Vec<u8> {
        format!("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
    }

    /// What is observed of one connection.
    fn observed(happenings: &[Happening<'_>]) -> Vec<String> {
        let lines = Lines::default();
        let (mut trace, mut delivery) = (Trace::new(Box::new(lines.clone())), Delivery::default());
        let address = Address { tls: false, host: "::1".to_owned(), port: 7 };
        delivery.on_link(Instant::ZERO, LinkKey(1), Happening::Wanted(&address), &mut trace);
        for happening in happenings {
            let again = match happening {
                Happening::Wanted(address) => Happening::Wanted(address),
                Happening::Opened => Happening::Opened,
                Happening::Failed => Happening::Failed,
                Happening::Sent(bytes) => Happening::Sent(bytes),
                Happening::Got(bytes) => Happening::Got(bytes),
                Happening::Ended(cause) => Happening::Ended(*cause),
            };
            delivery.on_link(Instant::ZERO, LinkKey(1), again, &mut trace);
        }
        delivery.end(Instant::ZERO, &mut trace);
        lines.0.lock().unwrap().clone()
    }

    #[test]
    fn sets_are_followed_to_their_answers() {
        let post = post("<records><record/><record/></records>");
        let seen = observed(&[
            Happening::Opened,
            Happening::Sent(&post),
            Happening::Got(b"HTTP/1.1 20"),
            Happening::Got(b"4 No Content\r\n\r\n"),
            Happening::Sent(&post),
            Happening::Ended(EndCause::PeerClosed),
        ]);
        assert_eq!(seen, ["listens http://[::1]:7", "opened", "/x 2", "204", "/x 2", "unanswered", "PeerClosed"]);
    }

    #[test]
    fn what_is_cut_off_and_who_cannot_be_reached_is_seen() {
        let post = post("<records/>");
        let half = &post[..post.len() - 4];
        let seen = observed(&[Happening::Opened, Happening::Sent(half), Happening::Ended(EndCause::Closed)]);
        assert_eq!(seen[2..], ["cut 6 false", "Closed"]);
        assert_eq!(observed(&[Happening::Failed]), ["refuses"]);
    }
}
