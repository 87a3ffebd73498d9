//! A file of lines that survives the death of this process, and of the machine as far as its disk tells the truth.
//!
//! [`RecordFile::append`] adds whole lines, [`RecordFile::sync`] has them on the disk; what was synced is never touched
//! again. A line that was torn by a crash is cut off when the file is opened and kept beside it. Where the disk is full
//! what was written of the last lines is taken back, so that the file ends with a whole line all the same. The file is
//! locked while it is open.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// How much of the file is looked at in one piece when it is opened, in bytes.
const PIECE_BYTES: usize = 64 << 10;

/// What every line that is kept begins with (`receive/lines.rs`).
const BEGINNING: &[u8] = b"{\"arrived\":\"";

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordFileError {
    /// It cannot be opened, read, locked or repaired.
    #[error("failed to open `{path}`: {cause}")]
    Open {
        /// Where it is.
        path: String,
        /// Why not.
        cause: io::Error,
    },
    /// It holds lines, but none that this program could have written.
    #[error("`{path}` holds something else than records; nothing was changed")]
    Foreign {
        /// Where it is.
        path: String,
    },
    /// Another process has it open.
    #[error("`{path}` is in use by another process")]
    InUse {
        /// Where it is.
        path: String,
    },
}

/// What was cut off the end of a file because a crash had torn it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// How many bytes.
    pub bytes: u64,
    /// Where they are kept.
    pub kept: PathBuf,
}

/// A file of lines that is open.
#[derive(Debug)]
pub struct RecordFile {
    file: File,
    /// Up to here there are whole lines.
    good_bytes: u64,
    unsynced: bool,
    /// Whether what was written behind the whole lines could not be taken back.
    broken: bool,
}

impl RecordFile {
    /// Opens the file, or makes it. Tells what was cut off.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn open(path: &Path) -> Result<(Self, Option<Torn>), RecordFileError> {
        let shown = path.display().to_string();
        let failed = |cause| RecordFileError::Open { path: shown.clone(), cause };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RecordFileError::InUse { path: shown }),
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let length = file.metadata().map_err(failed)?.len();
        let good_bytes = whole_lines(&mut file, length).map_err(failed)?;
        let may_be_torn = good_bytes > 0
            || (last_line_end(&mut file, length).map_err(failed)? == 0 && begins_as_ours(&mut file).map_err(failed)?);
        if !may_be_torn {
            return Err(RecordFileError::Foreign { path: shown });
        }
        let torn = match length - good_bytes {
            0 => None,
            bytes => {
                let kept = beside(path);
                move_aside(&mut file, good_bytes, &kept).map_err(failed)?;
                Some(Torn { bytes, kept })
            }
        };
        file.seek(SeekFrom::Start(good_bytes)).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        sync_folder(path).map_err(failed)?;
        Ok((Self { file, good_bytes, unsynced: false, broken: false }, torn))
    }

    /// Adds whole lines. They are safe only after [`RecordFile::sync`].
    ///
    /// # Errors
    /// Why they could not be added; the file is then as it was before.
    pub fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.broken {
            self.take_back()?;
        }
        self.unsynced = true;
        if let Err(error) = self.file.write_all(lines) {
            self.broken = true;
            // If that fails as well, the next attempt begins with it.
            let _ = self.take_back();
            return Err(error);
        }
        self.good_bytes += lines.len() as u64;
        Ok(())
    }

    /// Has everything that was added on the disk.
    ///
    /// # Errors
    /// Why that is not certain.
    pub fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.unsynced) {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn take_back(&mut self) -> io::Result<()> {
        self.file.set_len(self.good_bytes)?;
        self.file.seek(SeekFrom::Start(self.good_bytes))?;
        self.broken = false;
        Ok(())
    }
}

impl Drop for RecordFile {
    fn drop(&mut self) {
        // Closing the file is not enough where a process that this one starts just then has it open as well.
        let _ = self.file.unlock();
    }
}

/// Where the last whole line ends. A line that is no object of JSON, or has holes, was torn by the disk and does not count.
fn whole_lines(file: &mut File, length: u64) -> io::Result<u64> {
    let mut end = last_line_end(file, length)?;
    while end > 0 {
        let begin = last_line_end(file, end - 1)?;
        // Longer than memory should hold: it is trusted.
        let Some(bytes) = usize::try_from(end - begin).ok().filter(|bytes| *bytes <= 1 << 30) else { break };
        let mut line = vec![0; bytes];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(&mut line)?;
        if line.starts_with(b"{") && line.ends_with(b"}\n") && memchr::memchr(0, &line).is_none() {
            break;
        }
        end = begin;
    }
    Ok(end)
}

/// Whether a file without a whole line can be the beginning of one of ours, which the disk may have torn: nothing, zeros
/// alone, or as much of our beginning as there is before the first zero.
fn begins_as_ours(file: &mut File) -> io::Result<bool> {
    let mut piece = Vec::new();
    file.seek(SeekFrom::Start(0))?;
    file.take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
    let written = memchr::memchr(0, &piece).map_or(piece.as_slice(), |at| &piece[..at]);
    let compared = written.len().min(BEGINNING.len());
    Ok(written[..compared] == BEGINNING[..compared] && (compared > 0 || piece.iter().all(|byte| *byte == 0)))
}

/// The end of the last line that ends at or before `limit`; 0 where none does.
fn last_line_end(file: &mut File, limit: u64) -> io::Result<u64> {
    let (mut piece, mut end) = (vec![0; PIECE_BYTES], limit);
    while end > 0 {
        let begin = end.saturating_sub(PIECE_BYTES as u64);
        let part = &mut piece[..usize::try_from(end - begin).unwrap_or(PIECE_BYTES)];
        file.seek(SeekFrom::Start(begin))?;
        file.read_exact(part)?;
        if let Some(at) = memchr::memrchr(b'\n', part) {
            return Ok(begin + at as u64 + 1);
        }
        end = begin;
    }
    Ok(0)
}

/// Moves what stands behind `good_bytes` to the end of another file. That is on the disk before it is cut off here.
fn move_aside(file: &mut File, good_bytes: u64, kept: &Path) -> io::Result<()> {
    let mut aside = OpenOptions::new().append(true).create(true).open(kept)?;
    file.seek(SeekFrom::Start(good_bytes))?;
    io::copy(file, &mut aside)?;
    aside.write_all(b"\n")?;
    aside.sync_all()?;
    file.set_len(good_bytes)
}

/// `FILE.torn`
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".torn");
    name.into()
}

/// A file that was made is safe when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn opened(path: &Path) -> (RecordFile, Option<Torn>) {
        RecordFile::open(path).unwrap()
    }

    #[test]
    fn lines_are_added_behind_those_that_are_there() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("records.jsonl");
        for line in ["{\"a\":1}\n", "{\"b\":2}\n"] {
            let (mut file, torn) = opened(&path);
            assert_eq!(torn, None);
            file.append(line.as_bytes()).unwrap();
            file.sync().unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"a\":1}\n{\"b\":2}\n");
        assert!(!beside(&path).exists());
    }

    #[test]
    fn a_torn_line_is_moved_aside_wherever_it_was_torn() {
        let root = tempfile::tempdir().unwrap();
        let long = format!("{{\"long\":\"{}\"}}\n", "x".repeat(2 * PIECE_BYTES));
        let whole = format!("{{\"a\":1}}\n{long}");
        for (case, torn) in
            ["{", "{\"b\":", &long[..PIECE_BYTES + 5], "\0\0\0\0\n", "{\"b\":\n\0\0", "{\"b\":\"\0\"}\n"]
                .iter()
                .enumerate()
        {
            let path = root.path().join(format!("{case}.jsonl"));
            fs::write(&path, format!("{whole}{torn}")).unwrap();
            let (mut file, told) = opened(&path);
            assert_eq!(told, Some(Torn { bytes: torn.len() as u64, kept: beside(&path) }), "{torn:.20}");
            file.append(b"{\"c\":3}\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{whole}{{\"c\":3}}\n"));
            assert_eq!(fs::read_to_string(beside(&path)).unwrap(), format!("{torn}\n"));
        }
        let path = root.path().join("only.jsonl");
        fs::write(&path, "{\"a").unwrap();
        drop(opened(&path));
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_file_that_is_in_use_or_no_file_is_told() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("records.jsonl");
        let _first = opened(&path);
        let error = RecordFile::open(&path).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
        let other = root.path().join("letter.txt");
        fs::write(&other, "Dear reader,\nhello").unwrap();
        assert!(matches!(RecordFile::open(&other).unwrap_err(), RecordFileError::Foreign { .. }));
        assert_eq!(fs::read_to_string(&other).unwrap(), "Dear reader,\nhello");
        for foreign in ["hello", "{\"name\": 1}", "{\"arrive\0", "\0\u{1}ELF"] {
            fs::write(&other, foreign).unwrap();
            let opened = RecordFile::open(&other);
            assert_eq!(matches!(opened, Err(RecordFileError::Foreign { .. })), foreign != "{\"arrive\0", "{foreign}");
            let left = if foreign == "{\"arrive\0" { "" } else { foreign };
            assert_eq!(fs::read_to_string(&other).unwrap(), left);
        }
        let error = RecordFile::open(root.path()).unwrap_err().to_string();
        assert!(error.starts_with("failed to open `"), "{error}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error() {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let mut file = RecordFile { file, good_bytes: 0, unsynced: false, broken: false };
        assert_eq!(file.append(b"{}\n").unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}
