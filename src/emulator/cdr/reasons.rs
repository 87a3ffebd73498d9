//! Why legs end, and which side each reason says has ended them (CDR guide, section 5).

/// A reason of the guide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::emulator) struct Reason {
    /// The word on the wire.
    pub(in crate::emulator) word: &'static str,
    /// Whether the far end has ended the leg; `None` where either side may have.
    pub(in crate::emulator) remote: Option<bool>,
}

const fn of(word: &'static str, remote: Option<bool>) -> Reason {
    Reason { word, remote }
}

/// All reasons.
pub(super) const ALL: [Reason; 21] = [
    of("apiInitiatedTeardown", Some(false)),
    of("callDeactivated", Some(false)),
    of("callEnded", Some(false)),
    of("callMoved", Some(false)),
    of("clientInitiatedTeardown", Some(false)),
    of("confirmationTimeOut", Some(false)),
    of("dnsFailure", Some(false)),
    of("encryptionRequired", Some(false)),
    of("error", None),
    of("incorrectPasscode", Some(false)),
    of("ivrTimeout", Some(false)),
    of("ivrUnknownCall", Some(false)),
    of("localTeardown", Some(false)),
    of("participantLimitReached", Some(false)),
    of("remoteBusy", Some(true)),
    of("remoteRejected", Some(true)),
    of("remoteTeardown", Some(true)),
    of("ringingTimeout", None),
    of("tenantParticipantLimitReached", Some(false)),
    of("timeout", Some(false)),
    of("unknownDestination", Some(false)),
];

/// The reason of that word.
pub(in crate::emulator) fn find(word: &str) -> Option<Reason> {
    ALL.iter().find(|reason| reason.word == word).copied()
}
