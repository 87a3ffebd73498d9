//! Times of records: RFC 3339, in UTC (CDR-07).

/// Milliseconds since 1970 of an instant in RFC 3339 format whose offset is zero.
pub(super) fn unix_millis(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !bytes.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| {
        bytes[from..to]
            .iter()
            .try_fold(0_i64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + i64::from(byte - b'0')))
    };
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|(at, wanted)| bytes[*at] != *wanted) || !matches!(bytes[10], b'T' | b't' | b' ') {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_order = (1..=12).contains(&month)
        && (1..=days_of(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let mut rest = &text[19..];
    let mut millis = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return None;
        }
        let digit = |at: usize| if at < digits { i64::from(fraction.as_bytes()[at] - b'0') } else { 0 };
        millis = digit(0) * 100 + digit(1) * 10 + digit(2);
        rest = &fraction[digits..];
    }
    let utc = matches!(rest, "Z" | "z" | "+00:00" | "-00:00");
    (in_order && utc)
        .then(|| ((days_since_1970(year, month, day) * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + millis)
}

const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days of the Gregorian calendar, counted in years that begin in March so that a leap day comes last.
const fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_read_as_another_reader_does() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2015-07-23T07:32:55Z",
            "2024-02-29T23:59:59.999Z",
            "2026-12-31t10:00:00.5z",
            "2000-03-01T00:00:00+00:00",
            "2096-02-29T00:00:00.123456789Z",
        ] {
            let expected: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(unix_millis(text), Some(expected.as_millisecond()), "{text}");
        }
        assert_eq!(unix_millis("2016-12-31T23:59:60Z"), unix_millis("2017-01-01T00:00:00Z"));
    }

    #[test]
    fn other_forms_and_zones_are_none() {
        for text in [
            "",
            "2015-07-23 07:32",
            "2015-07-23T07:32:55",
            "2015-07-23T07:32:55+09:00",
            "2015-02-29T07:32:55Z",
            "2015-13-01T07:32:55Z",
            "2015-07-23T24:00:00Z",
            "2015-07-23T07:60:00Z",
            "2015-07-23T07:00:61Z",
            "2015x07-23T07:32:55Z",
            "2015-07-23T07x32:55Z",
            "2015-07-23x07:32:55Z",
            "2015-07-23T07:32:55.Z",
            "20150723T073255Z00000",
            "2015-07-23T07:32:55 Z",
            "1437636775000000000000",
        ] {
            assert_eq!(unix_millis(text), None, "{text}");
        }
    }
}
