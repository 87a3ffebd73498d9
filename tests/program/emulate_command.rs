//! `emulate`: what it shows, what it judges, and how it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::child::{Emulator, Finished, Folder, PASSWORD};
use super::reports::{read, verdicts, with_verdict};

/// One API exchange as the privileged account; the whole answer.
pub(crate) fn api(emulator: &Emulator, method: &str, path: &str, body: &str) -> String {
    let mut connection = dial(emulator);
    let login = STANDARD.encode(format!("admin:{}", PASSWORD.1));
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {login}\r\nConnection: close\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        emulator.address(),
        body.len()
    );
    connection.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    answer
}

fn dial(emulator: &Emulator) -> TcpStream {
    let connection = TcpStream::connect(emulator.address()).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    connection
}

/// An events client by hand, which masks its frames, or does not.
struct Client {
    connection: BufReader<TcpStream>,
    masked: bool,
}

impl Client {
    fn connect(emulator: &Emulator, masked: bool) -> Self {
        let answer = api(emulator, "POST", "/api/v1/authTokens", "");
        let field = answer.lines().find_map(|line| {
            line.split_once(": ").filter(|(name, _)| name.eq_ignore_ascii_case("x-cisco-cms-auth-token"))
        });
        let token = field.map(|(_, value)| value.trim()).unwrap_or_else(|| panic!("no token in {answer}"));
        let mut connection = BufReader::new(dial(emulator));
        let request = format!(
            "GET /events/v1?authToken={token} HTTP/1.1\r\nHost: {}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            emulator.address()
        );
        connection.get_mut().write_all(request.as_bytes()).unwrap();
        let mut line = String::new();
        connection.read_line(&mut line).unwrap();
        assert!(line.starts_with("HTTP/1.1 101 "), "{line}");
        while line != "\r\n" {
            line.clear();
            connection.read_line(&mut line).unwrap();
        }
        Self { connection, masked }
    }

    /// Sends a frame of at most 65535 bytes.
    fn send(&mut self, first: u8, payload: &[u8]) {
        let bit = if self.masked { 0x80 } else { 0 };
        let length = u16::try_from(payload.len()).unwrap();
        let mut wire = vec![first];
        if length < 126 {
            wire.push(bit | length as u8);
        } else {
            wire.push(bit | 126);
            wire.extend(length.to_be_bytes());
        }
        // A mask of zeros changes nothing, and is a mask.
        wire.extend(if self.masked { &[0_u8; 4][..] } else { &[] });
        wire.extend(payload);
        self.connection.get_mut().write_all(&wire).unwrap();
    }

    /// The next frame: its first byte and its payload; `None` at the end of the connection.
    fn receive(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.connection.read_exact(&mut head).ok()?;
        let mut length = usize::from(head[1]);
        assert!(length <= 126, "a masked or very long frame");
        if length == 126 {
            let mut long = [0; 2];
            self.connection.read_exact(&mut long).unwrap();
            length = usize::from(u16::from_be_bytes(long));
        }
        let mut payload = vec![0; length];
        self.connection.read_exact(&mut payload).unwrap();
        Some((head[0], payload))
    }

    /// The next message that is no ack, which is acknowledged.
    fn message(&mut self) -> serde_json::Value {
        loop {
            let (_, payload) = self.receive().expect("a message is due");
            let message: serde_json::Value = serde_json::from_slice(&payload).unwrap();
            if message["type"] == "messageAck" {
                continue;
            }
            self.acknowledge(&message["message"]["messageId"]);
            return message;
        }
    }

    fn acknowledge(&mut self, id: &serde_json::Value) {
        let ack = serde_json::json!({"type": "messageAck", "messageAck": {"messageId": id, "status": "success"}});
        self.send(0x81, ack.to_string().as_bytes());
    }

    /// Ends the connection with the closing handshake.
    fn close(mut self) {
        self.send(0x88, &[0x03, 0xe8]);
        while let Some((first, _)) = self.receive() {
            if first == 0x88 {
                break;
            }
        }
    }

    /// Reads until the server ends the connection.
    fn ended(mut self) {
        while self.receive().is_some() {}
    }
}

const SUBSCRIBE: &[u8] = br#"{"type":"message","message":{"messageId":1,"type":"subscribeRequest","subscriptions":[
    {"index":1,"type":"calls","elements":["name","participants"]}]}}"#;

/// Ends an emulator and reads what it wrote.
fn stop(emulator: Emulator) -> Finished {
    emulator.running.signal("TERM");
    emulator.running.finish()
}

#[test]
fn a_good_client_passes() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &["--judge", "--report-dir", "out"]);
    let mut client = Client::connect(&emulator, true);
    client.send(0x81, SUBSCRIBE);
    while client.message()["message"]["subscriptions"][0]["state"] != "active" {}
    let made = api(&emulator, "POST", "/api/v1/coSpaces", "name=one");
    assert!(made.starts_with("HTTP/1.1 200"), "{made}");
    client.close();
    let finished = stop(emulator);
    let report = read(&folder.path("out"));
    assert_eq!(with_verdict(&report, "fail"), Vec::<String>::new(), "{finished:?}");
    assert_eq!(verdicts(&report)["WS-07"], "pass", "{finished:?}");
    // What this client did not do was not tested.
    assert_eq!((finished.code, &report["exit_code"]), (5, &5.into()), "{finished:?}");
}

#[test]
fn the_clients_of_a_run_pass_the_judgement_of_an_emulator() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &["--judge", "--report-dir", "judged"]);
    let args = ["run", "subscriptions/re-indexed", "updates/two-clients-alike", "clients/unknown-fields", "--quiet"];
    let to = ["--report-dir", "out", "--target", &emulator.url, "--user", "admin", "--password-env", PASSWORD.0];
    let ran = folder.run(&[&args[..], &to].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let finished = stop(emulator);
    assert_eq!(finished.code, 0, "{finished:?}");
    let report = read(&folder.path("judged"));
    assert!(verdicts(&report).len() > 5 && verdicts(&report).values().all(|verdict| verdict == "pass"), "{finished:?}");
}

#[test]
fn an_unmasked_frame_and_an_ack_too_many_are_found() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &["--judge", "--report-dir", "out", "--dialect", "on-unmasked=ignore"]);
    let mut bad = Client::connect(&emulator, false);
    bad.send(0x81, SUBSCRIBE);
    drop(bad);
    let mut eager = Client::connect(&emulator, true);
    eager.send(0x81, SUBSCRIBE);
    let id = &eager.message()["message"]["messageId"];
    eager.acknowledge(id);
    eager.close();
    let finished = stop(emulator);
    assert_eq!(finished.code, 1, "{finished:?}");
    let failed = with_verdict(&read(&folder.path("out")), "fail");
    assert_eq!(failed, ["MSG-06", "WS-07"], "{finished:?}");
    for part in ["no mask", "repeat    bridgeproof emulate --judge", "--dialect on-unmasked=ignore"] {
        assert!(finished.stdout.contains(part), "{part} in {}", finished.stdout);
    }
}

#[test]
fn an_emulator_shows_how_to_reach_it_and_ends_when_told() {
    let folder = Folder::new();
    for signal in ["INT", "TERM"] {
        let mut running = folder.start(&["emulate", "--listen", "127.0.0.1:0", "--seed", "9"]);
        let line = running.stdout_line("http://127.0.0.1:");
        assert!(line.contains("user ") && line.contains("password ") && line.contains("seed 9"), "{line}");
        let word = |after: &str| line.split(after).nth(1).unwrap().split(',').next().unwrap().to_owned();
        // What is shown is what works.
        let (url, user, password) =
            (line.split(" is at ").nth(1).unwrap().split(": user").next().unwrap(), word("user "), word("password "));
        let args =
            ["run", "messages/requests-acknowledged", "--target", url, "--user", &user, "--password-env", "SHOWN"];
        let judged = folder.start_with(&args, &[("SHOWN", password.as_str())]).finish();
        assert_eq!(judged.code, 0, "{judged:?}");
        running.signal(signal);
        assert_eq!(running.finish().code, 0);
    }
}

#[test]
fn an_emulator_ends_while_clients_are_connected() {
    let folder = Folder::new();
    let emulator = Emulator::start(&folder, &[]);
    let mut client = Client::connect(&emulator, true);
    client.send(0x81, SUBSCRIBE);
    client.message();
    let finished = stop(emulator);
    assert_eq!(finished.code, 0, "{finished:?}");
    client.ended();
}

#[test]
fn an_emulator_that_cannot_be_says_why() {
    let folder = Folder::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    // An address that is in use is no fault of what was typed.
    let cases: [(&[&str], i32, &str); 5] = [
        (&["--listen", &address], 3, &address),
        (&["--mutant", "no-such-mutant"], 2, "no mutant is called `no-such-mutant`"),
        (&["--cert", "missing.pem", "--key", "missing.pem"], 2, "missing.pem"),
        (&["--password-env", "NO_SUCH_VARIABLE"], 2, "NO_SUCH_VARIABLE"),
        (&["--unprivileged-user", "x"], 2, "--unprivileged-password-env"),
    ];
    for (args, code, words) in cases {
        let finished = folder.run(&[&["emulate"], args].concat());
        assert_eq!(finished.code, code, "{finished:?}");
        assert!(finished.stderr.contains(words), "{words} in {finished:?}");
    }
}
