//! `emulate --judge`: CDR receivers that others wrote are judged by what they answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::child::{Emulator, Finished, Folder, LIMIT};
use super::emulate_command::api;
use super::reports::{read, verdicts, with_verdict};

/// What a receiver does with a set that it has read.
#[derive(Debug, Clone, Copy)]
enum Does {
    /// Answers with this status.
    Answers(u16),
    /// Ends the connection.
    Leaves,
    /// Answers 400 where a record is of a type that it does not know, otherwise 200.
    RefusesWeather,
}

/// A CDR receiver in a few lines: it reads `Content-Length` bytes and answers without a body. Gives its address and what it
/// reads. It ends with the test.
fn receiver(does: Does) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (heard, bodies) = channel();
    thread::spawn(move || {
        // The emulator has one connection at a time.
        while let Ok((mut connection, _)) = listener.accept() {
            while serve(&mut connection, does, &heard).is_some() {}
        }
    });
    (address, bodies)
}

/// Reads one set and answers it; `None` where the connection is over.
fn serve(connection: &mut TcpStream, does: Does, heard: &Sender<String>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"))?.trim().parse().ok()?;
    let mut body = vec![0; length];
    connection.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).ok()?;
    let status = match does {
        Does::Answers(status) => status,
        Does::RefusesWeather if body.contains("weatherReport") => 400,
        Does::RefusesWeather => 200,
        Does::Leaves => 0,
    };
    // Nobody listens any more where the test has seen enough.
    let _ = heard.send(body);
    let answer = format!("HTTP/1.1 {status} As Told\r\nContent-Length: 0\r\n\r\n");
    (status > 0).then(|| connection.write_all(answer.as_bytes()).ok())?
}

/// Has an emulator send the records of a few calls to a receiver, until that has read a set that holds `until`.
fn judged(folder: &Folder, does: Does, until: &str) -> Finished {
    let args = ["--judge", "--report-dir", "out", "--dialect", "hard-on-receivers"];
    let emulator = Emulator::start(folder, &args);
    let (address, bodies) = receiver(does);
    let made = api(&emulator, "POST", "/api/v1/system/cdrReceivers", &format!("uri=http://{address}/cdr"));
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    let wait = |until: &str| {
        while !bodies.recv_timeout(LIMIT).unwrap_or_else(|_| panic!("no set with {until}")).contains(until) {}
    };
    let space = id(&api(&emulator, "POST", "/api/v1/coSpaces", "name=one"));
    for number in 0..4 {
        let call = id(&api(&emulator, "POST", "/api/v1/calls", &format!("coSpace={space}&name=one")));
        // The first set is an ordinary one.
        if until == "callEnd" || number == 0 {
            wait("callStart");
        }
        api(&emulator, "DELETE", &format!("/api/v1/calls/{call}"), "");
        if until == "callEnd" {
            wait("callEnd");
        }
    }
    if until != "callEnd" {
        wait(until);
        wait(until);
    }
    // The emulator has taken the answer to a set when it answers what was asked after that.
    api(&emulator, "GET", "/api/v1/system/status", "");
    emulator.running.signal("TERM");
    emulator.running.finish()
}

/// The id in `Location`.
fn id(answer: &str) -> String {
    let field = answer.lines().find_map(|line| {
        line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("location")).map(|(_, value)| value)
    });
    field.and_then(|path| path.trim().rsplit('/').next()).unwrap_or_else(|| panic!("no id in {answer}")).to_owned()
}

#[test]
fn a_receiver_in_order_passes() {
    let folder = Folder::new();
    let finished = judged(&folder, Does::Answers(200), "callEnd");
    let report = read(&folder.path("out"));
    let verdicts = verdicts(&report);
    for id in ["CDR-20", "CDR-21", "CDR-22"] {
        assert_eq!(verdicts[id], "pass", "{finished:?}");
    }
    assert_eq!((verdicts.len(), finished.code), (3, 0), "{finished:?}");
}

#[test]
fn a_receiver_that_answers_204_fails() {
    let folder = Folder::new();
    let finished = judged(&folder, Does::Answers(204), "callEnd");
    assert_eq!(finished.code, 1, "{finished:?}");
    assert_eq!(with_verdict(&read(&folder.path("out")), "fail"), ["CDR-20"], "{finished:?}");
    assert!(finished.stdout.contains("204"), "{finished:?}");
}

#[test]
fn a_receiver_that_leaves_instead_of_answering_fails() {
    let folder = Folder::new();
    let finished = judged(&folder, Does::Leaves, "callStart");
    assert_eq!(with_verdict(&read(&folder.path("out")), "fail"), ["CDR-20"], "{finished:?}");
}

#[test]
fn a_receiver_that_refuses_what_it_does_not_know_fails_that_alone() {
    let folder = Folder::new();
    let finished = judged(&folder, Does::RefusesWeather, "weatherReport");
    assert_eq!(with_verdict(&read(&folder.path("out")), "fail"), ["CDR-21"], "{finished:?}");
}
