//! The end of a listener.
//!
//! Invariant: closing it resets no connection that a client has seen made. The system makes connections before
//! they are accepted and resets those that wait when the listener is closed; so from the stop on none is begun,
//! those under way are waited for, and what waits is taken.

use std::io;
use std::net::SocketAddr;

use keyward_core::error::chain;
use tokio::net::{TcpListener, TcpStream};

use super::is_of_the_client;

/// Lets the system ignore who asks for a connection, so that they ask again and are refused, or find the next
/// server. Where it cannot, a connection that is made between the last accept and the close is reset.
pub(super) fn begin_no_more(listener: &TcpListener) {
    #[cfg(target_os = "linux")]
    {
        use socket2::{SockFilter, SockRef};
        /// Classic BPF over a TCP segment, whose byte 13 holds the flags.
        const DROP_SYN: [SockFilter; 4] = [
            SockFilter::new(0x30, 0, 0, 13),       // load it
            SockFilter::new(0x45, 0, 1, 0x02),     // without SYN, skip one
            SockFilter::new(0x06, 0, 0, 0),        // drop
            SockFilter::new(0x06, 0, 0, u32::MAX), // pass
        ];
        if let Err(error) = SockRef::from(listener).attach_filter(&DROP_SYN) {
            tracing::debug!(
                error = chain(&error),
                "connections are made until the listener is closed"
            );
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = listener;
}

/// Closes the listener, having taken what waits to be accepted: the system is asked, not what it told before.
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
                    tracing::error!(error = chain(&error), "connections that waited are lost");
                }
                return;
            }
        }
    }
}
