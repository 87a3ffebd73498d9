//! The harness as a library, with every rule, the chronicle and the latencies, as a run has them.
//!
//! For what only a look from inside can tell: how long updates were under way until they were looked at.

use std::net::SocketAddr;
use std::time::Duration;

use bridgeproof::engine::{Engine, Options};
use bridgeproof::load::LatencyRecorder;
use bridgeproof::net::clock::Clock;
use bridgeproof::net::event_loop::{Part, Waiting, drive_together};
use bridgeproof::net::socket_driver::Link;
use bridgeproof::net::target::{Account, Accounts, Target, Tls};
use bridgeproof::rules::{Context, Deadlines, Judge};
use bridgeproof::spec::Version;
use bridgeproof::time::Instant;
use bridgeproof::trace::{Chronicle, Event, Observation, Side, Sink};

use super::firehose::monotonic_ns;
use super::underway::UnderWay;

/// What a run does with each observation, and with `--stamps` a look at how long it was under way.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
    latency: LatencyRecorder,
    stamps: Option<UnderWay>,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        if let (Some(stamps), Event::Frame { from: Side::Server, frame, .. }) = (&mut self.stamps, &observation.event) {
            stamps.take(frame.payload, monotonic_ns());
        }
        self.judge.observe(observation);
        self.latency.observe(observation);
        self.chronicle.observe(observation);
        self.chronicle.keep(self.judge.findings().iter().map(|finding| finding.evidence.as_slice()));
    }

    fn due(&self) -> Option<Instant> {
        self.judge.due()
    }
}

/// Listens on that many connections of each server until it is killed.
pub(crate) fn run(addresses: &[SocketAddr], connections: usize, stamps: bool, waiting: Waiting) {
    let text = super::scenario(connections);
    let scenario = bridgeproof::scenario::read("listen.yaml", &text).expect("the scenario is in order");
    let clock = Clock::start();
    let context = Context {
        judged: Side::Server,
        observer: Side::Client,
        version: Version::LATEST,
        clustered: Some(false),
        deadlines: Deadlines::default(),
    };
    let accounts = || Accounts { privileged: Account::new("admin", "secret"), unprivileged: None };
    let links: Vec<Link> = addresses
        .iter()
        .map(|address| {
            let target = Target::new(&format!("http://{address}"), accounts(), Tls::Insecure).expect("it is a URL");
            Link::new(target, clock).expect("nothing is needed for it")
        })
        .collect();
    let mut engines: Vec<_> = addresses
        .iter()
        .map(|_| {
            let stamps = stamps.then(UnderWay::new);
            let watch = Watch {
                judge: Judge::new(context),
                chronicle: Chronicle::one_of(addresses.len()),
                latency: LatencyRecorder::new(),
                stamps,
            };
            Engine::new("listen", &scenario, Options::default(), watch)
        })
        .collect();
    let (_keep, interrupt) = tokio::sync::watch::channel(false);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("there are threads");
    runtime.block_on(async {
        let parts = engines.iter_mut().zip(&links).map(|(engine, link)| Part {
            engine,
            link,
            interrupt: interrupt.clone(),
            limit: Duration::from_secs(3600),
        });
        drive_together(parts.collect(), 1, waiting).expect("connections can be waited for");
    });
    for engine in engines {
        let (watch, outcome) = engine.finish();
        super::say(&format!("{outcome:?} {:?}", watch.judge.findings()));
    }
}
