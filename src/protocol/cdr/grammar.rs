//! The parts of the XML grammar that quick-xml leaves to its caller (XML 1.0, sections 2.2, 2.3 and 4.1): which
//! characters may stand in a document and in a name, and what references stand for.

/// Where the first character is that no document may hold.
pub(super) fn forbidden_character(text: &str) -> Option<usize> {
    // Most bodies have none: that is found out in one pass over the bytes, without asking where.
    let is_suspect = |byte: u8| (byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r')) || byte == 0xEF;
    if !text.as_bytes().iter().fold(false, |any, byte| any | is_suspect(*byte)) {
        return None;
    }
    text.char_indices().find(|(_, character)| !is_character(*character)).map(|(at, _)| at)
}

/// `Char`
pub(super) const fn is_character(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// `Name`
pub(super) fn is_name(name: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.bytes().all(is_plain) && name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit()) {
        return true;
    }
    let mut characters = name.chars();
    characters.next().is_some_and(starts_name) && characters.all(|c| starts_name(c) || continues_name(c))
}

/// `NameStartChar`
const fn starts_name(character: char) -> bool {
    matches!(character, ':' | '_' | 'A'..='Z' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}' | '\u{200C}'..='\u{200D}'
        | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}' | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}'
        | '\u{FDF0}'..='\u{FFFD}' | '\u{10000}'..='\u{EFFFF}')
}

/// What `NameChar` has beyond `NameStartChar`.
const fn continues_name(character: char) -> bool {
    matches!(character, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// What a reference stands for, given what is between `&` and `;`: a character or one of the five predefined entities.
pub(super) fn reference(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => {
            let digits = name.strip_prefix('#')?;
            let (digits, radix) = digits.strip_prefix('x').map_or((digits, 10), |digits| (digits, 16));
            if digits.is_empty() || !digits.bytes().all(|byte| char::from(byte).is_digit(radix)) {
                return None;
            }
            char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|character| is_character(*character))?
        }
    })
}

/// White space of XML.
pub(super) const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Cuts white space of XML off both ends.
pub(super) fn trim(text: &str) -> &str {
    match text.as_bytes() {
        [first, .., last] if !is_space(*first) && !is_space(*last) => text,
        _ => text.trim_matches([' ', '\t', '\n', '\r']),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_stand_for_characters_that_a_document_may_hold() {
        let found: Vec<_> =
            ["amp", "#65", "#x41", "#x1F600", "#0", "#xD800", "#", "#x", "#+65", "nbsp", "AMP", "#99999999999"]
                .map(reference)
                .to_vec();
        let mut expected = vec![Some('&'), Some('A'), Some('A'), Some('😀')];
        expected.resize(12, None);
        assert_eq!(found, expected);
    }

    #[test]
    fn names_and_characters_are_told_apart_from_what_looks_like_them() {
        for name in ["a", "_1", "a-b.c", "x:y", "通話", "é·"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "1a", "-a", "a b", "a\"", "a<b", "·", "a/"] {
            assert!(!is_name(name), "{name}");
        }
        assert_eq!(forbidden_character("a\tb\r\n é 通 \u{FFFD}"), None);
        assert_eq!(forbidden_character("ab\u{0}"), Some(2));
        assert_eq!(forbidden_character("é\u{FFFF}"), Some(2));
    }
}
