//! Everything that the guides leave open, and every limit and delay, as named settings.
//!
//! Each setting has a key in kebab-case, a text form that reads back, a default that conforms, and one line of
//! documentation ([`KEYS`]). A dialect is a list of `key=value` ([`super::dialects`]). Nothing here breaks a requirement:
//! that is what mutants are for, although some of them do it with values that no dialect has. `cdr-lose-every` is the
//! network's fault; a receiver cannot tell it from a server's, so no dialect has it.

use std::time::Duration;

use super::values::{
    Backlog, CallInStart, Count, DuplicateIndex, EntryFault, Excess, HeaderCase, KeyOrder, LateReceiver, LeftOut,
    Listed, Order, Overflow, PingReaction, Reaction, Recorder, Refusal, Repeat, Rounding, Setting, Spelling, Typed,
    Unset, UriParameter, WhiteSpace,
};

/// A key of the settings, for help texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The name in `key=value`.
    pub name: &'static str,
    /// What values it takes.
    pub values: &'static str,
    /// What it decides.
    pub doc: &'static str,
}

/// Why a `key=value` was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// No such key and no dialect of that name.
    #[error("no setting or dialect is called `{0}`")]
    UnknownKey(String),
    /// The key does not take that value.
    #[error("`{key}` takes {values}, not `{value}`")]
    BadValue {
        /// The key.
        key: &'static str,
        /// What it takes.
        values: &'static str,
        /// What was given.
        value: String,
    },
}

macro_rules! settings {
    ($($field:ident: $type:ty = $default:expr, $key:literal, $doc:literal;)+) => {
        /// The settings of one emulated Meeting Server. The default is the guides' example server.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            $(#[doc = $doc] pub $field: $type,)+
        }

        impl Default for Settings {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        /// All keys, in the order of the documentation.
        pub const KEYS: &[Key] = &[
            $(Key { name: $key, values: <$type as Setting>::VALUES, doc: $doc },)+
        ];

        impl Settings {
            /// Sets one key from its text form.
            ///
            /// # Errors
            /// If there is no such key, or it does not take that value.
            pub fn set(&mut self, key: &str, value: &str) -> Result<(), SettingError> {
                match key {
                    $($key => {
                        self.$field = <$type as Setting>::parse(value).ok_or_else(|| SettingError::BadValue {
                            key: $key,
                            values: <$type as Setting>::VALUES,
                            value: value.to_owned(),
                        })?;
                    })+
                    other => return Err(SettingError::UnknownKey(other.to_owned())),
                }
                Ok(())
            }

            /// The text form of the value of `key`.
            pub fn get(&self, key: &str) -> Option<String> {
                match key {
                    $($key => Some(self.$field.show()),)+
                    _ => None,
                }
            }
        }
    };
}

settings! {
    token_uses: Count = Count::Any, "token-uses", "How often a token opens a connection.";
    token_lifetime: Duration = Duration::ZERO, "token-lifetime", "How long a token is good for; 0ms is for ever.";
    token_response_closes: bool = true, "token-response-closes", "Whether the answer that carries a token ends its connection.";
    token_in_header: bool = false, "token-in-header", "Whether an upgrade may carry its token in X-Cisco-CMS-Auth-Token.";
    unauthorized_status: u16 = 401, "unauthorized-status", "Status for missing or wrong credentials.";
    unprivileged_status: u16 = 403, "unprivileged-status", "Status for an account that may not do what it asks for.";
    bad_token_status: u16 = 401, "bad-token-status", "Status of an upgrade whose token is missing, unknown, used up or expired.";
    connection_limit: u64 = 5, "connection-limit", "How many event connections are served at the same time.";
    full_refusal: Refusal = Refusal::Status(503), "full-refusal", "What an upgrade beyond the limit gets.";
    place_delay: Duration = Duration::ZERO, "place-delay", "How long after the end of a connection its place is free.";
    subscription_limit: u64 = 100, "subscription-limit", "How many subscriptions a request may hold.";
    excess: Excess = Excess::Refuse, "excess", "What a request beyond the limit gets.";
    refusal_status: String = "failure".to_owned(), "refusal-status", "Status of the ack of a refused message.";
    ack_refused: bool = true, "ack-refused", "Whether a refused request is acknowledged at all.";
    on_ping: PingReaction = PingReaction::Answer, "on-ping", "What a ping gets.";
    on_pong: Reaction = Reaction::Ignore, "on-pong", "What an unsolicited pong gets.";
    on_binary: Reaction = Reaction::Close(1003), "on-binary", "What a binary frame gets.";
    on_fragment: Reaction = Reaction::Close(1003), "on-fragment", "What a fragmented message gets.";
    on_bad_utf8: Reaction = Reaction::Close(1007), "on-bad-utf8", "What a text that is not UTF-8 gets.";
    on_bad_json: Reaction = Reaction::Ignore, "on-bad-json", "What a text that is no JSON, or has no known shape, gets.";
    on_unknown_message: Reaction = Reaction::Ignore, "on-unknown-message", "What a message of unknown type or without a needed field gets.";
    on_unmasked: Reaction = Reaction::Close(1002), "on-unmasked", "What an unmasked frame gets.";
    on_bad_frame: Reaction = Reaction::Close(1002), "on-bad-frame", "What reserved bits, reserved opcodes and misshapen control frames get.";
    frame_limit: u64 = 1 << 20, "frame-limit", "Largest payload of a client frame in bytes; a longer one ends the connection with 1009.";
    duplicate_index: DuplicateIndex = DuplicateIndex::Refuse, "duplicate-index", "What a request gets that uses an index twice.";
    unknown_type: EntryFault = EntryFault::Refuse, "unknown-type", "What an entry of unknown type gets.";
    missing_call: EntryFault = EntryFault::Refuse, "missing-call", "What an entry gets that names no call where one is needed.";
    odd_index: EntryFault = EntryFault::Refuse, "odd-index", "What an entry gets whose index is no number without sign and fraction.";
    refuse_unknown_elements: bool = false, "refuse-unknown-elements", "Whether an unknown element refuses the request instead of being passed over.";
    ack_delay: Duration = Duration::ZERO, "ack-delay", "How long a client message waits for its ack.";
    pending_reported: bool = true, "pending-reported", "Whether a new subscription is reported pending.";
    calls_delay: Duration = Duration::from_millis(10), "calls-delay", "How long a calls subscription is pending.";
    info_delay: Duration = Duration::from_millis(15), "info-delay", "How long a callInfo subscription is pending.";
    roster_delay: Duration = Duration::from_millis(20), "roster-delay", "How long a callRoster subscription is pending.";
    jitter: u64 = 0, "jitter", "Largest seeded lengthening of delays of subscriptions and dials, in percent.";
    states_listed: Listed = Listed::Changed, "states-listed", "What a subscriptionUpdate lists.";
    states_bundled: bool = true, "states-bundled", "Whether one subscriptionUpdate may hold several entries.";
    left_out: LeftOut = LeftOut::Separate, "left-out", "Where the end of unsubscribed ones is reported.";
    window: Count = Count::Of(1), "window", "How many server messages may be unacknowledged before later ones are held back.";
    backlog: Backlog = Backlog::Queue, "backlog", "What happens to changes while messages are held back.";
    backlog_limit: u64 = 1000, "backlog-limit", "How many messages a connection holds back before changes coalesce.";
    first_id: u64 = 1, "first-id", "The first messageId of a connection.";
    id_step: u64 = 1, "id-step", "By how much a messageId grows.";
    random_ids: bool = false, "random-ids", "Whether every connection begins with a messageId of its own.";
    bundle_delay: Duration = Duration::ZERO, "bundle-delay", "How long changes are collected before they are reported.";
    entries_per_message: Count = Count::Any, "entries-per-message", "How many entries one update message holds at most.";
    booleans: Typed = Typed::Json, "booleans", "How booleans are sent.";
    numbers: Typed = Typed::Json, "numbers", "How the numbers of elements are sent.";
    unset: Unset = Unset::Empty, "unset", "How an unset text is sent in the first notice.";
    call_in_call_info: bool = false, "call-in-call-info", "Whether callInfo holds the call's GUID.";
    remove_reason: bool = true, "remove-reason", "Whether the removal of a participant carries a reason.";
    ringing_counts: bool = true, "ringing-counts", "Whether a participant counts before it is connected.";
    extra_fields: bool = false, "extra-fields", "Whether messages carry fields that no guide knows.";
    extra_messages: u64 = 0, "extra-messages", "After every how many messages one of unknown type is sent; 0 is never.";
    key_order: KeyOrder = KeyOrder::Guide, "key-order", "Order of the members of JSON objects.";
    white_space: WhiteSpace = WhiteSpace::None, "white-space", "White space in JSON.";
    header_case: HeaderCase = HeaderCase::Mixed, "header-case", "Spelling of header names.";
    upper_case_guids: bool = false, "upper-case-guids", "Whether GUIDs have upper case digits.";
    list_order: Order = Order::Oldest, "list-order", "Order of API lists.";
    list_cap: u64 = 100, "list-cap", "Most elements on one page of an API list.";
    missing_status: u16 = 404, "missing-status", "Status for an object that does not exist.";
    failure_details: bool = true, "failure-details", "Whether failures carry a body.";
    unrecognized: Spelling = Spelling::American, "unrecognized", "Spelling of the failure of an unknown node.";
    busy_every: u64 = 0, "busy-every", "Every how many API requests one is answered 503; 0 is never.";
    answer_delay: Duration = Duration::ZERO, "answer-delay", "How long an API answer takes.";
    dial_delay: Duration = Duration::from_millis(20), "dial-delay", "From the start of a dial to ringing or to its failure.";
    answer_after: Duration = Duration::from_millis(80), "answer-after", "From ringing to connected, or to being rejected.";
    ringing_timeout: Duration = Duration::from_millis(1500), "ringing-timeout", "How long an unanswered dial rings.";
    software_version: String = "3.7".to_owned(), "software-version", "What the status reports.";
    clustered: bool = false, "clustered", "Whether the Call Bridge is in a cluster.";
    setup_delay: Duration = Duration::from_millis(10), "setup-delay", "From the arrival of an incoming leg to its place in a call or the IVR.";
    confirmation_timeout: Duration = Duration::from_secs(60), "confirmation-timeout", "How long a dialled leg may take to confirm with a key.";
    restart_time: Duration = Duration::from_millis(200), "restart-time", "How long a restart takes.";
    restart_status: u16 = 503, "restart-status", "Status of requests during a restart.";
    cdr_batch: Count = Count::Of(50), "cdr-batch", "How many records one POST holds at most.";
    cdr_batch_delay: Duration = Duration::ZERO, "cdr-batch-delay", "How long records are collected before they are sent.";
    cdr_retry_first: Duration = Duration::from_millis(100), "cdr-retry-first", "How long after a failed delivery it is repeated.";
    cdr_retry_factor: u64 = 2, "cdr-retry-factor", "By what the wait grows with each further failure.";
    cdr_retry_longest: Duration = Duration::from_secs(1), "cdr-retry-longest", "The longest wait before a repetition.";
    cdr_answer_timeout: Duration = Duration::from_millis(1500), "cdr-answer-timeout", "How long a receiver may take to answer, connecting included.";
    cdr_queue: u64 = 100, "cdr-queue", "How many unsent records wait for a receiver that fails before some are discarded.";
    cdr_overflow: Overflow = Overflow::Oldest, "cdr-overflow", "Which records are discarded.";
    cdr_repeat: Repeat = Repeat::Same, "cdr-repeat", "What a repetition holds.";
    cdr_half_open: bool = false, "cdr-half-open", "Whether a connection whose answer did not come in time is left open, and another one opened.";
    cdr_idle_limit: Duration = Duration::ZERO, "cdr-idle-limit", "After how long an idle connection is closed; 0 is never.";
    cdr_count_unreceived: bool = true, "cdr-count-unreceived", "Whether what happens while no receiver is configured counts in correlatorIndex.";
    cdr_ids_reused: bool = false, "cdr-ids-reused", "Whether a new receiver gets the GUID of one that was removed.";
    cdr_empty_values: bool = false, "cdr-empty-values", "Whether what is not set is sent as an empty element, whatever it is.";
    cdr_strict_200: bool = false, "cdr-strict-200", "Whether only 200 acknowledges records, not any 2xx.";
    cdr_late_receiver: LateReceiver = LateReceiver::Next, "cdr-late-receiver", "What a receiver gets that is configured late.";
    cdr_new_uri_new_start: bool = true, "cdr-new-uri-new-start", "Whether recordIndex starts at 1 again when a receiver gets another URI.";
    cdr_parameter: UriParameter = UriParameter::Both, "cdr-parameter", "The name of the parameter with a receiver's URI.";
    cdr_keep_alive: bool = true, "cdr-keep-alive", "Whether one connection carries several POSTs.";
    cdr_http_1_0: bool = false, "cdr-http-1-0", "Whether POSTs are HTTP/1.0.";
    cdr_content_type: String = "text/xml".to_owned(), "cdr-content-type", "The Content-Type of POSTs; empty for none.";
    cdr_user_agent: String = String::new(), "cdr-user-agent", "The User-Agent of POSTs; empty for none.";
    cdr_record_index: bool = true, "cdr-record-index", "Whether records carry recordIndex.";
    cdr_older_missing: bool = false, "cdr-older-missing", "Whether the count of missing records has the older spelling, with a double e.";
    cdr_order: KeyOrder = KeyOrder::Guide, "cdr-order", "Order of the elements of a record.";
    cdr_white_space: WhiteSpace = WhiteSpace::None, "cdr-white-space", "White space between the elements of a set.";
    cdr_empty_fields: bool = false, "cdr-empty-fields", "Whether texts without a value are sent as empty elements.";
    cdr_optional_fields: bool = true, "cdr-optional-fields", "Whether fields are sent that a record can do without.";
    cdr_extra_fields: bool = false, "cdr-extra-fields", "Whether records carry fields and attributes that no guide knows.";
    cdr_extra_records: u64 = 0, "cdr-extra-records", "After how many records one of unknown type is made; 0 is never.";
    cdr_cut_every: u64 = 0, "cdr-cut-every", "Every how many POSTs a connection ends in the middle of one, which is sent again; below 2 is never.";
    cdr_lose_every: u64 = 0, "cdr-lose-every", "Every how many answers of receivers gets lost on its way, so that the set is sent again; below 2 is never. A fault of the network, which looks like one of the server: no dialect has it.";
    cdr_state_once: bool = false, "cdr-state-once", "Whether only the first update of a connected leg says so.";
    cdr_call_in_start: CallInStart = CallInStart::Outgoing, "cdr-call-in-start", "Whether a callLegStart names the call.";
    cdr_ivr_reported: bool = true, "cdr-ivr-reported", "Whether an update says that a leg is in the IVR.";
    cdr_multistream_capital: bool = false, "cdr-multistream-capital", "Whether it is multiStreamVideo, with a capital S.";
    cdr_confirmation_lower: bool = false, "cdr-confirmation-lower", "Whether it is confirmationTimeout, with a small o.";
    cdr_count_services: bool = false, "cdr-count-services", "Whether legs that record or stream count in a call's end.";
    cdr_count_unconnected: bool = true, "cdr-count-unconnected", "Whether legs that were never connected count in a call's end.";
    cdr_recorder: Recorder = Recorder::Path, "cdr-recorder", "What records a call.";
    cdr_time_fractions: bool = false, "cdr-time-fractions", "Whether times have milliseconds.";
    cdr_clock_set_every: Duration = Duration::ZERO, "cdr-clock-set-every", "After what time the clock that records are stamped by is set, a minute back and a minute forward in turns; 0ms is never.";
    cdr_rounding: Rounding = Rounding::Down, "cdr-rounding", "How durations become whole seconds.";
}

impl Settings {
    /// Takes one item of a command line: `key=value`, or the name of a dialect.
    ///
    /// # Errors
    /// If there is no such key or dialect, or the key does not take that value.
    pub fn apply(&mut self, item: &str) -> Result<(), SettingError> {
        if let Some((key, value)) = item.split_once('=') {
            return self.set(key.trim(), value.trim());
        }
        let dialect = super::dialects::find(item).ok_or_else(|| SettingError::UnknownKey(item.to_owned()))?;
        dialect.settings.iter().try_for_each(|(key, value)| self.set(key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_reads_back_from_its_text_form() {
        let defaults = Settings::default();
        let mut copy = Settings::default();
        for key in KEYS {
            let text = defaults.get(key.name).unwrap();
            copy.set(key.name, &text).unwrap_or_else(|e| panic!("{}: {e}", key.name));
        }
        assert_eq!(copy, defaults);
    }

    #[test]
    fn a_bad_value_is_refused_with_what_the_key_takes() {
        let mut settings = Settings::default();
        assert!(matches!(settings.apply("window=many"), Err(SettingError::BadValue { key: "window", .. })));
        assert!(matches!(settings.apply("windows=1"), Err(SettingError::UnknownKey(_))));
        assert!(matches!(settings.apply("no-such-dialect"), Err(SettingError::UnknownKey(_))));
        settings.apply("window=any").unwrap();
        assert_eq!(settings.window, Count::Any);
    }
}
