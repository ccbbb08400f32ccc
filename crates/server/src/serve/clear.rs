//! The protocol of a connection in clear text, which its first bytes tell.
//!
//! Invariant: they may take as long as those of a request may.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Settings;
use super::transport::Transport;

/// What a client of HTTP/2 sends first (RFC 9113 §3.4), and no client of HTTP/1.1.
const PREFACE: [u8; 24] = *b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A stream whose first bytes were read already. It is read from the first.
#[derive(Debug)]
pub(super) struct Begun<I> {
    first: [u8; PREFACE.len()],
    length: usize,
    given: usize,
    stream: I,
}

impl<I: AsyncRead + Unpin> Begun<I> {
    /// Reads until it is certain whether the client speaks HTTP/2.
    pub(super) async fn read(stream: I, settings: &Settings) -> io::Result<Self> {
        let mut begun = Self {
            first: [0; PREFACE.len()],
            length: 0,
            given: 0,
            stream,
        };
        timeout(settings.idle_timeout, begun.read_more()).await??;
        let rest = async {
            while begun.is_undecided() && begun.read_more().await? {}
            Ok::<_, io::Error>(())
        };
        timeout(settings.header_timeout, rest).await??;
        Ok(begun)
    }

    /// Whether the client sent more.
    async fn read_more(&mut self) -> io::Result<bool> {
        let read = self.stream.read(&mut self.first[self.length..]).await?;
        self.length += read;
        Ok(read > 0)
    }

    fn is_undecided(&self) -> bool {
        self.length < PREFACE.len() && PREFACE.starts_with(&self.first[..self.length])
    }

    pub(super) fn is_http2(&self) -> bool {
        self.length == PREFACE.len() && self.first == PREFACE
    }
}

impl Transport for Begun<TcpStream> {
    fn socket(&self) -> &TcpStream {
        &self.stream
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Begun<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let waiting = &self.first[self.given..self.length];
        if waiting.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let more = waiting.len().min(buffer.remaining());
        buffer.put_slice(&waiting[..more]);
        self.given += more;
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Begun<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
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
