//! The timeouts of one connection: idle, head, body and write.
//!
//! A timer for each wait would be registered and cancelled several times per request, and would read the clock each
//! time. Instead, the parts of a connection only count in [`ConnectionState`] when a wait begins and ends, which costs
//! one store to memory. [`Timeouts`] compares the counts after the connection was polled. It reads the clock and moves
//! its one timer only when a count has changed or the timer fires.
//!
//! The timer may be set too early, for a wait that has ended meanwhile. When it fires, it is set to the nearest deadline
//! again. Most requests are therefore served without touching the timer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Settings;

/// A wait that only the client can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For the first byte of a request.
    Idle,
    /// For the rest of a request's head.
    Head,
    /// For the next part of a request's body.
    Body,
    /// For room in the socket's send buffer.
    Write,
}

const WAITS: [Wait; 4] = [Wait::Idle, Wait::Head, Wait::Body, Wait::Write];

/// The waits of one connection and how far its request has come. The connection's stream, its service and the request's
/// body share it.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    /// A count of changes for each wait: odd while the wait lasts. Each count has one writer at a time, so a load
    /// and a store are enough.
    changes: [AtomicU32; WAITS.len()],
    /// The task that runs the connection.
    connection: AtomicWaker,
    /// The task that reads the request's body.
    reader: AtomicWaker,
    /// Whether the body exceeded its timeout.
    body_late: AtomicBool,
    /// The time left for the next part of the request's body, in milliseconds.
    body_left: AtomicU64,
    /// The time left for writing the next part of the response, in milliseconds.
    write_left: AtomicU64,
    /// Whether the memory budget had no room for the connection.
    out_of_memory: AtomicBool,
    /// Whether the rest of the request's body will not be read.
    body_unread: AtomicBool,
    /// Whether more of the request's body may still be read.
    body_open: AtomicBool,
    /// Whether the next response is the last one of the connection.
    finishing: AtomicBool,
}

impl ConnectionState {
    pub(super) fn is(&self, wait: Wait) -> bool {
        self.changes(wait) % 2 == 1
    }

    pub(super) fn begin(&self, wait: Wait) {
        if !self.is(wait) {
            self.change(wait, 1);
        }
    }

    pub(super) fn end(&self, wait: Wait) {
        if self.is(wait) {
            self.change(wait, 1);
        }
    }

    /// Restarts the timeout of a wait that is under way. Two changes keep the count odd.
    pub(super) fn renew(&self, wait: Wait) {
        if self.is(wait) {
            self.change(wait, 2);
        }
    }

    /// Resets the state for a request whose head is complete.
    pub(super) fn begin_request(&self) {
        self.end(Wait::Idle);
        self.end(Wait::Head);
        self.body_late.store(false, Ordering::Relaxed);
        self.body_unread.store(false, Ordering::Relaxed);
        self.body_open.store(false, Ordering::Relaxed);
    }

    /// Begins the wait for the body, for at most `left`. The task that reads the body need not be the connection's. It
    /// is registered so that the timeout wakes it, and the connection is woken so that it sees the new wait.
    pub(super) fn begin_body(&self, context: &Context<'_>, left: impl FnOnce() -> Duration) {
        self.reader.register(context.waker());
        if !self.is(Wait::Body) {
            self.body_left.store(millis(left()), Ordering::Relaxed);
            self.begin(Wait::Body);
            self.connection.wake();
        }
    }

    /// Begins the wait for room in the send buffer, for at most `left`.
    pub(super) fn begin_write(&self, left: impl FnOnce() -> Duration) {
        if !self.is(Wait::Write) {
            self.write_left.store(millis(left()), Ordering::Relaxed);
            self.begin(Wait::Write);
        }
    }

    /// Records that the memory budget is exhausted, so the connection cannot continue.
    pub(super) fn run_out_of_memory(&self) {
        self.out_of_memory.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_out_of_memory(&self) -> bool {
        self.out_of_memory.load(Ordering::Relaxed)
    }

    /// Makes the read of the body fail with a timeout.
    pub(super) fn give_up_body(&self) {
        self.body_late.store(true, Ordering::Release);
        self.reader.wake();
    }

    pub(super) fn is_body_late(&self) -> bool {
        self.body_late.load(Ordering::Acquire)
    }

    pub(super) fn leave_body_unread(&self) {
        self.body_unread.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_body_unread(&self) -> bool {
        self.body_unread.load(Ordering::Relaxed)
    }

    pub(super) fn open_body(&self) {
        self.body_open.store(true, Ordering::Relaxed);
    }

    /// Records that no more of the request's body will be read: it ended, it failed, or the handler dropped it.
    pub(super) fn close_body(&self) {
        self.body_open.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_body_open(&self) -> bool {
        self.body_open.load(Ordering::Relaxed)
    }

    /// Makes the next response the last one of the connection.
    pub(super) fn finish(&self) {
        self.finishing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed)
    }

    /// The time that the minimum transfer rate leaves for a wait.
    fn left(&self, wait: Wait) -> Duration {
        match wait {
            Wait::Body => Duration::from_millis(self.body_left.load(Ordering::Relaxed)),
            Wait::Write => Duration::from_millis(self.write_left.load(Ordering::Relaxed)),
            Wait::Idle | Wait::Head => Duration::MAX,
        }
    }

    fn changes(&self, wait: Wait) -> u32 {
        self.changes[wait as usize].load(Ordering::Relaxed)
    }

    fn change(&self, wait: Wait, by: u32) {
        let count = self.changes(wait).wrapping_add(by);
        self.changes[wait as usize].store(count, Ordering::Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Enforces the time limits of the waits.
#[derive(Debug)]
pub(super) struct Timeouts {
    state: Arc<ConnectionState>,
    waits: [Timeout; WAITS.len()],
    alarm: Pin<Box<Sleep>>,
}

#[derive(Debug)]
struct Timeout {
    wait: Wait,
    limit: Duration,
    seen: u32,
    deadline: Option<Instant>,
}

impl Timeouts {
    pub(super) fn new(state: Arc<ConnectionState>, settings: &Settings) -> Self {
        let waits = WAITS.map(|wait| {
            let limit = match wait {
                Wait::Idle => settings.idle_timeout,
                Wait::Head => settings.header_timeout,
                Wait::Body => settings.body_timeout,
                Wait::Write => settings.write_timeout,
            };
            Timeout {
                wait,
                limit,
                seen: 0,
                deadline: None,
            }
        });
        let alarm = Box::pin(sleep_until(Instant::now() + settings.idle_timeout));
        Self {
            state,
            waits,
            alarm,
        }
    }

    /// Lowers the idle timeout. An idle connection gets the new limit from now on.
    pub(super) fn shorten_idling(&mut self, limit: Duration) {
        let idle = &mut self.waits[Wait::Idle as usize];
        idle.limit = limit;
        idle.deadline = idle.deadline.map(|_| Instant::now() + limit);
    }

    /// Ready with a wait that exceeded its limit. Poll it after the connection, in the same task.
    pub(super) fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<Wait> {
        self.state.connection.register(context.waker());
        self.update();
        loop {
            let lasting = self
                .waits
                .iter()
                .filter_map(|of| Some((of.deadline?, of.wait)));
            let Some((deadline, wait)) = lasting.min_by_key(|&(deadline, _)| deadline) else {
                return Poll::Pending;
            };
            if self.alarm.deadline() > deadline {
                self.alarm.as_mut().reset(deadline);
            }
            ready!(self.alarm.as_mut().poll(context));
            // The timer was set for a wait that has ended. Set it for the nearest deadline.
            if Instant::now() < deadline {
                self.alarm.as_mut().reset(deadline);
                continue;
            }
            self.waits[wait as usize].deadline = None;
            // A connection that still writes a response is not idle. The idle timeout restarts when the write ends.
            if wait != Wait::Idle || !self.state.is(Wait::Write) {
                return Poll::Ready(wait);
            }
        }
    }

    /// Updates the deadlines of the waits that changed since the last call.
    fn update(&mut self) {
        let mut now = None;
        for timeout in &mut self.waits {
            let changes = self.state.changes(timeout.wait);
            if timeout.seen != changes {
                timeout.seen = changes;
                let limit = timeout.limit.min(self.state.left(timeout.wait));
                timeout.deadline = self
                    .state
                    .is(timeout.wait)
                    .then(|| *now.get_or_insert_with(Instant::now) + limit);
            }
        }
    }
}
