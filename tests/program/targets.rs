//! `run --target` against an emulator in another process: the same verdicts as from the embedded one.

use std::collections::BTreeMap;

use super::child::{Emulator, Folder, PASSWORD, SECOND};
use super::reports::{read, scenarios, verdicts};

/// Scenarios with every need that there is: limits, probing, the test-only API, a second account.
const SOME: [&str; 7] = [
    "authentication/unprivileged",
    "authentication/wrong-password",
    "limits/sixth-connection",
    "messages/not-json",
    "subscriptions/re-indexed",
    "updates/speaker-and-presenter",
    "websocket/fragmented-text",
];

const LOGIN: [&str; 4] = ["--user", "admin", "--password-env", PASSWORD.0];
const SECOND_LOGIN: [&str; 4] = ["--unprivileged-user", "guest", "--unprivileged-password-env", SECOND.0];
const ALLOWED: [&str; 2] = ["--allow", "limits,probing"];

/// Verdicts of requirements and of scenarios, and the exit code.
type Outcome = (i32, BTreeMap<String, String>, BTreeMap<String, String>);

fn run(folder: &Folder, report: &str, args: &[&str]) -> Outcome {
    let finished = folder.run(&[&["run", "--quiet", "--report-dir", report][..], &SOME, args].concat());
    let report = read(&folder.path(report));
    assert_eq!(report["errors"].as_array().map(Vec::len), Some(usize::from(args.contains(&"--insecure"))), "{report}");
    (finished.code, verdicts(&report), scenarios(&report))
}

#[test]
fn a_server_in_another_process_gets_the_verdicts_of_the_embedded_one() {
    let folder = Folder::new();
    let embedded = run(&folder, "embedded", &[]);
    assert_eq!(embedded.0, 0, "{embedded:?}");
    assert!(embedded.2.values().all(|verdict| verdict == "pass"), "{embedded:?}");

    let plain = Emulator::start(&folder, &[]);
    let over = |url: &str, out: &str, more: &[&str]| {
        run(&folder, out, &[&["--target", url][..], &LOGIN, &SECOND_LOGIN, &ALLOWED, more].concat())
    };
    assert_eq!(over(&plain.url, "http", &[]), embedded);

    let secure = Emulator::start(&folder, &["--tls", "--ca-out", "ca.pem"]);
    assert!(secure.url.starts_with("https://127.0.0.1:"), "{}", secure.url);
    assert_eq!(over(&secure.url, "ca", &["--ca", "ca.pem"]), embedded);
    assert_eq!(over(&secure.url, "insecure", &["--insecure"]), embedded);
}

#[test]
fn what_is_not_allowed_on_a_server_is_skipped_with_the_reason() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    let (code, _, scenarios) = run(&folder, "out", &[&["--target", &emulator.url][..], &LOGIN].concat());
    assert_eq!(code, 0);
    let skipped =
        ["authentication/unprivileged", "limits/sixth-connection", "messages/not-json", "websocket/fragmented-text"];
    for (id, verdict) in scenarios {
        assert_eq!(verdict == "skipped", skipped.contains(&id.as_str()), "{id}: {verdict}");
    }
    let report = read(&folder.path("out"));
    let reasons: Vec<_> =
        report["scenarios"].as_array().unwrap().iter().filter_map(|one| one["reason"].as_str()).collect();
    for words in ["--unprivileged-user", "--allow limits", "--allow probing"] {
        assert!(reasons.iter().any(|reason| reason.contains(words)), "{words} in {reasons:?}");
    }
}

#[test]
fn a_run_leaves_nothing_behind_on_a_server() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    run(&folder, "out", &[&["--target", &emulator.url][..], &LOGIN].concat());
    assert_nothing_left(&emulator);
}

#[test]
fn a_fault_is_found_in_a_server_in_another_process_as_well() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &["--mutant", "ack-of-request-missing"]);
    let args =
        [&["run", "messages/requests-acknowledged", "--report-dir", "out", "--target", &emulator.url][..], &LOGIN];
    let finished = folder.run(&args.concat());
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(super::reports::with_verdict(&read(&folder.path("out")), "fail"), ["MSG-03"]);
}

#[test]
fn a_profile_holds_what_else_would_be_typed() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &["--tls", "--ca-out", "ca.pem"]);
    folder.write("second.txt", &format!("{}\n", SECOND.1));
    let profile = format!(
        "url = \"{}\"\nuser = \"admin\"\npassword-env = \"{}\"\nca = \"ca.pem\"\n\
         unprivileged-user = \"guest\"\nunprivileged-password-file = \"second.txt\"\n",
        emulator.url, PASSWORD.0
    );
    folder.write("lab.toml", &profile);
    let finished = folder.run(&["run", "authentication/unprivileged", "--profile", "lab.toml", "--report-dir", "out"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    folder.write("lab.toml", &profile.replace("user =", "usr ="));
    let wrong = folder.run(&["run", "--profile", "lab.toml"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("lab.toml") && wrong.stderr.contains("usr"), "{wrong:?}");
}

const WITH_A_CALL: &str = "\
title: A call goes on for a long time.
exercises: [MSG-03]
clients: [alice]
steps:
  - start-call: {as: call}
  - dial: {call: '${call}', to: answers}
  - connect: {client: alice}
  - subscribe: {client: alice, set: [{index: 1, type: callRoster, call: '${call}', elements: all}]}
  - pause: {for: 50s}
";

#[test]
fn an_interrupted_run_removes_what_it_made_on_a_server() {
    let folder = Folder::new();
    folder.write("slow.yaml", WITH_A_CALL);
    let emulator = Emulator::start(&folder, &[]);
    let args = ["run", "authentication/token-issued", "slow.yaml", "--report-dir", "out", "--target", &emulator.url];
    let mut running = folder.start(&[&args[..], &LOGIN].concat());
    running.stderr_line("1/2 authentication/token-issued");
    // The call of the second scenario is there.
    let mut polls = 0;
    while !super::emulate_command::api(&emulator, "GET", "/api/v1/participants", "").contains("total=\"1\"") {
        polls += 1;
        assert!(polls < 10_000, "the scenario never dials");
    }
    running.signal("INT");
    let finished = running.finish();
    assert_eq!(finished.code, 130, "{finished:?}");
    assert_eq!(scenarios(&read(&folder.path("out")))["slow"], "inconclusive");
    assert_nothing_left(&emulator);
}

fn assert_nothing_left(emulator: &Emulator) {
    for list in ["calls", "participants", "coSpaces"] {
        let answer = super::emulate_command::api(emulator, "GET", &format!("/api/v1/{list}"), "");
        assert!(answer.contains("total=\"0\""), "{list}: {answer}");
    }
}
