//! The lines of a trace file, plain or compressed, each with its number.
//!
//! A damaged line does not end the reading; a file that cannot be read on does, and so does a line without an end.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::trace::format::{Line, LineFault, read_line};

/// How a file begins that is compressed with zstd.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];

/// How long a line may be, in bytes; a frame of the largest size that is read takes less.
const LONGEST: u64 = 256 << 20;

/// The lines of one file. After an error of the file there are no more.
pub(super) struct Lines {
    source: Option<Box<dyn BufRead>>,
    number: u64,
}

/// Why a line could not be had.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The line is damaged.
    Line(LineFault),
    /// The file is cut off within the line.
    Cut,
    /// The line has no end.
    TooLong,
    /// The file cannot be read on.
    File(io::Error),
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(fault) => write!(f, "{fault}"),
            Self::Cut => f.write_str("the file is cut off within this line"),
            Self::TooLong => f.write_str("the line is longer than any of a trace; what follows is not read"),
            Self::File(error) => write!(f, "the file cannot be read on: {error}"),
        }
    }
}

impl Lines {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Self::new(BufReader::new(File::open(path)?))
    }

    fn new(mut source: impl BufRead + 'static) -> io::Result<Self> {
        let mut start = Vec::new();
        source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start)?;
        let compressed = start == ZSTD;
        let whole = io::Cursor::new(start).chain(source);
        let source: Box<dyn BufRead> = if compressed {
            Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(whole)?))
        } else {
            Box::new(whole)
        };
        Ok(Self { source: Some(source), number: 0 })
    }
}

impl Iterator for Lines {
    type Item = Result<(u64, Line), (u64, Trouble)>;

    fn next(&mut self) -> Option<Self::Item> {
        let source = self.source.as_mut()?;
        self.number += 1;
        let mut line = Vec::new();
        let trouble = match source.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) => {
                self.source = None;
                return None;
            }
            Ok(_) if line.ends_with(b"\n") => {
                return Some(match read_line(&line) {
                    Ok(read) => Ok((self.number, read)),
                    Err(fault) => Err((self.number, Trouble::Line(fault))),
                });
            }
            Ok(length) if length as u64 == LONGEST => Trouble::TooLong,
            // A text editor may have taken the last line feed.
            Ok(_) => match read_line(&line) {
                Ok(read) => return Some(Ok((self.number, read))),
                Err(LineFault::Wrong(_)) => Trouble::Cut,
                Err(fault) => Trouble::Line(fault),
            },
            Err(error) => Trouble::File(error),
        };
        self.source = None;
        Some(Err((self.number, trouble)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLOSED: &[u8] = b"{\"closed_ms\":1,\"interrupted\":false,\"errors\":[],\"exit_codes\":[]}\n";

    fn outcomes(bytes: Vec<u8>) -> Vec<String> {
        let lines = Lines::new(io::Cursor::new(bytes)).unwrap();
        lines
            .map(|line| match line {
                Ok((number, _)) => format!("{number} read"),
                Err((number, trouble)) => format!("{number} {trouble}"),
            })
            .collect()
    }

    #[test]
    fn a_damaged_line_does_not_end_the_reading_but_a_cut_one_does() {
        let bytes = [CLOSED, b"{\"x\":1}\n", CLOSED, &CLOSED[..20]].concat();
        let told = outcomes(bytes);
        assert_eq!(told[..3], ["1 read", "2 no line of a trace", "3 read"]);
        assert!(told[3].starts_with("4 the file is cut off"), "{told:?}");
        assert_eq!(outcomes(CLOSED[..CLOSED.len() - 1].to_vec()), ["1 read"]);
        assert_eq!(outcomes(Vec::new()), [""; 0]);
    }

    #[test]
    fn a_cut_or_damaged_compressed_file_gives_what_came_before() {
        let part = || zstd::encode_all(CLOSED, 3).unwrap();
        let cut = outcomes([part(), part()[..20].to_vec()].concat());
        assert_eq!(cut.len(), 2, "{cut:?}");
        assert!(cut[1].starts_with("2 the file cannot be read on"), "{cut:?}");
        let damaged = outcomes([part(), vec![1, 2, 3, 4, 5, 6, 7, 8]].concat());
        assert!(damaged[0] == "1 read" && damaged.len() == 2, "{damaged:?}");
    }
}
