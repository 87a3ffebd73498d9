//! The user's command that restarts the Call Bridge of a target.
//!
//! It runs through `sh -c`, in a process group of its own, so that at the deadline, or when the run is given up,
//! everything that it started ends with it. What it writes is kept, its end at least, for the message of a failure.

use std::io;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

/// How much of what the command writes is kept, in bytes: the last part, where the reason of a failure stands.
const KEPT_BYTES: usize = 2 << 10;

/// How long to wait for the rest of its output once it has ended: something that it left running may hold on to it.
const OUTPUT_LIMIT: Duration = Duration::from_millis(200);

/// Runs `command`; after `limit` it is ended. Tells what went wrong, if anything did.
pub(crate) async fn run(command: &str, limit: Duration) -> Option<String> {
    let started = Started::new(command);
    let mut started = match started {
        Ok(started) => started,
        Err(error) => return Some(format!("`{command}` could not be started: {error}")),
    };
    let ended = tokio::time::timeout(limit, started.child.wait()).await;
    let what = match ended {
        Ok(Ok(status)) if status.success() => {
            // What it started goes on: that may be the Call Bridge itself.
            started.over = true;
            return None;
        }
        Ok(Ok(status)) => {
            started.over = true;
            format!("`{command}` ended with {status}")
        }
        Ok(Err(error)) => format!("`{command}` could not be waited for: {error}"),
        Err(_) => format!("`{command}` was not through after {} s and was ended", limit.as_secs_f32()),
    };
    started.end();
    let said = started.output().await;
    Some(if said.is_empty() { what } else { format!("{what}; it wrote: {said}") })
}

/// A command that was started. Dropping it ends it, and whatever it started, unless it is over.
struct Started {
    child: Child,
    over: bool,
    kept: Kept,
    reading: tokio::task::JoinSet<()>,
}

impl Started {
    fn new(command: &str) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        shell.kill_on_drop(true);
        #[cfg(unix)]
        shell.process_group(0);
        let mut child = shell.spawn()?;
        let (kept, mut reading) = (Kept::default(), tokio::task::JoinSet::new());
        if let Some(stdout) = child.stdout.take() {
            reading.spawn(keep(stdout, kept.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            reading.spawn(keep(stderr, kept.clone()));
        }
        Ok(Self { child, over: false, kept, reading })
    }

    /// Ends everything that belongs to it, if it is not over.
    fn end(&mut self) {
        if self.over {
            return;
        }
        self.over = true;
        #[cfg(unix)]
        {
            let group = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw);
            if let Some(group) = group {
                // It fails only if nothing of the group is left.
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
        }
        // Where there are no process groups this is all that can be done; it fails if the command has ended.
        let _ = self.child.start_kill();
    }

    async fn output(&mut self) -> String {
        let rest = async { while self.reading.join_next().await.is_some() {} };
        // What comes later than this is left out.
        let _ = tokio::time::timeout(OUTPUT_LIMIT, rest).await;
        self.kept.text()
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end();
    }
}

/// The last part of what a command wrote.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Kept {
    fn add(&self, bytes: &[u8]) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(bytes);
        let surplus = kept.len().saturating_sub(KEPT_BYTES);
        kept.drain(..surplus);
    }

    fn text(&self) -> String {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&kept).trim().to_owned()
    }
}

async fn keep(mut from: impl AsyncRead + Unpin, kept: Kept) {
    let mut buffer = vec![0; KEPT_BYTES];
    // A pipe that breaks has nothing more to say.
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        kept.add(&buffer[..length]);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use crate::net::fixtures::within;

    const LIMIT: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn a_command_that_succeeds_has_nothing_to_tell_and_what_it_left_running_holds_nothing_up() {
        assert_eq!(within(run("exit 0", LIMIT)).await, None);
        assert_eq!(within(run("sleep 20 & exit 0", LIMIT)).await, None);
    }

    #[tokio::test]
    async fn a_failure_is_told_with_the_end_of_what_was_written() {
        let told = within(run("echo no such host >&2; exit 3", LIMIT)).await.unwrap();
        assert!(told.contains("exit status: 3; it wrote: no such host"), "{told}");
        let told = within(run("head -c 100000 /dev/zero | tr '\\0' x; echo last; exit 1", LIMIT)).await.unwrap();
        assert!(told.ends_with("xlast") && told.len() < KEPT_BYTES + 200, "{} bytes", told.len());
    }

    #[tokio::test]
    async fn at_the_deadline_everything_that_it_started_ends() {
        use std::os::unix::fs::OpenOptionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut held = std::fs::OpenOptions::new().read(true).custom_flags(NONBLOCKING).open(&pipe).unwrap();
        let command = format!("(echo up; exec sleep 60) > {} & wait", pipe.display());
        let told = within(run(&command, Duration::from_secs(1))).await.unwrap();
        assert!(told.contains("was not through after 1 s and was ended"), "{told}");
        let mut said = [0; 3];
        io::Read::read_exact(&mut held, &mut said).unwrap();
        assert_eq!(&said, b"up\n");
        // The pipe ends as soon as the last process that could write to it is gone.
        let gone = async {
            while !matches!(io::Read::read(&mut held, &mut [0]), Ok(0)) {
                tokio::task::yield_now().await;
            }
        };
        within(gone).await;
    }

    /// O_NONBLOCK of Linux.
    const NONBLOCKING: i32 = 0o4000;
}
