//! The program in another process: its arguments, its output line by line, its end within a limit.

use std::io::{BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long one run of the program may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The password of the tests' accounts, and the variable that holds it.
pub(crate) const PASSWORD: (&str, &str) = ("BRIDGEPROOF_TEST_PASSWORD", "hunter2-privileged");

/// The same of the second account.
pub(crate) const SECOND: (&str, &str) = ("BRIDGEPROOF_TEST_SECOND_PASSWORD", "hunter2-second");

/// The instant by the clock of this machine, on which other processes live as well.
#[expect(clippy::disallowed_methods, reason = "the limits of these tests are in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// A folder of a test's own, in which programs are started.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Starts the program.
    pub(crate) fn start(&self, args: &[&str]) -> Running {
        self.start_with(args, &[])
    }

    /// Starts the program with further variables in its environment.
    pub(crate) fn start_with(&self, args: &[&str], variables: &[(&str, &str)]) -> Running {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bridgeproof"));
        command.args(args).current_dir(self.0.path()).env("NO_COLOR", "1").envs([PASSWORD, SECOND]);
        command.envs(variables.iter().copied());
        Running::start(command)
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, args: &[&str]) -> Finished {
        self.start(args).finish()
    }
}

/// A process under way. Dropping it ends it.
pub(crate) struct Running {
    child: Child,
    stdout: Output,
    stderr: Output,
}

/// How a process ended, and what it wrote.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// What is read from one stream: the lines so far, and those still to come.
struct Output {
    seen: String,
    lines: Receiver<String>,
}

impl Output {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
                // The test may have seen enough.
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        Self { seen: String::new(), lines }
    }

    fn next(&mut self, until: Instant) -> Result<String, RecvTimeoutError> {
        let line = self.lines.recv_timeout(until.saturating_duration_since(now()))?;
        self.seen.push_str(&line);
        self.seen.push('\n');
        Ok(line)
    }

    /// Reads to the end of the stream; false if that does not come.
    fn exhaust(&mut self, until: Instant) -> bool {
        loop {
            match self.next(until) {
                Ok(_) => {}
                Err(RecvTimeoutError::Disconnected) => return true,
                Err(RecvTimeoutError::Timeout) => return false,
            }
        }
    }
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let stdout = Output::of(child.stdout.take().unwrap());
        let stderr = Output::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// The next line on stdout that contains `part`.
    pub(crate) fn stdout_line(&mut self, part: &str) -> String {
        Self::line(&mut self.stdout, part)
    }

    /// The next line on stderr that contains `part`.
    pub(crate) fn stderr_line(&mut self, part: &str) -> String {
        Self::line(&mut self.stderr, part)
    }

    fn line(output: &mut Output, part: &str) -> String {
        let until = now() + LIMIT;
        loop {
            match output.next(until) {
                Ok(line) if line.contains(part) => return line,
                Ok(_) => {}
                Err(error) => panic!("no line with `{part}` ({error}) in\n{}", output.seen),
            }
        }
    }

    /// Sends a signal (`INT`, `TERM`) to this process only.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// Kills it, without any chance to do something before.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The most memory that it ever had, where the system shows that.
    pub(crate) fn peak_memory_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
    }

    /// Waits for the end.
    pub(crate) fn finish(mut self) -> Finished {
        let until = now() + LIMIT;
        let ended = self.stdout.exhaust(until) && self.stderr.exhaust(until);
        let (stdout, stderr) = (std::mem::take(&mut self.stdout.seen), std::mem::take(&mut self.stderr.seen));
        assert!(ended, "no end within {} s; stdout:\n{stdout}\nstderr:\n{stderr}", LIMIT.as_secs());
        let code = self.child.wait().unwrap().code().unwrap_or_else(|| panic!("ended by a signal: {stderr}"));
        assert_ne!(code, 101, "a fault of the program: {stderr}");
        Finished { code, stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has usually ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An emulator in another process.
pub(crate) struct Emulator {
    pub(crate) running: Running,
    pub(crate) url: String,
}

impl Emulator {
    /// Starts `emulate` on a free port with the tests' accounts; `more` are further arguments.
    pub(crate) fn start(folder: &Folder, more: &[&str]) -> Self {
        let mut args = vec!["emulate", "--listen", "127.0.0.1:0", "--user", "admin", "--password-env", PASSWORD.0];
        args.extend(["--unprivileged-user", "guest", "--unprivileged-password-env", SECOND.0]);
        args.extend(more);
        let mut running = folder.start(&args);
        let line = running.stdout_line("an emulated Meeting Server is at ");
        let url = line.split(" is at ").nth(1).and_then(|rest| rest.split(": user").next()).unwrap().to_owned();
        Self { running, url }
    }

    /// Host and port.
    pub(crate) fn address(&self) -> &str {
        self.url.split("://").nth(1).unwrap()
    }
}
