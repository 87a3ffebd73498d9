//! How a load went on, in the report: what each second brought, or each few of a long load; and what it took of the
//! machine.

use std::collections::BTreeMap;

use super::model::{LoadHarness, LoadMoment, MomentMetric};
use crate::load::{Counts, Loaded, Metric, Moment, Phase, Timeline};

/// How many moments of a load are in a report, unless a search has tried more rates than that.
const MOST: usize = 600;

/// The moments of a load; of a search, those of all rates that were tried, one after the other.
pub(super) fn moments(loaded: &Loaded) -> Vec<LoadMoment> {
    let phases: Vec<(Option<u32>, &Phase)> = match loaded {
        Loaded::Once(phase) => vec![(None, phase)],
        Loaded::Search { curve, .. } => curve.iter().map(|point| (Some(point.probe.number), &point.detail)).collect(),
    };
    let Some((_, first)) = phases.first() else { return Vec::new() };
    let mut lines: Vec<Timeline> = phases.iter().map(|(_, phase)| phase.metrics.timeline().clone()).collect();
    while lines.iter().map(|line| line.moments().len()).sum::<usize>() > MOST.max(lines.len()) {
        lines.iter_mut().for_each(Timeline::join);
    }
    let origin = first.begun_at;
    let of_phase = |((probe, phase), line): (&(Option<u32>, &Phase), &Timeline)| {
        let began_ms = u64::try_from(phase.begun_at.since(origin).as_millis()).unwrap_or(u64::MAX);
        let probe = *probe;
        let moments = without_an_empty_end(line.moments(), phase.executor.duration().as_secs());
        moments.into_iter().map(move |moment| shown(&moment, began_ms, probe)).collect::<Vec<_>>()
    };
    phases.iter().zip(&lines).flat_map(of_phase).collect()
}

/// Behind its end a load waits for the last; where that brought nothing, it is no moment of its own. What the harness used
/// meanwhile stays counted.
fn without_an_empty_end(mut moments: Vec<Moment>, length_s: u64) -> Vec<Moment> {
    let is_empty = |moment: &Moment| {
        let Counts { cpu_user_ms, cpu_system_ms, .. } = moment.counts;
        let used = Counts { cpu_user_ms, cpu_system_ms, ..Counts::default() };
        moment.at_s >= length_s && moment.counts == used && moment.tallies().is_empty()
    };
    while moments.len() > 1 && moments.last().is_some_and(is_empty) {
        if let (Some(last), Some(before)) = (moments.pop(), moments.last_mut()) {
            before.merge(&last);
        }
    }
    moments
}

fn shown(moment: &Moment, began_ms: u64, probe: Option<u32>) -> LoadMoment {
    let Counts { begun, late, unserved, messages, records, findings, lost_connections, cpu_user_ms, cpu_system_ms } =
        moment.counts;
    let metric = |metric: Metric| {
        let tally = moment.tally(metric)?;
        let values = MomentMetric {
            count: tally.count(),
            errors: tally.errors(),
            p50_us: tally.quantile_us(0.5),
            p90_us: tally.quantile_us(0.9),
            p99_us: tally.quantile_us(0.99),
            max_us: tally.max_us(),
        };
        Some((metric.as_str().to_owned(), values))
    };
    LoadMoment {
        at_ms: began_ms.saturating_add(moment.at_s * 1000),
        length_ms: moment.length_s * 1000,
        probe,
        begun,
        late,
        unserved,
        messages,
        records,
        findings,
        lost_connections,
        cpu_user_ms,
        cpu_system_ms,
        memory_kib: (moment.memory_kib > 0).then_some(moment.memory_kib),
        metrics: Metric::ALL.into_iter().filter_map(metric).collect::<BTreeMap<_, _>>(),
    }
}

/// What a stretch of load took of the machine; `None` where nobody looked. Of a load on clients, judging is not all of it, and
/// may be none.
pub(super) fn harness(phase: &Phase, on_clients: bool) -> Option<LoadHarness> {
    let moments = phase.metrics.timeline().moments();
    let counts = moments.iter().fold(Counts::default(), |sum, moment| sum.plus(&moment.counts));
    let memory_max_kib = moments.iter().map(|moment| moment.memory_kib).max().filter(|kib| *kib > 0)?;
    let cpu_s = (counts.cpu_user_ms + counts.cpu_system_ms) as f64 / 1e3;
    let each = |count: u64| (cpu_s > 0.0 && count > 0 && !on_clients).then(|| (count as f64 / cpu_s).round());
    Some(LoadHarness {
        cpu_user_ms: counts.cpu_user_ms,
        cpu_system_ms: counts.cpu_system_ms,
        memory_max_kib,
        messages_per_cpu_s: each(counts.messages),
        records_per_cpu_s: each(counts.records),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_load_on_clients_nothing_is_said_of_judging() {
        let mut phase = super::super::loads::tests::phase(0);
        let counts = Counts { messages: 500, cpu_user_ms: 500, ..Counts::default() };
        let mut moment = Moment::at(0, counts);
        moment.memory_kib = 9;
        phase.metrics.keep(moment);
        let rates = [false, true].map(|on_clients| harness(&phase, on_clients).unwrap().messages_per_cpu_s);
        assert_eq!(rates, [Some(1000.0), None]);
    }

    #[test]
    fn what_a_load_waited_in_vain_behind_its_end_is_no_moment_but_costs() {
        let moment = |at_s, begun| Moment::at(at_s, Counts { begun, cpu_user_ms: 5, ..Counts::default() });
        let all = vec![moment(0, 9), moment(1, 0), moment(2, 7), moment(3, 0), moment(4, 0)];
        let left = without_an_empty_end(all, 3);
        let told: Vec<_> = left.iter().map(|one| (one.at_s, one.counts.begun, one.counts.cpu_user_ms)).collect();
        assert_eq!(told, [(0, 9, 5), (1, 0, 5), (2, 7, 15)]);
        assert_eq!(without_an_empty_end(vec![moment(0, 0), moment(1, 0)], 2).len(), 2);
    }
}
