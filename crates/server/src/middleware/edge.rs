//! The edge as a service, hand-written so that a request costs it no boxed future.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use http::header::{
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, StatusCode};
use keyward_core::memory::Account;
use tower::Service;

use super::id::{RequestId, X_REQUEST_ID};
use super::log::Entry;
use super::{Edge, Site};
use crate::address::{ClientAddress, client_address, peer_address};
use crate::error::{Cause, Failure, Problem, Shaped};
use crate::memory::{account, hold, is_large};
use crate::serve::Malformed;

impl Service<Request> for Site {
    type Response = Response;
    type Error = Infallible;
    type Future = Passing;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, mut request: Request) -> Passing {
        let Edge {
            random,
            proxies,
            memory,
            access_log,
        } = &*self.edge;
        let peer = peer_address(request.extensions().get());
        let address = client_address(peer, request.headers(), proxies);
        let sent = proxies.contains(peer);
        let sent = sent.then(|| RequestId::sent(request.headers())).flatten();
        let id = sent.unwrap_or_else(|| RequestId::new(&**random));
        let entry = access_log.as_ref();
        let entry = entry.map(|templates| Entry::new(&request, address, templates));
        // Without it the extractor takes the peer's.
        if address != peer {
            request.extensions_mut().insert(ClientAddress(address));
        }
        let answer = match request.extensions_mut().remove::<Malformed>() {
            None => Ok(self.router.call(request)),
            Some(malformed) => Err(malformed),
        };
        Passing {
            answer,
            id: Some(id),
            entry,
            account: account(memory, proxies, address),
        }
    }
}

/// A request on its way through.
pub struct Passing {
    /// From the route, unless the request cannot be routed.
    answer: Result<RouteFuture<Infallible>, Malformed>,
    /// Taken when the answer is there.
    id: Option<RequestId>,
    entry: Option<Entry>,
    /// Who pays for the answer while it is not taken.
    account: Account,
}

impl Future for Passing {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // A future that panicked is not polled again, so nobody sees what it left half done.
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut this.answer {
            Ok(routed) => Pin::new(routed).poll(context),
            Err(malformed) => Poll::Ready(Ok(refuse(*malformed))),
        }));
        let caught = match polled {
            Ok(answer) => Ok(ready!(answer)?),
            Err(panic) => Err(panic),
        };
        let id = this
            .id
            .take()
            .unwrap_or_else(|| unreachable!("polled after its answer"));
        let mut response = caught.unwrap_or_else(|panic| panicked(&*panic, &id));
        if is_large(&response) {
            response = hold(response, &this.account)
                .unwrap_or_else(|failure| Shaped::<Problem>::from(failure).into_response());
        }
        if let Some(Cause(cause)) = response.extensions().get() {
            tracing::error!(id = id.as_str(), cause, "a request failed");
        }
        if let Some(entry) = &this.entry {
            entry.write(response.status(), &id);
        }
        let headers = response.headers_mut();
        protect(headers);
        headers.insert(X_REQUEST_ID, id.into_header());
        Poll::Ready(Ok(response))
    }
}

/// Headers that keep a browser from guessing types, telling where it came from, and being framed.
fn protect(headers: &mut HeaderMap) {
    const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
    const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
    const DENY: HeaderValue = HeaderValue::from_static("DENY");
    const NOT_FRAMED: HeaderValue = HeaderValue::from_static("frame-ancestors 'none'");
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.entry(REFERRER_POLICY).or_insert(NO_REFERRER);
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, NOT_FRAMED);
        headers.entry(X_FRAME_OPTIONS).or_insert(DENY);
    }
}

fn refuse(malformed: Malformed) -> Response {
    let failure = Failure::bad_request(malformed.message());
    Shaped::<Problem>::from(failure).into_response()
}

fn panicked(panic: &(dyn Any + Send), id: &RequestId) -> Response {
    const PROBLEM: &str =
        r#"{"type":"urn:keyward:error:server_error","title":"Internal Server Error","status":500}"#;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(id = id.as_str(), panic = text, "a handler panicked");
    let media_type = [(CONTENT_TYPE, "application/problem+json")];
    (StatusCode::INTERNAL_SERVER_ERROR, media_type, PROBLEM).into_response()
}
