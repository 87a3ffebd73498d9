//! Numbers as people read them: lengths of time and counted things.

/// A length of time in the unit that fits: `34 ms`, `6.1 s`, `60 s`, `2 min 9 s`.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        10_000..120_000 => format!("{} s", ms / 1_000),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

/// A length of time in microseconds with three digits: `870 us`, `1.23 ms`, `12.3 s`.
pub fn brief(us: u64) -> String {
    let (value, unit) = match us {
        0..1_000 => return format!("{us} us"),
        1_000..1_000_000 => (us as f64 / 1e3, "ms"),
        _ => (us as f64 / 1e6, "s"),
    };
    let decimals = if value < 9.995 { 2 } else { usize::from(value < 99.95) };
    format!("{value:.decimals$} {unit}")
}

/// So many of something, whose plural ends in s: `1 finding`, `2 findings`.
pub fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_shown_in_the_unit_that_fits() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_000, "1.0 s"),
            (6_199, "6.1 s"),
            (60_001, "60 s"),
            (129_000, "2 min 9 s"),
        ];
        for (ms, text) in cases {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn a_short_time_has_three_digits() {
        let cases = [
            (0, "0 us"),
            (999, "999 us"),
            (1_000, "1.00 ms"),
            (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (99_960, "100 ms"),
            (3_600_000_000, "3600 s"),
        ];
        for (us, text) in cases {
            assert_eq!(brief(us), text);
        }
    }

    #[test]
    fn one_thing_has_no_plural() {
        assert_eq!((counted(0, "finding"), counted(1, "finding")), ("0 findings".to_owned(), "1 finding".to_owned()));
    }
}
