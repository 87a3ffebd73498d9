//! The chunked transfer coding (RFC 9112, section 7.1), read in whatever pieces it comes.
//!
//! Extensions and trailers are passed over. Line ends may lack their carriage return: a sender is told of worse by the
//! rules, and no two readers are in line here that could disagree about where a message ends.

use super::framing::Problem;

/// The longest line of a chunk's size with its extensions, in bytes.
const SIZE_LINE_BYTES: usize = 4096;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In the digits of a size.
    Size {
        digits: u8,
    },
    /// Behind the digits.
    Extension,
    Data,
    /// Before the line end that follows data.
    DataEnd,
    /// In the trailer; whether its present line is empty so far.
    Trailer {
        is_empty: bool,
    },
}

#[derive(Debug)]
pub(super) struct Chunks {
    phase: Phase,
    /// Of the present chunk: its size so far, then what is still to come.
    left: u64,
    /// Bytes of the present line of a size, or of all trailer lines.
    line_bytes: usize,
    trailer_limit: usize,
}

/// What one step found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// How many bytes of the input it used up.
    pub(super) used: usize,
    /// Whether these are data. If not, they are framing.
    pub(super) is_data: bool,
    /// Whether the body is over.
    pub(super) is_over: bool,
}

impl Chunks {
    pub(super) const fn new(trailer_limit: usize) -> Self {
        Self { phase: Phase::Size { digits: 0 }, left: 0, line_bytes: 0, trailer_limit }
    }

    /// Takes the next piece of the input. It uses up at least one byte, if there is one.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, Problem> {
        if self.phase == Phase::Data {
            let used = input.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
            self.left -= used as u64;
            if self.left == 0 {
                self.phase = Phase::DataEnd;
            }
            return Ok(Step { used, is_data: true, is_over: false });
        }
        for (at, byte) in input.iter().enumerate() {
            if self.phase == Phase::Data {
                return Ok(Step { used: at, is_data: false, is_over: false });
            }
            if self.framing(*byte)? {
                return Ok(Step { used: at + 1, is_data: false, is_over: true });
            }
        }
        Ok(Step { used: input.len(), is_data: false, is_over: false })
    }

    /// One byte of framing. Tells whether it was the last one of the body.
    fn framing(&mut self, byte: u8) -> Result<bool, Problem> {
        self.line_bytes += 1;
        match (self.phase, byte) {
            (Phase::Size { digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                // Sixteen digits fill the number; no body is that long.
                if digits >= 16 {
                    return Err(Problem::new("a chunk's size has more than 16 digits"));
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                self.left = self.left << 4 | digit;
                self.phase = Phase::Size { digits: digits + 1 };
            }
            (Phase::Size { digits: 0 }, _) => return Err(Problem::new("a chunk begins without a size in hexadecimal")),
            (Phase::Size { .. } | Phase::Extension, b'\n') => self.size_read(),
            (Phase::Size { .. }, b';' | b' ' | b'\t' | b'\r') => self.phase = Phase::Extension,
            (Phase::Size { .. }, _) => return Err(Problem::new("a chunk's size is no hexadecimal number")),
            (Phase::Extension, _) if self.line_bytes > SIZE_LINE_BYTES => {
                return Err(Problem::too_long("a chunk's extensions are too long"));
            }
            (Phase::Extension, _) => {}
            (Phase::DataEnd, b'\n') => {
                self.phase = Phase::Size { digits: 0 };
                self.left = 0;
                self.line_bytes = 0;
            }
            (Phase::DataEnd, b'\r') if self.line_bytes == 1 => {}
            (Phase::DataEnd | Phase::Data, _) => return Err(Problem::new("a chunk is longer than its size says")),
            (Phase::Trailer { is_empty: true }, b'\n') => return Ok(true),
            (Phase::Trailer { .. }, b'\n') => self.phase = Phase::Trailer { is_empty: true },
            (Phase::Trailer { .. }, _) if self.line_bytes > self.trailer_limit => {
                return Err(Problem::too_long("the trailer is too long"));
            }
            (Phase::Trailer { .. }, b'\r') => {}
            (Phase::Trailer { .. }, _) => self.phase = Phase::Trailer { is_empty: false },
        }
        Ok(false)
    }

    fn size_read(&mut self) {
        self.line_bytes = 0;
        self.phase = if self.left == 0 { Phase::Trailer { is_empty: true } } else { Phase::Data };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The data, and how much of the input was used up by it.
    fn decode(input: &[u8]) -> Result<(Vec<u8>, Option<usize>), Problem> {
        let (mut chunks, mut data, mut at) = (Chunks::new(100), Vec::new(), 0);
        while at < input.len() {
            let step = chunks.step(&input[at..])?;
            assert!(step.used > 0 || step.is_over, "each step gets on");
            if step.is_data {
                data.extend_from_slice(&input[at..at + step.used]);
            }
            at += step.used;
            if step.is_over {
                return Ok((data, Some(at)));
            }
        }
        Ok((data, None))
    }

    #[test]
    fn extensions_and_trailers_are_passed_over() {
        let whole = b"5;a=\"b\"\r\nhello\r\n00D \r\n, and so on..\r\n0\r\nX-A: b\r\nX-B: c\r\n\r\n";
        assert_eq!(decode(whole).unwrap(), (b"hello, and so on..".to_vec(), Some(whole.len())));
        assert_eq!(decode(b"0\r\n\r\nGET").unwrap(), (vec![], Some(5)));
        assert_eq!(decode(b"3\nabc\n0\n\n").unwrap(), (b"abc".to_vec(), Some(9)));
        assert_eq!(decode(b"3\r\nab").unwrap(), (b"ab".to_vec(), None));
    }

    #[test]
    fn sizes_that_are_none_are_refused() {
        for input in
            [&b"\r\n"[..], b"-1\r\n", b"0x5\r\nhello", b"11111111111111111\r\n", b";\r\n", b"2\r\nabc", b"g\r\n"]
        {
            assert!(decode(input).is_err(), "{}", String::from_utf8_lossy(input));
        }
        assert!(decode(&[b"1;".as_slice(), &[b'x'; 5000]].concat()).unwrap_err().is_too_long);
        assert!(decode(&[b"0\r\n".as_slice(), &[b'x'; 101]].concat()).unwrap_err().is_too_long);
    }
}
