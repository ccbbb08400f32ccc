//! What a connection waits for, and until when.
//!
//! The connection's parts note when a wait begins and ends, which costs a store; the [`Watch`] reads
//! the clock and moves its one timer only when something changed or the timer fires.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Settings;

/// What only the client can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// For the first byte of a request.
    Idle,
    /// For the rest of a request's head.
    Head,
    /// For the next part of a request's body.
    Body,
    /// For room to write to.
    Write,
}

const WAITS: [Wait; 4] = [Wait::Idle, Wait::Head, Wait::Body, Wait::Write];

/// The waits of one connection, shared by everything that takes part in it.
#[derive(Debug, Default)]
pub(super) struct Pulse {
    /// A count of changes for each wait: odd while it lasts. Each has one writer at a time.
    changes: [AtomicU32; WAITS.len()],
    /// The task that runs the connection.
    connection: AtomicWaker,
    /// The task that reads the request's body.
    reader: AtomicWaker,
    body_late: AtomicBool,
    /// For how long the request's body may be waited for, in milliseconds.
    body_left: AtomicU64,
    /// For how long the answer's next part may be waited for, in milliseconds.
    write_left: AtomicU64,
    /// Whether the connection found no room in the memory budget.
    out_of_memory: AtomicBool,
    /// Whether the request's body has an end that nobody will read.
    body_unread: AtomicBool,
    /// Whether somebody may still read more of the request's body.
    body_open: AtomicBool,
    finishing: AtomicBool,
}

impl Pulse {
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

    /// Begins a wait that lasts already anew.
    pub(super) fn renew(&self, wait: Wait) {
        if self.is(wait) {
            self.change(wait, 2);
        }
    }

    /// A request's head is complete.
    pub(super) fn begin_request(&self) {
        self.end(Wait::Idle);
        self.end(Wait::Head);
        self.body_late.store(false, Ordering::Relaxed);
        self.body_unread.store(false, Ordering::Relaxed);
        self.body_open.store(false, Ordering::Relaxed);
    }

    /// Begins the wait for the body, which may last for `left`, on behalf of a task that need not be the
    /// connection's own.
    pub(super) fn begin_body(&self, context: &Context<'_>, left: impl FnOnce() -> Duration) {
        self.reader.register(context.waker());
        if !self.is(Wait::Body) {
            self.body_left.store(millis(left()), Ordering::Relaxed);
            self.begin(Wait::Body);
            self.connection.wake();
        }
    }

    /// Begins the wait for room to write to, which may last for `left`.
    pub(super) fn begin_write(&self, left: impl FnOnce() -> Duration) {
        if !self.is(Wait::Write) {
            self.write_left.store(millis(left()), Ordering::Relaxed);
            self.begin(Wait::Write);
        }
    }

    /// Notes that the connection cannot go on for want of memory.
    pub(super) fn run_out_of_memory(&self) {
        self.out_of_memory.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_out_of_memory(&self) -> bool {
        self.out_of_memory.load(Ordering::Relaxed)
    }

    /// Lets the wait for the body fail.
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

    /// Nothing more is read of the request's body: it has come to its end, has failed, or nobody wants it.
    pub(super) fn close_body(&self) {
        self.body_open.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_body_open(&self) -> bool {
        self.body_open.load(Ordering::Relaxed)
    }

    /// From here on each answer is the connection's last.
    pub(super) fn finish(&self) {
        self.finishing.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_finishing(&self) -> bool {
        self.finishing.load(Ordering::Relaxed)
    }

    /// For how long a wait that lasts may go on at the client's pace.
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

/// Says when a wait has lasted too long.
#[derive(Debug)]
pub(super) struct Watch {
    pulse: Arc<Pulse>,
    waits: [Watched; WAITS.len()],
    alarm: Pin<Box<Sleep>>,
}

#[derive(Debug)]
struct Watched {
    wait: Wait,
    limit: Duration,
    seen: u32,
    deadline: Option<Instant>,
}

impl Watch {
    pub(super) fn new(pulse: Arc<Pulse>, settings: &Settings) -> Self {
        let waits = WAITS.map(|wait| {
            let limit = match wait {
                Wait::Idle => settings.idle_timeout,
                Wait::Head => settings.header_timeout,
                Wait::Body => settings.body_timeout,
                Wait::Write => settings.write_timeout,
            };
            Watched {
                wait,
                limit,
                seen: 0,
                deadline: None,
            }
        });
        let alarm = Box::pin(sleep_until(Instant::now() + settings.idle_timeout));
        Self {
            pulse,
            waits,
            alarm,
        }
    }

    /// From here on a connection may idle no longer than this, the one that idles counted from here.
    pub(super) fn shorten_idling(&mut self, limit: Duration) {
        let idling = &mut self.waits[Wait::Idle as usize];
        idling.limit = limit;
        idling.deadline = idling.deadline.map(|_| Instant::now() + limit);
    }

    /// Ready with a wait that is over its limit; polled after the connection itself, in its task.
    pub(super) fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<Wait> {
        self.pulse.connection.register(context.waker());
        self.notice();
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
            // It may have been set for a wait that has ended: only then is it set anew.
            if Instant::now() < deadline {
                self.alarm.as_mut().reset(deadline);
                continue;
            }
            self.waits[wait as usize].deadline = None;
            // While an answer is on its way nothing idles; the end of that wait begins idling anew.
            if wait != Wait::Idle || !self.pulse.is(Wait::Write) {
                return Poll::Ready(wait);
            }
        }
    }

    /// Takes over what has changed since the last look.
    fn notice(&mut self) {
        let mut now = None;
        for watched in &mut self.waits {
            let changes = self.pulse.changes(watched.wait);
            if watched.seen != changes {
                watched.seen = changes;
                let limit = watched.limit.min(self.pulse.left(watched.wait));
                watched.deadline = self
                    .pulse
                    .is(watched.wait)
                    .then(|| *now.get_or_insert_with(Instant::now) + limit);
            }
        }
    }
}
