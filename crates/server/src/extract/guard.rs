//! The guard: checks the token when the request arrives, and again after its body was read.
//!
//! Invariant: a handler gets a [`Principal`] only after the body was read. [`Authorized`] is the only source of one. It
//! extracts the body itself, and since a handler has at most one body extractor, no handler can read a body later.
//! While a body arrives, the token may expire and its session may be closed, so both are checked again afterwards.

use std::future::{Ready, ready};
use std::marker::PhantomData;

use axum::body::HttpBody as _;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use keyward_core::accounts::Realm;
use keyward_core::error::Code;
use keyward_core::tokens::{self, Principal};

use super::bearer::{Credential, bearer};
use crate::error::{Failure, Shape, Shaped};
use crate::limits::{Exceeded, Limit};
use crate::state::App;

/// The requirements of a guarded path.
pub(crate) trait Scope: Send + Sync + 'static {
    /// The contract that words the refusals.
    type Shape: Shape;

    /// The realms whose accounts may call.
    const REALMS: &'static [Realm];

    /// The rate limits of this path, in addition to the one for all guarded paths.
    const LIMITS: &'static [Limit] = &[];

    /// The token that a request presents.
    fn credential(headers: &HeaderMap) -> Credential<'_> {
        bearer(headers)
    }
}

/// The reason why the guard refuses a request.
#[derive(Debug)]
pub(crate) enum GuardError {
    /// No credential.
    Missing,
    /// An invalid credential, for whatever reason.
    Invalid,
    /// A valid token of a realm whose accounts may not call.
    OtherRealm(Realm),
    /// The account has made too many requests, or the server cannot find out whether the session is open.
    Failed(Failure),
}

impl GuardError {
    /// The failure for a contract with two messages of its own: one for a missing token, and one for a token that is
    /// not accepted.
    pub(crate) fn in_words(self, missing: &'static str, invalid: &'static str) -> Failure {
        match self {
            Self::Failed(failure) => failure,
            Self::Missing => Failure::coded(Code::MissingToken, missing),
            Self::Invalid | Self::OtherRealm(_) => Failure::coded(Code::InvalidToken, invalid),
        }
    }
}

impl From<tokens::Error> for GuardError {
    fn from(error: tokens::Error) -> Self {
        match error {
            tokens::Error::Invalid => Self::Invalid,
            other => Self::Failed(other.into()),
        }
    }
}

impl From<Exceeded> for GuardError {
    fn from(exceeded: Exceeded) -> Self {
        Self::Failed(exceeded.into())
    }
}

/// A request that passed the guard of `S`, with the values extracted from its head (`P`) and its body (`B`). The guard
/// runs before both extractors.
pub(crate) struct Authorized<S, P = (), B = NoBody> {
    /// The caller.
    pub(crate) principal: Principal,
    /// The value extracted from the head.
    pub(crate) head: P,
    /// The value extracted from the body.
    pub(crate) body: B,
    scope: PhantomData<S>,
}

impl<S, P, B> FromRequest<App> for Authorized<S, P, B>
where
    S: Scope,
    P: FromRequestParts<App> + Send,
    B: FromRequest<App> + Send,
{
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let principal = admit::<S>(&parts.headers, app).await.map_err(refuse::<S>)?;
        let head = P::from_request_parts(&mut parts, app).await;
        let head = head.map_err(IntoResponse::into_response)?;
        let waits = !body.is_end_stream();
        let body = B::from_request(Request::from_parts(parts, body), app).await;
        let body = body.map_err(IntoResponse::into_response)?;
        let principal = match waits {
            true => {
                let verified = app.tokens.verify_again(principal).await;
                verified.map_err(|error| refuse::<S>(error.into()))?
            }
            false => principal,
        };
        Ok(Self {
            principal,
            head,
            body,
            scope: PhantomData,
        })
    }
}

/// Admits a request with a valid access token of one of the realms, and counts it against the rate limits of the
/// account.
async fn admit<S: Scope>(headers: &HeaderMap, app: &App) -> Result<Principal, GuardError> {
    let principal = app.tokens.verify(token(&S::credential(headers))?).await?;
    let realm = principal.subject.realm();
    if !S::REALMS.contains(&realm) {
        return Err(GuardError::OtherRealm(realm));
    }
    let guarded = [Limit::GuardedPerAccount];
    for &limit in guarded.iter().chain(S::LIMITS) {
        app.limits.count(limit, &principal.subject).await?;
    }
    Ok(principal)
}

/// The token in a credential.
pub(crate) fn token<'h>(credential: &Credential<'h>) -> Result<&'h str, GuardError> {
    match credential {
        Credential::Missing => Err(GuardError::Missing),
        Credential::Malformed => Err(GuardError::Invalid),
        Credential::Token(token) => Ok(token),
    }
}

/// The response to a refused request, in the words and the shape of the contract.
pub(crate) fn refuse<S: Scope>(error: GuardError) -> Response {
    Shaped::<S::Shape>::from(S::Shape::refuse(error)).into_response()
}

/// The body of a request that needs none. It is not read.
pub(crate) struct NoBody;

impl FromRequest<App> for NoBody {
    type Rejection = std::convert::Infallible;

    fn from_request(
        _: Request,
        _: &App,
    ) -> impl Future<Output = Result<Self, Self::Rejection>> + Send {
        let read: Ready<_> = ready(Ok(Self));
        read
    }
}
