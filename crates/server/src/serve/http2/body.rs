//! The body of a request on a stream.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use h2::RecvStream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Request};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::super::body::{BodyTimeout, MINIMUM_RATE};
use super::patience::Patience;
use super::shared::{Large, SMALL, Shared};

/// Whether more of a request's body may still be read.
#[derive(Clone, Debug, Default)]
pub(super) struct Open(Option<Arc<AtomicBool>>);

impl Open {
    pub(super) fn is(&self) -> bool {
        let Self(open) = self;
        open.as_ref()
            .is_some_and(|open| open.load(Ordering::Relaxed))
    }
}

/// A request's body. It fails with [`BodyTimeout`] when the client is late, and with [`Exhausted`](keyward_core::memory::Exhausted) when there is no memory
/// for more of it.
pub(super) struct RequestBody {
    stream: RecvStream,
    /// The length that is still to come, if the client declared it.
    left: Option<u64>,
    read: u64,
    large: Option<Large>,
    shared: Arc<Shared>,
    open: Arc<AtomicBool>,
    has_failed: bool,
    patience: Patience,
}

impl RequestBody {
    /// The request with its body for handlers, and whether that body is open.
    pub(super) fn wrap(
        request: Request<RecvStream>,
        shared: &Arc<Shared>,
        large: Option<Large>,
    ) -> (Request<Body>, Open) {
        let (head, stream) = request.into_parts();
        if stream.is_end_stream() {
            return (Request::from_parts(head, Body::empty()), Open(None));
        }
        let open = Arc::new(AtomicBool::new(true));
        let body = Self {
            stream,
            left: length(&head.headers),
            read: 0,
            large,
            shared: Arc::clone(shared),
            open: Arc::clone(&open),
            has_failed: false,
            patience: Patience::new(MINIMUM_RATE, shared.body_timeout),
        };
        (Request::from_parts(head, Body::new(body)), Open(Some(open)))
    }

    fn receive(&mut self, bytes: Bytes) -> Result<Bytes, Box<dyn Error + Send + Sync>> {
        let length = bytes.len() as u64;
        self.patience.advance(bytes.len());
        self.read += length;
        self.left = self.left.map(|left| left.saturating_sub(length));
        if self.read > SMALL && self.large.is_none() {
            self.large = Some(self.shared.begin_large(u64::MAX)?);
        }
        self.stream.flow_control().release_capacity(bytes.len())?;
        Ok(bytes)
    }

    fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
    }
}

/// The length of a body that its head declares.
pub(super) fn length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.has_failed {
            return Poll::Ready(None);
        }
        let received = match self.stream.poll_data(context) {
            Poll::Ready(Some(Ok(bytes))) => self.receive(bytes),
            Poll::Ready(Some(Err(error))) => Err(error.into()),
            Poll::Ready(None) => {
                self.close();
                return Poll::Ready(None);
            }
            Poll::Pending => {
                ready!(self.patience.poll_late(context));
                Err(BodyTimeout.into())
            }
        };
        self.has_failed = received.is_err();
        if self.has_failed || self.stream.is_end_stream() {
            self.close();
        }
        Poll::Ready(Some(received.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.left
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        self.close();
    }
}
