//! What does a record cost `bridgeproof receive`, with every rule on, beside a receiver that only reads and answers?
//!
//! Both are processes of their own on loopback; what counts is their processor time per record, which other load on the
//! machine hardly moves, and the ratio of the two, taken in turns. Eight Call Bridges, each with its own connection and
//! session, post one record at a time or fifty (about 1 KB each), and wait for the answer. The floor is one epoll loop with
//! httparse. `--only 50` measures that alone, `--with ARGS` gives `receive` further arguments, and `--memory` sends a million
//! records instead and shows how memory goes. Linux only, for `/proc`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token};

/// How many Call Bridges.
const SENDERS: u64 = 8;

/// How often both are measured in turns.
const ROUNDS: usize = 7;

/// How long one measurement takes.
const SPAN: Duration = Duration::from_millis(700);

/// How many records the memory test sends.
const MILLION: u64 = 1_000_000;

fn main() {
    let words: Vec<String> = std::env::args().collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    if has("--floor") {
        return floor();
    }
    if has("--memory") {
        return memory();
    }
    let only: Option<u64> = words.iter().skip_while(|word| *word != "--only").nth(1).and_then(|word| word.parse().ok());
    for (batch, goal) in [(1, 2.1), (50, 14.0)].into_iter().filter(|(batch, _)| only.is_none_or(|only| only == *batch))
    {
        let extra = words.iter().skip_while(|word| *word != "--with").skip(1).map(String::as_str);
        measure(batch, goal, &extra.collect::<Vec<_>>());
    }
}

#[expect(clippy::disallowed_methods, reason = "this is what measures")]
fn now() -> Instant {
    Instant::now()
}

/// A receiver in another process. Dropping it ends it.
struct Receiver {
    child: Child,
    address: SocketAddr,
}

impl Receiver {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout);
        lines.read_line(&mut line).expect("it says where it listens");
        let address = line.rsplit("//").next().expect("there is an address").trim().trim_end_matches('/');
        let address = address.parse().expect("it is an address");
        // Somebody has to read the findings, so that the pipe does not fill.
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                eprintln_line(&line);
            }
        });
        Self { child, address }
    }

    fn judging(extra: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridgeproof"));
        Self::start(command.args(["receive", "--listen", "127.0.0.1:0"]).args(extra))
    }

    fn floor() -> Self {
        Self::start(Command::new(std::env::current_exe().expect("this program has a file")).arg("--floor"))
    }

    /// Processor time of all its threads, in ns.
    fn cpu_ns(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it is alive");
        let of = |task: std::fs::DirEntry| -> Option<u64> {
            std::fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
        };
        tasks.filter_map(|task| of(task.ok()?)).sum()
    }

    fn memory_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("it is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
        line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("it is a number")
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It fails if the process has ended by itself, which the measurement has told already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::print_stderr, reason = "findings would be a fault of the sender here")]
fn eprintln_line(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}

/// One Call Bridge: its calls one after the other, each with two participants.
struct Bridge {
    number: u64,
    next: u64,
    /// What is reused for each body.
    body: String,
    tcp: Option<TcpStream>,
}

impl Bridge {
    fn new(number: u64) -> Self {
        Self { number, next: 0, body: String::new(), tcp: None }
    }

    fn id(&self, kind: u64, number: u64) -> String {
        format!("{kind:08x}-{:04x}-4000-8000-{number:012x}", self.number)
    }

    /// A set with that many further records.
    fn set(&mut self, records: u64) -> &str {
        let mut body = std::mem::take(&mut self.body);
        body.clear();
        body.push_str("<?xml version=\"1.0\"?>\n<records session=\"");
        body.push_str(&self.id(1, 1));
        body.push_str("\">\n");
        for _ in 0..records {
            self.record(&mut body);
        }
        body.push_str("</records>\n");
        self.body = body;
        &self.body
    }

    fn record(&mut self, body: &mut String) {
        let (round, place) = (self.next / 8, self.next % 8);
        let (call, leg) = (self.id(2, round), self.id(3, round * 2 + place % 2));
        // Makes a record about 1 KB long on the average.
        let padding = "x".repeat(800);
        let (kind, inside) = match place {
            0 => (
                "callStart",
                format!(
                    "<call id=\"{call}\"><name>{padding}</name><callType>adHoc</callType><callCorrelator>{call}</callCorrelator></call>"
                ),
            ),
            1 | 2 => (
                "callLegStart",
                format!(
                    "<callLeg id=\"{leg}\"><displayName>{padding}</displayName><remoteParty>a@b.example</remoteParty>\
                     <localAddress>c@d.example</localAddress><type>sip</type><direction>incoming</direction>\
                     <groupId>{call}</groupId><sipCallId>{leg}@10.0.0.7</sipCallId></callLeg>"
                ),
            ),
            3 | 4 => (
                "callLegUpdate",
                format!(
                    "<callLeg id=\"{leg}\"><displayName>{padding}</displayName><state>connected</state><call>{call}</call>\
                     <groupId>{call}</groupId><sipCallId>{leg}@10.0.0.7</sipCallId></callLeg>"
                ),
            ),
            5 | 6 => (
                "callLegEnd",
                format!(
                    "<callLeg id=\"{leg}\"><cdrTag>{}</cdrTag><reason>remoteTeardown</reason><remoteTeardown>true</remoteTeardown>\
                     <encryptedMedia>false</encryptedMedia><unencryptedMedia>true</unencryptedMedia>\
                     <durationSeconds>0</durationSeconds><activatedDuration>0</activatedDuration>\
                     <sipCallId>{leg}@10.0.0.7</sipCallId></callLeg>",
                    &padding[..90]
                ),
            ),
            _ => (
                "callEnd",
                format!(
                    "<call id=\"{call}\"><callLegsCompleted>2</callLegsCompleted><callLegsMaxActive>2</callLegsMaxActive>\
                     <durationSeconds>0</durationSeconds></call>"
                ),
            ),
        };
        let (index, number) = (self.next, self.next + 1);
        body.push_str(&format!(
            "<record type=\"{kind}\" time=\"{}\" recordIndex=\"{number}\" correlatorIndex=\"{index}\">{inside}</record>\n",
            jiff::Timestamp::from_second(START + i64::try_from(self.next / 1000).unwrap_or(0)).expect("a time"),
        ));
        self.next += 1;
    }
}

/// When records begin, in seconds since 1970. It need not be now: what the clock shows is not part of the load.
const START: i64 = 1_767_225_600;

/// Posts until `stop`, or until all together have posted `limit` records, on one connection for good.
fn send(address: SocketAddr, bridge: &mut Bridge, batch: u64, stop: &AtomicBool, count: &AtomicU64, limit: u64) {
    let mut tcp = bridge.tcp.take().unwrap_or_else(|| {
        let tcp = TcpStream::connect(address).expect("it listens");
        tcp.set_nodelay(true).expect("TCP has that option");
        tcp
    });
    let (mut answer, mut request) = (vec![0; 4096], Vec::new());
    while !stop.load(Ordering::Relaxed) && count.load(Ordering::Relaxed) < limit {
        let body = bridge.set(batch);
        request.clear();
        request.extend_from_slice(
            format!(
                "POST /cdr HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )
            .as_bytes(),
        );
        request.extend_from_slice(body.as_bytes());
        tcp.write_all(&request).expect("it reads");
        let mut read = 0;
        while !answer[..read].ends_with(b"\r\n\r\n") {
            let more = tcp.read(&mut answer[read..]).expect("it answers");
            assert!(more > 0, "the receiver has ended the connection");
            read += more;
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
        count.fetch_add(batch, Ordering::Relaxed);
    }
    bridge.tcp = Some(tcp);
}

/// Processor time per record in us, and records per second of the clock on the wall.
fn load(receiver: &Receiver, bridges: &mut [Bridge], batch: u64) -> (f64, f64) {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for bridge in bridges {
            let (stop, count) = (&stop, &count);
            scope.spawn(move || send(receiver.address, bridge, batch, stop, count, u64::MAX));
        }
        pause(Duration::from_millis(100));
        let (cpu, records, began) = (receiver.cpu_ns(), count.load(Ordering::Relaxed), now());
        pause(SPAN);
        let cpu = receiver.cpu_ns() - cpu;
        let records = (count.load(Ordering::Relaxed) - records).max(1);
        let wall = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        (cpu as f64 / 1000.0 / records as f64, records as f64 / wall.as_secs_f64())
    })
}

fn pause(time: Duration) {
    thread::park_timeout(time);
}

fn measure(batch: u64, goal: f64, extra: &[&str]) {
    let (judging, floor) = (Receiver::judging(extra), Receiver::floor());
    let mut ours: Vec<Bridge> = (0..SENDERS).map(Bridge::new).collect();
    let mut theirs: Vec<Bridge> = (0..SENDERS).map(Bridge::new).collect();
    load(&judging, &mut ours, batch);
    load(&floor, &mut theirs, batch);
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        // Which one is first alternates.
        let (one, other);
        if round % 2 == 0 {
            one = load(&judging, &mut ours, batch);
            other = load(&floor, &mut theirs, batch);
        } else {
            other = load(&floor, &mut theirs, batch);
            one = load(&judging, &mut ours, batch);
        }
        rounds.push((one.0 / other.0, one, other));
    }
    rounds.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (ratio, one, other) = rounds[ROUNDS / 2];
    say(&format!(
        "{batch:>2} per POST, {SENDERS} connections: {:.2} us per record, floor {:.2} us, ratio {ratio:.2} (goal {goal}; \
         {:.2} to {:.2} in {ROUNDS} rounds); {:.0} records/s, floor {:.0}",
        one.0,
        other.0,
        rounds[0].0,
        rounds[ROUNDS - 1].0,
        one.1,
        other.1
    ));
}

fn memory() {
    let receiver = Receiver::judging(&[]);
    let mut bridges: Vec<Bridge> = (0..SENDERS).map(Bridge::new).collect();
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    // Twice as long as is needed, so that the second half shows what grows.
    for part in 1..=20 {
        thread::scope(|scope| {
            for bridge in &mut bridges {
                let (stop, count) = (&stop, &count);
                let limit = MILLION / 10 * part;
                scope.spawn(move || send(receiver.address, bridge, 50, stop, count, limit));
            }
        });
        say(&format!("{:>8} records: {} KiB", count.load(Ordering::Relaxed), receiver.memory_kib()));
    }
}

/// Reads and answers, no more.
fn floor() {
    let mut listener = mio::net::TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("there is a port");
    say(&format!("floor at http://{}/", listener.local_addr().expect("it is bound")));
    let mut poll = Poll::new().expect("there is epoll");
    let mut events = Events::with_capacity(256);
    poll.registry().register(&mut listener, Token(0), Interest::READABLE).expect("it can be waited for");
    let mut peers: Vec<Option<(mio::net::TcpStream, Vec<u8>)>> = Vec::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        poll.poll(&mut events, None).expect("it can be waited");
        for event in &events {
            if event.token() == Token(0) {
                while let Ok((mut tcp, _)) = listener.accept() {
                    let token = Token(peers.len() + 1);
                    poll.registry().register(&mut tcp, token, Interest::READABLE).expect("it can be waited for");
                    peers.push(Some((tcp, Vec::new())));
                }
                continue;
            }
            let place = &mut peers[event.token().0 - 1];
            if let Some((tcp, kept)) = place
                && !take(tcp, kept, &mut buffer)
            {
                *place = None;
            }
        }
    }
}

/// Reads what is there and answers each request that is whole. Whether the connection goes on.
fn take(tcp: &mut mio::net::TcpStream, kept: &mut Vec<u8>, buffer: &mut [u8]) -> bool {
    loop {
        let length = match tcp.read(buffer) {
            Ok(0) => return false,
            Ok(length) => length,
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        };
        kept.extend_from_slice(&buffer[..length]);
        while let Some(whole) = request_bytes(kept) {
            kept.drain(..whole);
            if tcp.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").is_err() {
                return false;
            }
        }
        if length < buffer.len() {
            return true;
        }
    }
}

/// The length of the first request, if it is whole.
fn request_bytes(bytes: &[u8]) -> Option<usize> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(head)) = request.parse(bytes) else { return None };
    let length = request.headers.iter().find(|field| field.name.eq_ignore_ascii_case("content-length"))?;
    let body: usize = str::from_utf8(length.value).ok()?.parse().ok()?;
    (bytes.len() >= head + body).then_some(head + body)
}
