//! How long updates were under way, from the server's write to the client's look at them.

use std::io::Write as _;

use hdrhistogram::Histogram;

/// What stands before the stamp in an update.
const BEFORE: &[u8] = br#""updateType":"update","name":""#;

/// How long updates were under way. Printed each half second that something arrived in.
#[derive(Debug)]
pub(crate) struct UnderWay {
    seen: Histogram<u64>,
    told_ns: u64,
}

impl UnderWay {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        let seen = Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds are in order");
        Self { seen, told_ns: 0 }
    }

    /// Takes the text of an update that is looked at now.
    pub(crate) fn take(&mut self, text: &[u8], now_ns: u64) {
        let Some(begin) = memchr::memmem::find(text, BEFORE).map(|at| at + BEFORE.len()) else { return };
        let digits = text[begin..].iter().take_while(|byte| byte.is_ascii_digit());
        let sent_ns = digits.fold(0_u64, |number, digit| number.wrapping_mul(10) + u64::from(digit - b'0'));
        // A value beyond a minute would be a fault of the measurement.
        self.seen.record(now_ns.saturating_sub(sent_ns).max(1)).expect("it took less than a minute");
        if now_ns - self.told_ns > 500_000_000 {
            if self.told_ns > 0 && self.seen.len() > 100 {
                let (p50, p99) = (self.seen.value_at_quantile(0.5), self.seen.value_at_quantile(0.99));
                let mut out = std::io::stdout().lock();
                // Where nobody reads any more, the process is about to be ended.
                let _ = writeln!(out, "under-way {p50} {p99}").and_then(|()| out.flush());
            }
            self.told_ns = now_ns;
            self.seen.reset();
        }
    }
}
