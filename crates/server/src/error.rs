//! Failures of requests, before a contract gives them a shape.
//!
//! Invariant: only this file maps codes to statuses. The cause of a failure goes to the log and never into a response.
//! Each shape decides whether and how it shows the code.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::marker::PhantomData;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, StatusCode};
use keyward_core::error::{Code, Fault, Kind, chain};
use keyward_core::memory::Exhausted;
use keyward_core::{accounts, customers, files, notary, sessions, tokens};
use serde::Serialize;
use utoipa::ToSchema;

use crate::extract::guard::GuardError;
use crate::limits::Exceeded;
use crate::serve::{BodyTimeout, is_caused_by};

/// A failed request: the status, the code for programs, the message for people, and the cause for the log.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) status: StatusCode,
    pub(crate) code: Code,
    pub(crate) message: Cow<'static, str>,
    pub(crate) retry_after: Option<Duration>,
    cause: Option<String>,
    /// Headers of the response, in addition to those of the shape.
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Failure {
    /// A failure with the general code of its status.
    pub(crate) fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            code: code_of(status),
            message: message.into(),
            retry_after: None,
            cause: None,
            headers: Vec::new(),
        }
    }

    pub(crate) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// A failure with the given code, and the status of that code.
    pub(crate) fn coded(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status_of(code), message).with_code(code)
    }

    /// The failure for an error of core for which a contract has no words of its own.
    pub(crate) fn of(code: Code, error: &(dyn StdError + 'static)) -> Self {
        let status = status_of(code);
        let message = match code.kind() {
            Kind::Internal => "the server failed: it is in its log under this request's id".into(),
            Kind::Full => "the server has no room left".into(),
            Kind::Unavailable => "the server is busy: try again shortly".into(),
            _ => error.to_string().into(),
        };
        let retry_after = (code.kind() == Kind::Unavailable).then_some(Duration::from_secs(1));
        let cause = status.is_server_error().then(|| chain(error));
        Self {
            status,
            code,
            message,
            retry_after,
            cause,
            headers: Vec::new(),
        }
    }

    /// The failure for a body with a content coding. The header distinguishes it from one for a wrong media type (RFC
    /// 9110 §12.5.3).
    pub(crate) fn of_content_coding() -> Self {
        let message =
            "the body has a Content-Encoding and would not be decoded: send it without one";
        let identity = (ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        Self {
            headers: vec![identity],
            ..Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
        }
    }

    /// The failure for a body that broke off.
    pub(crate) fn of_body(error: &(dyn StdError + 'static)) -> Self {
        if BodyTimeout::caused(error) {
            return Self::too_slow();
        }
        if is_caused_by::<Exhausted>(error) {
            return Exhausted.into();
        }
        Self::bad_request("the body broke off")
    }

    /// The failure for a body that arrived too slowly.
    pub(crate) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body came too slowly")
    }

    pub(crate) fn too_many(retry_after: Duration) -> Self {
        let message = "too many requests: wait as long as Retry-After says";
        let failure = Self::new(StatusCode::TOO_MANY_REQUESTS, message);
        Self {
            retry_after: Some(retry_after),
            ..failure
        }
    }

    pub(crate) fn with_code(self, code: Code) -> Self {
        Self { code, ..self }
    }

    pub(crate) fn with_message(self, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            ..self
        }
    }
}

impl Failure {
    /// The challenge (RFC 6750 §3). It names an error only if a token was sent, because clients refresh a token when
    /// the challenge names one.
    fn challenge(&self) -> Option<&'static str> {
        match (self.status, self.code) {
            (StatusCode::UNAUTHORIZED, Code::InvalidToken) => {
                Some(r#"Bearer error="invalid_token""#)
            }
            (StatusCode::UNAUTHORIZED, _) => Some("Bearer"),
            (StatusCode::FORBIDDEN, Code::WrongRealm) => {
                Some(r#"Bearer error="insufficient_scope""#)
            }
            _ => None,
        }
    }
}

/// The status for a code.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::MethodNotAllowed => return StatusCode::METHOD_NOT_ALLOWED,
        Code::RequestTimeout => return StatusCode::REQUEST_TIMEOUT,
        Code::UnsupportedMediaType => return StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::RangeNotSatisfiable => return StatusCode::RANGE_NOT_SATISFIABLE,
        Code::RateLimited => return StatusCode::TOO_MANY_REQUESTS,
        _ => {}
    }
    match code.kind() {
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

/// The general code for a status.
fn code_of(status: StatusCode) -> Code {
    match status {
        StatusCode::UNAUTHORIZED => Code::InvalidToken,
        StatusCode::FORBIDDEN => Code::AccessDenied,
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Code::MethodNotAllowed,
        StatusCode::REQUEST_TIMEOUT => Code::RequestTimeout,
        StatusCode::CONFLICT => Code::Conflict,
        StatusCode::PRECONDITION_FAILED => Code::PreconditionFailed,
        StatusCode::PAYLOAD_TOO_LARGE => Code::TooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Code::UnsupportedMediaType,
        StatusCode::RANGE_NOT_SATISFIABLE => Code::RangeNotSatisfiable,
        StatusCode::TOO_MANY_REQUESTS => Code::RateLimited,
        StatusCode::SERVICE_UNAVAILABLE => Code::TemporarilyUnavailable,
        StatusCode::INSUFFICIENT_STORAGE => Code::StorageFull,
        other if other.is_server_error() => Code::ServerError,
        _ => Code::InvalidRequest,
    }
}

macro_rules! failure_from {
    ($($error:ty),* $(,)?) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(error.code(), &error)
            }
        }
    )*};
}

failure_from!(
    Fault,
    accounts::Error,
    customers::Error,
    files::Error,
    notary::Error,
);

impl From<sessions::Error> for Failure {
    fn from(error: sessions::Error) -> Self {
        let failure = Self::of(error.code(), &error);
        match error {
            // The error says more than the code, so its text is the message.
            sessions::Error::ClosedHere(_) | sessions::Error::NotChanged(_) => {
                failure.with_message(error.to_string())
            }
            _ => failure,
        }
    }
}

impl From<tokens::Error> for Failure {
    fn from(error: tokens::Error) -> Self {
        match error {
            tokens::Error::Session(error) => error.into(),
            error => Self::of(error.code(), &error),
        }
    }
}

impl From<Exhausted> for Failure {
    fn from(_: Exhausted) -> Self {
        let message = "the server has no memory left for slow clients: try again shortly";
        Self {
            retry_after: Some(Duration::from_secs(5)),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }
}

impl From<Exceeded> for Failure {
    fn from(exceeded: Exceeded) -> Self {
        Self::too_many(exceeded.retry_after)
    }
}

impl From<GuardError> for Failure {
    fn from(error: GuardError) -> Self {
        let missing = "send a token: Authorization: Bearer …";
        error.in_words(missing, "the token is not valid")
    }
}

/// The form in which a contract reports failures.
pub(crate) trait Shape: Send + Sync + 'static {
    /// The body of the response, for the OpenAPI document.
    type Body: ToSchema;
    /// The media type of that body.
    const MEDIA_TYPE: &'static str = "application/json";

    /// The failure for a request that the guard refuses. It reveals the realm only in a contract that has words for it.
    fn refuse(error: GuardError) -> Failure {
        error.into()
    }

    /// The response without the headers that all shapes share.
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
            headers.insert(RETRY_AFTER, retry_after_seconds(wait).into());
        }
        if let Some(challenge) = self.0.challenge() {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        headers.extend(self.0.headers);
        if let Some(cause) = self.0.cause {
            response.extensions_mut().insert(Cause(cause));
        }
        response
    }
}

/// The value of `Retry-After`: whole seconds, rounded up, at least one (RFC 9110 §10.2.3).
fn retry_after_seconds(wait: Duration) -> u64 {
    let part = u64::from(wait.subsec_nanos() > 0);
    (wait.as_secs() + part).max(1)
}

/// The media type of a problem document.
pub(crate) const PROBLEM: &str = "application/problem+json";

/// The shape of everything without a shape of its own: `application/problem+json` (RFC 9457).
pub(crate) struct Problem;

/// A problem document (RFC 9457 §3.1).
#[derive(Serialize, ToSchema)]
pub(crate) struct ProblemDocument<'a> {
    /// The error's code as a URN: `urn:keyward:error:` and a word that stays the same.
    #[schema(value_type = String, example = "urn:keyward:error:invalid_request", pattern = "^urn:keyward:error:[a-z_]+$")]
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
    type Body = ProblemDocument<'static>;
    const MEDIA_TYPE: &'static str = PROBLEM;

    fn render(failure: &Failure) -> Response {
        let document = ProblemDocument {
            r#type: failure.code.urn(),
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

/// 405 in the shape of `S`. The router adds `Allow`.
pub(crate) async fn method_not_allowed<S: Shape>() -> Shaped<S> {
    Failure::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this path does not take that method",
    )
    .into()
}

/// 404 for a path at which nothing is served.
pub(crate) async fn not_found() -> Shaped<Problem> {
    Failure::new(StatusCode::NOT_FOUND, "there is nothing at this path").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_whole_seconds_rounded_up_and_at_least_one() {
        for (millis, seconds) in [
            (0, 1),
            (1, 1),
            (1_000, 1),
            (1_001, 2),
            (5_999, 6),
            (6_000, 6),
        ] {
            let wait = Duration::from_millis(millis);
            assert_eq!(retry_after_seconds(wait), seconds, "{millis}");
        }
    }

    #[test]
    fn the_general_code_of_a_status_has_that_status() {
        for status in (400..600).filter_map(|status| StatusCode::from_u16(status).ok()) {
            let code = code_of(status);
            let general = [Code::InvalidRequest, Code::ServerError];
            assert!(
                status_of(code) == status || general.contains(&code),
                "{status}"
            );
        }
    }

    #[test]
    fn docs_errors_md_lists_every_code_with_its_status() {
        let page = include_str!("../../../docs/errors.md");
        let rows: Vec<(&str, &str)> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .filter_map(|row| {
                let mut cells = row.split(" | ");
                Some((cells.next()?.trim_end_matches('`'), cells.next()?))
            })
            .collect();
        let expected: Vec<_> = Code::ALL
            .iter()
            .map(|code| (code.name(), status_of(*code).as_u16().to_string()))
            .collect();
        assert_eq!(rows.len(), expected.len(), "one row for each code");
        for ((name, statuses), (code, status)) in rows.iter().zip(&expected) {
            assert_eq!(name, code);
            // If a contract answers with another status, the row has it after the general one.
            assert!(statuses.starts_with(status.as_str()), "{name}: {statuses}");
        }
    }
}
