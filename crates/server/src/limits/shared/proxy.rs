//! A proxy between a node and Redis that can hold or cut connections, for tests.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// The state of the proxy, which applies to open connections too.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    /// Forwards everything.
    Whole,
    /// Accepts connections and data, but forwards nothing.
    Held,
    /// Closes connections.
    Cut,
}

pub(super) struct Proxy {
    pub(super) address: SocketAddr,
    wire: watch::Sender<Wire>,
    accepted: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Starts a proxy for `upstream`, a host and a port.
    pub(super) async fn before(upstream: &str, wire: Wire) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = watch::Sender::new(wire);
        let accepted = Arc::<AtomicUsize>::default();
        let count = Arc::clone(&accepted);
        let mut tasks = JoinSet::new();
        let (upstream, state) = (upstream.to_owned(), wire.subscribe());
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                connections.spawn(carry(stream, upstream.clone(), state.clone()));
            }
        });
        Self {
            address,
            wire,
            accepted,
            _tasks: tasks,
        }
    }

    pub(super) fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// The number of connections made so far.
    pub(super) fn connections(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn carry(mut node: TcpStream, upstream: String, mut wire: watch::Receiver<Wire>) {
    let (there, back) = (wire.clone(), wire.clone());
    let both = async {
        let mut redis = TcpStream::connect(upstream).await.unwrap();
        let (from_redis, to_redis) = redis.split();
        let (from_node, to_node) = node.split();
        tokio::select! {
            () = copy(from_node, to_redis, there) => {}
            () = copy(from_redis, to_node, back) => {}
        }
    };
    tokio::select! {
        biased;
        _ = wire.wait_for(|wire| *wire == Wire::Cut) => {}
        () = both => {}
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut wire: watch::Receiver<Wire>,
) {
    let mut buffer = vec![0; 4_096];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        let whole = wire.wait_for(|wire| *wire == Wire::Whole).await.is_ok();
        if !whole || to.write_all(&buffer[..length]).await.is_err() {
            return;
        }
    }
}
