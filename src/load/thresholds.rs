//! What a metric has to meet, in the grammar of k6, and relative to an earlier run.
//!
//! ```text
//! condition = aggregate operator bound
//! aggregate = p(N) | med | avg | min | max        of the times, from the scheduled instant
//!           | count                               how many came about
//!           | rate                                the share that failed, from 0 to 1
//! operator  = < | <= | > | >= | == | === | !=
//! bound     = number [us | ms | s | m]            a time without a unit is in milliseconds, as in k6
//!           | baseline [* number]                 the same of the run that this one is compared with
//! ```
//!
//! Nothing measured never passes. What the baseline does not have, or what has none, is undecided: nothing is known to be worse.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::time::Duration;

use super::metric::Metric;
use super::metrics::Metrics;
use super::series::{Row, Series};

/// The words for what is asked of a metric.
pub const AGGREGATES: [&str; 7] = ["p(99)", "med", "avg", "min", "max", "count", "rate"];

/// The units of times, with their microseconds.
const UNITS: [(&str, f64); 5] = [("us", 1.0), ("µs", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6)];

/// A threshold of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Threshold {
    /// The metric.
    pub metric: Metric,
    /// What it has to meet.
    pub condition: Condition,
    /// When the load ends as soon as it is missed: how long after the beginning of the measured part it is looked at.
    pub abort: Option<Duration>,
}

/// What a metric has to meet.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition {
    /// As it was written.
    pub text: String,
    aggregate: Aggregate,
    operator: Operator,
    bound: Bound,
}

/// One number that stands for many.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Aggregate {
    /// A percentile, in percent.
    Percentile(f64),
    /// The mean.
    Average,
    /// The shortest.
    Min,
    /// The longest.
    Max,
    /// How many came about.
    Count,
    /// The share that failed.
    Rate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    AtMost,
    More,
    AtLeast,
    Equal,
    Unequal,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Bound {
    /// Microseconds, or a plain number.
    Value(f64),
    /// So many times what the baseline has.
    Baseline(f64),
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ConditionError {
    /// The place in the text, in bytes.
    pub at: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What would put it right.
    pub help: Option<String>,
    /// The words that may stand there, for suggestions.
    pub known: &'static [&'static str],
}

/// What became of a threshold.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The metric.
    pub metric: Metric,
    /// The condition, as written.
    pub expression: String,
    /// What was measured, in microseconds for times; `None` where nothing was.
    pub value: Option<f64>,
    /// What the value was compared with, likewise; `None` where the baseline does not have it.
    pub bound: Option<f64>,
    /// Whether it is relative to a baseline.
    pub is_relative: bool,
    /// Whether it was met.
    pub passed: bool,
    /// Whether it was missed in a way that nothing more that is measured could mend.
    pub is_missed_for_good: bool,
    /// What was measured and what with, in words.
    pub told: String,
}

/// What an earlier run measured in one scenario.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    rows: BTreeMap<Metric, Row>,
}

/// What an earlier run measured, scenario by scenario: loads that differ are not compared with each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Earlier {
    scenarios: BTreeMap<String, Baseline>,
}

impl Threshold {
    /// Whether it is met, by what was measured so far.
    pub fn judge(&self, metrics: &Metrics, baseline: Option<&Baseline>) -> Outcome {
        self.condition.judge(self.metric, &metrics.series(self.metric), baseline)
    }

    /// Whether the load has to end, so long after the measured part began: it is missed, by what its metric has so far, and
    /// is to end it.
    ///
    /// While nothing is measured yet, nothing is missed.
    pub fn aborts(&self, measured: Duration, series: &Series, baseline: Option<&Baseline>) -> bool {
        self.abort.is_some_and(|delay| measured >= delay) && {
            let outcome = self.condition.judge(self.metric, series, baseline);
            outcome.value.is_some() && outcome.bound.is_some() && !outcome.passed
        }
    }
}

impl Outcome {
    /// Whether nothing can be said of it: it is relative, and there is nothing that it could be compared with.
    pub const fn is_undecided(&self) -> bool {
        self.is_relative && self.bound.is_none()
    }

    /// The same of a threshold that ended the load since it was missed.
    pub(super) fn ending(self) -> Self {
        let told = format!("{}, and the load was ended", self.told);
        Self { passed: false, is_missed_for_good: true, told, ..self }
    }
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// The first thing that does not fit, with its place.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let mut reader = Reader { text, at: 0 };
        let aggregate = reader.aggregate()?;
        let operator = reader.operator()?;
        let bound = reader.bound(aggregate)?;
        reader.end()?;
        Ok(Self { text: text.trim().to_owned(), aggregate, operator, bound })
    }

    /// Whether it compares with an earlier run.
    pub const fn is_relative(&self) -> bool {
        matches!(self.bound, Bound::Baseline(_))
    }

    /// What is asked of the metric.
    pub const fn aggregate(&self) -> Aggregate {
        self.aggregate
    }

    /// Whether a series meets it.
    pub fn judge(&self, metric: Metric, series: &Series, baseline: Option<&Baseline>) -> Outcome {
        let value = self.aggregate.of(series);
        let old = baseline.and_then(|run| run.value(metric, self.aggregate));
        let bound = match self.bound {
            Bound::Value(bound) => Some(bound),
            Bound::Baseline(factor) => old.map(|old| old * factor),
        };
        let passed = value.zip(bound).is_some_and(|(value, bound)| self.operator.holds(value, bound));
        let shown = |value: f64| self.aggregate.show(value);
        let told = match (value, bound) {
            (None, _) => "nothing was measured".to_owned(),
            (Some(value), None) if baseline.is_none() => {
                format!("{}, and no baseline was given: --baseline FILE", shown(value))
            }
            (Some(value), None) => format!("{}, and the baseline has no such value", shown(value)),
            (Some(value), Some(bound)) if self.is_relative() => {
                let old = shown(old.unwrap_or_default());
                format!("{}, where the baseline's {old} allows {}", shown(value), shown(bound))
            }
            (Some(value), Some(_)) => shown(value),
        };
        let is_relative = self.is_relative();
        let is_beyond = value.zip(bound).is_some_and(|(value, bound)| self.is_beyond(value, bound));
        let is_missed_for_good = !passed && is_beyond;
        Outcome { metric, expression: self.text.clone(), value, bound, is_relative, passed, is_missed_for_good, told }
    }

    /// Whether the value of a part has gone past the bound to a side from which the value of the whole cannot come back:
    /// counts and maxima only rise, minima only fall, and all else may go either way.
    fn is_beyond(&self, value: f64, bound: f64) -> bool {
        let (rises, falls) = (self.operator.holds_above(), self.operator.holds_below());
        match self.aggregate {
            Aggregate::Count | Aggregate::Max => !rises && value >= bound,
            Aggregate::Min => !falls && value <= bound,
            Aggregate::Percentile(_) | Aggregate::Average | Aggregate::Rate => false,
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Aggregate {
    /// The value of a series; `None` where it has none.
    pub fn of(self, series: &Series) -> Option<f64> {
        let values = series.histogram().filter(|values| !values.is_empty());
        match self {
            Self::Percentile(percent) => {
                // Just below: 28 % of 175 are 49, which a product in floating point is a trifle more than.
                let quantile = percent / 100.0 * (1.0 - 4.0 * f64::EPSILON);
                values.map(|values| values.value_at_quantile(quantile) as f64)
            }
            Self::Average => values.map(|values| values.mean()),
            Self::Min => values.map(|values| values.min() as f64),
            Self::Max => values.map(|values| values.max() as f64),
            Self::Count => (series.count() + series.errors() > 0).then(|| series.count() as f64),
            Self::Rate => series.failure_rate(),
        }
    }

    /// Whether it is a length of time.
    pub const fn is_time(self) -> bool {
        !matches!(self, Self::Count | Self::Rate)
    }

    /// A value of it as people read it: with its unit, if it has one.
    fn show(self, value: f64) -> String {
        match value {
            _ if !self.is_time() => format!("{}", (value * 1e6).round() / 1e6),
            0.0..1e3 => format!("{} us", value.round()),
            1e3..1e6 => format!("{} ms", (value / 10.0).round() / 100.0),
            _ => format!("{} s", (value / 1e4).round() / 100.0),
        }
    }
}

impl Operator {
    /// Whether there are values above the bound for which it holds.
    const fn holds_above(self) -> bool {
        matches!(self, Self::More | Self::AtLeast | Self::Unequal)
    }

    /// Whether there are values below the bound for which it holds.
    const fn holds_below(self) -> bool {
        matches!(self, Self::Less | Self::AtMost | Self::Unequal)
    }

    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Less => value < bound,
            Self::AtMost => value <= bound,
            Self::More => value > bound,
            Self::AtLeast => value >= bound,
            // Numbers that a person writes and that are computed differ in their last digits.
            Self::Equal => (value - bound).abs() <= bound.abs() * 1e-12,
            Self::Unequal => !Self::Equal.holds(value, bound),
        }
    }
}

impl Baseline {
    /// A value of the earlier run, if its report has it.
    pub fn value(&self, metric: Metric, aggregate: Aggregate) -> Option<f64> {
        let row = self.rows.get(&metric)?;
        let timed = |us: u64| (row.count > 0).then_some(us as f64);
        let all = row.count + row.errors;
        match aggregate {
            Aggregate::Percentile(50.0) => timed(row.p50_us),
            Aggregate::Percentile(90.0) => timed(row.p90_us),
            Aggregate::Percentile(99.0) => timed(row.p99_us),
            Aggregate::Percentile(99.9) => timed(row.p99_9_us),
            Aggregate::Min => timed(row.min_us),
            Aggregate::Max | Aggregate::Percentile(100.0) => timed(row.max_us),
            Aggregate::Count => (all > 0).then_some(row.count as f64),
            Aggregate::Rate => (all > 0).then(|| row.errors as f64 / all as f64),
            Aggregate::Percentile(_) | Aggregate::Average => None,
        }
    }
}

impl Earlier {
    /// Takes what it says of a metric in a scenario.
    pub fn insert(&mut self, scenario: &str, metric: Metric, row: Row) {
        self.scenarios.entry(scenario.to_owned()).or_default().rows.insert(metric, row);
    }

    /// What a scenario is compared with; nothing is in it where the run did not have that scenario.
    pub fn of(&self, scenario: &str) -> &Baseline {
        static NOTHING: Baseline = Baseline { rows: BTreeMap::new() };
        self.scenarios.get(scenario).unwrap_or(&NOTHING)
    }
}

/// Reads a condition from left to right.
struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn skip_spaces(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    /// The characters from here on that belong together.
    fn word(&mut self, belongs: impl Fn(char) -> bool) -> (&'t str, Range<usize>) {
        self.skip_spaces();
        let rest = &self.text[self.at..];
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        let range = self.at..self.at + length;
        self.at = range.end;
        (&self.text[range.clone()], range)
    }

    /// The rest of the text, or its last character where there is no rest.
    fn rest(&self) -> Range<usize> {
        let last = self.text.char_indices().next_back().map_or(0, |(at, _)| at);
        let end = self.text.trim_end().len();
        if self.at < end { self.at..end } else { last..self.text.len() }
    }

    fn aggregate(&mut self) -> Result<Aggregate, ConditionError> {
        let (word, range) = self.word(char::is_alphanumeric);
        match word {
            "p" => self.percentile(range.start),
            "med" => Ok(Aggregate::Percentile(50.0)),
            "avg" => Ok(Aggregate::Average),
            "min" => Ok(Aggregate::Min),
            "max" => Ok(Aggregate::Max),
            "count" => Ok(Aggregate::Count),
            "rate" => Ok(Aggregate::Rate),
            "" => Err(error(self.rest(), "a threshold begins with what is asked of the metric", &AGGREGATES)),
            percentile if percentile.strip_prefix('p').is_some_and(|digits| digits.parse::<f64>().is_ok()) => {
                let help = format!("write `p({})`", &percentile[1..]);
                Err(ConditionError { help: Some(help), ..error(range, format!("`{word}` is no percentile"), &[]) })
            }
            _ => Err(error(range, format!("`{word}` is nothing that can be asked of a metric"), &AGGREGATES)),
        }
    }

    /// What stands in the brackets after `p`.
    fn percentile(&mut self, start: usize) -> Result<Aggregate, ConditionError> {
        let (open, _) = self.word(|c| c == '(');
        let (number, range) = self.word(|c| c.is_ascii_digit() || c == '.');
        let (close, _) = self.word(|c| c == ')');
        let help = Some("write `p(99)` or `p(99.9)`".to_owned());
        if open != "(" || close != ")" || number.is_empty() {
            let whole = start..self.at.max(start + 1);
            return Err(ConditionError { help, ..error(whole, "`p` takes a percentage in brackets", &[]) });
        }
        match number.parse::<f64>() {
            Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(Aggregate::Percentile(percent)),
            _ => Err(ConditionError { help, ..error(range, format!("`{number}` is no percentage above 0"), &[]) }),
        }
    }

    fn operator(&mut self) -> Result<Operator, ConditionError> {
        const OPERATORS: [&str; 6] = ["<", "<=", ">", ">=", "==", "!="];
        let (sign, range) = self.word(|c| "<>=!~".contains(c));
        match sign {
            "<" => Ok(Operator::Less),
            "<=" => Ok(Operator::AtMost),
            ">" => Ok(Operator::More),
            ">=" => Ok(Operator::AtLeast),
            "==" | "===" => Ok(Operator::Equal),
            "!=" => Ok(Operator::Unequal),
            "" => Err(error(self.rest(), "here a comparison is missing", &OPERATORS)),
            _ => {
                let help = match sign {
                    "=" => Some("write `==`, or better `<=` or `>=`".to_owned()),
                    "=<" => Some("did you mean `<=`?".to_owned()),
                    "=>" => Some("did you mean `>=`?".to_owned()),
                    _ => None,
                };
                Err(ConditionError { help, ..error(range, format!("`{sign}` is no comparison"), &OPERATORS) })
            }
        }
    }

    fn bound(&mut self, aggregate: Aggregate) -> Result<Bound, ConditionError> {
        self.skip_spaces();
        if self.text[self.at..].starts_with(|c: char| c.is_alphabetic()) {
            let (word, range) = self.word(char::is_alphanumeric);
            if word != "baseline" {
                return Err(error(range, format!("`{word}` is no value"), &["baseline"]));
            }
            self.skip_spaces();
            if !self.text[self.at..].starts_with('*') {
                return Ok(Bound::Baseline(1.0));
            }
            self.at += 1;
            return Ok(Bound::Baseline(self.number()?.0));
        }
        let (number, range) = self.number()?;
        let (unit, place) = self.word(|c| c.is_alphabetic() || c == '%');
        if !aggregate.is_time() {
            if unit.is_empty() {
                if aggregate == Aggregate::Rate && number > 1.0 {
                    let help = Some(format!("for {number} % write `{}`", number / 100.0));
                    return Err(ConditionError { help, ..error(range, "a share is at most 1", &[]) });
                }
                return Ok(Bound::Value(number));
            }
            let help = (unit == "%").then(|| format!("for {number} % write `{}`", number / 100.0));
            let what = if aggregate == Aggregate::Rate { "`rate` is a share" } else { "`count` is a number" };
            return Err(ConditionError { help, ..error(place, format!("{what} and has no unit"), &[]) });
        }
        match UNITS.iter().find(|(name, _)| *name == unit) {
            Some((_, micros)) => Ok(Bound::Value(number * micros)),
            None if unit.is_empty() => Ok(Bound::Value(number * 1e3)),
            None => Err(error(place, format!("`{unit}` is no unit of time"), &["us", "ms", "s", "m"])),
        }
    }

    fn number(&mut self) -> Result<(f64, Range<usize>), ConditionError> {
        let (digits, range) = self.word(|c| c.is_ascii_digit() || c == '.');
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok((number, range)),
            _ if digits.is_empty() => {
                let help = Some("such as `250ms`, `0.01` or `baseline * 1.10`".to_owned());
                Err(ConditionError { help, ..error(self.rest(), "here a number is missing", &[]) })
            }
            _ => Err(error(range, format!("`{digits}` is no number"), &[])),
        }
    }

    fn end(&mut self) -> Result<(), ConditionError> {
        self.skip_spaces();
        if self.at == self.text.len() {
            return Ok(());
        }
        let help = Some("a threshold is one comparison; write several into the list".to_owned());
        Err(ConditionError { help, ..error(self.rest(), "nothing can follow here", &[]) })
    }
}

fn error(at: Range<usize>, message: impl Into<String>, known: &'static [&'static str]) -> ConditionError {
    ConditionError { at, message: message.into(), help: None, known }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn series(times_ms: impl IntoIterator<Item = u64>, failures: u64) -> Series {
        let mut series = Series::default();
        times_ms.into_iter().for_each(|ms| series.record(Duration::from_millis(ms)));
        (0..failures).for_each(|_| series.fail("timeout"));
        series
    }

    fn passes(text: &str, series: &Series) -> bool {
        Condition::parse(text).unwrap().judge(Metric::Update, series, None).passed
    }

    #[test]
    fn the_grammar_of_k6_is_read_and_judged() {
        let series = series(1..=1000, 10);
        for text in [
            "p(99)<1s",
            "p(99) < 1000ms",
            "p(99.9)<=1.01s",
            "p(99)<995",
            "p(50)>=500ms",
            "med>499ms",
            "med <= 501ms",
            "avg<502ms",
            "avg>499000us",
            "min<2ms",
            "max>=1s",
            "max<1m",
            "count==1000",
            "count===1000",
            "count!=999",
            "rate<0.01",
            "rate>0.009",
            "  p( 99 ) <  2s ",
        ] {
            assert!(passes(text, &series), "{text}");
        }
        for text in
            ["p(99)<980ms", "med<499ms", "min>1.1ms", "max<1s", "count<1000", "count!=1000", "rate==0", "rate<0.009"]
        {
            assert!(!passes(text, &series), "{text}");
        }
    }

    #[test]
    fn what_was_not_measured_never_passes() {
        for text in ["p(99)<1s", "p(99)>0", "avg!=5s", "count<5", "count>=0", "rate<1", "rate==0", "p(99)<=baseline"] {
            assert!(!passes(text, &Series::default()), "{text}");
        }
        let failed = series([], 3);
        assert!(
            !passes("max<1h".replace('h', "m").as_str(), &failed)
                && passes("count==0", &failed)
                && passes("rate==1", &failed)
        );
    }

    #[test]
    fn a_baseline_is_compared_with_where_it_has_the_value() {
        let mut earlier = Earlier::default();
        let row = |p99_us| Row { count: 99, errors: 1, p99_us, ..Row::default() };
        earlier.insert("load/other", Metric::Update, row(1));
        earlier.insert("load/steady", Metric::Update, row(100_000));
        earlier.insert("load/steady", Metric::Api, row(2));
        assert_eq!(earlier.of("load/new"), &Baseline::default());
        let baseline = earlier.of("load/steady").clone();
        let judge = |text: &str, ms: u64| {
            Condition::parse(text).unwrap().judge(Metric::Update, &series([ms], 0), Some(&baseline))
        };
        assert!(judge("p(99) <= baseline * 1.10", 109).passed && !judge("p(99) <= baseline * 1.10", 112).passed);
        assert!(judge("p(99)<=baseline", 99).passed && judge("rate<=baseline", 5).passed);
        let missing = judge("p(95) < baseline * 2", 1);
        assert!(!missing.passed && missing.told.contains("baseline has no such value"), "{missing:?}");
        let none = Condition::parse("p(99) < baseline").unwrap().judge(Metric::Update, &series([1], 0), None);
        assert_eq!(none.told, "1 ms, and no baseline was given: --baseline FILE");
        assert!(none.is_undecided() && missing.is_undecided() && !judge("p(99) < baseline", 5).is_undecided());
        assert_eq!(judge("p(99) < baseline*1.1", 200).told, "200.06 ms, where the baseline's 100 ms allows 110 ms");
        assert!(judge("p(99) < baseline", 5).is_relative && !judge("p(99) < 5ms", 5).is_relative);
    }

    #[test]
    fn an_error_has_its_place_and_what_was_meant() {
        for (text, place, message) in [
            ("p99<250ms", "p99", "no percentile"),
            ("mean<250ms", "mean", "nothing that can be asked"),
            ("p(101)<1s", "101", "no percentage"),
            ("p(0)<1s", "0", "no percentage"),
            ("p<1s", "p", "in brackets"),
            ("p(99)=1s", "=", "no comparison"),
            ("p(99) 1s", "1s", "comparison is missing"),
            ("p(99)<250 msec", "msec", "no unit of time"),
            ("p(99)<-5ms", "-5ms", "number is missing"),
            ("p(99)<", "<", "number is missing"),
            ("p(99)<1.2.3s", "1.2.3", "no number"),
            ("rate<1%", "%", "has no unit"),
            ("rate<5", "5", "at most 1"),
            ("count<5ms", "ms", "has no unit"),
            ("p(99)<basline*2", "basline", "no value"),
            ("p(99)<1s && p(50)<1s", "&& p(50)<1s", "nothing can follow"),
            ("<5", "<5", "begins with"),
            ("", "", "begins with"),
        ] {
            let found = Condition::parse(text).expect_err(text);
            assert!(found.message.contains(message), "{text}: {found:?}");
            assert_eq!(&text[found.at.clone()], place, "{text}: {found:?}");
        }
        assert_eq!(Condition::parse("p95<1s").unwrap_err().help.unwrap(), "write `p(95)`");
        assert_eq!(Condition::parse("p(99)=<1s").unwrap_err().help.unwrap(), "did you mean `<=`?");
        assert_eq!(Condition::parse("rate<1%").unwrap_err().help.unwrap(), "for 1 % write `0.01`");
    }

    #[test]
    fn only_what_more_cannot_mend_is_missed_for_good() {
        let of = |text: &str| Condition::parse(text).unwrap().judge(Metric::Update, &series([10, 20, 30], 3), None);
        for text in ["max<30ms", "max<=29ms", "count<3", "count<=2", "count==2", "max==20ms", "min>10ms", "min==11ms"] {
            let found = of(text);
            assert!(!found.passed && found.is_missed_for_good, "{text}: {found:?}");
        }
        let mendable = ["count>1000", "count>=4", "count!=3", "count==4", "max>1s", "max==1s", "min<1ms", "min!=10ms"];
        for text in mendable.into_iter().chain(["p(99)<1ms", "avg<1ms", "med>1s", "rate<0.1", "rate>0.9"]) {
            let found = of(text);
            assert!(!found.passed && !found.is_missed_for_good, "{text}: {found:?}");
        }
        assert!(["max<1s", "count<9", "min>1ms"].iter().all(|text| !of(text).is_missed_for_good));
    }

    #[test]
    fn a_load_ends_early_only_where_it_was_asked_to_and_something_is_missed() {
        let threshold = |text: &str, abort: Option<u64>| Threshold {
            metric: Metric::Update,
            condition: Condition::parse(text).unwrap(),
            abort: abort.map(Duration::from_secs),
        };
        let mut metrics = Metrics::new(crate::time::Instant::ZERO);
        let second = Duration::from_secs;
        assert!(!threshold("rate<0.1", Some(0)).aborts(second(5), &metrics.series(Metric::Update), None));
        metrics.add(Metric::UpdateMute, &series([], 1));
        assert!(threshold("rate<0.1", Some(0)).aborts(second(5), &metrics.series(Metric::Update), None));
        assert!(!threshold("rate<0.1", Some(10)).aborts(second(5), &metrics.series(Metric::Update), None));
        assert!(!threshold("rate<0.1", None).aborts(second(5), &metrics.series(Metric::Update), None));
        assert!(!threshold("p(99)<1ms", Some(0)).aborts(second(5), &metrics.series(Metric::Update), None));
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[-a-z0-9()<>=!*.% µ]{0,24}") {
            if let Err(found) = Condition::parse(&text) {
                prop_assert!(text.get(found.at).is_some());
            }
        }

        #[test]
        fn exactly_one_of_a_comparison_and_its_opposite_holds(
            times in prop::collection::vec(1..5000_u64, 1..40), percent in 1..=100_u32, bound in 1..5000_u64,
        ) {
            let series = series(times, 0);
            for (sign, opposite) in [("<", ">="), (">", "<="), ("==", "!=")] {
                let held = |sign: &str| passes(&format!("p({percent}){sign}{bound}ms"), &series);
                prop_assert!(held(sign) != held(opposite));
            }
        }

        #[test]
        fn percentiles_are_those_of_the_values(times in prop::collection::vec(1..100_000_u64, 1..200), percent in 1..=100_u32) {
            let mut sorted = times.clone();
            sorted.sort_unstable();
            let rank = (times.len() * percent as usize).div_ceil(100).max(1);
            let exact = sorted[rank - 1] as f64 * 1e3;
            let found = Aggregate::Percentile(f64::from(percent)).of(&series(times, 0)).unwrap();
            prop_assert!((found - exact).abs() <= exact * 0.001 + 1.0, "{} {}", found, exact);
        }
    }
}
