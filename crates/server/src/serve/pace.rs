//! The minimum transfer rate of a client that sends a request or reads a response.
//!
//! Invariant: a client is never waited for longer than its allowance beyond the minimum rate, however fast it was before.
//! Time in which nobody waits for the client does not count.

use std::time::Duration;

use tokio::time::Instant;

/// The transfer rate of one request's body or of one response.
#[derive(Debug)]
pub(super) struct Pace {
    /// The minimum rate, in bytes per second.
    minimum: u64,
    /// The most time that the client can have left.
    allowance: Duration,
    /// The time that the client has left.
    left: Duration,
    /// When the present wait began.
    since: Option<Instant>,
}

impl Pace {
    pub(super) fn new(minimum: u64, allowance: Duration) -> Self {
        Self {
            minimum,
            allowance,
            left: allowance,
            since: None,
        }
    }

    /// Begins a wait. Returns how long it may last.
    pub(super) fn wait(&mut self) -> Duration {
        self.since.get_or_insert_with(Instant::now);
        self.left
    }

    /// Records that the client sent or read `bytes`, which ends the wait and earns the client time.
    pub(super) fn advance(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if self.left < self.allowance {
            let earned = Duration::from_millis((bytes as u64).saturating_mul(1_000) / self.minimum);
            self.left = self.left.saturating_add(earned).min(self.allowance);
        }
    }

    /// Restores the whole allowance, for a new response.
    pub(super) fn restart(&mut self) {
        self.left = self.allowance;
        self.since = None;
    }
}
