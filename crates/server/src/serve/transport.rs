//! The transport of a connection, and how it is closed.
//!
//! Invariant: the last response reaches a client that is still sending, and a client cannot keep an ended connection
//! open.

use std::net::SocketAddr;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Duration, timeout};

use super::connection::Ending;
use super::timeouts::Wait;

/// How long the server goes on reading, and discards, what a client sends after its last response. Closing at once would
/// reset the connection, and the client might never see the response.
const LINGER: Duration = Duration::from_secs(5);

/// The response to a head for which there is no memory. Without the head no contract is known, so there is no body.
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

/// Closes a connection as its ending requires.
pub(super) async fn close<I: Transport>(stream: I, ending: Ending, peer: SocketAddr) {
    match ending {
        Ending::Finished { unread: true } => linger(stream, &[]).await,
        Ending::Finished { unread: false } => {}
        Ending::OutOfMemory => {
            tracing::debug!(%peer, "a request was refused because there is no memory for its head");
            linger(stream, OUT_OF_MEMORY).await;
        }
        Ending::Overdue(wait) => {
            tracing::debug!(%peer, ?wait, "the connection was closed because the client took too long");
            if wait == Wait::Write {
                // The system need not keep the bytes that the client does not read.
                let _ = stream.socket().set_zero_linger();
            }
        }
    }
}

/// Writes the last bytes, closes the stream for writing, and reads until the client has closed its side too, for
/// [`LINGER`] at most.
async fn linger(mut stream: impl Transport, last: &[u8]) {
    let to_the_end = async {
        let _ = stream.write_all(last).await;
        let _ = stream.shutdown().await;
        let mut discarded = vec![0; 16 * 1_024];
        while stream.read(&mut discarded).await.is_ok_and(|n| n > 0) {}
    };
    let _ = timeout(LINGER, to_the_end).await;
}
