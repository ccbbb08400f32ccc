//! Signing up, logging in and logging out.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, Method, StatusCode};
use keyward_core::accounts::names::{self, Name};
use keyward_core::accounts::{Realm, SignUp};
use keyward_core::tokens::{Grant, LogIn, Tokens};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::credentials::Credentials;
use super::error::{Error, login_error, refused, sign_up_error, unknown_username};
use super::wire::{CredentialsRequest, MessageResponse, SignedUpResponse};
use crate::error::{Failure, PROBLEM, ProblemDocument, method_not_allowed};
use crate::extract::bearer::{bearer, count, require};
use crate::extract::client::Client;
use crate::limits::{Limit, Limits};
use crate::state::App;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(sign_up_operator))
        .routes(routes!(sign_up_client))
        .routes(routes!(log_in_operator))
        .routes(routes!(log_in_client))
        .routes(routes!(log_out))
}

/// Signs an operator up.
#[utoipa::path(
    post, path = "/ops/signup", tag = "3 exchange",
    request_body(content(
        (CredentialsRequest = "application/x-www-form-urlencoded"),
        (CredentialsRequest = "multipart/form-data"), (CredentialsRequest = "application/json"),
    )),
    responses(
        (status = 201, body = SignedUpResponse), (status = 400, body = ProblemDocument, content_type = PROBLEM),
        (status = 409, description = "The username is taken", body = ProblemDocument, content_type = PROBLEM),
        (status = 413, body = ProblemDocument, content_type = PROBLEM), (status = 415, body = ProblemDocument, content_type = PROBLEM),
        (status = 429, body = ProblemDocument, content_type = PROBLEM), (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn sign_up_operator(
    State(app): State<App>,
    client: Client,
    credentials: Credentials,
) -> Result<Response, Error> {
    sign_up(&app, Realm::Ops, &client, credentials).await
}

/// Signs a client up.
#[utoipa::path(
    post, path = "/client/signup", tag = "3 exchange",
    request_body(content(
        (CredentialsRequest = "application/x-www-form-urlencoded"),
        (CredentialsRequest = "multipart/form-data"), (CredentialsRequest = "application/json"),
    )),
    responses(
        (status = 201, body = SignedUpResponse), (status = 400, body = ProblemDocument, content_type = PROBLEM),
        (status = 409, description = "The username is taken", body = ProblemDocument, content_type = PROBLEM),
        (status = 413, body = ProblemDocument, content_type = PROBLEM), (status = 415, body = ProblemDocument, content_type = PROBLEM),
        (status = 429, body = ProblemDocument, content_type = PROBLEM), (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn sign_up_client(
    State(app): State<App>,
    client: Client,
    credentials: Credentials,
) -> Result<Response, Error> {
    sign_up(&app, Realm::Client, &client, credentials).await
}

/// Logs an operator in: the answer is the token and nothing else.
#[utoipa::path(
    post, path = "/ops/login", tag = "3 exchange",
    request_body(content(
        (CredentialsRequest = "application/x-www-form-urlencoded"),
        (CredentialsRequest = "multipart/form-data"), (CredentialsRequest = "application/json"),
    )),
    responses(
        (status = 200, description = "A JWT", body = String, content_type = "text/plain"),
        (status = 400, body = ProblemDocument, content_type = PROBLEM),
        (status = 401, description = "The password is wrong", body = ProblemDocument, content_type = PROBLEM),
        (status = 404, description = "There is no such operator", body = ProblemDocument, content_type = PROBLEM),
        (status = 413, body = ProblemDocument, content_type = PROBLEM), (status = 415, body = ProblemDocument, content_type = PROBLEM),
        (status = 429, body = ProblemDocument, content_type = PROBLEM), (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn log_in_operator(
    State(app): State<App>,
    client: Client,
    credentials: Credentials,
) -> Result<Response, Error> {
    log_in(&app, Realm::Ops, client, credentials).await
}

/// Logs a client in: the answer is the token and nothing else.
#[utoipa::path(
    post, path = "/client/login", tag = "3 exchange",
    request_body(content(
        (CredentialsRequest = "application/x-www-form-urlencoded"),
        (CredentialsRequest = "multipart/form-data"), (CredentialsRequest = "application/json"),
    )),
    responses(
        (status = 200, description = "A JWT", body = String, content_type = "text/plain"),
        (status = 400, body = ProblemDocument, content_type = PROBLEM),
        (status = 401, description = "The password is wrong", body = ProblemDocument, content_type = PROBLEM),
        (status = 404, description = "There is no such client", body = ProblemDocument, content_type = PROBLEM),
        (status = 413, body = ProblemDocument, content_type = PROBLEM), (status = 415, body = ProblemDocument, content_type = PROBLEM),
        (status = 429, body = ProblemDocument, content_type = PROBLEM), (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn log_in_client(
    State(app): State<App>,
    client: Client,
    credentials: Credentials,
) -> Result<Response, Error> {
    log_in(&app, Realm::Client, client, credentials).await
}

/// Closes the session of an access token, whatever its realm.
#[utoipa::path(
    method(get, post), path = "/logout", tag = "3 exchange", security(("bearer" = [])),
    responses(
        (status = 200, body = MessageResponse), (status = 401, body = ProblemDocument, content_type = PROBLEM),
        (status = 429, body = ProblemDocument, content_type = PROBLEM), (status = 503, body = ProblemDocument, content_type = PROBLEM),
        (status = 507, description = "The server has no room left", body = ProblemDocument, content_type = PROBLEM),
    ),
)]
async fn log_out(
    State(tokens): State<Tokens>,
    State(limits): State<Arc<Limits>>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Error> {
    if method == Method::HEAD {
        // The router lets HEAD run what serves GET, but asking for headers must not end a session.
        let refusal: Error = method_not_allowed().await;
        return Ok(([(ALLOW, "GET,POST")], refusal).into_response());
    }
    let credential = bearer(&headers);
    let token = require(&credential).map_err(refused)?;
    let principal = tokens
        .verify_any(token)
        .await
        .map_err(|error| refused(error.into()))?;
    count(&principal, &limits).await.map_err(refused)?;
    tokens.log_out(token).await?;
    let body = MessageResponse {
        message: "logged out: the token is no longer good",
    };
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(body)).into_response())
}

async fn sign_up(
    app: &App,
    realm: Realm,
    client: &Client,
    credentials: Credentials,
) -> Result<Response, Error> {
    app.limits
        .count(Limit::SignUpsPerAddress, client.address)
        .await?;
    let typed = credentials.username.required("username")?;
    let username = names::exchange_username(&typed)
        .map_err(|error| Failure::bad_request(format!("username {error}")))?;
    let request = SignUp {
        realm,
        username: Some(username),
        email: None,
        display_name: None,
        password: credentials.password.password()?,
    };
    app.accounts.sign_up(request).await.map_err(sign_up_error)?;
    let body = SignedUpResponse {
        message: "signed up: log in to get a token",
        username: typed,
    };
    Ok((StatusCode::CREATED, axum::Json(body)).into_response())
}

async fn log_in(
    app: &App,
    realm: Realm,
    client: Client,
    credentials: Credentials,
) -> Result<Response, Error> {
    app.limits
        .count(Limit::LoginsPerAddress, client.address)
        .await?;
    let typed = credentials.username.required("username")?;
    let password = credentials.password.password()?;
    let name = parse_login_name(&typed)?;
    match app.accounts.find_by_name(realm, &name).await? {
        Some(account) => {
            app.limits
                .count(Limit::LoginsPerAccount, account.id)
                .await?;
        }
        None => {
            app.limits
                .count(Limit::LoginsPerAccount, (realm, &*name.key))
                .await?;
            return Err(unknown_username().into());
        }
    }
    let user_agent = client.user_agent;
    let attempt = LogIn {
        realm,
        name: Some(name),
        password,
        grant: Grant::Single,
        user_agent,
    };
    let issued = app.tokens.log_in(attempt).await.map_err(login_error)?;
    let headers = [(CONTENT_TYPE, "text/plain"), (CACHE_CONTROL, "no-store")];
    Ok((headers, issued.access_token).into_response())
}

/// What no account can be called is a name that no account has.
fn parse_login_name(typed: &str) -> Result<Name, Failure> {
    if typed.is_empty() {
        return Err(Failure::bad_request("username must not be empty"));
    }
    names::exchange_username(typed).map_err(|_| unknown_username())
}
