//! What is malformed, what comes in the midst of something else, and what is left when a trace ends: the cases that
//! decide between two requirements, or between a violation and none.

use crate::protocol::events::Resource::{self, CallInfo, CallRoster, Calls};
use crate::protocol::events::State::{Active, Deactivated, Pending};
use crate::protocol::events::{UpdateType, write};
use crate::protocol::http::Credentials;
use crate::protocol::ws::frame::{Header, Opcode};
use crate::rules::script::{Script, guid};
use crate::rules::verdict::Judgement;
use crate::trace::{ConnectionId, EndCause, Event, NetworkError, NetworkErrorKind, Side};

const CALLS: (u64, Resource, Option<u32>, &[&str]) = (1, Calls, None, &["name"]);
const SENSELESS: &str = r#"{"type":"message","message":{"messageId":200,"type":"whatIsThis"}}"#;
const SENSELESS_ODD: &str = r#"{"type":"message","message":{"messageId":"x","type":"whatIsThis"}}"#;
const REQUEST_ODD: &str =
    r#"{"type":"message","message":{"messageId":"x","type":"subscribeRequest","subscriptions":[]}}"#;
const ACK_ODD: &str = r#"{"type":"messageAck","messageAck":{"messageId":"x","status":"success"}}"#;

fn subscribed() -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    script
}

fn saw(judgement: &Judgement, name: &str) -> bool {
    judgement.characteristics.iter().any(|seen| seen.name == name)
}

fn left_undecided(judgement: &Judgement, requirement: &str) -> bool {
    judgement.undecided.keys().any(|id| id.as_str() == requirement)
}

fn count(judgement: &Judgement, requirement: &str) -> u64 {
    judgement.finding_counts.iter().find(|(id, _)| id.as_str() == requirement).map_or(0, |(_, count)| *count)
}

#[test]
fn an_ack_of_no_number_is_wrong_unless_the_client_used_such_an_id() {
    let mut script = subscribed();
    script.says(1, ACK_ODD);
    script.breaks(&["MSG-10"]);
    let mut script = subscribed();
    script.client(1, REQUEST_ODD).says(1, ACK_ODD);
    let judgement = script.finish();
    assert!(judgement.findings.is_empty(), "{judgement:#?}");
    let acked = judgement.characteristics.iter().any(|seen| seen.value.starts_with("ack of"));
    assert!(acked, "{:#?}", judgement.characteristics);
    let mut script = subscribed();
    script.client(1, REQUEST_ODD);
    assert!(saw(&script.finish(), "message-id-no-plain-number"));
}

#[test]
fn what_has_no_readable_id_is_not_acknowledged_under_another() {
    let mut script = subscribed();
    script.client(1, SENSELESS_ODD).acks(1, 5555);
    script.breaks(&["MSG-05"]);
}

#[test]
fn a_second_ack_of_what_cannot_be_understood_is_one_too_many() {
    let mut script = subscribed();
    script.client(1, SENSELESS);
    for _ in 0..2 {
        script.says(1, &write::ack(200, "failure"));
    }
    script.breaks(&["MSG-03"]);
}

#[test]
fn the_end_of_a_trace_decides_nothing_that_was_due() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]);
    assert!(left_undecided(&script.finish(), "MSG-03"));
    let mut script = subscribed();
    assert!(!left_undecided(&script.finish(), "MSG-03"));
    script = subscribed();
    script.asks(1, 101, &[CALLS]).client(1, r#"{"type":"else"}"#);
    assert!(!left_undecided(&script.finish(), "MSG-03"), "the client did what may cost it the connection");
    let mut script = subscribed();
    script.client(1, SENSELESS);
    script.meets("MSG-05");
    let mut script = Script::server();
    script.token(Credentials::Privileged, 503, None);
    assert!(left_undecided(&script.finish(), "AUTH-01"));
    let mut script = Script::server();
    script.refused(1, 503);
    assert!(left_undecided(&script.finish(), "AUTH-04"));
}

#[test]
fn an_ack_that_comes_too_late_is_charged_once() {
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).later().acks(1, 100);
    assert_eq!(count(&script.finish(), "MSG-03"), 1);
}

#[test]
fn once_the_general_requirement_was_missed_no_special_one_is_blamed() {
    let hundred: Vec<(u64, Resource, Option<u32>, &[&str])> =
        (201..=300).map(|n| (n, CallInfo, Some(n as u32), &[][..])).collect();
    let mut script = subscribed();
    script.asks(1, 101, &[CALLS]).later().asks(1, 102, &hundred).later();
    script.breaks(&["MSG-03"]);
    // An index of its own for each request: one that is used again with other elements would be irregular.
    let roster = |id: u64, elements: &'static [&'static str]| [(id, CallRoster, Some(1), elements)];
    let refused = |script: &mut Script, id: u64, elements| {
        script.asks(1, id, &roster(id, elements)).says(1, &write::ack(id, "failure"));
    };
    let mut script = subscribed();
    refused(&mut script, 101, &["name"]);
    refused(&mut script, 102, &["canMoveToLobby"]);
    script.breaks(&["MSG-04"]);
    // What was granted once is not why it is refused now.
    let mut script = subscribed();
    script.asks(1, 101, &roster(101, &["canMoveToLobby"])).acks(1, 101);
    refused(&mut script, 102, &["canMoveToLobby", "name"]);
    script.breaks(&["MSG-04"]);
}

#[test]
fn the_largest_exact_number_is_an_ordinary_id() {
    let largest = (1 << 53) - 1;
    for (id, broken) in [(largest, &["MSG-03"][..]), (largest + 1, &[])] {
        let mut script = Script::server();
        script.open(1).asks(1, id, &[CALLS]).later();
        script.breaks(broken);
    }
}

#[test]
fn a_server_may_leave_a_client_that_was_irregular() {
    let twice = r#"{"type":"message","message":{"messageId":101,"type":"subscribeRequest","subscriptions":[{"index":1,"type":"calls"},{"index":1,"type":"calls"}]}}"#;
    for irregular in [&write::ack(999, "success"), SENSELESS, twice] {
        let mut script = subscribed();
        script.client(1, irregular).asks(1, 300, &[CALLS]).ends(1, EndCause::PeerClosed);
        script.breaks(&[]);
    }
    let mut script = subscribed();
    script.says(1, &write::subscription_update(900, &[(1, Active)])).client(1, &write::ack(900, "failure"));
    script.asks(1, 101, &[CALLS]);
    assert_eq!(script.due(), None, "what the server makes of such an ack is open");
    script.ends(1, EndCause::PeerClosed);
    script.breaks(&[]);
    let mut script = subscribed();
    script.asks(1, 101, &[CALLS]).ends(1, EndCause::PeerClosed);
    script.breaks(&["MSG-03"]);
}

#[test]
fn what_a_server_owes_to_a_client_that_abuses_the_connection_is_open() {
    let mut script = subscribed();
    script.client(1, r#"{"type":"else"}"#).asks(1, 101, &[CALLS]).later();
    script.breaks(&[]);
}

#[test]
fn an_id_that_the_server_uses_as_well_is_blamed_only_then() {
    let mut script = subscribed();
    script.says(1, &write::subscription_update(101, &[(1, Active)])).asks(1, 101, &[CALLS]);
    script.client(1, &write::ack(101, "success")).later();
    script.breaks(&["MSG-08"]);
}

#[test]
fn the_window_is_told_where_acks_begin_again_and_where_the_connection_ends() {
    let busy = |script: &mut Script| {
        for n in 0..20 {
            script.starts_call(n, "name=x");
        }
        script.wait_ms(500);
    };
    let mut script = subscribed();
    for id in [500, 501] {
        script.says(1, &write::subscription_update(id, &[(1, Active)]));
    }
    script.client(1, &write::ack(500, "success"));
    busy(&mut script);
    script.client(1, &write::ack(501, "success"));
    script.meets("MSG-07");
    let mut script = subscribed();
    script.says(1, &write::subscription_update(500, &[(1, Active)]));
    busy(&mut script);
    script.ends(1, EndCause::Closed);
    assert!(saw(&script.finish(), "ack-window"));
}

#[test]
fn states_have_to_say_of_what() {
    let told = |inside: &str| {
        let mut script = subscribed();
        script.tells(
            1,
            900,
            &format!(r#"{{"type":"message","message":{{"messageId":900,"type":"subscriptionUpdate"{inside}}}}}"#),
        );
        script
    };
    told("").breaks(&["SUB-05"]);
    told(r#","subscriptions":[{"state":"active"}]"#).breaks(&["SUB-04"]);
    told(r#","subscriptions":[{"index":7,"state":"active"}]"#).breaks(&["SUB-04"]);
    let mut script = Script::server();
    script.open(1).states(1, 1, &[(5, Pending)]);
    script.breaks(&["SUB-09"]);
    // Another connection had it.
    let mut script = subscribed();
    script.ends(1, EndCause::Closed).open(2).asks(2, 100, &[(2, Calls, None, &["name"])]).acks(2, 100);
    script.states(2, 1, &[(1, Active)]);
    script.breaks(&["SUB-09"]);
}

#[test]
fn what_is_held_back_or_just_arrived_is_not_compared() {
    let told = || {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[CALLS]).starts_call(1, "coSpace=s");
        let fields = [("name".to_owned(), "n".into())].into_iter().collect();
        let entry = write::entry(Calls, &guid(1), UpdateType::Add, fields);
        script.tells(1, 1, &write::list_update(1, Calls, 1, vec![entry]));
        script
    };
    let changed: &[(u32, &str)] = &[(1, "<name>m</name>")];
    let mut script = told();
    script.compared(changed);
    script.breaks(&["UPD-14"]);
    // The client owes an ack, so the change is held back.
    let mut script = told();
    script.says(1, &write::subscription_update(900, &[(1, Active)])).compared(changed);
    script.breaks(&[]);
    // The client may have lost the connection by what it did.
    let mut script = told();
    script.client(1, r#"{"type":"else"}"#).compared(changed);
    script.breaks(&[]);
}

#[test]
fn a_finding_names_what_proves_it_and_of_what_it_speaks() {
    let mut script = subscribed();
    script.says(1, ACK_ODD);
    let judgement = script.finish();
    assert_eq!(judgement.findings[0].evidence.len(), 1, "{judgement:#?}");
    let mut script = Script::server();
    script.open(1).asks(1, 100, &[CALLS]).acks(1, 100).states(1, 1, &[(1, Active)]);
    let judgement = script.finish();
    assert!(judgement.findings[0].observed.starts_with("calls is active"), "{judgement:#?}");
}

#[test]
fn a_kept_subscription_whose_conference_ended_meanwhile_may_begin_anew() {
    let mut script = Script::server();
    let set: &[(u64, Resource, Option<u32>, &[&str])] = &[(1, CallInfo, Some(1), &["name"])];
    script.open(1).subscribed(1, 99, &[]).starts_call(1, "").subscribed(1, 100, set).ends_call(1);
    script.asks(1, 101, set).acks(1, 101).states(1, 900, &[(1, Pending)]).states(1, 901, &[(1, Deactivated)]);
    script.breaks(&[]);
}

#[test]
fn a_conference_that_nothing_shows_is_none_once_the_list_is_read() {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[(1, CallInfo, Some(7), &[])]);
    script.compared(&[]);
    script.breaks(&["SUB-12"]);
}

#[test]
fn a_sixth_connection_that_is_served_was_not_refused() {
    let mut script = Script::server();
    (1..=5).for_each(|connection| _ = script.open(connection));
    script.open(6).asks(6, 1, &[CALLS]).acks(6, 1);
    script.breaks(&["LIM-02"]);
}

#[test]
fn an_upgrade_without_an_answer_is_the_servers_unless_the_network_failed() {
    for (kind, broken) in [
        (NetworkErrorKind::Closed, &["AUTH-04"][..]),
        (NetworkErrorKind::Timeout, &["AUTH-04"]),
        (NetworkErrorKind::Connect, &[]),
    ] {
        let mut script = Script::server();
        script.opening(1);
        let error = NetworkError { kind, address: String::new(), cause: String::new() };
        script.observe(Event::OpenFailed { connection: ConnectionId(1), error: &error });
        script.breaks(broken);
    }
}

#[test]
fn a_client_has_time_that_the_harness_did_not_lose() {
    let message = write::subscription_update(7, &[(1, Active)]);
    let mut script = Script::judging(Side::Client);
    script.open(1).subscribed(1, 100, &[CALLS]).says(1, &message).wait_ms(6000);
    script.observe(Event::HarnessLate { by: std::time::Duration::from_secs(6) });
    script.client(1, &write::ack(7, "success"));
    script.breaks(&[]);
}

#[test]
fn a_client_pongs_only_when_pinged_and_acknowledges_by_number() {
    let mut script = Script::judging(Side::Client);
    script.open(1).subscribed(1, 100, &[CALLS]).client(1, ACK_ODD);
    script.breaks(&["MSG-06"]);
    let mut script = Script::judging(Side::Client);
    script.open(1).subscribed(1, 100, &[CALLS]);
    let header = Header { mask: Some([1; 4]), ..Header::new(Opcode::PONG, 0) };
    script.frame(1, Side::Client, header, b"");
    script.breaks(&["WS-06"]);
    let mut script = Script::judging(Side::Client);
    script.open(1).subscribed(1, 100, &[CALLS]).client(1, r#"{"type":"messageAck","messageAck":{"status":"success"}}"#);
    let judgement = script.finish();
    assert!(!judgement.findings.is_empty(), "an ack without messageId");
}
