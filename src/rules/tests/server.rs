//! What the judge of a server keeps between observations: over restarts, from connection to connection, until the end.

use serde_json::json;

use crate::protocol::events::Resource::{self, CallInfo, Calls};
use crate::protocol::events::State::{Active, Deactivated, Pending};
use crate::protocol::events::UpdateType::{Add, Update};
use crate::protocol::events::write;
use crate::protocol::http::{Method, Request};
use crate::protocol::ws::frame::{Header, Opcode};
use crate::rules::script::{Script, guid};
use crate::rules::verdict::Judgement;
use crate::trace::{ConnectionId, EndCause, Event, ExchangeId, NetworkError, NetworkErrorKind, Side};

type One<'s> = (u64, Resource, Option<u32>, &'s [&'s str]);

const CALLS: One<'_> = (1, Calls, None, &["name"]);
const INFO: One<'_> = (2, CallInfo, Some(1), &[]);

fn masked(opcode: Opcode) -> Header {
    Header { mask: Some([1; 4]), ..Header::new(opcode, 0) }
}

/// So many subscriptions.
fn many(count: u32) -> Vec<One<'static>> {
    (1..=count).map(|n| (u64::from(n) + 10, CallInfo, Some(n), &[][..])).collect()
}

/// So many connections.
fn opened(connections: u32) -> Script {
    let mut script = Script::server();
    (1..=connections).for_each(|connection| _ = script.open(connection));
    script
}

fn subscribed() -> Script {
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[CALLS]);
    script
}

fn saw(judgement: &Judgement, name: &str, value: &str) -> bool {
    judgement.characteristics.iter().any(|seen| seen.name == name && seen.value == value)
}

impl Script {
    fn restarts(&mut self) -> &mut Self {
        self.observe(Event::RestartBegun);
        self.observe(Event::RestartDone);
        self
    }

    /// A call is told by `add`, with this correlator.
    fn adds(&mut self, connection: u32, call: u32, correlator: u32) -> &mut Self {
        let fields = json!({"callCorrelator": guid(correlator)});
        let entry = write::entry(Calls, &guid(call), Add, fields.as_object().cloned().unwrap_or_default());
        let id = 500 + u64::from(call);
        self.tells(connection, id, &write::list_update(id, Calls, 1, vec![entry]))
    }
}

#[test]
fn connections_of_before_a_restart_take_no_places() {
    let mut script = opened(5);
    script.subscribed(1, 100, &[CALLS]).restarts().open(6).asks(6, 100, &[CALLS]).later();
    script.breaks(&["MSG-03"]);
    // Nor does what their clients did disturb anybody.
    let mut script = subscribed();
    script.frame(1, Side::Client, masked(Opcode::BINARY), b"").restarts().refused(2, 403);
    script.breaks(&["AUTH-04"]);
}

#[test]
fn a_server_knows_no_index_and_no_call_of_before_a_restart() {
    let mut script = subscribed();
    script.ends(1, EndCause::Closed).restarts();
    script.open(2).asks(2, 100, &[(5, Calls, None, &[])]).acks(2, 100).states(2, 1, &[(1, Active)]);
    script.breaks(&["SUB-04"]);
    let mut script = subscribed();
    script.starts_call(1, "").restarts().open(2).asks(2, 100, &[INFO]).acks(2, 100);
    script.states(2, 1, &[(2, Pending)]).states(2, 2, &[(2, Deactivated)]);
    script.meets("SUB-12");
}

#[test]
fn a_correlator_may_be_another_after_a_restart() {
    let elements: One<'_> = (1, Calls, None, &["callCorrelator"]);
    let mut script = Script::server();
    script.open(1).subscribed(1, 100, &[elements]).starts_call(1, "coSpace=s").adds(1, 1, 50).restarts();
    script.open(2).subscribed(2, 100, &[elements]).starts_call(2, "coSpace=s").adds(2, 2, 51);
    script.meets("UPD-18");
}

#[test]
fn a_difference_of_before_a_restart_is_not_waited_for() {
    let mut script = subscribed();
    script.starts_call(1, "").adds(1, 1, 50).snapshot(&[(1, ""), (2, "")]);
    assert!(script.due().is_some());
    script.restarts();
    assert_eq!(script.due(), None);
}

#[test]
fn only_open_connections_that_are_not_being_closed_count() {
    let opens = |others: u32| {
        let mut script = subscribed();
        (2..=others).for_each(|connection| _ = script.open(connection));
        script
    };
    let mut script = opens(5);
    script.asks(1, 101, &[CALLS]).later();
    script.breaks(&["LIM-01"]);
    // The fifth is being opened, or closed.
    let mut script = opens(4);
    script.opening(5);
    script.asks(1, 101, &[CALLS]).later();
    script.breaks(&["MSG-03"]);
    let mut script = opens(5);
    script.frame(5, Side::Client, masked(Opcode::CLOSE), b"").asks(1, 101, &[CALLS]).later();
    script.breaks(&["MSG-03", "WS-10"]);
}

#[test]
fn an_attempt_that_failed_takes_no_place() {
    let error = NetworkError { kind: NetworkErrorKind::Connect, address: String::new(), cause: String::new() };
    let mut script = opened(4);
    script.opening(5);
    script.observe(Event::OpenFailed { connection: ConnectionId(5), error: &error });
    script.wait_ms(21_000).refused(6, 503);
    script.breaks(&["LIM-01"]);
}

#[test]
fn both_limits_are_tested_where_the_others_have_many_too() {
    for (of_others, expected) in [(90, "LIM-07"), (60, "LIM-04")] {
        let mut script = Script::server();
        script.open(1).subscribed(1, 100, &[CALLS]);
        for connection in 2..=5 {
            script.open(connection).subscribed(connection, 100, &many(of_others));
        }
        script.states(1, 1, &[]).asks(1, 101, &many(90)).acks(1, 101).states(1, 2, &[(1, Deactivated)]).later();
        script.breaks(&[expected]);
    }
    // What a connection has itself does not count twice.
    let mut script = Script::server();
    script.open(1).subscribed(1, 99, &[CALLS]).subscribed(1, 100, &many(90)).states(1, 1, &[(1, Deactivated)]);
    for connection in 2..=5 {
        script.open(connection).subscribed(connection, 100, &many(60));
    }
    let others: Vec<One<'_>> = many(100).split_off(10).into_iter().chain([CALLS]).collect();
    script.asks(1, 101, &others).later();
    script.breaks(&["LIM-04"]);
}

#[test]
fn five_that_are_served_have_their_places() {
    let mut script = opened(5);
    script.asks(1, 100, &many(60)).acks(1, 100);
    assert!(script.times_tested("LIM-01") > 0);
}

#[test]
fn after_a_request_beyond_the_limit_others_are_granted() {
    let mut script = subscribed();
    script.asks(1, 101, &many(101)).says(1, &write::ack(101, "failure"));
    script.asks(1, 102, &[CALLS]).says(1, &write::ack(102, "failure"));
    script.breaks(&["LIM-06"]);
    // It is the request that may disturb others, not what its client says later.
    let mut script = Script::server();
    script.open(1).asks(1, 100, &many(101)).says(1, &write::ack(100, "failure")).open(2);
    script.says(1, &write::subscription_update(1, &[])).client(1, &write::ack(1, "success"));
    script.ends(2, EndCause::PeerClosed);
    script.breaks(&[]);
}

#[test]
fn what_displaced_a_connection_is_blamed_for_all_that_it_was_owed() {
    let mut script = opened(2);
    script.subscribed(2, 100, &[CALLS]).frame(1, Side::Client, masked(Opcode::BINARY), b"");
    script.asks(2, 101, &[CALLS]).ends(2, EndCause::PeerClosed);
    script.breaks(&["WS-08"]);
}

#[test]
fn nothing_is_owed_to_a_client_that_is_leaving() {
    let mut script = subscribed();
    script.asks(1, 101, &[CALLS]).frame(1, Side::Client, masked(Opcode::CLOSE), b"");
    script.frame(1, Side::Server, Header::new(Opcode::CLOSE, 0), b"").ends(1, EndCause::PeerClosed);
    script.breaks(&[]);
}

#[test]
fn changes_before_a_connection_was_opened_told_it_nothing() {
    let mut script = subscribed();
    script.ends(1, EndCause::Dropped).starts_call(1, "").open(2).asks(2, 100, &[CALLS]).acks(2, 100);
    assert_eq!(script.times_tested("SUB-09"), 0);
}

#[test]
fn a_request_that_failed_may_have_been_carried_out_and_is_not_under_way_any_more() {
    let entry = |kind, name: &str| {
        let fields = json!({"name": name});
        write::entry(Calls, &guid(1), kind, fields.as_object().cloned().unwrap_or_default())
    };
    let error = NetworkError { kind: NetworkErrorKind::Timeout, address: String::new(), cause: String::new() };
    let fails = |script: &mut Script| {
        let target = format!("/api/v1/calls/{}", guid(1));
        let request = Request { body: "name=n".into(), ..Request::new(Method::Put, target) };
        script.observe(Event::RequestSent { exchange: ExchangeId(999), request: &request });
        script.observe(Event::RequestFailed { exchange: ExchangeId(999), error: &error });
    };
    // The name went and came back only if that was done after it was told.
    for (late, broken) in [(true, &[][..]), (false, &["UPD-06"])] {
        let mut script = subscribed();
        script.starts_call(1, "");
        if !late {
            fails(&mut script);
        }
        script.tells(1, 1, &write::list_update(1, Calls, 1, vec![entry(Add, "n")])).changes_call(1, "name=m");
        if late {
            fails(&mut script);
        }
        script.tells(1, 2, &write::list_update(2, Calls, 1, vec![entry(Update, "n")]));
        script.breaks(broken);
    }
}

#[test]
fn what_arrived_since_a_snapshot_began_is_not_compared() {
    let mut script = subscribed();
    script.starts_call(1, "");
    let fields = json!({"name": "n"});
    let entry = write::entry(Calls, &guid(1), Add, fields.as_object().cloned().unwrap_or_default());
    script.tells(1, 1, &write::list_update(1, Calls, 1, vec![entry]));
    // Only the second of both snapshots is at rest.
    let call: &[(u32, &str)] = &[(1, "<name>m</name>")];
    let since = script.observe(Event::StepStarted { number: 1, text: "compare" });
    script.snapshot(call).states(1, 2, &[]);
    script.observe(Event::Snapshot { since });
    script.wait_ms(6000);
    let since = script.observe(Event::StepStarted { number: 1, text: "compare" });
    script.snapshot(call).states(1, 3, &[]);
    script.observe(Event::Snapshot { since });
    script.breaks(&[]);
}

#[test]
fn a_request_of_the_server_is_left_alone() {
    let mut script = subscribed();
    script.tells(1, 1, &write::subscribe_request(1, &[]));
    script.breaks(&[]);
}

#[test]
fn the_end_of_a_trace_tells_what_stayed() {
    let mut script = subscribed();
    script.frame(1, Side::Client, masked(Opcode::BINARY), b"");
    assert!(saw(&script.finish(), "after-what-the-guide-rules-out", "the connection goes on"));
    // A change of what is not subscribed came, and nothing was told.
    let mut script = subscribed();
    script.starts_call(1, "").adds_nothing().changes_call(1, "locked=true");
    script.meets("UPD-06");
}

impl Script {
    /// Call 1 is told by `add`, with no element.
    fn adds_nothing(&mut self) -> &mut Self {
        let entry = write::entry(Calls, &guid(1), Add, serde_json::Map::new());
        self.tells(1, 700, &write::list_update(700, Calls, 1, vec![entry]))
    }
}
