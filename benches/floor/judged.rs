//! The harness as a library, with every rule, the chronicle and the latencies, as a run has them.
//!
//! For what only a look from inside can tell: how long updates were under way until the harness had read them, which is what it
//! reports.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bridgeproof::engine::{Engine, Options};
use bridgeproof::load::LatencyRecorder;
use bridgeproof::net::clock::Clock;
use bridgeproof::net::event_loop::{Part, Waiting, drive_together};
use bridgeproof::net::socket_driver::Link;
use bridgeproof::net::target::Target;
use bridgeproof::rules::{Context, Deadlines, Judge};
use bridgeproof::spec::Version;
use bridgeproof::time::Instant;
use bridgeproof::trace::{Chronicle, Event, Observation, Side, Sink};

use super::firehose::monotonic_ns;
use super::underway::UnderWay;

/// What a run does with each observation; with `--stamps` a look at how long it was under way; on another server than the bench's
/// own the number of messages that the client sent, which are acks but for a few.
struct Watch {
    judge: Judge,
    chronicle: Chronicle,
    latency: LatencyRecorder,
    stamps: Option<UnderWay>,
    /// What the clock of the system shows at the beginning of the run, in nanoseconds.
    began_ns: u64,
    sent: Option<Arc<AtomicU64>>,
}

impl Sink for Watch {
    fn observe(&mut self, observation: &Observation<'_>) {
        if let (Some(stamps), Event::Frame { from: Side::Server, frame, .. }) = (&mut self.stamps, &observation.event) {
            // The instant that the harness goes by: when it had read the update.
            stamps.take(frame.payload, self.began_ns + observation.at.as_nanos());
        }
        if let (Some(sent), Event::Frame { from: Side::Client, .. }) = (&self.sent, &observation.event) {
            sent.fetch_add(1, Ordering::Relaxed);
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
pub(crate) fn run(
    targets: Vec<Target>,
    connections: usize,
    stamps: bool,
    waiting: Waiting,
    sent: Option<&Arc<AtomicU64>>,
) {
    let text = super::scenario(connections);
    let scenario = bridgeproof::scenario::read("listen.yaml", &text).expect("the scenario is in order");
    let clock = Clock::start();
    let began_ns = monotonic_ns() - clock.now().as_nanos();
    let context = Context {
        judged: Side::Server,
        observer: Side::Client,
        version: Version::LATEST,
        clustered: Some(false),
        deadlines: Deadlines::default(),
    };
    let servers = targets.len();
    let link = |target| Link::new(target, clock).expect("nothing is needed for it");
    let links: Vec<Link> = targets.into_iter().map(link).collect();
    let mut engines: Vec<_> = links
        .iter()
        .map(|_| {
            let stamps = stamps.then(UnderWay::new);
            let watch = Watch {
                judge: Judge::new(context),
                chronicle: Chronicle::one_of(servers),
                latency: LatencyRecorder::new(),
                stamps,
                began_ns,
                sent: sent.map(Arc::clone),
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
