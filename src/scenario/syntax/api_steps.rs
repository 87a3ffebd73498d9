//! Steps that act on the server: over its API, and over the emulator's own for what the API has no way for.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::values::{Fields, Template, Time};

/// `create-space`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateSpace {
    /// Its name; the run's id is put in front on the target.
    pub name: Template,
    /// Where its id is stored.
    #[serde(rename = "as")]
    pub store: Template,
}

/// A step that needs nothing but a coSpace.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceOnly {
    /// The coSpace's id.
    pub space: Template,
}

/// `start-call`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartCall {
    /// The coSpace; a fresh one unless said. `none` starts an ad hoc conference.
    #[serde(default)]
    pub space: Option<Template>,
    /// Its name; the run's id is put in front on the target.
    #[serde(default)]
    pub name: Option<Template>,
    /// Further parameters of the API.
    #[serde(default)]
    pub with: Fields,
    /// Where its id is stored.
    #[serde(rename = "as")]
    pub store: Template,
}

/// `change-call`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeCall {
    /// The call.
    pub call: Template,
    /// The parameters that change; an empty text unsets.
    pub set: Fields,
}

/// A step that needs nothing but a call.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallOnly {
    /// The call.
    pub call: Template,
}

/// `dial`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dial {
    /// The call.
    pub call: Template,
    /// Who: `answers`, `busy`, `rejects`, `no-answer`, `unknown` (the addresses of these come from the target's profile), or
    /// a URI.
    pub to: Template,
    /// Further parameters of the API, such as `importance`.
    #[serde(default)]
    pub with: Fields,
    /// Where the participant's id is stored.
    #[serde(default, rename = "as")]
    pub store: Option<Template>,
    /// When the scenario goes on: `connected` (the default), `gone` or `sent`.
    #[serde(default)]
    pub until: DialUntil,
    /// How long it may take.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
}

/// When `dial` is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DialUntil {
    /// The API says that the participant is connected.
    #[default]
    Connected,
    /// The API knows the participant no more.
    Gone,
    /// At once.
    Sent,
}

/// `change-participant` and `change-leg`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeParticipant {
    /// The participant.
    pub participant: Template,
    /// The parameters that change; an empty text unsets.
    pub set: Fields,
}

/// A step that needs nothing but a participant.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParticipantOnly {
    /// The participant.
    pub participant: Template,
}

/// `move`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// The participant that is moved.
    pub participant: Template,
    /// The call it is moved to.
    pub to: Template,
    /// Where the id of the participant that the move makes is stored.
    #[serde(rename = "as")]
    pub store: Template,
}

/// `request`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// `GET`, `POST`, `PUT` or `DELETE`.
    #[schemars(with = "String")]
    pub method: Spanned<String>,
    /// Path and query below `/api/v1`, such as `/calls/${call}`.
    pub path: Template,
    /// Whose credentials; `privileged` unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub credentials: Option<Spanned<String>>,
    /// The parameters of the body.
    #[serde(default)]
    pub form: Fields,
    /// Where the id of the created object (from `Location`) is stored.
    #[serde(default, rename = "as")]
    pub store: Option<Template>,
    /// Which outcome lets the scenario go on: `success` (the default), `refused` (4xx or 5xx) or `any`.
    #[serde(default)]
    pub until: RequestOutcome,
}

/// What a `request` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RequestOutcome {
    /// A status of success.
    #[default]
    Success,
    /// Any other.
    Refused,
    /// Either.
    Any,
}

/// `call-in`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallIn {
    /// Who calls: an address such as `anna@emulator.invalid`.
    pub from: Template,
    /// The coSpace that is called; its call begins if there is none. Without `space` and `call` the leg stays in the IVR.
    #[serde(default)]
    pub space: Option<Template>,
    /// The call that is joined.
    #[serde(default)]
    pub call: Option<Template>,
    /// Further parameters of the emulator: `type`, `subType`, `lyncSubType`, `guest`, `name`, ...
    #[serde(default)]
    pub with: Fields,
    /// Where the call leg's id is stored.
    #[serde(default, rename = "as")]
    pub store: Option<Template>,
}

/// `emulate`: exactly one of `call`, `participant`, `leg`, `space`, `message` and `settings`, and for all but the last two
/// exactly one of `set`, `end`, `into-call` and `into-space`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Emulate {
    /// A call whose state is set: `endpointRecording`, `callType`, ...; or that ends.
    #[serde(default)]
    pub call: Option<Template>,
    /// A participant whose state is set: `activeSpeaker`, `presenter`, `endpointRecording`, `state`, ...; or that leaves.
    #[serde(default)]
    pub participant: Option<Template>,
    /// A call leg, by its own id or its participant's, whose state is set: `confirmation`, `alarm`, `rxAudio`,
    /// `deactivated`, ...; or that ends, or goes from the IVR into a call.
    #[serde(default)]
    pub leg: Option<Template>,
    /// A coSpace whose state is set: `metaDataConfigured`.
    #[serde(default)]
    pub space: Option<Template>,
    /// The values; with `end` further ones: `remoteTeardown`.
    #[serde(default)]
    pub set: Fields,
    /// It ends for this reason, a code of call detail records such as `remoteTeardown`.
    #[serde(default)]
    pub end: Option<Template>,
    /// The leg goes from the IVR into this call.
    #[serde(default)]
    pub into_call: Option<Template>,
    /// The leg goes from the IVR into the call of this coSpace.
    #[serde(default)]
    pub into_space: Option<Template>,
    /// A message that the server sends on every event connection: the inner object, without `messageId`.
    #[serde(default)]
    pub message: Option<serde_json::Value>,
    /// Settings of the emulator, as `run --dialect` takes them: it speaks another dialect from now on.
    #[serde(default)]
    pub settings: Fields,
}
