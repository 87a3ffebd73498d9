//! The catalogue as data: what the guides require, the elements of the event resources, the fields of records.
//!
//! The tables are the TOML files beside this one, read once. [`requirements`] has the requirements, [`elements`] the
//! subscribable elements with their domains, [`records`] the fields of call detail records with what they may hold,
//! [`version`] the releases they apply to.

pub mod elements;
pub mod records;
pub mod requirements;
pub mod version;

pub use elements::{Domain, Element};
pub use records::{RecordField, Shape};
pub use requirements::{Level, Requirement, RequirementId, Subject};
pub use version::Version;
