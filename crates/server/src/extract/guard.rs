//! The guard: who may call, decided when the request comes and once more when it has been read.
//!
//! Invariant: nobody gets a [`Principal`] before the body is there. [`Authorized`] is the only way to one. It takes the
//! body itself, and as a handler has one extractor of bodies at most, no handler can read a body beside it. The
//! token may expire and its session may be closed while the body is on its way, so both are checked again then.

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

/// What a guarded path asks of its callers.
pub(crate) trait Scope: Send + Sync + 'static {
    /// The contract whose words a refusal has.
    type Shape: Shape;

    /// Whose accounts may call.
    const REALMS: &'static [Realm];

    /// The budgets of the account that the path has beside the one of all guarded paths.
    const LIMITS: &'static [Limit] = &[];

    /// The token that a request presents.
    fn credential(headers: &HeaderMap) -> Credential<'_> {
        bearer(headers)
    }
}

/// Why a request does not get past the guard.
#[derive(Debug)]
pub(crate) enum GuardError {
    /// No credential.
    Missing,
    /// One that is not good, for whatever reason.
    Invalid,
    /// A good one of a realm whose accounts may not call.
    OtherRealm(Realm),
    /// Too many requests of this account, or nobody can tell now whether the session is open.
    Failed(Failure),
}

impl GuardError {
    /// The failure where the token is of no use here and a contract has two messages of its own, one for a token that
    /// is missing and one for any other.
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

/// A request that passed the guard of `S`, with what was extracted from its head (`P`) and its body (`B`). The guard
/// comes before any look at either.
pub(crate) struct Authorized<S, P = (), B = NoBody> {
    /// Who calls.
    pub(crate) principal: Principal,
    /// What was extracted from the head.
    pub(crate) head: P,
    /// What was extracted from the body.
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

/// Whoever presents a good access token of one of the realms, counted against the account's budgets.
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

/// The token itself.
pub(crate) fn token<'h>(credential: &Credential<'h>) -> Result<&'h str, GuardError> {
    match credential {
        Credential::Missing => Err(GuardError::Missing),
        Credential::Malformed => Err(GuardError::Invalid),
        Credential::Token(token) => Ok(token),
    }
}

/// The answer to a request that does not pass, in the words and the shape of the contract.
pub(crate) fn refuse<S: Scope>(error: GuardError) -> Response {
    Shaped::<S::Shape>::from(S::Shape::refuse(error)).into_response()
}

/// The body of a request that needs none; it is not read.
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
