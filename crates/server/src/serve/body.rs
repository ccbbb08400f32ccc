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
use keyward_core::memory::Exhausted;

use super::pace::Pace;
use super::pulse::{Pulse, Wait};

/// The slowest rate of a request's body, in bytes a second of waiting for it.
const SLOWEST: u64 = 100;

/// The client sent nothing of its request's body for as long as is allowed, or too little: answered with 408.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not come in time")]
pub struct BodyTimeout;

impl BodyTimeout {
    /// Whether `error`, or what caused it, is a body that did not come in time.
    #[must_use]
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        is_caused_by::<Self>(error)
    }
}

/// Whether `error`, or what caused it, is an `E`.
pub(crate) fn is_caused_by<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<E>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// A request's body: fails with [`BodyTimeout`] when the connection gives it up, and with [`Exhausted`] when the
/// connection has no room for more of it.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Incoming,
    /// Whether nothing more can be read of it, which `incoming` does not tell of one in chunks.
    ended: bool,
    pace: Pace,
    pulse: Arc<Pulse>,
}

impl RequestBody {
    /// `incoming` as a body for handlers; nothing is wrapped around one that is empty.
    ///
    /// It may fall behind the slowest rate by twice `timeout`.
    pub(super) fn wrap(incoming: Incoming, pulse: &Arc<Pulse>, timeout: Duration) -> Body {
        if incoming.is_end_stream() {
            return Body::empty();
        }
        pulse.open_body();
        Body::new(Self {
            incoming,
            ended: false,
            pace: Pace::new(SLOWEST, timeout.saturating_mul(2)),
            pulse: Arc::clone(pulse),
        })
    }

    fn poll_incoming(&mut self, context: &mut Context<'_>) -> Poll<Option<Received>> {
        let received = Pin::new(&mut self.incoming).poll_frame(context);
        match &received {
            Poll::Ready(Some(Ok(frame))) => {
                self.pace.advance(frame.data_ref().map_or(0, Bytes::len));
                self.ended = self.incoming.is_end_stream();
            }
            Poll::Ready(None) => self.ended = true,
            Poll::Ready(Some(Err(_))) => {
                self.ended = true;
                self.pulse.leave_body_unread();
            }
            Poll::Pending => {}
        }
        if self.ended {
            self.pulse.close_body();
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
                Poll::Ready(frame.map(|frame| {
                    frame.map_err(|error| match self.pulse.is_out_of_memory() {
                        true => Exhausted.into(),
                        false => error.into(),
                    })
                }))
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
            self.pulse.close_body();
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
