//! The scenario language: YAML files that network engineers write and read.
//!
//! [`syntax`] is the language: types with spans that serde fills and the JSON Schema is made from.

pub mod syntax;
pub mod template;
