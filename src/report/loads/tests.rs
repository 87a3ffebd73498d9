//! What a report says of loads: whole ones, parts, searches.

use std::time::Duration;

use super::*;
use crate::exit::ExitCode;
use crate::load::search::{Capacity, Limit, Probe, Purpose};
use crate::load::{Condition, Metrics, Threshold};
use crate::report::assemble::assemble;
use crate::report::fixtures;
use crate::report::model::Verdict as Judged;
use crate::time::Instant;

/// The pace of 200 arrivals, of which so many were late or dropped, and so many of these since too much was under way.
fn pace(late: u64, dropped: u64, crowded: u64) -> Pace {
    let max_lag = Duration::from_millis(20);
    Pace { max_lag, taken: 200, dropped, crowded, late, worst: Duration::from_secs(1) }
}

/// A threshold that ends a load.
fn ending(text: &str) -> Threshold {
    Threshold { metric: Metric::Ack, condition: Condition::parse(text).unwrap(), abort: Some(Duration::ZERO) }
}

/// A load of 200 arrivals in 10 s, of which so many were late, that missed a threshold.
pub(in super::super) fn phase(late: u64) -> Phase {
    let metrics = Metrics::new(Instant::ZERO);
    let missed = Condition::parse("p(99)<1ms").unwrap().judge(Metric::Update, &metrics.series(Metric::Update), None);
    Phase {
        executor: Executor::ConstantVus { vus: 4, duration: Duration::from_secs(10) },
        begun_at: Instant::ZERO,
        ended_at: Instant::from_millis(10_000),
        pace: pace(late, 2, 0),
        is_paced: late == 0,
        planned: Some(200),
        unfinished: 0,
        messages: 4000,
        sets: 0,
        records: 0,
        lost_connections: 0,
        gone: 0,
        metrics,
        thresholds: vec![missed],
        ended_by: Vec::new(),
        is_whole: true,
        shares: Vec::new(),
    }
}

#[test]
fn a_load_that_the_harness_spoiled_misses_no_threshold() {
    for (late, code) in [(0, ExitCode::Threshold), (50, ExitCode::Inconclusive)] {
        let loaded = Loaded::Once(Box::new(phase(late)));
        let mut run = fixtures::scenario("load/steady", &["MSG-01"]);
        run.unfinished = doubt(&loaded);
        run.loaded = Some(loaded);
        let report = assemble(fixtures::facts(), &[run]);
        assert_eq!(report.exit_code, code.number(), "{late}");
        assert_eq!((report.thresholds[0].scenario.as_str(), report.thresholds[0].undecided), ("load/steady", late > 0));
        let told = "load/steady: 198 of 200 begun in 10.0 s, 19.8 per second";
        let text = crate::report::text::render(&report, &crate::report::text::Options::default());
        assert!(
            text.contains(told) && text.contains("2 dropped since nothing was free; 4000 messages received"),
            "{text}"
        );
    }
}

#[test]
fn arrivals_that_found_nothing_free_are_told_everywhere_in_one_way_whether_thresholds_are_met_or_not() {
    let met = |phase: &Phase| {
        Condition::parse("rate<=1").unwrap().judge(Metric::Api, &phase.metrics.series(Metric::Api), None)
    };
    for (holds, code) in [(true, ExitCode::Inconclusive), (false, ExitCode::Threshold)] {
        let mut phase = Phase { pace: pace(0, 50, 0), ..phase(0) };
        if holds {
            phase.metrics.record(Metric::Api, crate::load::Stamps::at(Instant::ZERO), Instant::ZERO);
            phase.thresholds = vec![met(&phase)];
        }
        let loaded = Loaded::Once(Box::new(phase));
        let mut run = fixtures::scenario("load/steady", &["MSG-01"]);
        run.unfinished = doubt(&loaded);
        run.loaded = Some(loaded);
        let report = assemble(fixtures::facts(), &[run]);
        assert_eq!(report.exit_code, code.number(), "{holds}");
        let text = crate::report::text::render(&report, &crate::report::text::Options::default());
        let text = anstream::adapter::strip_str(&text).to_string();
        let (verdict, missed) = if holds { ("inconclusive", "") } else { ("fail", ", 1 threshold missed") };
        for text in [&text, &crate::report::markdown::render(&report), &crate::report::html::render(&report)] {
            assert!(text.contains("50 of 200 arrivals dropped, since nothing was free to be changed"), "{text}");
            assert!(
                text.contains(&format!("{verdict}{missed}, 50 of 200 arrivals dropped"))
                    || text.contains(&format!("{missed}, 50 of 200 arrivals dropped</title>")),
                "{text}"
            );
        }
    }
}

#[test]
fn a_threshold_without_anything_to_compare_with_is_undecided_and_says_why() {
    let relative = Condition::parse("p(99) <= baseline * 1.10").unwrap();
    let other = crate::load::Baseline::default();
    for (baseline, why) in [(None, "no baseline was given: --baseline FILE"), (Some(&other), "has no such value")] {
        let mut phase = phase(0);
        phase.metrics.record(Metric::UpdateMute, crate::load::Stamps::at(Instant::ZERO), Instant::from_millis(5));
        let judged = relative.judge(Metric::Update, &phase.metrics.series(Metric::Update), baseline);
        (phase.thresholds, phase.pace) = (vec![judged], pace(0, 0, 0));
        let loaded = Loaded::Once(Box::new(phase));
        let mut run = fixtures::scenario("load/steady", &["MSG-01"]);
        run.unfinished = doubt(&loaded);
        run.loaded = Some(loaded);
        let report = assemble(fixtures::facts(), &[run]);
        assert_eq!(report.exit_code, ExitCode::Inconclusive.number());
        let reason = report.scenarios[0].reason.as_deref().unwrap_or_default();
        assert!(reason.contains("update: p(99) <= baseline * 1.10: 5") && reason.contains(why), "{reason}");
        assert_eq!(super::super::thresholds::result(&report.thresholds[0]), "undecided");
    }
}

#[test]
fn a_load_that_listens_tells_what_it_heard() {
    let executor = Executor::Listen { duration: Duration::from_secs(10) };
    let mut phase = Phase { executor, pace: Pace::default(), planned: Some(0), ..phase(0) };
    let told = |phase: &Phase| course(&result_of("load/listen", &Loaded::Once(Box::new(phase.clone())), false));
    assert_eq!(told(&phase), "load/listen: 4000 messages heard in 10.0 s, 400.0 per second");
    (phase.lost_connections, phase.ended_by) = (2, vec![ending("max<1ms")]);
    assert!(told(&phase).ends_with("per second, 2 connections lost; ended early by a threshold"), "{}", told(&phase));
    phase.executor = Executor::ConstantVus { vus: 1, duration: Duration::from_secs(10) };
    assert!(told(&phase).starts_with("load/listen: 0 of 0 begun in 10.0 s"), "{}", told(&phase));
}

#[test]
fn what_the_rest_of_a_load_could_still_change_is_undecided() {
    let judged = |text, values| {
        let mut phase = phase(0);
        let stamps = crate::load::Stamps::at(Instant::ZERO);
        (0..values).for_each(|_| phase.metrics.record(Metric::Ack, stamps, Instant::from_millis(5)));
        Condition::parse(text).unwrap().judge(Metric::Ack, &phase.metrics.series(Metric::Ack), None)
    };
    let asked = || vec![judged("max<9ms", 3), judged("max<1ms", 3), judged("max<9ms", 0)];
    let told = |phase: Phase| -> Vec<_> {
        let results = thresholds("load/steady", &Loaded::Once(Box::new(phase)));
        assert!(results.iter().all(|one| !(one.passed && one.undecided)));
        results.iter().map(|one| (super::super::thresholds::result(one), one.observed.clone())).collect()
    };
    let of = |all: [(&'static str, &str); 3]| all.map(|(result, told)| (result, told.to_owned()));
    let whole = Phase { thresholds: asked(), ..phase(0) };
    let nothing = "nothing was measured";
    assert_eq!(told(whole.clone()), of([("met", "5 ms"), ("missed", "5 ms"), ("missed", nothing)]));
    let cut = [
        ("undecided", "5 ms, then cut short"),
        ("missed", "5 ms"),
        ("undecided", "nothing was measured, then cut short"),
    ];
    let part = Phase { is_whole: false, ..whole.clone() };
    assert_eq!(told(part.clone()), of(cut));
    assert_eq!(told(Phase { lost_connections: 1, ..whole.clone() }), of(cut));
    // What more of the load could have mended is not missed.
    let mendable = vec![judged("count>1000", 600), judged("p(99)<1ms", 3), judged("rate>0.5", 3)];
    let undecided = [("undecided", "600, then cut short"), ("undecided", "5 ms, then cut short")];
    let of_part = told(Phase { thresholds: mendable.clone(), ..part });
    assert_eq!(of_part[..2], undecided.map(|(result, told)| (result, told.to_owned())));
    assert_eq!(of_part[2].0, "undecided");
    assert_eq!(told(Phase { thresholds: mendable, ..whole.clone() })[0].0, "missed");
    let dropped = told(Phase { pace: pace(0, 60, 0), ..whole });
    assert_eq!(dropped[0], ("undecided", "5 ms, of those not dropped".to_owned()));
}

#[test]
fn of_a_load_that_a_threshold_ended_that_one_is_missed_and_the_others_are_of_a_part() {
    let mut phase = Phase { ended_by: vec![ending("p(99)<1ms")], ..phase(0) };
    let stamps = crate::load::Stamps::at(Instant::ZERO);
    phase.metrics.record(Metric::Ack, stamps, Instant::from_millis(5));
    let asked = ["p(99)<1ms", "max<1s", "count>1000", "max<2ms"].map(ending);
    phase.judge(&asked, None);
    assert!(!phase.holds());
    let mut run = fixtures::scenario("load/steady", &["MSG-01"]);
    run.loaded = Some(Loaded::Once(Box::new(phase)));
    let report = assemble(fixtures::facts(), &[run]);
    let told = report.thresholds.iter().map(|one| (super::super::thresholds::result(one), &*one.observed));
    let told: Vec<_> = told.collect();
    assert_eq!(
        told,
        [
            ("missed", "5 ms, and the load was ended"),
            ("undecided", "5 ms, then ended early"),
            ("undecided", "1, then ended early"),
            ("missed", "5 ms")
        ]
    );
    assert_eq!((report.verdict, report.exit_code), (Judged::Fail, ExitCode::Threshold.number()));
}

#[test]
fn a_threshold_that_is_not_decided_is_no_pass() {
    let mut phase = Phase { is_whole: false, ..phase(0) };
    phase.metrics.record(Metric::Ack, crate::load::Stamps::at(Instant::ZERO), Instant::from_millis(5));
    phase.judge(&[ending("max<1s")], None);
    let mut run = fixtures::scenario("load/steady", &["MSG-01"]);
    run.loaded = Some(Loaded::Once(Box::new(phase)));
    let report = assemble(fixtures::facts(), &[run]);
    let code = ExitCode::Inconclusive.number();
    assert_eq!((report.verdict, report.exit_code), (Judged::Inconclusive, code));
}

#[test]
fn what_a_probe_missed_is_no_miss_of_a_search_without_a_result() {
    let broke = |capacity| {
        let probe = Probe { number: 1, rate: 50.0, purpose: Purpose::Staircase };
        let curve = vec![Point { probe, verdict: Verdict::Broke, detail: phase(0) }];
        let mut run = fixtures::scenario("load/capacity", &["MSG-01"]);
        run.unfinished = Some("interrupted".to_owned());
        run.loaded = Some(Loaded::Search { capacity, curve });
        let report = assemble(fixtures::facts(), &[run]);
        (super::super::thresholds::result(&report.thresholds[0]), report.verdict, report.exit_code)
    };
    let open = ("undecided", Judged::Inconclusive, ExitCode::Inconclusive.number());
    assert_eq!(broke(None), open);
    let found = |limit| Some(Capacity { rate: None, broke_at: Some(50.0), limit });
    assert_eq!(broke(found(Limit::Generator)), open);
    // The lowest rate that was to be tried broke it: that is a result.
    let missed = ("missed", Judged::Fail, ExitCode::Threshold.number());
    assert_eq!(broke(found(Limit::Threshold)), missed);
}

#[test]
fn a_rate_that_lagged_broke_no_threshold() {
    let limit = |verdict, (late, unserved, crowded), on_clients| {
        let probe = Probe { number: 1, rate: 50.0, purpose: Purpose::Staircase };
        // Another rate has nothing to do with the limit.
        let other = Probe { number: 2, rate: 100.0, purpose: Purpose::Staircase };
        let other =
            Point { probe: other, verdict: Verdict::Lagged, detail: Phase { pace: pace(0, 90, 90), ..phase(0) } };
        let curve =
            vec![other, Point { probe, verdict, detail: Phase { pace: pace(late, unserved, crowded), ..phase(late) } }];
        let capacity = Capacity { rate: Some(25.0), broke_at: Some(50.0), limit: Limit::Generator };
        let loaded = Loaded::Search { capacity: Some(capacity), curve };
        capacity_of(&result_of("load/capacity", &loaded, on_clients))
    };
    let told = "load/capacity: capacity at least 25.0 stimuli per second, since the";
    let lagged = format!("{told} harness allows no more; 50.0 could not be put on the target: 4 of 200 arrivals late");
    assert_eq!(limit(Verdict::Lagged, (4, 0, 0), false), lagged);
    let dropped = "participants and calls that the load has allow no more; 50.0 could not be put on the target";
    assert_eq!(limit(Verdict::Lagged, (0, 60, 0), false), format!("{told} {dropped}: 60 of 200 arrivals dropped"));
    let both = limit(Verdict::Lagged, (4, 60, 0), false);
    assert!(both.contains("since neither the harness nor the participants and calls that the load has"), "{both}");
    assert!(both.ends_with(": 4 of 200 arrivals late, 60 of 200 arrivals dropped"), "{both}");
    let nobody = limit(Verdict::Lagged, (0, 60, 0), true);
    assert!(nobody.contains("since there was nobody who could be told; 50.0 could not be put on the clients"));
    assert!(limit(Verdict::Broke, (4, 0, 0), false).ends_with("; 50.0 broke a threshold"));
    let crowded = "the requests and stimuli that may be under way at a server";
    let told = limit(Verdict::Lagged, (0, 60, 60), false);
    assert!(told.contains(&format!("since {crowded} allow no more; 50.0")), "{told}");
    let told = limit(Verdict::Lagged, (0, 60, 20), false);
    assert!(told.contains(&format!("that the load has nor {crowded} allow more; 50.0")), "{told}");
}

#[test]
fn arrivals_that_were_dropped_since_too_much_was_under_way_are_told_so() {
    let of = |crowded| {
        let loaded = Loaded::Once(Box::new(Phase { pace: pace(0, 60, crowded), ..phase(0) }));
        (doubt(&loaded).unwrap(), course(&result_of("load/steady", &loaded, false)))
    };
    let (why, course) = of(60);
    assert_eq!(
        why,
        "60 of 200 arrivals dropped, since too many requests had no answer, or stimuli no effect: the target is slower \
         than the load"
    );
    assert!(course.contains(", 60 dropped since too much was under way;"), "{course}");
    let (why, course) = of(45);
    assert!(why.contains(", since for 45 of them too many requests had") && why.contains("; for 15 nothing was free"));
    assert!(course.contains(", 15 dropped since nothing was free, 45 dropped since too much was under way;"));
    let (why, course) = of(0);
    assert!(why.contains(", since nothing was free to be changed: the load needs") && !course.contains("under way"));
}

fn capacity_of(load: &LoadResult) -> String {
    capacity(load).unwrap()
}
