//! What each second of a load brought, on virtual time: the seconds add up to the whole, and who watches sees the same.

use std::sync::Mutex;

use super::*;
use crate::load::{Counts, Moment, Standing, Watch, Watcher};

/// Keeps what it is told, and says that each second took so much.
#[derive(Debug, Default)]
struct Seen(Mutex<Vec<(Standing, Moment)>>);

impl Watcher for Seen {
    fn watch(&self, standing: &Standing, moment: &mut Moment) {
        self.0.lock().unwrap().push((standing.clone(), moment.clone()));
        moment.counts.cpu_user_ms += 5;
        moment.memory_kib = 9;
    }
}

fn watched(load: &str, server: Server) -> (Judge, Outcome, Vec<(Standing, Moment)>) {
    let seen = Arc::new(Seen::default());
    let options = Options { seed: 5, watch: Watch(Some(seen.clone())), ..Options::default() };
    let (judge, outcome) = simulated_with(load, server, None, options);
    let seen = std::mem::take(&mut *seen.0.lock().unwrap());
    (judge, outcome, seen)
}

fn counted<'m>(moments: impl IntoIterator<Item = &'m Moment>) -> Counts {
    moments.into_iter().fold(Counts::default(), |sum, moment| sum.plus(&moment.counts))
}

const ALL_KINDS: &str = "
  connections: 2
  calls: 4
  participants: 3
  stimuli: {mute: 4, layout: 2, lock: 2, join-and-leave: {weight: 2, lasts: 300ms}, subscribe: 1}
  executor: {ramping-arrival-rate: {start-rate: 0, stages: [{target: 20, duration: 10s}, {target: 20, duration: 5s}]}}
";

#[test]
fn moments_add_up_to_what_was_measured_in_all() {
    let wrong = Wrong::Refuses(Method::Put, "/callLegs/");
    let mutant = Faulty { wrong, every: 7, seen: 0, late: BTreeSet::new(), guests: Arc::default() };
    let server = Server { settings: boundless(), mutants: vec![Box::new(mutant)], seed: 5 };
    let (_, outcome, seen) = watched(ALL_KINDS, server);
    let phase = once(outcome.loaded.unwrap());
    let kept = phase.metrics.timeline().moments();
    assert!(kept.len() >= 15 && kept.len() < 20, "{}", kept.len());
    let counts = counted(&kept);
    assert_eq!((counts.begun, counts.messages, counts.unserved), (200, phase.messages, phase.pace.dropped));
    assert_eq!(counts.cpu_user_ms, 5 * (seen.len() as u64 - 1));
    assert!(kept.iter().all(|moment| moment.memory_kib == 9));
    // What setting up took is shown, in a moment before the others, and no second of the load has it.
    let set_up = &seen[0].1;
    let sum = |metric, of: &dyn Fn(&crate::load::Tally) -> u64, seen: &[Moment]| -> u64 {
        seen.iter().filter_map(|moment| moment.tally(metric)).map(|tally| of(&tally)).sum()
    };
    let shown: Vec<Moment> = seen[1..].iter().map(|(_, moment)| moment.clone()).collect();
    for metric in Metric::ALL {
        let series = phase.metrics.series(metric);
        let before = set_up.tally(metric).map_or(0, |tally| tally.count());
        for moments in [&kept, &shown] {
            let (values, errors) =
                (sum(metric, &|one| one.count(), moments), sum(metric, &|one| one.errors(), moments));
            assert_eq!((values + before, errors), (series.count(), series.errors()), "{metric:?}");
        }
        let failed = |shown: &Moment| {
            shown.causes().iter().filter(|(own, _)| *own == metric).map(|(_, all)| all.total()).sum::<u64>()
        };
        let kinds = if metric == Metric::Update { 0 } else { series.errors() };
        assert_eq!(shown.iter().map(failed).sum::<u64>(), kinds, "{metric:?}");
    }
    assert!(phase.metrics.series(Metric::UpdateMute).errors() > 0);
}

#[test]
fn who_watches_is_told_of_every_second_and_where_the_load_stands() {
    let (_, outcome, seen) = watched(ALL_KINDS, Server { settings: boundless(), seed: 5, ..Server::default() });
    assert_eq!(outcome.end, End::Finished);
    let seconds: Vec<u64> = seen[1..].iter().map(|(_, moment)| moment.at_s).collect();
    assert_eq!(seconds, (0..seconds.len() as u64).collect::<Vec<_>>());
    let (standing, _) = &seen[5];
    assert_eq!((standing.stage, standing.elapsed, standing.length), (Some((1, 2)), 5 * SECOND, 15 * SECOND));
    // A ramp from 0 to 20 in 10 s, in the middle of its fifth second.
    assert!((standing.planned_per_s.unwrap() - 9.0).abs() < 0.01, "{standing:?}");
    assert_eq!(seen[12].0.stage, Some((2, 2)));
    assert_eq!(seen[13].1.counts.begun, 20);
}

#[test]
fn in_the_second_in_which_a_load_ends_the_rate_is_that_until_its_end() {
    let load = MUTES.replace("rate: 100, duration: 10s", "rate: 100, duration: 2500ms");
    let (_, _, seen) = watched(&load, Server { settings: boundless(), seed: 5, ..Server::default() });
    let rates: Vec<_> = seen[1..].iter().map(|(one, moment)| (one.planned_per_s, moment.counts.begun)).collect();
    assert_eq!(rates, [(Some(100.0), 100), (Some(100.0), 100), (Some(100.0), 50)]);
}

#[test]
fn findings_show_in_the_second_in_which_they_are_made() {
    let mutants = vec![crate::emulator::mutants::make("every-fourth-change-told-twice").unwrap()];
    let server = Server { settings: boundless(), mutants, seed: 5 };
    let (judge, _, seen) = watched(&MUTES.replace("rate: 100", "rate: 5"), server);
    let findings: u64 = judge.finish().finding_counts.values().sum();
    let counts = counted(seen.iter().map(|(_, moment)| moment));
    assert!(findings > 10 && counts.findings == findings, "{findings} {counts:?}");
    assert!(seen.iter().filter(|(_, moment)| moment.counts.findings > 0).count() > 5);
}

#[test]
fn the_warm_up_is_counted_and_not_timed_and_each_probe_begins_anew() {
    let load = "
  connections: 1
  calls: 1
  participants: 8
  stimuli: {mute: 1}
  warm-up: 2s
  capacity: {from: 5, up-to: 10, hold: 5s, confirm: {times: 1, of: 1}}
  thresholds: {update: ['rate<=0']}
";
    let (_, outcome, seen) = watched(load, Server { settings: boundless(), seed: 5, ..Server::default() });
    let Some(Loaded::Search { curve, .. }) = outcome.loaded else { panic!("no search") };
    for point in &curve {
        let kept = point.detail.metrics.timeline().moments();
        assert_eq!(counted(&kept).begun, point.detail.pace.taken);
        let timed: Vec<bool> = kept.iter().map(|moment| moment.tally(Metric::Update).is_some()).collect();
        assert_eq!(timed[..5], [false, false, true, true, true], "{timed:?}");
        let of_it = seen.iter().filter(|(standing, _)| standing.probe == Some(point.probe));
        assert_eq!(of_it.clone().count(), kept.len());
        assert_eq!(counted(of_it.map(|(_, moment)| moment)).messages, point.detail.messages);
    }
}

/// A second.
const SECOND: Duration = Duration::from_secs(1);
