//! What hyper lets pass and HTTP/1.1 does not.

use axum::body::Body;
use http::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;

/// The answer to a request that is refused before routing; the connection is closed after it.
///
/// One without exactly one `Host` (RFC 9112 §3.2), or with a transfer coding other than `chunked`
/// alone, which would be handed on undecoded (§6.1).
pub(super) fn refusal(request: &Request<Incoming>) -> Option<Response<Body>> {
    const CLOSE: HeaderValue = HeaderValue::from_static("close");
    let headers = request.headers();
    let host = request.version() < Version::HTTP_11 || only(headers, &HOST).is_some();
    let coding = request.body().size_hint().exact().is_some()
        || only(headers, &TRANSFER_ENCODING)
            .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    if host && coding {
        return None;
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response.headers_mut().insert(CONNECTION, CLOSE);
    Some(response)
}

/// The field `name`, if there is one and only one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut fields = headers.get_all(name).into_iter();
    fields.next().filter(|_| fields.next().is_none())
}
