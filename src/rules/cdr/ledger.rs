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

/// What stands for the id of the receiver that the older node made.
const LEGACY: &str = "legacy";

/// How many entries, tags and addresses are remembered.
const REMEMBERED: usize = 4096;

/// A request that is not answered yet.
#[derive(Debug)]
struct Asked {
    method: Method,
    node: Node,
    form: Vec<(String, String)>,
    /// Whether a list was asked for whole.
    whole: bool,
    /// Whether another change of the same thing was under way when it was sent.
    beside: bool,
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

    /// The name of the parameter that holds it, in whichever form the request has it.
    fn name(&self) -> &'static str {
        if self.get("uri").is_some() { "uri" } else { "url" }
    }

    /// Whether an answer says that nothing was done: of the one parameter that there is, the server makes nothing.
    fn is_declined(&self, response: &Response) -> bool {
        let why = String::from_utf8_lossy(&response.body);
        (400..500).contains(&response.status) && self.form.len() == 1 && why.contains("parameterError")
    }

    /// Whether it may change the receiver with this id, or remove it. Which one the older node means is not known.
    fn changes(&self, id: &str) -> bool {
        match &self.node {
            Node::Receiver(own) => own == id && self.method != Method::Get,
            Node::LegacyReceiver => self.method != Method::Get,
            _ => false,
        }
    }

    /// Whether it may put one more receiver into the list.
    fn adds(&self) -> bool {
        matches!(self.node, Node::Receivers | Node::LegacyReceiver) && self.method != Method::Get
    }

    /// Whether it may change the list in any way.
    fn resizes(&self) -> bool {
        self.adds() || matches!(self.node, Node::Receiver(_)) && self.method != Method::Get
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
    /// The name of the parameter under which its URI was taken.
    name: &'static str,
    /// Made by one POST and unchanged since.
    pristine: bool,
    /// Whether the API may show it otherwise: a restart, or a change whose outcome is open.
    unsure: bool,
    /// Whether it may be gone, by a request whose outcome is open or by somebody else.
    lost: bool,
    /// Where it may lead all the same, since which change was heeded is open.
    perhaps: Vec<Address>,
}

impl Entry {
    /// One that a request has just made.
    fn made(uri: String, asked: &Asked, moment: &Moment<'_>) -> Self {
        let (answered, seq, name) = (moment.at, moment.seq, asked.name());
        let (pristine, unsure, lost) = (true, false, false);
        Self { uri, asked: asked.at, answered, seq, name, pristine, unsure, lost, perhaps: Vec::new() }
    }
}

/// One that was removed.
#[derive(Debug)]
struct Removed {
    id: String,
    uri: String,
    /// Where the API said that it is gone.
    seq: Seq,
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
    removed: VecDeque<Removed>,
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
        let form: Vec<(String, String)> = if request.method == Method::Get {
            Vec::new()
        } else {
            form_urlencoded::parse(&request.body).into_owned().collect()
        };
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
        let beside = self.asked.values().any(|other| other.node == node && other.method == Method::Put);
        let asked = Asked { method: request.method, node, form, whole, beside, at, seq };
        let resizes = asked.resizes();
        if let Some(to) = asked.uri().and_then(Address::of).filter(|_| resizes) {
            leads_to(&to, receivers);
        }
        self.asked.insert(exchange, asked);
        if resizes {
            self.apply(receivers, at, seq);
        }
    }

    /// A request failed; what it would have done is open.
    pub(super) fn failed(&mut self, exchange: ExchangeId) {
        if let Some(asked) = self.asked.remove(&exchange).filter(Asked::resizes) {
            self.left_open(&asked);
        }
    }

    /// What became of a request is not known.
    fn left_open(&mut self, asked: &Asked) {
        for (_, entry) in self.entries.iter_mut().filter(|(id, _)| asked.changes(id)) {
            (entry.unsure, entry.lost, entry.seq) = (true, true, entry.seq.max(asked.seq));
        }
        if asked.adds() {
            // There may be one more, and it may have the id of one that was removed.
            self.foreign = None;
            self.removed.clear();
        }
    }

    /// A request was answered.
    pub(super) fn answered(
        &mut self,
        exchange: ExchangeId,
        response: &Response,
        receivers: &mut BTreeMap<ReceiverId, Receiver>,
        moment: &mut Moment<'_>,
    ) -> Option<News> {
        let asked = self.asked.remove(&exchange)?;
        if (400..500).contains(&response.status)
            && let Some(to) = asked.uri().and_then(Address::of).filter(|_| asked.resizes())
        {
            leads_nowhere(&to, receivers);
        }
        match (&asked.node, asked.method) {
            (Node::Receivers, Method::Post) => self.created(&asked, response, moment),
            (Node::Receivers, Method::Get) => self.listed(&asked, response, moment),
            (Node::Receiver(id), Method::Get) => self.read(id, &asked, response, moment),
            (Node::Receiver(id), method) => self.changed(id, method, &asked, response, moment),
            (Node::LegacyReceiver, Method::Get) => {}
            (Node::LegacyReceiver, _) => self.legacy_changed(&asked, response, moment),
            (Node::CallBridges, Method::Get) if asked.whole => self.bridges_listed(response, moment.seq),
            _ => return self.tagged(&asked, response, (moment.at, moment.seq)),
        }
        self.apply(receivers, moment.at, moment.seq);
        None
    }

    /// The older node changes or removes the first receiver of the list, and which one that is, is not known.
    fn legacy_changed(&mut self, asked: &Asked, response: &Response, moment: &Moment<'_>) {
        if (400..500).contains(&response.status) {
            return;
        }
        self.left_open(asked);
        self.entries.remove(LEGACY);
        let uri = asked.uri().unwrap_or_default().to_owned();
        if response.is_success() && !uri.is_empty() {
            let entry = Entry { pristine: false, unsure: true, ..Entry::made(uri, asked, moment) };
            self.entries.insert(LEGACY.to_owned(), entry);
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
        for receiver in receivers.values_mut() {
            receiver.leaving = false;
            let Some(address) = receiver.address.clone() else { continue };
            let mut here: Vec<&Entry> = Vec::new();
            for (id, entry) in &self.entries {
                let Some(to) = Address::of(&entry.uri).filter(|to| to.reaches(&address)) else { continue };
                receiver.may_be_asked_for(to.target);
                receiver.leaving |= entry.lost || self.is_changing(id);
                here.push(entry);
            }
            let latest = here.iter().max_by_key(|entry| entry.seq);
            receiver.shared |= here.len() > 1 || self.foreign_uris.iter().any(|uri| uri.reaches(&address));
            if receiver.leaving {
                receiver.forgive();
            }
            let perhaps = self.entries.values().flat_map(|entry| &entry.perhaps).any(|uri| uri.reaches(&address));
            match (latest, receiver.standing) {
                (Some(entry), Standing::On { seq: known, .. }) if known == entry.seq => {}
                (Some(entry), before) => {
                    let first = entry.pristine && receiver.sets == 0 && before == Standing::Unknown;
                    receiver.standing =
                        Standing::On { asked: entry.asked, answered: entry.answered, first, seq: entry.seq };
                    // An earlier entry's sets may have come before it was known that it is on again.
                    if before != Standing::Unknown {
                        receiver.loosen();
                    }
                    receiver.told_of(entry.answered, at);
                }
                (None, Standing::On { .. }) if perhaps => receiver.standing = Standing::Open,
                (None, Standing::On { .. } | Standing::Open) if !perhaps => {
                    receiver.standing = Standing::Off { at, seq };
                }
                (None, _) => {}
            }
        }
    }

    /// Whether a request is under way that may change a receiver or remove it.
    fn is_changing(&self, id: &str) -> bool {
        self.asked.values().any(|asked| asked.changes(id))
    }

    /// Whether the list may have been longer when a request was served than what was answered by now says.
    fn may_have_been_longer(&self, asked: &Asked) -> bool {
        self.asked.values().any(Asked::resizes) || self.removed.iter().any(|removed| removed.seq > asked.seq)
    }

    /// After a restart the list may be another one.
    pub(super) fn restarted(&mut self) {
        self.entries.values_mut().for_each(|entry| entry.unsure = true);
        self.foreign = None;
        self.fifth = None;
    }

    fn created(&mut self, asked: &Asked, response: &Response, moment: &mut Moment<'_>) {
        let Some(uri) = asked.uri().map(str::to_owned) else { return };
        let ours = self.entries.iter().filter(|(id, entry)| !entry.unsure && !self.is_changing(id)).count();
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
            self.removed.retain(|removed| removed.id != id);
            if self.entries.len() < REMEMBERED {
                self.entries.insert(id, Entry::made(uri, asked, moment));
            }
            return;
        }
        if !(400..500).contains(&response.status) {
            return self.left_open(asked);
        }
        if Address::of(&uri).is_none() {
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
        let name = asked.name();
        let full = String::from_utf8_lossy(&response.body).contains("tooManyCdrReceivers");
        let other_name = self.refused.take().filter(|(other, value, _)| *other != name && *value == uri);
        let alone = all.is_some_and(|all| all == self.entries.len()) && !self.may_have_been_longer(asked);
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
        let shown: Vec<(String, Option<&str>)> = list
            .children
            .iter()
            .filter_map(|child| Some((folded(child.get_attribute("id")?).into_owned(), uri_in(child))))
            .collect();
        let total = list.get_attribute("total").and_then(|total| total.parse::<usize>().ok());
        if total.is_some_and(|total| total != shown.len()) {
            return;
        }
        let is_shown = |id: &str| shown.iter().any(|(known, _)| known == id);
        let foreign: Vec<&(String, Option<&str>)> =
            shown.iter().filter(|(id, _)| !self.entries.contains_key(id)).collect();
        let newcomers = self.foreign.as_ref().is_none_or(|known| foreign.iter().any(|(id, _)| !known.contains(id)));
        self.foreign_uris = foreign.iter().filter_map(|(_, uri)| Address::of((*uri)?)).take(REMEMBERED).collect();
        for (id, entry) in self.entries.iter_mut().filter(|(id, _)| *id != LEGACY) {
            let is_newer = entry.seq < asked.seq;
            entry.lost = match shown.iter().find(|(known, _)| known == id) {
                None => is_newer || entry.lost,
                // Where it leads, if that was open, shows here or nowhere.
                Some((_, uri)) => entry.lost && !(is_newer && uri.is_none_or(|uri| is_same(uri, &entry.uri))),
            };
        }
        let under_way = &self.asked;
        let is_settled = |id: &str, entry: &Entry| {
            !entry.unsure && entry.seq < asked.seq && !under_way.values().any(|other| other.changes(id))
        };
        for (id, entry) in self.entries.iter_mut().filter(|(id, entry)| is_settled(id, entry)) {
            if is_shown(id) {
                moment.docket.tested(R::Cdr15);
            } else if newcomers && !foreign.is_empty() {
                // Somebody else may have taken its place.
                entry.unsure = true;
            } else {
                let (expected, observed) = ("a list of the receivers that were configured", format!("no entry {id}"));
                moment.fail(R::Cdr15, expected, observed, &[entry.seq, asked.seq]);
                entry.unsure = true;
            }
        }
        if let Some((id, seq)) = shown.iter().find_map(|(id, uri)| Some((id, self.is_back(id, *uri, asked)?))) {
            let observed = format!("{id}, which was removed");
            moment.fail(R::Cdr15, "a list of the receivers that were configured", observed, &[seq, asked.seq]);
        }
        self.foreign = Some(foreign.into_iter().map(|(id, _)| id.clone()).collect());
    }

    /// Where a receiver was removed that the API shows all the same. Its id may have been given out again.
    fn is_back(&self, id: &str, uri: Option<&str>, asked: &Asked) -> Option<Seq> {
        let is_it = |removed: &&Removed| {
            removed.id == id && removed.seq < asked.seq && uri.is_none_or(|uri| is_same(uri, &removed.uri))
        };
        let removed = self.removed.iter().find(is_it)?;
        (!self.asked.values().any(Asked::adds)).then_some(removed.seq)
    }

    fn read(&mut self, id: &str, asked: &Asked, response: &Response, moment: &mut Moment<'_>) {
        let document = Element::parse(&response.body).ok().filter(|_| response.is_success());
        let shown = document.as_ref().and_then(uri_in);
        if let Some(seq) = self.is_back(id, shown, asked).filter(|_| response.is_success()) {
            return moment.fail(R::Cdr15, "no receiver once it was removed", response.status.to_string(), &[seq]);
        }
        // Whether a change beside it came first is open.
        let changing = self.is_changing(id);
        let settled = |entry: &&mut Entry| !entry.unsure && entry.seq < asked.seq && !changing;
        let Some(entry) = self.entries.get_mut(id).filter(settled) else { return };
        if !response.is_success() {
            let denied = matches!(response.status, 400 | 404 | 410);
            if denied && self.foreign.as_ref().is_some_and(Vec::is_empty) {
                let observed = response.status.to_string();
                moment.fail(R::Cdr15, "the receiver that was configured", observed, &[entry.seq]);
            }
            (entry.unsure, entry.lost) = (true, entry.lost || denied);
            return;
        }
        if document.is_none() {
            return;
        }
        let shown = shown.unwrap_or_default();
        if is_same(shown, &entry.uri) {
            moment.docket.tested(R::Cdr15);
        } else {
            let expected = format!("the URI {}", entry.uri);
            moment.fail(R::Cdr15, &expected, quote(shown), &[entry.seq]);
        }
    }

    fn changed(&mut self, id: &str, method: Method, asked: &Asked, response: &Response, moment: &mut Moment<'_>) {
        let alone = !self.is_changing(id);
        let Some(entry) = self.entries.get_mut(id) else { return };
        // Whether the server takes the other name of the parameter, or heeds it, is open.
        let named = asked.uri().is_none() || asked.name() == entry.name;
        if !response.is_success() {
            let in_order = !entry.unsure
                && (400..500).contains(&response.status)
                && asked.uri().is_none_or(|uri| Address::of(uri).is_some());
            if !asked.is_declined(response) {
                (entry.unsure, entry.lost) = (true, true);
            }
            if in_order && named && alone && entry.seq < asked.seq && self.foreign.as_ref().is_some_and(Vec::is_empty) {
                let expected =
                    if method == Method::Delete { "the receiver is removed" } else { "the receiver is changed" };
                moment.fail(R::Cdr15, expected, response.status.to_string(), &[asked.seq, entry.seq]);
            }
            return;
        }
        if method == Method::Delete {
            moment.docket.tested(R::Cdr15);
            let uri = std::mem::take(&mut entry.uri);
            self.entries.remove(id);
            if self.removed.len() == ASKED {
                self.removed.pop_front();
            }
            self.removed.push_back(Removed { id: id.to_owned(), uri, seq: moment.seq });
        } else if let Some(uri) = asked.uri() {
            moment.docket.tested(R::Cdr15);
            // Which of several changes came last is open, too.
            let open = !named || !alone || entry.seq > asked.seq;
            let before = Address::of(&entry.uri).filter(|_| entry.perhaps.len() < REMEMBERED);
            if open {
                entry.perhaps.extend(before);
            } else {
                entry.perhaps.clear();
            }
            *entry = Entry {
                uri: uri.to_owned(),
                asked: asked.at,
                answered: moment.at,
                seq: moment.seq,
                name: entry.name,
                pristine: false,
                unsure: entry.unsure || open,
                lost: entry.lost || open,
                perhaps: std::mem::take(&mut entry.perhaps),
            };
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

    /// An answer about a coSpace, a call or a leg. Returns what others have to know of it.
    fn tagged(&mut self, asked: &Asked, response: &Response, (at, seq): (Instant, Seq)) -> Option<News> {
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
                return location.and_then(guid::number).map(|call| News::CallMade(call, asked.at));
            }
            (Node::Call(id), Method::Delete) if response.is_success() => return Some(News::CallEnded(*id, asked.at)),
            (Node::Space(id) | Node::CallLeg(id), Method::Put) if response.is_success() && given.is_some() => {
                // If there are several at a time, which comes last is open.
                let others = self.asked.values().any(|other| other.node == asked.node && other.method == Method::Put);
                if let Some(tag) = self.tags.get_mut(id).filter(|_| !others && !asked.beside) {
                    tag.since = Some(at);
                }
            }
            // What becomes of the tag of one that is gone is open.
            (Node::Space(id), Method::Delete) => {
                self.tags.remove(id);
                return Some(News::SpaceRemoved(*id));
            }
            _ => {}
        }
        None
    }

    /// The tag that was given to a coSpace or call leg in this trace, if one was or surely was not.
    pub(super) fn tag(&self, id: u128) -> Option<&Tag> {
        self.tags.get(&id)
    }
}

/// A request leads to receivers, which may be served before it is answered, and even if it never is.
fn leads_to(to: &Address, receivers: &mut BTreeMap<ReceiverId, Receiver>) {
    for receiver in receivers.values_mut() {
        if receiver.address.as_ref().is_some_and(|own| own.reaches(to)) {
            receiver.may_be_asked_for(to.target.clone());
            if let Standing::Off { at, seq } = receiver.standing {
                receiver.standing = Standing::Returning { at, seq };
                receiver.loosen();
            }
        }
    }
}

/// A request that would have led to receivers was refused: who was removed before is so still.
fn leads_nowhere(to: &Address, receivers: &mut BTreeMap<ReceiverId, Receiver>) {
    for receiver in receivers.values_mut() {
        if let Standing::Returning { at, seq } = receiver.standing
            && receiver.address.as_ref().is_some_and(|own| own.reaches(to))
        {
            receiver.standing = Standing::Off { at, seq };
        }
    }
}

/// The URI that the API shows of a receiver.
fn uri_in(element: &Element) -> Option<&str> {
    element.text_at(&["uri"]).or_else(|| element.text_at(&["url"]))
}

/// Whether a URI that the API shows means the one that was configured.
fn is_same(shown: &str, configured: &str) -> bool {
    let same = |shown: Address, configured: Address| shown.reaches(&configured) && shown.target == configured.target;
    shown == configured || Address::of(shown).zip(Address::of(configured)).is_some_and(|(a, b)| same(a, b))
}
