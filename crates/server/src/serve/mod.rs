//! The accept loop: connections bounded in number and in every wait for the client, and a stop that
//! finishes what is under way.
//!
//! HTTP/1.1 only. No client can hold a connection without making progress, nor more than its share.

mod backlog;
mod body;
mod connection;
mod io;
mod pace;
mod pulse;
mod slots;
mod strict;
mod tls;
mod transport;

use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use keyward_core::error::chain;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};

pub use self::body::BodyTimeout;
pub(crate) use self::body::is_caused_by;
use self::connection::{GRACE, Stop};
pub(crate) use self::slots::{CONNECTIONS, REFUSED};
use self::slots::{Slot, Slots};
pub use self::tls::Tls;
use self::transport::{Transport, close};
use crate::address::{Peer, TrustedProxies};
use crate::middleware::Site;

/// Pause after an error of `accept`, such as running out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a stop goes on taking connections that were begun before it: a packet's way to a load balancer and
/// back. Who asks for one meanwhile asks again after a second.
const SETTLE: Duration = Duration::from_millis(20);
/// The bounds of connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the listener is called in metrics.
    pub listener: &'static str,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// From the connection's beginning, or an answer's end, to the first byte of a request.
    pub idle_timeout: Duration,
    /// Without any byte of a request's body while it is waited for.
    pub body_timeout: Duration,
    /// Without any byte of an answer taken by the client.
    pub write_timeout: Duration,
    /// Connections in all; further ones are closed at once.
    pub max_connections: usize,
    /// Connections from one address (IPv6: one /64); trusted proxies are exempt.
    pub max_connections_per_address: usize,
    /// How long a stop waits for what is under way.
    pub drain: Duration,
    /// Bytes of a request's head; more is answered 431.
    pub max_header_bytes: usize,
    /// Header fields of a request; more is answered 431. Any other number than 100 costs an
    /// allocation a request.
    pub max_headers: usize,
    /// TLS; none for clear text.
    pub tls: Option<Tls>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listener: "http",
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            write_timeout: Duration::from_secs(30),
            max_connections: 10_000,
            max_connections_per_address: 1_000,
            drain: Duration::from_secs(30),
            max_header_bytes: 32 * 1_024,
            max_headers: 100,
            tls: None,
        }
    }
}

/// Serves `site` on `listener` until `stop` is ready, then closes the listener and finishes what is under way.
/// Every request carries its [`Peer`] as an extension.
///
/// A client whose connection was made is answered: those that wait to be accepted are taken before the listener
/// is closed, and one on which no request is under way is closed only after none has come for a moment.
///
/// Returns how many connections were cut off because they outlasted [`Settings::drain`].
pub async fn run(
    listener: TcpListener,
    site: Site,
    settings: Settings,
    proxies: Arc<TrustedProxies>,
    stop: impl Future<Output = ()>,
) -> usize {
    let slots = Slots::new(&settings, proxies);
    let mut connections = Connections {
        server: Arc::new(Server {
            site,
            settings,
            stop: Stop::default(),
        }),
        slots: Arc::new(slots),
        tasks: JoinSet::new(),
    };
    connections.accept_until(&listener, stop).await;
    let server = Arc::clone(&connections.server);
    let deadline = Instant::now() + server.settings.drain;
    server.stop.ask();
    backlog::begin_no_more(&listener);
    connections.accept_until(&listener, sleep(SETTLE)).await;
    backlog::take_rest(listener, |accepted| connections.add(accepted));
    let tasks = &mut connections.tasks;
    let finished = async { while tasks.join_next().await.is_some() {} };
    let _ = timeout_at(deadline, finished).await;
    connections.tasks.len()
}

struct Connections {
    server: Arc<Server>,
    slots: Arc<Slots>,
    tasks: JoinSet<()>,
}

impl Connections {
    async fn accept_until(&mut self, listener: &TcpListener, end: impl Future<Output = ()>) {
        let mut accepting = true;
        let mut end = pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(_) = self.tasks.join_next() => {}
                accepted = accept(listener, &mut accepting) => {
                    if let Some(accepted) = accepted {
                        self.add(accepted);
                    }
                }
            }
        }
    }

    /// Serves a connection if there is room for it.
    fn add(&mut self, (stream, peer): (TcpStream, SocketAddr)) {
        if let Some(slot) = self.slots.take(peer.ip()) {
            let server = Arc::clone(&self.server);
            // Only a connection already broken refuses the option.
            let _ = stream.set_nodelay(true);
            // A task in clear text has no room for the state of a handshake.
            match server.settings.tls.clone() {
                None => self.tasks.spawn(server.http1(stream, peer, slot)),
                Some(tls) => self.tasks.spawn(server.encrypted(tls, stream, peer, slot)),
            };
        }
    }
}

/// The next connection; `None` after an error, once the caller may try again.
async fn accept(listener: &TcpListener, well: &mut bool) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => {
            *well = true;
            Some(accepted)
        }
        Err(error) if is_of_the_client(&error) => None,
        Err(error) => {
            // Logged once, not once a pause, until it is over.
            if std::mem::replace(well, false) {
                tracing::error!(error = chain(&error), "no connection can be accepted");
            }
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Whether the connection that was about to be accepted failed, not accepting as such.
fn is_of_the_client(error: &Error) -> bool {
    use ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

struct Server {
    site: Site,
    settings: Settings,
    stop: Stop,
}

impl Server {
    /// A connection that begins with the handshake of TLS, which the stop cuts off after a moment.
    async fn encrypted(self: Arc<Self>, tls: Tls, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        let limit = match self.stop.is_asked() {
            false => self.settings.header_timeout,
            true => GRACE,
        };
        let accepted = tokio::select! {
            accepted = tls.accept(stream, limit) => accepted,
            () = async { self.stop.asked().await; sleep(GRACE).await } => return,
        };
        match accepted {
            Ok(stream) => {
                tracing::trace!(%peer, version = ?stream.version(), "TLS is established");
                self.http1(stream, peer, slot).await;
            }
            Err(error) => {
                tracing::debug!(%peer, error = chain(&error), "no TLS: the handshake failed");
            }
        }
    }

    async fn http1<I: Transport>(self: Arc<Self>, stream: I, peer: SocketAddr, _slot: Slot) {
        let site = self.site.clone();
        let (stream, ending, left) =
            connection::run(stream, Peer(peer), site, &self.settings, &self.stop).await;
        let closed = close(stream, ending, peer);
        match left {
            Some(left) => drop(tokio::join!(closed, left)),
            None => closed.await,
        }
    }
}

#[cfg(test)]
mod tests;
