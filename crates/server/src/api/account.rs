//! The account of the caller, and its password.

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use keyward_core::accounts;
use keyward_core::error::Code;
use keyward_core::secret::Password;
use keyward_core::sessions::{self, Sessions};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Error;
use super::caller::Caller;
use super::wire::{AccountResponse, PasswordRequest};
use crate::error::{Failure, PROBLEM, Problem, ProblemDocument};
use crate::extract::guard::GuardError;
use crate::extract::json::Json;
use crate::extract::member::Member;
use crate::limits::{Limit, Limits};
use crate::responses::{Guarded, Takes, Writes};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(change_password))
}

/// Shows the account of the caller.
#[utoipa::path(
    get, path = "/api/v1/account", tag = "native", security(("bearer" = [])),
    responses(
        (status = 200, body = AccountResponse),
        Guarded<Problem>,
    ),
)]
async fn show(caller: Caller) -> axum::Json<AccountResponse> {
    axum::Json(AccountResponse::new(caller.account, caller.session))
}

/// Changes the password of the caller, and closes the other sessions of the account.
#[utoipa::path(
    put, path = "/api/v1/account/password", tag = "native", security(("bearer" = [])),
    request_body = PasswordRequest,
    responses(
        (status = 204),
        (status = 403, description = "The current password is wrong", body = ProblemDocument, content_type = PROBLEM),
        Guarded<Problem>, Takes<Problem>, Writes<Problem>,
    ),
)]
async fn change_password(
    State(sessions): State<Sessions>,
    State(limits): State<Arc<Limits>>,
    caller: Caller<(), Json<PasswordRequest, Problem>>,
) -> Result<StatusCode, Error> {
    let (Json(body, ..), account, session) = (caller.body, caller.account, caller.session);
    let current = password(body.current_password, "current_password")?;
    let new = password(body.new_password, "new_password")?;
    // Counted as a login, so that a stolen token allows no additional guesses.
    limits.count(Limit::LoginsPerAccount, account.id).await?;
    let changed = sessions
        .change_password(account.id, current, new, session)
        .await;
    changed.map_err(change_error)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The token was valid, so a wrong password is not a failed authentication (401) but a refusal (403).
fn change_error(error: sessions::Error) -> Failure {
    match error {
        sessions::Error::Account(accounts::Error::BadCredentials) => {
            Failure::new(StatusCode::FORBIDDEN, "current_password is wrong")
                .with_code(Code::BadCredentials)
        }
        sessions::Error::Ended => GuardError::Invalid.into(),
        error => error.into(),
    }
}

fn password(member: Member, name: &str) -> Result<Password, Failure> {
    Password::new(member.required(name)?)
        .map_err(|error| Failure::bad_request(format!("{name} {error}")))
}
