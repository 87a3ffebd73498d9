//! The values that settings take, with their text forms.
//!
//! Every type reads back what it shows. The words here appear on the command line and in reports.

use std::time::Duration;

/// A value of a setting.
pub trait Setting: Sized {
    /// What values there are, for messages.
    const VALUES: &'static str;

    /// Reads the text form.
    fn parse(text: &str) -> Option<Self>;

    /// The text form.
    fn show(&self) -> String;
}

impl Setting for bool {
    const VALUES: &'static str = "true or false";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u64 {
    const VALUES: &'static str = "a number";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for u16 {
    const VALUES: &'static str = "a status code";

    fn parse(text: &str) -> Option<Self> {
        text.parse().ok().filter(|code| (200..1000).contains(code))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const VALUES: &'static str = "a text";

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for Duration {
    const VALUES: &'static str = "a time up to an hour, such as 250ms or 2s";

    fn parse(text: &str) -> Option<Self> {
        let time = match text.strip_suffix("ms") {
            Some(millis) => Self::from_millis(millis.parse().ok()?),
            None => Self::from_secs(text.strip_suffix('s')?.parse().ok()?),
        };
        (time <= Self::from_secs(3600)).then_some(time)
    }

    fn show(&self) -> String {
        format!("{}ms", self.as_millis())
    }
}

/// A number, or no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// No bound.
    Any,
    /// At most this many; at least 1.
    Of(u64),
}

impl Count {
    /// Whether one more is allowed where there are `present` already.
    pub const fn allows_more_than(self, present: u64) -> bool {
        match self {
            Self::Any => true,
            Self::Of(limit) => present < limit,
        }
    }
}

impl Setting for Count {
    const VALUES: &'static str = "`any` or a number from 1";

    fn parse(text: &str) -> Option<Self> {
        if text == "any" {
            return Some(Self::Any);
        }
        text.parse().ok().filter(|limit| *limit > 0).map(Self::Of)
    }

    fn show(&self) -> String {
        match self {
            Self::Any => "any".to_owned(),
            Self::Of(limit) => limit.to_string(),
        }
    }
}

/// What an upgrade beyond the limit gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// This status instead of 101.
    Status(u16),
    /// 101, and a close frame with this code at once.
    AcceptThenClose(u16),
}

impl Setting for Refusal {
    const VALUES: &'static str = "a status from 400 to 599, or `close-` and a close code";

    fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("close-") {
            Some(code) => code.parse().ok().map(Self::AcceptThenClose),
            None => text.parse().ok().filter(|code| (400..600).contains(code)).map(Self::Status),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Status(code) => code.to_string(),
            Self::AcceptThenClose(code) => format!("close-{code}"),
        }
    }
}

/// What a frame or message that does not belong gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reaction {
    /// Nothing.
    Ignore,
    /// An ack with the status of refusals, where it has an id; nothing otherwise.
    Refuse,
    /// A close frame with this code.
    Close(u16),
    /// The connection is dropped.
    Drop,
}

impl Setting for Reaction {
    const VALUES: &'static str = "`ignore`, `refuse`, `drop`, or `close-` and a close code";

    fn parse(text: &str) -> Option<Self> {
        match text {
            "ignore" => Some(Self::Ignore),
            "refuse" => Some(Self::Refuse),
            "drop" => Some(Self::Drop),
            other => other.strip_prefix("close-")?.parse().ok().map(Self::Close),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Ignore => "ignore".to_owned(),
            Self::Refuse => "refuse".to_owned(),
            Self::Drop => "drop".to_owned(),
            Self::Close(code) => format!("close-{code}"),
        }
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident: $values:literal { $($(#[$item_doc:meta])* $item:ident = $word:literal),+ $(,)? })+) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy, PartialEq, Eq)]
            pub enum $name { $($(#[$item_doc])* $item),+ }

            impl Setting for $name {
                const VALUES: &'static str = $values;

                fn parse(text: &str) -> Option<Self> {
                    match text { $($word => Some(Self::$item),)+ _ => None }
                }

                fn show(&self) -> String {
                    match self { $(Self::$item => $word),+ }.to_owned()
                }
            }
        )+
    };
}

choices! {
    /// What a ping gets.
    PingReaction: "`answer`, `ignore` or `close`" {
        /// A pong.
        Answer = "answer",
        /// Nothing.
        Ignore = "ignore",
        /// A close frame with code 1003.
        Close = "close",
    }
    /// What a request with too many subscriptions gets.
    Excess: "`refuse`, `truncate` or `silent`" {
        /// An ack with the status of refusals; the set in force stays.
        Refuse = "refuse",
        /// A success; those within the limit are granted, the rest is reported deactivated.
        Truncate = "truncate",
        /// No ack; the set in force stays.
        Silent = "silent",
    }
    /// What a request gets that uses an index twice.
    DuplicateIndex: "`refuse`, `first` or `last`" {
        /// It is refused as a whole.
        Refuse = "refuse",
        /// The first entry counts.
        First = "first",
        /// The last entry counts.
        Last = "last",
    }
    /// What a faulty entry of a request gets.
    EntryFault: "`refuse`, `deactivate` or `skip`" {
        /// The request is refused as a whole.
        Refuse = "refuse",
        /// The entry is reported pending, then deactivated, where it has a usable index.
        Deactivate = "deactivate",
        /// The entry is passed over.
        Skip = "skip",
    }
    /// What a `subscriptionUpdate` lists.
    Listed: "`changed` or `all`" {
        /// The entries that changed.
        Changed = "changed",
        /// The whole set.
        All = "all",
    }
    /// Where the end of unsubscribed ones is reported.
    LeftOut: "`separate` or `together`" {
        /// In a message of its own, before that of new ones.
        Separate = "separate",
        /// In one message with new ones.
        Together = "together",
    }
    /// What happens to changes while messages are held back.
    Backlog: "`queue` or `coalesce`" {
        /// They are kept one by one, up to a limit.
        Queue = "queue",
        /// Only the newest values are sent.
        Coalesce = "coalesce",
    }
    /// How a value is typed on the wire.
    Typed: "`json` or `text`" {
        /// As the JSON type that fits.
        Json = "json",
        /// As text.
        Text = "text",
    }
    /// How an unset text is sent.
    Unset: "`absent`, `null` or `empty`" {
        /// Left out.
        Absent = "absent",
        /// As null.
        Null = "null",
        /// As an empty text.
        Empty = "empty",
    }
    /// Order of the members of JSON objects.
    KeyOrder: "`guide`, `sorted` or `reversed`" {
        /// As in the guide's examples.
        Guide = "guide",
        /// By name.
        Sorted = "sorted",
        /// The guide's order backwards.
        Reversed = "reversed",
    }
    /// White space in JSON.
    WhiteSpace: "`none` or `pretty`" {
        /// None.
        None = "none",
        /// Line ends and indents.
        Pretty = "pretty",
    }
    /// Spelling of header names.
    HeaderCase: "`mixed`, `lower` or `upper`" {
        /// As in the guide.
        Mixed = "mixed",
        /// Lower case.
        Lower = "lower",
        /// Upper case.
        Upper = "upper",
    }
    /// Order of API lists.
    Order: "`oldest`, `newest` or `id`" {
        /// Oldest first.
        Oldest = "oldest",
        /// Newest first.
        Newest = "newest",
        /// By id.
        Id = "id",
    }
    /// Spelling of the failure of an unknown node.
    Spelling: "`american` or `british`" {
        /// With z.
        American = "american",
        /// With s.
        British = "british",
    }
    /// Which records go when a receiver's queue is full.
    Overflow: "`oldest` or `newest`" {
        /// Those that wait longest.
        Oldest = "oldest",
        /// Those that would come in addition.
        Newest = "newest",
    }
    /// Whether a `callLegStart` names the call.
    CallInStart: "`never`, `outgoing` or `known`" {
        /// Never: an update does.
        Never = "never",
        /// On legs that were dialled out of a call.
        Outgoing = "outgoing",
        /// Wherever the call exists already.
        Known = "known",
    }
    /// How durations become whole seconds.
    Rounding: "`down`, `nearest` or `up`" {
        /// To the next lower second.
        Down = "down",
        /// To the nearest second.
        Nearest = "nearest",
        /// To the next higher second.
        Up = "up",
    }
    /// What a receiver gets that is configured while the Call Bridge runs.
    LateReceiver: "`next` or `kept`" {
        /// What happens from then on.
        Next = "next",
        /// The last records before, too.
        Kept = "kept",
    }
    /// What is sent after records were sent in vain.
    Repeat: "`same`, `anew` or `single`" {
        /// The same set again.
        Same = "same",
        /// As much as a set holds, newer records included; what there is no room for is discarded, whether or not it was
        /// sent.
        Anew = "anew",
        /// One record, and the others when that was acknowledged.
        Single = "single",
    }
    /// What records a call.
    Recorder: "`path` or `uri`" {
        /// The built-in recorder, known by the path of its file.
        Path = "path",
        /// An external SIP recorder, known by its URI.
        Uri = "uri",
    }
    /// The name of the parameter with a receiver's URI.
    UriParameter: "`both`, `uri` or `url`" {
        /// Either.
        Both = "both",
        /// Only `uri`.
        Uri = "uri",
        /// Only `url`.
        Url = "url",
    }
}
