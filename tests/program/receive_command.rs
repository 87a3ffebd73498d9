//! `receive`: what it judges, what it does with bad input, and how it ends.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::call_bridge::{CallBridge, Receiver};
use super::child::{Finished, Folder};
use super::reports::{read, verdicts, with_verdict};

/// How much memory it may ever have, in KiB, whatever it is sent.
const MEMORY_KIB: u64 = 600 << 10;

fn end(receiver: Receiver) -> Finished {
    receiver.running.signal("INT");
    receiver.running.finish()
}

#[test]
fn a_call_bridge_in_order_passes_and_the_file_has_its_records() {
    let folder = Folder::new();
    let receiver = Receiver::start(&folder, &["--record", "r.jsonl", "--report-dir", "out", "--details", "--timings"]);
    let mut bridge = receiver.bridge(1);
    for _ in 0..20 {
        bridge.post_next(2).unwrap();
    }
    let finished = end(receiver);
    assert_eq!(finished.code, 0, "{finished:?}");
    assert!(finished.stdout.contains("80 records in 20 sets"), "{finished:?}");
    let report = read(&folder.path("out"));
    assert_eq!(with_verdict(&report, "fail"), Vec::<String>::new(), "{finished:?}");
    assert_eq!(verdicts(&report).get("CDR-01").map(String::as_str), Some("pass"));
    let lines = std::fs::read_to_string(folder.path("r.jsonl")).unwrap();
    assert_eq!(lines.lines().count(), 80);
    assert!(lines.lines().all(|line| line.contains("\"xml\":\"<record type=")), "{lines}");
}

#[test]
fn a_finding_is_told_as_it_occurs_with_its_evidence() {
    let folder = Folder::new();
    let mut receiver = Receiver::start(&folder, &[]);
    let mut bridge = receiver.bridge(1);
    let (body, _) = bridge.next_set(1);
    assert_eq!(bridge.post(&body.replace("recordIndex=\"1\"", "recordIndex=\"7\"")).unwrap(), 200);
    receiver.running.stdout_line("fail CDR-11 after");
    receiver.running.stdout_line("  expected  ");
    receiver.running.stdout_line("  observed  ");
    receiver.running.stdout_line("    #");
    let finished = end(receiver);
    assert_eq!(finished.code, 1, "{finished:?}");
}

#[test]
fn what_is_known_is_told_as_known() {
    let folder = Folder::new();
    folder.write("known.toml", "[[known]]\nrequirement = \"CDR-11\"\nreason = \"ticket\"\nuntil = \"9000-01-01\"\n");
    let mut receiver = Receiver::start(&folder, &["--known", "known.toml", "--report-dir", "out"]);
    let mut bridge = receiver.bridge(1);
    let (body, _) = bridge.next_set(1);
    assert_eq!(bridge.post(&body.replace("recordIndex=\"1\"", "recordIndex=\"7\"")).unwrap(), 200);
    receiver.running.stdout_line("xfail CDR-11 after");
    receiver.running.stdout_line("  known     until 9000-01-01: ticket");
    let finished = end(receiver);
    assert_eq!(finished.code, 0, "{finished:?}");
    let report = read(&folder.path("out"));
    let rows = report["latency"].as_array().unwrap();
    assert!(rows.iter().any(|row| row["name"] == "cdr_arrival"), "{rows:?}");
}

#[test]
fn a_plan_makes_it_fail_on_purpose() {
    let folder = Folder::new();
    folder.write("plan.yaml", "- {sets: 1, answer: 503}\n- {sets: 2, fail: close-after-body}\n");
    let receiver = Receiver::start(&folder, &["--plan", "plan.yaml"]);
    let mut bridge = receiver.bridge(1);
    let (body, _) = bridge.next_set(1);
    assert_eq!(bridge.post(&body).unwrap(), 503);
    assert!(bridge.post(&body).is_err());
    let mut again = receiver.bridge(1);
    assert_eq!(again.post(&body).unwrap(), 200);
    let finished = end(receiver);
    assert!(!finished.stdout.contains("fail CDR"), "all was sent again: {finished:?}");
    folder.write("plan.yaml", "- {sets: 1, anser: 503}\n");
    let wrong = folder.run(&["receive", "--plan", "plan.yaml"]);
    assert_eq!(wrong.code, 2);
    assert!(wrong.stderr.contains("plan.yaml:1") && wrong.stderr.contains("`anser`"), "{wrong:?}");
}

#[test]
fn an_address_in_use_is_told_with_its_cause() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let finished = Folder::new().run(&["receive", "--listen", &address]);
    assert_eq!(finished.code, 3, "{finished:?}");
    assert!(finished.stderr.contains(&address) && finished.stderr.contains("in use"), "{finished:?}");
}

/// What a bad request is answered, or that its connection ended.
fn answer_to(receiver: &Receiver, request: &[u8]) -> Option<u16> {
    let mut bridge = receiver.bridge(99);
    // The receiver may have seen enough before everything is written.
    let _ = bridge.tcp.write_all(request);
    let _ = bridge.tcp.shutdown(Shutdown::Write);
    let status = bridge.status().ok();
    // What follows is the end, or the answer to what looked like a further request.
    let _ = bridge.tcp.read_to_end(&mut Vec::new());
    status
}

fn post(body: &[u8]) -> Vec<u8> {
    let head =
        format!("POST / HTTP/1.1\r\nHost: x\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A set of that many small records.
fn small_records(count: u64) -> Vec<u8> {
    let mut body = b"<?xml version=\"1.0\"?><records session=\"00000009-0000-4000-8000-000000000009\">".to_vec();
    for index in 0..count {
        body.extend_from_slice(format!("<record type=\"callEnd\" correlatorIndex=\"{index}\"/>").as_bytes());
    }
    body.extend_from_slice(b"</records>");
    body
}

/// More of a body than is read, made as it is sent. Whether the receiver ended it.
fn endless_body(receiver: &Receiver) -> bool {
    let mut bridge = receiver.bridge(98);
    let _ = bridge.tcp.write_all(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
    let piece = vec![b'x'; 1 << 20];
    (0..256).any(|_| {
        let chunk = [b"100000\r\n", &piece[..], b"\r\n"].concat();
        bridge.tcp.write_all(&chunk).is_err()
    })
}

/// All the bad input.
fn misbehave(receiver: &Receiver) {
    let (ok, bad) = (Some(200), Some(400));
    let whole = CallBridge::connect(receiver.address, 97).unwrap().next_set(1).0;
    let plain = whole.as_bytes();
    let chunked = format!(
        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{whole}\r\n0\r\n\r\n",
        whole.len()
    );
    let short = post(plain).iter().map(|byte| *byte as char).collect::<String>().replacen(
        "Content-Length: ",
        "Content-Length: 1",
        1,
    );
    let doubled = whole.replacen("type=\"callStart\"", "type=\"callStart\" type=\"callEnd\"", 1);
    let bomb = format!("<!DOCTYPE r [<!ENTITY a \"{}\"><!ENTITY b \"&a;&a;&a;\">]>{whole}", "x".repeat(1000));
    let cases: [(&str, Vec<u8>, Option<u16>); 14] = [
        ("no XML", post(b"hello"), ok),
        ("no UTF-8", post(b"<records session=\"\xff\xfe\"/>"), ok),
        ("a truncated document", post(&plain[..plain.len() / 2]), ok),
        ("an attribute twice", post(doubled.as_bytes()), ok),
        ("a document type", post(bomb.as_bytes()), ok),
        ("deep nesting", post("<a>".repeat(100_000).as_bytes()), ok),
        ("no body", post(b""), ok),
        ("chunks", chunked.into_bytes(), ok),
        ("HTTP/1.0", String::from_utf8(post(plain)).unwrap().replace("HTTP/1.1", "HTTP/1.0").into_bytes(), ok),
        ("a length that is too long", short.into_bytes(), None),
        ("a length that is no number", b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n".to_vec(), bad),
        ("two lengths", b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab".to_vec(), bad),
        ("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n".to_vec(), bad),
        ("many small records", post(&small_records(100_000)), ok),
    ];
    for (what, request, expected) in cases {
        assert_eq!(answer_to(receiver, &request), expected, "{what}");
    }
    let mut too_short = post(plain);
    too_short.extend_from_slice(b"and more");
    assert_eq!(answer_to(receiver, &too_short), ok, "a length that is too short");
    assert_eq!(
        answer_to(receiver, b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\nx"),
        None,
        "a length beyond limits"
    );
    assert_eq!(
        answer_to(receiver, &[b"GET / HTTP/1.1\r\nX: ", &vec![b'x'; 200_000][..]].concat()),
        None,
        "a long head"
    );
    assert!(endless_body(receiver), "a body without end");
    let mut hundred: Vec<CallBridge> = (100..200).map(|number| receiver.bridge(number)).collect();
    for bridge in &mut hundred {
        assert_eq!(bridge.post("<records/>").unwrap(), 200, "a hundred at once");
    }
}

#[test]
fn bad_input_is_a_finding_or_an_error_and_disturbs_nobody_else() {
    let folder = Folder::new();
    let receiver = Receiver::start(&folder, &["--record", "r.jsonl", "--no-sync", "--report-dir", "out"]);
    let (stop, sets) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let address = receiver.address;
        let (stop, sets) = (&stop, &sets);
        scope.spawn(move || {
            let mut good = CallBridge::connect(address, 1).unwrap();
            while !stop.load(Ordering::Relaxed) {
                good.post_next(1).expect("the good one is not disturbed");
                sets.fetch_add(1, Ordering::Relaxed);
            }
        });
        // The one that goes on undisturbed ends also when something here is not as it should be.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| misbehave(&receiver)));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(sets.load(Ordering::Relaxed) > 20, "it was sent on meanwhile");
    if let Some(kib) = receiver.running.peak_memory_kib() {
        assert!(kib < MEMORY_KIB, "{kib} KiB");
    }
    let finished = end(receiver);
    assert_eq!(finished.code, 1, "{finished:?}");
    let failed = with_verdict(&read(&folder.path("out")), "fail");
    assert!(failed.iter().any(|id| id == "CDR-01"), "{failed:?}");
}

#[test]
fn a_connection_without_a_handshake_is_none() {
    let folder = Folder::new();
    let receiver = Receiver::start(&folder, &["--tls", "--ca-out", "ca.pem"]);
    assert!(std::fs::read_to_string(folder.path("ca.pem")).unwrap().contains("BEGIN CERTIFICATE"));
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"", b"\x16\x03\x01\xff\xff"] {
        let mut tcp = std::net::TcpStream::connect(receiver.address).unwrap();
        tcp.write_all(garbage).unwrap();
        tcp.shutdown(Shutdown::Write).unwrap();
        // An alert may come before the end, or a reset instead of it.
        let _ = tcp.read_to_end(&mut Vec::new());
    }
    let finished = end(receiver);
    assert_eq!(finished.code, 6, "nothing was put to the test: {finished:?}");
    assert!(finished.stderr.contains("the TLS handshake failed"), "{finished:?}");
    assert!(finished.stderr.contains("it may not trust the certificate"), "{finished:?}");
}
