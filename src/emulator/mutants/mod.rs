//! The faults on purpose: one entry per mutant, by the area of the requirement that it breaks.
//!
//! [`registry`] lists them and makes them by name; `fault` puts them together from small functions.

mod auth;
mod cdr_numbers;
mod cdr_receivers;
mod cdr_transport;
mod coincidences;
mod conversation;
mod elements;
mod fault;
mod limits;
mod messages;
mod pieces;
mod places;
mod rare;
mod record_fields;
mod records_content;
mod records_course;
pub mod registry;
mod subscriptions;
mod subtle;
mod updates;
mod values;
mod websocket;

pub use registry::{ALL, Registered, all, find, make};
