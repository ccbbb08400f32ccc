//! One connection of HTTP/2: its streams, which all run in the task of the connection.
//!
//! Invariant: the streams of a connection are bounded in number, those whose client has reset them included. Beyond the
//! first, what each may hold for its client is reserved in the memory budget before it begins.

mod body;
mod meter;
mod part;
mod patience;
mod shared;
mod stream;
mod strict;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::RecvStream;
use h2::server::{Builder, Connection, SendResponse};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite};

use self::meter::Http2Meter;
use self::part::Part;
pub(super) use self::shared::Counts;
use self::shared::{LARGE_WINDOW, Shared, WINDOW};
pub(crate) use self::shared::{STREAMS, STREAMS_REFUSED};
use self::stream::MOST_QUEUED;
use super::Settings;
use super::connection::{Ending, GRACE, Stop, buffer_size};
use super::io::MeteredStream;
use super::timeouts::{ConnectionState, Timeouts, Wait};
use crate::address::Peer;
use crate::middleware::Site;

/// How many streams the client may have reset between two readings of the connection.
const MOST_RESETS: usize = 20;
/// How many streams of a connection may break the protocol.
const MOST_ERRORS: usize = 256;

/// Runs a connection to its end. Returns the stream, to be closed, and the requests that were under way when the client
/// left, which the caller runs to their end.
pub(super) async fn run<I>(
    stream: I,
    peer: Peer,
    site: Site,
    settings: &Settings,
    stop: &Stop,
    counts: &Counts,
) -> (I, Ending, impl Future<Output = ()> + use<I>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let shared = Arc::new(Shared::new(site, peer, settings, counts));
    let state = Arc::new(ConnectionState::default());
    let meter = Http2Meter::new(shared.account.clone(), 2 * buffer_size(settings));
    let mut io = MeteredStream::new(stream, Arc::clone(&state), meter, settings.write_timeout);
    let mut running = Running {
        streams: FuturesUnordered::new(),
        admit: |request, respond, others| shared.admit(request, respond, others),
        shared: &shared,
        state: &state,
        is_large: false,
    };
    let ending = run_until_end(&mut io, &mut running, settings, stop).await;
    let mut left = running.streams;
    let left = async move { while left.next().await.is_some() {} };
    (io.into_inner(), ending, left)
}

/// The streams under way, and how another is begun beside so many.
struct Running<'a, F, A> {
    streams: FuturesUnordered<F>,
    admit: A,
    shared: &'a Shared,
    state: &'a Arc<ConnectionState>,
    /// Whether the client was told of [`LARGE_WINDOW`].
    is_large: bool,
}

impl<F, A> Running<'_, F, A>
where
    F: Future<Output = ()>,
    A: Fn(Request<RecvStream>, SendResponse<Part>, usize) -> Option<F>,
{
    /// Ready when the connection has ended.
    fn poll<I: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        connection: &mut Connection<I, Part>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            while let Poll::Ready(accepted) = connection.poll_accept(context) {
                let Some(Ok((request, respond))) = accepted else {
                    return Poll::Ready(());
                };
                let others = self.streams.len();
                self.streams.extend((self.admit)(request, respond, others));
            }
            while let Poll::Ready(Some(())) = self.streams.poll_next_unpin(context) {}
            if !self.is_large && self.shared.is_large() {
                self.is_large = true;
                connection.set_target_window_size(LARGE_WINDOW);
            }
            if !self.shared.sent.swap(false, Ordering::Relaxed) {
                break;
            }
        }
        if self.streams.is_empty() && !self.state.is(Wait::Head) {
            self.state.begin(Wait::Idle);
        }
        Poll::Pending
    }
}

/// Runs a connection until it ends, is asked to, or is overdue.
async fn run_until_end<I, F, A>(
    io: &mut MeteredStream<I, Http2Meter>,
    running: &mut Running<'_, F, A>,
    settings: &Settings,
    stop: &Stop,
) -> Ending
where
    I: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = ()>,
    A: Fn(Request<RecvStream>, SendResponse<Part>, usize) -> Option<F>,
{
    let mut timeouts = Timeouts::new(Arc::clone(running.state), settings);
    let mut asked = pin!(stop.asked());
    let mut is_asked = false;
    let mut handshake = builder(settings).handshake(io);
    let established = poll_fn(|context| {
        if !is_asked && asked.as_mut().poll(context).is_ready() {
            is_asked = true;
            timeouts.shorten_idling(GRACE);
        }
        match Pin::new(&mut handshake).poll(context) {
            Poll::Ready(Ok(connection)) => Poll::Ready(Ok(connection)),
            Poll::Ready(Err(_)) => Poll::Ready(Err(Ending::Finished { unread: true })),
            Poll::Pending => timeouts.poll_overdue(context).map(Ending::Overdue).map(Err),
        }
    });
    let mut connection = match established.await {
        Ok(connection) => connection,
        Err(ending) => return ending,
    };
    let mut is_leaving = false;
    poll_fn(|context| {
        if !is_asked && asked.as_mut().poll(context).is_ready() {
            is_asked = true;
            timeouts.shorten_idling(GRACE);
        }
        loop {
            if is_asked && !is_leaving {
                is_leaving = true;
                connection.graceful_shutdown();
            }
            if running.poll(&mut connection, context).is_ready() {
                return Poll::Ready(Ending::Finished { unread: true });
            }
            match ready!(timeouts.poll_overdue(context)) {
                // A request that is on its way is still answered.
                Wait::Idle if !is_asked => {
                    is_asked = true;
                    timeouts.shorten_idling(GRACE);
                    running.state.renew(Wait::Idle);
                }
                wait => return Poll::Ready(Ending::Overdue(wait)),
            }
        }
    })
    .await
}

fn builder(settings: &Settings) -> Builder {
    let size = |size: usize| u32::try_from(size).unwrap_or(u32::MAX);
    let mut builder = Builder::new();
    builder
        .initial_window_size(LARGE_WINDOW)
        .initial_connection_window_size(WINDOW)
        .max_send_buffer_size(MOST_QUEUED)
        .max_header_list_size(size(settings.max_header_bytes))
        .max_concurrent_streams(size(settings.max_streams))
        .max_pending_accept_reset_streams(MOST_RESETS)
        .max_local_error_reset_streams(Some(MOST_ERRORS));
    builder
}
