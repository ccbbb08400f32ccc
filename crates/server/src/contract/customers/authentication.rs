//! Logging in, refreshing and logging out (contract 5).

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, StatusCode};
use keyward_core::accounts::names::{self, Name};
use keyward_core::accounts::{Accounts, Realm};
use keyward_core::tokens::{Grant, Issued, LogIn, Tokens};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Error;
use super::wire::{LoginRequest, TokenPairResponse};
use crate::error::{Failure, PROBLEM, Problem, ProblemDocument};
use crate::extract::bearer::{bearer, require};
use crate::extract::client::Client;
use crate::extract::json::Json;
use crate::limits::{Limit, Limits, logins};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(log_in))
        .routes(routes!(refresh))
        .routes(routes!(log_out))
}

/// Logs in by username or e-mail address.
#[utoipa::path(
    post, path = "/api/v1/authentication/login", tag = "5 customers", request_body = LoginRequest,
    responses(
        (status = 200, body = TokenPairResponse),
        (status = 400, body = ProblemDocument, content_type = PROBLEM),
        (status = 401, description = "Wrong", body = ProblemDocument, content_type = PROBLEM),
        (status = 413, body = ProblemDocument, content_type = PROBLEM),
        (status = 415, body = ProblemDocument, content_type = PROBLEM),
        (status = 429, body = ProblemDocument, content_type = PROBLEM),
        (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn log_in(
    State(accounts): State<Accounts>,
    State(tokens): State<Tokens>,
    State(limits): State<Arc<Limits>>,
    client: Client,
    Json(body, ..): Json<LoginRequest, Problem>,
) -> Result<Response, Error> {
    limits
        .count(Limit::LoginsPerAddress, client.address)
        .await?;
    let typed = body.username.required("username")?;
    let password = body.password.password()?;
    let name = parse_login_name(&typed)?;
    logins::count(&limits, &accounts, Realm::Default, name.as_ref(), &typed).await?;
    let user_agent = client.user_agent;
    let attempt = LogIn {
        realm: Realm::Default,
        name,
        password,
        grant: Grant::Pair,
        user_agent,
    };
    Ok(pair(tokens.log_in(attempt).await?))
}

/// Trades a refresh token for a new pair.
///
/// A refresh token works once: presented again, it ends the login that it descends from, with every
/// token of it.
#[utoipa::path(
    post, path = "/api/v1/authentication/refresh", tag = "5 customers",
    security(("bearer" = [])),
    responses(
        (status = 200, body = TokenPairResponse),
        (status = 401, description = "No good refresh token",
            body = ProblemDocument, content_type = PROBLEM),
        (status = 429, body = ProblemDocument, content_type = PROBLEM),
        (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
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
    let issued = tokens.refresh(require(&bearer(&headers))?).await?;
    Ok(pair(issued))
}

/// Closes the session of an access or refresh token, of whichever contract.
#[utoipa::path(
    post, path = "/api/v1/authentication/logout", tag = "5 customers",
    security(("bearer" = [])),
    responses(
        (status = 204),
        (status = 401, description = "No good token",
            body = ProblemDocument, content_type = PROBLEM),
        (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn log_out(State(tokens): State<Tokens>, headers: HeaderMap) -> Result<StatusCode, Error> {
    tokens
        .log_out_by_either(require(&bearer(&headers))?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

fn pair(issued: Issued) -> Response {
    (
        [(CACHE_CONTROL, "no-store")],
        axum::Json(TokenPairResponse::from(issued)),
    )
        .into_response()
}

/// A username or an e-mail address, whose prepared forms share one name space; `None` for what no
/// account can be called: that login fails like any other.
fn parse_login_name(typed: &str) -> Result<Option<Name>, Failure> {
    if typed.is_empty() {
        return Err(Failure::bad_request("username must not be empty"));
    }
    Ok(names::username(typed).ok())
}
