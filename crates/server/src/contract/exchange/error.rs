//! What contract 3 says about failures.

use keyward_core::accounts::{self, Realm};
use keyward_core::error::Code;
use keyward_core::{files, tokens};

use crate::error::{Failure, Problem, Shaped};
use crate::extract::bearer::Refused;

pub(super) type Error = Shaped<Problem>;

pub(super) fn refused(refused: Refused) -> Failure {
    let (code, message) = match refused {
        Refused::Failed(failure) => return failure,
        Refused::Missing => (
            Code::MissingToken,
            "send a token: Authorization: Bearer <token>",
        ),
        Refused::Invalid | Refused::OtherRealm(Realm::Default) => {
            (Code::InvalidToken, "the token is not valid here")
        }
        Refused::OtherRealm(Realm::Ops) => (
            Code::WrongRealm,
            "an operator may list and fetch its own files only",
        ),
        Refused::OtherRealm(Realm::Client) => (
            Code::WrongRealm,
            "this is for operators: send an operator's token",
        ),
    };
    Failure::coded(code, message)
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

pub(super) fn login_error(error: tokens::Error) -> Failure {
    let wrong = matches!(
        error,
        tokens::Error::Account(accounts::Error::BadCredentials)
    );
    let failure = Failure::from(error);
    if wrong {
        failure.with_message("the password is wrong")
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
