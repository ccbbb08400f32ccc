//! The token of a request (RFC 6750 §2.1): one, in a header, never in the URL.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// The header in which clients of the directory send the token.
pub(crate) const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-access-token");

/// The credential that a request presents.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    /// No credential, a blank one, or one of another authentication scheme.
    Missing,
    /// Anything but a single bearer token.
    Malformed,
    /// A token that has not been verified.
    Token(&'h str),
}

/// The token in `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Credential<'_> {
    match single(headers, &AUTHORIZATION) {
        Credential::Token(value) => match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => present(token),
            // A credential of another scheme is not a bearer token (RFC 6750 §3.1).
            Some(_) => Credential::Missing,
            None if value.eq_ignore_ascii_case("bearer") => Credential::Missing,
            // A value without a blank may be a token whose scheme is missing.
            None => Credential::Malformed,
        },
        other => other,
    }
}

/// The token in `x-access-token` or in `Authorization: Bearer`. If both are present, they must be equal. An
/// `Authorization` header of another scheme beside `x-access-token` is ignored, since it may be meant for a proxy.
pub(crate) fn access_token_or_bearer(headers: &HeaderMap) -> Credential<'_> {
    match (single(headers, &ACCESS_TOKEN), bearer(headers)) {
        (Credential::Missing, other) | (other, Credential::Missing) => other,
        (one, other) if one == other => one,
        _ => Credential::Malformed,
    }
}

fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Credential<'h> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Credential::Missing,
        (Some(value), None) => value.to_str().map_or(Credential::Malformed, present),
        (Some(_), Some(_)) => Credential::Malformed,
    }
}

fn present(text: &str) -> Credential<'_> {
    match text.trim() {
        "" => Credential::Missing,
        token => Credential::Token(token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().expect("header value"));
        }
        map
    }

    #[test]
    fn one_bearer_token_is_a_credential_and_two_are_none() {
        for (pairs, expected) in [
            (&[][..], Credential::Missing),
            (&[("authorization", "Bearer")], Credential::Missing),
            (&[("authorization", "Bearer  ")], Credential::Missing),
            (
                &[("authorization", "bearer a.b.c")],
                Credential::Token("a.b.c"),
            ),
            (&[("authorization", "Basic a.b.c")], Credential::Missing),
            (&[("authorization", "a.b.c")], Credential::Malformed),
            (
                &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
                Credential::Malformed,
            ),
        ] {
            assert_eq!(bearer(&headers(pairs)), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_directory_takes_either_header_but_not_two_tokens() {
        for (pairs, expected) in [
            (&[("x-access-token", "a")][..], Credential::Token("a")),
            (&[("x-access-token", " ")], Credential::Missing),
            (&[("authorization", "Bearer a")], Credential::Token("a")),
            (
                &[("x-access-token", "a"), ("authorization", "Bearer a")],
                Credential::Token("a"),
            ),
            (
                &[("x-access-token", "a"), ("authorization", "Bearer b")],
                Credential::Malformed,
            ),
            (
                &[("x-access-token", "a"), ("authorization", "Basic YTpi")],
                Credential::Token("a"),
            ),
            (
                &[("x-access-token", "a"), ("authorization", "digest x=1")],
                Credential::Token("a"),
            ),
            (&[("authorization", "Basic YTpi")], Credential::Missing),
            (
                &[("x-access-token", "a"), ("authorization", "b")],
                Credential::Malformed,
            ),
            (
                &[
                    ("x-access-token", "a"),
                    ("authorization", "Basic YTpi"),
                    ("authorization", "Bearer b"),
                ],
                Credential::Malformed,
            ),
            (
                &[
                    ("x-access-token", "a"),
                    ("x-access-token", "b"),
                    ("authorization", "Basic YTpi"),
                ],
                Credential::Malformed,
            ),
        ] {
            assert_eq!(
                access_token_or_bearer(&headers(pairs)),
                expected,
                "{pairs:?}"
            );
        }
    }
}
