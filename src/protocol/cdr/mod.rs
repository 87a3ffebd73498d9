//! Call detail records: the XML sets that a Call Bridge posts to its receivers (CDR guide, sections 3 to 5).
//!
//! - [`names`]: record types, the elements they hold, their fields
//! - [`set`]: one set that was read, as views of a tape that is used again and again
//! - [`read`]: bytes onto the tape; reports every deviation and reads on
//! - [`write`](mod@write): sets as a sender makes them
//!
//! What a field may hold is the catalogue's business ([`crate::spec`]); here everything is text.

mod grammar;
pub mod names;
pub mod read;
pub mod set;
#[cfg(test)]
mod tests;
pub mod write;

pub use names::{FieldName, RecordType, Subject};
pub use set::{Deviation, Field, Record, Set, Tape};
pub use write::{NewRecord, NewSet, Style};
