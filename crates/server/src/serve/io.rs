//! The metered stream of a connection: it records each wait for the client, and reserves the memory of the buffers.
//!
//! Invariant: from the moment that a request exceeds what every connection may hold ([`FREE`]), the buffers of its
//! connection are in the memory budget until the connection is idle.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use keyward_core::memory::{Account, FREE, Reservation};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pace::Pace;
use super::timeouts::{ConnectionState, Wait};

/// The minimum rate at which a client must read a response, in bytes per second of waiting for the client.
const MINIMUM_RATE: u64 = 1_000;

/// A stream that is metered. The first byte that it reads while idle begins the head of a request, and a write that does
/// not fit into the send buffer begins a wait.
#[derive(Debug)]
pub(super) struct MeteredStream<I> {
    stream: I,
    state: Arc<ConnectionState>,
    account: Account,
    /// The largest size of the connection's buffers, in bytes.
    buffers: u64,
    /// The bytes of the current request that were read.
    read: usize,
    held: Option<Reservation>,
    pace: Pace,
}

impl<I> MeteredStream<I> {
    /// Reserves the stream's buffers, of at most `buffers` bytes, in `account`. A response may fall behind the minimum
    /// rate by twice `timeout`.
    pub(super) fn new(
        stream: I,
        state: Arc<ConnectionState>,
        account: Account,
        buffers: usize,
        timeout: Duration,
    ) -> Self {
        state.begin(Wait::Idle);
        Self {
            stream,
            state,
            account,
            buffers: buffers as u64,
            read: 0,
            held: None,
            pace: Pace::new(MINIMUM_RATE, timeout.saturating_mul(2)),
        }
    }

    pub(super) fn into_inner(self) -> I {
        self.stream
    }

    fn meter_read(&mut self, bytes: usize) -> io::Result<()> {
        if self.state.is(Wait::Idle) {
            self.state.end(Wait::Idle);
            self.state.begin(Wait::Head);
            self.pace.restart();
            (self.read, self.held) = (0, None);
        }
        self.read = self.read.saturating_add(bytes);
        if self.read > FREE && self.held.is_none() {
            let reserved = self.account.reserve(self.buffers);
            self.held = Some(reserved.map_err(|exhausted| {
                self.state.run_out_of_memory();
                io::Error::new(ErrorKind::OutOfMemory, exhausted)
            })?);
        }
        Ok(())
    }

    fn meter_write(&mut self, written: &Poll<io::Result<usize>>) {
        let Self { state, pace, .. } = self;
        match written {
            Poll::Pending => state.begin_write(|| pace.wait()),
            Poll::Ready(written) => {
                pace.advance(*written.as_ref().unwrap_or(&0));
                state.end(Wait::Write);
                // The idle timeout begins when a response is complete, and its last bytes may be written later than
                // that.
                state.renew(Wait::Idle);
            }
        }
    }

    /// Like [`meter_write`](Self::meter_write), for bytes that wait inside the stream, as those of TLS do.
    fn meter_flush(&mut self, flushed: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if flushed.is_pending() || self.state.is(Wait::Write) {
            self.meter_write(&match &flushed {
                Poll::Pending => Poll::Pending,
                Poll::Ready(_) => Poll::Ready(Ok(0)),
            });
        }
        flushed
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for MeteredStream<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let more = buffer.filled().len() - before;
        if more > 0 {
            self.meter_read(more)?;
        }
        read
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for MeteredStream<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.meter_write(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.meter_write(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.meter_flush(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.stream).poll_shutdown(context);
        self.meter_flush(closed)
    }
}
