//! Survivors that were looked at and are right to survive: `docs/JUDGE-MUTATION.md`.
//!
//! Each is a bullet with the key of the mutation in backticks; the section that it stands in, or what follows it, says why.

use std::collections::BTreeSet;

/// The keys that the text explains.
pub(crate) fn keys(text: &str) -> BTreeSet<String> {
    let bullets = text.lines().filter_map(|line| line.trim_start().strip_prefix("- `")?.split_once('`'));
    bullets.map(|(key, _)| key.to_owned()).collect()
}

/// Explanations of mutations that are no more, or that were killed.
pub(crate) fn stale<'e>(
    explained: &'e BTreeSet<String>,
    known: &BTreeSet<&str>,
    killed: &BTreeSet<&str>,
) -> Vec<&'e str> {
    explained.iter().map(String::as_str).filter(|key| !known.contains(key) || killed.contains(key)).collect()
}
