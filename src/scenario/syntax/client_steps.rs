//! Steps of events clients: tokens, connections, subscriptions, acks, and whatever else they send.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::values::{Elements, NumberTemplate, Template, Time};

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
