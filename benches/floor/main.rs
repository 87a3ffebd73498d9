//! What does judging cost beside a client that only reads and acknowledges?
//!
//! `cargo bench --bench floor` prints the whole table; words after `--` choose rows by a part of their name. For each row both
//! clients are processes of their own on the second processor, connected to the same server, which runs on the first and
//! sends to one of them at a time, in turns. What counts is the processor time of the client for each update, and the ratio
//! of both in the same round. Linux only, for `/proc`.
//!
//! `cargo bench --bench floor -- --server emulator` prints one row about the emulator as server: `--connections` of them (1, and
//! at most 5), `--rate` updates a second on each (5000), an ack `--window` (64). `-- --server http://127.0.0.1:PORT --user NAME
//! --password-env VAR` is any other server on loopback that tells who subscribes to the list of calls of changes; they have to
//! happen there meanwhile. There both clients have their turns one after the other, each in a fresh process; there is no goal.

mod client;
mod firehose;
mod judged;
mod other;
mod records;
mod underway;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bridgeproof::net::event_loop::Waiting;
use bridgeproof::net::target::{Account, Accounts, Target, Tls};
use firehose::{Firehose, Rate};

/// How often both are measured in turns.
const ROUNDS: usize = 7;

/// How long one measurement takes, and how long it runs before that.
const SPAN: Duration = Duration::from_millis(700);
const WARM_UP: Duration = Duration::from_millis(150);

/// A row about processor time.
struct Row {
    name: &'static str,
    /// So many servers with so many connections each.
    servers: usize,
    connections: usize,
    window: Option<u64>,
    goal: f64,
}

const ROWS: [Row; 5] = [
    Row { name: "window 64, one connection", servers: 1, connections: 1, window: Some(64), goal: 2.2 },
    Row { name: "window 1, one connection", servers: 1, connections: 1, window: Some(1), goal: f64::INFINITY },
    Row { name: "window 1, 16 connections", servers: 4, connections: 4, window: Some(1), goal: 1.25 },
    Row { name: "window 1, 500 connections", servers: 100, connections: 5, window: Some(1), goal: 1.35 },
    Row { name: "unbounded window, one connection", servers: 1, connections: 1, window: None, goal: 6.0 },
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    if has("records") && has("--role") {
        return records::floor();
    }
    if let Some(role) = words.iter().position(|word| word == "--role") {
        let connections = words[role + 2].parse().expect("a number of connections");
        if has("--url") {
            return other::play(&words[role + 1], connections, &words);
        }
        let addresses = words[role + 3..].iter().filter_map(|word| word.parse().ok());
        let addresses: Vec<SocketAddr> = addresses.collect();
        let waiting = if has("--spin") { Waiting::Spin } else { Waiting::Sleep };
        match words[role + 1].as_str() {
            "floor" => client::run(&addresses, connections, has("--stamps").then(underway::UnderWay::new), None),
            _ => judged::run(targets(&addresses), connections, has("--stamps"), waiting, None),
        }
        return;
    }
    if has("--server") {
        if let Err(why) = other::measure(&words) {
            say(&why);
            std::process::exit(2);
        }
        return;
    }
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    ROWS.iter().filter(|row| chosen(row.name)).for_each(measure);
    if chosen("latency at 20000 updates/s") {
        latency(false);
    }
    if chosen("latency at 20000 updates/s, spinning") {
        latency(true);
    }
    for (name, batch, goal) in records::ROWS.into_iter().filter(|(name, ..)| chosen(name)) {
        records::measure(name, batch, goal);
    }
    if chosen("memory of updates") {
        memory();
    }
    if chosen("memory of records") {
        records::memory();
    }
}

/// The bench's own servers, which take every account.
fn targets(addresses: &[SocketAddr]) -> Vec<Target> {
    let accounts = || Accounts { privileged: Account::new("admin", "secret"), unprivileged: None };
    let target = |address| Target::new(&format!("http://{address}"), accounts(), Tls::Insecure).expect("it is a URL");
    addresses.iter().map(target).collect()
}

/// The load that is measured: listening.
fn scenario(connections: usize) -> String {
    format!(
        "title: listen\nexercises: [UPD-01]\nneeds: [limits]\nload: {{connections: {connections}, calls: 0, subscriptions: 1, duration: 30m}}\n"
    )
}

/// A client in another process. Dropping it ends it.
struct Client {
    child: Child,
    told: Arc<Mutex<Vec<String>>>,
}

impl Client {
    fn start(role: &str, connections: usize, addresses: &[SocketAddr], further: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
        command.args(["--role", role]).arg(connections.to_string());
        command.args(addresses.iter().map(ToString::to_string)).args(further);
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Self {
        // A process stays on the processor of the thread that begins it.
        let spawn = || {
            pinned(1);
            command.stdout(Stdio::piped()).spawn()
        };
        let mut child =
            thread::scope(|scope| scope.spawn(spawn).join()).expect("no panic").expect("the program starts");
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let (lines, kept) = (BufReader::new(child.stdout.take().expect("it is piped")), Arc::clone(&told));
        thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                kept.lock().expect("nobody panics with it").push(line);
            }
        });
        Self { child, told }
    }

    fn is_alive(&mut self) {
        if let Ok(Some(status)) = self.child.try_wait() {
            let told = self.told.lock().expect("nobody panics with it").join("\n");
            panic!("a client ended by itself ({status}): {told}");
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It fails if the process has ended by itself, which the measurement has told already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time of all threads of a process, in ns.
fn cpu_ns(child: &Child) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).expect("it is alive");
    let of = |task: std::fs::DirEntry| -> Option<u64> {
        std::fs::read_to_string(task.path().join("schedstat")).ok()?.split(' ').next()?.parse().ok()
    };
    tasks.filter_map(|task| of(task.ok()?)).sum()
}

/// The memory of a process at the moment.
fn memory_kib(child: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it is alive");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|kib| kib.parse().ok()).expect("it is a number")
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(line: &str) {
    println!("{line}");
}

#[expect(clippy::disallowed_methods, reason = "this is what measures")]
fn now() -> Instant {
    Instant::now()
}

/// Keeps the calling thread, or a process that is yet to begin, on one processor, where there are several.
fn pinned(processor: usize) -> bool {
    let mut set = rustix::thread::CpuSet::new();
    set.set(processor);
    let several = thread::available_parallelism().is_ok_and(|found| found.get() > 1);
    several && rustix::thread::sched_setaffinity(None, &set).is_ok()
}

fn pause(time: Duration) {
    let until = now() + time;
    while let Some(left) = until.checked_duration_since(now()).filter(|left| !left.is_zero()) {
        thread::park_timeout(left);
    }
}

/// Both clients, connected and subscribed.
fn both(fire: &Firehose, connections: usize, further: &[&str], ours: &[&str]) -> [Client; 2] {
    let floor = Client::start("floor", connections, &fire.groups[0], further);
    let ours: Vec<&str> = further.iter().chain(ours).copied().collect();
    let judged = Client::start("judged", connections, &fire.groups[1], &ours);
    let wanted = fire.groups.iter().flatten().count() * connections;
    let mut clients = [floor, judged];
    while fire.shared.subscribed.load(Ordering::Acquire) < wanted {
        clients.iter_mut().for_each(Client::is_alive);
        pause(Duration::from_millis(20));
    }
    clients
}

fn measure(row: &Row) {
    let fire = Firehose::start(2, row.servers, Rate::Window(row.window));
    let mut clients = both(&fire, row.connections, &[], &[]);
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let mut cost = [0.0; 2];
        for turn in [round % 2, 1 - round % 2] {
            cost[turn] = cost_of(&fire, &mut clients[turn], turn);
        }
        // The first round warms up.
        if round > 0 {
            rounds.push((cost[1] / cost[0], cost));
        }
    }
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (ratio, cost) = rounds[ROUNDS / 2];
    say(&format!(
        "{:<36} {:>6.3} us, floor {:>6.3} us, ratio {ratio:.2} (goal {}; {:.2} to {:.2} in {ROUNDS} rounds), {} KiB",
        row.name,
        cost[1],
        cost[0],
        row.goal,
        rounds[0].0,
        rounds[ROUNDS - 1].0,
        memory_kib(&clients[1].child),
    ));
}

/// Processor time for an update, in us.
fn cost_of(fire: &Firehose, client: &mut Client, turn: usize) -> f64 {
    fire.flood(Some(turn));
    pause(WARM_UP);
    let (cpu, acked) = (cpu_ns(&client.child), fire.shared.acked.load(Ordering::Relaxed));
    pause(SPAN);
    let (cpu, acked) = (cpu_ns(&client.child) - cpu, fire.shared.acked.load(Ordering::Relaxed) - acked);
    fire.flood(None);
    client.is_alive();
    // What is under way arrives.
    pause(Duration::from_millis(50));
    cpu as f64 / 1000.0 / acked.max(1) as f64
}

/// How long updates are under way at a rate that leaves time.
fn latency(spins: bool) {
    let fire = Firehose::start(2, 1, Rate::Every(50_000));
    let ours: &[&str] = if spins { &["--spin"] } else { &[] };
    let mut clients = both(&fire, 1, &["--stamps"], ours);
    for _ in 0..ROUNDS {
        for turn in [0, 1] {
            fire.flood(Some(turn));
            pause(Duration::from_millis(1700));
            fire.flood(None);
            clients[turn].is_alive();
            pause(Duration::from_millis(700));
        }
    }
    let medians = clients.each_ref().map(|client| {
        let told = client.told.lock().expect("nobody panics with it").clone();
        let values = told.iter().filter_map(|line| {
            let mut words = line.strip_prefix("under-way ")?.split(' ').map(str::parse::<f64>);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        });
        let (mut p50, mut p99): (Vec<f64>, Vec<f64>) = values.unzip();
        assert!(!p50.is_empty(), "updates were seen");
        p50.sort_by(f64::total_cmp);
        p99.sort_by(f64::total_cmp);
        (p50[p50.len() / 2] / 1000.0, p99[p99.len() / 2] / 1000.0)
    });
    let [floor, judged] = medians;
    say(&format!(
        "latency at 20000 updates/s{}: p50 {:.1} us, floor {:.1} us, ratio {:.2} (goal 1.2); p99 {:.1} us, floor {:.1} us, \
         ratio {:.2} (goal 1.35)",
        if spins { ", spinning" } else { "" },
        judged.0,
        floor.0,
        judged.0 / floor.0,
        judged.1,
        floor.1,
        judged.1 / floor.1
    ));
}

/// How memory goes over ten million updates.
fn memory() {
    let fire = Firehose::start(2, 100, Rate::Window(Some(64)));
    let mut clients = both(&fire, 5, &[], &[]);
    say(&format!("memory at 500 connections, idle: {} KiB", memory_kib(&clients[1].child)));
    fire.flood(Some(1));
    for million in 1..=10 {
        while fire.shared.acked.load(Ordering::Relaxed) < million * 1_000_000 {
            pause(Duration::from_millis(20));
            clients[1].is_alive();
        }
        say(&format!("memory after {million} million updates: {} KiB", memory_kib(&clients[1].child)));
    }
}
