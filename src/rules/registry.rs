//! The registry: every requirement that has a rule, and the file that judges it.
//!
//! [`R`] names a requirement in code, cheaply enough for the hot path; [`R::id`] leads to the catalogue.

use crate::spec::RequirementId;

/// Declares the requirements that have a rule.
macro_rules! registry {
    ($($file:literal: $($item:ident = $name:literal),+;)+) => {
        /// A requirement that has a rule.
        #[expect(missing_docs, reason = "the catalogue has the text of each")]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum R { $($($item),+),+ }

        impl R {
            /// All of them.
            pub const ALL: &'static [Self] = &[$($(Self::$item),+),+];

            /// The name in the catalogue.
            pub const fn name(self) -> &'static str {
                match self { $($(Self::$item => $name),+),+ }
            }

            /// The file whose rule judges it, below `src/rules`.
            pub const fn file(self) -> &'static str {
                match self { $($(Self::$item => $file),+),+ }
            }
        }
    };
}

registry! {
    "auth.rs": Auth01 = "AUTH-01", Auth02 = "AUTH-02", Auth03 = "AUTH-03", Auth08 = "AUTH-08", Auth09 = "AUTH-09";
    "places.rs": Auth04 = "AUTH-04", Auth05 = "AUTH-05", Auth06 = "AUTH-06", Auth07 = "AUTH-07",
        Lim01 = "LIM-01", Lim02 = "LIM-02", Lim03 = "LIM-03", Lim10 = "LIM-10", Ws08 = "WS-08";
    "ws.rs": Ws01 = "WS-01", Ws02 = "WS-02", Ws03 = "WS-03", Ws04 = "WS-04", Ws05 = "WS-05", Ws09 = "WS-09", Ws10 = "WS-10";
    "msg.rs": Msg01 = "MSG-01", Msg03 = "MSG-03", Msg04 = "MSG-04", Msg05 = "MSG-05", Msg07 = "MSG-07", Msg08 = "MSG-08",
        Msg09 = "MSG-09", Msg10 = "MSG-10", Msg11 = "MSG-11", Msg12 = "MSG-12";
    "sub.rs": Sub01 = "SUB-01", Sub02 = "SUB-02", Sub03 = "SUB-03", Sub04 = "SUB-04", Sub05 = "SUB-05", Sub06 = "SUB-06",
        Sub07 = "SUB-07", Sub08 = "SUB-08", Sub09 = "SUB-09", Sub10 = "SUB-10", Sub11 = "SUB-11", Sub12 = "SUB-12",
        Sub13 = "SUB-13", Sub14 = "SUB-14", Sub15 = "SUB-15", Sub16 = "SUB-16", Sub18 = "SUB-18",
        Lim04 = "LIM-04", Lim05 = "LIM-05", Lim06 = "LIM-06", Lim07 = "LIM-07";
    "upd.rs": Upd01 = "UPD-01", Upd02 = "UPD-02", Upd03 = "UPD-03", Upd04 = "UPD-04", Upd05 = "UPD-05", Upd06 = "UPD-06",
        Upd07 = "UPD-07", Upd08 = "UPD-08", Upd09 = "UPD-09", Upd10 = "UPD-10", Upd11 = "UPD-11", Upd12 = "UPD-12",
        Upd13 = "UPD-13", Upd17 = "UPD-17", Upd18 = "UPD-18", Upd20 = "UPD-20";
    "compare.rs": Upd14 = "UPD-14", Upd15 = "UPD-15", Upd16 = "UPD-16", Upd19 = "UPD-19";
    "client.rs": Ws06 = "WS-06", Ws07 = "WS-07", Msg02 = "MSG-02", Msg06 = "MSG-06", Msg13 = "MSG-13", Sub17 = "SUB-17",
        Lim09 = "LIM-09";
    "receivers.rs": Cdr20 = "CDR-20", Cdr21 = "CDR-21", Cdr22 = "CDR-22";
    "cdr/links.rs": Cdr01 = "CDR-01", Cdr16 = "CDR-16", Cdr18 = "CDR-18", Cdr23 = "CDR-23";
    "cdr/delivery.rs": Cdr02 = "CDR-02", Cdr03 = "CDR-03", Cdr04 = "CDR-04";
    "cdr/sessions.rs": Cdr05 = "CDR-05", Cdr06 = "CDR-06";
    "cdr/identity.rs": Cdr09 = "CDR-09";
    "cdr/indexes.rs": Cdr08 = "CDR-08", Cdr10 = "CDR-10", Cdr11 = "CDR-11", Cdr12 = "CDR-12", Cdr13 = "CDR-13", Cdr19 = "CDR-19";
    "cdr/ledger.rs": Cdr14 = "CDR-14", Cdr15 = "CDR-15";
    "cdr/content.rs": Cdr07 = "CDR-07", Rec01 = "REC-01", Rec02 = "REC-02", Rec10 = "REC-10", Rec12 = "REC-12",
        Rec13 = "REC-13", Rec15 = "REC-15", Rec17 = "REC-17", Rec18 = "REC-18", Rec19 = "REC-19", Rec20 = "REC-20";
    "cdr/history.rs": Rec03 = "REC-03", Rec04 = "REC-04", Rec05 = "REC-05", Rec09 = "REC-09", Rec11 = "REC-11", Rec14 = "REC-14",
        Rec16 = "REC-16", Rec21 = "REC-21", Rec22 = "REC-22";
    "cdr/totals.rs": Rec06 = "REC-06", Rec07 = "REC-07", Rec08 = "REC-08";
    "cdr/channels.rs": Rec24 = "REC-24";
}

impl R {
    /// The entry of the catalogue.
    pub fn id(self) -> RequirementId {
        RequirementId::known(self.name())
    }

    /// The requirement of that entry, if it has a rule.
    pub fn of(id: RequirementId) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == id.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Subject, requirements};

    #[test]
    fn every_requirement_of_events_and_of_records_has_a_rule() {
        for id in requirements::all() {
            let events = ["AUTH", "WS", "MSG", "SUB", "UPD", "LIM"].contains(&id.get().area());
            // These three need a cluster.
            let clusters = ["LIM-08", "CDR-17", "REC-23"].contains(&id.as_str());
            let records = matches!(id.get().subject, Subject::Sender | Subject::Receiver);
            let expected = (events || records) && !clusters;
            assert_eq!(R::of(id).is_some(), expected, "{id}");
        }
    }
}
