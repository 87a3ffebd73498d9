//! The words of call detail records as they stand on the wire (CDR guide, section 3 table 1 and section 4).

/// Room for the words of one list and, so that searches are short, three times as much.
const SLOTS: usize = 256;

/// A slot without a word: more than the longest list has.
const EMPTY: u8 = u8::MAX;

/// Tells words apart by their length and three of their letters.
const fn hash(word: &[u8]) -> usize {
    if word.is_empty() {
        return 0;
    }
    let (first, middle, last) = (word[0] as usize, word[word.len() / 2] as usize, word[word.len() - 1] as usize);
    (word.len() * 37 + first * 11 + middle * 5 + last * 3) % SLOTS
}

/// Puts each word into the first free slot from its hash on.
const fn slots(words: &[&str]) -> [u8; SLOTS] {
    let mut slots = [EMPTY; SLOTS];
    let mut index = 0;
    while index < words.len() {
        let mut slot = hash(words[index].as_bytes());
        while slots[slot] != EMPTY {
            slot = (slot + 1) % SLOTS;
        }
        slots[slot] = index as u8;
        index += 1;
    }
    slots
}

/// Declares an enumeration whose variants are words.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$doc])* $variant),+ }

        impl $name {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word on the wire.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            const WORDS: &'static [&'static str] = &[$($word),+];

            /// Where in the list a word stands, by its hash.
            const SLOTS: [u8; SLOTS] = slots(Self::WORDS);

            /// The one with this word, in exactly this spelling.
            pub fn from_name(word: &str) -> Option<Self> {
                let mut slot = hash(word.as_bytes());
                loop {
                    let index = usize::from(Self::SLOTS[slot]);
                    if *Self::WORDS.get(index)? == word {
                        return Self::ALL.get(index).copied();
                    }
                    slot = (slot + 1) % SLOTS;
                }
            }
        }
    };
}

words! {
    /// The type of a record.
    RecordType {
        /// A call begins.
        CallStart = "callStart",
        /// A call is over.
        CallEnd = "callEnd",
        /// A call leg begins.
        CallLegStart = "callLegStart",
        /// A call leg is over.
        CallLegEnd = "callLegEnd",
        /// Something about a call leg has changed.
        CallLegUpdate = "callLegUpdate",
        /// A recording begins.
        RecordingStart = "recordingStart",
        /// A recording is over.
        RecordingEnd = "recordingEnd",
        /// A stream begins.
        StreamingStart = "streamingStart",
        /// A stream is over.
        StreamingEnd = "streamingEnd",
    }
}

words! {
    /// The element that a record holds.
    Subject {
        /// A call.
        Call = "call",
        /// A call leg.
        CallLeg = "callLeg",
        /// A recording.
        Recording = "recording",
        /// A stream.
        Streaming = "streaming",
    }
}

impl RecordType {
    /// The element that records of this type hold.
    pub const fn subject(self) -> Subject {
        match self {
            Self::CallStart | Self::CallEnd => Subject::Call,
            Self::CallLegStart | Self::CallLegEnd | Self::CallLegUpdate => Subject::CallLeg,
            Self::RecordingStart | Self::RecordingEnd => Subject::Recording,
            Self::StreamingStart | Self::StreamingEnd => Subject::Streaming,
        }
    }
}

words! {
    /// A field of a record, or a part of one.
    #[expect(missing_docs, reason = "the catalogue of records has the meaning of each")]
    FieldName {
        ActivatedDuration = "activatedDuration",
        Alarm = "alarm",
        Call = "call",
        CallCorrelator = "callCorrelator",
        CallLeg = "callLeg",
        CallLegsCompleted = "callLegsCompleted",
        CallLegsMaxActive = "callLegsMaxActive",
        CallType = "callType",
        CanMove = "canMove",
        CdrTag = "cdrTag",
        CoSpace = "coSpace",
        CoSpaceMetaDataConfigured = "coSpaceMetaDataConfigured",
        Codec = "codec",
        ConfirmationStatus = "confirmationStatus",
        Deactivated = "deactivated",
        Density = "density",
        Direction = "direction",
        DisplayName = "displayName",
        Duration = "duration",
        DurationSeconds = "durationSeconds",
        EncryptedMedia = "encryptedMedia",
        EndpointRecorded = "endpointRecorded",
        GroupId = "groupId",
        GuestConnection = "guestConnection",
        Ivr = "ivr",
        LocalAddress = "localAddress",
        LyncSubType = "lyncSubType",
        MainVideoContributor = "mainVideoContributor",
        MainVideoViewer = "mainVideoViewer",
        MaxScreens = "maxScreens",
        MaxSizeHeight = "maxSizeHeight",
        MaxSizeWidth = "maxSizeWidth",
        MediaUsagePercentages = "mediaUsagePercentages",
        MovedCallLeg = "movedCallLeg",
        MovedCallLegCallBridge = "movedCallLegCallBridge",
        MultistreamVideo = "multistreamVideo",
        Name = "name",
        OwnerId = "ownerId",
        OwnerName = "ownerName",
        PacketGap = "packetGap",
        PacketLossBursts = "packetLossBursts",
        PacketStatistics = "packetStatistics",
        Path = "path",
        PresentationContributor = "presentationContributor",
        PresentationViewer = "presentationViewer",
        Reason = "reason",
        ReasonDetails = "reasonDetails",
        RecorderUri = "recorderUri",
        Recording = "recording",
        RemoteAddress = "remoteAddress",
        RemoteParty = "remoteParty",
        RemoteTeardown = "remoteTeardown",
        ReplacesSipCallId = "replacesSipCallId",
        RxAudio = "rxAudio",
        RxVideo = "rxVideo",
        SipCallId = "sipCallId",
        State = "state",
        StreamerUri = "streamerUri",
        Streaming = "streaming",
        SubType = "subType",
        Tenant = "tenant",
        TxAudio = "txAudio",
        TxVideo = "txVideo",
        Type = "type",
        UnencryptedMedia = "unencryptedMedia",
    }
}

impl FieldName {
    /// The field that an element of this name is. One name has two casings in documents and clients: either is it.
    pub fn of_element(name: &str) -> Option<Self> {
        Self::from_name(name).or_else(|| (name == "multiStreamVideo").then_some(Self::MultistreamVideo))
    }
}

/// The root element.
pub const RECORDS: &str = "records";

/// The element of one record.
pub const RECORD: &str = "record";

/// The two spellings of the attribute that counts discarded records: the present guide's, and the one of older guides
/// and of other readers.
pub const MISSING: [&str; 2] = ["numPrecedingRecordsMissing", "numPreceedingRecordsMissing"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_go_both_ways() {
        for kind in RecordType::ALL {
            assert_eq!(RecordType::from_name(kind.as_str()), Some(*kind));
        }
        for name in FieldName::ALL {
            assert_eq!(FieldName::from_name(name.as_str()), Some(*name));
        }
        assert_eq!(RecordType::from_name("CallStart"), None);
        assert_eq!(FieldName::of_element("multiStreamVideo"), FieldName::of_element("multistreamVideo"));
        assert_eq!(FieldName::from_name(""), None);
        assert_eq!(RecordType::StreamingEnd.subject().as_str(), "streaming");
    }
}
