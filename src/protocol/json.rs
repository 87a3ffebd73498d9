//! One JSON document, parsed once into a flat tape that is used again for the next one.
//!
//! Nothing is refused that is JSON: unknown members, repeated names and any nesting up to serde_json's limit (128) stay
//! visible, in document order. In steady state parsing allocates nothing: nodes lie in one vector, strings stay where
//! they are in the text, and only strings with escapes are decoded into a side buffer. serde_json does the grammar (`read`);
//! `plain` is a short way for what most documents consist of, `again` the shortest, for a text much like one before.
//!
//! [`Document::parse`] gives a [`Json`], a cheap cursor into the tape. See `events/message.rs` for the typed views.

mod again;
mod names;
mod node;
mod plain;
mod read;

use std::fmt;
use std::num::NonZeroU32;

use self::again::{SHAPES, Shape};
pub use self::names::{NAMES, Name, Names};
use self::node::{Node, Text, Value};

/// The tape: owns the nodes of the document parsed last.
#[derive(Debug, Default)]
pub struct Document {
    reading: Reading,
    /// Shapes of texts that were read, by their length.
    shapes: [Shape; SHAPES],
}

/// How much space a tape keeps that is not in use: how many nodes, and how many bytes of strings that had escapes.
const KEPT_NODES: usize = 4 << 10;
const KEPT_BYTES: usize = 64 << 10;

/// What a text was read as.
#[derive(Debug, Default)]
pub struct Reading {
    nodes: Vec<Node>,
    /// Strings that had escapes.
    unescaped: String,
}

impl Reading {
    /// Keeps no more space for the next text than most texts need. What is on the tape then means nothing.
    pub(crate) fn shrink(&mut self) {
        if !self.is_small() {
            *self = Self::default();
        }
    }

    /// Whether it takes no more space than is kept.
    pub(crate) fn is_small(&self) -> bool {
        self.nodes.capacity() <= KEPT_NODES && self.unescaped.capacity() <= KEPT_BYTES
    }

    /// The value, of the very text that was read last.
    ///
    /// # Panics
    /// If nothing was read, and perhaps if it is another text.
    pub(crate) fn json<'d>(&'d self, text: &'d str) -> Json<'d> {
        assert!(!self.nodes.is_empty(), "a text was read");
        Json { tape: Tape { reading: self, text }, at: 0 }
    }
}

/// Why a text is not one JSON document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonFault {
    /// Line, counted from 1.
    pub line: usize,
    /// Column in bytes, counted from 1.
    pub column: usize,
    /// What serde_json found wrong there.
    pub message: String,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.message)
    }
}

impl std::error::Error for JsonFault {}

/// What kind of value a [`Json`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// Any number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Number => "a number",
            Self::Text => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        })
    }
}

impl Document {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses `text`, which must hold exactly one JSON value and nothing but white space around it.
    ///
    /// # Errors
    /// Where and why the text is not JSON, is nested too deep, or is longer than 4 GiB.
    pub fn parse<'d>(&'d mut self, text: &'d str) -> Result<Json<'d>, JsonFault> {
        let shape = self.take_in(text)?;
        Ok(shape.map_or(&self.reading, |place| &self.shapes[place].reading).json(text))
    }

    /// The same, onto a tape of its own: so several texts can be parsed before the first is looked at.
    ///
    /// # Errors
    /// As [`Document::parse`]. What is on the tape then means nothing.
    pub fn parse_onto(&mut self, text: &str, tape: &mut Reading) -> Result<(), JsonFault> {
        match self.take_in(text)? {
            Some(place) => {
                tape.nodes.clear();
                tape.nodes.extend_from_slice(&self.shapes[place].reading.nodes);
                tape.unescaped.clear();
            }
            None => std::mem::swap(&mut self.reading, tape),
        }
        Ok(())
    }

    /// Reads a text onto the tape, unless it is of a known shape: then its place.
    fn take_in(&mut self, text: &str) -> Result<Option<usize>, JsonFault> {
        let place = text.len() % SHAPES;
        if self.shapes[place].takes(text.as_bytes()) {
            return Ok(Some(place));
        }
        self.reading.shrink();
        self.reading.nodes.clear();
        self.reading.unescaped.clear();
        if u32::try_from(text.len()).is_err() {
            return Err(JsonFault { line: 1, column: 1, message: "longer than 4 GiB".to_owned() });
        }
        if !self.scan(text) {
            self.read(text)?;
            return Ok(None);
        }
        let is_learnt = self.shapes[place].is_worn() && self.shapes[place].learn(text.as_bytes(), &mut self.reading);
        Ok(is_learnt.then_some(place))
    }

    fn text(&mut self, source: &str, value: &str) -> Text {
        let (outer, inner) = (source.as_ptr() as usize, value.as_ptr() as usize);
        if inner >= outer && inner + value.len() <= outer + source.len() {
            let start = inner - outer;
            Text::Source { start: start as u32, end: (start + value.len()) as u32 }
        } else {
            let start = self.reading.unescaped.len();
            self.reading.unescaped.push_str(value);
            Text::Unescaped { start: start as u32, end: self.reading.unescaped.len() as u32 }
        }
    }

    fn push(&mut self, source: &str, key: Option<Text>, value: Value) -> usize {
        let at = self.reading.nodes.len();
        let name = match key {
            Some(Text::Source { start, end }) => &source[start as usize..end as usize],
            Some(Text::Unescaped { start, end }) => &self.reading.unescaped[start as usize..end as usize],
            None => "",
        };
        self.reading.nodes.push(Node::new(key, Name::of(name), value, at as u32 + 1));
        at
    }

    fn close(&mut self, at: usize) {
        self.reading.nodes[at].next = self.reading.nodes.len() as u32;
    }
}

#[derive(Clone, Copy)]
struct Tape<'d> {
    reading: &'d Reading,
    text: &'d str,
}

impl<'d> Tape<'d> {
    fn str(self, text: Text) -> &'d str {
        match text {
            Text::Source { start, end } => &self.text[start as usize..end as usize],
            Text::Unescaped { start, end } => &self.reading.unescaped[start as usize..end as usize],
        }
    }
}

/// Where a member lies in its document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(NonZeroU32);

/// One value of a parsed document: a cursor that is cheap to copy.
#[derive(Clone, Copy)]
pub struct Json<'d> {
    tape: Tape<'d>,
    at: u32,
}

impl<'d> Json<'d> {
    fn node(self) -> &'d Node {
        &self.tape.reading.nodes[self.at as usize]
    }

    /// What kind of value this is.
    pub fn kind(self) -> Kind {
        match self.node().value() {
            Value::Null => Kind::Null,
            Value::Bool(_) => Kind::Bool,
            Value::Unsigned(_) | Value::Signed(_) | Value::Float(_) => Kind::Number,
            Value::Text(_) => Kind::Text,
            Value::Array => Kind::Array,
            Value::Object => Kind::Object,
        }
    }

    /// The string, if it is one.
    pub fn as_str(self) -> Option<&'d str> {
        match self.node().value() {
            Value::Text(text) => Some(self.tape.str(text)),
            _ => None,
        }
    }

    /// The boolean, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        match self.node().value() {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if it is one without sign and fraction.
    pub fn as_u64(self) -> Option<u64> {
        match self.node().value() {
            Value::Unsigned(value) => Some(value),
            _ => None,
        }
    }

    /// The number, if it is any.
    pub fn as_f64(self) -> Option<f64> {
        match self.node().value() {
            Value::Unsigned(value) => Some(value as f64),
            Value::Signed(value) => Some(value as f64),
            Value::Float(value) => Some(value),
            _ => None,
        }
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        matches!(self.node().value(), Value::Null)
    }

    /// The first member of that name; nothing if there is none or this is no object.
    pub fn get(self, wanted: &str) -> Option<Self> {
        match Name::of(wanted) {
            Name::OTHER => self.members().find(|member| member.name_text() == wanted),
            known => self.member(known),
        }
    }

    /// The first member of a name that is known beforehand; nothing if there is none, the name is [`Name::OTHER`], or this is
    /// no object.
    #[inline]
    pub fn member(self, wanted: Name) -> Option<Self> {
        self.members().find(|child| child.name() == wanted && wanted != Name::OTHER)
    }

    /// Where the first member of each of these names lies, found in one go; nothing where there is none or this is no object.
    #[inline]
    pub fn places<const N: usize>(self, wanted: &Names<N>) -> [Option<Place>; N] {
        let mut found = [None; N];
        let nodes = &self.tape.reading.nodes;
        let parent = &nodes[self.at as usize];
        let mut at = if parent.is_object() { self.at + 1 } else { parent.next };
        while at < parent.next {
            let node = &nodes[at as usize];
            if let (Some(which), Some(place)) = (wanted.place(node.name), NonZeroU32::new(at)) {
                found[which].get_or_insert(Place(place));
            }
            at = node.next;
        }
        found
    }

    /// The value at a place of this document.
    ///
    /// # Panics
    /// Perhaps, if the place is one of another document.
    #[inline]
    pub fn at(self, place: Place) -> Self {
        Self { at: place.0.get(), ..self }
    }

    /// The name of this member as it stands; empty if it is none.
    pub fn name_text(self) -> &'d str {
        self.node().key().map_or("", |key| self.tape.str(key))
    }

    /// The name of this member, if it is one and the name is known beforehand.
    #[inline]
    pub fn name(self) -> Name {
        self.node().name
    }

    /// The members in document order, repeated names included, each of which knows its name; none if this is no object.
    #[inline]
    pub fn members(self) -> impl Iterator<Item = Self> {
        let inside = self.node().is_object();
        Children::of(self, inside)
    }

    /// The elements in order; none if this is no array.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        let inside = self.node().is_array();
        Children::of(self, inside)
    }

    /// Whether two values are the same JSON value; numbers compare by value, members regardless of order.
    pub fn same_as(self, other: Json<'_>) -> bool {
        match (self.node().value(), other.node().value()) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::Text(a), Value::Text(b)) => self.tape.str(a) == other.tape.str(b),
            (Value::Unsigned(a), Value::Unsigned(b)) => a == b,
            (Value::Signed(a), Value::Signed(b)) => a == b,
            (Value::Array, Value::Array) => {
                self.elements().count() == other.elements().count()
                    && self.elements().zip(other.elements()).all(|(a, b)| a.same_as(b))
            }
            (Value::Object, Value::Object) => {
                self.members().count() == other.members().count()
                    && self.members().all(|a| other.get(a.name_text()).is_some_and(|b| a.same_as(b)))
            }
            _ => matches!((self.as_f64(), other.as_f64()), (Some(a), Some(b)) if a == b),
        }
    }
}

/// Shows the value as compact JSON.
impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self.node().value() {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Unsigned(value) => write!(f, "{value}"),
            Value::Signed(value) => write!(f, "{value}"),
            Value::Float(value) => write!(f, "{}", serde_json::Value::from(value)),
            Value::Text(text) => f.write_str(&quoted(self.tape.str(text))),
            Value::Array => {
                f.write_str("[")?;
                for (index, element) in self.elements().enumerate() {
                    write!(f, "{}{element}", if index == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Value::Object => {
                f.write_str("{")?;
                for (index, member) in self.members().enumerate() {
                    write!(f, "{}{}:{member}", if index == 0 { "" } else { "," }, quoted(member.name_text()))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The direct children of a node.
struct Children<'d> {
    tape: Tape<'d>,
    at: u32,
    end: u32,
}

impl<'d> Children<'d> {
    fn of(parent: Json<'d>, inside: bool) -> Self {
        let end = if inside { parent.node().next } else { parent.at + 1 };
        Self { tape: parent.tape, at: parent.at + 1, end }
    }
}

impl<'d> Iterator for Children<'d> {
    type Item = Json<'d>;

    fn next(&mut self) -> Option<Json<'d>> {
        if self.at >= self.end {
            return None;
        }
        let child = Json { tape: self.tape, at: self.at };
        self.at = child.node().next;
        Some(child)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_document_keeps_everything_in_order() {
        let mut tape = Document::new();
        let json = tape.parse(r#" {"a":[1,-2,2.5,"x\ny",null],"b":{"c":true},"a":"again"} "#).unwrap();
        assert_eq!(json.to_string(), r#"{"a":[1,-2,2.5,"x\ny",null],"b":{"c":true},"a":"again"}"#);
        assert_eq!(json.members().map(Json::name_text).collect::<Vec<_>>(), ["a", "b", "a"]);
        assert_eq!(json.get("b").unwrap().get("c").unwrap().as_bool(), Some(true));
        assert_eq!(json.get("a").unwrap().elements().nth(3).unwrap().as_str(), Some("x\ny"));
        assert!(json.get("z").is_none() && json.member(Name::OTHER).is_none());
    }

    #[test]
    fn several_members_are_found_in_one_go() {
        const WANTED: Names<3> = Names::new(["type", "call", "uri"]);
        let mut tape = Document::new();
        let json = tape.parse(r#"{"b":0,"type":1,"call":{"type":2},"type":3}"#).unwrap();
        assert_eq!(
            json.places(&WANTED).map(|found| found.map(|found| json.at(found).to_string())),
            [Some("1".to_owned()), Some(r#"{"type":2}"#.to_owned()), None]
        );
        assert!(tape.parse("[1]").unwrap().places(&WANTED).iter().all(Option::is_none));
    }

    #[test]
    fn two_values_are_not_one_document() {
        let mut tape = Document::new();
        assert!(tape.parse("{} {}").is_err());
        assert!(tape.parse("").is_err());
        assert!(tape.parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn numbers_compare_by_value() {
        let (mut a, mut b) = (Document::new(), Document::new());
        assert!(a.parse("2").unwrap().same_as(b.parse("2.0").unwrap()));
        assert!(a.parse(r#"{"x":1,"y":2}"#).unwrap().same_as(b.parse(r#"{"y":2,"x":1}"#).unwrap()));
        assert!(!a.parse("2").unwrap().same_as(b.parse("\"2\"").unwrap()));
    }

    fn any_value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(serde_json::Value::from),
            any::<i64>().prop_map(serde_json::Value::from),
            any::<u64>().prop_map(serde_json::Value::from),
            ".*".prop_map(serde_json::Value::from),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(serde_json::Value::from),
                prop::collection::btree_map(".{0,8}", inner, 0..6)
                    .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// What stands in front, and then: a shape, a number, the inside of a string, and another number. Of a few lengths, so that
    /// shapes are met again, and behind so much that what changes lies across all edges of the pieces that are compared.
    fn much_alike() -> impl Strategy<Value = (String, Vec<(usize, String, String, String)>)> {
        (0..40_usize, 1..13_usize, 2..20_usize).prop_flat_map(|(before, digits, inside)| {
            let of = |pattern: &str| prop::string::string_regex(pattern).expect("a pattern");
            let number = prop_oneof![9 => of(&format!("[0-9]{{{digits}}}")), 1 => of("[0-9]{1,4}")];
            let inside = of(&format!("[a-c0-9]{{{inside}}}|[a-c\"\\\\é]{{{inside}}}"));
            let texts = prop::collection::vec((0..3_usize, number, inside, "[0-9]{1,2}"), 1..12);
            (Just("-".repeat(before)), texts)
        })
    }

    /// What nearly is plain JSON.
    fn soup() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "{",
            "}",
            "[",
            "]",
            ",",
            ":",
            " ",
            "\n",
            "\"a\"",
            "\"a\":",
            "\"\"",
            "\"\\n\"",
            "\"",
            "0",
            "12",
            "01",
            "1.5",
            "1e3",
            "-1",
            "18446744073709551615",
            "9999999999999999999",
            "123456789012345678",
            "true",
            "false",
            "null",
            "tru",
            "\u{7}",
            "é",
            "\"0123456789 é通 abcdefgh\"",
            "[[[[[[[[",
            "]]]]]]]]",
            "{\"a\":[1,2,{}]}",
            "\"x\ty\"",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

        #[test]
        fn both_ways_put_the_same_onto_the_tape(soup in soup(), value in any_value(), pretty in any::<bool>()) {
            let written = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            for text in [soup, written.unwrap()] {
                let (mut short, mut long) = (Document::new(), Document::new());
                if short.scan(&text) {
                    prop_assert_eq!(long.read(&text), Ok(()));
                    prop_assert_eq!(&short.reading.nodes, &long.reading.nodes);
                    prop_assert_eq!(&long.reading.unescaped, "");
                }
            }
        }

        #[test]
        fn a_text_of_a_known_shape_puts_the_same_onto_the_tape(
            (before, texts) in much_alike(),
        ) {
            let mut document = Document::new();
            for (shape, number, inside, other) in texts {
                let text = match shape {
                    0 => format!(r#"{{"a":"{before}","id":{number},"name":"{inside}","at":{{"n": {other} }}}}"#),
                    1 => format!(r#"{{"a":"{before}","id":{number},"nume":"{inside}","at":{{"n":{other}  }}}}"#),
                    _ => format!(r#"{{"a":"{before}","id":{number},"list":[{other},"{inside}"]}}"#),
                };
                let mut long = Document::new();
                let wanted = long.read(&text);
                match document.parse(&text) {
                    Err(fault) => prop_assert_eq!(Err(fault), wanted),
                    Ok(json) => {
                        prop_assert_eq!(Ok(()), wanted);
                        prop_assert_eq!(&json.tape.reading.nodes, &long.reading.nodes, "{}", text);
                        prop_assert_eq!(&json.tape.reading.unescaped, &long.reading.unescaped, "{}", text);
                    }
                }
            }
        }

        #[test]
        fn what_is_usual_is_plain(words in prop::collection::vec("[ -!#-\\[\\]-~é通]{0,30}", 0..5), number in 0..u64::MAX / 2) {
            let value = serde_json::json!({ "type": "message", "message": { "id": number, "list": words, "on": true } });
            let text = value.to_string();
            prop_assert!(Document::new().scan(&text), "{}", text);
        }
    }

    proptest! {
        #[test]
        fn what_the_tape_shows_is_what_serde_json_reads(value in any_value()) {
            let text = serde_json::to_string_pretty(&value).unwrap();
            let mut tape = Document::new();
            let shown = tape.parse(&text).unwrap().to_string();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Document::new().parse(&text);
        }
    }
}
