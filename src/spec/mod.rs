//! The catalogue as data: what the guides require, and the elements of the event resources.
//!
//! The tables are the TOML files beside this one, read once. [`requirements`] has the requirements, [`elements`] the
//! subscribable elements with their domains, [`version`] the releases they apply to.

pub mod elements;
pub mod requirements;
pub mod version;

pub use elements::{Domain, Element};
pub use requirements::{Level, Requirement, RequirementId, Subject};
pub use version::Version;
