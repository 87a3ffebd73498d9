//! Values of scenario files: templates, lengths of time, lists of elements, patterns of messages.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

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

/// A length of time: `250ms`, `5s`, `2m`, `1h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub Duration);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: serde::Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let text = String::deserialize(source)?;
        parse_time(&text).map(Self).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no length of time; write 250ms, 5s, 2m or 1h"))
        })
    }
}

/// The length of time written as `250ms`, `1.5s`, `2m` or `1h`.
pub fn parse_time(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(split);
    let number: f64 = number.trim().parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0)?;
    let seconds = match unit {
        "ms" => number / 1000.0,
        "s" => number,
        "m" => number * 60.0,
        "h" => number * 3600.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

/// A template that must come out as a whole number.
pub type NumberTemplate = Template;

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

/// Parameters of the API, by name.
pub type Fields = std::collections::BTreeMap<String, Template>;

/// A pattern that a message fits: every field named must be there and fit. `${...}` in text is replaced (and a text
/// that is nothing but one `${...}` and comes out as a whole number is a number); the text `*` fits anything; an array
/// fits if each of its entries fits some entry of the message's array; an object fits if each of its fields does.
pub type Pattern = serde_json::Value;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_a_unit() {
        assert_eq!(parse_time("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_time("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_time("2m"), Some(Duration::from_secs(120)));
        assert_eq!(parse_time("1.5h"), Some(Duration::from_secs(5400)));
        for wrong in ["5", "s", "-1s", "5d", "1e400s", ""] {
            assert_eq!(parse_time(wrong), None, "{wrong}");
        }
    }
}
