//! The user's command that restarts the Call Bridge of a target.
//!
//! It runs through `sh -c`, in a process group of its own, so that at the deadline, or when the run is given up,
//! everything that it started ends with it. What it writes goes to a temporary file without a name, which what it leaves
//! running may go on writing to; the end of it is kept for the message of a failure. The command itself is never quoted,
//! since it may hold a password.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};

use super::entropy;

/// How much of what the command writes is kept, in bytes: the last part, where the reason of a failure stands.
const KEPT_BYTES: u64 = 2 << 10;

/// How long its output may become, in bytes, until all but its end is dropped.
const OUTPUT_BYTES: u64 = 16 << 20;

/// How often it is looked at how long its output is.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// The process groups of commands that are running, and whether the user wants an end.
static RUNNING: Mutex<Running> = Mutex::new(Running { groups: BTreeSet::new(), over: false });

struct Running {
    groups: BTreeSet<u32>,
    over: bool,
}

fn running() -> MutexGuard<'static, Running> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Ends all commands that are running, with everything that they started; no further one begins. For the user's wish to
/// end.
pub(crate) fn end_all() {
    let mut running = running();
    running.over = true;
    for group in std::mem::take(&mut running.groups) {
        kill(group);
    }
}

/// Runs `command`; after `limit` it is ended. Tells what went wrong, if anything did.
pub(crate) async fn run(command: &str, limit: Duration) -> Option<String> {
    let mut started = match Started::new(command) {
        Ok(started) => started,
        Err(error) => return Some(format!("it could not be started: {error}")),
    };
    let what = match started.ended(limit).await {
        // What it started goes on: that may be the Call Bridge itself.
        Some(Ok(status)) if status.success() => return None,
        Some(Ok(status)) => format!("it ended with {status}"),
        Some(Err(error)) => format!("it could not be waited for: {error}"),
        None => format!("it was not through after {} s and was ended", limit.as_secs_f32()),
    };
    started.end();
    let said = started.output.text();
    Some(if said.is_empty() { what } else { format!("{what}; it wrote: {said}") })
}

/// A command that was started. Dropping it ends it, and whatever it started, unless it is over.
struct Started {
    child: Child,
    /// Its process group, until it is over.
    group: Option<u32>,
    output: Output,
}

impl Started {
    fn new(command: &str) -> io::Result<Self> {
        let output = Output::new()?;
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).stdin(Stdio::null()).stdout(output.share()?).stderr(output.share()?);
        shell.kill_on_drop(true);
        #[cfg(unix)]
        shell.process_group(0);
        // Held meanwhile, so that no command begins unseen while all are ended.
        let mut running = running();
        if running.over {
            return Err(io::Error::other("the run is being ended"));
        }
        let child = shell.spawn()?;
        let group = child.id();
        running.groups.extend(group);
        drop(running);
        Ok(Self { child, group, output })
    }

    /// Waits for its end; `None` if it did not come in time.
    async fn ended(&mut self, limit: Duration) -> Option<io::Result<ExitStatus>> {
        let mut left = limit;
        loop {
            let piece = left.min(LOOK_INTERVAL);
            if let Ok(ended) = tokio::time::timeout(piece, self.child.wait()).await {
                if ended.is_ok() {
                    // Its number may be given to another process from now on.
                    self.forget();
                }
                return Some(ended);
            }
            left = left.saturating_sub(piece);
            if left.is_zero() {
                return None;
            }
            self.output.limit();
        }
    }

    fn forget(&mut self) -> Option<u32> {
        let group = self.group.take()?;
        running().groups.remove(&group).then_some(group)
    }

    /// Ends everything that belongs to it, if it is not over.
    fn end(&mut self) {
        if let Some(group) = self.forget() {
            kill(group);
            // Where there are no process groups this is all that can be done; it fails if the command has ended.
            let _ = self.child.start_kill();
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.end();
    }
}

/// Ends a process group.
fn kill(group: u32) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(group).ok().and_then(rustix::process::Pid::from_raw) {
        // It fails only if nothing of the group is left.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    #[cfg(not(unix))]
    let _ = group;
}

/// What a command writes: a file that has no name any more, and goes with the last process that has it open.
struct Output(File);

impl Output {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("bridgeproof-{}", entropy::password()));
        let mut options = OpenOptions::new();
        options.read(true).append(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        // Where a file that is open keeps its name, it stays behind in the folder for temporary files.
        let _ = std::fs::remove_file(&path);
        Ok(Self(file))
    }

    fn share(&self) -> io::Result<Stdio> {
        self.0.try_clone().map(Stdio::from)
    }

    /// The last part.
    fn end(&self) -> io::Result<Vec<u8>> {
        let mut file = &self.0;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(KEPT_BYTES)))?;
        let mut end = Vec::new();
        file.take(KEPT_BYTES).read_to_end(&mut end)?;
        Ok(end)
    }

    fn text(&self) -> String {
        // What cannot be read is left out of a message.
        String::from_utf8_lossy(&self.end().unwrap_or_default()).trim().to_owned()
    }

    /// Drops all but the last part, if it has become too long.
    fn limit(&self) {
        let shorten = || {
            if self.0.metadata()?.len() > OUTPUT_BYTES {
                let end = self.end()?;
                self.0.set_len(0)?;
                (&self.0).write_all(&end)?;
            }
            io::Result::Ok(())
        };
        // If that fails now, the next look tries it again.
        let _ = shorten();
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
        assert!(told.ends_with("xlast") && told.len() < 2300, "{} bytes", told.len());
        let told = within(run("exit 3 # secret", LIMIT)).await.unwrap();
        assert_eq!(told, "it ended with exit status: 3");
    }

    #[tokio::test]
    async fn what_it_leaves_running_can_go_on_writing() {
        let root = tempfile::tempdir().unwrap();
        let (gate, done) = (root.path().join("gate"), root.path().join("done"));
        assert!(std::process::Command::new("mkfifo").args([&gate, &done]).status().unwrap().success());
        let mut written = tokio::net::unix::pipe::OpenOptions::new().read_write(true).open_receiver(&done).unwrap();
        let left = format!("read line < {}; echo more && echo more >&2 && echo > {}", gate.display(), done.display());
        assert_eq!(within(run(&format!("({left}) & exit 0"), LIMIT)).await, None);
        std::fs::write(&gate, "go\n").unwrap();
        assert_eq!(within(tokio::io::AsyncReadExt::read_u8(&mut written)).await.unwrap(), b'\n');
    }

    #[test]
    fn only_the_end_of_long_output_is_kept() {
        let output = Output::new().unwrap();
        output.0.set_len(OUTPUT_BYTES).unwrap();
        (&output.0).write_all(b"last").unwrap();
        output.limit();
        assert_eq!(output.0.metadata().unwrap().len(), KEPT_BYTES);
        assert!(output.text().ends_with("last"));
    }

    #[tokio::test]
    async fn at_the_deadline_everything_that_it_started_ends() {
        use std::os::unix::fs::OpenOptionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let pipe = root.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let mut held = OpenOptions::new().read(true).custom_flags(NONBLOCKING).open(&pipe).unwrap();
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
