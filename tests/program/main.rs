//! The program as a user meets it: command lines in; output, exit codes and report files out.
//!
//! Every test starts the built binary in a folder of its own and bounds it in time. Nothing sleeps: tests wait for lines
//! of output, for the end of a process, or for a connection. `child` starts programs, `call_bridge` sends records, `peer`
//! plays servers that behave badly, `reports` reads what a run left behind.

mod bad_loads;
mod bad_targets;
mod call_bridge;
mod child;
mod client_loads;
mod emulate_command;
mod histogram_log;
mod judged_receivers;
mod kept_records;
mod lint_and_schema;
mod load_outputs;
mod loads;
mod peer;
mod python_client;
mod receive_command;
mod records;
mod reports;
mod run_command;
mod spread_loads;
mod targets;
