//! The attributes of a record, read in one pass.

use crate::protocol::cdr::Record;
use crate::protocol::cdr::names::MISSING;

/// A number that may be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Number {
    #[default]
    Absent,
    /// It is there and is no number.
    Wrong,
    Is(u64),
}

impl Number {
    fn of(text: &str) -> Self {
        index_of(Some(text)).map_or(Self::Wrong, Self::Is)
    }

    /// The number, if it is one.
    pub(super) const fn get(self) -> Option<u64> {
        match self {
            Self::Is(number) => Some(number),
            _ => None,
        }
    }
}

/// An index: decimal digits.
pub(super) fn index_of(text: Option<&str>) -> Option<u64> {
    let bytes = text?.as_bytes();
    if bytes.is_empty() || bytes.len() > 20 {
        return None;
    }
    bytes.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit < 10).then_some(())?;
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The attributes of one record.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Attributes<'a> {
    pub(super) time: Option<&'a str>,
    pub(super) index: Number,
    pub(super) record_index: Number,
    pub(super) missing: Number,
    /// How the count of discarded records is spelt.
    pub(super) spelling: Option<&'static str>,
}

impl<'a> Attributes<'a> {
    /// Those of a record.
    pub(super) fn of(record: Record<'a>) -> Self {
        let mut found = Self::default();
        for (name, value) in record.attributes() {
            match name {
                "time" => found.time = Some(value),
                "correlatorIndex" => found.index = Number::of(value),
                "recordIndex" => found.record_index = Number::of(value),
                _ => {
                    if let Some(spelling) = MISSING.iter().find(|spelling| **spelling == name) {
                        found.missing = Number::of(value);
                        found.spelling = Some(spelling);
                    }
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_is_a_row_of_digits() {
        assert_eq!(index_of(Some("0")), Some(0));
        assert_eq!(index_of(Some("18446744073709551615")), Some(u64::MAX));
        for wrong in ["", "-1", "+1", "1.0", "1:", " 1", "18446744073709551616", "x"] {
            assert_eq!(index_of(Some(wrong)), None, "{wrong}");
        }
        assert_eq!(index_of(None), None);
    }
}
