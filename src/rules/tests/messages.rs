//! Envelopes and acknowledgement.

use crate::protocol::events::Resource::{CallRoster, Calls};
use crate::protocol::events::{State, write};
use crate::rules::script::Script;
use crate::trace::{EndCause, Event};

/// A connection with an ordinary subscription to calls.
fn subscribed() -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[(1, Calls, None, &["name"])]);
    script
}

#[test]
fn a_request_is_acknowledged_once_with_success_before_its_effects() {
    for requirement in ["MSG-01", "MSG-03", "MSG-04", "MSG-09", "MSG-10", "MSG-11"] {
        subscribed().meets(requirement);
    }
}

#[test]
fn a_missing_ack_breaks_that_requirement_alone() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[(1, Calls, None, &[])]);
    script.states(1, 1, &[(1, State::Pending)]).states(1, 2, &[(1, State::Active)]);
    assert!(script.due().is_some());
    script.later();
    script.breaks(&["MSG-03"]);
}

#[test]
fn a_missing_ack_of_a_hundred_subscriptions_is_about_the_limit_only_if_others_are_acknowledged() {
    let set: Vec<(u64, crate::protocol::events::Resource, Option<u32>, &[&str])> =
        (201..=300).map(|n| (n, crate::protocol::events::Resource::CallInfo, Some(n as u32), &[][..])).collect();
    let mut script = subscribed();
    script.asks(1, 101, &set).later();
    script.breaks(&["LIM-04"]);
    let mut script = Script::server();
    script.open(1).asks(1, 101, &set).later();
    script.breaks(&["MSG-03"]);
}

#[test]
fn time_that_the_harness_lost_is_not_the_servers() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[(1, Calls, None, &[])]).wait_ms(6000);
    script.observe(Event::HarnessLate { by: std::time::Duration::from_secs(6) });
    script.acks(1, 100);
    script.breaks(&[]);
}

#[test]
fn acks_that_are_wrong_are_told_apart() {
    let ack = |id: u64, status: &str| write::ack(id, status);
    let mut script = subscribed();
    script.acks(1, 100);
    script.breaks(&["MSG-03"]);
    let mut script = subscribed();
    script.says(1, &ack(777, "success"));
    script.breaks(&["MSG-10"]);
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[(1, Calls, None, &[])]).says(1, &ack(100, "failure"));
    script.breaks(&["MSG-04"]);
    let mut script = Script::server();
    script
        .open(1)
        .asks(1, 100, &[(1, Calls, None, &[])])
        .says(1, &write::subscription_update(1, &[(1, State::Pending)]));
    script.acks(1, 100);
    script.breaks(&["MSG-11"]);
    let mut script = subscribed();
    script.says(1, r#"{"type":"messageAck","messageAck":{"messageId":100}}"#);
    script.breaks(&["MSG-01"]);
}

#[test]
fn a_server_that_leaves_instead_of_acknowledging_is_blamed() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[(1, Calls, None, &[])]).ends(1, EndCause::PeerClosed);
    script.breaks(&["MSG-03"]);
}

#[test]
fn what_cannot_be_understood_is_never_granted() {
    let senseless = r#"{"type":"message","message":{"messageId":200,"type":"whatIsThis"}}"#;
    let mut script = subscribed();
    script.client(1, senseless).says(1, &write::ack(200, "failure"));
    script.meets("MSG-05");
    let mut script = subscribed();
    script.client(1, senseless).acks(1, 200);
    script.breaks(&["MSG-05"]);
    let mut script = subscribed();
    script.client(1, r#"{"type":"message","message":{"messageId":200,"#).acks(1, 200);
    script.breaks(&["MSG-05"]);
    let mut script = subscribed();
    script.client(1, "no json").later();
    script.meets("MSG-05");
}

#[test]
fn messages_are_held_back_while_an_ack_is_withheld() {
    let stimuli = |script: &mut Script, messages: u64| {
        for n in 0..120 {
            script.starts_call(n, "name=x");
            if u64::from(n) < messages {
                script.says(1, &write::subscription_update(500 + u64::from(n), &[(1, State::Active)]));
            }
        }
        script.wait_ms(500).client(1, &write::ack(500, "success"));
    };
    let mut script = subscribed();
    stimuli(&mut script, 1);
    script.meets("MSG-07");
    let mut script = subscribed();
    stimuli(&mut script, 120);
    script.breaks(&["MSG-07"]);
}

#[test]
fn the_same_id_twice_is_wrong_only_while_it_is_not_acknowledged() {
    let mut script = subscribed();
    let text = write::subscription_update(7, &[(1, State::Active)]);
    script.says(1, &text).says(1, &text);
    script.breaks(&["MSG-09"]);
    let mut script = subscribed();
    script.tells(1, 7, &text).tells(1, 7, &text);
    script.meets("MSG-09");
}

#[test]
fn equal_ids_on_both_sides_confuse_nothing() {
    let collide = |script: &mut Script, acked: bool| {
        script.says(1, &write::subscription_update(300, &[(1, State::Active)]));
        script.asks(1, 300, &[(1, Calls, None, &["name"])]);
        if acked {
            script.acks(1, 300);
        }
        script.client(1, &write::ack(300, "success"));
    };
    let mut script = subscribed();
    collide(&mut script, true);
    script.meets("MSG-08");
    let mut script = subscribed();
    collide(&mut script, false);
    script.later();
    script.breaks(&["MSG-08"]);
}

#[test]
fn a_second_ack_with_an_id_of_the_server_is_one_of_an_ack_only_where_acks_are_acknowledged() {
    let twice = |script: &mut Script| {
        script.says(1, &write::subscription_update(101, &[(1, State::Active)]));
        script.asks(1, 101, &[(1, Calls, None, &["name"])]).client(1, &write::ack(101, "success"));
        script.acks(1, 101).acks(1, 101);
    };
    let mut script = subscribed();
    twice(&mut script);
    script.breaks(&["MSG-03"]);
    let mut script = subscribed();
    twice(&mut script);
    script.acks(1, 1_000_001);
    script.breaks(&["MSG-10"]);
}

#[test]
fn a_request_that_is_refused_for_an_element_of_later_releases_accuses_that_element() {
    for (elements, broken) in [
        (&["canMoveToLobby"][..], "UPD-13"),
        (&["movedParticipant", "name"], "UPD-12"),
        (&["canMove", "canMoveToLobby"], "MSG-04"),
        (&["name"], "MSG-04"),
    ] {
        let mut script = subscribed();
        script.asks(1, 101, &[(2, CallRoster, Some(1), elements)]).says(1, &write::ack(101, "failure"));
        script.breaks(&[broken]);
    }
}
