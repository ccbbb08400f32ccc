//! One connection: HTTP/1.1 requests handed to the site until it ends, is asked to, or is overdue.
//!
//! Invariant: from the stop on every answer says that it is the last, and what is idle has [`GRACE`] to ask for one.
//! hyper's own graceful shutdown would close a connection whose request is on the way, or half there.

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
use super::io::Noted;
use super::pulse::{Pulse, Wait, Watch};
use super::strict::find_malformed;
use crate::address::Peer;
use crate::middleware::{Passing, Site};

/// The headers hyper parses without an allocation; its own default.
const HEADERS_ON_STACK: usize = 100;

/// How long a connection on which no request is under way stays open after the stop: its client may be sending
/// one, above all where it has just connected.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Asks all connections to finish.
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

    /// Waits until it is asked.
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
    /// By HTTP; `unread` if the client may still be sending what nobody reads.
    Finished { unread: bool },
    /// In the middle of a head for which there was no memory: nothing was answered.
    OutOfMemory,
    /// A wait was over its limit.
    Overdue(Wait),
}

/// Runs a connection to its end and gives the stream back for closing, with the request that was under way when the
/// client left.
///
/// Whatever it asked for has perhaps begun: the caller carries it to its end, so that an effect, its line in the log
/// and the budgets that it is counted on never depend on how long a client waits. One whose body was still being read
/// is given up: nothing tells a body that was cut off from one that came whole.
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
    let pulse = Arc::new(Pulse::default());
    let requests = Arc::new(Requests::new(Arc::clone(&pulse)));
    let io = TokioIo::new(Noted::new(
        stream,
        Arc::clone(&pulse),
        site.account(peer),
        2 * buffer_size(settings),
        settings.write_timeout,
    ));
    let to_site = ToSite {
        site,
        peer,
        body_timeout: settings.body_timeout,
        requests: Arc::clone(&requests),
    };
    let mut connection = builder(settings).serve_connection(io, to_site);
    let mut watch = Watch::new(Arc::clone(&pulse), settings);
    let mut asked = pin!(stop.notify.notified());
    let (mut listening, mut finishing) = (false, false);
    let ending = std::future::poll_fn(|context| {
        if !listening {
            // A task's waker stays the same, so that one poll is enough to be woken at the stop.
            let _ = asked.as_mut().poll(context);
            listening = true;
        }
        if !finishing && stop.is_asked() {
            finishing = true;
            pulse.finish();
            watch.shorten_idling(GRACE);
        }
        if let Poll::Ready(result) = Pin::new(&mut connection).poll(context) {
            if pulse.is_out_of_memory() && pulse.is(Wait::Head) {
                return Poll::Ready(Ending::OutOfMemory);
            }
            // Errors are the client's: it broke off, or was answered 400 by hyper.
            let unread = result.is_err() || pulse.is_body_unread();
            return Poll::Ready(Ending::Finished { unread });
        }
        match ready!(watch.poll_overdue(context)) {
            Wait::Body => {
                pulse.give_up_body();
                Poll::Pending
            }
            wait => Poll::Ready(Ending::Overdue(wait)),
        }
    })
    .await;
    let stream = connection.into_parts().io.into_inner().into_inner();
    (stream, ending, requests.take_left())
}

/// How large the buffer of a connection may become: a head of the largest size, and what is read with it.
fn buffer_size(settings: &Settings) -> usize {
    settings.max_header_bytes.saturating_add(8 * 1_024)
}

fn builder(settings: &Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Its timer cannot tell an idle connection from a slow head; the watch can.
    builder
        .header_read_timeout(None)
        .max_buf_size(buffer_size(settings))
        .max_header_size(settings.max_header_bytes);
    if settings.max_headers != HEADERS_ON_STACK {
        builder.max_headers(settings.max_headers);
    }
    builder
}

/// The requests of a connection, one at a time.
pub(super) struct Requests {
    pulse: Arc<Pulse>,
    /// The one whose client left.
    left: Mutex<Option<Passing>>,
}

impl Requests {
    pub(super) fn new(pulse: Arc<Pulse>) -> Self {
        Self {
            pulse,
            left: Mutex::default(),
        }
    }

    /// Keeps a request whose client has left, unless more of its body was to come.
    pub(super) fn keep(&self, mut routed: Passing) {
        if !self.pulse.is_body_open() {
            routed.lose_client();
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(routed);
        }
    }

    pub(super) fn take_left(&self) -> Option<Passing> {
        self.left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }
}

/// The site, as hyper calls it.
struct ToSite {
    site: Site,
    peer: Peer,
    body_timeout: Duration,
    requests: Arc<Requests>,
}

impl hyper::service::Service<Request<Incoming>> for ToSite {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let pulse = &self.requests.pulse;
        pulse.begin_request();
        let malformed = find_malformed(&request);
        let mut request = request.map(|body| RequestBody::wrap(body, pulse, self.body_timeout));
        request.extensions_mut().insert(self.peer);
        Answer {
            routed: Some(self.site.clone().pass(request, malformed)),
            is_last: malformed.is_some(),
            requests: Arc::clone(&self.requests),
        }
    }
}

/// The answer to come.
struct Answer {
    /// Taken when the answer is there.
    routed: Option<Passing>,
    /// Whether the connection is closed after it in any case.
    is_last: bool,
    requests: Arc<Requests>,
}

impl Future for Answer {
    type Output = Result<Response<ResponseBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(routed) = &mut self.routed else {
            unreachable!("polled after its answer")
        };
        let mut response = ready!(Pin::new(routed).poll(context))?;
        self.routed = None;
        let pulse = &self.requests.pulse;
        if self.is_last || pulse.is_finishing() || pulse.is_body_unread() {
            // The client's next request would be lost if it were not told. Of the body hyper does not say it.
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Poll::Ready(Ok(
            response.map(|body| ResponseBody::new(body, Arc::clone(pulse)))
        ))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if let Some(routed) = self.routed.take() {
            self.requests.keep(routed);
        }
    }
}
