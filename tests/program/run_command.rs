//! `run` against the embedded emulator: reports, exit codes, mutants, known deviations, the seed, the interrupt.

use std::collections::BTreeMap;

use serde_json::Value;

use super::child::{Folder, Running, now};
use super::reports::{read, scenarios, text, verdicts, with_verdict};

/// Two scenarios that need nothing and take little time.
const TWO: [&str; 2] = ["messages/requests-acknowledged", "subscriptions/new"];

/// Runs scenarios and reads the report.
fn run(folder: &Folder, report: &str, args: &[&str]) -> (super::child::Finished, Value) {
    let finished = folder.run(&[&["run", "--report-dir", report, "--quiet"], args].concat());
    let report = read(&folder.path(report));
    assert_eq!(report["exit_code"], finished.code, "{finished:?}");
    (finished, report)
}

#[test]
fn a_conformant_server_passes_and_every_file_is_written() {
    let folder = Folder::new();
    let (finished, report) = run(&folder, "out", &[TWO[0], TWO[1], "--seed", "7"]);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(with_verdict(&report, "pass").contains(&"MSG-03".to_owned()), "{finished:?}");
    assert_eq!(with_verdict(&report, "fail"), Vec::<String>::new());
    assert_eq!(scenarios(&report).keys().map(String::as_str).collect::<Vec<_>>(), TWO);
    assert_eq!((&report["run"]["seed"], &report["target"]["kind"]), (&7.into(), &"emulator".into()));
    assert!(finished.stdout.contains("seed 7") && finished.stdout.contains("report in out"), "{}", finished.stdout);

    let junit = std::fs::read_to_string(folder.path("out/junit.xml")).unwrap();
    let mut reader = quick_xml::Reader::from_str(&junit);
    let mut cases = 0;
    loop {
        match reader.read_event().unwrap() {
            quick_xml::events::Event::Start(tag) | quick_xml::events::Event::Empty(tag) => {
                cases += usize::from(tag.name().as_ref() == "testcase");
            }
            quick_xml::events::Event::Eof => break,
            _ => {}
        }
    }
    assert!(cases >= 2, "{junit}");
    let summary = std::fs::read_to_string(folder.path("out/summary.md")).unwrap();
    assert!(summary.contains("pass") && summary.contains("| MSG"), "{summary}");
    let page = std::fs::read_to_string(folder.path("out/report.html")).unwrap();
    assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"), "{page}");
}

#[test]
fn a_missing_ack_fails_its_requirement_and_no_other_with_the_evidence_shown() {
    let folder = Folder::new();
    let (finished, report) = run(&folder, "out", &[TWO[0], "--mutant", "ack-of-request-missing", "--deadline", "1s"]);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(with_verdict(&report, "fail"), ["MSG-03"]);
    let findings = report["findings"].as_array().unwrap();
    assert!(!findings.is_empty() && findings.iter().all(|one| one["requirement"] == "MSG-03"), "{findings:?}");
    let evidence = findings[0]["evidence_text"].as_array().unwrap();
    assert!(!evidence.is_empty(), "{findings:?}");
    for evidence in evidence {
        let start: String = text(evidence).chars().take(60).collect();
        assert!(finished.stdout.contains(&start), "{evidence} in {}", finished.stdout);
    }
    assert!(finished.stdout.contains("subscribeRequest"), "{}", finished.stdout);
    let command = finished.stdout.lines().find_map(|line| line.trim().strip_prefix("repeat    bridgeproof ")).unwrap();
    let again: Vec<&str> = command.split(' ').collect();
    assert_eq!(folder.run(&again).code, 1, "{command}");
}

#[test]
fn a_command_line_that_is_wrong_says_what_may_have_been_meant() {
    let folder = Folder::new();
    let cases: [(&[&str], &str); 10] = [
        (&["--mutant", "ack-of-request-mising"], "did you mean `ack-of-request-missing`?"),
        (&["--mutant", "nope"], "error: no mutant is called `nope`; `bridgeproof prove --list` names all\n"),
        (&["--dialect", "small-page"], "did you mean `small-pages`?"),
        (&["--dialect", "windwo=1"], "did you mean `window`?"),
        (&["--dialect", "window=many"], "`window` takes"),
        (&["subscriptions/kepd"], "did you mean `subscriptions/kept`?"),
        (&["--sed", "1"], "--seed"),
        (&["--deadline", "0.5"], "write 250ms"),
        (&["--deadline", "0s"], "longer than nothing"),
        (
            &["--target", "cms.example.com", "--user", "u", "--password-env", "BRIDGEPROOF_TEST_PASSWORD"],
            "a scheme is missing",
        ),
    ];
    for (args, words) in cases {
        let finished = folder.run(&[&["run"], args].concat());
        assert_eq!(finished.code, 2, "{args:?}: {finished:?}");
        assert!(finished.stderr.contains(words), "{args:?}: {}", finished.stderr);
    }
    assert!(!folder.path("reports").exists(), "a wrong command line leaves nothing behind");
}

#[test]
fn a_scenario_with_errors_is_shown_with_place_and_caret_before_anything_runs() {
    let folder = Folder::new();
    folder.write(
        "mine.yaml",
        "title: Mine.\nexercises: [MSG-3]\nclients: [alice]\nsteps:\n  - connect: {client: alice}\n",
    );
    let finished = folder.run(&["run", "mine.yaml", TWO[0]]);
    assert_eq!((finished.code, finished.stdout.as_str()), (2, ""), "{finished:?}");
    for part in ["mine.yaml:2:13", "exercises: [MSG-3]", "^^^^^", "did you mean"] {
        assert!(finished.stderr.contains(part), "{part} in {}", finished.stderr);
    }
}

#[test]
fn a_run_in_which_nothing_can_be_tested_says_so() {
    let folder = Folder::new();
    // The embedded emulator has that release; the scenario needs a later one.
    let args = ["updates/can-move-to-lobby", "--dialect", "software-version=3.0"];
    let (finished, report) = run(&folder, "out", &args);
    assert_eq!(finished.code, 6, "{finished:?}");
    assert_eq!(scenarios(&report)["updates/can-move-to-lobby"], "skipped");
    assert!(text(&report["scenarios"][0]["reason"]).contains("needs release 3.5, the target has 3.0"), "{report}");
}

/// A mutant that breaks UPD-07 in a scenario.
const REPEATS: [&str; 3] = ["updates/mute", "--mutant", "everything-repeated"];

const KNOWN: &str = "[[known]]\nrequirement = \"UPD-07\"\nreason = \"ticket 4711\"\nuntil = \"2999-12-31\"\n";

#[test]
fn a_known_deviation_is_waived_while_it_is_there_and_not_for_ever() {
    let folder = Folder::new();
    folder.write("known.toml", KNOWN);
    let known = ["--known", "known.toml"];
    let (waived, report) = run(&folder, "waived", &[&known[..], &REPEATS].concat());
    assert_eq!((waived.code, verdicts(&report)["UPD-07"].as_str()), (0, "xfail"), "{waived:?}");
    let (stale, report) = run(&folder, "stale", &[&known[..], &REPEATS[..1]].concat());
    assert_eq!((stale.code, verdicts(&report)["UPD-07"].as_str()), (7, "xpass"), "{stale:?}");
    folder.write("known.toml", &KNOWN.replace("2999", "2019"));
    let expired = folder.run(&["run", "--known", "known.toml", TWO[0]]);
    assert_eq!(expired.code, 2);
    assert!(
        expired.stderr.contains("expired on 2019-12-31") && expired.stderr.contains("known.toml:4:9"),
        "{expired:?}"
    );
}

#[test]
fn a_missed_should_is_a_warning_unless_strict() {
    let folder = Folder::new();
    let args = [TWO[1], "--mutant", "pending-not-reported"];
    let (lax, report) = run(&folder, "lax", &args);
    assert_eq!((lax.code, verdicts(&report)["SUB-01"].as_str()), (0, "warn"), "{lax:?}");
    let (strict, report) = run(&folder, "strict", &[&args[..], &["--strict"]].concat());
    assert_eq!((strict.code, verdicts(&report)["SUB-01"].as_str()), (1, "fail"), "{strict:?}");
}

#[test]
fn a_report_folder_that_cannot_be_written_is_told_before_the_run() {
    let folder = Folder::new();
    folder.write("file", "");
    let finished = folder.run(&["run", TWO[0], "--report-dir", "file/below"]);
    assert_eq!((finished.code, finished.stdout.as_str()), (3, ""), "{finished:?}");
    assert!(finished.stderr.contains("file/below") && !finished.stderr.contains("findings"), "{finished:?}");
}

/// What each side sent, in its order: frames of clients with their masks, frames of the server, requests of the API.
/// How the three interleave is a matter of the operating system.
fn said(folder: &Folder, report: &str) -> BTreeMap<&'static str, Vec<String>> {
    let packed = std::fs::read(folder.path(report).join("trace.jsonl.zst")).unwrap();
    let trace = String::from_utf8(zstd::decode_all(&packed[..]).unwrap()).unwrap();
    let mut said: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for line in trace.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let event = &line["event"];
        let (who, what) = match (event.get("frame"), event.get("request_sent")) {
            (Some(frame), _) => (if frame["from"] == "client" { "client" } else { "server" }, frame),
            (_, Some(request)) => ("api", request),
            _ => continue,
        };
        said.entry(who).or_default().push(what.to_string());
    }
    said
}

#[test]
fn the_same_seed_repeats_the_same_contents_and_another_does_not() {
    let folder = Folder::new();
    let mut contents = Vec::new();
    for (seed, out) in [("1", "a"), ("1", "b"), ("2", "c")] {
        let (finished, _) = run(&folder, out, &["updates/mute", "--record", "--seed", seed]);
        assert_eq!(finished.code, 0, "{finished:?}");
        contents.push(said(&folder, out));
    }
    for (who, part) in [("client", "messageAck"), ("server", "rosterUpdate"), ("api", "/api/v1/coSpaces")] {
        assert!(contents[0][who].iter().any(|line| line.contains(part)), "{part} in {:?}", contents[0]);
        assert_eq!(contents[0][who], contents[1][who]);
        assert_ne!(contents[0][who], contents[2][who]);
    }
}

const SLOW: &str = "\
title: Nothing happens for a long time.
exercises: [WS-03, MSG-03]
clients: [alice]
steps:
  - connect: {client: alice}
  - subscribe: {client: alice, set: []}
  - pause: {for: 50s}
";

#[test]
fn an_interrupted_run_ends_at_once_with_a_report_of_what_was_judged() {
    let folder = Folder::new();
    folder.write("slow.yaml", SLOW);
    for signal in ["INT", "TERM"] {
        let args = ["run", "slow.yaml", TWO[0], "--report-dir", signal];
        let mut running: Running = folder.start(&args);
        // The other scenario is over, and this one is under way.
        running.stderr_line(&format!("1/2 {}", TWO[0]));
        running.signal(signal);
        let began = now();
        let finished = running.finish();
        assert!(began.elapsed().as_secs() < 10, "{finished:?}");
        assert_eq!(finished.code, 130, "{finished:?}");
        let report = read(&folder.path(signal));
        assert_eq!((&report["run"]["interrupted"], &report["exit_code"]), (&true.into(), &130.into()));
        assert_eq!(scenarios(&report)[TWO[0]], "pass");
        assert_eq!(scenarios(&report)["slow"], "inconclusive");
        assert_eq!(verdicts(&report)["MSG-03"], "pass");
        assert!(finished.stdout.contains("interrupted"), "{}", finished.stdout);
    }
}

#[test]
fn a_scenario_of_the_users_own_is_repeated_by_its_file() {
    let folder = Folder::new();
    let text = "title: Mine.\nexercises: [MSG-03]\nclients: [alice]\nsteps:\n  - connect: {client: alice}\n  \
                - subscribe: {client: alice, set: []}\n";
    std::fs::create_dir(folder.path("my scenarios")).unwrap();
    folder.write("my scenarios/mine.yaml", text);
    let args = ["my scenarios/mine.yaml", "--mutant", "ack-of-request-missing", "--deadline", "500ms", "--seed", "3"];
    let (finished, report) = run(&folder, "out", &args);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(report["run"]["files"]["mine"], "my scenarios/mine.yaml");
    let repeat = "repeat    bridgeproof run 'my scenarios/mine.yaml' --seed 3 ";
    assert!(finished.stdout.contains(repeat), "{}", finished.stdout);
}
