//! Everything about a scenario that can be known before it runs.
//!
//! [`check`] reports all errors. `scenario` looks at the whole, `steps` and `client_steps` at each step with what it
//! refers to, `names` knows which names have a value where, and `wire` tells input that the guides allow from input that
//! only `probing` may send.

mod client_steps;
mod names;
mod scenario;
mod steps;
mod wire;

#[cfg(test)]
mod tests;

pub use scenario::check;
