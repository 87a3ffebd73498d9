//! The steps of CDR receivers: listening, being configured on the server, plans, waiting for records; and the restart of
//! the Call Bridge.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_saphyr::Spanned;

use super::api_client::{form_request, location_id, refusal, request};
use super::core::{Core, Handle, Seen, Stop};
use super::driver::{Command, Input};
use super::options::Restart as Means;
use super::receiver::plan::{Action, Answer, Entry, Pace, Point, Which};
use super::receiver::{Heard, ReceiverSettings, Receivers, Surroundings};
use super::record_ear::{RecordEar, as_texts};
use crate::protocol::api::names;
use crate::protocol::api::xml::Element;
use crate::protocol::http::{Method, Response};
use crate::protocol::http1::Limits;
use crate::scenario::syntax::{
    ChangeReceiver, Failing, MakePlan, PlanEntry, ReceiverHead, ReceiverOnly, Register, RegisterOutcome, Restart,
    WaitRecord, WaitSet,
};
use crate::time::Instant;
use crate::trace::{Event, NetworkError, ReceiverId, Sink};

/// The collection of receivers on a server.
pub(super) const COLLECTION: &str = "/system/cdrReceivers";

/// How long the engine waits before it looks again whether a restarted server answers.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

/// How much shorter than expected an uptime has to be until it shows a restart, in seconds: whole seconds are told.
const UPTIME_MARGIN_S: u64 = 2;

/// The names of the parameter that holds a receiver's URI: what servers take, and what the API's older text says.
const PARAMETERS: [&str; 2] = ["uri", "url"];

/// The CDR receivers of a scenario.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) actors: Receivers,
    names: BTreeMap<String, ReceiverId>,
    ears: BTreeMap<ReceiverId, RecordEar>,
    /// How attempts to listen ended that nobody has looked at.
    listened: BTreeMap<ReceiverId, Result<(), NetworkError>>,
    /// The name of the parameter for URIs that this server takes, once it is known.
    parameter: Option<&'static str>,
    /// How the command that restarts the server ended: why it failed, if it did.
    restarted: Option<Option<String>>,
    /// Whether the server is being restarted, so that it need not answer.
    pub(super) is_restarting: bool,
}

impl Reception {
    pub(super) fn new(heads: &[Spanned<ReceiverHead>], limits: Limits, bends: &[String]) -> Self {
        let mut actors = Receivers::new(limits).bent(bends.to_vec());
        let (mut names, mut ears) = (BTreeMap::new(), BTreeMap::new());
        for (number, head) in (1..).zip(heads) {
            let (receiver, ReceiverHead { name, tls, path }) = (ReceiverId(number), head.value.clone());
            names.insert(name.clone(), receiver);
            ears.insert(receiver, RecordEar::default());
            actors.add(receiver, ReceiverSettings { name, tls, path });
        }
        let (listened, parameter) = (BTreeMap::new(), None);
        Self { actors, names, ears, listened, parameter, restarted: None, is_restarting: false }
    }

    /// Whether the scenario has no receivers.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    fn id(&self, name: &str) -> Result<ReceiverId, Stop> {
        let known = self.names.get(name).copied();
        known.ok_or_else(|| Stop::Unfinished(format!("there is no receiver `{name}`")))
    }

    /// What a receiver has heard.
    pub(super) fn ear(&mut self, name: &str) -> Result<&mut RecordEar, Stop> {
        let receiver = self.id(name)?;
        Ok(self.ears.entry(receiver).or_default())
    }

    /// The built-in value `value` of a receiver.
    pub(super) fn value(&self, name: &str, value: &str) -> Option<String> {
        let receiver = self.names.get(name)?;
        let ear = self.ears.get(receiver)?;
        match value {
            "uri" => self.actors.uri(*receiver).map(str::to_owned),
            "id" => ear.entry.clone(),
            "sets" => Some(ear.sets().to_string()),
            "records" => Some(ear.taken().to_string()),
            _ => None,
        }
    }
}

impl<S: Sink> Core<S> {
    /// Lets the receivers act.
    pub(super) fn let_receive(&mut self, act: impl FnOnce(&mut Receivers, &mut Surroundings<'_, S>)) {
        let Reception { actors, names, ears, .. } = &mut self.reception;
        let mut told = None;
        let live = &mut self.live;
        let mut hear = |heard: Heard<'_>| {
            if let (Heard::Arrived { records, .. }, Some(live)) = (&heard, live.as_mut()) {
                live.hear_set(records.records().len() as u64);
            }
            let (Heard::Began { receiver } | Heard::Arrived { receiver, .. } | Heard::Decided { receiver, .. }) = heard;
            let Some(ear) = ears.get_mut(&receiver) else { return };
            if let Some(what) = ear.hear(heard) {
                let name = names.iter().find(|(_, id)| **id == receiver).map_or("?", |(name, _)| name);
                told = Some(format!("{name} {what}"));
            }
        };
        let (now, trace, commands) = (self.now, &mut self.trace, &mut self.commands);
        act(actors, &mut Surroundings { now, trace, commands, hear: &mut hear });
        self.last_activity = self.now;
        self.last_seen = told.map(Seen::Told).or_else(|| self.last_seen.take());
    }

    /// Takes what happened to receivers and their connections.
    pub(super) fn take_of_receivers(&mut self, input: Input<'_>) {
        match input {
            Input::Listening { receiver, authority } => {
                self.reception.listened.insert(receiver, Ok(()));
                self.let_receive(|actors, around| actors.opened(receiver, &authority, around));
            }
            Input::ListenFailed { receiver, error } => {
                self.network_errors.push(error.clone());
                self.reception.listened.insert(receiver, Err(error));
            }
            Input::LinkOpened { receiver, link } => {
                self.let_receive(|actors, around| actors.link_opened(receiver, link, around));
            }
            Input::HandshakeFailed { receiver, what, by_peer } => {
                self.let_receive(|actors, around| actors.handshake_failed(receiver, (what, by_peer), around));
            }
            Input::LinkReceived { link, bytes } => {
                self.let_receive(|actors, around| actors.link_received(link, bytes, around));
            }
            Input::LinkEnded { link, cause } => {
                self.let_receive(|actors, around| actors.link_ended(link, cause, around));
            }
            Input::Restarted { failure } => self.reception.restarted = Some(failure),
            _ => {}
        }
    }

    fn plan_entry(&mut self, entry: &PlanEntry) -> Result<Entry, Stop> {
        let location = entry.location.as_ref().map(|location| self.resolve(location)).transpose()?;
        Ok(Entry::from_syntax(entry, location))
    }
}

impl Entry {
    /// The entry that stands in a scenario or a file; `location` is the value of its `location`.
    pub fn from_syntax(entry: &PlanEntry, location: Option<String>) -> Self {
        let answer = Answer {
            status: entry.answer.unwrap_or(200),
            after: entry.after.map_or(Duration::ZERO, |after| after.0),
            close: entry.close,
            bare: entry.bare,
            location,
        };
        let types = entry.records.iter().flatten();
        let which = Which {
            numbers: entry.sets.as_ref().map_or_else(Vec::new, |sets| sets.0.clone()),
            every: entry.every,
            types: types.map(|kind| kind.value.clone()).collect(),
            from: entry.from.map(|from| from.0),
            to: entry.to.map(|to| to.0),
        };
        let action = entry.fail.map_or(Action::Answer(answer), action_of);
        let pace = entry.read.map(|slowly| Pace { bytes: slowly.bytes, every: slowly.every.0 });
        Self { which, times: entry.times, action, pace }
    }
}

const fn action_of(failing: Failing) -> Action {
    match failing {
        Failing::Never => Action::Never,
        Failing::CloseAtStart => Action::Close(Point::Start),
        Failing::CloseInBody => Action::Close(Point::InBody),
        Failing::CloseAfterBody => Action::Close(Point::AfterBody),
        Failing::ResetAtStart => Action::Reset(Point::Start),
        Failing::ResetInBody => Action::Reset(Point::InBody),
        Failing::ResetAfterBody => Action::Reset(Point::AfterBody),
        Failing::HalfAnswer => Action::HalfAnswer,
        Failing::LoseAnswer => Action::LoseAnswer,
    }
}

impl<S: Sink + Send> Handle<S> {
    /// Lets a receiver take connections; gives its URI.
    pub(super) async fn listen(&self, name: &str) -> Result<String, Stop> {
        let begun = self.now();
        let deadline = self.deadline(None);
        let receiver = self.with(|core| {
            let receiver = core.reception.id(name)?;
            core.reception.listened.remove(&receiver);
            core.let_receive(|actors, around| actors.listen(receiver, around));
            Ok(receiver)
        })?;
        match self.until(deadline, |core| core.reception.listened.remove(&receiver)).await? {
            Some(Ok(())) => self.with(|core| {
                let uri = core.reception.actors.uri(receiver).map(str::to_owned);
                uri.ok_or_else(|| Stop::Unfinished(format!("the receiver {name} has no URI")))
            }),
            Some(Err(error)) => Err(Stop::Unfinished(format!("the receiver {name}: {error}"))),
            None => Err(self.missed(begun, &format!("{name} to listen"))),
        }
    }

    /// The URI of a receiver, which begins to listen if it has never done so.
    async fn uri_of(&self, name: &str) -> Result<String, Stop> {
        let known = self.with(|core| {
            let receiver = core.reception.id(name)?;
            Ok(core.reception.actors.uri(receiver).map(str::to_owned))
        })?;
        match known {
            Some(uri) => Ok(uri),
            None => self.listen(name).await,
        }
    }

    pub(super) fn refuse(&self, step: &ReceiverOnly) -> Result<(), Stop> {
        self.with(|core| {
            let receiver = core.reception.id(&step.receiver.value)?;
            core.let_receive(|actors, around| actors.refuse(receiver, around));
            Ok(())
        })
    }

    pub(super) async fn register(&self, step: &Register) -> Result<(), Stop> {
        let name = step.receiver.value.as_str();
        let own = self.uri_of(name).await?;
        let uri = step.uri.as_ref().map_or(Ok(own), |uri| self.with(|core| core.resolve(uri)))?;
        let response = self.configure(Method::Post, COLLECTION, &uri).await?;
        let entry = location_id(&response).filter(|id| response.is_success() && !id.is_empty());
        match (step.until, &entry) {
            (RegisterOutcome::Refused, _) if !response.is_success() => return Ok(()),
            (RegisterOutcome::Any, None) => return Ok(()),
            (RegisterOutcome::Refused, _) | (RegisterOutcome::Registered, None) => {
                let what = format!("POST {}{COLLECTION} for {name}", names::BASE);
                return Err(Stop::Unfinished(refusal(&what, &response)));
            }
            _ => {}
        }
        self.with(|core| {
            core.reception.ear(name)?.entry.clone_from(&entry);
            match (&step.store, &entry) {
                (Some(store), Some(entry)) => core.store(store, entry),
                _ => Ok(()),
            }
        })
    }

    /// Puts all receivers of the scenario on the server's list, each with its own URI.
    pub(super) async fn register_all(&self) -> Result<(), Stop> {
        let names: Vec<String> = self.with(|core| core.reception.names.keys().cloned().collect());
        for name in names {
            let uri = self.uri_of(&name).await?;
            let response = self.configure(Method::Post, COLLECTION, &uri).await?;
            let entry = location_id(&response).filter(|id| response.is_success() && !id.is_empty());
            let Some(entry) = entry else {
                return Err(Stop::Unfinished(refusal(
                    &format!("POST {}{COLLECTION} for {name}", names::BASE),
                    &response,
                )));
            };
            self.with(|core| core.reception.ear(&name).map(|ear| ear.entry = Some(entry)))?;
        }
        Ok(())
    }

    /// Gives an entry of the server's list its URI. A server that does not take the parameter under one name gets it under
    /// the other; which it is stands in the trace.
    async fn configure(&self, method: Method, path: &str, uri: &str) -> Result<Response, Stop> {
        let known = self.with(|core| core.reception.parameter);
        let first = known.unwrap_or(PARAMETERS[0]);
        let response = self.patient(request(method, path, &[(first, uri)])).await?;
        let is_unknown = (400..500).contains(&response.status) && !response.text().contains("tooMany");
        let (parameter, response) = if known.is_none() && is_unknown {
            let second = self.patient(request(method, path, &[(PARAMETERS[1], uri)])).await?;
            (PARAMETERS[1], if second.is_success() { second } else { response })
        } else {
            (first, response)
        };
        if response.is_success() {
            self.with(|core| core.reception.parameter = Some(parameter));
        }
        Ok(response)
    }

    /// The path of the entry that a receiver has in the server's list.
    fn entry_of(&self, name: &str) -> Result<String, Stop> {
        let entry = self.with(|core| Ok(core.reception.ear(name)?.entry.clone()))?;
        let entry = entry.ok_or_else(|| Stop::Unfinished(format!("{name} is not configured on the server")))?;
        Ok(format!("{COLLECTION}/{entry}"))
    }

    pub(super) async fn change_receiver(&self, step: &ChangeReceiver) -> Result<(), Stop> {
        let path = self.entry_of(&step.receiver.value)?;
        let uri = match (&step.to, &step.uri) {
            (Some(to), _) => self.uri_of(&to.value).await?,
            (None, Some(uri)) => self.with(|core| core.resolve(uri))?,
            (None, None) => return Err(Stop::Unfinished("`change-receiver` names nothing".to_owned())),
        };
        let response = self.configure(Method::Put, &path, &uri).await?;
        if response.is_success() {
            return Ok(());
        }
        Err(Stop::Unfinished(refusal(&format!("PUT {}{path}", names::BASE), &response)))
    }

    pub(super) async fn unregister(&self, step: &ReceiverOnly) -> Result<(), Stop> {
        let name = step.receiver.value.as_str();
        let path = self.entry_of(name)?;
        self.succeed(request(Method::Delete, &path, &[])).await?;
        self.with(|core| {
            core.reception.ear(name)?.entry = None;
            Ok(())
        })
    }

    pub(super) fn make_plan(&self, step: &MakePlan) -> Result<(), Stop> {
        self.with(|core| {
            let receiver = core.reception.id(&step.receiver.value)?;
            let entries = step.entries.iter().map(|entry| core.plan_entry(&entry.value));
            let entries = entries.collect::<Result<Vec<Entry>, Stop>>()?;
            core.reception.actors.set_plan(core.now, receiver, entries);
            core.reception.ear(&step.receiver.value)?.begin_to_count();
            Ok(())
        })
    }

    pub(super) async fn wait_record(&self, step: &WaitRecord) -> Result<(), Stop> {
        let name = step.receiver.value.as_str();
        let begun = self.now();
        let deadline = self.record_deadline(step.within);
        let (pattern, count) = self.with(|core| {
            let count = step.count.as_ref().map_or(Ok(1), |count| core.resolve_number(count))?;
            Ok((as_texts(core.resolve_json(&step.pattern)?), count))
        })?;
        let look = |core: &mut Core<S>| core.reception.ear(name).ok()?.consume(count, &pattern);
        match (self.until(deadline, look).await?, &step.store) {
            (Some(id), Some(store)) => self.with(|core| core.store(store, &id)),
            (Some(_), None) => Ok(()),
            (None, _) if step.or_go_on => self.with(|core| core.reception.ear(name).map(RecordEar::forget)),
            (None, _) if count == 1 => Err(self.missed(begun, &format!("a record that {name} takes like {pattern}"))),
            (None, _) => Err(self.missed(begun, &format!("{count} records that {name} takes like {pattern}"))),
        }
    }

    pub(super) async fn wait_set(&self, step: &WaitSet) -> Result<(), Stop> {
        let name = step.receiver.value.as_str();
        let begun = self.now();
        let deadline = self.record_deadline(step.within);
        let count = self.with(|core| step.count.as_ref().map_or(Ok(1), |count| core.resolve_number(count)))?;
        let look = |core: &mut Core<S>| core.reception.ear(name).ok()?.has_got(count).then_some(());
        match self.until(deadline, look).await? {
            Some(()) => Ok(()),
            None if step.or_go_on => self.with(|core| core.reception.ear(name).map(RecordEar::begin_to_count)),
            None if count == 1 => Err(self.missed(begun, &format!("a set of records to begin to arrive at {name}"))),
            None => Err(self.missed(begun, &format!("{count} sets of records to begin to arrive at {name}"))),
        }
    }

    pub(super) async fn restart(&self, step: &Restart) -> Result<(), Stop> {
        let begun = self.now();
        // Read while the server is sure to be the old one.
        let before = match self.with(|core| core.options.restart) {
            Means::Command(_) => self.status().await?,
            _ => None,
        };
        self.with(|core| {
            core.observe(Event::RestartBegun);
            core.reception.is_restarting = true;
        });
        let done = self.restart_and_wait(step, begun, before).await;
        self.with(|core| {
            core.reception.is_restarting = false;
            if done.is_ok() {
                core.observe(Event::RestartDone);
            }
        });
        done
    }

    async fn restart_and_wait(&self, step: &Restart, begun: Instant, before: Option<Status>) -> Result<(), Stop> {
        let mut deadline = self.deadline(step.within);
        match self.with(|core| core.options.restart) {
            Means::Emulator => {
                let target = format!("{}/restart", names::TEST_BASE);
                self.succeed(form_request(Method::Post, target, &[])).await?;
            }
            Means::Command(timeout) => {
                let timeout = step.within.map_or(timeout, |within| timeout.min(within.0));
                self.run_command(timeout, begun).await?;
                if step.within.is_none() {
                    // The command may be through long before the server is there again.
                    deadline = deadline.max(self.now() + timeout);
                }
            }
            Means::Impossible => return Err(Stop::Unfinished("nothing can restart the target".to_owned())),
        }
        // The command may also be through before the server has gone: what answers then is still the old one.
        let before = before.filter(Status::can_tell);
        let mut was_gone = false;
        loop {
            let status = self.status().await?;
            was_gone |= status.is_none();
            let is_new = |now: &Status| was_gone || before.as_ref().is_none_or(|before| now.is_after_restart(before));
            if status.as_ref().is_some_and(is_new) {
                return Ok(());
            }
            if self.now() >= deadline {
                let what = if status.is_some() {
                    "uptime and correlator index of the server to show that it has restarted"
                } else {
                    "the restarted server to answer"
                };
                return Err(self.missed(begun, what));
            }
            self.pause(LOOK_PAUSE).await?;
        }
    }

    /// Runs the command that restarts the server, and waits for its end.
    async fn run_command(&self, timeout: Duration, begun: Instant) -> Result<(), Stop> {
        let limit = self.with(|core| {
            core.reception.restarted = None;
            core.commands.push_back(Command::Restart { timeout });
            core.now + timeout + Duration::from_secs(1)
        });
        match self.until(limit, |core| core.reception.restarted.take()).await? {
            Some(None) => Ok(()),
            Some(Some(failure)) => {
                Err(Stop::Unfinished(format!("the command that restarts the server failed: {failure}")))
            }
            None => Err(self.missed(begun, "the end of the command that restarts the server")),
        }
    }

    /// What the server says of itself; `None` if it does not answer with success.
    async fn status(&self) -> Result<Option<Status>, Stop> {
        let asked = self.now();
        let answer = self.try_exchange(request(Method::Get, "/system/status", &[])).await?;
        Ok(answer.ok().filter(Response::is_success).map(|response| Status::read(&response.body, asked, self.now())))
    }

    /// Removes the receivers of this scenario from the server's list, then lets them listen no more.
    pub(super) async fn stop_receiving(&self) {
        self.remove_made(&format!("{COLLECTION}/")).await;
        self.with(|core| core.let_receive(|actors, around| actors.close_all(around)));
    }
}

/// What a server says of itself that tells whether it has restarted since.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Status {
    asked: Instant,
    answered: Instant,
    uptime_s: Option<u64>,
    correlator_index: Option<u64>,
}

impl Status {
    fn read(body: &[u8], asked: Instant, answered: Instant) -> Self {
        let status = Element::parse(body).ok();
        let number = |name: &str| status.as_ref()?.text_at(&[name])?.trim().parse().ok();
        Self { asked, answered, uptime_s: number("uptimeSeconds"), correlator_index: number("cdrCorrelatorIndex") }
    }

    const fn can_tell(&self) -> bool {
        self.uptime_s.is_some() || self.correlator_index.is_some()
    }

    /// Whether the server has restarted between `before` and this: its uptime is shorter than it would be otherwise, by
    /// more than rounding makes, or its correlator index has fallen.
    fn is_after_restart(&self, before: &Self) -> bool {
        let is_short = before.uptime_s.zip(self.uptime_s).is_some_and(|(before_s, now_s)| {
            let between_s = self.asked.since(before.answered).as_secs();
            now_s.saturating_add(UPTIME_MARGIN_S) < before_s.saturating_add(between_s)
        });
        let has_fallen = before.correlator_index.zip(self.correlator_index).is_some_and(|(before, now)| now < before);
        is_short || has_fallen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_shows_in_uptime_or_correlator_index() {
        let status = |at_s: u64, uptime_s: &str, index: &str| {
            let body = format!(
                "<status><uptimeSeconds>{uptime_s}</uptimeSeconds><cdrCorrelatorIndex>{index}</cdrCorrelatorIndex></status>"
            );
            let at = Instant::from_millis(at_s * 1000);
            Status::read(body.as_bytes(), at, at)
        };
        let before = status(10, "100", "7");
        let is_new = |later: Status| later.is_after_restart(&before);
        assert!(!is_new(status(15, "105", "7")) && !is_new(status(15, "104", "9")) && !is_new(status(10, "100", "x")));
        assert!(is_new(status(15, "2", "7")) && is_new(status(500, "480", "9")) && is_new(status(11, "", "0")));
        assert!(before.can_tell() && !status(0, "", "").can_tell());
    }
}
