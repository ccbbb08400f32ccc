//! systemd as the supervisor of the server: the socket that it passes on (`sd_listen_fds(3)`) and the state that it is
//! told (`sd_notify(3)`).
//!
//! Invariant: without systemd's variables in the environment nothing happens.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, bail};
use keyward_core::error::chain;
use listenfd::ListenFd;
use sd_notify::NotifyState;
use tokio::time::sleep;

/// The socket of a `.socket` unit, on which the server listens in place of the setting `listen`.
///
/// # Errors
/// When systemd passes several sockets, or one that is not a TCP listener.
pub(crate) fn listener() -> anyhow::Result<Option<TcpListener>> {
    let mut passed = ListenFd::from_env();
    match passed.len() {
        0 => Ok(None),
        1 => passed.take_tcp_listener(0).context(
            "systemd passes a socket that is no TCP listener: use one ListenStream=ADDRESS:PORT",
        ),
        many => bail!(
            "systemd passes {many} sockets, but the server listens on one: use one ListenStream="
        ),
    }
}

/// Tells that the server answers requests.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// Tells, for as long as the runtime works, that the server lives. Ends at once if the unit has no `WatchdogSec`.
pub(crate) async fn keep_alive() {
    let Some(patience) = sd_notify::watchdog_enabled() else {
        return;
    };
    // Half of the time, as sd_watchdog_enabled(3) advises, but no busy loop.
    let pause = (patience / 2).max(Duration::from_millis(10));
    loop {
        tell(&[NotifyState::Watchdog]);
        sleep(pause).await;
    }
}

/// Tells that the certificate is being read again. [`ready`] ends this.
pub(crate) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(error) => tracing::debug!(error = chain(&error), "systemd was not told of a reload"),
    }
}

/// Tells that the server finishes its requests and ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(
            error = chain(&error),
            "systemd could not be told of the server's state: check NOTIFY_SOCKET"
        );
    }
}
