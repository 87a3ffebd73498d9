//! Steps that wait, compare, expect and repeat.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::scenario::Step;
use super::values::{NumberTemplate, Pattern, Template, Time};

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
    /// How long nothing must have arrived on any connection, events or records; 100 ms unless said (500 ms on a real server).
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

/// `expect`: exactly one of `equal`, `none`, `message` and `record`.
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
    /// The CDR receiver of `none` and `record`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub receiver: Option<Spanned<String>>,
    /// A pattern that no message since the client's last `wait` fits, or no record since the receiver's last
    /// `wait-record`.
    #[serde(default)]
    pub none: Option<Pattern>,
    /// A pattern that some record since the receiver's last `wait-record` fits.
    #[serde(default)]
    pub record: Option<Pattern>,
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
