//! The user's wish to end: Ctrl-C, or the signal to terminate.

use tokio::sync::watch;

/// Becomes true when the user wants an end; a second time ends the process at once. Needs a tokio runtime.
pub fn watch() -> watch::Receiver<bool> {
    let (tell, told) = watch::channel(false);
    tokio::spawn(async move {
        if signalled().await && tell.send(true).is_ok() && signalled().await {
            std::process::exit(130);
        }
        // Keeps the channel open: its end would mean that nobody can interrupt any more.
        tell.closed().await;
    });
    told
}

/// Waits for either signal. Returns whether one came.
#[cfg(unix)]
async fn signalled() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return tokio::signal::ctrl_c().await.is_ok() };
    tokio::select! {
        came = tokio::signal::ctrl_c() => came.is_ok(),
        came = terminate.recv() => came.is_some(),
    }
}

/// Waits for Ctrl-C. Returns whether it came.
#[cfg(not(unix))]
async fn signalled() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}
