//! Call detail records between programs: the emulated Call Bridge and receivers that others wrote, `receive` over http and
//! https, scenarios with records against a server in another process, and its restart by a command.

use std::process::Command;

use super::call_bridge::Receiver;
use super::child::{Emulator, Folder, PASSWORD, Running};
use super::emulate_command::api;
use super::peer::free_port;
use super::reports::{read, root, scenarios, verdicts, with_verdict};

/// The id in the Location of what was created.
fn created(emulator: &Emulator, path: &str, form: &str) -> String {
    let answer = api(emulator, "POST", path, form);
    let location = answer.lines().find_map(|line| {
        line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")).map(|(_, value)| value)
    });
    let location = location.unwrap_or_else(|| panic!("{path}: {answer}"));
    location.trim().rsplit('/').next().unwrap().to_owned()
}

/// Configures a receiver.
fn add_receiver(emulator: &Emulator, uri: &str) {
    created(emulator, "/api/v1/system/cdrReceivers", &format!("uri={uri}"));
}

/// A call with one participant, from its beginning to its end.
fn make_a_call(emulator: &Emulator) {
    let space = created(emulator, "/api/v1/coSpaces", "name=Weekly");
    let call = created(emulator, "/api/v1/calls", &format!("coSpace={space}&name=Weekly"));
    let path = format!("/api/v1/calls/{call}/participants");
    created(emulator, &path, "remoteParty=answers@emulator.invalid");
    let answer = api(emulator, "DELETE", &format!("/api/v1/calls/{call}"), "");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn python(script: &str, arguments: &[&str]) -> Running {
    let program = std::env::var_os("BRIDGEPROOF_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut command = Command::new(program);
    command.arg(root().join("tests/peers").join(script)).args(arguments);
    Running::start(command)
}

#[test]
fn a_receiver_in_the_style_of_the_guide_gets_the_records_of_a_call() {
    for style in [&["threads"][..], &[]] {
        let folder = Folder::new();
        let emulator = Emulator::start(&folder, &[]);
        let mut receiver = python("cdr_receiver.py", style);
        let line = receiver.stdout_line("receiving at ");
        add_receiver(&emulator, line.trim_start_matches("receiving at "));
        for _ in 0..2 {
            make_a_call(&emulator);
            for kind in ["callStart", "callLegStart", "callLegEnd", "callEnd"] {
                receiver.stdout_line(&format!("record {kind}"));
            }
        }
    }
}

#[test]
fn an_emulated_call_bridge_passes_at_receivers_with_and_without_tls() {
    for tls in [&[][..], &["--tls"]] {
        let folder = Folder::new();
        let emulator = Emulator::start(&folder, &[]);
        let more = [&["--record", "r.jsonl", "--report-dir", "out"], tls].concat();
        let receiver = Receiver::start(&folder, &more);
        add_receiver(&emulator, &receiver.uri);
        make_a_call(&emulator);
        let file = folder.path("r.jsonl");
        while !std::fs::read_to_string(&file).unwrap().contains("\"type\":\"callEnd\"") {
            // Bounded by the limit of the test's processes: the emulator is asked for something each time.
            api(&emulator, "GET", "/api/v1/system/status", "");
        }
        receiver.running.signal("INT");
        let finished = receiver.running.finish();
        assert_eq!(finished.code, 0, "{finished:?}");
        let report = read(&folder.path("out"));
        assert_eq!(with_verdict(&report, "fail"), Vec::<String>::new(), "{finished:?}");
        assert_eq!(verdicts(&report).get("CDR-01").map(String::as_str), Some("pass"));
    }
}

/// The options that lead to an emulator.
fn target(emulator: &Emulator) -> Vec<&str> {
    vec!["--target", &emulator.url, "--user", "admin", "--password-env", PASSWORD.0]
}

const LOST_ANSWER: &str = "\
title: A set of records whose answer gets lost is sent again.
exercises: [CDR-03]
receivers: [main]
steps:
  - register: {receiver: main}
  - plan: {receiver: main, entries: [{sets: 1, fail: lose-answer}]}
  - start-call: {as: call}
  - wait-set: {receiver: main, count: 2, within: 20s}
  - wait-record: {receiver: main, for: {type: callStart, id: '${call}'}, within: 20s}
";

#[test]
fn a_scenario_with_records_passes_on_a_server_in_another_process_and_leaves_no_receiver_behind() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    folder.write("lost.yaml", LOST_ANSWER);
    for (out, more) in [("plain", &[][..]), ("advertised", &["--cdr-advertise", "localhost"])] {
        let args = [&["run", "lost.yaml", "--report-dir", out][..], &target(&emulator), more].concat();
        let finished = folder.run(&args);
        assert_eq!(finished.code, 0, "{finished:?}");
        let report = read(&folder.path(out));
        assert_eq!(verdicts(&report).get("CDR-03").map(String::as_str), Some("pass"), "{finished:?}");
    }
    let left = api(&emulator, "GET", "/api/v1/system/cdrReceivers", "");
    assert!(left.contains("total=\"0\""), "{left}");
    let dry = folder.run(&[&["run", "lost.yaml", "--dry-run"][..], &target(&emulator)].concat());
    assert!(dry.stdout.contains("adds CDR receivers: main (http)"), "{dry:?}");
}

#[test]
fn an_address_that_the_target_cannot_reach_ends_with_a_hint_and_is_waited_for_once() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    let quick = LOST_ANSWER.replace("20s", "2s");
    folder.write("a.yaml", &quick);
    folder.write("b.yaml", &quick);
    folder.write("c.yaml", "{title: t, exercises: [AUTH-01], clients: [a], steps: [{connect: {client: a}}]}");
    let args = ["run", "a.yaml", "b.yaml", "c.yaml", "--report-dir", "out", "--cdr-advertise", "127.0.0.1:1"];
    let finished = folder.run(&[&args[..], &["--redelivery-deadline", "1s"], &target(&emulator)].concat());
    assert_eq!(finished.code, 3, "{finished:?}");
    assert!(finished.stderr.contains("http://127.0.0.1:1/main") && finished.stderr.contains("--cdr-advertise"));
    let report = read(&folder.path("out"));
    let seen = scenarios(&report);
    let of = |id: &str| seen.get(id).map(String::as_str);
    assert_eq!((of("a"), of("b"), of("c")), (Some("inconclusive"), Some("skipped"), Some("pass")), "{finished:?}");
}

#[test]
fn a_full_list_of_receivers_is_left_as_it_is() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    folder.write("lost.yaml", LOST_ANSWER);
    for number in 1..=4 {
        add_receiver(&emulator, &format!("http://127.0.0.1:9/{number}"));
    }
    let finished = folder.run(&[&["run", "lost.yaml", "--report-dir", "out"][..], &target(&emulator)].concat());
    assert_eq!(finished.code, 6, "{finished:?}");
    assert_eq!(scenarios(&read(&folder.path("out"))).get("lost").map(String::as_str), Some("skipped"), "{finished:?}");
    assert!(finished.stdout.contains("free place"), "{finished:?}");
    let list = api(&emulator, "GET", "/api/v1/system/cdrReceivers", "");
    assert!(list.contains("total=\"4\"") && list.contains("http://127.0.0.1:9/4"), "{list}");
}

#[test]
fn a_port_for_receivers_that_is_taken_ends_the_run_before_it_begins() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = [&["run", "authentication/token-issued", "--cdr-listen", &address][..], &target(&emulator)].concat();
    let finished = folder.run(&args);
    assert_eq!(finished.code, 3, "{finished:?}");
    assert!(finished.stderr.contains(&address) && finished.stderr.contains("in use"), "{finished:?}");
}

#[test]
fn too_few_ports_for_receivers_are_trouble_with_the_environment() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    let two = LOST_ANSWER.replace("[main]", "[main, other]").replace(
        "  - register: {receiver: main}\n",
        "  - register: {receiver: main}\n  - register: {receiver: other}\n",
    );
    folder.write("two.yaml", &two);
    let (_held, port) = free_port();
    let listen = format!("127.0.0.1:{port}-{port}");
    let args = [&["run", "two.yaml", "--cdr-listen", &listen, "--report-dir", "out"][..], &target(&emulator)].concat();
    let finished = folder.run(&args);
    assert_eq!(finished.code, 3, "{finished:?}");
    assert!(finished.stdout.contains("too few ports for 2 receivers"), "{finished:?}");
}

const RESTARTED: &str = "\
title: After a restart records have a new session and begin with 0.
exercises: [CDR-05]
needs: [restart]
receivers: [main]
steps:
  - register: {receiver: main}
  - start-call: {as: before}
  - wait-record: {receiver: main, for: {type: callStart, id: '${before}'}, within: 20s}
  - restart: {}
  - start-call: {as: after}
  - wait-record: {receiver: main, for: {type: callStart, id: '${after}'}, within: 20s}
";

#[test]
fn the_server_is_restarted_by_the_command_of_the_user() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    folder.write("restarted.yaml", RESTARTED);
    let script = root().join("tests/peers/restart.py");
    let program = std::env::var("BRIDGEPROOF_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let restart = format!("'{program}' '{}' {} {}", script.display(), emulator.address(), PASSWORD.0);
    let run = |out: &str, more: &[&str]| {
        let args = [&["run", "restarted.yaml", "--report-dir", out][..], &target(&emulator), more].concat();
        folder.run(&args)
    };
    let skipped = run("skipped", &["--restart-command", &restart]);
    assert_eq!(skipped.code, 6, "{skipped:?}");
    assert!(skipped.stdout.contains("--allow restart"), "{skipped:?}");

    let finished = run("out", &["--allow", "restart", "--restart-command", &restart]);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_eq!(verdicts(&read(&folder.path("out"))).get("CDR-05").map(String::as_str), Some("pass"), "{finished:?}");

    let failing = "echo no such host; exit 7";
    let failed = run("failed", &["--allow", "restart", "--restart-command", failing]);
    assert_eq!(failed.code, 5, "{failed:?}");
    assert!(failed.stdout.contains("no such host"), "{failed:?}");
    let late = ["--allow", "restart", "--restart-command", "sleep 60", "--restart-deadline", "500ms"];
    let late = run("late", &late);
    assert_eq!(late.code, 5, "{late:?}");
    assert!(late.stdout.contains("was not through after 0.5 s"), "{late:?}");
}
