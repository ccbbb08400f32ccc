//! The calls of contract 4.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use keyward_core::accounts::names::{self, Name};
use keyward_core::accounts::{Accounts, Realm, SignUp};
use keyward_core::random::Random;
use keyward_core::tokens::{Grant, LogIn};
use keyward_core::vectors::{DIMENSIONS, MOST_DIMENSIONS, generate};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Error, Vectors, login_error, refused, register_error};
use super::wire::{ArrayRequest, CredentialsRequest, LoginResponse, MessageResponse};
use crate::answer;
use crate::error::Failure;
use crate::extract::bearer::{bearer, guard};
use crate::extract::client::Client;
use crate::extract::json::Json;
use crate::extract::member::Member;
use crate::extract::query::Query;
use crate::limits::{Limit, Limits, logins};
use crate::memory::{Payer, hold};
use crate::state::App;

/// The longest sentence, in bytes, and room for it with every byte escaped.
const LONGEST_SENTENCE: usize = 64 * 1024;
const LARGEST_BODY: usize = 512 * 1024;

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(generate_array))
}

/// `POST /login` where contract 2 does not share it.
pub(crate) fn login_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(log_in_alone))
}

/// Registers a user by username.
#[utoipa::path(
    post, path = "/register", tag = "4 vectors", request_body = CredentialsRequest,
    responses(
        (status = 200, body = MessageResponse), (status = 400, body = MessageResponse),
        (status = 409, body = MessageResponse), (status = 413, body = MessageResponse),
        (status = 415, body = MessageResponse), (status = 429, body = MessageResponse),
        (status = 503, body = MessageResponse),
        (status = 507, description = "The server has no room left", body = MessageResponse),
    ),
)]
async fn register(
    State(accounts): State<Accounts>,
    State(limits): State<Arc<Limits>>,
    client: Client,
    Json(body, ..): Json<CredentialsRequest, Vectors>,
) -> Result<axum::Json<MessageResponse>, Error> {
    limits
        .count(Limit::SignUpsPerAddress, client.address)
        .await?;
    let username = names::username(&body.username.required("username")?)
        .map_err(|error| Failure::bad_request(format!("username {error}")))?;
    let password = body.password.password()?;
    limits
        .count(
            Limit::SignUpsPerAccountName,
            (Realm::Default, &*username.key),
        )
        .await?;
    let request = SignUp {
        realm: Realm::Default,
        username: Some(username),
        email: None,
        display_name: None,
        password,
    };
    accounts.sign_up(request).await.map_err(register_error)?;
    Ok(axum::Json(MessageResponse {
        message: "User registered successfully".into(),
    }))
}

/// Logs in by username.
#[utoipa::path(
    post, path = "/login", tag = "4 vectors", request_body = CredentialsRequest,
    responses(
        (status = 200, body = LoginResponse), (status = 400, body = MessageResponse),
        (status = 401, body = MessageResponse), (status = 413, body = MessageResponse),
        (status = 415, body = MessageResponse),
        (status = 429, body = MessageResponse), (status = 503, body = MessageResponse),
        (status = 507, description = "The server has no room left", body = MessageResponse),
    ),
)]
async fn log_in_alone(
    State(app): State<App>,
    client: Client,
    Json(body, ..): Json<CredentialsRequest, Vectors>,
) -> Result<Response, Error> {
    log_in(&app, &client, body.username, body.password).await
}

/// Logs in by username, for whoever has read the body.
pub(crate) async fn log_in(
    app: &App,
    client: &Client,
    username: Member,
    password: Member,
) -> Result<Response, Error> {
    app.limits
        .count(Limit::LoginsPerAddress, client.address)
        .await?;
    let typed = username.required("username")?;
    let password = password.password()?;
    let name = parse_login_name(&typed)?;
    logins::count(
        &app.limits,
        &app.accounts,
        Realm::Default,
        name.as_ref(),
        &typed,
    )
    .await?;
    let user_agent = client.user_agent.clone();
    let attempt = LogIn {
        realm: Realm::Default,
        name,
        password,
        grant: Grant::Single,
        user_agent,
    };
    let issued = app.tokens.log_in(attempt).await.map_err(login_error)?;
    let body = LoginResponse {
        token: issued.access_token,
    };
    Ok(([(CACHE_CONTROL, "no-store")], axum::Json(body)).into_response())
}

/// Makes an array of random numbers in [0, 1).
#[utoipa::path(
    post, path = "/generate_array", tag = "4 vectors", request_body = ArrayRequest,
    params(
        ("dimensions" = Option<usize>, Query, description = "1 to 10,000, default 500"),
        ("seed" = Option<u64>, Query, description = "The same seed and sentence give the same array"),
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<f64>), (status = 400, body = MessageResponse),
        (status = 401, body = MessageResponse), (status = 413, body = MessageResponse),
        (status = 415, body = MessageResponse), (status = 429, body = MessageResponse),
        (status = 503, body = MessageResponse),
    ),
)]
async fn generate_array(
    _: Caller,
    Payer(account): Payer,
    State(random): State<Arc<dyn Random>>,
    query: Query,
    Json(body, ..): Json<ArrayRequest, Vectors, LARGEST_BODY>,
) -> Result<Response, Error> {
    let sentence = parse_sentence(body.sentence)?;
    let dimensions = query
        .integer("dimensions", 1..=MOST_DIMENSIONS)?
        .unwrap_or(DIMENSIONS);
    let seed = query.integer("seed", 0..=u64::MAX)?;
    let array = generate(&sentence, dimensions, seed, &*random);
    Ok(hold(answer::json(array), &account)?)
}

/// Proof that the request passed the guard and the limit of arrays, before its body is read.
struct Caller;

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let credential = bearer(&parts.headers);
        let principal = guard(&credential, Realm::Default, &app.tokens, &app.limits)
            .await
            .map_err(refused)?;
        let subject = (principal.realm, &*principal.subject);
        app.limits.count(Limit::ArraysPerAccount, subject).await?;
        Ok(Self)
    }
}

fn parse_sentence(member: Member) -> Result<String, Failure> {
    let sentence = member.required("sentence")?;
    match sentence.len() {
        0 => Err(Failure::bad_request("sentence must not be empty")),
        1..=LONGEST_SENTENCE => Ok(sentence),
        _ => {
            let message = "sentence must be at most 65536 bytes";
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
    }
}

/// `None` for what no account can be called: that login fails like any other.
fn parse_login_name(typed: &str) -> Result<Option<Name>, Failure> {
    if typed.is_empty() {
        return Err(Failure::bad_request("username must not be empty"));
    }
    Ok(names::username(typed).ok())
}
