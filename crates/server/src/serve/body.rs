//! The bodies of a connection's requests and answers, which note how far these have come.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::pulse::{Pulse, Wait};

/// The slowest mean rate of a request's body, in bytes a second of waiting for it.
const SLOWEST: u64 = 100;

/// The client sent nothing of its request's body for as long as is allowed, or too little: answered with 408.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not come in time")]
pub struct BodyTimeout;

impl BodyTimeout {
    /// Whether `error`, or what caused it, is a body that did not come in time.
    #[must_use]
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if error.is::<Self>() {
                return true;
            }
            cause = error.source();
        }
        false
    }
}

/// A request's body: fails with [`BodyTimeout`] when the connection gives it up.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Incoming,
    /// Whether nothing more can be read of it, which `incoming` does not tell of one in chunks.
    ended: bool,
    pace: Pace,
    pulse: Arc<Pulse>,
}

/// How slowly a body comes. What a handler takes between two parts does not count.
#[derive(Debug)]
struct Pace {
    /// How long all of it may be waited for, what has come not counted.
    patience: Duration,
    received: u64,
    waited: Duration,
    /// Since when it is waited for at present.
    since: Option<Instant>,
}

impl Pace {
    /// A wait begins; tells how long it may last.
    fn wait(&mut self) -> Duration {
        self.since = Some(Instant::now());
        let taken = Duration::from_millis(self.received.saturating_mul(1_000 / SLOWEST));
        self.patience
            .saturating_add(taken)
            .saturating_sub(self.waited)
    }

    fn receive(&mut self, bytes: usize) {
        self.received += bytes as u64;
        if let Some(since) = self.since.take() {
            self.waited += since.elapsed();
        }
    }
}

impl RequestBody {
    /// `incoming` as a body for handlers; nothing is wrapped around one that is empty.
    ///
    /// It may be waited for twice as long as `timeout`, for its next byte, and as its bytes take at the slowest rate.
    pub(super) fn wrap(incoming: Incoming, pulse: &Arc<Pulse>, timeout: Duration) -> Body {
        if incoming.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            incoming,
            ended: false,
            pace: Pace {
                patience: timeout.saturating_mul(2),
                received: 0,
                waited: Duration::ZERO,
                since: None,
            },
            pulse: Arc::clone(pulse),
        })
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Option<Received>> {
        let received = Pin::new(&mut self.incoming).poll_frame(context);
        match &received {
            Poll::Ready(Some(Ok(frame))) => {
                self.pace.receive(frame.data_ref().map_or(0, Bytes::len));
                self.ended = self.incoming.is_end_stream();
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) => {
                self.ended = true;
                self.pulse.leave_body_unread();
            }
            Poll::Pending => {}
        }
        received
    }
}

type Received = Result<Frame<Bytes>, hyper::Error>;

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.poll_incoming(context) {
            Poll::Ready(frame) => {
                self.pulse.end(Wait::Body);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                let Self { pulse, pace, .. } = &mut *self;
                pulse.begin_body(context, || pace.wait());
                if self.pulse.is_body_late() {
                    self.pulse.end(Wait::Body);
                    return Poll::Ready(Some(Err(BodyTimeout.into())));
                }
                Poll::Pending
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.pulse.end(Wait::Body);
        // The part that came with the head, and the end, are passed over. hyper does not wait for more of a body
        // that nobody reads: it closes the connection.
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            if !self.ended {
                let _ = self.poll_incoming(&mut context);
            }
        }
        if !self.ended {
            self.pulse.leave_body_unread();
        }
    }
}

/// An answer's body: when it goes, the answer is complete and the connection idles.
#[derive(Debug)]
pub(super) struct ResponseBody {
    body: Body,
    pulse: Arc<Pulse>,
}

impl ResponseBody {
    pub(super) fn new(body: Body, pulse: Arc<Pulse>) -> Self {
        Self { body, pulse }
    }
}

impl HttpBody for ResponseBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        self.pulse.begin(Wait::Idle);
    }
}
