//! Reading scenario files: text in, a [`Scenario`] or its errors out.
//!
//! [`read`] is the way in: it parses and, where that succeeds, checks ([`super::check`]). The parser stops at the first
//! error, which may change the meaning of all that follows; the checks report everything. Hostile YAML is refused by
//! size, depth, and number of nodes and aliases before it costs anything.

use serde::de::DeserializeOwned;
use serde_saphyr::{Error, Spanned};

use super::check::{check, check_client_load, check_plan};
use super::diagnostic::ScenarioError;
use super::suggest;
use super::syntax::{ClientScenario, PlanEntry, Scenario};

/// The largest scenario file that is read, in bytes.
pub const MAX_BYTES: usize = 256 * 1024;

/// Reads and checks a scenario; `file` is how errors name it.
///
/// # Errors
/// All errors that can be told, in the order of their places.
pub fn read(file: &str, text: &str) -> Result<Scenario, Vec<ScenarioError>> {
    let scenario = parse(file, text).map_err(|error| vec![error])?;
    let errors = check(file, text, &scenario);
    if errors.is_empty() { Ok(scenario) } else { Err(errors) }
}

/// Reads and checks a load on what connects to an emulated server.
///
/// # Errors
/// As [`read`].
pub fn read_client_load(file: &str, text: &str) -> Result<ClientScenario, Vec<ScenarioError>> {
    let given = from_yaml(file, text).map_err(|error| vec![error])?;
    let errors = check_client_load(file, text, &given);
    if errors.is_empty() { Ok(given) } else { Err(errors) }
}

/// Checks a file, be it a scenario or a load on what connects to an emulated server: that has `updates` or `records`.
///
/// # Errors
/// As [`read`].
pub fn errors_of(file: &str, text: &str) -> Result<(), Vec<ScenarioError>> {
    let given = text.get(..MAX_BYTES).is_none().then(|| yaml::<serde_json::Value>(text).ok());
    let given = given.flatten().unwrap_or_default();
    let is_of_clients = ["updates", "records"].iter().any(|key| given["load"].get(key).is_some());
    if is_of_clients { read_client_load(file, text).map(drop) } else { read(file, text).map(drop) }
}

/// Reads and checks a scenario's `plan` that stands alone: a list of its entries. What it refers to has no value.
///
/// # Errors
/// As [`read`].
pub fn read_plan(file: &str, text: &str) -> Result<Vec<PlanEntry>, Vec<ScenarioError>> {
    let entries: Vec<Spanned<PlanEntry>> = from_yaml(file, text).map_err(|error| vec![error])?;
    let errors = check_plan(file, text, &entries);
    if errors.is_empty() { Ok(entries.into_iter().map(|entry| entry.value).collect()) } else { Err(errors) }
}

/// Reads a scenario without checking it.
///
/// # Errors
/// The first thing that is no YAML or does not fit the syntax.
pub fn parse(file: &str, text: &str) -> Result<Scenario, ScenarioError> {
    from_yaml(file, text)
}

fn from_yaml<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ScenarioError> {
    if text.len() > MAX_BYTES {
        let message = format!("a scenario of {} bytes is too large", text.len());
        let help = format!("at most {MAX_BYTES} bytes are read; split it, or repeat steps with `repeat`");
        return Err(ScenarioError::new(file, text, 0..0, message, Some(help)));
    }
    yaml(text).map_err(|error| explain(file, text, error.without_snippet()))
}

/// Reads YAML within bounds that no honest scenario comes near.
pub(in crate::scenario) fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, Error> {
    let options = serde_saphyr::options! {
        with_snippet: false,
        // `n` and `no` are texts; only `true` and `false` are booleans.
        strict_booleans: true,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        budget: serde_saphyr::budget! {
            max_events: 100_000,
            max_nodes: 50_000,
            max_depth: 32,
            flow_nesting_limit: 24,
            max_documents: 2,
            max_aliases: 100,
            max_anchors: 100,
            max_recorded_anchor_events: 10_000,
            max_recorded_anchor_bytes: MAX_BYTES,
            max_total_scalar_bytes: MAX_BYTES,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 10_000,
            max_replay_stack_depth: 8,
            max_alias_expansions_per_anchor: 100,
        },
    };
    serde_saphyr::from_str_with_options(text, options)
}

/// The parser's error in the words of this language, with a suggestion where one can be made.
fn explain(file: &str, text: &str, error: &Error) -> ScenarioError {
    let (start, length) = error.location().map_or((0, 0), |place| {
        let start = place.span().byte_offset().map_or_else(|| offset(text, &place), |at| at as usize);
        (start, place.span().byte_len().unwrap_or_default() as usize)
    });
    let (message, help) = match error {
        Error::SerdeUnknownField { field, expected, .. } => {
            let help = if expected.is_empty() { None } else { suggest::help(field, expected.iter().copied()) };
            (format!("no key `{field}` belongs here"), help)
        }
        Error::SerdeUnknownVariant { variant, expected, .. } => {
            (format!("`{variant}` is not known here"), suggest::help(variant, expected.iter().copied()))
        }
        Error::SerdeMissingField { field, .. } => (format!("the key `{field}` is missing"), None),
        Error::DuplicateMappingKey { key, .. } => (
            key.as_ref().map_or_else(|| "a key stands twice".to_owned(), |key| format!("the key `{key}` stands twice")),
            None,
        ),
        Error::InvalidScalar { ty, .. } => (no_scalar(ty, text.get(start..start + length).unwrap_or_default()), None),
        Error::Eof { .. } => ("the file has no scenario in it".to_owned(), None),
        Error::MultipleDocuments { .. } => ("a file holds one scenario only".to_owned(), None),
        Error::MergeKeyNotAllowed { .. } => ("`<<` is not part of this language".to_owned(), None),
        other => (without_place(&other.to_string()), None),
    };
    ScenarioError::new(file, text, start..start + length, message, help)
}

/// That something is no value of a kind that the parser names as this program's types are named.
fn no_scalar(kind: &str, given: &str) -> String {
    let is_sized = |sign: char| kind.strip_prefix(sign).is_some_and(|bits| bits.parse::<u32>().is_ok());
    let wanted = match kind {
        "boolean" => "`true` or `false`",
        _ if is_sized('u') => "a whole number, 0 or more",
        _ if is_sized('i') => "a whole number",
        _ => "a number",
    };
    let given = if given.is_empty() { "this".to_owned() } else { format!("`{given}`") };
    format!("{given} is not {wanted}")
}

/// The byte at a line and column, for places without one.
fn offset(text: &str, place: &serde_saphyr::Location) -> usize {
    let before: usize = text.split_inclusive('\n').take((place.line() as usize).saturating_sub(1)).map(str::len).sum();
    let columns = (place.column() as usize).saturating_sub(1);
    before + text[before..].chars().take(columns).map(char::len_utf8).sum::<usize>()
}

/// The text of a parser's error without the place, which is shown beside it.
fn without_place(message: &str) -> String {
    message.rfind(" at line ").map_or(message, |at| &message[..at]).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::scenario::{library, render};

    fn error(text: &str) -> ScenarioError {
        parse("f.yaml", text).expect_err(text)
    }

    fn scenario(steps: &str) -> String {
        format!("title: t\nexercises: [MSG-03]\nclients: [alice]\nsteps:\n{steps}")
    }

    #[test]
    fn an_unknown_key_is_shown_where_it_stands_with_what_was_meant() {
        let found = error(&scenario("  - connect: {clinet: alice}\n"));
        assert_eq!((found.line, found.column), (5, 15));
        assert_eq!(found.help.as_deref(), Some("did you mean `client`?"));
    }

    #[test]
    fn an_unknown_step_is_shown_with_what_was_meant() {
        let found = error(&scenario("  - subscrib: {client: alice, set: []}\n"));
        assert_eq!((found.line, found.column), (5, 5));
        assert_eq!(found.help.as_deref(), Some("did you mean `subscribe`?"));
    }

    #[test]
    fn wrong_types_missing_keys_and_repeated_keys_are_errors() {
        assert!(error(&scenario("  - pause: {for: 5}\n")).message.contains("no length of time"));
        assert!(error(&scenario("  - pause: {}\n")).message.contains("`for` is missing"));
        assert!(error(&scenario("  - pause: {for: 1s, for: 2s}\n")).message.contains("`for` stands twice"));
        assert!(error(&scenario("  - repeat: {each: n, to: many, steps: []}\n")).message.contains("number"));
        assert!(error("- a\n").message.contains("mapping"));
        assert!(error("").message.contains("no scenario"));
        assert!(error(&format!("{}---\n{}", scenario("  []\n"), scenario("  []\n"))).message.contains("one"));
        assert!(error(&scenario("  - connect: {client: alice\n")).line >= 5);
    }

    #[test]
    fn what_is_no_value_is_told_with_the_kind_that_is_wanted() {
        let load = |rate: &str, calls: &str| {
            let executor = format!("{{constant-arrival-rate: {{rate: {rate}, duration: 2s}}}}");
            let load = format!("load:\n  calls: {calls}\n  stimuli: {{mute: 1}}\n  executor: {executor}\n");
            let text = format!("title: t\nexercises: [MSG-03]\n{load}");
            parse("f.yaml", &text).map(|_| ()).map_err(|error| error.message)
        };
        assert_eq!(load("fast", "1"), Err("`fast` is not a number".to_owned()));
        assert_eq!(load("5", "few"), Err("`few` is not a whole number, 0 or more".to_owned()));
        assert_eq!(load("0.5", "1"), Ok(()));
        assert_eq!(no_scalar("i64", "x"), "`x` is not a whole number");
        assert_eq!(no_scalar("boolean", ""), "this is not `true` or `false`");
    }

    #[test]
    fn hostile_files_are_refused_quickly() {
        assert!(error(&"a".repeat(MAX_BYTES + 1)).message.contains("too large"));
        error(&format!("title: {}", "[".repeat(100_000)));
        error(&format!("title: t\nabout: {}x", "- ".repeat(1000)));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..20 {
            let one = format!("*a{}", level - 1);
            bomb.push_str(&format!("a{level}: &a{level} [{}]\n", vec![one; 9].join(", ")));
        }
        error(&scenario(&format!("  - send: {{client: alice, message: {{{}}}}}\n", bomb.replace('\n', ", "))));
        error(&bomb);
    }

    #[test]
    fn the_text_of_the_fields_is_kept() {
        let read = parse(
            "f",
            &scenario("  - dial: {call: '${c}', to: answers, with: {importance: 5, x: true, y: '', z: 1.5}}\n"),
        )
        .unwrap();
        let super::super::syntax::Step::Dial(dial) = &read.steps[0].value else { panic!("no dial") };
        assert_eq!(dial.with["importance"].0, "5");
        assert_eq!(dial.with["x"].0, "true");
        assert_eq!(dial.with["y"].0, "");
        assert_eq!(dial.with["z"].0, "1.5");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[-a-z0-9:{}\\[\\]&*!|>'\"$ \n#,é]{0,200}") {
            let _ = read("f", &text);
        }

        #[test]
        fn no_damage_to_a_scenario_makes_the_reader_or_the_rendering_panic(
            which in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            junk in "[-a-z0-9:{}\\[\\]&*!|>'\"$ \n#,é]{0,6}",
        ) {
            let shipped = library::shipped();
            let mut text = which.get(&shipped).text.clone();
            let places: Vec<usize> = text.char_indices().map(|(place, _)| place).collect();
            let place = *at.get(&places);
            let end = (place + junk.len()..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
            text.replace_range(place..end, &junk);
            if let Err(errors) = read("f", &text) {
                prop_assert!(!render(&text, &errors, false).is_empty());
            }
        }
    }
}
