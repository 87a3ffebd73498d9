//! Tests of the simulation driver, and of the engine over it: whole scenarios on virtual time.

use std::time::Duration;

use super::*;
use crate::engine::End;
use crate::scenario;
use crate::trace::{Event, Observation, Side, Text};

/// Renders every observation on a line.
#[derive(Debug, Default)]
struct Lines {
    lines: Vec<String>,
    /// Claims that something is due until then.
    due: Option<Instant>,
}

impl Sink for Lines {
    fn observe(&mut self, observation: &Observation<'_>) {
        assert_eq!(observation.seq.0, self.lines.len() as u64 + 1);
        let what = match &observation.event {
            Event::Frame { from, text: Some(Text::Json { text, .. }), .. } => format!("{from:?} {text}"),
            Event::Frame { from, frame, .. } => format!("{from:?} {}", frame.header.opcode),
            other => format!("{other:?}"),
        };
        self.lines.push(format!("{} {what}", observation.at.as_nanos()));
    }

    fn due(&self) -> Option<Instant> {
        self.due
    }
}

fn read(text: &str) -> Scenario {
    scenario::read("test.yaml", text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

fn run(text: &str, seed: u64, limits: &Limits) -> (Lines, Outcome) {
    let scenario = read(text);
    let options = Options { seed, ..Options::default() };
    let server = Server { seed, ..Server::default() };
    simulate("test/it", &scenario, options, server, Lines::default(), limits)
}

fn place(lines: &Lines, what: &str) -> usize {
    let found = lines.lines.iter().position(|line| line.contains(what));
    found.unwrap_or_else(|| panic!("no `{what}` in\n{}", lines.lines.join("\n")))
}

const SUBSCRIPTION: &str = "
title: Subscriptions on a call
exercises: [MSG-03]
clients: [alice]
steps:
  - connect: {client: alice}
  - subscribe: {client: alice, set: [{index: 3, type: calls, elements: all}]}
  - start-call: {as: call}
  - wait: {client: alice, for: {type: callListUpdate, updates: [{call: '${call}', updateType: add}]}}
  - subscribe:
      client: alice
      set:
        - {index: 3, type: calls, elements: [name, participants]}
        - {index: 4, type: callInfo, call: '${call}', elements: all}
        - {index: 5, type: callRoster, call: '${call}', elements: all}
  - dial: {call: '${call}', to: answers, as: party}
  - wait: {client: alice, for: {type: rosterUpdate, updates: [{participant: '${party}', state: connected}]}}
  - change-leg: {participant: '${party}', set: {rxAudioMute: true}}
  - wait: {client: alice, for: {type: rosterUpdate, updates: [{participant: '${party}', audioMuted: '*'}]}}
  - compare: {}
  - hang-up: {participant: '${party}'}
  - wait: {client: alice, for: {type: rosterUpdate, updates: [{participant: '${party}', updateType: remove}]}}
  - expect: {equal: ['${call}', '${call}'], because: a value is itself}
  - subscribe: {client: alice, set: []}
  - close: {client: alice}
";

#[test]
fn a_subscription_scenario_runs_from_token_to_cleanup() {
    let (lines, outcome) = run(SUBSCRIPTION, 7, &Limits::default());
    assert_eq!(outcome.end, End::Finished, "{}", lines.lines.join("\n"));
    assert!(outcome.failed_expectations.is_empty() && outcome.network_errors.is_empty(), "{outcome:?}");
    assert!(outcome.left_behind.is_empty());
    assert_eq!(outcome.observations, lines.lines.len() as u64);
    let order = [
        "ScenarioStarted",
        "connect alice",
        "/api/v1/authTokens",
        "Opening",
        "Opened",
        "subscribeRequest",
        "Server {\"type\":\"messageAck\"",
        "subscriptionUpdate",
        "Client {\"type\":\"messageAck\"",
        "callListUpdate",
        "rosterUpdate",
        "Snapshot",
        "Client close",
        "Ended {",
        "method: Delete, target: \"/api/v1/calls/",
        "method: Delete, target: \"/api/v1/coSpaces/",
        "ScenarioEnded { unfinished: None }",
    ];
    let places: Vec<usize> = order.iter().map(|what| place(&lines, what)).collect();
    assert!(places.is_sorted(), "{places:?}\n{}", lines.lines.join("\n"));
    let (from_server, acks) = lines.lines.iter().fold((0, 0), |(messages, acks), line| {
        let message = line.contains("Server {\"type\":\"message\"") || line.contains("Server {\"message\"");
        (messages + u32::from(message), acks + u32::from(line.contains("Client {\"type\":\"messageAck\"")))
    });
    assert!(from_server > 5);
    assert_eq!(from_server, acks);
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let (first, _) = run(SUBSCRIPTION, 7, &Limits::default());
    let (again, _) = run(SUBSCRIPTION, 7, &Limits::default());
    assert_eq!(first.lines, again.lines);
    let (other, outcome) = run(SUBSCRIPTION, 8, &Limits::default());
    assert_eq!(outcome.end, End::Finished);
    assert_ne!(first.lines, other.lines);
}

const WAITS: &str = "
title: Waits for what never comes
exercises: [MSG-03]
clients: [alice]
steps:
  - connect: {client: alice}
  - start-call: {as: call}
  - wait: {client: alice, for: {type: callListUpdate}, within: 3s}
  - expect: {equal: ['1', '2'], because: it is never reached}
";

#[test]
fn a_wait_that_comes_to_nothing_says_so_and_everything_is_tidied_up() {
    let (lines, outcome) = run(WAITS, 1, &Limits::default());
    let End::Unfinished { step, why } = &outcome.end else { panic!("{outcome:?}") };
    assert_eq!(*step, 3);
    assert!(why.contains("waited 3.0 s for a message that alice should receive like"), "{why}");
    assert!(outcome.failed_expectations.is_empty() && outcome.left_behind.is_empty());
    place(&lines, "method: Delete, target: \"/api/v1/calls/");
    assert!(lines.lines.last().is_some_and(|line| line.contains("ScenarioEnded { unfinished: Some(")));
}

#[test]
fn an_interruption_ends_the_steps_and_tidies_up() {
    let limits = Limits { interrupt_at: Some(Instant::from_millis(1000)), ..Limits::default() };
    let (lines, outcome) = run(WAITS, 1, &limits);
    assert_eq!(outcome.end, End::Interrupted);
    place(&lines, "method: Delete, target: \"/api/v1/calls/");
    place(&lines, "method: Delete, target: \"/api/v1/coSpaces/");
    place(&lines, "Client close");
    let nanos: u64 = lines.lines.last().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!(nanos < 2_000_000_000, "{nanos}");
}

#[test]
fn the_end_waits_for_what_the_sink_says_is_due_and_not_for_ever() {
    let text = "{title: t, exercises: [MSG-03], clients: [alice], steps: [{connect: {client: alice}}]}";
    let scenario = read(text);
    for (due, at_least, at_most) in [(2, 2, 3), (1000, 15, 40)] {
        let sink = Lines { due: Some(Instant::from_millis(due * 1000)), ..Lines::default() };
        let limits = Limits::default();
        let (lines, outcome) = simulate("t", &scenario, Options::default(), Server::default(), sink, &limits);
        assert_eq!(outcome.end, End::Finished);
        let nanos: u64 = lines.lines.last().unwrap().split(' ').next().unwrap().parse().unwrap();
        let seconds = Duration::from_nanos(nanos).as_secs();
        assert!((at_least..=at_most).contains(&seconds), "{seconds}");
    }
}

#[test]
fn a_refused_expectation_does_not_end_the_scenario() {
    let text = "
title: t
exercises: [MSG-03]
clients: [alice]
steps:
  - expect: {equal: ['1', '2'], because: numbers differ}
  - connect: {client: alice}
  - expect: {client: alice, message: {type: '*'}, because: something should have come}
  - drop: {client: alice}
  - connect: {client: alice}
";
    let (lines, outcome) = run(text, 3, &Limits::default());
    assert_eq!(outcome.end, End::Finished);
    let steps: Vec<u32> = outcome.failed_expectations.iter().map(|failed| failed.step).collect();
    assert_eq!(steps, [1, 3]);
    assert_eq!(outcome.failed_expectations[0].because, "numbers differ");
    place(&lines, "Dropped");
    assert_eq!(outcome.step_at(outcome.failed_expectations[1].seq).map(|mark| mark.number), Some(3));
}

#[test]
fn withheld_acks_are_sent_when_the_mode_changes() {
    let text = "
title: t
exercises: [MSG-03]
clients: [alice]
steps:
  - connect: {client: alice}
  - acks: {client: alice, mode: withhold}
  - subscribe: {client: alice, set: [{index: 1, type: calls}], until: acked}
  - rest: {}
  - expect: {equal: ['${alice.unacked}', '${alice.last}'], because: one message is owed}
  - acks: {client: alice, mode: at-once}
  - wait: {client: alice, for: {type: subscriptionUpdate, subscriptions: [{state: active}]}}
  - acks: {client: alice, mode: late, by: 50ms}
  - repeat: {each: n, to: 3, steps: [{start-call: {as: 'call-${n}'}}, {end-call: {call: '${call-${n}}'}}]}
  - rest: {}
";
    let (lines, outcome) = run(text, 3, &Limits::default());
    assert_eq!(outcome.end, End::Finished, "{}", lines.lines.join("\n"));
    assert!(outcome.failed_expectations.is_empty(), "{outcome:?}");
    let acks = lines.lines.iter().filter(|line| line.contains("Client {\"type\":\"messageAck\"")).count();
    let messages =
        lines.lines.iter().filter(|line| line.contains("Server {") && line.contains("\"type\":\"message\"")).count();
    assert_eq!(acks, messages, "{}", lines.lines.join("\n"));
    assert!(lines.lines.iter().all(|line| !line.contains(&format!("{:?}", Side::Client)) || !line.contains("pong")));
}

#[test]
fn a_client_connects_again_after_the_server_has_closed() {
    let text = "
title: t
exercises: [MSG-03]
needs: [probing]
clients: [alice]
steps:
  - connect: {client: alice}
  - send-text: {client: alice, text: 'no json'}
  - wait: {client: alice, for: closed, within: 1s, or-go-on: true}
  - connect: {client: alice, if-closed: true, retry: true}
  - subscribe: {client: alice, set: [{index: 1, type: calls}]}
";
    let scenario = read(text);
    let mut server = Server::default();
    server.settings.set("on-bad-json", "close-1007").unwrap();
    let (lines, outcome) = simulate("t", &scenario, Options::default(), server, Lines::default(), &Limits::default());
    assert_eq!(outcome.end, End::Finished, "{}", lines.lines.join("\n"));
    assert_eq!(lines.lines.iter().filter(|line| line.contains("Opened {")).count(), 2);
}

#[test]
fn a_simulation_ends_at_its_limits_and_still_tidies_up() {
    let limits = Limits { time: Duration::from_millis(1500), ..Limits::default() };
    let (lines, outcome) = run(WAITS, 1, &limits);
    let End::Unfinished { step: 3, why } = &outcome.end else { panic!("{outcome:?}") };
    assert!(why.contains("within its limits"), "{why}");
    place(&lines, "method: Delete, target: \"/api/v1/calls/");
}

const RECORDS: &str = "
title: Records of a call
exercises: [CDR-03]
needs: [restart]
receivers: [main, {name: other, path: '/in?x=1'}]
steps:
  - register: {receiver: main, as: entry}
  - expect: {equal: ['${entry}', '${main.id}'], because: the entry has one id}
  - register: {receiver: other}
  - plan: {receiver: main, entries: [{sets: 1, fail: lose-answer}, {sets: 2, answer: 503}]}
  - start-call: {as: call}
  - wait-set: {receiver: main, count: 3}
  - wait-record: {receiver: main, for: {type: callStart, correlatorIndex: 0}, count: 2, as: recorded}
  - expect: {equal: ['${call}', '${recorded}'], because: API and records name the same call}
  - expect: {equal: ['${other.records}', '1'], because: the other receiver got one record}
  - end-call: {call: '${call}'}
  - wait-record: {receiver: other, for: {type: callEnd, durationSeconds: '*'}}
  - rest: {}
  - expect: {receiver: other, none: {type: callEnd}, because: it came once}
  - refuse: {receiver: other}
  - restart: {}
  - start-call: {as: second}
  - wait-record: {receiver: main, for: {type: callStart, correlatorIndex: 0, session: '*'}}
  - unregister: {receiver: main}
";

#[test]
fn a_scenario_with_receivers_runs_from_the_api_to_the_end_of_listening() {
    let (lines, outcome) = run(RECORDS, 5, &Limits::default());
    let shown = lines.lines.join("\n");
    assert_eq!(outcome.end, End::Finished, "{shown}");
    assert!(outcome.failed_expectations.is_empty() && outcome.network_errors.is_empty(), "{outcome:?}\n{shown}");
    assert!(outcome.left_behind.is_empty(), "{outcome:?}");
    let order = [
        "ReceiverOpened { receiver: ReceiverId(1), name: \"main\", uri: \"http://127.0.0.1:40001/main\"",
        "target: \"/api/v1/system/cdrReceivers\"",
        "LinkOpened",
        "SetReceived { set: SetId(1)",
        "SetUnanswered { set: SetId(1)",
        "status: 503, whole: true",
        "ReceiverClosed { receiver: ReceiverId(2)",
        "RestartBegun",
        "RestartDone",
        "ReceiverClosed { receiver: ReceiverId(1)",
        "ScenarioEnded { unfinished: None }",
    ];
    let places: Vec<usize> = order.iter().map(|what| place(&lines, what)).collect();
    assert!(places.is_sorted(), "{places:?}\n{shown}");
    let removed = lines.lines.iter().filter(|line| line.contains("method: Delete, target: \"/api/v1/system/cdrRec"));
    assert_eq!(removed.count(), 2, "{shown}");
    let sets = lines.lines.iter().filter(|line| line.contains("SetReceived")).count();
    let outcomes = |line: &&String| line.contains("SetAnswered") || line.contains("SetUnanswered");
    assert_eq!(sets, lines.lines.iter().filter(outcomes).count(), "{shown}");
    let opened = lines.lines.iter().filter(|line| line.contains("LinkOpened")).count();
    assert_eq!(opened, lines.lines.iter().filter(|line| line.contains("LinkEnded")).count(), "{shown}");
}

#[test]
fn an_interruption_takes_receivers_off_the_list() {
    let limits = Limits { interrupt_at: Some(Instant::from_millis(60)), ..Limits::default() };
    let (lines, outcome) = run(RECORDS, 5, &limits);
    assert_eq!(outcome.end, End::Interrupted);
    assert!(outcome.left_behind.is_empty(), "{outcome:?}");
    let order = ["method: Delete, target: \"/api/v1/system/cdrReceivers/", "ReceiverClosed", "ScenarioEnded"];
    let places: Vec<usize> = order.iter().map(|what| place(&lines, what)).collect();
    assert!(places.is_sorted(), "{places:?}");
}

#[test]
fn records_that_never_come_end_the_scenario_with_what_was_waited_for() {
    let text = "
title: t
exercises: [CDR-03]
receivers: [main]
steps:
  - register: {receiver: main}
  - plan: {receiver: main, entries: [{fail: never}]}
  - start-call: {as: call}
  - wait-record: {receiver: main, for: {type: callStart}, within: 4s}
";
    let (_, outcome) = run(text, 1, &Limits::default());
    let End::Unfinished { step: 4, why } = &outcome.end else { panic!("{outcome:?}") };
    assert!(why.contains("waited 4.0 s for a record that main takes like {\"type\":\"callStart\"}"), "{why}");
    assert!(why.contains("main got a set of records (callStart)"), "{why}");
}

#[test]
fn rest_lets_time_pass_while_a_receiver_owes_an_answer() {
    let text = "
title: An answer that takes longer than rest would
exercises: [CDR-01]
receivers: [main]
steps:
  - register: {receiver: main}
  - rest: {}
  - plan: {receiver: main, entries: [{times: 1, answer: 200, after: 700ms}]}
  - start-call: {as: call}
  - rest: {}
";
    let limits = Limits { events: 2_000, ..Limits::default() };
    let (lines, outcome) = run(text, 3, &limits);
    assert_eq!(outcome.end, End::Finished, "{}", lines.lines.join("\n"));
    assert!(lines.lines.iter().any(|line| line.contains("SetAnswered")));
}
