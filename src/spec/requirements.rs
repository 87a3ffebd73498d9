//! The requirements: one entry for every statement of the guides that a machine can judge.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::Deserialize;

use super::Version;

/// Who has to comply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// Meeting Server as server of events and API.
    Server,
    /// Events client.
    Client,
    /// Call Bridge as sender of call detail records.
    Sender,
    /// Receiver of call detail records.
    Receiver,
    /// Call Bridge as XMPP component.
    Bridge,
    /// XMPP server.
    Xmpp,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Sender => "sender",
            Self::Receiver => "receiver",
            Self::Bridge => "bridge",
            Self::Xmpp => "xmpp",
        })
    }
}

/// What a violation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Stated plainly: a violation fails.
    Must,
    /// Follows from several statements: a violation fails.
    Derived,
    /// Shown by example or by a "may": a violation warns.
    Should,
    /// The guides are silent: never judged, recorded as a characteristic.
    Observe,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Must => "must",
            Self::Derived => "derived",
            Self::Should => "should",
            Self::Observe => "observe",
        })
    }
}

/// One requirement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    /// Its stable name.
    pub id: String,
    /// Who has to comply.
    pub subject: Subject,
    /// What a violation means.
    pub level: Level,
    /// First release that it applies to.
    pub since: Option<Version>,
    /// First release that it applies to no more.
    pub until: Option<Version>,
    /// Guide and section.
    pub source: String,
    /// What has to hold.
    pub text: String,
}

impl Requirement {
    /// The area, which is what stands before the hyphen: `MSG`.
    pub fn area(&self) -> &str {
        self.id.split('-').next().unwrap_or_default()
    }

    /// Whether it applies to a release.
    pub fn applies_to(&self, version: Version) -> bool {
        self.since.is_none_or(|since| version >= since) && self.until.is_none_or(|until| version < until)
    }
}

/// A requirement of the catalogue, by its place in it. Compares and orders as the catalogue does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequirementId(u16);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "schema")]
    _schema: u32,
    requirement: Vec<Requirement>,
}

static CATALOGUE: LazyLock<Vec<Requirement>> = LazyLock::new(|| {
    let file: File = toml::from_str(include_str!("requirements.toml")).expect("the catalogue is checked by a test");
    file.requirement
});

static BY_NAME: LazyLock<HashMap<&'static str, u16>> =
    LazyLock::new(|| CATALOGUE.iter().enumerate().map(|(at, entry)| (entry.id.as_str(), at as u16)).collect());

/// All requirements in the order of the catalogue.
pub fn all() -> impl Iterator<Item = RequirementId> {
    (0..CATALOGUE.len()).map(|at| RequirementId(at as u16))
}

impl RequirementId {
    /// The requirement of that name, exactly as spelt.
    pub fn from_name(name: &str) -> Option<Self> {
        BY_NAME.get(name).map(|at| Self(*at))
    }

    /// The requirement of that name, which is one of the catalogue.
    ///
    /// # Panics
    /// If it is not: for names that stand in the code.
    pub fn known(name: &str) -> Self {
        Self::from_name(name).unwrap_or_else(|| panic!("`{name}` is in the catalogue"))
    }

    /// The entry.
    pub fn get(self) -> &'static Requirement {
        &CATALOGUE[usize::from(self.0)]
    }

    /// The name.
    pub fn as_str(self) -> &'static str {
        &self.get().id
    }
}

impl fmt::Display for RequirementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for RequirementId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_reads_and_its_names_are_unique() {
        assert!(!CATALOGUE.is_empty());
        assert_eq!(BY_NAME.len(), CATALOGUE.len());
        for id in all() {
            assert_eq!(RequirementId::from_name(id.as_str()), Some(id));
        }
    }

    #[test]
    fn a_requirement_applies_from_its_first_release_on() {
        let moved = RequirementId::known("UPD-12").get();
        assert!(!moved.applies_to(Version { major: 2, minor: 5 }) && moved.applies_to(Version { major: 2, minor: 6 }));
        let xmpp = RequirementId::known("XMP-01").get();
        assert!(xmpp.applies_to(Version { major: 2, minor: 9 }) && !xmpp.applies_to(Version { major: 3, minor: 0 }));
    }
}
