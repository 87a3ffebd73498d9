//! Loads that are spread over several servers, each an emulator in a process of its own.

use std::fs;

use serde_json::Value;

use super::child::{Emulator, Finished, Folder, LIMIT, PASSWORD, now};
use super::emulate_command::api;
use super::reports::{read, text, with_verdict, words};

/// Changes for five connections; a machine that is busy with other tests keeps this schedule.
const LOAD: &str = "
title: A few are changed on several servers.
exercises: [UPD-08]
needs: [limits]
load:
  connections: 5
  calls: 6
  participants: 4
  stimuli: STIMULI
  executor: {constant-arrival-rate: {rate: 20, duration: DURATION}}
  within: 10s
  lag: {max: 5s}
  thresholds: {update: ['rate<0.01']}
";

/// Runs the load against the servers at these addresses, or against emulators of the run's own where there are none.
fn args<'a>(folder: &Folder, stimuli: &str, duration: &str, urls: &[&'a str]) -> Vec<&'a str> {
    folder.write("spread.yaml", &LOAD.replace("STIMULI", stimuli).replace("DURATION", duration));
    let mut args = vec!["run", "spread.yaml", "--report-dir", "out", "--record"];
    args.extend(urls.iter().flat_map(|url| ["--target", url]));
    if !urls.is_empty() {
        args.extend(["--user", "admin", "--password-env", PASSWORD.0, "--allow", "limits"]);
    }
    args
}

fn report(folder: &Folder, finished: &Finished) -> Value {
    let report = read(&folder.path("out"));
    assert_eq!(report["exit_code"], finished.code, "{finished:?}");
    report
}

/// One value of each server of the load.
fn shares<T>(report: &Value, value: impl Fn(&Value) -> T) -> Vec<T> {
    report["loads"][0]["servers"].as_array().unwrap().iter().map(value).collect()
}

fn number(key: &'static str) -> impl Fn(&Value) -> u64 {
    move |share| share[key].as_u64().unwrap()
}

/// What `check` makes of the recording: verdicts and findings, as far as a recording has them.
fn checked(folder: &Folder) -> (i32, String) {
    let finished = folder.run(&["check", "out/trace.jsonl.zst", "--report-dir", "checked"]);
    let report = read(&folder.path("checked"));
    (finished.code, judged(&report))
}

fn judged(report: &Value) -> String {
    let mut parts = vec![report["requirements"].to_string(), report["scenarios"].to_string()];
    let findings = report["findings"].as_array().unwrap().iter();
    parts.extend(findings.map(|one| {
        [&one["requirement"], &one["server"], &one["observed"], &one["evidence"]].map(Value::to_string).join(" ")
    }));
    parts.join("\n")
}

#[test]
fn a_load_on_two_targets_is_one_load_and_its_recording_is_judged_alike() {
    let folder = Folder::new();
    let (one, other) = (Emulator::start(&folder, &[]), Emulator::start(&folder, &[]));
    let finished = folder.run(&args(&folder, "{mute: 1}", "2s", &[&one.url, &other.url]));
    let report = report(&folder, &finished);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_eq!(
        (text(&report["target"]["url"]), text(&report["target"]["others"][0])),
        (one.url.clone(), other.url.clone())
    );
    assert_eq!((&report["loads"][0]["begun"], &report["loads"][0]["planned"]), (&40.into(), &40.into()));
    assert_eq!(shares(&report, |share| text(&share["server"])), [one.url.clone(), other.url.clone()]);
    assert_eq!((shares(&report, number("connections")), shares(&report, number("begun"))), (vec![3, 2], vec![20, 20]));
    let updates = report["latency"].as_array().unwrap().iter().find(|row| row["name"] == "update").unwrap();
    assert_eq!(updates["count"], shares(&report, number("count")).iter().sum::<u64>());
    assert_eq!((report["scenarios"].as_array().unwrap().len(), &report["thresholds"][0]["passed"]), (1, &true.into()));
    let summary = fs::read_to_string(folder.path("out/summary.md")).unwrap();
    for text in [&finished.stdout, &summary] {
        assert!(text.contains(&one.url) && text.contains(&other.url), "{text}");
    }
    assert_eq!(checked(&folder), (0, judged(&report)));
    let log = bridgeproof::load::hlog::read(&fs::read(folder.path("out/latency.hlog")).unwrap()).unwrap();
    let (_, mutes) = log.iter().find(|(name, _)| name == "update_mute").unwrap();
    assert_eq!(updates["count"], mutes.len());
}

#[test]
fn a_server_that_breaks_a_requirement_is_named_in_the_finding() {
    let folder = Folder::new();
    let sound = Emulator::start(&folder, &[]);
    let broken = Emulator::start(&folder, &["--mutant", "every-fourth-change-told-twice"]);
    let finished = folder.run(&args(&folder, "{mute: 1}", "2s", &[&sound.url, &broken.url]));
    let report = report(&folder, &finished);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(with_verdict(&report, "fail"), ["UPD-06"]);
    let servers: Vec<String> = report["findings"].as_array().unwrap().iter().map(|one| text(&one["server"])).collect();
    assert!(!servers.is_empty() && servers.iter().all(|server| *server == broken.url), "{servers:?}");
    assert!(!report["findings"][0]["evidence_text"].as_array().unwrap().is_empty());
    assert!(finished.stdout.contains(&format!(" on {} after", broken.url)), "{}", finished.stdout);
    assert_eq!(checked(&folder), (1, judged(&report)));
}

/// The calls of an emulator.
fn calls(emulator: &Emulator) -> Vec<String> {
    let list = api(emulator, "GET", "/api/v1/calls", "");
    list.split("<call id=\"").skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned)).collect()
}

#[test]
fn a_server_that_dies_in_the_middle_is_told_of_and_the_others_keep_their_load() {
    let folder = Folder::new();
    let [one, other, mut mortal] = [(); 3].map(|()| Emulator::start(&folder, &[]));
    let running = folder.start(&args(&folder, "{lock: 1}", "6s", &[&one.url, &other.url, &mortal.url]));
    let is_locked = |call: &String| api(&mortal, "GET", &format!("/api/v1/calls/{call}"), "").contains("<locked>true");
    let until = now() + LIMIT;
    while !calls(&mortal).iter().any(is_locked) {
        assert!(now() < until, "no call was locked in time");
    }
    mortal.running.kill();
    let finished = running.finish();
    let report = report(&folder, &finished);
    assert_eq!(finished.code, 3, "{finished:?}");
    assert_eq!(report["verdict"], "inconclusive");
    assert_eq!(
        (shares(&report, number("connections")), shares(&report, number("lost_connections"))),
        (vec![2, 2, 1], vec![0, 0, 1])
    );
    let begun = shares(&report, number("begun"));
    // Where the machine is slow, an arrival finds all calls taken and is dropped.
    let come = shares(&report, |share| number("begun")(share) + number("unserved")(share));
    assert_eq!(come[..2], [40, 40]);
    assert!((1..40).contains(&begun[2]), "{begun:?}");
    let words = words(&report);
    let told = format!("1 connection of the load ended before it was over, at {}", mortal.url);
    assert!(words.contains(&told), "{words}");
    // What was made there stays there, which is told once and not for each object.
    let errors = report["errors"].as_array().unwrap().iter().filter_map(Value::as_str);
    let left: Vec<&str> = errors.filter(|error| error.contains("could not remove")).collect();
    assert!(left.len() == 1 && left[0].contains(" objects, the first of them /api/v1/"), "{left:?}");
    assert!(left[0].contains(&format!(" on {}: DELETE ", mortal.url)), "{left:?}");
    assert!(words.contains(&format!("{}/", mortal.url)), "what became of it is among the errors: {words}");
}

#[test]
fn a_server_that_cannot_serve_its_part_lets_no_part_begin() {
    let folder = Folder::new();
    let (one, full) = (Emulator::start(&folder, &[]), Emulator::start(&folder, &["--dialect", "connection-limit=1"]));
    let finished = folder.run(&args(&folder, "{mute: 1}", "2s", &[&one.url, &full.url]));
    let report = report(&folder, &finished);
    let words = words(&report);
    // Fewer than five connections are a finding besides.
    assert_eq!((finished.code, with_verdict(&report, "fail")), (1, vec!["LIM-01".to_owned()]), "{finished:?}");
    assert!(words.contains(&format!("{}: step 2: the load cannot go on: {}: ", one.url, full.url)), "{words}");
    assert!(report.get("loads").is_none(), "{report}");
    assert!(calls(&one).is_empty() && calls(&full).is_empty(), "what was made is removed");
}

#[test]
fn emulators_are_as_many_as_connections_need_or_as_is_said() {
    let folder = Folder::new();
    let finished = folder.run(&args(&folder, "{mute: 1}", "1s", &[]));
    assert!(report(&folder, &finished)["loads"][0].get("servers").is_none(), "five connections need one server");
    let finished = folder.run(&[args(&folder, "{mute: 1}", "1s", &[]), vec!["--servers", "6"]].concat());
    assert!(finished.stderr.contains("it is spread over 5 servers and not over 6"), "{finished:?}");
    assert_eq!(shares(&report(&folder, &finished), number("connections")), [1; 5]);
    let finished = folder.run(&[args(&folder, "{mute: 1}", "1s", &[]), vec!["--servers", "3"]].concat());
    let report = report(&folder, &finished);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert_eq!(shares(&report, |share| text(&share["server"])), ["emulator 1", "emulator 2", "emulator 3"]);
    assert_eq!(shares(&report, number("connections")), [2, 2, 1]);
    assert!(text(&report["run"]["command"]).contains("--servers 3"), "{report}");
}

#[test]
fn several_servers_are_refused_for_what_is_no_load() {
    let folder = Folder::new();
    let login = ["--user", "admin", "--password-env", PASSWORD.0];
    let targets = ["--target", "http://127.0.0.1:1", "--target", "http://127.0.0.1:2"];
    let finished = folder.run(&[&["run", "updates/mute"][..], &targets, &login].concat());
    assert_eq!(finished.code, 2, "{finished:?}");
    assert!(finished.stderr.contains("several servers are for loads, and `updates/mute` is none"), "{finished:?}");
    let twice = ["--target", "http://127.0.0.1:1", "--target", "http://127.0.0.1:1/"];
    let finished = folder.run(&[&["run", "load/steady"][..], &twice, &login].concat());
    assert!(finished.code == 2 && finished.stderr.contains("is named twice"), "{finished:?}");
    assert_eq!(folder.run(&["run", "load/steady", "--servers", "101"]).code, 2);
}
