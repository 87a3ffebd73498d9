//! What the API was asked and answered, as far as records depend on it: which receivers are configured (CDR-13, CDR-14,
//! CDR-15), which Call Bridges there are, and which tags were given out.

use std::collections::{BTreeMap, VecDeque};

use super::Moment;
use super::receiver::{Address, Receiver, Standing};
use crate::protocol::api::names;
use crate::protocol::api::xml::Element;
use crate::protocol::http::{Method, Request, Response};
use crate::rules::docket::quote;
use crate::rules::guid::{self, folded};
use crate::rules::registry::R;
use crate::time::Instant;
use crate::trace::{ExchangeId, ReceiverId, Seq};

/// How many receivers a Call Bridge takes (CDR 1, 2.1).
const RECEIVERS: usize = 4;

/// How many requests without an answer are followed.
const ASKED: usize = 64;

/// How many entries, tags and targets are remembered.
const REMEMBERED: usize = 4096;

/// A request that is not answered yet.
#[derive(Debug)]
struct Asked {
    method: Method,
    node: Node,
    form: Vec<(String, String)>,
    /// Whether a list was asked for whole.
    whole: bool,
    at: Instant,
    seq: Seq,
}

impl Asked {
    fn get(&self, name: &str) -> Option<&str> {
        self.form.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The receiver's URI, under either name of the parameter.
    fn uri(&self) -> Option<&str> {
        self.get("uri").or_else(|| self.get("url"))
    }
}

/// What a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    Receivers,
    Receiver(String),
    LegacyReceiver,
    CallBridges,
    Spaces,
    Space(u128),
    Calls,
    Call(u128),
    /// Legs of a call.
    CallLegs,
    CallLeg(u128),
}

impl Node {
    /// The id of the one receiver that it is.
    fn receiver(&self) -> Option<&str> {
        match self {
            Self::Receiver(id) => Some(id),
            _ => None,
        }
    }

    fn of(path: &str) -> Option<Self> {
        let rest = path.strip_prefix(names::BASE)?;
        let mut parts = rest.split('/').filter(|part| !part.is_empty());
        let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
        let is = |part: Option<&str>, name: &str| part.is_some_and(|part| part.eq_ignore_ascii_case(name));
        match parts {
            [system, node, id, None] if is(system, "system") && is(node, "cdrReceivers") => {
                Some(id.map_or(Self::Receivers, |id| Self::Receiver(folded(id).into_owned())))
            }
            [system, node, None, _] if is(system, "system") && is(node, "cdrReceiver") => Some(Self::LegacyReceiver),
            [node, None, ..] if is(node, "callBridges") => Some(Self::CallBridges),
            [node, None, ..] if is(node, "coSpaces") => Some(Self::Spaces),
            [node, Some(id), None, _] if is(node, "coSpaces") => guid::number(id).map(Self::Space),
            [node, None, ..] if is(node, "calls") => Some(Self::Calls),
            [node, Some(id), None, _] if is(node, "calls") => guid::number(id).map(Self::Call),
            [node, Some(id), None, _] if is(node, "callLegs") => guid::number(id).map(Self::CallLeg),
            [calls, Some(_), node, None] if is(calls, "calls") && is(node, "callLegs") => Some(Self::CallLegs),
            _ => None,
        }
    }
}

/// One receiver as it was configured in this trace.
#[derive(Debug)]
struct Entry {
    uri: String,
    asked: Instant,
    answered: Instant,
    seq: Seq,
    /// Made by one POST and unchanged since.
    pristine: bool,
    /// Whether the API may show it otherwise: a restart, or a change whose outcome is open.
    unsure: bool,
    /// Whether it may be gone, by a request whose outcome is open or by somebody else.
    lost: bool,
}

/// A tag as it was configured: what it was, and what it may have been before.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Tag {
    /// The values that records may show; one, where nothing changed.
    pub(super) values: Vec<String>,
    pub(super) seq: Seq,
    /// Since when the last of these holds: the answer to what set it. Until then any may be shown.
    pub(super) since: Option<Instant>,
    /// Whether others may have given it one before.
    pub(super) open: bool,
}

/// What the API told.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    asked: BTreeMap<ExchangeId, Asked>,
    entries: BTreeMap<String, Entry>,
    /// Entries that were removed, with where.
    removed: VecDeque<(String, Seq)>,
    /// Receivers that others configured, as the list showed them last; `None` where it was never read.
    foreign: Option<Vec<String>>,
    /// Where these lead.
    foreign_uris: Vec<Address>,
    /// A POST that was refused: the parameter's name and value.
    refused: Option<(&'static str, String, Seq)>,
    pub(super) bridges: Option<(Seq, Vec<u128>)>,
    /// Where a receiver beyond the limit was refused last.
    pub(super) fifth: Option<(Instant, Seq)>,
    /// Where a receiver was configured that nothing in this trace listens for.
    pub(super) unreachable: Option<Seq>,
    tags: BTreeMap<u128, Tag>,
    /// What the latest exchange brought.
    pub(super) news: Option<News>,
}

/// What an exchange brought that others have to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    /// A call was started; it was asked for at that time.
    CallMade(u128, Instant),
    /// A call was ended; it was asked for at that time.
    CallEnded(u128, Instant),
    /// A coSpace was removed.
    SpaceRemoved(u128),
}

impl Ledger {
    /// A request was sent.
    pub(super) fn sent(
        &mut self,
        exchange: ExchangeId,
        request: &Request,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        at: Instant,
        seq: Seq,
    ) {
        let Some(node) = Node::of(request.path()) else { return };
        let changes = matches!(request.method, Method::Put | Method::Delete);
        let form: Vec<(String, String)> = if request.method == Method::Get {
            Vec::new()
        } else {
            form_urlencoded::parse(&request.body).into_owned().collect()
        };
        if let (true, Node::Receiver(id)) = (changes, &node)
            && let Some(address) = self.entries.get(id).and_then(|entry| Address::of(&entry.uri))
        {
            for receiver in reached(&address, receivers) {
                receiver.leaving = true;
                receiver.forgive();
            }
        }
        // Records may show a new tag before the answer says that it is set.
        if let (Method::Put, Node::Space(id) | Node::CallLeg(id)) = (request.method, &node)
            && let Some((_, value)) = form.iter().find(|(name, _)| name == "cdrTag")
        {
            let room = self.tags.len() < REMEMBERED;
            // Which tag a leg of somebody else had before is not known; which one a coSpace had shows in no record.
            if matches!(node, Node::CallLeg(_)) && room {
                self.tags.entry(*id).or_insert_with(|| Tag { open: true, ..Tag::default() });
            }
            let tag = self.tags.get_mut(id);
            if let Some(tag) = tag {
                tag.values.push(value.clone());
                (tag.seq, tag.since) = (seq, None);
            }
        }
        if self.asked.len() == ASKED {
            self.asked.pop_first();
        }
        let whole = request.query().is_empty();
        self.asked.insert(exchange, Asked { method: request.method, node, form, whole, at, seq });
    }

    /// A request failed; what it would have done is open.
    pub(super) fn failed(&mut self, exchange: ExchangeId, receivers: &mut BTreeMap<ReceiverId, Receiver>, at: Instant) {
        let Some(asked) = self.asked.remove(&exchange) else { return };
        if asked.method != Method::Get {
            if let Node::Receiver(id) = &asked.node
                && let Some(entry) = self.entries.get_mut(id)
            {
                entry.unsure = true;
                entry.lost = true;
            }
            self.apply(receivers, at, asked.seq);
        }
    }

    /// A request was answered.
    pub(super) fn answered(
        &mut self,
        exchange: ExchangeId,
        response: &Response,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &mut Moment<'_>,
    ) {
        self.news = None;
        let Some(asked) = self.asked.remove(&exchange) else { return };
        match (&asked.node, asked.method) {
            (Node::Receivers, Method::Post) => self.created(&asked, response, moment),
            (Node::Receivers, Method::Get) => self.listed(&asked, response, moment),
            (Node::Receiver(id), Method::Get) => self.read(id, response, moment),
            (Node::Receiver(id), method) => self.changed(id, method, &asked, response, moment),
            (Node::LegacyReceiver, Method::Put) if response.is_success() => {
                self.entries.remove("legacy");
                // It changes or removes the first entry of the list, and which one that is, is not known.
                self.entries.values_mut().for_each(|entry| (entry.unsure, entry.lost) = (true, true));
                let uri = asked.uri().unwrap_or_default().to_owned();
                if !uri.is_empty() {
                    let entry = Entry {
                        uri,
                        asked: asked.at,
                        answered: moment.at,
                        seq: moment.seq,
                        pristine: false,
                        unsure: true,
                        lost: false,
                    };
                    self.entries.insert("legacy".to_owned(), entry);
                }
            }
            (Node::CallBridges, Method::Get) if asked.whole => self.bridges_listed(response, moment.seq),
            _ => self.tagged(&asked, response, (moment.at, moment.seq)),
        }
        if matches!(asked.node, Node::Receivers | Node::Receiver(_) | Node::LegacyReceiver) {
            self.apply(receivers, moment.at, moment.seq);
        }
    }

    /// Brings receivers in line with the entries.
    pub(super) fn apply(&mut self, receivers: &mut BTreeMap<ReceiverId, Receiver>, at: Instant, seq: Seq) {
        let heard = |entry: &Entry| {
            let to = Address::of(&entry.uri);
            let reached = |to: &Address| {
                receivers.values().any(|receiver| receiver.address.as_ref().is_some_and(|own| own.reaches(to)))
            };
            to.is_some_and(|to| reached(&to))
        };
        self.unreachable = self.entries.values().find(|entry| !heard(entry)).map(|entry| entry.seq);
        let changing = self.asked.values().filter(|asked| matches!(asked.method, Method::Put | Method::Delete));
        let changing: Vec<&str> = changing.filter_map(|asked| asked.node.receiver()).collect();
        for receiver in receivers.values_mut() {
            receiver.leaving = false;
            let Some(address) = receiver.address.clone() else { continue };
            let targets = &mut receiver.targets;
            let (mut latest, mut count): (Option<&Entry>, usize) = (None, 0);
            for (id, entry) in &self.entries {
                let Some(to) = Address::of(&entry.uri).filter(|to| to.reaches(&address)) else { continue };
                if !targets.contains(&to.target) && targets.len() < REMEMBERED {
                    targets.push(to.target);
                }
                count += 1;
                receiver.leaving |= entry.lost || changing.contains(&id.as_str());
                latest = latest.filter(|latest| latest.seq >= entry.seq).or(Some(entry));
            }
            receiver.shared |= count > 1 || self.foreign_uris.iter().any(|uri| uri.reaches(&address));
            if receiver.leaving {
                receiver.forgive();
            }
            match (latest, receiver.standing) {
                (Some(entry), Standing::Unknown) => {
                    let first = entry.pristine && receiver.sets == 0;
                    receiver.standing =
                        Standing::On { asked: entry.asked, answered: entry.answered, first, seq: entry.seq };
                    receiver.told_of(entry.answered, at);
                }
                (Some(entry), Standing::Off { .. }) => {
                    receiver.standing =
                        Standing::On { asked: entry.asked, answered: entry.answered, first: false, seq: entry.seq };
                    receiver.loosen();
                    receiver.told_of(entry.answered, at);
                }
                (Some(entry), Standing::On { seq: known, .. }) if known != entry.seq => {
                    receiver.standing =
                        Standing::On { asked: entry.asked, answered: entry.answered, first: false, seq: entry.seq };
                    receiver.loosen();
                    receiver.told_of(entry.answered, at);
                }
                (None, Standing::On { .. }) => {
                    receiver.standing = Standing::Off { at, seq };
                    receiver.forgive();
                }
                _ => {}
            }
        }
    }

    /// After a restart the list may be another one.
    pub(super) fn restarted(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.unsure = true);
        self.foreign = None;
        self.fifth = None;
    }

    fn created(&mut self, asked: &Asked, response: &Response, moment: &mut Moment<'_>) {
        let Some(uri) = asked.uri().map(str::to_owned) else { return };
        let ours = self.entries.values().filter(|entry| !entry.unsure).count();
        let all = self.foreign.as_ref().map(|foreign| foreign.len() + self.entries.len());
        if response.is_success() {
            self.refused = None;
            let path = response.headers.get("Location").map(|location| {
                let from = location.find("://").and_then(|_| location.find(names::BASE)).unwrap_or(0);
                guid::folded_path(&location[from..])
            });
            let Some(Node::Receiver(id)) = path.as_deref().and_then(Node::of) else {
                let observed = path.unwrap_or_else(|| "none".to_owned());
                return moment.fail(R::Cdr15, "the new receiver's path as Location", observed, &[asked.seq]);
            };
            if ours >= RECEIVERS {
                moment.fail(R::Cdr14, "a fifth receiver is refused", response.status.to_string(), &[asked.seq]);
            } else {
                moment.docket.tested(R::Cdr15);
            }
            self.removed.retain(|(known, _)| *known != id);
            if self.entries.len() < REMEMBERED {
                let entry = Entry {
                    uri,
                    asked: asked.at,
                    answered: moment.at,
                    seq: moment.seq,
                    pristine: true,
                    unsure: false,
                    lost: false,
                };
                self.entries.insert(id, entry);
            }
            return;
        }
        if !(400..500).contains(&response.status) || Address::of(&uri).is_none() {
            return;
        }
        if all.is_some_and(|all| all >= RECEIVERS) || ours >= RECEIVERS {
            self.fifth = Some((moment.at, moment.seq));
            return moment.docket.tested(R::Cdr14);
        }
        self.refused(asked, uri, response, all, moment);
    }

    /// A receiver was refused although there is a place for it. Which name the parameter has is open, and others may
    /// have taken the places: charged only where neither explains it.
    fn refused(
        &mut self,
        asked: &Asked,
        uri: String,
        response: &Response,
        all: Option<usize>,
        moment: &mut Moment<'_>,
    ) {
        let name = if asked.get("uri").is_some() { "uri" } else { "url" };
        let full = String::from_utf8_lossy(&response.body).contains("tooManyCdrReceivers");
        let other_name = self.refused.take().filter(|(other, value, _)| *other != name && *value == uri);
        let alone = all.is_some_and(|all| all == self.entries.len());
        let observed = format!("{} {}", response.status, quote(&String::from_utf8_lossy(&response.body)));
        if alone && (full || other_name.is_some()) {
            let rule = if self.entries.is_empty() && !full { R::Cdr15 } else { R::Cdr13 };
            let evidence: Vec<Seq> = other_name.map(|(.., seq)| seq).into_iter().chain([asked.seq]).collect();
            return moment.fail(rule, "up to four receivers are taken", observed, &evidence);
        }
        self.refused = Some((name, uri, moment.seq));
    }

    fn listed(&mut self, asked: &Asked, response: &Response, moment: &mut Moment<'_>) {
        if !response.is_success() || !asked.whole {
            return;
        }
        let Ok(list) = Element::parse(&response.body) else { return };
        let ids: Vec<String> = list
            .children
            .iter()
            .filter_map(|child| child.get_attribute("id"))
            .map(|id| folded(id).into_owned())
            .collect();
        let total = list.get_attribute("total").and_then(|total| total.parse::<usize>().ok());
        if total.is_some_and(|total| total != ids.len()) {
            return;
        }
        let foreign: Vec<String> = ids.iter().filter(|id| !self.entries.contains_key(*id)).cloned().collect();
        let newcomers = self.foreign.as_ref().is_none_or(|known| foreign.iter().any(|id| !known.contains(id)));
        let places = list.children.iter().filter(|child| {
            child.get_attribute("id").is_some_and(|id| !self.entries.contains_key(folded(id).as_ref()))
        });
        let uris = places.filter_map(|child| child.text_at(&["uri"]).or_else(|| child.text_at(&["url"])));
        self.foreign_uris = uris.filter_map(Address::of).take(REMEMBERED).collect();
        for (id, entry) in self.entries.iter_mut().filter(|(id, _)| *id != "legacy") {
            entry.lost = entry.seq < asked.seq && !ids.contains(id);
        }
        for (id, entry) in self.entries.iter_mut().filter(|(id, entry)| !entry.unsure && *id != "legacy") {
            if ids.contains(id) {
                moment.docket.tested(R::Cdr15);
            } else if newcomers && !foreign.is_empty() {
                // Somebody else may have taken its place.
                entry.unsure = true;
            } else {
                let observed = format!("no entry {id}");
                moment.fail(
                    R::Cdr15,
                    "a list of the receivers that were configured",
                    observed,
                    &[entry.seq, asked.seq],
                );
                entry.unsure = true;
            }
        }
        if let Some((id, seq)) = self.removed.iter().find(|(id, seq)| *seq < asked.seq && ids.contains(id)) {
            let observed = format!("{id}, which was removed");
            moment.fail(R::Cdr15, "a list of the receivers that were configured", observed, &[*seq, asked.seq]);
        }
        self.foreign = Some(foreign);
    }

    fn read(&mut self, id: &str, response: &Response, moment: &mut Moment<'_>) {
        if let Some((_, seq)) = self.removed.iter().find(|(removed, _)| removed == id).filter(|_| response.is_success())
        {
            let seq = *seq;
            return moment.fail(R::Cdr15, "no receiver once it was removed", response.status.to_string(), &[seq]);
        }
        let Some(entry) = self.entries.get_mut(id).filter(|entry| !entry.unsure) else { return };
        if !response.is_success() {
            if matches!(response.status, 400 | 404 | 410) && self.foreign.as_ref().is_some_and(Vec::is_empty) {
                let observed = response.status.to_string();
                moment.fail(R::Cdr15, "the receiver that was configured", observed, &[entry.seq]);
            }
            entry.unsure = true;
            entry.lost |= matches!(response.status, 400 | 404 | 410);
            return;
        }
        let Ok(document) = Element::parse(&response.body) else { return };
        let shown = document.text_at(&["uri"]).or_else(|| document.text_at(&["url"])).unwrap_or_default();
        let same = shown == entry.uri || Address::of(shown).is_some_and(|shown| is_same(&shown, &entry.uri));
        if same {
            moment.docket.tested(R::Cdr15);
        } else {
            let expected = format!("the URI {}", entry.uri);
            moment.fail(R::Cdr15, &expected, quote(shown), &[entry.seq]);
        }
    }

    fn changed(&mut self, id: &str, method: Method, asked: &Asked, response: &Response, moment: &mut Moment<'_>) {
        let Some(entry) = self.entries.get_mut(id) else { return };
        if !response.is_success() {
            let in_order = !entry.unsure
                && (400..500).contains(&response.status)
                && asked.uri().is_none_or(|uri| Address::of(uri).is_some());
            let named = method == Method::Delete || asked.get("uri").is_some();
            entry.unsure = true;
            entry.lost = true;
            if in_order && named && self.foreign.as_ref().is_some_and(Vec::is_empty) {
                let expected =
                    if method == Method::Delete { "the receiver is removed" } else { "the receiver is changed" };
                moment.fail(R::Cdr15, expected, response.status.to_string(), &[asked.seq, entry.seq]);
            }
            return;
        }
        match method {
            Method::Delete => {
                moment.docket.tested(R::Cdr15);
                self.entries.remove(id);
                if self.removed.len() == ASKED {
                    self.removed.pop_front();
                }
                self.removed.push_back((id.to_owned(), moment.seq));
            }
            _ => {
                if let Some(uri) = asked.uri() {
                    moment.docket.tested(R::Cdr15);
                    *entry = Entry {
                        uri: uri.to_owned(),
                        asked: asked.at,
                        answered: moment.at,
                        seq: moment.seq,
                        pristine: false,
                        unsure: entry.unsure,
                        lost: entry.lost,
                    };
                }
            }
        }
    }

    fn bridges_listed(&mut self, response: &Response, seq: Seq) {
        let Some(list) = Element::parse(&response.body).ok().filter(|_| response.is_success()) else { return };
        let ids: Vec<u128> =
            list.children.iter().filter_map(|child| guid::number(child.get_attribute("id")?)).collect();
        let total = list.get_attribute("total").and_then(|total| total.parse::<usize>().ok());
        if !ids.is_empty() && total.is_none_or(|total| total == ids.len()) {
            self.bridges = Some((seq, ids));
        }
    }

    fn tagged(&mut self, asked: &Asked, response: &Response, (at, seq): (Instant, Seq)) {
        let given = asked.get("cdrTag").map(str::to_owned);
        match (&asked.node, asked.method) {
            (Node::Spaces | Node::CallLegs, Method::Post) if response.is_success() => {
                let location = response.headers.get("Location").and_then(|path| path.rsplit('/').next());
                let values = vec![given.unwrap_or_default()];
                if let Some(id) = location.and_then(guid::number).filter(|_| self.tags.len() < REMEMBERED)
                    && (asked.node == Node::Spaces || !values[0].is_empty())
                {
                    self.tags.insert(id, Tag { values, seq, since: Some(at), open: false });
                }
            }
            (Node::Calls, Method::Post) if response.is_success() => {
                let location = response.headers.get("Location").and_then(|path| path.rsplit('/').next());
                self.news = location.and_then(guid::number).map(|call| News::CallMade(call, asked.at));
            }
            (Node::Call(id), Method::Delete) if response.is_success() => {
                self.news = Some(News::CallEnded(*id, asked.at));
            }
            (Node::Space(id) | Node::CallLeg(id), Method::Put) if response.is_success() && given.is_some() => {
                // If there are several at a time, which comes last is open.
                let others = self.asked.values().any(|other| other.node == asked.node && other.method == Method::Put);
                if let Some(tag) = self.tags.get_mut(id).filter(|tag| !others && tag.seq == asked.seq) {
                    tag.since = Some(at);
                }
            }
            (Node::Space(id), Method::Delete) => {
                self.tags.remove(id);
                self.news = Some(News::SpaceRemoved(*id));
            }
            _ => {}
        }
    }

    /// The tag that was given to a coSpace or call leg in this trace, if one was or surely was not.
    pub(super) fn tag(&self, id: u128) -> Option<&Tag> {
        self.tags.get(&id)
    }
}

/// Whether a URI that the API shows means the one that was configured.
fn is_same(shown: &Address, configured: &str) -> bool {
    Address::of(configured).is_some_and(|configured| shown.reaches(&configured) && shown.target == configured.target)
}

/// The receivers that a URI leads to.
fn reached<'r>(
    address: &'r Address,
    receivers: &'r mut BTreeMap<ReceiverId, Receiver>,
) -> impl Iterator<Item = &'r mut Receiver> {
    receivers.values_mut().filter(|receiver| receiver.address.as_ref().is_some_and(|own| own.reaches(address)))
}
