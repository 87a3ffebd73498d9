//! What a load shows while it runs and leaves behind: lines, metrics that a monitoring system reads, moments in the report.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use serde_json::Value;

use super::child::{Folder, LIMIT, now};
use super::python_client::python;
use super::reports::{read, root, text};

/// A load of three seconds on a small population.
const SMALL: &str = "
title: A few are muted.
exercises: [UPD-08]
load:
  connections: 1
  calls: 1
  participants: 12
  stimuli: {mute: 1}
  executor: {constant-arrival-rate: {rate: 10, duration: 3s}}
  within: 5s
  lag: {max: 1s}
  thresholds: {update: ['med <= THRESHOLD']}
";

/// A folder with a load in it.
fn small(threshold: &str) -> Folder {
    let folder = Folder::new();
    folder.write("small.yaml", &SMALL.replace("THRESHOLD", threshold));
    folder
}

/// What is sent to `request`, head and body.
fn ask(url: &str, request: &str) -> std::io::Result<String> {
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
    let mut connection = TcpStream::connect(address)?;
    connection.set_read_timeout(Some(LIMIT))?;
    connection.write_all(format!("{request}\r\nHost: here\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The samples of a text, as a library reads them that others wrote: type, name, value, labels.
fn parsed(text: &str) -> Vec<(String, String, f64, Value)> {
    let mut command = Command::new(python());
    command.arg(root().join("tests/peers/open_metrics.py"));
    let mut parser = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}\n{text}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let sample = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let mut next = || words.next().unwrap().to_owned();
        let (kind, name, value) = (next(), next(), next().parse().unwrap());
        (kind, name, value, serde_json::from_str(&next()).unwrap())
    };
    lines.lines().map(sample).collect()
}

/// The sum of all samples of that name whose labels have this value.
fn sum(samples: &[(String, String, f64, Value)], name: &str, label: (&str, &str)) -> f64 {
    let of_it = samples.iter().filter(|(_, own, _, labels)| own == name && labels[label.0] == label.1);
    of_it.map(|(.., value, _)| value).sum()
}

#[test]
fn metrics_are_served_while_the_run_lasts_and_an_independent_parser_reads_them() {
    let folder = small("5s");
    let args = ["run", "small.yaml", "--report-dir", "out", "--metrics", "127.0.0.1:0"];
    let mut running = folder.start_with(&args, &[("CI", "true")]);
    let line = running.stderr_line("metrics are at ");
    let url = line.split(" are at ").nth(1).unwrap().split(' ').next().unwrap().to_owned();
    // One that asks and never reads, and one that never asks, hold up neither others nor the run.
    let address = url.trim_start_matches("http://").trim_end_matches("/metrics");
    let mut stopped = TcpStream::connect(address).unwrap();
    stopped.write_all(b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let _silent = TcpStream::connect(address).unwrap();
    running.stderr_line("small is set up");
    let until = now() + LIMIT;
    let samples = loop {
        let answer = ask(&url, "GET /metrics HTTP/1.1").unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{head}");
        assert!(body.ends_with("# EOF\n"), "{body}");
        if body.contains("seconds_count{scenario=\"small\",metric=\"update_mute\"}") {
            break parsed(body);
        }
        assert!(now() < until, "no update was timed: {body}");
    };
    let mutes = sum(&samples, "bridgeproof_latency_seconds_count", ("metric", "update_mute"));
    assert_eq!(sum(&samples, "bridgeproof_latency_from_send_seconds_count", ("metric", "update_mute")), mutes);
    // What is a sum of others does not stand beside them.
    assert!(samples.iter().all(|(.., labels)| labels.get("metric").is_none_or(|metric| metric != "update")));
    let errors =
        |metric| samples.iter().find(|(_, name, _, of)| name == "bridgeproof_errors_total" && of["metric"] == metric);
    assert_eq!(
        ["update_mute", "settle", "cdr_redelivery"].map(|metric| errors(metric).map(|one| one.2)),
        [Some(0.0); 3]
    );
    let scenario = ("scenario", "small");
    assert!((1.0..=30.0).contains(&mutes), "{mutes} {samples:?}");
    assert!(sum(&samples, "bridgeproof_stimuli_total", scenario) >= mutes);
    assert_eq!(sum(&samples, "bridgeproof_latency_seconds_count", ("metric", "settle")), 1.0, "{samples:?}");
    assert!(sum(&samples, "bridgeproof_messages_total", scenario) >= mutes);
    let infinite = samples.iter().filter(|(kind, .., labels)| kind == "histogram" && labels["le"] == "+Inf");
    assert!(infinite.count() >= 3, "{samples:?}");
    let cpu = sum(&samples, "bridgeproof_cpu_seconds_total", ("mode", "user"));
    assert!(cpu > 0.0 && cpu < 60.0, "{cpu}");
    let finished = running.finish();
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(ask(&url, "GET /metrics HTTP/1.1").is_err());
    // What was not told of the last seconds is told at the end.
    let told: Vec<&str> = finished.stderr.lines().filter(|line| line.contains("/s, 0 findings")).collect();
    assert_eq!(told.len(), 1, "{finished:?}");
    for part in ["update p50 ", "lag p99 ", "0 findings"] {
        assert!(told[0].contains(part), "{part}: {told:?}");
    }
}

#[test]
fn an_address_for_metrics_that_another_has_ends_the_run_before_it_begins() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = small("5s").run(&["run", "small.yaml", "--report-dir", "out", "--metrics", &address]);
    assert_eq!(finished.code, 3, "{finished:?}");
    assert!(finished.stderr.contains(&format!("cannot serve metrics on {address}: ")), "{finished:?}");
    assert!(finished.stderr.to_lowercase().contains("in use"), "{finished:?}");
    let finished = small("5s").run(&["run", "small.yaml", "--metrics", "everywhere"]);
    assert_eq!(finished.code, 2, "{finished:?}");
    assert!(finished.stderr.contains("write 9464, 127.0.0.1:9464 or [::1]:9464"), "{finished:?}");
}

#[test]
fn the_moments_of_a_load_add_up_to_its_rows_and_are_drawn() {
    let folder = small("5s");
    let finished = folder.run(&["run", "small.yaml", "--report-dir", "out", "--quiet"]);
    assert_eq!((finished.code, finished.stderr.as_str()), (0, ""), "{finished:?}");
    let report = read(&folder.path("out"));
    let load = &report["loads"][0];
    let moments = load["moments"].as_array().unwrap();
    assert!((3..=6).contains(&moments.len()), "{moments:?}");
    let total = |of: &dyn Fn(&Value) -> &Value| moments.iter().filter_map(|moment| of(moment).as_u64()).sum::<u64>();
    for name in ["begun", "messages", "late"] {
        assert_eq!(Some(total(&|moment| &moment[name])), load[name].as_u64(), "{name}");
    }
    for row in report["latency"].as_array().unwrap() {
        let name = text(&row["name"]);
        // What setting up took came before.
        if ["update", "update_mute", "api", "lag"].contains(&name.as_str()) {
            for key in ["count", "errors"] {
                assert_eq!(
                    Some(total(&|moment| &moment["metrics"][name.as_str()][key])),
                    row[key].as_u64(),
                    "{name} {key}"
                );
            }
        }
    }
    let harness = &load["harness"];
    for key in ["cpu_user_ms", "cpu_system_ms"] {
        assert_eq!(Some(total(&|moment| &moment[key])), harness[key].as_u64(), "{key}");
        assert!(report["harness"][key].as_u64() >= harness[key].as_u64(), "{key}");
    }
    assert!(harness["memory_max_kib"].as_u64().unwrap() > 1000, "{harness}");
    assert!(report["harness"]["peak_memory_kib"].as_u64() >= harness["memory_max_kib"].as_u64());
    let html = fs::read_to_string(folder.path("out/report.html")).unwrap();
    assert!(html.contains("<svg ") && !html.contains("<script") && !html.contains("NaN"), "{html}");
    let summary = fs::read_to_string(folder.path("out/summary.md")).unwrap();
    assert!(summary.contains("update p99 over ") && summary.contains("30 of 30 begun"), "{summary}");
    assert!(finished.stdout.contains("small: the harness took "), "{}", finished.stdout);
}

#[test]
fn each_load_is_compared_with_what_the_baseline_says_of_it() {
    let folder = small("baseline");
    folder.write("other.yaml", &SMALL.replace("THRESHOLD", "baseline"));
    folder.write("new.yaml", &SMALL.replace("THRESHOLD", "5s"));
    let earlier = folder.run(&["run", "small.yaml", "other.yaml", "--report-dir", "out", "--quiet"]);
    // Worse than nothing that is known is not worse.
    assert_eq!(earlier.code, 5, "{earlier:?}");
    assert!(
        earlier.stdout.contains("no baseline was given: --baseline FILE; wanted is the report.json of an earlier run"),
        "{earlier:?}"
    );
    let mut report = read(&folder.path("out"));
    for row in report["latency"].as_array_mut().unwrap() {
        // So short, or so long, that no run comes near it.
        row["p50_us"] = if row["scenario"] == "small" { 1_u64.into() } else { 60_000_000_u64.into() };
    }
    folder.write("earlier.json", &report.to_string());
    let args = ["run", "small.yaml", "other.yaml", "new.yaml", "--report-dir", "out", "--quiet"];
    let finished = folder.run(&[&args[..], &["--baseline", "earlier.json"]].concat());
    assert_eq!(finished.code, 8, "{finished:?}");
    let report = read(&folder.path("out"));
    let passed = |scenario: &str| {
        let all = report["thresholds"].as_array().unwrap();
        all.iter().find(|one| one["scenario"] == scenario).unwrap()["passed"].as_bool().unwrap()
    };
    assert_eq!([passed("new"), passed("other"), passed("small")], [true, true, false], "{finished:?}");
}
