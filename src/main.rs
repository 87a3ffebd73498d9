//! The `bridgeproof` program: parse, run, exit.

use std::process::ExitCode as ProcessExit;

use bridgeproof::cli::{Cli, output};
use bridgeproof::exit::ExitCode;
use clap::Parser;

fn main() -> ProcessExit {
    let cli = Cli::parse();
    let outcome = std::panic::catch_unwind(|| cli.execute());
    let code = match outcome {
        Ok(Ok(code)) => code,
        Ok(Err(failure)) => {
            output::failure(&failure);
            failure.code
        }
        Err(_) => {
            output::note("bridgeproof met a fault of its own; please report the lines above with the command");
            ExitCode::Bug
        }
    };
    code.into()
}
