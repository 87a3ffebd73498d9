//! What a scenario may need of its target: capabilities, permissions, releases.

use std::fmt;
use std::str::FromStr;

use super::suggest;
use crate::spec::Version;

/// One entry of `needs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// Permission to use up the server's limits: `--allow limits`.
    Limits,
    /// Permission to send malformed input: `--allow probing`.
    Probing,
    /// The emulator's test-only API.
    TestApi,
    /// A second account, which may not issue tokens.
    UnprivilegedAccount,
    /// A way to restart the Call Bridge, and permission: `--allow restart`.
    Restart,
    /// A Call Bridge that accepts the certificate that receivers show.
    HttpsReceivers,
    /// A Call Bridge that is in no cluster.
    NotClustered,
    /// A release at least this new.
    Version(Version),
}

impl Need {
    /// The needs that are one word.
    pub const WORDS: [(Self, &'static str); 7] = [
        (Self::Limits, "limits"),
        (Self::Probing, "probing"),
        (Self::TestApi, "test-api"),
        (Self::UnprivilegedAccount, "unprivileged-account"),
        (Self::Restart, "restart"),
        (Self::HttpsReceivers, "https-receivers"),
        (Self::NotClustered, "not-clustered"),
    ];
}

impl FromStr for Need {
    type Err = NeedError;

    fn from_str(text: &str) -> Result<Self, NeedError> {
        if let Some((need, _)) = Self::WORDS.iter().find(|(_, word)| *word == text) {
            return Ok(*need);
        }
        if let Some(version) = text.strip_prefix("version") {
            let version = version.trim_start().strip_prefix(">=").and_then(|rest| rest.trim().parse().ok());
            return version
                .map(Self::Version)
                .ok_or_else(|| NeedError { text: text.to_owned(), help: Some("write `version >= 3.5`".to_owned()) });
        }
        let words = Self::WORDS.iter().map(|(_, word)| *word).chain(["version >= 3.5"]);
        Err(NeedError { text: text.to_owned(), help: suggest::help(text, words) })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version >= {version}"),
            word => f.write_str(Self::WORDS.iter().find(|(need, _)| need == word).map_or("", |(_, word)| word)),
        }
    }
}

/// A text that is no need.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is nothing that a scenario can need")]
pub struct NeedError {
    /// The text.
    pub text: String,
    /// What may have been meant.
    pub help: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_go_both_ways() {
        let words = Need::WORDS.iter().map(|(_, word)| *word);
        for text in words.chain(["version >= 3.5"]) {
            assert_eq!(text.parse::<Need>().unwrap().to_string(), text);
        }
        assert_eq!("version>=2.6".parse(), Ok(Need::Version(Version { major: 2, minor: 6 })));
    }

    #[test]
    fn a_slip_gets_a_suggestion() {
        let help = |text: &str| text.parse::<Need>().unwrap_err().help.unwrap();
        assert_eq!(help("limit"), "did you mean `limits`?");
        assert_eq!(help("version 3.5"), "write `version >= 3.5`");
        assert!(help("zebra").contains("`test-api`"));
    }
}
