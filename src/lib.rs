//! bridgeproof: protocol conformance and load testing for Cisco Meeting Server.
//!
//! In reading order: [`protocol`] (wire types and codecs), [`spec`] (the catalogue of requirements), [`trace`] (what can
//! be observed), [`rules`] (pure judges of the trace), [`scenario`] (the language), [`engine`] (carries scenarios out,
//! sans-IO), [`emulator`] (what it is tried on), [`simulation`] and [`net`] (the two drivers), [`load`] (latencies),
//! [`client_load`] (a load on what connects to the emulator),
//! [`report`]; [`run`] joins them.
//! Start with [`trace::Observation`], which everything meets in, and [`engine::driver`], the contract with the outside.
//! `docs/ARCHITECTURE.md` tells why it is so.

pub mod check;
pub mod cli;
pub mod client_load;
pub mod config;
pub mod emulator;
pub mod engine;
pub mod exit;
pub mod load;
pub mod net;
pub mod protocol;
pub mod prove;
pub mod receive;
pub mod report;
pub mod rules;
pub mod run;
pub mod scenario;
pub mod serve;
pub mod simulation;
pub mod spec;
pub mod time;
pub mod trace;
pub mod traceability;
