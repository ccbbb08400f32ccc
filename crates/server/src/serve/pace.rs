//! How slowly a client may send or take bytes.
//!
//! Invariant: a client never waits for longer than its patience behind the slowest rate, however much it sent or took
//! before. Time in which nobody waits for the client does not count.

use std::time::Duration;

use tokio::time::Instant;

/// The pace of one body or answer.
#[derive(Debug)]
pub(super) struct Pace {
    /// The slowest rate, in bytes a second.
    slowest: u64,
    /// The longest that it may be waited for at once.
    patience: Duration,
    /// How long it may be waited for at present.
    left: Duration,
    /// Since when it is waited for.
    since: Option<Instant>,
}

impl Pace {
    pub(super) fn new(slowest: u64, patience: Duration) -> Self {
        Self {
            slowest,
            patience,
            left: patience,
            since: None,
        }
    }

    /// A wait begins; returns how long it may last.
    pub(super) fn wait(&mut self) -> Duration {
        self.since.get_or_insert_with(Instant::now);
        self.left
    }

    /// The client sent or took `bytes`.
    pub(super) fn advance(&mut self, bytes: usize) {
        if let Some(since) = self.since.take() {
            self.left = self.left.saturating_sub(since.elapsed());
        }
        if self.left < self.patience {
            let earned = Duration::from_millis((bytes as u64).saturating_mul(1_000) / self.slowest);
            self.left = self.left.saturating_add(earned).min(self.patience);
        }
    }

    /// A new answer begins, with all of its patience.
    pub(super) fn restart(&mut self) {
        self.left = self.patience;
        self.since = None;
    }
}
