//! "Did you mean": the known word nearest to one that is not known.

/// The candidate nearest to `word`, if one is near enough to have been meant.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let length = word.chars().count();
    let allowed = (length / 3).max(usize::from(length > 1));
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The help for an unknown word: the nearest known one, or all of them where they are few, or none.
pub fn help<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str> + Clone) -> Option<String> {
    if let Some(near) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let all: Vec<&str> = candidates.into_iter().collect();
    (!all.is_empty() && all.len() <= MOST_LISTED).then(|| format!("known are {}", list(&all)))
}

/// The words as a list in a sentence.
fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// More words than these are no help.
const MOST_LISTED: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_what_was_meant() {
        assert_eq!(nearest("clinet", ["token", "client"]), Some("client"));
        assert_eq!(nearest("callroster", ["calls", "callRoster"]), Some("callRoster"));
        assert_eq!(nearest("MSG-3", ["MSG-13", "MSG-03"]), Some("MSG-13"));
        assert_eq!(nearest("zebra", ["token", "client"]), None);
        assert_eq!(nearest("m", ["n"]), None);
        assert_eq!(nearest("N", ["n"]), Some("n"));
    }

    #[test]
    fn without_a_near_word_the_known_ones_are_listed() {
        assert_eq!(help("zebra", ["token", "client"]).unwrap(), "known are `token`, `client`");
        assert_eq!(help("zebra", []), None);
    }
}
