//! The list of what a load measures: each metric stands here once, with its name and what it times.

/// Makes the enum, the list of all, and the names from one row for each metric.
macro_rules! metrics {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// What is measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Metric {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Metric {
            /// All of them, in the order of reports.
            pub const ALL: [Self; [$($name),+].len()] = [$(Self::$variant),+];

            /// The names of [`Self::ALL`].
            pub const NAMES: [&'static str; Self::ALL.len()] = [$($name),+];

            /// Its name in reports and thresholds.
            pub const fn as_str(self) -> &'static str {
                Self::NAMES[self as usize]
            }

            /// The name of the same, from the actual send.
            pub const fn as_str_from_send(self) -> &'static str {
                [$(concat!($name, "_from_send")),+][self as usize]
            }
        }
    };
}

metrics! {
    /// From the request for a token to the token.
    Token = "token";
    /// From the request to upgrade to the open connection.
    Upgrade = "upgrade";
    /// From a message to its ack: a client's request for subscriptions, or of a load on clients an update.
    Ack = "ack";
    /// From a request for subscriptions until all of them are settled: active, as far as they can be.
    Settle = "settle";
    /// From a stimulus to the event that tells of it; all kinds together.
    Update = "update";
    /// From a change of a mute.
    UpdateMute = "update_mute";
    /// From a change of a layout.
    UpdateLayout = "update_layout";
    /// From a call being locked or unlocked.
    UpdateLock = "update_lock";
    /// From a recording that begins or ends.
    UpdateRecord = "update_record";
    /// From a party that joins.
    UpdateJoin = "update_join";
    /// From a party that leaves.
    UpdateLeave = "update_leave";
    /// From a call that begins.
    UpdateCallStart = "update_call_start";
    /// From a call that ends.
    UpdateCallEnd = "update_call_end";
    /// From any other stimulus.
    UpdateOther = "update_other";
    /// From a record's own time to its arrival.
    CdrArrival = "cdr_arrival";
    /// From the request that causes a record to its arrival.
    CdrStimulus = "cdr_stimulus";
    /// From a failed delivery to its repetition.
    CdrRedelivery = "cdr_redelivery";
    /// From a request of the API to its answer.
    Api = "api";
    /// From a set of records to the answer of the receiver under load.
    Answer = "answer";
    /// The harness's own lateness: from when something was scheduled to its actual send.
    Lag = "lag";
}

impl Metric {
    /// The kinds of [`Self::Update`]: all between it and what is of no other kind.
    pub const UPDATES: [Self; Self::UpdateOther as usize - Self::Update as usize] = {
        let mut kinds = [Self::UpdateOther; Self::UpdateOther as usize - Self::Update as usize];
        let mut at = 0;
        while at < kinds.len() {
            kinds[at] = Self::ALL[Self::Update as usize + 1 + at];
            at += 1;
        }
        kinds
    };

    /// Whether it is about call detail records, which [`super::LatencyRecorder`] times.
    pub const fn is_of_records(self) -> bool {
        matches!(self, Self::CdrArrival | Self::CdrStimulus | Self::CdrRedelivery)
    }

    /// The metric of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.as_str() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_their_metrics() {
        for (place, metric) in Metric::ALL.into_iter().enumerate() {
            assert_eq!((metric as usize, Metric::from_name(metric.as_str())), (place, Some(metric)));
            assert_eq!(metric.as_str_from_send(), format!("{}_from_send", metric.as_str()));
            assert_eq!(Metric::UPDATES.contains(&metric), metric.as_str().starts_with("update_"), "{metric:?}");
        }
    }
}
