//! The REST documents of the Meeting Server API, as far as events and call detail records need them (wire-facts part 5).
//!
//! [`xml`] reads and writes the answers; forms go through `form_urlencoded`. Paths and names are in [`names`].

pub mod names;
pub mod xml;
