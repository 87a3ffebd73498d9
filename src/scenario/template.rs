//! Templates: text with `${...}` in it, and the values that come of them.
//!
//! The grammar, complete:
//!
//! ```text
//! template    := (text | "$${" | reference)*        "$${" stands for the text "${"
//! reference   := "${" name [" + " number | " - " number] "}"
//! name        := (letters, digits, "-", "_", "." | reference)+
//! ```
//!
//! A name is resolved from the inside out, so `${call-${n}}` with n = 3 is the value of `call-3`. What values there are
//! is the caller's knowledge; nothing here has state. [`super::syntax`] tells which names are built in.

use std::fmt;

use super::syntax::Template;

/// How deep references may lie inside one another.
pub const MAX_DEPTH: usize = 8;

/// A template that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parsed {
    /// Its parts in order.
    pub parts: Vec<Part>,
}

/// A part of a template, or of a name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stands for itself.
    Text(String),
    /// `${...}`
    Reference(Reference),
}

/// One `${...}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The name, which may itself hold references.
    pub name: Vec<Part>,
    /// What is added to the value; 0 where no sum is written.
    pub add: i64,
    /// Whether a sum is written: then the value has to be a whole number.
    pub sum: bool,
}

/// Why a template cannot be read or has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A reference that does not end.
    #[error("`${{` without its `}}`")]
    Open,
    /// A reference without a name.
    #[error("`${{}}` names nothing")]
    NoName,
    /// A character that no name has.
    #[error("`{0}` cannot stand in a name; a name has letters, digits, `-`, `_` and `.`")]
    Character(char),
    /// References inside references, too deep.
    #[error("references lie more than {MAX_DEPTH} deep inside one another")]
    Deep,
    /// A sum without a whole number.
    #[error("`{0}` is no whole number to add or subtract")]
    Summand(String),
    /// A name that has no value.
    #[error("`{0}` has no value here")]
    Unbound(String),
    /// A sum with a value that is no whole number, or whose result is too large.
    #[error("`{name}` is `{value}`, which cannot be reckoned with as a whole number")]
    NoNumber {
        /// The name.
        name: String,
        /// Its value.
        value: String,
    },
}

impl Parsed {
    /// The value, where `lookup` knows the values of names.
    ///
    /// # Errors
    /// If a name has no value, or a sum no whole number.
    pub fn resolve(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
        resolve_parts(&self.parts, lookup)
    }

    /// All references, the inner ones before those they stand in.
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        collect(&self.parts, &mut found);
        found
    }
}

impl Reference {
    /// The name, if it is written out and not made by references.
    pub fn plain_name(&self) -> Option<&str> {
        match self.name.as_slice() {
            [Part::Text(name)] => Some(name),
            _ => None,
        }
    }
}

fn collect<'p>(parts: &'p [Part], found: &mut Vec<&'p Reference>) {
    for part in parts {
        if let Part::Reference(reference) = part {
            collect(&reference.name, found);
            found.push(reference);
        }
    }
}

fn resolve_parts(parts: &[Part], lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
    let mut out = String::new();
    for part in parts {
        match part {
            Part::Text(text) => out.push_str(text),
            Part::Reference(reference) => out.push_str(&resolve_reference(reference, lookup)?),
        }
    }
    Ok(out)
}

fn resolve_reference(reference: &Reference, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
    let name = resolve_parts(&reference.name, lookup)?;
    let Some(value) = lookup(&name) else { return Err(TemplateError::Unbound(name)) };
    if !reference.sum {
        return Ok(value);
    }
    match value.trim().parse::<i64>().ok().and_then(|number| number.checked_add(reference.add)) {
        Some(number) => Ok(number.to_string()),
        None => Err(TemplateError::NoNumber { name, value }),
    }
}

impl Template {
    /// Reads the template.
    ///
    /// # Errors
    /// If a `${...}` in it does not fit the grammar.
    pub fn parse(&self) -> Result<Parsed, TemplateError> {
        parse(&self.0)
    }

    /// The value, where `lookup` knows the values of names.
    ///
    /// # Errors
    /// If it cannot be read, a name has no value, or a sum no whole number.
    pub fn resolve(&self, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
        if self.0.contains('$') { self.parse()?.resolve(lookup) } else { Ok(self.0.clone()) }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Replaces the templates in every text of a JSON value (not in the names of fields).
///
/// A text that is nothing but one `${...}` and comes out as a whole number becomes a number, so that
/// `messageId: ${alice.last}` has the type that the wire wants.
///
/// # Errors
/// As [`Template::resolve`].
pub fn resolve_json(
    value: &serde_json::Value,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<serde_json::Value, TemplateError> {
    use serde_json::Value;
    Ok(match value {
        Value::String(text) => {
            let parsed = parse(text)?;
            let out = parsed.resolve(lookup)?;
            let alone = matches!(parsed.parts.as_slice(), [Part::Reference(_)]);
            match out.parse::<i64>() {
                Ok(number) if alone => Value::from(number),
                _ => Value::String(out),
            }
        }
        Value::Array(items) => {
            Value::Array(items.iter().map(|item| resolve_json(item, lookup)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| Ok((name.clone(), resolve_json(field, lookup)?)));
            Value::Object(fields.collect::<Result<_, TemplateError>>()?)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    })
}

/// Reads a template.
///
/// # Errors
/// If a `${...}` in it does not fit the grammar.
pub fn parse(text: &str) -> Result<Parsed, TemplateError> {
    let mut rest = text;
    let mut parts = Vec::new();
    let mut plain = String::new();
    while let Some(at) = rest.find('$') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("$${") {
            plain.push_str("${");
            rest = after;
        } else if let Some(after) = rest.strip_prefix("${") {
            push_text(&mut parts, &mut plain);
            let (reference, after) = parse_reference(after, 1)?;
            parts.push(Part::Reference(reference));
            rest = after;
        } else {
            plain.push('$');
            rest = &rest[1..];
        }
    }
    plain.push_str(rest);
    push_text(&mut parts, &mut plain);
    Ok(Parsed { parts })
}

fn push_text(parts: &mut Vec<Part>, plain: &mut String) {
    if !plain.is_empty() {
        parts.push(Part::Text(std::mem::take(plain)));
    }
}

/// Reads a reference after its `${`; gives what stands after its `}`.
fn parse_reference(mut rest: &str, depth: usize) -> Result<(Reference, &str), TemplateError> {
    if depth > MAX_DEPTH {
        return Err(TemplateError::Deep);
    }
    let mut name = Vec::new();
    let mut plain = String::new();
    loop {
        if let Some(after) = rest.strip_prefix("${") {
            push_text(&mut name, &mut plain);
            let (reference, after) = parse_reference(after, depth + 1)?;
            name.push(Part::Reference(reference));
            rest = after;
            continue;
        }
        let Some(next) = rest.chars().next() else { return Err(TemplateError::Open) };
        if next == '}' || next == ' ' {
            break;
        }
        if !is_name_character(next) {
            return Err(TemplateError::Character(next));
        }
        plain.push(next);
        rest = &rest[next.len_utf8()..];
    }
    push_text(&mut name, &mut plain);
    if name.is_empty() {
        return Err(TemplateError::NoName);
    }
    let Some(end) = rest.find('}') else { return Err(TemplateError::Open) };
    let sum = &rest[..end];
    let reference = Reference { name, add: if sum.is_empty() { 0 } else { summand(sum)? }, sum: !sum.is_empty() };
    Ok((reference, &rest[end + 1..]))
}

/// The number that ` + 100` or ` - 1` adds.
fn summand(sum: &str) -> Result<i64, TemplateError> {
    let wrong = || TemplateError::Summand(sum.trim().to_owned());
    let (sign, digits) = match sum.trim().split_once(' ') {
        Some(("+", digits)) => (1, digits),
        Some(("-", digits)) => (-1, digits),
        _ => return Err(wrong()),
    };
    let digits = digits.trim();
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    digits.parse::<i64>().map(|number| sign * number).map_err(|_| wrong())
}

/// Whether a character may stand in a name.
pub fn is_name_character(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn with(values: &[(&str, &str)]) -> impl Fn(&str) -> Option<String> {
        let values: BTreeMap<String, String> =
            values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        move |name| values.get(name).cloned()
    }

    fn value(text: &str) -> Result<String, TemplateError> {
        Template(text.to_owned()).resolve(&with(&[("n", "3"), ("call-3", "abc"), ("alice.last", "7"), ("x", "y z")]))
    }

    #[test]
    fn references_are_replaced_and_text_stays() {
        assert_eq!(value("a ${n} b ${x}").unwrap(), "a 3 b y z");
        assert_eq!(value("").unwrap(), "");
        assert_eq!(value("5 $ and $n").unwrap(), "5 $ and $n");
        assert_eq!(value("$${n} is ${n}").unwrap(), "${n} is 3");
        assert_eq!(value("${alice.last}").unwrap(), "7");
    }

    #[test]
    fn a_name_may_be_made_of_references() {
        assert_eq!(value("${call-${n}}").unwrap(), "abc");
        assert_eq!(value("${call-${n - 0}}").unwrap(), "abc");
        assert_eq!(value("${call-${n + 1}}"), Err(TemplateError::Unbound("call-4".into())));
    }

    #[test]
    fn sums_need_spaces_and_whole_numbers() {
        assert_eq!(value("${n + 100}").unwrap(), "103");
        assert_eq!(value("${n - 5}").unwrap(), "-2");
        assert_eq!(value("${n-1}"), Err(TemplateError::Unbound("n-1".into())));
        assert_eq!(value("${n + x}"), Err(TemplateError::Summand("+ x".into())));
        assert_eq!(value("${n +1}"), Err(TemplateError::Summand("+1".into())));
        assert!(matches!(value("${x + 1}"), Err(TemplateError::NoNumber { .. })));
        assert!(matches!(value("${n + 9223372036854775807}"), Err(TemplateError::NoNumber { .. })));
    }

    #[test]
    fn what_does_not_fit_the_grammar_is_an_error() {
        assert_eq!(value("${n"), Err(TemplateError::Open));
        assert_eq!(value("${n + 1"), Err(TemplateError::Open));
        assert_eq!(value("${}"), Err(TemplateError::NoName));
        assert_eq!(value("${a/b}"), Err(TemplateError::Character('/')));
        assert_eq!(value(&"${".repeat(1000)), Err(TemplateError::Deep));
    }

    #[test]
    fn a_reference_that_stands_alone_in_json_becomes_a_number() {
        let lookup = with(&[("n", "3"), ("word", "seven")]);
        let value = serde_json::json!({"id": "${n}", "text": "no ${n}", "word": ["${word}", null, true, 5, "3"]});
        let wanted = serde_json::json!({"id": 3, "text": "no 3", "word": ["seven", null, true, 5, "3"]});
        assert_eq!(resolve_json(&value, &lookup).unwrap(), wanted);
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in ".{0,60}") {
            let _ = parse(&text);
        }

        #[test]
        fn no_arrangement_of_signs_makes_the_reader_panic(text in "[$ {}n+0-9.-]{0,40}") {
            let _ = Template(text).resolve(&|_| Some("1".into()));
        }

        #[test]
        fn text_without_references_is_its_own_value(text in "[^$]{0,40}") {
            prop_assert_eq!(Template(text.clone()).resolve(&|_| None).unwrap(), text);
        }

        #[test]
        fn sums_are_sums(n in -1_000_000_i64..1_000_000, more in 0_i64..1_000_000, plus: bool) {
            let template = Template(format!("${{n {} {more}}}", if plus { '+' } else { '-' }));
            let wanted = if plus { n + more } else { n - more };
            prop_assert_eq!(template.resolve(&|_| Some(n.to_string())).unwrap(), wanted.to_string());
        }
    }
}
