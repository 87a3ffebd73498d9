//! coSpaces, calls and participants, and what changes them.
//!
//! Knows nothing of connections, subscriptions or HTTP. Every change of a call raises its revision, so that subscriptions
//! can tell in no time that nothing happened. `elements.rs` shows calls and participants as event elements,
//! `dialing.rs` carries out dials.

use std::collections::BTreeMap;

use chacha20::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use super::cdr::LegDetail;
use crate::time::Instant;

/// What separates the randomness of what only records show from that of everything else.
const ASIDE: u64 = 0x9E37_79B9_7F4A_7C15;

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
    /// The revision at which somebody came or left last.
    pub members: u64,
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
    /// The revision at its last change.
    pub revision: u64,
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
    /// What only call detail records and the API's call legs show.
    pub detail: LegDetail,
}

impl Participant {
    /// Somebody who is dialled, with nothing decided yet.
    pub(super) fn dialled(name: &str, remote_party: &str) -> Self {
        Self {
            id: String::new(),
            leg: String::new(),
            created: 0,
            started: Instant::ZERO,
            revision: 0,
            call: String::new(),
            name: name.to_owned(),
            uri: name.to_owned(),
            remote_party: remote_party.to_owned(),
            state: Signaling::Initial,
            incoming: false,
            audio_muted: false,
            video_muted: false,
            tx_audio_muted: false,
            tx_video_muted: false,
            importance: None,
            layout: "allEqual".to_owned(),
            active_speaker: false,
            presenter: false,
            endpoint_recording: false,
            can_move: true,
            can_move_to_lobby: false,
            moved_from: None,
            moved_from_bridge: None,
            detail: LegDetail::default(),
        }
    }
}

/// Something that happened in the world, for the records.
#[derive(Debug)]
pub(super) enum Happening {
    /// A call began.
    CallStarted(String),
    /// Something about a call or somebody in it may have changed.
    CallTouched(String),
    /// A call is over.
    CallEnded(Box<Call>),
    /// A call leg began: of a participant, or on its way to a call or the IVR.
    LegStarted(String),
    /// Something about a call leg may have changed.
    LegTouched(String),
    /// A call leg is over, for this reason.
    LegEnded(Box<Participant>, &'static str),
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
    /// Call legs by GUID that are in no call: on their way to one, or in the IVR.
    pub outside: BTreeMap<String, Participant>,
    /// The GUID of the Call Bridge.
    pub bridge: String,
    /// Why those participants left that have left since changes were last reported.
    pub(super) reasons: BTreeMap<String, &'static str>,
    /// Raised by every change.
    pub(super) revision: u64,
    /// The revision at which a call began or ended last.
    pub(super) calls_changed: u64,
    pub(super) legs_completed: u64,
    pub(super) most_legs: u64,
    /// What happened since records were last made.
    pub(super) journal: Vec<Happening>,
    created: u64,
    upper_case: bool,
    random: ChaCha8Rng,
    aside: ChaCha8Rng,
}

impl World {
    /// An empty server.
    pub(super) fn new(seed: u64, upper_case: bool) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let bridge = guid(&mut random, upper_case);
        Self {
            co_spaces: BTreeMap::new(),
            calls: BTreeMap::new(),
            participants: BTreeMap::new(),
            legs: BTreeMap::new(),
            outside: BTreeMap::new(),
            bridge,
            reasons: BTreeMap::new(),
            revision: 0,
            calls_changed: 0,
            legs_completed: 0,
            most_legs: 0,
            journal: Vec::new(),
            created: 0,
            upper_case,
            random,
            aside: ChaCha8Rng::seed_from_u64(seed ^ ASIDE),
        }
    }

    /// A new GUID of something that only records show. It comes from randomness of its own, so that all other GUIDs
    /// are the same with and without records.
    pub(super) fn new_id_aside(&mut self) -> String {
        guid(&mut self.aside, self.upper_case)
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
            members: 0,
            participants: Vec::new(),
        };
        self.calls.insert(id.clone(), call);
        self.journal.push(Happening::CallStarted(id.clone()));
        self.touch(&id);
        self.calls_changed = self.revision;
        id
    }

    /// Ends a call: its participants leave with `reason`. Whether there was one.
    pub(super) fn end_call(&mut self, id: &str, reason: &'static str) -> bool {
        let Some(call) = self.calls.remove(id) else { return false };
        for participant in &call.participants {
            self.forget(participant, reason);
        }
        self.journal.push(Happening::CallEnded(Box::new(call)));
        self.revision += 1;
        self.calls_changed = self.revision;
        true
    }

    /// Brings somebody into a call that exists.
    pub(super) fn join(&mut self, now: Instant, call: &str, mut participant: Participant) -> String {
        self.name(now, &mut participant);
        self.journal.push(Happening::LegStarted(participant.leg.clone()));
        self.place(call, participant)
    }

    /// Lets a call leg begin that is not in a call yet; gives its GUID.
    pub(super) fn arrive(&mut self, now: Instant, mut participant: Participant) -> String {
        self.name(now, &mut participant);
        let leg = participant.leg.clone();
        self.journal.push(Happening::LegStarted(leg.clone()));
        self.outside.insert(leg.clone(), participant);
        leg
    }

    /// Brings a leg that is in no call into one that exists. Whether there was such a leg.
    pub(super) fn enter(&mut self, leg: &str, call: &str) -> bool {
        let Some(mut participant) = self.outside.remove(leg) else { return false };
        participant.detail.in_ivr = false;
        self.journal.push(Happening::LegTouched(leg.to_owned()));
        self.place(call, participant);
        true
    }

    fn name(&mut self, now: Instant, participant: &mut Participant) {
        participant.id = self.new_id();
        participant.leg = self.new_id();
        participant.created = self.next_created();
        participant.started = now;
        participant.detail.sip_call_id = self.new_id_aside();
        if participant.detail.group_id.is_empty() {
            participant.detail.group_id = self.new_id_aside();
        }
    }

    fn place(&mut self, call: &str, mut participant: Participant) -> String {
        let id = participant.id.clone();
        participant.call = call.to_owned();
        self.legs.insert(participant.leg.clone(), id.clone());
        self.participants.insert(id.clone(), participant);
        self.most_legs = self.most_legs.max(self.participants.len() as u64);
        let members = self.revision + 1;
        if let Some(call) = self.calls.get_mut(call) {
            call.participants.push(id.clone());
            call.members = members;
        }
        self.touch(call);
        id
    }

    /// Takes somebody out of the call. Whether there was such a participant.
    pub(super) fn leave(&mut self, id: &str, reason: &'static str) -> bool {
        let Some(call) = self.forget(id, reason) else { return false };
        self.touch(&call);
        let members = self.revision;
        let ends = self.calls.get_mut(&call).is_some_and(|call| {
            call.participants.retain(|known| known != id);
            call.members = members;
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
        self.reasons.insert(gone.id.clone(), reason);
        let call = gone.call.clone();
        self.journal.push(Happening::LegEnded(Box::new(gone), reason));
        Some(call)
    }

    /// Ends a leg, in a call or outside. Whether there was one.
    pub(super) fn hang_up(&mut self, leg: &str, reason: &'static str) -> bool {
        if let Some(gone) = self.outside.remove(leg) {
            self.journal.push(Happening::LegEnded(Box::new(gone), reason));
            return true;
        }
        match self.legs.get(leg).cloned() {
            Some(participant) => self.leave(&participant, reason),
            None => false,
        }
    }

    /// The participant of a leg, in a call or outside.
    pub(super) fn owner_of(&self, leg: &str) -> Option<&Participant> {
        self.outside.get(leg).or_else(|| self.participants.get(self.legs.get(leg)?))
    }

    /// Changes the participant of a leg, in a call or outside. Whether there was one.
    pub(super) fn change_leg(&mut self, leg: &str, change: impl FnOnce(&mut Participant)) -> bool {
        if let Some(participant) = self.outside.get_mut(leg) {
            change(participant);
            self.journal.push(Happening::LegTouched(leg.to_owned()));
            return true;
        }
        match self.legs.get(leg).cloned() {
            Some(participant) => self.change(&participant, change),
            None => false,
        }
    }

    /// Loses everything that a restart loses; coSpaces stay.
    pub(super) fn restart(&mut self) {
        self.calls.clear();
        self.participants.clear();
        self.legs.clear();
        self.outside.clear();
        self.reasons.clear();
        self.journal.clear();
        self.legs_completed = 0;
        self.most_legs = 0;
        self.revision += 1;
        self.calls_changed = self.revision;
    }

    /// Notes that a call has changed.
    pub(super) fn touch(&mut self, call: &str) {
        self.revision += 1;
        self.journal.push(Happening::CallTouched(call.to_owned()));
        if let Some(call) = self.calls.get_mut(call) {
            call.revision = self.revision;
        }
    }

    /// Changes a participant. Whether there was one.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Participant)) -> bool {
        let Some(participant) = self.participants.get_mut(id) else { return false };
        change(participant);
        participant.revision = self.revision + 1;
        let call = participant.call.clone();
        self.journal.push(Happening::LegTouched(participant.leg.clone()));
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
    use super::*;
    use crate::protocol::events::names::is_guid;

    #[test]
    fn ids_are_guids_and_differ() {
        let mut world = World::new(1, true);
        let (a, b) = (world.new_id(), world.new_id());
        assert!(is_guid(&a) && is_guid(&b) && a != b);
        assert_eq!(world.canonical(&a.to_lowercase()), a);
        assert_eq!(&a[14..15], "4");
    }

    #[test]
    fn calls_of_a_co_space_share_a_correlator_and_ad_hoc_calls_do_not() {
        let mut world = World::new(1, false);
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
