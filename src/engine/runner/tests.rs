//! Tests of the engine on its own, with answers given by hand.

use super::*;
use crate::protocol::http::{Headers, Response};
use crate::scenario;
use crate::trace::{ExchangeId, NetworkError, NetworkErrorKind, Observation};

/// Keeps what happened, on a line each.
#[derive(Debug, Default)]
struct Lines(Vec<String>);

impl Sink for Lines {
    fn observe(&mut self, observation: &Observation<'_>) {
        self.0.push(format!("{:?}", observation.event));
    }
}

const SPACE: &str = "{title: t, exercises: [MSG-03], steps: [{create-space: {name: a, as: space}}]}";

fn read(text: &str) -> Scenario {
    scenario::read("test.yaml", text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// The exchange and request line of the next command, which must be a request.
fn next_request(engine: &mut Engine<'_, Lines>) -> (ExchangeId, String, String) {
    match engine.poll_command() {
        Some(Command::Request { exchange, request, .. }) => {
            let line = format!("{} {}", request.method, request.target);
            (exchange, line, String::from_utf8(request.body).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

fn answer(engine: &mut Engine<'_, Lines>, at: u64, exchange: ExchangeId, response: Response) {
    engine.handle_input(Instant::from_millis(at), Input::Responded { exchange, response });
}

fn created(location: &str) -> Response {
    Response { headers: Headers::new().with("Location", location), ..Response::new(200) }
}

#[test]
fn a_busy_server_is_asked_again_and_what_was_made_is_removed() {
    let scenario = read(SPACE);
    let options = Options { run_id: "run-1".to_owned(), ..Options::default() };
    let mut engine = Engine::new("t", &scenario, options, Lines::default());
    engine.handle_input(Instant::ZERO, Input::Tick);
    let (exchange, line, body) = next_request(&mut engine);
    assert_eq!((line.as_str(), body.as_str()), ("POST /api/v1/coSpaces", "name=run-1+a"));
    answer(&mut engine, 1, exchange, Response::new(503));
    assert_eq!(engine.poll_command(), None);
    assert_eq!(engine.poll_timeout(), Some(Instant::from_millis(501)));
    engine.handle_input(Instant::from_millis(501), Input::Tick);
    let (exchange, line, _) = next_request(&mut engine);
    assert_eq!(line, "POST /api/v1/coSpaces");
    answer(&mut engine, 502, exchange, created("/api/v1/coSpaces/s-1"));
    let (exchange, line, _) = next_request(&mut engine);
    assert_eq!(line, "DELETE /api/v1/coSpaces/s-1");
    answer(&mut engine, 503, exchange, Response::new(200));
    assert!(engine.is_done());
    assert_eq!(engine.poll_timeout(), None);
    let (_, outcome) = engine.finish();
    assert_eq!((outcome.end, outcome.left_behind), (End::Finished, vec![]));
}

#[test]
fn an_object_whose_answer_comes_after_an_interruption_is_removed_too() {
    let scenario = read(SPACE);
    let mut engine = Engine::new("t", &scenario, Options::default(), Lines::default());
    engine.handle_input(Instant::ZERO, Input::Tick);
    let (exchange, ..) = next_request(&mut engine);
    engine.handle_input(Instant::from_millis(1), Input::Interrupt);
    assert!(!engine.is_done());
    answer(&mut engine, 2, exchange, created("/api/v1/coSpaces/s-1"));
    let (exchange, line, _) = next_request(&mut engine);
    assert_eq!(line, "DELETE /api/v1/coSpaces/s-1");
    answer(&mut engine, 3, exchange, Response::new(500));
    let (_, outcome) = engine.finish();
    assert_eq!(outcome.end, End::Interrupted);
    assert_eq!(outcome.left_behind, ["/api/v1/coSpaces/s-1"]);
    assert_eq!(outcome.left_because.as_deref(), Some("DELETE /api/v1/coSpaces/s-1 was answered 500"));
}

#[test]
fn a_network_error_ends_the_steps_and_is_reported() {
    let scenario = read(SPACE);
    let mut engine = Engine::new("t", &scenario, Options::default(), Lines::default());
    engine.handle_input(Instant::ZERO, Input::Tick);
    let (exchange, ..) = next_request(&mut engine);
    let error = NetworkError {
        kind: NetworkErrorKind::Connect,
        address: "127.0.0.1:9".to_owned(),
        cause: "connection refused".to_owned(),
    };
    engine.handle_input(Instant::from_millis(1), Input::RequestFailed { exchange, error: error.clone() });
    assert!(engine.is_done());
    let (_, outcome) = engine.finish();
    let End::Unfinished { step: 1, why } = &outcome.end else { panic!("{outcome:?}") };
    assert!(why.contains("127.0.0.1:9: connection refused"), "{why}");
    assert_eq!(outcome.network_errors, [error]);
}

#[test]
fn a_tick_that_comes_late_is_told_as_the_harness_s_own_lateness() {
    let scenario = read("{title: t, exercises: [MSG-03], steps: [{pause: {for: 1s}}, {pause: {for: 1s}}]}");
    let mut engine = Engine::new("t", &scenario, Options::default(), Lines::default());
    engine.handle_input(Instant::from_millis(9000), Input::Tick);
    engine.handle_input(Instant::from_millis(10_200), Input::Tick);
    engine.handle_input(Instant::from_millis(11_500), Input::Tick);
    assert!(engine.is_done());
    let (lines, _) = engine.finish();
    let late: Vec<&String> = lines.0.iter().filter(|line| line.contains("Late")).collect();
    assert_eq!(late, ["HarnessLate { by: 300ms }"]);
}
