//! The bodies of a connection's requests and answers, which note how far these have come.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;

use super::pulse::{Pulse, Wait};

/// The client sent nothing of its request's body for as long as is allowed: answered with 408.
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
    pulse: Arc<Pulse>,
}

impl RequestBody {
    /// `incoming` as a body for handlers; nothing is wrapped around one that is empty.
    pub(super) fn wrap(incoming: Incoming, pulse: &Arc<Pulse>) -> Body {
        if incoming.is_end_stream() {
            return Body::empty();
        }
        Body::new(Self {
            incoming,
            pulse: Arc::clone(pulse),
        })
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match Pin::new(&mut self.incoming).poll_frame(context) {
            Poll::Ready(frame) => {
                self.pulse.end(Wait::Body);
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending => {
                self.pulse.begin_body(context);
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
        if !self.incoming.is_end_stream() {
            // A chunked body does not tell how much is left, which may be its end alone.
            let rest = self.incoming.size_hint().upper();
            self.pulse.leave_body_unread(rest.unwrap_or(1));
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
