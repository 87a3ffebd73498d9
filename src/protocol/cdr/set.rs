//! One set of records that was read: a tape that is reused, and views of it that are cheap to copy.
//!
//! Everything is kept, unknown elements and attributes included, in document order and with its place in the body, so
//! that rules judge and reports quote without reading twice. Text is borrowed from the body where it needs no decoding.

use std::fmt;

use super::names::{FieldName, MISSING, RecordType};
use super::read::Open;

/// Text of a body: as it stands there, or decoded beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Text {
    Source { start: u32, end: u32 },
    Decoded { start: u32, end: u32 },
}

/// A stretch of one of the tape's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Run {
    pub(super) start: u32,
    pub(super) end: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct AttributeNode {
    pub(super) name: Text,
    pub(super) value: Text,
}

/// An element below a record.
#[derive(Debug, Clone, Copy)]
pub(super) struct FieldNode {
    pub(super) name: Text,
    pub(super) known: Option<FieldName>,
    /// The text directly inside, trimmed.
    pub(super) value: Text,
    pub(super) attributes: Run,
    /// One past its last descendant.
    pub(super) next: u32,
    pub(super) at: u32,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct RecordNode {
    pub(super) at: u32,
    pub(super) kind: Option<RecordType>,
    pub(super) attributes: Run,
    pub(super) fields: Run,
}

/// Where a body deviates from what a set of records should look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deviation {
    /// Offset in the body, in bytes. [`Set::place`] gives line and column.
    pub at_bytes: usize,
    /// Whether the body is no well-formed XML document for this.
    pub malformed: bool,
    /// What is wrong, in words.
    pub what: String,
}

/// One set that was read. Reading again reuses its memory.
#[derive(Debug, Default)]
pub struct Tape {
    pub(super) attributes: Vec<AttributeNode>,
    pub(super) fields: Vec<FieldNode>,
    pub(super) records: Vec<RecordNode>,
    pub(super) root: Option<Text>,
    pub(super) root_attributes: Run,
    pub(super) decoded: String,
    pub(super) deviations: Vec<Deviation>,
    /// The body with replacement characters, where it is not UTF-8.
    pub(super) lossy: Option<String>,
    /// Elements directly inside the root that are no records.
    pub(super) others: Vec<u32>,
    /// The elements that are open while a body is read.
    pub(super) open: Vec<Open>,
    /// Whether the body was not read to its end, because a limit was reached.
    pub(super) is_cut: bool,
    /// The limit that was reached, because of which not everything was read.
    pub(super) limit: Option<String>,
    /// Whether there is a document type declaration, which may declare entities.
    pub(super) has_dtd: bool,
    /// The encoding that is declared or shows, if it is another one than UTF-8 and its part ASCII.
    pub(super) encoding: Option<String>,
    /// Whether one of the deviations, or one that was not kept, says so.
    pub(super) is_malformed: bool,
    /// How many deviations there were, also beyond those that are kept.
    pub(super) noted: usize,
    /// Whether the short way of `read/plain` is closed, to compare it with the long one.
    #[cfg(test)]
    pub(super) by_quick_xml_alone: bool,
}

impl Tape {
    /// An empty tape.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn str<'a>(&'a self, text: &'a str, place: Text) -> &'a str {
        match place {
            Text::Source { start, end } => &text[start as usize..end as usize],
            Text::Decoded { start, end } => &self.decoded[start as usize..end as usize],
        }
    }
}

/// One set of records: the body of one POST.
#[derive(Clone, Copy)]
pub struct Set<'a> {
    body: &'a [u8],
    text: &'a str,
    tape: &'a Tape,
}

impl<'a> Set<'a> {
    /// The view of a tape onto which `body` was read. `text` is the body, or the tape's lossy copy of it.
    pub(super) const fn new(body: &'a [u8], text: &'a str, tape: &'a Tape) -> Self {
        Self { body, text, tape }
    }

    fn str(self, text: Text) -> &'a str {
        self.tape.str(self.text, text)
    }

    fn attributes_of(self, run: Run) -> impl Iterator<Item = (&'a str, &'a str)> {
        let nodes = &self.tape.attributes[run.start as usize..run.end as usize];
        nodes.iter().map(move |node| (self.str(node.name), self.str(node.value)))
    }

    fn attribute_of(self, run: Run, wanted: &str) -> Option<&'a str> {
        self.attributes_of(run).find(|(name, _)| *name == wanted).map(|(_, value)| value)
    }

    /// The body as it arrived.
    pub const fn body(self) -> &'a [u8] {
        self.body
    }

    /// The name of the root element, if there is one.
    pub fn root(self) -> Option<&'a str> {
        self.tape.root.map(|name| self.str(name))
    }

    /// The attributes of the root element in document order.
    pub fn attributes(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.attributes_of(self.tape.root_attributes)
    }

    /// `session`, if it is there.
    pub fn session(self) -> Option<&'a str> {
        self.attribute_of(self.tape.root_attributes, "session")
    }

    /// `callBridge`, if it is there.
    pub fn call_bridge(self) -> Option<&'a str> {
        self.attribute_of(self.tape.root_attributes, "callBridge")
    }

    /// The records in document order.
    pub fn records(self) -> impl ExactSizeIterator<Item = Record<'a>> {
        self.tape.records.iter().map(move |node| Record { set: self, node })
    }

    /// Everything that deviates from what a set should look like, in document order.
    pub fn deviations(self) -> &'a [Deviation] {
        &self.tape.deviations
    }

    /// Whether the body is one well-formed XML document, as far as it was read.
    pub fn is_well_formed(self) -> bool {
        !self.tape.is_malformed
    }

    /// Whether everything in the body was read.
    pub fn is_read_whole(self) -> bool {
        self.tape.limit.is_none()
    }

    /// The limit because of which not everything in the body was read, in words; a deviation tells the place.
    pub fn limit(self) -> Option<&'a str> {
        self.tape.limit.as_deref()
    }

    /// Whether there is a document type declaration.
    pub fn has_document_type(self) -> bool {
        self.tape.has_dtd
    }

    /// The encoding that the document declares or shows, if it is another one than UTF-8 and its part ASCII.
    pub fn encoding(self) -> Option<&'a str> {
        self.tape.encoding.as_deref()
    }

    /// The elements directly inside the root that are no records. None is documented.
    pub fn others(self) -> impl Iterator<Item = Field<'a>> {
        self.tape.others.iter().map(move |at| Field { set: self, at: *at })
    }

    /// Line and column of an offset, both counted from 1, the column in characters. In a body that is not UTF-8,
    /// characters that cannot be decoded count as one each.
    pub fn place(self, at_bytes: usize) -> (usize, usize) {
        let before = self.text.floor_char_boundary(at_bytes);
        let before = &self.text[..before];
        let line = before.rfind('\n').map_or(0, |at| at + 1);
        (memchr::memchr_iter(b'\n', before.as_bytes()).count() + 1, before[line..].chars().count() + 1)
    }
}

impl fmt::Debug for Set<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.body))
    }
}

/// One record of a set.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    set: Set<'a>,
    node: &'a RecordNode,
}

impl<'a> Record<'a> {
    /// Its place in the body, in bytes.
    pub const fn at_bytes(self) -> usize {
        self.node.at as usize
    }

    /// Its type, if it is a documented one.
    pub const fn kind(self) -> Option<RecordType> {
        self.node.kind
    }

    /// `type` as it stands there.
    pub fn type_name(self) -> Option<&'a str> {
        self.attribute("type")
    }

    /// `time`, if it is there.
    pub fn time(self) -> Option<&'a str> {
        self.attribute("time")
    }

    /// `correlatorIndex`, if it is there.
    pub fn correlator_index(self) -> Option<&'a str> {
        self.attribute("correlatorIndex")
    }

    /// `recordIndex`, if it is there.
    pub fn record_index(self) -> Option<&'a str> {
        self.attribute("recordIndex")
    }

    /// How many records before this one were discarded, as it stands there, in either spelling of the attribute's name.
    pub fn missing(self) -> Option<&'a str> {
        MISSING.iter().find_map(|name| self.attribute(name))
    }

    /// The attribute of that name.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.set.attribute_of(self.node.attributes, name)
    }

    /// Its attributes in document order.
    pub fn attributes(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.set.attributes_of(self.node.attributes)
    }

    /// The elements directly inside; one, if it is as it should be.
    pub fn elements(self) -> impl Iterator<Item = Field<'a>> {
        Children { set: self.set, at: self.node.fields.start, end: self.node.fields.end }
    }

    /// The first element inside: the call, call leg, recording or stream that it is about.
    pub fn subject(self) -> Option<Field<'a>> {
        self.elements().next()
    }

    /// The id of what it is about.
    pub fn id(self) -> Option<&'a str> {
        self.subject()?.attribute("id")
    }

    /// The first field of that name of what it is about.
    pub fn field(self, name: FieldName) -> Option<Field<'a>> {
        self.subject()?.get(name)
    }

    /// The text of the first field of that name.
    pub fn value(self, name: FieldName) -> Option<&'a str> {
        self.field(name).map(Field::value)
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.type_name().unwrap_or("?"), self.id().unwrap_or("?"))
    }
}

/// One element below a record.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    set: Set<'a>,
    at: u32,
}

impl<'a> Field<'a> {
    fn node(self) -> &'a FieldNode {
        &self.set.tape.fields[self.at as usize]
    }

    /// Its name as it stands there.
    pub fn name(self) -> &'a str {
        self.set.str(self.node().name)
    }

    /// Its name, if it is a documented one.
    pub fn known(self) -> Option<FieldName> {
        self.node().known
    }

    /// The text directly inside, decoded and trimmed.
    pub fn value(self) -> &'a str {
        self.set.str(self.node().value)
    }

    /// Its place in the body, in bytes.
    pub fn at_bytes(self) -> usize {
        self.node().at as usize
    }

    /// Its attributes in document order.
    pub fn attributes(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.set.attributes_of(self.node().attributes)
    }

    /// The attribute of that name.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.set.attribute_of(self.node().attributes, name)
    }

    /// The elements directly inside, in document order.
    pub fn children(self) -> impl Iterator<Item = Self> {
        Children { set: self.set, at: self.at + 1, end: self.node().next }
    }

    /// The first element of that name directly inside.
    pub fn get(self, name: FieldName) -> Option<Self> {
        self.children().find(|child| child.known() == Some(name))
    }
}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={:?}", self.name(), self.value())
    }
}

/// The elements directly inside another one.
struct Children<'a> {
    set: Set<'a>,
    at: u32,
    end: u32,
}

impl<'a> Iterator for Children<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        if self.at >= self.end {
            return None;
        }
        let field = Field { set: self.set, at: self.at };
        self.at = field.node().next;
        Some(field)
    }
}
