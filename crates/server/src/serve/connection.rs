//! One connection: passes HTTP/1.1 requests to the site until the client leaves, a wait exceeds its limit, or the server
//! stops.
//!
//! Invariant: after the stop every response announces that it is the last of its connection, and an idle connection has
//! [`GRACE`] to send one more request. hyper's own graceful shutdown would close a connection whose request is on the
//! way or has come in part.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::HeaderValue;
use http::header::CONNECTION;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;

use super::Settings;
use super::body::{RequestBody, ResponseBody};
use super::io::{Http1Meter, MeteredStream};
use super::strict::find_malformed;
use super::timeouts::{ConnectionState, Timeouts, Wait};
use crate::address::Peer;
use crate::middleware::{Passing, Site};

/// The number of headers that hyper parses without an allocation. It is hyper's default.
const HEADERS_ON_STACK: usize = 100;

/// How long an idle connection stays open after the stop. Its client may be sending a request, above all if it has just
/// connected.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// The signal that asks all connections to finish.
#[derive(Debug, Default)]
pub(super) struct Stop {
    asked: AtomicBool,
    notify: Notify,
}

impl Stop {
    pub(super) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.notify.notify_waiters();
    }

    pub(super) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }

    /// Waits for [`ask`](Self::ask).
    pub(super) async fn asked(&self) {
        let mut asked = pin!(self.notify.notified());
        asked.as_mut().enable();
        if !self.is_asked() {
            asked.await;
        }
    }
}

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// As HTTP provides. `unread` if the client may still be sending bytes that nobody will read.
    Finished { unread: bool },
    /// In the middle of a head for which there was no memory. No response was sent.
    OutOfMemory,
    /// A wait exceeded its limit.
    Overdue(Wait),
}

/// Runs a connection to its end. Returns the stream, to be closed, and the request that was under way when the client
/// left.
///
/// The handler of that request may have begun its work, so the caller runs it to its end: neither an effect nor its log
/// line nor the budgets it counts on depend on the patience of a client. A request whose body was still being read is
/// dropped, because a handler cannot tell a truncated body from a complete one.
pub(super) async fn run<I>(
    stream: I,
    peer: Peer,
    site: Site,
    settings: &Settings,
    stop: &Stop,
) -> (I, Ending, Option<Passing>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let state = Arc::new(ConnectionState::default());
    let requests = Arc::new(Requests::new(Arc::clone(&state)));
    let io = TokioIo::new(MeteredStream::new(
        stream,
        Arc::clone(&state),
        Http1Meter::new(site.account(peer), 2 * buffer_size(settings)),
        settings.write_timeout,
    ));
    let to_site = ToSite {
        site,
        peer,
        body_timeout: settings.body_timeout,
        requests: Arc::clone(&requests),
    };
    let mut connection = builder(settings).serve_connection(io, to_site);
    let mut timeouts = Timeouts::new(Arc::clone(&state), settings);
    let mut asked = pin!(stop.notify.notified());
    let (mut listening, mut finishing) = (false, false);
    let ending = std::future::poll_fn(|context| {
        if !listening {
            // The waker of a task stays the same, so one poll is enough for the stop to wake it.
            let _ = asked.as_mut().poll(context);
            listening = true;
        }
        if !finishing && stop.is_asked() {
            finishing = true;
            state.finish();
            timeouts.shorten_idling(GRACE);
        }
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(context) {
            if state.is_out_of_memory() && state.is(Wait::Head) {
                return Poll::Ready(Ending::OutOfMemory);
            }
            // An error is the client's: it disconnected, or hyper answered it with 400.
            let unread = result.is_err() || state.is_body_unread();
            return Poll::Ready(Ending::Finished { unread });
        }
        match ready!(timeouts.poll_overdue(context)) {
            Wait::Body => {
                state.give_up_body();
                Poll::Pending
            }
            wait => Poll::Ready(Ending::Overdue(wait)),
        }
    })
    .await;
    let stream = connection.into_parts().io.into_inner().into_inner();
    (stream, ending, requests.take_left())
}

/// The largest size of a connection's buffer: the largest head, and the bytes that are read together with it.
pub(super) fn buffer_size(settings: &Settings) -> usize {
    settings.max_header_bytes.saturating_add(8 * 1_024)
}

fn builder(settings: &Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // hyper's timer cannot tell an idle connection from a slow head. `Timeouts` can.
    builder
        .header_read_timeout(None)
        .max_buf_size(buffer_size(settings))
        .max_header_size(settings.max_header_bytes);
    if settings.max_headers != HEADERS_ON_STACK {
        builder.max_headers(settings.max_headers);
    }
    builder
}

/// The requests of a connection, which run one at a time.
pub(super) struct Requests {
    state: Arc<ConnectionState>,
    /// The request whose client left.
    left: Mutex<Option<Passing>>,
}

impl Requests {
    pub(super) fn new(state: Arc<ConnectionState>) -> Self {
        Self {
            state,
            left: Mutex::default(),
        }
    }

    /// Keeps a request whose client left, unless its body was incomplete.
    pub(super) fn keep(&self, mut passing: Passing) {
        if !self.state.is_body_open() {
            passing.lose_client();
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(passing);
        }
    }

    pub(super) fn take_left(&self) -> Option<Passing> {
        self.left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// The site as the service that hyper calls.
struct ToSite {
    site: Site,
    peer: Peer,
    body_timeout: Duration,
    requests: Arc<Requests>,
}

impl hyper::service::Service<Request<Incoming>> for ToSite {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, request: Request<Incoming>) -> ResponseFuture {
        let state = &self.requests.state;
        state.begin_request();
        let malformed = find_malformed(&request);
        let mut request = request.map(|body| RequestBody::wrap(body, state, self.body_timeout));
        request.extensions_mut().insert(self.peer);
        ResponseFuture {
            passing: Some(self.site.clone().pass(request, malformed)),
            is_last: malformed.is_some(),
            requests: Arc::clone(&self.requests),
        }
    }
}

/// The response of one request.
struct ResponseFuture {
    /// `None` once the response is ready.
    passing: Option<Passing>,
    /// Whether the connection is closed after the response in any case.
    is_last: bool,
    requests: Arc<Requests>,
}

impl Future for ResponseFuture {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(passing) = &mut self.passing else {
            unreachable!("polled after its response")
        };
        let mut response = ready!(Pin::new(passing).poll(context))?;
        self.passing = None;
        let state = &self.requests.state;
        if self.is_last || state.is_finishing() || state.is_body_unread() {
            // The header makes hyper close the connection, and tells the client, which might otherwise send its next
            // request and lose it. hyper itself does not announce that it closes after an unread body.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Poll::Ready(Ok(
            response.map(|body| ResponseBody::new(body, Arc::clone(state)))
        ))
    }
}

impl Drop for ResponseFuture {
    fn drop(&mut self) {
        if let Some(passing) = self.passing.take() {
            self.requests.keep(passing);
        }
    }
}
