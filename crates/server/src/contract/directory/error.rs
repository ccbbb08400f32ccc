//! The shape of the directory's errors: its envelope, with `data: null` and `status: false`.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keyward_core::accounts;

use super::wire::{EmailAndPassword, ErrorResponse, LoginResponse};
use crate::error::{Failure, Shape, Shaped};
use crate::extract::guard::GuardError;

/// The directory.
pub(crate) struct Directory;

pub(super) type Error = Shaped<Directory>;

impl Shape for Directory {
    type Body = ErrorResponse;

    fn refuse(error: GuardError) -> Failure {
        error.in_words(
            "auth failed - token is missing",
            "auth failed - token is invalid",
        )
    }

    fn render(failure: &Failure) -> Response {
        let body = ErrorResponse {
            code: failure.status.as_u16(),
            data: (),
            message: failure.message.to_string(),
            status: false,
        };
        (failure.status, axum::Json(body)).into_response()
    }
}

pub(super) fn sign_up_error(error: accounts::Error) -> Failure {
    let taken = matches!(error, accounts::Error::Taken(_));
    let failure = Failure::from(error);
    if taken {
        failure.with_message("user already registered")
    } else {
        failure
    }
}

/// The response to a wrong password and to an unknown address alike. It repeats the request without the password.
pub(super) fn verification_failed(email: String) -> Response {
    let status = StatusCode::FORBIDDEN;
    let body = LoginResponse {
        code: status.as_u16(),
        data: EmailAndPassword::hiding(email),
        message: "verification failed - incorrect user email or password",
        status: false,
        token: None,
    };
    (status, axum::Json(body)).into_response()
}
