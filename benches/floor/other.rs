//! The same comparison on another server than the bench's own: the emulator, or whatever sends updates on loopback.
//!
//! Such a server cannot be told whom to flood. So each client is a process that lives for one measurement, and floor and judged
//! client have their turns: both log in, open their connections, and subscribe to the list of calls. The processor time of the
//! process between two instants is divided by the messages that it acknowledged meanwhile, which it tells on a pipe when asked.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bridgeproof::net::event_loop::Waiting;
use bridgeproof::net::target::{Account, Accounts, Origin, Scheme, Target, Tls};

use super::client::Login;
use super::{Client, ROUNDS, SPAN, WARM_UP, client, cpu_ns, judged, memory_kib, now, pause, pinned, say};

/// What makes the emulator the server.
const EMULATOR: &str = "emulator";

/// Where an emulator's password is, which is its own business.
const PASSWORD: (&str, &str) = ("BRIDGEPROOF_BENCH_PASSWORD", "bench");

/// How long the first updates may take to come.
const PATIENCE: Duration = Duration::from_secs(30);

/// How many updates a connection has to get until it counts as under way.
const UNDER_WAY: u64 = 20;

/// The load of the emulator: for each connection so many updates of the list of calls in a second.
const LOAD: &str = "
title: Calls are locked and unlocked.
load:
  wait-for: {connections: CONNECTIONS, quiet: 100ms}
  calls: 10
  participants: 2
  updates: {stimuli: {lock: 1}, executor: {constant-arrival-rate: {rate: RATE, duration: 10m}}}
";

/// What was asked for on the command line.
struct Asked {
    server: String,
    user: String,
    password_env: String,
    connections: u64,
    rate: u64,
    window: u64,
}

impl Asked {
    fn of(words: &[String]) -> Result<Self, String> {
        let word = |name: &str| words.iter().position(|word| word == name).map(|at| words.get(at + 1).cloned());
        let text = |name: &str, otherwise: &str| match word(name) {
            Some(value) => value.ok_or_else(|| format!("{name} needs a value")),
            None => Ok(otherwise.to_owned()),
        };
        let number = |name: &str, otherwise: u64| {
            let value = text(name, &otherwise.to_string())?;
            value.parse().ok().filter(|value| *value > 0).ok_or_else(|| format!("{name} needs a number, not `{value}`"))
        };
        let asked = Self {
            server: text("--server", EMULATOR)?,
            user: text("--user", "admin")?,
            password_env: text("--password-env", PASSWORD.0)?,
            connections: number("--connections", 1)?,
            rate: number("--rate", 5000)?,
            window: number("--window", 64)?,
        };
        if asked.server != EMULATOR {
            address(&asked.server)?;
            std::env::var(&asked.password_env)
                .map_err(|_| "--password-env needs the name of the variable that holds the password".to_owned())?;
        }
        Ok(asked)
    }
}

/// Where the server is. Only this machine is accepted: what is measured is no network, and no server is put under load by
/// mistake.
fn address(url: &str) -> Result<SocketAddr, String> {
    let origin = Origin::parse(url).map_err(|error| error.to_string())?;
    if !origin.is_loopback() {
        return Err(format!("`{url}` is another machine; the bench measures on loopback only"));
    }
    if origin.scheme() == Scheme::Https {
        return Err(format!("`{url}`: the floor client speaks no TLS"));
    }
    let found = (origin.host(), origin.port()).to_socket_addrs().map_err(|error| format!("`{url}`: {error}"))?;
    let mut found: Vec<SocketAddr> = found.filter(|address| address.ip().is_loopback()).collect();
    found.sort_by_key(SocketAddr::is_ipv6);
    found.into_iter().next().ok_or_else(|| format!("`{url}` is no address of this machine"))
}

/// An emulator with a load in another process. Dropping it ends it.
struct Emulator {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Emulator {
    fn start(asked: &Asked) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a file");
        let file = folder.path().join("locks.yaml");
        let load = LOAD.replace("CONNECTIONS", &asked.connections.to_string()).replace("RATE", &asked.rate.to_string());
        std::fs::write(&file, load).expect("there is room for a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridgeproof"));
        command.args(["emulate", "--listen", "127.0.0.1:0", "--user", &asked.user, "--password-env", PASSWORD.0]);
        command
            .args(["--dialect", &format!("window={}", asked.window), "--load"])
            .arg(file)
            .env(PASSWORD.0, PASSWORD.1);
        // A process stays on the processor of the thread that begins it.
        let spawn = || {
            pinned(0);
            command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        };
        let mut child =
            thread::scope(|scope| scope.spawn(spawn).join()).expect("no panic").expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines().map_while(Result::ok);
        let url = lines.find_map(|line| {
            let rest = line.split(" is at ").nth(1)?;
            Some(rest.split(": user").next()?.to_owned())
        });
        // Somebody has to read the rest, so that the pipe does not fill.
        thread::spawn(move || lines.for_each(drop));
        Self { child, url: url.expect("it says where it listens"), _folder: folder }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It fails if the process has ended by itself, which the client has noticed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What one client cost.
struct Cost {
    us: f64,
    per_s: f64,
    memory_kib: u64,
}

/// Measures both clients in turns and prints the row.
pub(crate) fn measure(words: &[String]) -> Result<(), String> {
    let asked = Asked::of(words)?;
    let mut rounds = Vec::new();
    for round in 0..=ROUNDS {
        let mut cost = [None, None];
        for turn in [round % 2, 1 - round % 2] {
            cost[turn] = Some(cost_of(&asked, ["floor", "judged"][turn])?);
        }
        let [Some(floor), Some(judged)] = cost else { continue };
        // The first round warms up.
        if round > 0 {
            rounds.push((judged.us / floor.us, floor, judged));
        }
    }
    rounds.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (least, most) = (rounds[0].0, rounds[ROUNDS - 1].0);
    let (ratio, floor, judged) = &rounds[ROUNDS / 2];
    let connections = if asked.connections == 1 { "one connection" } else { "connections" };
    let count = if asked.connections == 1 { String::new() } else { format!("{} ", asked.connections) };
    say(&format!(
        "{:<36} {:>6.3} us, floor {:>6.3} us, ratio {ratio:.2} (no goal; {least:.2} to {most:.2} in {ROUNDS} rounds), {} KiB, \
         {:.0} messages/s, floor {:.0}",
        format!("{}, {count}{connections}", asked.server),
        judged.us,
        floor.us,
        judged.memory_kib,
        judged.per_s,
        floor.per_s,
    ));
    Ok(())
}

/// Processor time of a client for each message.
fn cost_of(asked: &Asked, role: &str) -> Result<Cost, String> {
    let emulator = (asked.server == EMULATOR).then(|| Emulator::start(asked));
    let url = emulator.as_ref().map_or(asked.server.as_str(), |emulator| &emulator.url);
    let mut command = Command::new(std::env::current_exe().expect("this program has a file"));
    command.args(["--role", role, &asked.connections.to_string(), "--url", url, "--user", &asked.user]);
    command.args(["--password-env", &asked.password_env]);
    if emulator.is_some() {
        command.env(PASSWORD.0, PASSWORD.1);
    }
    let mut client = Client::spawn(command.stdin(Stdio::piped()));
    let until = now() + PATIENCE;
    while count(&mut client)? < UNDER_WAY * asked.connections {
        if now() > until {
            return Err(format!("{url} sent next to nothing to the {role} client within {} s", PATIENCE.as_secs()));
        }
        pause(Duration::from_millis(20));
    }
    pause(WARM_UP);
    let (began, cpu, before) = (now(), cpu_ns(&client.child), count(&mut client)?);
    pause(SPAN);
    let (took, cpu, told) = (began.elapsed(), cpu_ns(&client.child) - cpu, count(&mut client)? - before);
    if told == 0 {
        return Err(format!("{url} sent nothing to the {role} client within {} ms", SPAN.as_millis()));
    }
    Ok(Cost {
        us: cpu as f64 / 1000.0 / told as f64,
        per_s: told as f64 / took.as_secs_f64(),
        memory_kib: memory_kib(&client.child),
    })
}

/// How many messages the client has acknowledged.
fn count(client: &mut Client) -> Result<u64, String> {
    let ended = "the client ended by itself";
    let stdin = client.child.stdin.as_mut().ok_or(ended)?;
    stdin.write_all(b"\n").map_err(|_| ended)?;
    loop {
        let last = client.told.lock().expect("nobody panics with it").pop();
        if let Some(number) = last.and_then(|line| line.strip_prefix("acknowledged ")?.parse().ok()) {
            return Ok(number);
        }
        if let Ok(Some(status)) = client.child.try_wait() {
            return Err(format!("{ended} ({status})"));
        }
        pause(Duration::from_micros(100));
    }
}

/// A client: the role of this process.
pub(crate) fn play(role: &str, connections: usize, words: &[String]) {
    let word = |name: &str| {
        let at = words.iter().position(|word| word == name).expect("it is given");
        words[at + 1].as_str()
    };
    let (url, user) = (word("--url"), word("--user"));
    let password = std::env::var(word("--password-env")).expect("the variable is set");
    let acknowledged = Arc::new(AtomicU64::new(0));
    let shown = Arc::clone(&acknowledged);
    thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            say(&format!("acknowledged {}", shown.load(Ordering::Relaxed)));
        }
    });
    if role == "floor" {
        let login = Login { user: user.to_owned(), password };
        let address = address(url).expect("it is an address");
        return client::run(&[address], connections, None, Some((&login, &acknowledged)));
    }
    let accounts = Accounts { privileged: Account::new(user, password), unprivileged: None };
    let target = Target::new(url, accounts, Tls::System).expect("it is a URL");
    judged::run(vec![target], connections, false, Waiting::Sleep, Some(&acknowledged));
}
