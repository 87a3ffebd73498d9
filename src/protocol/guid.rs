//! GUIDs as numbers: the guides do not say whether their digits are upper or lower case.

/// A GUID as a number, whatever the case of its digits.
pub fn number(text: &str) -> Option<u128> {
    let bytes: &[u8; 36] = text.as_bytes().try_into().ok()?;
    let mut number = 0_u128;
    for (at, byte) in bytes.iter().enumerate() {
        let digit = match (at, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            (_, b'A'..=b'F') => byte - b'A' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_the_same_number_however_it_is_spelt() {
        assert_eq!(number("00000000-0000-0000-0000-00000000001f"), Some(31));
        assert_eq!(number("97C771AE-FC2E-4257-B129-30EE818E034B"), number("97c771ae-fc2e-4257-b129-30ee818e034b"));
        for wrong in ["", "97c771aefc2e4257b12930ee818e034b0000", "97c771ae-fc2e-4257-b129-30ee818e034g"] {
            assert_eq!(number(wrong), None, "{wrong}");
        }
    }
}
