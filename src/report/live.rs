//! One line of a load while it runs: how fast, how long it takes, what was found, how late the harness is, what is left.

use std::time::Duration;

use super::quantity::{brief, counted};
use crate::load::{Metric, Moment, Standing, Tally};

/// The metrics of which the first two that were measured are shown.
const SHOWN: [Metric; 8] = [
    Metric::Update,
    Metric::Answer,
    Metric::CdrStimulus,
    Metric::CdrRedelivery,
    Metric::Settle,
    Metric::CdrArrival,
    Metric::Api,
    Metric::Ack,
];

/// What a second of a load, or several, brought.
#[derive(Debug, Clone, PartialEq)]
pub struct Beat {
    /// The scenario.
    pub scenario: String,
    /// Where the load stands at its end.
    pub standing: Standing,
    /// What it brought.
    pub moment: Moment,
    /// The findings of the scenario until its end.
    pub findings: u64,
}

impl Beat {
    /// How long it is.
    pub const fn length(&self) -> Duration {
        Duration::from_secs(self.moment.length_s)
    }

    /// Whether another one belongs to the same stretch of load.
    pub fn is_of(&self, other: &Self) -> bool {
        self.scenario == other.scenario && self.standing.probe == other.standing.probe
    }

    /// Adds what followed.
    pub fn extend(&mut self, later: Self) {
        let (own_s, later_s) = (self.working().as_secs_f64(), later.working().as_secs_f64());
        let planned = self.standing.planned_per_s.zip(later.standing.planned_per_s);
        let planned_per_s =
            planned.map(|(own, later)| (own * own_s + later * later_s) / (own_s + later_s).max(f64::MIN_POSITIVE));
        self.moment.merge(&later.moment);
        self.moment.length_s += later.moment.length_s;
        (self.standing, self.findings) = (Standing { planned_per_s, ..later.standing }, later.findings);
    }

    /// How much of it was over when it was told, since its beginning.
    fn lasted(&self) -> Duration {
        let began = Duration::from_secs(self.moment.at_s);
        self.standing.elapsed.saturating_sub(began).min(self.length())
    }

    /// How much of it work could begin in: behind the end, the last is waited for.
    fn working(&self) -> Duration {
        let end = Duration::from_secs(self.moment.at_s) + self.lasted();
        end.min(self.standing.length).saturating_sub(Duration::from_secs(self.moment.at_s))
    }

    /// The line.
    pub fn line(&self) -> String {
        let Self { scenario, standing, moment, findings } = self;
        if moment.length_s == 0 {
            return format!("{scenario} is set up");
        }
        // What matters most comes first: a narrow terminal cuts the rest off.
        let mut parts = vec![format!("{} {}", short(scenario), place(standing))];
        let timed = SHOWN.into_iter().filter_map(|metric| Some((metric, moment.tally(metric)?)));
        let timed = timed.filter(|(_, tally)| tally.count() > 0);
        let mut timed = timed.map(|(metric, tally)| format!("{} {}", metric.as_str(), percentiles(&tally)));
        parts.extend(timed.next());
        let per_s = |count: u64, time: Duration| if time.is_zero() { 0.0 } else { count as f64 / time.as_secs_f64() };
        // Behind the end nothing begins any more, and no rate is meant.
        let working = self.working();
        let planned = standing.planned_per_s.filter(|_| !working.is_zero());
        if !working.is_zero() && (moment.counts.begun > 0 || planned.is_some()) {
            let planned = planned.map_or_else(String::new, |planned| format!(" of {planned:.1}"));
            parts.push(format!("{:.1}{planned}/s", per_s(moment.counts.begun, working)));
        }
        let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        parts.push(counted(number(*findings), "finding"));
        let all = Metric::ALL.into_iter().filter(|metric| *metric != Metric::Update);
        let failed: u64 = all.filter_map(|metric| moment.tally(metric)).map(|tally| tally.errors()).sum();
        let lost = moment.counts.lost_connections;
        let counts = [
            (failed, format!("{failed} failed")),
            (lost, format!("{} lost", counted(number(lost), "connection"))),
            (moment.counts.late, format!("{} late", moment.counts.late)),
            (moment.counts.unserved, format!("{} dropped", moment.counts.unserved)),
        ];
        parts.extend(counts.into_iter().filter(|(count, _)| *count > 0).map(|(_, told)| told));
        parts.extend(timed.next());
        if let Some(lag) = moment.tally(Metric::Lag).filter(|lag| lag.count() > 0) {
            parts.push(format!("lag p99 {}", brief(lag.quantile_us(0.99))));
        }
        let received = [(moment.counts.messages, "messages"), (moment.counts.records, "records")].into_iter();
        let some = received.filter(|(count, what)| *count > 0 || (*what == "messages" && moment.counts.records == 0));
        // A few that came in a moment make no rate.
        let is_moment = self.lasted() < Duration::from_secs(1);
        parts.extend(some.map(|(count, what)| match is_moment {
            true => format!("{count} {what}"),
            false => format!("{:.0} {what}/s", per_s(count, self.lasted())),
        }));
        parts.join(", ")
    }
}

/// How many characters of a scenario's name are shown.
const NAMED: usize = 20;

/// A scenario's name, so short that there is room for what is to be told of it: its end tells more than its beginning.
fn short(scenario: &str) -> String {
    let count = scenario.chars().count();
    match count.checked_sub(NAMED) {
        None | Some(0) => scenario.to_owned(),
        Some(more) => format!("..{}", scenario.chars().skip(more + 2).collect::<String>()),
    }
}

/// Where a load stands, in words.
fn place(standing: &Standing) -> String {
    let left = standing.length.saturating_sub(standing.elapsed);
    let left = match (left.is_zero(), standing.listens) {
        (false, _) => format!("{} left", clock(left)),
        (true, false) => "waiting for the last".to_owned(),
        (true, true) => "over".to_owned(),
    };
    let mut words = Vec::new();
    if let Some(probe) = standing.probe {
        words.push(format!("probe {} at {:.1}", probe.number, probe.rate));
    }
    if let Some((stage, of)) = standing.stage {
        words.push(format!("stage {stage} of {of}"));
    }
    if standing.elapsed < standing.warm_up {
        words.push("warm-up".to_owned());
    }
    words.push(left);
    words.join(", ")
}

/// A length of time as a clock shows it, to the second: `0:07`, `12:30`, `1:00:00`.
pub(super) fn clock(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

fn percentiles(tally: &Tally) -> String {
    format!("p50 {} p99 {}", brief(tally.quantile_us(0.5)), brief(tally.quantile_us(0.99)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::search::{Probe, Purpose};
    use crate::load::{Counts, Fresh};

    fn beat(at_s: u64, ms: u64) -> Beat {
        let mut fresh = Fresh::default();
        for one in 0..40 {
            fresh.record(Metric::UpdateMute, Duration::from_millis(ms + one));
            fresh.record(Metric::Lag, Duration::from_micros(80));
        }
        let counts = Counts { begun: 20, messages: 41, ..Counts::default() };
        let mut moment = Moment::at(at_s, counts);
        fresh.move_into(&mut moment);
        let standing = Standing {
            elapsed: Duration::from_secs(at_s + 1),
            length: Duration::from_secs(60),
            planned_per_s: Some(20.0),
            ..Standing::default()
        };
        Beat { scenario: "load/steady".to_owned(), standing, moment, findings: 0 }
    }

    #[test]
    fn the_lines_of_a_load_are_as_committed() {
        let second = beat(11, 4);
        let mut troubled = beat(70, 300);
        let mut fresh = Fresh::default();
        fresh.record(Metric::Api, Duration::from_secs(2));
        (0..3).for_each(|_| fresh.fail(Metric::UpdateMute, "no event in time"));
        fresh.move_into(&mut troubled.moment);
        troubled.moment.counts.late = 2;
        troubled.moment.counts.unserved = 1;
        troubled.moment.counts.lost_connections = 1;
        troubled.findings = 1;
        let mut searching = beat(0, 4);
        let probe = Probe { number: 3, rate: 40.0, purpose: Purpose::Staircase };
        searching.standing =
            Standing { probe: Some(probe), warm_up: Duration::from_secs(2), ..searching.standing.clone() };
        let mut ramp = beat(3599, 4);
        ramp.standing.stage = Some((2, 3));
        ramp.standing.length = Duration::from_secs(7400);
        let mut ten = beat(0, 4);
        (1..10).for_each(|at_s| ten.extend(beat(at_s, 4)));
        let mut over = beat(61, 4);
        over.standing.planned_per_s = Some(0.0);
        over.moment.counts.begun = 0;
        let mut last = beat(59, 4);
        last.extend(over.clone());
        let mut listening = beat(0, 4);
        listening.standing.planned_per_s = None;
        listening.standing.listens = true;
        let mut heard = Beat { moment: Moment::at(59, Counts { messages: 9, ..Counts::default() }), ..beat(59, 4) };
        heard.standing = Standing { planned_per_s: None, listens: true, ..heard.standing };
        assert_eq!(heard.line(), "load/steady over, 0 findings, 9 messages/s");
        listening.moment = Moment::at(0, Counts { messages: 1500, ..Counts::default() });
        let mut whole = beat(58, 4);
        whole.extend(Beat { moment: Moment::at(59, Counts { begun: 20, ..Counts::default() }), ..beat(59, 4) });
        whole.extend(Beat { moment: Moment::at(60, Counts::default()), ..over.clone() });
        assert!(whole.line().contains(" 20.0 of 20.0/s, "), "{}", whole.line());
        let mut long = searching.clone();
        long.scenario = "my-loads/of-the-lab/in-spring/steady".to_owned();
        assert!(long.line().starts_with("..b/in-spring/steady probe 3"), "{}", long.line());
        let mut moment = over.clone();
        moment.standing.elapsed = Duration::from_millis(61_004);
        assert!(moment.line().ends_with(" 41 messages"), "{}", moment.line());
        let set_up = Beat { moment: Moment::default(), ..beat(0, 4) };
        let all = [set_up, second, troubled, searching, ramp, ten, last, over, listening];
        let lines: Vec<String> = all.iter().map(|beat| beat.line() + "\n").collect();
        // What takes time is told within the width of a terminal.
        assert!(lines.iter().all(|line| line.find(" p99 ").is_none_or(|at| at + 12 <= 80)), "{lines:?}");
        snapbox::assert_data_eq!(lines.concat(), super::super::fixtures::golden("live.txt"));
    }

    #[test]
    fn what_belongs_to_another_stretch_is_told_apart() {
        let (one, mut other) = (beat(1, 4), beat(2, 4));
        assert!(one.is_of(&other));
        other.standing.probe = Some(Probe { number: 1, rate: 4.0, purpose: Purpose::Bisection });
        assert!(!one.is_of(&other));
    }
}
