//! A stream that notes what its connection waits for, and reserves the memory of its buffers.
//!
//! Invariant: what is read of a request, and is more than any connection may hold, is in the memory budget until the
//! connection idles.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use keyward_core::memory::{Account, FREE, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::Pace;
use super::pulse::{Pulse, Wait};

/// The slowest rate at which an answer may be taken, in bytes a second of waiting for the client.
const SLOWEST: u64 = 1_000;

/// A stream: its first byte after idling begins a head, and a write that finds no room begins a wait.
#[derive(Debug)]
pub(super) struct Noted<I> {
    stream: I,
    pulse: Arc<Pulse>,
    account: Account,
    /// How many bytes the buffers of the connection may grow to.
    buffers: u64,
    /// How many bytes of the present request were read.
    read: usize,
    held: Option<Reservation>,
    pace: Pace,
}

impl<I> Noted<I> {
    /// A stream whose buffers, of at most `buffers` bytes, are paid for by `account`, and on which an answer may fall
    /// behind the slowest rate by twice `timeout`.
    pub(super) fn new(
        stream: I,
        pulse: Arc<Pulse>,
        account: Account,
        buffers: usize,
        timeout: Duration,
    ) -> Self {
        pulse.begin(Wait::Idle);
        Self {
            stream,
            pulse,
            account,
            buffers: buffers as u64,
            read: 0,
            held: None,
            pace: Pace::new(SLOWEST, timeout.saturating_mul(2)),
        }
    }

    pub(super) fn into_inner(self) -> I {
        self.stream
    }

    fn note_read(&mut self, bytes: usize) -> io::Result<()> {
        if self.pulse.is(Wait::Idle) {
            self.pulse.end(Wait::Idle);
            self.pulse.begin(Wait::Head);
            self.pace.restart();
            (self.read, self.held) = (0, None);
        }
        self.read = self.read.saturating_add(bytes);
        if self.read > FREE && self.held.is_none() {
            let reserved = self.account.reserve(self.buffers);
            self.held = Some(reserved.map_err(|exhausted| {
                self.pulse.run_out_of_memory();
                io::Error::new(ErrorKind::OutOfMemory, exhausted)
            })?);
        }
        Ok(())
    }

    fn note_write(&mut self, written: &Poll<io::Result<usize>>) {
        let Self { pulse, pace, .. } = self;
        match written {
            Poll::Pending => pulse.begin_write(|| pace.wait()),
            Poll::Ready(written) => {
                pace.advance(*written.as_ref().unwrap_or(&0));
                pulse.end(Wait::Write);
                // The answer may be complete and idling begun while its last bytes are on the way.
                pulse.renew(Wait::Idle);
            }
        }
    }

    /// As [`note_write`](Self::note_write), for what waits inside the stream itself, as it does in TLS.
    fn note_flush(&mut self, flushed: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if flushed.is_pending() || self.pulse.is(Wait::Write) {
            self.note_write(&match &flushed {
                Poll::Pending => Poll::Pending,
                Poll::Ready(_) => Poll::Ready(Ok(0)),
            });
        }
        flushed
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Noted<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let more = buffer.filled().len() - before;
        if more > 0 {
            self.note_read(more)?;
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Noted<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.note_flush(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        self.note_flush(closed)
    }
}
