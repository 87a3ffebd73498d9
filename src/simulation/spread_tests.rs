//! Loads that are spread over several servers, on virtual time.

use std::time::Duration;

use super::load_tests::{Wrong, boundless, faulty, judge, limits, once, scenario_of};
use super::*;
use crate::engine::End;
use crate::load::search::Verdict;
use crate::load::{Loaded, Metric, Phase};
use crate::rules::Judgement;

/// What became of a load on several servers: of the whole, of its parts, and what the judge of each says.
struct Spread {
    loaded: Option<Loaded>,
    outcomes: Vec<Outcome>,
    judgements: Vec<Judgement>,
}

impl Spread {
    fn once(self) -> Phase {
        once(self.loaded.expect("something came of the load"))
    }
}

/// Carries a load out on these servers, over a network that takes 2 ms each way.
fn spread(load: &str, servers: Vec<Server>) -> Spread {
    let scenario = scenario_of(load);
    let load = &scenario.load.as_ref().expect("it is a load").value;
    let of = u32::try_from(servers.len()).unwrap();
    let names = (1..=of).map(|number| format!("server {number}")).collect();
    let whole = Together::new(names, load.terms());
    let parts: Vec<Scenario> = (0..of).map(|index| scenario.part(index, of)).collect();
    let options = Options { seed: 5, ..Options::default() };
    let servers = servers.into_iter().map(|server| (server, judge())).collect();
    let played = simulate_together("load/test", &parts, &options, servers, &whole, &limits(None));
    let (judges, outcomes): (Vec<_>, _) = played.into_iter().unzip();
    let judgements = judges.into_iter().map(crate::rules::Judge::finish).collect();
    Spread { loaded: whole.loaded(), outcomes, judgements }
}

/// Servers in order.
fn sound(count: u64) -> Vec<Server> {
    (0..count).map(|seed| Server { settings: boundless(), seed, ..Server::default() }).collect()
}

const MUTES: &str = "
  connections: 8
  calls: 2
  participants: 40
  stimuli: {mute: 1}
  executor: {constant-arrival-rate: {rate: 100, duration: 10s}}
  thresholds: {update: ['p(99)<100ms', {threshold: 'rate<0.4', abort-on-fail: true}]}
";

#[test]
fn a_load_on_three_servers_is_the_load_of_one_in_all() {
    let all = spread(MUTES, sound(3));
    assert!(all.outcomes.iter().all(|outcome| outcome.end == End::Finished && outcome.loaded.is_none()));
    assert!(all.judgements.iter().all(|judgement| judgement.findings.is_empty()));
    // Each server has its own trace, and its own rules were put to the test.
    assert!(all.judgements.iter().all(|judgement| !judgement.tested.is_empty()));
    let phase = all.once();
    assert_eq!((phase.pace.taken, phase.planned, phase.pace.late, phase.unfinished), (1000, Some(1000), 0, 0));
    let shares: Vec<_> = phase.shares.iter().map(|share| (share.connections, share.begun)).collect();
    assert_eq!(shares, [(3, 334), (3, 333), (2, 333)]);
    let row = phase.metrics.series(Metric::UpdateMute).row("update_mute").unwrap();
    // Those of the same server are told of each: 4 ms later.
    assert_eq!((row.count, row.errors), (334 * 3 + 333 * 3 + 333 * 2, 0));
    assert!(row.min_us >= 3_990 && row.p99_9_us <= 4_010, "{row:?}");
    // Taken together the arrivals come at the rate that is written, second by second.
    let moments = phase.metrics.timeline().moments();
    let rates: Vec<u64> = moments.iter().filter_map(|one| one.tally(Metric::Lag)).map(|lag| lag.count()).collect();
    assert_eq!(rates, [100; 10]);
    // What was counted is that of all servers, too.
    assert_eq!(moments.iter().map(|one| one.counts.begun).sum::<u64>(), 1000);
    assert_eq!(moments.iter().map(|one| one.counts.messages).sum::<u64>(), phase.messages);
}

#[test]
fn virtual_users_and_iterations_are_divided() {
    let vus =
        MUTES.replace("constant-arrival-rate: {rate: 100, duration: 10s}", "constant-vus: {vus: 4, duration: 2s}");
    let phase = spread(&vus, sound(3)).once();
    // Each begins anew after 4 ms.
    assert!(phase.pace.taken.abs_diff(2000) <= 8, "{:?}", phase.pace);
    let begun: Vec<_> = phase.shares.iter().map(|share| share.begun.div_ceil(500)).collect();
    assert_eq!(begun, [2, 1, 1]);
    let shared = vus.replace("constant-vus: {vus: 4, duration: 2s", "shared-iterations: {vus: 2, iterations: 71");
    let phase = spread(&shared, sound(3)).once();
    assert_eq!((phase.pace.taken, phase.planned), (71, Some(71)));
    assert_eq!(phase.shares.iter().map(|share| share.begun).collect::<Vec<_>>(), [36, 35, 0]);
}

#[test]
fn a_server_whose_population_fails_lets_none_begin() {
    let mut servers = sound(3);
    servers[1].settings.apply("connection-limit=2").unwrap();
    let all = spread(MUTES, servers);
    assert!(all.loaded.is_none());
    let whys = all.outcomes.iter().map(|outcome| match &outcome.end {
        End::Unfinished { why, .. } => why.as_str(),
        other => panic!("{other:?}"),
    });
    let whys: Vec<&str> = whys.collect();
    assert!(whys[1].contains("c3"), "{whys:?}");
    let told = format!("the load cannot go on: server 2: {}", whys[1]);
    assert_eq!((whys[0], whys[2]), (&*told, &*told));
}

#[test]
fn a_server_that_is_lost_leaves_the_others_their_load() {
    let text = MUTES.replace("connections: 8", "connections: 3");
    let mut servers = sound(3);
    servers[2].mutants = vec![faulty(Wrong::Ends, 200)];
    let all = spread(&text, servers);
    assert!(all.outcomes.iter().all(|outcome| outcome.end == End::Finished));
    let phase = all.once();
    let shares: Vec<_> = phase.shares.iter().map(|share| (share.lost_connections, share.begun)).collect();
    assert_eq!((shares[0], shares[1], shares[2].0), ((0, 334), (0, 333), 1));
    assert!(shares[2].1 < 210 && phase.lost_connections == 1, "{shares:?}");
    let doubt = crate::report::loads::doubt(&Loaded::Once(Box::new(phase))).unwrap();
    assert!(doubt.contains("1 connection of the load ended before it was over, at server 3"), "{doubt}");
}

#[test]
fn a_threshold_that_ends_the_load_ends_it_everywhere_and_only_if_all_together_miss_it() {
    let refusing = || Server {
        mutants: vec![faulty(Wrong::Refuses(crate::protocol::http::Method::Put, "/callLegs/"), 1)],
        ..sound(1).remove(0)
    };
    let text = MUTES.replace("connections: 8", "connections: 3");
    let one = spread(&text, vec![refusing(), sound(1).remove(0), sound(1).remove(0)]).once();
    // A third of all fails, and two fifths may.
    assert!(!one.is_aborted() && one.pace.taken == 1000 && one.holds(), "{:?} {:?}", one.pace, one.thresholds);
    let two = spread(&text, vec![refusing(), refusing(), sound(1).remove(0)]).once();
    assert!(two.is_aborted() && !two.holds() && two.pace.taken < 400, "{:?}", two.pace);
    let begun: Vec<_> = two.shares.iter().map(|share| share.begun).collect();
    assert!(begun.iter().all(|one| one.abs_diff(begun[0]) <= 34), "{begun:?}");
}

#[test]
fn a_capacity_is_searched_on_all_at_once() {
    // As on one server 8 participants make 31.5 mutes a second, on three they make 94.5.
    let slow = || {
        let mut server = sound(1).remove(0);
        server.settings.bundle_delay = Duration::from_millis(250);
        server
    };
    let load = "
  connections: 3
  calls: 1
  participants: 8
  stimuli: {mute: 1}
  capacity: {from: 15, up-to: 300, hold: 3s, confirm: {times: 1, of: 1}}
  thresholds: {update: ['rate<=0']}
";
    let all = spread(load, vec![slow(), slow(), slow()]);
    assert!(all.outcomes.iter().all(|outcome| outcome.end == End::Finished));
    let Some(Loaded::Search { capacity, curve }) = all.loaded else { panic!("no search") };
    let found = capacity.unwrap().rate.unwrap();
    let told: Vec<_> = curve.iter().map(|point| (point.probe.rate, point.verdict)).collect();
    assert!((80.0..=96.0).contains(&found), "{found} {told:?}");
    assert!(curve.iter().all(|point| point.detail.shares.len() == 3));
    assert!(curve.iter().any(|point| point.verdict == Verdict::Held && point.detail.planned == Some(45)));
}
