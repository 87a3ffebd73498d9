//! The rules: pure judges of what was observed.
//!
//! [`verdict`] has what they give: findings, counts of how often each requirement was put to the test, characteristics.

pub mod verdict;

pub use verdict::{Characteristic, Context, Deadlines, Finding, Judgement};
