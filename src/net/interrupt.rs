//! The user's wish to end: Ctrl-C, or the signal to terminate.

use std::time::Duration;

use tokio::sync::watch;

use super::restart;

/// Signals that follow so soon are the same wish: `timeout` and shells send one to a process, and to its group as well.
const SAME_WISH: Duration = Duration::from_millis(300);

/// Becomes true when the user wants an end; a second time ends the process at once. Needs a tokio runtime. From the time
/// this returns, the signals no longer end the process by themselves, and neither does a file that may not grow any more.
pub fn watch() -> watch::Receiver<bool> {
    let (tell, told) = watch::channel(false);
    let mut signals = Signals::new();
    bear_limits_of_files();
    tokio::spawn(async move {
        if signals.next().await {
            // What restarts the server is not waited for, and outlives nothing, whether or not there is a second signal.
            restart::end_all();
            let goes_on = tell.send(true).is_ok();
            let same = tokio::time::sleep(SAME_WISH);
            tokio::pin!(same);
            while tokio::select! { came = signals.next() => came, () = &mut same => false } {}
            if goes_on && signals.next().await {
                std::process::exit(130);
            }
        }
        // Keeps the channel open: its end would mean that nobody can interrupt any more.
        tell.closed().await;
    });
    told
}

/// Has a file that may not grow any more (`ulimit -f`) fail to be written, as on a full disk: that is told where it happens, and the
/// report is still written. The system would end the process.
#[cfg(unix)]
fn bear_limits_of_files() {
    use tokio::signal::unix::{SignalKind, signal};
    // Whoever listens to the signal keeps it from ending the process; nobody has to wait for it.
    let _ = signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()));
}

#[cfg(not(unix))]
const fn bear_limits_of_files() {}

/// Both signals, as far as the system has them.
#[cfg(unix)]
struct Signals {
    interrupt: Option<tokio::signal::unix::Signal>,
    terminate: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        // A signal that cannot be listened to ends the process, as it would without this program's help.
        Self { interrupt: signal(SignalKind::interrupt()).ok(), terminate: signal(SignalKind::terminate()).ok() }
    }

    /// Waits for either signal. Returns whether one came.
    async fn next(&mut self) -> bool {
        let came = |signal: Option<()>| signal.is_some();
        match (&mut self.interrupt, &mut self.terminate) {
            (Some(interrupt), Some(terminate)) => tokio::select! {
                signal = interrupt.recv() => came(signal),
                signal = terminate.recv() => came(signal),
            },
            (Some(only), None) | (None, Some(only)) => came(only.recv().await),
            (None, None) => false,
        }
    }
}

/// Ctrl-C alone.
#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    const fn new() -> Self {
        Self
    }

    /// Waits for Ctrl-C. Returns whether it came.
    async fn next(&mut self) -> bool {
        tokio::signal::ctrl_c().await.is_ok()
    }
}
