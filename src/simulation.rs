//! The simulation driver: engine and emulated Meeting Server in one thread, on virtual time.
//!
//! Between the two lies a network in memory with seeded delays that keeps the order of each connection. The clock jumps
//! to whatever comes next, so nothing sleeps, and the same seeds give the same trace. The number of events and the
//! simulated time are bounded. The contract that it fulfils is [`crate::engine::driver`].

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chacha20::ChaCha8Rng;
use rand::{RngExt as _, SeedableRng as _};

use crate::emulator::{Address, ConnectionKey, ExchangeKey, LinkKey, MeetingServer, Mutant, Output, Settings};
use crate::engine::driver::{Command, Input};
use crate::engine::{Engine, Options, Outcome};
use crate::load::Together;
use crate::protocol::http::{Request, Response};
use crate::scenario::syntax::Scenario;
use crate::time::Instant;
use crate::trace::{ConnectionId, EndCause, ExchangeId, LinkId, NetworkError, NetworkErrorKind, ReceiverId, Sink};

/// The address that network errors of a simulation name.
const ADDRESS: &str = "simulation";

/// The emulated server of a simulation.
#[derive(Debug, Default)]
pub struct Server {
    /// Its settings.
    pub settings: Settings,
    /// Its faults on purpose.
    pub mutants: Vec<Box<dyn Mutant>>,
    /// Decides its GUIDs, tokens and jitter.
    pub seed: u64,
}

/// Bounds of a simulation, and the network in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// How many events may happen.
    pub events: u64,
    /// How much time may pass.
    pub time: Duration,
    /// The shortest and the longest delay one way.
    pub delay: (Duration, Duration),
    /// When the user interrupts, if at all.
    pub interrupt_at: Option<Instant>,
    /// From when on, and for how long, the server does nothing at all, if it ever does: as a process that is stopped.
    pub stall: Option<(Instant, Duration)>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            events: 2_000_000,
            time: Duration::from_secs(3600),
            delay: (Duration::from_millis(1), Duration::from_millis(3)),
            interrupt_at: None,
            stall: None,
        }
    }
}

/// Carries out `scenario` against an emulated server on virtual time.
///
/// A scenario that hits a limit is unfinished; if it does not even tidy up within as much again, it counts as
/// interrupted.
pub fn simulate<'s, S: Sink + Send + 's>(
    id: &str,
    scenario: &'s Scenario,
    options: Options,
    server: Server,
    sink: S,
    limits: &Limits,
) -> (S, Outcome) {
    let engine = Engine::new(id, scenario, options.clone(), sink);
    let mut all = [Simulation::new(engine, options.seed, server, limits)];
    run(&mut all, limits);
    let [simulation] = all;
    simulation.engine.finish()
}

/// Carries out a load that is spread over several emulated servers, on one clock: the scenarios are those of its parts.
/// What became of it tells `whole`.
pub fn simulate_together<'s, S: Sink + Send + 's>(
    id: &str,
    parts: &'s [Scenario],
    options: &Options,
    servers: Vec<(Server, S)>,
    whole: &Together,
    limits: &Limits,
) -> Vec<(S, Outcome)> {
    let simulation = |(index, (scenario, (server, sink))): (u32, (&'s Scenario, (Server, S)))| {
        let options = Options { seed: options.seed.wrapping_add(u64::from(index)), ..options.clone() };
        let seed = options.seed;
        Simulation::new(Engine::new(id, scenario, options, sink).with_part(whole.part(index)), seed, server, limits)
    };
    let mut all: Vec<_> = (0..).zip(parts.iter().zip(servers)).map(simulation).collect();
    run(&mut all, limits);
    all.into_iter().map(|simulation| simulation.engine.finish()).collect()
}

/// What travels, and to whom.
#[derive(Debug)]
enum Parcel {
    // to the server
    Request {
        exchange: ExchangeKey,
        request: Request,
    },
    ToServer {
        connection: ConnectionId,
        bytes: Vec<u8>,
    },
    EndAtServer {
        connection: ConnectionId,
    },
    // to the engine
    Response {
        exchange: ExchangeKey,
        response: Response,
    },
    Upgraded {
        exchange: ExchangeKey,
        connection: ConnectionKey,
        response: Response,
    },
    ToEngine {
        connection: ConnectionKey,
        bytes: Vec<u8>,
    },
    EndAtEngine {
        connection: ConnectionKey,
        cause: EndCause,
    },
    // between the Call Bridge and CDR receivers
    LinkUp {
        link: LinkKey,
        address: Address,
    },
    LinkToReceiver {
        link: LinkKey,
        bytes: Vec<u8>,
    },
    LinkEndAtReceiver {
        link: LinkKey,
    },
    LinkAnswer {
        link: LinkKey,
        opened: bool,
    },
    LinkToSender {
        link: LinkKey,
        bytes: Vec<u8>,
    },
    LinkEndAtSender {
        link: LinkKey,
    },
    /// A receiver listens.
    Listening {
        receiver: ReceiverId,
        authority: String,
    },
    /// An exchange takes too long.
    Overdue {
        exchange: ExchangeKey,
    },
    /// The user interrupts.
    Interrupt,
}

impl Parcel {
    /// Whether it waits for the server to do something.
    const fn is_for_server(&self) -> bool {
        matches!(
            self,
            Self::Request { .. }
                | Self::ToServer { .. }
                | Self::EndAtServer { .. }
                | Self::LinkAnswer { .. }
                | Self::LinkToSender { .. }
                | Self::LinkEndAtSender { .. }
        )
    }
}

/// An exchange that the engine waits for.
#[derive(Debug, Clone, Copy)]
enum Pending {
    Api(ExchangeId),
    Open(ConnectionId),
}

/// The way of one connection or exchange to one end: what is sent on it arrives in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Server(u64),
    Engine(u64),
    Receiver(LinkKey),
    Sender(LinkKey),
}

/// A CDR receiver of the engine's, as the network sees it.
#[derive(Debug, Clone, Copy)]
struct Listener {
    tls: bool,
    open: bool,
}

/// The port of the first receiver; the others follow.
const FIRST_PORT: u16 = 40_000;

/// The network in memory.
#[derive(Debug)]
struct Network {
    random: ChaCha8Rng,
    delay: (Duration, Duration),
    parcels: BTreeMap<(Instant, u64), Parcel>,
    count: u64,
    latest: BTreeMap<Way, Instant>,
    exchanges: BTreeMap<ExchangeKey, Pending>,
    last_exchange: u64,
    /// The two names of each connection: the exchange that became it ties them.
    keys: BTreeMap<ConnectionId, ConnectionKey>,
    ids: BTreeMap<ConnectionKey, ConnectionId>,
    /// Connections that the engine has ended: nothing more reaches it.
    ended: BTreeSet<ConnectionId>,
    receivers: BTreeMap<ReceiverId, Listener>,
    /// Links that are open at both ends, by either name.
    link_ids: BTreeMap<LinkKey, LinkId>,
    link_keys: BTreeMap<LinkId, LinkKey>,
    last_link: u32,
    /// What waits for a link that the receiver does not read from.
    held: BTreeMap<LinkId, Vec<Parcel>>,
}

impl Default for Network {
    fn default() -> Self {
        Self {
            random: ChaCha8Rng::seed_from_u64(0),
            delay: Limits::default().delay,
            parcels: BTreeMap::new(),
            count: 0,
            latest: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            last_exchange: 0,
            keys: BTreeMap::new(),
            ids: BTreeMap::new(),
            ended: BTreeSet::new(),
            receivers: BTreeMap::new(),
            link_ids: BTreeMap::new(),
            link_keys: BTreeMap::new(),
            last_link: 0,
            held: BTreeMap::new(),
        }
    }
}

impl Network {
    fn put(&mut self, at: Instant, parcel: Parcel) {
        self.count += 1;
        self.parcels.insert((at, self.count), parcel);
    }

    /// Sends a parcel on its way.
    fn post(&mut self, now: Instant, way: Way, parcel: Parcel) {
        let (shortest, longest) = (nanos(self.delay.0), nanos(self.delay.1));
        let delay = Duration::from_nanos(self.random.random_range(shortest..=longest.max(shortest)));
        let latest = self.latest.entry(way).or_default();
        *latest = (now + delay).max(*latest);
        let at = *latest;
        self.put(at, parcel);
    }

    fn begin(&mut self, now: Instant, pending: Pending, request: Request, timeout: Duration) {
        self.last_exchange += 1;
        let exchange = ExchangeKey(self.last_exchange);
        self.exchanges.insert(exchange, pending);
        self.put(now + timeout, Parcel::Overdue { exchange });
        // Each exchange has a connection of its own, whose number stays clear of those of event connections.
        let way = Way::Server(u64::MAX - self.last_exchange);
        self.post(now, way, Parcel::Request { exchange, request });
    }

    /// The receiver that listens at an address. Names are not resolved: only loopback leads to the engine.
    fn listener(&self, address: &Address) -> Option<ReceiverId> {
        let receiver = ReceiverId(u32::from(address.port.checked_sub(FIRST_PORT)?));
        let listener = self.receivers.get(&receiver)?;
        (listener.open && listener.tls == address.tls && address.host == "127.0.0.1").then_some(receiver)
    }

    /// Forgets a link at both ends. Whether it was open.
    fn forget_link(&mut self, link: LinkId) -> Option<LinkKey> {
        let key = self.link_keys.remove(&link)?;
        self.link_ids.remove(&key);
        self.held.remove(&link);
        Some(key)
    }

    fn next(&self) -> Option<Instant> {
        self.parcels.keys().next().map(|(at, _)| *at)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Lets all go on, on one clock, until each engine is done. They know nothing of each other here: what the parts of a load
/// agree on, their engines agree on.
fn run<'s, S: Sink + Send + 's>(all: &mut [Simulation<'s, S>], limits: &Limits) {
    all.iter_mut().for_each(|one| one.begin(limits));
    let (mut now, mut events, mut stopped) = (Instant::ZERO, 0, false);
    loop {
        all.iter_mut().for_each(Simulation::settle);
        let waiting = all.iter().enumerate().filter(|(_, one)| !one.engine.is_done());
        // An engine always waits for something or has a timer; without either it could only hang.
        let next = waiting.filter_map(|(place, one)| Some((one.next(limits)?, place))).min();
        let Some((next, place)) = next else { return };
        events += 1;
        let rounds = if stopped { 2_u32 } else { 1 };
        if events > limits.events * u64::from(rounds) || next > Instant::ZERO + limits.time * rounds {
            if stopped {
                return;
            }
            stopped = true;
            for one in all.iter_mut() {
                one.engine.stop("the simulation was not through within its limits");
                one.engine.handle_input(now, Input::Tick);
            }
            continue;
        }
        now = now.max(next);
        all[place].now = now;
        all[place].step(limits);
    }
}

/// Engine, server, and the network between them.
struct Simulation<'s, S: Sink> {
    now: Instant,
    engine: Engine<'s, S>,
    server: MeetingServer,
    network: Network,
}

impl<'s, S: Sink + Send + 's> Simulation<'s, S> {
    fn new(engine: Engine<'s, S>, seed: u64, server: Server, limits: &Limits) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed ^ server.seed.rotate_left(32));
        let server = MeetingServer::new(server.settings, server.mutants, server.seed);
        let network = Network { random, delay: limits.delay, ..Network::default() };
        Self { now: Instant::ZERO, engine, server, network }
    }

    fn begin(&mut self, limits: &Limits) {
        if let Some(at) = limits.interrupt_at {
            self.network.put(at, Parcel::Interrupt);
        }
        self.engine.handle_input(self.now, Input::Tick);
    }

    /// When something is to be done next.
    fn next(&self, limits: &Limits) -> Option<Instant> {
        [self.network.next(), self.server_timeout(limits), self.engine.poll_timeout()].into_iter().flatten().min()
    }

    /// Until when the server stalls, if it does at this instant.
    fn stalls_until(&self, at: Instant, limits: &Limits) -> Option<Instant> {
        let (from, time) = limits.stall?;
        (at >= from && at < from + time).then(|| from + time)
    }

    /// When the server's timer is due, and the server awake.
    fn server_timeout(&self, limits: &Limits) -> Option<Instant> {
        let at = self.server.poll_timeout()?.max(self.now);
        Some(self.stalls_until(at, limits).unwrap_or(at))
    }

    /// Does what is due at this instant: first what arrives, then timers.
    fn step(&mut self, limits: &Limits) {
        if let Some(entry) = self.network.parcels.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let parcel = entry.remove();
            match self.stalls_until(self.now, limits).filter(|_| parcel.is_for_server()) {
                // What waits for the server keeps its order.
                Some(until) => self.network.put(until, parcel),
                None => self.deliver(parcel),
            }
            return;
        }
        if self.server_timeout(limits).is_some_and(|at| at <= self.now) {
            self.server.handle_timeout(self.now);
            return;
        }
        self.engine.handle_input(self.now, Input::Tick);
    }

    /// Takes what both sides want done until neither wants anything.
    fn settle(&mut self) {
        while let Some(command) = self.engine.poll_command() {
            self.carry_out(command);
        }
        while let Some(output) = self.server.poll_output() {
            self.take(output);
        }
    }

    fn carry_out(&mut self, command: Command) {
        let now = self.now;
        match command {
            Command::Request { exchange, request, timeout } => {
                self.network.begin(now, Pending::Api(exchange), request, timeout);
            }
            Command::Open { connection, request, timeout } => {
                self.network.begin(now, Pending::Open(connection), request, timeout);
            }
            Command::Send { connection, bytes } => {
                let way = Way::Server(connection.0.into());
                self.network.post(now, way, Parcel::ToServer { connection, bytes });
            }
            Command::Close { connection } | Command::Drop { connection } => {
                self.network.ended.insert(connection);
                let way = Way::Server(connection.0.into());
                self.network.post(now, way, Parcel::EndAtServer { connection });
            }
            Command::Listen { receiver, tls } => {
                self.network.receivers.insert(receiver, Listener { tls, open: true });
                let port = u32::from(FIRST_PORT) + receiver.0;
                self.network.put(now, Parcel::Listening { receiver, authority: format!("127.0.0.1:{port}") });
            }
            Command::StopListening { receiver } => {
                if let Some(listener) = self.network.receivers.get_mut(&receiver) {
                    listener.open = false;
                }
            }
            Command::SendLink { link, bytes } => {
                if let Some(key) = self.network.link_keys.get(&link).copied() {
                    self.network.post(now, Way::Sender(key), Parcel::LinkToSender { link: key, bytes });
                }
            }
            Command::HoldLink { link, hold } => self.hold(link, hold),
            Command::CloseLink { link } | Command::ResetLink { link } => {
                if let Some(key) = self.network.forget_link(link) {
                    self.network.post(now, Way::Sender(key), Parcel::LinkEndAtSender { link: key });
                }
            }
            // The emulator is restarted over its own API.
            Command::Restart { .. } => {
                let failure = Some("a simulation runs no commands".to_owned());
                self.engine.handle_input(now, Input::Restarted { failure });
            }
        }
    }

    /// Lets a receiver stop reading from a link, or go on with what has come meanwhile.
    fn hold(&mut self, link: LinkId, hold: bool) {
        if hold {
            self.network.held.entry(link).or_default();
            return;
        }
        for parcel in self.network.held.remove(&link).unwrap_or_default() {
            self.deliver_on_link(parcel);
        }
    }

    fn take(&mut self, output: Output) {
        let now = self.now;
        match output {
            Output::Respond { exchange, response, .. } => {
                let way = Way::Engine(u64::MAX - exchange.0);
                self.network.post(now, way, Parcel::Response { exchange, response });
            }
            Output::Upgrade { exchange, connection, response } => {
                let way = Way::Engine(connection.0);
                self.network.post(now, way, Parcel::Upgraded { exchange, connection, response });
            }
            Output::Send { connection, bytes } => {
                self.network.post(now, Way::Engine(connection.0), Parcel::ToEngine { connection, bytes });
            }
            Output::Close { connection } => self.end_at_engine(connection, EndCause::PeerClosed),
            Output::Drop { connection } => self.end_at_engine(connection, EndCause::PeerReset),
            Output::OpenLink { link, address } => {
                self.network.post(now, Way::Receiver(link), Parcel::LinkUp { link, address });
            }
            Output::SendLink { link, bytes } => {
                self.network.post(now, Way::Receiver(link), Parcel::LinkToReceiver { link, bytes });
            }
            Output::CloseLink { link } => {
                self.network.post(now, Way::Receiver(link), Parcel::LinkEndAtReceiver { link });
            }
        }
    }

    fn end_at_engine(&mut self, connection: ConnectionKey, cause: EndCause) {
        let parcel = Parcel::EndAtEngine { connection, cause };
        self.network.post(self.now, Way::Engine(connection.0), parcel);
    }

    fn deliver(&mut self, parcel: Parcel) {
        let now = self.now;
        match parcel {
            Parcel::Request { exchange, request } => self.server.handle_request(now, exchange, &request),
            Parcel::ToServer { connection, bytes } => {
                if let Some(key) = self.network.keys.get(&connection) {
                    self.server.handle_bytes(now, *key, &bytes);
                }
            }
            Parcel::EndAtServer { connection } => {
                if let Some(key) = self.network.keys.get(&connection) {
                    self.server.handle_ended(now, *key);
                }
            }
            Parcel::Response { exchange, response } => match self.network.exchanges.remove(&exchange) {
                Some(Pending::Api(exchange)) => {
                    self.engine.handle_input(now, Input::Responded { exchange, response });
                }
                Some(Pending::Open(connection)) => {
                    self.engine.handle_input(now, Input::Refused { connection, response });
                }
                None => {}
            },
            Parcel::Upgraded { exchange, connection: key, response } => {
                let Some(Pending::Open(connection)) = self.network.exchanges.remove(&exchange) else {
                    // Nobody waits for it any more.
                    return self.server.handle_ended(now, key);
                };
                self.network.keys.insert(connection, key);
                self.network.ids.insert(key, connection);
                self.engine.handle_input(now, Input::Opened { connection, response });
            }
            Parcel::ToEngine { connection, bytes } => {
                if let Some(connection) = self.reachable(connection) {
                    self.engine.handle_input(now, Input::Received { connection, bytes: &bytes });
                }
            }
            Parcel::EndAtEngine { connection, cause } => {
                if let Some(connection) = self.reachable(connection) {
                    self.engine.handle_input(now, Input::Ended { connection, cause });
                }
            }
            Parcel::Listening { receiver, authority } => {
                self.engine.handle_input(now, Input::Listening { receiver, authority });
            }
            Parcel::LinkUp { .. }
            | Parcel::LinkToReceiver { .. }
            | Parcel::LinkEndAtReceiver { .. }
            | Parcel::LinkAnswer { .. }
            | Parcel::LinkToSender { .. }
            | Parcel::LinkEndAtSender { .. } => self.deliver_on_link(parcel),
            Parcel::Overdue { exchange } => self.fail(exchange),
            Parcel::Interrupt => self.engine.handle_input(now, Input::Interrupt),
        }
    }

    /// Delivers what travels between the Call Bridge and a CDR receiver.
    fn deliver_on_link(&mut self, parcel: Parcel) {
        let now = self.now;
        match parcel {
            Parcel::LinkUp { link: key, address } => {
                let receiver = self.network.listener(&address);
                if let Some(receiver) = receiver {
                    self.network.last_link += 1;
                    let link = LinkId(self.network.last_link);
                    self.network.link_ids.insert(key, link);
                    self.network.link_keys.insert(link, key);
                    self.engine.handle_input(now, Input::LinkOpened { receiver, link });
                }
                let answer = Parcel::LinkAnswer { link: key, opened: receiver.is_some() };
                self.network.post(now, Way::Sender(key), answer);
            }
            Parcel::LinkAnswer { link, opened: true } => self.server.handle_link_opened(now, link),
            Parcel::LinkAnswer { link, opened: false } => self.server.handle_link_failed(now, link),
            Parcel::LinkToSender { link, bytes } => self.server.handle_link_bytes(now, link, &bytes),
            Parcel::LinkEndAtSender { link } => self.server.handle_link_ended(now, link),
            Parcel::LinkToReceiver { link: key, .. } | Parcel::LinkEndAtReceiver { link: key } => {
                // A link that the receiver has ended takes nothing any more.
                let Some(link) = self.network.link_ids.get(&key).copied() else { return };
                match (self.network.held.get_mut(&link), parcel) {
                    (Some(held), parcel) => held.push(parcel),
                    (None, Parcel::LinkToReceiver { bytes, .. }) => {
                        self.engine.handle_input(now, Input::LinkReceived { link, bytes: &bytes });
                    }
                    (None, _) => {
                        self.network.forget_link(link);
                        self.engine.handle_input(now, Input::LinkEnded { link, cause: EndCause::PeerClosed });
                    }
                }
            }
            _ => {}
        }
    }

    /// The engine's name of a connection that the engine has not ended.
    fn reachable(&self, connection: ConnectionKey) -> Option<ConnectionId> {
        self.network.ids.get(&connection).copied().filter(|id| !self.network.ended.contains(id))
    }

    /// Lets an exchange fail that took too long.
    fn fail(&mut self, exchange: ExchangeKey) {
        let error = NetworkError {
            kind: NetworkErrorKind::Timeout,
            address: ADDRESS.to_owned(),
            cause: "no answer in time".to_owned(),
        };
        match self.network.exchanges.remove(&exchange) {
            Some(Pending::Api(exchange)) => {
                self.engine.handle_input(self.now, Input::RequestFailed { exchange, error });
            }
            Some(Pending::Open(connection)) => {
                self.engine.handle_input(self.now, Input::OpenFailed { connection, error });
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod spread_tests;
#[cfg(test)]
mod tests;
