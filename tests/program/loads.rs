//! Loads through the binary: what a run measures and writes, and what its thresholds say.

use std::fs;

use bridgeproof::load::hlog;
use serde_json::Value;

use super::child::{Finished, Folder};
use super::reports::{read, row, text, with_verdict};

/// A load of two seconds on a small population.
const SMALL: &str = "
title: A few are muted.
exercises: [UPD-08]
load:
  connections: 1
  calls: 1
  participants: 16
  stimuli: {mute: 1}
  executor: {constant-arrival-rate: {rate: 20, duration: 2s}}
  within: 5s
  lag: {max: 1s}
  thresholds: {update: [THRESHOLD]}
";

/// Runs the load with this threshold.
fn run(folder: &Folder, threshold: &str, more: &[&str]) -> (Finished, Value) {
    folder.write("small.yaml", &SMALL.replace("THRESHOLD", &format!("'{threshold}'")));
    let finished = folder.run(&[&["run", "small.yaml", "--report-dir", "out", "--quiet"], more].concat());
    let report = read(&folder.path("out"));
    assert_eq!(report["exit_code"], finished.code, "{finished:?}");
    (finished, report)
}

#[test]
fn a_load_passes_with_its_rows_its_thresholds_and_its_histograms_and_is_a_baseline() {
    let folder = Folder::new();
    fs::create_dir(folder.path("out")).unwrap();
    folder.write("out/latency-load-earlier.hlog", "of an earlier run");
    let (finished, report) = run(&folder, "p(99)<5s", &[]);
    assert_eq!(finished.code, 0, "{finished:?}");
    let load = &report["loads"][0];
    assert_eq!((&load["begun"], &load["planned"], &load["unfinished"]), (&40.into(), &40.into(), &0.into()));
    assert_eq!(
        (&report["thresholds"][0]["passed"], &report["thresholds"][0]["undecided"]),
        (&true.into(), &false.into())
    );
    assert_eq!((&row(&report, "update_mute")["count"], &row(&report, "api")["errors"]), (&40.into(), &0.into()));
    assert_eq!(row(&report, "update_mute")["scenario"], load["scenario"]);
    assert!(finished.stdout.contains("40 of 40 begun in 2.0 s, 20.0 per second"), "{}", finished.stdout);
    assert!(finished.stdout.contains("update_mute_from_send "), "{}", finished.stdout);
    let read = hlog::read(&fs::read(folder.path("out/latency.hlog")).unwrap()).unwrap();
    let (_, mutes) = read.iter().find(|(name, _)| name == "update_mute").unwrap();
    assert_eq!(mutes.len(), 40);
    assert!(!folder.path("out/latency-load-earlier.hlog").exists());

    fs::copy(folder.path("out/report.json"), folder.path("earlier.json")).unwrap();
    let (finished, report) = run(&folder, "p(50) <= baseline * 0.0001", &["--baseline", "earlier.json"]);
    assert_eq!(finished.code, 8, "{finished:?}");
    assert_eq!(report["thresholds"][0]["relative"], true);
}

#[test]
fn a_threshold_that_cannot_be_met_is_missed() {
    let (finished, report) = run(&Folder::new(), "p(99)<1us", &[]);
    assert_eq!(finished.code, 4, "{finished:?}");
    assert_eq!(report["thresholds"][0]["passed"], false);
}

#[test]
fn a_change_that_is_told_twice_now_and_then_is_found_with_its_evidence() {
    let (finished, report) = run(&Folder::new(), "p(50)<5s", &["--mutant", "every-fourth-change-told-twice"]);
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(with_verdict(&report, "fail"), ["UPD-06"], "{finished:?}");
    let evidence = report["findings"][0]["evidence_text"].as_array().unwrap();
    assert!(!evidence.is_empty() && text(&evidence[0]).contains('#'), "{evidence:?}");
}
