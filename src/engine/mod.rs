//! The scenario engine: carries out one scenario, sans-IO, over whatever driver there is.
//!
//! In reading order: [`driver`] (the contract between the engine and its drivers), [`runner`] (the engine itself),
//! [`options`] and [`outcome`] (what goes in and what comes out), `core` (what all steps share, and how they wait),
//! [`events_client`] (one event connection as an actor, independent of scenarios), `client` (a scenario's view of it),
//! [`receiver`] (CDR receivers as actors, independent of scenarios, too), `record_ear` (a scenario's view of them),
//! `api_client`, `compare`, then the steps by kind.
//!
//! Steps are written as straight-line `async` code over the shared core. There is no runtime: the engine polls the one
//! future itself, after every input, and the only thing that it ever waits for is an input or the time.

mod api_client;
mod api_steps;
pub mod bend;
pub mod bends;
mod client;
mod client_steps;
mod clients;
mod compare;
mod core;
pub mod driver;
pub mod events_client;
mod load;
pub mod options;
pub mod outcome;
mod pattern;
pub mod receiver;
mod receiver_steps;
mod record_ear;
pub mod runner;
pub mod scratch;
mod step_text;
mod waiting_steps;

pub use options::{Addresses, Options, Restart};
pub use outcome::{End, FailedExpectation, Outcome, StepMark};
pub use runner::{Engine, default_deadline};
pub use scratch::Scratch;
