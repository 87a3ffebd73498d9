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
    assert_clean("needs: [test-api]\n", "  - emulate: {settings: {cdr-queue: 3, cdr-extra-fields: true}}\n");
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

#[test]
fn the_list_of_errors_ends_somewhere() {
    let many = "  - end-call: {call: '${x}'}\n".repeat(5000);
    let errors = errors_in("", &many);
    assert_eq!(errors.len(), 100);
    assert!(errors[99].message.contains("more is wrong"), "{}", errors[99]);
}

/// The errors of a scenario with receivers, each with the text that its span covers.
fn errors_of_receivers(head: &str, steps: &str) -> Vec<(String, String)> {
    let text = format!("title: t\nexercises: [CDR-03]\n{head}steps:\n{steps}");
    let errors = read("f.yaml", &text).err().unwrap_or_default();
    let with_help = |error: &ScenarioError| {
        let help = error.help.as_ref().map_or_else(String::new, |help| format!(" | {help}"));
        (format!("{}{help}", error.message), text[error.span.clone()].to_owned())
    };
    errors.iter().map(with_help).collect()
}

#[track_caller]
fn assert_receiver_error(steps: &str, message: &str, at: &str) {
    let errors = errors_of_receivers("receivers: [main]\n", &format!("  - register: {{receiver: main}}\n{steps}"));
    assert!(errors.len() == 1 && errors[0].0.contains(message), "`{message}` in {errors:?}");
    assert_eq!(errors[0].1, at, "{errors:?}");
}

#[test]
fn receivers_are_named_once_take_part_and_have_paths() {
    let register = "  - register: {receiver: main}\n";
    assert_eq!(errors_of_receivers("receivers: [main]\n", register), []);
    let one = |head: &str, part: &str| {
        let errors = errors_of_receivers(head, register);
        assert!(errors.iter().any(|(message, _)| message.contains(part)), "`{part}` in {errors:?}");
    };
    one("receivers: [main, other]\n", "`other` takes no part");
    one("receivers: [main, main]\n", "`main` stands twice");
    one("clients: [main]\nreceivers: [main]\n", "`main` stands twice");
    one("receivers: [main, run]\n", "`run` cannot be the name");
    one("receivers: [{name: main, path: cdr}]\n", "`cdr` is no path");
    one("receivers: [{name: main, path: '/a b'}]\n", "`/a b` is no path");
    one("receivers: [{name: main, tls: true}]\n", "needs `https-receivers`");
    one("receivers: [main, b, c]\n", "more than 2 receivers on a server need `limits`");
    one("receivers: [mian]\n", "did you mean `mian`?");
    one("receivers: [{name: main, tsl: true}]\n", "no key `tsl` belongs here | did you mean `tls`?");
}

#[test]
fn steps_of_receivers_come_after_what_they_need() {
    let only = "receivers: [main]\n";
    let errors = errors_of_receivers(only, "  - wait-set: {receiver: main}\n  - register: {receiver: main}\n");
    assert!(errors[0].0.contains("`main` does not listen yet"), "{errors:?}");
    let errors = errors_of_receivers(only, "  - listen: {receiver: main}\n  - unregister: {receiver: main}\n");
    assert!(errors[0].0.contains("`main` is not configured on the server yet"), "{errors:?}");
    assert_receiver_error("  - restart: {}\n", "`restart` needs `restart`", "restart");
    assert_receiver_error(
        "  - change-receiver: {receiver: main}\n",
        "exactly one of `to` and `uri`",
        "change-receiver",
    );
    assert_receiver_error(
        "  - wait-record: {receiver: main, for: {type: callEnt}}\n",
        "did you mean `callEnd`?",
        "callEnt",
    );
    assert_receiver_error("  - wait-record: {receiver: main, for: callEnd}\n", "a pattern is an object", "wait-record");
    assert_receiver_error("  - wait-set: {receiver: main, count: 0}\n", "is 0, which is not from 1", "0");
    assert_receiver_error("  - pause: {for: 1s}\n  - end-call: {call: '${main.url}'}\n", "`main.uri`", "${main.url");
    assert_receiver_error(
        "  - expect: {receiver: main, message: {type: x}, because: b}\n",
        "a receiver gets no messages | say `record`",
        "main",
    );
    assert_eq!(
        errors_of_receivers(
            only,
            "  - register: {receiver: main}\n  - expect: {receiver: main, none: {type: callEnd}, because: b}\n"
        ),
        []
    );
}

#[test]
fn entries_of_plans_make_sense() {
    let plan = |entry: &str| format!("  - plan: {{receiver: main, entries: [{{{entry}}}]}}\n");
    assert_receiver_error(&plan("sets: 1"), "exactly one of `answer` and `fail`", "sets");
    assert_receiver_error(&plan("answer: 200, fail: never"), "exactly one of `answer` and `fail`", "answer");
    assert_receiver_error(&plan("answer: 99"), "99 is no status", "99");
    assert_receiver_error(&plan("fail: never, after: 2s"), "`after` belongs to an `answer`", "after");
    assert_receiver_error(&plan("answer: 503, times: 0"), "`times` is a number from 1", "times");
    assert_receiver_error(&plan("answer: 503, from: 2s, to: 1s"), "`to` is before `from`", "to");
    assert_receiver_error(&plan("answer: 503, records: [callStrat]"), "did you mean `callStart`?", "callStrat");
    assert_receiver_error(&plan("fail: close-in-body, records: [callEnd]"), "shows only when it is whole", "records");
    assert_receiver_error(&plan("answer: 200, read: {bytes: 0, every: 1s}"), "`bytes` is a number from 1", "bytes");
    assert_receiver_error(&plan("fail: neverr"), "did you mean `never`?", "neverr");
    assert_receiver_error(&plan("answer: 200, sets: 4-2"), "numbers of sets", "sets");
}

#[test]
fn a_plan_that_stands_alone_is_read_and_checked() {
    let read = crate::scenario::parse::read_plan;
    assert_eq!(read("plan.yaml", "- {sets: 1-3, answer: 503}\n- {fail: never}\n").unwrap().len(), 2);
    let errors = read("plan.yaml", "- {answer: 503}\n- {answer: 20}\n").unwrap_err();
    assert_eq!((errors.len(), errors[0].line), (1, 2), "{errors:?}");
    assert!(read("plan.yaml", "- {answer: 302, location: '${x}'}\n").is_err());
}

#[test]
fn emulated_legs_have_one_subject_and_one_change() {
    let one = |steps: &str, part: &str| {
        let errors = errors_in("needs: [test-api]\n", steps);
        assert!(errors.len() == 1 && errors[0].message.contains(part), "`{part}` in {errors:#?}");
    };
    let head = "needs: [test-api]\n";
    assert_clean(head, "  - call-in: {from: a@b, as: leg}\n  - emulate: {leg: '${leg}', end: timeout}\n");
    assert_clean(head, "  - call-in: {from: a@b, as: leg}\n  - emulate: {leg: '${leg}', into-space: x}\n");
    one("  - call-in: {from: a@b, space: x, call: y}\n", "not both");
    one("  - emulate: {call: x, into-call: y}\n", "only a `leg`");
    one("  - emulate: {leg: x, end: timeout, into-call: y}\n", "one of `end`, `into-call` and `into-space`");
    one("  - emulate: {leg: x}\n", "nothing is changed");
}
