//! Errors in scenario files, and how they are shown: file, line, column, the line itself, a caret, and a suggestion.

use std::fmt;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

/// What is wrong at one place of a scenario file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ScenarioError {
    /// The file, as it was named.
    pub file: String,
    /// The place, in bytes.
    pub span: Range<usize>,
    /// Its line, from 1.
    pub line: usize,
    /// Its column in characters, from 1.
    pub column: usize,
    /// What is wrong, in lower case without a full stop.
    pub message: String,
    /// What would put it right, if that can be told.
    pub help: Option<String>,
}

impl ScenarioError {
    /// An error at bytes of `text`. A span that does not lie in the text, or not at characters, is moved to where it does.
    pub fn new(file: &str, text: &str, span: Range<usize>, message: impl Into<String>, help: Option<String>) -> Self {
        let start = floor(text, span.start);
        let end = floor(text, span.end).max(start);
        let before = &text[..start];
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before[before.rfind('\n').map_or(0, |at| at + 1)..].chars().count() + 1;
        Self { file: file.to_owned(), span: start..end, line, column, message: message.into(), help }
    }
}

impl fmt::Display for ScenarioError {
    /// One line, for logs and tools; [`render`] shows it with its source.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, " (help: {help})"),
            None => Ok(()),
        }
    }
}

/// The largest place of a character that is not beyond `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The errors of one file with its text, in the manner of rustc; with colours if `styled`.
pub fn render(text: &str, errors: &[ScenarioError], styled: bool) -> String {
    let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let mut out = String::new();
    for error in errors {
        let span = floor(text, error.span.start)..floor(text, error.span.end).max(floor(text, error.span.start));
        let snippet = Snippet::source(text)
            .path(error.file.as_str())
            .annotation(AnnotationKind::Primary.span(first_line(text, span)));
        let mut group = Level::ERROR.primary_title(error.message.as_str()).element(snippet);
        if let Some(help) = &error.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        out.push_str(&renderer.render(&[group]));
        out.push_str("\n\n");
    }
    out
}

/// As much of a span as lies in its first line, at least one character where there is one.
fn first_line(text: &str, span: Range<usize>) -> Range<usize> {
    let rest = &text[span.start..];
    let line = rest.find('\n').unwrap_or(rest.len());
    let least = rest.chars().next().filter(|c| *c != '\n').map_or(0, char::len_utf8);
    span.start..span.start + span.len().min(line).max(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "title: größer\nexercises: [MSG-3]\n";

    #[test]
    fn an_error_shows_file_line_column_source_caret_and_help() {
        let at = TEXT.find("MSG-3").unwrap();
        let help = Some("did you mean `MSG-03`?".to_owned());
        let error = ScenarioError::new("mine.yaml", TEXT, at..at + 5, "no requirement is called `MSG-3`", help);
        let shown = render(TEXT, std::slice::from_ref(&error), false);
        for part in
            ["error: no requirement", "mine.yaml:2:13", "exercises: [MSG-3]", "^^^^^", "help: did you mean `MSG-03`?"]
        {
            assert!(shown.contains(part), "{part} in\n{shown}");
        }
        assert_eq!(
            error.to_string(),
            "mine.yaml:2:13: no requirement is called `MSG-3` (help: did you mean `MSG-03`?)"
        );
    }

    #[test]
    fn spans_that_do_not_fit_are_moved_and_never_panic() {
        for span in [0..1000, 9..10, 11..11, 5000..6000, TEXT.len()..TEXT.len()] {
            let error = ScenarioError::new("f", TEXT, span, "m", None);
            assert!(!render(TEXT, &[error], true).is_empty());
        }
        assert_eq!(ScenarioError::new("f", TEXT, 12..13, "m", None).column, 11);
        assert!(!render("", &[ScenarioError::new("f", "", 3..9, "m", None)], false).is_empty());
    }
}
