//! Requests that are irregular or refused, and what is known of an index after them; what is due of one that is
//! followed by others; that what is remembered is bounded.

use std::collections::BTreeSet;

use crate::protocol::events::Resource::{self, CallInfo, CallRoster, Calls};
use crate::protocol::events::State::{Active, Deactivated, Pending};
use crate::protocol::events::write;
use crate::rules::book::{Book, Special};
use crate::rules::request::{Parts, Wanted};
use crate::rules::script::Script;
use crate::time::Instant;
use crate::trace::Seq;

type One<'s> = (u64, Resource, Option<u32>, &'s [&'s str]);

const CALLS: One<'_> = (1, Calls, None, &["name"]);
/// Another subscription of the same index.
const OTHER: One<'_> = (1, Calls, None, &["participants"]);
const INFO: One<'_> = (2, CallInfo, Some(1), &["name"]);
/// What one request cannot ask for at once: the same resource under two indexes.
const TWICE: [One<'_>; 2] = [(5, CallInfo, Some(7), &[]), (6, CallInfo, Some(7), &[])];

fn subscribed() -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    script
}

impl Script {
    fn refuses(&mut self, id: u64, set: &[One<'_>]) -> &mut Self {
        self.asks(1, id, set).says(1, &write::ack(id, "failure"))
    }

    fn grants(&mut self, id: u64, set: &[One<'_>]) -> &mut Self {
        self.asks(1, id, set).acks(1, id)
    }
}

#[test]
fn an_index_that_was_asked_for_otherwise_in_vain_may_be_what_it_was() {
    // The server takes the last request for a repetition, and says nothing.
    let repeated = || {
        let mut script = subscribed();
        script.refuses(101, &[OTHER]).grants(102, &[CALLS]).later();
        script
    };
    repeated().breaks(&[]);
    // Once it was left out, it is as new.
    let mut script = repeated();
    script.grants(103, &[]).states(1, 1, &[(1, Deactivated)]).grants(104, &[CALLS]).later();
    script.breaks(&["SUB-06"]);
}

#[test]
fn words_of_what_an_irregular_request_concerned_accuse_nobody() {
    // Of the one whose index it took.
    let mut script = subscribed();
    script.refuses(101, &[OTHER]).grants(102, &[]).states(1, 1, &[(1, Deactivated)]);
    script.breaks(&[]);
    // Of one that it was granted in part.
    let mut script = subscribed();
    script.asks(1, 101, &TWICE).states(1, 1, &[(5, Pending)]).says(1, &write::ack(101, "failure"));
    script.grants(102, &[CALLS]).states(1, 2, &[(5, Deactivated)]);
    script.breaks(&[]);
    // Of one that took the index, before another took it.
    let mut script = subscribed();
    script.grants(101, &[OTHER]).grants(102, &[]).states(1, 1, &[(1, Deactivated)]);
    script.refuses(103, &[TWICE[0], (1, CallInfo, Some(7), &[])]).grants(104, &[]).states(1, 2, &[(1, Pending)]);
    script.breaks(&[]);
}

#[test]
fn an_end_that_is_told_late_is_that_of_the_one_before_an_irregular_request() {
    let again = [(1, CallInfo, Some(7), &[][..]), TWICE[1]];
    let late = || {
        let mut script = subscribed();
        script.grants(101, &[]).refuses(102, &again);
        script
    };
    let mut script = late();
    script.grants(103, &[]).states(1, 1, &[(1, Deactivated)]);
    script.breaks(&[]);
    let mut script = late();
    script.grants(103, &[CALLS]).states(1, 1, &[(1, Deactivated)]).states(1, 2, &[(1, Pending)]);
    script.states(1, 3, &[(1, Active)]);
    script.breaks(&[]);
}

#[test]
fn what_was_refused_in_whole_is_new_when_it_is_asked_for_again() {
    let many: Vec<One<'_>> = (201..=301).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    let mut script = subscribed();
    script.refuses(101, &many).grants(102, &[CALLS, many[0]]).later();
    script.breaks(&["LIM-06"]);
}

#[test]
fn a_request_that_was_refused_keeps_nothing() {
    let noted = |script: Script| {
        let judgement = script.finish();
        assert!(judgement.findings.is_empty(), "{judgement:#?}");
        judgement.characteristics.iter().any(|seen| seen.name == "kept-subscription-reported-again")
    };
    let mut script = subscribed();
    script.refuses(101, &[CALLS, TWICE[0], TWICE[1]]).states(1, 1, &[(1, Active)]);
    assert!(!noted(script));
    let mut script = subscribed();
    script.grants(101, &[CALLS]).states(1, 1, &[(1, Active)]);
    assert!(noted(script));
}

#[test]
fn an_index_that_nothing_was_said_of_is_used_again_all_the_same() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).asks(1, 101, &[OTHER]).acks(1, 100).later();
    script.breaks(&[]);
}

#[test]
fn a_hundred_are_within_the_limit() {
    let hundred: Vec<One<'_>> = (201..=300).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    let mut script = subscribed();
    script.grants(101, &hundred).states(1, 1, &[(1, Deactivated)]).later();
    script.breaks(&["LIM-04"]);
}

#[test]
fn once_quick_requests_were_undone_nothing_is_known() {
    let mut script = Script::server();
    script.open(1).subscribed(1, 99, &[(8, Calls, None, &[])]).asks(1, 100, &[(8, Calls, None, &[]), INFO]);
    script.asks(1, 101, &[INFO]).acks(1, 100).acks(1, 101);
    script.states(1, 1, &[(8, Deactivated), (2, Pending)]).states(1, 2, &[(2, Active)]).states(1, 3, &[(8, Pending)]);
    script.grants(102, &[INFO, (9, Calls, None, &[])]).later();
    script.breaks(&["SUB-16"]);
}

#[test]
fn after_an_irregular_request_nothing_is_overdue() {
    let mut script = subscribed();
    script.grants(101, &[]).grants(102, &TWICE).later();
    script.breaks(&[]);
    // Nor of an index that it used again.
    let mut script = subscribed();
    script.grants(101, &[]).grants(102, &[(1, CallInfo, Some(7), &[]), TWICE[1]]).later();
    script.breaks(&[]);
}

#[test]
fn once_the_general_rule_was_missed_nothing_is_laid_to_a_special_one() {
    let many: Vec<One<'_>> =
        std::iter::once(CALLS).chain((201..=299).map(|n| (n, CallInfo, Some(n as u32), &[][..]))).collect();
    let mut script = subscribed();
    script.grants(101, &[CALLS, INFO]).later().grants(102, &many).later();
    script.breaks(&["SUB-06"]);
    // The same for ends: one that was told, one that was not, and one amid quick requests.
    let mut script = subscribed();
    script.grants(101, &[]).states(1, 1, &[(1, Deactivated)]).subscribed(1, 102, &[CALLS]).grants(103, &[]).later();
    let five = (5, Calls, None, &["name"][..]);
    script.subscribed(1, 104, &[five]).asks(1, 105, &[five, INFO]).asks(1, 106, &[]).acks(1, 105).acks(1, 106).later();
    script.breaks(&["SUB-07"]);
}

#[test]
fn the_end_of_a_conference_is_overdue_once() {
    let mut script = Script::server();
    script.open(1).starts_call(1, "").subscribed(1, 100, &[INFO]).ends_call(1).later().later();
    let judgement = script.finish();
    let counts: Vec<_> = judgement.finding_counts.iter().map(|(id, count)| (id.as_str(), *count)).collect();
    assert_eq!(counts, [("SUB-13", 1)]);
}

#[test]
fn a_refusal_is_laid_to_the_elements_that_a_request_names_itself() {
    const ROSTER: One<'_> = (2, CallRoster, Some(1), &["canMove"]);
    // A request that is granted before it does not name it.
    let mut script = subscribed();
    script.asks(1, 101, &[CALLS, ROSTER]).asks(1, 102, &[CALLS]).acks(1, 102).says(1, &write::ack(101, "failure"));
    script.breaks(&["UPD-12"]);
    // One that repeats it does.
    let mut script = subscribed();
    script.asks(1, 101, &[CALLS, ROSTER]).asks(1, 102, &[CALLS, ROSTER]);
    for id in [101, 102] {
        script.says(1, &write::ack(id, "failure"));
    }
    let judgement = script.finish();
    assert_eq!(judgement.finding_counts.values().sum::<u64>(), 2, "{judgement:#?}");
    assert!(judgement.findings.iter().all(|finding| finding.requirement.as_str() == "UPD-12"), "{judgement:#?}");
}

#[test]
fn an_id_is_given_out_again_though_higher_ones_were() {
    for again in [5, 6] {
        let mut script = subscribed();
        for id in [5, 6, again] {
            script.says(1, &write::subscription_update(id, &[(1, Active)]));
        }
        script.breaks(&["MSG-09"]);
    }
}

/// Enters a regular request for one subscription with this index.
fn enters(book: &mut Book, index: u64) -> u32 {
    let wanted = vec![Wanted { index, resource: CallInfo, call: None, mask: 0 }];
    book.enter(Parts { wanted, entries: 1, flaws: BTreeSet::new() }, Special::None, Instant::ZERO, Seq(index), 0)
}

#[test]
fn a_request_that_was_refused_leaves_out_what_one_before_it_did() {
    let mut book = Book::default();
    enters(&mut book, 1);
    enters(&mut book, 2);
    let refused = enters(&mut book, 3);
    let left = |book: &Book| [1, 2].map(|index| book.slots[&index].left.is_some());
    assert_eq!(left(&book), [true, true]);
    book.refused(refused, true);
    assert_eq!(left(&book), [true, false]);
}

#[test]
fn requests_and_what_ended_are_forgotten() {
    let mut book = Book::default();
    let mut seq = 0;
    let mut enter = |book: &mut Book| {
        seq += 1;
        enters(book, seq);
        for slot in book.slots.values_mut() {
            if let Some(left) = &mut slot.left {
                left.reported = Some(Seq(seq));
            }
        }
    };
    for _ in 0..1024 {
        enter(&mut book);
    }
    assert_eq!(book.requests.len(), 1024);
    for _ in 0..1024 {
        enter(&mut book);
    }
    assert_eq!((book.requests.len(), book.slots.len()), (1024, 2048));
    enter(&mut book);
    assert_eq!((book.requests.len(), book.slots.len()), (1024, 1025));
}
