//! The lives of calls, call legs, recordings and streams.

/// What is known of one session.
#[derive(Debug, Default)]
pub(super) struct History;
