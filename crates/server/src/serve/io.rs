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
pub(super) const MINIMUM_RATE: u64 = 1_000;

/// How a protocol meters the bytes of its connections.
pub(super) trait Meter {
    /// The client sent `bytes`.
    fn read(&mut self, bytes: &[u8], state: &ConnectionState, pace: &mut Pace) -> io::Result<()>;

    /// The client took some bytes.
    fn written(&self, state: &ConnectionState);
}

/// A stream that is metered. A write that does not fit into the send buffer begins a wait. The protocol's `meter` decides
/// what a read begins.
#[derive(Debug)]
pub(super) struct MeteredStream<I, M> {
    stream: I,
    state: Arc<ConnectionState>,
    meter: M,
    pace: Pace,
}

impl<I, M: Meter> MeteredStream<I, M> {
    /// A response may fall behind the minimum rate by twice `timeout`.
    pub(super) fn new(stream: I, state: Arc<ConnectionState>, meter: M, timeout: Duration) -> Self {
        state.begin(Wait::Idle);
        Self {
            stream,
            state,
            meter,
            pace: Pace::new(MINIMUM_RATE, timeout.saturating_mul(2)),
        }
    }

    pub(super) fn into_inner(self) -> I {
        self.stream
    }

    fn meter_write(&mut self, written: &Poll<io::Result<usize>>) {
        let Self { state, pace, .. } = self;
        match written {
            Poll::Pending => state.begin_write(|| pace.wait()),
            Poll::Ready(written) => {
                pace.advance(*written.as_ref().unwrap_or(&0));
                state.end(Wait::Write);
                self.meter.written(state);
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

/// Meters HTTP/1.1. The first byte that is read from an idle connection begins the head of a request.
#[derive(Debug)]
pub(super) struct Http1Meter {
    account: Account,
    /// The largest size of the connection's buffers, in bytes.
    buffers: u64,
    /// The bytes of the current request that were read.
    read: usize,
    held: Option<Reservation>,
}

impl Http1Meter {
    /// Reserves the connection's buffers, of at most `buffers` bytes, in `account`.
    pub(super) fn new(account: Account, buffers: usize) -> Self {
        Self {
            account,
            buffers: buffers as u64,
            read: 0,
            held: None,
        }
    }
}

impl Meter for Http1Meter {
    fn read(&mut self, bytes: &[u8], state: &ConnectionState, pace: &mut Pace) -> io::Result<()> {
        if state.is(Wait::Idle) {
            state.end(Wait::Idle);
            state.begin(Wait::Head);
            pace.restart();
            (self.read, self.held) = (0, None);
        }
        self.read = self.read.saturating_add(bytes.len());
        if self.read > FREE && self.held.is_none() {
            self.held = Some(reserve(&self.account, self.buffers, state)?);
        }
        Ok(())
    }

    fn written(&self, state: &ConnectionState) {
        // The idle timeout begins when a response is complete, and its last bytes may be written later than that.
        state.renew(Wait::Idle);
    }
}

/// Reserves `bytes`, without which the connection cannot continue.
pub(super) fn reserve(
    account: &Account,
    bytes: u64,
    state: &ConnectionState,
) -> io::Result<Reservation> {
    account.reserve(bytes).map_err(|exhausted| {
        state.run_out_of_memory();
        io::Error::new(ErrorKind::OutOfMemory, exhausted)
    })
}

impl<I: AsyncRead + Unpin, M: Meter + Unpin> AsyncRead for MeteredStream<I, M> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let more = &buffer.filled()[before..];
        if !more.is_empty() {
            let Self {
                meter, state, pace, ..
            } = &mut *self;
            meter.read(more, state, pace)?;
        }
        read
    }
}

impl<I: AsyncWrite + Unpin, M: Meter + Unpin> AsyncWrite for MeteredStream<I, M> {
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
