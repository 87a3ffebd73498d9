//! Bytes onto the tape: reads one body, reports every deviation and reads on.
//!
//! quick-xml finds the tags; this file keeps the stack of open elements itself, so that after a wrong end tag it can go on
//! where a person would. Nothing that can still be read is refused. Entities are never expanded and nothing is looked up.
//! What a sender can make a reader keep is bounded by the limits below; at a limit reading ends, or passes over the further
//! attributes of an element, with a deviation; [`Set::limit`] tells which.
//! The grammar that quick-xml does not check is in `grammar`. Here are the elements; `attributes` and `text` read what
//! they hold, `prolog` what stands around them, `plain` is a short way for tags and elements of the usual form.

mod attributes;
mod plain;
mod prolog;
mod text;

use quick_xml::Reader;
use quick_xml::errors::{Error, IllFormedError, SyntaxError};
use quick_xml::events::{BytesStart, Event};

use self::attributes::ATTRIBUTES;
use super::grammar::{forbidden_character, is_name, is_space, trim};
use super::names::{FieldName, RECORD, RECORDS, RecordType};
use super::set::{Deviation, FieldNode, RecordNode, Run, Set, Tape, Text};

/// How deep elements may nest. Documented records need 7 levels.
const DEPTH: usize = 64;

/// How many elements, and how many attributes, a set may have: a body of 64 MiB full of ordinary records has fewer.
const NODES: usize = 2_000_000;

/// How many deviations are reported. More would say nothing new.
const DEVIATIONS: usize = 1000;

/// How many deviations a set may have until it is not read on: a body of nothing else would take seconds. A set of
/// 64 MiB with one in every record has fewer.
const MOST_DEVIATIONS: usize = 100_000;

/// How many nodes of each kind a tape keeps room for.
const KEPT_NODES: usize = 1 << 16;

const BYTE_ORDER_MARK: char = '\u{FEFF}';

/// How many characters of a name are quoted.
const QUOTED_CHARACTERS: usize = 60;

/// What an open element is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// A root, whatever its name.
    Root,
    /// The record of this number.
    Record(u32),
    /// The element of this number on the tape.
    Field(u32),
    /// An element whose record is no longer the present one: it is passed over.
    Passed,
}

/// An open element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Open {
    /// Its name in the text.
    name: Run,
    role: Role,
    /// Its text so far.
    value: Value,
}

#[derive(Debug, Clone, Copy)]
enum Value {
    None,
    Some(Text),
    /// An element has begun inside; text behind it is not kept.
    Closed(Text),
}

impl Tape {
    /// Reads one body. What was read before is forgotten.
    pub fn read<'t>(&'t mut self, body: &'t [u8]) -> Set<'t> {
        self.clear();
        if u32::try_from(body.len()).is_err() {
            self.cut(0, "longer than 4 GiB".to_owned());
            return Set::new(body, "", self);
        }
        self.lossy = None;
        let source = str::from_utf8(body);
        match source {
            Ok(text) => Reading { tape: self, text, base: 0, has_root: false, is_legacy: false }.run(),
            Err(error) => {
                let copy = decode(body);
                let is_legacy = self.note_encoding(body, &copy, error.valid_up_to());
                Reading { tape: self, text: &copy, base: 0, has_root: false, is_legacy }.run();
                self.lossy = Some(copy);
            }
        }
        // Most are found in document order; those that were found beforehand or belong to an earlier place are not.
        self.deviations.sort_by_key(|deviation| deviation.at_bytes);
        let text = source.ok().or(self.lossy.as_deref()).unwrap_or_default();
        Set::new(body, text, self)
    }

    fn clear(&mut self) {
        fn empty<T>(list: &mut Vec<T>) {
            list.clear();
            list.shrink_to(KEPT_NODES);
        }
        empty(&mut self.attributes);
        empty(&mut self.fields);
        empty(&mut self.records);
        empty(&mut self.others);
        self.open.clear();
        self.deviations.clear();
        self.decoded.clear();
        self.decoded.shrink_to(KEPT_NODES);
        self.root = None;
        self.root_attributes = Run::default();
        self.is_cut = false;
        self.limit = None;
        self.has_dtd = false;
        self.encoding = None;
        self.is_malformed = false;
        self.noted = 0;
    }

    /// Reports that a body is not UTF-8. Tells whether it is in an encoding of its own that it declares.
    fn note_encoding(&mut self, body: &[u8], copy: &str, at: usize) -> bool {
        if matches!(body, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..]) {
            self.note(0, false, "the document is in UTF-16; places in it count as if it were in UTF-8");
            self.encoding = Some("UTF-16".to_owned());
            return false;
        }
        let declaration = copy.split_once("?>").map_or("", |(declaration, _)| declaration);
        let is_declared = declaration.starts_with("<?xml")
            && declaration.split_once("encoding").is_some_and(|(_, rest)| {
                let name = rest.trim_start_matches([' ', '\t', '\n', '\r', '=', '"', '\'']).to_ascii_lowercase();
                !name.starts_with("utf") && !name.starts_with("us-ascii")
            });
        let what = "not UTF-8: what cannot be decoded is replaced";
        self.note(at, !is_declared, what);
        is_declared
    }

    /// Reports a limit at which reading ends.
    fn cut(&mut self, at: usize, limit: String) {
        let what = format!("{limit}: from here on the set is not read");
        self.deviations.push(Deviation { at_bytes: at, malformed: false, what });
        self.limit = Some(limit);
        self.is_cut = true;
    }

    fn note(&mut self, at: usize, malformed: bool, what: impl Into<String>) {
        self.noted += 1;
        if self.deviations.len() < DEVIATIONS {
            self.deviations.push(Deviation { at_bytes: at, malformed, what: what.into() });
        } else if malformed && !self.is_malformed {
            // That the body is malformed must not get lost with the rest.
            self.deviations[DEVIATIONS - 1] = Deviation { at_bytes: at, malformed, what: what.into() };
        }
        self.is_malformed |= malformed;
    }
}

/// A body that is not UTF-8 as text.
fn decode(body: &[u8]) -> String {
    let units = |bytes: &[u8], from: fn([u8; 2]) -> u16| -> String {
        let units = bytes.chunks(2).map(|pair| from([pair[0], pair.get(1).copied().unwrap_or(0)]));
        char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
    };
    match body {
        [0xFE, 0xFF, rest @ ..] => units(rest, u16::from_be_bytes),
        [0xFF, 0xFE, rest @ ..] => units(rest, u16::from_le_bytes),
        _ => String::from_utf8_lossy(body).into_owned(),
    }
}

/// One body while it is read.
struct Reading<'t, 's> {
    tape: &'t mut Tape,
    text: &'s str,
    /// Where the text that quick-xml sees begins.
    base: usize,
    has_root: bool,
    /// Whether the text was made from another encoding than UTF-8, which the document declares.
    is_legacy: bool,
}

/// How reading goes on.
enum Flow {
    On,
    /// From this offset of the text.
    Resume(usize),
    End,
}

impl<'s> Reading<'_, 's> {
    fn run(&mut self) {
        if let Some(at) = forbidden_character(self.text) {
            self.note(at, true, "a character that XML does not allow");
        }
        loop {
            // quick-xml passes over a byte order mark without counting it.
            while self.text[self.base..].starts_with(BYTE_ORDER_MARK) {
                if self.base > 0 {
                    self.note(self.base, true, "a byte order mark that does not open the document");
                }
                self.base += BYTE_ORDER_MARK.len_utf8();
            }
            let mut reader = Reader::from_str(&self.text[self.base..]);
            let config = reader.config_mut();
            config.check_end_names = false;
            config.allow_unmatched_ends = true;
            config.allow_dangling_amp = true;
            config.check_comments = true;
            match self.events(&mut reader) {
                Flow::Resume(at) => self.base = at,
                Flow::On | Flow::End => break,
            }
        }
        self.finish();
    }

    fn events(&mut self, reader: &mut Reader<&'s [u8]>) -> Flow {
        loop {
            let event = reader.read_event();
            // White space behind a tag means nothing; in the middle of a text it does.
            let amid_text =
                matches!(event, Ok(Event::GeneralRef(_) | Event::CData(_) | Event::Comment(_) | Event::PI(_)) | Err(_));
            reader.config_mut().trim_text_start = !amid_text;
            let is_behind_tag = matches!(event, Ok(Event::Start(_) | Event::Empty(_) | Event::End(_)));
            let flow = match event {
                Ok(Event::Eof) => Flow::End,
                Ok(Event::Start(start)) => self.start(&start, false),
                Ok(Event::Empty(start)) => self.start(&start, true),
                Ok(Event::End(end)) => self.end(&end),
                Ok(Event::Text(text)) => self.characters(&text),
                Ok(Event::CData(text)) => self.append(self.offset(&text), &text, true),
                Ok(Event::GeneralRef(name)) => self.general_reference(&name),
                Ok(Event::DocType(text)) => self.document_type(self.tag_before(&text)),
                Ok(Event::Decl(declaration)) => self.declaration(self.tag_before(&declaration), &declaration),
                Ok(Event::PI(instruction)) => {
                    self.instruction(self.tag_before(&instruction), instruction.target());
                    Flow::On
                }
                Ok(Event::Comment(_)) => Flow::On,
                Err(error) => self.error(self.base + reader.error_position() as usize, &error),
            };
            if self.tape.noted >= MOST_DEVIATIONS {
                let at = self.base + reader.buffer_position() as usize;
                self.tape.cut(at, format!("{MOST_DEVIATIONS} deviations"));
                return Flow::End;
            }
            if !matches!(flow, Flow::On) {
                return flow;
            }
            if is_behind_tag {
                self.plain(reader);
            }
        }
    }

    fn note(&mut self, at: usize, malformed: bool, what: impl Into<String>) {
        self.tape.note(at, malformed, what);
    }

    fn offset(&self, piece: &str) -> usize {
        piece.as_ptr() as usize - self.text.as_ptr() as usize
    }

    /// Where the tag begins that holds this piece.
    fn tag_before(&self, piece: &str) -> usize {
        self.text[..self.offset(piece)].rfind('<').unwrap_or(0)
    }

    fn run_of(&self, piece: &str) -> Run {
        let start = self.offset(piece);
        Run { start: start as u32, end: (start + piece.len()) as u32 }
    }

    fn slice(&self, run: Run) -> &'s str {
        &self.text[run.start as usize..run.end as usize]
    }

    fn error(&mut self, at: usize, error: &Error) -> Flow {
        match error {
            Error::IllFormed(IllFormedError::DoubleHyphenInComment) => self.note(at, true, "two hyphens in a comment"),
            Error::IllFormed(error) => self.note(at, true, error.to_string()),
            Error::Syntax(SyntaxError::InvalidBangMarkup) => {
                self.note(at, true, "a tag that begins with <! and is none that XML knows");
                return Flow::Resume(self.text.len().min(at + 2));
            }
            error => {
                self.note(at, true, format!("the document ends amid: {error}"));
                return Flow::End;
            }
        }
        Flow::On
    }

    fn start(&mut self, start: &BytesStart<'_>, is_empty: bool) -> Flow {
        let name = start.name().into_inner();
        let at = self.offset(name) - 1;
        if self.is_full() {
            let is_deep = self.tape.open.len() >= DEPTH;
            let limit = if is_deep {
                format!("elements nest deeper than {DEPTH} levels")
            } else {
                format!("more than {NODES} elements or attributes")
            };
            self.tape.cut(at, limit);
            return Flow::End;
        }
        let known = FieldName::of_element(name);
        if known.is_none() && name != RECORD && !is_name(name) {
            self.note(at, true, format!("an element with the name {}", quoted(name)));
        }
        let attributes = self.attributes(at, start);
        let role = self.place(at, name, known, attributes);
        let name = self.run_of(name);
        self.note_child(at);
        self.tape.open.push(Open { name, role, value: Value::None });
        if is_empty {
            self.close();
        }
        Flow::On
    }

    /// Whether there is no room for a further element.
    fn is_full(&self) -> bool {
        let nodes = self.tape.fields.len() + self.tape.records.len();
        self.tape.open.len() >= DEPTH || nodes >= NODES || self.tape.attributes.len() + ATTRIBUTES > NODES
    }

    /// An element begins inside the innermost open one, whose text ends here.
    fn note_child(&mut self, at: usize) {
        if let Some(parent) = self.tape.open.last_mut() {
            let none = Text::Source { start: at as u32, end: at as u32 };
            parent.value = match parent.value {
                Value::None => Value::Closed(none),
                Value::Some(value) | Value::Closed(value) => Value::Closed(value),
            };
        }
    }

    /// Puts a new element onto the tape.
    fn place(&mut self, at: usize, name: &str, known: Option<FieldName>, attributes: Run) -> Role {
        let parent = self.tape.open.last().copied();
        let Some(parent) = parent else {
            if self.has_root {
                self.note(at, true, "a second root element");
            } else {
                self.has_root = true;
                self.tape.root = Some(self.source(name));
                self.tape.root_attributes = attributes;
                if name != RECORDS {
                    self.note(at, false, format!("the root element is {}, not \"{RECORDS}\"", quoted(name)));
                }
            }
            return if name == RECORD { self.begin_record(at, attributes) } else { Role::Root };
        };
        if name == RECORD {
            if parent.role == Role::Root {
                return self.begin_record(at, attributes);
            }
            self.note(at, false, format!("a record inside {}", quoted(self.slice(parent.name))));
            // Without a type it is no record but, most likely, an end tag that lacks its slash.
            if self.type_of(attributes).is_some() || parent.role == Role::Passed {
                self.leave_record();
                return self.begin_record(at, attributes);
            }
        }
        if parent.role == Role::Passed {
            return Role::Passed;
        }
        let index = self.tape.fields.len() as u32;
        let empty = Text::Source { start: at as u32, end: at as u32 };
        let node =
            FieldNode { name: self.source(name), known, value: empty, attributes, next: index + 1, at: at as u32 };
        self.tape.fields.push(node);
        if parent.role == Role::Root {
            self.tape.others.push(index);
        }
        Role::Field(index)
    }

    fn source(&self, piece: &str) -> Text {
        let Run { start, end } = self.run_of(piece);
        Text::Source { start, end }
    }

    fn type_of(&self, attributes: Run) -> Option<Text> {
        let nodes = &self.tape.attributes[attributes.start as usize..attributes.end as usize];
        nodes.iter().find(|node| self.tape.str(self.text, node.name) == "type").map(|node| node.value)
    }

    fn begin_record(&mut self, at: usize, attributes: Run) -> Role {
        let kind = self.type_of(attributes).and_then(|word| RecordType::from_name(self.tape.str(self.text, word)));
        let start = self.tape.fields.len() as u32;
        let fields = Run { start, end: start };
        self.tape.records.push(RecordNode { at: at as u32, kind, attributes, fields });
        Role::Record(self.tape.records.len() as u32 - 1)
    }

    /// A record begins although elements are open that are no roots: on the tape they end here.
    fn leave_record(&mut self) {
        let end = self.tape.fields.len() as u32;
        for index in 0..self.tape.open.len() {
            let open = self.tape.open[index];
            match open.role {
                Role::Record(number) => self.tape.records[number as usize].fields.end = end,
                Role::Field(number) => self.finish_field(number, open.value),
                Role::Root | Role::Passed => continue,
            }
            self.tape.open[index].role = Role::Passed;
        }
    }

    fn finish_field(&mut self, number: u32, value: Value) {
        let value = match value {
            Value::None => None,
            Value::Some(value) | Value::Closed(value) => Some(self.trimmed(value)),
        };
        let next = self.tape.fields.len() as u32;
        let node = &mut self.tape.fields[number as usize];
        node.next = next;
        node.value = value.unwrap_or(node.value);
    }

    fn trimmed(&self, text: Text) -> Text {
        let whole = self.tape.str(self.text, text);
        let rest = trim(whole);
        let skipped = if rest.is_empty() { 0 } else { (rest.as_ptr() as usize - whole.as_ptr() as usize) as u32 };
        let length = rest.len() as u32;
        match text {
            Text::Source { start, .. } => Text::Source { start: start + skipped, end: start + skipped + length },
            Text::Decoded { start, .. } => Text::Decoded { start: start + skipped, end: start + skipped + length },
        }
    }

    /// Closes the innermost open element.
    fn close(&mut self) {
        let Some(open) = self.tape.open.pop() else { return };
        match open.role {
            Role::Record(number) => self.tape.records[number as usize].fields.end = self.tape.fields.len() as u32,
            Role::Field(number) => self.finish_field(number, open.value),
            Role::Root | Role::Passed => {}
        }
    }

    fn end(&mut self, name: &str) -> Flow {
        let at = self.offset(name) - 2;
        let Some(top) = self.tape.open.last().copied() else {
            self.note(at, true, format!("the end tag {} where nothing is open", quoted(name)));
            return Flow::On;
        };
        let expected = self.slice(top.name);
        if expected == name {
            self.close();
            return Flow::On;
        }
        let what = format!("the end tag {} where {} is to be closed", quoted(name), quoted(expected));
        self.note(at, true, what);
        if let Some(depth) = self.tape.open.iter().rposition(|open| self.slice(open.name) == name) {
            while self.tape.open.len() > depth {
                self.close();
            }
        } else if !self.is_closed_next(self.offset(name) + name.len(), expected)
            && matches!(top.role, Role::Field(_) | Role::Passed)
        {
            // Most likely the name of one of the two tags is misspelt.
            self.close();
        }
        Flow::On
    }

    /// Whether the tag behind the end tag that ends at `amid` closes the element of this name.
    fn is_closed_next(&self, amid: usize, name: &str) -> bool {
        let behind = self.text[amid..].split_once('>').map_or("", |(_, rest)| rest);
        let rest = behind.trim_start_matches([' ', '\t', '\n', '\r']);
        let next = rest.strip_prefix("</").and_then(|rest| rest.strip_prefix(name));
        next.is_some_and(|rest| rest.bytes().next().is_none_or(|byte| byte == b'>' || is_space(byte)))
    }

    /// The text is over: what is open ends here.
    fn finish(&mut self) {
        let end = self.text.len();
        if !self.tape.is_cut {
            if let Some(open) = self.tape.open.last().copied() {
                let name = quoted(self.slice(open.name));
                self.note(end, true, format!("the document ends inside {name}"));
            } else if !self.has_root {
                self.note(0, true, "no element");
            }
        }
        while !self.tape.open.is_empty() {
            self.close();
        }
    }
}

/// A name in quotes; of a long one, the beginning.
fn quoted(name: &str) -> String {
    match name.char_indices().nth(QUOTED_CHARACTERS) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}
