//! The list of bent receivers: each breaks one requirement on CDR receivers, as a real receiver might.

use super::bend::Arrived;
use super::plan::{Action, Answer, Point};
use crate::protocol::cdr::{Field, Record};
use crate::spec::records;

/// One bent receiver of the list.
#[derive(Debug, Clone, Copy)]
pub struct BentReceiver {
    /// The name, in kebab-case; no mutant of the emulator and no bent client has it.
    pub name: &'static str,
    /// The requirement that it breaks.
    pub breaks: &'static str,
    /// Requirements that may fail with it, each with the reason.
    pub collateral: &'static [(&'static str, &'static str)],
    /// How a real receiver comes to have this fault.
    pub story: &'static str,
    /// Does something else than should be done with a set, if it gives anything.
    pub act: fn(&Arrived<'_>) -> Option<Action>,
    /// Whether it takes no connections any more after a sender has vanished in the middle of a set.
    pub deaf_after_cut: bool,
}

/// The bent receiver of that name.
pub fn find(name: &str) -> Option<&'static BentReceiver> {
    ALL.iter().find(|one| one.name == name)
}

const fn row(
    name: &'static str,
    breaks: &'static str,
    story: &'static str,
    act: fn(&Arrived<'_>) -> Option<Action>,
) -> BentReceiver {
    BentReceiver { name, breaks, collateral: &[], story, act, deaf_after_cut: false }
}

/// The same for a fault that hits sets by their number: the one that is hit may be the first of its kind.
const fn row_by_number(
    name: &'static str,
    breaks: &'static str,
    story: &'static str,
    act: fn(&Arrived<'_>) -> Option<Action>,
) -> BentReceiver {
    let collateral = &[
        ("CDR-21", "the set that is refused may be the first one with something unknown in it"),
        ("CDR-22", "the set that is refused may be the first one that is repeated, follows a gap, or the like"),
    ];
    BentReceiver { name, breaks, collateral, story, act, deaf_after_cut: false }
}

/// All bent receivers, by requirement.
pub const ALL: &[BentReceiver] = &[
    // ── CDR-20: every set is answered 200 ──
    row("receiver-answers-204", "CDR-20", "There is nothing to say in the answer, so it is No Content.", |_| {
        answer(204)
    }),
    row("receiver-answers-202", "CDR-20", "Records are queued for later, so they are Accepted.", |_| answer(202)),
    row("receiver-answers-500", "CDR-20", "Its database cannot be reached.", |_| answer(500)),
    row_by_number("receiver-answers-every-third-500", "CDR-20", "One of three workers is broken.", |set| {
        set.nth.is_multiple_of(3).then(|| answer(500)).flatten()
    }),
    row("receiver-answers-nothing", "CDR-20", "A handler that forgets to send its answer.", |_| Some(Action::Never)),
    row("receiver-closes-instead-of-answering", "CDR-20", "The end of the connection is taken for the answer.", |_| {
        Some(Action::Close(Point::AfterBody))
    }),
    row("receiver-answers-half", "CDR-20", "It exits before its answer is flushed.", |_| Some(Action::HalfAnswer)),
    row_by_number("receiver-answers-created-at-the-fourth", "CDR-20", "Every fourth set makes a new file.", |set| {
        set.nth.is_multiple_of(4).then(|| answer(201)).flatten()
    }),
    BentReceiver {
        collateral: &[("CDR-22", "a call's end may be the first in a set of several, repeated, or after a gap")],
        ..row(
            "receiver-refuses-call-ends",
            "CDR-20",
            "A call's end without durations in its table breaks the import.",
            |set| has_type(set, "callEnd").then(|| answer(500)).flatten(),
        )
    },
    // ── CDR-21: what is not documented is tolerated ──
    row("receiver-refuses-unknown-types", "CDR-21", "A switch over record types has no default.", |set| {
        set.records.records().any(|record| record.kind().is_none()).then(|| answer(400)).flatten()
    }),
    row("receiver-refuses-unknown-elements", "CDR-21", "A schema that allows no other elements.", |set| {
        set.records.records().any(has_unknown_field).then(|| answer(400)).flatten()
    }),
    row("receiver-refuses-unknown-attributes", "CDR-21", "A schema that allows no other attributes.", |set| {
        set.records.records().any(has_unknown_attribute).then(|| answer(422)).flatten()
    }),
    row("receiver-leaves-at-unknown-types", "CDR-21", "An exception ends the connection.", |set| {
        let unknown = set.records.records().any(|record| record.kind().is_none());
        unknown.then_some(Action::Close(Point::AfterBody))
    }),
    row("receiver-refuses-a-stray-attribute-of-the-root", "CDR-21", "Only the root is checked strictly.", |set| {
        let known = |name: &str| records::root_attributes().iter().any(|known| known.name == name);
        set.records.attributes().any(|(name, _)| !known(name)).then(|| answer(500)).flatten()
    }),
    // ── CDR-22: all that may happen is coped with ──
    row("receiver-refuses-several-records", "CDR-22", "Its reader wants one record in a set.", |set| {
        (set.records.records().len() > 1).then(|| answer(413)).flatten()
    }),
    row(
        "receiver-refuses-repeated-records",
        "CDR-22",
        "The index is the key of a table, and keys are unique.",
        |set| set.is_repeated.then(|| answer(409)).flatten(),
    ),
    row("receiver-refuses-gaps", "CDR-22", "It waits for the records that are missing.", |set| {
        set.has_gap.then(|| answer(503)).flatten()
    }),
    row("receiver-refuses-a-new-session", "CDR-22", "The session of the first set is the only one.", |set| {
        set.is_new_session.then(|| answer(400)).flatten()
    }),
    row(
        "receiver-answers-the-first-set-of-a-connection",
        "CDR-22",
        "Its reader stops behind the first request.",
        |set| (set.nth_on_link > 1).then_some(Action::Never),
    ),
    row(
        "receiver-leaves-at-the-second-set",
        "CDR-22",
        "A connection is one set, it thinks, and does not say so.",
        |set| (set.nth_on_link > 1).then_some(Action::Close(Point::AfterBody)),
    ),
    BentReceiver {
        deaf_after_cut: true,
        ..row("receiver-dies-with-its-sender", "CDR-22", "Half a set ends the thread that accepts.", |_| None)
    },
    row("receiver-fails-after-half-a-set", "CDR-22", "The half is left in a buffer that all sets share.", |set| {
        set.is_after_cut.then(|| answer(400)).flatten()
    }),
];

const fn answer(status: u16) -> Option<Action> {
    Some(Action::Answer(Answer { status, after: std::time::Duration::ZERO, close: false, bare: false, location: None }))
}

fn has_type(set: &Arrived<'_>, name: &str) -> bool {
    set.records.records().any(|record| record.type_name() == Some(name))
}

fn has_unknown_field(record: Record<'_>) -> bool {
    let unknown = |field: Field<'_>| field.known().is_none();
    record.kind().is_some() && record.subject().is_some_and(|subject| subject.children().any(unknown))
}

fn has_unknown_attribute(record: Record<'_>) -> bool {
    let known = |name: &str| records::record_attributes().iter().any(|known| known.name == name);
    record.attributes().any(|(name, _)| !known(name))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_each_requirement_has_three() {
        let names: BTreeSet<_> = ALL.iter().map(|one| one.name).collect();
        assert_eq!(names.len(), ALL.len());
        for id in ["CDR-20", "CDR-21", "CDR-22"] {
            assert!(ALL.iter().filter(|one| one.breaks == id).count() >= 3, "{id}");
        }
        assert!(find("receiver-answers-204").is_some() && find("nobody").is_none());
    }
}
