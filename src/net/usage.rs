//! What this process has used so far, as the operating system tells it: for `--timings`, never for a verdict.
//!
//! Read from `/proc`, which Linux has; elsewhere nothing is known and nothing is shown.

use std::fs;

/// How many milliseconds one tick of `/proc/self/stat` has. Linux shows all processes 100 ticks per second, whatever the
/// kernel's own timer does.
const TICK_MS: u64 = 10;

/// The most memory that was resident at any time, in KiB.
pub fn peak_memory_kib() -> Option<u64> {
    peak_of(&fs::read_to_string("/proc/self/status").ok()?)
}

/// Processor time of all threads together, user and system, in ms.
pub fn cpu_ms() -> Option<u64> {
    cpu_of(&fs::read_to_string("/proc/self/stat").ok()?)
}

fn peak_of(status: &str) -> Option<u64> {
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

fn cpu_of(stat: &str) -> Option<u64> {
    // The second field is the program's name in parentheses, which may hold spaces; utime and stime are 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some((next()? + next()?) * TICK_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_processor_time_are_read_from_what_linux_shows() {
        assert_eq!(peak_of("Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  1234 kB\n"), Some(1234));
        assert_eq!(peak_of("Name:\tx\n"), None);
        let stat = "1 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        assert_eq!(cpu_of(stat), Some(3000));
        assert_eq!(cpu_of("nothing"), None);
    }
}
