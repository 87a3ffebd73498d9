//! Bytes onto the tape: reads one body, reports every deviation and reads on.

use super::set::{Set, Tape};

impl Tape {
    /// Reads one body. What was read before is forgotten.
    pub fn read<'t>(&'t mut self, body: &'t [u8]) -> Set<'t> {
        self.attributes.clear();
        self.fields.clear();
        self.records.clear();
        self.decoded.clear();
        self.deviations.clear();
        let text = std::str::from_utf8(body).unwrap_or_default();
        Set::new(body, text, self)
    }
}
