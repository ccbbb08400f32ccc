//! Refuses requests that HTTP/1.1 forbids and hyper accepts.

use http::header::{HOST, HeaderValue, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, Request, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use crate::hosts::is_authority;
use crate::middleware::Malformed;

/// The defect of `request`, if it has one.
pub(super) fn find_malformed(request: &Request<Incoming>) -> Option<Malformed> {
    let headers = request.headers();
    let mut hosts = headers.get_all(HOST).into_iter();
    let named = match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_authority(host.as_bytes()),
        (None, _) => request.version() < Version::HTTP_11,
        (Some(_), Some(_)) => false,
    };
    let target = request.uri().authority();
    if !named || target.is_some_and(|target| !is_authority(target.as_str().as_bytes())) {
        return Some(Malformed::Host);
    }
    let plain = request.body().size_hint().exact().is_some()
        || only(headers, &TRANSFER_ENCODING)
            .is_some_and(|coding| coding.as_bytes().eq_ignore_ascii_case(b"chunked"));
    (!plain).then_some(Malformed::Coding)
}

/// The header field `name`, if it occurs exactly once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut fields = headers.get_all(name).into_iter();
    fields.next().filter(|_| fields.next().is_none())
}
