//! The credential of a request (RFC 6750 §2.1): one, in a header, never in the address.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use keyward_core::accounts::Realm;
use keyward_core::error::Code;
use keyward_core::tokens::{self, Principal, Tokens};

use crate::error::Failure;
use crate::limits::{Limit, Limits};

/// The header of contract 2's clients.
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

/// Why a request does not get past the guard.
#[derive(Debug)]
pub(crate) enum Refused {
    /// No credential.
    Missing,
    /// One that is not good, for whatever reason.
    Invalid,
    /// A good one of another realm.
    OtherRealm(Realm),
    /// Too many requests of this account, or nobody can tell now whether the session stands.
    Failed(Failure),
}

impl From<Refused> for Failure {
    /// As it is answered where no contract has words of its own: a realm is never told.
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Failed(failure) => failure,
            Refused::Missing => {
                Self::coded(Code::MissingToken, "send a token: Authorization: Bearer …")
            }
            Refused::Invalid | Refused::OtherRealm(_) => {
                Self::coded(Code::InvalidToken, "the token is not valid")
            }
        }
    }
}

impl From<tokens::Error> for Refused {
    fn from(error: tokens::Error) -> Self {
        match error {
            tokens::Error::OtherRealm(realm) => Self::OtherRealm(realm),
            tokens::Error::Session(error) => Self::Failed(error.into()),
            _ => Self::Invalid,
        }
    }
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

/// The token in `x-access-token` or in `Authorization: Bearer`; in both, they must be the same.
pub(crate) fn access_token_or_bearer(headers: &HeaderMap) -> Credential<'_> {
    match (single(headers, &ACCESS_TOKEN), bearer(headers)) {
        (Credential::Missing, other) | (other, Credential::Missing) => other,
        (one, other) if one == other => one,
        _ => Credential::Malformed,
    }
}

/// Whoever presents a good access token of `realm`, counted against the account's limit.
pub(crate) async fn guard(
    credential: &Credential<'_>,
    realm: Realm,
    tokens: &Tokens,
    limits: &Limits,
) -> Result<Principal, Refused> {
    let principal = tokens.verify(require(credential)?, realm).await?;
    count(&principal, limits).await?;
    Ok(principal)
}

/// The token itself.
pub(crate) fn require<'h>(credential: &Credential<'h>) -> Result<&'h str, Refused> {
    match credential {
        Credential::Missing => Err(Refused::Missing),
        Credential::Malformed => Err(Refused::Invalid),
        Credential::Token(token) => Ok(token),
    }
}

/// Counts a request of `principal` against its account's limit.
pub(crate) async fn count(principal: &Principal, limits: &Limits) -> Result<(), Refused> {
    limits
        .count(
            Limit::GuardedPerAccount,
            (principal.realm, &*principal.subject),
        )
        .await
        .map_err(|exceeded| Refused::Failed(exceeded.into()))
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
    fn contract_2_takes_either_header_but_not_two_tokens() {
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
        ] {
            assert_eq!(
                access_token_or_bearer(&headers(pairs)),
                expected,
                "{pairs:?}"
            );
        }
    }
}
