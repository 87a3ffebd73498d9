//! The log of histograms, read by a library that others wrote in another language.

use std::fs;
use std::process::Command;
use std::time::Duration;

use bridgeproof::load::{Metric, Metrics, Stamps, hlog};
use bridgeproof::time::Instant;

use super::child::Folder;
use super::python_client::python;
use super::reports::root;

#[test]
fn a_python_library_reads_the_values_that_were_measured() {
    let mut metrics = Metrics::new(Instant::ZERO);
    for ms in 1..=1000 {
        let stamps = Stamps { scheduled: Instant::from_millis(ms), sent: Instant::from_millis(ms + 20) };
        metrics.record(Metric::UpdateMute, stamps, Instant::from_millis(2 * ms + 20));
    }
    metrics.record(Metric::Token, Stamps::at(Instant::ZERO), Instant::from_millis(3_600_000));
    let folder = Folder::new();
    let file = folder.path("latency.hlog");
    fs::write(&file, hlog::write(&metrics, 1_700_000_000_000, Duration::from_secs(60)).unwrap()).unwrap();
    let output = Command::new(python()).arg(root().join("tests/peers/histogram_log.py")).arg(&file).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let read: Vec<Vec<&str>> = text.lines().map(|line| line.split(' ').collect()).collect();
    let tags: Vec<&str> = read.iter().map(|line| line[0]).collect();
    assert_eq!(tags, ["token", "update", "update_from_send", "update_mute", "update_mute_from_send"].as_slice());
    for line in &read {
        let series = match line[0] {
            "token" => metrics.series(Metric::Token),
            name if name.ends_with("_from_send") => metrics.series_from_send(Metric::Update),
            _ => metrics.series(Metric::Update),
        };
        let row = series.row("").unwrap();
        let [start, count, min, p50, p99, max] = [1, 2, 3, 4, 5, 6].map(|at| line[at].parse::<u64>().unwrap());
        assert_eq!((start, count), (1_700_000_000_000, row.count), "{line:?}");
        // The libraries tell a range of equal values by its lowest or by its highest.
        let same = |read: u64, own: u64| read.abs_diff(own) * 1000 <= own;
        assert!(same(min, row.min_us) && same(p50, row.p50_us), "{line:?} {row:?}");
        assert!(same(p99, row.p99_us) && same(max, row.max_us), "{line:?} {row:?}");
    }
}
