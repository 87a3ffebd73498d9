//! Mutants whose deviation a conformant server could show as well, at least at times, with the reason.
//!
//! A history in which such a mutant deviates need not find anything; where it does, its own requirement or what its entry
//! names must be among it. All other mutants must be found out whenever they reach the trace.

/// Mutants by name, each with what leaves room for it.
pub const LEEWAY: &[(&str, &str)] = &[];

/// What leaves room for the mutant of that name, if anything does.
pub fn leeway(mutant: &str) -> Option<&'static str> {
    LEEWAY.iter().find(|(name, _)| *name == mutant).map(|(_, why)| *why)
}
