//! The edge as a service, hand-written so that a request costs it no boxed future.

use std::any::Any;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::future::RouteFuture;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, REFERRER_POLICY,
    STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, Method, StatusCode};
use tower::Service;

use super::id::{RequestId, X_REQUEST_ID};
use super::log::Entry;
use super::path::without_needless_escapes;
use super::trace::TraceId;
use super::{Edge, Malformed, Site};
use crate::address::{ClientAddress, client_address, peer_address};
use crate::error::{Cause, Failure, Problem, Shaped};
use crate::health;
use crate::memory::{account, hold};

impl Service<Request> for Site {
    type Response = Response;
    type Error = Infallible;
    type Future = Passing;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request>::poll_ready(&mut self.router, context)
    }

    fn call(&mut self, request: Request) -> Passing {
        self.clone().pass(request, None)
    }
}

impl Site {
    /// Passes a request to its route, unless it is `malformed` or the edge answers it itself.
    pub(crate) fn pass(mut self, mut request: Request, malformed: Option<Malformed>) -> Passing {
        let Edge {
            random,
            proxies,
            hosts,
            templates,
            traced,
            ..
        } = &*self.edge;
        let peer = peer_address(request.extensions().get());
        let address = client_address(peer, request.headers(), proxies);
        let vouched = proxies.contains(peer);
        let sent = vouched
            .then(|| RequestId::sent(request.headers()))
            .flatten();
        let id = sent.unwrap_or_else(|| RequestId::new(&**random));
        if let Some(uri) = without_needless_escapes(request.uri()) {
            *request.uri_mut() = uri;
        }
        let entry = Entry::new(&request, address, templates, *traced);
        // Without this extension the extractor takes the address of the peer.
        if address != peer {
            request.extensions_mut().insert(ClientAddress(address));
        }
        let included = hosts.include(request.uri(), request.headers(), vouched);
        let answer = if let Some(malformed) = malformed {
            Step::Answered(Some(refuse(malformed)))
        } else if !included && !health::is_probe(request.uri().path()) {
            Step::Answered(Some(misdirected()))
        } else if request.method() == Method::OPTIONS && request.uri().path() == "*" {
            // Such a request is about the server, not about a path (RFC 9110 §9.3.7).
            Step::Answered(Some(StatusCode::NO_CONTENT.into_response()))
        } else {
            Step::Routed(self.router.call(request))
        };
        Passing {
            answer,
            id: Some(id),
            entry,
            edge: self.edge,
            has_client: true,
        }
    }
}

/// Where the response comes from.
enum Step {
    /// From a route.
    Routed(RouteFuture<Infallible>),
    /// From the edge, until it is taken. The request reaches no route.
    Answered(Option<Response>),
}

/// A request that is being answered. Its line in the access log is written when the response is ready, or when the request
/// is dropped before that.
pub struct Passing {
    answer: Step,
    /// Taken when the response is ready.
    id: Option<RequestId>,
    entry: Entry,
    edge: Arc<Edge>,
    /// Whether the client still waits for the response.
    has_client: bool,
}

impl Passing {
    /// Records that the client has disconnected. The response is then only logged.
    pub(crate) fn lose_client(&mut self) {
        self.has_client = false;
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.entry
                .end(None, false, self.edge.access_log.then_some(id));
        }
    }
}

impl Future for Passing {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        // A future that panicked is not polled again, so its half-done state is never seen.
        let in_span = this.entry.span.enter();
        let polled = catch_unwind(AssertUnwindSafe(|| match &mut this.answer {
            Step::Routed(routed) => Pin::new(routed).poll(context),
            Step::Answered(response) => {
                let response = response.take();
                Poll::Ready(Ok(
                    response.unwrap_or_else(|| unreachable!("polled after its answer"))
                ))
            }
        }));
        drop(in_span);
        let caught = match polled {
            Ok(answer) => Ok(ready!(answer)?),
            Err(panic) => Err(panic),
        };
        let id = this
            .id
            .take()
            .unwrap_or_else(|| unreachable!("polled after its answer"));
        let trace = this.entry.trace.as_ref().map(TraceId::as_str);
        let mut response = caught.unwrap_or_else(|panic| panicked(&*panic, &id, trace));
        let Edge {
            memory,
            proxies,
            access_log,
            strict_transport,
            ..
        } = &*this.edge;
        response = hold(response, || account(memory, proxies, this.entry.address))
            .unwrap_or_else(|failure| Shaped::<Problem>::from(failure).into_response());
        if let Some(Cause(cause)) = response.extensions().get() {
            tracing::error!(id = id.as_str(), trace, cause, "a request failed");
        }
        let logged = access_log.then_some(&id);
        this.entry
            .end(Some(response.status()), this.has_client, logged);
        let headers = response.headers_mut();
        protect(headers);
        if let Some(strict) = strict_transport {
            headers.insert(STRICT_TRANSPORT_SECURITY, strict.clone());
        }
        keep_from_caches(headers);
        headers.insert(X_REQUEST_ID, id.into_header());
        Poll::Ready(Ok(response))
    }
}

/// Sets headers against guessed media types, leaked referrers and framing.
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

/// Keeps private responses out of caches. A shared cache may store a response if the token is not in `Authorization`
/// (RFC 9111 §3.5). A handler sets `Cache-Control` itself if its response is public. A response with an entity tag may be
/// stored by the client, which must revalidate it each time.
fn keep_from_caches(headers: &mut HeaderMap) {
    const REVALIDATED: HeaderValue = HeaderValue::from_static("private, no-cache");
    const NOT_STORED: HeaderValue = HeaderValue::from_static("no-store");
    let value = match headers.contains_key(ETAG) {
        true => REVALIDATED,
        false => NOT_STORED,
    };
    headers.entry(CACHE_CONTROL).or_insert(value);
}

/// 421 (RFC 9110 §15.5.20): the request is for another host.
fn misdirected() -> Response {
    let message = "this server does not answer for the host that the request names: list it in the setting \
        http.hosts, or, if a proxy sent the request, name the proxy in http.trusted_proxies";
    let failure = Failure::new(StatusCode::MISDIRECTED_REQUEST, message);
    Shaped::<Problem>::from(failure).into_response()
}

fn refuse(malformed: Malformed) -> Response {
    let failure = Failure::bad_request(malformed.message());
    Shaped::<Problem>::from(failure).into_response()
}

fn panicked(panic: &(dyn Any + Send), id: &RequestId, trace: Option<&str>) -> Response {
    const PROBLEM: &str =
        r#"{"type":"urn:keyward:error:server_error","title":"Internal Server Error","status":500}"#;
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no text");
    tracing::error!(id = id.as_str(), trace, panic = text, "a handler panicked");
    let media_type = [(CONTENT_TYPE, "application/problem+json")];
    (StatusCode::INTERNAL_SERVER_ERROR, media_type, PROBLEM).into_response()
}
