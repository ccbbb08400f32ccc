//! What hyper lets pass and HTTP/1.1 does not.

use http::header::{HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;

/// Why a request must not be routed: the middleware answers 400 in its place, and the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// Without exactly one `Host` (RFC 9112 §3.2).
    Host,
    /// With a transfer coding other than `chunked` alone, which would be handed on undecoded (RFC 9112 §6.1).
    Coding,
}

impl Malformed {
    /// What is wrong with `request`, if anything is.
    pub(super) fn find(request: &Request<Incoming>) -> Option<Self> {
        let headers = request.headers();
        if request.version() >= Version::HTTP_11 && only(headers, &HOST).is_none() {
            return Some(Self::Host);
        }
        let plain = request.body().size_hint().exact().is_some()
            || only(headers, &TRANSFER_ENCODING)
                .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
        (!plain).then_some(Self::Coding)
    }

    /// What to tell the client.
    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::Host => "a request has exactly one Host header",
            Self::Coding => "a body's only transfer coding is chunked",
        }
    }
}

/// The field `name`, if there is one and only one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut fields = headers.get_all(name).into_iter();
    fields.next().filter(|_| fields.next().is_none())
}
