//! Tests of the waits on in-memory streams and paused time. Tests of the stop, of limits and of bad requests on loopback
//! sockets.

mod encrypted;
mod http2;
mod leaving;
mod memory;
mod requests;
mod stopping;
mod waits;

use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use keyward_core::memory::Budget;
use keyward_core::random::SeededRandom;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::connection::Ending;
use super::timeouts::Wait;
use super::*;
use crate::hosts::Hosts;
use crate::middleware::{Edge, Templates};

/// `GET /` responds with hello, `POST /` with the length of the body or the reason why it could not be read.
fn router() -> Router {
    Router::new().route("/", get(|| async { "hello" })).route(
        "/",
        post(|body: Bytes| async move { format!("{} bytes", body.len()) }),
    )
}

/// The router behind an edge, which catches panics and bad requests.
fn site(router: Router) -> Site {
    site_within(&Budget::new(64 << 20), router)
}

fn site_within(memory: &Arc<Budget>, router: Router) -> Site {
    let edge = Edge {
        random: Arc::new(SeededRandom::new(7)),
        proxies: Arc::default(),
        memory: Arc::clone(memory),
        hosts: Hosts::Any,
        templates: Templates::default(),
        access_log: false,
        traced: false,
        strict_transport: None,
    };
    Site::new(router, edge)
}

/// A server on a free port, which a test can stop.
struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    cut_off: tokio::task::JoinHandle<usize>,
}

impl Running {
    async fn start(router: Router, settings: Settings) -> Self {
        Self::start_site(site(router), settings).await
    }

    async fn start_site(site: Site, settings: Settings) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let cut_off = tokio::spawn(run(listener, site, settings, Arc::default(), stopped));
        Self {
            address,
            stop: Some(stop),
            cut_off,
        }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// The number of connections that the stop cut off.
    async fn stopped(self) -> usize {
        self.cut_off.await.unwrap()
    }
}

/// Reads until the other side closes, which must be sooner than it would stop lingering.
async fn rest(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    rest_within(Duration::from_secs(4), stream).await
}

async fn rest_within(limit: Duration, stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut bytes = Vec::new();
    // After a reset the bytes that were read remain.
    let _ = timeout(limit, stream.read_to_end(&mut bytes))
        .await
        .expect("an end in time");
    String::from_utf8(bytes).unwrap()
}

/// Reads one response with a body of `length` bytes.
async fn answer(stream: &mut (impl tokio::io::AsyncRead + Unpin), length: usize) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    String::from_utf8([bytes, body].concat()).unwrap()
}
