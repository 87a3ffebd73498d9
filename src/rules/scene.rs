//! The scene: what every rule may look at and write to while one observation is judged.

use std::collections::BTreeSet;

use super::api_view::ApiView;
use super::connection::Control;
use super::docket::Docket;
use super::request::Mask;
use super::upd::Correlators;
use super::verdict::Deadlines;
use crate::spec::Version;
use crate::time::Instant;
use crate::trace::{ConnectionId, Seq};

/// How the general requirements fared so far, see [`Control`].
#[derive(Debug, Default)]
pub(super) struct Controls {
    /// Acks of requests (MSG-03).
    pub(super) acks: Control,
    /// Their status (MSG-04).
    pub(super) grants: Control,
    /// Final states (SUB-06).
    pub(super) settles: Control,
    /// First notifications by `add` (UPD-03, UPD-19).
    pub(super) adds: Control,
    /// Agreement with the API (UPD-14).
    pub(super) agreement: Control,
    /// The report of what one request leaves out, with no other under way (SUB-07).
    pub(super) ends: Control,
    /// Elements of rosters that were asked for in requests that were granted.
    pub(super) granted_roster_elements: Mask,
}

/// A deactivation of a call's subscription that has no known cause: index, where, when, whether it was active.
pub(super) type Suspect = (u64, Seq, Instant, bool);

/// One observation being judged.
pub(super) struct Scene<'s> {
    pub(super) at: Instant,
    pub(super) seq: Seq,
    pub(super) version: Version,
    pub(super) clustered: Option<bool>,
    pub(super) deadlines: Deadlines,
    pub(super) api: &'s mut ApiView,
    pub(super) docket: &'s mut Docket,
    pub(super) controls: &'s mut Controls,
    pub(super) correlators: &'s mut Correlators,
    /// Indexes that connections had which are gone.
    pub(super) earlier_indexes: &'s BTreeSet<u64>,
    /// Active subscriptions to conferences that nothing has shown: connection, index, where it became active.
    pub(super) strangers: &'s mut Vec<(ConnectionId, u64, Seq)>,
    /// Whether more than one connection is open, so that their views can be compared.
    pub(super) several_clients: bool,
    pub(super) suspects: &'s mut Vec<(ConnectionId, Suspect)>,
}
