//! A load turned round: an emulated server in which things happen at a rate, and how those keep up who follow it.
//!
//! - [`server`]: the emulated server with its load, which a shell or a test drives as it would drive the server alone
//! - `audience`: which connection is told of what
//! - `run`: one stretch of load, from its first arrival to its last ack
//! - `works`: what was scheduled and waits for its acks and answers
//!
//! Sans-IO and without a clock, like the emulator. Schedules, metrics and thresholds are those of [`crate::load`]. What was
//! due while a client owed acks was due all the same: its time runs from then on, however long it waited in the server.

mod audience;
mod run;
pub mod server;
#[cfg(test)]
mod tests;
mod works;

pub use server::{Ending, LoadedServer};
