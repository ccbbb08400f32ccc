//! Closes a listener.
//!
//! Invariant: closing it resets no connection that the client sees as established. The system establishes connections
//! before they are accepted, and resets the waiting ones when the listener is closed. Therefore a stop first keeps new
//! connections from being established, waits for those whose handshake has begun, and accepts all that wait.

use std::io;
use std::net::SocketAddr;

use keyward_core::error::chain;
use tokio::net::{TcpListener, TcpStream};

use super::is_of_the_client;

/// Makes the system ignore new attempts to connect. The clients try again, and are then refused or reach the next
/// server. On systems other than Linux, a connection that is established between the last accept and the close is
/// reset.
pub(super) fn begin_no_more(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    {
        use socket2::{SockFilter, SockRef};
        /// A classic BPF program. Byte 13 of a TCP segment holds the flags.
        const DROP_SYN: [SockFilter; 4] = [
            SockFilter::new(0x30, 0, 0, 13),       // load it
            SockFilter::new(0x45, 0, 1, 0x02),     // without SYN, skip one
            SockFilter::new(0x06, 0, 0, 0),        // drop
            SockFilter::new(0x06, 0, 0, u32::MAX), // pass
        ];
        if let Err(error) = SockRef::from(listener).attach_filter(&DROP_SYN) {
            tracing::debug!(
                error = chain(&error),
                "clients can connect until the listener is closed, and some of them may be reset"
            );
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

/// Accepts all waiting connections and closes the listener. It calls the system directly, because tokio's readiness may
/// be out of date.
pub(super) fn take_rest(listener: TcpListener, mut take: impl FnMut((TcpStream, SocketAddr))) {
    let Ok(listener) = listener.into_std() else {
        return;
    };
    loop {
        let accepted = listener.accept().and_then(|(stream, peer)| {
            stream.set_nonblocking(true)?;
            Ok((TcpStream::from_std(stream)?, peer))
        });
        match accepted {
            Ok(accepted) => take(accepted),
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if error.kind() != io::ErrorKind::WouldBlock {
                    tracing::error!(
                        error = chain(&error),
                        "connections that waited to be accepted are lost"
                    );
                }
                return;
            }
        }
    }
}
