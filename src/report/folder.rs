//! The report folder: created, and proven writable before a run starts.
//!
//! A run that cannot write its report would be lost; so that is found out first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::model::Report;
use crate::exit::{ExitCode, Failure};

/// Why a report cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("failed to write to the report folder `{}`: {cause}", .path.display())]
pub struct FolderError {
    /// The file or folder.
    pub path: PathBuf,
    /// Why.
    pub cause: io::Error,
}

impl From<FolderError> for Failure {
    /// What cannot be kept is the environment's fault, whatever was typed.
    fn from(error: FolderError) -> Self {
        Self { code: ExitCode::Unreachable, message: error.to_string() }
    }
}

/// Makes the text of a file.
type Rendering = fn(&Report) -> String;

/// Creates the folder where it is missing, and writes and removes a file in it.
///
/// # Errors
/// If either is not possible.
pub fn prepare(folder: &Path) -> Result<(), FolderError> {
    let fault = |path: &Path| {
        let path = path.to_owned();
        move |cause| FolderError { path, cause }
    };
    fs::create_dir_all(folder).map_err(fault(folder))?;
    let probe = folder.join(".bridgeproof-write-test");
    fs::write(&probe, b"").map_err(fault(&probe))?;
    fs::remove_file(&probe).map_err(fault(&probe))
}

/// Removes a file of an earlier run, which would stand beside a report that it does not belong to.
///
/// # Errors
/// If it is there and cannot be removed.
pub fn forget(folder: &Path, file: &str) -> Result<(), FolderError> {
    let path = folder.join(file);
    match fs::remove_file(&path) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(FolderError { path, cause }),
        _ => Ok(()),
    }
}

/// Writes `report.json`, `junit.xml`, `summary.md` and `report.html`, the data first.
///
/// # Errors
/// If a file cannot be written; those before it are there.
pub fn write(folder: &Path, report: &Report) -> Result<(), FolderError> {
    let files: [(&str, Rendering); 4] = [
        ("report.json", super::json::render),
        ("junit.xml", super::junit::render),
        ("summary.md", super::markdown::render),
        ("report.html", super::html::render),
    ];
    for (name, render) in files {
        let path = folder.join(name);
        if let Err(cause) = fs::write(&path, render(report)) {
            // A part of a report would be taken for one.
            let _ = fs::remove_file(&path);
            return Err(FolderError { path, cause });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_written_is_found_out_first() {
        let root = tempfile::tempdir().unwrap();
        prepare(&root.path().join("a/b")).unwrap();
        let file = root.path().join("file");
        fs::write(&file, b"x").unwrap();
        let error = prepare(&file.join("below")).unwrap_err();
        assert!(error.to_string().contains("below"), "{error}");
    }

    #[test]
    fn all_files_are_written() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), &super::super::fixtures::report()).unwrap();
        for name in ["report.json", "junit.xml", "summary.md", "report.html"] {
            assert!(fs::metadata(root.path().join(name)).unwrap().len() > 100, "{name}");
        }
    }
}
