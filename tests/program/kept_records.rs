//! `receive --record`: whatever was answered 200 is in the file, also if the process is killed at any moment.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};

use chacha20::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::call_bridge::{CallBridge, Receiver};
use super::child::Folder;
#[cfg(unix)]
use super::child::Running;

const FILE: &str = "records.jsonl";

/// How many seeds are tried.
const SEEDS: u64 = 24;

/// How many Call Bridges post at the same time.
const BRIDGES: u64 = 4;

/// How often the receiver is killed and started again for each seed.
const DEATHS: u64 = 2;

/// The keys of the records in the file.
fn kept(folder: &Folder) -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder.path(FILE)).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the file ends with a whole line");
    let key = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        let index = line["attributes"]["correlatorIndex"].as_str()?;
        Some(format!("{} {index}", line["session"].as_str()?))
    };
    text.lines().filter_map(key).collect()
}

/// Posts until the receiver is gone; tells of each set that was answered 200.
fn post_on(address: SocketAddr, number: u64, seed: u64, acknowledged: &Mutex<BTreeSet<String>>, tell: &Sender<()>) {
    let mut random = ChaCha8Rng::seed_from_u64(seed ^ number << 32);
    let Ok(mut bridge) = CallBridge::connect(address, number) else { return };
    while let Ok(keys) = bridge.post_next(random.random_range(1..20)) {
        acknowledged.lock().unwrap().extend(keys);
        // Nobody counts any more once enough were answered.
        let _ = tell.send(());
    }
}

/// Has Call Bridges post, and kills the receiver when that many sets were answered 200.
fn live_and_die(mut receiver: Receiver, seed: u64, life: u64, after: usize, acknowledged: &Mutex<BTreeSet<String>>) {
    let address = receiver.address;
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        for bridge in 0..BRIDGES {
            // A session that is new in each life.
            let number = seed * 1000 + life * 10 + bridge;
            let tell = tell.clone();
            scope.spawn(move || post_on(address, number, seed, acknowledged, &tell));
        }
        drop(tell);
        let answered = told.iter().take(after).count();
        receiver.running.kill();
        assert_eq!(answered, after, "seed {seed}: the receiver ended by itself");
    });
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_receiver_is_killed() {
    for seed in 0..SEEDS {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let folder = Folder::new();
        let acknowledged = Mutex::new(BTreeSet::new());
        let mut torn = false;
        for life in 0..DEATHS {
            let mut receiver = Receiver::start(&folder, &["--record", FILE]);
            if std::mem::take(&mut torn) {
                receiver.running.stderr_line("torn line");
            }
            live_and_die(receiver, seed, life, random.random_range(1..60), &acknowledged);
            if random.random_bool(0.3) {
                let mut file = std::fs::OpenOptions::new().append(true).open(folder.path(FILE)).unwrap();
                file.write_all(b"{\"arrived\":\"2026-01-01T00:00").unwrap();
                torn = true;
            }
        }
        let receiver = Receiver::start(&folder, &["--record", FILE]);
        receiver.running.signal("INT");
        let finished = receiver.running.finish();
        let (kept, acknowledged) = (kept(&folder), acknowledged.into_inner().unwrap());
        let lost: Vec<_> = acknowledged.difference(&kept).collect();
        assert!(lost.is_empty(), "seed {seed}: {} of {} lost, {lost:?}, {finished:?}", lost.len(), acknowledged.len());
    }
}

#[test]
fn a_second_receiver_cannot_have_the_same_file() {
    let folder = Folder::new();
    let _first = Receiver::start(&folder, &["--record", FILE]);
    let second = folder.run(&["receive", "--listen", "127.0.0.1:0", "--record", FILE]);
    assert_eq!(second.code, 3, "{second:?}");
    assert!(second.stderr.contains("in use by another process"), "{second:?}");
}

#[cfg(unix)]
#[test]
fn where_nothing_can_be_kept_any_more_nothing_is_acknowledged() {
    let folder = Folder::new();
    // As on a full disk, writing fails beyond 32 blocks of 512 bytes.
    let program = env!("CARGO_BIN_EXE_bridgeproof");
    let script = format!("ulimit -f 32; exec '{program}' receive --listen 127.0.0.1:0 --record {FILE}");
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(script).current_dir(folder.path(""));
    let mut receiver = Receiver::of(Running::start(command));
    let mut bridge = receiver.bridge(1);
    let mut acknowledged = BTreeSet::new();
    let refused = loop {
        match bridge.post_next(3) {
            Ok(keys) => acknowledged.extend(keys),
            Err(error) => break error.to_string(),
        }
    };
    assert_eq!(refused, "answered 503");
    let (body, _) = bridge.next_set(1);
    assert_eq!(bridge.post(&body).unwrap(), 503);
    receiver.running.stderr_line("records can be kept no more");
    receiver.running.signal("INT");
    let finished = receiver.running.finish();
    assert_eq!(finished.code, 3, "{finished:?}");
    assert!(!acknowledged.is_empty() && acknowledged.is_subset(&kept(&folder)));
    assert!(!finished.stdout.contains("fail CDR"), "the Call Bridge did nothing wrong: {finished:?}");
}
