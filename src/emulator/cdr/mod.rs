//! Call detail records: how they come about, wait, and reach their receivers (CDR guide; wire-facts part 4).
//!
//! - [`leg`]: what only records (and the API's call legs) show of a leg
//! - `reasons`: why legs end
//! - [`record`]: records and POSTs, typed: the language of mutants
//! - `ledger`: which record is made when something happens in the world
//! - `shape`: what stands in each record
//! - `services`: legs that record or stream, which exist in records only
//! - [`receivers`]: who gets records, what waits for each, and the numbers of records
//! - `sender`: connections, sets, answers, repetitions
//! - `wire`: a POST in bytes, and where a URI leads
//! - `restart`: what a restart loses and what it keeps
//!
//! A record gets its index when it is made, whether or not anybody receives it. Each receiver has a queue of its own and
//! at most one set under way. A set that was sent once is kept unchanged until it is acknowledged, so that a
//! repetition is always the same; only records that were never sent are discarded when a queue overflows. Therefore
//! `recordIndex`, given when a set is made up, has no gap, and the count of missing records is the gap before a record.

mod ledger;
pub mod leg;
mod reasons;
pub mod receivers;
pub mod record;
mod restart;
mod sender;
mod services;
mod shape;
#[cfg(test)]
mod tests;
mod wire;

pub use leg::LegDetail;
pub use receivers::{Cdr, Receiver};
pub use record::{Draft, Post, ReceiverKey};

pub(super) use reasons::find as reason;
pub(super) use wire::Target;
