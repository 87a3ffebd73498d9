//! The syntax of scenario files. These types are the language: parser, JSON Schema and engine all work on them.
//!
//! Enumerations are tagged from outside (`- connect: {...}`), so that every error has the exact place. Values that may
//! be computed are [`Template`]s: text with `${...}` in it. `${name}` is what an earlier step stored with `as: name`,
//! the number of a loop (`each: name`), or one of the built-in values:
//!
//! | built-in | value |
//! |---|---|
//! | `${run}` | the run's id, which every object made on the target has in its name |
//! | `${guid}` | a fresh GUID that no object has |
//! | `${CLIENT.unacked}` | the messageId of the oldest server message that CLIENT has not acknowledged |
//! | `${CLIENT.last}` | the messageId of the message that the server sent CLIENT last |
//! | `${CLIENT.received}` | how many messages (acks not counted) CLIENT has received |
//!
//! A template may add or subtract a number, with spaces around the sign: `${n + 100}`. Names may themselves be made by templates, which is how loops
//! keep several things apart: `as: call-${n}`, later `${call-${n}}`.
//! Two dollars, `$${`, stand for the text `${`. `template` reads and resolves templates.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// One scenario: one behaviour, put to the test.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// One sentence that says what is tested.
    pub title: String,
    /// Why it matters or how it works, for readers.
    #[serde(default)]
    pub about: Option<String>,
    /// The requirements that this scenario is there to put to the test.
    #[schemars(with = "Vec<String>")]
    pub exercises: Vec<Spanned<String>>,
    /// What the target must be able to do, or be allowed; without it the scenario is skipped.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub needs: Vec<Spanned<String>>,
    /// Who is judged: the server (the default) or the events clients of this scenario.
    #[serde(default)]
    pub judge: Judged,
    /// The events clients that take part, by name. Their connections are opened by `connect`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub clients: Vec<Spanned<String>>,
    /// How long the scenario may take in all; 60 s unless said.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub deadline: Option<Time>,
    /// What is done, in order.
    #[schemars(with = "Vec<Step>")]
    pub steps: Vec<Spanned<Step>>,
}

/// Whose conformance a scenario judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judged {
    /// The Meeting Server.
    #[default]
    Server,
    /// The events clients that the harness plays.
    Client,
}

/// Text in which `${...}` is replaced when the step runs.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "TemplateForms")]
pub struct Template(pub String);

/// What may stand where a template is wanted.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the schema only")]
enum TemplateForms {
    Text(String),
    Integer(i64),
    Truth(bool),
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Scalar;
        impl serde::de::Visitor<'_> for Scalar {
            type Value = Template;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("text, a number or a boolean")
            }

            fn visit_str<E>(self, value: &str) -> Result<Template, E> {
                Ok(Template(value.to_owned()))
            }

            fn visit_bool<E>(self, value: bool) -> Result<Template, E> {
                Ok(Template(value.to_string()))
            }

            fn visit_u64<E>(self, value: u64) -> Result<Template, E> {
                Ok(Template(value.to_string()))
            }

            fn visit_i64<E>(self, value: i64) -> Result<Template, E> {
                Ok(Template(value.to_string()))
            }
        }
        source.deserialize_str(Scalar)
    }
}

/// A length of time: `250ms`, `5s`, `2m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        parse_time(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no length of time; write 250ms, 5s or 2m")))
    }
}

/// The length of time written as `250ms`, `1.5s` or `2m`.
pub fn parse_time(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// One step. Each has one word that says what it does.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    // ── connections ──
    /// Ask for a token; store it.
    Token(Token),
    /// Open an events client's connection (with a fresh token unless one is named).
    Connect(Connect),
    /// End a connection with the closing handshake. Without an open connection it does nothing.
    Close(Close),
    /// End a connection abruptly, without a close frame. Without an open connection it does nothing.
    Drop(ClientOnly),
    // ── events ──
    /// Ask for a complete set of subscriptions.
    Subscribe(Subscribe),
    /// Change how a client acknowledges from now on.
    Acks(Acks),
    /// Send acks by hand.
    Ack(AckNow),
    /// Send a message, as JSON.
    Send(Send),
    /// Send a text frame with any text.
    SendText(SendText),
    /// Send one frame, legal or not.
    SendFrame(SendFrame),
    /// Send bytes that need not be a frame.
    SendBytes(SendBytes),
    // ── the API ──
    /// Create a coSpace.
    CreateSpace(CreateSpace),
    /// Remove a coSpace.
    DeleteSpace(SpaceOnly),
    /// Start a conference.
    StartCall(StartCall),
    /// Change a conference: `locked`, `recording`, `streaming`, `name`, `joinAudioMuteOverride`, ...
    ChangeCall(ChangeCall),
    /// End a conference.
    EndCall(CallOnly),
    /// Dial a party into a conference.
    Dial(Dial),
    /// Change a participant: `importance`, `layout`, ...
    ChangeParticipant(ChangeParticipant),
    /// Change the call leg of a participant: `rxAudioMute`, `rxVideoMute`, ...
    ChangeLeg(ChangeParticipant),
    /// Take a participant out of its conference.
    HangUp(ParticipantOnly),
    /// Move a participant to another conference.
    Move(Move),
    /// Send any request to the API.
    Request(Request),
    /// Make something happen on the emulator that the real API has no way for (needs `test-api`).
    Emulate(Emulate),
    // ── waiting, comparing, expecting ──
    /// Wait until a message that fits arrives (or has arrived since the client's last `wait`).
    Wait(Wait),
    /// Wait until nothing has arrived for a while.
    Rest(Rest),
    /// Let time pass.
    Pause(Pause),
    /// At rest, read the state over the API and let the rules compare it with what events have told.
    Compare(Compare),
    /// An assertion of the scenario's own.
    Expect(Expect),
    // ── structure ──
    /// Repeat steps for a range of numbers.
    Repeat(Repeat),
}

/// A template that must come out as a whole number.
pub type NumberTemplate = Template;

/// `token`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Token {
    /// Whose credentials: `privileged` (the default), `unprivileged`, `none`, `wrong-password`, `unknown-user`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub credentials: Option<Spanned<String>>,
    /// Where the token is stored, if one is issued. Where none is stored, a refusal is an accepted outcome.
    #[serde(default, rename = "as")]
    pub store: Option<Template>,
}

/// `connect`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Connect {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// The token to use; a fresh one if absent. The empty text leaves the parameter out.
    #[serde(default)]
    pub token: Option<Template>,
    /// Where the token goes: in the query (the default) or in a header `X-Cisco-CMS-Auth-Token`.
    #[serde(default)]
    pub token_in: TokenPlace,
    /// Extensions to offer, as in `Sec-WebSocket-Extensions`.
    #[serde(default)]
    pub offer: Option<String>,
    /// Subprotocols to offer, as in `Sec-WebSocket-Protocol`.
    #[serde(default)]
    pub protocols: Option<String>,
    /// What outcome lets the scenario go on: `open` (the default), `refused`, or `any`.
    #[serde(default)]
    pub until: ConnectOutcome,
    /// Try again, with a fresh token each time, until it is open or time is up.
    #[serde(default)]
    pub retry: bool,
    /// Only if the client has no open connection.
    #[serde(default)]
    pub if_closed: bool,
    /// How long it may take.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
}

/// Where a token is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TokenPlace {
    /// In the query, as the guide says.
    #[default]
    Query,
    /// In a header.
    Header,
}

/// What a `connect` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectOutcome {
    /// The connection is open.
    #[default]
    Open,
    /// It was refused (or ended by the server at once).
    Refused,
    /// Either.
    Any,
}

/// A step that needs nothing but a client.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClientOnly {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
}

/// `close`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// The close code; 1000 unless said, 0 for an empty close frame.
    #[serde(default)]
    pub code: Option<u16>,
    /// The reason.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `subscribe`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// The complete set; `[]` for none.
    #[schemars(with = "Vec<Wanted>")]
    pub set: Vec<Spanned<Wanted>>,
    /// The messageId; the client's next one unless said.
    #[serde(default)]
    pub id: Option<NumberTemplate>,
    /// When the scenario goes on: `settled` (the default: every index of the set is active or deactivated, everything
    /// left out is deactivated), `acked`, `answered` (acked, with any status, or the connection ended) or `sent`.
    #[serde(default)]
    pub until: SubscribeUntil,
    /// How long it may take.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
}

/// When `subscribe` is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubscribeUntil {
    /// Every index has its final state.
    #[default]
    Settled,
    /// The ack has come.
    Acked,
    /// The ack has come, or the connection has ended, or time is up: the outcome is open.
    Answered,
    /// At once.
    Sent,
}

/// One subscription of a set, or several by a loop.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// The index.
    pub index: NumberTemplate,
    /// `calls`, `callInfo` or `callRoster`.
    #[serde(rename = "type")]
    #[schemars(with = "String")]
    pub resource: Spanned<String>,
    /// The call, for `callInfo` and `callRoster`.
    #[serde(default)]
    pub call: Option<Template>,
    /// The elements: a list, `all`, or nothing (which leaves the list out).
    #[serde(default)]
    pub elements: Option<Elements>,
    /// Name of a number that runs from `from` to `to`: one subscription for each.
    #[serde(default)]
    pub each: Option<String>,
    /// First number.
    #[serde(default)]
    pub from: Option<i64>,
    /// Last number.
    #[serde(default)]
    pub to: Option<i64>,
}

/// The elements of a subscription.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "ElementsForms")]
pub enum Elements {
    /// All that the resource has in the target's version.
    All,
    /// These.
    List(Vec<String>),
}

/// What may stand where elements are wanted.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the schema only")]
enum ElementsForms {
    Every(AllWord),
    List(Vec<String>),
}

/// The word for all elements.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "describes the schema only")]
enum AllWord {
    All,
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> serde::de::Visitor<'de> for Forms {
            type Value = Elements;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`all` or a list of element names")
            }

            fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Elements, E> {
                if value == "all" {
                    Ok(Elements::All)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(value), &self))
                }
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Elements, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = list.next_element()? {
                    names.push(name);
                }
                Ok(Elements::List(names))
            }
        }
        source.deserialize_any(Forms)
    }
}

/// `acks`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Acks {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// From now on.
    pub mode: AckMode,
    /// For `late`: by how much.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub by: Option<Time>,
    /// For `repeat`: how many acks for each message.
    #[serde(default)]
    pub times: Option<u32>,
    /// The status to send instead of `success`.
    #[serde(default)]
    pub status: Option<String>,
}

/// How a client acknowledges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AckMode {
    /// Each message once, at once.
    #[default]
    AtOnce,
    /// Not at all, until told otherwise; going back to another mode acknowledges what is owed, oldest first.
    Withhold,
    /// Each message once, later.
    Late,
    /// Each message several times.
    Repeat,
}

/// `ack`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AckNow {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// `oldest`, `newest`, `all` (of those owed), or a messageId.
    pub id: Template,
    /// The status; `success` unless said.
    #[serde(default)]
    pub status: Option<String>,
}

/// `send`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// The inner object of a `message` envelope. `messageId` is filled in unless it is there; `null` leaves it out.
    /// `${...}` in text is replaced; a text that is nothing but one `${...}` and comes out as a whole number is sent as
    /// a number.
    pub message: serde_json::Value,
    /// Wait until it is acknowledged, the connection ends or time is up.
    #[serde(default)]
    pub until: SendUntil,
    /// How long that may take.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
}

/// When `send` is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SendUntil {
    /// At once.
    #[default]
    Sent,
    /// The ack has come, or the connection has ended, or time is up: the outcome is open.
    Answered,
}

/// `send-text`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendText {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// The text of the frame.
    pub text: Template,
}

/// `send-frame`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendFrame {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// `text`, `binary`, `continuation`, `close`, `ping`, `pong`, or a number as `0x3`.
    #[schemars(with = "String")]
    pub opcode: Spanned<String>,
    /// The FIN bit; set unless said.
    #[serde(default)]
    pub fin: Option<bool>,
    /// The reserved bits, RSV1 as 4, RSV2 as 2, RSV3 as 1.
    #[serde(default)]
    pub reserved: Option<u8>,
    /// Whether it is masked; yes unless said.
    #[serde(default)]
    pub masked: Option<bool>,
    /// The payload as text.
    #[serde(default)]
    pub text: Option<Template>,
    /// The payload in hexadecimal.
    #[serde(default)]
    pub hex: Option<String>,
    /// The payload as this many times the letter `x`.
    #[serde(default)]
    pub fill: Option<usize>,
    /// The length that the header claims; the true one unless said.
    #[serde(default)]
    pub claim: Option<u64>,
}

/// `send-bytes`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SendBytes {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// The bytes in hexadecimal.
    pub hex: String,
}

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

/// Parameters of the API, by name.
pub type Fields = std::collections::BTreeMap<String, Template>;

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

/// `emulate`: exactly one of `call`, `participant` and `message`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Emulate {
    /// A call whose state is set: `endpointRecording`, `callType`, ...
    #[serde(default)]
    pub call: Option<Template>,
    /// A participant whose state is set: `activeSpeaker`, `presenter`, `endpointRecording`, `state`, ...
    #[serde(default)]
    pub participant: Option<Template>,
    /// The values.
    #[serde(default)]
    pub set: Fields,
    /// A message that the server sends on every event connection: the inner object, without `messageId`.
    #[serde(default)]
    pub message: Option<serde_json::Value>,
}

/// A pattern that a message fits: every field named must be there and fit. `${...}` in text is replaced (and a text
/// that is nothing but one `${...}` and comes out as a whole number is a number); the text `*` fits anything; an array
/// fits if each of its entries fits some entry of the message's array; an object fits if each of its fields does.
pub type Pattern = serde_json::Value;

/// `wait`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Wait {
    /// The events client.
    #[schemars(with = "String")]
    pub client: Spanned<String>,
    /// What the inner object of the message must fit; `closed` waits for the end of the connection.
    #[serde(rename = "for")]
    pub pattern: Pattern,
    /// How many such messages; 1 unless said.
    #[serde(default)]
    pub count: Option<NumberTemplate>,
    /// How long it may take.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
    /// Go on, too, when time is up: the outcome is open.
    #[serde(default)]
    pub or_go_on: bool,
}

/// `rest`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rest {
    /// How long nothing must have arrived on any connection; 100 ms unless said (500 ms on a real server).
    #[serde(default, rename = "for")]
    #[schemars(with = "Option<String>")]
    pub quiet: Option<Time>,
}

/// `pause`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// How long.
    #[serde(rename = "for")]
    #[schemars(with = "String")]
    pub time: Time,
}

/// `compare`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// Only these calls (and the list of calls); every call that the API lists unless said.
    #[serde(default)]
    pub calls: Option<Vec<Template>>,
}

/// `expect`: exactly one of `equal`, `none` and `message`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Two values that must be equal, after replacement.
    #[serde(default)]
    pub equal: Option<[Template; 2]>,
    /// The events client of `none` and `message`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub client: Option<Spanned<String>>,
    /// A pattern that no message since the client's last `wait` fits.
    #[serde(default)]
    pub none: Option<Pattern>,
    /// A pattern that some message since the client's last `wait` fits.
    #[serde(default)]
    pub message: Option<Pattern>,
    /// What it means when this fails, for the report.
    pub because: String,
}

/// `repeat`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// The name of the number.
    pub each: String,
    /// First number; 1 unless said.
    #[serde(default)]
    pub from: Option<i64>,
    /// Last number.
    pub to: i64,
    /// What is repeated.
    #[schemars(with = "Vec<Step>")]
    pub steps: Vec<Spanned<Step>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        assert_eq!(parse_time("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_time("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_time("2m"), Some(Duration::from_secs(120)));
        for wrong in ["5", "s", "-1s", "5h", "1e400s", ""] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_scenario_reads() {
        let text = "
title: t
exercises: [MSG-03]
clients: [alice]
steps:
  - connect: {client: alice}
  - subscribe: {client: alice, set: [{index: 3, type: calls, elements: [name]}], within: 2s}
  - repeat: {each: n, to: 3, steps: [{start-call: {as: 'call-${n}'}}]}
";
        let scenario: Scenario = serde_saphyr::from_str(text).unwrap();
        assert_eq!(scenario.steps.len(), 3);
        let Step::Subscribe(step) = &scenario.steps[1].value else { panic!("no subscribe") };
        assert_eq!(step.set[0].value.index, Template("3".into()));
    }
}
