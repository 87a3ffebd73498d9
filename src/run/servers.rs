//! The servers of a scenario: one, or several that a load is spread over.

use std::net::SocketAddr;

use crate::config::RunConfig;
use crate::emulator::{MeetingServer, Settings, mutants};
use crate::exit::Failure;
use crate::net::clock::Clock;
use crate::net::emulator_shell::{EmulatorShell, ShellOptions, start};
use crate::net::probe::{Capabilities, ProbeError, probe};
use crate::net::socket_driver::Link;
use crate::net::target::{Accounts, Target, Tls};
use crate::report::quantity::counted;
use crate::scenario::syntax::{Load, Scenario};
use crate::spec::Version;

/// How many emulators a load is spread over at most.
pub(super) const MOST_EMULATORS: u32 = 100;

/// Where scenarios run.
pub(super) enum Site {
    /// An emulated server for each scenario; several for a load.
    Embedded {
        /// Its settings.
        settings: Box<Settings>,
        /// Its faults on purpose.
        mutants: Vec<String>,
        /// How many a load is spread over, where its connections do not decide.
        servers: Option<u32>,
    },
    /// One server for all; several for loads that are spread over them.
    Servers(Vec<Link>),
}

/// A server that a scenario runs on.
pub(super) struct OneServer {
    /// What to call it, where there are several.
    pub(super) name: Option<String>,
    pub(super) link: Link,
    /// The emulator, where the server is one of this program's own.
    shell: Option<EmulatorShell>,
}

impl OneServer {
    /// Ends it, if it is one of this program's own.
    pub(super) async fn stop(self) {
        if let Some(shell) = self.shell {
            shell.stop().await;
        }
    }
}

impl Site {
    /// Names of what bends events clients.
    pub(super) fn bends(&self) -> Vec<String> {
        match self {
            Self::Embedded { mutants, .. } => mutants.clone(),
            Self::Servers(_) => Vec::new(),
        }
    }

    /// Whether its servers are this program's own.
    pub(super) const fn is_embedded(&self) -> bool {
        matches!(self, Self::Embedded { .. })
    }

    /// The ways to the servers that are not this program's own.
    pub(super) fn links(&self) -> &[Link] {
        match self {
            Self::Embedded { .. } => &[],
            Self::Servers(links) => links,
        }
    }

    /// The servers of a scenario, the emulated ones started.
    ///
    /// # Errors
    /// Why an emulator cannot be started.
    pub(super) async fn servers(&self, scenario: &Scenario, seed: u64, clock: Clock) -> Result<Vec<OneServer>, String> {
        let load = scenario.load.as_ref().map(|load| &load.value);
        match self {
            Self::Servers(links) => {
                let count = load.map_or(1, |load| no_more_than_connections(links.len(), load));
                // Those of one machine: receivers of the next server listen behind those of the one before.
                let receivers = u16::try_from(scenario.receivers.len()).unwrap_or(u16::MAX);
                let server = |(place, link): (u16, &Link)| OneServer {
                    name: (count > 1).then(|| link.target().origin.to_string()),
                    link: link.clone().with_first_receiver(place.saturating_mul(receivers)),
                    shell: None,
                };
                Ok((0..).zip(links.iter().take(count)).map(server).collect())
            }
            Self::Embedded { settings, mutants, servers } => {
                let wanted = |load| servers.unwrap_or_else(|| emulators_for(load, settings));
                let count = load.map_or(1, |load| no_more_than_connections(wanted(load) as usize, load));
                let mut all = Vec::new();
                for number in 1..=count {
                    let (shell, link) = embedded(settings, mutants, part_seed(seed, number - 1), clock).await?;
                    let name = (count > 1).then(|| format!("emulator {number}"));
                    all.push(OneServer { name, link, shell: Some(shell) });
                }
                Ok(all)
            }
        }
    }
}

/// The seed of one of the servers that a scenario runs on, counted from 0, and of whoever speaks with it: a single one has the
/// scenario's.
pub(super) const fn part_seed(seed: u64, place: usize) -> u64 {
    seed.wrapping_add((place as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// That a load is spread over fewer servers than were asked for, if it is.
pub(super) fn fewer(id: &str, scenario: &Scenario, config: &RunConfig) -> Option<String> {
    let load = &scenario.load.as_ref()?.value;
    let asked = config.servers.map_or(config.targets.len(), |servers| servers as usize);
    let count = no_more_than_connections(asked, load);
    (count < asked).then(|| {
        let connections = counted(load.connections() as usize, "connection");
        format!("{id} has {connections}, so it is spread over {} and not over {asked}", counted(count, "server"))
    })
}

/// A server without a connection would tell nothing.
fn no_more_than_connections(servers: usize, load: &Load) -> usize {
    match load.connections() as usize {
        0 => servers,
        connections => servers.min(connections),
    }
}

/// How many emulators serve the connections of a load, each as many as its settings let it.
fn emulators_for(load: &Load, settings: &Settings) -> u32 {
    let each = u32::try_from(settings.connection_limit).unwrap_or(u32::MAX).max(1);
    load.connections().div_ceil(each).clamp(1, MOST_EMULATORS)
}

/// Whether scenarios can run on the servers of the run: several are for loads.
///
/// # Errors
/// What does not fit.
pub(super) fn check(
    scenarios: &[(String, Scenario)],
    targets: usize,
    servers: Option<u32>,
    settings: &Settings,
) -> Result<(), Failure> {
    let what = if targets > 1 { "several servers are" } else { "--servers is" };
    if targets > 1 || servers.is_some() {
        let other = scenarios.iter().find(|(_, scenario)| scenario.load.is_none());
        if let Some((id, _)) = other {
            let help = "name the loads to run, such as `load/steady`";
            return Err(Failure::usage(format!("{what} for loads, and `{id}` is none: {help}")));
        }
    }
    let each = settings.connection_limit;
    let most = u64::from(MOST_EMULATORS).saturating_mul(each);
    let too_many = |(_, scenario): &&(String, Scenario)| {
        scenario.load.as_ref().is_some_and(|load| u64::from(load.value.connections()) > most)
    };
    match scenarios.iter().find(too_many).filter(|_| targets == 0 && servers.is_none()) {
        Some((id, _)) => Err(Failure::usage(format!(
            "`{id}` has more connections than {MOST_EMULATORS} emulators serve, each {each}; \
             `--dialect connection-limit=N` lets each serve more"
        ))),
        None => Ok(()),
    }
}

/// Asks each server what it can do. What all of them can.
///
/// # Errors
/// Why one of them cannot be used; that their releases differ.
pub(super) async fn probe_all(links: &[Link]) -> Result<Result<Capabilities, Failure>, ProbeError> {
    let mut all = Vec::new();
    for link in links {
        all.push((link.target().origin.to_string(), probe(link).await?));
    }
    Ok(joined(all))
}

/// What all servers can do.
fn joined(all: Vec<(String, Capabilities)>) -> Result<Capabilities, Failure> {
    let release = |one: &Capabilities| one.software_version.as_deref().and_then(|text| text.parse::<Version>().ok());
    let mut all = all.into_iter();
    let (first, mut whole) = all.next().ok_or_else(|| Failure::usage("no server is named"))?;
    for (name, one) in all {
        if release(&one) != release(&whole) {
            let told = |one: &Capabilities| one.software_version.clone().unwrap_or_else(|| "an unknown one".to_owned());
            return Err(Failure::usage(format!(
                "a load is spread over servers of one release: {first} has {}, {name} has {}",
                told(&whole),
                told(&one)
            )));
        }
        whole.clustered = whole.clustered.filter(|known| one.clustered == Some(*known));
        whole.api &= one.api;
        whole.test_api &= one.test_api;
        whole.unprivileged_account &= one.unprivileged_account;
        whole.receiver_places = match (whole.receiver_places, one.receiver_places) {
            (Some(known), Some(other)) => Some(if other.free() < known.free() { other } else { known }),
            _ => None,
        };
        whole.certificate_doubt = whole.certificate_doubt.or(one.certificate_doubt);
    }
    Ok(whole)
}

async fn embedded(
    settings: &Settings,
    names: &[String],
    seed: u64,
    clock: Clock,
) -> Result<(EmulatorShell, Link), String> {
    let accounts = Accounts::generated();
    let mutants = names.iter().filter_map(|name| mutants::make(name)).collect();
    let mut server = MeetingServer::new(settings.clone(), mutants, seed);
    server.set_wall_clock(clock.now(), clock.unix_ms());
    let options = ShellOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], 0)),
        tls: None,
        accounts: accounts.clone(),
        observer: None,
        tell: None,
    };
    let shell = start(server, options, clock).await.map_err(|error| error.to_string())?;
    let target = Target::new(&shell.url(), accounts, Tls::Insecure).map_err(|error| error.to_string())?;
    let link = Link::new(target, clock).map_err(|error| error.to_string())?;
    Ok((shell, link))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::probe::ReceiverPlaces;
    use crate::scenario;

    fn load(connections: u32) -> Scenario {
        let text = format!(
            "title: t\nexercises: [UPD-08]\nneeds: [limits]\nreceivers: [main]\n\
             load: {{connections: {connections}, duration: 1s}}\n"
        );
        scenario::read("t.yaml", &text).unwrap()
    }

    fn capabilities(version: &str, clustered: Option<bool>, taken: usize) -> Capabilities {
        Capabilities {
            software_version: Some(version.to_owned()),
            clustered,
            api: true,
            test_api: true,
            unprivileged_account: true,
            receiver_places: Some(ReceiverPlaces { taken, ..ReceiverPlaces::default() }),
            certificate_doubt: None,
        }
    }

    #[test]
    fn a_load_has_as_many_emulators_as_its_connections_need() {
        let settings = Settings::default();
        let count = |connections| emulators_for(&load(connections).load.unwrap().value, &settings);
        assert_eq!([0, 1, 5, 6, 20, 500, 9999].map(count), [1, 1, 1, 2, 4, 100, 100]);
        let of = |servers, connections| no_more_than_connections(servers, &load(connections).load.unwrap().value);
        assert_eq!((of(3, 2), of(3, 7), of(3, 0)), (2, 3, 3));
    }

    #[test]
    fn several_servers_are_for_loads_and_emulators_are_not_without_end() {
        let settings = Settings::default();
        let steps = "title: t\nexercises: [UPD-08]\nsteps: [{rest: {}}]\n";
        let plain = ("a/b".to_owned(), scenario::read("t.yaml", steps).unwrap());
        let some = ("load/x".to_owned(), load(501));
        let both = [some.clone(), plain.clone()];
        let told = check(&both, 2, None, &settings).unwrap_err().message;
        assert!(told.contains("several servers are for loads, and `a/b` is none"), "{told}");
        assert!(check(&both, 0, Some(2), &settings).unwrap_err().message.contains("--servers is for loads"));
        assert!(check(&[plain], 1, None, &settings).is_ok() && check(&both, 1, None, &settings).is_ok());
        let some = [some];
        assert!(check(&some, 0, None, &settings).unwrap_err().message.contains("more connections than 100 emulators"));
        assert!(check(&some, 0, Some(3), &settings).is_ok() && check(&some, 2, None, &settings).is_ok());
    }

    #[test]
    fn what_servers_can_is_what_each_of_them_can() {
        let named =
            |all: Vec<Capabilities>| (0..).zip(all).map(|(at, one): (u32, _)| (format!("s{at}"), one)).collect();
        let two = vec![capabilities("3.7", Some(false), 1), capabilities("3.7.2", Some(true), 3)];
        let whole = joined(named(two)).unwrap();
        assert_eq!((whole.clustered, whole.receiver_places.unwrap().free()), (None, 1));
        let other = vec![capabilities("3.7", None, 0), capabilities("3.5", None, 0)];
        let told = joined(named(other)).unwrap_err().message;
        assert!(told.contains("s0 has 3.7, s1 has 3.5"), "{told}");
    }
}
