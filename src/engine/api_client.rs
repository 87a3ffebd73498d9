//! The API client: requests and their answers, and the journal of what the scenario made on the target.
//!
//! The journal is kept where answers arrive and not in the steps, so that an object whose step was interrupted is
//! removed at the end all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use super::core::{Core, Handle, Seen, Stop};
use super::driver::Command;
use super::receiver_steps::COLLECTION;
use crate::protocol::api::{names, xml::Element};
use crate::protocol::http::{Headers, Method, Request, Response};
use crate::trace::{Event, ExchangeId, NetworkError, Sink};

/// How often a request is repeated that was answered 503.
const BUSY_REPEATS: u32 = 4;

/// How long the client waits before it repeats one.
const BUSY_PAUSE: Duration = Duration::from_millis(500);

/// How long an exchange may take beyond the time to react.
pub(super) const EXCHANGE_GRACE: Duration = Duration::from_secs(5);

/// Why nothing came of a request, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fruitless {
    /// It was refused with this status: nothing was changed or made.
    Refused(u16),
    /// It was answered with this status of a server in trouble, which may have changed or made something.
    Failed(u16),
    /// There was no answer, though the request may have arrived.
    Unanswered,
}

impl Fruitless {
    /// What an answer says of the request; nothing where it succeeded.
    const fn of(status: u16) -> Option<Self> {
        match status {
            200..=299 => None,
            500..=599 => Some(Self::Failed(status)),
            _ => Some(Self::Refused(status)),
        }
    }

    /// Whether nothing was changed or made.
    pub(super) const fn is_refusal(self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

impl fmt::Display for Fruitless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(status) => write!(f, "the API refused with {status}"),
            Self::Failed(status) => write!(f, "the API answered {status}"),
            Self::Unanswered => f.write_str("the API gave no answer"),
        }
    }
}

/// The collections whose objects are removed at the end.
const JOURNALLED: [&str; 3] = ["/calls", "/coSpaces", COLLECTION];

/// The state of the API client.
#[derive(Debug, Default)]
pub(super) struct Api {
    last_exchange: u32,
    pending: BTreeMap<ExchangeId, (Method, String)>,
    answers: BTreeMap<ExchangeId, Result<Response, NetworkError>>,
    /// Paths below the API's base of objects made and not removed yet, oldest first.
    journal: Vec<String>,
    /// Exchanges of a load that ended before they did: nobody wants their answers.
    pub(super) strays: BTreeSet<ExchangeId>,
    /// Ids of the calls made, removed ones included.
    pub(super) calls_made: Vec<String>,
    /// Paths that could not be removed.
    pub(super) left_behind: Vec<String>,
    /// Why the first of them could not.
    pub(super) left_because: Option<String>,
}

impl Api {
    /// Whether an exchange is under way.
    pub(super) fn is_busy(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The newest object below a path, which leaves the journal.
    fn take_made(&mut self, below: &str) -> Option<String> {
        let at = self.journal.iter().rposition(|made| made.starts_with(below))?;
        Some(self.journal.remove(at))
    }

    fn note(&mut self, method: Method, target: &str, response: &Response) {
        if !response.is_success() {
            return;
        }
        let path = below_base(target);
        match method {
            Method::Post if JOURNALLED.contains(&path) => {
                if let Some(location) = response.headers.get("Location") {
                    let made = below_base(location).to_owned();
                    if path == "/calls" {
                        self.calls_made.push(id_of(&made).to_owned());
                    }
                    self.journal.push(made);
                }
            }
            Method::Delete => self.journal.retain(|made| made != path),
            _ => {}
        }
    }
}

/// The path of a target or location, without query and the API's base.
fn below_base(target: &str) -> &str {
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    path.find(names::BASE).map_or(path, |at| &path[at + names::BASE.len()..]).trim_end_matches('/')
}

/// The last part of a path.
fn id_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

impl<S: Sink> Core<S> {
    pub(super) fn send_request(&mut self, request: Request) -> ExchangeId {
        self.api.last_exchange += 1;
        let exchange = ExchangeId(self.api.last_exchange);
        self.observe(Event::RequestSent { exchange, request: &request });
        self.api.pending.insert(exchange, (request.method, request.target.clone()));
        let timeout = self.options.reaction + EXCHANGE_GRACE;
        self.commands.push_back(Command::Request { exchange, request, timeout });
        exchange
    }

    pub(super) fn take_response(&mut self, exchange: ExchangeId, response: Response) {
        let Some((method, target)) = self.api.pending.remove(&exchange) else { return };
        self.last_activity = self.now;
        self.last_seen = Some(Seen::Told(format!("{method} {target} was answered {}", response.status)));
        self.observe(Event::ResponseReceived { exchange, response: &response });
        self.api.note(method, &target, &response);
        let made = response.headers.get("Location").map(|location| id_of(below_base(location)));
        if self.tell_load(exchange, Fruitless::of(response.status).map_or(Ok(made), Err)) {
            return;
        }
        self.api.answers.insert(exchange, Ok(response));
    }

    pub(super) fn take_failure(&mut self, exchange: ExchangeId, error: NetworkError) {
        let Some((method, target)) = self.api.pending.remove(&exchange) else { return };
        self.last_activity = self.now;
        self.last_seen = Some(Seen::Told(format!("{method} {target} failed: {error}")));
        self.observe(Event::RequestFailed { exchange, error: &error });
        if self.tell_load(exchange, Err(Fruitless::Unanswered)) {
            return;
        }
        if !self.reception.is_restarting {
            self.network_errors.push(error.clone());
        }
        self.api.answers.insert(exchange, Err(error));
    }
}

impl<S: Sink> Handle<S> {
    /// Carries out one exchange that has to get an answer.
    pub(super) async fn exchange(&self, request: Request) -> Result<Response, Stop> {
        let what = format!("{} {}", request.method, request.target);
        let answer = self.try_exchange(request).await?;
        answer.map_err(|error| Stop::Unfinished(format!("{what} got no answer: {error}")))
    }

    /// Carries out one exchange.
    pub(super) async fn try_exchange(&self, request: Request) -> Result<Result<Response, NetworkError>, Stop> {
        let what = format!("{} {}", request.method, request.target);
        let begun = self.now();
        // The driver ends an exchange in time; the second here is for one that forgets.
        let (exchange, deadline) = self.with(|core| {
            let deadline = core.now + core.options.reaction + EXCHANGE_GRACE + Duration::from_secs(1);
            (core.send_request(request), deadline)
        });
        match self.until(deadline, |core| core.api.answers.remove(&exchange)).await? {
            Some(answer) => Ok(answer),
            None => Err(self.missed(begun, &format!("the answer to {what}"))),
        }
    }

    /// Carries out an exchange; repeats it a few times while the server says that it is busy.
    pub(super) async fn patient(&self, request: Request) -> Result<Response, Stop> {
        for _ in 0..BUSY_REPEATS {
            let response = self.exchange(request.clone()).await?;
            if response.status != 503 {
                return Ok(response);
            }
            self.pause(BUSY_PAUSE).await?;
        }
        self.exchange(request).await
    }

    /// Carries out an exchange that has to succeed.
    pub(super) async fn succeed(&self, request: Request) -> Result<Response, Stop> {
        let what = format!("{} {}", request.method, request.target);
        let response = self.patient(request).await?;
        if response.is_success() { Ok(response) } else { Err(Stop::Unfinished(refusal(&what, &response))) }
    }

    /// Reads a document of the API.
    pub(super) async fn read(&self, path: &str) -> Result<Element, Stop> {
        let request = request(Method::Get, path, &[]);
        let what = format!("GET {}", request.target);
        let response = self.succeed(request).await?;
        Element::parse(&response.body).map_err(|fault| Stop::Unfinished(format!("{what}: {fault}")))
    }

    /// Reads a document of the API that need not be there any more.
    pub(super) async fn look(&self, path: &str) -> Result<Option<Element>, Stop> {
        let request = request(Method::Get, path, &[]);
        let what = format!("GET {}", request.target);
        let response = self.patient(request).await?;
        match response.status {
            400..=499 => Ok(None),
            200..=299 => Element::parse(&response.body).map(Some).map_err(|f| Stop::Unfinished(format!("{what}: {f}"))),
            _ => Err(Stop::Unfinished(refusal(&what, &response))),
        }
    }

    /// Makes an object; gives its id.
    pub(super) async fn create(&self, path: &str, form: &[(&str, &str)]) -> Result<String, Stop> {
        let response = self.succeed(request(Method::Post, path, form)).await?;
        let id = response.headers.get("Location").map(|location| id_of(below_base(location)).to_owned());
        id.filter(|id| !id.is_empty())
            .ok_or_else(|| Stop::Unfinished(format!("POST {}{path} was answered without a Location", names::BASE)))
    }

    /// Removes what the scenario made and is still there, newest first.
    pub(super) async fn clean_up(&self) {
        self.remove_made("/").await;
    }

    /// Removes what the scenario made below a path and is still there, newest first.
    pub(super) async fn remove_made(&self, below: &str) {
        // An answer may still be on its way that tells of an object.
        let deadline = self.with(|core| core.now + core.options.wait());
        let _ = self.until(deadline, |core| (!core.api.is_busy()).then_some(())).await;
        while let Some(made) = self.with(|core| core.api.take_made(below)) {
            let what = format!("DELETE {}{made}", names::BASE);
            let answer = self.patient(request(Method::Delete, &made, &[])).await;
            if !answer.as_ref().is_ok_and(|response| response.is_success() || is_unknown(response)) {
                let why = match &answer {
                    Ok(response) => refusal(&what, response),
                    Err(Stop::Unfinished(why)) => why.clone(),
                    Err(Stop::Interrupted) => "interrupted".to_owned(),
                };
                self.with(|core| {
                    core.api.left_behind.push(format!("{}{made}", names::BASE));
                    core.api.left_because.get_or_insert(why);
                });
            }
            if answer.is_err() {
                // The target does not answer any more: trying the others would only take time.
                self.with(|core| {
                    let left = std::mem::take(&mut core.api.journal);
                    core.api.left_behind.extend(left.iter().rev().map(|made| format!("{}{made}", names::BASE)));
                });
            }
        }
    }
}

/// Whether a refused removal says that the object is gone already.
fn is_unknown(response: &Response) -> bool {
    response.status == 404 || response.text().contains("DoesNotExist")
}

/// A request below the API's base, with the privileged account.
pub(super) fn request(method: Method, path: &str, form: &[(&str, &str)]) -> Request {
    form_request(method, format!("{}{path}", names::BASE), form)
}

/// A request to any path, with the privileged account.
pub(super) fn form_request(method: Method, target: String, form: &[(&str, &str)]) -> Request {
    let mut request = Request::new(method, target);
    if !form.is_empty() {
        request.headers = Headers::new().with("Content-Type", names::FORM);
        request.body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish().into_bytes();
    }
    request
}

/// A refusal in words.
pub(super) fn refusal(what: &str, response: &Response) -> String {
    let reason = Element::parse(&response.body).ok().and_then(|root| root.children.first().map(|e| e.name.clone()));
    format!("{what} was answered {}{}", response.status, reason.map_or_else(String::new, |reason| format!(" {reason}")))
}

/// The id that a Location names.
pub(super) fn location_id(response: &Response) -> Option<String> {
    response.headers.get("Location").map(|location| id_of(below_base(location)).to_owned())
}
