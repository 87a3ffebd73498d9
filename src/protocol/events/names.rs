//! The words of the events interface: resources, message types, states and kinds of update.

use std::fmt;

use crate::protocol::json::Name;

/// Implements the mapping between an enumeration and its words on the wire.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$item_doc:meta])* $item:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$item_doc])* $item),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$item),+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$item => $word),+ }
            }

            /// The one with this word, exactly as spelt.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$item),)+ _ => None }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// A subscribable event resource (EVENTS 2.0.1).
    Resource {
        /// One conference.
        CallInfo = "callInfo",
        /// The participants of one conference.
        CallRoster = "callRoster",
        /// All active conferences.
        Calls = "calls",
    }
}

impl Resource {
    /// Whether a subscription to it must name a call.
    pub const fn needs_call(self) -> bool {
        !matches!(self, Self::Calls)
    }

    /// The type of the messages that carry its updates (wire-facts part 3).
    pub const fn update_type(self) -> MessageType {
        match self {
            Self::CallInfo => MessageType::CallInfoUpdate,
            Self::CallRoster => MessageType::RosterUpdate,
            Self::Calls => MessageType::CallListUpdate,
        }
    }

    /// The field that identifies an entry of its updates; `callInfo` has none.
    pub const fn entry_key(self) -> Option<Name> {
        const CALL: Name = Name::known("call");
        const PARTICIPANT: Name = Name::known("participant");
        match self {
            Self::CallInfo => None,
            Self::CallRoster => Some(PARTICIPANT),
            Self::Calls => Some(CALL),
        }
    }
}

words! {
    /// The type of a message inside the `message` envelope.
    MessageType {
        /// Client: the complete set of subscriptions wanted.
        SubscribeRequest = "subscribeRequest",
        /// Server: states of subscriptions.
        SubscriptionUpdate = "subscriptionUpdate",
        /// Server: updates of `calls`.
        CallListUpdate = "callListUpdate",
        /// Server: updates of `callInfo`.
        CallInfoUpdate = "callInfoUpdate",
        /// Server: updates of `callRoster`.
        RosterUpdate = "rosterUpdate",
    }
}

impl MessageType {
    /// The resource whose updates have this type.
    pub fn resource(self) -> Option<Resource> {
        Resource::ALL.iter().copied().find(|resource| resource.update_type() == self)
    }
}

words! {
    /// The state of a subscription (EVENTS 1.1.1).
    State {
        /// Being set up.
        Pending = "pending",
        /// Set up: updates follow.
        Active = "active",
        /// Ended, or never set up.
        Deactivated = "deactivated",
    }
}

words! {
    /// What an entry of an update reports (EVENTS 5.0.1 steps 7 and 8; `remove`: wire-facts 3.3).
    UpdateType {
        /// First notice.
        Add = "add",
        /// A change.
        Update = "update",
        /// The end.
        Remove = "remove",
    }
}

/// The status of an ack that grants (EVENTS 5.0.1 step 2), the only one that is documented.
pub const SUCCESS: &str = "success";

/// Whether a text has the form of a GUID: 8-4-4-4-12 hexadecimal digits.
pub fn is_guid(text: &str) -> bool {
    /// What each byte may be: 1 for a digit, 2 for a hyphen.
    const KINDS: [u8; 256] = {
        let mut kinds = [0; 256];
        let mut byte = 0_u8;
        while byte < 128 {
            kinds[byte as usize] = if byte.is_ascii_hexdigit() { 1 } else { 0 };
            byte += 1;
        }
        kinds[b'-' as usize] = 2;
        kinds
    };
    let Ok(bytes) = <&[u8; 36]>::try_from(text.as_bytes()) else { return false };
    // Without a branch for each byte: every update of a load run has some.
    let fits = |at: usize| KINDS[bytes[at] as usize] == if matches!(at, 8 | 13 | 18 | 23) { 2 } else { 1 };
    (0..36).fold(true, |all, at| all & fits(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        for resource in Resource::ALL {
            assert_eq!(Resource::from_word(resource.as_str()), Some(*resource));
            assert_eq!(resource.update_type().resource(), Some(*resource));
        }
        assert_eq!(State::from_word("Active"), None);
    }

    #[test]
    fn a_guid_has_hyphens_where_they_belong() {
        assert!(is_guid("97c771ae-fc2e-4257-b129-30ee818e034b"));
        assert!(is_guid("97C771AE-FC2E-4257-B129-30EE818E034B"));
        assert!(!is_guid("97c771aefc2e4257b12930ee818e034b"));
        assert!(!is_guid("97c771ae-fc2e-4257-b129-30ee818e034g"));
        assert!(!is_guid("97c771ae-fc2e-4257-b129-30ee818e0ä4"));
    }
}
