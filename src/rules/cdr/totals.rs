//! What the end of a call or leg adds up: how many legs there were (REC-06), how many at once (REC-07), and how long it took
//! (REC-08).
//!
//! Whether legs count that were never connected, that record or stream, or that nothing assigned to a call is open: each
//! number is judged between the fewest and the most that it can be.

use std::time::Duration;

use super::Moment;
use super::content::Facts;
use super::history::Leg;
use crate::protocol::cdr::FieldName;
use crate::rules::registry::R;
use crate::time::Instant;
use crate::trace::Seq;

/// How much durations may differ from the times of records (REC-08).
pub(super) const LATITUDE_MS: i64 = 2000;

/// A call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    started: Option<i64>,
    at: Instant,
    pub(super) seq: Seq,
    /// Whether legs may have been in it before its start came: what they add up is not judged.
    pub(super) early: bool,
    /// Legs in it now: all, and those that surely count.
    now: (u32, u32),
    /// The most at once: at least, and at most.
    peak: (u32, u32),
    /// How many legs ended in it that surely count.
    ended: u32,
    /// How many ever were in it.
    ever: u32,
    /// How many legs had ended without a call when it began.
    strays_ended: u32,
}

impl Call {
    pub(super) const fn new(started: Option<i64>, early: bool, strays_ended: u32, at: Instant, seq: Seq) -> Self {
        Self { started, at, seq, early, now: (0, 0), peak: (0, 0), ended: 0, ever: 0, strays_ended }
    }

    pub(super) const fn leg_joined(&mut self) {
        self.now.0 += 1;
        self.ever += 1;
    }

    /// Counts a leg that is in the call. `strays` may be in it, too.
    pub(super) fn count(&mut self, leg: &mut Leg, strays: u32) {
        let counts = leg.connected && !leg.deactivated && !leg.recording && !leg.streaming && !leg.distribution;
        match (leg.counted, counts) {
            (false, true) => self.now.1 += 1,
            (true, false) => self.now.1 = self.now.1.saturating_sub(1),
            _ => {}
        }
        leg.counted = counts;
        self.peak.0 = self.peak.0.max(self.now.1);
        self.peak.1 = self.peak.1.max(self.now.0 + strays);
    }

    /// A leg moved on.
    pub(super) fn leg_left(&mut self, leg: &mut Leg) {
        self.now.0 = self.now.0.saturating_sub(1);
        self.now.1 -= u32::from(std::mem::take(&mut leg.counted)).min(self.now.1);
    }

    /// How many of its legs may count as active or not.
    pub(super) fn latitude(&self) -> u32 {
        self.peak.1.saturating_sub(self.peak.0)
    }

    /// Whether legs are in it.
    pub(super) const fn has_legs(&self) -> bool {
        self.now.0 > 0
    }

    /// A leg ended in it.
    pub(super) fn leg_ended(&mut self, leg: &Leg) {
        let mut leg = *leg;
        let sure = leg.connected && !leg.recording && !leg.streaming && !leg.distribution;
        self.ended += u32::from(sure);
        self.leg_left(&mut leg);
    }
}

/// Judges what a callEnd adds up.
pub(super) fn call_end(facts: &Facts<'_>, call: &Call, strays: (u32, u32), moment: &mut Moment<'_>) {
    let loose = strays.0 + strays.1.wrapping_sub(call.strays_ended);
    let between = |number: u64, least: u32, most: u32| u64::from(least) <= number && number <= u64::from(most);
    if let Some(completed) = facts.number(FieldName::CallLegsCompleted) {
        let (least, most) = (call.ended, call.ever + loose);
        if between(completed, least, most) {
            moment.docket.tested(R::Rec06);
        } else {
            let expected = format!("callLegsCompleted {}", in_words(least, most));
            moment.fail(R::Rec06, &expected, completed.to_string(), &[call.seq]);
        }
    }
    if let Some(active) = facts.number(FieldName::CallLegsMaxActive) {
        let (least, most) = (call.peak.0, call.peak.1 + loose);
        if between(active, least, most) {
            moment.docket.tested(R::Rec07);
        } else {
            let expected = format!("callLegsMaxActive {}", in_words(least, most));
            moment.fail(R::Rec07, &expected, active.to_string(), &[call.seq]);
        }
    }
    let seen = moment.at.since(call.at);
    duration(facts, (call.started, call.started), (seen, seen), call.seq, moment);
}

fn in_words(least: u32, most: u32) -> String {
    if least == most { least.to_string() } else { format!("from {least} to {most}") }
}

/// Judges how long a leg took.
pub(super) fn leg_duration(facts: &Facts<'_>, leg: &Leg, moment: &mut Moment<'_>) {
    if leg.whole {
        let whole = moment.at.since(leg.start_seen);
        let connected = leg.connection_seen.map_or(Duration::ZERO, |seen| moment.at.since(seen));
        duration(facts, (leg.started, leg.connected_at), (connected, whole), leg.seq, moment);
    }
    let (active, whole) = (facts.number(FieldName::ActivatedDuration), facts.number(FieldName::DurationSeconds));
    if let (Some(active), Some(whole)) = (active, whole) {
        // Either may be rounded up.
        if active > whole.saturating_add(1) {
            let expected = format!("activatedDuration at most {whole}");
            moment.fail(R::Rec08, &expected, active.to_string(), &[]);
        } else {
            moment.docket.tested(R::Rec08);
        }
    }
}

/// Judges durationSeconds: counted from `first`, or from `last`, or from anywhere between. `seen` is how long it took as
/// the trace saw it, at least and at most, which counts where the clock of the Call Bridge was set meanwhile.
fn duration(
    facts: &Facts<'_>,
    (first, last): (Option<i64>, Option<i64>),
    seen: (Duration, Duration),
    started: Seq,
    moment: &mut Moment<'_>,
) {
    let told = facts.get(FieldName::DurationSeconds).and_then(|text| text.parse::<f64>().ok());
    let (Some(told), Some(first), Some(end)) =
        (told.filter(|told| told.is_finite() && *told >= 0.0), first, facts.time)
    else {
        return;
    };
    let told = (told * 1000.0) as i64;
    let longest = end.saturating_sub(first);
    let shortest = last.map_or(0, |last| end.saturating_sub(last)).min(longest);
    let within =
        |least: i64, most: i64| told >= least.saturating_sub(LATITUDE_MS) && told <= most.saturating_add(LATITUDE_MS);
    if longest < 0 || within(shortest, longest) || within(millis(seen.0), millis(seen.1)) {
        return moment.docket.tested(R::Rec08);
    }
    let expected = format!("durationSeconds {} from the times of start and end", longest / 1000);
    moment.fail(R::Rec08, &expected, (told / 1000).to_string(), &[started]);
}

pub(super) fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
