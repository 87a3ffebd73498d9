//! One emulated Meeting Server as a state machine without sockets, clock or operating system randomness.
//!
//! In reading order: [`server`] (what a shell drives), [`typed`] (what goes in and out of the core), [`settings`] (every
//! freedom and limit), [`world`] (calls and participants), `connection` and `subscription` (the events side), `api` (the
//! REST side), `wire` (frames and JSON), [`mutant`] (the seams) and [`mutants`] (the faults on purpose).
//! It never looks at the rules that judge it: the two share wire types only.

mod connection;
pub mod dialects;
mod elements;
pub mod mutant;
pub mod mutants;
pub mod server;
pub mod settings;
pub mod typed;
pub mod values;
pub mod world;

pub use connection::Connection;
pub use mutant::Mutant;
pub use server::{MeetingServer, Output};
pub use settings::Settings;
pub use typed::{ConnectionKey, ExchangeKey};
