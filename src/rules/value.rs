//! The value of an element as it was told: kept between messages, compared by what it means.
//!
//! Whether booleans and numbers are sent as JSON values or as text is open (UPD-20), so `true` and `"true"` are the same.

use std::fmt;

use crate::protocol::json::{Json, Kind};

/// The largest room that is kept for another text, in bytes.
const MOST_SPARE: usize = 1024;

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
    /// A value; a text takes the room of `spare`.
    pub(super) fn of(json: Json<'_>, spare: &mut String) -> Self {
        match json.kind() {
            Kind::Null => Self::Null,
            Kind::Bool => Self::Bool(json.as_bool().unwrap_or_default()),
            Kind::Number => Self::Number(json.as_f64().unwrap_or_default()),
            Kind::Text => {
                let mut text = std::mem::take(spare);
                text.clear();
                text.push_str(json.as_str().unwrap_or_default());
                Self::Text(text)
            }
            Kind::Array | Kind::Object => Self::Nested(json.to_string()),
        }
    }

    /// Gives the room of a text back to `spare`.
    pub(super) fn give_back(self, spare: &mut String) {
        if let Self::Text(text) | Self::Nested(text) = self
            && text.capacity() > spare.capacity()
            && text.capacity() <= MOST_SPARE
        {
            *spare = text;
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
