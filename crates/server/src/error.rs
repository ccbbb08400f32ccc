//! What went wrong, once, before any contract gives it its shape.
//!
//! Invariant: a kind of error becomes a status here and nowhere else; the cause of a failure goes to
//! the log and never into an answer.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::Write as _;
use std::marker::PhantomData;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use keyward_core::error::{Fault, Kind};
use keyward_core::{accounts, customers, files, sessions, tokens};
use serde::Serialize;

use crate::limits::Exceeded;
use crate::serve::BodyTimeout;

/// A request that failed: the status, what to tell the person, and what only the log may know.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) message: Cow<'static, str>,
    pub(crate) retry_after: Option<Duration>,
    cause: Option<String>,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            retry_after: None,
            cause: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// As an error of core is answered when a contract has no words of its own for it.
    pub(crate) fn of(kind: Kind, error: &(dyn StdError + 'static)) -> Self {
        let status = status_of(kind);
        let message = match kind {
            Kind::Internal => "the server failed: it is in its log under this request's id".into(),
            Kind::Full => "the server has no room left".into(),
            Kind::Unavailable => "the server is busy: try again shortly".into(),
            _ => error.to_string().into(),
        };
        let retry_after = (kind == Kind::Unavailable).then_some(Duration::from_secs(1));
        let cause = status.is_server_error().then(|| with_sources(error));
        Self {
            status,
            message,
            retry_after,
            cause,
        }
    }

    /// A body that could not be read to its end.
    pub(crate) fn of_body(error: &(dyn StdError + 'static)) -> Self {
        match BodyTimeout::caused(error) {
            true => Self::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly"),
            false => Self::bad_request("the body broke off"),
        }
    }

    pub(crate) fn too_many(retry_after: Duration) -> Self {
        let message = "too many requests: wait as long as Retry-After says";
        let failure = Self::new(StatusCode::TOO_MANY_REQUESTS, message);
        Self {
            retry_after: Some(retry_after),
            ..failure
        }
    }

    pub(crate) fn with_message(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            ..self
        }
    }
}

/// The status of each kind of error.
fn status_of(kind: Kind) -> StatusCode {
    match kind {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Stale => StatusCode::PRECONDITION_FAILED,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Full => StatusCode::INSUFFICIENT_STORAGE,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn with_sources(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        // Writing to a string does not fail.
        let _ = write!(text, ": {error}");
        source = error.source();
    }
    text
}

macro_rules! failure_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error.kind(), &error)
            }
        }
    )*};
}

failure_from!(
    Fault,
    accounts::Error,
    customers::Error,
    files::Error,
    sessions::Error,
    tokens::Error,
    tokens::notary::Error,
);

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Self {
        Self::too_many(exceeded.retry_after)
    }
}

/// How a contract words a failure.
pub(crate) trait Shape: Send + Sync + 'static {
    /// The answer without the headers that all shapes share.
    fn render(failure: &Failure) -> Response;
}

/// A failure in the shape of contract `S`.
pub(crate) struct Shaped<S>(pub(crate) Failure, PhantomData<S>);

impl<S, E: Into<Failure>> From<E> for Shaped<S> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

/// The cause of a failed request, for the access log.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub(crate) String);

impl<S: Shape> IntoResponse for Shaped<S> {
    fn into_response(self) -> Response {
        let mut response = S::render(&self.0);
        let headers = response.headers_mut();
        if let Some(wait) = self.0.retry_after {
            let seconds = wait.as_millis().div_ceil(1_000).max(1);
            headers.insert(
                RETRY_AFTER,
                HeaderValue::from_str(&seconds.to_string()).unwrap_or(ONE),
            );
        }
        if self.0.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(cause) = self.0.cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

const ONE: HeaderValue = HeaderValue::from_static("1");

/// The media type of a problem document.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// The shape of everything that has none of its own: `application/problem+json` (RFC 9457).
pub(crate) struct Problem;

/// A problem document (RFC 9457 §3.1).
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ProblemDocument<'a> {
    /// Always `about:blank`: the title is that of the status.
    #[schema(value_type = String, example = "about:blank")]
    r#type: &'a str,
    /// The status in words.
    #[schema(value_type = String, example = "Bad Request")]
    title: &'a str,
    /// The HTTP status.
    #[schema(example = 400)]
    status: u16,
    /// What is wrong and what to do.
    #[schema(value_type = String)]
    detail: &'a str,
}

impl Shape for Problem {
    fn render(failure: &Failure) -> Response {
        let document = ProblemDocument {
            r#type: "about:blank",
            title: failure.status.canonical_reason().unwrap_or("Error"),
            status: failure.status.as_u16(),
            detail: &failure.message,
        };
        let mut response = (failure.status, axum::Json(document)).into_response();
        let problem = HeaderValue::from_static(PROBLEM);
        response.headers_mut().insert(CONTENT_TYPE, problem);
        response
    }
}

/// 405 in the shape of `S`; the router adds `Allow`.
pub(crate) async fn method_not_allowed<S: Shape>() -> Shaped<S> {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take that method",
    )
    .into()
}

/// 404 for a path that nothing serves.
pub(crate) async fn not_found() -> Shaped<Problem> {
    Failure::new(StatusCode::NOT_FOUND, "there is nothing at this path").into()
}
