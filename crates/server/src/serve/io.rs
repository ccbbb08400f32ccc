//! A stream that notes what its connection waits for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::pulse::{Pulse, Wait};

/// A stream: its first byte after idling begins a head, and a write that finds no room begins a wait.
#[derive(Debug)]
pub(super) struct Noted<I> {
    stream: I,
    pulse: Arc<Pulse>,
}

impl<I> Noted<I> {
    pub(super) fn new(stream: I, pulse: Arc<Pulse>) -> Self {
        pulse.begin(Wait::Idle);
        Self { stream, pulse }
    }

    pub(super) fn into_inner(self) -> I {
        self.stream
    }

    fn note_write(&self, written: &Poll<io::Result<usize>>) {
        match written {
            Poll::Pending => self.pulse.begin(Wait::Write),
            Poll::Ready(_) => {
                self.pulse.end(Wait::Write);
                // The answer may be complete and idling begun while its last bytes are on the way.
                self.pulse.renew(Wait::Idle);
            }
        }
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
        if buffer.filled().len() > before && self.pulse.is(Wait::Idle) {
            self.pulse.end(Wait::Idle);
            self.pulse.begin(Wait::Head);
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
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
