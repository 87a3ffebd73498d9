//! CDR receivers and their steps: who listens, who is configured on the server, what becomes of the sets that arrive.

use std::fmt;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::values::{NumberTemplate, Pattern, Template, Time};

/// A CDR receiver that takes part.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "ReceiverForms")]
pub struct ReceiverHead {
    /// Its name.
    pub name: String,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Path and query of its URI; empty for none.
    pub path: String,
}

/// What may stand where a receiver is wanted.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the schema only")]
enum ReceiverForms {
    Name(String),
    Whole(WholeReceiver),
}

/// A receiver with all that can be said about it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct WholeReceiver {
    /// Its name.
    name: String,
    /// Whether it speaks TLS; it does not unless said.
    #[serde(default)]
    tls: bool,
    /// Path and query of its URI, such as `/cdr?bridge=1`; `/` followed by its name unless said.
    #[serde(default)]
    path: Option<String>,
}

impl<'de> Deserialize<'de> for ReceiverHead {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> serde::de::Visitor<'de> for Forms {
            type Value = WholeReceiver;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a receiver, or a mapping with `name`, `tls` and `path`")
            }

            fn visit_str<E>(self, name: &str) -> Result<WholeReceiver, E> {
                Ok(WholeReceiver { name: name.to_owned(), tls: false, path: None })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, map: A) -> Result<WholeReceiver, A::Error> {
                WholeReceiver::deserialize(serde::de::value::MapAccessDeserializer::new(map))
            }
        }
        let WholeReceiver { name, tls, path } = source.deserialize_any(Forms)?;
        let path = path.unwrap_or_else(|| format!("/{name}"));
        Ok(Self { name, tls, path })
    }
}

/// A step that needs nothing but a receiver.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiverOnly {
    /// The receiver.
    #[schemars(with = "String")]
    pub receiver: Spanned<String>,
}

/// `register`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The receiver; it begins to listen, if it has never done so.
    #[schemars(with = "String")]
    pub receiver: Spanned<String>,
    /// The URI that is configured; the receiver's own unless said.
    #[serde(default)]
    pub uri: Option<Template>,
    /// What outcome lets the scenario go on: `registered` (the default), `refused`, or `any`.
    #[serde(default)]
    pub until: RegisterOutcome,
    /// Where the id of the entry in the server's list is stored, if there is one.
    #[serde(default, rename = "as")]
    pub store: Option<Template>,
}

/// What a `register` waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RegisterOutcome {
    /// The server has it in its list.
    #[default]
    Registered,
    /// The server has refused it.
    Refused,
    /// Either.
    Any,
}

/// `change-receiver`: exactly one of `to` and `uri`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeReceiver {
    /// The receiver whose entry in the server's list changes.
    #[schemars(with = "String")]
    pub receiver: Spanned<String>,
    /// The receiver whose URI the entry gets; it begins to listen, if it has never done so.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub to: Option<Spanned<String>>,
    /// The URI that the entry gets.
    #[serde(default)]
    pub uri: Option<Template>,
}

/// `plan`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakePlan {
    /// The receiver.
    #[schemars(with = "String")]
    pub receiver: Spanned<String>,
    /// What it does with sets from now on; of the entries that fit a set and are not used up, the first decides. Sets
    /// that none fits are answered 200.
    #[schemars(with = "Vec<PlanEntry>")]
    pub entries: Vec<Spanned<PlanEntry>>,
}

/// One entry of a plan: which sets it is for, and exactly one of `answer` and `fail`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlanEntry {
    /// Numbers of sets, counted from 1 from when the plan is made: `3`, `2-4`, `5-`, or a list of such.
    #[serde(default)]
    pub sets: Option<Ranges>,
    /// Sets whose number can be divided by this.
    #[serde(default)]
    pub every: Option<u64>,
    /// Sets that hold a record of one of these types.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub records: Option<Vec<Spanned<String>>>,
    /// Sets that begin to arrive at least so long after the plan is made.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub from: Option<Time>,
    /// Sets that begin to arrive at most so long after the plan is made.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub to: Option<Time>,
    /// For so many sets at most.
    #[serde(default)]
    pub times: Option<u64>,
    /// The status of the answer.
    #[serde(default)]
    pub answer: Option<u16>,
    /// How long after the set the answer is sent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub after: Option<Time>,
    /// Whether the connection is ended after the answer; it stays open unless said.
    #[serde(default)]
    pub close: bool,
    /// Whether the answer states no length, as that of the guide's example of a receiver.
    #[serde(default)]
    pub bare: bool,
    /// Where the answer redirects to.
    #[serde(default)]
    pub location: Option<Template>,
    /// What goes wrong instead of an answer.
    #[serde(default)]
    pub fail: Option<Failing>,
    /// How slowly the set is read.
    #[serde(default)]
    pub read: Option<Slowly>,
}

/// What goes wrong with a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Failing {
    /// No answer, until the sender gives up.
    Never,
    /// The connection is closed before anything of the set is read.
    CloseAtStart,
    /// The connection is closed when a part of the body has been read.
    CloseInBody,
    /// The connection is closed when the set has been read.
    CloseAfterBody,
    /// The connection is reset before anything of the set is read.
    ResetAtStart,
    /// The connection is reset when a part of the body has been read.
    ResetInBody,
    /// The connection is reset when the set has been read.
    ResetAfterBody,
    /// The first half of an answer is sent, then the connection is closed.
    HalfAnswer,
    /// The receiver takes the set, but the connection is closed before the answer is sent.
    LoseAnswer,
}

impl Failing {
    /// Whether it happens before the set is whole.
    pub const fn is_early(self) -> bool {
        matches!(self, Self::CloseAtStart | Self::CloseInBody | Self::ResetAtStart | Self::ResetInBody)
    }
}

/// Reading in small pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slowly {
    /// How many bytes at once.
    pub bytes: usize,
    /// How long until the next ones are read.
    #[schemars(with = "String")]
    pub every: Time,
}

/// Numbers of sets.
#[derive(Debug, Clone, PartialEq, Eq, JsonSchema)]
#[schemars(with = "RangesForms")]
pub struct Ranges(pub Vec<RangeInclusive<u64>>);

/// What may stand where numbers of sets are wanted.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the schema only")]
enum RangesForms {
    Number(u64),
    Range(String),
    List(Vec<RangeForms>),
}

/// A number, or several in a row.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "describes the schema only")]
enum RangeForms {
    Number(u64),
    Range(String),
}

impl<'de> Deserialize<'de> for Ranges {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> serde::de::Visitor<'de> for Forms {
            type Value = Ranges;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers of sets: `3`, `2-4`, `5-`, or a list of such")
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Ranges, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Ranges, E> {
                let wrong = || E::invalid_value(serde::de::Unexpected::Str(text), &self);
                range(text).map(|range| Ranges(vec![range])).ok_or_else(wrong)
            }

            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut list: A) -> Result<Ranges, A::Error> {
                let mut all = Vec::new();
                while let Some(Ranges(more)) = list.next_element()? {
                    all.extend(more);
                }
                Ok(Ranges(all))
            }
        }
        source.deserialize_any(Forms)
    }
}

/// The numbers written as `3`, `2-4` or `5-`.
fn range(text: &str) -> Option<RangeInclusive<u64>> {
    let number = |text: &str| text.trim().parse::<u64>().ok().filter(|number| *number > 0);
    match text.split_once('-') {
        None => number(text).map(|only| only..=only),
        Some((first, "")) => number(first).map(|first| first..=u64::MAX),
        Some((first, last)) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(first..=last)
        }
    }
}

/// `wait-record`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WaitRecord {
    /// The receiver.
    #[schemars(with = "String")]
    pub receiver: Spanned<String>,
    /// What a record that the receiver took must fit: `type`, `id` and the attributes, and its fields by name.
    #[serde(rename = "for")]
    pub pattern: Pattern,
    /// How many such records; 1 unless said.
    #[serde(default)]
    pub count: Option<NumberTemplate>,
    /// How long it may take.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
    /// Go on, too, when time is up: the outcome is open.
    #[serde(default)]
    pub or_go_on: bool,
    /// Where the id of what the record is about is stored; of the last one, where there are several.
    #[serde(default, rename = "as")]
    pub store: Option<Template>,
}

/// `wait-set`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct WaitSet {
    /// The receiver.
    #[schemars(with = "String")]
    pub receiver: Spanned<String>,
    /// How many sets must have begun to arrive since the receiver's last `plan` or `wait-set`; 1 unless said.
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

/// `restart`
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// How long it may take until the server's API answers again.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub within: Option<Time>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn receivers_are_names_or_mappings() {
        let read = |text: &str| serde_saphyr::from_str::<Vec<Spanned<ReceiverHead>>>(text);
        let both = read("[a, {name: b, tls: true, path: '/x?y=1'}]").unwrap();
        assert_eq!(both[0].value, ReceiverHead { name: "a".to_owned(), tls: false, path: "/a".to_owned() });
        assert_eq!(both[1].value, ReceiverHead { name: "b".to_owned(), tls: true, path: "/x?y=1".to_owned() });
        assert!(read("[{nam: b}]").is_err() && read("[{tls: true}]").is_err() && read("[[a]]").is_err());
    }

    #[test]
    fn numbers_of_sets_are_single_ranges_or_lists() {
        let read = |text: &str| serde_saphyr::from_str::<Ranges>(text).map(|ranges| ranges.0);
        assert_eq!(read("3").unwrap(), [3..=3]);
        assert_eq!(read("2-4").unwrap(), [2..=4]);
        assert_eq!(read("[1, 3-4, '6-']").unwrap(), [1..=1, 3..=4, 6..=u64::MAX]);
        for wrong in ["0", "4-2", "x", "-3", "{}", "[[0]]"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
