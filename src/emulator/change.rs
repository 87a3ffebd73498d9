//! What a load makes happen in the emulated server, and what it is told of how that is taken.
//!
//! A [`Change`] is an input like any other, but for that it comes from no peer. A [`Cause`] goes with it through queue and
//! window into the messages that tell of it, and [`Note`]s say when these leave and are acknowledged; with records it is
//! the same, by their `correlatorIndex`. Notes are taken only where somebody wants them ([`super::MeetingServer::take_notes`]).

use std::ops::Range;
use std::sync::Arc;

use super::cdr::ReceiverKey;
use super::connection::Waiting;
use super::core::Core;
use super::typed::ConnectionKey;
use super::world::{Participant, Signaling};
use crate::time::Instant;

/// The layouts that are chosen in turn.
const LAYOUTS: [&str; 4] = ["allEqual", "speakerOnly", "stacked", "telepresence"];

/// How many causes wait at most on a connection that is too far behind to be told.
const MOST_CAUSES: usize = 100_000;

/// Something that happens to calls and participants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A call begins, with so many participants.
    StartCall {
        /// Its name.
        name: String,
        /// How many are in it from the beginning.
        participants: u32,
    },
    /// A call ends.
    EndCall {
        /// Its GUID.
        call: String,
    },
    /// Somebody joins a call.
    Join {
        /// The GUID of the call.
        call: String,
        /// The display name.
        name: String,
    },
    /// Somebody leaves.
    Leave {
        /// The GUID of the participant.
        participant: String,
    },
    /// A participant is muted, or is so no longer.
    Mute {
        /// The GUID of the participant.
        participant: String,
    },
    /// A participant gets another layout.
    Layout {
        /// The GUID of the participant.
        participant: String,
    },
    /// A call is locked, or is so no longer.
    Lock {
        /// The GUID of the call.
        call: String,
    },
    /// The recording of a call begins or ends.
    Record {
        /// The GUID of the call.
        call: String,
    },
    /// A caller arrives, on the way to no call: one record, and no event.
    Arrive {
        /// The display name.
        name: String,
    },
    /// A caller who arrived is connected: one record, and no event.
    Connect {
        /// The GUID of the call leg.
        leg: String,
    },
    /// A caller who arrived hangs up: one record, and no event.
    HangUp {
        /// The GUID of the call leg.
        leg: String,
    },
}

impl Change {
    /// The GUID of what it happens to, as updates name it.
    fn subject(&self) -> Option<&str> {
        match self {
            Self::StartCall { .. } | Self::Arrive { .. } => None,
            Self::EndCall { call } | Self::Join { call, .. } | Self::Lock { call } | Self::Record { call } => {
                Some(call)
            }
            Self::Leave { participant } | Self::Mute { participant } | Self::Layout { participant } => {
                Some(participant)
            }
            Self::Connect { leg } | Self::HangUp { leg } => Some(leg),
        }
    }
}

/// What a message is sent because of: something that was scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause(pub u64);

/// What a change has brought about at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The GUID of what began: a call, a participant or a call leg.
    pub made: Option<String>,
    /// The `correlatorIndex` of the records that were made.
    pub records: Range<u64>,
}

/// What became of what was caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A message left that tells of these causes.
    Told {
        /// Where to.
        connection: ConnectionKey,
        /// Its messageId.
        id: u64,
        /// What it tells of.
        causes: Vec<Cause>,
    },
    /// A message was acknowledged.
    Acked {
        /// By whom.
        connection: ConnectionKey,
        /// Its messageId.
        id: u64,
        /// Whether with the status `success`.
        good: bool,
    },
    /// Nothing is left to be told: it was undone before it could be told, or the client wants it no longer.
    Void {
        /// Who would have been told.
        connection: ConnectionKey,
        /// Of what.
        causes: Vec<Cause>,
        /// Whether it was the client that wants it no longer.
        by_client: bool,
    },
    /// A connection is gone, with what waited to be told on it.
    Lost {
        /// Which one.
        connection: ConnectionKey,
        /// What waited.
        causes: Vec<Cause>,
    },
    /// Subscriptions of some connection are others than before, or there is another connection.
    Audience,
    /// A set left with these records.
    Posted {
        /// Whom it goes to.
        receiver: ReceiverKey,
        /// The `correlatorIndex` of each record.
        records: Vec<u64>,
    },
    /// A set was answered.
    Answered {
        /// By whom.
        receiver: ReceiverKey,
        /// The `correlatorIndex` of each record.
        records: Vec<u64>,
        /// With what.
        status: u16,
        /// Whether that acknowledges it.
        good: bool,
    },
    /// A set got no answer: the connection could not be opened, has ended, or was given up.
    Unanswered {
        /// By whom.
        receiver: ReceiverKey,
        /// The `correlatorIndex` of each record.
        records: Vec<u64>,
    },
}

impl Core {
    /// Takes a note, where notes are taken.
    pub(super) fn note(&mut self, note: impl FnOnce() -> Note) {
        if let Some(notes) = &mut self.notes {
            notes.push_back(note());
        }
    }

    /// Makes something happen, of which these connections have to be told.
    pub(super) fn change(
        &mut self,
        now: Instant,
        change: &Change,
        cause: Option<Cause>,
        told: &[ConnectionKey],
    ) -> Changed {
        self.now = self.now.max(now);
        let first = self.cdr.next;
        // Of whoever leaves it is known only before in which call that was.
        let call = self.call_of(change);
        let made = self.apply(change);
        if let Some(cause) = cause {
            let about: Arc<[String]> =
                change.subject().map(str::to_owned).into_iter().chain(made.clone()).chain(call).collect();
            for key in told {
                if let Some(connection) = self.connections.get_mut(key).filter(|known| known.causes.len() < MOST_CAUSES)
                {
                    connection.causes.push(Waiting { cause, about: Arc::clone(&about) });
                }
            }
        }
        self.make_records();
        self.report_changes();
        Changed { made, records: first..self.cdr.next }
    }

    /// The call whose number of participants changes.
    fn call_of(&self, change: &Change) -> Option<String> {
        match change {
            Change::Leave { participant } => Some(self.world.participants.get(participant)?.call.clone()),
            _ => None,
        }
    }

    fn apply(&mut self, change: &Change) -> Option<String> {
        let now = self.now;
        match change {
            Change::StartCall { name, participants } => {
                let call = self.world.start_call(now, None, Some(name.clone()));
                for number in 1..=*participants {
                    self.world.join(now, &call, somebody(&format!("{name} {number}")));
                }
                return Some(call);
            }
            Change::EndCall { call } => drop(self.world.end_call(call, "callEnded")),
            Change::Join { call, name } if self.world.calls.contains_key(call) => {
                return Some(self.world.join(now, call, somebody(name)));
            }
            Change::Join { .. } => {}
            Change::Leave { participant } => drop(self.world.leave(participant, "remoteTeardown")),
            Change::Mute { participant } => {
                self.world.change(participant, |who| who.audio_muted = !who.audio_muted);
            }
            Change::Layout { participant } => {
                self.world.change(participant, |who| next_layout(&mut who.layout));
            }
            Change::Lock { call } => self.change_call(call, |call| call.locked = !call.locked),
            Change::Record { call } => self.change_call(call, |call| call.recording = !call.recording),
            Change::Arrive { name } => {
                let mut caller = somebody(name);
                (caller.state, caller.incoming) = (Signaling::Initial, true);
                return Some(self.world.arrive(now, caller));
            }
            Change::Connect { leg } => {
                self.world.change_leg(leg, |who| who.state = Signaling::Connected);
            }
            Change::HangUp { leg } => drop(self.world.hang_up(leg, "remoteTeardown")),
        }
        None
    }

    fn change_call(&mut self, call: &str, change: impl FnOnce(&mut super::world::Call)) {
        if let Some(known) = self.world.calls.get_mut(call) {
            change(known);
            self.world.touch(call);
        }
    }
}

/// Somebody who is connected.
fn somebody(name: &str) -> Participant {
    let address = format!("{}@example.com", name.replace(' ', "-").to_lowercase());
    Participant { state: Signaling::Connected, uri: address.clone(), ..Participant::dialled(name, &address) }
}

fn next_layout(layout: &mut String) {
    let place = LAYOUTS.iter().position(|known| known == layout).map_or(0, |place| (place + 1) % LAYOUTS.len());
    LAYOUTS[place].clone_into(layout);
}
