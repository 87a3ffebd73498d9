//! The recording of a run: `trace.jsonl.zst` in the report folder.
//!
//! Scenarios run at the same time, so each is compressed in memory, as a zstd frame of its own, and appended whole when
//! it ends: frames that follow each other are one zstd stream, and a run that is killed leaves whole scenarios behind.
//! What the lines hold is [`crate::trace::format`]; reading them is [`crate::check`].

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use zstd::stream::write::Encoder;

use crate::trace::format::{self, Begin, End};
use crate::trace::{Observation, Secrets, Sink};

/// The name of the recording in the report folder.
pub const FILE: &str = "trace.jsonl.zst";

/// A fast level; traces repeat themselves so much that higher ones gain little.
const LEVEL: i32 = 3;

/// How many compressed bytes of one scenario are kept, on all its servers together; what comes later is left out, and counted.
const BYTES_KEPT: usize = 256 << 20;

/// Takes down one scenario.
pub(super) struct ScenarioRecorder {
    id: String,
    secrets: Secrets,
    encoder: Encoder<'static, Vec<u8>>,
    line: Vec<u8>,
    left_out: u64,
    bytes_kept: usize,
}

impl ScenarioRecorder {
    /// Begins a scenario's part, one of so many that it has on its servers.
    ///
    /// # Errors
    /// If there is no memory for the compression.
    pub(super) fn new(begin: &Begin, parts: u32) -> io::Result<Self> {
        let mut recorder = Self {
            id: begin.begin.clone(),
            secrets: Secrets::new(),
            encoder: encoder()?,
            line: Vec::new(),
            left_out: 0,
            bytes_kept: BYTES_KEPT / parts.max(1) as usize,
        };
        format::write_line(begin, &mut recorder.line);
        recorder.encoder.write_all(&recorder.line)?;
        Ok(recorder)
    }

    /// Ends the scenario's part and gives its bytes; `end` is told how much is left out.
    ///
    /// # Errors
    /// If the compression fails.
    pub(super) fn finish(mut self, mut end: End) -> io::Result<Vec<u8>> {
        end.left_out = self.left_out;
        let failures = end.failed_expectations.iter_mut().flat_map(|one| [&mut one.expected, &mut one.observed]);
        for text in failures.chain(&mut end.unfinished) {
            *text = self.secrets.text(text).into_owned();
        }
        self.line.clear();
        format::write_line(&end, &mut self.line);
        self.encoder.write_all(&self.line)?;
        self.encoder.finish()
    }
}

impl Sink for ScenarioRecorder {
    fn observe(&mut self, observation: &Observation<'_>) {
        if self.left_out > 0 || self.encoder.get_ref().len() > self.bytes_kept {
            self.left_out += 1;
            return;
        }
        self.line.clear();
        format::write_observation(&self.id, observation, &mut self.secrets, &mut self.line);
        if self.encoder.write_all(&self.line).is_err() {
            self.left_out += 1;
        }
    }
}

/// The file that scenarios are appended to.
pub(super) struct Recording {
    file: File,
    failed: Option<io::Error>,
}

impl Recording {
    /// Creates the file in the folder.
    ///
    /// # Errors
    /// If it cannot be created.
    pub(super) fn create(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: File::create(folder.join(FILE))?, failed: None })
    }

    /// Appends a line that belongs to no scenario under way.
    pub(super) fn line<L: serde::Serialize>(&mut self, line: &L) {
        self.append(frame(line));
    }

    /// Appends a scenario's part. After a failure nothing is written any more, so that the file ends where it failed.
    pub(super) fn append(&mut self, frame: io::Result<Vec<u8>>) {
        if self.failed.is_none() {
            self.failed = frame.and_then(|frame| self.file.write_all(&frame)).err();
        }
    }

    /// Why the recording is not whole, if it is not.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.as_ref().map(|error| format!("the recording is not whole: failed to write {FILE}: {error}"))
    }
}

/// The zstd frame of one line.
///
/// # Errors
/// If the compression fails.
pub(super) fn frame<L: serde::Serialize>(line: &L) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    format::write_line(line, &mut text);
    let mut encoder = encoder()?;
    encoder.write_all(&text)?;
    encoder.finish()
}

fn encoder() -> io::Result<Encoder<'static, Vec<u8>>> {
    let mut encoder = Encoder::new(Vec::new(), LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::format::Closed;

    #[test]
    fn frames_that_follow_each_other_are_one_stream() {
        let root = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(root.path()).unwrap();
        for closed_ms in [1, 2] {
            recording.line(&Closed { closed_ms, interrupted: false, errors: Vec::new(), exit_codes: Vec::new() });
        }
        assert_eq!(recording.failure(), None);
        let bytes = std::fs::read(root.path().join(FILE)).unwrap();
        let text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().all(|line| format::read_line(line.as_bytes()).is_ok()), "{text}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_of_and_ends_the_recording_only() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", root.path().join(FILE)).unwrap();
        let mut recording = Recording::create(root.path()).unwrap();
        recording.append(Ok(vec![1]));
        recording.append(Ok(vec![2]));
        let told = recording.failure().unwrap();
        assert!(told.contains("not whole") && told.contains("No space left"), "{told}");
    }

    #[test]
    fn after_a_failure_nothing_is_appended() {
        let root = tempfile::tempdir().unwrap();
        let mut recording = Recording::create(root.path()).unwrap();
        recording.append(Err(io::Error::other("full")));
        recording.append(Ok(vec![1]));
        assert!(recording.failure().unwrap().contains("full"));
        assert_eq!(std::fs::metadata(root.path().join(FILE)).unwrap().len(), 0);
    }
}
