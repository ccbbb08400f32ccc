//! The operations of the vector generator.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use keyward_core::accounts::{Accounts, Realm, SignUp, names};
use keyward_core::tokens::TokenSet;
use keyward_core::vectors::{DIMENSIONS, MOST_DIMENSIONS, generate};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::{Error, Vectors, register_error};
use super::wire::{ArrayRequest, CredentialsRequest, LoginResponse, MessageResponse};
use crate::address::ClientAddress;
use crate::answer;
use crate::error::Failure;
use crate::extract::client::Client;
use crate::extract::guard::{Authorized, Scope};
use crate::extract::invitation::Invitation;
use crate::extract::json::Json;
use crate::extract::member::Member;
use crate::extract::query::Query;
use crate::limits::{Limit, Limits};
use crate::memory::hold;
use crate::password_login::{Attempt, Form, NameRule};
use crate::responses::{Guarded, Limited, Takes, Writes};
use crate::state::App;

/// The longest sentence, in bytes. The largest body has room for it with every byte escaped.
const LONGEST_SENTENCE: usize = 64 * 1024;
const LARGEST_BODY: usize = 512 * 1024;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(register))
        .routes(routes!(generate_array))
}

/// `POST /login`, if the directory does not share it.
pub(super) fn login_routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(log_in_alone))
}

/// Registers a user by username.
#[utoipa::path(
    post, path = "/register", tag = "vectors", request_body = CredentialsRequest,
    params(("X-Invitation" = Option<String>, Header, description = "The code of an invitation, where accounts.sign_up asks for one")),
    responses(
        (status = 200, body = MessageResponse),
        (status = 403, description = "Sign-up is closed, or by invitation", body = MessageResponse),
        (status = 409, body = MessageResponse),
        Takes<Vectors>, Limited<Vectors>, Writes<Vectors>,
    ),
)]
async fn register(
    State(accounts): State<Accounts>,
    State(limits): State<Arc<Limits>>,
    client: Client,
    invitation: Invitation,
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
    let signed_up = accounts.sign_up(request, invitation.code()).await;
    signed_up.map_err(register_error)?;
    Ok(axum::Json(MessageResponse {
        message: "User registered successfully".into(),
    }))
}

/// Logs in by username.
#[utoipa::path(
    post, path = "/login", tag = "vectors", request_body = CredentialsRequest,
    responses(
        (status = 200, body = LoginResponse),
        (status = 401, body = MessageResponse),
        Takes<Vectors>, Limited<Vectors>, Writes<Vectors>,
    ),
)]
async fn log_in_alone(
    State(app): State<App>,
    client: Client,
    Json(body, ..): Json<CredentialsRequest, Vectors>,
) -> Result<Response, Error> {
    log_in(&app, client, body.username, body.password).await
}

/// Logs in by username, after the body was read.
pub(crate) async fn log_in(
    app: &App,
    client: Client,
    username: Member,
    password: Member,
) -> Result<Response, Error> {
    let form = Form {
        realm: Realm::Default,
        rule: NameRule::Username,
        name: username,
        password,
    };
    let attempt = Attempt::begin(app, client, form).await?;
    let issued = attempt.finish(app, TokenSet::Access).await;
    let issued = issued.map_err(|error| error.in_words("Authentication failed"))?;
    let body = LoginResponse {
        token: issued.access_token,
    };
    Ok(axum::Json(body).into_response())
}

/// The query of an array.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "`Query` reads it; this describes it")]
struct ArrayParameters {
    /// The number of elements.
    #[param(value_type = usize, required = false, minimum = 1, maximum = 10_000, default = 500)]
    dimensions: (),
    /// The same seed and sentence give the same array.
    #[param(value_type = u64, required = false, minimum = 0, maximum = 18_446_744_073_709_551_615_u64)]
    seed: (),
}

/// Makes an array of random numbers in [0, 1).
#[utoipa::path(
    post, path = "/generate_array", tag = "vectors", request_body = ArrayRequest,
    params(
        ArrayParameters,
    ),
    security(("bearer" = [])),
    responses(
        (status = 200, body = Vec<f64>),
        Guarded<Vectors>, Takes<Vectors>,
    ),
)]
async fn generate_array(
    State(app): State<App>,
    ClientAddress(address): ClientAddress,
    caller: Authorized<Arrays, Query, Json<ArrayRequest, Vectors, LARGEST_BODY>>,
) -> Result<Response, Error> {
    let (query, Json(body, ..)) = (caller.head, caller.body);
    let sentence = parse_sentence(body.sentence)?;
    let dimensions = query
        .integer("dimensions", 1..=MOST_DIMENSIONS)?
        .unwrap_or(DIMENSIONS);
    let seed = query.integer("seed", 0..=u64::MAX)?;
    let array = generate(&sentence, dimensions, seed, &*app.random);
    Ok(hold(answer::json(array), || app.account(address))?)
}

/// The accounts that may make arrays. Arrays have a rate limit of their own.
struct Arrays;

impl Scope for Arrays {
    type Shape = Vectors;
    const REALMS: &'static [Realm] = &[Realm::Default];
    const LIMITS: &'static [Limit] = &[Limit::ArraysPerAccount];
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
