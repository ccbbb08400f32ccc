//! The shape of the notary's errors: `{"status": …, "description": …}`.

use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode};

use super::wire::ErrorResponse;
use crate::error::{Failure, Shape, Shaped};

/// The notary.
pub(crate) struct Notary;

pub(super) type Error = Shaped<Notary>;

/// Carries the description of a 204, which has no body (RFC 9110 §15.3.5).
const DESCRIPTION: HeaderName = HeaderName::from_static("x-error-description");

impl Shape for Notary {
    type Body = ErrorResponse;

    fn render(failure: &Failure) -> Response {
        if failure.status == StatusCode::NO_CONTENT {
            let description =
                HeaderValue::from_str(&failure.message).unwrap_or(HeaderValue::from_static(""));
            return (failure.status, [(DESCRIPTION, description)]).into_response();
        }
        let body = ErrorResponse {
            status: failure.status.as_u16(),
            description: failure.message.to_string(),
        };
        (failure.status, axum::Json(body)).into_response()
    }
}

pub(super) fn invalid_content_type() -> Error {
    Failure::new(StatusCode::ACCEPTED, "Invalid content type").into()
}

/// The same status as for a wrong type, with the name of the coding: a coded body is not of its `Content-Type` either.
pub(super) fn content_coding(refused: Failure) -> Error {
    let message = format!("Invalid content type: {}", refused.message);
    let mut failure = refused.with_message(message);
    failure.status = StatusCode::ACCEPTED;
    failure.into()
}

pub(super) fn missing_token() -> Error {
    let status = StatusCode::NON_AUTHORITATIVE_INFORMATION;
    Failure::new(status, "Missing token in GET request body").into()
}

pub(super) fn missing_signing_key() -> Error {
    Failure::new(
        StatusCode::NO_CONTENT,
        "Missing signing key in GET request body",
    )
    .into()
}
