//! Known deviations: findings that are waived, each with a reason and an end date.
//!
//! The file is TOML: `[[known]]` with `requirement`, optionally `scenario`, `reason` and `until` (`2027-03-31`, the last
//! day on which it counts). An expired entry is an error, so that no waiver outlives its date unnoticed.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use crate::spec::{RequirementId, requirements};

/// One known deviation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The requirement that is not met.
    pub requirement: RequirementId,
    /// The scenario in which it is not met; in any where absent.
    pub scenario: Option<String>,
    /// Why that is accepted.
    pub reason: String,
    /// The last day on which it counts.
    pub until: Date,
}

impl Known {
    /// Whether it waives findings of this requirement in this scenario.
    pub fn covers(&self, requirement: RequirementId, scenario: &str) -> bool {
        self.requirement == requirement && self.scenario.as_deref().is_none_or(|own| own == scenario)
    }
}

/// What is wrong with a list: every error with file, line, and a caret below the place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct KnownError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    known: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    requirement: Spanned<String>,
    scenario: Option<String>,
    reason: Spanned<String>,
    until: Spanned<String>,
}

/// Reads a list; `today` decides what has expired.
///
/// # Errors
/// If the file is no TOML, an entry names no requirement of the catalogue, has no reason, or has expired.
pub fn read(file: &str, text: &str, today: Date) -> Result<Vec<Known>, KnownError> {
    let entries: File = toml::from_str(text)
        .map_err(|error| KnownError(shown(file, text, error.span().unwrap_or(0..0), error.message(), None)))?;
    let mut errors = Vec::new();
    let mut known = Vec::new();
    for entry in entries.known {
        match entry.resolve(today) {
            Ok(one) => known.push(one),
            Err((span, message, help)) => errors.push(shown(file, text, span, &message, help.as_deref())),
        }
    }
    if errors.is_empty() { Ok(known) } else { Err(KnownError(errors.join("\n"))) }
}

type Fault = (Range<usize>, String, Option<String>);

impl Entry {
    fn resolve(self, today: Date) -> Result<Known, Fault> {
        let name = self.requirement.get_ref();
        let Some(requirement) = RequirementId::from_name(name) else {
            let near = requirements::all()
                .map(RequirementId::as_str)
                .max_by(|a, b| strsim::jaro_winkler(name, a).total_cmp(&strsim::jaro_winkler(name, b)).then(b.cmp(a)));
            let help = near.map(|near| format!("did you mean `{near}`?"));
            return Err((self.requirement.span(), format!("`{name}` is no requirement"), help));
        };
        if self.reason.get_ref().trim().is_empty() {
            return Err((self.reason.span(), "a known deviation needs a reason".to_owned(), None));
        }
        let Ok(until) = self.until.get_ref().parse::<Date>() else {
            let help = Some("write \"2027-03-31\"".to_owned());
            return Err((self.until.span(), format!("`{}` is no date", self.until.get_ref()), help));
        };
        if until < today {
            let help = Some("look at it again: remove the entry, or give it a new date".to_owned());
            return Err((self.until.span(), format!("the known deviation {name} expired on {until}"), help));
        }
        Ok(Known { requirement, scenario: self.scenario, reason: self.reason.into_inner(), until })
    }
}

fn shown(file: &str, text: &str, span: Range<usize>, message: &str, help: Option<&str>) -> String {
    let snippet = Snippet::source(text).path(file).annotation(AnnotationKind::Primary.span(span));
    let mut group = Level::ERROR.primary_title(message).element(snippet);
    if let Some(help) = help {
        group = group.element(Level::HELP.message(help));
    }
    Renderer::plain().decor_style(DecorStyle::Ascii).render(&[group])
}

#[cfg(test)]
mod tests {
    use super::*;

    const TODAY: Date = Date::constant(2027, 1, 1);

    #[test]
    fn an_entry_covers_its_scenario_only() {
        let text =
            "[[known]]\nrequirement = \"MSG-01\"\nscenario = \"a/b\"\nreason = \"ticket\"\nuntil = \"2027-01-01\"\n";
        let known = read("known.toml", text, TODAY).unwrap();
        let id = RequirementId::known("MSG-01");
        assert!(known[0].covers(id, "a/b") && !known[0].covers(id, "a/c"));
    }

    #[test]
    fn errors_show_the_place_and_all_come_at_once() {
        let text = "[[known]]\nrequirement = \"MGS-01\"\nreason = \"x\"\nuntil = \"2027-01-01\"\n\
                    [[known]]\nrequirement = \"MSG-01\"\nreason = \"x\"\nuntil = \"2026-12-31\"\n";
        let error = read("known.toml", text, TODAY).unwrap_err().to_string();
        assert!(error.contains("known.toml:2:15") && error.contains("`MSG-01`") && error.contains("^^^"), "{error}");
        assert!(error.contains("expired on 2026-12-31"), "{error}");
        let error = read("known.toml", "[[known]]\nfoo = 1\n", TODAY).unwrap_err().to_string();
        assert!(error.contains("known.toml:2"), "{error}");
    }
}
