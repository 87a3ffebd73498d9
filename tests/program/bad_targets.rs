//! Targets that are no Meeting Server, or a bad one: a clear message, the right exit code, a report, and an end.

use std::io::Write as _;
use std::net::Shutdown;

use serde_json::Value;

use super::child::{Emulator, Finished, Folder, PASSWORD};
use super::peer::{Peer, free_port};
use super::reports::{read, scenarios, verdicts, words};

const SCENARIO: &str = "messages/requests-acknowledged";

/// The arguments of a run against `url`.
fn args<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let mut args = vec!["run", SCENARIO, "--report-dir", "out", "--deadline", "500ms", "--target", url];
    args.extend(["--user", "admin", "--password-env", PASSWORD.0]);
    args.extend(more);
    args
}

fn run(url: &str, more: &[&str]) -> (Finished, Value) {
    let folder = Folder::new();
    let finished = folder.run(&args(url, more));
    let report = read(&folder.path("out"));
    assert_eq!(report["exit_code"], finished.code, "{finished:?}");
    for secret in [PASSWORD.1, "a-token"] {
        assert!(!finished.stdout.contains(secret) && !finished.stderr.contains(secret), "{finished:?}");
    }
    (finished, report)
}

/// A target that cannot be used: it is told which, and why, in the report and on stdout.
fn unusable(url: &str, more: &[&str], cause: &str) {
    let (finished, report) = run(url, more);
    assert_eq!(finished.code, 3, "{cause}: {finished:?}");
    let address = url.split("://").nth(1).unwrap();
    let errors = report["errors"].to_string();
    for part in [address, cause] {
        assert!(errors.contains(part) && finished.stdout.contains(part), "{part} in {errors}\n{finished:?}");
    }
    assert_eq!(scenarios(&report)[SCENARIO], "skipped");
    assert!(verdicts(&report).values().all(|verdict| verdict == "skipped"), "{report}");
}

#[test]
fn nobody_answers_at_the_address() {
    let (_held, port) = free_port();
    unusable(&format!("http://127.0.0.1:{port}"), &[], "refused");
    // A label longer than DNS allows: nobody need be asked.
    unusable(&format!("http://{}.invalid", "x".repeat(64)), &[], "could not be resolved");
    unusable(&Peer::silent().url, &[], "no complete answer within");
}

#[test]
fn something_else_answers_at_the_address() {
    let page = Peer::canned("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!DOCTYPE html><title>Printer</title>");
    unusable(&page.url, &[], "a web page (status 200)");
    unusable(&Peer::canned("SSH-2.0-OpenSSH_9.9\r\n").url, &[], "check the port");
    unusable(&Peer::canned("HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n").url, &[], "a redirection to /login");
    unusable(&page.url.replace("http:", "https:"), &["--insecure"], "does not speak TLS");
}

#[test]
fn the_server_refuses_or_is_not_well() {
    unusable(&Peer::canned("HTTP/1.1 401 Unauthorized\r\n\r\n").url, &[], "the login as `admin` was refused (401)");
    unusable(&Peer::canned("HTTP/1.1 403 Forbidden\r\n\r\n").url, &[], "`admin` may not do this (403)");
    unusable(
        &Peer::canned("HTTP/1.1 500 Oops\r\n\r\nout of memory").url,
        &[],
        "the server answered 500: out of memory",
    );
}

#[test]
fn a_wrong_password_is_refused_by_the_emulator_too() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    let wrong = folder.start_with(&args(&emulator.url, &[]), &[(PASSWORD.0, "wrong")]).finish();
    assert_eq!(wrong.code, 3);
    assert!(wrong.stdout.contains("the login as `admin` was refused (401)"), "{wrong:?}");
    let unset =
        folder.run(&["run", "--target", &emulator.url, "--user", "admin", "--password-env", "NO_SUCH_VARIABLE"]);
    assert_eq!(unset.code, 2);
    assert!(unset.stderr.contains("`NO_SUCH_VARIABLE`"), "{unset:?}");
}

#[test]
fn a_certificate_that_is_not_trusted_is_refused_with_what_to_do() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &["--tls", "--ca-out", "ca.pem"]);
    let other = Emulator::start(&folder, &["--tls", "--ca-out", "other.pem"]);
    drop(other);
    // What this machine trusts is set, so that the test does not depend on it.
    let other = folder.path("other.pem").display().to_string();
    let trust = [("SSL_CERT_FILE", other.as_str()), ("SSL_CERT_DIR", "")];
    for more in [&[][..], &["--ca", "other.pem"]] {
        let finished = folder.start_with(&args(&emulator.url, more), &trust).finish();
        assert_eq!(finished.code, 3, "{finished:?}");
        for part in [emulator.address(), "certificate: ", "`--ca FILE`", "`--insecure`"] {
            assert!(finished.stdout.contains(part), "{part} in {finished:?}");
        }
    }
    let good = folder.start_with(&args(&emulator.url, &["--ca", "ca.pem"]), &trust).finish();
    assert_eq!(good.code, 0, "{good:?}");
    let nonsense = folder.run(&args(&emulator.url, &["--ca", "out/summary.md"]));
    assert_eq!(nonsense.code, 2);
    assert!(nonsense.stderr.contains("no certificate in PEM form"), "{nonsense:?}");
}

/// A scenario that needs nothing of the API but a token.
const EVENTS_ONLY: &str = "\
title: A request is acknowledged.
exercises: [MSG-03, WS-01]
clients: [alice]
steps:
  - connect: {client: alice}
  - subscribe: {client: alice, set: []}
  - rest: {}
";

/// Runs the scenario above against a server that behaves well up to the upgrade.
fn after_upgrade(peer: &Peer) -> (Finished, Value) {
    let folder = Folder::new();
    folder.write("mine.yaml", EVENTS_ONLY);
    let mut args = args(&peer.url, &["--allow", "probing"]);
    args[1] = "mine.yaml";
    let finished = folder.run(&args);
    let report = read(&folder.path("out"));
    assert_eq!(report["exit_code"], finished.code, "{finished:?}");
    (finished, report)
}

#[test]
fn a_server_that_says_nothing_after_the_upgrade_is_judged() {
    let (peer, upgraded) = Peer::mute_events();
    let (finished, report) = after_upgrade(&peer);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(verdicts(&report)["MSG-03"], "fail", "{report}");
    assert_eq!(upgraded.try_iter().count(), 1);
}

#[test]
fn a_server_that_closes_in_the_middle_of_a_frame_is_judged() {
    let peer = Peer::events(|mut connection| {
        // A text frame of 100 bytes, of which 5 come.
        let _ = connection.write_all(&[0x81, 100, b'{', b'"', b't', b'y', b'p']);
        let _ = connection.shutdown(Shutdown::Both);
    });
    let (finished, report) = after_upgrade(&peer);
    assert!([1, 5].contains(&finished.code), "{finished:?}");
    assert_ne!(scenarios(&report)["mine"], "pass", "{report}");
    for part in [&format!("{}/events/v1", peer.url), "alice", "in the middle of a frame"] {
        assert!(words(&report).contains(part) && finished.stdout.contains(part), "{part} in {}", words(&report));
    }
}

#[test]
fn a_frame_of_100_mb_ends_the_connection_and_not_the_memory() {
    const LENGTH: u64 = 100 << 20;
    let (sender, sent) = std::sync::mpsc::channel();
    let peer = Peer::events(move |mut connection| {
        let mut wire = vec![0x81, 127];
        wire.extend(LENGTH.to_be_bytes());
        let block = vec![b'x'; 1 << 20];
        let mut passed = 0;
        let mut alive = connection.write_all(&wire).is_ok();
        while alive && passed < LENGTH {
            alive = connection.write_all(&block).is_ok();
            passed += block.len() as u64;
        }
        let _ = sender.send(passed);
    });
    let (finished, report) = after_upgrade(&peer);
    assert!([1, 5].contains(&finished.code), "{finished:?}");
    let words = words(&report);
    for part in [peer.url.as_str(), "alice", "longer than 16777216 bytes"] {
        assert!(words.contains(part) && finished.stdout.contains(part), "{part} in {words}\n{finished:?}");
    }
    let passed = sent.recv_timeout(super::child::LIMIT).unwrap();
    assert!(passed < LENGTH, "the whole frame was taken");
}

#[test]
fn a_server_that_goes_away_ends_the_run_with_what_was_judged_until_then() {
    let folder = Folder::new();
    folder.write("a.yaml", EVENTS_ONLY);
    let longer = format!("{EVENTS_ONLY}  - pause: {{for: 3s}}\n  - start-call: {{as: call}}\n");
    folder.write("b.yaml", &longer);
    folder.write("c.yaml", EVENTS_ONLY);
    folder.write("d.yaml", EVENTS_ONLY);
    let emulator = Emulator::start(&folder, &[]);
    let url = emulator.url.clone();
    let mut args = args(&url, &["b.yaml", "c.yaml", "d.yaml"]);
    args[1] = "a.yaml";
    let mut running = folder.start(&args);
    running.stderr_line("1/4 a:");
    // While the second scenario pauses.
    drop(emulator);
    let finished = running.finish();
    assert_eq!(finished.code, 3, "{finished:?}");
    let report = read(&folder.path("out"));
    let verdicts = scenarios(&report);
    assert_eq!((verdicts["a"].as_str(), verdicts["d"].as_str()), ("pass", "skipped"), "{verdicts:?}");
    assert_ne!(verdicts["b"], "pass");
    let words = words(&report);
    assert!(words.contains("the target is gone") && words.contains("refused"), "{words}");
}
