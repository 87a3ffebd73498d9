//! Comparisons with the API, of resources and of clients: which requirement a difference breaks, and what is none.

use serde_json::{Map, Value, json};

use crate::protocol::events::Resource::{self, CallInfo, CallRoster, Calls};
use crate::protocol::events::State::{Active, Deactivated, Pending};
use crate::protocol::events::UpdateType::{self, Add, Remove, Update};
use crate::protocol::events::write;
use crate::protocol::http::{Method, Request, Response};
use crate::rules::script::{Script, guid};
use crate::rules::verdict::Judgement;
use crate::trace::Event;

type One<'s> = (u64, Resource, Option<u32>, &'s [&'s str]);

const CALLS: One<'_> = (1, Calls, None, &["name"]);
const INFO: One<'_> = (2, CallInfo, Some(1), &["name"]);

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn calls(script: &mut Script, connection: u32, call: u32, id: u64, kind: UpdateType, value: Value) {
    let entry = write::entry(Calls, &guid(call), kind, fields(value));
    script.tells(connection, id, &write::list_update(id, Calls, 1, vec![entry]));
}

fn roster(script: &mut Script, connection: u32, participant: u32, id: u64, kind: UpdateType, value: Value) {
    let entry = write::entry(CallRoster, &guid(participant), kind, fields(value));
    script.tells(connection, id, &write::list_update(id, CallRoster, 1, vec![entry]));
}

/// Reads a participant of call 1.
fn reads(script: &mut Script, participant: u32, state: &str, more: &str) {
    let body = format!(
        "<participant id=\"{}\"><call>{}</call><status><state>{state}</state></status>{more}</participant>",
        guid(participant),
        guid(1)
    );
    let request = Request::new(Method::Get, format!("/api/v1/participants/{}", guid(participant)));
    script.exchange(&request, &Response { body: body.into(), ..Response::new(200) });
}

/// A snapshot of what `read` reads.
fn snapshot(script: &mut Script, read: impl FnOnce(&mut Script)) {
    let since = script.observe(Event::StepStarted { number: 1, text: "compare" });
    read(script);
    script.observe(Event::Snapshot { since });
}

fn count(judgement: &Judgement, requirement: &str) -> u64 {
    judgement.finding_counts.iter().find(|(id, _)| id.as_str() == requirement).map_or(0, |(_, count)| *count)
}

/// Call 1 is told to connection 1 by `add`.
fn told(first: Value) -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]).starts_call(1, "");
    calls(&mut script, 1, 1, 1, Add, first);
    script
}

#[test]
fn a_contradiction_between_clients_is_charged_once() {
    let mut script = Script::server();
    let set: &[One<'_>] = &[(1, Calls, None, &["name", "lockState"])];
    script.open(1).open(2).subscribed(1, 100, set).subscribed(2, 100, set).starts_call(1, "");
    for connection in [1, 2] {
        calls(&mut script, connection, 1, 1, Add, json!({"name": "n", "lockState": "notLocked"}));
    }
    script.changes_call(1, "name=m").changes_call(1, "locked=true");
    let changes = [json!({"name": "m"}), json!({"lockState": "locked"})];
    for (id, change) in changes.iter().enumerate() {
        calls(&mut script, 1, 1, id as u64 + 2, Update, change.clone());
    }
    for (id, change) in changes.iter().rev().enumerate() {
        calls(&mut script, 2, 1, id as u64 + 2, Update, change.clone());
    }
    let call: &[(u32, &str)] = &[(1, "<name>m</name><locked>true</locked>")];
    script.snapshot(call).snapshot(call);
    assert_eq!(count(&script.finish(), "UPD-16"), 1);
}

/// Two clients that are told the same of calls 1 and 2, then these changes, message by message.
fn orders(first: &[(u32, Value)], second: &[(u32, Value)]) -> Script {
    let mut script = Script::server();
    let set: &[One<'_>] = &[(1, Calls, None, &["name", "lockState"])];
    script.open(1).open(2).subscribed(1, 100, set).subscribed(2, 100, set).starts_call(1, "").starts_call(2, "");
    for connection in [1, 2] {
        for call in [1, 2] {
            let id = u64::from(call);
            calls(&mut script, connection, call, id, Add, json!({"name": "n", "lockState": "notLocked"}));
        }
    }
    for form in ["locked=true", "name=m", "locked=false", "locked=true"] {
        script.changes_call(1, form).changes_call(2, form);
    }
    for (connection, changes) in [(1, first), (2, second)] {
        for (id, (call, change)) in changes.iter().enumerate() {
            calls(&mut script, connection, *call, id as u64 + 3, Update, change.clone());
        }
    }
    script
}

#[test]
fn an_order_is_another_only_where_both_saw_the_same_changes_of_one_call() {
    let (name, lock, open) = (json!({"name": "m"}), json!({"lockState": "locked"}), json!({"lockState": "notLocked"}));
    // The first saw the call locked for the second time only.
    let often = [(1, lock.clone()), (1, name.clone()), (1, open), (1, lock.clone())];
    let once = [(1, name.clone()), (1, lock.clone())];
    for (first, second) in [(&once[..], &often[..]), (&often, &once)] {
        let mut script = orders(first, second);
        script.snapshot(&[(1, ""), (2, "")]);
        script.breaks(&[]);
    }
    // Different calls.
    let mut script = orders(&[(1, name.clone()), (2, lock.clone())], &[(2, lock.clone()), (1, name.clone())]);
    script.snapshot(&[(1, ""), (2, "")]);
    script.breaks(&[]);
    // What one message tells has no order.
    let both = [(1, json!({"name": "m", "lockState": "locked"}))];
    for single in [[(1, name.clone()), (1, lock.clone())], [(1, lock), (1, name)]] {
        for (first, second) in [(&both[..], &single[..]), (&single, &both)] {
            let mut script = orders(first, second);
            script.snapshot(&[(1, ""), (2, "")]);
            script.breaks(&[]);
        }
    }
}

#[test]
fn with_five_connections_open_only_silence_is_laid_to_their_number() {
    // Connection 1 subscribes before the others are there.
    let crowd = |sixth: bool, told_before: bool| {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[CALLS]);
        (2..=5).for_each(|connection| _ = script.open(connection));
        if sixth {
            script.refused(6, 503);
        }
        script.subscribed(5, 100, &[(1, Calls, None, &[])]).starts_call(1, "");
        calls(&mut script, 1, 1, 1, Add, json!({"name": "n"}));
        if told_before {
            calls(&mut script, 5, 1, 1, Add, json!({}));
            script.starts_call(2, "");
            calls(&mut script, 1, 2, 2, Add, json!({"name": "n"}));
            script.compared(&[(1, "<name>n</name>"), (2, "<name>n</name>")]);
        } else {
            script.compared(&[(1, "<name>n</name>")]);
        }
        script
    };
    crowd(false, false).breaks(&["LIM-01"]);
    crowd(false, true).breaks(&["UPD-14"]);
    crowd(true, false).breaks(&["LIM-03"]);
    crowd(true, true).breaks(&["UPD-14"]);
}

#[test]
fn once_updates_were_lost_in_general_no_limit_is_blamed() {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    (2..=5).for_each(|connection| _ = script.open(connection));
    script.subscribed(5, 100, &[(1, Calls, None, &[])]).snapshot(&[]).starts_call(1, "");
    calls(&mut script, 1, 1, 1, Add, json!({"name": "n"}));
    // The fifth client owes an ack, so that it is not compared.
    script.says(5, &write::subscription_update(900, &[(1, Active)])).compared(&[(1, "<name>m</name>")]);
    script.client(5, &write::ack(900, "success")).compared(&[(1, "<name>m</name>")]);
    let judgement = script.finish();
    assert_eq!((count(&judgement, "UPD-14"), count(&judgement, "LIM-01")), (2, 0), "{judgement:#?}");
}

#[test]
fn two_clients_are_told_alike_in_whatever_form() {
    for (element, first, second, broken) in [
        ("joinAudioMuteOverride", json!(true), json!("true"), &[][..]),
        ("joinAudioMuteOverride", json!("true"), json!("false"), &["UPD-16"]),
        ("participants", json!(1), json!("1"), &[]),
        ("name", json!("n"), json!(""), &["UPD-16"]),
        ("name", json!(""), json!("n"), &["UPD-16"]),
        ("name", json!(""), Value::Null, &[]),
        ("streaming", json!("active"), json!("inactive"), &["UPD-16"]),
    ] {
        let mut script = Script::server();
        let elements = [element];
        let set: &[One<'_>] = &[(2, CallInfo, Some(1), &elements)];
        script.open(1).open(2).starts_call(1, "joinAudioMuteOverride=true").subscribed(1, 100, set);
        script.subscribed(2, 100, set);
        for (connection, value) in [(1, first), (2, second)] {
            let value = if value.is_null() { json!({}) } else { json!({element: value}) };
            script.tells(connection, 1, &write::call_info_update(1, 2, fields(value)));
        }
        script.compared(&[(1, "")]);
        script.breaks(broken);
    }
}

#[test]
fn what_was_charged_of_one_client_is_no_difference_to_another() {
    let streaming: &[One<'_>] = &[(1, Calls, None, &["streaming"])];
    let both = || {
        let mut script = Script::server();
        script.open(1).open(2).subscribed(1, 100, streaming).subscribed(2, 100, streaming).starts_call(1, "");
        script
    };
    for wrong in [1, 2] {
        // A value outside its domain.
        let mut script = both();
        calls(&mut script, 3 - wrong, 1, 1, Add, json!({"streaming": "active"}));
        calls(&mut script, wrong, 1, 1, Add, json!({"streaming": "bogus"}));
        script.compared(&[(1, "")]);
        script.breaks(&["UPD-08"]);
        // One that began by an update.
        let mut script = both();
        calls(&mut script, 3 - wrong, 1, 1, Add, json!({"streaming": "active"}));
        calls(&mut script, wrong, 1, 1, Update, json!({"streaming": "inactive"}));
        script.compared(&[(1, "")]);
        script.breaks(&["UPD-03"]);
        // An entry of no call: what the client knows is open from then on.
        let mut script = both();
        for connection in [1, 2] {
            calls(&mut script, connection, 1, 1, Add, json!({"streaming": "inactive"}));
        }
        script.tells(wrong, 2, &write::list_update(2, Calls, 1, vec![json!({"updateType": "add"})]));
        script.changes_call(1, "streaming=true");
        for connection in [1, 2] {
            calls(&mut script, connection, 1, 3, Update, json!({"streaming": "active"}));
        }
        script.compared(&[(1, "")]);
        script.breaks(&["UPD-02"]);
    }
}

#[test]
fn who_still_rings_need_not_be_told() {
    for (state, broken) in [("ringing", &[][..]), ("connected", &["UPD-14"])] {
        let mut script = Script::server();
        script.open(1).starts_call(1, "").subscribed(1, 100, &[(1, CallRoster, Some(1), &[])]);
        for _ in 0..2 {
            snapshot(&mut script, |script| {
                let request = Request::new(Method::Get, format!("/api/v1/calls/{}/participants", guid(1)));
                let body = format!("<participants total=\"1\"><participant id=\"{}\"/></participants>", guid(5));
                script.exchange(&request, &Response { body: body.into(), ..Response::new(200) });
                reads(script, 5, state, "");
            });
            script.wait_ms(6000);
        }
        script.breaks(broken);
    }
}

#[test]
fn a_difference_is_proven_by_what_was_told_and_what_was_read() {
    let mut script = told(json!({"name": "n"}));
    script.compared(&[(1, "<name>m</name>")]);
    let judgement = script.finish();
    assert_eq!(judgement.findings[0].evidence.len(), 3, "{judgement:#?}");
}

#[test]
fn who_left_before_being_announced_is_not_missed() {
    for (left, broken) in [(true, &[][..]), (false, &["UPD-19"])] {
        let mut script = Script::server();
        script.open(1).starts_call(1, "");
        reads(&mut script, 5, "connected", "");
        script.subscribed(1, 100, &[(1, CallRoster, Some(1), &[])]);
        if left {
            let request = Request::new(Method::Get, format!("/api/v1/participants/{}", guid(5)));
            script.exchange(&request, &Response::new(404));
        }
        script.later();
        script.breaks(broken);
    }
}

#[test]
fn who_was_removed_is_not_announced_to_the_next_client() {
    for (removed, broken) in [(true, &[][..]), (false, &["UPD-19"])] {
        let mut script = Script::server();
        let set: &[One<'_>] = &[(1, CallRoster, Some(1), &[])];
        script.open(1).starts_call(1, "").subscribed(1, 100, set);
        reads(&mut script, 5, "connected", "");
        roster(&mut script, 1, 5, 1, Add, json!({}));
        if removed {
            roster(&mut script, 1, 5, 2, Remove, json!({}));
        }
        script.open(2).subscribed(2, 100, set).later();
        script.breaks(broken);
    }
}

#[test]
fn once_adds_were_missed_in_general_no_move_is_blamed() {
    for (missed, broken) in [(None, &["SUB-11"][..]), (Some(false), &["UPD-19"]), (Some(true), &["UPD-03", "UPD-19"])] {
        let mut script = Script::server();
        script.open(1).starts_call(1, "").subscribed(1, 100, &[CALLS]);
        calls(&mut script, 1, 1, 1, Add, json!({"name": "n"}));
        if let Some(twice) = missed {
            script.open(2).subscribed(2, 100, &[CALLS]);
            if twice {
                calls(&mut script, 2, 1, 1, Add, json!({"name": "n"}));
                calls(&mut script, 2, 1, 2, Add, json!({"name": "n"}));
            }
            script.later();
        }
        script.asks(1, 101, &[(9, Calls, None, &["name"])]).acks(1, 101);
        script.states(1, 5, &[(1, Deactivated), (9, Pending)]).states(1, 6, &[(9, Active)]).later();
        script.breaks(broken);
    }
}

#[test]
fn an_element_of_every_participant_is_missed_once_the_participant_is_read() {
    for (read, broken) in [(false, &[][..]), (true, &["UPD-12"])] {
        let mut script = Script::server();
        script.open(1).starts_call(1, "").subscribed(1, 100, &[(1, CallRoster, Some(1), &["canMove"])]);
        reads(&mut script, 5, "connected", "");
        roster(&mut script, 1, 5, 1, Add, json!({}));
        for _ in 0..2 {
            snapshot(&mut script, |script| {
                if read {
                    reads(script, 5, "connected", "");
                }
            });
            script.wait_ms(6000);
        }
        script.breaks(broken);
    }
}

#[test]
fn a_loss_before_a_subscription_was_kept_is_not_laid_to_that() {
    let mut script = told(json!({"name": "n"}));
    script.starts_call(2, "");
    calls(&mut script, 1, 2, 2, Add, json!({"name": "n"}));
    script.changes_call(1, "name=m").wait_ms(2000).asks(1, 101, &[CALLS]).acks(1, 101).changes_call(2, "name=k");
    calls(&mut script, 1, 2, 3, Update, json!({"name": "k"}));
    script.compared(&[(1, "<name>m</name>"), (2, "<name>k</name>")]);
    script.breaks(&["UPD-14"]);
}

#[test]
fn a_setting_that_is_told_otherwise_than_it_was_set_is_a_matter_of_the_general_rule() {
    let element = "joinAudioMuteOverride";
    for (form, first, read) in
        [("joinAudioMuteOverride=true", json!({element: false}), "true"), ("", json!({}), "false")]
    {
        let mut script = Script::server();
        script.open(1).starts_call(1, form).subscribed(1, 100, &[(2, CallInfo, Some(1), &[element])]);
        script.tells(1, 1, &write::call_info_update(1, 2, fields(first)));
        script.compared(&[(1, &format!("<{element}>{read}</{element}>"))]);
        script.breaks(&["UPD-14"]);
    }
    // Somebody else's participant was moved from another one than was told.
    let element = "movedParticipant";
    let mut script = Script::server();
    script.open(1).starts_call(1, "").subscribed(1, 100, &[(1, CallRoster, Some(1), &[element])]);
    roster(&mut script, 1, 8, 1, Add, json!({element: guid(3)}));
    for _ in 0..2 {
        snapshot(&mut script, |script| reads(script, 8, "connected", &format!("<{element}>{}</{element}>", guid(4))));
        script.wait_ms(6000);
    }
    script.breaks(&["UPD-14"]);
}

#[test]
fn a_list_that_was_read_before_shows_nothing_of_what_came_after() {
    let stranger = || {
        let mut script = Script::server();
        script.snapshot(&[]).open(1).subscribed(1, 100, &[(1, CallInfo, Some(7), &[])]);
        snapshot(&mut script, |_| ());
        script
    };
    stranger().breaks(&[]);
    let mut script = stranger();
    script.compared(&[]);
    script.breaks(&["SUB-12"]);
}

#[test]
fn a_deactivation_without_a_cause_is_found_when_the_conference_is_read() {
    let ended = || {
        let mut script = Script::server();
        script.open(1).starts_call(1, "").subscribed(1, 100, &[INFO]).asks(1, 101, &[INFO]).acks(1, 101);
        script.states(1, 5, &[(2, Deactivated)]);
        snapshot(&mut script, |_| ());
        script
    };
    ended().breaks(&[]);
    let mut script = ended();
    script.snapshot(&[(1, "")]);
    script.breaks(&["SUB-10"]);
    let mut script = ended();
    script.ends_call(1).snapshot(&[]);
    script.breaks(&[]);
}

#[test]
fn how_an_entry_began_decides_whether_it_is_compared() {
    for (kinds, broken) in [
        (&[Update][..], &["UPD-03"][..]),
        (&[Update, Update], &["UPD-03"]),
        (&[Update, Add], &["UPD-03", "UPD-14"]),
        (&[Add, Add], &["UPD-03", "UPD-14"]),
    ] {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[CALLS]).starts_call(1, "");
        for (id, kind) in kinds.iter().enumerate() {
            calls(&mut script, 1, 1, id as u64 + 1, *kind, json!({"name": format!("n{id}")}));
        }
        script.compared(&[(1, "<name>m</name>")]);
        script.breaks(broken);
    }
}

#[test]
fn a_conference_that_events_announced_is_known() {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    calls(&mut script, 1, 3, 1, Add, json!({"name": "n"}));
    script.asks(1, 101, &[CALLS, (2, CallInfo, Some(3), &[])]).acks(1, 101);
    script.states(1, 2, &[(2, Pending)]).states(1, 3, &[(2, Active)]).snapshot(&[]);
    script.breaks(&[]);
}
