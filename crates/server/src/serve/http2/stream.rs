//! One stream: a request, handed to the site, and its response.
//!
//! Invariant: a stream lasts until its work is done and its client has taken all of its response or is late. A client
//! that resets its streams thus has no more work under way than one that waits for them.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use axum::body::{Body, HttpBody};
use axum::response::Response;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{CONTENT_LENGTH, DATE, EXPECT};
use http::{HeaderMap, Method, Request, StatusCode};
use keyward_core::error::chain;
use keyward_core::memory::{FREE, Reservation};

use super::super::io::MINIMUM_RATE;
use super::body::RequestBody;
use super::part::{Outgoing, Part};
use super::patience::Patience;
use super::shared::{Large, Shared, UnderWay};
use super::strict::find_malformed;

/// How much of a response is queued at once.
pub(super) const MOST_QUEUED: usize = 64 << 10;

pub(super) struct Stream {
    pub(super) shared: Arc<Shared>,
    pub(super) respond: SendResponse<Part>,
    /// What the request reserves. None if it is the only one of its connection, and small.
    pub(super) held: Option<Reservation>,
}

impl Stream {
    /// Answers `request`, whose body is `large` if it is known not to be small.
    pub(super) async fn answer(mut self, request: Request<RecvStream>, large: Option<Large>) {
        let is_head = request.method() == Method::HEAD;
        let _under_way = UnderWay::begin(&self.shared.counts.under_way);
        if let Some(response) = self.pass(request, large).await {
            self.send(response, is_head).await;
        }
    }

    /// The response of the site; none if the client reset the stream.
    ///
    /// What it asked for is then carried to its end, unless more of its body was to come.
    async fn pass(
        &mut self,
        request: Request<RecvStream>,
        large: Option<Large>,
    ) -> Option<Response> {
        let Self {
            shared, respond, ..
        } = self;
        let malformed = find_malformed(&request);
        let (mut request, open) = RequestBody::wrap(request, shared, large);
        let mut expects = open.is() && is_continue_expected(request.headers());
        request.extensions_mut().insert(shared.peer);
        let mut passing = shared.site.clone().pass(request, malformed);
        let response = poll_fn(|context| {
            if respond.poll_reset(context).is_ready() {
                return Poll::Ready(None);
            }
            if let Poll::Ready(Ok(response)) = Pin::new(&mut passing).poll(context) {
                return Poll::Ready(Some(response));
            }
            if std::mem::take(&mut expects) {
                let mut go_on = Response::new(());
                *go_on.status_mut() = StatusCode::CONTINUE;
                // Where it cannot be sent, the stream is about to end.
                let _ = respond.send_informational(go_on);
                shared.sent.store(true, Ordering::Relaxed);
            }
            Poll::Pending
        })
        .await;
        if response.is_none() && !open.is() {
            passing.lose_client();
            let _ = passing.await;
        }
        response
    }

    async fn send(mut self, response: Response, is_head: bool) {
        let (mut head, body) = response.into_parts();
        head.headers.insert(DATE, self.shared.date());
        if let Some(length) = body.size_hint().exact()
            && length > 0
        {
            head.headers.entry(CONTENT_LENGTH).or_insert(length.into());
        }
        let is_last = is_head || body.is_end_stream();
        let head = http::Response::from_parts(head, ());
        let sent = self.respond.send_response(head, is_last);
        self.shared.sent.store(true, Ordering::Relaxed);
        if let Ok(stream) = sent
            && !is_last
        {
            let sending = Sending {
                stream,
                outgoing: Arc::default(),
                patience: Patience::new(MINIMUM_RATE, self.shared.write_timeout),
                taken: 0,
                shared: self.shared,
                reserved: self.held.as_ref().map_or(0, Reservation::bytes),
                held: self.held,
            };
            sending.send(body).await;
        }
    }
}

fn is_continue_expected(headers: &HeaderMap) -> bool {
    let expected = headers.get(EXPECT).map(http::HeaderValue::as_bytes);
    expected.is_some_and(|expected| expected.eq_ignore_ascii_case(b"100-continue"))
}

/// The body of a response on its way.
struct Sending {
    stream: SendStream<Part>,
    outgoing: Arc<Outgoing>,
    patience: Patience,
    /// How much the client is known to have taken.
    taken: usize,
    shared: Arc<Shared>,
    /// What the request reserved, and how much that was.
    held: Option<Reservation>,
    reserved: u64,
}

/// The stream was reset.
struct Reset;

impl Sending {
    async fn send(mut self, mut body: Body) {
        if self.send_all(&mut body).await.is_ok() {
            let _ = poll_fn(|context| match self.outgoing.is_taken(context) {
                true => Poll::Ready(Ok(())),
                false => self.poll_failed(context).map(Err::<(), _>),
            })
            .await;
        }
    }

    async fn send_all(&mut self, body: &mut Body) -> Result<(), Reset> {
        loop {
            let frame = poll_fn(|context| match Pin::new(&mut *body).poll_frame(context) {
                Poll::Ready(frame) => Poll::Ready(Ok(frame)),
                Poll::Pending => self.stream.poll_reset(context).map(|_| Err(Reset)),
            });
            match frame.await? {
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.send_bytes(bytes, body.is_end_stream()).await?;
                    }
                }
                Some(Err(error)) => {
                    tracing::debug!(error = chain(&error), "a response was broken off");
                    self.stream.send_reset(Reason::INTERNAL_ERROR);
                    return Err(Reset);
                }
                None => return self.queue(Bytes::new(), true),
            }
            if body.is_end_stream() {
                return Ok(());
            }
        }
    }

    async fn send_bytes(&mut self, mut bytes: Bytes, is_end: bool) -> Result<(), Reset> {
        while !bytes.is_empty() {
            self.stream.reserve_capacity(bytes.len().min(MOST_QUEUED));
            let room = poll_fn(|context| self.poll_room(context, bytes.len())).await?;
            let part = bytes.split_to(room.min(bytes.len()));
            self.queue(part, is_end && bytes.is_empty())?;
        }
        Ok(())
    }

    /// How much the client has room for, if it waits for `length` bytes.
    fn poll_room(
        &mut self,
        context: &mut Context<'_>,
        length: usize,
    ) -> Poll<Result<usize, Reset>> {
        loop {
            match self.stream.capacity() {
                0 => {}
                room => return Poll::Ready(Ok(room)),
            }
            match self.stream.poll_capacity(context) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(Err(Reset)),
                Poll::Pending => break,
            }
        }
        // Of a larger response all that waits is in the budget.
        if length <= FREE
            && let Some(held) = &mut self.held
            && held.grow_to(self.reserved + length as u64).is_err()
        {
            self.shared.counts.memory.increment(1);
            self.stream.send_reset(Reason::ENHANCE_YOUR_CALM);
            return Poll::Ready(Err(Reset));
        }
        self.poll_failed(context).map(Err)
    }

    /// Ready when the client has reset the stream, or is late, and it therefore is reset.
    fn poll_failed(&mut self, context: &mut Context<'_>) -> Poll<Reset> {
        if self.stream.poll_reset(context).is_ready() {
            return Poll::Ready(Reset);
        }
        loop {
            let taken = self.outgoing.taken();
            if self.taken != taken {
                self.patience.advance(taken.wrapping_sub(self.taken));
                self.taken = taken;
            }
            ready!(self.patience.poll_late(context));
            if self.taken == self.outgoing.taken() {
                tracing::debug!(peer = %self.shared.peer.0, "stream reset: the client took too long");
                self.shared.counts.late.increment(1);
                self.stream.send_reset(Reason::CANCEL);
                return Poll::Ready(Reset);
            }
        }
    }

    fn queue(&mut self, bytes: Bytes, is_end: bool) -> Result<(), Reset> {
        self.shared.sent.store(true, Ordering::Relaxed);
        let part = self.outgoing.part(bytes);
        self.stream.send_data(part, is_end).map_err(|_| Reset)
    }
}
