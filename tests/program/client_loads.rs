//! Loads on what connects to an emulator, through the binary: the harness's own clients and receivers are under load.

use std::fs;

use bridgeproof::load::hlog;
use serde_json::Value;

use super::child::{Emulator, Finished, Folder, PASSWORD, Running};
use super::reports::{read, row, verdicts};

/// Locks change fifty times a second for two seconds.
const LOCKS: &str = "
title: Can the clients follow?
load:
  wait-for: {connections: 2, quiet: 300ms, within: 30s}
  calls: 4
  participants: 2
  updates:
    stimuli: {lock: 3, record: 1}
    executor: {constant-arrival-rate: {rate: 50, duration: 2s}}
  lag: {max: 2s}
  thresholds: {ack: [THRESHOLD]}
";

/// A listener with two connections, which subscribes to the list of calls on each.
const LISTENER: &str = "
title: Two listen.
exercises: [MSG-03]
load: {connections: 2, calls: 0, duration: 40s}
";

/// Starts clients that listen until the emulator ends.
fn listen(folder: &Folder, emulator: &Emulator) -> Running {
    folder.write("listener.yaml", LISTENER);
    let to = ["--target", &emulator.url, "--user", "admin", "--password-env", PASSWORD.0];
    folder.start(&[&["run", "listener.yaml", "--quiet", "--report-dir", "heard"], &to[..]].concat())
}

/// Two listeners under the load of locks with this threshold.
fn locks(folder: &Folder, threshold: &str, more: &[&str]) -> (Finished, Value) {
    folder.write("locks.yaml", &LOCKS.replace("THRESHOLD", &format!("'{threshold}'")));
    let emulator = Emulator::start(folder, &[&["--load", "locks.yaml", "--report-dir", "out"], more].concat());
    let clients = listen(folder, &emulator);
    let finished = emulator.running.finish();
    drop(clients);
    let report = read(&folder.path("out"));
    assert_eq!(report["exit_code"], finished.code, "{finished:?}");
    (finished, report)
}

#[test]
fn the_acks_of_every_connection_are_timed_and_are_a_baseline() {
    let folder = Folder::new();
    let (finished, report) = locks(&folder, "p(99)<5s", &[]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let load = &report["loads"][0];
    assert_eq!((&load["scenario"], &load["begun"]), (&"load/locks".into(), &100.into()));
    assert_eq!((&load["planned"], &load["unfinished"], &load["unserved"]), (&100.into(), &0.into(), &0.into()));
    // A value for each update and connection.
    assert_eq!((&row(&report, "ack")["count"], &row(&report, "ack")["errors"]), (&200.into(), &0.into()));
    assert_eq!((&report["thresholds"][0]["passed"], &report["verdict"]), (&true.into(), &"pass".into()));
    assert_eq!(report["requirements"].as_array().map(Vec::len), Some(0));
    for part in ["the load waits for 2 connections", "the load begins: 2 connections"] {
        assert!(finished.stderr.contains(part), "{part} in {finished:?}");
    }
    assert!(finished.stdout.contains("100 of 100 begun in 2.0 s, 50.0 per second"), "{}", finished.stdout);
    let read = hlog::read(&fs::read(folder.path("out/latency.hlog")).unwrap()).unwrap();
    assert_eq!(read.iter().find(|(name, _)| name == "ack").unwrap().1.len(), 200);

    fs::copy(folder.path("out/report.json"), folder.path("earlier.json")).unwrap();
    let (finished, _) = locks(&folder, "p(50) <= baseline * 0.0001", &["--baseline", "earlier.json"]);
    assert_eq!(finished.code, 8, "{finished:?}");
}

#[test]
fn a_threshold_that_clients_cannot_meet_is_missed_while_they_pass_the_judgement() {
    let folder = Folder::new();
    let (finished, report) = locks(&folder, "p(99)<1us", &["--judge", "--metrics", "127.0.0.1:0"]);
    assert_eq!(finished.code, 4, "{finished:?}");
    assert!(finished.stderr.contains("metrics are at http://127.0.0.1:"), "{finished:?}");
    assert_eq!((&report["thresholds"][0]["passed"], &report["loads"][0]["begun"]), (&false.into(), &100.into()));
    assert_eq!(verdicts(&report)["MSG-02"], "pass", "{finished:?}");
    // Each second tells what began in it.
    let moments = report["loads"][0]["moments"].as_array().unwrap();
    assert_eq!(moments.iter().filter_map(|moment| moment["begun"].as_u64()).sum::<u64>(), 100, "{moments:?}");
    // What nothing in a load puts to the test is no gap in it. No requirement failed; the run did.
    assert_eq!(
        (&verdicts(&report)["MSG-13"], &report["verdict"]),
        (&"skipped".to_owned(), &"fail".into()),
        "{finished:?}"
    );
    assert!(finished.stdout.contains("\nfail, 1 threshold missed: "), "{finished:?}");
    let more = ["--judge", "--dialect", "extra-fields=true", "--rate", "20", "--duration", "1s"];
    let (finished, report) = locks(&folder, "p(99)<5s", &more);
    assert_eq!((finished.code, &verdicts(&report)["MSG-13"]), (0, &"pass".to_owned()), "{finished:?}");
    assert_eq!(report["loads"][0]["begun"], 20, "{finished:?}");
}

#[test]
fn the_answers_of_a_receiver_are_timed() {
    let folder = Folder::new();
    let mut receiver = folder.start(&["receive", "--listen", "127.0.0.1:0"]);
    let line = receiver.stdout_line("received at ");
    let uri = line.split(" at ").nth(1).unwrap();
    folder.write(
        "storm.yaml",
        "title: Can it keep up?
load:
  wait-for: {quiet: 1ms}
  calls: 0
  records: {executor: {constant-arrival-rate: {rate: 200, duration: 2s}}, burst: 20}
  lag: {max: 2s}
  thresholds: {answer: ['p(99)<5s', 'rate<0.01']}
",
    );
    let args = ["emulate", "--listen", "127.0.0.1:0", "--load", "storm.yaml", "--receiver", uri, "--report-dir", "out"];
    let finished = folder.run(&args);
    assert_eq!(finished.code, 0, "{finished:?}");
    let report = read(&folder.path("out"));
    assert_eq!((&report["loads"][0]["begun"], &row(&report, "answer")["count"]), (&20.into(), &400.into()));
    assert_eq!(row(&report, "answer")["errors"], 0);
    receiver.signal("INT");
    let received = receiver.finish();
    assert!(received.stdout.contains("cdr_arrival             400        0"), "{received:?}");
}

#[test]
fn where_nobody_comes_it_is_said_who_was_waited_for() {
    let folder = Folder::new();
    folder.write("alone.yaml", &LOCKS.replace("THRESHOLD", "'p(99)<1s'").replace("within: 30s", "within: 400ms"));
    let finished = folder.run(&["emulate", "--listen", "127.0.0.1:0", "--load", "alone.yaml", "--report-dir", "out"]);
    assert_eq!(finished.code, 3, "{finished:?}");
    let told =
        "error: waited 0.4 s for 2 connections that can be told of updates and 0 CDR receivers, and there were 0";
    assert!(finished.stdout.contains(told), "{finished:?}");
    assert_eq!(read(&folder.path("out"))["exit_code"], 3);
}

#[test]
fn a_load_is_ended_early_with_what_was_measured_so_far() {
    let folder = Folder::new();
    folder.write("locks.yaml", &LOCKS.replace("THRESHOLD", "'p(99)<5s'").replace("duration: 2s", "duration: 1h"));
    let mut emulator = Emulator::start(&folder, &["--load", "locks.yaml", "--report-dir", "out"]);
    let clients = listen(&folder, &emulator);
    emulator.running.stderr_line("the load begins");
    emulator.running.signal("INT");
    let finished = emulator.running.finish();
    drop(clients);
    assert_eq!(finished.code, 130, "{finished:?}");
    let report = read(&folder.path("out"));
    assert_eq!((&report["run"]["interrupted"], &report["loads"][0]["planned"]), (&true.into(), &180_000.into()));
}

#[test]
fn files_that_are_wrong_are_shown_with_the_place() {
    let folder = Folder::new();
    folder.write("wrong.yaml", &LOCKS.replace("THRESHOLD", "'p(99)<1s'").replace("lock: 3", "lok: 3"));
    for args in [&["emulate", "--load", "wrong.yaml"][..], &["lint", "wrong.yaml"]] {
        let finished = folder.run(args);
        assert_eq!(finished.code, 2, "{finished:?}");
        for part in ["wrong.yaml:8:15", "did you mean `lock`?", "^"] {
            assert!(finished.stderr.contains(part), "{part} in {finished:?}");
        }
    }
    folder.write("right.yaml", &LOCKS.replace("THRESHOLD", "'p(99)<1s'"));
    assert_eq!(folder.run(&["lint", "right.yaml"]).code, 0);
    let cases: [(&[&str], &str); 6] = [
        (&["emulate", "--load", "right.yaml", "--duration", "8days"], "write 250ms, 5s, 2m or 1h"),
        (&["emulate", "--rate", "5"], "--load"),
        (&["emulate", "--load", "load/client-capacty"], "did you mean `load/client-capacity`?"),
        (&["emulate", "--report-dir", "out"], "--report-dir needs something to report"),
        (&["emulate", "--load", "right.yaml", "--receiver", "nowhere"], "--receiver nowhere: refused"),
        (&["run", "load/client-capacity"], "`bridgeproof emulate --load load/client-capacity`"),
    ];
    for (args, words) in cases {
        let finished = folder.run(args);
        assert!(finished.code == 2 && finished.stderr.contains(words), "{words} in {finished:?}");
    }
}
