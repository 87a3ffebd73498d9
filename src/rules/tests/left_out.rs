//! Subscriptions that are left out, asked for again or deactivated: which words are about an older one of the same index,
//! and which requirement a deactivation without a cause breaks.

use crate::protocol::events::Resource::{self, CallInfo, CallRoster, Calls};
use crate::protocol::events::State::{Active, Deactivated, Pending};
use crate::protocol::events::{UpdateType, write};
use crate::rules::script::{Script, guid};
use crate::trace::EndCause;

type One<'s> = (u64, Resource, Option<u32>, &'s [&'s str]);

const CALLS: One<'_> = (1, Calls, None, &["name"]);
const INFO: One<'_> = (2, CallInfo, Some(1), &["name"]);
/// One to a call that nothing has shown.
const UNKNOWN: One<'_> = (3, CallInfo, Some(7), &[]);

fn calls_update(id: u64, index: u64) -> String {
    let entry = write::entry(Calls, &guid(1), UpdateType::Add, serde_json::Map::new());
    write::list_update(id, Calls, index, vec![entry])
}

/// A connection with call 1 under way and subscriptions to it.
fn with_call(set: &[One<'_>]) -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 99, &[]).starts_call(1, "").subscribed(1, 100, set);
    script
}

/// A connection that is subscribed to calls.
fn subscribed() -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    script
}

#[test]
fn what_ended_before_it_was_asked_for_under_another_index_was_not_moved() {
    let mut script = subscribed();
    script.starts_call(1, "").tells(1, 1, &calls_update(1, 1)).asks(1, 101, &[INFO]).acks(1, 101);
    script.states(1, 2, &[(1, Deactivated), (2, Pending)]).states(1, 3, &[(2, Active)]);
    script.asks(1, 102, &[INFO, (9, Calls, None, &["name"])]).acks(1, 102);
    script.states(1, 4, &[(9, Pending)]).states(1, 5, &[(9, Active)]).tells(1, 6, &calls_update(6, 1));
    script.breaks(&["SUB-03"]);
}

#[test]
fn the_end_of_a_calls_subscription_is_laid_to_what_happened_just_before() {
    let kept = |between: fn(&mut Script)| {
        let mut script = with_call(&[CALLS]);
        script.tells(1, 3, &calls_update(3, 1)).ends_call(1);
        between(&mut script);
        script.asks(1, 101, &[CALLS]).acks(1, 101).states(1, 5, &[(1, Deactivated)]);
        script
    };
    kept(|script| _ = script.starts_call(2, "")).breaks(&["SUB-15"]);
    kept(|script| _ = script.starts_call(2, "").wait_ms(2000)).breaks(&["SUB-10"]);
    kept(|script| _ = script.wait_ms(2000)).breaks(&["SUB-15"]);
    let mut script = subscribed();
    script.asks(1, 101, &[CALLS]).acks(1, 101).states(1, 5, &[(1, Deactivated)]);
    script.breaks(&["SUB-10"]);
}

#[test]
fn the_end_of_a_conference_is_no_early_effect_of_a_request() {
    let mut script = with_call(&[CALLS, INFO]);
    script.ends_call(1).asks(1, 101, &[CALLS]).states(1, 5, &[(2, Deactivated)]).acks(1, 101);
    script.breaks(&[]);
}

#[test]
fn one_that_is_deactivated_without_a_cause_is_laid_to_another_only_where_that_has_no_conference() {
    let asked = |other: One<'_>| {
        let mut script = Script::server();
        script.open(1).subscribed(1, 99, &[]).starts_call(1, "").asks(1, 100, &[CALLS, other]).acks(1, 100);
        script.states(1, 1, &[(1, Pending), (other.0, Pending)]);
        script
    };
    let mut script = asked(INFO);
    script.states(1, 2, &[(2, Active)]).states(1, 3, &[(1, Deactivated)]);
    script.breaks(&["SUB-15"]);
    let mut script = asked(INFO);
    script.states(1, 2, &[(2, Active)]).ends_call(1).states(1, 3, &[(2, Deactivated)]).states(
        1,
        4,
        &[(1, Deactivated)],
    );
    script.breaks(&["SUB-15"]);
    let mut script = asked((3, CallRoster, Some(7), &[]));
    script.states(1, 2, &[(3, Deactivated)]).states(1, 3, &[(1, Deactivated)]);
    script.breaks(&["SUB-14"]);
    // Requests that settle one after the other are not in quick succession.
    let mut script = with_call(&[INFO]);
    script.asks(1, 101, &[INFO, CALLS]).acks(1, 101).states(1, 5, &[(1, Pending)]).states(1, 6, &[(1, Deactivated)]);
    script.breaks(&["SUB-15"]);
}

#[test]
fn the_end_of_an_older_subscription_is_not_that_of_the_one_left_out() {
    let twice = || {
        let mut script = subscribed();
        script.asks(1, 101, &[]).asks(1, 102, &[CALLS]).asks(1, 103, &[]).acks(1, 101).acks(1, 102).acks(1, 103);
        script.states(1, 1, &[(1, Deactivated)]).states(1, 2, &[(1, Pending)]).states(1, 3, &[(1, Active)]);
        script.states(1, 4, &[(1, Deactivated)]);
        script
    };
    twice().breaks(&[]);
    let mut script = twice();
    script.states(1, 5, &[(1, Pending)]);
    script.breaks(&["SUB-16"]);
}

#[test]
fn an_index_that_is_left_out_is_not_mentioned_later() {
    let mut script = with_call(&[CALLS, INFO]);
    script.tells(1, 3, &calls_update(3, 1)).asks(1, 101, &[INFO]).acks(1, 101).later().states(1, 5, &[(1, Pending)]);
    script.breaks(&["SUB-04", "SUB-07"]);
}

#[test]
fn ends_that_quick_requests_leave_unreported_are_theirs_once_plain_ones_were_reported() {
    // The second request comes before the first is settled.
    let quick = |script: &mut Script, id: u64, index: u64| {
        let (_, resource, call, elements) = UNKNOWN;
        script.asks(1, id, &[CALLS, (index, resource, call, elements)]).asks(1, id + 1, &[]);
        script.acks(1, id).acks(1, id + 1);
    };
    let mut script = subscribed();
    quick(&mut script, 101, 3);
    script.states(1, 5, &[(1, Deactivated)]).subscribed(1, 103, &[CALLS]);
    quick(&mut script, 104, 4);
    script.later();
    script.breaks(&["SUB-07"]);
    let mut script = subscribed();
    script.asks(1, 101, &[]).acks(1, 101).states(1, 5, &[(1, Deactivated)]).subscribed(1, 102, &[CALLS]);
    quick(&mut script, 103, 3);
    script.later();
    script.breaks(&["SUB-16"]);
}

#[test]
fn beyond_the_limit_counts_what_is_granted_and_active() {
    let many: Vec<One<'_>> = (1..=101).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    let active = |count: u64| (1..=count).map(|n| (n, Active)).collect::<Vec<_>>();
    let mut script = Script::server();
    script.open(1).asks(1, 100, &many).says(1, &write::ack(100, "failure")).states(1, 1, &active(101));
    script.ends(1, EndCause::Closed);
    script.breaks(&[]);
    // One that was left out before does not count.
    let mut script = Script::server();
    script.open(1).subscribed(1, 99, &[(200, Calls, None, &[])]).asks(1, 100, &[]).acks(1, 100);
    script.asks(1, 101, &many).acks(1, 101).states(1, 1, &active(100)).ends(1, EndCause::Closed);
    script.breaks(&[]);
}

#[test]
fn many_subscriptions_are_served_once_they_settle() {
    let many: Vec<One<'_>> = (1..=60).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    let mut script = Script::server();
    script.open(1).asks(1, 100, &many).acks(1, 100).asks(1, 101, &many).acks(1, 101);
    assert_eq!(script.times_tested("LIM-04"), 0);
}

#[test]
fn what_an_older_subscription_was_does_not_settle_the_new_one() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).asks(1, 101, &[]).asks(1, 102, &[CALLS]);
    script.states(1, 1, &[(1, Pending)]).states(1, 2, &[(1, Active)]).states(1, 3, &[(1, Deactivated)]);
    script.acks(1, 101).acks(1, 102).states(1, 4, &[(1, Pending)]);
    assert_eq!(script.times_tested("SUB-06"), 0);
}

#[test]
fn a_repetition_after_the_end_of_the_conference_has_its_own_time() {
    let mut script = with_call(&[INFO]);
    script.ends_call(1).wait_ms(4000).asks(1, 101, &[INFO]).acks(1, 101).states(1, 5, &[(2, Pending)]);
    script.wait_ms(2000).starts_call(2, "").states(1, 6, &[(2, Deactivated)]);
    script.breaks(&[]);
}

#[test]
fn an_update_may_still_be_one_of_an_older_subscription() {
    let mut script = subscribed();
    script.starts_call(1, "").asks(1, 101, &[]).asks(1, 102, &[CALLS]).tells(1, 1, &calls_update(1, 1));
    script.breaks(&[]);
}
