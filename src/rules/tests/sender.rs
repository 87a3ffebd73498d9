//! Traces of a Call Bridge that sends records, in a few words.

use std::collections::BTreeMap;

use crate::protocol::api::xml::Element;
use crate::protocol::cdr::names::MISSING;
use crate::protocol::cdr::{NewRecord, NewSet, RecordType, Style, Tape};
use crate::protocol::http::{Headers, Method, Request, Response};
use crate::protocol::http1::Head;
use crate::rules::script::{Script, guid};
use crate::trace::{EndCause, Event, LinkId, ReceiverId, Seq, SetId};

/// The path under which receivers are configured.
const RECEIVERS: &str = "/api/v1/system/cdrReceivers";

/// A record with this index: `kind` of the object with that number, ten seconds into the trace.
pub(super) fn record(index: u64, kind: RecordType, object: u32, fields: &[(&str, &str)]) -> NewRecord {
    let content = Element::new(kind.subject().as_str()).attribute("id", guid(object));
    NewRecord {
        kind: kind.as_str().to_owned(),
        time: "2026-03-01T10:00:10Z".to_owned(),
        correlator_index: Some(index),
        record_index: None,
        missing: None,
        content: fields.iter().fold(content, |content, (name, value)| content.field(*name, *value)),
    }
}

/// The start of a leg, which needs no other record: for tests of the delivery alone.
pub(super) fn leg(index: u64) -> NewRecord {
    record(index, RecordType::CallLegStart, 100_000 + index as u32, &[])
}

/// Such legs.
pub(super) fn legs(indexes: impl IntoIterator<Item = u64>) -> Vec<NewRecord> {
    indexes.into_iter().map(leg).collect()
}

/// A record with a recordIndex.
pub(super) fn numbered(mut record: NewRecord, record_index: u64) -> NewRecord {
    record.record_index = Some(record_index);
    record
}

/// A record that declares others to be discarded.
pub(super) fn after_missing(mut record: NewRecord, missing: u64) -> NewRecord {
    record.missing = Some((MISSING[0], missing));
    record
}

/// A trace in the making, with receivers.
pub(super) struct Lab {
    pub(super) script: Script,
    links: BTreeMap<u32, LinkId>,
    sets: u64,
    opened: u32,
    pub(super) head: (&'static str, String, &'static str),
    pub(super) call_bridge: Option<String>,
}

impl Lab {
    /// One receiver, opened and configured.
    pub(super) fn new() -> Self {
        let mut lab = Self::idle();
        lab.receiver(1);
        lab
    }

    pub(super) fn idle() -> Self {
        Self {
            script: Script::server(),
            links: BTreeMap::new(),
            sets: 0,
            opened: 0,
            head: ("POST", "/cdr".to_owned(), "Host: a\r\nContent-Length: 9\r\nContent-Type: text/xml\r\n"),
            call_bridge: None,
        }
    }

    /// The same in a cluster.
    pub(super) fn in_cluster() -> Self {
        Self { script: Script::clustered(), ..Self::idle() }
    }

    pub(super) fn uri(receiver: u32) -> String {
        format!("http://127.0.0.1:{}/cdr", 7000 + receiver)
    }

    pub(super) fn opens(&mut self, receiver: u32) -> &mut Self {
        let uri = Self::uri(receiver);
        self.script.observe(Event::ReceiverOpened { receiver: ReceiverId(receiver), name: "r", uri: &uri });
        self
    }

    pub(super) fn closes(&mut self, receiver: u32) -> &mut Self {
        self.script.observe(Event::ReceiverClosed { receiver: ReceiverId(receiver) });
        self
    }

    pub(super) fn api(&mut self, method: Method, target: &str, form: &str, response: &Response) -> &mut Self {
        let request = Request { body: form.into(), ..Request::new(method, target) };
        self.script.exchange(&request, response);
        self
    }

    /// Asks for a receiver with this URI; its entry gets the same number.
    pub(super) fn configures(&mut self, entry: u32, uri: &str, status: u16) -> &mut Self {
        let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("uri", uri).finish();
        let mut response = Response::new(status);
        if status == 200 {
            response.headers = Headers::new().with("Location", format!("{RECEIVERS}/{}", guid(entry)));
        }
        self.api(Method::Post, RECEIVERS, &form, &response)
    }

    pub(super) fn entry(entry: u32) -> String {
        format!("{RECEIVERS}/{}", guid(entry))
    }

    pub(super) fn lists(&mut self, entries: &[u32]) -> &mut Self {
        let ids: String = entries.iter().map(|entry| format!("<cdrReceiver id=\"{}\"/>", guid(*entry))).collect();
        let body = format!("<cdrReceivers total=\"{}\">{ids}</cdrReceivers>", entries.len()).into_bytes();
        self.api(Method::Get, RECEIVERS, "", &Response { body, ..Response::new(200) })
    }

    pub(super) fn receiver(&mut self, receiver: u32) -> &mut Self {
        self.opens(receiver).configures(receiver, &Self::uri(receiver), 200)
    }

    pub(super) fn link(&mut self, receiver: u32) -> &mut Self {
        self.opened += 1;
        let link = LinkId(self.opened);
        self.links.insert(receiver, link);
        self.script.observe(Event::LinkOpened { link, receiver: ReceiverId(receiver) });
        self
    }

    pub(super) fn link_of(&mut self, receiver: u32) -> LinkId {
        if !self.links.contains_key(&receiver) {
            self.link(receiver);
        }
        self.links[&receiver]
    }

    pub(super) fn ends(&mut self, receiver: u32, cause: EndCause) -> &mut Self {
        if let Some(link) = self.links.remove(&receiver) {
            self.script.observe(Event::LinkEnded { link, cause });
        }
        self
    }

    /// A body arrives.
    pub(super) fn body(&mut self, receiver: u32, body: &[u8]) -> SetId {
        let link = self.link_of(receiver);
        self.sets += 1;
        let set = SetId(self.sets);
        let mut tape = Tape::new();
        let (method, target, fields) = self.head.clone();
        let head = Head { method, target: &target, minor_version: 1, fields };
        let receiver = ReceiverId(receiver);
        self.script.observe(Event::SetReceived { set, link, receiver, head, records: tape.read(body) });
        set
    }

    /// A set arrives.
    pub(super) fn set(&mut self, receiver: u32, session: u32, records: &[NewRecord]) -> SetId {
        let set =
            NewSet { session: Some(guid(session)), call_bridge: self.call_bridge.clone(), records: records.to_vec() };
        self.body(receiver, &set.to_bytes(&Style::default()))
    }

    pub(super) fn answers(&mut self, set: SetId, status: u16) -> &mut Self {
        self.script.observe(Event::SetAnswered { set, status, whole: true, planned: false });
        self
    }

    /// A set arrives and gets no answer; the connection ends.
    pub(super) fn loses(&mut self, receiver: u32, session: u32, records: &[NewRecord]) -> &mut Self {
        let set = self.set(receiver, session, records);
        self.script.observe(Event::SetUnanswered { set, planned: false });
        self.ends(receiver, EndCause::Closed)
    }

    /// A set arrives in part; the connection ends.
    pub(super) fn cuts(&mut self, receiver: u32) -> &mut Self {
        let link = self.link_of(receiver);
        self.sets += 1;
        let (set, receiver_id) = (SetId(self.sets), ReceiverId(receiver));
        self.script.observe(Event::SetCut { set, link, receiver: receiver_id, arrived_bytes: 9, by_receiver: true });
        self.ends(receiver, EndCause::Closed)
    }

    /// A set arrives and is answered.
    pub(super) fn refuses(&mut self, receiver: u32, session: u32, records: &[NewRecord], status: u16) -> &mut Self {
        let set = self.set(receiver, session, records);
        self.answers(set, status)
    }

    /// A set arrives and is answered 200.
    pub(super) fn gets(&mut self, receiver: u32, session: u32, records: &[NewRecord]) -> &mut Self {
        self.refuses(receiver, session, records, 200)
    }

    pub(super) fn restarts(&mut self) -> &mut Self {
        self.script.observe(Event::RestartBegun);
        let links: Vec<u32> = self.links.keys().copied().collect();
        for receiver in links {
            self.ends(receiver, EndCause::PeerClosed);
        }
        self.script.observe(Event::RestartDone);
        self
    }

    pub(super) fn step(&mut self) -> Seq {
        self.script.observe(Event::StepStarted { number: 1, text: "later" })
    }

    /// Lets so much time pass, and something unimportant happen.
    pub(super) fn passes(&mut self, seconds: u64) -> &mut Self {
        self.script.wait_ms(seconds * 1000);
        self.step();
        self
    }

    #[track_caller]
    pub(super) fn breaks(self, expected: &[&str]) {
        self.script.breaks(expected);
    }

    #[track_caller]
    pub(super) fn meets(self, requirement: &str) {
        self.script.meets(requirement);
    }
}
