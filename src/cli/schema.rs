//! `bridgeproof schema`: the JSON Schema of scenario files.

use super::output::result;
use crate::exit::{ExitCode, Failure};

pub(super) fn execute() -> Result<ExitCode, Failure> {
    result(&crate::scenario::schema::schema_text())?;
    Ok(ExitCode::Pass)
}
