//! Releases of the Meeting Server, as far as requirements depend on them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A release such as 3.7; patch levels are left out, since no requirement depends on one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Version {
    /// The first number.
    pub major: u16,
    /// The second number.
    pub minor: u16,
}

impl Version {
    /// The release of the guides that the catalogue was made from.
    pub const LATEST: Self = Self { major: 3, minor: 7 };
}

impl FromStr for Version {
    type Err = String;

    /// Reads `3.7`, and the beginning of a real `softwareVersion` such as `3.7.1_build_12`.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut numbers = text.trim().split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).map_or(part, |end| &part[..end]);
            digits.parse::<u16>().ok()
        });
        match (numbers.next().flatten(), numbers.next().flatten()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(format!("`{text}` is no version; write 3.7")),
        }
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Version> for String {
    fn from(version: Version) -> Self {
        version.to_string()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_order_by_number_and_not_by_letter() {
        let parse = |text: &str| text.parse::<Version>();
        assert!(parse("3.10").unwrap() > parse("3.9.2").unwrap());
        assert_eq!(parse("3.7.1_build_12").unwrap(), Version::LATEST);
        assert_eq!(parse("2.4RC1").unwrap(), Version { major: 2, minor: 4 });
        assert!(parse("3").is_err() && parse("").is_err() && parse("x.y").is_err());
    }
}
