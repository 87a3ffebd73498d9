//! One emulated Meeting Server as a state machine without sockets, clock or operating system randomness.
//!
//! In reading order: [`server`] (what a shell drives), [`typed`] (what goes in and out of the core), [`settings`] (every
//! freedom and limit), [`world`] (calls and participants), `connection` and `subscription` (the events side), `api` (the
//! REST side), `wire` (frames and JSON), [`cdr`] (call detail records), [`mutant`] (the seams) and [`mutants`] (the faults on purpose);
//! [`change`] is how a load makes things happen in it.
//! It never looks at the rules that judge it: the two share wire types only.

mod admission;
mod api;
#[cfg(test)]
mod api_tests;
#[cfg(test)]
mod bench;
pub mod cdr;
pub mod change;
mod connection;
mod core;
mod delivery;
pub mod dialects;
mod dialing;
mod elements;
#[cfg(test)]
mod events_tests;
pub mod freedoms;
pub mod mutant;
pub mod mutants;
#[cfg(test)]
mod property_tests;
pub mod server;
pub mod settings;
mod subscribing;
mod subscription;
mod timers;
pub mod typed;
pub mod values;
mod wire;
pub mod world;

pub use change::{Cause, Change, Changed, Note};
pub use connection::Connection;
pub use mutant::Mutant;
pub use server::{Address, MeetingServer, Output};
pub use settings::Settings;
pub use subscription::Subscription;
pub use typed::{ConnectionKey, ExchangeKey, LinkKey};
