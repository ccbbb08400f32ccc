//! The accept loop. It limits the number of connections and every wait for a client, and a stop finishes the requests
//! that are under way.
//!
//! A connection speaks HTTP/1.1 or HTTP/2. Invariant: a client that makes no progress loses its connection, and no client has more connections
//! than its share.

mod backlog;
mod body;
mod clear;
mod connection;
mod http2;
mod io;
mod pace;
mod slots;
mod strict;
mod timeouts;
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
use self::clear::Begun;
use self::connection::{GRACE, Stop};
pub(crate) use self::http2::{STREAMS, STREAMS_REFUSED};
pub(crate) use self::slots::{CONNECTIONS, REFUSED};
use self::slots::{Slot, Slots};
pub use self::tls::Tls;
use self::transport::{Transport, close};
use crate::address::{Peer, TrustedProxies};
use crate::middleware::Site;

/// The pause after `accept` failed, for example because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a stop still accepts connections whose handshake began before it: the round trip of a packet to a load
/// balancer. A client that tries to connect meanwhile tries again after a second.
const SETTLE: Duration = Duration::from_millis(20);

/// The limits of a listener's connections.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The name of the listener in metrics.
    pub listener: &'static str,
    /// From the first byte of a request's head to its last.
    pub header_timeout: Duration,
    /// From the start of the connection, or the end of a response, to the first byte of a request.
    pub idle_timeout: Duration,
    /// The longest wait for the next byte of a request's body.
    pub body_timeout: Duration,
    /// The longest wait for the client to read more of a response.
    pub write_timeout: Duration,
    /// Connections in total. Further ones are closed at once.
    pub max_connections: usize,
    /// Connections from one address (IPv6: from one /64). Trusted proxies are exempt.
    pub max_connections_per_address: usize,
    /// How long a stop waits for the requests that are under way.
    pub drain: Duration,
    /// The largest head of a request, in bytes. A larger one is answered with 431.
    pub max_header_bytes: usize,
    /// The most header fields of a request. A request with more is answered with 431. Any number but 100 costs one
    /// allocation for each request.
    pub max_headers: usize,
    /// The maximum number of concurrent requests on a connection of HTTP/2.
    pub max_streams: usize,
    /// Whether HTTP/2 is spoken in clear text too, to clients that begin with it.
    pub h2c: bool,
    /// `None` for clear text.
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
            max_streams: 100,
            h2c: false,
            tls: None,
        }
    }
}

/// Serves `site` on `listener` until `stop` is ready, then closes the listener and finishes the requests that are under
/// way. Every request carries its [`Peer`] as an extension.
///
/// Every client that could connect gets its response. The stop accepts all waiting connections before it closes the
/// listener, and gives each idle connection a moment to send a request.
///
/// Returns the number of connections that were cut off because they took longer than [`Settings::drain`].
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
            streams: http2::Counts::new(settings.listener),
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
        let mut healthy = true;
        let mut end = pin!(end);
        loop {
            tokio::select! {
                biased;
                () = &mut end => return,
                Some(_) = self.tasks.join_next() => {}
                accepted = accept(listener, &mut healthy) => {
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
            // Setting the option fails only on a broken connection.
            let _ = stream.set_nodelay(true);
            // Two futures, so that the task of a clear-text connection does not hold the state of a handshake.
            match server.settings.tls.clone() {
                None if server.settings.h2c => self.tasks.spawn(server.clear(stream, peer, slot)),
                None => self.tasks.spawn(server.http1(stream, peer, slot)),
                Some(tls) => self.tasks.spawn(server.encrypted(tls, stream, peer, slot)),
            };
        }
    }
}

/// Accepts the next connection. Returns `None` after an error, as soon as the caller may try again.
async fn accept(listener: &TcpListener, healthy: &mut bool) -> Option<(TcpStream, SocketAddr)> {
    match listener.accept().await {
        Ok(accepted) => {
            *healthy = true;
            Some(accepted)
        }
        Err(error) if is_of_the_client(&error) => None,
        Err(error) => {
            // The error repeats after each pause. It is logged once until a connection is accepted again.
            if std::mem::replace(healthy, false) {
                tracing::error!(error = chain(&error), "no connection can be accepted");
            }
            sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

/// Whether the error concerns only the one connection that was to be accepted, and not the listener.
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
    streams: http2::Counts,
}

impl Server {
    /// Serves a connection that begins with a TLS handshake. A stop cuts the handshake off after [`GRACE`].
    async fn encrypted(self: Arc<Self>, tls: Tls, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        let limit = match self.stop.is_asked() {
            false => self.settings.header_timeout,
            true => GRACE,
        };
        let accepted = tokio::select! {
            accepted = tls.accept(stream, limit) => accepted,
            () = self.stopped() => return,
        };
        match accepted {
            Ok(stream) => {
                tracing::trace!(%peer, version = ?stream.version(), "TLS is established");
                match stream.is_http2() {
                    // On the heap, so that a task with HTTP/1.1 has no room for it.
                    true => Box::pin(self.http2(stream, peer, slot)).await,
                    false => self.http1(stream, peer, slot).await,
                }
            }
            Err(error) => {
                tracing::debug!(%peer, error = chain(&error), "the TLS handshake failed");
            }
        }
    }

    /// Serves a connection in clear text whose protocol its client chooses.
    async fn clear(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, slot: Slot) {
        let begun = tokio::select! {
            begun = Begun::read(stream, &self.settings) => begun,
            () = self.stopped() => return,
        };
        match begun {
            Ok(stream) => match stream.is_http2() {
                true => Box::pin(self.http2(stream, peer, slot)).await,
                false => self.http1(stream, peer, slot).await,
            },
            Err(error) => {
                tracing::debug!(%peer, error = chain(&error), "connection closed before it began");
            }
        }
    }

    /// Waits until [`GRACE`] after the stop.
    async fn stopped(&self) {
        self.stop.asked().await;
        sleep(GRACE).await;
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

    async fn http2<I: Transport>(self: Arc<Self>, stream: I, peer: SocketAddr, _slot: Slot) {
        let site = self.site.clone();
        let (stream, ending, left) = http2::run(
            stream,
            Peer(peer),
            site,
            &self.settings,
            &self.stop,
            &self.streams,
        )
        .await;
        tokio::join!(close(stream, ending, peer), left);
    }
}

#[cfg(test)]
mod tests;
