//! What h2 lets pass and HTTP/2 does not.

use h2::RecvStream;
use http::header::HOST;
use http::uri::Authority;
use http::{HeaderValue, Request};

use crate::hosts::is_authority;
use crate::middleware::Malformed;

/// What is wrong with `request`, if anything is: it names no host, or not one alone (RFC 9113 §8.3.1).
pub(super) fn find_malformed(request: &Request<RecvStream>) -> Option<Malformed> {
    let target = request.uri().authority().map(Authority::as_str);
    let mut hosts = request.headers().get_all(HOST).into_iter();
    let named = match (
        target.map(str::as_bytes),
        hosts.next().map(HeaderValue::as_bytes),
    ) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => None,
        (target, host) => target.or(host),
    };
    let is_named = named.is_some_and(is_authority) && hosts.next().is_none();
    (!is_named).then_some(Malformed::Authority)
}
