//! The exit codes of the program, and which of several is told.
//!
//! Scripts rely on the numbers: they are part of the contract of the command line. When several apply, the most telling
//! one wins ([`ExitCode::most_telling`]).

/// How a run of the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// Everything that was tested passed.
    Pass = 0,
    /// A requirement failed.
    Failed = 1,
    /// The command line, a scenario or the configuration is wrong.
    Usage = 2,
    /// The target cannot be reached, or refuses the login; an address cannot be listened on; records or the report cannot be kept.
    Unreachable = 3,
    /// A threshold was missed.
    Threshold = 4,
    /// Nothing failed, but something could not be decided.
    Inconclusive = 5,
    /// Nothing was put to the test.
    NothingTested = 6,
    /// A known deviation passed: the list is stale.
    StaleKnown = 7,
    /// Worse than the baseline.
    Regression = 8,
    /// Refused, to protect the target.
    Guard = 9,
    /// A fault of this program.
    Bug = 101,
    /// Ended by the user; the report holds what was judged until then.
    Interrupted = 130,
}

/// The most telling first. A usage error ends the program before there is anything else to tell.
const ORDER: [ExitCode; 12] = [
    ExitCode::Interrupted,
    ExitCode::Bug,
    ExitCode::Usage,
    ExitCode::Guard,
    ExitCode::Unreachable,
    ExitCode::Failed,
    ExitCode::Regression,
    ExitCode::Threshold,
    ExitCode::StaleKnown,
    ExitCode::Inconclusive,
    ExitCode::NothingTested,
    ExitCode::Pass,
];

impl ExitCode {
    /// The number that the process exits with.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// The code of that number, as a report has it; [`Self::Bug`] for a number that no code has.
    pub fn from_number(number: u8) -> Self {
        ORDER.into_iter().find(|code| code.number() == number).unwrap_or(Self::Bug)
    }

    /// The most telling of several; [`Self::Pass`] of none.
    pub fn most_telling(codes: &[Self]) -> Self {
        ORDER.into_iter().find(|code| codes.contains(code)).unwrap_or(Self::Pass)
    }
}

/// Why the program ends before there is a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: ExitCode,
    /// What is wrong and what to do, for people.
    pub message: String,
}

impl Failure {
    /// That the command line, a scenario or the configuration is wrong.
    pub fn usage(message: impl ToString) -> Self {
        Self { code: ExitCode::Usage, message: message.to_string() }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}

#[cfg(test)]
mod tests {
    use super::ExitCode::{Bug, Failed, Inconclusive, Interrupted, NothingTested, Pass, StaleKnown, Unreachable};
    use super::*;

    #[test]
    fn the_most_telling_code_wins() {
        assert_eq!(ExitCode::most_telling(&[Inconclusive, Failed, StaleKnown]), Failed);
        assert_eq!(ExitCode::most_telling(&[Failed, Unreachable]), Unreachable);
        assert_eq!(ExitCode::most_telling(&[NothingTested, Inconclusive]), Inconclusive);
        assert_eq!(ExitCode::most_telling(&[Failed, Bug]), Bug);
        assert_eq!(ExitCode::most_telling(&[Failed, Interrupted]).number(), 130);
        assert_eq!(ExitCode::most_telling(&[]), Pass);
    }
}
