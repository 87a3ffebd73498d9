//! The faults on purpose: one entry per mutant, by the area of the requirement that it breaks.

mod registry;

pub use registry::{ALL, Registered, find, make};
