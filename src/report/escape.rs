//! Text of others made harmless: control characters, text direction, markup.
//!
//! What a target sends may hold anything. Every rendering sends such text through here before anything else.

use std::borrow::Cow;

/// The text with control characters and marks that change the direction of text written as `\u{1b}`.
pub fn clean(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hostile) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_hostile(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

/// The cleaned text, cut to `limit` characters with a note of how many are left out.
pub fn shortened(text: &str, limit: usize) -> String {
    let text = clean(text);
    match text.char_indices().nth(limit) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}… (+{} characters)", &text[..end], text[end..].chars().count()),
    }
}

/// Cleaned text for HTML, in elements and in quoted attributes.
pub fn html(text: &str) -> String {
    quick_xml::escape::escape(clean(text).as_ref()).into_owned()
}

/// Cleaned text for Markdown, where none of it is markup.
pub fn markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean(text).chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_is_left() {
        assert_eq!(clean("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
        assert_eq!(clean("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(clean("plain ü"), "plain ü");
    }

    #[test]
    fn markup_is_text() {
        assert_eq!(html("<script>\"&"), "&lt;script&gt;&quot;&amp;");
        assert_eq!(markdown("a|<b> `c`"), "a\\|&lt;b&gt; \\`c\\`");
    }

    #[test]
    fn long_text_is_cut_between_characters() {
        assert_eq!(shortened("äöü", 2), "äö… (+1 characters)");
        assert_eq!(shortened("äöü", 3), "äöü");
    }
}
