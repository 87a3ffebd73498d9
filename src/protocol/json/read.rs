//! The long way for JSON, by serde_json: it does the grammar, and what it reads is written onto the tape.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::node::{Text, Value};
use super::{Document, JsonFault};

impl Document {
    /// Reads `text` by serde_json.
    pub(super) fn read(&mut self, text: &str) -> Result<(), JsonFault> {
        self.reading.nodes.clear();
        let mut source = serde_json::Deserializer::from_str(text);
        let seed = Build { tape: self, text, key: None };
        seed.deserialize(&mut source).and_then(|()| source.end()).map_err(|error| JsonFault {
            line: error.line(),
            column: error.column(),
            message: error.to_string(),
        })
    }
}

/// Writes one value onto the tape while serde_json reads it.
struct Build<'t, 's> {
    tape: &'t mut Document,
    text: &'s str,
    key: Option<Text>,
}

impl<'de> DeserializeSeed<'de> for Build<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<(), D::Error> {
        source.deserialize_any(self)
    }
}

/// Reads a member's name.
struct Name<'t, 's> {
    tape: &'t mut Document,
    text: &'s str,
}

impl<'de> DeserializeSeed<'de> for Name<'_, '_> {
    type Value = Text;

    fn deserialize<D: Deserializer<'de>>(self, source: D) -> Result<Text, D::Error> {
        source.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_, '_> {
    type Value = Text;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, value: &str) -> Result<Text, E> {
        Ok(self.tape.text(self.text, value))
    }
}

impl<'de> Visitor<'de> for Build<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.tape.push(self.text, self.key, Value::Null);
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.tape.push(self.text, self.key, Value::Bool(value));
        Ok(())
    }

    fn visit_u64<E>(self, value: u64) -> Result<(), E> {
        self.tape.push(self.text, self.key, Value::Unsigned(value));
        Ok(())
    }

    fn visit_i64<E>(self, value: i64) -> Result<(), E> {
        self.tape.push(self.text, self.key, Value::Signed(value));
        Ok(())
    }

    fn visit_f64<E>(self, value: f64) -> Result<(), E> {
        self.tape.push(self.text, self.key, Value::Float(value));
        Ok(())
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        let text = self.tape.text(self.text, value);
        self.tape.push(self.text, self.key, Value::Text(text));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut source: A) -> Result<(), A::Error> {
        let at = self.tape.push(self.text, self.key, Value::Array);
        while source.next_element_seed(Build { tape: self.tape, text: self.text, key: None })?.is_some() {}
        self.tape.close(at);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut source: A) -> Result<(), A::Error> {
        let at = self.tape.push(self.text, self.key, Value::Object);
        while let Some(key) = source.next_key_seed(Name { tape: self.tape, text: self.text })? {
            source.next_value_seed(Build { tape: self.tape, text: self.text, key: Some(key) })?;
        }
        if u32::try_from(self.tape.reading.nodes.len()).is_err() {
            return Err(A::Error::custom("more values than can be counted"));
        }
        self.tape.close(at);
        Ok(())
    }
}
