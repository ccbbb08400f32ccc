//! The errors of the exchange.

use axum::response::Response;
use keyward_core::accounts::{self, Realm};
use keyward_core::error::Code;
use keyward_core::files;

use crate::error::{Failure, PROBLEM, Problem, ProblemDocument, Shape, Shaped};
use crate::extract::guard::GuardError;

/// The file exchange. Its failures are problem documents.
pub(crate) struct Exchange;

pub(super) type Error = Shaped<Exchange>;

impl Shape for Exchange {
    type Body = ProblemDocument<'static>;
    const MEDIA_TYPE: &'static str = PROBLEM;

    fn refuse(error: GuardError) -> Failure {
        let message = match error {
            GuardError::OtherRealm(Realm::Ops) => {
                "an operator may list and fetch its own files only"
            }
            GuardError::OtherRealm(Realm::Client) => {
                "this is for operators: send an operator's token"
            }
            other => {
                return other.in_words(
                    "send a token: Authorization: Bearer <token>",
                    "the token is not valid here",
                );
            }
        };
        Failure::coded(Code::WrongRealm, message)
    }

    fn render(failure: &Failure) -> Response {
        Problem::render(failure)
    }
}

pub(super) fn sign_up_error(error: accounts::Error) -> Failure {
    let taken = matches!(error, accounts::Error::Taken(_));
    let failure = Failure::from(error);
    if taken {
        failure.with_message("the username is taken")
    } else {
        failure
    }
}

pub(super) fn upload_error(error: files::Error) -> Failure {
    let message = match &error {
        files::Error::TooMany { .. }
        | files::Error::QuotaExceeded { .. }
        | files::Error::Crowded => Some(error.to_string()),
        _ => None,
    };
    let failure = Failure::from(error);
    match message {
        Some(message) => failure.with_message(message),
        None => failure,
    }
}

pub(super) fn unknown_username() -> Failure {
    Failure::coded(Code::UnknownAccount, "there is no such username")
}
