//! Everything about a scenario that can be known before it runs.
//!
//! [`check`] reports all errors. `scenario` looks at the whole, `steps`, `client_steps` and `receiver_steps` at each step with what it
//! refers to, `load` at a load, `names` knows which names have a value where, and `wire` tells input that the guides allow from input that
//! only `probing` may send.

mod client_steps;
mod load;
mod names;
mod receiver_steps;
mod scenario;
mod steps;
mod wire;

#[cfg(test)]
mod tests;

pub(super) use load::{HIGHEST_RATE, LONGEST};
pub use scenario::{check, check_plan};
