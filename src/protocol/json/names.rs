//! Names of members that are known beforehand: those of event messages. Each has a number, which is found out once, when a
//! text is read; who looks for a member compares numbers.

/// The names; 0 stands for all others.
const KNOWN: [&str; 37] = [
    // The envelope, requests and entries (EVENTS 4 and 5).
    "type",
    "message",
    "messageAck",
    "messageId",
    "status",
    "subscriptionIndex",
    "subscriptions",
    "index",
    "call",
    "elements",
    "state",
    "updates",
    "updateType",
    "participant",
    "callInfo",
    // Elements (EVENTS 2.1 to 2.3); `state` is one as well.
    "name",
    "participants",
    "distributedInstances",
    "recording",
    "endpointRecording",
    "streaming",
    "lockState",
    "callType",
    "callCorrelator",
    "joinAudioMuteOverride",
    "uri",
    "direction",
    "audioMuted",
    "videoMuted",
    "importance",
    "layout",
    "activeSpeaker",
    "presenter",
    "canMove",
    "canMoveToLobby",
    "movedParticipant",
    "movedParticipantCallBridge",
];

/// How many names have a number, 0 included.
pub const NAMES: usize = KNOWN.len() + 1;

/// A name that is known beforehand, or any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Name(u8);

/// Numbers of names by hash; a name whose place is taken stands in the next one that is free.
const PLACES: [u8; 256] = {
    let mut places = [0; 256];
    let mut number = 1;
    while number < NAMES {
        let mut place = hash(KNOWN[number - 1].as_bytes());
        while places[place] != 0 {
            place = (place + 1) % places.len();
        }
        places[place] = number as u8;
        number += 1;
    }
    places
};

/// Tells most names apart by their length and three of their bytes.
#[inline]
const fn hash(name: &[u8]) -> usize {
    let length = name.len();
    if length == 0 {
        return 0;
    }
    let told = u32::from_le_bytes([length as u8, name[0], name[length / 2], name[length - 1]]);
    (told.wrapping_mul(0x9E37_79B9) >> 24) as usize
}

impl Name {
    /// Any name that is not known beforehand, and none at all.
    pub const OTHER: Self = Self(0);

    /// The number of this name.
    #[inline]
    pub fn of(name: &str) -> Self {
        let mut place = hash(name.as_bytes());
        loop {
            match PLACES[place] {
                0 => return Self::OTHER,
                number if KNOWN[usize::from(number) - 1] == name => return Self(number),
                _ => place = (place + 1) % PLACES.len(),
            }
        }
    }

    /// The number of a name that is one of those: for constants.
    ///
    /// # Panics
    /// If it is not one of those.
    pub const fn known(name: &str) -> Self {
        let mut number = 1;
        while number < NAMES {
            if are_same(KNOWN[number - 1].as_bytes(), name.as_bytes()) {
                return Self(number as u8);
            }
            number += 1;
        }
        panic!("the name is not listed")
    }

    /// The name; empty for any that is not known beforehand.
    pub const fn as_str(self) -> &'static str {
        if self.0 == 0 { "" } else { KNOWN[self.0 as usize - 1] }
    }

    /// The number, below [`NAMES`]; 0 for any name that is not known beforehand.
    #[inline]
    pub const fn number(self) -> usize {
        self.0 as usize
    }
}

const fn are_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut place = 0;
    while place < one.len() {
        if one[place] != other[place] {
            return false;
        }
        place += 1;
    }
    true
}

/// Names to look for at once.
#[derive(Debug)]
pub struct Names<const N: usize> {
    /// By number of a name: which of those it is, counted from 1.
    wanted: [u8; NAMES],
}

impl<const N: usize> Names<N> {
    /// These names.
    ///
    /// # Panics
    /// If one is not known beforehand.
    pub const fn new(names: [&str; N]) -> Self {
        let mut wanted = [0; NAMES];
        let mut place = 0;
        while place < N {
            wanted[Name::known(names[place]).number()] = place as u8 + 1;
            place += 1;
        }
        Self { wanted }
    }

    /// At which place a name is wanted.
    #[inline]
    pub(super) const fn place(&self, name: Name) -> Option<usize> {
        match self.wanted[name.number()] {
            0 => None,
            place => Some(place as usize - 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_a_number_of_its_own() {
        for (place, name) in KNOWN.iter().enumerate() {
            assert_eq!(Name::of(name).number(), place + 1, "{name}");
            assert_eq!((Name::known(name), Name::of(name).as_str()), (Name::of(name), *name));
            for other in [&name[1..], &format!("{name}s"), &name.to_uppercase()] {
                assert!(KNOWN.contains(&other) || Name::of(other) == Name::OTHER, "{other}");
            }
        }
        assert_eq!(Name::of(""), Name::OTHER);
    }
}
