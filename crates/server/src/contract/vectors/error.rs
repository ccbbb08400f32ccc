//! The shape of contract 4's errors: `{"message": …}`.

use axum::response::{IntoResponse, Response};
use keyward_core::error::Code;
use keyward_core::{accounts, tokens};

use super::wire::MessageResponse;
use crate::error::{Failure, Shape, Shaped};
use crate::extract::bearer::Refused;

/// Contract 4.
pub(crate) struct Vectors;

pub(super) type Error = Shaped<Vectors>;

impl Shape for Vectors {
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

pub(super) fn login_error(error: tokens::Error) -> Failure {
    let wrong = matches!(
        error,
        tokens::Error::Account(accounts::Error::BadCredentials)
    );
    let failure = Failure::from(error);
    if wrong {
        failure.with_message("Authentication failed")
    } else {
        failure
    }
}

pub(super) fn refused(refused: Refused) -> Failure {
    let (code, message) = match refused {
        Refused::Failed(failure) => return failure,
        Refused::Missing => (Code::MissingToken, "Token is missing"),
        Refused::Invalid | Refused::OtherRealm(_) => (Code::InvalidToken, "Token is invalid"),
    };
    Failure::coded(code, message)
}
