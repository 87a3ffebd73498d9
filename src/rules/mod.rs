//! The rules: pure judges of what was observed.
//!
//! In reading order: [`verdict`] (what judging needs and gives), [`registry`] (which requirement is judged where), [`judge`]
//! (the sink that takes observations), then what the rules know of the world: `api_view.rs` (what the API told),
//! `connection.rs`, `request.rs` and `book.rs` (what a client asked for), `upd.rs` (what it was told); then the rules by
//! area: `auth.rs`, `places.rs`, `ws.rs`, `msg.rs`, `sub.rs` with `overdue.rs`, `upd.rs` with `domain.rs`, `compare.rs` with `expected.rs`, and
//! `client.rs` for events clients; `cdr/` for senders of call detail records, `receivers.rs` for those who get them.
//!
//! Rules are total: they enter what they find in the docket and go on. Where a violation could be laid to several
//! requirements it is laid to one, the most specific that the trace supports; `connection::Control` says how.

pub mod judge;
pub mod registry;
pub mod verdict;

mod api_view;
mod auth;
mod book;
mod cdr;
mod client;
mod compare;
mod connection;
mod docket;
mod domain;
mod expected;
mod guid;
mod msg;
mod overdue;
mod places;
mod receivers;
mod request;
mod scene;
#[cfg(test)]
mod script;
mod server;
mod sub;
#[cfg(test)]
mod tests;
mod upd;
mod value;
mod ws;

pub use docket::KEPT;
pub use judge::Judge;
pub use registry::R;
pub use verdict::{Characteristic, Context, Deadlines, Finding, Judgement};
