//! Loads on servers that behave badly, and on a disk that is full: each run ends in time, with a true report and the exit
//! code that the README names.
//!
//! The loads only listen, so that the servers, which are written here, need no more than tokens and events.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bridgeproof::protocol::ws::frame::{Decoded, Header, Opcode, decode, encode};
use serde_json::{Value, json};

use super::child::{Finished, Folder, PASSWORD, Running};
use super::peer::Peer;
use super::reports::{read, verdicts, words};

/// Two clients listen for two seconds.
const LISTEN: &str = "
title: Two clients listen.
exercises: [MSG-03]
load: {connections: 2, calls: 0, FOLLOWsubscriptions: 3, duration: 2s}
";

const CALL: &str = "97c771ae-fc2e-4257-b129-30ee818e034b";

/// Listens at the server, and follows its calls where that is wanted.
fn listen(peer: &Peer, follow: bool) -> (Finished, Value) {
    let folder = Folder::new();
    folder.write("listen.yaml", &LISTEN.replace("FOLLOW", if follow { "follow: true, " } else { "" }));
    let mut args = vec!["run", "listen.yaml", "--report-dir", "out"];
    args.extend(["--target", &peer.url, "--user", "admin", "--password-env", PASSWORD.0]);
    let finished = folder.run(&args);
    let report = read(&folder.path("out"));
    assert_eq!(report["exit_code"], finished.code, "{finished:?}");
    let size = fs::metadata(folder.path("out/report.json")).unwrap().len();
    // Whatever a server does, people and tools can read what is told of it.
    assert!(size < 1 << 20 && finished.stdout.len() < 20_000, "{size} {}", finished.stdout.len());
    (finished, report)
}

/// How many messages the load heard.
fn heard(report: &Value) -> u64 {
    report["loads"][0]["messages"].as_u64().unwrap_or_else(|| panic!("{report}"))
}

/// The server's side of a connection.
struct Line {
    stream: TcpStream,
    /// Who writes: another thread may answer what is read.
    writing: Arc<Mutex<()>>,
    kept: Vec<u8>,
    next_id: u64,
}

impl Line {
    fn new(stream: TcpStream) -> Self {
        Self { stream, writing: Arc::default(), kept: Vec::new(), next_id: 1 }
    }

    /// The next message of the client that is no ack; nothing once it has gone or closes.
    fn next_message(&mut self) -> Option<Value> {
        loop {
            let mut taken = None;
            if let Decoded::Frame { frame, consumed } = decode(&mut self.kept, 1 << 20) {
                taken = Some((frame.header.opcode, serde_json::from_slice::<Value>(frame.payload).ok(), consumed));
            }
            if let Some((opcode, message, consumed)) = taken {
                self.kept.drain(..consumed);
                match message {
                    _ if opcode == Opcode::CLOSE => {
                        self.frame(Opcode::CLOSE, &[]);
                        return None;
                    }
                    Some(message) if message["type"] == "message" => return Some(message["message"].clone()),
                    _ => continue,
                }
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(length) if length > 0 => self.kept.extend_from_slice(&bytes[..length]),
                _ => return None,
            }
        }
    }

    fn frame(&mut self, opcode: Opcode, payload: &[u8]) -> bool {
        let mut bytes = Vec::new();
        encode(&Header::new(opcode, payload.len() as u64), payload, &mut bytes);
        self.write(&bytes)
    }

    fn write(&mut self, bytes: &[u8]) -> bool {
        let _turn = self.writing.lock().unwrap();
        self.stream.write_all(bytes).is_ok()
    }

    fn send(&mut self, message: &Value) -> bool {
        self.frame(Opcode::TEXT, message.to_string().as_bytes())
    }

    fn tell(&mut self, mut message: Value) -> bool {
        message["messageId"] = self.next_id.into();
        self.next_id += 1;
        self.send(&json!({"type": "message", "message": message}))
    }

    /// Grants the next request for subscriptions. The indexes that it asks for.
    fn grant(&mut self) -> Option<Vec<u64>> {
        let request = self.next_message()?;
        let asked = request["subscriptions"].as_array()?.iter().filter_map(|one| one["index"].as_u64());
        let asked: Vec<u64> = asked.collect();
        self.send(
            &json!({"type": "messageAck", "messageAck": {"messageId": request["messageId"], "status": "success"}}),
        );
        let states: Vec<Value> = asked.iter().map(|index| json!({"index": index, "state": "active"})).collect();
        self.tell(json!({"type": "subscriptionUpdate", "subscriptions": states}));
        Some(asked)
    }

    /// Tells that there is a call.
    fn add_call(&mut self) -> bool {
        let call = json!({"call": CALL, "updateType": "add", "name": "x", "participants": 0});
        self.tell(json!({"type": "callListUpdate", "subscriptionIndex": 1, "updates": [call]}))
    }

    /// Tells of so many changes in one piece. What each tells, `value` makes from its number.
    fn changes(&mut self, numbers: Range<u64>, value: fn(u64) -> u64) -> bool {
        let mut bytes = Vec::new();
        for number in numbers {
            let update = json!({"call": CALL, "updateType": "update", "participants": value(number)});
            let message = json!({"messageId": self.next_id, "type": "callListUpdate", "subscriptionIndex": 1, "updates": [update]});
            self.next_id += 1;
            let text = json!({"type": "message", "message": message}).to_string();
            encode(&Header::new(Opcode::TEXT, text.len() as u64), text.as_bytes(), &mut bytes);
        }
        self.write(&bytes)
    }
}

/// Floods the client with changes while another thread takes what it answers, until it closes.
fn flood(stream: TcpStream, value: fn(u64) -> u64) {
    let mut line = Line::new(stream);
    if line.grant().is_none() || !line.add_call() {
        return;
    }
    let (stream, writing) = (line.stream.try_clone().unwrap(), Arc::clone(&line.writing));
    let mut reader = Line { stream, writing, kept: std::mem::take(&mut line.kept), next_id: 0 };
    let rest = std::thread::spawn(move || while reader.next_message().is_some() {});
    let mut number = 0;
    while !rest.is_finished() && line.changes(number..number + 500, value) {
        number += 500;
    }
}

#[test]
fn a_target_that_offers_events_alone_is_listened_to_and_its_calls_are_followed() {
    let peer = Peer::events_alone(|stream| {
        let mut line = Line::new(stream);
        if line.grant() != Some(vec![1]) || !line.add_call() {
            return;
        }
        // What the load asks for next is what it follows.
        let Some(request) = line.next_message() else { return };
        let asked = request["subscriptions"].as_array().unwrap();
        let call = |place: usize| asked[place]["call"] == CALL;
        assert!(asked.len() == 3 && call(1) && call(2), "{request}");
        line.send(
            &json!({"type": "messageAck", "messageAck": {"messageId": request["messageId"], "status": "success"}}),
        );
        line.tell(json!({"type": "subscriptionUpdate", "subscriptions": [{"index": 2, "state": "active"}, {"index": 3, "state": "active"}]}));
        line.changes(0..3, |number| number + 1);
        while line.next_message().is_some() {}
    });
    let (finished, report) = listen(&peer, true);
    assert_eq!(finished.code, 0, "{finished:?}");
    // On each connection: the states of what is followed, and three changes.
    assert!(heard(&report) >= 8, "{}", heard(&report));
    let settled = report["latency"].as_array().unwrap().iter().find(|row| row["name"] == "settle").unwrap();
    assert_eq!((&settled["count"], &settled["errors"]), (&4.into(), &0.into()), "{settled}");
}

#[test]
fn what_needs_more_than_events_is_skipped_where_nothing_else_is_offered() {
    let peer = Peer::events_alone(drop);
    let folder = Folder::new();
    let mut args = vec!["run", "load/cdr-storm", "updates", "--report-dir", "out", "--quiet", "--target", &peer.url];
    args.extend(["--user", "admin", "--password-env", PASSWORD.0]);
    let finished = folder.run(&args);
    assert_eq!(finished.code, 6, "{finished:?}");
    assert!(read(&folder.path("out")).to_string().contains("no API beyond tokens"));
}

#[test]
fn a_flood_is_judged_as_far_as_it_is_read_and_the_run_ends() {
    let peer = Peer::events(|stream| flood(stream, |number| number + 1));
    let (finished, report) = listen(&peer, false);
    assert!(heard(&report) > 500, "{}", heard(&report));
    // Where the harness is slower than its peer, the end may be behind more than it reads in time. Nothing else is wrong.
    let failed = |(id, verdict): (String, String)| verdict == "fail" && !id.starts_with("WS-");
    assert!(!verdicts(&report).into_iter().any(failed), "{finished:?}");
}

#[test]
fn thousands_of_findings_are_counted_and_the_first_are_shown() {
    let peer = Peer::events(|stream| flood(stream, |_| 1));
    let (finished, report) = listen(&peer, false);
    assert_eq!(finished.code, 1, "{finished:?}");
    let entry = report["requirements"].as_array().unwrap().iter().find(|entry| entry["id"] == "UPD-06").unwrap();
    assert!(entry["findings"].as_u64().unwrap() > 500, "{entry}");
    let all: u64 = report["requirements"].as_array().unwrap().iter().filter_map(|one| one["findings"].as_u64()).sum();
    assert!(finished.stderr.contains(&format!("listen: {all} findings")), "{all}: {}", finished.stderr);
    let kept = report["findings"].as_array().unwrap();
    assert!((1..=20).contains(&kept.len()), "{}", kept.len());
    assert!(kept.iter().all(|finding| !finding["evidence_text"].as_array().unwrap().is_empty()));
}

#[test]
fn a_server_that_drops_connections_spoils_the_load_and_is_told_of() {
    let peer = Peer::events(|stream| {
        let mut line = Line::new(stream);
        // Once it asks for what it follows, the load is under way.
        if line.grant().is_some() && line.add_call() && line.grant().is_some() {
            line.changes(0..50, |number| number + 1);
        }
    });
    let (finished, report) = listen(&peer, true);
    assert_eq!(finished.code, 5, "{finished:?}");
    assert_eq!(report["loads"][0]["lost_connections"], 2, "{report}");
    assert!(finished.stdout.contains("2 connections of the load ended before it was over"), "{}", finished.stdout);
}

#[test]
fn a_server_that_stops_reading_is_not_waited_for() {
    let peer = Peer::events(|stream| {
        let mut line = Line::new(stream);
        if line.grant().is_none() || !line.add_call() {
            return;
        }
        // It never reads again: what the client answers piles up until it is read no more itself.
        let mut number = 0;
        while line.changes(number..number + 500, |number| number + 1) {
            number += 500;
        }
    });
    let (finished, report) = listen(&peer, false);
    assert!([1, 5].contains(&finished.code), "{finished:?}");
    assert!(heard(&report) > 500, "{}", heard(&report));
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_folder_on_a_full_disk_is_told_of_and_the_report_is_shown() {
    let folder = Folder::new();
    fs::create_dir(folder.path("out")).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.path("out/report.json")).unwrap();
    let finished = folder.run(&["run", "messages/requests-acknowledged", "--report-dir", "out", "--quiet"]);
    assert_eq!(finished.code, 3, "{finished:?}");
    assert!(finished.stderr.contains("report.json") && finished.stderr.contains("No space left"), "{finished:?}");
    assert!(finished.stdout.contains("MSG-03") || finished.stdout.contains("MSG"), "{finished:?}");
    assert!(!folder.path("out/report.json").exists(), "no part of a report is left");
}

/// Text of so many bytes that cannot be compressed to less than a half.
fn noise(bytes: usize, seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        format!("{state:016x}")
    });
    words.take(bytes / 16).collect()
}

#[cfg(unix)]
#[test]
fn a_disk_that_fills_while_a_load_is_recorded_ends_the_recording_and_not_the_run() {
    let peer = Peer::events(|stream| {
        let mut line = Line::new(stream);
        if line.grant().is_none() || !line.add_call() {
            return;
        }
        let told = |number| json!({"call": CALL, "updateType": "update", "name": noise(60_000, number)});
        let list = |update| json!({"type": "callListUpdate", "subscriptionIndex": 1, "updates": [update]});
        (0..60).map(told).map(list).all(|message| line.tell(message));
        while line.next_message().is_some() {}
    });
    let folder = Folder::new();
    folder.write("listen.yaml", &LISTEN.replace("FOLLOW", ""));
    // As on a full disk, writing fails beyond so many blocks, which have 512 or 1024 bytes. A report has fewer.
    let program = env!("CARGO_BIN_EXE_bridgeproof");
    let script = format!(
        "ulimit -f 800; exec '{program}' run listen.yaml --report-dir out --record --target {} --user admin \
         --password-env {}",
        peer.url, PASSWORD.0
    );
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg(script).current_dir(folder.path("")).env("NO_COLOR", "1").envs([PASSWORD]);
    let mut running = Running::start(command);
    // It is told while the load goes on.
    running.stderr_line("the recording is not whole: failed to write trace.jsonl.zst: ");
    let finished = running.finish();
    let report = read(&folder.path("out"));
    assert_eq!((finished.code, &report["exit_code"]), (0, &0.into()), "{finished:?}");
    // What the file had room for is long over when the load ends.
    assert!(heard(&report) > 10, "{report}");
    assert!(words(&report).contains("the recording is not whole"), "{report}");
    assert!(finished.stdout.contains("the recording is not whole"), "{finished:?}");
    let left = fs::read_dir(folder.path("out")).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().contains(".part-")), "nothing is left beside it");
    // What was recorded is judged as far as it goes.
    let checked = folder.run(&["check", "out/trace.jsonl.zst", "--report-dir", "checked"]);
    assert_eq!(checked.code, 5, "{checked:?}");
    assert!(checked.stdout.contains("the recording was cut off"), "{checked:?}");
}
