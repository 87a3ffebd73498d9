//! placeholder
use std::collections::BTreeSet;
/// One event connection.
#[derive(Debug, Default)]
pub struct Connection {
    outstanding: BTreeSet<u64>,
}
impl Connection {
    /// Whether a server message with that id is unacknowledged.
    pub fn is_outstanding(&self, id: u64) -> bool {
        self.outstanding.contains(&id)
    }
}
