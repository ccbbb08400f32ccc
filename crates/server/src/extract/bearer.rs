//! The credential of a request (RFC 6750 §2.1): one, in a header, never in the address.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};

/// The header of the directory's clients.
pub(crate) const ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-access-token");

/// What a request presents.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credential<'h> {
    /// No credential, or a blank one.
    Missing,
    /// Something that is no single bearer token.
    Malformed,
    /// A token, not yet looked at.
    Token(&'h str),
}

/// The token in `Authorization: Bearer`.
pub(crate) fn bearer(headers: &HeaderMap) -> Credential<'_> {
    match single(headers, &AUTHORIZATION) {
        Credential::Token(value) => match value.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => present(token),
            None if value.eq_ignore_ascii_case("bearer") => Credential::Missing,
            _ => Credential::Malformed,
        },
        other => other,
    }
}

/// The token in `x-access-token` or in `Authorization: Bearer`; in both, they must be the same. Beside
/// `x-access-token`, an `Authorization` of another scheme is somebody else's, a proxy's for one, and is ignored.
pub(crate) fn access_token_or_bearer(headers: &HeaderMap) -> Credential<'_> {
    match (single(headers, &ACCESS_TOKEN), bearer(headers)) {
        (Credential::Missing, other) | (other, Credential::Missing) => other,
        (one, Credential::Malformed) if is_of_another_scheme(headers) => one,
        (one, other) if one == other => one,
        _ => Credential::Malformed,
    }
}

/// Whether there is one `Authorization`, whose scheme is not `Bearer` (RFC 9110 §11.6.2).
fn is_of_another_scheme(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return false;
    };
    // A scheme is a token, and more follows it: what has no blank may be the token itself, without its scheme.
    value
        .to_str()
        .ok()
        .and_then(|value| value.trim_start().split_once(' '))
        .is_some_and(|(scheme, _)| !scheme.eq_ignore_ascii_case("bearer"))
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
            (&[("authorization", "Basic a.b.c")], Credential::Malformed),
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
            (&[("authorization", "Basic YTpi")], Credential::Malformed),
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
