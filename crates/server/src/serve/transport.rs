//! What a connection's bytes travel on, and its end.
//!
//! Invariant: the last answer reaches a client that still sends, and no client holds a connection that has ended.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::connection::Ending;
use super::pulse::Wait;

/// How long what a client still sends is read and thrown away after its last answer: closing at once
/// would reset the connection, and the client might never see why it was refused.
const LINGER: Duration = Duration::from_secs(5);

/// The answer to a head for which there is no memory, so that neither route nor contract is known.
const OUT_OF_MEMORY: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n\
    Connection: close\r\n\r\n";

/// A stream on a socket: the socket itself, or TLS on it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Unpin + Send {
    fn socket(&self) -> &TcpStream;
}

impl Transport for TcpStream {
    fn socket(&self) -> &TcpStream {
        self
    }
}

/// Closes a connection in the way that its ending needs.
pub(super) async fn close<I: Transport>(stream: I, ending: Ending, peer: SocketAddr) {
    match ending {
        Ending::Finished { unread: true } => linger(stream, &[]).await,
        Ending::Finished { unread: false } => {}
        Ending::OutOfMemory => {
            tracing::debug!(%peer, "a request's head was refused: there is no memory for it");
            linger(stream, OUT_OF_MEMORY).await;
        }
        Ending::Overdue(wait) => {
            tracing::debug!(%peer, ?wait, "connection closed: the client took too long");
            if wait == Wait::Write {
                // What the client does not take need not stay in the system's buffers either.
                let _ = stream.socket().set_zero_linger();
            }
        }
    }
}

/// Writes the last bytes, closes the stream for writing and reads until the client has closed its side too, all for a
/// while.
async fn linger(mut stream: impl Transport, last: &[u8]) {
    let to_the_end = async {
        let _ = stream.write_all(last).await;
        let _ = stream.shutdown().await;
        let mut discarded = vec![0; 16 * 1_024];
        while stream.read(&mut discarded).await.is_ok_and(|n| n > 0) {}
    };
    let _ = timeout(LINGER, to_the_end).await;
}
