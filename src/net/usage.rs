//! What this process has used so far, as the operating system tells it: for reports and `--timings`, never for a verdict.
//!
//! Read from `/proc`, which Linux has; elsewhere nothing is known and nothing is shown.

use std::fs;

/// How many milliseconds one tick of `/proc/self/stat` has. Linux shows all processes 100 ticks per second, whatever the
/// kernel's own timer does.
const TICK_MS: u64 = 10;

/// What this process has used so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Processor time of all threads together for the program itself, in ms.
    pub user_ms: u64,
    /// Processor time of the system for them, in ms.
    pub system_ms: u64,
    /// The memory that is resident, in KiB.
    pub memory_kib: u64,
    /// The most memory that was resident at any time, in KiB.
    pub peak_memory_kib: u64,
}

/// What this process has used so far, where the system tells.
pub fn read() -> Option<Usage> {
    usage_of(&fs::read_to_string("/proc/self/stat").ok()?, &fs::read_to_string("/proc/self/status").ok()?)
}

/// The most memory that was resident at any time, in KiB.
pub fn peak_memory_kib() -> Option<u64> {
    read().map(|usage| usage.peak_memory_kib)
}

/// Processor time of all threads together, user and system, in ms.
pub fn cpu_ms() -> Option<u64> {
    read().map(|usage| usage.user_ms + usage.system_ms)
}

fn usage_of(stat: &str, status: &str) -> Option<Usage> {
    // The second field is the program's name in parentheses, which may hold spaces; utime and stime are 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ms = || fields.next()?.parse::<u64>().ok().map(|ticks| ticks * TICK_MS);
    let kib = |name: &str| -> Option<u64> {
        status.lines().find_map(|line| line.strip_prefix(name))?.split_whitespace().next()?.parse().ok()
    };
    Some(Usage { user_ms: ms()?, system_ms: ms()?, memory_kib: kib("VmRSS:")?, peak_memory_kib: kib("VmHWM:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_and_processor_time_are_read_from_what_linux_shows() {
        let stat = "1 (a ) b) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20";
        let status = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  1234 kB\nVmRSS:\t 800 kB\n";
        let expected = Usage { user_ms: 2500, system_ms: 500, memory_kib: 800, peak_memory_kib: 1234 };
        assert_eq!(usage_of(stat, status), Some(expected));
        assert_eq!(usage_of("nothing", status), None);
        assert_eq!(usage_of(stat, "Name:\tx\n"), None);
    }
}
