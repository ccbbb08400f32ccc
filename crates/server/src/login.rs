//! `POST /login`, which two contracts share: a body with `email` is the directory's, one with `username` is the
//! vectors'. What belongs to neither is answered in the directory's shape, which has all members of the other.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::contract::directory::{self, Directory};
use crate::contract::vectors;
use crate::error::{Failure, Shaped};
use crate::extract::client::Client;
use crate::extract::json::Json;
use crate::extract::member::Member;
use crate::state::App;

/// A login by e-mail address (contract 2) or by username (contract 4).
#[derive(Deserialize, ToSchema)]
pub(crate) struct LoginRequest {
    /// The e-mail address: contract 2.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "test@gmail.com")]
    email: Member,
    /// The username: contract 4.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    username: Member,
    /// The password.
    #[serde(default)]
    #[schema(value_type = String)]
    password: Member,
}

pub(crate) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(log_in))
}

/// Logs in by e-mail address (contract 2, 201) or by username (contract 4, 200).
#[utoipa::path(
    post, path = "/login", tags = ["2 directory", "4 vectors"], request_body = LoginRequest,
    responses(
        (status = 200, description = "By username", body = vectors::LoginResponse),
        (status = 201, description = "By e-mail address", body = directory::LoginResponse),
        (status = 400, description = "Neither or both names, or bad input", body = directory::ErrorResponse),
        (status = 401, description = "By username: wrong", body = vectors::MessageResponse),
        (status = 403, description = "By e-mail address: wrong", body = directory::LoginResponse),
        (status = 413, body = directory::ErrorResponse),
        (status = 415, body = directory::ErrorResponse),
        (status = 429, body = directory::ErrorResponse),
        (status = 503, body = directory::ErrorResponse),
        (status = 507, description = "The server has no room left", body = directory::ErrorResponse),
    ),
)]
async fn log_in(
    State(app): State<App>,
    client: Client,
    Json(body, ..): Json<LoginRequest, Directory>,
) -> Response {
    let LoginRequest {
        email,
        username,
        password,
    } = body;
    match (email.is_present(), username.is_present()) {
        (true, false) => directory::log_in(&app, client, email, password)
            .await
            .into_response(),
        (false, true) => vectors::log_in(&app, client, username, password)
            .await
            .into_response(),
        _ => {
            let message = "send either email or username, with password";
            Shaped::<Directory>::from(Failure::bad_request(message)).into_response()
        }
    }
}
