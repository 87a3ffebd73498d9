//! The scenario engine: carries out one scenario, sans-IO, over whatever driver there is.
//!
//! [`driver`] is the contract between the engine and its drivers.

pub mod driver;
