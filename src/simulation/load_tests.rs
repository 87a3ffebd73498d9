//! Loads on virtual time: what is measured is what arithmetic says.

mod moments;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::emulator::mutant::{Pass, View};
use crate::emulator::typed::{self, Effect};
use crate::emulator::{ExchangeKey, Mutant};
use crate::engine::{End, Outcome};
use crate::load::{Loaded, Metric, Phase};
use crate::protocol::http::Method;
use crate::rules::{Context, Deadlines, Judge};
use crate::scenario;
use crate::spec::Version;
use crate::trace::Side;

/// What a server does wrong in a test, to every so manieth that it concerns.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wrong {
    /// A request of this method with this in its target is refused.
    Refuses(Method, &'static str),
    /// Such a request is carried out, but its answer takes this long.
    AnswersLate(Method, &'static str, Duration),
    /// A message is not sent, and its connection ends in its place.
    Ends,
    /// A request to change a call ends it.
    EndsCalls,
    /// A set of subscriptions is refused.
    RefusesSets,
}

#[derive(Debug)]
struct Faulty {
    wrong: Wrong,
    every: u64,
    seen: u64,
    late: BTreeSet<ExchangeKey>,
    /// How many were invited and not sent away.
    guests: Arc<AtomicU64>,
}

impl Faulty {
    fn is_hit(&mut self) -> bool {
        self.seen += 1;
        self.seen.is_multiple_of(self.every)
    }
}

impl Mutant for Faulty {
    fn input(&mut self, _: &View<'_>, mut input: typed::Input, pass: &mut Pass<typed::Input>) {
        if let typed::Input::Request { request, .. } = &input {
            let of_guests = request.target.contains("/participants");
            self.guests.fetch_add(u64::from(of_guests && request.method == Method::Post), Ordering::Relaxed);
            self.guests.fetch_sub(u64::from(of_guests && request.method == Method::Delete), Ordering::Relaxed);
        }
        if let (typed::Input::Subscribe { wanted, .. }, Wrong::RefusesSets) = (&mut input, self.wrong)
            && self.is_hit()
        {
            // No index may be there twice.
            wanted.extend(wanted.first().cloned());
        }
        if let (typed::Input::Request { request, .. }, Wrong::EndsCalls) = (&mut input, self.wrong)
            && request.method == Method::Put
            && request.target.contains("/calls/")
            && self.is_hit()
        {
            (request.method, request.body) = (Method::Delete, Vec::new());
        }
        if let typed::Input::Request { exchange, request } = &mut input
            && let Wrong::Refuses(method, part) | Wrong::AnswersLate(method, part, _) = self.wrong
            && request.method == method
            && (request.target.ends_with(part) || part.ends_with('/') && request.target.contains(part))
            && self.is_hit()
        {
            match self.wrong {
                Wrong::AnswersLate(..) => drop(self.late.insert(*exchange)),
                _ => request.target = request.target.replace('-', "0"),
            }
        }
        pass.now(input);
    }

    fn effect(&mut self, _: &View<'_>, effect: Effect, pass: &mut Pass<Effect>) {
        match (&effect, self.wrong) {
            (Effect::Answer { exchange, .. }, Wrong::AnswersLate(_, _, by)) if self.late.contains(exchange) => {
                pass.later(by, effect);
            }
            (Effect::Message { connection, .. }, Wrong::Ends) if self.is_hit() => {
                pass.now(Effect::Drop { connection: *connection });
            }
            _ => pass.now(effect),
        }
    }
}

/// A mutant that does something wrong.
pub(super) fn faulty(wrong: Wrong, every: u64) -> Box<dyn Mutant> {
    Box::new(Faulty { wrong, every, seen: 0, late: BTreeSet::new(), guests: Arc::default() })
}

/// Carries a load out against a server that does something wrong.
fn run_against(wrong: Wrong, every: u64, load: &str) -> Outcome {
    run_and_count(wrong, every, load).0
}

/// The same. How many guests were invited and not sent away, too.
fn run_and_count(wrong: Wrong, every: u64, load: &str) -> (Outcome, u64) {
    let guests = Arc::default();
    let mutant = Faulty { wrong, every, seen: 0, late: BTreeSet::new(), guests: Arc::clone(&guests) };
    let server = Server { settings: boundless(), mutants: vec![Box::new(mutant)], seed: 5 };
    (simulated(load, server, None).1, guests.load(Ordering::Relaxed))
}

/// Carries a load out over a network that takes 2 ms each way. The findings count as well.
fn run(load: &str, settings: Settings, stall: Option<(Instant, Duration)>) -> Loaded {
    let (judge, outcome) = simulated(load, Server { settings, seed: 5, ..Server::default() }, stall);
    assert_eq!(outcome.end, End::Finished);
    let judgement = judge.finish();
    if stall.is_none() {
        assert!(judgement.findings.is_empty(), "{:?}", judgement.findings);
    }
    outcome.loaded.expect("it is a load")
}

/// The scenario of a load.
pub(super) fn scenario_of(load: &str) -> Scenario {
    let text = format!("title: A load\nexercises: [UPD-08]\nneeds: [limits]\nload:\n{load}");
    scenario::read("test.yaml", &text).unwrap_or_else(|errors| panic!("{errors:?}"))
}

pub(super) fn judge() -> Judge {
    Judge::new(Context {
        judged: Side::Server,
        observer: Side::Client,
        version: Version::LATEST,
        clustered: None,
        deadlines: Deadlines::default(),
    })
}

/// A network that takes 2 ms each way.
pub(super) fn limits(stall: Option<(Instant, Duration)>) -> Limits {
    Limits { delay: (Duration::from_millis(2), Duration::from_millis(2)), stall, ..Limits::default() }
}

fn simulated(load: &str, server: Server, stall: Option<(Instant, Duration)>) -> (Judge, Outcome) {
    simulated_with(load, server, stall, Options { seed: 5, ..Options::default() })
}

fn simulated_with(
    load: &str,
    server: Server,
    stall: Option<(Instant, Duration)>,
    options: Options,
) -> (Judge, Outcome) {
    simulate("load/test", &scenario_of(load), options, server, judge(), &limits(stall))
}

/// The failures of a metric by cause.
fn failures(phase: &Phase, metric: Metric) -> Vec<(String, u64)> {
    let series = phase.metrics.series(metric).into_owned();
    series.failures().most_frequent().into_iter().map(|(cause, times)| (cause.to_owned(), times)).collect()
}

pub(super) fn once(loaded: Loaded) -> Phase {
    match loaded {
        Loaded::Once(phase) => *phase,
        Loaded::Search { .. } => panic!("a search"),
    }
}

/// A server that sends however many messages are unacknowledged.
pub(super) fn boundless() -> Settings {
    let mut settings = Settings::default();
    settings.apply("window=any").expect("there is such a setting");
    settings
}

const MUTES: &str = "
  connections: 2
  calls: 5
  participants: 40
  stimuli: {mute: 1}
  executor: {constant-arrival-rate: {rate: 100, duration: 10s}}
";

#[test]
fn every_stimulus_is_seen_by_every_client_when_arithmetic_says() {
    let phase = once(run(MUTES, Settings::default(), None));
    assert_eq!((phase.pace.taken, phase.pace.late, phase.unfinished), (1000, 0, 0));
    let row = phase.metrics.series(Metric::UpdateMute).row("update_mute").unwrap();
    // Two clients are told of each; request and event travel 2 ms each.
    assert_eq!((row.count, row.errors), (2000, 0));
    assert!((3_990..=4_010).contains(&row.min_us), "{row:?}");
    assert!((3_990..=4_010).contains(&row.p99_9_us), "{row:?}");
    // Requests for subscriptions, which all are made before work begins, count like the tokens of their connections.
    for metric in [Metric::Token, Metric::Upgrade, Metric::Ack, Metric::Settle] {
        let row = phase.metrics.series(metric).row(metric.as_str()).unwrap();
        assert!((row.count, row.errors) == (2, 0) && row.min_us >= 3_990, "{row:?}");
        assert!(metric != Metric::Ack || row.max_us <= 4_010, "{row:?}");
    }
}

#[test]
fn a_known_delay_is_found_in_the_histogram() {
    let settings = Settings { bundle_delay: Duration::from_millis(250), ..Settings::default() };
    let phase = once(run(&MUTES.replace("rate: 100", "rate: 2"), settings, None));
    let row = phase.metrics.series(Metric::Update).row("update").unwrap();
    assert_eq!((row.count, row.errors), (40, 0));
    assert!(row.min_us >= 253_700 && row.max_us <= 254_300, "{row:?}");
}

#[test]
fn a_server_that_stalls_shows_in_the_percentiles_that_arithmetic_predicts() {
    // Setting up takes less than 5 s. Of 1000 arrivals, 10 ms apart, 100 fall into the second in which nothing is done.
    let settings = boundless();
    let phase = once(run(MUTES, settings, Some((Instant::from_millis(8000), Duration::from_secs(1)))));
    assert!(phase.begun_at < Instant::from_millis(5000) && phase.ended_at > Instant::from_millis(10_000), "{phase:?}");
    let series = phase.metrics.series(Metric::UpdateMute);
    let row = series.row("update_mute").unwrap();
    assert_eq!((row.count, row.errors), (2000, 0));
    let quantile = |at: f64| series.histogram().unwrap().value_at_quantile(at);
    let near = |found: u64, expected_ms: u64| found.abs_diff(expected_ms * 1000) <= 15_000;
    // The longest waited for the whole second, the others for less by 10 ms each.
    assert!(near(row.max_us, 1004), "{row:?}");
    assert!(near(row.p99_us, 904), "{row:?}");
    assert!(near(quantile(0.95), 504), "{row:?}");
    assert!(near(quantile(0.901), 14) && near(row.p50_us, 4), "{row:?}");
}

#[test]
fn virtual_users_wait_for_what_they_did() {
    let load = MUTES.replace("constant-arrival-rate: {rate: 100, duration: 10s", "constant-vus: {vus: 3, duration: 2s");
    let phase = once(run(&load, Settings::default(), None));
    // A server with a window of one message tells of one change in the 4 ms that message and ack take.
    assert!(phase.pace.taken.abs_diff(500) <= 5, "{:?}", phase.pace);
    let phase = once(run(&load, boundless(), None));
    // Without a window each sees the effect after 4 ms, and begins anew: 3 users in 2 s.
    assert!(phase.pace.taken.abs_diff(1500) <= 5, "{:?}", phase.pace);
    let load = MUTES
        .replace("constant-arrival-rate: {rate: 100, duration: 10s}", "shared-iterations: {vus: 3, iterations: 70}");
    let phase = once(run(&load, Settings::default(), None));
    assert_eq!((phase.pace.taken, phase.planned), (70, Some(70)));
}

#[test]
fn parties_and_calls_come_and_go_and_subscriptions_change() {
    let load = "
  connections: 2
  calls: 4
  participants: 3
  stimuli: {mute: 4, layout: 2, lock: 2, record: 1, join-and-leave: {weight: 2, lasts: 300ms}, call: {weight: 2, lasts: 300ms}, subscribe: 1}
  executor: {ramping-arrival-rate: {start-rate: 0, stages: [{target: 20, duration: 10s}, {target: 20, duration: 5s}]}}
";
    let phase = once(run(load, Settings::default(), None));
    assert_eq!((phase.pace.taken, phase.planned, phase.unfinished), (200, Some(200), 0));
    let failed: Vec<_> = Metric::ALL.iter().map(|metric| (metric, phase.metrics.series(*metric).errors())).collect();
    for metric in Metric::UPDATES.into_iter().chain([Metric::Settle, Metric::Ack, Metric::Api]) {
        let series = phase.metrics.series(metric);
        let is_free = metric == Metric::UpdateOther;
        assert!(is_free || series.count() > 0, "{metric:?}");
        assert!(is_free || series.errors() == 0, "{failed:?} {:?}", series.failures());
    }
}

#[test]
fn a_capacity_is_found_where_the_server_has_its_limit() {
    // One mute of each participant at a time, each of which takes 254 ms: 8 of them make 31.5 a second and no more.
    let settings = Settings { bundle_delay: Duration::from_millis(250), ..Settings::default() };
    let load = "
  connections: 1
  calls: 1
  participants: 8
  stimuli: {mute: 1}
  capacity: {from: 5, up-to: 100, hold: 5s}
  thresholds: {update: ['rate<=0']}
";
    let Loaded::Search { capacity, curve } = run(load, settings, None) else { panic!("no search") };
    let found = capacity.unwrap().rate.unwrap();
    // What was timed while the population was made counts for the thresholds of each.
    assert!(curve.iter().all(|point| point.detail.metrics.series(Metric::Settle).count() == 1));
    assert!(
        (28.0..=32.0).contains(&found),
        "{found} {:?}",
        curve.iter().map(|point| (point.probe, point.verdict)).collect::<Vec<_>>()
    );
}

#[test]
fn a_server_that_answers_late_is_not_flooded_with_requests() {
    let load = "
  connections: 1
  calls: 1
  stimuli: {join-and-leave: {weight: 1, lasts: 300ms}}
  executor: {constant-arrival-rate: {rate: 50000, duration: 100ms}}
  within: 1s
";
    let late = Wrong::AnswersLate(Method::Post, "/participants", Duration::from_millis(500));
    let phase = once(run_against(late, 1, load).loaded.unwrap());
    assert_eq!((phase.pace.taken, phase.pace.dropped, phase.pace.crowded, phase.unfinished), (5000, 4000, 4000, 0));
}

#[test]
fn virtual_users_for_whom_nothing_is_free_wait() {
    let load = "
  calls: 1
  stimuli: {lock: 1}
  executor: {constant-vus: {vus: 3, duration: 2s}}
";
    // One call can be locked by one user at a time, 4 ms each; the others look again every 10 ms.
    let phase = once(run(load, boundless(), None));
    assert!((200..=500).contains(&phase.pace.taken), "{:?}", phase.pace);
    assert_eq!((phase.unfinished, phase.metrics.series(Metric::UpdateOther).errors()), (0, 0));
    let load = load.replace("constant-vus: {vus: 3, duration: 2s}", "shared-iterations: {vus: 3, iterations: 50}");
    assert_eq!(once(run(&load, boundless(), None)).pace.taken, 50);
    let nothing = load.replace("lock: 1", "subscribe: 1").replace("calls: 1", "calls: 0\n  subscriptions: 0");
    let nothing = nothing.replace("iterations: 50", "iterations: 50, max-duration: 3s");
    assert_eq!(once(run(&nothing, boundless(), None)).pace.taken, 0);
}

#[test]
fn a_connection_that_is_lost_is_not_waited_for() {
    let outcome = run_against(Wrong::Ends, 400, &MUTES.replace("connections: 2", "connections: 1"));
    assert_eq!(outcome.end, End::Finished);
    let phase = once(outcome.loaded.unwrap());
    // The 400th message is not sent any more; without a connection the load is over.
    assert_eq!(phase.lost_connections, 1);
    assert!((350..405).contains(&phase.pace.taken), "{:?}", phase.pace);
    let lost: u64 = failures(&phase, Metric::UpdateMute).iter().map(|(_, times)| times).sum();
    assert!((1..5).contains(&lost), "{:?}", failures(&phase, Metric::UpdateMute));
    assert_eq!(failures(&phase, Metric::UpdateMute)[0].0, "the connection was lost");
    assert!(crate::report::loads::doubt(&Loaded::Once(Box::new(phase))).unwrap().contains("1 connection "));
}

#[test]
fn subscriptions_that_are_refused_are_no_load_to_measure() {
    let settings = Settings { subscription_limit: 3, ..boundless() };
    let load = MUTES.replace("participants: 40", "participants: 1\n  subscriptions: 5");
    let (_, outcome) = simulated(&load, Server { settings, seed: 5, ..Server::default() }, None);
    let End::Unfinished { why, .. } = outcome.end else { panic!("{:?}", outcome.end) };
    assert!(why.contains("5 subscriptions: it was refused"), "{why}");
}

#[test]
fn what_others_wait_for_is_told_before_subscriptions_change() {
    let load = MUTES.replace("stimuli: {mute: 1}", "stimuli: {mute: 9, subscribe: 1}");
    let settings = Settings { bundle_delay: Duration::from_millis(50), ..boundless() };
    let phase = once(run(&load, settings, None));
    let (updates, settled) = (phase.metrics.series(Metric::Update), phase.metrics.series(Metric::Settle));
    // Of 900 changes a few are told to one client only, since the other asks for other subscriptions meanwhile.
    assert!((1300..1800).contains(&updates.count()), "{}", updates.count());
    assert!(settled.count() > 20, "{}", settled.count());
    assert_eq!((updates.errors(), settled.errors()), (0, 0), "{:?}", updates.failures());
    // Now and then both did.
    assert!((1..10).contains(&phase.pace.dropped) && phase.is_served(), "{}", phase.pace.dropped);
}

#[test]
fn answers_that_come_late_are_timed_and_charged_to_nobody_else() {
    let load = format!("{MUTES}  within: 1s\n");
    let wrong = Wrong::AnswersLate(Method::Put, "/callLegs/", Duration::from_secs(3));
    let outcome = run_against(wrong, 50, &load);
    assert!(outcome.network_errors.is_empty(), "{:?}", outcome.network_errors);
    let phase = once(outcome.loaded.unwrap());
    let row = phase.metrics.series(Metric::Api).row("api").unwrap();
    assert_eq!((row.count, row.errors), (1000, 0));
    assert!(row.p99_us >= 3_000_000 && row.max_us < 3_100_000, "{row:?}");
    // The events came in time.
    let row = phase.metrics.series(Metric::UpdateMute).row("update_mute").unwrap();
    assert_eq!((row.count, row.errors), (2000, 0));
}

#[test]
fn a_refusal_fails_each_that_should_have_been_told_and_changes_nothing() {
    let phase = once(run_against(Wrong::Refuses(Method::Put, "/callLegs/"), 10, MUTES).loaded.unwrap());
    assert_eq!(phase.metrics.series(Metric::UpdateMute).count(), 1800);
    assert_eq!(failures(&phase, Metric::UpdateMute), [("the API refused with 404".to_owned(), 200)]);
    assert_eq!(failures(&phase, Metric::Api), [("the API refused with 404".to_owned(), 100)]);
}

#[test]
fn who_comes_too_late_is_sent_away_all_the_same() {
    let load = "
  connections: 1
  calls: 2
  participants: 1
  within: 1s
  stimuli: {join-and-leave: {weight: 1, lasts: 300ms}}
  executor: {constant-arrival-rate: {rate: 10, duration: 5s}}
";
    let late = Wrong::AnswersLate(Method::Post, "/participants", Duration::from_secs(2));
    let (outcome, guests) = run_and_count(late, 5, load);
    // Those who take part all the time go with their calls.
    assert_eq!(guests, 2);
    let phase = once(outcome.loaded.unwrap());
    assert_eq!((phase.unfinished, phase.metrics.series(Metric::UpdateLeave).count()), (0, 40));
    assert_eq!(failures(&phase, Metric::UpdateJoin), [("the API did not answer in time".to_owned(), 10)]);
}

#[test]
fn calls_that_begin_too_late_are_ended_before_others_begin_in_their_spaces() {
    let load = "
  connections: 1
  calls: 1
  within: 1s
  stimuli: {call: {weight: 1, lasts: 200ms}}
  executor: {constant-arrival-rate: {rate: 20, duration: 10s}}
";
    let late = Wrong::AnswersLate(Method::Post, "/calls", Duration::from_secs(3));
    let phase = once(run_against(late, 10, load).loaded.unwrap());
    let (began, ended) = (phase.metrics.series(Metric::UpdateCallStart), phase.metrics.series(Metric::UpdateCallEnd));
    assert_eq!((phase.pace.taken, began.count(), ended.count(), ended.errors()), (200, 180, 180, 0));
    assert_eq!(failures(&phase, Metric::UpdateCallStart), [("the API did not answer in time".to_owned(), 20)]);
}

#[test]
fn a_probe_that_is_ended_early_leaves_nothing_to_the_next() {
    let load = "
  connections: 1
  calls: 1
  participants: 4
  within: 5s
  stimuli: {mute: 1, join-and-leave: {weight: 1, lasts: 4s}, call: {weight: 1, lasts: 4s}}
  capacity: {from: 2, up-to: 4, hold: 5s, confirm: {times: 1, of: 1}}
  thresholds: {api: [{threshold: 'count<5', abort-on-fail: true}]}
";
    let (outcome, guests) = run_and_count(Wrong::Ends, u64::MAX, load);
    let Some(Loaded::Search { curve, .. }) = outcome.loaded else { panic!("no search") };
    assert!(curve.len() > 3 && curve.iter().any(|point| point.detail.is_aborted()), "{}", curve.len());
    assert!(curve.iter().any(|point| point.detail.unfinished > 0));
    // Four take part all the time; two of each call that came and went went with it.
    let calls: u64 = curve.iter().map(|point| point.detail.metrics.series(Metric::UpdateCallStart).count()).sum();
    assert_eq!(guests, 4 + 4 * calls);
}

#[test]
fn a_load_is_whole_though_what_it_was_put_on_cannot_be_removed() {
    let late = Wrong::AnswersLate(Method::Delete, "/calls/", Duration::from_secs(3600));
    let outcome = run_against(late, 1, MUTES);
    assert!(!outcome.left_behind.is_empty() && !outcome.network_errors.is_empty());
    let phase = once(outcome.loaded.unwrap());
    assert!(phase.is_whole && phase.is_part().is_none() && phase.holds());
}

#[test]
fn a_load_that_has_too_few_to_change_says_nothing_of_the_server() {
    let load = MUTES.replace("calls: 5", "calls: 1").replace("participants: 40", "participants: 5");
    let settings = Settings { bundle_delay: Duration::from_millis(250), ..boundless() };
    // Five can be changed 20 times a second, not 100 times.
    let phase = once(run(&load, settings, None));
    assert!((700..850).contains(&phase.pace.dropped) && phase.is_paced && !phase.is_served(), "{}", phase.pace.dropped);
    let told = crate::report::loads::doubt(&Loaded::Once(Box::new(phase))).unwrap();
    assert!(told.contains("of 1000 arrivals dropped, since nothing was free to be changed"), "{told}");
}

#[test]
fn a_call_that_ends_by_itself_is_left_alone_and_told_of() {
    let load = "
  connections: 1
  calls: 3
  participants: 2
  within: 1s
  stimuli: {lock: 1}
  executor: {constant-arrival-rate: {rate: 10, duration: 10s}}
";
    let phase = once(run_against(Wrong::EndsCalls, 20, load).loaded.unwrap());
    // Each of the calls goes with its participants, one after 20 locks, one after 40, one after 60.
    assert_eq!((phase.gone, phase.pace.dropped), (9, 40));
    // `calls` or `callInfo` tells of a lock: one event of one connection each.
    assert_eq!(failures(&phase, Metric::UpdateLock), [("no event in time".to_owned(), 3)]);
    assert_eq!(failures(&phase, Metric::Api), []);
}

#[test]
fn a_set_that_is_refused_while_the_load_goes_on_is_a_failure() {
    let load = MUTES.replace("{mute: 1}", "{subscribe: 1}").replace("rate: 100", "rate: 2");
    let phase = once(run_against(Wrong::RefusesSets, 6, &load).loaded.unwrap());
    // The first two sets are part of the population, and 20 follow: the 6th, 12th and 18th are refused.
    assert_eq!(failures(&phase, Metric::Settle), [("the request for subscriptions was refused".to_owned(), 3)]);
    assert_eq!((phase.pace.taken, phase.unfinished), (20, 0));
    assert!(phase.metrics.series(Metric::Settle).count() >= 17);
}
