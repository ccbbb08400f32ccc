//! The parts of a response that are queued in a connection, and what the client has taken of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;

use bytes::{Buf, Bytes};
use futures_util::task::AtomicWaker;

/// What is on its way to the client of one response.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    /// How many parts are queued.
    queued: AtomicUsize,
    /// How many bytes were written to the connection, which may wrap around.
    taken: AtomicUsize,
    stream: AtomicWaker,
}

impl Outgoing {
    /// Makes `bytes` a part of the response.
    pub(super) fn part(self: &Arc<Self>, bytes: Bytes) -> Part {
        self.queued.fetch_add(1, Ordering::Relaxed);
        Part {
            bytes,
            outgoing: Arc::clone(self),
        }
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Whether no part is queued any more. Otherwise the task of `context` is woken when that is so.
    pub(super) fn is_taken(&self, context: &Context<'_>) -> bool {
        self.stream.register(context.waker());
        self.queued.load(Ordering::Acquire) == 0
    }
}

/// A part of a response. It is dropped when it is written, or when its stream is reset.
#[derive(Debug)]
pub(super) struct Part {
    bytes: Bytes,
    outgoing: Arc<Outgoing>,
}

impl Buf for Part {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        self.outgoing.taken.fetch_add(count, Ordering::Relaxed);
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.outgoing.queued.fetch_sub(1, Ordering::Release) == 1 {
            self.outgoing.stream.wake();
        }
    }
}
