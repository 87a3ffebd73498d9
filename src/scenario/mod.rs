//! The scenario language: YAML files that network engineers write and read.
//!
//! [`syntax`] is the language: types with spans that serde fills and the JSON Schema ([`schema`]) is made from.
//! [`parse`] reads a file, [`check`] finds everything that is wrong with it before a run, [`diagnostic`] shows that.
//! [`template`] is the `${...}` in texts, [`need`] what a scenario may need of its target, [`library`] the shipped
//! scenarios and the choice of some of them, [`overrides`] what is typed that outweighs what a load says.

pub mod check;
pub mod diagnostic;
pub mod library;
pub mod need;
pub mod overrides;
pub mod parse;
pub mod schema;
pub mod syntax;
pub mod template;

mod shipped;
pub mod suggest;

pub use diagnostic::{ScenarioError, render};
pub use library::{SelectError, Source};
pub use need::Need;
pub use overrides::Overrides;
pub use parse::{read, read_plan};
