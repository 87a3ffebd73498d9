//! Content of updates, and comparisons.

use serde_json::{Map, Value, json};

use crate::protocol::events::Resource::{CallInfo, CallRoster, Calls};
use crate::protocol::events::UpdateType::{self, Add, Remove, Update};
use crate::protocol::events::write;
use crate::protocol::http::{Headers, Method, Request, Response};
use crate::rules::script::{Script, guid};
use crate::trace::{Event, ExchangeId, Side};

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

fn calls(script: &mut Script, connection: u32, id: u64, kind: UpdateType, value: Value) {
    let entry = write::entry(Calls, &guid(1), kind, fields(value));
    script.tells(connection, id, &write::list_update(id, Calls, 1, vec![entry]));
}

/// A connection subscribed to these elements of calls, with call 1 started afterwards and added.
fn told(elements: &[&str], first: Value) -> Script {
    told_by(Script::server(), elements, first)
}

fn told_by(mut script: Script, elements: &[&str], first: Value) -> Script {
    script.open(1).subscribed(1, 100, &[(1, Calls, None, elements)]).starts_call(1, "coSpace=s");
    calls(&mut script, 1, 1, Add, first);
    script
}

#[test]
fn an_update_has_the_type_and_body_of_its_resource() {
    told(&["name"], json!({"name": "n"})).meets("UPD-01");
    for text in [
        write::call_info_update(5, 1, Map::new()),
        write::envelope(5, "callListUpdate", [("subscriptionIndex", 1.into()), ("updates", json!({}))]),
        write::envelope(5, "callListUpdate", [("updates", json!([]))]),
        write::envelope(5, "callsUpdate", [("subscriptionIndex", 1.into()), ("updates", json!([]))]),
    ] {
        let mut script = told(&["name"], json!({"name": "n"}));
        script.tells(1, 5, &text);
        script.breaks(&["UPD-01"]);
    }
    let mut script = told(&["name"], json!({"name": "n"}));
    script.tells(1, 5, &write::envelope(5, "somethingNew", [("x", 1.into())]));
    script.breaks(&[]);
}

#[test]
fn an_entry_has_the_call_and_the_kind_of_update() {
    told(&[], json!({})).meets("UPD-02");
    for entry in [json!({"updateType": "add"}), json!({"call": "x", "updateType": "add"}), json!({"call": guid(2)})] {
        let mut script = told(&[], json!({}));
        script.tells(1, 5, &write::list_update(5, Calls, 1, vec![entry]));
        script.breaks(&["UPD-02"]);
    }
}

#[test]
fn entries_are_added_changed_and_removed_in_this_order() {
    let mut script = told(&["name"], json!({"name": "n"}));
    script.changes_call(1, "name=m");
    calls(&mut script, 1, 2, Update, json!({"name": "m"}));
    script.ends_call(1);
    calls(&mut script, 1, 3, Remove, json!({}));
    script.meets("UPD-03");
    for kinds in [&[Add, Add][..], &[Update], &[Remove], &[Add, Remove, Update], &[Add, Remove, Remove]] {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[(1, Calls, None, &["name"])]).starts_call(1, "");
        for (id, kind) in kinds.iter().enumerate() {
            let value = if *kind == Remove { json!({}) } else { json!({"name": format!("n{id}")}) };
            calls(&mut script, 1, id as u64 + 1, *kind, value);
        }
        script.breaks(&["UPD-03"]);
    }
}

#[test]
fn only_subscribed_elements_are_told() {
    for (elements, value, broken) in [
        (&["name"][..], json!({"name": "n", "participants": 0}), "UPD-04"),
        (&["name"], json!({"name": "n", "uri": "u"}), "UPD-04"),
        (&[], json!({"name": "n"}), "UPD-05"),
    ] {
        told(elements, value).breaks(&[broken]);
    }
    told(&[], json!({})).meets("UPD-05");
    told(&["name"], json!({"name": "n", "notYetKnown": 1})).meets("UPD-04");
}

#[test]
fn an_update_comes_for_a_change_and_tells_it_alone() {
    for (value, broken) in
        [(json!({}), "UPD-06"), (json!({"name": "n"}), "UPD-06"), (json!({"name": "n", "participants": 1}), "UPD-07")]
    {
        let mut script = told(&["name", "participants"], json!({"name": "n", "participants": 0}));
        calls(&mut script, 1, 2, Update, value);
        script.breaks(&[broken]);
    }
    let mut script = told(&["name", "participants"], json!({"name": "n", "participants": 0}));
    calls(&mut script, 1, 2, Update, json!({"participants": 1}));
    script.meets("UPD-07");
}

#[test]
fn an_element_that_went_and_came_back_did_change() {
    let mut script = told(&["name"], json!({"name": "n"}));
    script.changes_call(1, "name=m").changes_call(1, "name=n");
    calls(&mut script, 1, 2, Update, json!({"name": "n"}));
    script.breaks(&[]);
}

#[test]
fn values_are_judged_by_the_requirement_they_belong_to() {
    for (element, value, broken) in [
        ("participants", json!(-1), "UPD-08"),
        ("lockState", json!("unlocked"), "UPD-09"),
        ("recording", json!("on"), "UPD-08"),
        ("distributedInstances", json!(2), "UPD-17"),
        ("callCorrelator", json!("x"), "UPD-08"),
    ] {
        told(&[element], json!({element: value})).breaks(&[broken]);
    }
}

#[test]
fn join_audio_mute_override_is_false_where_it_was_not_set() {
    let told = |form: &str, value: bool| {
        let mut script = Script::server();
        script.open(1).starts_call(1, form).subscribed(1, 100, &[(2, CallInfo, Some(1), &["joinAudioMuteOverride"])]);
        script.tells(1, 5, &write::call_info_update(5, 2, fields(json!({"joinAudioMuteOverride": value}))));
        script
    };
    told("", false).meets("UPD-11");
    told("", true).breaks(&["UPD-11"]);
    told("joinAudioMuteOverride=true", true).breaks(&[]);
}

#[test]
fn a_correlator_belongs_to_the_space() {
    let again = |correlator: u32, form: &str| {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[(1, Calls, None, &["callCorrelator"])]);
        for (call, correlator) in [(1, 50), (2, correlator)] {
            script.starts_call(call, form);
            let entry = write::entry(Calls, &guid(call), Add, fields(json!({"callCorrelator": guid(correlator)})));
            script.tells(1, u64::from(call), &write::list_update(u64::from(call), Calls, 1, vec![entry]));
        }
        script
    };
    again(50, "coSpace=s").meets("UPD-18");
    again(51, "coSpace=s").breaks(&["UPD-18"]);
    again(51, "").meets("UPD-18");
    again(50, "").breaks(&["UPD-18"]);
}

#[test]
fn events_tell_what_the_api_reports_at_rest() {
    let mut script = told(&["name"], json!({"name": "n"}));
    script.snapshot(&[(1, "<name>n</name>")]);
    script.meets("UPD-14");
    let mut script = told(&["name"], json!({"name": "n"}));
    script.compared(&[(1, "<name>m</name>")]);
    script.breaks(&["UPD-14"]);
    let mut script = told(&["name"], json!({"name": "n"}));
    script.snapshot(&[(1, "<name>m</name>")]);
    assert!(script.due().is_some());
    calls(&mut script, 1, 2, Update, json!({"name": "m"}));
    script.snapshot(&[(1, "<name>m</name>")]);
    script.meets("UPD-14");
    let mut script = told(&["name"], json!({"name": "n"}));
    script.ends_call(1).compared(&[]);
    script.breaks(&["UPD-14"]);
}

#[test]
fn resources_agree_on_the_number_of_participants() {
    let both = |number: u32| {
        let mut script = Script::server();
        let set: &[(u64, _, _, &[&str])] =
            &[(1, Calls, None, &["participants"]), (2, CallInfo, Some(1), &["participants"])];
        script.open(1).starts_call(1, "").subscribed(1, 100, set);
        calls(&mut script, 1, 5, Add, json!({"participants": 0}));
        script.tells(1, 6, &write::call_info_update(6, 2, fields(json!({"participants": number}))));
        script.compared(&[(1, "<numParticipantsLocal>0</numParticipantsLocal>")]);
        script
    };
    both(0).meets("UPD-15");
    both(1).breaks(&["UPD-15"]);
}

#[test]
fn two_clients_subscribed_alike_see_the_same() {
    let twins = |order: [(&str, &str); 2]| {
        let mut script = Script::server();
        let elements = &["name", "lockState"][..];
        script.open(1).open(2).subscribed(1, 100, &[(1, Calls, None, elements)]).subscribed(
            2,
            100,
            &[(1, Calls, None, elements)],
        );
        script.starts_call(1, "");
        for connection in [1, 2] {
            calls(&mut script, connection, 1, Add, json!({"name": "n", "lockState": "notLocked"}));
        }
        script.changes_call(1, "name=m").changes_call(1, "locked=true");
        for (name, value) in [("name", "m"), ("lockState", "locked")] {
            calls(&mut script, 1, if name == "name" { 2 } else { 3 }, Update, json!({name: value}));
        }
        for (id, (name, value)) in order.into_iter().enumerate() {
            calls(&mut script, 2, id as u64 + 2, Update, json!({name: value}));
        }
        script.snapshot(&[(1, "<name>m</name><locked>true</locked>")]);
        script
    };
    twins([("name", "m"), ("lockState", "locked")]).meets("UPD-16");
    twins([("lockState", "locked"), ("name", "m")]).breaks(&["UPD-16"]);
}

#[test]
fn what_stands_at_activation_is_announced() {
    let standing = || {
        let mut script = Script::server();
        script.open(1).starts_call(1, "").subscribed(1, 100, &[(1, Calls, None, &["name"])]);
        script
    };
    let mut script = standing();
    calls(&mut script, 1, 5, Add, json!({"name": "n"}));
    script.meets("UPD-19");
    let mut script = standing();
    assert!(script.due().is_some());
    script.later();
    script.breaks(&["UPD-19"]);
}

#[test]
fn a_judge_of_clients_does_not_judge_servers() {
    let mut script = Script::judging(Side::Client);
    script.open(1).says(1, "nonsense");
    script.breaks(&[]);
}

#[test]
fn two_clients_are_told_the_same_of_what_the_api_does_not_show() {
    for (second, broken) in [("active", &[][..]), ("inactive", &["UPD-16"])] {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[(1, Calls, None, &["streaming"])]);
        script.open(2).subscribed(2, 100, &[(1, Calls, None, &["streaming"])]).starts_call(1, "");
        calls(&mut script, 1, 1, Add, json!({"streaming": "active"}));
        calls(&mut script, 2, 1, Add, json!({"streaming": second}));
        script.compared(&[(1, "")]);
        script.breaks(broken);
    }
}

#[test]
fn in_a_cluster_a_conference_may_have_several_instances() {
    told_by(Script::clustered(), &["distributedInstances"], json!({"distributedInstances": 2})).breaks(&[]);
    told(&["distributedInstances"], json!({"distributedInstances": 2})).breaks(&["UPD-17"]);
}

#[test]
fn what_one_finding_explains_is_not_charged_again() {
    let mut script = told(&["distributedInstances"], json!({"distributedInstances": 1}));
    script.compared(&[(1, "<numDistributedInstances>0</numDistributedInstances>")]);
    script.breaks(&["UPD-17"]);
    let mut script = told(&["name"], json!({"name": "n"}));
    script.ends_call(1);
    calls(&mut script, 1, 2, Remove, json!({}));
    calls(&mut script, 1, 3, Update, json!({"name": "m"}));
    script.compared(&[]);
    script.breaks(&["UPD-03"]);
    let mut script = told(&[], json!({}));
    script.tells(1, 5, &write::list_update(5, Calls, 1, vec![json!({"updateType": "add"})]));
    script.starts_call(2, "").compared(&[(1, ""), (2, "")]);
    script.breaks(&["UPD-02"]);
}

#[test]
fn a_change_back_that_is_not_answered_yet_counts_as_one() {
    let mut script = told(&["name"], json!({"name": "n"}));
    script.changes_call(1, "name=m");
    let request = Request { body: "name=n".into(), ..Request::new(Method::Put, format!("/api/v1/calls/{}", guid(1))) };
    script.observe(Event::RequestSent { exchange: ExchangeId(999), request: &request });
    calls(&mut script, 1, 2, Update, json!({"name": "n"}));
    script.breaks(&[]);
}

/// A roster subscription to call 1 with one connected participant, added with `value`.
fn in_roster(elements: &[&str], value: Value) -> Script {
    let mut script = Script::server();
    script.open(1).starts_call(1, "").subscribed(1, 100, &[(1, CallRoster, Some(1), elements)]);
    let request = Request {
        body: "remoteParty=x".into(),
        ..Request::new(Method::Post, format!("/api/v1/calls/{}/participants", guid(1)))
    };
    let headers = Headers::new().with("Location", format!("/api/v1/participants/{}", guid(5)));
    script.exchange(&request, &Response { headers, ..Response::new(200) });
    let entry = write::entry(CallRoster, &guid(5), Add, fields(value));
    script.tells(1, 1, &write::list_update(1, CallRoster, 1, vec![entry]));
    script
}

/// Reads the participant twice, before and after the deadline.
fn read_twice(script: &mut Script, fields: &str) {
    let body = format!(
        "<participant id=\"{}\"><call>{}</call><status><state>connected</state></status>{fields}</participant>",
        guid(5),
        guid(1)
    );
    for _ in 0..2 {
        let request = Request::new(Method::Get, format!("/api/v1/participants/{}", guid(5)));
        let since = script.observe(Event::StepStarted { number: 1, text: "compare" });
        script.exchange(&request, &Response { body: body.clone().into(), ..Response::new(200) });
        script.observe(Event::Snapshot { since });
        script.wait_ms(6000);
    }
}

#[test]
fn elements_with_a_requirement_of_their_own_are_not_laid_to_the_general_one() {
    let unset = "<configuration><x/></configuration>";
    for (element, value, document, broken) in [
        ("importance", json!({"importance": 0}), unset, &["UPD-10"][..]),
        ("importance", json!({"importance": null}), unset, &[]),
        ("canMoveToLobby", json!({}), "", &["UPD-13"]),
        ("canMoveToLobby", json!({"canMoveToLobby": false}), "", &[]),
        ("canMove", json!({}), "", &["UPD-12"]),
        ("movedParticipant", json!({}), "<movedParticipant>GUID</movedParticipant>", &["UPD-12"]),
        ("name", json!({}), "<name>n</name>", &["UPD-14"]),
    ] {
        let mut script = in_roster(&[element], value);
        read_twice(&mut script, &document.replace("GUID", &guid(4)));
        script.breaks(broken);
    }
}

#[test]
fn nobody_was_moved_who_was_not() {
    let element = "movedParticipantCallBridge";
    in_roster(&[element], json!({element: guid(4)})).breaks(&["UPD-12"]);
    in_roster(&[element], json!({element: null})).breaks(&[]);
}

#[test]
fn a_guid_is_the_same_object_however_it_is_spelt() {
    let guid = "abcdef01-0000-4000-8000-000000000000";
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[(1, Calls, None, &["name"])]).starts_call(0xabcd_ef01, "");
    let entry = write::entry(Calls, &guid.to_uppercase(), Add, fields(json!({"name": "n"})));
    script.tells(1, 1, &write::list_update(1, Calls, 1, vec![entry]));
    script.compared(&[(0xabcd_ef01, "<name>n</name>")]);
    script.meets("UPD-14");
}
