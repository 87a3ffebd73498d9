//! The plan of a run: scenarios that were read, and which of them the target lets run.

use serde_saphyr::Spanned;

use crate::cli::output;
use crate::config::{Allow, RunConfig};
use crate::emulator::dialects::DIALECTS;
use crate::emulator::settings::{KEYS, SettingError};
use crate::emulator::{Settings, mutants};
use crate::engine::{Addresses, Restart, bends, receiver};
use crate::exit::Failure;
use crate::net::probe::Capabilities;
use crate::report::assemble::ScenarioRun;
use crate::scenario::syntax::{Judged, Scenario, Step};
use crate::scenario::{self, Need, Overrides, Source};
use crate::spec::{RequirementId, Version};

/// A scenario of this run.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) id: String,
    pub(super) scenario: Scenario,
    /// Why it does not run.
    pub(super) skip: Option<String>,
    pub(super) version: Version,
    pub(super) clustered: Option<bool>,
    /// How the target is restarted.
    pub(super) restart: Restart,
}

impl Planned {
    /// The requirements that it is there for.
    pub(super) fn exercises(&self) -> Vec<RequirementId> {
        self.scenario.exercises.iter().filter_map(|name| RequirementId::from_name(&name.value)).collect()
    }

    /// Whether CDR receivers take part.
    pub(super) fn has_receivers(&self) -> bool {
        !self.scenario.receivers.is_empty()
    }

    /// Its result, if it does not run.
    pub(super) fn skipped(self) -> ScenarioRun {
        ScenarioRun {
            exercises: self.exercises(),
            id: self.id,
            title: self.scenario.title,
            skipped: self.skip,
            ..ScenarioRun::default()
        }
    }
}

/// Reads the scenarios.
///
/// # Errors
/// All errors of all files.
pub(super) fn read(sources: &[Source], overrides: &Overrides) -> Result<Vec<(String, Scenario)>, Failure> {
    let (mut scenarios, mut errors, mut has_load) = (Vec::new(), String::new(), false);
    for source in sources {
        match scenario::read(&source.file, &source.text) {
            Ok(mut scenario) => {
                let told = overrides.apply(&mut scenario);
                has_load |=
                    told.map_err(|error| Failure::usage(format!("--duration and --rate: {}: {error}", source.id)))?;
                scenarios.push((source.id.clone(), scenario));
            }
            Err(found) => errors.push_str(&scenario::render(&source.text, &found, output::styled())),
        }
    }
    if errors.is_empty() && !overrides.is_empty() && !has_load {
        return Err(Failure::usage("--duration and --rate are for loads, and none was chosen"));
    }
    if errors.is_empty() { Ok(scenarios) } else { Err(Failure::usage(errors.trim_end())) }
}

/// The settings of the embedded emulator.
///
/// # Errors
/// An item that is neither a setting nor a dialect.
pub(crate) fn settings(items: &[String]) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    for item in items {
        settings.apply(item).map_err(|error| {
            let help = match &error {
                SettingError::UnknownKey(name) if KEYS.iter().any(|key| key.name == name) => Some(format!(
                    "it is a setting and needs a value, `{name}=VALUE`; `bridgeproof dialects {name}` says which"
                )),
                SettingError::UnknownKey(name) => setting_meant(name),
                SettingError::BadValue { .. } => None,
            };
            let help = help.map_or_else(String::new, |help| format!("; {help}"));
            Failure::usage(format!("--dialect {item}: {error}{help}"))
        })?;
    }
    Ok(settings)
}

/// What may have been meant by the name of a setting or a dialect.
fn setting_meant(name: &str) -> Option<String> {
    let keys = KEYS.iter().map(|key| key.name);
    let known: Vec<&str> = keys.chain(DIALECTS.iter().map(|dialect| dialect.name)).collect();
    scenario::suggest::help(name, known).or_else(|| Some("`bridgeproof dialects` lists them".to_owned()))
}

/// Whether there are mutants of these names.
///
/// # Errors
/// A name that none has, with what may have been meant.
pub(crate) fn check_mutants(names: &[String]) -> Result<(), Failure> {
    for name in names {
        let is_bend = bends::find(name).is_some() || receiver::bends::find(name).is_some();
        if mutants::find(name).is_none() && !is_bend {
            let bends = bends::ALL.iter().map(|bend| bend.name);
            let bends = bends.chain(receiver::bends::ALL.iter().map(|bend| bend.name));
            return Err(no_mutant(name, server_mutants().chain(bends)));
        }
    }
    Ok(())
}

/// Whether there are mutants of these names that an emulated server can have.
///
/// # Errors
/// A name that none has, with what may have been meant; one of a client or receiver, with what it is for.
pub(crate) fn check_server_mutants(names: &[String]) -> Result<(), Failure> {
    let Some(name) = names.iter().find(|name| mutants::find(name).is_none()) else { return Ok(()) };
    let whose = match (bends::find(name), receiver::bends::find(name)) {
        (Some(_), _) => "an events client",
        (_, Some(_)) => "a CDR receiver",
        (None, None) => return Err(no_mutant(name, server_mutants())),
    };
    Err(Failure::usage(format!(
        "`{name}` is a mutant of {whose}, and an emulated server cannot have it; `bridgeproof run --mutant {name}` plays \
         it, and `bridgeproof prove --list` tells whose each is"
    )))
}

fn server_mutants() -> impl Iterator<Item = &'static str> {
    mutants::all().chain(mutants::registry::OF_LOADS).map(|mutant| mutant.name)
}

fn no_mutant(name: &str, known: impl Iterator<Item = &'static str>) -> Failure {
    let help = scenario::suggest::among_many(name, known.collect::<Vec<_>>());
    let help = help.map_or_else(String::new, |help| format!("{help}; "));
    Failure::usage(format!("no mutant is called `{name}`; {help}`bridgeproof prove --list` names all"))
}

/// Decides which scenarios run.
pub(super) fn plan(
    scenarios: Vec<(String, Scenario)>,
    capabilities: &Capabilities,
    config: &RunConfig,
) -> Vec<Planned> {
    let version =
        capabilities.software_version.as_deref().and_then(|text| text.parse().ok()).unwrap_or(Version::LATEST);
    let restart = match &config.restart {
        Some(restart) => Restart::Command(restart.deadline),
        None if capabilities.test_api => Restart::Emulator,
        None => Restart::Impossible,
    };
    let scenarios = scenarios.into_iter().map(|(id, scenario)| {
        let skip =
            scenario.needs.iter().find_map(|need| missing(need.value.parse().ok()?, version, capabilities, config));
        let skip = skip.or_else(|| without_api(&scenario, capabilities));
        let skip = skip.or_else(|| too_many(&scenario, config));
        let skip = skip.or_else(|| no_places(&scenario, capabilities));
        let skip = skip.or_else(|| out_of_reach(&scenario, config));
        let skip = skip.or_else(|| unknown_party(&scenario, capabilities, config));
        Planned { id, scenario, skip, version, clustered: capabilities.clustered, restart }
    });
    scenarios.collect()
}

/// Every scenario skipped for one reason.
pub(super) fn all_skipped(scenarios: Vec<(String, Scenario)>, why: &str) -> Vec<Planned> {
    let skipped = |(id, scenario)| Planned {
        id,
        scenario,
        skip: Some(why.to_owned()),
        version: Version::LATEST,
        clustered: None,
        restart: Restart::Impossible,
    };
    scenarios.into_iter().map(skipped).collect()
}

/// Why a need is not met.
fn missing(need: Need, version: Version, capabilities: &Capabilities, config: &RunConfig) -> Option<String> {
    let allowed = |allow| config.targets.is_empty() || config.allow.contains(&allow);
    match need {
        Need::Limits if !allowed(Allow::Limits) => Some("uses up the server's limits: --allow limits".to_owned()),
        Need::Probing if !allowed(Allow::Probing) => Some("sends malformed input: --allow probing".to_owned()),
        Need::TestApi if !capabilities.test_api => Some("needs the emulator's test-only API".to_owned()),
        Need::UnprivilegedAccount if !capabilities.unprivileged_account => {
            Some("needs a second account: --unprivileged-user".to_owned())
        }
        Need::Restart if !allowed(Allow::Restart) => Some("restarts the server: --allow restart".to_owned()),
        Need::Restart if !capabilities.test_api && config.restart.is_none() => {
            Some("needs a command that restarts the server: --restart-command".to_owned())
        }
        Need::HttpsReceivers if !capabilities.test_api => {
            Some("shows the server a certificate that nobody has signed".to_owned())
        }
        Need::NotClustered if capabilities.clustered == Some(true) => {
            Some("the Call Bridge is in a cluster".to_owned())
        }
        Need::Version(since) if version < since => Some(format!("needs release {since}, the target has {version}")),
        _ => None,
    }
}

/// A target may offer events and no API but for tokens: what only listens can be done there.
fn without_api(scenario: &Scenario, capabilities: &Capabilities) -> Option<String> {
    let asks_for_more = match &scenario.load {
        Some(load) => !load.value.only_listens(),
        None => scenario.steps.iter().any(|step| uses_api(&step.value)),
    };
    let is_out_of_bounds = !capabilities.api && (asks_for_more || !scenario.receivers.is_empty());
    is_out_of_bounds.then(|| "the target offers no API beyond tokens".to_owned())
}

/// Whether a step asks the API for anything but tokens.
fn uses_api(step: &Step) -> bool {
    match step {
        Step::Token(_)
        | Step::Connect(_)
        | Step::Close(_)
        | Step::Drop(_)
        | Step::Subscribe(_)
        | Step::Acks(_)
        | Step::Ack(_)
        | Step::Send(_)
        | Step::SendText(_)
        | Step::SendFrame(_)
        | Step::SendBytes(_)
        | Step::Wait(_)
        | Step::Rest(_)
        | Step::Pause(_)
        | Step::Expect(_) => false,
        Step::Repeat(repeat) => repeat.steps.iter().any(|step| uses_api(&step.value)),
        _ => true,
    }
}

/// The list of receivers belongs to others, too: what they have is never taken from them.
fn no_places(scenario: &Scenario, capabilities: &Capabilities) -> Option<String> {
    let wanted = scenario.receivers.len();
    if wanted == 0 {
        return None;
    }
    let Some(places) = capabilities.receiver_places else {
        return Some("the target shows no list of CDR receivers".to_owned());
    };
    // The one too many of a scenario that wants to be refused needs no place.
    let missing = wanted.min(places.all).saturating_sub(places.free());
    (missing > 0).then(|| format!("needs {missing} more free places for CDR receivers; {} are taken", places.taken))
}

/// Receivers listen on this machine alone unless it is said where: another machine cannot reach them there.
fn out_of_reach(scenario: &Scenario, config: &RunConfig) -> Option<String> {
    let is_far = config.targets.iter().any(|target| !target.origin.is_loopback());
    let unreachable = config.cdr_listen.is_none() && !scenario.receivers.is_empty() && is_far;
    unreachable.then(|| "needs CDR receivers that the target can reach: --cdr-listen".to_owned())
}

/// Whom a scenario dials is known of an emulator; on any other server the profile has to say.
fn unknown_party(scenario: &Scenario, capabilities: &Capabilities, config: &RunConfig) -> Option<String> {
    if config.targets.is_empty() || capabilities.test_api {
        return None;
    }
    let usual = Addresses::default();
    let unknown = dialled(&scenario.steps).into_iter().find(|word| {
        let stands_for_another = usual.of(word) != *word;
        stands_for_another && config.addresses.of(word) == usual.of(word)
    })?;
    Some(format!("dials a party that {unknown}: name one under [addresses] in a profile"))
}

/// Everybody whom the steps dial.
fn dialled(steps: &[Spanned<Step>]) -> Vec<&str> {
    let mut found = Vec::new();
    for step in steps {
        match &step.value {
            Step::Dial(dial) => found.push(dial.to.0.as_str()),
            Step::Repeat(repeat) => found.extend(dialled(&repeat.steps)),
            _ => {}
        }
    }
    found
}

/// A real server's connections belong to others, too: two are taken without asking.
fn too_many(scenario: &Scenario, config: &RunConfig) -> Option<String> {
    let modest = config.targets.is_empty() || config.allow.contains(&Allow::Limits) || scenario.judge == Judged::Client;
    let of_load = scenario.load.as_ref().map_or(0, |load| load.value.connections() as usize);
    let of_load = of_load.div_ceil(config.targets.len().max(1));
    (!modest && scenario.clients.len() + of_load > 2)
        .then(|| "opens more than two connections: --allow limits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_who_is_dialled_is_found_in_loops_too() {
        let text = "
title: t
exercises: [UPD-03]
steps:
  - start-call: {as: call}
  - repeat: {each: n, to: 2, steps: [{dial: {call: '${call}', to: busy, until: gone}}]}
  - dial: {call: '${call}', to: answers}
";
        let scenario = scenario::read("t.yaml", text).unwrap();
        assert_eq!(dialled(&scenario.steps), ["busy", "answers"]);
    }

    #[test]
    fn an_emulated_server_has_no_mutant_of_its_peers() {
        let of = |name: &str| check_server_mutants(&[name.to_owned()]).map_err(|failure| failure.message);
        assert_eq!((of("one-in-a-hundred-thousand-told-twice"), of("ack-of-request-missing")), (Ok(()), Ok(())));
        assert!(of("client-pings").unwrap_err().contains("is a mutant of an events client, and an emulated server"));
        assert!(of("receiver-answers-204").unwrap_err().contains("is a mutant of a CDR receiver"));
        assert!(of("ack-of-request-mising").unwrap_err().contains("did you mean `ack-of-request-missing`?"));
        assert!(check_mutants(&["client-pings".to_owned(), "receiver-answers-204".to_owned()]).is_ok());
    }
}
