//! What only call detail records and the API's call legs show of a leg.

/// Whether somebody who was dialled has to confirm with a key that they want to join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Confirmation {
    /// Nobody asked for it.
    #[default]
    NotRequired,
    /// It has yet to come.
    Required,
    /// It came.
    Confirmed,
    /// The leg was refused with a key.
    Rejected,
}

impl Confirmation {
    /// All with their words.
    pub const WORDS: [(Self, &'static str); 4] = [
        (Self::NotRequired, "notRequired"),
        (Self::Required, "required"),
        (Self::Confirmed, "confirmed"),
        (Self::Rejected, "rejected"),
    ];

    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(state, _)| *state == self).map_or("notRequired", |(_, word)| word)
    }

    /// The one with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, known)| *known == word).map(|(state, _)| *state)
    }
}

/// What a leg does that belongs to no participant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// It records the call.
    Recording,
    /// It streams the call.
    Streaming,
}

/// What only records show of a leg. Numbers with fractions are kept as texts, as they go out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LegDetail {
    /// Whether it is a connection of a Cisco Meeting App, not of SIP.
    pub acano: bool,
    /// `lync`, `avaya`, `lyncdistribution` or `webApp`.
    pub sub_type: Option<String>,
    /// `audioVideo`, `applicationSharing` or `instantMessaging`.
    pub lync_sub_type: Option<String>,
    /// Whether it is a guest's.
    pub guest: bool,
    /// The address at which the server was called, or under which it calls; may be empty.
    pub local_address: String,
    /// The far end's address, where it is another than the one dialled.
    pub remote_address: Option<String>,
    /// The Call-ID of SIP.
    pub sip_call_id: String,
    /// The GUID that joins the legs of one user.
    pub group_id: String,
    /// The Call-ID of the SIP call that this one replaces.
    pub replaces: Option<String>,
    /// The id that a management system gave it.
    pub owner_id: Option<String>,
    /// The tag that was configured for it.
    pub cdr_tag: Option<String>,
    /// Where its confirmation stands.
    pub confirmation: Confirmation,
    /// Whether it is in the IVR.
    pub in_ivr: bool,
    /// Whether it is deactivated.
    pub deactivated: bool,
    /// The leg that it was moved from.
    pub moved_leg: Option<String>,
    /// What it does for the call, if it belongs to no participant.
    pub service: Option<Service>,
    /// Whether the far end ended it, where the reason leaves that open.
    pub remote_teardown: Option<bool>,
    /// Its media.
    pub media: Media,
}

/// The media of a leg, as its end reports them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Whether there was encrypted media, where that is reported.
    pub encrypted: Option<bool>,
    /// Whether there was unencrypted media, where that is reported.
    pub unencrypted: Option<bool>,
    /// The audio codec towards the server.
    pub rx_audio: Option<String>,
    /// The audio codec from the server.
    pub tx_audio: Option<String>,
    /// The video codec towards the server.
    pub rx_video: Option<String>,
    /// The video codec from the server.
    pub tx_video: Option<String>,
    /// Duration in seconds and density of bursts of lost packets.
    pub bursts: (String, String),
    /// Density of packets lost in the gaps between bursts.
    pub gap_density: String,
    /// Alarms: type and percentage of the leg's duration.
    pub alarms: Vec<(String, String)>,
    /// Percentages of the leg's duration by kind of media.
    pub usage: Vec<(&'static str, String)>,
    /// Most screens with video at once.
    pub max_screens: Option<u64>,
}

/// The kinds of media of which a share is reported.
pub const USAGES: [&str; 5] =
    ["mainVideoViewer", "mainVideoContributor", "presentationViewer", "presentationContributor", "multistreamVideo"];

/// The alarms that a leg can have.
pub const ALARMS: [&str; 3] = ["packetLoss", "excessiveJitter", "highRoundTripTime"];

/// The codecs of audio.
pub const AUDIO_CODECS: [&str; 14] = [
    "g711u", "g711a", "g722", "g728", "g729", "g722_1", "g722_1c", "aac", "speexNb", "speexWb", "speexUwb", "isacWb",
    "isacSwb", "opus",
];

/// The codecs of video.
pub const VIDEO_CODECS: [&str; 7] = ["h261", "h263", "h263+", "h264", "h264Lync", "vp8", "rtVideo"];

impl Default for Media {
    /// That of the guide's example (section 6).
    fn default() -> Self {
        let text = |text: &str| text.to_owned();
        Self {
            encrypted: None,
            unencrypted: Some(true),
            rx_audio: Some(text("g722")),
            tx_audio: Some(text("g722_1c")),
            rx_video: Some(text("h264")),
            tx_video: Some(text("h264")),
            bursts: (text("0.000"), text("0.00")),
            gap_density: text("0.00"),
            alarms: Vec::new(),
            usage: vec![("mainVideoViewer", text("100.0")), ("mainVideoContributor", text("100.0"))],
            max_screens: None,
        }
    }
}
