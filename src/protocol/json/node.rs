//! One value on the tape, in 24 bytes: tapes are copied, and of an update there are a dozen.

use super::names::Name;

/// Where a string lies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Text {
    /// In the text that was parsed.
    Source { start: u32, end: u32 },
    /// In the side buffer, because it had escapes.
    Unescaped { start: u32, end: u32 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Text),
    Array,
    Object,
}

/// What kind of value a node is; what it is lies beside it, in two halves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Null,
    False,
    True,
    Unsigned,
    Signed,
    Float,
    Source,
    Unescaped,
    Array,
    Object,
}

/// Where the name of a node lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// It has none: the parent is no object.
    None,
    Source,
    Unescaped,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Node {
    key_at: [u32; 2],
    value: [u32; 2],
    /// Index of the first node behind this one and all that it holds.
    pub(super) next: u32,
    /// The member's name, if it is known beforehand.
    pub(super) name: Name,
    key: Key,
    form: Form,
}

const fn halves(bits: u64) -> [u32; 2] {
    [bits as u32, (bits >> 32) as u32]
}

impl Node {
    pub(super) const fn new(key: Option<Text>, name: Name, value: Value, next: u32) -> Self {
        let (key, key_at) = match key {
            None => (Key::None, [0, 0]),
            Some(Text::Source { start, end }) => (Key::Source, [start, end]),
            Some(Text::Unescaped { start, end }) => (Key::Unescaped, [start, end]),
        };
        let (form, value) = match value {
            Value::Null => (Form::Null, [0, 0]),
            Value::Bool(false) => (Form::False, [0, 0]),
            Value::Bool(true) => (Form::True, [0, 0]),
            Value::Unsigned(number) => (Form::Unsigned, halves(number)),
            Value::Signed(number) => (Form::Signed, halves(number.cast_unsigned())),
            Value::Float(number) => (Form::Float, halves(number.to_bits())),
            Value::Text(Text::Source { start, end }) => (Form::Source, [start, end]),
            Value::Text(Text::Unescaped { start, end }) => (Form::Unescaped, [start, end]),
            Value::Array => (Form::Array, [0, 0]),
            Value::Object => (Form::Object, [0, 0]),
        };
        Self { key_at, value, next, name, key, form }
    }

    /// The member's name, if the parent is an object.
    #[inline]
    pub(super) const fn key(&self) -> Option<Text> {
        let [start, end] = self.key_at;
        match self.key {
            Key::None => None,
            Key::Source => Some(Text::Source { start, end }),
            Key::Unescaped => Some(Text::Unescaped { start, end }),
        }
    }

    #[inline]
    pub(super) const fn value(&self) -> Value {
        let [start, end] = self.value;
        let bits = start as u64 | (end as u64) << 32;
        match self.form {
            Form::Null => Value::Null,
            Form::False => Value::Bool(false),
            Form::True => Value::Bool(true),
            Form::Unsigned => Value::Unsigned(bits),
            Form::Signed => Value::Signed(bits.cast_signed()),
            Form::Float => Value::Float(f64::from_bits(bits)),
            Form::Source => Value::Text(Text::Source { start, end }),
            Form::Unescaped => Value::Text(Text::Unescaped { start, end }),
            Form::Array => Value::Array,
            Form::Object => Value::Object,
        }
    }

    /// It is that number from now on.
    pub(super) const fn set_number(&mut self, number: u64) {
        self.form = Form::Unsigned;
        self.value = halves(number);
    }

    #[inline]
    pub(super) const fn is_object(&self) -> bool {
        matches!(self.form, Form::Object)
    }

    #[inline]
    pub(super) const fn is_array(&self) -> bool {
        matches!(self.form, Form::Array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_small_and_keeps_what_it_is() {
        assert_eq!(size_of::<Node>(), 24);
        let at = (7, u32::MAX);
        let texts = [Text::Source { start: at.0, end: at.1 }, Text::Unescaped { start: at.0, end: at.1 }];
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::Bool(false),
            Value::Unsigned(u64::MAX - 1),
            Value::Signed(-2),
            Value::Float(-0.25),
            Value::Text(texts[0]),
            Value::Text(texts[1]),
            Value::Array,
            Value::Object,
        ];
        for value in values {
            for key in [None, Some(texts[0]), Some(texts[1])] {
                let mut node = Node::new(key, Name::OTHER, value, 9);
                assert_eq!((node.value(), node.key(), node.next), (value, key, 9));
                node.set_number(5);
                assert_eq!((node.value(), node.key()), (Value::Unsigned(5), key));
            }
        }
    }
}
