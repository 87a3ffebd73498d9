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

/// The help for an unknown word among many known ones: the nearest, or a few that contain it or are like it, if there are any.
pub fn among_many<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str> + Clone) -> Option<String> {
    if let Some(near) = nearest(word, candidates.clone()) {
        return Some(format!("did you mean `{near}`?"));
    }
    let lower = word.to_lowercase();
    let likeness = |one: &str| match one.contains(&lower) {
        true => 1.0,
        // A short word has its letters in many long ones.
        false if one.len() > 2 * lower.len() => 0.0,
        false => strsim::jaro_winkler(&lower, one),
    };
    let all = candidates.into_iter().map(|one| (likeness(one), one));
    let mut all: Vec<(f64, &str)> = all.filter(|(likeness, _)| *likeness >= LIKE).collect();
    all.sort_by(|(one, name), (other, other_name)| other.total_cmp(one).then(name.cmp(other_name)));
    let few: Vec<&str> = all.into_iter().take(FEW).map(|(_, name)| name).collect();
    (!few.is_empty()).then(|| format!("near are {}", list(&few)))
}

/// The words as a list in a sentence.
fn list(words: &[&str]) -> String {
    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// How many words are told of several that may have been meant.
const FEW: usize = 3;

/// How much alike words are, from 0 to 1, of which one may have been meant.
const LIKE: f64 = 0.75;

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
        let many = ["ack-twice", "ack-late", "token-forever", "acks-missing"];
        assert_eq!(among_many("ack-twise", many).unwrap(), "did you mean `ack-twice`?");
        assert_eq!(among_many("missing", many).unwrap(), "near are `acks-missing`");
        assert_eq!(among_many("ack-delayed", many).unwrap(), "near are `ack-late`");
        assert_eq!(among_many("zebra", many), None);
        assert_eq!(among_many("nope", ["info-type-null"]), None);
    }
}
