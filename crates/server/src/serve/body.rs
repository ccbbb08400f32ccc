//! The bodies of a connection's requests and responses. They record in the connection's state how far these have come.

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
use super::timeouts::{ConnectionState, Wait};

/// The minimum rate of a request's body, in bytes per second of waiting for the client.
pub(super) const MINIMUM_RATE: u64 = 100;

/// The body of the request came too slowly, or not at all. It is answered with 408.
#[derive(Debug, thiserror::Error)]
#[error("the request's body did not come in time")]
pub struct BodyTimeout;

impl BodyTimeout {
    /// Whether `error`, or one of its causes, is a body that did not come in time.
    #[must_use]
    pub fn caused(error: &(dyn Error + 'static)) -> bool {
        is_caused_by::<Self>(error)
    }
}

/// Whether `error`, or one of its causes, is an `E`.
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

/// The body of a request. Reading it fails with [`BodyTimeout`] after the connection's timeout, and with [`Exhausted`]
/// when the memory budget has no room for more of it.
#[derive(Debug)]
pub(super) struct RequestBody {
    incoming: Incoming,
    /// Whether nothing more can be read. `incoming` does not know this of a chunked body.
    ended: bool,
    pace: Pace,
    state: Arc<ConnectionState>,
}

impl RequestBody {
    /// Makes `incoming` the body that handlers read. An empty one is not wrapped.
    ///
    /// The body may fall behind the minimum rate by twice `timeout`.
    pub(super) fn wrap(
        incoming: Incoming,
        state: &Arc<ConnectionState>,
        timeout: Duration,
    ) -> Body {
        if incoming.is_end_stream() {
            return Body::empty();
        }
        state.open_body();
        Body::new(Self {
            incoming,
            ended: false,
            pace: Pace::new(MINIMUM_RATE, timeout.saturating_mul(2)),
            state: Arc::clone(state),
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
                self.state.leave_body_unread();
            }
            Poll::Pending => {}
        }
        if self.ended {
            self.state.close_body();
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
                self.state.end(Wait::Body);
                Poll::Ready(frame.map(|frame| {
                    frame.map_err(|error| match self.state.is_out_of_memory() {
                        true => Exhausted.into(),
                        false => error.into(),
                    })
                }))
            }
            Poll::Pending => {
                let Self { state, pace, .. } = &mut *self;
                state.begin_body(context, || pace.wait());
                if self.state.is_body_late() {
                    self.state.end(Wait::Body);
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
        self.state.end(Wait::Body);
        // hyper closes a connection whose body nobody has read to its end. A small body often came with the head. Two
        // polls, one for its data and one for its end, skip it, and the connection can be used again.
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            if !self.ended {
                let _ = self.poll_incoming(&mut context);
            }
        }
        if !self.ended {
            self.state.leave_body_unread();
            self.state.close_body();
        }
    }
}

/// The body of a response. When it is dropped, the response is complete and the connection is idle.
#[derive(Debug)]
pub(super) struct ResponseBody {
    body: Body,
    state: Arc<ConnectionState>,
}

impl ResponseBody {
    pub(super) fn new(body: Body, state: Arc<ConnectionState>) -> Self {
        Self { body, state }
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
        self.state.begin(Wait::Idle);
    }
}
