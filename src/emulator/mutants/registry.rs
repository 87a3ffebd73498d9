//! The list of all mutants, and how to make one by name.

use super::super::mutant::Mutant;

/// One mutant of the list.
#[derive(Debug, Clone, Copy)]
pub struct Registered {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// The requirement that it breaks.
    pub breaks: &'static str,
    /// Requirements that may fail with it, each with the reason.
    pub collateral: &'static [(&'static str, &'static str)],
    /// How a real product comes to have this fault.
    pub story: &'static str,
    /// Makes one.
    pub make: fn() -> Box<dyn Mutant>,
}

/// All mutants, by area.
pub const ALL: &[&[Registered]] = &[];

/// The mutant of that name.
pub fn find(name: &str) -> Option<&'static Registered> {
    ALL.iter().flat_map(|area| area.iter()).find(|mutant| mutant.name == name)
}

/// A fresh mutant of that name.
pub fn make(name: &str) -> Option<Box<dyn Mutant>> {
    find(name).map(|mutant| (mutant.make)())
}
