//! The shape of the vectors' errors: `{"message": …}`.

use axum::response::{IntoResponse, Response};
use keyward_core::accounts;

use super::wire::MessageResponse;
use crate::error::{Failure, Shape, Shaped};
use crate::extract::guard::GuardError;

/// The vectors.
pub(crate) struct Vectors;

pub(super) type Error = Shaped<Vectors>;

impl Shape for Vectors {
    type Body = MessageResponse;

    fn refuse(error: GuardError) -> Failure {
        error.in_words("Token is missing", "Token is invalid")
    }

    fn render(failure: &Failure) -> Response {
        let body = MessageResponse {
            message: failure.message.clone(),
        };
        (failure.status, axum::Json(body)).into_response()
    }
}

pub(super) fn register_error(error: accounts::Error) -> Failure {
    let taken = matches!(error, accounts::Error::Taken(_));
    let failure = Failure::from(error);
    if taken {
        failure.with_message("User registered already, Please login")
    } else {
        failure
    }
}
