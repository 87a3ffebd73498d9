//! Which deviations have to be found out wherever they reach a trace, and what leaves room for the others.
//!
//! A requirement on the shape of one message is broken by that message, whatever comes before and after it. Others are
//! broken only beside something else: a second record, a deadline that passes, a state at rest. A history may end before
//! that, or never bring it about; then a conformant server could have shown the same trace.

/// Requirements that show at once: a history in which a mutant of theirs deviates has to find something.
pub const AT_ONCE: &[&str] = &[
    "AUTH-01", "AUTH-04", "AUTH-06", "AUTH-07", "AUTH-08", "WS-01", "WS-03", "WS-04", "WS-05", "WS-10", "MSG-01",
    "MSG-04", "MSG-10", "SUB-04", "SUB-09", "UPD-01", "UPD-08", "UPD-09", "UPD-17", "CDR-01", "CDR-06", "CDR-07",
    "REC-01", "REC-02", "REC-08", "REC-10", "REC-13", "REC-15", "REC-16", "REC-17",
];

/// What leaves room for a deviation, by requirement.
pub const LEEWAY: &[(&str, &str)] = &[
    ("MSG-03", "the connection may end before the ack is overdue"),
    ("MSG-07", "a window shows only where more messages wait for acks than a history brings about"),
    ("MSG-09", "an id may be used again once its message is acknowledged"),
    ("MSG-11", "the order shows only where the request causes a report of states"),
    ("SUB-02", "a late report shows only if an update comes before it"),
    ("SUB-06", "the subscription or its connection may end before it is overdue"),
    ("SUB-07", "the connection may end before the report is overdue"),
    ("UPD-07", "an element that moves by itself may have changed in between and changed back"),
    ("UPD-10", "values are compared with the API at rest, which the subscription may not see"),
    ("UPD-13", "values are compared with the API at rest, which the subscription may not see"),
    ("UPD-14", "values are compared with the API at rest, which the subscription may not see"),
    ("UPD-15", "counts are compared with the API at rest, which the subscription may not see"),
    ("UPD-16", "two clients have to be subscribed alike"),
    ("UPD-18", "the calls of a coSpace and other clients are what a correlator is compared with"),
    ("CDR-02", "a set whose answer was late or lost may be sent again"),
    ("CDR-03", "the receiver may leave the list before the repetition is overdue"),
    ("CDR-04", "order shows only where sets wait for answers or are repeated"),
    ("CDR-05", "a session is another one only beside a first one"),
    ("CDR-08", "a receiver that was configured after the first record may start higher"),
    ("CDR-09", "a record differs only from another copy of itself"),
    ("CDR-10", "records may be discarded in an outage, and a gap shows only by what follows it"),
    ("CDR-11", "a first set may have been lost before it arrived, and a gap shows only by what follows it"),
    ("CDR-15", "it takes a record that is made after the DELETE, and a receiver that still listens"),
    ("CDR-18", "a new connection is right where the old one failed or was idle"),
    ("CDR-19", "a delay counts from the deadline on, and receivers recover before it"),
    ("REC-03", "a call is judged by its first and its last record, which a receiver may not get"),
    ("REC-04", "a leg is judged by its first and its last record, which a receiver may not get"),
    ("REC-06", "legs that never connected may be counted or not"),
    ("REC-07", "legs that never connected may be counted or not"),
    ("REC-09", "order shows only where both records reach a receiver"),
    ("REC-11", "a coSpace has to have a second call"),
    ("REC-14", "the order shows only where a leg comes before the end of the history"),
    ("REC-18", "the other ends of the leg have to be known"),
    ("REC-24", "a client has to be told of the same call"),
];

/// What leaves room for a deviation from the requirement; `None` where it shows at once.
pub fn leeway(requirement: &str) -> Option<&'static str> {
    if AT_ONCE.contains(&requirement) {
        return None;
    }
    let known = LEEWAY.iter().find(|(id, _)| *id == requirement);
    Some(known.map_or("it shows only in situations that histories hardly bring about", |(_, why)| *why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::RequirementId;

    #[test]
    fn the_lists_name_requirements_and_none_of_them_twice() {
        let all: Vec<&str> = AT_ONCE.iter().copied().chain(LEEWAY.iter().map(|(id, _)| *id)).collect();
        for (place, id) in all.iter().enumerate() {
            assert!(RequirementId::from_name(id).is_some() && !all[..place].contains(id), "{id}");
        }
    }
}
