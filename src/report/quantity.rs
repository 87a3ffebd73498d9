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
    fn one_thing_has_no_plural() {
        assert_eq!((counted(0, "finding"), counted(1, "finding")), ("0 findings".to_owned(), "1 finding".to_owned()));
    }
}
