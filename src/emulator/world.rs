//! coSpaces, calls and participants, and what changes them.
//!
//! Knows nothing of connections, subscriptions or HTTP. Every change of a call raises its revision, so that subscriptions
//! can tell in no time that nothing happened. `elements.rs` shows calls and participants as event elements,
//! `dialing.rs` carries out dials.

use std::collections::BTreeMap;

use chacha20::ChaCha8Rng;
use rand::RngExt as _;

use crate::time::Instant;

/// A permanent meeting space.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoSpace {
    /// Its GUID.
    pub id: String,
    /// Position in the order of creation.
    pub created: u64,
    /// Everything that was set, by canonical parameter name.
    pub parameters: BTreeMap<String, String>,
    /// The correlator of all its calls.
    pub correlator: String,
}

/// A conference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its GUID.
    pub id: String,
    /// Position in the order of creation.
    pub created: u64,
    /// When it began.
    pub started: Instant,
    /// Its name.
    pub name: String,
    /// The coSpace that it instantiates.
    pub co_space: Option<String>,
    /// Its correlator.
    pub correlator: String,
    /// `coSpace`, `adHoc`, `lyncConferencing` or `forwarding`.
    pub call_type: String,
    /// Whether it is locked.
    pub locked: bool,
    /// Whether it is recorded.
    pub recording: bool,
    /// Whether it is streamed.
    pub streaming: bool,
    /// Whether an endpoint records it.
    pub endpoint_recording: bool,
    /// Whether newcomers are muted, where it is set.
    pub join_audio_mute_override: Option<bool>,
    /// Whether it goes on without participants.
    pub active_when_empty: bool,
    /// Raised by every change of the call or of one of its participants.
    pub revision: u64,
    /// Its participants, in the order of their coming.
    pub participants: Vec<String>,
}

/// Where a participant stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signaling {
    /// Nothing has come back yet.
    Initial,
    /// The far end rings.
    Ringing,
    /// Connected.
    Connected,
    /// On hold.
    OnHold,
}

impl Signaling {
    /// All with their words.
    pub const WORDS: [(Self, &'static str); 4] = [
        (Self::Initial, "initial"),
        (Self::Ringing, "ringing"),
        (Self::Connected, "connected"),
        (Self::OnHold, "onHold"),
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(state, _)| *state == self).map_or("initial", |(_, word)| word)
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }
}

/// Somebody in a call, with the one call leg that the emulator gives everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Participant {
    /// The GUID.
    pub id: String,
    /// The GUID of the call leg.
    pub leg: String,
    /// Position in the order of creation.
    pub created: u64,
    /// When it was created.
    pub started: Instant,
    /// The call.
    pub call: String,
    /// The display name.
    pub name: String,
    /// The user part of the address.
    pub uri: String,
    /// The address that was dialled.
    pub remote_party: String,
    /// Where it stands.
    pub state: Signaling,
    /// Whether it dialled in.
    pub incoming: bool,
    /// Whether the server mutes the audio that it receives from it.
    pub audio_muted: bool,
    /// Whether the server mutes the video that it receives from it.
    pub video_muted: bool,
    /// Whether the server mutes the audio that it sends to it.
    pub tx_audio_muted: bool,
    /// Whether the server mutes the video that it sends to it.
    pub tx_video_muted: bool,
    /// Its importance, where it is set.
    pub importance: Option<u64>,
    /// The layout that it sees.
    pub layout: String,
    /// Whether it speaks.
    pub active_speaker: bool,
    /// Whether it presents.
    pub presenter: bool,
    /// Whether it records.
    pub endpoint_recording: bool,
    /// Whether it can be moved.
    pub can_move: bool,
    /// Whether it can be moved to the lobby.
    pub can_move_to_lobby: bool,
    /// The participant that it was moved from.
    pub moved_from: Option<String>,
    /// The Call Bridge that it was moved from.
    pub moved_from_bridge: Option<String>,
}

/// Everything that the API shows and events report.
#[derive(Debug)]
pub struct World {
    /// coSpaces by GUID.
    pub co_spaces: BTreeMap<String, CoSpace>,
    /// Calls by GUID.
    pub calls: BTreeMap<String, Call>,
    /// Participants by GUID.
    pub participants: BTreeMap<String, Participant>,
    /// Call legs by GUID, with their participants.
    pub legs: BTreeMap<String, String>,
    /// The GUID of the Call Bridge.
    pub bridge: String,
    /// Why those participants left that have left since changes were last reported.
    pub(super) reasons: BTreeMap<String, &'static str>,
    /// Raised by every change.
    pub(super) revision: u64,
    pub(super) legs_completed: u64,
    pub(super) most_legs: u64,
    created: u64,
    upper_case: bool,
    random: ChaCha8Rng,
}

impl World {
    /// An empty server.
    pub(super) fn new(mut random: ChaCha8Rng, upper_case: bool) -> Self {
        let bridge = guid(&mut random, upper_case);
        Self {
            co_spaces: BTreeMap::new(),
            calls: BTreeMap::new(),
            participants: BTreeMap::new(),
            legs: BTreeMap::new(),
            bridge,
            reasons: BTreeMap::new(),
            revision: 0,
            legs_completed: 0,
            most_legs: 0,
            created: 0,
            upper_case,
            random,
        }
    }

    /// A new GUID.
    pub(super) fn new_id(&mut self) -> String {
        guid(&mut self.random, self.upper_case)
    }

    /// A GUID as clients write it, in the letter case in which it is kept.
    pub fn canonical(&self, id: &str) -> String {
        if self.upper_case { id.to_ascii_uppercase() } else { id.to_ascii_lowercase() }
    }

    fn next_created(&mut self) -> u64 {
        self.created += 1;
        self.created
    }

    /// Creates a coSpace.
    pub(super) fn create_co_space(&mut self, parameters: BTreeMap<String, String>) -> String {
        let (id, correlator, created) = (self.new_id(), self.new_id(), self.next_created());
        self.co_spaces.insert(id.clone(), CoSpace { id: id.clone(), created, parameters, correlator });
        id
    }

    /// Removes a coSpace and ends its call. Whether there was one.
    pub(super) fn delete_co_space(&mut self, id: &str) -> bool {
        if self.co_spaces.remove(id).is_none() {
            return false;
        }
        if let Some(call) = self.call_of_co_space(id) {
            self.end_call(&call, "callEnded");
        }
        true
    }

    /// The call of a coSpace, if it is active.
    pub(super) fn call_of_co_space(&self, co_space: &str) -> Option<String> {
        self.calls.values().find(|call| call.co_space.as_deref() == Some(co_space)).map(|call| call.id.clone())
    }

    /// Starts a call, of a coSpace that exists or ad hoc.
    pub(super) fn start_call(&mut self, now: Instant, co_space: Option<&CoSpace>, name: Option<String>) -> String {
        let (id, created) = (self.new_id(), self.next_created());
        let correlator = co_space.map_or_else(|| self.new_id(), |space| space.correlator.clone());
        let inherited = co_space.and_then(|space| space.parameters.get("name").cloned());
        let call = Call {
            id: id.clone(),
            created,
            started: now,
            name: name.or(inherited).unwrap_or_default(),
            co_space: co_space.map(|space| space.id.clone()),
            correlator,
            call_type: if co_space.is_some() { "coSpace" } else { "adHoc" }.to_owned(),
            locked: false,
            recording: false,
            streaming: false,
            endpoint_recording: false,
            join_audio_mute_override: None,
            active_when_empty: true,
            revision: 0,
            participants: Vec::new(),
        };
        self.calls.insert(id.clone(), call);
        self.touch(&id);
        id
    }

    /// Ends a call: its participants leave with `reason`. Whether there was one.
    pub(super) fn end_call(&mut self, id: &str, reason: &'static str) -> bool {
        let Some(call) = self.calls.remove(id) else { return false };
        for participant in call.participants {
            self.forget(&participant, reason);
        }
        self.revision += 1;
        true
    }

    /// Brings somebody into a call that exists.
    pub(super) fn join(&mut self, now: Instant, call: &str, mut participant: Participant) -> String {
        let (id, leg) = (self.new_id(), self.new_id());
        participant.id.clone_from(&id);
        participant.leg.clone_from(&leg);
        participant.created = self.next_created();
        participant.started = now;
        participant.call = call.to_owned();
        self.legs.insert(leg, id.clone());
        self.participants.insert(id.clone(), participant);
        self.most_legs = self.most_legs.max(self.participants.len() as u64);
        if let Some(call) = self.calls.get_mut(call) {
            call.participants.push(id.clone());
        }
        self.touch(call);
        id
    }

    /// Takes somebody out of the call. Whether there was such a participant.
    pub(super) fn leave(&mut self, id: &str, reason: &'static str) -> bool {
        let Some(call) = self.forget(id, reason) else { return false };
        self.touch(&call);
        let ends = self.calls.get_mut(&call).is_some_and(|call| {
            call.participants.retain(|known| known != id);
            call.participants.is_empty() && !call.active_when_empty
        });
        if ends {
            self.end_call(&call, "callEnded");
        }
        true
    }

    fn forget(&mut self, id: &str, reason: &'static str) -> Option<String> {
        let gone = self.participants.remove(id)?;
        self.legs.remove(&gone.leg);
        self.legs_completed += 1;
        self.reasons.insert(gone.id, reason);
        Some(gone.call)
    }

    /// Notes that a call has changed.
    pub(super) fn touch(&mut self, call: &str) {
        self.revision += 1;
        if let Some(call) = self.calls.get_mut(call) {
            call.revision = self.revision;
        }
    }

    /// Changes a participant. Whether there was one.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Participant)) -> bool {
        let Some(participant) = self.participants.get_mut(id) else { return false };
        change(participant);
        let call = participant.call.clone();
        self.touch(&call);
        true
    }
}

fn guid(random: &mut ChaCha8Rng, upper_case: bool) -> String {
    let raw: u128 = random.random();
    let bits = raw & !(0xF << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let id = format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    if upper_case { id.to_ascii_uppercase() } else { id }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::protocol::events::names::is_guid;

    #[test]
    fn ids_are_guids_and_differ() {
        let mut world = World::new(ChaCha8Rng::seed_from_u64(1), true);
        let (a, b) = (world.new_id(), world.new_id());
        assert!(is_guid(&a) && is_guid(&b) && a != b);
        assert_eq!(world.canonical(&a.to_lowercase()), a);
        assert_eq!(&a[14..15], "4");
    }

    #[test]
    fn calls_of_a_co_space_share_a_correlator_and_ad_hoc_calls_do_not() {
        let mut world = World::new(ChaCha8Rng::seed_from_u64(1), false);
        let space = world.create_co_space(BTreeMap::new());
        let space = world.co_spaces[&space].clone();
        let first = world.start_call(Instant::ZERO, Some(&space), None);
        let correlator = world.calls[&first].correlator.clone();
        assert!(world.end_call(&first, "callEnded") && !world.end_call(&first, "callEnded"));
        let second = world.start_call(Instant::ZERO, Some(&space), None);
        assert_eq!(world.calls[&second].correlator, correlator);
        let (a, b) = (world.start_call(Instant::ZERO, None, None), world.start_call(Instant::ZERO, None, None));
        assert_ne!(world.calls[&a].correlator, world.calls[&b].correlator);
    }
}
