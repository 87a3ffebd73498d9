//! Tests of the checks: what each finds, where it points, and what it suggests.

use crate::scenario::diagnostic::ScenarioError;
use crate::scenario::read;

/// The errors of a scenario with these steps, which alice takes part in.
fn errors_in(head: &str, steps: &str) -> Vec<ScenarioError> {
    let text = format!(
        "title: t\nexercises: [MSG-03]\nclients: [alice]\n{head}steps:\n  - connect: {{client: alice}}\n{steps}"
    );
    read("f.yaml", &text).err().unwrap_or_default()
}

/// The one error of these steps, as `message | help`, with the text that its span covers.
fn error_of(steps: &str) -> (String, String) {
    let text =
        format!("title: t\nexercises: [MSG-03]\nclients: [alice]\nsteps:\n  - connect: {{client: alice}}\n{steps}");
    let errors = read("f.yaml", &text).expect_err(steps);
    assert_eq!(errors.len(), 1, "{errors:#?}");
    let error = &errors[0];
    let help = error.help.as_ref().map_or_else(String::new, |help| format!(" | {help}"));
    (format!("{}{help}", error.message), text[error.span.clone()].to_owned())
}

#[track_caller]
fn assert_error(steps: &str, message: &str, at: &str) {
    let (found, place) = error_of(steps);
    assert!(found.contains(message), "`{message}` in `{found}`");
    assert_eq!(place, at, "{found}");
}

#[track_caller]
fn assert_clean(head: &str, steps: &str) {
    let errors = errors_in(head, steps);
    assert!(errors.is_empty(), "{errors:#?}");
}

#[test]
fn all_errors_of_a_file_are_reported_in_the_order_of_their_places() {
    let text = "
title: ' '
exercises: [MSG-3, MSG-02, AUTH-01, AUTH-01]
needs: [limit, probing]
clients: [alice, run, bob]
steps:
  - subscribe: {client: alise, set: [{index: 1, type: call, elements: [nam]}]}
  - dial: {call: '${call}', to: busy}
";
    let errors = read("f.yaml", text).unwrap_err();
    let messages: Vec<&str> = errors.iter().map(|error| error.message.as_str()).collect();
    for part in [
        "the title is empty",
        "no requirement is called `MSG-3`",
        "MSG-02 is about the client",
        "`AUTH-01` stands twice",
        "`limit` is nothing",
        "`run` cannot be the name",
        "more than 2 connections",
        "no client is called `alise`",
        "no event resource is called `call`",
        "`call` has no value here",
        "nobody is ever connected at `busy`",
    ] {
        assert!(messages.iter().any(|message| message.contains(part)), "{part} in {messages:#?}");
    }
    assert!(errors.windows(2).all(|pair| pair[0].span.start <= pair[1].span.start));
}

#[test]
fn a_scenario_exercises_something_and_has_steps() {
    let errors = read("f", "title: t\nexercises: []\nsteps: []\n").unwrap_err();
    assert_eq!(errors.len(), 2, "{errors:#?}");
}

#[test]
fn names_have_a_value_only_after_the_step_that_stores_them() {
    assert_error("  - end-call: {call: '${call}'}\n", "`call` has no value here", "${call");
    assert_clean("", "  - start-call: {as: call}\n  - end-call: {call: '${call}'}\n");
    assert_error("  - start-call: {as: call}\n  - end-call: {call: '${cal}'}\n", "did you mean `call`?", "${cal");
    assert_error("  - start-call: {as: x}\n  - start-call: {as: x}\n", "has a value already", "x");
    assert_error("  - dial: {call: a, to: '${bob.last}'}\n", "has no value here", "${bob.last");
}

#[test]
fn names_made_in_a_loop_are_known_by_what_they_begin_with() {
    let made = "  - repeat: {each: n, to: 3, steps: [{start-call: {as: 'call-${n}'}}]}\n";
    assert_clean("", &format!("{made}  - end-call: {{call: '${{call-2}}'}}\n"));
    assert_clean(
        "",
        &format!("{made}  - repeat: {{each: m, to: 3, steps: [{{end-call: {{call: '${{call-${{m}}}}'}}}}]}}\n"),
    );
    assert_error(&format!("{made}  - end-call: {{call: '${{leg-2}}'}}\n"), "`leg-2` has no value", "${leg-2");
    assert_error(&format!("{made}  - end-call: {{call: '${{n}}'}}\n"), "`n` has no value", "${n");
}

#[test]
fn loops_are_bounded() {
    assert_error("  - repeat: {each: n, from: 5, to: 4, steps: [{rest: {}}]}\n", "there is no number", "4");
    assert_error("  - repeat: {each: n, to: 1000000, steps: [{rest: {}}]}\n", "runs 1000000 times", "1000000");
    let nested = "  - repeat: {each: n, to: 200, steps: [{repeat: {each: m, to: 201, steps: [{rest: {}}]}}]}\n";
    assert_error(nested, "runs 40200 times", "201");
    assert_error("  - repeat: {each: n, to: 2, steps: []}\n", "nothing is repeated", "steps");
}

#[test]
fn subscriptions_fit_their_resource() {
    let subscribe = |entry: &str| format!("  - subscribe: {{client: alice, set: [{entry}]}}\n");
    assert_error(&subscribe("{index: 1, type: callroster}"), "did you mean `callRoster`?", "callroster");
    assert_error(
        &subscribe("{index: 1, type: calls, elements: [participant]}"),
        "did you mean `participants`?",
        "participant",
    );
    assert_error(&subscribe("{index: 1, type: calls, elements: [uri]}"), "`calls` has no element `uri`", "uri");
    assert_error(&subscribe("{index: 1, type: callInfo}"), "without a call", "type");
    assert_error(&subscribe("{index: 1, type: calls, call: x}"), "names none", "call");
    assert_error(&subscribe("{index: one, type: calls}"), "has to be a whole number", "one");
    assert_error(&subscribe("{index: -1, type: calls}"), "is -1", "-1");
    assert_error(&subscribe("{index: 1, type: calls}, {index: 1, type: calls}"), "stands twice", "index");
    assert_error(
        &subscribe("{index: '${n}', type: callInfo, call: '${guid}', each: n, to: 101}"),
        "needs `limits`",
        "subscribe",
    );
    let probing = subscribe("{index: 1, type: callInfo}, {index: 1, type: calls}");
    assert_clean("needs: [probing]\n", &probing);
}

#[test]
fn malformed_input_needs_probing() {
    for step in [
        "send-text: {client: alice, text: '{'}",
        "send-frame: {client: alice, opcode: ping}",
        "send-bytes: {client: alice, hex: 'ff'}",
        "send: {client: alice, message: {type: unsubscribe}}",
    ] {
        let errors = errors_in("", &format!("  - {step}\n"));
        assert!(
            errors.len() == 1 && errors[0].help.as_ref().is_some_and(|help| help.contains("`probing`")),
            "{errors:#?}"
        );
        assert_clean("needs: [probing]\n", &format!("  - {step}\n"));
    }
    assert_clean("", "  - send: {client: alice, message: {type: subscribeRequest, subscriptions: []}}\n");
}

#[test]
fn emulate_has_one_subject_and_needs_the_test_api() {
    let emulate = "  - emulate: {message: {type: weatherUpdate}}\n";
    assert_error(emulate, "needs `test-api`", "emulate");
    assert_clean("needs: [test-api]\n", emulate);
    let both = "  - emulate: {call: x, participant: y, set: {a: b}}\n";
    let errors = errors_in("needs: [test-api]\n", both);
    assert!(errors.len() == 1 && errors[0].message.contains("exactly one"), "{errors:#?}");
}

#[test]
fn wrong_combinations_are_found() {
    assert_error("  - acks: {client: alice, mode: late}\n", "`late` needs `by`", "acks");
    assert_error("  - acks: {client: alice, mode: withhold, times: 3}\n", "only `mode: repeat`", "times");
    assert_error("  - close: {client: alice, code: 99}\n", "99 is no close code", "99");
    assert_error("  - expect: {because: x}\n", "exactly one", "expect");
    assert_error(
        "  - wait: {client: alice, for: {type: rosterUpdat}}\n",
        "did you mean `rosterUpdate`?",
        "rosterUpdat",
    );
    assert_error("  - wait: {client: alice, for: {type: rosterUpdate}, within: 0s}\n", "more than nothing", "within");
    assert_error("  - request: {method: get, path: /calls}\n", "did you mean `GET`?", "get");
    assert_error("  - request: {method: GET, path: /api/v1/calls}\n", "leave out `/api/v1`", "/api/v1/calls");
    assert_error("  - token: {credentials: nobody}\n", "known are `none`", "nobody");
    assert_error("  - token: {credentials: unprivileged}\n", "needs `unprivileged-account`", "token");
}

#[test]
fn a_client_has_to_be_connected_before_it_acts() {
    let text = "title: t\nexercises: [MSG-03]\nclients: [alice, bob]\nsteps: [{drop: {client: alice}}]\n";
    let errors = read("f", text).unwrap_err();
    assert!(errors.iter().any(|error| error.message == "`alice` has no connection yet"), "{errors:#?}");
    assert!(errors.iter().any(|error| error.message.starts_with("`bob` takes no part")), "{errors:#?}");
}
