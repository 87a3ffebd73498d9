//! Writing to stdout and stderr: colours only on a terminal, and a closed pipe is no error.

use std::io::{self, Write};
use std::path::Path;

use crate::exit::{ExitCode, Failure};
use crate::report::folder;
use crate::report::model::Report;

/// Writes a result to stdout.
///
/// # Errors
/// If stdout cannot be written, unless its reader has gone.
pub fn result(text: &str) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure { code: ExitCode::Bug, message: format!("failed to write to stdout: {error}") })
        }
        _ => Ok(()),
    }
}

/// Writes a report into its folder, and returns where it is. Where that is not possible, such as on a disk that is full, the
/// report says so and ends as what cannot be kept does; it is still to be shown.
pub fn kept(folder: &Path, report: &mut Report) -> Option<String> {
    let Err(error) = folder::write(folder, report) else { return Some(folder.display().to_string()) };
    failure(&Failure { code: ExitCode::Unreachable, message: error.to_string() });
    let codes = [ExitCode::from_number(report.exit_code), ExitCode::Unreachable];
    report.exit_code = ExitCode::most_telling(&codes).number();
    report.errors.push(error.to_string());
    None
}

/// Whether messages on stderr may have colours.
pub fn styled() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Writes to stderr why the program ends. What shows a place in a file says itself that it is an error.
pub fn failure(failure: &Failure) {
    let is_rendered = anstream::adapter::strip_str(&failure.message).to_string().starts_with("error");
    let prefix = if is_rendered { "" } else { "error: " };
    note(&format!("{prefix}{failure}"));
}

/// Writes a line to stderr; where that is closed there is nobody to tell.
pub fn note(text: &str) {
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}
