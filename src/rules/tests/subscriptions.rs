//! States of subscriptions and what requests do to them.

use crate::protocol::events::Resource::{self, CallInfo, CallRoster, Calls};
use crate::protocol::events::State::{Active, Deactivated, Pending};
use crate::protocol::events::write;
use crate::protocol::http::{Method, Request, Response};
use crate::protocol::ws::frame::{Header, Opcode};
use crate::rules::script::{Script, guid};
use crate::trace::{EndCause, Side};

type Set<'s> = &'s [(u64, Resource, Option<u32>, &'s [&'s str])];

const CALLS: (u64, Resource, Option<u32>, &[&str]) = (1, Calls, None, &["name"]);

fn calls_update(id: u64, index: u64) -> String {
    let fields = serde_json::Map::new();
    let entry = write::entry(Calls, &guid(1), crate::protocol::events::UpdateType::Add, fields);
    write::list_update(id, Calls, index, vec![entry])
}

/// A connection with call 1 under way and subscriptions to it.
fn with_call(set: Set<'_>) -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 99, &[]).starts_call(1, "").subscribed(1, 100, set);
    script
}

#[test]
fn a_subscription_is_pending_then_active() {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    script.meets("SUB-01");
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).states(1, 1, &[(1, Active)]);
    script.breaks(&["SUB-01"]);
}

#[test]
fn states_move_only_along() {
    for (states, broken) in [
        (&[Pending, Active, Pending][..], &["SUB-05"][..]),
        (&[Pending, Active, Active], &[]),
        (&[Pending, Pending, Active], &[]),
    ] {
        let mut script = Script::server();
        script.open(1).asks(1, 100, &[CALLS]).acks(1, 100);
        for (id, state) in states.iter().enumerate() {
            script.states(1, id as u64 + 1, &[(1, *state)]);
        }
        script.breaks(broken);
    }
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100);
    script.says(1, r#"{"type":"message","message":{"messageId":1,"type":"subscriptionUpdate","subscriptions":[{"index":1,"state":"ready"}]}}"#);
    script.breaks(&["SUB-05"]);
}

#[test]
fn updates_come_only_while_a_subscription_is_active() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).states(1, 1, &[(1, Pending)]).tells(1, 2, &calls_update(2, 1));
    script.breaks(&["SUB-02"]);
    let mut script = Script::server();
    script.open(1).tells(1, 2, &calls_update(2, 1));
    script.breaks(&["SUB-09"]);
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]).tells(1, 2, &calls_update(2, 5));
    script.breaks(&["SUB-04"]);
    let mut script = with_call(&[(2, CallInfo, Some(1), &[])]);
    script.ends_call(1).states(1, 5, &[(2, Deactivated)]);
    script.tells(1, 6, &write::call_info_update(6, 2, serde_json::Map::new()));
    script.breaks(&["SUB-03"]);
}

#[test]
fn every_index_settles_in_time() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).states(1, 1, &[(1, Pending)]);
    assert!(script.due().is_some());
    script.later();
    script.breaks(&["SUB-06"]);
}

#[test]
fn a_client_that_owes_acks_cannot_blame_the_server() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).says(1, &write::subscription_update(1, &[(1, Pending)]));
    script.later();
    assert_eq!(script.due(), None);
    script.breaks(&[]);
}

#[test]
fn what_a_request_leaves_out_is_deactivated() {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]).asks(1, 101, &[]).acks(1, 101).states(1, 5, &[(1, Deactivated)]);
    script.meets("SUB-07");
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]).asks(1, 101, &[]).acks(1, 101).later();
    script.breaks(&["SUB-07"]);
}

#[test]
fn an_empty_set_stops_everything() {
    let emptied = || {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[CALLS]).asks(1, 101, &[]).acks(1, 101).states(1, 5, &[(1, Deactivated)]);
        script.starts_call(1, "");
        script
    };
    emptied().meets("SUB-08");
    let mut script = emptied();
    script.tells(1, 6, &calls_update(6, 1));
    script.breaks(&["SUB-08"]);
}

#[test]
fn what_is_under_way_when_a_request_is_acknowledged_is_excepted() {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]).asks(1, 101, &[]).acks(1, 101).tells(1, 6, &calls_update(6, 1));
    script.states(1, 7, &[(1, Deactivated)]);
    script.breaks(&[]);
}

#[test]
fn a_new_connection_starts_with_nothing() {
    let returned = || {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[CALLS]).ends(1, EndCause::Dropped).open(2).starts_call(1, "");
        script
    };
    let mut script = returned();
    script.asks(2, 100, &[CALLS]).acks(2, 100);
    script.meets("SUB-09");
    let mut script = returned();
    script.tells(2, 1, &calls_update(1, 1));
    script.breaks(&["SUB-09"]);
}

#[test]
fn a_kept_subscription_goes_on_untouched() {
    let kept = || {
        let mut script = with_call(&[CALLS]);
        script.tells(1, 3, &calls_update(3, 1)).asks(1, 101, &[CALLS, (2, CallInfo, Some(1), &[])]).acks(1, 101);
        script
    };
    let mut script = kept();
    script.states(1, 5, &[(2, Pending)]).states(1, 6, &[(2, Active)]).changes_call(1, "locked=true");
    script.meets("SUB-10");
    let mut script = kept();
    script.tells(1, 6, &calls_update(6, 1));
    script.breaks(&["SUB-10"]);
    let mut script = kept();
    script.states(1, 5, &[(1, Deactivated)]);
    script.breaks(&["SUB-10"]);
}

#[test]
fn another_index_is_a_new_subscription() {
    let moved = || {
        let mut script = with_call(&[CALLS]);
        script.tells(1, 3, &calls_update(3, 1)).asks(1, 101, &[(9, Calls, None, &["name"])]).acks(1, 101);
        script
    };
    let mut script = moved();
    script.states(1, 5, &[(1, Deactivated), (9, Pending)]).states(1, 6, &[(9, Active)]).tells(
        1,
        7,
        &calls_update(7, 9),
    );
    script.meets("SUB-11");
    let mut script = moved();
    script.states(1, 5, &[(1, Deactivated), (9, Pending)]).states(1, 6, &[(9, Active)]).tells(
        1,
        7,
        &calls_update(7, 9),
    );
    script.tells(1, 8, &calls_update(8, 1));
    script.breaks(&["SUB-11"]);
    let mut script = moved();
    script.states(1, 5, &[(1, Deactivated)]).later();
    script.breaks(&["SUB-11"]);
}

#[test]
fn a_call_that_is_no_conference_is_never_active() {
    let ghost = || {
        let mut script = Script::server();
        let request = Request::new(Method::Get, format!("/api/v1/calls/{}", guid(7)));
        script.open(1).exchange(&request, &Response::new(404));
        script.asks(1, 100, &[(2, CallRoster, Some(7), &[]), CALLS]).acks(1, 100).states(
            1,
            1,
            &[(2, Pending), (1, Pending)],
        );
        script
    };
    let mut script = ghost();
    script.states(1, 2, &[(2, Deactivated)]).states(1, 3, &[(1, Active)]);
    script.meets("SUB-12");
    let mut script = ghost();
    script.states(1, 2, &[(2, Active)]).states(1, 3, &[(1, Active)]);
    script.breaks(&["SUB-12"]);
    let mut script = ghost();
    script.states(1, 2, &[(2, Deactivated)]).states(1, 3, &[(1, Deactivated)]);
    script.breaks(&["SUB-14"]);
}

#[test]
fn one_that_is_deactivated_hinders_no_other() {
    let mut script = Script::server();
    let request = Request::new(Method::Get, format!("/api/v1/calls/{}", guid(7)));
    script.open(1).subscribed(1, 99, &[(5, Calls, None, &[])]).exchange(&request, &Response::new(404));
    script
        .asks(1, 100, &[(5, Calls, None, &[]), (2, CallRoster, Some(7), &[]), (3, CallInfo, Some(1), &[])])
        .acks(1, 100);
    script.states(1, 1, &[(2, Pending), (3, Pending)]).states(1, 2, &[(2, Deactivated)]).later();
    script.breaks(&["SUB-14"]);
}

#[test]
fn the_end_of_a_conference_ends_its_subscriptions() {
    let set: Set<'_> = &[(2, CallInfo, Some(1), &[]), (3, CallRoster, Some(1), &[])];
    let mut script = with_call(set);
    script.ends_call(1).states(1, 5, &[(2, Deactivated), (3, Deactivated)]);
    script.meets("SUB-13");
    let mut script = with_call(set);
    script.ends_call(1).states(1, 5, &[(2, Deactivated)]).later();
    script.breaks(&["SUB-13"]);
}

#[test]
fn only_what_is_subscribed_of_all_calls_outlives_them() {
    let mut script = with_call(&[(2, CallInfo, Some(1), &[]), (3, CallRoster, Some(1), &[])]);
    script.ends_call(1).states(1, 5, &[(2, Deactivated)]).states(1, 6, &[(3, Deactivated)]);
    assert_eq!(script.times_tested("SUB-15"), 0);
    // The end of a call says nothing while `calls` is not active, or where it is not subscribed.
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).states(1, 1, &[(1, Pending)]);
    script.starts_call(1, "").ends_call(1);
    assert_eq!(script.times_tested("SUB-15"), 0);
    let mut script = with_call(&[(2, CallInfo, Some(1), &[])]);
    script.starts_call(2, "").ends_call(2);
    assert_eq!(script.times_tested("SUB-15"), 0);
}

#[test]
fn only_what_changes_after_the_end_of_a_subscription_shows_that_it_is_silent() {
    for (changes_before, changes_after, tested) in [(0, 0, 0), (1, 0, 0), (0, 1, 1), (1, 2, 1)] {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[CALLS]).asks(1, 101, &[]).acks(1, 101);
        (0..changes_before).for_each(|call| _ = script.starts_call(call, ""));
        script.states(1, 5, &[(1, Deactivated)]);
        (0..changes_after).for_each(|call| _ = script.starts_call(10 + call, ""));
        assert_eq!(script.times_tested("SUB-03"), tested, "{changes_before} {changes_after}");
    }
}

#[test]
fn a_calls_subscription_outlives_the_conferences() {
    let mut script = with_call(&[CALLS]);
    script.tells(1, 3, &calls_update(3, 1)).ends_call(1);
    script.meets("SUB-15");
    let mut script = with_call(&[CALLS]);
    script.tells(1, 3, &calls_update(3, 1)).ends_call(1).states(1, 5, &[(1, Deactivated)]);
    script.breaks(&["SUB-15"]);
}

#[test]
fn requests_in_quick_succession_settle_in_order() {
    let quick = || {
        let mut script = Script::server();
        script.open(1).subscribed(1, 99, &[(8, Calls, None, &[])]).asks(1, 100, &[]).asks(1, 101, &[CALLS]);
        script.acks(1, 100).acks(1, 101);
        script
    };
    let mut script = quick();
    script.states(1, 1, &[(8, Deactivated), (1, Pending)]).states(1, 2, &[(1, Active)]);
    script.meets("SUB-16");
    let mut script = quick();
    script.states(1, 1, &[(8, Deactivated)]).later();
    script.breaks(&["SUB-16"]);
}

#[test]
fn a_refused_request_leaves_everything_as_it_was() {
    let mut script = Script::server();
    let set: Vec<(u64, Resource, Option<u32>, &[&str])> =
        (1..=101).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    script.open(1).subscribed(1, 100, &[CALLS]).asks(1, 101, &set).says(1, &write::ack(101, "failure"));
    script.asks(1, 102, &[CALLS]).acks(1, 102);
    script.ends(1, EndCause::Closed);
    script.meets("LIM-05");
}

#[test]
fn a_request_beyond_the_limit_that_is_granted_in_full_warns() {
    let mut script = Script::server();
    let set: Vec<(u64, Resource, Option<u32>, &[&str])> =
        (1..=101).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    script.open(1).subscribed(1, 101, &set).ends(1, EndCause::Closed);
    script.breaks(&["LIM-05"]);
}

#[test]
fn what_comes_after_its_deadline_makes_up_for_nothing() {
    let pending = || {
        let mut script = Script::server();
        script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).states(1, 1, &[(1, Pending)]).wait_ms(6000);
        script
    };
    let mut script = pending();
    script.states(1, 2, &[(1, Active)]);
    script.breaks(&["SUB-06"]);
    let mut script = pending();
    script.frame(1, Side::Client, Header { mask: Some([1; 4]), ..Header::new(Opcode::CLOSE, 0) }, b"");
    script.breaks(&["SUB-06"]);
}

#[test]
fn after_a_request_that_is_refused_wrongly_nothing_is_known() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).says(1, &write::ack(100, "ok")).states(1, 1, &[(1, Active)]);
    script.tells(1, 2, &calls_update(2, 1)).tells(1, 3, &calls_update(3, 5)).later();
    script.breaks(&["MSG-04"]);
}

#[test]
fn what_an_update_out_of_turn_told_is_not_held_against_the_server_again() {
    let mut script = Script::server();
    script.open(1).starts_call(1, "").asks(1, 100, &[CALLS]).acks(1, 100).states(1, 1, &[(1, Pending)]);
    script.tells(1, 2, &calls_update(2, 1)).states(1, 3, &[(1, Active)]).later().compared(&[(1, "<name>n</name>")]);
    script.breaks(&["SUB-02"]);
}

#[test]
fn a_subscription_that_starts_over_breaks_its_keeping_only_around_a_new_request() {
    let kept = || {
        let mut script = with_call(&[CALLS]);
        script.tells(1, 3, &calls_update(3, 1)).asks(1, 101, &[CALLS]).acks(1, 101);
        script
    };
    let mut script = kept();
    script.states(1, 5, &[(1, Pending)]).states(1, 6, &[(1, Active)]).tells(1, 7, &calls_update(7, 1));
    script.breaks(&["SUB-10"]);
    let mut script = kept();
    script.wait_ms(2000).states(1, 5, &[(1, Pending)]).states(1, 6, &[(1, Active)]);
    script.breaks(&["SUB-05"]);
}

#[test]
fn what_was_left_out_and_ended_does_not_come_back() {
    const INFO: (u64, Resource, Option<u32>, &[&str]) = (2, CallInfo, Some(1), &["name"]);
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]).asks(1, 101, &[]).acks(1, 101);
    script.states(1, 1, &[(1, Deactivated)]).states(1, 2, &[(1, Pending)]);
    script.breaks(&["SUB-05"]);
    let mut script = Script::server();
    script.open(1).subscribed(1, 99, &[(8, Calls, None, &[])]).asks(1, 100, &[(8, Calls, None, &[]), INFO]);
    script.asks(1, 101, &[INFO]);
    script.acks(1, 100).acks(1, 101).states(1, 1, &[(8, Deactivated), (2, Pending)]).states(1, 2, &[(2, Active)]);
    script.states(1, 3, &[(8, Pending)]).states(1, 4, &[(2, Pending)]);
    script.breaks(&["SUB-16"]);
}

#[test]
fn words_of_an_older_subscription_of_the_same_index_accuse_nobody() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).asks(1, 101, &[]).asks(1, 102, &[CALLS]).acks(1, 100).acks(1, 101);
    script.states(1, 1, &[(1, Pending)]).states(1, 2, &[(1, Deactivated)]).acks(1, 102);
    script.states(1, 3, &[(1, Pending)]).states(1, 4, &[(1, Active)]);
    script.breaks(&[]);
}

#[test]
fn a_calls_subscription_that_ends_with_the_last_conference_was_not_ended_by_a_new_request() {
    let mut script = with_call(&[CALLS]);
    script.tells(1, 3, &calls_update(3, 1)).ends_call(1).asks(1, 101, &[CALLS]).acks(1, 101);
    script.states(1, 5, &[(1, Deactivated)]);
    script.breaks(&["SUB-15"]);
}

#[test]
fn an_end_that_quick_requests_do_not_report_is_about_the_general_rule_until_others_were_reported() {
    let quick = |script: &mut Script| {
        script.asks(1, 103, &[(9, Calls, None, &["name"])]).asks(1, 104, &[]).acks(1, 103).acks(1, 104);
        script.states(1, 30, &[(9, Pending)]).later();
    };
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    quick(&mut script);
    script.breaks(&["SUB-07"]);
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[(2, CallInfo, Some(1), &[])]).asks(1, 101, &[]).acks(1, 101);
    script.states(1, 20, &[(2, Deactivated)]).subscribed(1, 102, &[CALLS]).asks(1, 103, &[]);
    script.asks(1, 104, &[(9, Calls, None, &["name"])]).asks(1, 105, &[]).acks(1, 103).acks(1, 104).acks(1, 105);
    script.states(1, 30, &[(1, Deactivated), (9, Pending)]).states(1, 31, &[(9, Active)]).later();
    script.breaks(&[]);
}
