//! Logging in, refreshing and logging out (customers).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use keyward_core::accounts::Realm;
use keyward_core::tokens::{Issued, TokenSet, Tokens};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::Error;
use super::wire::{LoginRequest, TokenPairResponse};
use crate::error::{PROBLEM, Problem, ProblemDocument};
use crate::extract::bearer::bearer;
use crate::extract::client::Client;
use crate::extract::guard::token;
use crate::extract::json::Json;
use crate::limits::{Limit, Limits};
use crate::password_login::{Attempt, Form, NameRule};
use crate::responses::{Limited, Presents, Takes, Writes};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
}

/// Logs in by username or e-mail address.
#[utoipa::path(
    post, path = "/api/v1/authentication/login", tag = "customers", request_body = LoginRequest,
    responses(
        (status = 200, body = TokenPairResponse),
        (status = 401, description = "Wrong", body = ProblemDocument, content_type = PROBLEM),
        Takes<Problem>, Limited<Problem>, Writes<Problem>,
    ),
)]
async fn log_in(
    State(app): State<App>,
    client: Client,
    Json(body, ..): Json<LoginRequest, Problem>,
) -> Result<Response, Error> {
    let form = Form {
        realm: Realm::Default,
        rule: NameRule::Username,
        name: body.username,
        password: body.password,
    };
    let attempt = Attempt::begin(&app, client, form).await?;
    let issued = attempt.finish(&app, TokenSet::AccessAndRefresh).await;
    Ok(pair(issued.map_err(|error| {
        error.in_words("the name or the password is wrong")
    })?))
}

/// Trades a refresh token for a new pair.
///
/// A refresh token works once. If it is presented again, the session ends, with all of its tokens.
#[utoipa::path(
    post, path = "/api/v1/authentication/refresh", tag = "customers",
    security(("bearer" = [])),
    responses(
        (status = 200, body = TokenPairResponse),
        Presents<Problem>, Limited<Problem>, Writes<Problem>,
    ),
)]
async fn refresh(
    State(tokens): State<Tokens>,
    State(limits): State<Arc<Limits>>,
    client: Client,
    headers: HeaderMap,
) -> Result<Response, Error> {
    limits
        .count(Limit::RefreshesPerAddress, client.address)
        .await?;
    let issued = tokens.refresh(token(&bearer(&headers))?).await?;
    Ok(pair(issued))
}

/// Closes the session of an access or refresh token of any contract.
#[utoipa::path(
    post, path = "/api/v1/authentication/logout", tag = "customers",
    security(("bearer" = [])),
    responses(
        (status = 204),
        Presents<Problem>, Writes<Problem>,
    ),
)]
async fn log_out(State(tokens): State<Tokens>, headers: HeaderMap) -> Result<StatusCode, Error> {
    tokens.log_out_by_either(token(&bearer(&headers))?).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn pair(issued: Issued) -> Response {
    axum::Json(TokenPairResponse::from(issued)).into_response()
}
