//! The time limit of one stream's wait for its client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::super::pace::Pace;

/// How long a stream waits for its client: for `limit` at once, and behind the slowest rate for twice that.
///
/// Its timer may be set too early, for a wait that has ended meanwhile. When it fires, it is set again. So most waits
/// are begun and ended without touching it.
#[derive(Debug)]
pub(super) struct Patience {
    limit: Duration,
    pace: Pace,
    deadline: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Patience {
    /// `slowest` is in bytes a second.
    pub(super) fn new(slowest: u64, limit: Duration) -> Self {
        Self {
            limit,
            pace: Pace::new(slowest, limit.saturating_mul(2)),
            deadline: None,
            alarm: None,
        }
    }

    /// Ready when the client is late. The wait begins with the first call since the client sent or took something.
    pub(super) fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { limit, pace, .. } = self;
        let deadline = *self
            .deadline
            .get_or_insert_with(|| Instant::now() + pace.wait().min(*limit));
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if alarm.deadline() > deadline {
            alarm.as_mut().reset(deadline);
        }
        loop {
            ready!(alarm.as_mut().poll(context));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
    }

    /// The client sent or took `bytes`.
    pub(super) fn advance(&mut self, bytes: usize) {
        self.pace.advance(bytes);
        self.deadline = None;
    }
}
