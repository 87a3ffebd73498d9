//! The value of an element as it was told: kept between messages, compared by what it means.
//!
//! Whether booleans and numbers are sent as JSON values or as text is open (UPD-20): [`Value::boolean`] and [`Value::number`] read
//! both. Whether a value was told again ([`Value::is`]) is another matter: a server that changes the form has told another one.

use std::fmt;
use std::hash::{Hash as _, Hasher};

use crate::protocol::json::{Json, Kind};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    /// An array or an object, as compact JSON.
    Nested(String),
}

impl Value {
    pub(super) fn of(json: Json<'_>) -> Self {
        match json.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(json.as_bool().unwrap_or_default()),
            Kind::Number => Self::Number(json.as_f64().unwrap_or_default()),
            Kind::Text => Self::Text(json.as_str().unwrap_or_default().to_owned()),
            Kind::Array | Kind::Object => Self::Nested(json.to_string()),
        }
    }

    /// Whether that is the same value.
    pub(super) fn is(&self, json: Json<'_>) -> bool {
        match (self, json.kind()) {
            (Self::Null, Kind::Null) => true,
            (Self::Bool(value), Kind::Bool) => json.as_bool() == Some(*value),
            (Self::Number(value), Kind::Number) => json.as_f64() == Some(*value),
            (Self::Text(value), Kind::Text) => json.as_str() == Some(value),
            (Self::Nested(value), Kind::Array | Kind::Object) => json.to_string() == *value,
            _ => false,
        }
    }

    /// Puts that value in place of another; a text needs no new memory where there was one.
    pub(super) fn put(place: &mut Option<Self>, json: Json<'_>) {
        match (place, json.as_str()) {
            (Some(Self::Text(old)), Some(new)) => new.clone_into(old),
            (place, _) => *place = Some(Self::of(json)),
        }
    }

    pub(super) fn number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    pub(super) fn boolean(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::Text(text) => text.parse().ok(),
            _ => None,
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it says that nothing is set: null or the empty text.
    pub(super) fn is_unset(&self) -> bool {
        matches!(self, Self::Null) || self.text() == Some("")
    }
}

/// Hashes a value: those that [`Value`] takes for the same have the same hash.
pub(super) fn hash(json: Json<'_>, hasher: &mut impl Hasher) {
    match json.kind() {
        Kind::Null => {}
        Kind::Bool => (0_u8, json.as_bool()).hash(hasher),
        // There is one zero.
        Kind::Number => (1_u8, (json.as_f64().unwrap_or_default() + 0.0).to_bits()).hash(hasher),
        Kind::Text => (2_u8, json.as_str()).hash(hasher),
        Kind::Array | Kind::Object => (3_u8, json.to_string()).hash(hasher),
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => write!(f, "{}", serde_json::Value::from(text.as_str())),
            Self::Nested(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::json::Document;

    fn hash_of(json: Json<'_>) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        hash(json, &mut hasher);
        hasher.finish()
    }

    #[test]
    fn numbers_hash_by_value() {
        let (mut one, mut other) = (Document::new(), Document::new());
        for (a, b) in [("1", "1.0"), ("0.0", "-0.0"), ("-2", "-2.0")] {
            assert_eq!(hash_of(one.parse(a).unwrap()), hash_of(other.parse(b).unwrap()), "{a} {b}");
        }
    }

    #[test]
    fn a_value_is_itself_and_no_other() {
        let texts = ["null", "true", "false", "1", "2", r#""1""#, r#""""#, "[1]", "[2]", r#"{"a":1}"#, r#"{"a":[]}"#];
        for one in texts {
            let (mut first, mut second) = (Document::new(), Document::new());
            let value = Value::of(first.parse(one).unwrap());
            for other in texts {
                let other_json = second.parse(other).unwrap();
                assert_eq!(value.is(other_json), one == other, "{one} {other}");
                assert_eq!(hash_of(first.parse(one).unwrap()) == hash_of(other_json), one == other, "{one} {other}");
            }
        }
    }

    #[test]
    fn a_value_is_put_in_the_place_of_any_other() {
        let texts = ["null", "true", "1.5", r#""x""#, "[1]"];
        let mut place = None;
        for text in texts.iter().chain(texts.iter().rev()) {
            let mut document = Document::new();
            let json = document.parse(text).unwrap();
            Value::put(&mut place, json);
            assert_eq!(place, Some(Value::of(json)));
        }
    }
}
