//! Sockets, TLS, the clock and the randomness of the operating system: the only place that has them.
//!
//! Clients, against a Meeting Server of any make:
//! - [`target`]: what is tested and with which accounts; [`probe`]: what it can do, asked before a run
//! - [`http_client`] carries out API exchanges, [`events_connection`] opens event connections
//! - [`socket_driver`] runs one engine over the two; it lets Call Bridges connect to CDR receivers ([`listeners`]), and
//!   has the target restarted by the user's command (`restart`); [`event_loop`] does the same for several engines under load
//!
//! The server's side: [`emulator_shell`] puts the emulated Meeting Server on a port, with `emulator_task`, which owns
//! its core, `emulator_links`, its connections to CDR receivers, and `emulator_observer` with `emulator_delivery`, which make
//! observations of what its clients and receivers do.
//!
//! Both sides: [`clock`], [`entropy`], [`interrupt`], [`tls`], [`usage`] (of memory and processor), and inside `stream` and `pump`, which move the bytes of event connections.
//! Nothing here decides what is right or wrong; failures are told in words ([`failure`]).

pub mod clock;
#[cfg(test)]
mod driver_tests;
mod emulator_delivery;
mod emulator_links;
mod emulator_observer;
pub mod emulator_shell;
mod emulator_task;
pub mod entropy;
pub mod event_loop;
pub mod events_connection;
pub mod failure;
#[cfg(test)]
mod fixtures;
pub mod http_client;
pub mod interrupt;
#[cfg(test)]
mod link_tests;
pub mod listeners;
pub mod metrics_endpoint;
pub mod probe;
mod pump;
pub mod receive_loop;
pub mod record_file;
pub mod recording;
mod restart;
pub mod socket_driver;
mod stream;
pub mod target;
pub mod tls;
pub mod usage;
mod wire;

pub use emulator_task::Served;
