//! The steps of the API client: coSpaces, conferences, participants, any request, and the emulator's test-only API.

use std::time::Duration;

use serde_json::Value;

use super::api_client::{form_request, location_id, refusal, request};
use super::client_steps::credentials;
use super::core::{Core, Handle, Stop};
use crate::protocol::api::names;
use crate::protocol::http::Method;
use crate::scenario::syntax::{
    CallIn, CallOnly, ChangeCall, ChangeParticipant, CreateSpace, Dial, DialUntil, Emulate, Fields, Move,
    ParticipantOnly, Request, RequestOutcome, SpaceOnly, StartCall, Template,
};
use crate::trace::Sink;

/// How long `dial` waits before it looks again.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

impl<S: Sink> Core<S> {
    fn fields(&mut self, fields: &Fields) -> Result<Vec<(String, String)>, Stop> {
        fields.iter().map(|(name, value)| Ok((name.clone(), self.resolve(value)?))).collect()
    }

    /// A name for an object on the target.
    fn object_name(&mut self, name: &Template) -> Result<String, Stop> {
        let name = self.resolve(name)?;
        Ok(format!("{} {name}", self.options.run_id))
    }
}

impl<S: Sink + Send> Handle<S> {
    fn value(&self, template: &Template) -> Result<String, Stop> {
        self.with(|core| core.resolve(template))
    }

    fn keep(&self, name: &Template, value: &str) -> Result<(), Stop> {
        self.with(|core| core.store(name, value))
    }

    async fn put(&self, path: &str, set: &Fields) -> Result<(), Stop> {
        let fields = self.with(|core| core.fields(set))?;
        self.succeed(request(Method::Put, path, &borrowed(&fields))).await.map(drop)
    }

    async fn delete(&self, path: &str) -> Result<(), Stop> {
        self.succeed(request(Method::Delete, path, &[])).await.map(drop)
    }

    pub(super) async fn create_space(&self, step: &CreateSpace) -> Result<(), Stop> {
        let name = self.with(|core| core.object_name(&step.name))?;
        let id = self.create("/coSpaces", &[("name", &name)]).await?;
        self.keep(&step.store, &id)
    }

    pub(super) async fn delete_space(&self, step: &SpaceOnly) -> Result<(), Stop> {
        let id = self.value(&step.space)?;
        self.delete(&format!("/coSpaces/{id}")).await
    }

    pub(super) async fn start_call(&self, step: &StartCall) -> Result<(), Stop> {
        let name = self.with(|core| core.object_name(step.name.as_ref().unwrap_or(&step.store)))?;
        let space = match &step.space {
            None => Some(self.create("/coSpaces", &[("name", &name)]).await?),
            Some(space) => Some(self.value(space)?).filter(|space| space != "none"),
        };
        let with = self.with(|core| core.fields(&step.with))?;
        let mut form: Vec<(&str, &str)> = Vec::new();
        if let Some(space) = &space {
            form.push(("coSpace", space));
        }
        form.push(("name", &name));
        form.extend(borrowed(&with));
        let id = self.create("/calls", &form).await?;
        self.keep(&step.store, &id)
    }

    pub(super) async fn change_call(&self, step: &ChangeCall) -> Result<(), Stop> {
        let id = self.value(&step.call)?;
        self.put(&format!("/calls/{id}"), &step.set).await
    }

    pub(super) async fn end_call(&self, step: &CallOnly) -> Result<(), Stop> {
        let id = self.value(&step.call)?;
        self.delete(&format!("/calls/{id}")).await
    }

    pub(super) async fn dial(&self, step: &Dial) -> Result<(), Stop> {
        let call = self.value(&step.call)?;
        let word = self.value(&step.to)?;
        let address = self.with(|core| core.options.addresses.of(&word).to_owned());
        let with = self.with(|core| core.fields(&step.with))?;
        let mut form = vec![("remoteParty", address.as_str())];
        form.extend(borrowed(&with));
        let begun = self.now();
        let deadline = self.deadline(step.within);
        let id = self.create(&format!("/calls/{call}/participants"), &form).await?;
        if let Some(name) = &step.store {
            self.keep(name, &id)?;
        }
        if step.until == DialUntil::Sent {
            return Ok(());
        }
        loop {
            let state = self.participant_state(&id).await?;
            match (state.as_deref(), step.until) {
                (Some("connected"), DialUntil::Connected) | (None, DialUntil::Gone) => return Ok(()),
                (None, _) => return Err(Stop::Unfinished(format!("the party `{word}` left before it was connected"))),
                _ => {}
            }
            if self.now() >= deadline {
                let wanted = if step.until == DialUntil::Gone { "gone" } else { "connected" };
                let state = state.unwrap_or_default();
                return Err(self.missed(begun, &format!("`{word}` to be {wanted}; its state is `{state}`")));
            }
            self.pause(LOOK_PAUSE).await?;
        }
    }

    /// The state of a participant as the API tells it; `None` if the API does not know the participant.
    pub(super) async fn participant_state(&self, id: &str) -> Result<Option<String>, Stop> {
        let Some(root) = self.look(&format!("/participants/{id}")).await? else { return Ok(None) };
        let state = root.text_at(&["status", "state"]).or_else(|| root.text_at(&["state"]));
        Ok(Some(state.unwrap_or_default().to_owned()))
    }

    pub(super) async fn change_participant(&self, step: &ChangeParticipant) -> Result<(), Stop> {
        let id = self.value(&step.participant)?;
        self.put(&format!("/participants/{id}"), &step.set).await
    }

    pub(super) async fn change_leg(&self, step: &ChangeParticipant) -> Result<(), Stop> {
        let id = self.value(&step.participant)?;
        let legs = self.read(&format!("/participants/{id}/callLegs")).await?;
        let leg = legs.children.iter().find(|leg| leg.name == "callLeg").and_then(|leg| leg.get_attribute("id"));
        let leg = leg.ok_or_else(|| Stop::Unfinished(format!("the participant {id} has no call leg")))?;
        self.put(&format!("/callLegs/{leg}"), &step.set).await
    }

    pub(super) async fn hang_up(&self, step: &ParticipantOnly) -> Result<(), Stop> {
        let id = self.value(&step.participant)?;
        self.delete(&format!("/participants/{id}")).await
    }

    pub(super) async fn move_participant(&self, step: &Move) -> Result<(), Stop> {
        let moved = self.value(&step.participant)?;
        let call = self.value(&step.to)?;
        let id = self.create(&format!("/calls/{call}/participants"), &[("movedParticipant", &moved)]).await?;
        self.keep(&step.store, &id)
    }

    pub(super) async fn request(&self, step: &Request) -> Result<(), Stop> {
        let method = Method::from_name(&step.method.value)
            .ok_or_else(|| Stop::Unfinished(format!("`{}` is no method", step.method.value)))?;
        let path = self.value(&step.path)?;
        let form = self.with(|core| core.fields(&step.form))?;
        let mut request = request(method, &path, &borrowed(&form));
        request.credentials = credentials(step.credentials.as_ref().map(|name| name.value.as_str()))?;
        let what = format!("{method} {}", request.target);
        let response = match step.until {
            RequestOutcome::Success => self.patient(request).await?,
            RequestOutcome::Refused | RequestOutcome::Any => self.exchange(request).await?,
        };
        match (step.until, response.is_success()) {
            (RequestOutcome::Success, false) | (RequestOutcome::Refused, true) => {
                return Err(Stop::Unfinished(refusal(&what, &response)));
            }
            _ => {}
        }
        match (&step.store, location_id(&response)) {
            (Some(name), Some(id)) => self.keep(name, &id),
            (Some(_), None) if response.is_success() => {
                Err(Stop::Unfinished(format!("{what} was answered without a Location")))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn call_in(&self, step: &CallIn) -> Result<(), Stop> {
        let mut form = vec![("remoteParty".to_owned(), self.value(&step.from)?)];
        for (name, place) in [("coSpace", &step.space), ("call", &step.call)] {
            if let Some(place) = place {
                form.push((name.to_owned(), self.value(place)?));
            }
        }
        form.extend(self.with(|core| core.fields(&step.with))?);
        let target = format!("{}/callLegs", names::TEST_BASE);
        let response = self.succeed(form_request(Method::Post, target, &borrowed(&form))).await?;
        match (&step.store, location_id(&response)) {
            (Some(name), Some(id)) => self.keep(name, &id),
            (Some(_), None) => Err(Stop::Unfinished("a leg that calls in was answered without a Location".to_owned())),
            (None, _) => Ok(()),
        }
    }

    pub(super) async fn emulate(&self, step: &Emulate) -> Result<(), Stop> {
        let base = names::TEST_BASE;
        if let Some(message) = &step.message {
            let message: Value = self.with(|core| core.resolve_json(message))?;
            let form = [("message", &*message.to_string())];
            return self.succeed(form_request(Method::Post, format!("{base}/messages"), &form)).await.map(drop);
        }
        if !step.settings.is_empty() {
            let form = self.with(|core| core.fields(&step.settings))?;
            let request = form_request(Method::Put, format!("{base}/settings"), &borrowed(&form));
            return self.succeed(request).await.map(drop);
        }
        let subjects = [
            ("calls", &step.call),
            ("participants", &step.participant),
            ("callLegs", &step.leg),
            ("coSpaces", &step.space),
        ];
        let named = subjects.iter().find_map(|(node, id)| Some((node, id.as_ref()?)));
        let Some((node, id)) = named else { return Err(Stop::Unfinished("`emulate` names nothing".to_owned())) };
        let target = format!("{base}/{node}/{}", self.value(id)?);
        let mut form = self.with(|core| core.fields(&step.set))?;
        let (method, target) = match (&step.end, &step.into_call, &step.into_space) {
            (Some(reason), _, _) => {
                // A removal has no body; its parameters are in the query.
                form.push(("reason".to_owned(), self.value(reason)?));
                let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(form.drain(..)).finish();
                (Method::Delete, format!("{target}?{query}"))
            }
            (_, Some(call), _) => {
                form.push(("call".to_owned(), self.value(call)?));
                (Method::Post, format!("{target}/move"))
            }
            (_, _, Some(space)) => {
                form.push(("coSpace".to_owned(), self.value(space)?));
                (Method::Post, format!("{target}/move"))
            }
            (None, None, None) => (Method::Put, target),
        };
        self.succeed(form_request(method, target, &borrowed(&form))).await.map(drop)
    }
}

fn borrowed(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}
