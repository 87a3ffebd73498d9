//! What puts each requirement to the test: its rule, the scenarios that exercise it, the mutants that break it, the dialects
//! that its rule has to bear with.
//!
//! Joins the catalogue, the registry of rules, the shipped scenarios, mutants and dialects, which know nothing of each
//! other. `bridgeproof rules` shows it, and `docs/REQUIREMENTS.md` is made from it ([`markdown`]).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::emulator::dialects::{DIALECTS, Dialect};
use crate::emulator::{freedoms, mutants};
use crate::engine::{bends, receiver};
use crate::report::escape;
use crate::rules::R;
use crate::scenario;
use crate::spec::{RequirementId, requirements};

/// A shipped scenario, as far as requirements are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exercise {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
}

/// What puts one requirement to the test.
#[derive(Debug, Clone)]
pub struct Trace {
    /// The requirement.
    pub requirement: RequirementId,
    /// The file of its rule, from the project's root; none if it has no rule yet.
    pub rule: Option<String>,
    /// The shipped scenarios that are there for it, in the order of their ids.
    pub scenarios: Vec<Exercise>,
    /// The faults on purpose that break it, in the order of their lists.
    pub mutants: Vec<Fault>,
    /// The named dialects that vary what it leaves open, in the order of their list.
    pub dialects: Vec<&'static Dialect>,
}

/// A fault on purpose: a mutant of the emulator, a bent client or a bent receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// The name, in kebab-case.
    pub name: &'static str,
    /// The requirement that it breaks.
    pub breaks: &'static str,
    /// Requirements that may fail with it, each with the reason.
    pub collateral: &'static [(&'static str, &'static str)],
    /// How a real product comes to have it.
    pub story: &'static str,
    /// Who has it.
    pub whose: Whose,
}

/// Who has a fault on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// The emulated server.
    Server,
    /// The emulated server, so rarely that only a load finds it.
    ServerUnderLoad,
    /// An events client.
    Client,
    /// A CDR receiver.
    Receiver,
}

impl Fault {
    /// Whether its entry names that requirement: as the one that it breaks, or as collateral.
    pub fn names(&self, id: &str) -> bool {
        id == self.breaks || self.collateral.iter().any(|(other, _)| *other == id)
    }
}

/// The faults on purpose that the suite finds: the emulator's mutants, then the bent clients and receivers.
pub fn faults() -> impl Iterator<Item = Fault> {
    let of_server = mutants::all().map(|one| of_server(one, Whose::Server));
    let of_clients = bends::ALL.iter().map(|one| Fault {
        name: one.name,
        breaks: one.breaks,
        collateral: one.collateral,
        story: one.story,
        whose: Whose::Client,
    });
    let of_receivers = receiver::bends::ALL.iter().map(|one| Fault {
        name: one.name,
        breaks: one.breaks,
        collateral: one.collateral,
        story: one.story,
        whose: Whose::Receiver,
    });
    of_server.chain(of_clients).chain(of_receivers)
}

/// The faults on purpose that only a load finds.
pub fn faults_of_loads() -> impl Iterator<Item = Fault> {
    mutants::registry::OF_LOADS.iter().map(|one| of_server(one, Whose::ServerUnderLoad))
}

const fn of_server(mutant: &mutants::Registered, whose: Whose) -> Fault {
    let mutants::Registered { name, breaks, collateral, story, .. } = *mutant;
    Fault { name, breaks, collateral, story, whose }
}

/// All requirements in the order of the catalogue.
pub fn all() -> Vec<Trace> {
    let mut exercises: BTreeMap<RequirementId, Vec<Exercise>> = BTreeMap::new();
    for source in scenario::library::conformance() {
        // A test proves that all shipped scenarios read.
        let Ok(read) = scenario::read(&source.file, &source.text) else { continue };
        for id in read.exercises.iter().filter_map(|name| RequirementId::from_name(&name.value)) {
            exercises.entry(id).or_default().push(Exercise { id: source.id.clone(), title: read.title.clone() });
        }
    }
    requirements::all()
        .map(|requirement| Trace {
            requirement,
            rule: R::of(requirement).map(|rule| format!("src/rules/{}", rule.file())),
            scenarios: exercises.remove(&requirement).unwrap_or_default(),
            mutants: faults().filter(|fault| fault.breaks == requirement.as_str()).collect(),
            dialects: DIALECTS.iter().filter(|dialect| is_about(dialect, requirement)).collect(),
        })
        .collect()
}

/// Whether a dialect varies what the requirement leaves open.
pub(crate) fn is_about(dialect: &Dialect, requirement: RequirementId) -> bool {
    let freedoms = dialect.settings.iter().filter_map(|(key, _)| freedoms::of(key));
    freedoms.flat_map(|freedom| freedom.about).any(|id| *id == requirement.as_str())
}

/// `docs/REQUIREMENTS.md`: a table for each area.
pub fn markdown(traces: &[Trace]) -> String {
    let mut out = String::from(
        "# Requirements\n\nMade by `bridgeproof rules --markdown > docs/REQUIREMENTS.md`; a test finds out if it is stale. What a \
         requirement says, and\nwhat each scenario, mutant and dialect does, is shown by `bridgeproof rules ID`.\n",
    );
    let mut area = "";
    for trace in traces {
        let entry = trace.requirement.get();
        if entry.area() != area {
            area = entry.area();
            let _ = write!(
                out,
                "\n## {area}\n\n| requirement | level | subject | source | rule | scenarios | mutants | dialects |\n|---|---|---|---|---|---|---|---|\n"
            );
        }
        let rule = trace.rule.as_deref().unwrap_or("none yet");
        let scenarios: Vec<_> = trace.scenarios.iter().map(|one| one.id.as_str()).collect();
        let mutants: Vec<_> = trace.mutants.iter().map(|one| one.name).collect();
        let dialects: Vec<_> = trace.dialects.iter().map(|one| one.name).collect();
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            entry.id,
            entry.level,
            entry.subject,
            escape::markdown(&entry.source),
            escape::markdown(rule),
            escape::markdown(&scenarios.join(", ")),
            escape::markdown(&mutants.join(", ")),
            escape::markdown(&dialects.join(", "))
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Level;

    #[test]
    fn a_requirement_leads_to_its_rule_its_scenarios_and_its_mutants() {
        let all = all();
        let acks = all.iter().find(|one| one.requirement.as_str() == "MSG-03").unwrap();
        assert_eq!(acks.rule.as_deref(), Some("src/rules/msg.rs"));
        assert!(acks.scenarios.iter().any(|one| one.id == "messages/requests-acknowledged"));
        assert!(acks.mutants.iter().any(|one| one.name == "ack-of-request-missing"));
        assert!(acks.dialects.iter().any(|one| one.name == "late"));
        let table = markdown(&all);
        assert!(table.contains("| MSG-03 | must | server |"), "{table}");
    }

    #[test]
    fn what_the_guides_leave_open_is_named_by_freedoms_and_dialects_and_nothing_else_is() {
        let all = all();
        for dialect in DIALECTS.iter().filter(|dialect| !dialect.settings.is_empty()) {
            for (key, _) in dialect.settings {
                assert!(freedoms::of(key).is_some(), "{} changes {key}, which is no freedom", dialect.name);
            }
        }
        for id in freedoms::FREEDOMS.iter().flat_map(|freedom| freedom.about) {
            let known = RequirementId::from_name(id).and_then(|id| all.iter().find(|one| one.requirement == id));
            assert!(known.is_some_and(|one| one.rule.is_some()), "{id} has no rule");
        }
        for one in all.iter().filter(|one| one.rule.is_some() && one.requirement.get().level == Level::Observe) {
            assert!(!one.dialects.is_empty(), "{} is observed, and no dialect varies it", one.requirement);
        }
    }
}
