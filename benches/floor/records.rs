//! What does a record cost `bridgeproof receive`, with every rule on, beside a receiver that only reads and answers?
//!
//! Eight Call Bridges, each with its own connection and session, post one record at a time or fifty (about 1 KB each), and
//! wait for the answer. One thread plays all of them: what an answer costs depends on whom it wakes. The floor is one epoll
//! loop with httparse. [`memory`] sends two million records instead and shows how memory goes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use mio::{Events, Interest, Poll, Token};

use super::{ROUNDS, SPAN, cpu_ns, memory_kib, now, pause, pinned, say};

/// How many Call Bridges.
const SENDERS: u64 = 8;

/// How many records the memory test sends.
const MILLION: u64 = 1_000_000;

/// One record per POST, and fifty.
pub(crate) const ROWS: [(&str, u64, f64); 2] = [("one record per POST", 1, 2.1), ("50 records per POST", 50, 14.0)];

/// A receiver in another process. Dropping it ends it.
struct Receiver {
    child: Child,
    address: SocketAddr,
}

impl Receiver {
    fn start(command: &mut Command) -> Self {
        // A process stays on the processor of the thread that begins it.
        let spawn = || {
            pinned(1);
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        };
        let mut child =
            thread::scope(|scope| scope.spawn(spawn).join()).expect("no panic").expect("the program starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout);
        lines.read_line(&mut line).expect("it says where it listens");
        let address = line.rsplit("//").next().expect("there is an address").trim().trim_end_matches('/');
        let address = address.parse().expect("it is an address");
        // Somebody has to read the findings, so that the pipe does not fill.
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                say(&line);
            }
        });
        Self { child, address }
    }

    fn judging() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridgeproof"));
        Self::start(command.args(["receive", "--listen", "127.0.0.1:0"]))
    }

    fn floor() -> Self {
        Self::start(Command::new(std::env::current_exe().expect("this program has a file")).args(["--role", "records"]))
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // It fails if the process has ended by itself, which the measurement has told already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What changes from one record to the next of its kind, in as many bytes each time: records cost their sender next to
/// nothing, so that it is never the one that is waited for.
const CHANGING: [&str; 5] = ["RRRRRRRRRRRR", "LLLLLLLLLLLL", "IIIIIIIIII", "NNNNNNNNNN", "2026-01-01T00:00:00Z"];

/// A record with what changes in it, and where that is.
struct Template {
    text: Vec<u8>,
    places: Vec<(usize, usize)>,
}

impl Template {
    fn new(text: String) -> Self {
        let found = CHANGING.iter().enumerate();
        let places = found.flat_map(|(what, word)| text.match_indices(word).map(move |(at, _)| (at, what))).collect();
        Self { text: text.into_bytes(), places }
    }
}

/// One Call Bridge: its calls one after the other, each with two participants.
struct Bridge {
    next: u64,
    /// The records of a call.
    course: Vec<Template>,
    head: String,
    /// What is reused for each request.
    request: Vec<u8>,
    tcp: Option<mio::net::TcpStream>,
}

impl Bridge {
    fn new(number: u64) -> Self {
        let id = |kind: u32, what: &str| format!("{kind:08x}-{number:04x}-4000-8000-{what}");
        let head = format!("<?xml version=\"1.0\"?>\n<records session=\"{}\">\n", id(1, "000000000001"));
        let course =
            (0..8).map(|place| Template::new(record(place, &id(2, CHANGING[0]), &id(3, CHANGING[1])))).collect();
        Self { next: 0, course, head, request: Vec::new(), tcp: None }
    }

    /// Makes the request for a set with that many further records.
    fn prepare(&mut self, address: SocketAddr, records: u64) {
        const TAIL: &str = "</records>\n";
        let lengths = (0..records).map(|ahead| self.course[((self.next + ahead) % 8) as usize].text.len());
        let length = lengths.sum::<usize>() + self.head.len() + TAIL.len();
        self.request.clear();
        let begun = write!(
            self.request,
            "POST /cdr HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/xml\r\nContent-Length: {length}\r\n\r\n{}",
            self.head
        );
        begun.expect("there is memory");
        for _ in 0..records {
            self.add();
        }
        self.request.extend_from_slice(TAIL.as_bytes());
    }

    fn add(&mut self) {
        let (round, place) = (self.next / 8, self.next % 8);
        let template = &self.course[place as usize];
        let begin = self.request.len();
        self.request.extend_from_slice(&template.text);
        for (at, what) in &template.places {
            let place = &mut self.request[begin + at..begin + at + CHANGING[*what].len()];
            match what {
                0 => digits(round, 16, place),
                1 => digits(round * 2 + self.next % 2, 16, place),
                2 => digits(self.next, 10, place),
                3 => digits(self.next + 1, 10, place),
                _ => {
                    let seconds = self.next / 1000;
                    digits(seconds % 60, 10, &mut place[17..19]);
                    digits(seconds / 60 % 60, 10, &mut place[14..16]);
                    digits(seconds / 3600 % 24, 10, &mut place[11..13]);
                }
            }
        }
        self.next += 1;
    }

    /// Posts what was prepared. What the system does not take at once, it takes soon: the receiver reads all the time.
    fn post(&mut self) {
        let mut rest = self.request.as_slice();
        let tcp = self.tcp.as_mut().expect("it is connected");
        while !rest.is_empty() {
            match tcp.write(rest) {
                Ok(length) => rest = &rest[length..],
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => thread::yield_now(),
                Err(error) => panic!("the receiver does not read: {error}"),
            }
        }
    }

    /// Whether the answer has come, whole: it is so short that it comes in one piece.
    fn is_answered(&mut self) -> bool {
        let mut answer = [0; 512];
        match self.tcp.as_mut().expect("it is connected").read(&mut answer) {
            Ok(length) => {
                let text = String::from_utf8_lossy(&answer[..length]);
                assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("\r\n\r\n"), "{text}");
                true
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => false,
            Err(error) => panic!("the receiver does not answer: {error}"),
        }
    }
}

/// Writes a number with leading zeros.
fn digits(mut number: u64, base: u64, place: &mut [u8]) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number % base) as usize];
        number /= base;
    }
}

/// The record at this place in the course of a call.
fn record(place: u64, call: &str, leg: &str) -> String {
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
    let [_, _, index, number, time] = CHANGING;
    format!(
        "<record type=\"{kind}\" time=\"{time}\" recordIndex=\"{number}\" correlatorIndex=\"{index}\">{inside}</record>\n"
    )
}

/// Posts until `stop`, or until all together have posted `limit` records, on connections that stay.
fn send(address: SocketAddr, bridges: &mut [Bridge], batch: u64, stop: &AtomicBool, count: &AtomicU64, limit: u64) {
    let mut poll = Poll::new().expect("there is epoll");
    let mut events = Events::with_capacity(64);
    for (place, bridge) in bridges.iter_mut().enumerate() {
        let tcp = bridge.tcp.get_or_insert_with(|| {
            let tcp = TcpStream::connect(address).expect("it listens");
            tcp.set_nodelay(true).expect("TCP has that option");
            tcp.set_nonblocking(true).expect("TCP has that option");
            mio::net::TcpStream::from_std(tcp)
        });
        poll.registry().register(tcp, Token(place), Interest::READABLE).expect("it can be waited for");
        bridge.prepare(address, batch);
        bridge.post();
        bridge.prepare(address, batch);
    }
    let mut under_way = bridges.len();
    while under_way > 0 {
        poll.poll(&mut events, None).expect("it can be waited");
        for event in &events {
            let bridge = &mut bridges[event.token().0];
            if !bridge.is_answered() {
                continue;
            }
            count.fetch_add(batch, Ordering::Relaxed);
            if stop.load(Ordering::Relaxed) || count.load(Ordering::Relaxed) >= limit {
                under_way -= 1;
                // What was prepared is the first that is posted next time.
                bridge.next -= batch;
            } else {
                bridge.post();
                bridge.prepare(address, batch);
            }
        }
    }
    for tcp in bridges.iter_mut().filter_map(|bridge| bridge.tcp.as_mut()) {
        poll.registry().deregister(tcp).expect("it was registered");
    }
}

/// Processor time per record in us, and records per second of the clock on the wall.
fn load(receiver: &Receiver, bridges: &mut [Bridge], batch: u64) -> (f64, f64) {
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        let (sent, ended) = (&count, &stop);
        scope.spawn(move || {
            pinned(0);
            send(receiver.address, bridges, batch, ended, sent, u64::MAX);
        });
        pause(super::WARM_UP);
        let (cpu, records, began) = (cpu_ns(&receiver.child), count.load(Ordering::Relaxed), now());
        pause(SPAN);
        let cpu = cpu_ns(&receiver.child) - cpu;
        let records = (count.load(Ordering::Relaxed) - records).max(1);
        let wall = began.elapsed();
        stop.store(true, Ordering::Relaxed);
        (cpu as f64 / 1000.0 / records as f64, records as f64 / wall.as_secs_f64())
    })
}

/// Measures both in turns.
pub(crate) fn measure(name: &str, batch: u64, goal: f64) {
    let (judging, floor) = (Receiver::judging(), Receiver::floor());
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
        "{name:<36} {:>6.3} us, floor {:>6.3} us, ratio {ratio:.2} (goal {goal}; {:.2} to {:.2} in {ROUNDS} rounds), {:.0} records/s, floor {:.0}",
        one.0,
        other.0,
        rounds[0].0,
        rounds[ROUNDS - 1].0,
        one.1,
        other.1
    ));
}

/// How memory goes over two million records.
pub(crate) fn memory() {
    let receiver = Receiver::judging();
    let mut bridges: Vec<Bridge> = (0..SENDERS).map(Bridge::new).collect();
    let (stop, count) = (AtomicBool::new(false), AtomicU64::new(0));
    // Twice as long as is needed, so that the second half shows what grows.
    for part in 1..=20 {
        send(receiver.address, &mut bridges, 50, &stop, &count, MILLION / 10 * part);
        say(&format!("{:>8} records: {} KiB", count.load(Ordering::Relaxed), memory_kib(&receiver.child)));
    }
}

/// Reads and answers, no more.
pub(crate) fn floor() {
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
