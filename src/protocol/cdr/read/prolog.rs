//! What stands around elements: the XML declaration, processing instructions, the document type.

use quick_xml::events::BytesDecl;

use super::super::grammar::is_name;
use super::{BYTE_ORDER_MARK, Flow, QUOTED_CHARACTERS, Reading, quoted};

impl Reading<'_, '_> {
    pub(super) fn declaration(&mut self, at: usize, declaration: &BytesDecl<'_>) -> Flow {
        if !self.text[..at].trim_start_matches(BYTE_ORDER_MARK).is_empty() {
            self.note(at, true, "an XML declaration that does not open the document");
        }
        match declaration.version() {
            Ok(version) if version.starts_with("1.") => {}
            Ok(_) => self.note(at, true, "the XML declaration names no version of XML"),
            Err(error) => self.note(at, true, error.to_string()),
        }
        match declaration.encoding() {
            None => {}
            Some(Ok(name)) if ["utf-8", "us-ascii", "utf-16"].iter().any(|known| name.eq_ignore_ascii_case(known)) => {}
            Some(Ok(name)) if !self.is_legacy && self.text.is_ascii() => self.encoded(&name),
            Some(Ok(name)) => {
                self.encoded(&name);
                let name = quoted(&name);
                self.note(at, false, format!("the document declares the encoding {name}; it is read as UTF-8"));
            }
            Some(Err(error)) => self.note(at, true, format!("the XML declaration is wrong: {error}")),
        }
        Flow::On
    }

    /// The document declares another encoding.
    fn encoded(&mut self, name: &str) {
        self.tape.encoding = Some(name.chars().take(QUOTED_CHARACTERS).collect());
    }

    pub(super) fn instruction(&mut self, at: usize, target: &str) {
        if target.eq_ignore_ascii_case("xml") || !is_name(target) {
            self.note(at, true, format!("a processing instruction with the name {}", quoted(target)));
        }
    }

    pub(super) fn document_type(&mut self, at: usize) -> Flow {
        let malformed = self.has_root || self.tape.has_dtd;
        self.tape.has_dtd = true;
        self.note(at, malformed, "a document type declaration: it is not followed");
        Flow::On
    }
}
